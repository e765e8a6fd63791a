"""CSV and XLSX: one row a record, one column a field and annotator."""

from __future__ import annotations

import csv
import datetime
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from label_studio_quorum.gold.spool import STAGES, RecordShape, Spool
from label_studio_quorum.intake.cells import NOTE, OWN_PREFIX, add_to_note, encode, spell
from label_studio_quorum.intake.sheets import CELL_LIMIT
from review_rules import Stage

__all__ = [
    "FORMULA_STARTS",
    "RECORD",
    "agreement_cells",
    "fitting",
    "outcome_values",
    "people_cells",
    "table_cells",
    "table_columns",
    "write_csv",
    "write_xlsx",
]

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_STAGE_WORD = {stage.key: stage.value for stage in Stage}
_EPOCH = datetime.datetime(1980, 1, 1)
RECORD = OWN_PREFIX + "record"
_RISKY = "cells that a spreadsheet would read as a formula; open the XLSX instead, or write with --guard"
_GUARDED = "cells that begin like a formula, guarded by an apostrophe"


def table_columns(shape: RecordShape) -> list[str]:
    """The header: the row's own columns, the outcome, each field's final value and origin, then each annotator's
    value of each field."""
    own = ["gold", "state", "domain", "reviewers", "expert"]
    own += [f"{part}.{name}" for name in shape.fields for part in ("final", "origin")]
    for stage in STAGES:
        own += [f"{_STAGE_WORD[stage]}.{name}.{who}" for name in shape.fields for who in sorted(shape.people[stage])]
        own += [f"{_STAGE_WORD[stage]}.decision.{who}" for who in sorted(shape.people[stage]) if stage != "passes"]
    return [*shape.ordered_columns(), NOTE, *(OWN_PREFIX + name for name in own)]


def table_cells(record: Mapping[str, Any], columns: Sequence[str]) -> dict[str, str]:
    """A record's cells by column; of several submissions of one person in one stage the last is shown."""
    cells, note = encode(record["row"], [name for name in columns if not name.startswith(OWN_PREFIX)])
    own = {name: spell(value) for name, value in outcome_values(record).items()}
    return {**cells, NOTE: note, **own}


