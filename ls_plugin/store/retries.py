"""Running a transaction again that the database broke off, and running something once a transaction is committed.

Locks are taken in one order (see :mod:`ls_plugin.queue.handout`), so PostgreSQL has hardly a circle to break. Label
Studio's own tables stay: what it locks in which order is not ours to say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import stamina
from django.db import OperationalError, connection, transaction

# deadlock_detected, serialization_failure, lock_not_available
_LOST = frozenset({"40P01", "40001", "55P03"})


def was_lost(error: BaseException) -> bool:
    """Whether the database took this transaction back for the sake of another one."""
    if not isinstance(error, OperationalError):
        return False
    cause = error.__cause__
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    return state in _LOST or str(error) == "database is locked"


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
