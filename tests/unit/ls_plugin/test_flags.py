"""Flags are work: they say why, and managers find the rows that bear them; reopened rows tell their people why."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from django.db import connection

from ls_plugin.models import Slot, Stage
from ls_plugin.pages import flags
from ls_plugin.queue import reconcile
from ls_plugin.store.exclusions import is_excluded
from tests.contract.plugin_campaign import TEAM
from tests.unit.ls_plugin.support import CampaignInTest, make_campaign, patch, post, review, verdict

BOSS = TEAM + "  - {id: boss, email: boss-{tag}@quorum.test, roles: [manager, annotator]}\n"


@pytest.fixture
def campaign() -> CampaignInTest:
    made = make_campaign(team_text=BOSS)
    made.add_rows("r1", "r2")
    return made


def flagged(*flags: str, reason: str = "") -> list[dict[str, Any]]:
    """An answer with flags, and the reason for them where there is one."""
    flag = {"from_name": "flags", "to_name": "response", "type": "choices", "value": {"choices": list(flags)}}
    return [*verdict("Correct", reason), flag]


def flags_for(campaign: CampaignInTest, person: str) -> dict[str, Any]:
    """The flags that a person is shown, by name."""
    answer = campaign.client(person).get("/quorum/api/flags", {"name": campaign.campaign.name})
    assert answer.status_code == 200, answer.content
    return {flag["flag"]: flag for flag in answer.json()["flags"]}


@pytest.mark.parametrize("flag", ["unsure", "broken_row", "domain:financial"])
def test_a_flag_without_a_reason_is_refused(campaign: CampaignInTest, flag: str) -> None:
    """As an answer and as a change; with a reason both are stored."""
    task = campaign.take("ana")
    for empty in ("", "  "):
        refused = campaign.submit("ana", task, flagged(flag, reason=empty))
        assert (refused.status_code, refused.json()["code"]) == (400, "flag_reason")
    stored = campaign.submit("ana", task, flagged(flag, reason="Cut off."))
    assert stored.status_code == 201, stored.content
    address = f"/api/annotations/{stored.json()['id']}/"
    assert patch(campaign.client("ana"), address, {"result": flagged(flag)}).json()["code"] == "flag_reason"
    assert patch(campaign.client("ana"), address, {"result": verdict("Correct")}).status_code == 200


def test_what_a_review_says_is_a_reason_for_its_flag_too(campaign: CampaignInTest) -> None:
    """QA that discards a row as broken says why once."""
    campaign.answer("ana", verdict("Correct"))
    campaign.answer("bea", verdict("Correct"))
    said = [*review("discard", "Correct", "The answer is missing."), flagged("broken_row")[-1]]
    assert campaign.answer("quin", said, Stage.QA)


def test_a_manager_finds_flagged_rows_by_flag_with_who_and_why(campaign: CampaignInTest) -> None:
    """Counts of rows and of open ones; skipped rows too; each leads to its row's thread, escaped."""
    campaign.answer("ana", flagged("unsure", "guideline_gap", reason="<i>Neither</i> fits."))
    campaign.answer("bea", verdict("Correct"))
    campaign.answer("quin", review("accept", "Correct"), Stage.QA)
    task = campaign.take("cal")
    assert (
        campaign.submit("cal", task, flagged("guideline_gap", reason="Twice."), was_cancelled=True).status_code == 201
    )
    shown = flags_for(campaign, "max")
    assert {name: (flag["rows"], flag["open"]) for name, flag in shown.items()} == {
        "unsure": (1, 0),
        "guideline_gap": (2, 1),
    }
    marks = [(m["row_id"], m["by"], m["reason"], m["skipped"]) for m in shown["guideline_gap"]["marks"]]
    assert marks == [("r2", "cal", "Twice.", True), ("r1", "ana", "<i>Neither</i> fits.", False)]
    page = campaign.client("max").get(f"/quorum/campaign/{campaign.campaign.pk}/flags/").content.decode()
    assert "&lt;i&gt;Neither&lt;/i&gt; fits." in page
    assert f"/quorum/campaign/{campaign.campaign.pk}/threads/?row=r1" in page
    for person in ("ana", "quin"):
        assert campaign.client(person).get(f"/quorum/campaign/{campaign.campaign.pk}/flags/").status_code == 404
        answer = campaign.client(person).get("/quorum/api/flags", {"name": campaign.campaign.name})
        assert answer.json()["code"] == "managers_only"


