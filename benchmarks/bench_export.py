"""How fast records come out: `quorum export` of a campaign beside Label Studio's own JSON export of its Pass project.

One real Label Studio, on SQLite or PostgreSQL, holds a campaign in which two people labelled every row and a third
accepted it. Label Studio exports the Pass project alone; Quorum exports the full record of every row over all three
projects, each decided again. Both write to disk; they take turns. What Label Studio stores is then looked up in the
records, field by field. The other commands that read a whole campaign are measured on it too. Filling the database
takes longer than measuring: `--pause` waits for a line on standard input in between.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

import requests

from benchmarks import data
from benchmarks.harness import (
    QUORUM,
    ROOT,
    Arguments,
    Line,
    Report,
    Spent,
    processes_of,
    processor_seconds,
    require,
    run,
    spend,
    write_lines,
)
from benchmarks.servers import add_server, describe_server, enter_server
from label_studio_quorum.adapters.label_studio import HttpLabelStudio
from label_studio_quorum.campaign.importing import import_rows
from label_studio_quorum.campaign.setup import CampaignSpec, setup_campaign
from label_studio_quorum.intake import Row, read_rows
from label_studio_quorum.intake.text_file import Record, read_json
from label_studio_quorum.port import NewTask
from label_studio_quorum.servers.label_studio import environment, package_dir
from ls_config import load, to_result
from ls_config.results import from_result
from review_rules import Stage, load_policy, load_team
from tests.support.campaigns import PEOPLE, POLICY, TEAM
from tests.support.servers import LabelStudioServer

CLAIM = "an export of all full records is several times as fast as Label Studio's own export of one project"
INTERFACE = load("response_review")
NAME = "bench"
READERS = (("status",), ("sync",), ("report", "--json"))
"""The other commands that read a whole campaign."""

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


class Tasks(HttpLabelStudio):
    """A server whose import goes into a file, a task a line."""

    def __init__(self, server: LabelStudioServer, file: IO[str]) -> None:
        super().__init__(server.url, server.token)
        self._file = file

    def add_tasks(self, project: int, tasks: Sequence[NewTask]) -> None:
        """Take them as a server would."""
        self._file.writelines(json.dumps(asdict(task)) + "\n" for task in tasks)


def rows(file: Path) -> Iterator[Row]:
    """The rows of a file, all general, each with the same auto-label."""
    for row in read_rows(file, interface=INTERFACE):
        if isinstance(row, Row):
            yield replace(row, domain="general", auto_label=data.AUTO_LABEL, place=None)


def fill(server: LabelStudioServer, folder: Path, source: Path, database: Mapping[str, str]) -> dict[str, int]:
    """Make a campaign whose every row is final; its projects."""
    (folder / "policy.yaml").write_text(POLICY, encoding="utf-8")
    (folder / "team.yaml").write_text(TEAM.format(tag=NAME), encoding="utf-8")
    people = {name: f"{name}-{NAME}@quorum.test" for name in PEOPLE}
    for email in people.values():
        server.new_person(email)
    policy, team = load_policy(POLICY), load_team(TEAM.format(tag=NAME))
    with HttpLabelStudio(server.url, server.token) as port:
        made = setup_campaign(port, CampaignSpec(name=NAME, interface=INTERFACE, policy=policy, team=team))
        assert made.campaign is not None
        with (folder / "tasks.jsonl").open("w", encoding="utf-8") as file, Tasks(server, file) as tasks:
            import_rows(tasks, made.campaign, rows(source), known={}, is_alone=lambda: True)
        projects = {stage.value: made.campaign.project(stage) for stage in Stage}
    result = to_result(data.AUTO_LABEL, INTERFACE.controls, {"response": ""})
    decision = {"from_name": "decision", "to_name": "panel", "type": "choices", "value": {"choices": ["accept"]}}
    task = {"people": people, "result": result, "review": [*result, {"id": "d1", **decision}], **projects}
    (folder / "fill.json").write_text(json.dumps(task), encoding="utf-8")
    env = environment(server.data_dir, server.settings, database) | {"PYTHONPATH": f"{package_dir()}:{ROOT}"}
    files = [str(folder / name) for name in ("fill.json", "tasks.jsonl")]
    subprocess.run([sys.executable, "-W", "ignore", "-c", FILL, *files], env=env, stdout=sys.stderr, check=True)
    return projects


def export_stock(server: LabelStudioServer, project: int, out: Path) -> float:
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


def quorum(server: LabelStudioServer, folder: Path, *arguments: str) -> Spent:
    """What a command on the campaign spends, from start to end of its process."""
    env = {"QUORUM_URL": server.url, "QUORUM_API_KEY": server.token, "QUORUM_DATA_DIR": str(folder / "data")}
    files = ("--policy", "policy.yaml", "--team", "team.yaml")
    return spend([*QUORUM, *arguments, "--name", NAME, *files], out=folder / "printed", env=env)


def missing(stock: Path, records: Path) -> list[str]:
    """What Label Studio's export of the Pass project holds and the full records do not, by kind of thing."""
    places: dict[str, int] = {}
    lacking = set()
    with records.open("rb") as file:
        at = 0
        for line in file:
            places[json.loads(line)["row_id"]] = at
            at += len(line)
        for element in read_json(stock, "utf-8"):
            assert isinstance(element, Record), element
            task = element.values
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
    for annotation in task["annotations"]:
        values = from_result(annotation["result"], INTERFACE.controls, task["data"]).values
        same = [seat for seat in record["passes"] if _same(seat, annotation, values)]
        lacking |= set() if len(same) == 1 else {"annotation"}
    return lacking


