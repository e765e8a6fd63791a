"""What a snapshot keeps on disk is what it would keep in memory, whatever happens to it."""

from __future__ import annotations

import pickle
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from label_studio_quorum.campaign.row_store import RowStore
from label_studio_quorum.campaign.snapshot import InMemory
from label_studio_quorum.port import Prediction, Task
from review_rules import Stage

MOMENT = datetime(2026, 1, 5, 10, tzinfo=UTC)
ROWS = ["r1", "r2", "ä", "Ä", "a\u0301", "r1 ", "\ud83d", "x\x00y"]
TASKS = st.builds(
    Task,
    id=st.integers(1, 6),
    project=st.just(1),
    data=st.fixed_dictionaries({"row_id": st.sampled_from(ROWS), "response": st.text(max_size=5)}),
    meta=st.just({}),
    overlap=st.integers(1, 3),
    is_labeled=st.booleans(),
    created_at=st.just(MOMENT),
    updated_at=st.just(MOMENT),
    predictions=st.lists(
        st.builds(Prediction, id=st.just(1), model_version=st.text(max_size=3), result=st.just([]))
    ).map(tuple),
)
STEPS = st.lists(st.tuples(st.sampled_from(["put", "forget"]), st.sampled_from(list(Stage)), TASKS), max_size=25)


def held(shelf: Any) -> dict[str, Any]:
    """All that a shelf holds, in its order."""
    return {row_id: shelf.tasks(row_id) for row_id in shelf.row_ids()}


@given(steps=STEPS)
def test_a_shelf_on_disk_is_one_in_memory(steps: list[tuple[str, Stage, Task]]) -> None:
    """After any puts and removals both hold the same rows in the same order, and give the same tasks."""
    memory = InMemory()
    with RowStore() as disk:
        for what, stage, task in steps:
            for shelf in (disk, memory):
                if what == "put":
                    shelf.put(stage, task)
                else:
                    shelf.forget(task.row_id)
            assert disk.get(stage, task) == memory.get(stage, task)
        assert held(disk) == held(memory)


def test_a_store_is_filled_and_then_changed() -> None:
    """A task that was read with all others is replaced, not doubled, when it is read again."""
    task = Task(
        id=3,
        project=1,
        data={"row_id": "r"},
        meta={},
        overlap=2,
        is_labeled=False,
        created_at=MOMENT,
        updated_at=MOMENT,
    )
    with RowStore() as store:
        store.fill(Stage.PASS, [("r", 3, pickle.dumps(task)), ("", 4, b"")])
        store.put(Stage.PASS, replace(task, is_labeled=True))
        assert store.tasks("r") == {Stage.PASS: [replace(task, is_labeled=True)]}
        assert len(store) == 1
