"""`shortages` against brute force over `decide`: every order in which people could take a row's steps is tried."""

from __future__ import annotations

import json
from functools import lru_cache
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from review_rules import Policy, Stage, State, Team, decide, load_policy, load_team, may_take, parse_history
from review_rules.sampling import in_share
from review_rules.staffing import Shortage, shortages
from tests.support.laws import examples

SAMPLED = next(name for name in (f"r{number}" for number in count()) if in_share(name, 0.5, "qa"))
"""A row of the sample: whether a team can finish rows of the sample is what `shortages` says of them."""

people = st.fixed_dictionaries(
    {
        "roles": st.lists(st.sampled_from(["annotator", "qa", "expert", "manager"]), max_size=3, unique=True),
        "expertise": st.lists(st.sampled_from(["legal", "medical"]), max_size=2, unique=True),
    },
    optional={"left": st.just("2020-01-01T00:00:00Z")},
)
teams = st.lists(people, max_size=5).map(
    lambda drawn: json.dumps({"people": [{"id": "abcde"[place], **one} for place, one in enumerate(drawn)]})
)
policies = st.fixed_dictionaries(
    {
        "passes": st.integers(1, 3),
        "qa": st.sampled_from(
            [{"when": "all"}, {"when": "conflict"}, {"when": "sample", "share": 0}, {"when": "sample", "share": 0.5}]
        ),
        "expert_domains": st.just(["legal", "medical"]),
        "expert_quorum": st.integers(1, 3),
        "escalate_when": st.sampled_from(
            [[], [], ["domain == 'legal'"], ["agreement.verdict == 1.0"], ["agreement.nothing < 1.0"]]
        ),
        "fields": st.just({"verdict": {"agree": "exact"}}),
    }
).map(json.dumps)
domains = st.sampled_from(["", "general", "legal", "medical", "unknown here"])


@lru_cache(maxsize=1024)
def policy_of(text: str) -> Policy:
    """The policy of a file."""
    return load_policy(text)


def can_finish(team: Team, policy: Policy, domain: str) -> bool:
    """Whether some sequence of people, each allowed to take the awaited step, ends with a FINAL row."""
    tried: set[str] = set()

    def goes_on(steps: tuple[tuple[Stage, str], ...]) -> bool:
        row: dict[str, Any] = {
            "row_id": SAMPLED,
            "domain": domain,
            "fields": {"verdict": {"kind": "choice"}},
            **{stage.key: [] for stage in Stage},
        }
        for minute, (stage, who) in enumerate(steps):
            word = {} if stage is Stage.PASS else {"decision": "accept"}
            done = {"by": who, "at": f"2026-01-05T10:{minute:02}:00Z", "values": {"verdict": "A"}} | word
            row[stage.key].append(done)
        decision = decide(parse_history(row), team, policy)
        if decision.state is State.FINAL:
            return True
        if decision.next is None or decision.state is State.BLOCKED:
            return False
        for person in team.people.values():
            if may_take(person, decision.next):
                further = (*steps, (decision.next.stage, str(person.id)))
                # Who took the passes counts, and not in which order.
                reached = json.dumps(sorted(further))
                if reached not in tried:
                    tried.add(reached)
                    if goes_on(further):
                        return True
        return False

    return goes_on(())


def with_cure(team: str, lacks: tuple[Shortage, ...]) -> str:
    """The team with just the people whom the shortages ask for."""
    whole = json.loads(team)
    for lack in lacks:
        for number in range(lack.people):
            whole["people"].append(
                {
                    "id": f"new-{lack.stage}-{lack.domain}-{number}",
                    "roles": [{Stage.PASS: "annotator", Stage.QA: "qa", Stage.EXPERT: "expert"}[lack.stage]],
                    "expertise": [] if lack.domain is None else [lack.domain],
                }
            )
    return json.dumps(whole)


