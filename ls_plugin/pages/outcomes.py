"""What became of a person's answers: beside what they said what is final, by whom it was changed, and what was noted.

Only decided rows are told, and telling them is an exposure (`told_rows`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

from django.db.models import Count, Exists, OuterRef, Subquery, Sum
from django.utils import timezone
from tasks.models import Annotation

from label_studio_quorum.campaign.history import stamp
from label_studio_quorum.campaign.reconcile import DecidedRow
from label_studio_quorum.campaign.review_panel import value_text
from ls_config.interface import Interface
from ls_plugin.models import Campaign, CampaignProject, Grant, Message, Slot, Stage
from ls_plugin.pages import saying, threads
from ls_plugin.pages.told_rows import decided_at, kept_back, person_of, tell
from ls_plugin.people import rulebook
from ls_plugin.queue import overturns
from ls_plugin.queue.campaigns import read_interface
from ls_plugin.store.messages import Kind
from ls_plugin.store.slots import project_ids
from review_rules import Origin, State, Submission

A_PAGE: Final = 20
"""Rows that a page shows."""
LOOKED_THROUGH: Final = 200
"""Decided rows that a request looks through at most, for figures as for a filter."""
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
class OutcomePage:
    """Some outcomes, the newest answer first.

    ``before``: where the next page begins, None after the last; ``newer``: where the one before begins, None on the
    first and 0 where that is the first.
    """

    outcomes: tuple[AnswerOutcome, ...]
    before: int | None
    newer: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnAnswer:
    """An answer of a person to a row that is decided."""

    pk: int
    task_id: int
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
    wanted = _filter(campaign, user_id, show)
    answers = filter(wanted, decided_answers(campaign, user_id, before))
    shown: list[AnswerOutcome] = []
    looked, last = 0, None
    while len(shown) < A_PAGE and looked < LOOKED_THROUGH and (part := _some(answers, A_PAGE - len(shown))):
        for answer, outcome in zip(part, outcomes_of(campaign, user_id, part), strict=True):
            looked, last = looked + 1, answer.pk
            if outcome is not None and _is_shown(outcome, show):
                shown.append(outcome)
    more = last is not None and next(decided_answers(campaign, user_id, last), None) is not None
    newer = None if before is None else _newer(campaign, user_id, before, wanted)
    return OutcomePage(outcomes=tuple(shown), before=last if more else None, newer=newer)


def _filter(campaign: Campaign, user_id: int, show: str) -> Callable[[OwnAnswer], bool]:
    """Which answers a filter may show: of overturned ones also those of which nothing is noted yet."""
    if show == "disputed":
        disputes = Message.objects.filter(campaign_id=campaign.pk, user_id=user_id, kind=Kind.DISPUTE.value)
        rows = set(disputes.values_list("row_id", flat=True))
        return lambda answer: answer.row_id in rows
    if show == "overturned":
        stand = Grant.objects.filter(user_id=user_id, project_id__in=project_ids(campaign.pk), overturned=False)
        tasks = set(stand.values_list("task_id", flat=True))
        return lambda answer: answer.task_id not in tasks
    return lambda answer: True


def _newer(campaign: Campaign, user_id: int, before: int, wanted: Callable[[OwnAnswer], bool]) -> int | None:
    """Where the page before this one begins."""
    newer = list(islice(filter(wanted, decided_answers(campaign, user_id, before, newer=True)), A_PAGE + 1))
    if not newer:
        return None
    return newer[A_PAGE].pk if len(newer) > A_PAGE else 0


def _is_shown(outcome: AnswerOutcome, show: str) -> bool:
    return {"overturned": outcome.is_overturned, "returned": outcome.is_returned}.get(show, True)


def work_today(campaign: Campaign, user_id: int) -> tuple[int, float]:
    """A person's answers of today, decided or not, and the seconds that their forms were open."""
    now = timezone.now()
    return work_between(campaign, start_of_day(now), now, user_id).get(user_id, (0, 0.0))


def start_of_day(now: datetime) -> datetime:
    """When the day of this time began, by the server's clock."""
    return timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)


def work_between(
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


def count_decided(campaign: Campaign, user_id: int) -> int:
    """How many answers of a person are to rows that are decided."""
    count: int = _own_answers(campaign, user_id).count()
    return count


def outcomes_of(campaign: Campaign, user_id: int, answers: Sequence[OwnAnswer]) -> list[AnswerOutcome | None]:
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
    answer: OwnAnswer,
    me: str | None,
    interface: Interface,
    disputes: Sequence[threads.ThreadEntry],
) -> AnswerOutcome | None:
    own = overturns.own_submission(row, me)
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


def _fields(row: DecidedRow, own: Submission, interface: Interface) -> Iterator[FieldOutcome]:
    for control, value, differs in overturns.changes(row, own, interface):
        yield FieldOutcome(
            name=control.name.replace("_", " ").capitalize(),
            own=value_text(control, own.values.get(control.name)),
            final=value_text(control, value.value) if value is not None else "",
            changed_by=_CHANGED.get(value.origin, "the other answers") if differs and value is not None else "",
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


def decided_answers(
    campaign: Campaign, user_id: int, before: int | None, *, newer: bool = False
) -> Iterator[OwnAnswer]:
    """The same, the newest first, each row once; with `newer` those that are not before, the oldest first."""
    own = _own_answers(campaign, user_id)
    if before is not None:
        own = own.filter(pk__gte=before) if newer else own.filter(pk__lt=before)
    listed = own.order_by("pk" if newer else "-pk").values_list("pk", "task_id", "created_at")[: 2 * LOOKED_THROUGH]
    answers = list(listed)
    rows = dict(Slot.objects.filter(task_id__in=[task for _, task, _ in answers]).values_list("task_id", "row_id"))
    seen = set[str]()
    for pk, task, created_at in answers:
        if rows[task] not in seen:
            seen.add(rows[task])
            yield OwnAnswer(pk=pk, task_id=task, row_id=rows[task], created_at=created_at)


def _some(answers: Iterable[OwnAnswer], count: int) -> list[OwnAnswer]:
    return list(islice(answers, count))
