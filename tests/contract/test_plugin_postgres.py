"""The plugin on a real PostgreSQL 15, with Label Studio's job queue on a real Redis."""

# Requests, and programs that run inside the server, stay readable on one line each.
# ruff: noqa: E501

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from label_studio_quorum.adapters.label_studio import HttpLabelStudio
from label_studio_quorum.servers.processes import Child
from tests.contract import plugin_postgres
from tests.contract.plugin_campaign import Line, django, make_line, review, rows, verdict
from tests.support.servers import LabelStudioServer

pytestmark = [pytest.mark.server, pytest.mark.slow]


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment by which Label Studio finds a PostgreSQL and a Redis of these tests."""
    lacking = plugin_postgres.missing()
    if lacking:
        pytest.skip(lacking)
    with (
        plugin_postgres.postgres() as postgres,
        plugin_postgres.redis(tmp_path_factory.mktemp("redis")) as redis,
    ):
        yield postgres | redis


@pytest.fixture(scope="module")
def server(databases: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelStudioServer]:
    """Label Studio with the plugin, not yet with a worker."""
    with plugin_postgres.served(tmp_path_factory.mktemp("ls-postgres"), databases) as server:
        yield server


@pytest.fixture
def worker(server: LabelStudioServer, databases: dict[str, str], tmp_path: Path) -> Iterator[Child]:
    """Label Studio's RQ worker."""
    with plugin_postgres.worker(server, tmp_path, databases) as child:
        yield child


def _answer_all(line: Line, people: Sequence[str]) -> None:
    for person in people:
        line.answer(person, verdict("Correct"))


def test_twenty_at_once_for_the_last_seat_give_one_answer_on_postgres(server: LabelStudioServer) -> None:
    """Twenty simultaneous submissions for a row's last seat give exactly one 201 on PostgreSQL."""
    people = "\n".join(f"  - {{id: p{n}, email: p{n}-{{tag}}@quorum.test, roles: [annotator]}}" for n in range(21))
    line = make_line(server, rows(1), team=f"people:\n{people}\n", fresh=True)
    task, _ = line.answer("p20", verdict("Correct"))
    crowd = [f"p{n}" for n in range(20)]
    with ThreadPoolExecutor(20) as pool:
        given = sorted(pool.map(lambda person: line.next(person).status_code, crowd))
    assert given == [200, *[404] * 19]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda person: line.submit(person, task, verdict("Correct")), crowd))
    codes = [answer.status_code for answer in answers]
    assert codes.count(201) == 1, [answer.text[:200] for answer in answers]
    assert all(code in (201, 403, 409) for code in codes), codes
    assert len(line.task_of("r1")["annotations"]) == 2


def test_one_person_asking_in_many_windows_at_once_holds_one_seat(server: LabelStudioServer) -> None:
    """Sixteen requests for the next task, sent at once in one person's name, are all given the same task."""
    line = make_line(server, rows(20))
    cookies = line.people["ana"].cookies.get_dict()
    address = f"{server.url}/api/projects/{line.projects['pass']}/next"
    with ThreadPoolExecutor(16) as pool:
        given = list(pool.map(lambda _: requests.get(address, cookies=cookies, timeout=60), range(16)))
    assert {answer.status_code for answer in given} == {200}
    assert len({answer.json()["id"] for answer in given}) == 1


def test_an_answer_sent_while_the_next_task_is_asked_for_ends_its_task(server: LabelStudioServer) -> None:
    """Whoever answers in one window and asks for a task in another is not given the answered one again."""
    # More rows than are answered and skipped: nobody is handed a row that they have skipped.
    line = make_line(server, rows(12))
    ana = line.people["ana"]
    ask = f"{server.url}/api/projects/{line.projects['pass']}/next"
    cookies = ana.cookies.get_dict()
    for skip in [True, False] * 4:
        task = line.next("ana").json()["id"]
        body = {"result": verdict("Correct", "not mine to say"), "was_cancelled": skip}
        answer = f"{server.url}/api/tasks/{task}/annotations/"
        with ThreadPoolExecutor(6) as pool:
            asked = [pool.submit(requests.get, ask, cookies=cookies, timeout=60) for _ in range(3)]
            said = pool.submit(requests.post, answer, json=body, cookies=cookies, timeout=60)
            asked += [pool.submit(requests.get, ask, cookies=cookies, timeout=60) for _ in range(2)]
        assert said.result().status_code == 201, said.result().text
        assert {one.result().status_code for one in asked} == {200}
        assert line.next("ana").json()["id"] != task


