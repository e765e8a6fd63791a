"""The plugin in the server: rules for every route, review queues, hand-out, record, pages, and life without it."""

# Requests, and programs that run inside the server, stay readable on one line each.
# ruff: noqa: E501

from __future__ import annotations

import re
import shutil
import sqlite3
import threading
import time
from pathlib import Path

import pytest
import requests

from label_studio_quorum.adapters.web_session import VisitError, Visitor
from label_studio_quorum.servers import label_studio
from label_studio_quorum.servers.label_studio import WITH_PLUGIN
from label_studio_quorum.servers.processes import free_port
from tests.contract.plugin_campaign import POLICY, WALK, Line, django, make_line, review, rows, verdict
from tests.support.servers import LabelStudioServer, label_studio_server, start

pytestmark = pytest.mark.server

_RULES = """
from ls_plugin.access import gate, table
every = [(route, gate.view_name(callback)) for route, callback in every]
print("routes", len(every))
for route, view in every:
    if table.find_rule(route, view) is None:
        print("NO RULE", route, view)
seen = {route for route, _ in every} | {view for _, view in every}
for stated in [*table.ROUTES, *table.VIEWS]:
    if stated not in seen:
        print("NO ROUTE", stated)
for name, rule in [*table.ROUTES.items(), *table.VIEWS.items()]:
    if min(rule.methods.values()) <= table.Who.WORKER and rule.show is None: print("UNFILTERED", name)
"""


def test_every_route_has_a_stated_rule() -> None:
    """Each address of the server has a rule, each rule an address, and whatever people may read goes through a filter."""
    lines = django(WALK + _RULES).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("routes"))
    assert int(lines[start].split()[1]) > 300
    assert lines[start + 1 :] == []


def test_a_version_that_was_not_tested_is_refused_unless_forced() -> None:
    """Another Label Studio stops the process with one clear line; QUORUM_FORCE_VERSION=1 lets it go on."""
    from ls_plugin.version import refuse_untested

    with pytest.raises(SystemExit) as stopped:
        refuse_untested({}, installed="1.99.0")
    assert "1.99.0 was not tested" in str(stopped.value)
    assert "\n" not in str(stopped.value)
    refuse_untested({"QUORUM_FORCE_VERSION": "1"}, installed="1.99.0")


def test_a_row_goes_through_to_the_end_in_the_server(ls_server_plugin: LabelStudioServer) -> None:
    """Pass, pass, QA that escalates, expert: each queue fills by itself, and the record proves it was blind."""
    line = make_line(ls_server_plugin, rows(1))
    line.answer("ana", verdict("Correct"))
    assert line.status()["open"]["qa"] == 0
    line.answer("bea", verdict("Incorrect"))
    assert line.status()["states"]["AWAITING_QA"] == 1
    line.answer("quin", review("escalate", "Correct", "beyond me"), "qa")
    assert line.status()["states"]["AWAITING_EXPERT"] == 1
    line.answer("eve", review("correct", "Incorrect"), "expert")
    status, audit = line.status(), line.audit()
    assert status["states"]["FINAL"] == 1
    assert (audit["proven"], audit["answers"], audit["faults"]) == (True, 4, [])


def test_a_second_reconcile_changes_nothing(ls_server_plugin: LabelStudioServer) -> None:
    """Repairing a campaign that is in order leaves its tasks as they are."""
    line = make_line(ls_server_plugin, rows(3))
    for _ in range(3):
        line.answer("ana", verdict("Correct"))
        line.answer("bea", verdict("Incorrect"))
    before = line.call("GET", "/api/tasks", params={"project": line.projects["qa"]}).json()
    done = line.call("POST", "/quorum/api/repair", json={"name": line.name, "all": True})
    assert done.json() == {"name": line.name, "reconciled": 3, "mended": [], "faults": []}
    assert line.call("GET", "/api/tasks", params={"project": line.projects["qa"]}).json() == before


