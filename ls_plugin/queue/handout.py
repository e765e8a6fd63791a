"""Handing tasks out: the task in hand, else the best open one, else what was put off.

A skipped row does not come back by itself: see :mod:`ls_plugin.queue.skips`.
"""

from __future__ import annotations

from datetime import datetime

from django.db import connection, transaction
from django.db.models import F, Q
from tasks.models import AnnotationDraft

from ls_plugin.models import Campaign, Grant, Slot, Stage
from ls_plugin.people.standings import CampaignPlace
from ls_plugin.queue import publishing, qualification, reconcile, requirements
from ls_plugin.queue.empty_queue import why_empty
from ls_plugin.queue.ordering import queues_for
from ls_plugin.queue.qualification import QualificationRows
from ls_plugin.queue.seats import RowIsLockedError, lock_seat, seat
from ls_plugin.store import clock, retries
from ls_plugin.store.guidelines import lock_versions
from ls_plugin.store.refusals import Refused
from ls_plugin.store.slots import locks_rows
from review_rules import Person

# Seats that one person may have in a project at once, by putting tasks off.
MOST_IN_HAND = 5
MOST_PUT_OFF = MOST_IN_HAND - 1  # one seat is that of the row in front of them


def hand_out(user_id: int, person: Person, place: CampaignPlace) -> Slot:
    """Hand the person a task of this project: the one in hand, else the best of those open to them.

    Raises:
        Refused: ``no_task`` or ``all_done``, with the reason, if there is none; ``qualify`` if the person is below the
            bar of the qualification; ``acknowledge`` if they have to read new guidelines first; ``clock_back``.
    """
    # Under a clock that was set back nobody could answer what they were handed.
    clock.require_forward()
    asked = _asked_first(user_id, person, place)
    if asked is not None and place.stage is Stage.PASS:
        qualification.seat_everybody_on_new_rows(place.campaign_id, asked)
    slot = _hand_out(user_id, person, place, asked)
    # A worker that is behind or gone must not leave a reviewer without work: reconcile a few rows here, and look again.
    if slot is None and place.stage is not Stage.PASS and reconcile.drain(place.campaign_id, limit=20):
        slot = _hand_out(user_id, person, place, asked)
    if slot is None:
        raise requirements.with_closed(why_empty(user_id, person, place), user_id, person, place)
    return slot


def _asked_first(user_id: int, person: Person, place: CampaignPlace) -> QualificationRows | None:
    """What the campaign asks people to show before they are handed work, if anything.

    Raises:
        Refused: ``qualify`` at the reviews, for a person who has not shown it.
    """
    # At the passes what is in hand comes first, whatever they have shown.
    if place.stage is not Stage.PASS:
        requirements.require_passed(user_id, person, place.campaign_id, place.stage)
    return qualification.qualification_of(place.campaign_id)


@retries.retry
def _hand_out(user_id: int, person: Person, place: CampaignPlace, asked: QualificationRows | None) -> Slot | None:
    with transaction.atomic():
        _require_acknowledged(user_id, place)
        _wait_for_own_hand_out(user_id, place)
        slot = (
            _in_hand(user_id, person, place) or _best(user_id, person, place, asked) or _put_off(user_id, person, place)
        )
        if slot is not None:
            seat(slot, user_id, place)
    return slot


def _require_acknowledged(user_id: int, place: CampaignPlace) -> None:
    """Refuse a row to somebody who has not acknowledged the guidelines that ask for it; none comes in between.

    Raises:
        Refused: ``acknowledge``.
    """
    lock_versions(place.campaign_id, exclusive=False)
    refused = publishing.refusal_of(Campaign.objects.get(pk=place.campaign_id), user_id)
    if refused is not None:
        raise refused


def _wait_for_own_hand_out(user_id: int, place: CampaignPlace) -> None:
    """Hand out one task a person at a time: several windows that ask at once would get a row each."""
    if locks_rows():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [place.project_id, user_id])


