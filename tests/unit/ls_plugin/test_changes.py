"""Changes of people, rules and interface in mid-campaign: what is said beforehand is what happens."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from tasks.models import Annotation

from label_studio_quorum.campaign.change_plan import ChangeCost
from label_studio_quorum.campaign.reconcile import DecidedRow, decide_rows
from label_studio_quorum.campaign.snapshot import Snapshot
from ls_config.interface import load, with_renames
from ls_plugin.models import Campaign, Slot, Stage
from ls_plugin.queue import reconcile
from ls_plugin.queue.campaigns import read_campaign
from ls_plugin.queue.server_port import ServerPort
from review_rules import Stage as RuleStage
from review_rules import State
from tests.unit.ls_plugin.snapshots import built_once
from tests.unit.ls_plugin.support import CampaignInTest, make_campaign, owner_client, post, review, verdict

XML = load("classification").xml
ROWS = ("g1", "g2", "f1", "g3", "g4")


@pytest.fixture
@built_once
def campaign() -> CampaignInTest:
    """Two general rows and a financial one are final, one is in quin's hand for QA, one has ana's pass alone.

    Every answer took five seconds.
    """
    made = make_campaign()
    made.add_rows("g1", "g2")
    for _ in range(2):
        made.answer("ana", verdict("Correct"))
        made.answer("bea", verdict("Correct"))
    for _ in range(2):
        made.answer("quin", review("accept", "Correct"), Stage.QA)
    made.add_rows("f1", domain="financial")
    made.answer("fin", verdict("Partly correct"))
    made.answer("ana", verdict("Partly correct"))
    made.answer("anq", review("accept", "Partly correct"), Stage.QA)
    made.add_rows("g3")
    made.answer("ana", verdict("Correct"))
    made.answer("bea", verdict("Correct"))
    made.take("quin", Stage.QA)
    made.add_rows("g4")
    made.answer("ana", verdict("Correct"))
    return made


@dataclass(frozen=True)
class Request:
    """The files of a change, as set-up sends them."""

    policy: str
    team: str
    interface: str = XML


Edit = Callable[[Request], Request]


def edited(**replacements: tuple[str, str]) -> Edit:
    """A change of texts: file → what is replaced by what."""

    def edit(files: Request) -> Request:
        texts = {"policy": files.policy, "team": files.team, "interface": files.interface}
        for file, (old, new) in replacements.items():
            assert old in texts[file], (file, old)
            texts[file] = texts[file].replace(old, new)
        return Request(**texts)

    return edit


def without_line(person: str) -> Edit:
    """A team file without a person."""

    def edit(files: Request) -> Request:
        lines = [line for line in files.team.splitlines(keepends=True) if f"id: {person}," not in line]
        return Request(files.policy, "".join(lines), files.interface)

    return edit


def renamed(field: str, old: str, new: str) -> Edit:
    """An interface in which a label has another name, with the map that says so."""

    def edit(files: Request) -> Request:
        changed = files.interface.replace(f'value="{old}"', f'value="{new}"')
        return Request(files.policy, files.team, with_renames(changed, files.interface, {field: {old: new}}))

    return edit


def files_of(campaign: CampaignInTest) -> Request:
    """What the campaign goes by now."""
    stored = Campaign.objects.get(pk=campaign.campaign.pk)
    campaign.projects[Stage.PASS].refresh_from_db()
    return Request(stored.policy_text, stored.team_text, campaign.projects[Stage.PASS].label_config or "")


def plan(campaign: CampaignInTest, files: Request) -> tuple[ChangeCost, list[str]]:
    """What the server says that a change does, and what changes."""
    body = {"name": campaign.campaign.name, **vars(files)}
    answer = post(owner_client(), "/quorum/api/plan", body).json()
    assert answer["next"] is None
    return ChangeCost.from_json(answer["cost"]), answer["changes"]


def change(campaign: CampaignInTest, files: Request, *, yes: bool = False) -> Any:
    """Make a change, as set-up does."""
    body = {
        "name": campaign.campaign.name,
        "task": "classification",
        "projects": {stage.label: project.pk for stage, project in campaign.projects.items()},
        **vars(files),
    }
    if yes:
        body["yes"] = True
    return owner_client().put("/quorum/api/campaign", json.dumps(body), content_type="application/json")


def decided(campaign: CampaignInTest) -> dict[str, DecidedRow]:
    """Every touched row as the server decides it now."""
    rules = read_campaign(campaign.campaign.pk)
    first = Slot.objects.filter(project_id=campaign.projects[Stage.PASS].pk).exclude(taken=0, state="")
    rows = list(first.order_by("task_id").values_list("row_id", flat=True))
    snapshot = Snapshot.read(ServerPort(), rules, rows)
    return {row.row_id: row for row in decide_rows(rules, snapshot, rows)}


def states(rows: dict[str, DecidedRow]) -> dict[str, str]:
    return {row_id: row.decision.state.value for row_id, row in rows.items()}


def counted(rows: dict[str, DecidedRow]) -> set[tuple[int, str, str]]:
    """Annotation, person and stage of each answer that counts."""
    return {
        (row.record.sources[stage][place].annotation, str(row.record.history.submissions(stage)[place].by), stage.value)
        for row in rows.values()
        for stage in RuleStage
        for place in row.decision.counted.get(stage, ())
    }


def hours(annotations: set[int]) -> float:
    return float(sum(Annotation.objects.filter(pk__in=annotations).values_list("lead_time", flat=True)))


@dataclass(frozen=True)
class Expected:
    """What a change comes to: the rows that are not as before, what falls, stops to count and is in hand, a word."""

    moved: dict[str, str]
    told: str
    voided: dict[str, int]
    seats: int = 0


F, P, Q = "FINAL", "AWAITING_PASSES", "AWAITING_QA"
CHANGES: dict[str, tuple[Edit, Expected]] = {
    "an address": (
        edited(team=("email: ana-", "email: other-ana-")),
        Expected({}, "ana has the address other-ana-", {}),
    ),
    "a line removed": (
        without_line("bea"),
        Expected({"g1": P, "g2": P, "g3": P}, "bea is no more in the team", {"bea/pass": 3, "quin/qa": 2}, seats=1),
    ),
    "a role taken away": (
        lambda files: Request(
            files.policy, files.team.replace("roles: [annotator]}\n  - {id: cal", "roles: [qa]}\n  - {id: cal"), XML
        ),
        Expected({"g1": P, "g2": P, "g3": P}, "bea loses the role annotator", {"bea/pass": 3, "quin/qa": 2}, seats=1),
    ),
    "an expertise taken away": (
        edited(team=("roles: [annotator], expertise: [financial]}", "roles: [annotator]}")),
        Expected({"f1": "AWAITING_EXPERT"}, "fin loses the expertise financial", {}),
    ),
    "somebody left long ago": (
        edited(team=("roles: [qa]}", "roles: [qa], left: 2020-01-01T00:00:00Z}")),
        Expected({"g1": Q, "g2": Q}, "quin leaves as of 2020-01-01T00:00:00Z", {"quin/qa": 2}, seats=1),
    ),
    "somebody leaves in the future": (
        edited(team=("roles: [qa]}", "roles: [qa], left: 2999-01-01T00:00:00Z}")),
        Expected({}, "quin leaves as of 2999-01-01T00:00:00Z", {}),
    ),
    "another id for an account": (
        edited(team=("{id: bea,", "{id: beatrix,")),
        Expected({}, "bea is no more in the team", {}),
    ),
    "three passes": (
        edited(policy=("passes: 2", "passes: 3")),
        Expected({"g1": P, "g2": P, "f1": P, "g3": P}, "policy: passes 2 → 3", {"quin/qa": 2, "anq/qa": 1}, seats=1),
    ),
    "no QA of what agrees": (
        edited(policy=("qa: {when: all}", "qa: {when: conflict}")),
        Expected({"g3": F}, "policy: qa", {}, seats=1),
    ),
    "a label more": (
        edited(interface=('<Choice value="Incorrect"', '<Choice value="Half right"/><Choice value="Incorrect"')),
        Expected({}, "verdict: the label 'Half right' is new", {}),
    ),
    "an optional field more": (
        edited(
            interface=(
                '<Choices name="flags"',
                '<Choices name="tone" toName="response"><Choice value="Good"/></Choices><Choices name="flags"',
            )
        ),
        Expected({}, "the field tone is new", {}),
    ),
    "a required field more": (
        edited(
            interface=(
                '<Choices name="flags"',
                '<Choices name="tone" toName="response" required="true"><Choice value="Good"/></Choices>'
                '<Choices name="flags"',
            )
        ),
        Expected(
            dict.fromkeys(("g1", "g2", "f1", "g3"), P),
            "the field tone is new, and required",
            {"ana/pass": 5, "bea/pass": 3, "fin/pass": 1, "quin/qa": 2, "anq/qa": 1},
            seats=1,
        ),
    ),
    "a label by another name": (
        renamed("verdict", "Partly correct", "Half right"),
        Expected({}, "verdict: the label 'Partly correct' is now 'Half right'", {}),
    ),
    "a label that nobody used": (
        edited(interface=('<Choice value="Cannot judge" hotkey="r"', '<Choice value="No verdict" hotkey="r"')),
        Expected({}, "verdict: the label 'Cannot judge' goes", {}),
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_change_costs_is_said_asked_about_and_then_true(campaign: CampaignInTest, name: str) -> None:
    """Before → after: states, gold, seats, hours, message; without a yes nothing happens where decided rows fall."""
    edit, expected = CHANGES[name]
    before, files = decided(campaign), edit(files_of(campaign))
    assert states(before) == {"g1": F, "g2": F, "f1": F, "g3": Q, "g4": P}
    cost, changes = plan(campaign, files)
    assert expected.told in "; ".join(changes)
    wanted = states(before) | expected.moved
    if cost.rows:  # no row is looked at where none could be decided otherwise
        assert (cost.before, cost.after) == (Counter(states(before).values()), Counter(wanted.values()))
    fallen = [row_id for row_id, state in expected.moved.items() if states(before)[row_id] == F and state != F]
    assert cost.fallen == Counter("financial" if row_id == "f1" else "general" for row_id in fallen)
    assert {f"{person}/{stage}": count for (person, stage), count in cost.voided.items()} == expected.voided
    assert (cost.seats, cost.seconds) == (expected.seats, 5.0 * sum(expected.voided.values()))
    if fallen:
        refused = change(campaign, files)
        assert (refused.status_code, refused.json()["code"]) == (409, "costs_gold")
        assert refused.json()["cost"] == cost.to_json()
        assert expected.told in refused.json()["detail"]
        assert states(decided(campaign)) == states(before)
    made = change(campaign, files, yes=bool(fallen))
    assert made.status_code == 200, made.content
    assert states(decided(campaign)) == wanted
    assert not plan(campaign, files)[1]
    stored = Slot.objects.filter(project_id=campaign.projects[Stage.PASS].pk, row_id__in=ROWS)
    assert dict(stored.values_list("row_id", "state")) == wanted
    voided = counted(before) - counted(decided(campaign))
    assert hours({annotation for annotation, _, _ in voided}) == cost.seconds or name == "another id for an account"


def test_a_renamed_label_is_the_value_and_the_history_says_what_was_said(campaign: CampaignInTest) -> None:
    """Answers stay as people gave them; the map stands in the interface and goes on through later changes."""
    change(campaign, renamed("verdict", "Partly correct", "Half right")(files_of(campaign)))
    row = decided(campaign)["f1"]
    assert row.decision.final is not None
    assert row.decision.final["verdict"].value == "Half right"
    assert row.record.history.passes[0].raw["as_given"] == {"verdict": ["Partly correct"]}
    stored = Annotation.objects.filter(task__data__row_id="f1", completed_by=campaign.account("fin")).get()
    assert stored.result[0]["value"]["choices"] == ["Partly correct"]
    again = renamed("verdict", "Half right", "So-so")(files_of(campaign))
    assert change(campaign, again).status_code == 200
    final = decided(campaign)["f1"].decision.final
    assert final is not None
    assert final["verdict"].value == "So-so"


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (
            edited(interface=('value="Partly correct"', 'value="Half right"')),
            "verdict: 'Partly correct' is not one of Correct, Half right, Incorrect, Cannot judge",
        ),
        (edited(interface=('<Choices name="verdict"', '<Choices name="judgement"')), "the interface has no control"),
    ],
    ids=["label", "field"],
)
def test_labels_and_fields_with_answers_stay(campaign: CampaignInTest, edit: Edit, reason: str) -> None:
    """Whoever says yes is refused too: nothing may lose what people said."""
    before, files = states(decided(campaign)), edit(files_of(campaign))
    assert reason in "; ".join(plan(campaign, files)[0].refusals())
    for yes in (False, True):
        refused = change(campaign, files, yes=yes)
        assert (refused.status_code, refused.json()["code"]) == (409, "loses_answers")
        assert reason in refused.json()["detail"]
    assert states(decided(campaign)) == before


def test_an_interface_is_not_changed_past_the_plan(campaign: CampaignInTest) -> None:
    """By Label Studio's own settings only what it looks like is changed."""
    project = campaign.projects[Stage.PASS]
    another, hint = XML.replace('value="Incorrect"', 'value="Wrong"'), XML.replace("The main point is", "It is")
    for xml, status in ((another, 409), (hint, 200)):
        answer = campaign.client("max").patch(
            f"/api/projects/{project.pk}/", {"label_config": xml}, content_type="application/json"
        )
        assert answer.status_code == status, answer.content


