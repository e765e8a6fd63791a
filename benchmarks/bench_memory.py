"""How much memory exports take: the most that a process held while it wrote N and 4N full records, for each format.

    python benchmarks/bench_memory.py [--rows 1500] [--times 4] [--formats xlsx hf]

Each format is written in a process of its own, from records of the size of real ones that are made one at a time.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from label_studio_quorum.gold.formats import FORMATS, write  # noqa: E402
from ls_config import load  # noqa: E402
from review_rules import decide, load_policy, load_team, parse_history  # noqa: E402
from tests.support.campaigns import POLICY, TEAM  # noqa: E402
from tests.support.export_files import SUFFIX  # noqa: E402

INTERFACE = load("response_review")
FOLDER = " (folder)"
NAMES = (*FORMATS, f"docbin{FOLDER}")


def records(count: int) -> Iterator[dict[str, Any]]:
    """So many full records of about 5 KB."""
    policy, team = load_policy(POLICY), load_team(TEAM.format(tag="m"))
    values = {"verdict": "Correct", "issues": [], "response_type": "Other", "correctness": 4, "completeness": 4,
              "helpfulness": 4, "tone": 4}  # fmt: skip
    for number in range(count):
        text = f"{number} " + "The answer rests on the text and says no more than that. " * 16
        values["entities"] = [{"start": 0, "end": 1, "label": "ORG", "text": text[0]}]
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


def most(name: str, count: int) -> float:
    """MiB."""
    command = [sys.executable, __file__, "--rows", str(count), "--only", name]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    """Run and print a table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=1500)
    options.add_argument("--times", type=int, default=4, help="how many times as many rows the second file has")
    options.add_argument("--only", choices=NAMES, help="write this format here and print the memory")
    options.add_argument("--formats", nargs="+", choices=NAMES, default=NAMES)
    given = options.parse_args()
    if given.only:
        with tempfile.TemporaryDirectory() as folder:
            name = given.only.removesuffix(FOLDER)
            place = Path(folder) / ("out" if given.only.endswith(FOLDER) else SUFFIX.get(name, "out.spacy"))
            report = write(records(given.rows), place, name, interface=INTERFACE)
        assert report.rows == given.rows, report
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    print(f"most memory in MiB at {given.rows:,} and {given.times * given.rows:,} rows")
    for name in given.formats:
        few, many = most(name, given.rows), most(name, given.times * given.rows)
        print(f"{name:<18}{few:>7.0f}{many:>7.0f}  {many / few:.2f}", flush=True)


if __name__ == "__main__":
    main()