def test_next_is_the_task_in_hand_until_it_is_answered(ls_server_plugin: LabelStudioServer) -> None:
    """Asking again gives the same task by both ways, so nobody picks and chooses."""
    line = make_line(ls_server_plugin, rows(5))
    first = line.next("ana").json()["id"]
    assert line.next("ana").json()["id"] == first
    project = line.projects["pass"]
    stream = line.people["ana"].post(
        f"/api/dm/actions?id=next_task&project={project}",
        json={"selectedItems": {"all": False, "included": [first + 1]}},
    )
    assert stream.json()["id"] == first
    assert (
        line.people["ana"].post(f"/api/dm/actions?id=next_task&id=delete_tasks&project={project}", json={}).status_code
        == 403
    )


def test_a_task_put_off_comes_back_at_the_end(ls_server_plugin: LabelStudioServer) -> None:
    """A postponed draft gives the next task, and the postponed one when nothing else is left."""
    line = make_line(ls_server_plugin, rows(2))
    first = line.next("ana").json()["id"]
    body = {"result": verdict("Correct"), "was_postponed": True}
    assert line.people["ana"].post(f"/api/tasks/{first}/drafts", json=body).status_code == 201
    second = line.next("ana").json()["id"]
    assert second != first
    assert line.submit("ana", second, verdict("Correct")).status_code == 201
    assert line.next("ana").json()["id"] == first


def test_a_skipped_row_comes_back_when_a_manager_gives_it_back(ls_server_plugin: LabelStudioServer) -> None:
    """A skip frees the seat for others and is final; the manager's figure keeps it also once it was given back."""
    line = make_line(ls_server_plugin, rows(1))
    first = line.next("ana").json()["id"]
    assert line.submit("ana", first, [], was_cancelled=True).json()["code"] == "skip_reason"
    assert line.submit("ana", first, verdict("Correct", "the source is gone"), was_cancelled=True).status_code == 201
    assert line.next("ana").json()["code"] == "no_task"
    given = line.people["max"].post("/quorum/api/skips", json={"name": line.name, "person": "ana"})
    assert given.json() == {"person": "ana", "given_back": ["r1"]}
    assert line.next("ana").json()["id"] == first
    assert line.submit("ana", first, verdict("Correct")).status_code == 201
    assert {person["id"]: person["skipped"] for person in line.status()["people"]}["ana"] == 1
    assert line.audit()["faults"] == []


def test_rows_that_need_an_expert_go_through_the_passes_first(ls_server_plugin: LabelStudioServer) -> None:
    """An annotator is given expert rows before general ones; an annotator who is an expert takes general rows last."""
    line = make_line(ls_server_plugin, rows(2) + rows(2, "technical", "t") + rows(2, "financial", "f"))
    seen = [line.answer("ana", verdict("Correct"))[0] for _ in range(6)]
    data = {
        one["id"]: one["data"]["domain"]
        for one in line.call("GET", "/api/tasks", params={"project": line.projects["pass"]}).json()["tasks"]
    }
    assert [data[task] == "general" for task in seen] == [False] * 4 + [True] * 2
    assert line.next("fin").json()["data"]["domain"] == "financial"


def test_in_qa_an_expert_gets_what_asks_for_one_first(ls_server_plugin: LabelStudioServer) -> None:
    """With general and technical rows waiting, the expert in QA is given the technical one, QA staff the general one."""
    line = make_line(ls_server_plugin, rows(1) + rows(1, "technical", "t"))
    for _ in range(2):
        line.answer("ana", verdict("Correct"))
        line.answer("bea", verdict("Correct"))
    assert line.next("dag", "qa").json()["data"]["row_id"] == "t1"
    assert line.next("quin", "qa").json()["data"]["row_id"] == "r1"


