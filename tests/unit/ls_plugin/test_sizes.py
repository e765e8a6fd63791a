"""What people may store is bounded where others' lists and pages would have to load it."""

from __future__ import annotations

import json

import pytest
from tasks.models import AnnotationDraft

from ls_plugin.access.submission_content import ACCOUNTS_LARGEST, ANSWERS_LARGEST, MOST_DRAFTS
from tests.support.answers import sample
from tests.unit.ls_plugin.snapshots import built_once
from tests.unit.ls_plugin.support import CampaignInTest, make_campaign, owner_client, post

HOTKEYS = "/api/current-user/hotkeys/"


@pytest.fixture
@built_once
def campaign() -> CampaignInTest:
    """A campaign with one row, with ana."""
    campaign = make_campaign(label_type="response_review")
    campaign.add_rows("r1")
    return campaign


def hotkeys(number: int) -> str:
    """The body that stores so many hotkeys, as the account page sends it."""
    return json.dumps({"custom_hotkeys": {f"region:key-{n}": {"key": "ctrl+x", "active": True} for n in range(number)}})


def test_what_people_store_about_themselves_is_small(campaign: CampaignInTest) -> None:
    """The page of hotkeys goes on working; thousands of them are refused, because a manager's list would load them."""
    ana = campaign.client("ana")
    assert ana.patch(HOTKEYS, hotkeys(100), content_type="application/json").status_code == 200
    many = hotkeys(2000)
    assert len(many) > ACCOUNTS_LARGEST
    refused = ana.patch(HOTKEYS, many, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (413, "too_large")
    assert len(ana.get("/api/current-user/whoami").json()["custom_hotkeys"]) == 100


def test_an_answer_has_a_largest_size(campaign: CampaignInTest) -> None:
    """An answer and a draft that nobody could open again are refused, and the seat stays."""
    task = campaign.take("ana")
    long = [item for item in sample() if item["type"] != "textarea"]
    long.append({**sample()[-1], "meta": {"text": ["x" * ANSWERS_LARGEST]}})
    for way in (
        campaign.submit("ana", task, long),
        post(campaign.client("ana"), f"/api/tasks/{task}/drafts", {"result": long}),
        post(owner_client(), f"/api/tasks/{task}/annotations/", {"result": long}),
    ):
        assert (way.status_code, way.json()["code"]) == (413, "too_large")
    assert campaign.submit("ana", task, sample()).status_code == 201


def test_a_region_has_a_short_id(campaign: CampaignInTest) -> None:
    """The screen makes ten characters; an id is drawn in lists and pages."""
    task = campaign.take("ana")
    regions = [{**item, "id": "x" * 201} for item in sample()]
    refused = campaign.submit("ana", task, regions)
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_request")


def test_drafts_of_a_person_on_a_task_are_few(campaign: CampaignInTest) -> None:
    """A further one is refused with what to do; the drafts that are there can be changed, and the answer sent."""
    task, ana = campaign.take("ana"), campaign.client("ana")
    drafts = [post(ana, f"/api/tasks/{task}/drafts", {"result": sample()}) for _ in range(MOST_DRAFTS)]
    assert {draft.status_code for draft in drafts} == {201}
    refused = post(ana, f"/api/tasks/{task}/drafts", {"result": sample()})
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_drafts")
    assert AnnotationDraft.objects.filter(task_id=task).count() == MOST_DRAFTS
    address = f"/api/drafts/{drafts[0].json()['id']}/"
    changed = ana.patch(address, json.dumps({"result": sample()}), content_type="application/json")
    assert changed.status_code == 200
    assert campaign.submit("ana", task, sample()).status_code == 201
