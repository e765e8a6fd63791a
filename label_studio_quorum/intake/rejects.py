"""Rows that were kept out, written as they came with what is wrong next to them, so that somebody can mend them
and import that file."""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from label_studio_quorum.files import new_file
from label_studio_quorum.intake.cells import OWN_PREFIX
from label_studio_quorum.intake.faults import RowFault
from label_studio_quorum.intake.text_file import Record

__all__ = ["FAULTS", "Rejects"]

FAULTS = OWN_PREFIX + "faults"
"""The column of what is wrong; like all of Quorum's own columns it is left out on the way in."""


class Rejects:
    """Keeps rejected rows on disk until they are written; its user closes it."""

    def __init__(self) -> None:
        self._stored = tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n")  # noqa: SIM115 - `close` closes it
        self._columns: dict[str, None] = {}
        self.tables = self.objects = 0

    def close(self) -> None:
        """Remove the rows from the disk."""
        self._stored.close()

    def add(self, raw: Record | str | tuple[list[str], list[str]], faults: Sequence[RowFault]) -> None:
        """Keep one row: a record, the text of a line that is no record, or the header and the cells of a table row
        that does not fit it."""
        names: Sequence[str] = ()
        content: Any
        match raw:
            case str():
                typed, content = True, raw
            case Record():
                typed, content = raw.typed, raw.values
                names = () if typed else list(raw.values)
            case _:
                typed, (names, content) = False, raw
        # What came as an object goes back as one, so that its mended file is read like the file it came from.
        self.objects += typed
        self.tables += not typed
        self._columns.update(dict.fromkeys(name for name in names if name != FAULTS))
        entry = [typed, content, [str(fault) for fault in faults if fault.severity == "error"]]
        self._stored.write(json.dumps(entry, default=str) + "\n")

    def write(self, place: Path) -> list[Path]:
        """Write `<place>.jsonl` for rows that were objects and `<place>.csv` for rows of tables; the files.

        A line that is no JSON stands in the file as it stood, and a table row with too few or too many cells keeps
        them, so that neither comes in unless it is mended.
        """
        made = []
        if self.objects:
            made.append(place.with_name(place.name + ".jsonl"))
            with new_file(made[-1]) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
                file.writelines(f"{_line(raw, faults)}\n" for typed, raw, faults in self._all() if typed)
        if self.tables:
            made.append(place.with_name(place.name + ".csv"))
            with new_file(made[-1]) as temporary, temporary.open("w", encoding="utf-8", newline="") as table:
                writer = csv.writer(table, lineterminator="\r\n")
                writer.writerow([*self._columns, FAULTS])
                writer.writerows(self._cells(raw, faults) for typed, raw, faults in self._all() if not typed)
        return made

    def _all(self) -> Any:
        self._stored.seek(0)
        return map(json.loads, self._stored)

    def _cells(self, raw: dict[str, str] | list[str], faults: list[str]) -> list[str]:
        if isinstance(raw, list):
            return [*raw[: len(self._columns)], "\n".join(faults), *raw[len(self._columns) :]]
        return [*(raw.get(name, "") for name in self._columns), "\n".join(faults)]


def _line(raw: dict[str, Any] | str, faults: list[str]) -> str:
    if isinstance(raw, str):
        return raw
    text = json.dumps(raw | {FAULTS: faults}, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair can only be written escaped
        return json.dumps(raw | {FAULTS: faults})
    return text
