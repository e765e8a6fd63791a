"""What a file can hold that is read otherwise than the program that wrote it meant: each comes in right, or is told."""

from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from label_studio_quorum.intake import Options, Row, RowFault, load_mapping, open_source, read_rows
from label_studio_quorum.intake.text_file import decoding
from ls_config import load

REVIEW = load("response_review")
HEAD = ["id", "context", "query", "response"]


def read(path: Path, **how: Any) -> tuple[list[dict[str, Any]], list[RowFault]]:
    """The columns of each row, and the faults."""
    outcome = list(read_rows(path, interface=REVIEW, **how))
    return (
        [entry.columns() for entry in outcome if isinstance(entry, Row)],
        [entry for entry in outcome if isinstance(entry, RowFault)],
    )


def ids(faults: list[RowFault]) -> list[str]:
    """The ids of faults."""
    return [entry.id for entry in faults]


# --- tab-separated values ------------------------------------------------------------------------------------------

TSV = "\t".join(HEAD) + "\n"
WRITTEN = {
    # A database's plain cell begins with a quote that never ends, or ends two rows on.
    "an open quote": (TSV + 'a\t\tq\t"Open\nb\t\tq\tr\n', "none", ['"Open', "r"], []),
    "a quote that ends two rows on": (TSV + 'a\t\tq\t"Open\nb\t\tq"\tr\n', "none", ['"Open', "r"], []),
    "a quoted word at the start": (TSV + 'a\t\tq\t"Yes" is right\n', "none", ['"Yes" is right'], []),
    "quotes that nothing needs": (TSV + 'a\t\tq\t"Yes"\n', "none", ['"Yes"'], ["QD.W007"]),
    # A spreadsheet quotes what holds a quote, a comma, a tab or a line break.
    "doubled quotes": (TSV + 'a\t\tq\t"He said ""yes"""\n', "csv", ['He said "yes"'], ["QD.W007"]),
    "a comma": (TSV + 'a\t\tq\t"Yes, it is"\n', "csv", ["Yes, it is"], ["QD.W007"]),
    "a line break": (TSV + 'a\t\tq\t"one\ntwo"\nb\t\tq\tr\n', "csv", ["one\ntwo", "r"], []),
    "a tab": (TSV + 'a\t\tq\t"one\ttwo"\n', "csv", ["one\ttwo"], []),
    "all quoted": ('"id"\t"context"\t"query"\t"response"\n"a"\t""\t"q"\t"r"\n', "csv", ["r"], ["QD.W007"]),
    # Databases that escape write \N for null.
    "escapes": (TSV + "a\t\\N\tq\tone\\ntwo\\tC:\\\\dir\n", "backslash", ["one\ntwo\tC:\\dir"], []),
    "escapes without a null": (TSV + "a\t\tq\tone\\ntwo\n", "none", ["one\\ntwo"], ["QD.W007"]),
    "backslashes of a formula": (TSV + "a\t\tq\t\\sum \\nu\n", "none", ["\\sum \\nu"], []),
    "lines that end as on Windows": (TSV + 'a\t\tq\t"Open\r\nb\t\tq\tr\r\n', "none", ['"Open', "r"], []),
}


@pytest.mark.parametrize("case", WRITTEN)
def test_tab_separated_values_are_read_as_they_were_written(case: str, tmp_path: Path) -> None:
    """Every row comes out with its text, the way is named, and a file that fits two ways says so."""
    text, way, responses, told = WRITTEN[case]
    path = tmp_path / "a.tsv"
    path.write_bytes(text.encode())
    rows, faults = read(path)
    assert [row["response"] for row in rows] == responses
    assert open_source(path).quotes == way
    assert f"quotes {way}" in str(open_source(path))
    assert [found for found in ids(faults) if found == "QD.W007" or found.startswith("QD.E")] == told


