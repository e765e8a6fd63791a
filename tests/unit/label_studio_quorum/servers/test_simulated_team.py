"""The simulated team: what its people answer follows from their skill and the seed alone."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from label_studio_quorum.servers.simulated_team import Judge, Simulant, WorkError, load_truth
from ls_config import compose_review, load, parse_all
from ls_config.interface import RESERVED
from ls_config.results import from_result, to_result
from review_rules import Stage
from review_rules.files.checks import load_checks
from tests.support.servers import ROOT

INTERFACE = load("response_review")
ROWS = [json.loads(line) for line in (ROOT / "examples" / "rows.jsonl").read_text(encoding="utf-8").splitlines()]
TRUTH = load_truth(ROOT / "examples" / "truth.jsonl")


def person(skill: float, name: str = "ana") -> Simulant:
    """An annotator of this skill."""
    return Simulant(id=name, email="", password="", roles=frozenset({"annotator"}), skill=skill)


def tasks() -> Iterable[dict[str, Any]]:
    """The example's tasks as a queue hands them out."""
    for row in ROWS:
        data = {"row_id": row["id"], "context": row["context"], "query": row["query"], "response": row["response"]}
        shown = to_result(row.get("auto_label") or {}, INTERFACE.controls, data)
        yield {"id": 1, "data": data, "predictions": [{"result": shown}] if shown else []}


def fields(values: dict[str, Any]) -> dict[str, Any]:
    """The answer without flags and decision; nothing ticked is the empty set."""
    return {control.name: values.get(control.name, [] if control.is_set else None) for control in INTERFACE.controls}


def right_share(skill: float, seed: int = 1) -> float:
    """Share of fields that a person of this skill answers as the truth says."""
    judge, right, total = Judge(TRUTH, seed), 0, 0
    for task in tasks():
        answer = fields(judge.answer(person(skill), Stage.PASS, task, INTERFACE.all_controls))
        truth = fields(TRUTH[task["data"]["row_id"]])
        right += sum(answer[name] == value for name, value in truth.items())
        total += len(truth)
    return right / total


@pytest.mark.parametrize("skill", [0.5, 0.8, 0.95])
def test_skill_is_the_share_of_fields_answered_right(skill: float) -> None:
    """Within sampling error of a thousand fields; a slip on an empty set may be no slip, so it is rather more."""
    assert skill - 0.03 <= right_share(skill) <= skill + 0.12


def test_perfect_people_are_always_right() -> None:
    """Skill 1 leaves nothing to chance."""
    assert right_share(1.0) == 1.0


def test_the_same_seed_answers_the_same() -> None:
    """Nothing depends on the order of the rows or the time of day."""
    tasks_there, tasks_back = list(tasks()), list(tasks())[::-1]
    there = [Judge(TRUTH, 3).answer(person(0.7), Stage.PASS, task, INTERFACE.all_controls) for task in tasks_there]
    back = [Judge(TRUTH, 3).answer(person(0.7), Stage.PASS, task, INTERFACE.all_controls) for task in tasks_back][::-1]
    assert there == back
    other, ben = Judge(TRUTH, 4), person(0.7, "ben")
    assert there != [other.answer(person(0.7), Stage.PASS, task, INTERFACE.all_controls) for task in tasks_there]
    assert there != [Judge(TRUTH, 3).answer(ben, Stage.PASS, task, INTERFACE.all_controls) for task in tasks_there]


@pytest.mark.parametrize("stage", list(Stage))
def test_every_answer_fits_the_form(stage: Stage) -> None:
    """Also of people who are always wrong: required fields are filled in, spans lie in the text."""
    xml = INTERFACE.xml if stage is Stage.PASS else compose_review(INTERFACE.xml, stage)
    controls = parse_all(xml)
    for task in tasks():
        values = Judge(TRUTH, 5).answer(person(0.0), stage, task, controls)
        parsed = from_result(to_result(values, controls, task["data"]), controls, task["data"])
        assert parsed.problems == ()
        required = {control.name for control in controls if control.required and control.name not in RESERVED}
        assert required <= parsed.values.keys()
        assert (parsed.decision is None) == (stage is Stage.PASS)
        if parsed.decision in {"escalate", "correct"}:
            assert parsed.reason


def test_a_review_that_changes_nothing_accepts() -> None:
    """QA of a row whose form shows the truth accepts it, unless it escalates."""
    controls = parse_all(compose_review(INTERFACE.xml, "qa"))
    decisions = set()
    for task in tasks():
        truth = TRUTH[task["data"]["row_id"]]
        shown = task | {"predictions": [{"result": to_result(truth, INTERFACE.controls, task["data"])}]}
        decisions.add(Judge(TRUTH, 1).answer(person(1.0), Stage.QA, shown, controls)["decision"])
    assert decisions == {"accept", "escalate"}


def test_lead_times_grow_with_the_text() -> None:
    """A plausible time is positive, and longer rows take longer on the whole."""
    judge = Judge(TRUTH, 1)
    timed = [(len(str(task["data"])), judge.lead_time(person(0.9), Stage.PASS, task)) for task in tasks()]
    assert all(seconds > 3 for _, seconds in timed)
    timed.sort()
    third = len(timed) // 3
    assert sum(s for _, s in timed[-third:]) > 2 * sum(s for _, s in timed[:third])


def test_a_broken_truth_file_names_the_line(tmp_path: Path) -> None:
    """The second line has no values."""
    file = tmp_path / "truth.jsonl"
    file.write_text('{"row_id": "a", "values": {}}\n{"row_id": "b"}\n', encoding="utf-8")
    with pytest.raises(WorkError, match=r"truth\.jsonl:2: not an object with row_id and values"):
        load_truth(file)


@pytest.mark.parametrize("truth", [TRUTH, {}], ids=["known", "unknown"])
def test_people_who_are_told_that_fields_do_not_fit_look_again(truth: dict[str, Any]) -> None:
    """No answer is sent that the server would refuse, also of who is always wrong and of rows that nobody knows."""
    checks, judge = load_checks(INTERFACE), Judge(truth, 5)
    careless = [judge.answer(person(0.0), Stage.PASS, task, INTERFACE.all_controls) for task in tasks()]
    careful = [judge.answer(person(0.0), Stage.PASS, task, INTERFACE.all_controls, checks) for task in tasks()]
    assert any(checks.blocking(values) for values in careless)
    assert not any(checks.blocking(values) for values in careful)
