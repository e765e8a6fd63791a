"""`quorum up` as people run it: a process that reaches ready, refuses clearly, stops without a trace and resumes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

from label_studio_quorum.adapters.web_session import Visitor
from label_studio_quorum.files import write_json
from label_studio_quorum.servers.data_folder import Secrets
from label_studio_quorum.servers.processes import port_is_free
from label_studio_quorum.servers.stack import StackSettings, database_stamp
from review_rules import load_policy, withheld
from tests.support.full_disk import fill, small_disk
from tests.support.servers import OWNER, ROOT, QuorumUp, example_rows, migrated_database, quorum, quorum_up

ROWS = 8
EXAMPLE_POLICY = load_policy((ROOT / "examples" / "policy.yaml").read_text(encoding="utf-8"))
PERSON_KEYS = {"id", "email", "password", "roles", "expertise"}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QuorumUp]:
    """One `quorum up` from an empty data folder; the tests of this module follow its life in order."""
    folder = tmp_path_factory.mktemp("first-start")
    running = QuorumUp(folder / "data", "--rows", str(example_rows(folder, ROWS)), "--name", "First").start()
    try:
        yield running
    finally:
        running.stop()


def left_behind(up: QuorumUp) -> list[str]:
    """Processes whose environment names the data folder, other than our own."""
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if str(up.folder).encode() in environ.read_bytes() and int(environ.parent.name) != os.getpid():
                found.append((environ.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except (OSError, ValueError):
            continue  # ended meanwhile, or somebody else's
    return found


def until_gone(up: QuorumUp, seconds: float = 30) -> list[str]:
    """What is still there when nothing should be, after giving it some seconds."""
    deadline = time.monotonic() + seconds
    while (found := left_behind(up)) and time.monotonic() < deadline:
        time.sleep(0.3)
    return found


@pytest.mark.server
def test_first_start_reaches_ready_and_says_how_to_reach_everything(up: QuorumUp) -> None:
    """From an empty folder to a pre-labelled campaign, with the access file of the contract, private to its owner."""
    access = up.wait_ready()
    file = up.folder / "access.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert set(access) == {"url", "ml_url", "manager", "people", "campaigns"}
    assert set(access["manager"]) == {"email", "password", "token"}
    assert all(set(person) == PERSON_KEYS for person in access["people"])
    assert [(one["name"], one["task"], one["rows"]) for one in access["campaigns"]] == [
        ("First", "response_review", ROWS)
    ]
    assert set(access["campaigns"][0]["projects"]) == {"pass", "qa", "expert"}
    for name in ("secrets.json", "passwords.json"):
        assert stat.S_IMODE((up.folder / name).stat().st_mode) == 0o600
    for person in access["people"]:
        assert person["password"] in up.said, "the passwords are printed"


@pytest.mark.server
def test_everyone_can_log_in_and_the_manager_can_use_the_token(up: QuorumUp) -> None:
    """What the access file says is true: passwords and token work, the ML backend answers only who may ask."""
    access = up.wait_ready()
    for person in access["people"]:
        with Visitor(access["url"], person["email"], person["password"]) as visitor:
            assert visitor.log_in().user_id
    headers = {"Authorization": f"Token {access['manager']['token']}"}
    assert requests.get(f"{access['url']}/api/projects", headers=headers, timeout=30).json()["count"] == 3
    assert requests.get(f"{access['ml_url']}/health", timeout=30).json()["ready"] is True
    assert requests.post(f"{access['ml_url']}/predict", json={"tasks": []}, timeout=30).status_code == 401


@pytest.mark.server
def test_status_finds_the_running_campaign_by_itself(up: QuorumUp) -> None:
    """`quorum status --json` in the same data folder needs no argument."""
    up.wait_ready()
    done = quorum("status", "--json", **up.env)
    assert done.returncode == 0, done.stderr
    status = json.loads(done.stdout)
    campaign = status[0] if isinstance(status, list) else status
    assert campaign["rows"] == ROWS
    assert campaign["states"]["AWAITING_PASSES"] == ROWS
    assert 0 < campaign["prelabelled"] <= ROWS


@pytest.mark.server
def test_commands_find_the_running_ml_backend_with_its_credentials(up: QuorumUp, tmp_path: Path) -> None:
    """Without any option or variable, models list asks it, and rows imported later are pre-labelled by it."""
    up.wait_ready()
    listed = quorum("models", "list", "--json", **up.env)
    assert listed.returncode == 0, listed.stderr
    assert json.loads(listed.stdout)["active"]
    text = {"context": "Paris is in France.", "query": "Where is Paris?", "response": "Paris is in France."}
    shown = next(f"late-{n}" for n in range(100) if not withheld(f"late-{n}", EXAMPLE_POLICY))
    file = tmp_path / "late.jsonl"
    file.write_text(json.dumps({"id": shown, **text}) + "\n", encoding="utf-8")
    imported = quorum("import", str(file), "--json", **up.env)
    assert imported.returncode == 0, imported.stderr
    report = json.loads(imported.stdout)
    assert report["prelabelled"] == 1
    undone = quorum("import", "--undo", report["import_id"], **up.env)
    assert undone.returncode == 0, undone.stderr


@pytest.mark.server
def test_nothing_listens_beyond_loopback(up: QuorumUp) -> None:
    """Unless asked, neither part can be reached from another machine."""
    up.wait_ready()
    listening = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    for port in up.ports:
        addresses = {
            fields[1].split(":")[0] for fields in listening if fields[1].endswith(f":{port:04X}") and fields[3] == "0A"
        }
        assert addresses == {"0100007F"}, "127.0.0.1 in the kernel's notation"


@pytest.mark.server
def test_a_second_one_on_the_same_folder_is_refused(up: QuorumUp) -> None:
    """One line that names the folder and the process; the running one goes on."""
    up.wait_ready()
    done = quorum("up", **up.env)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert str(up.folder) in done.stderr
    assert str(up.process.pid if up.process else "") in done.stderr
    assert (up.folder / "access.json").exists()


def simulated(up: QuorumUp, rows: int) -> dict[str, Any]:
    """What the simulated team did with a campaign of so many rows, after checking that it came to the end."""
    done = quorum("demo", "--json", **up.env)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    assert result["status"]["states"]["FINAL"] == rows
    assert result["gold"] == rows
    assert result["submitted"]["pass"] == 2 * rows
    assert result["submitted"]["qa"] >= rows
    return result


@pytest.mark.server
def test_a_simulated_team_works_the_campaign_to_the_end(up: QuorumUp) -> None:
    """With the plugin nobody is handed what would not count, and QA accepts where it changes nothing."""
    up.wait_ready()
    result = simulated(up, ROWS)
    assert result["submitted"]["qa"] == ROWS
    assert result["withdrawn"] == 0
    assert result["decisions"]["accept"] > 0
    done = quorum("audit", **up.env)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.server
def test_a_simulated_team_works_a_stock_server_to_the_end(tmp_path: Path) -> None:
    """Queues that `quorum sync --watch` fills some moments later are waited for."""
    rows = str(example_rows(tmp_path, 4))
    with quorum_up(tmp_path / "data", "--stock", "--rows", rows, "--name", "Stock") as stock:
        simulated(stock, 4)


@pytest.mark.server
def test_ctrl_c_leaves_nothing_behind_and_the_next_start_goes_on(up: QuorumUp) -> None:
    """Ctrl-C ends with 0, no process and no access file; the next start has the same people and rows at once."""
    before = up.wait_ready()
    assert up.signal(signal.SIGINT) == 0
    assert until_gone(up) == []
    assert not (up.folder / "access.json").exists()
    assert all(port_is_free(port) for port in up.ports)
    up.start()
    after = up.wait_ready()
    assert after["people"] == before["people"]
    assert after["manager"] == before["manager"]
    assert after["campaigns"] == before["campaigns"]


@pytest.mark.server
def test_a_killed_one_leaves_no_process_and_the_next_start_recovers(up: QuorumUp) -> None:
    """SIGKILL gives no time to clean up: the parts end by themselves, and the stale access file stops nobody."""
    before = up.wait_ready()
    up.signal(signal.SIGKILL)
    assert until_gone(up) == []
    assert (up.folder / "access.json").exists(), "nobody could remove it"
    up.start()
    deadline = time.monotonic() + 60
    while (up.folder / "access.json").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert up.wait_ready()["campaigns"] == before["campaigns"]
    assert up.signal(signal.SIGTERM) == 0
    assert until_gone(up) == []


@pytest.mark.server
def test_parts_whose_guards_were_killed_too_are_ended_by_the_next_start(up: QuorumUp) -> None:
    """They keep their ports and write to the database: the next start names them, ends them and goes on."""
    up.stop()
    up.start()
    before = up.wait_ready()
    guards = [int(entry.parent.name) for entry in Path("/proc").glob("[0-9]*/cmdline") if is_guard_of(up, entry)]
    assert len(guards) == 2
    # Stopped first: it would see that a guard is gone and end the other part.
    assert up.process is not None
    os.kill(up.process.pid, signal.SIGSTOP)
    for pid in guards:
        os.kill(pid, signal.SIGKILL)
    up.signal(signal.SIGKILL)
    assert not port_is_free(up.ports[0])
    (up.folder / "access.json").unlink()
    up.start()
    assert up.wait_ready()["campaigns"] == before["campaigns"]
    assert "an earlier run was cut off and left parts behind (process " in up.output.read_text(encoding="utf-8")
    assert up.signal(signal.SIGTERM) == 0
    assert until_gone(up) == []


def is_guard_of(up: QuorumUp, command: Path) -> bool:
    """Whether a process is the guard of one of this run's parts."""
    try:
        return (
            b"servers/guard.py" in command.read_bytes()
            and str(up.folder).encode() in (command.parent / "environ").read_bytes()
        )
    except OSError:
        return False  # ended meanwhile


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    """The line names the part, the port, who has it and what to do, and nothing was started."""
    name = Path("/proc/self/comm").read_text(encoding="utf-8").strip()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = quorum("up", QUORUM_DATA_DIR=str(tmp_path / "data"), QUORUM_LS_PORT=port)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"quorum up: Label Studio: port {port} on 127.0.0.1 is in use by process {os.getpid()} ({name}); stop that, "
        "or set QUORUM_LS_PORT to another"
    ]
    assert not (tmp_path / "data" / "label-studio").exists()


