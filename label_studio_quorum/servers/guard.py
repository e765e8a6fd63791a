"""Run a command as the leader of its own process group, and end the whole group when standard input closes.

`python guard.py SECONDS COMMAND…`: the starter holds the other end of the pipe. When the starter ends, however it ends,
the kernel closes the pipe and nothing of the group stays behind: it gets SIGTERM, and SIGKILL when it has not ended
after SECONDS. SIGTERM ends the group too; SIGUSR1 ends it as a crash would. Standard library only, and run by its path:
a guard must start in no time and need no package.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from types import FrameType

_POLL = 0.2


def main(grace: float, command: list[str]) -> int:
    """Run `command` until it ends, or until standard input closes or a signal comes; its exit status."""
    asked: list[int] = []

    def ask(signum: int, _frame: FrameType | None) -> None:
        asked.append(signum)

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGUSR1, ask)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)  # noqa: S603 - the command is the caller's
    while child.poll() is None and not asked:
        readable, _, _ = select.select([0], [], [], _POLL)
        if readable and not os.read(0, 1):
            break
    _end_group(child, [signal.SIGKILL] if signal.SIGUSR1 in asked else [signal.SIGTERM, signal.SIGKILL], grace)
    code = child.returncode
    return 128 - code if code < 0 else code


def _end_group(child: subprocess.Popen[bytes], signums: list[signal.Signals], grace: float) -> None:
    """End what is left of the child's group by these signals, each with `grace` seconds for the child to obey."""
    for signum in signums:
        try:
            os.killpg(child.pid, signum)
        except ProcessLookupError:
            break
        try:
            child.wait(grace)
        except subprocess.TimeoutExpired:
            continue
    child.wait()
    _wait_for_the_rest(child.pid)


def _wait_for_the_rest(group: int) -> None:
    """Wait a moment for the child's own children, whose ports should be free when the guard has ended."""
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            return
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