def test_the_audit_finds_what_was_tampered_with(tmp_path: Path) -> None:
    """A changed line, a removed line, a changed answer and a peer's answer shown before submitting are each found."""
    with label_studio_server(tmp_path, WITH_PLUGIN) as server:
        line = make_line(server, rows(1), fresh=True)
        line.answer("ana", verdict("Correct"))
        line.answer("bea", verdict("Incorrect"))
        whole = line.audit()
        assert whole["proven"], whole["faults"]
        database = server.data_dir / "label_studio.sqlite3"

        def tamper(sql: str) -> set[str]:
            """Do it, audit, undo it."""
            kept = tmp_path / "kept.sqlite3"
            with sqlite3.connect(database) as source, sqlite3.connect(kept) as copy:
                source.backup(copy)
            with sqlite3.connect(database) as base:
                assert base.execute(sql).rowcount > 0
            base.close()
            found = {fault["code"] for fault in line.audit(head=whole["head"])["faults"]}
            with sqlite3.connect(kept) as copy, sqlite3.connect(database) as source:
                copy.backup(source)
            for one in (copy, source):
                one.close()
            return found

        assert "changed" in tamper("UPDATE ls_plugin_record SET user_id = user_id + 1 WHERE kind = 'submitted'")
        assert {"gap", "chain"} <= tamper("DELETE FROM ls_plugin_record WHERE seq = 3")
        assert {"end", "kept"} <= tamper(
            "DELETE FROM ls_plugin_record WHERE seq = (SELECT max(seq) FROM ls_plugin_record)"
        )
        assert tamper("UPDATE task_completion SET result = '[]' WHERE id = (SELECT min(id) FROM task_completion)") == {
            "content"
        }
        assert "gone" in tamper("DELETE FROM task_completion WHERE id = (SELECT min(id) FROM task_completion)")
        assert {"end", "changed"} <= tamper(
            "INSERT INTO ls_plugin_record SELECT seq + 1, at, kind, campaign_id, user_id, task_id, row_id, body, hash, hash FROM ls_plugin_record WHERE seq = (SELECT max(seq) FROM ls_plugin_record)"
        )
        assert "unrecorded" in tamper(
            "INSERT INTO task_completion (result, was_cancelled, ground_truth, created_at, updated_at, task_id, project_id, completed_by_id, result_count, bulk_created) SELECT result, was_cancelled, ground_truth, created_at, updated_at, task_id, project_id, completed_by_id, result_count, bulk_created FROM task_completion LIMIT 1"
        )
        plant = f"""
from ls_plugin.store import audit_log
from ls_plugin.models import Record
said = Record.objects.filter(kind="submitted").order_by("-seq").first()
audit_log.write(audit_log.Entry("shown", said.user_id, said.campaign_id, said.task_id, said.row_id, {{"others": [1], "stage": "pass"}}),
             audit_log.Entry("changed", said.user_id, said.campaign_id, said.task_id, said.row_id, {{"annotation": {line.task_of("r1")["annotations"][-1]["id"]}, "digest": "x"}}))
"""
        django(plant, server)
        assert "not_blind" in {fault["code"] for fault in line.audit()["faults"]}


_CONNECTIONS = """
import threading
from django.db import connection
def armed():
    with connection.cursor() as cursor:
        return cursor.execute("SELECT count(*) FROM sqlite_temp_master WHERE type = 'trigger'").fetchone()[0]
print("loaded", connection.connection is not None, armed())
connection.close()
print("again", armed())
late = threading.Thread(target=lambda: print("thread", armed()))
late.start(); late.join()
"""


def test_every_connection_has_the_rules_however_early_or_late_it_was_made(ls_server_plugin: LabelStudioServer) -> None:
    """The connection that Label Studio opens while being loaded, one after it, and a thread's own are all armed."""
    from ls_plugin.store.triggers import _SQLITE

    lines = django(_CONNECTIONS, ls_server_plugin).splitlines()[-3:]
    assert lines == [f"loaded True {len(_SQLITE)}", f"again {len(_SQLITE)}", f"thread {len(_SQLITE)}"]


def test_without_the_plugin_the_database_is_a_plain_label_studio(tmp_path: Path) -> None:
    """The same data served by stock settings: a third answer is accepted, rows and projects change, nothing complains."""
    with label_studio_server(tmp_path, WITH_PLUGIN) as server:
        line = make_line(server, rows(2), fresh=True)
        task, _ = line.answer("ana", verdict("Correct"))
        line.answer("bea", verdict("Correct"))
        server.child.stop()
        port = free_port()
        stock = label_studio.server(server.data_dir, port, tmp_path / "stock.log")
        try:
            start(stock, port, label_studio.is_up)
            plain = f"http://127.0.0.1:{port}"
            assert (
                "plugin" not in requests.get(f"{plain}/quorum/api/version", headers=line.owner, timeout=60).text[:200]
            )
            for body in ({"result": verdict("Correct")}, {"result": verdict("Incorrect")}):
                third = requests.post(
                    f"{plain}/api/tasks/{task}/annotations/", json=body, headers=line.owner, timeout=60
                )
                assert third.status_code == 201, third.text
            changed = requests.patch(
                f"{plain}/api/tasks/{task}/",
                json={"data": {"row_id": "r1", "query": "other"}},
                headers=line.owner,
                timeout=60,
            )
            assert changed.status_code == 200, changed.text
            gone = requests.delete(f"{plain}/api/projects/{line.projects['pass']}/", headers=line.owner, timeout=60)
            assert gone.status_code == 204, gone.text
        finally:
            stock.stop()