def test_faults_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    """Team and policy are both checked before anything starts, each fault with its line."""
    team, policy = tmp_path / "team.yaml", tmp_path / "policy.yaml"
    team.write_text("people:\n  - {id: ana, email: ana@example.com, roles: [anotator]}\n", encoding="utf-8")
    policy.write_text("version: 1\npases: 2\n", encoding="utf-8")
    done = quorum("up", "--team", str(team), "--policy", str(policy), QUORUM_DATA_DIR=str(tmp_path / "data"))
    assert done.returncode == 1
    assert f"{team}:2:" in done.stderr
    assert f"{policy}:2:" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()


def test_faulty_rows_are_told_before_anything_starts(tmp_path: Path) -> None:
    """A row without a response is named by line and field."""
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"id": "a", "context": "", "query": "q"}\n', encoding="utf-8")
    done = quorum("up", "--rows", str(rows), QUORUM_DATA_DIR=str(tmp_path / "data"))
    assert done.returncode == 1
    assert f"{rows}:1" in done.stderr
    assert "response" in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("secrets.json", b"{"),
        ("secrets.json", b"[]"),
        ("label-studio/label_studio.sqlite3", b"not a database at all" * 99),
    ],
    ids=["cut off", "another shape", "database"],
)
def test_damaged_state_is_one_line(tmp_path: Path, file: str, content: bytes) -> None:
    """A damaged file in the data folder is named, and neither repaired in silence nor thrown away."""
    damaged = tmp_path / "data" / file
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(content)
    free = {"QUORUM_LS_PORT": "18399", "QUORUM_ML_PORT": "18398"}
    done = quorum("up", QUORUM_DATA_DIR=str(tmp_path / "data"), **free)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert str(damaged) in done.stderr
    assert damaged.read_bytes() == content


