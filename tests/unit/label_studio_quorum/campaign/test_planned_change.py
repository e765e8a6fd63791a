"""A change of a campaign on a stock server: what it does is said before it is made, and is then what happens."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer

from label_studio_quorum.campaign.accounts import check_team
from label_studio_quorum.campaign.importing import import_rows
from label_studio_quorum.campaign.launch import CampaignPlan, Launch, launch
from label_studio_quorum.campaign.planned_change import PlannedChange
from label_studio_quorum.campaign.projects import CampaignError
from label_studio_quorum.campaign.reconcile import reconcile
from label_studio_quorum.campaign.shown import by_labels_of_now
from label_studio_quorum.commands.change_costs import Asking, read_renames
from label_studio_quorum.intake import Row
from label_studio_quorum.port import User
from ls_config import load
from ls_config.interface import Interface, InterfaceError, carry_renames, parse_all
from ls_config.results import to_result, with_labels_of_now
from ls_config.review_screen import compose_review
from review_rules import Kind, Stage, load_policy, load_team
from review_rules.pre_annotation import saw_auto_label, values_hash
from tests.support.fake_label_studio import FakeLabelStudio

POLICY = "version: 1\npasses: 2\nqa: {when: all}\nexpert_domains: [financial]\n"
TEAM = """\
people:
  - {id: ana, email: ana@x.test, roles: [annotator]}
  - {id: ben, email: ben@x.test, roles: [annotator], expertise: [financial]}
  - {id: cleo, email: cleo@x.test, roles: [qa]}
  - {id: dag, email: dag@x.test, roles: [annotator, expert], expertise: [financial]}
