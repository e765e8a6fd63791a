"""How long agreement with 1,000 resamples takes, beside nltk, crowd-kit, scikit-learn and a plain numpy loop.

    python benchmarks/bench_agreement.py [--items 100000] [--json]

All on the same votes (3 people, 5 classes) in one process and one run. What would take minutes is run for some draws
and multiplied; the table says which.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from crowdkit.metrics.data import alpha_krippendorff
from nltk.metrics.agreement import AnnotationTask
from rich.console import Console
from rich.table import Column, Table
from sklearn.metrics import cohen_kappa_score

from review_rules.statistics.agreement import agreement, estimate, patterns_of
from review_rules.statistics.bootstrap import Floats, Ints
from review_rules.statistics.votes import VoteKind, Votes

T = TypeVar("T")
PEOPLE, CLASSES, DRAWS = 3, 5, 1_000
ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Timing:
    """One line of the table; `times_ours` is against Quorum's CPU time for the same figures."""

    what: str
    seconds: float
    cpu: float
    value: float | None
    times_ours: float | None
    note: str


def make(items: int, seed: int) -> Ints:
    """Draw classes: (items, people), right in four of five cases."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(CLASSES, size=(items, 1))
    guess = rng.integers(CLASSES, size=(items, PEOPLE))
    return np.where(rng.random((items, PEOPLE)) < 0.8, truth, guess)


def votes_of(codes: Ints) -> Votes:
    """Wrap the classes as votes."""
    items, people = codes.shape
    return Votes(
        kind=VoteKind.CHOICE,
        items=tuple(range(items)),
        annotators=tuple(f"p{who}" for who in range(people)),
        values=tuple("ABCDE"),
        item=np.repeat(np.arange(items), people),
        annotator=np.tile(np.arange(people), items),
        code=codes.ravel(),
    )


@dataclass(frozen=True, slots=True)
class Spent:
    """Wall-clock and CPU seconds; ratios go by CPU, since a busy machine stretches the wall clock."""

    wall: float
    cpu: float

    def times(self, number: float) -> Spent:
        """Return what `number` such runs take."""
        return Spent(self.wall * number, self.cpu * number)


def clock(work: Callable[[], T]) -> tuple[Spent, T]:
    """Run once; return seconds and result."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return Spent(time.perf_counter() - wall, time.process_time() - cpu), result


def naive_alpha(counts: Floats) -> float:
    """Krippendorff's nominal alpha of (items, classes) counts."""
    raters = counts.sum(axis=1)
    margins = counts.sum(axis=0)
    n = margins.sum()
    observed = ((raters * (raters - 1) - (counts * (counts - 1)).sum(axis=1)) / (raters - 1)).sum()
    return float(1 - (n - 1) * observed / (n**2 - (margins**2).sum()))


def naive_bootstrap(codes: Ints, draws: int) -> list[float]:
    """Redraw the items themselves, as one would at first."""
    counts = np.stack([(codes == value).sum(axis=1) for value in range(CLASSES)], axis=1).astype(np.float64)
    rng = np.random.default_rng(0)
    return [naive_alpha(counts[rng.integers(len(counts), size=len(counts))]) for _ in range(draws)]


def sklearn_kappas(codes: Ints, draws: int) -> list[float]:
    """Kappa of the first pair, by item resampling."""
    rng = np.random.default_rng(0)
    picks = (rng.integers(len(codes), size=len(codes)) for _ in range(draws))
    return [float(cohen_kappa_score(codes[pick, 0], codes[pick, 1])) for pick in picks]


