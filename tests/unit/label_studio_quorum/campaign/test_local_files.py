"""Which of a campaign's files counts when `quorum up` starts again: the one that was changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from label_studio_quorum.campaign.launch import CampaignPlan
from label_studio_quorum.campaign.local_files import plan_in_step
from label_studio_quorum.campaign.local_memory import Remembered, text_digest
from label_studio_quorum.port import KeptFiles
from ls_config import load
from review_rules import load_policy, load_team
from tests.support.campaigns import POLICY, TEAM

BASE = TEAM.format(tag="base")
EDITED, ELSEWHERE = BASE.replace("id: ana", "id: anna"), BASE.replace("id: ben", "id: benn")


@pytest.mark.parametrize(
    ("file", "server", "remembered", "counts", "stands_in_file", "note"),
    [
        (BASE, BASE, True, BASE, BASE, ""),
        (EDITED, BASE, True, EDITED, EDITED, ""),
        (BASE, ELSEWHERE, True, ELSEWHERE, ELSEWHERE, "it is taken into the file"),
        (EDITED, ELSEWHERE, True, ELSEWHERE, EDITED, "quorum team apply has the server go by the file"),
        (EDITED, BASE, False, BASE, EDITED, "quorum team apply has the server go by the file"),
        ("# ours\n" + BASE, BASE, False, "# ours\n" + BASE, "# ours\n" + BASE, ""),
    ],
    ids=["same", "edited here", "changed elsewhere", "both changed", "nothing remembered", "other words"],
)
def test_the_changed_file_counts(
    tmp_path: Path, file: str, server: str, remembered: bool, counts: str, stands_in_file: str, note: str
) -> None:
    """What was edited here is applied, what was changed elsewhere stays, and nothing is lost or undone in silence."""
    team, policy = tmp_path / "team.yaml", tmp_path / "policy.yaml"
    team.write_text(file, encoding="utf-8")
    policy.write_text(POLICY, encoding="utf-8")
    plan = CampaignPlan(
        name="May",
        task="ner",
        interface=load("ner"),
        policy_file=policy,
        policy_text=POLICY,
        policy=load_policy(POLICY),
        team_file=team,
        team_text=file,
        team=load_team(file),
        qualification={},
    )
    known = Remembered(
        name="May",
        url="",
        task="ner",
        policy=str(policy),
        team=str(team),
        policy_in_step=text_digest(POLICY),
        team_in_step=text_digest(BASE),
    )
    notes: list[str] = []
    done = plan_in_step(plan, KeptFiles(policy=POLICY, team=server), known if remembered else None, notes.append)
    assert (done.team_text, done.team.people) == (counts, load_team(counts).people)
    assert done == replace(plan, team_text=counts, team=done.team)
    assert team.read_text(encoding="utf-8") == stands_in_file
    assert [note in line for line in notes] == ([True] if note else [])
