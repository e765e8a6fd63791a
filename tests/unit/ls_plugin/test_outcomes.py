"""What became of a person's answers: shown by role once a row is decided, disputed within the days of the policy."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from ls_plugin.models import Campaign, Grant, Message, Stage
from ls_plugin.pages import audit, outcomes, own_figures, saying
from ls_plugin.store import audit_log
from ls_plugin.store.exclusions import is_excluded
from tests.contract.plugin_campaign import POLICY, TEAM
from tests.unit.ls_plugin.support import CampaignInTest, Response, make_campaign, patch, post, review, verdict


@pytest.fixture
def campaign() -> CampaignInTest:
    """Of r1 quin overturned ana's verdict, of r2 nobody's; r3 waits for QA, r4 for passes."""
    made = make_campaign()
    made.add_rows("r1", "r2", "r3", "r4")
    for first, second in (("Correct", "Incorrect"), ("Correct", "Correct"), ("Correct", "Incorrect")):
        made.answer("ana", verdict(first))
        made.answer("bea", verdict(second))
    made.answer("quin", review("correct", "Incorrect", "<b>Read</b> the table."), Stage.QA)
    made.answer("quin", review("accept", "Correct"), Stage.QA)
    return made


def page_of(campaign: CampaignInTest, person: str, **asked: str) -> str:
    """What a person reads about what became of their answers."""
    response = campaign.client(person).get(f"/quorum/mine/answers/{campaign.campaign.pk}/", asked)
    assert response.status_code == 200, response.content
    return str(response.content.decode().partition("<main>")[2])


def dispute(campaign: CampaignInTest, person: str, row_id: str, text: str = "The table is older.") -> Response:
    """The response to a dispute."""
    body = {"name": campaign.campaign.name, "kind": "dispute", "row_id": row_id, "text": text}
    return post(campaign.client(person), "/quorum/api/threads", body)


def waiting(campaign: CampaignInTest) -> list[dict[str, Any]]:
    """What waits for the manager."""
    asked = {"name": campaign.campaign.name, "open": "1"}
    listed = campaign.client("max").get("/quorum/api/threads", asked).json()["threads"]
    return [entry for thread in listed for entry in thread["messages"] if entry["is_open"]]


def test_a_decided_row_is_shown_beside_the_own_answer_by_role(campaign: CampaignInTest) -> None:
    """Own value, final value, who changed it, the note as text; nothing of rows that are open, and no name."""
    page = page_of(campaign, "ana")
    assert "<td>Correct</td>" in page.replace(' dir="auto"', "")
    assert "<b>QA</b>" in page
    assert "&lt;b&gt;Read&lt;/b&gt; the table." in page
    assert "Row r1" in page
    assert "Row r2" in page
    assert "Row r3" not in page
    assert "quin" not in page
    assert "bea" not in page
    only = page_of(campaign, "ana", show="overturned")
    assert "Row r1" in only
    assert "Row r2" not in only
    assert "· stands" in page_of(campaign, "bea")
    assert "Nothing was overturned" in page_of(campaign, "bea", show="overturned")


def test_reading_it_is_an_exposure_and_looking_at_my_work_is_none(campaign: CampaignInTest) -> None:
    """Whoever read of r1 does not answer it again; r3, which is open, stays theirs to change."""
    me = campaign.account("ana")
    tasks = {row: campaign.slot(row).task_id for row in ("r1", "r2", "r3")}
    mine = campaign.client("ana").get("/quorum/mine/").content.decode()
    assert "What became of my 2 decided answers" in mine
    assert not any(is_excluded(task, me) for task in tasks.values())
    page_of(campaign, "ana")
    assert [is_excluded(tasks[row], me) for row in ("r1", "r2", "r3")] == [True, True, False]
    rows = [line.row_id for line in campaign.lines("shown") if line.user_id == me and '"others":[]' not in line.body]
    assert sorted(set(rows)) == ["r1", "r2"]
    page_of(campaign, "ana")
    assert len([line for line in campaign.lines("shown") if line.user_id == me]) == 3 + len(rows)
    assert not audit.run(campaign.campaign).faults


def test_a_planted_answer_after_the_outcome_is_found_by_the_audit(campaign: CampaignInTest) -> None:
    """Should a person answer a row again of which they were told, the log alone shows it."""
    page_of(campaign, "ana")
    before = campaign.lines("submitted")[0]
    audit_log.write(
        audit_log.Entry("changed", before.user_id, before.campaign_id, before.task_id, "r1", _body(before.body))
    )
    assert [fault.code for fault in audit.run(campaign.campaign).faults] == ["not_blind"]


def _body(text: str) -> dict[str, Any]:
    return dict(json.loads(text))


def test_nobody_reads_anothers_page(campaign: CampaignInTest) -> None:
    """It is one's own, in campaigns where one works."""
    other = make_campaign()
    for client in (other.client("ana"), other.client("max"), campaign.client("max")):
        assert client.get(f"/quorum/mine/answers/{campaign.campaign.pk}/").status_code == 404
    assert "Nothing that you answered is decided yet." in page_of(campaign, "cal")
    assert "Nothing that you answered is decided yet." in page_of(campaign, "cal", show="?", before="x")


