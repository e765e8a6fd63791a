"""How long agreement with 1,000 resamples takes, beside nltk, crowd-kit, scikit-learn and a plain numpy loop.

All on the same votes (3 people, 5 classes) in one process and one run. What would take minutes is run for some draws
and multiplied; the notes say which. Figures are processor seconds, since a busy machine stretches the wall clock.
"""

from __future__ import annotations

import json
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from benchmarks import data
from benchmarks.harness import QUORUM, Arguments, Line, Report, require, run, spend, write_lines
from review_rules.statistics.agreement import agreement, estimate, patterns_of
from review_rules.statistics.bootstrap import Floats, Ints

T = TypeVar("T")
PEOPLE, CLASSES, DRAWS, SOME = 3, 5, 1_000, 20
CLAIM = "intervals by 1,000 resamples cost less than one value without interval elsewhere"


def clock(work: Callable[[], T]) -> tuple[float, T]:
    """Run once; return processor seconds and the result."""
    started = time.process_time()
    result = work()
    return time.process_time() - started, result


def naive_alpha(counts: Floats) -> float:
    """Krippendorff's nominal alpha of (items, classes) counts."""
    raters = counts.sum(axis=1)
    margins = counts.sum(axis=0)
    n = margins.sum()
    observed = ((raters * (raters - 1) - (counts * (counts - 1)).sum(axis=1)) / (raters - 1)).sum()
    return float(1 - (n - 1) * observed / (n**2 - (margins**2).sum()))


def naive_bootstrap(codes: Ints, draws: int) -> list[float]:
    """Redraw the items themselves, as most people would at first."""
    counts = np.stack([(codes == value).sum(axis=1) for value in range(CLASSES)], axis=1).astype(np.float64)
    rng = np.random.default_rng(0)
    return [naive_alpha(counts[rng.integers(len(counts), size=len(counts))]) for _ in range(draws)]


def sklearn_kappas(codes: Ints, draws: int) -> list[float]:
    """Kappa of the first pair, by item resampling."""
    from sklearn.metrics import cohen_kappa_score

    rng = np.random.default_rng(0)
    picks = (rng.integers(len(codes), size=len(codes)) for _ in range(draws))
    return [float(cohen_kappa_score(codes[pick, 0], codes[pick, 1])) for pick in picks]


def measure(items: int, seed: int) -> Report:
    """Time all ways on the same votes."""
    require("stats,formats", "crowdkit", "sklearn", "pandas")
    require("dev", "nltk")
    codes = data.crowd(items, PEOPLE, CLASSES, seed)
    described = f"{items:,} items × {PEOPLE} people × {CLASSES} classes, made by seed {seed}"
    return Report(claim=CLAIM, data=described, lines=[measure_command(codes), *measure_libraries(codes)])


def measure_libraries(codes: Ints) -> list[Line]:
    """Time our figures beside those of the libraries."""
    import pandas as pd
    from crowdkit.metrics.data import alpha_krippendorff
    from nltk.metrics.agreement import AnnotationTask

    votes = data.votes_of(codes)
    ours, figures = clock(lambda: estimate(patterns_of(votes)))
    all_ours, _ = clock(lambda: agreement(votes))
    alpha = figures["alpha.nominal"].value
    what = f"alpha, AC1, percent with intervals (alpha {alpha:.6f})"

    def beside(instead: str, seconds: float, note: str) -> Line:
        return Line(what=what, measured=ours, unit="CPU s", instead=instead, reference=seconds, note=note)

    spent, _ = clock(lambda: naive_bootstrap(codes, SOME))
    times = DRAWS // SOME
    lines = [beside("numpy: alpha, items redrawn", spent * times, f"{SOME} draws, times {times}")]
    triples = [(f"p{who}", item, int(code)) for item, row in enumerate(codes) for who, code in enumerate(row)]
    spent, value = clock(lambda: AnnotationTask(data=triples, missing_values=[None]).alpha())
    lines.append(beside("nltk: alpha, no interval", spent, f"1 value, {value:.6f}"))
    lines.append(beside("nltk: alpha with interval", spent * DRAWS, "1 value, times 1,000"))
    frame = pd.DataFrame(triples, columns=["worker", "task", "label"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own notices of deprecation
        spent, value = clock(lambda: alpha_krippendorff(frame))
    lines.append(beside("crowd-kit: alpha, no interval", spent, f"1 value, {value:.6f}"))
    spent, _ = clock(lambda: sklearn_kappas(codes, SOME))
    lines.append(
        Line(
            what="3 kappas with intervals",
            measured=max(all_ours - ours, 1e-6),
            unit="CPU s",
            instead="scikit-learn: 3 kappas with intervals",
            reference=spent * 3 * times,
            note=f"{SOME} draws of a pair, times {3 * times}",
        )
    )
    return lines


def measure_command(codes: Ints) -> Line:
    """Time the whole command on a file, in a process of its own, and take its memory."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        votes = (
            {"item_id": f"r{item}", "annotator": f"p{who}", "value": "ABCDE"[code]}
            for item, row in enumerate(codes)
            for who, code in enumerate(row)
        )
        file = write_lines(Path(folder) / "votes.jsonl", votes)
        spent = spend([*QUORUM, "agreement", str(file), "--kind", "choice", "--json"], out=out)
        alpha = json.loads(out.read_text(encoding="utf-8"))["alpha"]["nominal"]["value"]
    note = f"the whole command, alpha {alpha:.6f}; {spent.wall:.1f} s by the clock, peak {spent.peak:.0f} MiB"
    return Line(what="quorum agreement FILE --kind choice --json", measured=spent.cpu, unit="CPU s", note=note)


def main() -> None:
    """Measure and print."""
    arguments = Arguments(__doc__, seed=0)
    arguments.size("--items", 100_000, 2_000, "items that are voted on")
    options = arguments.read()
    run(options, lambda: measure(options.items, options.seed))


if __name__ == "__main__":
    main()
