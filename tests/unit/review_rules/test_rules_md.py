"""One test for every sentence of docs/rules.md; each test quotes the sentences that it is about."""

# ruff: noqa: E501  (quotes and messages stand whole)

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from review_rules import (
    Decision,
    FaultsError,
    HistoryError,
    Kind,
    NextStep,
    PersonId,
    Stage,
    State,
    decide,
    load_policy,
    load_team,
    may_take,
    parse_history,
    withheld,
)
from review_rules.files.policy import Acknowledge, Disputes, Order, Practice, Qualification, Returns, Skips
from review_rules.files.schema import policy_schema, team_schema
from review_rules.findings import RULES
from review_rules.pre_annotation import values_hash
from review_rules.seals import Digest
from review_rules.verify import Verifier
from review_rules.versions import CURRENT, RULES_1, RULES_2, RULES_3
from tests.unit.review_rules.cases import (
    TEAM,
    TEXT,
    agreeing,
    at,
    at_path,
    disagreeing,
    ids,
    policy_of,
    row,
    see,
    sub,
    team_of,
)

DOC = Path(__file__).parents[3] / "docs" / "rules.md"
QUOTED: dict[str, str] = {}
Test = Callable[..., None]


def rule(*sentences: str) -> Callable[[Test], Test]:
    """Say which sentences of docs/rules.md a test is about."""

    def quote(test: Test) -> Test:
        QUOTED.update(dict.fromkeys(sentences, test.__name__))
        return test

    return quote


def sentences() -> list[str]:
    """Every rule of docs/rules.md: the items of its lists."""
    return re.findall(r"^- (.+)$", DOC.read_text(encoding="utf-8"), flags=re.MULTILINE)


def test_every_sentence_has_a_test() -> None:
    """A sentence of the rules without a test, or a test of a sentence that is gone, is a fault."""
    assert set(QUOTED) == set(sentences())


def test_no_sentence_stands_twice() -> None:
    """A rule is said once."""
    assert len(sentences()) == len(set(sentences())) > 100


# The two files.


@rule(
    "What a policy leaves out has the value shown above, `fields` is empty and `expert_domains` is technical and "
    "financial."
)
def test_policy_defaults() -> None:
    """An empty policy equals the one in the document, but for its fields."""
    shown = re.findall(r"```yaml\n(.*?)```", DOC.read_text(encoding="utf-8"), flags=re.DOTALL)[1]
    documented, bare = load_policy(shown).to_json(), load_policy("{}").to_json()
    assert set(documented.pop("fields")) == {"verdict", "topics", "entities", "helpfulness", "regions"}
    assert bare.pop("fields") == {}
    assert documented == bare


@pytest.mark.parametrize(
    ("text", "line", "column", "path"),
    [
        ("passes: 2\npases: 2", 2, 1, "pases"),
        ("qa:\n  when: al", 2, 9, "qa.when"),
        ("fields:\n  verdict: {agree: exactly}", 2, 20, "fields.verdict.agree"),
        ("fields:\n  verdict: {agree: exact, kind: chioce}", 2, 33, "fields.verdict.kind"),
        ("escalate_when:\n  - \"domian == 'x'\"", 2, 6, "escalate_when[0]"),
        ('escalate_when: ["size(flags) > 1 && foo(domain)"]', 1, 37, "escalate_when[0]"),
    ],
)
@rule("An unknown key, role, kind, measure or CEL name is an error with file, line and column.")
def test_unknown_names_of_a_policy(text: str, line: int, column: int, path: str) -> None:
    """The fault stands where the name does."""
    with pytest.raises(FaultsError) as caught:
        load_policy(text, name="p.yaml")
    (fault,) = caught.value.faults
    assert (fault.file, fault.line, fault.column, fault.path) == ("p.yaml", line, column, path)


def test_unknown_role() -> None:
    """A role that is misspelt is named with its place, and the likeliest one is offered."""
    with pytest.raises(FaultsError) as caught:
        load_team("people:\n  - {id: ana, roles: [anotator]}", name="t.yaml")
    assert str(caught.value) == ("t.yaml:2:23: people[0].roles[0]: unknown role `anotator`. Did you mean `annotator`?")


@pytest.mark.parametrize(
    "text",
    [
        "people: [{id: ana, roles: [annotator]}, {id: ana, roles: [qa]}]",
        "people: [{id: ana, id: ben, roles: [annotator]}]",
        "people: [{id: a, email: x@y.org, roles: []}, {id: b, email: X@y.org, roles: []}]",
    ],
)
@rule("A key, a person or an email address that stands twice is an error.")
def test_twice_is_an_error(text: str) -> None:
    """Whoever stands twice would be two people."""
    with pytest.raises(FaultsError, match="twice"):
        load_team(text)


@rule("All faults of both files are told at once, each with a hint.")
def test_all_faults_at_once() -> None:
    """Five faults in one file are five faults in one error, in the order of the file."""
    text = "passes: 0\nqa: {when: sometimes}\nfoo: 1\nfields: {a: {agree: jacard}}\nprelabel: {withhold: 2}\n"
    with pytest.raises(FaultsError) as caught:
        load_policy(text)
    assert [fault.line for fault in caught.value.faults] == [1, 2, 3, 4, 5]
    assert all(fault.hint for fault in caught.value.faults)


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("fields: {a: {agree: exact, threshold: 1}}", 39),
        ("fields: {a: {agree: jaccard, tolerance: 1}}", 41),
        ("fields: {a: {agree: iou_f1, match: strict}}", 36),
        ("qa: {when: all, share: 0.5}", 24),
        ("qa: {when: sample}", 5),
    ],
)
@rule(
    "A setting that a measure does not have, and a share without `when: sample`, are errors, since nobody would ever "
    "read them."
)
def test_settings_nobody_reads(text: str, column: int) -> None:
    """A setting without effect is a mistake that the file must not hide."""
    with pytest.raises(FaultsError) as caught:
        load_policy(text)
    assert [fault.column for fault in caught.value.faults] == [column]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("domain ==", "this is not CEL"),
        ("domian == 'x'", "unknown name `domian`"),
        ("x && flags.exists(x, x == 'unsure')", "unknown name `x`"),
        ("lower(domain) == 'x'", "unknown function `lower`"),
        ("size(flags)", "this is a number"),
        ("domain", "this is text"),
    ],
)
@rule(
    "An expression must be CEL over `domain`, `flags`, `conflicts`, `agreement` and `auto_label_changed`, and come to "
    "true or false."
)
def test_expressions_are_checked(expression: str, message: str) -> None:
    """What can be known about an expression without a row is known when the policy is loaded."""
    with pytest.raises(FaultsError, match=re.escape(message)):
        load_policy(json.dumps({"escalate_when": [expression]}))
    sound = (
        "domain != 'x' && flags.all(x, x != 'y') && !auto_label_changed && conflicts.size() > 1 || agreement.v < 0.5"
    )
    assert load_policy(json.dumps({"escalate_when": [sound]})).escalate_when == (sound,)


@rule(
    "An expression has at most 2,000 characters, and at most two of the macros all, exists, exists_one, map and filter "
    "stand within each other, so that a row costs little whatever it says."
)
def test_what_an_expression_may_cost() -> None:
    """Two within each other pass, a third is told with its place; strings and neighbours do not count as within."""
    two = "flags.all(a, flags.exists(b, a == b))"
    sound = f"{two} || {two} || domain == 'x.all(c, x.all(d, x.all(e, true)))'"
    assert load_policy(json.dumps({"escalate_when": [sound]})).escalate_when == (sound,)
    with pytest.raises(FaultsError, match="more than 2 of all, exists") as three:
        load_policy(json.dumps({"escalate_when": ["flags.all(a, flags.all(b, flags.all(c, true)))"]}))
    assert [fault.column for fault in three.value.faults] == [56]
    with pytest.raises(FaultsError, match="2,007 characters"):
        load_policy(json.dumps({"escalate_when": ["domain == '" + "x" * 1995 + "'"]}))


@rule(
    "Domains are `general` and the `expert_domains`; another one in the team file is a warning, since a team may serve "
    "several campaigns."
)
def test_unknown_domain_in_the_team_file() -> None:
    """A domain of another campaign does not stop this one."""
    text = "people:\n  - {id: a, roles: [expert], expertise: [general, legal, technical]}"
    team = load_team(text, policy=load_policy("expert_domains: [technical]"))
    assert [(warning.line, warning.column) for warning in team.warnings] == [(2, 51)]
    assert team.people[PersonId("a")].expertise == {"general", "legal", "technical"}
    assert load_team(text).warnings == ()


@rule(
    "A policy's hash is made of its content with every default filled in, so how the file is written does not matter."
)
def test_policy_hash() -> None:
    """Order, comments, spelled-out defaults and 1 for 1.0 change nothing; a rule that changes something does."""
    one = load_policy("passes: 2\nexpert_domains: [technical, financial]\nfields: {a: {agree: jaccard}}")
    other = load_policy("fields: {a: {threshold: 1, agree: jaccard}} # x\nexpert_domains: [financial, technical]")
    assert one.hash == other.hash
    assert re.fullmatch("sha256:[0-9a-f]{64}", one.hash)
    assert load_policy("passes: 3").hash != load_policy("{}").hash


@rule(
    "A team's hash is made of each person's id, roles, expertise and leaving time, sorted by id; addresses, hours and rates "
    "are left out, so that a team file without them proves the same export."
)
def test_team_hash() -> None:
    """Order, addresses and pay change nothing; a role, an expertise and a leaving time do."""
    ana = "{id: ana, roles: [annotator, qa], expertise: [technical, financial]"
    plain = load_team(f"people: [{ana}}}, {{id: ben, roles: [qa]}}]").hash
    told = "email: ana@example.com, hours_per_week: 9, rate_per_hour: 2"
    turned = "{id: ana, expertise: [financial, technical], roles: [qa, annotator]"
    assert load_team(f"people: [{{id: ben, roles: [qa]}}, {turned}, {told}}}]").hash == plain
    assert re.fullmatch("sha256:[0-9a-f]{64}", plain)
    others = [
        "[qa], expertise: [legal]",
        "[expert]",
        "[qa], left: 2026-01-05T10:30:00Z",
        "[qa], left: 2026-01-05T10:31:00Z",
    ]
    hashes = {load_team(f"people: [{ana}}}, {{id: ben, roles: {other}}}]").hash for other in others}
    assert len(hashes | {plain}) == 5
    assert load_team("people: [{id: a, roles: [], left: 2026-01-05T10:30:00Z}]").hash == (
        load_team("people: [{id: a, roles: [], left: '2026-01-05T11:30:00+01:00'}]").hash
    )


@rule("Whether a row is labelled without the auto-label depends on a hash of its id and the withheld share alone.")
def test_withheld() -> None:
    """The share is met, the same for every other setting, and drawn apart from the sample for QA."""
    names = [f"row-{number}" for number in range(4000)]
    policy, other = load_policy("{prelabel: {withhold: 0.25}}"), load_policy("{passes: 1, prelabel: {withhold: 0.25}}")
    nothing = load_policy("{}")
    chosen = {name for name in names if withheld(name, policy)}
    assert 0.22 < len(chosen) / len(names) < 0.28
    assert chosen == {name for name in names if withheld(name, other)}
    assert not any(withheld(name, nothing) for name in names)
    sampled = {name for name in names if _is_sampled(name, 0.25)}
    assert 0.04 < len(chosen & sampled) / len(names) < 0.09


@rule(
    "A qualification names a file of rows with known answers, relative to the policy file, and the bar, a share from 0 to 1; it changes no decision."
)
def test_qualification() -> None:
    """It is content of the policy, whose hash it changes, and nothing that a decision looks at."""
    plain = load_policy("fields: {verdict: {agree: exact}}")
    asking = load_policy("fields: {verdict: {agree: exact}}\nqualification: {rows: known.jsonl, bar: 0.8}")
    assert asking.qualification == Qualification("known.jsonl", 0.8)
    assert asking.hash != plain.hash == load_policy("{fields: {verdict: {agree: exact}}, qualification: null}").hash
    seen = [decide(parse_history(row(agreeing())), load_team(TEAM), policy).to_json() for policy in (plain, asking)]
    assert seen[0] == seen[1]


@rule(
    "A qualification may also name bars for those who work at a review stage, for experts of a domain over its rows and for single fields, after how many weeks it expires, and whether a change of the guidelines ends it; it changes no decision, and a policy that names none of these keeps its hash."
)
def test_further_bars() -> None:
    """The hash of a policy that asks for a qualification as before is the one that it had before there were these."""
    plain = load_policy("fields: {verdict: {agree: exact}}\nqualification: {rows: known.jsonl, bar: 0.8}")
    assert plain.hash == "sha256:025164cd320fffa8e989b58d2fe192dee23c122f69ffbd85b457073c82f5db86"
    nothing = "{rows: known.jsonl, bar: 0.8, stages: {}, domains: {}, fields: {}, weeks: null, guidelines: false}"
    assert load_policy(f"fields: {{verdict: {{agree: exact}}}}\nqualification: {nothing}").hash == plain.hash
    asked = "{rows: known.jsonl, bar: 0.8, stages: {qa: 0.9}, domains: {technical: 0.7}, fields: {verdict: 1}, weeks: 8, guidelines: true}"
    further = load_policy(f"fields: {{verdict: {{agree: exact}}}}\nqualification: {asked}")
    wanted = Qualification("known.jsonl", 0.8, {"qa": 0.9}, {"technical": 0.7}, {"verdict": 1.0}, 8, True)
    assert (further.qualification, further.hash == plain.hash) == (wanted, False)
    seen = [decide(parse_history(row(agreeing())), load_team(TEAM), policy).to_json() for policy in (plain, further)]
    assert [each["state"] for each in seen] == ["AWAITING_QA"] * 2
    for wrong in ("stages: {pass: 0.8}", "stages: {qa: 2}", "domains: {technical: high}", "weeks: 0", "guidelines: 1"):
        with pytest.raises(FaultsError):
            load_policy(f"qualification: {{rows: known.jsonl, bar: 0.8, {wrong}}}")


@rule(
    "`practice` names a file of rows to practise on, relative to the policy file, and says whether the time counts for pay; it changes no decision, and a policy without it keeps its hash."
)
def test_practice() -> None:
    """It is about people who learn, and says nothing about what counts."""
    plain = load_policy("fields: {verdict: {agree: exact}}")
    practised = load_policy("fields: {verdict: {agree: exact}}\npractice: {rows: practice.jsonl, paid: true}")
    assert (plain.practice, practised.practice) == (None, Practice("practice.jsonl", True))
    assert load_policy("practice: {rows: practice.jsonl}").practice == Practice("practice.jsonl", False)
    assert plain.hash == load_policy("{fields: {verdict: {agree: exact}}, practice: null}").hash != practised.hash
    seen = [decide(parse_history(row(agreeing())), load_team(TEAM), policy).to_json() for policy in (plain, practised)]
    assert seen[0] == seen[1]
    for wrong in ("{}", "{paid: true}", "{rows: a, paid: 1}", "{rows: a, often: 2}", "5"):
        with pytest.raises(FaultsError):
            load_policy(f"practice: {wrong}")


@rule(
    "`skips` says how many rows a person may skip within 24 hours, null for any number, and whether a skip needs a reason; it changes no decision, and a policy without it keeps its hash."
)
def test_skips() -> None:
    """The hash of the policy of nothing but defaults is the one that 0.1.0 gave it."""
    plain = load_policy("fields: {verdict: {agree: exact}}")
    assert load_policy("{}").hash == "sha256:1b932dcb74afc82df84910b8591b4e11f125d5a35205493a7fa314ce6fe1331b"
    assert plain.skips == Skips(20, True)
    fields = "fields: {verdict: {agree: exact}}\n"
    for same in ("skips: null", "skips: {}", "skips: {per_day: 20, reason: true}"):
        assert load_policy(fields + same).hash == plain.hash
    free = load_policy(fields + "skips: {per_day: null, reason: false}")
    assert (free.skips, load_policy(fields + "skips: {per_day: 0}").skips.per_day) == (Skips(None, False), 0)
    assert free.hash != plain.hash
    seen = [decide(parse_history(row(agreeing())), load_team(TEAM), policy).to_json() for policy in (plain, free)]
    assert seen[0] == seen[1]
    for wrong in ("{per_day: -1}", "{per_day: many}", "{reason: maybe}", "{reason: null}", "{per_week: 1}", "5"):
        with pytest.raises(FaultsError):
            load_policy(f"skips: {wrong}")


