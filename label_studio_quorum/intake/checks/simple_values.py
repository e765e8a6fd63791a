"""Values of auto-labels other than spans: labels, numbers, texts, boxes and segments."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from label_studio_quorum.intake.checks.control_value import ControlValue
from label_studio_quorum.intake.checks.record_faults import json_type

__all__ = ["as_number", "check_choice", "check_choices", "check_number", "check_regions", "check_text"]

_ROUNDING = 0.01
"""Percent by which a box may reach over the edge of its image: screens round."""


def check_choice(asked: ControlValue, value: Any) -> Any:
    """One label; None where it is none."""
    if isinstance(value, list):
        asked.add("QD.E042.choice", fix=value[0] if len(value) == 1 else None)
        return None
    return value if asked.is_label(value) else None


def check_choices(asked: ControlValue, value: Any) -> Any:
    """A list of labels, none of them twice."""
    if not isinstance(value, list):
        fix = [value] if value in asked.control.labels else None
        asked.add("QD.E042.choices", fix=fix, type=json_type(value))
        return None
    if len({str(label) for label in value}) != len(value):
        asked.add("QD.E045", fix=list(dict.fromkeys(map(str, value))))
    known = [asked.is_label(label, f"[{at}]") for at, label in enumerate(value)]
    return value if all(known) else None


def check_number(asked: ControlValue, value: Any) -> Any:
    """A number in its range; a rating is whole."""
    rating = asked.control.kind == "rating"
    if not _is_number(value) or (rating and value != int(value)):
        # A number in quotes is offered without them, a text that is no number is not.
        unquoted = as_number(value) if isinstance(value, str) else None
        key = "QD.E042.rating" if rating else "QD.E042.number"
        asked.add(key, fix=unquoted if isinstance(unquoted, int) else None, value=_short(value))
        return None
    low, high = asked.control.min, asked.control.max
    if (low is not None and value < low) or (high is not None and value > high):
        asked.add("QD.E044", value=value, low=low, high=high)
        return None
    return int(value) if rating else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def check_text(asked: ControlValue, value: Any) -> Any:
    """A text."""
    if not isinstance(value, str):
        asked.add("QD.E042.text", type=json_type(value))
        return None
    return value


def check_regions(asked: ControlValue, value: Any) -> Any:
    """Boxes in percent, segments in seconds."""
    boxes = asked.control.kind == "boxes"
    keys = ("x", "y", "width", "height") if boxes else ("start", "end")
    if not isinstance(value, list):
        asked.add("QD.E042.regions", kind=asked.control.kind)
        return None
    for at, region in enumerate(value):
        parts = [float(region[key]) for key in keys if _is_measure(region.get(key))] if _is_object(region) else []
        if len(parts) < len(keys) or not (_box_fits(parts) if boxes else parts[0] < parts[1]):
            asked.add("QD.E058.boxes" if boxes else "QD.E058.segments", at=f"[{at}]", parts=", ".join(keys))
        else:
            asked.is_label(region.get("label"), f"[{at}].label")
    return value


def _is_object(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_measure(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _box_fits(parts: Sequence[float]) -> bool:
    x, y, width, height = parts
    return width > 0 and height > 0 and x + width <= 100 + _ROUNDING and y + height <= 100 + _ROUNDING


def as_number(text: Any) -> Any:
    """The number that a text spells, whole where it is; the text itself where it spells none."""
    try:
        value = float(text)
    except ValueError:
        return text
    return int(value) if math.isfinite(value) and value == int(value) else value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "…"
