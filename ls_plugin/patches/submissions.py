"""A submission, its line in the audit log and the mark that its row needs a reconcile are one transaction.

The reconcile's job follows the commit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.utils.params import bool_from_request
from django.db import transaction

from ls_plugin.access.answer_content import require_fitting, require_own_form
from ls_plugin.access.call import Call, call_of
from ls_plugin.models import Slot, Stage
from ls_plugin.patches.registry import replace
from ls_plugin.people.standings import RULE_STAGE, CampaignPlace
from ls_plugin.queue import reconcile
from ls_plugin.store import audit_log, clock
from ls_plugin.store.exclusions import is_excluded
from ls_plugin.store.refusals import Refused
from ls_plugin.store.slots import locks_rows


def install() -> None:
    """Wrap what stores a submission, a change, a skip taken back, and a change of a task."""
    replace("tasks.api.AnnotationsListAPI.perform_create", _perform_create)
    replace("tasks.api.AnnotationAPI.perform_update", _perform_update)
    replace("tasks.api.AnnotationConvertAPI.post", _convert)
    replace("tasks.api.TaskAPI.perform_update", _update_task)


def _campaign_call(request: Any) -> tuple[Call, CampaignPlace] | None:
    """The call behind a request, and its place, where it concerns a campaign."""
    call = call_of(request)
    return (call, call.place) if call is not None and call.place is not None else None


def _perform_create(stock: Callable[..., Any]) -> Callable[..., Any]:
    def perform_create(self: Any, serializer: Any) -> Any:
        match _campaign_call(self.request):
            case None:
                return stock(self, serializer)
            case call, place:
                with transaction.atomic():
                    slot = _lock(self.parent_object.pk)
                    clock.require_forward()
                    if not _is_skip(self.request, serializer):
                        result = serializer.validated_data.get("result") or []
                        require_fitting(result, slot.task_id)
                        require_own_form(result, slot.task_id, RULE_STAGE[Stage(slot.stage)])
                    # Asked for first, so that it runs before anything else that waits for the commit.
                    reconcile.after_commit(place.campaign_id, slot.row_id)
                    annotation = stock(self, serializer)
                    clock.keep_order(annotation, is_new=True)
                    _log(call, place, slot, "skipped" if annotation.was_cancelled else "submitted", annotation)
                return annotation

    return perform_create


def _perform_update(stock: Callable[..., None]) -> Callable[..., None]:
    def perform_update(self: Any, serializer: Any) -> None:
        match _campaign_call(self.request):
            case None:
                stock(self, serializer)
            case call, place:
                with transaction.atomic():
                    slot = _lock(serializer.instance.task_id)
                    clock.require_forward()
                    _require_changeable(call, slot, serializer)
                    if "result" in serializer.validated_data and not serializer.instance.was_cancelled:
                        require_fitting(serializer.validated_data["result"], slot.task_id)
                        require_own_form(
                            serializer.validated_data["result"], slot.task_id, RULE_STAGE[Stage(slot.stage)]
                        )
                    reconcile.after_commit(place.campaign_id, slot.row_id)
                    stock(self, serializer)
                    clock.keep_order(serializer.instance, is_new=False)
                    _log(call, place, slot, "changed", serializer.instance)

    return perform_update


def _is_skip(request: Any, serializer: Any) -> bool:
    """Whether Label Studio will store a skip; what it holds is no answer, and comes back as a draft at most.

    The address has the last word, as with Label Studio.
    """
    if "was_cancelled" in request.GET:
        return bool_from_request(request.GET, "was_cancelled", False)
    return bool(serializer.validated_data.get("was_cancelled", False))


def _require_changeable(call: Call, slot: Slot, serializer: Any) -> None:
    """Refuse a change that the row, now locked, does not allow any more."""
    if slot.sealed and call.ordinary:
        # Handed on since the request was let in: saved once more as it was, it would still be a new version.
        raise Refused("sealed")
    if is_excluded(slot.task_id, call.signed_in.user_id):
        raise Refused("excluded")
    was = serializer.instance.was_cancelled
    if serializer.validated_data.get("was_cancelled", was) != was:
        # Read from what Label Studio made of the request: "no", 0.0 and a form without the field say so too.
        raise Refused("skip_stays")


def _convert(stock: Callable[..., Any]) -> Callable[..., Any]:
    def post(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        match _campaign_call(request):
            case None:
                return stock(self, request, *args, **kwargs)
            case call, place:
                with transaction.atomic():
                    annotation = self.get_object()
                    slot = _lock(annotation.task_id)
                    reconcile.after_commit(place.campaign_id, slot.row_id)
                    # Before Label Studio deletes the annotation, as the line names it.
                    _log(call, place, slot, "taken_back", annotation)
                    return stock(self, request, *args, **kwargs)

    return post


def _update_task(stock: Callable[..., None]) -> Callable[..., None]:
    def perform_update(self: Any, serializer: Any) -> None:
        stock(self, serializer)
        match _campaign_call(self.request):
            case (_, place):
                # A manager or `quorum sync` set what the task asks for: the rules have the last word.
                _reconcile_task(place.campaign_id, serializer.instance.pk)

    return perform_update


def _lock(task_id: int) -> Slot:
    """Lock the task's slot: before everything that Label Studio locks, and before the audit log, as a reconcile does.

    Raises:
        Refused: ``closed`` if a reconcile has withdrawn the task since the request was let in.
    """
    slots = Slot.objects.filter(task_id=task_id)
    slot: Slot | None = (slots.select_for_update() if locks_rows() else slots).first()
    if slot is None:
        raise Refused("closed")
    return slot


def _reconcile_task(campaign_id: int, task_id: int) -> None:
    """Have a task's row reconciled once more."""
    slots = Slot.objects.filter(task_id=task_id)
    slots.update(dirty=True)
    for row_id in slots.values_list("row_id", flat=True):
        reconcile.after_commit(campaign_id, row_id)


def _log(call: Call, place: CampaignPlace, slot: Slot, kind: str, annotation: Any) -> None:
    """Write the audit log's line."""
    body = {"annotation": annotation.pk, "stage": place.stage.label, "digest": audit_log.digest(annotation.result)}
    audit_log.write(audit_log.Entry(kind, call.signed_in.user_id, place.campaign_id, slot.task_id, slot.row_id, body))
