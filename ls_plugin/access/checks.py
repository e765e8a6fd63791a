"""Further checks on a call that the table let in: whose is it, and what may it say."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from projects.models import Project
from tasks.models import Annotation, AnnotationDraft, Task
from users.functions.common import check_avatar

from label_studio_quorum.campaign.projects import interface_of
from ls_config.interface import InterfaceError
from ls_plugin.access import keeping
from ls_plugin.access.call import Call
from ls_plugin.access.parameters import parameters
from ls_plugin.access.submission_content import is_empty, require_draft, require_submission
from ls_plugin.models import CampaignProject, Grant, Slot, Stage
from ls_plugin.people import standings
from ls_plugin.people.standings import CampaignPlace
from ls_plugin.people.team import managers_without
from ls_plugin.queue import qualification, seats
from ls_plugin.queue.changes import asked_by
from ls_plugin.store.exclusions import is_excluded
from ls_plugin.store.refusals import Refused
from ls_plugin.store.slots import slots_of
from review_rules import Person, State

# Actions of the data manager that put answers into a campaign, change them or change task data.
_ACTIONS_OFF = frozenset(
    {
        "predictions_to_annotations", "propagate_annotations", "delete_tasks_annotations", "delete_annotations",
        "delete_reviews", "rename_labels", "add_data_field", "remove_duplicates", "cache_labels",
        "delete_tasks_annotations_and_drafts", "delete_tasks_predictions",
    }
)  # fmt: skip


def own_task(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """Only tasks that the server handed to this person."""
    if not seats.had_seat(_task(kwargs), call.signed_in.user_id):
        raise Refused("not_given" if request.method == "POST" else "not_yours")


def own_file(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """Only files that the data of a task given to this person names."""
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
    mine = Grant.objects.filter(user_id=call.signed_in.user_id, project_id=call.project_id).values("task_id")
    rows = Task.objects.filter(pk__in=mine).values_list("data", flat=True)
    if not any(_names_file(data, f"/data/upload/{kwargs['filename']}") for data in rows.iterator()):
        raise Refused("not_yours")


def _names_file(data: Any, address: str) -> bool:
    """Whether a row's data holds the whole of an address: a part of it could be the address of another file."""
    text = json.dumps(data, ensure_ascii=False)
    return re.search(rf"(?<![\w/.%:-]){re.escape(address)}(?![\w/%-]|\.\w)", text) is not None


