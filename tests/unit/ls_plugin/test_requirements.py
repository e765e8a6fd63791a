"""Qualification by stage, domain and field: who is handed what, where they show it, and when it ends."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from tasks.models import Annotation

from ls_plugin.models import Campaign, KnownAnswer, Stage
from ls_plugin.pages import audit, figures
from ls_plugin.queue import qualification, requirements
from ls_plugin.queue.requirements import Qualified
from ls_plugin.store.refusals import Refused
from tests.contract.plugin_campaign import POLICY
from tests.unit.ls_plugin.snapshots import built_once
from tests.unit.ls_plugin.support import CampaignInTest, make_campaign, review, verdict

GENERAL, TECHNICAL = ("k1", "k2", "k3"), ("t1", "t2", "t3")
TERMS = "stages: {qa: 0.5, expert: 0.5}, domains: {technical: 1.0}, weeks: 4, guidelines: true"


def _terms(campaign: CampaignInTest, terms: str) -> None:
    """Have the policy ask for this qualification."""
    asking = f"qualification: {{rows: known.jsonl, bar: 0.5, {terms}}}\n"
    known = {row: {"verdict": "Correct", "issues": []} for row in (*GENERAL, *TECHNICAL)}
    stored = qualification.read({"rows": known, "bar": 0.5})
    Campaign.objects.filter(pk=campaign.campaign.pk).update(policy_text=POLICY + asking, qualification=stored)
    campaign.campaign.refresh_from_db()
    qualification.seat_everybody(campaign.campaign.pk, qualification.qualification_of(campaign.campaign.pk))


@pytest.fixture
@built_once
def campaign() -> CampaignInTest:
    """Three known rows and three of a domain that needs an expert, among one row of each."""
    made = make_campaign()
    made.add_rows(*GENERAL, "r1")
    made.add_rows(*TECHNICAL, "r2", domain="technical")
    _terms(made, TERMS)
    return made


def _stands(campaign: CampaignInTest, person: str) -> dict[str, Qualified]:
    stands = requirements.of_person(campaign.account(person), campaign.person(person), campaign.campaign.pk)
    return {each.requirement.title: each for each in stands}


def _words(campaign: CampaignInTest, person: str) -> dict[str, str]:
    return {title: each.word for title, each in _stands(campaign, person).items()}


def _answer_page(campaign: CampaignInTest, person: str, choice: str, most: int = 20) -> int:
    """Answer what the page of the qualification asks; how many rows that were."""
    client, address = campaign.client(person), f"/quorum/mine/qualification/{campaign.campaign.pk}/"
    for done in range(most):
        page: str = client.get(address).content.decode()
        form = re.search(r'name="opened" value="([^"]+)"', page)
        if form is None:
            return done
        assert "Known answer" not in page
        response: Any = client.post(address, {"opened": form.group(1), "field.verdict": choice})
        assert response.status_code == 302, response.content
    return most


def _pass_everything(campaign: CampaignInTest, person: str, choice: str = "Correct") -> None:
    """Answer in the Pass project until there is nothing more."""
    while campaign.next(person).status_code == 200:
        campaign.answer(person, verdict(choice))


def test_each_is_asked_by_stage_and_by_the_domains_that_they_are_experts_of(campaign: CampaignInTest) -> None:
    """Whoever has no role for the passes answers on the page; a domain without a bar asks nothing."""
    assert _words(campaign, "ana") == {"passes": "open"}
    assert _words(campaign, "fin") == {"passes": "open"}
    assert _words(campaign, "anq") == {"passes": "open", "QA": "open"}
    assert _words(campaign, "quin") == {"QA": "open"}
    assert _words(campaign, "dag") == {"QA": "open", "expert reviews": "open", "technical": "open"}
    assert _words(campaign, "max") == {}
    assert [_stands(campaign, name)["QA"].by_page for name in ("anq", "quin")] == [False, True]


def test_a_person_of_qa_is_handed_reviews_once_they_have_qualified(campaign: CampaignInTest) -> None:
    """Two thirds of the known rows, on the page; below the bar nothing, until a manager lets them try again."""
    for person in ("ana", "bea"):
        _pass_everything(campaign, person)
    refused = campaign.next("quin", Stage.QA).json()
    assert (refused["code"], "My work offers under Qualification" in refused["detail"]) == ("qualify", True)
    assert refused["link"]["address"] == f"/quorum/mine/qualification/{campaign.campaign.pk}/"
    assert _answer_page(campaign, "quin", "Incorrect", most=1) == 1
    assert _stands(campaign, "quin")["QA"].sentence == "open: 1 of 4 rows answered"
    assert _answer_page(campaign, "quin", "Incorrect") == 3
    assert _words(campaign, "quin") == {"QA": "passed"}  # the issues, none, were right
    _terms(campaign, "stages: {qa: 0.6}")
    assert _words(campaign, "quin") == {"QA": "below"}
    assert "50 % of your answers" in campaign.next("quin", Stage.QA).json()["detail"]
    requirements.let_retry(campaign.campaign.pk, "quin", campaign.account("max"))
    assert _words(campaign, "quin") == {"QA": "open"}
    assert _answer_page(campaign, "quin", "Correct") == 4
    assert campaign.next("quin", Stage.QA).status_code == 200
    assert (audit.run(campaign.campaign).faults, len(campaign.lines("retry"))) == ((), 1)


def test_who_is_not_below_the_bar_gets_no_other_try(campaign: CampaignInTest) -> None:
    """Neither somebody who is still at it nor somebody who is not there."""
    for person in ("quin", "nobody"):
        with pytest.raises(Refused, match="is not below the bar"):
            requirements.let_retry(campaign.campaign.pk, person, 1)


def test_an_expert_is_handed_rows_of_their_domain_once_they_have_shown_it(campaign: CampaignInTest) -> None:
    """At every stage: who holds the domain by the team file alone would count as its expert anywhere."""
    _terms(campaign, "domains: {technical: 1.0}")
    for person in ("ana", "bea"):
        _pass_everything(campaign, person)
    assert _words(campaign, "eve") == {"technical": "open"}

    def handed() -> set[str]:
        rows = set[str]()
        while (response := campaign.next("dag", Stage.QA)).status_code == 200:
            rows.add(response.json()["data"]["row_id"])
            campaign.submit("dag", response.json()["id"], review("accept", "Correct"))
        return rows

    first = handed()
    assert ("r1" in first, first & {"r2", *TECHNICAL}) == (True, set())
    told = campaign.next("dag", Stage.QA).json()
    assert (told["code"], "below the bar for technical" in told["detail"]) == ("no_task", True)
    assert _answer_page(campaign, "dag", "Correct") == 2
    assert _words(campaign, "dag") == {"technical": "passed"}
    assert handed() >= {"r2"}


def test_an_expert_who_passes_is_asked_rows_of_the_domain_among_the_others(campaign: CampaignInTest) -> None:
    """And gets its other rows only above the bar, which the other rows do not help to reach."""
    _terms(campaign, "domains: {financial: 1.0}")
    campaign.add_rows("f1", "f2", "f3", "f4", domain="financial")
    known = dict(campaign.campaign.qualification["rows"]) | {row: {"verdict": "Correct"} for row in ("f1", "f2", "f3")}
    Campaign.objects.filter(pk=campaign.campaign.pk).update(qualification={"rows": known, "bar": 0.5})
    qualification.seat_everybody(campaign.campaign.pk, qualification.qualification_of(campaign.campaign.pk))
    while (task := campaign.next("fin")).status_code == 200:
        is_financial = task.json()["data"]["row_id"].startswith("f")
        campaign.answer("fin", verdict("Incorrect" if is_financial else "Correct"))
    assert _words(campaign, "fin") == {"passes": "passed", "financial": "below"}
    mine = Annotation.objects.filter(completed_by_id=campaign.account("fin"))
    rows = {answer.task.data["row_id"] for answer in mine}
    assert (len(rows & {"f1", "f2", "f3"}) >= 2, "f4" in rows) == (True, False)
    assert "below the bar for financial" in campaign.next("fin").json()["detail"]


def test_a_field_may_have_a_bar_of_its_own(campaign: CampaignInTest) -> None:
    """Whoever is above the bar over all, and below it in that field, reads in which."""
    _terms(campaign, "fields: {verdict: 0.9}")
    _pass_everything(campaign, "ana", "Incorrect")
    assert _words(campaign, "ana") == {"passes": "below"}
    detail = campaign.next("ana").json()["detail"]
    assert "0 % of your answers to rows with known answers were right about verdict, 90 % are needed" in detail
    _terms(campaign, "fields: {issues: 0.9}")
    assert _words(campaign, "ana") == {"passes": "passed"}


def test_it_ends_after_weeks_and_is_renewed_on_the_page(campaign: CampaignInTest) -> None:
    """Other rows first, as the person may remember what they said of those that they had."""
    _pass_everything(campaign, "ana")
    stands = _stands(campaign, "ana")["passes"]
    assert (stands.word, stands.until is not None) == ("passed", True)
    mine = Annotation.objects.filter(completed_by_id=campaign.account("ana"))
    had = {answer.task.data["row_id"] for answer in mine}
    mine.update(created_at=timezone.now() - timedelta(weeks=5))
    stands = _stands(campaign, "ana")["passes"]
    assert (stands.word, stands.by_page) == ("ended", True)
    assert "Your qualification ended on" in campaign.next("ana").json()["detail"]
    assert not set(stands.trial.left[:2]) & had
    assert _answer_page(campaign, "ana", "Correct") == 4
    assert _words(campaign, "ana") == {"passes": "passed"}
    assert campaign.next("ana").json().get("code") != "qualify"


def test_a_change_of_the_guidelines_ends_it(campaign: CampaignInTest) -> None:
    """Where the policy says so; the same guidelines once more end nothing."""
    stored, projects = campaign.campaign, {stage.label: project.pk for stage, project in campaign.projects.items()}
    body = {"name": stored.name, "task": "classification", "team": campaign.team_text, "projects": projects}

    def put(text: str) -> None:
        sent = body | {"policy": Campaign.objects.get(pk=stored.pk).policy_text, "guidelines": text}
        done: Any = campaign.client("max").put("/quorum/api/campaign", json.dumps(sent), "application/json")
        assert done.status_code == 200, done.content

    put("# Guide")
    assert _answer_page(campaign, "quin", "Correct") == 4
    put("# Guide")
    assert _words(campaign, "quin") == {"QA": "passed"}
    put("# Guide\nBe strict.")
    assert _words(campaign, "quin") == {"QA": "ended"}
    _terms(campaign, "stages: {qa: 0.5}")
    assert _words(campaign, "quin") == {"QA": "passed"}


def test_a_page_of_the_qualification_counts_for_nothing_else(campaign: CampaignInTest) -> None:
    """No answer to the row, no figure; the person is not handed the row as a pass besides."""
    assert _answer_page(campaign, "dag", "Correct") > 0
    assert not Annotation.objects.filter(project__in=[each.pk for each in campaign.projects.values()]).exists()
    person = next(each for each in figures.of_campaign(campaign.campaign).people if each.id == "dag")
    assert (person.hours, person.practised) == (0.0, 0)
    assert {part["title"]: part["state"] for part in person.qualified} == _words(campaign, "dag")
    assert set(KnownAnswer.objects.values_list("kind", flat=True)) == {"qualification"}


def test_the_pages_say_what_is_to_be_done(campaign: CampaignInTest) -> None:
    """One's own page offers the rows; the managers' page says where each stands and gives another try."""
    mine = campaign.client("quin").get("/quorum/mine/").content.decode()
    assert f"/quorum/mine/qualification/{campaign.campaign.pk}/" in mine
    assert "open: 0 of 4 rows answered" in mine
    _terms(campaign, "stages: {qa: 1.0}")
    _answer_page(campaign, "quin", "Incorrect")
    address = f"/quorum/campaign/{campaign.campaign.pk}/"
    manager = campaign.client("max")
    assert "QA: below" in manager.get(address).content.decode()
    assert "may try again" in manager.post(address, {"again": "quin"}).content.decode()
    assert _words(campaign, "quin") == {"QA": "open"}
    assert campaign.client("max").get(f"/quorum/mine/qualification/{campaign.campaign.pk}/").status_code == 404
