"""What the plugin costs: stock Label Studio beside Label Studio with the plugin, in one run, taking turns.

    python benchmarks/bench_plugin.py [--rows 1000] [--repeats 30] [--only open …] [--people 20] [--simulate 300]
        [--json FILE]

Two servers on SQLite, the same rows, the same interface. Times are medians over the repeats, the ratio is that of the
medians; `cpu` is what the server computed, in the mean, which other work on the machine hardly changes. `page` is what
the data manager asks for when it opens: project, columns, tabs and the first thirty tasks. `--only` measures some of
the steps, again and again.

`--people` measures, on SQLite and on PostgreSQL with an RQ worker, the time from sending a row's second answer until its
QA task can be read, with so many people at work at once, each thinking for two to six seconds. `--simulate` lets a team
with few experts work so many rows to the end, once by the hand-out of the plugin and once by a random one of what each
may take.
"""

# Requests, and programs that run inside the server, stay readable on one line each.
# ruff: noqa: E501

from __future__ import annotations

import argparse
import json
import os
import random
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import requests

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from label_studio_quorum.adapters.web_session import Visitor  # noqa: E402
from label_studio_quorum.servers.label_studio import WITH_PLUGIN  # noqa: E402
from ls_config.interface import load  # noqa: E402
from tests.contract import plugin_postgres  # noqa: E402
from tests.contract.plugin_campaign import POLICY, Line, django, make_line, rows, verdict  # noqa: E402
from tests.support.servers import LabelStudioServer, label_studio_server  # noqa: E402

CHUNK = 2000
LONG = (
    "The quarterly report says that net revenue rose by eight per cent while freight costs took the margin down. " * 20
)


def tasks(count: int, start: int = 0) -> list[dict[str, Any]]:
    """So many tasks of about 2.5 kB, each with a pre-annotation."""
    return [
        {
            "data": {"row_id": f"b{n}", "context": LONG, "query": f"Question {n}?", "response": LONG[:300], "domain": "general"},
            "meta": {"quorum": {}},
            "predictions": [{"model_version": "auto-label", "result": verdict("Correct")}],
        }
        for n in range(start, start + count)
    ]  # fmt: skip


def processes_of(port: int) -> list[int]:
    """The server's processes: those whose command names its port."""
    found = (folder for folder in Path("/proc").iterdir() if folder.name.isdecimal())
    return [int(one.name) for one in found if f":{port}" in (one / "cmdline").read_text()]


def processor_ms(processes: list[int]) -> float:
    """What these processes have had of the processors since they started, in steps of ten milliseconds."""
    ticks = 0
    for pid in processes:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return 1000 * ticks / os.sysconf("SC_CLK_TCK")


class Side:
    """One of the two servers: a project of rows, an annotator in it, and its owner."""

    def __init__(
        self, name: str, server: LabelStudioServer, owner: dict[str, str], project: int, annotator: Visitor
    ) -> None:
        self.name, self.url, self.project, self.annotator = name, server.url, project, annotator
        self.processes = processes_of(server.port)
        self.manager = requests.Session()
        self.manager.headers.update(owner)
        self.manager.trust_env = False
        self.task = 0
        self.times: dict[str, list[tuple[float, float]]] = {}
        self.imported = 10_000_000

    def fill(self, count: int) -> None:
        """Import the rows."""
        for start in range(0, count, CHUNK):
            body = tasks(min(CHUNK, count - start), start)
            answer = self.manager.post(f"{self.url}/api/projects/{self.project}/import", json=body, timeout=600)
            answer.raise_for_status()

    @contextmanager
    def timing(self, what: str) -> Iterator[None]:
        """Keep how long it takes, and how much of that the server computes, in milliseconds."""
        start, busy = time.perf_counter(), processor_ms(self.processes)
        yield
        took = (time.perf_counter() - start) * 1000
        self.times.setdefault(what, []).append((took, processor_ms(self.processes) - busy))

    def timed(self, what: str, call: Callable[[], requests.Response]) -> requests.Response:
        """Do it, keep the time."""
        with self.timing(what):
            answer = call()
        assert answer.status_code in (200, 201), (self.name, what, answer.status_code, answer.text[:300])
        return answer

    def next(self) -> None:
        """The annotator's next task."""
        self.task = self.timed("next", lambda: self.annotator.get(f"/api/projects/{self.project}/next")).json()["id"]

    def open(self) -> None:
        """Open that task."""
        self.timed("open", lambda: self.annotator.get(f"/api/tasks/{self.task}/?project={self.project}"))

    def submit(self) -> None:
        """Answer it."""
        body = {"result": verdict("Correct"), "lead_time": 9.5}
        self.timed("submit", lambda: self.annotator.post(f"/api/tasks/{self.task}/annotations/", json=body))

    def page(self, who: str) -> None:
        """Open the data manager."""
        session: requests.Session = self.annotator if who == "annotator" else self.manager
        with self.timing(f"page, {who}"):
            for path in (
                f"/api/dm/project?project={self.project}",
                f"/api/dm/columns?project={self.project}",
                f"/api/dm/views?project={self.project}",
                f"/api/tasks?page=1&page_size=30&project={self.project}",
            ):
                answer = session.get(self.url + path, timeout=300)
                assert answer.status_code == 200, (self.name, path, answer.text[:300])

    def bulk(self) -> None:
        """Import a hundred rows."""
        body = tasks(100, self.imported)
        self.imported += 100
        self.timed(
            "import of 100",
            lambda: self.manager.post(f"{self.url}/api/projects/{self.project}/import", json=body, timeout=600),
        )


