"""The reconcile of a row, the mark that waits for it, and reopening."""

from __future__ import annotations

import json
from typing import Any

import pytest
from organizations.models import Organization
from tasks.models import Task

from label_studio_quorum.gold.records import export_records
from ls_plugin import jobs
from ls_plugin.models import Campaign, Slot, Stage
from ls_plugin.people import team
from ls_plugin.queue import qualification, reconcile
from ls_plugin.queue.campaigns import read_campaign
from ls_plugin.queue.reopening import reopen
from ls_plugin.queue.server_port import ServerPort
from ls_plugin.queue.worker import _RECONCILES
from ls_plugin.store.refusals import Refused
from review_rules import load_policy, load_team
from review_rules.verify import Verifier
from tests.unit.ls_plugin.support import CampaignInTest, make_campaign, post, review, verdict


@pytest.fixture
def campaign() -> CampaignInTest:
    return make_campaign()


def test_two_passes_make_a_qa_task_that_asks_for_one_person(campaign: CampaignInTest) -> None:
    """The reconcile that follows the second pass opens QA and excludes both people from it."""
    campaign.add_rows("r1")
    campaign.answer("ana", verdict("Correct"))
    assert not Slot.objects.filter(project_id=campaign.projects[Stage.QA].pk).exists()
    campaign.answer("bea", verdict("Incorrect"))
    slot = campaign.slot("r1", Stage.QA)
    assert (slot.open, slot.capacity, slot.requires, slot.dirty) == (True, 1, "", False)
    assert campaign.slot("r1").agreed == 0.5


def test_a_row_of_an_expert_domain_asks_qa_for_an_expert_after_an_escalation(campaign: CampaignInTest) -> None:
    """No expert did a pass, so QA asks for one already; when QA escalates, the expert's queue asks for another."""
    campaign.add_rows("t1", domain="technical")
    campaign.answer("ana", verdict("Correct"))
    campaign.answer("bea", verdict("Correct"))
    assert campaign.slot("t1", Stage.QA).requires == "technical"
    assert campaign.next("quin", Stage.QA).json()["code"] == "no_task"
    campaign.answer("dag", review("escalate", "Correct", "unsure"), Stage.QA)
    assert campaign.slot("t1", Stage.EXPERT).requires == "technical"
    assert campaign.next("dag", Stage.EXPERT).json()["code"] == "no_task"
    campaign.answer("eve", review("correct", "Correct", "sure"), Stage.EXPERT)
    assert campaign.slot("t1").state == "FINAL"


def test_a_marked_row_is_drained_once(campaign: CampaignInTest) -> None:
    """The mark goes with the reconcile; rows without one are left alone."""
    campaign.add_rows("r1", "r2")
    Slot.objects.filter(pk=campaign.slot("r1").pk).update(dirty=True)
    assert reconcile.drain(campaign.campaign.pk) == 1
    assert reconcile.drain(campaign.campaign.pk) == 0
    assert reconcile.reconcile_all(campaign.campaign.pk) == 2
    assert reconcile.reconcile_rows(campaign.campaign.pk, []) == 0


def test_a_new_policy_marks_what_was_answered(campaign: CampaignInTest) -> None:
    """Only rows with a submission may be decided otherwise by it."""
    campaign.add_rows("r1", "r2")
    campaign.answer("ana", verdict("Correct"))
    ids = {stage: project.pk for stage, project in campaign.projects.items()}
    stored = campaign.campaign
    team.save_campaign(stored.name, stored.task, stored.policy_text, campaign.team_text, ids)
    assert (campaign.slot("r1").dirty, campaign.slot("r2").dirty) == (True, False)


def test_a_campaign_keeps_its_projects(campaign: CampaignInTest) -> None:
    """A project that left would be open to what the rules forbid."""
    stored = campaign.campaign
    swapped = dict(zip(Stage, [campaign.projects[stage].pk for stage in reversed(Stage)], strict=True))
    with pytest.raises(Refused) as refused:
        team.save_campaign(stored.name, stored.task, stored.policy_text, campaign.team_text, swapped)
    assert refused.value.reason == "keeps_projects"


