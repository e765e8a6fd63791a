"""The plugin under attack from outside: every address, every method, every way of signing in, and every trick we know."""

# Requests, and programs that run inside the server, stay readable on one line each.
# ruff: noqa: E501

from __future__ import annotations

import base64
import json
import re
import sqlite3
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.contract.plugin_campaign import TEAM, Line, django, make_line, review, routes, rows, tokens_of, verdict
from tests.support.servers import LabelStudioServer

pytestmark = pytest.mark.server

SECRET = "canary-8f31c2"  # what a peer typed
LEAD_TIME = 7654321.25


@pytest.fixture(scope="module")
def line(ls_server_plugin: LabelStudioServer) -> Line:
    """A campaign in which bea has answered two rows, has a draft on a third, and one row waits in QA."""
    line = make_line(ls_server_plugin, rows(6))
    for _ in range(2):
        given = line.next("bea").json()["id"]
        done = line.submit("bea", given, verdict("Incorrect", SECRET), lead_time=LEAD_TIME)
        assert done.status_code == 201, done.text
    third = line.next("bea").json()["id"]
    draft = line.people["bea"].post(f"/api/tasks/{third}/drafts", json={"result": verdict("Incorrect", SECRET)})
    assert draft.status_code == 201, draft.text
    line.answer("cal", verdict("Correct"))
    return line


@pytest.fixture(scope="module", name="routes")
def every_route() -> list[str]:
    """Every route of the server."""
    return routes()


def paths(route: str, ids: Mapping[str, list[int]]) -> Iterator[str]:
    """Addresses that a route stands for, with every id that may be worth guessing."""
    clean = re.sub(r"\(\?P<(\w+)>[^()]*(?:\([^()]*\)[^()]*)*\)\??", r"<\1>", route)
    clean = (
        clean.replace("^", "")
        .replace("$", "")
        .replace("\\.", ".")
        .replace("\\", "")
        .replace("/?", "/")
        .replace("?", "")
    )
    holes = re.findall(r"<[^>]+>", clean)
    every = sorted({number for some in ids.values() for number in some})
    first = [str(number) for number in every] if holes else [""]
    for number in first:
        path = clean
        for hole in holes:
            word = {"path": "admin.css", "filename": "x", "format": ".json", "url": "x", "app_label": "tasks"}
            name = hole.strip("<>").split(":")[-1]
            fill = word.get(name, number)
            path = path.replace(hole, fill, 1)
        yield "/" + path.lstrip("/")


def ids_of(line: Line, person: str) -> dict[str, list[int]]:
    """The ids an attacker would try: projects, tasks, answers, drafts, accounts."""
    base = sqlite3.connect(line.server.data_dir / "label_studio.sqlite3")
    try:
        projects = list(line.projects.values())
        marks = ",".join("?" * len(projects))
        tasks = [
            r[0]
            for r in base.execute(f"SELECT id FROM task WHERE project_id IN ({marks}) ORDER BY id LIMIT 3", projects)
        ]
        answers = [
            r[0] for r in base.execute(f"SELECT id FROM task_completion WHERE project_id IN ({marks})", projects)
        ]
        drafts = [r[0] for r in base.execute("SELECT id FROM tasks_annotationdraft ORDER BY id DESC LIMIT 2")]
    finally:
        base.close()
    return {
        "projects": projects,
        "tasks": tasks,
        "answers": answers[:3],
        "drafts": drafts,
        "users": [line.people["bea"].user_id, line.people[person].user_id],
    }


def leaks(line: Line, text: str) -> list[str]:
    """What of bea's an answer of the server gives away."""
    email = line.people["bea"].email
    return [word for word in (SECRET, str(LEAD_TIME), "7654321", email) if word in text]


def test_no_way_of_signing_in_opens_what_the_session_may_not(line: Line) -> None:
    """Legacy token, X-Api-Key and personal access token are refused the same addresses as the session."""
    project, ids = line.projects["pass"], ids_of(line, "ana")
    closed = [
        f"/api/projects/{project}/export?exportType=JSON",
        f"/api/projects/{project}/tasks/",
        f"/api/projects/{project}/summary/",
        f"/api/tasks/{ids['tasks'][0]}/agreement/",
        f"/api/annotations/{ids['answers'][0]}/",
        f"/api/drafts/{ids['drafts'][0]}/",
        f"/api/predictions/?project={project}",
        "/api/predictions.json",
        "/api/webhooks/",
        "/api/organizations/",
        "/api/invite",
        "/quorum/api/audit",
        f"/quorum/api/status?name={line.name}",
    ]
    for name, headers in [("session", {}), *tokens_of(line, "ana")]:
        for path in closed:
            get = line.people["ana"].get if name == "session" else requests.get
            url = path if name == "session" else line.server.url + path
            answer = get(url, headers=dict(headers), timeout=60)
            assert answer.status_code in (403, 404), (name, path, answer.status_code, answer.text[:200])
            assert "code" in answer.json(), (name, path, answer.text[:200])


def _state(line: Line, attacker: int) -> dict[str, Any]:
    """Everything on the server that an annotator must not change."""
    base = sqlite3.connect(line.server.data_dir / "label_studio.sqlite3")
    tables = {
        "task": "id, data, meta, overlap, project_id, is_labeled",
        "task_completion": "id, result, was_cancelled, ground_truth, completed_by_id, task_id, lead_time",
        "project": "id, title, description, label_config, maximum_annotations, is_published, model_version, created_by_id",
        "prediction": "id, result, model_version, task_id",
        "organization": "id, title, token, created_by_id",
        "organizations_organizationmember": "id, user_id, deleted_at",
        "webhook": "id, url",
        "ml_mlbackend": "id, url",
        "data_manager_view": "id, data, project_id",
        "ls_plugin_campaign": "id, policy_text, team_text",
        "ls_plugin_member": "id, roles, expertise, user_id",
        "ls_plugin_slot": "task_id, requires, capacity, taken, sealed",
        "jwt_auth_jwtsettings": "*",
    }
    try:
        state: dict[str, Any] = {
            name: base.execute(f"SELECT {columns} FROM {name} ORDER BY 1").fetchall()
            for name, columns in tables.items()
        }
        users = "SELECT id, email, password, is_superuser, is_staff, is_active, active_organization_id FROM htx_user ORDER BY id"
        state["users"] = base.execute(users).fetchall()
        state["drafts"] = base.execute(
            "SELECT id, result FROM tasks_annotationdraft WHERE user_id <> ? ORDER BY id", (attacker,)
        ).fetchall()
    finally:
        base.close()
    return state


