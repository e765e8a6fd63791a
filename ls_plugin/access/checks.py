"""Further checks on a call that the table let in: whose is it, and what may it say."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.http import QueryDict

from ls_plugin.access.gate import Call, parameters
from ls_plugin.models import CampaignProject, Grant, Slot, Stage, is_excluded
from ls_plugin.people import standings
from ls_plugin.queue import handout, qualification
from ls_plugin.store.refusals import Refused
from review_rules import Person

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
# Actions of the data manager that put answers into a campaign, change them or change task data.
_ACTIONS_OFF = frozenset(
    {
        "predictions_to_annotations", "propagate_annotations", "delete_tasks_annotations", "delete_annotations",
        "delete_reviews", "rename_labels", "add_data_field", "remove_duplicates", "cache_labels",
        "delete_tasks_annotations_and_drafts",
    }
)  # fmt: skip
# Longer than anybody works on a row, in seconds; sums over all rows stay finite.
_LONGEST = 1e9
# Characters of an answer as JSON; a row that somebody labels is a few thousand.
_LARGEST = 8_000_000
# Levels of an answer inside each other; the deepest that a labelling screen makes has about ten. Label Studio wraps an
# answer into its lists and exports, where what is near Python's own limit would break them for everybody.
_DEEPEST = 100
# The character NUL as JSON writes it; PostgreSQL stores no such text.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def _empty(value: Any) -> bool:
    return value in (None, "", "null", False, "false", "False", 0, "0")


def _same(value: Any, expected: int) -> bool:
    """Whether a field, if it is there, names this id."""
    if isinstance(value, Mapping):
        value = value.get("id")
    return _empty(value) or str(value) == str(expected)


def require_storable(request: Any) -> None:
    """What people send must be storable and be readable again: one half of a character, NUL or an endless number in a
    single answer would break every list, page and export that holds it, for everybody.

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
    if len(text) > _LARGEST:
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
            for one in level
            if isinstance(one, list | dict)
            for inside in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return True
    return False


