"""Full records, held on disk between the pass that learns their columns and the pass that writes them.

Tables need their header before their first row: which columns rows have, who labelled, which fields there are.
Records are therefore written once to a temporary file beside the target while that is learnt, so that memory stays
flat for any number of rows.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from ls_config import Interface

__all__ = ["STAGES", "Shape", "Spool", "json_line", "row_of"]

STAGES = ("passes", "qa", "expert")
_FIRST = ("id", "context", "query", "response", "domain", "auto_label")
_KEYS = (
    "row_id", "gold", "state", "domain", "predicted_domain", "row", "auto_label", "fields", "passes", "qa", "expert",
    "comparison", "proposal", "findings", "final", "certificate",
)  # fmt: skip


def json_line(value: Any) -> str:
    """One line of JSON: readable texts, tight separators; escaped only where a text cannot be encoded."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if _encodable(text) else json.dumps(value, separators=(",", ":"))


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def row_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a record by the names of the row contract."""
    row = dict(record.get("row") or {})
    return (
        row
        if "id" in row
        else {"id": record["row_id"], **{name: value for name, value in row.items() if name != "row_id"}}
    )


@dataclass(slots=True)
class Shape:
    """What all records together hold: columns of rows, fields with their kinds, and who worked in which stage."""

    columns: dict[str, set[str]] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)
    people: dict[str, set[str]] = field(default_factory=lambda: {stage: set() for stage in STAGES})
    rows: int = 0
    left_out: int = 0

    def learn(self, record: Mapping[str, Any]) -> None:
        """Take one more record into account."""
        self.rows += 1
        for name, value in row_of(record).items():
            self.columns.setdefault(name, set()).add(type(value).__name__)
        for name, about in (record.get("fields") or {}).items():
            self.fields.setdefault(name, str(about.get("kind")))
        for stage in STAGES:
            self.people[stage].update(str(one.get("by")) for one in record.get(stage) or () if one.get("by"))

    def ordered_columns(self) -> list[str]:
        """The columns of the row contract first, then the others as they were first met."""
        return [
            *(name for name in _FIRST if name in self.columns),
            *(name for name in self.columns if name not in _FIRST),
        ]


class Spool:
    """Records on disk, in the order given; a context manager that removes its file."""

    def __init__(
        self, records: Iterable[Mapping[str, Any]], folder: Path, interface: Interface | None, *, everything: bool
    ) -> None:
        self._records, self._folder, self._everything = records, folder, everything
        self.shape = Shape()
        self._controls = {control.name: control.kind for control in interface.controls} if interface else {}
        self._file: IO[str] | None = None

    def __enter__(self) -> Spool:
        self._file = tempfile.TemporaryFile("w+", encoding="utf-8", dir=self._folder, newline="\n")
        try:
            self._fill(self._file)
        except BaseException:
            self._file.close()
            raise
        return self

    def _fill(self, file: IO[str]) -> None:
        self.shape.fields.update(self._controls)
        for record in self._records:
            gold = bool(record.get("gold", record.get("state") == "FINAL"))
            if not gold and not self._everything:
                self.shape.left_out += 1
                continue
            self.shape.learn(record)
            known = {key: record[key] for key in _KEYS if key in record}
            file.write(
                json_line(
                    {
                        **known,
                        "row": row_of(record),
                        "gold": gold,
                        **{key: record[key] for key in record if key not in _KEYS},
                    }
                )
                + "\n"
            )
        used = {name for name in self.shape.fields if name not in self._controls}
        self.shape.fields = {**self._controls, **{name: self.shape.fields[name] for name in sorted(used)}}

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def lines(self) -> Iterator[str]:
        """Each record's JSON, with its line end."""
        assert self._file is not None
        self._file.seek(0)
        yield from self._file

    def __iter__(self) -> Iterator[dict[str, Any]]:
        yield from map(json.loads, self.lines())
