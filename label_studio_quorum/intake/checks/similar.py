"""Near-duplicates by MinHash over word shingles (Broder 1997), found through banded hashing (Leskovec, Rajaraman &
Ullman, Mining of Massive Datasets, section 3.4)."""

from __future__ import annotations

import re
import zlib
from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["NearDuplicates", "shingles"]

_HASHES = 64
_WORD = re.compile(r"\w+")
_FEWEST = 8
_Hashes = NDArray[np.uint32]


def shingles(text: str) -> set[int]:
    """Hashes of three words in a row, or of five characters where words are few (scripts without spaces, very short
    texts).

    >>> len(shingles("one two three four five six seven eight nine ten"))
    8
    """
    words = _WORD.findall(text.casefold())
    # Scripts without spaces make one word of a sentence.
    if len(words) >= _FEWEST:
        triples = " ".join(words).encode("utf-8", "surrogatepass").split(b" ")
        return {zlib.crc32(b" ".join(triple)) for triple in zip(triples, triples[1:], triples[2:], strict=False)}
    joined = "".join(words)
    return {zlib.crc32(joined[at : at + 5].encode("utf-8", "surrogatepass")) for at in range(max(1, len(joined) - 4))}


class NearDuplicates:
    """Remembers signatures of texts, 64 numbers each, and names an earlier text that a new one resembles."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        random = np.random.RandomState(1)
        # An odd factor makes each h → factor·h + summand modulo 2^32 a bijection: no two shingles fall together.
        self._factors = random.randint(0, 1 << 31, _HASHES, dtype=np.uint32)[:, None] * np.uint32(2) + np.uint32(1)
        self._summands = random.randint(0, 1 << 32, _HASHES, dtype=np.uint32)[:, None]
        self._bands, self._rows = bands(threshold)
        self._tables: list[dict[bytes, list[int]]] = [defaultdict(list) for _ in range(self._bands)]
        self._names: list[str] = []
        self._signatures: list[_Hashes] = []

    def add(self, name: str, text: str) -> tuple[str, float] | None:
        """Remember a text; the most similar earlier one and the estimated share of common shingles, if at or above
        the threshold.

        Texts of fewer than eight shingles are left out: short ones are alike by nature.
        """
        pieces = shingles(text)
        # Short texts share shingles by nature.
        if len(pieces) < _FEWEST:
            return None
        signature = self._signature(pieces)
        number, alike = len(self._names), set()
        whole, width = signature.tobytes(), self._rows * signature.itemsize
        for band, buckets in enumerate(self._tables):
            same = buckets[whole[band * width : (band + 1) * width]]
            alike.update(same)
            same.append(number)
        self._names.append(name)
        self._signatures.append(signature)
        best = max(((self._share(signature, other), -other) for other in alike), default=None)
        return (self._names[-best[1]], best[0]) if best is not None and best[0] >= self.threshold else None

    def _signature(self, pieces: set[int]) -> _Hashes:
        mixed = _mix(np.fromiter(pieces, dtype=np.uint32, count=len(pieces)))
        signature: _Hashes = (self._factors * mixed + self._summands).min(axis=1)
        return signature

    def _share(self, signature: _Hashes, other: int) -> float:
        return float(np.count_nonzero(signature == self._signatures[other])) / _HASHES


def _mix(hashes: _Hashes) -> _Hashes:
    """MurmurHash3's finalizer: spreads what CRC leaves alike."""
    hashes = (hashes ^ (hashes >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    hashes = (hashes ^ (hashes >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return hashes ^ (hashes >> np.uint32(16))


def bands(threshold: float) -> tuple[int, int]:
    """How many bands of how many hashes make the fewest mistakes at a threshold: pairs below it that share a band, and
    pairs above it that share none, weighed alike.

    >>> bands(0.85)
    (4, 15)
    """
    below, above = np.linspace(0.0, threshold, 1001), np.linspace(threshold, 1.0, 1001)

    def mistakes(shape: tuple[int, int]) -> float:
        count, width = shape
        sharing, lost = 1 - (1 - below**width) ** count, (1 - above**width) ** count
        return float(_area(sharing, below) + _area(lost, above))

    shapes = [(count, width) for count in range(1, _HASHES + 1) for width in range(1, _HASHES // count + 1)]
    return min(shapes, key=mistakes)


def _area(values: Any, at: Any) -> Any:
    return ((values[1:] + values[:-1]) * np.diff(at)).sum() / 2
