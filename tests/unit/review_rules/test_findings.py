"""Every finding: one smallest history that has it, and for `quorum verify` one planted fault that it catches."""

# ruff: noqa: E501  (each case stands on one line)

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from review_rules import decide, parse_history
from review_rules.findings import RULES
from review_rules.seals import Digest, Places, Seal
from review_rules.verify import Verifier, row_hash
from tests.unit.review_rules.cases import (
    TEAM,
    TEXT,
    VERDICT,
    agreeing,
    at,
    disagreeing,
    ids,
    policy_of,
    row,
    see,
    sub,
    team_of,
)
from tests.unit.review_rules.findings_page import render

DOCS = Path(__file__).parents[3] / "docs"
SPANS = {"e": {"kind": "spans", "text": TEXT}}
REQUIRED = {"verdict": {"kind": "choice", "required": True}}
RETURNS = "returns: {most: 1}"
ASKED = [sub("ida", 5, "escalate", reason="?")]


def spans(*found: dict[str, Any]) -> dict[str, Any]:
    """A row of which one pass marked these spans."""
    return row([sub("ana", 0, e=list(found)), sub("hal", 1)], fields=SPANS)


# id → (history, policy)
HISTORIES: dict[str, tuple[dict[str, Any], str]] = {
    "QR.W001": (row(fields={"x": {"kind": "choice"}}), ""),
    "QR.W002": (row(), "fields: {verdict: {agree: tolerance}}"),
    "QR.W003": (spans({"start": 0, "end": 999, "label": "A"}), ""),
    "QR.W004": (spans({"start": 5, "end": 5, "label": "A"}), ""),
    "QR.W005": (spans({"start": 0, "end": 4, "label": "A", "text": "Bob"}), ""),
    "QR.W006": (row(fields={"x": {"kind": "smell"}}), ""),
    "QR.W007": (row(domain="marketing"), ""),
    "QR.W008": (row(domain=5), ""),
    "QR.W009": (row(auto_label={"verdict": 5}), ""),
    "QR.W010": (
        row(
            [sub("ana", 0, b=[{"x": 0, "y": 0, "width": 0, "height": 1, "label": "A"}])],
            fields={"b": {"kind": "boxes"}},
        ),
        "passes: 1",
    ),
    "QR.W011": (row([sub("ana", 0, r=9)], fields={"r": {"kind": "rating", "max": 5}}), "passes: 1"),
    "QR.W020": (row([sub("ana", 0, flags="unsure")]), ""),
    "QR.W021": (row([sub(None, 0)]), ""),
    "QR.W022": (row([sub("ana", 0, at="noon")]), ""),
    "QR.W023": (row([sub("zoe", 0)]), ""),
    "QR.W024": (row([sub("ops", 0)]), ""),
    "QR.W025": (row([sub("eli", 31)]), ""),
    "QR.W026": (row([sub("ana", 0), sub("ana", 1)]), ""),
    "QR.W027": (row([*agreeing(), sub("hal", 3)]), ""),
    "QR.W028": (row([sub("ana", 0)], [sub("ida", 1, "accept")]), ""),
    "QR.W029": (row(agreeing(), [sub("ida", 0, "accept")]), ""),
    "QR.W030": (row(agreeing(), [sub("cleo", 5, "accept")]), ""),
    "QR.W031": (row(agreeing(), [sub("ida", 5, "fine")]), ""),
    "QR.W032": (row(agreeing(), [sub("ida", 5, "discard")]), ""),
    "QR.W033": (row(disagreeing(), [sub("ida", 5, "accept")]), ""),
    "QR.W034": (row(agreeing(), [sub("ida", 5, "accept"), sub("dag", 6, "accept")]), ""),
    "QR.W035": (row(agreeing(), [sub("ida", 5, "accept")], [sub("dag", 6, "accept")]), ""),
    "QR.W036": (row(agreeing(), ASKED, [sub("gus", 6, "accept")], domain="financial"), ""),
    "QR.W037": (row(agreeing(), [], [sub("dag", 6, "accept")]), ""),
    "QR.W038": (row(fields=REQUIRED, passes=[sub("ana", 0)]), ""),
    "QR.W039": (row(agreeing(), [sub("ida", 5, "correct", verdict=" ")], fields=REQUIRED), ""),
    "QR.W040": (row(agreeing()), "escalate_when: ['agreement.nope < 1.0']"),
    "QR.W050": (row(agreeing(), [sub("ida", 5, "accept")], reopened=[{"at": at(6)}]), ""),
    "QR.W060": (row(agreeing(), [sub("ida", 5, "return", reason="why") | {"to": ["ana"]}]), RETURNS),
    "QR.W061": (row(agreeing(), [sub("ida", 5, "return", reason="why") | {"to": ["ana"]}]), ""),
    "QR.W062": (row(agreeing(), [sub("ida", 5, "return", reason="why")]), RETURNS),
    "QR.E001": (row([sub("ana", 0)]), "passes: 9"),
    "QR.E002": (row(agreeing(), ASKED, [sub("dag", 6, "escalate", reason="no rule")]), ""),
}
SMALL_TEAM = "people: [{id: ana, roles: [annotator]}]"


