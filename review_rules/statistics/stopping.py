"""When to stop: how many more rows a figure needs, and how many wrong labels are left after QA.

Both are estimates from a model; the model and what it assumes are part of the answer (docs/agreement.md).
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from review_rules.canonical import same
from review_rules.statistics.agreement import NO_PAIR, Figure, Patterns, estimate, patterns_of, simulate
from review_rules.statistics.bootstrap import DRAWS, Floats
from review_rules.statistics.intervals import central_range
from review_rules.statistics.votes import VoteFault, VoteKind, Votes
from review_rules.values import Kind, Origin, State

MAIN_FIGURE: Mapping[VoteKind, str] = {
    VoteKind.CHOICE: "alpha.nominal",
    VoteKind.CHOICES: "alpha.masi",
    VoteKind.RATING: "alpha.ordinal",
    VoteKind.SPANS: "span_f1.strict",
}
"""The figure whose interval is to narrow, unless another is named."""

FEW_ROWS = 30
LARGEST_RESAMPLE = 20_000
ROUNDS = 4
POSTERIOR_DRAWS = 20_000
CELL_DRAWS = 500


# --- how many more rows


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsNeeded:
    """How many rows with two ratings bring a figure's interval to ± the target.

    Args:
        rows: rows with at least two ratings so far.
        half_width: half of the 95 % interval now; None if there is none.
        needed, more: rows in all and on top of `rows`; None with the reason.
    """

    figure: str
    target: float
    rows: int
    half_width: float | None
    needed: int | None
    more: int | None
    reason: str | None

    def to_json(self) -> dict[str, Any]:
        """Return one object."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


def rows_needed(
    votes: Votes, target: float, *, figure: str | None = None, seed: int = 0, draws: int = DRAWS
) -> RowsNeeded:
    """Estimate how many doubly labelled rows a figure's interval needs to come to ± the target.

    Larger samples are drawn from the rows at hand until their interval is as narrow as wanted, so it holds if further
    rows are like these: the same mix of easy and hard rows, the same people.

    Args:
        target: wanted half of the 95 % interval's width, above 0.
        figure: dotted name; alpha (for spans the strict F1) if not given.

    >>> from review_rules.statistics.votes import collect_votes
    >>> pairs = [(row, who, "AB"[row % 10 == 0 and who]) for row in range(100) for who in (0, 1)]
    >>> estimate = rows_needed(collect_votes(pairs, VoteKind.CHOICE), 0.05, figure="percent")
    >>> 100 < estimate.needed < 200
    True
    """
    name = figure or MAIN_FIGURE[votes.kind]
    patterns = _paired_only(patterns_of(votes))
    rows = int(patterns.counts.sum())
    now = estimate(patterns, seed=seed, draws=draws).get(name) if rows else Figure(None, None, None, NO_PAIR)
    if now is None:
        raise ValueError(f"no figure {name!r} for {votes.kind}")
    unknown = RowsNeeded(
        figure=name, target=target, rows=rows, half_width=None, needed=None, more=None, reason=now.reason
    )
    if now.low is None or now.high is None:
        return unknown
    half = (now.high - now.low) / 2
    if half == 0:
        return replace(
            unknown, half_width=0.0, reason="every resample gives the same: too few rows, or no disagreement yet"
        )
    needed = max(rows, _search(patterns, name, target, rows, half, seed=seed, draws=draws)) if half > target else rows
    rough = f"a rough guess: only {rows} rows have two ratings" if rows < FEW_ROWS else None
    return replace(unknown, half_width=half, needed=needed, more=needed - rows, reason=rough)


def _paired_only(patterns: Patterns) -> Patterns:
    """Leave out the items with one rating: more of them do not help."""
    kept = np.flatnonzero(patterns.paired)

    def figures(drawn: Floats) -> dict[str, Floats]:
        whole = np.zeros((len(patterns.counts), drawn.shape[1]))
        whole[kept] = drawn
        return patterns.figures(whole)

    return replace(patterns, counts=patterns.counts[kept], paired=patterns.paired[kept], figures=figures)


def _search(patterns: Patterns, name: str, target: float, rows: int, half: float, *, seed: int, draws: int) -> int:
    """Correct the guess n·(half/target)² by drawing samples of that size, as long as that is quick."""
    size = rows
    for _ in range(ROUNDS):
        size = max(rows, min(LARGEST_RESAMPLE, math.ceil(size * (half / target) ** 2)))
        low, high = central_range(simulate(patterns, seed=seed, draws=draws, size=size)[name])
        half = (high - low) / 2
    return math.ceil(size * (half / target) ** 2)


# --- how many wrong labels are left


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """What became of the final rows of one field.

    Args:
        agreed_unseen: the passes agreed and nobody looked again.
        agreed_kept, agreed_overturned: the passes agreed, QA or an expert looked and kept or changed the value.
        first_wrong, second_wrong, both_wrong: the passes differed, and the final value says who was wrong.
        other_conflicts: the passes differed in a way that does not say so (more than two passes).
    """

    agreed_unseen: int = 0
    agreed_kept: int = 0
    agreed_overturned: int = 0
    first_wrong: int = 0
    second_wrong: int = 0
    both_wrong: int = 0
    other_conflicts: int = 0

    @property
    def rows(self) -> int:
        """All final rows."""
        return sum(getattr(self, each.name) for each in fields(self))


