"""The flags that a row bears, kept beside it: counting them is not to read every answer of a campaign."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from label_studio_quorum.campaign.reconcile import DecidedRow
from ls_config.interface import Control
from ls_config.results import from_result

FLAGS: Final = "flags"
"""The name of the control by which people flag a row."""


@dataclass(frozen=True, slots=True)
class RowFlags:
    """The flags of a row in the order of their names, and when the newest answer with one was sent."""

    names: tuple[str, ...] = ()
    at: datetime | None = None

    @property
    def text(self) -> str | None:
        """The flags as the row's slot holds them; None for none."""
        return "\n".join(self.names) or None

    @classmethod
    def of(cls, row: DecidedRow, controls: Iterable[Control]) -> RowFlags:
        """What anybody flagged about a row at any stage, also as they skipped it."""
        asked = [control for control in controls if control.name == FLAGS]
        answers = [answer for tasks in row.tasks.values() for task in tasks for answer in task.annotations]
        flagged = [(answer, flags) for answer in answers if (flags := flags_of(answer.result, asked))]
        return cls(
            names=tuple(sorted({flag for _, flags in flagged for flag in flags})),
            at=max((answer.updated_at for answer, _ in flagged), default=None),
        )


def flags_of(result: Any, controls: list[Control]) -> tuple[str, ...]:
    """The flags that an answer sets."""
    # Most answers set none, and reading a whole result costs more than to look for the name.
    items = result if isinstance(result, list) else []
    if not any(isinstance(item, dict) and item.get("from_name") == FLAGS for item in items):
        return ()
    return tuple(from_result(result, controls, {}, known_only=True).flags)


def flags_in(text: str | None) -> tuple[str, ...]:
    """The flags that a slot holds."""
    return tuple(filter(None, (text or "").split("\n")))
