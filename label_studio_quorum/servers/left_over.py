"""Processes that outlived an earlier `quorum up`: found by the mark in their environment, and ended before a new start.

A part ends with its starter, because its guard sees to that. Where the guard was killed too, the part goes on, keeps
its port and writes to the database. Every part carries the data folder that it belongs to in its environment, which
nobody else can change; only who holds the folder's lock may end such parts. Where there is no /proc nothing is found.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from label_studio_quorum.servers.processes import StartError

MARK: Final = "QUORUM_UP_FOLDER"
"""The variable that names the data folder to the parts of a `quorum up`."""
_PROC: Final = Path("/proc")
GRACE: Final = 12.0
"""Seconds that left parts get to heed each signal."""
_LISTENS: Final = "0A"


def mark_of(folder: Path) -> dict[str, str]:
    """What the environment of a data folder's parts carries."""
    return {MARK: str(folder)}


def parts_of(folder: Path) -> list[int]:
    """The processes that carry a data folder's mark, in order of their ids."""
    mark = f"{MARK}={folder}".encode()
    return sorted(pid for pid, entry in _processes() if mark in _read(entry / "environ").split(b"\0"))


def end_parts(folder: Path, say: Callable[[str], None]) -> None:
    """End what is left of an earlier run with this data folder, whose lock the caller holds.

    Raises:
        StartError: Something of it does not end.
    """
    left = parts_of(folder)
    if not left:
        return
    say(f"an earlier run was cut off and left parts behind ({_named(left)}); ending them")
    for signum in (signal.SIGTERM, signal.SIGKILL):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signum)
        deadline = time.monotonic() + GRACE
        while (left := parts_of(folder)) and time.monotonic() < deadline:
            time.sleep(0.1)
        if not left:
            return
    raise StartError(f"{folder}: parts of an earlier run do not end ({_named(left)}); end them and start again")


def listener(port: int) -> str:
    """Who listens on a port, as `process 12 (python3)`; empty where that cannot be found out."""
    inodes = {
        columns[9]
        for table in ("tcp", "tcp6")
        for columns in map(str.split, _read(_PROC / "net" / table).decode().splitlines()[1:])
        if columns[3] == _LISTENS and int(columns[1].rpartition(":")[2], 16) == port
    }
    sockets = {f"socket:[{inode}]" for inode in inodes}
    return next((_name(pid) for pid, entry in sorted(_processes()) if sockets & _open_files(entry)), "")


def _processes() -> Iterator[tuple[int, Path]]:
    for entry in _PROC.glob("[0-9]*"):
        if int(entry.name) != os.getpid():
            yield int(entry.name), entry


def _open_files(entry: Path) -> set[str]:
    files = set[str]()
    with contextlib.suppress(OSError):  # somebody else's process, or one that has just ended
        for link in (entry / "fd").iterdir():
            with contextlib.suppress(OSError):
                files.add(os.readlink(link))
    return files


def _read(file: Path) -> bytes:
    """A file of the system about a process; nothing where it is somebody else's, or has just ended."""
    try:
        return file.read_bytes()
    except OSError:
        return b""


def _name(pid: int) -> str:
    command = _read(_PROC / str(pid) / "comm").decode(errors="replace").strip()
    return f"process {pid} ({command})"


def _named(pids: list[int]) -> str:
    return ", ".join(map(_name, pids))
