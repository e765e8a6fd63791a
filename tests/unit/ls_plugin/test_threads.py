"""Threads: who may ask, who may answer, who sees what before and after a row is decided."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from ls_config.paragraphs import titles
from ls_plugin.models import Campaign, Message, Stage
from ls_plugin.pages import audit, threads
from ls_plugin.store.exclusions import is_excluded
from tests.contract.plugin_campaign import TEAM
from tests.unit.ls_plugin.support import CampaignInTest, Response, make_campaign, post, review, verdict

BOSS = TEAM + "  - {id: boss, email: boss-{tag}@quorum.test, roles: [manager, annotator]}\n"
GUIDELINES = "# Which year?\nThe table's.\n```\n# no heading\n```\n## Tables & text ##\n# Which year?\n"
NOTE = [{"from_name": "decision_note", "to_name": "panel", "type": "textarea", "value": {"text": ["Look at 1999."]}}]


@pytest.fixture
def campaign() -> CampaignInTest:
    made = make_campaign(team_text=BOSS)
    made.add_rows("r1", "r2")
    return made


def say(campaign: CampaignInTest, person: str, **body: Any) -> Response:
    """The response to a message."""
    return post(campaign.client(person), "/quorum/api/threads", {"name": campaign.campaign.name, **body})


def threads_of(campaign: CampaignInTest, person: str, **asked: str) -> list[dict[str, Any]]:
    """The threads that a person is shown."""
    response = campaign.client(person).get("/quorum/api/threads", {"name": campaign.campaign.name, **asked})
    assert response.status_code == 200, response.content
    return list(response.json()["threads"])


def entries(threads: list[dict[str, Any]]) -> list[tuple[str, str | None, str]]:
    """Kind, author and text of everything that was said."""
    return [(entry["kind"], entry["by"], entry["text"]) for thread in threads for entry in thread["messages"]]


def finish(campaign: CampaignInTest) -> None:
    """Ana and bea differ over r1, and quin decides for what bea said."""
    campaign.answer("ana", verdict("Correct"))
    campaign.answer("bea", verdict("Incorrect"))
    campaign.answer("quin", review("correct", "Incorrect") + NOTE, Stage.QA)
    assert campaign.slot("r1").state == "FINAL"


def test_a_question_reaches_the_manager_by_name_and_the_answer_comes_back_without_one(campaign: CampaignInTest) -> None:
    """Ana asks, max reads who asked and answers; ana reads the answer of a manager, and nobody else reads anything."""
    campaign.take("ana")
    asked = say(campaign, "ana", row_id="r1", kind="question", text="Is 1999 <b>right</b>?")
    assert asked.status_code == 201, asked.content
    (thread,) = threads_of(campaign, "max", open="1")
    assert (thread["row_id"], thread["state"]) == ("r1", "AWAITING_PASSES")
    assert entries([thread]) == [("question", "ana", "Is 1999 <b>right</b>?")]
    answered = say(campaign, "max", kind="answer", answers=asked.json()["id"], text="Yes.")
    assert answered.status_code == 201, answered.content
    assert threads_of(campaign, "max", open="1") == []
    (own,) = threads_of(campaign, "ana")
    assert own["state"] is None
    assert entries([own]) == [("question", "you", "Is 1999 <b>right</b>?"), ("answer", None, "Yes.")]
    assert [entry["role"] for entry in own["messages"]] == ["annotator", "manager"]
    assert threads_of(campaign, "bea") == []
    assert not audit.run(campaign.campaign).faults


def test_who_has_no_part_in_a_row_is_told_nothing_of_it(campaign: CampaignInTest) -> None:
    """A row that was not handed to somebody and one that is not there are the same; so are foreign campaigns."""
    campaign.take("ana")
    say(campaign, "ana", row_id="r1", kind="question", text="?")
    for row_id in ("r1", "no such row"):
        refused = say(campaign, "bea", row_id=row_id, kind="question", text="?")
        assert (refused.status_code, refused.json()["code"]) == (404, "not_yours")
        asked = {"name": campaign.campaign.name, "row_id": row_id}
        assert campaign.client("bea").get("/quorum/api/threads", asked).json()["code"] == "not_yours"
    other = make_campaign()
    for person in ("ana", "max"):
        foreign = other.client(person).get("/quorum/api/threads", {"name": campaign.campaign.name})
        assert (foreign.status_code, foreign.json()["code"]) == (404, "no_project")
        assert say_elsewhere(other, campaign, person).json()["code"] == "no_project"


def say_elsewhere(other: CampaignInTest, campaign: CampaignInTest, person: str) -> Response:
    """The response to somebody of another campaign who says something in this one."""
    body = {"name": campaign.campaign.name, "row_id": "r1", "kind": "question", "text": "?"}
    return post(other.client(person), "/quorum/api/threads", body)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"kind": "answer", "answers": 1, "text": "x"}, "managers_only"),
        ({"kind": "announcement", "text": "x"}, "managers_only"),
        ({"kind": "note", "row_id": "r1", "text": "x"}, "bad_request"),
        ({"kind": "question", "row_id": "r1", "text": "  "}, "bad_request"),
        ({"kind": "question", "row_id": "r1", "text": "x" * 2001}, "bad_request"),
        ({"kind": "question", "row_id": "r1", "text": "a\0b"}, "bad_request"),
        ({"kind": "question", "row_id": "r1", "text": ["x"]}, "bad_request"),
        ({"kind": "question", "text": "x"}, "bad_request"),
    ],
)
def test_what_a_person_may_not_say_is_refused(campaign: CampaignInTest, body: dict[str, Any], code: str) -> None:
    """Nothing of it is stored."""
    campaign.take("ana")
    assert say(campaign, "ana", **body).json()["code"] == code
    assert not Message.objects.filter(campaign_id=campaign.campaign.pk).exists()


def test_a_manager_answers_only_questions_that_are_there(campaign: CampaignInTest) -> None:
    """The number of an answer, of another campaign's question and of nothing are refused alike."""
    campaign.take("ana")
    asked = say(campaign, "ana", row_id="r1", kind="question", text="?").json()["id"]
    answer = say(campaign, "max", kind="answer", answers=asked, text="!").json()["id"]
    for number in (answer, 987654321):
        assert say(campaign, "max", kind="answer", answers=number, text="!").json()["code"] == "not_yours"
    for number in (True, "1", None):
        assert say(campaign, "max", kind="answer", answers=number, text="!").json()["code"] == "bad_request"


