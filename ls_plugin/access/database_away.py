"""A database that does not answer is a sentence and a time to come back, not a page of a broken server."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from django.core.signals import got_request_exception
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string

from ls_plugin.store.refusals import Refused
from ls_plugin.store.retries import is_away

_AWAY = "_quorum_database_is_away"


class DatabaseAwayMiddleware:
    """Stands before everything else: whatever asked the database in vain, a view or a middleware, ends here."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        got_request_exception.connect(_note, dispatch_uid="quorum-database-away")

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            response = self.get_response(request)
        except (OperationalError, InterfaceError) as error:
            # Label Studio's own page for faults may ask the database too.
            if not is_away(error):
                raise
            return _answer(request)
        return _answer(request) if response.status_code >= 500 and getattr(request, _AWAY, False) else response


def _note(request: HttpRequest | None = None, **_: Any) -> None:
    """Remember at the request that it failed for want of the database; Django answers it with a fault after that."""
    error = sys.exc_info()[1]
    if request is not None and error is not None and is_away(error):
        setattr(request, _AWAY, True)


def _answer(request: HttpRequest) -> HttpResponse:
    """The refusal, without anything that the database would have to say."""
    refused = Refused("no_database")
    if "text/html" in request.headers.get("Accept", ""):
        content = render_to_string("quorum/away.html", refused.payload())
        return HttpResponse(content, status=refused.status_code, headers=refused.headers)
    return JsonResponse(refused.payload(), status=refused.status_code, headers=refused.headers)
