"""Where people stand with the qualification, and how long they practised, as a server with the plugin says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from label_studio_quorum.port import Json

_PENDING = ("open", "below", "ended")


@dataclass(frozen=True, kw_only=True, slots=True)
class Learner:
    """A person of a campaign that has a qualification or rows to practise on.

    Attributes:
        id: who it is.
        qualified: where they stand with each part of the qualification, as `GET status` says it.
        practised: how many rows they practised on.
        practice_hours: for how long.
        is_paid: whether that time counts for pay.
    """

    id: str
    qualified: Sequence[Mapping[str, Any]]
    practised: int
    practice_hours: float
    is_paid: bool

    @property
    def stands(self) -> str:
        """Where they stand, for one line: `QA passed until 2026-06-01, technical below`; empty for nothing asked."""
        parts = []
        for part in self.qualified:
            until = f" until {part['until'][:10]}" if part["state"] == "passed" and part["until"] else ""
            parts.append(f"{part['title']} {part['state']}{until}")
        return ", ".join(parts)

    @property
    def is_pending(self) -> bool:
        """Whether something is still to be shown."""
        return any(part["state"] in _PENDING for part in self.qualified)

    def to_json(self) -> Json:
        """What commands print of them."""
        return {
            "id": self.id,
            "qualified": [dict(part) for part in self.qualified],
            "practised": self.practised,
            "practice_hours": self.practice_hours,
        }


def learners_of(status: Json | None) -> tuple[Learner, ...]:
    """The people of a campaign, from what the plugin answers to `GET status`; empty where it asks for neither."""
    if status is None or not (status.get("qualification") or status.get("practice")):
        return ()
    is_paid = bool((status.get("practice") or {}).get("paid"))
    return tuple(
        Learner(
            id=person["id"],
            # A plugin of an earlier version asks for a qualification and does not say more of it.
            qualified=person.get("qualified", ()),
            practised=person.get("practised", 0),
            practice_hours=person.get("practice_hours", 0.0),
            is_paid=is_paid,
        )
        for person in status["people"]
    )
