"""The endpoint of threads, for managers and for the people of a campaign; its JSON is described in docs/api.md."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ls_plugin.access.parameters import parameters
from ls_plugin.pages import saying, threads
from ls_plugin.pages.callers import caller, campaign_of
from ls_plugin.store.messages import Kind, ThreadSubject
from ls_plugin.store.refusals import Refused

_MOST_THREADS = 1000
"""Threads of a page that a program may ask for."""


class ThreadsView(APIView):
    """Lists threads and takes messages: a manager's list has everything and names, a person's has their own."""

    permission_classes = (IsAuthenticated,)

    def get(self, request: Request) -> Response:
        """A page of threads, or one row's or paragraph's; `open` those that wait; `own` also for a manager."""
        standing, asked = caller(request), request.query_params
        campaign = campaign_of(standing, asked.get("name"))
        about, after = (
            ThreadSubject(row_id=asked.get("row_id", ""), paragraph=asked.get("paragraph", "")),
            asked.get("after", ""),
        )
        if about.row_id and about.paragraph:
            raise Refused("bad_request", "A thread is about a row or about a paragraph.")
        if standing.manages(campaign.pk) and not asked.get("own"):
            listed = threads.of_manager(
                campaign,
                standing.user_id,
                about=about,
                only_open=bool(asked.get("open")),
                works_here=standing.works_in_campaign(campaign.pk),
                after=after,
                size=_size(asked.get("size")),
            )
        else:
            if about.row_id:
                saying.require_part(campaign, standing.user_id, about.row_id)
            listed = threads.of_person(campaign, standing.user_id, about=about, after=after)
        return Response({"campaign": campaign.name, **listed.to_json()})

    def post(self, request: Request) -> Response:
        """Say something: ask about a row or paragraph, or dispute; as a manager answer, or announce to all."""
        standing, body = caller(request), parameters(request)
        campaign = campaign_of(standing, body.get("name"))
        kind, text = body.get("kind"), _text(body, "text")
        if kind == Kind.QUESTION.value:
            message = saying.ask(campaign, standing.user_id, _subject(body), text)
        elif kind == Kind.DISPUTE.value:
            message = saying.dispute(campaign, standing.user_id, _text(body, "row_id"), text)
        elif kind in (Kind.ANSWER.value, Kind.ANNOUNCEMENT.value):
            if not standing.manages(campaign.pk):
                raise Refused("managers_only")
            message = (
                saying.answer(
                    campaign, standing.user_id, _number(body, "answers"), text, publish=body.get("publish") is True
                )
                if kind == Kind.ANSWER.value
                else saying.announce(campaign, standing.user_id, text)
            )
        else:
            raise Refused("bad_request", "`kind` is one of question, dispute, answer, announcement.")
        written = {"id": message.pk, "row_id": message.row_id, "paragraph": message.paragraph, "kind": message.kind}
        return Response(written, status=201)


def _subject(body: Any) -> ThreadSubject:
    if body.get("paragraph") and body.get("row_id"):
        raise Refused("bad_request", "A question is about a row or about a paragraph.")
    return (
        ThreadSubject(paragraph=_text(body, "paragraph"))
        if body.get("paragraph")
        else ThreadSubject(row_id=_text(body, "row_id"))
    )


def _size(text: str | None) -> int:
    is_size = text is not None and text.isascii() and text.isdecimal() and 0 < int(text[:9]) <= _MOST_THREADS
    return int(text) if text is not None and is_size else threads.THREADS_A_PAGE


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
