"""Every kind of fault is planted once, in a file of otherwise good rows, and found; docs/data.md lists the same
kinds."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlsxwriter

from label_studio_quorum.intake import KINDS, Options, Row, RowFault, read_rows, row_hash
from label_studio_quorum.intake.checks.personal_data import Finder
from label_studio_quorum.intake.checks.whole_file import Expected
from label_studio_quorum.intake.file_check import check_rows
from label_studio_quorum.intake.reading import DEFAULTS
from ls_config import load
from ls_config.interface import Interface, parse
from review_rules import load_policy

REVIEW = load("response_review")
POLICY = load_policy("version: 1\nexpert_domains: [technical, financial]\n")
BOXES = Interface(
    name="boxes",
    xml="",
    controls=parse(
        '<View><Image name="i" value="$image"/>'
        '<RectangleLabels name="parts" toName="i"><Label value="Logo"/></RectangleLabels></View>'
    ),
)
NUMBER = 'Our revenue was 12 %.\r\nIt grew in 😀 Rome and in Rome again, said "Ana & co".'


def good(number: int, **changes: Any) -> dict[str, Any]:
    """A row without any fault, different from every other."""
    words = [
        "amber",
        "birch",
        "cedar",
        "delta",
        "ember",
        "fjord",
        "grove",
        "haven",
        "inlet",
        "jetty",
        "kiosk",
        "lotus",
        "maple",
        "north",
        "ocean",
        "prism",
        "quartz",
        "river",
        "stone",
        "tulip",
    ]
    mixed = [words[(number * 7 + step * (number + 3)) % len(words)] for step in range(12)]
    row = {
        "id": f"r{number}",
        "context": "",
        "query": f"What is the {mixed[0]} of {mixed[1]} number {number}?",
        "response": f"The answer to this question is the {' '.join(mixed)}, and it was so in the year {1900 + number}.",
        "domain": "general",
    }
    return row | changes


def lines(*rows: Any) -> bytes:
    """JSONL: good rows first, then the given ones (objects, or text as it stands)."""
    given = [json.dumps(row, ensure_ascii=False) if not isinstance(row, str) else row for row in rows]
    return "\n".join([json.dumps(good(1)), json.dumps(good(2)), *given, ""]).encode("utf-8", "surrogatepass")


def labelled(label: Any, **changes: Any) -> bytes:
    """JSONL with one row that has this auto-label, on a response with an emoji, CRLF and a repeated word."""
    return lines(good(3, response=NUMBER, auto_label=label, **changes))


def span(start: int, end: int, text: str | None = None, label: str = "LOCATION") -> dict[str, Any]:
    """An auto-label with one span."""
    made = {"start": start, "end": end, "label": label} | ({"text": text} if text is not None else {})
    return {"entities": [made]}


def csv(header: str, *rows: str) -> bytes:
    """A CSV file."""
    return "\r\n".join([header, *rows, ""]).encode()


def workbook(fill: Callable[[Any, Any], None]) -> Callable[[Path], None]:
    """A workbook with one good row, and what `fill` adds."""

    def write(path: Path) -> None:
        book = xlsxwriter.Workbook(str(path), {"strings_to_formulas": False})
        sheet = book.add_worksheet("rows")
        sheet.write_row(0, 0, ["id", "context", "query", "response"])
        sheet.write_row(1, 0, ["a", "", "What is it?", "It is a good answer to the question."])
        fill(book, sheet)
        book.close()

    return write


def fill_row(sheet: Any, **cells: Any) -> None:
    """Write row 3 of the sheet, one cell a column."""
    for at, name in enumerate(("id", "context", "query", "response")):
        value = cells.get(name, "b" if name == "id" else "some text")
        sheet.write_formula(2, at, value) if isinstance(value, str) and value.startswith("=") else sheet.write(
            2, at, value
        )


def pasted_error(path: Path) -> None:
    """A workbook into which somebody pasted the result of a broken formula."""
    book = openpyxl.Workbook()
    book.active.append(["id", "context", "query", "response"])
    book.active.append(["a", "", "What is it?", "#REF!"])
    book.active["D2"].data_type = "e"
    book.save(path)


def merged(book: Any, sheet: Any) -> None:
    """Two more rows that share one merged query."""
    for number in (2, 3):
        sheet.write_row(number, 0, [f"m{number}", "", "", f"The answer number {number} to the question."])
    sheet.merge_range("C3:C4", "What is shared?")


def task(predictions: list[dict[str, Any]]) -> bytes:
    """A file of one Label Studio task with these predictions."""
    data = {"row_id": "t1", **{name: good(3)[name] for name in ("context", "query", "response", "domain")}}
    return json.dumps([{"id": 1, "data": data, "predictions": predictions}]).encode()


def result(name: str, kind: str, value: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A prediction of one item."""
    return {"result": [{"from_name": name, "to_name": "response", "type": kind, "value": value}], **more}


