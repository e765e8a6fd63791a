"""Lists hold for an ordinary person only what is theirs, so that their counts and pages are right too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from data_manager.models import PrepareParams
from django.db.models import Q
from ml.models import MLBackend

from ls_plugin.access.call import Call, ordinary_call
from ls_plugin.models import CampaignProject, Grant
from ls_plugin.patches.registry import replace
from ls_plugin.people import standings

Narrow = Callable[[Any, Call], Any]


def install() -> None:
    """Narrow every list that an ordinary person may ask for."""
    # The view's own name for it first: its module imports the function from the other one.
    for name in ("data_manager.api.get_prepare_params", "data_manager.functions.get_prepare_params"):
        replace(name, _get_prepare_params)
    for view in ("projects.api.ProjectListAPI", "projects.api.ProjectCountsListAPI"):
        replace(f"{view}.get_queryset", _narrowed(_visible_projects))
        # An order by counts would tell whose project has more of what others did.
        replace(f"{view}.filter_queryset", _narrowed(lambda projects, call: projects.order_by("-pk")))
    replace("ml.api.MLBackendListAPI.get_queryset", _model_servers)
    replace("labels_manager.api.LabelLinkAPI.get_queryset", _narrowed(lambda links, call: links.none()))
    replace("users.api.UserAPI.get_queryset", _narrowed(_known_accounts))
    replace("tasks.api.AnnotationsListAPI.get_queryset", _narrowed(_own_annotations))
    replace("tasks.api.AnnotationDraftListAPI.filter_queryset", _narrowed(_own_drafts))


def _narrowed(narrow: Narrow) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """What makes of a view's method one that narrows the method's queryset for ordinary people."""

    def make(stock: Callable[..., Any]) -> Callable[..., Any]:
        def narrowed(self: Any, *args: Any, **kwargs: Any) -> Any:
            queryset = stock(self, *args, **kwargs)
            call = ordinary_call(self.request)
            return queryset if call is None else narrow(queryset, call)

        return narrowed

    return make


def _visible_projects(projects: Any, call: Call) -> Any:
    standing = call.signed_in
    mine = Q(pk__in=[*standing.works_somewhere(), *standing.managed()])
    of_no_campaign = ~Q(pk__in=CampaignProject.objects.values("project_id"))
    return projects.filter(mine | of_no_campaign if standing.manager_somewhere else mine)


def _known_accounts(accounts: Any, call: Call) -> Any:
    return accounts.filter(pk__in=standings.colleagues(call.signed_in))


def _own_annotations(annotations: Any, call: Call) -> Any:
    return annotations.filter(completed_by_id=call.signed_in.user_id)


def _own_drafts(drafts: Any, call: Call) -> Any:
    return drafts.filter(user_id=call.signed_in.user_id)


def _get_prepare_params(stock: Callable[..., Any]) -> Callable[..., Any]:
    """The data manager's choice of tasks: for an ordinary person those that they were handed, the newest first."""

    def get_prepare_params(request: Any, project: Any) -> Any:
        call = ordinary_call(request)
        if call is None:
            return stock(request, project)
        mine = Grant.objects.filter(user_id=call.signed_in.user_id, project_id=project.pk).order_by("-given_at")
        tasks = list(mine.values_list("task_id", flat=True)[:1000])
        return PrepareParams(
            project=project.pk,
            # Label Studio takes an empty choice for a choice of everything: no task has the number 0.
            selectedItems={"all": False, "included": tasks or [0]},
            data={},
            ordering=[],
            request=request,
        )

    return get_prepare_params


def _model_servers(stock: Callable[..., Any]) -> Callable[..., Any]:
    def get_queryset(self: Any) -> Any:
        # Not narrowed afterwards: Label Studio would ask every model server for its health first.
        return MLBackend.objects.none() if ordinary_call(self.request) else stock(self)

    return get_queryset
