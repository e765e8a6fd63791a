"""Qualification: rows with a known answer first, other rows only above the bar.

The rows are rows of the campaign like any other, so that they look like any other; but everybody gets them, and before
anything else. Their answers are compared with the known ones, field by field, as the rules compare exactly.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from tasks.models import Annotation

from label_studio_quorum.campaign.qualification import right_answers
from ls_config.results import from_result
from ls_plugin.models import Campaign, CampaignProject, Slot, Stage
from ls_plugin.people.standings import CampaignPlace
from ls_plugin.queue.campaigns import read_interface
from ls_plugin.store.refusals import Refused
from ls_plugin.store.slots import locks_rows

# More than any team has people: everybody gets a seat. The column holds up to 32,767.
SEATS = 30_000


@dataclass(frozen=True, slots=True)
class QualificationRows:
    """What is asked of people first.

    Attributes:
        rows: row id → field → the known value.
        bar: the share of known fields that a person must get right, 0 to 1.
    """

    rows: Mapping[str, Mapping[str, Any]]
    bar: float


def read(sent: Any) -> dict[str, Any]:
    """Check a qualification as it came in; an empty one asks for nothing.

    Raises:
        Refused: ``bad_request``, saying what is wrong.
    """
    if sent in (None, {}):
        return {}
    rows, bar = (sent.get("rows"), sent.get("bar")) if isinstance(sent, dict) else (None, None)
    if not isinstance(rows, dict) or not rows or not all(isinstance(known, dict) and known for known in rows.values()):
        raise Refused("bad_request", "`qualification.rows` maps row ids to known values by field.")
    # True is a number to Python, and no share to people.
    if isinstance(bar, bool) or not isinstance(bar, int | float) or not 0 <= bar <= 1:
        raise Refused("bad_request", "`qualification.bar` is a number from 0 to 1.")
    return {"rows": rows, "bar": float(bar)}


def qualification_of(campaign_id: int) -> QualificationRows | None:
    """The qualification of a campaign, None if it asks for none."""
    return stored_qualification(Campaign.objects.only("qualification").get(pk=campaign_id))


def stored_qualification(campaign: Campaign) -> QualificationRows | None:
    """The qualification of a campaign that was read, None if it asks for none."""
    stored = campaign.qualification
    return QualificationRows(stored["rows"], stored["bar"]) if stored else None


def summary(campaign_id: int) -> dict[str, Any] | None:
    """The qualification in figures: its rows, how many of them the campaign lacks, the bar; None if there is none."""
    asked = qualification_of(campaign_id)
    if asked is None:
        return None
    there = _slots(campaign_id, asked).count()
    return {"rows": len(asked.rows), "missing": len(asked.rows) - there, "bar": asked.bar}


def seat_everybody(campaign_id: int, asked: QualificationRows | None, *, only: Container[str] | None = None) -> None:
    """Give the rows with known answers, all or those that the caller has locked, a seat for everybody at any stage."""
    if asked is not None:
        _slots(campaign_id, asked, only).update(capacity=SEATS, open=True, sealed=False)


def seat_everybody_on_new_rows(campaign_id: int, asked: QualificationRows) -> None:
    """Give rows that were imported after the qualification was set up a seat for everybody."""
    new = _slots(campaign_id, asked).exclude(capacity=SEATS).order_by("task_id")
    if new.exists():
        with transaction.atomic():
            locked = new.select_for_update() if locks_rows() else new
            seat_everybody(campaign_id, asked, only=list(locked.values_list("row_id", flat=True)))


def _slots(campaign_id: int, asked: QualificationRows, only: Container[str] | None = None) -> QuerySet[Slot]:
    rows = [row_id for row_id in asked.rows if only is None or row_id in only]
    first = CampaignProject.objects.filter(campaign_id=campaign_id, stage=Stage.PASS).values("project_id")
    return Slot.objects.filter(project_id__in=first, row_id__in=rows)


def score(user_id: int, place: CampaignPlace, asked: QualificationRows) -> tuple[int, float]:
    """How many of the known rows a person answered, and the share of known fields that they got right."""
    slots = Slot.objects.filter(project_id=place.project_id, row_id__in=list(asked.rows))
    row_of = dict(slots.values_list("task_id", "row_id"))
    mine = Annotation.objects.filter(task_id__in=list(row_of), completed_by_id=user_id, was_cancelled=False)
    answers = list(mine.select_related("task"))
    if not answers:  # no share yet, and no campaign need be read
        return 0, 0.0
    interface, right, compared = read_interface(place.campaign_id), 0, 0
    for answer in answers:
        values = from_result(answer.result, interface.controls, answer.task.data).values
        known, fields = asked.rows[row_of[answer.task_id]], interface.fields(answer.task.data)
        compared += len(known)
        right += right_answers(known, values, fields)
    return len(answers), right / compared


def is_scored(user_id: int, place: CampaignPlace, row_id: str) -> bool:
    """Whether this is a qualification row of somebody who has answered them all.

    The hand-out has told them the outcome. If answers could still change, people could try until the outcome changes.
    """
    asked = qualification_of(place.campaign_id)
    if asked is None or row_id not in asked.rows:
        return False
    tasks = Slot.objects.filter(project_id=place.project_id, row_id__in=list(asked.rows)).values("task_id")
    answers = Annotation.objects.filter(task_id__in=tasks, completed_by_id=user_id, was_cancelled=False)
    return bool(answers.count() >= tasks.count())
