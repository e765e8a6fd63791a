"""Rows that are read again by their ids: however many and however long, no address is too long for a server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from label_studio_quorum.adapters.label_studio import HttpLabelStudio

GUNICORN = 4094
"""The longest request line that gunicorn takes unless told otherwise."""
TIME = "2026-01-05T10:00:00Z"


@contextmanager
def stock_server(row_ids: list[str]) -> Iterator[tuple[str, list[int]]]:
    """A server that knows these rows, and as little of addresses as gunicorn; its address, and what lengths came."""
    lengths: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            lengths.append(len(self.requestline))
            if lengths[-1] > GUNICORN:
                self.send_error(HTTPStatus.REQUEST_URI_TOO_LONG)
                return
            parts = urlsplit(self.path)
            if parts.path != "/api/tasks":
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            filters = json.loads(parse_qs(parts.query)["query"][0])["filters"]["items"]
            asked = {each["value"] for each in filters if each["filter"] == "filter:tasks:data.row_id"}
            rows = [row_id for row_id in row_ids if row_id in asked or not asked]
            self._answer({"tasks": [task(number, row_id) for number, row_id in enumerate(rows, start=1)]})

        def _answer(self, body: dict[str, Any]) -> None:
            content = json.dumps(body).encode()
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", lengths
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def task(number: int, row_id: str) -> dict[str, Any]:
    """A task as Label Studio's list gives it."""
    times = {"created_at": TIME, "updated_at": TIME}
    return {"id": number, "project": 1, "data": {"row_id": row_id}, "overlap": 2, "is_labeled": False, **times}


@pytest.mark.parametrize(
    "row_id",
    [
        "r{}",
        "a-row-of-the-usual-length-{:04}",
        "zeile/{}/" + "/" * 200,
        "行{}" + "文" * 120,
        "r{} & more=less",
        "x{}" + "é" * 490,
    ],
    ids=["short", "usual", "slashes", "wide", "reserved", "longest"],
)
def test_any_number_of_rows_is_read_again(row_id: str) -> None:
    """Each row comes once, whatever its id is made of."""
    rows = [row_id.format(number) for number in range(120)]
    with stock_server(rows) as (url, lengths), HttpLabelStudio(url, "a" * 40) as port:
        tasks = list(port.tasks(1, row_ids=rows[:-1]))
    assert sorted(each.row_id for each in tasks) == sorted(rows[:-1])
    assert max(lengths) <= GUNICORN
