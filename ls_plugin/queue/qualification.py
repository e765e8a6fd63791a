"""Qualification: rows with a known answer, and other work only above the bar.

The rows are rows of the campaign like any other, and nothing that people are told or shown sets them apart; but
everybody can be asked them. Answers are compared with the known ones, field by field, as the rules compare exactly.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from tasks.models import Annotation

from label_studio_quorum.campaign.qualification import right_answers
from ls_config.results import from_result
from ls_plugin.models import Campaign, CampaignProject, Grant, Slot, Stage
from ls_plugin.people.standings import CampaignPlace
from ls_plugin.queue.campaigns import read_interface
from ls_plugin.queue.draws import draw
from ls_plugin.queue.known_forms import fill_forms
from ls_plugin.store.refusals import Refused
from ls_plugin.store.slots import locks_rows

# How long after an answer to a qualification row it can be changed at least, and when it closes at the latest.
_SHORTEST_OPEN, _LONGEST_OPEN = timedelta(minutes=20), timedelta(hours=6)
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
    """Give rows that were imported after the qualification was set up a seat for everybody, and fill their forms."""
    new = _slots(campaign_id, asked).exclude(capacity=SEATS).order_by("task_id")
    if new.exists():
        with transaction.atomic():
            locked = new.select_for_update() if locks_rows() else new
            rows = list(locked.values_list("row_id", flat=True))
            seat_everybody(campaign_id, asked, only=rows)
            fill_forms(campaign_id, {row_id: asked.rows[row_id] for row_id in rows})


def _slots(campaign_id: int, asked: QualificationRows, only: Container[str] | None = None) -> QuerySet[Slot]:
    rows = [row_id for row_id in asked.rows if only is None or row_id in only]
    first = CampaignProject.objects.filter(campaign_id=campaign_id, stage=Stage.PASS).values("project_id")
    return Slot.objects.filter(project_id__in=first, row_id__in=rows)


@dataclass(frozen=True, slots=True)
class Score:
    """What a person got right.

    Attributes:
        rows: the rows that they answered.
        compared: how many known fields these have.
        right: how many of them the person got right when they first answered.
    """

    rows: frozenset[str] = frozenset()
    compared: int = 0
    right: int = 0

    @property
    def share(self) -> float | None:
        """The share that is right; None before the first answer."""
        return self.right / self.compared if self.compared else None


def score(user_id: int, place: CampaignPlace, asked: QualificationRows) -> Score:
    """What a person got right of the known rows that they answered."""
    slots = Slot.objects.filter(project_id=place.project_id, row_id__in=list(asked.rows))
    row_of = dict(slots.values_list("task_id", "row_id"))
    mine = Annotation.objects.filter(task_id__in=list(row_of), completed_by_id=user_id, was_cancelled=False)
    answers = list(mine.select_related("task"))
    if not answers:  # no share yet, and no campaign need be read
        return Score()
    hand_outs = Grant.objects.filter(task_id__in=list(row_of), user_id=user_id, right__isnull=False)
    noted = dict(hand_outs.values_list("task_id", "right"))
    rows = frozenset(row_of[answer.task_id] for answer in answers)
    compared = sum(len(asked.rows[row_id]) for row_id in rows)
    right = sum(_right(answer, row_of[answer.task_id], place, asked, noted.get(answer.task_id)) for answer in answers)
    return Score(rows, compared, right)


def _right(
    answer: Annotation, row_id: str, place: CampaignPlace, asked: QualificationRows, noted: int | None = None
) -> int:
    """How many known fields an answer has right: as noted when it was first given, else as it is now."""
    if noted is not None:
        return noted
    interface = read_interface(place.campaign_id)
    values = from_result(answer.result, interface.controls, answer.task.data).values
    return right_answers(asked.rows[row_id], values, interface.fields(answer.task.data))


def note_answer(place: CampaignPlace, slot: Slot, answer: Annotation) -> None:
    """Note how many known fields a first answer has right: later changes of it are stored and change nothing here."""
    asked = qualification_of(place.campaign_id) if place.stage is Stage.PASS else None
    if asked is not None and slot.row_id in asked.rows and not answer.was_cancelled:
        right = _right(answer, slot.row_id, place, asked)
        Grant.objects.filter(task_id=slot.task_id, user_id=answer.completed_by_id).update(right=right)


def forget_notes(campaign_id: int, asked: QualificationRows | None) -> None:
    """Have answers compared anew, after the known values were changed."""
    if asked is not None:
        Grant.objects.filter(task_id__in=_slots(campaign_id, asked).values("task_id")).update(right=None)


def is_closed(place: CampaignPlace, slot: Slot, answer: Annotation) -> bool:
    """Whether an answer to a qualification row stays as it is, as on any row whose next stage has begun.

    The row itself is never sealed, since others still have to answer it. Somebody who answers it after its QA began
    would find it closed at once, as no other row is: so it closes some time after the answer, drawn for each.
    """
    asked = qualification_of(place.campaign_id) if place.stage is Stage.PASS else None
    if asked is None or slot.row_id not in asked.rows:
        return False
    reviews = CampaignProject.objects.filter(campaign_id=place.campaign_id, stage__gt=Stage.PASS).values("project_id")
    tasks = Slot.objects.filter(project_id__in=reviews, row_id=slot.row_id).values("task_id")
    drawn = draw("closes", slot.task_id, answer.completed_by_id)
    since = answer.created_at + _SHORTEST_OPEN + drawn * (_LONGEST_OPEN - _SHORTEST_OPEN)
    return since <= timezone.now() and bool(Grant.objects.filter(task_id__in=tasks).exists())
