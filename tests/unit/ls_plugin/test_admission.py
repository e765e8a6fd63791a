"""Answers that the rules would not count are refused, with the rules' own sentence, before they are stored."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from tasks.models import Annotation

from ls_plugin.models import Slot, Stage
from ls_plugin.queue.reopening import reopen
from tests.contract.plugin_campaign import POLICY
from tests.unit.ls_plugin.snapshots import built_once
from tests.unit.ls_plugin.support import CampaignInTest, Response, make_campaign, review, verdict

ACCEPT_ALONE = [item for item in review("accept", "Correct") if item["from_name"] == "decision"]
OPEN = "This submission does not count: accept would leave verdict in conflict without a value."


@pytest.fixture
@built_once
def campaign() -> CampaignInTest:
    """A campaign with a row on whose verdict its two passes differ."""
    campaign = make_campaign()
    campaign.add_rows("r1")
    campaign.answer("ana", verdict("Correct"))
    campaign.answer("bea", verdict("Incorrect"))
    return campaign


def change(campaign: CampaignInTest, person: str, answer: Annotation, result: list[dict[str, Any]]) -> Response:
    """The response to a person who changes an answer of their own."""
    address = f"/api/annotations/{answer.pk}/"
    return campaign.client(person).patch(address, {"result": result}, content_type="application/json")


def assert_refused(response: Response, sentence: str) -> None:
    """The response says that the answer would not count, and why."""
    assert (response.status_code, response.json()["code"]) == (409, "not_counted")
    assert response.json()["detail"] == sentence


def test_an_accept_that_would_not_count_is_refused_and_brings_no_second_task(campaign: CampaignInTest) -> None:
    """However often it is sent, QA's figure stays at nothing, and the task stays the one in hand."""
    task = campaign.take("quin", Stage.QA)
    for _ in range(3):
        assert_refused(campaign.submit("quin", task, ACCEPT_ALONE), OPEN)
        assert campaign.take("quin", Stage.QA) == task
    qa = campaign.projects[Stage.QA].pk
    assert not Annotation.objects.filter(project_id=qa).exists()
    assert Slot.objects.filter(project_id=qa).count() == 1
    assert not campaign.lines("submitted")[2:]
    assert campaign.submit("quin", task, review("correct", "Correct")).status_code == 201
    assert campaign.slot("r1").state == "FINAL"


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        (verdict("Correct"), "its decision is not accept, correct, escalate, discard or, at QA, return."),
        (review("escalate", "Correct"), "escalate needs a reason."),
        (review("discard", "Correct", "  "), "discard needs a reason."),
        (ACCEPT_ALONE, "accept would leave verdict in conflict without a value."),
    ],
)
def test_each_reason_is_the_sentence_of_its_finding(
    campaign: CampaignInTest, result: list[dict[str, Any]], sentence: str
) -> None:
    """Whatever keeps a review from counting keeps it from being stored."""
    task = campaign.take("quin", Stage.QA)
    assert_refused(campaign.submit("quin", task, result), f"This submission does not count: {sentence}")


def test_a_change_that_would_not_count_is_refused(campaign: CampaignInTest) -> None:
    """A QA that escalated may become another one that counts, and no other."""
    escalated = campaign.answer("quin", review("escalate", "Correct", "unsure"), Stage.QA)
    assert_refused(change(campaign, "quin", escalated, ACCEPT_ALONE), OPEN)
    assert Annotation.objects.get(pk=escalated.pk).result == escalated.result
    assert change(campaign, "quin", escalated, review("correct", "Correct")).status_code == 200
    assert campaign.slot("r1").state == "FINAL"


def test_an_expert_is_refused_alike(campaign: CampaignInTest) -> None:
    """QA escalated and settled nothing, so the expert has to."""
    campaign.answer("quin", review("escalate", "Correct", "unsure"), Stage.QA)
    task = campaign.take("dag", Stage.EXPERT)
    assert_refused(campaign.submit("dag", task, ACCEPT_ALONE), OPEN)
    assert campaign.submit("dag", task, review("correct", "Correct")).status_code == 201


def test_a_review_of_passes_that_have_changed_is_refused(campaign: CampaignInTest) -> None:
    """The passes were saved again behind the server's back: what QA saw stands no more."""
    task = campaign.take("quin", Stage.QA)
    passes = Annotation.objects.filter(project_id=campaign.projects[Stage.PASS].pk)
    passes.update(updated_at=timezone.now() - timedelta(seconds=1))
    sentence = "This submission does not count: it was given on passes or a QA that have changed since."
    assert_refused(campaign.submit("quin", task, review("correct", "Correct")), sentence)


