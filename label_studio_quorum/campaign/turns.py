"""Turns of set-ups on a stock server, which keeps no locks.

Whoever wants to set a campaign up makes a tab in the campaign's first project. Label Studio gives tabs rising ids, so
that all see the same line: the lowest goes first, and takes its tab away at its end. Each renews its own tab while it
waits or works; one that is not renewed for a minute is of a command that died, and whoever is behind it removes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from label_studio_quorum.campaign.projects import find_all
from label_studio_quorum.port import Json, LabelStudio, View

TITLE: Final = "set-up is running"
"""The title of the tab by which a command stands in line."""
_KEY: Final = "quorumTurn"
_DEAD_AFTER: Final = 60
"""Looks, one a second, at a tab that is not renewed."""


@dataclass
class Turns:
    """A `LockServer` for one command: its place in line is a tab of this project."""

    port: LabelStudio
    project: int
    _beat: int = 0
    _since: str = field(default_factory=lambda: datetime.now(UTC).isoformat())
    _unchanged: dict[int, tuple[Json, int]] = field(default_factory=dict)

    def lock_campaign(self, name: str, *, token: str, doing: str, seconds: int) -> Json | None:
        """Stand in line, or keep one's place there; leave it for no seconds.

        Returns:
            Who has the turn, as a server's lock says it.
        """
        line = self._line()
        own = next((view for view in line if view.data[_KEY]["token"] == token), None)
        if seconds == 0:
            if own is not None:
                self.port.delete_view(own.id)
            return {"mine": False, "doing": doing, "by": None, "since": self._since}
        self._beat += 1
        turn = {"token": token, "doing": doing, "since": self._since, "beat": self._beat}
        tab = {"title": TITLE, "type": "list", "target": "tasks", _KEY: turn}
        self.port.save_view(self.project, tab, view=None if own is None else own.id)
        first = line[0] if own is not None else self._line()[0]
        if first.data[_KEY]["token"] != token:
            self._remove_dead(first)
        holder = first.data[_KEY]
        return {"mine": holder["token"] == token, "doing": holder["doing"], "by": None, "since": holder["since"]}

    def _line(self) -> list[View]:
        """Everybody's tab, the first in line first."""
        return sorted((view for view in self.port.views(self.project) if _KEY in view.data), key=lambda view: view.id)

    def _remove_dead(self, first: View) -> None:
        """Take away the tab of a command that died."""
        last, looks = self._unchanged.get(first.id, (first.data, 0))
        looks = looks + 1 if last == first.data else 0
        self._unchanged[first.id] = (first.data, looks)
        if looks >= _DEAD_AFTER:
            self.port.delete_view(first.id)


def first_project(port: LabelStudio, name: str) -> int | None:
    """The campaign's project of the lowest id, on which all set-ups of it stand in line; None if it has none."""
    projects = [project.id for stage in find_all(port.projects()).get(name, {}).values() for project in stage]
    return min(projects, default=None)
