"""What the three projects of a campaign hold, by row, and how to keep that picture fresh at little cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol, Self

from label_studio_quorum.campaign.projects import STAGES, Campaign
from label_studio_quorum.campaign.row_store import read_all
from label_studio_quorum.port import RowPort, Task
from review_rules import Stage

# A task's time is taken before it is written, so one that is written late carries a time already seen. On a busy SQLite
# server a write was seen to wait for 36 seconds.
_OVERLAP: Final = timedelta(minutes=2)
# From so many rows on, reading everything is cheaper than asking for each.
_MANY: Final = 1000


class Shelf(Protocol):
    """Where a snapshot keeps its tasks: in memory (`InMemory`) or on disk (`RowStore`)."""

    strangers: dict[Stage, list[int]]

    def row_ids(self) -> list[str]:
        """Every row, in text order."""
        ...

    def tasks(self, row_id: str) -> Mapping[Stage, Sequence[Task]]:
        """A row's tasks by stage, each stage's in order of id."""
        ...

    def get(self, stage: Stage, task: Task) -> Task | None:
        """What is held of a task."""
        ...

    def put(self, stage: Stage, task: Task) -> None:
        """Hold a task as it is now."""
        ...

    def forget(self, row_id: str) -> None:
        """Hold nothing of a row any more."""
        ...

    def close(self) -> None:
        """Hold nothing at all any more."""
        ...


class InMemory:
    """A shelf for a few rows."""

    def __init__(self) -> None:
        self.strangers: dict[Stage, list[int]] = {}
        self._rows: dict[str, dict[Stage, dict[int, Task]]] = {}

    def row_ids(self) -> list[str]:
        """Every row, in text order."""
        return sorted(self._rows)

    def tasks(self, row_id: str) -> dict[Stage, list[Task]]:
        """A row's tasks by stage, each stage's in order of id."""
        stages = self._rows.get(row_id, {})
        return {stage: [tasks[key] for key in sorted(tasks)] for stage, tasks in stages.items()}

    def get(self, stage: Stage, task: Task) -> Task | None:
        """What is held of a task."""
        return self._rows.get(task.row_id, {}).get(stage, {}).get(task.id)

    def put(self, stage: Stage, task: Task) -> None:
        """Hold a task as it is now."""
        self._rows.setdefault(task.row_id, {}).setdefault(stage, {})[task.id] = task

    def forget(self, row_id: str) -> None:
        """Hold nothing of a row any more."""
        self._rows.pop(row_id, None)

    def close(self) -> None:
        """Hold nothing at all any more."""
        self._rows.clear()


class Snapshot:
    """Tasks of a campaign by row and stage.

    A full snapshot is read once, onto disk, and then refreshed by what changed since; a deleted task is noticed by the
    next full read only, because Label Studio keeps no trace of it. Use it as a context manager: what is on disk goes
    with its end.
    """

    def __init__(self, campaign: Campaign, shelf: Shelf, seen: Mapping[Stage, datetime]) -> None:
        self._stage_of = {campaign.project(stage): stage for stage in STAGES}
        self._shelf = shelf
        self._seen = dict(seen)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hold nothing any more; closing twice does no harm."""
        self._shelf.close()

    @classmethod
    def read(cls, port: RowPort, campaign: Campaign, row_ids: Sequence[str] | None = None) -> Snapshot:
        """All rows, or these."""
        if row_ids is None:
            return cls(campaign, *read_all(port, campaign))
        fresh = cls(campaign, InMemory(), {})
        for project in fresh._stage_of:
            for task in port.tasks(project, row_ids=row_ids):
                fresh._put(task)
                fresh._see(task)
        return fresh

    def refresh(self, port: RowPort) -> set[str]:
        """Read what changed since the last read; the rows that may have to be decided again."""
        touched: set[str] = set()
        for project, stage in self._stage_of.items():
            seen = self._seen.get(stage)
            for task in port.tasks(project, since=None if seen is None else seen - _OVERLAP):
                if self._put(task):
                    touched.add(task.row_id)
                self._see(task)
        return touched

    def renew(self, port: RowPort, row_ids: Sequence[str]) -> None:
        """Forget these rows and read them again, whole; when other rows were last read stays as it is."""
        rows = frozenset(row_ids)
        for row_id in rows:
            self._shelf.forget(row_id)
        for project in self._stage_of:
            for task in port.tasks(project, row_ids=sorted(rows) if len(rows) < _MANY else None):
                if task.row_id in rows:
                    self._put(task)

    def _put(self, task: Task) -> bool:
        """Take a task in; whether that changed anything."""
        if not task.row_id:
            return False  # a task that somebody else put into the project
        stage = self._stage_of[task.project]
        changed = self._shelf.get(stage, task) != task
        if changed:
            self._shelf.put(stage, task)
        return changed

    def _see(self, task: Task) -> None:
        """Note how far the reading of changes has come."""
        if task.row_id:
            stage = self._stage_of[task.project]
            self._seen[stage] = max(task.updated_at, self._seen.get(stage, task.updated_at))

    @property
    def strangers(self) -> Mapping[Stage, Sequence[int]]:
        """Tasks that belonged to no row when everything was read."""
        return self._shelf.strangers

    @property
    def row_ids(self) -> list[str]:
        """Every row that has a task in any project, in text order."""
        return self._shelf.row_ids()

    def tasks(self, row_id: str) -> Mapping[Stage, Sequence[Task]]:
        """A row's tasks by stage, each stage's in order of id."""
        return self._shelf.tasks(row_id)