"""
CLASSIFICATION = load("classification")


class StockServer(FakeLabelStudio):
    """A server in memory without the plugin."""

    url = "http://label-studio.test"

    def __init__(self) -> None:
        super().__init__(["ana@x.test", "ben@x.test", "cleo@x.test", "dag@x.test"])

    def plugin_version(self) -> str | None:
        return None

    def plugin_campaign(self, name: str) -> dict[str, Any] | None:
        return None

    def plan_pages(self, name: str, **texts: str | None) -> Iterator[dict[str, Any]]:
        raise AssertionError("a stock server plans nothing")

    def settle(self, name: str, progress: Callable[[int], None]) -> None:
        raise AssertionError("a stock server reconciles nothing by itself")

    def tell_plugin(self, name: str, **parts: Any) -> dict[str, Any]:
        raise AssertionError("a stock server is told nothing")


def plan_of(
    folder: Path, *, policy: str = POLICY, team: str = TEAM, interface: Interface | None = None
) -> CampaignPlan:
    """A campaign of files that were read."""
    return CampaignPlan(
        name="May",
        task="classification",
        interface=interface or CLASSIFICATION,
        policy_file=folder / "policy.yaml",
        policy_text=policy,
        policy=load_policy(policy),
        team_file=folder / "team.yaml",
        team_text=team,
        team=load_team(team),
        qualification={},
    )


@pytest.fixture
def server(tmp_path: Path) -> StockServer:
    """Two rows, a general and a financial one, final with the verdict `Partly correct`; each answer took 10 seconds."""
    made = StockServer()
    campaign = launch(made, plan_of(tmp_path), memory=tmp_path).campaign
    assert campaign is not None
    rows = [Row(row_id=word, context="C.", query="Q?", response="R.", domain=word) for word in ("general", "financial")]
    import_rows(made, campaign, rows)
    for task in list(made.tasks(campaign.project(Stage.PASS))):
        for user in (1, 2):
            made.submit(task.id, user, answer())
    reconcile(made, campaign)
    for task in list(made.tasks(campaign.project(Stage.QA))):
        made.submit(task.id, 3, answer(decision="accept"))
    assert reconcile(made, campaign).states == {"FINAL": 2}
    return made


def answer(**more: str) -> list[dict[str, Any]]:
    controls = parse_all(compose_review(CLASSIFICATION.xml, "qa"))
    return to_result({"verdict": "Partly correct", **more}, controls, {"response": "R."})


def with_label(old: str, new: str) -> Interface:
    """The interface with a label by another name."""
    xml = CLASSIFICATION.xml.replace(f'value="{old}"', f'value="{new}"')
    controls = tuple(control for control in parse_all(xml) if control.name not in ("flags", "flag_reason"))
    return replace(CLASSIFICATION, xml=xml, controls=controls)


class Told:
    """Remembers what was told before anything changed, and lets it happen."""

    def __init__(self) -> None:
        self.planned = PlannedChange()

    def __call__(self, planned: PlannedChange) -> None:
        self.planned = planned


def relaunch(server: StockServer, plan: CampaignPlan, folder: Path) -> tuple[PlannedChange, Launch]:
    """Launch again; what was told before, and what came of it."""
    told = Told()
    done = launch(server, plan, memory=folder, confirm=told)
    return told.planned, done


@pytest.mark.parametrize(
    ("change", "states", "fallen", "told"),
    [
        (lambda folder: plan_of(folder), {"FINAL": 2}, {}, None),
        (
            lambda folder: plan_of(folder, policy=POLICY.replace("2", "3")),
            {"AWAITING_PASSES": 2},
            {"general": 1, "financial": 1},
            "policy: passes 2 → 3",
        ),
        (
            lambda folder: plan_of(
                folder, team=TEAM.replace(", expertise: [financial]}\n  - {id: cleo", "}\n  - {id: cleo")
            ),
            {"FINAL": 1, "AWAITING_EXPERT": 1},
            {"financial": 1},
            "ben loses the expertise financial",
        ),
        (
            lambda folder: plan_of(folder, team=TEAM.replace("[qa]", "[qa], left: 2020-01-01T00:00:00Z")),
            {"AWAITING_QA": 2},
            {"general": 1, "financial": 1},
            "2 QA reviews will not count any more: 2 of cleo",
        ),
        (
            lambda folder: plan_of(folder, team=TEAM.replace("ana@x.test", "ana.new@x.test")),
            {"AWAITING_PASSES": 2},
            {"general": 1, "financial": 1},
            "ana loses the account ana@x.test: keep it with former_emails: [ana@x.test]",
        ),
        (
            lambda folder: plan_of(
                folder, team=TEAM.replace("ana@x.test", "ana.new@x.test, former_emails: [ana@x.test]")
            ),
            {"FINAL": 2},
            {},
            "ana has the address ana.new@x.test, not ana@x.test",
        ),
    ],
    ids=["nothing", "passes", "expertise", "left", "address", "former address"],
)
def test_what_a_change_does_is_told_and_then_done(
    server: StockServer,
    tmp_path: Path,
    change: Callable[[Path], CampaignPlan],
    states: dict[str, int],
    fallen: dict[str, int],
    told: str | None,
) -> None:
    """The reconcile afterwards comes to the very states that were told before; a second launch changes nothing."""
    plan = change(tmp_path)
    planned, done = relaunch(server, plan, tmp_path)
    assert (planned.cost.fallen, planned.needs_yes) == (Counter(fallen), bool(fallen))
    if told is None:
        assert planned.lines() == []
    else:
        assert told in "\n".join(planned.lines())
        assert planned.cost.after == Counter(states)
    assert done.campaign is not None
    assert reconcile(server, done.campaign).states == states
    assert relaunch(server, plan, tmp_path)[0].changes == ()


def test_a_renamed_label_needs_its_map(server: StockServer, tmp_path: Path) -> None:
    """Without one nothing is changed; with one the answers are read by the new label, also in later set-ups."""
    plan = plan_of(tmp_path, interface=with_label("Partly correct", "Half right"))
    with pytest.raises(CampaignError, match="6 stored answers would be lost: verdict: 'Partly correct' is not one of"):
        relaunch(server, plan, tmp_path)
    planned, done = relaunch(server, replace(plan, renames={"verdict": {"Partly correct": "Half right"}}), tmp_path)
    assert planned.changes == ("interface: verdict: the label 'Partly correct' is now 'Half right'",)
    assert (planned.cost.falls, planned.cost.revalued) == (0, 2)
    again, done = relaunch(server, plan, tmp_path)
    assert again.changes == () == done.changes
    assert done.campaign is not None
    assert reconcile(server, done.campaign).states == {"FINAL": 2}


def test_whoever_the_server_knows_has_an_account() -> None:
    """By an id that the server keeps, whatever the address; else by any of their addresses."""
    team = load_team(TEAM.replace("ana@x.test", "ana.new@x.test").replace("[qa]", "[qa], former_emails: [c@x.test]"))
    users = [User(id=1, email="ana@x.test"), User(id=2, email="c@x.test"), User(id=3, email="who@x.test")]
    by_address, by_id = check_team(team, users), check_team(team, users, {1: "ana"})
    assert [person.id for person in by_address.there] == ["cleo"]
    assert [person.id for person in by_id.there] == ["ana", "cleo"]
    assert (by_address.strangers, by_id.strangers) == (("ana@x.test", "who@x.test"), ("who@x.test",))


def test_a_form_that_opened_with_the_auto_label_did_so_by_any_name() -> None:
    """What a form opened with is kept as a hash: that of the auto-label by its earlier labels is that of now."""
    auto_label, kinds = {"verdict": "Partly correct", "issues": []}, {"verdict": Kind.CHOICE, "issues": Kind.CHOICES}
    interface = carry_renames(
        with_label("Partly correct", "Half right"), CLASSIFICATION.xml, {"verdict": {"Partly correct": "Half right"}}
    )
    shown = {"version": "auto-label", "hash": values_hash(kinds, auto_label)}
    now = by_labels_of_now(shown, auto_label, interface.controls)
    assert saw_auto_label(kinds, with_labels_of_now(auto_label, interface.controls), now)
    assert now is not None
    assert now["hash_as_given"] == shown["hash"]
    other = {"version": "auto-label", "hash": values_hash(kinds, {"verdict": "Correct"})}
    assert by_labels_of_now(other, auto_label, interface.controls) == other
    assert by_labels_of_now(shown, auto_label, CLASSIFICATION.controls) == shown


def test_what_this_machine_does_not_know_is_said(server: StockServer, tmp_path: Path) -> None:
    """Another machine set the campaign up: what the team of until now was is not known."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    planned, _ = relaunch(server, plan_of(tmp_path, team=TEAM.replace("[qa]", "[expert]")), elsewhere)
    assert planned.lines() == [
        "this machine does not know the team of until now, so what a change of it costs cannot be said"
    ]


