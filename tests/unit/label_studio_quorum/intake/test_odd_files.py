"""Files as people send them: each comes in right, or a fault says where it is wrong and what to do."""

from __future__ import annotations

import datetime
import decimal
import gzip
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from label_studio_quorum.campaign.importing import CheckedFile
from label_studio_quorum.intake import Row, RowFault, read_rows
from label_studio_quorum.intake.text_file import decoding
from ls_config import load
from review_rules import load_policy

REVIEW = load("response_review")
HEAD = "id,context,query,response\n"
ROW = {"id": "a", "context": "", "query": "q", "response": "r"}

SAID = {
    "cp1252": "Ein Kontext mit Öl und Äpfeln; Größe? Sie ist schön — oder auch nicht €.",
    "cp1250": "Příliš žluťoučký kůň úpěl ďábelské ódy. Kde je škola? Děkuji vám pěkně.",
    "cp1251": "Где находится школа? Спасибо большое, до свидания. Ответ верный.",
    "mac_roman": "Ein Kontext mit Öl und Äpfeln; Größe? schön",
    "cp932": "これは答えです。学校はどこですか。ありがとうございます。",
}


def read(path: Path) -> tuple[list[Row], list[RowFault]]:
    """Rows and faults of a file."""
    found = list(read_rows(path, interface=REVIEW))
    return [one for one in found if isinstance(one, Row)], [one for one in found if isinstance(one, RowFault)]


@pytest.mark.parametrize("encoding", SAID)
def test_texts_without_a_mark_are_read_as_their_programs_wrote_them(encoding: str, tmp_path: Path) -> None:
    """What Windows, its spreadsheets and old Macs write is read without a wrong letter, and the guess is said."""
    path = tmp_path / "a.csv"
    text = HEAD + "".join(f"r{at},,{SAID[encoding][:20]},{SAID[encoding]}\n" for at in range(20))
    path.write_bytes(text.encode(encoding))
    guessed, doubt = decoding(path)
    assert path.read_bytes().decode(guessed) == text
    assert doubt is not None
    assert doubt.id == "QD.W001"
    assert guessed in doubt.message


