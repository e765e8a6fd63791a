"""Reads rows to learn from: adjudicated gold, and public data mapped to the interface's labels by the maps below."""

from __future__ import annotations

import hashlib
import json
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ls_config.interface import Control
from ls_config.results import ResultError, to_result
from review_rules.errors import PublicError

Span = tuple[int, int, str]


@dataclass(frozen=True, kw_only=True)
class Example:
    """One row with what is known of its labels.

    Attributes:
        id: the row's id.
        group: rows of one document; never split between training and test.
        source: where it comes from.
        values: control → known value; a control that is not there is unknown.
        known: for `issues`, the labels that were decided; for `entities`, the types that were annotated. None: all.
        masked: for `entities`, stretches whose label is unknown.
    """

    id: str
    group: str
    source: str
    context: str = ""
    query: str = ""
    response: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    known: Mapping[str, frozenset[str]] = field(default_factory=dict)
    masked: tuple[tuple[int, int], ...] = ()
    auto: Mapping[str, Any] = field(default_factory=dict)
    domain: str | None = None


class DataError(PublicError):
    """A file cannot be learned from; the message names file, line, and what to do."""


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON Lines file.

    Raises:
        DataError: a line is not a JSON object.
    """
    with path.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream, 1):
            try:
                record = json.loads(line)
            except json.JSONDecodeError as error:
                raise DataError(f"{path}:{number}: not JSON ({error.msg}); correct or remove the line") from error
            if not isinstance(record, dict):
                raise DataError(f"{path}:{number}: not a JSON object; correct or remove the line")
            yield record


def data_hash(examples: Iterable[Example]) -> str:
    """Hash rows and labels, whatever their order."""
    lines = sorted(
        json.dumps([e.id, e.context, e.query, e.response, e.values, sorted(e.masked)], sort_keys=True, default=list)
        for e in examples
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def read_gold(path: Path, controls: Sequence[Control] | None = None) -> list[Example]:
    """Read rows that Quorum exported as gold, from JSON Lines of full records (`quorum export --format jsonl`).

    Raises:
        DataError: a line is not a JSON object; else see `gold_of`.
    """
    return gold_of(read_lines(path), controls, str(path))


def gold_of(records: Iterable[Any], controls: Sequence[Control] | None = None, where: str = "gold") -> list[Example]:
    """Return adjudicated rows: only those with a final label and a certificate count, single passes never.

    Args:
        records: full records, as `quorum export --format jsonl` writes them.
        controls: where given, every value must fit the interface.
        where: named in errors.

    Raises:
        DataError: no row is final, or a value does not fit.
    """
    # A single pass may be wrong, and a head would learn the mistake: only certified rows teach.
    final = [_gold(record, controls, where) for record in records if _is_final(record)]
    if not final:
        raise DataError(f"{where}: no row has a final label with its certificate; export gold with `quorum export`")
    return final


def _is_final(record: Any) -> bool:
    return (
        isinstance(record, dict)
        and record.get("state") == "FINAL"
        and isinstance(record.get("certificate"), dict)
        and isinstance(record.get("final"), dict)
        and isinstance(record["final"].get("values"), dict)
    )


def _gold(record: Mapping[str, Any], controls: Sequence[Control] | None, where: str) -> Example:
    row: Mapping[str, Any] = record["row"] if isinstance(record.get("row"), dict) else {}
    identity = str(record.get("row_id"))
    answers = record["final"]["values"].items()
    values = {name: answer.get("value") for name, answer in answers if isinstance(answer, dict)}
    if controls is not None:
        names = {c.name for c in controls}
        try:
            to_result({k: v for k, v in values.items() if k in names and v is not None}, controls, row)
        except ResultError as error:
            raise DataError(f"{where}: row {identity}: {error}; give the interface of this gold with --task") from error
    return Example(
        id=identity,
        # By the document: rows of one context on both sides of a fold would make the figures too good.
        group=document(str(row.get("context") or ""), identity),
        source="gold",
        **_texts(row),
        values=_plain_spans({name: value for name, value in values.items() if value is not None}),
        auto=record.get("auto_label") or {},
        domain=record["domain"] if isinstance(record.get("domain"), str) else None,
    )


def document(context: str, fallback: str) -> str:
    """Name the document that a row belongs to: rows with the same context stay together."""
    stripped = " ".join(context.split())
    return hashlib.sha256(stripped.encode()).hexdigest()[:16] if stripped else fallback


def _texts(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: str(row.get(key) or "") for key in ("context", "query", "response")}


def _plain_spans(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: [(span["start"], span["end"], span["label"]) for span in value]
        if isinstance(value, list) and value and all(_is_span(span) for span in value)
        else value
        for name, value in values.items()
    }


def _is_span(value: Any) -> bool:
    return isinstance(value, dict) and {"start", "end", "label"} <= value.keys()


def read_examples(folder: Path) -> list[Example]:
    """Read the example campaign with its known right answers (`rows.jsonl`, `truth.jsonl`)."""
    truth = {record["row_id"]: record["values"] for record in read_lines(folder / "truth.jsonl")}
    return [
        Example(
            id=row["id"],
            group=document(row.get("context") or "", row["id"]),
            source="examples",
            **_texts(row),
            values=_plain_spans(truth[row["id"]]),
            auto=row.get("auto_label") or {},
            domain=row.get("domain"),
        )
        for row in read_lines(folder / "rows.jsonl")
        if row["id"] in truth
    ]


# --- public data, mapped ---------------------------------------------------------------------------------------

VERDICTS: Final[Mapping[tuple[str, str], str]] = {
    ("attribution", "Fully attributable"): "Correct",
    ("attribution", "Not fully attributable"): "Partly correct",
    ("factual-consistency", "consistent"): "Correct",
    ("factual-consistency", "inconsistent"): "Incorrect",
    ("hallucination", "no"): "Correct",
    ("hallucination", "yes"): "Incorrect",
    ("correctness", "correct"): "Correct",
    ("correctness", "incorrect"): "Incorrect",
    ("factuality", "True"): "Correct",
    ("factuality", "False"): "Incorrect",
    ("rubric-0-4", "4"): "Correct",
    ("rubric-0-4", "3"): "Partly correct",
    ("rubric-0-4", "2"): "Partly correct",
    ("rubric-0-4", "1"): "Incorrect",
    ("rubric-0-4", "0"): "Incorrect",
}
"""(gold task, gold label) → verdict. BEGIN's "Generic" says nothing that could be right or wrong: not used."""

