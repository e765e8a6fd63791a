"""Checked rows stored on disk, so that neither their number nor the size of their file fills the memory."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from label_studio_quorum.intake.faults import Place
from label_studio_quorum.intake.row import Row

__all__ = ["StoredRows", "rows_in"]


class StoredRows:
    """Takes rows and gives them back in order, as often as asked; `close` removes them."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="quorum-")
        self._path = Path(self._folder.name) / "rows.jsonl"
        self._file = self._path.open("w", encoding="utf-8", newline="\n")
        self._letters: Mapping[str, str] | None = None

    def add(self, row: Row) -> None:
        """Store one more row."""
        place = row.place
        if place is not None and place.letters is not None and place.letters != self._letters:
            # The letters of a sheet are the same for all of its rows: written once, in a line of their own.
            self._letters = place.letters
            self._file.write(json.dumps(dict(place.letters)) + "\n")
        where = None if place is None else [place.file, place.line, place.sheet, place.letters is not None]
        parts = [row.row_id, row.context, row.query, row.response, row.domain, row.auto_label, dict(row.extra), where]
        self._file.write(json.dumps(parts, default=dict) + "\n")

    def path(self) -> Path:
        """The file, with all rows so far in it; only this account can read it."""
        self._file.flush()
        return self._path

    def __iter__(self) -> Iterator[Row]:
        return rows_in(self.path())

    def close(self) -> None:
        """Remove the file."""
        try:
            self._file.close()  # writes what is left, for which the disk may be too full
        finally:
            self._folder.cleanup()


def rows_in(path: Path) -> Iterator[Row]:
    """The rows of a file that `StoredRows` wrote."""
    letters: dict[str, str] | None = None
    with path.open(encoding="utf-8", newline="\n") as file:
        for line in file:
            parts: list[Any] | dict[str, str] = json.loads(line)
            # An object is no row but the column letters of the sheet whose rows follow.
            if isinstance(parts, dict):
                letters = parts
                continue
            row_id, context, query, response, domain, auto_label, extra, where = parts
            yield Row(
                row_id=row_id,
                context=context,
                query=query,
                response=response,
                domain=domain,
                auto_label=auto_label,
                extra=extra,
                place=_place(where, letters),
            )


def _place(where: list[Any] | None, letters: dict[str, str] | None) -> Place | None:
    if where is None:
        return None
    file, line, sheet, lettered = where
    return Place(file, line, sheet, letters if lettered else None)
