"""Rows in on a real server: every fault at once, nothing half, and real rows pre-labelled by the real ML backend."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from label_studio_quorum.adapters.ml_backend import MLBackendClient
from label_studio_quorum.campaign.importing import CheckedFile, import_rows
from label_studio_quorum.campaign.projects import AUTO_LABEL, find_all
from label_studio_quorum.campaign.turns import TITLE
from label_studio_quorum.port import MLConnection
from review_rules import Stage, load_policy, withheld
from tests.support.campaigns import POLICY, Bench, Json
from tests.support.servers import ROOT, LabelStudioServer, MlServer

pytestmark = pytest.mark.server

SHARED = Path(os.environ.get("QUORUM_SHARED_DATA") or ROOT.parent / "shared" / "data")
REAL = SHARED / "responses_dev.jsonl"
FORM = {"verdict": "Correct", "response_type": "Direct answer", "correctness": 5, "completeness": 5, "helpfulness": 5,
        "tone": 5}  # fmt: skip


@pytest.fixture
def bench(ls_server: LabelStudioServer, tmp_path: Path) -> Iterator[Bench]:
    """A campaign without rows."""
    made = Bench(ls_server, tmp_path)
    made.quorum(
        "setup",
        "--name",
        made.name,
        "--task",
        made.task,
        "--policy",
        str(made.policy_file),
        "--team",
        str(made.team_file),
    )
    yield made
    made.close()


def row(name: str, **more: object) -> Json:
    """A row."""
    return {"id": name, "context": "", "query": "q", "response": "ACME won.", "domain": "general"} | more


def test_faults_keep_the_whole_file_out_unless_bad_rows_are_skipped(bench: Bench) -> None:
    """Every fault is told at once with line, row and field; --skip-bad brings the good rows and writes the others to a
    file that is imported once it is mended. What only the whole file shows is told too."""
    file = bench.rows_file(
        [
            row("good"),
            row("twice"),
            row("twice"),
            row("span", auto_label=FORM | {"entities": [{"start": 5, "end": 99, "label": "ORG"}]}),
            row("label", auto_label={"verdict": "Perhaps"}),
            {"id": "bare", "query": "q", "response": "r"},
        ]
    )
    done = bench.quorum("import", str(file), "--no-prelabel", exit_code=1)
    for place in ("rows.jsonl:3", "rows.jsonl:4", "rows.jsonl:5", "rows.jsonl:6", "entities", "verdict", "context"):
        assert place in done.stderr
    assert bench.tasks("pass") == []
    dry = bench.quorum("import", str(file), "--no-prelabel", "--skip-bad", "--dry-run", exit_code=1)
    assert "would import 2 rows" in dry.stdout
    assert bench.tasks("pass") == []
    done = bench.quorum("import", str(file), "--no-prelabel", "--skip-bad", exit_code=1)
    assert "QD.W060" in done.stderr
    assert [task["data"]["row_id"] for task in bench.tasks("pass")] == ["good", "twice"]
    rejects = bench.folder / "rows.jsonl.rejects.jsonl"
    assert str(rejects) in done.stderr
    rejected = [json.loads(line) for line in rejects.read_text("utf-8").splitlines()]
    assert [one["id"] for one in rejected] == ["twice", "span", "label", "bare"]
    assert all(one["quorum.faults"] for one in rejected)
    mended = [row("thrice"), rejected[1] | {"auto_label": FORM}, rejected[2] | {"auto_label": FORM}]
    rejects.write_text("".join(json.dumps(one) + "\n" for one in mended), encoding="utf-8")
    again = bench.quorum("import", str(rejects), "--no-prelabel", "--rows-only")
    assert "QD.W" not in again.stderr
    assert [task["data"]["row_id"] for task in bench.tasks("pass")][2:] == ["thrice", "span", "label"]
    assert bench.tasks("pass")[3]["meta"]["quorum"]["extra"] == {}


def test_an_import_can_be_undone_until_work_begins(bench: Bench) -> None:
    """--undo takes an import's rows back; a changed row under a known id is a fault."""
    file = bench.rows_file([row("a"), row("b")])
    first = bench.quorum_json("import", str(file), "--no-prelabel")
    assert bench.quorum_json("import", "--undo", first["import_id"])["removed"] == 2
    assert bench.tasks("pass") == []
    second = bench.quorum_json("import", str(file), "--no-prelabel")
    assert bench.quorum_json("status", "--imports")["imports"] == {second["import_id"]: 2}
    changed = bench.quorum("import", str(bench.rows_file([row("a", query="other")])), "--no-prelabel", exit_code=1)
    assert "QD.E027" in changed.stderr
    task = bench.tasks("pass")[0]
    bench.owner("POST", f"/api/tasks/{task['id']}/annotations/", json={"result": bench.result(FORM, task["data"])})
    refused = bench.quorum("import", "--undo", second["import_id"], exit_code=1)
    assert "began" in refused.stderr
    assert len(bench.tasks("pass")) == 2


