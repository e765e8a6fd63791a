"""Spreadsheets as rows: every cell is text as somebody wrote it; formulas, control characters and long texts
survive."""

from __future__ import annotations

import datetime
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

from lxml import etree
from openpyxl.reader.excel import ExcelReader
from openpyxl.utils import get_column_letter
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.worksheet.formula import ArrayFormula, DataTableFormula
from openpyxl.xml.constants import SHARED_STRINGS

from label_studio_quorum.intake.faults import Place, RowFault, fault
from label_studio_quorum.intake.text_file import Record, UnreadableError, header_faults

__all__ = ["CELL_LIMIT", "CUT", "OWN_SHEETS", "read_own_sheet", "read_xlsx", "unescape"]

CELL_LIMIT = 32_767
CUT = CELL_LIMIT // 2
"""Texts from this length on may have been cut: a cell counts UTF-16 units, of which a character has one or two."""
OWN_SHEETS = frozenset({"quorum people", "quorum agreement", "quorum records"})
"""Sheets that Quorum's own export adds; they hold no rows."""

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


def _open(path: Path) -> Any:
    try:
        reader = _Workbook(str(path), read_only=True, data_only=False, keep_links=False)
        reader.read()
    except (
        InvalidFileException,
        zipfile.BadZipFile,
        KeyError,
        ParseError,
        etree.XMLSyntaxError,
        OSError,
        ValueError,
    ) as error:
        raise UnreadableError(fault("QD.E003.workbook", Place(str(path)), error=type(error).__name__)) from error
    return reader.wb


def read_xlsx(path: Path, *, sheet: str | None = None, required: Sequence[str] = ()) -> Iterator[Record | RowFault]:
    """Read every sheet whose first non-empty row names the required columns, in the order of the tabs; or only the
    sheet asked for.

    Raises UnreadableError where the file is no workbook or lacks the sheet.
    """
    book = _open(path)
    try:
        names = [name for name in book.sheetnames if name not in OWN_SHEETS]
        # Not a guess at the nearest name: another sheet may hold other rows under the same columns.
        if sheet is not None and sheet not in names:
            raise UnreadableError(fault("QD.E001.sheet", Place(str(path)), sheet=sheet, sheets=", ".join(names)))
        for name in [sheet] if sheet else names:
            yield from _read_sheet(
                book[name], Place(str(path), sheet=name), required, only=bool(sheet) or len(names) == 1
            )
    finally:
        book.close()


def _read_sheet(tab: Any, place: Place, required: Sequence[str], *, only: bool) -> Iterator[Record | RowFault]:
    tab.reset_dimensions()  # what a writer states about the size is often wrong
    names: list[str] | None = None
    letters: dict[str, str] = {}
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
        yield from _sheet_row(names, cells, here)


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
            faults.append(fault(kind, place, row_id=row_id, field=name or None))
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
    return _shown(cell), "QD.W004" if name in _TEXT_FIELDS - {"id"} or isinstance(value, _DATES) else None


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
    book = _open(path)
    try:
        if name not in book.sheetnames:
            raise UnreadableError(fault("QD.E001.own_sheet", Place(str(path)), sheet=name))
        yield from _read_sheet(book[name], Place(str(path), sheet=name), (), only=True)
    finally:
        book.close()
