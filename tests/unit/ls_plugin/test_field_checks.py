"""Rules between fields on a server with the plugin: told while the form is filled in, and at each stage that counts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from projects.models import Project
from tasks.models import Annotation, AnnotationDraft

from label_studio_quorum.campaign.change_plan import ChangeCost
from ls_config.carried_checks import with_checks, without_checks
from ls_config.interface import load
from ls_plugin.models import Record, Slot, Stage
from ls_plugin.queue.campaigns import read_campaign
from tests.unit.ls_plugin.support import CampaignInTest, Response, make_campaign, patch, post

SAYS = "A response whose verdict is Correct is rated 4 or 5 on correctness."
SLIP = "Correct with a factual error or something that contradicts the context is almost always a slip. Look again."
XML = load("response_review").xml


Result = list[dict[str, Any]]


def form(verdict: str, correctness: int | None, *issues: str, decision: str = "", reason: str = "") -> Result:
    """An answer to the whole form; of a review with its decision."""
    ratings = {"correctness": correctness, "completeness": 4, "helpfulness": 4, "tone": 4}
    parts: list[tuple[str, str, str, Any]] = [
        ("verdict", "response", "choices", [verdict]),
        ("response_type", "response", "choices", ["Explanation"]),
        *((name, "response", "rating", points) for name, points in ratings.items() if points is not None),
    ]
    if issues:
        parts.append(("issues", "response", "choices", list(issues)))
    if decision:
        parts.append(("decision", "panel", "choices", [decision]))
    if reason:
        parts.append(("decision_reason", "panel", "textarea", [reason]))
    keys = {"choices": "choices", "rating": "rating", "textarea": "text"}
    return [
        {"from_name": name, "to_name": about, "type": kind, "value": {keys[kind]: value}}
        for name, about, kind, value in parts
    ]


RIGHT, WRONG = form("Correct", 5), form("Correct", 2)


@pytest.fixture
def campaign() -> CampaignInTest:
    """A campaign with one row, whose interface has checks of both levels."""
    made = make_campaign(label_type="response_review")
    made.add_rows("r1")
    return made


def assert_refused(response: Response, sentence: str = SAYS) -> None:
    """The response says which check the answer violates."""
    body = response.json()
    assert (response.status_code, body["code"], body["detail"]) == (409, "check_failed", sentence)
    assert [check["say"] for check in body["checks"]] == [sentence]


def to_qa(campaign: CampaignInTest) -> int:
    """The row's QA task, in quin's hand; its passes differ in how correct the response is."""
    campaign.answer("ana", RIGHT)
    campaign.answer("bea", form("Correct", 4))
    return campaign.take("quin", Stage.QA)


def test_a_pass_that_violates_a_blocking_check_is_refused_and_its_draft_is_kept(campaign: CampaignInTest) -> None:
    """The sentence is what the author reads while the answer is still in front of them."""
    task = campaign.take("ana")
    assert_refused(campaign.submit("ana", task, WRONG))
    assert not Annotation.objects.filter(task_id=task).exists()
    draft = post(campaign.client("ana"), f"/api/tasks/{task}/drafts", {"result": WRONG})
    assert draft.status_code == 201
    assert AnnotationDraft.objects.filter(pk=draft.json()["id"]).values_list("result", flat=True).get() == WRONG
    assert campaign.submit("ana", task, RIGHT).status_code == 201


def test_a_change_of_an_answer_is_refused_alike(campaign: CampaignInTest) -> None:
    """Also at the pass, while it is open to its author."""
    answer = campaign.answer("ana", RIGHT)
    assert_refused(patch(campaign.client("ana"), f"/api/annotations/{answer.pk}/", {"result": WRONG}))
    assert Annotation.objects.get(pk=answer.pk).result == RIGHT


def test_a_warning_is_stored(campaign: CampaignInTest) -> None:
    """And so is an answer in which a field of the check has no value."""
    task = campaign.take("ana")
    assert campaign.submit("ana", task, form("Correct", 5, "Factual error")).status_code == 201
    assert campaign.submit("bea", campaign.take("bea"), form("Correct", None)).status_code == 201


@pytest.mark.parametrize("word", ["accept", "correct"])
def test_qa_is_refused_what_it_settles(campaign: CampaignInTest, word: str) -> None:
    """Also where the value is the one that the form showed, and QA sends only the other."""
    task = to_qa(campaign)
    assert_refused(campaign.submit("quin", task, form("Correct", 2, decision=word)))
    # The verdict is what both passes say; a program need not send it again.
    alone = [item for item in form("Correct", 2, decision=word) if item["from_name"] != "verdict"]
    assert_refused(campaign.submit("quin", task, alone))
    assert campaign.submit("quin", task, form("Correct", 4, decision=word)).status_code == 201


@pytest.mark.parametrize("word", ["escalate", "discard"])
def test_who_settles_nothing_is_not_refused(campaign: CampaignInTest, word: str) -> None:
    """What stands in the form besides is an opinion."""
    task = to_qa(campaign)
    unsettled = form("Correct", 2, decision=word, reason="who knows")
    assert campaign.submit("quin", task, unsettled).status_code == 201


def test_an_expert_is_refused_alike(campaign: CampaignInTest) -> None:
    """And what QA said in escalating is not held against the expert."""
    campaign.submit("quin", to_qa(campaign), form("Correct", 2, decision="escalate", reason="who knows"))
    task = campaign.take("dag", Stage.EXPERT)
    assert_refused(campaign.submit("dag", task, form("Correct", 2, decision="correct")))
    assert campaign.submit("dag", task, form("Incorrect", 2, decision="correct")).status_code == 201
    assert campaign.slot("r1").state == "FINAL"


def violated(campaign: CampaignInTest, person: str, result: Any, stage: Stage = Stage.PASS) -> Response:
    """What the server says of what stands in a person's form."""
    task = Slot.objects.filter(project_id=campaign.projects[stage].pk).first()
    named = f"project={campaign.projects[stage].pk}" if task is None else f"task={task.task_id}"
    address = f"/quorum/api/checks?{named}"
    return post(campaign.client(person), address, {"result": result})


