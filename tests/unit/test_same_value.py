"""One table of values that are the same or not, run over everything in the product that has to know.

Each user is really called: a final row's record, its manifest, report, datasheet, remaining error, panel, simulated
review and qualification say the same about the same two values.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from label_studio_quorum.campaign.history import RowRecord
from label_studio_quorum.campaign.projects import Campaign
from label_studio_quorum.campaign.qualification import right_answers
from label_studio_quorum.campaign.reconcile import DecidedRow
from label_studio_quorum.campaign.review_panel import panel_data
from label_studio_quorum.gold.datasheet import Card
from label_studio_quorum.gold.formats.ground_truth import write_manifest
from label_studio_quorum.gold.spool import Spool
from label_studio_quorum.quality.report import build
from label_studio_quorum.servers.simulated_team import Judge, Simulant
from ls_config.interface import SET_KINDS, Interface, parse
from ls_config.results import to_result
from review_rules import Decision, Kind, Stage, State, decide, load_policy, load_team, parse_history
from review_rules.canonical import element_key, key, same
from review_rules.statistics.intervals import Rate
from review_rules.statistics.stopping import Reviewed, read_reviewed

TEXT = "Acme paid Bob"
XML = """<View>
      <Text name="t" value="$response"/><Image name="i" value="$image"/><Audio name="a" value="$audio"/>
      <Choices name="choice" toName="t"><Choice value="A"/><Choice value="B"/><Choice value="C"/></Choices>
      <Choices name="choices" toName="t" choice="multiple">
        <Choice value="a"/><Choice value="b"/><Choice value="c"/></Choices>
      <Labels name="spans" toName="t"><Label value="ORG"/><Label value="PER"/></Labels>
      <Rating name="rating" toName="t" maxRating="5"/><Number name="number" toName="t"/>
      <TextArea name="text" toName="t"/>
      <RectangleLabels name="boxes" toName="i"><Label value="x"/><Label value="y"/></RectangleLabels>
      <Labels name="segments" toName="a"><Label value="x"/><Label value="y"/></Labels>
    </View>"""
INTERFACE = Interface(name="every kind", xml=XML, controls=parse(XML))
ROW = {"id": "r1", "response": TEXT, "image": "i.png", "audio": "a.wav"}
TEAM = load_team(
    "people: [{id: ana, roles: [annotator]}, {id: ben, roles: [annotator]}, {id: cleo, roles: [qa]}, "
    "{id: dag, roles: [expert]}]"
)
POLICY = load_policy("{qa: {when: all}, expert_domains: []}")
ORG = {"start": 0, "end": 4, "label": "ORG"}
BOB = {"start": 10, "end": 13, "label": "PER"}
BOX = {"x": 1, "y": 2, "width": 30, "height": 40, "label": "x"}
SPEECH = {"start": 0.5, "end": 2, "label": "x"}
LATER = {"start": 2, "end": 3, "label": "y"}


class Case(NamedTuple):
    """Two values of a kind, and whether they are the same."""

    kind: Kind
    a: Any
    b: Any
    same: bool


CASES = {
    "label": Case(Kind.CHOICE, "A", "A", True),
    "other-label": Case(Kind.CHOICE, "A", "B", False),
    "labels-in-another-order": Case(Kind.CHOICES, ["a", "b"], ["b", "a"], True),
    "label-twice": Case(Kind.CHOICES, ["a"], ["a", "a"], True),
    "one-label-more": Case(Kind.CHOICES, ["a"], ["a", "b"], False),
    "no-label": Case(Kind.CHOICES, ["a"], [], False),
    "span-without-its-text": Case(Kind.SPANS, [ORG | {"text": "Acme"}], [ORG], True),
    "spans-in-another-order": Case(Kind.SPANS, [ORG, BOB], [BOB, ORG], True),
    "span-of-another-label": Case(Kind.SPANS, [ORG], [ORG | {"label": "PER"}], False),
    "longer-span": Case(Kind.SPANS, [ORG], [ORG | {"end": 5}], False),
    "no-span": Case(Kind.SPANS, [ORG], [], False),
    "rating": Case(Kind.RATING, 4, 4, True),
    "other-rating": Case(Kind.RATING, 4, 5, False),
    "number-with-a-fraction-of-zero": Case(Kind.NUMBER, 4, 4.0, True),
    "other-number": Case(Kind.NUMBER, 4, 4.5, False),
    "text-composed-otherwise": Case(Kind.TEXT, "Caf\u00e9", "Cafe\u0301", True),
    "text-with-other-white-space": Case(Kind.TEXT, "as of now", " as  of\tnow\n", True),
    "text-in-capitals": Case(Kind.TEXT, "as of now", "As of now", False),
    "boxes-in-another-order": Case(Kind.BOXES, [BOX, BOX | {"x": 50}], [BOX | {"x": 50}, BOX], True),
    "wider-box": Case(Kind.BOXES, [BOX], [BOX | {"width": 31}], False),
    "segments-in-another-order": Case(Kind.SEGMENTS, [SPEECH, LATER], [LATER, SPEECH], True),
    "longer-segment": Case(Kind.SEGMENTS, [SPEECH], [SPEECH | {"end": 2.5}], False),
}
OTHER: Mapping[Kind, Any] = {
    Kind.CHOICE: "C",
    Kind.CHOICES: ["c"],
    Kind.SPANS: [{"start": 5, "end": 9, "label": "PER"}],
    Kind.RATING: 1,
    Kind.NUMBER: -7,
    Kind.TEXT: "something else",
    Kind.BOXES: [BOX | {"y": 60, "label": "y"}],
    Kind.SEGMENTS: [SPEECH | {"end": 9, "label": "y"}],
}
"""A value that is none of those in the table."""


def history(case: Case, first: Any, second: Any, qa: Any, auto: Any = None) -> dict[str, Any]:
    """A row of one field with two passes and a QA review."""

    def submission(by: str, minute: int, value: Any) -> dict[str, Any]:
        return {"by": by, "at": f"2026-01-05T10:0{minute}:00Z", "values": {case.kind.value: value}, "flags": []}

    return {
        "row_id": "r1",
        "fields": {case.kind.value: INTERFACE.fields(ROW)[case.kind.value]},
        "auto_label": None if auto is None else {case.kind.value: auto},
        "passes": [submission("ana", 1, first), submission("ben", 2, second)],
        "qa": [submission("cleo", 3, qa) | {"decision": "correct"}],
        "expert": [],
    }


def decided(row: dict[str, Any]) -> Decision:
    """The decision, which is final."""
    decision = decide(parse_history(row), TEAM, POLICY)
    assert decision.state is State.FINAL
    return decision


def record(row: dict[str, Any]) -> dict[str, Any]:
    """What an export holds of a row."""
    return row | decided(row).to_json() | {"gold": True, "row": ROW, "domain": None, "predicted_domain": None}


def final_row(case: Case, tmp_path: Path) -> bool:
    """The rules: whether the final value is the auto-label."""
    changed = decided(history(case, case.a, case.a, case.a, case.b)).final
    assert changed is not None
    return not changed[case.kind.value].changed_from_auto


def manifest(case: Case, tmp_path: Path) -> bool:
    """Ground Truth's manifest: whether the final value is the auto-label, unadjusted."""
    with Spool([record(history(case, case.a, case.a, case.a, case.b))], tmp_path, INTERFACE, everything=True) as spool:
        write_manifest(spool, tmp_path / "m.jsonl", Counter(), INTERFACE)
    line = json.loads((tmp_path / "m.jsonl").read_text(encoding="utf-8"))
    return bool(line[f"adjusted-{case.kind.value}-metadata"]["adjustment-status"] == "unadjusted")


