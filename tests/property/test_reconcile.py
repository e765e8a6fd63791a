"""Laws of reconcile, on a server in memory: random work, broken rules, crashes between any two writes, runs at once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from label_studio_quorum.campaign.importing import import_rows
from label_studio_quorum.campaign.projects import PROPOSAL, STAGES, Campaign, interface_of
from label_studio_quorum.campaign.reconcile import ChangePlan, carry_out, decide_rows, plan_row, reconcile
from label_studio_quorum.campaign.row_task import prediction_values
from label_studio_quorum.campaign.setup import CampaignSpec, setup_campaign
from label_studio_quorum.campaign.snapshot import Snapshot
from label_studio_quorum.intake import Row
from label_studio_quorum.port import Task
from ls_config.interface import parse_all
from ls_config.results import to_result
from ls_config.review_screen import compose_review
from review_rules import Stage, State, load_policy, load_team
from tests.support.fake_label_studio import FakeLabelStudio, Killed
from tests.support.laws import examples

XML = """<View><Text name="response" value="$response"/>
<Choices name="verdict" toName="response"><Choice value="A"/><Choice value="B"/></Choices>
<Choices name="flags" toName="response" choice="multiple">
<Choice value="unsure"/><Choice value="needs_expert"/></Choices>
</View>"""
POLICY = load_policy("version: 1\nexpert_domains: [technical]\nfields: {verdict: {agree: exact}}\n")
PEOPLE = {
    "ana": "[annotator]",
    "ben": "[annotator]",
    "chi": "[annotator, qa]",
    "dag": "[expert, qa], expertise: [technical]",
    "eve": "[annotator, expert], expertise: [technical]",
}
TEAM = load_team(
    "people:\n" + "".join(f"  - {{id: {one}, email: {one}@x.test, roles: {rest}}}\n" for one, rest in PEOPLE.items())
)
EMAILS = [f"{one}@x.test" for one in PEOPLE] + ["stranger@x.test"]
USERS = range(1, len(EMAILS) + 1)
INTERFACE = interface_of(XML, "mini")
CONTROLS = parse_all(compose_review(XML, "qa"))
ROWS = [
    Row(row_id="r1", context="", query="q", response="a"),
    Row(row_id="r2", context="", query="q", response="b", domain="technical", auto_label={"verdict": "A"}),
]


@dataclass
class World:
    """A campaign on a fake server, and what people handed in and did not take back."""

    server: FakeLabelStudio
    campaign: Campaign
    submitted: set[int] = field(default_factory=set)


def new_world() -> World:
    """Two rows in the Pass project, nothing done."""
    server = FakeLabelStudio(EMAILS)
    spec = CampaignSpec(name="c", interface=INTERFACE, policy=POLICY, team=TEAM)
    campaign = setup_campaign(server, spec).campaign
    assert campaign is not None
    import_rows(server, campaign, ROWS)
    return World(server, campaign)


FORMS = st.fixed_dictionaries(
    {"verdict": st.sampled_from(["A", "B"])},
    optional={
        "decision": st.sampled_from(["accept", "correct", "escalate", "discard"]),
        "decision_reason": st.just("because"),
        "flags": st.sampled_from([["unsure"], ["needs_expert"]]),
    },
)
WORK = st.tuples(st.just("work"), st.integers(0, 200), FORMS)
EVENTS = st.one_of(
    WORK,
    WORK,
    WORK,
    st.tuples(st.just("doubled import"), st.integers(0, 1)),
    st.tuples(st.just("intrude"), st.integers(0, 20), st.sampled_from(USERS), FORMS),
    st.tuples(st.just("skip"), st.sampled_from(STAGES), st.sampled_from(USERS)),
    st.tuples(st.just("edit"), st.integers(0, 20), st.sampled_from([0, 0, 0, *USERS]), FORMS),
    st.tuples(st.just("remove"), st.integers(0, 20)),
    st.tuples(st.just("delete task"), st.integers(0, 20)),
    st.tuples(st.just("sync"), st.one_of(st.none(), st.integers(0, 3))),
    st.tuples(st.just("two syncs")),
)
HISTORIES = st.lists(EVENTS, min_size=4, max_size=25)


def all_tasks(world: World) -> list[Task]:
    """Every task of the campaign, by id."""
    found = [task for stage in STAGES for task in world.server.tasks(world.campaign.project(stage))]
    return sorted(found, key=lambda task: task.id)


def happen(world: World, event: tuple[Any, ...]) -> None:
    """Let one thing happen."""
    server, campaign = world.server, world.campaign
    answered = [(task, one) for task in all_tasks(world) for one in task.submitted]
    match event:
        case ("work", index, form):
            chances = [
                (user, task)
                for stage in STAGES
                for user in USERS
                if (person := campaign.person(user)) is not None and stage.roles & person.roles
                for task in server.open_tasks(campaign.project(stage), user)
            ]
            if chances:
                user, task = chances[index % len(chances)]
                if task.project == campaign.project(Stage.PASS):
                    form = {name: value for name, value in form.items() if not name.startswith("decision")}
                world.submitted.add(server.submit(task.id, user, to_result(form, CONTROLS, task.data)))
            sync(world)
        case ("doubled import", index):
            import_rows(server, campaign, [ROWS[index]], known={}, is_alone=lambda: True)
        case ("intrude", index, user, form):
            tasks = all_tasks(world)
            if tasks:
                task = tasks[index % len(tasks)]
                world.submitted.add(server.submit(task.id, user, to_result(form, CONTROLS, task.data)))
        case ("skip", stage, user):
            for task in server.open_tasks(campaign.project(stage), user)[:1]:
                server.submit(task.id, user, [], cancelled=True)
        case ("edit", index, user, form) if answered:
            task, one = answered[index % len(answered)]
            server.edit(task.id, one.id, user or (one.by or 0), to_result(form, CONTROLS, task.data))
        case ("remove", index) if answered:
            task, one = answered[index % len(answered)]
            server.remove(task.id, one.id)
            world.submitted.discard(one.id)
        case ("delete task", index):
            reviews = [task for task in all_tasks(world) if task.project != campaign.project(Stage.PASS)]
            if reviews:
                gone = reviews[index % len(reviews)]
                world.submitted -= {one.id for one in gone.submitted}
                server.delete_task(gone.id)
        case ("sync", dies_after):
            sync(world, dies_after)
        case ("two syncs",):
            two_syncs(world)


def sync(world: World, dies_after: int | None = None) -> dict[str, int]:
    """One run; dies before the write after so many."""
    server = world.server
    server.dies_at = None if dies_after is None else server.writes + dies_after
    try:
        return reconcile(server, world.campaign).changes
    except Killed:
        return {"killed": 1}
    finally:
        server.dies_at = None


def two_syncs(world: World) -> None:
    """Two runs that both read before either writes."""
    plans = []
    for _ in range(2):
        plan = ChangePlan()
        with Snapshot.read(world.server, world.campaign) as held:
            for row in decide_rows(world.campaign, held, held.row_ids, plan):
                plan_row(world.campaign, row, plan)
        plans.append(plan)
    for plan in plans:
        plan.queue = [one for one in plan.queue if any(task.id == one[0] for task in all_tasks(world))]
        carry_out(world.server, world.campaign, plan)


def picture(world: World) -> Counter[str]:
    """What the server holds, without the ids of tasks and predictions and without times of tasks."""
    return Counter(
        repr(
            (
                task.project, sorted(task.data.items()), task.meta, task.overlap, task.is_labeled,
                [one.id for one in task.annotations], [(one.model_version, one.result) for one in task.predictions],
            )
        )
        for task in all_tasks(world)
    )  # fmt: skip


def run(history: list[tuple[Any, ...]]) -> World:
    """A world in which all this happened."""
    world = new_world()
    for event in history:
        happen(world, event)
    return world


LAWS = settings(max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow])


@LAWS
@given(HISTORIES)
def test_a_second_run_changes_nothing(history: list[tuple[Any, ...]]) -> None:
    """Whatever happened before, one run brings the server in line, and the next finds nothing to do."""
    world = run(history)
    sync(world)
    before = world.server.writes
    assert sync(world) == {}
    assert world.server.writes == before


@LAWS
@given(HISTORIES)
def test_no_submission_is_ever_lost(history: list[tuple[Any, ...]]) -> None:
    """What people handed in and did not delete themselves is on the server, and in the records, each once."""
    world = run(history)
    sync(world)
    held = [one.id for task in all_tasks(world) for one in task.submitted]
    assert sorted(held) == sorted(world.submitted)
    with Snapshot.read(world.server, world.campaign) as snapshot:
        rows = list(decide_rows(world.campaign, snapshot, snapshot.row_ids))
        recorded = [source.annotation for row in rows for some in row.record.sources.values() for source in some]
        assert set(recorded) == world.submitted


@LAWS
@given(HISTORIES)
def test_exactly_what_is_due_is_open(history: list[tuple[Any, ...]]) -> None:
    """A row has one open task, in the stage that it waits for and asking for as many people as it lacks; else none."""
    world = run(history)
    sync(world)
    with Snapshot.read(world.server, world.campaign) as snapshot:
        for row in decide_rows(world.campaign, snapshot, snapshot.row_ids):
            open_tasks = [(stage, task) for stage, tasks in row.tasks.items() for task in tasks if not task.is_labeled]
            stages = [stage for stage, _ in open_tasks]
            match row.decision.state:
                case State.AWAITING_PASSES:
                    assert stages == [Stage.PASS]
                    lacking = POLICY.passes - len(row.decision.counted.get(Stage.PASS, ()))
                    assert open_tasks[0][1].overlap - len(open_tasks[0][1].annotators) == lacking
                case State.AWAITING_QA:
                    assert stages == [Stage.QA]
                case State.AWAITING_EXPERT:
                    assert stages == [Stage.EXPERT]
                case State.FINAL | State.DISCARDED:
                    assert stages == []
                case State.BLOCKED:
                    assert set(stages) <= {Stage.PASS}


@LAWS
@given(HISTORIES)
def test_a_run_that_died_anywhere_is_repaired_by_the_next(history: list[tuple[Any, ...]]) -> None:
    """Killed before any of its writes and run again, the server ends up as if nothing had happened to the run."""
    world = run(history)
    undisturbed = replace(world, server=world.server.copy())
    sync(undisturbed)
    wanted = picture(undisturbed)
    for dies_after in range(undisturbed.server.writes - world.server.writes):
        disturbed = replace(world, server=world.server.copy())
        assert sync(disturbed, dies_after) == {"killed": 1}
        sync(disturbed)
        assert picture(disturbed) == wanted


@LAWS
@given(HISTORIES)
def test_two_runs_at_once_end_like_one(history: list[tuple[Any, ...]]) -> None:
    """Two runs that both read before either wrote leave nothing doubled once a third has run."""
    world = run(history)
    undisturbed = replace(world, server=world.server.copy())
    sync(undisturbed)
    two_syncs(world)
    sync(world)
    assert picture(world) == picture(undisturbed)


@LAWS
@given(HISTORIES)
def test_a_watcher_that_reads_only_changes_decides_the_same(history: list[tuple[Any, ...]]) -> None:
    """Refreshing a snapshot by what changed finds the same work as reading everything, unless a task was deleted."""
    kept = [event for event in history if event[0] != "delete task"]
    world = new_world()
    with Snapshot.read(world.server, world.campaign) as snapshot:
        for event in kept:
            if event[0] not in ("sync", "two syncs"):
                happen(world, event)
                continue
            touched = snapshot.refresh(world.server)
            reconcile(world.server, world.campaign, sorted(touched), snapshot=snapshot)
        touched = snapshot.refresh(world.server)
        reconcile(world.server, world.campaign, sorted(touched), snapshot=snapshot)
        assert sync(world) == {}


def test_the_expert_form_opens_without_the_guess_of_qa() -> None:
    """QA that escalates with a value leaves the expert what the passes came to; the panel tells its words."""
    world = new_world()
    server, campaign = world.server, world.campaign
    guess = {"verdict": "B", "decision": "escalate", "decision_reason": "who knows?"}
    stages = [(Stage.PASS, "ana", {"verdict": "A"}), (Stage.PASS, "ben", {"verdict": "A"}), (Stage.QA, "chi", guess)]
    for stage, person, form in stages:
        user = EMAILS.index(f"{person}@x.test") + 1
        task = next(task for task in server.tasks(campaign.project(stage)) if task.row_id == "r1")
        server.submit(task.id, user, to_result(form, CONTROLS, task.data))
        sync(world)
    [asked] = [task for task in server.tasks(campaign.project(Stage.EXPERT)) if task.row_id == "r1"]
    shown = prediction_values(asked, PROPOSAL, campaign.interface)
    assert shown == {"verdict": "A"}
    assert "who knows?" in asked.data["panel"]


def test_a_corrected_pass_keeps_its_place_where_a_field_is_required() -> None:
    """The stand-in for the first version, whose values nobody knows, counts as one that was filled in."""
    server = FakeLabelStudio(EMAILS)
    requiring = interface_of(XML.replace('name="verdict"', 'name="verdict" required="true"'), "mini")
    spec = CampaignSpec(name="c", interface=requiring, policy=POLICY, team=TEAM)
    campaign = setup_campaign(server, spec).campaign
    assert campaign is not None
    import_rows(server, campaign, ROWS[:1])
    [task] = server.tasks(campaign.project(Stage.PASS))
    answer = to_result({"verdict": "A"}, CONTROLS, task.data)
    first, *_ = [server.submit(task.id, user, answer) for user in (1, 2, 3)]
    server.edit(task.id, first, 1, to_result({"verdict": "B"}, CONTROLS, task.data))
    with Snapshot.read(server, campaign) as snapshot:
        [decided] = decide_rows(campaign, snapshot, snapshot.row_ids, ChangePlan())
    counted = [decided.record.history.passes[index].by for index in decided.decision.counted[Stage.PASS]]
    assert counted == ["ana", "ben"]
