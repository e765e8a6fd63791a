"""Values to Label Studio's result JSON and back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ls_config import (
    Control,
    ParsedResult,
    ResultError,
    compose_review,
    from_result,
    label_types,
    load,
    parse_all,
    to_result,
)

XML = """
<View>
  <Text name="response" value="$response"/><Image name="i" value="$i"/><Audio name="a" value="$a"/>
  <TimeSeries name="s" value="$s"/>
  <Choices name="verdict" toName="response"><Choice value="Yes" alias="y"/><Choice value="No"/></Choices>
  <Choices name="topics" toName="response" choice="multiple">
    <Choice value="A"/><Choice value="B"/><Choice value="C"/>
  </Choices>
  <Labels name="entities" toName="response"><Label value="ORG"/><Label value="日期"/></Labels>
  <Rating name="tone" toName="response" maxRating="5"/>
  <Number name="amount" toName="response" min="-10" max="10"/>
  <TextArea name="note" toName="response"/>
  <RectangleLabels name="regions" toName="i"><Label value="ORG"/></RectangleLabels>
  <Labels name="speech" toName="a"><Label value="voice"/><Label value="noise"/></Labels>
  <TimeSeriesLabels name="events" toName="s"><Label value="run"/></TimeSeriesLabels>
  <Choices name="flags" toName="response" choice="multiple"><Choice value="Unsure" alias="unsure"/></Choices>
  <TextArea name="flag_reason" toName="response"/>
</View>
"""
CONTROLS = parse_all(XML)
# Where counting in UTF-16, in bytes, or in what one sees would go wrong.
PIECES = st.sampled_from(
    [
        "a",
        " ",
        "\r\n",
        "\n",
        "\r",
        "😀",
        "👨‍👩‍👧",
        "日本",
        "é",
        "e\u0301",
        "\u200f",
        "שלום",
        "\U00010348",
        "<b>",
        "&amp;",
        "\t",
    ]
)
TEXTS = st.lists(PIECES, min_size=1, max_size=30).map("".join)
PERCENT = st.floats(0, 100, allow_nan=False)


def content(element: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    """What makes an element of a set itself, whatever the order of its keys."""
    return tuple(sorted(element.items()))


@st.composite
def spans_on(draw: st.DrawFn, text: str) -> list[dict[str, Any]]:
    """Spans on a text, each with the text it covers, no two the same."""
    pairs = st.tuples(st.integers(0, len(text)), st.integers(0, len(text))).filter(lambda pair: pair[0] < pair[1])
    one = st.tuples(pairs, st.sampled_from(["ORG", "日期"]))
    return [
        {"start": start, "end": end, "label": label, "text": text[start:end]}
        for (start, end), label in draw(st.lists(one, max_size=5, unique=True))
    ]


@st.composite
def answers(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """A task's data and what somebody may fill in; every control may be left out."""
    text = draw(TEXTS)
    segment = st.fixed_dictionaries(
        {"start": st.floats(0, 50), "end": st.floats(51, 99), "label": st.sampled_from(["voice", "noise"])}
    )
    each = {
        "verdict": st.sampled_from(["y", "No"]),
        "topics": st.lists(st.sampled_from("ABC"), min_size=1, unique=True),
        "entities": spans_on(text).filter(bool),
        "tone": st.integers(1, 5),
        "amount": st.integers(-10, 10) | st.floats(-10, 10, allow_nan=False),
        "note": TEXTS,
        "regions": st.lists(
            st.fixed_dictionaries(
                {"x": PERCENT, "y": PERCENT, "width": PERCENT, "height": PERCENT, "label": st.just("ORG")}
            ),
            min_size=1,
            max_size=3,
            unique_by=content,
        ),
        "speech": st.lists(segment, min_size=1, max_size=3, unique_by=content),
        "events": st.lists(
            st.fixed_dictionaries({"start": st.integers(0, 5), "end": st.integers(5, 9), "label": st.just("run")}),
            min_size=1,
            max_size=3,
            unique_by=content,
        ),
    }
    return {"response": text}, draw(st.fixed_dictionaries({}, optional=each))


