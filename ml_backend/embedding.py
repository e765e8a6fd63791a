"""Vectors of whole rows by an encoder of the models file: rows about the same thing lie near each other."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ml_backend.batching import Batcher, WindowReading
from ml_backend.config import ModelsConfig
from ml_backend.features import Floats
from ml_backend.predictors.base import Model, Outcome
from ml_backend.predictors.encoder_head import combined, mean_state

MOST_COLUMNS = 100
"""Columns that a row may have."""
FORMAT = "<f2"
"""How a vector is written: half precision, least byte first, which no similarity that a person reads can tell apart."""
_REDUCER = "mean"


@dataclass(frozen=True)
class Embedded:
    """The vectors of rows.

    Attributes:
        version: which encoder made them, and by which way of joining columns; vectors of two versions do not compare.
        vectors: one a row, of length 1, shape (rows, width); zeros for a row without any text.
    """

    version: str
    vectors: Floats

    def written(self) -> list[str]:
        """Return each vector as Base64 of `FORMAT`."""
        return [base64.b64encode(vector.tobytes()).decode() for vector in self.vectors.astype(FORMAT)]


def encoder_of(config: ModelsConfig, name: str) -> str | None:
    """Return the encoder that the heads of a model share, else the first of the models file; None if it has none."""
    chosen = config.models.get(name)
    named = (getattr(settings, "encoder", None) for settings in (chosen.controls.values() if chosen else ()))
    return next(filter(None, named), next(iter(config.encoders), None))


def embed(model: Model, rows: Sequence[Sequence[str]], batcher: Batcher, timeout: float) -> Embedded:
    """Compute the vector of each row: the mean of its columns' vectors, of length 1.

    A column counts as much as any other, however long it is. Equal texts are read once.

    Args:
        model: the encoder.
        rows: the texts of each row's columns.
        batcher: runs the encoder.
        timeout: seconds until ApiError 504.
    """
    # Half a surrogate pair is JSON and no text: the tokenizer would fail on it.
    clean = [[text.encode("utf-8", "replace").decode() for text in texts if text.strip()] for texts in rows]
    distinct = list(dict.fromkeys(text for texts in clean for text in texts))
    readings = [
        [WindowReading(model.network, window, {_REDUCER: mean_state}) for window in windows]
        for windows in model.tokenizer.encode(distinct)
    ]
    batcher.run([reading for parts in readings for reading in parts], timeout)
    by_text = {
        text: combined(Outcome([(part.window, part.outputs[_REDUCER]) for part in parts]))
        for text, parts in zip(distinct, readings, strict=True)
    }
    width = len(next(iter(by_text.values()))) if by_text else 0
    vectors = np.zeros((len(clean), width), dtype=np.float32)
    for place, texts in enumerate(clean):
        if texts:
            total = np.sum([by_text[text] for text in texts], axis=0)
            vectors[place] = total / max(float(np.linalg.norm(total)), 1e-9)
    return Embedded(version=f"mean-{_short(model.identity)}", vectors=vectors)


def _short(identity: str) -> str:
    """Return an encoder's identity with the hash of its weights cut to what tells it apart."""
    sha256, *rest = identity.split()
    return "-".join([sha256[:12], *rest])