def decided_row(row: dict[str, Any]) -> DecidedRow:
    """The row of a history as the report takes it."""
    record = RowRecord(history=parse_history(row), sources=dict.fromkeys(Stage, ()))
    return DecidedRow(row_id="r1", tasks={}, record=record, decision=decided(row))


def report(case: Case, tmp_path: Path) -> bool:
    """The report: whether QA kept what the passes agreed on."""
    row = history(case, case.b, case.b, case.a)
    campaign = Campaign(name="c", interface=INTERFACE, policy=POLICY, team=TEAM, projects={}, users=())
    seen = decided_row(row)
    figures = build(campaign, [seen], draws=100)
    (field,) = [field for field in figures["fields"] if field["field"] == case.kind.value]
    people = {person["id"]: person["accuracy"] for person in figures["people"]}
    assert people["ana"] == people["ben"] == 1 - field["overturned"]
    return bool(field["overturned"] == 0)


def datasheet(case: Case, tmp_path: Path) -> bool:
    """The datasheet: whether two passes that agree were kept, and each of them."""
    with Spool([record(history(case, case.b, case.b, case.a))], tmp_path, INTERFACE, everything=True) as spool:
        text = Card.of(spool, INTERFACE, {}).text()
    rates = {wrong: f"| {Rate(2 * wrong, 2)} | {Rate(wrong, 1)} |" for wrong in (0, 1)}
    (told,) = [wrong for wrong, cells in rates.items() if cells in text]
    return not told


def remaining_error(case: Case, tmp_path: Path) -> bool:
    """The remaining error: whether the first of two passes in conflict was right, from a decision and an export."""
    row = history(case, case.b, OTHER[case.kind], case.a)
    lines = [json.dumps(whole) for whole in (decided(row).to_json(), record(row))]
    counts, faults = read_reviewed(lines)
    assert not faults
    first_right = Reviewed(second_wrong=2)
    assert counts[case.kind.value] in (first_right, Reviewed(both_wrong=2))
    return counts[case.kind.value] == first_right


