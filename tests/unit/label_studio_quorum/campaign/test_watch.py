"""The webhook receiver: wakes only for who knows the secret, and says nothing of what it was sent."""

from __future__ import annotations

from collections.abc import Iterator
from http.client import HTTPConnection

import pytest
import requests

from label_studio_quorum.campaign.watch import Listener
from label_studio_quorum.campaign.webhooks import SECRET_HEADER


@pytest.fixture
def listener() -> Iterator[tuple[Listener, str]]:
    """A receiver on a free port of this machine, and its address."""
    made = Listener(host="127.0.0.1", port=0)
    with made.listening() as address:
        yield made, address


def post(address: str, secret: str | None) -> requests.Response:
    """Send a webhook."""
    headers = {} if secret is None else {SECRET_HEADER: secret}
    with requests.Session() as session:
        session.trust_env = False
        return session.post(address, data=b"{}", headers=headers, timeout=10)


def test_the_secret_wakes_it(listener: tuple[Listener, str]) -> None:
    """A webhook with the secret is taken and wakes the watcher."""
    made, address = listener
    assert post(address, made.secret).status_code == 204
    assert made.woken.is_set()


@pytest.mark.parametrize("secret", [None, "", "wrong", "é"], ids=["none", "empty", "wrong", "not ASCII"])
def test_anything_else_does_not(listener: tuple[Listener, str], secret: str | None) -> None:
    """Without the right secret a webhook is refused and wakes nobody."""
    made, address = listener
    given = None if secret is None else secret.encode().decode("latin-1")
    assert post(address, given).status_code == 403
    assert not made.woken.is_set()


def test_an_endless_body_is_refused_unread(listener: tuple[Listener, str]) -> None:
    """A body beyond a megabyte is refused by its stated length."""
    made, address = listener
    connection = HTTPConnection(address.removeprefix("http://").rstrip("/"), timeout=10)
    connection.putrequest("POST", "/")
    connection.putheader("Content-Length", "1000001")
    connection.putheader(SECRET_HEADER, made.secret)
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()
    assert not made.woken.is_set()


def test_the_secret_is_in_no_text_of_it(listener: tuple[Listener, str]) -> None:
    """Neither the receiver's repr nor its address shows the secret."""
    made, address = listener
    assert made.secret not in repr(made) + address