def own_task(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """Only tasks that the server gave this person."""
    if not handout.was_given(_task(kwargs), call.signed_in.user_id):
        raise Refused("not_given" if request.method == "POST" else "not_yours")


def own_file(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """Only files that the data of a task given to this person names."""
    from tasks.models import Task

    own_task(call, request, kwargs)
    wanted = request.query_params.get("fileuri", "")
    try:
        decoded = base64.urlsafe_b64decode(wanted.encode()).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise Refused("bad_request", "`fileuri` is not readable.") from None
    if not decoded or not _names_file(Task.objects.values_list("data", flat=True).get(pk=_task(kwargs)), decoded):
        raise Refused("not_yours")


def own_upload(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """Only uploaded files that the data of some task given to this person names."""
    from tasks.models import Task

    given = Grant.objects.filter(user_id=call.signed_in.user_id, project_id=call.project_id).values("task_id")
    data = Task.objects.filter(pk__in=given).values_list("data", flat=True)
    if not any(_names_file(one, f"/data/upload/{kwargs['filename']}") for one in data.iterator()):
        raise Refused("not_yours")


def _names_file(data: Any, address: str) -> bool:
    """Whether a row's data holds the whole of an address: a part of it could be the address of another file."""
    text = json.dumps(data, ensure_ascii=False)
    return re.search(rf"(?<![\w/.%:-]){re.escape(address)}(?![\w/%-]|\.\w)", text) is not None


def submission(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """A new answer: by the one who is signed in, on a task that was given, saying nothing that is not its to say."""
    if call.place is None:
        return
    person = _worker(call)
    task_id = _task(kwargs)
    handout.require(task_id, call.signed_in.user_id, person, call.place)
    _answer_fields(call, request, task_id)


def change(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """A change of one's own answer while the next stage has not begun."""
    if call.place is None:
        return
    _worker(call)
    annotation = _annotation(call, kwargs)
    _answer_fields(call, request, annotation.task_id)
    slot = Slot.objects.filter(task_id=annotation.task_id).first()
    if slot is None or slot.sealed:
        raise Refused("sealed")
    if call.place.stage is Stage.PASS and qualification.is_marked(call.signed_in.user_id, call.place, slot.row_id):
        raise Refused("marked")
    _require_unknowing(call, annotation.task_id)


def own_annotation(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """Only one's own answer."""
    _annotation(call, kwargs)


def keep_answer(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """Answers of a campaign are not deleted one by one."""
    if call.place is not None:
        if call.ordinary:
            _annotation(call, kwargs)
        raise Refused("keep_answers")


def take_back_skip(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """A skip of one's own may be taken back while a seat is free; an answer may not be taken back."""
    if call.place is None:
        return
    _worker(call)
    annotation = _annotation(call, kwargs)
    if not annotation.was_cancelled:
        raise Refused("keep_answers")
    _require_unknowing(call, annotation.task_id)
    handout.regive(annotation.task_id, call.signed_in.user_id, call.place)


def _require_unknowing(call: Call, task_id: int) -> None:
    """Whoever has seen, as a manager, what others said of a row leaves what they said themselves as it is."""
    if is_excluded(task_id, call.signed_in.user_id):
        raise Refused("excluded")


def no_outlet(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """Whoever works in a campaign sends none of its answers to where they could read them."""
    standing = call.signed_in
    works = standing.works_in_campaign(call.place.campaign_id) if call.place else bool(standing.works_somewhere())
    if works and (call.place is not None or call.project_id is None):
        raise Refused("outlet")


def behind_a_proxy(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """A proxy asks whether somebody may have a file, and says which; nobody else does."""
    if "HTTP_X_ORIGINAL_URI" not in request.META:
        raise Refused("bad_request", "`X-Original-URI` is missing: this is what a proxy asks.")


def new_draft(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """A draft on a task that was given, of one's own."""
    if call.place is None:
        return
    _worker(call)
    own_task(call, request, kwargs)
    if "annotation_id" in kwargs:
        _annotation(call, {"pk": kwargs["annotation_id"]})
    _draft_fields(call, request, _task(kwargs))
    handout.touch(_task(kwargs), call.signed_in.user_id, call.place)


def own_draft(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """Only one's own draft, and it stays on its task."""
    from tasks.models import AnnotationDraft

    if call.place is None:
        return
    draft = AnnotationDraft.objects.filter(pk=kwargs["pk"], user_id=call.signed_in.user_id).first()
    if draft is None:
        raise Refused("not_yours")
    if request.method in ("PUT", "PATCH"):
        _draft_fields(call, request, draft.task_id)
        handout.touch(draft.task_id, call.signed_in.user_id, call.place)


def next_action(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """Of the data manager's actions people have one: the next task."""
    if request.query_params.getlist("id") != ["next_task"]:
        raise Refused("managers_only")


def manager_action(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """On a campaign, managers lack the actions that would put in, change or take away answers."""
    if call.place is not None and request.query_params.get("id") in _ACTIONS_OFF:
        raise Refused("action")


def own_account(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """Only one's own account."""
    if "pk" in kwargs and str(kwargs["pk"]) != str(call.signed_in.user_id) and not call.signed_in.owner:
        raise Refused("not_yours")


def own_avatar(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """Only one's own picture; accounts are made and deleted by managers."""
    if "/avatar" not in request.path:
        raise Refused("managers_only")
    own_account(call, request, kwargs)
    avatar(call, request, kwargs)


def avatar(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """A picture that Label Studio takes; what it does not take would be an error of the server there."""
    from users.functions.common import check_avatar

    if request.method != "POST" or "/avatar" not in request.path:
        return
    try:
        check_avatar(request.FILES)
    except (ValidationError, ValueError) as error:
        sentences = getattr(error, "messages", ["This is no picture."])
        raise Refused("bad_request", " ".join(map(str, sentences))) from None


def not_last_manager(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """An account that is the last manager's stays."""
    if "/avatar" not in request.path and "pk" in kwargs:
        _keep_a_manager(int(kwargs["pk"]))


def not_last_manager_member(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """A member who is the last manager stays."""
    _keep_a_manager(int(kwargs["user_pk"]))


def project_change(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """What the policy decides about a campaign's project is not set by hand."""
    if call.place is None:
        return
    body = parameters(request)
    project = CampaignProject.objects.get(project_id=call.place.project_id)
    wanted = body.get("maximum_annotations")
    if wanted is not None and str(wanted) != str(project.capacity):
        raise Refused("policy_decides")
    percentage = body.get("overlap_cohort_percentage")
    if percentage is not None and str(percentage) != "100":
        raise Refused("policy_decides")
    if not _empty(body.get("annotator_evaluation_enabled")):
        raise Refused("policy_decides")


def no_answers(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """Tasks may be imported into a campaign; answers may not."""
    if call.place is None:
        return
    body = request.data
    tasks = body if isinstance(body, list) else [body]
    for task in tasks:
        if isinstance(task, Mapping) and any(task.get(key) for key in ("annotations", "completions", "drafts")):
            raise Refused("no_answers_in")


def no_reimport(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """A reimport would replace the tasks of a campaign, and their answers with them."""
    if call.place is not None:
        raise Refused("task_data")


def no_bulk_labels(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """Labels are not renamed inside answers once a campaign is on the server."""
    if CampaignProject.objects.exists():
        raise Refused("action")


def _task(kwargs: Mapping[str, Any]) -> int:
    return int(kwargs["task_id"] if "task_id" in kwargs else kwargs["pk"])


def _worker(call: Call) -> Person:
    """The person of the team behind the call, with a role for this stage."""
    person = call.signed_in.person(call.place.campaign_id) if call.place else None
    if person is None or call.place is None or not standings.can_work(person, call.place.stage):
        raise Refused("no_role")
    return person


def _annotation(call: Call, kwargs: Mapping[str, Any]) -> Any:
    from tasks.models import Annotation

    found = Annotation.objects.filter(pk=kwargs["pk"], completed_by_id=call.signed_in.user_id).first()
    if found is None:
        raise Refused("not_yours")
    return found


def _flat(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body as a dictionary; a form's repeated fields count with their last value, as Label Studio reads them."""
    return body.dict() if isinstance(body, QueryDict) else dict(body)


def _answer_fields(call: Call, request: Any, task_id: int) -> None:
    from tasks.models import Annotation, Prediction

    me, body = call.signed_in.user_id, _flat(parameters(request))
    if isinstance(request.data, list) or (not body and request.data):
        raise Refused("bad_request", "An answer is one JSON object.")
    _content(request, body)
    strange = sorted(set(body) - _ANSWER_FIELDS)
    if strange:
        raise Refused("field_not_allowed", f"`{strange[0]}` may not be set here.")
    if not _same(body.get("completed_by"), me):
        raise Refused("on_behalf")
    if not _empty(body.get("ground_truth")):
        raise Refused("ground_truth")
    if not _same(body.get("task"), task_id):
        raise Refused("project_mismatch", "The task named in the answer is not the one in the address.")
    parent = body.get("parent_prediction")
    if not _empty(parent) and not Prediction.objects.filter(pk=_number(parent), task_id=task_id).exists():
        raise Refused("on_behalf")
    parent = body.get("parent_annotation")
    if not _empty(parent):
        mine = Annotation.objects.filter(pk=_number(parent), task_id=task_id, completed_by_id=me)
        if not mine.exists():
            raise Refused("on_behalf")


def _draft_fields(call: Call, request: Any, task_id: int) -> None:
    from tasks.models import Annotation

    me, body = call.signed_in.user_id, _flat(parameters(request))
    _content(request, body)
    strange = sorted(set(body) - _DRAFT_FIELDS)
    if strange:
        raise Refused("field_not_allowed", f"`{strange[0]}` may not be set here.")
    if not _same(body.get("user"), me):
        raise Refused("on_behalf")
    if not _same(body.get("task"), task_id):
        raise Refused("project_mismatch", "The task named in the draft is not its own.")
    about = body.get("annotation")
    if (
        not _empty(about)
        and not Annotation.objects.filter(pk=_number(about), task_id=task_id, completed_by_id=me).exists()
    ):
        raise Refused("on_behalf")


def _content(request: Any, body: Mapping[str, Any]) -> None:
    """The time that an answer took is a number of seconds, and what it says is a list of regions."""
    require_storable(request)
    seconds = body.get("lead_time")
    try:
        fits = seconds in (None, "") or 0 <= float(seconds) <= _LONGEST
    except (TypeError, ValueError, OverflowError):
        fits = False
    if not fits:
        raise Refused("bad_request", f"`lead_time` must be a number of seconds from 0 to {_LONGEST:.0f}.")
    if not _empty(body.get("result")) and not _regions(body["result"]):
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


def _number(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise Refused("bad_request", "An id must be a number.") from None


def _keep_a_manager(user_id: int) -> None:
    from ls_plugin.people.team import managers_without

    if not managers_without(user_id):
        raise Refused("last_manager")


Check = Callable[[Call, Any, Mapping[str, Any]], None]
CHECKS: dict[str, Check] = {
    check.__name__: check
    for check in (
        own_task, own_file, own_upload, submission, change, own_annotation, keep_answer, take_back_skip, new_draft,
        own_draft, next_action, manager_action, own_account, own_avatar, avatar, not_last_manager,
        not_last_manager_member, project_change, no_answers, no_reimport, no_bulk_labels, no_outlet, behind_a_proxy,
    )
}  # fmt: skip
