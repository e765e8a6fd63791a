"""A review form that was left open answers what it showed, and nothing else that has its task's id by now."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from label_studio_quorum.campaign.doctor import Level, check_answers
from label_studio_quorum.campaign.history import STORED_AT, HistoryReader
from label_studio_quorum.campaign.projects import PROPOSAL
from label_studio_quorum.campaign.reconcile import DecidedRow, decide_rows, reconcile
from label_studio_quorum.campaign.snapshot import Snapshot
from label_studio_quorum.campaign.status import campaign_status
from label_studio_quorum.port import Result, Task
from ls_config.results import to_result
from review_rules import Decision, Stage, State, decide
from tests.property.test_reconcile import CONTROLS, World, new_world, sync


def passes(world: World, row_id: str, verdict: str = "A") -> None:
    """Two people label a row."""
    task = next(task for task in world.server.tasks(world.campaign.project(Stage.PASS)) if task.row_id == row_id)
    for user in (1, 2):
        world.server.submit(task.id, user, to_result({"verdict": verdict}, CONTROLS, task.data))


def qa_task(world: World, row_id: str) -> Task:
    """The row's QA task."""
    (task,) = (task for task in world.server.tasks(world.campaign.project(Stage.QA)) if task.row_id == row_id)
    return task


def accepted(task: Task) -> Result:
    """What a browser sends that opened this task and pressed Accept: what it was filled in with, seen or not."""
    (form,) = (prediction.result for prediction in task.predictions if prediction.model_version == PROPOSAL)
    return [*form, *to_result({"decision": "accept"}, CONTROLS, task.data)]


def escalated(task: Task) -> Result:
    """The same of somebody who sends the row to an expert."""
    (form,) = (prediction.result for prediction in task.predictions if prediction.model_version == PROPOSAL)
    return [*form, *to_result({"decision": "escalate", "decision_reason": "who knows?"}, CONTROLS, task.data)]


def decision_of(world: World, row_id: str) -> Decision:
    """What the rules say of the row now."""
    campaign = world.campaign
    reader = HistoryReader(interface=campaign.interface, people=campaign.people, passes=campaign.policy.passes)
    with Snapshot.read(world.server, campaign, [row_id]) as snapshot:
        history = reader.read(snapshot.tasks(row_id)).history
    return decide(history, campaign.team, campaign.policy)


@pytest.fixture
def world() -> World:
    """Two rows of which both have their passes and a QA task."""
    made = new_world()
    for row_id in ("r1", "r2"):
        passes(made, row_id)
    sync(made)
    return made


def test_a_form_of_another_row_does_not_count(world: World) -> None:
    """Row A's form, sent to the task that has its id by now, is a finding at row B and no review of it."""
    form = accepted(qa_task(world, "r2"))
    world.server.submit(qa_task(world, "r1").id, 3, form)
    decision = decision_of(world, "r1")
    assert decision.state is State.AWAITING_QA
    assert not decision.counted[Stage.QA]
    assert [finding.path for finding in decision.findings] == ["qa[0]"]


def test_a_form_of_another_row_is_named_by_doctor_sync_and_status(world: World) -> None:
    """Nobody was told on the screen of a stock server, so it is said also once the queues are in line again."""
    world.server.submit(qa_task(world, "r1").id, 3, accepted(qa_task(world, "r2")))
    line = "1 answer counts for nothing, such as one of row 'r1': its form showed another row, or this one before its"
    (said,) = reconcile(world.server, world.campaign).warnings
    assert said.startswith(line)
    with Snapshot.read(world.server, world.campaign) as snapshot:
        (check,) = check_answers(world.campaign, snapshot)
    assert (check.level, check.message) == (Level.WARN, said)
    status = campaign_status(world.server, world.campaign)
    assert status.warnings == (said,)
    assert status.to_json()["warnings"] == [said]


def test_a_form_of_the_row_before_it_changed_does_not_count(world: World) -> None:
    """The passes were corrected meanwhile and a new task has the old one's id: the row is asked for again."""
    task = qa_task(world, "r1")
    form = accepted(task)
    (first, *_) = (each for each in world.server.tasks(world.campaign.project(Stage.PASS)) if each.row_id == "r1")
    for annotation in first.annotations:
        by = annotation.by or 0
        world.server.edit(first.id, annotation.id, by, to_result({"verdict": "B"}, CONTROLS, first.data))
    sync(world)
    world.server.submit(qa_task(world, "r1").id, 3, form)
    decision = decision_of(world, "r1")
    assert (decision.state, decision.proposal["verdict"].value) == (State.AWAITING_QA, "B")


def test_a_form_of_the_row_itself_counts(world: World) -> None:
    """The form as it was opened, and what a program sends that knows nothing of it."""
    task = qa_task(world, "r1")
    world.server.submit(task.id, 3, accepted(task))
    assert decision_of(world, "r1").state is State.FINAL
    world.server.submit(qa_task(world, "r2").id, 4, to_result({"verdict": "A", "decision": "accept"}, CONTROLS, {}))
    assert decision_of(world, "r2").counted[Stage.QA]


