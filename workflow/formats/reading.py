"""Records back out of an export, for `quorum verify`: every format that carries the history."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workflow.rows import columnar, sheets, textfile
from workflow.rows.cells import OWN_PREFIX
from workflow.rows.faults import Place, RowFault, fault
from workflow.rows.textfile import Record, UnreadableError

__all__ = ["CARRIES_HISTORY", "read_records"]

CARRIES_HISTORY = ("jsonl", "csv", "xlsx", "parquet", "hf", "label-studio")
_RECORD = OWN_PREFIX + "record"


def read_records(path: str | Path) -> Iterator[dict[str, Any]]:
    """Yield the full records of an export, a line at a time.

    Raises UnreadableError where the file cannot be read, or carries no history (CoNLL, DocBin, Ground Truth
    manifests, or a table whose column of records was removed).
    """
    path = Path(path)
    if not path.exists():
        raise UnreadableError(fault("QD.E001", Place(str(path)), "The file does not exist.", "Check the path."))
    found = False
    for record in _records(path):
        found = True
        yield record
    if not found and path.suffix not in (".jsonl", ".json"):
        raise UnreadableError(
            fault(
                "QD.E002",
                Place(str(path)),
                "The file carries no records.",
                f"Formats that do: {', '.join(CARRIES_HISTORY)}.",
            )
        )


def _records(path: Path) -> Iterator[dict[str, Any]]:
    if path.is_dir():
        for part in columnar.folder_parts(path):
            yield from _records(part)
        return
    match path.suffix.lower():
        case ".csv":
            yield from _carried(textfile.read_csv(path, "utf-8", ","))
        case ".xlsx":
            yield from _sheet(path)
        case ".parquet":
            yield from _carried(columnar.read_parquet(path))
        case ".json":
            yield from _tasks(path)
        case _:
            yield from (_whole(record) for record in textfile.read_jsonl(path, "utf-8"))


def _value(record: Record | RowFault) -> Record:
    if isinstance(record, RowFault):
        raise UnreadableError(record)
    return record


def _whole(record: Record | RowFault) -> dict[str, Any]:
    values = _value(record).values
    if "row_id" not in values:
        raise UnreadableError(
            fault(
                "QD.E003",
                _value(record).place,
                "The line is no full record.",
                f"Formats that carry them: {', '.join(CARRIES_HISTORY)}.",
            )
        )
    return values


def _carried(records: Iterator[Record | RowFault]) -> Iterator[dict[str, Any]]:
    for record in records:
        line = _value(record).values.get(_RECORD)
        if not line:
            raise UnreadableError(
                fault(
                    "QD.E003",
                    _value(record).place,
                    f"The column {_RECORD} is not there.",
                    "Verify the file as it was exported.",
                )
            )
        yield json.loads(line)


def _sheet(path: Path) -> Iterator[dict[str, Any]]:
    """Pieces of one record follow each other in the sheet of records."""
    held: list[str] = []
    for record in sheets.read_own_sheet(path, "quorum records"):
        values = _value(record).values
        if values["part"] == "1" and held:
            yield json.loads("".join(held))
            held = []
        held.append(values["json"])
    if held:
        yield json.loads("".join(held))


def _tasks(path: Path) -> Iterator[dict[str, Any]]:
    for record in textfile.read_json(path, "utf-8"):
        values = _value(record).values
        carried = ((values.get("meta") or {}).get("quorum") or {}).get("record") if "data" in values else values
        if not isinstance(carried, dict) or "row_id" not in carried:
            raise UnreadableError(
                fault(
                    "QD.E003",
                    _value(record).place,
                    "The task carries no record.",
                    "Verify a file that Quorum exported.",
                )
            )
        yield carried
