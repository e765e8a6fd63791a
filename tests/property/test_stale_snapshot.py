"""A watcher whose reading is behind the server takes nothing from anybody, and makes nothing twice."""

from __future__ import annotations

from datetime import timedelta

from label_studio_quorum.campaign.reconcile import reconcile
from label_studio_quorum.campaign.snapshot import Snapshot
from ls_config.results import to_result
from review_rules import Stage
from tests.property.test_reconcile import CONTROLS, World, new_world, sync


def _pass(world: World, row_id: str, user: int) -> None:
    project = world.campaign.project(Stage.PASS)
    task = next(one for one in world.server.tasks(project) if one.row_id == row_id)
    world.server.submit(task.id, user, to_result({"verdict": "A"}, CONTROLS, task.data))


def _qa(world: World) -> list[int]:
    return [task.id for task in world.server.tasks(world.campaign.project(Stage.QA))]


def test_a_reading_that_lacks_a_pass_withdraws_nothing() -> None:
    """A row whose second pass the reading has missed keeps its QA task, though by that reading it has none to have."""
    world = new_world()
    _pass(world, "r1", 1)
    with Snapshot.read(world.server, world.campaign) as behind:
        _pass(world, "r1", 2)
        sync(world)
        (right,) = _qa(world)
        for task in world.server.tasks(world.campaign.project(Stage.QA)):
            behind._put(task)
        report = reconcile(world.server, world.campaign, ["r1"], snapshot=behind)
        assert _qa(world) == [right]
        assert report.changes == {}


def test_a_reading_that_lacks_the_qa_task_makes_no_second_one() -> None:
    """A row whose QA task the reading has missed gets no other, so that there is no double to be withdrawn later."""
    world = new_world()
    _pass(world, "r1", 1)
    _pass(world, "r1", 2)
    with Snapshot.read(world.server, world.campaign) as behind:
        sync(world)
        (right,) = _qa(world)
        report = reconcile(world.server, world.campaign, ["r1"], snapshot=behind)
        assert _qa(world) == [right]
        assert report.changes == {}


def test_a_withdrawn_task_is_forgotten() -> None:
    """After a correction the old QA task is withdrawn once, and no later run of the same watcher speaks of it again."""
    world = new_world()
    _pass(world, "r1", 1)
    _pass(world, "r1", 2)
    sync(world)
    with Snapshot.read(world.server, world.campaign) as watching:
        (task,) = (one for one in world.server.tasks(world.campaign.project(Stage.PASS)) if one.row_id == "r1")
        first = task.annotations[0]
        world.server.edit(task.id, first.id, 1, to_result({"verdict": "B"}, CONTROLS, task.data))
        changes = [
            reconcile(world.server, world.campaign, sorted(watching.refresh(world.server)), snapshot=watching).changes
            for _ in range(3)
        ]
        assert changes == [{"create_qa": 1, "withdraw_qa": 1}, {}, {}]
        again = reconcile(world.server, world.campaign, ["r1"], snapshot=watching)
        assert again.changes == {}


def test_a_change_that_was_written_a_minute_late_is_read() -> None:
    """A task whose time lies a minute before what was seen already is read by the next refresh."""
    world = new_world()
    with Snapshot.read(world.server, world.campaign) as snapshot:
        _pass(world, "r1", 1)
        assert snapshot.refresh(world.server) == {"r1"}
        late = next(one for one in world.server.tasks(world.campaign.project(Stage.PASS)) if one.row_id == "r2")
        _pass(world, "r2", 2)
        held = world.server._tasks[late.id]
        seen = max(snapshot._seen.values())
        world.server._tasks[late.id] = type(held)(
            **{name: getattr(held, name) for name in held.__slots__} | {"updated_at": seen - timedelta(minutes=1)}
        )
        assert snapshot.refresh(world.server) == {"r2"}
