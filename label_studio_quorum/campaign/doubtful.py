"""Answers that lie on a server and do not count as the people who gave them were told.

Quorum's plugin refuses such an answer on the screen. A stock server takes it without a word, so the commands name it:
what somebody else saved, what was filled in on a form of another row, what the interface does not ask for, what lacks a
reason or a value, and what a clock that was set back gave a wrong time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from label_studio_quorum.campaign.history import OUTDATED, STORED_AT
from review_rules import Decision, RowHistory, Stage

_INCOMPLETE: Final = frozenset({"QR.W032", "QR.W033", "QR.W038", "QR.W039", "QR.W061", "QR.W062"})
"""Findings of answers that lack a reason or a value, or return what cannot be; the person may give what is missing."""
_LISTS: Final = {Stage.PASS: "passes", Stage.QA: "qa", Stage.EXPERT: "expert"}
_CLOCK: Final = "the server's clock was set back, to before what they were given on; set it right"
_OPENING: Final = "this submission does not count: "


@dataclass(frozen=True, kw_only=True, slots=True)
class DoubtfulAnswer:
    """An answer of a row, with the cause in words that are the same for each such answer."""

    row_id: str
    cause: str
    counts: bool = False


def doubtful_answers(history: RowHistory, decision: Decision) -> Iterator[DoubtfulAnswer]:
    """A row's answers that a person should know of, but for those that the course of work leaves behind."""
    for stage in Stage:
        for submission in history.submissions(stage):
            cause = str(submission.raw.get("void") or OUTDATED)
            if cause != OUTDATED:
                yield DoubtfulAnswer(row_id=str(history.row_id), cause=cause)
            elif STORED_AT in submission.raw:
                yield DoubtfulAnswer(row_id=str(history.row_id), cause=_CLOCK, counts=True)
    if decision.state.is_decided:
        return  # somebody has given what was missing
    for stage in Stage:
        for cause in lacking_answers(decision, stage):
            yield DoubtfulAnswer(row_id=str(history.row_id), cause=cause)


def lacking_answers(decision: Decision, stage: Stage) -> Iterator[str]:
    """Of each of a stage's answers that counts for nothing as it lacks a reason or a value: what it lacks."""
    for finding in decision.findings:
        if finding.id in _INCOMPLETE and finding.path.startswith(f"{_LISTS[stage]}["):
            yield finding.message.removeprefix(_OPENING)


def summed_up(answers: Iterable[DoubtfulAnswer]) -> Iterator[str]:
    """One line a cause, with how many answers there are of it and a row to look at.

    >>> list(summed_up([DoubtfulAnswer(row_id="r1", cause="discard needs a reason")]))
    ["1 answer counts for nothing, such as one of row 'r1': discard needs a reason"]
    """
    rows: dict[tuple[str, bool], list[str]] = {}
    for answer in answers:
        rows.setdefault((answer.cause, answer.counts), []).append(answer.row_id)
    for (cause, counts), answered in sorted(rows.items()):
        is_single = len(answered) == 1
        what = "1 answer counts" if is_single else f"{len(answered):,} answers count"
        order = f"by {'its' if is_single else 'their'} order and not by {'its' if is_single else 'their'} time"
        yield f"{what} {order if counts else 'for nothing'}, such as one of row {answered[0]!r}: {cause}"