def test_reopening_takes_the_seal_off_and_is_written_down(campaign: CampaignInTest) -> None:
    """The people of the row may change their answers again."""
    campaign.add_rows("r1")
    for person in ("ana", "bea"):
        campaign.answer(person, verdict("Correct"))
    campaign.take("quin", Stage.QA)
    assert campaign.slot("r1").sealed
    reopened = reopen(campaign.campaign, "r1", "a mistake", campaign.account("max"))
    assert reopened.sentence() == "Row r1 stays AWAITING_QA; 2 answers may be changed again."
    assert not campaign.slot("r1").sealed
    assert [line.row_id for line in campaign.lines("reopened")] == ["r1"]
    with pytest.raises(Refused):
        reopen(campaign.campaign, "no such row", "a mistake", campaign.account("max"))


@pytest.mark.parametrize("row_id", ["r1", "r2"])
def test_a_row_about_which_nothing_is_closed_is_not_reopened(campaign: CampaignInTest, row_id: str) -> None:
    """Nothing would change, so nothing is written down: neither for a fresh row nor for one that waits for QA."""
    campaign.add_rows("r1", "r2")
    for person in ("ana", "bea"):
        assert campaign.slot("r1").task_id == campaign.answer(person, verdict("Correct")).task_id
    with pytest.raises(Refused, match="there is nothing to reopen") as refused:
        reopen(campaign.campaign, row_id, "why not", campaign.account("max"))
    assert refused.value.reason == "not_reopened"
    assert not campaign.lines("reopened")
    with pytest.raises(Refused, match="500 characters"):
        reopen(campaign.campaign, row_id, "x" * 501, campaign.account("max"))


def test_whoever_has_an_answer_in_a_row_does_not_reopen_it(campaign: CampaignInTest) -> None:
    """Not for an outcome that they like better: another manager does. Of the owner it is written down."""
    campaign.add_rows("r1")
    for person in ("ana", "bea"):
        campaign.answer(person, verdict("Correct"))
    campaign.answer("quin", review("accept", "Correct"), Stage.QA)
    with pytest.raises(Refused, match="You have an answer in row r1: another manager or the owner") as refused:
        reopen(campaign.campaign, "r1", "mine was right", campaign.account("ana"))
    assert refused.value.reason == "excluded"
    assert campaign.slot("r1").state == "FINAL"
    Organization.objects.update(created_by=campaign.account("ana"))
    reopen(campaign.campaign, "r1", "mine was right", campaign.account("ana"))
    (line,) = campaign.lines("reopened")
    assert json.loads(line.body)["own_part"] is True
    meta = Task.objects.values_list("meta", flat=True).get(pk=campaign.slot("r1").task_id)
    assert meta["quorum"]["reopened"][0]["own_part"] is True


