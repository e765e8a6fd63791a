"""What the plugin costs: stock Label Studio beside Label Studio with the plugin, in one run, taking turns.

Two servers on SQLite, the same rows, the same interface. Times are medians over the repeats, the ratio is that of the
medians; the computing ratio is of what the servers computed, in the mean, which other work on the machine hardly
changes. `page` is what the data manager asks for when it opens: project, columns, tabs and the first thirty tasks.

Then so many `--people` work at once, each thinking for two to six seconds, on SQLite and on PostgreSQL with an RQ
worker: the time from sending a row's second answer until its QA task can be read. At last a team with few experts works
so many rows (`--simulate`) to the end, once by the hand-out of the plugin and once by a random one of what each may
take. `--repeats 0`, `--people 0` and `--simulate 0` leave a part out.
"""

# Requests, and programs that run inside the server, stay readable on one line each.
# ruff: noqa: E501

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from benchmarks import data
from benchmarks.harness import Arguments, Line, Report, processes_of, processor_seconds, require, run
from label_studio_quorum.adapters.web_session import Visitor
from label_studio_quorum.servers.label_studio import WITH_PLUGIN
from ls_config.interface import load
from tests.contract import plugin_postgres
from tests.contract.plugin_campaign import POLICY, django, import_body, make_line, rows, verdict
from tests.contract.plugin_campaign import Line as Campaign
from tests.support.servers import LabelStudioServer, label_studio_server

CLAIM = "with the plugin every step of people takes at most a tenth longer than on a stock server"
CHUNK = 2000
RESPONSE = 280
"""Characters of a response; the whole task is about 2.5 kB."""


def tasks(count: int, seed: int, start: int = 0) -> list[dict[str, Any]]:
    """So many tasks of about 2.5 kB, each with a pre-annotation."""
    columns = ("context", "query", "response")
    return [
        import_body({"id": f"b{start + number}", **{name: row[name] for name in columns}, "domain": "general"})
        for number, row in enumerate(data.rows(count, seed=seed + start, response=RESPONSE))
    ]


class Side:
    """One of the two servers: a project of rows, an annotator in it, and its owner."""

    def __init__(
        self, name: str, server: LabelStudioServer, owner: dict[str, str], project: int, annotator: Visitor, seed: int
    ) -> None:
        self.name, self.url, self.project, self.annotator, self.seed = name, server.url, project, annotator, seed
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
            body = tasks(min(CHUNK, count - start), self.seed, start)
            answer = self.manager.post(f"{self.url}/api/projects/{self.project}/import", json=body, timeout=600)
            answer.raise_for_status()

    @contextmanager
    def timing(self, what: str) -> Iterator[None]:
        """Keep how long it takes, and how much of that the server computes, in milliseconds."""
        start, busy = time.perf_counter(), 1000 * processor_seconds(self.processes)
        yield
        took = (time.perf_counter() - start) * 1000
        self.times.setdefault(what, []).append((took, 1000 * processor_seconds(self.processes) - busy))

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
        body = tasks(100, self.seed, self.imported)
        self.imported += 100
        self.timed(
            "import of 100",
            lambda: self.manager.post(f"{self.url}/api/projects/{self.project}/import", json=body, timeout=600),
        )


def stock_side(server: LabelStudioServer, seed: int) -> Side:
    """A stock project with overlap two, set as Quorum sets it."""
    owner = {"Authorization": f"Token {server.token}"}
    settings = {
        "title": "bench",
        "label_config": load("classification").xml,
        "maximum_annotations": 2,
        "sampling": "Sequential sampling",
    }
    made = requests.post(f"{server.url}/api/projects/", json=settings, headers=owner, timeout=120)
    return Side("stock", server, owner, made.json()["id"], server.new_people(1)[0], seed)


