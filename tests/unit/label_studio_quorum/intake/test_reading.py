"""Rows in: the same rows come out of every format, and what other tools write is understood."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from label_studio_quorum.intake import Options, Row, RowFault, load_mapping, open_source, read_rows
from ls_config import load

REVIEW = load("response_review")
ROWS = [
    {
        "id": "r1",
        "context": "Kontext; mit, Zeichen",
        "query": "Wer?\r\nWo?",
        "response": '=1+1 "😀"\tRome',
        "domain": "general",
    },
    {"id": "007", "context": "", "query": "q", "response": "-5 % in 東京\u2028next", "domain": "technical"},
]


def table(delimiter: str, encoding: str) -> Callable[[Path], None]:
    """A writer of the rows as a delimited table."""

    def write(path: Path) -> None:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(ROWS[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(ROWS)
        path.write_bytes(text.getvalue().encode(encoding))

    return write


def sheets(path: Path) -> None:
    """A workbook with one row a sheet, and a sheet of notes."""
    book = openpyxl.Workbook()
    for number, row in enumerate(ROWS):
        tab = book.active if number == 0 else book.create_sheet(f"more {number}")
        tab.append(list(row))
        for at, value in enumerate(row.values(), 1):
            cell = tab.cell(2, at)
            cell.value, cell.data_type = value.replace("\r", "_x000D_"), "s"
    book.create_sheet("notes").append(["to", "do"])
    book.save(path)


def saved_to_disk(path: Path) -> None:
    """A folder as the `datasets` library's `save_to_disk` lays it out: state, and an Arrow stream."""
    path.mkdir()
    part = "data-00000-of-00001.arrow"
    (path / "state.json").write_text(json.dumps({"_data_files": [{"filename": part}]}), encoding="utf-8")
    (path / "dataset_info.json").write_text("{}", encoding="utf-8")
    rows = pa.Table.from_pylist(ROWS)
    with pa.OSFile(str(path / part), "wb") as sink, pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_table(rows)


def splits(path: Path) -> None:
    """A folder of several splits."""
    path.mkdir()
    (path / "dataset_dict.json").write_text('{"splits": ["train"]}', encoding="utf-8")
    saved_to_disk(path / "train")


def parquet_folder(path: Path) -> None:
    """A folder with a card and Parquet files, as the hub has it."""
    (path / "data").mkdir(parents=True)
    (path / "README.md").write_text("---\n---\n", encoding="utf-8")
    for number, row in enumerate(ROWS):
        pq.write_table(pa.Table.from_pylist([row]), path / "data" / f"train-{number:05d}.parquet")


FORMATS: dict[str, Callable[[Path], object]] = {
    "a.jsonl": lambda path: path.write_text("\n".join(json.dumps(row) for row in ROWS), "utf-8"),
    "b.jsonl": lambda path: path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS), "utf-8"),
    "a.json": lambda path: path.write_text(json.dumps(ROWS, indent=2), "utf-8"),
    "a.csv": table(",", "utf-8"),
    "bom.csv": table(",", "utf-8-sig"),
    "semicolon.csv": table(";", "utf-8"),
    "wide.csv": table(";", "utf-16"),
    "pipe.csv": table("|", "utf-8"),
    "a.tsv": table("\t", "utf-8"),
    "a.xlsx": sheets,
    "a.parquet": lambda path: pq.write_table(pa.Table.from_pylist(ROWS), path),
    "saved": saved_to_disk,
    "splits": splits,
    "hub": parquet_folder,
}


@pytest.mark.parametrize("name", FORMATS)
def test_same_rows_out_of_every_format(name: str, tmp_path: Path) -> None:
    """Texts are the same to the character, ids keep their zeros, and nothing is found wrong."""
    FORMATS[name](tmp_path / name)
    found = list(read_rows(tmp_path / name, interface=REVIEW))
    assert [str(one) for one in found if isinstance(one, RowFault) and one.id != "QD.W005"] == []
    assert [one.columns() for one in found if isinstance(one, Row)] == ROWS


