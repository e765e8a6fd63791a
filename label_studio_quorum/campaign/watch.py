"""Keep a campaign in line all the time: webhooks wake it, a timer wakes it anyway.

A webhook says only that something changed; what changed is read from the server. So a webhook that is lost, doubled,
forged or out of order costs at most a read.
"""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from label_studio_quorum.campaign.projects import STAGES, Campaign, is_current
from label_studio_quorum.campaign.reconcile import ReconcileReport, reconcile
from label_studio_quorum.campaign.snapshot import Snapshot
from label_studio_quorum.campaign.webhooks import SECRET_HEADER, WebhookTarget, save_webhook
from label_studio_quorum.port import LabelStudio, ServerError

_GATHER_S: Final = 0.2
_MOST_BODY: Final = 1_000_000


@dataclass(kw_only=True)
class Listener:
    """The webhook receiver: an HTTP server that only sets `woken`, and only for who knows the secret."""

    host: str
    port: int
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    woken: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def listening(self) -> Iterator[str]:
        """Listen while the block runs; gives the address.

        Raises:
            OSError: The port is taken.
        """
        server = ThreadingHTTPServer((self.host, self.port), self._handler())
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, name="webhooks", daemon=True)
        thread.start()
        try:
            yield f"http://{self.host}:{server.server_address[1]}/"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = self.headers.get("Content-Length", "0")
                if not length.isdigit() or int(length) > _MOST_BODY:
                    self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
                    return
                self.rfile.read(int(length))
                secret = self.headers.get(SECRET_HEADER, "")
                if not hmac.compare_digest(secret.encode(), listener.secret.encode()):
                    self._answer(HTTPStatus.FORBIDDEN)
                    return
                listener.woken.set()
                self._answer(HTTPStatus.NO_CONTENT)

            def _answer(self, status: HTTPStatus) -> None:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing: requests carry what people did."""

        return Handler


@contextmanager
def registered(
    port: LabelStudio, campaign: Campaign, url: str, secret: str, complain: Callable[[str], None]
) -> Iterator[None]:
    """Have the server call `url` while the block runs; afterwards the webhooks stay, switched off.

    A server that may not call that address is watched by the clock alone, which `complain` is told.
    """
    target = WebhookTarget(url=url, secret=secret)
    try:
        _switch(port, campaign, target, active=True)
    except ServerError as error:
        if error.status not in (HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN):
            raise
        complain(f"no webhooks, looking every few seconds instead: {error.message}")
        yield
        return
    try:
        yield
    finally:
        with suppress(ServerError):  # A server that is gone calls nobody.
            _switch(port, campaign, target, active=False)


def _switch(port: LabelStudio, campaign: Campaign, target: WebhookTarget, *, active: bool) -> None:
    for stage in STAGES:
        save_webhook(port, campaign.project(stage), target, active=active)


def watch(
    port: LabelStudio,
    campaign: Campaign,
    *,
    woken: threading.Event,
    stop: threading.Event,
    every_s: float,
    full_every_s: float,
    reopen: Callable[[], Campaign],
    say: Callable[[ReconcileReport], None],
    complain: Callable[[str], None],
) -> None:
    """Reconcile until `stop` is set.

    Args:
        port: The server.
        campaign: The campaign as it is now.
        woken: Set when something may have changed.
        stop: Set to end, between two runs.
        every_s: Seconds after which changes are looked for without being woken.
        full_every_s: Seconds after which everything is read again (deleted tasks leave no other trace).
        reopen: Gives the campaign anew, with people who joined meanwhile.
        say: Told of every run that changed or found something.
        complain: Told when the server does not answer; the next round tries again.
    """
    snapshot: Snapshot | None = None
    read_at = 0.0
    with ExitStack() as current:  # closes the snapshot, whatever ends the loop
        while not stop.is_set():
            woken.clear()
            try:
                now = time.monotonic()
                # Under another policy or team every row may be decided otherwise.
                if snapshot is None or now - read_at >= full_every_s or not is_current(port, campaign):
                    campaign = reopen()
                    current.close()  # the snapshot before this one: the disk never holds two
                    snapshot, read_at = current.enter_context(Snapshot.read(port, campaign)), now
                    report = reconcile(port, campaign, snapshot=snapshot)
                else:
                    touched = snapshot.refresh(port)
                    report = reconcile(port, campaign, sorted(touched), snapshot=snapshot)
                if report.changed or report.problems:
                    say(report)
            except ServerError as error:
                snapshot = None  # What was written before the error is unknown: read it all again.
                complain(str(error))
                stop.wait(min(every_s, 5.0))
            if woken.wait(every_s):
                stop.wait(_GATHER_S)
