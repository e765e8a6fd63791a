"""What a refused caller reads, in JSON and as a page, and what comes out of the database's own rules."""

from __future__ import annotations

import psycopg
import pytest
from django.core.signals import got_request_exception
from django.db import DataError, IntegrityError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from tasks.models import Annotation, Task

from ls_plugin.access.database_away import DatabaseAwayMiddleware
from ls_plugin.store.refusals import REASONS, Refused, exception_handler, from_database
from ls_plugin.store.retries import is_away, was_lost
from review_rules import FaultsError, load_policy
from tests.unit.ls_plugin.support import make_campaign, owner_client, verdict


def _from_psycopg(error: Exception, cause: Exception) -> Exception:
    """An error as Django raises it from one of PostgreSQL's driver."""
    error.__cause__ = cause
    return error


REFUSED_CONNECTION = _from_psycopg(OperationalError("connection failed"), psycopg.OperationalError("refused"))
BROKEN_CONNECTION = _from_psycopg(InterfaceError("the connection is closed"), psycopg.InterfaceError("closed"))
STOPPED = _from_psycopg(OperationalError("terminating connection"), psycopg.errors.AdminShutdown("terminating"))


@pytest.mark.parametrize("code", sorted(REASONS))
def test_each_refusal_has_a_status_and_a_sentence(code: str) -> None:
    """The payload is what programs and people read."""
    payload = Refused(code).payload()
    assert payload["code"] == code
    assert 400 <= payload["status_code"] < 600
    assert payload["detail"].endswith((".", "again.", "setup.", ")."))


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Refused("full"), 409, "full"),
        (IntegrityError("quorum:sealed"), 409, "sealed"),
        (IntegrityError('Key (task_id)=(3) is not present in table "task".'), 409, "closed"),
        (DataError("value too long"), 400, "bad_request"),
        (RecursionError(), 400, "bad_request"),
        (OverflowError(), 400, "bad_request"),
        (ValueError("Field 'id' expected a number but got 'x'."), 400, "bad_request"),
        (OperationalError("database is locked"), 503, "busy"),
        (REFUSED_CONNECTION, 503, "no_database"),
        (BROKEN_CONNECTION, 503, "no_database"),
        (STOPPED, 503, "no_database"),
    ],
)
def test_each_error_becomes_its_refusal(error: Exception, status: int, code: str) -> None:
    """An error that a caller caused, or may try again after, is no fault of the server."""
    response = exception_handler(error, {})
    assert (response.status_code, response.data["code"]) == (status, code)
    assert (response.get("Retry-After") == "5") is (status == 503)


def test_a_page_says_that_the_database_is_away() -> None:
    """Also where a middleware fails, and where Label Studio's own page of a fault would ask the database again."""

    def fails(request: HttpRequest) -> HttpResponse:
        raise REFUSED_CONNECTION

    def answers_with_a_fault(request: HttpRequest) -> HttpResponse:
        try:
            fails(request)
        except OperationalError:
            got_request_exception.send(sender=None, request=request)
        return HttpResponse(status=500)

    for inner in (fails, answers_with_a_fault):
        for accept, words in (("text/html", "<h1>One moment</h1>"), ("application/json", '"code": "no_database"')):
            response = DatabaseAwayMiddleware(inner)(RequestFactory().get("/projects/", HTTP_ACCEPT=accept))
            assert (response.status_code, response["Retry-After"]) == (503, "5")
            assert words in response.content.decode()
    assert (
        DatabaseAwayMiddleware(lambda request: HttpResponse(status=500))(RequestFactory().get("/")).status_code == 500
    )


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("no such table: x"),
        _from_psycopg(OperationalError("full"), psycopg.errors.DiskFull("no space")),
        ValueError("the connection is closed"),
    ],
)
def test_another_fault_is_not_taken_for_a_database_that_is_away(error: Exception) -> None:
    """A retry would not help, so none is promised."""
    assert not is_away(error)


def test_faults_of_a_file_are_told_one_by_one() -> None:
    """The caller learns every fault with its place."""
    with pytest.raises(FaultsError) as raised:
        load_policy("{version: 1, passes: 0}")
    response = exception_handler(raised.value, {})
    assert response.status_code == 400
    assert response.data["faults"]


def test_another_error_is_no_refusal() -> None:
    """What our rules did not raise is left to Label Studio."""
    assert from_database(IntegrityError("UNIQUE constraint failed")) is None
    assert from_database(ValueError("quorum:full")) is None
    assert not was_lost(ValueError("database is locked"))


def test_the_database_refuses_what_no_view_lets_in() -> None:
    """Code that goes past the views meets the triggers: no seat, another author, other data."""
    campaign = make_campaign()
    tasks = campaign.add_rows("r1")
    task, ana = tasks["r1"], campaign.account("ana")
    with pytest.raises(IntegrityError, match="quorum:not_given"):
        Annotation.objects.create(task_id=task, project_id=campaign.place().project_id, completed_by_id=ana, result=[])
    answer = campaign.answer("ana", verdict("Correct"))
    with pytest.raises(IntegrityError, match="quorum:author"):
        Annotation.objects.filter(pk=answer.pk).update(completed_by_id=campaign.account("bea"))
    with pytest.raises(IntegrityError, match="quorum:task_data"):
        Task.objects.filter(pk=task).update(data={"row_id": "other"})


def test_a_refused_page_is_a_page_for_browsers_and_json_for_programs() -> None:
    """A stranger's browser is sent to the sign-in form; a program reads the code."""
    stranger = Client()
    page = stranger.get("/quorum/", HTTP_ACCEPT="text/html")
    assert (page.status_code, page["Location"]) == (302, "/user/login/?next=%2Fquorum%2F")
    assert stranger.get("/quorum/").json()["code"] == "sign_in"
    browser = make_campaign().client("ana").get("/quorum/campaign/987654/", HTTP_ACCEPT="text/html")
    assert browser.status_code == 404
    assert b"no such project" in browser.content


@pytest.mark.parametrize(
    ("headers", "address", "sentence"),
    [
        ({"Content-Type": "application/json; charset=no-such"}, "/api/projects", "character set"),
        ({"Content-Type": "multipart/form-data"}, "/api/projects", "boundary"),
        ({}, "/api/projects?x=%00", "NUL"),
        ({}, "/api/tasks?query=[1]", "JSON object"),
        ({"Origin": "http://[bad"}, "/api/projects", "Origin"),
    ],
)
def test_a_request_that_nobody_can_read_is_refused_at_the_door(
    headers: dict[str, str], address: str, sentence: str
) -> None:
    """Label Studio would take each of these for a fault of its own."""
    response = owner_client().get(address, headers=headers)
    assert response.status_code == 400
    assert sentence in response.json()["detail"]


def test_another_sites_page_may_not_act() -> None:
    """The browser's own word about where a request comes from decides; the same site may act."""
    client = owner_client()
    answers = [
        client.post(
            "/api/projects", {"title": "Beside"}, content_type="application/json", headers={"Sec-Fetch-Site": site}
        )
        for site in ("cross-site", "same-origin")
    ]
    assert [answer.status_code for answer in answers] == [403, 201]
    assert answers[0].json()["code"] == "other_site"
