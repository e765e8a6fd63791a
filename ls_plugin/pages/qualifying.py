"""The page of the qualification: known rows, answered one after the other, without a word of what is known.

It is for whoever is asked them in no queue: people of the reviews, and all whose qualification has ended.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import redirect

from label_studio_quorum.campaign.qualification import right_fields
from ls_plugin.access.call import call_of
from ls_plugin.models import Campaign, CampaignProject, Stage
from ls_plugin.pages import row_forms
from ls_plugin.pages.practice import open_form, opened_form
from ls_plugin.pages.rendering import render_page
from ls_plugin.people.standings import CampaignPlace
from ls_plugin.queue import qualification, requirements
from ls_plugin.queue.campaigns import read_interface
from ls_plugin.store import known_answers
from ls_plugin.store.exclusions import exclude
from ls_plugin.store.known_answers import Kind
from ls_plugin.store.refusals import Refused, page
from ls_plugin.store.slots import slots_of


def qualify(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """The next known row that somebody is to answer here, and where they stand; a post answers it."""
    call = call_of(request)
    campaign = Campaign.objects.filter(pk=campaign_id).first()
    person = call.signed_in.person(campaign_id) if call is not None else None
    if call is None or campaign is None or person is None or not call.signed_in.works_in_campaign(campaign_id):
        return page(request, Refused("no_project"))
    user_id, asked = call.signed_in.user_id, qualification.stored_qualification(campaign)
    stands = requirements.of_person(user_id, person, campaign_id, asked) if asked is not None else ()
    rows = requirements.page_rows(stands)
    context: dict[str, Any] = {"campaign": campaign, "stands": stands, "rows": len(rows), "csrf": get_token(request)}
    if asked is None or not rows:
        return render_page(request, "qualification.html", context)
    first = CampaignProject.objects.get(campaign=campaign, stage=Stage.PASS)
    data = qualification.row_data(CampaignPlace(first.project_id, campaign_id, Stage.PASS), asked)[rows[0]]
    interface, known = read_interface(campaign_id), asked.rows[rows[0]]
    sent = None
    if request.method == "POST" and (opened := opened_form(request, user_id, rows[0])) is not None:
        sent = row_forms.read(interface, known, request.POST, data)
        if not sent.faults:
            right = right_fields(known, sent.values, interface.fields(data))
            _keep(campaign_id, user_id, rows[0], sent.values, right, len(known), opened)
            return redirect(request.path)
    context |= {
        "columns": row_forms.shown_columns(interface, data),
        "inputs": row_forms.inputs(interface, known, request.POST, sent.faults if sent else None),
        "opened": open_form(user_id, rows[0]),
        "moved": request.method == "POST" and sent is None,
    }
    return render_page(request, "qualification.html", context)


def _keep(
    campaign_id: int, user_id: int, row_id: str, values: Any, right: tuple[str, ...], compared: int, seconds: float
) -> None:
    # Whoever answered a row here is not handed it as a pass besides: they know what it is for.
    passes = slots_of(campaign_id, [row_id]).filter(stage=Stage.PASS)
    exclude((task_id, user_id) for task_id in passes.values_list("task_id", flat=True))
    known_answers.keep(
        Kind.QUALIFICATION,
        campaign_id=campaign_id,
        user_id=user_id,
        row_id=row_id,
        values=values,
        right=right,
        compared=compared,
        seconds=seconds,
    )
