"""Checks beyond the table: whose a thing is, and what a request may do with it."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from tasks.models import Annotation, AnnotationDraft, Task

from ls_plugin.access.scope import OWN_VIEW
from ls_plugin.models import Slot, Stage
from tests.contract.plugin_campaign import TEAM
from tests.unit.ls_plugin.support import CampaignInTest, make_campaign, owner_client, patch, post, verdict

WORKING_MANAGER = TEAM.replace("roles: [manager]", "roles: [manager, annotator]")


@pytest.fixture
def campaign() -> CampaignInTest:
    return make_campaign(team_text=WORKING_MANAGER)


def test_an_answer_is_changed_by_its_author_and_the_change_is_written_down(campaign: CampaignInTest) -> None:
    """Nobody else may, and each change is a line with the digest of what is stored then."""
    campaign.add_rows("r1")
    answer = campaign.answer("ana", verdict("Correct"))
    address = f"/api/annotations/{answer.pk}/"
    assert patch(campaign.client("bea"), address, {"result": verdict("Incorrect")}).status_code == 404
    assert patch(campaign.client("ana"), address, {"result": verdict("Incorrect")}).status_code == 200
    assert [line.user_id for line in campaign.lines("changed")] == [campaign.account("ana")]
    assert Annotation.objects.get(pk=answer.pk).result == verdict("Incorrect")
    assert campaign.client("ana").get(address).json()["id"] == answer.pk


def test_an_answer_does_not_become_a_skip_and_is_not_deleted(campaign: CampaignInTest) -> None:
    """What was submitted stays submitted."""
    campaign.add_rows("r1")
    answer = campaign.answer("ana", verdict("Correct"))
    address = f"/api/annotations/{answer.pk}/"
    assert patch(campaign.client("ana"), address, {"was_cancelled": True}).json()["code"] == "skip_stays"
    assert campaign.client("ana").delete(address).json()["code"] == "keep_answers"
    assert campaign.client("bea").delete(address).status_code == 404
    assert post(campaign.client("ana"), f"{address}convert-to-draft", {}).json()["code"] == "keep_answers"


def test_a_draft_is_its_authors_and_stays_on_its_task(campaign: CampaignInTest) -> None:
    """Nobody else reads or changes it, and it names nobody else and no other task."""
    tasks = campaign.add_rows("r1", "r2")
    task = campaign.take("ana")
    (other,) = {*tasks.values()} - {task}
    drafts = f"/api/tasks/{task}/drafts"
    made = post(campaign.client("ana"), drafts, {"result": verdict("Correct"), "lead_time": 1})
    assert made.status_code == 201
    address = f"/api/drafts/{made.json()['id']}/"
    assert campaign.client("ana").get(address).status_code == 200
    assert patch(campaign.client("ana"), address, {"result": verdict("Incorrect")}).status_code == 200
    assert campaign.client("bea").get(address).status_code == 404
    for field, code in (
        ({"user": 1}, "on_behalf"),
        ({"task": other}, "project_mismatch"),
        ({"ground_truth": 1}, "field_not_allowed"),
        ({"annotation": 987654}, "on_behalf"),
        ({"annotation": "x"}, "bad_request"),
    ):
        assert patch(campaign.client("ana"), address, field).json()["code"] == code
    assert post(campaign.client("bea"), drafts, {"result": verdict("Correct")}).json()["code"] == "not_given"
    assert len(campaign.client("ana").get(drafts).json()) == 1
    assert AnnotationDraft.objects.get(pk=made.json()["id"]).task_id == task


@pytest.mark.parametrize(
    ("result", "status"),
    [('[{"type": "relation"}]', 201), ("no list", 400), ("[" + "[" * 200 + "]" * 200 + "]", 400), ('["\\ud800"]', 400)],
)
def test_a_form_may_send_the_regions_as_text(campaign: CampaignInTest, result: str, status: int) -> None:
    """The text is held to the same rules as the list that it stands for."""
    campaign.add_rows("r1")
    task = campaign.take("ana")
    answer = post(campaign.client("ana"), f"/api/tasks/{task}/drafts", {"result": result})
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ('{"result": [], "draft": "\\ud800"}', "bad_request"),
        ('{"result": [], "draft": "\\u0000"}', "bad_request"),
        ("null", "bad_request"),
        ("[]", "bad_request"),
        ('{"result": ' + "[" * 150 + "]" * 150 + "}", "bad_request"),
    ],
)
def test_what_cannot_be_stored_and_read_again_is_refused(campaign: CampaignInTest, body: str, code: str) -> None:
    """A single such answer would break every list, page and export for everybody."""
    campaign.add_rows("r1")
    task = campaign.take("ana")
    refused = campaign.client("ana").post(f"/api/tasks/{task}/annotations/", body, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (400, code)


def test_a_person_opens_the_tasks_that_they_were_handed_and_no_other(campaign: CampaignInTest) -> None:
    """The task in hand shows one's own answers; another task is not there."""
    tasks = campaign.add_rows("r1", "r2")
    mine = campaign.take("ana")
    other = next(task for task in tasks.values() if task != mine)
    shown = campaign.client("ana").get(f"/api/tasks/{mine}/")
    assert (shown.status_code, shown.json()["annotations"]) == (200, [])
    assert campaign.client("ana").get(f"/api/tasks/{other}/").status_code == 404
    listed = campaign.client("ana").get("/api/tasks", {"project": campaign.place().project_id}).json()
    assert [task["id"] for task in listed["tasks"]] == [mine]


