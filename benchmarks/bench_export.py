"""How fast records come out: `quorum export` of a campaign beside Label Studio's own JSON export of its Pass project.

    python benchmarks/bench_export.py [--rows 100000] [--postgres] [--stock] [--pause]

One real Label Studio, on SQLite or PostgreSQL, holds a campaign in which two people labelled every row and a third
accepted it. Label Studio exports the Pass project alone; Quorum exports the full record of every row over all three
projects, each decided again. Both write to disk; they take turns. What Label Studio stores is then looked up in the
records, field by field. Filling the database takes longer than measuring: `--pause` waits for a line on standard input
in between.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any, cast

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import requests  # noqa: E402

from label_studio_quorum.adapters.label_studio import HttpLabelStudio  # noqa: E402
from label_studio_quorum.campaign.importing import import_rows  # noqa: E402
from label_studio_quorum.campaign.setup import CampaignSpec, setup_campaign  # noqa: E402
from label_studio_quorum.intake import Row, read_rows  # noqa: E402
from label_studio_quorum.intake.text_file import Record, read_json  # noqa: E402
from label_studio_quorum.port import LabelStudio, NewTask  # noqa: E402
from label_studio_quorum.servers.label_studio import STOCK, WITH_PLUGIN, environment, package_dir  # noqa: E402
from ls_config import load, to_result  # noqa: E402
from ls_config.results import from_result  # noqa: E402
from review_rules import Stage, load_policy, load_team  # noqa: E402
from tests.contract.plugin_postgres import postgres, postgres_server  # noqa: E402
from tests.support.campaigns import POLICY, TEAM  # noqa: E402
from tests.support.servers import LabelStudioServer, label_studio_server  # noqa: E402

INTERFACE = load("response_review")
VALUES = {"verdict": "Correct", "issues": [], "response_type": "Direct answer", "correctness": 4, "completeness": 4,
          "helpfulness": 4, "tone": 4}  # fmt: skip

# Runs inside the server's environment: the tasks that an import sends, and answers of three people, written as Label
# Studio stores them. Importing and labelling 100,000 rows by HTTP would take hours and is not what is measured.
FILL = """
import json, sys, django
from itertools import islice
django.setup()
from django.db import connection
from tasks.models import Annotation, Prediction, Task
from projects.models import Project
from users.models import User
given = json.load(open(sys.argv[1]))
user = {name: User.objects.get(email=email) for name, email in given["people"].items()}
passes, qa = (Project.objects.get(pk=given[key]) for key in ("pass", "qa"))
lead_time = {"ana": 12.5, "ben": 13.5, "cleo": 14.5}
def answer(task, who, project, result):
    return Annotation(task=task, project=project, completed_by=user[who], updated_by=user[who], result=result,
                      lead_time=lead_time[who], was_cancelled=False)
def spans(task):
    text = task.data["response"][:5]
    return [{"id": "e1", "from_name": "entities", "to_name": "response", "type": "labels",
             "value": {"start": 0, "end": len(text), "text": text, "labels": ["ORG"]}}] if text else []
lines = map(json.loads, open(sys.argv[2]))
while some := list(islice(lines, 1000)):
    tasks = Task.objects.bulk_create(
        [Task(project=passes, data=one["data"], meta=one["meta"], overlap=2, is_labeled=True) for one in some])
    Prediction.objects.bulk_create([Prediction(task=task, project=passes, **guess)
                                    for task, one in zip(tasks, some) for guess in one["predictions"]])
    for who in ("ana", "ben"):
        Annotation.objects.bulk_create([answer(t, who, passes, given["result"] + spans(t)) for t in tasks])
    reviews = Task.objects.bulk_create([Task(project=qa, data=t.data, overlap=1, is_labeled=True) for t in tasks])
    Annotation.objects.bulk_create([answer(t, "cleo", qa, given["review"] + spans(t)) for t in reviews])
with connection.cursor() as cursor:
    cursor.execute("ANALYZE")
