"""A campaign on a server with the plugin, its people signed in, for the plugin's tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import requests

from label_studio_quorum.adapters.label_studio import HttpLabelStudio
from label_studio_quorum.adapters.web_session import Visitor
from label_studio_quorum.campaign.row_task import row_task
from label_studio_quorum.campaign.setup import CampaignSpec, setup_campaign
from label_studio_quorum.intake import Row
from ls_config.interface import load
from review_rules import load_policy, load_team
from tests.support.servers import LabelStudioServer

ROOT = Path(__file__).resolve().parents[2]

TEAM = """
people:
  - {id: ana,  email: ana-{tag}@quorum.test,  roles: [annotator]}
  - {id: bea,  email: bea-{tag}@quorum.test,  roles: [annotator]}
  - {id: cal,  email: cal-{tag}@quorum.test,  roles: [annotator]}
  - {id: fin,  email: fin-{tag}@quorum.test,  roles: [annotator], expertise: [financial]}
  - {id: quin, email: quin-{tag}@quorum.test, roles: [qa]}
  - {id: anq,  email: anq-{tag}@quorum.test,  roles: [annotator, qa]}
  - {id: dag, email: dag-{tag}@quorum.test, roles: [expert, qa], expertise: [technical, financial], hours_per_week: 20}
  - {id: eve,  email: eve-{tag}@quorum.test,  roles: [expert], expertise: [technical, financial], hours_per_week: 10}
  - {id: max,  email: max-{tag}@quorum.test,  roles: [manager]}
"""
POLICY = """
version: 1
passes: 2
qa: {when: all}
expert_domains: [technical, financial]
expert_quorum: 1
escalate_when: []
proposal: passes
order: imported
fields: {}
prelabel: {withhold: 0.0}
"""


def verdict(choice: str, note: str = "") -> list[dict[str, Any]]:
    """An answer to the classification interface: a verdict, and a reason where one is given."""
    said = [{"from_name": "verdict", "to_name": "response", "type": "choices", "value": {"choices": [choice]}}]
    if note:
        said.append({"from_name": "flag_reason", "to_name": "response", "type": "textarea", "value": {"text": [note]}})
    return said


def review(decision: str, choice: str, reason: str = "") -> list[dict[str, Any]]:
    """An answer of QA or an expert."""
    said = verdict(choice)
    said.append({"from_name": "decision", "to_name": "panel", "type": "choices", "value": {"choices": [decision]}})
    if reason:
        said.append(
            {"from_name": "decision_reason", "to_name": "panel", "type": "textarea", "value": {"text": [reason]}}
        )
    return said


def rows(count: int, domain: str = "general", prefix: str = "r") -> list[dict[str, Any]]:
    """So many rows of one domain."""
    return [
        {
            "id": f"{prefix}{n}",
            "context": f"Context {n}.",
            "query": f"Question {n}?",
            "response": f"Answer {n}.",
            "domain": domain,
        }
        for n in range(1, count + 1)
    ]


def import_body(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with an auto-label as `quorum import` sends it."""
    columns = {key: row[key] for key in ("context", "query", "response", "domain")}
    checked = Row(row_id=row["id"], auto_label={"verdict": "Correct"}, **columns)
    task = row_task(checked, import_id="import-of-tests", interface=load("classification"))
    predictions = [{"model_version": each.model_version, "result": each.result} for each in task.predictions]
    return {"data": task.data, "meta": task.meta, "predictions": predictions}


_SHARED: dict[str, dict[str, Visitor]] = {}


