"""What sync does about everything a stock server lets people do: each case on a real one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from label_studio_quorum.adapters.ml_backend import ModelAnswer
from label_studio_quorum.campaign.importing import import_rows
from label_studio_quorum.campaign.projects import Campaign
from label_studio_quorum.campaign.reconcile import DecidedRow, ReconcileReport, decide_rows, reconcile
from label_studio_quorum.campaign.snapshot import Snapshot
from label_studio_quorum.intake import Row
from label_studio_quorum.port import NewPrediction
from review_rules import Stage, State
from tests.support.campaigns import PEOPLE, POLICY, Bench, Json
from tests.support.servers import LabelStudioServer

pytestmark = pytest.mark.server

GOOD = {"verdict": "Correct", "response_type": "Direct answer", "correctness": 5, "completeness": 5, "helpfulness": 5,
        "tone": 5}  # fmt: skip
BAD = GOOD | {"verdict": "Incorrect"}


class Case:
    """A campaign of few rows, driven in-process: the same functions as the commands, without their start-up time."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.port = bench.port

    @property
    def campaign(self) -> Campaign:
        """The campaign as a fresh run would find it."""
        return self.bench.campaign()

    def sync(self) -> ReconcileReport:
        """One run."""
        return reconcile(self.port, self.campaign)

    def state(self, row_id: str) -> State:
        """Where a row stands."""
        return next(row.decision.state for row in self.decided() if row.row_id == row_id)

    def decided(self) -> list[DecidedRow]:
        """All rows, decided."""
        campaign = self.campaign
        with Snapshot.read(self.port, campaign) as snapshot:
            return list(decide_rows(campaign, snapshot, snapshot.row_ids))

    def task(self, stage: str, row_id: str, *, open_only: bool = True) -> Json:
        """The row's one open task of a stage."""
        found = self.tasks(stage, row_id)
        (one,) = [task for task in found if not task["is_labeled"]] if open_only else found
        return one

    def tasks(self, stage: str, row_id: str) -> list[Json]:
        """The row's tasks of a stage."""
        return [task for task in self.bench.tasks(stage) if task["data"]["row_id"] == row_id]

    def both_pass(self, row_id: str) -> tuple[Json, Json]:
        """Ana and Chi pass the row and agree."""
        task = self.task("pass", row_id)
        return self.bench.submit("ana", task, GOOD), self.bench.submit("chi", task, GOOD)


