"""A file of votes: who gave which item what value, checked line by line.

One line a vote: `{"item_id": …, "annotator": …, "value": …}`; further keys are ignored. Ids are text or numbers, and
`7` and `"7"` are the same id, since tools write both. Of two votes of one person on one item the later line counts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from review_rules.statistics.bootstrap import Ints
from review_rules.values import VoteKind

__all__ = [
    "BYTE_ORDER_MARK",
    "Id",
    "Mark",
    "Value",
    "VoteFault",
    "VoteKind",
    "Votes",
    "collect_votes",
    "parse_value",
    "read_lengths",
    "read_votes",
]

Id = str | int | float
Mark = tuple[int, int, str]
"""A span as compared: start, end (half-open, code points) and label."""
Value = str | float | frozenset[str] | frozenset[Mark]


BYTE_ORDER_MARK = "\ufeff"
_EXAMPLE = '{"item_id": 1, "annotator": "ana", "value": "A"}'
_SPAN = '{"start": 0, "end": 9, "label": "ORG"}'
_NO_VOTE = "leave the line out if there is no vote"


@dataclass(frozen=True, slots=True)
class VoteFault:
    """A line that does not count, and why.

    >>> str(VoteFault(3, "not JSON", "write one JSON object a line"))
    'line 3: not JSON: write one JSON object a line'
    """

    line: int
    message: str
    hint: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}: {self.hint}"


class _BadVoteError(ValueError):
    """A vote that cannot count; the arguments are message and hint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Votes:
    """Votes of one kind: three parallel arrays over ratings, and what their numbers stand for.

    Args:
        items, annotators: ids in the order of their first counted vote.
        values: the distinct values, ascending.
        item, annotator, code: (ratings,) indices into `items`, `annotators` and `values`.
        lengths: length of an item's text in code points, by index into `items`, where it is known.
    """

    kind: VoteKind
    items: tuple[Id, ...]
    annotators: tuple[Id, ...]
    values: tuple[Any, ...]
    item: Ints
    annotator: Ints
    code: Ints
    lengths: Mapping[int, int] = field(default_factory=dict)


def parse_value(value: object, kind: VoteKind) -> Value:
    """Check one value and make it comparable.

    Raises:
        ValueError: not a value of this kind; the two arguments are message and hint.

    >>> parse_value(4, VoteKind.RATING), sorted(parse_value(["b", "a", "a"], VoteKind.CHOICES))
    (4.0, ['a', 'b'])
    """
    return _PARSERS[kind](value)


def read_votes(
    lines: Iterable[str | bytes],
    kind: VoteKind,
    *,
    value_key: str = "value",
    where: Mapping[str, str] | None = None,
    lengths: Mapping[str, int] | None = None,
) -> tuple[Votes, tuple[VoteFault, ...]]:
    """Read votes from JSON lines; a bad line becomes a fault and the others count.

    Args:
        lines: UTF-8; blank lines are skipped.
        kind: what every value has to be.
        value_key: the key that holds the vote.
        where: read only lines that have these values (as text) at these keys.
        lengths: length of each item's text in code points, by item id as text; a line's own `text` counts too.

    >>> votes, faults = read_votes(['{"item_id": 1, "annotator": "ana", "value": "A"}', "oops"], VoteKind.CHOICE)
    >>> votes.values, [fault.line for fault in faults]
    (('A',), [2])
    """
    builder = _Builder(kind)
    faults = []
    for number, line in enumerate(lines, start=1):
        # Editors leave a blank line at the end; it is nobody's vote.
        if not line.strip():
            continue
        try:
            vote = _parse_line(line)
            if where and any(_as_text(vote.get(key)) != wanted for key, wanted in where.items()):
                continue
            builder.add(_field(vote, "item_id"), _field(vote, "annotator"), _field(vote, value_key), vote.get("text"))
        except _BadVoteError as error:
            faults.append(VoteFault(number, *error.args))
    return builder.build(lengths or {}), tuple(faults)


def read_lengths(lines: Iterable[str | bytes]) -> tuple[dict[str, int], tuple[VoteFault, ...]]:
    """Read how long each item's text is, in code points, from JSON lines with `item_id` and `text`.

    Returns:
        Lengths by item id as text, and the lines that could not be read.

    >>> read_lengths(['{"item_id": 7, "text": "naïve"}'])
    ({'7': 5}, ())
    """
    lengths = {}
    faults = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            item = _parse_line(line)
            text = _field(item, "text")
            if not isinstance(text, str):
                raise _BadVoteError(f"text is {_name(text)}", "the text that was labelled is wanted")
            lengths[_id(_field(item, "item_id"), "item_id")[1]] = len(text)
        except _BadVoteError as error:
            faults.append(VoteFault(number, *error.args))
    return lengths, tuple(faults)


def collect_votes(votes: Iterable[tuple[Id, Id, object]], kind: VoteKind) -> Votes:
    """Collect votes that are at hand as (item, annotator, value); a later one of one person on one item counts.

    Raises:
        ValueError: an id or a value is not what it has to be.

    >>> collect_votes([("r1", "ana", 4), ("r1", "ben", 5)], VoteKind.RATING).values
    (4.0, 5.0)
    """
    builder = _Builder(kind)
    for item, annotator, value in votes:
        builder.add(item, annotator, value, None)
    return builder.build({})