@pytest.mark.parametrize("rule_id", sorted(HISTORIES))
def test_finding_of_a_decision(rule_id: str) -> None:
    """The smallest history with this finding has it, worded for people, with where and what to do."""
    history, policy = HISTORIES[rule_id]
    decision = see(history, policy, SMALL_TEAM if rule_id == "QR.E001" else TEAM)
    (found,) = [one for one in decision.findings if one.id == rule_id]
    assert found.severity == ("error" if "E" in rule_id else "warning")
    assert found.message
    assert found.hint.endswith((".", "`."))
    assert "{" not in found.message
    assert "{" not in found.hint.replace("{agree: exact}", "").replace("{start, end", "")


def record(**changes: Any) -> dict[str, Any]:
    """A full record of a final financial row, as an export writes it."""
    columns = {"id": "r1", "context": "", "query": "Who paid?", "response": TEXT, "domain": "financial"}
    fields = VERDICT | {"e": {"kind": "spans", "text": TEXT}}
    marked = [{"start": 0, "end": 4, "label": "ORG", "text": "Acme"}]
    passes = [sub("ana", 0, verdict="A", e=marked), sub("hal", 1, verdict="A", e=marked)]
    history = row(passes, [sub("dag", 5, "accept")], fields=fields, domain="financial") | changes
    decision = decide(parse_history(history), team_of(TEAM), policy_of(POLICY)).to_json()
    extra = {"row": columns, "row_hash": row_hash(columns), "gold": decision["state"] == "FINAL"}
    return json.loads(json.dumps(history | decision | extra))  # type: ignore[no-any-return]


POLICY = "fields: {verdict: {agree: exact}, e: {agree: span_f1}}"


def verify(*records: Any) -> list[str]:
    """The ids that `quorum verify` finds, of records in this order."""
    verifier = Verifier(team_of(TEAM), policy_of(POLICY))
    return [found.id for line, one in enumerate(records, start=1) for found in verifier.check(one, line)]


Plant = Callable[[dict[str, Any]], Any]


def _set(path: str, value: Any) -> Plant:
    """A fault planted by overwriting one place of a record."""

    def plant(whole: dict[str, Any]) -> None:
        *steps, last = [int(step) if step.isdigit() else step for step in path.split("/")]
        place: Any = whole
        for step in steps:
            place = place[step]
        place[last] = value

    return plant


def _drop(path: str) -> Plant:
    """A fault planted by removing one key of a record."""

    def plant(whole: dict[str, Any]) -> None:
        *steps, last = path.split("/")
        place: Any = whole
        for step in steps:
            place = place[step]
        del place[last]

    return plant


def _qa_by_ana(whole: dict[str, Any]) -> None:
    """Ana, who made a pass, did the QA, and the certificate was changed to match."""
    whole["qa"][0]["by"] = whole["certificate"]["qa"] = "ana"


def _version(text: str) -> dict[str, Any]:
    """The first version of the guidelines, with this hash."""
    return {"number": 1, "hash": f"sha256:{text}", "at": "2026-01-01T00:00:00Z"}