def submission(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """A new submission: by the person who is signed in, on a task with their seat, with the fields of an author."""
    if call.place is None:
        return
    person = _worker(call)
    task_id = _task(kwargs)
    seats.require_seat(task_id, call.signed_in.user_id, person, call.place)
    require_submission(call.signed_in.user_id, request, task_id)


def change(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """A change of one's own answer while the next stage has not begun."""
    if call.place is None:
        return
    _worker(call)
    annotation = _annotation(call, kwargs)
    require_submission(call.signed_in.user_id, request, annotation.task_id)
    slot = Slot.objects.filter(task_id=annotation.task_id).first()
    if seats.is_returned(annotation.task_id, call.signed_in.user_id):
        raise Refused("returned")
    if slot is None or slot.sealed:
        # Somebody of the next stage may have read this answer already.
        is_decided = slot is not None and _is_decided(call.place, slot.row_id)
        raise Refused("decided" if is_decided else "sealed")
    if qualification.is_closed(call.place, slot, annotation):
        raise Refused("sealed")
    _require_unexposed(call, annotation.task_id)


def _is_decided(place: CampaignPlace, row_id: str) -> bool:
    """Whether a reviewed row was decided when it was reconciled last; of passes this would tell that they agree."""
    if place.stage is Stage.PASS:
        return False
    states = slots_of(place.campaign_id, [row_id]).filter(stage=Stage.PASS).values_list("state", flat=True)
    return any(State(state).is_decided for state in states if state)


def own_annotation(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """Only one's own answer."""
    _annotation(call, kwargs)


def keep_answer(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """Answers of a campaign are not deleted one by one."""
    if call.place is not None:
        if call.ordinary:
            _annotation(call, kwargs)
        raise Refused("keep_answers")


def nothing_taken_back(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """Neither an answer nor a skip is taken back."""
    if call.place is None:
        return
    _worker(call)
    # Whoever takes one back may have looked at other rows, or been shown others' answers, in between.
    raise Refused("skip_final" if _annotation(call, kwargs).was_cancelled else "keep_answers")


def _require_unexposed(call: Call, task_id: int) -> None:
    """Refuse a change by somebody who has seen, as a manager, what others said of the row."""
    if is_excluded(task_id, call.signed_in.user_id):
        raise Refused("excluded")


def no_outlet(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """People who work in a campaign send none of its answers to where they could read them."""
    standing = call.signed_in
    works = standing.works_in_campaign(call.place.campaign_id) if call.place else bool(standing.works_somewhere())
    if works and (call.place is not None or call.project_id is None):
        raise Refused("outlet")


def behind_a_proxy(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """A proxy asks whether somebody may have a file, and says which; nobody else does."""
    if "HTTP_X_ORIGINAL_URI" not in request.META:
        raise Refused("bad_request", "`X-Original-URI` is missing: this is what a proxy asks.")


def new_draft(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """A draft of one's own, on a task that was handed to this person."""
    if call.place is None:
        return
    person = _worker(call)
    own_task(call, request, kwargs)
    if "annotation_id" in kwargs:
        _annotation(call, {"pk": kwargs["annotation_id"]})
    require_draft(call.signed_in.user_id, request, _task(kwargs))
    seats.keep_seat(_task(kwargs), call.signed_in.user_id, person, call.place)


def own_draft(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """Only one's own draft, and it stays on its task."""
    if call.place is None:
        return
    draft = AnnotationDraft.objects.filter(pk=kwargs["pk"], user_id=call.signed_in.user_id).first()
    if draft is None:
        raise Refused("not_yours")
    if request.method in ("PUT", "PATCH"):
        require_draft(call.signed_in.user_id, request, draft.task_id)
        seats.keep_seat(draft.task_id, call.signed_in.user_id, _worker(call), call.place)


def next_action(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """Of the data manager's actions people have one: the next task."""
    if request.query_params.getlist("id") != ["next_task"]:
        raise Refused("managers_only")


def manager_action(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """On a campaign, managers lack the actions that would put in, change or take away answers."""
    action = request.query_params.get("id")
    if call.place is not None and action in _ACTIONS_OFF:
        raise Refused("action")
    if call.place is not None and action == "delete_tasks":
        keeping.chosen_tasks(call, request, call.place)


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
    """What the policy decides about a campaign's project is not set by hand, and its marker stays."""
    keeping.marker(call, request, kwargs)
    if call.place is None:
        return
    body = parameters(request)
    project = CampaignProject.objects.get(project_id=call.place.project_id)
    # The screen sends all settings with every save: only a value that differs from the policy's is a change.
    wanted = body.get("maximum_annotations")
    if wanted is not None and str(wanted) != str(project.capacity):
        raise Refused("policy_decides")
    percentage = body.get("overlap_cohort_percentage")
    if percentage is not None and str(percentage) != "100":
        raise Refused("policy_decides")
    if not is_empty(body.get("annotator_evaluation_enabled")):
        raise Refused("policy_decides")
    config = body.get("label_config")
    if isinstance(config, str) and _asks_otherwise(call.place.project_id, config):
        raise Refused("interface")


def _asks_otherwise(project_id: int, config: str) -> bool:
    """Whether a labelling interface asks for other things than the project's; how it looks is anybody's matter."""
    stored = Project.objects.values_list("label_config", flat=True).get(pk=project_id)
    if config == stored:
        return False
    try:
        return asked_by(interface_of(config, "")) != asked_by(interface_of(stored or "", ""))
    except InterfaceError:
        return True


def no_bulk_labels(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """Labels are not renamed inside answers once a campaign is on the server."""
    # One call renames labels in all projects of the organisation.
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
    annotation = Annotation.objects.filter(pk=kwargs["pk"], completed_by_id=call.signed_in.user_id).first()
    if annotation is None:
        raise Refused("not_yours")
    return annotation


def _keep_a_manager(user_id: int) -> None:
    if not managers_without(user_id):
        raise Refused("last_manager")
