"""Values that are near a known one and not it: what the form of a qualification row may open with."""

from __future__ import annotations

from typing import Any

from ls_config.interface import Control


def other_value(control: Control, value: Any) -> Any:
    """Another value of the same control; None where none can be made of it, as of a text.

    A label becomes the next one of the interface, a number its neighbour; of a set of labels one comes or goes, and of
    spans, segments and boxes the last one goes.

    >>> verdict = Control(name="v", kind="choice", to_name="t", value_key="t", result_type="choices", labels=("a", "b"))
    >>> other_value(verdict, "b")
    'a'
    """
    match control.kind:
        case "choice":
            return _next_label(control, value)
        case "choices" if isinstance(value, list) and control.labels:
            first = control.labels[0]
            return [label for label in value if label != first] if first in value else [*value, first]
        case "rating" | "number" if isinstance(value, int | float) and not isinstance(value, bool):
            return value - 1 if control.max is not None and value + 1 > control.max else value + 1
        case "spans" | "segments" | "boxes" if isinstance(value, list) and value:
            return value[:-1]
        case _:
            return None


def _next_label(control: Control, value: Any) -> str | None:
    if value not in control.labels or len(control.labels) < 2:
        return None
    return control.labels[(control.labels.index(value) + 1) % len(control.labels)]