@rule(
    "`order` says in which order rows of equal claim are handed out, drawn for each person or as imported; it changes no decision, and a policy without it keeps its hash."
)
def test_order() -> None:
    """It is about who gets what, and says nothing about what counts."""
    plain = load_policy("fields: {verdict: {agree: exact}}")
    imported = load_policy("fields: {verdict: {agree: exact}}\norder: imported")
    assert (plain.order, imported.order) == (Order.DRAWN, Order.IMPORTED)
    assert plain.hash == load_policy("{fields: {verdict: {agree: exact}}, order: drawn}").hash != imported.hash
    seen = [decide(parse_history(row(agreeing())), load_team(TEAM), policy).to_json() for policy in (plain, imported)]
    assert seen[0] == seen[1]
    with pytest.raises(FaultsError):
        load_policy("order: mixed")


@rule(
    "`threads` says whether exports hold what was said in threads, or only who said what kind of thing when; it changes no decision, and a policy without it keeps its hash."
)
def test_threads() -> None:
    """It is about what leaves the server beside the labels."""
    fields = "fields: {verdict: {agree: exact}}\n"
    plain = load_policy(fields)
    assert plain.threads.texts_in_exports is True
    for same in ("threads: null", "threads: {}", "threads: {texts_in_exports: true}"):
        assert load_policy(fields + same).hash == plain.hash
    quiet = load_policy(fields + "threads: {texts_in_exports: false}")
    assert (quiet.threads.texts_in_exports, quiet.hash == plain.hash) == (False, False)
    seen = [decide(parse_history(row(agreeing())), load_team(TEAM), policy).to_json() for policy in (plain, quiet)]
    assert seen[0] == seen[1]
    for wrong in ("{texts_in_exports: some}", "{texts: true}", "5"):
        with pytest.raises(FaultsError):
            load_policy(f"threads: {wrong}")


@rule(
    "`disputes` says for how many days after its decision people may dispute a row that they answered, null for as long as the decision stands, 0 for never; it changes no decision, and a policy without it keeps its hash."
)
def test_disputes() -> None:
    """It is about who may ask for a second look, and says nothing about what counts."""
    fields = "fields: {verdict: {agree: exact}}\n"
    plain = load_policy(fields)
    assert plain.disputes == Disputes(7)
    for same in ("disputes: null", "disputes: {}", "disputes: {days: 7}"):
        assert load_policy(fields + same).hash == plain.hash
    always, never = load_policy(fields + "disputes: {days: null}"), load_policy(fields + "disputes: {days: 0}")
    assert (always.disputes.days, never.disputes.days) == (None, 0)
    assert len({plain.hash, always.hash, never.hash}) == 3
    seen = [decide(parse_history(row(agreeing())), load_team(TEAM), policy).to_json() for policy in (plain, never)]
    assert seen[0] == seen[1]
    for wrong in ("{days: -1}", "{days: some}", "{weeks: 1}", "5"):
        with pytest.raises(FaultsError):
            load_policy(f"disputes: {wrong}")


@rule(
    "`guidelines` says which versions of the guidelines people acknowledge before their next row, those that ask for it or always every one; it changes no decision, and a policy without it keeps its hash."
)
def test_guidelines_in_the_policy() -> None:
    """It is about who is handed a row, and says nothing about what counts."""
    fields = "fields: {verdict: {agree: exact}}\n"
    plain = load_policy(fields)
    assert plain.guidelines.acknowledge is Acknowledge.ASKED
    for same in ("guidelines: null", "guidelines: {}", "guidelines: {acknowledge: asked}"):
        assert load_policy(fields + same).hash == plain.hash
    always = load_policy(fields + "guidelines: {acknowledge: always}")
    assert (always.guidelines.acknowledge, always.hash == plain.hash) == (Acknowledge.ALWAYS, False)
    seen = [decide(parse_history(row(agreeing())), load_team(TEAM), policy).to_json() for policy in (plain, always)]
    assert seen[0] == seen[1]
    for wrong in ("{acknowledge: never}", "{read: true}", "5"):
        with pytest.raises(FaultsError):
            load_policy(f"guidelines: {wrong}")


@rule("`quorum policy schema` describes exactly the files that load.")
def test_schemas() -> None:
    """What the schema refuses does not load, and what loads it accepts (more in test_schema.py)."""
    assert set(policy_schema()["properties"]) == set(load_policy("{}").to_json())
    assert team_schema()["additionalProperties"] is False


# Histories in, decisions out.


@pytest.mark.parametrize("wrong", [None, 5, "x", [], {}, {"row_id": "r"}, {"fields": {}}, {"row_id": 1, "fields": {}}])
@rule(
    "A line that is not a JSON object with `row_id` (text) and `fields` (an object) is one line on stderr that names "
    "it, and makes exit 1; the other lines are decided."
)
def test_what_is_no_history(wrong: Any) -> None:
    """Without a row there is nothing to decide (the command's side is in test_decide_command.py)."""
    with pytest.raises(HistoryError):
        parse_history(wrong)


@rule("Findings inside decisions leave exit 0.", "A blank line is no line.")
def test_findings_are_no_faults() -> None:
    """A finding is part of the decision (the command's side is in test_decide_command.py)."""
    assert ids(see(row([sub("nobody", 0)]))) == ["QR.W023"]


@pytest.mark.parametrize(
    "wild",
    [
        {"row_id": "\ud800", "fields": {"\udfff": {"kind": "choice"}}, "domain": "\ud800"},
        {"row_id": "", "fields": {"a": None, "b": [], "c": {"kind": []}, "d": {"kind": "spans", "text": 5}}},
        {"row_id": "r", "fields": {"a": {"kind": "rating", "min": float("nan"), "max": "x"}}, "auto_label": []},
        {"row_id": "r", "fields": {}, "passes": {}, "qa": "qa", "expert": 7, "domain": [], "predicted_domain": True},
        {"row_id": "r", "fields": {}, "passes": [None, 1, "x", [], {}, {"by": {}}, {"by": "ana", "at": 10**400}]},
        {
            "row_id": "r",
            "fields": {"n": {"kind": "number"}},
            "passes": [sub("ana", 0, n=10**400), sub("hal", 1, n=1e308)],
        },
        {"row_id": "r", "fields": {"n": {"kind": "number"}}, "auto_label": {"n": float("inf")}},
    ],
)
@rule("Whatever a history holds, there is a decision, and it is valid JSON.")
def test_total(wild: Any) -> None:
    """Nothing raises, and nothing that is not JSON comes out (more in tests/property)."""
    decision = decide(parse_history(wild), team_of(TEAM), policy_of(""))
    assert json.loads(json.dumps(decision.to_json(), allow_nan=False))["row_id"] == wild["row_id"]


@rule("Unknown keys are ignored.")
def test_unknown_keys() -> None:
    """A key that nobody reads changes nothing."""
    plain = row(agreeing(), domain="financial")
    noisy = row([one | {"colour": [1], "decision": 7} for one in agreeing()], domain="financial", colour={})
    noisy["fields"]["verdict"] = {"kind": "choice", "labels": 5}
    noisy["passes"][0]["values"] = {"verdict": "A", "colour": {}}
    assert see(noisy) == see(plain)


@rule("Null and a missing key are the same.")
def test_null_is_absent() -> None:
    """A history that spells out its nulls is the history without them."""
    bare = {"row_id": "r1", "fields": {"verdict": {"kind": "choice"}}, "passes": [{"by": "ana", "at": at(0)}]}
    nulls = dict.fromkeys(("domain", "predicted_domain", "auto_label", "qa", "expert"))
    parts = dict.fromkeys(("values", "flags", "reason", "lead_time"))
    assert see(bare | nulls | {"passes": [bare["passes"][0] | parts]}) == see(bare)  # type: ignore[index]
    assert see(row([sub("ana", 0, verdict=None), sub("hal", 1)])).comparison["verdict"].score == 1


@rule("A field of unknown kind is ignored, with a finding.")
def test_unknown_kind() -> None:
    """A kind that is unknown here cannot hold a row up."""
    decision = see(row(agreeing(), fields={"verdict": {"kind": "choice"}, "mood": {"kind": "smell"}}))
    assert set(decision.comparison) == {"verdict"}
    assert at_path(decision, "fields.mood") == ["QR.W006"]


@rule(
    "A field that the policy has no measure for, or whose measure does not suit its kind, is compared exactly, with a "
    "finding."
)
def test_no_measure() -> None:
    """Without a measure 4 and 5 differ, and so they do under a measure for sets."""
    history = row(
        [sub("ana", 0, a=4, b=4), sub("hal", 1, a=5, b=5)], fields={"a": {"kind": "rating"}, "b": {"kind": "rating"}}
    )
    decision = see(history, "fields: {b: {agree: jaccard, threshold: 0}}")
    assert [decision.comparison[name].agreed for name in "ab"] == [False, False]
    assert (at_path(decision, "fields.a"), at_path(decision, "fields.b")) == (["QR.W001"], ["QR.W002"])


@rule("A field that only the policy has is ignored.")
def test_policy_field_without_row_field() -> None:
    """One policy serves rows of several interfaces."""
    assert see(row(agreeing()), "fields: {verdict: {agree: exact}, other: {agree: exact}}").findings == ()


@pytest.mark.parametrize(
    ("given", "predicted", "effective", "found"),
    [
        ("financial", "technical", ["financial"], []),
        (None, "technical", ["technical"], []),
        ("", "technical", ["technical"], []),
        ("general", "technical", [], []),
        ("marketing", None, [], ["domain"]),
        ("marketing", "technical", ["technical"], ["domain"]),
        ("financial", "marketing", ["financial"], ["predicted_domain"]),
    ],
)
@rule(
    "An unknown domain of the row is ignored with a finding, so the predicted domain stands in for an unknown given one."
)
def test_row_domain(given: str | None, predicted: str | None, effective: list[str], found: list[str]) -> None:
    """The given domain goes before the predicted one, as far as it is known."""
    decision = see(row(agreeing(), domain=given, predicted_domain=predicted))
    assert decision.next is not None
    assert list(decision.next.requires) == effective
    assert [one.path for one in decision.findings if one.id == "QR.W007"] == found


@rule("A flag for an unknown domain is a finding and otherwise ignored.")
def test_unknown_domain_flag() -> None:
    """A misspelt domain cannot ask for an expert nobody is."""
    decision = see(row([sub("ana", 0, flags=["unsure", "domain:finance"]), sub("hal", 1)]))
    assert at_path(decision, "passes[0].flags[1]") == ["QR.W007"]
    assert decision.next == NextStep(Stage.QA, (), (PersonId("ana"), PersonId("hal")))


SPANS = {"entities": {"kind": "spans", "text": TEXT}}
STRICT = "fields: {entities: {agree: span_f1}}"


def span(start: int, end: int, label: str = "ORG", **more: str) -> dict[str, Any]:
    """One span."""
    return {"start": start, "end": end, "label": label, **more}


@pytest.mark.parametrize(
    ("bad", "found"),
    [
        (span(0, 99), "QR.W003"),
        (span(-1, 4), "QR.W003"),
        (span(4, 4), "QR.W004"),
        (span(9, 4), "QR.W004"),
        (span(0, 4, text="acme"), "QR.W005"),
    ],
)
@rule(
    "A span outside the text, with start ≥ end, or whose carried text differs, is left out of the value with a finding "
    "each, in passes, reviews and auto-label alike."
)
def test_bad_spans_are_left_out(bad: dict[str, Any], found: str) -> None:
    """A span that cannot be right reaches neither comparison nor gold."""
    good = span(0, 4, text="Acme")
    passes = [sub("ana", 0, entities=[bad, good]), sub("hal", 1, entities=[span(0, 4)])]
    qa = [sub("ida", 2, "correct", entities=[good, bad])]
    decision = see(row(passes, qa, fields=SPANS, auto_label={"entities": [good, bad]}), STRICT)
    assert decision.comparison["entities"].values == ([good], [span(0, 4)])
    assert decision.final is not None
    assert decision.final["entities"].value == [good]
    assert decision.final["entities"].changed_from_auto is False
    assert {(one.id, one.path) for one in decision.findings} == {
        (found, "passes[0].values.entities[0]"),
        (found, "qa[0].values.entities[1]"),
        (found, "auto_label.entities[1]"),
    }


@rule("A segment that does not end after it starts, and a box without an area, is left out in the same way.")
def test_bad_segments_and_boxes() -> None:
    """What has no extent cannot overlap anything."""
    box = {"x": 1, "y": 1, "width": 5, "height": 5, "label": "cat"}
    fields = {"cuts": {"kind": "segments"}, "regions": {"kind": "boxes"}}
    wrong = sub("ana", 0, cuts=[span(2, 2), span(1, 3)], regions=[box | {"width": 0}, box])
    decision = see(
        row([wrong, sub("hal", 1)], fields=fields), "fields: {cuts: {agree: exact}, regions: {agree: iou_f1}}"
    )
    assert decision.comparison["cuts"].values == ([span(1, 3)], [])
    assert decision.comparison["regions"].values == ([box], [])
    assert at_path(decision, "passes[0].values.cuts[0]") == ["QR.W004"]
    assert at_path(decision, "passes[0].values.regions[0]") == ["QR.W010"]


@rule("A value beyond `min` and `max` counts and has a finding.")
def test_out_of_range() -> None:
    """Who rates 9 of 5 is asked, not dropped."""
    history = row([sub("ana", 0, r=9), sub("hal", 1, r=9)], fields={"r": {"kind": "rating", "min": 1, "max": 5}})
    decision = see(history, "{passes: 2, fields: {r: {agree: exact}}}")
    assert at_path(decision, "passes[0].values.r") == ["QR.W011"]
    assert decision.proposal["r"].value == 9
    below = row([sub("ana", 0, r=-9)], fields={"r": {"kind": "number", "min": 0}})
    assert "QR.W011" in ids(see(below, "{passes: 1}"))


@rule("An auto-label of the wrong type is ignored with a finding.")
def test_wrong_auto_label() -> None:
    """A wrong auto-label is as good as none."""
    decision = see(row(agreeing(), [sub("ida", 2, "accept")], auto_label={"verdict": ["A"], "other": 1}))
    assert at_path(decision, "auto_label.verdict") == ["QR.W009"]
    assert decision.final is not None
    assert decision.final["verdict"].changed_from_auto is None


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"domain": 5}, "domain"),
        ({"predicted_domain": ["x"]}, "predicted_domain"),
        ({"auto_label": "A"}, "auto_label"),
        ({"qa": {"by": "ana"}}, "qa"),
        ({"expert": "x"}, "expert"),
        ({"fields": {"verdict": {"kind": "spans", "text": 5}}}, "fields.verdict.text"),
        ({"fields": {"verdict": {"kind": "rating", "min": "1"}}}, "fields.verdict.min"),
        ({"fields": {"verdict": {"kind": "rating", "max": True}}}, "fields.verdict.max"),
        ({"fields": {"verdict": {"kind": "choice", "required": "yes"}}}, "fields.verdict.required"),
        ({"fields": {"verdict": {"kind": "choice", "required": 1}}}, "fields.verdict.required"),
    ],
)
@rule("A part of the row of the wrong type is ignored with a finding.")
def test_wrong_part_of_the_row(wrong: dict[str, Any], path: str) -> None:
    """One odd part does not cost the row its decision."""
    assert at_path(see(row() | wrong), path) == ["QR.W008"]


@rule("An element that stands twice in a set counts once.")
def test_doubled_elements() -> None:
    """A doubled choice or span is one choice or span."""
    fields = SPANS | {"topics": {"kind": "choices"}}
    passes = [
        sub("ana", 0, topics=["a", "a"], entities=[span(0, 4), span(0, 4)]),
        sub("hal", 1, topics=["a"], entities=[span(0, 4)]),
    ]
    decision = see(row(passes, fields=fields), "fields: {topics: {agree: exact}, entities: {agree: span_f1}}")
    assert all(compared.agreed and compared.score == 1 for compared in decision.comparison.values())
    assert decision.proposal["topics"].value == ["a"]


NOTE = {"topics": {"kind": "choices", "required": True}, "note": {"kind": "text"}}
FILLED = [sub("ana", 0, topics=["a"], note="x"), sub("hal", 1, topics=["a"], note="x")]


