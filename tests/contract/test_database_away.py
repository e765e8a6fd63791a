"""PostgreSQL away for a while: every answer says so and when to come back, and afterwards all is as before."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
import requests

from tests.contract.plugin_postgres import as_postgres, control, missing, postgres, served
from tests.support.servers import OWNER, LabelStudioServer

pytestmark = [pytest.mark.server, pytest.mark.skipif(bool(missing()), reason=str(missing()))]

HEADERS = {"Authorization": f"Token {OWNER.token}"}
PATHS = ("/api/projects/", "/api/users/", "/quorum/api/status", "/quorum/", "/projects/", "/user/login/", "/health/")


@pytest.fixture(scope="module")
def database() -> Iterator[dict[str, str]]:
    with postgres() as environment:
        yield environment


@pytest.fixture(scope="module")
def server(database: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelStudioServer]:
    with served(tmp_path_factory.mktemp("away"), database) as running:
        yield running


def _get(server: LabelStudioServer, path: str, accept: str, session: dict[str, str]) -> requests.Response:
    return requests.get(
        server.url + path, headers={**HEADERS, "Accept": accept}, cookies=session, timeout=60, allow_redirects=False
    )


def test_a_database_that_is_away_is_said_and_comes_back(server: LabelStudioServer, database: dict[str, str]) -> None:
    """JSON and pages are 503 with a sentence and a time, never a 500; when it is back the first request is answered."""
    with server.log_in_owner() as visitor:
        session = dict(visitor.cookies)
    before = {path: _get(server, path, "application/json", session).status_code for path in PATHS}
    assert max(before.values()) < 500
    stop, start = control(database, "stop", "-m", "immediate"), control(database, "start")
    subprocess.run(as_postgres(*stop), check=True, cwd="/", stdout=subprocess.DEVNULL)
    try:
        for _ in range(2):  # over the connections that broke, and over new ones that are refused
            for accept in ("application/json", "text/html"):
                for path in PATHS:
                    answer = _get(server, path, accept, session)
                    if answer.status_code < 500:
                        continue  # asked nothing of the database
                    assert answer.status_code == 503, (path, accept, answer.text[:300])
                    assert answer.headers["Retry-After"] == "5"
                    assert "The database does not answer; nothing was stored." in answer.text
        assert _get(server, "/api/projects/", "application/json", session).json()["code"] == "no_database"
        assert "<html" in _get(server, "/projects/", "text/html", session).text
    finally:
        subprocess.run(as_postgres(*start), check=True, cwd="/", stdout=subprocess.DEVNULL)
    for _ in range(4):
        after = {path: _get(server, path, "application/json", session).status_code for path in PATHS}
        assert after == before
