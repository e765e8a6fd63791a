"""The one place that decides, by role, view and method, who may call what.

REST views are decided in ``APIView.initial``, after Django REST framework knows the caller, whatever the way of signing
in (session, legacy token, personal access token, JWT). Plain Django views are decided in the middleware, by the session
or the JWT. Both ask :func:`decide`; what an ordinary person gets to see of an answer goes through
:mod:`ls_plugin.blind` on its way out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils.module_loading import import_string
from rest_framework.response import Response
from rest_framework.views import APIView

from ls_plugin import access, people
from ls_plugin.access import Rule, Who
from ls_plugin.people import Place, Standing
from ls_plugin.refusal import Refused, page


@dataclass(frozen=True, slots=True)
class Call:
    """A call that was let in: by whom, on what.

    Attributes:
        standing: the caller; None for a stranger at an address that is open to anybody.
        rule: the rule that let it in.
        place: the campaign project it concerns, if any.
        project_id: the project it concerns, if any.
        ordinary: whether the caller is shown only what the rule's filter passes.
    """

    standing: Standing | None
    rule: Rule
    place: Place | None
    project_id: int | None
    ordinary: bool

    @property
    def signed_in(self) -> Standing:
        """The caller where one is sure to be."""
        if self.standing is None:
            raise Refused("sign_in")
        return self.standing


def view_name(view: Any) -> str:
    """The name by which the table knows a view: the dotted name of its class or function.

    Label Studio wraps some of its functions without keeping their names; what they wrap has them.
    """
    owner = getattr(view, "cls", None) or getattr(view, "view_class", None)
    if owner is None:
        owner = view
        if getattr(view, "__qualname__", "").endswith("enforce_csrf_checks.<locals>.wrapper"):
            owner = view.__closure__[0].cell_contents
            while hasattr(owner, "__wrapped__"):
                owner = owner.__wrapped__
    return f"{owner.__module__}.{getattr(owner, '__qualname__', type(owner).__qualname__)}"


def parameters(request: Any) -> Mapping[str, Any]:
    """The body as a mapping; a list or nothing is an empty one."""
    data = getattr(request, "data", None)
    if data is None:
        data = request.POST if isinstance(request, HttpRequest) else {}
    return data if isinstance(data, dict | QueryDict) else {}


def _named(request: Any, key: str) -> list[int]:
    """Every id that the query or the body gives under this name."""
    query = request.GET if isinstance(request, HttpRequest) else request.query_params
    body = parameters(request)
    given: list[Any] = list(query.getlist(key))
    if isinstance(body, QueryDict):
        given += body.getlist(key)
    elif body.get(key) is not None:
        given.append(body[key])
    try:
        return [int(value) for value in given if value not in ("", None)]
    except (TypeError, ValueError):
        raise Refused("bad_request", f"`{key}` must be a number.") from None


def _by_path(kind: str, pk: Any) -> int | None:
    """The project of what a path names."""
    from data_import.models import FileUpload
    from data_manager.models import View
    from ml.models import MLBackend
    from tasks.models import Annotation, AnnotationDraft, Prediction, Task
    from webhooks.models import Webhook

    if "." in kind:
        folder, _, name = kind.partition(".")
        models: dict[str, Any] = {kind: (import_string(f"io_storages.{folder}.models.{name}"), "project_id")}
    else:
        models = {
            "task": (Task, "project_id"),
            "annotation": (Annotation, "task__project_id"),
            "draft": (AnnotationDraft, "task__project_id"),
            "prediction": (Prediction, "task__project_id"),
            "view": (View, "project_id"),
            "upload": (FileUpload, "project_id"),
            "webhook": (Webhook, "project_id"),
            "ml": (MLBackend, "project_id"),
        }
    model, column = models[kind]
    try:
        found = model.objects.filter(pk=pk).values_list(column, flat=True)
        project: int | None = next(iter(found))
    except (StopIteration, ValueError, ObjectDoesNotExist):
        raise Refused("not_yours") from None
    return project


def project_of(rule: Rule, request: Any, kwargs: Mapping[str, Any]) -> int | None:
    """The project that a call concerns; whatever else names one must name the same.

    Raises:
        Refused: ``not_yours`` where the path names nothing, ``project_mismatch`` where two projects are named.
    """
    found: set[int] = set()
    for way in rule.project.split("|") if rule.project else ():
        kind, _, key = way.partition(":")
        if key and key in kwargs:
            project = _own_view(kind, kwargs[key]) or _by_path(kind, kwargs[key])
            found |= {project} if project is not None else set()
        elif kind == "names":
            found |= {_by_path(key, named) or 0 for named in _named(request, key)}
        elif way in kwargs:
            found.add(int(kwargs[way]))
    asked = set(_named(request, "project")) if rule.project else set()
    for view in _named(request, "view") if rule.project == "query" else ():
        asked.add(_own_view("view", view) or _by_path("view", view) or 0)
    if len(found | asked) > 1:
        raise Refused("project_mismatch")
    return next(iter(found | asked), None)


def _own_view(kind: str, pk: Any) -> int | None:
    """The project of a data-manager tab that exists only on an ordinary person's screen."""
    from ls_plugin.blind import OWN_VIEW

    number = int(pk) if kind == "view" and str(pk).isdecimal() else 0
    return number - OWN_VIEW if number > OWN_VIEW else None


