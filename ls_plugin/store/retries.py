"""Running a transaction again that the database broke off, and running something once a transaction is committed.

Locks are taken in one order (see :mod:`ls_plugin.queue.handout`), so PostgreSQL has hardly a circle to break. Label
Studio's own tables stay: what it locks in which order is not ours to say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import stamina
from django.db import InterfaceError, OperationalError, connection, transaction

# deadlock_detected, serialization_failure, lock_not_available
_LOST = frozenset({"40P01", "40001", "55P03"})

# admin_shutdown, crash_shutdown, cannot_connect_now, too_many_connections
_STOPPED = frozenset({"57P01", "57P02", "57P03", "53300"})


def was_lost(error: BaseException) -> bool:
    """Whether the database took this transaction back for the sake of another one."""
    if not isinstance(error, OperationalError):
        return False
    cause = error.__cause__
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    return state in _LOST or str(error) == "database is locked"


def is_away(error: BaseException | None) -> bool:
    """Whether the database could not be asked: it is down, starts or stops, or the connection to it is gone."""
    if error is None:
        return False
    if not isinstance(error, OperationalError | InterfaceError):
        # What fails while such an error is handled is not another fault.
        return is_away(error.__cause__ or error.__context__)
    cause = error.__cause__
    if cause is None or not type(cause).__module__.startswith("psycopg"):
        return False  # SQLite is a file beside the server, and says other things
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    # Without a state the connection itself failed.
    return state is None or state.startswith("08") or state in _STOPPED


def _can_run_again(error: Exception) -> bool:
    """Inside somebody else's transaction only they can begin anew."""
    return was_lost(error) and not connection.in_atomic_block


retry = stamina.retry(on=_can_run_again, attempts=6, timeout=30, wait_initial=0.02, wait_max=0.5, wait_jitter=0.1)
"""For a function that is one transaction: run it again when it lost a race."""


def when_committed(do: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Do this once the transaction stands, at once outside of one; if it fails, that is logged and undoes nothing."""

    def go() -> None:  # a function, as Django logs by its name what failed, which a partial has not
        do(*args, **kwargs)

    transaction.on_commit(go, robust=True)
