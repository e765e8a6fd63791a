"""Two machines of ops people and one server: whoever changed the team, every command tells what the server goes by."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.core.wsgi import get_wsgi_application
from projects.models import Project
from tasks.models import Annotation, Task
from typer.testing import CliRunner, Result

from label_studio_quorum.campaign.differences import plain
from label_studio_quorum.campaign.row_task import ReviewNote, seal_result
from label_studio_quorum.commands.cli import app
from ls_config.interface import label_types, load
from ls_plugin.models import Campaign, CampaignProject, Stage
from review_rules import Stage as RuleStage
from tests.contract.plugin_campaign import POLICY, TEAM
from tests.support.servers import OWNER
from tests.unit.ls_plugin.support import CampaignInTest, by_hand, review, verdict

pytestmark = pytest.mark.slow

URL = "http://testserver"
ROWS = ("r1", "r2", "r3")


@dataclass
class Machine:
    """One ops person's machine: a folder with files of the campaign, and a data folder that remembers it."""

    folder: Path
    name: str

    @property
    def team(self) -> Path:
        """The team file."""
        return self.folder / "team.yaml"

    @property
    def policy(self) -> Path:
        """The policy file."""
        return self.folder / "policy.yaml"

    def run(self, *arguments: str) -> Result:
        """A command, as somebody types it on this machine."""
        variables = {
            "QUORUM_DATA_DIR": str(self.folder / "data"),
            "QUORUM_URL": URL,
            "QUORUM_API_KEY": OWNER.token,
            "NO_COLOR": "1",
            "COLUMNS": "300",
        }
        return CliRunner(env=variables).invoke(app, list(arguments))

    def states(self) -> dict[str, int]:
        """The rows of each state, as `quorum status` counts them."""
        done = self.run("status", "--name", self.name, "--json")
        assert done.exit_code == 0, done.output
        states: dict[str, int] = json.loads(done.stdout)["states"]
        return {state: count for state, count in states.items() if count}

    def set_up(self) -> None:
        """Set the campaign up with the files of this machine."""
        done = self.run(
            "setup", "--name", self.name, "--policy", str(self.policy), "--team", str(self.team),
            "--task", "classification",
        )  # fmt: skip
        assert done.exit_code == 0, done.output


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> list[Machine]:
    """Two machines with the same files; the campaign was set up from both, and its rows are final."""
    application, client = get_wsgi_application(), httpx.Client

    def in_process(**settings: Any) -> httpx.Client:
        return client(transport=httpx.WSGITransport(app=application), **settings)

    monkeypatch.setattr(httpx, "Client", in_process)
    name = f"truth {request.node.name[5:30]}"
    team_text = TEAM.replace("{tag}", "".join(filter(str.isalnum, name)))
    both = []
    for number in (1, 2):
        machine = Machine(tmp_path / f"machine{number}", name)
        machine.folder.mkdir()
        machine.policy.write_text(POLICY, encoding="utf-8")
        machine.team.write_text(team_text, encoding="utf-8")
        both.append(machine)
    both[0].set_up()
    assert both[0].run("team", "apply", "--name", name).exit_code == 0
    both[1].set_up()
    _finish_rows(name, team_text)
    return both


def _finish_rows(name: str, team_text: str) -> None:
    """Three rows, labelled by ana and bea and accepted by quin."""
    campaign = Campaign.objects.get(name=name)
    homes = CampaignProject.objects.filter(campaign=campaign)
    projects = {Stage(home.stage): Project.objects.get(pk=home.project_id) for home in homes}
    line = CampaignInTest(campaign, projects, team_text)
    line.add_rows(*ROWS)
    for person in ("ana", "bea"):
        for _ in ROWS:
            line.answer(person, verdict("Correct"))
    for _ in ROWS:
        line.answer("quin", review("accept", "Correct"), Stage.QA)


def leave(machine: Machine, person: str) -> str:
    """Write down in the team file that somebody left before they labelled anything; the text that is now there."""
    text = machine.team.read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if f"id: {person}," in line)
    changed = text.replace(line, line.replace("}", ', left: "2020-01-01T00:00:00Z"}'))
    machine.team.write_text(changed, encoding="utf-8")
    return changed


