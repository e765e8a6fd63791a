"""Inter-annotator agreement of a whole file, each figure with a bootstrap interval over items.

Every figure is a function of how often each pattern of votes occurs (`bootstrap.resamples`), so the value and its
interval come from the same code: the value from the counts in the file, the interval from 1,000 redrawn counts.

Sources: Krippendorff, Content Analysis, 4th ed. (2018), ch. 12 (alpha); Gwet, Handbook of Inter-Rater Reliability,
4th ed. (2014), ch. 2 and 5 (AC1, AC2, missing ratings); Cohen 1960 and 1968 (kappa); Passonneau 2006 (MASI).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from review_rules.canonical import Key
from review_rules.compare import set_score
from review_rules.files.policy import Agree, Match, Measure
from review_rules.statistics.bootstrap import DRAWS, Floats, Ints, group_sums, resamples
from review_rules.statistics.intervals import Interval, percentile_interval
from review_rules.statistics.votes import Id, Mark, VoteKind, Votes
from review_rules.values import Kind

Figures = dict[str, Floats]
"""A figure's name, and its value in each draw (draws,); NaN where it is undefined."""

NO_VOTES = "no votes"
NO_PAIR = "no item has two ratings"
NO_VARIATION = "no variation: every rating is the same"
ONE_ITEM = "no interval: only one item has two ratings"
KAPPA_INTERVALS = 300
"""Pairs of annotators that get an interval, those with the most shared items first: a crowd has thousands of pairs."""
NOT_DRAWN = f"no interval: only the {KAPPA_INTERVALS} pairs with the most shared items get one"
NO_LENGTHS = "the length of the texts is not known: give each line its text, or the texts in a file"
BEYOND_TEXT = "a span ends after its text: are these the texts that were labelled?"

STRICT = Measure(Agree.SPAN_F1, match=Match.STRICT)
OVERLAP = Measure(Agree.SPAN_F1, match=Match.OVERLAP)

