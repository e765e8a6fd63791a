"""Translates between Quorum's values and Label Studio's result JSON. Nothing else in Quorum knows that JSON.

Values: choice `"A"`, choices `["A", "B"]`, spans `[{"start", "end", "label", "text"}]` (half-open, in code points: what
Label Studio 1.23's <Text> stores), rating and number `4`, text `"…"`, boxes `[{"x", "y", "width", "height", "label"}]`
in percent, segments `[{"start", "end", "label"}]` in seconds.
"""

from __future__ import annotations

import hashlib
import json
import math
import reprlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ls_config.interface import Control

__all__ = ["ParsedResult", "ResultError", "ResultFault", "from_result", "to_result", "with_labels_of_now"]

Item = dict[str, Any]
_encode = json.JSONEncoder(sort_keys=True, ensure_ascii=True).encode  # made once: ids are asked for by the thousand
# Written by Label Studio for what people add around an answer; never an answer itself.
_NOT_ANSWERS: Final = {"relation": "a relation between regions"}
# Larger in size than this is no number of anything; the rules have the same limit.
_LARGEST: Final = 10**150
# A box that is drawn to the picture's edge lies beyond it by what rounding does.
_EDGE: Final = 1
_REGION_KINDS: Final = frozenset({"spans", "boxes", "segments"})
_SHORT: Final = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60
_SHORT.maxlevel = 2


class ResultError(ValueError):
    """A value that cannot be written as a result, with the field's name and the reason."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ResultFault:
    """A part of a result that does not fit the interface or the task.

    Attributes:
        where: Which item it is: `result[0]`.
        reason: Why it does not fit.
        control: The control that it is about; as it was written where the interface has none of that name, empty where
            none is named.
        is_remark: True if nothing that anybody is asked for is wrong: a line between regions, which is not kept.
    """

    where: str
    reason: str
    control: str = ""
    is_remark: bool = False

    def __str__(self) -> str:
        return ": ".join(part for part in (self.where, self.control, self.reason) if part)


@dataclass(frozen=True, kw_only=True, slots=True)
class ParsedResult:
    """What one person (or model) filled in.

    Attributes:
        values: Field name → value; a control without an answer is absent.
        flags: Stored values of the flags block, in the order of the screen.
        reason: What was typed as the decision's reason and the flags' reason; None if nothing was.
        decision: accept, correct, escalate, discard or return; None outside of reviews.
        decision_to: The letters of the decisions that a return names.
        review_of: What the review form carried to say which row it showed, and in which state; None where it carried
            nothing.
        faults: Each part that could not be read, and why; that part is left out of `values`. A span that does not fit
            the text is named here and kept: the rules make it a finding.
        as_given: Field name → labels as they were called when the answer was given, where `values` has those of now.
    """

    values: dict[str, Any] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    reason: str | None = None
    decision: str | None = None
    decision_to: tuple[str, ...] = ()
    review_of: str | None = None
    faults: tuple[ResultFault, ...] = ()
    as_given: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def problems(self) -> tuple[str, ...]:
        """One line for each of `faults`."""
        return tuple(map(str, self.faults))

    @property
    def wrong(self) -> tuple[ResultFault, ...]:
        """The faults for which the answer as a whole cannot stand."""
        return tuple(fault for fault in self.faults if not fault.is_remark)

    def as_review(self, controls: Iterable[Control], proposal: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the values of a QA or expert form, in which an emptied field is an answer.

        A review form opens filled in with the proposal. Label Studio leaves a control that was emptied out of its
        result, and a rule-keeper would then take the proposal's value as confirmed. So every set that is not there
        is `[]`, and a text that was shown and is not there is `""`.

        Args:
            controls: The interface's fields.
            proposal: The values that the form was filled in with.
        """
        emptied: dict[str, Any] = {}
        for control in controls:
            if control.name in self.values:
                continue
            if control.is_set:
                emptied[control.name] = []
            elif control.kind == "text" and (proposal or {}).get(control.name):
                emptied[control.name] = ""
        return {**self.values, **emptied}


