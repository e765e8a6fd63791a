"""Killed at any point and started again, nothing is lost and nothing doubled: commands and server, by SIGKILL."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.campaigns import Bench, Json
from tests.support.servers import LabelStudioServer, label_studio_server

pytestmark = [pytest.mark.server, pytest.mark.slow]

ROWS = 600
WORKED = 20
FORM = {"verdict": "Correct", "response_type": "Direct answer", "correctness": 5, "completeness": 5, "helpfulness": 5,
        "tone": 5}  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelStudioServer]:
    """A server of its own, because it gets killed."""
    with label_studio_server(tmp_path_factory.mktemp("mortal")) as running:
        yield running


@pytest.fixture
def bench(server: LabelStudioServer, tmp_path: Path) -> Iterator[Bench]:
    """A campaign without rows."""
    made = Bench(server, tmp_path)
    made.set_up([])
    yield made
    made.close()


def rows(count: int) -> list[Json]:
    """Rows with auto-labels."""
    return [
        {
            "id": f"row-{n}",
            "context": "",
            "query": "q" * 50,
            "response": "An answer.",
            "domain": "general",
            "auto_label": FORM,
        }
        for n in range(count)
    ]


def kill_after(bench: Bench, seconds: float, *arguments: str) -> bool:
    """Start a command and SIGKILL it after so long; whether it was still running."""
    with subprocess.Popen(
        bench.command(*arguments), env=bench.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            return True
    return False


def kill_at(bench: Bench, count: int, *arguments: str) -> bool:
    """Start a command and SIGKILL it as soon as the server has so many rows; whether it was still running."""
    project = bench.projects["pass"]
    with subprocess.Popen(
        bench.command(*arguments), env=bench.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while process.poll() is None:
            if bench.owner("GET", f"/api/projects/{project}")["task_number"] >= count:
                process.kill()
                return True
    return False


def duration(bench: Bench, *arguments: str) -> float:
    """Seconds that a command takes when it is left alone."""
    started = time.monotonic()
    bench.quorum(*arguments)
    return time.monotonic() - started


def test_an_import_killed_again_and_again_brings_each_row_once(bench: Bench) -> None:
    """Killed at six points of its way, then left alone: every row is there, once, with its pre-annotation."""
    file = str(bench.rows_file(rows(ROWS)))
    # A call brings 200 rows, so that the server has 0, 200 and 400 of them while an import is on its way.
    killed = [kill_at(bench, count, "import", file) for count in (0, 0, 1, 1, 201, 201)]
    assert killed[:2] == [True, True]
    bench.quorum("import", file)
    held = bench.tasks("pass")
    assert Counter(task["data"]["row_id"] for task in held) == {row["id"]: 1 for row in rows(ROWS)}
    assert {len(task["predictions"]) for task in held} == {1}


def test_sync_and_server_killed_again_and_again_lose_and_double_nothing(
    bench: Bench, server: LabelStudioServer
) -> None:
    """Killed at eight points, the server three times: each row has one open QA task, and every pass is there."""
    bench.quorum("import", str(bench.rows_file(rows(WORKED))))
    submitted = {bench.submit(person, task, FORM)["id"] for task in bench.tasks("pass") for person in ("ana", "chi")}
    whole = duration(bench, "sync", "--dry-run")
    for step in range(5):
        kill_after(bench, whole * (0.5 + step / 5), "sync")
    for step in range(3):
        with subprocess.Popen(
            bench.command("sync"), env=bench.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as process:
            time.sleep(whole * (0.6 + step / 5))
            server.child.kill()
            said = process.communicate(timeout=120)[1]
        assert "Traceback" not in said
        server.restart()
    bench.quorum("sync")
    passes, reviews = bench.tasks("pass"), bench.tasks("qa")
    assert {one["id"] for task in passes for one in task["annotations"]} == submitted
    assert Counter(task["data"]["row_id"] for task in reviews) == {row["id"]: 1 for row in rows(WORKED)}
    assert bench.quorum_json("sync")["changes"] == {}
    for task in reviews:
        bench.submit("cleo", task, FORM | {"decision": "accept"})
    kill_after(bench, whole * 0.8, "sync")
    assert len(bench.export()) == WORKED


def test_an_export_killed_on_its_way_leaves_the_file_as_it_was(bench: Bench) -> None:
    """The file appears whole or not at all: until then the earlier one stays."""
    bench.quorum("import", str(bench.rows_file(rows(WORKED))))
    out = bench.folder / "gold" / "gold.jsonl"
    arguments = ("export", "--all", "--out", str(out))
    whole = duration(bench, *arguments)
    before = out.read_bytes()
    for step in range(4):
        kill_after(bench, whole * (0.4 + step / 6), *arguments)
        assert out.read_bytes() == before
