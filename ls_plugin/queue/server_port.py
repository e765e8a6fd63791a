"""The port to Label Studio from inside the server: the same Protocol as over HTTP, on Django's models.

It holds what reconciling rows needs (`label_studio_quorum.port.RowPort`); setting a campaign up goes over HTTP either
way.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from django.db.models import Max, Q
from projects.models import Project
from tasks.models import Annotation, Prediction, Task
from users.models import User

from label_studio_quorum import port
from label_studio_quorum.port import NewPrediction, NewTask
from ls_plugin.models import Campaign, Member, Slot
from ls_plugin.store import guidelines

_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class TaskQueue:
    """What a task has and asks for.

    Attributes:
        submissions: how many it has; Label Studio counts their authors, of whom deleted accounts are one.
        lacking: how many more it asks for.
    """

    submissions: int
    lacking: int

    @classmethod
    def of(cls, task: port.Task) -> TaskQueue:
        """What a task that was read has and asks for."""
        lacking = 0 if task.is_labeled else task.overlap - len(task.annotators)
        return cls(len(task.submitted), max(0, lacking))


NOTHING_ASKED = TaskQueue(0, 0)


class ServerPort:
    """A `label_studio_quorum.port.RowPort` on the database of this server.

    Args:
        known: All slots of the rows that will be asked for by id, where the caller has read them.
    """

    def __init__(self, known: Iterable[Slot] | None = None) -> None:
        self._known = None if known is None else [(slot.project_id, slot.row_id, slot.task_id) for slot in known]

    def projects(self, ids: Iterable[int]) -> dict[int, port.Project]:
        """These projects by id."""
        rows = Project.objects.filter(pk__in=list(ids)).values_list("id", "title", "description", "label_config")
        return {
            pk: port.Project(id=pk, title=title, description=about or "", label_config=xml or "")
            for pk, title, about, xml in rows
        }

    def users(self) -> list[port.User]:
        """Every account."""
        return [port.User(id=pk, email=email) for pk, email in User.objects.values_list("id", "email")]

    def users_of(self, campaign_id: int) -> list[port.User]:
        """The accounts of a campaign's team, with the addresses of the team file."""
        members = Member.objects.filter(campaign_id=campaign_id, user_id__isnull=False)
        return [port.User(id=user, email=email) for user, email in members.values_list("user_id", "email")]

    def links_of(self, campaign_id: int) -> dict[int, str]:
        """User id → person id of a campaign's team."""
        members = Member.objects.filter(campaign_id=campaign_id, user_id__isnull=False)
        return dict(members.values_list("user_id", "person_id"))

    def guideline_versions(self, campaign: str) -> tuple[port.Json, ...]:
        """The versions of a campaign's guidelines, oldest first."""
        pk = Campaign.objects.filter(name=campaign).values_list("pk", flat=True).first()
        versions = [] if pk is None else guidelines.versions_of(pk)
        return tuple({**guidelines.named(version), "at": version.at.isoformat()} for version in versions)

    def tasks(
        self, project: int, *, since: datetime | None = None, row_ids: Sequence[str] | None = None
    ) -> Iterator[port.Task]:
        """The project's tasks by id; those of some rows are found by the plugin's index."""
        tasks = Task.objects.filter(project_id=project)
        if row_ids is not None:
            ids = self._tasks_of(project, row_ids)
            if not ids:
                return
            tasks = tasks.filter(pk__in=ids)
        if since is not None:
            tasks = tasks.filter(updated_at__gte=since)
        rows = tasks.order_by("pk").values_list(*_TASK).iterator(chunk_size=_AT_ONCE)
        while part := list(islice(rows, _AT_ONCE)):
            yield from _tasks(part)

    def _tasks_of(self, project: int, row_ids: Sequence[str]) -> list[int]:
        if self._known is not None:
            return [task for owner, row_id, task in self._known if owner == project and row_id in row_ids]
        slots = Slot.objects.filter(project_id=project, row_id__in=list(row_ids))
        return list(slots.values_list("task_id", flat=True))

    def add_tasks(self, project: int, tasks: Sequence[NewTask]) -> None:
        """Create all of them with their predictions, or none; the caller's transaction holds them together."""
        home = Project.objects.get(pk=project)
        last = Task.objects.filter(project_id=project).aggregate(last=Max("inner_id"))["last"] or 0
        # In bulk, as Label Studio's own import: saved one by one, each would count the project's columns several times.
        made = Task.objects.bulk_create(
            Task(
                project=home,
                data=new.data,
                meta=new.meta,
                overlap=home.maximum_annotations,
                inner_id=number,
                total_predictions=len(new.predictions),
            )
            for number, new in enumerate(tasks, start=last + 1)
        )
        Prediction.objects.bulk_create(
            Prediction(
                task=task, project=home, model_version=guess.model_version, result=guess.result, score=guess.score
            )
            for task, new in zip(made, tasks, strict=True)
            for guess in new.predictions
        )
        if hasattr(home, "summary"):
            home.summary.update_data_columns(made)
        served = next((guess.model_version for new in tasks for guess in new.predictions), "")
        # As Label Studio's own import does: forms are pre-filled only from the version that the project names.
        unset = Q(model_version="") | Q(model_version__isnull=True)
        Project.objects.filter(unset, pk=project).update(model_version=served)

    def add_predictions(self, project: int, predictions: Sequence[tuple[int, NewPrediction]]) -> None:
        """Store a prediction for each task id."""
        for task, guess in predictions:
            Prediction.objects.create(
                task_id=task,
                project_id=project,
                model_version=guess.model_version,
                result=guess.result,
                score=guess.score,
            )

    def set_queue(self, task: int, *, overlap: int, is_labeled: bool) -> None:
        """Set how many people a task asks for, and whether it has them."""
        Task.objects.filter(pk=task).update(overlap=overlap, is_labeled=is_labeled)

    def queue(self, tasks: Iterable[int]) -> dict[int, TaskQueue]:
        """Task id → what it has and asks for."""
        rows = Task.objects.filter(pk__in=list(tasks)).order_by("pk").values_list(*_TASK)
        return {task.id: TaskQueue.of(task) for task in _tasks(list(rows))}

    def withdraw(self, project: int, tasks: Sequence[int]) -> int:
        """Delete those of the tasks that still have no submission at this moment; how many went."""
        answered = set(
            Annotation.objects.filter(task_id__in=list(tasks), was_cancelled=False).values_list("task_id", flat=True)
        )
        gone = [task for task in tasks if task not in answered]
        for task in Task.objects.filter(project_id=project, pk__in=gone):
            task.delete()
        return len(gone)