def to_result(
    values: Mapping[str, Any],
    controls: Iterable[Control],
    data: Mapping[str, Any],
    *,
    scores: Mapping[str, Any] | None = None,
) -> list[Item]:
    """Write values as the `result` list of a prediction or annotation.

    Args:
        values: Field name → value; None and missing keys make nothing. May hold the reserved controls too
            (`flags`: list, `flag_reason`: text, `decision`: choice, `decision_reason`: text).
        controls: `Interface.controls`, or `Interface.all_controls` where `values` has reserved ones.
        data: The task data, for the text of spans.
        scores: Field name → score of the answer in 0..1, or for sets of regions one score a region.

    Returns:
        Result items in the order of the controls; the same input always has the same region ids.

    Raises:
        ResultError: A value that the interface cannot hold.
    """
    by_name = {control.name: control for control in controls}
    # Refused instead of left out: a value that is lost in silence would look like an empty answer.
    unknown = sorted(set(values) - set(by_name))
    if unknown:
        raise ResultError(f"{unknown[0]}: the interface has no such control (it has {', '.join(by_name) or 'none'})")
    items: list[Item] = []
    for control in by_name.values():
        value = values.get(control.name)
        if value is not None:
            items.extend(_items(control, value, data, (scores or {}).get(control.name)))
    return items


def _items(control: Control, value: Any, data: Mapping[str, Any], score: Any) -> list[Item]:
    items: list[Item] = []
    counts: Counter[str] = Counter()
    for index, body in enumerate(_WRITERS[control.kind](control, value, data)):
        item: Item = {
            "id": _region_id(control, body, counts),
            "from_name": control.name,
            "to_name": control.to_name,
            "type": control.result_type,
            "value": body,
        }
        item_score = score[index] if isinstance(score, Sequence) and index < len(score) else score
        if isinstance(item_score, int | float):
            item["score"] = item_score
        items.append(item)
    return items


def _region_id(control: Control, body: Item, counts: Counter[str]) -> str:
    """Return ten hex digits that depend on the content only: writing the same answer again changes nothing."""
    # Two equal regions need two ids: the count tells them apart.
    content = _encode([control.name, body])
    counts[content] += 1
    return hashlib.sha256(f"{content}#{counts[content]}".encode()).hexdigest()[:10]


def _write_choice(control: Control, value: Any, data: Mapping[str, Any]) -> Iterator[Item]:
    yield {"choices": [_label(control, value)]}


def _write_choices(control: Control, value: Any, data: Mapping[str, Any]) -> Iterator[Item]:
    labels = [_label(control, label) for label in _list(control, value)]
    if labels:
        yield {"choices": labels}


def _write_spans(control: Control, value: Any, data: Mapping[str, Any]) -> Iterator[Item]:
    text = data.get(control.value_key)
    if not isinstance(text, str):
        raise ResultError(f"{control.name}: the task has no text {control.value_key!r} to put spans on")
    for span in _list(control, value):
        start, end, label = _parts(control, span, "start", "end", "label")
        # Label Studio draws such a span nowhere, and nobody would see that it is there.
        if not (_whole(start) and _whole(end) and 0 <= start < end <= len(text)):
            raise ResultError(f"{control.name}: span {start!r}–{end!r} is outside of the text (0–{len(text)})")
        if span.get("text") not in (None, text[start:end]):
            raise ResultError(f"{control.name}: span {start}–{end} carries another text than the task has there")
        yield {"start": start, "end": end, "text": text[start:end], "labels": [_label(control, label)]}


def _write_rating(control: Control, value: Any, data: Mapping[str, Any]) -> Iterator[Item]:
    if not _whole(value) or not _within(control, value):
        raise ResultError(f"{control.name}: {value!r} is not a whole number from {control.min} to {control.max}")
    yield {"rating": value}


def _write_number(control: Control, value: Any, data: Mapping[str, Any]) -> Iterator[Item]:
    if not _real(value) or not _within(control, value):
        raise ResultError(f"{control.name}: {value!r} is not a number from {control.min} to {control.max}")
    yield {"number": value}


def _write_text(control: Control, value: Any, data: Mapping[str, Any]) -> Iterator[Item]:
    if not isinstance(value, str):
        raise ResultError(f"{control.name}: {value!r} is not text")
    if value:
        yield {"text": [value]}


def _write_boxes(control: Control, value: Any, data: Mapping[str, Any]) -> Iterator[Item]:
    for box in _list(control, value):
        *sides, label = _parts(control, box, "x", "y", "width", "height", "label")
        if not all(_real(side) and 0 <= side <= 100 for side in sides):
            raise ResultError(f"{control.name}: a box's x, y, width and height are percent, 0 to 100")
        x, y, width, height = sides
        labels = [_label(control, label)]
        yield {"x": x, "y": y, "width": width, "height": height, "rotation": 0, "rectanglelabels": labels}


