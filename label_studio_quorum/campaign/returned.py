"""Rows that QA gave back to the people of their passes and that have not come in again.

The plugin hands such a row to its people once more. Label Studio alone hands nobody a row twice, so on a stock server
people are told which of their answers to change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from label_studio_quorum.campaign.history import RowRecord
from label_studio_quorum.port import Json, Task
from review_rules import Decision

_NAMED: Final = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class ReturnedRow:
    """A row that waits for people to whom QA gave it back; `task` is its Pass task."""

    row_id: str
    to: tuple[str, ...]
    task: int

    def to_json(self) -> Json:
        """The row as `quorum status --json` and `quorum sync --json` have it."""
        return {"row_id": self.row_id, "to": list(self.to), "task": self.task}


def returned_rows(record: RowRecord, decision: Decision, passes: Sequence[Task]) -> Iterator[ReturnedRow]:
    """The row, if it waits for people to whom it was given back.

    Args:
        record: the row's history.
        decision: what the rules say of it.
        passes: its Pass tasks.
    """
    if decision.next is not None and decision.next.returned:
        to = tuple(str(person) for person in decision.next.returned)
        answered = max(passes, key=lambda task: (len(task.annotators), -task.id))
        yield ReturnedRow(row_id=str(record.history.row_id), to=to, task=answered.id)


def stock_lines(rows: Sequence[ReturnedRow]) -> Iterator[str]:
    """What a person has to know of returned rows on a server without the plugin, a line each and how many more.

    >>> list(stock_lines([ReturnedRow(row_id="r1", to=("ana", "ben"), task=7)]))
    ['row r1 was returned to ana and ben, and Label Studio hands nobody a row twice: have them open task 7 and update \
their answer']
    """
    for row in rows[:_NAMED]:
        people = " and ".join(row.to)
        yield (
            f"row {row.row_id} was returned to {people}, and Label Studio hands nobody a row twice: "
            f"have them open task {row.task} and update their answer"
        )
    if len(rows) > _NAMED:
        yield f"{len(rows) - _NAMED:,} more rows were returned; quorum status --json lists them"
