"""The one place where span offsets are converted.

Inside Quorum a span is half-open `[start, end)` in Unicode code points of the field's text. Other tools count UTF-16
units (JavaScript, Java), UTF-8 bytes (Rust, Go), tokens, or inclusive ends, or count on a text that was normalised on
the way. What a file counts is told by the text that each span carries, and only where that leaves one answer; else
the result says so and names the answers, so that a person can choose.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

__all__ = ["Match", "Reading", "Resolution", "SpanIn", "Unit", "convert", "resolve", "resolve_all", "to_unit"]


class Unit(Enum):
    """What one step of an offset is."""

    CODE_POINT = "code points"
    UTF16 = "UTF-16 units"
    UTF8 = "UTF-8 bytes"
    WORD = "white-space tokens"
    MARKED_WORD = "word and punctuation tokens"


class Match(Enum):
    """How the offsets of a span stand to the text it carries."""

    EXACT = "exact"  # code points, half-open: nothing to do
    CONVERTED = "converted"  # wrong as they stand, right under exactly one other reading
    MOVED = "moved"  # right under no reading, but the carried text stands at one place only
    AMBIGUOUS = "ambiguous"  # several places fit
    MISMATCH = "mismatch"  # the carried text is not in the text
    UNCHECKED = "unchecked"  # no carried text to check by


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read a pair of numbers: the unit, whether the end is inclusive, how the text was changed before
    counting."""

    unit: Unit = Unit.CODE_POINT
    inclusive: bool = False
    text_change: str = ""

    def __str__(self) -> str:
        """Say the reading in words, as faults and docs quote it."""
        parts = [self.unit.value, "inclusive end" if self.inclusive else "half-open"]
        return ", ".join([*parts, f"counted after {self.text_change}"] if self.text_change else parts)


PLAIN = Reading()


@dataclass(frozen=True, slots=True)
class SpanIn:
    """A span as a file gives it: two numbers of unknown meaning, and the text it carries (None if it carries none)."""

    start: int
    end: int
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Resolution:
    """What the offsets of one span mean in code points.

    `start` and `end` are the offered answer for `EXACT`, `CONVERTED` and `MOVED`, else the numbers as given; `places`
    are all answers that fit, in order of position; `reading` explains a `CONVERTED` one.
    """

    match: Match
    start: int
    end: int
    reading: Reading | None = None
    places: tuple[tuple[int, int], ...] = ()


def _utf16_width(char: str) -> int:
    return 2 if ord(char) > 0xFFFF else 1


def _utf8_width(char: str) -> int:
    code = ord(char)
    return 1 if code < 0x80 else 2 if code < 0x800 else 3 if code < 0x10000 else 4


_WIDTH: dict[Unit, Callable[[str], int]] = {Unit.UTF16: _utf16_width, Unit.UTF8: _utf8_width}
_TOKENS = {Unit.WORD: re.compile(r"\S+"), Unit.MARKED_WORD: re.compile(r"\w+|[^\w\s]")}


def _position(text: str, offset: int, width: Callable[[str], int]) -> int | None:
    """Code point index of an offset counted in wider units; None inside a character or beyond the text."""
    at = 0
    for index, char in enumerate(text):
        if at >= offset:
            return index if at == offset else None
        at += width(char)
    return len(text) if at == offset else None


def convert(text: str, start: int, end: int, unit: Unit, *, inclusive: bool = False) -> tuple[int, int] | None:
    """Turn offsets of a known unit into code points, half-open.

    Args: text: the field's text; start, end: offsets in `unit`; inclusive: whether `end` names the last unit itself.
    Returns None where the numbers do not fall on character boundaries inside the text or leave an empty span.

    >>> convert("😀 Rome", 3, 7, Unit.UTF16)
    (2, 6)
    >>> convert("😀 Rome", 1, 3, Unit.UTF16) is None
    True
    """
    stop = end + 1 if inclusive else end
    if start < 0 or stop <= start:
        return None
    if unit is Unit.CODE_POINT:
        return (start, stop) if stop <= len(text) else None
    if unit in _TOKENS:
        return _token_span(text, start, stop, unit)
    if unit is Unit.UTF16 and text.isascii():
        return (start, stop) if stop <= len(text) else None
    first, last = _position(text, start, _WIDTH[unit]), _position(text, stop, _WIDTH[unit])
    return None if first is None or last is None else (first, last)


