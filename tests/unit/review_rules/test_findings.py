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
    ("findings no list", "QR.E113", lambda whole: whole.update(record(passes=whole["passes"][:1]), findings=5) or whole["passes"].append({})),
]  # fmt: skip


def test_a_true_record_is_proved() -> None:
    """An export that nobody touched has no finding, final or not, with more keys or fewer."""
    whole = record()
    assert whole["state"] == "FINAL"
    assert verify(whole) == []
    assert verify(record(passes=whole["passes"][:1])) == []
    assert verify({key: value for key, value in whole.items() if key not in ("row", "comparison", "gold")}) == []


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
    other = record() | {"row_id": "r2"}
    assert verify(record(), other, record()) == ["QR.E102"]


@pytest.mark.parametrize("line", [None, 5, "x", [], {}])
def test_lines_that_are_no_records(line: Any) -> None:
    """A line without a row proves nothing."""
    assert verify(line) == ["QR.E101"]


def test_every_finding_has_a_case() -> None:
    """A finding without a test could be wrong without anybody noticing."""
    planted = {rule_id for _, rule_id, _ in PLANTED} | {"QR.E102"}
    assert set(HISTORIES) | planted == set(RULES)


def test_every_finding_is_documented() -> None:
    """docs/findings.md is what the registry says; write it anew with `python -m tests.unit.review_rules.findings_page`."""
    assert (DOCS / "findings.md").read_text(encoding="utf-8") == render()


def test_ids_are_only_used_once_each() -> None:
    """A title stands for one finding."""
    assert len({rule.title for rule in RULES.values()}) == len(RULES)
    assert ids(see(row())) == []