def test_the_screen_asks_which_checks_a_form_violates(campaign: CampaignInTest) -> None:
    """With the fields that each is about; nothing is stored and nothing is written down."""
    before = Record.objects.count()
    both = violated(campaign, "ana", form("Correct", 2, "Factual error")).json()["checks"]
    assert both == [
        {"say": SAYS, "level": "block", "fields": ["correctness", "verdict"]},
        {"say": SLIP, "level": "warn", "fields": ["issues", "verdict"]},
    ]
    assert violated(campaign, "ana", RIGHT).json() == {"checks": []}
    assert violated(campaign, "ana", []).json() == {"checks": []}
    review = violated(campaign, "quin", form("Correct", 2, decision="accept"), Stage.QA).json()["checks"]
    assert [check["say"] for check in review] == [SAYS]
    assert Record.objects.count() == before
    assert not Annotation.objects.filter(project__in=campaign.projects.values()).exists()


def test_only_who_works_in_a_project_may_ask_about_its_form(campaign: CampaignInTest) -> None:
    """And what they send has to be what a form sends."""
    other = make_campaign()
    address = f"/quorum/api/checks?project={other.projects[Stage.PASS].pk}"
    assert post(campaign.client("ana"), address, {"result": RIGHT}).status_code == 404
    assert violated(campaign, "ana", RIGHT, Stage.QA).status_code in (403, 404)
    assert post(campaign.client("ana"), "/quorum/api/checks", {"result": RIGHT}).json()["code"] == "no_project"
    assert violated(campaign, "ana", "text").json()["code"] == "bad_request"
    assert campaign.client("ana").get(address).status_code in (403, 404, 405)
    # What cannot be read violates nothing, and the answer is refused for it.
    assert violated(campaign, "ana", [None, 1, {"from_name": "verdict"}]).json() == {"checks": []}


def with_yaml(*checks: dict[str, str]) -> str:
    """The interface with these checks and no others."""
    return with_checks(without_checks(XML), json.dumps({"checks": list(checks)}))


STRICTER = {"when": "verdict == 'Correct' && correctness < 5", "say": "Correct is 5.", "level": "block"}


def put(campaign: CampaignInTest, interface: str) -> Response:
    """The response to a manager who puts an interface on the server."""
    body = {
        "name": campaign.campaign.name,
        "task": "response_review",
        "policy": campaign.campaign.policy_text,
        "team": campaign.team_text,
        "projects": {stage.label: project.pk for stage, project in campaign.projects.items()},
        "interface": interface,
    }
    return campaign.client("max").put("/quorum/api/campaign", json.dumps(body), content_type="application/json")


def test_a_new_check_changes_no_decided_row_and_says_how_many_violate_it(campaign: CampaignInTest) -> None:
    """The row stays final; from then on answers are refused by the new check."""
    assert campaign.submit("quin", to_qa(campaign), form("Correct", 4, decision="accept")).status_code == 201
    interface = with_yaml(STRICTER)
    planned = post(campaign.client("max"), "/quorum/api/plan", {"name": campaign.campaign.name, "interface": interface})
    cost = ChangeCost.from_json(planned.json()["cost"])
    assert "checks: new (block): Correct is 5." in planned.json()["changes"]
    assert f"checks: gone: {SAYS}" in planned.json()["changes"]
    assert cost.sentences() == ["1 final row will stay as it is and violate: Correct is 5."]
    assert cost.falls == 0
    assert put(campaign, interface).status_code == 200
    assert campaign.slot("r1").state == "FINAL"
    assert [check.say for check in read_campaign(campaign.campaign.pk).checks.entries] == ["Correct is 5."]
    campaign.add_rows("r2")
    assert_refused(campaign.submit("ana", campaign.take("ana"), form("Correct", 4)), "Correct is 5.")
    for stage in Stage:
        assert "Correct is 5." in str(Project.objects.get(pk=campaign.projects[stage].pk).label_config)


def test_faulty_checks_do_not_come_onto_the_server(campaign: CampaignInTest) -> None:
    """Every fault with its line; the interface stays as it was."""
    refused = put(campaign, with_yaml({**STRICTER, "when": "verdict == 'Corect'"}))
    assert (refused.status_code, refused.json()["code"]) == (400, "faults")
    assert "no label 'Corect'" in refused.json()["faults"][0]["message"]
    assert Project.objects.get(pk=campaign.projects[Stage.PASS].pk).label_config == XML


def test_checks_are_not_edited_past_set_up(campaign: CampaignInTest) -> None:
    """On the project's settings page they go neither away nor in."""
    pk = campaign.projects[Stage.PASS].pk
    for config in (without_checks(XML), with_yaml(STRICTER)):
        refused = patch(campaign.client("max"), f"/api/projects/{pk}", {"label_config": config})
        assert refused.json()["code"] == "interface"


def test_broken_checks_in_the_database_refuse_nobody(campaign: CampaignInTest) -> None:
    """They are for a manager to mend, as a form that cannot be read is."""
    broken = with_checks(without_checks(XML), "checks: [{when: '(', say: x, level: block}]")
    Project.objects.filter(pk=campaign.projects[Stage.PASS].pk).update(label_config=broken)
    assert campaign.submit("ana", campaign.take("ana"), WRONG).status_code == 201
    assert violated(campaign, "ana", WRONG).json() == {"checks": []}
