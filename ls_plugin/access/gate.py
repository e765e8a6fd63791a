"""The one place that decides, by role, view and method, who may call what.

REST views are decided in ``APIView.initial``, after Django REST framework knows the caller, whatever the way of signing
in (session, legacy token, personal access token, JWT). Plain Django views are decided in the middleware, by the session
or the JWT. Both ask :func:`decide`; what an ordinary person gets to see of an answer goes through
:mod:`ls_plugin.access.response_filters` on its way out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils.module_loading import import_string
from rest_framework.response import Response
from rest_framework.views import APIView

from ls_plugin.access import table
from ls_plugin.access.table import Rule, Who
from ls_plugin.models import Grant
from ls_plugin.people import standings
from ls_plugin.people.standings import Place, Standing
from ls_plugin.store.refusals import Refused, page

# Data-manager tabs that exist only on an ordinary person's screen have this number plus their project's.
OWN_VIEW = 1_000_000_000


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
    def shows_less(self) -> bool:
        """Whether the page's buttons are those of an ordinary person: not on the pages of all projects together."""
        return self.ordinary and not (self.project_id is None and self.signed_in.manager_somewhere)

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


def bodies(request: Any) -> list[Mapping[str, Any]]:
    """What the body holds, as mappings: one, those of a list, or none."""
    data = getattr(request, "data", None)
    if data is None:
        data = request.POST if isinstance(request, HttpRequest) else {}
    return [one for one in (data if isinstance(data, list) else [data]) if isinstance(one, dict | QueryDict)]


def parameters(request: Any) -> Mapping[str, Any]:
    """The body as a mapping; a list or nothing is an empty one."""
    return {} if isinstance(getattr(request, "data", None), list) else next(iter(bodies(request)), {})


def _named(request: Any, key: str, *, rows: bool = False) -> list[int]:
    """Every id that the query, or the body unless it holds rows, gives under this name."""
    query = request.GET if isinstance(request, HttpRequest) else request.query_params
    given: list[Any] = list(query.getlist(key))
    for body in () if rows else bodies(request):
        given += body.getlist(key) if isinstance(body, QueryDict) else [body.get(key)]
    try:
        return [int(value) for value in given if value not in ("", None)]
    except (TypeError, ValueError, OverflowError):
        raise Refused("bad_request", f"`{key}` must be a number.") from None


# How a thing names its project: its model, the column it is found by, and the column of its project.
KINDS: Mapping[str, tuple[str, str, str]] = {
    "project": ("projects.models.Project", "pk", "pk"),
    "task": ("tasks.models.Task", "pk", "project_id"),
    "annotation": ("tasks.models.Annotation", "pk", "task__project_id"),
    "draft": ("tasks.models.AnnotationDraft", "pk", "task__project_id"),
    "prediction": ("tasks.models.Prediction", "pk", "task__project_id"),
    "view": ("data_manager.models.View", "pk", "project_id"),
    "upload": ("data_import.models.FileUpload", "pk", "project_id"),
    "file": ("data_import.models.FileUpload", "file", "project_id"),
    "webhook": ("webhooks.models.Webhook", "pk", "project_id"),
    "ml": ("ml.models.MLBackend", "pk", "project_id"),
    "link": ("labels_manager.models.LabelLink", "pk", "project_id"),
}


def _project_behind(kind: str, name: Any) -> int | None:
    """The project that something belongs to; None for what belongs to none.

    Raises:
        Refused: ``not_yours`` if there is no such thing.
    """
    if kind == "view" and str(name).isdecimal() and int(name) > OWN_VIEW:
        return int(name) - OWN_VIEW
    if "." in kind:
        folder, _, model = kind.partition(".")
        where = (f"io_storages.{folder}.models.{model}", "pk", "project_id")
    elif kind in KINDS:
        where = KINDS[kind]
    else:
        raise Refused("not_yours")
    model, key, column = where
    name = f"{settings.UPLOAD_DIR}/{name}" if kind == "file" else name
    try:
        found = list(import_string(model).objects.filter(**{key: name}).values_list(column, flat=True)[:1])
    except (ValueError, OverflowError):
        found = []
    if not found:
        raise Refused("not_yours")
    project: int | None = found[0]
    return project


