"""Zero-shot classification with a natural-language-inference checkpoint (Yin et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from ls_config.loader import Control
from ml_backend.errors import LoadError
from ml_backend.heads import softmax
from ml_backend.predictors import base
from ml_backend.predictors.base import Answer, Ask, Got, Model, Predictor, Row, cut
from ml_backend.predictors.text_classification import class_names, keep_logits, weighted


class ZeroShot(Predictor):
    """For every label the chance that the text entails "It is about <label>"."""

    kinds: ClassVar[frozenset[str]] = frozenset({"choice", "choices"})

    class Settings(base.NetworkSettings):
        """`hypothesis` holds `{}` for the label; `describe` words a label better than its name does."""

        hypothesis: str = Field(default="This text is about {}.", pattern=r"\{\}")
        describe: dict[str, str] = Field(default_factory=dict)

    def __init__(self, settings: Settings, model: Model, entails: int, contradicts: int, identity: str) -> None:
        super().__init__(settings, identity)
        self._model = model
        self._entails = entails
        self._contradicts = contradicts

    @classmethod
    def load(cls, settings: Settings, loader: Any) -> ZeroShot:
        """Open the checkpoint and find its entailment class."""
        model = loader.network(settings, "sequence")
        names = [name.lower() for name in class_names(model)]
        entails = next((i for i, name in enumerate(names) if name.startswith("entail")), None)
        contradicts = next((i for i, name in enumerate(names) if name.startswith(("contra", "not_entail"))), None)
        if entails is None or contradicts is None:
            raise LoadError(
                f"{settings.source}: not an NLI model: it needs classes entailment and contradiction, "
                f"it has {', '.join(names)}"
            )
        return cls(settings, model, entails, contradicts, loader.identity(settings, model.identity))

    def asks(self, row: Row, control: Control) -> Sequence[Ask]:
        """One run a label: the text, and the hypothesis with that label."""
        text = "\n\n".join(
            part for key in self.settings.reads if (part := cut(row.text(key), self.settings.max_chars)[0])
        )
        return tuple(
            Ask(self._model, (text, self._hypothesis(label)), "logits", keep_logits) for label in control.labels
        )

    def _hypothesis(self, label: str) -> str:
        return self.settings.hypothesis.replace("{}", self.settings.describe.get(label, label))  # type: ignore[no-any-return]

    def answer(self, row: Row, control: Control, got: Sequence[Got]) -> Answer:
        """See `Predictor`."""
        logits = np.stack([weighted(one) for one in got])[:, [self._contradicts, self._entails]]
        if not np.isfinite(logits).all():
            return Answer(reason="the model gave a score that is not a number")
        if control.kind == "choices":
            chances = softmax(logits)[:, 1]
            picked = [
                label
                for label, chance in zip(control.labels, chances, strict=True)
                if chance >= (self.settings.threshold or 0.5)
            ]
            return Answer(picked, float(np.maximum(chances, 1 - chances).min()))
        shares = softmax(logits[:, 1])
        best = int(shares.argmax())
        if shares[best] < self.settings.threshold:
            return Answer(score=float(shares[best]), reason=f"unsure: the best label has score {shares[best]:.2f}")
        return Answer(control.labels[best], float(shares[best]))
