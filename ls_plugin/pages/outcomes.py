"""What became of a person's answers: beside what they said what is final, by whom it was changed, and what was noted.

Only decided rows are told, and telling them is an exposure (`told_rows`). So is counting them: each figure here is over
rows that the person has been told of, and over nothing that is still open.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from statistics import fmean, median
from typing import Any, Final

from django.db.models import Count, Exists, OuterRef, Subquery, Sum
from django.utils import timezone
from tasks.models import Annotation

from label_studio_quorum.campaign.history import stamp
from label_studio_quorum.campaign.reconcile import DecidedRow
from label_studio_quorum.campaign.review_panel import value_text
from ls_config.interface import Interface
from ls_plugin.models import Campaign, CampaignProject, Message, Slot, Stage
from ls_plugin.pages import saying, threads
from ls_plugin.pages.told_rows import decided_at, kept_back, person_of, tell
from ls_plugin.people import rulebook
from ls_plugin.queue.campaigns import read_interface
from ls_plugin.store.messages import Kind
from ls_plugin.store.slots import project_ids, slots_of
from review_rules import FinalValue, Origin, State, Submission
from review_rules import Kind as FieldKind
from review_rules import Stage as RuleStage
from review_rules.canonical import same
from review_rules.statistics.intervals import wilson

A_PAGE: Final = 20
"""Rows that a page shows."""
LOOKED_THROUGH: Final = 200
"""Decided rows that a request looks through at most, for figures as for a filter."""
LEAST_ROWS: Final = 10
"""Rows below which no share is shown: of fewer it says nothing."""
LEAST_OTHERS: Final = 5
"""Others of the team below which no median is shown: of fewer it would tell of single people."""
SHOWS: Final = ("all", "overturned", "returned", "disputed")
_DECIDED: Final = [state.value for state in State if state.is_decided]
_CHANGED: Final[Mapping[Origin, str]] = {Origin.QA: "QA", Origin.EXPERT: "an expert"}


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldOutcome:
    """A field: what the person said, what is final, both as text, and whose word changed it; empty where it stands."""

    name: str
    own: str
    final: str
    changed_by: str

    @property
    def is_overturned(self) -> bool:
        """Whether QA or an expert changed what the person said."""
        return self.changed_by in _CHANGED.values()


@dataclass(frozen=True, kw_only=True, slots=True)
class AnswerOutcome:
    """What became of a person's answer to a row.

    ``is_returned``: whether QA gave it back before, so that it is their second one at least;
    ``conversation``: what was noted at the reviews, and the person's own disputes with what came of them;
    ``disputable_until``: until when they may dispute it; None where they may not.
    """

    row_id: str
    stage: str
    answered_at: datetime
    is_discarded: bool
    is_returned: bool
    fields: tuple[FieldOutcome, ...]
    conversation: tuple[threads.ThreadEntry, ...]
    is_disputed: bool
    is_disputable: bool
    disputable_until: datetime | None

    @property
    def is_overturned(self) -> bool:
        """Whether QA or an expert changed a value of it, or discarded the row."""
        return self.is_discarded or any(field.is_overturned for field in self.fields)


@dataclass(frozen=True, kw_only=True, slots=True)
class Period:
    """A person's work in a stretch of time.

    Attributes:
        name: what people call it.
        answered: answers, decided or not.
        hours: the time that their forms were open.
        rows: decided rows among them of which the person was told, out of the newest `LOOKED_THROUGH`.
        overturned: of these, those that QA or an expert changed or discarded.
        share, low, high: the share of them with its interval; None for fewer than `LEAST_ROWS` rows.
        agreement: mean share of fields on which the passes of these rows agreed; None likewise, and without passes.
        team_answered: median of the answers of the others who worked in this stretch; None for too few people.
        team_agreement: median of their agreement over decided rows; None for too few people.
    """

    name: str
    answered: int
    hours: float
    rows: int
    overturned: int
    share: float | None
    low: float | None
    high: float | None
    agreement: float | None
    team_answered: float | None
    team_agreement: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class OutcomePage:
    """Some outcomes, the newest answer first; ``before`` is where the next page begins, None after the last."""

    outcomes: tuple[AnswerOutcome, ...]
    before: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Answer:
    pk: int
    row_id: str
    created_at: datetime


def outcomes_page(campaign: Campaign, user_id: int, show: str, before: int | None) -> OutcomePage:
    """A page of what became of a person's answers.

    Args:
        campaign: the campaign.
        user_id: whose answers.
        show: all, overturned, returned or disputed.
        before: only answers with a lower number.
    """
    answers = _decided_answers(campaign, user_id, before)
    if show == "disputed":
        disputes = Message.objects.filter(campaign_id=campaign.pk, user_id=user_id, kind=Kind.DISPUTE.value)
        rows = set(disputes.values_list("row_id", flat=True))
        answers = (answer for answer in answers if answer.row_id in rows)
    shown: list[AnswerOutcome] = []
    looked, last = 0, None
    while len(shown) < A_PAGE and looked < LOOKED_THROUGH and (part := _some(answers, A_PAGE - len(shown))):
        for answer, outcome in zip(part, outcomes_of(campaign, user_id, part), strict=True):
            looked, last = looked + 1, answer.pk
            if outcome is not None and _is_shown(outcome, show):
                shown.append(outcome)
    more = last is not None and next(_decided_answers(campaign, user_id, last), None) is not None
    return OutcomePage(outcomes=tuple(shown), before=last if more else None)


def _is_shown(outcome: AnswerOutcome, show: str) -> bool:
    return {"overturned": outcome.is_overturned, "returned": outcome.is_returned}.get(show, True)


def periods(campaign: Campaign, user_id: int) -> tuple[Period, ...]:
    """A person's figures of today, the last seven days and the seven before, beside the team's medians."""
    newest = _some(_decided_answers(campaign, user_id, None), LOOKED_THROUGH)
    rows = [
        (answer, outcome)
        for answer, outcome in zip(newest, outcomes_of(campaign, user_id, newest), strict=True)
        if outcome is not None
    ]
    now = timezone.now()
    week, month = now - timedelta(days=7), now - timedelta(days=14)
    stretches = (("Today", _today(now), now), ("Last 7 days", week, now), ("The 7 days before", month, week))
    return tuple(_period(campaign, user_id, name, start, end, rows) for name, start, end in stretches)


def work_today(campaign: Campaign, user_id: int) -> tuple[int, float]:
    """A person's answers of today, decided or not, and the seconds that their forms were open."""
    now = timezone.now()
    return _work(campaign, _today(now), now, user_id).get(user_id, (0, 0.0))