def test_numbers_that_postgres_writes_otherwise_are_the_same_answer(server: LabelStudioServer) -> None:
    """An answer with a very large number or a negative zero is not taken for one that was changed since."""
    numbers = ("1e22", "-0.0", "1.2345678901234567e+19")
    line = make_line(server, rows(len(numbers)))
    region = '{"from_name":"verdict","to_name":"response","type":"choices","value":{"choices":["Correct"],"x":%s}}'
    for number in numbers:
        task = line.next("ana").json()["id"]
        body, kind = f'{{"result":[{region % number}]}}', {"Content-Type": "application/json"}
        answer = line.people["ana"].post(f"/api/tasks/{task}/annotations/", data=body, headers=kind)
        assert answer.status_code == 201, answer.text
    assert line.audit()["faults"] == []


def test_licences_alone_do_not_open_a_third_seat_on_postgres(
    server: LabelStudioServer, databases: dict[str, str]
) -> None:
    """With twenty licences for one seat slipped into the database, its own rule still lets in exactly one answer."""
    people = "\n".join(f"  - {{id: p{n}, email: p{n}-{{tag}}@quorum.test, roles: [annotator]}}" for n in range(21))
    line = make_line(server, rows(1), team=f"people:\n{people}\n", fresh=True)
    task, _ = line.answer("p20", verdict("Correct"))
    insert = f"""
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from django.db import IntegrityError, connection
from django.utils import timezone
from ls_plugin.models import Grant, Member
from tasks.models import Annotation, Task
task, now = Task.objects.get(pk={task}), timezone.now()
users = list(Member.objects.filter(campaign__name={line.name!r}).exclude(person_id="p20").values_list("user_id", flat=True))
Grant.objects.bulk_create([Grant(task_id=task.pk, user_id=u, project_id=task.project_id, given_at=now, expires_at=now) for u in users])
def one(user):
    try:
        Annotation.objects.bulk_create([Annotation(task=task, project_id=task.project_id, completed_by_id=user, result=[])])
        return "in"
    except IntegrityError as error:
        return str(error).split("quorum:")[1].split()[0]
    finally:
        connection.close()
with ThreadPoolExecutor(20) as pool:
    print(sorted(pool.map(one, users)))
"""
    printed = django(insert, server, databases)
    assert printed.splitlines()[-1] == str(sorted(["in", *["full"] * 19]))


def test_the_worker_fills_the_review_queue(server: LabelStudioServer, worker: Child) -> None:
    """The second submission's job runs in the worker, and the QA task is there within a moment."""
    line = make_line(server, rows(2))
    _answer_all(line, ["ana", "ana", "bea", "bea"])
    deadline = time.monotonic() + 60
    while line.status()["open"]["qa"] < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert line.status()["open"]["qa"] == 2
    assert worker.exit_code is None
    line.answer("quin", review("accept", "Correct"), "qa")


_CUT = """
import os, time
from core.redis import _redis, start_job_async_or_sync
from django.db import connection
from rq import Worker
from ls_plugin.queue import reconcile
from ls_plugin.models import Campaign

def done(job):
    while job.get_status(refresh=True) not in ("finished", "failed"):
        time.sleep(0.02)
    return job.return_value()

worker = Worker.all(connection=_redis)[0].pid
forked = done(start_job_async_or_sync(os.getpid)) != worker
done(start_job_async_or_sync(reconcile.reconcile_row, Campaign.objects.get(name=NAME).pk, "r1"))
files = [os.readlink(f"/proc/{worker}/fd/{one}") for one in os.listdir(f"/proc/{worker}/fd")]
sockets = {one[len("socket:["):-1] for one in files if one.startswith("socket:[")}
known = [one.split() for one in open("/proc/net/tcp").readlines()[1:]]
ports = [int(one[1].split(":")[1], 16) for one in known if one[9] in sockets]
with connection.cursor() as cursor:
    cursor.execute("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE client_port = ANY(%s)", [ports])
    print(forked, cursor.fetchone()[0])
"""


def test_the_worker_reconciles_itself_forks_for_other_jobs_and_outlives_its_connection(
    server: LabelStudioServer, worker: Child, databases: dict[str, str]
) -> None:
    """Rows are reconciled over one connection that the worker keeps; when the database ends it, the next row makes another."""
    line = make_line(server, rows(1))
    line.answer("ana", verdict("Correct"))
    assert django(_CUT.replace("NAME", repr(line.name)), server, databases).splitlines()[-1] == "True 1"
    line.answer("bea", verdict("Correct"))
    deadline = time.monotonic() + 60
    while line.status()["open"]["qa"] < 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert line.status()["open"]["qa"] == 1
    assert worker.exit_code is None


