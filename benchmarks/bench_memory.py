"""How much memory exports take: the most that a process held while it wrote N and 4N full records, for each format.

Each format is written in a process of its own, from records of the size of real ones that are made one at a time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import data
from benchmarks.harness import ROOT, Arguments, Line, NotMeasured, Report, memory, require, run
from label_studio_quorum.gold.formats import FORMATS, write
from ls_config import load
from review_rules import decide, load_policy, load_team, parse_history
from tests.support.campaigns import POLICY, TEAM
from tests.support.export_files import SUFFIX

INTERFACE = load("response_review")
FOLDER = " (folder)"
NAMES = (*FORMATS, f"docbin{FOLDER}")
FEW = ("jsonl", "xlsx", "hf", f"docbin{FOLDER}")
MODULES = {"parquet": "pyarrow", "hf": "pyarrow", "docbin": "spacy", f"docbin{FOLDER}": "spacy"}
CLAIM = "an export takes the same memory for any number of rows, but for one DocBin, which spaCy makes in memory"


def records(count: int) -> Iterator[dict[str, Any]]:
    """So many full records of about 5 KB."""
    policy, team = load_policy(POLICY), load_team(TEAM.format(tag="m"))
    for number in range(count):
        text = f"{number} " + "The answer rests on the text and says no more than that. " * 16
        values = data.AUTO_LABEL | {"entities": [{"start": 0, "end": 1, "label": "ORG", "text": text[0]}]}
        row = {"id": f"r{number}", "context": text, "query": "Why?", "response": text, "domain": "general"}
        history: dict[str, Any] = {
            "row_id": row["id"],
            "fields": INTERFACE.fields(row),
            "domain": "general",
            "expert": [],
        }
        seat = {"lead_time": 9.5, "values": values, "flags": [], "reason": None}
        history["passes"] = [
            seat | {"by": who, "at": f"2026-01-05T1{at}:00:00Z"} for at, who in enumerate(("ana", "chi"))
        ]
        history["qa"] = [seat | {"by": "cleo", "at": "2026-01-05T12:00:00Z", "decision": "accept"}]
        yield history | {"row": row} | decide(parse_history(history), team, policy).to_json()


def write_here(name: str, count: int) -> None:
    """Write so many records in this process and print the most memory that it had, in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        suffix = "out" if name.endswith(FOLDER) else SUFFIX.get(name, "out.spacy")
        report = write(records(count), Path(folder) / suffix, name.removesuffix(FOLDER), interface=INTERFACE)
    if report.rows != count:
        raise SystemExit(f"{name}: {report.rows} of {count} records were written")
    print(memory(os.getpid(), "VmHWM"))


def peak(name: str, count: int) -> float:
    """The most memory of a process that writes so many records, in MiB."""
    command = [sys.executable, "-m", "benchmarks.bench_memory", "--rows", str(count), "--only", name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return float(done.stdout)


def measure(names: Sequence[str], rows: int, times: int) -> Report:
    """Write each format twice."""
    lines, left_out = [], []
    for name in names:
        try:
            require("spacy" if "docbin" in name else "formats", *MODULES.get(name, "json").split())
        except NotMeasured as reason:
            left_out.append(f"{name} {reason}")
            continue
        few = peak(name, rows)
        lines.append(
            Line(
                what=f"{name}: {times * rows:,} rows", measured=peak(name, times * rows), unit="MiB",
                instead=f"the same at {rows:,} rows", reference=few,
                claimed="grows" if name == "docbin" else "ratio near 1",
            )
        )  # fmt: skip
    described = "records of about 5 KB, all alike but for their numbers"
    return Report(claim=CLAIM, data=described, lines=lines, left_out=left_out)


def main() -> None:
    """Measure and print."""
    arguments = Arguments(__doc__)
    arguments.size("--rows", 1_500, 150, "records of the smaller file")
    arguments.parser.add_argument("--times", type=int, default=4, help="the larger file has so many times as many (4)")
    arguments.parser.add_argument("--only", choices=NAMES, help="write this format here and print the memory")
    arguments.parser.add_argument("--formats", nargs="+", choices=NAMES, help="measure these (all; with --quick a few)")
    options = arguments.read()
    if options.only:
        write_here(options.only, options.rows)
    else:
        run(options, lambda: measure(options.formats or (FEW if options.quick else NAMES), options.rows, options.times))


if __name__ == "__main__":
    main()
