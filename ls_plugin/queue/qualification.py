"""Qualification: rows with a known answer, and other work only above the bar.

The rows are rows of the campaign like any other, and nothing that people are told or shown sets them apart; but
everybody can be asked them. Answers are compared with the known ones, field by field, as the rules compare exactly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from tasks.models import Annotation, Task

from label_studio_quorum.campaign.qualification import right_fields
from ls_config.results import from_result
from ls_plugin.models import Campaign, CampaignProject, Grant, Slot, Stage
from ls_plugin.people import rulebook
from ls_plugin.people.standings import CampaignPlace
from ls_plugin.queue.campaigns import read_interface
from ls_plugin.queue.draws import draw
from ls_plugin.queue.known_forms import fill_forms
from ls_plugin.store import guidelines, known_answers
from ls_plugin.store.refusals import Refused
from ls_plugin.store.slots import locks_rows
from review_rules.files.policy import Qualification as Terms

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
        terms: the further bars of the policy, and when a qualification ends.
        guidelines_at: when the guidelines were changed last; None if they never were, or the terms do not ask.
    """

    rows: Mapping[str, Mapping[str, Any]]
    bar: float
    terms: Terms = field(default_factory=lambda: Terms("", 0.0))
    guidelines_at: datetime | None = None


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
    columns = ("qualification", "policy_text")
    return stored_qualification(Campaign.objects.only(*columns).get(pk=campaign_id))


def stored_qualification(campaign: Campaign) -> QualificationRows | None:
    """The qualification of a campaign that was read, None if it asks for none."""
    stored = campaign.qualification
    if not stored:
        return None
    # Told by the API without a policy that names it, a qualification has the one bar that came with it.
    terms = rulebook.read_policy(campaign.policy_text).qualification or Terms("", stored["bar"])
    changed_at = guidelines.changed_at(campaign.pk) if terms.guidelines else None
    return QualificationRows(stored["rows"], stored["bar"], terms, changed_at)


def summary(campaign_id: int) -> dict[str, Any] | None:
    """The qualification in figures: its rows, how many of them the campaign lacks, the bar; None if there is none."""
    asked = qualification_of(campaign_id)
    if asked is None:
        return None
    domains = Counter(_slots(campaign_id, asked).values_list("domain", flat=True))
    figures = {"rows": len(asked.rows), "missing": len(asked.rows) - domains.total(), "bar": asked.bar}
    # Where experts of a domain qualify, how many rows there are to do it on is part of the answer.
    return figures | ({"domains": {name: domains[name] for name in asked.terms.domains}} if asked.terms.domains else {})


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
class KnownResult:
    """What a person got right of one row when they first answered it.

    Attributes:
        row_id: the row.
        at: when they answered it.
        right: how many known fields.
        fields: which.
    """

    row_id: str
    at: datetime
    right: int
    fields: frozenset[str]


@dataclass(frozen=True, slots=True)
class Score:
    """What a person got right.

    Attributes:
        rows: the rows that they answered.
        compared: how many known fields these have.
        right: how many of them the person got right when they first answered.
        fields: field → (right, compared), of each known field alone.
    """

    rows: frozenset[str] = frozenset()
    compared: int = 0
    right: int = 0
    fields: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, results: Iterable[KnownResult], asked: QualificationRows) -> Score:
        """The score over these results."""
        counted = list(results)
        compared = Counter(name for result in counted for name in asked.rows[result.row_id])
        right = Counter(name for result in counted for name in result.fields)
        return cls(
            frozenset(result.row_id for result in counted),
            compared.total(),
            sum(result.right for result in counted),
            {name: (right[name], count) for name, count in compared.items()},
        )

    @property
    def share(self) -> float | None:
        """The share that is right; None before the first answer."""
        return self.right / self.compared if self.compared else None


