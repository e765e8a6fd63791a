"""`quorum threads` and `quorum flags` against a server with the plugin: what a manager reads and says on a terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.contract.plugin_campaign import Line, make_line, review, rows, verdict
from tests.support.command_line import run_here
from tests.support.servers import LabelStudioServer

pytestmark = pytest.mark.server


def quorum(line: Line, *words: str, exit_code: int = 0) -> str:
    """What a command prints; on a refusal its line on stderr."""
    # A group takes its options before the name of its command, a command after it.
    at = 2 if len(words) > 1 and not words[1].startswith("-") else 1
    server = ("--url", line.server.url, "--api-key", line.server.token, "--name", line.name)
    done = run_here(*words[:at], *server, *words[at:])
    assert done.returncode == exit_code, done.stderr
    return done.stderr if exit_code else done.stdout


def test_a_manager_reads_and_answers_on_the_terminal(ls_server_plugin: LabelStudioServer, tmp_path: Path) -> None:
    """Questions, disputes and flags are listed; an answer, an announcement and a reopening reach whom they are for."""
    line = make_line(ls_server_plugin, rows(2))
    assert quorum(line, "threads") == "nobody waits for an answer\n"
    assert quorum(line, "flags") == "nobody has flagged a row\n"
    flag = {"from_name": "flags", "to_name": "response", "type": "choices", "value": {"choices": ["guideline_gap"]}}
    line.answer("ana", [*verdict("Correct", "Nothing fits."), flag])
    line.answer("bea", verdict("Incorrect"))
    line.answer("quin", review("correct", "Incorrect"), "qa")
    ask = {"name": line.name, "kind": "question", "row_id": "r1", "text": "Which\nyear?"}
    question = line.people["ana"].post("/quorum/api/threads", json=ask).json()["id"]
    dispute = line.people["ana"].post("/quorum/api/threads", json=ask | {"kind": "dispute", "text": "No."}).json()["id"]
    listed = quorum(line, "threads")
    assert "r1  FINAL" in listed
    assert "question (annotator ana)  <- waits\n         Which\n         year?" in listed
    answered = quorum(line, "threads", "answer", str(question), "The table's.", "--publish")
    assert answered == "said about row r1\n"
    assert "This dispute is settled" not in quorum(line, "threads", "answer", str(dispute), "It is.")
    assert "settled already" in quorum(line, "threads", "answer", str(dispute), "It is.", exit_code=1)
    assert quorum(line, "threads", "tell", "Guidelines 2 hold.") == "said to everybody\n"
    export = tmp_path / "gold.jsonl"
    assert "1 gold rows as jsonl" in quorum(line, "export", str(export), "--card")
    thread = json.loads(export.read_text("utf-8"))["thread"]
    assert [(each["kind"], each["by"], each.get("answers")) for each in thread] == [
        ("question", "ana", None), ("dispute", "ana", None),
        ("answer", "owner", question), ("upheld", "owner", dispute),
    ]  # fmt: skip
    card = (tmp_path / "gold.jsonl.card.md").read_text("utf-8")
    assert "1 questions (0 not answered), 1 answers, 1 disputes (1 upheld" in card
    assert " 0 findings" in quorum(line, "verify", str(export))
    assert quorum(line, "threads", "reopen", "r1", "Look again.") == "row r1 was FINAL and is AWAITING_QA now\n"
    whole = json.loads(quorum(line, "threads", "--row", "r1", "--json"))
    kinds = [entry["kind"] for entry in whole["threads"][0]["messages"]]
    assert kinds == ["question", "dispute", "answer", "upheld", "reopened"]
    assert "to everybody" in quorum(line, "threads", "--all")
    assert "ana (pass): Nothing fits." in quorum(line, "flags", "--flag", "guideline_gap")
    counts = json.loads(quorum(line, "flags", "--json"))["flags"]
    assert [(flag["flag"], flag["rows"], flag["open"]) for flag in counts] == [("guideline_gap", 1, 1)]
    assert line.audit()["faults"] == []
