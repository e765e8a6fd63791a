"""Files of a worked campaign on a real server with the plugin: every format, the bulk way and the slow way, updates
of rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests

from label_studio_quorum.adapters.label_studio import HttpLabelStudio
from label_studio_quorum.gold.formats import CARRIES_HISTORY
from label_studio_quorum.gold.records import export_records
from label_studio_quorum.intake import Row, read_rows
from ls_config.results import from_result
from tests.support.campaigns import Bench, Json
from tests.support.export_files import SUFFIX
from tests.support.servers import LabelStudioServer

pytestmark = pytest.mark.server

ODD = "=1+1\r\n😀 שלום 東京\tcafe\u0301 \\ \" ' _x0041_"


IN_RECORD = {
    "task": {"id", "data", "meta", "annotations", "predictions", "project"},
    "annotation": {"id", "completed_by", "result", "was_cancelled", "created_at", "updated_at", "lead_time", "task"},
}
"""What the full record holds of Label Studio's export."""
COUNTED = {
    "task": {
        "drafts", "allow_skip", "created_at", "updated_at", "inner_id", "total_annotations", "cancelled_annotations",
        "total_predictions", "comment_count", "unresolved_comment_count", "last_comment_updated_at", "updated_by",
        "comment_authors",
    },
    "annotation": {
        "ground_truth", "draft_created_at", "prediction", "result_count", "unique_id", "import_id", "last_action",
        "bulk_created", "project", "updated_by", "parent_prediction", "parent_annotation", "last_created_by",
    },
}  # fmt: skip
"""What it does not hold: counts of what is there, queue and comment columns, and what Quorum does not use."""


def row(name: str, **more: object) -> Json:
    """A row."""
    return {"id": name, "context": "", "query": "q", "response": f"ACME won {name}. {ODD}", "domain": "general"} | more


def answer(person: str, data: Json) -> Mapping[str, Any]:
    """Everybody says the same of a row, but ben, who differs on the verdict of every row whose name ends in 1."""
    form: dict[str, Any] = {"verdict": "Correct", "response_type": "Direct answer", "issues": ["Code error"]}
    form |= dict.fromkeys(("correctness", "completeness", "helpfulness", "tone"), 4)
    if person == "ben" and data["row_id"].endswith("1"):
        form |= {"verdict": "Partly correct"}  # which a correctness of 4 allows as well
    entities = [{"start": 0, "end": 4, "label": "ORG"}]
    review = {"decision": "correct", "decision_reason": "seen"} if person in ("cleo", "dag") else {}
    return form | {"entities": entities} | review


