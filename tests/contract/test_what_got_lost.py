"""What was deleted in the database, past every rule of the server, is found by the commands and mended where it can."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import requests

from tests.contract.test_campaign import rows
from tests.support.campaigns import Bench
from tests.support.servers import LabelStudioServer

pytestmark = pytest.mark.server
GOOD = {"verdict": "Correct"}


@pytest.fixture
def bench(ls_server_plugin: LabelStudioServer, tmp_path: Path) -> Iterator[Bench]:
    """Three rows, of which one has both passes and waits for QA, on a server with another campaign."""
    other = tmp_path / "other"
    other.mkdir()
    Bench(ls_server_plugin, other, "classification", "version: 1\nexpert_domains: []\n").set_up([])
    made = Bench(ls_server_plugin, tmp_path, "classification", "version: 1\nexpert_domains: []\n")
    made.set_up(
        [{"id": row["id"], "context": "c", "query": "q", "response": "r", "domain": "general"} for row in rows()[:3]]
    )
    for person in ("ana", "chi"):
        assert made.work(person, "pass", lambda *_: GOOD, most=1) == 1
    yield made
    made.close()


def _in_database(bench: Bench, sql: str, *parameters: object) -> None:
    """Write into the database as its administrator does."""
    with closing(sqlite3.connect(bench.server.data_dir / "label_studio.sqlite3", timeout=30)) as database, database:
        database.execute(sql, parameters)


def _failing(bench: Bench, exit_code: int = 1) -> set[str]:
    done = bench.quorum("doctor", exit_code=exit_code)
    return {line.split()[1].rstrip(":") for line in done.stdout.splitlines() if line.startswith("fail")}


def test_doctor_finds_what_is_gone_and_sync_mends_it(bench: Bench) -> None:
    """An emptied description, an answer deleted and a seal on a row that waits, on a running server."""
    _failing(bench, exit_code=0)
    _in_database(bench, "UPDATE project SET description = '' WHERE id = ?", bench.projects["qa"])
    answered = "SELECT min(id) FROM task_completion WHERE project_id = ?"
    _in_database(bench, f"DELETE FROM task_completion WHERE id = ({answered})", bench.projects["pass"])
    _in_database(
        bench,
        "UPDATE ls_plugin_slot SET sealed = 1 WHERE taken = 0 AND project_id = ?",
        bench.projects["pass"],
    )
    found = bench.quorum("doctor", exit_code=1).stdout
    for about in ("marker", "answers gone", "seats", "hand-outs", "seals"):
        assert f"fail  {about}: " in found, found
    mended = bench.quorum("sync", exit_code=0).stderr
    assert f"mended: project {bench.projects['qa']} (qa) has lost the quorum: line" in mended
    left = bench.quorum("doctor", exit_code=1).stdout
    assert [line.split(":")[0] for line in left.splitlines() if line.startswith("fail")] == ["fail  answers gone"]
    assert "1 answers that people gave" in bench.quorum("status").stderr
    assert bench.work("ana", "pass", lambda *_: GOOD) == 3


def test_a_deleted_project_is_said_and_not_begun_anew(bench: Bench) -> None:
    """Set-up names what is lost; a new project is made only on --repair."""
    refused = requests.delete(
        f"{bench.server.url}/api/projects/{bench.projects['pass']}/",
        headers={"Authorization": f"Token {bench.server.token}"},
        timeout=60,
    )
    assert (refused.status_code, refused.json()["code"]) == (409, "answered")
    _in_database(bench, "UPDATE project SET title = 'gone', description = '' WHERE id = ?", bench.projects["expert"])
    moved = "UPDATE ls_plugin_campaignproject SET project_id = 987654 WHERE project_id = ?"
    _in_database(bench, moved, bench.projects["expert"])
    files = ["--name", bench.name, "--task", bench.task]
    files += ["--policy", str(bench.policy_file), "--team", str(bench.team_file)]
    said = bench.quorum("setup", *files, exit_code=1).stderr
    assert "has lost its expert project" in said
    assert "--repair" in said
    assert "the expert project 987654 is gone" in bench.quorum("doctor", exit_code=1).stdout
    assert "create project" in bench.quorum("setup", *files, "--repair").stdout
    assert not [line for line in bench.quorum("doctor").stdout.splitlines() if line.startswith("fail")]
