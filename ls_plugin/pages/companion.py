"""What the labelling screen shows beside a row: the guidelines as they are now, the row's thread, and one's own pace.

Nothing of it is others' work: the thread is what the person asked and was answered, and why the row was opened again.
What became of a decided row is told on *My work*, where reading it is an exposure.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

from projects.models import Project
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from label_studio_quorum.campaign.differences import plain
from ls_config.guidelines import to_html
from ls_plugin.access.call import call_of
from ls_plugin.models import Campaign, Slot
from ls_plugin.pages import outcomes, threads
from ls_plugin.people import rulebook
from ls_plugin.queue import seats
from ls_plugin.store.messages import ThreadSubject
from ls_plugin.store.refusals import Refused


class CompanionView(APIView):
    """Says to a person what belongs beside the row that is open; its JSON is described in docs/api.md."""

    permission_classes = (IsAuthenticated,)

    def get(self, request: Request) -> Response:
        """Of the task of `?task=`; the guidelines are left out where `guidelines` names them by their hash."""
        call, task = call_of(request), request.query_params.get("task")
        if call is None or call.place is None or task is None:
            raise Refused("no_project")
        campaign, user_id = Campaign.objects.get(pk=call.place.campaign_id), call.signed_in.user_id
        slot = Slot.objects.filter(pk=task).first()
        # The answer is the same where there is no such task.
        if slot is None or not seats.had_seat(slot.task_id, user_id):
            raise Refused("not_yours")
        about = ThreadSubject(row_id=slot.row_id)
        (thread,) = threads.of_person(campaign, user_id, about=about, exposing=False).threads
        return Response(
            {
                "campaign": campaign.name,
                "row_id": slot.row_id,
                "messages": thread.to_json()["messages"],
                "pace": _pace(campaign, user_id),
                "guidelines": _guidelines(campaign, call.place.project_id, request.query_params.get("guidelines")),
                "answers": f"/quorum/mine/answers/{campaign.pk}/",
            }
        )


def _pace(campaign: Campaign, user_id: int) -> dict[str, Any]:
    """A person's own work of today in the campaign, and the rows an hour that the team aims at."""
    answered, seconds = outcomes.work_today(campaign, user_id)
    return {
        "answered": answered,
        "hours": round(seconds / 3600, 2),
        "per_hour": round(answered * 3600 / seconds, 1) if seconds else None,
        "target": rulebook.read_policy(campaign.policy_text).targets.rows_per_hour,
    }


def _guidelines(campaign: Campaign, project_id: int, known: str | None) -> dict[str, str | None]:
    """The guidelines as Markdown; no text where the reader has it, or where the project shows other instructions."""
    page = Project.objects.values_list("expert_instruction", flat=True).get(pk=project_id)
    markdown = campaign.guidelines if _is_shown(campaign.guidelines, page or "") else ""
    digest = hashlib.sha256(markdown.encode()).hexdigest()
    return {"hash": digest, "text": None if digest == known else markdown}


@lru_cache(maxsize=32)
def _is_shown(markdown: str, page: str) -> bool:
    """Whether a project's instructions are these guidelines: its settings page can give it others."""
    return plain(to_html(markdown)) == plain(page)