@pytest.fixture(scope="module")
def bench(ls_server_plugin: LabelStudioServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A campaign of six rows that its people worked to the end."""
    made = Bench(ls_server_plugin, tmp_path_factory.mktemp("files"))
    rows = [row(f"r{n}", tags=["a", n], note=None, auto_label={"verdict": "Correct", "tone": 3}) for n in range(6)]
    made.set_up(rows)
    made.finish(answer)
    yield made
    made.close()


@pytest.mark.parametrize("name", CARRIES_HISTORY)
def test_export_is_proved_and_comes_in_again(bench: Bench, name: str, tmp_path: Path) -> None:
    """`quorum export` in each format that carries the history passes `quorum verify`, and holds the rows that came
    in."""
    out = tmp_path / SUFFIX[name]
    bench.quorum("export", "--out", str(out), "--format", name, "--card")
    bench.quorum("verify", str(out), "--policy", str(bench.policy_file), "--team", str(bench.team_file))
    imported = json.loads((bench.folder / "rows.jsonl").read_text("utf-8").splitlines()[1])
    back = [one.columns() for one in read_rows(out, interface=bench.interface) if isinstance(one, Row)]
    assert len(back) == 6
    assert back[1] == imported


def test_bulk_and_pages_give_the_same_records(bench: Bench) -> None:
    """The plugin's bulk endpoint and Label Studio's own task list lead to the same records, byte for byte, but for what
    each person's form opened with, and under which guidelines they answered: that the plugin alone knows."""
    bulk = list(export_records(bench.port, bench.campaign()))
    assert bench.port.task_lines(bench.projects["pass"]) is not None
    with HttpLabelStudio(bench.server.url, bench.server.token) as slow:
        slow._in_bulk = False
        pages = list(export_records(slow, bench.campaign()))
    assert len(bulk) == 6
    assert all("shown" in passed for record in bulk for passed in record["passes"])
    for record in (*bulk, *pages):
        del record["digest"]
        for answer in (*record["passes"], *record["qa"], *record["expert"]):
            answer.pop("shown", None)
            answer.pop("guidelines", None)
        (record["certificate"] or {}).pop("guidelines", None)
        record.pop("guidelines", None)
    assert json.dumps(bulk) == json.dumps(pages)


def test_bulk_endpoint_is_for_managers(bench: Bench) -> None:
    """An annotator is refused the tasks in bulk, and so is whoever is not signed in; no project is a wrong request."""
    path = f"/quorum/api/tasks?project={bench.projects['pass']}"
    assert bench.people["ana"].get(path).status_code == 403
    assert requests.get(bench.server.url + path, timeout=30).status_code == 401
    headers = {"Authorization": f"Token {bench.server.token}"}
    wrong = requests.get(bench.server.url + "/quorum/api/tasks", headers=headers, timeout=30)
    assert wrong.status_code == 400


def test_nothing_that_label_studio_stores_is_missing(bench: Bench) -> None:
    """Each annotation and prediction of Label Studio's own export is in the full record: who, when, how long, what.
    What it has beside that is listed here, so that a new kind of thing is noticed."""
    records = {record["row_id"]: record for record in bench.export()}
    users = {user["id"]: user["email"].split("-")[0] for user in bench.owner("GET", "/api/users/")}
    for stage, key in (("pass", "passes"), ("qa", "qa"), ("expert", "expert")):
        for task in bench.owner("GET", f"/api/projects/{bench.projects[stage]}/export?exportType=JSON"):
            record = records[task["data"]["row_id"]]
            assert set(task) == IN_RECORD["task"] | COUNTED["task"], set(task) ^ (IN_RECORD["task"] | COUNTED["task"])
            sources = {source["annotation"]: source for source in record["sources"][key]}
            assert {name: record["row"][name] for name in ("context", "query", "response", "domain")} == {
                name: task["data"][name] for name in ("context", "query", "response", "domain")
            }
            seats = {(seat["by"], seat["lead_time"]): seat for seat in record[key]}
            for one in task["annotations"]:
                seat = seats[users[one["completed_by"]], one["lead_time"]]
                values = from_result(one["result"], bench.interface.controls, task["data"]).values
                assert {name: value for name, value in seat["values"].items() if value != []} == values
                assert seat["at"] == one["updated_at"]
                assert set(one) == IN_RECORD["annotation"] | COUNTED["annotation"], set(one) ^ (
                    IN_RECORD["annotation"] | COUNTED["annotation"]
                )
                source = sources[one["id"]]
                assert (source["task"], source["created_at"]) == (task["id"], one["created_at"])
            assert len(seats) == len(task["annotations"])
    assert {record["prelabel"]["model_version"] for record in records.values()} == {"auto-label"}


def test_label_studio_takes_its_own_format(bench: Bench, tmp_path: Path) -> None:
    """A Label Studio server imports the JSON export whole: tasks, predictions, and annotations that its screen can
    show."""
    out = tmp_path / "a.json"
    bench.quorum("export", "--out", str(out))
    project = bench.owner("POST", "/api/projects/", json={"title": "again", "label_config": bench.interface.xml})
    tasks = json.loads(out.read_text("utf-8"))
    done = bench.owner("POST", f"/api/projects/{project['id']}/import", json=tasks)
    answers = sum(len(task["annotations"]) for task in tasks)
    assert (done["task_count"], done["annotation_count"]) == (6, answers)
    assert done["prediction_count"] == 6


def test_changed_row_is_a_fault_unless_updated_before_work_began(bench: Bench, tmp_path: Path) -> None:
    """A known id with other content is refused; --update replaces the row while nobody worked on it, never after."""
    fresh, file = row("new"), tmp_path / "new.jsonl"
    for text, arguments, code in (
        (fresh["response"], (), 0),
        ("Another text.", (), 1),
        ("Another text.", ("--update",), 0),
    ):
        file.write_text(json.dumps(fresh | {"response": text}) + "\n", encoding="utf-8")
        done = bench.quorum("import", str(file), "--no-prelabel", *arguments, exit_code=code)
        assert ("QD.E027" in done.stderr) is (code == 1)
    held = [task["data"]["response"] for task in bench.tasks("pass") if task["data"]["row_id"] == "new"]
    assert held == ["Another text."]
    file.write_text(json.dumps(row("r1", response="Changed after work.")) + "\n", encoding="utf-8")
    refused = bench.quorum("import", str(file), "--no-prelabel", "--update", exit_code=1)
    assert "work on 1 of 1 changed rows began (r1)" in refused.stderr