def test_a_final_row_that_is_reopened_goes_to_qa_again(campaign: CampaignInTest) -> None:
    """The review from before counts no more, the passes may be changed, and the row is gold once QA has looked anew."""
    campaign.add_rows("r1")
    first = campaign.answer("ana", verdict("Correct"))
    campaign.answer("bea", verdict("Correct"))
    campaign.answer("quin", review("accept", "Correct"), Stage.QA)
    address = "/quorum/api/reopen"
    body = {"name": campaign.campaign.name, "row_id": "r1", "reason": "the source was wrong"}
    assert post(campaign.client("quin"), address, body).status_code == 403
    opened = post(campaign.client("max"), address, body).json()
    assert opened == {
        "row_id": "r1", "reopened": True, "was": "FINAL", "state": "AWAITING_QA", "reviews": 1, "changeable": 3,
    }  # fmt: skip
    assert campaign.slot("r1").state == "AWAITING_QA"
    changed = campaign.client("ana").patch(
        f"/api/annotations/{first.pk}/", {"result": verdict("Incorrect")}, content_type="application/json"
    )
    assert changed.status_code == 200
    campaign.answer("quin", review("correct", "Incorrect"), Stage.QA)
    assert campaign.slot("r1").state == "FINAL"
    (line,) = campaign.lines("reopened")
    written = {"reason": "the source was wrong", "role": "manager", "was": "FINAL", "state": "AWAITING_QA"}
    assert json.loads(line.body) == written
    exported = list(export_records(ServerPort(), read_campaign(campaign.campaign.pk)))
    assert [(entry["by"], entry["reason"]) for entry in exported[0]["reopened"]] == [("max", "the source was wrong")]
    assert (exported[0]["final"]["values"]["verdict"]["value"], exported[0]["gold"]) == ("Incorrect", True)
    stored = campaign.campaign
    policy, people = load_policy(stored.policy_text), load_team(campaign.team_text)

    def unproven(record: dict[str, Any]) -> set[str]:
        # A record by itself has no place in the order of an export.
        return {each.id for each in Verifier(people, policy).check(record, 1) if each.path != "export"}

    assert unproven(exported[0]) == set()
    hidden = {**exported[0], "reopened": None, "qa": exported[0]["qa"][:1]}
    assert {"QR.E110", "QR.E112"} <= unproven(hidden)


def test_a_row_that_falls_back_is_open_to_whoever_is_asked(campaign: CampaignInTest) -> None:
    """QA leaves the team and the row is asked for again: the seal of the decided row goes with the decision."""
    campaign.add_rows("r1")
    for person in ("ana", "bea"):
        campaign.answer(person, verdict("Correct"))
    campaign.answer("quin", review("accept", "Correct"), Stage.QA)
    assert campaign.slot("r1", Stage.QA).sealed
    without = "".join(line for line in campaign.team_text.splitlines(True) if "id: quin" not in line)
    team.apply_team(campaign.campaign, without)
    assert reconcile.drain(campaign.campaign.pk) == 1
    campaign.answer("anq", review("accept", "Correct"), Stage.QA)
    assert campaign.slot("r1").state == "FINAL"


def test_the_qualification_keeps_people_below_the_bar_out(campaign: CampaignInTest) -> None:
    """A row with a known answer is everybody's; below the bar no row is handed out."""
    tasks = campaign.add_rows("q1")
    asked = qualification.read({"rows": {"q1": {"verdict": "Correct"}}, "bar": 1})
    Campaign.objects.filter(pk=campaign.campaign.pk).update(qualification=asked)
    assert qualification.summary(campaign.campaign.pk) == {"rows": 1, "missing": 0, "bar": 1.0}
    assert campaign.answer("ana", verdict("Incorrect")).task_id == tasks["q1"]
    assert campaign.next("ana").json()["code"] == "qualify"
    more = campaign.add_rows("r1")
    for person in ("bea", "cal"):
        assert {campaign.answer(person, verdict("Correct")).task_id for _ in range(2)} == {tasks["q1"], more["r1"]}
    assert campaign.next("ana").json()["code"] == "qualify"


@pytest.mark.parametrize(
    "sent", [{"rows": {}}, {"rows": {"q": {}}, "bar": 1}, {"rows": {"q": {"v": 1}}, "bar": 2}, [1]]
)
def test_a_qualification_that_cannot_be_read_is_refused(sent: object) -> None:
    """Rows need a known value each, and the bar is a share."""
    with pytest.raises(Refused):
        qualification.read(sent)


def test_no_qualification_asks_for_nothing() -> None:
    """Nothing, or an empty object, takes a qualification off."""
    assert qualification.read(None) == qualification.read({}) == {}


def test_a_job_that_an_earlier_version_queued_finds_its_function() -> None:
    """The name in the queue is an address of the code, which moved."""
    assert jobs.reconcile_row is reconcile.reconcile_row
    assert f"{jobs.__name__}.reconcile_row" in _RECONCILES
    assert f"{reconcile.__name__}.reconcile_row" in _RECONCILES
