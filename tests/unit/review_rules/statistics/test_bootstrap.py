"""The bootstrap's parts."""

from __future__ import annotations

import numpy as np
import pytest

from review_rules.statistics.bootstrap import BLOCK, bootstrap_rows, group_sums, resamples
from review_rules.statistics.intervals import Rate, newcombe, percentile_interval, wilson


@pytest.mark.parametrize("counts", [[5_000, 3_000, 2_000], [1] * 50], ids=["few-patterns", "a-pattern-an-item"])
def test_each_resample_has_as_many_items_as_the_file(counts: list[int]) -> None:
    """Both ways of drawing give columns that sum to the number of items, with the file's means."""
    given = np.array(counts)
    drawn = np.concatenate(list(resamples(given, seed=1, draws=400)), axis=1)
    assert drawn.shape == (len(counts), 400)
    assert (drawn.sum(axis=0) == given.sum()).all()
    assert drawn.mean(axis=1) == pytest.approx(given, rel=0.25)


@pytest.mark.parametrize("counts", [[5_000, 3_000], [1] * 50])
def test_a_resample_may_have_another_size(counts: list[int]) -> None:
    """The stopping rule draws samples larger than the file."""
    (drawn,) = resamples(np.array(counts), seed=1, draws=3, size=120)
    assert (drawn.sum(axis=0) == 120).all()


@pytest.mark.parametrize("counts", [[5_000, 3_000], [1] * 50])
def test_blocks_are_bounded_and_do_not_change_the_draws(counts: list[int]) -> None:
    """Memory is bounded by small blocks, which add up to the same draws as one."""
    given = np.array(counts)
    whole = np.concatenate(list(resamples(given, seed=7, draws=30)), axis=1)
    blocks = list(resamples(given, seed=7, draws=30, width=BLOCK // 4))
    assert max(block.shape[1] for block in blocks) == 4
    assert (np.concatenate(blocks, axis=1) == whole).all()


def test_interval_is_the_middle_95_percent() -> None:
    """The ends are the 2.5 % and 97.5 % quantiles of the draws."""
    found = percentile_interval(np.arange(1_001, dtype=np.float64))
    assert found.low == pytest.approx(25)
    assert found.high == pytest.approx(975)


@pytest.mark.parametrize(("undefined", "given"), [(500, True), (501, False)])
def test_up_to_half_of_the_draws_may_be_undefined(undefined: int, given: bool) -> None:
    """Undefined draws are left out; if they are the greater part, there is no interval but a reason."""
    draws = np.arange(1_000, dtype=np.float64)
    draws[:undefined] = np.nan
    found = percentile_interval(draws)
    assert (found.low is not None) is given
    assert (found.reason is None) is given


def test_group_sums_of_nothing_are_zero() -> None:
    """Groups without a row are zero, also if there is no row at all."""
    assert group_sums(np.zeros((0, 2)), np.zeros(0, dtype=np.int64), 3).tolist() == [[0, 0]] * 3


def test_any_figure_over_rows_has_an_interval() -> None:
    """The mean of 0..99 by rows; one row gives no interval, and a seed fixes the draws."""
    value, interval = bootstrap_rows(100, lambda drawn: float(drawn.mean()), draws=400, seed=1)
    assert value == 49.5
    assert interval.low is not None
    assert interval.high is not None
    assert interval.low < 49.5 < interval.high
    assert bootstrap_rows(100, lambda drawn: float(drawn.mean()), draws=400, seed=1) == (value, interval)
    assert bootstrap_rows(1, lambda drawn: 1.0, seed=1)[1].reason == "no interval: fewer than two rows"


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"), [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)]
)
def test_wilson_by_its_published_examples(hits: int, of: int, low: float, high: float) -> None:
    """Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3."""
    assert wilson(hits, of) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [(Rate(56, 70), Rate(48, 80), 0.0524, 0.3339), (Rate(9, 10), Rate(3, 10), 0.1705, 0.8090)],
)
def test_newcombe_by_its_published_examples(first: Rate, second: Rate, low: float, high: float) -> None:
    """Newcombe, Statistics in Medicine 17 (1998) 873-890, table II, method 10; the other way round it is mirrored."""
    assert newcombe(first, second) == pytest.approx((low, high), abs=5e-5)
    assert newcombe(second, first) == pytest.approx((-high, -low), abs=5e-5)


def test_a_rate_says_what_it_is_of() -> None:
    """Percent, interval and counts; nothing where nothing was counted."""
    assert str(Rate(3, 4)) == "75.0% (30.1%–95.4%; 3 of 4)"
    assert str(Rate(0, 0)) == "not measured"