def test_a_team_is_applied_only_with_a_yes_where_rows_fall(campaign: CampaignInTest) -> None:
    """The same question at the other door; a dry run asks nothing and changes nothing."""
    team = without_line("bea")(files_of(campaign)).team
    body = {"name": campaign.campaign.name, "team": team}
    assert post(owner_client(), "/quorum/api/team", body | {"dry_run": True}).status_code == 200
    assert post(owner_client(), "/quorum/api/team", body).json()["code"] == "costs_gold"
    assert states(decided(campaign))["g1"] == F
    assert post(owner_client(), "/quorum/api/team", body | {"yes": True}).status_code == 200
    assert states(decided(campaign))["g1"] == P


def test_a_manager_who_works_here_is_told_of_decided_rows_alone(campaign: CampaignInTest) -> None:
    """What would become final tells who agrees with whom in rows that they may still have in hand."""
    files = edited(team=("roles: [manager]", "roles: [manager, qa]"))(files_of(campaign))
    assert change(campaign, files).status_code == 200
    trial = edited(policy=("qa: {when: all}", "qa: {when: conflict}"))(files_of(campaign))
    body = {"name": campaign.campaign.name, **vars(trial)}
    told = ChangeCost.from_json(post(campaign.client("max"), "/quorum/api/plan", body).json()["cost"])
    whole = ChangeCost.from_json(post(owner_client(), "/quorum/api/plan", body).json()["cost"])
    assert (told.risen, told.after, whole.risen) == (0, Counter(), 1)


