"""The pages under /quorum/ and the endpoints behind them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ls_plugin.models import Campaign, Stage
from tests.contract.plugin_campaign import POLICY, TEAM
from tests.unit.ls_plugin.snapshots import built_once
from tests.unit.ls_plugin.support import CampaignInTest, make_campaign, owner_client, post, review, verdict


@pytest.fixture
@built_once
def campaign() -> CampaignInTest:
    made = make_campaign()
    made.add_rows("r1", "r2")
    made.answer("ana", verdict("Correct"))
    made.answer("bea", verdict("Correct"))
    made.answer("quin", review("accept", "Correct"), Stage.QA)
    return made


def test_a_manager_of_one_campaign_comes_to_its_page(campaign: CampaignInTest) -> None:
    """The list is a page of its own only for who manages several."""
    answer = campaign.client("max").get("/quorum/")
    assert (answer.status_code, answer["Location"]) == (302, f"/quorum/campaign/{campaign.campaign.pk}/")
    assert campaign.client("ana").get("/quorum/")["Location"] == "/quorum/mine/"


def test_the_managers_page_shows_the_figures_under_a_strict_policy(campaign: CampaignInTest) -> None:
    """No script, nothing from outside, and the row that is final is counted."""
    page = campaign.client("max").get(f"/quorum/campaign/{campaign.campaign.pk}/")
    assert page.status_code == 200
    assert campaign.campaign.name in page.content.decode()
    assert page["Content-Security-Policy"].startswith("default-src 'none'")
    assert page["Cache-Control"] == "no-store"
    figures = campaign.client("max").get("/quorum/api/status", {"name": campaign.campaign.name}).json()
    assert (figures["rows"], figures["states"]["FINAL"], figures["agreement"]) == (2, 1, 1.0)
    assert {person["id"]: person["passes"] for person in figures["people"]}["ana"] == 1


def test_other_peoples_campaigns_are_not_there(campaign: CampaignInTest) -> None:
    """A manager of another campaign, and an annotator of this one, are told that there is none."""
    other = make_campaign()
    assert other.client("max").get(f"/quorum/campaign/{campaign.campaign.pk}/").status_code == 404
    assert campaign.client("ana").get(f"/quorum/campaign/{campaign.campaign.pk}/").status_code == 404
    assert other.client("max").get("/quorum/api/status", {"name": campaign.campaign.name}).status_code == 404


def test_a_persons_own_page_has_their_queues_and_nobody_elses(campaign: CampaignInTest) -> None:
    """Cal labels alone; Quin does QA alone, and reads why there is nothing to do."""
    page = campaign.client("cal").get("/quorum/mine/").content.decode()
    assert f"/projects/{campaign.projects[Stage.PASS].pk}/" in page
    assert f"/projects/{campaign.projects[Stage.QA].pk}/" not in page
    page = campaign.client("quin").get("/quorum/mine/").content.decode()
    assert "Nothing for you at the moment: 1 row waits for labels." in page
    assert "/projects/" not in page.partition("<main>")[2]


def test_a_row_is_reopened_from_the_page_with_a_reason(campaign: CampaignInTest) -> None:
    """Without a reason, or for a row that is not there, the page says so and nothing changes."""
    address, manager = f"/quorum/campaign/{campaign.campaign.pk}/", campaign.client("max")
    assert "Name the row and the reason." in manager.post(address, {"row_id": "r1"}).content.decode()
    missing = manager.post(address, {"row_id": "no", "reason": "why"}).content.decode()
    assert "This campaign has no row" in missing
    assert campaign.slot("r1").sealed
    opened = manager.post(address, {"row_id": "r1", "reason": "a mistake"}).content.decode()
    assert "Row r1 was FINAL and is AWAITING_QA now; 1 review counts no more; 3 answers may be changed" in opened
    again = manager.post(address, {"row_id": "r1", "reason": "a mistake"}).content.decode()
    assert "there is nothing to reopen" in again
    assert not campaign.slot("r1").sealed


def test_the_style_sheets_and_what_label_studio_asks_for_in_vain(
    campaign: CampaignInTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Styles are styles, the script is one; tips and usage data are answered with nothing."""
    client = campaign.client("ana")
    for name in ("style.css", "people.css"):
        style = client.get(f"/quorum/{name}")
        assert (style.status_code, style["Content-Type"]) == (200, "text/css")
    script = client.get("/quorum/screen.js")
    assert (script.status_code, script["Content-Type"]) == (200, "text/javascript; charset=utf-8")
    assert client.get("/quorum/screen.js", headers={"If-None-Match": script["ETag"]}).status_code == 304
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", None)  # put together once, as long as no part changes
        assert client.get("/quorum/screen.js").content == script.content
    sheet = client.get("/quorum/screen.css")
    assert (sheet.status_code, sheet["Content-Type"]) == (200, "text/css; charset=utf-8")
    for name in ("seam.js", "../__init__.py", "..%2F..%2Fsettings.py", ""):
        assert client.get(f"/quorum/screen/{name}").status_code == 404
    assert "screen.js" not in client.get("/quorum/mine/").content.decode()  # our own pages say everything themselves
    assert client.get("/heidi-tips/").json() == []
    assert client.get("/__lsa/").status_code == 204


