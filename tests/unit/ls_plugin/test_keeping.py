"""What a campaign keeps, and what may come into it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, transaction
from io_storages.redis.models import RedisImportStorage
from projects.models import Project
from tasks.models import Annotation, Task

from label_studio_quorum.campaign.projects import Marker, write_marker
from ls_plugin.models import Slot, Stage
from ls_plugin.people.standings import RULE_STAGE
from tests.contract.plugin_campaign import import_body, rows
from tests.unit.ls_plugin.support import CampaignInTest, Response, make_campaign, owner_client, patch, post, verdict

EVERYTHING = {"selectedItems": {"all": True, "excluded": []}}
Try = Callable[[CampaignInTest, int], Response]


@pytest.fixture
def campaign() -> CampaignInTest:
    return make_campaign()


def _project(campaign: CampaignInTest, stage: Stage = Stage.PASS) -> str:
    return f"/api/projects/{campaign.projects[stage].pk}"


DELETIONS: dict[str, Try] = {
    "a task": lambda campaign, task: owner_client().delete(f"/api/tasks/{task}/"),
    "all tasks": lambda campaign, task: owner_client().delete(f"{_project(campaign)}/tasks/"),
    "tasks in the data manager": lambda campaign, task: post(
        owner_client(), f"/api/dm/actions?id=delete_tasks&project={campaign.projects[Stage.PASS].pk}", EVERYTHING
    ),
    "a project": lambda campaign, task: owner_client().delete(f"{_project(campaign)}/"),
    "another project of the campaign": lambda campaign, task: owner_client().delete(f"{_project(campaign, Stage.QA)}/"),
}


@pytest.mark.parametrize("delete", DELETIONS.values(), ids=DELETIONS)
def test_what_somebody_answered_is_not_deleted(campaign: CampaignInTest, delete: Try) -> None:
    """Every way is refused with the reason and the right way, and the answer is there afterwards."""
    campaign.add_rows("r1", "r2")
    answer = campaign.answer("ana", verdict("Correct"))
    refused = delete(campaign, answer.task_id)
    assert (refused.status_code, refused.json()["code"]) == (409, "answered"), refused.content
    assert "quorum" in refused.json()["detail"]
    assert Annotation.objects.filter(pk=answer.pk, task__project=campaign.projects[Stage.PASS]).exists()


ACTIONS = ("delete_tasks_annotations", "delete_tasks_predictions", "remove_duplicates", "delete_annotations")


@pytest.mark.parametrize("action", ACTIONS)
def test_no_action_of_the_data_manager_takes_answers_away(campaign: CampaignInTest, action: str) -> None:
    """Nor the pre-annotations that people were shown."""
    campaign.add_rows("r1")
    campaign.answer("ana", verdict("Correct"))
    address = f"/api/dm/actions?id={action}&project={campaign.projects[Stage.PASS].pk}"
    assert post(owner_client(), address, EVERYTHING).json()["code"] == "action"


def test_a_row_that_nobody_answered_is_deleted(campaign: CampaignInTest) -> None:
    """`quorum import --undo` deletes rows like this; a skip is no answer."""
    tasks = campaign.add_rows("r1", "r2")
    campaign.submit("ana", campaign.take("ana"), [], was_cancelled=True)
    for task in tasks.values():
        assert owner_client().delete(f"/api/tasks/{task}/").status_code == 204
    assert not Slot.objects.filter(task_id__in=tasks.values()).exists()
    assert owner_client().delete(f"{_project(campaign, Stage.EXPERT)}/").status_code == 204


def test_a_pass_task_stays_while_its_row_has_a_review(campaign: CampaignInTest) -> None:
    """A Pass task that was imported twice has no answer of its own, but its row has."""
    campaign.add_rows("r1")
    campaign.answer("ana", verdict("Correct"))
    double = campaign.add_rows("r1")["r1"]
    assert owner_client().delete(f"/api/tasks/{double}/").json()["code"] == "answered"


def test_the_database_keeps_an_answer_whatever_code_deletes_it(campaign: CampaignInTest) -> None:
    """Views of Label Studio that are new, its admin pages and its bulk paths meet the rule in the database."""
    campaign.add_rows("r1")
    answer = campaign.answer("ana", verdict("Correct"))
    for things in (Annotation.objects.filter(pk=answer.pk), Task.objects.filter(pk=answer.task_id)):
        with pytest.raises(IntegrityError, match="quorum:answered"), transaction.atomic():
            things.delete()
    assert Annotation.objects.filter(pk=answer.pk).exists()


def _with_marker(campaign: CampaignInTest, stage: Stage) -> str:
    line = Marker(campaign=campaign.campaign.name, stage=RULE_STAGE[stage], task="classification", policy="sha256:0")
    return write_marker("Our notes.", line)


def test_the_line_that_ties_a_project_to_its_campaign_stays(campaign: CampaignInTest) -> None:
    """Notes may be written above it; it may not go, nor become that of another stage."""
    Project.objects.filter(pk=campaign.projects[Stage.PASS].pk).update(description=_with_marker(campaign, Stage.PASS))
    for description in ("", "Our notes.", _with_marker(campaign, Stage.QA)):
        for change in (patch, _put):
            refused = change(owner_client(), f"{_project(campaign)}/", {"description": description})
            assert (refused.status_code, refused.json()["code"]) == (409, "marker")
    notes = _with_marker(campaign, Stage.PASS).replace("Our notes.", "Other notes.")
    assert patch(owner_client(), f"{_project(campaign)}/", {"description": notes}).status_code == 200


def _put(client: Any, address: str, body: Any) -> Response:
    return client.put(address, body, content_type="application/json")


def test_no_second_project_takes_the_place_of_one_that_is_there(campaign: CampaignInTest) -> None:
    """Neither a new one nor one that gets the line later; for a project that is gone there may be a new one."""
    body = {"title": "second", "description": _with_marker(campaign, Stage.PASS)}
    assert post(owner_client(), "/api/projects/", body).json()["code"] == "keeps_projects"
    other = post(owner_client(), "/api/projects/", {"title": "other"}).json()["id"]
    changed = patch(owner_client(), f"/api/projects/{other}/", {"description": body["description"]})
    assert changed.json()["code"] == "keeps_projects"
    Project.objects.filter(pk=campaign.projects[Stage.PASS].pk).delete()
    assert post(owner_client(), "/api/projects/", body).status_code == 201


PLAIN = {"data": {"row_id": "x1", "context": "C", "query": "Q", "response": "R"}}


@pytest.mark.parametrize("address", ["import", "tasks/bulk/", "tasks/"])
@pytest.mark.parametrize("stage", [Stage.PASS, Stage.QA])
def test_tasks_come_into_a_campaign_by_quorum_import_alone(
    campaign: CampaignInTest, address: str, stage: Stage
) -> None:
    """Label Studio's own ways are refused with the right one, for a list, a file and an address; nothing comes in."""
    for body in ([PLAIN], {"url": "http://127.0.0.1:9/rows.json"}, PLAIN):
        refused = post(owner_client(), f"{_project(campaign, stage)}/{address}", body)
        assert (refused.status_code, refused.json()["code"]) == (403, "own_import")
        assert "quorum import" in refused.json()["detail"]
    file = SimpleUploadedFile("rows.csv", b"row_id,response\nx1,R\n", content_type="text/csv")
    assert owner_client().post(f"{_project(campaign, stage)}/{address}", {"file": file}).status_code in (403, 415)
    assert not Task.objects.filter(project=campaign.projects[stage]).exists()