@given(answers())
def test_values_come_back_as_they_were(given_: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """values → result → JSON → values loses nothing, for every kind and every text."""
    data, values = given_
    result = json.loads(json.dumps(to_result(values, CONTROLS, data)))
    assert from_result(result, CONTROLS, data) == ParsedResult(values=from_order(values))


def from_order(values: dict[str, Any]) -> dict[str, Any]:
    return {control.name: values[control.name] for control in CONTROLS if control.name in values}


@given(answers())
def test_the_same_answer_has_the_same_region_ids(given_: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """Writing an answer twice changes nothing, and no two regions of one answer share an id."""
    data, values = given_
    first, second = (to_result(values, CONTROLS, data) for _ in range(2))
    assert first == second
    assert len({item["id"] for item in first}) == len(first)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("😀 Acme 👨‍👩‍👧 Acme2", "Acme2"),
        ("a\r\nAcme\r\n", "Acme"),
        ("東京のAcme社", "Acme社"),
        ("e\u0301e\u0301 Acme", "Acme"),
    ],
)
def test_offsets_count_code_points(text: str, word: str) -> None:
    """A span after emoji, CRLF, CJK or combining marks covers the word that Python's slice does."""
    start = text.index(word)
    span = {"start": start, "end": start + len(word), "label": "ORG"}
    (item,) = to_result({"entities": [span]}, CONTROLS, {"response": text})
    assert item["value"] == {"start": start, "end": start + len(word), "text": word, "labels": ["ORG"]}
    assert from_result([item], CONTROLS, {"response": text}).values == {"entities": [{**span, "text": word}]}


def test_a_whole_review_form_is_written_and_read() -> None:
    """Flags, reason, decision and note go in beside the fields and come out beside them."""
    controls = parse_all(load("ner").xml)
    values = {"response_type": "Code", "flags": ["unsure", "domain:technical"], "flag_reason": "why"}
    parsed = from_result(to_result(values, controls, {"response": "x"}), load("ner").controls, {"response": "x"})
    assert parsed == ParsedResult(values={"response_type": "Code"}, flags=("unsure", "domain:technical"), reason="why")


def test_scores_stand_beside_the_answers() -> None:
    """One score for an answer, or one for each region of a set."""
    values = {
        "verdict": "y",
        "entities": [{"start": 0, "end": 1, "label": "ORG"}, {"start": 1, "end": 2, "label": "ORG"}],
    }
    items = to_result(values, CONTROLS, {"response": "ab"}, scores={"verdict": 0.25, "entities": [0.5, 0.75]})
    assert [item["score"] for item in items] == [0.25, 0.5, 0.75]
    assert all("score" not in item for item in to_result(values, CONTROLS, {"response": "ab"}))


def test_nothing_is_written_for_nothing() -> None:
    """None, an empty set and an empty text make no result item."""
    assert to_result({"verdict": None, "topics": [], "entities": [], "note": ""}, CONTROLS, {"response": "x"}) == []


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"nobody": 1}, "no such control"),
        ({"verdict": "Yes"}, "not one of y, No"),
        ({"verdict": 3}, "not one of"),
        ({"topics": "A"}, "not a list"),
        ({"entities": [{"start": 0, "end": 9, "label": "ORG"}]}, "outside of the text"),
        ({"entities": [{"start": 1, "end": 1, "label": "ORG"}]}, "outside of the text"),
        ({"entities": [{"start": True, "end": 2, "label": "ORG"}]}, "outside of the text"),
        ({"entities": [{"start": 0, "end": 1, "label": "ORG", "text": "zz"}]}, "carries another text"),
        ({"entities": [{"start": 0, "end": 1, "label": "PLACE"}]}, "not one of"),
        ({"entities": [[0, 1, "ORG"]]}, "not an object"),
        ({"tone": 0}, "not a whole number from 1 to 5"),
        ({"tone": 2.5}, "not a whole number"),
        ({"amount": float("nan")}, "not a number"),
        ({"amount": 11}, "not a number from -10 to 10"),
        ({"note": 5}, "not text"),
        ({"regions": [{"x": 0, "y": 0, "width": 101, "height": 1, "label": "ORG"}]}, "percent"),
        ({"speech": [{"start": 2, "end": 1, "label": "voice"}]}, "start ≤ end"),
    ],
    ids=str,
)
def test_a_value_that_the_form_cannot_hold_is_refused(values: dict[str, Any], said: str) -> None:
    """Nothing wrong is sent to a server: the error names the field and the reason."""
    with pytest.raises(ResultError, match=said) as caught:
        to_result(values, CONTROLS, {"response": "abc"})
    assert next(iter(values)) in str(caught.value)