def test_many_rows_are_withdrawn_in_one_request(campaign: CampaignInTest) -> None:
    """Rows that nobody answered go; one with an answer, and tasks of other projects, stay."""
    tasks = campaign.add_rows(*(f"n{number}" for number in range(60)))
    kept = campaign.slot("g4").task_id
    other = make_campaign().add_rows("x")["x"]
    body = {"project": campaign.projects[Stage.PASS].pk, "tasks": [*tasks.values(), kept, other]}
    assert post(owner_client(), "/quorum/api/withdraw", body).json() == {"withdrawn": 60}
    assert Slot.objects.filter(task_id__in=[kept, other]).count() == 2
    assert not Slot.objects.filter(task_id__in=list(tasks.values())).exists()
    assert post(make_campaign().client("max"), "/quorum/api/withdraw", body).status_code == 404
    assert post(owner_client(), "/quorum/api/withdraw", body | {"tasks": ["x"]}).status_code == 400


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 6))])
def test_random_changes_do_what_their_plans_say(campaign: CampaignInTest, seed: int) -> None:
    """One change after the other, with work between them: states, gold and answers that count are as planned."""
    drawn = random.Random(seed)
    for _ in range(5):
        edit = random_edit(drawn, files_of(campaign))
        before = decided(campaign)
        cost, _ = plan(campaign, edit)
        answer = change(campaign, edit, yes=True)
        if cost.unfit:
            assert answer.json()["code"] == "loses_answers"
            continue
        assert answer.status_code == 200, answer.content
        after = decided(campaign)
        if cost.rows:
            assert cost.before == Counter(states(before).values())
            assert cost.after == Counter(states(after).values())
        fallen = [r for r in before if states(before)[r] == F != states(after)[r]]
        assert (cost.fallen.total(), len(cost.examples)) == (len(fallen), min(5, cost.falls))
        voided, regained = counted(before) - counted(after), counted(after) - counted(before)
        assert cost.voided == Counter((person, stage) for _, person, stage in voided)
        assert cost.regained == Counter((person, stage) for _, person, stage in regained)
        assert [row for row in after.values() if row.decision.state is State.FINAL and row.decision.final is None] == []
        assert reconcile.reconcile_all(campaign.campaign.pk)
        assert states(decided(campaign)) == states(after)


