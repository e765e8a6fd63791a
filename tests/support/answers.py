"""Answers to the form `response_review` on a row whose response is `R.`: whole ones, odd ones, and nonsense."""

from __future__ import annotations

from typing import Any

from ls_config import load, to_result

Item = dict[str, Any]
TYPES = {
    "verdict": "choices",
    "response_type": "choices",
    "issues": "choices",
    "flags": "choices",
    "flag_reason": "textarea",
    "entities": "labels",
    "decision": "choices",
    "decision_reason": "textarea",
    "decision_note": "textarea",
}


def item(name: str, **value: Any) -> Item:
    """An item as the screen writes it."""
    to_name = "panel" if name.startswith("decision") else "response"
    return {"from_name": name, "to_name": to_name, "type": TYPES.get(name, "rating"), "value": value}


def span(start: Any, end: Any, label: str = "ORG", **more: Any) -> Item:
    """A span on the response, which is `R.`."""
    return item("entities", start=start, end=end, labels=[label], **more)


TONE, VERDICT = item("tone", rating=4), item("verdict", choices=["Correct"])
# name: the items, and the control that the refusal names
NONSENSE: dict[str, tuple[list[Any], str]] = {
    "a rating of 10^30": ([item("tone", rating=10**30)], "tone"),
    "a rating of 10^400": ([item("tone", rating=10**400)], "tone"),
    "a rating above the scale": ([item("tone", rating=6)], "tone"),
    "a rating below the scale": ([item("tone", rating=-1)], "tone"),
    "a rating that is true": ([item("tone", rating=True)], "tone"),
    "a rating that is false": ([item("tone", rating=False)], "tone"),
    "half a star": ([item("tone", rating=2.5)], "tone"),
    "a rating that is text": ([item("tone", rating="4")], "tone"),
    "a rating that is a list": ([item("tone", rating=[4])], "tone"),
    "a rating that is missing": ([item("tone")], "tone"),
    "a rating by another key": ([item("tone", number=4)], "tone"),
    "two ratings": ([item("tone", rating=2), item("tone", rating=4)], "tone"),
    "two verdicts in one item": ([item("verdict", choices=["Correct", "Incorrect"])], "verdict"),
    "one verdict twice in one item": ([item("verdict", choices=["Correct", "Correct"])], "verdict"),
    "two verdicts in two items": ([VERDICT, item("verdict", choices=["Incorrect"])], "verdict"),
    "a label that the form lacks": ([item("verdict", choices=["Excellent"])], "verdict"),
    "a label in another case": ([item("verdict", choices=["correct"])], "verdict"),
    "a choice that is a number": ([item("verdict", choices=[1])], "verdict"),
    "a choice that is a path": ([item("verdict", choices=[["Correct", "Sure"]])], "verdict"),
    "choices that are an object": ([item("verdict", choices={"0": "Correct"})], "verdict"),
    "choices by another key": ([item("verdict", labels=["Correct"])], "verdict"),
    "one issue that the form lacks": ([item("issues", choices=["Code error", "Boring"])], "issues"),
    "a flag that the form lacks": ([item("flags", choices=["domain:astrology"])], "flags"),
    "a reason that is a number": ([item("flag_reason", text=[7])], "flag_reason"),
    "a reason that is an object": ([item("flag_reason", text={"a": "b"})], "flag_reason"),
    "a span at -5": ([span(-5, 1)], "entities"),
    "a span with a start alone": ([item("entities", start=-5)], "entities"),
    "a span beyond the text": ([span(0, 3)], "entities"),
    "a span at 10^30": ([span(10**30, 10**30 + 1)], "entities"),
    "a span that is reversed": ([span(2, 1)], "entities"),
    "a span of nothing": ([span(1, 1)], "entities"),
    "a span whose text differs": ([span(0, 1, text="Q")], "entities"),
    "a span whose text is a number": ([span(0, 1, text=1)], "entities"),
    "a span at true": ([span(False, True)], "entities"),
    "a span at half a character": ([span(0.5, 1)], "entities"),
    "a span at text": ([span("0", "1")], "entities"),
    "a span whose label the form lacks": ([span(0, 1, "PLANET")], "entities"),
    "a span without a label": ([item("entities", start=0, end=1, labels=[])], "entities"),
    "a value that is a list": ([{**TONE, "value": [4]}], ""),
    "a value that is missing": ([{key: TONE[key] for key in ("from_name", "to_name", "type")}], ""),
    "an item that is text": (["tone"], ""),
    "a control that the form lacks": ([{**TONE, "from_name": "mood"}], "mood"),
    "no control": ([{**TONE, "from_name": ""}], ""),
    "a control that is a number": ([{**TONE, "from_name": 5}], ""),
    "another object tag": ([{**TONE, "to_name": "query"}], "tone"),
    "an object tag that the form lacks": ([{**TONE, "to_name": "nothing"}], "tone"),
    "another type": ([{**TONE, "type": "number"}], "tone"),
    "a type that nobody has": ([{**TONE, "type": "magic"}], "tone"),
    "a region id that is an object": ([{**TONE, "id": {"a": 1}}], "tone"),
    "a region id that is a number": ([{**TONE, "id": 12}], "tone"),
    "not a number": ([item("tone", rating=float("nan"))], ""),
    "an endless number": ([item("tone", rating=float("inf"))], ""),
    "half of a character": ([item("flag_reason", text=["\ud800"])], ""),
    "NUL": ([item("flag_reason", text=["\0"])], ""),
}
OF_REVIEWS: dict[str, tuple[list[Any], str]] = {
    "two words": ([item("decision", choices=["accept", "discard"])], "decision"),
    "a word that the form lacks": ([item("decision", choices=["approve"])], "decision"),
    "a decision that is true": ([item("decision", choices=True)], "decision"),
    "a reason that is a number": ([item("decision_reason", text=[5])], "decision_reason"),
    "a decision on the response": ([{**item("decision", choices=["accept"]), "to_name": "response"}], "decision"),
}