def _today(now: datetime) -> datetime:
    return timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)


def count_decided(campaign: Campaign, user_id: int) -> int:
    """How many answers of a person are to rows that are decided."""
    count: int = _own_answers(campaign, user_id).count()
    return count


def outcomes_of(campaign: Campaign, user_id: int, answers: Sequence[_Answer]) -> list[AnswerOutcome | None]:
    """What became of each of these answers; the person is told of their rows from now on."""
    rows = tell(campaign, user_id, [answer.row_id for answer in answers])
    if not rows:
        return [None for _ in answers]
    interface, me = read_interface(campaign.pk), person_of(campaign, user_id)
    disputes = threads.own_disputes(campaign, user_id, rows)
    return [
        _outcome(campaign, rows[answer.row_id], answer, me, interface, disputes[answer.row_id])
        if answer.row_id in rows
        else None
        for answer in answers
    ]


def _outcome(
    campaign: Campaign,
    row: DecidedRow,
    answer: _Answer,
    me: str | None,
    interface: Interface,
    disputes: Sequence[threads.ThreadEntry],
) -> AnswerOutcome | None:
    own = _own_submission(row, me)
    if own is None:
        return None
    decided, days = decided_at(row), rulebook.read_policy(campaign.policy_text).disputes.days
    is_disputed = any(entry.kind == Kind.DISPUTE.value for entry in disputes)
    return AnswerOutcome(
        row_id=row.row_id,
        stage=own.stage.heading,
        answered_at=answer.created_at,
        is_discarded=row.decision.state is State.DISCARDED,
        is_returned=any(me in row.record.history.qa[place].to for place in row.decision.returns),
        fields=tuple(_fields(row, own, interface)),
        conversation=tuple(sorted([*threads.notes_of(row, named=False), *disputes], key=lambda entry: entry.at)),
        is_disputed=is_disputed,
        is_disputable=saying.may_dispute(campaign, decided)
        and not any(entry.kind == Kind.DISPUTE.value and entry.at >= stamp(decided) for entry in disputes),
        disputable_until=None if days is None else decided + timedelta(days=days),
    )


def _own_submission(row: DecidedRow, me: str | None) -> Submission | None:
    """The newest version of what a person said of a row, at the last stage at which they said something."""
    own = None
    for stage in RuleStage:
        for place, source in enumerate(row.record.sources[stage]):
            if source.by == me and not source.is_superseded:
                own = row.record.history.submissions(stage)[place]
    return own


def _fields(row: DecidedRow, own: Submission, interface: Interface) -> Iterator[FieldOutcome]:
    final: Mapping[str, FinalValue] = row.decision.final or {}
    values = own.values
    for control in interface.controls:
        value = final.get(control.name)
        # What a review says nothing of stays as it was proposed.
        if own.stage is not RuleStage.PASS and control.name not in values:
            continue
        mine = values.get(control.name)
        stands = value is None or same(FieldKind.of(control.kind), mine, value.value)
        yield FieldOutcome(
            name=control.name.replace("_", " ").capitalize(),
            own=value_text(control, mine),
            final=value_text(control, value.value) if value is not None else "",
            changed_by="" if stands or value is None else _CHANGED.get(value.origin, "the other answers"),
        )


