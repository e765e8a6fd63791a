"""Runs the encoder over examples, through the same path that serves, and keeps what heads learn from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ml_backend.batching import Piece
from ml_backend.features import Floats
from ml_backend.predictors.base import Got, Model, Row
from ml_backend.predictors.encoder_head import combined, fields_of, mean_state, merged, row_features, token_features
from ml_backend.runtimes import pad
from ml_backend.tokens import Ints
from ml_backend.training.data import Example


def vectors(model: Model, texts: Iterable[str], budget: int = 4096) -> dict[str, Floats]:
    """The unit vector of each distinct text."""
    pieces = {
        text: [Piece(model.network, w, {"mean": mean_state}) for w in windows]
        for text, windows in _windows(model, texts)
    }
    _run([piece for mine in pieces.values() for piece in mine], budget)
    return {text: combined(Got([(p.window, p.kept["mean"]) for p in mine])) for text, mine in pieces.items()}


def features(examples: Sequence[Example], known: dict[str, Floats], blocks: Sequence[str]) -> Floats:
    """Feature blocks of each example, shape (examples, width)."""
    fields = fields_of(blocks)
    rows = [Row({"context": e.context, "query": e.query, "response": e.response}) for e in examples]
    return np.stack([row_features(row, {field: known[row.text(field)] for field in fields}, blocks) for row in rows])


@dataclass(frozen=True)
class Tokens:
    """A text's tokens: features of shape (tokens, width) and code point offsets of shape (tokens, 2)."""

    x: Floats
    offsets: Ints


def tokens(model: Model, texts: Sequence[str], budget: int = 4096) -> list[Tokens]:
    """Token features of each text, as the tagger sees them."""
    every = list(_windows(model, texts))
    pieces = [[Piece(model.network, w, {"tags": _reducer(text)}) for w in windows] for text, windows in every]
    _run([piece for mine in pieces for piece in mine], budget)
    by_text = {
        text: merged(Got([(p.window, p.kept["tags"]) for p in mine]))
        for (text, _), mine in zip(every, pieces, strict=True)
    }
    return [Tokens(*by_text[text]) for text in texts]


def _reducer(text: str) -> Any:
    return lambda states, window: token_features(states, window, text)


def _windows(model: Model, texts: Iterable[str]) -> Iterable[tuple[str, Any]]:
    distinct = list(dict.fromkeys(texts))
    return zip(distinct, model.tokenizer.encode(distinct), strict=True)


def _run(pieces: list[Piece], budget: int) -> None:
    pieces = sorted(pieces, key=lambda piece: len(piece.window), reverse=True)
    while pieces:
        count = max(1, budget // len(pieces[0].window))
        batch, pieces = pieces[:count], pieces[count:]
        width = len(batch[0].window)
        ids, mask = pad([piece.window.ids for piece in batch], width)
        types, _ = pad([piece.window.type_ids for piece in batch], width)
        for states, piece in zip(batch[0].network.run(ids, mask, types), batch, strict=True):
            for key, reduce in piece.reducers.items():
                piece.kept[key] = reduce(states, piece.window)
