"""The JSON schemas and the loaders say the same of the same files."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from review_rules import FaultsError, load_policy, load_team
from review_rules.files.schema import policy_schema, team_schema

POLICIES: list[tuple[str, bool]] = [
    ("{}", True),
    ("version: 1", True),
    ("version: 2", False),
    ("version: '1'", False),
    ("passes: 1", True),
    ("passes: 0", False),
    ("passes: 1.5", False),
    ("passes: two", False),
    ("passes: true", False),
    ("passes:", False),
    ("qa: {when: all}", True),
    ("qa: {when: sample, share: 0.1}", True),
    ("qa: {when: sample}", False),
    ("qa: {when: conflict, share: 0.1}", False),
    ("qa: {when: sample, share: 1.1}", False),
    ("qa: {when: sample, share: half}", False),
    ("qa: {share: 0.1}", False),
    ("qa: all", False),
    ("qa: {when: [all]}", False),
    ("expert_domains: []", True),
    ("expert_domains: [legal]", True),
    ("expert_domains: [legal, legal]", False),
    ("expert_domains: [general]", False),
    ("expert_domains: ['']", False),
    ("expert_domains: ['*']", False),
    ("expert_domains: [1]", False),
    ("expert_domains: legal", False),
    ("expert_domains:", False),
    ("expert_quorum: 2", True),
    ("expert_quorum: 0", False),
    ("escalate_when:", True),
    ("escalate_when: ['true']", True),
    ("escalate_when: [true]", False),
    ("escalate_when: 'true'", False),
    (f"escalate_when: ['{'true || ' * 249}true']", True),
    (f"escalate_when: ['{'true || ' * 250}true']", False),
    ("proposal: passes+auto", True),
    ("proposal: auto", False),
    ("fields:", True),
    ("fields: {a: {agree: exact}}", True),
    ("fields: {a: {agree: exact, kind: text}}", True),
    ("fields: {a: {agree: jaccard, kind: text}}", False),
    ("fields: {a: {agree: jaccard, kind: [text]}}", False),
    ("fields: {a: {agree: jaccard, threshold: 0.5}}", True),
    ("fields: {a: {agree: jaccard, threshold: 2}}", False),
    ("fields: {a: {agree: jaccard, iou: 0.5}}", False),
    ("fields: {a: {agree: span_f1, match: overlap, threshold: 0}}", True),
    ("fields: {a: {agree: span_f1, match: loose}}", False),
    ("fields: {a: {agree: tolerance, tolerance: 1.5}}", True),
    ("fields: {a: {agree: tolerance, tolerance: -1}}", False),
    ("fields: {a: {agree: iou_f1, iou: 0.5}}", True),
    ("fields: {a: {agree: iou_f1, match: strict}}", False),
    ("fields: {a: {}}", False),
    ("fields: {a: exact}", False),
    ("fields: [a]", False),
    ("prelabel: {withhold: 0.5}", True),
    ("prelabel: {}", True),
    ("prelabel:", True),
    ("prelabel: {withhold: -0.5}", False),
    ("qualification: {rows: known.jsonl, bar: 0.8}", True),
    ("qualification:", True),
    ("qualification: {rows: known.jsonl}", False),
    ("qualification: {bar: 0.8}", False),
    ("qualification: {rows: known.jsonl, bar: 2}", False),
    ("qualification: {rows: 10, bar: 0.8}", False),
    ("qualification: {rows: '', bar: 0.8}", False),
    ("qualification: {rows: known.jsonl, bar: 0.8, tries: 2}", False),
    ("qualification: {rows: a, bar: 1, stages: {qa: 0.9, expert: 1}, domains: {x: 0.5}, fields: {y: 1}}", True),
    ("qualification: {rows: a, bar: 1, weeks: 8, guidelines: true}", True),
    ("qualification: {rows: a, bar: 1, weeks: null}", True),
    ("qualification: {rows: a, bar: 1, weeks: 0}", False),
    ("qualification: {rows: a, bar: 1, stages: {pass: 0.9}}", False),
    ("qualification: {rows: a, bar: 1, domains: {x: 2}}", False),
    ("practice: {rows: practice.jsonl, paid: true}", True),
    ("practice:", True),
    ("practice: {paid: true}", False),
    ("practice: {rows: a, paid: yes please}", False),
    ("targets: {rows_per_hour: 100, agreement: null, accuracy: 0.9}", True),
    ("targets: {agreement: 90}", False),
    ("targets: {speed: 1}", False),
    ("targets:", True),
    ("pases: 2", False),
    ("[]", False),
    ("policy", False),
]
TEAMS: list[tuple[str, bool]] = [
    ("people: []", True),
    ("people: [{id: a, roles: []}]", True),
    (
        "people: [{id: a, roles: [qa, expert], expertise: [x], email: a@b.org, hours_per_week: 20, rate_per_hour: 5}]",
        True,
    ),
    ("people: [{id: a, roles: [qa], left: '2026-01-31T17:00:00Z'}]", True),
    ("people: [{id: a, roles: [qa], left: null, expertise: null, hours_per_week: null, rate_per_hour: null}]", True),
    ("people: [{id: a, roles: [qa], left: 5}]", False),
    ("people: [{id: a, roles: [boss]}]", False),
    ("people: [{id: a, roles: qa}]", False),
    ("people: [{id: a, roles: [[qa]]}]", False),
    ("people: [{id: a}]", False),
    ("people: [{roles: [qa]}]", False),
    ("people: [{id: 7, roles: [qa]}]", False),
    ("people: [{id: '', roles: [qa]}]", False),
    ("people: [{id: a, roles: [qa], email: nowhere}]", False),
    ("people: [{id: a, roles: [qa], email: 'a b@c.org'}]", False),
    ("people: [{id: a, roles: [qa], email: null}]", False),
    ("people: [{id: a, roles: [qa], expertise: ['*']}]", False),
    ("people: [{id: a, roles: [qa], expertise: [5]}]", False),
    ("people: [{id: a, roles: [qa], hours_per_week: 200}]", False),
    ("people: [{id: a, roles: [qa], rate_per_hour: -1}]", False),
    ("people: [{id: a, roles: [qa], salary: 1}]", False),
    ("people: {id: a}", False),
    ("people: [a]", False),
    ("persons: []", False),
    ("{}", False),
]


def _plain(text: str) -> Any:
    """The file as an editor's language server sees it."""
    return YAML(typ="safe").load(text)