def test_the_way_of_quoting_can_be_stated(tmp_path: Path) -> None:
    """What somebody states is taken, and no doubt is left to tell."""
    path = tmp_path / "a.tsv"
    path.write_text(TSV + 'a\t\tq\t"Yes"\n', encoding="utf-8")
    rows, faults = read(path, options=Options(quotes="csv"))
    assert ([row["response"] for row in rows], ids(faults)) == (["Yes"], [])


def test_a_delimiter_may_be_named(tmp_path: Path) -> None:
    """A tab can be typed as two characters; what is no single character is refused in a sentence."""
    path = tmp_path / "a.csv"
    path.write_text(TSV + "a\t\tq\tr\n", encoding="utf-8")
    rows, _ = read(path, options=Options(delimiter="\\t"))
    assert [row["response"] for row in rows] == ["r"]
    rows, faults = read(path, options=Options(delimiter="::"))
    assert (rows, ids(faults), "one character" in faults[0].hint) == ([], ["QD.E003"], True)


# --- workbooks -----------------------------------------------------------------------------------------------------


def saved(path: Path, rows: list[list[Any]], *areas: str) -> Path:
    """A workbook with these rows and merged areas."""
    book = openpyxl.Workbook()
    for cells in (HEAD, *rows):
        book.active.append(cells)
    for area in areas:
        book.active.merge_cells(area)
    book.save(path)
    return path


def test_merged_cells_give_their_text_to_each_row(tmp_path: Path) -> None:
    """A query merged over three rows is that of all three, said once, and an area beside it leaves no trace."""
    rows: list[list[Any]] = [["a", "", "Which?", "one"], ["b", "", None, "two"], ["c", "", None, "three"]]
    rows.append(["d", "", "Next?", "four"])
    out, faults = read(saved(tmp_path / "a.xlsx", rows, "C2:C4", "A5:B5"))
    assert [(row["id"], row["query"]) for row in out] == [
        ("a", "Which?"),
        ("b", "Which?"),
        ("c", "Which?"),
        ("d", "Next?"),
    ]
    assert [(entry.id, entry.line, "C2:C4" in entry.message) for entry in faults] == [("QD.W008", 3, True)]


def test_merged_cells_at_the_end_of_a_row(tmp_path: Path) -> None:
    """A lower row whose file does not list the covered cell has the text all the same."""
    out, _ = read(saved(tmp_path / "a.xlsx", [["a", "", "q", "same"], ["b", "", "p", None]], "D2:D3"))
    assert [row["response"] for row in out] == ["same", "same"]


def test_ids_of_many_digits(tmp_path: Path) -> None:
    """All digits in the file are read; a rounded number is an error that names the cell and the cure."""
    text, rounded, zeroed = "1234567890123456789", 1.234567890123457e18, 1234567890123450
    rows = [[value, "", "q", "r"] for value in (777777, rounded, zeroed, text + "0")]
    path = saved(tmp_path / "a.xlsx", rows)
    # A library that writes all digits, as this one does not.
    with zipfile.ZipFile(path) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    with zipfile.ZipFile(path, "w") as book:
        for name, content in parts.items():
            book.writestr(name, content.replace(b"<v>777777</v>", f"<v>{text}</v>".encode()))
    out, faults = read(path)
    assert [row["id"] for row in out] == [text, text + "0"]
    assert [(entry.id, entry.cell) for entry in faults] == [("QD.E015", "Sheet!A3"), ("QD.E015", "Sheet!A4")]
    assert "as text" in faults[0].hint


def test_many_digits_in_a_further_column_are_told(tmp_path: Path) -> None:
    """A rounded number beside the texts does not keep the row out."""
    book = openpyxl.Workbook()
    book.active.append([*HEAD, "post"])
    book.active.append(["a", "", "q", "r", 1.234567890123457e18])
    book.save(tmp_path / "a.xlsx")
    out, faults = read(tmp_path / "a.xlsx")
    assert (len(out), ids(faults)) == (1, ["QD.W004"])
    assert "15 digits" in faults[0].message


