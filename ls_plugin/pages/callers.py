"""Who calls an endpoint, and which campaign they mean: the same for all that take a campaign by its name."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request

from ls_plugin.access.call import call_of
from ls_plugin.models import Campaign
from ls_plugin.people.standings import Standing
from ls_plugin.store.refusals import Refused


def caller(request: Request) -> Standing:
    """Who calls.

    Raises:
        Refused: ``sign_in`` for a stranger.
    """
    call = call_of(request)
    if call is None:
        raise Refused("sign_in")
    return call.signed_in


def campaign_of(standing: Standing, name: Any) -> Campaign:
    """The campaign of this name that somebody manages or works in; their only one if no name is given.

    Raises:
        Refused: ``no_project`` if there is none, or several and no name.
    """
    theirs = [each for each in _campaigns() if standing.manages(each.pk) or standing.works_in_campaign(each.pk)]
    return _named(theirs, name, f"You have no part in a campaign {name!r} here, or there is none.")


def managed_campaigns(standing: Standing) -> list[Campaign]:
    """The campaigns that somebody manages, by name."""
    return [each for each in _campaigns() if standing.manages(each.pk)]


def managed_campaign(standing: Standing, name: Any) -> Campaign:
    """The campaign of this name that somebody manages; their only one if no name is given.

    Raises:
        Refused: ``no_project`` if there is none, or several and no name.
    """
    return _named(managed_campaigns(standing), name, f"You manage no campaign {name!r} here, or there is none.")


def _campaigns() -> list[Campaign]:
    return list(Campaign.objects.order_by("name"))


def _named(campaigns: list[Campaign], name: Any, none: str) -> Campaign:
    named = [each for each in campaigns if not name or each.name == name]
    if name and not named:
        raise Refused("no_project", none)
    if len(named) != 1:
        raise Refused("no_project", "Name the campaign.")
    return named[0]
