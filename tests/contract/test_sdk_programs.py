"""The four programs of `scripts/` as a user runs them, on a real stock server, from set-up to gold."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.campaigns import Bench
from tests.support.servers import ROOT, LabelStudioServer

pytestmark = pytest.mark.server
FORM: dict[str, Any] = {
    "verdict": "Correct", "response_type": "Direct answer",
    "correctness": 5, "completeness": 5, "helpfulness": 5, "tone": 5,
}  # fmt: skip


def program(bench: Bench, name: str, *arguments: str) -> str:
    """Run one of the programs to its end; what it prints."""
    command = [sys.executable, str(ROOT / "scripts" / f"{name}.py"), bench.name, str(bench.policy_file)]
    done = subprocess.run(
        [*command, str(bench.team_file), *arguments],
        env=bench.environment, cwd=bench.folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_four_programs_lead_a_campaign_to_gold(ls_server: LabelStudioServer, tmp_path: Path) -> None:
    """Set up, import, sync and export do between them what a campaign needs; people do the rest in the browser."""
    bench, out = Bench(ls_server, tmp_path), tmp_path / "gold.jsonl"
    assert "Pass" in program(bench, "set_up_campaign")
    bench.quorum("team", "apply", str(bench.team_file), "--passwords", str(tmp_path / "passwords.json"))
    rows = [{"id": name, "context": "", "query": "q", "response": "ACME won."} for name in ("a", "b")]
    assert program(bench, "import_rows", str(bench.rows_file(rows))) == "2 rows imported\n"
    assert program(bench, "sync_queues") == "AWAITING_PASSES 2\n"
    try:
        assert bench.take_turns(("ana", "chi"), "pass", lambda person, data: FORM) == 4
        assert program(bench, "sync_queues") == "AWAITING_QA 2\n"
        assert bench.work("cleo", "qa", lambda person, data: FORM | {"decision": "accept"}) == 2
    finally:
        bench.close()
    assert program(bench, "sync_queues") == "FINAL 2\n"
    assert program(bench, "export_gold", str(out)) == "2 gold rows\n"
    assert [json.loads(line)["row_id"] for line in out.read_text("utf-8").splitlines()] == ["a", "b"]