def test_one_task_does_not_come_in_by_itself(campaign: CampaignInTest) -> None:
    """The API for a single task is a way in too."""
    body = {**PLAIN, "project": campaign.projects[Stage.PASS].pk}
    assert post(owner_client(), "/api/tasks/", body).json()["code"] == "own_import"


def test_a_row_comes_in_as_it_was_checked(campaign: CampaignInTest) -> None:
    """What `quorum import` sends is taken; a text that was changed on the way is not."""
    good, changed = import_body(rows(1)[0]), import_body(rows(1)[0])
    changed["data"] = changed["data"] | {"response": "Another."}
    assert post(owner_client(), f"{_project(campaign)}/import", [good, changed]).json()["code"] == "own_import"
    taken = post(owner_client(), f"{_project(campaign)}/import", [good])
    assert taken.status_code == 201, taken.content
    assert campaign.take("ana") == campaign.slot("r1").task_id


def test_a_storage_brings_no_tasks_in(campaign: CampaignInTest) -> None:
    """It may be connected, so that its files are shown; synchronising it is refused."""
    made = RedisImportStorage.objects.create(project=campaign.projects[Stage.PASS], path="p", host="h", port="1")
    assert post(owner_client(), f"/api/storages/redis/{made.pk}/sync", {}).json()["code"] == "own_import"


def test_a_task_without_a_row_is_never_handed_out(campaign: CampaignInTest) -> None:
    """One that came in before the plugin, or around it, waits for nobody, and may be deleted."""
    stranger = Task.objects.create(project=campaign.projects[Stage.PASS], data={"text": "no row"}, overlap=2)
    assert campaign.next("ana").json()["code"] == "no_task"
    Slot.objects.filter(task_id=stranger.pk).update(open=True)  # as an earlier version left it
    assert campaign.next("ana").json()["code"] == "no_task"
    assert owner_client().delete(f"/api/tasks/{stranger.pk}/").status_code == 204
