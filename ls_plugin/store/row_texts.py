"""What a row says, for comparing it with others: the texts of its columns, whatever they are called."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

LONGEST_COLUMN: Final = 8000
"""Characters of a column that a row is compared by."""
MOST_COLUMNS: Final = 100
"""Columns that a row is compared by."""
# What names the row, and what the queue goes by, is no text of it.
_NO_COLUMNS: Final = frozenset({"row_id", "domain"})
# An address stands for a picture or a sound, of which its letters tell nothing.
_ADDRESS: Final = re.compile(r"(?:https?://|data:|/data/)\S*\Z")


def texts_of(data: Mapping[str, Any]) -> list[str]:
    """The texts of a row's columns, a text each, whatever the columns are called.

    >>> texts_of({"row_id": "r1", "b": ["hello", {"text": "you"}], "a": "hi", "p": "https://x.test/1.png", "n": 3})
    ['hi', 'hello\\nyou']
    """
    columns = (
        "\n".join(_strings(value))[:LONGEST_COLUMN] for key, value in sorted(data.items()) if key not in _NO_COLUMNS
    )
    return [column for column in columns if column.strip()][:MOST_COLUMNS]


def _strings(value: Any) -> Iterator[str]:
    """Every text in a column, also in the turns of a conversation."""
    if isinstance(value, str):
        if not _ADDRESS.match(value):
            yield value
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part)
    elif isinstance(value, dict):
        for _, part in sorted(value.items()):
            yield from _strings(part)


def content_of(texts: Sequence[str]) -> str:
    """The hash of a row's texts."""
    return hashlib.sha256(json.dumps(list(texts)).encode()).hexdigest()
