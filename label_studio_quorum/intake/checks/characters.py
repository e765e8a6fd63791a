"""Characters that no export or no database can keep, wherever in a row they stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from label_studio_quorum.intake.checks.record_faults import RecordFaults

__all__ = ["check_characters"]


def check_characters(name: str, value: Any, faults: RecordFaults) -> None:
    """Add a fault for the first half of a surrogate pair and the first U+0000 in a column, names of keys included."""
    seen: set[str] = set()
    for path, text in _texts(name, value):
        for key, character in _wrong(text):
            if key not in seen:
                seen.add(key)
                faults.add(key, field=_writable(path), character=character)


def _wrong(text: str) -> Iterator[tuple[str, int]]:
    at = text.find("\0")
    if at >= 0:
        yield "QD.E028", at
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            yield "QD.E026", error.start


def _texts(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """Each text inside of a value, with the path to it."""
    yield path, path
    waiting = [(path, value)]
    while waiting:
        where, part = waiting.pop()
        if isinstance(part, str):
            yield where, part
        elif isinstance(part, Mapping):
            yield from ((where, key) for key in part if isinstance(key, str))
            waiting += [(f"{where}.{key}", inner) for key, inner in part.items()]
        elif isinstance(part, list):
            waiting += [(f"{where}[{at}]", inner) for at, inner in enumerate(part)]


def _writable(path: str) -> str:
    """A path that can be printed although one of its keys cannot."""
    return path.encode("utf-8", "replace").decode()