def panel(case: Case, tmp_path: Path) -> bool:
    """The expert's panel: whether QA changed what the passes gave."""
    row = history(case, case.b, case.b, case.a)
    shown = panel_data(parse_history(row), decided(row), INTERFACE, Stage.EXPERT)["panel"]
    return "qp-changed" not in shown


def simulated_review(case: Case, tmp_path: Path) -> bool:
    """The simulated team: whether an expert who knows the right answer accepts the one on the screen."""
    control = INTERFACE.control(case.kind.value)
    task = {
        "data": ROW | {"row_id": "r1"},
        "predictions": [{"result": to_result({control.name: case.b}, [control], ROW)}],
    }
    expert = Simulant(id="dag", email="", password="", roles=frozenset({"expert"}), skill=1.0)
    answer = Judge({"r1": {control.name: case.a}}, 1).answer(expert, Stage.EXPERT, task, [control])
    return bool(answer["decision"] == "accept")


def qualification(case: Case, tmp_path: Path) -> bool:
    """The qualification: whether an answer is the known one."""
    name = case.kind.value
    return right_answers({name: case.a}, {name: case.b}, INTERFACE.fields(ROW)) == 1


USERS: list[Callable[[Case, Path], bool]] = [
    final_row, manifest, report, datasheet, remaining_error, panel, simulated_review, qualification,
]  # fmt: skip


HAS_A_MANIFEST_TYPE = (Kind.CHOICE, Kind.CHOICES, Kind.SPANS, Kind.RATING)
CALLS = {
    f"{user.__name__}-{name}": (user, case)
    for user in USERS
    for name, case in CASES.items()
    if user is not manifest or case.kind in HAS_A_MANIFEST_TYPE
}


@pytest.mark.parametrize(("user", "case"), CALLS.values(), ids=list(CALLS))
def test_everything_means_the_same_by_same(user: Callable[[Case, Path], bool], case: Case, tmp_path: Path) -> None:
    """Whoever compares two values comes to what the table says."""
    assert user(case, tmp_path) is case.same


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_same_and_key_say_what_the_table_says(case: Case) -> None:
    """`same` is symmetric, and `key` groups what it holds to be the same."""
    assert same(case.kind, case.a, case.b) is same(case.kind, case.b, case.a) is case.same
    assert len({key(case.kind, case.a), key(case.kind, case.b)}) == (1 if case.same else 2)


@pytest.mark.parametrize("kind", Kind)
def test_nothing_is_nothing(kind: Kind) -> None:
    """An absent value, for sets also the empty one, is another than any value, and so is a value of another type."""
    assert same(kind, None, None)
    assert not same(kind, None, OTHER[kind])
    assert same(kind, None, {"neither": "of any kind"})
    assert same(kind, None, []) is True  # no kind but sets takes a list


def test_elements_have_keys() -> None:
    """An element's key leaves out the text that a span carries; what is no element has none."""
    assert element_key(Kind.SPANS, ORG | {"text": "Acme"}) == element_key(Kind.SPANS, ORG) == (0, 4, "ORG")
    assert element_key(Kind.CHOICES, "a") == "a"
    assert element_key(Kind.SPANS, {"start": 4, "end": 4, "label": "ORG"}) is None
    assert element_key(Kind.SPANS, "a") is None


def figures_of(kind: Kind, tmp_path: Path) -> tuple[set[str], str | None]:
    """The measures that the datasheet has for a field, and the one that speaks for it in the report."""
    case = Case(kind, OTHER[kind], OTHER[kind], True)
    row = history(case, case.a, case.b, case.a)
    with Spool([record(row)], tmp_path, INTERFACE, everything=True) as spool:
        figures = Card.of(spool, INTERFACE, {}).agreement
    measures = {figure["measure"] for figure in figures if figure["field"] == kind.value}
    campaign = Campaign(name="c", interface=INTERFACE, policy=POLICY, team=TEAM, projects={}, users=())
    seen = decided_row(row)
    fields = {field["field"]: field for field in build(campaign, [seen], draws=100)["fields"]}
    return measures, fields[kind.value]["measure"]


@pytest.mark.parametrize("kind", Kind)
def test_report_and_datasheet_measure_agreement_of_the_same_kinds(kind: Kind, tmp_path: Path) -> None:
    """A number has agreement in both; a text, boxes and segments in neither."""
    measures, spoken = figures_of(kind, tmp_path)
    if kind.votes_as is None:
        assert (measures, spoken) == (set(), None)
    else:
        assert spoken in measures


def test_the_interface_and_the_rules_know_the_same_kinds() -> None:
    """`ls_config` writes the kinds as plain text, because it may not import the rules."""
    assert {Kind.of(control.kind) for control in INTERFACE.controls} == set(Kind)
    assert frozenset(kind.value for kind in Kind if kind.is_set) == SET_KINDS
