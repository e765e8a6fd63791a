"""Living guidelines: versions, who is handed a row under which, what a change touches, and what answers say of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from projects.models import Project

from label_studio_quorum.adapters.label_studio import task_of
from ls_plugin.models import Campaign, GuidelineVersion, Stage
from ls_plugin.pages import audit, task_stream
from ls_plugin.store import guidelines
from tests.contract.plugin_campaign import POLICY, TEAM
from tests.unit.ls_plugin.support import CampaignInTest, Response, by_hand, make_campaign, patch, post, review, verdict

BOSS = TEAM + "  - {id: boss, email: boss-{tag}@quorum.test, roles: [manager, annotator]}\n"
FIRST = "# How to label\n\nRead it.\n\n## Verdict\n\n- **Correct**: all is right.\n- **Incorrect**: it is not.\n"
SECOND = FIRST.replace("it is not.", "the main point is <b>wrong</b>.")


@pytest.fixture
def campaign() -> CampaignInTest:
    made = make_campaign(team_text=BOSS)
    made.add_rows("r1", "r2", "r3")
    return made


def publish(campaign: CampaignInTest, text: str, person: str = "max", **more: Any) -> Response:
    """The response to somebody who publishes guidelines."""
    body = {"name": campaign.campaign.name, "text": text, "note": "Said more plainly.", **more}
    return post(campaign.client(person), "/quorum/api/guidelines", body)


def acknowledge(campaign: CampaignInTest, person: str, number: Any) -> Response:
    """The response to somebody who acknowledges a version."""
    body = {"name": campaign.campaign.name, "number": number}
    return post(campaign.client(person), "/quorum/api/guidelines/acknowledge", body)


def answered_under(campaign: CampaignInTest) -> list[int | None]:
    """The versions that the answers at Pass name in what an export reads, in order."""
    lines = task_stream.page(campaign.projects[Stage.PASS].pk, 0).splitlines()
    answers = [answer for line in lines for answer in task_of(line.split("\t", 2)[2]).annotations]
    return [
        None if answer.guidelines is None else answer.guidelines["number"]
        for answer in sorted(answers, key=lambda a: a.id)
    ]


def test_who_has_not_acknowledged_is_handed_no_row(campaign: CampaignInTest) -> None:
    """The first version asks nobody; a later one that asks stops everybody, at every stage, until they have read it."""
    assert publish(campaign, FIRST).json()["version"]["number"] == 1
    campaign.answer("ana", verdict("Correct"))
    assert publish(campaign, SECOND, acknowledge=True).status_code == 201
    for person, stage in (("ana", Stage.PASS), ("bea", Stage.PASS), ("quin", Stage.QA)):
        refused = campaign.next(person, stage)
        assert (refused.status_code, refused.json()["code"]) == (404, "acknowledge")
        assert "version 2" in refused.json()["detail"]
        link = refused.json()["link"]
        assert link["address"] == f"/quorum/guidelines/{campaign.campaign.pk}/"
        assert link["address"] in campaign.client(person).get("/quorum/mine/").content.decode()
    assert acknowledge(campaign, "ana", 2).status_code == 200
    campaign.answer("ana", verdict("Correct"))
    assert campaign.next("bea").json()["code"] == "acknowledge"
    assert [line.user_id for line in campaign.lines("acknowledged")] == [campaign.account("ana")]
    assert answered_under(campaign) == [1, 2]
    assert not audit.run(campaign.campaign).faults


def test_a_row_in_hand_is_answered_under_what_its_author_was_shown(campaign: CampaignInTest) -> None:
    """A row that was open while guidelines came may be sent; taken again once they are read, it is under these."""
    publish(campaign, FIRST)
    first, second = campaign.take("ana"), campaign.take("bea")
    publish(campaign, SECOND, acknowledge=True)
    assert campaign.submit("ana", first, verdict("Correct")).status_code == 201
    acknowledge(campaign, "bea", 2)
    assert campaign.take("bea") == second
    stored = campaign.submit("bea", second, verdict("Correct"))
    assert answered_under(campaign) == [1, 2]
    assert not audit.run(campaign.campaign).faults
    publish(campaign, FIRST + "\nMore.")
    changed = patch(
        campaign.client("bea"), f"/api/annotations/{stored.json()['id']}/", {"result": verdict("Incorrect")}
    )
    assert changed.status_code == 200, changed.content
    assert answered_under(campaign)[-1] == 3


def test_answers_of_a_campaign_without_guidelines_name_no_version(campaign: CampaignInTest) -> None:
    """And nobody is asked for anything."""
    campaign.answer("ana", verdict("Correct"))
    assert answered_under(campaign) == [None]
    assert "guidelines" not in json.loads(campaign.lines("submitted")[0].body)


@pytest.mark.parametrize("number", [1, 3, "2", None, True])
def test_only_the_newest_version_is_acknowledged(campaign: CampaignInTest, number: Any) -> None:
    """A version that is not there, an older one and no number are refused, and change nothing."""
    publish(campaign, FIRST)
    publish(campaign, SECOND, acknowledge=True)
    refused = acknowledge(campaign, "ana", number)
    assert refused.json()["code"] == (
        "guidelines_changed" if number in (1, 3) and number is not True else "bad_request"
    )
    assert not campaign.lines("acknowledged")
    assert acknowledge(campaign, "ana", 2).status_code == acknowledge(campaign, "ana", 2).status_code == 200
    assert len(campaign.lines("acknowledged")) == 1


def test_of_several_missed_versions_the_newest_is_acknowledged(campaign: CampaignInTest) -> None:
    """Until then the one before the first that asked holds; afterwards a version that does not ask holds at once."""
    for number, asks in ((1, False), (2, True), (3, False)):
        publish(campaign, f"# A\n\n{number}", acknowledge=asks)
    account = campaign.account("ana")
    reading = guidelines.reading_of(campaign.campaign.pk, account, always=False)
    assert (reading.acknowledged, reading.holding, reading.pending and reading.pending.number) == (0, 1, 3)
    acknowledge(campaign, "ana", 3)
    publish(campaign, "# A\n\n4")
    reading = guidelines.reading_of(campaign.campaign.pk, account, always=False)
    assert (reading.acknowledged, reading.holding, reading.pending) == (3, 4, None)
    reading = guidelines.reading_of(campaign.campaign.pk, account, always=True)
    assert (reading.holding, reading.pending and reading.pending.number) == (3, 4)


def test_a_policy_may_ask_newcomers_to_acknowledge_the_first_version() -> None:
    """With `always` every version is asked for."""
    made = make_campaign(policy=POLICY + "guidelines: {acknowledge: always}\n")
    made.add_rows("r1")
    publish(made, FIRST)
    assert made.next("ana").json()["code"] == "acknowledge"
    acknowledge(made, "ana", 1)
    assert made.next("ana").status_code == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"text": FIRST}, "guidelines_same"),
        ({"text": FIRST.replace("\n", "\r\n")}, "guidelines_same"),
        ({"base": 0}, "guidelines_changed"),
        ({"base": 2}, "guidelines_changed"),
        ({"base": "1"}, "bad_request"),
        ({"note": " "}, "bad_request"),
        ({"note": "x" * 501}, "bad_request"),
        ({"text": "a\0b"}, "bad_request"),
        ({"text": None}, "bad_request"),
        ({"acknowledge": "yes"}, "bad_request"),
        ({"recheck": -1}, "bad_request"),
        ({"recheck": 101}, "bad_request"),
        ({"recheck": True}, "bad_request"),
    ],
)
def test_what_cannot_be_published_is_refused(campaign: CampaignInTest, body: dict[str, Any], code: str) -> None:
    """Nothing of it is stored."""
    publish(campaign, FIRST)
    refused = publish(campaign, **{"text": SECOND, **body})
    assert refused.json()["code"] == code, refused.content
    assert GuidelineVersion.objects.filter(campaign_id=campaign.campaign.pk).count() == 1


def test_who_may_read_and_publish(campaign: CampaignInTest) -> None:
    """Managers publish; people of the campaign read and acknowledge; others are told that there is none."""
    publish(campaign, FIRST)
    assert publish(campaign, SECOND, "ana").json()["code"] == "managers_only"
    other = make_campaign()
    asked = {"name": campaign.campaign.name}
    for person in ("ana", "max"):
        assert other.client(person).get("/quorum/api/guidelines", asked).json()["code"] == "no_project"
        body = {**asked, "number": 1, "text": SECOND, "note": "x"}
        refused = post(other.client(person), "/quorum/api/guidelines", body)
        assert refused.json()["code"] == ("managers_only" if person == "ana" else "no_project")
        refused = post(other.client(person), "/quorum/api/guidelines/acknowledge", body)
        assert refused.json()["code"] == "no_project"
        assert other.client(person).get(f"/quorum/guidelines/{campaign.campaign.pk}/").status_code == 404
        assert other.client(person).get(f"/quorum/campaign/{campaign.campaign.pk}/guidelines/").status_code == 404
    assert campaign.client("ana").get(f"/quorum/campaign/{campaign.campaign.pk}/guidelines/").status_code == 404
    (version,) = campaign.client("ana").get("/quorum/api/guidelines", asked).json()["versions"]
    assert (version["number"], version["by"]) == (1, None)
    (version,) = campaign.client("max").get("/quorum/api/guidelines", asked).json()["versions"]
    assert version["by"] == "max"


def test_a_version_stays_as_it_was_published(campaign: CampaignInTest) -> None:
    """The database keeps it, and the audit finds what its administrator changed."""
    publish(campaign, FIRST)
    version = GuidelineVersion.objects.get(campaign_id=campaign.campaign.pk)
    for act in (lambda: version.delete(), lambda: GuidelineVersion.objects.filter(pk=version.pk).update(text="x")):
        with pytest.raises(IntegrityError, match="quorum:guidelines_stay"), transaction.atomic():
            act()
    assert not audit.run(campaign.campaign).faults
    by_hand("UPDATE ls_plugin_guidelineversion SET text = 'x' WHERE id = %s", version.pk)
    assert [fault.code for fault in audit.run(campaign.campaign).faults] == ["guidelines"]


def test_the_audit_finds_a_row_that_was_handed_out_too_early(campaign: CampaignInTest) -> None:
    """As it would stand in the log if the server had not refused it."""
    publish(campaign, FIRST, acknowledge=True)
    acknowledge(campaign, "ana", 1)
    campaign.take("ana")
    assert not audit.run(campaign.campaign).faults
    by_hand("DELETE FROM ls_plugin_record WHERE kind = 'acknowledged' AND campaign_id = %s", campaign.campaign.pk)
    assert "not_acknowledged" in {fault.code for fault in audit.run(campaign.campaign).faults}


def put(campaign: CampaignInTest, text: str) -> dict[str, Any]:
    """What a set-up is told of the guidelines that it sent."""
    projects = {stage.label: project.pk for stage, project in campaign.projects.items()}
    body = {"name": campaign.campaign.name, "task": "classification", "policy": POLICY, "team": campaign.team_text}
    client = campaign.client("max")
    response = client.put(
        "/quorum/api/campaign",
        json.dumps({**body, "projects": projects, "guidelines": text, "yes": True}),
        content_type="application/json",
    )
    assert response.status_code == 200, response.content
    taken: dict[str, Any] = response.json()["guidelines"]
    return taken


def test_a_set_up_publishes_what_is_new_and_never_brings_back_what_was(campaign: CampaignInTest) -> None:
    """It is told which version holds now, and the page that people read is that one's."""
    assert (put(campaign, "")["number"], put(campaign, FIRST)["is_new"]) == (None, True)
    assert put(campaign, FIRST) == {**put(campaign, FIRST), "number": 1, "is_new": False, "earlier": None}
    taken = put(campaign, SECOND)
    assert (taken["number"], taken["is_new"], taken["changes"]) == (2, True, ["Verdict"])
    stale = put(campaign, FIRST)
    assert (stale["number"], stale["is_new"], stale["earlier"]) == (2, False, 1)
    assert Campaign.objects.get(pk=campaign.campaign.pk).guidelines == SECOND
    for project in campaign.projects.values():
        page = Project.objects.values_list("expert_instruction", flat=True).get(pk=project.pk)
        assert "main point is &lt;b&gt;wrong&lt;/b&gt;" in page
    assert [version.note for version in guidelines.versions_of(campaign.campaign.pk)] == ["quorum setup"] * 2