REFUSED: dict[str, tuple[str, bytes, str, str]] = {
    "gzip": ("rows.jsonl.gz", gzip.compress(b"{}"), "QD.E003", "gunzip"),
    "gzip by another name": ("rows.jsonl", gzip.compress(b"{}"), "QD.E003", "gunzip"),
    "an old workbook": ("rows.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(64), "QD.E003", ".xlsx"),
    "an array inside of an object": ("rows.json", json.dumps({"rows": [ROW]}).encode(), "QD.E003", "jq '.rows'"),
    "the same over several lines": (
        "rows.json",
        json.dumps({"rows": [ROW]}, indent=1).encode(),
        "QD.E003",
        "jq '.rows'",
    ),
    "capital column names": ("rows.csv", b"ID,Context,Query,Response\na,,q,r\n", "QD.E012", "--map id=ID"),
    "a number beyond all numbers": (
        "rows.jsonl",
        json.dumps(ROW)[:-1].encode() + b', "n": 1e999}\n',
        "QD.E008",
        "null",
    ),
    "a manifest of files": ("m.manifest", b'{"source-ref": "s3://bucket/a.txt"}\n', "QD.E023", "'source'"),
    "an empty file": ("rows.csv", b"", "QD.E002", "first line"),
    "a header alone": ("rows.csv", HEAD.encode(), "QD.E002", "first line"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_read_is_said_with_its_cure(what: str, tmp_path: Path) -> None:
    """No row comes out, and the first fault names the kind of mistake and the next step."""
    name, content, kind, cure = REFUSED[what]
    path = tmp_path / name
    path.write_bytes(content)
    rows, faults = read(path)
    assert rows == []
    assert (faults[0].id, cure in faults[0].hint) == (kind, True), [str(one) for one in faults]


def test_a_small_workbook_that_would_fill_the_memory_is_refused_unread(tmp_path: Path) -> None:
    """A cell of a hundred million characters packs into a thousandth: no spreadsheet program writes one."""
    honest, path = tmp_path / "honest.xlsx", tmp_path / "a.xlsx"
    book = openpyxl.Workbook()
    book.active.append(list(ROW))
    for _ in range(2000):
        book.active.append(["same"] * len(ROW))
    book.save(honest)
    assert len(read(honest)[0]) == 1
    with zipfile.ZipFile(honest) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for part in source.infolist():
            content = source.read(part)
            if part.filename == "xl/worksheets/sheet1.xml":
                content = content.replace(b"</sheetData>", b" " * (110 << 20) + b"</sheetData>")
            target.writestr(part, content)
    assert path.stat().st_size < 1 << 20
    assert [(said.id, said.hint) for said in read(path)[1]] == [
        ("QD.E003", "Save the rows anew in a spreadsheet program, or as CSV.")
    ]


def test_an_object_a_line_may_be_called_json(tmp_path: Path) -> None:
    """Lines that begin with a list are no wrapping around rows."""
    path = tmp_path / "rows.json"
    path.write_text("".join(json.dumps({"tags": [{"n": 1}]} | ROW | {"id": name}) + "\n" for name in "ab"))
    rows, faults = read(path)
    assert ([row.row_id for row in rows], faults) == (["a", "b"], [])


def test_typed_columns_of_parquet_survive_as_json(tmp_path: Path) -> None:
    """Times, decimals, durations, maps and bytes come in as values that every export can write."""
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    columns: dict[str, Any] = {name: [value] for name, value in ROW.items()}
    columns |= {
        "when": [datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)],
        "price": [decimal.Decimal("1.10")],
        "took": [datetime.timedelta(seconds=5)],
        "raw": [b"\xff\x00"],
        "pairs": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
        "nest": [{"a": [1, None]}],
        "share": [float("inf")],
        "none": [float("nan")],
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    [row], faults = read(tmp_path / "a.parquet")
    assert faults == []
    assert json.loads(json.dumps(dict(row.extra))) == {
        "when": "2024-01-02T03:04:05+00:00",
        "price": "1.10",
        "took": "0:00:05",
        "raw": "base64:/wA=",
        "pairs": [["k", 1]],
        "nest": {"a": [1, None]},
        "share": "inf",
        "none": None,
    }


def test_rows_of_a_folder_know_their_split(tmp_path: Path) -> None:
    """Of several splits each row says which it was in; of one none does."""
    for split in ("train", "test"):
        line = json.dumps(ROW | {"id": f"{split}-1"})
        (tmp_path / f"{split}-00000-of-00001.jsonl").write_text(line + "\n")
    rows, faults = read(tmp_path)
    assert ({row.row_id: row.extra["split"] for row in rows}, faults) == ({"test-1": "test", "train-1": "train"}, [])
    (tmp_path / "test-00000-of-00001.jsonl").unlink()
    [row], _ = read(tmp_path)
    assert dict(row.extra) == {}


def test_numbers_shown_with_zeros_are_read_as_shown(tmp_path: Path) -> None:
    """The id 007 that a spreadsheet keeps as 7 with the format 000 is not another row than its text."""
    book = openpyxl.Workbook()
    book.active.append(list(ROW))
    book.active.append([7, "", "q", "r"])
    book.active["A2"].number_format = "000"
    book.save(tmp_path / "a.xlsx")
    [row], _ = read(tmp_path / "a.xlsx")
    assert row.row_id == "007"


CUT: dict[str, tuple[str, Callable[[str], str]]] = {
    "an open quote": ("rows.csv", lambda line: HEAD + 'a,,q,r\nb,,q,"never closed\nc,,q,r\n'),
    "a cut array": ("rows.json", lambda line: f"[{line}, {line[:20]}"),
}


@pytest.mark.parametrize("what", CUT)
def test_rows_that_were_not_read_are_no_rows_left_out(what: str, tmp_path: Path) -> None:
    """Where the rest of a file could not be read, no file of rejects can hold it: an import must refuse."""
    name, content = CUT[what]
    path = tmp_path / name
    path.write_text(content(json.dumps(ROW)), encoding="utf-8")
    with CheckedFile.read(path, interface=REVIEW, policy=load_policy("version: 1\n")) as checked:
        assert (checked.rows, len(checked.unread)) == (1, 1)


def test_lines_that_can_be_handed_back_count_as_read(tmp_path: Path) -> None:
    """A broken line and a row with too few cells stand in the file of rejects; the rest comes in."""
    for name, content in (("a.jsonl", f'{json.dumps(ROW)}\n{{"id"\n'), ("b.csv", HEAD + "a,,q,r\nb,,q\n")):
        (tmp_path / name).write_text(content, encoding="utf-8")
        with CheckedFile.read(tmp_path / name, interface=REVIEW, policy=load_policy("version: 1\n")) as checked:
            assert (checked.rows, len(checked.errors), checked.unread) == (1, 1, [])
