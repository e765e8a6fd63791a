"""The one meaning of "the same value": from a JSON value to the form that is compared, one function a field kind.

`same` and `key` compare values as they stand in JSON; the rules, which compare every value more than once, make forms
first (`to_form`) and compare these (`same_forms`). Both come to the same answer, because a key is made from a form.

A form of a set kind is a dict {key: element}, so that sets are compared by key and handed on as they came; elements
that cannot be right (a span outside its text) are left out with a finding, a value of another type is no value at all.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Hashable
from typing import Any, cast

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


def same(kind: Kind, a: Json, b: Json) -> bool:
    """Whether two values of a field mean the same: the one answer for decisions, reports, manifests and screens.

    Sets are compared without order and repetition, by what tells their elements apart (a span by start, end and label,
    and not by the text it carries); text after NFC with runs of white space as one space; anything else as it is.
    Nothing is the same as nothing, and for a set kind the same as the empty set.

    Args:
        kind: the field's kind.
        a: a value as it stands in JSON, None where there is none.
        b: the other value.

    >>> same(Kind.CHOICES, ["b", "a"], ["a", "b", "a"]), same(Kind.SPANS, None, []), same(Kind.CHOICE, "A", None)
    (True, True, False)
    >>> same(Kind.TEXT, "as  of\\tnow ", "as of now")
    True
    """
    return key(kind, a) == key(kind, b)


def key(kind: Kind, value: Json) -> Hashable:
    """What equal values share and different values do not: hashable, so that values can be grouped and counted.

    A value that is not of the kind is no value at all, as in a decision.

    >>> key(Kind.TEXT, " as  of now") == key(Kind.TEXT, "as of now"), key(Kind.RATING, "4") is None
    (True, True)
    """
    form = _form(kind, value)
    if kind.is_set:
        return frozenset(form or ())
    # Text that is hashed has to be normalised; anything else is compared as it is.
    return normal_text(form) if kind is Kind.TEXT and form is not None else cast(Hashable, form)


def element_key(kind: Kind, element: Json) -> Key | None:
    """What tells an element of a set from the others; None for one that no decision would take in.

    >>> element_key(Kind.SPANS, {"start": 0, "end": 4, "label": "ORG", "text": "Acme"})
    (0, 4, 'ORG')
    """
    return next(iter(_form(kind, [element]) or ()), None)


def _form(kind: Kind, value: Json) -> Form:
    """The form of a value that is not looked at within a row: no text to check spans against, no bounds."""
    if value is None:
        return None
    try:
        return to_form(value, _BARE[kind], [])
    except WrongType:
        return None


_BARE = {kind: Field("", kind) for kind in Kind}


def same_forms(kind: Kind, a: Form, b: Form) -> bool:
    """`same` for two present values that are forms already.

    >>> same_forms(Kind.CHOICES, {"a": "a", "b": "b"}, {"b": "b", "a": "a"})
    True
    """
    if kind.is_set:
        return bool(a.keys() == b.keys())
    if kind is Kind.TEXT:
        return bool(a == b) or normal_text(a) == normal_text(b)
    return bool(a == b)


def is_blank(field: Field, form: Form | None) -> bool:
    """Whether a form gives a field no value: it is absent, an empty set, or text of nothing but white space.

    >>> is_blank(Field("note", Kind.TEXT), " "), is_blank(Field("topics", Kind.CHOICES), {})
    (True, True)
    >>> is_blank(Field("score", Kind.NUMBER), 0)
    False
    """
    if form is None:
        return True
    if field.kind.is_set:
        return not form
    return isinstance(form, str) and not form.strip()


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
        # A span that cannot be shown on its text is left out, so that it neither agrees nor differs.
        if not 0 <= start < end or (
            text is not None and (end > len(text) or (carried is not None and carried != text[start:end]))
        ):
            notes.append(_span_note(start, end, field, f"{field.name}[{number}]"))
            continue
        element = {"start": start, "end": end, "label": label}
        if carried is not None:
            element["text"] = carried
        key = (start, end, label)
        # The first of two equal spans stays, with the text that it carries.
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
            places = {"start": _short(start), "end": _short(end)}
            notes.append(finding("QR.W004", f"{field.name}[{number}]", field=field.name, **places))
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
