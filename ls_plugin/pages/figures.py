"""The figures of the manager's page and of a person's own page."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from django.db.models import Avg, Count, Q, Sum
from tasks.models import Annotation

from ls_plugin.models import Campaign, CampaignProject, Grant, Member, Record, Slot, Stage
from ls_plugin.people import rulebook
from ls_plugin.people.standings import CampaignPlace, can_work, to_person, words
from ls_plugin.queue import practice, qualification, requirements, skips
from ls_plugin.queue.handout import why_nothing
from ls_plugin.store import known_answers
from ls_plugin.store.known_answers import Kind
from ls_plugin.store.refusals import Refused
from review_rules import Person, PersonId, State, Team
from review_rules.staffing import shortages

_BEGINNING = State.AWAITING_PASSES.value
_DECIDED = [state.value for state in State if state.is_decided]
_SECONDS_A_ROW = 90.0  # what a review is taken to need before anybody has done one


@dataclass(frozen=True, slots=True)
class PersonFigures:
    """One person's work in a campaign.

    ``known_right``: the share of known fields that they got right, None before they answered a row with known answers;
    ``qualified`` is where they stand with each part of the qualification;
    ``practised`` and ``practice_hours``: rows that they practised on, and for how long, beside their other hours.
    """

    id: str
    roles: tuple[str, ...]
    expertise: tuple[str, ...]
    account: bool
    passes: int
    qa: int
    expert: int
    skipped: int
    hours: float
    in_hand: int
    known_right: float | None
    qualified: tuple[dict[str, Any], ...]
    practised: int
    practice_hours: float


@dataclass(frozen=True, slots=True)
class Need:
    """Who is needed next.

    Attributes:
        what: the stage, with the expertise it asks for.
        rows: how many rows wait for it or will.
        people: who could take them.
        hours: what the rows will take, by the median time of a review so far.
        hours_a_week: what these people have; None if the team file does not say.
        infeasible: rows of these that nobody of the team can bring to an end.
    """

    what: str
    rows: int
    people: tuple[str, ...]
    hours: float
    hours_a_week: float | None
    infeasible: int


@dataclass(frozen=True, slots=True)
class CampaignFigures:
    """Where a campaign stands.

    ``withheld``: rows that are left out of agreement, conflicts and compared, since whoever asks has answered them and
    they are not decided yet. ``practice``: how many rows people may practise on, and whether the time counts for pay;
    None for none.
    """

    id: int
    name: str
    rows: int
    states: dict[str, int]
    open: dict[str, int]
    agreement: float | None
    conflicts: int
    compared: int
    withheld: int
    people: tuple[PersonFigures, ...]
    needs: tuple[Need, ...]
    infeasible: int
    shortages: tuple[dict[str, Any], ...]
    waiting_for_reconcile: int
    projects: dict[str, int]
    qualification: dict[str, Any] | None
    practice: dict[str, Any] | None
    skipped_by_everybody: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The answer of ``GET /quorum/api/status``."""
        return asdict(self)


def of_campaign(campaign: Campaign, viewer: int | None = None) -> CampaignFigures:
    """Everything that the manager's page shows.

    Args:
        campaign: the campaign.
        viewer: the account that is shown it, if it also works in the campaign. What follows from its own answers would
            tell it the others': it could change an answer and see whether the figure moves.
    """
    stored = CampaignProject.objects.filter(campaign=campaign)
    projects = {Stage(project.stage): project.project_id for project in stored}
    slots = Slot.objects.filter(project_id__in=projects.values())
    rows = slots.filter(stage=Stage.PASS)
    counts = dict(rows.values_list("state").annotate(count=Count("task_id")).order_by())
    states = {state.value: counts.get(state.value, 0) for state in State}
    states[State.AWAITING_PASSES.value] += counts.get("", 0)
    own = Annotation.objects.filter(project_id=projects[Stage.PASS], completed_by_id=viewer, was_cancelled=False)
    withheld = list(
        rows.filter(task_id__in=own.values("task_id")).exclude(state__in=_DECIDED).values_list("task_id", flat=True)
        if viewer is not None
        else ()
    )
    agreement = rows.exclude(task_id__in=withheld).aggregate(
        mean=Avg("agreed"), compared=Count("agreed"), conflicts=Count("pk", filter=Q(agreed__lt=1))
    )
    needs = _needs(campaign, slots)
    # Rows with known answers stay open for whoever comes; once they are decided nobody waits for them.
    waited_for = slots.filter(open=True).exclude(Q(capacity=qualification.SEATS) & ~Q(state__in=["", _BEGINNING]))
    waiting = waited_for.values_list("stage").annotate(count=Count("task_id")).order_by()
    return CampaignFigures(
        id=campaign.pk,
        name=campaign.name,
        rows=rows.count(),
        states=states,
        open={stage.label: dict(waiting).get(stage.value, 0) for stage in Stage},
        agreement=agreement["mean"],
        conflicts=agreement["conflicts"],
        compared=agreement["compared"],
        withheld=len(withheld),
        people=_people(campaign, projects),
        needs=needs,
        infeasible=sum(need.infeasible for need in needs),
        shortages=_shortages(campaign, rows),
        waiting_for_reconcile=slots.filter(dirty=True, stage=Stage.PASS).count(),
        projects={stage.label: project for stage, project in projects.items()},
        qualification=qualification.summary(campaign.pk),
        practice=_practice(campaign),
        skipped_by_everybody=tuple(skips.stuck_rows(campaign)),
    )