@pytest.mark.parametrize(("text", "sound"), POLICIES, ids=[text[:70] for text, _ in POLICIES])
def test_policy_schema_and_loader_agree(text: str, sound: bool) -> None:
    """What the schema refuses does not load, and what does not load it refuses."""
    assert jsonschema.Draft202012Validator(policy_schema()).is_valid(_plain(text)) is sound
    if sound:
        load_policy(text)
    else:
        with pytest.raises(FaultsError):
            load_policy(text)


@pytest.mark.parametrize(("text", "sound"), TEAMS, ids=[text for text, _ in TEAMS])
def test_team_schema_and_loader_agree(text: str, sound: bool) -> None:
    """What the schema refuses does not load, and what does not load it refuses."""
    assert jsonschema.Draft202012Validator(team_schema()).is_valid(_plain(text)) is sound
    if sound:
        load_team(text)
    else:
        with pytest.raises(FaultsError):
            load_team(text)


@pytest.mark.parametrize("schema", [policy_schema(), team_schema()])
def test_schemas_are_schemas(schema: dict[str, Any]) -> None:
    """Both follow the dialect that they name."""
    jsonschema.Draft202012Validator.check_schema(schema)


def test_defaults_in_the_schema_load() -> None:
    """What an editor offers as the default is a policy."""
    defaults = {name: spec["default"] for name, spec in policy_schema()["properties"].items()}
    assert jsonschema.Draft202012Validator(policy_schema()).is_valid(defaults)
