"""Among rows of equal claim the order is drawn for each person, and the pairs of rows are spread."""

from __future__ import annotations

import json
from hashlib import md5

import pytest

from ls_plugin.models import CampaignProject, Member, Slot, Stage
from ls_plugin.people import team
from ls_plugin.people.standings import to_person
from ls_plugin.queue.ordering import queues_for
from tests.contract.plugin_campaign import POLICY, TEAM
from tests.unit.ls_plugin.snapshots import built_once
from tests.unit.ls_plugin.support import CampaignInTest, make_campaign, verdict

DRAWN = POLICY.replace("order: imported", "order: drawn")
CROWD = TEAM + "".join(
    f"  - {{id: p{number}, email: p{number}-{{tag}}@quorum.test, roles: [annotator]}}\n" for number in range(6)
)
ROWS = [f"r{number:02}" for number in range(24)]


@pytest.fixture
@built_once
def campaign() -> CampaignInTest:
    """Twenty-four rows, and eleven people who may do passes."""
    campaign = make_campaign(policy=DRAWN, team_text=CROWD)
    campaign.add_rows(*ROWS)
    return campaign


def answer_row(campaign: CampaignInTest, person: str) -> str:
    """The row that a person is handed and answers."""
    return Slot.objects.get(task_id=campaign.answer(person, verdict("Correct")).task_id).row_id


@pytest.mark.slow
def test_two_who_ask_in_turn_do_not_share_their_rows(campaign: CampaignInTest) -> None:
    """Ana answers, Bea asks, ten times: they shared all of them; nobody else is at work who could share more."""
    shared = set[str]()
    for _ in range(10):
        first, second = answer_row(campaign, "ana"), answer_row(campaign, "bea")
        shared |= {first} & {second}
    assert len(shared) <= 3
    assert campaign.slot(next(iter(shared))).taken == 2


@pytest.mark.slow
def test_what_nobody_else_takes_is_finished_by_those_who_are_there(campaign: CampaignInTest) -> None:
    """A pair that has shared more than its part gets each other's rows once nothing else is left: none starves."""
    others = list(Slot.objects.filter(row_id__in=ROWS[8:], project_id=campaign.projects[Stage.PASS].pk))
    Slot.objects.filter(task_id__in=[slot.task_id for slot in others]).update(open=False)
    for person in ("ana", "bea"):
        while campaign.next(person).status_code == 200:
            answer_row(campaign, person)
    assert [campaign.slot(row_id).taken for row_id in ROWS[:8]] == [2] * 8


def test_a_row_that_somebody_began_still_goes_before_a_fresh_one(campaign: CampaignInTest) -> None:
    """The priorities are as before: only ties are drawn."""
    begun = {answer_row(campaign, "ana") for _ in range(3)}
    assert {answer_row(campaign, person) for person in ("bea", "p3", "p4")} == begun
    technical = campaign.add_rows("t1", "t2", domain="technical")
    assert campaign.take("cal") in technical.values()


def test_the_order_follows_from_the_seed_in_the_audit_log(campaign: CampaignInTest) -> None:
    """Places are a hash of seed and row, and no two campaigns have the same."""
    stored = CampaignProject.objects.get(project_id=campaign.projects[Stage.PASS].pk)
    (line,) = campaign.lines("campaign")
    assert json.loads(line.body)["seed"] == stored.seed != ""
    for row_id in ROWS[:5]:
        assert campaign.slot(row_id).draw == md5(f"{stored.seed}:{row_id}".encode()).hexdigest()[:8]
    assert len({campaign.slot(row_id).draw for row_id in ROWS}) == len(ROWS)


def test_the_order_is_drawn_for_each_person_and_each_hand_out(campaign: CampaignInTest) -> None:
    """Nine people who open the campaign at once do not all begin with the first rows."""
    rows = [campaign.take(person) for person in ("ana", "bea", "cal", *(f"p{number}" for number in range(6)))]
    assert rows != sorted(rows)
    assert len(set(rows)) > 4


def test_a_campaign_may_keep_the_order_of_its_import(campaign: CampaignInTest) -> None:
    """And may change to it, and back, with rows that are there."""
    stored, ids = campaign.campaign, {stage: project.pk for stage, project in campaign.projects.items()}
    team.save_campaign(stored.name, stored.task, POLICY, campaign.team_text, ids)
    assert [answer_row(campaign, "ana") for _ in range(4)] == ROWS[:4]
    assert [answer_row(campaign, "bea") for _ in range(4)] == ROWS[:4]
    team.save_campaign(stored.name, stored.task, DRAWN, campaign.team_text, ids)
    assert len(set(Slot.objects.filter(project_id=ids[Stage.PASS]).values_list("draw", flat=True))) == len(ROWS)


@pytest.mark.parametrize("policy", [POLICY, DRAWN])
def test_a_hand_out_walks_an_index_and_sorts_nothing(policy: str) -> None:
    """Else each hand-out would read and sort every open row of the campaign."""
    campaign = make_campaign(policy=policy)
    campaign.add_rows("r1", "r2")
    member = Member.objects.get(campaign=campaign.campaign, person_id="ana")
    queues = list(queues_for(campaign.account("ana"), to_person(member), campaign.place()))
    assert queues
    for queue in queues:
        plan = queue.values_list("task_id", flat=True).explain()
        assert "USING INDEX quorum_slot_queue (project_id=? AND open=? AND requires=?" in plan
        assert "TEMP B-TREE" not in plan