def test_spans_need_their_text() -> None:
    """A task without the text that spans point into is an error, not a guess."""
    with pytest.raises(ResultError, match="no text 'response'"):
        to_result({"entities": [{"start": 0, "end": 1, "label": "ORG"}]}, CONTROLS, {})


def item(name: str, value: Any, **more: Any) -> dict[str, Any]:
    to_name = next((control.to_name for control in CONTROLS if control.name == name), "response")
    return {"from_name": name, "to_name": to_name, "value": value, **more}


PROBLEMS = [
    ("nothing", "not a list"),
    (["text"], "not an object"),
    ([item("nobody", {})], "no control 'nobody'"),
    ([item("verdict", None)], "has no value"),
    ([item("verdict", {"choices": ["Maybe"]})], "'Maybe' is not one of"),
    ([item("verdict", {"choices": ["y", "No"]})], "2 choices where one"),
    ([item("topics", {"choices": {}})], "not a list of choices"),
    ([item("entities", {"start": "0", "end": 2, "labels": ["ORG"]})], "not an offset"),
    ([item("entities", {"start": 0, "end": 2})], "without a label"),
    ([item("tone", {"rating": 9})], "not a whole number"),
    ([item("amount", {"number": "3"})], "not a number"),
    ([item("note", {"text": [1]})], "not text"),
    ([item("regions", {"x": 1})], "a box without"),
    ([item("regions", {"x": 1, "y": 1, "width": 1, "height": 1, "rotation": 30})], "rotated"),
    ([item("speech", {"start": None, "end": 1, "labels": ["voice"]})], "without start and end"),
    ([{"type": "relation", "from_id": "a", "to_id": "b"}], "relation"),
    ([item("verdict", {"choices": ["y", "y"]})], "2 choices where one"),
    ([item("topics", {"choices": ["A", 3]})], "3 is not one of A, B, C"),
    ([item("tone", {"rating": True})], "True is not a whole number from 1 to 5"),
    ([item("tone", {"rating": False})], "False is not a whole number"),
    ([item("tone", {"rating": 10**400})], "not a whole number"),
    ([item("amount", {"number": 10**400})], "not a number from -10 to 10"),
    ([item("amount", {"number": float("nan")})], "not a number from -10 to 10"),
    ([item("amount", {"number": True})], "not a number from -10 to 10"),
    ([item("amount", {"number": 10.5})], "not a number from -10 to 10"),
    ([item("note", {"text": ["\ud800"]})], "a character that no file can hold"),
    ([item("note", {"text": "a\0b"})], "a character that no file can hold"),
    ([item("entities", {"start": 0, "end": 2, "labels": ["ORG"], "text": 5})], "5 of a span is not text"),
    ([item("regions", {"x": 1, "y": 1, "width": 10**30, "height": 1, "rectanglelabels": ["ORG"]})], "outside of the"),
    ([item("speech", {"start": 2, "end": 1, "labels": ["voice"]})], "ends before it starts"),
    ([item("verdict", {"choices": ["y"]}, type="rating")], "`type` is 'rating', not 'choices'"),
    ([item("verdict", {"choices": ["y"]}) | {"to_name": "i"}], "`to_name` is 'i', not 'response'"),
    ([item("verdict", {"choices": ["y"]}, id=7)], "id 7 is not text"),
    ([item("verdict", {"choices": ["y" * 10_000]})], "yyy"),
]


