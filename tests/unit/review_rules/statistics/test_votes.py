"""Reading votes: what counts, what is one id, and what each bad line is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from review_rules.statistics.votes import VoteKind, collect_votes, parse_value, read_lengths, read_votes

CHOICE, CHOICES, RATING, SPANS = VoteKind.CHOICE, VoteKind.CHOICES, VoteKind.RATING, VoteKind.SPANS


def line(item: object, annotator: object, value: object, **more: object) -> str:
    """Write one vote."""
    return json.dumps({"item_id": item, "annotator": annotator, "value": value, **more})


BAD_LINES: list[tuple[str, VoteKind, str | bytes, str]] = [
    ("not-json", CHOICE, "A;B", "not JSON"),
    ("half-a-line", CHOICE, '{"item_id": 1, "annot', "not JSON"),
    ("not-utf8", CHOICE, b'{"item_id": 1, "annotator": "\xff", "value": "A"}', "not JSON"),
    ("nested-too-deep", CHOICE, "[" * 100_000, "not JSON"),
    ("a-list", CHOICE, "[1, 2]", "not an object but a list"),
    ("a-number", CHOICE, "7", "not an object but a number"),
    ("null", CHOICE, "null", "not an object but empty"),
    ("no-item", CHOICE, '{"annotator": "a", "value": "A"}', "no 'item_id'"),
    ("no-annotator", CHOICE, '{"item_id": 1, "value": "A"}', "no 'annotator'"),
    ("no-value", CHOICE, '{"item_id": 1, "annotator": "a"}', "no 'value'"),
    ("item-null", CHOICE, line(None, "a", "A"), "item_id is empty"),
    ("item-list", CHOICE, line([1], "a", "A"), "item_id is a list"),
    ("item-true", CHOICE, line(True, "a", "A"), "item_id is true or false"),
    ("annotator-empty", CHOICE, line(1, "", "A"), "annotator is empty"),
    ("annotator-object", CHOICE, line(1, {"id": 1}, "A"), "annotator is an object"),
    ("item-nan", CHOICE, '{"item_id": NaN, "annotator": "a", "value": "A"}', "item_id is not a finite number"),
    ("choice-null", CHOICE, line(1, "a", None), "value is empty"),
    ("choice-number", CHOICE, line(1, "a", 4), "value is a number"),
    ("choice-list", CHOICE, line(1, "a", ["A"]), "value is a list"),
    ("choices-text", CHOICES, line(1, "a", "A"), "value is text"),
    ("choices-of-number", CHOICES, line(1, "a", ["A", 4]), "value[1] is a number"),
    ("rating-text", RATING, line(1, "a", "4"), "value is text"),
    ("rating-true", RATING, line(1, "a", True), "value is true or false"),
    ("rating-nan", RATING, '{"item_id": 1, "annotator": "a", "value": NaN}', "not a finite number"),
    ("rating-infinite", RATING, '{"item_id": 1, "annotator": "a", "value": 1e999}', "not a finite number"),
    ("rating-too-large", RATING, line(1, "a", 10**400), "not a finite number"),
    ("spans-object", SPANS, line(1, "a", {"start": 0, "end": 1, "label": "A"}), "value is an object"),
    ("span-list", SPANS, line(1, "a", [[0, 1, "A"]]), "value[0] is a list"),
    ("span-no-label", SPANS, line(1, "a", [{"start": 0, "end": 1}]), "value[0] lacks"),
    ("span-half-offset", SPANS, line(1, "a", [{"start": 0.5, "end": 1, "label": "A"}]), "value[0] lacks"),
    ("span-true-offset", SPANS, line(1, "a", [{"start": True, "end": 2, "label": "A"}]), "value[0] lacks"),
    ("span-empty", SPANS, line(1, "a", [{"start": 2, "end": 2, "label": "A"}]), "value[0] goes from 2 to 2"),
    ("span-before-text", SPANS, line(1, "a", [{"start": -1, "end": 2, "label": "A"}]), "value[0] goes from -1 to 2"),
]


@pytest.mark.parametrize(("kind", "bad", "said"), [row[1:] for row in BAD_LINES], ids=[row[0] for row in BAD_LINES])
def test_a_bad_line_is_named_and_the_others_count(kind: VoteKind, bad: str | bytes, said: str) -> None:
    """Each kind of bad line is one fault with its line number, and does not take its neighbours with it."""
    good = {CHOICE: "A", CHOICES: ["A"], RATING: 4, SPANS: []}[kind]
    votes, faults = read_votes([line(1, "ana", good), "", bad, line(1, "ben", good)], kind)
    assert len(votes.code) == 2
    (fault,) = faults
    assert fault.line == 3
    assert fault.message.startswith(said) or said in fault.message
    assert fault.hint
    assert "\n" not in str(fault)


def test_a_fault_does_not_show_what_people_wrote() -> None:
    """Task text stays out of messages: a bad value is named by its type."""
    _, faults = read_votes([line(1, "ana", "the secret answer"), line("secret", [], 4)], RATING)
    assert "secret" not in " ".join(map(str, faults))


def test_numbers_and_texts_of_one_id_are_the_same_id() -> None:
    """7, 7.0 and "7" are one item, and the id is given back as it came first."""
    votes, faults = read_votes([line(7, "a", "A"), line("7", "b", "A"), line(7.0, 3, "A"), line(7, "3", "B")], CHOICE)
    assert not faults
    assert votes.items == (7,)
    assert votes.annotators == ("a", "b", 3)
    assert len(votes.code) == 3


def test_whole_and_broken_numbers_are_one_scale() -> None:
    """4 and 4.0 are the same rating, -0.0 is 0, and 4.5 lies between."""
    values = collect_votes([(1, "a", 4), (1, "b", 4.0), (1, "c", 4.5), (1, "d", 0), (1, "e", -0.0)], RATING).values
    assert values == (0.0, 4.0, 4.5)


def test_labels_are_compared_as_written() -> None:
    """Labels of any script, with any spaces, are their own class; nothing is folded."""
    labels = ["是", "نعم", "да", "Да", " A", "A", "🙂", "e\u0301", "\u00e9"]
    votes, faults = read_votes([line(i, "a", label) for i, label in enumerate(labels)], CHOICE)
    assert not faults
    assert set(votes.values) == set(labels)


def test_a_byte_order_mark_and_windows_line_ends_are_no_fault() -> None:
    """Files saved on Windows read like others."""
    lines = [b"\xef\xbb\xbf" + line(1, "a", "A").encode() + b"\r\n", line(2, "a", "A").encode() + b"\r\n", b"\r\n"]
    votes, faults = read_votes(lines, CHOICE)
    assert (len(votes.code), faults) == (2, ())


def test_a_line_separator_inside_a_label_does_not_split_the_line() -> None:
    """Unicode line separators may stand inside JSON text."""
    votes, faults = read_votes(
        [json.dumps({"item_id": 1, "annotator": "a", "value": "x\u2028y"}, ensure_ascii=False)], CHOICE
    )
    assert (votes.values, faults) == (("x\u2028y",), ())


def test_the_later_line_counts() -> None:
    """Of two votes of one person on one item the later line counts, and the value it replaced is gone."""
    votes, _ = read_votes([line(1, "a", "Z"), line(1, "b", "A"), line(1, "a", "A")], CHOICE)
    assert (votes.values, len(votes.code)) == (("A",), 2)


def test_a_later_bad_line_does_not_replace_a_vote() -> None:
    """A correction that cannot be read leaves the vote that could."""
    votes, faults = read_votes([line(1, "a", 4), line(1, "a", "five")], RATING)
    assert (votes.values, len(faults)) == ((4.0,), 1)


def test_where_keeps_lines_that_have_the_value() -> None:
    """Conditions compare as text, all have to hold, and a line they leave out cannot be a fault."""
    lines = [
        line(1, "a", 4, criterion="use", round=1),
        line(1, "a", 2, criterion="style", round=1),
        line(1, "b", None, criterion="style"),
        line(1, "c", 5, criterion="use", round=2.0, done=True),
    ]
    assert read_votes(lines, RATING, where={"criterion": "use"})[0].values == (4.0, 5.0)
    assert read_votes(lines, RATING, where={"criterion": "use", "round": "2", "done": "true"})[0].values == (5.0,)
    assert read_votes(lines, RATING, where={"nothing": "use"})[0].values == ()
    assert not read_votes(lines, RATING, where={"criterion": "use"})[1]


def test_value_key_names_the_vote() -> None:
    """Votes may stand under another key."""
    votes, faults = read_votes([line(1, "a", "A", value2="B"), line(2, "a", "A")], CHOICE, value_key="value2")
    assert votes.values == ("B",)
    assert faults[0].message == "no 'value2'"


def test_lengths_come_from_the_lines_or_from_a_file_of_texts() -> None:
    """Length is in code points; the file of texts wins over the line."""
    lengths, faults = read_lengths(
        [json.dumps({"item_id": 2, "text": "naïve🙂"}), "", "oops", '{"item_id": 3, "text": 4}', '{"text": "x"}']
    )
    assert lengths == {"2": 6}
    assert [fault.line for fault in faults] == [3, 4, 5]
    votes, _ = read_votes([line(1, "a", [], text="abc"), line(2, "a", [], text="")], SPANS, lengths=lengths)
    assert votes.lengths == {0: 3, 1: 6}


@pytest.mark.parametrize(
    ("kind", "value"), [(CHOICE, object()), (CHOICES, {"A"}), (RATING, None), (SPANS, ["x"])], ids=list(VoteKind)
)
def test_votes_at_hand_are_checked_too(kind: VoteKind, value: Any) -> None:
    """What a program passes is held to the same shape."""
    with pytest.raises(ValueError, match=r"value"):
        parse_value(value, kind)
    with pytest.raises(ValueError, match=r"value"):
        collect_votes([(1, "a", value)], kind)


def test_spans_are_sets_of_start_end_and_label() -> None:
    """The carried text and the order do not matter, and a repeated span is one."""
    one = [{"start": 0, "end": 2, "label": "A", "text": "ab"}, {"start": 3, "end": 4, "label": "B"}]
    votes = collect_votes([(1, "a", one), (1, "b", [*one[::-1], one[0]])], SPANS)
    assert len(votes.values) == 1