def test_a_team_that_one_machine_changed_is_everybodys(machines: list[Machine]) -> None:
    """Machine 2 tells the truth in every command, takes the server's team into its file, and says so once."""
    here, there = machines
    assert here.states() == there.states() == {"FINAL": 3}
    gold = there.folder / "gold-before.jsonl"
    assert there.run("export", str(gold), "--name", there.name).exit_code == 0
    proved = there.run("verify", str(gold), "--name", there.name, "--json")
    assert (proved.exit_code, json.loads(proved.stdout)["final"]) == (0, 3)
    changed = leave(here, "bea")
    assert here.run("team", "apply", "--name", here.name, "--yes").exit_code == 0
    done = there.run("status", "--name", there.name, "--json")
    assert {state: count for state, count in json.loads(done.stdout)["states"].items() if count} == here.states()
    assert "FINAL" not in here.states()
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"note: the server's team was changed from elsewhere, and {there.team} was not: bea (left)")
    assert line.endswith("; it is taken into the file")
    assert there.team.read_text(encoding="utf-8") == changed
    assert there.run("status", "--name", there.name).stderr == ""
    out = there.folder / "gold.jsonl"
    done = there.run("export", str(out), "--name", there.name, "--json")
    assert (done.exit_code, json.loads(done.stdout)["rows"], out.read_text()) == (0, 0, "")
    unproven = json.loads(there.run("verify", str(gold), "--name", there.name, "--json").stdout)
    assert "QR.E114" in {entry["id"] for entry in unproven["findings"]}
    report = json.loads(there.run("report", "--name", there.name, "--json").stdout)
    assert (report["rows"], report["states"]["FINAL"]) == (3, 0)


def test_a_file_that_is_named_and_differs_is_refused(machines: list[Machine]) -> None:
    """In one line: which file, in what, both hashes, and how to go on."""
    here, there = machines
    old = there.folder / "old.yaml"
    old.write_text(there.team.read_text(encoding="utf-8"), encoding="utf-8")
    leave(here, "bea")
    assert here.run("team", "apply", "--name", here.name, "--yes").exit_code == 0
    for command in (
        ("status",), ("sync",), ("export", str(there.folder / "o.jsonl")), ("report", "--json"), ("import", str(old)),
    ):  # fmt: skip
        done = there.run(*command, "--name", there.name, "--policy", str(there.policy), "--team", str(old))
        assert (done.exit_code, done.stdout) == (1, ""), command
        (line,) = done.stderr.splitlines()
        assert line.startswith(f"quorum: {old} is not the team of campaign {there.name!r}: bea (left) (file sha256:")
        assert ", server sha256:" in line
        assert "run quorum team pull to take the server's, or quorum team apply to have the server go by" in line
    assert not (there.folder / "o.jsonl").exists()


def test_an_edited_file_is_never_lost_and_never_believed(machines: list[Machine]) -> None:
    """It stays as it is and is told; `pull` replaces it with --force alone."""
    here, there = machines
    edited = leave(there, "ana")
    done = there.run("status", "--name", there.name, "--json")
    assert json.loads(done.stdout)["states"]["FINAL"] == 3
    assert f"note: {there.team} is not the server's team, which counts here: ana (left)" in done.stderr
    assert there.team.read_text(encoding="utf-8") == edited
    done = there.run("team", "pull", "--name", there.name)
    assert (done.exit_code, "--force" in done.stderr, there.team.read_text("utf-8")) == (1, True, edited)
    assert there.run("team", "pull", "--name", there.name, "--force", "--dry-run").exit_code == 0
    assert there.team.read_text(encoding="utf-8") == edited
    done = there.run("team", "pull", "--name", there.name, "--force", "--json")
    told = json.loads(done.stdout)
    assert (told["changed"], told["dry_run"], told["campaign"]) == (True, False, there.name)
    assert there.team.read_text(encoding="utf-8") == here.team.read_text(encoding="utf-8")
    assert there.run("status", "--name", there.name).stderr == ""