@dataclass(frozen=True, slots=True)
class Checks:
    """Rows with a label known to be wrong that QA was given unannounced: how many, and how many it let pass."""

    seen: int
    missed: int

    def __post_init__(self) -> None:
        if not 0 <= self.missed <= self.seen:
            raise ValueError(f"{self.missed} of {self.seen} checks missed: the first cannot be more than the second")


ASSUMES: Mapping[str, str] = {
    "checks": "QA misses real errors as often as checks, and looked at a fair sample of the agreed rows",
    "two passes": "the passes err independently (with hard rows they do not, and more is left), and QA settles well",
    "overturns": "QA is right where it looked, and looked at a fair sample of the agreed rows",
}
"""What each method takes for granted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemainingError:
    """Share of final rows whose label is wrong, with a 95 % interval and the model it rests on.

    Args:
        rows, unseen: final rows, and those of them that nobody looked at after the passes.
        method: `checks`, `two passes`, or `overturns` where QA is taken to be right.
    """

    rows: int
    unseen: int
    method: str
    rate: Figure

    def to_json(self) -> dict[str, Any]:
        """Return one object."""
        how = {"method": self.method, "assumes": ASSUMES[self.method]}
        return {"rows": self.rows, "unseen": self.unseen, **how, **self.rate.to_json()}


def read_reviewed(lines: Iterable[str | bytes]) -> tuple[dict[str, Reviewed], tuple[VoteFault, ...]]:
    """Count, by field, what became of the rows that are FINAL.

    Args:
        lines: what `quorum decide` prints, or an export; JSON lines.

    Returns:
        Counts by field, and the lines that could not be read.

    >>> row = {"state": "FINAL", "comparison": {"verdict": {"agreed": True, "values": ["A", "A"]}},
    ...        "final": {"values": {"verdict": {"value": "B", "origin": "qa"}}}, "certificate": {"qa": "dag"}}
    >>> read_reviewed([json.dumps(row)])[0]["verdict"].agreed_overturned
    1
    """
    counts: dict[str, Counter[str]] = {}
    faults = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            outcomes = _outcomes(json.loads(line))
        except (ValueError, TypeError, KeyError, AttributeError):
            faults.append(
                VoteFault(number, "not a decision", "give what `quorum decide` prints, or an export as JSON lines")
            )
            continue
        for name, outcome in outcomes.items():
            counts.setdefault(name, Counter())[outcome] += 1
    return {name: Reviewed(**count) for name, count in counts.items()}, tuple(faults)


def _outcomes(decision: Mapping[str, Any]) -> dict[str, str]:
    """Say what became of each field of a row; nothing unless the row is FINAL."""
    if decision["state"] != State.FINAL:
        return {}
    certificate, values = decision["certificate"], decision["final"]["values"]
    seen = bool(certificate.get("qa") or certificate.get("expert"))
    stated = decision.get("fields") or {}
    outcomes = {}
    for name, compared in decision["comparison"].items():
        final = values.get(name)
        value = final["value"] if final else None
        # An export states the fields; what `quorum decide` prints does not, but the values show what they are.
        kind = Kind.of(stated[name]["kind"]) if name in stated else _kind_of([value, *compared["values"]])
        outcomes[name] = _outcome(compared, kind, value, final and final["origin"], seen)
    return outcomes


def _outcome(compared: Mapping[str, Any], kind: Kind, value: Any, origin: str | None, seen: bool) -> str:
    if compared["agreed"]:
        if not seen:
            return "agreed_unseen"
        return "agreed_overturned" if origin in (Origin.QA, Origin.EXPERT) else "agreed_kept"
    if len(compared["values"]) != 2:
        return "other_conflicts"
    first_right, second_right = (same(kind, answer, value) for answer in compared["values"])
    if first_right:
        # Passes in conflict that both equal the final value differ for the policy's measure only: nobody was wrong
        # alone, which the model counts with the rows that do not say who was.
        return "both_wrong" if second_right else "second_wrong"
    return "first_wrong" if second_right else "both_wrong"


def _kind_of(values: Sequence[Any]) -> Kind:
    """A kind that compares these values rightly; it need not be the field's own where two kinds compare alike."""
    for value in values:
        if isinstance(value, str):
            return Kind.TEXT
        if isinstance(value, list) and value:
            if not isinstance(value[0], dict):
                return Kind.CHOICES
            return Kind.BOXES if "width" in value[0] else Kind.SEGMENTS
        if value is not None and not isinstance(value, list):
            return Kind.NUMBER
    return Kind.CHOICES