def test_a_dispute_is_upheld_with_a_reason(campaign: CampaignInTest) -> None:
    """It waits for the manager, once; what upheld the decision is read by who disputed."""
    page_of(campaign, "ana")
    answer = campaign.client("ana").post(
        f"/quorum/mine/answers/{campaign.campaign.pk}/", {"row_id": "r1", "text": "The table is older."}
    )
    assert "The managers look at row r1 again" in answer.content.decode()
    assert "waits for a manager" in page_of(campaign, "ana", show="disputed")
    (entry,) = waiting(campaign)
    assert (entry["kind"], entry["by"], entry["text"]) == ("dispute", "ana", "The table is older.")
    again = dispute(campaign, "ana", "r1")
    assert (again.status_code, again.json()["code"]) == (409, "no_dispute")
    body = {"name": campaign.campaign.name, "kind": "answer", "answers": entry["id"], "text": "It is the newest."}
    assert post(campaign.client("max"), "/quorum/api/threads", body).json()["kind"] == "upheld"
    assert waiting(campaign) == []
    assert post(campaign.client("max"), "/quorum/api/threads", body).json()["code"] == "no_dispute"
    page = page_of(campaign, "ana", show="disputed")
    assert "The decision stands" in page
    assert "It is the newest." in page
    assert "Row r2" not in page


def test_nobody_upholds_a_decision_about_their_own_answer() -> None:
    """A manager who labels disputes, and another manager settles it."""
    boss = TEAM + "  - {id: boss, email: boss-{tag}@quorum.test, roles: [manager, annotator]}\n"
    made = make_campaign(team_text=boss)
    made.add_rows("r1")
    made.answer("boss", verdict("Correct"))
    made.answer("bea", verdict("Incorrect"))
    made.answer("quin", review("correct", "Incorrect"), Stage.QA)
    number = dispute(made, "boss", "r1").json()["id"]
    body = {"name": made.campaign.name, "kind": "answer", "answers": number, "text": "I am right."}
    refused = post(made.client("boss"), "/quorum/api/threads", body)
    assert (refused.status_code, refused.json()["code"]) == (403, "excluded")
    assert post(made.client("max"), "/quorum/api/threads", body).status_code == 201


def test_a_dispute_is_settled_by_opening_the_row_again(campaign: CampaignInTest) -> None:
    """Nothing waits any more, and when the row is decided anew the new decision may be disputed."""
    assert dispute(campaign, "ana", "r1").status_code == 201
    body = {"name": campaign.campaign.name, "row_id": "r1", "reason": "Look at the date."}
    assert post(campaign.client("max"), "/quorum/api/reopen", body).status_code == 200
    assert waiting(campaign) == []
    assert dispute(campaign, "ana", "r1").json()["detail"] == "Nothing is decided yet of what you said of row r1."
    for _ in range(2):
        campaign.answer("anq", review("accept", "Incorrect"), Stage.QA)
    assert dispute(campaign, "ana", "r1").status_code == 201


@pytest.mark.parametrize(
    ("setting", "days", "expected"),
    [("", 6, True), ("", 8, False), ("disputes: {days: 0}", 0, False), ("disputes: {days: null}", 999, True)],
)
def test_the_policy_says_for_how_long(setting: str, days: int, expected: bool) -> None:
    """Seven days without the key."""
    stored = Campaign(policy_text=f"{POLICY}{setting}\n")
    assert saying.may_dispute(stored, timezone.now() - timedelta(days=days)) is expected


