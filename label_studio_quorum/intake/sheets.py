"""Spreadsheets as rows: every cell is text as somebody wrote it; formulas, control characters and long texts
survive."""

from __future__ import annotations

import datetime
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

from lxml import etree
from openpyxl.cell.read_only import EMPTY_CELL
from openpyxl.reader.excel import ExcelReader
from openpyxl.utils import column_index_from_string, get_column_letter
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.worksheet.formula import ArrayFormula, DataTableFormula
from openpyxl.xml.constants import SHARED_STRINGS

from label_studio_quorum.intake.faults import Place, RowFault, fault
from label_studio_quorum.intake.text_file import Record, UnreadableError, header_faults

__all__ = ["CELL_LIMIT", "CUT", "OWN_SHEETS", "read_own_sheet", "read_xlsx", "sheet_names", "unescape"]

CELL_LIMIT = 32_767
CUT = CELL_LIMIT // 2
"""Texts from this length on may have been cut: a cell counts UTF-16 units, of which a character has one or two."""
OWN_SHEETS = frozenset({"quorum people", "quorum agreement", "quorum records"})
"""Sheets that Quorum's own export adds; they hold no rows."""

_LARGE_PART = 100 * 2**20  # bytes that a part may have however well it packs
_MOST_PACKED = 200

_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_TEXT_FIELDS = frozenset({"id", "context", "query", "response", "domain"})


class _Exact(str):
    """A cell's text with its escapes already undone."""

    __slots__ = ()


def unescape(text: str) -> str:
    """Undo the escapes by which a spreadsheet file carries control characters (ECMA-376, ST_Xstring).

    >>> unescape("a_x000D_b"), unescape("_x005F_x0041_")
    ('a\\rb', '_x0041_')
    """
    return _ESCAPED.sub(lambda escape: chr(int(escape[1], 16)), text) if "_x" in text else text


class _Workbook(ExcelReader):  # type: ignore[misc]
    """openpyxl's reader, but for shared texts, in which it drops the escape of the escape and so loses `_x0041_`."""

    def read_strings(self) -> None:
        part = self.package.find(SHARED_STRINGS)
        if part is not None:
            with self.archive.open(part.PartName.lstrip("/")) as file:
                self.shared_strings = list(_shared(file))


def _shared(file: Any) -> Iterator[str]:
    for _, item in etree.iterparse(file, tag="{*}si"):
        runs = [node.text or "" for node in item.iter("{*}t") if not node.getparent().tag.endswith("}rPh")]
        yield _Exact(unescape("".join(runs)))
        item.clear()


def _refuse_bomb(path: Path) -> None:
    """Refuse a workbook whose parts are small in the file and would fill the memory.

    Parts of honest sheets pack about ten times; a sheet of the same few words over and over, a hundred times.
    """
    with zipfile.ZipFile(path) as archive:
        for part in archive.infolist():
            if part.file_size > _LARGE_PART and part.file_size > _MOST_PACKED * max(part.compress_size, 1):
                sizes = {"packed": f"{part.compress_size:,}", "unpacked": f"{part.file_size:,}"}
                raise UnreadableError(fault("QD.E003.bomb", Place(str(path)), part=part.filename, **sizes))


_DAMAGE = (
    InvalidFileException, zipfile.BadZipFile, zlib.error, KeyError, ParseError, etree.XMLSyntaxError, EOFError, OSError,
    ValueError, IndexError, RuntimeError,
)  # fmt: skip


def _open(path: Path) -> Any:
    try:
        _refuse_bomb(path)
        reader = _Workbook(str(path), read_only=True, data_only=False, keep_links=False)
        reader.read()
    except _DAMAGE as error:
        raise UnreadableError(fault("QD.E003.workbook", Place(str(path)), error=type(error).__name__)) from error
    return reader.wb