def test_what_was_found_out_is_said(tmp_path: Path) -> None:
    """Format, encoding and delimiter are named, so that a wrong guess is seen."""
    table(";", "utf-8-sig")(tmp_path / "a.csv")
    assert str(open_source(tmp_path / "a.csv")).endswith("a.csv: csv, utf-8-sig, delimiter ';'")


def test_columns_are_mapped(tmp_path: Path) -> None:
    """Other names are mapped, an empty column stands for an empty field, and mapped columns are not kept twice."""
    (tmp_path / "a.csv").write_text("key,question,answer,note\r\nx,Q?,A.,n\r\n", encoding="utf-8")
    mapping = load_mapping(["id=key", "query=question", "response=answer", "context="])
    [row] = read_rows(tmp_path / "a.csv", interface=REVIEW, mapping=mapping)
    assert isinstance(row, Row)
    assert row.columns() == {"id": "x", "context": "", "query": "Q?", "response": "A.", "note": "n"}


@pytest.mark.parametrize("name", ["id", "context", "query", "response"])
def test_a_wrong_mapping_of_objects_is_told_as_one(tmp_path: Path, name: str) -> None:
    """What is wrong is the mapping, also where the row has the field; of the file it is told once, as of a table."""
    (tmp_path / "a.jsonl").write_text('{"id":"a","context":"","query":"q","response":"r"}\n', encoding="utf-8")
    of_row, of_file = read_rows(tmp_path / "a.jsonl", interface=REVIEW, mapping={name: "nope"})
    assert isinstance(of_row, RowFault)
    assert isinstance(of_file, RowFault)
    assert [(wrong.id, wrong.field) for wrong in (of_row, of_file)] == [("QD.E029", name), ("QD.E013", name)]
    assert "the row has no 'nope'" in str(of_row)
    assert all("id, context, query, response" in str(wrong) for wrong in (of_row, of_file))


def test_mapping_file(tmp_path: Path) -> None:
    """A mapping may be kept in a YAML file; a file that is none says so."""
    (tmp_path / "m.yaml").write_text("response: answer\ncontext:\n", encoding="utf-8")
    assert load_mapping(tmp_path / "m.yaml") == {"response": "answer", "context": ""}
    (tmp_path / "m.yaml").write_text("- a\n", encoding="utf-8")
    with pytest.raises(ValueError, match="FIELD: COLUMN"):
        load_mapping(tmp_path / "m.yaml")