def score(user_id: int, place: CampaignPlace, asked: QualificationRows) -> Score:
    """What a person got right of the known rows that they answered in the Pass project."""
    return Score.of(results_of(user_id, place, asked), asked)


def results_of(user_id: int, place: CampaignPlace, asked: QualificationRows) -> list[KnownResult]:
    """What a person got right of each known row that they answered in the Pass project, the first one first."""
    slots = Slot.objects.filter(project_id=place.project_id, row_id__in=list(asked.rows))
    row_of = dict(slots.values_list("task_id", "row_id"))
    mine = Annotation.objects.filter(task_id__in=list(row_of), completed_by_id=user_id, was_cancelled=False)
    answers = list(mine.select_related("task").order_by("created_at", "pk"))
    if not answers:  # no share yet, and no campaign need be read
        return []
    hand_outs = Grant.objects.filter(task_id__in=list(row_of), user_id=user_id, right__isnull=False)
    noted = {task: note for task, *note in hand_outs.values_list("task_id", "right", "right_fields")}
    return [_result(answer, row_of[answer.task_id], place, asked, noted.get(answer.task_id)) for answer in answers]


def _result(
    answer: Annotation, row_id: str, place: CampaignPlace, asked: QualificationRows, noted: list[Any] | None
) -> KnownResult:
    """What an answer has right: as noted when it was first given, else as it is now."""
    count, names = noted or (None, None)
    if names is None:
        names = _right_fields(answer, row_id, place, asked)
    return KnownResult(row_id, answer.created_at, len(names) if count is None else count, frozenset(names))


def _right_fields(answer: Annotation, row_id: str, place: CampaignPlace, asked: QualificationRows) -> tuple[str, ...]:
    """Which known fields an answer has right as it is now."""
    interface = read_interface(place.campaign_id)
    values = from_result(answer.result, interface.controls, answer.task.data).values
    return right_fields(asked.rows[row_id], values, interface.fields(answer.task.data))


def page_results_of(user_id: int, place: CampaignPlace, asked: QualificationRows) -> list[KnownResult]:
    """The same of the answers that a person gave on the page of the qualification."""
    answers = list(known_answers.of_person(known_answers.Kind.QUALIFICATION, place.campaign_id, user_id))
    if not answers:
        return []
    interface, data = read_interface(place.campaign_id), row_data(place, asked)
    return [
        KnownResult(answer.row_id, answer.at, len(names), frozenset(names))
        for answer in answers
        if answer.row_id in data
        for fields in (interface.fields(data[answer.row_id]),)
        for names in (right_fields(asked.rows[answer.row_id], answer.values, fields),)
    ]


def row_data(place: CampaignPlace, asked: QualificationRows) -> dict[str, dict[str, Any]]:
    """Row id → its columns, of the rows with known answers that the campaign has."""
    slots = Slot.objects.filter(project_id=place.project_id, row_id__in=list(asked.rows))
    row_of = dict(slots.values_list("task_id", "row_id"))
    tasks = Task.objects.filter(pk__in=list(row_of)).values_list("pk", "data")
    return {row_of[task]: data for task, data in tasks}


def note_answer(place: CampaignPlace, slot: Slot, answer: Annotation) -> None:
    """Note how many known fields a first answer has right: later changes of it are stored and change nothing here."""
    asked = qualification_of(place.campaign_id) if place.stage is Stage.PASS else None
    if asked is not None and slot.row_id in asked.rows and not answer.was_cancelled:
        right = list(_right_fields(answer, slot.row_id, place, asked))
        mine = Grant.objects.filter(task_id=slot.task_id, user_id=answer.completed_by_id)
        mine.update(right=len(right), right_fields=right)


def forget_notes(campaign_id: int, asked: QualificationRows | None) -> None:
    """Have answers compared anew, after the known values were changed."""
    if asked is not None:
        tasks = _slots(campaign_id, asked).values("task_id")
        Grant.objects.filter(task_id__in=tasks).update(right=None, right_fields=None)


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
