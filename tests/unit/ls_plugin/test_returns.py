"""Rows that QA gives back: into whose hand they go, what these people are told, and what their second answer does."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction
from tasks.models import Annotation, AnnotationDraft, Task

from label_studio_quorum.campaign.row_task import ReviewNote
from ls_plugin.models import Grant, Stage
from ls_plugin.pages import audit
from ls_plugin.people import team
from ls_plugin.queue.reconcile import reconcile_all, reconcile_rows
from tests.contract.plugin_campaign import POLICY
from tests.unit.ls_plugin.support import CampaignInTest, Response, make_campaign, patch, post, review, verdict

RETURNS = POLICY + "returns: {most: 1}\n"
REASON = "Is 1999 the year <b>asked for</b>?"


@pytest.fixture
def campaign() -> CampaignInTest:
    """Ana and bea have answered r1, and r2 waits."""
    made = make_campaign(policy=RETURNS)
    made.add_rows("r1", "r2")
    made.answer("ana", verdict("Correct"))
    made.answer("bea", verdict("Incorrect"))
    return made


def give_back(task: int, *accounts: int, reason: str = REASON) -> list[dict[str, Any]]:
    """QA's answer that gives the passes of these accounts back, by the letters under which the panel shows them."""
    columns = ReviewNote.read(Task.objects.get(pk=task).meta).columns
    by = dict(Annotation.objects.filter(pk__in=columns).values_list("completed_by_id", "pk"))
    letters = ["ABCDEFGH"[columns.index(by[account])] for account in accounts]
    said = [entry for entry in review("return", "Correct", reason) if entry["from_name"] != "verdict"]
    return [*said, {"from_name": "decision_to", "to_name": "panel", "type": "choices", "value": {"choices": letters}}]


def return_row(campaign: CampaignInTest, *people: str, reason: str = REASON) -> Response:
    """The response to quin, who takes the QA of r1 and gives it back."""
    task = campaign.take("quin", Stage.QA)
    return campaign.submit("quin", task, give_back(task, *map(campaign.account, people), reason=reason))


def test_a_returned_row_goes_to_its_person_and_on_to_qa_and_is_gold(campaign: CampaignInTest) -> None:
    """Ana gets it before every other row, with her answer in the form; bea, whose answer stands, does not."""
    assert return_row(campaign, "ana").status_code == 201
    slot = campaign.slot("r1")
    assert (slot.state, slot.open, slot.sealed) == ("AWAITING_PASSES", False, True)
    handed = campaign.next("ana").json()
    assert (handed["id"], handed["returned"]["reason"], handed["returned"]["by"]) == (slot.task_id, REASON, "QA")
    assert [draft["result"] for draft in handed["drafts"]] == [verdict("Correct")]
    assert campaign.next("bea").json()["data"]["row_id"] == "r2"
    assert campaign.next("cal").json()["data"]["row_id"] == "r2"
    assert campaign.next("quin", Stage.QA).status_code == 404

    (first,) = Annotation.objects.filter(task_id=slot.task_id, completed_by_id=campaign.account("ana"))
    again = campaign.submit("ana", slot.task_id, verdict("Incorrect"))
    assert again.status_code == 201, again.content
    assert campaign.slot("r1").state == "AWAITING_QA"
    kept = Annotation.objects.get(pk=first.pk)
    assert kept.result == verdict("Correct")
    assert "returned" not in campaign.client("ana").get(f"/api/tasks/{slot.task_id}/").json()
    campaign.answer("quin", review("accept", "Incorrect"), Stage.QA)
    assert campaign.slot("r1").state == "FINAL"
    assert audit.run(campaign.campaign).faults == ()


def test_both_are_asked_again_and_neither_sees_the_other(campaign: CampaignInTest) -> None:
    """The row is not back with QA before both have answered, and nobody reads more than what QA wrote."""
    assert return_row(campaign, "ana", "bea").status_code == 201
    for person, mine in (("ana", "Correct"), ("bea", "Incorrect")):
        handed = campaign.next(person).json()
        assert handed["data"]["row_id"] == "r1"
        assert [draft["result"] for draft in handed["drafts"]] == [verdict(mine)]
        assert handed["annotations"] == [] or {each["completed_by"] for each in handed["annotations"]} == {
            campaign.account(person)
        }
        assert campaign.slot("r1").state == "AWAITING_PASSES"
        assert campaign.submit(person, handed["id"], verdict("Correct")).status_code == 201
    assert campaign.slot("r1").state == "AWAITING_QA"
    assert audit.run(campaign.campaign).faults == ()


