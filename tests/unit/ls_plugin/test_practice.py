"""Practice: known answers right after one's own, and nothing of it in what counts."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.test import Client
from tasks.models import Annotation, Task

from ls_plugin.models import Campaign, Grant, KnownAnswer, Slot, Stage
from ls_plugin.pages import audit, figures
from ls_plugin.queue import practice
from ls_plugin.store.refusals import Refused
from tests.unit.ls_plugin.snapshots import built_once
from tests.unit.ls_plugin.support import CampaignInTest, by_hand, make_campaign, owner_client, verdict

GUIDELINES = "# Guide\n## Verdict\nBe <strict>.\n## Issues\nTick them."
DATA = {"context": "C.", "query": "Q?", "response": "Rome <b>is</b> far."}
ROWS = {
    "p1": {"data": DATA, "known": {"verdict": "Correct"}, "guideline": "", "why": "Rome is the capital."},
    "p2": {"data": DATA, "known": {"verdict": "Incorrect", "issues": []}, "guideline": "Issues", "why": ""},
}


@pytest.fixture
@built_once
def campaign() -> CampaignInTest:
    """Two rows to practise on beside two rows."""
    made = make_campaign()
    made.add_rows("r1", "r2")
    practised = practice.read({"rows": ROWS})
    Campaign.objects.filter(pk=made.campaign.pk).update(practice=practised, guidelines=GUIDELINES)
    made.campaign.refresh_from_db()
    return made


def _address(campaign: CampaignInTest) -> str:
    return f"/quorum/mine/practice/{campaign.campaign.pk}/"


def _page(client: Client, campaign: CampaignInTest, query: str = "") -> str:
    response: Any = client.get(_address(campaign) + query)
    assert response.status_code == 200
    return str(response.content.decode())


def _answer(client: Client, campaign: CampaignInTest, *, form: str = "", **fields: Any) -> Any:
    """Send the form that the page has, or another one."""
    found = re.search(r'name="opened" value="([^"]+)"', form or _page(client, campaign))
    assert found is not None
    sent = {f"field.{name}": value for name, value in fields.items()}
    return client.post(_address(campaign), {"opened": found.group(1), **sent})


def _practise(campaign: CampaignInTest, person: str, choice: str) -> str:
    """Answer the next row; the page that follows."""
    client = campaign.client(person)
    response = _answer(client, campaign, verdict=choice)
    assert response.status_code == 302, response.content
    return str(client.get(response["Location"]).content.decode())


def test_the_known_answer_comes_right_after_ones_own_with_what_explains_it(campaign: CampaignInTest) -> None:
    """Before it is sent nothing of it is on the page; afterwards both answers, the difference and the paragraph are."""
    client = campaign.client("ana")
    before = _page(client, campaign)
    assert "Known answer" not in before
    assert "Rome &lt;b&gt;is&lt;/b&gt; far." in before
    seen = {}
    for _ in ROWS:
        page = _practise(campaign, "ana", "Correct")
        seen[KnownAnswer.objects.latest("pk").row_id] = page.split("Next row")[0]
    assert "Be &lt;strict&gt;." in seen["p1"]
    assert "Rome is the capital." in seen["p1"]
    assert ("differs" in seen["p1"], "differs" in seen["p2"]) == (False, True)
    assert "1 of 2 right" in seen["p2"]
    assert "Tick them." in seen["p2"]
    assert "strict" not in seen["p2"]


def test_every_row_comes_once_before_any_comes_again_as_often_as_wished(campaign: CampaignInTest) -> None:
    """Rounds have no end, and nothing of one's own stands in the form."""
    for _ in range(3):
        for _ in ROWS:
            _practise(campaign, "ana", "Incorrect")
    rows = list(KnownAnswer.objects.order_by("pk").values_list("row_id", flat=True))
    assert [set(rows[start : start + 2]) for start in (0, 2, 4)] == [{"p1", "p2"}] * 3
    assert " checked" not in _page(campaign.client("ana"), campaign)