def test_method_override_and_forwarding_headers_change_nothing(line: Line) -> None:
    """A POST that says it is a DELETE, or that its address is another, is decided as what it is."""
    ana, project = line.people["ana"], line.projects["pass"]
    for header in ("X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"):
        answer = ana.post(f"/api/projects/{project}/", headers={header: "GET"}, json={"title": "taken"})
        assert answer.status_code in (403, 404, 405), answer.text
        assert ana.get(f"/api/projects/{project}/", headers={header: "DELETE"}).status_code == 200
    for header in ("X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Path"):
        answer = ana.get(f"/api/projects/{project}/export", headers={header: "/api/version/"})
        assert answer.status_code == 403, answer.text


def test_side_doors_stay_shut(line: Line) -> None:
    """Format suffixes, missing and doubled slashes, unanchored file addresses and HEAD lead nowhere else."""
    ana, project, ids = line.people["ana"], line.projects["pass"], ids_of(line, "ana")
    other = next(task for task in ids["tasks"])
    for path in (
        f"/api/projects/{project}/export/",
        f"/api/projects/{project}/export",
        f"/api/projects/{project}/export?download_all_tasks=true",
        f"/api/predictions.json?project={project}",
        f"/api/predictions/1.json?project={project}",
        f"/api/tasks/{other}/?project={project}&review=true",
        f"/api/tasks/{other}?fields=all",
        f"/api/dm/views/1.json?project={project}",
        "/data/upload/1/x/version/",
        "/data/upload/../../label_studio.sqlite3",
        "/data/local-files/?d=../../etc/passwd",
        "/api/projects/%32%30/export",
        "/django-rq/",
        "/admin/tasks/annotation/",
        "/swagger.json",
        "/docs/api/schema/json/",
        "/feature-flags/",
        "/trigger500/",
    ):
        answer = ana.get(path, allow_redirects=False)
        assert not leaks(line, answer.text), path
        assert answer.status_code in (200, 302, 400, 403, 404), (path, answer.status_code)
        if answer.status_code == 200:
            assert "task" not in answer.text or path.startswith("/api/tasks"), (path, answer.text[:200])
    for path in (f"/api/projects/{project}/export", f"/api/annotations/{ids['answers'][0]}/"):
        assert ana.head(path).status_code in (403, 404)
        assert not leaks(line, ana.options(path).text)


def test_filters_and_orderings_tell_nothing(line: Line) -> None:
    """An annotator's task list is the same whatever filter or ordering by others' work is asked for."""
    ana, project = line.people["ana"], line.projects["pass"]
    ana.get(f"/api/projects/{project}/next")
    plain = ana.get("/api/tasks", params={"project": project}).json()
    columns = ("total_annotations", "annotators", "completed_at", "avg_lead_time", "annotations_results", "cancelled_annotations",
               "updated_by", "is_labeled", "predictions_results", "annotations__completed_by")  # fmt: skip
    for column in columns:
        for operator, value in (("equal", 1), ("greater", 0), ("contains", SECRET), ("empty", False)):
            query = {
                "filters": {
                    "conjunction": "and",
                    "items": [
                        {"filter": f"filter:tasks:{column}", "operator": operator, "type": "Number", "value": value}
                    ],
                },
                "ordering": [f"-tasks:{column}"],
            }
            asked = ana.get("/api/tasks", params={"project": str(project), "query": json.dumps(query)})
            assert asked.json() == plain, (column, operator, asked.text[:200])
    seen = plain["tasks"][0]
    assert (seen["total_annotations"], seen["is_labeled"], seen["annotators"], seen["avg_lead_time"]) == (
        0,
        False,
        [],
        None,
    )


def test_counts_do_not_move_when_a_peer_answers(ls_server_plugin: LabelStudioServer) -> None:
    """What a person is shown of project and tasks is the same before and after somebody else's submission."""
    line = make_line(ls_server_plugin, rows(4))
    ana, project = line.people["ana"], line.projects["pass"]
    task = line.next("ana").json()["id"]
    asked = [
        f"/api/projects/{project}/", "/api/projects/", "/api/projects/counts/", f"/api/dm/project?project={project}",
        f"/api/tasks/{task}/", f"/api/tasks?project={project}", f"/api/dm/columns?project={project}",
        f"/api/dm/views?project={project}", "/quorum/mine/",
    ]  # fmt: skip

    def read() -> dict[str, str]:
        """What she is shown; a form's token is another one each time."""
        return {path: re.sub(r'(csrfmiddlewaretoken" value=)"\w+"', r"\1", ana.get(path).text) for path in asked}

    before = read()
    while line.next("bea").json().get("id"):
        line.answer("bea", verdict("Incorrect", SECRET))
    assert read() == before


def test_nobody_submits_what_was_not_given(line: Line) -> None:
    """A task of another's, of another stage, or of nobody's is refused without the licence of the hand-out."""
    ids = ids_of(line, "ana")
    for person in ("ana", "quin", "dag", "max"):
        for task in ids["tasks"]:
            if line.people[person].get(f"/api/tasks/{task}/").status_code == 200 and person != "max":
                continue
            answer = line.submit(person, task, verdict("Correct"))
            assert answer.status_code in (403, 404, 409), (person, task, answer.text)
            assert answer.json()["code"] in {"not_given", "no_role", "no_project", "second", "full"}, answer.text


@pytest.mark.parametrize(
    ("more", "query", "code"),
    [
        ({"completed_by": 1}, "", "on_behalf"),
        ({"ground_truth": True}, "", "ground_truth"),
        ({"parent_annotation": 1}, "", "on_behalf"),
        ({"parent_prediction": 999999}, "", "on_behalf"),
        ({"project": 999999}, "", "project_mismatch"),
        ({"task": 999999}, "", "project_mismatch"),
        ({}, "?project=999999", "project_mismatch"),
        ({"updated_by": 1}, "", "field_not_allowed"),
        ({"last_created_by": 1}, "", "field_not_allowed"),
        ({"import_id": 7}, "", "field_not_allowed"),
    ],
)
def test_an_answer_says_only_what_is_its_to_say(
    ls_server_plugin: LabelStudioServer, line: Line, more: dict[str, Any], query: str, code: str
) -> None:
    """Answers on another's behalf, as known truth, or for another project are refused and leave nothing behind."""
    ana = line.people["ana"]
    task = line.next("ana").json()["id"]
    answer = ana.post(f"/api/tasks/{task}/annotations/{query}", json={"result": verdict("Correct"), **more})
    assert (answer.status_code >= 400, answer.json().get("code")) == (True, code), answer.text
    assert ana.get(f"/api/tasks/{task}/annotations/").json() == []


def test_one_answer_a_person_and_two_a_row(ls_server_plugin: LabelStudioServer) -> None:
    """A second answer by one person and a third by anybody are refused; the given seats are two."""
    line = make_line(ls_server_plugin, rows(1))
    task, _ = line.answer("ana", verdict("Correct"))
    again = line.submit("ana", task, verdict("Incorrect"))
    assert (again.status_code, again.json()["code"]) == (409, "second")
    line.answer("bea", verdict("Correct"))
    third = line.next("cal")
    assert (third.status_code, third.json()["code"]) == (404, "no_task")
    forced = line.submit("cal", task, verdict("Correct"))
    assert forced.status_code in (403, 409), forced.text
    assert len(line.task_of("r1")["annotations"]) == 2