def stock_side(server: LabelStudioServer) -> Side:
    """A stock project with overlap two, set as Quorum sets it."""
    owner = {"Authorization": f"Token {server.token}"}
    settings = {
        "title": "bench",
        "label_config": load("classification").xml,
        "maximum_annotations": 2,
        "sampling": "Sequential sampling",
    }
    made = requests.post(f"{server.url}/api/projects/", json=settings, headers=owner, timeout=120)
    return Side("stock", server, owner, made.json()["id"], server.new_people(1)[0])


def plugin_side(server: LabelStudioServer) -> tuple[Side, Line]:
    """A campaign."""
    line = make_line(server, [])
    return Side("plugin", server, line.owner, line.projects["pass"], line.people["ana"]), line


STEPS = ("next", "open", "submit", "annotator", "manager", "bulk")


def compare(stock: Side, plugin: Side, repeats: int, steps: Sequence[str]) -> dict[str, dict[str, float]]:
    """Every step by both, in turns, after one round that does not count."""
    for turn in range(repeats + 1):
        for step in STEPS if turn == 0 else steps:
            order = (stock, plugin) if turn % 2 else (plugin, stock)
            for side in order:
                if step in ("annotator", "manager"):
                    side.page(step)
                else:
                    getattr(side, step)()
    out = {}
    for what in (name for name, times in stock.times.items() if len(times) > 1):
        counted = [list(zip(*side.times[what][1:], strict=True)) for side in (stock, plugin)]
        (stock_ms, plugin_ms), (stock_cpu, plugin_cpu) = (
            [statistics.median(took) for took, _ in counted],
            [statistics.mean(busy) for _, busy in counted],  # a step of ten milliseconds is too coarse for a median
        )
        out[what] = {
            "stock_ms": round(stock_ms, 1),
            "plugin_ms": round(plugin_ms, 1),
            "ratio": round(plugin_ms / stock_ms, 2),
            "stock_cpu_ms": round(stock_cpu, 1),
            "plugin_cpu_ms": round(plugin_cpu, 1),
            "cpu_ratio": round(plugin_cpu / stock_cpu, 2),
        }
    return out


THINKING = (2.0, 6.0)