def test_a_project_that_was_set_up_before_goes_on(world: World) -> None:
    """Its form has no control for the seal, so no task is made with one, and its reviews count."""
    campaign = world.campaign
    plain = {
        stage: replace(project, label_config=project.label_config.replace("review_of", "decision_memo"))
        for stage, project in campaign.projects.items()
    }
    world.campaign = replace(campaign, projects=plain)
    for task in list(world.server.tasks(campaign.project(Stage.QA))):
        world.server.delete_task(task.id)
    sync(world)
    task = qa_task(world, "r1")
    assert "review_of" not in {item["from_name"] for prediction in task.predictions for item in prediction.result}
    world.server.submit(task.id, 3, accepted(task))
    assert decision_of(world, "r1").state is State.FINAL


def row_of(world: World, row_id: str) -> DecidedRow:
    """The row as the rules see it now."""
    with Snapshot.read(world.server, world.campaign, [row_id]) as snapshot:
        (row,) = decide_rows(world.campaign, snapshot, [row_id])
    return row


@pytest.mark.parametrize("back", [timedelta(minutes=5), timedelta(hours=1), timedelta(days=400)], ids=str)
def test_under_a_clock_that_was_set_back_answers_count_in_order(back: timedelta) -> None:
    """No row is asked for more than once at a stage; that the clock is wrong is said, with how the answers count."""
    world = new_world()
    for row_id in ("r1", "r2"):
        passes(world, row_id)
    server, campaign = world.server, world.campaign
    server.set_clock(server.tick() - back)
    sync(world)
    server.submit(qa_task(world, "r1").id, 3, accepted(qa_task(world, "r1")))
    form = [*escalated(qa_task(world, "r2"))]
    server.submit(qa_task(world, "r2").id, 3, form)
    report = reconcile(server, campaign)
    (expert,) = server.tasks(campaign.project(Stage.EXPERT))
    server.submit(expert.id, 4, accepted(expert))
    assert sync(world) == {}
    assert [row_of(world, row_id).decision.state for row_id in ("r1", "r2")] == [State.FINAL, State.FINAL]
    assert all(len(tasks) == 1 for row_id in ("r1", "r2") for tasks in row_of(world, row_id).tasks.values())
    assert report.problems == ()
    (said,) = report.warnings
    assert said.startswith("2 answers count by their order and not by their time, such as one of row 'r1': the server")
    history = row_of(world, "r2").record.history
    times = [submission.raw["at"] for submission in (*history.passes, *history.qa, *history.expert)]
    assert times == sorted(set(times))
    assert [STORED_AT in submission.raw for submission in (*history.passes, *history.qa, *history.expert)] == [
        False, False, True, True,
    ]  # fmt: skip


def test_what_a_form_did_not_carry_is_named_and_not_asked_for_again_under_that_clock(world: World) -> None:
    """Of another program's answer the order is not known; once it is deleted under a right clock, the row goes on."""
    server, campaign = world.server, world.campaign
    now = server.tick()
    server.set_clock(now - timedelta(hours=1))
    task = qa_task(world, "r1")
    answer = server.submit(task.id, 3, to_result({"verdict": "A", "decision": "accept"}, CONTROLS, {}))
    for _ in range(3):
        (problem,) = reconcile(server, campaign).problems
        assert problem.startswith(f"row r1: its qa answer {answer} is no later than what it was given on")
    assert row_of(world, "r1").decision.state is State.AWAITING_QA
    assert [each.id for each in row_of(world, "r1").tasks[Stage.QA]] == [task.id]
    assert reconcile(server, campaign).changes == {}
    server.set_clock(now)
    server.remove(task.id, answer)
    sync(world)
    server.submit(qa_task(world, "r1").id, 3, accepted(qa_task(world, "r1")))
    assert row_of(world, "r1").decision.state is State.FINAL


def test_a_reason_that_was_forgotten_under_that_clock_can_be_given(world: World) -> None:
    """The answer counts for nothing as it lacks a reason, so the row is asked for once more, and then counts."""
    server = world.server
    server.set_clock(server.tick() - timedelta(hours=1))
    for form in ({"decision": "discard"}, {"decision": "discard", "decision_reason": "Broken."}):
        (task,) = (task for task in server.tasks(world.campaign.project(Stage.QA)) if _is_open(task, "r1"))
        (filled,) = (prediction.result for prediction in task.predictions if prediction.model_version == PROPOSAL)
        server.submit(task.id, 3, [*filled, *to_result(form, CONTROLS, task.data)])
        sync(world)
    assert row_of(world, "r1").decision.state is State.DISCARDED
    assert len(row_of(world, "r1").tasks[Stage.QA]) == 2


def _is_open(task: Task, row_id: str) -> bool:
    return task.row_id == row_id and not task.is_labeled