def plugin_side(server: LabelStudioServer, seed: int) -> tuple[Side, Campaign]:
    """A campaign, and its side; the campaign's people stay signed in as long as it is kept."""
    campaign = make_line(server, [])
    return Side("plugin", server, campaign.owner, campaign.projects["pass"], campaign.people["ana"], seed), campaign


STEPS = ("next", "open", "submit", "annotator", "manager", "bulk")


def compare(stock: Side, plugin: Side, repeats: int, steps: Sequence[str]) -> list[Line]:
    """Every step by both, in turns, after one round that does not count."""
    for turn in range(repeats + 1):
        for step in STEPS if turn == 0 else steps:
            order = (stock, plugin) if turn % 2 else (plugin, stock)
            for side in order:
                if step in ("annotator", "manager"):
                    side.page(step)
                else:
                    getattr(side, step)()
    lines = []
    for what in (name for name, times in stock.times.items() if len(times) > 1):
        counted = [list(zip(*side.times[what][1:], strict=True)) for side in (stock, plugin)]
        stock_ms, plugin_ms = (statistics.median(took) for took, _ in counted)
        # A step of ten milliseconds is too coarse for a median.
        stock_cpu, plugin_cpu = (statistics.mean(busy) for _, busy in counted)
        computing = f"computing {plugin_cpu / stock_cpu:.2f}" if stock_cpu else "computing too short to count"
        lines.append(
            Line(
                what=what, measured=plugin_ms, unit="ms", instead="stock Label Studio", reference=stock_ms,
                claimed="ratio ≤ 1.10", note=computing,
            )
        )  # fmt: skip
    return lines


THINKING = (2.0, 6.0)


def at_once(
    server: LabelStudioServer, count: int, waiting: Callable[[int], set[str]], engine: str, answers: int = 6
) -> Line:
    """From sending the second answer of a row until its QA task can be read, with so many people at work at once.

    Args:
        server: with the plugin.
        count: people; each takes a row, thinks for two to six seconds, answers, and takes the next.
        waiting: the rows that have a task in a project, as another connection to the database sees it.
        engine: the database, for the report.
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
    note = f"{count} people, {len(took)} rows; p50 {statistics.median(took):.0f} ms, most {took[-1]:.0f} ms"
    p95 = took[int(0.95 * (len(took) - 1))]
    return Line(what=f"second answer to QA task, p95, {engine}", measured=p95, unit="ms", claimed="< 500 ms", note=note)


def on_sqlite(server: LabelStudioServer) -> Callable[[int], set[str]]:
    """Looks into the server's SQLite database."""
    base = sqlite3.connect(server.data_dir / "label_studio.sqlite3", check_same_thread=False)
    sql = "SELECT row_id FROM ls_plugin_slot WHERE project_id = ?"
    return lambda project: {row for (row,) in base.execute(sql, (project,))}


def on_postgres(environment: Mapping[str, str]) -> Callable[[int], set[str]]:
    """Looks into the server's PostgreSQL database."""
    import psycopg

    host, port, user = (environment[f"POSTGRE_{name}"] for name in ("HOST", "PORT", "USER"))
    base = psycopg.connect(host=host, port=port, user=user, dbname=environment["POSTGRE_NAME"], autocommit=True)
    sql = "SELECT row_id FROM ls_plugin_slot WHERE project_id = %s"
    return lambda project: {row for (row,) in base.execute(sql, (project,)).fetchall()}


def latency_on_postgres(folder: Path, people: int) -> Line:
    """The latency on PostgreSQL with a Redis and an RQ worker; on SQLite the job runs inline."""
    with plugin_postgres.postgres() as base, plugin_postgres.redis(folder) as redis:
        extra = base | redis
        with (
            plugin_postgres.served(folder, extra) as server,
            plugin_postgres.worker(server, folder, extra),
        ):
            return at_once(server, people, on_postgres(extra), "PostgreSQL with an RQ worker")


