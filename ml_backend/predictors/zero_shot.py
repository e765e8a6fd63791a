"""Classifies without training by a natural-language-inference checkpoint (Yin et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from ls_config.interface import Control
from ml_backend.errors import LoadError
from ml_backend.heads import softmax
from ml_backend.predictors import base
from ml_backend.predictors.base import Answer, Ask, CheckpointPredictor, Model, Outcome, TaskRow, cut
from ml_backend.predictors.text_classification import keep_logits, weighted


class ZeroShot(CheckpointPredictor):
    """Answers by the chance, for every label, that the text entails "It is about <label>"."""

    kinds: ClassVar[frozenset[str]] = frozenset({"choice", "choices"})
    task = "sequence"

    class Settings(base.NetworkSettings):
        """`hypothesis` holds `{}` for the label; `describe` words a label better than its name does."""

        hypothesis: str = Field(default="This text is about {}.", pattern=r"\{\}")
        describe: dict[str, str] = Field(default_factory=dict)

    def __init__(self, settings: Settings, model: Model, classes: tuple[str, ...], identity: str) -> None:
        super().__init__(settings, model, classes, identity)
        self._entails = self._place("entail")
        self._contradicts = self._place("contra", "not_entail")

    def _place(self, *beginnings: str) -> int:
        names = [name.lower() for name in self.classes]
        index = next((i for i, name in enumerate(names) if name.startswith(beginnings)), None)
        if index is None:
            raise LoadError(
                f"{self.settings.source}: not an NLI model: it needs classes entailment and contradiction, "
                f"it has {', '.join(names)}"
            )
        return index

    def asks(self, row: TaskRow, control: Control) -> Sequence[Ask]:
        """Ask for one run a label: the text, and the hypothesis with that label."""
        text = "\n\n".join(
            part for key in self.settings.reads if (part := cut(row.text(key), self.settings.max_chars)[0])
        )
        return tuple(
            Ask(self._model, (text, self._hypothesis(label)), "logits", keep_logits) for label in control.labels
        )

    def _hypothesis(self, label: str) -> str:
        return self.settings.hypothesis.replace("{}", self.settings.describe.get(label, label))  # type: ignore[no-any-return]

    def answer(self, row: TaskRow, control: Control, outcomes: Sequence[Outcome]) -> Answer:
        """See `Predictor`."""
        # Without the neutral class: only what speaks for and against a label is compared.
        logits = np.stack([weighted(outcome) for outcome in outcomes])[:, [self._contradicts, self._entails]]
        if not np.isfinite(logits).all():
            return Answer(reason="the model gave a score that is not a number")
        if control.kind == "choices":
            chances = softmax(logits)[:, 1]
            labels = [
                label
                for label, chance in zip(control.labels, chances, strict=True)
                if chance >= (self.settings.threshold or 0.5)
            ]
            return Answer(labels, float(np.maximum(chances, 1 - chances).min()))
        # One label of many: the hypotheses compete by how much the text entails each.
        shares = softmax(logits[:, 1])
        best = int(shares.argmax())
        if shares[best] < self.settings.threshold:
            return Answer(score=float(shares[best]), reason=f"unsure: the best label has score {shares[best]:.2f}")
        return Answer(control.labels[best], float(shares[best]))