def test_the_data_manager_has_one_tab_and_one_action_for_people(campaign: CampaignInTest) -> None:
    """The tab is stored nowhere, and the action is the queue's next task."""
    campaign.add_rows("r1")
    project = campaign.place().project_id
    client = campaign.client("ana")
    tabs = client.get("/api/dm/views", {"project": project}).json()
    assert [tab["id"] for tab in tabs] == [OWN_VIEW + project]
    assert client.get(f"/api/dm/views/{tabs[0]['id']}", {"project": project}).json()["data"]["title"] == "My tasks"
    assert client.get("/api/dm/views/1", {"project": project}).status_code == 404
    columns = client.get("/api/dm/columns", {"project": project}).json()["columns"]
    assert "annotators" not in {column["id"] for column in columns}
    handed = post(client, f"/api/dm/actions?id=next_task&project={project}", {"selectedItems": {"all": True}})
    assert handed.json()["data"]["row_id"] == "r1"
    refused = post(client, f"/api/dm/actions?id=delete_tasks&project={project}", {"selectedItems": {"all": True}})
    assert refused.json()["code"] == "managers_only"
    assert client.get("/api/dm/actions", {"project": project}).json() == []


@pytest.mark.parametrize("action", ["delete_tasks_annotations", "propagate_annotations", "rename_labels"])
def test_managers_lack_the_actions_that_change_answers(campaign: CampaignInTest, action: str) -> None:
    """On a campaign these are off for everybody, the owner too."""
    campaign.add_rows("r1")
    address = f"/api/dm/actions?id={action}&project={campaign.place().project_id}"
    for client in (campaign.client("max"), owner_client()):
        assert post(client, address, {"selectedItems": {"all": True}}).json()["code"] == "action"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"maximum_annotations": 3}, 403),
        ({"overlap_cohort_percentage": 50}, 403),
        ({"annotator_evaluation_enabled": True}, 403),
        ({"maximum_annotations": 2, "overlap_cohort_percentage": 100}, 200),
        ({"color": "#112233"}, 200),
    ],
)
def test_what_the_policy_decides_is_not_set_by_hand(
    campaign: CampaignInTest, change: dict[str, Any], status: int
) -> None:
    """Other settings, and the policy's own values, go through."""
    assert patch(campaign.client("max"), f"/api/projects/{campaign.place().project_id}/", change).status_code == status


def test_rows_are_imported_without_answers(campaign: CampaignInTest) -> None:
    """A row that brings an annotation is refused; nothing of the file comes in."""
    address = f"/api/projects/{campaign.place().project_id}/import"
    rows = [{"data": {"row_id": "x1", "context": "C", "query": "Q", "response": "R"}, "annotations": [{"result": []}]}]
    assert post(campaign.client("max"), address, rows).json()["code"] == "no_answers_in"
    assert not Slot.objects.filter(row_id="x1", project_id=campaign.place().project_id).exists()
    again = post(campaign.client("max"), f"/api/projects/{campaign.place().project_id}/reimport", {})
    assert again.json()["code"] == "own_import"


def test_a_manager_who_works_sends_answers_nowhere(campaign: CampaignInTest) -> None:
    """A webhook would let them read others' answers before giving their own; another manager may set it."""
    hook = {"url": "http://127.0.0.1:9/", "project": campaign.place().project_id}
    assert post(campaign.client("max"), "/api/webhooks/", hook).json()["code"] == "outlet"
    answer = post(owner_client(), "/api/webhooks/", hook)
    assert answer.status_code == 201, answer.content


