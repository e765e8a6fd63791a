"""From a JSON value to the form that is compared, one function a field kind.

A form of a set kind is a dict {key: element}, so that sets are compared by key and handed on as they came; elements
that cannot be right (a span outside its text) are left out with a finding, a value of another type is no value at all.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any

from review_rules.findings import Finding, finding
from review_rules.values import Field, Form, Json, Kind

Key = Any
"""What makes an element of a set the same as another: see `Form`."""


_NUMBERS = frozenset({int, float})
_LARGEST = 10**150


class WrongType(Exception):
    """A value is not of its field's kind."""


def to_form(value: Json, field: Field, notes: list[Finding]) -> Form:
    """The form of a present (not null) value; findings about left-out elements are appended to `notes`.

    The path of such a finding starts with the field's name.

    Raises:
        WrongType: the value is not of the field's kind.

    >>> from review_rules.values import Field, Kind
    >>> to_form(["b", "a", "b"], Field("topics", Kind.CHOICES), [])
    {'b': 'b', 'a': 'a'}
    """
    return _PARSERS[field.kind](value, field, notes)


def is_number(value: Json) -> bool:
    """Whether a JSON value is a number that can be reckoned with: not a bool, and of at most 150 digits.

    The limit keeps every sum and product of coordinates within the range of a double.

    >>> is_number(4), is_number(True), is_number(float("nan")), is_number(10**400)
    (True, False, False, False)
    """
    return type(value) in _NUMBERS and -_LARGEST <= value <= _LARGEST


def same(kind: Kind, one: Form, other: Form) -> bool:
    """Whether two present values are equal: sets as sets, text after normalising, anything else as it is.

    >>> same(Kind.TEXT, "as  of\\tnow ", "as of now")
    True
    """
    if isinstance(one, dict):
        return bool(one.keys() == other.keys())
    if kind is Kind.TEXT:
        return bool(one == other) or normal_text(one) == normal_text(other)
    return bool(one == other)


def normal_text(text: str) -> str:
    """Text in NFC, runs of white space as one space, ends stripped.

    >>> normal_text(" Cafe\\u0301 \\n au lait")
    'Café au lait'
    """
    return " ".join(unicodedata.normalize("NFC", text).split())


def _choice(value: Json, field: Field, notes: list[Finding]) -> Form:
    if not isinstance(value, str):
        raise WrongType
    return value


def _number(value: Json, field: Field, notes: list[Finding]) -> Form:
    if not is_number(value):
        raise WrongType
    low, high = field.low, field.high
    if (low is not None and value < low) or (high is not None and value > high):
        shown = ("" if low is None else low, "" if high is None else high)
        notes.append(finding("QR.W011", field.name, field=field.name, low=shown[0], high=shown[1]))
    return value


def _choices(value: Json, field: Field, notes: list[Finding]) -> Form:
    if not isinstance(value, list):
        raise WrongType
    for label in value:
        if not isinstance(label, str):
            raise WrongType
    return {label: label for label in value}


def _spans(value: Json, field: Field, notes: list[Finding]) -> Form:
    if not isinstance(value, list):
        raise WrongType
    text = field.text
    form: dict[Key, Json] = {}
    for number, raw in enumerate(value):
        if not isinstance(raw, dict):
            raise WrongType
        start, end, label, carried = raw.get("start"), raw.get("end"), raw.get("label"), raw.get("text")
        if type(start) is not int or type(end) is not int:
            start, end = _whole(start), _whole(end)
        if not isinstance(label, str) or not (carried is None or isinstance(carried, str)):
            raise WrongType
        if not 0 <= start < end or (
            text is not None and (end > len(text) or (carried is not None and carried != text[start:end]))
        ):
            notes.append(_span_note(start, end, field, f"{field.name}[{number}]"))
            continue
        element = {"start": start, "end": end, "label": label}
        if carried is not None:
            element["text"] = carried
        key = (start, end, label)
        if key not in form:
            form[key] = element
    return form


def _whole(value: Json) -> int:
    """An integer, also if it is written with a fraction of zero."""
    if type(value) is float and value.is_integer():
        return int(value)
    if type(value) is not int:
        raise WrongType
    return value


def _span_note(start: int, end: int, field: Field, path: str) -> Finding:
    if start >= end:
        return finding("QR.W004", path, field=field.name, start=_short(start), end=_short(end))
    if start < 0 or (field.text is not None and end > len(field.text)):
        length = "unknown" if field.text is None else len(field.text)
        return finding("QR.W003", path, field=field.name, start=_short(start), end=_short(end), length=length)
    return finding("QR.W005", path, field=field.name, start=start, end=end)


def _short(number: float) -> str:
    """A number for a message; an absurdly long one as its order of magnitude (str() of it may even be refused)."""
    if isinstance(number, int) and abs(number) > 10**20:
        return f"{'-' if number < 0 else ''}10^{int(number.bit_length() * 0.30103)} or so"
    return str(number)


def _segments(value: Json, field: Field, notes: list[Finding]) -> Form:
    if not isinstance(value, list):
        raise WrongType
    form: dict[Key, Json] = {}
    for number, raw in enumerate(value):
        label = _label(raw)
        start, end = raw.get("start"), raw.get("end")
        if not is_number(start) or not is_number(end):
            raise WrongType
        if start >= end:
            found = finding(
                "QR.W004", f"{field.name}[{number}]", field=field.name, start=_short(start), end=_short(end)
            )
            notes.append(found)
            continue
        form.setdefault((start, end, label), {"start": start, "end": end, "label": label})
    return form


def _boxes(value: Json, field: Field, notes: list[Finding]) -> Form:
    if not isinstance(value, list):
        raise WrongType
    form: dict[Key, Json] = {}
    for number, raw in enumerate(value):
        label = _label(raw)
        x, y, width, height = sides = tuple(raw.get(name) for name in ("x", "y", "width", "height"))
        if not all(map(is_number, sides)):
            raise WrongType
        if width <= 0 or height <= 0:
            notes.append(finding("QR.W010", f"{field.name}[{number}]", field=field.name))
            continue
        element = {"x": x, "y": y, "width": width, "height": height, "label": label}
        form.setdefault((x, y, width, height, label), element)
    return form


def _label(raw: Json) -> str:
    if not isinstance(raw, dict):
        raise WrongType
    label = raw.get("label")
    if not isinstance(label, str):
        raise WrongType
    return label


_PARSERS: dict[Kind, Callable[[Json, Field, list[Finding]], Form]] = {
    Kind.CHOICE: _choice,
    Kind.CHOICES: _choices,
    Kind.SPANS: _spans,
    Kind.RATING: _number,
    Kind.NUMBER: _number,
    Kind.TEXT: _choice,
    Kind.BOXES: _boxes,
    Kind.SEGMENTS: _segments,
}

EXPECTED: dict[Kind, str] = {
    Kind.CHOICE: "one label as text",
    Kind.CHOICES: "a list of labels",
    Kind.SPANS: "a list of {start, end, label}, offsets as whole numbers",
    Kind.RATING: "a number",
    Kind.NUMBER: "a number",
    Kind.TEXT: "text",
    Kind.BOXES: "a list of {x, y, width, height, label} in percent",
    Kind.SEGMENTS: "a list of {start, end, label} in seconds",
}