def _in_hand(user_id: int, person: Person, place: CampaignPlace) -> Slot | None:
    """What the person was handed and has neither answered, put off nor lost to somebody else.

    Rows that QA gave back to them come first. Somebody who has put off as many as a person may have gets these again.
    """
    mine = Grant.objects.filter(user_id=user_id, project_id=place.project_id, live=True)
    live = mine.order_by(F("returned").asc(nulls_last=True), "given_at")
    tasks = list(live.values_list("task_id", flat=True))
    later = AnnotationDraft.objects.filter(user_id=user_id, task_id__in=tasks, was_postponed=True)
    put_off = set(later.values_list("task_id", flat=True)) if len(tasks) < MOST_IN_HAND else set()
    for task_id in tasks:
        slot = None if task_id in put_off else lock_seat(task_id, user_id, person, place, live=True)
        if slot:
            return slot
    return None


def rows_put_off(user_id: int, project_id: int) -> list[tuple[str, datetime]]:
    """The rows of a project that a person has put off, with the end of each one's seat, the last put off at the end.

    After that end somebody else may be handed the row; it still comes back to the person if nobody was.
    """
    live = Grant.objects.filter(user_id=user_id, project_id=project_id, live=True).order_by("expires_at")
    later = AnnotationDraft.objects.filter(user_id=user_id, was_postponed=True)
    ends = dict(live.filter(task_id__in=later.values("task_id")).values_list("task_id", "expires_at"))
    rows = dict(Slot.objects.filter(task_id__in=list(ends)).values_list("task_id", "row_id"))
    return [(rows[task_id], end) for task_id, end in ends.items() if task_id in rows]


def _best(user_id: int, person: Person, place: CampaignPlace, asked: QualificationRows | None) -> Slot | None:
    """The best open task of the best choice of rows that has one."""
    choices = (_best_of(only, user_id, person, place) for only in _open_rows(user_id, person, place, asked))
    return next(filter(None, choices), None)


def _best_of(only: Q, user_id: int, person: Person, place: CampaignPlace) -> Slot | None:
    """The best open task. Rows that others have locked just now are passed over, and waited for at the end."""
    passed_over = list[int]()
    for every in queues_for(user_id, person, place):
        queue = every.filter(only)
        for task_id in queue.values_list("task_id", flat=True).iterator(chunk_size=20):
            try:
                slot = lock_seat(task_id, user_id, person, place, wait=False, settled=True)
            except RowIsLockedError:
                passed_over.append(task_id)
                continue
            if slot:
                return slot
    waited = (lock_seat(task_id, user_id, person, place, settled=True) for task_id in dict.fromkeys(passed_over))
    return next(filter(None, waited), None)


def _open_rows(user_id: int, person: Person, place: CampaignPlace, asked: QualificationRows | None) -> list[Q]:
    """The choices of rows from which a person is handed the next, best first.

    Raises:
        Refused: ``qualify`` if the person has not shown what the campaign asks them to show first.
    """
    return [Q()] if asked is None else requirements.open_rows(user_id, person, place, asked)


def why_nothing(user_id: int, person: Person, place: CampaignPlace) -> Refused | None:
    """Why this person would be handed nothing now; None if there is something. Nothing is locked or handed out."""
    refused = publishing.refusal_of(Campaign.objects.get(pk=place.campaign_id), user_id)
    if refused is not None:
        return refused
    mine = Grant.objects.filter(user_id=user_id, project_id=place.project_id)
    if mine.filter(live=True).exists():
        return None
    try:
        choices = _open_rows(user_id, person, place, _asked_first(user_id, person, place))
    except Refused as refused:
        return refused
    if any(queue.filter(only).exists() for only in choices for queue in queues_for(user_id, person, place)):
        return None
    return requirements.with_closed(why_empty(user_id, person, place), user_id, person, place)


def _put_off(user_id: int, person: Person, place: CampaignPlace) -> Slot | None:
    """What the person has put off, the longest ago first, when there is nothing else."""
    live = Grant.objects.filter(user_id=user_id, project_id=place.project_id, live=True).order_by("expires_at")
    waited = (
        lock_seat(task_id, user_id, person, place, live=True) for task_id in live.values_list("task_id", flat=True)
    )
    return next(filter(None, waited), None)
