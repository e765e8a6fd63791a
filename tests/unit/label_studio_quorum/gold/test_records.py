"""Export: rows sorted on disk and decided by several processes give the records that a snapshot in memory gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from label_studio_quorum.campaign.importing import import_rows
from label_studio_quorum.campaign.projects import PROPOSAL, Campaign
from label_studio_quorum.campaign.reconcile import decide_rows, reconcile
from label_studio_quorum.campaign.row_task import prediction_values
from label_studio_quorum.campaign.setup import CampaignSpec, setup_campaign
from label_studio_quorum.campaign.snapshot import Snapshot
from label_studio_quorum.gold import records as export
from label_studio_quorum.gold.formats import write
from label_studio_quorum.gold.proof import Proof
from label_studio_quorum.gold.records import ExportTally, export_lines, export_records, record_of
from label_studio_quorum.intake import Row
from ls_config import load, to_result
from ls_config.interface import parse_all
from ls_config.review_screen import compose_review
from review_rules import Stage, load_policy, load_team
from review_rules.seals import Digest, Places
from review_rules.verify import Verifier
from tests.support.campaigns import POLICY, TEAM
from tests.support.fake_label_studio import FakeLabelStudio

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
    with Snapshot.read(port, campaign) as snapshot:
        wanted = [record_of(campaign, row) for row in decide_rows(campaign, snapshot, snapshot.row_ids)]
    tally = ExportTally()
    found = list(export_records(port, campaign, gold_only=False, tally=tally))
    assert [record.pop("digest") for record in found] == [Digest.of(record).to_json() for record in wanted]
    assert found == wanted
    assert [record["row_id"] for record in found] == sorted(NAMES)
    assert (tally.rows, tally.problems) == (len(NAMES), [])


@pytest.mark.parametrize("least", [1, 10_000], ids=["several processes", "one process"])
def test_threads_stand_in_the_records_of_their_rows(
    held: tuple[FakeLabelStudio, Campaign], least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And in no other's: a row about which nothing was said has the record that it has without them."""
    port, campaign = held
    monkeypatch.setattr(export, "_WORTH_WORKERS", least)
    monkeypatch.setattr(export, "_CHUNK", 2)
    threads = {name: [{"id": number, "text": name}] for number, name in enumerate(NAMES[:3])}
    plain = [json.loads(line.text) for line in export_lines(port, campaign)]
    seen = [json.loads(line.text) for line in export_lines(port, campaign, threads=threads)]
    assert {record["row_id"]: record.get("thread") for record in seen} == {name: threads.get(name) for name in NAMES}
    assert [record for record in seen if "thread" not in record] == [
        record for record in plain if record["row_id"] not in threads
    ]


def test_a_campaign_with_withheld_rows_measures_anchoring(tmp_path: Path) -> None:
    """Rows whose auto-label the policy withheld come out marked, and the datasheet compares them with the others."""
    team, policy = load_team(TEAM.format(tag="x")), load_policy(POLICY + "prelabel: {withhold: 0.5}\n")
    port = FakeLabelStudio([person.email for person in team.people.values() if person.email])
    spec = CampaignSpec(name="c", interface=INTERFACE, policy=policy, team=team)
    campaign = setup_campaign(port, spec).campaign
    assert campaign is not None
    rows = [
        Row(
            row_id=f"r{n}",
            context="",
            query="q",
            response="ACME won.",
            domain="general",
            auto_label={"tone": 4},
            extra={"score": float(n)},
        )
        for n in range(12)
    ]
    import_rows(port, campaign, rows)
    ana, ben, cleo = (
        next(user.id for user in port.users() if user.email.startswith(name)) for name in ("ana", "ben", "cleo")
    )
    for task in list(port.tasks(campaign.project(Stage.PASS))):
        # Whoever saw the auto-label took it over.
        form = FORM | {"tone": 4 if task.predictions else 2}
        for user in (ana, ben):
            port.submit(task.id, user, to_result(form, INTERFACE.controls, task.data))
    reconcile(port, campaign)
    review = parse_all(compose_review(INTERFACE.xml, "qa"))
    for task in list(port.tasks(campaign.project(Stage.QA))):
        values = prediction_values(task, PROPOSAL, INTERFACE) | {"decision": "accept"}
        port.submit(task.id, cleo, to_result(values, review, task.data))
    report = write(export_lines(port, campaign), tmp_path / "a.jsonl", interface=INTERFACE, card=True)
    assert (report.rows, report.left_out) == (12, 0)
    verifier = Verifier(team, policy, Places(required=True, expected=report.seal))
    assert [str(unproven) for unproven in Proof(tmp_path / "a.jsonl", verifier).findings()] == []
    hidden = sum(json.loads(line)["withheld"] for line in (tmp_path / "a.jsonl").read_text("utf-8").splitlines())
    assert 0 < hidden < 12
    text = (tmp_path / "a.jsonl.card.md").read_text("utf-8")
    assert f"{2 * (12 - hidden)} of {2 * (12 - hidden)}) of answers where the form opened with it" in text
    assert f"0 of {2 * hidden}) where it opened empty" in text
    assert "Left out" not in text