PLANTED: list[tuple[str, str, Plant]] = [
    ("no row id", "QR.E101", _drop("row_id")),
    ("no fields", "QR.E101", _set("fields", [])),
    ("no passes", "QR.E103", _drop("passes")),
    ("QA no list", "QR.E103", _set("qa", None)),
    ("state made up", "QR.E104", _set("state", "AWAITING_QA")),
    ("state no word", "QR.E104", _set("state", 5)),
    ("a pass taken away", "QR.E105", _set("passes/0", {})),
    ("the expert taken away", "QR.E105", _set("qa/0/by", "ida")),
    ("QA turned into an escalation", "QR.E105", lambda whole: whole["qa"][0].update(decision="escalate", reason="?")),
    ("QA turned into a discard", "QR.E105", lambda whole: whole["qa"][0].update(decision="discard", reason="?")),
    ("one person twice", "QR.E105", _set("passes/1/by", "ana")),
    ("self-review in the history", "QR.E106", _qa_by_ana),
    ("self-review in the certificate", "QR.E106", _set("certificate/qa", "hal")),
    ("expert was a pass", "QR.E106", _set("certificate/expert", ["ana"])),
    ("a pass changed after QA", "QR.E107", _set("passes/0/at", "2026-01-05T12:00:00Z")),
    ("QA moved before the passes", "QR.E107", _set("qa/0/at", "2026-01-05T09:00:00Z")),
    ("response changed", "QR.E108", _set("row/response", TEXT + ".")),
    ("query changed", "QR.E108", _set("row/query", "Who?")),
    ("field text changed", "QR.E108", _set("fields/e/text", TEXT + " ")),
    ("text of the span changed in the final label", "QR.E109", _set("final/values/e/value/0/text", "Acmo")),
    ("offsets changed in the final label", "QR.E109", _set("final/values/e/value/0/start", 1)),
    ("span outside the text", "QR.E109", _set("final/values/e/value/0/end", 999)),
    ("span no object", "QR.E109", _set("final/values/e/value/0", 5)),
    ("span without offsets", "QR.E109", _set("final/values/e/value/0", {})),
    ("offsets changed in a pass", "QR.E109", _set("passes/0/values/e/0/start", 1)),
    ("final value changed", "QR.E110", _set("final/values/verdict/value", "B")),
    ("final set no list", "QR.E110", _set("final/values/e/value", "ORG")),
    ("origin changed", "QR.E110", _set("final/values/verdict/origin", "expert")),
    ("changed_from_auto made up", "QR.E110", _set("final/values/verdict/changed_from_auto", True)),
    ("final field added", "QR.E110", _set("final/values/tone", {"value": "x"})),
    ("final field dropped", "QR.E110", _drop("final/values/verdict")),
    ("final label dropped", "QR.E110", _set("final", None)),
    ("final label without values", "QR.E110", _set("final", {"values": []})),
    ("final label no object", "QR.E110", _set("final", "A")),
    ("elements changed", "QR.E110", _set("final/elements/e", ["qa"])),
    ("answer changed in both passes", "QR.E110", lambda whole: [one["values"].update(verdict="B") for one in whole["passes"]]),
    ("another policy", "QR.E111", _set("certificate/policy", "sha256:" + "0" * 64)),
    ("another team", "QR.E114", _set("certificate/team", "sha256:" + "0" * 64)),
    ("team dropped", "QR.E114", _drop("certificate/team")),
    ("version of the rules made up", "QR.E115", _set("rules", 99)),
    ("version of the rules dropped", "QR.E112", _drop("rules")),
    ("a required value taken away", "QR.E105", lambda whole: whole["fields"]["e"].update(required=True) or whole["passes"][0]["values"].update(e=[])),
    ("certificate dropped", "QR.E112", _set("certificate", None)),
    ("certificate key dropped", "QR.E112", _drop("certificate/qa")),
    ("certificate key added", "QR.E112", _set("certificate/seal", "yes")),
    ("another person in the certificate", "QR.E112", _set("certificate/passes", ["ana", "ben"])),
    ("time changed in the certificate", "QR.E112", _set("certificate/times/qa", "2026-01-05T09:00:00Z")),
    ("holder made up", "QR.E112", _set("certificate/domains", {})),
    ("comparison changed", "QR.E113", _set("comparison/verdict/score", 0.5)),
    ("proposal changed", "QR.E113", _set("proposal/verdict/value", "B")),
    ("next step made up", "QR.E113", _set("next", {"stage": "qa"})),
    ("finding made up", "QR.E113", _set("findings", [{"id": "QR.W001", "path": "x"}])),
    ("row id of another row", "QR.E123", _set("row_id", "r2")),
    ("domain changed", "QR.E123", _set("domain", "technical")),
    ("domain taken away", "QR.E123", _set("domain", None)),
    ("auto-label changed", "QR.E123", lambda whole: whole.update(auto_label={"verdict": "A"}) or whole["row"].update(auto_label={"verdict": "B"})),
    ("gold flipped", "QR.E123", _set("gold", False)),
    ("withheld flipped", "QR.E123", _set("withheld", True)),
    ("hash of the row dropped", "QR.E125", _drop("row_hash")),
    ("guidelines that nobody published", "QR.E127", lambda whole: whole["passes"][0].update(guidelines=_version("a"))),
    ("guidelines of another text", "QR.E128", lambda whole: whole.update(guidelines=[_version("a"), _version("b")])),
    ("findings no list", "QR.E113", lambda whole: whole.update(record(passes=whole["passes"][:1]), findings=5) or whole["passes"].append({})),
]  # fmt: skip


