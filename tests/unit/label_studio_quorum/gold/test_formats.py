"""Exports: only gold leaves, texts survive, limits are said, and each format is what its own readers expect."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from label_studio_quorum.campaign.shown import EMPTY_FORM
from label_studio_quorum.gold.formats import FORMATS, read_records, write
from label_studio_quorum.intake import Row, RowFault, UnreadableError, read_rows
from ls_config import load
from review_rules import Kind
from review_rules.pre_annotation import values_hash

REVIEW = load("response_review")
RESPONSE = "=SUM(A1)\r\n- 😀 Rome grew 12 % in 2023.\tÀ la Rome\x07"
ROOT = Path(__file__).parents[4]
SHARED = Path(os.environ.get("QUORUM_SHARED_DATA") or ROOT.parent / "shared" / "data")


def record(row_id: str = "r1", *, gold: bool = True, **row: Any) -> dict[str, Any]:
    """A full record: two people disagreed on the verdict, QA decided; spans overlap."""
    columns = {
        "id": row_id,
        "context": "",
        "query": "Where?",
        "response": RESPONSE,
        "domain": "financial",
        "n": 3,
        **row,
    }
    text = columns["response"]
    spans = [_span(text, 14, 18, "LOCATION"), _span(text, 12, 18, "ORG"), _span(text, 32, 36, "DATE")]
    first = {"verdict": "Correct", "issues": [], "entities": spans, "tone": 4, "response_type": "Explanation"}
    second = first | {"verdict": "Incorrect"}
    final = {name: {"value": value, "origin": "passes", "changed_from_auto": None} for name, value in first.items()}
    final["verdict"] |= {"origin": "qa", "changed_from_auto": True}
    return {
        "row_id": row_id,
        "row": columns,
        "auto_label": {"verdict": "Partly correct", "tone": 4},
        "domain": "financial",
        "fields": REVIEW.fields(columns),
        "passes": [_seat("ana", first, 10), _seat("ben", second, 11)],
        "qa": [_seat("cleo", first, 12) | {"decision": "correct"}],
        "expert": [],
        "state": "FINAL" if gold else "AWAITING_QA",
        "comparison": {"verdict": {"agreed": False, "score": 0.0}, "entities": {"agreed": True, "score": 1.0}},
        "proposal": {},
        "findings": [],
        "final": {"values": final} if gold else None,
        "certificate": {
            "passes": ["ana", "ben"],
            "qa": "cleo",
            "expert": [],
            "domains": {"financial": ["ben"]},
            "policy": "sha256:1",
            "times": {},
        }
        if gold
        else None,
    }


def _span(text: str, start: int, end: int, label: str) -> dict[str, Any]:
    return {"start": start, "end": end, "label": label, "text": text[start:end]}


def _seat(who: str, values: dict[str, Any], hour: int) -> dict[str, Any]:
    return {
        "by": who,
        "at": f"2026-01-05T{hour}:00:00Z",
        "lead_time": 9.0,
        "values": values,
        "flags": [],
        "reason": None,
    }


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"docbin"}))
def test_only_gold_leaves(name: str, tmp_path: Path) -> None:
    """A row that is not final is not in the file, and the report says how many were left out."""
    report = write([record("r1"), record("r2", gold=False)], tmp_path / "out", name, interface=REVIEW)
    assert (report.rows, report.left_out) == (1, 1)
    found = b"".join(path.read_bytes() for path in _files(tmp_path / "out"))
    assert b"AWAITING_QA" not in found


def _files(path: Path) -> Iterator[Path]:
    return (one for one in (path.rglob("*") if path.is_dir() else [path]) if one.is_file())


@pytest.mark.parametrize("name", ["jsonl", "csv", "xlsx", "parquet", "label-studio"])
def test_all_marks_what_is_not_gold(name: str, tmp_path: Path) -> None:
    """With everything asked for, each record says whether it is gold."""
    path = tmp_path / {"label-studio": "a.json"}.get(name, f"a.{name}")
    write([record("r1"), record("r2", gold=False)], path, name, interface=REVIEW, everything=True)
    assert [(one["row_id"], one["gold"]) for one in read_records(path)] == [("r1", True), ("r2", False)]


def test_csv_has_a_column_for_each_field_and_annotator(tmp_path: Path) -> None:
    """The table shows each person's value beside the final one, and who decided."""
    write([record()], tmp_path / "a.csv", interface=REVIEW)
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        [row] = csv.DictReader(file)
    assert row["response"] == RESPONSE
    assert (row["quorum.pass.verdict.ana"], row["quorum.pass.verdict.ben"]) == ("Correct", "Incorrect")
    assert (row["quorum.final.verdict"], row["quorum.origin.verdict"]) == ("Correct", "qa")
    assert row["quorum.qa.decision.cleo"] == "correct"
    assert (row["quorum.reviewers"], row["quorum.expert"]) == ("ana ben cleo", "ben")


