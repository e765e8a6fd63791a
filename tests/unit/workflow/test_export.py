"""Export: rows sorted on disk and decided by several processes give the records that a snapshot in memory gives."""

from __future__ import annotations

from typing import Any

import pytest

from ls_config import load, to_result
from review_rules import Stage, load_policy, load_team
from tests.campaigns import POLICY, TEAM
from tests.fakes.label_studio import FakeLabelStudio
from workflow import export
from workflow.campaign import Campaign
from workflow.export import Tally, export_records, record_of
from workflow.importing import import_rows
from workflow.reconcile import decide_rows
from workflow.rows import Row
from workflow.setup import CampaignSpec, setup_campaign
from workflow.snapshot import Snapshot

INTERFACE = load("response_review")
FORM: dict[str, Any] = {"verdict": "Correct", "response_type": "Other", "correctness": 4, "completeness": 4,
                        "helpfulness": 4, "tone": 4}  # fmt: skip
# In text order these come otherwise than in the order of import.
NAMES = ["r9", "r10", "é", "a b", "😀", "R1", "z"]


@pytest.fixture
def held() -> tuple[FakeLabelStudio, Campaign]:
    """A campaign of some rows, each passed by none, one or two people."""
    team = load_team(TEAM.format(tag="x"))
    port = FakeLabelStudio([person.email for person in team.people.values() if person.email])
    spec = CampaignSpec(name="c", interface=INTERFACE, policy=load_policy(POLICY), team=team)
    campaign = setup_campaign(port, spec).campaign
    assert campaign is not None
    rows = [Row(row_id=name, context="", query="q", response=f"Answer {name}.", domain="general") for name in NAMES]
    import_rows(port, campaign, rows)
    users = [user.id for user in port.users()]
    for number, task in enumerate(list(port.tasks(campaign.project(Stage.PASS)))):
        for user in users[: number % 3]:
            port.submit(task.id, user, to_result(FORM, INTERFACE.controls, task.data))
    return port, campaign


@pytest.mark.parametrize("least", [1, 10_000], ids=["several processes", "one process"])
def test_store_gives_what_a_snapshot_gives(
    held: tuple[FakeLabelStudio, Campaign], least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same records in order, whether tasks are held in memory or on disk, decided by one process or more."""
    port, campaign = held
    monkeypatch.setattr(export, "_WORTH_WORKERS", least)
    monkeypatch.setattr(export, "_CHUNK", 2)
    snapshot = Snapshot.read(port, campaign)
    wanted = [record_of(campaign, row) for row in decide_rows(campaign, snapshot, snapshot.row_ids)]
    tally = Tally()
    found = list(export_records(port, campaign, gold_only=False, tally=tally))
    assert found == wanted
    assert [record["row_id"] for record in found] == sorted(NAMES)
    assert (tally.rows, tally.problems) == (len(NAMES), [])
