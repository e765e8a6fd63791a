"""Intervals of 95 %: percentiles of draws, a share's (Wilson), the difference of two shares' (Newcombe).

Sources: Efron and Tibshirani, An Introduction to the Bootstrap (1993), ch. 13; Wilson, JASA 22 (1927); Newcombe,
Statistics in Medicine 17 (1998), method 10.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LEVEL = 0.95
MOST_UNDEFINED = 0.5
"""Share of draws that may be undefined (and left out) before the interval is too."""
_Z = 1.959964
"""The standard normal quantile of `LEVEL`, two-sided."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A percentile interval, or the reason why there is none.

    >>> Interval(None, None, "one item").reason
    'one item'
    """

    low: float | None
    high: float | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Rate:
    """A share with its 95 % Wilson interval; no value where nothing was counted.

    >>> str(Rate(3, 4)), str(Rate(0, 0))
    ('75.0% (30.1%–95.4%; 3 of 4)', 'not measured')
    """

    hits: int
    of: int

    @property
    def share(self) -> float:
        """Hits over all; something has to be counted."""
        return self.hits / self.of

    def __str__(self) -> str:
        if not self.of:
            return "not measured"
        low, high = wilson(self.hits, self.of)
        return f"{self.share:.1%} ({low:.1%}–{high:.1%}; {self.hits} of {self.of})"


def central_range(draws: npt.NDArray[np.float64], *, level: float = LEVEL) -> tuple[float, float]:
    """The quantiles (1-level)/2 and (1+level)/2 of draws, without those that are NaN.

    >>> central_range(np.full(9, 0.5))
    (0.5, 0.5)
    """
    low, high = np.nanquantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def percentile_interval(draws: npt.NDArray[np.float64], *, level: float = LEVEL) -> Interval:
    """Take the percentile interval of a figure's bootstrap draws.

    Args:
        draws: (draws,) the figure in each draw; NaN where it is undefined there.
        level: share of draws inside.

    Returns:
        The central range of the defined draws; no interval if more than half of the draws are undefined.

    >>> percentile_interval(np.full(1_000, 0.5))
    Interval(low=0.5, high=0.5, reason=None)
    >>> percentile_interval(np.array([np.nan, np.nan, np.nan, 1.0])).reason
    'no interval: the figure is undefined in 75 % of the resamples'
    """
    undefined = float(np.isnan(draws).mean())
    if undefined > MOST_UNDEFINED:
        share = round(100 * undefined)
        return Interval(None, None, f"no interval: the figure is undefined in {share} % of the resamples")
    return Interval(*central_range(draws, level=level))


def wilson(hits: int, of: int, z: float = _Z) -> tuple[float, float]:
    """The Wilson score interval of a share, exact at the borders.

    >>> [round(edge, 3) for edge in wilson(0, 10)]
    [0.0, 0.278]
    """
    share = hits / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return max(0.0, middle - half), min(1.0, middle + half)


def newcombe(first: Rate, second: Rate) -> tuple[float, float]:
    """The interval of the difference of two shares (first - second), by their Wilson intervals.

    >>> [round(edge, 4) for edge in newcombe(Rate(56, 70), Rate(48, 80))]
    [0.0524, 0.3339]
    """
    first_low, first_high = wilson(first.hits, first.of)
    second_low, second_high = wilson(second.hits, second.of)
    difference = first.share - second.share
    down = math.hypot(first.share - first_low, second_high - second.share)
    up = math.hypot(first_high - first.share, second.share - second_low)
    return difference - down, difference + up
