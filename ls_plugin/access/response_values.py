"""Reading responses: which tasks are in one, whose answers, and a digest of what of a task it shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

# What people, models and files wrote: whatever it looks like, it says nothing of whose answer it is in.
_WRITTEN = frozenset({"result", "data", "meta"})


def task_ids(tasks: Iterable[Mapping[str, Any]]) -> list[int]:
    """The ids of tasks in a response; Label Studio leaves them out where the caller asks for other fields only."""
    return [task["id"] for task in tasks if isinstance(task.get("id"), int)]


def tasks_in(data: Any) -> list[int]:
    """The tasks that a response is about: a page of tasks, one task, one answer or draft, or a list of these."""
    if isinstance(data, Mapping) and "tasks" in data:
        return task_ids(data["tasks"])
    if isinstance(data, Mapping):
        return task_ids([data]) if "data" in data else [data["task"]] if isinstance(data.get("task"), int) else []
    answers = [part for part in data or () if isinstance(part, Mapping)]
    return sorted({answer["task"] for answer in answers if isinstance(answer.get("task"), int)})


def others_answers(data: Any, user_id: int) -> dict[int, set[int]]:
    """Task id → ids of answers by others anywhere in a response, found by looking at all that the server wrote."""
    answers: dict[int, set[int]] = {}

    def walk(part: Any, task_id: int) -> None:
        if isinstance(part, Mapping):
            if "completed_by" in part and author(part) not in (user_id, None):
                answers.setdefault(int(part.get("task") or task_id), set()).add(int(part.get("id") or 0))
            inside = int(part["id"]) if "data" in part and isinstance(part.get("id"), int) else task_id
            for key, value in part.items():
                if key not in _WRITTEN:
                    walk(value, inside)
        elif isinstance(part, list | tuple):
            for value in part:
                walk(value, task_id)

    walk(data, 0)
    return answers


def forms_in(data: Any) -> list[Mapping[str, Any]]:
    """The tasks of a response that come with what their form opens with."""
    entries = data.get("tasks", [data]) if isinstance(data, Mapping) else ()
    return [entry for entry in entries if isinstance(entry.get("id"), int) and {"data", "predictions"} <= entry.keys()]


def shown_digest(data: Any, task_id: int) -> str:
    """What of a task was shown: its data, the pre-annotations and the answers, whatever the response around them."""
    entries = data.get("tasks", [data]) if isinstance(data, Mapping) else data
    shown = [
        {
            "data": entry.get("data"),
            "predictions": [prediction.get("id") for prediction in entry.get("predictions") or ()],
            "annotations": [
                [answer.get("id"), answer.get("result")] for answer in entry.get("annotations") or () if answer
            ],
            "result": entry.get("result"),
        }
        for entry in entries
        if isinstance(entry, Mapping) and task_id in (entry.get("id"), entry.get("task"))
    ]
    return hashlib.sha256(json.dumps(shown, default=str, sort_keys=True).encode()).hexdigest()[:32]


def author(answer: Mapping[str, Any]) -> Any:
    """The account that an answer in a response is by."""
    account = answer.get("completed_by")
    return account.get("id") if isinstance(account, Mapping) else account
