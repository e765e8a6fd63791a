"""What a submission or a draft may say: fields that are its author's to set, and nothing that breaks storage."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from django.http import QueryDict
from tasks.models import Annotation, AnnotationDraft, Prediction

from ls_plugin.access.parameters import parameters
from ls_plugin.store.refusals import Refused

_ANSWER_FIELDS = frozenset(
    {
        "result", "was_cancelled", "lead_time", "draft_id", "parent_prediction", "parent_annotation", "started_at",
        "task", "project", "completed_by", "ground_truth", "unique_id", "id", "draft", "created_username",
        "created_ago",
    }
)  # fmt: skip
_DRAFT_FIELDS = frozenset(
    {
        "result", "lead_time", "was_postponed", "task", "annotation", "user", "project", "parent_prediction",
        "parent_annotation", "started_at", "draft_id", "id", "draft", "unique_id", "created_username", "created_ago",
    }
)  # fmt: skip
# Longer than anybody works on a row, in seconds; sums over all rows stay finite.
_LONGEST = 1e9
MANAGERS_LARGEST = 8_000_000
"""Characters of a manager's request as JSON: a team of thousands, a label interface, guidelines."""

ANSWERS_LARGEST = 2_000_000
"""Characters of an answer as JSON. A row that somebody labels has a few thousand; a thousand boxes have 300,000."""

ACCOUNTS_LARGEST = 64_000
"""Characters of what people store about themselves: a manager's list of people loads it for each of them."""

MOST_DRAFTS = 10
"""Drafts of one person on one task. The screen keeps one and changes it; a second window has its own."""

# Characters of a region's id; the screen makes ten.
_LONGEST_ID = 200
# Levels of an answer inside each other; the deepest that a labelling screen makes has about ten. Label Studio wraps an
# answer into its lists and exports, where what is near Python's own limit would break them for everybody.
_DEEPEST = 100
# The character NUL as JSON writes it; PostgreSQL stores no such text.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def is_empty(value: Any) -> bool:
    """Whether a field says nothing, as forms and JSON write it."""
    return value in (None, "", "null", False, "false", "False", 0, "0")


def _names(value: Any, expected: int) -> bool:
    """Whether a field, if it is there, names this id."""
    if isinstance(value, Mapping):
        value = value.get("id")
    return is_empty(value) or str(value) == str(expected)


def require_storable(request: Any, largest: int) -> None:
    """Refuse what cannot be stored and read again.

    One half of a character, NUL or an endless number in a single answer would break every list, page and export that
    holds it, for everybody.

    Args:
        request: What came.
        largest: Characters that it may have as JSON.

    Raises:
        Refused: ``bad_request``, or ``too_large`` for what nobody could open again.
    """
    data = request.data
    try:
        text = json.dumps(
            dict(data.lists()) if isinstance(data, QueryDict) else data,
            default=str,
            ensure_ascii=False,
            allow_nan=False,
        )
        text.encode()
    except (ValueError, RecursionError):
        raise Refused("bad_request", "The request holds a number or a character that cannot be stored.") from None
    if len(text) > largest:
        raise Refused("too_large")
    if not _is_flat_enough(data):
        raise Refused("bad_request", "The request is nested too deeply.")
    if _NUL.search(text):
        raise Refused("bad_request", "The request holds the character NUL, which cannot be stored.")


def _is_flat_enough(data: Any) -> bool:
    """Whether nothing lies more than `_DEEPEST` levels inside."""
    level = [data]
    for _ in range(_DEEPEST):
        level = [
            inside
            for part in level
            if isinstance(part, list | dict)
            for inside in (part.values() if isinstance(part, dict) else part)
        ]
        if not level:
            return True
    return False