def test_a_dry_run_tells_and_changes_nothing(server: StockServer, tmp_path: Path) -> None:
    """The same figures, and no question."""
    writes = server.writes
    done = launch(server, plan_of(tmp_path, policy=POLICY.replace("2", "3")), memory=tmp_path, dry_run=True)
    assert (done.planned.cost.falls, server.writes) == (2, writes)


def content(server: StockServer) -> list[object]:
    """Projects, tabs and tasks."""
    return [(each, server.views(each.id), list(server.tasks(each.id))) for each in server.projects()]


def test_without_a_yes_nothing_happens(
    server: StockServer, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No terminal and no --yes: exit 1, and the server is as before."""
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False)
    before, plan = content(server), plan_of(tmp_path, policy=POLICY.replace("2", "3"))
    with pytest.raises(typer.Exit) as ended:
        launch(server, plan, memory=tmp_path, confirm=Asking(yes=False).confirm)
    assert (ended.value.exit_code, content(server)) == (1, before)
    said = capsys.readouterr()
    assert "2 final rows will reopen: 1 financial, 1 general" in said.out
    assert "nothing was changed; give --yes" in said.err
    launch(server, plan, memory=tmp_path, confirm=Asking(yes=True).confirm)
    assert content(server) != before


def test_a_rename_that_names_nothing_is_refused() -> None:
    """Every wrong name at once."""
    with pytest.raises(InterfaceError) as refused:
        carry_renames(
            CLASSIFICATION, CLASSIFICATION.xml, {"verdict": {"Half": "Correct", "Correct": "All right"}, "tone": {}}
        )
    assert [fault.partition(":")[0] for fault in refused.value.faults] == [
        "--rename verdict", "--rename verdict", "--rename verdict", "--rename tone",
    ]  # fmt: skip


@pytest.mark.parametrize("given", ["verdict", "verdict:A", "verdict:A=", ":A=B"])
def test_a_rename_is_written_in_one_way(given: str) -> None:
    """What cannot be read is said, with how it is written."""
    with pytest.raises(typer.BadParameter, match="FIELD:"):
        read_renames([given])