def test_everybody_of_the_campaign_reads_an_announcement(campaign: CampaignInTest) -> None:
    """It is about no row."""
    assert say(campaign, "max", kind="announcement", text="Guidelines 2 are out.").status_code == 201
    for person in ("ana", "quin", "eve"):
        (thread,) = threads_of(campaign, person)
        assert (thread["row_id"], entries([thread])) == ("", [("announcement", None, "Guidelines 2 are out.")])


def test_what_qa_notes_comes_when_the_row_is_decided_and_is_an_exposure(campaign: CampaignInTest) -> None:
    """Ana reads the note of a row that is final, by role; from then on others answer it should it be reopened."""
    campaign.answer("ana", verdict("Correct"))
    campaign.answer("bea", verdict("Incorrect"))
    assert entries(threads_of(campaign, "ana", row_id="r1")) == []
    campaign.answer("quin", review("correct", "Incorrect") + NOTE, Stage.QA)
    task, me = campaign.slot("r1").task_id, campaign.account("ana")
    assert not is_excluded(task, me)
    (thread,) = threads_of(campaign, "ana", row_id="r1")
    assert (thread["state"], entries([thread])) == ("FINAL", [("note", None, "Look at 1999.")])
    assert thread["messages"][0]["role"] == "qa"
    assert is_excluded(task, me)
    assert not is_excluded(task, campaign.account("bea"))
    assert entries(threads_of(campaign, "max", row_id="r1")) == [("note", "quin", "Look at 1999.")]
    assert not audit.run(campaign.campaign).faults


