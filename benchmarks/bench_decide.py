"""How fast `quorum decide` is, and that its memory does not grow with the file.

Histories are generated from a seed: choice + choices + spans + rating, passes, QA and expert reviews, some conflicts,
some submissions that do not count. The command runs as a process of its own; seconds and memory are what the kernel
says of that process (user + system time, and the largest resident set).

    python benchmarks/bench_decide.py [--rows 10000 100000] [--json] [--seed 7]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

POLICY = """\
passes: 2
qa: {when: all}
expert_domains: [technical, financial]
escalate_when: ["domain == 'financial' && has(agreement.verdict) && agreement.verdict < 0.5 && size(conflicts) > 2"]
proposal: passes+auto
fields:
  verdict: {agree: exact}
  topics: {agree: jaccard, threshold: 0.5}
  entities: {agree: span_f1, match: overlap, threshold: 0.8}
  helpfulness: {agree: tolerance, tolerance: 1}
"""
ANNOTATORS = [f"ann{number:02}" for number in range(20)]
EXPERTS = ["dag", "eva", "fin"]
START = datetime(2026, 1, 5, 8, tzinfo=UTC)
TOPICS = ("billing", "security", "setup", "pricing")
ENTITIES = ("ORG", "MONEY", "DATE")
SENTENCE = (
    "the bank of the north reported 12 million in revenue for the quarter and its margin fell by two points while "
    "customers asked how to reset the router and where the invoice could be found"
)
WORDS = SENTENCE.split()


def team() -> str:
    """A team of annotators, QA and experts."""
    people: list[dict[str, Any]] = [
        {"id": name, "roles": ["annotator", "qa"] if number % 4 == 0 else ["annotator"]}
        for number, name in enumerate(ANNOTATORS)
    ]
    people += [{"id": name, "roles": ["expert", "qa"], "expertise": ["technical", "financial"]} for name in EXPERTS]
    return json.dumps({"people": people})


def histories(rows: int, seed: int) -> Iterator[dict[str, Any]]:
    """Seeded histories at every point of their way."""
    draw = random.Random(seed)
    for number in range(rows):
        yield history(number, draw)


def history(number: int, draw: random.Random) -> dict[str, Any]:
    """One row: its truth, and people who mostly see it."""
    text = " ".join(draw.choice(WORDS) for _ in range(60))
    truth = values(text, draw)
    first, second = draw.sample(ANNOTATORS, 2)
    passes = [submission(who, minute, noisy(truth, text, draw), draw) for who, minute in ((first, 0), (second, 30))]
    if draw.random() < 0.05:
        passes.append(submission(first, 40, noisy(truth, text, draw), draw))
    stage = draw.random()
    row: dict[str, Any] = {
        "row_id": f"row-{number}",
        "domain": draw.choice(["general", "general", "technical", "financial"]),
        "auto_label": noisy(truth, text, draw),
        "fields": {
            "verdict": {"kind": "choice"},
            "topics": {"kind": "choices"},
            "entities": {"kind": "spans", "text": text},
            "helpfulness": {"kind": "rating", "min": 1, "max": 5},
        },
        "passes": passes if stage > 0.1 else passes[:1],
        "qa": [],
        "expert": [],
    }
    if stage > 0.3:
        word = "escalate" if draw.random() < 0.1 else "correct"
        review = submission(draw.choice(EXPERTS[:2]), 60, truth, draw)
        row["qa"].append(review | {"decision": word, "reason": "please look" if word == "escalate" else None})
        if word == "escalate":
            row["expert"].append(submission("fin", 90, truth, draw) | {"decision": "correct", "reason": None})
    return row


def values(text: str, draw: random.Random) -> dict[str, Any]:
    """A full label of a row."""
    spans = []
    for _ in range(draw.randint(0, 5)):
        start = draw.randrange(0, len(text) - 20)
        end = start + draw.randint(2, 18)
        spans.append({"start": start, "end": end, "label": draw.choice(ENTITIES), "text": text[start:end]})
    return {
        "verdict": draw.choice(["Supported", "Refuted", "Unclear"]),
        "topics": draw.sample(TOPICS, draw.randint(0, 3)),
        "entities": sorted(spans, key=lambda span: span["start"]),
        "helpfulness": draw.randint(1, 5),
    }


def noisy(truth: dict[str, Any], text: str, draw: random.Random) -> dict[str, Any]:
    """The truth, each field with a chance of another answer."""
    other = values(text, draw)
    return {name: other[name] if draw.random() < 0.12 else value for name, value in truth.items()}


def submission(who: str, minute: int, given: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    """One submission."""
    at = START + timedelta(minutes=minute, seconds=draw.randint(0, 59))
    flags = ["unsure"] if draw.random() < 0.05 else []
    lead_time = round(draw.uniform(5, 90), 1)
    stamp = at.isoformat().replace("+00:00", "Z")
    return {"by": who, "at": stamp, "lead_time": lead_time, "values": given, "flags": flags, "reason": None}


def measure(rows: int, seed: int, folder: Path) -> dict[str, float]:
    """Run the command on one core over `rows` histories."""
    source = folder / f"{rows}.jsonl"
    with source.open("w") as out:
        out.writelines(json.dumps(row) + "\n" for row in histories(rows, seed))
    command = [sys.executable, "-m", "label_studio_quorum", "decide", "--policy", str(folder / "policy.yaml")]
    command += ["--team", str(folder / "team.yaml"), str(source)]
    core = min(os.sched_getaffinity(0))
    with (folder / "out.jsonl").open("wb") as out:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, preexec_fn=lambda: os.sched_setaffinity(0, {core}))
        _, status, usage = os.wait4(process.pid, 0)
        elapsed = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    written = sum(1 for _ in (folder / "out.jsonl").open("rb"))
    if process.returncode or written != rows:
        raise SystemExit(f"quorum decide ended with {process.returncode} after {written} of {rows} decisions")
    seconds = usage.ru_utime + usage.ru_stime
    return {
        "rows": rows,
        "megabytes_in": round(source.stat().st_size / 1e6, 1),
        "seconds": round(elapsed, 2),
        "cpu_seconds": round(seconds, 2),
        "rows_per_cpu_second": round(rows / seconds),
        "max_rss_mib": round(usage.ru_maxrss / 1024, 1),
    }


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "policy.yaml").write_text(POLICY)
        (folder / "team.yaml").write_text(team())
        results = [measure(rows, arguments.seed, folder) for rows in arguments.rows]
    if arguments.json:
        print(json.dumps({"benchmark": "decide", "seed": arguments.seed, "results": results}))
        return
    print("| " + " | ".join(results[0]) + " |")
    print("|" + "---|" * len(results[0]))
    for result in results:
        print("| " + " | ".join(f"{value:,}" for value in result.values()) + " |")


if __name__ == "__main__":
    main()