@pytest.mark.parametrize(("result", "said"), PROBLEMS, ids=[said for _, said in PROBLEMS])
def test_what_cannot_be_read_is_named_and_left_out(result: Any, said: str) -> None:
    """One problem a part, none of it in the values, and the rest of the result is still read."""
    more = [*result, item("tone", {"rating": 3})] if isinstance(result, list) else result
    parsed = from_result(more, CONTROLS, {"response": "abc"})
    assert [said in problem for problem in parsed.problems] == [True]
    assert parsed.values == ({"tone": 3} if isinstance(result, list) else {})


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"start": 0, "end": 99}, "outside of the text"),
        ({"start": 2, "end": 2}, "outside of the text"),
        ({"start": -1, "end": 2}, "outside of the text"),
        ({"start": 0, "end": 2, "text": "zz"}, "another text"),
    ],
)
def test_a_span_that_does_not_fit_is_named_and_kept(value: dict[str, Any], said: str) -> None:
    """The rules judge it and make a finding; reading alone must not lose it."""
    parsed = from_result([item("entities", {**value, "labels": ["ORG"]})], CONTROLS, {"response": "abc"})
    assert parsed.values == {"entities": [{**value, "label": "ORG"}]}
    assert [said in problem for problem in parsed.problems] == [True]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
KEYS = [
    "choices",
    "rating",
    "number",
    "text",
    "labels",
    "start",
    "end",
    "x",
    "y",
    "width",
    "height",
    "rectanglelabels",
    "timeserieslabels",
]
ODD_ITEM = st.fixed_dictionaries(
    {
        "from_name": st.sampled_from([control.name for control in CONTROLS] + ["decision", "decision_reason"]) | JSON,
        "type": JSON,
        "value": st.dictionaries(st.sampled_from(KEYS), JSON, max_size=6) | JSON,
    }
)


@given(st.lists(ODD_ITEM | JSON, max_size=4) | JSON, JSON)
def test_reading_never_raises(result: Any, text: Any) -> None:
    """Whatever a person, a model or another tool left on a server, it is read or named as a problem."""
    from_result(result, CONTROLS, {"response": text})


def test_a_fault_names_its_control_and_is_short() -> None:
    """Whoever is refused reads the control, the reason and no more of what they sent than a line holds."""
    result = [item("tone", {"rating": 9}), item("x" * 9_000, {}), item("verdict", {"choices": ["y" * 9_000]}), 5]
    faults = from_result(result, CONTROLS, {"response": "x"}).wrong
    assert [(fault.where, fault.control[:7]) for fault in faults] == [
        ("result[0]", "tone"), ("result[1]", "xxxxxxx"), ("result[2]", "verdict"), ("result[3]", ""),
    ]  # fmt: skip
    assert faults[0].reason == "9 is not a whole number from 1 to 5"
    assert max(len(str(fault)) for fault in faults) < 200


def test_a_form_without_a_decision_takes_none() -> None:
    """Where the caller gives all that the form has, a reserved control that it lacks is unknown like any other."""
    result = [item("decision", {"choices": ["accept"]})]
    assert from_result(result, CONTROLS, {}).decision == "accept"
    parsed = from_result(result, CONTROLS, {}, known_only=True)
    assert (parsed.decision, [fault.control for fault in parsed.wrong]) == (None, ["decision"])


def test_a_line_between_regions_spoils_no_answer() -> None:
    """People can draw one on any screen; it is not kept, and what they were asked for is."""
    parsed = from_result([item("tone", {"rating": 3}), {"type": "relation"}], CONTROLS, {}, known_only=True)
    assert (parsed.values, parsed.wrong, len(parsed.faults)) == ({"tone": 3}, (), 1)