def test_a_skip_is_no_seat_and_no_trick(ls_server_plugin: LabelStudioServer) -> None:
    """A skip cannot be turned into an answer when the row is full, nor an answer into a skip."""
    line = make_line(ls_server_plugin, rows(1))
    task = line.next("ana").json()["id"]
    skipped = line.submit("ana", task, verdict("Correct", SECRET), was_cancelled=True)
    assert skipped.status_code == 201, skipped.text
    line.answer("bea", verdict("Correct"))
    line.answer("cal", verdict("Correct"))
    mine = skipped.json()["id"]
    for body in (
        {"was_cancelled": False, "result": verdict("Incorrect")},
        {"result": verdict("Incorrect"), "was_cancelled": 0},
    ):
        turned = line.people["ana"].patch(f"/api/annotations/{mine}/", json=body)
        assert turned.status_code in (403, 409), turned.text
    back = line.people["ana"].post(f"/api/annotations/{mine}/convert-to-draft", json={})
    assert back.status_code in (403, 409), back.text
    first = next(one for one in line.task_of("r1")["annotations"] if one["completed_by"] == line.people["bea"].user_id)
    undone = line.people["bea"].patch(f"/api/annotations/{first['id']}/", json={"was_cancelled": True})
    assert undone.status_code in (403, 409), undone.text
    answers = line.task_of("r1")["annotations"]
    assert sorted(one["was_cancelled"] for one in answers) == [False, False, True]


def test_nobody_reviews_a_row_they_answered(ls_server_plugin: LabelStudioServer) -> None:
    """Somebody with both roles gets no QA of a row that they passed, by the queue or by force."""
    line = make_line(ls_server_plugin, rows(1))
    line.answer("anq", verdict("Correct"))
    line.answer("ana", verdict("Incorrect"))
    assert line.next("anq", "qa").status_code == 404
    waiting = line.task_of("r1", "qa")["id"]
    forced = line.submit("anq", waiting, review("accept", "Correct"))
    assert (forced.status_code, forced.json()["code"]) == (403, "not_given")
    assert line.people["anq"].get(f"/api/tasks/{waiting}/").status_code == 404
    assert line.answer("quin", review("correct", "Correct"), "qa")


def test_an_expert_row_reaches_only_an_expert(ls_server_plugin: LabelStudioServer) -> None:
    """QA of a financial row that no financial expert passed is given to one and refused to anybody else."""
    line = make_line(ls_server_plugin, rows(1, "financial"))
    line.answer("ana", verdict("Correct"))
    line.answer("bea", verdict("Correct"))
    assert line.next("quin", "qa").status_code == 404
    waiting = line.task_of("r1", "qa")["id"]
    assert line.submit("quin", waiting, review("accept", "Correct")).status_code == 403
    line.answer("dag", review("accept", "Correct"), "qa")
    assert line.status()["states"]["FINAL"] == 1


def test_an_answer_stays_once_the_next_stage_began_and_a_manager_can_reopen(
    ls_server_plugin: LabelStudioServer,
) -> None:
    """Before QA took the row its passes may be changed by their authors, after it not, unless a manager reopens."""
    line = make_line(ls_server_plugin, rows(1))
    _, mine = line.answer("ana", verdict("Correct"))
    line.answer("bea", verdict("Correct"))
    change = line.people["ana"].patch(f"/api/annotations/{mine}/", json={"result": verdict("Incorrect")})
    assert change.status_code == 200, change.text
    task = line.next("quin", "qa").json()["id"]
    for method in ("patch", "put"):
        late = getattr(line.people["ana"], method)(f"/api/annotations/{mine}/", json={"result": verdict("Correct")})
        assert (late.status_code, late.json()["code"]) == (409, "sealed")
    for person in ("bea", "quin", "dag"):
        foreign = line.people[person].patch(f"/api/annotations/{mine}/", json={"result": verdict("Correct")})
        assert foreign.status_code in (403, 404), foreign.text
    by_manager = line.call("PATCH", f"/api/annotations/{mine}/", json={"result": verdict("Correct")})
    assert by_manager.status_code in (403, 404), by_manager.text
    assert line.submit("quin", task, review("correct", "Correct")).status_code == 201
    opened = line.call("POST", "/quorum/api/reopen", json={"name": line.name, "row_id": "r1", "reason": "wrong source"})
    assert opened.status_code == 200, opened.text
    late = line.people["ana"].patch(f"/api/annotations/{mine}/", json={"result": verdict("Correct")})
    assert late.status_code == 200, late.text
    assert line.status()["states"]["AWAITING_QA"] == 1


def test_managers_cannot_put_answers_in_or_change_rows(ls_server_plugin: LabelStudioServer) -> None:
    """Import with answers, predictions made answers, propagation, task data and overlap are refused to managers too."""
    line = make_line(ls_server_plugin, rows(2))
    task, mine = line.answer("ana", verdict("Correct"))
    project, ana = line.projects["pass"], line.people["ana"].user_id
    with_answer = [
        {
            "data": {"row_id": "z", "context": "", "query": "q", "response": "r"},
            "annotations": [{"result": verdict("Correct"), "completed_by": ana}],
        }
    ]
    tries: list[tuple[str, str, Any]] = [
        ("POST", f"/api/projects/{project}/import", with_answer),
        ("POST", f"/api/projects/{project}/tasks/bulk/", with_answer),
        ("POST", f"/api/tasks/{task}/annotations/", {"result": verdict("Correct"), "completed_by": ana}),
        ("POST", f"/api/dm/actions?id=predictions_to_annotations&project={project}", {"selectedItems": {"all": True, "excluded": []}}),
        ("POST", f"/api/dm/actions?id=propagate_annotations&project={project}", {"selectedItems": {"all": True, "excluded": []}, "source_annotation_id": mine}),
        ("POST", f"/api/dm/actions?id=delete_tasks_annotations&project={project}", {"selectedItems": {"all": True, "excluded": []}}),
        ("PATCH", f"/api/tasks/{task}/", {"data": {"row_id": "r1", "context": "other", "query": "q", "response": "r"}}),
        ("PATCH", f"/api/tasks/{task}/?project={line.projects['qa']}", {"data": {"row_id": "r1"}}),
        ("PATCH", f"/api/projects/{project}/", {"maximum_annotations": 3}),
        ("DELETE", f"/api/annotations/{mine}/", None),
        ("PATCH", f"/api/annotations/{mine}/", {"completed_by": line.people["bea"].user_id}),
    ]  # fmt: skip
    for method, path, body in tries:
        answer = line.call(method, path, json=body)
        assert 400 <= answer.status_code < 500, (method, path, answer.status_code, answer.text[:300])
        assert answer.json().get("code"), (method, path, answer.text[:300])
    held = line.task_of("r1")
    assert (len(held["annotations"]), held["data"]["context"]) == (1, "Context 1.")