def test_auto_labels_in_columns(tmp_path: Path) -> None:
    """A table may give the auto-label as one JSON cell or one column a control."""
    span = {"start": 0, "end": 4, "label": "ORG", "text": "ACME"}
    head = [
        "id",
        "context",
        "query",
        "response",
        "auto_label.verdict",
        "auto_label.issues",
        "auto_label.tone",
        "auto_label.entities",
    ]
    cells = ["x", "", "q", "ACME won.", "Correct", "Code error; Factual error", "4", json.dumps([span])]
    with (tmp_path / "a.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([head, cells])
    [row] = [one for one in read_rows(tmp_path / "a.csv", interface=REVIEW) if isinstance(one, Row)]
    assert row.auto_label == {
        "verdict": "Correct",
        "issues": ["Code error", "Factual error"],
        "tone": 4,
        "entities": [span],
    }


def test_label_studio_export_with_utf16_spans(tmp_path: Path) -> None:
    """An export of an older tool that counts UTF-16 units is a fault with the right span offered, and converted if
    asked."""
    data = {"row_id": "x", "context": "", "query": "q", "response": "😀 ACME won."}
    region = {"start": 3, "end": 7, "text": "ACME", "labels": ["ORG"]}
    result = [{"id": "1", "from_name": "entities", "to_name": "response", "type": "labels", "value": region}]
    task = {"id": 4, "data": data, "annotations": [], "predictions": [{"model_version": "m", "result": result}]}
    (tmp_path / "a.json").write_text(json.dumps([task]), encoding="utf-8")
    [found] = read_rows(tmp_path / "a.json", interface=REVIEW)
    right = {"start": 2, "end": 6, "label": "ORG", "text": "ACME"}
    assert isinstance(found, RowFault)
    assert (found.id, found.fix) == ("QD.E049", right)
    detected = list(read_rows(tmp_path / "a.json", interface=REVIEW, options=Options(offsets="detect")))
    assert [one.auto_label for one in detected if isinstance(one, Row)] == [{"entities": [right]}]


def meta(kind: str, when: str, **more: Any) -> dict[str, Any]:
    """Metadata as Ground Truth writes it."""
    return {
        "type": f"groundtruth/{kind}",
        "job-name": "labeling-job/x",
        "human-annotated": "yes",
        "creation-date": when,
        **more,
    }


def test_ground_truth_chain(tmp_path: Path) -> None:
    """The latest label of a chain becomes the auto-label: an adjustment counts, a verification does not; all keys
    are kept."""
    entities = [{"label": "ORG", "startOffset": 2, "endOffset": 6}]
    line = {
        "source": "😀 ACME won.",
        "verdict": "0",
        "verdict-metadata": meta("text-classification", "2020-01-01T00:00:00.000000", **{"class-name": "Correct"}),
        "check-verdict": "1",
        "check-verdict-metadata": meta("label-verification", "2020-01-03T00:00:00.000000", **{"class-name": "bad"}),
        "adjusted-verdict": "2",
        "adjusted-verdict-metadata": meta(
            "text-classification",
            "2020-01-02T00:00:00.000000",
            **{"class-name": "Incorrect", "adjustment-status": "adjusted"},
        ),
        "topics": [5, 0],
        "topics-metadata": meta(
            "text-classification-multilabel",
            "2020-01-01T00:00:00.000000",
            **{"class-map": {"5": "Code error", "0": "Factual error"}},
        ),
        "ner": {"annotations": {"labels": [{"label": "ORG"}], "entities": entities}},
        "ner-metadata": meta("text-span", "2020-01-01T00:00:00.000000", entities=[{"confidence": 0}]),
        "page": 7,
    }
    (tmp_path / "a.manifest").write_text(json.dumps(line) + "\n", encoding="utf-8")
    found = list(read_rows(tmp_path / "a.manifest", interface=REVIEW))
    [row] = [one for one in found if isinstance(one, Row)]
    assert row.auto_label == {
        "verdict": "Incorrect",
        "issues": ["Code error", "Factual error"],
        "entities": [{"start": 2, "end": 6, "label": "ORG"}],
    }
    assert row.response == line["source"]
    assert {name: row.extra[name] for name in line if name != "source"} == {
        k: v for k, v in line.items() if k != "source"
    }
    # Nothing in the manifest tells whether the emoji counted as one or two.
    assert "QD.W041" in {one.id for one in found if isinstance(one, RowFault)}


def test_input_manifest_has_no_labels(tmp_path: Path) -> None:
    """A manifest before any labelling is rows too; the same text is the same row again."""
    (tmp_path / "a.manifest").write_text('{"source": "one text"}\n{"source": "one text"}\n', encoding="utf-8")
    row, twice = (
        one
        for one in read_rows(tmp_path / "a.manifest", interface=REVIEW)
        if not isinstance(one, RowFault) or one.severity == "error"
    )
    assert isinstance(row, Row)
    assert row.row_id.startswith("gt-")
    assert isinstance(twice, RowFault)
    assert twice.id == "QD.E021"
    # Nobody finds an id that Quorum made in the file.
    assert "The text was there before (first in line 1)" in str(twice)


def test_a_task_without_a_row_id_is_told_by_its_number(tmp_path: Path) -> None:
    """What is used twice is said by what stands in the file."""
    tasks = [{"id": 5, "data": {"query": "q", "response": text}} for text in ("one", "two")]
    (tmp_path / "a.json").write_text(json.dumps(tasks), encoding="utf-8")
    [twice] = [one for one in read_rows(tmp_path / "a.json", interface=REVIEW) if isinstance(one, RowFault)]
    assert twice.id == "QD.E021"
    assert "The number of the task was there before" in str(twice)
    for task in tasks:
        task["data"] = task["data"] | {"row_id": "r1"}  # type: ignore[operator]
    (tmp_path / "a.json").write_text(json.dumps(tasks), encoding="utf-8")
    [twice] = [one for one in read_rows(tmp_path / "a.json", interface=REVIEW) if isinstance(one, RowFault)]
    assert "The id is used twice" in str(twice)