def test_who_read_the_outcome_cannot_answer_the_row_again(campaign: CampaignInTest) -> None:
    """After a reopening bea, who did not look, may change her answer; ana may not, and the audit stays clean."""
    finish(campaign)
    threads_of(campaign, "ana", row_id="r1")
    reopened = post(
        campaign.client("max"),
        "/quorum/api/reopen",
        {"name": campaign.campaign.name, "row_id": "r1", "reason": "The source changed."},
    ).json()
    assert reopened["changeable"] == 2
    task = campaign.slot("r1").task_id
    answers = {
        person: campaign.client(person).get(f"/api/tasks/{task}/").json()["annotations"][0]["id"]
        for person in ("ana", "bea")
    }
    codes = {
        person: campaign.client(person)
        .patch(f"/api/annotations/{pk}/", {"result": verdict("Partly correct")}, content_type="application/json")
        .status_code
        for person, pk in answers.items()
    }
    assert codes == {"ana": 403, "bea": 200}
    assert entries(threads_of(campaign, "bea", row_id="r1")) == [("reopened", None, "The source changed.")]
    assert not audit.run(campaign.campaign).faults


def test_qa_learns_nothing_new_from_its_own_decision(campaign: CampaignInTest) -> None:
    """Quin reads the thread and may do QA again: nobody has said anything after quin."""
    finish(campaign)
    assert entries(threads_of(campaign, "quin", row_id="r1")) == [("note", None, "Look at 1999.")]
    body = {"name": campaign.campaign.name, "row_id": "r1", "reason": "The source changed."}
    assert post(campaign.client("max"), "/quorum/api/reopen", body).status_code == 200
    assert campaign.take("quin", Stage.QA) == campaign.slot("r1", Stage.QA).task_id


def test_what_is_escalated_to_the_expert_is_not_told_to_the_annotators(campaign: CampaignInTest) -> None:
    """QA's reason to escalate is for the expert; what the expert says of the row is told."""
    for person, said in (("ana", "Correct"), ("bea", "Incorrect")):
        campaign.answer(person, verdict(said))
    campaign.answer("quin", review("escalate", "Correct", "Both are careless."), Stage.QA)
    campaign.answer("eve", review("correct", "Correct", "See the glossary."), Stage.EXPERT)
    assert entries(threads_of(campaign, "ana", row_id="r1")) == [("note", None, "See the glossary.")]
    assert [text for _, _, text in entries(threads_of(campaign, "max", row_id="r1"))] == [
        "Both are careless.",
        "See the glossary.",
    ]


def test_a_manager_who_annotates_is_kept_from_rows_whose_threads_they_read(campaign: CampaignInTest) -> None:
    """A question tells what somebody thinks of the row; the list of one's own threads tells nothing."""
    task = campaign.take("ana")
    say(campaign, "ana", row_id="r1", kind="question", text="I say Correct; is it?")
    me = campaign.account("boss")
    assert threads_of(campaign, "boss", own="1") == []
    assert not is_excluded(task, me)
    assert entries(threads_of(campaign, "boss")) == [("question", "ana", "I say Correct; is it?")]
    assert is_excluded(task, me)
    assert not is_excluded(campaign.slot("r2").task_id, me)
    line = next(line for line in campaign.lines("shown") if line.user_id == me)
    assert '"messages":[' in line.body


