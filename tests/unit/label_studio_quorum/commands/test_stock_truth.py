"""A stock server keeps no files, but the hashes of those that it goes by: two machines cannot disagree there either."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from label_studio_quorum.campaign.differences import team_digest
from label_studio_quorum.campaign.projects import Campaign, CampaignError, open_campaign, read_marker, write_marker
from label_studio_quorum.campaign.watch import watch
from label_studio_quorum.commands import policy, setup, shared_options, team
from label_studio_quorum.commands.cli import app
from review_rules import PersonId, load_policy, load_team
from tests.support.campaigns import POLICY, TEAM
from tests.support.fake_label_studio import FakeLabelStudio

PEOPLE = ("ana", "ben", "chi", "cleo", "dag")


class StockServer(FakeLabelStudio):
    """A server in memory without the plugin, at an address."""

    url = "http://label-studio.test"

    def plugin_version(self) -> str | None:
        """No plugin."""
        return None

    def plugin_campaign(self, name: str) -> dict[str, Any] | None:
        """Nor what it would keep."""
        return None

    def plugin_status(self, name: str | None) -> dict[str, Any] | None:
        """Nor its figures."""
        return None


class Machine:
    """One ops person's machine: the campaign's files and a data folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder, self.team, self.policy = folder, folder / "team.yaml", folder / "policy.yaml"
        self.team.write_text(TEAM.format(tag="1"), encoding="utf-8")
        self.policy.write_text(POLICY, encoding="utf-8")

    def run(self, *arguments: str) -> Result:
        """A command, as somebody types it on this machine."""
        runner = CliRunner(env={"QUORUM_DATA_DIR": str(self.folder / "data"), "NO_COLOR": "1", "COLUMNS": "300"})
        return runner.invoke(app, list(arguments))

    def set_up(self) -> Result:
        """Set-up with the files of this machine."""
        return self.run("setup", "--name", "May", "--policy", str(self.policy), "--team", str(self.team))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> StockServer:
    """The server that every command reaches."""
    stock = StockServer([f"{person}-1@quorum.test" for person in PEOPLE])
    for module in (shared_options, setup, team, policy):
        monkeypatch.setattr(module, "connect", lambda *_, **__: stock)
    return stock


@pytest.fixture
def machines(server: StockServer, tmp_path: Path) -> tuple[Machine, Machine]:
    """Two machines from which the campaign was set up."""
    here, there = Machine(tmp_path / "here"), Machine(tmp_path / "there")
    assert (here.set_up().exit_code, there.set_up().exit_code) == (0, 0)
    return here, there


def leave(machine: Machine) -> None:
    """Chi leaves, in the file."""
    text = machine.team.read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if "id: chi" in line)
    machine.team.write_text(text.replace(line, line.replace("}", ', left: "2020-01-01T00:00:00Z"}')), encoding="utf-8")


def test_a_team_that_is_not_the_marked_one_is_refused(server: StockServer, machines: tuple[Machine, Machine]) -> None:
    """In one line, with both hashes and how to go on; with the file that was applied it goes on."""
    here, there = machines
    leave(here)
    assert here.run("status").exit_code == 1, "an edit counts for nothing before it is applied"
    applied = here.run("team", "apply", "--yes")
    assert applied.exit_code == 0
    assert f"note: campaign 'May' goes by {here.team} from now on" in applied.stderr
    assert here.run("status").exit_code == 0
    refused = there.run("status")
    assert (refused.exit_code, refused.stdout) == (1, "")
    (line,) = refused.stderr.splitlines()
    new = team_digest(load_team(here.team.read_text(encoding="utf-8")))[:19]
    old = team_digest(load_team(there.team.read_text(encoding="utf-8")))[:19]
    assert line == (
        f"quorum: {there.team} is not the team of campaign 'May': file {old}…, server {new}…; give the team file that "
        "was applied, or run quorum team apply to have the campaign go by this one"
    )
    assert there.run("status", "--team", str(here.team)).exit_code == 0


def test_a_policy_that_is_not_the_marked_one_is_refused(machines: tuple[Machine, Machine]) -> None:
    """Set-up marks the new one."""
    here, there = machines
    here.policy.write_text(POLICY.replace("expert_quorum: 1", "expert_quorum: 2"), encoding="utf-8")
    assert here.set_up().exit_code == 0
    assert here.run("status").exit_code == 0
    refused = there.run("status")
    assert refused.exit_code == 1
    assert f"{there.policy} is not the policy of campaign 'May': file sha256:" in refused.stderr