def _write_segments(control: Control, value: Any, data: Mapping[str, Any]) -> Iterator[Item]:
    for segment in _list(control, value):
        start, end, label = _parts(control, segment, "start", "end", "label")
        if not (_real(start) and _real(end) and start <= end):
            raise ResultError(f"{control.name}: a segment needs numbers start ≤ end")
        if control.result_type == "timeserieslabels":
            labels = [_label(control, label)]
            yield {"start": start, "end": end, "instant": start == end, "timeserieslabels": labels}
        else:
            yield {"start": start, "end": end, "channel": 0, "labels": [_label(control, label)]}


_Writer = Callable[[Control, Any, Mapping[str, Any]], Iterator[Item]]
_WRITERS: Final[Mapping[str, _Writer]] = {
    "choice": _write_choice,
    "choices": _write_choices,
    "spans": _write_spans,
    "rating": _write_rating,
    "number": _write_number,
    "text": _write_text,
    "boxes": _write_boxes,
    "segments": _write_segments,
}


def _label(control: Control, value: Any) -> str:
    if not isinstance(value, str) or value not in control.labels:
        raise ResultError(f"{control.name}: {value!r} is not one of {', '.join(control.labels)}")
    return value


def _list(control: Control, value: Any) -> Sequence[Any]:
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise ResultError(f"{control.name}: {value!r} is not a list")
    return value


def _parts(control: Control, value: Any, *keys: str) -> list[Any]:
    if not isinstance(value, Mapping) or any(key not in value for key in keys):
        raise ResultError(f"{control.name}: {value!r} is not an object with {', '.join(keys)}")
    return [value[key] for key in keys]


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _real(value: Any) -> bool:
    # The size first: an endless integer cannot be asked whether it is finite.
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and -_LARGEST <= value <= _LARGEST
        and math.isfinite(value)
    )


def _within(control: Control, value: float) -> bool:
    return (control.min is None or value >= control.min) and (control.max is None or value <= control.max)


def from_result(
    result: Any, controls: Iterable[Control], data: Mapping[str, Any], *, known_only: bool = False
) -> ParsedResult:
    """Read the `result` list of an annotation or prediction; never raises on what people or models wrote.

    Args:
        result: Label Studio's list of result items.
        controls: The interface's controls.
        data: The task data, to check that spans lie inside of the text and carry the text that is there.
        known_only: True if `controls` are all that the form has; else reserved ones are read also when they are not
            among them.

    Returns:
        The values, and a fault for each part that could not be read or does not fit.
    """
    if not isinstance(result, list):
        return ParsedResult(faults=(ResultFault(where="", reason="the result is not a list"),))
    known = {control.name: control for control in controls}
    reader = _Reader(known if known_only else {**_RESERVED_CONTROLS, **known}, data)
    for index, item in enumerate(result):
        reader.add(f"result[{index}]", item)
    return reader.parsed()


class _Reader:
    """Collects the items of one result."""

    def __init__(self, controls: Mapping[str, Control], data: Mapping[str, Any]) -> None:
        self._controls = controls
        self._data = data
        self._values: dict[str, Any] = {}
        self._faults: list[ResultFault] = []
        self._as_given: dict[str, list[str]] = {}

    def add(self, where: str, item: Any) -> None:
        if not isinstance(item, Mapping):
            self._fault(where, "not an object")
            return
        if isinstance(item.get("type"), str) and item["type"] in _NOT_ANSWERS:
            self._fault(where, f"{_NOT_ANSWERS[item['type']]} is not kept", is_remark=True)
            return
        name = item.get("from_name")
        control = self._controls.get(name) if isinstance(name, str) else None
        if control is None:
            named = _shown(name).strip("'\"") if isinstance(name, str) else ""
            self._fault(where, f"the interface has no control {_shown(name)}", named)
            return
        try:
            _check_frame(control, item)
            value = _READERS[control.kind](control, item["value"])
        except ResultError as error:
            self._fault(where, str(error).removeprefix(f"{control.name}: "), control.name)
            return
        self._put(where, control, value)
        if control.renamed:
            self._as_given.setdefault(control.name, []).extend(_earlier_labels(control, item["value"]))
        if control.kind == "spans":
            for doubt in _span_doubts(control, value, self._data):
                self._fault(where, doubt, control.name)

    def _fault(self, where: str, reason: str, control: str = "", *, is_remark: bool = False) -> None:
        self._faults.append(ResultFault(where=where, reason=reason, control=control, is_remark=is_remark))

    def _put(self, where: str, control: Control, value: Any) -> None:
        if value is None:
            return
        if control.is_set:
            members = self._values.setdefault(control.name, [])
            members.extend(member for member in value if member not in members)
            return
        # Label Studio lets a form be answered twice; the later answer is what people saw last.
        if control.name in self._values and self._values[control.name] != value:
            self._fault(where, "it is answered twice; the later answer is read", control.name)
        self._values[control.name] = value

    def parsed(self) -> ParsedResult:
        values = dict(self._values)
        flags = tuple(values.pop("flags", ()))
        reasons = [values.pop(name, None) for name in ("decision_reason", "decision_note", "flag_reason")]
        decision, review_of = values.pop("decision", None), values.pop("review_of", None)
        decision_to = values.pop("decision_to", ())
        ordered = {name: values[name] for name in self._controls if name in values}
        texts = [reason for reason in reasons if reason]
        return ParsedResult(
            values=ordered,
            flags=flags,
            reason="\n".join(dict.fromkeys(texts)) if texts else None,
            decision=decision,
            decision_to=tuple(sorted(decision_to)),
            review_of=review_of,
            faults=tuple(self._faults),
            as_given={name: tuple(dict.fromkeys(labels)) for name, labels in self._as_given.items() if labels},
        )