def test_label_studios_counters_stay_right_while_people_answer_at_once(server: LabelStudioServer) -> None:
    """Each answer is counted once under its label, a changed one under its new label, and data columns once a row."""
    line, people = make_line(server, rows(6)), ("ana", "bea", "cal")

    def work(person: str) -> list[int]:
        """Answer until there is nothing more for this person; the answers."""
        answers = list[int]()
        while (following := line.next(person)).status_code == 200:
            sent = line.submit(person, following.json()["id"], verdict("Correct"))
            assert sent.status_code == 201, sent.text
            answers.append(sent.json()["id"])
        assert following.status_code == 404, following.text
        return answers

    # Who gets how many of the twelve seats is nobody's promise, only that all are given.
    with ThreadPoolExecutor(3) as pool:
        answers = dict(zip(people, pool.map(work, people), strict=True))
    # A seat that was somebody else's for a moment may have been refused to the last who asked.
    answers = {person: answers[person] + work(person) for person in people}
    assert sum(map(len, answers.values())) == 12
    author = max(people, key=lambda person: len(answers[person]))
    changed = line.people[author].patch(
        f"/api/annotations/{answers[author][0]}/", json={"result": verdict("Incorrect")}
    )
    assert changed.status_code == 200, changed.text
    summary = line.call("GET", f"/api/projects/{line.projects['pass']}/summary").json()
    assert summary["created_labels"] == {"verdict": {"Correct": 11, "Incorrect": 1}}
    assert summary["created_annotations"] == {"verdict|response|choices": 12}
    assert set(summary["all_data_columns"].values()) == {6}


def test_without_a_worker_the_next_reviewer_finds_the_work_all_the_same(server: LabelStudioServer) -> None:
    """Jobs that nobody runs leave their mark in the database, and whoever asks for a review has them done first."""
    line = make_line(server, rows(1, "financial"))
    _answer_all(line, ["ana", "bea"])
    assert line.status()["waiting_for_reconcile"] == 1
    line.answer("dag", review("accept", "Correct"), "qa")
    line.call("POST", "/quorum/api/repair", json={"name": line.name})
    assert line.status()["states"]["FINAL"] == 1
    audit = line.audit()
    assert audit["proven"], audit["faults"]


def test_task_data_and_authors_are_fixed_on_postgres(server: LabelStudioServer) -> None:
    """The database refuses a change of a row's data, a second answer by one person, and answers without their person."""
    line = make_line(server, rows(1))
    task, mine = line.answer("ana", verdict("Correct"))
    changed = line.call(
        "PATCH",
        f"/api/tasks/{task}/",
        json={"data": {"row_id": "r1", "context": "other", "query": "q", "response": "r"}},
    )
    assert (changed.status_code, changed.json()["code"]) == (409, "task_data")
    again = line.submit("ana", task, verdict("Incorrect"))
    assert (again.status_code, again.json()["code"]) == (409, "second")
    update = line.people["ana"].patch(f"/api/annotations/{mine}/", json={"result": verdict("Incorrect")})
    assert update.status_code == 200, update.text
    deleted = line.call("DELETE", f"/api/users/{line.people['ana'].user_id}/")
    assert (deleted.status_code, deleted.json()["code"]) == (409, "has_work")


def test_a_change_is_planned_and_made_on_postgres(server: LabelStudioServer) -> None:
    """What the plan says of three passes is what comes of them."""
    line = make_line(server, rows(1))
    _answer_all(line, ["ana", "bea"])
    line.call("POST", "/quorum/api/repair", json={"name": line.name})
    body = {"name": line.name, "policy": line.policy.replace("passes: 2", "passes: 3")}
    plan = line.call("POST", "/quorum/api/plan", json=body).json()
    assert (plan["changes"], plan["cost"]["states"]["after"]) == (["policy: passes 2 → 3"], {"AWAITING_PASSES": 1})
    whole = {"task": "classification", "team": line.team, "projects": line.projects, **body}
    changed = line.call("PUT", "/quorum/api/campaign", json=whole)
    assert changed.status_code == 200, changed.text
    assert line.status()["states"]["AWAITING_PASSES"] == 1