@pytest.mark.parametrize(
    ("kind", "blank"),
    [("choice", ""), ("choices", []), ("spans", []), ("spans", [{"start": 5, "end": 5, "label": "A"}]), ("rating", None),
     ("number", None), ("text", " \n"), ("boxes", []), ("segments", [])],
)  # fmt: skip
@rule(
    "A required field has no value where it is absent, an empty set, or text of nothing but white space.",
    "A pass without a value in a required field does not count.",
)
def test_required_in_passes(kind: str, blank: Any) -> None:
    """Two empty answers and a QA accept are never gold; the same answers to a field that may be empty are."""
    for values in ({"f": blank}, {}):
        passes = [sub("ana", 0, values=values), sub("hal", 1, values=values)]
        history = row(passes, [sub("ida", 5, "accept")], fields={"f": {"kind": kind, "required": True}})
        decision = see(history, "fields: {}")
        assert decision.state is State.AWAITING_PASSES
        assert [at_path(decision, f"passes[{index}]") for index in (0, 1)] == [["QR.W038"], ["QR.W038"]]
        assert see(history | {"fields": {"f": {"kind": kind, "required": False}}}, "fields: {}").state is State.FINAL


def test_required_pass_that_was_emptied() -> None:
    """A later version without the value leaves the earlier one standing; zero is a value."""
    passes = [*FILLED, sub("ana", 3, topics=[])]
    decision = see(row(passes, fields=NOTE), "fields: {}")
    assert decision.counted[Stage.PASS] == (0, 1)
    assert at_path(decision, "passes[2]") == ["QR.W038"]
    zeros = row([sub("ana", 0, n=0), sub("hal", 1, n=0)], fields={"n": {"kind": "number", "required": True}})
    assert see(zeros).state is State.AWAITING_QA


# Who counts.


@pytest.mark.parametrize(
    "wrong",
    [
        "text",
        None,
        ["ana"],
        {"by": 5},
        {"at": 1767607200},
        {"values": ["A"]},
        {"values": {"verdict": ["A"]}},
        {"values": {"verdict": 5}},
        {"values": {"verdict": True}},
        {"values": {"verdict": {}}},
        {"values": {"topics": "a"}},
        {"values": {"topics": ["a", 1]}},
        {"values": {"topics": [["a"]]}},
        {"values": {"rating": "4"}},
        {"values": {"rating": True}},
        {"values": {"rating": float("nan")}},
        {"values": {"entities": [[0, 4, "ORG"]]}},
        {"values": {"entities": {"start": 0}}},
        {"values": {"entities": [{"start": 0, "end": 4}]}},
        {"values": {"entities": [{"start": "0", "end": 4, "label": "ORG"}]}},
        {"values": {"entities": [{"start": 0.5, "end": 4, "label": "ORG"}]}},
        {"values": {"entities": [{"start": False, "end": 4, "label": "ORG"}]}},
        {"values": {"entities": [{"start": 0, "end": 4, "label": ["ORG"]}]}},
        {"values": {"entities": [{"start": 0, "end": 4, "label": "ORG", "text": 5}]}},
        {"values": {"cuts": [{"start": 0, "end": "4", "label": "ORG"}]}},
        {"values": {"cuts": 1}},
        {"values": {"cuts": [{"start": 0, "end": 4, "label": 7}]}},
        {"values": {"regions": [{"x": 0, "y": 0, "width": 1, "label": "cat"}]}},
        {"values": {"regions": [1]}},
        {"values": {"regions": "cat"}},
        {"flags": "unsure"},
        {"flags": [1]},
        {"reason": ["why"]},
        {"lead_time": "41"},
        {"lead_time": True},
    ],
)
@rule("A submission with a part of the wrong type does not count.")
def test_wrong_type(wrong: Any) -> None:
    """Half a submission is none, and one finding says which part is wrong."""
    kinds = {
        "verdict": "choice",
        "topics": "choices",
        "rating": "rating",
        "entities": "spans",
        "cuts": "segments",
        "regions": "boxes",
    }
    fields = {name: {"kind": kind} for name, kind in kinds.items()}
    whole = sub("ana", 0, verdict="A", entities=[{"start": 0.0, "end": 4, "label": "ORG"}])
    broken = whole | wrong if isinstance(wrong, dict) else wrong
    policy = "{passes: 1, qa: {when: conflict}}"
    assert see(row([whole], fields=fields), policy).state is State.FINAL
    decision = see(row([broken], fields=fields), policy)
    assert decision.state is State.AWAITING_PASSES
    assert at_path(decision, "passes[0]") == ["QR.W020"]


@pytest.mark.parametrize("person", [None, ""])
@rule("A submission without a person does not count.")
def test_no_person(person: str | None) -> None:
    """Nobody cannot be one of two people."""
    assert at_path(see(row([sub(person, 0)])), "passes[0]") == ["QR.W021"]


@pytest.mark.parametrize(
    "time", [None, "", "soon", "2026-01-05", "2026-01-05T10:00:00", "2026-13-05T10:00:00Z", "2026-01-05T25:00:00Z"]
)
@rule("A submission without a time that has an offset does not count.")
def test_no_time(time: str | None) -> None:
    """A local time could be any of a day's hours."""
    assert at_path(see(row([sub("ana", 0, at=time)])), "passes[0]") == ["QR.W022"]


@rule("Times are compared by instant, whatever their ISO 8601 form and offset.")
def test_instants() -> None:
    """QA at 11:30+01:00 is before a pass at 10:31Z, though its text sorts after (forms in test_instants.py)."""
    passes = [sub("ana", 0, verdict="A"), sub("hal", 31, verdict="A")]
    assert see(row(passes, [sub("ida", 0, "accept", at="2026-01-05T11:30:00+01:00")])).state is State.AWAITING_QA
    assert see(row(passes, [sub("ida", 0, "accept", at="2026-01-05 05:31:00.5-05:00")])).state is State.FINAL
    assert see(row(passes, [sub("ida", 0, "accept", at="20260105T103101Z")])).state is State.FINAL


@rule(
    "Ties in time go by person id, smaller first, and one person's by their JSON text with sorted keys.",
)
def test_ties() -> None:
    """Of three at once the two smaller ids count; of one person's two at once the greater text is the later one."""
    passes = [sub("hal", 0), sub("cleo", 0), sub("ana", 0)]
    assert see(row(passes)).counted[Stage.PASS] == (2, 1)
    versions = [sub("ana", 0, verdict="B"), sub("ana", 0, verdict="A"), sub("hal", 0, verdict="A")]
    decision = see(row(versions))
    assert decision.counted[Stage.PASS] == (0, 2)
    qa = [sub("ida", 5, "correct", verdict="X"), sub("cleo", 5, "correct", verdict="Y")]
    final = see(row([sub("ana", 0), sub("hal", 0)], qa)).final
    assert final is not None
    assert final["verdict"].value == "X"


@rule("A person with `left` counts for what they submitted before that time, and is asked for nothing more.")
def test_left() -> None:
    """Eli's pass of 10:29 counts, that of 10:30 does not, and nobody asks Eli again."""
    assert see(row([sub("eli", 29)])).counted[Stage.PASS] == (0,)
    assert at_path(see(row([sub("eli", 30)])), "passes[0]") == ["QR.W025"]
    team = "people: [{id: ana, roles: [annotator]}, {id: eli, roles: [annotator], left: 2030-01-01T00:00:00Z}]"
    decision = see(row([sub("ana", 0)]), team=team)
    assert decision.state is State.BLOCKED
    eli = team_of(team).people[PersonId("eli")]
    step = NextStep(Stage.PASS)
    assert (may_take(eli, step), may_take(eli, step, at=eli.left), may_take(eli, step, at=parse_at(0))) == (
        False,
        False,
        True,
    )


def parse_at(minute: float) -> Any:
    """The instant of a minute after ten."""
    return parse_history(row([sub("ana", minute)])).passes[0].at


@rule("A pass counts if its person is in the team with role `annotator`.")
def test_pass_role() -> None:
    """An expert, a manager and a stranger make no pass."""
    decision = see(row([sub("dag", 0), sub("ops", 1), sub("zoe", 2), sub("ana", 3)]))
    assert decision.counted[Stage.PASS] == (3,)
    assert ids(decision) == ["QR.W023", "QR.W024", "QR.W024"]


@rule(
    "Of a person's passes that can count only the latest counts, and the person's place in line is that of the first "
    "of them."
)
def test_latest_pass_in_the_first_place() -> None:
    """Ana came first and corrected last: her correction counts, Hal is still surplus; what cannot count keeps no place."""
    passes = [sub("ana", 0, verdict="A"), sub("ben", 1), sub("hal", 2), sub("ana", 3, verdict="B")]
    decision = see(row(passes))
    assert decision.counted[Stage.PASS] == (3, 1)
    assert (at_path(decision, "passes[0]"), at_path(decision, "passes[2]")) == (["QR.W026"], ["QR.W027"])
    broken = [sub("ana", 0, verdict=5), *passes[1:]]
    assert see(row(broken)).counted[Stage.PASS] == (1, 2)


@rule("If more people can count than `passes`, the first in line count and the rest are surplus.")
def test_surplus() -> None:
    """A third pass of a row that needs two is not heard, though it is different."""
    decision = see(row([*agreeing(), sub("hal", 5, verdict="Z")]))
    assert decision.comparison["verdict"].agreed
    assert at_path(decision, "passes[2]") == ["QR.W027"]


@rule(
    "The passes are complete from the moment the last counted pass was submitted in its counted version.",
    "QA does not count unless it is later than the moment the passes were complete.",
)
def test_complete_from_the_counted_version() -> None:
    """A correction after QA makes the QA stale, and so does one of the very same moment."""
    qa = [sub("ida", 10, "accept")]
    assert see(row(agreeing(), qa)).state is State.FINAL
    for minute in (10, 11):
        decision = see(row([*agreeing(), sub("ana", minute, verdict="A")], qa))
        assert decision.state is State.AWAITING_QA
        assert at_path(decision, "qa[0]") == ["QR.W029"]


@rule("Before that no review counts.")
def test_reviews_before_the_passes() -> None:
    """QA of one pass of two reviews nothing whole."""
    decision = see(row([sub("ana", 0)], [sub("ida", 1, "accept"), sub(None, 1, "accept")], [sub("dag", 2, "accept")]))
    assert (at_path(decision, "qa[0]"), at_path(decision, "expert[0]")) == (["QR.W028"], ["QR.W028"])
    assert at_path(decision, "qa[1]") == ["QR.W021"]


@rule("QA can count if its person has role `qa` or `expert`.")
def test_qa_role() -> None:
    """Ida is QA and Gus an expert; Hal is neither."""
    for person, state in (("ida", State.FINAL), ("gus", State.FINAL), ("hal", State.AWAITING_QA)):
        assert see(row(agreeing(), [sub(person, 5, "accept")])).state is state


@rule("QA does not count by somebody who made a counted pass.")
def test_qa_of_ones_own_pass() -> None:
    """Cleo may do QA, but not of her own pass; of a row where her pass is surplus she may."""
    decision = see(row(agreeing(), [sub("cleo", 5, "accept")]))
    assert at_path(decision, "qa[0]") == ["QR.W030"]
    passes = [sub("ana", 0, verdict="A"), sub("hal", 1, verdict="A"), sub("cleo", 2, verdict="A")]
    assert see(row(passes, [sub("cleo", 5, "accept")])).state is State.FINAL


@rule("Of a person's QA that can count the latest is taken, and of several people's the latest counts.")
def test_latest_qa() -> None:
    """Ida corrects herself, then Dag is later than both."""
    qa = [sub("ida", 5, "correct", verdict="X"), sub("ida", 6, "correct", verdict="Y")]
    decision = see(row(agreeing(), qa))
    assert decision.counted[Stage.QA] == (1,)
    assert at_path(decision, "qa[0]") == ["QR.W026"]
    decision = see(row(agreeing(), [*qa, sub("dag", 7, "accept")]))
    assert decision.counted[Stage.QA] == (2,)
    assert ids(decision) == ["QR.W026", "QR.W034"]


@pytest.mark.parametrize("word", [None, "", "ok", "ACCEPT"])
@rule("QA and expert reviews without one of the four decision words do not count; QA has `return` besides.")
def test_decision_words(word: str | None) -> None:
    """What was decided must be said."""
    decision = see(row(agreeing(), [sub("ida", 5) | {"decision": word}], [sub("dag", 6)]))
    assert (at_path(decision, "qa[0]"), at_path(decision, "expert[0]")) == (["QR.W031"], ["QR.W031"])
    by_expert = see(row(agreeing(), ESCALATED, [give_back("gus", 6, "ana")]), RETURNS)
    assert at_path(by_expert, "expert[0]") == ["QR.W031"]


ESCALATED = [sub("ida", 5, "escalate", reason="beyond me")]


@rule("An expert review can count if its person has role `expert`.")
def test_expert_role() -> None:
    """Gus is an expert; Cleo is not."""
    passes = [sub("ana", 0, verdict="A"), sub("hal", 1, verdict="A")]
    assert see(row(passes, ESCALATED, [sub("gus", 6, "accept")])).state is State.FINAL
    decision = see(row(passes, ESCALATED, [sub("cleo", 6, "accept")]))
    assert at_path(decision, "expert[0]") == ["QR.W024"]


@rule("An expert review does not count without a counted QA, or unless it is later than that.")
def test_expert_before_qa() -> None:
    """An expert who was there first has not seen the QA."""
    for minute, found in ((4, "QR.W029"), (5, "QR.W029")):
        assert at_path(see(row(agreeing(), ESCALATED, [sub("dag", minute, "accept")])), "expert[0]") == [found]
    assert at_path(see(row(agreeing(), [], [sub("dag", 9, "accept")])), "expert[0]") == ["QR.W037"]


@rule("An expert review does not count by somebody who made a counted pass or the counted QA.")
def test_expert_took_part_before() -> None:
    """Dag escalated as QA, so somebody else must settle it."""
    qa = [sub("dag", 5, "escalate", reason="second look")]
    assert at_path(see(row(agreeing(), qa, [sub("dag", 6, "accept")])), "expert[0]") == ["QR.W030"]
    team = TEAM.replace("{id: ana,  roles: [annotator]}", "{id: ana, roles: [annotator, expert]}")
    assert at_path(see(row(agreeing(), qa, [sub("ana", 6, "accept")]), team=team), "expert[0]") == ["QR.W030"]


@rule(
    "Where a quorum is missed at its turn, an expert review counts only if its person holds one of the missed domains, "
    "whatever `requires` said."
)
def test_expert_of_a_missed_domain() -> None:
    """Of a row in two domains each half may be covered by an expert of its own, in any order, but not twice by one half."""
    passes = [sub("ana", 0, verdict="A", flags=["domain:technical"]), sub("hal", 1, verdict="A")]
    history = row(passes, ESCALATED, domain="financial")
    assert see(history).next == NextStep(
        Stage.EXPERT, ("financial", "technical"), tuple(map(PersonId, ("ana", "hal", "ida")))
    )
    decision = see(history | {"expert": [sub("gus", 6, "accept"), sub("tom", 7, "accept")]})
    assert at_path(decision, "expert[0]") == ["QR.W036"]
    assert decision.next is not None
    assert decision.next.requires == ("financial",)
    second = TEAM + "  - {id: ted, roles: [expert], expertise: [technical]}\n"
    three = [sub("tom", 6, "accept"), sub("ted", 7, "accept"), sub("fay", 8, "accept")]
    decision = see(history | {"expert": three}, team=second)
    assert decision.counted[Stage.EXPERT] == (0, 2)
    assert decision.state is State.FINAL


@rule("The latest expert review of each person counts in order of time, as long as one is due at its turn.")
def test_expert_reviews_in_order() -> None:
    """Dag's second version counts; Fay came when nothing was due any more."""
    expert = [sub("dag", 6, "correct", verdict="X"), sub("dag", 7, "correct", verdict="Y"), sub("fay", 8, "accept")]
    decision = see(row(agreeing(), ESCALATED, expert))
    assert decision.counted[Stage.EXPERT] == (1,)
    assert (at_path(decision, "expert[0]"), at_path(decision, "expert[2]")) == (["QR.W026"], ["QR.W035"])
    assert decision.final is not None
    assert decision.final["verdict"].value == "Y"


@rule("After a counted `discard` none is due.")
def test_nothing_after_a_discard() -> None:
    """A discarded row is not reviewed on, though it lacks its expert."""
    qa = [sub("ida", 5, "discard", reason="broken row")]
    decision = see(row(agreeing(), qa, [sub("dag", 6, "accept")], domain="financial"))
    assert decision.state is State.DISCARDED
    assert at_path(decision, "expert[0]") == ["QR.W035"]
    expert = [sub("fay", 6, "discard", reason="broken"), sub("tom", 7, "accept")]
    two = row([sub("ana", 0, flags=["domain:technical"]), sub("hal", 1)], ESCALATED, expert, domain="financial")
    assert (see(two).state, at_path(see(two), "expert[1]")) == (State.DISCARDED, ["QR.W035"])


