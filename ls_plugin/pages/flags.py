"""Flags as work: which rows people flagged, by flag, with who said why and where the row stands."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

from django.db.models import TextField
from django.db.models.functions import Cast
from django.http import HttpRequest, HttpResponse
from tasks.models import Annotation

from label_studio_quorum.campaign.history import stamp
from ls_config.interface import Control
from ls_config.results import from_result
from ls_plugin.access.call import call_of
from ls_plugin.models import Campaign, CampaignProject, Member, Slot, Stage
from ls_plugin.pages.rendering import render_page
from ls_plugin.pages.told_rows import STATE_WORDS, expose_rows
from ls_plugin.queue.campaigns import read_interface
from ls_plugin.store.refusals import Refused, page
from review_rules import State

MARKS_A_FLAG: Final = 100
"""Flagged rows that are listed of one flag; how many more there are is said."""
_FLAGS: Final = "flags"
_READ: Final = frozenset({_FLAGS, "flag_reason"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """What one person flagged about a row.

    ``stage``: at which they had it; ``skipped``: whether they skipped it with the flag.
    """

    row_id: str
    state: str
    is_open: bool
    stage: str
    by: str
    at: str
    reason: str
    skipped: bool

    @property
    def state_words(self) -> str:
        """The state as a page has it."""
        return STATE_WORDS[self.state]

    @property
    def when(self) -> str:
        """The time as a page has it: UTC, to the minute."""
        return self.at[: len("2026-01-05T10:00")].replace("T", " ")


@dataclass(frozen=True, kw_only=True, slots=True)
class FlagFigures:
    """A flag, how many rows bear it, how many of these are not decided, and who flagged them: open rows first."""

    flag: str
    title: str
    rows: int
    open: int
    marks: tuple[Mark, ...]
    left_off: int

    def to_json(self) -> dict[str, Any]:
        """The flag as the API gives it."""
        return asdict(self)


def flags_of(campaign: Campaign, viewer: int, *, works_here: bool) -> tuple[FlagFigures, ...]:
    """The flags of a campaign's rows, in the order in which its form has them.

    Args:
        campaign: the campaign.
        viewer: the account that reads.
        works_here: whether the reader also works in the campaign: the rows listed are others' to answer then.
    """
    controls = [control for control in read_interface(campaign.pk).all_controls if control.name in _READ]
    asked = next((control for control in controls if control.name == _FLAGS), None)
    if asked is None:
        return ()
    by_flag = defaultdict[str, list[Mark]](list)
    for flag, mark in _marks(campaign, controls):
        by_flag[flag].append(mark)
    figures = tuple(_figures(flag, asked.title(flag), by_flag[flag]) for flag in asked.labels if by_flag[flag])
    if works_here:
        expose_rows(campaign, viewer, sorted({mark.row_id for flag in figures for mark in flag.marks}))
    return figures


def campaign_flags(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """The page of flagged rows, for the campaign's managers."""
    call, campaign = call_of(request), Campaign.objects.filter(pk=campaign_id).first()
    if campaign is None or call is None or not call.signed_in.manages(campaign_id):
        return page(request, Refused("no_project"))
    works_here = call.signed_in.works_in_campaign(campaign_id)
    flags = flags_of(campaign, call.signed_in.user_id, works_here=works_here)
    return render_page(request, "flags.html", {"campaign": campaign, "flags": flags, "works_here": works_here})


def _marks(campaign: Campaign, controls: list[Control]) -> Iterator[tuple[str, Mark]]:
    """Every flag that somebody set, the newest first."""
    stages = dict(CampaignProject.objects.filter(campaign=campaign).values_list("project_id", "stage"))
    names = dict(Member.objects.filter(campaign=campaign, user_id__isnull=False).values_list("user_id", "person_id"))
    answers = Annotation.objects.filter(project_id__in=list(stages)).annotate(text=Cast("result", TextField()))
    flagged = answers.filter(text__contains=f'"{_FLAGS}"').order_by("-updated_at", "-pk")
    columns = ("task_id", "project_id", "completed_by_id", "updated_at", "was_cancelled", "result")
    listed = list(flagged.values_list(*columns))
    rows = dict(Slot.objects.filter(task_id__in=[each[0] for each in listed]).values_list("task_id", "row_id"))
    passes = Slot.objects.filter(project_id__in=list(stages), stage=Stage.PASS, row_id__in=list(rows.values()))
    states = dict(passes.values_list("row_id", "state"))
    for task, project, user, at, skipped, result in listed:
        parsed = from_result(result, controls, {}, known_only=True)
        row_id = rows.get(task, "")
        state = State(states.get(row_id) or State.AWAITING_PASSES.value)
        for flag in parsed.flags if row_id else ():
            yield (
                flag,
                Mark(
                    row_id=row_id,
                    state=state.value,
                    is_open=not state.is_decided,
                    stage=Stage(stages[project]).label,
                    by=names.get(user, "") if user is not None else "",
                    at=stamp(at),
                    reason=parsed.reason or "",
                    skipped=skipped,
                ),
            )


def _figures(flag: str, title: str, marks: list[Mark]) -> FlagFigures:
    # The newest of open rows, then the newest of decided ones: the order within each stays.
    ordered = sorted(marks, key=lambda mark: not mark.is_open)
    return FlagFigures(
        flag=flag,
        title=title,
        rows=len({mark.row_id for mark in marks}),
        open=len({mark.row_id for mark in marks if mark.is_open}),
        marks=tuple(ordered[:MARKS_A_FLAG]),
        left_off=max(0, len(ordered) - MARKS_A_FLAG),
    )
