"""A person's own pages: queues, figures, questions, what became of their answers, and a second sign-in's end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token

from ls_config.paragraphs import titles
from ls_plugin.access.call import call_of
from ls_plugin.models import Campaign, Grant, Slot, Stage
from ls_plugin.pages import figures, outcomes, own_figures, saying, threads
from ls_plugin.pages.notice_pages import new_for
from ls_plugin.pages.rendering import render_page
from ls_plugin.people.standings import Standing
from ls_plugin.queue import practice, requirements, returns
from ls_plugin.queue.requirements import Qualified
from ls_plugin.queue.returns import RowInHandAgain
from ls_plugin.store import known_answers
from ls_plugin.store.messages import Reopening, ThreadSubject
from ls_plugin.store.refusals import Refused, page
from ls_plugin.store.slots import project_ids


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnCampaign:
    """What a person's page has of one campaign beside their queues.

    Attributes:
        campaign: the campaign.
        in_hand: ids of rows that they have open, about which they may ask.
        paragraphs: anchor → heading of the guidelines, about which they may ask too.
        listed: a page of their threads.
        decided: how many of their answers are to rows that are decided.
        practice: how many rows they may practise on, and how often they have.
        stands: where they stand with the qualification.
        asked: how many rows of it they are to answer on its page.
        reopened: why rows that they answered, or have in hand, were opened again, while these are not decided.
        returned: the rows that QA gave back to them, and why.
        pass_project: the project in which they answer these.
    """

    campaign: Campaign
    in_hand: tuple[str, ...]
    paragraphs: Mapping[str, str]
    listed: threads.Threads
    decided: int
    practice: tuple[int, int]
    stands: tuple[Qualified, ...]
    asked: int
    reopened: tuple[Reopening, ...]
    returned: tuple[RowInHandAgain, ...]
    pass_project: int


def mine(request: HttpRequest) -> HttpResponse:
    """A person's own page; a post asks about a row."""
    call = call_of(request)
    context: dict[str, Any] = {"queues": [], "manager": False}
    if call is not None:
        standing = call.signed_in
        context = {
            "message": _ask(request, standing) if request.method == "POST" else "",
            "queues": figures.of_person(standing.user_id),
            "news": new_for(standing),
            "campaigns": [_own(request, campaign, standing) for campaign in _campaigns(standing)],
            "manager": standing.manager_somewhere,
            "csrf": get_token(request),
        }
    return render_page(request, "mine.html", context)


def answers(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """What became of a person's answers in a campaign; a post disputes a decision."""
    call = call_of(request)
    campaign = next((each for each in _campaigns(call.signed_in) if each.pk == campaign_id), None) if call else None
    if call is None or campaign is None:
        return page(request, Refused("no_project"))
    user_id, asked = call.signed_in.user_id, request.GET
    show = asked.get("show", "all")
    before = asked.get("before", "")
    message = _dispute(request, campaign, user_id) if request.method == "POST" else ""
    context = {
        "campaign": campaign,
        "message": message,
        "show": show if show in outcomes.SHOWS else "all",
        "shows": outcomes.SHOWS,
        "periods": own_figures.own_periods(campaign, user_id),
        "targets": own_figures.targets_of(campaign),
        "least": own_figures.LEAST_ROWS,
        "listed": outcomes.outcomes_page(campaign, user_id, show, int(before) if _is_number(before) else None),
        "csrf": get_token(request),
    }
    return render_page(request, "answers.html", context)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19


def _dispute(request: HttpRequest, campaign: Campaign, user_id: int) -> str:
    """Dispute what the form says, and say what came of it."""
    row_id, text = (request.POST.get(name, "").strip() for name in ("row_id", "text"))
    if not row_id or not text:
        return "Say why you disagree."
    try:
        saying.dispute(campaign, user_id, row_id, text)
    except Refused as refused:
        return str(refused.detail)
    return f"The managers look at row {row_id} again; what comes of it stands here."


def signed_in(request: HttpRequest) -> HttpResponse:
    """Where somebody lands who signed in in a second window, because the first one holds an answer of theirs."""
    return render_page(request, "signed_in.html", {})


def _campaigns(standing: Standing) -> list[Campaign]:
    """The campaigns that somebody works in."""
    theirs = Campaign.objects.filter(pk__in=list(standing.people)).order_by("name")
    return [campaign for campaign in theirs if standing.works_in_campaign(campaign.pk)]


def _own(request: HttpRequest, campaign: Campaign, standing: Standing) -> OwnCampaign:
    # Of several campaigns the page of one is turned at a time.
    after = request.GET.get("after", "") if request.GET.get("campaign", "") == str(campaign.pk) else ""
    user_id, person = standing.user_id, standing.person(campaign.pk)
    stands = requirements.of_person(user_id, person, campaign.pk) if person is not None else ()
    in_hand = Grant.objects.filter(user_id=user_id, project_id__in=project_ids(campaign.pk), live=True)
    rows = Slot.objects.filter(task_id__in=in_hand.values("task_id")).values_list("row_id", flat=True)
    return OwnCampaign(
        campaign=campaign,
        in_hand=tuple(sorted(set(rows))),
        paragraphs=titles(campaign.guidelines),
        listed=threads.of_person(campaign, user_id, after=after),
        decided=outcomes.count_decided(campaign, user_id),
        practice=(
            len(practice.rows_of(campaign)),
            known_answers.of_person(known_answers.Kind.PRACTICE, campaign.pk, user_id).count(),
        ),
        stands=stands,
        asked=len(requirements.page_rows(stands)),
        reopened=threads.reopened_rows(campaign, user_id),
        returned=tuple(returns.tell(campaign.pk, user_id)),
        pass_project=campaign.projects.values_list("project_id", flat=True).get(stage=Stage.PASS),
    )


def _ask(request: HttpRequest, standing: Standing) -> str:
    """Ask what the form says, and say what came of it."""
    number, row_id, paragraph, text = (
        request.POST.get(name, "").strip() for name in ("campaign", "row_id", "paragraph", "text")
    )
    campaign = next((each for each in _campaigns(standing) if str(each.pk) == number), None)
    if campaign is None or not (row_id or paragraph) or not text:
        return "Choose the row or the paragraph, and write what you want to know."
    about = ThreadSubject(paragraph=paragraph) if paragraph else ThreadSubject(row_id=row_id)
    try:
        saying.ask(campaign, standing.user_id, about, text)
    except Refused as refused:
        return str(refused.detail)
    what = f"row {row_id}" if not paragraph else f"the paragraph {titles(campaign.guidelines)[paragraph]}"
    return f"Your question about {what} is with the managers; the answer comes here."
