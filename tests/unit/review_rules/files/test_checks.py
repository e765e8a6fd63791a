"""The checks of an interface: what they say of an answer, and every fault that can be known before there is one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ls_config import label_types, load
from review_rules import FaultsError
from review_rules.files.checks import MOST, load_checks

EXAMPLES = Path(__file__).resolve().parents[4] / "examples"
ORDINARY = "verdict == 'Correct' && correctness < 4"


@dataclass(frozen=True)
class Asked:
    """A field of the interface in test."""

    name: str
    kind: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asking:
    """An interface of every kind of field, with these checks."""

    checks: str
    checks_file: str = "checks.yaml"
    controls: tuple[Asked, ...] = (
        Asked("verdict", "choice", ("Correct", "Incorrect")),
        Asked("issues", "choices", ("Code error", "Factual error")),
        Asked("entities", "spans", ("ORG", "DATE")),
        Asked("correctness", "rating"),
        Asked("price", "number"),
        Asked("note", "text"),
        Asked("places", "boxes", ("cat",)),
        Asked("sounds", "segments", ("hum",)),
    )


def one(when: str, level: str = "block", say: str = "That cannot be.") -> Asking:
    """An interface with one check."""
    return Asking(json.dumps({"checks": [{"when": when, "say": say, "level": level}]}))


def fires(when: str, **values: Any) -> bool:
    """Whether a check fires on these values."""
    return bool(load_checks(one(when)).violated(values))


def faults(asking: Asking) -> list[str]:
    """The faults of an interface's checks."""
    with pytest.raises(FaultsError) as caught:
        load_checks(asking)
    return [str(fault) for fault in caught.value.faults]


def test_a_check_fires_where_its_expression_is_true() -> None:
    """And on nothing else."""
    assert fires(ORDINARY, verdict="Correct", correctness=3)
    assert not fires(ORDINARY, verdict="Correct", correctness=4)
    assert not fires(ORDINARY, verdict="Incorrect", correctness=3)


@pytest.mark.parametrize("values", [{}, {"verdict": "Correct"}, {"verdict": "Correct", "correctness": None}])
def test_a_field_without_a_value_keeps_a_check_from_firing(values: dict[str, Any]) -> None:
    """Also where the rest of the expression would be true without it."""
    assert not fires(ORDINARY, **values)
    assert not fires("verdict == 'Correct' || correctness < 4", **values)
    assert not fires("note == 'x' || verdict == 'Correct'", note=" \n", **values)


def test_a_set_that_nobody_filled_in_is_empty() -> None:
    """Nothing ticked is an answer, so a rule about it can be told."""
    assert fires("verdict == 'Incorrect' && size(issues) == 0", verdict="Incorrect")
    assert not fires("verdict == 'Incorrect' && size(issues) == 0", verdict="Incorrect", issues=["Code error"])
    assert not fires("entities.exists(e, e.label == 'ORG')")


def test_an_expression_that_fails_on_an_answer_does_not_fire() -> None:
    """There is no first issue to compare."""
    assert not fires("issues[0] == 'Code error'")
    assert fires("issues[0] == 'Code error'", issues=["Code error"])


@pytest.mark.parametrize(
    ("when", "values"),
    [
        ("entities.exists(e, e.label == 'ORG')", {"entities": [{"start": 0, "end": 2, "label": "ORG", "text": "A."}]}),
        ("'Code error' in issues", {"issues": ["Code error"]}),
        ("issues.exists(i, i != 'Code error')", {"issues": ["Factual error"]}),
        ("verdict in ['Correct', 'Incorrect']", {"verdict": "Correct"}),
        ("price * 2.0 > 9", {"price": 4.75}),
        ("price * 2.0 > 9", {"price": 5}),
        ("correctness % 2 == 1", {"correctness": 3.0}),
        ("note.contains('http') && size(note) > 3", {"note": "see http"}),
        ("places.all(p, p.width * 2.0 < 10)", {"places": [{"x": 1, "y": 1, "width": 2, "height": 1, "label": "cat"}]}),
        ("sounds.exists(s, s.end - s.start > 1.0)", {"sounds": [{"start": 1.5, "end": 3.5, "label": "hum"}]}),
        ("4 > correctness", {"correctness": 3}),
    ],
)
def test_every_kind_of_field_can_be_read(when: str, values: dict[str, Any]) -> None:
    """With the values that answers and histories hold."""
    assert fires(when, **values)