_SIMULATION = """
import json, random
from ls_plugin.people import standings
from ls_plugin.queue import handout, reconcile, seats
from ls_plugin.models import Campaign, CampaignProject, Excluded, Grant, Member, Slot, Stage
from ls_plugin.people.standings import CampaignPlace
from ls_plugin.store.refusals import Refused
from review_rules import Role, may_take
from tasks.models import Annotation, Task

campaign = Campaign.objects.get(name=NAME)
chance = random.Random(11)
places = {Stage(p.stage): CampaignPlace(p.project_id, campaign.pk, Stage(p.stage)) for p in CampaignProject.objects.filter(campaign=campaign)}
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
                result.append({**said, "from_name": "decision", "to_name": "panel", "value": {"choices": [word]}})
                result.append({"from_name": "decision_reason", "to_name": "panel", "type": "textarea", "value": {"text": ["why"]}})
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


def simulate(server: LabelStudioServer, count: int) -> Line:
    """The same team and rows, handed out by the plugin and at random."""
    ends = {}
    for how in ("plugin", "random"):
        some = rows(count * 6 // 10) + rows(count * 2 // 10, "technical", "t") + rows(count * 2 // 10, "financial", "f")
        random.Random(3).shuffle(some)
        line = make_line(server, some, team=_FEW_EXPERTS, policy=POLICY, fresh=True)
        printed = django(_SIMULATION.replace("NAME", repr(line.name)).replace("HOW", repr(how)), server, timeout=3000)
        ends[how] = json.loads(printed.splitlines()[-1])
    spent = {
        how: f"{end['where_none_was_asked_for']} expert answers where none was asked for" for how, end in ends.items()
    }
    return Line(
        what=f"hours of two experts, {count} rows",
        measured=ends["plugin"]["expert_hours"],
        unit="h",
        instead="random hand-out",
        reference=ends["random"]["expert_hours"],
        note=f"{spent['plugin']}, at random {spent['random']}; rows by state: {ends['plugin']['states']}",
    )


def measure(options: argparse.Namespace) -> Report:
    """Run the parts that were asked for."""
    require("server", "label_studio")
    lines: list[Line] = []
    left_out = []
    with (
        tempfile.TemporaryDirectory() as name,
        label_studio_server(Path(name) / "plugin", WITH_PLUGIN) as with_plugin,
    ):
        folder = Path(name)
        if options.repeats:
            with label_studio_server(folder / "stock") as plain:
                stock, (plugin, campaign) = stock_side(plain, options.seed), plugin_side(with_plugin, options.seed)
                for side in (stock, plugin):
                    side.fill(options.rows)
                lines += compare(stock, plugin, options.repeats, options.only or STEPS)
                del campaign
        if options.people:
            lines.append(at_once(with_plugin, options.people, on_sqlite(with_plugin), "SQLite"))
            if lacking := "left out by --quick" if options.quick else plugin_postgres.missing():
                left_out.append(f"the same on PostgreSQL: {lacking}")
            else:
                lines.append(latency_on_postgres(folder, options.people))
        if options.simulate:
            lines.append(simulate(with_plugin, options.simulate))
    described = (
        f"{options.rows:,} tasks of about 2.5 kB of the example campaign's sentences, drawn by seed {options.seed}"
    )
    return Report(claim=CLAIM, data=described, lines=lines, left_out=left_out)


def main() -> None:
    """Measure and print."""
    arguments = Arguments(__doc__, data="not used: the rows are made by the seed")
    arguments.size("--rows", 1_000, 100, "rows of each project")
    arguments.size("--repeats", 24, 3, "rounds of all steps")
    arguments.size("--people", 20, 4, "people at work at once")
    arguments.size("--simulate", 60, 10, "rows that the simulated team works")
    arguments.parser.add_argument("--only", nargs="+", choices=STEPS, help="measure these steps, again and again")
    options = arguments.read()
    run(options, lambda: measure(options))


if __name__ == "__main__":
    main()