def decide_rows(campaign: CampaignInTest) -> None:
    """r1 is Correct, r2 Incorrect, both final; r3 is Correct and somebody misses a guideline in it."""
    gap = {"from_name": "flags", "to_name": "response", "type": "choices", "value": {"choices": ["guideline_gap"]}}
    answers = {"r1": verdict("Correct"), "r2": verdict("Incorrect"), "r3": [*verdict("Correct", "Sarcasm?"), gap]}
    for person in ("ana", "bea"):
        for _ in answers:
            task = campaign.take(person)
            row_id = next(row for row in answers if campaign.slot(row).task_id == task)
            assert campaign.submit(person, task, answers[row_id]).status_code == 201
    for _ in answers:
        task = campaign.take("quin", Stage.QA)
        row_id = next(row for row in answers if campaign.slot(row, Stage.QA).task_id == task)
        label = "Incorrect" if row_id == "r2" else "Correct"
        assert campaign.submit("quin", task, review("accept", label)).status_code == 201
    assert {campaign.slot(row).state for row in answers} == {"FINAL"}


def test_a_publication_is_told_before_it_is_done(campaign: CampaignInTest) -> None:
    """Which paragraphs, which decided rows by label and flag, whom it stops; a dry run changes nothing."""
    publish(campaign, FIRST)
    decide_rows(campaign)
    before = len(campaign.lines("reopened"))
    told = publish(campaign, SECOND, dry_run=True, acknowledge=True, recheck=2).json()
    assert (told["number"], told["base"]) == (2, 1)
    assert [(change["what"], change["title"]) for change in told["changes"]] == [("changed", "Verdict")]
    assert told["touched"] == {
        "rows": 2,
        "by": {"guideline_gap": 1, "verdict: Incorrect": 1},
        "looked": 3,
        "decided": 3,
    }
    assert sorted(told["sample"]) == ["r2", "r3"]
    assert told["people"] > 3
    assert GuidelineVersion.objects.filter(campaign_id=campaign.campaign.pk).count() == 1
    done = publish(campaign, SECOND, recheck=1).json()
    assert (done["opened"], done["not_opened"], done["people"]) == (told["sample"][:1], {}, 0)
    opened = campaign.lines("reopened")[before:]
    assert [line.row_id for line in opened] == done["opened"]
    assert "Guidelines 2" in json.loads(opened[0].body)["reason"]
    assert campaign.slot(done["opened"][0]).state == "AWAITING_QA"


