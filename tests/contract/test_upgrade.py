"""A database and a job queue of the version before go on working: labelled with the old code, finished with the new."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest
from redis import Redis
from rq import Queue
from rq.registry import FailedJobRegistry

from label_studio_quorum.campaign.projects import find_all
from label_studio_quorum.servers.processes import free_port, wait_until
from tests.contract.plugin_postgres import missing, postgres, redis, served, worker
from tests.contract.test_campaign import NUMBERS, answer, rows, truth
from tests.support.campaigns import Bench
from tests.support.servers import ROOT

pytestmark = [pytest.mark.server, pytest.mark.slow]

BEFORE = "1eca9e0a2206d6be7f4df1800943483ea9784871"
"""The last commit of the layout before: its packages were `workflow`, `scripts` and a flat `ls_plugin`."""
ROWS = 8


@pytest.fixture(scope="module")
def old_code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source tree of the version before, out of this checkout's history."""
    archive = subprocess.run(["git", "archive", BEFORE], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode != 0:
        pytest.skip(f"commit {BEFORE[:7]} is not in this checkout's history")
    folder = tmp_path_factory.mktemp("before")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tree:
        tree.extractall(folder, filter="data")
    return folder


@dataclass
class OldBench(Bench):
    """A campaign whose commands are those of the version before.

    Attributes:
        code: The source tree of that version.
    """

    code: Path = ROOT

    @property
    def environment(self) -> dict[str, str]:
        """The commands find the old packages before the installed ones."""
        return super().environment | {"PYTHONPATH": str(self.code)}

    @cached_property
    def projects(self) -> dict[str, int]:
        """Stage → project id, by the markers: a server of before does not say which files it goes by."""
        found = find_all(self.port.projects())[self.name]
        return {stage.value: projects[0].id for stage, projects in found.items()}

    def command(self, *arguments: str) -> list[str]:
        """The command line of `quorum …` as it was."""
        return [sys.executable, "-m", "scripts.cli", *arguments]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of before in a process of its own, as this one has the new packages."""
        return subprocess.run(
            self.command(*arguments), env=self.environment, cwd=self.folder, capture_output=True, text=True, check=False
        )


def label_half(bench: OldBench) -> None:
    """Under the old version: some rows have both passes, some one, and a seat is open while the server changes."""
    bench.set_up(rows()[:ROWS])
    assert bench.work("ana", "pass", answer, 3) == 3
    assert bench.work("ben", "pass", answer, 2) == 2
    assert bench.next_task("ana", "pass") is not None
    bench.close()


def finish(bench: Bench) -> None:
    """Under this version: the same accounts work on until nothing is left, and what comes out is right and proven."""
    bench.finish(answer)
    records = bench.export()
    assert {record["row_id"] for record in records} == {row["id"] for row in rows()[:ROWS]}
    for record in records:
        values = {name: field["value"] for name, field in record["final"]["values"].items()}
        assert values == truth(NUMBERS[record["row_id"]])
    passes = Counter(person for record in records for person in record["certificate"]["passes"])
    # What the old version stored is among it.
    assert passes["ana"] >= 3
    assert passes["ben"] >= 2
    bench.quorum("verify", "out.jsonl", "--policy", str(bench.policy_file), "--team", str(bench.team_file))
    assert bench.quorum_json("audit")["proven"]
    assert bench.quorum_json("doctor", "--full")["ok"]
    bench.close()


def test_a_sqlite_database_of_the_version_before_goes_on(old_code: Path, tmp_path: Path) -> None:
    """Labelled halfway on the old code, the campaign ends on this one: all rows gold, verified, the audit proven."""
    port = free_port()
    with served(tmp_path, {"PYTHONPATH": str(old_code)}, port=port) as server:
        old = OldBench(server, tmp_path, code=old_code)
        label_half(old)
    with served(tmp_path, {}, port=port) as server:
        finish(Bench(server, tmp_path, tag=old.tag))


def test_postgresql_and_a_job_that_waited_in_redis_go_on(old_code: Path, tmp_path: Path) -> None:
    """A job that the old version queued, with no worker to take it, is carried out by this version's worker."""
    if lack := missing():
        pytest.skip(lack)
    port = free_port()
    with postgres() as database, redis(tmp_path) as queue_server:
        extra = database | queue_server
        with served(tmp_path, extra | {"PYTHONPATH": str(old_code)}, port=port) as server:
            old = OldBench(server, tmp_path, code=old_code)
            label_half(old)
        with Redis(port=int(queue_server["REDIS_PORT"])) as connection:
            queue = Queue("critical", connection=connection)
            assert {job.func_name for job in queue.jobs} == {"ls_plugin.jobs.reconcile_row"}
            with served(tmp_path, extra, port=port) as server, worker(server, tmp_path, extra) as child:
                wait_until(lambda: queue.count == 0, child, 120)
                finish(Bench(server, tmp_path, tag=old.tag))
            assert FailedJobRegistry(queue=queue).get_job_ids() == []