def test_a_control_of_several_objects_may_answer_to_each() -> None:
    """A region lies on the first, by whose text it is checked; what is said of the whole row may name any."""
    xml = (
        '<View><Text name="a" value="$a"/><Text name="b" value="$b"/>'
        '<Choices name="c" toName="a, b"><Choice value="A"/></Choices>'
        '<Labels name="l" toName="a,b"><Label value="A"/></Labels></View>'
    )
    data = {"a": "xy", "b": "xyz"}
    choice = {"from_name": "c", "to_name": "b", "type": "choices", "value": {"choices": ["A"]}}
    label = {"from_name": "l", "to_name": "b", "type": "labels", "value": {"start": 0, "end": 1, "labels": ["A"]}}
    assert from_result([choice], parse_all(xml), data).faults == ()
    assert [fault.control for fault in from_result([label], parse_all(xml), data).wrong] == ["l"]


def values_of(control: Control, text: str) -> st.SearchStrategy[Any]:
    """What the screen lets people fill in."""
    match control.kind:
        case "choice":
            return st.sampled_from(control.labels)
        case "choices":
            return st.lists(st.sampled_from(control.labels), min_size=1, unique=True)
        case "rating":
            return st.integers(1, int(control.max or 5))
        case "spans":
            pairs = st.tuples(st.integers(0, len(text) - 1), st.integers(1, len(text))).filter(lambda p: p[0] < p[1])
            one = st.tuples(pairs, st.sampled_from(control.labels))
            made = one.map(lambda s: {"start": s[0][0], "end": s[0][1], "label": s[1]})
            return st.lists(made, max_size=4)
        case _:
            return TEXTS


@given(st.data(), st.sampled_from(label_types()), st.sampled_from(["pass", "qa", "expert"]), TEXTS)
def test_nothing_that_a_form_holds_is_a_fault(data: st.DataObject, name: str, stage: str, text: str) -> None:
    """Every answer to every form that comes with Quorum, at every stage, whatever the text and whatever is left out."""
    xml = load(name).xml
    controls = parse_all(xml if stage == "pass" else compose_review(xml, stage))
    each = {control.name: values_of(control, text) for control in controls}
    values = data.draw(st.fixed_dictionaries({}, optional=each))
    result = json.loads(json.dumps(to_result(values, controls, {"response": text})))
    assert from_result(result, controls, {"response": text}, known_only=True).faults == ()


def test_no_star_is_no_answer() -> None:
    """Label Studio may send a rating of 0 for none: that is absent, not a problem."""
    assert from_result([item("tone", {"rating": 0})], CONTROLS, {"response": "x"}) == ParsedResult()


def test_the_later_of_two_answers_counts() -> None:
    """Two different answers to one single control: the later one, and a problem that says so."""
    parsed = from_result([item("tone", {"rating": 2}), item("tone", {"rating": 4})], CONTROLS, {"response": "x"})
    assert parsed.values == {"tone": 4}
    assert "answered twice" in parsed.problems[0]


def test_a_region_with_two_labels_is_two_elements() -> None:
    """Label Studio allows several labels on one region; each is an element of the set, and doubles are one."""
    one = item("entities", {"start": 0, "end": 1, "labels": ["ORG", "日期"]})
    parsed = from_result([one, one], CONTROLS, {"response": "x"})
    assert [span["label"] for span in parsed.values["entities"]] == ["ORG", "日期"]


def test_an_emptied_review_form_says_so() -> None:
    """In a review a set that is not there was emptied, and a text that was shown was deleted; the rest stays absent."""
    parsed = ParsedResult(values={"tone": 3})
    review = parsed.as_review(
        [control for control in CONTROLS if control.name not in {"flags", "flag_reason"}], {"note": "old"}
    )
    assert review == {"tone": 3, "topics": [], "entities": [], "note": "", "regions": [], "speech": [], "events": []}
    assert "note" not in parsed.as_review(CONTROLS)


def test_reasons_are_kept_together() -> None:
    """The decision's reason, its note and the flags' reason, each once."""
    controls = load("ner").controls
    said = [("decision_reason", "a"), ("decision_note", "b"), ("flag_reason", "a"), ("decision", "escalate")]
    result = [item(name, {"choices": [word]} if name == "decision" else {"text": [word]}) for name, word in said]
    parsed = from_result(result, controls, {"response": "x"})
    assert (parsed.decision, parsed.reason) == ("escalate", "a\nb")
