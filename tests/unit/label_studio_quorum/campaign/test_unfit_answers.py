"""A stock server takes any answer: what does not fit its form does not count, is a finding, and stops nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from label_studio_quorum.campaign.importing import import_rows
from label_studio_quorum.campaign.projects import Campaign
from label_studio_quorum.campaign.reconcile import DecidedRow, decide_rows, reconcile
from label_studio_quorum.campaign.setup import CampaignSpec, setup_campaign
from label_studio_quorum.campaign.snapshot import Snapshot
from label_studio_quorum.gold.formats import write
from label_studio_quorum.gold.records import export_lines
from label_studio_quorum.intake import Row
from label_studio_quorum.quality.report import build
from label_studio_quorum.quality.report_page import render
from ls_config import load
from review_rules import Stage, State, load_policy, load_team
from tests.support.answers import LEGITIMATE, NONSENSE, OF_REVIEWS, item, sample, with_more
from tests.support.campaigns import POLICY, TEAM
from tests.support.fake_label_studio import FakeLabelStudio

INTERFACE = load("response_review")
ACCEPT = item("decision", choices=["accept"])
# Of QA; an earlier good word of another control does not mend the answer.
REVIEWS = {f"review: {name}": added for name, (added, _) in OF_REVIEWS.items()}
UNFIT_QA = {f"qa: {name}": [*added, ACCEPT] for name, (added, _) in NONSENSE.items()} | REVIEWS
FIT = {f"fit: {name}": answer for name, answer in LEGITIMATE.items()}


def decided(port: FakeLabelStudio, campaign: Campaign) -> dict[str, DecidedRow]:
    """Every row as the rules see it."""
    with Snapshot.read(port, campaign) as snapshot:
        return {row.row_id: row for row in decide_rows(campaign, snapshot, snapshot.row_ids)}


@pytest.fixture(scope="module")
def world() -> tuple[FakeLabelStudio, Campaign]:
    """A row for each kind of nonsense at Pass and in QA, and one for each kind of answer that is none."""
    team = load_team(TEAM.format(tag="x"))
    port = FakeLabelStudio([person.email for person in team.people.values() if person.email])
    spec = CampaignSpec(name="c", interface=INTERFACE, policy=load_policy(POLICY), team=team)
    campaign = setup_campaign(port, spec).campaign
    assert campaign is not None
    names = [*NONSENSE, *UNFIT_QA, *FIT]
    import_rows(port, campaign, [Row(row_id=name, context="", query="q", response="R.") for name in names])
    ana, ben, cleo = (next(u.id for u in port.users() if u.email.startswith(who)) for who in ("ana", "ben", "cleo"))
    for task in list(port.tasks(campaign.project(Stage.PASS))):
        unfit = NONSENSE.get(task.row_id)
        port.submit(task.id, ana, with_more(unfit[0]) if unfit else FIT.get(task.row_id, sample()))
        port.submit(task.id, ben, FIT.get(task.row_id, sample()))
    reconcile(port, campaign)
    for task in list(port.tasks(campaign.project(Stage.QA))):
        words: list[Any] = UNFIT_QA.get(task.row_id, [ACCEPT])
        port.submit(task.id, cleo, with_more(words) if task.row_id in UNFIT_QA else [*FIT[task.row_id], *words])
    reconcile(port, campaign)
    return port, campaign


def test_an_unfit_answer_does_not_count_and_is_a_finding(world: tuple[FakeLabelStudio, Campaign]) -> None:
    """Exactly one finding, at the submission; the other person's answer counts, and the row waits for another."""
    rows = decided(*world)
    for name in NONSENSE:
        decision = rows[name].decision
        assert (name, decision.state, decision.counted.get(Stage.PASS)) == (name, State.AWAITING_PASSES, (1,))
        (fault,) = [finding.id for finding in decision.findings if finding.path == "passes[0]"]
        assert fault in {"QR.W020", "QR.W021"}
    for name in UNFIT_QA:
        decision = rows[name].decision
        assert (name, decision.state, decision.counted.get(Stage.QA, ())) == (name, State.AWAITING_QA, ())
        assert [finding.path for finding in decision.findings if finding.path.startswith("qa[0]")] == ["qa[0]"]


def test_what_the_screen_sends_counts(world: tuple[FakeLabelStudio, Campaign]) -> None:
    """No part of it is taken for nonsense."""
    rows = decided(*world)
    for name in FIT:
        assert (name, rows[name].decision.state, rows[name].decision.findings) == (name, State.FINAL, ())


def test_the_record_says_what_was_wrong(world: tuple[FakeLabelStudio, Campaign]) -> None:
    """The reason why the whole is void, and a field that does not fit as unreadable."""
    rows = decided(*world)
    span = rows["a span at -5"].record.history.passes[0].raw
    assert (span["by"], span["annotator"]) == (None, "ana")
    assert span["values"]["entities"] == {"unreadable": "the span -5–1 is outside of the text (0–2)"}
    assert span["problems"] == ["result[9]: entities: the span -5–1 is outside of the text (0–2)"]
    flags = rows["a flag that the form lacks"].record.history.passes[0].raw
    assert flags["by"] is None
    assert flags["annotator"] == "ana"
    assert flags["void"].startswith("flags: 'domain:astrology' is not one of unsure, ")


def test_report_and_every_export_come_to_an_end(world: tuple[FakeLabelStudio, Campaign], tmp_path: Path) -> None:
    """One person's nonsense costs nobody else the figures or the file."""
    port, campaign = world
    figures = build(campaign, decided(port, campaign).values(), draws=20)
    assert figures["states"]["FINAL"] == len(FIT)
    assert figures["findings"]["QR.W020"] > len(NONSENSE)
    json.dumps(figures, allow_nan=False).encode()
    assert "<html" in render(figures)
    for name in ("all.jsonl", "all.csv", "all.xlsx", "all.parquet", "all.manifest", "all.json", "all.conll"):
        lines = export_lines(port, campaign)
        report = write(lines, tmp_path / name, interface=INTERFACE, everything=True, card=True)
        assert report.rows + report.left_out == len(NONSENSE) + len(UNFIT_QA) + len(FIT)