def test_what_was_said_stays_and_the_audit_finds_a_change_behind_the_server(campaign: CampaignInTest) -> None:
    """The database refuses; what somebody changes all the same differs from the audit log."""
    campaign.take("ana")
    say(campaign, "ana", row_id="r1", kind="question", text="?")
    mine = Message.objects.filter(campaign_id=campaign.campaign.pk)
    for act in (lambda: mine.update(text="!"), mine.delete):
        with pytest.raises(IntegrityError, match="quorum:message_stays"), transaction.atomic():
            act()
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER temp.quorum_message_kept")
    try:
        mine.update(text="!")
        assert [fault.code for fault in audit.run(campaign.campaign).faults] == ["content"]
        mine.update(text="?")
    finally:
        connection.close()  # the next one brings the rule again
    assert not audit.run(campaign.campaign).faults


def test_no_text_of_a_thread_is_in_the_audit_log(campaign: CampaignInTest) -> None:
    """Numbers and digests only."""
    campaign.take("ana")
    say(campaign, "ana", row_id="r1", kind="question", text="very telling words")
    (line,) = campaign.lines("message")
    assert (line.row_id, line.user_id) == ("r1", campaign.account("ana"))
    assert "telling" not in line.body


def test_fifty_messages_a_row_are_enough(campaign: CampaignInTest) -> None:
    """One more is refused, and other rows stay open to the person."""
    campaign.take("ana")
    for _ in range(50):
        assert say(campaign, "ana", row_id="r1", kind="question", text="?").status_code == 201
    assert say(campaign, "ana", row_id="r1", kind="question", text="?").json()["code"] == "too_many_messages"


def test_a_person_asks_and_a_manager_answers_on_their_pages(campaign: CampaignInTest) -> None:
    """What they typed is text on the page, never markup."""
    campaign.take("ana")
    number = str(campaign.campaign.pk)
    mine, manage = "/quorum/mine/", f"/quorum/campaign/{number}/threads/"
    ana, boss = campaign.client("ana"), campaign.client("max")
    assert "<option>r1</option>" in ana.get(mine).content.decode()
    asked = ana.post(mine, {"campaign": number, "row_id": "r1", "text": "<script>x</script>?"}).content.decode()
    assert "Your question about row r1 is with the managers" in asked
    assert "1 question or dispute</b> waits for you" in boss.get(f"/quorum/campaign/{number}/").content.decode()
    page = boss.get(manage).content.decode()
    assert "&lt;script&gt;x&lt;/script&gt;?" in page
    assert "<script" not in page
    question = Message.objects.get(campaign_id=campaign.campaign.pk)
    assert "is in the thread of row r1" in boss.post(manage, {"message": question.pk, "text": "No."}).content.decode()
    assert "Nobody waits for an answer." in boss.get(manage).content.decode()
    assert "No." in ana.get(mine).content.decode()
    assert "max" not in ana.get(mine).content.decode().partition("<main>")[2].replace("maxlength", "")
    assert "reads it on their page" in boss.post(manage, {"everybody": "Guidelines 2"}).content.decode()
    assert "Guidelines 2" in campaign.client("bea").get(mine).content.decode()
    for person in ("ana", "bea"):
        assert campaign.client(person).get(manage).status_code == 404


def test_the_page_says_what_it_could_not_do(campaign: CampaignInTest) -> None:
    """An empty form, a row of somebody else's, a question that is not there."""
    number = str(campaign.campaign.pk)
    form = {"campaign": number, "row_id": "r1", "text": "?"}
    assert "You were handed no row" in campaign.client("bea").post("/quorum/mine/", form).content.decode()
    assert "Choose the row" in campaign.client("bea").post("/quorum/mine/", {"campaign": "x"}).content.decode()
    page, manager = f"/quorum/campaign/{number}/threads/", campaign.client("max")
    assert "Write something first." in manager.post(page, {}).content.decode()
    answer = manager.post(page, {"message": "987654321", "text": "x"}).content.decode()
    assert "This campaign has no question or dispute 987654321." in answer


def with_guidelines(campaign: CampaignInTest) -> CampaignInTest:
    """The same campaign, whose guidelines have paragraphs."""
    Campaign.objects.filter(pk=campaign.campaign.pk).update(guidelines=GUIDELINES)
    return campaign


