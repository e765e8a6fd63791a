"""What is new for somebody: the list on their pages, what they have read of it, and whether they want mails."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.utils import timezone

from ls_plugin.access.call import call_of
from ls_plugin.models import Campaign
from ls_plugin.notices import reading
from ls_plugin.notices.reading import OwnNotices
from ls_plugin.pages.rendering import render_page
from ls_plugin.people.standings import Standing
from ls_plugin.store.refusals import Refused, page

_MOST_ON_A_PAGE = 10


def campaigns_of(standing: Standing) -> list[Campaign]:
    """The campaigns that somebody works in or manages."""
    return [
        campaign
        for campaign in Campaign.objects.order_by("name")
        if standing.works_in_campaign(campaign.pk) or standing.manages(campaign.pk)
    ]


def new_for(standing: Standing, campaign: Campaign | None = None) -> OwnNotices:
    """What somebody has not read yet, gathered now; of one campaign on its manager's page."""
    reading.gather_for(standing.user_id, campaign)
    campaigns = campaigns_of(standing) if campaign is None else [campaign]
    return reading.notices_of(standing.user_id, campaigns, only_unread=True, limit=_MOST_ON_A_PAGE)


def notices(request: HttpRequest) -> HttpResponse:
    """Everything that somebody was told, the newest first; a post notes what they read, or whether they want mails."""
    call = call_of(request)
    if call is None:
        return page(request, Refused("sign_in"))
    standing = call.signed_in
    message = _act(request, standing) if request.method == "POST" else ""
    reading.gather_for(standing.user_id)
    context = {
        "message": message,
        "news": reading.notices_of(standing.user_id, campaigns_of(standing)),
        "csrf": get_token(request),
    }
    return render_page(request, "notices.html", context)


def _act(request: HttpRequest, standing: Standing) -> str:
    """Do what a form asks for, and say what came of it."""
    choice = request.POST.get("by_mail", "")
    if choice:
        reading.choose_mails(standing.user_id, by_mail=choice == "yes")
        return "Mails are on." if choice == "yes" else "You get no mails any more; this page goes on."
    ids = [int(text) for text in request.POST.getlist("read") if text.isascii() and text.isdecimal() and len(text) < 19]
    count = reading.mark_read(standing.user_id, ids, timezone.now())
    return f"{count} marked as read." if count else "Nothing was new."
