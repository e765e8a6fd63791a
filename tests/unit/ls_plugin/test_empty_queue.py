"""An empty queue says why: done, paused, or who has to go on first."""

from __future__ import annotations

import pytest

from ls_plugin.models import Campaign, Slot, Stage
from ls_plugin.queue import qualification
from tests.unit.ls_plugin.support import CampaignInTest, make_campaign, review, verdict

REST = "Nothing for you at the moment: "


@pytest.fixture
def campaign() -> CampaignInTest:
    return make_campaign()


def sentence(campaign: CampaignInTest, person: str, stage: Stage = Stage.PASS) -> str:
    """What a person reads where there is no task for them."""
    response = campaign.next(person, stage)
    assert response.status_code == 404
    return str(response.json()["detail"])


def test_before_the_first_import(campaign: CampaignInTest) -> None:
    """A queue without rows is no finished one."""
    assert sentence(campaign, "ana") == "No rows have been imported yet: come back later."


def test_an_annotator_waits_for_others_and_then_for_nobody(campaign: CampaignInTest) -> None:
    """No figure tells an annotator what became of their own answers."""
    campaign.add_rows("r1")
    campaign.answer("ana", verdict("Correct"))
    assert sentence(campaign, "ana") == (
        "You have labelled all that is open to you: the rows that are left wait for other people."
    )
    campaign.answer("bea", verdict("Incorrect"))
    assert sentence(campaign, "ana") == "Every row has its labels: QA and experts go on with them."


@pytest.mark.parametrize(
    ("word", "domain", "why"),
    [
        ("escalate", "general", "1 row waits for an expert"),
        ("escalate", "technical", "1 row waits for a technical expert"),
        ("accept", "general", None),
    ],
)
def test_qa_reads_whom_the_rows_wait_for(campaign: CampaignInTest, word: str, domain: str, why: str | None) -> None:
    """No green tick while rows wait for an expert; all done where nothing does."""
    campaign.add_rows("r1", domain=domain)
    assert sentence(campaign, "dag", Stage.QA) == f"{REST}1 row waits for labels."
    for person in ("ana", "bea"):
        campaign.answer(person, verdict("Correct"))
    reviewer = "quin" if domain == "general" else "dag"
    campaign.answer(reviewer, review(word, "Correct", "?"), Stage.QA)
    done = "All rows of this campaign are done."
    assert sentence(campaign, reviewer, Stage.QA) == (f"{REST}{why}." if why else done)


def test_qa_reads_that_rows_ask_for_somebody_else(campaign: CampaignInTest) -> None:
    """One row asks for expertise, one was labelled by the person, one is in somebody's hands."""
    campaign.add_rows("r1")
    campaign.add_rows("t1", domain="technical")
    for person in ("anq", "bea"):
        for _ in range(2):
            campaign.answer(person, verdict("Correct"))
    assert Slot.objects.filter(project_id=campaign.place(Stage.QA).project_id).count() == 2
    barred = "1 row waits for somebody else, as you had another part in them"
    assert sentence(campaign, "anq", Stage.QA) == f"{REST}1 row waits for a technical expert; {barred}."
    campaign.take("quin", Stage.QA)
    assert sentence(campaign, "dag", Stage.EXPERT) == f"{REST}2 rows wait for QA."


def test_somebody_below_the_bar_is_paused(campaign: CampaignInTest) -> None:
    """With what they have and what they need, rounded so that the two never look equal."""
    tasks = campaign.add_rows("q1", "q2", "q3", "q4")  # of which three are asked
    known = {row_id: {"verdict": "Correct"} for row_id in tasks}
    asked = qualification.read({"rows": known, "bar": 0.667})
    Campaign.objects.filter(pk=campaign.campaign.pk).update(qualification=asked)
    for choice in ("Correct", "Correct", "Incorrect"):
        campaign.answer("ana", verdict(choice))
    assert campaign.next("ana").json()["code"] == "qualify"
    assert sentence(campaign, "ana") == (
        "You are paused: 66 % of your answers to rows with known answers were right, 67 % are needed. "
        "A manager can help you on."
    )
