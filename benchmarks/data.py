"""The data of the benchmarks: rows, votes, spans and histories of any number, the same for the same seed."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import ROOT, NotMeasured, read_lines
from review_rules.statistics.bootstrap import Ints
from review_rules.statistics.votes import VoteKind, Votes

Json = dict[str, Any]
Rng = np.random.Generator
EXAMPLES = ROOT / "examples"
ROWS_FILE = "responses_dev.jsonl"
AUTO_LABEL: Json = {
    "verdict": "Correct", "issues": [], "response_type": "Direct answer", "correctness": 4, "completeness": 4,
    "helpfulness": 4, "tone": 4,
}  # fmt: skip
"""A label of the interface `response_review` that fits every row."""


def file_of(folder: Path, name: str) -> Path:
    """A file of the folder that `--data` names.

    Raises:
        NotMeasured: it is not there.
    """
    file = folder / name
    if not file.is_file():
        raise NotMeasured(f"needs the file {name} in the folder of --data; {folder} has none")
    return file


# --- rows --------------------------------------------------------------------------------------------------------


def rows_described(folder: Path | None, seed: int) -> str:
    """Where `rows` takes its rows from, for a report."""
    source = "the example campaign" if folder is None else f"{ROWS_FILE} of --data"
    return f"the rows of {source}, then rows of their sentences, drawn by seed {seed}"


def source_rows(folder: Path | None) -> list[Json]:
    """The rows of the example campaign, or of the folder that `--data` names."""
    file = EXAMPLES / "rows.jsonl" if folder is None else file_of(folder, ROWS_FILE)
    kept = ("id", "context", "query", "response", "domain")
    return [{name: row.get(name) or "" for name in kept} for row in read_lines(file)]


def rows(count: int, *, seed: int = 7, folder: Path | None = None, response: int | None = None) -> Iterator[Json]:
    """Rows with the columns `id`, `context`, `query`, `response` and `domain`.

    First come the source's own rows, then rows of sentences drawn from all of them, so that no two are nearly alike.

    Args:
        count: how many.
        seed: of what is drawn.
        folder: the folder that `--data` names; None for the example campaign.
        response: where given, all rows are drawn, with a response of about so many characters and a context of eight
            times as many.
    """
    source = source_rows(folder)
    sentences = _sentences(folder)
    draw = random.Random(seed)
    own = source[:count] if response is None else []
    yield from own
    for number in range(len(own), count):
        model = draw.choice(source)
        answer = response or max(400, len(model["response"]))
        context = 8 * response if response else max(600, len(model["context"]))
        yield {
            "id": f"made-{number:06}",
            "context": _text(context, sentences, draw),
            "query": f"{draw.choice(source)['query']} ({number})",
            "response": _text(answer, sentences, draw),
            "domain": model["domain"],
        }


def _text(length: int, sentences: tuple[str, ...], draw: random.Random) -> str:
    """A text of about so many characters."""
    parts: list[str] = []
    while sum(map(len, parts)) < length:
        parts.append(draw.choice(sentences))
    return " ".join(parts)


@cache
def _sentences(folder: Path | None) -> tuple[str, ...]:
    """All sentences of a source, each once, in the order of the source."""
    texts = (row[name] for row in source_rows(folder) for name in ("context", "response"))
    parts = (part.strip() for text in texts for part in re.split(r"(?<=[.!?])\s+", text))
    return tuple(dict.fromkeys(part for part in parts if 20 <= len(part) <= 300))


def truth() -> dict[str, Json]:
    """The right answers of the example campaign, by row id."""
    return {line["row_id"]: line["values"] for line in read_lines(EXAMPLES / "truth.jsonl")}


# --- votes -------------------------------------------------------------------------------------------------------


def crowd(items: int, people: int, classes: int, seed: int) -> Ints:
    """Classes, shape (items, people): right in four of five cases, else a guess."""
    rng = np.random.default_rng(seed)
    right = rng.integers(classes, size=(items, 1))
    guess = rng.integers(classes, size=(items, people))
    return np.where(rng.random((items, people)) < 0.8, right, guess)


def votes_of(codes: Ints) -> Votes:
    """The classes of `crowd` as votes."""
    items, people = codes.shape
    return Votes(
        kind=VoteKind.CHOICE,
        items=tuple(range(items)),
        annotators=tuple(f"p{who}" for who in range(people)),
        values=tuple("ABCDE"),
        item=np.repeat(np.arange(items), people),
        annotator=np.tile(np.arange(people), items),
        code=codes.ravel(),
    )


def coded(rng: Rng, items: int, kind: VoteKind) -> Votes:
    """Three people, a tenth of the ratings missing, a fifth of the items hard; 4 classes or ratings 1 to 5."""
    people, classes = 3, 4 if kind is VoteKind.CHOICE else 5
    prevalence = np.array([0.45, 0.3, 0.15, 0.1] if kind is VoteKind.CHOICE else [0.1, 0.15, 0.25, 0.3, 0.2])
    right = rng.choice(classes, size=items, p=prevalence)
    skill = np.where(rng.random(items) < 0.2, 0.5, 0.9)
    is_right = rng.random((items, people)) < skill[:, None]
    if kind is VoteKind.CHOICE:
        wrong = (right[:, None] + rng.integers(1, classes, size=(items, people))) % classes
    else:
        wrong = np.clip(right[:, None] + rng.choice([-2, -1, 1, 2], size=(items, people), p=[0.1, 0.4, 0.4, 0.1]), 0, 4)
    code = np.where(is_right, right[:, None], wrong)
    item, annotator = np.nonzero(rng.random((items, people)) < 0.9)
    answers = code[item, annotator]
    seen, place = np.unique(answers, return_inverse=True)
    present, index = np.unique(item, return_inverse=True)
    values = tuple("ABCD"[v] for v in seen) if kind is VoteKind.CHOICE else tuple(float(v) for v in seen)
    return Votes(
        kind=kind,
        items=tuple(present.tolist()),
        annotators=("a", "b", "c"),
        values=values,
        item=index.astype(np.int64),
        annotator=annotator.astype(np.int64),
        code=place.astype(np.int64),
    )


def marked(rng: Rng, items: int) -> Votes:
    """Two people mark up to three spans in texts of 60 to 200 characters; some are missed, some differ in a detail."""
    table: dict[frozenset[tuple[int, int, str]], int] = {}
    codes: list[int] = []
    lengths = rng.integers(60, 201, size=items)
    for number in rng.choice(4, size=items, p=[0.3, 0.35, 0.25, 0.1]):
        right = [
            (int(15 * k + rng.integers(0, 5)), int(rng.integers(3, 9)), "AB"[rng.integers(2)]) for k in range(number)
        ]
        for _ in range(2):
            marks = set()
            for start, length, label in right:
                luck = rng.random()
                if luck < 0.12:
                    continue  # this person misses the span
                end = start + length + (int(rng.integers(1, 4)) if luck > 0.85 else 0)
                marks.add((start, end, "AB"[label == "A"] if 0.8 < luck <= 0.85 else label))
            codes.append(table.setdefault(frozenset(marks), len(table)))
    return Votes(
        kind=VoteKind.SPANS,
        items=tuple(range(items)),
        annotators=("a", "b"),
        values=tuple(table),
        item=np.repeat(np.arange(items), 2),
        annotator=np.tile(np.arange(2), items),
        code=np.array(codes, dtype=np.int64),
        lengths=dict(enumerate(lengths.tolist())),
    )


def example_ballots(field: str, seed: int, people: int = 3) -> Iterator[Json]:
    """Votes on a field of the example campaign by people who err in a fifth of the rows, as lines of a votes file.

    A wrong choice or rating is another value of the field; a wrong set of spans lacks one, or moves an end.
    """
    draw = random.Random(f"{seed} {field}")
    answers = {name: values[field] for name, values in truth().items()}
    others = sorted({json.dumps(value) for value in answers.values()})
    for name, value in answers.items():
        for who in range(people):
            vote = value if draw.random() > 0.2 else _other(value, others, draw)
            yield {"item_id": name, "annotator": f"p{who}", "value": vote}


def _other(value: Any, others: list[str], draw: random.Random) -> Any:
    if not isinstance(value, list):
        return json.loads(draw.choice([other for other in others if other != json.dumps(value)]))
    if not value:
        return value  # nothing to miss
    place = draw.randrange(len(value))
    rest = [span for number, span in enumerate(value) if number != place]
    short = value[place]["end"] - value[place]["start"] < 2
    if short or draw.random() < 0.5:
        return rest
    return [*rest, {**value[place], "end": value[place]["end"] - 1, "text": value[place]["text"][:-1]}]


# --- histories ---------------------------------------------------------------------------------------------------

ANNOTATORS = [f"ann{number:02}" for number in range(20)]
EXPERTS = ["dag", "eva", "fin"]
HISTORY_POLICY = """\
passes: 2
qa: {when: all}
expert_domains: [technical, financial]
escalate_when: ["domain == 'financial' && has(agreement.verdict) && agreement.verdict < 0.5 && size(conflicts) > 2"]
proposal: passes+auto
fields:
  verdict: {agree: exact}
  topics: {agree: jaccard, threshold: 0.5}
  entities: {agree: span_f1, match: overlap, threshold: 0.8}
  helpfulness: {agree: tolerance, tolerance: 1}