def _practice(campaign: Campaign) -> dict[str, Any] | None:
    rows = practice.rows_of(campaign)
    return {"rows": len(rows), "paid": practice.is_paid(campaign)} if rows else None


def _people(campaign: Campaign, projects: Mapping[Stage, int]) -> tuple[PersonFigures, ...]:
    stage_of = {project: stage for stage, project in projects.items()}
    work = defaultdict[int | None, Counter[str]](Counter)
    done = Annotation.objects.filter(project_id__in=stage_of).values("completed_by_id", "project_id", "was_cancelled")
    for group in done.annotate(count=Count("id"), seconds=Sum("lead_time")).order_by():
        key = "skips" if group["was_cancelled"] else stage_of[group["project_id"]].label
        work[group["completed_by_id"]].update({key: group["count"], "seconds": group["seconds"] or 0})
    skipped = skips.count_by_person(campaign.pk)
    # Seats that ran out count too: the person may still have the task open.
    live = Grant.objects.filter(project_id__in=stage_of, live=True).values_list("user_id").annotate(count=Count("id"))
    in_hand = dict(live.order_by())
    practised = known_answers.work_by_person(Kind.PRACTICE, campaign.pk)
    asked = qualification.qualification_of(campaign.pk)
    passing = CampaignPlace(projects[Stage.PASS], campaign.pk, Stage.PASS)

    def known_right(user_id: int | None) -> float | None:
        return qualification.score(user_id, passing, asked).share if asked and user_id else None

    def stands_of(member: Member) -> tuple[dict[str, Any], ...]:
        if asked is None or member.user_id is None:
            return ()
        stands = requirements.of_person(member.user_id, to_person(member), campaign.pk, asked)
        return tuple(each.to_json() for each in stands)

    def figures(member: Member) -> PersonFigures:
        mine = work[member.user_id] if member.user_id else Counter[str]()
        lessons, hours = practised.get(member.user_id or 0, (0, 0.0))
        return PersonFigures(
            id=member.person_id,
            roles=tuple(words(member.roles)),
            expertise=tuple(words(member.expertise)),
            account=member.user_id is not None,
            passes=mine["pass"],
            qa=mine["qa"],
            expert=mine["expert"],
            skipped=skipped.get(member.user_id, 0) if member.user_id else 0,
            hours=round(mine["seconds"] / 3600, 2),
            in_hand=in_hand.get(member.user_id, 0),
            known_right=known_right(member.user_id),
            qualified=stands_of(member),
            practised=lessons,
            practice_hours=round(hours, 2),
        )

    return tuple(map(figures, Member.objects.filter(campaign=campaign).order_by("person_id")))