FIGURES: Mapping[VoteKind, tuple[str, ...]] = {
    VoteKind.CHOICE: ("percent", "alpha.nominal", "ac1"),
    VoteKind.CHOICES: ("percent", "alpha.nominal", "alpha.masi"),
    VoteKind.RATING: ("percent", "alpha.nominal", "alpha.ordinal", "alpha.interval", "ac1", "ac2"),
    VoteKind.SPANS: ("percent", "span_f1.strict", "span_f1.overlap", "alpha.characters"),
}
"""The figures that suit each kind of votes, in the order in which they are shown."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with its 95 % interval; null with the reason where there is none.

    >>> Figure(None, None, None, "no votes").to_json()
    {'value': None, 'low': None, 'high': None, 'reason': 'no votes'}
    """

    value: float | None
    low: float | None
    high: float | None
    reason: str | None

    def to_json(self) -> dict[str, float | str | None]:
        """Return the contract's object."""
        return {"value": self.value, "low": self.low, "high": self.high, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Kappa:
    """Cohen's kappa of two annotators over the `n` items that both rated."""

    a: Id
    b: Id
    n: int
    figure: Figure

    def to_json(self) -> dict[str, Any]:
        """Return the contract's object, with the interval."""
        return {"a": self.a, "b": self.b, "n": self.n, **self.figure.to_json()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """All figures that suit one kind of votes.

    Args:
        figures: by dotted name (`percent`, `alpha.nominal`, `span_f1.strict`, …).
        kappa: one entry a pair of annotators who share an item; none for spans.
    """

    items: int
    annotators: int
    ratings: int
    figures: Mapping[str, Figure]
    kappa: tuple[Kappa, ...] | None

    @property
    def pairs_apart(self) -> int:
        """How many pairs of annotators share no item, of which kappa says nothing."""
        return 0 if self.kappa is None else math.comb(self.annotators, 2) - len(self.kappa)

    def to_json(self) -> dict[str, Any]:
        """Return the contract's object; dotted names become nested objects."""
        out: dict[str, Any] = {"items": self.items, "annotators": self.annotators, "ratings": self.ratings}
        for name, figure in self.figures.items():
            group, _, leaf = name.partition(".")
            if leaf:
                out.setdefault(group, {})[leaf] = figure.to_json()
            else:
                out[name] = figure.to_json()
        if self.kappa is not None:
            out["kappa"] = [pair.to_json() for pair in self.kappa]
        # A crowd of thousands has millions of pairs, nearly all of which never met: they are counted, not listed.
        if self.pairs_apart:
            out["pairs_apart"] = self.pairs_apart
        return out


def _finished(figures: Figures) -> Figures:
    return figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Patterns:
    """Items grouped by how they look, and the figures as a function of how often each pattern occurs.

    Args:
        counts: (patterns,) items of each pattern.
        paired: (patterns,) whether such an item has at least two ratings.
        width: numbers that the figures need for one draw, to size the blocks.
        figures: (patterns, draws) counts → each figure in each draw.
        finish: applied to the figures of all draws together.
        missing: figures that cannot be had from this file, with the reason.
    """

    counts: Ints
    paired: npt.NDArray[np.bool_]
    width: int
    figures: Callable[[Floats], Figures]
    finish: Callable[[Figures], Figures] = _finished
    missing: Mapping[str, str] = field(default_factory=dict)


def agreement(votes: Votes, *, seed: int = 0, draws: int = DRAWS) -> Agreement:
    """Measure agreement over a whole file.

    Args:
        votes: from `read_votes` or `collect_votes`.
        seed: of the bootstrap.
        draws: number of resamples.

    >>> from review_rules.statistics.votes import collect_votes
    >>> twice = [(item, who, value) for item, value in enumerate("AABBA") for who in ("ana", "ben")]
    >>> agreement(collect_votes(twice, VoteKind.CHOICE)).figures["alpha.nominal"].value
    1.0
    """
    patterns = patterns_of(votes)
    return Agreement(
        items=len(votes.items),
        annotators=len(votes.annotators),
        ratings=len(votes.code),
        figures=estimate(patterns, seed=seed, draws=draws),
        kappa=None if votes.kind is VoteKind.SPANS else tuple(_kappas(votes, seed=seed, draws=draws)),
    )


def patterns_of(votes: Votes) -> Patterns:
    """Group the items of a file by how they look, with the figures that suit its kind."""
    if not len(votes.code):
        return _nothing(FIGURES[votes.kind], NO_VOTES)
    return _span_patterns(votes) if votes.kind is VoteKind.SPANS else _coded_patterns(votes)


def estimate(patterns: Patterns, *, seed: int = 0, draws: int = DRAWS) -> dict[str, Figure]:
    """Give each figure its value in the file and its 95 % percentile interval over resampled items.

    With 0 draws there are no intervals.
    """
    values = patterns.finish(patterns.figures(patterns.counts[:, None].astype(np.float64)))
    single = int(patterns.counts[patterns.paired].sum()) < 2
    drawn = {} if single or not draws else simulate(patterns, seed=seed, draws=draws)
    out = {}
    for name, value in values.items():
        if math.isnan(value[0]):
            out[name] = Figure(None, None, None, _why_undefined(patterns))
        else:
            without = Interval(None, None, ONE_ITEM if single else NOT_DRAWN)
            interval = percentile_interval(drawn[name]) if drawn else without
            out[name] = Figure(float(value[0]) + 0.0, interval.low, interval.high, interval.reason)
    return out | {name: Figure(None, None, None, reason) for name, reason in patterns.missing.items()}


def simulate(patterns: Patterns, *, seed: int, draws: int = DRAWS, size: int | None = None) -> Figures:
    """Compute every figure in each resample of `size` items (as many as there are, if not given)."""
    blocks = [
        patterns.figures(block)
        for block in resamples(patterns.counts, seed=seed, draws=draws, size=size, width=patterns.width)
    ]
    return patterns.finish({name: np.concatenate([block[name] for block in blocks], axis=-1) for name in blocks[0]})


def _why_undefined(patterns: Patterns) -> str:
    return NO_VARIATION if patterns.paired.any() else NO_PAIR


def _nothing(names: Iterable[str], reason: str) -> Patterns:
    """Stand for a file or a pair of people from which no figure can be had."""
    return Patterns(
        counts=np.zeros(0, dtype=np.int64),
        paired=np.zeros(0, dtype=bool),
        width=0,
        figures=lambda drawn: {},
        missing=dict.fromkeys(names, reason),
    )


# --- one value a rating: choice, choices, rating


@dataclass(frozen=True, slots=True)
class _Table:
    """Sparse counts of values by pattern: entry i says that pattern[i] holds code[i] count[i] times."""

    counts: Ints
    pattern: Ints
    code: Ints
    count: Floats

    @property
    def raters(self) -> Floats:
        return _sums(self.pattern, self.count)


def _sums(groups: Ints, values: Floats) -> Floats:
    """Add up values by group; every group occurs."""
    return np.bincount(groups, values).astype(np.float64)


def _table(votes: Votes) -> _Table:
    """Group items that hold the same values, whoever gave them."""
    order = np.lexsort((votes.code, votes.item))
    codes = np.ascontiguousarray(votes.code[order])
    ends = np.cumsum(np.bincount(votes.item, minlength=len(votes.items))) * codes.itemsize
    raw = codes.tobytes()
    alike = Counter(raw[start:end] for start, end in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True))
    looks = sorted(alike)  # in the order of the looks and not of the lines, so that the draws do not hang on it
    codes = np.frombuffer(b"".join(looks), dtype=np.int64)
    pattern = np.repeat(np.arange(len(looks)), [len(look) // codes.itemsize for look in looks])
    starts = np.flatnonzero(np.diff(pattern, prepend=-1) | np.diff(codes, prepend=-1))
    return _Table(
        counts=np.array([alike[look] for look in looks], dtype=np.int64),
        pattern=pattern[starts],
        code=codes[starts],
        count=np.diff(starts, append=len(codes)).astype(np.float64),
    )


def _coded_patterns(votes: Votes) -> Patterns:
    table = _table(votes)
    raters = table.raters
    paired = raters >= 2
    number = len(votes.values)
    alphas = _alphas(table, votes)
    by_code = np.argsort(table.code, kind="stable")
    pattern, code = table.pattern[by_code], table.code[by_code]
    pairable = np.where(paired[pattern], table.count[by_code], 0.0)[:, None]
    share = (table.count[by_code] / raters[pattern])[:, None]
    same = _per_pair(_sums(table.pattern, table.count * (table.count - 1)), raters)
    far = _per_pair(_squared(table, np.arange(number, dtype=np.float64)), raters) / max(1, number - 1) ** 2

    def figures(drawn: Floats) -> Figures:
        entries = drawn[pattern]
        margins = group_sums(entries * pairable, code, number)
        pairs = paired @ drawn
        percent = _ratio(same @ drawn, pairs)
        out = {"percent": percent}
        for name, alpha in alphas.items():
            out |= alpha(drawn, margins, name)
        if votes.kind is not VoteKind.CHOICES:
            spread = 1 - ((group_sums(entries * share, code, number) / drawn.sum(axis=0)) ** 2).sum(axis=0)
            out["ac1"] = _gwet(percent, spread, number, total_weight=number)
        if votes.kind is VoteKind.RATING:
            out["ac2"] = _gwet(1 - _ratio(far @ drawn, pairs), spread, number, total_weight=_total_weight(number))
        return out

    return Patterns(
        counts=table.counts,
        paired=paired,
        width=len(code),
        figures=figures,
        finish=_finish_masi(votes.values) if votes.kind is VoteKind.CHOICES else _finished,
    )


def _per_pair(ordered_pairs: Floats, raters: Floats) -> Floats:
    """Divide sums over ordered pairs of ratings by the number of these pairs; 0 where there is none."""
    return np.divide(ordered_pairs, raters * (raters - 1), out=np.zeros_like(raters), where=raters > 1)


def _squared(table: _Table, scale: Floats) -> Floats:
    """Sum (x-y)² over the ordered pairs of ratings in each pattern.

    Taken from the pattern's lowest value, so that equal ratings give exactly 0.
    """
    first = np.flatnonzero(np.diff(table.pattern, prepend=-1))
    away = scale[table.code] - scale[table.code[first]][table.pattern]
    total, squares = _sums(table.pattern, table.count * away), _sums(table.pattern, table.count * away**2)
    return 2 * (table.raters * squares - total**2)


def _ratio(part: Floats, whole: Floats) -> Floats:
    """Divide; NaN where the whole is 0."""
    undefined: Floats = np.full(np.shape(part), np.nan)
    return np.divide(part, whole, out=undefined, where=whole > 0)


def _gwet(agreed: Floats, spread: Floats, values: int, *, total_weight: float) -> Floats:
    """Gwet's AC1 or AC2: (pa-pe)/(1-pe), pe = total weight · Σ π(1-π) / (q(q-1)) (Gwet 2014, ch. 5).

    Args:
        agreed: (draws,) weighted share of agreeing pairs, over the items with two ratings.
        spread: (draws,) 1 - Σ π², π the mean over all items of a value's share of the item's ratings.
        values: q, the number of distinct values in the file; AC is undefined with one.
    """
    if values < 2:
        return np.full_like(agreed, np.nan)
    chance = total_weight * spread / (values * (values - 1))
    return (agreed - chance) / (1 - chance)


def _total_weight(values: int) -> float:
    """Sum the quadratic weights 1 - (k-l)²/(q-1)² over all k and l."""
    return values**2 - values**2 * (values**2 - 1) / (6 * max(1, values - 1) ** 2)


# --- Krippendorff's alpha = 1 - observed/expected disagreement

_Alpha = Callable[[Floats, Floats, str], Figures]
"""(patterns, draws) counts, (values, draws) pairable ratings by value, name → the figure."""


def _alphas(table: _Table, votes: Votes) -> dict[str, _Alpha]:
    alphas: dict[str, _Alpha] = {"alpha.nominal": _nominal(table)}
    if votes.kind is VoteKind.RATING:
        alphas["alpha.ordinal"] = _ordinal(table)
        alphas["alpha.interval"] = _interval(table, np.array(votes.values))
    if votes.kind is VoteKind.CHOICES:
        alphas["alpha.masi"] = _masi_observed(table, votes.values)
    return alphas


def _alpha(observed: Floats, expected: Floats, margins: Floats) -> Floats:
    """Compute 1 - (n-1)·observed/expected; undefined unless two values occur.

    Args:
        observed: (draws,) Σ over items of Σ δ² over ordered pairs / (ratings - 1).
        expected: (draws,) Σ δ² over ordered pairs of all pairable ratings.
        margins: (values, draws) pairable ratings by value.
    """
    varied = (margins > 0).sum(axis=0) > 1
    return 1 - _ratio((margins.sum(axis=0) - 1) * observed, np.where(varied, expected, 0.0))


def _spare(table: _Table) -> Floats:
    """Divide by ratings - 1; 0 for the patterns with one rating, which pair with nothing."""
    raters = table.raters
    return np.divide(1.0, raters - 1, out=np.zeros_like(raters), where=raters > 1)


def _nominal(table: _Table) -> _Alpha:
    raters = table.raters
    differ = (raters * (raters - 1) - _sums(table.pattern, table.count * (table.count - 1))) * _spare(table)

    def alpha(drawn: Floats, margins: Floats, name: str) -> Figures:
        return {name: _alpha_nominal(differ @ drawn, margins)}

    return alpha


def _alpha_nominal(observed: Floats, margins: Floats) -> Floats:
    return _alpha(observed, margins.sum(axis=0) ** 2 - (margins**2).sum(axis=0), margins)


def _interval(table: _Table, scale: Floats) -> _Alpha:
    scale = scale / max(1.0, float(np.abs(scale).max()))  # squares of numbers near 1e308 would overflow
    differ = _squared(table, scale) * _spare(table)
    centred = scale - scale[len(scale) // 2]

    def alpha(drawn: Floats, margins: Floats, name: str) -> Figures:
        return {name: _alpha(differ @ drawn, _squared_all(margins, centred[:, None]), margins)}

    return alpha


def _squared_all(margins: Floats, scale: Floats) -> Floats:
    """Sum (x-y)² over all ordered pairs of ratings: 2n Σ (x - mean)²."""
    number = margins.sum(axis=0)
    mean = _ratio((margins * scale).sum(axis=0), number)
    spread: Floats = 2 * number * (margins * (scale - mean) ** 2).sum(axis=0)
    return spread


def _ordinal(table: _Table) -> _Alpha:
    """Ordinal distance is the distance of mid-ranks among all pairable ratings, which each draw has anew."""
    first = np.flatnonzero(np.diff(table.pattern, prepend=-1))
    lowest = table.code[first][table.pattern]
    count, raters, spare = table.count[:, None], table.raters[:, None], _spare(table)[:, None]
    several = np.diff(first, append=len(table.code)) > 1
    keep = several[table.pattern]  # a pattern with one value disagrees with nothing

    def alpha(drawn: Floats, margins: Floats, name: str) -> Figures:
        ranks = np.cumsum(margins, axis=0) - margins / 2
        away = ranks[table.code[keep]] - ranks[lowest[keep]]
        total = group_sums(count[keep] * away, table.pattern[keep], len(first))
        squares = group_sums(count[keep] * away**2, table.pattern[keep], len(first))
        observed = (drawn * 2 * (raters * squares - total**2) * spare).sum(axis=0)
        return {name: _alpha(observed, _squared_all(margins, ranks), margins)}

    return alpha


def masi_distance(first: frozenset[str], second: frozenset[str]) -> float:
    """Distance of two sets of labels (Passonneau 2006): 1 - Jaccard · monotonicity.

    Monotonicity is 1 for equal sets, 2/3 if one holds the other, 1/3 if they only overlap, 0 if they share nothing.
    Two empty sets are equal.

    >>> masi_distance(frozenset("ab"), frozenset("a")) == 1 - 1 / 2 * 2 / 3
    True
    """
    if first == second:
        return 0.0
    shared = len(first & second)
    factor = 2 / 3 if first <= second or second <= first else 1 / 3
    return 1 - shared / len(first | second) * factor


def _masi_observed(table: _Table, values: Sequence[frozenset[str]]) -> _Alpha:
    known: dict[tuple[int, int], float] = {}
    differ = np.zeros(len(table.counts))
    for first, second in _neighbours(table.pattern):
        codes = list(zip(table.code[first].tolist(), table.code[second].tolist(), strict=True))
        for first_code, second_code in set(codes) - known.keys():
            known[first_code, second_code] = masi_distance(values[first_code], values[second_code])
        distance = np.array([known[pair] for pair in codes])
        weight = 2 * table.count[first] * table.count[second] * distance
        differ += np.bincount(table.pattern[first], weight, minlength=len(differ))
    differ *= _spare(table)

    def alpha(drawn: Floats, margins: Floats, name: str) -> Figures:
        return {f"{name}.observed": differ @ drawn, f"{name}.margins": margins}

    return alpha


def _neighbours(group: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Yield index arrays of the pairs within equal runs of an ascending array: first all next-door pairs, and so on."""
    for gap in range(1, len(group)):
        first = np.flatnonzero(group[gap:] == group[:-gap])
        if not len(first):
            return
        yield first, first + gap


def _finish_masi(values: Sequence[frozenset[str]]) -> Callable[[Figures], Figures]:
    """Compute the expected disagreement of all draws at once: the table of all pairs of sets is the costly part."""

    def finish(figures: Figures) -> Figures:
        out = dict(figures)
        observed, margins = out.pop("alpha.masi.observed"), out.pop("alpha.masi.margins")
        expected = np.zeros_like(observed)
        for rows, distances in _masi_rows(values):
            expected += (margins[rows] * (distances @ margins)).sum(axis=0)
        return out | {"alpha.masi": _alpha(observed, expected, margins)}

    return finish


def _masi_rows(values: Sequence[frozenset[str]]) -> Iterator[tuple[slice, Floats]]:
    """Yield the matrix of MASI distances in bands of rows, 16 MB each."""
    labels = {label: place for place, label in enumerate(sorted(frozenset[str]().union(*values)))}
    holds = np.zeros((len(values), len(labels)), dtype=np.float32)
    for row, value in enumerate(values):
        holds[row, [labels[label] for label in value]] = 1
    size = holds.sum(axis=1)
    band = max(1, 2_000_000 // len(values))
    for start in range(0, len(values), band):
        rows = slice(start, start + band)
        shared = (holds[rows] @ holds.T).astype(np.float64)
        union = size[rows, None] + size - shared
        inside = shared == np.minimum(size[rows, None], size)
        factor = np.where(shared == union, 1.0, np.where(inside, 2 / 3, 1 / 3))
        yield rows, 1 - np.divide(shared, union, out=np.ones_like(shared), where=union > 0) * factor


# --- Cohen's kappa


def _kappas(votes: Votes, *, seed: int, draws: int) -> Iterator[Kappa]:
    """Yield a kappa for each pair of annotators who share an item, in the order of their ids as text."""
    ranked = sorted(range(len(votes.annotators)), key=lambda by: str(votes.annotators[by]))
    cells = _cells(votes, ranked)
    shared = {pair: sum(met.values()) for pair, met in cells.items()}
    most = set(sorted(cells, key=lambda pair: (-shared[pair], pair))[:KAPPA_INTERVALS])
    for pair in sorted(cells):
        patterns = _kappa_patterns(cells[pair], votes.kind)
        figure = estimate(patterns, seed=seed, draws=draws if pair in most else 0)["kappa"]
        first, second = (votes.annotators[ranked[place]] for place in pair)
        yield Kappa(first, second, shared[pair], figure)


def _cells(votes: Votes, ranked: Sequence[int]) -> dict[tuple[int, int], dict[tuple[int, int], int]]:
    """Count, for each pair of annotators, how often which two values met."""
    place = np.empty(len(ranked), dtype=np.int64)
    place[ranked] = np.arange(len(ranked))
    order = np.lexsort((place[votes.annotator], votes.item))
    item, by, code = votes.item[order], place[votes.annotator][order], votes.code[order]
    cells: dict[tuple[int, int], dict[tuple[int, int], int]] = {}
    for first, second in _neighbours(item):
        columns = (column.tolist() for column in (by[first], by[second], code[first], code[second]))
        met = Counter(zip(*columns, strict=True))
        for (first_by, second_by, value, also), number in met.items():
            pair = cells.setdefault((first_by, second_by), {})
            pair[value, also] = pair.get((value, also), 0) + number
    return cells


def _kappa_patterns(cells: Mapping[tuple[int, int], int], kind: VoteKind) -> Patterns:
    """Cohen's kappa; for ratings with quadratic weights by rank of the pair's own distinct values."""
    met = np.array(sorted(cells), dtype=np.int64)
    values, rank = np.unique(met, return_inverse=True)
    first, second = rank.reshape(met.shape).T
    counts = np.array([cells[cell] for cell in sorted(cells)], dtype=np.int64)
    by_other = np.argsort(second, kind="stable")
    squares = np.array([(first - second) ** 2, first**2 + second**2, first, second], dtype=np.float64)

    def nominal(drawn: Floats) -> Figures:
        rows = group_sums(drawn, first, len(values))
        columns = group_sums(drawn[by_other], second[by_other], len(values))
        number, agreed, chance = drawn.sum(axis=0), (first == second) @ drawn, (rows * columns).sum(axis=0)
        return {"kappa": _ratio(number * agreed - chance, number**2 - chance)}

    def weighted(drawn: Floats) -> Figures:
        number = drawn.sum(axis=0)
        observed, both, sum_one, sum_other = squares @ drawn
        return {"kappa": 1 - _ratio(number * observed, number * both - 2 * sum_one * sum_other)}

    return Patterns(
        counts=counts,
        paired=np.ones(len(counts), dtype=bool),
        width=len(counts),
        figures=weighted if kind is VoteKind.RATING else nominal,
    )


# --- spans


def _span_patterns(votes: Votes) -> Patterns:
    """Percent, span F1 and alpha on characters; items with the same spans and text length are one pattern."""
    alike = Counter(_span_looks(votes))
    looks = sorted(alike)
    paired = np.array([len(codes) > 1 for codes, _ in looks])
    scores = _span_scores([codes for codes, _ in looks], votes.values)
    no_characters = _why_no_characters(looks, votes.values)
    characters = _characters(looks, votes.values) if no_characters is None else None

    def figures(drawn: Floats) -> Figures:
        pairs = paired @ drawn
        out = {name: _ratio(score @ drawn, pairs) for name, score in scores.items()}
        return out if characters is None else out | characters(drawn)

    return Patterns(
        counts=np.array([alike[look] for look in looks], dtype=np.int64),
        paired=paired,
        width=len(votes.code),
        figures=figures,
        missing={} if no_characters is None else {"alpha.characters": no_characters},
    )


_Look = tuple[tuple[int, ...], int]
"""An item with spans: the codes of its ratings, ascending, and the length of its text (-1 if not known)."""


def _span_looks(votes: Votes) -> Iterator[_Look]:
    codes_of: list[list[int]] = [[] for _ in votes.items]
    for item, code in zip(votes.item.tolist(), votes.code.tolist(), strict=True):
        codes_of[item].append(code)
    for item, codes in enumerate(codes_of):
        yield tuple(sorted(codes)), votes.lengths.get(item, -1)


def _span_scores(ratings: Sequence[Sequence[int]], values: Sequence[frozenset[Mark]]) -> dict[str, Floats]:
    """Score each item: the mean over its pairs of ratings; 0 where there is no pair."""
    known: dict[tuple[int, int], tuple[float, float, float]] = {}
    scores = np.zeros((len(ratings), 3))
    for row, codes in enumerate(ratings):
        pairs = list(combinations(codes, 2))
        for left, right in pairs:
            if (left, right) not in known:
                first, second = _form(values[left]), _form(values[right])
                strict, overlap = (set_score(first, second, Kind.SPANS, measure) for measure in (STRICT, OVERLAP))
                known[left, right] = float(left == right), strict, overlap
        if pairs:
            scores[row] = [math.fsum(part) / len(pairs) for part in zip(*(known[pair] for pair in pairs), strict=True)]
    return dict(zip(("percent", "span_f1.strict", "span_f1.overlap"), scores.T, strict=True))


def _form(marks: frozenset[Mark]) -> dict[Key, object]:
    """The form in which `compare` takes spans."""
    return dict.fromkeys(sorted(marks))


def _why_no_characters(looks: Sequence[_Look], values: Sequence[frozenset[Mark]]) -> str | None:
    several = [(codes, length) for codes, length in looks if len(codes) > 1]
    if any(length < 0 for _, length in several):
        return NO_LENGTHS
    if any(end > length for codes, length in several for code in codes for _, end, _ in values[code]):
        return BEYOND_TEXT
    return None


def _characters(looks: Sequence[_Look], values: Sequence[frozenset[Mark]]) -> Callable[[Floats], Figures]:
    """Krippendorff's nominal alpha where each character is a unit, its value the set of labels that lie on it."""
    classes: dict[frozenset[str], int] = {}
    observed = np.zeros(len(looks))
    rows: list[tuple[int, int, int]] = []
    for row, (codes, length) in enumerate(looks):
        if len(codes) < 2:
            continue
        for width, labels in _stretches([values[code] for code in codes], length):
            classes_here = Counter(classes.setdefault(label, len(classes)) for label in labels)
            observed[row] += width * (len(codes) - sum(n * (n - 1) for n in classes_here.values()) / (len(codes) - 1))
            rows.extend((label, row, width * n) for label, n in classes_here.items())
    rows.sort()
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    label, pattern, weight = table.T

    def figures(drawn: Floats) -> Figures:
        margins = group_sums(drawn[pattern] * weight[:, None], label, len(classes))
        return {"alpha.characters": _alpha_nominal(observed @ drawn, margins)}

    return figures


def _stretches(ratings: Sequence[frozenset[Mark]], length: int) -> Iterator[tuple[int, list[frozenset[str]]]]:
    """Cut a text where any span starts or ends; yield each stretch's width and every rating's labels on it."""
    cuts = sorted({0, length} | {cut for marks in ratings for start, end, _ in marks for cut in (start, end)})
    for left, right in pairwise(cuts):
        yield (
            right - left,
            [frozenset(label for start, end, label in marks if start <= left and right <= end) for marks in ratings],
        )