def test_withheld_rows_come_without_a_pre_annotation(ls_server: LabelStudioServer, tmp_path: Path) -> None:
    """The policy's share of rows, chosen by their ids, is labelled without seeing the auto-label."""
    policy = POLICY + "prelabel: {withhold: 0.5}\n"
    bench = Bench(ls_server, tmp_path, policy=policy)
    bench.quorum("setup", "--name", bench.name, "--policy", str(bench.policy_file), "--team", str(bench.team_file))
    bench.quorum("import", str(bench.rows_file([row(f"r{n}", auto_label=FORM) for n in range(20)])))
    rules = load_policy(policy)
    for task in bench.tasks("pass"):
        assert bool(task["predictions"]) is not withheld(task["data"]["row_id"], rules)
    assert bench.quorum_json("sync")["changes"] == {}
    bench.close()


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_file(), reason="the shared data is not here (QUORUM_SHARED_DATA)")
def test_990_real_rows_reach_the_pass_project_pre_labelled(bench: Bench, ml_server: MlServer) -> None:
    """Rows without an auto-label get the ML backend's, under its own version and under the one that pre-fills forms."""
    source = [json.loads(line) for line in REAL.read_text("utf-8").splitlines()]
    # Their auto-labels are of another label type; every third row gets one of this interface instead.
    kept = ("id", "context", "query", "response", "domain")
    file = bench.rows_file(
        [
            {key: one[key] for key in kept} | ({"auto_label": FORM} if number % 3 == 0 else {})
            for number, one in enumerate(source)
        ]
    )
    campaign = bench.campaign()
    connection = MLConnection(url=ml_server.url, user=ml_server.user, password=ml_server.password)
    with (
        CheckedFile.read(file, interface=bench.interface, policy=campaign.policy) as checked,
        MLBackendClient(connection, campaign.interface, campaign.project(Stage.PASS)) as client,
    ):
        assert checked.errors == []
        report = import_rows(bench.port, campaign, checked, predictor=client)
    assert (report.imported, report.prelabelled, report.bare) == (990, 990, 0)
    held = bench.tasks("pass")
    assert len({task["data"]["row_id"] for task in held}) == 990
    versions = Counter(tuple(sorted(one["model_version"] for one in task["predictions"])) for task in held)
    assert versions.pop((AUTO_LABEL,)) == 330
    ((both, count),) = versions.items()
    assert (AUTO_LABEL in both, len(both), count) == (True, 2, 660)
    assert bench.campaign().projects[Stage.PASS].settings["model_version"] == AUTO_LABEL
    assert bench.quorum_json("status")["prelabelled"] == 990


def at_once(bench: Bench, *arguments: str) -> list[tuple[int, str]]:
    """The same command twice at the same time; exit code and errors of both."""
    commands = [
        subprocess.Popen(
            bench.command(*arguments), env=bench.environment, cwd=bench.folder, text=True, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    errors = [command.communicate(timeout=300)[1] for command in commands]
    return [(command.returncode, error) for command, error in zip(commands, errors, strict=True)]


def test_two_imports_at_once_bring_each_row_once(bench: Bench) -> None:
    """On a stock server, which keeps no locks; whatever the two do when, a row stands once at the end."""
    rows = [{"id": f"r{n}", "context": "", "query": "Q?", "response": f"Answer {n}."} for n in range(160)]
    file = bench.rows_file(rows)
    done = at_once(bench, "import", str(file), "--no-prelabel", "--rows-only")
    assert [code for code, _ in done] == [0, 0], done
    counts = Counter(task["data"]["row_id"] for task in bench.tasks("pass"))
    assert counts == dict.fromkeys((str(row["id"]) for row in rows), 1)
    assert bench.quorum_json("sync", *(part for row in rows[:80] for part in ("--row", str(row["id"]))))["rows"] == 80


def test_two_set_ups_at_once_make_everything_once(ls_server: LabelStudioServer, tmp_path: Path) -> None:
    """On a stock server they stand in line: both end well, and nothing is there twice, not even a tab."""
    made = Bench(ls_server, tmp_path)
    try:
        files = ("--policy", str(made.policy_file), "--team", str(made.team_file))
        done = at_once(made, "setup", "--name", made.name, "--task", made.task, *files)
        assert [code for code, _ in done] == [0, 0], done
        stages = find_all(made.port.projects())[made.name]
        assert {stage: len(projects) for stage, projects in stages.items()} == dict.fromkeys(Stage, 1)
        for (project,) in stages.values():
            titles = [view.title for view in made.port.views(project.id)]
            assert Counter(titles) == dict.fromkeys(titles, 1)
            assert {"To do", "Done", "Skipped"} <= set(titles)
            assert TITLE not in titles
    finally:
        made.close()
