"""Threads of rows: who asked what, what was answered, what QA noted, and why a row was opened again.

A thread is put together from where each part stands: questions and answers are messages, a note is what a review says
(the submission is its only place), and a reopening is a line of the audit log. Before a row is decided a person who
works sees what they asked themselves and what they were answered, and why the row was opened again; what others said of
it comes when it is decided, and is written down as an exposure. Names are for managers; people read roles.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from label_studio_quorum.campaign.history import stamp
from label_studio_quorum.campaign.reconcile import DecidedRow
from ls_plugin.models import Campaign, Grant, Member, Message, Stage
from ls_plugin.pages.told_rows import STATE_WORDS, answered_rows, decide_rows, decided_at, expose_rows, tell
from ls_plugin.people import rulebook
from ls_plugin.people.standings import RULE_STAGE
from ls_plugin.queue import returns
from ls_plugin.queue.returns import RowInHandAgain
from ls_plugin.store import messages
from ls_plugin.store.messages import Kind
from ls_plugin.store.refusals import Refused
from ls_plugin.store.slots import lock_rows, slots_of
from review_rules import Role, State, Word

ROWS_AT_ONCE: Final = 50
"""Threads that one answer lists at most; how many more there are is said with them."""
ROLES: Final = {Stage.PASS: Role.ANNOTATOR.value, Stage.QA: Role.QA.value, Stage.EXPERT: Role.EXPERT.value}
"""As what somebody speaks who was handed a task of a stage."""
NOTE: Final = "note"
RETURNED: Final = "return"
REOPENED: Final = "reopened"
YOU: Final = "you"
"""The name by which people find their own messages."""
_DECIDED: Final = [state.value for state in State if state.is_decided]
# What a review that escalates says is meant for the expert alone.
_TOLD: Final = (Word.ACCEPT, Word.CORRECT, Word.DISCARD)


@dataclass(frozen=True, kw_only=True, slots=True)
class ThreadEntry:
    """One entry of a thread.

    Attributes:
        id: the message's number, by which it is answered; None for a note, a return and a reopening.
        kind: question, answer, dispute, upheld, announcement, note, return or reopened.
        at: when.
        by: who: a person's id for managers, `you` for its author, else None.
        role: as what they said it.
        text: what they said.
        answers: the number of the message that it answers.
        is_open: whether it waits for a manager.
    """

    id: int | None
    kind: str
    at: str
    by: str | None
    role: str
    text: str
    answers: int | None = None
    is_open: bool = False

    @property
    def when(self) -> str:
        """The time as a page has it: UTC, to the minute."""
        return self.at[: len("2026-01-05T10:00")].replace("T", " ")

    @property
    def role_word(self) -> str:
        """The role as a page has it."""
        return "QA" if self.role == Role.QA.value else self.role


@dataclass(frozen=True, kw_only=True, slots=True)
class Thread:
    """What was said about a row; of an announcement to everybody the row's id is empty.

    ``state``: where the row stands; None where the reader may not know.
    """

    row_id: str
    state: str | None
    entries: tuple[ThreadEntry, ...]

    @property
    def state_words(self) -> str:
        """The state as a page has it."""
        return STATE_WORDS.get(self.state or "", "")

    @property
    def is_decided(self) -> bool:
        """Whether the row can be opened again."""
        return self.state in _DECIDED

    @property
    def is_open(self) -> bool:
        """Whether something in it waits for a manager."""
        return any(entry.is_open for entry in self.entries)

    def to_json(self) -> dict[str, Any]:
        """The thread as the API gives it."""
        return {"row_id": self.row_id, "state": self.state, "messages": [asdict(entry) for entry in self.entries]}


@dataclass(frozen=True, kw_only=True, slots=True)
class Threads:
    """Some threads, and how many more there are."""

    threads: tuple[Thread, ...]
    left_off: int = 0


# --- saying something ------------------------------------------------------------------------------------------------


def ask(campaign: Campaign, user_id: int, row_id: str, text: str) -> Message:
    """Ask the campaign's managers about a row.

    Raises:
        Refused: ``not_yours`` for a row that was never handed to this person, whether it is there or not.
    """
    role = ROLES[require_part(campaign, user_id, row_id)]
    return messages.say(Kind.QUESTION, campaign_id=campaign.pk, user_id=user_id, role=role, row_id=row_id, text=text)


def dispute(campaign: Campaign, user_id: int, row_id: str, reason: str) -> Message:
    """Ask the managers to look again at what was decided of a row that this person has answered.

    Raises:
        Refused: ``not_yours`` for a row that was never handed to them, ``no_dispute`` where nothing is decided of what
            they said, they have disputed the decision already, or the days that the policy gives are over.
    """
    role = ROLES[require_part(campaign, user_id, row_id)]
    with transaction.atomic():
        lock_rows(campaign.pk, [row_id])
        row = tell(campaign, user_id, [row_id]).get(row_id)
        if row is None:
            raise Refused("no_dispute", f"Nothing is decided yet of what you said of row {row_id}.")
        if not may_dispute(campaign, decided_at(row)):
            raise Refused("no_dispute", "The time in which it could be disputed is over.")
        mine = Message.objects.filter(campaign_id=campaign.pk, row_id=row_id, user_id=user_id)
        if mine.filter(kind=Kind.DISPUTE.value, at__gte=decided_at(row)).exists():
            raise Refused("no_dispute", "You have disputed this decision already.")
        return messages.say(
            Kind.DISPUTE, campaign_id=campaign.pk, user_id=user_id, role=role, row_id=row_id, text=reason
        )


def may_dispute(campaign: Campaign, decided: datetime) -> bool:
    """Whether the policy still takes a dispute of what was decided at this time."""
    days = rulebook.read_policy(campaign.policy_text).disputes.days
    return days is None or timezone.now() < decided + timedelta(days=days)


def answer(campaign: Campaign, user_id: int, message_id: int, text: str) -> Message:
    """Answer what somebody asked, as a manager; the answer to a dispute upholds the decision.

    Raises:
        Refused: ``not_yours`` if the campaign has no such question or dispute; ``no_dispute`` for a dispute that is
            settled, ``excluded`` for a dispute of a row in which they have an answer themselves.
    """
    with transaction.atomic():
        asking = Message.objects.filter(campaign_id=campaign.pk, kind__in=(Kind.QUESTION.value, Kind.DISPUTE.value))
        asked = asking.filter(pk=message_id).first()
        if asked is None:
            raise Refused("not_yours", f"This campaign has no question or dispute {message_id}.")
        upholds = asked.kind == Kind.DISPUTE.value
        if upholds:
            lock_rows(campaign.pk, [asked.row_id])
            tasks = dict(slots_of(campaign.pk, [asked.row_id]).values_list("task_id", "row_id"))
            # They would decide about their own answer.
            if answered_rows(user_id, tasks):
                raise Refused("excluded", f"You have an answer in row {asked.row_id}: another manager settles this.")
            if not _waiting(campaign, [asked]):
                raise Refused("no_dispute", "This dispute is settled already.")
        return messages.say(
            Kind.UPHELD if upholds else Kind.ANSWER,
            campaign_id=campaign.pk,
            user_id=user_id,
            role=Role.MANAGER.value,
            row_id=asked.row_id,
            answers=asked.pk,
            text=text,
        )


def announce(campaign: Campaign, user_id: int, text: str) -> Message:
    """Tell everybody of a campaign something, as a manager."""
    return messages.say(Kind.ANNOUNCEMENT, campaign_id=campaign.pk, user_id=user_id, role=Role.MANAGER.value, text=text)


def require_part(campaign: Campaign, user_id: int, row_id: str) -> Stage:
    """The stage at which somebody was handed a row last.

    Raises:
        Refused: ``not_yours`` if they never were, or there is no such row: which of the two it is, is not told.
    """
    stage_of = dict(slots_of(campaign.pk, [row_id]).values_list("task_id", "stage")) if row_id else {}
    handed = Grant.objects.filter(user_id=user_id, task_id__in=list(stage_of)).order_by("-given_at").first()
    if handed is None:
        raise Refused("not_yours", f"You were handed no row {row_id!r} in this campaign.")
    return Stage(stage_of[handed.task_id])


# --- reading ---------------------------------------------------------------------------------------------------------


def of_manager(
    campaign: Campaign, viewer: int, *, row_id: str = "", only_open: bool = False, works_here: bool = False
) -> Threads:
    """Threads with names, the newest first; of a row that is named also what its reviews say.

    Args:
        campaign: the campaign.
        viewer: the account that reads.
        row_id: only this row's.
        only_open: only those in which something waits for a manager.
        works_here: whether the reader also works in the campaign: what they read of rows excludes them from these.
    """
    written = _messages(campaign, row_id)
    rows = _newest_first(written) if not row_id else [row_id]
    names = dict(Member.objects.filter(campaign=campaign, user_id__isnull=False).values_list("user_id", "person_id"))
    reopened = messages.reopenings(campaign.pk, rows)
    waiting = _waiting(campaign, written)
    decided = decide_rows(campaign, [row_id]) if row_id else {}
    states = _states(campaign, rows)
    entries = defaultdict[str, list[ThreadEntry]](list)
    for message in written:
        entries[message.row_id].append(
            _entry(message, names.get(message.user_id, "owner"), is_open=message.pk in waiting)
        )
    for reopening in reopened:
        by = names.get(reopening.user_id, "owner") if reopening.user_id is not None else None
        entries[reopening.row_id].append(_reopened(reopening, by))
    for row in decided.values():
        entries[row.row_id] += notes_of(row, named=True)
    threads = [
        Thread(row_id=row, state=states.get(row) if row else None, entries=_in_order(entries[row])) for row in rows
    ]
    wanted = [thread for thread in threads if thread.is_open or not only_open]
    listed = tuple(wanted[:ROWS_AT_ONCE])
    if works_here:
        expose_rows(campaign, viewer, [thread.row_id for thread in listed if thread.row_id], threads=True)
    return Threads(threads=listed, left_off=len(wanted) - len(listed))


def of_person(campaign: Campaign, user_id: int, *, row_id: str = "") -> Threads:
    """A person's own threads, without a name: what they asked and were answered, and why rows were opened again.

    Of a row that is named also what its reviews say, once it is decided.

    Raises:
        Refused: ``not_yours`` for a row that was never handed to them.
    """
    if row_id:
        require_part(campaign, user_id, row_id)
    written = _own_messages(campaign, user_id, row_id)
    rows = [row_id] if row_id else _newest_first(written)
    decided = tell(campaign, user_id, [row_id]) if row_id else {}
    waiting = _waiting(campaign, written)
    # Why a decision stands tells something of it.
    upheld = sorted({message.row_id for message in written if message.kind == Kind.UPHELD.value})
    expose_rows(campaign, user_id, upheld)
    entries = defaultdict[str, list[ThreadEntry]](list)
    for message in written:
        by = YOU if message.user_id == user_id else None
        entries[message.row_id].append(_entry(message, by, is_open=message.pk in waiting))
    for reopening in messages.reopenings(campaign.pk, _own_rows(campaign, user_id, rows)):
        entries[reopening.row_id].append(_reopened(reopening, None))
    for row in decided.values():
        entries[row.row_id] += notes_of(row, named=False)
    for back in returns.tell(campaign.pk, user_id) if row_id else ():
        if back.row_id == row_id:
            entries[row_id].append(_returned(back))
    threads = tuple(
        Thread(
            row_id=row,
            state=decided[row].decision.state.value if row in decided else None,
            entries=_in_order(entries[row]),
        )
        for row in rows[:ROWS_AT_ONCE]
    )
    return Threads(threads=threads, left_off=max(0, len(rows) - ROWS_AT_ONCE))


def count_waiting(campaign: Campaign) -> int:
    """How many questions and disputes wait for a manager."""
    asking = (Kind.QUESTION.value, Kind.DISPUTE.value)
    return len(_waiting(campaign, Message.objects.filter(campaign_id=campaign.pk, kind__in=asking)))


def _waiting(campaign: Campaign, written: Iterable[Message]) -> set[int]:
    """The numbers of those messages that wait for a manager.

    A question waits until it is answered, a dispute until the decision is upheld or the row opened again.
    """
    answers = Message.objects.filter(campaign_id=campaign.pk, answers__isnull=False)
    answered = set(answers.values_list("answers", flat=True))
    unanswered = [message for message in written if message.pk not in answered]
    disputes = [message for message in unanswered if message.kind == Kind.DISPUTE.value]
    reopened = messages.reopenings(campaign.pk, {message.row_id for message in disputes})
    settled = {
        message.pk
        for message in disputes
        if any(each.row_id == message.row_id and each.at >= message.at for each in reopened)
    }
    asking = {message.pk for message in unanswered if message.kind in (Kind.QUESTION.value, Kind.DISPUTE.value)}
    return asking - settled


def reopened_rows(campaign: Campaign, user_id: int) -> tuple[messages.Reopening, ...]:
    """Why rows of a person were opened again, the newest first; not of rows that are decided once more."""
    rows = messages.reopened_rows(campaign.pk)
    open_rows = slots_of(campaign.pk, rows).filter(stage=Stage.PASS).exclude(state__in=_DECIDED)
    own = _own_rows(campaign, user_id, open_rows.values_list("row_id", flat=True))
    return tuple(reversed(messages.reopenings(campaign.pk, own)))


def own_disputes(campaign: Campaign, user_id: int, row_ids: Iterable[str]) -> dict[str, list[ThreadEntry]]:
    """Row → a person's disputes of it and what upheld the decision."""
    written = Message.objects.filter(campaign_id=campaign.pk, row_id__in=list(row_ids))
    own = list(written.filter(user_id=user_id, kind=Kind.DISPUTE.value))
    upheld = list(written.filter(kind=Kind.UPHELD.value, answers__in=[message.pk for message in own]))
    waiting = _waiting(campaign, own)
    entries = defaultdict[str, list[ThreadEntry]](list)
    for message in (*own, *upheld):
        by = YOU if message.user_id == user_id else None
        entries[message.row_id].append(_entry(message, by, is_open=message.pk in waiting))
    return entries