def test_what_qa_wrote_is_told_to_whom_it_is_for_and_written_down_once(campaign: CampaignInTest) -> None:
    """It stands on the form, in the thread and on ana's page; to bea it is not there until the row is decided."""
    return_row(campaign, "ana")
    name = {"name": campaign.campaign.name, "row_id": "r1"}
    for _ in range(2):
        assert campaign.next("ana").json()["returned"]["reason"] == REASON
        (thread,) = campaign.client("ana").get("/quorum/api/threads", name).json()["threads"]
        assert [(each["kind"], each["role"], each["by"], each["text"]) for each in thread["messages"]] == [
            ("return", "qa", None, REASON)
        ]
        page = campaign.client("ana").get("/quorum/mine/").content.decode()
        assert "Is 1999 the year &lt;b&gt;asked for&lt;/b&gt;?" in page
    (review_line,) = [line for line in campaign.lines("shown") if '"return"' in line.body]
    assert (review_line.user_id, review_line.row_id) == (campaign.account("ana"), "r1")
    assert "1999" not in review_line.body
    (thread,) = campaign.client("bea").get("/quorum/api/threads", name).json()["threads"]
    assert thread["messages"] == []
    assert "asked for" not in campaign.client("bea").get("/quorum/mine/").content.decode()
    (thread,) = campaign.client("max").get("/quorum/api/threads", name).json()["threads"]
    assert [(each["kind"], each["by"]) for each in thread["messages"]] == [("return", "quin")]


def test_what_became_of_a_returned_row(campaign: CampaignInTest) -> None:
    """Once it is decided ana finds it under what was returned, with her second answer."""
    return_row(campaign, "ana")
    campaign.answer("ana", verdict("Incorrect"))
    campaign.answer("quin", review("accept", "Incorrect"), Stage.QA)
    address = f"/quorum/mine/answers/{campaign.campaign.pk}/"
    page = campaign.client("ana").get(address, {"show": "returned"}).content.decode()
    assert "Row r1" in page
    assert "returned before" in page
    assert "asked for" in page
    assert "Row r1" not in campaign.client("bea").get(address, {"show": "returned"}).content.decode()


def offers_return(campaign: CampaignInTest, stage: Stage) -> bool:
    """Whether a stage's form has the decision."""
    return 'alias="return"' in str(campaign.projects[stage].label_config)


@pytest.mark.parametrize(
    ("people", "reason", "says"),
    [(("ana",), "", "needs a reason"), ((), "why", "this one names nobody")],
)
def test_a_return_that_would_not_count_is_refused(
    campaign: CampaignInTest, people: tuple[str, ...], reason: str, says: str
) -> None:
    """QA reads why, and the row stays with them."""
    refused = return_row(campaign, *people, reason=reason)
    assert (refused.status_code, refused.json()["code"]) == (409, "not_counted")
    assert says in refused.json()["detail"]
    assert campaign.slot("r1").state == "AWAITING_QA"


def test_a_spent_return_is_refused(campaign: CampaignInTest) -> None:
    """What the policy allows once is not done twice."""
    return_row(campaign, "ana")
    campaign.answer("ana", verdict("Correct"))
    refused = return_row(campaign, "bea")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_counted")
    assert "lets a row be returned 1 times, and it was 1 times" in refused.json()["detail"]


def test_the_form_offers_a_return_where_the_policy_does() -> None:
    """Without it the form is what it was, and such an answer is one that the form does not ask for."""
    plain = make_campaign()
    plain.add_rows("r1")
    plain.answer("ana", verdict("Correct"))
    plain.answer("bea", verdict("Incorrect"))
    assert not offers_return(plain, Stage.QA)
    task = plain.take("quin", Stage.QA)
    refused = plain.submit("quin", task, review("return", "Correct", REASON))
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_answer")
    asked = make_campaign(policy=RETURNS)
    assert (offers_return(asked, Stage.QA), offers_return(asked, Stage.EXPERT)) == (True, False)