"""
_START = datetime(2026, 1, 5, 8, tzinfo=UTC)
_TOPICS = ("billing", "security", "setup", "pricing")
_ENTITIES = ("ORG", "MONEY", "DATE")
_SENTENCE = (
    "the bank of the north reported 12 million in revenue for the quarter and its margin fell by two points while "
    "customers asked how to reset the router and where the invoice could be found"
)
_WORDS = _SENTENCE.split()


def history_team() -> str:
    """The team file of `histories`: annotators, of whom a quarter do QA, and experts."""
    people: list[Json] = [
        {"id": name, "roles": ["annotator", "qa"] if number % 4 == 0 else ["annotator"]}
        for number, name in enumerate(ANNOTATORS)
    ]
    people += [{"id": name, "roles": ["expert", "qa"], "expertise": ["technical", "financial"]} for name in EXPERTS]
    return json.dumps({"people": people})


def histories(count: int, seed: int) -> Iterator[Json]:
    """Histories at every point of their way, with conflicts and with submissions that do not count."""
    draw = random.Random(seed)
    for number in range(count):
        yield _history(number, draw)


def _history(number: int, draw: random.Random) -> Json:
    """One row: its truth, and people who mostly see it."""
    text = " ".join(draw.choice(_WORDS) for _ in range(60))
    right = _values(text, draw)
    first, second = draw.sample(ANNOTATORS, 2)
    passes = [_submission(who, minute, _noisy(right, text, draw), draw) for who, minute in ((first, 0), (second, 30))]
    if draw.random() < 0.05:
        passes.append(_submission(first, 40, _noisy(right, text, draw), draw))
    stage = draw.random()
    row: Json = {
        "row_id": f"row-{number}",
        "domain": draw.choice(["general", "general", "technical", "financial"]),
        "auto_label": _noisy(right, text, draw),
        "fields": {
            "verdict": {"kind": "choice"},
            "topics": {"kind": "choices"},
            "entities": {"kind": "spans", "text": text},
            "helpfulness": {"kind": "rating", "min": 1, "max": 5},
        },
        "passes": passes if stage > 0.1 else passes[:1],
        "qa": [],
        "expert": [],
    }
    if stage > 0.3:
        word = "escalate" if draw.random() < 0.1 else "correct"
        review = _submission(draw.choice(EXPERTS[:2]), 60, right, draw)
        row["qa"].append(review | {"decision": word, "reason": "please look" if word == "escalate" else None})
        if word == "escalate":
            row["expert"].append(_submission("fin", 90, right, draw) | {"decision": "correct", "reason": None})
    return row


def _values(text: str, draw: random.Random) -> Json:
    """A full label of a row."""
    spans = []
    for _ in range(draw.randint(0, 5)):
        start = draw.randrange(0, len(text) - 20)
        end = start + draw.randint(2, 18)
        spans.append({"start": start, "end": end, "label": draw.choice(_ENTITIES), "text": text[start:end]})
    return {
        "verdict": draw.choice(["Supported", "Refuted", "Unclear"]),
        "topics": draw.sample(_TOPICS, draw.randint(0, 3)),
        "entities": sorted(spans, key=lambda span: span["start"]),
        "helpfulness": draw.randint(1, 5),
    }


def _noisy(right: Json, text: str, draw: random.Random) -> Json:
    """The truth, each field with a chance of another answer."""
    other = _values(text, draw)
    return {name: other[name] if draw.random() < 0.12 else value for name, value in right.items()}


def _submission(who: str, minute: int, values: Json, draw: random.Random) -> Json:
    at = _START + timedelta(minutes=minute, seconds=draw.randint(0, 59))
    flags = ["unsure"] if draw.random() < 0.05 else []
    lead_time = round(draw.uniform(5, 90), 1)
    stamp = at.isoformat().replace("+00:00", "Z")
    return {"by": who, "at": stamp, "lead_time": lead_time, "values": values, "flags": flags, "reason": None}