@settings(max_examples=examples(480), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(teams, policies, domains)
def test_a_shortage_is_told_if_and_only_if_no_sequence_ends_final(team: str, policy: str, domain: str) -> None:
    """A team has no shortage exactly if its people can bring a row to its end; those who are told are enough."""
    rules, people = policy_of(policy), load_team(team)
    lacks = shortages(people, rules, [domain])
    assert (not lacks) is can_finish(people, rules, domain)
    assert all(lack.rows == (domain,) and lack.people > 0 for lack in lacks)
    cured = load_team(with_cure(team, lacks))
    assert shortages(cured, rules, [domain]) == ()
    assert can_finish(cured, rules, domain)


@settings(max_examples=examples(60), deadline=None)
@given(teams, policies)
def test_all_domains_at_once_say_what_each_says(team: str, policy: str) -> None:
    """The shortages of a policy are those of its domains together, and their cures cure all."""
    rules, people = policy_of(policy), load_team(team)
    together = shortages(people, rules)
    every = ("", "general", *rules.expert_domains)
    assert {domain for lack in together for domain in lack.rows} == {
        domain for domain in every if shortages(people, rules, [domain])
    }
    assert shortages(load_team(with_cure(team, together)), rules) == ()


TWO_BLIND = "{id: ana, roles: [annotator]}, {id: ben, roles: [annotator]}"
TOLD = {
    "nobody-for-qa": (
        TWO_BLIND,
        [""],
        "rows without a domain cannot become final: 1 person is missing for QA. In the team file, give the role "
        "`expert` or `qa` to ops; or add somebody with the role `expert` or `qa`.",
    ),
    "the-only-expert-is-a-manager": (
        TWO_BLIND + ", {id: cleo, roles: [qa]}, {id: max, roles: [manager], expertise: [legal]}",
        ["", "legal"],
        "rows of the domain legal cannot become final: 1 person is missing for QA, with the expertise legal. In the "
        "team file, give the role `expert` or `qa` to max; or give the expertise legal to cleo, if they have it; or "
        "add somebody with the role `expert` or `qa` and the expertise legal.",
    ),
    "nobody-at-all": (
        "",
        ["", "general", "legal"],
        "rows of the domain general or legal and rows without a domain cannot become final: 2 people are missing for "
        "the passes. In the team file, for each of the 2, give the role `annotator` to ops; or add somebody with the "
        "role `annotator`.",
    ),
    "many-who-could": (
        TWO_BLIND + "".join(f", {{id: m{number}, roles: [manager]}}" for number in range(7)),
        [""],
        "rows without a domain cannot become final: 1 person is missing for QA. In the team file, give the role "
        "`expert` or `qa` to m0, m1, m2, m3, m4 or 3 more; or add somebody with the role `expert` or `qa`.",
    ),
}


@pytest.mark.parametrize(("people", "rows", "told"), TOLD.values(), ids=list(TOLD))
def test_the_sentence_says_who_could_cure_it(people: str, rows: list[str], told: str) -> None:
    """What is missing, and whom to give what; a team of thousands is not named whole."""
    team = load_team(f"people: [{people}{', ' if people else ''}{{id: ops, roles: [manager]}}]")
    lack = shortages(team, load_policy("expert_domains: [legal]"), rows)[0]
    assert str(lack) == told
    assert lack.to_json()["message"] + ". " + lack.to_json()["hint"] == told


def test_a_team_that_can_finish_lacks_nobody() -> None:
    """An expert who does QA covers the quorum of his domain."""
    team = load_team(f"people: [{TWO_BLIND}, {{id: dag, roles: [expert], expertise: [legal]}}]")
    assert shortages(team, load_policy("expert_domains: [legal]")) == ()


def test_an_escalation_that_every_row_meets_needs_an_expert_more() -> None:
    """The expert may have had no part in the row before."""
    team = load_team(f"people: [{TWO_BLIND}, {{id: cleo, roles: [qa]}}]")
    (lack,) = shortages(team, load_policy("{escalate_when: [\"domain == ''\"], expert_domains: []}"), [""])
    assert (lack.stage, lack.domain, lack.people) == (Stage.EXPERT, None, 1)
