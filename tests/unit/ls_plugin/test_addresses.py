"""Which addresses inside the network the server calls at a manager's word."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pytest
from django.test import override_settings
from io_storages.redis.models import RedisImportStorage
from ml.api_connector import MLApi
from organizations.models import Organization
from webhooks.models import Webhook
from webhooks.utils import run_webhook_sync

from ls_plugin.models import Stage
from ls_plugin.patches.addresses import is_named
from tests.unit.ls_plugin.support import CampaignInTest, make_campaign, owner_client, post


class Inside(BaseHTTPRequestHandler):
    """A service of the network that answers anything, and sends some on."""

    calls: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.calls.append(self.path)
        self.send_response(302 if self.path == "/away" else 200)
        if self.path == "/away":
            self.send_header("Location", f"http://localhost:{self.headers['Host'].split(':')[1]}/inside")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def service() -> Iterator[str]:
    """The service's address."""
    server = HTTPServer(("127.0.0.1", 0), Inside)
    Inside.calls.clear()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def campaign() -> CampaignInTest:
    return make_campaign()


def _webhook(url: str) -> Webhook:
    return Webhook(url=url, headers={}, organization=Organization.objects.order_by("pk").first())


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("http://ml:9090/predict", True),
        ("http://ML:9090", True),
        ("http://ml:9091", False),
        ("http://hooks.internal", True),
        ("https://hooks.internal:8443/x", True),
        ("http://ml.evil.test:9090", False),
        ("http://user@evil.test:80/?ml:9090", False),
        ("ftp://ml:9090", False),
        ("http://ml:port", False),
        ("", False),
    ],
)
def test_a_host_is_named_with_its_port_or_for_all(url: str, named: bool) -> None:
    """Nothing that looks like a named host is one."""
    with override_settings(QUORUM_INSIDE_HOSTS="ml:9090, hooks.internal"):
        assert is_named(url) is named


@pytest.mark.parametrize("named", [True, False])
def test_an_ml_backend_and_a_webhook_may_be_at_a_named_address_alone(
    campaign: CampaignInTest, service: str, named: bool
) -> None:
    """Both where it is stored and where it is called."""
    project = campaign.projects[Stage.PASS]
    hosts = service.removeprefix("http://") if named else "elsewhere"
    with override_settings(QUORUM_INSIDE_HOSTS=hosts, ML_BLOCK_LOCAL_IP=True, SSRF_PROTECTION_ENABLED=True):
        hook = post(owner_client(), "/api/webhooks/", {"url": f"{service}/hook", "project": project.pk})
        assert (hook.status_code == 201) is named
        model = post(owner_client(), "/api/ml/", {"url": service, "project": project.pk, "title": "inside"})
        assert (b"reserved network" not in model.content) is named
        Inside.calls.clear()
        run_webhook_sync(_webhook(f"{service}/called"), "any")
        assert (Inside.calls == ["/called"]) is named
        Inside.calls.clear()
        assert MLApi(url=service).health().is_error is not named
        assert bool(Inside.calls) is named


def test_a_named_host_sends_the_server_nowhere_else(service: str) -> None:
    """Where it points to is checked as any other address."""
    hosts = service.removeprefix("http://")
    with override_settings(QUORUM_INSIDE_HOSTS=hosts, ML_BLOCK_LOCAL_IP=True, SSRF_PROTECTION_ENABLED=True):
        run_webhook_sync(_webhook(f"{service}/away"), "any")
    assert Inside.calls == ["/away"]


def test_imports_and_storages_reach_no_inside_address_named_or_not(campaign: CampaignInTest, service: str) -> None:
    """The names are for ML backends and webhooks; a project of no campaign is no way around."""
    plain = post(owner_client(), "/api/projects/", {"title": "plain"}).json()["id"]
    hosts = service.removeprefix("http://")
    with override_settings(QUORUM_INSIDE_HOSTS=hosts, ML_BLOCK_LOCAL_IP=True, SSRF_PROTECTION_ENABLED=True):
        fetched = owner_client().post(
            f"/api/projects/{plain}/import",
            f"url={service}/rows.json",
            content_type="application/x-www-form-urlencoded",
        )
        assert fetched.status_code >= 400
        host, port = hosts.split(":")
        storage = RedisImportStorage(project_id=plain, host=host, port=port, path="x")
        with pytest.raises(Exception, match="reserved network"):
            storage.get_client()
    assert Inside.calls == []
