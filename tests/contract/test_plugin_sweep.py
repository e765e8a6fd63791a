"""Every address of the server, by every method, with ids of other people's things: nothing is shown, nothing changes.

After each request the whole database is compared, row by row, with what it was before.
"""

# Programs that run inside the server stay readable on one line each.
# ruff: noqa: E501

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from label_studio_quorum.adapters.web_session import Visitor
from tests.contract.plugin_campaign import TEAM, Line, django, make_line, review, routes, rows, verdict
from tests.support.servers import LabelStudioServer

pytestmark = pytest.mark.server

SECRET = "canary-d04c6e"
LEAD_TIME = 8642097.25
ABSENT = 999983  # the id of nothing

_THINGS = """
import json
from data_export.models import Export
from data_import.models import FileUpload
from data_manager.models import View
from django.core.files.base import ContentFile
from io_storages.redis.models import RedisImportStorage
from labels_manager.models import Label, LabelLink
from ml.models import MLBackend
from users.models import User
from webhooks.models import Webhook
pk, title, owner = PROJECT, SECRET, User.objects.order_by("pk").first()
upload = FileUpload(project_id=pk, user=owner)
upload.file.save(title + ".json", ContentFile(b"[]"))
label = Label.objects.create(value=title, title=title, created_by=owner, organization=owner.active_organization)
made = {
    "redis": RedisImportStorage.objects.create(project_id=pk, title=title, host="127.0.0.1", port="1"),
    "webhooks": Webhook.objects.create(project_id=pk, organization=owner.active_organization, url="http://127.0.0.1:9/" + title),
    "views": View.objects.create(project_id=pk, data={"title": title}),
    "ml": MLBackend.objects.bulk_create([MLBackend(project_id=pk, url="http://127.0.0.1:9/" + title, title=title)])[0],
    "file-upload": upload,
    "exports": Export.objects.create(project_id=pk, title=title, created_by=owner),
    "labels": label,
    "label_links": LabelLink.objects.create(project_id=pk, label=label, from_name="verdict"),
}
print(json.dumps({name: thing.pk for name, thing in made.items()} | {"upload": upload.file.name.removeprefix("upload/")}))
"""
# Static files, signing out, and Django's admin, which is one rule for all of it.
_PASSED_OVER = ("admin/", "^static", "^react-app", "^dm/", "^label-studio-frontend", "^^logout", "^api-auth/logout")
# What a request of one's own leaves behind: that one was here, and what is derived from the texts of rows.
_TRACES = frozenset(
    {
        "django_session",
        "ls_plugin_record",
        "ls_plugin_recordhead",
        "ls_plugin_rowvector",
        "token_blacklist_blacklistedtoken",
        # Whoever opens a page first has the server write down what people are to be told.
        "ls_plugin_notice",
        "ls_plugin_noticecursor",
        "ls_plugin_noticereader",
    }
)

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Target:
    """A campaign with other people's work in it, and what an attacker would name: a word of an address → ids."""

    line: Line
    ids: Mapping[str, tuple[str, ...]]
    routes: tuple[str, ...]

    def leaks(self, text: str) -> list[str]:
        """What of bea's, or of things planted, a response gives away."""
        words = (SECRET, "8642097", self.line.people["bea"].email)
        return [word for word in words if word in text]

    def addresses(self) -> Iterator[str]:
        """Every address of the server with the ids of things that fit it."""
        for route in self.routes:
            if not route.startswith(_PASSED_OVER):
                clean = re.sub(r"\(\?P<(\w+)>[^()]*(?:\([^()]*\)[^()]*)*\)\??", r"<\1>", route)
                for word, plain in (("^", ""), ("$", ""), ("\\.", "."), ("\\", ""), ("/?", "/"), ("?", "")):
                    clean = clean.replace(word, plain)
                yield from self._filled("/" + clean.lstrip("/"))

    def _filled(self, path: str) -> Iterator[str]:
        before, hole, after = path.partition("<")
        if not hole:
            yield path
            return
        name, _, rest = after.partition(">")
        words = {"format": ("json",), "drf_format_suffix:format": (".json",), "str:entity_name": ("task", "annotation")}
        for one in words.get(name, self.ids.get(before.strip("/").rpartition("/")[2], ("1",))):
            if one == str(ABSENT):
                continue
            yield from self._filled(f"{before}{one}{rest}")


