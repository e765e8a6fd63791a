"""The JSON text of a value, in one form for equal values, at any depth of nesting."""

from __future__ import annotations

import json

from review_rules.values import Json


def json_text(value: Json) -> str:
    """JSON with sorted keys; equal numbers are one text, however they were written.

    >>> json_text({"b": [1.0, "é"], "a": None})
    '{"a": null, "b": [1, "é"]}'
    """
    return _text(value, ", ", ": ", by_value=True)


def is_same(a: Json, b: Json) -> bool:
    """Whether two values are one in JSON, with numbers compared as numbers and nothing else left open.

    >>> is_same({"a": 1.0, "b": []}, {"b": [], "a": 1}), is_same(True, 1)
    (True, False)
    """
    # Most values are written alike, and need not be looked through.
    return canonical_text(a) == canonical_text(b) or digest_text(a) == digest_text(b)


def digest_text(value: Json) -> str:
    """The same without spaces, as digests of rows and records are made of.

    jq, JavaScript and spreadsheets write the number 1.0 as 1, and -0.0 as 0 or -0.

    >>> digest_text({"b": [1.0, 1, 2.5, True], "a": None})
    '{"a":null,"b":[1,1,2.5,true]}'
    """
    return _text(value, ",", ":", by_value=True)


def canonical_text(value: Json) -> str:
    """JSON with sorted keys and no space and with numbers as they were written, as the hashes of policies and teams
    are made of.

    >>> canonical_text({"b": [1.0, "é"], "a": None})
    '{"a":null,"b":[1.0,"é"]}'
    """
    return _text(value, ",", ":", by_value=False)


def _text(value: Json, comma: str, colon: str, *, by_value: bool) -> str:
    try:
        text = _ENCODE[comma](value)
        # A float that is a whole number is written with one of the two, and nothing else needs to be looked through.
        if by_value and (".0" in text or "e+" in text):
            text = _ENCODE[comma](_whole_numbers(value))
    except RecursionError:
        # Anybody may submit JSON of any depth, and a hash of it must not fail.
        return _deep_text(value, comma, colon, by_value)
    return text


# Made once: an encoder for each text would cost more than the text.
_ENCODE = {
    comma: json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(comma, colon)).encode
    for comma, colon in ((",", ":"), (", ", ": "))
}


def _whole_numbers(value: Json) -> Json:
    """The value with each whole number as an integer."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, dict):
        return {key: _whole_numbers(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_whole_numbers(item) for item in value]
    return value


def _deep_text(value: Json, comma: str, colon: str, by_value: bool) -> str:
    """The same text without recursion: pieces still to be written lie on a stack, ready text as `_Text`."""
    out: list[str] = []
    stack: list[Json] = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, _Text):
            out.append(item)
        elif isinstance(item, dict):
            stack.append(_Text("}"))
            for number, key in reversed(list(enumerate(sorted(item)))):
                lead = comma if number else ""
                stack += [item[key], _Text(f"{lead}{json.dumps(key, ensure_ascii=False)}{colon}")]
            out.append("{")
        elif isinstance(item, list):
            stack.append(_Text("]"))
            for number, entry in reversed(list(enumerate(item))):
                stack += [entry, _Text(comma if number else "")]
            out.append("[")
        else:
            out.append(json.dumps(_whole_numbers(item) if by_value else item, ensure_ascii=False))
    return "".join(out)


class _Text(str):
    """Text to be written as it is."""

    __slots__ = ()