def test_headings_are_paragraphs_and_code_is_none() -> None:
    """One that comes again has a number, and every heading has an anchor."""
    anchors = {"which-year": "Which year?", "tables-text": "Tables & text", "which-year-2": "Which year?"}
    assert titles(GUIDELINES) == anchors
    assert titles("## ???\n") == {"beginning": "???"}
    assert len(next(iter(titles(f"# {'x' * 500}")))) < 200


def test_a_paragraph_of_the_guidelines_has_a_thread(campaign: CampaignInTest) -> None:
    """Whoever works in the campaign asks; the author and the managers read it, and nobody is kept from a row."""
    with_guidelines(campaign)
    asked = say(campaign, "quin", paragraph="tables-text", kind="question", text="Whose unit?")
    assert (asked.status_code, asked.json()["paragraph"]) == (201, "tables-text")
    (thread,) = threads_of(campaign, "max", open="1")
    assert (thread["row_id"], thread["paragraph"], thread["heading"]) == ("", "tables-text", "Tables & text")
    assert [(entry["role"], entry["by"]) for entry in thread["messages"]] == [("qa", "quin")]
    answer = {"kind": "answer", "answers": asked.json()["id"], "text": "The table's."}
    assert say(campaign, "max", **answer).status_code == 201
    (own,) = threads_of(campaign, "quin", paragraph="tables-text")
    assert entries([own]) == [("question", "you", "Whose unit?"), ("answer", None, "The table's.")]
    assert entries(threads_of(campaign, "ana", paragraph="tables-text")) == []
    assert threads_of(campaign, "ana") == []
    for paragraph in ("no-such", "tables-text "):
        assert say(campaign, "ana", paragraph=paragraph, kind="question", text="?").json()["code"] == "not_yours"
    both = say(campaign, "ana", paragraph="tables-text", row_id="r1", kind="question", text="?")
    assert both.json()["code"] == "bad_request"
    assert say(campaign, "max", paragraph="tables-text", kind="question", text="?").json()["code"] == "not_yours"
    assert not audit.run(campaign.campaign).faults


def test_a_paragraph_is_asked_about_on_my_work_and_answered_on_the_managers_page(campaign: CampaignInTest) -> None:
    """By its heading, as text."""
    with_guidelines(campaign)
    number = str(campaign.campaign.pk)
    ana, boss = campaign.client("ana"), campaign.client("max")
    assert '<option value="tables-text">Tables &amp; text</option>' in ana.get("/quorum/mine/").content.decode()
    form = {"campaign": number, "paragraph": "tables-text", "text": "Which <i>unit</i>?"}
    assert "about the paragraph Tables &amp; text is with" in ana.post("/quorum/mine/", form).content.decode()
    manage = f"/quorum/campaign/{number}/threads/"
    assert "Which &lt;i&gt;unit&lt;/i&gt;?" in boss.get(manage, {"paragraph": "tables-text"}).content.decode()
    question = Message.objects.get(campaign_id=campaign.campaign.pk)
    said = {"message": question.pk, "text": "The table's.", "publish": "1"}
    assert (
        "everybody reads it, with the question and without a name from now on"
        in boss.post(manage, said).content.decode()
    )
    mine = campaign.client("bea").get("/quorum/mine/").content.decode()
    assert "Guidelines: Tables &amp; text" in mine
    assert "for everybody" in mine
    assert "ana" not in mine.partition("<main>")[2].replace("manager", "")


