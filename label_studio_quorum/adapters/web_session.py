"""People at a Label Studio server, as it sees them: sessions that log in and sign up by its own forms."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urljoin

import requests

from review_rules.errors import PublicError

_TOKEN = re.compile(r'name="csrfmiddlewaretoken"\s+value="([^"]+)"')


class VisitError(PublicError):
    """Label Studio refused a form; the message says which person and why."""


class Visitor(requests.Session):
    """One person's browser without the browser: a cookie session against one server.

    Paths are relative to the server: `visitor.get("/api/projects")`.
    """

    def __init__(self, url: str, email: str, password: str) -> None:
        super().__init__()
        self.url = url
        self.email = email
        self.password = password
        self.trust_env = False
        self.user_id = 0

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        """A request as in `requests`, with a time limit, and the path joined to the server's address."""
        kwargs.setdefault("timeout", 120)
        path = url.decode() if isinstance(url, bytes) else url
        return super().request(method, urljoin(self.url + "/", path), *args, **kwargs)

    def log_in(self) -> Visitor:
        """Log in by the form.

        Raises:
            VisitError: The server does not know this person with this password.
        """
        self._submit("/user/login/", "log in")
        return self

    def sign_up(self, invite: str) -> Visitor:
        """Make the account by the form behind an invite link (`/user/signup/?token=…`); this also logs in.

        Raises:
            VisitError: The link is not valid, the account exists already, or the password is too weak.
        """
        self._submit(invite, "sign up")
        return self

    def _submit(self, path: str, what: str) -> None:
        page = self.get(path)
        token = _TOKEN.search(page.text)
        if page.status_code != 200 or token is None:
            raise VisitError(f"{self.email}: could not {what}: {path.partition('?')[0]} answered {page.status_code}")
        form = {"csrfmiddlewaretoken": token.group(1), "email": self.email, "password": self.password}
        answer = self.post(path, data=form, headers={"Referer": page.url}, allow_redirects=False)
        # A form that is refused comes back as a page; only one that is taken redirects.
        if answer.status_code != 302:
            raise VisitError(f"{self.email}: could not {what}: {_reason(answer)}")
        who = self.get("/api/current-user/whoami")
        if who.status_code != 200:
            raise VisitError(f"{self.email}: could not {what}: the server answered {who.status_code} afterwards")
        self.user_id = int(who.json()["id"])


def _reason(answer: requests.Response) -> str:
    """What the form says about its fault, in one line."""
    texts = re.findall(r'<(?:p|li)[^>]*class="[^"]*(?:error|field_errors)[^"]*"[^>]*>(.*?)</', answer.text, re.S)
    plain = [" ".join(re.sub(r"<[^>]+>", " ", text).split()) for text in texts]
    return "; ".join(text for text in plain if text) or f"the form answered {answer.status_code}"


def invite_link(url: str, token: str) -> str:
    """The sign-up path that the owner of an API token can hand out.

    Raises:
        VisitError: The server refused.
    """
    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(f"{url}/api/invite", headers={"Authorization": f"Token {token}"}, timeout=60)
    if answer.status_code != 200:
        raise VisitError(f"{url}: no invite link: the server answered {answer.status_code}")
    return str(answer.json()["invite_url"])