def test_a_true_record_is_proved() -> None:
    """An export that nobody touched has no finding, final or not, with more keys or fewer."""
    whole = record()
    assert whole["state"] == "FINAL"
    assert verify(whole) == []
    assert verify(record(passes=whole["passes"][:1])) == []
    assert verify({key: value for key, value in whole.items() if key not in ("row", "comparison", "gold")}) == []
    assert prove(sealed(whole, other_record())) == []


@pytest.mark.parametrize(("what", "rule_id", "plant"), PLANTED, ids=[what for what, _, _ in PLANTED])
def test_planted_fault_is_caught(what: str, rule_id: str, plant: Plant) -> None:
    """Whatever of a proved record is changed afterwards is found, and by its name."""
    whole = copy.deepcopy(record())
    plant(whole)
    assert rule_id in verify(whole), what


def test_quorum_claimed_by_gold_alone() -> None:
    """A record that only its `gold` mark calls gold is held to the same."""
    waiting = record(qa=[])
    assert verify(waiting) == []
    assert verify(waiting | {"gold": True}) == ["QR.E105"]


def test_certificate_of_a_row_that_is_not_final() -> None:
    """A certificate without a final row proves nothing."""
    whole = record(qa=[])
    assert "QR.E112" in verify(whole | {"certificate": record()["certificate"]})
    assert "QR.E112" in verify(whole | {"certificate": {"passes": "ana", "policy": 5}})


def test_duplicates_are_caught() -> None:
    """A row that stands in the file twice would count twice."""
    assert verify(record(), other_record(), record()) == ["QR.E102"]


def other_record() -> dict[str, Any]:
    """The same row under another id."""
    whole = record() | {"row_id": "r2", "row": record()["row"] | {"id": "r2"}}
    return whole | {"row_hash": row_hash(whole["row"])}


def sealed(*records: dict[str, Any]) -> list[dict[str, Any]]:
    """Records with their digests and places, as an export writes them."""
    seal, digested = Seal(), []
    for whole in records:
        digest = Digest.of(whole)
        seal.add(digest.record)
        digested.append(whole | {"digest": digest.to_json()})
    return [
        whole | {"export": {"number": number, "of": seal.rows, "seal": seal.value}}
        for number, whole in enumerate(digested, 1)
    ]


def test_an_auto_label_for_another_interface_stays_a_column() -> None:
    """It is kept with the row, and the record has none."""
    columns = record()["row"] | {"auto_label": {"overall": 0.5}}
    assert verify(record() | {"row": columns, "row_hash": row_hash(columns)}) == []


def prove(records: list[dict[str, Any]], **places: Any) -> list[str]:
    """The ids that `quorum verify` finds in a file of these records."""
    verifier = Verifier(team_of(TEAM), policy_of(POLICY), Places(**places))
    checked = [each.id for line, whole in enumerate(records, 1) for each in verifier.check(whole, line)]
    return checked + [each.id for each in verifier.finish()]


Alter = Callable[[list[dict[str, Any]]], Any]


def _alter(place: int, path: str, value: Any) -> Alter:
    return lambda file: _set(path, value)(file[place])


def _insert(file: list[dict[str, Any]]) -> None:
    """A row of an export of its own between the others."""
    third = record() | {"row_id": "r3", "row": record()["row"] | {"id": "r3"}}
    file[1:1] = sealed(third | {"row_hash": row_hash(third["row"])})