def _token_span(text: str, start: int, stop: int, unit: Unit) -> tuple[int, int] | None:
    tokens = list(_TOKENS[unit].finditer(text))
    return (tokens[start].start(), tokens[stop - 1].end()) if stop <= len(tokens) else None


def to_unit(text: str, start: int, end: int, unit: Unit) -> tuple[int, int]:
    """Turn a half-open code point span into UTF-16 units or UTF-8 bytes, half-open.

    Raises ValueError for a span outside the text or a token unit, which need not have an answer.

    >>> to_unit("😀 Rome", 2, 6, Unit.UTF16)
    (3, 7)
    """
    if not 0 <= start <= end <= len(text):
        raise ValueError(f"span [{start}, {end}) is outside the text of {len(text)} characters")
    if unit is Unit.CODE_POINT:
        return start, end
    if unit not in _WIDTH:
        raise ValueError(f"cannot count in {unit.value}")
    width = _WIDTH[unit]
    first = sum(map(width, text[:start]))
    return first, first + sum(map(width, text[start:end]))


# --- texts that were changed before counting -------------------------------------------------------------------------

Piece = tuple[str, int, int]  # changed text, and the [start, end) of the original that it stands for


def _replaced(pattern: str, by: Callable[[re.Match[str]], str]) -> Callable[[str], Iterator[Piece]]:
    compiled = re.compile(pattern)

    def pieces(text: str) -> Iterator[Piece]:
        at = 0
        for match in compiled.finditer(text):
            yield from ((text[i], i, i + 1) for i in range(at, match.start()))
            yield by(match), match.start(), match.end()
            at = match.end()
        yield from ((text[i], i, i + 1) for i in range(at, len(text)))

    return pieces


def _normal_form(form: str) -> Callable[[str], Iterator[Piece]]:
    def pieces(text: str) -> Iterator[Piece]:
        at = 0
        for index in range(1, len(text) + 1):
            if index == len(text) or not unicodedata.combining(text[index]):
                yield unicodedata.normalize(form, text[at:index]), at, index  # type: ignore[arg-type]
                at = index

    return pieces


_CHANGES: dict[str, Callable[[str], Iterator[Piece]]] = {
    "CRLF became LF": _replaced(r"\r\n", lambda _: "\n"),
    "LF became CRLF": _replaced(r"(?<!\r)\n", lambda _: "\r\n"),
    "leading white space was cut": _replaced(r"\A[\s\ufeff]+", lambda _: ""),
    "runs of white space became one space": _replaced(r"\s+", lambda _: " "),
    "NFC normalisation": _normal_form("NFC"),
    "NFD normalisation": _normal_form("NFD"),
    "HTML escaping": _replaced(r"[&<>]", lambda m: {"&": "&amp;", "<": "&lt;", ">": "&gt;"}[m.group()]),
}


@dataclass(frozen=True, slots=True)
class _Changed:
    """A changed text with, per position of it, the original position (None inside what has no counterpart)."""

    text: str
    origin: tuple[int | None, ...]


def _change(text: str, name: str) -> _Changed | None:
    pieces = list(_CHANGES[name](text))
    changed = "".join(piece for piece, _, _ in pieces)
    if changed == text:
        return None
    origin: list[int | None] = []
    for piece, start, _ in pieces:
        origin.extend([start, *([None] * (len(piece) - 1))] if piece else [])
    return _Changed(changed, (*origin, len(text)))


# --- detection -----------------------------------------------------------------------------------------------------

Place = tuple[int, int]