"""


@dataclass
class Tasks:
    """Takes what an import sends and writes it to a file, a task a line."""

    file: IO[str]

    def add_tasks(self, project: int, tasks: Sequence[NewTask]) -> None:
        """As a server would take them."""
        self.file.writelines(json.dumps(asdict(task)) + "\n" for task in tasks)


def rows(source: Path, count: int) -> Iterator[Row]:
    """So many rows, made of the real ones under new ids."""
    real = [one for one in read_rows(source, interface=INTERFACE) if isinstance(one, Row)]
    for number in range(count):
        turn, place = divmod(number, len(real))
        row = real[place]
        yield replace(row, row_id=f"{row.row_id}#{turn}", domain="general", auto_label=VALUES, place=None)


def fill(
    server: LabelStudioServer, folder: Path, source: Path, count: int, database: Mapping[str, str]
) -> tuple[str, dict[str, int]]:
    """A campaign whose every row is final; its name and projects."""
    tag = "bench"
    (folder / "policy.yaml").write_text(POLICY, encoding="utf-8")
    (folder / "team.yaml").write_text(TEAM.format(tag=tag), encoding="utf-8")
    people = {name: f"{name}-{tag}@quorum.test" for name in ("ana", "ben", "chi", "cleo", "dag")}
    for email in people.values():
        server.new_person(email)
    policy, team = load_policy(POLICY), load_team(TEAM.format(tag=tag))
    with HttpLabelStudio(server.url, server.token) as port:
        made = setup_campaign(port, CampaignSpec(name="bench", interface=INTERFACE, policy=policy, team=team))
        assert made.campaign is not None
        with (folder / "tasks.jsonl").open("w", encoding="utf-8") as file:
            import_rows(cast("LabelStudio", Tasks(file)), made.campaign, rows(source, count), known={})
        projects = {stage.value: made.campaign.project(stage) for stage in Stage}
    result = to_result(VALUES, INTERFACE.controls, {"response": ""})
    decision = {"from_name": "decision", "to_name": "response", "type": "choices", "value": {"choices": ["accept"]}}
    task = {"people": people, "result": result, "review": [*result, {"id": "d1", **decision}], **projects}
    (folder / "fill.json").write_text(json.dumps(task), encoding="utf-8")
    env = environment(server.data_dir, server.settings, database) | {"PYTHONPATH": f"{package_dir()}:{ROOT}"}
    files = [str(folder / name) for name in ("fill.json", "tasks.jsonl")]
    subprocess.run([sys.executable, "-W", "ignore", "-c", FILL, *files], env=env, check=True)
    return "bench", projects


def cpu_of_server(server: LabelStudioServer) -> float:
    """Processor seconds that the server and its workers have used so far (Linux)."""
    tick = os.sysconf("SC_CLK_TCK")
    marker = str(server.data_dir).encode()
    spent = 0.0
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and marker in (folder / "environ").read_bytes():
                parts = (folder / "stat").read_text().rpartition(")")[2].split()
                spent += (int(parts[11]) + int(parts[12])) / tick
        except OSError:
            continue  # ended meanwhile, or somebody else's
    return spent


def theirs(server: LabelStudioServer, project: int, out: Path) -> float:
    """Seconds of Label Studio's own JSON export of one project, to disk."""
    started = time.perf_counter()
    session = requests.Session()
    session.trust_env = False
    with session.get(
        f"{server.url}/api/projects/{project}/export",
        params={"exportType": "JSON"},
        headers={"Authorization": f"Token {server.token}"},
        stream=True,
        timeout=3600,
    ) as answer:
        answer.raise_for_status()
        with out.open("wb") as file:
            file.writelines(answer.iter_content(1 << 20))
    return time.perf_counter() - started


def ours(server: LabelStudioServer, folder: Path, name: str, out: Path) -> tuple[float, float, float]:
    """Seconds, processor seconds and most memory (MiB) of `quorum export`, from start to end of the process."""
    env = os.environ | {
        "QUORUM_URL": server.url,
        "QUORUM_API_KEY": server.token,
        "QUORUM_DATA_DIR": str(folder / "data"),
        "PYTHONPATH": str(ROOT),
    }
    files = ["--policy", str(folder / "policy.yaml"), "--team", str(folder / "team.yaml")]
    command = [sys.executable, "-m", "label_studio_quorum", "export", "--name", name, "-o", str(out), *files]
    started = time.perf_counter()
    with subprocess.Popen(command, env=env, cwd=folder) as child:
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    took = time.perf_counter() - started
    assert child.returncode == 0, command
    return took, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def missing(stock: Path, records: Path) -> list[str]:
    """What Label Studio's export of the Pass project holds and the full records do not, by kind of thing."""
    places: dict[str, int] = {}
    lacking = set()
    with records.open("rb") as file:
        at = 0
        for line in file:
            places[json.loads(line)["row_id"]] = at
            at += len(line)
        for found in read_json(stock, "utf-8"):
            assert isinstance(found, Record), found
            task = found.values
            place = places.pop(task["data"]["row_id"], None)
            if place is None:
                lacking.add("task")
            else:
                file.seek(place)
                lacking |= _lacking(task, json.loads(file.readline()))
    return sorted(lacking) + sorted(places)


