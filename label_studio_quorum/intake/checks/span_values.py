"""Spans of auto-labels: half-open, in characters of the text as imported, whatever the tool that wrote them counts."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from label_studio_quorum.intake.checks.control_value import ControlValue
from label_studio_quorum.intake.checks.record_faults import UNITS, json_type
from label_studio_quorum.intake.sentences import SENTENCES
from review_rules.offsets import Match, Resolution, SpanIn, Unit, convert, resolve_all

__all__ = ["check_spans"]

_KIND_OF_READING = {
    Unit.UTF16: "QD.E049",
    Unit.UTF8: "QD.E050",
    Unit.WORD: "QD.E052",
    Unit.MARKED_WORD: "QD.E052",
    Unit.CODE_POINT: "QD.E051",
}
_MOST_PLACES = 5


def check_spans(asked: ControlValue, value: Any) -> Any:
    """The spans that stand in the text, at their places in characters; each other one is a fault."""
    if not isinstance(value, list):
        asked.add("QD.E042.spans", type=json_type(value))
        return None
    whole = [(at, span) for at, span in enumerate(value) if _is_whole(asked, at, span)]
    stated = [SpanIn(span["start"], span["end"], span.get("text")) for _, span in whole]
    readings = resolve_all(asked.text, _declared(asked, stated))
    placed = [
        _place(asked, at, span, before, reading)
        for (at, span), before, reading in zip(whole, stated, readings, strict=True)
    ]
    spans = [span for span in placed if span is not None]
    places = [(span["start"], span["end"], span["label"]) for span in spans]
    for start, end, label in sorted({place for place in places if places.count(place) > 1}):
        asked.add("QD.E057", start=start, end=end, label=label)
    return spans


def _is_whole(asked: ControlValue, at: int, span: Any) -> bool:
    where = f"[{at}]"
    if not isinstance(span, Mapping) or not {"start", "end", "label"} <= span.keys():
        asked.add("QD.E046", at=where)
        return False
    if not all(type(span[key]) is int for key in ("start", "end")) or not isinstance(span.get("text", ""), str | None):
        asked.add("QD.E046.type", at=where)
        return False
    return asked.is_label(span["label"], where + ".label")


def _declared(asked: ControlValue, spans: Sequence[SpanIn]) -> list[SpanIn]:
    """Spans as code points, where the file's unit was declared; a span that does not convert stays as it is, and is
    told as wrong."""
    if asked.limits.offsets not in UNITS:
        return list(spans)
    unit, inclusive = UNITS[asked.limits.offsets]
    places = [convert(asked.text, span.start, span.end, unit, inclusive=inclusive) for span in spans]
    return [span if place is None else SpanIn(*place, span.text) for span, place in zip(spans, places, strict=True)]


def _place(
    asked: ControlValue, at: int, span: Mapping[str, Any], before: SpanIn, reading: Resolution
) -> dict[str, Any] | None:
    where = f"[{at}]"
    placed = {**span, "start": reading.start, "end": reading.end}
    if reading.match not in (Match.CONVERTED, Match.MOVED):
        return _unconverted(asked, where, placed, reading)
    about = {
        "reading": reading.reading,
        "start": before.start,
        "end": before.end,
        "right_start": reading.start,
        "right_end": reading.end,
    }
    key = _kind_of(reading)
    fix = {**placed, "text": asked.text[reading.start : reading.end]}
    # Only where the carried text leaves one answer: a text that merely stands elsewhere was moved, not counted.
    if asked.limits.offsets == "detect" and reading.match is Match.CONVERTED:
        asked.add("QD.W044", at=where, fix=fix, wrong=SENTENCES[key][0].format(**about))
        return _edges(asked, where, fix)
    asked.add(key, at=where, fix=fix, **about)
    return None


def _kind_of(reading: Resolution) -> str:
    if reading.reading is None:
        return "QD.E054"
    return "QD.E053" if reading.reading.text_change else _KIND_OF_READING[reading.reading.unit]


def _unconverted(asked: ControlValue, where: str, span: dict[str, Any], reading: Resolution) -> dict[str, Any] | None:
    """A span whose offsets are taken as characters: right, or wrong in a way that no unit explains."""
    start, end = span["start"], span["end"]
    if reading.match is Match.AMBIGUOUS:
        some = reading.places[:_MOST_PLACES]
        fixes = [{**span, "start": first, "end": last} for first, last in some]
        asked.add("QD.E055", at=where, fix=fixes, places=", ".join(f"{first}–{last}" for first, last in some))
    elif start >= end:
        asked.add("QD.E047", at=where, start=start, end=end)
    elif start < 0 or end > len(asked.text):
        asked.add("QD.E048", at=where, start=start, end=end, length=len(asked.text))
    elif reading.match is Match.MISMATCH:
        asked.add("QD.E056", at=where)
    else:
        if reading.match is Match.UNCHECKED and asked.limits.offsets not in UNITS and _is_uncertain(asked.text[:end]):
            asked.add("QD.W041", at=where)
        return _edges(asked, where, span)
    return None


def _is_uncertain(text: str) -> bool:
    """Whether other tools may count the text as longer: UTF-16 has two units for each of these characters."""
    return not text.isascii() and any(char > "\uffff" for char in text)


def _edges(asked: ControlValue, where: str, span: dict[str, Any]) -> dict[str, Any]:
    """The span as it is, with a warning where it begins or ends at a place that people would not choose."""
    start, end, text = span["start"], span["end"], asked.text
    piece = text[start:end]
    if piece != piece.strip():
        first = start + len(piece) - len(piece.lstrip())
        last = end - (len(piece) - len(piece.rstrip()))
        fix = {**span, "start": first, "end": last, "text": text[first:last]} if first < last else None
        asked.add("QD.W042", at=where, fix=fix)
    if not text.isascii() and (_is_inside_a_character(text, start) or _is_inside_a_character(text, end)):
        asked.add("QD.W043", at=where)
    return span


def _is_inside_a_character(text: str, at: int) -> bool:
    """Whether the position lies inside what people see as one character: before an accent, a joiner, a skin tone."""
    if not 0 < at < len(text):
        return False
    before, after = text[at - 1], text[at]
    return (
        bool(unicodedata.combining(after))
        or "\u200d" in (before, after)
        or after == "\ufe0f"
        or "\U0001f3fb" <= after <= "\U0001f3ff"
    )
