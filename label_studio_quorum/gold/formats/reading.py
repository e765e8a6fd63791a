"""Records back out of an export, for `quorum verify`: every format that carries the history.

A table shows beside each record what people read: the row, the final values, each annotator's. What is shown must be
what the record says, or a changed cell would pass as proved. A program that rewrites a file may spell numbers and
truth values in its own way; what it spells is compared, not how.
"""

from __future__ import annotations

import codecs
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson

from label_studio_quorum.gold.datasheet import Card
from label_studio_quorum.gold.formats.label_studio import TASK_DIGEST, differing_parts
from label_studio_quorum.gold.formats.tables import (
    FORMULA_STARTS,
    RECORD,
    agreement_cells,
    fitting,
    outcome_values,
    people_cells,
)
from label_studio_quorum.gold.spool import STAGES, Spool
from label_studio_quorum.intake import columnar, sheets
from label_studio_quorum.intake import text_file as textfile
from label_studio_quorum.intake.cells import NOTE, OWN_PREFIX, encode, is_crlf, spell
from label_studio_quorum.intake.faults import Place, RowFault, fault
from label_studio_quorum.intake.text_file import Record, UnreadableError, parse_json
from ls_config import Interface
from review_rules.canonical_json import is_same, json_text

__all__ = ["CARRIES_HISTORY", "RecordEntry", "differing_figures", "read_entries", "read_records"]

CARRIES_HISTORY = ("jsonl", "csv", "xlsx", "parquet", "hf", "label-studio")
_UTF8 = "utf-8-sig"
"""Spreadsheets and editors write a byte order mark before the same text; with it or without, the file is the same."""
_WANTED = ("id", "context", "query", "response", RECORD)
_TASK_SENTENCES = {TASK_DIGEST: "QD.E003.task_digest"}
_ROWS, _PEOPLE, _AGREEMENT, _RECORDS = "rows", "quorum people", "quorum agreement", "quorum records"
_NEAR = 1e-9
"""How far a figure may be from the one computed anew: machines differ in a sum's last digits."""


@dataclass(frozen=True, slots=True)
class RecordEntry:
    """One record of an export, or what stands in its place.

    Attributes:
        place: Where it stands.
        record: The record as it stands there, whatever it holds; None where there is none.
        damage: Why there is none, or none that could be shown.
        differences: What stands beside the record and says otherwise.
    """

    place: Place
    record: Any
    damage: RowFault | None = None
    differences: tuple[RowFault, ...] = ()

    @property
    def faults(self) -> tuple[RowFault, ...]:
        """All that is wrong, the damage first."""
        return self.differences if self.damage is None else (self.damage, *self.differences)


OnFault = Callable[[RowFault], None]


def read_records(path: str | Path, on_fault: OnFault | None = None) -> Iterator[dict[str, Any]]:
    """Yield the full records of an export, a line at a time.

    Args:
        path: The file or folder.
        on_fault: Called for each part that is damaged or says other than the record; without it such a part raises.

    Raises UnreadableError where the file cannot be read, or carries no history (CoNLL, DocBin, Ground Truth
    manifests, or a table whose column of records was removed).
    """
    path, has_records = Path(path), False
    for entry in read_entries(path):
        for difference in entry.faults:
            (on_fault or _refuse)(difference)
        if entry.record is None:
            continue
        if not isinstance(entry.record, dict) or "row_id" not in entry.record:
            raise UnreadableError(fault("QD.E003.record", entry.place, formats=", ".join(CARRIES_HISTORY)))
        has_records = True
        yield entry.record
    if not has_records and path.suffix not in (".jsonl", ".json"):
        raise UnreadableError(fault("QD.E002.export", Place(str(path)), formats=", ".join(CARRIES_HISTORY)))


def _refuse(difference: RowFault) -> None:
    raise UnreadableError(difference)


