"""What people's forms opened with: version and hash of the pre-annotation, in the audit log as it left the server.

A line `shown` says it of a task that somebody was handed or opened; the line `submitted` says it of the answer that
came of it. Both are chained, so that what an export says of an answer can be proved.
"""

from __future__ import annotations

import json
from typing import Any, Final

from ls_plugin.models import Record

FORM: Final = "pre_annotation"
"""The key of `{"version", "hash"}` in a line's body; both are null for a form that opened empty."""


def last_form(user_id: int, task_id: int) -> dict[str, Any] | None:
    """What this person's form on a task opened with when they were shown it last; None if no line says it."""
    lines = Record.objects.filter(task_id=task_id, user_id=user_id, kind="shown").order_by("-seq")
    forms = (json.loads(body).get(FORM) for body in lines.values_list("body", flat=True))
    return next((form for form in forms if form is not None), None)


def forms_of_answers(first_task: int, last_task: int) -> dict[int, dict[str, Any]]:
    """Annotation → what the form opened with that it was submitted from, on tasks from the first to the last id."""
    lines = Record.objects.filter(kind="submitted", task_id__gte=first_task, task_id__lte=last_task)
    bodies = map(json.loads, lines.values_list("body", flat=True).iterator())
    return {body["annotation"]: body[FORM] for body in bodies if FORM in body}
