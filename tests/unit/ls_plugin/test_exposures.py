"""Exposures, the audit log, and the audit that proves from it that work was blind."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ls_plugin.models import Grant, Record, Stage
from ls_plugin.pages import audit
from ls_plugin.store import audit_log
from ls_plugin.store.exclusions import is_excluded
from ls_plugin.store.exposures import expose, exposed_accounts, tells_of_others
from tests.contract.plugin_campaign import TEAM
from tests.unit.ls_plugin.support import CampaignInTest, make_campaign, verdict

MANAGER_WHO_WORKS = TEAM.replace(
    "ana-{tag}@quorum.test,  roles: [annotator]", "ana-{tag}@quorum.test,  roles: [annotator, manager]"
)


@pytest.fixture
def campaign() -> CampaignInTest:
    return make_campaign(team_text=MANAGER_WHO_WORKS)


def test_a_look_at_all_tasks_excludes_a_manager_who_works_from_the_answered_rows(campaign: CampaignInTest) -> None:
    """Rows with somebody's answer are others' from then on; a row without any stays open to the manager."""
    tasks = campaign.add_rows("r1", "r2")
    answer = campaign.answer("bea", verdict("Correct"))
    project = campaign.projects[Stage.PASS].pk
    assert campaign.client("ana").get(f"/api/tasks?project={project}").status_code == 200
    me = campaign.account("ana")
    assert is_excluded(tasks["r1"], me)
    assert not is_excluded(tasks["r2"], me)
    line = next(line for line in campaign.lines("shown") if line.user_id == me)
    assert (line.row_id, tells_of_others(line.body)) == ("r1", True)
    assert f'"others":[{answer.pk}]' in line.body
    assert campaign.take("ana") == tasks["r2"]


def test_an_exposure_frees_the_seat_that_the_person_has(campaign: CampaignInTest) -> None:
    """The seat is somebody else's to take, and a submission is refused."""
    tasks = campaign.add_rows("r1")
    campaign.take("ana")
    campaign.answer("bea", verdict("Correct"))
    expose(campaign.account("ana"), campaign.campaign.pk)
    assert not Grant.objects.get(task_id=tasks["r1"], user_id=campaign.account("ana")).live
    assert campaign.submit("ana", tasks["r1"], verdict("Correct")).json()["code"] == "excluded"
    assert campaign.take("cal") == tasks["r1"]


def test_an_exposure_is_written_once_and_only_for_the_rows_shown(campaign: CampaignInTest) -> None:
    """Looking again tells nothing new; looking at one task tells nothing of the others."""
    tasks = campaign.add_rows("r1", "r2")
    for _ in range(2):
        campaign.answer("bea", verdict("Correct"))
    me = campaign.account("cal")
    for _ in range(2):
        expose(me, campaign.campaign.pk, only=[tasks["r1"]], kind="could_see")
    assert [(line.row_id, line.user_id) for line in campaign.lines("could_see")] == [("r1", me)]
    rows = {tasks["r1"]: "r1", tasks["r2"]: "r2"}
    assert exposed_accounts(rows) == {"r1": {me}}
    assert exposed_accounts({}) == {}


def test_an_ordinary_person_is_shown_the_row_alone_and_it_is_written_down_once(campaign: CampaignInTest) -> None:
    """Taking the same task again is no new line, as it shows nothing new."""
    campaign.add_rows("r1")
    campaign.answer("bea", verdict("Incorrect"))
    for _ in range(2):
        task = campaign.next("cal").json()
    assert task["annotations"] == []
    assert [prediction["model_version"] for prediction in task["predictions"]] == ["auto-label"]
    lines = [line for line in campaign.lines("shown") if line.user_id == campaign.account("cal")]
    assert [tells_of_others(line.body) for line in lines] == [False]


def test_the_audit_of_a_campaign_is_proven_and_names_what_is_not(campaign: CampaignInTest) -> None:
    """A submission without a line, a changed line and a missing line are each named."""
    campaign.add_rows("r1")
    answer = campaign.answer("bea", verdict("Correct"))
    whole = audit.run(campaign.campaign)
    assert (whole.faults, whole.answers, whole.kinds["submitted"]) == ((), 1, 1)
    answer.result = verdict("Incorrect")
    answer.save()
    assert [fault.code for fault in audit.run(campaign.campaign).faults] == ["content"]
    answer.result = verdict("Correct")
    answer.save()
    assert audit.run(campaign.campaign, whole.head).faults == ()
    faults = {fault.code for fault in audit.run(campaign.campaign, (whole.head[0], "f" * 64)).faults}
    assert faults == {"kept"}


def test_an_answer_after_an_exposure_is_not_blind(campaign: CampaignInTest) -> None:
    """The audit finds the order from the log alone, whatever the plugin would have refused."""
    campaign.add_rows("r1")
    answer = campaign.answer("bea", verdict("Correct"))
    said = campaign.lines("submitted")[0]
    shown = audit_log.Entry("shown", said.user_id, said.campaign_id, said.task_id, "r1", {"others": [1]})
    changed = replace(shown, kind="changed", body={"annotation": answer.pk, "digest": audit_log.digest(answer.result)})
    audit_log.write(shown, changed)
    assert "not_blind" in {fault.code for fault in audit.run(campaign.campaign).faults}


def test_a_broken_chain_is_found_where_it_breaks(campaign: CampaignInTest) -> None:
    """Each way of tampering has its code: a changed line, a missing one, another end."""
    before = audit_log.head()
    audit_log.write(audit_log.Entry("campaign", body={"n": 1}), audit_log.Entry("campaign", body={"n": 2}))
    lines = list(Record.objects.order_by("seq"))
    assert list(audit_log.check_chain(lines, before)) == []
    last = lines[-1]
    last.body = '{"n":3}'
    assert {fault.code for fault in audit_log.check_chain(lines, audit_log.head())} == {"changed"}
    assert {fault.code for fault in audit_log.check_chain(lines[:-2] + lines[-1:], before)} >= {"gap", "chain"}
    assert {fault.code for fault in audit_log.check_chain(lines[:-1], audit_log.head())} == {"end"}


@pytest.mark.parametrize(("value", "stored"), [(1e16, 10**16), (-0.0, 0.0), ([{"x": 1e300}], [{"x": 10**300}])])
def test_the_digest_of_a_number_is_that_of_what_the_database_gives_back(value: object, stored: object) -> None:
    """PostgreSQL stores numbers as decimals: both ways of writing one have one digest."""
    assert audit_log.digest(value) == audit_log.digest(stored)


def test_a_head_that_was_noted_is_read_back() -> None:
    """The form that an audit prints is the form that the next one takes."""
    assert audit.parse_head(f"3:{'a' * 64}") == (3, "a" * 64)
    assert audit.parse_head("") is None