def read_entries(path: Path) -> Iterator[RecordEntry]:
    """Every record of an export in the order of the file, each with what is wrong with it.

    Raises UnreadableError where the file as a whole cannot be read.
    """
    if not path.exists():
        raise UnreadableError(fault("QD.E001.missing", Place(str(path))))
    if path.is_dir():
        for part in columnar.folder_parts(path):
            yield from read_entries(part)
        return
    match path.suffix.lower():
        case ".csv":
            encoding = _encoding(path)
            delimiter = textfile.delimiter_of(path, encoding, _WANTED)
            yield from map(_carried, textfile.read_csv(path, encoding, delimiter))
        case ".xlsx":
            yield from _Workbook(path).entries()
        case ".parquet":
            yield from map(_carried, columnar.read_parquet(path))
        case ".arrow":
            yield from map(_carried, columnar.read_arrow(path))
        case ".json":
            yield from map(_element, textfile.read_json_values(path, _encoding(path)))
        case _:
            yield from _lines(path)


def _encoding(path: Path) -> str:
    """UTF-16 where the file begins with its mark, as `Unicode text` of spreadsheets does, else UTF-8.

    Raises UnreadableError for bytes that are neither.
    """
    with path.open("rb") as file:
        head = file.read(2)
    wanted = "utf-16" if head in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else _UTF8
    return textfile.decoding(path, wanted)[0]


def _parsed(text: str, place: Place) -> Any | RowFault:
    """The value of a JSON text, or a fault: a key that is given twice is one, since readers differ on which counts."""
    # A text that is written out as it stands has no key twice, and this is several times faster than to look.
    try:
        value = orjson.loads(text)
        if orjson.dumps(value) == text.encode():
            return value
    except (ValueError, TypeError):
        pass
    return parse_json(text, place)


# --- JSON


def _lines(path: Path) -> Iterator[RecordEntry]:
    """Records that stand one a line, or in an array or over several lines, as other programs write the same."""
    with path.open("rb") as file:
        number = 0
        for number, line in enumerate(file, 1):
            text = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
            if not text.strip():
                continue
            if number == 1 and _is_spread(text) and (values := _values(path)) is not None:
                yield from values
                return
            yield _line(text, Place(str(path), number))


def _is_spread(first_line: bytes) -> bool:
    """Whether a file that begins so is no record a line: an array, or records over several lines."""
    text = first_line.strip()
    return text.startswith(b"[") or text == b"{"


def _values(path: Path) -> Iterator[RecordEntry] | None:
    """The values of a file that are not one a line; None where the first of them is damaged."""
    values = textfile.read_json_values(path, _encoding(path))
    first = next(values, None)
    if first is None or isinstance(first, RowFault):
        return None
    return map(_element, textfile.read_json_values(path, _encoding(path)))


def _line(line: bytes, place: Place) -> RecordEntry:
    try:
        text = line.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        return RecordEntry(place, None, fault("QD.E004.byte", place, byte=error.start, encoding="UTF-8"))
    value = _parsed(text, place)
    return RecordEntry(place, None, value) if isinstance(value, RowFault) else _record_or_task(value, place)


def _element(values: Record | RowFault) -> RecordEntry:
    if isinstance(values, RowFault):
        return RecordEntry(Place(values.file, values.line), None, values)
    return _record_or_task(values.values, values.place)


def _record_or_task(task: Any, place: Place) -> RecordEntry:
    """A task of Label Studio that carries its record, or a record by itself."""
    if not isinstance(task, dict) or "data" not in task or "row_id" in task:
        return RecordEntry(place, task)
    meta = task.get("meta")
    note = meta.get("quorum") if isinstance(meta, dict) else None
    record = note.get("record") if isinstance(note, dict) else None
    if not isinstance(record, dict):
        return RecordEntry(place, None, fault("QD.E003.task", place))
    if damage := _damage(record, place):
        return RecordEntry(place, record, damage)
    row_id = str(record["row_id"])
    differences = [
        fault(_TASK_SENTENCES.get(part, "QD.E003.task_field"), place, name=part, row_id=row_id, field=part)
        for part in differing_parts(task, record)
    ]
    return RecordEntry(place, record, None, tuple(differences))


# --- the shape of a record


def _damage(record: Any, place: Place) -> RowFault | None:
    """The first part of a record of which nothing can be shown; the rules say what else is wrong with it."""
    part = _damaged_part(record)
    return None if part is None else fault("QD.E003.damaged", place, field=part or None, part=part or "it")


