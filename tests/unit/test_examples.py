"""The example campaign is what its sources say, and what the README promises of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from examples.build import auto_of, build, unmark

EXAMPLES = Path(__file__).parents[2] / "examples"


def lines(name: str) -> list[dict[str, object]]:
    """The JSON lines of one example file."""
    return [json.loads(line) for line in (EXAMPLES / name).read_text(encoding="utf-8").splitlines()]


def test_files_are_the_build_of_their_sources() -> None:
    """rows.jsonl and truth.jsonl equal what `python -m examples.build` makes of the sources."""
    built = list(build())
    assert lines("rows.jsonl") == [row for row, _ in built]
    assert lines("truth.jsonl") == [truth for _, truth in built]


def test_share_of_wrong_auto_labels_is_between_15_and_25_percent() -> None:
    """At least 120 rows over three domains; a known 15–25 % of the auto-labels are wrong."""
    rows, truth = lines("rows.jsonl"), lines("truth.jsonl")
    with_auto = [t for r, t in zip(rows, truth, strict=True) if "auto_label" in r]
    wrong = sum(bool(t["auto_label_wrong_in"]) for t in with_auto)
    assert len(rows) >= 120
    assert {r["domain"] for r in rows} == {"general", "technical", "financial"}
    assert 0.15 <= wrong / len(with_auto) <= 0.25


@pytest.mark.parametrize(
    "kind",
    [
        "emoji before a span",
        "CRLF",
        "CJK",
        "right-to-left",
        "combining marks",
        "table",
        "8,000-character context",
        "markup typed by people",
    ],
)
def test_hard_rows_are_there(kind: str) -> None:
    """Each hard kind of text stands in at least one row."""
    assert kind in {t["hard"] for t in lines("truth.jsonl")}


def test_a_long_context_has_8000_characters() -> None:
    """One context is about 8,000 characters long and one is empty."""
    lengths = [len(str(r["context"])) for r in lines("rows.jsonl")]
    assert max(lengths) >= 8000
    assert min(lengths) == 0


def test_marks_become_half_open_code_point_spans() -> None:
    """A mark after an emoji family counts code points, not UTF-16 units."""
    text, spans = unmark("👨‍👩‍👧 [[Ana|PERSON]]!")
    assert text == "👨‍👩‍👧 Ana!"
    assert (spans[0]["start"], spans[0]["end"]) == (6, 9)


def test_an_unknown_planted_fault_is_an_error() -> None:
    """A misspelt kind of planted fault is refused."""
    with pytest.raises(ValueError, match="no such planted fault"):
        auto_of({"verdict": "Correct"}, {"verdct": "ok"})
