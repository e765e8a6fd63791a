"""What outlived an earlier run: found by its data folder alone, ended, and nobody else's process touched."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from label_studio_quorum.servers.data_folder import DataFolder
from label_studio_quorum.servers.left_over import end_parts, listener, mark_of, parts_of
from label_studio_quorum.servers.processes import StartError, free_port, require_port

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")

SERVER = """
import signal, socket, sys, time
if sys.argv[2] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
taken = socket.socket()
taken.bind(("127.0.0.1", int(sys.argv[1])))
taken.listen()
print("up", flush=True)
time.sleep(600)
"""


@contextmanager
def part(folder: Path, port: int, manner: str = "heeding") -> Iterator[subprocess.Popen[str]]:
    """A process with the mark of a data folder that listens on a port, whose guard is gone."""
    command = [sys.executable, "-c", SERVER, str(port), manner]
    env = {**os.environ, **mark_of(folder)}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "up\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("manner", ["heeding", "deaf"])
def test_parts_of_the_folder_are_ended_and_named(tmp_path: Path, manner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By SIGTERM, or by force where that is not heeded; the port is free afterwards."""
    monkeypatch.setattr("label_studio_quorum.servers.left_over.GRACE", 0.5)
    port, lines = free_port(), list[str]()
    with part(tmp_path, port, manner) as process:
        # Somebody has to collect it, as init does with one whose guard is gone.
        threading.Thread(target=process.wait, daemon=True).start()
        assert parts_of(tmp_path) == [process.pid]
        assert listener(port).startswith(f"process {process.pid} (")
        end_parts(tmp_path, lines.append)
    assert len(lines) == 1
    assert f"left parts behind (process {process.pid} (" in lines[0]
    require_port("Part", port, "127.0.0.1")


def test_nobody_elses_process_is_touched(tmp_path: Path) -> None:
    """Neither another folder's part, nor one whose folder only begins with the same letters."""
    with part(tmp_path / "data-2", free_port()) as other:
        end_parts(tmp_path / "data", pytest.fail)
        assert other.poll() is None


def test_a_port_of_somebody_else_is_named_with_its_process(tmp_path: Path) -> None:
    """Whoever reads the line knows what to stop."""
    port = free_port()
    with part(tmp_path, port) as process, pytest.raises(StartError) as refused:
        require_port("Part", port, "127.0.0.1", "set X to another", who=listener)
    assert f"Part: port {port} on 127.0.0.1 is in use by process {process.pid} (" in str(refused.value)
    assert str(refused.value).endswith("; stop that, or set X to another")


def test_a_port_that_is_about_to_be_free_is_waited_for() -> None:
    """The wait is said once, and ends with the port."""
    taken, lines = socket.socket(), list[str]()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    port = int(taken.getsockname()[1])

    def say(line: str) -> None:
        lines.append(line)
        taken.close()

    require_port("Part", port, "127.0.0.1", wait_s=60, say=say)
    assert lines == [f"Part: port {port} on 127.0.0.1 is still in use after a run that was cut off; waiting up to 60 s"]


def test_a_folder_knows_whether_its_last_run_was_cut_off(tmp_path: Path) -> None:
    """The lock's file keeps the process id of a run that did not end by itself."""
    with DataFolder(tmp_path) as folder:
        assert not folder.was_cut_off
    with DataFolder(tmp_path) as folder:
        assert not folder.was_cut_off
    (tmp_path / "up.lock").write_text("4711", encoding="utf-8")
    with DataFolder(tmp_path) as folder:
        assert folder.was_cut_off
