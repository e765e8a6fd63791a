"""What an ordinary person is shown of an answer: built from what may be seen, never the answer minus something.

Counts, times, names and flags that follow from others' work get the value that they would have if nobody else existed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tasks.models import Annotation

from label_studio_quorum.campaign.projects import SERVED
from ls_plugin.access.call import Call, Show
from ls_plugin.access.response_values import author, task_ids
from ls_plugin.models import Campaign, CampaignProject, Grant, Stage
from ls_plugin.people import standings
from ls_plugin.people.rulebook import read_policy
from ls_plugin.queue import returns
from review_rules import withheld

_TASK = ("id", "data", "project", "inner_id", "created_at", "queue", "unique_lock_id")
_PREDICTION = ("id", "result", "score", "model_version", "task", "project", "created_at", "updated_at", "created_ago")
_ANSWER = (
    "id", "result", "was_cancelled", "lead_time", "created_at", "updated_at", "created_ago", "created_username",
    "completed_by", "task", "project", "draft_created_at", "parent_prediction", "parent_annotation", "is_stub",
    "unique_id", "import_id", "last_action", "bulk_created",
)  # fmt: skip
_PROJECT = (
    "id", "title", "label_config", "parsed_label_config", "expert_instruction", "show_instruction", "show_skip_button",
    "enable_empty_annotation", "color", "is_published", "is_draft", "created_at", "model_version", "organization",
    "show_collab_predictions", "sampling", "config_has_control_tags", "skip_queue", "show_overlap_first",
    "reveal_preannotations_interactively", "config_suitable_for_bulk_annotation", "pinned_at", "can_delete_tasks",
    "can_manage_annotations", "can_manage_tasks", "source_syncing", "target_syncing", "control_weights",
    "start_training_on_annotation_update",
)  # fmt: skip
_COLUMNS = frozenset({"id", "inner_id", "data", "draft_exists"})
_PERMISSIONS = frozenset(
    {
        "projects.view", "tasks.view", "annotations.view", "annotations.create", "annotations.change", "views.view",
        "labels.view", "avatar.any", "organizations.view",
    }
)  # fmt: skip


def plain(call: Call, request: Any, data: Any) -> Any:
    """All of it: what tells nobody anything of others."""
    return data


def task(call: Call, request: Any, data: Any) -> Any:
    """One task: its data, the pre-annotation of this stage, one's own answers and drafts, and why QA gave it back."""
    if not isinstance(data, Mapping):
        return {}
    mine = _own_answers(call, task_ids([data]))
    shown = _task(call, request, data, mine.get(data.get("id"), ()))
    back = returns.returned_task(data["id"], call.signed_in.user_id) if isinstance(data.get("id"), int) else None
    return shown if back is None else shown | {"returned": {"by": "QA", "at": back.at, "reason": back.reason}}


def task_list(call: Call, request: Any, data: Any) -> Any:
    """The tasks that were handed to this person, as a page."""
    tasks = data.get("tasks", ()) if isinstance(data, Mapping) else data
    mine = _own_answers(call, task_ids(tasks))
    shown = [_task(call, request, each, mine.get(each.get("id"), ())) for each in tasks]
    if not isinstance(data, Mapping):
        return shown
    return {
        "tasks": shown,
        "total": data.get("total", len(shown)),
        "total_annotations": sum(each["total_annotations"] for each in shown),
        "total_predictions": sum(each["total_predictions"] for each in shown),
    }


def _own_answers(call: Call, tasks: Iterable[int]) -> dict[Any, list[Any]]:
    """Task id → one's own answers there: (id, was skipped, when)."""
    answers: dict[int, list[Any]] = {}
    mine = Annotation.objects.filter(task_id__in=list(tasks), completed_by_id=call.signed_in.user_id)
    for pk, task_id, cancelled, created in mine.values_list("id", "task_id", "was_cancelled", "created_at"):
        answers.setdefault(task_id, []).append((pk, cancelled, created))
    return answers