def decide(request: Any, user: Any, route: str, view: str, kwargs: Mapping[str, Any]) -> Call:
    """Let a call in or refuse it.

    Args:
        request: the request, Django's or REST framework's.
        user: the account behind it.
        route: Django's route of the address.
        view: the view's dotted name.
        kwargs: what the route found in the address.

    Raises:
        Refused: with the reason.
    """
    rule = access.find(route, view)
    if rule is None:
        raise Refused("unknown_view")
    who = rule.who(request.method or "GET")
    if who is Who.NOBODY:
        raise Refused("nobody")
    standing = people.standing_of(user)
    if standing is None:
        if who is Who.ANYBODY:
            return Call(None, rule, None, None, ordinary=False)
        raise Refused("sign_in")
    if who is Who.ANYBODY:
        return Call(standing, rule, None, None, ordinary=False)
    if not standing.member:
        raise Refused("not_member")
    if who is Who.OWNER and not standing.owner:
        raise Refused("owner_only")
    return _on_project(request, rule, who, standing, kwargs)


def _on_project(request: Any, rule: Rule, who: Who, standing: Standing, kwargs: Mapping[str, Any]) -> Call:
    """The part of the decision that depends on the project."""
    if who is Who.MANAGER and not standing.manager_somewhere:
        raise Refused("managers_only")
    project = project_of(rule, request, kwargs)
    place = standing.places.get(project) if project is not None else None
    if place is None:
        place = people.place_of(project)
    of = place.campaign_id if place else None
    manager = standing.manages_all if project is None else standing.manages(of)
    if who is Who.MANAGER and not manager:
        raise Refused("managers_only")
    if who is Who.WORKER and not manager and (place is None or not standing.works_in(place)):
        raise Refused("no_project")
    return Call(standing, rule, place, project, ordinary=not manager)


def _run_checks(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    from ls_plugin import checks

    method = "GET" if request.method == "HEAD" else str(request.method)
    if call.ordinary and method not in ("GET", "OPTIONS"):
        checks.require_storable(request)
    if call.ordinary and method in call.rule.check:
        checks.CHECKS[call.rule.check[method]](call, request, kwargs)
    if not call.ordinary and method in call.rule.manager_check:
        checks.CHECKS[call.rule.manager_check[method]](call, request, kwargs)


def call_of(request: Any) -> Call | None:
    """The decided call behind a request, where there is one."""
    return getattr(getattr(request, "_request", request), "quorum_call", None)


def _initial(stock: Callable[..., None]) -> Callable[..., None]:
    def initial(self: APIView, request: Any, *args: Any, **kwargs: Any) -> None:
        plain = request._request
        match = plain.resolver_match
        name = view_name(match.func)
        rule = access.find(match.route, name)
        if rule is None:
            raise Refused("unknown_view")
        # Label Studio's own refusals (401, 403) stand; ours come on top.
        stock(self, request, *args, **kwargs)
        call = decide(request, request.user, match.route, name, kwargs)
        plain.quorum_call = call
        _run_checks(call, request, kwargs)

    return initial


def _finalize(stock: Callable[..., Response]) -> Callable[..., Response]:
    def finalize_response(self: APIView, request: Any, response: Any, *args: Any, **kwargs: Any) -> Response:
        from ls_plugin import blind

        call = call_of(request)
        if call is not None and isinstance(response, Response) and response.status_code < 400:
            blind.on_the_way_out(call, request, response, self.kwargs)
        return stock(self, request, response, *args, **kwargs)

    return finalize_response


def install() -> None:
    """Put the gate into every REST view."""
    APIView.initial = _initial(APIView.initial)
    APIView.finalize_response = _finalize(APIView.finalize_response)


class GateMiddleware:
    """Decides about plain Django views; REST views are decided after they know the caller."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        from ls_plugin import jobs

        jobs.repair_once()
        response = self.get_response(request)
        call = call_of(request)
        if call is not None and call.ordinary and "text/html" in response.get("Content-Type", ""):
            _hide_refused(response)
        return response

    def process_view(
        self, request: HttpRequest, view: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        """Refuse, or let the view run."""
        if _from_elsewhere(request):
            return page(request, Refused("other_site"))
        owner = getattr(view, "cls", None)
        if isinstance(owner, type) and issubclass(owner, APIView):
            return None
        match = request.resolver_match
        try:
            call = decide(request, request.user, match.route if match else "", view_name(view), kwargs)
            if call.ordinary and not call.rule.show:
                raise Refused("managers_only")
            request.quorum_call = call
        except Refused as refused:
            return page(request, refused)
        at_home = view_name(view) == "core.views.main"
        if at_home and call.standing is not None and call.standing.people and not call.standing.manager_somewhere:
            return redirect("/quorum/mine/")
        return None


def _from_elsewhere(request: HttpRequest) -> bool:
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


def _hide_refused(response: HttpResponse) -> None:
    """Label Studio's screens offer everybody everything: take away for people what the server would refuse them."""
    link = b'<link rel="stylesheet" href="/quorum/people.css">'
    if not response.streaming and link not in response.content:
        response.content = response.content.replace(b"</head>", link + b"</head>", 1)
