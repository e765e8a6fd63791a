"""Whoever manages a campaign and also works in it: at work they are an ordinary person, and what they look at keeps them from it."""

# ruff: noqa: E501

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.contract.plugin_campaign import Line, django, make_line, review, rows, verdict
from tests.support.servers import LabelStudioServer

pytestmark = pytest.mark.server

SECRET = "canary-51b07d"
TEAM = """
people:
  - {id: boss, email: boss-{tag}@quorum.test, roles: [manager, annotator]}
  - {id: chief, email: chief-{tag}@quorum.test, roles: [manager, qa]}
  - {id: head, email: head-{tag}@quorum.test, roles: [manager]}
  - {id: una, email: una-{tag}@quorum.test, roles: [annotator]}
  - {id: ulf, email: ulf-{tag}@quorum.test, roles: [annotator]}
  - {id: quin, email: quin-{tag}@quorum.test, roles: [qa]}
"""
POLICY = "{version: 1, passes: 2, expert_domains: [], order: imported}"


@pytest.fixture(scope="module")
def staff(ls_server_plugin: LabelStudioServer) -> Line:
    """The people, with accounts; each test has a campaign of its own with them."""
    return make_line(ls_server_plugin, [], team=TEAM, policy=POLICY, fresh=True)


@pytest.fixture
def line(staff: Line) -> Line:
    """A campaign of five rows."""
    tag = staff.people["boss"].email.removeprefix("boss-").removesuffix("@quorum.test")
    made = make_line(staff.server, rows(5), team=TEAM.replace("{tag}", tag), policy=POLICY)
    made.people = staff.people
    return made


def both_hold(line: Line) -> tuple[int, int]:
    """A row that boss has in hand and una has answered: its task, and her answer."""
    task = line.next("boss").json()["id"]
    given, answer = line.answer("una", verdict("Incorrect", SECRET))
    assert given == task
    return task, answer


def test_a_manager_at_work_is_shown_what_an_ordinary_person_is(line: Line) -> None:
    """What they have in hand opens without a peer's answer, draft, name or count, and their answer is taken."""
    boss, (task, _) = line.people["boss"], both_hold(line)
    una = line.people["una"]
    for path in (f"/api/tasks/{task}/", f"/api/tasks/{task}/annotations/", f"/api/tasks/{task}/drafts"):
        opened = boss.get(path)
        assert opened.status_code == 200, opened.text
        assert SECRET not in opened.text
        assert una.email not in opened.text
    queue = boss.post(f"/api/dm/actions?id=next_task&project={line.projects['pass']}", json={})
    assert (queue.json()["id"], queue.json()["total_annotations"], queue.json()["annotators"]) == (task, 0, [])
    assert boss.post(f"/api/tasks/{task}/drafts", json={"result": verdict("Correct")}).status_code == 201
    assert line.submit("boss", task, verdict("Correct")).status_code == 201
    assert SECRET in boss.get(f"/api/tasks/{task}/").text  # it has left their hands
    assert line.audit()["faults"] == []


@pytest.mark.parametrize(
    "door",
    [
        "/api/projects/{project}/export?exportType=JSON",
        "/api/tasks?project={project}&fields=all",
        "/api/projects/{project}/tasks/",
        "/quorum/api/tasks?project={project}",
        "/api/projects/{project}/summary/",
        "/api/annotations/{answer}/",
        "/api/tasks/{task}/agreement/",
    ],
)
def test_a_manager_who_looked_gives_no_answer_and_holds_no_seat(line: Line, door: str) -> None:
    """By whatever address they see a row's answers: it is others' from then on, and they are given another."""
    boss, (task, answer) = line.people["boss"], both_hold(line)
    looked = boss.get(door.format(project=line.projects["pass"], task=task, answer=answer))
    assert looked.status_code in (200, 403, 404), looked.text
    late = line.submit("boss", task, verdict("Correct"))
    if looked.status_code != 200:
        assert late.status_code == 201, late.text
        return
    assert (late.status_code, late.json()["code"]) == (403, "excluded")
    assert line.next("boss").json()["id"] != task
    assert line.answer("ulf", verdict("Correct"))[0] == task
    assert line.audit()["faults"] == []


