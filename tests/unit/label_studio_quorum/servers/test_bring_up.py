"""What `quorum up` reads before anything starts: every fault of every file at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from label_studio_quorum.servers.bring_up import Files, PlanError, example, read_plan


def example_files(**changes: Path | str) -> Files:
    """The example's files, with some of them exchanged."""
    files = {"rows": example("rows.jsonl"), "team": example("team.yaml"), "policy": example("policy.yaml")}
    return Files(**{**files, "task": "response_review", "name": "Example", **changes})  # type: ignore[arg-type]


def test_the_example_is_good() -> None:
    """The campaign that comes with Quorum can be brought up; its owner is the team's manager."""
    with read_plan(example_files()) as plan:
        assert plan.rows.rows > 0
        assert plan.owner_email in {person.email for person in plan.campaign.team.people.values()}
        assert plan.campaign.policy_text == example("policy.yaml").read_text(encoding="utf-8")


def test_all_faults_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    """A bad policy hides neither a team that is not there nor a label type that is unknown."""
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\npasses: none\n", encoding="utf-8")
    files = example_files(policy=policy, team=tmp_path / "nobody.yaml", task="no_such_type")
    with pytest.raises(PlanError) as refused, read_plan(files):
        pass
    faults = "\n".join(map(str, refused.value.faults))
    for part in ("policy.yaml:2", "nobody.yaml", "no_such_type"):
        assert part in faults


def test_faults_of_rows_are_told_when_the_rules_are_good(tmp_path: Path) -> None:
    """Rows are checked against the interface and the policy, so they come last; each fault has its line."""
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"id": "r1"}\n', encoding="utf-8")
    with pytest.raises(PlanError, match=r"rows\.jsonl:1"), read_plan(example_files(rows=rows)):
        pass
