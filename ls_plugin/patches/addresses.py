"""Which addresses inside its network the server calls at a manager's word: those that its operators name.

Label Studio refuses such addresses wherever a manager may give one: an import, a storage, a webhook, an ML backend. Its
own switches let all of them through or none; here a host of the setting ``QUORUM_INSIDE_HOSTS`` is let through for
ML backends and webhooks alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from core.utils.io import ssrf_safe_session
from django.conf import settings
from requests.adapters import HTTPAdapter

from ls_plugin.patches.registry import replace

_PORTS = {"http": 80, "https": 443}


def install() -> None:
    """Let named hosts through where an ML backend or a webhook is stored, and where it is called."""
    replace("ml.serializers.validate_upload_url", _unless_named)
    replace("webhooks.serializers.validate_url_for_ssrf", _unless_named)
    replace("ml.api_connector.MLApi.create_session", _create_session)
    replace("webhooks.utils.ssrf_safe_post", _post)


def is_named(url: str) -> bool:
    """Whether the operators name the host of this address: with its port, or for all ports."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:  # no address at all: Label Studio's own check says so
        return False
    named = {host.strip().lower() for host in settings.QUORUM_INSIDE_HOSTS.split(",") if host.strip()}
    host = (parts.hostname or "").lower()
    return parts.scheme in _PORTS and bool(named & {host, f"{host}:{port}"})


def _unless_named(stock: Callable[..., None]) -> Callable[..., None]:
    def validate(url: str, *args: Any, **kwargs: Any) -> None:
        if not is_named(url):
            stock(url, *args, **kwargs)

    return validate


def _create_session(stock: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def create_session(self: Any) -> Any:
        session = stock(self)
        if is_named(self._url):
            # For this origin alone: where the backend sends the server on to is checked as any other address.
            parts = urlsplit(self._url)
            session.mount(f"{parts.scheme}://{parts.netloc}/", HTTPAdapter(max_retries=self._max_retries))
        return session

    return create_session


def _post(stock: Callable[..., Any]) -> Callable[..., Any]:
    def post(url: str, *args: Any, **kwargs: Any) -> Any:
        if not is_named(url):
            return stock(url, *args, **kwargs)
        with ssrf_safe_session(trusted_origin=url) as session:
            return session.post(url, *args, **kwargs)

    return post
