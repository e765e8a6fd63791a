"""Reads spans from any token-classification checkpoint of transformers, and keeps neighbours apart."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import ClassVar

import numpy as np

from ls_config.interface import Control
from ml_backend.features import Floats
from ml_backend.heads import softmax
from ml_backend.predictors import base
from ml_backend.predictors.base import Answer, Ask, CheckpointPredictor, Outcome, TaskRow, cut
from ml_backend.tokens import Ints, Window, farthest_inside


class TokenClassification(CheckpointPredictor):
    """Runs a network whose logits are one row a token, with O, B-x, I-x (or plain x) classes."""

    kinds: ClassVar[frozenset[str]] = frozenset({"spans"})
    task = "token"

    class Settings(base.NetworkSettings):
        """`labels` maps the model's entity types (without B-, I-) to the interface's; null drops a type."""

    def check(self, control: Control) -> str | None:
        """See `Predictor.check`."""
        # By type: B- and I- of one type are one label of the interface.
        types = sorted({split(name)[1] for name in self.classes} - {""})
        return super().check(control) or self._without_place(control, types)

    def asks(self, row: TaskRow, control: Control) -> Sequence[Ask]:
        """Ask for one run over the text that the control labels."""
        text, _ = cut(row.text(control.value_key), self.settings.max_chars)
        return (Ask(self._model, text, "tags", _tags),) if text.strip() else ()

    def answer(self, row: TaskRow, control: Control, outcomes: Sequence[Outcome]) -> Answer:
        """See `Predictor`."""
        full_text = row.text(control.value_key)
        text, note = cut(full_text, self.settings.max_chars)
        if not outcomes:
            return Answer(reason="the text is empty")
        logits, offsets = by_word(outcomes[0])
        if not np.isfinite(logits).all():
            return Answer(reason="the model gave a score that is not a number")
        if self._model.long == "cut" and len(offsets) and text[int(offsets[-1, 1]) :].strip():
            note = f"only the first {offsets[-1, 1]} of {len(full_text)} characters were read (long: cut)"
        spans = [
            {"start": start, "end": end, "label": label, "text": full_text[start:end], "score": round(score, 4)}
            for start, end, kind, score in spans_of(softmax(logits), offsets, self.classes, text)
            if score >= self.settings.threshold and (label := self.mapped(kind)) is not None
        ]
        return Answer(spans, float(np.mean([span["score"] for span in spans])) if spans else 1.0, note)


def _tags(output: Floats, window: Window) -> Floats:
    return output[: len(window)].astype(np.float32)


def split(name: str) -> tuple[str, str]:
    """Split a class name into (prefix, type): ("B", "PER"); ("", "PER") without prefix; ("", "") for outside."""
    if name in {"O", "o", "outside"}:
        return "", ""
    prefix, dash, kind = name.partition("-")
    return (prefix, kind) if dash and prefix in {"B", "I", "E", "S", "L", "U"} else ("", name)


def by_word(outcome: Outcome) -> tuple[Floats, Ints]:
    """Return logits and offsets, one row a word: the first token of a word decides its tag.

    A word seen in two windows keeps the window where it is farther from the edge.
    """
    places: list[Ints] = []
    tags: list[Floats] = []
    for window, logits in outcome.windows:
        first, last = word_ends(window)
        start, end = window.offsets[first, 0], window.offsets[last, 1]
        margin = np.minimum(first, len(window) - 1 - last)
        full = end > start
        places.append(np.stack([start, end, margin], axis=1)[full])
        tags.append(logits[first[full]])
    rows = np.concatenate(places)
    if not len(rows):
        return np.zeros((0, 1), dtype=np.float32), np.zeros((0, 2), dtype=np.int64)
    indexes = farthest_inside(rows[:, :1], rows[:, 2])
    return np.concatenate(tags)[indexes], rows[indexes, :2]


def word_ends(window: Window) -> tuple[Ints, Ints]:
    """Return first and last token of each word, in the order of the window."""
    text = np.flatnonzero(window.is_text)
    words = window.words[text]
    if not len(text):
        return text, text
    turns = np.flatnonzero(words[1:] != words[:-1])
    return text[np.append(0, turns + 1)], text[np.append(turns, len(text) - 1)]


def spans_of(chances: Floats, offsets: Ints, classes: Sequence[str], text: str) -> list[tuple[int, int, str, float]]:
    """Read spans from one row of class probabilities a word.

    B- begins a span always, so that adjacent entities of one type stay two; I- continues a span of its type, else
    begins one; E-, L- end it; S-, U- stand alone; types without a prefix run on while they stay the same.
    """
    spans: list[tuple[int, int, str, list[float]]] = []
    if not len(chances):
        return []
    tags = [split(name) for name in classes]
    best, scores = chances.argmax(axis=1).tolist(), chances.max(axis=1).tolist()
    closed = True
    previous = -2
    for index, ((start, end), tag, score) in enumerate(zip(offsets.tolist(), best, scores, strict=True)):
        prefix, kind = tags[tag]
        if not kind:
            continue
        goes_on = not closed and previous == index - 1 and spans[-1][2] == kind and prefix not in {"B", "S", "U"}
        if goes_on:
            spans[-1] = (spans[-1][0], end, kind, [*spans[-1][3], score])
        else:
            spans.append((start, end, kind, [score]))
        # An entity of one token, or its last one: whatever follows begins anew.
        closed = prefix in {"E", "L", "S", "U"}
        previous = index
    return [(*_trim(start, end, text), kind, fmean(parts)) for start, end, kind, parts in spans]


def _trim(start: int, end: int, text: str) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