def test_a_file_with_answers_imports_none(ls_server_plugin: LabelStudioServer) -> None:
    """Answers inside an uploaded file meet the rule in the database, whatever the views let through."""
    line = make_line(ls_server_plugin, rows(1))
    task = {
        "data": {"row_id": "z", "context": "", "query": "q", "response": "r"},
        "annotations": [{"result": verdict("Correct"), "completed_by": line.people["ana"].user_id}],
    }
    files = {"file": ("rows.json", json.dumps([task]), "application/json")}
    answer = line.call("POST", f"/api/projects/{line.projects['pass']}/import", files=files)
    assert 400 <= answer.status_code < 500, answer.text[:300]
    found = line.call("GET", "/api/tasks", params={"project": line.projects["pass"], "fields": "all"}).json()["tasks"]
    assert not [one for one in found if one["annotations"]]


@pytest.mark.parametrize("everyone", [False, True], ids=["holders", "everybody"])
def test_twenty_at_once_for_the_last_seat_give_one_answer(ls_server_plugin: LabelStudioServer, everyone: bool) -> None:
    """Twenty simultaneous submissions for a row's last seat give exactly one 201, also if the hand-out were broken."""
    people = "\n".join(f"  - {{id: p{n}, email: p{n}-{{tag}}@quorum.test, roles: [annotator]}}" for n in range(20))
    line = make_line(
        ls_server_plugin,
        rows(1),
        team=f"people:\n{people}\n  - {{id: first, email: first-{{tag}}@quorum.test, roles: [annotator]}}\n",
        fresh=True,
    )
    task, _ = line.answer("first", verdict("Correct"))
    crowd = [f"p{n}" for n in range(20)]
    with ThreadPoolExecutor(20) as pool:
        given = list(pool.map(lambda person: line.next(person).status_code, crowd))
    assert sorted(given) == [200, *[404] * 19]
    if everyone:
        grant = f"""
from ls_plugin.models import Grant, Member
from django.utils import timezone
for one in Member.objects.filter(campaign__name={line.name!r}, person_id__startswith="p"):
    Grant.objects.get_or_create(task_id={task}, user_id=one.user_id, defaults=dict(project_id={line.projects["pass"]}, given_at=timezone.now(), expires_at=timezone.now()))
Grant.objects.filter(task_id={task}, live=True).update(expires_at=timezone.now())
"""
        django(grant, line.server)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda person: line.submit(person, task, verdict("Correct")), crowd))
    codes = sorted(answer.status_code for answer in answers)
    assert codes.count(201) == 1, [answer.text[:120] for answer in answers if answer.status_code >= 500]
    assert all(code in (201, 403, 409) for code in codes), codes
    assert len(line.task_of("r1")["annotations"]) == 2
    # Licences that were slipped into the database are what the audit is for.
    assert {fault["code"] for fault in line.audit()["faults"]} <= ({"not_given"} if everyone else set())


def test_two_submissions_of_one_person_at_once_give_one_answer(ls_server_plugin: LabelStudioServer) -> None:
    """Ten simultaneous submissions by one person on one task give one 201."""
    line = make_line(ls_server_plugin, rows(1))
    task = line.next("ana").json()["id"]
    with ThreadPoolExecutor(10) as pool:
        codes = list(pool.map(lambda _: line.submit("ana", task, verdict("Correct")).status_code, range(10)))
    assert sorted(codes) == [201, *[409] * 9]


def test_who_left_is_out_by_session_and_token(ls_server_plugin: LabelStudioServer) -> None:
    """Somebody who left the team loses session and tokens at once; the last manager cannot be taken away."""
    line = make_line(ls_server_plugin, rows(2), fresh=True)
    tokens = list(tokens_of(line, "cal"))
    gone = line.team.replace("id: cal, ", "id: cal, left: 2026-01-01T00:00:00Z, ")
    applied = line.apply_team(gone)
    assert applied.status_code == 200, applied.text
    assert applied.json()["deactivated"] == ["cal"]
    assert line.next("cal").status_code in (401, 403)
    for name, headers in tokens:
        answer = requests.get(f"{line.server.url}/api/projects/", headers=dict(headers), timeout=60)
        assert answer.status_code in (401, 403), (name, answer.text[:200])
    back = line.apply_team(line.team)
    assert "cal" in back.json()["linked"]
    assert line.server.log_in(line.people["cal"].email, line.people["cal"].password)


def test_a_stranger_and_a_newcomer_get_nothing(line: Line, routes: list[str]) -> None:
    """Without signing in, and signed in without a role, no project, task or person of the campaign is shown."""
    newcomer = line.server.new_people(1)[0]
    ids = ids_of(line, "ana")
    assert newcomer.get("/api/projects/").json()["results"] == []
    with requests.Session() as stranger:
        for route in routes:
            if route.startswith(("admin/", "^static", "^react-app", "^dm/", "^label-studio-frontend", "^^logout")):
                continue
            for path in list(paths(route, ids))[:4]:
                for answer in (
                    newcomer.get(path, allow_redirects=False),
                    stranger.get(line.server.url + path, allow_redirects=False, timeout=60),
                ):
                    assert answer.status_code < 500, (path, answer.text[:300])
                    assert not leaks(line, answer.text), path
                    assert line.name not in answer.text, path


def test_qa_sees_the_passes_unnamed(ls_server_plugin: LabelStudioServer) -> None:
    """What QA is given shows both decisions and neither who made them nor when or how fast."""
    line = make_line(ls_server_plugin, rows(1))
    line.answer("ana", verdict("Correct", "reason of ana"))
    line.answer("bea", verdict("Incorrect", SECRET))
    given = line.next("quin", "qa")
    opened = line.people["quin"].get(f"/api/tasks/{given.json()['id']}/")
    for answer in (given, opened):
        assert SECRET in answer.text
        for person in ("ana", "bea"):
            assert line.people[person].email not in answer.text
            assert not re.search(rf'"completed_by":{line.people[person].user_id}\b', answer.text)
    assert opened.json()["annotations"] == []
    assert opened.json()["meta"] == {}


def test_withheld_rows_show_no_auto_label(ls_server_plugin: LabelStudioServer) -> None:
    """Rows that are labelled without the auto-label give an annotator no prediction and no trace of it."""
    from tests.contract.plugin_campaign import POLICY

    line = make_line(ls_server_plugin, rows(1), policy=POLICY.replace("withhold: 0.0", "withhold: 1.0"))
    given = line.next("ana")
    for answer in (given, line.people["ana"].get(f"/api/tasks/{given.json()['id']}/")):
        assert answer.json()["predictions"] == []
        assert "auto_label" not in answer.text