@dataclass(eq=False)
class Line:
    """A campaign: its server, its three projects, and a session for each person who has an account."""

    server: LabelStudioServer
    name: str
    team: str
    policy: str
    projects: dict[str, int]
    people: dict[str, Visitor] = field(default_factory=dict)

    @property
    def owner(self) -> dict[str, str]:
        """Headers of the server's owner."""
        return {"Authorization": f"Token {self.server.token}"}

    def call(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        """A request by the owner."""
        return requests.request(method, self.server.url + path, headers=self.owner, timeout=120, **kwargs)

    def add(self, some: list[dict[str, Any]]) -> None:
        """Import rows, each with an auto-label."""
        body = [import_body(row) for row in some]
        answer = self.call("POST", f"/api/projects/{self.projects['pass']}/import", json=body)
        assert answer.status_code == 201, answer.text

    def next(self, person: str, stage: str = "pass") -> requests.Response:
        """The next task of a queue."""
        return self.people[person].get(f"/api/projects/{self.projects[stage]}/next")

    def submit(self, person: str, task: int, result: list[dict[str, Any]], **more: Any) -> requests.Response:
        """Hand in an answer."""
        body = {"result": result, "lead_time": 10.0, **more}
        return self.people[person].post(f"/api/tasks/{task}/annotations/", json=body)

    def answer(self, person: str, result: list[dict[str, Any]], stage: str = "pass") -> tuple[int, int]:
        """Take the next task and answer it; task and annotation."""
        given = self.next(person, stage)
        assert given.status_code == 200, (person, stage, given.text)
        done = self.submit(person, given.json()["id"], result)
        assert done.status_code == 201, (person, stage, done.text)
        return given.json()["id"], done.json()["id"]

    def qualify_on(self, rows: dict[str, dict[str, Any]], bar: float) -> requests.Response:
        """Have people asked for these rows with known values first."""
        body = {
            "name": self.name,
            "task": "classification",
            "policy": self.policy,
            "team": self.team,
            "projects": self.projects,
            "qualification": {"rows": rows, "bar": bar},
        }
        return self.call("PUT", "/quorum/api/campaign", json=body)

    def status(self) -> dict[str, Any]:
        """The campaign's figures."""
        return dict(self.call("GET", "/quorum/api/status", params={"name": self.name}).json())

    def audit(self, **more: str) -> dict[str, Any]:
        """The audit of the record."""
        return dict(self.call("GET", "/quorum/api/audit", params={"name": self.name, **more}).json())

    def task_of(self, row_id: str, stage: str = "pass") -> dict[str, Any]:
        """A row's newest task at a stage, as the owner sees it."""
        found = self.call(
            "GET", "/api/tasks", params={"project": self.projects[stage], "fields": "all", "page_size": 500}
        )
        return dict([one for one in found.json()["tasks"] if one["data"]["row_id"] == row_id][-1])

    def apply_team(self, team: str) -> requests.Response:
        """Apply a team file, whatever it costs."""
        return self.call("POST", "/quorum/api/team", json={"name": self.name, "team": team, "yes": True})


def make_line(
    server: LabelStudioServer,
    some: list[dict[str, Any]],
    *,
    team: str = TEAM,
    policy: str = POLICY,
    task: str = "classification",
    fresh: bool = False,
) -> Line:
    """Set a campaign up on a server with the plugin, as `quorum setup` does, with accounts for its team.

    Campaigns of one server share their people, because making and opening accounts is slow on purpose; ``fresh`` makes
    new ones.
    """
    tag = uuid.uuid4().hex[:8]
    name, team = f"line-{tag}", team.replace("{tag}", tag if fresh else "all")
    spec = CampaignSpec(name=name, interface=load(task), policy=load_policy(policy), team=load_team(team))
    port = HttpLabelStudio(server.url, server.token)
    campaign = setup_campaign(port, spec).campaign
    port.close()
    assert campaign is not None
    projects = {stage.value: project.id for stage, project in campaign.projects.items()}
    people: dict[str, Visitor] = {} if fresh else _SHARED.setdefault(server.url, {})
    line = Line(server, name, team, policy, projects, people)
    weakref.finalize(line if fresh else server, _close, people)
    body = {"name": name, "task": task, "policy": policy, "team": team, "projects": projects}
    saved = line.call("PUT", "/quorum/api/campaign", json=body)
    assert saved.status_code == 200, saved.text
    applied = line.apply_team(team)
    assert applied.status_code == 200, applied.text
    if some:
        line.add(some)
    for made in applied.json()["created"]:
        line.people[made["id"]] = Visitor(server.url, made["email"], made["password"]).log_in()
    return line


def _close(people: dict[str, Visitor]) -> None:
    for visitor in people.values():
        visitor.close()


def django(
    code: str, server: LabelStudioServer | None = None, environ: Mapping[str, str] | None = None, *, timeout: int = 300
) -> str:
    """Run Python inside the server's Django, in a process of its own; what it printed."""
    spec = find_spec("label_studio")
    assert spec is not None
    env = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "ls_plugin.settings",
        "PYTHONPATH": str(ROOT),
        "DJANGO_DB": "sqlite",
        "LOG_LEVEL": "ERROR",
        "PYTHONWARNINGS": "ignore",
        **({"LABEL_STUDIO_BASE_DATA_DIR": str(server.data_dir)} if server else {}),
        **(environ or {}),
    }
    start = "import django; django.setup()\n"
    done = subprocess.run(
        [sys.executable, "-c", start + code], env=env, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


# A program for inside the server: every route of it, with the view behind it.
WALK = """
from django.urls import get_resolver, URLResolver
def walk(patterns, before=""):
    for one in patterns:
        if isinstance(one, URLResolver):
            yield from walk(one.url_patterns, before + str(one.pattern))
        else:
            yield before + str(one.pattern), one.callback
every = list(walk(get_resolver().url_patterns))
"""


def routes() -> list[str]:
    """Every route of the server."""
    return list(json.loads(django(WALK + "import json; print(json.dumps(sorted({route for route, _ in every})))")))


def tokens_of(line: Line, person: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Every way of signing in besides the session: its name and the headers."""
    visitor = line.people[person]
    legacy = visitor.get("/api/current-user/token").json().get("token")
    yield "legacy token", {"Authorization": f"Token {legacy}"}
    yield "legacy token as X-Api-Key", {"X-Api-Key": str(legacy)}
    made = visitor.post("/api/token/", json={})
    assert made.status_code == 201, made.text
    access = requests.post(f"{line.server.url}/api/token/refresh/", json={"refresh": made.json()["token"]}, timeout=60)
    assert access.status_code == 200, access.text
    yield "personal access token", {"Authorization": f"Bearer {access.json()['access']}"}
