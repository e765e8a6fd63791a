"""The tasks of a whole campaign by row, on disk: what an export needs of a snapshot, at flat memory.

Servers give tasks by project and id; records are wanted by row, in text order of the row ids. An SQLite file that
nobody else sees sorts them.
"""

from __future__ import annotations

import pickle
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from pathlib import Path

from review_rules import Stage
from workflow.campaign import STAGES, Campaign
from workflow.port import RowPort, Task
from workflow.sdk import HttpLabelStudio, task_of

__all__ = ["Bodies", "RowStore", "tasks_of"]

_BATCH = 1000
Body = str | bytes
Bodies = tuple[str, list[tuple[int, Body]]]
"""A row id, and per task the number of its stage and what it was read as."""


def _bodies(port: RowPort, project: int) -> Iterator[tuple[str, Body]]:
    """Row id and body of every task, in order of their ids: JSON text where the port hands it out, else a pickle."""
    lines = port.task_lines(project) if isinstance(port, HttpLabelStudio) else None
    if lines is not None:
        yield from lines
    else:
        for task in port.tasks(project):
            yield task.row_id, pickle.dumps(task, pickle.HIGHEST_PROTOCOL)


def tasks_of(bodies: Iterable[tuple[int, Body]]) -> dict[Stage, list[Task]]:
    """Tasks by stage from what `RowStore.bodies` gave."""
    tasks: dict[Stage, list[Task]] = {}
    for stage, body in bodies:
        # Pickles are read from the store's own file only, which nobody else can write.
        task = task_of(body) if isinstance(body, str) else pickle.loads(body)  # noqa: S301
        tasks.setdefault(STAGES[stage], []).append(task)
    return tasks


class RowStore:
    """Reads a campaign once; then gives its rows one after the other. Use it as a context manager."""

    def __init__(self, port: RowPort, campaign: Campaign) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="quorum-")
        self._database = sqlite3.connect(Path(self._folder.name) / "rows.sqlite3", isolation_level=None)
        try:
            self._fill(port, campaign)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> RowStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove what was read."""
        self._database.close()
        self._folder.cleanup()

    def _fill(self, port: RowPort, campaign: Campaign) -> None:
        # Nothing here outlives the process, so nothing needs to reach the disk in order.
        self._database.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-16384;")
        self._database.execute("CREATE TABLE task (row_id TEXT, stage INTEGER, body)")
        self._database.execute("BEGIN")
        for number, stage in enumerate(STAGES):
            found = _bodies(port, campaign.project(stage))
            while held := [(row_id, number, body) for row_id, body in islice(found, _BATCH) if row_id]:
                self._database.executemany("INSERT INTO task VALUES (?, ?, ?)", held)
        self._database.execute("COMMIT")
        self._database.execute("CREATE INDEX by_row ON task (row_id, stage)")

    def __len__(self) -> int:
        """How many rows there are."""
        return int(self._database.execute("SELECT count(DISTINCT row_id) FROM task").fetchone()[0])

    def bodies(self) -> Iterator[Bodies]:
        """Every row with its tasks as they were read, in text order of the row ids; `tasks_of` reads them."""
        found = self._database.execute("SELECT row_id, stage, body FROM task ORDER BY row_id, stage, rowid")
        for row_id, group in groupby(found, key=lambda one: str(one[0])):
            yield row_id, [(stage, body) for _, stage, body in group]
