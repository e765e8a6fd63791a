"""Qualification: rows with a known answer first, real rows only above the bar.

The rows are rows of the campaign like any other, so that they look like any other; but everybody gets them, and before
anything else. What they answered is compared with what is known, field by field, as the rules compare exactly.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from label_studio_quorum.campaign.qualification import right_answers
from ls_config.results import from_result
from ls_plugin import record
from ls_plugin.models import Campaign, CampaignProject, Slot, Stage
from ls_plugin.people import Place
from ls_plugin.refusal import Refused

SEATS = 30_000


@dataclass(frozen=True, slots=True)
class Standard:
    """What is asked of people first.

    Attributes:
        rows: row id → field → the known value.
        bar: the share of known fields that a person must get right, 0 to 1.
    """

    rows: Mapping[str, Mapping[str, Any]]
    bar: float


def read(given: Any) -> dict[str, Any]:
    """Check a qualification as it came in; an empty one asks for nothing.

    Raises:
        Refused: ``bad_request``, saying what is wrong.
    """
    if given in (None, {}):
        return {}
    rows, bar = (given.get("rows"), given.get("bar")) if isinstance(given, dict) else (None, None)
    if not isinstance(rows, dict) or not rows or not all(isinstance(one, dict) and one for one in rows.values()):
        raise Refused("bad_request", "`qualification.rows` maps row ids to known values by field.")
    if isinstance(bar, bool) or not isinstance(bar, int | float) or not 0 <= bar <= 1:
        raise Refused("bad_request", "`qualification.bar` is a number from 0 to 1.")
    return {"rows": rows, "bar": float(bar)}


def standard_of(campaign_id: int) -> Standard | None:
    """The qualification of a campaign, None if it asks for none."""
    return of(Campaign.objects.only("qualification").get(pk=campaign_id))


def of(campaign: Campaign) -> Standard | None:
    """The qualification of a campaign that was read, None if it asks for none."""
    stored = campaign.qualification
    return Standard(stored["rows"], stored["bar"]) if stored else None


def summary(campaign_id: int) -> dict[str, Any] | None:
    """The qualification in figures: its rows, how many of them the campaign lacks, the bar; None if there is none."""
    standard = standard_of(campaign_id)
    if standard is None:
        return None
    there = _slots(campaign_id, standard).count()
    return {"rows": len(standard.rows), "missing": len(standard.rows) - there, "bar": standard.bar}


def open_to_all(campaign_id: int, standard: Standard | None, *, only: Container[str] | None = None) -> None:
    """Give the rows with known answers, all or those that the caller has locked, a seat for everybody at any stage."""
    if standard is not None:
        known = _slots(campaign_id, standard, only)
        known.update(capacity=SEATS, open=True, sealed=False)


def seat_new(campaign_id: int, standard: Standard) -> None:
    """Seats for everybody on rows that were imported after the qualification was set up."""
    new = _slots(campaign_id, standard).exclude(capacity=SEATS).order_by("task_id")
    if new.exists():
        with transaction.atomic():
            locked = new.select_for_update() if record.locks_rows() else new
            open_to_all(campaign_id, standard, only=list(locked.values_list("row_id", flat=True)))


def _slots(campaign_id: int, standard: Standard, only: Container[str] | None = None) -> Any:
    rows = [row_id for row_id in standard.rows if only is None or row_id in only]
    first = CampaignProject.objects.filter(campaign_id=campaign_id, stage=Stage.PASS).values("project_id")
    return Slot.objects.filter(project_id__in=first, row_id__in=rows)


def score(user_id: int, place: Place, standard: Standard) -> tuple[int, float]:
    """How many of the known rows a person answered, and the share of known fields that they got right."""
    from tasks.models import Annotation

    from ls_plugin.jobs import line_of

    slots = Slot.objects.filter(project_id=place.project_id, row_id__in=list(standard.rows))
    row_of = dict(slots.values_list("task_id", "row_id"))
    mine = Annotation.objects.filter(task_id__in=list(row_of), completed_by_id=user_id, was_cancelled=False)
    answers = list(mine.select_related("task"))
    if not answers:
        return 0, 0.0
    interface, right, asked = line_of(place.campaign_id).interface, 0, 0
    for answer in answers:
        values = from_result(answer.result, interface.controls, answer.task.data).values
        known, fields = standard.rows[row_of[answer.task_id]], interface.fields(answer.task.data)
        asked += len(known)
        right += right_answers(known, values, fields)
    return len(answers), right / asked


def is_marked(user_id: int, place: Place, row_id: str) -> bool:
    """Whether this is a known row of somebody who has answered them all: the hand-out has told them the outcome.

    Answers that could still be changed then could be tried until the outcome is another.
    """
    from tasks.models import Annotation

    standard = standard_of(place.campaign_id)
    if standard is None or row_id not in standard.rows:
        return False
    asked = Slot.objects.filter(project_id=place.project_id, row_id__in=list(standard.rows)).values("task_id")
    said = Annotation.objects.filter(task_id__in=asked, completed_by_id=user_id, was_cancelled=False)
    return bool(said.count() >= asked.count())