def manifest(**more: Any) -> bytes:
    """A Ground Truth manifest of one line with a verdict."""
    about = {"type": "groundtruth/text-classification", "class-name": "Correct", "creation-date": "2024-01-01T00:00:00"}
    checked = {"type": "groundtruth/label-verification", "class-name": "bad", "creation-date": "2024-01-02T00:00:00"}
    line = {"source": good(3)["response"], "query": "q", "verdict": 0, "verdict-metadata": about | more}
    return json.dumps(line | {"check-verdict": 1, "check-verdict-metadata": checked}).encode()


MOST = Expected()


@dataclass(frozen=True)
class Plant:
    """One planted fault: the file's name and content, how it is read, and the severest thing that may also be found."""

    name: str
    content: bytes | Callable[[Path], None]
    interface: Any = REVIEW
    mapping: dict[str, str] | None = None
    options: Options = DEFAULTS
    expected: Expected = MOST
    pii: bool = False


CSV_HEAD = "id,context,query,response"
KNOWN = Row(row_id="r1", context="", query="old", response="old")
LABELLED_50 = [good(n, auto_label={"verdict": "Correct" if n % 2 else "Incorrect"}) for n in range(3, 60)]

PLANTS: dict[str, Plant] = {
    "QD.E001": Plant("missing.jsonl", lambda path: None),
    "QD.E002": Plant("a.csv", csv(CSV_HEAD)),
    "QD.E003": Plant("a.docx", b"text"),
    "QD.E004": Plant("a.jsonl", b'{"id":"1"}\n\x00\xff\xfe\x00\x81\n'),
    "QD.E005": Plant("a.jsonl", lines('{"id": "r3",')),
    "QD.E006": Plant("a.jsonl", lines("[1, 2]")),
    "QD.E007": Plant("a.jsonl", lines('{"id":"r3","context":"","query":"q","query":"p","response":"r"}')),
    "QD.E008": Plant("a.jsonl", lines('{"id":"r3","context":"","query":"q","response":"r","n":NaN}')),
    "QD.E009": Plant("a.csv", csv(CSV_HEAD, "a,,q,one, two")),
    "QD.E010": Plant("a.csv", csv(CSV_HEAD, 'a,,q,"not closed')),
    "QD.E011": Plant("a.csv", csv(CSV_HEAD + ",query", "a,,q,r,s")),
    "QD.E012": Plant("a.csv", csv("id,context,response", "a,,r")),
    "QD.E013": Plant("a.csv", csv("id,context,query,answer", "a,,q,r"), mapping={"response": "reply"}),
    "QD.E014": Plant("a.xlsx", pasted_error),
    "QD.E015": Plant("a.xlsx", workbook(lambda book, sheet: fill_row(sheet, id=1234567890123456789))),
    "QD.W001": Plant(
        "a.csv",
        (
            CSV_HEAD
            + "\r\n"
            + "\r\n".join(
                f"{n},,Où est le café ?,Le café est là-bas près de l'église à côté du marché." for n in range(9)
            )
        ).encode("cp1252"),
    ),
    "QD.W002": Plant("a.xlsx", workbook(lambda book, sheet: fill_row(sheet, response="=1+1"))),
    "QD.W003": Plant("a.xlsx", workbook(lambda book, sheet: fill_row(sheet, response="word " * 6553 + "xx"))),
    "QD.W004": Plant("a.xlsx", workbook(lambda book, sheet: fill_row(sheet, response=42))),
    "QD.W005": Plant("a.xlsx", workbook(lambda book, sheet: book.add_worksheet("notes").write_row(0, 0, ["to", "do"]))),
    "QD.W006": Plant("a.csv", csv(CSV_HEAD + ",", "a,,q,r,stray")),
    "QD.W007": Plant("a.tsv", b'id\tcontext\tquery\tresponse\na\t\tWhat is it?\t"A word in quotes"\n'),
    "QD.W008": Plant("a.xlsx", workbook(merged)),
    "QD.E020": Plant("a.jsonl", lines(good(3, id=None))),
    "QD.E021": Plant("a.jsonl", lines(good(3, id="r1"))),
    "QD.E022": Plant("a.jsonl", lines(good(3, id=" r3\n"))),
    "QD.E023": Plant("a.jsonl", lines(good(3, response=None))),
    "QD.E024": Plant("a.jsonl", lines(good(3, response=["a", "b"]))),
    "QD.E025": Plant("a.jsonl", lines(good(3, context="long " * 200)), options=Options(max_chars=500)),
    "QD.E026": Plant("a.jsonl", lines('{"id":"r3","context":"","query":"q","response":"half \\ud83d"}')),
    "QD.E027": Plant("a.jsonl", lines(), options=Options(known={"r1": row_hash(KNOWN)})),
    "QD.E028": Plant("a.jsonl", lines(good(3, note={"deep": ["a\0b"]}))),
    "QD.E029": Plant("a.jsonl", lines(good(3, ask={"question": "q"})), mapping={"query": "ask.question"}),
    "QD.W020": Plant("a.jsonl", lines(good(3, response=""))),
    "QD.W021": Plant("a.jsonl", lines(good(3, query=" "))),
    "QD.W022": Plant("a.jsonl", lines(good(3, context="word " * 4001))),
    "QD.W023": Plant("a.jsonl", lines(good(3, domain="finance"))),
    "QD.W024": Plant("a.jsonl", lines(good(3, response="a bell \x07 rings"))),
    "QD.W025": Plant("a.jsonl", lines(good(3, response="The cafÃ© is closed."))),
    "QD.W026": Plant("a.jsonl", lines(good(3, response="access \u202eniam\u202c granted"))),
    "QD.W027": Plant(
        "a.jsonl", lines(good(3, context="Paris is the capital of France.", response="Paris is the capital of France."))
    ),
    "QD.W028": Plant("a.jsonl", lines(good(3, response="NaN"))),
    "QD.W029": Plant("a.jsonl", lines(good(3, response="Run this:\n```python\nprint(1)"))),
    "QD.E040": Plant("a.jsonl", labelled(["Correct"])),
    "QD.E041": Plant("a.jsonl", labelled({"verdict": "Correct", "sentiment": "good"})),
    "QD.E042": Plant("a.jsonl", labelled({"tone": "4"})),
    "QD.E043": Plant("a.jsonl", labelled({"verdict": "correct"})),
    "QD.E044": Plant("a.jsonl", labelled({"tone": 7})),
    "QD.E045": Plant("a.jsonl", labelled({"issues": ["Code error", "Code error"]})),
    "QD.E046": Plant("a.jsonl", labelled({"entities": [{"start": 0, "label": "ORG"}]})),
    "QD.E047": Plant("a.jsonl", labelled(span(5, 5))),
    "QD.E048": Plant("a.jsonl", labelled(span(5, 500))),
    "QD.E049": Plant("a.jsonl", labelled(span(37, 41, "Rome"))),
    "QD.E050": Plant("a.jsonl", labelled(span(39, 43, "Rome"))),
    "QD.E051": Plant("a.jsonl", labelled(span(4, 10, "revenue", "METRIC"))),
    "QD.E052": Plant("a.jsonl", labelled(span(1, 2, "revenue", "METRIC"))),
    "QD.E053": Plant("a.jsonl", labelled(span(22, 24, "It", "TECH"))),
    "QD.E054": Plant("a.jsonl", labelled(span(90, 97, "revenue", "METRIC"))),
    "QD.E055": Plant("a.jsonl", labelled(span(70, 74, "Rome"))),
    "QD.E056": Plant("a.jsonl", labelled(span(0, 5, "Paris"))),
    "QD.E057": Plant("a.jsonl", labelled({"entities": [*span(4, 11)["entities"], *span(4, 11)["entities"]]})),
    "QD.E058": Plant(
        "a.jsonl", labelled({"parts": [{"x": 90, "y": 0, "width": 20, "height": 5, "label": "Logo"}]}), interface=BOXES
    ),
    "QD.E059": Plant("a.json", task([result("verdict", "rating", {"choices": ["Correct"]})])),
    "QD.W040": Plant("a.jsonl", labelled({"Q0": 3})),
    "QD.W041": Plant("a.jsonl", labelled(span(36, 40))),
    "QD.W042": Plant("a.jsonl", labelled(span(3, 11, " revenue", "METRIC"))),
    "QD.W043": Plant("a.jsonl", lines(good(3, response="The e\u0301clair is good.", auto_label=span(4, 5, "e")))),
    "QD.W044": Plant("a.jsonl", labelled(span(37, 41, "Rome")), options=Options(offsets="detect")),
    "QD.W045": Plant("a.jsonl", labelled({"tone": 4})),
    "QD.W046": Plant("a.json", task([{"result": [{"type": "relation", "from_id": "a", "to_id": "b"}]}])),
    "QD.W047": Plant(
        "a.json", task([result("verdict", "choices", {"choices": [word]}) for word in ("Correct", "Incorrect")])
    ),
    "QD.W048": Plant("a.manifest", manifest()),
    "QD.W049": Plant("a.jsonl", labelled({"verdict": "Correct", "correctness": 2})),
    "QD.W060": Plant("a.jsonl", lines(good(1, id="r3"))),
    "QD.W061": Plant(
        "a.jsonl",
        lines(
            good(3, query="q", response=" ".join(f"word{n}" for n in range(200))),
            good(4, query="q", response=" ".join(f"word{n}" for n in range(200)) + " more"),
        ),
    ),
    "QD.W062": Plant("a.jsonl", lines(good(3, context="Reviewed before. Verdict: Partly correct."))),
    "QD.W063": Plant(
        "a.jsonl",
        lines(
            good(
                3,
                response="Le conseil municipal a décidé hier soir de fermer la bibliothèque pendant les "
                "vacances d'été.",
            )
        ),
        expected=Expected(language="en"),
    ),
    "QD.W064": Plant("a.jsonl", lines(good(3, response="Write to ana.lopez@example.com for more.")), pii=True),
    "QD.W065": Plant(
        "a.jsonl", lines(*(good(n) for n in range(3, 12)), good(12, response="Many words follow. " * 300))
    ),
    "QD.W066": Plant(
        "a.jsonl", lines(*(good(n, response="I cannot help with that request, sorry.") for n in range(3, 9)))
    ),
    "QD.W067": Plant("a.jsonl", lines(*(good(n, auto_label={"tone": 5}) for n in range(3, 25)))),
    "QD.W068": Plant("a.jsonl", lines(*LABELLED_50)),
    "QD.W069": Plant("a.jsonl", lines(good(3, gold="Correct"))),
    "QD.W070": Plant("a.jsonl", lines(good(3, domain=None))),
    "QD.W071": Plant("a.jsonl", lines(good(3, query="Why?"), good(4, query="Why?"))),
}


