"""What the three projects of a campaign hold, by row, and how to keep that picture fresh at little cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from review_rules import Stage
from workflow.campaign import STAGES, Campaign
from workflow.port import RowPort, Task

# A task's time is taken before its transaction ends, so one that ends late may carry a time already seen.
_OVERLAP: Final = timedelta(seconds=10)


class Snapshot:
    """Tasks of a campaign by row and stage.

    A full snapshot is read once and then refreshed by what changed since; a deleted task is noticed by the next full
    read only, because Label Studio keeps no trace of it.
    """

    def __init__(self, campaign: Campaign) -> None:
        self._stage_of = {campaign.project(stage): stage for stage in STAGES}
        self._rows: dict[str, dict[Stage, dict[int, Task]]] = {}
        self._seen: dict[int, datetime] = {}

    @classmethod
    def read(cls, port: RowPort, campaign: Campaign, row_ids: Sequence[str] | None = None) -> Snapshot:
        """All rows, or these."""
        fresh = cls(campaign)
        for project in fresh._stage_of:
            for task in port.tasks(project, row_ids=row_ids):
                fresh._put(task)
        return fresh

    def refresh(self, port: RowPort) -> set[str]:
        """Read what changed since the last read; the rows that may have to be decided again."""
        touched: set[str] = set()
        for project in self._stage_of:
            seen = self._seen.get(project)
            for task in port.tasks(project, since=None if seen is None else seen - _OVERLAP):
                if self._put(task):
                    touched.add(task.row_id)
        return touched

    def _put(self, task: Task) -> bool:
        """Take a task in; whether that changed anything."""
        if not task.row_id:
            return False
        self._seen[task.project] = max(task.updated_at, self._seen.get(task.project, task.updated_at))
        held = self._rows.setdefault(task.row_id, {}).setdefault(self._stage_of[task.project], {})
        changed = held.get(task.id) != task
        held[task.id] = task
        return changed

    @property
    def row_ids(self) -> list[str]:
        """Every row that has a task in any project, in text order."""
        return sorted(self._rows)

    def tasks(self, row_id: str) -> Mapping[Stage, Sequence[Task]]:
        """A row's tasks by stage, each stage's in order of id."""
        stages = self._rows.get(row_id, {})
        return {stage: [held[key] for key in sorted(held)] for stage, held in stages.items()}

    def stage(self, stage: Stage) -> Iterator[Task]:
        """Every task of a stage."""
        for row_id in self.row_ids:
            yield from self.tasks(row_id).get(stage, ())
