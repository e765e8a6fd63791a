"""The gate in every REST view: before the view runs, and on its response."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from rest_framework.response import Response
from rest_framework.views import APIView

from ls_plugin.access.call import call_of, remember
from ls_plugin.access.gate import decide, run_checks, view_name
from ls_plugin.access.responses import filter_response
from ls_plugin.access.table import find_rule
from ls_plugin.patches.registry import replace
from ls_plugin.store.refusals import Refused


def install() -> None:
    """Put the gate into every REST view, and leave a view's own 404 as it is."""
    replace("rest_framework.views.APIView.initial", _initial)
    replace("rest_framework.views.APIView.finalize_response", _finalize_response)
    replace(
        "core.middleware.CommonMiddlewareAppendSlashWithoutRedirect.should_redirect_with_slash",
        _should_redirect_with_slash,
    )


def _initial(stock: Callable[..., None]) -> Callable[..., None]:
    def initial(self: APIView, request: Any, *args: Any, **kwargs: Any) -> None:
        plain = request._request
        match = plain.resolver_match
        name = view_name(match.func)
        if find_rule(match.route, name) is None:
            raise Refused("unknown_view")
        # Label Studio's own refusals (401, 403) stand; ours come on top.
        stock(self, request, *args, **kwargs)
        call = decide(request, request.user, match.route, name, kwargs)
        remember(plain, call)
        run_checks(call, request, kwargs)

    return initial


def _finalize_response(stock: Callable[..., Response]) -> Callable[..., Response]:
    def finalize_response(self: APIView, request: Any, response: Any, *args: Any, **kwargs: Any) -> Response:
        call = call_of(request)
        # A refusal or a fault shows nothing of anybody.
        if call is not None and getattr(response, "status_code", 400) < 400:
            response = filter_response(call, request, response, self.kwargs)
        return stock(self, request, response, *args, **kwargs)

    return finalize_response


def _should_redirect_with_slash(stock: Callable[..., bool]) -> Callable[[Any, HttpRequest], bool]:
    """Try an address with a slash at its end only where no view has answered.

    Label Studio tries every 404 once more, so that the JSON of a view would become a page that says "not found".
    """

    def should_redirect_with_slash(self: Any, request: HttpRequest) -> bool:
        return not request.path_info.endswith("/") and request.resolver_match is None

    return should_redirect_with_slash
