"""What commands say of names, rows and servers that are not there, and of a disk that is full."""

from __future__ import annotations

import errno
import json
import sys
from pathlib import Path

import httpx
import pytest
import typer
from typer.testing import CliRunner

from label_studio_quorum.adapters.label_studio import HttpLabelStudio
from label_studio_quorum.adapters.ml_backend import MLBackendClient, PrelabelError
from label_studio_quorum.campaign.local_memory import Remembered, remember
from label_studio_quorum.campaign.projects import CampaignError, open_campaign, the_one
from label_studio_quorum.campaign.setup import NOT_CONNECTED
from label_studio_quorum.commands import models, sync, team
from label_studio_quorum.commands.cli import app
from label_studio_quorum.commands.shared_options import Opened
from label_studio_quorum.commands.telling import told
from label_studio_quorum.port import MLConnection, ServerError
from label_studio_quorum.sdk import read_rules
from label_studio_quorum.servers.processes import Child
from ls_config import load
from scripts.import_rows import bring_in
from scripts.set_up_campaign import set_up
from tests.support.campaigns import POLICY, TEAM
from tests.support.fake_label_studio import FakeLabelStudio

URL = "http://label-studio.test"
RUNNER = CliRunner(env={"NO_COLOR": "1", "COLUMNS": "300", "TERMINAL_WIDTH": "300"})


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of the test's own, and no server in the environment."""
    for name in ("QUORUM_URL", "LABEL_STUDIO_URL", "QUORUM_API_KEY", "LABEL_STUDIO_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("QUORUM_DATA_DIR", str(tmp_path / "data"))
    return tmp_path


def said_of(*arguments: str) -> tuple[int, str]:
    """Exit code and stderr, as one line."""
    done = RUNNER.invoke(app, list(arguments))
    return done.exit_code, " ".join(done.stderr.replace("│", " ").split())


# --- A campaign's name ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["status", "sync", "import", "export", "prelabel", "audit", "doctor"])
def test_a_wrong_name_is_answered_with_the_names_there_are(command: str) -> None:
    """The name is what is wrong, and not --policy."""
    for name in ("Example", "May"):
        remember(Remembered(name=name, url=URL, task="ner", policy="policy.yaml", team="team.yaml"))
    code, said = said_of(command, "--name", "exmple")
    assert code == 2
    assert "no campaign 'exmple'; did you mean 'Example'? (remembered on this machine: Example, May)" in said
    assert "Invalid value for --name" in said


def test_nothing_remembered_says_what_to_do() -> None:
    """Where no campaign is known, set-up or the files are the way on."""
    code, said = said_of("status", "--name", "May")
    assert code == 2
    assert "no campaign 'May', nor any other, is remembered" in said
    assert "run quorum setup, or give --policy and --team" in said


def test_a_server_names_the_nearest_too() -> None:
    """What the machine does not know may be known on the server."""
    with pytest.raises(CampaignError, match=r"'mai' on this server; did you mean 'May'\? \(there: June, May"):
        the_one({"May": 1, "June": 2}, "mai")
    with pytest.raises(CampaignError, match=r"no campaign 'Zoo' on this server \(there: June, May"):
        the_one({"May": 1, "June": 2}, "Zoo")


# --- A row's id ----------------------------------------------------------------------------------------------------


@pytest.fixture
def campaign_of_two(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sync` works on a server in memory that holds the rows a and b."""
    server = FakeLabelStudio([f"{person}-1@quorum.test" for person in ("ana", "ben", "chi", "cleo", "dag")])
    policy, people = folder / "policy.yaml", folder / "team.yaml"
    policy.write_text(POLICY, encoding="utf-8")
    people.write_text(TEAM.format(tag="1"), encoding="utf-8")
    set_up(server, "May", str(policy), str(people))
    rows = [{"id": name, "context": "", "query": "q", "response": "ACME won."} for name in ("a", "b")]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    bring_in(server, "May", str(policy), str(people), str(folder / "rows.jsonl"))
    rules, team_file = read_rules(policy, people)

    def opened(*_: object, **__: object) -> Opened:
        return Opened(server, open_campaign(server, "May", policy=rules, team=team_file), None)  # type: ignore[arg-type]

    monkeypatch.setattr(sync, "open_one", opened)


@pytest.mark.usefixtures("campaign_of_two")
def test_a_row_that_is_not_there_is_said() -> None:
    """With exit 1, and no word of "nothing to change"; rows that are there are done all the same."""
    done = RUNNER.invoke(app, ["sync", "--row", "nope"])
    assert (done.exit_code, done.stdout) == (1, "")
    assert "quorum: row nope: campaign 'May' has no such row; check its id" in done.stderr
    done = RUNNER.invoke(app, ["sync", "--row", "a", "--row", "nope", "--json"])
    report = json.loads(done.stdout)
    assert (done.exit_code, report["rows"], report["unknown"]) == (1, 1, ["nope"])
    done = RUNNER.invoke(app, ["sync", "--row", "a"])
    assert (done.exit_code, "nothing to change; 1 rows" in done.stdout) == (0, True)


# --- The active model ----------------------------------------------------------------------------------------------

MODELS = """version: 1
active: first
models:
  first: {controls: {mood: {predictor: text_classification, source: "path:mood"}}}
  second: {controls: {mood: {predictor: text_classification, source: "path:mood"}}}
"""


@pytest.mark.parametrize(
    ("state", "model", "said"),
    [
        (None, None, ""),
        ('{"active": "second", "before": []}', "second", "answers with 'second', so that is used here too"),
        ('{"active": "first", "before": []}', "first", ""),
        ('{"active": "gone", "before": []}', None, "answers with 'gone', which"),
        ("{", None, "cannot be read"),
    ],
)
def test_the_model_that_the_backend_answers_with(
    folder: Path, capsys: pytest.CaptureFixture[str], state: str | None, model: str | None, said: str
) -> None:
    """It is used where the models file has it, and what differs is said."""
    (folder / "models.yaml").write_text(MODELS, encoding="utf-8")
    if state is not None:
        (folder / "data" / "ml").mkdir(parents=True)
        (folder / "data" / "ml" / "active.json").write_text(state, encoding="utf-8")
    assert models.served_model(folder / "models.yaml") == model
    told_of = capsys.readouterr().err
    assert said in told_of if said else told_of == ""


# --- Refusals of servers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("detail", "hint"),
    [
        ("The provided URL was not allowed. URLs must use https://", "the server may not reach that address"),
        ("You do not have permission to perform this action.", "use a manager's key"),
    ],
)
def test_a_refused_address_is_no_question_of_the_key(monkeypatch: pytest.MonkeyPatch, detail: str, hint: str) -> None:
    """Label Studio answers both with 403; only its sentence tells them apart."""

    def refuse(_: object, request: httpx.Request, **__: object) -> httpx.Response:
        return httpx.Response(403, json={"detail": detail}, request=request)

    monkeypatch.setattr(httpx.Client, "send", refuse)
    with pytest.raises(ServerError) as refused:
        HttpLabelStudio(URL, "token").save_ml_backend(1, {"url": "http://10.0.0.1:9090"}, backend=None)
    assert hint in str(refused.value)


def test_a_backend_that_wants_a_password_says_where_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its status alone would leave people searching."""

    def refuse(_: object, request: httpx.Request, **__: object) -> httpx.Response:
        return httpx.Response(401, request=request)

    monkeypatch.setattr(httpx.Client, "send", refuse)
    with (
        MLBackendClient(MLConnection(url="http://ml.test"), load("ner"), 1) as client,
        pytest.raises(PrelabelError, match="set QUORUM_ML_USER and QUORUM_ML_PASSWORD"),
    ):
        client.predict([{"response": "x"}])


# --- Promises ------------------------------------------------------------------------------------------------------


def test_nobody_is_told_to_change_a_password() -> None:
    """Label Studio Community has no way to."""
    assert "have them change" not in team.TELL_EACH
    assert "no page" in team.TELL_EACH


def test_the_note_on_connections_says_that_nothing_is_wrong() -> None:
    """Whoever asked for the connection learns why there is none, and what brings pre-annotations."""
    assert NOT_CONNECTED.startswith("nothing is wrong")
    assert "quorum import --ml-url" in NOT_CONNECTED


# --- A full disk ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_line(capsys: pytest.CaptureFixture[str], number: int) -> None:
    """With the file and what to do; other faults of the system pass through."""
    with pytest.raises(typer.Exit) as ended, told("quorum up"):
        raise OSError(number, "No space left on device", "/data/secrets.json")
    assert ended.value.exit_code == 1
    said = capsys.readouterr().err
    assert said == "quorum up: the disk is full (/data/secrets.json); make room there and run it again\n"
    with pytest.raises(IsADirectoryError), told("quorum up"):
        raise IsADirectoryError(errno.EISDIR, "Is a directory", "/data")


@pytest.mark.parametrize(
    ("last_line", "said"),
    [
        ("OSError: [Errno 28] No space left on device", "is full; nothing that was stored is lost"),
        ("django.db.utils.OperationalError: database or disk is full", "is full; nothing that was stored is lost"),
        ("KeyError: x", "it said: KeyError: x"),
    ],
)
def test_a_part_that_ended_on_a_full_disk_says_so(tmp_path: Path, last_line: str, said: str) -> None:
    """And shows no path of a library, which is where its traceback ends."""
    child = Child("Label Studio", [sys.executable], {}, tmp_path / "logs" / "a.log", tmp_path)
    child.log.parent.mkdir()
    child.log.write_text(f"Traceback\n  File site-packages/a.py\n{last_line}\n", encoding="utf-8")
    ended = str(child.ended("while starting"))
    assert said in ended
    assert "site-packages" not in ended
