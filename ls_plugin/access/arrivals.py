"""What comes into the projects of a campaign: rows that `quorum import` has checked, and nothing else.

A task that comes in otherwise belongs to no row. People would be handed it, and their answers would be in no figure and
no export.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.utils.params import bool_from_request

from label_studio_quorum.campaign.row_task import ReviewNote, holds_row
from ls_plugin.access.call import Call
from ls_plugin.models import CampaignProject, Slot, Stage
from ls_plugin.people.standings import CampaignPlace
from ls_plugin.store.refusals import Refused


def rows_only(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """Rows come in as `quorum import` and `quorum sync` send them, without answers."""
    if call.place is None or not bool_from_request(request.query_params, "commit_to_project", True):
        return  # files alone, which rows may name
    body = request.data
    tasks = body if isinstance(body, list) else [body]
    for task in tasks:
        # A form with files, an address to read from, and tasks that Quorum did not make all have no note of it.
        if not isinstance(task, Mapping) or not isinstance(task.get("data"), Mapping):
            raise Refused("own_import")
        if any(task.get(key) for key in ("annotations", "completions", "drafts")):
            raise Refused("no_answers_in")
        if not _is_ours(task["data"], task.get("meta"), call.place):
            raise Refused("own_import")


def nothing(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """Uploaded files and storages may be shown in a campaign; they bring no tasks in, nor take any away."""
    if call.place is not None:
        raise Refused("own_import")


def _is_ours(data: Mapping[str, Any], meta: Any, place: CampaignPlace) -> bool:
    """Whether a task is a row as it was checked, or asks for a review of a row that is there."""
    if place.stage is Stage.PASS:
        return holds_row(data, meta)
    first = CampaignProject.objects.filter(campaign_id=place.campaign_id, stage=Stage.PASS).values("project_id")
    is_review = isinstance(ReviewNote.read(meta).rests_on, list)
    row_id = str(data.get("row_id") or "")
    return is_review and bool(Slot.objects.filter(project_id__in=first, row_id=row_id).exclude(row_id="").exists())
