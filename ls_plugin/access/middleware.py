"""The gate before plain Django views, and what all requests pass on their way in and out."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from rest_framework.exceptions import APIException
from rest_framework.views import APIView

from ls_plugin.access import sign_in
from ls_plugin.access.call import Call, Who, call_of, remember
from ls_plugin.access.exposure_log import expose_everything
from ls_plugin.access.gate import decide, view_name
from ls_plugin.notices import rounds
from ls_plugin.queue import reconcile
from ls_plugin.store.refusals import Refused, from_database, page

# What Quorum adds to Label Studio's screens, the server's sentences in place of Label Studio's own among it.
_SCREEN = b'<script src="/quorum/screen.js"></script><link rel="stylesheet" href="/quorum/screen.css">'
# What takes kept answers off a machine whose person has signed out.
_LEAVING = b'<script src="/quorum/screen/leaving.js"></script>'
SIGNED_OUT = "quorum_signed_out"
"""The cookie by which the sign-in page knows that somebody signed out, and was not signed out by a clock."""
# What hides from people what Label Studio's screens offer and the server would refuse.
_STYLE = b'<link rel="stylesheet" href="/quorum/people.css">'


# Where somebody may go who has to choose a password first.
_BEFORE_A_PASSWORD = frozenset(
    {
        "ls_plugin.pages.password.own_password",
        "ls_plugin.pages.assets.style",
        "users.views.logout",
        "users.views.user_login",
        "core.views.health",
    }
)


class GateMiddleware:
    """Decides about plain Django views; REST views are decided after they know the caller."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        reconcile.repair_once()
        rounds.begin_once()
        if sign_in.has_ended(request):
            logout(request)
        response = self.get_response(request)
        # Nobody else's page may show this one inside itself; pages of our own say so more strictly.
        response.headers.setdefault("X-Frame-Options", "SAMEORIGIN")
        call = call_of(request)
        if _names(request, "users.views.logout"):
            response.set_cookie(SIGNED_OUT, "1", samesite="Lax")
        elif sign_in.is_locked_out(request):
            response.status_code = 429
        elif _names(request, "users.views.user_login") and "text/html" in response.get("Content-Type", ""):
            _add_to_page(response, _LEAVING)
        if call is not None and call.standing is not None and "text/html" in response.get("Content-Type", ""):
            _add_to_page(response, *((_SCREEN, _STYLE) if call.shows_less else (_SCREEN,)))
        return response

    def process_view(
        self, request: HttpRequest, view: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        """Refuse, or let the view run."""
        if _comes_from_elsewhere(request):
            return page(request, Refused("other_site"))
        if request.method == "OPTIONS":
            return HttpResponse()  # an address says nothing about itself, so nothing about what is behind it
        if sign_in.wants_password(request) and view_name(view) not in _BEFORE_A_PASSWORD:
            return page(request, Refused("one_time_password"))
        owner = getattr(view, "cls", None)
        if isinstance(owner, type) and issubclass(owner, APIView):
            return None
        match = request.resolver_match
        try:
            call = decide(request, _caller(request, view), match.route if match else "", view_name(view), kwargs)
            if call.ordinary and call.rule.show is None:
                raise Refused("managers_only")
            remember(request, call)
        except Refused as refused:
            return page(request, refused)
        return _let_in(request, call, view)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer what the database's own rules refused to a plain Django view, such as a page of the admin site."""
        refused = from_database(error)
        return None if refused is None else page(request, refused)


def _caller(request: HttpRequest, view: Any) -> Any:
    """Who calls: the person of the session, or, where programs ask for the version, whoever the key belongs to."""
    if request.user.is_authenticated or view_name(view) != "core.views.version_page":
        return request.user
    try:
        return APIView().initialize_request(request).user
    except APIException:
        return request.user


def _names(request: HttpRequest, view: str) -> bool:
    """Whether a request went to this view."""
    match = request.resolver_match
    return match is not None and view_name(match.func) == view


def _let_in(request: HttpRequest, call: Call, view: Any) -> HttpResponse | None:
    """Prepare a request for its view; a response if the caller belongs on another page."""
    if call.standing is not None and not call.standing.manager_somewhere:
        _forget_owner(request.user)
    if call.rule.who("GET") is Who.OWNER:
        expose_everything(call.signed_in)  # Django's admin shows everything
    if not request.GET.get("next", "/").startswith("/"):
        # Label Studio's sign-in form takes such a one for the name of a view, and fails.
        query = request.GET.copy()
        del query["next"]
        request.GET = query  # type: ignore[assignment]  # a changed query is another type in the stubs alone
    at_home = view_name(view) == "core.views.main"
    if at_home and call.standing is not None and call.standing.people and not call.standing.manager_somewhere:
        return redirect("/quorum/mine/")
    return None


def _forget_owner(user: Any) -> None:
    """Blank the owner's name and address, which every page that prints the organisation would show to people."""
    if user.active_organization is not None and user.active_organization.created_by is not None:
        owner = copy(user.active_organization.created_by)
        owner.email = owner.username = owner.first_name = owner.last_name = ""
        user.active_organization.created_by = owner


def _comes_from_elsewhere(request: HttpRequest) -> bool:
    """Whether a page of another site sent this in the name of somebody who is signed in here.

    Label Studio switches Django's check by form token off for nearly every view, and its screens send no token. The
    session cookie is kept back from other sites only: another port of the same machine is the same site to a browser.
    So the browser's own word decides. Programs that send neither header carry no cookie of a browser.
    """
    if request.method in ("GET", "HEAD", "OPTIONS") or settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return False
    origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
    host = urlsplit(settings.HOSTNAME or "")
    if origin in {*settings.CSRF_TRUSTED_ORIGINS, f"{host.scheme}://{host.netloc}"}:
        return False
    if site is not None:
        return site not in ("same-origin", "none")
    return origin is not None and urlsplit(origin).netloc != request.get_host()


def _add_to_page(response: HttpResponse, *parts: bytes) -> None:
    """Put parts into the head of a page of Label Studio; pages of our own need none of them."""
    if response.streaming or b"/quorum/style.css" in response.content:
        return
    new = b"".join(part for part in parts if part not in response.content)
    response.content = response.content.replace(b"</head>", new + b"</head>", 1)