def test_a_campaign_that_takes_no_disputes_refuses_and_offers_none(campaign: CampaignInTest) -> None:
    """The page has no form for it."""
    assert "I disagree" in page_of(campaign, "ana")
    Campaign.objects.filter(pk=campaign.campaign.pk).update(policy_text=f"{POLICY}disputes: {{days: 0}}\n")
    assert "I disagree" not in page_of(campaign, "ana")
    refused = dispute(campaign, "ana", "r1").json()
    assert (refused["code"], refused["detail"]) == ("no_dispute", "The time in which it could be disputed is over.")


def test_only_what_is_decided_of_ones_own_is_disputed(campaign: CampaignInTest) -> None:
    """An open row, somebody else's, one that is not there: nothing is said of what they hold."""
    assert dispute(campaign, "ana", "r3").json()["code"] == "no_dispute"
    assert [dispute(campaign, "cal", row).json()["code"] for row in ("r1", "no such row")] == ["not_yours"] * 2
    assert not Message.objects.filter(campaign_id=campaign.campaign.pk).exists()


def test_rows_with_known_answers_are_told_to_nobody(campaign: CampaignInTest) -> None:
    """As long as others are asked them, what became of one would tell the known answer."""
    known = {"rows": {"r1": {"verdict": "Incorrect"}}, "bar": 0.5}
    Campaign.objects.filter(pk=campaign.campaign.pk).update(qualification=known)
    page = page_of(campaign, "ana")
    assert "Row r1" not in page
    assert "Row r2" in page
    assert dispute(campaign, "ana", "r1").json()["code"] == "no_dispute"


def test_figures_are_over_decided_rows_and_shown_from_ten_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve of ana's rows are decided, three of them overturned; the team's median needs five others."""
    made = make_campaign()
    made.add_rows(*(f"q{number:02}" for number in range(13)))
    for number in range(13):
        made.answer("ana", verdict("Correct"))
        made.answer("bea", verdict("Incorrect" if number < 3 else "Correct"))
    for number in range(12):
        made.answer("quin", review("accept", "Incorrect" if number < 3 else "Correct"), Stage.QA)
    today, week, before = own_figures.own_periods(made.campaign, made.account("ana"))
    assert (today.answered, today.rows, today.overturned, today.share) == (13, 12, 3, 0.25)
    assert today.low is not None
    assert today.high is not None
    assert today.low < 0.25 < today.high
    assert (week.rows, before.rows, before.share, before.agreement) == (12, 0, None, None)
    assert (today.team_answered, today.team_agreement) == (None, None)
    monkeypatch.setattr(own_figures, "LEAST_OTHERS", 1)
    today, *_ = own_figures.own_periods(made.campaign, made.account("ana"))
    assert (today.team_answered, today.team_agreement) == (12.5, today.agreement)
    assert (today.team_share, today.pace, today.team_pace) == (0.0, 720.0, 720.0)
    assert not is_excluded(made.slot("q12").task_id, made.account("ana"))
    monkeypatch.setattr(outcomes, "A_PAGE", 5)
    first = outcomes.outcomes_page(made.campaign, made.account("ana"), "all", None)
    rest = outcomes.outcomes_page(made.campaign, made.account("ana"), "all", first.before)
    rows = [outcome.row_id for page in (first, rest) for outcome in page.outcomes]
    assert rows == [f"q{number:02}" for number in range(11, 1, -1)]
    assert (first.newer, rest.newer) == (None, 0)
    last = outcomes.outcomes_page(made.campaign, made.account("ana"), "all", rest.before)
    assert (last.before, last.newer) == (None, first.before)
    assert len(outcomes.outcomes_page(made.campaign, made.account("ana"), "overturned", None).outcomes) == 3


def overturned(campaign: CampaignInTest, person: str) -> dict[int, bool | None]:
    """Task → what is noted of a person's answer to it."""
    return {grant.task_id: grant.overturned for grant in campaign.hand_outs(person)}