def _earlier_labels(control: Control, body: Mapping[str, Any]) -> list[str]:
    """The labels of an item that are called something else now."""
    lists = (value if isinstance(value, list) else [value] for value in body.values())
    return [label for labels in lists for label in labels if isinstance(label, str) and label in control.renamed]


def with_labels_of_now(values: Any, controls: Iterable[Control]) -> Any:
    """Return values, such as an auto-label, with the names that labels have now; what is no values stays as it is."""
    renamed = {control.name: control.renamed for control in controls if control.renamed}
    if not renamed or not isinstance(values, Mapping):
        return values
    return {name: _of_now(value, renamed.get(name, {})) for name, value in values.items()}


def _of_now(value: Any, renamed: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return renamed.get(value, value)
    if isinstance(value, list):
        return [_of_now(part, renamed) for part in value]
    if isinstance(value, Mapping) and isinstance(value.get("label"), str):
        return {**value, "label": renamed.get(value["label"], value["label"])}
    return value


def _check_frame(control: Control, item: Mapping[str, Any]) -> None:
    """What stands around the value: it must be this control's, on what this control labels.

    What is not there is not wrong: other programs leave it out.

    Raises:
        ResultError: It is another control's, or no frame of an item at all.
    """
    # Reserved controls that the caller did not give have neither.
    for key, expected in (("type", (control.result_type,)), ("to_name", _targets(control))):
        stated = item.get(key)
        if stated is not None and expected[0] and stated not in expected:
            raise ResultError(f"{control.name}: `{key}` is {_shown(stated)}, not {expected[0]!r}")
    if not isinstance(item.get("id", ""), str | None):
        raise ResultError(f"{control.name}: the region's id {_shown(item['id'])} is not text")
    if not isinstance(item.get("value"), Mapping):
        raise ResultError(f"{control.name}: has no value")


def _targets(control: Control) -> tuple[str, ...]:
    """The object tags that an answer may name; a region lies on the first, whose text or picture it is checked by."""
    return (control.to_name,) if control.kind in _REGION_KINDS else (control.to_name, *control.also_to)


def _read_choice(control: Control, body: Mapping[str, Any]) -> str | None:
    picked, sent = _read_labels(control, body.get("choices")), body.get("choices")
    if isinstance(sent, list) and len(sent) > 1:
        raise ResultError(f"{control.name}: {len(sent)} choices where one is allowed")
    return picked[0] if picked else None


def _read_choices(control: Control, body: Mapping[str, Any]) -> list[str]:
    return _read_labels(control, body.get("choices"))


def _read_spans(control: Control, body: Mapping[str, Any]) -> list[Item]:
    start, end = (_offset(control, body.get(key)) for key in ("start", "end"))
    text = body.get("text")
    if text is not None and not isinstance(text, str):
        raise ResultError(f"{control.name}: the text {_shown(text)} of a span is not text")
    quote = {} if text is None else {"text": text}
    return [{"start": start, "end": end, "label": label, **quote} for label in _region_labels(control, body, "labels")]


def _read_rating(control: Control, body: Mapping[str, Any]) -> int | None:
    value = body.get("rating")
    if value == 0 and not isinstance(value, bool):
        return None  # Label Studio's stars: none is set.
    if not _whole(value) or not _within(control, value):  # type: ignore[arg-type]
        raise ResultError(f"{control.name}: {_shown(value)} is not a whole number from {control.min} to {control.max}")
    return int(value)  # type: ignore[arg-type]


def _read_number(control: Control, body: Mapping[str, Any]) -> float | int | None:
    value = body.get("number")
    if value is None:
        return None
    if not _real(value) or not _within(control, value):
        raise ResultError(f"{control.name}: {_shown(value)} is not a number{_bounds(control)}")
    number: float | int = value
    return number


def _read_text(control: Control, body: Mapping[str, Any]) -> str | None:
    text = body.get("text")
    lines = [text] if isinstance(text, str) else text
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise ResultError(f"{control.name}: {_shown(text)} is not text")
    if not all(_writable(line) for line in lines):
        raise ResultError(f"{control.name}: the text holds a character that no file can hold")
    return "\n".join(lines) if any(lines) else None


def _read_boxes(control: Control, body: Mapping[str, Any]) -> list[Item]:
    sides = {key: body.get(key) for key in ("x", "y", "width", "height")}
    if not all(_real(side) for side in sides.values()):
        raise ResultError(f"{control.name}: a box without x, y, width and height")
    if not all(-_EDGE <= side <= 100 + _EDGE for side in sides.values()):  # type: ignore[operator]
        raise ResultError(f"{control.name}: a box outside of the picture: x, y, width and height are percent, 0 to 100")
    if body.get("rotation"):
        raise ResultError(f"{control.name}: a rotated box cannot be compared; draw it upright")
    return [{**sides, "label": label} for label in _region_labels(control, body, control.result_type)]


def _read_segments(control: Control, body: Mapping[str, Any]) -> list[Item]:
    start, end = body.get("start"), body.get("end")
    if not (_real(start) and _real(end)):
        raise ResultError(f"{control.name}: a segment without start and end as numbers")
    if start > end:  # type: ignore[operator]
        raise ResultError(f"{control.name}: a segment that ends before it starts")
    labels = _region_labels(control, body, control.result_type)
    return [{"start": start, "end": end, "label": label} for label in labels]


_READERS: Final[Mapping[str, Callable[[Control, Mapping[str, Any]], Any]]] = {
    "choice": _read_choice,
    "choices": _read_choices,
    "spans": _read_spans,
    "rating": _read_rating,
    "number": _read_number,
    "text": _read_text,
    "boxes": _read_boxes,
    "segments": _read_segments,
}


def _read_labels(control: Control, value: Any) -> list[str]:
    picked = [value] if isinstance(value, str) else value
    if not isinstance(picked, list):
        raise ResultError(f"{control.name}: {_shown(value)} is not a list of choices")
    picked = [control.renamed.get(label, label) if isinstance(label, str) else label for label in picked]
    for label in picked:
        if not isinstance(label, str) or not (label in control.labels if control.labels else _writable(label)):
            raise ResultError(f"{control.name}: {_shown(label)} is not one of {', '.join(control.labels)}")
    return list(dict.fromkeys(picked))


def _region_labels(control: Control, body: Mapping[str, Any], key: str) -> list[str]:
    labels = _read_labels(control, body.get(key) or [])
    if not labels:
        raise ResultError(f"{control.name}: a region without a label")
    return labels


def _span_doubts(control: Control, spans: Iterable[Item], data: Mapping[str, Any]) -> Iterator[str]:
    text = data.get(control.value_key)
    for span in spans:
        start, end = span["start"], span["end"]
        if not isinstance(text, str):
            if not 0 <= start < end:
                yield f"the span {_shown(start)}–{_shown(end)} is no part of any text"
        elif not 0 <= start < end <= len(text):
            yield f"the span {_shown(start)}–{_shown(end)} is outside of the text (0–{len(text)})"
        elif span.get("text", text[start:end]) != text[start:end]:
            yield f"the span {start}–{end} carries another text than the task has there"


def _shown(value: Any) -> str:
    """A value as a message quotes it: short, and of characters that any file can hold."""
    return _SHORT.repr(value)


def _writable(text: str) -> bool:
    """Whether files and databases can hold a text: no NUL, and no half of a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _bounds(control: Control) -> str:
    low, high = control.min, control.max
    return "".join(f" {word} {bound}" for word, bound in (("from", low), ("to", high)) if bound is not None)


def _offset(control: Control, value: Any) -> int:
    # JSON of other tools may write 3 as 3.0.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not _whole(value):
        raise ResultError(f"{control.name}: {_shown(value)} is not an offset")
    return int(value)


# What the reserved controls hold, for callers that pass the fields only. No labels: any stored value is read.
_RESERVED_CONTROLS: Final = {
    name: Control(name=name, kind=kind, to_name="", value_key="", result_type="")
    for name, kind in (
        ("flags", "choices"),
        ("flag_reason", "text"),
        ("decision", "choice"),
        ("decision_reason", "text"),
        ("decision_note", "text"),
        ("decision_to", "choices"),
        ("review_of", "text"),
    )
}
