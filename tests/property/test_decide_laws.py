"""Laws of `decide` that hold for every history: total, blind to order, deaf to what does not count, fair to names."""

from __future__ import annotations

import json
import random
from collections import Counter
from functools import lru_cache
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from review_rules import (
    Decision,
    NextStep,
    Policy,
    Stage,
    State,
    Team,
    decide,
    load_policy,
    load_team,
    may_take,
    parse_history,
)
from review_rules.verify import Verifier
from review_rules.versions import RULES_1, RULES_2, RULES_3, RULES_4, RulesVersion
from tests.support.laws import examples

PEOPLE = {
    "ana": (["annotator"], []),
    "ben": (["annotator", "qa"], ["financial"]),
    "cyd": (["annotator", "expert"], []),
    "dag": (["expert", "qa"], ["technical", "financial"]),
    "eli": (["annotator", "qa", "expert"], ["technical"]),
    "fay": (["expert"], ["financial"]),
    "gus": (["qa"], []),
    "ops": (["manager"], []),
}
LABELS = ("A", "B", "C")
TEXT = "Acme Corp paid Bob"
FIELDS: dict[str, dict[str, Any]] = {
    "verdict": {"kind": "choice"},
    "topics": {"kind": "choices"},
    "entities": {"kind": "spans", "text": TEXT},
    "helpfulness": {"kind": "rating", "min": 1, "max": 5},
}
REQUIRABLE = ("verdict", "topics", "helpfulness")
MEASURES: dict[str, list[dict[str, Any]]] = {
    "verdict": [{"agree": "exact"}],
    "topics": [{"agree": "exact"}, {"agree": "jaccard", "threshold": 0.5}],
    "entities": [
        {"agree": "exact"},
        {"agree": "span_f1", "threshold": 0.5},
        {"agree": "span_f1", "match": "overlap", "threshold": 0.5},
        {"agree": "iou_f1", "iou": 0.3, "threshold": 0.5},
    ],
    "helpfulness": [{"agree": "exact"}, {"agree": "tolerance", "tolerance": 1}],
}
QA: list[dict[str, Any]] = [{"when": "all"}, {"when": "conflict"}, {"when": "sample", "share": 0.5}]
ESCALATE: list[list[str]] = [[], ["size(conflicts) > 1"], ["agreement.verdict < 0.5 || auto_label_changed"]]
LAWS = settings(
    max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def team_text(left: dict[str, str], rename: dict[str, str] | None = None) -> str:
    """The team, some of whom have left, under other names if given."""
    names = rename or {}
    people: list[dict[str, Any]] = [
        {"id": names.get(name, name), "roles": roles, "expertise": expertise}
        | ({"left": left[name]} if name in left else {})
        for name, (roles, expertise) in PEOPLE.items()
    ]
    return json.dumps({"people": people})


@lru_cache(maxsize=4096)
def team_of(text: str) -> Team:
    """The team of a file."""
    return load_team(text)


@lru_cache(maxsize=4096)
def policy_of(text: str) -> Policy:
    """The policy of a file."""
    return load_policy(text)


def minute(number: int) -> str:
    """A time of day."""
    return f"2026-01-05T10:{number:02}:00Z"


spans = st.builds(
    lambda start, length, label: {"start": start, "end": start + length, "label": label},
    st.integers(-1, 17), st.integers(0, 8), st.sampled_from(LABELS),
)  # fmt: skip
values = st.fixed_dictionaries(
    {},
    optional={
        "verdict": st.none() | st.sampled_from(LABELS),
        "topics": st.lists(st.sampled_from(LABELS), max_size=3),
        "entities": st.lists(spans, max_size=3),
        "helpfulness": st.integers(1, 5) | st.just("4"),
    },
)
flags = st.lists(
    st.sampled_from(["unsure", "needs_expert", "broken_row", "domain:technical", "domain:financial"]), max_size=1
)


def submissions(reviewed: bool) -> st.SearchStrategy[dict[str, Any]]:
    """Passes, or reviews with their decision word."""
    parts: dict[str, st.SearchStrategy[Any]] = {
        "by": st.sampled_from([*PEOPLE, "zoe"]),
        "at": st.integers(0, 59).map(minute) | st.just("noon"),
        "values": values,
        "flags": flags,
        "reason": st.sampled_from([None, "why"]),
    }
    if reviewed:
        parts["decision"] = st.sampled_from(["accept", "accept", "correct", "escalate", "discard"])
    return st.fixed_dictionaries(parts)


def _requiring(name: str | None) -> dict[str, dict[str, Any]]:
    """The fields, of which the interface requires this one."""
    specs: dict[str, dict[str, Any]] = {field: {**spec} for field, spec in FIELDS.items()}
    if name is not None:
        specs[name]["required"] = True
    return specs


histories = st.fixed_dictionaries(
    {
        "row_id": st.sampled_from(["r1", "r2", "r3", "r4"]),
        "fields": st.sampled_from([None, *REQUIRABLE]).map(_requiring),
        "domain": st.sampled_from([None, "general", "technical", "financial", "legal"]),
        "auto_label": st.none() | values,
        "passes": st.lists(submissions(False), max_size=5),
        "qa": st.lists(submissions(True), max_size=4),
        "expert": st.lists(submissions(True), max_size=4),
    }
)
policies = st.fixed_dictionaries(
    {
        "passes": st.integers(1, 3),
        "qa": st.sampled_from(QA),
        "expert_quorum": st.integers(1, 2),
        "escalate_when": st.sampled_from(ESCALATE),
        "proposal": st.sampled_from(["passes", "passes+auto"]),
        "fields": st.fixed_dictionaries({name: st.sampled_from(options) for name, options in MEASURES.items()}),
    }
).map(json.dumps)
leaving = st.dictionaries(st.sampled_from(list(PEOPLE)), st.integers(0, 59).map(minute), max_size=1)


def decided(history: Any, policy: str, team: str) -> Decision:
    """The decision, which is valid JSON and decided alike a second time."""
    rules = team_of(team), policy_of(policy)
    decision = decide(parse_history(history), *rules)
    json.dumps(decision.to_json(), allow_nan=False)
    assert decide(parse_history(history), *rules) == decision
    return decision


def told(decision: Decision) -> tuple[str, Counter[tuple[str, str]]]:
    """A decision without its indices: the rest as text, and the findings without their paths."""
    whole = decision.to_json()
    found = Counter((one["id"], one["message"]) for one in whole.pop("findings"))
    return json.dumps(whole, sort_keys=True), found


def counted(history: dict[str, Any], decision: Decision) -> dict[str, Any]:
    """The history with its counted submissions only."""
    return history | {stage.key: [history[stage.key][index] for index in decision.counted[stage]] for stage in Stage}


@LAWS
@given(histories, policies, leaving, st.randoms(use_true_random=False))
def test_order_of_submissions(history: dict[str, Any], policy: str, left: dict[str, str], draw: random.Random) -> None:
    """A decision is the same whatever the order of the submissions."""
    shuffled = {stage.key: draw.sample(history[stage.key], len(history[stage.key])) for stage in Stage}
    team = team_text(left)
    assert told(decided(history, policy, team)) == told(decided(history | shuffled, policy, team))


@LAWS
@given(histories, policies, leaving)
def test_what_does_not_count(history: dict[str, Any], policy: str, left: dict[str, str]) -> None:
    """Without everything that does not count the decision is the same, but for findings."""
    team = team_text(left)
    decision = decided(history, policy, team)
    again = decided(counted(history, decision), policy, team)
    if _same_line(history, decision):
        assert told(again)[0] == told(decision)[0]


def _same_line(history: dict[str, Any], decision: Decision) -> bool:
    """Whether the counted passes alone stand in the same line: an earlier version may have held a person's place."""
    people = [history["passes"][index] for index in decision.counted[Stage.PASS]]
    return people == sorted(people, key=lambda one: (one["at"], one["by"]))


@LAWS
@given(histories, policies, leaving)
def test_one_finding_for_each_that_does_not_count(history: dict[str, Any], policy: str, left: dict[str, str]) -> None:
    """Every submission either counts or has exactly one finding at its path."""
    decision = decided(history, policy, team_text(left))
    at = Counter(found.path for found in decision.findings if found.id.startswith(("QR.W02", "QR.W03")))
    for stage in Stage:
        for index in range(len(history[stage.key])):
            assert at[f"{stage.key}[{index}]"] == (index not in decision.counted[stage])


@LAWS
@given(histories, policies, leaving)
def test_an_added_submission_that_does_not_count(history: dict[str, Any], policy: str, left: dict[str, str]) -> None:
    """A pass by a stranger and a review by a manager change nothing but findings."""
    team = team_text(left)
    stranger = {"by": "zoe", "at": minute(0), "values": {"verdict": "B"}, "flags": ["needs_expert", "domain:technical"]}
    manager = {"by": "ops", "at": minute(59), "decision": "discard", "reason": "no", "values": {"verdict": "C"}}
    more = {
        "passes": [*history["passes"], stranger],
        "qa": [*history["qa"], manager],
        "expert": [*history["expert"], manager],
    }
    plain, added = decided(history, policy, team), decided(history | more, policy, team)
    assert told(plain)[0] == told(added)[0]
    assert sum(told(added)[1].values()) == sum(told(plain)[1].values()) + 3


@LAWS
@given(histories, policies, leaving)
def test_relabelling_people(history: dict[str, Any], policy: str, left: dict[str, str]) -> None:
    """Other names in the same order give the same decision under those names."""
    rename = {name: f"p{number}-{name.upper()}" for number, name in enumerate(PEOPLE)} | {"zoe": "q"}
    renamed = history | {stage.key: [one | {"by": rename[one["by"]]} for one in history[stage.key]] for stage in Stage}
    decision = decided(history, policy, team_text(left)).to_json()
    expected = _renamed({key: decision[key] for key in ("state", "next", "final", "certificate", "comparison")}, rename)
    found = decided(renamed, policy, team_text(left, rename)).to_json()
    for certificate in (expected["certificate"], found["certificate"]):
        # Other names make another team, whose hash is another.
        assert certificate is None or certificate.pop("team").startswith("sha256:")
    assert {key: found[key] for key in expected} == expected


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _renamed(entry, names) for key, entry in value.items()}
    if isinstance(value, list):
        return [_renamed(entry, names) for entry in value]
    return names.get(value, value) if isinstance(value, str) else value


