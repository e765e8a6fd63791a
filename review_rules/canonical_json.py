"""The JSON text of a value, in one form for equal values, at any depth of nesting."""

from __future__ import annotations

import json

from review_rules.values import Json


def json_text(value: Json) -> str:
    """JSON with sorted keys.

    >>> json_text({"b": [1, "é"], "a": None})
    '{"a": null, "b": [1, "é"]}'
    """
    return _text(value, ", ", ": ")


def canonical_text(value: Json) -> str:
    """JSON with sorted keys and no space, as hashes are made of.

    >>> canonical_text({"b": [1, "é"], "a": None})
    '{"a":null,"b":[1,"é"]}'
    """
    return _text(value, ",", ":")


def _text(value: Json, comma: str, colon: str) -> str:
    try:
        return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(comma, colon))
    except RecursionError:
        # Anybody may submit JSON of any depth, and a hash of it must not fail.
        return _deep_text(value, comma, colon)


def _deep_text(value: Json, comma: str, colon: str) -> str:
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
            out.append(json.dumps(item, ensure_ascii=False))
    return "".join(out)


class _Text(str):
    """Text to be written as it is."""

    __slots__ = ()
