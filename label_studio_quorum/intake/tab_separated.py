r"""Tab-separated values, which programs write in three ways.

`csv`: as spreadsheets do, a cell with a tab, line break, comma or quote in quotes, its own quotes doubled. `none`:
a tab ends a cell and a line end ends a row, and a quote is a character like any other. `backslash`: as databases do
(PostgreSQL's COPY, MySQL's batch mode), like `none`, with `\t`, `\n` and `\\` for what would end a cell, and `\N` for
null.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from label_studio_quorum.intake.faults import Place, RowFault, fault

__all__ = ["QUOTES", "plain_rows", "quotes_of"]

QUOTES = ("csv", "none", "backslash")
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "\\": "\\", "N": ""}
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_WHOLE = re.compile(r'"(?:[^"]|"")*"')
"""A cell that is quoted by the rules of CSV from its beginning to its end."""


@dataclass(slots=True)
class _Ways:
    """What a file shows of the way in which it was written."""

    lines: int = 0
    broken: int = 0
    """Lines that have not as many cells as the header, when a quote is a character like any other."""
    first_quote: int | None = None
    whole: bool = True
    """Whether each cell that begins with a quote is quoted by the rules of CSV to its end."""
    needed: bool = False
    """Whether one of them holds what had to be quoted."""
    quoted_header: bool = False
    nulls: bool = False
    escapes: int = 0
    first_escape: int | None = None
    stray: bool = False
    """Whether a backslash stands before a character with which no database escapes."""


def quotes_of(path: Path, encoding: str) -> tuple[str, RowFault | None]:
    """The way in which a file was written, and a warning where another one would fit too.

    Read a line at a time: where each line has the cells of the header, no quote holds a line break, so quotes are
    those of CSV only if every cell that begins with one also ends with one, and the header or a cell that had to be
    quoted is among them. Where lines have other numbers of cells, the rules of CSV hold if they mend more than they
    break.
    """
    ways = _look(path, encoding)
    place = Place(str(path), ways.first_quote)
    if ways.first_quote is not None:
        if ways.broken:
            return ("csv" if _csv_breaks(path, encoding) < ways.broken else "none"), None
        if not ways.whole:
            return "none", None
        if ways.needed or ways.quoted_header:
            return "csv", fault("QD.W007.csv", place)
        return "none", fault("QD.W007.none", place)
    if ways.escapes and not ways.stray:
        if ways.nulls:
            return "backslash", None
        return "none", fault("QD.W007.backslash", Place(str(path), ways.first_escape))
    return "none", None


def _look(path: Path, encoding: str) -> _Ways:
    ways, columns = _Ways(), 0
    for number, cells in plain_rows(path, encoding):
        if number == 1 and cells[0].lower().startswith("sep="):
            continue  # the line by which Excel is told the delimiter
        ways.lines += 1
        if ways.lines == 1:
            columns = len(cells)
            ways.quoted_header = all(_WHOLE.fullmatch(cell) for cell in cells)
        ways.broken += len(cells) != columns
        for cell in cells:
            if cell.startswith('"'):
                ways.first_quote = ways.first_quote or number
                ways.whole = ways.whole and _WHOLE.fullmatch(cell) is not None
                ways.needed = ways.needed or '""' in cell[1:-1] or "," in cell
            if "\\" in cell:
                _look_at_escapes(ways, cell, number)
    return ways


def _look_at_escapes(ways: _Ways, cell: str, number: int) -> None:
    ways.nulls = ways.nulls or cell == "\\N"
    marks = _ESCAPED.findall(cell)
    ways.escapes += len(marks)
    ways.first_escape = ways.first_escape or number
    ways.stray = ways.stray or not set(marks) <= _ESCAPES.keys() or _ESCAPED.sub("", cell).endswith("\\")


def _csv_breaks(path: Path, encoding: str) -> float:
    """How many rows do not fit the header when quotes are those of CSV; without end where one is never closed."""
    with path.open(encoding=encoding, newline="") as file:
        reader = csv.reader(file, delimiter="\t", strict=True)
        try:
            columns = len(next(reader, []))
            return sum(bool(cells) and len(cells) != columns for cells in reader)
        except csv.Error:
            return float("inf")


def plain_rows(path: Path, encoding: str, *, escapes: bool = False) -> Iterator[tuple[int, list[str]]]:
    """Each line that is not empty, with its number, cut at its tabs; `escapes` undoes what a database escaped."""
    with path.open(encoding=encoding, newline="\n") as file:
        first = file.readline()
    # Old Macs end lines with CR alone.
    end = "\r" if "\r" in first.removesuffix("\n").removesuffix("\r") else "\n"
    with path.open(encoding=encoding, newline=end) as file:
        for number, line in enumerate(file, 1):
            text = line.removesuffix("\n").removesuffix("\r")
            if text:
                cells = text.split("\t")
                yield number, [_unescaped(cell) for cell in cells] if escapes else cells


def _unescaped(cell: str) -> str:
    return _ESCAPED.sub(lambda mark: _ESCAPES.get(mark[1], mark[0]), cell) if "\\" in cell else cell