def _needs(campaign: Campaign, slots: Any) -> tuple[Need, ...]:
    """Rows by what they ask for: those in a review queue, and those that will come to need an expert."""
    policy = rulebook.read_policy(campaign.policy_text)
    team = rulebook.read_team(campaign.team_text)
    people = {PersonId(m.person_id): to_person(m) for m in Member.objects.filter(campaign=campaign) if m.left is None}
    pace = _pace(campaign) / 3600
    needs = []
    passes = slots.filter(stage=Stage.PASS).exclude(state__in=_DECIDED)
    for domain, rows in passes.values_list("domain").annotate(count=Count("task_id")).order_by("domain"):
        wanted = domain if domain in policy.expert_domains else ""
        able = {pid: person for pid, person in people.items() if any(can_work(person, stage) for stage in Stage)}
        who = sorted(pid for pid, person in able.items() if not wanted or wanted in person.expertise)
        blocked = rows if shortages(Team(people), policy, [domain]) else 0
        needs.append(
            Need(
                f"rows of domain {domain or 'none'}",
                rows,
                tuple(who),
                round(rows * pace, 1),
                _hours(who, team),
                blocked,
            )
        )
    for stage in (Stage.QA, Stage.EXPERT):
        queue = slots.filter(stage=stage, open=True).values_list("requires").annotate(count=Count("task_id"))
        for requires, rows in queue.order_by("requires"):
            holders = [
                pid
                for pid, person in sorted(people.items())
                if can_work(person, stage) and all(person.holds(part) for part in words(requires))
            ]
            text = f"{stage.label} queue" + (f", asks for {requires}" if requires else "")
            needs.append(
                Need(text, rows, tuple(holders), round(rows * pace, 1), _hours(holders, team), 0 if holders else rows)
            )
    stuck = slots.filter(stage=Stage.PASS, state=State.BLOCKED.value).count()
    if stuck:
        needs.append(
            Need("blocked: an expert gave up on them, or nobody may take the next step", stuck, (), 0.0, None, 0)
        )
    return tuple(needs)


def _shortages(campaign: Campaign, rows: Any) -> tuple[dict[str, Any], ...]:
    """Who is missing for the rows that are still to be finished, as sentences with their cure."""
    unfinished = rows.exclude(state__in=_DECIDED)
    domains = sorted(set(unfinished.values_list("domain", flat=True)))
    people = {PersonId(m.person_id): to_person(m) for m in Member.objects.filter(campaign=campaign) if m.left is None}
    lacking = shortages(Team(people), rulebook.read_policy(campaign.policy_text), domains)
    return tuple(lack.to_json() for lack in lacking)


def _pace(campaign: Campaign) -> float:
    """Seconds that a review takes: the median of those that were done."""
    reviews = CampaignProject.objects.filter(campaign=campaign, stage__gt=Stage.PASS).values_list(
        "project_id", flat=True
    )
    times = Annotation.objects.filter(project_id__in=list(reviews), lead_time__gt=0).order_by("-id")
    seconds = list(times.values_list("lead_time", flat=True)[:500])
    return float(median(seconds)) if seconds else _SECONDS_A_ROW


def _hours(ids: Iterable[str], team: Team) -> float | None:
    stated = [team.people[pid].hours_per_week for pid in ids if pid in team.people]  # type: ignore[index]
    known = [hours for hours in stated if hours is not None]
    return sum(known) if known else None


@dataclass(frozen=True, slots=True)
class Queue:
    """One of a person's own queues, with their own figures and nobody else's."""

    campaign: str
    stage: str
    project_id: int
    answered: int
    skipped: int
    hours: float
    in_hand: int
    nothing: str
    """Why there is no task for the person; empty where there is one."""
    link: Mapping[str, str] | None = None
    """Where they find what they have to do first, as text and address."""


def of_person(user_id: int) -> list[Queue]:
    """A person's own page: where they work and what they did."""
    out = []
    for member in Member.objects.filter(user_id=user_id).select_related("campaign").order_by("campaign__name"):
        person = to_person(member)
        skipped = skips.count_by_project(member.campaign_id, user_id)
        for project in member.campaign.projects.order_by("stage"):
            if not can_work(person, Stage(project.stage)):
                continue
            mine = Annotation.objects.filter(project_id=project.project_id, completed_by_id=user_id)
            sums = mine.aggregate(
                answered=Count("id", filter=Q(was_cancelled=False)),
                seconds=Sum("lead_time"),
            )
            refused = _refusal(user_id, person, project)
            out.append(
                Queue(
                    campaign=member.campaign.name,
                    stage=Stage(project.stage).label,
                    project_id=project.project_id,
                    answered=sums["answered"],
                    skipped=skipped[project.project_id],
                    hours=round((sums["seconds"] or 0) / 3600, 2),
                    in_hand=Grant.objects.filter(user_id=user_id, project_id=project.project_id, live=True).count(),
                    nothing=str(refused.detail) if refused else "",
                    link=refused.more.get("link") if refused else None,
                )
            )
    return out


def _refusal(user_id: int, person: Person, project: CampaignProject) -> Refused | None:
    """Why the person would be handed nothing now."""
    place = CampaignPlace(project.project_id, project.campaign_id, Stage(project.stage))
    return why_nothing(user_id, person, place)


def recent(campaign: Campaign, limit: int = 20) -> list[Record]:
    """The last lines of the audit log that are not about somebody looking at a task."""
    return list(Record.objects.filter(campaign_id=campaign.pk).exclude(kind="shown").order_by("-seq")[:limit])