def test_the_audit_endpoint_proves_the_campaign(campaign: CampaignInTest) -> None:
    """The answer names the end of the log, which the next audit takes."""
    manager = campaign.client("max")
    first = manager.get("/quorum/api/audit", {"name": campaign.campaign.name}).json()
    assert (first["proven"], first["answers"]) == (True, 3)
    again = manager.get("/quorum/api/audit", {"name": campaign.campaign.name, "head": first["head"]}).json()
    assert again["proven"]
    wrong = manager.get("/quorum/api/audit", {"name": campaign.campaign.name, "head": "x"})
    assert wrong.status_code == 400


def test_the_tasks_of_a_project_stream_in_order(campaign: CampaignInTest) -> None:
    """A line a task, with its annotations; `after` goes on from there."""
    project = campaign.projects[Stage.PASS].pk
    manager = campaign.client("max")
    lines = manager.get("/quorum/api/tasks", {"project": project}).content.decode().splitlines()
    ids = [int(line.split("\t")[0]) for line in lines]
    assert ids == sorted(ids)
    task = json.loads(lines[0].split("\t")[2])
    assert (task["data"]["row_id"], len(task["annotations"])) == ("r1", 2)
    rest = manager.get("/quorum/api/tasks", {"project": project, "after": ids[0]}).content.decode().splitlines()
    assert rest == lines[1:]
    assert manager.get("/quorum/api/tasks", {"project": project, "after": ids[-1]}).content == b""


def test_a_manager_cannot_lock_themselves_out(campaign: CampaignInTest) -> None:
    """A team file without the caller as a manager is refused, and nothing is stored."""
    stages = {stage.label: project.pk for stage, project in campaign.projects.items()}
    body = {
        "name": campaign.campaign.name,
        "task": "classification",
        "policy": POLICY,
        "team": campaign.team_text.replace("roles: [manager]", "roles: [annotator]"),
        "projects": stages,
    }
    refused = campaign.client("max").put("/quorum/api/campaign", json.dumps(body), content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (409, "last_manager")
    assert Campaign.objects.get(pk=campaign.campaign.pk).team_text == campaign.team_text


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"projects": {"pass": 1}}, "bad_request"),
        ({"projects": {"pass": "x", "qa": 2, "expert": 3}}, "bad_request"),
        ({"projects": {"pass": 987, "qa": 988, "expert": 989}}, "no_project"),
        ({"policy": ""}, "bad_request"),
        ({"policy": "version: 1\npasses: 0"}, "faults"),
    ],
)
def test_a_campaign_that_cannot_be_is_refused(campaign: CampaignInTest, change: dict[str, object], code: str) -> None:
    """What is wrong is said by its code."""
    body = {
        "name": "a new one",
        "policy": POLICY,
        "team": campaign.team_text,
        "projects": {stage.label: project.pk for stage, project in campaign.projects.items()},
        **change,
    }
    refused = owner_client().put("/quorum/api/campaign", json.dumps(body), content_type="application/json")
    assert refused.json()["code"] == code


