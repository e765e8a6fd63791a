"""Exposures: who was shown what others said of a row, and what follows from it.

An exposure is a line of the audit log. It excludes the person from the row at every stage: the seat that they hold is
free again, and an answer that they gave before stays as it is.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeVar

from django.db import transaction
from django.db.models import Q
from tasks.models import Annotation, AnnotationDraft

from ls_plugin.models import Excluded, Grant, Message, Record, Slot, Stage
from ls_plugin.store import audit_log
from ls_plugin.store.exclusions import exclude
from ls_plugin.store.slots import project_ids

# Lines of the audit log that say that somebody was, or may have been, shown something of a row.
KINDS = ("shown", "could_see")
_AT_ONCE = 500
T = TypeVar("T")


def expose(
    user_id: int,
    campaign_id: int,
    *,
    only: Collection[int] | None = None,
    kind: str = "shown",
    threads: bool = False,
) -> None:
    """Write down that somebody was shown what others said, and exclude them from the rows that it is about.

    Rows about which nobody else has said anything tell nothing, and stay open to the person.

    Args:
        user_id: who was shown it.
        campaign_id: of which campaign.
        only: tasks whose rows were shown; all rows of the campaign if this is None.
        kind: the audit log's word: ``shown``, or ``could_see`` where nobody wrote down what exactly.
        threads: whether they were shown the rows' threads too, in which people tell what they think of a row.
    """
    projects = project_ids(campaign_id)
    slots = Slot.objects.filter(project_id__in=projects)
    if only is not None:
        rows = slots.filter(task_id__in=only).values_list("row_id", flat=True)
        slots = slots.filter(row_id__in=list(rows))
    answers = Annotation.objects.exclude(completed_by_id=user_id)
    drafts = AnnotationDraft.objects.exclude(user_id=user_id)
    messages = Message.objects.filter(campaign_id=campaign_id).exclude(user_id=user_id).exclude(row_id="")
    known = Excluded.objects.filter(user_id=user_id)
    if only is None:
        answers = answers.filter(project_id__in=projects)
        drafts = drafts.filter(task__project_id__in=projects)
    else:
        # By the tasks alone: told the projects as well, SQLite goes through every answer of a large campaign.
        about = list(slots.values_list("task_id", flat=True))
        answers, drafts = answers.filter(task_id__in=about), drafts.filter(task_id__in=about)
        known = known.filter(task_id__in=about)
    tells = Q(task_id__in=answers.values("task_id")) | Q(task_id__in=drafts.values("task_id"))
    if threads:
        tells |= Q(row_id__in=messages.values("row_id"), stage=Stage.PASS)
    telling = slots.filter(tells)
    new = slots.filter(row_id__in=telling.values("row_id")).exclude(task_id__in=known.values("task_id"))
    rows_of_tasks = dict(new.values_list("task_id", "row_id"))
    if not rows_of_tasks:
        return
    new_rows = set(rows_of_tasks.values())
    shown = [slot for slot in telling.order_by("task_id") if slot.row_id in new_rows]
    with transaction.atomic():
        for tasks in _parts(sorted(rows_of_tasks)):
            _exclude_and_revoke(user_id, tasks)
        # After the exclusions: writing the audit log takes the lock for which everybody waits.
        for part in _parts(shown):
            by_row = _ids_by(messages.filter(row_id__in=[slot.row_id for slot in part]), "row_id") if threads else {}
            _write_lines(kind, user_id, campaign_id, part, {"others": answers, "drafts": drafts}, by_row)


def _write_lines(
    kind: str,
    user_id: int,
    campaign_id: int,
    slots: list[Slot],
    sources: Mapping[str, Any],
    by_row: Mapping[Any, list[int]],
) -> None:
    """A line for each slot, with the ids of the answers, drafts and messages that the person could see there."""
    tasks = [slot.pk for slot in slots]
    ids = {key: _ids_by(source.filter(task_id__in=tasks), "task_id") for key, source in sources.items()}
    lines = []
    for slot in slots:
        body: dict[str, Any] = {"stage": Stage(slot.stage).label}
        body |= {key: by_task.get(slot.pk, []) for key, by_task in ids.items()}
        if slot.stage == Stage.PASS and slot.row_id in by_row:
            body["messages"] = by_row[slot.row_id]
        lines.append(audit_log.Entry(kind, user_id, campaign_id, slot.pk, slot.row_id, body))
    audit_log.write(*lines)


def _parts(things: list[T]) -> Iterator[list[T]]:
    """The same in parts that a database takes as parameters of one query."""
    for start in range(0, len(things), _AT_ONCE):
        yield things[start : start + _AT_ONCE]


def _ids_by(things: Any, column: str) -> dict[Any, list[int]]:
    """Task or row → the ids of the things about it."""
    ids = defaultdict[Any, list[int]](list)
    for about, pk in things.order_by("pk").values_list(column, "pk"):
        ids[about].append(pk)
    return ids


def _exclude_and_revoke(user_id: int, tasks: list[int]) -> None:
    """Leave these tasks to others: seats that this person holds on them are free again."""
    exclude((task_id, user_id) for task_id in tasks)
    Grant.objects.filter(user_id=user_id, task_id__in=tasks).update(live=False, skipped=False)


def exposed_accounts(rows: Mapping[int, str]) -> dict[str, set[int]]:
    """Row id → accounts that were shown, as managers, what others said of it.

    Args:
        rows: the tasks of these rows, each with its row id.
    """
    accounts = defaultdict[str, set[int]](set)
    lines = Record.objects.filter(task_id__in=list(rows), kind__in=KINDS) if rows else Record.objects.none()
    for task_id, user_id, body in lines.values_list("task_id", "user_id", "body"):
        if tells_of_others(body):
            accounts[rows[task_id]].add(user_id)
    return accounts


def tells_of_others(body: str) -> bool:
    """Whether by a line of the audit log somebody was shown what others said."""
    line = json.loads(body)
    return any(line.get(key) for key in ("others", "drafts", "messages"))
