"""How often the 95 % intervals hold the truth, on simulated campaigns whose truth is planted.

Agreement: each repeat draws a file of n items from a fixed model of annotators and asks whether the interval holds the
figure's value in the model (taken from 400,000 items). Errors left: each repeat plays a campaign with known truth and
asks whether the interval holds the share of wrong final labels in that very campaign.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.data import Rng, coded, marked
from benchmarks.harness import Arguments, Line, Report, run
from review_rules.statistics.agreement import estimate, patterns_of
from review_rules.statistics.stopping import Checks, Reviewed, remaining_error
from review_rules.statistics.votes import VoteKind, Votes

CLAIM = "of the 95 % intervals about 95 % hold the truth, but where the documentation says otherwise"
SIZES = (20, 50, 100, 200, 500, 1000)
CAMPAIGN_SIZES = (200, 1000, 5000)
POPULATION = 400_000


def line_of(what: str, inside: list[bool], widths: list[float], repeats: int) -> Line:
    """The coverage of a figure's interval at a size.

    Args:
        what: the figure and the size.
        inside: for each repeat that gave an interval, whether it holds the truth.
        widths: the widths of these intervals.
        repeats: how many there were in all.
    """
    share = float(np.mean(inside))
    doubt = 1.96 * math.sqrt(share * (1 - share) / repeats)
    without = 1 - len(inside) / repeats
    note = f"± {100 * doubt:.1f} by the simulation; no interval {without:.1%}; mean width {float(np.mean(widths)):.3f}"
    return Line(what=what, measured=100 * share, unit="%", claimed="95 %", note=note)


MODELS: Mapping[str, tuple[Callable[[Rng, int], Votes], tuple[str, ...]]] = {
    "choice": (lambda rng, n: coded(rng, n, VoteKind.CHOICE), ("percent", "alpha.nominal", "ac1")),
    "rating": (lambda rng, n: coded(rng, n, VoteKind.RATING), ("alpha.ordinal", "alpha.interval", "ac2")),
    "spans": (marked, ("span_f1.strict", "span_f1.overlap", "alpha.characters")),
}


def agreement_coverage(repeats: int, seed: int, quick: bool) -> Iterator[Line]:
    """Coverage by model, figure and size."""
    for place, (model, (draw, names)) in enumerate(MODELS.items()):
        population = POPULATION // 10 if model == "spans" or quick else POPULATION
        patterns = patterns_of(draw(np.random.default_rng([seed, place]), population))
        whole = patterns.figures(patterns.counts[:, None].astype(np.float64))
        for size in SIZES[2:4] if quick else SIZES:
            tell(f"{model}, {size} items")
            rng = np.random.default_rng([seed, place, size])
            estimates = [estimate(patterns_of(draw(rng, size)), seed=repeat) for repeat in range(repeats)]
            for name in names:
                truth = float(whole[name][0])
                ends = [(figures[name].low, figures[name].high) for figures in estimates]
                known = [(low, high) for low, high in ends if low is not None and high is not None]
                inside = [low <= truth <= high for low, high in known]
                widths = [high - low for low, high in known]
                yield line_of(f"{name} ({model}), {size:,} items", inside, widths, repeats)


def tell(progress: str) -> None:
    """Say to somebody who waits what is simulated now."""
    if sys.stderr.isatty():
        print(progress, file=sys.stderr)


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


def error_coverage(repeats: int, seed: int, quick: bool) -> Iterator[Line]:
    """Coverage of the share of wrong final labels by campaign and size."""
    for place, (name, settings) in enumerate(CAMPAIGNS.items()):
        for size in CAMPAIGN_SIZES[:1] if quick else CAMPAIGN_SIZES:
            tell(f"{name}, {size} rows")
            rng = np.random.default_rng([seed, 100 + place, size])
            inside, widths = [], []
            for repeat in range(repeats):
                campaign = play(rng, size, **settings)
                rate = remaining_error(campaign.reviewed, campaign.checks, seed=repeat).rate
                if rate.low is not None and rate.high is not None:
                    inside.append(rate.low <= campaign.truth <= rate.high)
                    widths.append(rate.high - rate.low)
            yield line_of(f"{name}; {size:,} rows", inside, widths, repeats)


def measure(options: argparse.Namespace) -> Report:
    """Simulate what was asked for."""
    lines: list[Line] = []
    if options.only != "errors":
        lines += agreement_coverage(options.repeats, options.seed, options.quick)
    if options.only != "agreement":
        lines += error_coverage(options.repeats, options.seed, options.quick)
    described = f"{options.repeats:,} files or campaigns each, drawn by seed {options.seed}"
    return Report(claim=CLAIM, data=described, lines=lines)


def main() -> None:
    """Measure and print."""
    arguments = Arguments(__doc__, seed=0)
    arguments.size("--repeats", 1_000, 40, "simulated files or campaigns a figure")
    arguments.parser.add_argument("--only", choices=["agreement", "errors"], help="one of the two halves")
    options = arguments.read()
    run(options, lambda: measure(options))


if __name__ == "__main__":
    main()