def test_a_peers_draft_counts_as_seen(line: Line) -> None:
    """A draft that a manager opens says what its author is about to answer."""
    boss, una = line.people["boss"], line.people["una"]
    task = line.next("boss").json()["id"]
    assert line.next("una").json()["id"] == task
    draft = una.post(f"/api/tasks/{task}/drafts", json={"result": verdict("Incorrect", SECRET)}).json()["id"]
    assert SECRET in boss.get(f"/api/drafts/{draft}/").text
    late = line.submit("boss", task, verdict("Correct"))
    assert (late.status_code, late.json()["code"]) == (403, "excluded")


def test_an_answer_stays_as_it_is_once_its_author_looked_as_a_manager(line: Line) -> None:
    """A manager cannot bring their own answer in line with a peer's that they looked at."""
    task, mine = line.answer("boss", verdict("Correct"))
    change = line.people["boss"].patch(f"/api/annotations/{mine}/", json={"result": verdict("Partly correct")})
    assert change.status_code == 200, change.text
    assert line.answer("una", verdict("Incorrect", SECRET))[0] == task
    assert SECRET in line.people["boss"].get(f"/api/tasks/{task}/").text
    late = line.people["boss"].patch(f"/api/annotations/{mine}/", json={"result": verdict("Incorrect")})
    assert (late.status_code, late.json()["code"]) == (403, "excluded")
    assert line.audit()["faults"] == []


def test_a_manager_who_saw_the_passes_named_does_no_qa_of_them(line: Line) -> None:
    """QA sees decisions unnamed: whoever saw one with its author, before or after the row came to QA, is not asked."""
    chief = line.people["chief"]
    first, _ = line.answer("una", verdict("Incorrect", SECRET))
    assert SECRET in chief.get(f"/api/tasks/{first}/").text
    assert line.answer("ulf", verdict("Correct"))[0] == first
    assert line.next("chief", "qa").json()["code"] == "no_task"
    second, _ = line.answer("una", verdict("Correct"))
    assert line.answer("ulf", verdict("Correct"))[0] == second
    waiting = line.next("chief", "qa").json()["id"]
    export = chief.get(f"/api/projects/{line.projects['pass']}/export?exportType=JSON")
    assert f'"completed_by":{line.people["una"].user_id}' in export.text
    late = line.submit("chief", waiting, review("accept", "Correct"))
    assert (late.status_code, late.json()["code"]) == (403, "excluded")
    for _ in range(2):
        line.answer("quin", review("correct", "Correct"), "qa")
    assert line.audit()["faults"] == []


def test_whoever_managed_only_and_now_labels_is_kept_from_what_was_answered(line: Line) -> None:
    """A manager who takes up work gets rows that nobody had answered before, since nobody wrote down what they read."""
    task, _ = line.answer("una", verdict("Incorrect", SECRET))
    now = line.team.replace("roles: [manager]}", "roles: [annotator]}")
    assert line.apply_team(now).status_code == 200
    given = line.next("head")
    assert given.status_code == 200, given.text
    assert given.json()["id"] != task
    assert line.submit("head", task, verdict("Correct")).json()["code"] == "not_given"
    assert line.submit("head", given.json()["id"], verdict("Correct")).status_code == 201
    audit = line.audit()
    assert (audit["faults"], audit["kinds"]["could_see"]) == ([], 1)
    assert line.apply_team(line.team).status_code == 200


def test_whoever_works_in_a_campaign_opens_no_way_out_for_its_answers(line: Line) -> None:
    """A webhook or target storage would show its maker peers' answers as they come; a manager who does not work may."""
    project = line.projects["pass"]
    outlets: list[tuple[str, dict[str, Any]]] = [
        (f"/api/webhooks/?project={project}", {"project": project, "url": "http://127.0.0.1:9/x"}),
        (f"/api/storages/export/redis?project={project}", {"project": project, "host": "127.0.0.1", "port": "9"}),
    ]
    for path, body in outlets:
        refused = line.people["boss"].post(path, json=body)
        assert (refused.status_code, refused.json()["code"]) == (403, "outlet"), refused.text
    made = line.people["head"].post(outlets[0][0], json=outlets[0][1])
    assert made.status_code == 201, made.text
    number = made.json()["id"]
    changed = line.people["boss"].patch(f"/api/webhooks/{number}/", json={"url": "http://127.0.0.1:9/y"})
    assert (changed.status_code, changed.json()["code"]) == (403, "outlet")
    assert line.people["head"].delete(f"/api/webhooks/{number}/").status_code == 204