def test_a_reconcile_that_fails_undoes_no_answer(ls_server_plugin: LabelStudioServer) -> None:
    """An answer stands when the job after it fails; the row keeps its mark, and is reconciled once that can be done."""
    line = make_line(ls_server_plugin, rows(1))
    task = line.next("ana").json()["id"]
    assert line.next("bea").json()["id"] == task
    put = "from ls_plugin.models import Campaign\nCampaign.objects.filter(name={!r}).update(policy_text={!r})"
    django(put.format(line.name, "version: none of ours"), line.server)
    for person in ("ana", "bea"):
        done = line.submit(person, task, verdict("Correct"))
        assert done.status_code == 201, done.text
    django(put.format(line.name, line.policy), line.server)
    assert line.status()["waiting_for_reconcile"] == 1
    assert line.call("POST", "/quorum/api/repair", json={"name": line.name}).json()["reconciled"] == 1
    assert line.status()["states"]["AWAITING_QA"] == 1


def test_a_server_killed_at_any_moment_loses_no_row(tmp_path: Path) -> None:
    """Killed again and again amid submissions, the server comes back with one QA task for each row that has two passes."""
    with label_studio_server(tmp_path, WITH_PLUGIN) as server:
        line, answered = make_line(server, rows(12), fresh=True), list[int]()
        # More answers than rows in the end, so that some row has its two passes, whoever got which.
        for enough in (4, 9, 14):
            stop = threading.Event()

            def work(person: str, stop: threading.Event = stop) -> None:
                with Visitor(line.server.url, line.people[person].email, line.people[person].password) as me:
                    me.cookies.update(line.people[person].cookies)
                    while not stop.is_set():
                        try:
                            given = me.get(f"/api/projects/{line.projects['pass']}/next", timeout=10)
                            if given.status_code != 200:
                                time.sleep(0.05)  # others hold what is left
                                continue
                            answer = me.post(
                                f"/api/tasks/{given.json()['id']}/annotations/",
                                json={"result": verdict("Correct")},
                                timeout=10,
                            )
                            answered.extend([answer.json()["id"]] if answer.status_code == 201 else [])
                        except requests.RequestException:
                            return

            crowd = [threading.Thread(target=work, args=(person,)) for person in ("ana", "bea", "cal")]
            for one in crowd:
                one.start()
            deadline = time.monotonic() + 120
            while len(answered) < enough and time.monotonic() < deadline:
                time.sleep(0.01)
            server.child.kill()
            stop.set()
            for one in crowd:
                one.join()
            server.restart()
        requests.get(f"{server.url}/health/", timeout=30)
        deadline = time.monotonic() + 60
        while line.status()["waiting_for_reconcile"] and time.monotonic() < deadline:
            time.sleep(0.2)
        with sqlite3.connect(server.data_dir / "label_studio.sqlite3") as base:
            full = base.execute(
                "SELECT count(*) FROM (SELECT task_id FROM task_completion WHERE project_id = ? GROUP BY task_id HAVING count(*) = 2)",
                (line.projects["pass"],),
            ).fetchone()[0]
            asked = base.execute("SELECT count(*) FROM task WHERE project_id = ?", (line.projects["qa"],)).fetchone()[0]
            more = base.execute(
                "SELECT count(*) FROM (SELECT task_id FROM task_completion GROUP BY task_id HAVING count(*) > 2)"
            ).fetchone()[0]
        base.close()
        assert full > 0
        assert (asked, more) == (full, 0)
        assert line.audit()["faults"] == []