@pytest.mark.parametrize(
    ("when", "column", "sentence"),
    [
        ("verdit == 'Correct'", 23, "unknown field `verdit`. Did you mean `verdict`?"),
        ("verdict == 'Corect'", 34, "`verdict` has no label 'Corect'. Did you mean `Correct`?"),
        ("'Corect' != verdict", 23, "`verdict` has no label 'Corect'. Did you mean `Correct`?"),
        ("verdict in ['Correct', 'Half']", 46, "`verdict` has no label 'Half'. Use one of Correct, Incorrect."),
        ("'Code eror' in issues", 23, "`issues` has no label 'Code eror'. Did you mean `Code error`?"),
        ("issues.exists(i, i == 'Code eror')", 45, "`issues` has no label 'Code eror'. Did you mean `Code error`?"),
        ("entities.exists(e, e.label == 'ORK')", 53, "`entities` has no label 'ORK'. Did you mean `ORG`?"),
        ("correctness < '4'", 37, "`correctness` is a number, and '4' is none. Write the number alone."),
        ("verdict == 4", 34, "`verdict` is a text and cannot be compared with 4 in this way. See checks"),
        ("issues == 'Code error'", 33, "`issues` is a set and never equals 'Code error'. Write `'Code error' in"),
        ("verdict < correctness", 23, "this compares or computes with values of other types. See checks"),
        ("verdict == 'Incorrect' && correctness == 2 && note > price", 23, "this compares or computes with values"),
        ("price * 2 > 9", 23, "this compares or computes with values of other types. A number has a point: 2.0."),
        ("correctness.contains('x')", 23, "the function `contains` is not for a value of this type. See checks"),
        ("grade(correctness)", 23, "unknown function `grade`. See checks in docs/interfaces.md."),
        ("size(issues)", 23, "this is a number, not true or false. See checks"),
        ("1 < 2", 23, "this reads no field. Write an expression over the fields"),
        ("verdict ==", 33, "this is not CEL: mismatched input '<EOF>'"),
    ],
)
def test_what_is_wrong_with_an_expression_is_told_when_it_is_loaded(when: str, column: int, sentence: str) -> None:
    """With the place: line and column of the word that is wrong."""
    (line,) = faults(one(when))
    place, _, rest = line.partition(": checks[0].when: ")
    assert rest.startswith(sentence)
    assert place == f"checks.yaml:1:{column}"


def test_all_faults_of_a_file_are_told_at_once_with_their_lines() -> None:
    """Keys, levels, empty and endless sentences, and expressions that cost too much."""
    endless, deep = "a" * 301, "issues.all(a, issues.all(b, issues.all(c, a == b)))"
    text = f"""
checks:
  - {{when: "{ORDINARY}", say: "", level: warn}}
  - {{when: "{ORDINARY}", say: {endless}, level: wran}}
  - {{when: "{deep}", say: x, level: warn, extra: 1}}
  - {{when: "{ORDINARY}"}}
"""
    lines = faults(Asking(text))
    assert [line.split(":")[1] for line in lines] == ["3", "4", "4", "5", "5", "6", "6"]
    told = " ".join(lines)
    for part in ("this text is empty", "301 characters, more than 300", "unknown level `wran`", "more than 2 of all"):
        assert part in told
    assert "unknown key `extra`" in told
    assert "the key `say` is missing" in told


def test_there_are_at_most_so_many_checks() -> None:
    """Each is run at every change of a form."""
    every = [{"when": ORDINARY, "say": str(n), "level": "warn"} for n in range(MOST + 1)]
    assert faults(Asking(json.dumps({"checks": every})))[0].endswith(
        "these are 101 checks, more than 100. Say several of them in one."
    )
    assert len(load_checks(Asking(json.dumps({"checks": every[1:]}))).entries) == MOST


def test_the_hash_is_of_the_content_and_empty_without_checks() -> None:
    """How the file is written does not matter; another level does."""
    block = Asking(f"# A note.\nchecks:\n- say:   That cannot be.\n  when: {ORDINARY}\n  level: block\n")
    flow = one(ORDINARY)
    assert load_checks(flow).hash == load_checks(block).hash
    assert load_checks(flow).hash.startswith("sha256:")
    assert load_checks(one(ORDINARY, level="warn")).hash != load_checks(flow).hash
    assert [load_checks(Asking(text)).hash for text in ("", "checks: []", "checks:\n")] == ["", "", ""]


def test_only_blocking_checks_refuse() -> None:
    """Both are told."""
    values = {"verdict": "Correct", "correctness": 1}
    for level, refused in (("warn", 0), ("block", 1)):
        checks = load_checks(one(ORDINARY, level))
        assert (len(checks.violated(values)), len(checks.blocking(values))) == (1, refused)


@pytest.mark.parametrize("label_type", label_types())
def test_the_checks_of_the_built_in_interfaces_hold_of_the_example(label_type: str) -> None:
    """What a careful person answers violates none of them, and each has something to say of some answer."""
    checks = load_checks(load(label_type))
    assert checks.entries
    for line in (EXAMPLES / "truth.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        assert not checks.violated(row["values"]), row["row_id"]
