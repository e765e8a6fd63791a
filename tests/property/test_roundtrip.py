"""What goes out comes in again: every format that carries rows, over rows as odd as hypothesis can make them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from label_studio_quorum.gold.formats import CARRIES_HISTORY, read_records, write
from label_studio_quorum.intake import Options, Row, RowFault, read_rows
from ls_config import load
from tests.support.export_files import SUFFIX
from tests.support.laws import examples

REVIEW = load("response_review")
# Surrogate halves cannot be written in any file; they are refused on the way in (QD.E026).
ODD = [
    "\x01",
    "\x1b",
    "\r\n",
    "\r",
    "\t",
    "\u2028",
    "\ufeff",
    "_x0041_",
    "=1+1",
    "-",
    '"',
    "'",
    ";",
    "😀",
    "e\u0301",
]
# U+0000 and half of a surrogate pair are faults of a row, which never goes in.
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
TEXT = st.lists(st.one_of(st.text(CHARACTERS, max_size=8), st.sampled_from(ODD)), max_size=5).map("".join)
IDS = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=12)
JSONISH = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**53), 2**53),
        st.floats(allow_nan=False, allow_infinity=False, width=32),
        TEXT,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=5,
)
NAMES = st.sampled_from(["source", "score", "tags", "license", "note 1", "größe", "row_id", "gold"])


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    """A row with any texts, a domain or none, an auto-label or none, and any further columns."""
    row: dict[str, Any] = {
        "id": draw(IDS),
        "context": draw(TEXT),
        "query": draw(TEXT),
        "response": draw(TEXT),
    }
    if draw(st.booleans()):
        row["domain"] = draw(st.sampled_from(["general", "technical", "Finance & tax"]))
    if draw(st.booleans()):
        row["auto_label"] = draw(auto_labels(row["response"]))
    return row | draw(st.dictionaries(NAMES, JSONISH, max_size=3))


@st.composite
def auto_labels(draw: st.DrawFn, text: str) -> dict[str, Any]:
    """An auto-label that fits the interface."""
    label: dict[str, Any] = {"verdict": draw(st.sampled_from(["Correct", "Incorrect"]))}
    if draw(st.booleans()):
        label["tone"] = draw(st.integers(1, 5))
    if draw(st.booleans()):
        label["issues"] = draw(st.lists(st.sampled_from(["Code error", "Factual error"]), unique=True))
    if text and draw(st.booleans()):
        start = draw(st.integers(0, len(text) - 1))
        end = draw(st.integers(start + 1, len(text)))
        label["entities"] = [{"start": start, "end": end, "label": "ORG", "text": text[start:end]}]
    return label


def record(row: Mapping[str, Any]) -> dict[str, Any]:
    """A full record of a row that two people labelled alike and a third accepted."""
    values = {"verdict": "Correct", "tone": 4, "entities": [], "issues": []}
    seat = {"at": "2026-01-05T10:00:00Z", "lead_time": 4.5, "values": values, "flags": [], "reason": None}
    return {
        "row_id": row["id"],
        "row": dict(row),
        "auto_label": row.get("auto_label"),
        "domain": row.get("domain"),
        "predicted_domain": None,
        "fields": REVIEW.fields({"response": row["response"]}),
        "passes": [{"by": "ana", **seat}, {"by": "ben", **seat}],
        "qa": [{"by": "cleo", **seat, "decision": "accept", "reason": "=HYPERLINK()"}],
        "expert": [],
        "state": "FINAL",
        "comparison": {name: {"agreed": True, "score": 1.0} for name in values},
        "proposal": {},
        "findings": [],
        "final": {
            "values": {
                name: {"value": value, "origin": "passes", "changed_from_auto": None} for name, value in values.items()
            }
        },
        "certificate": {
            "passes": ["ana", "ben"],
            "qa": "cleo",
            "expert": [],
            "domains": {},
            "policy": "sha256:0",
            "times": {},
        },
    }


def distinct(given_rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with ids of their own."""
    return list({row["id"]: row for row in given_rows}.values())