def test_a_file_that_says_the_same_keeps_its_comments(machines: list[Machine]) -> None:
    """How a file is written is its owner's."""
    _, there = machines
    mine = "# our people\n" + there.team.read_text(encoding="utf-8")
    there.team.write_text(mine, encoding="utf-8")
    done = there.run("team", "pull", "--name", there.name)
    assert (done.exit_code, done.stdout) == (0, f"{there.team}: says what the server goes by, and stays as it is\n")
    assert there.run("status", "--name", there.name).stderr == ""
    assert there.team.read_text(encoding="utf-8") == mine


def test_a_machine_that_remembers_nothing_needs_no_files(machines: list[Machine], tmp_path: Path) -> None:
    """Address, key and name are enough; what it pulls it remembers."""
    here = machines[0]
    third = Machine(tmp_path / "machine3", here.name)
    third.folder.mkdir()
    assert third.states() == {"FINAL": 3}
    assert third.run("team", "pull", str(third.team), "--name", here.name).exit_code == 0
    assert third.run("policy", "pull", str(third.policy), "--name", here.name).exit_code == 0
    assert third.team.read_text(encoding="utf-8") == here.team.read_text(encoding="utf-8")
    assert third.policy.read_text(encoding="utf-8") == here.policy.read_text(encoding="utf-8")
    done = third.run("doctor", "--name", here.name)
    assert " file:" not in done.stdout
    leave(third, "ana")
    done = third.run("doctor", "--name", here.name)
    assert "warn  team file: it is not what the server goes by: ana (left)" in done.stdout


def test_set_up_does_not_undo_what_was_changed_elsewhere(machines: list[Machine]) -> None:
    """A file that fell behind is refused; one that was edited is what set-up is for."""
    here, there = machines
    leave(here, "bea")
    assert here.run("team", "apply", "--name", here.name, "--yes").exit_code == 0
    arguments = ("setup", "--name", there.name, "--policy", str(there.policy), "--team", str(there.team))
    done = there.run(*arguments, "--task", "classification")
    assert (done.exit_code, done.stdout) == (1, "")
    assert f"the server's team was changed from elsewhere, and {there.team} was not: bea (left)" in done.stderr
    assert "run quorum team pull" in done.stderr
    assert here.states() == there.states()
    assert "FINAL" not in here.states()


def test_interface_and_guidelines_come_from_the_server(machines: list[Machine], tmp_path: Path) -> None:
    """Both or neither; a folder that somebody edited stays, and doctor names what people are not shown."""
    here = machines[0]
    folder = tmp_path / "pulled"
    done = here.run("interface", "pull", str(folder), "--name", here.name, "--json")
    assert done.exit_code == 0, done.output
    files = ["label.xml", "checks.yaml", "guidelines.md"]
    assert [Path(entry["file"]).name for entry in json.loads(done.stdout)["files"]] == files
    own = load("classification")
    assert (folder / "guidelines.md").read_text(encoding="utf-8") == own.guidelines
    pulled = load(folder)
    assert plain(pulled.xml) == plain(own.xml)
    assert [control.labels for control in pulled.controls] == [control.labels for control in own.controls]
    assert " file:" not in here.run("doctor", "--name", here.name).stdout
    again = here.run("interface", "pull", "--name", here.name)
    assert again.stdout.count("stays as it is") == len(files)
    xml = (folder / "label.xml").read_text(encoding="utf-8")
    (folder / "label.xml").write_text(xml.replace("Partly correct", "Half right"), encoding="utf-8")
    (folder / "guidelines.md").write_text("Do as you like.", encoding="utf-8")
    done = here.run("doctor", "--name", here.name)
    assert "warn  interface file: it is not what the server shows: verdict (labels" in done.stdout
    assert "warn  guidelines file: it is not what the server shows: other guidelines" in done.stdout
    refused = here.run("interface", "pull", "--name", here.name)
    assert (refused.exit_code, "--force replaces it" in refused.stderr) == (1, True)
    assert (folder / "guidelines.md").read_text(encoding="utf-8") == "Do as you like."
    assert here.run("interface", "pull", "--name", here.name, "--force").exit_code == 0
    assert (folder / "label.xml").read_text(encoding="utf-8") == xml
    assert (folder / "guidelines.md").read_text(encoding="utf-8") == own.guidelines


