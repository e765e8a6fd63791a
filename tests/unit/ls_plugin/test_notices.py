"""What people are told of: who, of what, once, and nothing that they may not know."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.utils import timezone

from ls_plugin.models import Grant, Notice, NoticeCursor, NoticeReader, Parcel, Slot, Stage
from ls_plugin.notices import gathering
from ls_plugin.notices.delivery import DeliverySettings
from ls_plugin.notices.wording import NoticeKind
from ls_plugin.store import audit_log, guidelines
from review_rules import State
from tests.contract.plugin_campaign import TEAM
from tests.unit.ls_plugin.support import (
    CampaignInTest,
    Response,
    make_campaign,
    owner_client,
    patch,
    post,
    review,
    verdict,
)

BOSS = TEAM + "  - {id: boss, email: boss-{tag}@quorum.test, roles: [manager, annotator]}\n"
SECRET = "words that nobody else reads"
NOWHERE = DeliverySettings()


@pytest.fixture
def campaign() -> CampaignInTest:
    made = make_campaign(team_text=BOSS)
    made.add_rows("r1", "r2")
    return made


def say(campaign: CampaignInTest, person: str, **body: Any) -> dict[str, Any]:
    """What the server says to a message that it takes."""
    said = post(campaign.client(person), "/quorum/api/threads", {"name": campaign.campaign.name, **body})
    assert said.status_code == 201, said.content
    return dict(said.json())


def ask(campaign: CampaignInTest, person: str = "ana") -> int:
    """Ask about the row that somebody is handed; the question's number."""
    campaign.take(person)
    row = Slot.objects.get(task_id=campaign.hand_outs(person)[-1].task_id).row_id
    return int(say(campaign, person, row_id=row, kind="question", text=SECRET)["id"])


def told(campaign: CampaignInTest, person: str, *, without_queues: bool = True) -> list[tuple[str, str]]:
    """Kind and sentence of what is new for somebody, the newest first."""
    answer = campaign.client(person).get("/quorum/api/notices", {"unread": "1"})
    assert answer.status_code == 200, answer.content
    assert SECRET not in answer.content.decode()
    lines = [(line["kind"], line["sentence"]) for line in answer.json()["notices"]]
    return [line for line in lines if not (without_queues and line[0] == "queue")]


def test_a_question_and_its_answer_reach_whom_they_concern_and_nobody_else(campaign: CampaignInTest) -> None:
    """Managers are told of the question; who asked is told of the answer; the text is in neither."""
    number = ask(campaign)
    assert told(campaign, "max") == [("question", "A question about row r1 waits for an answer.")]
    # Who also works in the campaign may still get the row.
    assert told(campaign, "boss") == [("question", "A question waits for an answer.")]
    say(campaign, "max", kind="answer", answers=number, text=SECRET)
    assert told(campaign, "ana") == [("answer", "Your question about row r1 is answered.")]
    # It waits no more, for no manager.
    assert told(campaign, "max") == told(campaign, "boss") == []
    for person in ("bea", "quin", "eve"):
        assert told(campaign, person) == []


def test_a_working_manager_is_led_to_the_threads_and_not_to_the_row(campaign: CampaignInTest) -> None:
    """The address holds no row that the sentence leaves out."""
    ask(campaign)
    paths = {
        person: campaign.client(person).get("/quorum/api/notices").json()["notices"][-1]["path"]
        for person in ("max", "boss")
    }
    threads = f"/quorum/campaign/{campaign.campaign.pk}/threads/"
    assert paths == {"max": f"{threads}?row=r1", "boss": threads}


def test_everybody_but_its_author_is_told_of_an_announcement(campaign: CampaignInTest) -> None:
    """Once, however often pages are opened."""
    say(campaign, "max", kind="announcement", text=SECRET)
    for _ in range(2):
        for person in ("ana", "quin", "eve", "boss"):
            assert told(campaign, person) == [("announcement", "A manager tells everybody something.")]
    assert told(campaign, "max") == []


def test_an_answer_for_everybody_is_told_to_everybody_without_its_row(campaign: CampaignInTest) -> None:
    """Who asked is told that it is answered, once."""
    number = ask(campaign)
    say(campaign, "max", kind="answer", answers=number, text=SECRET, publish=True)
    assert told(campaign, "ana") == [("answer", "Your question about row r1 is answered.")]
    for person in ("bea", "quin", "boss"):
        assert told(campaign, person) == [("published", "A manager's answer is there for everybody.")]
    assert told(campaign, "max") == []


def decide(campaign: CampaignInTest) -> None:
    """Ana and bea differ over r1, quin decides."""
    campaign.answer("ana", verdict("Correct"))
    campaign.answer("bea", verdict("Incorrect"))
    campaign.answer("quin", review("correct", "Incorrect"), Stage.QA)
    assert campaign.slot("r1").state == State.FINAL.value