def test_a_published_answer_is_read_by_everybody_once_the_row_is_decided(campaign: CampaignInTest) -> None:
    """With its question, by role and without the row's id; reading it is an exposure; reopened, it is gone again."""
    campaign.take("ana")
    asked = say(campaign, "ana", row_id="r1", kind="question", text="Which year?").json()["id"]
    told = say(campaign, "max", kind="answer", answers=asked, text="The table's.", publish=True)
    assert told.status_code == 201, told.content
    assert threads_of(campaign, "cal") == []
    finish(campaign)
    task = campaign.slot("r1").task_id
    (thread,) = threads_of(campaign, "cal")
    assert (thread["row_id"], thread["state"]) == ("", None)
    assert entries([thread]) == [("question", None, "Which year?"), ("answer", None, "The table's.")]
    assert [entry["role"] for entry in thread["messages"]] == ["annotator", "manager"]
    assert is_excluded(task, campaign.account("cal"))
    assert not is_excluded(task, campaign.account("eve"))
    assert [own["row_id"] for own in threads_of(campaign, "ana")] == ["r1"]
    body = {"name": campaign.campaign.name, "row_id": "r1", "reason": "The source changed."}
    assert post(campaign.client("max"), "/quorum/api/reopen", body).status_code == 200
    assert threads_of(campaign, "eve") == []
    assert not audit.run(campaign.campaign).faults


def test_neither_a_dispute_nor_a_known_answer_is_published(campaign: CampaignInTest) -> None:
    """Nothing is said then; whether an answer is published cannot be changed behind the server unseen."""
    finish(campaign)
    disputed = say(campaign, "ana", row_id="r1", kind="dispute", text="No.").json()["id"]
    asked = say(campaign, "ana", row_id="r1", kind="question", text="?").json()["id"]
    answer = {"kind": "answer", "text": "Yes.", "publish": True}
    assert say(campaign, "max", answers=disputed, **answer).json()["code"] == "not_published"
    known = {"rows": {"r1": {"verdict": "Incorrect"}}, "bar": 0.5}
    Campaign.objects.filter(pk=campaign.campaign.pk).update(qualification=known)
    assert say(campaign, "max", answers=asked, **answer).json()["code"] == "not_published"
    assert say(campaign, "max", answers=asked, kind="answer", text="Yes.").status_code == 201
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER temp.quorum_message_kept")
    try:
        Message.objects.filter(campaign_id=campaign.campaign.pk, answers=asked).update(published=True)
        assert [fault.code for fault in audit.run(campaign.campaign).faults] == ["content"]
    finally:
        connection.close()  # the next one brings the rule again


def test_long_lists_of_threads_come_in_pages(campaign: CampaignInTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Next and previous lead through all of them once, also when something new comes in between."""
    with_guidelines(campaign)
    monkeypatch.setattr(threads, "THREADS_A_PAGE", 1)
    for paragraph in ("which-year", "tables-text", "which-year-2"):
        say(campaign, "ana", paragraph=paragraph, kind="question", text="?")
    client, asked = campaign.client("max"), {"name": campaign.campaign.name, "size": "1"}
    first = client.get("/quorum/api/threads", asked).json()
    campaign.take("ana")
    say(campaign, "ana", row_id="r1", kind="question", text="New.")
    second = client.get("/quorum/api/threads", asked | {"after": first["after"]}).json()
    third = client.get("/quorum/api/threads", asked | {"after": second["after"]}).json()
    assert [page["threads"][0]["paragraph"] for page in (first, second, third)] == [
        "which-year-2", "tables-text", "which-year",
    ]  # fmt: skip
    assert [(page["left_off"], page["before"]) for page in (first, third)] == [
        (2, None),
        (0, second["before"] and third["before"]),
    ]
    back = client.get("/quorum/api/threads", asked | {"after": third["before"]}).json()
    assert back["threads"] == second["threads"]
    mine = [campaign.client("ana").get("/quorum/api/threads", {"after": "x"}).json()]
    while after := mine[-1]["after"]:
        mine.append(campaign.client("ana").get("/quorum/api/threads", {"after": after}).json())
    assert [(page["threads"][0]["row_id"], page["left_off"]) for page in mine] == [("r1", 3), ("", 2), ("", 1), ("", 0)]
    page = campaign.client("ana").get("/quorum/mine/").content.decode()
    assert "Older threads" in page
    assert "Newer threads" not in page