def _own_answers(campaign: Campaign, user_id: int) -> Any:
    """A person's answers to rows that are decided now, as a query; not to rows with known answers."""
    first = CampaignProject.objects.get(campaign=campaign, stage=Stage.PASS).project_id
    # From the person's own answers to their rows: a campaign has many times as many rows.
    row = Slot.objects.filter(pk=OuterRef(OuterRef("task_id"))).values("row_id")[:1]
    decided = Slot.objects.filter(project_id=first, state__in=_DECIDED, row_id=Subquery(row))
    own = Annotation.objects.filter(
        project_id__in=project_ids(campaign.pk), completed_by_id=user_id, was_cancelled=False
    )
    return own.filter(Exists(decided.exclude(row_id__in=kept_back(campaign))))


def _decided_answers(campaign: Campaign, user_id: int, before: int | None) -> Iterator[_Answer]:
    """The same, the newest first, each row once."""
    own = _own_answers(campaign, user_id)
    if before is not None:
        own = own.filter(pk__lt=before)
    listed = own.order_by("-pk").values_list("pk", "task_id", "created_at")[: 2 * LOOKED_THROUGH]
    answers = list(listed)
    rows = dict(Slot.objects.filter(task_id__in=[task for _, task, _ in answers]).values_list("task_id", "row_id"))
    seen = set[str]()
    for pk, task, created_at in answers:
        if rows[task] not in seen:
            seen.add(rows[task])
            yield _Answer(pk=pk, row_id=rows[task], created_at=created_at)


def _some(answers: Iterable[_Answer], count: int) -> list[_Answer]:
    return list(islice(answers, count))


def _period(
    campaign: Campaign,
    user_id: int,
    name: str,
    start: datetime,
    end: datetime,
    decided: Sequence[tuple[_Answer, AnswerOutcome]],
) -> Period:
    inside = [(answer, outcome) for answer, outcome in decided if start <= answer.created_at < end]
    passed = {answer.row_id for answer, outcome in inside if outcome.stage == RuleStage.PASS.heading}
    overturned = sum(outcome.is_overturned for _, outcome in inside)
    enough = len(inside) >= LEAST_ROWS
    low, high = wilson(overturned, len(inside)) if enough else (None, None)
    work = _work(campaign, start, end)
    mine = work.get(user_id, (0, 0.0))
    agreed = [share for row, share in _agreed(campaign, passed).items() if share is not None]
    others = [count for user, (count, _) in work.items() if user != user_id]
    return Period(
        name=name,
        answered=mine[0],
        hours=round(mine[1] / 3600, 2),
        rows=len(inside),
        overturned=overturned,
        share=overturned / len(inside) if enough else None,
        low=low,
        high=high,
        agreement=fmean(agreed) if enough and agreed else None,
        team_answered=median(others) if len(others) >= LEAST_OTHERS else None,
        team_agreement=_team_agreement(campaign, user_id, start, end),
    )


def _work(
    campaign: Campaign, start: datetime, end: datetime, user_id: int | None = None
) -> dict[int, tuple[int, float]]:
    """Account → answers and seconds in a stretch of time; of one account if it is named."""
    done = Annotation.objects.filter(
        project_id__in=project_ids(campaign.pk), was_cancelled=False, created_at__gte=start, created_at__lt=end
    )
    if user_id is not None:
        done = done.filter(completed_by_id=user_id)
    sums = done.values("completed_by_id").annotate(count=Count("id"), seconds=Sum("lead_time")).order_by()
    return {each["completed_by_id"]: (each["count"], each["seconds"] or 0.0) for each in sums}


def _agreed(campaign: Campaign, rows: Iterable[str]) -> dict[str, float | None]:
    slots = slots_of(campaign.pk, rows).filter(stage=Stage.PASS)
    return dict(slots.values_list("row_id", "agreed"))


def _team_agreement(campaign: Campaign, user_id: int, start: datetime, end: datetime) -> float | None:
    """The median of the others' agreement over decided rows; None for too few people with enough rows."""
    project = CampaignProject.objects.get(campaign=campaign, stage=Stage.PASS).project_id
    decided = Slot.objects.filter(project_id=project, state__in=_DECIDED, agreed__isnull=False)
    shares = dict(decided.values_list("task_id", "agreed"))
    done = Annotation.objects.filter(
        project_id=project, was_cancelled=False, created_at__gte=start, created_at__lt=end
    ).exclude(completed_by_id=user_id)
    by_person = defaultdict[int | None, list[float]](list)
    for task, user in done.values_list("task_id", "completed_by_id"):
        if task in shares:
            by_person[user].append(shares[task])
    means = [fmean(each) for each in by_person.values() if len(each) >= LEAST_ROWS]
    return median(means) if len(means) >= LEAST_OTHERS else None
