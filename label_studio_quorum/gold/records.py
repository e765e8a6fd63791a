"""The full record of every row: what came in, everything that anybody submitted, what was decided and why.

A record carries the row's history under the keys of `quorum decide`, so that anyone can decide it again
(`quorum verify`). Only what is `FINAL`, and whose text is what was imported, is gold.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from label_studio_quorum.campaign.history import skips
from label_studio_quorum.campaign.projects import STAGES, Campaign
from label_studio_quorum.campaign.reconcile import DecidedRow, decide_rows
from label_studio_quorum.campaign.row_store import Bodies, RowStore, read_all, tasks_of
from label_studio_quorum.campaign.row_task import imported_row, is_as_imported, note_of, prelabel_of
from label_studio_quorum.campaign.violations import violated_by
from label_studio_quorum.gold.spool import RecordLine, line_of
from label_studio_quorum.gold.thread_records import THREAD
from label_studio_quorum.intake import row_hash
from label_studio_quorum.port import Json, RowPort, Task
from review_rules import Stage, State, withheld

if TYPE_CHECKING:
    from multiprocessing.pool import AsyncResult

_CHUNK: Final = 100
_WORTH_WORKERS: Final = 2000
"""Rows from which starting processes pays."""

Threads = Mapping[str, list[Json]]
_HISTORY: Final = ("fields", *(stage.key for stage in Stage))
_DECISION: Final = ("state", "next", "comparison", "proposal", "findings", "final", "certificate", "rules")


@dataclass
class ExportTally:
    """What an export met on the way, beside the records."""

    rows: int = 0
    gold: int = 0
    problems: list[str] = field(default_factory=list)
    violating: Counter[str] = field(default_factory=Counter)
    """Final rows that violate a check of the interface, by its sentence."""


def export_records(
    port: RowPort, campaign: Campaign, *, gold_only: bool = True, tally: ExportTally | None = None
) -> Iterator[Json]:
    """One record a row, in text order of the row ids.

    Args:
        port: The server.
        campaign: The campaign.
        gold_only: Leave out what is not final, and rows whose text was changed on the server.
        tally: Filled while the records are taken.

    Yields:
        `{"row_id", "gold", "state", "domain", "predicted_domain", "row", "auto_label", "fields", "passes", "qa",
        "expert", "comparison", "proposal", "findings", "final", "certificate", "rules", "row_hash", "next",
        "prelabel", "withheld", "skips", "import_id", "sources", "digest"}`; absent domain, predicted domain, auto-label
        and prelabel are null. A row that was opened again after it was decided also has `reopened`, one whose final
        label violates checks of the interface `checks`, and one of a campaign whose server keeps its guidelines their
        versions as `guidelines`. Threads are in `export_lines` alone.
    """
    lines = export_lines(port, campaign, tally=tally)
    yield from (json.loads(line.text) for line in lines if line.gold or not gold_only)


def export_lines(
    port: RowPort,
    campaign: Campaign,
    *,
    tally: ExportTally | None = None,
    progress: Callable[[int], None] = lambda done: None,
    threads: Threads | None = None,
) -> Iterator[RecordLine]:
    """The records of all rows, gold or not, as lines of JSON: what writers and files need, at a fraction of the time.

    Args:
        port: The server.
        campaign: The campaign.
        tally: Filled while the records are taken.
        progress: Called with the number of rows seen so far.
        threads: Row id → what was said of it, which goes into its record.
    """
    seen = tally if tally is not None else ExportTally()
    store, _ = read_all(port, campaign)
    # Behind the answers, so that what was published while they were read is known too.
    campaign = replace(campaign, guidelines=port.guideline_versions(campaign.name))
    with store:
        for line, problem, violated in _decided(campaign, store, threads or {}):
            seen.rows += 1
            seen.gold += line.gold
            seen.problems += [problem] if problem else []
            seen.violating.update(violated)
            progress(seen.rows)
            yield line


_Decided = tuple[RecordLine, str | None, tuple[str, ...]]
"""A record's line, what is wrong with the row, and which checks its final label violates."""


def _decided(campaign: Campaign, store: RowStore, threads: Threads) -> Iterator[_Decided]:
    """Every row decided, in one process or, where there are many, in several."""
    rows = store.bodies()
    bodies = iter(lambda: list(islice(rows, _CHUNK)), [])
    chunks = (_Chunk.of(some, threads) for some in bodies)
    # Without fork a worker starts from nothing and would have to be sent the campaign.
    if len(store) < _WORTH_WORKERS or "fork" not in multiprocessing.get_all_start_methods():
        for chunk in chunks:
            yield from _decide_chunk(campaign, chunk)
    else:
        yield from _by_workers(campaign, chunks)


