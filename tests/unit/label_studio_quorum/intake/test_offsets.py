"""Offsets: what other tools count is told by the carried text, converted exactly, and never guessed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from review_rules.offsets import Match, Reading, SpanIn, Unit, convert, resolve, resolve_all, to_unit

FAMILY = "👨‍👩‍👧"
READINGS = [
    ("code points", "😀 Rome", 2, 6, Reading()),
    ("UTF-16 units", "😀 Rome", 3, 7, Reading(Unit.UTF16)),
    ("UTF-16 units, inclusive", "😀 Rome", 3, 6, Reading(Unit.UTF16, inclusive=True)),
    ("UTF-8 bytes", "😀 Rome", 5, 9, Reading(Unit.UTF8)),
    ("UTF-8 bytes, inclusive", "😀 Rome", 5, 8, Reading(Unit.UTF8, inclusive=True)),
    ("inclusive end", "In Rome", 3, 6, Reading(inclusive=True)),
    ("white-space tokens", "we are in Rome", 3, 4, Reading(Unit.WORD)),
    ("white-space tokens, inclusive", "we are in Rome", 3, 3, Reading(Unit.WORD, inclusive=True)),
    ("word and punctuation tokens", "Well, it's in Rome", 6, 7, Reading(Unit.MARKED_WORD)),
    ("CRLF became LF", "one\r\ntwo\r\nRome", 8, 12, Reading(text_change="CRLF became LF")),
    ("LF became CRLF", "one\ntwo\nRome", 10, 14, Reading(text_change="LF became CRLF")),
    ("NFC", "cafe\u0301 Rome", 5, 9, Reading(text_change="NFC normalisation")),
    ("NFD", "caǟ Rome", 6, 10, Reading(text_change="NFD normalisation")),
    ("leading white space cut", "  \n Rome", 0, 4, Reading(text_change="leading white space was cut")),
    ("white space collapsed", "a  \n b Rome", 4, 8, Reading(text_change="runs of white space became one space")),
    ("HTML escaping", "a & b Rome", 10, 14, Reading(text_change="HTML escaping")),
]


@pytest.mark.parametrize(
    ("text", "start", "end", "reading"), [one[1:] for one in READINGS], ids=[r[0] for r in READINGS]
)
def test_each_way_of_counting_is_recognised(text: str, start: int, end: int, reading: Reading) -> None:
    """A span that carries its text is placed on it, and the reading that explains its numbers is named."""
    found = resolve(text, SpanIn(start, end, "Rome"))
    assert text[found.start : found.end] == "Rome"
    assert found.reading == reading


def test_right_span_is_left_alone_whatever_else_fits() -> None:
    """Numbers that are right as they stand are never taken for something else."""
    assert resolve("aaaa", SpanIn(1, 2, "a")).match is Match.EXACT


def test_two_places_are_ambiguous() -> None:
    """Where readings lead to different places, all are named and none is taken."""
    found = resolve("😀abac", SpanIn(4, 5, "a"))  # UTF-16 units lead to the second a, bytes to the first
    assert (found.match, found.places) == (Match.AMBIGUOUS, ((1, 2), (3, 4)))
    found = resolve("no, no", SpanIn(90, 92, "no"))
    assert (found.match, found.places) == (Match.AMBIGUOUS, ((0, 2), (4, 6)))
    assert (found.start, found.end) == (90, 92)


def test_other_spans_of_the_text_settle_a_doubt() -> None:
    """A span that two readings explain is settled by the one reading that explains all spans of the text."""
    doubtful, clear = SpanIn(4, 5, "a"), SpanIn(7, 8, "Z")
    text = "😀abac Zd"
    assert resolve(text, doubtful).match is Match.AMBIGUOUS
    both = resolve_all(text, [doubtful, clear])
    assert [(one.start, one.end) for one in both] == [(3, 4), (6, 7)]
    assert {one.reading for one in both} == {Reading(Unit.UTF16)}


def test_text_at_one_other_place_is_offered() -> None:
    """Numbers that no reading explains are set right if the text stands at one place only."""
    found = resolve("we are in Rome", SpanIn(40, 44, "Rome"))
    assert (found.match, found.start, found.end) == (Match.MOVED, 10, 14)


def test_text_that_is_not_there_is_a_mismatch() -> None:
    """A carried text that the field does not hold is never placed."""
    assert resolve("we are in Rome", SpanIn(10, 14, "Oslo")).match is Match.MISMATCH


def test_span_without_text_is_unchecked() -> None:
    """Without a carried text nothing is claimed."""
    assert resolve("we are in Rome", SpanIn(0, 2)).match is Match.UNCHECKED


@pytest.mark.parametrize("unit", [Unit.UTF16, Unit.UTF8])
def test_position_inside_a_character_does_not_convert(unit: Unit) -> None:
    """Half of a character is no place."""
    assert convert("😀 Rome", 1, 3, unit) is None


def test_span_outside_the_text_cannot_be_counted() -> None:
    """Counting a span that the text does not hold raises, with both numbers."""
    with pytest.raises(ValueError, match="outside the text of 4"):
        to_unit("Rome", 2, 9, Unit.UTF16)
    with pytest.raises(ValueError, match="cannot count"):
        to_unit("Rome", 0, 2, Unit.WORD)


@given(st.lists(st.sampled_from([*"ab \t", "\r\n", "e\u0301", "😀", FAMILY, "東", "ر"]), min_size=1), st.data())
def test_units_convert_there_and_back(parts: list[str], data: st.DataObject) -> None:
    """Any span counted in UTF-16 units or bytes, half-open or inclusive, comes back as it was."""
    text = "".join(parts)
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    for unit in (Unit.CODE_POINT, Unit.UTF16, Unit.UTF8):
        first, last = to_unit(text, start, end, unit)
        assert convert(text, first, last, unit) == (start, end)
        assert convert(text, first, last - 1, unit, inclusive=True) == (start, end)


@given(st.lists(st.sampled_from([*"ab \t", "\r\n", "e\u0301", "😀", FAMILY, "東", "ر"]), min_size=1), st.data())
def test_resolved_span_always_stands_on_its_text(parts: list[str], data: st.DataObject) -> None:
    """Whatever is offered stands on the carried text; what is ambiguous keeps the numbers given."""
    text = "".join(parts)
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    carried = text[start:end]
    unit = data.draw(st.sampled_from([Unit.CODE_POINT, Unit.UTF16, Unit.UTF8]))
    given_span = SpanIn(*to_unit(text, start, end, unit), carried)
    found = resolve(text, given_span)
    if found.match in (Match.EXACT, Match.CONVERTED, Match.MOVED):
        assert text[found.start : found.end] == carried
    else:
        assert found.match is Match.AMBIGUOUS
        assert (start, end) in found.places
        assert (found.start, found.end) == (given_span.start, given_span.end)


@pytest.mark.parametrize(
    ("reading", "said"),
    [
        (Reading(), f"{Unit.CODE_POINT.value}, half-open"),
        (Reading(Unit.UTF16, inclusive=True), f"{Unit.UTF16.value}, inclusive end"),
        (Reading(text_change="NFC"), f"{Unit.CODE_POINT.value}, half-open, counted after NFC"),
    ],
)
def test_a_reading_says_itself_in_words(reading: Reading, said: str) -> None:
    """Faults quote how the numbers were read: unit, kind of end, and what was done to the text before counting."""
    assert str(reading) == said


def test_no_character_stands_before_the_text() -> None:
    """A negative offset in UTF-16 units is outside the text, not counted from its end."""
    assert convert("a😀b", -1, 2, Unit.UTF16) is None