def test_tasks_in_bulk_are_those_of_label_studios_own_list_on_postgres(server: LabelStudioServer) -> None:
    """What exports read in bulk is, object for object, what Label Studio's own task list gives: texts, answers, times. What
    somebody's form opened with is the plugin's own knowledge, and in bulk alone."""
    line = make_line(server, rows(4))
    line.answer("ana", verdict("Correct", 'odd "text" \\ 😀 \u2028 \t\r\n שלום'))
    line.answer("bea", verdict("Incorrect"))
    with HttpLabelStudio(server.url, server.token) as port:
        assert port.task_lines(line.projects["pass"]) is not None
        bulk = list(port.tasks(line.projects["pass"]))
        port._in_bulk = False
        pages = list(port.tasks(line.projects["pass"]))
    assert all(answer.shown is not None for task in bulk for answer in task.annotations)
    unshown = [
        replace(task, annotations=tuple(replace(answer, shown=None) for answer in task.annotations)) for task in bulk
    ]
    assert unshown == pages
    assert [len(task.annotations) for task in bulk].count(0) < len(bulk) == 4


def test_a_lock_that_was_waited_for_holds_the_tasks_made_meanwhile(
    server: LabelStudioServer, databases: dict[str, str]
) -> None:
    """Whoever waits for a row's slots gets those too that the one before has added, so that no circle of locks forms."""
    line = make_line(server, rows(1))
    script = f"""
import time
from threading import Thread
from django.db import connection, transaction
from ls_plugin.models import Campaign, CampaignProject, Slot, Stage
from ls_plugin.store.slots import lock_rows
campaign = Campaign.objects.get(name={line.name!r}).pk
home = {{one.stage: one.project_id for one in CampaignProject.objects.filter(campaign_id=campaign)}}
seen = []
def second():
    with transaction.atomic():
        held = [slot.task_id for slot in lock_rows(campaign, ["r1"])]
        def third():
            with transaction.atomic():
                seen.append(len(Slot.objects.filter(row_id="r1", task_id__in=held).select_for_update(skip_locked=True)))
            connection.close()
        other = Thread(target=third); other.start(); other.join()
        seen.append(len(held))
    connection.close()
with transaction.atomic():
    lock_rows(campaign, ["r1"])
    waiting = Thread(target=second); waiting.start()
    blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_clear_snapshot()")  # else a transaction sees what it saw first
            cursor.execute(blocked)
            if cursor.fetchone()[0]:
                break
        time.sleep(0.02)
    Slot.objects.create(task_id=10**6, project_id=home[Stage.QA], stage=Stage.QA, row_id="r1")
waiting.join()
Slot.objects.filter(task_id=10**6).delete()
print(seen)
"""
    assert django(script, server, databases).splitlines()[-1] == "[0, 2]"


def test_people_at_work_while_every_row_is_reconciled_never_meet_a_500(
    server: LabelStudioServer, worker: Child, databases: dict[str, str]
) -> None:
    """With all rows reconciled over and over, nobody who asks for tasks, answers or corrects is told of a lost race."""
    line = make_line(server, rows(40, "financial"))
    stop, seen = threading.Event(), list[tuple[str, int, str]]()
    deadline = time.monotonic() + 300

    def tell(what: str, answer: requests.Response) -> requests.Response:
        seen.append((what, answer.status_code, answer.text[:300]))
        return answer

    def reconcile() -> None:
        while not stop.is_set():
            tell("repair", line.call("POST", "/quorum/api/repair", json={"name": line.name, "all": True}))

    def passes() -> int:
        return sum(what == "submit pass" and code == 201 for what, code, _ in list(seen))

    def work(person: str, stage: str) -> None:
        # Who finds nothing waits for the others: nobody's share of the rows is fixed.
        while passes() < 80 and time.monotonic() < deadline:
            given = tell("next", line.next(person, stage))
            if given.status_code != 200:
                time.sleep(0.3)
                continue
            said = verdict("Correct") if stage == "pass" else review("accept", "Correct")
            done = tell(f"submit {stage}", line.submit(person, given.json()["id"], said))
            if done.status_code == 201 and stage == "pass":
                tell(
                    "correct",
                    line.people[person].patch(f"/api/annotations/{done.json()['id']}/", json={"result": said}),
                )

    team = [("ana", "pass"), ("bea", "pass"), ("cal", "pass"), ("quin", "qa"), ("anq", "qa"), ("dag", "qa")]
    with ThreadPoolExecutor(8) as pool:
        managers = [pool.submit(reconcile) for _ in range(2)]
        people = [pool.submit(work, *one) for one in team]
        for one in people:
            one.result()
        stop.set()
        for one in managers:
            one.result()
    assert [one for one in seen if one[1] >= 500] == []
    assert passes() >= 80, Counter((what, code) for what, code, _ in seen)
    log = (Path(databases["QUORUM_TEST_LOG"])).read_text(errors="replace")
    assert "deadlock detected" not in log, log[log.index("deadlock detected") :][:2000]
    assert worker.exit_code is None
