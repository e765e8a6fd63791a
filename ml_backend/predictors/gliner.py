"""GLiNER finds entities by the names of their types, without training (the extra `gliner`)."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import Field

from ls_config.interface import Control
from ml_backend.errors import LoadError
from ml_backend.predictors import base
from ml_backend.predictors.base import Answer, Outcome, Predictor, TaskRow, cut
from ml_backend.sources import sha256_of


class Gliner(Predictor):
    """Asks GLiNER for the interface's labels in stretches of the text, and puts the offsets back together."""

    kinds: ClassVar[frozenset[str]] = frozenset({"spans"})

    class Settings(base.Settings):
        """`describe` words a type better than its name does; `stretch` and `overlap` are characters of one reading."""

        source: str
        describe: dict[str, str] = Field(default_factory=dict)
        threshold: float = Field(default=0.5, ge=0, le=1)
        stretch: int = Field(default=1200, ge=100)
        overlap: int = Field(default=200, ge=0)

    def __init__(self, settings: Settings, model: Any, identity: str) -> None:
        super().__init__(settings, identity)
        self._model = model
        self._lock = threading.Lock()

    @classmethod
    def load(cls, settings: Settings, loader: Any) -> Gliner:
        """Open the checkpoint."""
        from gliner import GLiNER

        folder = loader.resolve(settings.source)
        try:
            model = GLiNER.from_pretrained(str(folder), local_files_only=True)
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise LoadError(f"{settings.source}: GLiNER can't load it: {type(error).__name__}") from error
        return cls(settings, model, loader.identity(settings, sha256_of(folder)))

    def answer(self, row: TaskRow, control: Control, outcomes: Sequence[Outcome]) -> Answer:
        """See `Predictor`."""
        full_text = row.text(control.value_key)
        text, note = cut(full_text, self.settings.max_chars)
        if not text.strip():
            return Answer(reason="the text is empty")
        # GLiNER answers with the words that it was asked with; this leads back to the labels.
        names = {self.settings.describe.get(label, label): label for label in control.labels}
        best: dict[tuple[int, int], dict[str, Any]] = {}
        for start in stretches(len(text), self.settings.stretch, self.settings.overlap):
            with self._lock:
                raw = self._model.predict_entities(
                    text[start : start + self.settings.stretch], list(names), threshold=self.settings.threshold
                )
            for entity in raw:
                # A position of 0 is a position: only a missing key would be none.
                span = (start + int(entity["start"]), start + int(entity["end"]))
                score = float(entity["score"])
                # Where two stretches overlap, a span is seen twice: the surer sight counts.
                if math.isfinite(score) and (span not in best or best[span]["score"] < score):
                    best[span] = {
                        "start": span[0],
                        "end": span[1],
                        "label": names[entity["label"]],
                        "text": full_text[span[0] : span[1]],
                        "score": score,
                    }
        spans = without_overlap(best.values())
        return Answer(spans, sum(span["score"] for span in spans) / len(spans) if spans else None, note)


def stretches(length: int, size: int, overlap: int) -> range:
    """Return where each reading of a long text starts.

    >>> list(stretches(2500, 1200, 200))
    [0, 1000, 2000]
    """
    step = max(1, size - overlap)
    return range(0, max(1, length - overlap), step)


def without_overlap(spans: Any) -> list[dict[str, Any]]:
    """Return the surest spans that do not overlap, in the order of the text."""
    winners: list[dict[str, Any]] = []
    for span in sorted(spans, key=lambda span: (-span["score"], span["start"])):
        if all(span["start"] >= winner["end"] or span["end"] <= winner["start"] for winner in winners):
            winners.append(span)
    return sorted(winners, key=lambda span: int(span["start"]))