def sheet_names(path: Path) -> list[str]:
    """The sheets of a workbook, in the order of the tabs. Raises UnreadableError where the file is none."""
    with _opened(path) as book:
        return list(book.sheetnames)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A workbook, which may be damaged anywhere, also behind rows that could be read."""
    book = _open(path)
    try:
        yield book
    except _DAMAGE as error:
        raise UnreadableError(fault("QD.E003.workbook", Place(str(path)), error=type(error).__name__)) from error
    finally:
        book.close()


def read_xlsx(path: Path, *, sheet: str | None = None, required: Sequence[str] = ()) -> Iterator[Record | RowFault]:
    """Read every sheet whose first non-empty row names the required columns, in the order of the tabs; or only the
    sheet asked for.

    Raises UnreadableError where the file is no workbook or lacks the sheet.
    """
    with _opened(path) as book:
        names = [name for name in book.sheetnames if name not in OWN_SHEETS]
        # Not a guess at the nearest name: another sheet may hold other rows under the same columns.
        if sheet is not None and sheet not in names:
            raise UnreadableError(fault("QD.E001.sheet", Place(str(path)), sheet=sheet, sheets=", ".join(names)))
        for name in [sheet] if sheet else names:
            yield from _read_sheet(
                book[name], Place(str(path), sheet=name), required, only=bool(sheet) or len(names) == 1
            )


def _read_sheet(tab: Any, place: Place, required: Sequence[str], *, only: bool) -> Iterator[Record | RowFault]:
    tab.reset_dimensions()  # what a writer states about the size is often wrong
    names: list[str] | None = None
    letters: dict[str, str] = {}
    merged = _Merged(_merged_cells(tab))
    for number, cells in enumerate(tab.iter_rows(), 1):
        here = Place(place.file, number, place.sheet, letters)
        if not any(cell.value is not None for cell in cells):
            continue  # an empty row, before the header too
        if names is None:
            names = [_name(cell.value) for cell in cells]
            letters.update({name: get_column_letter(at) for at, name in enumerate(names, 1) if name})
            if wrong := header_faults(names, here):
                yield from wrong
                return
            if not only and not set(required) <= set(names):
                lacking = ", ".join(sorted(set(required) - set(names)))
                yield fault("QD.W005", here, sheet=place.sheet, columns=lacking)
                return
            continue
        filled = merged.fill(number, cells)
        for at, area in filled.first_uses:
            yield fault("QD.W008", here, field=names[at] if at < len(names) else None, range=area)
        yield from _sheet_row(names, filled.cells, here)


_MERGED = re.compile(rb'<(?:\w+:)?mergeCell\s[^>]*?\bref="\$?([A-Z]+)\$?(\d+):\$?[A-Z]+\$?(\d+)"')
_CHUNK = 1 << 20
_LONGEST_TAG = 256


def _merged_cells(tab: Any) -> dict[int, list[tuple[int, int, str]]]:
    """Of each area of merged cells that spans several rows: first row → column (from 0), last row, and the area in
    words. A reader that goes row by row does not give them, since they stand behind the rows."""
    areas_by_row: dict[int, list[tuple[int, int, str]]] = {}
    path = getattr(tab, "_worksheet_path", None)
    # A chart sheet has no cells.
    if path is None:
        return areas_by_row
    rest = b""
    with tab.parent._archive.open(path.lstrip("/")) as file:
        while chunk := file.read(_CHUNK):
            text = rest + chunk
            for match in _MERGED.finditer(text):
                letters, first, last = match[1].decode(), int(match[2]), int(match[3])
                if last > first:
                    area = (column_index_from_string(letters) - 1, last, f"{letters}{first}:{letters}{last}")
                    areas = areas_by_row.setdefault(first, [])
                    if area not in areas:
                        areas.append(area)
            rest = text[-_LONGEST_TAG:]
    return areas_by_row


@dataclass(slots=True)
class _Filled:
    """The cells of a row with what merged cells above lend it, and the areas that did so for the first time."""

    cells: Sequence[Any]
    first_uses: list[tuple[int, str]] = field(default_factory=list)


class _Merged:
    """Lends the lower rows of merged cells the cell at the top, which alone holds the text."""

    def __init__(self, areas: dict[int, list[tuple[int, int, str]]]) -> None:
        self._areas = areas
        self._open: dict[int, tuple[int, str, Any]] = {}
        self._used: set[str] = set()

    def fill(self, number: int, cells: Sequence[Any]) -> _Filled:
        """The row's cells; must be called for each row in turn."""
        made = _Filled(cells)
        if not self._areas:
            return made
        self._open = {at: entry for at, entry in self._open.items() if entry[0] >= number}
        whole = list(cells)
        # A file need not list the cells that a merged one covers.
        whole += [EMPTY_CELL] * (max(self._open, default=-1) + 1 - len(whole))
        for at, (_, area, top) in self._open.items():
            if at < len(whole) and whole[at].value is None:
                whole[at] = top
                if area not in self._used:
                    self._used.add(area)
                    made.first_uses.append((at, area))
        for at, last, area in self._areas.get(number, ()):
            if at < len(cells) and cells[at].value is not None:
                self._open[at] = (last, area, cells[at])
        made.cells = whole
        return made