@rule("After an expert's counted `escalate` none is due.")
def test_nothing_after_an_experts_escalate() -> None:
    """Where an expert gives up, a person has to step in, not the next expert."""
    expert = [sub("fay", 6, "escalate", reason="no idea"), sub("tom", 7, "accept")]
    two = row([sub("ana", 0, flags=["domain:technical"]), sub("hal", 1)], ESCALATED, expert, domain="financial")
    assert see(two).state is State.BLOCKED
    assert at_path(see(two), "expert[1]") == ["QR.W035"]


@pytest.mark.parametrize("word", ["escalate", "discard"])
@pytest.mark.parametrize("reason", [None, "", "  \n"])
@rule("`escalate`, `discard` and `return` without a reason do not count.")
def test_reason(word: str, reason: str | None) -> None:
    """Whoever comes next must know why."""
    assert at_path(see(row(agreeing(), [sub("ida", 5, word, reason=reason)])), "qa[0]") == ["QR.W032"]
    decision = see(row(agreeing(), ESCALATED, [sub("dag", 6, word, reason=reason)]))
    assert at_path(decision, "expert[0]") == ["QR.W032"]
    assert at_path(see(row(agreeing(), [give_back("ida", 5, "ana", reason=reason)]), RETURNS), "qa[0]") == ["QR.W032"]


@rule(
    "An `accept` or `correct` that would leave a field in conflict without a value does not count; the proposal, and an "
    "earlier review that says `accept` or `correct`, may have given it one."
)
def test_conflict_left_open() -> None:
    """A conflict is settled by a value, whoever of the reviewers gives it."""
    for word in ("accept", "correct"):
        assert at_path(see(row(disagreeing(), [sub("ida", 5, word)])), "qa[0]") == ["QR.W033"]
        assert see(row(disagreeing(), [sub("ida", 5, word, verdict="B")])).state is State.FINAL
    proposed = row(disagreeing(), [sub("ida", 5, "accept")], auto_label={"verdict": "B"})
    assert see(proposed, "proposal: passes+auto").state is State.FINAL
    decision = see(row(disagreeing(), ESCALATED, [sub("dag", 6, "accept")]))
    assert at_path(decision, "expert[0]") == ["QR.W033"]
    guessed = [sub("ida", 5, "escalate", verdict="A", reason="sure?")]
    decision = see(row(disagreeing(), guessed, [sub("dag", 6, "accept")]))
    assert at_path(decision, "expert[0]") == ["QR.W033"]
    settled = [sub("ida", 5, "correct", verdict="A")]
    decision = see(row(disagreeing(), settled, [sub("dag", 6, "accept")], domain="financial"))
    assert decision.counted[Stage.EXPERT] == (0,)
    flags = [sub("ana", 0, verdict="A", flags=["domain:technical"]), sub("cleo", 1, verdict="B")]
    two = row(flags, ESCALATED, [sub("fay", 6, "correct", verdict="A"), sub("tom", 7, "accept")], domain="financial")
    assert see(two).state is State.FINAL


@rule("An `accept` or `correct` that would leave a required field without a value does not count.")
def test_required_field_left_empty() -> None:
    """QA that empties it, and an expert who does, are asked again; one who fills it in settles it."""
    for word in ("accept", "correct"):
        decision = see(row(FILLED, [sub("ida", 5, word, topics=[])], fields=NOTE), "fields: {}")
        assert (decision.state, at_path(decision, "qa[0]")) == (State.AWAITING_QA, ["QR.W039"])
        assert see(row(FILLED, [sub("ida", 5, word, note="")], fields=NOTE), "fields: {}").state is State.FINAL
    emptied = row(FILLED, ESCALATED, [sub("dag", 6, "correct", topics=[])], fields=NOTE)
    assert at_path(see(emptied, "fields: {}"), "expert[0]") == ["QR.W039"]
    swapped = [sub("ana", 0, topics=["a"]), sub("hal", 1, topics=["b"])]
    loose = "{qa: {when: all}, fields: {topics: {agree: jaccard, threshold: 0}}}"
    assert at_path(see(row(swapped, [sub("ida", 5, "accept")], fields=NOTE), loose), "qa[0]") == ["QR.W039"]
    assert see(row(swapped, [sub("ida", 5, "accept", topics=["b"])], fields=NOTE), loose).state is State.FINAL
    discarded = row(FILLED, [sub("ida", 5, "discard", topics=[], reason="x")], fields=NOTE)
    assert see(discarded, "fields: {}").state is State.DISCARDED


@rule("An earlier version stands if the later one does not count for want of a reason or a value.")
def test_earlier_version_stands() -> None:
    """Dag settled the conflict, then said accept without a value: the first still settles it."""
    expert = [sub("dag", 6, "correct", verdict="X"), sub("dag", 7, "accept")]
    decision = see(row(disagreeing(), ESCALATED, expert))
    assert decision.counted[Stage.EXPERT] == (0,)
    assert at_path(decision, "expert[1]") == ["QR.W033"]
    qa = [sub("ida", 5, "correct", verdict="X"), sub("ida", 6, "discard")]
    assert see(row(disagreeing(), qa)).counted[Stage.QA] == (0,)


def crowded() -> dict[str, Any]:
    """A row with something that does not count for every reason."""
    passes = [
        sub("ana", 0, verdict="A"), sub("ana", 1, verdict="A"), sub("hal", 2, verdict="A"), sub("ben", 3, verdict="Q"),
        sub(None, 4), sub("zoe", 4), sub("ops", 4), sub("eli", 40), sub("ana", 2, at="x"), sub("ana", 9, verdict=1),
    ]  # fmt: skip
    qa = [
        sub("ida", 10, "escalate", reason="?"), sub("ida", 11, "discard"), sub("ana", 12, "accept"), sub("cleo", 0, "accept"),
        sub("cleo", 9, "accept"), sub("ida", 9, "accept"), sub("hal", 12, "accept"), sub("gus", 12, "maybe"),
    ]  # fmt: skip
    expert = [
        sub("dag", 20, "accept"), sub("tom", 19, "accept"), sub("fay", 22, "accept"), sub("dag", 18, "accept"),
        sub("gus", 3, "accept"), sub("ida", 30, "accept"), sub("fay", 23, "discard"),
    ]  # fmt: skip
    return row(passes, qa, expert, domain="financial")


@rule("What does not count has exactly one finding, whose path is the submission's.")
def test_one_finding_each() -> None:
    """Of a crowded row every submission either counts or has one finding at its path."""
    history = crowded()
    decision = see(history)
    for stage in Stage:
        for index in range(len(history[stage.key])):
            counts = index in decision.counted[stage]
            assert len(at_path(decision, f"{stage.key}[{index}]")) == (0 if counts else 1)


@rule(
    "What does not count changes nothing but findings, the person's place in line, and which passes a return was given on."
)
def test_what_does_not_count_changes_nothing() -> None:
    """The crowded row with only its counted submissions is decided alike (a law in tests/property too)."""
    history = crowded()
    decision = see(history)
    kept = {stage.key: [history[stage.key][index] for index in decision.counted[stage]] for stage in Stage}
    assert see(history | kept).to_json() | {"findings": 0} == decision.to_json() | {"findings": 0}
    assert decision.state is State.FINAL


@rule("Expertise counts wherever its holder sits, whatever their role.")
def test_expertise_anywhere() -> None:
    """Ben is an annotator who knows finance: his pass meets the quorum, so anybody may do QA."""
    decision = see(row([sub("ana", 0), sub("ben", 1)], domain="financial"))
    assert decision.next is not None
    assert decision.next.requires == ()
    assert see(row([sub("ana", 0), sub("ben", 1)], [sub("ida", 2, "accept")], domain="financial")).state is State.FINAL


# Returned rows.

RETURNS = "returns: {most: 1}"


def give_back(by: str, minute: float, *to: str, **more: Any) -> dict[str, Any]:
    """A return of these people's passes."""
    return sub(by, minute, "return", **({"reason": "look at the number again"} | more)) | {"to": list(to)}


def again(by: str = "ana", minute: float = 6, value: str = "B") -> dict[str, Any]:
    """A pass after the row came back."""
    return sub(by, minute, verdict=value)


@rule(
    "`returns` says how often QA may return a row, 0 for never; a policy without it allows no return and keeps its hash."
)
def test_returns_of_the_policy() -> None:
    """It is asked for by those who want it; certificates of before keep the hash of their policy."""
    fields = "fields: {verdict: {agree: exact}}\n"
    plain = load_policy(fields)
    assert plain.returns == Returns(0)
    for same in ("returns: null", "returns: {most: 0}"):
        assert load_policy(fields + same).hash == plain.hash
    assert len({load_policy(fields + f"returns: {{most: {most}}}").hash for most in range(3)}) == 3
    for wrong in ("{most: -1}", "{most: often}", "{often: 1}", "{}", "5"):
        with pytest.raises(FaultsError):
            load_policy(f"returns: {wrong}")


@rule(
    "A return counts if its person may do QA of the passes as they stood at its time, and these were complete and later than no return that counts.",
    "A pass that a counted return names does not count unless it is later than that return.",
)
def test_return() -> None:
    """The passes that it names are none until they come in again; the other one stands."""
    decision = see(row(agreeing(), [give_back("ida", 5, "ana")]), RETURNS)
    assert (decision.state, decision.returns, decision.counted[Stage.QA]) == (State.AWAITING_PASSES, (0,), ())
    assert (decision.counted[Stage.PASS], ids(decision)) == ((1,), ["QR.W060"])
    both = see(row(agreeing(), [give_back("ida", 5, "ana", "cleo")]), RETURNS)
    assert both.counted[Stage.PASS] == ()
    moved = see(row([*agreeing(), again()], [give_back("ida", 5, "ana")]), RETURNS)
    assert (moved.state, moved.counted[Stage.PASS], ids(moved)) == (State.AWAITING_QA, (2, 1), ["QR.W026"])
    early = row(agreeing(), [give_back("ida", 1, "ana")])
    assert at_path(see(early, RETURNS), "qa[0]") == ["QR.W028"]
    twice = row(agreeing(), [give_back("ida", 5, "ana"), give_back("dag", 6, "cleo")])
    assert at_path(see(twice, "returns: {most: 2}"), "qa[1]") == ["QR.W028"]
    for by, why in (("ops", "QR.W024"), ("zoe", "QR.W023"), ("cleo", "QR.W030"), ("eli", "QR.W025")):
        refused = see(row(agreeing(), [give_back(by, 40, "ana")]), RETURNS)
        assert (refused.state, at_path(refused, "qa[0]")) == (State.AWAITING_QA, [why])


@rule(
    "A return does not count if the row was returned as often as the policy allows, or if it names nobody, or somebody without a pass that counted at its time.",
    "A QA review that says `return` names under `to` the people whose passes it gives back; what is no list of people names nobody.",
)
def test_return_that_does_not_count() -> None:
    """The row stays with QA."""
    unlimited = see(row(agreeing(), [give_back("ida", 5, "ana")]))
    assert (unlimited.state, at_path(unlimited, "qa[0]")) == (State.AWAITING_QA, ["QR.W061"])
    qa = [give_back("ida", 5, "ana"), give_back("ida", 7, "ana", "cleo")]
    spent = see(row([*agreeing(), again()], qa), RETURNS)
    assert (spent.state, spent.returns, at_path(spent, "qa[1]")) == (State.AWAITING_QA, (0,), ["QR.W061"])
    once_more = see(row([*agreeing(), again()], qa), "returns: {most: 2}")
    assert (once_more.state, once_more.returns) == (State.AWAITING_PASSES, (0, 1))
    for to in (None, [], "ana", ["hal"], ["ana", "hal"], [5], {"ana": 1}):
        nobody = see(row(agreeing(), [give_back("ida", 5) | {"to": to}]), RETURNS)
        assert (nobody.state, at_path(nobody, "qa[0]")) == (State.AWAITING_QA, ["QR.W062"])


@rule(
    "The people whose passes were given back keep their place in line and are asked again: the step lists them under `returned`, and nobody else may take it but for as many `others` as it says.",
    "Where one of them has left the team, their place falls to the next in line, or to somebody else.",
)
def test_who_is_asked_again() -> None:
    """A surplus pass does not take the place of somebody who is at work on theirs."""
    surplus = [*agreeing(), sub("hal", 2, verdict="A")]
    decision = see(row(surplus, [give_back("ida", 5, "ana")]), RETURNS)
    assert (at_path(decision, "passes[0]"), at_path(decision, "passes[2]")) == (["QR.W060"], ["QR.W027"])
    step = decision.next
    assert step is not None
    assert (step.to_json()["returned"], step.to_json()["others"], step.excluded) == (["ana"], 0, ("cleo", "ida"))
    people = team_of(TEAM).people
    assert [person for person in people if may_take(people[person], step)] == ["ana"]
    gone = TEAM.replace("id: ana,  roles: [annotator]", "id: ana,  roles: [annotator], left: 2026-01-05T10:04:00Z")
    assert see(row(surplus, [give_back("ida", 5, "ana")]), RETURNS, gone).counted[Stage.PASS] == (1, 2)
    open_again = see(row(agreeing(), [give_back("ida", 5, "ana")]), RETURNS, gone)
    assert (open_again.next, open_again.state) == (
        NextStep(Stage.PASS, (), step.excluded, (), 1),
        State.AWAITING_PASSES,
    )
    one_left = see(row(agreeing(), [give_back("ida", 5, "ana", "cleo")]), RETURNS, gone).next
    assert one_left is not None
    assert (one_left.returned, one_left.others) == (("cleo",), 1)
    able = {person.id for person in team_of(gone).people.values() if may_take(person, one_left)}
    assert able == {"ben", "cleo", "hal"}


@rule(
    "Whoever returned a row may do its QA again, and no pass of theirs counts from then on: they have read the others."
)
def test_who_returned() -> None:
    """Of the label nothing is theirs, so their second look is as independent as the first."""
    passes, qa = [sub("ana", 0, verdict="A"), sub("hal", 1, verdict="A")], [give_back("cleo", 5, "ana")]
    final = see(row([*passes, again()], [*qa, sub("cleo", 7, "correct", verdict="B")]), RETURNS)
    assert (final.state, final.certificate and final.certificate.qa) == (State.FINAL, "cleo")
    own = see(row([*passes, again("cleo")], qa), RETURNS)
    assert (own.state, at_path(own, "passes[2]")) == (State.AWAITING_PASSES, ["QR.W030"])


@rule("QA that is not later than the last counted return does not count.")
def test_qa_of_before_a_return() -> None:
    """A return takes back what was said before it, also where somebody else's pass of before steps in."""
    qa = [sub("dag", 4, "accept"), give_back("ida", 5, "ana")]
    decision = see(row([*agreeing(), again(value="A")], qa), RETURNS)
    assert (decision.state, at_path(decision, "qa[0]")) == (State.AWAITING_QA, ["QR.W029"])
    gone = TEAM.replace("id: ana,  roles: [annotator]", "id: ana,  roles: [annotator], left: 2026-01-05T10:04:00Z")
    stepped_in = see(row([*agreeing(), sub("hal", 2, verdict="A")], qa), RETURNS, gone)
    assert (stepped_in.state, at_path(stepped_in, "qa[0]")) == (State.AWAITING_QA, ["QR.W029"])


@rule("Once a row was returned its QA is due, whatever `qa.when` says.")
@pytest.mark.parametrize("when", ["{when: conflict}", "{when: sample, share: 0}"])
def test_qa_after_a_return(when: str) -> None:
    """Whether what was wrong is right now is for QA to say, not for two people who agree."""
    policy = f"{{qa: {when}, {RETURNS}}}"
    passes = [*disagreeing(), again()]
    assert see(row(passes), policy).state is State.FINAL
    assert see(row(passes, [give_back("ida", 5, "ana")]), policy).state is State.AWAITING_QA


@rule(
    "A counted return has no other part in the row: its values, its flags and its person's expertise count for nothing."
)
def test_part_of_a_return() -> None:
    """Its reason is all that it says."""
    said = give_back("dag", 5, "ana", verdict="C", flags=["needs_expert", "domain:technical"])
    decision = see(row([*agreeing(), again(value="A")], [said, sub("ida", 7, "accept")], domain="financial"), RETURNS)
    assert decision.next is not None
    assert (decision.state, decision.next.requires) == (State.AWAITING_EXPERT, ("financial",))
    assert decision.proposal["verdict"].value == "A"
    assert "dag" not in decision.next.excluded


