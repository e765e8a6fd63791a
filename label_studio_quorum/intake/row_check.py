"""From a raw record to a checked row: every fault of the record in one go."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from label_studio_quorum.intake.cells import OWN_PREFIX
from label_studio_quorum.intake.checks.appearance import check_texts
from label_studio_quorum.intake.checks.auto_label import PREFIX, AutoLabelCheck, Checked
from label_studio_quorum.intake.checks.characters import check_characters
from label_studio_quorum.intake.checks.record_faults import Limits, RecordFaults, json_type
from label_studio_quorum.intake.faults import RowFault
from label_studio_quorum.intake.predictions import LabelNotes
from label_studio_quorum.intake.row import FIELDS, Row
from label_studio_quorum.intake.text_file import Record
from ls_config import Interface

__all__ = ["REQUIRED", "Validator"]

TEXTS = ("context", "query", "response")
REQUIRED = ("id", *TEXTS)
_MOST_OF_ID = 200
NO_NOTES = LabelNotes()
_TWICE = {"": "QD.E021", "text": "QD.E021.text", "task": "QD.E021.task"}
"""What is said of an id that was there before, by what it was made of; empty where the file gives it."""


class Validator:
    """Checks records one by one; remembers the ids it has seen."""

    def __init__(self, interface: Interface | None, limits: Limits) -> None:
        self._limits = limits
        self._auto_label = AutoLabelCheck(interface, limits)
        self._lines: dict[str, int | None] = {}
        self._once: set[str] = set()

    def check(self, record: Record, notes: LabelNotes = NO_NOTES) -> Iterator[Row | RowFault]:
        """Yield the faults of a record, then the row if none of them is an error; `notes` are those of its label."""
        faults = RecordFaults(record.place)
        values = {name: value for name, value in record.values.items() if name}
        if record.values.get("") not in (None, ""):
            faults.add("QD.W006")
        row_id = self._row_id(values, faults, record.made_of)
        texts = {name: _text(name, values, faults) for name in TEXTS}
        for name, value in values.items():
            # An id with such a character is no id at all, which is told above; columns of Quorum's own are left out.
            if name != "id" and not name.startswith(OWN_PREFIX):
                check_characters(name, value, faults)
        domain = self._domain(values, faults)
        auto_label, kept = self._label(values, texts, faults, notes, typed=record.typed)
        # How texts look is told only of rows that go in; the others come again, mended.
        if not faults.broken:
            check_texts(texts, self._limits, faults)
        yield from faults.faults
        if not faults.broken:
            extra = {
                name: value
                for name, value in values.items()
                if name not in FIELDS and not name.startswith((PREFIX, OWN_PREFIX))
            }
            yield Row(
                row_id=row_id, **texts, domain=domain, auto_label=auto_label, extra=extra | kept, place=record.place
            )

    def _label(
        self,
        values: Mapping[str, Any],
        texts: Mapping[str, str],
        faults: RecordFaults,
        notes: LabelNotes,
        *,
        typed: bool,
    ) -> Checked:
        """The auto-label, with the faults of its values and the notes of the tool's file that it comes from."""
        first = len(faults.faults)
        label = self._auto_label.check(values, texts, faults, typed=typed)
        if notes.origin:
            faults.faults[first:] = [_from(notes.origin, entry) for entry in faults.faults[first:]]
        unfit = any(entry.severity == "error" or entry.id == "QD.W040" for entry in faults.faults[first:])
        for note in (*notes.notes, *(() if unfit else notes.doubts)):
            # What holds of every row of a file is told of the first.
            same = {"QD.W047": note.key, "QD.W046.control": f"{note.key} {note.field}"}.get(note.key)
            if same is None or same not in self._once:
                faults.add(note.key, field=note.field, **note.about)
            if same is not None:
                self._once.add(same)
        return label

    def _row_id(self, values: Mapping[str, Any], faults: RecordFaults, made_of: str) -> str:
        row_id = values.get("id")
        if row_id is None or row_id == "":
            faults.add("QD.E020", field="id")
            return ""
        # A number is the same id whether it was quoted or not; True is no number here, though Python calls it one.
        if isinstance(row_id, int) and not isinstance(row_id, bool):
            row_id = str(row_id)
        if not isinstance(row_id, str):
            faults.add("QD.E022.type", field="id", type=type(row_id).__name__)
            return ""
        faults.row_id = row_id
        if row_id != row_id.strip() or len(row_id) > _MOST_OF_ID or not row_id.isprintable():
            key = "QD.E022.long" if len(row_id) > _MOST_OF_ID else "QD.E022.characters"
            faults.add(key, field="id", fix=row_id.strip()[:_MOST_OF_ID], limit=_MOST_OF_ID)
        if row_id in self._lines:
            first = self._lines[row_id]
            there = "" if first is None else f" (first in line {first})"
            faults.add(_TWICE[made_of], field="id", first=there or " (already)")
        else:
            self._lines[row_id] = faults.place.line
        return row_id

    def _domain(self, values: Mapping[str, Any], faults: RecordFaults) -> str | None:
        domain = values.get("domain")
        if domain is None or domain == "":
            return None
        if not isinstance(domain, str):
            faults.add("QD.E024.domain", field="domain", type=json_type(domain))
            return None
        domains = self._limits.domains
        if domains is not None and domain not in domains:
            near = difflib.get_close_matches(domain, domains, 1, 0.7)
            fix = near[0] if near else None
            faults.add("QD.W023", field="domain", fix=fix, domain=domain, known=", ".join(sorted(domains)))
        return domain


def _from(origin: str, entry: RowFault) -> RowFault:
    """The fault of an auto-label, at the place in another tool's file where the label stands."""
    if entry.field is None or not entry.field.startswith("auto_label"):
        return entry
    return replace(entry, field=origin + entry.field.removeprefix("auto_label"))


def _text(name: str, values: Mapping[str, Any], faults: RecordFaults) -> str:
    if name not in values:
        faults.add("QD.E023", field=name, name=name)
        return ""
    value = values[name]
    if value is None:
        # A row without a context is usual, and data frames write null for it.
        if name != "context":
            faults.add("QD.E023.null", field=name, name=name)
        return ""
    if not isinstance(value, str):
        faults.add("QD.E024", field=name, name=name, type=json_type(value))
        return ""
    return value
