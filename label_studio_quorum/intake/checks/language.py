"""Which language a text is in: py3langid's model, walked over many texts at once.

The model is a finite automaton over bytes and a naive Bayes classifier over what it passes (Lui & Baldwin 2012,
"langid.py: An Off-the-shelf Language Identification Tool"). Walked byte by byte in Python, it cost more than all other
checks of a file together; here numpy takes one step in all texts.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

__all__ = ["identify"]


def identify(texts: Sequence[str]) -> list[tuple[str, float]]:
    """For each text its language (ISO 639-1) and how sure that is, 0 to 1; as `LanguageIdentifier.classify` with
    normalised probabilities.

    >>> texts = ["The answer rests on the text.", "Die Antwort stützt sich auf den Text."]
    >>> [language for language, _ in identify(texts)]
    ['en', 'de']
    """
    if not texts:
        return []
    model = _model()
    encoded = [_encoded(text) for text in texts]
    scores = np.zeros((len(texts), len(model.names)), dtype=np.float32)
    for place, features, times in _features(model, encoded):
        scores[place] = np.log1p(times.astype(np.float32)) @ model.weights[features] + model.priors
    scores /= np.sqrt([max(1, len(text)) for text in encoded], dtype=np.float32)[:, None]
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    scores /= scores.sum(axis=1, keepdims=True)
    for name, column in model.aliases:
        scores[:, name] += scores[:, column]
        scores[:, column] = 0.0
    best = scores.argmax(axis=1)
    return [(model.names[column], float(scores[place, column])) for place, column in enumerate(best)]


class _Model:
    """py3langid's own model, as arrays; it comes with the package."""

    def __init__(self) -> None:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier

        read: Any = LanguageIdentifier.from_model_file(MODEL_FILE)
        self.names = list(read.nb_classes)
        self.weights = read.nb_ptc.astype(np.float32)  # numpy multiplies half precision ten times slower
        self.priors = read.nb_pc
        self.step = np.asarray(read.tk_nextmove)
        self.row = np.asarray(read.tk_row).astype(np.uint32) << np.uint32(8)
        self.feature = np.asarray(read.tk_output, dtype=np.int32)
        first: dict[str, int] = {}
        # Some languages have two columns, one a script.
        self.aliases = [
            (first[name], column)
            for column, name in enumerate(self.names)
            if first.setdefault(name, column) != column
        ]  # fmt: skip


@cache
def _model() -> _Model:
    return _Model()


def _encoded(text: str) -> bytes:
    text = text.lower() if text.isupper() else text
    return unicodedata.normalize("NFC", text).encode("utf-8", "surrogatepass")


def _features(model: _Model, texts: Sequence[bytes]) -> list[tuple[int, Any, Any]]:
    """Per text that has any: its place, the features met in it, and how often each was."""
    longest = max(map(len, texts))
    steps = np.frombuffer(b"".join(text.ljust(longest, b"\0") for text in texts), dtype=np.uint8)
    steps = steps.reshape(len(texts), longest).T.astype(np.uint32)
    lengths = np.array([len(text) for text in texts])
    state = np.zeros(len(texts), dtype=np.uint32)
    met = np.empty(steps.shape, dtype=np.int32)
    for at, step in enumerate(steps):
        state = model.step[model.row[state] + step]
        met[at] = model.feature[state]
    met[np.arange(longest)[:, None] >= lengths] = -1
    places, texts_met = np.nonzero(met >= 0)
    width = len(model.weights)
    pairs, times = np.unique(texts_met * width + met[places, texts_met], return_counts=True)
    owners, features = np.divmod(pairs, width)
    edges = np.searchsorted(owners, np.arange(len(texts) + 1))
    return [
        (place, features[start:end], times[start:end])
        for place, (start, end) in enumerate(pairwise(edges))
        if end > start
    ]