TOLERATED = [HealthCheck.too_slow, HealthCheck.data_too_large]


@pytest.mark.parametrize("name", SUFFIX)
@settings(max_examples=examples(30), deadline=None, suppress_health_check=TOLERATED)
@given(given_rows=st.lists(rows(), min_size=1, max_size=4))
def test_export_and_import_give_the_same_rows(name: str, given_rows: list[dict[str, Any]]) -> None:
    """Rows that leave in a format come in again exactly as they were: texts, types, nulls, order of rows."""
    wanted = distinct(given_rows)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / SUFFIX[name]
        write(map(record, wanted), path, name, interface=REVIEW)
        back = list(read_rows(path, interface=REVIEW, options=Options()))
    assert [str(one) for one in back if isinstance(one, RowFault) and one.severity == "error"] == []
    assert [one.columns() for one in back if isinstance(one, Row)] == wanted


@pytest.mark.parametrize("name", CARRIES_HISTORY)
@settings(max_examples=examples(10), deadline=None, suppress_health_check=TOLERATED)
@given(given_rows=st.lists(rows(), min_size=1, max_size=3))
def test_records_come_back_whole(name: str, given_rows: list[dict[str, Any]]) -> None:
    """A format that carries the history gives back each full record, nothing changed."""
    wanted = [record(row) for row in distinct(given_rows)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / SUFFIX[name]
        write(wanted, path, name, interface=REVIEW)
        back = list(read_records(path))
    assert [{key: one[key] for key in wanted[0]} for one in back] == json.loads(json.dumps(wanted))
    assert all(one["gold"] for one in back)


@pytest.mark.parametrize("name", SUFFIX)
@settings(max_examples=examples(5), deadline=None, suppress_health_check=TOLERATED)
@given(given_rows=st.lists(rows(), min_size=1, max_size=3))
def test_same_records_give_the_same_bytes(name: str, given_rows: list[dict[str, Any]]) -> None:
    """Writing the same records twice gives the same files, byte for byte."""
    wanted = [record(row) for row in distinct(given_rows)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / SUFFIX[name]
        first = write(wanted, path, name, interface=REVIEW)
        assert write(wanted, path, name, interface=REVIEW).sha256 == first.sha256


MANIFEST_KEYS = st.dictionaries(
    st.sampled_from(["page", "worker-note", "crawl", "lang", "other-label"]), JSONISH, min_size=1, max_size=4
)


@settings(max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    text=st.text(CHARACTERS, min_size=1, max_size=60),
    others=MANIFEST_KEYS,
    data=st.data(),
)
def test_manifest_in_and_out_keeps_unknown_keys(text: str, others: dict[str, Any], data: st.DataObject) -> None:
    """A Ground Truth line that comes in and leaves as a manifest still has every key it came with, unchanged."""
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    line = {
        "source": text,
        **others,
        "ner": {
            "annotations": {
                "labels": [{"label": "ORG"}],
                "entities": [{"label": "ORG", "startOffset": start, "endOffset": end}],
            }
        },
        "ner-metadata": {
            "type": "groundtruth/text-span",
            "job-name": "labeling-job/ner",
            "human-annotated": "yes",
            "creation-date": "2020-10-29T00:40:39.398470",
            "entities": [{"confidence": 0}],
        },
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "in.manifest"
        path.write_text(json.dumps(line) + "\n", encoding="utf-8")
        [row] = [one for one in read_rows(path, interface=REVIEW) if isinstance(one, Row)]
        assert row.auto_label == {"entities": [{"start": start, "end": end, "label": "ORG"}]}
        write([record(row.columns())], path, "ground-truth", interface=REVIEW)
        out = json.loads(path.read_text("utf-8"))
        [again] = [one for one in read_rows(path, interface=REVIEW) if isinstance(one, Row)]
    assert {key: out[key] for key in line} == line
    assert again == row