@rule(
    "A return that is not later than the last reopening of its row does not count, so that the passes stand again as they did."
)
def test_return_and_reopening() -> None:
    """A manager takes a return back by opening the row again, where its person is long away, say."""
    decision = see(row(agreeing(), [give_back("ida", 5, "ana")], reopened=[{"at": at(7)}]), RETURNS)
    assert (decision.state, at_path(decision, "qa[0]"), decision.returns) == (State.AWAITING_QA, ["QR.W050"], ())


def test_return_then_escalate_then_final() -> None:
    """The whole way of a row that went back to both, then to an expert; a record of it follows, and no shorter one."""
    qa = [give_back("ida", 5, "ana", "cleo"), sub("ida", 8, "escalate", reason="which year?")]
    passes = [*disagreeing(), again("cleo", 6, "C"), again("ana", 7, "B")]
    expert = [sub("gus", 9, "correct", verdict="C")]
    states = [
        see(row(passes[:2]), RETURNS).state,
        see(row(passes[:2], qa[:1]), RETURNS).state,
        see(row(passes[:3], qa[:1]), RETURNS).state,
        see(row(passes, qa[:1]), RETURNS).state,
        see(row(passes, qa), RETURNS).state,
    ]
    assert states == [
        State.AWAITING_QA, State.AWAITING_PASSES, State.AWAITING_PASSES, State.AWAITING_QA, State.AWAITING_EXPERT
    ]  # fmt: skip
    decision = see(row(passes, qa, expert), RETURNS)
    assert decision.state is State.FINAL
    assert decision.certificate is not None
    assert decision.certificate.to_json()["times"] == {"passes": [at(7), at(6)], "qa": at(8), "expert": [at(9)]}
    assert (decision.certificate.passes, decision.certificate.qa) == (("ana", "cleo"), "ida")
    assert decision.comparison["verdict"].values == ("B", "C")
    record = json.loads(json.dumps(row(passes, qa, expert) | decision.to_json()))
    verifier = Verifier(team_of(TEAM), policy_of(RETURNS))
    assert verifier.check(record, 1) == []
    unreturned = Verifier(team_of(TEAM), policy_of(RETURNS)).check(record | {"passes": passes[:2]}, 1)
    assert "QR.E105" in [noted.id for noted in unreturned]


# Domains and experts.


@rule(
    "The effective domains are the row's given domain, else the predicted one, and every `domain:` flag of a counted "
    "submission, as far as they are expert domains."
)
def test_effective_domains() -> None:
    """A flag of a counted pass, QA or expert review adds a domain; that of a surplus pass does not."""
    passes = [sub("ana", 0, flags=["domain:technical", "domain:general"]), sub("hal", 1)]
    assert requires(see(row(passes, domain="financial"))) == ("financial", "technical")
    assert requires(see(row([sub("ana", 0), sub("hal", 1), sub("cleo", 2, flags=["domain:technical"])]))) == ()
    qa = [sub("ida", 5, "accept", flags=["domain:technical"])]
    assert see(row([*passes[1:], sub("ana", 0)], qa)).state is State.AWAITING_EXPERT
    flagged = [sub("tom", 6, "accept", flags=["domain:financial"])]
    decision = see(row([*passes[1:], sub("ana", 0)], qa, flagged))
    assert (decision.state, requires(decision)) == (State.AWAITING_EXPERT, ("financial",))


def requires(decision: Decision) -> tuple[str, ...]:
    """What the next step requires."""
    assert decision.next is not None
    return decision.next.requires


@rule("Each effective domain needs `expert_quorum` people who hold it among those whose submissions count.")
def test_quorum_of_two() -> None:
    """With a quorum of two, Dag alone is not enough, Dag and Fay are."""
    passes = [sub("ana", 0), sub("hal", 1)]
    history = row(passes, [sub("dag", 5, "accept")], domain="financial")
    assert see(history, "expert_quorum: 2").state is State.AWAITING_EXPERT
    assert see(history | {"expert": [sub("fay", 6, "accept")]}, "expert_quorum: 2").state is State.FINAL
    assert see(history).state is State.FINAL


@rule("One person may cover several domains.")
def test_one_person_two_domains() -> None:
    """Dag holds both domains of the row."""
    passes = [sub("ana", 0, flags=["domain:technical"]), sub("hal", 1)]
    decision = see(row(passes, [sub("dag", 5, "accept")], domain="financial"))
    assert decision.certificate is not None
    assert decision.certificate.domains == {"financial": ("dag",), "technical": ("dag",)}


@rule(
    "A `needs_expert` flag is met when, for every effective domain, somebody other than the flagger whose submission "
    "counts holds it."
)
def test_needs_expert_met_by_somebody_else() -> None:
    """Ben, who knows finance himself, asks for an expert: his own expertise meets the quorum, not his question."""
    passes = [sub("ana", 0), sub("ben", 1, flags=["needs_expert"])]
    history = row(passes, domain="financial")
    assert requires(see(history)) == ("financial",)
    assert see(history | {"qa": [sub("fay", 5, "accept")]}).state is State.FINAL
    assert see(history | {"qa": [sub("ida", 5, "accept")]}).state is State.AWAITING_EXPERT
    asked_by_ana = row([sub("ana", 0, flags=["needs_expert"]), sub("ben", 1)], domain="financial")
    assert requires(see(asked_by_ana)) == ()


@rule("Without an effective domain `needs_expert` is met when somebody other than the flagger has role `expert`.")
def test_needs_expert_without_a_domain() -> None:
    """Any expert but the one who asks will do."""
    history = row([sub("ana", 0, flags=["needs_expert"]), sub("hal", 1)])
    assert see(history | {"qa": [sub("gus", 5, "accept")]}).state is State.FINAL
    own = [sub("gus", 5, "accept", flags=["needs_expert"])]
    assert see(row([sub("ana", 0), sub("hal", 1)], own)).state is State.AWAITING_EXPERT


# States.


@rule(
    "A row is `BLOCKED` with no next step when a counted expert review says `escalate`, and a finding gives the reason."
)
def test_blocked_by_an_expert() -> None:
    """The reason of the expert is what the manager reads."""
    decision = see(row(agreeing(), ESCALATED, [sub("dag", 6, "escalate", reason="guideline is silent")]))
    assert (decision.state, decision.next) == (State.BLOCKED, None)
    (found,) = decision.findings
    assert (found.id, found.path) == ("QR.E002", "expert[0]")
    assert "guideline is silent" in found.message


@rule("A row is `DISCARDED` with no next step when the last counted review says `discard`.")
def test_discarded() -> None:
    """QA or an expert may throw a row out, and nothing of it becomes gold."""
    decision = see(row(agreeing(), [sub("ida", 5, "discard", reason="empty response")]))
    assert (decision.state, decision.next, decision.final) == (State.DISCARDED, None, None)
    assert see(row(agreeing(), ESCALATED, [sub("dag", 6, "discard", reason="x")])).state is State.DISCARDED


@rule("A row is `AWAITING_PASSES` while fewer than `passes` count; the people of counted passes are excluded.")
def test_awaiting_passes() -> None:
    """Whoever has passed the row is not asked again."""
    assert see(row()).next == NextStep(Stage.PASS)
    decision = see(row([sub("hal", 1), sub("ana", 2)]), "passes: 3")
    assert (decision.state, decision.next) == (State.AWAITING_PASSES, NextStep(Stage.PASS, (), two("ana", "hal")))


def two(*names: str) -> tuple[PersonId, ...]:
    """Person ids."""
    return tuple(map(PersonId, names))


@rule("A row is `AWAITING_QA` when QA is due and none is counted; the people of counted passes are excluded.")
def test_awaiting_qa() -> None:
    """Two passes are there; a third person is asked."""
    decision = see(row(agreeing()))
    assert (decision.state, decision.next) == (State.AWAITING_QA, NextStep(Stage.QA, (), two("ana", "cleo")))


@rule("QA requires each effective domain whose quorum is missed by the passes.")
def test_qa_requires_missed_domains() -> None:
    """Finance is covered by Ben's pass, technology by nobody's."""
    history = row([sub("ben", 0), sub("hal", 1, flags=["domain:technical"])], domain="financial")
    assert requires(see(history)) == ("technical",)
    assert requires(see(history, "expert_quorum: 2")) == ("financial", "technical")


@rule("QA requires all effective domains for an unmet `needs_expert`, or `*` if there is none.")
def test_qa_requires_for_needs_expert() -> None:
    """The question goes to somebody who can answer it."""
    asking = [sub("ben", 0, flags=["needs_expert"]), sub("hal", 1)]
    assert requires(see(row([asking[0], sub("hal", 1, flags=["domain:technical"])], domain="financial"))) == (
        "financial",
        "technical",
    )
    assert requires(see(row(asking))) == ("*",)


@rule("A row is `AWAITING_EXPERT` when QA says `escalate` and no expert review is counted.")
def test_awaiting_expert_after_escalate() -> None:
    """Any expert who took no part may settle a general row."""
    decision = see(row(agreeing(), ESCALATED))
    assert decision.state is State.AWAITING_EXPERT
    assert decision.next == NextStep(Stage.EXPERT, ("*",), two("ana", "cleo", "ida"))
    assert see(row(agreeing(), ESCALATED, [sub("gus", 6, "accept")])).state is State.FINAL


@rule("A row is `AWAITING_EXPERT` after QA when an `escalate_when` expression is true and no expert review is counted.")
def test_awaiting_expert_by_expression() -> None:
    """The policy sends disagreement to an expert even if QA has settled it."""
    policy = "escalate_when: ['size(conflicts) > 0']"
    history = row(disagreeing(), [sub("dag", 5, "correct", verdict="A")])
    assert see(history, policy).state is State.AWAITING_EXPERT
    assert see(history | {"expert": [sub("gus", 6, "accept")]}, policy).state is State.FINAL
    assert see(row(agreeing(), [sub("ida", 5, "accept")]), policy).state is State.FINAL


@rule("A row is `AWAITING_EXPERT` after QA while a quorum is missed or a `needs_expert` flag is unmet.")
def test_awaiting_expert_by_quorum() -> None:
    """QA by a generalist of a financial row is not the end, and neither is one that asks for an expert."""
    assert see(row(agreeing(), [sub("ida", 5, "accept")], domain="financial")).state is State.AWAITING_EXPERT
    assert see(row(agreeing(), [sub("ida", 5, "accept", flags=["needs_expert"])])).state is State.AWAITING_EXPERT


@rule(
    "An expert step excludes everyone whose submission counts, and requires the missed domains, else every effective "
    "domain, else `*`."
)
def test_expert_step() -> None:
    """Missed domains go first; a covered domain is asked for when only the question is open."""
    ida = [sub("ida", 5, "accept")]
    flagged = [sub("ben", 0), sub("hal", 1, flags=["domain:technical"])]
    assert see(row(flagged, ida, domain="financial")).next == NextStep(
        Stage.EXPERT, ("technical",), two("ben", "hal", "ida")
    )
    assert see(row([sub("ben", 0), sub("hal", 1)], ESCALATED, domain="financial")).next == NextStep(
        Stage.EXPERT, ("financial",), two("ben", "hal", "ida")
    )
    assert requires(see(row(agreeing(), ESCALATED))) == ("*",)


@rule("A row is `FINAL` when nothing above applies.")
def test_final() -> None:
    """Two passes that agree and a QA that accepts make gold."""
    decision = see(row(agreeing(), [sub("ida", 5, "accept")]))
    assert (decision.state, decision.next, decision.findings) == (State.FINAL, None, ())


@rule("`*` means role `expert`.")
def test_star() -> None:
    """Gus holds no domain but is an expert; Ben holds one but is none."""
    people = team_of(TEAM).people
    step = NextStep(Stage.QA, ("*",))
    assert may_take(people[PersonId("gus")], step)
    assert not may_take(people[PersonId("ida")], step)


@rule("A person may take a step if they have a role for it, are not excluded, and hold all of `requires`.")
def test_may_take() -> None:
    """Role, exclusion and expertise, each alone enough to say no."""
    dag, fay = (team_of(TEAM).people[PersonId(name)] for name in ("dag", "fay"))
    both = NextStep(Stage.EXPERT, ("financial", "technical"))
    assert (may_take(dag, both), may_take(fay, both)) == (True, False)
    assert not may_take(dag, NextStep(Stage.EXPERT, (), two("dag")))
    assert not may_take(dag, NextStep(Stage.PASS))


@rule("If nobody does but somebody holds some of it, `requires` becomes the first such domain in alphabetical order.")
def test_requires_falls_back() -> None:
    """Without Dag nobody holds both domains: finance is asked for first, then technology."""
    team = TEAM.replace("  - {id: dag,  roles: [expert, qa], expertise: [technical, financial]}\n", "")
    history = row([sub("ana", 0, flags=["domain:technical"]), sub("hal", 1)], domain="financial")
    decision = see(history, team=team)
    assert (decision.state, requires(decision)) == (State.AWAITING_QA, ("financial",))
    decision = see(history | {"qa": [sub("fay", 5, "accept")]}, team=team)
    assert (decision.state, requires(decision)) == (State.AWAITING_EXPERT, ("technical",))
    only_tom = team.replace("  - {id: fay,  roles: [expert], expertise: [financial]}\n", "")
    assert requires(see(history, team=only_tom)) == ("technical",)


@rule(
    "If nobody may take the step even so, the row is `BLOCKED`, `next` is that step, and a finding says who could cure "
    "it."
)
def test_blocked_by_the_team() -> None:
    """The finding names who has what and lacks what."""
    team = "people: [{id: ana, roles: [annotator]}, {id: ben, roles: [annotator], expertise: [financial]}, {id: ida, roles: [qa]}, {id: cy, roles: [], expertise: [financial]}, {id: hal, roles: [annotator]}]"
    decision = see(row([sub("ana", 0), sub("hal", 1)], domain="financial"), team=team)
    assert (decision.state, decision.next) == (State.BLOCKED, NextStep(Stage.QA, ("financial",), two("ana", "hal")))
    (found,) = decision.findings
    assert (found.id, found.severity) == ("QR.E001", "error")
    assert found.hint == (
        "In the team file, give the role `expert` or `qa` to ben or cy; or give the expertise financial to ida, if they "
        "have it; or add somebody with the role `expert` or `qa` and the expertise financial. It cannot be ana or hal, "
        "who took part already."
    )
    empty = see(row(), team="people: []")
    assert (empty.state, empty.next) == (State.BLOCKED, NextStep(Stage.PASS))
    star = see(row([sub("ana", 0, flags=["needs_expert"]), sub("hal", 1)]), team=team)
    assert (star.state, star.next) == (State.BLOCKED, NextStep(Stage.QA, ("*",), two("ana", "hal")))


CONFLICT = "qa: {when: conflict}"


@rule("With `qa.when: all` QA is always due.")
def test_qa_all() -> None:
    """Also of a row on which everybody agrees."""
    assert see(row(agreeing()), "qa: {when: all}").state is State.AWAITING_QA


@rule("With `qa.when: conflict` QA is due if a field is in conflict.")
def test_qa_on_conflict() -> None:
    """Agreement is final at once; disagreement is not."""
    decision = see(row(agreeing()), CONFLICT)
    assert decision.state is State.FINAL
    assert decision.certificate is not None
    assert decision.certificate.qa is None
    assert see(row(disagreeing()), CONFLICT).state is State.AWAITING_QA


@rule("With `qa.when: conflict` QA is due if the proposal has no value for a required field.")
def test_qa_on_a_required_field() -> None:
    """Sets that agree by a low threshold may have nothing in common, which is no label where one is required."""
    passes = [sub("ana", 0, topics=["a"]), sub("hal", 1, topics=["b"])]
    policy = CONFLICT + "\nfields: {topics: {agree: jaccard, threshold: 0}}"
    topics = {"kind": "choices"}
    assert see(row(passes, fields={"topics": topics | {"required": True}}), policy).state is State.AWAITING_QA
    assert see(row(passes, fields={"topics": topics}), policy).state is State.FINAL


