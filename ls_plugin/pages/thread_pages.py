"""The managers' page of threads: what is asked, with names, and where it is answered."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token

from ls_plugin.access.call import call_of
from ls_plugin.models import Campaign
from ls_plugin.pages import threads
from ls_plugin.pages.rendering import render_page
from ls_plugin.queue.reopening import reopen
from ls_plugin.store.refusals import Refused, page


def campaign_threads(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Threads of a campaign for its managers: those that wait, all, or one row's; a post says something."""
    call, campaign = call_of(request), Campaign.objects.filter(pk=campaign_id).first()
    if campaign is None or call is None or not call.signed_in.manages(campaign_id):
        return page(request, Refused("no_project"))
    viewer = call.signed_in.user_id
    message = _act(request, campaign, viewer) if request.method == "POST" else ""
    row_id, everything = request.GET.get("row", ""), bool(request.GET.get("all"))
    works_here = call.signed_in.works_in_campaign(campaign_id)
    context = {
        "campaign": campaign,
        "listed": threads.of_manager(
            campaign, viewer, row_id=row_id, only_open=not (row_id or everything), works_here=works_here
        ),
        "row_id": row_id,
        "everything": everything,
        "works_here": works_here,
        "message": message,
        "csrf": get_token(request),
    }
    return render_page(request, "threads.html", context)


def _act(request: HttpRequest, campaign: Campaign, user_id: int) -> str:
    """Do what a form of the page asks for, and say what came of it."""
    number, text, row_id, reason, everybody = (
        request.POST.get(name, "").strip() for name in ("message", "text", "row_id", "reason", "everybody")
    )
    try:
        if everybody:
            threads.announce(campaign, user_id, everybody)
            return "Everybody of the campaign reads it on their page from now on."
        if number.isdecimal() and text:
            answered = threads.answer(campaign, user_id, int(number), text)
            return f"The answer is in the thread of row {answered.row_id}."
        if row_id and reason:
            return reopen(campaign, row_id, reason, user_id).sentence()
        return "Write something first."
    except Refused as refused:
        return str(refused.detail)
