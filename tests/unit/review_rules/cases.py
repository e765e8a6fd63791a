"""Small histories for the tests of the rules: a team, a policy and builders that say only what a test is about."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from review_rules import Decision, Policy, Team, decide, load_policy, load_team, parse_history

TEAM = """\
people:
  - {id: ana,  roles: [annotator]}
  - {id: ben,  roles: [annotator], expertise: [financial]}
  - {id: cleo, roles: [annotator, qa]}
  - {id: dag,  roles: [expert, qa], expertise: [technical, financial]}
  - {id: eli,  roles: [annotator, qa], left: 2026-01-05T10:30:00Z}
  - {id: fay,  roles: [expert], expertise: [financial]}
  - {id: gus,  roles: [expert]}
  - {id: hal,  roles: [annotator]}
  - {id: ida,  roles: [qa]}
  - {id: ops,  roles: [manager]}
  - {id: tom,  roles: [expert], expertise: [technical]}
"""
VERDICT = {"verdict": {"kind": "choice"}}
TEXT = "Acme Corp paid Bob 5 dollars"


@lru_cache
def team_of(text: str) -> Team:
    """The team of a file."""
    return load_team(text)


@lru_cache
def policy_of(text: str) -> Policy:
    """The policy of a file; an empty one has every default and compares the verdict exactly."""
    verdict = "fields: {verdict: {agree: exact}}"
    if "fields" in text:
        return load_policy(text)
    return load_policy(text.removesuffix("}") + f", {verdict}}}" if text.startswith("{") else f"{text}\n{verdict}")


def at(minute: float) -> str:
    """A time that many minutes after ten."""
    seconds = round(minute * 60)
    return f"2026-01-05T{10 + seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}Z"


def sub(by: str | None, minute: float, /, decision: str | None = None, **more: Any) -> dict[str, Any]:
    """One submission: `values` by keyword for fields, or as a whole under `values`; flags and reason likewise."""
    known = ("at", "flags", "reason", "lead_time", "values")
    values = more.get("values", {name: value for name, value in more.items() if name not in known})
    out = {"by": by, "at": at(minute), "values": values, "flags": [], "reason": None}
    out |= {name: more[name] for name in known if name in more}
    return out if decision is None else out | {"decision": decision}


def row(
    passes: Iterable[Any] = (),
    qa: Iterable[Any] = (),
    expert: Iterable[Any] = (),
    fields: Mapping[str, Any] = VERDICT,
    **more: Any,
) -> dict[str, Any]:
    """One history."""
    whole: dict[str, Any] = {"row_id": "r1", "fields": dict(fields), "passes": list(passes)}
    return whole | {"qa": list(qa), "expert": list(expert)} | more


def see(history: Mapping[str, Any], policy: str = "", team: str = TEAM) -> Decision:
    """The decision on a history that went through JSON, checked to be valid JSON itself."""
    decision = decide(parse_history(json.loads(json.dumps(history))), team_of(team), policy_of(policy))
    json.dumps(decision.to_json(), allow_nan=False)
    return decision


def ids(decision: Decision) -> list[str]:
    """The ids of the findings."""
    return [found.id for found in decision.findings]


def at_path(decision: Decision, path: str) -> list[str]:
    """The ids of the findings at a path."""
    return [found.id for found in decision.findings if found.path == path]


def agreeing(value: str = "A") -> list[dict[str, Any]]:
    """Two passes that agree."""
    return [sub("ana", 0, verdict=value), sub("cleo", 1, verdict=value)]


def disagreeing() -> list[dict[str, Any]]:
    """Two passes in conflict."""
    return [sub("ana", 0, verdict="A"), sub("cleo", 1, verdict="B")]
