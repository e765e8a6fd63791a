"""The port to Label Studio from inside the server: the same Protocol as over HTTP, on Django's models.

It holds what reconciling rows needs (`workflow.port.RowPort`); setting a campaign up goes over HTTP either way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Max, Q

from ls_plugin.models import Member, Slot
from workflow import port
from workflow.port import NewPrediction, NewTask


class ServerPort:
    """A `workflow.port.RowPort` on the database of this server."""

    def projects(self, ids: Iterable[int]) -> dict[int, port.Project]:
        """These projects by id."""
        from projects.models import Project

        found = Project.objects.filter(pk__in=list(ids)).values_list("id", "title", "description", "label_config")
        return {
            pk: port.Project(id=pk, title=title, description=about or "", label_config=xml or "")
            for pk, title, about, xml in found
        }

    def users(self) -> list[port.User]:
        """Every account."""
        from users.models import User

        return [port.User(id=pk, email=email) for pk, email in User.objects.values_list("id", "email")]

    def users_of(self, campaign_id: int) -> list[port.User]:
        """The accounts of a campaign's team, with the addresses of the team file."""
        members = Member.objects.filter(campaign_id=campaign_id, user_id__isnull=False)
        return [port.User(id=user, email=email) for user, email in members.values_list("user_id", "email")]

    def tasks(
        self, project: int, *, since: datetime | None = None, row_ids: Sequence[str] | None = None
    ) -> Iterator[port.Task]:
        """The project's tasks by id; those of some rows are found by the plugin's index."""
        from tasks.models import Task

        found = Task.objects.filter(project_id=project)
        if row_ids is not None:
            slots = Slot.objects.filter(project_id=project, row_id__in=list(row_ids))
            found = found.filter(pk__in=list(slots.values_list("task_id", flat=True)))
        if since is not None:
            found = found.filter(updated_at__gte=since)
        wanted = found.order_by("pk").prefetch_related("annotations", "predictions")
        for task in wanted.iterator(chunk_size=200):
            yield _task(task)

    def add_tasks(self, project: int, tasks: Sequence[NewTask]) -> None:
        """Create all of them with their predictions, or none; the caller's transaction holds them together."""
        from projects.models import Project
        from tasks.models import Prediction, Task

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
            Prediction(task=task, project=home, model_version=one.model_version, result=one.result, score=one.score)
            for task, new in zip(made, tasks, strict=True)
            for one in new.predictions
        )
        if hasattr(home, "summary"):
            home.summary.update_data_columns(made)
        served = next((one.model_version for new in tasks for one in new.predictions), "")
        # As Label Studio's own import does: forms are pre-filled only from the version that the project names.
        unset = Q(model_version="") | Q(model_version__isnull=True)
        Project.objects.filter(unset, pk=project).update(model_version=served)

    def add_predictions(self, project: int, predictions: Sequence[tuple[int, NewPrediction]]) -> None:
        """Store a prediction for each task id."""
        from tasks.models import Prediction

        for task, one in predictions:
            Prediction.objects.create(
                task_id=task, project_id=project, model_version=one.model_version, result=one.result, score=one.score
            )

    def set_queue(self, task: int, *, overlap: int, is_labeled: bool) -> None:
        """Set how many people a task asks for, and whether it has them."""
        from tasks.models import Task

        Task.objects.filter(pk=task).update(overlap=overlap, is_labeled=is_labeled)

    def withdraw(self, project: int, tasks: Sequence[int]) -> int:
        """Delete those of the tasks that still have no submission at this moment; how many went."""
        from tasks.models import Annotation, Task

        answered = set(
            Annotation.objects.filter(task_id__in=list(tasks), was_cancelled=False).values_list("task_id", flat=True)
        )
        gone = [task for task in tasks if task not in answered]
        for task in Task.objects.filter(project_id=project, pk__in=gone):
            task.delete()
        return len(gone)


def _task(task: Any) -> port.Task:
    return port.Task(
        id=task.pk,
        project=task.project_id,
        data=task.data,
        meta=task.meta if isinstance(task.meta, dict) else {},
        overlap=task.overlap,
        is_labeled=task.is_labeled,
        created_at=task.created_at,
        updated_at=task.updated_at,
        annotations=tuple(_annotation(one) for one in sorted(task.annotations.all(), key=lambda one: one.pk)),
        predictions=tuple(_prediction(one) for one in sorted(task.predictions.all(), key=lambda one: one.pk)),
    )


def _annotation(one: Any) -> port.Annotation:
    return port.Annotation(
        id=one.pk,
        by=one.completed_by_id,
        edited_by=one.updated_by_id,
        created_at=one.created_at,
        updated_at=one.updated_at,
        lead_time=one.lead_time,
        cancelled=one.was_cancelled,
        result=list(one.result or []) if not isinstance(one.result, dict) else [],
    )


def _prediction(one: Any) -> port.Prediction:
    return port.Prediction(
        id=one.pk,
        model_version=one.model_version or "",
        result=list(one.result or []) if not isinstance(one.result, dict) else [],
        score=one.score,
    )
