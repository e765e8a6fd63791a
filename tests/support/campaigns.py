"""A campaign at work on a real server, for tests: the commands as subprocesses, the people as HTTP sessions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import requests

from label_studio_quorum.adapters.label_studio import HttpLabelStudio
from label_studio_quorum.adapters.web_session import Visitor
from label_studio_quorum.campaign.importing import import_rows
from label_studio_quorum.campaign.projects import Campaign, open_campaign
from label_studio_quorum.campaign.setup import CampaignSpec, setup_campaign
from label_studio_quorum.intake import Row
from ls_config.interface import Control, Interface, load, parse_all
from ls_config.results import to_result
from ls_config.review_screen import compose_review
from review_rules import load_policy, load_team
from tests.support.command_line import run_here
from tests.support.servers import ROOT, LabelStudioServer

POLICY = """\
version: 1
passes: 2
qa: {when: all}
expert_domains: [technical, financial]
expert_quorum: 1
escalate_when: []
proposal: passes
fields:
  verdict: {agree: exact}
  issues: {agree: jaccard, threshold: 1.0}
  response_type: {agree: exact}
  entities: {agree: span_f1, match: strict, threshold: 1.0}
  correctness: {agree: tolerance, tolerance: 0}
  completeness: {agree: tolerance, tolerance: 0}
  helpfulness: {agree: tolerance, tolerance: 0}
  tone: {agree: tolerance, tolerance: 0}
"""
TEAM = """\
people:
  - {{id: ana,  email: ana-{tag}@quorum.test,  roles: [annotator]}}
  - {{id: ben,  email: ben-{tag}@quorum.test,  roles: [annotator], expertise: [financial]}}
  - {{id: chi,  email: chi-{tag}@quorum.test,  roles: [annotator]}}
  - {{id: cleo, email: cleo-{tag}@quorum.test, roles: [qa]}}
  - {{id: dag,  email: dag-{tag}@quorum.test,  roles: [expert, qa], expertise: [technical, financial]}}