def test_an_interface_that_was_changed_on_the_server_is_taken(machines: list[Machine], tmp_path: Path) -> None:
    """The folder that nobody edited follows; Markdown that the server does not have is not made up."""
    here, _ = machines
    folder = tmp_path / "pulled"
    assert here.run("interface", "pull", str(folder), "--name", here.name).exit_code == 0
    home = CampaignProject.objects.get(campaign__name=here.name, stage=Stage.PASS)
    projects = Project.objects.filter(pk=home.project_id)
    xml = str(projects.values_list("label_config", flat=True).get())
    projects.update(
        label_config=xml.replace("Partly correct", "Half right"), expert_instruction="<p>Do as you like.</p>"
    )
    done = here.run("doctor", "--name", here.name)
    told = f"warn  interface: interface or guidelines of project {home.project_id} were changed on the server"
    assert told in done.stdout
    done = here.run("interface", "pull", "--name", here.name)
    assert done.exit_code == 0, done.output
    assert "guidelines.md is left alone: the server has the guidelines as a page only" in done.stderr
    assert "Half right" in (folder / "label.xml").read_text(encoding="utf-8")
    assert (folder / "guidelines.md").read_text(encoding="utf-8") == load("classification").guidelines


def test_what_set_up_wrote_is_not_taken_for_a_change(machines: list[Machine]) -> None:
    """Label Studio cleans HTML on the way in: of no label type does a command say that it was changed."""
    here = machines[0]
    for number, task in enumerate(sorted({*label_types()} - {"classification"})):
        name = f"{here.name[:30]} {number}"
        files = ("--policy", str(here.policy), "--team", str(here.team))
        assert here.run("setup", "--name", name, *files, "--task", task).exit_code == 0
        done = here.run("status", "--name", name)
        assert (done.exit_code, done.stderr) == (0, ""), task
        assert here.run("setup", "--name", name, *files, "--task", task).stdout.count("nothing to change") == 1, task


def test_a_policy_that_was_changed_in_the_database_is_named(machines: list[Machine]) -> None:
    """The projects still bear the hash of the policy that the campaign was set up with."""
    here = machines[0]
    policy = Campaign.objects.filter(name=here.name)
    text = str(policy.values_list("policy_text", flat=True).get())
    policy.update(policy_text=text.replace("passes: 2", "passes: 3"))
    done = here.run("doctor", "--name", here.name)
    assert "fail  policy: the campaign runs under sha256:" in done.stdout
    assert "run quorum setup" in done.stdout


def test_a_review_on_the_form_of_another_row_is_named(machines: list[Machine]) -> None:
    """As a stock server on SQLite has stored it, before the plugin came: `doctor --full` reads the answers."""
    here = machines[0]
    assert "warn  answers" not in here.run("doctor", "--full", "--name", here.name).stdout
    tasks = {task.data["row_id"]: task for task in Task.objects.filter(project__in=_projects(here, Stage.QA))}
    review_note = ReviewNote.read(tasks["r2"].meta)
    answer = Annotation.objects.get(task=tasks["r1"])
    stale = [*answer.result, *seal_result(review_note, "r2", RuleStage.QA)]
    by_hand("UPDATE task_completion SET result = %s WHERE id = %s", json.dumps(stale), answer.pk)
    done = here.run("doctor", "--full", "--name", here.name)
    assert "warn  answers: 1 answer counts for nothing, such as one of row 'r1': its form showed another" in done.stdout
    assert "such as one of row 'r1'" in here.run("status", "--name", here.name).stderr


def _projects(machine: Machine, stage: Stage) -> list[int]:
    """The campaign's project of a stage."""
    homes = CampaignProject.objects.filter(campaign__name=machine.name, stage=stage)
    return list(homes.values_list("project_id", flat=True))