def require_submission(user_id: int, request: Any, task_id: int) -> None:
    """Refuse a submission that sets what is not its author's to set, or that holds no list of regions."""
    body = _flat(parameters(request))
    if isinstance(request.data, list) or (not body and request.data):
        raise Refused("bad_request", "An answer is one JSON object.")
    _content(body)
    not_theirs = sorted(set(body) - _ANSWER_FIELDS)
    if not_theirs:
        raise Refused("field_not_allowed", f"`{not_theirs[0]}` may not be set here.")
    if not _names(body.get("completed_by"), user_id):
        raise Refused("on_behalf")
    if not is_empty(body.get("ground_truth")):
        raise Refused("ground_truth")
    if not _names(body.get("task"), task_id):
        raise Refused("project_mismatch", "The task named in the answer is not the one in the address.")
    parent = body.get("parent_prediction")
    if not is_empty(parent) and not Prediction.objects.filter(pk=_number(parent), task_id=task_id).exists():
        raise Refused("on_behalf")
    parent = body.get("parent_annotation")
    if not is_empty(parent):
        mine = Annotation.objects.filter(pk=_number(parent), task_id=task_id, completed_by_id=user_id)
        if not mine.exists():
            raise Refused("on_behalf")


def require_draft(user_id: int, request: Any, task_id: int) -> None:
    """Refuse a draft that sets what is not its author's to set, or that holds no list of regions."""
    body = _flat(parameters(request))
    _content(body)
    not_theirs = sorted(set(body) - _DRAFT_FIELDS)
    if not_theirs:
        raise Refused("field_not_allowed", f"`{not_theirs[0]}` may not be set here.")
    if not _names(body.get("user"), user_id):
        raise Refused("on_behalf")
    if not _names(body.get("task"), task_id):
        raise Refused("project_mismatch", "The task named in the draft is not its own.")
    if request.method == "POST" and _drafts(user_id, task_id) >= MOST_DRAFTS:
        raise Refused("too_many_drafts")
    about = body.get("annotation")
    if (
        not is_empty(about)
        and not Annotation.objects.filter(pk=_number(about), task_id=task_id, completed_by_id=user_id).exists()
    ):
        raise Refused("on_behalf")


def _drafts(user_id: int, task_id: int) -> int:
    return int(AnnotationDraft.objects.filter(user_id=user_id, task_id=task_id).count())


def _content(body: Mapping[str, Any]) -> None:
    """Refuse a time that is no number of seconds, and a result that is no list of regions."""
    seconds = body.get("lead_time")
    try:
        fits = seconds in (None, "") or 0 <= float(seconds) <= _LONGEST
    except (TypeError, ValueError, OverflowError):
        fits = False
    if not fits:
        raise Refused("bad_request", f"`lead_time` must be a number of seconds from 0 to {_LONGEST:.0f}.")
    if not is_empty(body.get("result")) and not _regions(body["result"]):
        raise Refused("bad_request", "`result` must be a list of regions with from_name, to_name, type and value.")


def _regions(result: Any) -> bool:
    """Whether this is a list of regions as the labelling screen sends them; a form sends it as text."""
    if isinstance(result, str):
        try:
            result = json.loads(result)
            json.dumps(result, ensure_ascii=False, allow_nan=False).encode()
        except (ValueError, RecursionError):
            return False
        if not _is_flat_enough(result):  # inside the request it was one text, and flat
            return False
    return isinstance(result, list) and all(
        isinstance(region, Mapping)
        and isinstance(region.get("type"), str)
        and len(str(region.get("id") or "")) <= _LONGEST_ID
        and (
            region["type"] == "relation"
            or (
                isinstance(region.get("from_name"), str)
                and isinstance(region.get("to_name"), str)
                and isinstance(region.get("value"), Mapping)
            )
        )
        for region in result
    )


def _flat(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body as a dictionary; a form's repeated fields count with their last value, as Label Studio reads them."""
    return body.dict() if isinstance(body, QueryDict) else dict(body)


def _number(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise Refused("bad_request", "An id must be a number.") from None