@LAWS
@given(histories, policies, leaving)
def test_relabelling_labels(history: dict[str, Any], policy: str, left: dict[str, str]) -> None:
    """Other labels in the same order give the same decision with those labels."""
    names = {"A": "alpha", "B": "beta", "C": "gamma"}
    relabelled = {"auto_label": _renamed(history["auto_label"], names)}
    for stage in Stage:
        relabelled[stage.key] = [one | {"values": _renamed(one["values"], names)} for one in history[stage.key]]
    team = team_text(left)
    decision = _renamed(decided(history, policy, team).to_json(), names)
    assert decided(history | relabelled, policy, team).to_json() == decision


@LAWS
@given(histories, policies, leaving)
def test_final_implies_the_quorum(history: dict[str, Any], policy: str, left: dict[str, str]) -> None:
    """A final row has its passes by different people, other people for QA and experts, and its experts."""
    decision = decided(history, policy, team_text(left))
    if decision.state is not State.FINAL:
        assert (decision.final, decision.certificate) == (None, None)
        return
    rules, certificate = json.loads(policy), decision.certificate
    assert certificate is not None
    assert decision.final is not None
    people = [*certificate.passes, *([certificate.qa] if certificate.qa else []), *certificate.expert]
    assert len(certificate.passes) == rules["passes"]
    assert len(set(people)) == len(people)
    assert all(name in PEOPLE for name in people)
    for domain, holders in certificate.domains.items():
        assert len(holders) >= rules["expert_quorum"]
        assert all(domain in PEOPLE[name][1] for name in holders)
    if history["domain"] in ("technical", "financial"):
        assert history["domain"] in certificate.domains
    conflicts = {name for name, compared in decision.comparison.items() if not compared.agreed}
    assert conflicts <= set(decision.final)
    required = [name for name, spec in history["fields"].items() if "required" in spec]
    assert all(decision.final[name].value not in (None, []) for name in required)
    assert {"topics", "entities"} <= set(decision.final)
    if rules["qa"]["when"] == "all":
        assert certificate.qa is not None


