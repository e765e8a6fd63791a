"""A campaign in the database of this process, and Django's test client for each of its people."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.test import Client
from organizations.models import Organization
from projects.models import Project
from tasks.models import Annotation, Prediction, Task
from users.models import User

from label_studio_quorum.campaign.projects import AUTO_LABEL
from label_studio_quorum.campaign.setup import CampaignSpec, project_settings
from ls_config.interface import load
from ls_plugin.models import Campaign, Grant, Member, Record, Slot, Stage
from ls_plugin.people import team
from ls_plugin.people.standings import RULE_STAGE, CampaignPlace, to_person
from ls_plugin.store import triggers
from review_rules import Person, load_policy, load_team
from tests.contract.plugin_campaign import POLICY, TEAM, review, verdict
from tests.support.servers import OWNER
from tests.unit.ls_plugin.snapshots import built_once

__all__ = ["CampaignInTest", "make_campaign", "owner_client", "patch", "post", "review", "verdict"]

# What the test client answers: a response with a method `json`, whose class the client keeps to itself.
Response = Any
_numbers = itertools.count(1)
_HANDLER = Client().handler  # one for all, since each loads Label Studio's middleware anew


@dataclass(frozen=True)
class CampaignInTest:
    """A campaign with its projects by stage and its accounts by the ids of the team file."""

    campaign: Campaign
    projects: Mapping[Stage, Project]
    team_text: str

    def place(self, stage: Stage = Stage.PASS) -> CampaignPlace:
        """A stage's place."""
        return CampaignPlace(self.projects[stage].pk, self.campaign.pk, stage)

    def account(self, person: str) -> int:
        """A person's account."""
        user_id = Member.objects.get(campaign=self.campaign, person_id=person).user_id
        assert user_id is not None
        return user_id

    def person(self, person: str) -> Person:
        """A person of the team as the rules know them."""
        return to_person(Member.objects.get(campaign=self.campaign, person_id=person))

    def client(self, person: str) -> Client:
        """A signed-in session of a person of the team."""
        return _signed_in(User.objects.get(pk=self.account(person)))

    def add_rows(self, *row_ids: str, domain: str = "general") -> dict[str, int]:
        """Rows with an auto-label; row id → Pass task."""
        tasks = {}
        for row_id in row_ids:
            data = {"row_id": row_id, "context": "C.", "query": "Q?", "response": "R.", "domain": domain}
            task = Task.objects.create(project=self.projects[Stage.PASS], data=data, overlap=2)
            Prediction.objects.create(
                task=task, project=task.project, model_version=AUTO_LABEL, result=verdict("Correct")
            )
            tasks[row_id] = task.pk
        return tasks

    def next(self, person: str, stage: Stage = Stage.PASS) -> Response:
        """The response to a person who asks for the next task."""
        return self.client(person).get(f"/api/projects/{self.projects[stage].pk}/next/")

    def take(self, person: str, stage: Stage = Stage.PASS) -> int:
        """The task that a person is handed."""
        response = self.next(person, stage)
        assert response.status_code == 200, response.content
        return int(response.json()["id"])

    def submit(self, person: str, task: int, result: list[dict[str, Any]], **more: Any) -> Response:
        """The response to a submission."""
        return post(
            self.client(person), f"/api/tasks/{task}/annotations/", {"result": result, "lead_time": 5.0, **more}
        )

    def answer(self, person: str, result: list[dict[str, Any]], stage: Stage = Stage.PASS) -> Annotation:
        """Take the next task and answer it."""
        task = self.take(person, stage)
        response = self.submit(person, task, result)
        assert response.status_code == 201, response.content
        return Annotation.objects.get(pk=response.json()["id"])

    def slot(self, row_id: str, stage: Stage = Stage.PASS) -> Slot:
        """A row's newest slot at a stage."""
        return Slot.objects.filter(project_id=self.projects[stage].pk, row_id=row_id).latest("task_id")

    def lines(self, kind: str) -> list[Record]:
        """The audit log's lines of a kind about this campaign."""
        return list(Record.objects.filter(campaign_id=self.campaign.pk, kind=kind).order_by("seq"))

    def hand_outs(self, person: str) -> list[Grant]:
        """What a person was handed here."""
        projects = [project.pk for project in self.projects.values()]
        return list(Grant.objects.filter(user_id=self.account(person), project_id__in=projects).order_by("given_at"))


@built_once
def make_campaign(*, policy: str = POLICY, team_text: str = TEAM, label_type: str = "classification") -> CampaignInTest:
    """A campaign of its own for a test, with accounts that no other test has."""
    number = next(_numbers)
    team_text = team_text.replace("{tag}", f"unit{number}")
    name = f"unit {number}"
    spec = CampaignSpec(name=name, interface=load(label_type), policy=load_policy(policy), team=load_team(team_text))
    owner = User.objects.get(email=OWNER.email)
    organization = Organization.objects.order_by("pk").first()
    projects = {
        stage: Project.objects.create(
            created_by=owner, organization=organization, **project_settings(spec, RULE_STAGE[stage])
        )
        for stage in Stage
    }
    ids = {stage: project.pk for stage, project in projects.items()}
    campaign = team.save_campaign(name, label_type, policy, team_text, ids)
    team.apply_team(campaign, team_text)
    return CampaignInTest(campaign, projects, team_text)


def owner_client() -> Client:
    """A signed-in session of the server's owner."""
    return _signed_in(User.objects.get(email=OWNER.email))


def post(client: Client, address: str, body: Any) -> Response:
    """Send JSON."""
    return client.post(address, json.dumps(body), content_type="application/json")


def patch(client: Client, address: str, body: Any) -> Response:
    """Send a change as JSON."""
    return client.patch(address, json.dumps(body), content_type="application/json")


def _signed_in(user: User) -> Client:
    client = Client()
    client.handler = _HANDLER
    client.force_login(user)
    session = client.session
    session["last_login"] = time.time()  # Label Studio ends a session that does not know when it began
    session.save()
    assert session.session_key is not None
    client.cookies["sessionid"] = session.session_key
    return client


def by_hand(sql: str, *parameters: int | str) -> None:
    """Write into the database as its administrator does, past every rule of the plugin."""
    with connection.cursor() as cursor:
        for name in triggers._SQLITE_NAMES:
            cursor.execute(f"DROP TRIGGER IF EXISTS temp.{name}")
        cursor.execute("PRAGMA foreign_keys=OFF")
        cursor.execute(sql, parameters)
        cursor.execute("PRAGMA foreign_keys=ON")
    triggers._rearm("default")
