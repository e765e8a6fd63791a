"""What is wrong in the database is found, whoever made it so, and repaired where it can be."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from projects.models import Project
from tasks.models import Task

from label_studio_quorum.campaign.projects import Marker, read_marker, write_marker
from ls_plugin.models import Grant, Slot, Stage
from ls_plugin.pages import checkup
from ls_plugin.people.standings import RULE_STAGE
from tests.unit.ls_plugin.snapshots import built_once
from tests.unit.ls_plugin.support import CampaignInTest, by_hand, make_campaign, owner_client, post, review, verdict

Plant = Callable[[CampaignInTest], None]


@pytest.fixture
@built_once
def campaign() -> CampaignInTest:
    """Of three rows one is with QA, one has a pass, and one is fresh."""
    made = make_campaign()
    for stage, project in made.projects.items():
        line = Marker(campaign=made.campaign.name, stage=RULE_STAGE[stage], task="classification", policy="sha256:0")
        Project.objects.filter(pk=project.pk).update(description=write_marker("Notes.", line))
    made.add_rows("r1", "r2", "r3")
    for person in ("ana", "bea", "ana"):
        made.answer(person, verdict("Correct"))
    return made


def _without_answer(campaign: CampaignInTest) -> None:
    by_hand("DELETE FROM task_completion WHERE task_id = %s", campaign.slot("r2").task_id)


def _without_line(campaign: CampaignInTest) -> None:
    by_hand("UPDATE project SET description = '' WHERE id = %s", campaign.projects[Stage.QA].pk)


def _sealed(campaign: CampaignInTest) -> None:
    by_hand("UPDATE ls_plugin_slot SET sealed = 1 WHERE task_id = %s", campaign.slot("r2").task_id)


def _closed(campaign: CampaignInTest) -> None:
    by_hand("UPDATE ls_plugin_slot SET open = 0 WHERE project_id = %s", campaign.projects[Stage.QA].pk)


def _past_the_plugin(campaign: CampaignInTest) -> None:
    by_hand("DELETE FROM ls_plugin_slot WHERE task_id = %s", campaign.slot("r3").task_id)


def _without_task(campaign: CampaignInTest) -> None:
    by_hand("DELETE FROM task WHERE id = %s", campaign.slot("r3").task_id)


PLANTED: dict[str, tuple[Plant, set[str]]] = {
    "an answer deleted": (_without_answer, {"answers gone", "seats", "hand-outs"}),
    "a description emptied": (_without_line, {"marker"}),
    "a seal on a row that waits": (_sealed, {"seals"}),
    "a review in no queue": (_closed, {"queues"}),
    "a task without its slot": (_past_the_plugin, {"tasks unknown"}),
    "a task deleted": (_without_task, {"tasks gone"}),
}


def _faults(campaign: CampaignInTest) -> set[str]:
    answer = owner_client().get("/quorum/api/checkup", {"name": campaign.campaign.name})
    assert answer.status_code == 200, answer.content
    return {fault["about"] for fault in answer.json()["faults"]}


def test_nothing_is_wrong_with_a_campaign_at_work(campaign: CampaignInTest) -> None:
    """At every step of a row to its end there is nothing to find."""
    assert _faults(campaign) == set()
    campaign.submit("cal", campaign.take("cal"), [], was_cancelled=True)
    campaign.take("bea")
    assert _faults(campaign) == set()
    campaign.answer("quin", review("accept", "Correct"), Stage.QA)
    assert campaign.slot("r1").state == "FINAL"
    assert _faults(campaign) == set()


@pytest.mark.parametrize(("plant", "abouts"), PLANTED.values(), ids=PLANTED)
def test_what_was_done_to_the_database_is_found_and_repaired(
    campaign: CampaignInTest, plant: Plant, abouts: set[str]
) -> None:
    """The faults name it, a repair says what it mended, and afterwards only what is lost for good is named."""
    plant(campaign)
    assert _faults(campaign) == abouts
    answer = post(owner_client(), "/quorum/api/repair", {"name": campaign.campaign.name}).json()
    assert {fault["about"] for fault in answer["mended"]} == abouts - {"answers gone"}
    assert {fault["about"] for fault in answer["faults"]} == abouts & {"answers gone"} == _faults(campaign)


def test_the_row_of_an_answer_that_is_gone_is_asked_again_also_of_its_author(campaign: CampaignInTest) -> None:
    """Its seat is free, and whoever gave the answer may give it anew."""
    _without_answer(campaign)
    checkup.repair(campaign.campaign)
    assert campaign.take("ana") == campaign.slot("r2").task_id
    assert campaign.submit("ana", campaign.slot("r2").task_id, verdict("Correct")).status_code == 201


def test_the_line_is_restored_below_what_people_wrote(campaign: CampaignInTest) -> None:
    """The campaign is found by it again, under its own policy."""
    project = campaign.projects[Stage.PASS].pk
    by_hand("UPDATE project SET description = 'Our notes.' WHERE id = %s", project)
    checkup.repair(campaign.campaign)
    description = Project.objects.get(pk=project).description or ""
    line = read_marker(description)
    assert line is not None
    assert description.startswith("Our notes.\n")
    assert (line.campaign, line.policy) == (campaign.campaign.name, campaign.campaign.policy_hash)


def test_a_project_that_is_gone_is_named_with_what_is_lost(campaign: CampaignInTest) -> None:
    """It cannot be repaired, and the hint says what can be done."""
    by_hand("DELETE FROM project WHERE id = %s", campaign.projects[Stage.PASS].pk)
    (fault,) = [fault for fault in checkup.find_faults(campaign.campaign) if fault.about == "project"]
    assert "with 3 tasks and 3 answers" in fault.message
    assert "backup" in fault.hint
    assert not fault.mends


def test_tasks_without_a_row_are_named(campaign: CampaignInTest) -> None:
    """They stop nobody's work; what to do with them is for a manager."""
    stranger = Task.objects.create(project=campaign.projects[Stage.PASS], data={"text": "no row"}, overlap=2)
    (fault,) = checkup.find_faults(campaign.campaign)
    assert (fault.about, fault.stops, fault.mends) == ("tasks without a row", False, False)
    assert str(stranger.pk) in fault.message


def test_a_repair_leaves_people_at_work_alone(campaign: CampaignInTest) -> None:
    """Seats in hand, skips and answers are as before."""
    campaign.submit("cal", campaign.take("cal"), [], was_cancelled=True)
    campaign.take("bea")
    before = list(Grant.objects.order_by("pk").values()), list(Slot.objects.order_by("pk").values())
    assert checkup.repair(campaign.campaign) == ([], 0)
    assert before == (list(Grant.objects.order_by("pk").values()), list(Slot.objects.order_by("pk").values()))
