"""The example campaign is what its sources say, and what the README promises of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from examples.build import auto_of, build, mentions, unmark

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
    """At least 150 rows over three domains; a known 15–25 % of the auto-labels are wrong."""
    rows, truth = lines("rows.jsonl"), lines("truth.jsonl")
    with_auto = [t for r, t in zip(rows, truth, strict=True) if "auto_label" in r]
    wrong = sum(bool(t["auto_label_wrong_in"]) for t in with_auto)
    assert len(rows) >= 150
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
        "long response",
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


MARKDOWN = re.compile(r"^#{1,4} |^ *[-*] |^ *\d+\. |```|`[^`]+`|\*\*|^\|.*\|$|^> |\$\$", re.MULTILINE)


def test_responses_look_like_those_of_chat_models() -> None:
    """Of every length, half of them Markdown, with code in six languages and more, tables and formulas."""
    responses = [str(row["response"]) for row in lines("rows.jsonl")]
    lengths = [len(response) for response in responses]
    assert min(lengths) >= 40
    assert max(lengths) in range(5_500, 6_001)
    assert sum(length > 600 for length in lengths) >= 20
    assert sum(bool(MARKDOWN.search(response)) for response in responses) * 2 >= len(responses)
    languages = {language for response in responses for language in re.findall(r"```(\w+)", response)}
    assert languages >= {"bash", "c", "go", "java", "python", "rust", "sql", "typescript"}
    assert sum("$$" in response for response in responses) >= 10
    assert sum("|--" in response for response in responses) >= 20


def test_no_line_is_broken_in_mid_sentence() -> None:
    """Outside of code blocks, a line that ends within a sentence is followed by none that goes on with it."""
    for row in lines("rows.jsonl"):
        text = re.sub(r"```.*?```", "", str(row["response"]), flags=re.DOTALL)
        assert not re.search(r"[a-zà-ÿ,]\r?\n[a-zà-ÿ(]", text), row["id"]


def test_every_mention_of_a_listed_name_is_marked() -> None:
    """Of two names the longer, outside of code blocks, formulas and addresses, and as a whole word."""
    text = "The [ECB](https://ecb.example), $ECB$ and ECB News; `ECB`.\n```sql\nECB\n```\nDECB"
    spans = mentions(text, {"ORG": ["ECB"], "PRODUCT": ["ECB News"]})
    assert [(span["start"], span["text"], span["label"]) for span in spans] == [
        (5, "ECB", "ORG"),
        (text.index("ECB News"), "ECB News", "PRODUCT"),
        (text.index("`ECB`") + 1, "ECB", "ORG"),
    ]
    with pytest.raises(ValueError, match="not in the response: Rome"):
        mentions(text, {"LOCATION": ["Rome"]})


def test_marks_become_half_open_code_point_spans() -> None:
    """A mark after an emoji family counts code points, not UTF-16 units."""
    text, spans = unmark("👨‍👩‍👧 [[Ana|PERSON]]!")
    assert text == "👨‍👩‍👧 Ana!"
    assert (spans[0]["start"], spans[0]["end"]) == (6, 9)


def test_an_unknown_planted_fault_is_an_error() -> None:
    """A misspelt kind of planted fault is refused."""
    with pytest.raises(ValueError, match="no such planted fault"):
        auto_of({"verdict": "Correct"}, {"verdct": "ok"})