def measure(items: int, seed: int) -> list[Timing]:
    """Time all ways on the same votes."""
    codes = make(items, seed)
    votes = votes_of(codes)
    ours, figures = clock(lambda: estimate(patterns_of(votes)))
    every, found = clock(lambda: agreement(votes))
    kappa = (found.kappa or ())[0].figure.value

    def timing(what: str, spent: Spent, value: float | None, against: float | None, note: str) -> Timing:
        return Timing(what, spent.wall, spent.cpu, value, None if against is None else spent.cpu / against, note)

    alpha = figures["alpha.nominal"].value
    rows = [
        timing("Quorum: alpha, AC1, percent with intervals", ours, alpha, ours.cpu, "1,000 draws"),
        timing("Quorum: the same and 3 kappas with intervals", every, kappa, None, "1,000 draws"),
    ]
    some = 20
    spent, _ = clock(lambda: naive_bootstrap(codes, some))
    more = DRAWS // some
    rows.append(timing("numpy: alpha, items redrawn", spent.times(more), None, ours.cpu, f"{some} draws, times {more}"))
    triples = [(f"p{who}", item, int(code)) for item, row in enumerate(codes) for who, code in enumerate(row)]
    spent, value = clock(lambda: AnnotationTask(data=triples, missing_values=[None]).alpha())
    rows.append(timing("nltk: alpha, no interval", spent, value, ours.cpu, "1 value"))
    rows.append(timing("nltk: alpha with interval", spent.times(DRAWS), value, ours.cpu, "1 value, times 1,000"))
    frame = pd.DataFrame(triples, columns=["worker", "task", "label"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own notices of deprecation
        spent, value = clock(lambda: alpha_krippendorff(frame))
    rows.append(timing("crowd-kit: alpha, no interval", spent, value, ours.cpu, "1 value"))
    spent, values = clock(lambda: sklearn_kappas(codes, some))
    note = f"{some} draws of a pair, times {3 * more}; against our kappas"
    spent = spent.times(3 * more)
    rows.append(timing("scikit-learn: 3 kappas with intervals", spent, values[0], every.cpu - ours.cpu, note))
    return rows


def measure_command(items: int, seed: int) -> Timing:
    """Time the whole command on a file, in a process of its own, and take its memory."""
    codes = make(items, seed)
    with tempfile.TemporaryDirectory() as folder:
        file, out = Path(folder) / "votes.jsonl", Path(folder) / "out.json"
        with file.open("w", encoding="utf-8") as votes:
            for item, row in enumerate(codes):
                for who, code in enumerate(row):
                    vote = {"item_id": f"r{item}", "annotator": f"p{who}", "value": "ABCDE"[code]}
                    votes.write(json.dumps(vote) + "\n")
        command = [sys.executable, "-m", "label_studio_quorum", "agreement", str(file), "--kind", "choice", "--json"]
        wall, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        with out.open("w", encoding="utf-8") as stdout:
            peak = _watch(subprocess.Popen(command, cwd=ROOT, stdout=stdout))
        wall, after = time.perf_counter() - wall, resource.getrusage(resource.RUSAGE_CHILDREN)
        alpha = json.loads(out.read_text(encoding="utf-8"))["alpha"]["nominal"]["value"]
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Timing(
        "quorum agreement FILE --kind choice --json", wall, cpu, alpha, None, f"whole command; peak {peak:,.0f} MB"
    )


def _watch(process: subprocess.Popen[bytes]) -> float:
    """Wait for a process; return the most memory it was seen to hold, in MB (its exit record counts our own too)."""
    peak = 0
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        held = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        peak = max([peak, *(int(line.split()[1]) for line in held)])
        time.sleep(0.02)
    if process.returncode:
        raise SystemExit(f"the command failed with exit code {process.returncode}")
    return peak / 1024


def main() -> None:
    """Measure and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = [measure_command(given.items, given.seed), *measure(given.items, given.seed)]
    if given.json:
        print(
            json.dumps({"items": given.items, "people": PEOPLE, "classes": CLASSES, "rows": [asdict(r) for r in rows]})
        )
        return
    table = Table(
        "what",
        Column("wall s", justify="right"),
        Column("CPU s", justify="right"),
        Column("value", justify="right"),
        "× ours (CPU)",
        "note",
    )
    for row in rows:
        value = "" if row.value is None else f"{row.value:.6f}"
        ratio = "" if row.times_ours is None else f"{row.times_ours:,.1f}"
        table.add_row(row.what, f"{row.seconds:,.2f}", f"{row.cpu:,.2f}", value, ratio, row.note)
    console = Console(width=140)
    console.print(f"{given.items:,} items × {PEOPLE} people × {CLASSES} classes")
    console.print(table)


if __name__ == "__main__":
    main()