"""
PEOPLE = ("ana", "ben", "chi", "cleo", "dag")
Json = dict[str, Any]
Answer = Callable[[str, Json], Mapping[str, Any] | None]
"""From person and task data to the values of the form; None skips the task."""


@dataclass
class Bench:
    """One campaign with a name, people and files of its own.

    Attributes:
        server: A running Label Studio.
        folder: For its files.
        crew: A bench whose people work here too.
    """

    server: LabelStudioServer
    folder: Path
    task: str = "response_review"
    policy: str = POLICY
    crew: Bench | None = None
    tag: str = field(default_factory=lambda: uuid.uuid4().hex[:8])

    def __post_init__(self) -> None:
        self.name = f"c-{self.tag}"
        if self.crew is not None:
            self.tag = self.crew.tag
        self.interface: Interface = load(self.task)
        self.policy_file, self.team_file = self.folder / "policy.yaml", self.folder / "team.yaml"
        self.policy_file.write_text(self.policy, encoding="utf-8")
        self.team_file.write_text(TEAM.format(tag=self.tag), encoding="utf-8")

    @property
    def environment(self) -> dict[str, str]:
        """What the commands run with."""
        return os.environ | {
            "QUORUM_URL": self.server.url,
            "QUORUM_API_KEY": self.server.token,
            "QUORUM_DATA_DIR": str(self.folder / "data"),
            "PYTHONPATH": str(ROOT),
        }

    def command(self, *arguments: str) -> list[str]:
        """The command line of `quorum …`."""
        return [sys.executable, "-m", "label_studio_quorum", *arguments]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, in this process."""
        return run_here(*arguments, environment=self.environment, folder=self.folder)

    def quorum(self, *arguments: str, exit_code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command to its end and check how it ended."""
        done = self.run(*arguments)
        assert done.returncode == exit_code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def quorum_json(self, *arguments: str) -> Json:
        """Run a command with `--json`; the object that it prints."""
        found: Json = json.loads(self.quorum(*arguments, "--json").stdout)
        return found

    def set_up(self, rows: Sequence[Json]) -> None:
        """Set-up, accounts and rows, by the commands."""
        self.quorum(
            "setup", "--name", self.name, "--task", self.task,
            "--policy", str(self.policy_file), "--team", str(self.team_file),
        )  # fmt: skip
        passwords = self.folder / "passwords.json"
        self.quorum("team", "apply", str(self.team_file), "--name", self.name, "--passwords", str(passwords))
        if rows:
            self.quorum("import", str(self.rows_file(rows)), "--no-prelabel")

    def rows_file(self, rows: Sequence[Json]) -> Path:
        """Rows as JSONL."""
        file = self.folder / "rows.jsonl"
        file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        return file

    @cached_property
    def port(self) -> HttpLabelStudio:
        """The server as the commands see it."""
        return HttpLabelStudio(self.server.url, self.server.token)

    def campaign(self) -> Campaign:
        """The campaign as a fresh run would find it."""
        team = load_team(self.team_file.read_text(encoding="utf-8"))
        return open_campaign(self.port, self.name, policy=load_policy(self.policy), team=team)

    @cached_property
    def projects(self) -> dict[str, int]:
        """Stage → project id."""
        return {stage.value: project.id for stage, project in self.campaign().projects.items()}

    def set_up_here(self, rows: Sequence[Row]) -> None:
        """Set-up and rows in this process, which is faster; the crew has accounts."""
        spec = CampaignSpec(
            name=self.name,
            interface=self.interface,
            policy=load_policy(self.policy),
            team=load_team(self.team_file.read_text(encoding="utf-8")),
        )
        campaign = setup_campaign(self.port, spec).campaign
        assert campaign is not None
        import_rows(self.port, campaign, rows)

    def close(self) -> None:
        """Close the connections that were opened."""
        if "port" in self.__dict__:
            self.port.close()
        if "people" in self.__dict__ and self.crew is None:
            for visitor in self.people.values():
                visitor.close()

    @cached_property
    def people(self) -> dict[str, Visitor]:
        """Everybody, logged in."""
        if self.crew is not None:
            return self.crew.people
        passwords = json.loads((self.folder / "passwords.json").read_text(encoding="utf-8"))
        emails = {person: f"{person}-{self.tag}@quorum.test" for person in PEOPLE}
        return {one: Visitor(self.server.url, email, passwords[email]).log_in() for one, email in emails.items()}

    def owner(self, method: str, path: str, **kwargs: Any) -> Any:
        """A request of the server's owner; its JSON."""
        with requests.Session() as session:
            session.trust_env = False
            headers = {"Authorization": f"Token {self.server.token}"}
            answer = session.request(method, self.server.url + path, headers=headers, timeout=120, **kwargs)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer.json() if answer.content else None

    def tasks(self, stage: str) -> list[Json]:
        """All tasks of a stage with annotations and predictions, straight from the server, without ages."""
        answer = self.owner(
            "GET", "/api/tasks", params={"project": self.projects[stage], "fields": "all", "page_size": 5000}
        )
        for task in answer["tasks"]:
            for one in (*task["annotations"], *task["predictions"]):
                del one["created_ago"]
        return sorted(answer["tasks"], key=lambda task: task["id"])

    def next_task(self, person: str, stage: str) -> Json | None:
        """What the label stream hands this person, None if nothing."""
        answer = self.people[person].get(f"/api/projects/{self.projects[stage]}/next")
        if answer.status_code == 404:
            return None
        assert answer.ok, answer.text
        found: Json = answer.json()
        return found

    def submit(self, person: str, task: Json, values: Mapping[str, Any]) -> Json:
        """Submit a form as the browser does."""
        body = {"result": self.result(values, task["data"]), "lead_time": 21.5}
        answer = self.people[person].post(f"/api/tasks/{task['id']}/annotations/", json=body, headers=self.csrf(person))
        assert answer.status_code == 201, answer.text
        made: Json = answer.json()
        return made

    def correct(self, person: str, annotation: int, values: Mapping[str, Any], data: Json) -> None:
        """Change an annotation that is there."""
        answer = self.people[person].patch(
            f"/api/annotations/{annotation}/", json={"result": self.result(values, data)}, headers=self.csrf(person)
        )
        assert answer.ok, answer.text

    def skip(self, person: str, task: Json) -> None:
        """Press Skip."""
        body = {"result": self.result({"flags": ["broken_row"]}, task["data"]), "was_cancelled": True}
        url = f"/api/tasks/{task['id']}/annotations/?was_cancelled=1"
        answer = self.people[person].post(url, json=body, headers=self.csrf(person))
        assert answer.status_code == 201, answer.text

    def result(self, values: Mapping[str, Any], data: Json) -> list[Json]:
        """Values of fields and reserved controls as a result."""
        return to_result(values, self._controls, data)

    @cached_property
    def _controls(self) -> tuple[Control, ...]:
        return parse_all(compose_review(self.interface.xml, "qa"))

    def csrf(self, person: str) -> dict[str, str]:
        """What Django asks of a session that writes."""
        return {"X-CSRFToken": self.people[person].cookies.get("csrftoken") or "", "Referer": self.server.url}

    def work(self, person: str, stage: str, answer: Answer, most: int = 10**6) -> int:
        """Let a person take tasks until none is left, or so many are submitted; how many were."""
        done = 0
        while done < most and (task := self.next_task(person, stage)) is not None:
            values = answer(person, task["data"])
            if values is None:
                self.skip(person, task)
            else:
                self.submit(person, task, values)
                done += 1
        return done

    def take_turns(self, people: Sequence[str], stage: str, answer: Answer, at_once: int = 4) -> int:
        """Let people work in turns, a few tasks each, until nobody is handed any; how many were submitted."""
        done = 0
        while more := sum(self.work(person, stage, answer, at_once) for person in people):
            done += more
        return done

    def finish(self, answer: Answer, rounds: int = 12) -> None:
        """Work and sync until nobody is handed anything."""
        for _ in range(rounds):
            done = self.take_turns(("ana", "ben", "chi"), "pass", answer)
            done += self.take_turns(("cleo", "dag"), "qa", answer)
            done += self.take_turns(("dag",), "expert", answer)
            changes = self.quorum_json("sync")["changes"]
            if not done and not changes:
                return
        raise AssertionError("the campaign does not come to an end")

    def export(self, *arguments: str) -> list[Json]:
        """The records of `quorum export`, by row id."""
        file = self.folder / "out.jsonl"
        self.quorum("export", "--out", str(file), *arguments)
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
