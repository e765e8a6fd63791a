"""Both ways to the next task, the queue's and the data manager's, go through our hand-out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from projects.functions.stream_history import add_stream_history
from tasks.models import Task

from ls_plugin.patches.registry import replace
from ls_plugin.people import standings
from ls_plugin.queue.handout import hand_out
from ls_plugin.store.refusals import Refused

NextTask = Callable[..., tuple[Any, str]]


def install() -> None:
    """Replace what finds the next task, at both places that have it by name."""
    replace("projects.api.get_next_task", _get_next_task)
    replace("data_manager.actions.next_task.get_next_task", _get_next_task)


def _get_next_task(stock: NextTask) -> NextTask:
    def get_next_task(user: Any, prepared: Any, project: Any, *args: Any, **kwargs: Any) -> tuple[Any, str]:
        place = standings.place_of(project.pk)
        if place is None:
            return stock(user, prepared, project, *args, **kwargs)
        standing = standings.standing_of(user)
        person = standing.person(place.campaign_id) if standing else None
        if person is None or not standings.can_work(person, place.stage):
            raise Refused("no_role")
        slot = hand_out(user.pk, person, place)
        task = Task.objects.select_related("project").get(pk=slot.task_id)
        add_stream_history(task, user, project)
        return task, "Quorum"

    return get_next_task