def test_a_stock_server_has_no_file_to_pull(machines: tuple[Machine, Machine]) -> None:
    """It says so, and leaves the file."""
    here, _ = machines
    for kind in ("team", "policy"):
        refused = here.run(kind, "pull", "--name", "May")
        assert refused.exit_code == 1
        assert f"a stock server keeps the hash of the {kind} of campaign 'May', and not the file" in refused.stderr


def test_a_campaign_of_before_the_hash_goes_on(server: StockServer, machines: tuple[Machine, Machine]) -> None:
    """Its marker bears no team: any file is taken, which commands say, and the next set-up writes the hash down."""
    here, _ = machines
    for project in server.projects():
        marker = read_marker(project.description)
        assert marker is not None
        old = json.loads(marker.line().removeprefix("quorum:"))
        del old["team"], old["interface"]
        about = write_marker(project.description, marker).replace(marker.line(), "quorum:" + json.dumps(old))
        server.change_project(project.id, {"description": about})
    leave(here)
    for command in ("status", "sync"):
        done = here.run(command)
        assert done.exit_code == 0
        assert "note: campaign 'May': its projects do not say which team the campaign goes by" in done.stderr
    assert here.set_up().exit_code == 0
    assert "which team" not in here.run("status").stderr
    markers = [read_marker(project.description) for project in server.projects()]
    assert [marker is not None and marker.team != "" for marker in markers] == [True] * 3
    assert here.set_up().stdout.count("nothing to change") == 1


def test_programs_are_refused_too(server: StockServer, machines: tuple[Machine, Machine]) -> None:
    """`open_campaign` is the one way in."""
    rules, people = load_policy(POLICY), load_team(TEAM.format(tag="1"))
    assert open_campaign(server, "May", policy=rules, team=people).team == people
    with pytest.raises(CampaignError, match="the team given is not the team of campaign 'May'"):
        open_campaign(server, "May", policy=rules, team=load_team(TEAM.format(tag="2")))
    with pytest.raises(CampaignError, match="keeps neither policy nor team"):
        open_campaign(server, "May")


class Rounds(threading.Event):
    """What a watch waits for between two looks; each wait does the next thing of a list."""

    def __init__(self, *doings: Callable[[], object]) -> None:
        super().__init__()
        self._doings = iter(doings)

    def wait(self, timeout: float | None = None) -> bool:
        """Do the next thing at once."""
        next(self._doings)()
        return False


def test_a_watch_goes_by_a_team_that_is_applied_meanwhile(
    server: StockServer, machines: tuple[Machine, Machine]
) -> None:
    """In its next round, and not only when it next reads everything."""
    here, _ = machines
    teams, stop = [], threading.Event()

    def reopen() -> Campaign:
        teams.append(load_team(here.team.read_text(encoding="utf-8")))
        return open_campaign(server, "May", policy=load_policy(POLICY), team=teams[-1])

    def change() -> None:
        leave(here)
        assert here.run("team", "apply", "--yes").exit_code == 0

    watch(
        server,
        reopen(),
        woken=Rounds(lambda: None, change, stop.set),
        stop=stop,
        every_s=0,
        full_every_s=1e9,
        reopen=reopen,
        say=lambda report: None,
        complain=lambda text: pytest.fail(text),
    )
    assert [team.people[PersonId("chi")].left is None for team in teams] == [True, True, False]


def test_an_interface_that_was_changed_by_hand_is_told(server: StockServer, machines: tuple[Machine, Machine]) -> None:
    """Every command says so, until set-up puts the campaign's own back."""
    here, _ = machines
    assert "interface" not in here.run("status").stderr
    project = next(each for each in server.projects() if each.title.endswith("Pass"))
    server.change_project(project.id, {"label_config": project.label_config.replace("Cannot judge", "Can't judge")})
    said = here.run("status").stderr
    assert f"note: interface or guidelines of project {project.id} were changed on the server since set-up" in said
    assert "run quorum interface pull to take them, or quorum setup to put them back" in said
    assert here.set_up().exit_code == 0
    assert "interface" not in here.run("status").stderr
