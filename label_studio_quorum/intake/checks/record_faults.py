"""What the checks of one record share: the limits of the campaign, and where the record's faults are collected."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from label_studio_quorum.intake.faults import Place, RowFault, fault
from review_rules.offsets import Unit

__all__ = ["OFFSETS", "ROW_CHARS", "UNITS", "Limits", "RecordFaults", "json_type"]

ROW_CHARS = 400_000
UNITS = {
    "utf-16": (Unit.UTF16, False),
    "utf-16-inclusive": (Unit.UTF16, True),
    "utf-8": (Unit.UTF8, False),
    "utf-8-inclusive": (Unit.UTF8, True),
    "inclusive": (Unit.CODE_POINT, True),
}
"""What a file's spans may be declared to count, and whether their end is the last character's place."""
OFFSETS = ("code-points", "detect", *UNITS)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a campaign takes: characters a row, the domains it knows (None: any), what spans of the file count."""

    row_chars: int = ROW_CHARS
    domains: frozenset[str] | None = None
    offsets: str = "code-points"
    """`code-points` (a span that counts otherwise is a fault with the offered fix), `detect` (converted where the
    carried text leaves one answer), or a unit that the whole file counts: `utf-16`, `utf-8`, each also with
    `-inclusive`, or `inclusive`."""


@dataclass(slots=True)
class RecordFaults:
    """Collects the faults of one record."""

    place: Place
    row_id: str | None = None
    faults: list[RowFault] = field(default_factory=list)

    def add(self, key: str, /, *, field: str | None = None, fix: Any = None, **about: Any) -> None:
        """Add a fault by the key of its sentence; `about` fills the sentence."""
        self.faults.append(fault(key, self.place, row_id=self.row_id, field=field, fix=fix, **about))

    @property
    def broken(self) -> bool:
        """Whether a fault so far keeps the row out."""
        return any(entry.severity == "error" for entry in self.faults)


def json_type(value: Any) -> str:
    """What a JSON value is, in words that people use."""
    names = {bool: "boolean", int: "number", float: "number", str: "text", list: "list", dict: "object"}
    return "null" if value is None else names.get(type(value), type(value).__name__)
