"""The four programs of `scripts/` on a Label Studio in memory: a campaign from set-up to gold."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from label_studio_quorum.sdk import PublicError, open_campaign, read_rules, server_of_environment
from ls_config.interface import parse_all
from ls_config.results import to_result
from ls_config.review_screen import compose_review
from review_rules import Stage
from scripts.export_gold import export
from scripts.import_rows import bring_in
from scripts.set_up_campaign import set_up
from scripts.sync_queues import sync
from tests.support.campaigns import POLICY, TEAM
from tests.support.fake_label_studio import FakeLabelStudio

SCRIPTS = Path(__file__).parents[3] / "scripts"
FORM: dict[str, Any] = {
    "verdict": "Correct", "response_type": "Direct answer",
    "correctness": 5, "completeness": 5, "helpfulness": 5, "tone": 5,
}  # fmt: skip
ANA, CHI, CLEO = 1, 3, 4


class Desk:
    """A server in memory, a campaign's files, and people who answer."""

    def __init__(self, folder: Path) -> None:
        people = ("ana", "ben", "chi", "cleo", "dag")
        self.server = FakeLabelStudio([f"{person}-1@quorum.test" for person in people])
        self.policy, self.team = folder / "policy.yaml", folder / "team.yaml"
        self.policy.write_text(POLICY, encoding="utf-8")
        self.team.write_text(TEAM.format(tag="1"), encoding="utf-8")
        self.files = ("May", str(self.policy), str(self.team))

    def answer(self, stage: Stage, person: int, values: dict[str, Any]) -> int:
        """Let a person answer every open task of a stage; how many."""
        rules, people = read_rules(self.policy, self.team)
        campaign = open_campaign(self.server, "May", policy=rules, team=people)
        controls = parse_all(compose_review(campaign.interface.xml, "qa"))
        tasks = self.server.open_tasks(campaign.project(stage), person)
        for task in tasks:
            self.server.submit(task.id, person, to_result(values, controls, task.data))
        return len(tasks)


def rows_file(folder: Path, *names: str) -> str:
    """Rows as JSONL."""
    file = folder / "rows.jsonl"
    rows = [{"id": name, "context": "", "query": "q", "response": "ACME won.", "domain": "general"} for name in names]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(file)


def test_a_campaign_from_set_up_to_gold(tmp_path: Path) -> None:
    """Two people label each row, the QA queue opens, a third accepts, and the rows leave as gold."""
    desk, out = Desk(tmp_path), tmp_path / "gold.jsonl"
    assert set_up(desk.server, *desk.files)
    passes = [one for one in desk.server.projects() if one.title.endswith("· Pass")]
    assert [one.settings["maximum_annotations"] for one in passes] == [2]
    assert bring_in(desk.server, *desk.files, rows_file(tmp_path, "a", "b")) == 2
    assert sync(desk.server, *desk.files) == {"AWAITING_PASSES": 2}
    assert (desk.answer(Stage.PASS, ANA, FORM), desk.answer(Stage.PASS, CHI, FORM)) == (2, 2)
    assert export(desk.server, *desk.files, str(out)) == 0
    assert sync(desk.server, *desk.files) == {"AWAITING_QA": 2}
    assert desk.answer(Stage.QA, CLEO, FORM | {"decision": "accept"}) == 2
    assert sync(desk.server, *desk.files) == {"FINAL": 2}
    assert export(desk.server, *desk.files, str(out)) == 2
    assert [json.loads(line)["row_id"] for line in out.read_text("utf-8").splitlines()] == ["a", "b"]


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    """Set-up, import and sync can be run again after anything that broke them off."""
    desk, rows = Desk(tmp_path), rows_file(tmp_path, "a")
    set_up(desk.server, *desk.files)
    bring_in(desk.server, *desk.files, rows)
    writes = desk.server.writes
    assert (set_up(desk.server, *desk.files), bring_in(desk.server, *desk.files, rows)) == ([], 0)
    sync(desk.server, *desk.files)
    assert desk.server.writes == writes


def test_a_file_with_a_fault_is_refused_whole(tmp_path: Path) -> None:
    """Every fault is named, and no row is on the server."""
    desk = Desk(tmp_path)
    set_up(desk.server, *desk.files)
    with pytest.raises(ValueError, match=r"(?s)QD\.E021 .*rows\.jsonl:2"):
        bring_in(desk.server, *desk.files, rows_file(tmp_path, "a", "a"))
    assert sync(desk.server, *desk.files) == {}


def test_the_environment_names_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the two variables the error says which one is missing."""
    monkeypatch.setenv("QUORUM_URL", "http://127.0.0.1:9")
    monkeypatch.delenv("QUORUM_API_KEY", raising=False)
    with pytest.raises(PublicError, match="QUORUM_API_KEY is not set"):
        server_of_environment()


@pytest.mark.parametrize("file", sorted(SCRIPTS.glob("*.py")), ids=lambda file: file.stem)
def test_each_program_is_read_in_a_minute(file: Path) -> None:
    """A program imports Quorum's one module for programs, has one function, and fits on a screen."""
    tree = ast.parse(file.read_text("utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported == {"__future__", "label_studio_quorum.sdk"}
    assert {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names} == {"sys"}
    assert sum(isinstance(node, ast.FunctionDef) for node in tree.body) == 1
    assert len(file.read_text("utf-8").splitlines()) <= 40
