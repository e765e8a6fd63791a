"""Percentile bootstrap over items, seeded, from counts of what the items look like.

Items that look alike (the same votes, whoever cast them) are one pattern. Drawing items with replacement is then
drawing how often each pattern comes up, so the cost follows the number of patterns and not the number of items.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DRAWS = 1_000
LEVEL = 0.95
BLOCK = 2_000_000
"""Numbers of one intermediate array that a block of draws may need (16 MB)."""
MOST_UNDEFINED = 0.5
"""Share of draws that may be undefined (and left out) before the interval is too."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A percentile interval, or the reason why there is none.

    >>> Interval(None, None, "one item").reason
    'one item'
    """

    low: float | None
    high: float | None
    reason: str | None = None


def resamples(
    counts: Ints, *, seed: int, draws: int = DRAWS, size: int | None = None, width: int | None = None
) -> Iterator[Floats]:
    """Yield blocks of resamples: columns that say how often each pattern was drawn.

    Args:
        counts: (patterns,) how many items show each pattern; all at least 1.
        seed: of numpy's PCG64; the same seed gives the same draws.
        draws: number of resamples in all.
        size: items in one resample; as many as there are, if not given.
        width: numbers that a caller needs for one draw, to keep blocks small; the number of patterns, if not given.

    Yields:
        (patterns, draws in this block) float arrays; each column sums to `size`.

    >>> [block.shape for block in resamples(np.array([3, 1]), seed=0, draws=5)]
    [(2, 5)]
    """
    rng = np.random.default_rng(seed)
    items = int(counts.sum())
    size = items if size is None else size
    block = max(1, BLOCK // max(1, len(counts), width or 0))
    # Drawing items one by one is cheaper than a multinomial once most items are patterns of their own.
    pattern_of = np.repeat(np.arange(len(counts)), counts) if len(counts) * 8 > items else None
    for start in range(0, draws, block):
        wanted = min(block, draws - start)
        if pattern_of is None:
            yield rng.multinomial(size, counts / items, size=wanted).T.astype(np.float64, order="C")
        else:
            columns = [
                np.bincount(pattern_of[rng.integers(items, size=size)], minlength=len(counts)) for _ in range(wanted)
            ]
            yield np.array(columns).T.astype(np.float64, order="C")


def percentile_interval(values: Floats, *, level: float = LEVEL) -> Interval:
    """Take the percentile interval of a figure's bootstrap draws (Efron and Tibshirani 1993, ch. 13).

    Args:
        values: (draws,) the figure in each draw; NaN where it is undefined there.
        level: share of draws inside.

    Returns:
        Quantiles (1-level)/2 and (1+level)/2 of the defined draws; none if more than half are undefined.

    >>> percentile_interval(np.full(1_000, 0.5))
    Interval(low=0.5, high=0.5, reason=None)
    >>> percentile_interval(np.array([np.nan, np.nan, np.nan, 1.0])).reason
    'no interval: the figure is undefined in 75 % of the resamples'
    """
    undefined = float(np.isnan(values).mean())
    if undefined > MOST_UNDEFINED:
        share = round(100 * undefined)
        return Interval(None, None, f"no interval: the figure is undefined in {share} % of the resamples")
    low, high = np.nanquantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def group_sums(values: Floats, groups: Ints, number: int) -> Floats:
    """Add up rows by group.

    Args:
        values: (rows, draws).
        groups: (rows,) group of each row, 0..number-1, ascending; a group without rows sums to 0.
        number: how many groups.

    Returns:
        (number, draws).

    >>> group_sums(np.array([[1.0], [2.0], [4.0]]), np.array([0, 0, 2]), 3)[:, 0].tolist()
    [3.0, 0.0, 4.0]
    """
    out = np.zeros((number, values.shape[1]))
    if len(groups):
        starts = np.flatnonzero(np.diff(groups, prepend=-1))
        out[groups[starts]] = np.add.reduceat(values, starts, axis=0)
    return out
