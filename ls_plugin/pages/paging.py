"""Long lists in pages: where a page begins is said by what stood last on the one before, whatever came in meanwhile."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
_PARTS = "."


@dataclass(frozen=True, kw_only=True, slots=True)
class ListPage(Generic[T]):
    """Some items of a list.

    Attributes:
        items: those of this page.
        left_off: how many come after them.
        after: where the next page begins; empty after the last.
        before: where the page before begins: None on the first, empty where that is the first.
    """

    items: tuple[T, ...]
    left_off: int
    after: str
    before: str | None


def cut(items: Sequence[T], place: Callable[[T], tuple[int, ...]], after: str, size: int) -> ListPage[T]:
    """The page of a list that begins behind a place.

    Args:
        items: all of the list, those with the highest place first.
        place: where an item stands: numbers, of which no two items have the same.
        after: what an earlier page named; empty, or what cannot be read, for the first.
        size: items of a page.
    """
    wanted = _read(after)
    # An item that left the list since leaves its place, from which the others go on.
    start = bisect_right(items, _down(wanted), key=lambda item: _down(place(item))) if wanted else 0
    listed = tuple(items[start : start + size])
    left_off = max(0, len(items) - start - len(listed))
    previous = start - size
    return ListPage(
        items=listed,
        left_off=left_off,
        after=_write(place(listed[-1])) if left_off else "",
        before=None if start == 0 else _write(place(items[previous - 1])) if previous > 0 else "",
    )


def _down(place: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(-number for number in place)


def _write(place: tuple[int, ...]) -> str:
    return _PARTS.join(map(str, place))


def _read(text: str) -> tuple[int, ...]:
    parts = text.split(_PARTS)
    is_place = all(part.isascii() and part.isdecimal() and len(part) < len(str(2**63)) for part in parts)
    return tuple(map(int, parts)) if is_place else ()