# Columns, not models: Label Studio's keep a copy of every field of each object that they make.
_TASK = ("id", "project_id", "data", "meta", "overlap", "is_labeled", "created_at", "updated_at")
_ANNOTATION = (
    "id", "completed_by_id", "updated_by_id", "created_at", "updated_at", "lead_time", "was_cancelled", "result",
)  # fmt: skip
_PREDICTION = ("id", "model_version", "result", "score")


def _tasks(rows: Sequence[tuple[Any, ...]]) -> Iterator[port.Task]:
    """Tasks, from their columns, with their annotations and predictions."""
    about = {"task_id__in": [row[0] for row in rows]}
    answers, guesses = defaultdict[int, list[port.Annotation]](list), defaultdict[int, list[port.Prediction]](list)
    for task, *columns in Annotation.objects.filter(**about).order_by("pk").values_list("task_id", *_ANNOTATION):
        answers[task].append(_annotation(*columns))
    for task, *columns in Prediction.objects.filter(**about).order_by("pk").values_list("task_id", *_PREDICTION):
        guesses[task].append(_prediction(*columns))
    for pk, project, data, meta, overlap, is_labeled, created, updated in rows:
        yield port.Task(
            id=pk,
            project=project,
            data=data,
            meta=meta if isinstance(meta, dict) else {},
            overlap=overlap,
            is_labeled=is_labeled,
            created_at=created,
            updated_at=updated,
            annotations=tuple(answers[pk]),
            predictions=tuple(guesses[pk]),
        )


def _annotation(
    pk: int,
    by: int | None,
    edited_by: int | None,
    created: datetime,
    updated: datetime,
    lead_time: float | None,
    cancelled: bool,
    result: Any,
) -> port.Annotation:
    return port.Annotation(
        id=pk,
        by=by,
        edited_by=edited_by,
        created_at=created,
        updated_at=updated,
        lead_time=lead_time,
        cancelled=cancelled,
        result=_items(result),
    )


def _prediction(pk: int, version: str | None, result: Any, score: float | None) -> port.Prediction:
    return port.Prediction(id=pk, model_version=version or "", result=_items(result), score=score)


def _items(result: Any) -> list[Any]:
    """The parts of an answer; Label Studio stores nothing, or an object, where there are none."""
    return list(result) if isinstance(result, list) else []