def test_a_flag_that_names_another_paragraph_is_not_touched(campaign: CampaignInTest) -> None:
    """A gap in another part of the guidelines waits for another change."""
    publish(campaign, FIRST)
    decide_rows(campaign)
    publish(campaign, FIRST + "\n## Sarcasm\n\nTake it as it is meant.\n")
    other = FIRST.replace("it is not.", "no.") + "\n## Sarcasm\n\nTake it as it is meant.\n"
    touched = publish(campaign, other, dry_run=True).json()["touched"]
    assert touched["by"] == {"verdict: Incorrect": 1}
    again = publish(campaign, other.replace("no.", "it is not.").replace("as it is", "as"), dry_run=True).json()[
        "touched"
    ]
    assert again["by"] == {"guideline_gap": 1}


def test_a_manager_who_annotates_leaves_the_listed_rows_to_others(campaign: CampaignInTest) -> None:
    """Their own rows are not opened by them, and it is said; the others on the list they are kept from."""
    publish(campaign, FIRST)
    decide_rows(campaign)
    sample = publish(campaign, SECOND, "boss", dry_run=True, recheck=2).json()["sample"]
    tasks = {campaign.slot(row_id).task_id for row_id in sample}
    shown = {line.task_id for line in campaign.lines("shown") if line.user_id == campaign.account("boss")}
    assert tasks <= shown