def _name(value: Any) -> str:
    return "" if value is None else unescape(str(value)).strip()


def _sheet_row(names: list[str], cells: Sequence[Any], place: Place) -> Iterator[Record | RowFault]:
    values: dict[str, Any] = dict.fromkeys(names, "")
    faults: list[RowFault] = []
    for at, cell in enumerate(cells):
        if cell.value is None:
            continue
        name = names[at] if at < len(names) else ""
        text, kind = _text(cell, name)
        if kind:
            row_id = str(values.get("id") or "") or None
            faults.append(fault(kind, place, row_id=row_id, field=name or None, value=text))
        # Cells under no name are joined: the row check warns once of all that they hold.
        values[name] = text if name or not values.get("") else values[""] + text
    broken = next((at for at, cell_fault in enumerate(faults) if cell_fault.severity == "error"), None)
    if broken is None:
        yield from faults
        yield Record(values, place, typed=False)
    else:
        # In a table the error value would be a text like any other; with a cell too many the row stays out as it is.
        faults[broken] = replace(faults[broken], raw=(list(values), [*values.values(), ""]))
        yield from faults


def _text(cell: Any, name: str) -> tuple[str, str | None]:
    """A cell's content as text, and the kind of fault if it is not simply that."""
    value = cell.value
    if isinstance(value, ArrayFormula | DataTableFormula):
        return f"={str(getattr(value, 'text', '') or '').lstrip('=')}", "QD.W002"
    if isinstance(value, str):
        text = str(value) if isinstance(value, _Exact) else unescape(value)
        # The result that the file carries may be old, and the formula may be the text itself, as in '=)'.
        if cell.data_type == "f":
            return text, "QD.W002"
        if cell.data_type == "e":
            return text, "QD.E014"
        return text, "QD.W003" if len(text) >= CELL_LIMIT else None
    # Formatting does not bring back what the number has lost.
    if _is_rounded(value):
        return _spelled(value), "QD.E015" if name in _TEXT_FIELDS else "QD.W004.digits"
    return _shown(cell), "QD.W004" if name in _TEXT_FIELDS - {"id"} or isinstance(value, _DATES) else None


_DIGITS = 15
_MOST = 10**25
"""From here on a number is a quantity and no id."""


def _is_rounded(value: Any) -> bool:
    """Whether a whole number has more digits than a spreadsheet keeps, so that some of them may be lost.

    Spreadsheets round to 15 digits. A program may write more of them into the file, and those are read exactly.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if not 10**_DIGITS <= abs(value) < _MOST:
        return False
    return isinstance(value, float) or len(str(abs(value)).rstrip("0")) <= _DIGITS


_DATES = (datetime.date, datetime.time, datetime.timedelta)


def _shown(cell: Any) -> str:
    """A number, date or truth value as text; one that is formatted to show leading zeros has them."""
    text, pattern = _spelled(cell.value), str(cell.number_format)
    return text.zfill(len(pattern)) if text.isdigit() and set(pattern) == {"0"} else text


def _spelled(value: Any) -> str:
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return value.isoformat() if isinstance(value, datetime.date | datetime.time) else str(value)


def read_own_sheet(path: Path, name: str) -> Iterator[Record | RowFault]:
    """Read one of the sheets that Quorum's own export adds. Raises UnreadableError where the workbook does not have
    it."""
    with _opened(path) as book:
        if name not in book.sheetnames:
            raise UnreadableError(fault("QD.E001.own_sheet", Place(str(path)), sheet=name))
        yield from _read_sheet(book[name], Place(str(path), sheet=name), (), only=True)
