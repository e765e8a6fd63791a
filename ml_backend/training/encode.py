"""Runs the encoder over examples, through the same path that serves, and keeps what heads learn from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ml_backend.batching import WindowReading
from ml_backend.features import Floats
from ml_backend.predictors.base import Model, Outcome, TaskRow
from ml_backend.predictors.encoder_head import combined, fields_of, mean_state, merged, row_features, token_features
from ml_backend.runtimes import pad
from ml_backend.tokens import Ints
from ml_backend.training.data import Example


def vectors(model: Model, texts: Iterable[str], budget: int = 4096) -> dict[str, Floats]:
    """Compute the unit vector of each distinct text."""
    readings = {
        text: [WindowReading(model.network, w, {"mean": mean_state}) for w in windows]
        for text, windows in _windows(model, texts)
    }
    _run([reading for parts in readings.values() for reading in parts], budget)
    return {text: combined(Outcome([(p.window, p.outputs["mean"]) for p in parts])) for text, parts in readings.items()}


def features(examples: Sequence[Example], by_text: dict[str, Floats], blocks: Sequence[str]) -> Floats:
    """Compute the feature blocks of each example, shape (examples, width)."""
    fields = fields_of(blocks)
    rows = [TaskRow({"context": e.context, "query": e.query, "response": e.response}) for e in examples]
    return np.stack([row_features(row, {field: by_text[row.text(field)] for field in fields}, blocks) for row in rows])


@dataclass(frozen=True)
class Tokens:
    """A text's tokens: features of shape (tokens, width) and code point offsets of shape (tokens, 2)."""

    x: Floats
    offsets: Ints


def tokens(model: Model, texts: Sequence[str], budget: int = 4096) -> list[Tokens]:
    """Compute the token features of each text, as the tagger sees them."""
    entries = list(_windows(model, texts))
    readings = [
        [WindowReading(model.network, window, {"tags": _reducer(text)}) for window in windows]
        for text, windows in entries
    ]
    _run([reading for parts in readings for reading in parts], budget)
    by_text = {
        text: merged(Outcome([(p.window, p.outputs["tags"]) for p in parts]))
        for (text, _), parts in zip(entries, readings, strict=True)
    }
    return [Tokens(*by_text[text]) for text in texts]


def _reducer(text: str) -> Any:
    return lambda states, window: token_features(states, window, text)


def _windows(model: Model, texts: Iterable[str]) -> Iterable[tuple[str, Any]]:
    distinct = list(dict.fromkeys(texts))
    return zip(distinct, model.tokenizer.encode(distinct), strict=True)


def _run(readings: list[WindowReading], budget: int) -> None:
    # The longest first: a batch that does not fit into memory fails at the start, not after an hour.
    readings = sorted(readings, key=lambda reading: len(reading.window), reverse=True)
    while readings:
        count = max(1, budget // len(readings[0].window))
        batch, readings = readings[:count], readings[count:]
        width = len(batch[0].window)
        ids, mask = pad([reading.window.ids for reading in batch], width)
        types, _ = pad([reading.window.type_ids for reading in batch], width)
        for states, reading in zip(batch[0].network.run(ids, mask, types), batch, strict=True):
            for key, reduce in reading.reducers.items():
                reading.outputs[key] = reduce(states, reading.window)
