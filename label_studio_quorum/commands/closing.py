"""What a command opened is closed when it ends, however it ends, in one place: the commands themselves need not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import ContextVar
from typing import TypeVar

Thing = TypeVar("Thing", bound=AbstractContextManager[object])

_opened: ContextVar[ExitStack | None] = ContextVar("opened by the command", default=None)


@contextmanager
def closing() -> Iterator[None]:
    """Around a command: close at its end what it said to close."""
    with ExitStack() as stack:
        before = _opened.set(stack)
        try:
            yield
        finally:
            _opened.reset(before)


def close_at_end(thing: Thing) -> Thing:
    """Have something closed at the end of the command that runs; outside of one it is the caller's own to close."""
    stack = _opened.get()
    if stack is not None:
        stack.push(thing)
    return thing
