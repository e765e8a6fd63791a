"""What left the server of a campaign's rows, to whom: written into the record, and whom it keeps from these rows.

An ordinary person is shown nothing of others; what they were shown is only written down. A manager may look at
everything. Whoever also works in the campaign is at work where they take, open and answer what they have in hand, and
shown there what an ordinary person is; wherever they look as a manager, every row about which somebody else has said
something is from then on others' to answer, at every stage: the seat they hold is free again, and an answer of theirs
stays as it is.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from django.db import transaction
from django.db.models import Q

from ls_plugin.access.gate import Call
from ls_plugin.access.table import Who
from ls_plugin.models import Excluded, Grant, Record, Slot, Stage, exclude, project_ids
from ls_plugin.people.standings import Standing
from ls_plugin.store import audit_log

_TASKS = frozenset({"task", "task_list", "annotation_list", "action"})
# Views that show one row at most to whoever manages; every other one that managers read may tell of all rows.
_ONE_ROW = frozenset({"task", "annotation_list", "draft_list"})
_READING = ("GET", "HEAD")
# What people, models and files wrote: whatever it looks like, it says nothing of whose answer it is in.
_WRITTEN = frozenset({"result", "data", "meta"})
# Lines of the record that say that somebody was, or may have been, shown something of a row.
KINDS = ("shown", "could_see")
_AT_ONCE = 500


def note(call: Call, request: Any, data: Any, kwargs: Mapping[str, Any]) -> None:
    """Write down what of a campaign leaves the server in this response; ``data`` is None where it is a file."""
    method, standing = str(request.method), call.signed_in
    managing = not call.ordinary and (method in _READING or bool(_others(data, standing.user_id)))
    if managing and call.place is None and call.rule.who("GET") is Who.MANAGER and call.project_id is None:
        knows_everything(standing)
    if call.place is None:
        return
    if managing and standing.works_in_campaign(call.place.campaign_id):
        _note_managing(call, kwargs)
    elif call.rule.show in _TASKS:
        _note_tasks(call, request, data)


def _note_managing(call: Call, kwargs: Mapping[str, Any]) -> None:
    """Somebody who also works here looked as a manager: at one row, or at what may tell of all."""
    if call.place is None:
        return
    everything = call.rule.who("GET") >= Who.MANAGER or call.rule.show == "task_list"
    if everything:
        knows(call.signed_in.user_id, call.place.campaign_id)
    elif call.rule.show in _ONE_ROW:
        task_id = _task_of(call.rule.project, kwargs)
        knows(call.signed_in.user_id, call.place.campaign_id, only=[task_id] if task_id is not None else [])


def _task_of(way: str, kwargs: Mapping[str, Any]) -> int | None:
    """The task behind an address that names a task, an answer or a draft."""
    from tasks.models import Annotation, AnnotationDraft

    pk = kwargs.get("pk")
    if way == "task:pk":
        return int(pk) if pk is not None else None
    model = Annotation if way == "annotation:pk" else AnnotationDraft
    found: int | None = model.objects.filter(pk=pk).values_list("task_id", flat=True).first()
    return found


def knows_everything(standing: Standing) -> None:
    """Somebody looked at what may tell of the whole server: of every campaign that they also work in."""
    for campaign_id in standing.people:
        if standing.works_in_campaign(campaign_id):
            knows(standing.user_id, campaign_id)


def knows(user_id: int, campaign_id: int, *, only: Collection[int] | None = None, kind: str = "shown") -> None:
    """Keep somebody from every row of a campaign, or those of some tasks, about which others have said something.

    Args:
        user_id: who was shown it.
        campaign_id: of which campaign.
        only: tasks whose rows were shown; all rows if not given.
        kind: the record's word for it: ``shown``, or ``could_see`` where nobody wrote down what exactly.
    """
    from tasks.models import Annotation, AnnotationDraft

    projects = project_ids(campaign_id)
    slots = Slot.objects.filter(project_id__in=projects)
    if only is not None:
        rows = slots.filter(task_id__in=only).values_list("row_id", flat=True)
        slots = slots.filter(row_id__in=list(rows))
    answers = Annotation.objects.filter(project_id__in=projects).exclude(completed_by_id=user_id)
    drafts = AnnotationDraft.objects.filter(task__project_id__in=projects).exclude(user_id=user_id)
    telling = slots.filter(Q(task_id__in=answers.values("task_id")) | Q(task_id__in=drafts.values("task_id")))
    known = Excluded.objects.filter(user_id=user_id).values("task_id")
    new = slots.filter(row_id__in=telling.values("row_id")).exclude(task_id__in=known)
    rows_of_tasks = dict(new.values_list("task_id", "row_id"))
    if not rows_of_tasks:
        return
    rows_told = set(rows_of_tasks.values())
    told = [one for one in telling.order_by("task_id") if one.row_id in rows_told]
    with transaction.atomic():
        for some in _parts(sorted(rows_of_tasks)):
            _keep_from(user_id, some)
        for part in _parts(told):
            things = {"others": answers, "drafts": drafts}
            said = {key: _by_task(of.filter(task_id__in=[one.pk for one in part])) for key, of in things.items()}
            bodies = [{key: of.get(one.pk, []) for key, of in said.items()} for one in part]
            audit_log.write(
                *(
                    audit_log.Line(
                        kind, user_id, campaign_id, one.pk, one.row_id, {"stage": Stage(one.stage).label, **body}
                    )
                    for one, body in zip(part, bodies, strict=True)
                )
            )


def _parts(things: list[Any]) -> Iterator[list[Any]]:
    """The same in parts that a database takes as parameters of one query."""
    for start in range(0, len(things), _AT_ONCE):
        yield things[start : start + _AT_ONCE]


def _by_task(things: Any) -> dict[int, list[int]]:
    found = defaultdict[int, list[int]](list)
    for task_id, pk in things.order_by("pk").values_list("task_id", "pk"):
        found[task_id].append(pk)
    return found


def _keep_from(user_id: int, tasks: list[int]) -> None:
    """These tasks are others' to answer; seats that this person holds on them are free again."""
    exclude((task_id, user_id) for task_id in tasks)
    Grant.objects.filter(user_id=user_id, task_id__in=tasks).update(live=False, skipped=False)


