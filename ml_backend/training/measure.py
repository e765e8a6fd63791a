"""How good predictions are: accuracy, macro-F1, span F1, mean absolute error, alpha, calibration, and edits saved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from review_rules.statistics.bootstrap import bootstrap_rows

Spans = Sequence[tuple[int, int, str]]


def accuracy(truth: Sequence[Any], found: Sequence[Any]) -> float:
    """Share of equal answers."""
    return float(np.mean([a == b for a, b in zip(truth, found, strict=True)])) if truth else float("nan")


def macro_f1(truth: Sequence[str], found: Sequence[str | None]) -> float:
    """Mean over the labels of the truth of 2·TP / (2·TP + FP + FN).

    >>> macro_f1(["a", "b"], ["a", "a"])
    0.3333333333333333
    """
    scores = []
    for label in sorted(set(truth)):
        tp = sum(a == b == label for a, b in zip(truth, found, strict=True))
        wrong = sum((a == label) != (b == label) for a, b in zip(truth, found, strict=True))
        scores.append(2 * tp / (2 * tp + wrong))
    return float(np.mean(scores)) if scores else float("nan")


def span_counts(truth: Spans, found: Spans) -> tuple[int, int, int]:
    """True positives, spans of the truth, spans found: exact start, end and label."""
    return len(set(truth) & set(found)), len(set(truth)), len(set(found))


def micro_f1(counts: Sequence[tuple[int, int, int]]) -> float:
    """2·TP over all spans of truth and prediction; 1 if there are none at all."""
    tp, truth, found = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0, 0)
    return 2 * tp / (truth + found) if truth + found else 1.0


def ece(scores: Sequence[float], right: Sequence[bool], bins: int = 10) -> float:
    """Expected calibration error: mean gap of score and accuracy over equal-width bins, weighted by their rows
    (Naeini et al. 2015); NaN without rows."""
    s, r = np.asarray(scores, dtype=float), np.asarray(right, dtype=float)
    if not len(s):
        return float("nan")
    place = np.minimum((s * bins).astype(int), bins - 1)
    return float(
        sum(abs(s[place == b].mean() - r[place == b].mean()) * (place == b).mean() for b in set(place.tolist()))
    )


def majority(values: Sequence[Any]) -> Any:
    """The most frequent value; of several the smallest in text order."""
    counted = Counter(values)
    return min(counted, key=lambda value: (-counted[value], str(value)))


def edits(kind: str, truth: Any, found: Any) -> int:
    """How many things a person has to change to turn a prediction into the truth.

    A field counts one; for choices every tick that differs; for spans every span to add, and every one to remove,
    where moving an end or changing the label of an overlapping one is a single change.
    """
    if kind == "spans":
        return _span_edits([_span(one) for one in truth or []], [_span(one) for one in found or []])
    if kind == "choices":
        return len(set(truth or []) ^ set(found or []))
    return int(truth != found)


def _span(one: Any) -> tuple[int, int, str]:
    return (one["start"], one["end"], one["label"]) if isinstance(one, Mapping) else tuple(one)


def _span_edits(truth: Spans, found: Spans) -> int:
    missing, extra = sorted(set(truth) - set(found)), sorted(set(found) - set(truth))
    changed = 0
    for one in list(missing):
        near = next((other for other in extra if other[0] < one[1] and one[0] < other[1]), None)
        if near is not None:
            missing.remove(one)
            extra.remove(near)
            changed += 1
    return changed + len(missing) + len(extra)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval; `low` and `high` are None where it cannot be had."""

    value: float
    low: float | None
    high: float | None


def bootstrap(
    count: int, figure: Callable[[NDArray[np.int64]], float], *, draws: int = 1000, seed: int = 20
) -> Estimate:
    """A figure over rows with its percentile bootstrap interval.

    Args:
        count: number of rows.
        figure: computes the figure from row indices.
    """
    value, interval = bootstrap_rows(count, figure, draws=draws, seed=seed)
    return Estimate(value, interval.low, interval.high)