def test_a_skip_is_no_answer_that_could_count(campaign: CampaignInTest) -> None:
    """QA may skip with whatever else stands in the form."""
    task = campaign.take("quin", Stage.QA)
    unfit = review("accept", "Correct", "I know the author")
    assert campaign.submit("quin", task, unfit, was_cancelled=True).status_code == 201


CONFLICT_ONLY = POLICY.replace("{when: all}", "{when: conflict}")


def test_gold_is_frozen_for_qa_and_for_the_passes_behind_it(campaign: CampaignInTest) -> None:
    """QA's own decision stays too, whatever its author would make of it."""
    decided = campaign.answer("quin", review("correct", "Correct"), Stage.QA)
    passes = Annotation.objects.filter(project_id=campaign.projects[Stage.PASS].pk)
    first = passes.get(completed_by_id=campaign.account("ana"))
    tries = [
        (decided, "quin", review("discard", "Correct", "spam"), "decided"),
        (decided, "quin", decided.result, "decided"),
    ]
    for answer, person, result, code in [*tries, (first, "ana", verdict("Incorrect"), "sealed")]:
        refused = change(campaign, person, answer, result)
        assert (refused.status_code, refused.json()["code"]) == (409, code)
        assert Annotation.objects.get(pk=answer.pk).updated_at == answer.updated_at
    assert campaign.slot("r1").state == "FINAL"


def test_gold_without_qa_is_frozen_for_its_annotators() -> None:
    """Passes that agree are gold at once where the policy asks for QA of conflicts only."""
    campaign = make_campaign(policy=CONFLICT_ONLY)
    campaign.add_rows("r1")
    first = campaign.answer("ana", verdict("Correct"))
    assert change(campaign, "ana", first, verdict("Incorrect")).status_code == 200
    assert change(campaign, "ana", first, verdict("Correct")).status_code == 200
    campaign.answer("bea", verdict("Correct"))
    assert campaign.slot("r1").state == "FINAL"
    refused = change(campaign, "ana", first, verdict("Incorrect"))
    assert (refused.status_code, refused.json()["code"]) == (409, "sealed")


def test_a_refusal_does_not_tell_whether_the_passes_agree() -> None:
    """Where agreement decides a row, nobody finds the answer of a peer by trying one after the other."""
    campaign = make_campaign(policy=CONFLICT_ONLY)
    bodies = []
    for row_id, peer in (("r1", "Correct"), ("r2", "Incorrect")):
        campaign.add_rows(row_id)
        mine = campaign.answer("ana", verdict("Correct"))
        campaign.answer("bea", verdict(peer))
        bodies.append(change(campaign, "ana", mine, verdict("Partly correct")).json())
    assert [campaign.slot(row_id).state for row_id in ("r1", "r2")] == ["FINAL", "AWAITING_QA"]
    assert bodies[0] == bodies[1]
    assert bodies[0]["code"] == "sealed"


def test_passes_of_a_reopened_row_may_change_also_where_qa_is_for_conflicts() -> None:
    """QA looks at it in any case, so a change tells nothing."""
    campaign = make_campaign(policy=CONFLICT_ONLY)
    campaign.add_rows("r1")
    mine = campaign.answer("ana", verdict("Correct"))
    campaign.answer("bea", verdict("Correct"))
    reopen(campaign.campaign, "r1", "a mistake", campaign.account("max"))
    assert change(campaign, "ana", mine, verdict("Incorrect")).status_code == 200
    assert change(campaign, "ana", mine, verdict("Correct")).status_code == 200


def test_a_row_is_frozen_before_its_reconcile_has_run() -> None:
    """The reconcile is a job that may be behind, and so may its seal: the rules are asked about the row as it is."""
    campaign = make_campaign(policy=CONFLICT_ONLY)
    campaign.add_rows("r1")
    first = campaign.answer("ana", verdict("Correct"))
    campaign.answer("bea", verdict("Correct"))
    Slot.objects.filter(pk=campaign.slot("r1").pk).update(sealed=False, state="AWAITING_PASSES", dirty=True)
    refused = change(campaign, "ana", first, verdict("Incorrect"))
    assert (refused.status_code, refused.json()["code"]) == (409, "sealed")


def test_an_expert_who_gave_up_may_decide_after_all(campaign: CampaignInTest) -> None:
    """A blocked row is not decided: its expert changes the answer as the finding asks them to."""
    campaign.answer("quin", review("escalate", "Correct", "unsure"), Stage.QA)
    answer = campaign.answer("dag", review("escalate", "Correct", "no rule"), Stage.EXPERT)
    assert campaign.slot("r1").state == "BLOCKED"
    assert change(campaign, "dag", answer, review("correct", "Correct")).status_code == 200
    assert campaign.slot("r1").state == "FINAL"
    assert change(campaign, "dag", answer, review("correct", "Incorrect")).json()["code"] == "decided"
