"""The one place that decides, by role, view and method, who may call what.

REST views are decided in ``APIView.initial`` (:mod:`ls_plugin.patches.rest_views`), after Django REST framework knows
the caller, whatever the way of signing in (session, legacy token, personal access token, JWT). Plain Django views are
decided in :class:`ls_plugin.access.middleware.GateMiddleware`, by the session or the JWT. Both ask :func:`decide`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from projects.models import Project
from tasks.models import Annotation, AnnotationDraft

from ls_plugin.access.call import AccessRule, AtWork, Call, Who
from ls_plugin.access.parameters import bodies
from ls_plugin.access.scope import ANNOTATION, DRAFT, TASK, InPath, InQuery, Named, ThingInPath, projects_of
from ls_plugin.access.submission_content import (
    ACCOUNTS_LARGEST,
    ANSWERS_LARGEST,
    MANAGERS_LARGEST,
    require_storable,
)
from ls_plugin.access.table import find_rule
from ls_plugin.models import Grant
from ls_plugin.people import standings
from ls_plugin.people.standings import CampaignPlace, Standing
from ls_plugin.store.refusals import Refused


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
    rule = find_rule(route, view)
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
    # A removed member keeps session and token: what they open must close with the membership.
    if not standing.member:
        raise Refused("not_member")
    if who is Who.OWNER and not standing.owner:
        raise Refused("owner_only")
    return _decide_on_project(request, rule, who, standing, kwargs)


def _decide_on_project(request: Any, rule: AccessRule, who: Who, standing: Standing, kwargs: Mapping[str, Any]) -> Call:
    """The part of the decision that depends on the project."""
    if who in (Who.LEADER, Who.MANAGER) and not standing.manager_somewhere:
        raise Refused("managers_only")
    if who is Who.LEADER:
        return Call(standing, rule, None, None, ordinary=False)
    hidden = _hidden(rule, request)
    try:
        addressed, mentioned = projects_of(rule.project, request, kwargs, rows=rule.rows)
    except Refused as refused:
        raise hidden if refused.reason == "not_yours" else refused from None
    places = {project: _place(project, standing) for project in addressed or mentioned or {None}}
    for project, place in places.items():
        if not _reaches(standing, who, project, place):
            # People know the projects that they work in, so these may be told what they lack.
            if place is not None and standing.works_in(place) and hidden.reason == "no_project":
                raise Refused("managers_only")
            raise hidden if addressed or mentioned else Refused("managers_only" if who is Who.MANAGER else "no_project")
    managing = all(_manages(standing, project, place) for project, place in places.items())
    if len(addressed | mentioned) > 1:
        # Two projects in one request: a way to act on one of them with the rights in the other.
        raise Refused("project_mismatch") if managing or _is_theirs(rule, standing, kwargs) else hidden
    project, place = next(iter(places.items()))
    ordinary = not managing or _is_at_work(request, rule, who, standing, place, kwargs)
    return Call(standing, rule, place, project, ordinary)


def _hidden(rule: AccessRule, request: Any) -> Refused:
    """The one refusal for what is not there and for what is somebody else's: which of the two it is, is not told."""
    if request.method == "POST" and rule.project == (ThingInPath(TASK),):
        return Refused("not_given")
    names_only_project = bool(rule.project) and all(isinstance(way, InPath | InQuery) for way in rule.project)
    return Refused("no_project" if names_only_project else "not_yours")


def _is_theirs(rule: AccessRule, standing: Standing, kwargs: Mapping[str, Any]) -> bool:
    """Whether what the path names is the project itself, or a task, answer or draft that this person has had."""
    match rule.project:
        case (ThingInPath(kind=kind, key=key),) if kind == TASK:
            return bool(Grant.objects.filter(task_id=kwargs[key], user_id=standing.user_id).exists())
        case (ThingInPath(kind=kind, key=key),) if kind == ANNOTATION:
            return bool(Annotation.objects.filter(pk=kwargs[key], completed_by_id=standing.user_id).exists())
        case (ThingInPath(kind=kind, key=key),) if kind == DRAFT:
            return bool(AnnotationDraft.objects.filter(pk=kwargs[key], user_id=standing.user_id).exists())
        case ways:
            return not any(isinstance(way, ThingInPath | Named) for way in ways)


def _place(project: int | None, standing: Standing) -> CampaignPlace | None:
    known = standing.places.get(project) if project is not None else None
    return known or standings.place_of(project)


def _manages(standing: Standing, project: int | None, place: CampaignPlace | None) -> bool:
    if project is None:
        return standing.manages_all
    return standing.manages(place.campaign_id if place else None)


def _reaches(standing: Standing, who: Who, project: int | None, place: CampaignPlace | None) -> bool:
    """Whether somebody has to do with a project in this role, and it is there."""
    if _manages(standing, project, place):
        return project is None or place is not None or _exists(project)
    return who < Who.WORKER or (who is Who.WORKER and place is not None and standing.works_in(place))


def _exists(project: int) -> bool:
    return bool(Project.objects.filter(pk=project).exists())


def _is_at_work(
    request: Any, rule: AccessRule, who: Who, standing: Standing, place: CampaignPlace | None, kwargs: Mapping[str, Any]
) -> bool:
    """Whether a manager who also works in this project is at work with this call: shown what an ordinary person is."""
    if who is not Who.WORKER or place is None or not standing.works_in(place):
        return False
    match rule.at_work:
        case AtWork.NEVER:
            return False
        case AtWork.QUEUE:
            return True
        case AtWork.NEXT_TASK:
            return bool(request.method == "POST" and request.query_params.getlist("id") == ["next_task"])
        case AtWork.IN_HAND:
            in_hand = Grant.objects.filter(user_id=standing.user_id, task_id=kwargs["pk"], live=True)
            return bool(in_hand.exists())


def _largest(call: Call, who: Who) -> int:
    """How many characters of JSON the call may bring."""
    if who is Who.WORKER:
        return ANSWERS_LARGEST
    if not call.ordinary:
        return MANAGERS_LARGEST
    return ACCOUNTS_LARGEST if call.place is None else ANSWERS_LARGEST


def run_checks(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """The rule's further checks on a call that was let in.

    Raises:
        Refused: by the first check that does not pass.
    """
    method = "GET" if request.method == "HEAD" else str(request.method)
    who = call.rule.who(method)
    if method != "GET" and request.data is None:
        raise Refused("bad_request", "`null` is no request.")
    if method != "GET" and who is Who.LEADER and not bodies(request):
        raise Refused("bad_request", "One JSON object is expected.")
    # What managers import into their own projects is theirs; everything else, their answers too, must be fit to be
    # stored.
    if method != "GET" and (call.ordinary or who in (Who.LEADER, Who.WORKER)):
        require_storable(request, _largest(call, who))
    checks = call.rule.check if call.ordinary else call.rule.manager_check
    if method in checks:
        checks[method](call, request, kwargs)
