"""Policy and team files as people get them wrong: each fault with its place and a hint."""

# ruff: noqa: E501  (quotes and messages stand whole)

from __future__ import annotations

import pytest

from review_rules import FaultsError, load_policy, load_team
from review_rules.files.located import read_yaml


def faults(text: str, team: bool = False) -> list[str]:
    """The faults of a file, as the terminal shows them."""
    with pytest.raises(FaultsError) as caught:
        load_team(text, name="f") if team else load_policy(text, name="f")
    assert str(caught.value) == "\n".join(map(str, caught.value.faults))
    return [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "f:1:1: the file is empty. Start from the example in docs/rules.md."),
        ("# nothing", "f:1:1: the file is empty. Start from the example in docs/rules.md."),
        ("qa: [1", "f:1:7: this is not YAML: expected ',' or ']', but got '<stream end>'. Check indentation, quotes and brackets."),
        ("a: b: c", "f:1:5: this is not YAML: mapping values are not allowed here. Check indentation, quotes and brackets."),
        ("a: 1\n---\nb: 2", "f:2:1: this is not YAML: but found another document. Check indentation, quotes and brackets."),
        ("a: *x", "f:1:4: this is not YAML: found undefined alias 'x'. Check indentation, quotes and brackets."),
        ("a: 1\nb: \x01", "f:2:4: the character U+0001 is not allowed in YAML. Remove it."),
        ("- 1", "f:1:1: this should be a mapping, but is a list. Write `key: value` pairs here."),
        ("passes: '2'", "f:1:9: passes: this should be a whole number, at least 1, but is the text `2`. Write 1 or more."),
        ("passes: {}", "f:1:9: passes: this should be a whole number, at least 1, but is a mapping. Write 1 or more."),
        ("version: 7", "f:1:10: version: version 7 of the policy is not known here. Write `version: 1`, or update Quorum."),
        ("1: 2", "f:1:1: 1: this key is not text. Put it in quotes."),
        ("? [a]\n: 2", "f:1:3: this key is not text. Put it in quotes."),
        ("passes: 1\npasses: 2", "f:2:1: passes: the key `passes` stands here twice. Remove one; the first is on line 1."),
        ("prelabel: {withhold: .nan}", "f:1:22: prelabel.withhold: this should be a number, but is `.nan`. Write a number between 0 and 1."),
        ("prelabel: {withhold: .inf}", "f:1:22: prelabel.withhold: this should be a number, but is `.inf`. Write a number between 0 and 1."),
        ("prelabel: {withhold: [1]}", "f:1:22: prelabel.withhold: this should be a number, but is a list. Write a number between 0 and 1."),
        ("fields: {a: {agree: tolerance, tolerance: -1}}", "f:1:43: fields.a.tolerance: -1 is out of range. Write a number of at least 0."),
        ("escalate_when: ['']", "f:1:17: escalate_when[0]: this text is empty. Write something, or remove the key."),
        ("escalate_when:\n- |\n  size(\n  flags", "f:2:3: escalate_when[0]: this is not CEL: missing ')' at '<EOF>'. See escalate_when in docs/rules.md."),
        ("passes: " + "[" * 3000 + "]" * 3000, "f:1:58: the brackets are nested too deep. Our files are a few levels deep; see the example in docs/rules.md."),
        ("a:\n  " + "{a: " * 3000 + "1" + "}" * 3000, "f:2:199: the brackets are nested too deep. Our files are a few levels deep; see the example in docs/rules.md."),
        ("expert_domains: ['*']", "f:1:18: expert_domains[0]: `*` is no domain. Name each domain that needs an expert."),
        ("passes: " + "9" * 200, "f:1:9: passes: this should be a whole number, at least 1, but is `" + "9" * 40 + "…`. Write 1 or more."),
    ],
)  # fmt: skip
def test_policy_faults(text: str, fault: str) -> None:
    """One line a fault: where, what, what to do."""
    assert faults(text) == [fault]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("people:", "f:1:8: people: this should be a list, but is empty. Write `[a, b]`, or one `- item` a line."),
        ("people: [{id: a, roles: [qa], left: 2026-01-31}]", "f:1:37: people[0].left: this is no time with an offset. Write it as 2026-01-31T17:00:00Z."),
        ("people: [{id: a, roles: [qa], left: [x]}]", "f:1:37: people[0].left: this is no time with an offset. Write it as 2026-01-31T17:00:00Z."),
        ("people: [{id: a, roles: [qa], expertise: ['*']}]", "f:1:43: people[0].expertise[0]: `*` is no domain. Name the domains one by one."),
        ("people: [{id: a, roles: [qa], email: x}]", "f:1:38: people[0].email: `x` is no email address. Write it as name@example.com."),
        ("people: [{roles: [qa]}]", "f:1:10: people[0]: the key `id` is missing. Add `id: …`."),
    ],
)  # fmt: skip
def test_team_faults(text: str, fault: str) -> None:
    """One line a fault: where, what, what to do."""
    assert faults(text, team=True) == [fault]


def test_faults_stand_in_the_order_of_the_file() -> None:
    """Two people who share an id and an address, and a role that nobody has."""
    text = "people:\n- {id: a, roles: [bos], email: a@b.c}\n- {id: a, roles: [qa], email: A@B.C}\n"
    assert [fault.split(":")[1] for fault in faults(text, team=True)] == ["2", "3", "3"]


@pytest.mark.parametrize(("written", "value"), [("0x10", 16), ("0o17", 15), ("1_000", 1000), ("012", 12)])
def test_whole_numbers(written: str, value: int) -> None:
    """Whole numbers as YAML 1.2 has them; a leading zero changes nothing."""
    assert load_policy(f"passes: {written}").passes == value


@pytest.mark.parametrize(("written", "value"), [("1e3", 1000.0), ("12", 12), ("0.5", 0.5)])
def test_numbers(written: str, value: float) -> None:
    """A target in any form."""
    assert load_policy(f"targets: {{rows_per_hour: {written}}}").targets.rows_per_hour == value


def test_json_is_yaml() -> None:
    """A policy that a program wrote as JSON loads too."""
    assert load_policy('{"passes": 3, "fields": {"a": {"agree": "iou_f1", "iou": 0.7}}}').fields["a"].iou == 0.7


def test_a_file_that_refers_to_itself() -> None:
    """An anchor inside itself is a fault like any other, not an endless walk."""
    assert faults("fields: &x {a: *x}") == [
        "f:1:9: fields.a: the key `agree` is missing. Add `agree: …`.",
        "f:1:13: fields.a.a: unknown key `a`. Use one of agree, kind, match, threshold, iou, tolerance.",
    ]


def test_places_count_from_one() -> None:
    """Line and column as editors count them."""
    root = read_yaml("a: 1", "f")
    assert (root.line, root.column) == (1, 1)