@pytest.fixture(scope="module")
def crew(ls_server: LabelStudioServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Five people with accounts."""
    bench = Bench(ls_server, tmp_path_factory.mktemp("crew"))
    bench.set_up([])
    yield bench
    bench.close()


@pytest.fixture
def case(crew: Bench, tmp_path: Path) -> Iterator[Case]:
    """Three rows of general content, ready for the passes."""
    bench = Bench(crew.server, tmp_path, crew=crew)
    bench.set_up_here(
        [Row(row_id=f"r{n}", context="", query="q", response="An answer.", domain="general") for n in (1, 2, 3)]
    )
    yield Case(bench)
    bench.close()


def test_a_pass_that_does_not_count_sends_the_row_to_a_third_person(case: Case) -> None:
    """Cleo is no annotator: her pass fills the overlap, does not count, and somebody else is handed the row."""
    task = case.task("pass", "r1")
    case.bench.submit("ana", task, GOOD)
    case.bench.submit("cleo", task, GOOD)
    assert case.task("pass", "r1", open_only=False)["is_labeled"]
    assert case.sync().changes == {"requeue": 1}
    assert case.task("pass", "r1")["overlap"] == 3
    case.bench.work("chi", "pass", lambda *_: GOOD)
    case.sync()
    assert case.state("r1") is State.AWAITING_QA


def test_somebody_elses_edit_takes_the_pass_out_of_the_count(case: Case) -> None:
    """A stock server lets anybody overwrite a peer's answer; what was overwritten counts for nobody."""
    first, _ = case.both_pass("r1")
    case.bench.correct("chi", first["id"], BAD, {"row_id": "r1"})
    case.sync()
    assert case.state("r1") is State.AWAITING_PASSES
    (row,) = [row for row in case.decided() if row.row_id == "r1"]
    (void,) = [entry for entry in row.record.history.to_json()["passes"] if entry["by"] is None]
    assert (void["annotator"], void["void"]) == ("ana", "chi saved it last")


def test_a_later_correction_reopens_the_row(case: Case) -> None:
    """After Ana corrects her pass, Cleo's QA no longer counts; a new QA task shows the corrected pass."""
    first, _ = case.both_pass("r1")
    case.sync()
    old = case.task("qa", "r1")
    case.bench.submit("cleo", old, GOOD | {"decision": "accept"})
    case.sync()
    assert case.state("r1") is State.FINAL
    case.bench.correct("ana", first["id"], BAD, {"row_id": "r1"})
    case.sync()
    assert case.state("r1") is State.AWAITING_QA
    new = case.task("qa", "r1")
    assert new["id"] != old["id"]
    assert "Incorrect" in new["data"]["panel"]
    assert len(case.tasks("qa", "r1")) == 2, "the earlier QA stays on record"
    case.bench.submit("cleo", new, BAD | {"decision": "correct"})
    case.sync()
    (row,) = [row for row in case.decided() if row.row_id == "r1"]
    assert row.decision.to_json()["final"]["values"]["verdict"]["value"] == "Incorrect"


def test_qa_on_inputs_that_changed_meanwhile_does_not_count(case: Case) -> None:
    """Cleo had the form open while Ana corrected: what Cleo submits was given on the old passes."""
    first, _ = case.both_pass("r1")
    case.sync()
    old = case.task("qa", "r1")
    case.bench.correct("ana", first["id"], BAD, {"row_id": "r1"})
    case.bench.submit("cleo", old, GOOD | {"decision": "accept"})
    case.sync()
    assert case.state("r1") is State.AWAITING_QA
    assert case.task("qa", "r1")["id"] != old["id"]


def test_a_withdrawn_pass_withdraws_the_qa_task(case: Case) -> None:
    """When a pass is deleted before anybody did QA, the QA task goes, and comes back with the next pass."""
    first, _ = case.both_pass("r1")
    case.sync()
    case.bench.owner("DELETE", f"/api/annotations/{first['id']}/")
    assert case.sync().changes == {"withdraw_qa": 1}
    assert case.tasks("qa", "r1") == []
    case.bench.work("ben", "pass", lambda _, data: GOOD if data["row_id"] == "r1" else None)
    case.sync()
    assert case.task("qa", "r1")


def test_a_deleted_qa_task_comes_back(case: Case) -> None:
    """Who deletes a task from the queue costs a delay, not the row."""
    case.both_pass("r1")
    case.sync()
    case.bench.owner("DELETE", f"/api/tasks/{case.task('qa', 'r1')['id']}/")
    assert case.sync().changes == {"create_qa": 1}


def test_a_deleted_row_is_named(case: Case) -> None:
    """A row whose Pass task is gone takes its open QA task with it, and the run says so."""
    case.both_pass("r1")
    case.sync()
    case.bench.owner("DELETE", f"/api/tasks/{case.tasks('pass', 'r1')[0]['id']}/")
    report = case.sync()
    assert report.changes == {"withdraw_qa": 1}
    assert "r1" in report.problems[0]


def test_a_skip_is_no_pass_and_goes_to_others(case: Case) -> None:
    """Ana skips; the row still asks for two people, and Ben and Chi get it."""
    case.bench.skip("ana", case.task("pass", "r1"))
    assert case.sync().changes == {}
    done = [case.bench.work(person, "pass", lambda *_: GOOD) for person in ("ben", "chi")]
    assert done == [3, 3]
    case.sync()
    assert case.state("r1") is State.AWAITING_QA


def test_a_review_without_a_reason_brings_a_fresh_task(case: Case) -> None:
    """Discard without a reason does not count; Cleo, who may do it again, is handed the row once more."""
    case.both_pass("r1")
    case.sync()
    case.bench.submit("cleo", case.task("qa", "r1"), GOOD | {"decision": "discard"})
    case.sync()
    assert case.state("r1") is State.AWAITING_QA
    case.bench.work("cleo", "qa", lambda *_: GOOD | {"decision": "discard", "decision_reason": "Broken."})
    case.sync()
    assert case.state("r1") is State.DISCARDED


def test_nobody_reviews_their_own_row(case: Case) -> None:
    """Ana's QA on a row that she passed does not count; the task goes on to the next."""
    case.both_pass("r1")
    case.sync()
    task = case.task("qa", "r1")
    case.bench.submit("ana", task, GOOD | {"decision": "accept"})
    assert case.sync().changes == {"requeue": 1}
    assert case.task("qa", "r1")["id"] == task["id"]
    assert case.bench.work("cleo", "qa", lambda *_: GOOD | {"decision": "accept"}) == 1
    case.sync()
    assert case.state("r1") is State.FINAL


def test_a_doubled_row_counts_as_one(case: Case) -> None:
    """Two imports at once doubled a row: without an answer the double goes, with answers both count as one queue."""
    first = case.task("pass", "r1")
    for row_id in ("r1", "r2"):
        held = case.task("pass", row_id)
        case.bench.owner(
            "POST",
            f"/api/projects/{case.bench.projects['pass']}/import",
            json=[{"data": held["data"], "meta": held["meta"]}],
        )
    for person, task in zip(("ana", "chi"), case.tasks("pass", "r2"), strict=True):
        case.bench.submit(person, task, GOOD)
    report = case.sync()
    assert report.changes == {"withdraw_pass": 1, "requeue": 2, "create_qa": 1}
    assert [task["id"] for task in case.tasks("pass", "r1")] == [first["id"]]
    assert case.state("r2") is State.AWAITING_QA
    assert case.sync().changes == {}


def test_watch_is_woken_by_webhooks_and_repairs_without_them(case: Case) -> None:
    """Within seconds of the second pass the QA task is there; with webhooks off the timer does it."""
    files = ("--policy", str(case.bench.policy_file), "--team", str(case.bench.team_file))
    command = case.bench.command("sync", "--watch", "--every", "2", "--name", case.bench.name, *files)
    with subprocess.Popen(command, env=case.bench.environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            assert "watching" in process.stderr.readline()
            hooks = case.port.webhooks(case.campaign.project(Stage.PASS))
            assert [hook.active for hook in hooks] == [True]
            case.both_pass("r1")
            _until(lambda: len(case.tasks("qa", "r1")) == 1)
            for hook in hooks:
                case.bench.owner("DELETE", f"/api/webhooks/{hook.id}/")
            case.both_pass("r2")
            _until(lambda: len(case.tasks("qa", "r2")) == 1)
        finally:
            os.kill(process.pid, signal.SIGTERM)
            assert process.wait(timeout=30) == 0


def _until(true: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.2)


def test_team_apply_makes_accounts_that_can_log_in_once_each(crew: Bench) -> None:
    """Everybody of the team has an account by now; a second apply makes none, and the passwords are private."""
    passwords = crew.folder / "passwords.json"
    assert passwords.stat().st_mode & 0o777 == 0o600
    assert set(crew.people) == set(PEOPLE)
    assert crew.quorum_json("team", "apply", str(crew.team_file), "--name", crew.name)["missing"] == []


def test_another_policy_is_refused_until_set_up_again(crew: Bench, tmp_path: Path) -> None:
    """A policy file that differs from the campaign's is named, and nothing is done."""
    other = tmp_path / "policy.yaml"
    other.write_text(POLICY.replace("passes: 2", "passes: 3"), encoding="utf-8")
    done = crew.quorum("sync", "--policy", str(other), exit_code=1)
    assert "policy" in done.stderr
    assert "Traceback" not in done.stderr


class FixedAnswers:
    """A predictor that says the same of every row, under a version of its own."""

    def __init__(self, result: list[Json]) -> None:
        self._result = result

    def predict(self, data: Sequence[Json]) -> list[ModelAnswer]:
        """One for each."""
        one = NewPrediction(model_version="mini@1", result=self._result)
        return [ModelAnswer(prediction=one, domain="technical") for _ in data]


def test_forms_open_pre_filled_whoever_labelled_the_row_before(case: Case) -> None:
    """Label Studio serves one model version a project; rows of the ML backend and of the file both come filled."""
    filled = case.bench.result(GOOD, {})
    new = [
        Row(row_id="of the file", context="", query="q", response="r", auto_label=GOOD),
        Row(row_id="of the model", context="", query="q", response="r"),
    ]
    import_rows(case.port, case.campaign, new, predictor=FixedAnswers(filled))
    served = {}
    while (task := case.bench.next_task("ben", "pass")) is not None:
        served[task["data"]["row_id"]] = [one["model_version"] for one in task["predictions"]]
        case.bench.submit("ben", task, GOOD)
    assert served == {"r1": [], "r2": [], "r3": [], "of the file": ["auto-label"], "of the model": ["auto-label"]}
    (both,) = case.tasks("pass", "of the model")
    domains = {row.row_id: row.record.history.predicted_domain for row in case.decided()}
    assert domains == {"r1": None, "r2": None, "r3": None, "of the file": "technical", "of the model": "technical"}
    assert sorted(one["model_version"] for one in both["predictions"]) == ["auto-label", "mini@1"]


def test_a_prediction_that_came_later_pre_fills_too(case: Case) -> None:
    """What a model adds to a row that nobody has begun is served from the next sync on."""
    task = case.task("pass", "r1")
    filled = case.bench.result(GOOD, {})
    case.bench.owner(
        "POST", "/api/predictions/", json={"task": task["id"], "model_version": "late@2", "result": filled}
    )
    assert case.sync().changes == {"prefill": 1}
    versions = [one["model_version"] for one in case.task("pass", "r1")["predictions"]]
    assert sorted(versions) == ["auto-label", "late@2"]
    assert case.sync().changes == {}


def test_doctor_names_what_somebody_changed_and_set_up_mends_it(case: Case) -> None:
    """Another overlap, a changed text and a lost marker are each one line with what to do."""
    project = case.bench.projects["qa"]
    files = ("--policy", str(case.bench.policy_file), "--team", str(case.bench.team_file), "--name", case.bench.name)
    case.bench.owner("PATCH", f"/api/projects/{project}/", json={"maximum_annotations": 2})
    task = case.tasks("pass", "r2")[0]
    case.bench.owner("PATCH", f"/api/tasks/{task['id']}/", json={"data": task["data"] | {"response": "Other."}})
    report = json.loads(case.bench.quorum("doctor", "--full", "--json", *files, exit_code=1).stdout)
    told = {(check["level"], check["about"]): check["message"] for check in report["checks"]}
    assert "maximum_annotations is 2, not 1" in told["warn", "settings"]
    assert "r2" in told["fail", "rows"]
    assert ("warn", "rules on the server") in told
    case.bench.owner("PATCH", f"/api/tasks/{task['id']}/", json={"data": task["data"]})
    assert case.bench.quorum_json("setup", *files)["changes"] == [f"project {project} (qa): set maximum_annotations"]
    assert case.bench.quorum_json("setup", *files)["changes"] == []
    case.bench.owner("PATCH", f"/api/projects/{project}/", json={"description": "No marker."})
    lost = case.bench.quorum("doctor", *files, exit_code=1)
    assert "is titled as its qa project and has no quorum: line" in lost.stdout
    assert "Traceback" not in lost.stderr


def test_doctor_names_a_form_of_another_row(case: Case) -> None:
    """The form of one row, saved for another by a task id that was given out again, as SQLite does: plain doctor."""
    for row_id in ("r1", "r2"):
        case.both_pass(row_id)
    case.sync()
    (other,) = case.task("qa", "r2")["predictions"]
    stale = [*other["result"], *case.bench.result({"decision": "accept"}, {})]
    target = case.task("qa", "r1")["id"]
    answer = case.bench.people["cleo"].post(
        f"/api/tasks/{target}/annotations/", json={"result": stale}, headers=case.bench.csrf("cleo")
    )
    assert answer.status_code == 201, answer.text
    case.sync()
    assert case.state("r1") is State.AWAITING_QA
    files = ("--policy", str(case.bench.policy_file), "--team", str(case.bench.team_file), "--name", case.bench.name)
    named = "1 answer counts for nothing, such as one of row 'r1': its form showed another row"
    assert f"warn  answers: {named}" in case.bench.quorum("doctor", *files).stdout
    assert f"warning: {named}" in case.bench.quorum("sync", *files).stderr
    assert named in case.bench.quorum("status", *files).stderr
