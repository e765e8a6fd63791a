"""What the server does for answers that are kept on a person's machine until it has them."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from tasks.models import AnnotationDraft

from ls_plugin.access.middleware import SIGNED_OUT
from ls_plugin.models import Record
from tests.unit.ls_plugin.support import CampaignInTest, make_campaign, patch, post, verdict

LEAVING = '<script src="/quorum/screen/leaving.js"></script>'


@pytest.fixture(scope="module")
def campaign(database: object) -> CampaignInTest:
    made = make_campaign()
    made.add_rows("r1", "r2")
    return made


def test_whoever_signed_in_in_a_second_window_is_sent_back_to_the_first(campaign: CampaignInTest) -> None:
    """The page is for anybody who is signed in; others are asked to sign in."""
    page = campaign.client("ana").get("/quorum/signed-in/")
    assert "the one with your answer goes on by itself" in page.content.decode()
    stranger = Client().get("/quorum/signed-in/", headers={"Accept": "text/html"})
    assert (stranger.status_code, stranger["Location"]) == (302, "/user/login/?next=%2Fquorum%2Fsigned-in%2F")


def test_the_sign_in_page_takes_kept_answers_off_the_machine_after_a_sign_out(campaign: CampaignInTest) -> None:
    """It learns of the sign-out by a cookie, which no session that merely ended leaves behind."""
    client = campaign.client("ana")
    ended = Client().get("/user/login/")
    assert LEAVING in ended.content.decode()
    assert SIGNED_OUT not in client.cookies
    client.get("/logout/")
    assert client.cookies[SIGNED_OUT].value == "1"
    script = client.get("/quorum/screen/leaving.js")
    assert (script.status_code, script["Content-Type"]) == (200, "text/javascript; charset=utf-8")
    assert f"{SIGNED_OUT}=1" in script.content.decode()
    assert LEAVING not in campaign.client("ana").get("/quorum/mine/").content.decode()


def test_a_draft_every_second_adds_nothing_to_the_audit_log(campaign: CampaignInTest) -> None:
    """However often a form is saved there is one draft, a bounded number of queries, and no line of the audit log."""
    task = campaign.take("ana")
    client = campaign.client("ana")
    made = post(client, f"/api/tasks/{task}/drafts", {"result": verdict("Correct"), "lead_time": 1}).json()
    lines = Record.objects.count()
    with CaptureQueriesContext(connection) as asked:
        for second in range(20):
            body = {"result": verdict("Incorrect"), "lead_time": second, "draft_id": made["id"]}
            assert patch(client, f"/api/drafts/{made['id']}/", body).status_code == 200
    assert len(asked) / 20 <= 45
    assert Record.objects.count() == lines
    assert AnnotationDraft.objects.filter(task_id=task).count() == 1


def test_a_second_try_of_an_answer_that_arrived_stores_nothing(campaign: CampaignInTest) -> None:
    """It is refused, and the person can read back that what is stored is their very answer."""
    task = campaign.take("bea")
    first = campaign.submit("bea", task, verdict("Correct"))
    again = campaign.submit("bea", task, verdict("Correct"))
    assert (first.status_code, again.status_code, again.json()["code"]) == (201, 409, "second")
    (stored,) = campaign.client("bea").get(f"/api/tasks/{task}/annotations").json()
    assert (stored["id"], stored["result"]) == (first.json()["id"], verdict("Correct"))
