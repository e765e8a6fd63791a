"""What drawing the order of rows does and costs: how many rows a pair shares that asks in turn, and how long a hand-out
takes, with the order drawn and with that of the import, in one run.

A team of `--people` annotators works through rows on a server with the plugin, by calling its hand-out. Two of them ask
one right after the other, as two do who want the same rows; between their turns each of the others takes a row with the
chance of one tenth. By chance two of n people share one in n - 1 of their rows. Then the computing of so many hand-outs is
measured in a campaign of `--rows` rows, after one person has answered 300 of them.
"""

# Programs that run inside the server stay readable on one line each.
# ruff: noqa: E501

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.harness import Arguments, Line, Report, require, run
from label_studio_quorum.servers.label_studio import WITH_PLUGIN
from tests.contract.plugin_campaign import POLICY, django, make_line
from tests.support.servers import LabelStudioServer, label_studio_server

CLAIM = "two who ask in turn share at most twice the rows that chance gives two people, and a hand-out stays quick in a large campaign"
ORDERS = ("imported", "drawn")

_PROGRAM = """
import json, random, statistics, time
from itertools import combinations
from ls_plugin.models import Campaign, CampaignProject, Grant, Member, Slot, Stage
from ls_plugin.people import standings
from ls_plugin.people.standings import CampaignPlace
from ls_plugin.queue.handout import hand_out
from ls_plugin.store.refusals import Refused
from projects.models import Project
from tasks.models import Annotation, Task

campaign = Campaign.objects.get(name=NAME)
home = CampaignProject.objects.get(campaign=campaign, stage=Stage.PASS)
place, project = CampaignPlace(home.project_id, campaign.pk, Stage.PASS), Project.objects.get(pk=home.project_id)
team = {m.user_id: standings.to_person(m) for m in Member.objects.filter(campaign=campaign) if standings.can_work(standings.to_person(m), Stage.PASS)}
said = [{"from_name": "verdict", "to_name": "response", "type": "choices", "value": {"choices": ["Correct"]}}]
chance = random.Random(SEED)

def add(start, count):
    data = [{"row_id": f"r{n:07}", "context": "c", "query": "q", "response": "r", "domain": "general"} for n in range(start, start + count)]
    for part in range(0, count, 2000):
        Task.objects.bulk_create([Task(project=project, data=row, overlap=2) for row in data[part:part + 2000]])

def take(user):
    try:
        slot = hand_out(user, team[user], place)
    except Refused:
        return False
    Annotation.objects.create(task_id=slot.task_id, project_id=home.project_id, completed_by_id=user, updated_by_id=user, result=said, lead_time=10)
    return True

add(0, SMALL)
first, second, *others = sorted(team)
for _ in range(TURNS):
    take(first)
    take(second)
    for user in chance.sample(others, len(others)):
        if chance.random() < 0.1:
            take(user)
had = {user: set(Grant.objects.filter(user_id=user, project_id=home.project_id).values_list("task_id", flat=True)) for user in team}
pairs = [len(had[a] & had[b]) / max(1, min(len(had[a]), len(had[b]))) for a, b in combinations(sorted(team), 2) if (a, b) != (first, second)]
begun = Slot.objects.filter(project_id=home.project_id, taken=1).count()
done = {"shared": len(had[first] & had[second]), "of": len(had[first]), "others": statistics.mean(pairs), "begun": begun}

add(SMALL, ROWS)
worker = others[0]
for _ in range(300):
    take(worker)
times = []
for user in team:
    for _ in range(REPEATS):
        start = time.process_time()
        slot = hand_out(user, team[user], place)
        times.append((time.process_time() - start) * 1000)
        Annotation.objects.create(task_id=slot.task_id, project_id=home.project_id, completed_by_id=user, updated_by_id=user, result=said, lead_time=10)
done["ms"] = statistics.median(times)
done["p95"] = sorted(times)[int(0.95 * (len(times) - 1))]
print(json.dumps(done))
"""


def play(server: LabelStudioServer, order: str, options: argparse.Namespace) -> dict[str, Any]:
    """A campaign with rows in this order, worked by the team; what came of it."""
    people = "".join(
        f"  - {{id: a{n:02}, email: a{n:02}-{{tag}}@quorum.test, roles: [annotator]}}\n" for n in range(options.people)
    )
    team = f"people:\n{people}  - {{id: q, email: q-{{tag}}@quorum.test, roles: [qa]}}\n"
    policy = POLICY.replace("order: imported", f"order: {order}")
    line = make_line(server, [], team=team, policy=policy, fresh=True)
    known = {
        "NAME": repr(line.name), "SEED": options.seed, "SMALL": options.turns * options.people, "ROWS": options.rows,
        "TURNS": options.turns, "REPEATS": options.repeats,
    }  # fmt: skip
    program = _PROGRAM
    for name, value in known.items():
        program = program.replace(name, str(value))
    done: dict[str, Any] = json.loads(django(program, server, timeout=3000).splitlines()[-1])
    return done


def measure(options: argparse.Namespace) -> Report:
    """Both orders on one server."""
    require("server", "label_studio")
    with (
        tempfile.TemporaryDirectory() as folder,
        label_studio_server(Path(folder) / "plugin", WITH_PLUGIN) as server,
    ):
        plain, drawn = (play(server, order, options) for order in ORDERS)
    share = {order: 100 * end["shared"] / end["of"] for order, end in zip(ORDERS, (plain, drawn), strict=True)}
    part = 100 / (options.people - 1)
    lines = [
        Line(
            what=f"rows that two who ask in turn share, {options.people} people", measured=share["drawn"], unit="%",
            instead="the order of the import", reference=share["imported"], claimed=f"≤ {2 * part:.1f} %",
            note=f"{drawn['shared']} of {drawn['of']} rows, before {plain['shared']} of {plain['of']}; by chance {part:.1f} %",
        ),
        Line(
            what="the same of all other pairs, in the mean", measured=100 * drawn["others"], unit="%",
            instead="the order of the import", reference=100 * plain["others"],
            note=f"rows begun and not finished when it ends: {drawn['begun']}, before {plain['begun']}",
        ),
        Line(
            what=f"computing of a hand-out, {options.rows:,} rows, median", measured=drawn["ms"], unit="ms",
            instead="the order of the import", reference=plain["ms"], claimed="< 50 ms",
            note=f"p95 {drawn['p95']:.1f} ms, before {plain['p95']:.1f} ms",
        ),
    ]  # fmt: skip
    described = f"rows without content; the others' turns are drawn by seed {options.seed}"
    return Report(claim=CLAIM, data=described, lines=lines)


def main() -> None:
    """Measure and print."""
    arguments = Arguments(__doc__, data="not used: rows need no content here")
    arguments.size("--rows", 100_000, 2_000, "rows of the campaign in which hand-outs are timed")
    arguments.size("--people", 10, 6, "annotators")
    arguments.size("--turns", 60, 14, "turns of the two who ask one after the other")
    arguments.size("--repeats", 10, 3, "timed hand-outs a person")
    options = arguments.read()
    run(options, lambda: measure(options))


if __name__ == "__main__":
    main()
