"""What the labelling screen shows beside a row: own work and own thread, to whoever was handed the row."""

from __future__ import annotations

from typing import Any

import pytest
from projects.models import Project

from ls_config.guidelines import to_html
from ls_plugin.models import Campaign, Stage
from ls_plugin.store.exclusions import is_excluded
from tests.contract.plugin_campaign import POLICY
from tests.unit.ls_plugin.support import CampaignInTest, Response, make_campaign, post, review, verdict

GUIDE = "# How\n\n## Verdict\n\n**Correct**: nothing that matters is wrong.\n"


@pytest.fixture
def campaign() -> CampaignInTest:
    made = make_campaign(policy=POLICY + "targets: {rows_per_hour: 20}\n")
    made.add_rows("r1", "r2")
    return made


def companion_of(campaign: CampaignInTest, person: str, task: int, **asked: str) -> Response:
    """The response to a person whose screen shows this task."""
    return campaign.client(person).get("/quorum/api/companion", {"task": str(task), **asked})


def beside(campaign: CampaignInTest, person: str, task: int, **asked: str) -> dict[str, Any]:
    """What a person is shown beside a task."""
    response = companion_of(campaign, person, task, **asked)
    assert response.status_code == 200, response.content
    return dict(response.json())


def test_only_who_was_handed_the_row_is_shown_something(campaign: CampaignInTest) -> None:
    """A stranger signs in first; who was not handed the row, or works at another stage, learns nothing of it."""
    task = campaign.take("ana")
    got = {person: companion_of(campaign, person, task).status_code for person in ("ana", "bea", "quin", "max")}
    assert got == {"ana": 200, "bea": 404, "quin": 404, "max": 404}
    absent, other = (companion_of(campaign, "ana", each) for each in (10**9, campaign.slot("r2").task_id))
    assert (absent.status_code, absent.content) == (404, other.content)
    assert campaign.client("ana").get("/quorum/api/companion").status_code == 404
    assert campaign.client("ana").post("/quorum/api/companion", {"task": task}).status_code == 403


def test_the_pace_is_ones_own_of_today_beside_the_target(campaign: CampaignInTest) -> None:
    """Two answers of five seconds each are 720 an hour; what others did is in none of it."""
    campaign.answer("bea", verdict("Correct"))
    assert beside(campaign, "ana", campaign.take("ana"))["pace"] == {
        "answered": 0,
        "hours": 0.0,
        "per_hour": None,
        "target": 20.0,
    }
    campaign.answer("ana", verdict("Correct"))
    campaign.answer("ana", verdict("Correct"))
    task = campaign.slot("r1").task_id
    assert beside(campaign, "ana", task)["pace"] == {"answered": 2, "hours": 0.0, "per_hour": 720.0, "target": 20.0}


def test_the_thread_has_what_the_person_asked_and_was_answered(campaign: CampaignInTest) -> None:
    """Ana asks, max answers: both stand beside ana's row, and bea, who has the row too, sees neither."""
    task = campaign.take("ana")
    body = {"name": campaign.campaign.name, "row_id": "r1", "kind": "question", "text": "Which <i>year</i>?"}
    asked = post(campaign.client("ana"), "/quorum/api/threads", body).json()
    answer = {"name": campaign.campaign.name, "kind": "answer", "answers": asked["id"], "text": "That of the table."}
    assert post(campaign.client("max"), "/quorum/api/threads", answer).status_code == 201
    said = [(each["kind"], each["by"], each["text"]) for each in beside(campaign, "ana", task)["messages"]]
    assert said == [("question", "you", "Which <i>year</i>?"), ("answer", None, "That of the table.")]
    campaign.take("bea")
    assert beside(campaign, "bea", task)["messages"] == []


def test_nothing_of_it_is_an_exposure(campaign: CampaignInTest) -> None:
    """QA's note to a decided row is told on My work, not here, so a look at the screen excludes nobody."""
    campaign.answer("ana", verdict("Correct"))
    task = campaign.slot("r1").task_id
    campaign.answer("bea", verdict("Incorrect"))
    campaign.answer("quin", review("correct", "Incorrect", "See the table."), Stage.QA)
    assert campaign.slot("r1").state == "FINAL"
    before = len(campaign.lines("exposed"))
    assert beside(campaign, "ana", task)["messages"] == []
    assert len(campaign.lines("exposed")) == before
    assert not is_excluded(task, campaign.account("ana"))


def test_the_guidelines_come_once_and_only_those_that_the_project_shows(campaign: CampaignInTest) -> None:
    """The Markdown comes with its hash and is left out for who has it; other instructions of the project win."""
    Campaign.objects.filter(pk=campaign.campaign.pk).update(guidelines=GUIDE)
    project = Project.objects.filter(pk=campaign.projects[Stage.PASS].pk)
    project.update(expert_instruction=to_html(GUIDE))
    task = campaign.take("ana")
    first = beside(campaign, "ana", task)["guidelines"]
    assert first["text"] == GUIDE
    assert beside(campaign, "ana", task, guidelines=first["hash"])["guidelines"] == {
        "hash": first["hash"],
        "text": None,
    }
    project.update(expert_instruction="<p>Ask Max.</p>")
    assert beside(campaign, "ana", task, guidelines=first["hash"])["guidelines"]["text"] == ""