@LAWS
@given(histories, policies, leaving)
def test_opinions_change_nothing(history: dict[str, Any], policy: str, left: dict[str, str]) -> None:
    """Without the values of counted reviews that escalate or discard the decision is the same."""
    team = team_text(left)
    whole = counted(history, decided(history, policy, team))
    silent = {
        key: [one | ({"values": {}} if one["decision"] in ("escalate", "discard") else {}) for one in whole[key]]
        for key in ("qa", "expert")
    }
    assert told(decided(whole | silent, policy, team))[0] == told(decided(whole, policy, team))[0]


@LAWS
@given(histories, policies, leaving, st.sampled_from([RULES_1, RULES_2, RULES_3, RULES_4]))
def test_each_version_proves_its_own(
    history: dict[str, Any], policy: str, left: dict[str, str], rules: RulesVersion
) -> None:
    """A record by any version of the rules is verified by that version, and follows."""
    team = team_of(team_text(left))
    decision = decide(parse_history(history), team, policy_of(policy), rules)
    record = json.loads(json.dumps(history | decision.to_json()))
    assert Verifier(team, policy_of(policy)).check(record, 1) == []


@LAWS
@given(histories, policies, leaving)
def test_nobody_is_asked_who_is_excluded(history: dict[str, Any], policy: str, left: dict[str, str]) -> None:
    """Whoever took part may not take the next step, and an awaited step can be taken by somebody."""
    team = team_text(left)
    decision = decided(history, policy, team)
    people = team_of(team).people
    if decision.next is None:
        assert decision.state in (State.FINAL, State.DISCARDED, State.BLOCKED)
        return
    parts = {history[stage.key][index]["by"] for stage in Stage for index in decision.counted[stage]}
    assert set(decision.next.excluded) == parts
    able = {person.id for person in people.values() if may_take(person, decision.next)}
    assert not able & parts
    assert not able & set(left)
    assert bool(able) is (decision.state is not State.BLOCKED)