def _by_workers(campaign: Campaign, chunks: Iterator[_Chunk]) -> Iterator[_Decided]:
    """The same in the same order, each chunk in one of several processes.

    Workers are forks, so that they have the campaign without it being sent, and send back lines, which cost next to
    nothing to pass on. Only so many chunks are under way at once, which keeps memory flat.
    """
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    gc.freeze()  # what is there now is not looked through again, neither here nor in the workers
    try:
        with multiprocessing.get_context("fork").Pool(workers, _adopt, (campaign,)) as pool:
            under_way: deque[AsyncResult[list[_Decided]]] = deque()
            while True:
                while len(under_way) < 2 * workers and (chunk := next(chunks, None)):
                    under_way.append(pool.apply_async(_decide_adopted, (chunk,)))
                if not under_way:
                    return
                yield from under_way.popleft().get()
    finally:
        gc.unfreeze()


_campaign: Campaign | None = None


def _adopt(campaign: Campaign) -> None:
    """Start of a worker. Records hold no cycles: looking for some in them, over and over, took a third of the time."""
    global _campaign
    _campaign = campaign
    gc.set_threshold(100_000, 50, 50)


def _decide_adopted(chunk: _Chunk) -> list[_Decided]:
    assert _campaign is not None
    return list(_decide_chunk(_campaign, chunk))


def _decide_chunk(campaign: Campaign, chunk: _Chunk) -> Iterator[_Decided]:
    rows = _Rows({row_id: tasks_of(bodies) for row_id, bodies in chunk.bodies})
    for row in decide_rows(campaign, rows, rows.rows):
        record = record_of(campaign, row)
        if row.row_id in chunk.threads:
            record |= {THREAD: chunk.threads[row.row_id]}
        changed = record["state"] == State.FINAL.value and not record["gold"]
        violated = tuple(check["say"] for check in record.get("checks", ()))
        yield line_of(record), _changed(row.row_id) if changed else None, violated


def _changed(row_id: str) -> str:
    return (
        f"row {row_id}: its text is not what was imported, so it is no gold; put the text back, or import the row "
        "under a new id"
    )


@dataclass(frozen=True)
class _Chunk:
    """Some rows as they lie on disk, and what was said of them: what a process is sent."""

    bodies: list[Bodies]
    threads: Threads

    @classmethod
    def of(cls, bodies: list[Bodies], threads: Threads) -> _Chunk:
        """These rows with their threads alone."""
        return cls(bodies, {row_id: threads[row_id] for row_id, _ in bodies if row_id in threads})


@dataclass(frozen=True)
class _Rows:
    """Some rows in memory."""

    rows: dict[str, dict[Stage, list[Task]]]

    def tasks(self, row_id: str) -> Mapping[Stage, Sequence[Task]]:
        """A row's tasks by stage."""
        return self.rows[row_id]


def record_of(campaign: Campaign, row: DecidedRow) -> Json:
    """The full record of a decided row."""
    task = row.tasks[Stage.PASS][0]
    note, history, decision = note_of(task), row.record.history.to_json(), row.decision.to_json()
    as_imported = imported_row(task)
    record: dict[str, Any] = {
        "row_id": row.row_id,
        "row": as_imported.columns(),
        # The hash of 0.1.0 told 1.0 and 1 apart, which programs that rewrite an export do not.
        "row_hash": row_hash(as_imported) if is_as_imported(task) else note.content_hash,
        "auto_label": history.get("auto_label"),
        "domain": history.get("domain"),
        "predicted_domain": history.get("predicted_domain"),
    }
    record |= {key: history[key] for key in _HISTORY}
    if violated := violated_by(campaign, row.decision):
        record["checks"] = [{"say": check.say, "level": check.level.value} for check in violated]
    if campaign.guidelines:
        record["guidelines"] = list(campaign.guidelines)
    if "reopened" in history:
        record["reopened"] = history["reopened"]
    record |= {key: decision.get(key) for key in _DECISION}
    record |= {
        "gold": decision["state"] == State.FINAL.value and is_as_imported(task),
        "prelabel": prelabel_of(task, campaign.interface),
        "withheld": withheld(row.row_id, campaign.policy),
        "skips": [skip for stage, tasks in row.tasks.items() for skip in skips(stage, tasks, campaign.people)],
        "import_id": note.import_id,
        "sources": {stage.key: _sources(row, stage) for stage in STAGES},
    }
    return record


def _sources(row: DecidedRow, stage: Stage) -> list[Json]:
    """Where each submission of a stage stands on the server, index by index, and when it was first saved there."""
    return [
        {"task": source.task, "annotation": source.annotation, "created_at": source.created_at}
        for source in row.record.sources[stage]
    ]
