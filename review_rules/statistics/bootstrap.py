"""Percentile bootstrap over items, seeded, from counts of what the items look like.

Items that look alike (the same votes, whoever cast them) are one pattern. Drawing items with replacement is then
drawing how often each pattern comes up, so the cost follows the number of patterns and not the number of items.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from review_rules.statistics.intervals import Interval, percentile_interval

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DRAWS = 1_000
BLOCK = 2_000_000
"""Numbers of one intermediate array that a block of draws may need (16 MB)."""


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


def bootstrap_rows(
    rows: int, figure: Callable[[Ints], float], *, draws: int = DRAWS, seed: int
) -> tuple[float, Interval]:
    """Compute a figure of any kind over rows, with its interval.

    Two figures with one seed are computed on the same draws, so that their difference can be taken draw by draw.

    Args:
        rows: number of rows.
        figure: computes the figure from row indices; NaN where it is undefined.
        draws: number of resamples.
        seed: of numpy's PCG64.

    >>> bootstrap_rows(4, lambda drawn: float(drawn.mean()), seed=0)[0]
    1.5
    """
    value = figure(np.arange(rows))
    if rows < 2:
        return value, Interval(None, None, "no interval: fewer than two rows")
    rng = np.random.default_rng(seed)
    return value, percentile_interval(np.array([figure(rng.integers(0, rows, rows)) for _ in range(draws)]))


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