def remaining_error(reviewed: Reviewed, checks: Checks | None = None, *, seed: int = 0) -> RemainingError:
    """Estimate the share of final rows that are wrong.

    Rows that nobody looked at are as often wrong as the agreed rows that QA did look at (which therefore have to be a
    sample of them: `qa.when: sample`). What QA itself let pass is estimated

    * `checks`: from these, if there are any: a miss is as likely on a real row as on a check;
    * `two passes`: else, if QA looked at every row, by capture and recapture. If the two passes err independently,
      rows on which both are wrong are to rows on which one is wrong as these are to rows on which none is, so that
      both = first · second / none. What is then still missing, beyond the both-wrong rows that came to light, QA let
      pass. What QA chose at a conflict is taken to be right;
    * `overturns`: else QA is taken to be right wherever it looked.

    The counts' uncertainty: Jeffreys' priors for the shares (Beta(k+½, n-k+½); Gamma(k+½) for the cells), and the
    wrong rows left are drawn too, so the interval is for this file and not for the process behind it.

    >>> error = remaining_error(Reviewed(agreed_unseen=800, agreed_kept=190, agreed_overturned=10), Checks(50, 0))
    >>> 0.03 < error.rate.value < 0.06
    True
    """
    method = _method(reviewed, checks)
    unknown = _why_unknown(reviewed)
    if unknown is not None:
        rate = Figure(None, None, None, unknown)
    else:
        rng = np.random.default_rng(seed)
        if checks:
            left = _left_by_checks(reviewed, checks, rng)
        else:
            left = _left_by_passes(reviewed, rng) if method == "two passes" else _left_by_overturns(reviewed, rng)
        low, high = central_range(left / reviewed.rows)
        rate = Figure(float(left.mean() / reviewed.rows), low, high, None)
    return RemainingError(rows=reviewed.rows, unseen=reviewed.agreed_unseen, method=method, rate=rate)


def _method(reviewed: Reviewed, checks: Checks | None) -> str:
    if checks:
        return "checks"
    two = _conflicts(reviewed) and not reviewed.other_conflicts and not reviewed.agreed_unseen
    return "two passes" if two else "overturns"


def _conflicts(reviewed: Reviewed) -> int:
    return reviewed.first_wrong + reviewed.second_wrong + reviewed.both_wrong


def _why_unknown(reviewed: Reviewed) -> str | None:
    if not reviewed.rows:
        return "no row is final"
    if reviewed.agreed_unseen and not reviewed.agreed_kept + reviewed.agreed_overturned:
        return "QA has looked at none of the rows on which the passes agree: let it look at a sample (qa.when: sample)"
    return None


def _share(rng: np.random.Generator, hits: int, number: int) -> Floats:
    """Draw a share from its Jeffreys posterior."""
    return rng.beta(hits + 0.5, number - hits + 0.5, size=POSTERIOR_DRAWS)


def _left_by_checks(reviewed: Reviewed, checks: Checks, rng: np.random.Generator) -> Floats:
    """Draw the number of wrong rows left, with QA's misses known from checks."""
    missed = _share(rng, checks.missed, checks.seen)
    overturned = _share(rng, reviewed.agreed_overturned, reviewed.agreed_kept + reviewed.agreed_overturned)
    wrong = np.minimum(1.0, overturned / (1 - missed))
    unseen = rng.binomial(reviewed.agreed_unseen, wrong)
    kept = rng.binomial(reviewed.agreed_kept, np.clip(wrong * missed / (1 - overturned), 0, 1))
    conflicts = rng.binomial(_conflicts(reviewed) + reviewed.other_conflicts, missed)
    return (unseen + kept + conflicts).astype(np.float64)


def _left_by_overturns(reviewed: Reviewed, rng: np.random.Generator) -> Floats:
    """Draw the number of wrong rows left among those that nobody looked at."""
    overturned = _share(rng, reviewed.agreed_overturned, reviewed.agreed_kept + reviewed.agreed_overturned)
    return rng.binomial(reviewed.agreed_unseen, overturned).astype(np.float64)


def _left_by_passes(reviewed: Reviewed, rng: np.random.Generator) -> Floats:
    """Draw how many rows QA kept although both passes were wrong alike.

    The number x of missed rows has the weight Poisson(known both-wrong rows + x; first · second / none) / (caught + x
    + 1); the last factor is what a caught share anywhere between 0 and 1 gives.
    """
    first, second, none = (
        rng.gamma(count + 0.5, size=(CELL_DRAWS, 1))
        for count in (reviewed.first_wrong, reviewed.second_wrong, reviewed.agreed_kept)
    )
    expected = first * second / none
    known = reviewed.both_wrong + reviewed.agreed_overturned
    missed = np.arange(min(reviewed.agreed_kept, math.ceil(2 * float(expected.max())) + 50) + 1)
    log_factorial = np.cumsum(np.log(np.maximum(1, np.arange(known + len(missed)))))[known:]
    log_weight = (known + missed) * np.log(expected) - expected - log_factorial
    weight = np.exp(log_weight - log_weight.max()).sum(axis=0) / (reviewed.agreed_overturned + missed + 1)
    return rng.choice(missed, size=POSTERIOR_DRAWS, p=weight / weight.sum()).astype(np.float64)