def test_pages_are_drawn_on_the_server_and_need_nothing_from_outside(ls_server_plugin: LabelStudioServer) -> None:
    """The manager's page and a person's page carry a strict content policy, no script and no address outside."""
    line = make_line(ls_server_plugin, [*rows(2), {**rows(1)[0], "id": "<script>alert(1)</script>"}])
    line.answer("ana", verdict("Correct"))
    number = line.status()["id"]
    for person, path in (("max", f"/quorum/campaign/{number}/"), ("ana", "/quorum/mine/")):
        page = line.people[person].get(path)
        assert page.status_code == 200, page.text[:300]
        assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert "<script" not in page.text
        assert "http://" not in page.text
        assert "https://" not in page.text
    mine = line.people["ana"].get("/quorum/mine/").text
    assert not [person for person in ("bea", "chi", "dag") if re.search(rf"\b{person}\b", mine)]
    assert line.people["ana"].get(f"/quorum/campaign/{number}/", headers={"Accept": "text/html"}).status_code == 404


def test_infeasible_rows_are_named_before_anybody_starts(ls_server_plugin: LabelStudioServer) -> None:
    """A team without an expert of a domain is told how many rows it cannot finish."""
    team = "people:\n  - {id: ana, email: ana-all@quorum.test, roles: [annotator]}\n  - {id: bea, email: bea-all@quorum.test, roles: [annotator]}\n  - {id: quin, email: quin-all@quorum.test, roles: [qa]}\n"
    line = make_line(ls_server_plugin, rows(2) + rows(12, "financial", "f"), team=team)
    status = line.status()
    assert status["infeasible"] == 12
    assert any(need["infeasible"] == 12 and "financial" in need["what"] for need in status["needs"])


def test_a_team_without_manager_keeps_the_owner(ls_server_plugin: LabelStudioServer) -> None:
    """The owner can always manage; the manager of another campaign does not see this one's answers if he works in it."""
    line = make_line(ls_server_plugin, rows(2))
    assert line.people["max"].get(f"/api/projects/{line.projects['pass']}/export?exportType=JSON").status_code == 200
    other = make_line(ls_server_plugin, rows(2), team=line.team.replace("roles: [manager]", "roles: [annotator]"))
    assert line.people["max"].get(f"/api/projects/{other.projects['pass']}/export?exportType=JSON").status_code == 403
    assert line.people["max"].get("/api/predictions/").status_code == 403
    assert line.people["max"].get(f"/quorum/api/status?name={other.name}").status_code == 404


def test_a_manager_who_also_works_is_kept_from_rows_that_were_shown(ls_server_plugin: LabelStudioServer) -> None:
    """Whoever manages and annotates may not answer a row after looking at its answers."""
    line = make_line(
        ls_server_plugin,
        rows(2),
        team="people:\n  - {id: boss, email: boss-{tag}@quorum.test, roles: [manager, annotator]}\n  - {id: ana, email: ana-all@quorum.test, roles: [annotator]}\n  - {id: bea, email: bea-all@quorum.test, roles: [annotator]}\n  - {id: quin, email: quin-all@quorum.test, roles: [qa]}\n",
        fresh=False,
    )
    line.people["ana"].get("/")
    task, _ = line.answer("ana", verdict("Correct"))
    boss = line.people["boss"]
    assert boss.get(f"/api/tasks/{task}/").status_code == 200
    assert line.next("boss").json()["id"] != task
    forced = line.submit("boss", task, verdict("Correct"))
    assert (forced.status_code, forced.json()["code"]) == (403, "not_given")
    assert line.audit()["proven"]


