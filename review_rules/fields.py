"""A row field by field: how its passes compare, what is proposed of them, and the values it ends with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from review_rules.canonical import is_blank, same_forms
from review_rules.compare import compare
from review_rules.files.policy import EXACT, Measure, Policy, ProposalFrom, suitable_measures
from review_rules.findings import Finding, finding
from review_rules.parts import SETTLING, Parts
from review_rules.pre_annotation import saw_auto_label
from review_rules.propose import propose
from review_rules.values import (
    Field,
    FieldComparison,
    FinalValue,
    Form,
    Origin,
    Proposed,
    RowHistory,
    to_value,
)

_NOTHING: Mapping[object, object] = {}


class PassesCompared(NamedTuple):
    """What the counted passes come to.

    `proposal` holds a form and its origin by field; `open_fields` are those in conflict without a proposal;
    `blank_fields` are those that are required, agreed on, and come to no value all the same.
    """

    comparison: dict[str, FieldComparison]
    proposal: dict[str, tuple[Form, Origin]]
    open_fields: list[str]
    blank_fields: list[str]


NOTHING_COMPARED = PassesCompared({}, {}, [], [])
"""Of a row whose passes are not complete; nobody changes it."""


def measures_of(history: RowHistory, policy: Policy, findings: list[Finding]) -> dict[str, Measure]:
    """The measure of each field; without one that suits it, a field is compared exactly, which is a finding."""
    measures: dict[str, Measure] = {}
    for name, field in history.fields.items():
        measure = policy.fields.get(name)
        if measure is None:
            findings.append(finding("QR.W001", f"fields.{name}", field=name))
        elif field.kind not in measure.agree.kinds:
            suitable = ", ".join(suitable_measures(field.kind))
            details = {"field": name, "kind": field.kind, "measure": measure.agree, "suitable": suitable}
            findings.append(finding("QR.W002", f"fields.{name}", **details))
            measure = None
        measures[name] = EXACT if measure is None else measure
    return measures


def compare_passes(history: RowHistory, parts: Parts, measures: Mapping[str, Measure]) -> PassesCompared:
    """Compare the counted passes of a row and propose a value for each field that has one."""
    may_use_auto = parts.policy.proposal is ProposalFrom.PASSES_AUTO
    fills_sets = parts.rules.fills_sets
    answers = [submission.forms for submission in parts.passes]
    compared = PassesCompared({}, {}, [], [])
    for name, field in history.fields.items():
        forms = [answer.get(name) for answer in answers]
        absent = forms.count(None)
        if absent and field.kind.is_set:
            # Nothing drawn and nothing ticked is an answer: the empty set.
            forms = [_NOTHING if form is None else form for form in forms]
        comparison = compare(forms, field, measures[name])
        compared.comparison[name] = comparison
        proposed = None
        if absent < len(forms) or (fills_sets and field.kind.is_set):
            auto = history.auto.get(name) if may_use_auto else None
            proposed = propose(forms, field, measures[name], comparison.agreed, auto)
        if proposed is not None:
            compared.proposal[name] = proposed
        elif not comparison.agreed:
            compared.open_fields.append(name)
        # Sets that agree by a low threshold may have no element in common.
        if field.required and parts.rules.heeds_required and proposed is not None and is_blank(field, proposed[0]):
            compared.blank_fields.append(name)
    return compared


def is_auto_label_changed(history: RowHistory, compared: PassesCompared) -> bool:
    """Whether a value that the passes agree on differs from the auto-label."""
    for name, auto in history.auto.items():
        if not compared.comparison[name].agreed:
            continue
        kind = history.fields[name].kind
        absent = _NOTHING if kind.is_set else None
        agreed = compared.proposal[name][0] if name in compared.proposal else absent
        if agreed is not None and not same_forms(kind, agreed, auto):
            return True
    return False


def next_proposal(history: RowHistory, parts: Parts, compared: PassesCompared) -> dict[str, Proposed]:
    """The proposal as it pre-fills the next screen: after QA with what QA gave."""
    hears_opinions = parts.rules.hears_opinions
    reviewed = parts.qa.forms if parts.qa is not None and (hears_opinions or parts.qa.word in SETTLING) else {}
    proposal: dict[str, Proposed] = {}
    for name, field in history.fields.items():
        proposed = compared.proposal.get(name)
        if name in reviewed:
            origin = Origin.QA
            # The first version of the rules wrote `qa` wherever QA gave a value, also the same one.
            if proposed is not None and not hears_opinions and same_forms(field.kind, proposed[0], reviewed[name]):
                origin = proposed[1]
            proposal[name] = Proposed(to_value(reviewed[name]), origin)
        elif proposed is not None:
            proposal[name] = Proposed(to_value(proposed[0]), proposed[1])
    return proposal


def final_values(history: RowHistory, parts: Parts, compared: PassesCompared) -> dict[str, FinalValue]:
    """The proposal, overlaid by the values of QA and then of the experts in order of time."""
    final: dict[str, FinalValue] = {}
    reviews = [(review, Origin.QA if review is parts.qa else Origin.EXPERT) for review in parts.shaping]
    auto = history.auto if _may_have_changed_auto_label(history, parts) else {}
    for name, field in history.fields.items():
        layers = [(review.forms[name], origin) for review, origin in reviews if name in review.forms]
        if name in compared.proposal:
            layers.insert(0, compared.proposal[name])
        if layers:
            final[name] = _overlay(field, layers, auto.get(name))
    return final


def _may_have_changed_auto_label(history: RowHistory, parts: Parts) -> bool:
    """Whether somebody whose pass counts may have been shown the auto-label: others cannot have changed it."""
    if not history.auto or not parts.rules.heeds_shown:
        return True
    kinds = {name: field.kind for name, field in history.fields.items()}
    auto_label = history.raw.get("auto_label")
    return any(saw_auto_label(kinds, auto_label, passed.raw.get("shown")) is not False for passed in parts.passes)


def _overlay(field: Field, layers: Sequence[tuple[Form, Origin]], auto: Form | None) -> FinalValue:
    """The uppermost value; its origin is the last layer that changed it, and so for each element of a set."""
    value, origin = layers[0]
    is_set = field.kind.is_set
    elements = dict.fromkeys(value, origin) if is_set else {}
    for form, stage in layers[1:]:
        if not same_forms(field.kind, value, form):
            origin = stage
        if is_set:
            # An element that stays keeps its origin; one that was taken out and comes back is new.
            elements = {key: elements.get(key, stage) for key in form}
        value = form
    changed = None if auto is None else not same_forms(field.kind, value, auto)
    return FinalValue(to_value(value), origin, changed, tuple(elements.values()) if is_set else None)