def test_what_a_decision_overturned_is_noted_and_forgotten_when_the_row_is_opened_again(
    campaign: CampaignInTest,
) -> None:
    """Of r1 ana was overturned and bea was not; of r3, which waits for QA, nothing is noted."""
    tasks = {row: campaign.slot(row).task_id for row in ("r1", "r2", "r3")}
    assert overturned(campaign, "ana") == {tasks["r1"]: True, tasks["r2"]: False, tasks["r3"]: None}
    assert overturned(campaign, "bea")[tasks["r1"]] is False
    body = {"name": campaign.campaign.name, "row_id": "r1", "reason": "Look at the date."}
    assert post(campaign.client("max"), "/quorum/api/reopen", body).status_code == 200
    assert overturned(campaign, "ana")[tasks["r1"]] is None


def test_qa_finds_what_an_expert_overturned() -> None:
    """The same page, by stage: what quin said and eve changed counts as quin's."""
    made = make_campaign()
    made.add_rows("t1")
    made.answer("ana", verdict("Correct"))
    made.answer("bea", verdict("Incorrect"))
    made.answer("quin", review("escalate", "Correct", "A rule is missing."), Stage.QA)
    made.answer("eve", review("correct", "Incorrect", "See the norm."), Stage.EXPERT)
    page = page_of(made, "quin")
    assert "Row t1" in page
    assert "QA · answered" in page
    assert "<b>an expert</b>" in page


def test_what_a_version_before_decided_is_noted_when_it_is_first_asked_for(campaign: CampaignInTest) -> None:
    """Hand-outs of before have nothing noted."""
    Grant.objects.filter(user_id=campaign.account("ana")).update(overturned=None)
    _, week, _ = own_figures.own_periods(campaign.campaign, campaign.account("ana"))
    assert (week.rows, week.overturned) == (2, 1)
    assert sorted(map(str, overturned(campaign, "ana").values())) == ["False", "None", "True"]


def work(user: int, kind: tuple[int, str, int], *seconds: float) -> list[own_figures._Work]:
    """Answers of somebody of one kind, each with the seconds that it took, none of them decided."""
    now = timezone.now()
    return [
        own_figures._Work(pk=0, user=user, kind=kind, at=now, seconds=each, overturned=None, agreed=None)
        for each in seconds
    ]


def test_the_team_is_compared_on_ones_own_mix_of_work() -> None:
    """Others are quick because they had short rows: within the same thirds all are as quick as each other."""
    short, long, other = (0, "general", 0), (0, "general", 2), (1, "general", 0)
    own = [*work(1, short, *[10.0] * 5), *work(1, long, *[90.0] * 15)]
    others = [
        each
        for user in range(2, 7)
        for each in (*work(user, short, *[10.0] * 30), *work(user, long, 90.0), *work(user, other, *[1.0] * 50))
    ]
    assert own_figures._team(own, others, own_figures._seconds) == pytest.approx(70.0)
    assert own_figures._team(own, others[: 4 * 81], own_figures._seconds) is None
    few = [each for user in range(2, 9) for each in work(user, short, *[10.0] * 9)]
    assert own_figures._team(own, few, own_figures._seconds) is None


def test_nothing_that_is_open_moves_a_share(campaign: CampaignInTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bea's answer to r3, which waits for QA, is in no figure of ana's but the count of what the team did."""
    monkeypatch.setattr(own_figures, "LEAST_OTHERS", 1)
    monkeypatch.setattr(own_figures, "LEAST_ROWS", 1)
    before = own_figures.own_periods(campaign.campaign, campaign.account("ana"))
    answer = campaign.client("bea").get(f"/api/tasks/{campaign.slot('r3').task_id}/").json()["annotations"][0]["id"]
    changed = patch(campaign.client("bea"), f"/api/annotations/{answer}/", {"result": verdict("Partly correct")})
    assert changed.status_code == 200
    after = own_figures.own_periods(campaign.campaign, campaign.account("ana"))
    assert [(each.share, each.agreement, each.team_share, each.team_agreement) for each in after] == [
        (each.share, each.agreement, each.team_share, each.team_agreement) for each in before
    ]


def test_targets_stand_beside_the_figures(campaign: CampaignInTest) -> None:
    """Those that the policy sets, and none where it sets none."""
    assert "This campaign sets no targets." in page_of(campaign, "ana")
    targets = "targets: {rows_per_hour: 12, accuracy: 0.9}\n"
    Campaign.objects.filter(pk=campaign.campaign.pk).update(policy_text=POLICY + targets)
    page = page_of(campaign, "ana")
    assert "at most 10 %" in page
    assert '<td class="n">12</td>' in page
