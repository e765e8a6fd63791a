"""The pages under /quorum/: drawn on the server, no script, nothing from outside."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import redirect, render

from ls_plugin.access.gate import call_of
from ls_plugin.models import Campaign
from ls_plugin.pages import figures
from ls_plugin.store.refusals import Refused, page

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)


def _draw(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    response = render(request, f"quorum/{template}", context)
    return _strict(response)


def _strict(response: HttpResponse) -> HttpResponse:
    """The strictest content policy that the pages live with, instead of Label Studio's report-only one."""
    response["Content-Security-Policy"] = _POLICY
    response["X-Frame-Options"] = "DENY"
    response["Cache-Control"] = "no-store"
    return response


def campaigns(request: HttpRequest) -> HttpResponse:
    """The campaigns that the caller manages; people who manage none go to their own page."""
    call = call_of(request)
    managed = [one for one in Campaign.objects.order_by("name") if call and call.signed_in.manages(one.pk)]
    if call is None or not call.signed_in.manager_somewhere:
        return redirect("/quorum/mine/")
    if len(managed) == 1:
        return redirect(f"/quorum/campaign/{managed[0].pk}/")
    return _draw(request, "campaigns.html", {"campaigns": managed})


def campaign(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """One campaign for its managers; a post reopens a row."""
    from ls_plugin.pages.api import reopen

    call, found = call_of(request), Campaign.objects.filter(pk=campaign_id).first()
    if found is None or call is None or not call.signed_in.manages(campaign_id):
        return page(request, Refused("no_project"))
    message = ""
    if request.method == "POST":
        row_id, reason = request.POST.get("row_id", "").strip(), request.POST.get("reason", "").strip()
        if not row_id or not reason:
            message = "Name the row and the reason."
        else:
            try:
                reopen(found, row_id, reason, call.signed_in.user_id)
                message = f"Row {row_id} is open again for the people who answered it."
            except Refused as refused:
                message = str(refused.detail)
    shown = figures.of_campaign(found)
    top = max([1, *shown.states.values()])
    context = {
        "campaign": found,
        "figures": shown,
        "funnel": [(name, count, round(100 * count / top)) for name, count in shown.states.items()],
        # Who answered which row, told to somebody who may still have that row in hand, would not be blind.
        "works_here": call.signed_in.works_in_campaign(campaign_id),
        "recent": () if call.signed_in.works_in_campaign(campaign_id) else figures.recent(found),
        "message": message,
        "csrf": get_token(request),
    }
    return _draw(request, "campaign.html", context)


def mine(request: HttpRequest) -> HttpResponse:
    """A person's own page: their queues and their own figures."""
    call = call_of(request)
    queues = figures.of_person(call.signed_in.user_id) if call else []
    return _draw(request, "mine.html", {"queues": queues, "manager": bool(call and call.signed_in.manager_somewhere)})


def style(request: HttpRequest) -> HttpResponse:
    """A style sheet: that of these pages, or the one that hides from people what Label Studio would refuse them."""
    name = "people.css" if request.path.endswith("people.css") else "style.css"
    text = files("ls_plugin").joinpath("templates", "quorum", name).read_text(encoding="utf-8")
    return HttpResponse(text, content_type="text/css")


def no_tips(request: HttpRequest) -> HttpResponse:
    """Label Studio's login page asks for tips, which its server would fetch from outside: there are none."""
    return JsonResponse([], safe=False)


def no_telemetry(request: HttpRequest) -> HttpResponse:
    """Where Label Studio's screens send usage data: nothing is kept or passed on."""
    return HttpResponse(status=204)