@pytest.fixture(scope="module")
def target(ls_server_plugin: LabelStudioServer) -> Target:
    """Bea and cal have answered, quin did a QA, a draft waits, and everything that a project can own is there once."""
    line = make_line(
        ls_server_plugin,
        rows(6),
        team=TEAM + "  - {id: boss, email: boss-{tag}@quorum.test, roles: [manager, annotator]}\n",
        fresh=True,
    )
    tasks, answers = [], []
    for person, said in (("bea", "Incorrect"), ("bea", "Incorrect"), ("cal", "Correct")):
        given = line.next(person).json()["id"]
        done = line.submit(person, given, verdict(said, SECRET), lead_time=LEAD_TIME)
        assert done.status_code == 201, done.text
        tasks.append(given)
        answers.append(done.json()["id"])
    open_task = line.next("bea").json()["id"]
    draft = line.people["bea"].post(f"/api/tasks/{open_task}/drafts", json={"result": verdict("Incorrect", SECRET)})
    assert draft.status_code == 201, draft.text
    qa_task, qa_answer = line.answer("quin", review("correct", "Correct", SECRET), "qa")
    code = _THINGS.replace("PROJECT", str(line.projects["pass"])).replace("SECRET", repr(SECRET))
    made = json.loads(django(code, line.server).splitlines()[-1])
    prediction = line.task_of("r1")["predictions"][0]["id"]
    ids = {
        **{word: (made[word], ABSENT) for word in made},
        "tasks": (tasks[0], open_task, qa_task, ABSENT),
        "task": (tasks[0], ABSENT),
        "annotation": (answers[0],),
        "annotations": (answers[0], qa_answer, ABSENT),
        "drafts": (draft.json()["id"], ABSENT),
        "projects": (line.projects["pass"], line.projects["expert"], ABSENT),
        "users": (line.people["bea"].user_id, 1, ABSENT),
        "memberships": (line.people["bea"].user_id,),
        "predictions": (prediction, ABSENT),
        **dict.fromkeys(("campaign", "practice", "qualification"), (line.status()["id"], ABSENT)),
    }  # fmt: skip
    return Target(line, {word: tuple(map(str, some)) for word, some in ids.items()}, tuple(routes()))