def test_the_page_shows_what_changed_and_takes_the_acknowledgement(campaign: CampaignInTest) -> None:
    """Escaped, paragraph by paragraph, since the version that held for the reader; a form with a token acknowledges."""
    publish(campaign, FIRST)
    address = f"/quorum/guidelines/{campaign.campaign.pk}/"
    first = campaign.client("ana").get(address).content.decode()
    assert "Acknowledge" not in first
    assert '<h2 id="verdict">Verdict</h2>' in first
    publish(campaign, SECOND, acknowledge=True)
    page = campaign.client("ana").get(address).content.decode()
    assert "the main point is &lt;b&gt;wrong&lt;/b&gt;." in page
    assert "<b>wrong" not in page
    assert "What has changed since version 1" in page
    assert "Acknowledge version 2" in page
    assert "csrfmiddlewaretoken" in page
    done = campaign.client("ana").post(address, {"number": "2"})
    assert "go on with your rows" in done.content.decode()
    assert "Acknowledge version" not in done.content.decode()
    assert campaign.next("ana").status_code == 200
    for number in ("1", "x", "", "9" * 20):
        refused = campaign.client("bea").post(address, {"number": number}).content.decode()
        assert "Acknowledge version 2" in refused


def test_managers_publish_on_their_page_after_they_have_looked(campaign: CampaignInTest) -> None:
    """The form says what a text would do, and publishes it; one that somebody overtook is refused."""
    publish(campaign, FIRST)
    decide_rows(campaign)
    address, client = f"/quorum/campaign/{campaign.campaign.pk}/guidelines/", campaign.client("max")
    form = {"text": SECOND, "note": "Plainer.", "base": "1", "recheck": "1", "acknowledge": "on"}
    looked = client.post(address, {**form, "act": "look"}).content.decode()
    for part in ("What version 2 would do", "verdict: Incorrect 1", "acknowledge it before", "Publish version 2"):
        assert part in looked
    assert "&lt;b&gt;wrong" in looked
    assert GuidelineVersion.objects.filter(campaign_id=campaign.campaign.pk).count() == 1
    done = client.post(address, {**form, "act": "publish"}).content.decode()
    assert "Version 2 holds." in done
    assert "Opened again: r" in done
    assert "look at the version that holds now" in client.post(address, {**form, "act": "publish"}).content.decode()
    assert "a whole number" in client.post(address, {**form, "recheck": "many"}).content.decode()
    assert GuidelineVersion.objects.filter(campaign_id=campaign.campaign.pk).count() == 2


def test_long_guidelines_are_kept_whole(campaign: CampaignInTest) -> None:
    """Also of a manager who manages one campaign of several."""
    make_campaign()
    text = "# A\n\n" + "word " * 30_000
    assert publish(campaign, text).status_code == 201
    assert publish(campaign, text + "x" * 400_000).json()["code"] == "bad_request"
