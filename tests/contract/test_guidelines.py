"""`quorum guidelines` against a server with the plugin, and what set-up, export, verify and doctor make of versions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from label_studio_quorum.adapters.label_studio import HttpLabelStudio
from label_studio_quorum.campaign.projects import find_all, is_interface_changed
from review_rules import Stage
from tests.contract.plugin_campaign import Line, make_line, review, rows, verdict
from tests.support.command_line import run_here
from tests.support.servers import LabelStudioServer

pytestmark = pytest.mark.server

FIRST = "# Guide\n\n## Verdict\n\n- **Correct**: all is right.\n- **Incorrect**: it is not.\n"
SECOND = FIRST.replace("it is not.", "the main point is wrong.")


def quorum(line: Line, *words: str, exit_code: int = 0) -> str:
    """What a command prints; on a refusal its line on stderr."""
    at = 2 if words[0] == "guidelines" else 1
    server = ("--url", line.server.url, "--api-key", line.server.token, "--name", line.name)
    done = run_here(*words[:at], *server, *words[at:])
    assert done.returncode == exit_code, done.stderr + done.stdout
    return done.stderr if exit_code else done.stdout


def test_guidelines_are_published_on_the_terminal_and_proved_in_an_export(
    ls_server_plugin: LabelStudioServer, tmp_path: Path
) -> None:
    """A dry run says what would happen; answers name their version up to the certificate, and verify finds another."""
    line = make_line(ls_server_plugin, rows(2), fresh=True)
    file, note = tmp_path / "guidelines.md", ("--note", "Plainer.")
    file.write_text(FIRST)
    assert quorum(line, "guidelines", "list") == "the server has no guidelines of this campaign\n"
    assert "published version 1" in quorum(line, "guidelines", "publish", str(file), *note)
    assert "hold already" in quorum(line, "guidelines", "publish", str(file), *note, exit_code=1)
    line.answer("ana", verdict("Incorrect"))
    file.write_text(SECOND)
    told = quorum(line, "guidelines", "publish", str(file), *note, "--acknowledge", "--dry-run")
    assert "Verdict (changed, #verdict)\n  - - **Incorrect**: it is not.\n" in told
    assert "version 2 touches 0 of the 0 decided rows" in told
    assert "8 people acknowledge it before their next row" in told
    assert "published version 2" in quorum(line, "guidelines", "publish", str(file), *note, "--acknowledge")
    assert line.next("bea").json()["code"] == "acknowledge"
    for person in ("bea", "quin"):
        read = line.people[person].post("/quorum/api/guidelines/acknowledge", json={"name": line.name, "number": 2})
        assert read.status_code == 200, read.text
    line.answer("bea", verdict("Incorrect"))
    line.answer("quin", review("accept", "Incorrect"), "qa")
    assert [entry.split()[0] for entry in quorum(line, "guidelines", "list").splitlines()] == ["1", "2"]
    assert quorum(line, "guidelines", "show", "1") == FIRST
    assert "+ - **Incorrect**: the main point is wrong." in quorum(line, "guidelines", "diff")
    with HttpLabelStudio(line.server.url, line.server.token) as port:
        assert not is_interface_changed(find_all(port.projects())[line.name][Stage.PASS][0])
    gold = tmp_path / "gold.jsonl"
    quorum(line, "export", str(gold))
    (record,) = map(json.loads, gold.read_text().splitlines())
    versions = [entry["number"] for entry in record["certificate"]["guidelines"]]
    named = [answer["guidelines"]["number"] for stage in ("passes", "qa") for answer in record[stage]]
    assert (versions, named) == ([1, 2], [1, 2, 2])
    quorum(line, "verify", str(gold))
    record["passes"][0]["guidelines"]["number"] = 3
    gold.write_text(json.dumps(record) + "\n")
    findings = run_here(
        "verify", str(gold), "--url", line.server.url, "--api-key", line.server.token, "--name", line.name
    )
    assert "QR.E127" in findings.stdout + findings.stderr
    file.write_text(FIRST)
    asked = quorum(line, "guidelines", "publish", str(file), *note, "--recheck", "5", exit_code=1)
    assert "1 decided rows would be open again, so nothing was published" in asked
    done = json.loads(quorum(line, "guidelines", "publish", str(file), *note, "--recheck", "5", "--yes", "--json"))
    assert (done["version"]["number"], done["opened"]) == (3, ["r1"])
    assert line.audit()["faults"] == []