def test_a_reopened_row_is_told_to_its_people(campaign: CampaignInTest) -> None:
    """Those who answered it, and not who opened it or had no part; the reason stays on the page."""
    decide(campaign)
    body = {"name": campaign.campaign.name, "row_id": "r1", "reason": SECRET}
    assert post(campaign.client("max"), "/quorum/api/reopen", body).status_code == 200
    for person in ("ana", "bea", "quin"):
        assert told(campaign, person) == [("reopened", "A row that you had a part in is open again (row r1).")]
    for person in ("cal", "max"):
        assert told(campaign, person) == []


def test_a_dispute_reaches_the_managers_and_what_came_of_it_its_author(campaign: CampaignInTest) -> None:
    """Without saying what: that is read on the page, which writes the exposure down."""
    decide(campaign)
    number = say(campaign, "ana", kind="dispute", row_id="r1", text=SECRET)["id"]
    assert told(campaign, "max") == [("dispute", "A dispute about row r1 waits for a manager.")]
    say(campaign, "max", kind="answer", answers=number, text=SECRET)
    assert told(campaign, "ana") == [("upheld", "Your dispute about row r1 is answered.")]


def test_a_returned_row_is_told_to_whom_it_came_back(campaign: CampaignInTest) -> None:
    """By the audit log's line of the hand-out that names the review; an ordinary hand-out is no news."""
    decide(campaign)
    task, ana = campaign.slot("r1").task_id, campaign.account("ana")
    for body in ({"stage": "pass", "return": 5}, {"stage": "pass"}):
        audit_log.write(audit_log.Entry("given", ana, campaign.campaign.pk, task, "r1", body))
    assert told(campaign, "ana") == [("return", "A row came back to you (row r1): see why, and answer it again.")]
    for person in ("bea", "quin", "max"):
        assert told(campaign, person) == []