def _task(call: Call, request: Any, data: Mapping[str, Any], mine: Iterable[Any]) -> dict[str, Any]:
    out = {key: data[key] for key in _TASK if key in data}
    submitted = [answer for answer in mine if not answer[1]]
    drafts = draft_list(call, request, data.get("drafts") or [])
    predictions = _predictions(call, data.get("data") or {}, data.get("predictions") or [])
    if "predictions" in data:
        out["predictions"] = predictions
    if "annotations" in data:
        out["annotations"] = annotation_list(call, request, data["annotations"] or [])
    if "drafts" in data:
        out["drafts"] = drafts
    # Label Studio's screens expect these keys; each has the value that it would have if nobody else existed.
    out |= {
        "meta": {},
        "is_labeled": bool(submitted),
        "overlap": 1,
        "updated_at": data.get("created_at"),
        "updated_by": [],
        "annotators": [call.signed_in.user_id] if submitted else [],
        "total_annotations": len(submitted),
        "cancelled_annotations": sum(1 for answer in mine if answer[1]),
        "total_predictions": len(predictions),
        "completed_at": submitted[-1][2] if submitted else None,
        "annotations_results": "",
        "annotations_ids": ",".join(str(answer[0]) for answer in mine),
        "predictions_results": "",
        "predictions_model_versions": "",
        "predictions_score": None,
        "avg_lead_time": None,
        "draft_exists": bool(drafts),
        "file_upload": None,
        "storage_filename": None,
        "comment_count": 0,
        "unresolved_comment_count": 0,
        "comment_authors": [],
        "last_comment_updated_at": None,
    }
    return out


