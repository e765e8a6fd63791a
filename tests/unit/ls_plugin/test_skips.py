"""Skips are limited, say why, are final, and stay counted; rows put off are not kept for ever."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from tasks.models import Annotation

from ls_plugin.models import Campaign, Grant, Slot, Stage
from ls_plugin.pages import audit, figures
from ls_plugin.queue import qualification, seats, skips
from ls_plugin.queue.seats import LONGEST_SEAT, keep_seat, reserve_for
from tests.contract.plugin_campaign import POLICY
from tests.unit.ls_plugin.snapshots import built_once
from tests.unit.ls_plugin.support import CampaignInTest, Response, make_campaign, post, review, verdict

FLAG = [{"from_name": "flags", "to_name": "response", "type": "choices", "value": {"choices": ["broken_row"]}}]


@pytest.fixture
@built_once
def campaign() -> CampaignInTest:
    """A campaign whose people may skip two rows a day."""
    campaign = make_campaign(policy=POLICY + "skips: {per_day: 2}\n")
    campaign.add_rows("r1", "r2", "r3", "r4")
    return campaign


def skip(campaign: CampaignInTest, person: str, result: list[dict[str, Any]] = FLAG, **more: Any) -> Response:
    """The response to a person who takes the next task and skips it."""
    return campaign.submit(person, campaign.take(person), result, was_cancelled=True, **more)


def code_of(response: Response) -> str:
    """The code of a refusal."""
    return str(response.json().get("code"))


def test_skips_are_limited_by_the_policy(campaign: CampaignInTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two, and a third is refused: the row stays in hand. A day later there are two more."""
    assert [skip(campaign, "ana").status_code for _ in range(2)] == [201, 201]
    task = campaign.take("ana")
    refused = skip(campaign, "ana")
    assert (refused.status_code, code_of(refused)) == (409, "skip_limit")
    assert campaign.take("ana") == task
    assert skip(campaign, "bea").status_code == 201
    monkeypatch.setattr(skips, "DAY", timedelta(0))
    assert skip(campaign, "ana").status_code == 201


@pytest.mark.parametrize(
    ("result", "status"),
    [
        ([], 400),
        (verdict("Correct"), 400),
        (verdict("Correct", " "), 400),
        (verdict("Correct", "why"), 201),
        (FLAG, 201),
    ],
)
def test_a_skip_says_why(campaign: CampaignInTest, result: list[dict[str, Any]], status: int) -> None:
    """A flag says it, or a text beside the flags; an answer is no reason to skip the row."""
    response = skip(campaign, "ana", result)
    assert (response.status_code, code_of(response)) == (status, "skip_reason" if status == 400 else "None")


def test_a_review_says_why_beside_its_decision(campaign: CampaignInTest) -> None:
    """QA has a form of its own for reasons."""
    for person in ("ana", "bea"):
        task = campaign.slot("r1").task_id
        seats.seat(campaign.slot("r1"), campaign.account(person), campaign.place())
        assert campaign.submit(person, task, verdict("Correct")).status_code == 201
    task = campaign.take("quin", Stage.QA)
    alone = [item for item in review("accept", "Correct", "I know her") if item["from_name"] != "decision"]
    assert code_of(campaign.submit("quin", task, verdict("Correct"), was_cancelled=True)) == "skip_reason"
    assert campaign.submit("quin", task, alone, was_cancelled=True).status_code == 201


@pytest.mark.slow
def test_a_policy_may_ask_for_no_reason_and_set_no_limit() -> None:
    """And one that allows no skip at all has the button taken away."""
    free = make_campaign(policy=POLICY + "skips: {per_day: null, reason: false}\n")
    free.add_rows(*(f"r{number}" for number in range(25)))
    assert {skip(free, "ana", []).status_code for _ in range(25)} == {201}
    none = make_campaign(policy=POLICY + "skips: {per_day: 0}\n")
    none.add_rows("r1")
    shown = none.client("ana").get(f"/api/projects/{none.projects[Stage.PASS].pk}").json()
    assert shown["show_skip_button"] is False
    assert code_of(skip(none, "ana")) == "no_skips"


def test_a_button_that_is_not_shown_is_not_pressed(campaign: CampaignInTest) -> None:
    """The setting of the project is held by the server, whichever way a skip is sent."""
    project = campaign.projects[Stage.PASS]
    type(project).objects.filter(pk=project.pk).update(show_skip_button=False)
    task = campaign.take("ana")
    address = f"/api/tasks/{task}/annotations/"
    for query, body in (("", {"was_cancelled": True}), ("?was_cancelled=1", {})):
        refused = post(campaign.client("ana"), address + query, {"result": FLAG, "lead_time": 1, **body})
        assert (refused.status_code, code_of(refused)) == (403, "no_skips")
    assert campaign.submit("ana", task, verdict("Correct")).status_code == 201