class Watch:
    """The whole database, and what each request changed of it."""

    def __init__(self, target: Target) -> None:
        self.base = sqlite3.connect(target.line.server.data_dir / "label_studio.sqlite3")
        self.tables = [
            name
            for (name,) in self.base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if name != "sqlite_sequence"
        ]
        self.version, self.rows = self._version(), self._rows()

    def _version(self) -> int:
        return int(self.base.execute("PRAGMA data_version").fetchone()[0])

    def _rows(self) -> dict[str, set[Row]]:
        return {name: set(self.base.execute(f'SELECT * FROM "{name}"')) for name in self.tables}

    def close(self) -> None:
        """Let go of the database."""
        self.base.close()

    def changes(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Rows that are new, gone or other than after the request before: table, and the row by column."""
        version = self._version()
        if version == self.version:
            return
        before, self.version, self.rows = self.rows, version, self._rows()
        for name in self.tables:
            for row in before[name] ^ self.rows[name]:
                columns = [one[1] for one in self.base.execute(f'PRAGMA table_info("{name}")')]
                yield name, dict(zip(columns, row, strict=True))


def _own(target: Target, table: str, row: Mapping[str, Any], me: int) -> bool:
    """Whether a row is the attacker's own, only says that they were here, or is of a project that is not attacked."""
    if table == "htx_user":
        return bool(row["id"] == me)
    if table == "ls_plugin_noticereader" and row["read_at"] is not None:
        return bool(row["user_id"] == me)
    project = row["id"] if table == "project" else row.get("project_id")
    if project is not None and project not in target.line.projects.values():
        return True
    return table in _TRACES or me in (row.get("user_id"), row.get("completed_by_id"))


def _bodies(target: Target, me: int) -> tuple[Any, ...]:
    project, task = target.line.projects["pass"], int(target.ids["tasks"][0])
    every: dict[str, Any] = {
        "project": project, "title": "taken", "description": "taken", "label_config": "<View/>", "maximum_annotations": 9,
        "data": {"row_id": "x"}, "result": verdict("Correct"), "completed_by": me, "ground_truth": True, "overlap": 9,
        "url": "http://127.0.0.1:9", "is_superuser": True, "roles": "manager", "ids": [task], "task": task, "active_organization": None,
        "email": "x@quorum.test", "selectedItems": {"all": True, "excluded": []}, "name": target.line.name, "team": "people: []",
        "old_label": "a", "new_label": "b", "row_id": "r1", "reason": "why", "model_version": "auto-label", "first_name": "taken",
    }  # fmt: skip
    answers = [{"data": {"row_id": "new"}, "annotations": [{"result": verdict("Correct"), "completed_by": me}]}]
    return every, {"result": verdict("Correct")}, answers


def _requests(target: Target, me: int, *, mild: bool = False) -> Iterator[tuple[str, str, Any]]:
    """Everything that is tried: method, address and body; ``mild`` leaves out what a manager may delete."""
    project, skip = target.line.projects["pass"], ("/user/login", "/user/signup", "/api/current-user/reset-token")
    peers = {"filter": "filter:tasks:annotations_results", "operator": "contains", "type": "String", "value": "canary"}
    query = json.dumps({"filters": {"conjunction": "and", "items": [peers]}, "ordering": ["-tasks:total_annotations"]})
    telling = f"?project={project}&fields=all&include=annotations,predictions,drafts&page_size=100&query={quote(query)}"
    every, answer, answers = _bodies(target, me)
    for path in target.addresses():
        yield "GET", path, None
        yield "GET", path + telling, None
        yield "HEAD", path, None
        if path.startswith((*skip, "/quorum/api/team") if mild else skip):
            continue
        for method in ("POST", "PUT", "PATCH"):
            yield method, path, every
        if "annotations" in path or "drafts" in path:
            yield "POST", path, answer
            yield "PATCH", path, answer
        if "import" in path or "tasks" in path:
            yield "POST", path, answers
        if not mild:
            yield "DELETE", path, None
    if not mild:
        yield "POST", f"/api/dm/actions/?project={project}&id=delete_tasks", every


@pytest.mark.parametrize("persona", ["annotator", "manager elsewhere"])
def test_nothing_is_shown_and_nothing_changes(target: Target, persona: str) -> None:
    """Whoever is no manager here reads nothing of others at any address, and every row that is not theirs stays."""
    attacker = _persona(target, persona)
    found: list[Any] = []
    tried, me = 0, attacker.user_id
    with closing(Watch(target)) as watch:
        for method, path, body in _requests(target, me):
            answer = attacker.request(method, path, json=body, allow_redirects=False)
            tried += 1
            if answer.status_code >= 500:
                found.append((method, path, body, answer.status_code, answer.text[:200]))
            if told := target.leaks(answer.text.replace(quote("canary"), "")):
                found.append((method, path, told))
            changed = [(table, row) for table, row in watch.changes() if not _own(target, table, row, me)]
            if changed:
                found.append((method, path, body, answer.status_code, changed[:2]))
    assert tried > 1500
    assert not found, "\n".join(map(str, found[:30]))


def _persona(target: Target, persona: str) -> Visitor:
    line = target.line
    if persona == "annotator":
        return line.people["ana"]
    if persona == "without a role":
        return line.server.new_people(1)[0]
    there = make_line(
        line.server, rows(1), team="people: [{id: mia, email: mia-{tag}@quorum.test, roles: [manager]}]", fresh=True
    )
    return there.people["mia"]


def test_what_is_not_there_answers_like_what_is_anothers(target: Target) -> None:
    """Nobody can tell by an answer whether an id is somebody else's thing or nothing at all."""
    line, ids = target.line, target.ids
    asked: list[tuple[str, str, str]] = [
        *[(method, f"/api/tasks/{{}}/{more}", "tasks") for method in ("GET", "HEAD", "OPTIONS") for more in ("", "annotations/", "drafts")],
        *[("POST", f"/api/tasks/{{}}/{more}", "tasks") for more in ("annotations/", "drafts")],
        *[(method, "/api/annotations/{}/", "annotations") for method in ("GET", "PUT", "PATCH", "DELETE")],
        ("POST", "/api/annotations/{}/convert-to-draft", "annotations"),
        *[(method, "/api/drafts/{}/", "drafts") for method in ("GET", "PATCH", "DELETE")],
        ("GET", f"/api/tasks/{{}}/?project={line.projects['qa']}", "tasks"),
        ("GET", "/api/dm/views/{}/", "views"),
        ("GET", "/api/users/{}/", "users"),
        ("GET", "/data/upload/{}", "upload"),
        ("GET", "/tasks/{}/resolve/?fileuri=YQ==", "task"),
        ("GET", "/quorum/campaign/{}/", "campaign"),
        ("GET", "/quorum/api/companion?task={}", "tasks"),
        ("GET", "/api/webhooks/{}/", "webhooks"),
        ("GET", "/api/ml/{}", "ml"),
        ("GET", "/api/predictions/{}/", "predictions"),
    ]  # fmt: skip
    told = []
    for persona in ("annotator", "manager elsewhere", "without a role"):
        attacker = _persona(target, persona)
        for method, path, kind in asked:
            seen = set()
            for one in ids[kind]:
                answer = attacker.request(
                    method, path.format(one), json={"result": []} if method in ("POST", "PATCH", "PUT") else None
                )
                seen.add((answer.status_code, answer.text))
            if len(seen) > 1:
                told.append((persona, method, path, seen))
    assert not told, told[:4]


def test_a_manager_who_labels_changes_no_answer_and_nobodys_account(target: Target) -> None:
    """At every address, what others said, who they are, and what the rows hold stays as it is for a manager too."""
    boss, found = target.line.people["boss"], list[Any]()
    held = {
        "task_completion",
        "tasks_annotationdraft",
        "htx_user",
        "authtoken_token",
        "ls_plugin_member",
        "ls_plugin_campaignproject",
    }
    with closing(Watch(target)) as watch:
        for method, path, body in _requests(target, boss.user_id, mild=True):
            answer = boss.request(method, path, json=body, allow_redirects=False)
            changed = [
                (table, row)
                for table, row in watch.changes()
                if table in held and not _own(target, table, row, boss.user_id)
            ]
            if changed:
                found.append((method, path, body, answer.status_code, changed[:2]))
    assert not found, "\n".join(map(str, found[:30]))
    assert target.line.audit()["faults"] == []