def test_nothing_of_it_counts(campaign: CampaignInTest) -> None:
    """No task, answer, seat or hand-out comes of it, no figure moves, and the audit proves what was said."""
    before = figures.of_campaign(campaign.campaign)
    counts = [model.objects.count() for model in (Task, Annotation, Slot, Grant)]
    _practise(campaign, "ana", "Correct")
    after = figures.of_campaign(campaign.campaign)
    assert counts == [model.objects.count() for model in (Task, Annotation, Slot, Grant)]
    assert (after.states, after.agreement, after.open) == (before.states, before.agreement, before.open)
    assert [person.hours for person in after.people] == [person.hours for person in before.people]
    assert [person.id for person in after.people if person.practised] == ["ana"]
    assert after.practice == {"rows": 2, "paid": False}
    assert (audit.run(campaign.campaign).faults, len(campaign.lines("practice"))) == ((), 1)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("UPDATE ls_plugin_knownanswer SET \"right\" = '[]'", "content"),
        ("DELETE FROM ls_plugin_knownanswer", "gone"),
        ("INSERT INTO ls_plugin_knownanswer SELECT NULL, campaign_id, user_id, row_id, kind, at, seconds, \"values\","
         " \"right\", compared FROM ls_plugin_knownanswer", "unrecorded"),
    ],
)  # fmt: skip
def test_the_audit_finds_what_was_changed(campaign: CampaignInTest, change: str, code: str) -> None:
    """An answer that is another than what was sent, one too few, one too many."""
    _practise(campaign, "ana", "Correct")
    columns = 'campaign_id, user_id, row_id, kind, at, seconds, "values", "right", compared'
    change = change.replace("SELECT NULL, campaign_id", "SELECT campaign_id").replace(
        "knownanswer SELECT", f"knownanswer ({columns}) SELECT"
    )
    by_hand(change)
    (fault,) = audit.run(campaign.campaign).faults
    assert fault.code == code


def test_the_audit_finds_who_answered_a_row_whose_answer_they_had_read(campaign: CampaignInTest) -> None:
    """A row to practise on that was imported later is shown no more, and an answer to it is a fault."""
    while not KnownAnswer.objects.filter(row_id="p1").exists():
        _practise(campaign, "ana", "Correct")
    campaign.add_rows("p1")
    assert set(practice.rows_of(Campaign.objects.get(pk=campaign.campaign.pk))) == {"p2"}
    answered = [campaign.answer("ana", verdict("Correct")).task.data["row_id"] for _ in range(3)]
    assert "p1" in answered
    assert [fault.code for fault in audit.run(campaign.campaign).faults] == ["practised"]


def test_a_form_of_another_row_or_person_is_none(campaign: CampaignInTest) -> None:
    """A form that was sent twice, or that somebody made up, stores nothing and shows the next row."""
    client = campaign.client("ana")
    form = _page(client, campaign)
    assert _answer(client, campaign, form=form, verdict="Correct").status_code == 302
    again = _answer(client, campaign, form=form, verdict="Correct")
    assert "Here is the next one" in again.content.decode()
    foreign = _answer(campaign.client("bea"), campaign, form=form, verdict="Correct")
    made_up = client.post(_address(campaign), {"opened": "x:y", "field.verdict": "Correct"})
    assert (foreign.status_code, made_up.status_code, KnownAnswer.objects.count()) == (200, 200, 1)


def test_what_cannot_be_taken_is_said_at_its_field(campaign: CampaignInTest) -> None:
    """Nothing is stored, and what was chosen stays chosen."""
    client = campaign.client("ana")
    for sent in ({}, {"verdict": "Sideways"}):
        response = _answer(client, campaign, **sent)
        assert 'role="alert"' in response.content.decode()
    assert not KnownAnswer.objects.exists()


def test_nobody_sees_anothers_practice(campaign: CampaignInTest) -> None:
    """Somebody else's number shows nothing; who has no part in the campaign finds no page."""
    _practise(campaign, "ana", "Incorrect")
    number = KnownAnswer.objects.latest("pk").pk
    assert "Known answer" in _page(campaign.client("ana"), campaign, f"?seen={number}")
    for query in (f"?seen={number}", "?seen=x", "?seen=99999999999999999999"):
        assert "Known answer" not in _page(campaign.client("bea"), campaign, query)
    stranger = make_campaign()
    for client in (stranger.client("ana"), owner_client(), campaign.client("max")):
        assert client.get(_address(campaign)).status_code == 404


