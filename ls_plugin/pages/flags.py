"""Flags as work: which rows people flagged, by flag, with who said why and where the row stands."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from tasks.models import Annotation

from label_studio_quorum.campaign.history import stamp
from ls_config.interface import Control
from ls_config.results import from_result
from ls_plugin.access.call import call_of
from ls_plugin.models import Campaign, CampaignProject, Member, Slot, Stage
from ls_plugin.pages.paging import ListPage, cut
from ls_plugin.pages.rendering import render_page
from ls_plugin.pages.told_rows import STATE_WORDS, expose_rows
from ls_plugin.queue.campaigns import read_interface
from ls_plugin.queue.row_flags import FLAGS, flags_in
from ls_plugin.store.refusals import Refused, page
from ls_plugin.store.slots import slots_of
from review_rules import State

ROWS_A_FLAG: Final = 50
"""Flagged rows that a page lists of one flag; the others are on its next pages."""
_READ: Final = frozenset({FLAGS, "flag_reason"})


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
    """A flag, how many rows bear it, how many of these are not decided, and who flagged those of a page.

    Rows that are not decided come first. ``left_off``: rows that come after this page; ``after``: where the next page
    begins, empty after the last; ``before``: where the one before begins, None on the first.
    """

    flag: str
    title: str
    rows: int
    open: int
    marks: tuple[Mark, ...]
    left_off: int
    after: str
    before: str | None

    def to_json(self) -> dict[str, Any]:
        """The flag as the API gives it."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class _FlaggedRow:
    row_id: str
    state: State
    place: tuple[int, ...]


def flags_of(
    campaign: Campaign, viewer: int, *, works_here: bool, only: str = "", after: str = ""
) -> tuple[FlagFigures, ...]:
    """The flags of a campaign's rows, in the order in which its form has them.

    Args:
        campaign: the campaign.
        viewer: the account that reads.
        works_here: whether the reader also works in the campaign: the rows listed are others' to answer then.
        only: this flag alone; empty for all.
        after: where the page begins, as the page before it said.
    """
    controls = [control for control in read_interface(campaign.pk).all_controls if control.name in _READ]
    asked = next((control for control in controls if control.name == FLAGS), None)
    if asked is None:
        return ()
    flagged = _flagged_rows(campaign)
    wanted = [flag for flag in asked.labels if flagged[flag] and only in ("", flag)]
    pages = {flag: cut(flagged[flag], _place, after, ROWS_A_FLAG) for flag in wanted}
    listed = {row.row_id: row for page in pages.values() for row in page.items}
    marks = _marks(campaign, controls, listed)
    if works_here:
        expose_rows(campaign, viewer, sorted(listed))
    return tuple(_figures(flag, asked.title(flag), flagged[flag], pages[flag], marks) for flag in wanted)


def campaign_flags(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """The page of flagged rows, for the campaign's managers; with `flag` and `after` a later page of one flag."""
    call, campaign = call_of(request), Campaign.objects.filter(pk=campaign_id).first()
    if campaign is None or call is None or not call.signed_in.manages(campaign_id):
        return page(request, Refused("no_project"))
    works_here = call.signed_in.works_in_campaign(campaign_id)
    only, after = request.GET.get("flag", ""), request.GET.get("after", "")
    flags = flags_of(campaign, call.signed_in.user_id, works_here=works_here, only=only, after=after)
    context = {"campaign": campaign, "flags": flags, "works_here": works_here, "only": only}
    return render_page(request, "flags.html", context)


def _place(row: _FlaggedRow) -> tuple[int, ...]:
    return row.place


def _flagged_rows(campaign: Campaign) -> dict[str, list[_FlaggedRow]]:
    """Flag → the rows that bear it: those that are not decided first, of each the newest first."""
    first = CampaignProject.objects.get(campaign=campaign, stage=Stage.PASS).project_id
    slots = Slot.objects.filter(project_id=first, flagged_at__isnull=False).exclude(row_id="")
    rows = defaultdict[str, list[_FlaggedRow]](list)
    for task, row_id, stored, flags, at in slots.values_list("task_id", "row_id", "state", "flags", "flagged_at"):
        state = State(stored or State.AWAITING_PASSES.value)
        place = (int(not state.is_decided), _microseconds(at), task)
        row = _FlaggedRow(row_id=row_id, state=state, place=place)
        for flag in flags_in(flags):
            rows[flag].append(row)
    for listed in rows.values():
        listed.sort(key=_place, reverse=True)
    return rows


def _microseconds(at: datetime | None) -> int:
    since = (at or datetime.min.replace(tzinfo=UTC)) - datetime.min.replace(tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _marks(
    campaign: Campaign, controls: list[Control], rows: Mapping[str, _FlaggedRow]
) -> dict[str, dict[str, list[Mark]]]:
    """Flag → row → who set it, the newest first, of these rows."""
    stages = dict(CampaignProject.objects.filter(campaign=campaign).values_list("project_id", "stage"))
    names = dict(Member.objects.filter(campaign=campaign, user_id__isnull=False).values_list("user_id", "person_id"))
    tasks = dict(slots_of(campaign.pk, rows).values_list("task_id", "row_id"))
    answers = Annotation.objects.filter(task_id__in=list(tasks)).order_by("-updated_at", "-pk")
    columns = ("task_id", "project_id", "completed_by_id", "updated_at", "was_cancelled", "result")
    marks = defaultdict[str, dict[str, list[Mark]]](lambda: defaultdict(list))
    for task, project, user, at, skipped, result in answers.values_list(*columns):
        row = rows[tasks[task]]
        parsed = from_result(result, controls, {}, known_only=True)
        mark = Mark(
            row_id=row.row_id,
            state=row.state.value,
            is_open=not row.state.is_decided,
            stage=Stage(stages[project]).label,
            by=names.get(user, "") if user is not None else "",
            at=stamp(at),
            reason=parsed.reason or "",
            skipped=skipped,
        )
        for flag in parsed.flags:
            marks[flag][row.row_id].append(mark)
    return marks


def _figures(
    flag: str,
    title: str,
    rows: Iterable[_FlaggedRow],
    listed: ListPage[_FlaggedRow],
    marks: Mapping[str, Mapping[str, list[Mark]]],
) -> FlagFigures:
    is_open = [not row.state.is_decided for row in rows]
    return FlagFigures(
        flag=flag,
        title=title,
        rows=len(is_open),
        open=sum(is_open),
        marks=tuple(mark for row in listed.items for mark in marks.get(flag, {}).get(row.row_id, ())),
        left_off=listed.left_off,
        after=listed.after,
        before=listed.before,
    )
