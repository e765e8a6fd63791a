"""Near-duplicates by MinHash over word shingles (Broder 1997), found through banded hashing."""

from __future__ import annotations

import re
import zlib
from typing import Any

import numpy as np

__all__ = ["NearDuplicates", "shingles"]

_PERMUTATIONS = 64
_WORD = re.compile(r"\w+")
_FEWEST = 8


def shingles(text: str) -> set[int]:
    """Hashes of three words in a row, or of five characters where words are few (scripts without spaces, very short
    texts).

    >>> len(shingles("one two three four five six seven eight nine ten"))
    8
    """
    words = _WORD.findall(text.casefold())
    if len(words) >= _FEWEST:
        return {zlib.crc32(" ".join(words[at : at + 3]).encode()) for at in range(len(words) - 2)}
    joined = "".join(words)
    return {zlib.crc32(joined[at : at + 5].encode("utf-8", "surrogatepass")) for at in range(max(1, len(joined) - 4))}


class NearDuplicates:
    """Remembers signatures of texts, 64 numbers each, and names an earlier text that a new one resembles."""

    def __init__(self, threshold: float) -> None:
        from datasketch import MinHash, MinHashLSH

        self.threshold = threshold
        self._index: Any = MinHashLSH(threshold=threshold, num_perm=_PERMUTATIONS)
        self._empty: Any = MinHash(num_perm=_PERMUTATIONS, hashfunc=int)
        self._signatures: dict[str, Any] = {}

    def add(self, name: str, text: str) -> tuple[str, float] | None:
        """Remember a text; the most similar earlier one and the estimated share of common shingles, if at or above
        the threshold.

        Texts of fewer than eight shingles are left out: short ones are alike by nature.
        """
        pieces = shingles(text)
        if len(pieces) < _FEWEST:
            return None
        signature = self._empty.copy()
        signature.update_batch(np.fromiter(pieces, dtype=np.uint64, count=len(pieces)))
        found = [(other, float(signature.jaccard(self._signatures[other]))) for other in self._index.query(signature)]
        self._index.insert(name, signature)
        self._signatures[name] = signature
        best = max(found, key=lambda one: one[1], default=None)
        return best if best is not None and best[1] >= self.threshold else None