def whoever_knows(rows: Mapping[int, str]) -> dict[str, set[int]]:
    """Row id → accounts that were shown, as managers, what others said of it.

    Args:
        rows: the tasks of these rows, each with its row id.
    """
    found = defaultdict[str, set[int]](set)
    lines = Record.objects.filter(task_id__in=list(rows), kind__in=KINDS) if rows else Record.objects.none()
    for task_id, user_id, body in lines.values_list("task_id", "user_id", "body"):
        if tells(body):
            found[rows[task_id]].add(user_id)
    return found


def tells(body: str) -> bool:
    """Whether by a line of the record somebody was shown what others said."""
    line = json.loads(body)
    return bool(line.get("others") or line.get("drafts"))


def _note_tasks(call: Call, request: Any, data: Any) -> None:
    """Write down which tasks, and whose answers on them, left the server in this response."""
    who = call.signed_in
    if call.place is None or (not call.ordinary and who.person(call.place.campaign_id) is None):
        return
    if request.method != "GET" and not (call.rule.show == "action" and isinstance(data, Mapping) and "id" in data):
        return
    peers = _others(data, who.user_id)
    if not call.ordinary and not peers:
        return
    tasks = _tasks_in(data)
    known = _shown_before(who.user_id, tasks)
    digests = {task_id: _digest(data, task_id) for task_id in tasks}
    new = [task_id for task_id in tasks if (task_id, digests[task_id]) not in known]
    if not new:
        return
    stage, campaign = call.place.stage.label, call.place.campaign_id
    rows = Slot.objects.filter(task_id__in=new).values_list("task_id", "row_id")
    audit_log.write(
        *(
            audit_log.Line(
                "shown",
                who.user_id,
                campaign,
                task_id,
                row_id,
                {"stage": stage, "others": sorted(peers.get(task_id, ())), "digest": digests[task_id]},
            )
            for task_id, row_id in rows
        )
    )


def _shown_before(user_id: int, tasks: list[int]) -> set[tuple[int, str]]:
    """What this person was shown of these tasks already: seeing the same again tells nobody anything."""
    lines = Record.objects.filter(task_id__in=tasks, user_id=user_id, kind="shown").values_list("task_id", "body")
    return {(task_id, json.loads(body).get("digest", "")) for task_id, body in lines}


def task_ids(tasks: Iterable[Mapping[str, Any]]) -> list[int]:
    """The ids of tasks in a response; Label Studio leaves them out where the caller asks for other fields only."""
    return [one["id"] for one in tasks if isinstance(one.get("id"), int)]


def _tasks_in(data: Any) -> list[int]:
    if isinstance(data, Mapping) and "tasks" in data:
        return task_ids(data["tasks"])
    if isinstance(data, Mapping):
        return task_ids([data]) if "data" in data else [data["task"]] if isinstance(data.get("task"), int) else []
    return sorted({one["task"] for one in data or () if isinstance(one, Mapping) and isinstance(one.get("task"), int)})


def _others(data: Any, me: int) -> dict[int, set[int]]:
    """Task id → ids of answers by others anywhere in a response, found by looking at all that the server wrote."""
    found: dict[int, set[int]] = {}

    def walk(part: Any, task_id: int) -> None:
        if isinstance(part, Mapping):
            if "completed_by" in part and author(part) not in (me, None):
                found.setdefault(int(part.get("task") or task_id), set()).add(int(part.get("id") or 0))
            inside = int(part["id"]) if "data" in part and isinstance(part.get("id"), int) else task_id
            for key, value in part.items():
                if key not in _WRITTEN:
                    walk(value, inside)
        elif isinstance(part, list | tuple):
            for value in part:
                walk(value, task_id)

    walk(data, 0)
    return found


def _digest(data: Any, task_id: int) -> str:
    """What of a task was shown: its data, the pre-annotations and the answers, whatever the response around them."""
    entries = data.get("tasks", [data]) if isinstance(data, Mapping) else data
    shown = [
        {
            "data": one.get("data"),
            "predictions": [prediction.get("id") for prediction in one.get("predictions") or ()],
            "annotations": [
                [answer.get("id"), answer.get("result")] for answer in one.get("annotations") or () if answer
            ],
            "result": one.get("result"),
        }
        for one in entries
        if isinstance(one, Mapping) and task_id in (one.get("id"), one.get("task"))
    ]
    return hashlib.sha256(json.dumps(shown, default=str, sort_keys=True).encode()).hexdigest()[:32]


def author(answer: Mapping[str, Any]) -> Any:
    """The account that an answer in a response is by."""
    found = answer.get("completed_by")
    return found.get("id") if isinstance(found, Mapping) else found
