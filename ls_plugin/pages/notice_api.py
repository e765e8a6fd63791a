"""The endpoints of notifications: one's own, and for managers what left the server; their JSON is in docs/api.md."""

from __future__ import annotations

import os
import uuid
from dataclasses import asdict
from typing import Any

from django.utils import timezone
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ls_plugin.access.parameters import parameters
from ls_plugin.models import Campaign
from ls_plugin.notices import outbox, reading, rounds
from ls_plugin.notices.delivery import DeliveryError, DeliverySettings, read_delivery
from ls_plugin.pages.callers import caller, campaign_of
from ls_plugin.pages.notice_pages import campaigns_of
from ls_plugin.store.refusals import Refused

_MOST_READ = 1000
_STATES = ("", outbox.WAITING, outbox.SENT, outbox.FAILED, outbox.DROPPED)


class NoticesView(APIView):
    """One's own notices."""

    permission_classes = (IsAuthenticated,)

    def get(self, request: Request) -> Response:
        """What is new for the caller, in every campaign that they have to do with; with `unread` only that."""
        standing = caller(request)
        reading.gather_for(standing.user_id)
        only_unread = bool(request.query_params.get("unread"))
        own = reading.notices_of(standing.user_id, campaigns_of(standing), only_unread=only_unread)
        return Response(own.to_json())

    def post(self, request: Request) -> Response:
        """Note which of one's notices one has read (`read`, numbers), or whether one wants mails (`by_mail`)."""
        standing, body = caller(request), parameters(request)
        read, by_mail = body.get("read"), body.get("by_mail")
        if read is None and by_mail is None:
            raise Refused("bad_request", "Send `read`, a list of numbers, or `by_mail`, true or false.")
        if read is not None and not _are_numbers(read):
            raise Refused("bad_request", f"`read` is a list of at most {_MOST_READ:,} numbers.")
        if by_mail is not None and type(by_mail) is not bool:
            raise Refused("bad_request", "`by_mail` is true or false.")
        count = reading.mark_read(standing.user_id, read, timezone.now()) if read else 0
        if by_mail is not None:
            reading.choose_mails(standing.user_id, by_mail=by_mail)
        return Response({"read": count} | ({} if by_mail is None else {"by_mail": by_mail}))


class OutboxView(APIView):
    """What left the server for a campaign, for its managers."""

    permission_classes = (IsAuthenticated,)

    def get(self, request: Request) -> Response:
        """The outbox: what was sent, what waits, what failed and why; `state` for one of these alone."""
        campaign, asked = _managed(request, request.query_params.get("name")), request.query_params
        state = asked.get("state", "")
        if state not in _STATES:
            raise Refused("bad_request", "`state` is one of waiting, sent, failed, dropped.")
        lines, left_off = outbox.list_parcels(campaign, state=state)
        delivery = _delivery()
        return Response(
            {
                "campaign": campaign.name,
                "channels": delivery.channels,
                "parcels": [asdict(line) for line in lines],
                "left_off": left_off,
            }
        )

    def post(self, request: Request) -> Response:
        """Send what is due (`act`: send), or a test to oneself by every way out (`act`: test)."""
        body = parameters(request)
        campaign, act, delivery = _managed(request, body.get("name")), body.get("act"), _delivery()
        if act == "send":
            return Response({"channels": delivery.channels, **rounds.make_round(delivery).to_json()})
        if act != "test":
            raise Refused("bad_request", "`act` is send or test.")
        parcels = rounds.send_test(campaign, caller(request).user_id, uuid.uuid4().hex, delivery)
        sent = [{"channel": each.channel, "state": each.state, "why": each.why, "key": each.key} for each in parcels]
        return Response({"campaign": campaign.name, "channels": delivery.channels, "sent": sent})


def _managed(request: Request, name: Any) -> Campaign:
    standing = caller(request)
    campaign = campaign_of(standing, name)
    if not standing.manages(campaign.pk):
        raise Refused("managers_only")
    return campaign


def _delivery() -> DeliverySettings:
    try:
        return read_delivery(os.environ)
    except DeliveryError as error:
        raise Refused("bad_request", f"Nothing leaves the server: {error}.") from None


def _are_numbers(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= _MOST_READ
        and all(type(each) is int and 0 < each < 1 << 62 for each in value)
    )
