"""How an error reaches the person at the terminal: one line a fault on stderr, then exit 1. Nothing else prints
errors that end a command."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from label_studio_quorum.files import FULL

if TYPE_CHECKING:
    from ls_config import InterfaceError
    from review_rules.errors import PublicError

__all__ = ["FULL", "public_errors", "told"]


def _is_full(error: Exception) -> bool:
    """Whether a disk is full, as the system or SQLite says it."""
    if isinstance(error, OSError):
        return error.errno in FULL
    return getattr(error, "sqlite_errorname", "") == "SQLITE_FULL"


def public_errors() -> tuple[type[PublicError], type[InterfaceError]]:
    """Every error that a person may see. `ls_config` imports no other room, so its one error has no base of ours."""
    from ls_config import InterfaceError
    from review_rules.errors import PublicError

    return PublicError, InterfaceError


@contextmanager
def told(speaker: str | None = None, command: Callable[[], str] = lambda: "quorum") -> Iterator[None]:
    """Tell a public error as lines on stderr and exit 1; every other error is a mistake of ours and passes through.

    Args:
        speaker: Put before each line. Without it, faults that begin with their own place (a file and a line) stand
            as they are, and every other line begins with `quorum`.
        command: Says which command runs; asked only when an extra is missing.
    """
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise  # the end of a command and no error; the next line would load both rooms for nothing
    except public_errors() as error:
        _tell(error, speaker)
    except (OSError, sqlite3.OperationalError) as error:
        # Whatever was to be written, the cure is the same; other faults of the system are told where they happen.
        if not _is_full(error):
            raise
        where = f" ({error.filename})" if isinstance(error, OSError) and error.filename else ""
        typer.echo(f"{speaker or 'quorum'}: the disk is full{where}; make room there and run it again", err=True)
    except ModuleNotFoundError as error:
        from review_rules.extras import missing_extra

        missing = missing_extra(error, command())
        if missing is None:
            raise
        _tell(missing, speaker)
    else:
        return
    raise typer.Exit(1)


def _tell(error: PublicError | InterfaceError, speaker: str | None) -> None:
    if speaker is None and error.faults:
        lines = [str(fault) for fault in error.faults]
    else:
        lines = [f"{speaker or 'quorum'}: {line}" for line in str(error).splitlines()]
    for line in lines:
        typer.echo(line, err=True)
