"""How often the 95 % intervals hold the truth, on simulated campaigns whose truth is planted.

    python benchmarks/simulate_coverage.py [--repeats 2000] [--seed 0] [--json]

Agreement: each repeat draws a file of n items from a fixed model of annotators and asks whether the interval holds the
figure's value in the model (taken from 400,000 items). Errors left: each repeat plays a campaign with known truth and
asks whether the interval holds the share of wrong final labels in that very campaign.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from review_rules.statistics.agreement import estimate, patterns_of
from review_rules.statistics.stopping import Checks, Reviewed, remaining_error
from review_rules.statistics.votes import VoteKind, Votes

SIZES = (20, 50, 100, 200, 500, 1000)
POPULATION = 400_000
Rng = np.random.Generator


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the result: a figure at a size, its coverage and the mean width of its interval."""

    figure: str
    size: int
    repeats: int
    coverage: float
    without: float
    width: float


def coded(rng: Rng, items: int, kind: VoteKind) -> Votes:
    """Three people, a tenth of the ratings missing, a fifth of the items hard; 4 classes or ratings 1 to 5."""
    people, classes = 3, 4 if kind is VoteKind.CHOICE else 5
    prevalence = np.array([0.45, 0.3, 0.15, 0.1] if kind is VoteKind.CHOICE else [0.1, 0.15, 0.25, 0.3, 0.2])
    truth = rng.choice(classes, size=items, p=prevalence)
    skill = np.where(rng.random(items) < 0.2, 0.5, 0.9)
    right = rng.random((items, people)) < skill[:, None]
    if kind is VoteKind.CHOICE:
        wrong = (truth[:, None] + rng.integers(1, classes, size=(items, people))) % classes
    else:
        wrong = np.clip(truth[:, None] + rng.choice([-2, -1, 1, 2], size=(items, people), p=[0.1, 0.4, 0.4, 0.1]), 0, 4)
    code = np.where(right, truth[:, None], wrong)
    item, annotator = np.nonzero(rng.random((items, people)) < 0.9)
    given = code[item, annotator]
    seen, place = np.unique(given, return_inverse=True)
    present, index = np.unique(item, return_inverse=True)
    values = tuple("ABCD"[v] for v in seen) if kind is VoteKind.CHOICE else tuple(float(v) for v in seen)
    return Votes(
        kind=kind,
        items=tuple(present.tolist()),
        annotators=("a", "b", "c"),
        values=values,
        item=index.astype(np.int64),
        annotator=annotator.astype(np.int64),
        code=place.astype(np.int64),
    )


def marked(rng: Rng, items: int) -> Votes:
    """Two people mark up to three spans in texts of 60 to 200 characters; some are missed, some differ in a detail."""
    table: dict[frozenset[tuple[int, int, str]], int] = {}
    codes: list[int] = []
    lengths = rng.integers(60, 201, size=items)
    for number in rng.choice(4, size=items, p=[0.3, 0.35, 0.25, 0.1]):
        truth = [
            (int(15 * k + rng.integers(0, 5)), int(rng.integers(3, 9)), "AB"[rng.integers(2)]) for k in range(number)
        ]
        for _ in range(2):
            marks = set()
            for start, length, label in truth:
                luck = rng.random()
                if luck < 0.12:
                    continue
                end = start + length + (int(rng.integers(1, 4)) if luck > 0.85 else 0)
                marks.add((start, end, "AB"[label == "A"] if 0.8 < luck <= 0.85 else label))
            codes.append(table.setdefault(frozenset(marks), len(table)))
    return Votes(
        kind=VoteKind.SPANS,
        items=tuple(range(items)),
        annotators=("a", "b"),
        values=tuple(table),
        item=np.repeat(np.arange(items), 2),
        annotator=np.tile(np.arange(2), items),
        code=np.array(codes, dtype=np.int64),
        lengths=dict(enumerate(lengths.tolist())),
    )


MODELS: Mapping[str, tuple[Callable[[Rng, int], Votes], tuple[str, ...]]] = {
    "choice": (lambda rng, n: coded(rng, n, VoteKind.CHOICE), ("percent", "alpha.nominal", "ac1")),
    "rating": (lambda rng, n: coded(rng, n, VoteKind.RATING), ("alpha.ordinal", "alpha.interval", "ac2")),
    "spans": (marked, ("span_f1.strict", "span_f1.overlap", "alpha.characters")),
}


def agreement_coverage(repeats: int, seed: int, tick: Callable[[str], None]) -> Iterator[Row]:
    """Yield coverage by model, figure and size."""
    for place, (model, (draw, names)) in enumerate(MODELS.items()):
        population = POPULATION // 10 if model == "spans" else POPULATION
        patterns = patterns_of(draw(np.random.default_rng([seed, place]), population))
        whole = patterns.figures(patterns.counts[:, None].astype(np.float64))
        for size in SIZES:
            tick(f"{model}, {size} items")
            rng = np.random.default_rng([seed, place, size])
            found = [estimate(patterns_of(draw(rng, size)), seed=repeat) for repeat in range(repeats)]
            for name in names:
                truth = float(whole[name][0])
                ends = [(one[name].low, one[name].high) for one in found]
                inside = [low <= truth <= high for low, high in ends if low is not None and high is not None]
                width = [high - low for low, high in ends if low is not None and high is not None]
                yield Row(
                    f"{name} ({model})",
                    size,
                    repeats,
                    float(np.mean(inside)),
                    1 - len(inside) / repeats,
                    float(np.mean(width)),
                )


