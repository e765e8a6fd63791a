"""Answers that count for nothing are named by the doctor."""

from __future__ import annotations

from label_studio_quorum.campaign.doctor import Level, check_answers
from label_studio_quorum.campaign.importing import import_rows
from label_studio_quorum.campaign.setup import CampaignSpec, setup_campaign
from label_studio_quorum.campaign.snapshot import Snapshot
from label_studio_quorum.intake import Row
from ls_config import load
from ls_config.results import to_result
from review_rules import Stage, load_policy, load_team
from tests.support.campaigns import POLICY, TEAM
from tests.support.fake_label_studio import FakeLabelStudio


def test_answers_that_somebody_else_saved_or_that_no_longer_fit_are_named() -> None:
    """Nothing is said of a row at work; each cause is one line with an example and where to read more."""
    server = FakeLabelStudio(["ana-x@quorum.test", "ben-x@quorum.test"])
    interface = load("classification")
    spec = CampaignSpec(
        name="May", interface=interface, policy=load_policy(POLICY), team=load_team(TEAM.format(tag="x"))
    )
    campaign = setup_campaign(server, spec).campaign
    assert campaign is not None
    import_rows(server, campaign, [Row(row_id="r1", context="", query="q", response="a")])
    (task,) = server.tasks(campaign.project(Stage.PASS))
    result = to_result({"verdict": "Correct"}, interface.controls, task.data)
    answer = server.submit(task.id, 1, result)
    with Snapshot.read(server, campaign) as snapshot:
        assert not list(check_answers(campaign, snapshot))
    server.edit(task.id, answer, 2, result)
    wrong = [{**item, "value": {"choices": ["Of another interface"]}} for item in result]
    server.submit(task.id, 2, wrong)
    with Snapshot.read(server, campaign) as snapshot:
        checks = list(check_answers(campaign, snapshot))
    assert [check.level for check in checks] == [Level.WARN, Level.WARN]
    said = " ".join(check.message for check in checks)
    assert "saved it last" in said
    assert "verdict" in said
    assert all("'r1'" in check.message and "quorum export --all" in check.hint for check in checks)