@pytest.mark.parametrize(
    ("flag", "state"),
    [
        ("unsure", State.AWAITING_QA),
        ("needs_expert", State.AWAITING_QA),
        ("domain:technical", State.AWAITING_QA),
        ("domain:general", State.FINAL),
        ("domain:legal", State.FINAL),
        ("guideline_gap", State.FINAL),
    ],
)
@rule(
    "With `qa.when: conflict` QA is due if a counted pass carries `unsure`, `needs_expert` or the flag of an expert domain."
)
def test_qa_on_flags(flag: str, state: State) -> None:
    """A doubt is heard even where the answers agree, and even from an expert of the flagged domain."""
    assert see(row([sub("ana", 0, flags=[flag]), sub("hal", 1)]), CONFLICT).state is state
    team = TEAM + "  - {id: tec, roles: [annotator], expertise: [technical]}\n"
    decision = see(row([sub("tec", 0, flags=[flag]), sub("hal", 1)]), CONFLICT, team)
    assert decision.state is state


@rule("With `qa.when: conflict` QA is due if a counted pass carries `broken_row`.")
def test_qa_on_a_broken_row() -> None:
    """Whatever is sampled, somebody looks at it; a pass that does not count asks for nothing."""
    for policy in (CONFLICT, CONFLICT.replace("{when: conflict}", "{when: sample, share: 0.0}")):
        assert see(row(agreeing()), policy).state is State.FINAL
        assert see(row([sub("ana", 0, flags=["broken_row"]), sub("hal", 1)]), policy).state is State.AWAITING_QA
    surplus = row([sub("ana", 0), sub("hal", 1), sub("ben", 2, flags=["broken_row"])])
    assert see(surplus, CONFLICT).state is State.FINAL


@rule("With `qa.when: conflict` QA is due if an `escalate_when` expression is true.")
def test_qa_on_expression() -> None:
    """The policy can ask for more."""
    policy = CONFLICT + "\nescalate_when: [\"domain == 'general'\"]"
    assert see(row(agreeing(), domain="general"), policy).state is State.AWAITING_QA
    assert see(row(agreeing()), policy).state is State.FINAL


@rule("With `qa.when: conflict` QA is due if a quorum is missed.")
def test_qa_on_quorum() -> None:
    """A financial row without a financial pass gets one in QA."""
    assert requires(see(row(agreeing(), domain="financial"), CONFLICT)) == ("financial",)
    assert see(row([sub("ana", 0), sub("ben", 1)], domain="financial"), CONFLICT).state is State.FINAL


def _is_sampled(name: str, share: float) -> bool:
    decision = see(row(agreeing(), row_id=name), f"qa: {{when: sample, share: {share}}}")
    return decision.state is State.AWAITING_QA


@rule(
    "With `qa.when: sample` QA is due in these cases and for the sampled share of rows, by a hash of the row id alone."
)
def test_qa_sample() -> None:
    """The share is met; a greater share has the smaller one in it; conflicts always go."""
    names = [f"row-{number}" for number in range(1500)]
    fifth = {name for name in names if _is_sampled(name, 0.2)}
    assert 0.16 < len(fifth) / len(names) < 0.24
    assert fifth <= {name for name in names if _is_sampled(name, 0.5)}
    assert not _is_sampled("r1", 0)
    assert _is_sampled("r1", 1)
    assert see(row(disagreeing()), "qa: {when: sample, share: 0}").state is State.AWAITING_QA
    other = row([sub("hal", 7, verdict="Z"), sub("ben", 8, verdict="Z")], row_id=min(fifth), domain="general")
    assert see(other, "qa: {when: sample, share: 0.2}").state is State.AWAITING_QA


@rule(
    "A review that is not later than the last reopening of its row does not count.",
    "Once a row was reopened its QA is due, whatever `qa.when` says.",
)
@pytest.mark.parametrize("policy", ["", "qa: {when: conflict}", "{qa: {when: sample, share: 0}}"])
def test_reopened_row(policy: str) -> None:
    """What was decided before stands no more; a review of afterwards decides the row anew."""
    reopened = [{"at": at(7)}, {"at": at(9)}]
    before = [sub("ida", 5, "accept"), sub("dag", 9, "accept")]
    decision = see(row(agreeing(), before, reopened=reopened), policy)
    assert (decision.state, decision.final, decision.certificate) == (State.AWAITING_QA, None, None)
    assert [at_path(decision, f"qa[{place}]") for place in range(2)] == [["QR.W050"]] * 2
    assert see(row(agreeing(), before), policy).state is State.FINAL
    again = see(row(agreeing(), [*before, sub("ida", 10, "accept")], reopened=reopened), policy)
    assert (again.state, again.certificate and again.certificate.qa) == (State.FINAL, "ida")
    discarded = row(agreeing(), [sub("ida", 5, "discard", reason="spam")], reopened=reopened)
    assert see(discarded, policy).state is State.AWAITING_QA


@rule("`reopened` lists when a decided row was opened again; an entry without a time is ignored with a finding.")
def test_reopened_without_a_time() -> None:
    """Such an entry cannot say which reviews came before it."""
    reviewed = row(agreeing(), [sub("ida", 5, "accept")])
    entries: list[Any] = [None, 5, "x", {}, {"at": None}, {"at": "noon"}, []]
    for entry in entries:
        decision = see(reviewed | {"reopened": [entry]})
        assert (decision.state, at_path(decision, "reopened[0]")) == (State.FINAL, ["QR.W008"])
    assert at_path(see(reviewed | {"reopened": "yes"}), "reopened[0]") == ["QR.W008"]
    expert = [sub("dag", 6, "accept")]
    asked = row(agreeing(), [sub("ida", 5, "escalate", reason="?"), sub("ida", 8, "escalate", reason="?")], expert)
    late = see(asked | {"reopened": [{"at": at(7)}]})
    assert (late.state, at_path(late, "expert[0]")) == (State.AWAITING_EXPERT, ["QR.W029"])


@rule("A counted QA is heard also if it was not due.")
def test_qa_that_was_not_due() -> None:
    """Somebody who looked and corrected has corrected, and one who escalates is heard."""
    decision = see(row(agreeing(), [sub("ida", 5, "correct", verdict="X")]), CONFLICT)
    assert decision.final is not None
    assert decision.final["verdict"].value == "X"
    assert see(row(agreeing(), ESCALATED), CONFLICT).state is State.AWAITING_EXPERT


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("domain == 'technical'", True),
        ("'unsure' in flags && 'domain:x' in flags && size(flags) == 2", True),
        ("conflicts == ['b']", True),
        ("agreement.a == 1.0 && agreement.b == 0.0 && agreement.r == 0.75", True),
        ("auto_label_changed", True),
        ("'accepted' in flags", False),
    ],
)
@rule(
    "Expressions see the row's domain, the flags of counted passes, the fields in conflict, the score of each field, "
    "and whether an agreed value differs from the auto-label."
)
def test_facts(expression: str, expected: bool) -> None:
    """Each variable holds what the rules say, and QA's flags are not in it."""
    fields = {"a": {"kind": "choice"}, "b": {"kind": "choice"}, "r": {"kind": "rating", "min": 1, "max": 5}}
    passes = [sub("ana", 0, a="x", b="x", r=4, flags=["unsure"]), sub("hal", 1, a="x", b="y", r=5, flags=["domain:x"])]
    history = row(passes, fields=fields, predicted_domain="technical", auto_label={"a": "y", "b": "x"})
    policy = json.dumps({
        "qa": {"when": "conflict"}, "escalate_when": [expression],
        "fields": {"a": {"agree": "exact"}, "b": {"agree": "exact"}, "r": {"agree": "tolerance", "tolerance": 1}},
    })  # fmt: skip
    qa = [sub("dag", 5, "correct", b="x", flags=["accepted"])]
    assert (see(history | {"qa": qa}, policy).state is State.AWAITING_EXPERT) is expected
    same = history | {"auto_label": {"a": "x", "b": "z"}, "qa": qa}
    assert see(same, policy.replace(expression, "auto_label_changed")).state is State.FINAL


@pytest.mark.parametrize(
    "expression",
    ["agreement.nope < 0.5", "agreement.verdict + 1 > 2", "conflicts[3] == 'x'", "flags[0] == 'x' ? 1 : 2"],
)
@rule("An expression that fails on a row, or comes to neither true nor false, is a finding and counts as true.")
def test_failing_expression(expression: str) -> None:
    """A rule that cannot be answered asks for an expert rather than let the row pass."""
    policy = json.dumps({"qa": {"when": "conflict"}, "escalate_when": ["false", expression]})
    passes = [sub("ana", 0, flags=["x"] if "?" in expression else []), sub("hal", 1)]
    decision = see(row(passes), policy)
    assert decision.state is State.AWAITING_QA
    assert at_path(decision, "escalate_when[1]") == ["QR.W040"]


@rule(
    "For `auto_label_changed` a set that no pass gave is the empty set, and any other field that no pass gave has no "
    "value that could differ."
)
def test_auto_label_removed() -> None:
    """Two people who deleted every pre-labelled span have changed the auto-label."""
    policy = "{qa: {when: conflict}, escalate_when: [auto_label_changed], fields: {entities: {agree: span_f1}}}"
    history = row([sub("ana", 0), sub("hal", 1)], fields=SPANS, auto_label={"entities": [span(0, 4)]})
    assert see(history, policy).state is State.AWAITING_QA
    assert see(history | {"auto_label": {"entities": []}}, policy).state is State.FINAL
    bare = row([sub("ana", 0), sub("hal", 1)], auto_label={"verdict": "A"})
    assert see(bare, policy).state is State.FINAL


# Comparison.


@rule("Before the passes are complete `comparison` and `proposal` are empty.")
def test_nothing_before_complete() -> None:
    """One pass of two must not show through."""
    decision = see(row([sub("ana", 0, verdict="A")]))
    assert (decision.comparison, decision.proposal) == ({}, {})


def compared(kind: str, measure: str, *answers: Any, **field: Any) -> dict[str, Any]:
    """The comparison of one field, as JSON, of one pass an answer."""
    people = ("ana", "hal", "cleo", "ben")
    passes = [
        sub(who, minute, values={"f": answer})
        for minute, (who, answer) in enumerate(zip(people, answers, strict=False))
    ]
    history = row(passes, fields={"f": {"kind": kind, **field}})
    decision = see(history, f"{{passes: {len(answers)}, fields: {{f: {{agree: {measure}}}}}}}")
    return dict(decision.to_json()["comparison"]["f"])


@rule("Each field has `agreed`, `score` and the compared `values`, sets also `both`, `only_first` and `only_second`.")
def test_comparison_shape() -> None:
    """What QA sees side by side."""
    assert compared("choice", "exact", "A", "B") == {"agreed": False, "score": 0.0, "values": ["A", "B"]}
    assert compared("choices", "exact", ["a", "b"], ["b", "c"]) == {
        "agreed": False, "score": 0.0, "values": [["a", "b"], ["b", "c"]], "both": ["b"], "only_first": ["a"], "only_second": ["c"],
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["choices", "spans", "boxes", "segments"])
@rule("For a set, absent in a pass is the empty set.")
def test_absent_set(kind: str) -> None:
    """Nothing marked and no key at all are the same."""
    assert compared(kind, "exact", None, []) == {
        "agreed": True, "score": 1.0, "values": [[], []], "both": [], "only_first": [], "only_second": [],
    }  # fmt: skip


@pytest.mark.parametrize(("kind", "measure"), [("choice", "exact"), ("text", "exact"), ("rating", "tolerance")])
@rule("A field absent on both sides agrees with score 1.", "A field absent on one side is a conflict with score 0.")
def test_absent_field(kind: str, measure: str) -> None:
    """Two who left a field out agree; one of two does not."""
    given: Any = 4 if kind == "rating" else "A"
    assert compared(kind, measure, None, None)["score"] == 1.0
    assert compared(kind, measure, given, None) == {"agreed": False, "score": 0.0, "values": [given, None]}
    assert compared(kind, measure, None, given)["agreed"] is False


@pytest.mark.parametrize(
    ("kind", "one", "other", "agreed"),
    [
        ("choice", "A", "A", True),
        ("choice", "A", "a", False),
        ("choice", "A", " A", False),
        ("choices", ["a", "b"], ["b", "a"], True),
        ("spans", [span(0, 4), span(5, 9)], [span(5, 9), span(0, 4, text="Acme")], True),
        ("spans", [span(0, 4)], [span(0, 4, "PER")], False),
        ("rating", 4, 4.0, True),
        ("number", 0.5, 0.25, False),
        ("segments", [span(0, 1)], [{"start": 0.0, "end": 1.0, "label": "ORG"}], True),
    ],
)
@rule("`exact` agrees on equal values: sets as sets, numbers as numbers.")
def test_exact(kind: str, one: Any, other: Any, agreed: bool) -> None:
    """Equal is equal, whatever the order of a set."""
    assert compared(kind, "exact", one, other)["score"] == float(agreed)


@pytest.mark.parametrize(
    ("one", "other", "agreed"),
    [
        ("Cafe\u0301 au  lait\n", " Café au\tlait", True),
        ("a\u00a0b", "a b", True),
        ("a b", "ab", False),
        ("Case", "case", False),
        ("", "  ", True),
    ],
)
@rule("`exact` compares text after NFC, with runs of white space as one space and the ends stripped.")
def test_exact_text(one: str, other: str, agreed: bool) -> None:
    """How a text was typed is not what it says."""
    assert compared("text", "exact", one, other)["agreed"] is agreed


@rule("`jaccard` scores |A∩B|/|A∪B|, and 1 for two empty sets.", "Sets agree if the score is at least `threshold`.")
def test_jaccard() -> None:
    """Two of three shared is two thirds; the threshold itself is enough."""
    assert compared("choices", "jaccard", ["a", "b"], ["b", "c", "a"])["score"] == 2 / 3
    assert compared("choices", "jaccard", [], [])["score"] == 1
    assert compared("choices", "jaccard", ["a"], [])["score"] == 0
    assert compared("choices", "jaccard, threshold: 0.5", ["a", "b"], ["a"])["agreed"] is True
    assert compared("choices", "jaccard, threshold: 0.51", ["a", "b"], ["a"])["agreed"] is False


@rule("`span_f1` scores 2·TP/(|A|+|B|) over distinct start, end and label, and 1 for two empty sets.")
def test_span_f1_strict() -> None:
    """One of one and two spans shared is 2·1/3."""
    assert compared("spans", "span_f1", [span(0, 4)], [span(0, 4), span(5, 9)])["score"] == 2 / 3
    assert compared("spans", "span_f1", [span(0, 4)], [span(0, 4, "PER")])["score"] == 0
    assert compared("spans", "span_f1", [], [])["score"] == 1


@rule(
    "`span_f1` with `overlap` pairs spans of one label greedily by intersection over union, and TP is the sum of these "
    "ratios."
)
def test_span_f1_overlap() -> None:
    """[0,10) meets [0,8) at 0.8; what is left meets nothing of its label."""
    measure = "span_f1, match: overlap"
    one, other = [span(0, 10), span(20, 30)], [span(0, 8), span(20, 30, "PER")]
    assert compared("spans", measure, one, other)["score"] == pytest.approx(2 * 0.8 / 4)
    greedy = compared("spans", measure, [span(0, 10)], [span(0, 5), span(4, 10)])
    assert greedy["score"] == pytest.approx(2 * 0.6 / 3)
    assert compared("spans", measure, [span(0, 5)], [span(5, 9)])["score"] == 0


@rule("Of equal ratios the pair that starts first, then the one that ends first, is taken, and each span is used once.")
def test_overlap_ties() -> None:
    """[0,4) and [4,8) share half of [0,8) each: the first is paired, so the proposal keeps it."""
    passes = [sub("ana", 0, entities=[span(4, 8), span(0, 4)]), sub("hal", 1, entities=[span(0, 8)])]
    policy = "fields: {entities: {agree: span_f1, match: overlap, threshold: 0.3}}"
    decision = see(row(passes, fields=SPANS), policy)
    assert decision.comparison["entities"].score == pytest.approx(2 * 0.5 / 3)
    assert decision.proposal["entities"].value == [span(0, 4)]
    ends = [sub("ana", 0, entities=[span(2, 12), span(2, 4)]), sub("hal", 1, entities=[span(2, 6), span(4, 8)])]
    # 2..4 with 2..6 is 0.5; 2..12 with 2..6 is 0.4, with 4..8 it is 0.4 too: the first is used by then.
    assert see(row(ends, fields=SPANS), policy).comparison["entities"].score == pytest.approx(2 * 0.9 / 4)


def box(x: float, width: float = 10, label: str = "cat") -> dict[str, Any]:
    """A box ten percent high."""
    return {"x": x, "y": 0, "width": width, "height": 10, "label": label}


