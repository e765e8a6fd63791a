"""The full record of every row: what came in, everything that anybody submitted, what was decided and why.

A record carries the row's history under the keys of `quorum decide`, so that anyone can decide it again
(`quorum verify`). Only what is `FINAL`, and whose text is what was imported, is gold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Final

from review_rules import Stage, State, withheld
from workflow.campaign import Campaign
from workflow.history import note_of, prelabel_of, skips
from workflow.port import Json, RowPort, Task
from workflow.reconcile import DecidedRow, decide_rows
from workflow.rows import Row, row_hash
from workflow.rowstore import RowStore
from workflow.snapshot import Snapshot

_HISTORY: Final = ("fields", "passes", "qa", "expert")
_DECISION: Final = ("state", "next", "comparison", "proposal", "findings", "final", "certificate")


@dataclass
class Tally:
    """What an export met on the way, beside the records."""

    rows: int = 0
    gold: int = 0
    problems: list[str] = field(default_factory=list)


def export_records(
    port: RowPort,
    campaign: Campaign,
    *,
    gold_only: bool = True,
    tally: Tally | None = None,
    snapshot: Snapshot | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Iterator[Json]:
    """One record a row, in text order of the row ids.

    Args:
        port: The server.
        campaign: The campaign.
        gold_only: Leave out what is not final, and rows whose text was changed on the server.
        tally: Filled while the records are taken.
        snapshot: What the server holds, where the caller has read it; else it is read.
        progress: Called with the number of rows seen so far.

    Yields:
        `{"row_id", "row", "row_hash", "auto_label", "domain", "predicted_domain", "fields", "passes", "qa", "expert",
        "state", "next", "comparison", "proposal", "findings", "final", "certificate", "gold", "prelabel", "withheld",
        "skips", "import_id"}`; absent domain, predicted domain, auto-label and prelabel are null.
    """
    seen = tally if tally is not None else Tally()
    with nullcontext(snapshot) if snapshot is not None else RowStore(port, campaign) as held:
        yield from _records(campaign, held, gold_only, seen, progress)


def _records(
    campaign: Campaign, held: Snapshot | RowStore, gold_only: bool, seen: Tally, progress: Callable[[int], None]
) -> Iterator[Json]:
    for row in decide_rows(campaign, held, held.row_ids):
        found = record_of(campaign, row)
        seen.rows += 1
        seen.gold += bool(found["gold"])
        if found["state"] == State.FINAL.value and not found["gold"]:
            seen.problems.append(
                f"row {row.row_id}: its text is not what was imported, so it is no gold; put the text back, or import "
                "the row under a new id"
            )
        progress(seen.rows)
        if found["gold"] or not gold_only:
            yield found


def record_of(campaign: Campaign, row: DecidedRow) -> Json:
    """The full record of a decided row."""
    task = row.tasks[Stage.PASS][0]
    note, history, decision = note_of(task), row.record.history, row.decision.to_json()
    as_imported = imported_row(task)
    unchanged = note.get("hash") in (None, row_hash(as_imported))
    record: dict[str, Any] = {
        "row_id": row.row_id,
        "row": as_imported.columns(),
        "row_hash": note.get("hash") or row_hash(as_imported),
        "auto_label": history.get("auto_label"),
        "domain": history.get("domain"),
        "predicted_domain": history.get("predicted_domain"),
    }
    record |= {key: history[key] for key in _HISTORY}
    record |= {key: decision.get(key) for key in _DECISION}
    record |= {
        "gold": decision["state"] == State.FINAL.value and unchanged,
        "prelabel": prelabel_of(task, campaign.interface),
        "withheld": withheld(row.row_id, campaign.policy),
        "skips": [one for stage, tasks in row.tasks.items() for one in skips(stage, tasks, campaign.people)],
        "import_id": note.get("import_id"),
    }
    return record


def imported_row(task: Task) -> Row:
    """The row as its Pass task holds it."""
    note, data = note_of(task), task.data
    return Row(
        row_id=task.row_id,
        context=str(data.get("context", "")),
        query=str(data.get("query", "")),
        response=str(data.get("response", "")),
        domain=data.get("domain"),
        auto_label=note.get("auto_label"),
        extra=note.get("extra") or {},
    )
