"""Laws of returned rows: who is asked again, what a return outdates, and that a row comes to its end all the same."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from review_rules import Decision, Stage, State, decide, may_take, parse_history
from review_rules.verify import Verifier
from review_rules.versions import RULES_3, RULES_4, RulesVersion
from tests.property.test_decide_laws import (
    FIELDS,
    LAWS,
    PEOPLE,
    decided,
    leaving,
    minute,
    policy_of,
    submissions,
    team_of,
    team_text,
    told,
)
from tests.support.laws import examples

ANNOTATORS = tuple(name for name, (roles, _) in PEOPLE.items() if "annotator" in roles)
MANY = settings(LAWS, max_examples=examples(200))

passes = st.fixed_dictionaries(
    {
        "by": st.sampled_from(ANNOTATORS),
        "at": st.integers(0, 59).map(minute),
        "values": st.fixed_dictionaries({"verdict": st.sampled_from("AB"), "topics": st.just([])}),
    }
)
returns = st.fixed_dictionaries(
    {
        "by": st.sampled_from(["dag", "gus", "gus", "ben"]),
        "at": st.integers(10, 59).map(minute),
        "decision": st.just("return"),
        "to": st.lists(st.sampled_from([*ANNOTATORS, "zoe"]), max_size=2) | st.just("ana"),
        "reason": st.sampled_from(["why", "why", "why", None]),
        "values": st.sampled_from([{}, {"verdict": "C"}]),
    }
)
histories = st.fixed_dictionaries(
    {
        "row_id": st.sampled_from(["r1", "r2", "r3"]),
        "fields": st.just(FIELDS),
        "domain": st.sampled_from([None, "technical"]),
        "passes": st.lists(passes, min_size=2, max_size=6),
        "qa": st.lists(returns | returns | submissions(True), min_size=1, max_size=5),
        "expert": st.lists(submissions(True), max_size=2),
        "reopened": st.sampled_from([None, None, None, [{"at": minute(30)}]]),
    }
)
policies = st.fixed_dictionaries(
    {
        "passes": st.integers(1, 2),
        "qa": st.sampled_from([{"when": "all"}, {"when": "conflict"}]),
        "returns": st.integers(0, 3).map(lambda most: {"most": most}),
        "fields": st.just({"verdict": {"agree": "exact"}}),
    }
).map(json.dumps)


def counted_returns(history: dict[str, Any], decision: Decision) -> list[dict[str, Any]]:
    """The returns that count, in order of time."""
    return [history["qa"][place] for place in decision.returns]


@MANY
@given(histories, policies, leaving, st.randoms(use_true_random=False))
def test_order_of_returns(history: dict[str, Any], policy: str, left: dict[str, str], draw: random.Random) -> None:
    """A decision is the same whatever the order of the submissions."""
    shuffled = {stage.key: draw.sample(history[stage.key], len(history[stage.key])) for stage in Stage}
    team = team_text(left)
    assert told(decided(history, policy, team)) == told(decided(history | shuffled, policy, team))


@MANY
@given(histories, policies, leaving)
def test_each_counts_or_has_a_finding(history: dict[str, Any], policy: str, left: dict[str, str]) -> None:
    """Every submission counts, is a return that counts, or has exactly one finding at its path."""
    decision = decided(history, policy, team_text(left))
    reasons = ("QR.W02", "QR.W03", "QR.W050", "QR.W06")
    at = Counter(found.path for found in decision.findings if found.id.startswith(reasons))
    for stage in Stage:
        for index in range(len(history[stage.key])):
            counts = index in decision.counted[stage] or (stage is Stage.QA and index in decision.returns)
            assert at[f"{stage.key}[{index}]"] == (not counts)


@MANY
@given(histories, policies, leaving)
def test_what_a_return_outdates(history: dict[str, Any], policy: str, left: dict[str, str]) -> None:
    """No more returns count than the policy allows, and what counts of the row is later than they are."""
    decision = decided(history, policy, team_text(left))
    done = counted_returns(history, decision)
    assert len(done) <= json.loads(policy)["returns"]["most"]
    assert [review["at"] for review in done] == sorted({review["at"] for review in done})
    for index in decision.counted[Stage.PASS]:
        entry = history["passes"][index]
        assert all(entry["at"] > review["at"] for review in done if entry["by"] in review["to"])
        assert all(entry["at"] < review["at"] for review in done if entry["by"] == review["by"])
    if done:
        assert all(history["qa"][index]["at"] > done[-1]["at"] for index in decision.counted[Stage.QA])
        # Somebody has looked at what came back, whatever the policy samples.
        assert decision.state is not State.FINAL or decision.counted[Stage.QA]


@MANY
@given(histories, policies, leaving)
def test_who_is_asked_after_a_return(history: dict[str, Any], policy: str, left: dict[str, str]) -> None:
    """Those who were named are asked again, nobody else takes their place, and nobody who has read the answers."""
    team = team_text(left)
    decision, people = decided(history, policy, team), team_of(team).people
    done, step = counted_returns(history, decision), decision.next
    if step is None or step.stage is not Stage.PASS or not done:
        assert step is None or not step.returned
        return
    able = {person.id for person in people.values() if may_take(person, step)}
    assert set(step.returned) <= able
    assert not able & {review["by"] for review in done}
    assert all(any(person in review["to"] for review in done) for person in step.returned)
    assert len(step.returned) + step.others == json.loads(policy)["passes"] - len(decision.counted[Stage.PASS])
    assert step.others or able == set(step.returned) or not step.returned


@MANY
@given(histories, policies)
def test_coming_in_again_counts(history: dict[str, Any], policy: str) -> None:
    """Whoever is asked again and answers takes the row further, to QA once all of them have."""
    decision = decided(history, policy, team_text({}))
    if decision.next is None or not decision.next.returned or decision.next.others:
        return
    more = [
        {"by": person, "at": minute(59).replace("T10", "T11"), "values": {"verdict": "A"}}
        for person in decision.next.returned
    ]
    moved = decided(history | {"passes": [*history["passes"], *more]}, policy, team_text({}))
    assert moved.next is not None
    assert moved.next.stage is Stage.QA
    assert moved.returns == decision.returns


@MANY
@given(histories, policies, leaving, st.sampled_from([RULES_3, RULES_4]))
def test_records_of_returned_rows(
    history: dict[str, Any], policy: str, left: dict[str, str], rules: RulesVersion
) -> None:
    """A record with returns is proved by the version of the rules that made it."""
    team = team_of(team_text(left))
    decision = decide(parse_history(history), team, policy_of(policy), rules)
    record = json.loads(json.dumps(history | decision.to_json()))
    assert Verifier(team, policy_of(policy)).check(record, 1) == []


@MANY
@given(histories, policies, leaving)
def test_returns_that_are_not_allowed(history: dict[str, Any], policy: str, left: dict[str, str]) -> None:
    """Under a policy without returns the row stands as if nobody had written one."""
    team, strict = team_text(left), json.dumps(json.loads(policy) | {"returns": None})
    without = history | {"qa": [review for review in history["qa"] if review["decision"] != "return"]}
    assert told(decided(history, strict, team))[0] == told(decided(without, strict, team))[0]