@LAWS
@given(histories, policies)
def test_taking_the_step_counts(history: dict[str, Any], policy: str) -> None:
    """Whoever may take the awaited step and takes it is counted: the row moves on."""
    decision = decided(history, policy, team_text({}))
    if decision.next is None or decision.state is State.BLOCKED:
        return
    step: NextStep = decision.next
    person = next(one for one in team_of(team_text({})).people.values() if may_take(one, step))
    given_values = {"verdict": "A", "topics": ["A"], "entities": [], "helpfulness": 3}
    done = {"by": person.id, "at": "2026-01-05T11:00:00Z", "values": given_values, "decision": "correct"}
    moved = decided(history | {step.stage.key: [*history[step.stage.key], done]}, policy, team_text({}))
    assert len(history[step.stage.key]) in moved.counted[step.stage]


@LAWS
@given(histories, policies)
def test_a_later_correction_reopens(history: dict[str, Any], policy: str) -> None:
    """A pass corrected after QA leaves no final label that rests on the old one."""
    decision = decided(history, policy, team_text({}))
    if decision.state is not State.FINAL or decision.certificate is None or decision.certificate.qa is None:
        return
    answer = {"verdict": "B", "topics": ["A"], "helpfulness": 3}
    corrected = {"by": decision.certificate.passes[0], "at": "2026-01-05T11:00:00Z", "values": answer}
    again = decided(history | {"passes": [*history["passes"], corrected]}, policy, team_text({}))
    assert again.counted[Stage.QA] == ()
    assert again.counted[Stage.EXPERT] == ()
    assert again.certificate is None or again.certificate.qa is None


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=()), max_size=6)
    | st.just(10**400) | st.sampled_from(["ana", "dag", minute(3), "correct", "escalate", "domain:technical", "A"])
)  # fmt: skip
keys = st.text(max_size=3) | st.sampled_from(
    ["by", "at", "values", "flags", "decision", "reason", "lead_time", "start", "end", "label", "text", "kind",
     "x", "y", "width", "height", "verdict", "entities", "min", "max"]
)  # fmt: skip
junk = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)
kinds = st.sampled_from(["choice", "choices", "spans", "rating", "number", "text", "boxes", "segments"])


def spoiled(sound: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Something sound, or a sound object with one part exchanged, or nothing like it."""
    return sound | st.tuples(sound, keys, junk).map(lambda parts: _with(*parts)) | junk


def _with(whole: Any, key: str, part: Any) -> Any:
    return whole | {key: part} if isinstance(whole, dict) else part


wild_values = st.dictionaries(keys, junk | st.lists(st.fixed_dictionaries({
    "start": scalars, "end": scalars, "label": scalars, "x": scalars, "y": scalars, "width": scalars, "height": scalars,
}), max_size=3), max_size=3)  # fmt: skip
wild_submission = st.fixed_dictionaries({
    "by": st.sampled_from(list(PEOPLE)), "at": st.integers(0, 59).map(minute), "values": wild_values,
    "decision": st.sampled_from(["accept", "correct", "escalate", "discard"]),
    "reason": st.none() | st.text(max_size=3),
})  # fmt: skip
wild_field = st.fixed_dictionaries({"kind": kinds}, optional={"text": junk, "min": junk, "max": junk, "required": junk})
wild_histories = st.fixed_dictionaries({
    "row_id": st.text(st.characters(exclude_categories=()), max_size=4),
    "fields": st.dictionaries(keys, junk | wild_field, max_size=4),
    "domain": junk, "predicted_domain": junk, "auto_label": junk | wild_values,
    "passes": junk | st.lists(spoiled(wild_submission), max_size=4),
    "qa": junk | st.lists(spoiled(wild_submission), max_size=3),
    "expert": junk | st.lists(spoiled(wild_submission), max_size=3),
})  # fmt: skip


@settings(LAWS, max_examples=examples(480))
@given(wild_histories, policies)
def test_total(history: dict[str, Any], policy: str) -> None:
    """Whatever JSON can hold, there is a decision, and it is JSON."""
    decided(history, policy, team_text({}))
