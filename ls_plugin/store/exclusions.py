"""Who may not take a task, because of a part that they had in the row or of what they saw of it."""

from __future__ import annotations

from collections.abc import Iterable

from ls_plugin.models import Excluded


def exclude(pairs: Iterable[tuple[int, int]]) -> None:
    """Exclude people from tasks: (task, account). An exclusion that is there already stays."""
    # Without a look first: two who exclude the same person at once both succeed.
    Excluded.objects.bulk_create(
        [Excluded(task_id=task_id, user_id=user_id) for task_id, user_id in pairs], ignore_conflicts=True
    )


def is_excluded(task_id: int, user_id: int) -> bool:
    """Whether somebody may not take or change a task, because of what they did or saw of the row."""
    return bool(Excluded.objects.filter(task_id=task_id, user_id=user_id).exists())
