"""A proof finds every change of an export and none in an honest copy: format × rewrite, format × forgery."""

# ruff: noqa: E501  (each case stands on one line)

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from label_studio_quorum.gold.formats import write
from label_studio_quorum.gold.spool import line_of
from label_studio_quorum.intake import Row
from review_rules import decide, parse_history, verify
from review_rules.seals import Digest, Places
from tests.support.export_files import POLICY, REVIEW, SUFFIX, TEAM, decided_records, proof_of
from tests.support.rewrites import REWRITES

RESPONSE = "Rome grew 12 % in 2023,\nby its own count."


def odd_rows() -> list[Row]:
    """Rows that hold what programs like to change: numbers with a fraction of nothing, line ends, empty texts,
    formulas, ids that look like numbers, words for nothing."""
    return [
        Row(
            row_id="007",
            context="",
            query="Where?",
            response=RESPONSE,
            domain="financial",
            auto_label={"verdict": "Correct", "tone": 4},
            extra={"score": 1.0, "share": 0.1, "tags": ["a", 2.0, None], "checked": True, "note": None, "empty": ""},
        ),
        Row(
            row_id="1e5",
            context='A "quote", a comma; a\ttab.',
            query="Größe?",
            response="=SUM(A1)\r\nÀ la 😀 Rome.",
            domain="general",
            extra={
                "score": 2.5,
                "share": -3.0,
                "tags": {"b": 1, "a": 0.5},
                "checked": False,
                "note": "NA",
                "empty": "x",
            },
        ),
        Row(row_id="r3", context="c", query="q", response="- a\n- b", extra={"score": 12.0, "note": "2026-01-05"}),
        Row(row_id="waits", context="c", query="q", response="r"),
    ]


@lru_cache(maxsize=1)
def odd_records() -> tuple[dict[str, Any], ...]:
    """The records of `odd_rows`, with all that an export says beside the history."""
    return tuple(_with_more(decided_records(odd_rows())))