def _same(seat: dict[str, Any], annotation: dict[str, Any], values: dict[str, Any]) -> bool:
    filled = {name: value for name, value in seat["values"].items() if value not in ([], None)}
    wanted = {name: value for name, value in values.items() if value not in ([], None)}
    return bool(filled == wanted and seat["lead_time"] == annotation["lead_time"])


@dataclass(frozen=True, slots=True)
class Pair:
    """One export by each, one after the other: wall-clock and processor seconds of client and server, our memory."""

    stock: float
    stock_cpu: float
    ours: float
    ours_cpu: float
    peak: float


def export_both(server: LabelStudioServer, folder: Path, project: int) -> Pair:
    """Export by both; a ratio is of such a pair, never of two moments of a machine."""
    processes = processes_of(server.port)
    before = processor_seconds(processes)
    ours = quorum(server, folder, "export", "-o", "out.jsonl")
    between = processor_seconds(processes)
    stock = export_stock(server, project, folder / "stock.json")
    after = processor_seconds(processes)
    print(f"Label Studio {stock:.1f} s, quorum {ours.wall:.1f} s", file=sys.stderr)
    return Pair(stock, after - between, ours.wall, ours.cpu + between - before, ours.peak)


def measure(options: argparse.Namespace) -> Report:
    """Fill a server and export by both."""
    require("server", "label_studio")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server, database = enter_server(stack, folder, options)
        started = time.perf_counter()
        rows = data.rows(options.rows, seed=options.seed, folder=options.data)
        projects = fill(server, folder, write_lines(folder / "rows.jsonl", rows), database)
        print(f"{options.rows:,} rows filled in {time.perf_counter() - started:.0f} s", file=sys.stderr)
        if options.pause:
            sys.stdin.readline()
        pairs = [export_both(server, folder, projects["pass"]) for _ in range(options.repeats)]
        lacking = missing(folder / "stock.json", folder / "out.jsonl")
        readers = {" ".join(command): quorum(server, folder, *command) for command in READERS}
    return Report(
        claim=CLAIM,
        data=data.rows_described(options.data, options.seed),
        lines=[*lines_of(pairs, options, lacking), *readers_of(readers, options.rows)],
    )


def lines_of(pairs: Sequence[Pair], options: argparse.Namespace, lacking: Sequence[str]) -> list[Line]:
    """Speed, processor time and memory of the exports."""
    count = options.rows
    ratios = [pair.stock / pair.ours for pair in pairs]
    stock, stock_cpu, ours, ours_cpu = (
        statistics.median(getattr(pair, name) for pair in pairs) for name in ("stock", "stock_cpu", "ours", "ours_cpu")
    )
    theirs = "Label Studio's JSON export, Pass project"
    spread = f"medians of {len(pairs)}, of the ratios too ({min(ratios):.2f}–{max(ratios):.2f})"
    return [
        Line(
            what=f"quorum export, {count:,} full records", measured=count / ours, unit="rows/s", instead=theirs,
            reference=count / stock, ratio=statistics.median(ratios), claimed="ratio ≥ 3",
            note=f"{describe_server(options)}; {spread}; missing from the records: {', '.join(lacking) or 'nothing'}",
        ),
        Line(
            what="the same: processor time, client and server", measured=ours_cpu, unit="s", instead=theirs,
            reference=stock_cpu, note="of the export by Label Studio the server alone",
        ),
        Line(what="the same: most memory", measured=max(pair.peak for pair in pairs), unit="MiB"),
    ]  # fmt: skip


def readers_of(readers: Mapping[str, Spent], rows: int) -> list[Line]:
    """What the commands that read a whole campaign take."""
    return [
        Line(
            what=f"quorum {name}, {rows:,} rows", measured=spent.wall, unit="s",
            note=f"most memory {spent.peak:.0f} MiB",
        )
        for name, spent in readers.items()
    ]  # fmt: skip


def main() -> None:
    """Measure and print."""
    arguments = Arguments(__doc__, data=f"folder with {data.ROWS_FILE}; else the example campaign")
    arguments.size("--rows", 20_000, 300, "rows of the campaign")
    arguments.size("--repeats", 2, 1, "exports by each")
    add_server(arguments)
    arguments.parser.add_argument("--pause", action="store_true", help="wait for a line before measuring")
    options = arguments.read()
    run(options, lambda: measure(options))


if __name__ == "__main__":
    main()
