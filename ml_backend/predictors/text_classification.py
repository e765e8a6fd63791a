"""Reads any sequence-classification checkpoint of transformers, for choice and choices controls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from ls_config.interface import Control
from ml_backend.features import Floats
from ml_backend.heads import sigmoid, softmax
from ml_backend.predictors import base
from ml_backend.predictors.base import Answer, Ask, CheckpointPredictor, Outcome, TaskRow, cut
from ml_backend.tokens import Window


class TextClassification(CheckpointPredictor):
    """Runs a network whose logits are one number a class.

    Long texts are read in windows, whose logits are averaged by their tokens.
    """

    kinds: ClassVar[frozenset[str]] = frozenset({"choice", "choices"})
    task = "sequence"

    class Settings(base.NetworkSettings):
        """`reads` names one field, two to be read as a pair, or more to be joined by blank lines.

        `activation` is softmax for one label a text, sigmoid for several; auto follows the control.
        """

        activation: Literal["auto", "softmax", "sigmoid"] = "auto"

    def check(self, control: Control) -> str | None:
        """See `Predictor.check`."""
        return super().check(control) or self._without_place(control, self.classes)

    def asks(self, row: TaskRow, control: Control) -> Sequence[Ask]:
        """Ask for one run over the fields that are read."""
        return (Ask(self._model, joined(row, self.settings.reads, self.settings.max_chars), "logits", keep_logits),)

    def answer(self, row: TaskRow, control: Control, outcomes: Sequence[Outcome]) -> Answer:
        """See `Predictor`."""
        logits = weighted(outcomes[0])
        if not np.isfinite(logits).all():
            return Answer(reason="the model gave a score that is not a number")
        is_multilabel = self.settings.activation == "sigmoid" or (
            self.settings.activation == "auto" and control.kind == "choices"
        )
        return self._choices(sigmoid(logits)) if is_multilabel else self._choice(softmax(logits), control)

    def _choice(self, chances: Floats, control: Control) -> Answer:
        # Several classes may be mapped to one label: their chances add up.
        totals: dict[Any, float] = {}
        for name, chance in zip(self.classes, chances, strict=True):
            totals[self.mapped(name)] = totals.get(self.mapped(name), 0.0) + float(chance)
        label = max(totals, key=lambda candidate: totals[candidate])
        if label is None or totals[label] < self.settings.threshold:
            return Answer(score=totals[label], reason=f"unsure: the best label has score {totals[label]:.2f}")
        return Answer([label] if control.kind == "choices" else label, totals[label])

    def _choices(self, chances: Floats) -> Answer:
        needed = self.settings.threshold or 0.5
        labels = {self.mapped(name) for name, chance in zip(self.classes, chances, strict=True) if chance >= needed} - {
            None
        }
        return Answer(sorted(labels, key=str), float(np.maximum(chances, 1 - chances).min()))


def keep_logits(output: Floats, window: Window) -> Floats:
    """Keep a window's logits, and the number of its tokens as last element."""
    return np.append(output, np.float32(len(window))).astype(np.float32)


def weighted(outcome: Outcome) -> Floats:
    """Compute the mean of the windows' logits, weighted by their tokens."""
    parts = np.stack([logits for _, logits in outcome.windows])
    result: Floats = (parts[:, :-1] * parts[:, -1:]).sum(axis=0) / parts[:, -1].sum()
    return result


def joined(row: TaskRow, reads: Sequence[str], max_chars: int) -> str | tuple[str, str]:
    """Return what the network reads: one text, a pair, or more fields with blank lines between them."""
    texts = [cut(row.text(key), max_chars)[0] for key in reads]
    # Two texts go in as a pair, as such checkpoints were trained; of three the tokenizer knows nothing.
    if len(texts) == 2:
        return texts[0], texts[1]
    return "\n\n".join(text for text in texts if text)