def test_csv_counts_what_a_spreadsheet_would_run(tmp_path: Path) -> None:
    """Texts stay as they are in CSV, and the report says how many cells a spreadsheet would take for formulas."""
    report = write([record()], tmp_path / "a.csv", interface=REVIEW)
    assert [count for lint, count in report.lints.items() if "formula" in lint] == [1]


def test_guarded_csv_comes_in_again_as_it_was(tmp_path: Path) -> None:
    """With the guard no cell begins like a formula, and the reader takes the apostrophe off again."""
    write([record(note="'=quoted")], tmp_path / "a.csv", interface=REVIEW, guard=True)
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        [_, cells] = csv.reader(file)
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    [row] = [one for one in read_rows(tmp_path / "a.csv", interface=REVIEW) if isinstance(one, Row)]
    assert (row.response, row.extra["note"]) == (RESPONSE, "'=quoted")


def test_xlsx_holds_texts_not_formulas(tmp_path: Path) -> None:
    """Every cell of the workbook is a text, and there are sheets of people and agreement."""
    write([record(f"r{n}") for n in range(3)], tmp_path / "a.xlsx", interface=REVIEW)
    book = openpyxl.load_workbook(tmp_path / "a.xlsx")
    assert book.sheetnames == ["rows", "quorum people", "quorum agreement", "quorum records"]
    assert {cell.data_type for row in book["rows"].iter_rows() for cell in row if cell.value is not None} <= {
        "s",
        "inlineStr",
    }
    assert [[cell.value for cell in row] for row in book["quorum people"].iter_rows()][1] == ["ana", "3", "0", "0"]
    figures = {(row[0].value, row[1].value): row[2].value for row in book["quorum agreement"].iter_rows(min_row=2)}
    assert float(figures["verdict", "percent"]) == 0.0
    assert float(figures["tone", "percent"]) == 1.0


def test_text_longer_than_a_cell_is_cut_there_and_whole_in_the_record(tmp_path: Path) -> None:
    """A text beyond a cell's limit is noted, found again on import as probably cut, and whole in the sheet of
    records."""
    long = record(context="😀 word " * 9000)
    report = write([long], tmp_path / "a.xlsx", interface=REVIEW)
    assert any("32,767" in lint for lint in report.lints)
    assert next(read_records(tmp_path / "a.xlsx"))["row"]["context"] == long["row"]["context"]


def test_conll_tags_are_iob2_and_offsets_point_at_tokens(tmp_path: Path) -> None:
    """Tokens stand at their offsets, spans cut tokens where they must, the longest of overlapping spans is kept and
    the rest counted."""
    report = write([record()], tmp_path / "a.conll", interface=REVIEW)
    lines = [line.split("\t") for line in (tmp_path / "a.conll").read_text("utf-8").split("\n") if "\t" in line]
    assert all(RESPONSE[int(start) : int(end)] == token for token, start, end, _ in lines)
    assert [(token, tag) for token, _, _, tag in lines if tag != "O"] == [
        ("😀", "B-ORG"),
        ("Rome", "I-ORG"),
        ("2023", "B-DATE"),
    ]
    assert sum(report.lints.values()) == 1


