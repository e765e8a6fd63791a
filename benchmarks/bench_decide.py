"""How fast `quorum decide` is on one core, and that its memory does not grow with the file.

Histories are drawn from a seed: choice, choices, spans and rating; passes, QA and expert reviews; some conflicts, some
submissions that do not count. The command runs as a process of its own; processor time is what the kernel says of it.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from benchmarks import data
from benchmarks.harness import QUORUM, Arguments, Line, Report, run, spend, write_lines

CLAIM = "thousands of rows are decided a second on one core, and ten times the rows take no more memory"


def measure(sizes: list[int], seed: int) -> Report:
    """Run the command over files of these sizes, smallest first."""
    lines = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "policy.yaml").write_text(data.HISTORY_POLICY, encoding="utf-8")
        (folder / "team.yaml").write_text(data.history_team(), encoding="utf-8")
        first = None
        for rows in sizes:
            source = write_lines(folder / f"{rows}.jsonl", data.histories(rows, seed))
            command = [*QUORUM, "decide", "--policy", "policy.yaml", "--team", "team.yaml", source.name]
            spent = spend(command, out=folder / "out.jsonl", core=min(os.sched_getaffinity(0)))
            with (folder / "out.jsonl").open("rb") as out:
                written = sum(1 for _ in out)
            if written != rows:
                raise SystemExit(f"quorum decide wrote {written} of {rows} decisions")
            first = first or spent.peak
            note = f"{source.stat().st_size / 1e6:.1f} MB in {spent.wall:.1f} s, the start of the command included"
            lines += [
                Line(what=f"{rows:,} rows: speed", measured=rows / spent.cpu, unit="rows per CPU second", note=note),
                Line(
                    what=f"{rows:,} rows: most memory", measured=spent.peak, unit="MiB",
                    instead=f"the same at {sizes[0]:,} rows", reference=first, claimed="ratio near 1",
                ),
            ]  # fmt: skip
    return Report(claim=CLAIM, data=f"histories made by seed {seed}", lines=lines)


def main() -> None:
    """Measure and print."""
    arguments = Arguments(__doc__)
    arguments.size("--rows", [10_000, 100_000], [300, 3_000], "sizes of the files", nargs="+")
    options = arguments.read()
    run(options, lambda: measure(sorted(options.rows), options.seed))


if __name__ == "__main__":
    main()
