"""What tests begin with is built once a process, and brought back for each with the database that it was built in.

A snapshot is the whole SQLite file in memory; putting one back takes milliseconds, making a campaign a quarter of a
second, and answering rows longer.
"""

from __future__ import annotations

import copy
import functools
import sqlite3
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

from django.db import connection

P = ParamSpec("P")
T = TypeVar("T")
_BEGINNING = "beginning"
_snapshots: dict[object, tuple[sqlite3.Connection, object]] = {}
_untouched: tuple[int, int] | None = None


def keep_beginning() -> None:
    """Keep the database as it is before the first test."""
    _keep(_BEGINNING, None)


def begin_test() -> None:
    """From here on nothing was built yet: the first builder that is called may put a snapshot back."""
    global _untouched
    _untouched = _changes()


def forget_all() -> None:
    """Close what is kept."""
    for image, _ in _snapshots.values():
        image.close()
    _snapshots.clear()


def built_once(build: Callable[P, T]) -> Callable[P, T]:
    """Keep what a builder makes in a fresh database, with the database; the same arguments bring both back.

    Once a test has built or written anything, the rest is built beside it.
    """

    @functools.wraps(build)
    def bring(*args: P.args, **kwargs: P.kwargs) -> T:
        global _untouched
        if _changes() != _untouched:
            return build(*args, **kwargs)
        key = (build, args, tuple(sorted(kwargs.items())))
        if key not in _snapshots:
            _put_back(_BEGINNING)
            _keep(key, build(*args, **kwargs))
        _untouched = None
        return cast(T, _put_back(key))

    return bring


def _keep(key: object, made: object) -> None:
    image = sqlite3.connect(":memory:")
    _database().backup(image)
    _snapshots[key] = image, made


def _put_back(key: object) -> Any:
    """Put a snapshot back; a copy of what was made with it, since tests refresh their objects."""
    image, made = _snapshots[key]
    image.backup(_database())
    return copy.deepcopy(made)


def _database() -> sqlite3.Connection:
    connection.ensure_connection()
    return cast(sqlite3.Connection, connection.connection)


def _changes() -> tuple[int, int]:
    """Which connection it is and how many rows it has changed; putting a snapshot back counts as none."""
    database = _database()
    return id(database), database.total_changes
