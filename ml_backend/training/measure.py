"""Measures predictions: accuracy, macro-F1, span F1, mean absolute error, alpha, calibration, and edits saved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from review_rules.statistics.bootstrap import bootstrap_rows

Spans = Sequence[tuple[int, int, str]]


def accuracy(truth: Sequence[Any], answers: Sequence[Any]) -> float:
    """Compute the share of equal answers."""
    return float(np.mean([a == b for a, b in zip(truth, answers, strict=True)])) if truth else float("nan")


def macro_f1(truth: Sequence[str], answers: Sequence[str | None]) -> float:
    """Compute the mean of 2·TP / (2·TP + FP + FN) over the labels of the truth.

    >>> macro_f1(["a", "b"], ["a", "a"])
    0.3333333333333333
    """
    scores = []
    for label in sorted(set(truth)):
        tp = sum(a == b == label for a, b in zip(truth, answers, strict=True))
        wrong = sum((a == label) != (b == label) for a, b in zip(truth, answers, strict=True))
        scores.append(2 * tp / (2 * tp + wrong))
    return float(np.mean(scores)) if scores else float("nan")


def span_counts(truth: Spans, answers: Spans) -> tuple[int, int, int]:
    """Count true positives, spans of the truth and spans of the answer: exact start, end and label."""
    return len(set(truth) & set(answers)), len(set(truth)), len(set(answers))


def micro_f1(counts: Sequence[tuple[int, int, int]]) -> float:
    """Divide 2·TP by all spans of truth and answer; 1 if there are none at all."""
    tp, truth, answers = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0, 0)
    return 2 * tp / (truth + answers) if truth + answers else 1.0


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
    """Return the most frequent value; of several the smallest in text order."""
    counted = Counter(values)
    return min(counted, key=lambda value: (-counted[value], str(value)))


def edits(kind: str, truth: Any, answer: Any) -> int:
    """Count how many things a person has to change to turn a prediction into the truth.

    A field counts one; for choices every tick that differs; for spans every span to add, and every one to remove,
    where moving an end or changing the label of an overlapping one is a single change.
    """
    if kind == "spans":
        return _span_edits([_span(span) for span in truth or []], [_span(span) for span in answer or []])
    if kind == "choices":
        return len(set(truth or []) ^ set(answer or []))
    return int(truth != answer)


def _span(span: Any) -> tuple[int, int, str]:
    return (span["start"], span["end"], span["label"]) if isinstance(span, Mapping) else tuple(span)


def _span_edits(truth: Spans, answers: Spans) -> int:
    missing, extra = sorted(set(truth) - set(answers)), sorted(set(answers) - set(truth))
    changed = 0
    for span in list(missing):
        # A person drags an end or picks another label: one act, where removing and adding would count two.
        near = next((candidate for candidate in extra if candidate[0] < span[1] and span[0] < candidate[1]), None)
        if near is not None:
            missing.remove(span)
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
    """Compute a figure over rows with its percentile bootstrap interval.

    Args:
        count: number of rows.
        figure: computes the figure from row indices.
    """
    value, interval = bootstrap_rows(count, figure, draws=draws, seed=seed)
    return Estimate(value, interval.low, interval.high)
