"""The main job on a real, stock Label Studio: rows go through pass, pass, QA and expert, and gold comes out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.campaigns import Bench, Json
from tests.support.servers import LabelStudioServer

pytestmark = pytest.mark.server

DOMAINS = ("general", "technical", "financial")
ROWS = 30
DISCARDED, ESCALATED = 29, 6


def row_id(number: int) -> str:
    """Ids that need care: digits only, with quotes, with other scripts."""
    return {0: "17", 1: 'r "1"', 2: "行-2 é"}.get(number, f"row-{number:02}")


NUMBERS = {row_id(number): number for number in range(ROWS)}


def rows() -> list[Json]:
    """Thirty rows, ten of each domain, each with an auto-label that is wrong in its verdict on every fourth."""
    return [
        {
            "id": row_id(number),
            "context": "" if number == 3 else f"Context {number}: ACME 😀 was founded in 1999.\r\nSecond line.",
            "query": f"When was ACME founded? ({number})",
            "response": f"ACME was founded in 1999. 👨‍👩‍👧 Answer {number}.",
            "domain": DOMAINS[number % 3],
            "auto_label": truth(number) | ({"verdict": "Incorrect"} if number % 4 == 0 else {}),
            "source": f"made up {number}",
            "gold": {"verdict": "secret"},
        }
        for number in range(ROWS)
    ]


def truth(number: int) -> Json:
    """What is right for a row."""
    return {
        "verdict": "Correct",
        "issues": [],
        "response_type": "Direct answer",
        "correctness": 5,
        "completeness": 4 - number % 2,
        "helpfulness": 4,
        "tone": 3,
        "entities": [{"start": 0, "end": 4, "label": "ORG", "text": "ACME"}],
    }


def slips(person: str, number: int) -> bool:
    """Ben gets every fifth row wrong in verdict and correctness, and misses its entity."""
    return person == "ben" and number % 5 == 0


def answer(person: str, data: Json) -> Mapping[str, Any]:
    """What somebody submits."""
    number = NUMBERS[data["row_id"]]
    values = truth(number)
    if slips(person, number):
        values |= {"verdict": "Incorrect", "correctness": 1, "entities": []}
    if person in ("ana", "ben", "chi"):
        return values
    if number == DISCARDED:
        return values | {"decision": "discard", "decision_reason": "The row is broken."}
    if number == ESCALATED and person == "cleo":
        return values | {"decision": "escalate", "decision_reason": "Founding year needs a look."}
    return values | {"decision": "correct"}


@pytest.fixture(scope="module")
def worked(ls_server: LabelStudioServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The campaign worked to its end by five people."""
    bench = Bench(ls_server, tmp_path_factory.mktemp("worked"))
    bench.set_up(rows())
    bench.finish(answer)
    yield bench
    bench.close()


def passed_by(bench: Bench) -> dict[str, list[str]]:
    """Who passed each row, straight from the server."""
    names = {visitor.user_id: person for person, visitor in bench.people.items()}
    return {
        task["data"]["row_id"]: [names[one["completed_by"]] for one in task["annotations"]]
        for task in bench.tasks("pass")
    }


def test_the_export_holds_exactly_the_rows_the_rules_allow(worked: Bench) -> None:
    """Every row but the discarded one is gold, each once."""
    assert [one["row_id"] for one in worked.export()] == sorted(row_id(n) for n in range(ROWS) if n != DISCARDED)
    states = Counter(one["state"] for one in worked.export("--all"))
    assert states == {"FINAL": ROWS - 1, "DISCARDED": 1}


def test_three_people_stand_behind_each_row_an_expert_among_them_where_due(worked: Bench) -> None:
    """Two blind passes by different people, QA by a third, and an expert of the row's domain where it has one."""
    experts = {"technical": {"dag"}, "financial": {"ben", "dag"}}
    for one in worked.export():
        certificate = one["certificate"]
        people = [*certificate["passes"], certificate["qa"], *certificate["expert"]]
        assert len(certificate["passes"]) == 2
        assert len(set(people)) == len(people) >= 3
        if one["domain"] in experts:
            assert experts[one["domain"]] & set(people), one["row_id"]


def test_the_export_says_who_decided_each_field(worked: Bench) -> None:
    """A verdict on which the passes disagreed was decided by QA, any other by the passes; each final value is right."""
    passes = passed_by(worked)
    conflicts = 0
    for one in worked.export():
        number = NUMBERS[one["row_id"]]
        disputed = any(slips(person, number) for person in passes[one["row_id"]])
        conflicts += disputed
        final = one["final"]["values"]
        assert {name: field["value"] for name, field in final.items()} == truth(number)
        assert final["verdict"]["origin"] == ("qa" if disputed else "passes")
        assert final["verdict"]["changed_from_auto"] == (number % 4 == 0)
        assert final["tone"]["origin"] == "passes"
        assert sorted(one["certificate"]["passes"]) == sorted(passes[one["row_id"]])
    assert conflicts > 0


