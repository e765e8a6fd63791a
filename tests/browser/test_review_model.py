"""What a review screen decides by itself, on a page without a server: the same value, the word, whose value stands."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from review_rules import Kind
from review_rules.canonical import same

pytestmark = pytest.mark.browser

Json = Any
ORG = {"start": 0, "end": 4, "label": "ORG"}
PERSON = {"start": 6, "end": 9, "label": "PERSON"}
PAIRS: list[tuple[str, Json, Json]] = [
    ("choice", "A", "A"),
    ("choice", "A", "B"),
    ("choice", "A", None),
    ("choice", None, None),
    ("choices", ["a", "b"], ["b", "a", "b"]),
    ("choices", ["a"], ["a", "b"]),
    ("choices", None, []),
    ("spans", [ORG, PERSON], [PERSON, ORG | {"text": "Acme"}]),
    ("spans", [ORG], [ORG | {"end": 5}]),
    ("spans", [ORG], [ORG | {"label": "PERSON"}]),
    ("spans", None, []),
    ("segments", [{"start": 1.5, "end": 2.0, "label": "x"}], [{"start": 1.5, "end": 2, "label": "x"}]),
    (
        "boxes",
        [{"x": 1, "y": 2, "width": 3, "height": 4, "label": "x"}],
        [{"label": "x", "height": 4, "width": 3, "y": 2, "x": 1.0}],
    ),
    ("rating", 4, 4.0),
    ("rating", 4, 5),
    ("number", 0, None),
    ("text", "as  of\tnow ", "as of now"),
    ("text", "Cafe\u0301", "Café"),
    ("text", "a\u00a0b\u2003c", "a b c"),
    ("text", "a\x1cb", "a b"),
    ("text", "a\ufeffb", "a b"),
    ("text", "a", "A"),
]


@pytest.fixture(scope="module")
def model(chromium: Browser) -> Iterator[Page]:
    page = chromium.new_page()
    script = files("ls_plugin").joinpath("screen", "review_model.js").read_text(encoding="utf-8")
    page.add_script_tag(content=script)
    yield page
    page.close()


def ask(model: Page, call: str, *given: Json) -> Json:
    """What a function of the model answers."""
    return model.evaluate(f"given => window.quorumReview.{call}(...given)", list(given))


@pytest.mark.parametrize(("kind", "first", "second"), PAIRS)
def test_the_same_value_is_that_of_the_rules(model: Page, kind: str, first: Json, second: Json) -> None:
    """The screen calls two values the same where the rules do, so that an accept is an accept for both."""
    assert ask(model, "same", kind, first, second) == same(Kind.of(kind), first, second)


def field(kind: str, *labels: Json) -> Json:
    return {"name": "f", "kind": kind, "labels": [{"value": label, "title": str(label)} for label in labels]}


def decisions(*values: Json) -> list[Json]:
    return [{"title": f"Decision {'ABC'[place]}", "values": {"f": value}} for place, value in enumerate(values)]


def test_a_changed_field_makes_a_correction(model: Page) -> None:
    """What the form opened with, in another order, is an accept; anything else a correction, also an emptied set."""
    fields = [field("spans"), field("choice", "x") | {"name": "g"}]
    proposal = {"f": [ORG, PERSON], "g": "x"}
    assert ask(model, "wordFor", fields, {"f": [PERSON, ORG], "g": "x"}, proposal) == "accept"
    assert ask(model, "wordFor", fields, {"f": [], "g": "x"}, proposal) == "correct"
    assert ask(model, "changedFields", fields, {"f": [ORG], "g": None}, proposal) == ["f", "g"]


def test_what_a_and_b_say_comes_first(model: Page) -> None:
    """Of a choice 1 is A's value and 2 is B's, the rest follow as in the interface; a scale has its own digits."""
    options = ask(model, "options", field("choice", "p", "q", "r"), decisions("r", "p"))
    assert [(item["key"], item["value"], item["sayers"]) for item in options] == [
        ("1", "r", ["A"]), ("2", "p", ["B"]), ("3", "q", []),
    ]  # fmt: skip
    scale = ask(model, "items", field("rating", 1, 2, 3), decisions(3, 1))
    assert [(item["key"], item["sayers"]) for item in scale] == [("1", ["B"]), ("2", []), ("3", ["A"])]


@pytest.mark.parametrize(
    ("kind", "values", "form", "proposal", "left", "expected"),
    [
        ("choice", ("x", "y"), None, None, [], True),
        ("choice", ("x", "y"), "x", None, [], False),
        ("number", (0, 1), 0, None, [], False),
        ("text", ("x", "y"), "", None, [], True),
        ("choices", (["x"], []), [], [], [], True),
        ("spans", ([ORG], [PERSON]), [ORG], [], [], True),
        ("spans", ([ORG], [PERSON]), [ORG], [], [PERSON], False),
        # Something before has decided it, a majority or a QA that corrected: the form opened with more than both have.
        ("spans", ([ORG], [PERSON]), [ORG], [ORG], [], False),
    ],
)
def test_what_waits_for_a_decision(
    model: Page, kind: str, values: tuple[Json, Json], form: Json, proposal: Json, left: list[Json], expected: bool
) -> None:
    """A field in conflict waits while it has no value, or while a mark is neither kept nor left out."""
    panel = {"conflicts": ["f"], "decisions": decisions(*values), "proposal": {"f": proposal}}
    given = [field(kind), {"f": form}, panel, left]
    answer = model.evaluate(
        """([field, form, panel, left]) => window.quorumReview.isOpen(field, form, panel,
          new Set(left.map(span => window.quorumReview.elementKey("spans", span))), new Set())""",
        given,
    )
    assert answer is expected


@pytest.mark.parametrize(
    ("text", "span", "edge", "step", "expected"),
    [
        ("the net revenue rose", (4, 7), "end", 1, "net revenue"),
        ("the net revenue rose", (4, 15), "end", -1, "net"),
        ("the net revenue rose", (8, 15), "start", -1, "net revenue"),
        ("the net revenue rose", (4, 15), "start", 1, "revenue"),
        ("the net revenue rose", (4, 7), "end", -1, "net"),
        ("😀 net revenue", (2, 5), "end", 1, "net revenue"),
        ("up 8 % to $412.6", (3, 4), "end", 1, "8 % to"),
        ("שלום עולם", (0, 4), "end", 1, "שלום עולם"),
    ],
)
def test_a_mark_is_moved_by_words(
    model: Page, text: str, span: tuple[int, int], edge: str, step: int, expected: str
) -> None:
    """Widened to the end of the next word, narrowed to the one before, in code points, and never to nothing."""
    points = list(text)
    moved = ask(model, "moved", points, {"start": span[0], "end": span[1], "label": "x"}, edge, step)
    assert "".join(points[moved["start"] : moved["end"]]) == expected


def test_pieces_are_the_text(model: Page) -> None:
    """Marks that overlap, touch or lie outside cut a text into pieces that are the whole text."""
    text = list("ab😀cdef")
    marks = [{"start": 1, "end": 4}, {"start": 3, "end": 6}, {"start": 6, "end": 99}]
    pieces = ask(model, "pieces", text, marks)
    assert "".join(piece["text"] for piece in pieces) == "".join(text)
    assert [len(piece["marks"]) for piece in pieces] == [0, 1, 2, 1, 1]
