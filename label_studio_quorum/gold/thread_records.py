"""What people asked and were answered, for exports: a row's thread stands in its record, and the datasheet counts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from label_studio_quorum.port import Json

THREAD: Final = "thread"
"""The key of a record under which its row's thread stands; a row about which nothing was said has none."""
_THREADS_AT_ONCE: Final = 1000
_COPIED: Final = ("id", "kind", "at", "by", "role")


class ThreadPort(Protocol):
    """A server that may keep threads."""

    def plugin_version(self) -> str | None:
        """The version of the server's plugin; None where it has none, and so no threads."""
        ...

    def plugin_threads(self, name: str | None, *, after: str = "", size: int | None = None) -> Json:
        """A page of a campaign's threads."""
        ...


@dataclass(frozen=True, slots=True)
class CampaignThreads:
    """The threads of a campaign: row id → messages as records hold them, and those that are about no row."""

    of_rows: Mapping[str, list[Json]]
    others: tuple[Json, ...]


def read_threads(port: ThreadPort, name: str, *, texts: bool) -> CampaignThreads | None:
    """Every thread of a campaign; None on a stock server, which keeps none.

    Args:
        port: The server.
        name: The campaign.
        texts: Whether what people said goes into exports, or only who said what kind of thing when.
    """
    if port.plugin_version() is None:
        return None
    of_rows, others = defaultdict[str, list[Json]](list), list[Json]()
    for thread in _pages(port, name):
        # A note stands in its review, and a reopening in the row's history.
        messages = [_message(message, texts=texts) for message in thread["messages"] if message["id"] is not None]
        if thread["row_id"]:
            of_rows[thread["row_id"]] += messages
        else:
            others += messages
    ordered = {row_id: sorted(messages, key=_number) for row_id, messages in of_rows.items()}
    return CampaignThreads(ordered, tuple(sorted(others, key=_number)))


def _pages(port: ThreadPort, name: str) -> Iterator[Json]:
    after = ""
    while True:
        answer = port.plugin_threads(name, after=after, size=_THREADS_AT_ONCE)
        yield from answer["threads"]
        after = answer["after"]
        if not after:
            return


def _message(message: Mapping[str, Any], *, texts: bool) -> Json:
    copied = {key: message[key] for key in _COPIED}
    if message["answers"] is not None:
        copied["answers"] = message["answers"]
    if message["published"]:
        copied["published"] = True
    return copied | ({"text": message["text"]} if texts else {})


def _number(message: Json) -> int:
    return int(message["id"])


@dataclass(slots=True)
class ThreadCounts:
    """How much was asked, answered and disputed; filled row by row."""

    kinds: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
    reopened: int = 0
    unsettled: int = 0

    def add(self, messages: Any, reopenings: Any = ()) -> None:
        """Count the messages of a thread.

        Args:
            messages: What a record has as its thread.
            reopenings: What it has as its reopenings: the row was opened again in answer to a dispute of before.
        """
        listed = [message for message in messages or () if isinstance(message, dict)]
        again = [str(each.get("at")) for each in reopenings or () if isinstance(each, dict)]
        answered = {message.get("answers") for message in listed}
        self.kinds.update(str(message.get("kind")) for message in listed)
        for message in listed:
            is_open = message.get("id") not in answered
            self.unanswered += is_open and message.get("kind") == "question"
            if is_open and message.get("kind") == "dispute":
                is_reopened = any(at >= str(message.get("at")) for at in again)
                self.reopened += is_reopened
                self.unsettled += not is_reopened

    def sentence(self) -> str:
        """The counts in words."""
        kinds = self.kinds
        return (
            f"{kinds['question']} questions ({self.unanswered} not answered), {kinds['answer']} answers, "
            f"{kinds['dispute']} disputes ({kinds['upheld']} upheld, {self.reopened} opened the row again, "
            f"{self.unsettled} not settled)"
        )