ISSUES: Final[Mapping[str, str]] = {
    "factual-consistency": "Contradicts context",
    "attribution": "Unsupported claim",
    "correctness": "Calculation or logic error",
    "hallucination": "Factual error",
}
"""Gold task → the one issue that a wrong answer of it shows; the other issues stay unknown for the row."""

RESPONSE_TYPES: Final[Mapping[str, str]] = {
    "conala-codegen": "Code",
    "factool-code": "Code",
    "summedits-ectsum": "Summary",
    "summedits-scitldr": "Summary",
}
"""Source → response type, where the source decides it."""

ENTITY_MAPS: Final[Mapping[str, Mapping[str, str]]] = {
    "StackOverflowNER": {
        "Library": "TECH", "Library_Class": "TECH", "Library_Function": "TECH", "Library_Variable": "TECH",
        "Language": "TECH", "Function_Name": "TECH", "Class_Name": "TECH", "Variable_Name": "TECH", "Data_Type": "TECH",
        "Error_Name": "TECH", "HTML_XML_Tag": "TECH", "File_Name": "TECH", "File_Type": "TECH",
        "Application": "PRODUCT", "Website": "PRODUCT", "Operating_System": "PRODUCT", "Organization": "ORG",
    },
    "SEC-filings": {"ORG": "ORG", "LOC": "LOCATION"},
    "KPI-EDGAR": {"kpi": "METRIC", "thereof": "METRIC"},
    "btc": {"PER": "PERSON", "ORG": "ORG", "LOC": "LOCATION"},
}  # fmt: skip
"""Source → its entity type → ours. Types that are not here (values, user interface elements, SEC's PER, which marks
roles such as "Lender", …) have no counterpart: their stretches are left out of training and of the measure."""


def read_responses(path: Path) -> list[Example]:
    """Read `responses_dev.jsonl`: verdicts, issues, types and ratings where the gold's task can be mapped."""
    return [
        Example(
            id=row["id"],
            group=document(row.get("context") or row.get("query") or "", row["id"]),
            source=row["source"],
            **_texts(row),
            values=values,
            known={"issues": frozenset({ISSUES[row["gold"]["task"]]})} if "issues" in values else {},
            domain=row.get("domain"),
        )
        for row in read_lines(path)
        if (values := _response_values(row))
    ]