def test_a_log_that_tells_nobody_anything_is_not_gone_over_again(
    campaign: CampaignInTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cursor follows the log's end at a distance, and what comes then is told."""
    monkeypatch.setattr(gathering, "_FAR_BEHIND", 3)
    audit_log.write(*[audit_log.Entry("shown", campaign.account("ana"), campaign.campaign.pk)] * 5)
    assert gathering.gather_log(NOWHERE) == 0
    assert NoticeCursor.objects.get().seq == audit_log.head()[0]
    say(campaign, "max", kind="announcement", text=SECRET)
    assert gathering.gather_log(NOWHERE) == 1


def test_what_was_said_before_the_upgrade_is_told_to_nobody(campaign: CampaignInTest) -> None:
    """The migration begins where the audit log ends."""
    say(campaign, "max", kind="announcement", text=SECRET)
    NoticeCursor.objects.all().delete()
    import_module("ls_plugin.migrations.0014_notifications").begin_here(apps, None)
    assert told(campaign, "ana") == []
    say(campaign, "max", kind="announcement", text=SECRET)
    assert len(told(campaign, "ana")) == 1


def test_new_guidelines_are_told_to_everybody(campaign: CampaignInTest) -> None:
    """The first version is what the campaign begins with, and no news."""
    for text in ("# Before", "# After"):
        guidelines.append(campaign.campaign, text, note="", user_id=campaign.account("max"), acknowledge=True)
    assert told(campaign, "ana") == [("guidelines", "The guidelines have changed.")]
    assert told(campaign, "max") == []


def test_a_blocked_row_is_told_to_managers_once_until_it_is_blocked_anew(campaign: CampaignInTest) -> None:
    """The page says so at once; another answer that blocks it is another event."""
    decide(campaign)
    Slot.objects.filter(pk=campaign.slot("r1").pk).update(state=State.BLOCKED.value)
    page = f"/quorum/campaign/{campaign.campaign.pk}/"
    for _ in range(2):
        html = campaign.client("max").get(page).content.decode()
        assert html.count("A row is blocked (row r1): nobody could decide it, or nobody may take it.") == 1
    working = campaign.client("boss").get(page).content.decode()
    assert "A row is blocked: nobody could decide it" in working
    task = campaign.slot("r1").task_id
    audit_log.write(audit_log.Entry("changed", campaign.account("ana"), campaign.campaign.pk, task, "r1"))
    gathering.gather_states(campaign.campaign, timezone.now(), NOWHERE)
    assert Notice.objects.filter(campaign_id=campaign.campaign.pk, kind=NoticeKind.BLOCKED.value).count() == 2


def test_a_campaign_is_done_once_and_again_after_more_rows(campaign: CampaignInTest) -> None:
    """Managers are told; rows that come later make it another end."""

    def count_ends() -> int:
        gathering.gather_states(campaign.campaign, timezone.now(), NOWHERE)
        return Notice.objects.filter(campaign_id=campaign.campaign.pk, kind=NoticeKind.DONE.value).count()

    def finish_all() -> None:
        slots = Slot.objects.filter(project_id=campaign.projects[Stage.PASS].pk)
        slots.update(state=State.FINAL.value)

    assert count_ends() == 0
    finish_all()
    assert [count_ends(), count_ends()] == [1, 1]
    assert ("done", "All rows are decided.") in told(campaign, "max")
    assert told(campaign, "ana") == []
    campaign.add_rows("r3")
    assert count_ends() == 1
    finish_all()
    assert count_ends() == 2


def test_rows_that_wait_are_told_once_until_somebody_has_worked_again(campaign: CampaignInTest) -> None:
    """Not to who is at work, not to whom nothing is open, and not with a count."""
    now = timezone.now()

    def queue_of(person: str) -> list[str]:
        gathering.gather_queues(now, NOWHERE)
        mine = NoticeReader.objects.filter(user_id=campaign.account(person), notice__kind="queue")
        return [reader.notice.stage for reader in mine.select_related("notice").order_by("pk")]

    assert [queue_of("ana"), queue_of("ana")] == [["pass"], ["pass"]]
    assert (queue_of("quin"), queue_of("max")) == ([], [])
    campaign.answer("ana", verdict("Correct"))
    campaign.answer("bea", verdict("Incorrect"))
    assert queue_of("quin") == ["qa"]
    assert queue_of("ana") == ["pass"]
    # An hour later she is away from the second row.
    now += timedelta(hours=2)
    assert queue_of("ana") == ["pass", "pass"]
    assert Grant.objects.filter(user_id=campaign.account("ana")).count() == 1
    assert ("queue", "Rows wait for you at QA.") in told(campaign, "quin", without_queues=False)


def test_the_page_says_what_is_new_and_what_is_read_is_gone_from_it(campaign: CampaignInTest) -> None:
    """My work lists it, escaped; one's own numbers alone are marked; the whole list keeps it."""
    say(campaign, "max", kind="announcement", text=SECRET)
    campaign.client("ana").get("/quorum/mine/")
    mine = NoticeReader.objects.get(user_id=campaign.account("ana"), notice__kind="announcement")
    foreign = NoticeReader.objects.get(user_id=campaign.account("bea"), notice__kind="announcement")
    page = campaign.client("ana").get("/quorum/mine/").content.decode()
    assert "A manager tells everybody something." in page
    assert f'name="read" value="{mine.pk}"' in page
    assert f'name="read" value="{foreign.pk}"' not in page
    said = campaign.client("ana").post("/quorum/mine/notices/", {"read": [mine.pk, foreign.pk, "x", "9" * 30]})
    assert "1 marked as read." in said.content.decode()
    assert "A manager tells everybody something." in said.content.decode()
    assert "A manager tells everybody something." not in campaign.client("ana").get("/quorum/mine/").content.decode()
    foreign.refresh_from_db()
    assert foreign.read_at is None


def test_a_row_id_is_escaped_wherever_it_is_told(campaign: CampaignInTest) -> None:
    """On pages, and in the address that leads to it."""
    campaign.add_rows("<b>&?row=r1")
    slot = campaign.slot("<b>&?row=r1")
    Slot.objects.filter(pk=slot.pk).update(state=State.BLOCKED.value)
    page = campaign.client("max").get(f"/quorum/campaign/{campaign.campaign.pk}/").content.decode()
    assert "(row &lt;b&gt;&amp;?row=r1)" in page
    assert "<b>&?row" not in page


@pytest.mark.parametrize(
    "body", [{}, {"read": 5}, {"read": ["1"]}, {"read": [True]}, {"read": [0]}, {"by_mail": "no"}, {"by_mail": 1}]
)
def test_what_makes_no_sense_is_refused(campaign: CampaignInTest, body: dict[str, Any]) -> None:
    """Nothing is noted."""
    refused = post(campaign.client("ana"), "/quorum/api/notices", body)
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_request")


def test_the_outbox_is_for_the_managers_of_its_campaign(campaign: CampaignInTest) -> None:
    """People are refused, and managers of another campaign learn nothing of this one."""
    other = make_campaign()

    def outbox(response: Response) -> tuple[int, str]:
        return response.status_code, response.json().get("code", "")

    asked = {"name": campaign.campaign.name}
    assert outbox(campaign.client("ana").get("/quorum/api/outbox", asked)) == (403, "managers_only")
    assert outbox(other.client("max").get("/quorum/api/outbox", asked)) == (404, "no_project")
    assert outbox(post(campaign.client("ana"), "/quorum/api/outbox", asked | {"act": "send"})) == (403, "managers_only")
    assert outbox(post(campaign.client("max"), "/quorum/api/outbox", asked | {"act": "x"})) == (400, "bad_request")
    assert outbox(patch(campaign.client("max"), "/quorum/api/outbox", asked))[0] == 403
    for client in (campaign.client("max"), owner_client()):
        listed = client.get("/quorum/api/outbox", asked).json()
        assert (listed["parcels"], listed["channels"]) == ([], [])


def test_nothing_leaves_a_server_on_which_nothing_is_configured(campaign: CampaignInTest) -> None:
    """Notices are made, no parcel is, and a mail server that is named later is not flooded with old ones."""
    ask(campaign)
    asked = {"name": campaign.campaign.name, "act": "send"}
    came = post(campaign.client("max"), "/quorum/api/outbox", asked).json()
    assert (came["channels"], came["sent"]) == ([], 0)
    assert not Parcel.objects.exists()
    assert Notice.objects.filter(campaign_id=campaign.campaign.pk).exists()
    assert not NoticeReader.objects.filter(by_mail=True).exists()
