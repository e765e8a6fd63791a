"""The managers' page of threads: what is asked, with names, and where it is answered."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token

from ls_config.paragraphs import titles
from ls_plugin.access.call import call_of
from ls_plugin.models import Campaign, Message
from ls_plugin.pages import saying, threads
from ls_plugin.pages.rendering import render_page
from ls_plugin.queue.reopening import reopen
from ls_plugin.store.messages import EVERYBODY, ThreadSubject
from ls_plugin.store.refusals import Refused, page


def campaign_threads(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Threads of a campaign for its managers: those that wait, all, or one row's; a post says something."""
    call, campaign = call_of(request), Campaign.objects.filter(pk=campaign_id).first()
    if campaign is None or call is None or not call.signed_in.manages(campaign_id):
        return page(request, Refused("no_project"))
    viewer = call.signed_in.user_id
    message = _act(request, campaign, viewer) if request.method == "POST" else ""
    row_id, paragraph = request.GET.get("row", ""), request.GET.get("paragraph", "")
    about = ThreadSubject(row_id=row_id, paragraph="" if row_id else paragraph)
    everything, named = bool(request.GET.get("all")), about != EVERYBODY
    works_here = call.signed_in.works_in_campaign(campaign_id)
    context = {
        "campaign": campaign,
        "listed": threads.of_manager(
            campaign,
            viewer,
            about=about,
            only_open=not (named or everything),
            works_here=works_here,
            after=request.GET.get("after", ""),
        ),
        "row_id": row_id,
        "named": named,
        "heading": titles(campaign.guidelines).get(about.paragraph, about.paragraph),
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
    publish = "publish" in request.POST
    try:
        if everybody:
            saying.announce(campaign, user_id, everybody)
            return "Everybody of the campaign reads it on their page from now on."
        if number.isdecimal() and text:
            return _answered(saying.answer(campaign, user_id, int(number), text, publish=publish))
        if row_id and reason:
            return reopen(campaign, row_id, reason, user_id).sentence()
        return "Write something first."
    except Refused as refused:
        return str(refused.detail)


def _answered(message: Message) -> str:
    """Where an answer stands, and who reads it from when."""
    where = f"row {message.row_id}" if message.row_id else f"the paragraph {message.paragraph}"
    if not message.published:
        return f"The answer is in the thread of {where}."
    when = (
        " once the row is decided, and is kept from it should it be opened again" if message.row_id else " from now on"
    )
    return f"The answer is in the thread of {where}; everybody reads it, with the question and without a name{when}."