@dataclass(frozen=True, slots=True)
class Campaign:
    """A played campaign: what a report sees of it, QA's checks, and the share of final labels that is wrong."""

    reviewed: Reviewed
    checks: Checks | None
    truth: float


def play(
    rng: Rng,
    rows: int,
    *,
    sampled: float,
    missed: float,
    checks: int,
    hard: float,
    errors: tuple[float, float] = (0.15, 0.2),
) -> Campaign:
    """Play two passes and QA on rows of three classes.

    Args:
        sampled: share of the agreed rows that QA looks at; conflicts always.
        missed: share of wrong rows that QA lets pass (at a conflict only if there are checks to tell).
        checks: known-wrong labels given to QA.
        hard: share of rows on which both passes err four times as often, which ties their errors together.
    """
    factor = np.where(rng.random(rows) < hard, 4.0, 1.0)
    factor /= factor.mean()
    wrong = [np.where(rng.random(rows) < rate * factor, rng.integers(1, 3, size=rows), 0) for rate in errors]
    first, second = wrong  # 0 is right, 1 and 2 are the two ways to be wrong
    agreed = first == second
    seen = ~agreed | (rng.random(rows) < sampled)
    slip = rng.random(rows) < missed
    final_wrong = np.where(agreed, (first > 0) & (~seen | slip), slip if checks else False)
    overturned = agreed & seen & (first > 0) & ~slip
    # At a conflict that QA gets wrong, its answer is another than the truth: who looks wrong follows QA's answer.
    answer = np.where(final_wrong, np.where(first > 0, first, second), 0)
    one, two = (answer != first) & ~agreed, (answer != second) & ~agreed
    reviewed = Reviewed(
        agreed_unseen=int((agreed & ~seen).sum()),
        agreed_kept=int((agreed & seen & ~overturned).sum()),
        agreed_overturned=int(overturned.sum()),
        first_wrong=int((one & ~two).sum()),
        second_wrong=int((two & ~one).sum()),
        both_wrong=int((one & two).sum()),
    )
    found = Checks(seen=checks, missed=int(rng.binomial(checks, missed))) if checks else None
    return Campaign(reviewed, found, float(final_wrong.mean()))


CAMPAIGNS: Mapping[str, Mapping[str, Any]] = {
    "overturns: QA sees 25 % of agreed rows and is right": {"sampled": 0.25, "missed": 0.0, "checks": 0, "hard": 0.0},
    "overturns: the same, errors tied by hard rows": {"sampled": 0.25, "missed": 0.0, "checks": 0, "hard": 0.1},
    "checks: QA sees 25 %, misses 20 %, 200 checks": {"sampled": 0.25, "missed": 0.2, "checks": 200, "hard": 0.1},
    "checks: QA sees all, misses 20 %, 200 checks": {"sampled": 1.0, "missed": 0.2, "checks": 200, "hard": 0.1},
    "two passes: QA sees all, misses 20 %": {"sampled": 1.0, "missed": 0.2, "checks": 0, "hard": 0.0},
    "two passes: QA sees all, misses 80 %": {"sampled": 1.0, "missed": 0.8, "checks": 0, "hard": 0.0},
    "two passes: misses 20 %, errors tied by hard rows": {"sampled": 1.0, "missed": 0.2, "checks": 0, "hard": 0.1},
}


def error_coverage(repeats: int, seed: int, tick: Callable[[str], None]) -> Iterator[Row]:
    """Yield coverage of the share of wrong final labels by campaign and size."""
    for place, (name, settings) in enumerate(CAMPAIGNS.items()):
        for size in (200, 1000, 5000):
            tick(f"{name}, {size} rows")
            rng = np.random.default_rng([seed, 100 + place, size])
            inside, widths = [], []
            for repeat in range(repeats):
                campaign = play(rng, size, **settings)
                rate = remaining_error(campaign.reviewed, campaign.checks, seed=repeat).rate
                if rate.low is not None and rate.high is not None:
                    inside.append(rate.low <= campaign.truth <= rate.high)
                    widths.append(rate.high - rate.low)
            yield Row(name, size, repeats, float(np.mean(inside)), 1 - len(inside) / repeats, float(np.mean(widths)))


def show(rows: list[Row], seed: int, seconds: float) -> None:
    """Print a table: a line a figure, a column a size."""
    table = Table("figure", "size", "coverage", "± (simulation)", "no interval", "mean width")
    for row in rows:
        doubt = 1.96 * math.sqrt(row.coverage * (1 - row.coverage) / row.repeats)
        table.add_row(
            row.figure, f"{row.size:,}", f"{row.coverage:.1%}", f"{doubt:.1%}", f"{row.without:.1%}", f"{row.width:.3f}"
        )
    Console(width=130).print(table)
    print(f"{rows[0].repeats:,} repeats each, seed {seed}, {seconds:.0f} s")


def main() -> None:
    """Run the simulation and print its table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=["agreement", "errors"])
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    started = time.perf_counter()

    def tick(what: str) -> None:
        if sys.stderr.isatty():
            print(what, file=sys.stderr)

    rows: list[Row] = []
    if given.only != "errors":
        rows += agreement_coverage(given.repeats, given.seed, tick)
    if given.only != "agreement":
        rows += error_coverage(given.repeats, given.seed, tick)
    if given.json:
        fields = ("figure", "size", "repeats", "coverage", "without", "width")
        print(json.dumps({"seed": given.seed, "rows": [{name: getattr(row, name) for name in fields} for row in rows]}))
    else:
        show(rows, given.seed, time.perf_counter() - started)


if __name__ == "__main__":
    main()
