"""Child processes: whatever happens to their starter, they end with it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest

from label_studio_quorum.servers.processes import Child, StartError, free_port, port_is_free, require_port, wait_until


def sleeper(folder: Path, code: str = "import time; time.sleep(600)", name: str = "Sleeper") -> Child:
    """A child that runs a line of Python."""
    return Child(name, [sys.executable, "-c", code], dict(os.environ), folder / "log", folder)


def alive(pid: int) -> bool:
    """Whether the process runs: a zombie that waits to be collected does not."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except FileNotFoundError:
        return False


def wait_for_file(file: Path) -> str:
    """The content of a file that is about to be written."""
    deadline = time.monotonic() + 30
    while not (file.exists() and file.read_text(encoding="utf-8")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return file.read_text(encoding="utf-8")


def until_dead(pid: int, seconds: float = 30) -> bool:
    """Whether the process ends within so many seconds."""
    deadline = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not alive(pid)


FAMILY = """
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path("pids").write_text(str(child.pid))
time.sleep(600)
"""


def test_stop_ends_children_of_the_child_too(tmp_path: Path) -> None:
    """A server's workers go with it."""
    child = sleeper(tmp_path, FAMILY)
    child.start()
    grandchild = int(wait_for_file(tmp_path / "pids"))
    assert alive(grandchild)
    child.stop()
    assert until_dead(grandchild)
    assert not child.running
    child.stop()


def test_stop_does_not_wait_for_who_ignores_it(tmp_path: Path) -> None:
    """A part that ignores SIGTERM is ended by force after its time of grace."""
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); open('up', 'w').write('x'); time.sleep(600)"
    child = replace(sleeper(tmp_path, deaf), grace=0.5)
    child.start()
    wait_for_file(tmp_path / "up")
    child.stop()
    assert not child.running


def test_a_starter_that_is_killed_takes_its_parts_with_it(tmp_path: Path) -> None:
    """After SIGKILL of the starter nobody can clean up; the guard notices and ends the group."""
    starter = textwrap.dedent(f"""
        import os, pathlib, sys, time
        from label_studio_quorum.servers.processes import Child
        folder = pathlib.Path({str(tmp_path)!r})
        child = Child("Family", [sys.executable, "-c", {FAMILY!r}], dict(os.environ), folder / "log", folder)
        child.start()
        time.sleep(600)
    """)
    with subprocess.Popen([sys.executable, "-c", starter]) as process:
        grandchild = int(wait_for_file(tmp_path / "pids"))
        assert alive(grandchild)
        process.kill()
    assert until_dead(grandchild)


def test_the_exit_status_and_last_words_are_told(tmp_path: Path) -> None:
    """What ended says in one line who it was, how it ended and what it said last."""
    child = sleeper(tmp_path, "import sys; print('no such table'); sys.exit(3)", name="Part")
    child.start()
    try:
        with pytest.raises(StartError, match=r"Part: ended with status 3 while starting; it said: no such table"):
            wait_until(lambda: False, child, 30)
    finally:
        child.stop()


def test_waiting_ends_when_another_part_ends(tmp_path: Path) -> None:
    """Nobody waits for one part while another one is already gone."""
    waited, gone = sleeper(tmp_path), sleeper(tmp_path, "raise SystemExit(1)", name="Gone")
    waited.start()
    gone.start()
    try:
        with pytest.raises(StartError, match="Gone: ended with status 1"):
            wait_until(lambda: False, waited, 30, [gone])
    finally:
        waited.stop()
        gone.stop()


def test_waiting_too_long_says_why(tmp_path: Path) -> None:
    """The reason that the part itself gives is in the message."""
    child = sleeper(tmp_path)
    child.start()
    try:
        with pytest.raises(StartError, match="weights are missing"):
            wait_until(lambda: False, child, 0.3, why_not=lambda: "weights are missing")
    finally:
        child.stop()


def test_a_free_port_is_free_and_a_taken_one_is_not() -> None:
    """The check binds the port itself, as the server will."""
    import socket

    port = free_port()
    assert port_is_free(port)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with pytest.raises(StartError, match=f"Part: port {port} on 127.0.0.1 is in use"):
            require_port("Part", port, "127.0.0.1")