def test_a_database_that_is_gone_is_not_begun_anew_unless_asked(tmp_path: Path) -> None:
    """One line says what is lost and what to do; `--fresh` names what it would move aside and goes on."""
    (tmp_path / "data").mkdir()
    for name, content in (("database.json", "{}"), ("passwords.json", '{"ana@example.com": "first"}')):
        (tmp_path / "data" / name).write_text(content, encoding="utf-8")
    free = {"QUORUM_DATA_DIR": str(tmp_path / "data"), "QUORUM_LS_PORT": "18395", "QUORUM_ML_PORT": "18394"}
    refused = quorum("up", **free)
    assert refused.returncode == 1
    (line,) = refused.stderr.splitlines()
    assert "label_studio.sqlite3: the database is gone, and every row and answer with it; put a backup there" in line
    fresh = quorum("up", "--fresh", "--dry-run", **free)
    assert fresh.returncode == 0, fresh.stderr
    assert fresh.stderr.splitlines()[0].endswith("holds: database.json, passwords.json")
    assert (tmp_path / "data" / "passwords.json").exists()


def test_a_full_disk_is_one_line_and_costs_nothing(tmp_path: Path) -> None:
    """A start that runs out of room at any point says so; the database is whole, and goes on once there is room."""
    with small_disk(tmp_path / "disk", "60m") as disk:
        folder = disk / "data"
        settings = StackSettings(host="127.0.0.1", ls_port=1, ml_port=2, plugin=True)
        shutil.copytree(migrated_database(settings.module), folder / "label-studio")
        write_json(folder / "secrets.json", Secrets(OWNER, "quorum", "p").to_json(), private=True)
        (folder / "database.json").write_text(json.dumps(database_stamp(settings)), encoding="utf-8")
        for leave in (40_000, 400_000):
            ballast = fill(disk, leave=leave)
            up = QuorumUp(folder)
            up.output = tmp_path / f"{leave}.out"
            process = up.start().process
            assert process is not None
            assert process.wait(300) == 1
            last = up.said.strip().splitlines()[-1]
            assert "is full; nothing that was stored is lost: make room there and start it again" in last, up.said
            assert "Traceback" not in up.said
            ballast.unlink()
        with closing(sqlite3.connect(folder / "label-studio" / "label_studio.sqlite3")) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_dry_run_starts_nothing(tmp_path: Path) -> None:
    """`--dry-run` checks files, packages and ports, and leaves no database."""
    done = quorum(
        "up", "--dry-run", QUORUM_DATA_DIR=str(tmp_path / "d"), QUORUM_LS_PORT="18397", QUORUM_ML_PORT="18396"
    )
    assert done.returncode == 0, done.stderr
    rows = (ROOT / "examples" / "rows.jsonl").read_text(encoding="utf-8").count("\n")
    assert f"{rows} rows" in done.stderr
    assert not (tmp_path / "d" / "label-studio").exists()
