"""Turns text into model input: long texts as overlapping windows, offsets in code points of the text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ml_backend.errors import LoadError

Ints = NDArray[np.int64]
Input = str | tuple[str, str]
PART_CHARS = 20_000
"""Characters that are tokenised at a time: what a small request may have to wait for beside a large one."""


@dataclass(frozen=True)
class Window:
    """One stretch of a text as the model reads it, special tokens included."""

    encoding: Any

    @cached_property
    def ids(self) -> Ints:
        """Token ids, shape (tokens,)."""
        return np.asarray(self.encoding.ids, dtype=np.int64)

    @cached_property
    def type_ids(self) -> Ints:
        """Segment ids, shape (tokens,)."""
        return np.asarray(self.encoding.type_ids, dtype=np.int64)

    @cached_property
    def offsets(self) -> Ints:
        """Half-open code point offsets in the text, shape (tokens, 2); (0, 0) for special tokens."""
        return np.asarray(self.encoding.offsets, dtype=np.int64).reshape(-1, 2)

    @cached_property
    def is_text(self) -> NDArray[np.bool_]:
        """True where a token is text, not a special token."""
        mask: NDArray[np.bool_] = np.asarray(self.encoding.special_tokens_mask) == 0
        return mask

    @cached_property
    def words(self) -> Ints:
        """Index of the word each token belongs to, -1 for special tokens."""
        return np.asarray([-1 if word is None else word for word in self.encoding.word_ids], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.encoding)


def default_stride(max_tokens: int) -> int:
    """Return how many tokens neighbouring windows share where nobody says so: a quarter, at most 48."""
    return min(48, max_tokens // 4)


def farthest_inside(places: Ints, margins: Ints) -> NDArray[np.intp]:
    """Choose, of what windows saw twice, the sight that is farther from its window's edge; of equals the first.

    Args:
        places: where in the text each was seen, shape (sights, columns), at least one: equal rows are one place.
        margins: tokens to the edge of its window, shape (sights,).

    Returns:
        One index a place, in the order of the text.
    """
    order = np.lexsort((-margins, *places.T[::-1]))  # stable, so that of equals the first stays first
    sorted_places = places[order]
    indexes: NDArray[np.intp] = order[np.append(True, (sorted_places[1:] != sorted_places[:-1]).any(axis=1))]
    return indexes


class TextTokenizer:
    """A `tokenizer.json` with a fixed length limit.

    Args:
        path: the tokenizer file.
        max_tokens: tokens a window may hold, special tokens included.
        stride: tokens that neighbouring windows share, so that no entity is cut at an edge.
    """

    def __init__(self, path: Path, max_tokens: int, stride: int) -> None:
        if not path.exists():
            raise LoadError(
                f"{path}: no fast tokenizer; save it with `AutoTokenizer.from_pretrained(…).save_pretrained(…)`"
            )
        self._tokenizer = Tokenizer.from_file(str(path))
        # Batches pad to their own longest text; padding from the file would count as tokens.
        self._tokenizer.no_padding()
        special = self._tokenizer.num_special_tokens_to_add(is_pair=True)
        room = max_tokens - special
        # Each window has to bring something new, or the windows never reach the end of the text.
        if room < 1 or stride >= room:
            raise LoadError(
                f"{path}: max_tokens {max_tokens} leaves no room beside stride {stride}; raise one or lower the other"
            )
        self._half = room // 2
        self._whole = Tokenizer.from_str(self._tokenizer.to_str())
        self._whole.no_truncation()
        # A pair is read in windows over one of its texts only: windows over both would be as many as their product.
        self._over = {
            strategy: Tokenizer.from_str(self._whole.to_str())
            for strategy in ("longest_first", "only_first", "only_second")
        }
        for strategy, tokenizer in self._over.items():
            tokenizer.enable_truncation(max_tokens, stride=stride, strategy=strategy)

    def encode(self, texts: Sequence[Input]) -> list[tuple[Window, ...]]:
        """Return the windows of each text or pair, in order; an empty text has one window of special tokens.

        Of a pair whose second text fits into half a window, the windows go over the first, each beside the whole
        second; else the first is cut to half a window and they go over the second.
        """
        windows: list[tuple[Window, ...]] = [()] * len(texts)
        ways: dict[str, list[tuple[int, Input]]] = {}
        for place, text in enumerate(texts):
            way, input_text = ("longest_first", text) if isinstance(text, str) else self._pair(*text)
            ways.setdefault(way, []).append((place, input_text))
        for way, entries in ways.items():
            parts = _parts([input_text for _, input_text in entries])
            encodings = (encoding for part in parts for encoding in self._over[way].encode_batch(part))
            for (place, _), encoding in zip(entries, encodings, strict=True):
                windows[place] = (Window(encoding), *(Window(more) for more in encoding.overflowing))
        return windows

    def _pair(self, first: str, second: str) -> tuple[str, tuple[str, str]]:
        """Return which text to go over, and the pair with the other one cut to half a window."""
        if len(self._whole.encode(second, add_special_tokens=False)) <= self._half:
            return "only_first", (first, second)
        encoding = self._whole.encode(first, add_special_tokens=False)
        end = encoding.offsets[self._half - 1][1] if len(encoding) > self._half else len(first)
        return "only_second", (first[:end], second)


def _parts(texts: Sequence[Input]) -> Iterator[list[Input]]:
    """Yield texts in lists of about `PART_CHARS`: the tokeniser's threads serve list after list, whoever asks."""
    part: list[Input] = []
    room = PART_CHARS
    for text in texts:
        part.append(text)
        room -= len(text) if isinstance(text, str) else len(text[0]) + len(text[1])
        if room <= 0:
            yield part
            part, room = [], PART_CHARS
    if part:
        yield part
