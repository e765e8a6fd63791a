"""Requests that no server can read are refused at the door: Label Studio would take them for faults of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.http import parse_header_parameters

from ls_plugin.store.refusals import Refused

# A request may name any codec of Python, also those that are no encodings of text.
_CHARSETS = frozenset({"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin-1", "utf-16"})


def install() -> None:
    """Have requests take in what names an unknown character set, so that the middleware can refuse it."""
    WSGIHandler.request_class = ReadableRequest


class ReadableRequest(WSGIRequest):  # type: ignore[misc]
    """Django decodes the address by the body's character set before any code of ours or its own can answer."""

    def _set_content_type_params(self, meta: Mapping[str, Any]) -> None:
        self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
        if _names_known_charset(self):
            super()._set_content_type_params(meta)


class ReadableMiddleware:
    """Stands before everything else, also before what decides about other sites."""

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
    if not _names_known_charset(request):
        return "The request is in a character set that cannot be read."
    if request.content_type == "multipart/form-data" and not request.content_params.get("boundary"):
        return "The form names no boundary between its parts."
    if request.path_info.startswith("/api/") and not all(map(_is_object, request.GET.getlist("query"))):
        return "`query` is no JSON object."
    try:
        urlsplit(request.headers.get("Origin", ""))
    except ValueError:
        return "`Origin` is no address."
    return None


def _names_known_charset(request: HttpRequest) -> bool:
    return request.content_params.get("charset", "utf-8").strip().lower() in _CHARSETS


def _is_object(query: str) -> bool:
    try:
        return isinstance(json.loads(unquote(query)), dict)
    except (ValueError, RecursionError):
        return False
