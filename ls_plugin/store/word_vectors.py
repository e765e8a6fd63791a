"""Vectors of texts without a model: which stretches of three to five characters stand in them.

Rows that share words and parts of words lie near each other. It is what Quorum goes by where no ML backend with an
encoder is connected; how well either does is in docs/benchmarks.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

VERSION: Final = "characters-3-5-384"
_WIDTH: Final = 384
_LENGTHS: Final = (3, 4, 5)
_FACTOR: Final = np.uint64(0x9E3779B97F4A7C15)
_MIXER: Final = np.uint64(0xBF58476D1CE4E5B9)


def row_vector(texts: Sequence[str]) -> NDArray[np.float32]:
    """The vector of a row: the mean of its columns' vectors, of length 1; zeros for a row without texts.

    >>> cat, cats, tax = (row_vector([text]) for text in ("the cat sat", "the cats sat", "income tax return"))
    >>> bool(cat @ cats > 0.5 > cat @ tax)
    True
    """
    total = np.zeros(_WIDTH, dtype=np.float64)
    for text in texts:
        total += _text_vector(text)
    return _unit(total)


def _text_vector(text: str) -> NDArray[np.float32]:
    folded = f" {' '.join(text.lower().split())} "
    # Four bytes a character; halves of a surrogate pair pass.
    codes = np.frombuffer(folded.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    sums = np.zeros(_WIDTH, dtype=np.float64)
    for length in _LENGTHS:
        if len(codes) >= length:
            hashes = _hashes(codes, length)
            # A sign of its own for each stretch, so that two that share a place cancel out as often as they add up.
            signs = np.where(hashes >> np.uint64(63), 1.0, -1.0)
            sums += np.bincount((hashes % np.uint64(_WIDTH)).astype(np.intp), weights=signs, minlength=_WIDTH)
    # The root keeps a word that is repeated all over a text from outweighing the others.
    return _unit(np.sign(sums) * np.sqrt(np.abs(sums)))


def _hashes(codes: NDArray[np.uint64], length: int) -> NDArray[np.uint64]:
    """A number for each stretch of so many characters, equal for equal stretches."""
    count = len(codes) - length + 1
    hashes: NDArray[np.uint64] = np.full(count, length, dtype=np.uint64)
    for place in range(length):
        hashes = (hashes ^ codes[place : place + count]) * _FACTOR
        hashes ^= hashes >> np.uint64(29)
    hashes *= _MIXER
    return hashes ^ (hashes >> np.uint64(32))


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float32]:
    norm = float(np.linalg.norm(vector))
    return (vector / norm if norm else vector).astype(np.float32)
