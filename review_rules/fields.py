"""A row field by field: how its passes compare, what is proposed of them, and the values it ends with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from review_rules.canonical import same_forms
from review_rules.compare import compare
from review_rules.files.policy import EXACT, Measure, Policy, ProposalFrom, suitable_measures
from review_rules.findings import Finding, finding
from review_rules.parts import Parts
from review_rules.propose import propose
from review_rules.values import (
    Field,
    FieldComparison,
    FinalValue,
    Form,
    Origin,
    Proposed,
    RowHistory,
    Submission,
    to_value,
)

_NOTHING: Mapping[object, object] = {}


class PassesCompared(NamedTuple):
    """What the counted passes come to.

    `proposal` holds a form and its origin by field; `open_fields` are those in conflict without a proposal.
    """

    comparison: dict[str, FieldComparison]
    proposal: dict[str, tuple[Form, Origin]]
    open_fields: list[str]


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


def compare_passes(
    history: RowHistory, passes: Sequence[Submission], policy: Policy, measures: Mapping[str, Measure]
) -> PassesCompared:
    """Compare the counted passes of a row and propose a value for each field that has one."""
    may_use_auto = policy.proposal is ProposalFrom.PASSES_AUTO
    answers = [submission.forms for submission in passes]
    compared = PassesCompared({}, {}, [])
    for name, field in history.fields.items():
        forms = [answer.get(name) for answer in answers]
        absent = forms.count(None)
        if absent and field.kind.is_set:
            # Nothing drawn and nothing ticked is an answer: the empty set.
            forms = [_NOTHING if form is None else form for form in forms]
        comparison = compare(forms, field, measures[name])
        compared.comparison[name] = comparison
        proposed = None
        if absent < len(forms):
            auto = history.auto.get(name) if may_use_auto else None
            proposed = propose(forms, field, measures[name], comparison.agreed, auto)
        if proposed is not None:
            compared.proposal[name] = proposed
        elif not comparison.agreed:
            compared.open_fields.append(name)
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
    reviewed = {} if parts.qa is None else parts.qa.forms
    proposal: dict[str, Proposed] = {}
    for name in history.fields:
        if name in reviewed:
            proposal[name] = Proposed(to_value(reviewed[name]), Origin.QA)
        elif name in compared.proposal:
            form, origin = compared.proposal[name]
            proposal[name] = Proposed(to_value(form), origin)
    return proposal


def final_values(history: RowHistory, parts: Parts, compared: PassesCompared) -> dict[str, FinalValue]:
    """The proposal, overlaid by the values of QA and then of the experts in order of time."""
    final: dict[str, FinalValue] = {}
    reviews = [] if parts.qa is None else [(parts.qa, Origin.QA)]
    reviews += [(submission, Origin.EXPERT) for submission in parts.experts]
    for name, field in history.fields.items():
        layers = [(review.forms[name], origin) for review, origin in reviews if name in review.forms]
        if name in compared.proposal:
            layers.insert(0, compared.proposal[name])
        if layers:
            final[name] = _overlay(field, layers, history.auto.get(name))
    return final


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
