"""Where people stand with qualification and practice, as commands and reports tell it."""

from __future__ import annotations

from typing import Any

import pytest

from label_studio_quorum.campaign.learners import learners_of
from label_studio_quorum.campaign.projects import Campaign
from label_studio_quorum.campaign.setup import CampaignSpec, setup_campaign
from label_studio_quorum.quality.report import build
from label_studio_quorum.quality.report_page import render
from ls_config import load
from review_rules import load_policy, load_team
from tests.support.fake_label_studio import FakeLabelStudio

TEAM = "people: [{id: quin, roles: [qa], rate_per_hour: 20}, {id: dag, roles: [expert]}]"


def _part(title: str, state: str, until: str | None = None) -> dict[str, Any]:
    return {"title": title, "state": state, "until": until}


def _status(*, paid: bool) -> dict[str, Any]:
    """What a server with the plugin answers, as far as it is about this."""
    quin = {"id": "quin", "qualified": [_part("QA", "passed", "2026-06-01T00:00:00+00:00")], "practised": 3}
    dag = {"id": "dag", "qualified": [_part("technical", "below")], "practised": 0, "practice_hours": 0.0}
    people = [quin | {"practice_hours": 1.5}, dag]
    return {"qualification": {"rows": 3}, "practice": {"rows": 2, "paid": paid}, "people": people}


@pytest.fixture
def campaign() -> Campaign:
    """A campaign without rows."""
    spec = CampaignSpec(name="May", interface=load("classification"), policy=load_policy("{}"), team=load_team(TEAM))
    made = setup_campaign(FakeLabelStudio(), spec).campaign
    assert made is not None
    return made


def test_one_line_says_where_somebody_stands() -> None:
    """With the day on which it ends; who has something to show is told apart."""
    quin, dag = learners_of(_status(paid=False))
    assert (quin.stands, quin.is_pending) == ("QA passed until 2026-06-01", False)
    assert (dag.stands, dag.is_pending) == ("technical below", True)


@pytest.mark.parametrize("status", [None, {"qualification": None, "practice": None, "people": [{"id": "a"}]}])
def test_a_stock_server_and_a_campaign_that_asks_for_nothing_say_nothing(status: dict[str, Any] | None) -> None:
    """So that commands print what they printed."""
    assert learners_of(status) == ()


@pytest.mark.parametrize(("paid", "cost"), [(False, 0.0), (True, 30.0)])
def test_a_report_has_practice_beside_the_hours_and_pays_for_it_as_the_policy_says(
    campaign: Campaign, paid: bool, cost: float
) -> None:
    """Its time is in no pace and no hours, whatever is paid for."""
    figures = build(campaign, [], draws=10, learners=learners_of(_status(paid=paid)))
    quin = next(person for person in figures["people"] if person["id"] == "quin")
    assert (quin["hours"], quin["practice_hours"], quin["rows_per_hour"], quin["cost"]) == (0.0, 1.5, None, cost)
    assert "technical below" in render(figures)
    assert "practice_hours" not in str(build(campaign, [], draws=10)["people"])