def test_a_manager_who_annotates_is_kept_from_the_rows_that_are_listed(campaign: CampaignInTest) -> None:
    """What somebody flagged tells what they think of the row."""
    campaign.answer("ana", flagged("unsure", reason="?"))
    assert is_excluded(campaign.slot("r1").task_id, campaign.account("boss")) is False
    assert set(flags_for(campaign, "boss")) == {"unsure"}
    assert is_excluded(campaign.slot("r1").task_id, campaign.account("boss"))
    assert not is_excluded(campaign.slot("r2").task_id, campaign.account("boss"))


def test_my_work_says_why_a_row_was_opened_again(campaign: CampaignInTest) -> None:
    """Its people read the reason by role until it is decided once more; nobody else does."""
    campaign.answer("ana", verdict("Correct"))
    campaign.answer("bea", verdict("Correct"))
    campaign.answer("quin", review("accept", "Correct"), Stage.QA)
    body = {"name": campaign.campaign.name, "row_id": "r1", "reason": "The <b>source</b> changed."}
    assert post(campaign.client("max"), "/quorum/api/reopen", body).status_code == 200
    reason = "The &lt;b&gt;source&lt;/b&gt; changed."
    pages = {person: campaign.client(person).get("/quorum/mine/").content.decode() for person in ("ana", "quin", "cal")}
    assert {person: reason in page for person, page in pages.items()} == {"ana": True, "quin": True, "cal": False}
    assert "<td>manager</td>" in pages["ana"]
    assert "max" not in pages["ana"].partition("<main>")[2].replace("maxlength", "")
    campaign.answer("quin", review("accept", "Correct"), Stage.QA)
    assert reason not in campaign.client("ana").get("/quorum/mine/").content.decode()


def test_long_lists_of_flags_come_in_pages(campaign: CampaignInTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that are not decided first, then the others, the newest of each first; counts are of all of them."""
    campaign.add_rows("r3")
    for number, flag in (("1", "unsure"), ("2", "unsure"), ("3", "guideline_gap")):
        campaign.answer("ana", flagged(flag, "unsure", reason=f"No. {number}"))
    monkeypatch.setattr(flags, "ROWS_A_FLAG", 1)
    client, asked = campaign.client("max"), {"name": campaign.campaign.name, "flag": "unsure"}
    pages = [client.get("/quorum/api/flags", asked).json()["flags"][0]]
    while after := pages[-1]["after"]:
        pages.append(client.get("/quorum/api/flags", asked | {"after": after}).json()["flags"][0])
    assert [[mark["row_id"] for mark in page["marks"]] for page in pages] == [["r3"], ["r2"], ["r1"]]
    assert [(page["rows"], page["left_off"], page["before"] is None) for page in pages] == [
        (3, 2, True), (3, 1, False), (3, 0, False),
    ]  # fmt: skip
    address = f"/quorum/campaign/{campaign.campaign.pk}/flags/"
    first, last = (
        client.get(address, {"flag": "unsure", "after": page["before"] or ""}).content.decode()
        for page in (pages[0], pages[2])
    )
    assert "Next rows" in first
    assert "Previous rows" not in first
    assert "No. 2" in last
    assert "No row bears this flag" in client.get(address, {"flag": "no such"}).content.decode()


def test_flags_follow_what_people_change(campaign: CampaignInTest) -> None:
    """An answer that is changed takes its flag along; the row's flags are kept beside it."""
    answer = campaign.answer("ana", flagged("unsure", reason="?"))
    assert campaign.slot("r1").flags == "unsure"
    assert (
        patch(campaign.client("ana"), f"/api/annotations/{answer.pk}/", {"result": verdict("Correct")}).status_code
        == 200
    )
    assert (campaign.slot("r1").flags, campaign.slot("r1").flagged_at) == (None, None)
    assert flags_for(campaign, "max") == {}


def test_flags_of_answers_from_before_are_read_after_the_upgrade(campaign: CampaignInTest) -> None:
    """The migration marks the rows that bear one, and the reconcile that every start does writes it beside them."""
    campaign.answer("ana", flagged("unsure", reason="?"))
    campaign.answer("ana", verdict("Correct"))
    Slot.objects.filter(project_id=campaign.projects[Stage.PASS].pk).update(flags=None, flagged_at=None)
    migration = import_module("ls_plugin.migrations.0015_paragraph_threads")
    migration.mark_flagged(None, connection.schema_editor())
    assert [campaign.slot(row).dirty for row in ("r1", "r2")] == [True, False]
    assert reconcile.drain(campaign.campaign.pk) == 1
    assert {name: flag["rows"] for name, flag in flags_for(campaign, "max").items()} == {"unsure": 1}
