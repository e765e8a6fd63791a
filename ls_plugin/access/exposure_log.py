"""What left the server of a campaign's rows, and to whom: written into the audit log, with the exclusions that follow.

An ordinary person is shown nothing of others: what they were shown is only written down. A manager may look at
everything. A manager who also works in the campaign is at work where they take, open and answer what they have in hand,
and is shown there what an ordinary person is. Wherever else they look, they look as a manager, and that is an exposure
to every row about which somebody else has said something: see :mod:`ls_plugin.store.exposures`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from label_studio_quorum.campaign.shown import EMPTY_FORM, shown_of
from ls_config.interface import RESERVED
from ls_plugin.access import response_filters
from ls_plugin.access.answer_content import controls_of
from ls_plugin.access.call import Call, Who
from ls_plugin.access.response_values import forms_in, others_answers, shown_digest, tasks_in
from ls_plugin.access.scope import ANNOTATION, DRAFT, TASK, ThingInPath, Way
from ls_plugin.models import Record, Slot
from ls_plugin.people.standings import Standing
from ls_plugin.queue import returns
from ls_plugin.queue.publishing import holding_version
from ls_plugin.store import audit_log
from ls_plugin.store.exposures import expose
from ls_plugin.store.guidelines import GUIDELINES
from ls_plugin.store.opened_forms import FORM

_TASKS = (
    response_filters.task,
    response_filters.task_list,
    response_filters.annotation_list,
    response_filters.action,
)
# Views that show a manager one row at most; every other one that managers read may tell of all rows.
_ONE_ROW = (response_filters.task, response_filters.annotation_list, response_filters.draft_list)
_READING = ("GET", "HEAD")


def log_response(call: Call, request: Any, data: Any, kwargs: Mapping[str, Any]) -> None:
    """Write down what of a campaign leaves the server in this response; ``data`` is None where it is a file."""
    method, standing = str(request.method), call.signed_in
    managing = not call.ordinary and (method in _READING or bool(others_answers(data, standing.user_id)))
    # A manager's view of no project may tell of every campaign.
    if managing and call.place is None and call.rule.who("GET") is Who.MANAGER and call.project_id is None:
        expose_everything(standing)
    if call.place is None:
        return
    if managing and standing.works_in_campaign(call.place.campaign_id):
        _log_managing(call, kwargs)
    elif call.rule.show in _TASKS:
        _log_tasks(call, request, data)


def _log_managing(call: Call, kwargs: Mapping[str, Any]) -> None:
    """Expose somebody who also works here, and looked as a manager, to one row or to what may tell of all."""
    if call.place is None:
        return
    everything = call.rule.who("GET") >= Who.MANAGER or call.rule.show is response_filters.task_list
    if everything:
        expose(call.signed_in.user_id, call.place.campaign_id)
    elif call.rule.show in _ONE_ROW:
        task_id = _task_of(call.rule.project, kwargs)
        expose(call.signed_in.user_id, call.place.campaign_id, only=[task_id] if task_id is not None else [])


def _task_of(ways: tuple[Way, ...], kwargs: Mapping[str, Any]) -> int | None:
    """The task behind an address that names a task, an answer or a draft."""
    pk = kwargs.get("pk")
    for way in ways:
        if way == ThingInPath(TASK):
            return int(pk) if pk is not None else None
        if isinstance(way, ThingInPath) and way.kind in (ANNOTATION, DRAFT):
            answers = way.kind.model._default_manager.filter(pk=pk)
            task_id: int | None = answers.values_list("task_id", flat=True).first()
            return task_id
    return None


def expose_everything(standing: Standing) -> None:
    """Expose somebody who looked at what may tell of the whole server to every campaign that they also work in."""
    for campaign_id in standing.people:
        if standing.works_in_campaign(campaign_id):
            expose(standing.user_id, campaign_id)


def _log_tasks(call: Call, request: Any, data: Any) -> None:
    """Write down which tasks, and whose answers on them, left the server in this response."""
    caller = call.signed_in
    if call.place is None or (not call.ordinary and caller.person(call.place.campaign_id) is None):
        return
    hands_out = call.rule.show is response_filters.action and isinstance(data, Mapping) and "id" in data
    if request.method != "GET" and not hands_out:
        return
    if isinstance(data, Mapping) and "returned" in data:
        returns.tell(call.place.campaign_id, caller.user_id, only=data["id"])
    others = others_answers(data, caller.user_id)
    if not call.ordinary and not others:
        return
    # The same task shown again, unchanged, is no new exposure: screens ask for it many times.
    tasks = tasks_in(data)
    known, forms_before, last_versions = _shown_before(caller.user_id, tasks)
    version = holding_version(call.place.campaign_id, caller.user_id)
    digests = {task_id: shown_digest(data, task_id) for task_id in tasks}
    forms = _forms(call.place.project_id, data)
    refilled = {task_id for task_id, form in forms.items() if form != forms_before.get(task_id)}
    # Under other guidelines the same task is another question.
    refilled |= {task_id for task_id in forms if version != last_versions.get(task_id)}
    new = [task_id for task_id in tasks if task_id in refilled or (task_id, digests[task_id]) not in known]
    if not new:
        return
    lines = []
    for task_id, row_id in Slot.objects.filter(task_id__in=new).values_list("task_id", "row_id"):
        body: dict[str, Any] = {
            "stage": call.place.stage.label,
            "others": sorted(others.get(task_id, ())),
            "digest": digests[task_id],
        }
        if task_id in forms:
            body[FORM] = forms[task_id]
            if version is not None:
                body[GUIDELINES] = version
        lines.append(audit_log.Entry("shown", caller.user_id, call.place.campaign_id, task_id, row_id, body))
    audit_log.write(*lines)


def _forms(project_id: int, data: Any) -> dict[int, dict[str, Any]]:
    """Task → what its form opens with, of the tasks whose form this response shows."""
    entries = forms_in(data)
    controls = controls_of(project_id) if entries else None
    fields = [control for control in controls or () if control.name not in RESERVED]
    forms: dict[int, dict[str, Any]] = {}
    for entry in entries:
        if not entry["predictions"]:
            forms[entry["id"]] = EMPTY_FORM
        elif controls is not None:  # a form that cannot be read opens with nobody knows what
            shown = entry["predictions"][-1]
            forms[entry["id"]] = shown_of(shown["model_version"], shown["result"], fields, entry["data"])
    return forms


def _shown_before(
    user_id: int, tasks: list[int]
) -> tuple[set[tuple[int, str]], dict[int, dict[str, Any]], dict[int, dict[str, Any]]]:
    """What this person was shown of these tasks already, and of each the form and the guidelines of the last time.

    Seeing the same again tells nobody anything.
    """
    lines = Record.objects.filter(task_id__in=tasks, user_id=user_id, kind="shown").order_by("seq")
    known, forms, versions = set[tuple[int, str]](), dict[int, dict[str, Any]](), dict[int, dict[str, Any]]()
    for task_id, text in lines.values_list("task_id", "body"):
        body = json.loads(text)
        known.add((task_id, body.get("digest", "")))
        if FORM in body:
            forms[task_id] = body[FORM]
        if GUIDELINES in body:
            versions[task_id] = body[GUIDELINES]
    return known, forms, versions
