"""Threads of rows and guideline paragraphs: who asked what, what was answered, what QA noted, why a row was reopened.

A thread is put together from where each part stands: questions and answers are messages, a note is what a review says
(the submission is its only place), and a reopening is a line of the audit log. Before a row is decided a person who
works sees what they asked themselves and what they were answered, and why the row was opened again; what others said of
it comes when it is decided, and is written down as an exposure. Names are for managers; people read roles.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from django.db.models import Exists, Max, OuterRef, Q, QuerySet

from label_studio_quorum.campaign.history import stamp
from label_studio_quorum.campaign.reconcile import DecidedRow
from ls_config.paragraphs import titles
from ls_plugin.models import Campaign, Grant, Member, Message, Stage
from ls_plugin.pages.paging import cut
from ls_plugin.pages.told_rows import STATE_WORDS, answered_rows, decide_rows, expose_rows, kept_back, tell
from ls_plugin.people.standings import RULE_STAGE
from ls_plugin.queue import returns
from ls_plugin.queue.returns import RowInHandAgain
from ls_plugin.store import messages
from ls_plugin.store.messages import EVERYBODY, Kind, ThreadSubject
from ls_plugin.store.slots import slots_of
from review_rules import Role, State, Word

THREADS_A_PAGE: Final = 50
"""Threads that a page lists; where the others begin is said with them."""
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
        published: whether everybody of the campaign reads it with its question.
    """

    id: int | None
    kind: str
    at: str
    by: str | None
    role: str
    text: str
    answers: int | None = None
    is_open: bool = False
    published: bool = False

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
    """What was said about a row or a paragraph of the guidelines; of what everybody is told both are empty.

    ``state``: where the row stands; None where the reader may not know. ``heading``: the paragraph's.
    """

    row_id: str
    state: str | None
    entries: tuple[ThreadEntry, ...]
    paragraph: str = ""
    heading: str = ""

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
        return {
            "row_id": self.row_id,
            "paragraph": self.paragraph,
            "heading": self.heading,
            "state": self.state,
            "messages": [asdict(entry) for entry in self.entries],
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Threads:
    """A page of threads, how many come after it, and where the next page and the one before begin."""

    threads: tuple[Thread, ...]
    left_off: int
    after: str
    before: str | None

    def to_json(self) -> dict[str, Any]:
        """The page as the API gives it."""
        threads = [thread.to_json() for thread in self.threads]
        return {"threads": threads, "left_off": self.left_off, "after": self.after, "before": self.before}


def of_manager(
    campaign: Campaign,
    viewer: int,
    *,
    about: ThreadSubject = EVERYBODY,
    only_open: bool = False,
    works_here: bool = False,
    after: str = "",
    size: int = THREADS_A_PAGE,
) -> Threads:
    """A page of threads with names, the newest first; of a row that is named also what its reviews say.

    Args:
        campaign: the campaign.
        viewer: the account that reads.
        about: only the thread of this row or paragraph; everybody's for all threads.
        only_open: only those in which something waits for a manager.
        works_here: whether the reader also works in the campaign: what they read of rows excludes them from these.
        after: where the page begins, as the page before it said.
        size: threads of a page.
    """
    open_messages = _open_messages(campaign, about)
    listed = _listed(campaign, about, {_subject(message) for message in open_messages} if only_open else None)
    page = cut(listed, lambda pair: (pair[1],), after, size)
    subjects = [subject for subject, _ in page.items] if about == EVERYBODY else [about]
    rows = [subject.row_id for subject in subjects if subject.row_id]
    names = dict(Member.objects.filter(campaign=campaign, user_id__isnull=False).values_list("user_id", "person_id"))
    waits = {message.pk for message in open_messages}
    entries = defaultdict[ThreadSubject, list[ThreadEntry]](list)
    for message in _messages(campaign, subjects):
        by = names.get(message.user_id, "owner")
        entries[_subject(message)].append(_entry(message, by, is_open=message.pk in waits))
    for reopening in messages.reopenings(campaign.pk, rows):
        by = names.get(reopening.user_id, "owner") if reopening.user_id is not None else ""
        entries[ThreadSubject(row_id=reopening.row_id)].append(_reopened(reopening, by or None))
    for row in decide_rows(campaign, [about.row_id] if about.row_id else []).values():
        entries[ThreadSubject(row_id=row.row_id)] += notes_of(row, named=True)
    if works_here:
        expose_rows(campaign, viewer, rows, threads=True)
    states, headings = _states(campaign, rows), titles(campaign.guidelines)
    threads = (_thread(subject, states.get(subject.row_id), headings, entries[subject]) for subject in subjects)
    return Threads(threads=tuple(threads), left_off=page.left_off, after=page.after, before=page.before)


def of_person(
    campaign: Campaign, user_id: int, *, about: ThreadSubject = EVERYBODY, after: str = "", exposing: bool = True
) -> Threads:
    """A page of a person's own threads, without a name, the newest first.

    It has what they asked and were answered, what everybody was told or may read of others' questions, and why rows
    were opened again. Of a row that is named also what its reviews say, once it is decided. The caller has made sure
    that a row which is named was handed to them. Without `exposing` nothing is told of what others said of a
    row, and so nobody is excluded by reading it.
    """
    written = _own_messages(campaign, user_id, about)
    if not exposing:
        written = [message for message in written if message.kind != Kind.UPHELD.value]
    # What everybody reads of another's question stands with what everybody is told, so that no row is named.
    published = _published(campaign, user_id) if exposing and not about.row_id else []
    places = {message.pk: EVERYBODY if message.row_id else _subject(message) for message in published}
    places |= {message.pk: _subject(message) for message in written}
    own = {message.pk for message in written}
    every = [*written, *(message for message in published if message.pk not in own)]
    every = [message for message in every if about in (EVERYBODY, places[message.pk])]
    newest = dict[ThreadSubject, int]()
    for message in every:
        newest[places[message.pk]] = max(newest.get(places[message.pk], 0), message.pk)
    page = cut(sorted(newest.items(), key=lambda pair: -pair[1]), lambda pair: (pair[1],), after, THREADS_A_PAGE)
    subjects = [subject for subject, _ in page.items] if about == EVERYBODY else [about]
    decided = tell(campaign, user_id, [about.row_id]) if about.row_id and exposing else {}
    listed = [message for message in every if places[message.pk] in subjects]
    # Why a decision stands, and what others asked, tells something of the row.
    telling = {message.row_id for message in listed if message.kind == Kind.UPHELD.value or message.pk not in own}
    expose_rows(campaign, user_id, sorted(telling - {""}))
    waits = waiting(campaign, written)
    entries = defaultdict[ThreadSubject, list[ThreadEntry]](list)
    for message in listed:
        by = YOU if message.user_id == user_id else None
        entries[places[message.pk]].append(_entry(message, by, is_open=message.pk in waits))
    rows = [subject.row_id for subject in subjects if subject.row_id]
    for reopening in messages.reopenings(campaign.pk, _own_rows(campaign, user_id, rows)):
        entries[ThreadSubject(row_id=reopening.row_id)].append(_reopened(reopening, None))
    for row in decided.values():
        entries[ThreadSubject(row_id=row.row_id)] += notes_of(row, named=False)
    for back in returns.tell(campaign.pk, user_id) if about.row_id else ():
        if back.row_id == about.row_id:
            entries[about].append(_returned(back))
    states = {row_id: row.decision.state.value for row_id, row in decided.items()}
    headings = titles(campaign.guidelines)
    threads = (_thread(subject, states.get(subject.row_id), headings, entries[subject]) for subject in subjects)
    return Threads(threads=tuple(threads), left_off=page.left_off, after=page.after, before=page.before)


def count_waiting(campaign: Campaign) -> int:
    """How many questions and disputes wait for a manager."""
    return len(_open_messages(campaign, EVERYBODY))


def _open_messages(campaign: Campaign, about: ThreadSubject) -> list[Message]:
    """The questions and disputes that wait for a manager."""
    answers = Message.objects.filter(answers=OuterRef("pk"))
    asking = Message.objects.filter(campaign_id=campaign.pk, kind__in=(Kind.QUESTION.value, Kind.DISPUTE.value))
    unanswered = _about(asking, about).filter(~Exists(answers))
    settled = _settled(campaign, unanswered)
    return [message for message in unanswered if message.pk not in settled]


def waiting(campaign: Campaign, written: Iterable[Message]) -> set[int]:
    """The numbers of those messages that wait for a manager.

    A question waits until it is answered, a dispute until the decision is upheld or the row opened again.
    """
    asking = [message for message in written if message.kind in (Kind.QUESTION.value, Kind.DISPUTE.value)]
    answers = Message.objects.filter(answers__in=[message.pk for message in asking])
    answered = set(answers.values_list("answers", flat=True))
    unanswered = [message for message in asking if message.pk not in answered]
    return {message.pk for message in unanswered} - _settled(campaign, unanswered)


def _settled(campaign: Campaign, unanswered: Iterable[Message]) -> set[int]:
    """The numbers of disputes whose row was opened again since."""
    disputes = [message for message in unanswered if message.kind == Kind.DISPUTE.value]
    reopened = messages.reopenings(campaign.pk, {message.row_id for message in disputes})
    return {
        message.pk
        for message in disputes
        if any(each.row_id == message.row_id and each.at >= message.at for each in reopened)
    }


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
    waits = waiting(campaign, own)
    entries = defaultdict[str, list[ThreadEntry]](list)
    for message in (*own, *upheld):
        by = YOU if message.user_id == user_id else None
        entries[message.row_id].append(_entry(message, by, is_open=message.pk in waits))
    return entries


def _subject(message: Message) -> ThreadSubject:
    return ThreadSubject(row_id=message.row_id, paragraph=message.paragraph)


def _about(written: QuerySet[Message], about: ThreadSubject) -> QuerySet[Message]:
    """Those of a row or of a paragraph; all of them for everybody's."""
    return written if about == EVERYBODY else written.filter(row_id=about.row_id, paragraph=about.paragraph)


def _listed(
    campaign: Campaign, about: ThreadSubject, only: Collection[ThreadSubject] | None
) -> list[tuple[ThreadSubject, int]]:
    """Every thread with the number of its newest message, the newest first."""
    written = _about(Message.objects.filter(campaign_id=campaign.pk), about)
    newest = written.values_list("row_id", "paragraph").annotate(last=Max("pk")).order_by("-last")
    listed = [(ThreadSubject(row_id=row_id, paragraph=paragraph), last) for row_id, paragraph, last in newest]
    return [pair for pair in listed if only is None or pair[0] in only]


def _messages(campaign: Campaign, subjects: Sequence[ThreadSubject]) -> list[Message]:
    """What was said in these threads, in order."""
    written = Message.objects.filter(campaign_id=campaign.pk)
    rows = Q(row_id__in=[subject.row_id for subject in subjects if subject.row_id])
    others = Q(row_id="", paragraph__in=[subject.paragraph for subject in subjects if not subject.row_id])
    return list(written.filter(rows | others).order_by("pk"))


def _own_messages(campaign: Campaign, user_id: int, about: ThreadSubject) -> list[Message]:
    """What a person said, what they were answered, and what everybody was told."""
    written = Message.objects.filter(campaign_id=campaign.pk)
    own = written.filter(user_id=user_id).exclude(row_id="", paragraph="").exclude(role=Role.MANAGER.value)
    mine = Q(pk__in=own.values("pk")) | Q(answers__in=own.values("pk"))
    everybody = written.filter(mine | Q(kind=Kind.ANNOUNCEMENT.value)) if about == EVERYBODY else written.filter(mine)
    return list(_about(everybody, about).order_by("pk"))


def _published(campaign: Campaign, user_id: int) -> list[Message]:
    """Others' questions with the answers that everybody reads: about rows only while these are decided."""
    answers = list(Message.objects.filter(campaign_id=campaign.pk, published=True).order_by("pk"))
    rows = {message.row_id for message in answers if message.row_id}
    passes = slots_of(campaign.pk, rows).filter(stage=Stage.PASS, state__in=_DECIDED)
    decided = {"", *passes.values_list("row_id", flat=True)} - kept_back(campaign)
    asked = Message.objects.filter(pk__in=[message.answers for message in answers]).exclude(user_id=user_id)
    questions = {message.pk: message for message in asked if message.row_id in decided}
    listed = [message for message in answers if message.answers in questions]
    return [*questions.values(), *listed]


def _thread(
    subject: ThreadSubject, state: str | None, headings: Mapping[str, str], entries: Iterable[ThreadEntry]
) -> Thread:
    return Thread(
        row_id=subject.row_id,
        state=state,
        entries=_in_order(entries),
        paragraph=subject.paragraph,
        # A paragraph that the guidelines have no more keeps its thread, by its anchor.
        heading=headings.get(subject.paragraph, subject.paragraph),
    )


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
        published=message.published,
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
