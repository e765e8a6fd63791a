"""The checks of a file as a whole, in a process of their own while its rows go in.

These checks only warn and keep no row out, and they take about as long as the server takes to store the rows, so both
run at once. Their libraries take longer to load than a small file takes to read, so the process loads them first,
before it has any rows.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from label_studio_quorum.intake.faults import RowFault
from ls_config import Interface
from review_rules.errors import PublicError

if TYPE_CHECKING:
    from label_studio_quorum.intake.checks.personal_data import Finder

__all__ = ["BackgroundCheck", "BackgroundCheckError"]

_NICE = 5
"""The server that stores the rows goes first, where it is on the same machine."""


class BackgroundCheckError(PublicError):
    """The process ended before it answered; the message says so."""


class BackgroundCheck:
    """A process that checks the rows of a file as a whole. Use it as a context manager; leaving it ends the process."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, far_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(far_end,), name="quorum-checks", daemon=True)
        self._process.start()
        far_end.close()

    def __enter__(self) -> BackgroundCheck:
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.terminate()
        self._process.join()

    def begin(self, rows: Path, file: str, interface: Interface | None) -> None:
        """Begin with these rows; return as soon as the process has loaded what it needs.

        Args:
            rows: A file of `StoredRows`, which must stay until `finish` returns.
            file: Where people find the rows.
            interface: The label interface of the campaign.

        Raises:
            ModuleNotFoundError: A library of the checks is not installed. The import waits for this answer, so that
                no row is on the server when it comes.
        """
        # A process that is no more is told by `finish`, after the rows are in: its checks only warn.
        with contextlib.suppress(EOFError, ConnectionResetError, BrokenPipeError):
            trouble: ModuleNotFoundError | None = self._pipe.recv()
            if trouble is not None:
                raise trouble
            self._pipe.send((rows, file, interface))

    def finish(self) -> list[RowFault]:
        """Wait for the warnings about the file as a whole.

        Raises:
            BackgroundCheckError: The process was ended from outside, such as for want of memory.
        """
        try:
            warnings: list[RowFault] = self._pipe.recv()
        except (EOFError, ConnectionResetError):
            raise BackgroundCheckError(
                "the checks of the file as a whole broke off; the rows are in, and `quorum check` runs the checks alone"
            ) from None
        return warnings


def _serve(pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started this one ends it
    if hasattr(os, "nice"):
        os.nice(_NICE)
    with contextlib.suppress(EOFError, BrokenPipeError):  # nobody waits any more
        try:
            finder = _load()
        except ModuleNotFoundError as error:
            pipe.send(error)
            return
        pipe.send(None)
        rows, file, interface = pipe.recv()
        pipe.send(_check(rows, file, interface, finder))


def _load() -> Finder | None:
    """Load what the checks need; the finder of personal data where the extra `pii` is there."""
    from label_studio_quorum.intake.checks.language import identify
    from label_studio_quorum.intake.checks.personal_data import Finder

    identify(["Load the model now."])
    return Finder.if_installed()


def _check(rows: Path, file: str, interface: Interface | None, finder: Finder | None) -> list[RowFault]:
    from label_studio_quorum.intake.checked_rows import rows_in
    from label_studio_quorum.intake.checks.whole_file import Expected, TableChecks

    table = TableChecks(file, interface, Expected())
    warnings: list[RowFault] = []
    for row in rows_in(rows):
        warnings += table.see(row)
        if finder is not None:
            warnings += finder.faults(row, file)
    return [*warnings, *table.finish()]