def test_files_of_the_storage_proxy_are_those_of_the_task(line: Line) -> None:
    """The storage proxy fetches nothing that the given task's data does not name."""
    task = line.next("ana").json()["id"]
    for uri in ("s3://bucket/export/answers.json", "gs://x/y", "file:///etc/passwd"):
        wanted = base64.urlsafe_b64encode(uri.encode()).decode()
        for door in ("resolve", "presign"):
            answer = line.people["ana"].get(f"/tasks/{task}/{door}/", params={"fileuri": wanted}, allow_redirects=False)
            assert answer.status_code in (403, 404), answer.text


def test_pages_of_other_sites_act_in_nobodys_name(line: Line) -> None:
    """A form of another site, or of another port of this machine, is refused; the server's own pages are not."""
    manager, mine = line.people["max"], line.server.url
    page = next(
        one["page"] for one in manager.get("/quorum/api/campaign").json()["campaigns"] if one["name"] == line.name
    )
    page = re.sub(r"^https?://[^/]+", "", page)
    row = {"name": line.name, "row_id": "r1", "reason": "in your name"}
    foreign: list[dict[str, str]] = [
        {"Origin": "https://elsewhere.test"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1", "Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
    ]
    for headers in foreign:
        for path in (page, "/quorum/api/reopen", "/api/projects/", f"/api/users/{manager.user_id}/avatar"):
            answer = manager.post(path, data=row, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "other_site"), (
                path,
                headers,
                answer.text[:200],
            )
    for headers in (
        {"Origin": mine},
        {"Origin": mine, "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {},
    ):
        answer = manager.patch(f"/api/users/{manager.user_id}/", json={"phone": "1"}, headers=headers)
        assert answer.status_code == 200, (headers, answer.text[:200])
    with_token = requests.patch(
        f"{mine}/api/users/{manager.user_id}/",
        json={"phone": ""},
        headers={**dict(tokens_of(line, "max"))["legacy token"], "Origin": "https://elsewhere.test"},
        timeout=60,
    )
    assert with_token.status_code == 200, with_token.text[:200]


_BROKEN: list[dict[str, Any]] = [
    {"lead_time": "Infinity"},
    {"lead_time": "-Infinity"},
    {"lead_time": "NaN"},
    {"lead_time": "1e400"},
    {"lead_time": 1e308},
    {"lead_time": -5},
    {"result": [1]},
    {"result": [None]},
    {"result": [{}]},
    {"result": "[null]"},
    {"result": {"verdict": "Correct"}},
    {"result": [{"from_name": "verdict", "to_name": "response", "type": "choices"}]},
    {"result": [{"from_name": ["x"], "to_name": {}, "type": 7, "value": []}]},
    {"result": verdict("Correct", "half a character \ud800")},
    {"result": verdict("Correct", "NUL \x00")},
    {"result": json.dumps(verdict("Correct", "half a character \ud800"))},
    {"result": '[{"from_name":"verdict","to_name":"response","type":"choices","value":{"choices":[NaN]}}]'},
]


def test_one_answer_breaks_nobody_elses_page(ls_server_plugin: LabelStudioServer) -> None:
    """Answers and drafts that could not be read again are refused, so lists, pages and exports stay readable for all."""
    line = make_line(ls_server_plugin, rows(2))
    ana, project = line.people["ana"], line.projects["pass"]
    task = line.next("ana").json()["id"]
    _, mine = line.answer("bea", verdict("Correct"))
    for broken in _BROKEN:
        body = {"result": verdict("Correct"), "lead_time": 1.0, **broken}
        for who, method, path in (
            (ana, "POST", f"/api/tasks/{task}/annotations/"),
            (ana, "POST", f"/api/tasks/{task}/drafts"),
            (line.people["bea"], "PATCH", f"/api/annotations/{mine}/"),
        ):
            answer = who.request(method, path, json=body)
            assert answer.status_code == 400, (method, path, broken, answer.status_code, answer.text[:200])
    hotkeys = ana.patch("/api/current-user/hotkeys/", json={"custom_hotkeys": {"a:b": {"key": "\ud800"}}})
    assert (hotkeys.status_code, hotkeys.json()["code"]) == (400, "bad_request")
    fine = verdict("Correct", "\\u0000 written out, a pair \U0001f600, and an empty line\n")
    assert line.submit("ana", task, fine, lead_time=0).status_code == 201
    for path in (
        f"/api/tasks?project={project}&fields=all",
        f"/api/projects/{project}/export?exportType=JSON",
        f"/quorum/api/status?name={line.name}",
        f"/quorum/api/tasks?project={project}",
        "/api/users/",
    ):
        assert line.call("GET", path).status_code == 200, path
    assert line.audit()["faults"] == []


def test_whoever_saw_the_answers_gives_none_even_when_a_seat_opens_again(ls_server_plugin: LabelStudioServer) -> None:
    """An annotator who is QA too and was shown a row's passes is not asked for a pass on it later."""
    line = make_line(ls_server_plugin, rows(1), fresh=True)
    line.answer("ana", verdict("Correct"))
    task, _ = line.answer("bea", verdict("Correct", SECRET))
    assert SECRET in line.next("anq", "qa").text
    # Answers of somebody who is not in the team do not count: a seat opens again, and with it the row.
    assert (
        line.apply_team("".join(one for one in line.team.splitlines(True) if "id: bea" not in one)).status_code == 200
    )
    done = line.call("POST", "/quorum/api/repair", json={"name": line.name, "all": True})
    assert done.status_code == 200, done.text
    taken = line.next("anq")
    assert (taken.status_code, taken.json()["code"]) == (404, "no_task"), taken.text
    assert line.submit("anq", task, verdict("Correct")).status_code in (403, 409)
    assert line.answer("cal", verdict("Correct"))[0] == task
    assert line.audit()["faults"] == []


def test_the_order_of_projects_tells_no_counts(line: Line) -> None:
    """Asked for in an order by what others did, the list of projects keeps its own order."""
    dag = line.people["dag"]
    plain = [one["id"] for one in dag.get("/api/projects/").json()["results"]]
    assert len(plain) >= 2
    for by in ("task_number", "total_annotations_number", "finished_task_number", "skipped_annotations_number", "id"):
        for order in (by, f"-{by}"):
            asked = dag.get("/api/projects/", params={"ordering": order}).json()["results"]
            assert [one["id"] for one in asked] == plain, order


_THINGS = """
import json
from data_export.models import Export
from data_import.models import FileUpload
from data_manager.models import View
from io_storages.redis.models import RedisExportStorage, RedisImportStorage
from labels_manager.models import Label, LabelLink
from ml.models import MLBackend
from users.models import User
from webhooks.models import Webhook
pk, title, owner = PROJECT, SECRET, User.objects.order_by("pk").first()
hidden = dict(title=title, host="127.0.0.1", port="1")
made = {
    "import": RedisImportStorage.objects.create(project_id=pk, **hidden),
    "export": RedisExportStorage.objects.create(project_id=pk, **hidden),
    "webhook": Webhook.objects.create(project_id=pk, organization=owner.active_organization, url="http://127.0.0.1:9/" + title),
    "everywhere": Webhook.objects.create(organization=owner.active_organization, url="http://127.0.0.1:9/" + title),
    "view": View.objects.create(project_id=pk, data={"title": title}),
    "ml": MLBackend.objects.bulk_create([MLBackend(project_id=pk, url="http://127.0.0.1:9/" + title, title=title)])[0],
    "upload": FileUpload.objects.create(project_id=pk, user=owner, file="upload/" + title + ".json"),
    "snapshot": Export.objects.create(project_id=pk, title=title, created_by=owner),
}
label = Label.objects.create(value=title, title=f"{title} {pk}", created_by=owner, organization=owner.active_organization)
made["link"] = LabelLink.objects.create(project_id=pk, label=label, from_name="verdict")
print(json.dumps({name: thing.pk for name, thing in made.items()}))
"""


@pytest.mark.parametrize("works_here", [True, False], ids=["who labels here", "who has no part here"])
def test_a_manager_elsewhere_reaches_nothing_of_this_campaign(
    ls_server_plugin: LabelStudioServer, works_here: bool
) -> None:
    """Whatever of this campaign is named in path, query or body, also beside a project of their own: refused."""
    here, there = (make_line(ls_server_plugin, rows(1), fresh=True) for _ in range(2))
    spy = (here if works_here else there).people["ana"]
    applied = there.apply_team(f"people:\n  - {{id: ana, email: {spy.email}, roles: [manager]}}\n")
    assert applied.status_code == 200, applied.text
    own, foreign = there.projects["pass"], here.projects["pass"]
    task, answer = here.answer("bea", verdict("Incorrect", SECRET))
    made = django(_THINGS.replace("PROJECT", str(foreign)).replace("SECRET", repr(SECRET)), here.server)
    things = json.loads(made.splitlines()[-1])
    view, every = things["view"], {"selectedItems": {"all": True, "excluded": []}}
    storage = {"title": "taken", "host": "127.0.0.2", "port": "1"}
    tries: list[tuple[str, str, Any]] = [
        ("GET", f"/api/tasks?view={view}", None),
        ("GET", f"/api/tasks?project={own}&view={view}", None),
        ("GET", f"/api/tasks?project={foreign}", None),
        ("GET", f"/api/tasks?project={own}&project={foreign}", None),
        ("GET", "/api/tasks", {"project": foreign}),
        ("GET", f"/api/tasks?project={own}", {"view": view}),
        ("POST", "/api/tasks/", {"project": foreign, "data": {"row_id": "x"}}),
        ("POST", f"/api/tasks/?project={own}", {"project": foreign, "data": {"row_id": "x"}}),
        *[(method, f"/api/tasks/{task}/?project={own}", {"project": own}) for method in ("PATCH", "DELETE")],
        ("GET", f"/api/tasks/{task}/agreement/?project={own}", None),
        ("GET", f"/api/annotations/{answer}/?project={own}", None),
        ("POST", "/api/predictions/", {"task": task, "result": verdict("Incorrect")}),
        ("POST", f"/api/predictions/?project={own}", {"task": task, "project": own, "result": verdict("Incorrect")}),
        ("GET", f"/api/predictions/?project={own}&task={task}", None),
        ("GET", "/api/predictions/", None),
        ("GET", f"/api/projects/{foreign}/export?project={own}", None),
        ("GET", f"/api/projects/{own}/exports/{things['snapshot']}", None),
        ("POST", f"/api/projects/{foreign}/exports/?project={own}", {}),
        ("POST", f"/api/dm/actions?id=delete_tasks&project={own}&view={view}", every),
        ("POST", f"/api/dm/actions?id=delete_tasks&project={own}", {**every, "view": view}),
        ("POST", f"/api/dm/actions?id=delete_tasks&project={own}&project={foreign}", every),
        ("POST", f"/api/dm/actions?id=delete_tasks&project={own}", {**every, "project": foreign}),
        ("POST", "/api/dm/views/", {"project": foreign, "data": {}}),
        ("DELETE", f"/api/dm/views/reset/?project={own}", {"project": foreign}),
        ("POST", "/api/dm/views/order/", {"project": foreign, "ids": [view]}),
        ("PATCH", f"/api/dm/views/{view}/?project={own}", {"data": {"title": "taken"}}),
        *[("GET", f"/api/dm/{what}?project={foreign}", None) for what in ("project", "columns", "views", "actions")],
        ("GET", f"/api/storages/?project={foreign}", None),
        *[("GET", f"/api/storages/{way}redis/{things[name]}?project={own}", None) for way, name in (("", "import"), ("export/", "export"))],
        ("PATCH", f"/api/storages/redis/{things['import']}?project={own}", storage),
        ("POST", f"/api/storages/redis/{things['import']}/sync?project={own}", {}),
        *[
            ("POST", f"/api/storages/{door}", {"id": things[name], "project": project, **storage})
            for door, name in (("redis/validate", "import"), ("export/redis/validate", "export"), ("redis/files", "import"))
            for project in (own, foreign)
        ],
        ("POST", "/api/storages/redis/validate", {"id": things["import"], **storage}),
        ("POST", "/api/storages/redis/validate", {"project": foreign, **storage}),
        ("POST", f"/api/storages/redis/?project={own}", {"project": foreign, **storage}),
        *[("GET", path, None) for path in (f"/api/ml?project={foreign}", f"/api/ml/{things['ml']}")],
        ("POST", f"/api/ml/?project={own}", {"project": foreign, "url": "http://127.0.0.1:9"}),
        *[("POST", f"/api/ml/{things['ml']}/{what}?project={own}", {"task": task}) for what in ("train", "predict/test", "interactive-annotating")],
        ("GET", "/api/webhooks/", None),
        ("GET", f"/api/webhooks/?project={foreign}", None),
        ("POST", "/api/webhooks/", {"url": "http://127.0.0.1:9"}),
        ("POST", f"/api/webhooks/?project={own}", {"url": "http://127.0.0.1:9", "project": foreign}),
        *[("PATCH", f"/api/webhooks/{things[name]}/?project={own}", {"url": "http://127.0.0.1:8"}) for name in ("webhook", "everywhere")],
        *[(method, f"/api/label_links/{things['link']}/?project={own}", {"from_name": "taken"}) for method in ("GET", "PATCH", "DELETE")],
        ("POST", "/api/labels/", [{"project": own, "from_name": "v", "value": "a", "title": "a"}, {"project": foreign, "from_name": "v", "value": "b", "title": "b"}]),
        ("POST", "/api/labels/bulk", {"project": own, "old_label": ["Incorrect"], "new_label": ["Correct"]}),
        *[("GET", f"/api/fsm/entities/{kind}/{pk}/history", None) for kind, pk in (("task", task), ("annotation", answer), ("project", foreign))],
        ("GET", f"/api/import/file-upload/{things['upload']}?project={own}", None),
        ("GET", f"/data/upload/{SECRET}.json", None),
        ("GET", f"/data/upload/{SECRET}.json?project={own}", None),
        ("POST", f"/api/projects/{foreign}/reimport?project={own}", {"file_upload_ids": [things["upload"]]}),
        ("PATCH", f"/api/projects/{foreign}/?project={own}", {"title": "taken"}),
        ("GET", f"/quorum/api/tasks?project={foreign}", None),
        *[("GET", f"/quorum/api/{what}?name={here.name}", None) for what in ("status", "audit")],
        ("POST", "/quorum/api/reopen", {"name": here.name, "row_id": "r1", "reason": "x"}),
        ("POST", "/quorum/api/skips", {"name": here.name, "person": "bea"}),
        ("POST", "/quorum/api/team", {"name": here.name, "team": there.team}),
        ("PUT", "/quorum/api/campaign", {"name": here.name, "policy": there.policy, "team": there.team, "projects": there.projects}),
        ("PUT", "/quorum/api/campaign", {"name": there.name, "policy": there.policy, "team": there.team, "projects": here.projects}),
    ]  # fmt: skip
    before, held = _state(here, 0), here.call("GET", f"/api/storages/redis/{things['import']}").json()
    for method, path, body in tries:
        refused = spy.request(method, path, json=body)
        # Whoever labels here reads their own part of this project, which is nothing yet.
        reads = works_here and method == "GET" and refused.status_code == 200
        assert reads or refused.status_code in (400, 403, 404), (method, path, body, refused.text[:200])
        assert not leaks(here, refused.text), (method, path, body, refused.text[:200])
    assert _state(here, 0) == before
    assert here.call("GET", f"/api/storages/redis/{things['import']}").json() == held
    named = [
        spy.get(path).text
        for path in ("/api/projects/", "/api/projects/counts/", "/api/users/", "/quorum/api/campaign")
    ]
    assert not [text for text in named if here.people["bea"].email in text or (here.name in text and not works_here)]
    assert spy.get(f"/api/projects/{own}/summary/").status_code == 200
    assert spy.get(f"/api/tasks?project={own}").status_code == 200
    assert spy.post("/api/projects/", json={"title": "of no campaign"}).status_code == 201


def test_a_persons_account_page_shows_themselves_and_takes_only_pictures(line: Line) -> None:
    """The page names nobody else, not even the server's owner; what is no picture is refused in one sentence."""
    ana = line.people["ana"]
    page = ana.get("/user/account/", headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert ana.email in page.text
    assert "owner@" not in page.text
    picture = base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    )
    for name, content, kind, status in (
        ("me.png", picture, "image/png", 200),
        ("me.png", b"no picture", "image/png", 400),
        ("me.svg", picture, "image/svg+xml", 400),
        ("me.png", picture, "picture", 400),
    ):
        sent = ana.post(f"/api/users/{ana.user_id}/avatar", files={"avatar": (name, content, kind)})
        assert sent.status_code == status, (name, kind, sent.text[:200])
        assert status == 200 or sent.json()["code"] == "bad_request"


def test_uploaded_files_are_shown_to_whoever_was_given_a_task_that_names_them(
    ls_server_plugin: LabelStudioServer,
) -> None:
    """A person opens the files of their tasks, and no other file of the project."""
    line = make_line(ls_server_plugin, [])
    up = line.call(
        "POST",
        f"/api/projects/{line.projects['pass']}/import?commit_to_project=false",
        files={"file": ("a.txt", "text of the file"), "other": ("b.txt", "text of another")},
    )
    uploads = [line.call("GET", f"/api/import/file-upload/{pk}").json()["file"] for pk in up.json()["file_upload_ids"]]
    assert len(uploads) == 2
    line.add([{**rows(1)[0], "context": f"see /data/{uploads[0]}"}])
    assert line.people["ana"].get(f"/data/{uploads[0]}").status_code == 404
    line.next("ana")
    assert line.people["ana"].get(f"/data/{uploads[0]}").status_code == 200
    for path in (uploads[1], "upload/none.txt", uploads[0][:-1]):
        assert line.people["ana"].get(f"/data/{path}").status_code == 404, path


_ODD: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/api/projects/?ids=NaN", {}),
    ("GET", "/api/projects/counts/?ids=9999999999999999999999999", {}),
    ("GET", "/api/projects/?title=%00", {}),
    ("GET", "/api/tasks?project={project}&query=NaN", {}),
    ("GET", "/api/tasks/1%00/", {}),
    ("GET", "/user/login/?next=x", {"allow_redirects": False}),
    ("POST", "/api/tasks/{task}/annotations/", {"data": "[" * 100_000 + "]" * 100_000}),
    ("POST", "/api/tasks/{task}/annotations/", {"data": "null"}),
    ("PATCH", "/api/annotations/{answer}/", {"data": "null"}),
    ("PATCH", "/api/annotations/{answer}/", {"data": "[]"}),
    ("POST", "/api/tasks/{task}/drafts", {"data": json.dumps({"result": verdict("Correct", "x" * 9_000_000)})}),
    ("POST", "/api/tasks/{task}/drafts", {"data": "{}", "headers": {"Content-Type": "application/json; charset=base64"}}),
    ("POST", "/api/token/refresh/", {"data": "a=b", "headers": {"Content-Type": "application/x-www-form-urlencoded; charset=rot13"}}),
    ("POST", "/api/token/refresh/?a=1", {"data": "a=b", "headers": {"Content-Type": "application/x-www-form-urlencoded; charset=punycode"}}),
    ("POST", "/api/token/refresh/?%00", {"data": "a=b", "headers": {"Content-Type": "application/x-www-form-urlencoded; charset=idna"}}),
    ("POST", "/api/users/{me}/avatar", {"data": "x", "headers": {"Content-Type": "multipart/form-data"}}),
    ("POST", "/api/projects/", {"data": "{}", "headers": {"Origin": "http://["}}),
]  # fmt: skip


def test_what_cannot_be_read_is_refused_and_breaks_nothing(line: Line) -> None:
    """Odd numbers, bytes, character sets, depths and sizes get an answer that says what is wrong, never a failure."""
    ana = line.people["ana"]
    task, answer = line.answer("ana", verdict("Correct"))
    task = line.next("ana").json()["id"]
    for method, path, more in _ODD:
        address = path.format(project=line.projects["pass"], task=task, answer=answer, me=ana.user_id)
        sent = {**more, "headers": {"Content-Type": "application/json", **more.get("headers", {})}}
        got = ana.request(method, address, **sent)
        assert got.status_code < 500, (method, address, got.status_code, got.text[:300])
        if method != "GET" or "%00" in path:
            assert got.status_code in (400, 413), (method, address, got.status_code, got.text[:300])
            assert got.json()["code"] in ("bad_request", "too_large"), (method, address, got.text[:300])
    for body in ("1", "[]", '"x"'):
        got = line.people["max"].post("/quorum/api/reopen", data=body, headers={"Content-Type": "application/json"})
        assert (got.status_code, got.json()["code"]) == (400, "bad_request"), (body, got.text[:300])


def test_an_answer_that_looks_like_a_peers_is_taken_for_nobodys(ls_server_plugin: LabelStudioServer) -> None:
    """Whatever somebody writes inside an answer, it breaks no page and puts nothing into the record."""
    line = make_line(ls_server_plugin, rows(2))
    ana, manager = line.people["ana"], line.people["max"]
    for n, fake in enumerate(({"completed_by": 999, "id": "x"}, {"completed_by": 999, "id": 7, "task": 1})):
        task = line.next("ana").json()["id"]
        said = verdict("Correct")
        said[0]["value"]["more"] = fake
        draft = ana.post(f"/api/tasks/{task}/drafts", json={"result": said})
        assert (draft.status_code, ana.get(f"/api/tasks/{task}").status_code) == (201, 200), n
        assert line.next("ana").json()["id"] == task
        assert ana.delete(f"/api/drafts/{draft.json()['id']}/").status_code == 204
        assert line.submit("ana", task, said).status_code == 201
        for path in (f"/api/tasks/{task}", f"/api/tasks?project={line.projects['pass']}&fields=all"):
            assert manager.get(path).status_code == 200, path
    code = f"""
from ls_plugin.models import Record
seen = Record.objects.filter(campaign_id={line.status()["id"]}, kind="shown", user_id={ana.user_id})
print([one for one in seen.values_list("body", flat=True) if '"others":[]' not in one])
"""
    assert django(code, ls_server_plugin).strip() == "[]"
    assert line.audit()["faults"] == []


@pytest.mark.parametrize("way", ["no", 0.0, "form"])
def test_a_skip_is_never_made_an_answer_by_a_change(ls_server_plugin: LabelStudioServer, way: Any) -> None:
    """However a request says that it is no skip, the skip stays, and no seat is taken that others hold."""
    line = make_line(ls_server_plugin, rows(1))
    task = line.next("ana").json()["id"]
    skip = line.submit("ana", task, verdict("Correct", SECRET), was_cancelled=True).json()["id"]
    address, said = f"/api/annotations/{skip}/", verdict("Correct")
    if way == "form":
        turned = line.people["ana"].put(address, data={"result": json.dumps(said)})
    else:
        turned = line.people["ana"].patch(address, json={"result": said, "was_cancelled": way})
    assert (turned.status_code, turned.json()["code"]) == (403, "skip_stays"), turned.text
    assert [one["was_cancelled"] for one in line.task_of("r1")["annotations"]] == [True]


def test_an_address_that_looks_like_anothers_is_another(ls_server_plugin: LabelStudioServer) -> None:
    """Whoever signs up with the long s of old print in a manager's address is not taken for that manager."""
    line = make_line(ls_server_plugin, rows(1), team=TEAM.replace("max-{tag}", "boss-{tag}"), fresh=True)
    boss = line.people["max"]
    twin = ls_server_plugin.new_person(boss.email.replace("boss", "bo\u017fs"))
    applied = line.apply_team(line.team).json()
    assert applied["deactivated"] == []
    status = f"/quorum/api/status?name={line.name}"
    assert (boss.get(status).status_code, twin.get(status).status_code) == (200, 403)


def test_a_seat_that_ran_out_is_not_taken_from_whoever_has_it_now(ls_server_plugin: LabelStudioServer) -> None:
    """A draft saved after the seat was given on takes it from nobody, and holds it again where it is free."""
    line = make_line(ls_server_plugin, rows(1))
    for person in ("ana", "bea"):
        task = line.next(person).json()["id"]
    late = f"""
from datetime import timedelta
from django.utils import timezone
from ls_plugin.models import Grant
Grant.objects.filter(task_id={task}).update(expires_at=timezone.now() - timedelta(minutes=1))
"""
    django(late, ls_server_plugin)
    assert line.next("cal").json()["id"] == task
    for person in ("ana", "bea"):
        draft = line.people[person].post(f"/api/tasks/{task}/drafts", json={"result": verdict("Correct")})
        assert draft.status_code == 201, draft.text
    assert line.next("fin").status_code == 404, "ana holds the second seat again"
    assert line.submit("cal", task, verdict("Correct")).status_code == 201
    assert (line.submit("ana", task, verdict("Correct")).status_code, line.submit("bea", task, []).status_code) == (
        201,
        409,
    )


def test_known_rows_are_not_tried_until_they_are_right(ls_server_plugin: LabelStudioServer) -> None:
    """Whoever has answered all known rows, and was told the outcome, changes none of it by changing the answers."""
    line = make_line(ls_server_plugin, rows(2))
    known = {"r1": {"verdict": "Incorrect"}, "r2": {"verdict": "Incorrect"}}
    assert line.qualify_on(known, bar=1.0).status_code == 200
    _, first = line.answer("ana", verdict("Correct"))
    change = {"result": verdict("Incorrect")}
    assert line.people["ana"].patch(f"/api/annotations/{first}/", json=change).status_code == 200
    _, second = line.answer("ana", verdict("Correct"))
    assert line.next("ana").json()["code"] == "qualify"
    tried = line.people["ana"].patch(f"/api/annotations/{second}/", json=change)
    assert tried.status_code == 200, "as on any row whose QA has not begun"
    assert line.next("ana").json()["code"] == "qualify"


def test_depth_that_is_just_readable_breaks_no_list(ls_server_plugin: LabelStudioServer) -> None:
    """An answer nested almost as deep as Python reads is refused: wrapped into a list it would break it for everybody."""
    line = make_line(ls_server_plugin, rows(1))
    task = line.next("ana").json()["id"]
    region = '{"from_name":"verdict","to_name":"response","type":"choices","value":{"choices":["Correct"],"x":%s}}'
    for deep, status in ((880, 400), (120, 400), (60, 201)):
        result = f"[{region % ('[' * deep + ']' * deep)}]"
        for address in (f"/api/tasks/{task}/drafts", f"/api/tasks/{task}/annotations/"):
            for kind in ({"Content-Type": "application/json"}, {}):
                sent: Any = f'{{"result":{result}}}' if kind else {"result": result}
                if status == 201 and kind and "drafts" not in address:
                    continue  # one answer is enough
                answer = line.people["ana"].post(address, data=sent, headers=kind)
                assert answer.status_code == status, (deep, address, answer.text[:200])
    for path in (
        f"/api/tasks/{task}",
        f"/api/tasks?project={line.projects['pass']}&fields=all",
        f"/api/projects/{line.projects['pass']}/export?exportType=CSV",
    ):
        assert line.call("GET", path).status_code == 200, path
