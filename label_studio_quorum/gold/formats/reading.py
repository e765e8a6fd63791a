"""Records back out of an export, for `quorum verify`: every format that carries the history.

A table shows beside each record what people read: the row, the final values, each annotator's. What is shown must be
what the record says, or a changed cell would pass as proved.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from label_studio_quorum.gold.formats.tables import table_cells
from label_studio_quorum.intake import columnar, sheets
from label_studio_quorum.intake import text_file as textfile
from label_studio_quorum.intake.cells import NOTE, OWN_PREFIX, decode
from label_studio_quorum.intake.faults import Place, RowFault, fault
from label_studio_quorum.intake.text_file import Record, UnreadableError

__all__ = ["CARRIES_HISTORY", "read_records"]

CARRIES_HISTORY = ("jsonl", "csv", "xlsx", "parquet", "hf", "label-studio")
_RECORD = OWN_PREFIX + "record"
_UTF8 = "utf-8-sig"
"""Spreadsheets and editors write a byte order mark before the same text; with it or without, the file is the same."""


def read_records(path: str | Path, on_fault: Callable[[RowFault], None] | None = None) -> Iterator[dict[str, Any]]:
    """Yield the full records of an export, a line at a time.

    Args:
        path: The file or folder.
        on_fault: Called for each cell that says other than the record beside it; without it such a cell raises.

    Raises UnreadableError where the file cannot be read, or carries no history (CoNLL, DocBin, Ground Truth
    manifests, or a table whose column of records was removed).
    """
    path = Path(path)
    if not path.exists():
        raise UnreadableError(fault("QD.E001.missing", Place(str(path))))
    has_records = False
    for record in _records(path, on_fault or _refuse):
        has_records = True
        yield record
    if not has_records and path.suffix not in (".jsonl", ".json"):
        raise UnreadableError(fault("QD.E002.export", Place(str(path)), formats=", ".join(CARRIES_HISTORY)))


OnFault = Callable[[RowFault], None]


def _refuse(difference: RowFault) -> None:
    raise UnreadableError(difference)


def _records(path: Path, on_fault: OnFault) -> Iterator[dict[str, Any]]:
    if path.is_dir():
        for part in columnar.folder_parts(path):
            yield from _records(part, on_fault)
        return
    match path.suffix.lower():
        case ".csv":
            yield from _carried(textfile.read_csv(path, _UTF8, ","), on_fault)
        case ".xlsx":
            yield from _sheet(path, on_fault)
        case ".parquet":
            yield from _carried(columnar.read_parquet(path), on_fault)
        case ".json":
            yield from _tasks(path, on_fault)
        case _:
            yield from (_whole(record) for record in textfile.read_jsonl(path, _UTF8))


def _value(record: Record | RowFault) -> Record:
    if isinstance(record, RowFault):
        raise UnreadableError(record)
    return record


def _whole(record: Record | RowFault) -> dict[str, Any]:
    values = _value(record).values
    if "row_id" not in values:
        raise UnreadableError(fault("QD.E003.record", _value(record).place, formats=", ".join(CARRIES_HISTORY)))
    return values


def _carried(records: Iterator[Record | RowFault], on_fault: OnFault) -> Iterator[dict[str, Any]]:
    for record in records:
        line = _value(record).values.get(_RECORD)
        if not line:
            raise UnreadableError(fault("QD.E003.column", _value(record).place, column=_RECORD))
        original = json.loads(line)
        _compare(_value(record), original, on_fault)
        yield original


def _compare(table_row: Record, record: Mapping[str, Any], on_fault: OnFault) -> None:
    """Say which cells of a table row differ from the record beside it."""
    texts = not table_row.typed
    wrong = [name for name, value in _row_as_shown(table_row).items() if record["row"].get(name) != value]
    wrong += [name for name in record["row"] if name not in table_row.values]
    expected = table_cells(record, []) if texts else _typed_cells(record)
    for name in table_row.values.keys() - {_RECORD, NOTE}:
        if name.startswith(OWN_PREFIX):
            value, wanted = table_row.values[name], expected.get(name, "" if texts else None)
            if value not in ((wanted, f"'{wanted}") if texts else (wanted,)):
                wrong.append(name)
    for name in sorted(wrong):
        on_fault(fault("QD.E003.cell", table_row.place, name=name, row_id=str(record.get("row_id")), field=name))


def _row_as_shown(table_row: Record) -> dict[str, Any]:
    """The row that the cells stand for, without texts that a workbook's cell could not hold whole."""
    row = decode(table_row.values)
    return {name: value for name, value in row.items() if table_row.place.sheet is None or len(str(value)) < sheets.CUT}


def _typed_cells(record: Mapping[str, Any]) -> dict[str, Any]:
    """The outcome as Parquet has it."""
    certificate = record.get("certificate") or {}
    people = [*certificate.get("passes", ()), certificate.get("qa"), *certificate.get("expert", ())]
    made: dict[str, Any] = {
        "gold": record["gold"],
        "state": record.get("state"),
        "reviewers": [who for who in people if who],
    }
    for name, label in ((record.get("final") or {}).get("values") or {}).items():
        made |= {f"final.{name}": label.get("value"), f"origin.{name}": label.get("origin")}
    return {OWN_PREFIX + name: value for name, value in made.items()}


def _sheet(path: Path, on_fault: OnFault) -> Iterator[dict[str, Any]]:
    """The sheet of records beside the sheet of rows, row by row."""
    table_rows = (entry for entry in sheets.read_xlsx(path, sheet="rows") if isinstance(entry, Record))
    for record in _joined(path):
        table_row = next(table_rows, None)
        if table_row is None or table_row.values.get("id") != record["row"].get("id"):
            raise UnreadableError(fault("QD.E003.order", Place(str(path), sheet="rows")))
        _compare(table_row, record, on_fault)
        yield record


def _joined(path: Path) -> Iterator[dict[str, Any]]:
    """Pieces of one record follow each other in the sheet of records."""
    pieces: list[str] = []
    for record in sheets.read_own_sheet(path, "quorum records"):
        values = _value(record).values
        if values["part"] == "1" and pieces:
            yield json.loads("".join(pieces))
            pieces = []
        pieces.append(values["json"])
    if pieces:
        yield json.loads("".join(pieces))


def _tasks(path: Path, on_fault: OnFault) -> Iterator[dict[str, Any]]:
    for record in textfile.read_json(path, _UTF8):
        values = _value(record).values
        carried = ((values.get("meta") or {}).get("quorum") or {}).get("record") if "data" in values else values
        if not isinstance(carried, dict) or "row_id" not in carried:
            raise UnreadableError(fault("QD.E003.task", _value(record).place))
        data = values.get("data", {})
        for name in ("context", "query", "response", "domain"):
            if name in data and data[name] != (carried["row"].get(name) or ""):
                place = _value(record).place
                on_fault(fault("QD.E003.task_field", place, name=name, row_id=carried["row_id"], field=name))
        yield carried
