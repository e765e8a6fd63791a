"""A campaign that has lost a project, or a project its marker, is not begun anew without a word."""

from __future__ import annotations

import pytest

from label_studio_quorum.campaign.importing import import_rows
from label_studio_quorum.campaign.projects import Campaign, CampaignError, find_all
from label_studio_quorum.campaign.setup import CampaignSpec, setup_campaign
from label_studio_quorum.intake import Row
from ls_config import load
from review_rules import Stage, load_policy, load_team
from tests.support.campaigns import POLICY, TEAM
from tests.support.fake_label_studio import FakeLabelStudio

SPEC = CampaignSpec(
    name="May",
    interface=load("classification"),
    policy=load_policy(POLICY),
    team=load_team(TEAM.format(tag="x")),
)


@pytest.fixture
def server() -> FakeLabelStudio:
    """A stock server with a campaign of one row."""
    fake = FakeLabelStudio(["ana@x.test"])
    import_rows(fake, _set_up(fake), [Row(row_id="r1", context="", query="q", response="a")])
    return fake


def _set_up(server: FakeLabelStudio, *, repair: bool = False, dry_run: bool = False) -> Campaign:
    campaign = setup_campaign(server, SPEC, repair=repair, dry_run=dry_run).campaign
    assert campaign is not None
    return campaign


@pytest.mark.parametrize("stage", Stage)
def test_a_project_that_lost_its_marker_gets_it_back_when_asked(server: FakeLabelStudio, stage: Stage) -> None:
    """Set-up makes no second project: it says which has lost its line, and restores that on --repair."""
    before = _set_up(server)
    server.change_project(before.project(stage), {"description": "Our notes."})
    writes = server.writes
    with pytest.raises(CampaignError, match=rf"project {before.project(stage)} .*no quorum: line") as refused:
        _set_up(server)
    assert "setup --repair" in str(refused.value)
    assert server.writes == writes
    assert _set_up(server, repair=True).projects[stage].id == before.project(stage)
    assert server.project(before.project(stage)).description.startswith("Our notes.\n")
    assert len(server.projects()) == len(Stage)
    assert _set_up(server).projects.keys() == before.projects.keys()


def test_all_markers_come_back_at_once(server: FakeLabelStudio) -> None:
    """A campaign of which nothing is marked any more is found by the titles."""
    before = _set_up(server)
    for stage in Stage:
        server.change_project(before.project(stage), {"description": ""})
    assert not find_all(server.projects())
    after = _set_up(server, repair=True)
    assert {stage: after.project(stage) for stage in Stage} == {stage: before.project(stage) for stage in Stage}


def test_a_dry_run_of_a_repair_changes_nothing(server: FakeLabelStudio) -> None:
    """It says what would be restored."""
    before = _set_up(server)
    server.change_project(before.project(Stage.QA), {"description": ""})
    report = setup_campaign(server, SPEC, repair=True, dry_run=True)
    assert any("restore the quorum: line" in change for change in report.changes)
    assert server.project(before.project(Stage.QA)).description == ""


def test_a_project_that_is_gone_is_said_with_what_to_do(server: FakeLabelStudio) -> None:
    """A new one in its place is made only on --repair."""
    before = _set_up(server)
    server.delete_project(before.project(Stage.EXPERT))
    with pytest.raises(CampaignError, match=r"has lost its expert project.*backup"):
        _set_up(server)
    assert _set_up(server, repair=True).project(Stage.EXPERT) != before.project(Stage.EXPERT)


def test_a_set_up_that_was_cut_off_goes_on_without_repair() -> None:
    """A campaign that has no rows yet has lost nothing."""
    server = FakeLabelStudio(["ana@x.test"])
    server.delete_project(_set_up(server).project(Stage.EXPERT))
    assert _set_up(server).projects.keys() == set(Stage)
