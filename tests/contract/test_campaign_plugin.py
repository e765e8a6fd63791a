"""The main job by the same commands on a server with Quorum's plugin, which reconciles by itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.test_campaign import DISCARDED, NUMBERS, ROWS, answer, row_id, rows, truth
from tests.support.campaigns import Bench
from tests.support.servers import LabelStudioServer

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def worked(ls_server_plugin: LabelStudioServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The campaign worked to its end by five people."""
    bench = Bench(ls_server_plugin, tmp_path_factory.mktemp("plugin"))
    bench.set_up(rows())
    bench.finish(answer)
    yield bench
    bench.close()


def test_gold_is_the_same_as_on_a_stock_server(worked: Bench) -> None:
    """Every row but the discarded one is gold with the right values, behind each three people."""
    found = worked.export()
    assert [one["row_id"] for one in found] == sorted(row_id(n) for n in range(ROWS) if n != DISCARDED)
    for one in found:
        values = {name: field["value"] for name, field in one["final"]["values"].items()}
        assert values == truth(NUMBERS[one["row_id"]])
        certificate = one["certificate"]
        assert len({*certificate["passes"], certificate["qa"], *certificate["expert"]}) >= 3


def test_sync_finds_nothing_to_do_beside_the_plugin(worked: Bench) -> None:
    """The plugin kept the queues in line; an outside run agrees with it and writes nothing."""
    assert worked.quorum_json("sync")["changes"] == {}


def test_doctor_sees_the_plugin(worked: Bench) -> None:
    """Doctor says that the server holds people to the rules, and nothing fails."""
    report = worked.quorum_json("doctor", "--full")
    levels = {(check["about"], check["level"]) for check in report["checks"]}
    assert ("rules on the server", "ok") in levels
    assert report["ok"]


def test_a_policys_qualification_is_asked_among_other_rows_and_goes_with_its_key(worked: Bench, tmp_path: Path) -> None:
    """Known rows, also imported later, go to everybody and look like others; more rows come only above the bar."""
    asking = "version: 1\nexpert_domains: []\nqualification: {rows: known.jsonl, bar: 1.0}\n"
    asking += "practice: {rows: practice.jsonl, paid: true}\n"
    bench = Bench(worked.server, tmp_path, "classification", asking, crew=worked)
    some = [
        {
            "id": f"{kind}{n}",
            "context": "c",
            "query": f"{kind} {n}?",
            "response": "r",
            "auto_label": {"verdict": "Correct"},
        }
        for kind, count in (("known", 2), ("real", 20))
        for n in range(count)
    ]
    known = [{**row, "known": {"verdict": "Incorrect"}} for row in some[:2]]
    (tmp_path / "known.jsonl").write_text("".join(json.dumps(row) + "\n" for row in known))
    lesson = known[0] | {"id": "lesson", "guideline": "Verdict", "why": "It is as wrong as can be."}
    (tmp_path / "practice.jsonl").write_text(json.dumps(lesson) + "\n")
    setup = (
        "setup",
        "--name",
        bench.name,
        "--task",
        "classification",
        "--policy",
        str(bench.policy_file),
        "--team",
        str(bench.team_file),
    )
    assert "2 of 2 rows of the qualification are not in the campaign yet" in bench.quorum(*setup).stderr
    bench.quorum("import", str(tmp_path / "known.jsonl"), "--no-prelabel")
    bench.quorum("import", str(bench.rows_file(some[2:])), "--no-prelabel")
    assert "note" not in bench.quorum(*setup).stderr

    def rows_of(person: str, verdict: str, most: int) -> list[str]:
        """The rows that somebody is handed, answering all alike."""
        seen: list[str] = []
        while len(seen) < most and (task := bench.next_task(person, "pass")) is not None:
            assert len(task["predictions"]) == 1
            assert "known" not in task["data"]
            assert task["meta"] == {}
            bench.submit(person, task, {"verdict": verdict})
            seen.append(task["data"]["row_id"])
        return seen

    _practise(bench, "ana", "Correct")
    for person, verdict in (("ana", "Correct"), ("ben", "Incorrect"), ("chi", "Incorrect")):
        assert {"known0", "known1"} <= set(rows_of(person, verdict, 9))
    asked = bench.people["ana"].get(f"/api/projects/{bench.projects['pass']}/next")
    assert (asked.status_code, asked.json()["code"]) == (404, "qualify")
    assert bench.quorum_json("sync")["changes"] == {}
    assert [one["row_id"] for one in bench.export("--all")] == sorted(str(row["id"]) for row in some)
    _require_told(bench, "ana", "passes below")
    bench.policy_file.write_text("version: 1\nexpert_domains: []\n")
    bench.quorum(*setup)
    freed: Any = bench.next_task("ana", "pass")
    bench.close()
    assert freed["data"]["row_id"].startswith("real")


def _practise(bench: Bench, person: str, verdict: str) -> None:
    """Answer the row to practise on, and read beside that what is known."""
    known = bench.port.plugin_campaign(bench.name)
    assert known is not None
    visitor, address = bench.people[person], f"/quorum/mine/practice/{known['id']}/"
    page = visitor.get(address)
    sent = {}
    for name in ("csrfmiddlewaretoken", "opened"):
        found = re.search(rf'name="{name}" value="([^"]+)"', page.text)
        assert found is not None, page.text
        sent[name] = found.group(1)
    lesson = visitor.post(address, data={**sent, "field.verdict": verdict}, headers={"Referer": page.url}).text
    for told in ("differs", "It is as wrong as can be.", "<h2>Verdict</h2>"):
        assert told in lesson, lesson


def _require_told(bench: Bench, person: str, stands: str) -> None:
    """Status, report and team check say where somebody stands, and the first two that they practised once."""
    checked = bench.quorum("team", "check", str(bench.team_file), "--name", bench.name).stdout
    assert f"{person}: {stands}" in checked
    for command in (("status", "--name", bench.name), ("report", "--name", bench.name)):
        told = {each["id"]: each for each in bench.quorum_json(*command)["people"]}[person]
        state = " ".join((told["qualified"][0]["title"], told["qualified"][0]["state"]))
        assert (state, told["practised"]) == (stands, 1)