def random_edit(drawn: random.Random, files: Request) -> Request:
    """One of many changes, not all of which are possible."""
    person = drawn.choice(["ana", "bea", "cal", "fin", "quin", "anq"])
    line = next(line for line in files.team.splitlines() if f"id: {person}," in line or "id: max" in line)
    left = line.replace("}", ", left: 2020-01-01T00:00:00Z}") if "left:" not in line else line.split(", left:")[0] + "}"
    roles = drawn.choice(["[annotator]", "[qa]", "[annotator, qa]"])
    start = line.index("roles: [")
    swapped = line[:start] + f"roles: {roles}" + line[line.index("]", start) + 1 :]
    policies = [
        ("passes: 2", "passes: 1"), ("passes: 1", "passes: 3"), ("passes: 3", "passes: 2"),
        ("qa: {when: all}", "qa: {when: conflict}"), ("qa: {when: conflict}", "qa: {when: all}"),
        ("expert_domains: [technical, financial]", "expert_domains: [technical]"),
    ]  # fmt: skip
    old, new = drawn.choice([pair for pair in policies if pair[0] in files.policy])
    candidates = [
        Request(files.policy, files.team.replace(line, left if "id: max" not in line else line), files.interface),
        Request(files.policy, files.team.replace(line, swapped if "id: max" not in line else line), files.interface),
        Request(files.policy.replace(old, new), files.team, files.interface),
        Request(files.policy, files.team, files.interface.replace('value="Correct"', 'value="Right"')),
        Request(files.policy, files.team, files.interface.replace('hotkey="w"', 'hotkey="x"')),
    ]
    return drawn.choice(candidates)
