"""Label Studio's counters of a project, kept without holding people up.

Label Studio writes the one summary row of a project several times while an answer is saved. A submission is one
transaction here, so on PostgreSQL everybody who submits in a project would wait for whoever came first, from the first
of these writes to the end. Two of three are for nothing: a task's data columns are taken off and put on again although
its data stays. What is left, which labels are in use, follows the commit in a short transaction of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.db import transaction
from projects.models import ProjectSummary

from ls_plugin.patches.registry import replace
from ls_plugin.store.retries import when_committed


def install() -> None:
    """Leave out the writes that change nothing, and put the last one off."""
    replace("tasks.models._task_data_is_not_updated", _task_data_is_not_updated)
    replace("tasks.models.Annotation.increase_project_summary_counters", lambda stock: _count_later)


def _task_data_is_not_updated(stock: Callable[..., Any]) -> Callable[[Iterable[str] | None], bool]:
    def is_not_updated(update_fields: Iterable[str] | None) -> bool:
        return bool(stock(update_fields)) or (update_fields is not None and "data" not in update_fields)

    return is_not_updated


def _count_later(annotation: Any) -> None:
    """Count an answer's labels after the commit; at once where no transaction is open."""
    when_committed(_count, annotation)


def _count(annotation: Any) -> None:
    with transaction.atomic():
        # Read under its lock: Label Studio counts from what it read some time before.
        summary, _ = ProjectSummary.objects.select_for_update().get_or_create(project_id=annotation.project_id)
        summary.update_created_annotations_and_labels([annotation])