# --- characters and numbers ----------------------------------------------------------------------------------------

ROW = {"id": "a", "context": "", "query": "q", "response": "r"}
UNKEEPABLE: dict[str, tuple[dict[str, Any], str, str]] = {
    "null in a text": ({"response": "a\0b"}, "QD.E028", "response"),
    "null in a further column": ({"note": "\0"}, "QD.E028", "note"),
    "null in a name": ({"tags": {"a\0": 1}}, "QD.E028", "tags"),
    "null in a domain": ({"domain": "x\0"}, "QD.E028", "domain"),
    "half a pair in a further column": ({"note": "\ud83d"}, "QD.E026", "note"),
    "half a pair in a list": ({"tags": ["ok", {"deep": "\ud83d"}]}, "QD.E026", "tags[1].deep"),
    "half a pair in the auto-label": ({"auto_label": {"remark\ud83d": 1}}, "QD.E026", "auto_label"),
}


@pytest.mark.parametrize("case", UNKEEPABLE)
def test_characters_that_cannot_be_kept(case: str, tmp_path: Path) -> None:
    """Wherever in a row they stand, the fault names row and field."""
    more, kind, field = UNKEEPABLE[case]
    (tmp_path / "a.jsonl").write_text(json.dumps(ROW | more) + "\n")
    rows, faults = read(tmp_path / "a.jsonl")
    assert rows == []
    assert (kind, "a", field) in [(entry.id, entry.row_id, entry.field) for entry in faults]
    assert all(str(entry).encode() for entry in faults)


def test_numbers_of_any_length(tmp_path: Path) -> None:
    """64 bits without a sign come in as they are; what no program reads is a fault."""
    lines = [json.dumps(ROW | {"n": 2**64 - 1}), json.dumps(ROW | {"id": "b"})[:-1] + ', "n": ' + "9" * 5000 + "}"]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    rows, faults = read(tmp_path / "a.jsonl")
    assert ([row["n"] for row in rows], ids(faults)) == ([2**64 - 1], ["QD.E008"])


SPOKEN = {
    "Portuguese": ("cp1252", "Não há informação; a situação põe questões às mães, avó e avô já são três."),
    "Spanish": ("cp1252", "¿Dónde está el niño? Mañana será más fácil; la cigüeña voló."),
    "French": ("cp1252", "Où est l'élève ? Ça coûte très cher, dès août ; le cœur naïf."),
    "Danish": ("cp1252", "Hvor er skolen på øen? Æblerne står på bordet, også de grønne."),
    "Polish": ("cp1250", "Gdzie jest szkoła? Zażółć gęślą jaźń, proszę bardzo, dziękuję."),
    "Hungarian": ("cp1250", "Hol van az iskola? Őrült fűtő, nagyon szépen köszönöm, jó időt."),
    "Romanian": ("cp1250", "Unde este şcoala? Mulţumesc frumos, învăţătoarea a spus că da."),
    "Czech": ("cp1250", "Kde je škola? Příliš žluťoučký kůň úpěl ďábelské ódy."),
}