def _response_values(row: Mapping[str, Any]) -> dict[str, Any]:
    gold = row["gold"]
    task, label = gold["task"], str(gold.get("label"))
    values: dict[str, Any] = {}
    if verdict := VERDICTS.get((task, label)):
        values["verdict"] = verdict
        if task in ISSUES:
            # The gold's task shows one kind of issue; a right answer has none of that kind.
            values["issues"] = [] if verdict == "Correct" else [ISSUES[task]]
    if kind := RESPONSE_TYPES.get(row["source"]):
        values["response_type"] = kind
    if task == "rubric-0-4":
        # The rubric begins at 0, our scale at 1.
        values["correctness"] = int(label) + 1
    if task == "expert-judgement" and gold.get("usefulness"):
        values["helpfulness"] = {"Useful": 5, "Partially useful": 3, "Not useful at all": 1}[gold["usefulness"]]
    if task == "rubric-1-4" and 1 <= gold["ratings"].get("Q0", 0) <= 4:
        values["helpfulness"] = (1, 2, 4, 5)[gold["ratings"]["Q0"] - 1]
    return values


def read_squality(items: Path, votes: Path) -> list[Example]:
    """Read summaries of stories that several people rated 0–100; their mean becomes a rating 1–5."""
    scores: dict[tuple[str, str], list[float]] = {}
    for vote in read_lines(votes):
        scores.setdefault((vote["item_id"], vote["criterion"]), []).append(float(vote["value"]))
    names = {"correctness": "correctness", "coverage": "completeness", "overall": "helpfulness"}
    return [
        Example(
            id=item["item_id"],
            group=item["item_id"].rsplit("-", 2)[0],
            source="squality",
            query=item.get("query") or "",
            response=item.get("response") or item.get("text") or "",
            values={
                ours: 1 + round(sum(marks) / len(marks) / 25)
                for theirs, ours in names.items()
                if (marks := scores.get((item["item_id"], theirs)))
            },
        )
        for item in read_lines(items)
    ]


def read_entities(path: Path) -> list[Example]:
    """Read `domain_ner_*_dev.jsonl` and `multi_span_btc_items_dev.jsonl`, mapped by `ENTITY_MAPS`."""
    return [example for row in read_lines(path) if (example := _entities(row)) is not None]


_GLUE_LEFT = re.compile(r" (?=[.,;:!?%)\]}]|'s\b|n't\b|'re\b|'ve\b)")
_GLUE_RIGHT = re.compile(r"(?<=[(\[{$£€]) ")


def as_written(text: str, spans: list[Span]) -> tuple[str, list[Span]]:
    """Write a text whose words and punctuation were split by spaces as people write it, and move its spans along.

    >>> as_written("Paid $ 5 ( in May ) .", [(7, 8, "MONEY"), (14, 17, "DATE")])
    ('Paid $5 (in May).', [(6, 7, 'MONEY'), (12, 15, 'DATE')])
    """
    dropped = sorted({m.start() for p in (_GLUE_LEFT, _GLUE_RIGHT) for m in p.finditer(text)})
    moved = [(s - bisect_left(dropped, s), e - bisect_left(dropped, e), label) for s, e, label in spans]
    positions = set(dropped)
    return "".join(char for index, char in enumerate(text) if index not in positions), moved


def _entities(row: Mapping[str, Any]) -> Example | None:
    identity = str(row.get("id") or row.get("item_id"))
    source = str(row.get("source", "btc")).split("/")[0]
    spans = row.get("entities") if "entities" in row else row.get("gold")
    if spans is None:
        return None
    mapping = ENTITY_MAPS[source]
    annotations = [(span["start"], span["end"], span["label"]) for span in spans]
    # Tweets come as people wrote them; the other sources come split into words.
    text, annotations = (row["text"], annotations) if source == "btc" else as_written(row["text"], annotations)
    return Example(
        id=identity,
        group=identity,
        source=source,
        response=text,
        values={"entities": [(start, end, mapping[label]) for start, end, label in annotations if label in mapping]},
        known={"entities": frozenset(mapping.values())},
        masked=tuple((start, end) for start, end, label in annotations if label not in mapping),
    )


def read_domains(path: Path) -> list[Example]:
    """Read `domain_text_dev.jsonl`: short texts with their domain, grouped by what one document may have given."""
    return [
        Example(
            id=row["id"],
            group=document(row["text"][:60].lower(), row["id"]),
            source=row["source"],
            response=row["text"],
            values={"domain": row["domain"]},
        )
        for row in read_lines(path)
    ]