# what, findings, what is done to a sound file of the rows r1 and r2
ALTERED: list[tuple[str, set[str], Alter]] = [
    ("import changed", {"QR.E116"}, _alter(0, "import_id", "i2")),
    ("import taken away", {"QR.E116"}, lambda file: file[0].pop("import_id")),
    ("column added", {"QR.E116"}, _alter(0, "checked_by", "zoe")),
    ("digest made up", {"QR.E116", "QR.E121"}, _alter(0, "digest/record", "sha256:0")),
    ("digest no object", {"QR.E116"}, _alter(0, "digest", "sha256:0")),
    ("digest taken away", {"QR.E117"}, lambda file: file[0].pop("digest")),
    ("digest and place taken away", {"QR.E117", "QR.E119"}, lambda file: [file[0].pop("digest"), file[0].pop("export")]),
    ("place taken away", {"QR.E119", "QR.E120"}, lambda file: file[0].pop("export")),
    ("place no number", {"QR.E119", "QR.E120"}, _alter(0, "export/number", "1")),
    ("place of another row", {"QR.E119", "QR.E121"}, _alter(1, "export/number", 1)),
    ("one seal changed", {"QR.E121"}, _alter(1, "export/seal", "sha256:0")),
    ("all seals changed", {"QR.E121"}, lambda file: [whole["export"].update(seal="sha256:0") for whole in file]),
    ("count changed", {"QR.E121"}, lambda file: [whole["export"].update(of=1) for whole in file]),
    ("first row taken out", {"QR.E119"}, lambda file: file.pop(0)),
    ("last row taken out", {"QR.E119"}, lambda file: file.pop()),
    ("all rows taken out", {"QR.E118"}, lambda file: file.clear()),
    ("row put in", {"QR.E121"}, _insert),
    ("rows in another order", {"QR.E120"}, lambda file: file.reverse()),
    ("number rounded", {"QR.E126", "QR.E108"}, _alter(0, "row/n", float(2**70))),
    ("version and team taken away", {"QR.E115", "QR.E116"}, lambda file: [file[0].pop("rules"), file[0]["certificate"].pop("team")]),
]  # fmt: skip


@pytest.mark.parametrize(("what", "rule_ids", "alter"), ALTERED, ids=[what for what, _, _ in ALTERED])
def test_altered_file_is_caught(what: str, rule_ids: set[str], alter: Alter) -> None:
    """What is changed beside the history, and what is done to the rows of a file, is found by its name."""
    numbered = record()["row"] | {"n": 2**70 - 1}
    first = record(import_id="i1") | {"row": numbered, "row_hash": row_hash(numbered)}
    file = copy.deepcopy(sealed(first, other_record()))
    assert prove(file) == []
    alter(file)
    assert set(prove(file)) == rule_ids, what


def test_the_seal_tells_what_was_made_anew() -> None:
    """Whoever takes a row out and makes digests, places and seal anew is found by the seal alone."""
    whole = sealed(record(), other_record())
    anew = sealed(other_record())
    noted = whole[0]["export"]["seal"]
    assert prove(anew) == []
    assert prove(whole, expected=noted) == []
    assert prove(anew, expected=noted) == ["QR.E122"]


def test_a_part_of_an_export() -> None:
    """With leave to be a part, rows may be missing and stand in any order; each is proved as before."""
    first, second = sealed(record(), other_record())
    assert prove([second, first], partial=True) == prove([second], partial=True) == []
    assert prove([second | {"import_id": "i2"}], partial=True) == ["QR.E116"]


def test_records_without_a_digest() -> None:
    """They are proved as far as they can be, unless digests are asked for or others of the file have one."""
    assert prove([record(), other_record()]) == []
    assert prove([record(), other_record()], required=True) == ["QR.E117", "QR.E117"]
    first, _ = sealed(record(), other_record())
    assert prove([other_record(), first]) == ["QR.E117", "QR.E119"]


def test_numbers_are_compared_as_numbers() -> None:
    """Programs write 1.0 as 1: digests, hashes and claims stay what they were."""
    columns = record()["row"] | {"score": 1.0, "zero": -0.0, "big": 1e22}
    file = sealed(record(import_id=2.0) | {"row": columns, "row_hash": row_hash(columns)})
    assert prove(file) == []
    written = json.loads(
        json.dumps(file), parse_float=lambda text: float(text) if float(text) % 1 else int(float(text))
    )
    assert '"score": 1,' in json.dumps(written)
    assert prove(written) == []


@pytest.mark.parametrize("line", [None, 5, "x", [], {}])
def test_lines_that_are_no_records(line: Any) -> None:
    """A line without a row proves nothing."""
    assert verify(line) == ["QR.E101"]


def test_every_finding_has_a_case() -> None:
    """A finding without a test could be wrong without anybody noticing."""
    planted = {rule_id for _, rule_id, _ in PLANTED} | {"QR.E102"}
    altered = {rule_id for _, rule_ids, _ in ALTERED for rule_id in rule_ids}
    # A file that shows other than its records is planted in every format where formats are tested.
    others = {"QR.E122", "QR.E124"}
    assert set(HISTORIES) | planted | altered | others == set(RULES)


def test_every_finding_is_documented() -> None:
    """docs/findings.md is what the registry says; write it anew with `python -m tests.unit.review_rules.findings_page`."""
    assert (DOCS / "findings.md").read_text(encoding="utf-8") == render()


def test_ids_are_only_used_once_each() -> None:
    """A title stands for one finding."""
    assert len({rule.title for rule in RULES.values()}) == len(RULES)
    assert ids(see(row())) == []
