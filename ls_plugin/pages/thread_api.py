"""The endpoint of threads, for managers and for the people of a campaign; its JSON is described in docs/api.md."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ls_plugin.access.call import call_of
from ls_plugin.access.parameters import parameters
from ls_plugin.models import Campaign
from ls_plugin.pages import threads
from ls_plugin.people.standings import Standing
from ls_plugin.store.messages import Kind
from ls_plugin.store.refusals import Refused


class ThreadsView(APIView):
    """Lists threads and takes messages: a manager's list has everything and names, a person's has their own."""

    permission_classes = (IsAuthenticated,)

    def get(self, request: Request) -> Response:
        """Threads: one row's with `row_id`, those that wait for a manager with `open`; `own` also for a manager."""
        standing, asked = _standing(request), request.query_params
        campaign = campaign_of(standing, asked.get("name"))
        row_id = asked.get("row_id", "")
        if standing.manages(campaign.pk) and not asked.get("own"):
            listed = threads.of_manager(
                campaign,
                standing.user_id,
                row_id=row_id,
                only_open=bool(asked.get("open")),
                works_here=standing.works_in_campaign(campaign.pk),
            )
        else:
            listed = threads.of_person(campaign, standing.user_id, row_id=row_id)
        return Response(
            {
                "campaign": campaign.name,
                "threads": [thread.to_json() for thread in listed.threads],
                "left_off": listed.left_off,
            }
        )

    def post(self, request: Request) -> Response:
        """Say something: a question about a row, or a dispute; as a manager an answer, or an announcement to all."""
        standing, body = _standing(request), parameters(request)
        campaign = campaign_of(standing, body.get("name"))
        kind, text = body.get("kind"), _text(body, "text")
        if kind == Kind.QUESTION.value:
            message = threads.ask(campaign, standing.user_id, _text(body, "row_id"), text)
        elif kind == Kind.DISPUTE.value:
            message = threads.dispute(campaign, standing.user_id, _text(body, "row_id"), text)
        elif kind in (Kind.ANSWER.value, Kind.ANNOUNCEMENT.value):
            if not standing.manages(campaign.pk):
                raise Refused("managers_only")
            message = (
                threads.answer(campaign, standing.user_id, _number(body, "answers"), text)
                if kind == Kind.ANSWER.value
                else threads.announce(campaign, standing.user_id, text)
            )
        else:
            raise Refused("bad_request", "`kind` is one of question, dispute, answer, announcement.")
        return Response({"id": message.pk, "row_id": message.row_id, "kind": message.kind}, status=201)


def _standing(request: Request) -> Standing:
    call = call_of(request)
    if call is None:
        raise Refused("sign_in")
    return call.signed_in


def campaign_of(standing: Standing, name: Any) -> Campaign:
    """The campaign of this name that somebody manages or works in; their only one if no name is given.

    Raises:
        Refused: ``no_project`` if there is none, or several and no name.
    """
    theirs = [each for each in Campaign.objects.order_by("name") if _has_to_do(standing, each.pk)]
    named = [each for each in theirs if not name or each.name == name]
    if name and not named:
        raise Refused("no_project", f"You have no part in a campaign {name!r} here, or there is none.")
    if len(named) != 1:
        raise Refused("no_project", "Name the campaign.")
    return named[0]


def _has_to_do(standing: Standing, campaign_id: int) -> bool:
    return standing.manages(campaign_id) or standing.works_in_campaign(campaign_id)


def _text(body: Any, key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or not value.strip():
        raise Refused("bad_request", f"`{key}` is missing: a text.")
    return value


def _number(body: Any, key: str) -> int:
    value = body.get(key)
    if type(value) is not int:
        raise Refused("bad_request", f"`{key}` is the number of a message.")
    return value