def _with_more(records: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for number, record in enumerate(records, 1):
        yield record | {
            "predicted_domain": None,
            "prelabel": {"model_version": "auto-label", "score": 0.75, "values": {"tone": 4}},
            "withheld": False,
            "skips": [{"stage": "pass", "by": "ana", "at": "2026-01-04T10:00:00.000000Z"}],
            "import_id": f"i{number}",
            "sources": {"passes": [{"task": number, "annotation": 9, "created_at": "2026-01-05T10:00:00.000000Z"}]},
        }


def exported(name: str, folder: Path) -> Path:
    """An export of the records in a format."""
    path = folder / SUFFIX[name]
    assert write(odd_records(), path, name, interface=REVIEW).rows == 3
    return path


NAMED_LOSSES: dict[tuple[str, str], set[tuple[str, str]]] = {
    # A spreadsheet takes ids that look like numbers for numbers, and so changes them.
    ("csv", "LibreOffice"): {("QR.E124", "id")},
    # This library reads the escape of a carriage return as text.
    ("xlsx", "pandas"): {("QR.E124", "response")},
}
"""What a program loses when it rewrites these records: the finding that names it."""
CASES = [
    pytest.param(name, what, marks=[pytest.mark.slow] if what == "LibreOffice" else [], id=f"{name}, {what}")
    for name, rewrites in REWRITES.items()
    for what in rewrites
]


@pytest.mark.parametrize(("name", "what"), CASES)
def test_an_honest_rewrite_is_proved(name: str, what: str, tmp_path: Path) -> None:
    """Another program's way of writing the same changes nothing; what a program loses is named."""
    source = exported(name, tmp_path)
    target = tmp_path / "again" / source.name
    target.parent.mkdir()
    REWRITES[name][what](source, target)
    proof, unproven = proof_of(target)
    assert proof.rows == 3
    assert {(entry.finding.id, entry.finding.path) for entry in unproven} == NAMED_LOSSES.get((name, what), set())


def test_numbers_that_lose_digits_are_named(tmp_path: Path) -> None:
    """JavaScript and jq 1.6 round long whole numbers, pandas fractions: the part and a number are named."""
    records = [record | {"row": {**record["row"], "n": 2**60 + 1, "third": 1 / 3}} for record in odd_records()]
    for record in records:
        record["row_hash"] = verify.row_hash(record["row"])
    write(records, tmp_path / "a.jsonl", interface=REVIEW)
    assert proof_of(tmp_path / "a.jsonl")[1] == []
    for what in ("jq -c", "node"):
        REWRITES["jsonl"][what](tmp_path / "a.jsonl", tmp_path / "again.jsonl")
        _, unproven = proof_of(tmp_path / "again.jsonl")
        assert {entry.cause for entry in unproven} == {("QR.E126", "row"), ("QR.E108", "row")}
        assert "115292150460684" in unproven[-1].finding.message
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_json(tmp_path / "a.jsonl", lines=True, dtype=False, precise_float=True)
    frame.to_json(tmp_path / "again.jsonl", orient="records", lines=True)
    _, unproven = proof_of(tmp_path / "again.jsonl")
    assert {entry.cause for entry in unproven} == {("QR.E126", "row"), ("QR.E108", "row")}


Changes = list[tuple[str, Callable[[Any], Any]]]


def _other(value: Any) -> Any:
    """Another value of the same type."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return value + "x"
        case None:
            return "x"
        case list():
            return [*value, "x"]
        case _:
            return {**value, "x": "x"}


@pytest.mark.parametrize("key", sorted(json.loads(line_of(odd_records()[0]).text)))
def test_each_part_of_a_record_is_bound(key: str, tmp_path: Path) -> None:
    """Whatever part of a record is changed or taken away, the record has a finding that names it."""
    path = exported("jsonl", tmp_path)
    lines = path.read_text("utf-8").splitlines()
    whole = json.loads(lines[0])
    without = {name: value for name, value in whole.items() if name != key}
    for record in (whole | {key: _other(whole[key])}, without):
        path.write_text("\n".join([json.dumps(record), *lines[1:]]), encoding="utf-8")
        _, unproven = proof_of(path)
        named = {entry.finding.path.partition(".")[0] for entry in unproven}
        assert key in named or unproven[0].finding.id in ("QR.E101", "QR.E103"), key
        assert {entry.place.line for entry in unproven} <= {1, None}


def _csv_columns(path: Path) -> set[str]:
    """Change every cell but the record of the first row; the columns."""
    with path.open(encoding="utf-8", newline="") as file:
        head, first, *others = csv.reader(file)
    changed = [cell if name == "quorum.record" else cell + "x" for name, cell in zip(head, first, strict=True)]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([head, changed, *others])
    return set(head)


def _parquet_columns(path: Path) -> set[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    first, *others = table.to_pylist()
    changed = {name: cell if name == "quorum.record" else _other_of(table, name, cell) for name, cell in first.items()}
    pq.write_table(pa.Table.from_pylist([changed, *others], schema=table.schema), path)
    return set(table.column_names)


def _other_of(table: Any, name: str, cell: Any) -> Any:
    if cell is None:
        return {"double": 1.0, "bool": True, "int64": 1}.get(str(table.schema.field(name).type), "x")
    if isinstance(cell, list) and (not cell or isinstance(cell[0], dict)):
        return [*cell, *cell] if cell else ["x"]
    return _other(cell)


def _xlsx_columns(path: Path) -> set[str]:
    book = _workbook(path)
    names = [cell.value for cell in book["rows"][1]]
    for at, name in enumerate(names, 1):
        cell = book["rows"].cell(2, at)
        # A row under another id is another row, which is found by that.
        if name != "id":
            cell.value, cell.data_type = f"{cell.value or ''}x", "s"
    book.save(path)
    return {*names, "quorum.record"} - {"id"}


def _workbook(path: Path) -> Any:
    """A workbook whose texts that begin with "=" stay texts."""
    book = openpyxl.load_workbook(path)
    for sheet in book:
        for cells in sheet.iter_rows():
            for cell in cells:
                cell.data_type = "s" if cell.data_type == "f" else cell.data_type
    return book


@pytest.mark.parametrize(
    ("name", "change"), [("csv", _csv_columns), ("parquet", _parquet_columns), ("xlsx", _xlsx_columns)]
)
def test_each_column_of_a_table_is_bound(name: str, change: Callable[[Path], set[str]], tmp_path: Path) -> None:
    """Each cell that says other than the record is named, with its column."""
    path = exported(name, tmp_path)
    columns = change(path)
    _, unproven = proof_of(path)
    assert {entry.finding.id for entry in unproven} == {"QR.E124"}
    assert {entry.finding.path for entry in unproven} == columns - {"quorum.record"}
    assert {entry.row_id for entry in unproven} == {"007"}
    assert {entry.place.line for entry in unproven} == {1 if name == "parquet" else 2}


# --- rows of a file


def _load(name: str, path: Path) -> list[dict[str, Any]]:
    """The rows of a file: objects of JSON, or cells by column."""
    match name:
        case "jsonl":
            return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        case "label-studio":
            return list(json.loads(path.read_text("utf-8")))
        case "csv":
            with path.open(encoding="utf-8", newline="") as file:
                return list(csv.DictReader(file))
        case _:
            import pyarrow.parquet as pq

            return list(pq.read_table(path).to_pylist())


def _save(name: str, path: Path, rows: list[dict[str, Any]]) -> None:
    match name:
        case "jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        case "label-studio":
            path.write_text(json.dumps(rows), encoding="utf-8")
        case "csv":
            with path.open(encoding="utf-8", newline="") as file:
                names = next(csv.reader(file))
            with path.open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, names)
                writer.writeheader()
                writer.writerows(rows)
        case _:
            import pyarrow as pa
            import pyarrow.parquet as pq

            pq.write_table(pa.Table.from_pylist(rows, schema=pq.read_schema(path)), path)


def _record_of(row: dict[str, Any]) -> dict[str, Any]:
    """The record that a row of a file carries."""
    if "quorum.record" in row:
        return json.loads(row["quorum.record"])  # type: ignore[no-any-return]
    return row["meta"]["quorum"]["record"] if "meta" in row else row


def _with_record(row: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    """The row with another record."""
    if "quorum.record" in row:
        return row | {"quorum.record": json.dumps(record)}
    if "meta" in row:
        return row | {"meta": {"quorum": {**row["meta"]["quorum"], "record": record}}}
    return record


def _change_record(rows: list[dict[str, Any]], change: Callable[[dict[str, Any]], Any], place: int = 0) -> None:
    record = json.loads(json.dumps(_record_of(rows[place])))
    change(record)
    rows[place] = _with_record(rows[place], record)


def _re_decided(record: dict[str, Any]) -> None:
    """The domain taken away, and the decision made anew to match."""
    record["domain"] = None
    decision = decide(parse_history(record), TEAM, POLICY).to_json()
    record |= {key: decision[key] for key in decision if key != "row_id"}


def _swapped_ids(rows: list[dict[str, Any]]) -> None:
    first, second = (_record_of(row)["row_id"] for row in rows[:2])
    _change_record(rows, lambda record: record.update(row_id=second), 0)
    _change_record(rows, lambda record: record.update(row_id=first), 1)


def _edited_without_hash(record: dict[str, Any]) -> None:
    record["row"]["query"] = "Who?"
    record.pop("row_hash")


def _stripped(record: dict[str, Any]) -> None:
    """What tells a record of today from one of 0.1.0 taken away."""
    for key in ("rules", "digest", "export"):
        record.pop(key)
    record["certificate"].pop("team")
    for about in record["fields"].values():
        about.pop("required", None)


# what, findings of which there is at least one, what is done to the rows
FORGED: list[tuple[str, set[str], Callable[[list[dict[str, Any]]], Any]]] = [
    ("domain, re-decided", {"QR.E123"}, lambda rows: _change_record(rows, _re_decided)),
    ("ids swapped", {"QR.E123"}, _swapped_ids),
    ("text without its hash", {"QR.E116"}, lambda rows: _change_record(rows, _edited_without_hash)),
    ("gold flipped", {"QR.E123"}, lambda rows: _change_record(rows, lambda record: record.update(gold=False))),
    ("withheld flipped", {"QR.E123"}, lambda rows: _change_record(rows, lambda record: record.update(withheld=True))),
    ("version stripped", {"QR.E117"}, lambda rows: _change_record(rows, _stripped)),
    ("first row taken out", {"QR.E119"}, lambda rows: rows.pop(0)),
    ("last row taken out", {"QR.E119"}, lambda rows: rows.pop()),
    ("row twice", {"QR.E102"}, lambda rows: rows.append(rows[0])),
    ("rows moved", {"QR.E120"}, lambda rows: rows.reverse()),
    (
        "row made up",
        {"QR.E123", "QR.E121"},
        lambda rows: rows.append(json.loads(json.dumps(rows[0]).replace("007", "8"))),
    ),
    ("all rows taken out", {"QR.E118"}, lambda rows: rows.clear()),
]
SINGLE = ("jsonl", "csv", "parquet", "label-studio")


@pytest.mark.parametrize("name", SINGLE)
@pytest.mark.parametrize(("what", "rule_ids", "forge"), FORGED, ids=[what for what, _, _ in FORGED])
def test_a_forged_file_is_found(
    name: str, what: str, rule_ids: set[str], forge: Callable[[list[dict[str, Any]]], Any], tmp_path: Path
) -> None:
    """What somebody does to the rows of a file is found in every format."""
    path = exported(name, tmp_path)
    rows = _load(name, path)
    forge(rows)
    _save(name, path, rows)
    _, unproven = proof_of(path)
    assert rule_ids & {entry.finding.id for entry in unproven}, what


def test_a_file_stripped_of_all_digests_is_refused_on_request(tmp_path: Path) -> None:
    """It looks like an export of 0.1.0: what that does not prove is said, and `--sealed` refuses it."""
    path = exported("jsonl", tmp_path)
    rows = _load("jsonl", path)
    for row in rows:
        _stripped(row)
    _save("jsonl", path, rows)
    proof, unproven = proof_of(path)
    assert {entry.finding.id for entry in unproven} <= {"QR.E110", "QR.E113"}  # decided by version 1
    assert [sentence[:30] for sentence in proof.not_proved()[:2]] == [
        "3 of 3 records carry no digest",
        "records without a version of t",
    ]
    _, unproven = proof_of(path, Places(required=True))
    assert [entry.row_id for entry in unproven if entry.finding.id == "QR.E117"] == ["007", "1e5", "r3"]


# what, part, what is done to the first task
TASKS: list[tuple[str, str, Callable[[dict[str, Any]], Any]]] = [
    ("task id", "id", lambda task: task.update(id=9)),
    ("row id", "data.row_id", lambda task: task["data"].update(row_id="r9")),
    ("response", "data.response", lambda task: task["data"].update(response="x")),
    ("column added", "data.note", lambda task: task["data"].update(note="x")),
    ("annotations deleted", "annotations", lambda task: task.update(annotations=[])),
    ("one deleted", "annotations", lambda task: task["annotations"].pop(0)),
    ("no list", "annotations", lambda task: task.update(annotations="x")),
    ("one added", "annotations", lambda task: task["annotations"].append(task["annotations"][0])),
    ("no object", "annotations[0].result", lambda task: task["annotations"].__setitem__(0, 5)),
    ("result deleted", "annotations[3].result.verdict", lambda task: task["annotations"][3].update(result=[])),
    ("result no list", "annotations[3].result", lambda task: task["annotations"][3].update(result=5)),
    ("truth flipped", "annotations[3].result.verdict", lambda task: _flip(task["annotations"][3])),
    ("answer flipped", "annotations[0].result.verdict", lambda task: _flip(task["annotations"][0])),
    ("marked as the truth", "annotations[0].ground_truth", lambda task: task["annotations"][0].update(ground_truth=True)),
    ("truth taken away", "annotations[3].ground_truth", lambda task: task["annotations"][3].update(ground_truth=False)),
    ("person", "annotations[0].meta", lambda task: task["annotations"][0]["meta"]["quorum"].update(by="ben")),
    ("time", "annotations[0].created_at", lambda task: task["annotations"][0].update(created_at=None)),
    ("prediction flipped", "predictions[0].result.verdict", lambda task: _flip(task["predictions"][0])),
    ("prediction deleted", "predictions", lambda task: task.pop("predictions")),
    ("model", "predictions[0].model_version", lambda task: task["predictions"][0].update(model_version="x")),
    ("region id", "meta.quorum.digest", lambda task: task["annotations"][0]["result"][0].update(id="x")),
    ("digest", "meta.quorum.digest", lambda task: task["meta"]["quorum"].update(digest="sha256:0")),
    ("digest deleted", "meta.quorum.digest", lambda task: task["meta"]["quorum"].pop("digest")),
    ("note added", "meta.quorum.digest", lambda task: task["meta"].update(note="x")),
]  # fmt: skip


def _flip(annotation: dict[str, Any]) -> None:
    for item in annotation["result"]:
        if item["from_name"] == "verdict":
            item["value"]["choices"] = ["Incorrect" if item["value"]["choices"] == ["Correct"] else "Correct"]


@pytest.mark.parametrize(("what", "part", "forge"), TASKS, ids=[what for what, _, _ in TASKS])
def test_a_task_shows_what_its_record_says(
    what: str, part: str, forge: Callable[[dict[str, Any]], Any], tmp_path: Path
) -> None:
    """In Label Studio's JSON each part that stands beside the record is compared with it, and the task as a whole is
    bound by its digest."""
    path = exported("label-studio", tmp_path)
    rows = _load("label-studio", path)
    forge(rows[0])
    _save("label-studio", path, rows)
    _, unproven = proof_of(path)
    assert part in {entry.finding.path for entry in unproven}
    assert {entry.finding.id for entry in unproven} == {"QR.E124"}


def test_a_task_made_anew_is_compared_with_its_record(tmp_path: Path) -> None:
    """Whoever makes the task's digest anew still shows other than the record."""
    path = exported("label-studio", tmp_path)
    for forge in (lambda task: _flip(task["annotations"][3]), lambda task: task["annotations"][3].update(result=[])):
        rows = _load("label-studio", path)
        forge(rows[0])
        quorum = rows[0]["meta"]["quorum"]
        quorum["digest"] = Digest.of(rows[0] | {"meta": {"quorum": {"record": quorum["record"]}}}).record
        _save("label-studio", tmp_path / "forged.json", rows)
        _, unproven = proof_of(tmp_path / "forged.json")
        assert "annotations[3].result.verdict" in {entry.finding.path for entry in unproven}


# --- workbooks


def _append_row(book: Any) -> None:
    book["rows"].append(["r9", "", "q", "made up"])


def _take_out_row(book: Any) -> None:
    book["rows"].delete_rows(3)


def _swap_rows(book: Any) -> None:
    for at in range(1, 40):
        first, second = book["rows"].cell(2, at), book["rows"].cell(3, at)
        first.value, second.value = second.value, first.value


def _set_cell(sheet: str, place: str, value: str) -> Callable[[Any], None]:
    def change(book: Any) -> None:
        book[sheet][place].value = value

    return change


# what, finding, part of its line, what is done to the workbook
WORKBOOKS: list[tuple[str, str, str, Callable[[Any], Any]]] = [
    ("row made up", "QR.E124", "no record stands behind this row of the sheet", _append_row),
    ("row taken out", "QR.E124", "does not list the rows", _take_out_row),
    ("rows moved", "QR.E124", "does not list the rows", _swap_rows),
    ("another sheet", "QR.E124", "the sheet 'more' is none of an export's", lambda book: book.create_sheet("more")),
    ("figure of a person", "QR.E124", "the sheet 'quorum people'", _set_cell("quorum people", "B2", "9")),
    ("people taken out", "QR.E101", "quorum people", lambda book: book.remove(book["quorum people"])),
    ("figure of agreement", "QR.E124", "the sheet 'quorum agreement'", _set_cell("quorum agreement", "C2", "0.99")),
    ("id of a piece", "QR.E124", "the cell 'row_id' of this piece", _set_cell("quorum records", "A2", "r9")),
    ("number of a piece", "QR.E124", "the cell 'part' of this piece", _set_cell("quorum records", "B2", "7")),
    ("damaged piece", "QR.E101", "not valid JSON", _set_cell("quorum records", "C2", '{"row_id": ')),
    ("piece no record", "QR.E101", "the record is damaged", _set_cell("quorum records", "C2", "[]")),
    ("column of pieces renamed", "QR.E101", "the column part is not there", _set_cell("quorum records", "B1", "piece")),
    ("records taken out", "QR.E101", "quorum records", lambda book: book.remove(book["quorum records"])),
]  # fmt: skip


@pytest.mark.parametrize(("what", "rule_id", "sentence", "forge"), WORKBOOKS, ids=[what for what, *_ in WORKBOOKS])
def test_a_forged_workbook_is_found(
    what: str, rule_id: str, sentence: str, forge: Callable[[Any], Any], tmp_path: Path
) -> None:
    """Each sheet that an export writes is bound to the records, and there is no other."""
    path = exported("xlsx", tmp_path)
    book = _workbook(path)
    forge(book)
    book.save(path)
    _, unproven = proof_of(path)
    assert any(entry.finding.id == rule_id and sentence in str(entry) for entry in unproven), list(map(str, unproven))


# --- damage


@pytest.mark.parametrize("name", ["jsonl", "csv", "parquet", "label-studio"])
@pytest.mark.parametrize(
    ("key", "value"),
    [("row", 5), ("row_id", 5), ("passes", [5]), ("qa", "x"), ("passes", [{"values": 5}]), ("final", []),
     ("final", {"values": {"verdict": 5}}), ("certificate", {"passes": 5}), ("certificate", {"domains": {"a": 5}}),
     ("fields", {"verdict": 5}), ("fields", 5), ("digest", 5), ("export", {"number": {}})],
    ids=str,
)  # fmt: skip
def test_a_damaged_record_is_a_finding(name: str, key: str, value: Any, tmp_path: Path) -> None:
    """A part of another type is told with file, row and part, and ends nothing: the others are proved."""
    path = exported(name, tmp_path)
    rows = _load(name, path)
    _change_record(rows, lambda record: record.update({key: value}))
    _save(name, path, rows)
    proof, unproven = proof_of(path)
    assert key in {entry.finding.path.split(".")[0].split("[")[0] for entry in unproven}
    assert proof.rows == 3


# what, format, finding, part of its line, what is done to the bytes
DAMAGED: list[tuple[str, str, str, str, Callable[[bytes], bytes]]] = [
    ("key twice", "jsonl", "QR.E101", "the key 'gold' is given twice", lambda text: text.replace(b'{"row_id"', b'{"gold":false,"row_id"', 1)),
    ("key twice within", "jsonl", "QR.E101", "the key 'origin' is given twice", lambda text: text.replace(b'"origin":', b'"origin":"qa","origin":', 1)),
    ("key twice in a cell", "csv", "QR.E101", "quorum.record: QR.E101 this line is no record of a row: the key 'gold'", lambda text: text.replace(b'{""row_id""', b'{""gold"":false,""row_id""', 1)),
    ("key twice in a task", "label-studio", "QR.E101", "the key 'id' is given twice", lambda text: text.replace(b'{"id":1,', b'{"id":9,"id":1,', 1)),
    ("line cut", "jsonl", "QR.E101", "not valid JSON", lambda text: text[:300] + b"\n" + text),
    ("file cut", "jsonl", "QR.E101", "not valid JSON", lambda text: text[:-100]),
    ("array cut", "label-studio", "QR.E101", "not valid JSON", lambda text: text[:-100]),
    ("array not closed", "label-studio", "QR.E101", "the array is not closed", lambda text: text.rstrip()[:-1]),
    ("no number", "jsonl", "QR.E101", "NaN is not JSON", lambda text: text.replace(b'"lead_time":9.5', b'"lead_time":NaN', 1)),
    ("other encoding", "jsonl", "QR.E101", "is not UTF-8", lambda text: text.replace("ö".encode(), b"\xf6")),
    ("other encoding of a table", "csv", "QR.E101", "is not utf-8", lambda text: text.replace("ö".encode(), b"\xf6")),
    ("deep", "jsonl", "QR.E101", "nested too deeply", lambda text: b"[" * 100_000 + b"\n" + text),
    ("deep in an array", "label-studio", "QR.E101", "nested too deeply", lambda text: b"[" + b'{"a":' * 100_000),
    ("no object", "jsonl", "QR.E101", "a history is a JSON object", lambda text: b"null\n5\n" + text),
    ("text", "label-studio", "QR.E101", "not valid JSON", lambda text: b"hello"),
    ("cell cut", "csv", "QR.E101", "quorum.record: QR.E101", lambda text: text.replace(b"}}\"\r\n", b'"\r\n', 1)),
    ("cell emptied", "csv", "QR.E101", "the cell of the column quorum.record is empty", lambda text: b"id,quorum.record\r\n007,\r\n"),
    ("cell too many", "csv", "QR.E101", "cells", lambda text: text.replace(b"}}\"\r\n", b'}}",x\r\n', 1)),
    ("quote open", "csv", "QR.E101", "", lambda text: text[:-3]),
    ("column taken out", "csv", "QR.E101", "the column quorum.record is not there", lambda text: b"id,response\r\n1,x\r\n"),
    ("head alone", "csv", "QR.E118", "no record", lambda text: text.partition(b"\r\n")[0]),
    ("no workbook", "xlsx", "QR.E101", "no XLSX workbook", lambda text: text[: len(text) // 2]),
    ("workbook damaged within", "xlsx", "QR.E101", "no XLSX workbook", lambda text: text[:900] + b"\0" * 400 + text[1300:]),
    ("no table", "parquet", "QR.E101", "no Parquet file", lambda text: text[:-20]),
    ("table damaged within", "parquet", "QR.E101", "", lambda text: text[:40] + b"\0" * 200 + text[240:]),
    *((f"empty {name}", name, "QR.E118" if name in ("jsonl", "csv", "label-studio") else "QR.E101", "", lambda text: b"") for name in ("jsonl", "csv", "label-studio", "xlsx", "parquet")),
]  # fmt: skip


@pytest.mark.parametrize(("what", "name", "rule_id", "sentence", "damage"), DAMAGED, ids=[what for what, *_ in DAMAGED])
def test_a_damaged_file_is_a_finding(
    what: str, name: str, rule_id: str, sentence: str, damage: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    """What cannot be read is one finding with its place, whatever the format, and no traceback."""
    path = exported(name, tmp_path)
    text = path.read_bytes()
    assert damage(text) != text
    path.write_bytes(damage(text))
    _, unproven = proof_of(path)
    assert any(entry.finding.id == rule_id and sentence in str(entry) for entry in unproven), list(map(str, unproven))


def test_a_damaged_folder_is_a_finding(tmp_path: Path) -> None:
    """A data set's own index that cannot be read is told, and one without files too."""
    folder = exported("hf", tmp_path)
    assert proof_of(folder)[1] == []
    (folder / "state.json").write_text("{}", encoding="utf-8")
    assert [entry.finding.id for entry in proof_of(folder)[1]] == ["QR.E101"]
    (tmp_path / "nothing").mkdir()
    assert [entry.finding.id for entry in proof_of(tmp_path / "nothing")[1]] == ["QR.E101"]
