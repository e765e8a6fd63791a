"""Refusing requests that no server can read: Label Studio would take them for faults of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

from django.http import HttpRequest, HttpResponse, JsonResponse

from ls_plugin.store.refusals import Refused

# A request may name any codec of Python, also those that are no encodings of text.
_CHARSETS = frozenset({"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin-1", "utf-16"})


class ScreeningMiddleware:
    """Refuses what cannot be read; stands before everything else, also before what decides about other sites."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        wrong = unreadable(request)
        if wrong is None:
            return self.get_response(request)
        refused = Refused("bad_request", wrong)
        return JsonResponse(refused.payload(), status=refused.status_code)


def unreadable(request: HttpRequest) -> str | None:
    """What about a request cannot be read, as a sentence; None if nothing."""
    if "\x00" in request.path_info or "%00" in request.META.get("QUERY_STRING", ""):
        return "The address holds the character NUL."
    if not names_known_charset(request):
        return "The request is in a character set that cannot be read."
    if request.content_type == "multipart/form-data" and not (request.content_params or {}).get("boundary"):
        return "The form names no boundary between its parts."
    if request.path_info.startswith("/api/") and not all(map(_is_object, request.GET.getlist("query"))):
        return "`query` is no JSON object."
    try:
        urlsplit(request.headers.get("Origin", ""))
    except ValueError:
        return "`Origin` is no address."
    return None


def names_known_charset(request: HttpRequest) -> bool:
    """Whether the request names no character set, or one that is known to be readable."""
    return (request.content_params or {}).get("charset", "utf-8").strip().lower() in _CHARSETS


def _is_object(query: str) -> bool:
    try:
        return isinstance(json.loads(unquote(query)), dict)
    except (ValueError, RecursionError):
        return False
