"""Answers that count for nothing are named by the doctor."""

from __future__ import annotations

import pytest

from label_studio_quorum.campaign.doctor import Level, check_answers
from label_studio_quorum.campaign.importing import import_rows
from label_studio_quorum.campaign.projects import interface_of
from label_studio_quorum.campaign.reconcile import reconcile
from label_studio_quorum.campaign.setup import CampaignSpec, setup_campaign
from label_studio_quorum.campaign.snapshot import Snapshot
from label_studio_quorum.intake import Row
from label_studio_quorum.port import Json
from ls_config import load, parse_all
from ls_config.results import to_result
from ls_config.review_screen import compose_review
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


REQUIRING = interface_of(
    """<View><Text name="response" value="$response"/>
<Choices name="verdict" toName="response" required="true"><Choice value="A"/><Choice value="B"/></Choices>
<Choices name="topics" toName="response" choice="multiple" required="true"><Choice value="law"/></Choices></View>""",
    "mini",
)
WHOLE = {"verdict": "A", "topics": ["law"]}
LACKING = {
    "discard without a reason": ("A", WHOLE | {"decision": "discard"}, "discard needs a reason"),
    "accept of a conflict": ("B", {"topics": ["law"], "decision": "accept"}, "accept would leave verdict in conflict"),
    "set emptied": ("A", {"verdict": "A", "decision": "accept"}, "accept would leave topics without a value"),
}


@pytest.mark.parametrize(("second", "answer", "cause"), LACKING.values(), ids=LACKING)
def test_an_answer_that_lacks_something_is_said_until_it_is_cured(second: str, answer: Json, cause: str) -> None:
    """A stock server stores it without a word: sync and the next form of the row say why it does not count."""
    server = FakeLabelStudio(["ana-x@quorum.test", "ben-x@quorum.test", "cleo-x@quorum.test"])
    team = load_team(TEAM.format(tag="x"))
    spec = CampaignSpec(name="May", interface=REQUIRING, policy=load_policy("expert_domains: []"), team=team)
    campaign = setup_campaign(server, spec).campaign
    assert campaign is not None
    import_rows(server, campaign, [Row(row_id="r1", context="", query="q", response="a")])
    (task,) = server.tasks(campaign.project(Stage.PASS))
    for user, verdict in ((1, "A"), (2, second)):
        server.submit(task.id, user, to_result(WHOLE | {"verdict": verdict}, REQUIRING.controls, task.data))
    assert reconcile(server, campaign).warnings == ()
    controls = parse_all(compose_review(REQUIRING.xml, "qa"))
    (review,) = server.tasks(campaign.project(Stage.QA))
    assert "does not count" not in review.data["panel"]
    server.submit(review.id, 3, to_result(answer, controls, review.data))
    report = reconcile(server, campaign)
    assert (report.changes, report.problems) == ({"create_qa": 1}, ())
    (line,) = report.warnings
    assert line.startswith(f"1 answer counts for nothing, such as one of row 'r1': {cause}")
    (again,) = (task for task in server.tasks(campaign.project(Stage.QA)) if not task.submitted)
    assert f"An earlier answer here does not count: {cause}" in again.data["panel"]
    server.submit(again.id, 3, to_result(WHOLE | {"decision": "correct"}, controls, again.data))
    assert reconcile(server, campaign).warnings == ()
