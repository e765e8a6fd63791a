"""A project's tasks in bulk, for exports: as the database holds them, without a serialiser in between.

Label Studio's own endpoints build an object for every task, annotation and prediction and serialise it again. Here the
database hands the JSON columns out as text, and the text goes into the answer as it is.
"""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import datetime
from typing import Any

from django.db.models import TextField
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast
from django.http import HttpResponse
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.views import APIView
from tasks.models import Annotation, Prediction, Task

from ls_plugin.store.guidelines import versions_of_answers
from ls_plugin.store.opened_forms import forms_of_answers
from ls_plugin.store.refusals import Refused

MOST = 2000


class TasksView(APIView):
    """Tasks with all their annotations and predictions, in order of their ids, for those who manage the project."""

    permission_classes = (IsAuthenticated,)

    def get(self, request: Request) -> HttpResponse:
        """At most 2,000 tasks of `?project=` whose id is greater than `?after=`, a line a task."""
        project, after = (_number(request, name) for name in ("project", "after"))
        return HttpResponse(page(project, after), content_type="application/jsonl; charset=utf-8")


def _number(request: Request, name: str) -> int:
    try:
        return int(request.query_params.get(name, "0" if name == "after" else ""))
    except ValueError:
        raise Refused("bad_request", f"`{name}` must be a number.") from None


def page(project: int, after: int, most: int = MOST) -> str:
    """One page: a line a task, its id, its row id as JSON and the task with the keys of Label Studio's own task list.

    The three are parted by tabs, which JSON text cannot hold, so that a reader can sort lines without parsing tasks.
    """
    tasks = list(
        Task.objects.filter(project_id=project, pk__gt=after)
        .order_by("pk")
        .annotate(
            row_id=KeyTextTransform("row_id", "data"),
            data_text=Cast("data", TextField()),
            meta_text=Cast("meta", TextField()),
        )
        .values_list("pk", "row_id", "data_text", "meta_text", "overlap", "is_labeled", "created_at", "updated_at")[
            :most
        ]
    )
    if not tasks:  # the reader knows by an empty page that it has everything
        return ""
    within = {"task__project_id": project, "task_id__gte": tasks[0][0], "task_id__lte": tasks[-1][0]}
    result = Cast("result", TextField())
    annotations = (
        Annotation.objects.filter(**within)
        .order_by("task_id", "pk")
        .annotate(result_text=result)
        .values_list(
            "task_id", "pk", "completed_by_id", "updated_by_id", "created_at", "updated_at", "lead_time",
            "was_cancelled", "parent_prediction_id", "result_text",
        )
    )  # fmt: skip
    predictions = (
        Prediction.objects.filter(**within)
        .order_by("task_id", "pk")
        .annotate(result_text=result)
        .values_list("task_id", "pk", "model_version", "score", "result_text")
    )
    answers, guesses = defaultdict[int, list[str]](list), defaultdict[int, list[str]](list)
    forms, versions = forms_of_answers(tasks[0][0], tasks[-1][0]), versions_of_answers(tasks[0][0], tasks[-1][0])
    for task, *columns in annotations:
        answers[task].append(_annotation(forms.get(columns[0]), versions.get(columns[0]), *columns))
    for task, *columns in predictions:
        guesses[task].append(_prediction(*columns))
    return "".join(_line(project, task, answers[task[0]], guesses[task[0]]) for task in tasks)


def _line(project: int, task: tuple[Any, ...], annotations: list[str], predictions: list[str]) -> str:
    pk, row_id, data, meta, overlap, is_labeled, created, updated = task
    head = {"id": pk, "project": project, "overlap": overlap, "is_labeled": is_labeled}
    return (
        f"{pk}\t{json.dumps(row_id or '')}\t{json.dumps(head)[:-1]}{_times(created, updated)},"
        f'"data":{data or "{}"},"meta":{meta or "null"},'
        f'"annotations":[{",".join(annotations)}],"predictions":[{",".join(predictions)}]}}\n'
    )


def _annotation(
    form: dict[str, Any] | None,
    version: dict[str, Any] | None,
    pk: int,
    by: int | None,
    edited_by: int | None,
    created: datetime,
    updated: datetime,
    lead_time: float | None,
    cancelled: bool,
    parent: int | None,
    result: str | None,
) -> str:
    head: dict[str, Any] = {"id": pk, "completed_by": by, "updated_by": edited_by, "lead_time": lead_time}
    head |= {"was_cancelled": cancelled, "parent_prediction": parent, "shown": form, "guidelines": version}
    return f'{json.dumps(head)[:-1]}{_times(created, updated)},"result":{result or "null"}}}'


def _prediction(pk: int, version: str | None, score: float | None, result: str | None) -> str:
    head: dict[str, Any] = {"id": pk, "model_version": version, "score": score}
    return f'{json.dumps(head)[:-1]},"result":{result or "null"}}}'


def _times(created: datetime, updated: datetime) -> str:
    return f',"created_at":"{created.isoformat()}","updated_at":"{updated.isoformat()}"'
