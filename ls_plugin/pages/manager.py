"""The manager's pages: the campaigns, and where each stands."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import redirect

from ls_plugin.access import sign_in
from ls_plugin.access.call import call_of
from ls_plugin.models import Campaign
from ls_plugin.pages import figures, threads
from ls_plugin.pages.notice_pages import new_for
from ls_plugin.pages.rendering import render_page
from ls_plugin.people.standings import Standing
from ls_plugin.queue import embedding, requirements, skips
from ls_plugin.queue.reopening import reopen
from ls_plugin.store.refusals import Refused, page


def campaigns(request: HttpRequest) -> HttpResponse:
    """The campaigns that the caller manages; people who manage none go to their own page."""
    call = call_of(request)
    managed = [each for each in Campaign.objects.order_by("name") if call and call.signed_in.manages(each.pk)]
    if call is None or not call.signed_in.manager_somewhere:
        return redirect("/quorum/mine/")
    if len(managed) == 1:
        return redirect(f"/quorum/campaign/{managed[0].pk}/")
    return render_page(request, "campaigns.html", {"campaigns": managed})


def _act(request: HttpRequest, stored: Campaign, manager: Standing) -> str:
    """Do what a form of the page asks for, and say what came of it."""
    row_id, reason, person, forgetful, again = (
        request.POST.get(name, "").strip() for name in ("row_id", "reason", "person", "forgetful", "again")
    )
    user_id = manager.user_id
    try:
        if forgetful:
            password, email = sign_in.give_password(stored, forgetful, manager)
            return f"{forgetful} signs in as {email} with {password} and chooses another one then. It is shown once."
        if again:
            requirements.let_retry(stored.pk, again, user_id)
            return f"{again} may try again: My work offers the rows of the qualification."
        if person:
            rows = skips.give_back(stored, person, row_id, user_id)
            return f"{person} may be handed {', '.join(rows)} again; the skips stay counted."
        if not row_id or not reason:
            return "Name the row and the reason."
        return reopen(stored, row_id, reason, user_id).sentence()
    except Refused as refused:
        return str(refused.detail)


def campaign(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """One campaign for its managers; a post reopens a row, gives skipped ones back, or gives somebody a password."""
    call, stored = call_of(request), Campaign.objects.filter(pk=campaign_id).first()
    if stored is None or call is None or not call.signed_in.manages(campaign_id):
        return page(request, Refused("no_project"))
    message = _act(request, stored, call.signed_in) if request.method == "POST" else ""
    works_here = call.signed_in.works_in_campaign(campaign_id)
    shown = figures.of_campaign(stored, call.signed_in.user_id if works_here else None)
    top = max([1, *shown.states.values()])
    context = {
        "campaign": stored,
        "figures": shown,
        "funnel": [(name, count, round(100 * count / top)) for name, count in shown.states.items()],
        # Who answered which row, told to somebody who may still have that row in hand, would not be blind.
        "works_here": works_here,
        "recent": () if works_here else figures.recent(stored),
        "below": [each.id for each in shown.people if any(part["state"] == "below" for part in each.qualified)],
        "message": message,
        "vectors": embedding.vector_figures(stored.pk),
        "news": new_for(call.signed_in, stored),
        "waiting": threads.count_waiting(stored),
        "csrf": get_token(request),
    }
    return render_page(request, "campaign.html", context)