@pytest.mark.parametrize("language", SPOKEN)
@pytest.mark.parametrize("times", [1, 30])
def test_western_and_central_european_texts_are_told_apart(language: str, times: int, tmp_path: Path) -> None:
    """One row is enough: letters, not bytes, tell which of the two encodings of Windows a text is in."""
    encoding, sentence = SPOKEN[language]
    text = ",".join(HEAD) + "\n" + "".join(f'r{number},,"{sentence}","{sentence}"\n' for number in range(times))
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    guessed, doubt = decoding(tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_bytes().decode(guessed) == text
    assert doubt is not None


# --- paths ---------------------------------------------------------------------------------------------------------

NESTED = {
    "key": "a",
    "inputs": {"question": "Q?", "lang": "en"},
    "messages": [{"content": "hi"}, {"content": "A."}],
    "model": {"verdict": "Correct"},
}
PATHS = [
    "id=key",
    "context=",
    "query=inputs.question",
    "response=messages.-1.content",
    "auto_label.verdict=model.verdict",
]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_paths_reach_into_objects(name: str, tmp_path: Path) -> None:
    """What a path took is not there twice; the rest of its object is kept."""
    text = json.dumps(NESTED)
    (tmp_path / name).write_text(f"[{text}]" if name == "a.json" else text + "\n")
    [row], faults = read(tmp_path / name, mapping=load_mapping(PATHS))
    assert (row["query"], row["response"], row["auto_label"]) == ("Q?", "A.", {"verdict": "Correct"})
    assert (row["inputs"], row["messages"], "model" in row) == ({"lang": "en"}, NESTED["messages"], False)
    assert [entry for entry in faults if entry.severity == "error"] == []


LOST = {
    "query=inputs.questoin": ("QD.E029", "'inputs' has no 'questoin'", "question, lang"),
    "query=input.question": ("QD.E029", "the row has no 'input'", "key, inputs"),
    "query=inputs.question.text": ("QD.E029", "'inputs.question' is a text", "inputs.question"),
    "response=messages.7.content": ("QD.E029", "'messages' has no '7'", "2 items"),
    "domain=inputs.topic": ("QD.E013", "'inputs.topic'", "inputs"),
}


@pytest.mark.parametrize("pair", LOST)
def test_a_path_that_leads_nowhere_is_named(pair: str, tmp_path: Path) -> None:
    """The fault names the path, the step that fails, and what is there instead."""
    kind, said, cure = LOST[pair]
    (tmp_path / "a.jsonl").write_text(json.dumps(NESTED) + "\n")
    _, faults = read(tmp_path / "a.jsonl", mapping=load_mapping([*PATHS, pair]))
    [lost] = [entry for entry in faults if entry.severity == "error"]
    assert (lost.id, said in lost.message, cure in lost.hint) == (kind, True, True), str(lost)


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
@pytest.mark.parametrize("pair", ["query=nope", "nope=q"])
def test_a_column_that_no_row_has_is_named_once(pair: str, name: str, tmp_path: Path) -> None:
    """With the columns that there are, whether a row needs what it stands for or not."""
    lines = [{"id": row_id, "context": "", "query": "Q?", "response": "r"} for row_id in ("a", "b")]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / name).write_text(text if name == "a.jsonl" else "id,context,query,response\na,,Q?,r\nb,,Q?,r\n")
    _, faults = read(tmp_path / name, mapping=load_mapping([pair]))
    [told] = [entry for entry in faults if entry.id == "QD.E013"]
    assert f"takes '{pair.split('=')[0]}' from a column '{pair.split('=')[1]}', which is not there" in told.message
    assert "id, context, query, response" in told.hint


def test_a_column_with_dots_comes_before_a_path(tmp_path: Path) -> None:
    """Flattened files have such columns, tables and objects alike."""
    flat = {"id": "a", "context": "", "inputs.question": "Flat?", "inputs": {"question": "Deep?"}, "response": "r"}
    (tmp_path / "a.jsonl").write_text(json.dumps(flat) + "\n")
    [row], _ = read(tmp_path / "a.jsonl", mapping={"query": "inputs.question"})
    assert (row["query"], row["inputs"]) == ("Flat?", {"question": "Deep?"})
    with (tmp_path / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "context", "inputs.question", "response"], ["a", "", "Flat?", "r"]])
    [row], _ = read(tmp_path / "a.csv", mapping={"query": "inputs.question"})
    assert row["query"] == "Flat?"


def test_an_optional_path_may_be_missing_in_some_rows(tmp_path: Path) -> None:
    """Only a path that no row has is a mistake."""
    rows = [ROW | {"meta": {"topic": "general"}}, ROW | {"id": "b"}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out, faults = read(tmp_path / "a.jsonl", mapping={"domain": "meta.topic"})
    assert ([row.get("domain") for row in out], faults) == (["general", None], [])
