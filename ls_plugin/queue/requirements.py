"""What a person has to show before they are handed work, by stage and by domain, and where they stand with it.

Everything follows from what they answered, from the policy and from the clock: nothing is stored that could differ.
Whoever passes is asked the known rows among others (their trial); whoever does not, or whose qualification has ended,
answers them on a page of Quorum's own, which tells them nothing of what is known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from ls_plugin.models import CampaignProject, Member, Retry, Stage
from ls_plugin.people.standings import CampaignPlace, can_work, to_person
from ls_plugin.queue import qualification, trials
from ls_plugin.queue.draws import draw
from ls_plugin.queue.qualification import KnownResult, QualificationRows, Score
from ls_plugin.queue.trials import KnownWork, Trial, TrialState
from ls_plugin.store import audit_log, clock
from ls_plugin.store.refusals import Refused
from review_rules import Person, Role

_STAGE_WORDS: Mapping[Stage, str] = {Stage.PASS: "passes", Stage.QA: "QA", Stage.EXPERT: "expert reviews"}


@dataclass(frozen=True, slots=True)
class Requirement:
    """A bar that somebody has to reach: for a stage, over all known rows, or for a domain, over the rows of it."""

    stage: Stage | None
    domain: str
    bar: float

    @property
    def title(self) -> str:
        """What people read for it."""
        return self.domain if self.stage is None else _STAGE_WORDS[self.stage]


@dataclass(frozen=True, kw_only=True, slots=True)
class Qualified:
    """Where somebody stands with a requirement.

    Attributes:
        requirement: the requirement.
        trial: the trial, or the round on the page, that counts now.
        by_page: whether it is answered on the page of the qualification.
        until: until when it holds; None where it is not reached, or holds for good.
        ended_at: when it had been reached and ended; None if that is not why it is open.
    """

    requirement: Requirement
    trial: Trial
    by_page: bool
    until: datetime | None = None
    ended_at: datetime | None = None

    @property
    def is_passed(self) -> bool:
        """Whether the bar is reached, and still holds."""
        return self.trial.state is TrialState.PASSED

    @property
    def word(self) -> str:
        """The state in one word: open, passed, below or ended."""
        return "ended" if self.ended_at and self.trial.state is TrialState.OPEN else self.trial.state.name.lower()

    @property
    def sentence(self) -> str:
        """What the person reads of it on their page."""
        if self.is_passed:
            return f"passed, until {self.until:%Y-%m-%d}" if self.until else "passed"
        if self.trial.state is TrialState.BELOW:
            return "below the bar: a manager can help you on"
        again = f"ended on {self.ended_at:%Y-%m-%d}; " if self.ended_at else ""
        if not self.by_page:
            return "open: rows with known answers are among the rows that you are handed"
        if not self.trial.left:
            return f"{again}open: there are no rows with known answers for it yet; tell a manager"
        done = self.trial.wanted - len(self.trial.left)
        return f"{again}open: {done} of {self.trial.wanted} rows answered"

    def to_json(self) -> dict[str, Any]:
        """What managers are told of it."""
        return {
            "stage": None if self.requirement.stage is None else self.requirement.stage.label,
            "domain": self.requirement.domain or None,
            "title": self.requirement.title,
            "state": self.word,
            "share": None if self.trial.state is TrialState.OPEN else round(self.trial.share, 4),
            "bar": self.requirement.bar,
            "until": self.until.isoformat() if self.until else None,
            "ended_at": self.ended_at.isoformat() if self.ended_at else None,
        }


def of_person(
    user_id: int, person: Person, campaign_id: int, asked: QualificationRows | None = None
) -> tuple[Qualified, ...]:
    """Where somebody stands with all that a campaign asks of them; empty where it asks nothing."""
    asked = asked or qualification.qualification_of(campaign_id)
    wanted = _requirements(person, asked) if asked is not None else []
    if asked is None or not wanted:
        return ()
    first = CampaignProject.objects.get(campaign_id=campaign_id, stage=Stage.PASS)
    place = CampaignPlace(first.project_id, campaign_id, Stage.PASS)
    retries = Retry.objects.filter(campaign_id=campaign_id, user_id=user_id).order_by("at")
    look = _Look(
        work=KnownWork.read(user_id, place, asked),
        page=qualification.page_results_of(user_id, place, asked),
        is_annotator=Role.ANNOTATOR in person.roles,
        retries=list(retries.values_list("at", flat=True)),
        drawn_for=(campaign_id, user_id),
        now=timezone.now(),
    )
    return tuple(map(look.judge, wanted))


def _requirements(person: Person, asked: QualificationRows) -> list[Requirement]:
    """What is asked of a person."""
    terms, passes = asked.terms, Role.ANNOTATOR in person.roles
    wanted = [Requirement(Stage.PASS, "", asked.bar)] if passes else []
    for stage in (Stage.QA, Stage.EXPERT):
        # Whoever passes shows there what they can, also where the policy names no bar for reviews.
        if can_work(person, stage) and (passes or stage.label in terms.stages):
            wanted.append(Requirement(stage, "", terms.stages.get(stage.label, asked.bar)))
    domains = sorted(person.expertise & set(terms.domains))
    return wanted + [Requirement(None, name, terms.domains[name]) for name in domains]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Look:
    """What is read once of a person, to judge each requirement by."""

    work: KnownWork
    page: Sequence[KnownResult]
    is_annotator: bool
    retries: Sequence[datetime]
    drawn_for: tuple[int, int]
    now: datetime

    def judge(self, requirement: Requirement) -> Qualified:
        """Where the person stands: round after round, each begins where the one before has ended."""
        begins: datetime | None = None
        ended_at: datetime | None = None
        by_page = not self.is_annotator
        while True:
            trial, done_at = self._round(requirement, begins, by_page=by_page)
            stands = Qualified(requirement=requirement, trial=trial, by_page=by_page, ended_at=ended_at)
            if done_at is None:
                return stands
            if trial.state is TrialState.PASSED:
                end, until = self._end(done_at)
                if end is None:
                    return replace(stands, until=until)
                begins = ended_at = end
            else:
                again = next((at for at in self.retries if at > done_at), None)
                if again is None:
                    return stands
                begins, ended_at = again, None
            # A row of the Pass project is answered once: a further round is on the page.
            by_page = True

    def _round(
        self, requirement: Requirement, begins: datetime | None, *, by_page: bool
    ) -> tuple[Trial, datetime | None]:
        """A round, and when it was done; None while it is not."""
        rows = self.work.rows(requirement.domain)
        if not rows:
            # Nobody is an expert of a domain by answering nothing; at a stage all is as before there were such rows.
            state = TrialState.OPEN if requirement.domain else TrialState.PASSED
            return Trial(state, 0), None
        if by_page:
            return self._page_round(requirement, rows, begins)
        trial = self.work.trial(requirement.bar, requirement.domain)
        results = self.work.results_in(requirement.domain)
        is_done = trial.state is not TrialState.OPEN and bool(results)
        return trial, max(result.at for result in results) if is_done else None

    def _page_round(
        self, requirement: Requirement, rows: Sequence[str], begins: datetime | None
    ) -> tuple[Trial, datetime | None]:
        wanted, own = trials.seen_of(len(rows)), set(rows)
        first = dict[str, KnownResult]()
        for result in self.page:
            if result.row_id in own and (begins is None or result.at >= begins):
                first.setdefault(result.row_id, result)
        done = list(first.values())[:wanted]
        if len(done) == wanted:
            score = Score.of(done, self.work.asked)
            return trials.ended(score, self.work.asked, requirement.bar, wanted), done[-1].at
        often = Counter(result.row_id for result in (*self.work.results, *self.page))
        # What the person has not met comes first: of the others they may remember what they said.
        order = sorted(own - first.keys(), key=lambda row: (often[row], draw("page", *self.drawn_for, row)))
        return Trial(TrialState.OPEN, wanted, tuple(order[: wanted - len(done)])), None

    def _end(self, done_at: datetime) -> tuple[datetime | None, datetime | None]:
        """When what was reached has ended, if it has, and until when it holds otherwise."""
        terms, ends = self.work.asked.terms, list[datetime]()
        until = None if terms.weeks is None else done_at + timedelta(weeks=terms.weeks)
        if until is not None and until <= self.now:
            ends.append(until)
        changed = self.work.asked.guidelines_at
        if terms.guidelines and changed is not None and changed > done_at:
            ends.append(changed)
        return min(ends, default=None), until


def closed_domains(stands: Iterable[Qualified]) -> list[str]:
    """The domains of which somebody is an expert by the team file and has not shown it."""
    return [each.requirement.domain for each in stands if each.requirement.stage is None and not each.is_passed]


def require_passed(user_id: int, person: Person, campaign_id: int, stage: Stage) -> None:
    """Keep somebody from the reviews of a stage who has not shown that they can.

    Raises:
        Refused: ``qualify``.
    """
    asked = qualification.qualification_of(campaign_id)
    _require(of_person(user_id, person, campaign_id, asked), stage, asked, campaign_id)


def _require(stands: Iterable[Qualified], stage: Stage, asked: QualificationRows | None, campaign_id: int) -> None:
    for each in stands:
        if asked is None or each.requirement.stage is not stage or each.is_passed:
            continue
        if each.trial.state is TrialState.BELOW:
            raise each.trial.refusal(asked)
        if each.by_page:
            before = f"Your qualification ended on {each.ended_at:%Y-%m-%d}. " if each.ended_at else ""
            sentence = f"{before}First answer the rows that My work offers under Qualification."
            link = {"text": "Answer them", "address": f"/quorum/mine/qualification/{campaign_id}/"}
            raise Refused("qualify", sentence, {"link": link})
        if stage is not Stage.PASS:
            raise Refused("qualify", "Reviews come after your first rows in the Pass project: label some there first.")


def open_rows(user_id: int, person: Person, place: CampaignPlace, asked: QualificationRows) -> list[Q]:
    """The choices of rows from which somebody is handed the next, best first.

    Raises:
        Refused: ``qualify`` if they are handed none at this stage before they have reached its bar.
    """
    stands = of_person(user_id, person, place.campaign_id, asked)
    _require(stands, place.stage, asked, place.campaign_id)
    closed = _in_domains(closed_domains(stands))
    if place.stage is not Stage.PASS:
        return [~closed] if closed else [Q()]
    usual = ~Q(row_id__in=list(asked.rows))
    ordinary = usual & ~closed if closed else usual
    asking = [each.trial for each in stands if not each.by_page and each.trial.state is TrialState.OPEN]
    left = tuple(dict.fromkeys(row_id for trial in asking for row_id in trial.left))
    if not left:
        return [ordinary]
    trial = Trial(TrialState.OPEN, max(trial.wanted for trial in asking), left)
    return trials.mixed(user_id, place, asked, trial, ordinary)


def _in_domains(domains: Iterable[str]) -> Q:
    """Tasks of these domains, by what the row is about or by what is asked of whoever takes it."""
    chosen = Q()
    for domain in domains:
        chosen |= Q(domain=domain) | Q(requires=domain) | Q(requires__startswith=f"{domain},")
        chosen |= Q(requires__endswith=f",{domain}") | Q(requires__contains=f",{domain},")
    return chosen


def with_closed(refused: Refused, user_id: int, person: Person, place: CampaignPlace) -> Refused:
    """Why there is nothing, with what somebody could have once they have qualified for it."""
    closed = closed_domains(of_person(user_id, person, place.campaign_id))
    if not closed or refused.reason != "no_task":
        return refused
    named = " and ".join(closed)
    return Refused("no_task", f"{refused.detail} You are below the bar for {named}: My work says what is to be done.")


def page_rows(stands: Iterable[Qualified]) -> tuple[str, ...]:
    """The rows that somebody is to answer on the page of the qualification, in their order."""
    asking = [each.trial for each in stands if each.by_page and each.trial.state is TrialState.OPEN]
    return tuple(dict.fromkeys(row_id for trial in asking for row_id in trial.left))


def let_retry(campaign_id: int, person_id: str, manager_id: int) -> None:
    """Let somebody who is below the bar try again, on the page.

    Raises:
        Refused: ``bad_request`` if there is nobody of this name who is.
    """
    member = Member.objects.filter(campaign_id=campaign_id, person_id=person_id, user_id__isnull=False).first()
    stands = _stands_of(member) if member is not None else ()
    if member is None or member.user_id is None or not any(each.word == "below" for each in stands):
        raise Refused("bad_request", f"{person_id} is not below the bar of the qualification.")
    with transaction.atomic():
        Retry.objects.create(campaign_id=campaign_id, user_id=member.user_id, by=manager_id, at=clock.moment())
        audit_log.write(audit_log.Entry("retry", manager_id, campaign_id, None, "", {"user": member.user_id}))


def _stands_of(member: Member) -> tuple[Qualified, ...]:
    return of_person(member.user_id or 0, to_person(member), member.campaign_id)
