"""The small parts beneath the rules: values as JSON, JSON text of any depth, expressions with odd texts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from review_rules import parse_history
from review_rules.canonical_json import canonical_text, json_text
from review_rules.counting import in_order
from review_rules.files.expressions import Facts, _syntax_mistake, holds, mistakes
from tests.unit.review_rules.cases import row, sub


def test_a_history_gives_its_values_back_as_json() -> None:
    """Null, unknown and wrong values are gone; the rest is as it came."""
    fields = {"topics": {"kind": "choices"}, "verdict": {"kind": "choice"}}
    auto = {"topics": ["b", "a"], "verdict": None, "other": 1}
    history = parse_history(row([sub("ana", 0, topics=["x"], verdict="A", other=2)], fields=fields, auto_label=auto))
    assert history.passes[0].values == {"topics": ["x"], "verdict": "A"}
    assert history.auto_label == {"topics": ["b", "a"]}


def nested(depth: int) -> Any:
    """Lists and objects inside one another."""
    value: Any = {"z": [1, "é", None, True, {}], "a": []}
    for level in range(depth):
        value = {"b": value, "a": level} if level % 2 else [value, level]
    return value


@pytest.mark.parametrize("write", [json_text, canonical_text])
def test_json_text_of_any_depth(write: Any) -> None:
    """What is nested too deeply for the library is written alike, piece by piece."""
    inner = write(nested(30))
    separators = (", ", ": ") if write is json_text else (",", ":")
    assert inner == json.dumps(nested(30), sort_keys=True, ensure_ascii=False, separators=separators)
    deep = write(nested(5000))
    assert write(nested(30)) in deep
    assert deep.startswith(write({"a": 4999, "b": []})[:-3])


def test_ties_of_deeply_nested_submissions() -> None:
    """Two versions of one moment that differ only far inside are put in order, not given up on."""
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    one, other = sub("ana", 0, verdict="A") | {"x": deep}, sub("ana", 0, verdict="A") | {"x": [deep]}
    passes = parse_history(row([one, other])).passes
    assert [submission.place for submission in in_order(passes)] == [1, 0]
    assert [submission.place for submission in in_order(passes[::-1])] == [1, 0]


FACTS = Facts("", (), (), (), False)


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("\"domain\" == 'domain'", True),
        ("flags.exists(f, flags.exists(g, f == g && g == ')('))", False),
        ("'''it's (domain''' != domain", True),
        ("has(agreement.verdict) && agreement.verdict < 0.5", False),
        ("type(domain) == string", True),
    ],
)
def test_expressions_that_look_odd(source: str, result: bool) -> None:
    """Names and brackets inside quotes, macros inside macros and type names are understood."""
    assert [mistake.message for mistake in mistakes(source)] == []
    assert holds(source, FACTS) == (result, None)


@pytest.mark.parametrize(
    ("source", "offset", "message"),
    [
        ("flags.exists(f, true) && f == 'x'", 25, "unknown name `f`"),
        ("f == 'x' || flags.exists(f, f == 'x')", 0, "unknown name `f`"),
        ("domain.nope() == 'x'", 7, "unknown function `nope`"),
        ("domain ==\n ==", 11, "this is not CEL: mismatched input '=='"),
        ("{}", 0, "this is a map, not true or false"),
        ("[1]", 0, "this is a list, not true or false"),
        ("null", 0, "this is something else, not true or false"),
    ],
)
def test_mistakes_have_their_place(source: str, offset: int, message: str) -> None:
    """The first mistake of an expression, with the character at which it stands."""
    first = mistakes(source)[0]
    assert (first.offset, first.message) == (offset, message)


def test_a_mistake_without_a_place() -> None:
    """Where the library does not say where, the expression's start must do."""
    assert _syntax_mistake("x", "odd\nmore").message == "this is not CEL: odd"


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("agreement.x * 2 > 1.0", "there is no key 'x'"),
        ("'a' + 1 == 'b'", "Unsupported operation: string + int"),
        ("1 / 0 == 1", "division by zero"),
        ("domain.matches('" + "(" * 300 + "')", "Function 'matches' error"),
        ("1 + 1", "it is a number, not true or false"),
    ],
)
def test_expressions_that_fail(source: str, error: str) -> None:
    """A failing expression is true, and one line says why."""
    true, told = holds(source, FACTS)
    assert true
    assert told is not None
    assert error in told
    assert len(told) <= 201
    assert "\n" not in told


def test_facts_that_cel_cannot_hold() -> None:
    """A lone surrogate in a flag fails inside CEL: it counts as true."""
    assert holds("size(flags) > 5", Facts("", ("\ud800",), (), (), False))[0]


def test_absurd_offsets_have_a_message() -> None:
    """An offset of thousands of digits is outside every text, and said without writing it out."""
    huge = {"start": -(10**5000), "end": 10**5000, "label": "ORG"}
    history = parse_history(row([sub("ana", 0, e=[huge])], fields={"e": {"kind": "spans", "text": "Acme"}}))
    (note,) = history.passes[0].notes
    assert (
        note.message
        == "the span -10^5000 or so..10^5000 or so of e lies outside the text of 4 characters and is left out"
    )