def test_the_answer_of_before_stays_and_a_returned_row_is_not_skipped(campaign: CampaignInTest) -> None:
    """Both would take away what QA and the history rest on."""
    task = campaign.slot("r1").task_id
    (first,) = Annotation.objects.filter(task_id=task, completed_by_id=campaign.account("ana"))
    return_row(campaign, "ana")
    campaign.take("ana")
    changed = patch(campaign.client("ana"), f"/api/annotations/{first.pk}/", {"result": verdict("Incorrect")})
    assert (changed.status_code, changed.json()["code"]) == (409, "returned")
    (other,) = Annotation.objects.filter(task_id=task, completed_by_id=campaign.account("bea"))
    sealed = patch(campaign.client("bea"), f"/api/annotations/{other.pk}/", {"result": verdict("Correct")})
    assert (sealed.status_code, sealed.json()["code"]) == (409, "sealed")
    skipped = campaign.submit("ana", task, verdict("Correct", "no idea"), was_cancelled=True)
    assert (skipped.status_code, skipped.json()["code"]) == (409, "returned_skip")
    assert Grant.objects.get(task_id=task, user_id=campaign.account("ana")).live


def test_one_more_answer_is_taken_and_no_third(campaign: CampaignInTest) -> None:
    """The database itself takes a second answer of whom the row came back to, and of nobody else."""
    task, project = campaign.slot("r1").task_id, campaign.projects[Stage.PASS].pk

    def store(person: str) -> None:
        with transaction.atomic():
            Annotation.objects.bulk_create(
                [Annotation(task_id=task, project_id=project, completed_by_id=campaign.account(person), result=[])]
            )

    with pytest.raises(IntegrityError, match="second"):
        store("ana")
    return_row(campaign, "ana")
    with pytest.raises(IntegrityError, match="second"):
        store("bea")
    with pytest.raises(IntegrityError, match="sealed"):
        store("cal")
    store("ana")
    with pytest.raises(IntegrityError, match="second"):
        store("ana")


def test_a_reopened_row_is_asked_for_no_more_of_whom_it_was_returned_to(campaign: CampaignInTest) -> None:
    """A manager takes a return back; ana's answer of before stands and QA has the row again."""
    return_row(campaign, "ana")
    body = {"name": campaign.campaign.name, "row_id": "r1", "reason": "ana is away"}
    reopened = post(campaign.client("max"), "/quorum/api/reopen", body)
    assert reopened.status_code == 200, reopened.content
    assert campaign.slot("r1").state == "AWAITING_QA"
    hand_out = Grant.objects.get(task_id=campaign.slot("r1").task_id, user_id=campaign.account("ana"))
    assert (hand_out.live, hand_out.returned) == (False, None)
    assert campaign.next("ana").json()["data"]["row_id"] == "r2"


def test_a_row_returned_to_somebody_who_leaves_falls_to_another(campaign: CampaignInTest) -> None:
    """Ana is asked for nothing more, so cal answers in her place, from an empty form of their own."""
    return_row(campaign, "ana")
    leaving = campaign.team_text.replace("roles: [annotator]}", "roles: [annotator], left: 2999-01-01T00:00:00Z}", 1)
    team.apply_team(campaign.campaign, leaving)
    reconcile_all(campaign.campaign.pk)
    assert not Grant.objects.get(task_id=campaign.slot("r1").task_id, user_id=campaign.account("ana")).live
    assert campaign.slot("r1").open
    handed = campaign.next("cal").json()
    assert (handed["data"]["row_id"], handed["drafts"]) == ("r1", [])
    assert "returned" not in handed
    assert campaign.submit("cal", handed["id"], verdict("Incorrect")).status_code == 201
    assert campaign.slot("r1").state == "AWAITING_QA"


def test_reconciling_twice_changes_nothing(campaign: CampaignInTest) -> None:
    """Neither the hand-out nor the copy in the form is made anew."""
    return_row(campaign, "ana", "bea")
    task = campaign.slot("r1").task_id
    before = list(Grant.objects.filter(task_id=task).order_by("pk").values()), AnnotationDraft.objects.count()
    reconcile_rows(campaign.campaign.pk, ["r1"])
    after = list(Grant.objects.filter(task_id=task).order_by("pk").values()), AnnotationDraft.objects.count()
    assert after == before