def _plain_places(text: str, span: SpanIn) -> Iterator[tuple[Reading, Place]]:
    for unit in Unit:
        for inclusive in (False, True):
            place = convert(text, span.start, span.end, unit, inclusive=inclusive)
            if place is not None and text[place[0] : place[1]] == span.text:
                yield Reading(unit, inclusive), place


def _changed_places(
    text: str, span: SpanIn, changes: Sequence[tuple[str, _Changed]]
) -> Iterator[tuple[Reading, Place]]:
    for name, changed in changes:
        for unit in (Unit.CODE_POINT, Unit.UTF16, Unit.UTF8):
            for inclusive in (False, True):
                place = convert(changed.text, span.start, span.end, unit, inclusive=inclusive)
                if place is None:
                    continue
                start, end = changed.origin[place[0]], changed.origin[place[1]]
                if start is None or end is None or start >= end:
                    continue
                if span.text in (changed.text[place[0] : place[1]], text[start:end]):
                    yield Reading(unit, inclusive, name), (start, end)


def _occurrences(text: str, wanted: str) -> Iterator[Place]:
    at = text.find(wanted) if wanted else -1
    while at >= 0:
        yield at, at + len(wanted)
        at = text.find(wanted, at + 1)


def _is_exact(text: str, span: SpanIn) -> bool:
    return 0 <= span.start < span.end <= len(text) and text[span.start : span.end] == span.text


def _candidates(text: str, spans: Sequence[SpanIn]) -> list[dict[Reading, Place]]:
    """Per span the readings that fit; a changed text is tried only where no reading of the text itself fits any."""
    plain = [dict(_plain_places(text, span)) for span in spans]
    if all(plain):
        return plain
    changes = [(name, changed) for name in _CHANGES if (changed := _change(text, name)) is not None]
    return [places | dict(_changed_places(text, span, changes)) for span, places in zip(spans, plain, strict=True)]


def _one(text: str, span: SpanIn, fitting: dict[Reading, Place]) -> Resolution:
    places = tuple(sorted(set(fitting.values())))
    if len(places) == 1:
        return Resolution(Match.CONVERTED, *places[0], reading=next(iter(fitting)), places=places)
    if not places:
        places = tuple(_occurrences(text, span.text or ""))
        if len(places) == 1:
            return Resolution(Match.MOVED, *places[0], places=places)
    return Resolution(Match.AMBIGUOUS if places else Match.MISMATCH, span.start, span.end, places=places)


def resolve(text: str, span: SpanIn) -> Resolution:
    """Tell what one span's offsets mean, by the text it carries.

    >>> resolve("😀 Rome", SpanIn(3, 7, "Rome")).match
    <Match.CONVERTED: 'converted'>
    >>> resolve("no no", SpanIn(7, 9, "no")).places
    ((0, 2), (3, 5))
    """
    return resolve_all(text, [span])[0]


def resolve_all(text: str, spans: Iterable[SpanIn]) -> tuple[Resolution, ...]:
    """Tell what the offsets of all spans of one text mean; a doubtful one is settled by a reading that fits all of
    them.

    A span that is right as it stands is left alone, whatever else would fit. Where the spans that are wrong have one
    reading in common that explains every one of them, that reading is taken; where several do and lead to different
    places, or none does and the carried text stands at several places, the span is `AMBIGUOUS`.
    """
    every = tuple(spans)
    wrong = [span for span in every if span.text is not None and not _is_exact(text, span)]
    fitting = _candidates(text, wrong) if wrong else []
    common = set(fitting[0]).intersection(*fitting[1:]) if fitting else set()
    if common:
        fitting = [{reading: place for reading, place in places.items() if reading in common} for places in fitting]
    settled = iter([_one(text, span, places) for span, places in zip(wrong, fitting, strict=True)])
    return tuple(_settle(text, span, settled) for span in every)


def _settle(text: str, span: SpanIn, settled: Iterator[Resolution]) -> Resolution:
    if span.text is None:
        return Resolution(Match.UNCHECKED, span.start, span.end)
    if _is_exact(text, span):
        return Resolution(Match.EXACT, span.start, span.end, PLAIN, ((span.start, span.end),))
    return next(settled)
