"""Hand-out order, seats, and what a submission may be."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from tasks.models import Annotation

from ls_plugin.models import Excluded, Grant, Stage
from ls_plugin.queue.seats import keep_seat
from ls_plugin.store.exclusions import exclude, is_excluded
from tests.unit.ls_plugin.support import CampaignInTest, make_campaign, post, review, verdict


@pytest.fixture
def campaign() -> CampaignInTest:
    return make_campaign()


def test_a_row_that_somebody_began_goes_before_a_fresh_one(campaign: CampaignInTest) -> None:
    """The second person completes a row before a new one is begun."""
    tasks = campaign.add_rows("r1", "r2", "r3")
    campaign.take("ana")
    assert campaign.answer("ana", verdict("Correct")).task_id == tasks["r1"]
    assert campaign.take("bea") == tasks["r1"]


def test_a_row_that_needs_an_expert_goes_first_for_people_without_expertise(campaign: CampaignInTest) -> None:
    """Few people can finish such a row, so that its passes must not come last."""
    general = campaign.add_rows("r1")
    technical = campaign.add_rows("t1", domain="technical")
    assert campaign.take("ana") == technical["t1"] != general["r1"]


def test_the_only_expert_of_a_domain_gets_its_rows_last_as_a_pass(campaign: CampaignInTest) -> None:
    """Fin knows finance, but two others can review it: so Fin takes the financial row first."""
    general = campaign.add_rows("r1")
    financial = campaign.add_rows("f1", domain="financial")
    assert campaign.take("fin") == financial["f1"] != general["r1"]


def test_asking_again_gives_the_task_in_hand(campaign: CampaignInTest) -> None:
    """A person has one task until they answer it."""
    campaign.add_rows("r1", "r2")
    assert campaign.take("ana") == campaign.take("ana")
    assert len(campaign.hand_outs("ana")) == 1


def test_two_seats_a_row_and_no_third(campaign: CampaignInTest) -> None:
    """A row of two passes has seats for two people; the third is told that there is nothing."""
    campaign.add_rows("r1")
    campaign.take("ana")
    campaign.take("bea")
    refused = campaign.next("cal")
    assert (refused.status_code, refused.json()["code"]) == (404, "no_task")


def test_a_seat_that_ran_out_goes_to_the_next_and_is_not_renewed(campaign: CampaignInTest) -> None:
    """Somebody who does nothing loses the seat to who asks; saving a draft afterwards does not take it back."""
    tasks = campaign.add_rows("r1")
    campaign.take("ana")
    campaign.take("bea")
    mine = Grant.objects.filter(task_id=tasks["r1"], user_id=campaign.account("ana"))
    mine.update(expires_at=timezone.now() - timedelta(minutes=1))
    assert campaign.take("cal") == tasks["r1"]
    keep_seat(tasks["r1"], campaign.account("ana"), campaign.person("ana"), campaign.place())
    assert mine.get().expires_at < timezone.now()
    refused = campaign.submit("ana", tasks["r1"], verdict("Correct"))
    assert (refused.status_code, refused.json()["code"]) == (409, "full")


def test_a_seat_is_renewed_while_nobody_else_has_it(campaign: CampaignInTest) -> None:
    """A draft keeps the seat, also one that ran out a while ago."""
    tasks = campaign.add_rows("r1")
    campaign.take("ana")
    mine = Grant.objects.filter(task_id=tasks["r1"], user_id=campaign.account("ana"))
    mine.update(expires_at=timezone.now() - timedelta(minutes=1))
    keep_seat(tasks["r1"], campaign.account("ana"), campaign.person("ana"), campaign.place())
    assert mine.get().expires_at > timezone.now()


def test_a_task_that_was_put_off_makes_room_for_the_next_and_comes_back(campaign: CampaignInTest) -> None:
    """Up to five tasks may wait; when nothing else is left the first of them is handed out again."""
    tasks = campaign.add_rows("r1", "r2")
    first = campaign.take("ana")
    draft = {"result": verdict("Correct"), "was_postponed": True}
    assert post(campaign.client("ana"), f"/api/tasks/{first}/drafts", draft).status_code == 201
    second = campaign.take("ana")
    assert {first, second} == set(tasks.values())
    said = campaign.client("ana").get("/quorum/api/put-off", {"project": campaign.place().project_id}).json()
    until = Grant.objects.get(task_id=first, user_id=campaign.account("ana")).expires_at
    row_id = next(row_id for row_id, task_id in tasks.items() if task_id == first)
    assert said == {"rows": [{"row_id": row_id, "until": until.isoformat()}], "most": 4}
    assert (
        campaign.client("bea").get("/quorum/api/put-off", {"project": campaign.place().project_id}).json()["rows"] == []
    )
    campaign.submit("ana", second, verdict("Correct"))
    assert campaign.take("ana") == first


def test_somebody_who_is_excluded_is_handed_other_rows(campaign: CampaignInTest) -> None:
    """An exclusion holds in the queue, and twice the same one is one."""
    tasks = campaign.add_rows("r1", "r2")
    exclude([(tasks["r1"], campaign.account("ana"))])
    exclude([(tasks["r1"], campaign.account("ana"))])
    assert is_excluded(tasks["r1"], campaign.account("ana"))
    assert Excluded.objects.filter(task_id=tasks["r1"]).count() == 1
    assert campaign.take("ana") == tasks["r2"]


def test_qa_goes_to_a_third_person_and_seals_the_passes(campaign: CampaignInTest) -> None:
    """Anq did a pass, so QA of the row is Quin's; when it is handed out the passes stay as they are."""
    campaign.add_rows("r1")
    first = campaign.answer("anq", verdict("Correct"))
    campaign.answer("ana", verdict("Correct"))
    assert campaign.next("anq", Stage.QA).json()["code"] == "no_task"
    campaign.take("quin", Stage.QA)
    assert campaign.slot("r1").sealed
    changed = campaign.client("anq").patch(
        f"/api/annotations/{first.pk}/", {"result": verdict("Incorrect")}, content_type="application/json"
    )
    assert (changed.status_code, changed.json()["code"]) == (409, "sealed")


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"completed_by": 1}, "on_behalf"),
        ({"ground_truth": True}, "ground_truth"),
        ({"reviews": []}, "field_not_allowed"),
        ({"task": 987654}, "project_mismatch"),
        ({"parent_prediction": 987654}, "on_behalf"),
        ({"parent_annotation": 987654}, "on_behalf"),
        ({"lead_time": -1}, "bad_request"),
        ({"lead_time": "long"}, "bad_request"),
        ({"result": {"verdict": "Correct"}}, "bad_request"),
        ({"result": [{"type": "choices"}]}, "bad_request"),
        ({"result": "[" * 500}, "bad_request"),
    ],
)
def test_a_submission_says_only_what_is_its_authors_to_say(
    campaign: CampaignInTest, more: dict[str, object], code: str
) -> None:
    """A field that is not the author's, or that is no answer, is refused with its code, and nothing is stored."""
    campaign.add_rows("r1")
    task = campaign.take("ana")
    refused = post(campaign.client("ana"), f"/api/tasks/{task}/annotations/", {"result": verdict("Correct"), **more})
    assert refused.json()["code"] == code
    assert not Annotation.objects.filter(task_id=task).exists()


def test_a_submission_needs_a_seat_and_is_made_once(campaign: CampaignInTest) -> None:
    """Without a hand-out there is no submission, and after one there is no second."""
    tasks = campaign.add_rows("r1")
    assert campaign.submit("ana", tasks["r1"], verdict("Correct")).json()["code"] == "not_given"
    campaign.answer("ana", verdict("Correct"))
    assert campaign.submit("ana", tasks["r1"], verdict("Correct")).json()["code"] == "second"


def test_the_whole_way_of_a_row(campaign: CampaignInTest) -> None:
    """Pass, pass, QA that accepts: the row is final, and each stage closed the one before."""
    campaign.add_rows("r1")
    campaign.answer("ana", verdict("Correct"))
    campaign.answer("bea", verdict("Correct"))
    assert campaign.slot("r1").state == "AWAITING_QA"
    campaign.answer("quin", review("accept", "Correct"), Stage.QA)
    assert campaign.slot("r1").state == "FINAL"
    assert not campaign.slot("r1").open
