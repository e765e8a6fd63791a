"""Changes of people, rules and interface in mid-campaign, by the commands on a server with the plugin."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.campaigns import Bench
from tests.support.servers import LabelStudioServer

pytestmark = pytest.mark.server

POLICY = "version: 1\npasses: 2\nqa: {when: all}\nexpert_domains: [financial]\n"
ROWS = [{"id": f"r{n}", "context": "C.", "query": f"Q {n}?", "response": "R.", "domain": "general"} for n in range(3)]


def answer(_person: str, data: dict[str, Any]) -> Mapping[str, Any]:
    """Everybody says the same, and QA accepts it."""
    values = {"verdict": "Partly correct"}
    return values | {"decision": "accept"} if "panel" in data else values


@pytest.fixture(scope="module")
def bench(ls_server_plugin: LabelStudioServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A campaign with three final rows and an interface folder of its own."""
    folder = tmp_path_factory.mktemp("changes")
    made = Bench(ls_server_plugin, folder, "classification", POLICY)
    own = folder / "own"
    own.mkdir()
    (own / "label.xml").write_text(made.interface.xml, encoding="utf-8")
    made.task = str(own)
    made.set_up(ROWS)
    made.take_turns(("ana", "ben"), "pass", answer)
    made.take_turns(("cleo",), "qa", answer)
    assert gold(made) == {f"r{n}": "Partly correct" for n in range(3)}
    yield made
    made.close()


def gold(bench: Bench) -> dict[str, str]:
    """Row id → verdict of each final row."""
    return {record["row_id"]: record["final"]["values"]["verdict"]["value"] for record in bench.export()}


def setup(bench: Bench, *more: str, exit_code: int = 0) -> Any:
    """`quorum setup` with the campaign's files."""
    files = ("--policy", str(bench.policy_file), "--team", str(bench.team_file))
    return bench.quorum("setup", "--name", bench.name, "--task", bench.task, *files, *more, exit_code=exit_code)


def test_a_new_address_costs_nothing(bench: Bench) -> None:
    """The account stays and signs in under the new address; every row is gold as before."""
    old = f"ana-{bench.tag}@quorum.test"
    bench.team_file.write_text(bench.team_file.read_text().replace(old, f"new-{old}"))
    done = bench.quorum_json("team", "apply", str(bench.team_file), "--name", bench.name)
    assert done["readdressed"] == [{"id": "ana", "from": old, "to": f"new-{old}"}]
    assert (done["made"], done["change"]["needs_yes"]) == ([], False)
    assert len(gold(bench)) == 3
    assert "nothing to change" in setup(bench).stdout


def test_an_account_with_work_cannot_be_deleted(bench: Bench) -> None:
    """The answer says what to do instead."""
    accounts = {user.email: user.id for user in bench.port.users()}
    session = bench.server.log_in_owner()
    refused = session.delete(f"/api/users/{accounts[f'ben-{bench.tag}@quorum.test']}/")
    assert (refused.status_code, refused.json()["code"]) == (409, "has_work")


def test_passes_change_and_change_back(bench: Bench) -> None:
    """Without --yes nothing happens; with it the server follows, and is complete again after the change back."""
    bench.policy_file.write_text(POLICY.replace("passes: 2", "passes: 3"))
    dry = json.loads(setup(bench, "--dry-run", "--json").stdout)
    assert dry["change"]["cost"]["final_rows_that_fall"] == {"general": 3}
    refused = setup(bench, exit_code=1)
    assert "3 final rows will reopen: 3 general" in refused.stdout
    assert "give --yes" in refused.stderr
    changed = setup(bench, "--yes")
    assert "policy: passes 2 → 3" in changed.stdout
    assert gold(bench) == {}
    assert [task["overlap"] for task in bench.tasks("pass")] == [3, 3, 3]
    assert bench.next_task("chi", "pass") is not None
    bench.policy_file.write_text(POLICY)
    setup(bench)
    assert len(gold(bench)) == 3


def test_a_label_is_renamed_with_a_map(bench: Bench) -> None:
    """Without one nothing is changed; with one the gold has the new label and the history the old one."""
    xml = Path(bench.task) / "label.xml"
    xml.write_text(xml.read_text().replace('value="Partly correct"', 'value="Half right"'))
    refused = setup(bench, exit_code=1)
    assert "'Partly correct' is not one of" in refused.stderr
    assert "--rename" in refused.stderr
    done = setup(bench, "--rename", 'verdict:"Partly correct"="Half right"')
    assert "the label 'Partly correct' is now 'Half right'" in done.stdout
    records = bench.export()
    assert {record["final"]["values"]["verdict"]["value"] for record in records} == {"Half right"}
    assert records[0]["passes"][0]["as_given"] == {"verdict": ["Partly correct"]}
    assert "nothing to change" in setup(bench).stdout
    files = ("--policy", str(bench.policy_file), "--team", str(bench.team_file))
    assert "0 findings" in bench.quorum("verify", str(bench.folder / "out.jsonl"), *files).stdout


def test_an_import_of_many_rows_is_taken_back(bench: Bench) -> None:
    """Sixty rows go in one request, and the work on the others stays."""
    more = [{**ROWS[0], "id": f"more{n}"} for n in range(60)]
    made = bench.quorum_json("import", str(bench.rows_file(more)), "--no-prelabel", "--name", bench.name)
    undone = bench.quorum_json("import", "--undo", made["import_id"], "--name", bench.name)
    assert 60 in undone.values()
    assert len(gold(bench)) == 3
