"""Any token-classification checkpoint of transformers, for spans: aggregation that keeps neighbours apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from ls_config.loader import Control
from ml_backend.features import Floats
from ml_backend.heads import softmax
from ml_backend.predictors import base
from ml_backend.predictors.base import Answer, Ask, CheckpointPredictor, Got, Row, cut
from ml_backend.tokens import Ints, Window


class TokenClassification(CheckpointPredictor):
    """A network whose logits are one row a token, with O, B-x, I-x (or plain x) classes."""

    kinds: ClassVar[frozenset[str]] = frozenset({"spans"})
    task = "token"

    class Settings(base.NetworkSettings):
        """`labels` maps the model's entity types (without B-, I-) to the interface's; null drops a type."""

    def check(self, control: Control) -> str | None:
        """See `Predictor.check`."""
        types = sorted({split(name)[1] for name in self.classes} - {""})
        return super().check(control) or self._without_place(control, types)

    def asks(self, row: Row, control: Control) -> Sequence[Ask]:
        """One run over the text that the control labels."""
        text, _ = cut(row.text(control.value_key), self.settings.max_chars)
        return (Ask(self._model, text, "tags", _tags),) if text.strip() else ()

    def answer(self, row: Row, control: Control, got: Sequence[Got]) -> Answer:
        """See `Predictor`."""
        text, note = cut(row.text(control.value_key), self.settings.max_chars)
        if not got:
            return Answer(reason="the text is empty")
        logits, offsets = by_word(got[0])
        if not np.isfinite(logits).all():
            return Answer(reason="the model gave a score that is not a number")
        if self._model.long == "cut" and len(offsets) and text[int(offsets[-1, 1]) :].strip():
            read, whole = int(offsets[-1, 1]), len(row.text(control.value_key))
            note = f"only the first {read} of {whole} characters were read (long: cut)"
        spans = [
            {"start": start, "end": end, "label": label, "text": text[start:end], "score": round(score, 4)}
            for start, end, kind, score in spans_of(softmax(logits), offsets, self.classes, text)
            if score >= self.settings.threshold and (label := self.mapped(kind)) is not None
        ]
        return Answer(spans, float(np.mean([one["score"] for one in spans])) if spans else 1.0, note)


def _tags(output: Floats, window: Window) -> Floats:
    return output[: len(window)].astype(np.float32)


def split(name: str) -> tuple[str, str]:
    """A class name as (prefix, type): ("B", "PER"); ("", "PER") without prefix; ("", "") for outside."""
    if name in {"O", "o", "outside"}:
        return "", ""
    prefix, dash, kind = name.partition("-")
    return (prefix, kind) if dash and prefix in {"B", "I", "E", "S", "L", "U"} else ("", name)


def by_word(got: Got) -> tuple[Floats, Ints]:
    """Logits and offsets, one row a word: the first piece of a word decides its tag.

    A word seen in two windows keeps the window where it is farther from the edge.
    """
    best: dict[int, tuple[int, Floats, int]] = {}
    for window, tags in got.windows:
        for tokens in words_of(window).values():
            start, end = int(window.offsets[tokens[0], 0]), int(window.offsets[tokens[-1], 1])
            margin = min(tokens[0], len(window) - 1 - tokens[-1])
            known = best.get(start)
            if end > start and (known is None or known[0] < margin):
                best[start] = (margin, tags[tokens[0]], end)
    places = sorted(best)
    if not places:
        return np.zeros((0, 1), dtype=np.float32), np.zeros((0, 2), dtype=np.int64)
    offsets = np.asarray([(start, best[start][2]) for start in places], dtype=np.int64)
    return np.stack([best[start][1] for start in places]), offsets


def words_of(window: Window) -> dict[int, list[int]]:
    """Word → its tokens, in the order of the window."""
    found: dict[int, list[int]] = {}
    for index in np.flatnonzero(window.is_text):
        found.setdefault(int(window.words[index]), []).append(int(index))
    return found


def spans_of(chances: Floats, offsets: Ints, classes: Sequence[str], text: str) -> list[tuple[int, int, str, float]]:
    """Spans from one row of class probabilities a word.

    B- begins a span always, so that adjacent entities of one type stay two; I- continues a span of its type, else
    begins one; E-, L- end it; S-, U- stand alone; types without a prefix run on while they stay the same.
    """
    found: list[tuple[int, int, str, list[float]]] = []
    closed = True
    previous = -2
    for index in range(len(chances)):
        best = int(chances[index].argmax())
        prefix, kind = split(classes[best])
        if not kind:
            continue
        goes_on = not closed and previous == index - 1 and found[-1][2] == kind and prefix not in {"B", "S", "U"}
        start, end = int(offsets[index, 0]), int(offsets[index, 1])
        if goes_on:
            found[-1] = (found[-1][0], end, kind, [*found[-1][3], float(chances[index, best])])
        else:
            found.append((start, end, kind, [float(chances[index, best])]))
        closed = prefix in {"E", "L", "S", "U"}
        previous = index
    return [(*_trim(start, end, text), kind, float(np.mean(scores))) for start, end, kind, scores in found]


def _trim(start: int, end: int, text: str) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