@pytest.mark.parametrize(("address", "status"), [("team", 400), ("reopen", 400), ("repair", 200)])
def test_a_list_is_read_as_an_object_without_fields(campaign: CampaignInTest, address: str, status: int) -> None:
    """An endpoint takes one JSON object: what a list holds counts for nothing, and is missing where it is needed."""
    answer = post(campaign.client("max"), f"/quorum/api/{address}", [{"team": "x", "row_id": "r1", "reason": "x"}])
    assert answer.status_code == status


def test_repairing_reconciles_what_waits_or_everything(campaign: CampaignInTest) -> None:
    """All rows on demand."""
    name = campaign.campaign.name
    for more, rows in (({"all": True}, 2), ({}, 0)):
        answer = post(campaign.client("max"), "/quorum/api/repair", {"name": name, **more}).json()
        assert answer["reconciled"] == rows


BOSS = TEAM + "  - {id: boss, email: boss-{tag}@quorum.test, roles: [manager, annotator]}\n"


def test_a_manager_who_annotates_learns_nothing_from_a_figure_that_follows_from_their_answer() -> None:
    """Boss answers, changes the answer, and reads the figures: they stay, until the row is decided."""
    campaign = make_campaign(team_text=BOSS)
    campaign.add_rows("r1", "r2")
    for person in ("ana", "bea"):
        assert campaign.answer(person, verdict("Correct")).task_id == campaign.slot("r1").task_id
    mine = campaign.answer("boss", verdict("Correct"))
    campaign.answer("cal", verdict("Incorrect"))

    def figures_for(person: str) -> tuple[Any, ...]:
        shown = campaign.client(person).get("/quorum/api/status", {"name": campaign.campaign.name}).json()
        return shown["agreement"], shown["conflicts"], shown["compared"], shown["withheld"]

    def page_for(person: str) -> str:
        text = campaign.client(person).get(f"/quorum/campaign/{campaign.campaign.pk}/").content.decode()
        return text.partition('<div class="cards">')[2].partition("<h2>Funnel")[0]

    seen = [(figures_for("boss"), page_for("boss"), figures_for("max"))]
    for choice in ("Incorrect", "Partly correct"):
        address = f"/api/annotations/{mine.pk}/"
        changed = campaign.client("boss").patch(address, {"result": verdict(choice)}, content_type="application/json")
        assert changed.status_code == 200
        seen.append((figures_for("boss"), page_for("boss"), figures_for("max")))
    # That the figure would move, and tell, is what somebody reads who does not work here.
    assert [manager for _, _, manager in seen] == [(0.75, 1, 2, 0), (1.0, 0, 2, 0), (0.75, 1, 2, 0)]
    assert {boss for boss, _, _ in seen} == {(1.0, 0, 1, 1)}
    assert len({page for _, page, _ in seen}) == 1
    assert "leave out 1 row that you have answered and that is not decided yet" in seen[0][1]
    for _ in range(2):
        campaign.answer("quin", review("correct", "Correct"), Stage.QA)
    assert figures_for("boss") == figures_for("max") == (0.75, 1, 2, 0)


def test_the_files_that_a_campaign_goes_by_are_its_managers(campaign: CampaignInTest) -> None:
    """Named, it comes with the texts of policy and team; nobody else gets them."""
    asked = {"name": campaign.campaign.name}
    (told,) = campaign.client("max").get("/quorum/api/campaign", asked).json()["campaigns"]
    assert told["files"] == {"policy": POLICY, "team": campaign.team_text, "guidelines": ""}
    everything = campaign.client("max").get("/quorum/api/campaign").json()["campaigns"]
    assert [set(entry) & {"files"} for entry in everything] == [set()]
    other = make_campaign()
    assert other.client("max").get("/quorum/api/campaign", asked).json() == {"campaigns": []}
    assert other.client("ana").get("/quorum/api/campaign", asked).status_code in (403, 404)
