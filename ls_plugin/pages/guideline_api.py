"""The endpoints of guidelines, for managers and the people of a campaign; their JSON is described in docs/api.md."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from label_studio_quorum.campaign.history import stamp
from ls_config.paragraphs import paragraph_changes
from ls_plugin.access.parameters import parameters
from ls_plugin.models import Campaign, GuidelineVersion, Member
from ls_plugin.pages.callers import caller, campaign_of
from ls_plugin.pages.guideline_changes import MOST_RECHECKED, change_json
from ls_plugin.pages.guideline_publication import Publication, carry_out, look_ahead
from ls_plugin.queue import publishing
from ls_plugin.store import guidelines
from ls_plugin.store.refusals import Refused


class GuidelinesView(APIView):
    """Lists the versions of a campaign's guidelines, and publishes the next."""

    permission_classes = (IsAuthenticated,)

    def get(self, request: Request) -> Response:
        """The versions; with `number` that one's text and its difference from the one before, or from `since`."""
        standing, asked = caller(request), request.query_params
        campaign = campaign_of(standing, asked.get("name"))
        versions = guidelines.versions_of(campaign.pk)
        reading = publishing.reading_of(campaign, standing.user_id)
        answer: dict[str, Any] = {
            "campaign": campaign.name,
            "versions": _listed(campaign, versions, named=standing.manages(campaign.pk)),
            "acknowledged": reading.acknowledged,
            "pending": None if reading.pending is None else reading.pending.number,
            "page": publishing.address_of(campaign.pk),
        }
        if asked.get("number"):
            version = _version(versions, _number(asked.get("number"), "number"))
            since = _number(asked["since"], "since") if asked.get("since") else version.number - 1
            before = _version(versions, since).text if since else ""
            changes = [change_json(change) for change in paragraph_changes(before, version.text)]
            answer |= {"number": version.number, "text": version.text, "since": since, "changes": changes}
        return Response(answer)

    def post(self, request: Request) -> Response:
        """Publish a text as the next version, or say with `dry_run` what that would do."""
        standing, body = caller(request), parameters(request)
        campaign = campaign_of(standing, body.get("name"))
        if not standing.manages(campaign.pk):
            raise Refused("managers_only")
        wanted = _publication(body)
        if _flag(body, "dry_run"):
            return Response(look_ahead(campaign, standing, wanted).to_json())
        return Response(carry_out(campaign, standing, wanted).to_json(), status=201)


class AcknowledgeView(APIView):
    """Takes the acknowledgement of the guidelines by somebody who works under them."""

    permission_classes = (IsAuthenticated,)

    def post(self, request: Request) -> Response:
        """Acknowledge the version of this number, which must be the newest."""
        standing, body = caller(request), parameters(request)
        campaign = campaign_of(standing, body.get("name"))
        if not standing.works_in_campaign(campaign.pk):
            raise Refused("no_role")
        number = body.get("number")
        if type(number) is not int:
            raise Refused("bad_request", "`number` is the number of a version.")
        version = guidelines.acknowledge(campaign.pk, standing.user_id, number)
        return Response({"campaign": campaign.name, "acknowledged": version.number})


def _listed(campaign: Campaign, versions: list[GuidelineVersion], *, named: bool) -> list[dict[str, Any]]:
    """The versions as the API gives them; who published one is told to managers alone."""
    people = dict(Member.objects.filter(campaign=campaign).values_list("user_id", "person_id")) if named else {}
    return [
        {
            **guidelines.named(version),
            "at": stamp(version.at),
            "note": version.note,
            "acknowledge": version.acknowledge,
            "by": people.get(version.user_id) if version.user_id is not None else None,
        }
        for version in versions
    ]


def _version(versions: list[GuidelineVersion], number: int) -> GuidelineVersion:
    for version in versions:
        if version.number == number:
            return version
    raise Refused("not_yours", f"These guidelines have no version {number}.")


def _number(text: str | None, key: str) -> int:
    if text is None or not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise Refused("bad_request", f"`{key}` is the number of a version.")
    return int(text)


def _publication(body: Any) -> Publication:
    text, note, base, recheck = (body.get(key) for key in ("text", "note", "base", "recheck"))
    if not isinstance(text, str):
        raise Refused("bad_request", "`text` is the guidelines as Markdown.")
    if not (note is None or isinstance(note, str)):
        raise Refused("bad_request", "`note` says what has changed: a text.")
    if not (base is None or type(base) is int):
        raise Refused("bad_request", "`base` is the number of the version that the text was made from.")
    count = 0 if recheck is None else recheck
    if type(count) is not int or not 0 <= count <= MOST_RECHECKED:
        raise Refused("bad_request", f"`recheck` is a number of rows, at most {MOST_RECHECKED}.")
    return Publication(text=text, note=note or "", acknowledge=_flag(body, "acknowledge"), recheck=count, base=base)


def _flag(body: Any, key: str) -> bool:
    value = body.get(key, False)
    if not isinstance(value, bool):
        raise Refused("bad_request", f"`{key}` is true or false.")
    return value