def _lacking(task: Mapping[str, Any], record: Mapping[str, Any]) -> set[str]:
    """What one task holds and its record does not."""
    row = record["row"]
    lacking = {f"data.{key}" for key, value in task["data"].items() if key != "row_id" and row.get(key) != value}
    for one in task["annotations"]:
        values = from_result(one["result"], INTERFACE.controls, task["data"]).values
        same = [seat for seat in record["passes"] if _same(seat, one, values)]
        lacking |= set() if len(same) == 1 else {"annotation"}
    return lacking


def _same(seat: dict[str, Any], annotation: dict[str, Any], values: dict[str, Any]) -> bool:
    filled = {name: value for name, value in seat["values"].items() if value not in ([], None)}
    wanted = {name: value for name, value in values.items() if value not in ([], None)}
    return bool(filled == wanted and seat["lead_time"] == annotation["lead_time"])


def main() -> None:
    """Run and print a table."""
    shared = Path(os.environ.get("QUORUM_SHARED_DATA") or ROOT.parent / "shared" / "data")
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--source", type=Path, default=shared / "responses_dev.jsonl")
    options.add_argument("--rows", type=int, default=100_000)
    options.add_argument("--repeats", type=int, default=1)
    options.add_argument("--stock", action="store_true", help="a server without the plugin (on SQLite)")
    options.add_argument("--postgres", action="store_true", help="on PostgreSQL 15 instead of SQLite")
    options.add_argument("--pause", action="store_true", help="wait for a line on standard input before measuring")
    given = options.parse_args()
    if given.stock and given.postgres:
        options.error("--stock is on SQLite")
    settings = STOCK if given.stock else WITH_PLUGIN
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        database = stack.enter_context(postgres()) if given.postgres else {}
        made = postgres_server(folder, database) if given.postgres else label_studio_server(folder, settings)
        server = stack.enter_context(made)
        started = time.perf_counter()
        campaign, projects = fill(server, folder, given.source, given.rows, database)
        print(f"{given.rows:,} rows filled in {time.perf_counter() - started:.0f} s", file=sys.stderr)
        if given.pause:
            sys.stdin.readline()
        runs = []
        for _ in range(given.repeats):
            before = cpu_of_server(server)
            mine, own_cpu, memory = ours(server, folder, campaign, folder / "out.jsonl")
            between = cpu_of_server(server)
            stock = theirs(server, projects["pass"], folder / "stock.json")
            runs.append((stock, mine, memory, cpu_of_server(server) - between, own_cpu + between - before))
            print(f"Label Studio {stock:.1f} s, quorum {mine:.1f} s, {memory:.0f} MiB", file=sys.stderr)
        lacking = missing(folder / "stock.json", folder / "out.jsonl")
    report(
        runs, given.rows, "PostgreSQL" if given.postgres else "SQLite", "stock" if given.stock else "plugin", lacking
    )


def report(runs: Sequence[tuple[float, ...]], rows: int, engine: str, server: str, lacking: Sequence[str]) -> None:
    """Print the table: ratios are of pairs that were taken one after the other, never of two moments of a machine."""
    walls = [stock / mine for stock, mine, *_ in runs]
    stock, mine, _, stock_cpu, own_cpu = (statistics.median(column) for column in zip(*runs, strict=True))
    memory = max(most for _, _, most, *_ in runs)
    print(f"{rows:,} rows, Label Studio on {engine} ({server}), median of {len(runs)}")
    print(f"Label Studio JSON export, Pass project {rows / stock:>8.0f} rows/s")
    print(f"quorum export, full records           {rows / mine:>8.0f} rows/s, most memory {memory:.0f} MiB")
    print(f"processor time, client and server: {stock_cpu:.1f} s and {own_cpu:.1f} s (ratio {stock_cpu / own_cpu:.2f})")
    spread = f"; {min(walls):.2f}–{max(walls):.2f}" if len(walls) > 1 else ""
    print(f"ratio {statistics.median(walls):.2f} (median of pairs{spread}; goal ≥ 3)")
    print(f"missing from the records: {', '.join(lacking) or 'nothing'}")
    print(f"this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
