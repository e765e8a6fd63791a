"""How the answers of the passes compare, field by field, and the measures behind it.

A score is in 0..1. Absent (None) on both sides agrees with score 1, on one side is a conflict with score 0; the form
of a set kind is never absent, but the empty dict.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import combinations
from math import fsum

from review_rules.canonical import Key, same_forms
from review_rules.files.policy import Agree, Measure
from review_rules.values import Field, FieldComparison, Form, Kind, to_value

_ROUNDING = 1e-12
"""What the rounding of sums and products may take from a score before it is held against it."""

_NEAR = 1e-9
"""Within this distance of a tolerance, numbers are compared again as the decimals people wrote."""


def compare(forms: Sequence[Form], field: Field, measure: Measure) -> FieldComparison:
    """Compare one field of all passes.

    Args:
        forms: one form a pass, in line order; None is absent (never for a set kind).
        field: the field; `low` and `high` scale the score of `tolerance`.
        measure: a measure that suits the field's kind.

    >>> compare(["A", "B"], Field("verdict", Kind.CHOICE), Measure()).agreed
    False
    """
    first, is_set = forms[0], field.kind.is_set
    values = tuple([to_value(form) for form in forms])
    if _all_equal(forms, is_set):  # most rows, most fields: nothing to measure
        return FieldComparison(True, 1.0, values, *(tuple(first.values()), (), ()) if is_set else ())
    agreed, score = _all_pairs(forms, field, measure)
    if not is_set:
        return FieldComparison(agreed, score, values)
    shared = set(first).intersection(*forms)
    both = tuple([element for key, element in first.items() if key in shared])
    return FieldComparison(agreed, score, values, both, _only(0, forms), _only(1, forms))


def _all_equal(forms: Sequence[Form], is_set: bool) -> bool:
    """Whether all forms are the same as they stand; sets by their keys."""
    first, others = forms[0], forms[1:]
    if is_set:
        return all([form.keys() == first.keys() for form in others])  # noqa: C419  (a list is faster for so few)
    return all([form == first for form in others])  # noqa: C419


def _only(own: int, forms: Sequence[Form]) -> tuple[object, ...]:
    """The elements that no form has but that at place `own`."""
    others = set().union(*[form for place, form in enumerate(forms) if place != own])
    return tuple([element for key, element in forms[own].items() if key not in others])


def _all_pairs(forms: Sequence[Form], field: Field, measure: Measure) -> tuple[bool, float]:
    """Agreed only if every pair of at least two forms agrees; the mean score over pairs."""
    results = [compare_pair(first, second, field, measure) for first, second in combinations(forms, 2)]
    return all(agreed for agreed, _ in results), fsum(score for _, score in results) / len(results)


def compare_pair(first: Form, second: Form, field: Field, measure: Measure) -> tuple[bool, float]:
    """Whether two forms agree, and their score.

    >>> compare_pair(4, 5, Field("helpfulness", Kind.RATING, low=1, high=5), Measure(Agree.TOLERANCE, tolerance=1))
    (True, 0.75)
    """
    if first is None or second is None:
        return (True, 1.0) if first is None and second is None else (False, 0.0)
    if measure.agree is Agree.EXACT:
        return (True, 1.0) if same_forms(field.kind, first, second) else (False, 0.0)
    if measure.agree is Agree.TOLERANCE:
        return within(first, second, measure.tolerance), closeness(first, second, field.low, field.high)
    score = set_score(first, second, field.kind, measure)
    return at_least(score, measure.threshold), score


def set_score(first: dict[Key, object], second: dict[Key, object], kind: Kind, measure: Measure) -> float:
    """How much two sets share: jaccard |A∩B|/|A∪B|, else F1 = 2·TP/(|A|+|B|); two empty sets share all (1).

    >>> set_score({"a": "a"}, {"a": "a", "b": "b"}, Kind.CHOICES, Measure(Agree.JACCARD))
    0.5
    """
    if first.keys() == second.keys():
        return 1.0
    if measure.agree is Agree.JACCARD:
        shared = len(first.keys() & second.keys())
        return shared / (len(first) + len(second) - shared)
    if not measure.pairs_elements:
        return 2 * len(first.keys() & second.keys()) / (len(first) + len(second))
    ratios = [ratio for _, _, ratio in pairs(first, second, kind, measure)]
    hits = fsum(ratios) if measure.agree is Agree.SPAN_F1 else len(ratios)
    return min(1.0, 2 * hits / (len(first) + len(second)))


def pairs(
    first: dict[Key, object], second: dict[Key, object], kind: Kind, measure: Measure
) -> Iterator[tuple[Key, Key, float]]:
    """Elements of one label paired greedily, the best intersection/union first, each used once.

    Ties go by start, then end (boxes: left, top, then size), and do not depend on which set comes first.
    With `iou_f1` only pairs whose ratio is at least `iou` are given.
    """
    overlap = _box_overlap if kind is Kind.BOXES else _span_overlap
    by_label: dict[object, list[Key]] = {}
    for b in second:
        by_label.setdefault(b[-1], []).append(b)
    candidates = [(ratio, a, b) for a in first for b in by_label.get(a[-1], ()) if (ratio := overlap(a, b)) > 0]
    # Rounded, so that the order of two equal ratios does not hang on their last bits.
    candidates.sort(key=lambda pair: (-round(pair[0], 12), _tie(pair[1], pair[2])))
    used_a: set[Key] = set()
    used_b: set[Key] = set()
    for ratio, a, b in candidates:
        if a in used_a or b in used_b:
            continue
        used_a.add(a)
        used_b.add(b)
        if measure.agree is Agree.SPAN_F1 or at_least(ratio, measure.iou):
            yield a, b, ratio


def _tie(a: Key, b: Key) -> tuple[object, ...]:
    """Smaller coordinates first, the same for (a, b) and (b, a) as long as that says enough."""
    lows: list[object] = []
    for left, right in zip(a[:-1], b[:-1], strict=True):
        lows += sorted((left, right))
    return (*lows, a[:-1], b[:-1])


def _span_overlap(a: Key, b: Key) -> float:
    (start_a, end_a, _), (start_b, end_b, _) = a, b
    shared = min(end_a, end_b) - max(start_a, start_b)
    if shared <= 0:
        return 0.0
    return _ratio(shared, (end_a - start_a) + (end_b - start_b) - shared)


def _box_overlap(a: Key, b: Key) -> float:
    ax, ay, aw, ah, _ = a
    bx, by, bw, bh, _ = b
    wide = min(ax + aw, bx + bw) - max(ax, bx)
    high = min(ay + ah, by + bh) - max(ay, by)
    if wide <= 0 or high <= 0:
        return 0.0
    return _ratio(wide * high, aw * ah + bw * bh - wide * high)


def _ratio(shared: float, union: float) -> float:
    """Shared over union, at most 1; 0 where rounding or overflow leaves nothing to divide."""
    return min(1.0, shared / union) if 0 < shared <= union * 2 and union < float("inf") else 0.0


def at_least(score: float, limit: float) -> bool:
    """Whether a score reaches a limit; the rounding of sums does not count against it.

    >>> at_least(0.1 + 0.2 + 0.3, 0.6), at_least(0.59, 0.6)
    (True, False)
    """
    return score >= limit - _ROUNDING


def within(first: float, second: float, tolerance: float) -> bool:
    """Whether |a − b| ≤ tolerance, for the decimal numbers as people write them.

    >>> within(1.1, 1.0, 0.1), within(4, 6, 1)
    (True, False)
    """
    if type(first) is int and type(second) is int:
        return abs(first - second) <= tolerance
    distance = abs(float(first) - float(second))
    # Floats decide what is clear; only numbers near the limit are worth exact arithmetic.
    slack = _NEAR * max(1.0, abs(float(first)), abs(float(second)))
    if distance < tolerance - slack:
        return True
    if distance > tolerance + slack:
        return False
    return abs(Fraction(str(first)) - Fraction(str(second))) <= Fraction(str(tolerance))


def closeness(first: float, second: float, low: float | None, high: float | None) -> float:
    """1 − |a − b| / (max − min), clamped to 0..1; without a range 1 if equal, else 0.

    >>> closeness(2, 3, 1, 5), closeness(2, 3, None, None)
    (0.75, 0.0)
    """
    if first == second:
        return 1.0
    if low is None or high is None or high <= low:
        return 0.0
    distance, width = abs(float(first) - float(second)), float(high) - float(low)
    return 1.0 - distance / width if distance < width else 0.0