def at_once(
    server: LabelStudioServer, count: int, waiting: Callable[[int], set[str]], answers: int = 6
) -> dict[str, Any]:
    """From sending the second answer of a row until its QA task can be read, with so many people at work at once.

    Args:
        server: with the plugin.
        count: people; each takes a row, thinks for two to six seconds, answers, and takes the next.
        waiting: the rows that have a task in a project, as another connection to the database sees it.
        answers: how many rows each person answers.
    """
    team = "people:\n" + "".join(
        f"  - {{id: w{n}, email: w{n}-{{tag}}@quorum.test, roles: [annotator]}}\n" for n in range(count)
    )
    team += "  - {id: q, email: q-{tag}@quorum.test, roles: [qa]}\n"
    line = make_line(server, rows(count * answers // 2), team=team, fresh=True)
    sent, seen = dict[str, list[float]](), dict[str, float]()
    chance, done = random.Random(7), threading.Event()

    def watch() -> None:
        """When each row's QA task came."""
        while not done.is_set():
            seen.update(dict.fromkeys(waiting(line.projects["qa"]) - seen.keys(), time.perf_counter()))
            time.sleep(0.01)

    def work(person: str, pauses: list[float]) -> None:
        for pause in pauses:
            given = line.next(person)
            if given.status_code != 200:
                return
            time.sleep(pause)
            sent.setdefault(given.json()["data"]["row_id"], []).append(time.perf_counter())
            answer = line.submit(person, given.json()["id"], verdict("Correct"))
            assert answer.status_code == 201, answer.text[:200]

    crowd = [
        threading.Thread(target=work, args=(f"w{n}", [chance.uniform(*THINKING) for _ in range(answers)]))
        for n in range(count)
    ]
    watcher = threading.Thread(target=watch)
    for one in (watcher, *crowd):
        one.start()
    for one in crowd:
        one.join()
    second = {row: max(times) for row, times in sent.items() if len(times) == 2}
    deadline = time.monotonic() + 60
    while len(seen) < len(second) and time.monotonic() < deadline:
        time.sleep(0.05)
    done.set()
    watcher.join()
    took = sorted((seen[row] - asked) * 1000 for row, asked in second.items())
    return {
        "people": count,
        "thinking_s": THINKING,
        "second_answers": len(took),
        "p50_ms": round(statistics.median(took), 1),
        "p95_ms": round(took[int(0.95 * (len(took) - 1))], 1),
        "max_ms": round(took[-1], 1),
    }


def on_sqlite(server: LabelStudioServer) -> Callable[[int], set[str]]:
    """Looks into the server's SQLite database."""
    base = sqlite3.connect(server.data_dir / "label_studio.sqlite3", check_same_thread=False)
    sql = "SELECT row_id FROM ls_plugin_slot WHERE project_id = ?"
    return lambda project: {row for (row,) in base.execute(sql, (project,))}


def on_postgres(environment: Mapping[str, str]) -> Callable[[int], set[str]]:
    """Looks into the server's PostgreSQL database."""
    host, port, user = (environment[f"POSTGRE_{name}"] for name in ("HOST", "PORT", "USER"))
    base = psycopg.connect(host=host, port=port, user=user, dbname=environment["POSTGRE_NAME"], autocommit=True)
    sql = "SELECT row_id FROM ls_plugin_slot WHERE project_id = %s"
    return lambda project: {row for (row,) in base.execute(sql, (project,)).fetchall()}


def latency(folder: Path, sqlite: LabelStudioServer, people: int) -> dict[str, Any]:
    """The same people on SQLite, where the job runs inline, and on PostgreSQL with a Redis and an RQ worker."""
    found: dict[str, Any] = {"SQLite": at_once(sqlite, people, on_sqlite(sqlite))}
    lacking = plugin_postgres.missing()
    if lacking:
        return found | {"PostgreSQL": lacking}
    with plugin_postgres.postgres() as base, plugin_postgres.redis(folder) as redis:
        extra = base | redis
        with (
            plugin_postgres.postgres_server(folder, extra) as server,
            plugin_postgres.worker(server, folder, extra),
        ):
            found["PostgreSQL, RQ"] = at_once(server, people, on_postgres(extra))
    return found


_SIMULATION = """
import json, random
from ls_plugin.people import standings
from ls_plugin.queue import handout, reconcile, seats
from ls_plugin.models import Campaign, CampaignProject, Excluded, Grant, Member, Slot, Stage
from ls_plugin.people.standings import Place
from ls_plugin.store.refusals import Refused
from review_rules import Role, may_take
from tasks.models import Annotation, Task

campaign = Campaign.objects.get(name=NAME)
chance = random.Random(11)
places = {Stage(p.stage): Place(p.project_id, campaign.pk, Stage(p.stage)) for p in CampaignProject.objects.filter(campaign=campaign)}
team = {m.user_id: standings.to_person(m) for m in Member.objects.filter(campaign=campaign)}
said = {"from_name": "verdict", "to_name": "response", "type": "choices"}

def random_give(user, person, place):
    had = Grant.objects.filter(user_id=user).values("task_id")
    out = Excluded.objects.filter(user_id=user).values("task_id")
    slots = list(Slot.objects.filter(project_id=place.project_id, open=True).exclude(task_id__in=had).exclude(task_id__in=out))
    slots = [s for s in slots if s.taken < s.capacity and may_take(person, seats.next_step(place.stage, s.requires))]
    if not slots:
        raise Refused("no_task")
    slot = chance.choice(slots)
    seats.seat(slot, user, place)
    return slot

give = random_give if HOW == "random" else handout.hand_out
minutes = {user: 0.0 for user in team}
expert_minutes = touches = spent = rounds = idle = 0
COST = {Stage.PASS: 2.0, Stage.QA: 1.5, Stage.EXPERT: 3.0}
while idle < 2:
    rounds += 1
    worked = False
    for user, person in sorted(team.items(), key=lambda one: minutes[one[0]]):
        stages = [s for s in (Stage.EXPERT, Stage.QA, Stage.PASS) if standings.can_work(person, s)]
        for stage in stages:
            try:
                slot = give(user, person, places[stage])
            except Refused:
                continue
            right = chance.random() < 0.85
            result = [{**said, "value": {"choices": ["Correct" if right else "Incorrect"]}}]
            if stage is not Stage.PASS:
                word = "escalate" if stage is Stage.QA and chance.random() < 0.1 else "correct"
                result.append({**said, "from_name": "decision", "value": {"choices": [word]}})
                result.append({"from_name": "decision_reason", "to_name": "response", "type": "textarea", "value": {"text": ["why"]}})
            Annotation.objects.create(task_id=slot.task_id, project_id=places[stage].project_id, completed_by_id=user, result=result, lead_time=COST[stage] * 60, updated_by_id=user)
            task = Task.objects.get(pk=slot.task_id)
            reconcile.reconcile_rows(campaign.pk, [slot.row_id])
            minutes[user] += COST[stage]
            if Role.EXPERT in person.roles:
                expert_minutes += COST[stage]
                touches += 1
                spent += not slot.requires
            worked = True
            break
    idle = 0 if worked else idle + 1
states = {}
for state in Slot.objects.filter(project_id=places[Stage.PASS].project_id).values_list("state", flat=True):
    states[state] = states.get(state, 0) + 1
print(json.dumps({"states": states, "expert_hours": round(expert_minutes / 60, 2), "expert_answers": touches,
                  "where_none_was_asked_for": spent, "rounds": rounds}))
"""

_FEW_EXPERTS = """people:
  - {id: a1, email: a1-{tag}@quorum.test, roles: [annotator]}
  - {id: a2, email: a2-{tag}@quorum.test, roles: [annotator]}
  - {id: a3, email: a3-{tag}@quorum.test, roles: [annotator]}
  - {id: a4, email: a4-{tag}@quorum.test, roles: [annotator]}
  - {id: q1, email: q1-{tag}@quorum.test, roles: [annotator, qa]}
  - {id: q2, email: q2-{tag}@quorum.test, roles: [qa]}
  - {id: e1, email: e1-{tag}@quorum.test, roles: [expert, qa], expertise: [technical, financial]}
  - {id: e2, email: e2-{tag}@quorum.test, roles: [expert, qa], expertise: [technical, financial]}
"""


def simulate(server: LabelStudioServer, count: int) -> dict[str, Any]:
    """The same team and rows, handed out by the plugin and at random."""
    out = {}
    for how in ("plugin", "random"):
        some = rows(count * 6 // 10) + rows(count * 2 // 10, "technical", "t") + rows(count * 2 // 10, "financial", "f")
        random.Random(3).shuffle(some)
        line = make_line(server, some, team=_FEW_EXPERTS, policy=POLICY, fresh=True)
        printed = django(_SIMULATION.replace("NAME", repr(line.name)).replace("HOW", repr(how)), server, timeout=3000)
        out[how] = json.loads(printed.splitlines()[-1])
    return out


def main() -> None:
    """Run what was asked for and print one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--only", nargs="+", choices=STEPS, help="measure these steps, each again and again")
    parser.add_argument("--people", type=int, default=0)
    parser.add_argument("--simulate", type=int, default=0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found: dict[str, Any] = {"cores": os.cpu_count(), "load": os.getloadavg()[0], "rows": given.rows}
    with (
        tempfile.TemporaryDirectory() as folder,
        label_studio_server(Path(folder) / "plugin", WITH_PLUGIN) as with_plugin,
    ):
        if given.repeats:
            with label_studio_server(Path(folder) / "stock") as plain:
                stock, (plugin, _) = stock_side(plain), plugin_side(with_plugin)
                for side in (stock, plugin):
                    side.fill(given.rows)
                found["steps"] = compare(stock, plugin, given.repeats, given.only or STEPS)
        if given.people:
            found["second answer to QA task"] = latency(Path(folder), with_plugin, given.people)
        if given.simulate:
            found["hand-out"] = simulate(with_plugin, given.simulate)
    text = json.dumps(found, indent=1)
    if given.json:
        given.json.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
