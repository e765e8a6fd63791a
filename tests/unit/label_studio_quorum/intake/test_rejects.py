"""Rows that were kept out can be mended where they were written and imported from there."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest

from label_studio_quorum.intake import Row, RowFault, read_rows
from label_studio_quorum.intake.rejects import FAULTS, Rejects
from ls_config import load

REVIEW = load("response_review")
ODD = 'ACME said "no",\n😀 and =1+1\t'
COLUMNS = ["id", "context", "query", "response", "auto_label.verdict", "note"]
GOOD = ["r1", "", "q", ODD, "Correct", "007"]
BAD = ["r2", "", "q", f"{ODD} again", "Wrong", "008"]


def write_jsonl(path: Path) -> None:
    """Objects: a good one, one with a wrong label, two lines that are no objects."""
    lines = [json.dumps(dict(zip(COLUMNS, cells, strict=True)) | {"tags": [1, None]}) for cells in (GOOD, BAD)]
    path.write_text("\n".join([*lines, '{"id": "r3", "context": "c"', '["r4"]']) + "\n", encoding="utf-8")


def write_csv(path: Path) -> None:
    """A table with a wrong label, a row that is too short and one that is too long."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([COLUMNS, GOOD, BAD, ["r3", "c"], [*GOOD, "one more"]])


def write_xlsx(path: Path) -> None:
    """A workbook with a wrong label and an error value."""
    book = openpyxl.Workbook()
    for cells in (COLUMNS, GOOD, BAD, ["r3", "", "#REF!", "text", "Correct", ""]):
        book.active.append(cells)
    book.save(path)


@pytest.mark.parametrize(
    ("name", "make", "ending"),
    [("a.jsonl", write_jsonl, ".jsonl"), ("a.csv", write_csv, ".csv"), ("a.xlsx", write_xlsx, ".csv")],
)
def test_rejects_are_as_given_and_come_in_once_mended(
    name: str, make: Callable[[Path], None], ending: str, tmp_path: Path
) -> None:
    """Nothing in the file of rejects comes in as it is; with the label mended its row comes in as it was given."""
    make(tmp_path / name)
    rejects = Rejects()
    first = list(read_rows(tmp_path / name, interface=REVIEW, rejects=rejects))
    assert [one.row_id for one in first if isinstance(one, Row)] == ["r1"]
    [place] = rejects.write(tmp_path / "rejects")
    rejects.close()
    assert place == tmp_path / f"rejects{ending}"
    again = list(read_rows(place, interface=REVIEW))
    assert not [one for one in again if isinstance(one, Row)]
    assert ids(again) == {"QD.E009" if kind == "QD.E014" else kind for kind in ids(first)}
    text = place.read_bytes().replace(b"'Wrong' is no label", b"").replace(b"Wrong", b"Correct")
    place.write_bytes(text)
    [mended] = [one for one in read_rows(place, interface=REVIEW) if isinstance(one, Row) and one.row_id == "r2"]
    assert (mended.response, mended.extra["note"]) == (BAD[3], "008")
    assert FAULTS not in mended.extra
    assert mended.auto_label == {"verdict": "Correct"}


def ids(found: list[Row | RowFault]) -> set[str]:
    """Kinds of errors."""
    return {one.id for one in found if isinstance(one, RowFault) and one.severity == "error"}


def test_each_reject_says_what_is_wrong(tmp_path: Path) -> None:
    """The faults stand beside the row, with their ids and what to do."""
    write_csv(tmp_path / "a.csv")
    rejects = Rejects()
    list(read_rows(tmp_path / "a.csv", interface=REVIEW, rejects=rejects))
    [place] = rejects.write(tmp_path / "b")
    rejects.close()
    with place.open(encoding="utf-8", newline="") as file:
        _, wrong, short, long = csv.reader(file)
    assert "QD.E043" in wrong[len(COLUMNS)]
    assert "QD.E009" in short[2]
    assert "QD.E009" in long[len(COLUMNS)]
    assert long[-1] == "one more"