@pytest.mark.slow
def test_docbin_opens_in_spacy(tmp_path: Path) -> None:
    """spaCy reads the documents with the exact text, the entities, all spans and the categories; the bytes do not
    hang on hashing."""
    spacy = pytest.importorskip("spacy", reason="needs the extra `spacy`")
    from spacy.tokens import DocBin

    write([record()], tmp_path / "a.spacy", interface=REVIEW)
    [doc] = DocBin().from_disk(tmp_path / "a.spacy").get_docs(spacy.blank("xx").vocab)
    assert doc.text == RESPONSE
    assert [(one.text, one.label_) for one in doc.ents] == [("😀 Rome", "ORG"), ("2023", "DATE")]
    assert {(one.start_char, one.end_char) for one in doc.spans["entities"]} == {(14, 18), (12, 18), (32, 36)}
    assert doc.cats["verdict=Correct"] == 1.0
    assert doc.user_data["row_id"] == "r1"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["domain_ner_finance_dev.jsonl", "domain_ner_technical_dev.jsonl"])
def test_real_entities_come_back_from_spacy(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every text and span of real rows comes back as it was, from one file and from a folder that spaCy's own reader of
    training data takes as one."""
    spacy = pytest.importorskip("spacy", reason="needs the extra `spacy`")
    from spacy.training import Corpus

    path = SHARED / name
    if not path.is_file():
        pytest.skip("the shared data is not here (QUORUM_SHARED_DATA)")
    real = [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]
    in_one = -(-len(real) // 4)
    given = {one["id"]: (one["text"], {(s["start"], s["end"], s["label"]) for s in one["entities"]}) for one in real}
    monkeypatch.setattr("label_studio_quorum.gold.formats.spans._IN_ONE_BIN", in_one)
    for target, files in ((tmp_path / "a.spacy", 1), (tmp_path / "folder", 4)):
        write(map(_with_entities, real), target, "docbin", interface=load("ner"))
        assert len(list(tmp_path.rglob("*.spacy") if target.suffix else target.rglob("*.spacy"))) == files
        docs = [example.reference for example in Corpus(target)(spacy.blank("xx"))]
        assert len(docs) == len(real)
        assert {
            doc.user_data["row_id"]: (
                doc.text,
                {(span.start_char, span.end_char, span.label_) for span in doc.spans["entities"]},
            )
            for doc in docs
        } == given
        flat = {doc.user_data["row_id"]: len(doc.ents) for doc in docs}
        assert all(flat[row_id] == len(spans) for row_id, (_, spans) in given.items() if not _overlapping(spans))


def _with_entities(one: dict[str, Any]) -> dict[str, Any]:
    row = {"id": one["id"], "context": "", "query": "", "response": one["text"]}
    made = record(one["id"])
    final = {"entities": {"value": one["entities"], "origin": "passes", "changed_from_auto": None}}
    return made | {"row": row, "fields": load("ner").fields(row), "final": {"values": final}, "passes": [], "qa": []}


def _overlapping(spans: set[tuple[int, int, str]]) -> bool:
    placed = sorted(spans)
    return any(first[1] > second[0] for first, second in pairwise(placed))


def test_manifest_follows_ground_truth(tmp_path: Path) -> None:
    """The chain auto-label → passes → adjustment has Ground Truth's types, class names, confidence and times, in that
    order."""
    write([record(page=7)], tmp_path / "a.manifest", interface=REVIEW)
    line = json.loads((tmp_path / "a.manifest").read_text("utf-8"))
    assert (line["source"], line["page"]) == (RESPONSE, 7)
    assert line["auto-verdict-metadata"]["human-annotated"] == "no"
    assert line["pass-2-verdict-metadata"] == {
        "type": "groundtruth/text-classification",
        "class-name": "Incorrect",
        "confidence": 0,
        "job-name": "quorum/pass-2",
        "human-annotated": "yes",
        "creation-date": "2026-01-05T11:00:00.000000",
    }
    assert line["adjusted-verdict"] == "0"
    assert line["adjusted-verdict-metadata"]["adjustment-status"] == "adjusted"
    assert line["adjusted-tone-metadata"]["adjustment-status"] == "unadjusted"
    entities = line["adjusted-entities"]["annotations"]["entities"]
    assert [RESPONSE[one["startOffset"] : one["endOffset"]] for one in entities] == ["Rome", "😀 Rome", "2023"]
    assert len(line["adjusted-entities-metadata"]["entities"]) == len(entities)
    names = [name for name in line if name.endswith("-verdict")]
    assert names == ["auto-verdict", "pass-1-verdict", "pass-2-verdict", "adjusted-verdict"]


def test_manifest_limits_are_linted(tmp_path: Path) -> None:
    """An attribute beyond 20,000 characters and a line beyond 100,000 are written and noted."""
    report = write([record(context="word " * 21_000)], tmp_path / "a.manifest", interface=REVIEW)
    assert report.lints["attribute 'context' longer than 20,000 characters"] == 1
    assert report.lints["lines longer than 100,000 characters"] == 1


def test_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    """If records break off, the file that was there stays as it was, and nothing else is left behind."""
    path = tmp_path / "a.jsonl"
    write([record()], path, interface=REVIEW)
    before = path.read_bytes()

    def broken() -> Iterator[dict[str, Any]]:
        yield record("r2")
        raise ConnectionError("the server went away")

    with pytest.raises(ConnectionError):
        write(broken(), path, interface=REVIEW)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.jsonl"]


def test_unknown_format_is_refused(tmp_path: Path) -> None:
    """An ending that names no format is refused with the known ones."""
    with pytest.raises(ValueError, match="known: jsonl, csv"):
        write([record()], tmp_path / "a.docx", interface=REVIEW)


@pytest.mark.slow
def test_bytes_do_not_depend_on_the_process(tmp_path: Path) -> None:
    """Two processes with other hash seeds write the same bytes in every format."""
    pytest.importorskip("spacy", reason="needs the extra `spacy`")
    program = (
        "import importlib.util, sys, json; from pathlib import Path\n"
        f"spec = importlib.util.spec_from_file_location('t', {str(Path(__file__))!r}); t = "
        f"importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(t)\n"
        "rows = [t.record('r1'), t.record('r2', b=1.5, a=None)]\n"
        "print(json.dumps({n: [*t.write(rows, Path(sys.argv[1]) / n, n, interface=t.REVIEW, card=True).sha256.values()]"
        " for n in t.FORMATS}))"
    )
    hashes = []
    for seed in ("1", "2"):
        folder = tmp_path / seed
        folder.mkdir()
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program, str(folder)],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        )
        hashes.append(json.loads(done.stdout))
    assert hashes[0] == hashes[1]


def test_datasheet_says_what_was_measured(tmp_path: Path) -> None:
    """The card has counts, policy, pseudonyms instead of names, agreement with intervals, overturn rates, gaps and
    the file's hash."""
    rows = [record(f"r{n}", response=RESPONSE + " " * n) for n in range(30)]
    report = write(rows, tmp_path / "a.jsonl", interface=REVIEW, card=True, about={"name": "Q1 <b>review</b>"})
    assert report.card is not None
    text = report.card.read_text("utf-8")
    assert "30 rows, gold rows only" in text
    assert "<b>" not in text
    assert not [name for name in ("ana", "ben", "cleo") if f" {name} " in text]
    assert "| P01 | 30 | 0 | 0 |" in text
    assert "| `verdict` | 100.0% (88.6%–100.0%; 30 of 30) | 50.0% (37.7%–62.3%; 30 of 60) | not measured |" in text
    assert "| `verdict` | percent | 0.000 | 0.000 to 0.000 |" in text
    assert "`sha256:1`" in text
    assert f"`sha256:{report.sha256['a.jsonl']}`" in text
    assert "Anchoring was not measured" in text


def opened_with(values: dict[str, Any], row_id: str) -> dict[str, Any]:
    """A record of a row whose annotators' forms opened with these values, or empty."""
    kinds = {control.name: Kind.of(control.kind) for control in REVIEW.controls}
    made = record(row_id)
    form = {"version": "auto-label", "hash": values_hash(kinds, values)} if values else EMPTY_FORM
    made["passes"] = [passed | {"shown": form} for passed in made["passes"]]
    return made


def test_datasheet_counts_rows_that_were_reopened_after_they_had_been_final(tmp_path: Path) -> None:
    """How many, as what somebody opened them and why; a row that was opened earlier in its life is none of them."""

    def reopened(was: str, role: str, reason: str) -> dict[str, str]:
        return {"at": "2026-01-05T12:00:00Z", "by": "ops", "role": role, "was": was, "reason": reason}

    write([record("r1")], tmp_path / "a.jsonl", interface=REVIEW, card=True)
    assert "No row of these was opened again" in (tmp_path / "a.jsonl.card.md").read_text("utf-8")
    rows = [
        record("r1") | {"reopened": [reopened("FINAL", "manager", "wrong <source>"), reopened("FINAL", "owner", "x")]},
        record("r2") | {"reopened": [reopened("FINAL", "manager", "x"), reopened("BLOCKED", "manager", "y")]},
        record("r3") | {"reopened": "by hand"},
    ]
    write(rows, tmp_path / "b.jsonl", interface=REVIEW, card=True)
    text = (tmp_path / "b.jsonl.card.md").read_text("utf-8")
    assert "2 of 3 (by manager 2, owner 1). Reasons: x (2); wrong &#60;source&#62; (1)." in text
    assert "and not final yet, so" not in text
    waiting = record("r4") | {"gold": False, "state": "AWAITING_QA", "reopened": [reopened("FINAL", "manager", "x")]}
    write([*rows, waiting, record("r5") | {"gold": False}], tmp_path / "c.jsonl", interface=REVIEW, card=True)
    text = (tmp_path / "c.jsonl.card.md").read_text("utf-8")
    assert "Opened again after they had been final, and not final yet, so not in the file: 1 rows." in text


def test_datasheet_measures_anchoring_where_rows_were_withheld(tmp_path: Path) -> None:
    """Answers like the auto-label are counted where it was shown and where nothing was, with the difference.

    Who was shown something else, and of whom nobody knows, is neither.
    """
    shown = [opened_with({"verdict": "Partly correct", "tone": 4}, f"s{n}") for n in range(20)]
    hidden = [opened_with({}, f"h{n}") for n in range(20)]
    for one in hidden:
        one["auto_label"] = {"verdict": "Partly correct", "tone": 1}
    others = [opened_with({"verdict": "Incorrect"}, "other"), record("unknown") | {"withheld": False}]
    write([*shown, *hidden, *others], tmp_path / "a.jsonl", interface=REVIEW, card=True)
    text = (tmp_path / "a.jsonl.card.md").read_text("utf-8")
    assert "auto-label's value in 50.0% (39.3%–60.7%; 40 of 80) of answers where the form opened with it" in text
    assert "and in 0.0% (0.0%–4.6%; 0 of 80) where it opened empty" in text
    assert "Left out: 8 answers whose form opened with something else, or with what is not known." in text
    assert "The difference, +50.0% (+38.4% to +60.7%)" in text


def test_datasheet_samples_the_votes_of_large_exports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The agreement of more rows than are kept is that of a sample which does not depend on their order, and the
    datasheet says so."""
    monkeypatch.setattr("label_studio_quorum.gold.datasheet._MOST_VOTED", 8)
    rows = [record(f"r{n}") for n in range(50)]
    for one in rows[::3]:
        one["passes"][1]["values"] = one["passes"][0]["values"]
    texts = []
    for order in (rows, rows[::-1]):
        write(order, tmp_path / "a.jsonl", interface=REVIEW, card=True)
        texts.append((tmp_path / "a.jsonl.card.md").read_text("utf-8").partition("## Hashes")[0])
    assert texts[0] == texts[1]
    assert "in a sample of 8 rows drawn by their ids" in texts[0]


def test_agreement_sheet_says_of_which_rows_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each figure of the workbook says whether it is that of all rows or of a sample, and of how many."""
    for most, said in ((8, "8 of 50, drawn by their ids"), (50, "all 50")):
        monkeypatch.setattr("label_studio_quorum.gold.datasheet._MOST_VOTED", most)
        write([record(f"r{n}") for n in range(50)], tmp_path / "a.xlsx", interface=REVIEW)
        head, *figures = openpyxl.load_workbook(tmp_path / "a.xlsx")["quorum agreement"].iter_rows(values_only=True)
        assert {figure[head.index("rows")] for figure in figures} == {said}


def test_datasheet_measures_what_decisions_compare(tmp_path: Path) -> None:
    """An element that lies outside of its text is left out of agreement, as it is of the decision."""
    odd = record()
    values = odd["passes"][0]["values"]
    beyond = {"start": -5, "end": 1, "label": "ORG"}
    odd["passes"][0]["values"] = values | {"entities": [*values["entities"], beyond]}
    write([odd], tmp_path / "a.xlsx", interface=REVIEW)
    figures = openpyxl.load_workbook(tmp_path / "a.xlsx")["quorum agreement"].iter_rows(min_row=2, values_only=True)
    assert {figure[:2]: figure[2] for figure in figures}["entities", "span_f1.strict"] == "1.0"


def test_export_without_records_cannot_be_verified(tmp_path: Path) -> None:
    """A table whose column of records was taken out says so instead of verifying nothing."""
    (tmp_path / "a.csv").write_text("id,response\r\n1,x\r\n", encoding="utf-8")
    with pytest.raises(UnreadableError, match=r"quorum\.record"):
        list(read_records(tmp_path / "a.csv"))


@pytest.mark.parametrize("name", ["csv", "xlsx", "parquet"])
def test_changed_cell_does_not_pass_as_proved(name: str, tmp_path: Path) -> None:
    """A final value that was changed beside an untouched record is named when the export is read for proof."""
    path = tmp_path / f"a.{name}"
    write([record()], path, interface=REVIEW)
    assert len(list(read_records(path))) == 1
    _forge(path, name)
    found: list[RowFault] = []
    list(read_records(path, found.append))
    assert [(one.row_id, one.field) for one in found] == [("r1", "quorum.final.verdict")]
    with pytest.raises(UnreadableError, match=r"quorum\.final\.verdict"):
        list(read_records(path))


def _forge(path: Path, name: str) -> None:
    """Change the final verdict from Correct to Incorrect in what people read."""
    if name == "csv":
        with path.open(encoding="utf-8", newline="") as file:
            head, cells = list(csv.reader(file))
        cells[head.index("quorum.final.verdict")] = "Incorrect"
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([head, cells])
    elif name == "xlsx":
        book = openpyxl.load_workbook(path)
        column = [cell.value for cell in book["rows"][1]].index("quorum.final.verdict") + 1
        book["rows"].cell(2, column).value = "Incorrect"
        book["rows"]["D2"].data_type = "s"  # the response begins with "=", and openpyxl would make it a formula
        book.save(path)
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pq.read_table(path)
        at = table.schema.get_field_index("quorum.final.verdict")
        pq.write_table(table.set_column(at, table.schema.field(at), pa.array(["Incorrect"])), path)


@pytest.mark.slow
def test_workbook_edited_in_libreoffice_comes_in_again(tmp_path: Path) -> None:
    """A workbook that LibreOffice opened, changed and saved is read with every text as it was, but for the cell that
    was changed."""
    program = shutil.which("soffice")
    if program is None:
        pytest.skip("no LibreOffice on this machine; on Debian: apt install libreoffice-calc-nogui")
    rows = [
        record("r1", tags=["a", None], empty="", none=None),
        record("r2", context="to be changed", code="_x0041_ =1\x0b"),
    ]
    write(rows, tmp_path / "a.xlsx", interface=REVIEW)
    book = openpyxl.load_workbook(tmp_path / "a.xlsx")
    column = [cell.value for cell in book["rows"][1]].index("context") + 1
    _through_libreoffice(
        program, tmp_path / "a.xlsx", tmp_path / "edited", sheet=1, row=3, column=column, text="changed by hand"
    )
    back = list(read_rows(tmp_path / "edited" / "a.xlsx", interface=REVIEW))
    assert {one.id for one in back if isinstance(one, RowFault)} == {
        "QD.W024"
    }  # the control characters are still there
    rows[1]["row"]["context"] = "changed by hand"
    assert [one.columns() for one in back if isinstance(one, Row)] == [one["row"] for one in rows]


def _through_libreoffice(program: str, path: Path, out: Path, *, sheet: int, row: int, column: int, text: str) -> None:
    """Open the workbook in headless LibreOffice, type a text into one cell, and save it as XLSX elsewhere."""
    profile = out.parent / "profile"
    macro = f"""
Sub Edit(source, target)
  Dim hidden(0) As New com.sun.star.beans.PropertyValue
  hidden(0).Name = "Hidden" : hidden(0).Value = True
  book = StarDesktop.loadComponentFromURL(source, "_blank", 0, hidden())
  book.Sheets.getByIndex({sheet - 1}).getCellByPosition({column - 1}, {row - 1}).setString("{text}")
  Dim form(0) As New com.sun.star.beans.PropertyValue
  form(0).Name = "FilterName" : form(0).Value = "Calc MS Excel 2007 XML"
  book.storeToURL(target, form())
  book.close(True)
End Sub
"""
    start = [program, "--headless", "--norestore", f"-env:UserInstallation={profile.as_uri()}"]
    subprocess.run(
        [*start, "--terminate_after_init"], check=True, capture_output=True, timeout=180
    )  # makes the profile
    basic = profile / "user" / "basic" / "Standard"
    escaped = macro.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    (basic / "Module1.xba").write_text(
        head
        + '<!DOCTYPE script:module PUBLIC "-//OpenOffice.org//DTD OfficeDocument 1.0//EN" "module.dtd">\n'
        + '<script:module xmlns:script="http://openoffice.org/2000/script" '
        + 'script:name="Module1" script:language="StarBasic">'
        + escaped
        + "</script:module>",
        encoding="utf-8",
    )
    out.mkdir()
    target = out / path.name
    call = f'macro:///Standard.Module1.Edit("{path.as_uri()}","{target.as_uri()}")'
    subprocess.run([*start, call], check=True, capture_output=True, timeout=180)
    assert target.exists(), "LibreOffice did not save the workbook"


@pytest.mark.parametrize("name", ["a.parquet", "folder"])
def test_whole_numbers_beyond_64_bits_are_exported(name: str, tmp_path: Path) -> None:
    """A column with such a number is spelled as JSON, the file is written, verifies, and gives the numbers back."""
    records = [*_big_records()]
    report = write(records, tmp_path / name, interface=REVIEW, everything=True)
    assert report.rows == len(records)
    faults: list[RowFault] = []
    assert [record["row"]["n"] for record in read_records(tmp_path / name, faults.append)] == [2**64 - 1, 5, -(2**70)]
    assert faults == []
    rows = [entry for entry in read_rows(tmp_path / name, interface=REVIEW) if isinstance(entry, Row)]
    assert [row.extra["n"] for row in rows] == [2**64 - 1, 5, -(2**70)]


def _big_records() -> Iterator[dict[str, Any]]:
    for at, number in enumerate((2**64 - 1, 5, -(2**70))):
        row = {"id": f"r{at}", "context": "", "query": "q", "response": "Größe é", "n": number}
        yield {"row_id": f"r{at}", "gold": True, "state": "FINAL", "row": row}


def test_a_csv_for_excel_is_the_same_file(tmp_path: Path) -> None:
    """With a byte order mark it is read and verified as without; other formats have none."""
    records = list(_big_records())
    write(records, tmp_path / "plain.csv", interface=REVIEW)
    write(records, tmp_path / "excel.csv", interface=REVIEW, bom=True)
    plain, excel = ((tmp_path / name).read_bytes() for name in ("plain.csv", "excel.csv"))
    assert excel == b"\xef\xbb\xbf" + plain
    faults: list[RowFault] = []
    assert list(read_records(tmp_path / "excel.csv", faults.append)) == list(read_records(tmp_path / "plain.csv"))
    assert faults == []
    with pytest.raises(ValueError, match="csv"):
        write(records, tmp_path / "a.jsonl", interface=REVIEW, bom=True)


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_an_editor_may_add_a_byte_order_mark(name: str, tmp_path: Path) -> None:
    """The same holds of files that an editor saved with one."""
    path = tmp_path / name
    write(_big_records(), path, interface=REVIEW)
    before = list(read_records(path))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert list(read_records(path)) == before