@rule("`iou_f1` counts the same greedy pairs whose ratio is at least `iou`.")
def test_iou_f1() -> None:
    """Boxes that share two thirds count whole at 0.5 and not at all at 0.7; segments alike."""
    assert compared("boxes", "iou_f1, iou: 0.5", [box(0)], [box(2)])["score"] == 1
    assert compared("boxes", "iou_f1, iou: 0.7", [box(0)], [box(2)])["score"] == 0
    assert compared("boxes", "iou_f1", [box(0), box(50)], [box(2), box(80)])["score"] == 0.5
    assert compared("boxes", "iou_f1", [box(0)], [box(0, label="dog")])["score"] == 0
    assert compared("boxes", "iou_f1", [box(0)], [box(0) | {"y": 50}])["score"] == 0
    assert compared("segments", "iou_f1, iou: 0.5", [span(0, 2)], [span(0, 1)])["score"] == 1
    assert compared("segments", "iou_f1, iou: 0.51", [span(0, 2)], [span(0, 1)])["score"] == 0


@rule("`tolerance` agrees if |a − b| is at most the tolerance, reckoned with the decimals people wrote.")
def test_tolerance() -> None:
    """1.1 and 1.0 are 0.1 apart, whatever a computer makes of it."""
    assert compared("rating", "tolerance, tolerance: 1", 4, 5)["agreed"] is True
    assert compared("rating", "tolerance, tolerance: 1", 3, 5)["agreed"] is False
    assert compared("number", "tolerance, tolerance: 0.1", 1.1, 1.0)["agreed"] is True
    assert compared("number", "tolerance, tolerance: 0.1", 1.1000001, 1.0)["agreed"] is False
    assert compared("number", "tolerance, tolerance: 0.2", 0.3, 0.1)["agreed"] is True
    assert compared("number", "tolerance, tolerance: 0.2", 0.5, 0.1)["agreed"] is False
    assert compared("number", "tolerance, tolerance: 0.2", 0.2, 0.1)["agreed"] is True


@rule(
    "`tolerance` scores 1 − |a − b|/(max − min), clamped to 0..1.",
    "Without a range `tolerance` scores 1 if equal, else 0.",
)
def test_tolerance_score() -> None:
    """One step of four is three quarters; far outside the range is 0, not less."""
    assert compared("rating", "tolerance", 4, 5, min=1, max=5)["score"] == 0.75
    assert compared("rating", "tolerance", -90, 90, min=1, max=5)["score"] == 0
    assert compared("rating", "tolerance, tolerance: 9", 4, 5) == {"agreed": True, "score": 0.0, "values": [4, 5]}
    assert compared("rating", "tolerance", 4, 4.0)["score"] == 1
    assert compared("rating", "tolerance", 4, 5, min=5, max=5)["score"] == 0
    assert compared("rating", "tolerance", 4, 5, min=1)["score"] == 0


@rule("With one pass every field agrees with score 1.")
def test_one_pass() -> None:
    """Nobody is there to disagree."""
    assert compared("choice", "exact", None) == {"agreed": True, "score": 1.0, "values": [None]}
    alone = compared("choices", "jaccard", ["a"])
    assert (alone["both"], alone["only_first"], alone["only_second"]) == (["a"], [], [])


@rule("With more than two passes the score is the mean over pairs, and the field agrees only if every pair agrees.")
def test_three_passes() -> None:
    """Of three pairs one agrees: a third."""
    assert compared("choice", "exact", "A", "A", "B") == {"agreed": False, "score": 1 / 3, "values": ["A", "A", "B"]}
    close = compared("rating", "tolerance, tolerance: 1", 3, 4, 5, min=1, max=5)
    assert (close["agreed"], close["score"]) == (False, pytest.approx((0.75 + 0.75 + 0.5) / 3))
    assert compared("rating", "tolerance", 4, 4, 5, min=1, max=5)["score"] == pytest.approx((1 + 0.75 + 0.75) / 3)


@rule(
    "With more than two passes `both` has the elements of every pass, `only_first` and `only_second` those that only the "
    "first or second in line has."
)
def test_three_sets() -> None:
    """What the third has too is nobody's own."""
    found = compared("choices", "exact", ["a", "b", "c"], ["a", "d"], ["a", "b"])
    assert (found["both"], found["only_first"], found["only_second"]) == (["a"], ["c"], ["d"])


# Proposal.


def proposed(kind: str, measure: str, *answers: Any, auto: Any = None, **field: Any) -> Any:
    """The proposal for one field of one pass an answer, as (value, origin), or None."""
    people = ("ana", "hal", "cleo", "ben", "eli")
    passes = [
        sub(who, minute, values={"f": answer})
        for minute, (who, answer) in enumerate(zip(people, answers, strict=False))
    ]
    history = row(passes, fields={"f": {"kind": kind, **field}}, auto_label={"f": auto})
    proposal = "passes" if auto is None else "passes+auto"
    policy = f"{{passes: {len(answers)}, proposal: {proposal}, fields: {{f: {{agree: {measure}}}}}}}"
    found = see(history, policy).to_json()["proposal"].get("f")
    return None if found is None else (found["value"], found["origin"])


@rule(
    "For an agreed field the proposal is the common value, with origin `passes`; of equal values the one of the first in line."
)
def test_proposal_agreed() -> None:
    """Ana was first, so hers is taken as she wrote it."""
    assert proposed("choice", "exact", "A", "A") == ("A", "passes")
    assert proposed("choices", "exact", ["b", "a"], ["a", "b"]) == (["b", "a"], "passes")
    assert proposed("choices", "exact", [], None) == ([], "passes")
    assert proposed("number", "exact", 4.0, 4) == (4.0, "passes")


@rule("Of sets that agree but differ it is the elements in more than half of the passes.")
def test_proposal_sets() -> None:
    """Of two passes that is both; of three it is two."""
    assert proposed("choices", "jaccard, threshold: 0.5", ["a", "b"], ["b"]) == (["b"], "passes")
    three = (["a", "b"], ["b", "c"], ["c", "b"])
    assert proposed("choices", "jaccard, threshold: 0.2", *three) == (["b", "c"], "passes")
    spans = ([span(5, 9), span(10, 12)], [span(5, 9), span(0, 4)], [span(0, 4), span(10, 12)])
    assert proposed("spans", "span_f1, threshold: 0.5", *spans) == ([span(0, 4), span(5, 9), span(10, 12)], "passes")


@rule(
    "Of sets that agree but differ under `overlap` or `iou_f1` it is the elements of the first in line that are paired in "
    "more than half of the other passes."
)
def test_proposal_pairs() -> None:
    """The first's borders are kept for what the other saw too."""
    measure = "span_f1, match: overlap, threshold: 0.5"
    first, other = [span(0, 10), span(20, 22)], [span(0, 9)]
    assert proposed("spans", measure, first, other) == ([span(0, 10)], "passes")
    assert proposed("spans", measure, other, first) == ([span(0, 9)], "passes")
    three = ([box(0), box(40)], [box(1), box(41)], [box(1), box(80)])
    assert proposed("boxes", "iou_f1, threshold: 0.1", *three) == ([box(0)], "passes")


@rule("Of ratings and numbers that agree but differ it is the lower median.")
def test_proposal_median() -> None:
    """Of 5 and 4 it is 4; of 3, 5 and 4 it is 4."""
    assert proposed("rating", "tolerance, tolerance: 1", 5, 4) == (4, "passes")
    assert proposed("number", "tolerance, tolerance: 2", 5, 3, 4) == (4, "passes")


@rule("Of texts that agree but differ it is the one of the first in line.")
def test_proposal_text() -> None:
    """As the first wrote it."""
    assert proposed("text", "exact", " so  it is", "so it is") == (" so  it is", "passes")


@rule("For sets in conflict it is the elements in all passes, if any, with origin `passes`.")
def test_proposal_conflict_sets() -> None:
    """What everybody saw is there to start from."""
    assert proposed("choices", "exact", ["a", "b"], ["b", "c"]) == (["b"], "passes")
    assert proposed("choices", "exact", ["a"], ["b"]) is None


@rule(
    "With `passes+auto` and an auto-label a conflict takes instead the value, for sets the elements, that more than half "
    "of passes and auto-label share, if any, with origin `majority`."
)
def test_proposal_majority() -> None:
    """Two of three is more than half; two of four is not; nothing shared is nothing proposed."""
    assert proposed("choice", "exact", "A", "B", auto="B") == ("B", "majority")
    assert proposed("choice", "exact", "A", "B", auto="C") is None
    assert proposed("choice", "exact", "A", None, auto="A") == ("A", "majority")
    assert proposed("choice", "exact", "A", "B", "C", auto="A") is None
    assert proposed("choice", "exact", None, None, "B", auto="B") is None
    assert proposed("text", "exact", "a", "b  c", auto="b c") == ("b  c", "majority")
    assert proposed("choices", "exact", ["a", "b"], ["b", "c"], auto=["c"]) == (["b", "c"], "majority")
    assert proposed("choices", "exact", ["a"], ["b"], auto=["c"]) is None
    assert proposed("choice", "exact", "A", "A", auto="B") == ("A", "passes")
    history = row(disagreeing(), auto_label={"verdict": None})
    assert see(history, "proposal: passes+auto").proposal == {}


@rule("Any other conflict, and any other field absent in every pass, is missing from the proposal.")
def test_proposal_missing() -> None:
    """Where nobody knows, nothing is pre-filled."""
    assert proposed("choice", "exact", "A", "B") is None
    assert proposed("choice", "exact", None, None, auto="A") is None
    assert proposed("choices", "exact", None, ["a"]) is None


@pytest.mark.parametrize(
    ("kind", "measure"),
    [
        ("choices", "jaccard"),
        ("spans", "span_f1"),
        ("spans", "span_f1, match: overlap"),
        ("boxes", "iou_f1"),
        ("segments", "iou_f1"),
    ],
)
@rule("A set absent in every pass is the empty set with origin `passes`.")
def test_proposal_of_an_unfilled_set(kind: str, measure: str) -> None:
    """Nobody ticked anything is an answer, which a review that repeats it does not change."""
    assert proposed(kind, measure, None, None) == ([], "passes")
    assert proposed(kind, measure, None) == ([], "passes")
    fields = {"f": {"kind": kind}}
    for qa in ([sub("ida", 5, "accept", f=[])], [sub("ida", 5, "accept")]):
        decision = see(row([sub("ana", 0), sub("hal", 1)], qa, fields=fields), "fields: {}").to_json()
        assert decision["proposal"] == {"f": {"value": [], "origin": "passes"}}
        assert decision["final"]["values"] == {"f": {"value": [], "origin": "passes", "changed_from_auto": None}}


@rule(
    "After QA the proposal is overlaid with the values of a counted QA that says `accept` or `correct`, with origin `qa` "
    "where the value changes."
)
def test_proposal_after_qa() -> None:
    """The expert's form starts from what QA stands by, and not from its guess."""
    fields = {"verdict": {"kind": "choice"}, "note": {"kind": "text"}, "same": {"kind": "choice"}}
    passes = [sub("ana", 0, verdict="A", note="x", same="S"), sub("hal", 1, verdict="B", note="x", same="S")]
    qa = sub("ida", 5, "correct", verdict="C", same="S")
    kept = {"note": {"value": "x", "origin": "passes"}, "same": {"value": "S", "origin": "passes"}}
    proposal = see(row(passes, [qa], fields=fields, domain="financial"), "fields: {}").to_json()["proposal"]
    assert proposal == kept | {"verdict": {"value": "C", "origin": "qa"}}
    for word in ("escalate", "discard"):
        opinion = qa | {"decision": word, "reason": "?"}
        opinion["values"] = {"verdict": "C", "note": "y", "same": "T"}
        assert see(row(passes, [opinion], fields=fields), "fields: {}").to_json()["proposal"] == kept


# Final label and certificate.


@rule(
    "A final value is the proposal, overlaid by the values of QA and then of the expert reviews in order of time, of those "
    "that say `accept` or `correct`."
)
def test_final_overlay() -> None:
    """An accept with another value counts as it stands."""
    fields = {name: {"kind": "choice"} for name in "abcd"}
    passes = [
        sub(who, minute, a="P", b="P", c="P", d="P", flags=["domain:technical"])
        for minute, who in enumerate(("ana", "hal"))
    ]
    qa = [sub("ida", 5, "accept", b="Q", c="Q", d="Q")]
    expert = [sub("tom", 8, "accept", d="T"), sub("fay", 7, "correct", c="F", d="F")]
    decision = see(row(passes, qa, expert, fields=fields, domain="financial"), "fields: {}")
    assert decision.final is not None
    assert {name: (value.value, value.origin.value) for name, value in decision.final.items()} == {
        "a": ("P", "passes"), "b": ("Q", "qa"), "c": ("F", "expert"), "d": ("T", "expert"),
    }  # fmt: skip


@rule(
    "What an escalating or discarding review says is an opinion for whoever comes next and enters neither proposal nor "
    "label."
)
def test_opinions_enter_no_label() -> None:
    """QA guessed B and asked an expert, who accepted the row as it stood: it is A, and nobody but the passes said so."""
    guessed = [sub("ida", 5, "escalate", verdict="B", reason="?")]
    final = see(row(agreeing(), guessed, [sub("dag", 6, "accept")])).final
    assert final is not None
    assert final["verdict"].to_json() == {"value": "A", "origin": "passes", "changed_from_auto": None}
    final = see(row(agreeing(), guessed, [sub("dag", 6, "correct", verdict="C")])).final
    assert final is not None
    assert (final["verdict"].value, final["verdict"].origin.value) == ("C", "expert")
    discarded = see(row(agreeing(), [sub("ida", 5, "discard", verdict="B", reason="?")]))
    assert discarded.proposal["verdict"].value == "A"


@rule("In a review a key that is present, also with `[]`, is a value, and null is not.")
def test_review_values() -> None:
    """QA can empty a set, but cannot unsay a value by leaving it null."""
    fields = {"topics": {"kind": "choices"}, "verdict": {"kind": "choice"}}
    passes = [sub("ana", 0, topics=["a"], verdict="A"), sub("hal", 1, topics=["a"], verdict="A")]
    decision = see(row(passes, [sub("ida", 5, "correct", topics=[], verdict=None)], fields=fields), "fields: {}")
    assert decision.final is not None
    assert decision.final["topics"].to_json() == {"value": [], "origin": "qa", "changed_from_auto": None}
    assert decision.final["verdict"].to_json() == {"value": "A", "origin": "passes", "changed_from_auto": None}


@rule(
    "`origin` is the last stage that changed the value, where an equal value changes nothing; `elements` says the same "
    "for each element of a set."
)
def test_origin() -> None:
    """QA repeats the verdict, adds a topic and drops one; the expert adds another."""
    fields = {"topics": {"kind": "choices"}, "verdict": {"kind": "choice"}}
    passes = [sub("ana", 0, topics=["a", "b"], verdict="A"), sub("hal", 1, topics=["b", "a"], verdict="A")]
    qa = [sub("ida", 5, "correct", topics=["c", "a"], verdict="A")]
    expert = [sub("dag", 6, "correct", topics=["a", "c", "d"])]
    decision = see(row(passes, qa, expert, fields=fields, domain="financial"), "fields: {}")
    final = decision.to_json()["final"]
    assert final["values"]["verdict"]["origin"] == "passes"
    assert final["values"]["topics"] == {"value": ["a", "c", "d"], "origin": "expert", "changed_from_auto": None}
    assert final["elements"] == {"topics": ["passes", "qa", "expert"]}


@rule("`changed_from_auto` says whether the value differs from the auto-label, and is null without one.")
def test_changed_from_auto() -> None:
    """Compared as `exact` compares: sets as sets, texts normalised."""
    fields = {"t": {"kind": "text"}, "s": {"kind": "choices"}, "v": {"kind": "choice"}, "n": {"kind": "choice"}}
    passes = [sub(who, minute, t="a  b", s=["x", "y"], v="A", n="A") for minute, who in enumerate(("ana", "hal"))]
    auto = {"t": "a b", "s": ["y", "x"], "v": "B", "n": None}
    final = see(row(passes, [sub("ida", 5, "accept")], fields=fields, auto_label=auto), "fields: {}").final
    assert final is not None
    assert {name: value.changed_from_auto for name, value in final.items()} == {
        "t": False,
        "s": False,
        "v": True,
        "n": None,
    }