def sample() -> list[Item]:
    """A whole answer to the form, on the row of these tests."""
    values = {
        "entities": [{"start": 0, "end": 1, "label": "ORG"}],
        "verdict": "Correct",
        "response_type": "Code",
        "issues": ["Code error", "Factual error"],
        "tone": 4,
        "correctness": 5,
        "completeness": 5,
        "helpfulness": 5,
        "flags": ["unsure", "guideline_gap"],
        "flag_reason": "why",
    }
    return to_result(values, load("response_review").all_controls, {"response": "R."})


def with_more(added: list[Any]) -> list[Any]:
    """A whole answer in which the named controls say this instead, or which holds this besides."""
    names = {one.get("from_name") for one in added if isinstance(one, dict)}
    return [one for one in sample() if one["from_name"] not in names] + added


def everything_else() -> list[Item]:
    """A whole answer with all that the screen writes around answers."""
    around = {"origin": "manual", "score": 0.5, "parentID": "gone", "meta": {"text": ["a note"]}, "readonly": False}
    items = [{**one, **around} for one in sample()]
    for one in items:
        if one["from_name"] == "entities":
            one["value"] |= {"globalOffsets": {"start": 0, "end": 1}, "startOffset": 0, "endOffset": 1}
    return items


LEGITIMATE: dict[str, list[Any]] = {
    "a whole answer": sample(),
    "all that stands around answers": everything_else(),
    "no region ids": [{key: one[key] for key in one if key != "id"} for one in sample()],
    "no reason": [*sample(), item("flag_reason", text=[])],
    "a reason as text": with_more([item("flag_reason", text="why")]),
    "a reason of several lines": with_more([item("flag_reason", text=["one", "two\nthree 😀"])]),
    "no issue": with_more([item("issues", choices=[])]),
    "every issue": with_more([item("issues", choices=list(load("response_review").control("issues").labels))]),
    "spans over each other": with_more([span(0, 2, text="R."), span(0, 1, "DATE", text="R"), span(1, 2)]),
    "one span twice": with_more([span(0, 1), span(0, 1)]),
    "a span with two labels": with_more([item("entities", start=0, end=1, labels=["ORG", "DATE"])]),
    "a line between regions": [*sample(), {"type": "relation", "from_id": "a", "to_id": "b", "direction": "right"}],
    "one answer said twice": [*sample(), {**TONE, "id": "again"}],
}
NO_STAR = with_more([item("tone", rating=0)])
"""What the screen sends for a rating that was taken back: it fits the form, and is no value of a required field."""