def test_my_work_offers_it(campaign: CampaignInTest) -> None:
    """With how many rows there are, and how often one has practised."""
    _practise(campaign, "ana", "Correct")
    page = campaign.client("ana").get("/quorum/mine/").content.decode()
    assert f"Practise in {campaign.campaign.name}" in page
    assert "(2 rows whose answer you read at once; 1 answered so far)" in page
    assert "Practise in" not in make_campaign().client("ana").get("/quorum/mine/").content.decode()


def test_a_managers_page_says_whether_it_is_paid_and_how_long_it_took(campaign: CampaignInTest) -> None:
    """The time of practice stands beside the hours, by the policy's word for pay."""
    _practise(campaign, "ana", "Correct")
    KnownAnswer.objects.update(seconds=900)
    address = f"/quorum/campaign/{campaign.campaign.pk}/"
    page = campaign.client("max").get(address).content.decode()
    assert "is not paid" in page
    assert '<td class="n">1</td><td class="n">0.25</td>' in page
    Campaign.objects.filter(pk=campaign.campaign.pk).update(policy_text="practice: {rows: p.jsonl, paid: true}")
    assert "counts for pay" in campaign.client("max").get(address).content.decode()
    assert "counts for pay" in _page(campaign.client("ana"), campaign)


def test_rows_that_are_asked_in_earnest_are_refused(campaign: CampaignInTest) -> None:
    """Practice would tell their answers."""
    with pytest.raises(Refused, match="rows of the campaign too: r1"):
        practice.require_apart(campaign.campaign.pk, {"rows": {"r1": {}, "p1": {}}}, {})
    with pytest.raises(Refused, match="rows of the campaign too: k1"):
        practice.require_apart(campaign.campaign.pk, {"rows": {"k1": {}}}, {"rows": {"k1": {}}})


def test_they_come_in_with_the_campaigns_files(campaign: CampaignInTest) -> None:
    """`PUT campaign` takes them, refuses those that are rows of the campaign, and takes them off."""
    stored, projects = campaign.campaign, {stage.label: project.pk for stage, project in campaign.projects.items()}
    body = {"name": stored.name, "task": "classification", "policy": stored.policy_text, "team": campaign.team_text}

    def put(rows: Any) -> Any:
        sent = {**body, "projects": projects, "practice": {"rows": rows} if rows else {}}
        return campaign.client("max").put("/quorum/api/campaign", json.dumps(sent), content_type="application/json")

    refused = put({"r1": ROWS["p1"]})
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_request")
    assert [put({"p3": ROWS["p1"]}).json()["practice"], put({}).json()["practice"]] == [1, 0]


@pytest.mark.parametrize(
    "sent", [5, {"rows": {}}, {"rows": {"p": {"data": {}}}}, {"rows": {"p": {"data": {}, "known": {}}}},
             {"rows": {"p": {"data": {}, "known": {"verdict": "Correct"}, "why": 5}}}]
)  # fmt: skip
def test_practice_that_cannot_be_read_is_refused(sent: object) -> None:
    """In one sentence."""
    with pytest.raises(Refused, match=r"practice\.rows"):
        practice.read(sent)


def test_spans_are_named_by_label_and_words() -> None:
    """The second time the same words are named the next place is meant; what does not stand there is said."""
    made = make_campaign(label_type="ner")
    known = {"entities": [{"start": 5, "end": 9, "label": "PERSON"}, {"start": 0, "end": 4, "label": "ORG"}]}
    row = {"data": {**DATA, "response": "Acme Anna Anna"}, "known": known}
    Campaign.objects.filter(pk=made.campaign.pk).update(practice=practice.read({"rows": {"p1": row}}))
    client = made.client("ana")
    wrong = _answer(client, made, entities="PERSON: Bob").content.decode()
    assert "“Bob” does not stand in the text" in wrong
    assert "does not begin with a label" in _answer(client, made, entities="DOG: Anna").content.decode()
    assert _answer(client, made, entities="ORG: Acme\nPERSON: Anna").status_code == 302
    assert _answer(client, made, entities="PERSON: Anna\nPERSON: Anna").status_code == 302
    first, second = KnownAnswer.objects.order_by("pk")
    assert (first.right, second.right) == (["entities"], [])
    assert [span["start"] for span in second.values["entities"]] == [5, 10]
    assert Slot.objects.filter(project_id=made.projects[Stage.PASS].pk).count() == 0
