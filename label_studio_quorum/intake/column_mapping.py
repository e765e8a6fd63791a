"""The column mapping at work: Quorum's fields taken from the columns of a file, or from paths into its objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from label_studio_quorum.intake.checks.record_faults import json_type
from label_studio_quorum.intake.faults import Place, RowFault, fault
from label_studio_quorum.intake.row_check import REQUIRED
from label_studio_quorum.intake.text_file import Record

__all__ = ["ColumnMapping", "Mapped"]

_MOST_NAMES = 12


@dataclass(frozen=True, slots=True)
class Mapped:
    """A record under the names of the row contract, and what the mapping did not find in it."""

    record: Record
    faults: tuple[RowFault, ...] = ()


class _NotThereError(Exception):
    """A step of a path leads nowhere: the key of the sentence, and what fills it."""

    def __init__(self, key: str, /, *, optional: bool, **about: str) -> None:
        super().__init__(key)
        self.key, self.optional, self.about = key, optional, about


class ColumnMapping:
    """Applies a mapping record by record, and remembers which of its columns no record had."""

    def __init__(self, pairs: Mapping[str, str]) -> None:
        self.pairs = dict(pairs)
        self._unseen = {name: column for name, column in self.pairs.items() if column}
        self._columns: dict[str, None] = {}

    def apply(self, record: Record) -> Mapped:
        """The record with its columns renamed. A column that was taken is not kept a second time; a part of an object
        is taken out of it."""
        if not self.pairs:
            return Mapped(record)
        values: dict[str, Any] = dict(record.values)
        self._columns.update(dict.fromkeys(values))
        taken: dict[str, Any] = {}
        faults = []
        for name, column in self.pairs.items():
            if not column:
                taken[name] = ""
                continue
            try:
                taken[name] = _value(values, column, into_objects=record.typed)
            except _NotThereError as error:
                # A table lacks a column as a whole, which is told of its header; a row may lack what is optional.
                if record.typed and not (error.optional and name not in REQUIRED):
                    row_id = record.values.get("id")
                    about = {"row_id": row_id if isinstance(row_id, str) else None, "field": name}
                    faults.append(fault(error.key, record.place, name=name, path=column, **about, **error.about))
            else:
                self._unseen.pop(name, None)
        for column in self.pairs.values():
            _take_out(values, column)
        # An id that was taken from a column is the file's own.
        made_of = "" if "id" in taken else record.made_of
        return Mapped(Record(values | taken, self._place(record.place), record.typed, made_of), tuple(faults))

    def _place(self, place: Place) -> Place:
        """The place with the letters of mapped columns, so that a fault names the cell and not the whole row."""
        letters = place.letters
        if not letters:
            return place
        taken_from = {name: letters[column] for name, column in self.pairs.items() if column in letters}
        return replace(place, letters={**letters, **taken_from})

    def unseen(self, file: str) -> Iterator[RowFault]:
        """A fault for each column that no record had, once a file, with the columns that there are; each record told
        already where a path to a required field leads nowhere."""
        columns = ", ".join(list(self._columns)[:_MOST_NAMES])
        for name, column in self._unseen.items():
            if name not in REQUIRED or "." not in column:
                yield fault("QD.E013", Place(file), name=name, column=column, columns=columns, field=name)


def _value(values: Mapping[str, Any], column: str, *, into_objects: bool) -> Any:
    """What stands in a column, or where a path of dots leads. A column whose name has dots comes before a path."""
    if column in values:
        return values[column]
    steps = column.split(".") if into_objects else [column]
    part: Any = values
    for at, step in enumerate(steps):
        holder = f"'{'.'.join(steps[:at])}'" if at else "the row"
        if isinstance(part, Mapping):
            if step not in part:
                known = ", ".join(map(str, list(part)[:_MOST_NAMES])) or "nothing"
                raise _NotThereError("QD.E029", optional=True, holder=holder, key=step, known=known)
            part = part[step]
        elif isinstance(part, list):
            if not _is_place(step) or not -len(part) <= int(step) < len(part):
                known = f"{len(part)} items, counted from 0 (-1 is the last)"
                raise _NotThereError("QD.E029", optional=_is_place(step), holder=holder, key=step, known=known)
            part = part[int(step)]
        else:
            raise _NotThereError("QD.E029.type", optional=part is None, holder=holder, type=json_type(part))
    return part


def _is_place(step: str) -> bool:
    return step.removeprefix("-").isdecimal()


def _take_out(values: dict[str, Any], column: str) -> None:
    """Leave out what a mapping took. An object that holds nothing else goes with it; a list keeps its items, or those
    behind would move."""
    if column in values:
        del values[column]
        return
    first, _, rest = column.partition(".")
    inner = values.get(first)
    if rest and isinstance(inner, Mapping):
        kept = dict(inner)
        _take_out(kept, rest)
        if kept:
            values[first] = kept
        elif inner:
            del values[first]
