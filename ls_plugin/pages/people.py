"""A person's own page: their queues and their own figures."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from ls_plugin.access.call import call_of
from ls_plugin.pages import figures
from ls_plugin.pages.rendering import render_page


def mine(request: HttpRequest) -> HttpResponse:
    """A person's own page: their queues and their own figures."""
    call = call_of(request)
    queues = figures.of_person(call.signed_in.user_id) if call else []
    return render_page(
        request, "mine.html", {"queues": queues, "manager": bool(call and call.signed_in.manager_somewhere)}
    )
