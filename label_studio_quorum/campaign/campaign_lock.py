"""One command at a time changes a campaign: two imports at once would bring every row twice.

The server's plugin keeps the lock. A stock server has none: there set-ups stand in line by a tab each
(`campaign.turns`), and an import looks afterwards whether another one ran at the same time, and takes back what came
second (`campaign.importing`).
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from label_studio_quorum.port import Json, ServerError

_LEASE_S: Final = 60
"""Seconds for which the lock of a command that died stays taken."""
_RENEW_S: Final = 15.0
_PAUSE_S: Final = 1.0


class LockServer(Protocol):
    """A server that may keep locks."""

    def lock_campaign(self, name: str, *, token: str, doing: str, seconds: int) -> Json | None:
        """Take a campaign's lock for so many seconds, or let it go for none; None on a server without such locks."""
        ...


@dataclass
class Hold:
    """Whether nobody else can have changed the campaign since the lock was taken."""

    is_alone: bool


@contextmanager
def locked(
    port: LockServer, name: str, doing: str, *, say: Callable[[str], None], pause: Callable[[float], None] = time.sleep
) -> Iterator[Hold]:
    """Hold a campaign's lock while the block runs; wait for whoever has it.

    Args:
        port: The server.
        name: The campaign.
        doing: What the block does, as whoever waits for it reads it: `import` or `set-up`.
        say: Told once of each command that is waited for.
        pause: Waits between two looks.

    Raises:
        ServerError: The server refused, or does not answer.
    """
    token = secrets.token_hex(16)
    hold = Hold(is_alone=_wait(port, name, token, doing, say, pause))
    if not hold.is_alone:
        yield hold
        return
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(_RENEW_S) and _is_still_ours(port, name, token, doing):
            pass
        # The machine slept for longer than the lease, and somebody else went on: from here on both look afterwards.
        hold.is_alone = ended.is_set()

    renewer = threading.Thread(target=renew, name="quorum-lock", daemon=True)
    renewer.start()
    try:
        yield hold
    finally:
        ended.set()
        renewer.join()
        # A server that is gone keeps no lock either, or not for longer than its lease.
        with suppress(ServerError):
            port.lock_campaign(name, token=token, doing=doing, seconds=0)


def _wait(
    port: LockServer, name: str, token: str, doing: str, say: Callable[[str], None], pause: Callable[[float], None]
) -> bool:
    """Wait until the lock is ours; False where there is none."""
    lines: set[str] = set()
    while True:
        holder = port.lock_campaign(name, token=token, doing=doing, seconds=_LEASE_S)
        if holder is None or holder["mine"]:
            return holder is not None
        line = waiting_line(holder, doing)
        if line not in lines:
            lines.add(line)
            say(line)
        pause(_PAUSE_S)


def waiting_line(holder: Json, doing: str) -> str:
    """What to say of the command that is waited for.

    >>> waiting_line({"doing": "import", "by": "ops@x.test", "since": "2026-01-05T10:00:00+00:00"}, "import")
    'another import of this campaign is running since 2026-01-05 10:00:00 UTC (by ops@x.test); waiting'
    """
    which = f"another {doing}" if holder["doing"] == doing else f"{_article(holder['doing'])} {holder['doing']}"
    since = datetime.fromisoformat(holder["since"])
    by = f" (by {holder['by']})" if holder["by"] else ""
    return f"{which} of this campaign is running since {since:%Y-%m-%d %H:%M:%S} UTC{by}; waiting"


def _article(noun: str) -> str:
    return "an" if noun[:1] in "aeiou" else "a"


def _is_still_ours(port: LockServer, name: str, token: str, doing: str) -> bool:
    """Keep the lock; whether it was not taken by somebody else meanwhile."""
    try:
        holder = port.lock_campaign(name, token=token, doing=doing, seconds=_LEASE_S)
    except ServerError:
        return True  # the block meets the same server and tells; until the lease ends the lock is ours
    return holder is not None and bool(holder["mine"])
