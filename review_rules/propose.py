"""The value that pre-fills the next screen: what the passes, or passes and auto-label together, say of a field."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from review_rules.canonical import Key, same_forms
from review_rules.compare import pairs
from review_rules.files.policy import Measure
from review_rules.values import Field, Form, Origin


def propose(
    forms: Sequence[Form], field: Field, measure: Measure, agreed: bool, auto: Form | None
) -> tuple[Form, Origin] | None:
    """The proposal for one field that at least one pass gave a value, or None if there is none.

    Args:
        forms: one form a pass, in line order; None is absent (never for a set kind).
        field: the field.
        measure: how the field is compared.
        agreed: whether the passes agree.
        auto: the auto-label, if the policy lets it break ties and the row has one.

    >>> from review_rules.values import Kind
    >>> propose(["A", "B"], Field("verdict", Kind.CHOICE), Measure(), False, "B")
    ('B', <Origin.MAJORITY: 'majority'>)
    """
    if agreed:
        return _common(forms, field, measure), Origin.PASSES
    # The auto-label may break a tie, but it never outvotes the people: more than half of all votes is asked for.
    if auto is not None:
        shared = _majority([*forms, auto], field)
        return None if shared is None else (shared, Origin.MAJORITY)
    if not field.kind.is_set:
        return None
    # Of sets in conflict, what everybody drew is a start for QA.
    shared = set(forms[0]).intersection(*forms)
    everywhere = {key: element for key, element in forms[0].items() if key in shared}
    return (everywhere, Origin.PASSES) if everywhere else None


def _common(forms: Sequence[Form], field: Field, measure: Measure) -> Form:
    """The value of passes that agree; those that agree but differ are sets or numbers."""
    first = forms[0]
    if all([same_forms(field.kind, first, form) for form in forms[1:]]):  # noqa: C419  (a list is faster for two)
        return first
    if field.kind.is_set:
        return _paired(forms, field, measure) if measure.pairs_elements else _in_most(forms, field)
    # The lower median of numbers is a value that somebody gave, which their mean need not be.
    return sorted(forms)[(len(forms) - 1) // 2]


def _in_most(forms: Sequence[Form], field: Field) -> Form:
    """The elements in more than half of the forms; spans in order of place, others in order of appearance."""
    counts: Counter[Key] = Counter()
    elements: dict[Key, object] = {}
    for form in forms:
        counts.update(form.keys())
        for key, element in form.items():
            elements.setdefault(key, element)
    most = {key: element for key, element in elements.items() if 2 * counts[key] > len(forms)}
    return dict(sorted(most.items(), key=_place)) if field.kind.has_elements_in_order else most


def _place(item: tuple[Key, object]) -> Key:
    return item[0][:2]


def _paired(forms: Sequence[Form], field: Field, measure: Measure) -> Form:
    """The elements of the first form that are paired in more than half of the others."""
    first, *others = forms
    partners = Counter(key for other in others for key, _, _ in pairs(first, other, field.kind, measure))
    return {key: element for key, element in first.items() if 2 * partners[key] > len(others)}


def _majority(forms: Sequence[Form], field: Field) -> Form | None:
    """The value, for sets the elements, that more than half of the forms share; None if there is none."""
    if field.kind.is_set:
        return _in_most(forms, field) or None
    for form in forms:
        if form is None:
            continue
        voters = [other for other in forms if other is not None and same_forms(field.kind, form, other)]
        if 2 * len(voters) > len(forms):
            return form
    return None