def _damaged_part(record: Any) -> str | None:
    if not isinstance(record, dict):
        return ""
    if not isinstance(record.get("row_id"), str):
        return "row_id"
    if not isinstance(record.get("row"), dict):
        return "row"
    if "gold" not in record:
        return "gold"
    for stage in STAGES:
        submissions = record.get(stage)
        if submissions is not None and not _is_list_of(submissions, _is_submission):
            return stage
    if not _is_object_of(record.get("fields"), _is_object):
        return "fields"
    final = record.get("final")
    if final is not None and not (_is_object(final) and _is_object_of(final.get("values"), _is_object)):
        return "final"
    certificate = record.get("certificate")
    return None if certificate is None or _is_certificate(certificate) else "certificate"


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_object_of(value: Any, is_entry: Callable[[Any], bool]) -> bool:
    return value is None or (isinstance(value, dict) and all(map(is_entry, value.values())))


def _is_list_of(value: Any, is_entry: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and all(map(is_entry, value))


def _is_submission(value: Any) -> bool:
    return isinstance(value, dict) and _is_object_of(value.get("values"), lambda _: True)


def _is_certificate(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and all(isinstance(value.get(key, []), list) for key in ("passes", "expert"))
        and isinstance(value.get("domains", {}), dict)
        and all(isinstance(holders, list) for holders in value.get("domains", {}).values())
    )


# --- tables


def _carried(table_row: Record | RowFault) -> RecordEntry:
    """A row of a table that carries its record in a column."""
    if isinstance(table_row, RowFault):
        return RecordEntry(Place(table_row.file, table_row.line), None, table_row)
    place = table_row.place
    if RECORD not in table_row.values:
        raise UnreadableError(fault("QD.E003.column", place, column=RECORD))
    text = table_row.values[RECORD]
    if not isinstance(text, str) or not text:
        return RecordEntry(place, None, fault("QD.E003.no_record", place, field=RECORD, column=RECORD))
    record = _parsed(text, place)
    if isinstance(record, RowFault):
        return RecordEntry(place, None, replace(record, field=RECORD))
    if damage := _damage(record, place):
        return RecordEntry(place, record, damage)
    return RecordEntry(place, record, None, tuple(_differences(table_row, record)))


def _differences(table_row: Record, record: Mapping[str, Any]) -> Iterator[RowFault]:
    """The columns of a table's row that say other than the record beside it, or are not there."""
    place, about = table_row.place, {"row_id": record["row_id"]}
    shown = _Typed(table_row, record) if table_row.typed else _Texts(table_row, record)
    values, expected = table_row.values, shown.expected()
    for name in sorted({*values, *expected} - {RECORD}):
        if name not in values:
            if not shown.is_blank(expected[name]):
                yield fault("QD.E003.no_column", place, field=name, name=name, **about)
        elif not shown.is_same(name, expected.get(name)):
            yield fault("QD.E003.cell", place, field=name, name=name, **about)


@dataclass(frozen=True, slots=True)
class _Texts:
    """A row whose cells are all text: CSV and workbooks."""

    row: Record
    record: Mapping[str, Any]

    def expected(self) -> dict[str, Any]:
        note = encode(self.record["row"], self._columns())[1]
        return {**self.record["row"], NOTE: note, **outcome_values(self.record)}

    def _columns(self) -> list[str]:
        return [name for name in self.row.values if not name.startswith(OWN_PREFIX)]

    @staticmethod
    def is_blank(value: Any) -> bool:
        return not spell(value)

    def is_same(self, name: str, value: Any) -> bool:
        cell = self.row.values[name]
        if name == NOTE:
            return _note(cell) == _note(value)
        expected = spell(value)
        if self.row.place.sheet is not None:
            expected = fitting(expected)
        # The guard before what a spreadsheet would run.
        if cell.startswith("'") and expected.startswith(FORMULA_STARTS):
            cell = cell[1:]
        return bool(cell == expected) or _is_spelled(cell, value)


def _note(text: Any) -> str:
    """The note on a row's cells without those that are guarded, as text that can be compared: the columns of a table
    may stand in any order."""
    note = parse_json(text, Place("")) if text else {}
    if not isinstance(note, dict):
        return json_text(str(text))
    return json_text({key: sorted(map(json_text, names)) for key, names in note.items() if _is_note(key, names)})


def _is_note(key: str, names: Any) -> bool:
    return key != "guarded" and isinstance(names, list)


def _is_spelled(cell: str, value: Any) -> bool:
    """Whether a cell is a value as other programs spell it."""
    if isinstance(value, str):
        # Spreadsheets end lines with LF alone; where all ended with CRLF, they are put back on import.
        return is_crlf(value) and cell == value.replace("\r\n", "\n")
    if isinstance(value, bool):
        return cell.lower() == spell(value)
    if value is None:
        return False
    written = parse_json(cell, Place(""))
    return not isinstance(written, RowFault) and is_same(written, value)


@dataclass(frozen=True, slots=True)
class _Typed:
    """A row whose cells have types: Parquet and Arrow."""

    row: Record
    record: Mapping[str, Any]

    def expected(self) -> dict[str, Any]:
        certificate = self.record.get("certificate") or {}
        people = [*certificate.get("passes", ()), certificate.get("qa"), *certificate.get("expert", ())]
        made: dict[str, Any] = {
            "gold": self.record["gold"],
            "state": self.record.get("state"),
            "reviewers": [str(who) for who in people if who],
        }
        for name, label in ((self.record.get("final") or {}).get("values") or {}).items():
            made |= {f"final.{name}": label.get("value"), f"origin.{name}": label.get("origin")}
        own = {OWN_PREFIX + name: value for name, value in made.items()}
        return {**self.record["row"], NOTE: self._note(), **own}

    def _note(self) -> str:
        """A column that keeps its type needs no note, but for the rows in which it is null."""
        cells = self.row.values
        columns = [name for name in cells if not name.startswith(OWN_PREFIX)]
        row = self.record["row"]
        texts = {
            name: row[name] for name in columns if name in row and (row[name] is None or isinstance(cells[name], str))
        }
        return encode(texts, columns)[1]

    @staticmethod
    def is_blank(value: Any) -> bool:
        return value is None or value == ""

    def is_same(self, name: str, value: Any) -> bool:
        cell = self.row.values[name]
        if name == NOTE:
            return _note(cell) == _note(value)
        if isinstance(cell, str) and not isinstance(value, str):
            return _is_spelled(cell, value)
        return is_same(cell, _without_nulls(value))


def _without_nulls(value: Any) -> Any:
    """A value as columns give it back, in which a key without a value is not there."""
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return value


# --- workbooks


def _is_row_of(table_row: Record | RowFault | None, record: Mapping[str, Any]) -> bool:
    """False if a row of the sheet of rows is another record's; what is damaged or missing is nobody else's."""
    return not isinstance(table_row, Record) or table_row.values.get("id") == spell(record["row"].get("id"))


class _Workbook:
    """The sheet of records beside the sheet of rows, row by row, and the other sheets that an export has."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._work: Counter[tuple[str, str]] = Counter()

    def entries(self) -> Iterator[RecordEntry]:
        names = sheets.sheet_names(self._path)
        known = {_ROWS, *sheets.OWN_SHEETS}
        for name in names:
            if name not in known:
                place = Place(str(self._path), sheet=name)
                yield RecordEntry(place, None, None, (fault("QD.E003.sheet", place, sheet=name),))
        yield from self._paired()
        yield from self._people()

    def _paired(self) -> Iterator[RecordEntry]:
        is_aligned = True
        for entry, table_row in zip_longest(self.records(), self._table_rows()):
            if entry is None:
                if is_aligned:
                    place = self._place(table_row)
                    yield RecordEntry(place, None, None, (fault("QD.E003.made_up", place),))
                continue
            differences = entry.differences
            # Where somebody sorted the rows, took some out or put some in, nothing behind them can be compared.
            if is_aligned and entry.damage is None:
                is_aligned = _is_row_of(table_row, entry.record)
                differences += tuple(self._compared(entry, table_row, is_aligned=is_aligned))
                self._count(entry.record)
            yield replace(entry, differences=differences)

    def _table_rows(self) -> Iterator[Record | RowFault]:
        """What stands for a row, be it damaged: warnings about cells stand for none."""
        for entry in sheets.read_xlsx(self._path, sheet=_ROWS):
            if isinstance(entry, Record) or entry.severity == "error":
                yield entry

    def _place(self, table_row: Record | RowFault) -> Place:
        if isinstance(table_row, Record):
            return table_row.place
        return Place(table_row.file, table_row.line, _ROWS)

    def _compared(
        self, entry: RecordEntry, table_row: Record | RowFault | None, *, is_aligned: bool
    ) -> Iterator[RowFault]:
        """What the sheet of rows says otherwise."""
        if table_row is None:
            yield fault("QD.E003.lacking", entry.place, sheet=_ROWS)
        elif isinstance(table_row, RowFault):
            yield table_row
        elif not is_aligned:
            yield fault("QD.E003.order", table_row.place)
        else:
            yield from _differences(table_row, entry.record)

    def records(self) -> Iterator[RecordEntry]:
        """The sheet of records: pieces of one record follow each other in the sheet of records."""
        pieces: list[Record] = []
        for piece in sheets.read_own_sheet(self._path, _RECORDS):
            if isinstance(piece, RowFault):
                # Text in a cell may look like a formula to the program that saved it.
                if piece.severity == "error":
                    yield RecordEntry(self._place(piece), None, piece)
                continue
            for column in ("row_id", "part", "json"):
                if column not in piece.values:
                    raise UnreadableError(fault("QD.E003.column", piece.place, column=column))
            if piece.values["part"] == "1" and pieces:
                yield self._joined(pieces)
                pieces = []
            pieces.append(piece)
        if pieces:
            yield self._joined(pieces)

    def _joined(self, pieces: list[Record]) -> RecordEntry:
        place = pieces[0].place
        record = _parsed("".join(piece.values["json"] for piece in pieces), place)
        if isinstance(record, RowFault):
            return RecordEntry(place, None, replace(record, field="json"))
        if damage := _damage(record, place):
            return RecordEntry(place, record, damage)
        differences = [
            fault("QD.E003.piece", piece.place, field=name, name=name)
            for number, piece in enumerate(pieces, 1)
            for name, expected in (("row_id", record["row_id"]), ("part", str(number)))
            if piece.values[name] != expected
        ]
        return RecordEntry(place, record, None, tuple(differences))

    def _count(self, record: Mapping[str, Any]) -> None:
        self._work.update(
            (str(submission.get("by")), stage) for stage in STAGES for submission in record.get(stage) or ()
        )

    def _people(self) -> Iterator[RecordEntry]:
        """The sheet of people, which follows from the records."""
        place = Place(str(self._path), sheet=_PEOPLE)
        head, *expected = people_cells(self._work)
        try:
            shown = list(_figures(self._path, _PEOPLE, head))
        except UnreadableError as error:
            yield RecordEntry(place, None, error.fault)
            return
        if shown != expected:
            yield RecordEntry(place, None, None, (fault("QD.E003.figures", place, sheet=_PEOPLE),))


def _figures(path: Path, sheet: str, head: list[str]) -> Iterator[list[str]]:
    """The lines of a sheet of figures, column by column of the head."""
    for line in sheets.read_own_sheet(path, sheet):
        if isinstance(line, Record):
            yield [line.values.get(name, "") for name in head]


def differing_figures(path: Path) -> RowFault | None:
    """What is wrong with a workbook's sheet of agreement, whose figures are computed anew from records that are proved.

    Raises UnreadableError where the sheet cannot be read.
    """
    records = (entry.record for entry in _Workbook(path).records())
    with TemporaryDirectory() as folder, Spool(records, Path(folder), _NO_CONTROLS, everything=True) as spool:
        head, *expected = agreement_cells(Card.of(spool, _NO_CONTROLS, {}).agreement)
    shown = sorted(_figures(path, _AGREEMENT, head))
    expected.sort()
    if len(shown) == len(expected) and all(map(_are_near, shown, expected)):
        return None
    return fault("QD.E003.figures", Place(str(path), sheet=_AGREEMENT), sheet=_AGREEMENT)


_NO_CONTROLS = Interface(name="", xml="", controls=())
"""Records name their fields and kinds, which is all that figures of agreement need."""


def _are_near(shown: list[str], expected: list[str]) -> bool:
    return all(cell == other or _is_near(cell, other) for cell, other in zip(shown, expected, strict=True))


def _is_near(shown: str, expected: str) -> bool:
    try:
        return math.isclose(float(shown), float(expected), rel_tol=_NEAR, abs_tol=_NEAR)
    except ValueError:
        return False
