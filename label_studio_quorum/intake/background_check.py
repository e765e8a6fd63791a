"""The checks of a file as a whole, in a process of their own while its rows go in.

What is found there are warnings, which keep no row out, and finding them takes about as long as the server takes to
store the rows: so it is done meanwhile. The libraries for it take longer to load than a small file to read, so the
process begins with them, before there is anything to look at.
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

if TYPE_CHECKING:
    from label_studio_quorum.intake.checks.personal_data import Finder

__all__ = ["Beside", "BesideError"]

_NICE = 5
"""The server that stores the rows goes first, where it is on the same machine."""


class BesideError(Exception):
    """The process ended before it said what it found; the message says so."""


class Beside:
    """A process that waits for checked rows to look at. Use it as a context manager; leaving it ends the process."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._here, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(there,), name="quorum-checks", daemon=True)
        self._process.start()
        there.close()

    def __enter__(self) -> Beside:
        return self

    def __exit__(self, *_: object) -> None:
        self._here.close()
        self._process.terminate()
        self._process.join()

    def look(self, rows: Path, file: str, interface: Interface | None) -> None:
        """Begin with these rows (a file of `HeldRows`, which stays until `found`); `file` is where people find them."""
        with contextlib.suppress(BrokenPipeError):  # `found` says it
            self._here.send((rows, file, interface))

    def found(self) -> list[RowFault]:
        """Wait for what there is to say of the file as a whole.

        Raises:
            BesideError: The process was ended from outside, such as for want of memory.
            ModuleNotFoundError: A library of the checks is not installed.
        """
        try:
            answer: list[RowFault] | Exception = self._here.recv()
        except (EOFError, ConnectionResetError):
            raise BesideError(
                "the checks of the file as a whole broke off; the rows are in, and `quorum check` runs the checks alone"
            ) from None
        if isinstance(answer, Exception):
            raise answer
        return answer


def _serve(pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started it ends it
    if hasattr(os, "nice"):
        os.nice(_NICE)
    with contextlib.suppress(EOFError, BrokenPipeError):  # nobody waits any more
        try:
            finder = _load()
            rows, file, interface = pipe.recv()
            pipe.send(_look(rows, file, interface, finder))
        except ModuleNotFoundError as error:
            pipe.send(error)


def _load() -> Finder | None:
    """Load what the checks need; the finder of personal data where the extra `pii` is there."""
    from label_studio_quorum.intake.checks.language import identify
    from label_studio_quorum.intake.checks.personal_data import Finder

    identify(["Load the model now."])
    return Finder.if_installed()


def _look(rows: Path, file: str, interface: Interface | None, finder: Finder | None) -> list[RowFault]:
    from label_studio_quorum.intake.checked_rows import rows_in
    from label_studio_quorum.intake.checks.whole_file import Expected, TableChecks

    table = TableChecks(file, interface, Expected())
    found: list[RowFault] = []
    for row in rows_in(rows):
        found += table.see(row)
        if finder is not None:
            found += finder.faults(row, file)
    return [*found, *table.finish()]