def projects_of(rule: Rule, request: Any, kwargs: Mapping[str, Any]) -> tuple[set[int | None], set[int]]:
    """The projects that a call is addressed to, by the path and by things named anywhere, and those it just mentions.

    Raises:
        Refused: ``not_yours`` where something that is named is not there.
    """
    if not rule.project:
        return set(), set()
    found: set[int | None] = {_project_behind("view", view) for view in _named(request, "view", rows=rule.rows)}
    for way in rule.project.split("|"):
        kind, _, key = way.partition(":")
        if kind == "names":
            key, _, kind = key.partition(":")
            found |= {_project_behind(kind, name) for name in _named(request, key)}
        elif kind == "entity":
            if kwargs["entity_name"] not in KINDS:
                raise Refused("not_yours")
            found.add(_project_behind(kwargs["entity_name"], kwargs["entity_id"]))
        elif key in kwargs:
            found.add(_project_behind(kind, kwargs[key]))
        elif way in kwargs:
            found.add(int(kwargs[way]))
    return found, set(_named(request, "project", rows=rule.rows))


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
    rule = table.find(route, view)
    if rule is None:
        raise Refused("unknown_view")
    who = rule.who(request.method or "GET")
    if who is Who.NOBODY:
        raise Refused("nobody")
    standing = standings.standing_of(user)
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
    if who in (Who.LEADER, Who.MANAGER) and not standing.manager_somewhere:
        raise Refused("managers_only")
    if who is Who.LEADER:
        return Call(standing, rule, None, None, ordinary=False)
    hidden = _hidden(rule, request)
    try:
        addressed, mentioned = projects_of(rule, request, kwargs)
    except Refused as refused:
        raise hidden if refused.reason == "not_yours" else refused from None
    places = {project: _place(project, standing) for project in addressed or mentioned or {None}}
    for project, place in places.items():
        if not _reaches(standing, who, project, place):
            if place is not None and standing.works_in(place) and hidden.reason == "no_project":
                raise Refused("managers_only")
            raise hidden if addressed or mentioned else Refused("managers_only" if who is Who.MANAGER else "no_project")
    managing = all(_manages(standing, project, place) for project, place in places.items())
    if len(addressed | mentioned) > 1:
        raise Refused("project_mismatch") if managing or _is_theirs(rule, standing, kwargs) else hidden
    project, place = next(iter(places.items()))
    ordinary = not managing or _at_work(request, rule, who, standing, place, kwargs)
    return Call(standing, rule, place, project, ordinary)


def _hidden(rule: Rule, request: Any) -> Refused:
    """The one answer for what is not there and for what is somebody else's: which of the two it is, is not told."""
    if request.method == "POST" and rule.project == "task:pk":
        return Refused("not_given")
    return Refused("no_project" if rule.project in ("pk", "project_id", "query") else "not_yours")


def _is_theirs(rule: Rule, standing: Standing, kwargs: Mapping[str, Any]) -> bool:
    """Whether what the path names is the project itself, or a task, answer or draft that this person has had."""
    from tasks.models import Annotation, AnnotationDraft

    kind, _, key = rule.project.partition(":")
    match kind:
        case "task":
            had = Grant.objects.filter(task_id=kwargs[key], user_id=standing.user_id)
        case "annotation":
            had = Annotation.objects.filter(pk=kwargs[key], completed_by_id=standing.user_id)
        case "draft":
            had = AnnotationDraft.objects.filter(pk=kwargs[key], user_id=standing.user_id)
        case _:
            return not key
    return bool(had.exists())


def _place(project: int | None, standing: Standing) -> Place | None:
    known = standing.places.get(project) if project is not None else None
    return known or standings.place_of(project)


def _manages(standing: Standing, project: int | None, place: Place | None) -> bool:
    if project is None:
        return standing.manages_all
    return standing.manages(place.campaign_id if place else None)


