"""Everything that is hooked into Label Studio, in one list."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.db.models import Q
from rest_framework.response import Response

from ls_plugin.models import Slot, is_excluded
from ls_plugin.store import audit_log


def install() -> None:
    """Hook the plugin into the server; called once a process."""
    from ls_plugin.access import gate, request_screening
    from ls_plugin.patches import counters, outbound
    from ls_plugin.store import triggers

    triggers.install()
    gate.install()
    outbound.install()
    counters.install()
    request_screening.install()
    _next_task()
    _lists()
    _views()
    _answers()


def _ordinary(request: Any) -> Any:
    """The call behind a request if an ordinary person made it."""
    from ls_plugin.access.gate import call_of

    call = call_of(request)
    return call if call is not None and call.ordinary else None


def _next_task() -> None:
    """Both ways to the next task, the queue's and the data manager's, go through our hand-out."""
    import data_manager.actions
    import projects.api
    from projects.functions.stream_history import add_stream_history
    from tasks.models import Task

    from ls_plugin.people import standings
    from ls_plugin.queue import handout
    from ls_plugin.store.refusals import Refused

    stock = projects.api.get_next_task

    def get_next_task(user: Any, prepared: Any, project: Any, *args: Any, **kwargs: Any) -> tuple[Any, str]:
        place = standings.place_of(project.pk)
        if place is None:
            found: tuple[Any, str] = stock(user, prepared, project, *args, **kwargs)
            return found
        standing = standings.standing_of(user)
        person = standing.person(place.campaign_id) if standing else None
        if person is None or not standings.can_work(person, place.stage):
            raise Refused("no_role")
        slot = handout.give(user.pk, person, place)
        task = Task.objects.select_related("project").get(pk=slot.task_id)
        add_stream_history(task, user, project)
        return task, "Quorum"

    projects.api.get_next_task = get_next_task
    sys.modules[f"{data_manager.actions.__name__}.next_task"].get_next_task = get_next_task  # type: ignore[attr-defined]


def _lists() -> None:
    """Lists hold for an ordinary person only what is theirs, so that their counts and pages are right too."""
    import data_manager.api
    import data_manager.functions
    import tasks.api
    from data_manager.models import PrepareParams
    from labels_manager.api import LabelLinkAPI  # type: ignore[import-not-found]
    from ml.api import MLBackendListAPI
    from ml.models import MLBackend
    from projects.api import ProjectCountsListAPI, ProjectListAPI
    from users.api import UserAPI

    from ls_plugin.models import CampaignProject, Grant
    from ls_plugin.people import standings

    stock_params = data_manager.functions.get_prepare_params

    def get_prepare_params(request: Any, project: Any) -> Any:
        call = _ordinary(request)
        if call is None:
            return stock_params(request, project)
        mine = Grant.objects.filter(user_id=call.signed_in.user_id, project_id=project.pk).order_by("-given_at")
        given = list(mine.values_list("task_id", flat=True)[:1000])
        return PrepareParams(
            project=project.pk,
            selectedItems={"all": False, "included": given or [0]},
            data={},
            ordering=[],
            request=request,
        )

    data_manager.functions.get_prepare_params = data_manager.api.get_prepare_params = get_prepare_params

    def visible(queryset: Any, call: Any) -> Any:
        standing = call.signed_in
        mine = Q(pk__in=[*standing.works_somewhere(), *standing.managed()])
        of_no_campaign = ~Q(pk__in=CampaignProject.objects.values("project_id"))
        return queryset.filter(mine | of_no_campaign if standing.manager_somewhere else mine)

    _narrow(ProjectListAPI, "get_queryset", visible)
    _narrow(ProjectCountsListAPI, "get_queryset", visible)
    # An order by counts would tell whose project has more of what others did.
    for view in (ProjectListAPI, ProjectCountsListAPI):
        _narrow(view, "filter_queryset", lambda queryset, call: queryset.order_by("-pk"))
    stock_models = MLBackendListAPI.get_queryset

    def models(self: Any) -> Any:
        # Label Studio would ask every model server for its health first.
        return MLBackend.objects.none() if _ordinary(self.request) else stock_models(self)

    MLBackendListAPI.get_queryset = models
    _narrow(LabelLinkAPI, "get_queryset", lambda queryset, call: queryset.none())
    _narrow(
        UserAPI, "get_queryset", lambda queryset, call: queryset.filter(pk__in=standings.colleagues(call.signed_in))
    )
    _narrow(
        tasks.api.AnnotationsListAPI,
        "get_queryset",
        lambda queryset, call: queryset.filter(completed_by_id=call.signed_in.user_id),
    )
    _narrow(
        tasks.api.AnnotationDraftListAPI,
        "filter_queryset",
        lambda queryset, call: queryset.filter(user_id=call.signed_in.user_id),
    )


def _narrow(view: Any, method: str, narrow: Callable[[Any, Any], Any]) -> None:
    stock = getattr(view, method)

    def narrowed(self: Any, *args: Any, **kwargs: Any) -> Any:
        queryset = stock(self, *args, **kwargs)
        call = _ordinary(self.request)
        return queryset if call is None else narrow(queryset, call)

    setattr(view, method, narrowed)


def _views() -> None:
    """The data manager's tabs: an ordinary person has one, "My tasks", that is stored nowhere."""
    from data_manager.api import ViewAPI

    from ls_plugin.access.gate import OWN_VIEW
    from ls_plugin.store.refusals import Refused

    def own(project_id: int) -> dict[str, Any]:
        data = {
            "title": "My tasks",
            "type": "list",
            "target": "tasks",
            "filters": {"conjunction": "and", "items": []},
            "ordering": [],
            "hiddenColumns": {"explore": [], "labeling": []},
        }
        return {
            "id": OWN_VIEW + project_id,
            "project": project_id,
            "user": None,
            "order": 0,
            "data": data,
            "filter_group": None,
            "selected_items": {"all": False, "included": []},
        }

    def answer(name: str, one: bool) -> None:
        stock = getattr(ViewAPI, name)

        def answered(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
            call = _ordinary(request)
            if call is None:
                return stock(self, request, *args, **kwargs)
            if call.project_id is None:
                raise Refused("no_project")
            view = own(call.project_id)
            if one and str(kwargs.get("pk")) != str(view["id"]):
                raise Refused("not_yours")
            return Response(view if one else [view])

        setattr(ViewAPI, name, answered)

    answer("list", one=False)
    answer("retrieve", one=True)
    answer("partial_update", one=True)


def _answers() -> None:
    """An answer, the record of it and the mark that its row needs a reconcile are one transaction; the job follows."""
    from tasks.api import AnnotationAPI, AnnotationConvertAPI, AnnotationsListAPI, TaskAPI

    from ls_plugin.access.gate import call_of
    from ls_plugin.store.refusals import Refused

    stock_create = AnnotationsListAPI.perform_create
    stock_update = AnnotationAPI.perform_update
    stock_convert = AnnotationConvertAPI.post
    stock_task_update = TaskAPI.perform_update

    def perform_create(self: Any, serializer: Any) -> Any:
        call = call_of(self.request)
        if call is None or call.place is None:
            return stock_create(self, serializer)
        with transaction.atomic():
            slot = _lock(self.parent_object.pk)
            _reconcile_after(call, slot)
            annotation = stock_create(self, serializer)
            _note(call, slot, "skipped" if annotation.was_cancelled else "submitted", annotation)
        return annotation

    def perform_update(self: Any, serializer: Any) -> None:
        call = call_of(self.request)
        if call is None or call.place is None:
            stock_update(self, serializer)
            return
        with transaction.atomic():
            slot = _lock(serializer.instance.task_id)
            if slot.sealed and call.ordinary:
                # Handed on since the request was let in: saved once more as it was, it would still be a new version.
                raise Refused("sealed")
            if is_excluded(serializer.instance.task_id, call.signed_in.user_id):
                raise Refused("excluded")
            was = serializer.instance.was_cancelled
            if serializer.validated_data.get("was_cancelled", was) != was:
                # Read from what Label Studio made of the request: "no", 0.0 and a form without the field say so too.
                raise Refused("skip_stays")
            _reconcile_after(call, slot)
            stock_update(self, serializer)
            _note(call, slot, "changed", serializer.instance)

    def post(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        call = call_of(request)
        if call is None or call.place is None:
            return stock_convert(self, request, *args, **kwargs)
        with transaction.atomic():
            annotation = self.get_object()
            slot = _lock(annotation.task_id)
            _reconcile_after(call, slot)
            _note(call, slot, "taken_back", annotation)
            return stock_convert(self, request, *args, **kwargs)

    def task_update(self: Any, serializer: Any) -> None:
        call = call_of(self.request)
        stock_task_update(self, serializer)
        if call is not None and call.place is not None:
            # A manager or `quorum sync` set what the task asks for: the rules have the last word.
            _again(call.place.campaign_id, serializer.instance.pk)

    TaskAPI.perform_update = task_update
    AnnotationsListAPI.perform_create = perform_create
    AnnotationAPI.perform_update = perform_update
    AnnotationConvertAPI.post = post


def _lock(task_id: int) -> Slot:
    """The task's slot comes before everything that Label Studio locks, and before the record, as in a reconcile.

    Raises:
        Refused: ``closed`` if a reconcile has withdrawn the task since the request was let in.
    """
    from ls_plugin.store.refusals import Refused

    slots = Slot.objects.filter(task_id=task_id)
    slot: Slot | None = (slots.select_for_update() if audit_log.locks_rows() else slots).first()
    if slot is None:
        raise Refused("closed")
    return slot


def _again(campaign_id: int, task_id: int) -> None:
    """Have a task's row reconciled once more."""
    from ls_plugin.queue import reconcile

    slots = Slot.objects.filter(task_id=task_id)
    slots.update(dirty=True)
    for row_id in slots.values_list("row_id", flat=True):
        reconcile.after_commit(campaign_id, row_id)


def _reconcile_after(call: Any, slot: Slot) -> None:
    """Have the row reconciled once all of this is committed, before anything else that waits for the commit."""
    from ls_plugin.queue import reconcile

    reconcile.after_commit(call.place.campaign_id, slot.row_id)


def _note(call: Any, slot: Slot, kind: str, annotation: Any) -> None:
    """Write the record's line."""
    from ls_plugin.queue import reconcile

    body = {"annotation": annotation.pk, "stage": call.place.stage.label, "digest": reconcile.digest(annotation.result)}
    audit_log.write(
        audit_log.Line(kind, call.signed_in.user_id, call.place.campaign_id, slot.task_id, slot.row_id, body)
    )
