"""Tasks that Label Studio's own Import or a storage brought into a campaign's projects."""

from __future__ import annotations

from label_studio_quorum.campaign.importing import import_rows
from label_studio_quorum.campaign.reconcile import reconcile
from label_studio_quorum.campaign.setup import CampaignSpec, setup_campaign
from label_studio_quorum.campaign.snapshot import Snapshot
from label_studio_quorum.campaign.status import campaign_status
from label_studio_quorum.intake import Row
from label_studio_quorum.port import NewTask
from ls_config import load
from review_rules import Stage, load_policy, load_team
from tests.support.campaigns import POLICY, TEAM
from tests.support.fake_label_studio import FakeLabelStudio


def test_a_stock_servers_tasks_without_a_row_are_named_and_count_for_nothing() -> None:
    """Sync and status say which they are and what to do; the row beside them is as before."""
    server = FakeLabelStudio(["ana@x.test"])
    spec = CampaignSpec(
        name="May", interface=load("classification"), policy=load_policy(POLICY), team=load_team(TEAM.format(tag="x"))
    )
    campaign = setup_campaign(server, spec).campaign
    assert campaign is not None
    import_rows(server, campaign, [Row(row_id="r1", context="", query="q", response="a")])
    assert reconcile(server, campaign).problems == campaign_status(server, campaign).without_row == ()
    project = campaign.project(Stage.PASS)
    server.add_tasks(project, [NewTask(data={"text": "by hand"}, meta={})] * 7)
    tasks = [task.id for task in server.tasks(project) if not task.row_id]
    report, status = reconcile(server, campaign), campaign_status(server, campaign)
    (problem,) = report.problems
    assert problem == status.without_row[0] == status.to_json()["without_row"][0]
    assert f"project {project} (pass): 7 tasks belong to no row ({', '.join(map(str, tasks[:5]))} …)" in problem
    assert "quorum import" in problem
    assert (report.rows, status.rows) == (1, 1)
    with Snapshot.read(server, campaign, ["r1"]) as few:
        assert not few.strangers