def _messages(campaign: Campaign, row_id: str) -> list[Message]:
    written = Message.objects.filter(campaign_id=campaign.pk)
    return list((written.filter(row_id=row_id) if row_id else written).order_by("pk"))


def _own_messages(campaign: Campaign, user_id: int, row_id: str) -> list[Message]:
    """What a person said, what they were answered, and what everybody was told."""
    written = Message.objects.filter(campaign_id=campaign.pk)
    own = written.filter(user_id=user_id).exclude(row_id="").exclude(role=Role.MANAGER.value)
    mine = Q(pk__in=own.values("pk")) | Q(answers__in=own.values("pk"))
    about = written.filter(mine, row_id=row_id) if row_id else written.filter(mine | Q(kind=Kind.ANNOUNCEMENT.value))
    return list(about.order_by("pk"))


def _newest_first(written: Iterable[Message]) -> list[str]:
    return list(reversed(dict.fromkeys(message.row_id for message in written)))


def _own_rows(campaign: Campaign, user_id: int, row_ids: Iterable[str]) -> set[str]:
    """Those of the rows of which the person has answered a task, or has one in hand."""
    slots = dict(slots_of(campaign.pk, filter(None, row_ids)).values_list("task_id", "row_id"))
    in_hand = Grant.objects.filter(user_id=user_id, task_id__in=list(slots), live=True)
    return answered_rows(user_id, slots) | {slots[task] for task in in_hand.values_list("task_id", flat=True)}