class _Builder:
    """Collects votes; numbers items, annotators and values as they come."""

    def __init__(self, kind: VoteKind) -> None:
        self._parse = _PARSERS[kind]
        self._kind = kind
        self._items: dict[str, tuple[int, Id]] = {}
        self._annotators: dict[str, tuple[int, Id]] = {}
        self._values: dict[Hashable, int] = {}
        self._last: dict[tuple[int, int], int] = {}
        self._lengths: dict[int, int] = {}

    def add(self, item: object, annotator: object, value: object, text: object) -> None:
        parsed = self._parse(value)
        item_id, item_key = _id(item, "item_id")
        annotator_id, annotator_key = _id(annotator, "annotator")
        at = self._items.setdefault(item_key, (len(self._items), item_id))[0]
        by = self._annotators.setdefault(annotator_key, (len(self._annotators), annotator_id))[0]
        # The key keeps its first place, so that a vote given again moves nobody in the order of the file.
        self._last[at, by] = self._values.setdefault(parsed, len(self._values))
        if isinstance(text, str):
            self._lengths[at] = len(text)

    def build(self, lengths: Mapping[str, int]) -> Votes:
        # A value that all its givers have replaced is none of the file, and would be a category of chance agreement.
        seen = sorted(set(self._last.values()), key=dict(enumerate(map(_order, self._values))).__getitem__)
        rank = {code: place for place, code in enumerate(seen)}
        values = list(self._values)
        where = np.array(list(self._last), dtype=np.int64).reshape(-1, 2)
        known = {at: lengths[key] for key, (at, _) in self._items.items() if key in lengths}
        return Votes(
            kind=self._kind,
            items=tuple(written for _, written in self._items.values()),
            annotators=tuple(written for _, written in self._annotators.values()),
            values=tuple(values[code] for code in seen),
            item=where[:, 0],
            annotator=where[:, 1],
            code=np.array([rank[code] for code in self._last.values()], dtype=np.int64),
            lengths=self._lengths | known,
        )


def _parse_line(line: str | bytes) -> dict[str, Any]:
    try:
        text = line if isinstance(line, str) else line.decode("utf-8")
        vote = json.loads(text.removeprefix(BYTE_ORDER_MARK))
    except (ValueError, RecursionError):  # ValueError: also bytes that are not UTF-8
        raise _BadVoteError("not JSON", f"write one object a line, such as {_EXAMPLE}") from None
    if not isinstance(vote, dict):
        raise _BadVoteError(f"not an object but {_name(vote)}", f"write one object a line, such as {_EXAMPLE}")
    return vote


def _field(vote: Mapping[str, object], key: str) -> object:
    if key not in vote:
        raise _BadVoteError(f"no {key!r}", f"each line needs it, as in {_EXAMPLE}")
    return vote[key]


def _id(value: object, key: str) -> tuple[Id, str]:
    """Return an id as it was written and as it is compared."""
    if type(value) is str and value:
        return value, value
    if isinstance(value, bool) or not isinstance(value, (str, int, float)) or value == "":
        raise _BadVoteError(f"{key} is {_name(value)}", "an id is text or a number")
    if isinstance(value, float) and not math.isfinite(value):
        raise _BadVoteError(f"{key} is not a finite number", "an id is text or a number")
    return value, _as_text(value)


def _as_text(value: object) -> str:
    """Write a value as a table would: 7, 7.0 and "7" are the same."""
    # As JSON writes it: a table has `true`, not Python's `True`.
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _choice(value: object) -> str:
    if not isinstance(value, str):
        raise _BadVoteError(f"value is {_name(value)}", f'a choice is one text, such as "A"; {_NO_VOTE}')
    return value


def _choices(value: object) -> frozenset[str]:
    hint = 'choices are a list of texts, such as ["A", "B"] or []'
    if not isinstance(value, list):
        raise _BadVoteError(f"value is {_name(value)}", hint)
    for place, label in enumerate(value):
        if not isinstance(label, str):
            raise _BadVoteError(f"value[{place}] is {_name(label)}", hint)
    return frozenset(value)


def _rating(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _BadVoteError(f"value is {_name(value)}", f"a rating is a number, such as 4; {_NO_VOTE}")
    try:
        # JSON has whole numbers of any length, of which the longest fit no float.
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _BadVoteError("value is not a finite number", "a rating is a number, such as 4")
    return number + 0.0  # -0.0 is 0.0


def _spans(value: object) -> frozenset[Mark]:
    if not isinstance(value, list):
        raise _BadVoteError(f"value is {_name(value)}", f"spans are a list, such as [{_SPAN}] or []")
    return frozenset(_span(span, place) for place, span in enumerate(value))


def _span(span: object, place: int) -> Mark:
    where = f"value[{place}]"
    if not isinstance(span, dict):
        raise _BadVoteError(f"{where} is {_name(span)}", f"a span is {_SPAN}")
    start, end, label = span.get("start"), span.get("end"), span.get("label")
    if type(start) is not int or type(end) is not int or not isinstance(label, str):
        raise _BadVoteError(f"{where} lacks a whole start, end or a label", f"a span is {_SPAN}")
    if not 0 <= start < end:
        raise _BadVoteError(f"{where} goes from {start} to {end}", "0 <= start < end holds for every span")
    return start, end, label


def _name(value: object) -> str:
    """Say what a JSON value is, without showing it."""
    if value is None or value == "":
        return "empty"
    names = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)


def _order(value: Hashable) -> Any:
    return tuple(sorted(value)) if isinstance(value, frozenset) else value


_PARSERS: Mapping[VoteKind, Callable[[object], Value]] = {
    VoteKind.CHOICE: _choice,
    VoteKind.CHOICES: _choices,
    VoteKind.RATING: _rating,
    VoteKind.SPANS: _spans,
}