def test_a_skip_is_final_for_its_person(campaign: CampaignInTest) -> None:
    """It is not taken back, not even while every seat is free, and the row does not come back by itself."""
    skipped = skip(campaign, "ana").json()["id"]
    refused = post(campaign.client("ana"), f"/api/annotations/{skipped}/convert-to-draft", {})
    assert (refused.status_code, code_of(refused)) == (409, "skip_final")
    assert Annotation.objects.get(pk=skipped).was_cancelled
    for _ in range(3):
        campaign.answer("ana", verdict("Correct"))
    assert code_of(campaign.next("ana")) == "no_task"


def test_a_manager_gives_a_skip_back_and_it_stays_counted(campaign: CampaignInTest) -> None:
    """The row is handed out again, the figures keep the skip, and the audit is proven."""
    row_ids = []
    for _ in range(2):
        row_ids.append(Slot.objects.get(task_id=campaign.take("ana")).row_id)
        skip(campaign, "ana")
    body = {"name": campaign.campaign.name, "person": "ana", "row_id": row_ids[0]}
    assert post(campaign.client("ana"), "/quorum/api/skips", body).status_code == 403
    given_back = post(campaign.client("max"), "/quorum/api/skips", body)
    assert given_back.json() == {"person": "ana", "given_back": [row_ids[0]]}
    assert post(campaign.client("max"), "/quorum/api/skips", body).status_code == 404
    for _ in range(3):
        campaign.answer("ana", verdict("Correct"))
    assert Annotation.objects.get(task_id=campaign.slot(row_ids[0]).task_id).result == verdict("Correct")
    shown = figures.of_campaign(campaign.campaign)
    assert {person.id: person.skipped for person in shown.people}["ana"] == 2
    assert [queue.skipped for queue in figures.of_person(campaign.account("ana"))] == [2]
    assert [line.row_id for line in campaign.lines("skip_returned")] == [row_ids[0]]
    assert audit.run(campaign.campaign).faults == ()
    page = campaign.client("max").post(f"/quorum/campaign/{campaign.campaign.pk}/", {"person": "ana"}).content.decode()
    assert f"ana may be handed {row_ids[1]} again; the skips stay counted." in page


def test_rows_that_everybody_has_skipped_are_named() -> None:
    """Nobody is left for the row: the manager's page says so until a skip is given back."""
    campaign = make_campaign(policy=POLICY + "skips: {reason: false}\n")
    campaign.add_rows("r1")
    people = ("ana", "bea", "cal", "fin")
    for person in people:
        skip(campaign, person, [])
    assert figures.of_campaign(campaign.campaign).skipped_by_everybody == ()
    skip(campaign, "anq", [])
    assert figures.of_campaign(campaign.campaign).skipped_by_everybody == ("r1",)
    page = campaign.client("max").get(f"/quorum/campaign/{campaign.campaign.pk}/").content.decode()
    assert "Nobody is left for r1." in page
    skips.give_back(campaign.campaign, "bea", "r1", campaign.account("max"))
    assert figures.of_campaign(campaign.campaign).skipped_by_everybody == ()


def test_a_qualification_row_that_was_skipped_does_not_come_back_either(campaign: CampaignInTest) -> None:
    """No other row does, so that coming back would tell which these are; what was not answered was not right."""
    asked = qualification.read({"rows": {"r2": {"verdict": "Correct"}}, "bar": 1})
    Campaign.objects.filter(pk=campaign.campaign.pk).update(qualification=asked)
    qualification.seat_everybody(campaign.campaign.pk, qualification.qualification_of(campaign.campaign.pk))
    while campaign.take("ana") != campaign.slot("r2").task_id:
        campaign.answer("ana", verdict("Correct"))
    assert skip(campaign, "ana").status_code == 201
    assert campaign.next("ana").json()["code"] == "qualify"


def test_a_seat_is_not_kept_for_ever_by_drafts(campaign: CampaignInTest) -> None:
    """A row put off is its person's for a day at most, and begins anew only after others could have had it."""
    task, user, place = campaign.take("ana"), campaign.account("ana"), campaign.place()
    ana = campaign.person("ana")
    mine, now = Grant.objects.filter(task_id=task, user_id=user), timezone.now()
    begun = now - LONGEST_SEAT + timedelta(minutes=5)
    mine.update(given_at=begun)
    keep_seat(task, user, ana, place)
    assert mine.get().expires_at == begun + LONGEST_SEAT
    mine.update(given_at=now - LONGEST_SEAT, expires_at=now)
    keep_seat(task, user, ana, place)
    assert campaign.take("ana") == task
    assert mine.get().expires_at <= now
    mine.update(expires_at=now - reserve_for())
    keep_seat(task, user, ana, place)
    assert mine.get().expires_at > timezone.now()
