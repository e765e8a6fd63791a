"""Proves an export: reads its records in whatever format they stand, and lists what does not follow, with its place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from label_studio_quorum.gold.formats.reading import RecordEntry, differing_figures, read_entries
from label_studio_quorum.intake import Place, RowFault, UnreadableError
from review_rules.findings import RULES, Finding, finding
from review_rules.verify import Verifier

__all__ = ["Proof", "Unproven", "title_of"]

_UNSEALED: Final = (
    "records carry no digest, as in exports of Quorum 0.1.0: that no row was added, left out or moved, and what stands "
    "beside the history (import, skips, pre-annotation, sources, figures); --sealed refuses such files"
)
_VERSION_1: Final = (
    "records without a version of the rules, as in exports of Quorum 0.1.0: which team decided them, and which fields "
    "were required; --sealed refuses such files"
)
_ANEW: Final = (
    "that nobody made history, digests and seal anew; the seal, noted where the file is not, proves that: --seal"
)


@dataclass(frozen=True, slots=True)
class Unproven:
    """A finding with the place where it stands.

    Attributes:
        place: File, line or row, and the sheet of a workbook.
        row_id: The row, where the record names one.
        finding: What does not follow.
    """

    place: Place
    row_id: str | None
    finding: Finding

    @property
    def cause(self) -> tuple[str, str]:
        """What findings of one cause share: the rule, and the part of the record without the numbers in it."""
        path = "".join(char for char in self.finding.path if not char.isdigit())
        return self.finding.id, path.replace("[]", "")

    def __str__(self) -> str:
        """One line: place, row, part, what is wrong, what to do."""
        line = f":{self.place.line}" if self.place.line is not None else ""
        cell = self.place.cell(self.finding.path)
        sheet = cell or self.place.sheet
        about = f" row {self.row_id}:" if self.row_id else ""
        path = f" {self.finding.path}:" if self.finding.path else ""
        where = f"{self.place.file}{line}{f' ({sheet})' if sheet else ''}:"
        text = f"{where}{about}{path} {self.finding.id} {self.finding.message}. {self.finding.hint}"
        return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)

    def to_json(self) -> dict[str, Any]:
        """The finding as a JSON object."""
        place = {"file": self.place.file, "line": self.place.line, "row_id": self.row_id}
        cell = self.place.cell(self.finding.path) or self.place.sheet
        return place | ({"cell": cell} if cell else {}) | self.finding.to_json()


@dataclass(slots=True)
class Proof:
    """The proof of one export, filled while its findings are taken.

    Attributes:
        path: The file or folder.
        verifier: What decides each record again.
        rows: Records so far.
        final: Those that say that they are final.
        causes: Cause → how many findings have it.
    """

    path: Path
    verifier: Verifier
    rows: int = 0
    final: int = 0
    causes: Counter[tuple[str, str]] = field(default_factory=Counter)
    _line: int | None = None

    def findings(self) -> Iterator[Unproven]:
        """Everything that does not follow, in the order of the file."""
        for unproven in self._all():
            self.causes[unproven.cause] += 1
            yield unproven

    def _all(self) -> Iterator[Unproven]:
        whole = Place(str(self.path))
        try:
            for number, entry in enumerate(read_entries(self.path), 1):
                yield from self._check(entry, number)
        except UnreadableError as error:
            place = Place(error.fault.file, error.fault.line)
            yield Unproven(place, None, _damaged(error.fault))
            return
        for noted in self.verifier.finish():
            yield Unproven(whole, None, noted)
        # Figures follow from records that do; of 0.1.0 they were computed otherwise.
        if self.path.suffix.lower() == ".xlsx" and self.rows and not self.causes and not self.verifier.places.unsealed:
            yield from self._figures()

    def _figures(self) -> Iterator[Unproven]:
        try:
            difference = differing_figures(self.path)
        except UnreadableError as error:
            yield Unproven(Place(str(self.path)), None, _damaged(error.fault))
            return
        if difference is not None:
            noted = finding("QR.E124", "", what=_sentence(difference))
            yield Unproven(Place(str(self.path), sheet="quorum agreement"), None, noted)

    def _check(self, entry: RecordEntry, number: int) -> Iterator[Unproven]:
        record, place = entry.record, entry.place
        row_id = record.get("row_id") if isinstance(record, dict) else None
        known_id = row_id if isinstance(row_id, str) else None
        if entry.damage is not None:
            yield Unproven(place, known_id, _damaged(entry.damage))
        for difference in entry.differences:
            noted = finding("QR.E124", difference.field or "", what=_sentence(difference))
            yield Unproven(_place_of(difference, place), known_id, noted)
        # What is no record was told; null on a line of its own is one more line that is none.
        if record is None and entry.faults:
            return
        self.rows += 1
        self.final += isinstance(record, dict) and record.get("state") == "FINAL"
        # Of elements that stand on one line each has a number of its own.
        line = number if place.line in (None, self._line) else place.line
        self._line = place.line
        for noted in self.verifier.check(record, line or number):
            yield Unproven(place, known_id, noted)

    def not_proved(self) -> list[str]:
        """What a file of this format and age cannot prove, a sentence each; once all findings were taken."""
        places = self.verifier.places
        sentences: list[str] = []
        if not self.rows:
            return sentences
        if places.unsealed:
            sentences.append(f"{places.unsealed:,} of {self.rows:,} {_UNSEALED}")
        if 1 in self.verifier.versions:
            sentences.append(_VERSION_1)
        if places.partial:
            sentences.append("that the file holds every row of the export, in its order (--part)")
        if self.path.is_dir():
            sentences.append("what the folder's README.md says of the records")
        if places.expected is None:
            sentences.append(_ANEW)
        return sentences


def _damaged(damage: RowFault) -> Finding:
    return finding("QR.E101", damage.field or "", reason=_sentence(damage))


def _place_of(difference: RowFault, place: Place) -> Place:
    """Where a difference stands: in a workbook that is another sheet than the record's."""
    if difference.cell is None:
        return place
    sheet, _, cell = difference.cell.rpartition("!")
    letters = "".join(char for char in cell if char.isalpha())
    return Place(difference.file, difference.line, sheet, {difference.field or "": letters} if letters else None)


def _sentence(difference: RowFault) -> str:
    """A fault's message as the end of a sentence."""
    text = difference.message.rstrip(".")
    # Names such as NaN stay as they are.
    first = text.partition(" ")[0]
    return text if first != first.capitalize() else text[:1].lower() + text[1:]


def title_of(cause: tuple[str, str]) -> str:
    """What findings of one cause are called."""
    rule_id, path = cause
    return RULES[rule_id].title + (f" ({path})" if path else "")