def test_the_columns_that_came_in_go_out(worked: Bench) -> None:
    """Text, auto-label and further columns are handed back as they were."""
    came = {row["id"]: row for row in rows()}
    for one in worked.export():
        assert one["row"] == came[one["row_id"]]
        assert one["auto_label"] == came[one["row_id"]]["auto_label"]


def test_nothing_an_annotator_must_not_see_is_task_data(worked: Bench) -> None:
    """Further columns, such as somebody's gold label, are not among the data that a form shows."""
    for task in worked.tasks("pass"):
        assert set(task["data"]) == {"row_id", "context", "query", "response", "domain"}


def test_an_escalated_row_was_decided_by_the_expert(worked: Bench) -> None:
    """QA's escalation with a reason brings the row to the expert queue, whose reviewer is in the certificate."""
    (one,) = [one for one in worked.export() if one["row_id"] == row_id(ESCALATED)]
    if one["certificate"]["qa"] == "cleo":
        assert one["certificate"]["expert"] == ["dag"]


def test_a_second_sync_changes_nothing(worked: Bench) -> None:
    """After a sync the server matches: the next one writes nothing at all."""
    before = {stage: worked.tasks(stage) for stage in ("pass", "qa", "expert")}
    assert worked.quorum_json("sync")["changes"] == {}
    assert {stage: worked.tasks(stage) for stage in before} == before


def test_the_same_state_gives_the_same_bytes(worked: Bench) -> None:
    """Two exports of one state are equal byte for byte."""
    first, second = worked.folder / "a.jsonl", worked.folder / "b.jsonl"
    for file in (first, second):
        worked.quorum("export", "--all", "--out", str(file))
    assert first.read_bytes() == second.read_bytes()


def test_status_counts_what_is_there(worked: Bench) -> None:
    """`status --json` is the object of the contract, and its figures are the server's."""
    status = worked.quorum_json("status")
    told = {"name", "rows", "prelabelled", "without_row", "warnings", "checks_violated", "states", "stages", "returned"}
    assert set(status) == told
    assert (status["name"], status["rows"], status["prelabelled"]) == (worked.name, ROWS, ROWS)
    assert status["states"]["FINAL"] == ROWS - 1
    for stage in ("pass", "qa", "expert"):
        submitted = sum(len(task["annotations"]) for task in worked.tasks(stage))
        assert status["stages"][stage] == {"open": 0, "submitted": submitted}


def test_importing_again_doubles_nothing(worked: Bench) -> None:
    """Rows that are there stay as they are."""
    report = worked.quorum_json("import", str(worked.rows_file(rows())), "--no-prelabel")
    assert (report["imported"], report["already_there"]) == (0, ROWS)
    assert len(worked.tasks("pass")) == ROWS


def test_a_text_changed_on_the_server_is_no_gold(worked: Bench, tmp_path: Path) -> None:
    """Who changes a row's text after it was labelled takes it out of the gold, and the export says so."""
    task = worked.tasks("pass")[5]
    data = task["data"]
    try:
        worked.owner("PATCH", f"/api/tasks/{task['id']}/", json={"data": data | {"query": "Another question?"}})
        out = tmp_path / "gold.jsonl"
        done = worked.quorum("export", "--out", str(out), exit_code=1)
        assert data["row_id"] in done.stderr
        assert len(out.read_text("utf-8").splitlines()) == ROWS - 2
    finally:
        worked.owner("PATCH", f"/api/tasks/{task['id']}/", json={"data": data})
    assert len(worked.export()) == ROWS - 1


def test_the_report_says_who_did_how_much_how_well(worked: Bench) -> None:
    """Rows and hours per person add up to the server's; Ben's slips show in his accuracy; the page needs no network."""
    page = worked.folder / "report.html"
    report = worked.quorum_json("report", "--out", str(page))
    passes = passed_by(worked)
    people = {person["id"]: person for person in report["people"]}
    for person in ("ana", "ben", "chi"):
        mine = [one for one, who in passes.items() if person in who]
        assert people[person]["counted"]["pass"] == len(mine)
        assert people[person]["hours"] == pytest.approx(len(mine) * 21.5 / 3600, abs=0.001)
        judged = [NUMBERS[one] for one in mine if NUMBERS[one] != DISCARDED]
        wrong = 3 * sum(slips(person, number) for number in judged)  # verdict, correctness and entities
        assert people[person]["accuracy"] == pytest.approx(1 - wrong / (8 * len(judged)), abs=0.001)
    fields = {field["field"]: field for field in report["fields"]}
    disputed = sum(any(slips(who, NUMBERS[one]) for who in people_) for one, people_ in passes.items())
    assert fields["verdict"]["agreed"] == pytest.approx(1 - disputed / ROWS, abs=0.001)
    assert {field["overturned"] for field in fields.values()} == {0.0}
    html = page.read_text("utf-8")
    assert "<script" not in html
    assert "ben" in html
    assert not [part for part in ("src=", "href=", "@import", "url(") if part in html]