def outcome_values(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a table shows beside a record's row, by column."""
    certificate = record.get("certificate") or {}
    people = [*certificate.get("passes", ()), certificate.get("qa"), *certificate.get("expert", ())]
    own: dict[str, Any] = {
        "gold": record["gold"],
        "state": record.get("state"),
        "domain": record.get("domain") or record.get("predicted_domain"),
        "reviewers": " ".join(str(who) for who in people if who),
        "expert": " ".join(
            sorted({str(who) for holders in certificate.get("domains", {}).values() for who in holders})
        ),
    }
    for name, label in ((record.get("final") or {}).get("values") or {}).items():
        own[f"final.{name}"], own[f"origin.{name}"] = label.get("value"), label.get("origin")
    for stage in STAGES:
        for submission in record.get(stage) or ():
            # What nobody stands behind has no column.
            if who := submission.get("by"):
                for name, value in (submission.get("values") or {}).items():
                    own[f"{_STAGE_WORD[stage]}.{name}.{who}"] = value
                own[f"{_STAGE_WORD[stage]}.decision.{who}"] = submission.get("decision")
    return {OWN_PREFIX + name: value for name, value in own.items()}


def write_csv(spool: Spool, path: Path, lints: Counter[str], *, guard: bool = False, bom: bool = False) -> None:
    """Write RFC 4180 CSV in UTF-8, the whole record as JSON in the last column.

    Texts are written as they are, so that what was imported comes out again; a cell that a spreadsheet would take for
    a formula is counted as a lint. `guard` puts an apostrophe before such cells, for files that people open rather
    than programs; `bom` begins the file with a byte order mark, without which Excel reads it as Windows-1252.
    """
    columns = table_columns(spool.shape)
    with path.open("w", encoding="utf-8-sig" if bom else "utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow([*columns, RECORD])
        for line, record in _with_lines(spool):
            cells = table_cells(record, columns)
            risky = [name for name in columns if cells.get(name, "").startswith(FORMULA_STARTS)]
            if risky:
                lints[_GUARDED if guard else _RISKY] += len(risky)
            if guard:
                cells |= {name: "'" + cells[name] for name in risky}
                cells[NOTE] = add_to_note(
                    cells[NOTE], "guarded", [name for name in risky if name in spool.shape.columns]
                )
            writer.writerow([*(cells.get(name, "") for name in columns), line])


def _with_lines(spool: Spool) -> Iterator[tuple[str, dict[str, Any]]]:
    for line in spool.lines():
        yield line, json.loads(line)


def write_xlsx(spool: Spool, path: Path, lints: Counter[str], agreement: Iterable[Mapping[str, Any]] = ()) -> None:
    """Write a workbook: the rows, the people, the agreement, and the whole records in pieces that fit a cell. Every
    cell is a text.

    A text longer than a cell may be is cut there, and whole in the sheet of records; each is counted as a lint.
    """
    import xlsxwriter

    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    book = xlsxwriter.Workbook(str(path), options)
    book.set_properties({"created": _EPOCH, "title": "Quorum export"})
    text, bold = book.add_format({"num_format": "@"}), book.add_format({"num_format": "@", "bold": True})
    rows, people = book.add_worksheet("rows"), book.add_worksheet("quorum people")
    figures, records = book.add_worksheet("quorum agreement"), book.add_worksheet("quorum records")
    columns = table_columns(spool.shape)
    _head(rows, columns, text, bold)
    _head(records, ["row_id", "part", "json"], text, bold)
    work: Counter[tuple[str, str]] = Counter()
    at = 0
    for number, (line, record) in enumerate(_with_lines(spool), 1):
        cells = table_cells(record, columns)
        _line(rows, number, [cells.get(name, "") for name in columns], text, lints)
        for part, piece in enumerate(_pieces(line), 1):
            at += 1
            _line(records, at, [str(record["row_id"]), str(part), piece], text, lints)
        work.update((str(submission.get("by")), stage) for stage in STAGES for submission in record.get(stage) or ())
    for sheet, (head, *lines) in ((people, people_cells(work)), (figures, agreement_cells(agreement))):
        _head(sheet, head, text, bold)
        for number, values in enumerate(lines, 1):
            _line(sheet, number, values, text, lints)
    book.close()


def people_cells(work: Counter[tuple[str, str]]) -> list[list[str]]:
    """The sheet of people, its head first: how many submissions each made in each stage.

    Args:
        work: person and stage → submissions.
    """
    head = ["person", *(_STAGE_WORD[stage] for stage in STAGES)]
    return [head] + [
        [who, *(str(work[who, stage]) for stage in STAGES)] for who in sorted({person for person, _ in work})
    ]


def agreement_cells(agreement: Iterable[Mapping[str, Any]]) -> list[list[str]]:
    """The sheet of agreement, its head first."""
    head = ["field", "measure", "value", "low", "high", "reason", "rows"]
    return [head] + [[spell(figure.get(name)) for name in head] for figure in agreement]


def _head(sheet: Any, names: Sequence[str], text: Any, bold: Any) -> None:
    sheet.set_column(0, max(len(names) - 1, 0), 24, text)
    sheet.freeze_panes(1, 1)
    for at, name in enumerate(names):
        sheet.write_string(0, at, name, bold)


def _line(sheet: Any, number: int, values: Sequence[str], text: Any, lints: Counter[str]) -> None:
    for at, value in enumerate(values):
        shown = fitting(value)
        if len(shown) < len(value):
            lints["texts cut at 32,767 characters in the sheet of rows (whole in the sheet of records)"] += 1
        if shown:
            sheet.write_string(number, at, shown, text)


def fitting(value: str) -> str:
    """As much of a text as a cell holds, which is counted in UTF-16 units."""
    if len(value) * 2 <= CELL_LIMIT:
        return value
    return value.encode("utf-16-le", "surrogatepass")[: CELL_LIMIT * 2].decode("utf-16-le", "ignore")


def _pieces(line: str) -> Iterator[str]:
    # Escapes make a piece longer in the file, not in the cell; the limit counts UTF-16 units, hence half of it.
    size = CELL_LIMIT // 2
    yield from (line[at : at + size] for at in range(0, len(line), size))
