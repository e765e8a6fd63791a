"""The pages of guidelines: where people read and acknowledge them, and where managers publish the next version."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.utils.safestring import mark_safe

from ls_config.guidelines import to_page
from ls_config.paragraphs import paragraph_changes
from ls_plugin.access.call import call_of
from ls_plugin.models import Campaign, Stage
from ls_plugin.pages.guideline_changes import MOST_RECHECKED
from ls_plugin.pages.guideline_publication import Preview, Publication, Published, carry_out, look_ahead
from ls_plugin.pages.rendering import render_page
from ls_plugin.people.standings import Standing
from ls_plugin.queue import publishing
from ls_plugin.store import guidelines
from ls_plugin.store.refusals import Refused, page


def read(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """The guidelines for whoever works in a campaign or manages it; a post acknowledges them."""
    call, campaign = call_of(request), Campaign.objects.filter(pk=campaign_id).first()
    if campaign is None or call is None or not _has_part(call.signed_in, campaign_id):
        return page(request, Refused("no_project"))
    standing = call.signed_in
    message = _acknowledge(request, campaign, standing) if request.method == "POST" else ""
    versions, reading = guidelines.versions_of(campaign_id), publishing.reading_of(campaign, standing.user_id)
    last = versions[-1] if versions else None
    # What holds for somebody is what they went by until now, whether they acknowledged it or were never asked to.
    known = next((each for each in versions if each.number == reading.holding), None)
    changes = paragraph_changes(known.text, last.text) if last is not None and known is not None else ()
    context = {
        "campaign": campaign,
        "version": last,
        # The guidelines are Markdown, from which the reader makes HTML with everything else escaped.
        "guidelines": mark_safe(to_page(last.text)) if last is not None else "",  # noqa: S308 - see above
        "known": known,
        "changes": changes,
        "missed": [each for each in versions if known is not None and each.number > known.number],
        "is_asked": reading.pending is not None and standing.works_in_campaign(campaign_id),
        "queues": _queues(campaign, standing),
        "manages": standing.manages(campaign_id),
        "message": message,
        "csrf": get_token(request),
    }
    return render_page(request, "guidelines.html", context)


def publish(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """The managers' form: a text is looked at first, with all that it would do, and then published."""
    call, campaign = call_of(request), Campaign.objects.filter(pk=campaign_id).first()
    if campaign is None or call is None or not call.signed_in.manages(campaign_id):
        return page(request, Refused("no_project"))
    standing, context = call.signed_in, dict[str, Any]()
    if request.method == "POST":
        context = _act(request, campaign, standing)
    last = guidelines.newest(campaign_id)
    context |= {
        "campaign": campaign,
        "versions": guidelines.versions_of(campaign_id)[::-1],
        "most": MOST_RECHECKED,
        "longest_note": guidelines.LONGEST_NOTE,
        "works_here": standing.works_in_campaign(campaign_id),
        "csrf": get_token(request),
    }
    context.setdefault("text", "" if last is None else last.text)
    context.setdefault("base", 0 if last is None else last.number)
    return render_page(request, "publish_guidelines.html", context)


def _has_part(standing: Standing, campaign_id: int) -> bool:
    return standing.manages(campaign_id) or standing.works_in_campaign(campaign_id)


def _queues(campaign: Campaign, standing: Standing) -> list[tuple[str, int]]:
    """The stages of a campaign that somebody works at, each with its project."""
    places = [place for place in standing.places.values() if place.campaign_id == campaign.pk]
    mine = sorted((place for place in places if standing.works_in(place)), key=lambda place: place.stage)
    return [(Stage(place.stage).label, place.project_id) for place in mine]


def _acknowledge(request: HttpRequest, campaign: Campaign, standing: Standing) -> str:
    """Acknowledge what the form names, and say what came of it."""
    number = request.POST.get("number", "")
    try:
        if not standing.works_in_campaign(campaign.pk):
            raise Refused("no_role")
        if not (number.isascii() and number.isdecimal() and len(number) < 10):
            raise Refused("bad_request", "Name the version.")
        version = guidelines.acknowledge(campaign.pk, standing.user_id, int(number))
    except Refused as refused:
        return str(refused.detail)
    return f"You have acknowledged version {version.number}: go on with your rows."


def _act(request: HttpRequest, campaign: Campaign, standing: Standing) -> dict[str, Any]:
    """Look at what the form would publish, or publish it; what the page then shows of it."""
    sent = {key: request.POST.get(key, "") for key in ("text", "note", "base", "recheck", "act")}
    numbers = [sent[key] or "0" for key in ("base", "recheck")]
    kept: dict[str, Any] = {**sent, "acknowledge": bool(request.POST.get("acknowledge"))}
    try:
        if not all(number.isascii() and number.isdecimal() and len(number) < 10 for number in numbers):
            raise Refused("bad_request", "The number of rows to look at again is a whole number.")
        base, recheck = map(int, numbers)
        if recheck > MOST_RECHECKED:
            raise Refused("bad_request", f"At most {MOST_RECHECKED} rows are looked at again with one version.")
        wanted = Publication(
            text=sent["text"], note=sent["note"], acknowledge=kept["acknowledge"], recheck=recheck, base=base
        )
        if sent["act"] == "publish":
            return {"message": _told(carry_out(campaign, standing, wanted))}
        preview: Preview = look_ahead(campaign, standing, wanted)
    except Refused as refused:
        return kept | {"message": str(refused.detail)}
    return kept | {"preview": preview}


def _told(published: Published) -> str:
    """A publication in words."""
    parts = [f"Version {published.version.number} holds."]
    if published.people:
        parts.append(f"{published.people} people acknowledge it before their next row.")
    if opened := published.rechecked.opened:
        parts.append(f"Opened again: {', '.join(opened)}.")
    parts += [f"Row {row_id} was not opened: {why}" for row_id, why in published.rechecked.refused.items()]
    return " ".join(parts)