def found_in(plant: Plant, folder: Path) -> list[RowFault]:
    """Write the file and give everything that a check says about it."""
    path = folder / plant.name
    if isinstance(plant.content, bytes):
        path.write_bytes(plant.content)
    else:
        plant.content(path)
    checked = check_rows(
        path,
        interface=plant.interface,
        mapping=plant.mapping,
        policy=POLICY,
        options=plant.options,
        expected=plant.expected,
        finder=Finder() if plant.pii else None,
    )
    return list(checked.faults)


@pytest.mark.parametrize("kind", PLANTS)
def test_planted_fault_is_found(kind: str, tmp_path: Path) -> None:
    """A file with one planted fault yields that fault, with a place, a message and a way to cure it."""
    if PLANTS[kind].pii:
        pytest.importorskip("presidio_analyzer", reason="needs the extra `pii`")
    faults = found_in(PLANTS[kind], tmp_path)
    found = [one for one in faults if one.id == kind]
    assert found, [str(one) for one in faults]
    assert all(one.message.endswith(".") and one.hint and "\n" not in str(one) for one in found)
    others = {one.id for one in faults if one.severity == "error"} - {kind}
    assert not others, [str(one) for one in faults]


def test_every_kind_is_planted() -> None:
    """No kind of fault is claimed that is not shown to be caught, and there are at least forty."""
    assert set(PLANTS) == set(KINDS)
    assert len(KINDS) >= 40