def _predictions(call: Call, data: Mapping[str, Any], predictions: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The pre-annotations meant for this stage; none where the policy withholds it."""
    if call.place is None:
        return []
    if call.place.stage is Stage.PASS:
        row_id, mine = str(data.get("row_id", "")), Campaign.objects.filter(pk=call.place.campaign_id)
        if withheld(row_id, read_policy(mine.values_list("policy_text", flat=True).get())):
            return []
    served = SERVED[standings.RULE_STAGE[call.place.stage]]
    meant = [prediction for prediction in predictions if prediction.get("model_version") == served]
    # The newest alone: a form opens with one, and what it opens with is written down.
    newest = sorted(meant, key=lambda prediction: int(prediction.get("id") or 0))[-1:]
    return [{key: prediction[key] for key in _PREDICTION if key in prediction} for prediction in newest]


def annotation_list(call: Call, request: Any, data: Any) -> Any:
    """One's own answers, one or several."""
    if isinstance(data, Mapping):
        return _answer(data) if author(data) == call.signed_in.user_id else {}
    return [_answer(answer) for answer in data if author(answer) == call.signed_in.user_id]


def _answer(answer: Mapping[str, Any]) -> dict[str, Any]:
    return {key: answer[key] for key in _ANSWER if key in answer} | {"ground_truth": False, "updated_by": None}


def draft_list(call: Call, request: Any, data: Any) -> Any:
    """One's own drafts, one or several."""
    # Label Studio names a draft's author by id in one serializer and by address in another.
    mine = {str(call.signed_in.user_id), str(request.user.email)}
    if isinstance(data, Mapping):
        return dict(data) if str(data.get("user")) in mine else {}
    return [dict(draft) for draft in data if str(draft.get("user")) in mine]


def project(call: Call, request: Any, data: Any) -> Any:
    """What labelling needs to know of a project."""
    out = {key: data[key] for key in _PROJECT if key in data}
    known = isinstance(data.get("id"), int)
    done, handed_out = (_done(call, data["id"]), _handed_out(call, data["id"])) if known else (0, 0)
    # The description bears the campaign's marker; counts of others' work become one's own.
    return out | {
        "description": "",
        "created_by": {"id": 0, "first_name": "", "last_name": "", "email": "", "avatar": None},
        "maximum_annotations": 1,
        "overlap_cohort_percentage": 100,
        "show_annotation_history": False,
        "show_ground_truth_first": False,
        "annotator_evaluation_enabled": False,
        "evaluate_predictions_automatically": False,
        "min_annotations_to_start_training": 0,
        "task_data_login": None,
        "task_data_password": None,
        "members_count": 1,
        "task_number": handed_out,
        "task_count": handed_out,
        "annotation_count": done,
        "num_tasks_with_annotations": done,
        "total_annotations_number": done,
        "useful_annotation_number": done,
        "finished_task_number": done,
        "ground_truth_number": 0,
        "skipped_annotations_number": 0,
        "total_predictions_number": 0,
        "queue_total": done + 1,
        "queue_done": done,
    }


def project_list(call: Call, request: Any, data: Any) -> Any:
    """The projects that this person works in or manages."""
    return _listed(call, request, data, project)


def count_list(call: Call, request: Any, data: Any) -> Any:
    """The same with nothing but one's own counts."""
    wanted = {"id", "title"} | {key for entry in data.get("results", ()) for key in entry}

    def counts(call: Call, request: Any, entry: Any) -> dict[str, Any]:
        return {key: value for key, value in project(call, request, entry).items() if key in wanted}

    return _listed(call, request, data, counts)


def _listed(call: Call, request: Any, data: Any, show: Show) -> Any:
    """A page of projects: those of one's work with one's own counts, those one manages, or of no campaign, as they are.

    Only what this person may see was asked for; an entry without its id is filtered like any other.
    """
    listed = [entry.get("id") for entry in data["results"]]
    # Projects of no campaign belong to whoever manages anything, as on a server without the plugin.
    free = set(listed) - set(CampaignProject.objects.filter(pk__in=listed).values_list("pk", flat=True))
    whole = {*call.signed_in.managed(), *(free if call.signed_in.manager_somewhere else ())} - {None}
    every = whole | {None, *call.signed_in.works_somewhere()}
    results = [
        entry if entry.get("id") in whole else show(call, request, entry)
        for entry in data["results"]
        if entry.get("id") in every
    ]
    return {**data, "results": results}


def _done(call: Call, project_id: int) -> int:
    mine = Annotation.objects.filter(project_id=project_id, completed_by_id=call.signed_in.user_id, was_cancelled=False)
    return int(mine.count())


def _handed_out(call: Call, project_id: int) -> int:
    return int(Grant.objects.filter(project_id=project_id, user_id=call.signed_in.user_id).count())


def users(call: Call, request: Any, data: Any) -> Any:
    """Oneself, and for a manager the people of their campaigns."""
    known = set(standings.colleagues(call.signed_in))
    if isinstance(data, Mapping) and "results" not in data:
        return _user(call, data) if data.get("id") in known else data if "detail" in data else {}
    every = data["results"] if isinstance(data, Mapping) else data or ()
    shown = [_user(call, account) for account in every if account.get("id") in known]
    return {**data, "count": len(shown), "results": shown} if isinstance(data, Mapping) else shown


def _user(call: Call, data: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(data)
    if "active_organization_meta" in out and not call.signed_in.manager_somewhere:
        out["active_organization_meta"] = {"title": "", "email": ""}
    return out


def whoami(call: Call, request: Any, data: Any) -> Any:
    """Oneself, with the permissions that an ordinary person has; Label Studio's screens hide buttons by them."""
    out = _user(call, data)
    if isinstance(out.get("permissions"), list) and not call.signed_in.manager_somewhere:
        out["permissions"] = [name for name in out["permissions"] if name in _PERMISSIONS]
    return out


def columns(call: Call, request: Any, data: Any) -> Any:
    """The columns of the data manager that hold task data."""
    shown = [column for column in data["columns"] if column["id"] in _COLUMNS or column.get("parent") == "data"]
    return {**data, "columns": shown}


def action(call: Call, request: Any, data: Any) -> Any:
    """The next task; the list of actions is empty."""
    return task(call, request, data) if request.method == "POST" else []


def nothing(call: Call, request: Any, data: Any) -> Any:
    """An empty list or page: what labelling asks for and does not need."""
    return {"count": 0, "next": None, "previous": None, "results": []} if isinstance(data, Mapping) else []