def test_stock_projects_stay_stock_for_managers(ls_server_plugin: LabelStudioServer) -> None:
    """In a project of no campaign the owner does what Label Studio lets him; people do not see it."""
    line = make_line(ls_server_plugin, rows(1))
    made = line.call(
        "POST",
        "/api/projects/",
        json={
            "title": f"plain {line.name}",
            "label_config": "<View><Text name='t' value='$t'/><Choices name='c' toName='t'><Choice value='a'/></Choices></View>",
        },
    )
    project = made.json()["id"]
    line.call("POST", f"/api/projects/{project}/import", json=[{"data": {"t": "x"}}])
    task = line.call("GET", f"/api/projects/{project}/next").json()["id"]
    for _ in range(3):
        assert line.call("POST", f"/api/tasks/{task}/annotations/", json={"result": []}).status_code == 201
    assert line.call("PATCH", f"/api/tasks/{task}/", json={"data": {"t": "y"}}).status_code == 200
    assert line.people["ana"].get(f"/api/projects/{project}/").status_code == 404
    assert line.people["ana"].get(f"/api/tasks/{task}/").status_code == 404
    assert line.call("DELETE", f"/api/projects/{project}/").status_code == 204


def test_a_faulty_file_is_refused_with_its_lines(ls_server_plugin: LabelStudioServer) -> None:
    """Policy and team files with faults change nothing and are answered with each fault's line and column."""
    line = make_line(ls_server_plugin, [])
    body = {
        "name": line.name,
        "task": "classification",
        "policy": POLICY + "surprise: 1\n",
        "team": line.team,
        "projects": line.projects,
    }
    refused = line.call("PUT", "/quorum/api/campaign", json=body)
    assert (refused.status_code, refused.json()["code"]) == (400, "faults")
    assert refused.json()["faults"][0]["line"] == len(POLICY.splitlines()) + 1
    assert line.apply_team("people: [{id: x, roles: [king]}]").status_code == 400


def test_one_time_passwords_are_given_once(ls_server_plugin: LabelStudioServer) -> None:
    """An account's password stands in the answer that made it; a second run makes nothing and shows none."""
    line: Line = make_line(ls_server_plugin, [], fresh=True)
    again = line.apply_team(line.team).json()
    assert (again["created"], sorted(again["linked"])) == ([], sorted(line.people))
    with pytest.raises(VisitError):
        line.server.log_in(line.people["ana"].email, "guess-guess-guess")


def test_the_settings_module_copies_nothing_into_a_stock_server(tmp_path: Path) -> None:
    """A copy of the database taken while the plugin ran opens with stock settings and no trigger of ours in it."""
    with label_studio_server(tmp_path, WITH_PLUGIN) as server:
        copied = tmp_path / "copy.sqlite3"
        with sqlite3.connect(server.data_dir / "label_studio.sqlite3") as source, sqlite3.connect(copied) as copy:
            source.backup(copy)
            assert copy.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall() == []
        for one in (source, copy):
            one.close()
    shutil.rmtree(tmp_path, ignore_errors=True)


def test_people_qualify_on_known_rows_among_others(ls_server_plugin: LabelStudioServer) -> None:
    """Everybody is asked the rows with known answers, mixed among others; only above the bar do more rows follow."""
    line = make_line(ls_server_plugin, [*rows(2, prefix="gold"), *rows(12)])
    values = {"gold1": {"verdict": "Correct"}, "gold2": {"verdict": "Incorrect"}}
    assert line.qualify_on(values, bar=0.8).status_code == 200
    known = {"gold1": "Correct", "gold2": "Incorrect"}
    for person in ("ana", "bea", "cal"):
        asked = set(known)
        while asked:
            given = line.next(person).json()
            row_id = given["data"]["row_id"]
            said = "Correct" if person == "cal" else known.get(row_id, "Correct")
            assert line.submit(person, given["id"], verdict(said)).status_code == 201
            asked.discard(row_id)
    assert line.next("ana").json()["data"]["row_id"].startswith("r")
    assert line.next("bea").json()["data"]["row_id"].startswith("r")
    refused = line.next("cal")
    assert (refused.status_code, refused.json()["code"]) == (404, "qualify")
    status = line.status()
    shares = {one["id"]: one["known_right"] for one in status["people"]}
    assert (shares["ana"], shares["cal"], shares["fin"]) == (1.0, 0.5, None)
    assert status["qualification"] == {"rows": 2, "missing": 0, "bar": 0.8}
    assert "Known right" in line.people["max"].get(f"/quorum/campaign/{status['id']}/").text
    faulty = line.qualify_on({}, bar=2)
    assert (faulty.status_code, faulty.json()["code"]) == (400, "bad_request")