def _reaches(standing: Standing, who: Who, project: int | None, place: Place | None) -> bool:
    """Whether somebody has to do with a project in this role, and it is there."""
    if _manages(standing, project, place):
        return project is None or place is not None or _exists(project)
    return who < Who.WORKER or (who is Who.WORKER and place is not None and standing.works_in(place))


def _exists(project: int) -> bool:
    from projects.models import Project

    return bool(Project.objects.filter(pk=project).exists())


def _at_work(
    request: Any, rule: Rule, who: Who, standing: Standing, place: Place | None, kwargs: Mapping[str, Any]
) -> bool:
    """Whether a manager who also works in this project is at work with this call: shown what an ordinary person is."""
    if not rule.at_work or who is not Who.WORKER or place is None or not standing.works_in(place):
        return False
    if rule.at_work == "action":
        return bool(request.method == "POST" and request.query_params.getlist("id") == ["next_task"])
    if rule.at_work == "task":
        in_hand = Grant.objects.filter(user_id=standing.user_id, task_id=kwargs["pk"], live=True)
        return bool(in_hand.exists())
    return True


def _run_checks(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    from ls_plugin.access import checks

    method = "GET" if request.method == "HEAD" else str(request.method)
    if method != "GET" and request.data is None:
        raise Refused("bad_request", "`null` is no request.")
    if method != "GET" and call.rule.who(method) is Who.LEADER and not bodies(request):
        raise Refused("bad_request", "One JSON object is expected.")
    if method != "GET" and (call.ordinary or call.rule.who(method) is Who.LEADER):
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
        rule = table.find(match.route, name)
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
        from ls_plugin.access import response_filters

        call = call_of(request)
        if call is not None and getattr(response, "status_code", 400) < 400:
            response = response_filters.on_the_way_out(call, request, response, self.kwargs)
        return stock(self, request, response, *args, **kwargs)

    return finalize_response


def install() -> None:
    """Put the gate into every REST view."""
    from core.middleware import CommonMiddlewareAppendSlashWithoutRedirect as Slashes

    APIView.initial = _initial(APIView.initial)
    APIView.finalize_response = _finalize(APIView.finalize_response)
    # Label Studio tries every 404 once more with a slash at the end, also one that a view has answered: its JSON would
    # become a page that says "not found".
    Slashes.should_redirect_with_slash = lambda self, request: (
        not request.path_info.endswith("/") and request.resolver_match is None
    )


class GateMiddleware:
    """Decides about plain Django views; REST views are decided after they know the caller."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        from ls_plugin.queue import reconcile

        reconcile.repair_once()
        response = self.get_response(request)
        call = call_of(request)
        if call is not None and call.shows_less and "text/html" in response.get("Content-Type", ""):
            _hide_refused(response)
        return response

    def process_view(
        self, request: HttpRequest, view: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        """Refuse, or let the view run."""
        if _from_elsewhere(request):
            return page(request, Refused("other_site"))
        if request.method == "OPTIONS":
            return HttpResponse()  # an address says nothing about itself, so nothing about what is behind it
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
        if call.standing is not None and not call.standing.manager_somewhere:
            _forget_owner(request.user)
        if call.rule.who("GET") is Who.OWNER:
            from ls_plugin.access import exposure_log

            exposure_log.knows_everything(call.signed_in)  # Django's admin shows everything
        if not request.GET.get("next", "/").startswith("/"):
            # Label Studio's sign-in form takes such a one for the name of a view, and fails.
            request.GET = request.GET.copy()
            del request.GET["next"]
        at_home = view_name(view) == "core.views.main"
        if at_home and call.standing is not None and call.standing.people and not call.standing.manager_somewhere:
            return redirect("/quorum/mine/")
        return None


def _forget_owner(user: Any) -> None:
    """A page that prints the organisation prints its owner's name and address: not for people."""
    if user.active_organization is not None and user.active_organization.created_by is not None:
        owner = copy(user.active_organization.created_by)
        owner.email = owner.username = owner.first_name = owner.last_name = ""
        user.active_organization.created_by = owner


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
