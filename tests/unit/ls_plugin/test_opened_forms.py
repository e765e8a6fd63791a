"""What each person's form opened with is written down as the task is handed out, and goes along with the answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tasks.models import Prediction, Task

from label_studio_quorum.adapters.label_studio import task_of
from label_studio_quorum.campaign.history import HistoryReader
from label_studio_quorum.campaign.shown import EMPTY_FORM, shown_to
from ls_config import load
from ls_plugin.models import Campaign, Stage
from ls_plugin.pages import audit, task_stream
from ls_plugin.store import audit_log
from review_rules import Stage as RuleStage
from review_rules.pre_annotation import saw_auto_label, values_hash
from review_rules.values import Kind
from tests.unit.ls_plugin.support import CampaignInTest, make_campaign, owner_client, verdict

INTERFACE = load("classification")
KINDS = {control.name: Kind.of(control.kind) for control in INTERFACE.controls}


@pytest.fixture
def campaign() -> CampaignInTest:
    return make_campaign()


def form(choice: str) -> dict[str, str]:
    """A form that opens with this verdict."""
    return {"version": "auto-label", "hash": values_hash(KINDS, {"verdict": choice})}


def shown_in_export(campaign: CampaignInTest) -> list[Any]:
    """What the history that an export reads says of each pass, in order of time."""
    tasks = [
        task_of(line.split("\t")[2]) for line in task_stream.page(campaign.projects[Stage.PASS].pk, 0).splitlines()
    ]
    history = HistoryReader(interface=INTERFACE, people={}, passes=2).read({RuleStage.PASS: tasks}).history
    return [submission.raw.get("shown", "unknown") for submission in history.passes]


def change_prediction(task: int, choice: str) -> None:
    """A manager puts another auto-label in the place of the one that was imported."""
    Prediction.objects.filter(task_id=task).delete()
    owner = Task.objects.get(pk=task).project
    Prediction.objects.create(task_id=task, project=owner, model_version="auto-label", result=verdict(choice))


def test_each_hand_out_says_what_its_form_opened_with(campaign: CampaignInTest) -> None:
    """Two people at one row, between whom the auto-label was changed, were shown different ones."""
    task = campaign.add_rows("r1")["r1"]
    campaign.answer("ana", verdict("Correct"))
    change_prediction(task, "Incorrect")
    campaign.answer("bea", verdict("Correct"))
    assert shown_in_export(campaign) == [form("Correct"), form("Incorrect")]
    assert audit.run(campaign.campaign).faults == ()


@pytest.mark.parametrize("why", ["withheld", "none"])
def test_a_form_that_opens_empty_is_known_to(campaign: CampaignInTest, why: str) -> None:
    """Whether the policy withholds the auto-label or the row has none."""
    task = campaign.add_rows("r1")["r1"]
    if why == "none":
        Prediction.objects.filter(task_id=task).delete()
    else:
        text = campaign.campaign.policy_text.replace("withhold: 0.0", "withhold: 1.0")
        Campaign.objects.filter(pk=campaign.campaign.pk).update(policy_text=text)
    assert campaign.next("ana").json()["predictions"] == []
    campaign.submit("ana", task, verdict("Correct"))
    assert shown_in_export(campaign) == [EMPTY_FORM]


def test_what_a_model_says_just_then_is_never_what_a_form_opens_with(campaign: CampaignInTest) -> None:
    """Label Studio keeps a backend's answers beside the auto-label; the form opens with the newest of ours alone."""
    task = campaign.add_rows("r1")["r1"]
    owner = campaign.projects[Stage.PASS]
    for version, choice in (("auto-label", "Incorrect"), ("default@1", "Cannot judge")):
        Prediction.objects.create(task_id=task, project=owner, model_version=version, result=verdict(choice))
    (served,) = campaign.next("ana").json()["predictions"]
    assert served["result"][0]["value"] == {"choices": ["Incorrect"]}
    campaign.submit("ana", task, verdict("Correct"))
    assert shown_in_export(campaign) == [form("Incorrect")]


def test_the_last_form_before_the_answer_is_the_one_that_counts(campaign: CampaignInTest) -> None:
    """A form that was opened again after the auto-label changed, and changed back, opened with what it was then."""
    task = campaign.add_rows("r1")["r1"]
    for choice in ("Correct", "Incorrect", "Correct"):
        change_prediction(task, choice)
        campaign.take("ana")
    campaign.submit("ana", task, verdict("Correct"))
    change_prediction(task, "Incorrect")
    assert campaign.client("ana").get(f"/api/tasks/{task}/").status_code == 200
    assert shown_in_export(campaign) == [form("Correct")]


def test_the_audit_finds_an_answer_that_says_another_form_than_was_served(campaign: CampaignInTest) -> None:
    """The line of the answer is checked against the line of what left the server."""
    task = campaign.add_rows("r1")["r1"]
    answer = campaign.answer("ana", verdict("Correct"))
    said = campaign.lines("submitted")[0]
    body = json.loads(said.body)
    assert body["pre_annotation"] == form("Correct")
    other = body | {"pre_annotation": form("Incorrect")}
    audit_log.write(audit_log.Entry("submitted", said.user_id, said.campaign_id, task, "r1", other))
    assert [fault.code for fault in audit.run(campaign.campaign).faults] == ["pre_annotation"]
    assert answer.pk == body["annotation"]


def test_the_hash_tells_whether_it_was_the_rows_own() -> None:
    """It is made of the values, so a record proves it without the server."""
    own = {"verdict": "Correct"}
    saw = [saw_auto_label(KINDS, own, shown) for shown in (form("Correct"), form("Incorrect"), EMPTY_FORM, None)]
    assert saw == [True, False, False, None]


def test_label_studios_own_task_list_names_the_prediction_that_a_form_was_filled_from(campaign: CampaignInTest) -> None:
    """On a stock server this is all that is known, and it is enough for answers that were given on the screen."""
    task = campaign.add_rows("r1")["r1"]
    (served,) = campaign.next("ana").json()["predictions"]
    answered = campaign.submit("ana", task, verdict("Correct"), parent_prediction=served["id"])
    assert answered.status_code == 201, answered.content
    project = campaign.projects[Stage.PASS].pk
    asked: dict[str, str | int] = {"project": project, "fields": "all"}
    page = owner_client().get("/api/tasks", asked).json()
    (read,) = [task_of(json.dumps(entry)) for entry in page["tasks"]]
    (answer,) = read.annotations
    assert answer.shown is None
    assert shown_to(answer, read, INTERFACE.controls) == form("Correct")
