"""A submission, its line in the audit log and the mark that its row needs a reconcile are one transaction.

The reconcile's job follows the commit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from core.utils.params import bool_from_request
from django.db import transaction

from label_studio_quorum.port import Annotation as Answer
from ls_plugin.access.answer_content import (
    has_blocking_checks,
    require_fitting,
    require_own_form,
    require_reason,
)
from ls_plugin.access.call import Call, call_of
from ls_plugin.models import Slot, Stage
from ls_plugin.patches.registry import replace
from ls_plugin.people.standings import RULE_STAGE, CampaignPlace
from ls_plugin.queue import admission, publishing, qualification, reconcile, seats, skips
from ls_plugin.store import audit_log, clock, guidelines, opened_forms
from ls_plugin.store.exclusions import is_excluded
from ls_plugin.store.refusals import Refused
from ls_plugin.store.slots import lock_rows
from review_rules import Stage as RuleStage


def install() -> None:
    """Wrap what stores a submission, a change, and a change of a task."""
    replace("tasks.api.AnnotationsListAPI.perform_create", _perform_create)
    replace("tasks.api.AnnotationAPI.perform_update", _perform_update)
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
                    slot, row = _lock(place, self.parent_object.pk)
                    clock.require_forward()
                    if _is_skip(self.request, serializer):
                        _require_skip(call, place, slot, serializer)
                    else:
                        answer = _answer_of(call, serializer)
                        require_fitting(answer.result, slot.task_id)
                        require_own_form(answer.result, slot.task_id, RULE_STAGE[place.stage])
                        if place.stage is not Stage.PASS:  # of passes somebody else is asked for another, nobody twice
                            _ask_rules(admission.require_counted, place, slot, row, answer)
                        if has_blocking_checks(place.project_id):
                            _ask_rules(admission.require_checked, place, slot, row, answer)
                    # Asked for first, so that it runs before anything else that waits for the commit.
                    reconcile.after_commit(place.campaign_id, slot.row_id)
                    annotation = stock(self, serializer)
                    clock.keep_order(annotation, is_new=True)
                    qualification.note_answer(place, slot, annotation)
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
                    slot, row = _lock(place, serializer.instance.task_id)
                    clock.require_forward()
                    _require_changeable(call, slot, serializer)
                    if not serializer.instance.was_cancelled:
                        answer = _answer_of(call, serializer)
                        if "result" in serializer.validated_data:
                            require_fitting(answer.result, slot.task_id)
                            require_own_form(answer.result, slot.task_id, RULE_STAGE[place.stage])
                        _ask_rules(admission.require_change, place, slot, row, answer)
                        if has_blocking_checks(place.project_id):
                            _ask_rules(admission.require_checked, place, slot, row, answer)
                    reconcile.after_commit(place.campaign_id, slot.row_id)
                    stock(self, serializer)
                    clock.keep_order(serializer.instance, is_new=False)
                    _log(call, place, slot, "changed", serializer.instance)

    return perform_update


def _require_skip(call: Call, place: CampaignPlace, slot: Slot, serializer: Any) -> None:
    """Refuse a skip that the policy does not allow, of a row that came back, or without a reason that it could say."""
    if seats.is_returned(slot.task_id, call.signed_in.user_id):
        raise Refused("returned_skip")
    skips.require_skip(call.signed_in.user_id, place)
    if skips.allowed(place.campaign_id).reason:
        require_reason(serializer.validated_data.get("result") or [], slot.task_id)


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
    if seats.is_returned(slot.task_id, call.signed_in.user_id):
        raise Refused("returned")
    was = serializer.instance.was_cancelled
    if serializer.validated_data.get("was_cancelled", was) != was:
        # Read from what Label Studio made of the request: "no", 0.0 and a form without the field say so too.
        raise Refused("skip_stays")


def _update_task(stock: Callable[..., None]) -> Callable[..., None]:
    def perform_update(self: Any, serializer: Any) -> None:
        stock(self, serializer)
        match _campaign_call(self.request):
            case (_, place):
                # A manager or `quorum sync` set what the task asks for: the rules have the last word.
                _reconcile_task(place.campaign_id, serializer.instance.pk)

    return perform_update


def _lock(place: CampaignPlace, task_id: int) -> tuple[Slot, list[Slot]]:
    """Lock a task's row: before everything that Label Studio locks, and before the audit log, as a reconcile does.

    Returns:
        The task's slot, and all slots of its row.

    Raises:
        Refused: ``closed`` if a reconcile has withdrawn the task since the request was let in.
    """
    rows = Slot.objects.filter(task_id=task_id).values_list("row_id", flat=True)
    slots = lock_rows(place.campaign_id, rows)
    slot = next((slot for slot in slots if slot.task_id == task_id), None)
    if slot is None:
        raise Refused("closed")
    return slot, slots


def _answer_of(call: Call, serializer: Any) -> Answer:
    """The answer as it will be stored, if it is."""
    stored, sent, now = serializer.instance, serializer.validated_data, clock.moment()
    user = call.signed_in.user_id
    return Answer(
        id=stored.pk if stored else 0,
        by=stored.completed_by_id if stored else user,
        edited_by=user,
        created_at=stored.created_at if stored else now,
        updated_at=now,
        lead_time=sent.get("lead_time"),
        cancelled=False,
        result=sent.get("result", stored.result if stored else None) or [],
    )


def _ask_rules(
    require: Callable[[admission.RowAtHand, RuleStage, int, Answer], None],
    place: CampaignPlace,
    slot: Slot,
    row: Sequence[Slot],
    answer: Answer,
) -> None:
    """Refuse an answer that the rules would not take."""
    at_hand = admission.RowAtHand.read(place.campaign_id, slot.row_id, row)
    require(at_hand, RULE_STAGE[place.stage], slot.task_id, answer)


def _reconcile_task(campaign_id: int, task_id: int) -> None:
    """Have a task's row reconciled once more."""
    slots = Slot.objects.filter(task_id=task_id)
    slots.update(dirty=True)
    for row_id in slots.values_list("row_id", flat=True):
        reconcile.after_commit(campaign_id, row_id)


def _log(call: Call, place: CampaignPlace, slot: Slot, kind: str, annotation: Any) -> None:
    """Write the audit log's line."""
    user_id = call.signed_in.user_id
    body = {"annotation": annotation.pk, "stage": place.stage.label, "digest": audit_log.digest(annotation.result)}
    form = opened_forms.last_form(user_id, slot.task_id) if kind == "submitted" else None
    if form is not None:
        body[opened_forms.FORM] = form
    # Whoever changes an answer goes by the guidelines that hold for them now, whatever they read at first.
    version = guidelines.last_shown(user_id, slot.task_id) if kind == "submitted" else None
    if kind == "changed":
        version = publishing.holding_version(place.campaign_id, user_id)
    if version is not None:
        body[guidelines.GUIDELINES] = version
    audit_log.write(audit_log.Entry(kind, user_id, place.campaign_id, slot.task_id, slot.row_id, body))
