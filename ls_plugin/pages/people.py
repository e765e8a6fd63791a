"""A person's own pages: their queues and figures, and where they land after signing in again."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from ls_plugin.access.call import call_of
from ls_plugin.pages import figures
from ls_plugin.pages.drawing import draw


def mine(request: HttpRequest) -> HttpResponse:
    """A person's own page: their queues and their own figures."""
    call = call_of(request)
    queues = figures.of_person(call.signed_in.user_id) if call else []
    return draw(request, "mine.html", {"queues": queues, "manager": bool(call and call.signed_in.manager_somewhere)})


def signed_in(request: HttpRequest) -> HttpResponse:
    """Where somebody lands who signed in in a second window, because the first one holds an answer of theirs."""
    return draw(request, "signed_in.html", {})