@rule(
    "A pass may say under `shown` what its form opened with: `{version, hash}` of the prediction, both null for a form "
    "that opened empty; where it says nothing this is not known.",
    "`changed_from_auto` is null too where every counted pass says that its form opened with something else, or with "
    "nothing.",
    "By version 1 `shown` means nothing.",
)
@pytest.mark.parametrize(
    ("forms", "changed"),
    [
        ((None, None), True),
        (({}, {}), None),
        (({"version": None, "hash": None}, {"version": "other", "hash": "sha256:0"}), None),
        (({"version": None, "hash": None}, {"version": "auto-label", "hash": "its own"}), True),
        (({"version": None, "hash": None}, None), True),
        (({"version": None, "hash": None}, {"hash": 5}), True),
    ],
    ids=["unknown", "empty", "other", "one saw it", "one unknown", "one unreadable"],
)
def test_nobody_changes_what_nobody_was_shown(forms: tuple[Any, Any], changed: bool | None) -> None:
    """The label differs from the auto-label either way; whether it was changed depends on who saw it."""
    auto = {"verdict": "B", "topics": ["b", "a"]}
    own = values_hash({"verdict": Kind.CHOICE, "topics": Kind.CHOICES, "note": Kind.TEXT}, {"note": "", **auto})
    passes = []
    for minute, (who, form) in enumerate(zip(("ana", "hal"), forms, strict=True)):
        shown = form | {"hash": own} if form and form.get("hash") == "its own" else form
        passes.append(sub(who, minute, verdict="A", topics=["a"]) | {"shown": shown})
    fields = {"verdict": {"kind": "choice"}, "topics": {"kind": "choices"}}
    history = row(passes, [sub("ida", 5, "accept")], fields=fields, auto_label=auto)
    final = see(history, "fields: {}").final
    assert final is not None
    assert {value.changed_from_auto for value in final.values()} == {changed}
    old = decide(parse_history(history), team_of(TEAM), policy_of("fields: {}"), RULES_1).final
    assert old is not None
    assert {value.changed_from_auto for value in old.values()} == {True}


@rule(
    "The certificate names the people of passes, QA and expert reviews with the times of their submissions, for each "
    "effective domain all counted people who hold it, and the hashes of policy and team."
)
def test_certificate() -> None:
    """Who stands behind the label, and under which rules."""
    qa = [sub("ida", 5, "escalate", reason="?")]
    decision = see(row([sub("hal", 0), sub("ben", 1)], qa, [sub("dag", 6, "accept")], domain="financial"))
    assert decision.to_json()["certificate"] == {
        "passes": ["hal", "ben"],
        "qa": "ida",
        "expert": ["dag"],
        "domains": {"financial": ["ben", "dag"]},
        "policy": policy_of("").hash,
        "team": team_of(TEAM).hash,
        "times": {"passes": [at(0), at(1)], "qa": at(5), "expert": [at(6)]},
    }


@pytest.mark.parametrize(
    "history",
    [
        row(),
        row(agreeing()),
        row(agreeing(), ESCALATED),
        row(agreeing(), [sub("ida", 5, "discard", reason="x")]),
        row(agreeing(), ESCALATED, [sub("dag", 6, "escalate", reason="x")]),
    ],
)
@rule("`final` and `certificate` are null unless the row is `FINAL`.")
def test_nothing_final_before(history: dict[str, Any]) -> None:
    """What is not final never looks like gold."""
    decision = see(history)
    assert decision.state is not State.FINAL
    assert (decision.final, decision.certificate) == (None, None)


@rule("A decision is the same whatever the order of the rows, and of the submissions within a row.")
def test_order_does_not_matter() -> None:
    """Twenty shuffles of the crowded row say the same, findings told apart by nothing but their path."""
    history = crowded()
    expected = _without_paths(see(history))
    for seed in range(20):
        draw = random.Random(seed)
        shuffled = {stage.key: draw.sample(history[stage.key], len(history[stage.key])) for stage in Stage}
        assert _without_paths(see(history | shuffled)) == expected


def _without_paths(decision: Decision) -> dict[str, Any]:
    whole = decision.to_json()
    for found in whole["findings"]:
        found.pop("path")
    return whole


def test_crowded_row_has_many_findings() -> None:
    """The row that stands for all reasons not to count has most of them."""
    assert len({one for one in ids(see(crowded())) if one in RULES}) > 12


# Versions of the rules.

OLD = Path(__file__).parent / "export_0_1_0"
"""What Quorum 0.1.0 wrote: `export.jsonl` and `export.csv` of eight rows, with the policy and team they rest on."""


def old_records() -> dict[str, Any]:
    """The records of the old export by row id."""
    lines = (OLD / "export.jsonl").read_text("utf-8").splitlines()
    return {record["row_id"]: record for record in map(json.loads, lines)}


def verify_old(*records: Any) -> list[str]:
    """What `quorum verify` finds in these records under the old export's policy and team."""
    verifier = Verifier(load_team((OLD / "team.yaml").read_text()), load_policy((OLD / "policy.yaml").read_text()))
    return [found.id for line, each in enumerate(records, start=1) for found in verifier.check(each, line)]


def now(row_id: str) -> Decision:
    """An old row decided by the rules of today, its verdict required."""
    history = old_records()[row_id]
    history["fields"]["verdict"]["required"] = True
    return see(history, (OLD / "policy.yaml").read_text(), (OLD / "team.yaml").read_text())


def test_an_old_export_is_proved() -> None:
    """What 0.1.0 exported is still proved, and still is not when a value was changed."""
    records = old_records()
    assert [record["state"] for record in records.values()].count("FINAL") == 5
    assert verify_old(*records.values()) == []
    record = records["field-emptied-by-qa"]
    record["final"]["values"]["verdict"]["value"] = "Incorrect"
    assert verify_old(record) == ["QR.E110"]


@rule("By version 1 `required` means nothing, so that a pass may leave any field out and a review may empty any field.")
def test_version_1_requires_nothing() -> None:
    """Two empty answers were gold; now they are no passes."""
    record = old_records()["two-empty-answers"]
    assert (record["gold"], record["passes"][0]["values"]) == (True, {})
    record["fields"]["verdict"]["required"] = True
    assert verify_old(record) == []
    assert now("two-empty-answers").state is State.AWAITING_PASSES
    record = old_records()["field-emptied-by-qa"]
    record["fields"]["entities"]["required"] = True
    assert verify_old(record) == []
    assert "QR.W039" in ids(see(record, (OLD / "policy.yaml").read_text(), (OLD / "team.yaml").read_text()))


@rule(
    "By version 1 a set absent in every pass is missing from the proposal, and a review that gives the empty set is its "
    "origin."
)
def test_version_1_and_sets() -> None:
    """QA's form sent an empty list, so QA seemed to have decided it."""
    old = old_records()["set-that-nobody-filled"]
    assert old["final"]["values"]["issues"] == {"value": [], "origin": "qa", "changed_from_auto": None}
    assert "issues" not in old_records()["opinion-of-a-discard"]["proposal"]
    final = now("set-that-nobody-filled").final
    assert final is not None
    assert final["issues"].to_json() == {"value": [], "origin": "passes", "changed_from_auto": None}
    assert now("opinion-of-a-discard").proposal["issues"].to_json() == {"value": [], "origin": "passes"}


@rule(
    "By version 1 the values of every counted review enter proposal and label, whatever its decision word, and each value "
    "that QA gave has origin `qa` in the proposal."
)
def test_version_1_and_opinions() -> None:
    """What QA guessed when it asked for an expert was the label after the expert's accept."""
    old = old_records()
    guess = old["guess-of-an-escalation"]
    assert (guess["final"]["values"]["verdict"]["value"], guess["proposal"]["tone"]["origin"]) == ("Incorrect", "qa")
    assert old["opinion-of-a-discard"]["proposal"]["verdict"]["origin"] == "qa"
    assert old["guess-settles-a-conflict"]["gold"] is True
    final = now("guess-of-an-escalation").final
    assert final is not None
    assert (final["verdict"].value, final["verdict"].origin.value) == ("Correct", "passes")
    settled = now("guess-settles-a-conflict")
    assert (settled.state, at_path(settled, "expert[0]")) == (State.AWAITING_EXPERT, ["QR.W033"])


@rule("By version 1 `reopened` means nothing.")
def test_version_1_and_reopening() -> None:
    """No row was reopened under it, so a record of that time with such an entry is proved as if it had none."""
    record = old_records()["set-that-nobody-filled"]
    assert verify_old(record | {"reopened": [{"at": "2030-01-01T00:00:00Z"}]}) == verify_old(record) == []


@rule("By versions 1 to 3 `return` is no decision word.")
def test_versions_1_to_3_and_returns() -> None:
    """A record of their time in which somebody wrote it is proved by them: it did not count."""
    history = row(agreeing(), [give_back("ida", 5, "ana"), sub("dag", 6, "accept")])
    team, policy = team_of(TEAM), policy_of(RETURNS)
    for version in (RULES_1, RULES_2, RULES_3):
        decision = decide(parse_history(history), team, policy, version)
        assert (decision.state, at_path(decision, "qa[0]")) == (State.FINAL, ["QR.W031"])
        record = json.loads(json.dumps(history | decision.to_json()))
        assert Verifier(team, policy).check(record, 1) == []
    assert "QR.E105" in [noted.id for noted in Verifier(team, policy).check(record | {"rules": 4}, 1)]


FIRST, SECOND = {"number": 1, "hash": "sha256:a"}, {"number": 2, "hash": "sha256:b"}


def under_guidelines(*named: Any) -> dict[str, Any]:
    """A final row whose two passes say what they were given under."""
    passes = [sub(who, at) for at, who in enumerate(("ana", "hal"))]
    return row([answer | {"guidelines": version} for answer, version in zip(passes, named, strict=True)])


@rule(
    "A submission may say under `guidelines` which version of them it was given under, `{number, hash}`; where it says nothing, or what is no version, this is not known."
)
@pytest.mark.parametrize("nothing", [None, 2, "2", {}, {"number": True, "hash": "x"}, {"number": 1}, [FIRST]])
def test_an_answer_that_names_no_version(nothing: Any) -> None:
    """It counts as it is, and the certificate has what the other says."""
    decision = decide(parse_history(under_guidelines(FIRST, nothing)), team_of(TEAM), policy_of(CONFLICT))
    assert (decision.state, decision.findings) == (State.FINAL, ())
    assert decision.certificate is not None
    assert decision.certificate.to_json()["guidelines"] == [FIRST]


@rule(
    "The certificate names the versions of the guidelines that the counted submissions name, each once and by number, and nothing of guidelines where none names one."
)
def test_guidelines_in_the_certificate() -> None:
    """Of surplus passes it says nothing."""
    team, policy = team_of(TEAM), policy_of(CONFLICT)
    for named, expected in (((SECOND, FIRST), [FIRST, SECOND]), ((FIRST, FIRST), [FIRST])):
        certificate = decide(parse_history(under_guidelines(*named)), team, policy).certificate
        assert certificate is not None
        assert certificate.to_json()["guidelines"] == expected
    without = decide(parse_history(row([sub("ana", 0), sub("hal", 1)])), team, policy).certificate
    assert without is not None
    assert "guidelines" not in without.to_json()


@rule("By versions 1 to 3 `guidelines` means nothing.")
def test_versions_1_to_3_and_guidelines() -> None:
    """A record by them is proved as it was, whatever its answers say besides."""
    team, policy = team_of(TEAM), policy_of(CONFLICT)
    for version in (RULES_1, RULES_2, RULES_3):
        history = under_guidelines(FIRST, SECOND)
        decision = decide(parse_history(history), team, policy, version)
        assert decision.certificate is not None
        assert "guidelines" not in decision.certificate.to_json()
        record = json.loads(json.dumps(history | decision.to_json()))
        assert Verifier(team, policy).check(record, 1) == []


@rule(
    "`quorum verify` finds a submission that names a version of the guidelines which its record does not list, or with another hash or before the time that is listed there, and a version with one hash in one record and another in the next."
)
def test_verify_and_guidelines() -> None:
    """Each contradiction has its finding, at the answer that it is about."""
    team, policy = team_of(TEAM), policy_of(CONFLICT)

    def findings(verifier: Verifier, listed: Any, *named: Any, row_id: str = "r1") -> list[tuple[str, str]]:
        history = under_guidelines(*named) | {"row_id": row_id}
        decision = decide(parse_history(history), team, policy)
        record = json.loads(json.dumps(history | decision.to_json() | {"guidelines": listed}))
        return [(noted.id, noted.path) for noted in verifier.check(record, len(verifier.seen) + 1)]

    listed = [FIRST | {"at": "2020-01-01T00:00:00Z"}, SECOND | {"at": "2020-01-02T00:00:00Z"}]
    late = [FIRST | {"at": "2020-01-01T00:00:00Z"}, SECOND | {"at": "2040-01-01T00:00:00Z"}]
    path = "passes[1].guidelines"
    for versions, named, expected in (
        (listed, SECOND, []),
        (listed[:1], SECOND, [("QR.E127", path)]),
        (None, SECOND, [("QR.E127", "passes[0].guidelines"), ("QR.E127", path)]),
        (listed, {"number": "2"}, [("QR.E127", path)]),
        (listed, SECOND | {"hash": "sha256:c"}, [("QR.E128", path)]),
        (late, SECOND, [("QR.E128", path)]),
        ([*listed, listed[1]], SECOND, [("QR.E128", "guidelines[2]")]),
        ([*listed, "3"], SECOND, [("QR.E127", "guidelines[2]")]),
    ):
        assert findings(Verifier(team, policy), versions, FIRST, named) == expected
    verifier = Verifier(team, policy)
    assert findings(verifier, listed, FIRST, SECOND) == []
    other = [listed[0], {**listed[1], "hash": "sha256:c"}]
    assert findings(verifier, other, FIRST, FIRST, row_id="r2") == [("QR.E128", "guidelines[1]")]


@rule("By versions 1 and 2 `broken_row` asks for no QA.")
def test_versions_1_and_2_and_broken_rows() -> None:
    """A record that was final by them is proved by them, and is not by the newest."""
    history = row([sub("ana", 0, flags=["broken_row"]), sub("hal", 1)])
    team, policy = team_of(TEAM), policy_of(CONFLICT)
    for version in (RULES_1, RULES_2):
        decision = decide(parse_history(history), team, policy, version)
        assert decision.state is State.FINAL
        record = json.loads(json.dumps(history | decision.to_json()))
        assert Verifier(team, policy).check(record, 1) == []
    assert [noted.id for noted in Verifier(team, policy).check(record | {"rules": 3}, 1)] != []


@rule("By version 1 the certificate names no team, and the decision no version.")
def test_version_1_names_no_team() -> None:
    """Whoever adds one to an old record has changed it."""
    record = old_records()["set-that-nobody-filled"]
    assert "rules" not in record
    assert "team" not in record["certificate"]
    record["certificate"]["team"] = load_team((OLD / "team.yaml").read_text()).hash
    assert verify_old(record) == ["QR.E112"]
    decision = see(row(agreeing()), CONFLICT).to_json()
    assert (decision["rules"], set(decision["certificate"]) - {"team"}) == (
        CURRENT.number,
        set(record["certificate"]) - {"team"},
    )


@rule(
    "A record without `rules` is verified by version 1; one that carries a digest, as no record of version 1 does, or "
    "names an unknown version is a finding."
)
def test_versions_of_records() -> None:
    """A record of today that hides its version does not pass for an old one: its certificate names a team."""
    history = row(agreeing(), [sub("ida", 5, "accept")])
    record = json.loads(json.dumps(history | see(history).to_json()))
    verifier = Verifier(team_of(TEAM), policy_of(""))
    assert verifier.check(record, 1) == []
    assert [found.id for found in verifier.check({**record, "rules": None}, 1)] == ["QR.E112"]
    unknowns: list[Any] = [CURRENT.number + 1, 0, True, "2", 2.5, [], {}]
    for unknown in unknowns:
        assert [found.id for found in verifier.check({**record, "rules": unknown}, 1)] == ["QR.E115"]
    bare = {key: value for key, value in record.items() if key != "rules"}
    assert "QR.E115" in [found.id for found in verifier.check(bare | {"digest": Digest.of(bare).to_json()}, 1)]


@rule("`quorum verify` finds a certificate of another team than the one given.")
def test_certificate_of_another_team() -> None:
    """Somebody who had no part in the row gained a role: the team is another one, and that is all there is to say."""
    history = row(agreeing(), [sub("ida", 5, "accept")])
    record = json.loads(json.dumps(history | see(history).to_json()))
    verifier = Verifier(load_team(TEAM + "  - {id: zoe, roles: [qa]}\n"), policy_of(""))
    assert [(found.id, found.path) for found in verifier.check(record, 1)] == [("QR.E114", "certificate.team")]
