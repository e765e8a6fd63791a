"""Reads a rating from a checkpoint: a regression output, or a distribution with a class for each step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from ls_config.interface import Control
from ml_backend.heads import softmax
from ml_backend.predictors import base
from ml_backend.predictors.base import Answer, Ask, CheckpointPredictor, Model, Outcome, TaskRow
from ml_backend.predictors.text_classification import joined, keep_logits, weighted


class OrdinalRating(CheckpointPredictor):
    """Answers the median of the network's distribution, or its regression value, on the control's scale."""

    kinds: ClassVar[frozenset[str]] = frozenset({"rating", "number"})
    task = "sequence"

    class Settings(base.NetworkSettings):
        """`scale` is the range of the network's own numbers, mapped linearly to the control's; None: they are equal."""

        scale: tuple[float, float] | None = None

    def __init__(self, settings: Settings, model: Model, classes: tuple[str, ...], identity: str) -> None:
        super().__init__(settings, model, classes, identity)
        # Classes are numbers, or mapped to numbers under `labels`; or there is one output.
        self._steps = tuple(_number(settings.labels.get(name, name), index) for index, name in enumerate(classes))

    def asks(self, row: TaskRow, control: Control) -> Sequence[Ask]:
        """Ask for one run over the fields that are read."""
        return (Ask(self._model, joined(row, self.settings.reads, self.settings.max_chars), "logits", keep_logits),)

    def answer(self, row: TaskRow, control: Control, outcomes: Sequence[Outcome]) -> Answer:
        """See `Predictor`."""
        logits = weighted(outcomes[0])
        if not np.isfinite(logits).all():
            return Answer(reason="the model gave a score that is not a number")
        if len(logits) == 1:
            return Answer(self._fit(float(logits[0]), control))
        # Classes may stand in any order; a median needs them along the scale.
        order = np.argsort(np.asarray(self._steps))
        chances = softmax(logits)[order]
        best = min(int(np.searchsorted(np.cumsum(chances), 0.5)), len(order) - 1)
        score = float(chances[best])
        if score < self.settings.threshold:
            return Answer(score=score, reason=f"unsure: the rating has score {score:.2f}")
        return Answer(self._fit(self._steps[int(order[best])], control), score)

    def _fit(self, value: float, control: Control) -> int | float:
        low, high = (
            float(control.min if control.min is not None else 1),
            float(control.max if control.max is not None else 5),
        )
        if self.settings.scale is not None:
            first, last = self.settings.scale
            value = low + (value - first) / (last - first) * (high - low)
        bounded = max(low, min(high, value))
        return round(bounded) if control.kind == "rating" else bounded


def _number(name: Any, index: int) -> float:
    """Read a class name as a number: "4", "4 stars", "LABEL_3" (third class from 0, so 4)."""
    text = str(name)
    if text.startswith("LABEL_"):
        return float(text.removeprefix("LABEL_")) + 1
    digits = "".join(char if char.isdigit() or char in ".-" else " " for char in text).split()
    return float(digits[0]) if digits else float(index + 1)