@pytest.fixture
def listener() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A model server that writes down what it is told: its address, and the bodies."""
    told: list[dict[str, Any]] = []

    class Told(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"] or 0)) or b"{}"))
            self.answer()

        def answer(self) -> None:
            body = json.dumps(
                {"status": "UP", "model_version": "m", "results": [{"result": [], "score": 0.5}]}
            ).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Told)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", told
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_model_server_is_told_neither_answers_nor_anothers_token(
    line: Line, listener: tuple[str, list[dict[str, Any]]]
) -> None:
    """Whoever connects a model server learns by it neither what people said nor the owner's token."""
    url, told = listener
    line.answer("una", verdict("Incorrect", SECRET))
    project, head = line.projects["pass"], line.people["head"]
    made = head.post("/api/ml/", json={"project": project, "url": url, "title": "spy", "is_interactive": True})
    assert made.status_code == 201, made.text
    task = line.task_of("r1")["id"]
    asked = head.post(f"/api/ml/{made.json()['id']}/interactive-annotating", json={"task": task})
    assert asked.status_code == 200, asked.text
    everything = json.dumps(told)
    assert any("tasks" in one for one in told)
    assert "Question 1?" in everything
    assert SECRET not in everything
    assert line.server.token not in everything
    assert [one["access_token"] for one in told if "access_token" in one] == [""] * sum(
        "access_token" in one for one in told
    )
    mine = requests.delete(f"{line.server.url}/api/ml/{made.json()['id']}", headers=line.owner, timeout=60)
    assert mine.status_code == 204


def test_a_campaign_keeps_its_projects(line: Line) -> None:
    """A project that left its campaign could be given answers and come back, so it stays while it is there."""
    head = line.people["head"]
    body = {"name": line.name, "task": "classification", "policy": POLICY, "team": line.team}
    swapped = {"pass": line.projects["qa"], "qa": line.projects["pass"], "expert": line.projects["expert"]}
    other = head.post("/api/projects/", json={"title": "elsewhere"}).json()["id"]
    for projects in (swapped, {**line.projects, "pass": other}):
        refused = head.put("/quorum/api/campaign", json={**body, "projects": projects})
        assert (refused.status_code, refused.json()["code"]) == (409, "keeps_projects"), refused.text
    assert head.put("/quorum/api/campaign", json={**body, "projects": line.projects}).status_code == 200


def test_a_manager_changes_nobody_elses_account(line: Line) -> None:
    """Names and organisation of an account are its own to change; the owner of the server may."""
    una = line.people["una"]
    for who in ("head", "boss", "quin"):
        refused = line.people[who].patch(
            f"/api/users/{una.user_id}/", json={"first_name": "x", "active_organization": None}
        )
        assert refused.status_code in (403, 404), refused.text
    assert una.get("/api/current-user/whoami").json()["first_name"] == ""


def test_the_managers_page_names_no_rows_to_whoever_works_there(line: Line) -> None:
    """Who answered which row is on the page of a manager, not of one who may have that row in hand."""
    both_hold(line)
    page = f"/quorum/campaign/{line.status()['id']}/"
    assert "<td>submitted</td>" in line.people["head"].get(page).text
    mine = line.people["boss"].get(page)
    assert mine.status_code == 200, mine.text
    assert "<td>submitted</td>" not in mine.text
    assert "You work in this campaign" in mine.text


def test_an_owner_who_labels_is_kept_from_what_the_admin_pages_show(line: Line) -> None:
    """Django's admin shows every answer, so it counts as having shown all of them."""
    with line.server.log_in_owner() as owner:
        team = line.team + f"  - {{id: owner, email: {owner.email}, roles: [annotator]}}\n"
        assert line.apply_team(team).status_code == 200
        task = owner.get(f"/api/projects/{line.projects['pass']}/next").json()["id"]
        assert line.answer("una", verdict("Incorrect", SECRET))[0] == task
        assert SECRET not in owner.get(f"/api/tasks/{task}/").text
        assert owner.get("/admin/tasks/annotation/").status_code == 200
        late = owner.post(f"/api/tasks/{task}/annotations/", json={"result": verdict("Correct")})
        assert (late.status_code, late.json()["code"]) == (403, "excluded"), late.text
        assert line.audit()["faults"] == []


def test_a_storage_that_is_down_keeps_nobody_from_answering(line: Line) -> None:
    """An answer is sent to target storages when it stands, and stands whether they take it or not."""
    code = f"""
from io_storages.redis.models import RedisExportStorage
RedisExportStorage.objects.create(project_id={line.projects["pass"]}, title="down", host="127.0.0.1", port="9")
"""
    django(code, line.server)
    line.answer("una", verdict("Correct"))
    assert line.audit()["faults"] == []
