"""The page of practice: a row, one's answer to it, and right after that the known one with what explains it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import redirect
from django.utils.safestring import SafeString, mark_safe

from label_studio_quorum.campaign.qualification import right_fields
from ls_config.guidelines import section_html
from ls_config.interface import Interface
from ls_plugin.access.call import call_of
from ls_plugin.models import Campaign, KnownAnswer
from ls_plugin.pages import row_forms
from ls_plugin.pages.rendering import render_page
from ls_plugin.queue import practice
from ls_plugin.queue.campaigns import read_interface
from ls_plugin.queue.practice import PracticeRow
from ls_plugin.store import clock, known_answers
from ls_plugin.store.known_answers import Kind
from ls_plugin.store.refusals import Refused, page

LONGEST_OPEN_S: Final = 1800.0
"""Seconds of a form that count as time spent: whoever leaves it open over lunch was not at it."""
_LAST: Final = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Lesson:
    """What somebody is shown right after they answered: both answers, and what explains the known one."""

    row_id: str
    columns: list[tuple[str, str]]
    fields: list[row_forms.KnownField]
    right: int
    compared: int
    guideline: SafeString
    why: str


def practise(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """The next row to practise on; a post answers it, and `?seen=` shows an own answer beside the known one."""
    call = call_of(request)
    campaign = Campaign.objects.filter(pk=campaign_id).first()
    if call is None or campaign is None or not call.signed_in.works_in_campaign(campaign_id):
        return page(request, Refused("no_project"))
    user_id = call.signed_in.user_id
    row = practice.next_row(campaign, user_id)
    seen = _seen(campaign, user_id, request.GET.get("seen", ""))
    context: dict[str, Any] = {
        "campaign": campaign,
        "paid": practice.is_paid(campaign),
        "done": known_answers.of_person(Kind.PRACTICE, campaign_id, user_id).count(),
        "lesson": seen,
        "row": row,
        "csrf": get_token(request),
    }
    if row is None:
        return render_page(request, "practice.html", context)
    interface = read_interface(campaign_id)
    sent = None
    if request.method == "POST" and (opened := opened_form(request, user_id, row.row_id)) is not None:
        sent = row_forms.read(interface, row.known, request.POST, row.data)
        if not sent.faults:
            answer = _keep(campaign, user_id, row, interface, sent.values, opened)
            return redirect(f"{request.path}?seen={answer.pk}")
    context |= {
        "columns": row_forms.shown_columns(interface, row.data),
        "inputs": row_forms.inputs(interface, row.known, request.POST, sent.faults if sent else None),
        "opened": open_form(user_id, row.row_id),
        # Somebody who answers in a second window what they answered in the first meets the next row.
        "moved": request.method == "POST" and sent is None,
    }
    return render_page(request, "practice.html", context)


def open_form(user_id: int, row_id: str) -> str:
    """What a form carries: whose it is, of which row, and since when it is open; signed, so that nobody changes it."""
    return signing.dumps([user_id, row_id, clock.moment().timestamp()], salt="quorum.known")


def opened_form(request: HttpRequest, user_id: int, row_id: str) -> float | None:
    """For how many seconds the form that was sent was open; None if it is not the form of this row."""
    try:
        whose, row, since = signing.loads(request.POST.get("opened", ""), salt="quorum.known")
    except signing.BadSignature:
        return None
    if (whose, row) != (user_id, row_id):
        return None
    return min(max(0.0, clock.moment().timestamp() - float(since)), LONGEST_OPEN_S)


def _keep(
    campaign: Campaign, user_id: int, row: PracticeRow, interface: Interface, values: Any, seconds: float
) -> KnownAnswer:
    return known_answers.keep(
        Kind.PRACTICE,
        campaign_id=campaign.pk,
        user_id=user_id,
        row_id=row.row_id,
        values=values,
        right=right_fields(row.known, values, interface.fields(row.data)),
        compared=len(row.known),
        seconds=seconds,
    )


def _seen(campaign: Campaign, user_id: int, number: str) -> Lesson | None:
    """One's own answer beside what is known; None for no number, somebody else's answer, or a row that is gone."""
    if not (number.isascii() and number.isdecimal() and len(number) < 19):
        return None
    answer = known_answers.of_person(Kind.PRACTICE, campaign.pk, user_id).filter(pk=number).first()
    row = practice.rows_of(campaign).get(answer.row_id) if answer is not None else None
    if answer is None or row is None:
        return None
    interface = read_interface(campaign.pk)
    return Lesson(
        row_id=row.row_id,
        columns=row_forms.shown_columns(interface, row.data),
        fields=row_forms.compare(interface, row.known, answer.values),
        right=len(answer.right),
        compared=answer.compared,
        guideline=_explained(campaign, row),
        why=row.why,
    )


def _explained(campaign: Campaign, row: PracticeRow) -> SafeString:
    """The paragraph of the guidelines that explains a row: the one that it names, else those of its fields."""
    headings = [row.guideline] if row.guideline else [row_forms.title_of(name) for name in row.known]
    # What is typed into the guidelines was escaped as they became HTML.
    return mark_safe("".join(section_html(campaign.guidelines, heading) for heading in headings))  # noqa: S308
