"""Predictions in Label Studio's JSON as auto-labels: which of several is taken, and what in it does not fit.

Values are read as they stand, right or wrong, so that the checks of auto-labels say of each what they say of any
other; only what those checks cannot see (the type of a result, the key of its value) is told here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ls_config import Control
from ls_config.results import from_result

__all__ = ["LabelNote", "LabelNotes", "PredictedLabel", "chosen", "read_prediction"]

_MOST_KEYS = 6
_REGIONS = frozenset({"spans", "boxes", "segments"})


@dataclass(frozen=True, slots=True)
class LabelNote:
    """One fault before it has a row: the key of its sentence, the field, and what fills the sentence."""

    key: str
    field: str | None
    about: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LabelNotes:
    """What is to be told of a label that another tool wrote, beside what its values show.

    Attributes:
        notes: Told in any case.
        doubts: Told where the values show no fault, since a value's own fault says more.
        origin: Where the label stands in the file, such as `predictions[1]`; faults name it in place of `auto_label`.
    """

    notes: tuple[LabelNote, ...] = ()
    doubts: tuple[LabelNote, ...] = ()
    origin: str | None = None


@dataclass(slots=True)
class PredictedLabel:
    """A prediction's values keyed by control, and what to tell of it."""

    values: dict[str, Any] = field(default_factory=dict)
    notes: list[LabelNote] = field(default_factory=list)
    doubts: list[LabelNote] = field(default_factory=list)


def chosen(predictions: Any) -> tuple[int, Mapping[str, Any], LabelNote | None] | None:
    """The prediction that becomes the auto-label, with its place in the list; None where none has a result.

    Of several it is the latest, if all say when they were made; else the one of the best score, if all have one; else
    the last of the list. Of equals the later in the list is taken.
    """
    entries = predictions if isinstance(predictions, list) else []
    some = [(at, entry) for at, entry in enumerate(entries) if isinstance(entry, Mapping) and entry.get("result")]
    if not some:
        return None
    ranks: tuple[tuple[str, Callable[[Mapping[str, Any]], float | None]], ...] = (
        ("the latest", _made_at),
        ("the best score, since not all say when they were made", _score),
    )
    rule, (at, entry) = "the last, since not all have a time or a score", some[-1]
    for name, rank in ranks:
        values = [rank(candidate) for _, candidate in some]
        known = [value for value in values if value is not None]
        if len(known) == len(some):
            best = max(range(len(some)), key=lambda number: (known[number], number))
            rule, (at, entry) = name, some[best]
            break
    if len(some) == 1:
        return at, entry, None
    version = entry.get("model_version")
    taken = f"'{version}'" if version else f"place {at + 1}"
    return at, entry, LabelNote("QD.W047", f"predictions[{at}]", {"count": len(some), "taken": taken, "rule": rule})


def _made_at(prediction: Mapping[str, Any]) -> float | None:
    try:
        moment = datetime.fromisoformat(str(prediction.get("created_at")))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _score(prediction: Mapping[str, Any]) -> float | None:
    score = prediction.get("score")
    return float(score) if isinstance(score, int | float) and not isinstance(score, bool) else None


def read_prediction(result: Any, controls: Iterable[Control], where: str) -> PredictedLabel:
    """The values of a result as they stand, and what does not fit; `where` is its place, such as `predictions[0]`."""
    made = PredictedLabel()
    known = {control.name: control for control in controls}
    if not isinstance(result, list):
        made.notes.append(LabelNote("QD.E059.item", f"{where}.result", {}))
        return made
    for at, item in enumerate(result):
        _read_item(item, known, f"{where}.result[{at}]", made)
    return made


def _read_item(item: Any, known: Mapping[str, Control], where: str, made: PredictedLabel) -> None:
    doubts = [problem.partition(": ")[2] for problem in from_result([item], known.values(), {}).problems]
    # People and tools draw relations around an answer; they are no answer of a control.
    if isinstance(item, Mapping) and item.get("type") == "relation":
        made.notes += [LabelNote("QD.W046", where, {"problem": _sentence(problem)}) for problem in doubts]
        return
    if not isinstance(item, Mapping) or not item.get("from_name") or not isinstance(item.get("value"), Mapping):
        made.notes.append(LabelNote("QD.E059.item", where, {}))
        return
    name, body = str(item["from_name"]), item["value"]
    control = known.get(name)
    if control is None:
        made.values[name] = dict(body)
        return
    key, kind = _value_key(control), item.get("type")
    if kind not in (None, control.result_type):
        about = {"control": name, "wanted": control.result_type, "type": kind}
        made.notes.append(LabelNote("QD.E059.type", where, about))
    elif control.kind != "spans" and key not in body:
        keys = ", ".join(f"'{other}'" for other in list(body)[:_MOST_KEYS]) or "nothing"
        made.notes.append(LabelNote("QD.E059.key", where, {"control": name, "wanted": key, "keys": keys}))
    else:
        _put(made.values, control, _as_it_stands(control, key, body))
        made.doubts += [LabelNote("QD.E059", where, {"problem": _sentence(problem)}) for problem in doubts]


def _sentence(problem: str) -> str:
    text = problem.rstrip(".")
    return text[:1].upper() + text[1:]


def _value_key(control: Control) -> str:
    match control.kind:
        case "choice" | "choices":
            return "choices"
        case "spans":
            return "labels"
        case "boxes" | "segments":
            return control.result_type
        case _:
            return control.kind


def _as_it_stands(control: Control, key: str, body: Mapping[str, Any]) -> Any:
    """The value in the shape of the auto-label's contract, whether it is allowed or not; None where nothing is
    answered."""
    value = body.get(key)
    if control.kind in _REGIONS:
        labels = value if isinstance(value, list | str) and value else [None]
        labels = [labels] if isinstance(labels, str) else labels
        region = {name: _whole(part) for name, part in body.items() if name in _PARTS[control.kind]}
        return [region | ({"label": label} if label is not None else {}) for label in labels]
    if control.kind == "choice" and isinstance(value, list):
        return value[0] if len(value) == 1 else value or None
    if control.kind == "choices":
        return [value] if isinstance(value, str) else value
    if control.kind == "text" and isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "\n".join(value) or None
    # Label Studio's stars: none is set.
    return None if control.kind == "rating" and value == 0 and not isinstance(value, bool) else value


_PARTS = {
    "spans": ("start", "end", "text"),
    "boxes": ("x", "y", "width", "height"),
    "segments": ("start", "end"),
}


def _whole(part: Any) -> Any:
    return int(part) if isinstance(part, float) and part.is_integer() else part


def _put(values: dict[str, Any], control: Control, value: Any) -> None:
    """Add a value; a second one for a control that takes one makes a list, which the checks refuse."""
    if value is None:
        return
    before = values.get(control.name)
    if before is None or before == value:
        values[control.name] = value
    elif control.is_set and isinstance(before, list) and isinstance(value, list):
        values[control.name] = [*before, *(part for part in value if part not in before)]
    else:
        several = before if isinstance(before, list) else [before]
        values[control.name] = [*several, *(value if isinstance(value, list) else [value])]