def test_good_rows_have_no_fault(tmp_path: Path) -> None:
    """The rows that the planted faults stand among are good themselves, so that what is found is what was planted."""
    faults = found_in(Plant("a.jsonl", lines(*(good(n) for n in range(3, 30)))), tmp_path)
    assert [str(one) for one in faults] == []


def test_all_faults_of_a_file_come_in_one_pass(tmp_path: Path) -> None:
    """Three bad lines of three kinds are all reported, each with its line, and the good rows still come out."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines("oops", good(3, id="r1"), good(4, auto_label={"tone": 9, "verdict": "Wrong"}), good(5)))
    out = list(read_rows(path, interface=REVIEW))
    assert [(one.id, one.line) for one in out if isinstance(one, RowFault)] == [
        ("QD.E005", 3),
        ("QD.E021", 4),
        ("QD.E044", 5),
        ("QD.E043", 5),
    ]
    assert [one.row_id for one in out if isinstance(one, Row)] == ["r1", "r2", "r5"]


@pytest.mark.parametrize("kind", ["QD.E049", "QD.E050", "QD.E051", "QD.E052", "QD.E053", "QD.E054"])
def test_offered_span_is_the_right_one(kind: str, tmp_path: Path) -> None:
    """The span that a fault offers stands on the text that the wrong one carried."""
    [found] = [one for one in found_in(PLANTS[kind], tmp_path) if one.id == kind]
    assert NUMBER[found.fix["start"] : found.fix["end"]] == found.fix["text"]


def test_spreadsheet_faults_name_the_cell(tmp_path: Path) -> None:
    """A fault in a workbook says sheet and cell."""
    [found] = [one for one in found_in(PLANTS["QD.W002"], tmp_path) if one.id == "QD.W002"]
    assert found.cell == "rows!D3"


def test_docs_list_every_kind() -> None:
    """docs/data.md holds the list of kinds as the code has it."""
    text = (Path(__file__).parents[4] / "docs" / "data.md").read_text("utf-8")
    listed = dict(re.findall(r"^\| `(QD\.[EW]\d+)` \| .*? \| (.*?) \|$", text, re.MULTILINE))
    assert listed == {kind.id: kind.title for kind in KINDS.values()}
