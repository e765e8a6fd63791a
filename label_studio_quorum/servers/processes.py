"""Child processes that can't outlive their starter, and the ports that they listen on."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from label_studio_quorum.servers import guard
from review_rules.errors import PublicError

LOOPBACK = "127.0.0.1"
_ROOM = 1 << 20
"""Bytes below which a disk counts as full: a server that has so little left fails in one way or another."""


_KEEP = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "VIRTUAL_ENV"),
    *("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "OMP_NUM_THREADS", "XDG_CACHE_HOME"),
)


def own_environment(*more: str) -> dict[str, str]:
    """The few variables of the caller that a part may see, and `more`: parts read names as common as HOST and TOKEN."""
    return {name: os.environ[name] for name in (*_KEEP, *more) if name in os.environ} | {"PYTHONUNBUFFERED": "1"}


class StartError(PublicError):
    """A part that could not be started; the message says what, where and what to do."""


@dataclass
class Child:
    """A command in its own process group, with its output in a file.

    Args:
        name: What people call it in messages.
        command: Program and arguments; nothing secret, since every user of a machine can read them.
        env: Its whole environment.
        log: File that takes its output, appended.
        cwd: Its working folder.
        grace: Seconds that its group gets between SIGTERM and SIGKILL.
    """

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    log: Path
    cwd: Path
    grace: float = 10.0
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    def start(self) -> None:
        """Start it under a guard that ends the whole group when this process ends."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - the command is built by Quorum
                [sys.executable, "-I", guard.__file__, str(self.grace), *self.command],
                env=dict(self.env),
                cwd=self.cwd,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Its exit status, or None while it runs."""
        return None if self._process is None else self._process.poll()

    def release(self) -> None:
        """Let the group end, without waiting for its end."""
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()

    def stop(self) -> None:
        """End the group and wait for its end; calling it twice does nothing more."""
        if self._process is None:
            return
        self.release()
        try:
            self._process.wait(2 * self.grace + 5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def kill(self) -> None:
        """End it without warning, as a crash would; for tests of what survives one."""
        if self._process is not None:
            self._process.send_signal(signal.SIGUSR1)
            self._process.wait()

    def ended(self, when: str) -> StartError:
        """What to say about its unwanted end: one line with the last line of its output."""
        # On a full disk the output ends anywhere, in the middle of a traceback too.
        if self._disk_is_full():
            where = self.log.parent
            return full_disk(self.name, where)
        last_line = next((line.strip() for line in reversed(self.tail().splitlines()) if line.strip()), "nothing")
        last_line = last_line if len(last_line) < 300 else f"{last_line[:300]}…"
        about = f"ended with status {self.exit_code} {when}; it said: {last_line} (all: {self.log})"
        return StartError(f"{self.name}: {about}")

    def _disk_is_full(self) -> bool:
        """Whether its output could not go on, or says itself that there was no room."""
        output = self.tail().lower()
        full = any(sign in output for sign in ("no space left on device", "disk is full", "disk quota exceeded"))
        return full or is_full(self.log.parent)

    def tail(self, lines: int = 30) -> str:
        """The last lines of its output, for messages."""
        if not self.log.exists():
            return ""
        with self.log.open(encoding="utf-8", errors="replace") as text:
            return "".join(deque(text, maxlen=lines))


def is_full(folder: Path) -> bool:
    """Whether the disk of a folder has no room to speak of."""
    return shutil.disk_usage(folder).free < _ROOM


def full_disk(what: str, where: Path) -> StartError:
    """The one line about a disk without room; a database keeps what was stored before, and nothing in part."""
    return StartError(
        f"{what}: the disk of {where} is full; nothing that was stored is lost: make room there and start it again"
    )


def wait_until(
    ready: Callable[[], bool],
    child: Child,
    seconds: float,
    others: Sequence[Child] = (),
    why_not: Callable[[], str] = lambda: "",
) -> None:
    """Wait until `ready()` holds.

    Args:
        ready: Asked five times a second.
        child: Who shall become ready.
        seconds: How long it may take.
        others: Who has to keep running meanwhile.
        why_not: Asked for the reason when the time is over.

    Raises:
        StartError: One of them ended first, or the time is over.
    """
    deadline = time.monotonic() + seconds
    while not ready():
        for part in (child, *others):
            if not part.running:
                raise part.ended("while starting")
        if is_full(child.log.parent):  # a part may wait for room without a word
            raise full_disk(child.name, child.log.parent)
        if time.monotonic() > deadline:
            reason = why_not() or "no reason given"
            raise StartError(f"{child.name}: not ready after {seconds:.0f} s: {reason} (its output: {child.log})")
        time.sleep(0.2)


def require_port(
    name: str,
    port: int,
    host: str,
    hint: str = "choose another port",
    *,
    wait_s: float = 0.0,
    say: Callable[[str], None] = lambda line: None,
    who: Callable[[int], str] = lambda port: "",
) -> None:
    """Check that a part can listen on a port.

    Args:
        name: What people call the part.
        port: The port.
        host: The address that it listens on.
        hint: What else to do than to stop who listens there.
        wait_s: For how long it may still be in use.
        say: Told that it is waited for.
        who: Says who listens on a port, if that is known.

    Raises:
        StartError: Something else listens there.
    """
    if port_is_free(port, host):
        return
    if wait_s:
        say(f"{name}: port {port} on {host} is still in use after a run that was cut off; waiting up to {wait_s:.0f} s")
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        time.sleep(0.2)
        if port_is_free(port, host):
            return
    by = who(port)
    what = f"in use by {by}; stop that" if by else "in use; stop what listens there"
    raise StartError(f"{name}: port {port} on {host} is {what}, or {hint}")


def free_port(host: str = LOOPBACK) -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def port_is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen on the port now (a port in TIME_WAIT counts as free)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True
