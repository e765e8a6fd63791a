"""The tasks of a whole campaign by row, on disk: a hundred thousand rows take no more memory than a hundred.

Servers give tasks by project and id; they are wanted by row. A temporary SQLite database that nobody else sees sorts
them.
"""

from __future__ import annotations

import pickle
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import groupby, islice
from typing import Final, Self

from label_studio_quorum.adapters.label_studio import HttpLabelStudio, TaskLine, task_of
from label_studio_quorum.campaign.projects import STAGES, Campaign
from label_studio_quorum.port import RowPort, Task
from review_rules import Stage

__all__ = ["Bodies", "RowStore", "read_all", "tasks_of"]

_BATCH: Final = 1000
_NUMBER: Final = {stage: number for number, stage in enumerate(STAGES)}
_PUT: Final = "INSERT OR REPLACE INTO task VALUES (?, ?, ?, ?)"
Body = str | bytes
Bodies = tuple[str, list[tuple[int, Body]]]
"""A row id, and per task the number of its stage and what it was read as."""


def _task(body: Body) -> Task:
    # Pickles are read from the store only, which nobody else can write.
    return task_of(body) if isinstance(body, str) else pickle.loads(body)  # noqa: S301


def _body(task: Task) -> bytes:
    return pickle.dumps(task, pickle.HIGHEST_PROTOCOL)


def _key(row_id: str) -> bytes:
    """A row id as bytes whose order is that of the text; half a surrogate pair, which SQLite takes in no text, too."""
    return row_id.encode("utf-8", "surrogatepass")


def _row_id(key: bytes) -> str:
    return key.decode("utf-8", "surrogatepass")


def tasks_of(bodies: Iterable[tuple[int, Body]]) -> dict[Stage, list[Task]]:
    """Tasks by stage from what `RowStore.bodies` gave."""
    tasks: dict[Stage, list[Task]] = {}
    for stage, body in bodies:
        tasks.setdefault(STAGES[stage], []).append(_task(body))
    return tasks


class RowStore:
    """Tasks by row and stage; a context manager, after which nothing of them is left."""

    def __init__(self) -> None:
        self.strangers: dict[Stage, list[int]] = {}
        """Tasks that belong to no row, which are not held: they count for nothing."""
        # No name: a file that only this connection can reach, and that is gone with it.
        self._database = sqlite3.connect("", isolation_level=None)
        try:
            # Nothing here outlives the process, so nothing needs to reach the disk in order.
            self._database.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-16384;")
            self._database.execute("CREATE TABLE task (row_id BLOB, stage INTEGER, id INTEGER, body)")
            self._database.execute("CREATE UNIQUE INDEX by_row ON task (row_id, stage, id)")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove everything from the disk; closing twice does no harm."""
        self._database.close()

    def fill(self, stage: Stage, bodies: Iterable[tuple[str, int, Body]]) -> None:
        """Hold many tasks: row id, task id and body of each."""
        waiting, strangers = iter(bodies), list[int]()
        self._database.execute("BEGIN")
        while batch := list(islice(waiting, _BATCH)):
            entries = [(_key(row_id), _NUMBER[stage], task, body) for row_id, task, body in batch if row_id]
            strangers += [task for row_id, task, _ in batch if not row_id]
            self._database.executemany(_PUT, entries)
        self._database.execute("COMMIT")
        if strangers:
            self.strangers[stage] = strangers

    def __len__(self) -> int:
        """How many rows there are."""
        return int(self._database.execute("SELECT count(DISTINCT row_id) FROM task").fetchone()[0])

    def bodies(self) -> Iterator[Bodies]:
        """Every row with its tasks as they were read, in text order of the row ids; `tasks_of` reads them."""
        entries = self._database.execute("SELECT row_id, stage, body FROM task ORDER BY row_id, stage, id")
        for key, group in groupby(entries, key=lambda entry: bytes(entry[0])):
            yield _row_id(key), [(stage, body) for _, stage, body in group]

    # --- the shelf of a snapshot

    def row_ids(self) -> list[str]:
        """Every row, in text order."""
        return [_row_id(key) for (key,) in self._database.execute("SELECT DISTINCT row_id FROM task ORDER BY row_id")]

    def tasks(self, row_id: str) -> dict[Stage, list[Task]]:
        """A row's tasks by stage, each stage's in order of id."""
        sql = "SELECT stage, body FROM task WHERE row_id = ? ORDER BY stage, id"
        return tasks_of(self._database.execute(sql, (_key(row_id),)))

    def get(self, stage: Stage, task: Task) -> Task | None:
        """What is held of a task."""
        sql = "SELECT body FROM task WHERE row_id = ? AND stage = ? AND id = ?"
        entry = self._database.execute(sql, (_key(task.row_id), _NUMBER[stage], task.id)).fetchone()
        return _task(entry[0]) if entry else None

    def put(self, stage: Stage, task: Task) -> None:
        """Hold a task as it is now."""
        entry = (_key(task.row_id), _NUMBER[stage], task.id, _body(task))
        self._database.execute(_PUT, entry)

    def forget(self, row_id: str) -> None:
        """Hold nothing of a row any more."""
        self._database.execute("DELETE FROM task WHERE row_id = ?", (_key(row_id),))


def read_all(port: RowPort, campaign: Campaign) -> tuple[RowStore, Mapping[Stage, datetime]]:
    """Every task of a campaign, and per stage the latest time at which one of them was changed; the caller closes the
    store."""
    store, seen = RowStore(), dict[Stage, datetime]()
    try:
        for stage in STAGES:
            project = campaign.project(stage)
            lines = port.task_lines(project) if isinstance(port, HttpLabelStudio) else None
            bodies = _lines(lines) if lines is not None else _pickles(port.tasks(project))
            store.fill(stage, _watched(bodies, stage, seen))
    except BaseException:  # the server did not answer, or somebody pressed Ctrl-C: nobody gets the store
        store.close()
        raise
    return store, seen


_Read = tuple[str, int, datetime, Body]


def _lines(lines: Iterable[TaskLine]) -> Iterator[_Read]:
    return ((line.row_id, line.id, line.updated_at, line.text) for line in lines)


def _pickles(tasks: Iterable[Task]) -> Iterator[_Read]:
    return ((task.row_id, task.id, task.updated_at, _body(task)) for task in tasks)


def _watched(bodies: Iterable[_Read], stage: Stage, seen: dict[Stage, datetime]) -> Iterator[tuple[str, int, Body]]:
    """Note the latest change on the way."""
    for row_id, task, updated_at, body in bodies:
        if row_id:
            seen[stage] = max(updated_at, seen.get(stage, updated_at))
        yield row_id, task, body