def _states(campaign: Campaign, row_ids: Iterable[str]) -> dict[str, str]:
    slots = slots_of(campaign.pk, filter(None, row_ids)).filter(stage=Stage.PASS)
    return {row: state or State.AWAITING_PASSES.value for row, state in slots.values_list("row_id", "state")}


def _entry(message: Message, by: str | None, *, is_open: bool) -> ThreadEntry:
    return ThreadEntry(
        id=message.pk,
        kind=message.kind,
        at=stamp(message.at),
        by=by,
        role=message.role,
        text=message.text,
        answers=message.answers,
        is_open=is_open,
    )


def _returned(back: RowInHandAgain) -> ThreadEntry:
    return ThreadEntry(id=None, kind=RETURNED, at=back.at, by=None, role=Role.QA.value, text=back.reason)


def _reopened(reopening: messages.Reopening, by: str | None) -> ThreadEntry:
    return ThreadEntry(
        id=None, kind=REOPENED, at=stamp(reopening.at), by=by, role=reopening.role, text=reopening.reason
    )


def notes_of(row: DecidedRow, *, named: bool) -> Iterator[ThreadEntry]:
    """What the counted reviews of a row say beside their values; to people not what was meant for the expert.

    Among them is why QA gave the row back, which it may have done before these.
    """
    for place in row.decision.returns:
        review = row.record.history.qa[place]
        by = str(review.by) if named else None
        yield ThreadEntry(id=None, kind=RETURNED, at=review.at_text, by=by, role=Role.QA.value, text=review.reason)
    for stage in (Stage.QA, Stage.EXPERT):
        submissions = row.record.history.submissions(RULE_STAGE[stage])
        for place in row.decision.counted[RULE_STAGE[stage]]:
            review = submissions[place]
            if review.reason and (named or review.word in _TOLD):
                yield ThreadEntry(
                    id=None,
                    kind=NOTE,
                    at=review.at_text,
                    by=str(review.by) if named else None,
                    role=ROLES[stage],
                    text=review.reason,
                )


def _in_order(entries: Iterable[ThreadEntry]) -> tuple[ThreadEntry, ...]:
    return tuple(sorted(entries, key=lambda entry: entry.at))
