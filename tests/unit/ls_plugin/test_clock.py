"""The server's clock: a small step back costs nothing, and under one that was set back nothing is answered."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.utils import timezone
from tasks.models import Annotation

from ls_plugin.models import Stage
from ls_plugin.pages import audit
from ls_plugin.store import audit_log
from tests.unit.ls_plugin.support import CampaignInTest, make_campaign, review, verdict

REAL: Callable[[], datetime] = timezone.now


def set_back(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let the clock of the server be so far behind."""
    monkeypatch.setattr("django.utils.timezone.now", lambda: REAL() - timedelta(seconds=seconds))


@pytest.fixture
def campaign() -> CampaignInTest:
    """A campaign with two rows, one of which has its passes, which were made just now."""
    made = make_campaign()
    made.add_rows("r1")
    for person in ("ana", "bea"):
        made.answer(person, verdict("Correct"))
    made.add_rows("r2")
    return made


def test_under_a_clock_that_was_set_back_nothing_is_taken(
    campaign: CampaignInTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a hand-out nor an answer nor a change; each says what is wrong, and afterwards all of it works."""
    task = campaign.take("quin", Stage.QA)
    mine = campaign.answer("ana", verdict("Correct"))
    set_back(monkeypatch, 3600)
    change = campaign.client("ana").patch(
        f"/api/annotations/{mine.pk}/", {"result": verdict("Incorrect")}, content_type="application/json"
    )
    refusals = [
        campaign.next("cal"),
        campaign.submit("quin", task, review("accept", "Correct")),
        change,
    ]
    assert [(answer.status_code, answer.json()["code"]) for answer in refusals] == [(503, "clock_back")] * 3
    assert "seconds behind what it wrote last" in refusals[1].json()["detail"]
    assert campaign.client("max").get("/quorum/api/version").json()["clock_lag_s"] > 3500
    set_back(monkeypatch, 0)
    assert campaign.submit("quin", task, review("accept", "Correct")).status_code == 201
    assert campaign.slot("r1").state == "FINAL"
    assert campaign.client("max").get("/quorum/api/version").json()["clock_lag_s"] == 0


def test_a_small_step_back_keeps_the_order(campaign: CampaignInTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """QA that the clock puts before the passes is written down behind them, so it counts; so is its own change."""
    passes = Annotation.objects.filter(task_id=campaign.slot("r1").task_id)
    set_back(monkeypatch, 8)
    answer = campaign.answer("quin", review("accept", "Correct"), Stage.QA)
    assert answer.updated_at > max(each.updated_at for each in passes)
    assert answer.created_at == answer.updated_at
    assert campaign.slot("r1").state == "FINAL"
    times = [line.at for line in campaign.lines("submitted")]
    assert times == sorted(times)


def test_the_audit_log_never_goes_back(campaign: CampaignInTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line has the time of the line before it at least, and the chain is whole."""
    set_back(monkeypatch, 1800)
    audit_log.write(audit_log.Entry("reopened", campaign_id=campaign.campaign.pk, row_id="r1"))
    times = [line.at for kind in ("submitted", "reopened") for line in campaign.lines(kind)]
    assert times == sorted(times)
    assert not [fault for fault in audit.run(campaign.campaign, None).faults if fault.code in ("chain", "changed")]