def test_a_task_whose_overlap_a_manager_sets_is_set_right_by_the_rules(campaign: CampaignInTest) -> None:
    """The reconcile that follows has the last word."""
    tasks = campaign.add_rows("r1")
    client = make_campaign().client("max")
    assert patch(client, f"/api/tasks/{tasks['r1']}/", {"overlap": 5}).status_code == 404
    assert patch(owner_client(), f"/api/tasks/{tasks['r1']}/", {"overlap": 5}).status_code == 200
    assert Task.objects.get(pk=tasks["r1"]).overlap == 2
    assert not campaign.slot("r1").dirty


def test_an_account_is_read_and_changed_by_its_owner(campaign: CampaignInTest) -> None:
    """People see themselves; managers also the people of their campaigns; nobody takes the last manager away."""
    ana, bea = campaign.account("ana"), campaign.account("bea")
    assert [user["id"] for user in campaign.client("ana").get("/api/users/").json()] == [ana]
    assert bea in {user["id"] for user in campaign.client("max").get("/api/users/").json()}
    assert campaign.client("ana").get(f"/api/users/{bea}/").json()["code"] == "not_yours"
    assert patch(campaign.client("ana"), f"/api/users/{ana}/", {"first_name": "Ana"}).status_code == 200
    assert campaign.client("ana").delete(f"/api/users/{ana}/").json()["code"] == "managers_only"
    shown = campaign.client("ana").get("/api/current-user/whoami").json()
    assert shown["id"] == ana
    assert "organizations.change" not in shown.get("permissions", [])


def test_a_picture_must_be_one(campaign: CampaignInTest) -> None:
    """What is no picture is a bad request, and somebody else's picture is not there."""
    ana, bea = campaign.account("ana"), campaign.account("bea")
    text = SimpleUploadedFile("a.txt", b"no picture", content_type="text/plain")
    refused = campaign.client("ana").post(f"/api/users/{ana}/avatar/", {"avatar": text})
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_request")
    assert campaign.client("ana").post(f"/api/users/{bea}/avatar/", {}).json()["code"] == "not_yours"


def test_a_file_is_shown_only_where_the_task_in_hand_names_it(campaign: CampaignInTest) -> None:
    """A part of an address is another address."""
    tasks = campaign.add_rows("r1")
    campaign.take("ana")
    address = f"/tasks/{tasks['r1']}/resolve/"
    for named in ("s3://bucket/other.png", "R"):
        uri = base64.urlsafe_b64encode(named.encode()).decode()
        refused = campaign.client("ana").get(address, {"fileuri": uri})
        assert refused.status_code in (404, 501)
    assert campaign.client("ana").get(address, {"fileuri": "a"}).json()["code"] == "bad_request"


def test_a_manager_without_work_here_reads_everything(campaign: CampaignInTest) -> None:
    """Eve is no manager, the owner is: the owner sees both answers, and the log says nothing of it."""
    tasks = campaign.add_rows("r1")
    campaign.answer("ana", verdict("Correct"))
    campaign.answer("bea", verdict("Incorrect"))
    whole = owner_client().get(f"/api/tasks/{tasks['r1']}/").json()
    assert len(whole["annotations"]) == 2
    assert campaign.client("eve").get(f"/api/tasks/{tasks['r1']}/").status_code == 404


def test_the_home_of_a_person_is_their_own_page(campaign: CampaignInTest) -> None:
    """Label Studio's home lists projects, of which people need two or three."""
    assert campaign.client("ana").get("/")["Location"] == "/quorum/mine/"


def test_pages_of_label_studio_link_the_style_sheet_that_hides_what_is_refused(campaign: CampaignInTest) -> None:
    """For people alone; and the owner's name and address are not printed there."""
    address = f"/projects/{campaign.place().project_id}/data/"
    page = campaign.client("ana").get(address, headers={"Accept": "text/html"}).content.decode()
    assert "/quorum/people.css" in page
    assert "owner@quorum.test" not in page
    assert '<script src="/quorum/screen.js"></script>' in page
    whole = owner_client().get(address).content.decode()
    assert "/quorum/people.css" not in whole
    assert '<script src="/quorum/screen.js"></script>' in whole


def test_a_project_of_another_stage_is_not_there_for_an_annotator(campaign: CampaignInTest) -> None:
    """Ana has no role for QA."""
    assert campaign.next("ana", Stage.QA).status_code == 404
