"""Seats: who may answer a task now, for how long the place is kept, and what taking it closes.

Code that locks more than one slot locks all slots of its rows, by task id, and before the audit log. Hand-out,
reconcile and reopening do so alike, so that none waits for another in a circle. A hand-out locks one row at a time,
and lets go of it at once if the person cannot have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from os import environ

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from tasks.models import Annotation

from ls_plugin.models import CampaignProject, Grant, Slot, Stage
from ls_plugin.people.standings import RULE_STAGE, CampaignPlace, words
from ls_plugin.queue import qualification
from ls_plugin.store import audit_log, retries
from ls_plugin.store.exclusions import exclude, is_excluded
from ls_plugin.store.refusals import Refused
from ls_plugin.store.slots import locks_rows, slots_of
from review_rules import NextStep, Person, PersonId, may_take

RESERVE_MINUTES = "QUORUM_RESERVE_MINUTES"
# A seat is renewed while its holder is at work, and no longer than this: a row cannot be kept for ever by its drafts.
LONGEST_SEAT = timedelta(hours=24)


def reserve_for() -> timedelta:
    """How long a seat is kept for somebody who took a task and does nothing."""
    return timedelta(minutes=float(environ.get(RESERVE_MINUTES, "60")))


def next_step(stage: Stage, requires: str, excluded: Sequence[str] = ()) -> NextStep:
    """A slot's requirement as the rules' value."""
    return NextStep(stage=RULE_STAGE[stage], requires=tuple(words(requires)), excluded=tuple(map(PersonId, excluded)))


class RowIsLockedError(Exception):
    """Somebody else has the row locked right now."""


class _NotToBeHadError(Exception):
    """The task cannot be taken: ends its savepoint, which lets go of the row's locks."""


def refusal_of(slot: Slot, user_id: int, person: Person, place: CampaignPlace) -> str | None:
    """Why a person may not answer a task now, as the code of a refusal; None if they may.

    Hand-out and acceptance both ask here, so that nobody is handed what they could not answer. Whether the task was
    handed to the person is not asked.
    """
    if is_excluded(slot.task_id, user_id):
        return "excluded"
    if _submissions(slot).filter(completed_by_id=user_id).exists() and not is_returned(slot.task_id, user_id):
        return "second"
    if not may_take(person, next_step(place.stage, slot.requires)):
        return "no_role"
    if is_returned(slot.task_id, user_id):
        return None  # a place is kept for them, and what others said stays closed
    if slot.sealed:
        return "sealed"
    if not slot.open or not slot.row_id:  # without a row the answer would belong to nothing
        return "full" if slot.taken >= slot.capacity else "closed"
    return None if _has_free_seat(slot, user_id) else "full"


def lock_seat(
    task_id: int,
    user_id: int,
    person: Person,
    place: CampaignPlace,
    *,
    wait: bool = True,
    settled: bool = False,
    **hand_out: bool,
) -> Slot | None:
    """The slot with its row locked if the person may have it now; else None, and nothing is locked.

    Args:
        task_id: the task.
        user_id: the account that wants it.
        person: the person behind the account.
        place: the project of the task.
        wait: whether to wait for somebody who has the row locked.
        settled: whether to take a row only if no earlier stage of it waits for a reconcile.
        hand_out: the columns of the person's hand-out as they were read: by now they may have answered in another
            window.

    Raises:
        RowIsLockedError: Somebody else has the row locked, and the caller does not want to wait.
    """
    try:
        with transaction.atomic():
            slot = _lock_row(task_id, place, wait=wait)
            if slot is None or refusal_of(slot, user_id, person, place) is not None:
                raise _NotToBeHadError
            if settled and not _is_settled(slot, place):
                raise _NotToBeHadError
            # On SQLite the whole database was locked before the hand-out was read: it cannot have changed.
            if hand_out and locks_rows() and not _is_hand_out(task_id, user_id, **hand_out):
                raise _NotToBeHadError
            return slot
    except _NotToBeHadError:
        return None


def _lock_row(task_id: int, place: CampaignPlace, *, wait: bool = True) -> Slot | None:
    """The slot as it is now, all slots of its row locked by task id where the database can; None if it is gone."""
    row_id = Slot.objects.filter(task_id=task_id).values_list("row_id", flat=True).first()
    if row_id is None:
        return None
    row = slots_of(place.campaign_id, [row_id])
    locked = list(row.select_for_update(skip_locked=not wait) if locks_rows() else row)
    if not wait and len(locked) < row.count():
        raise RowIsLockedError
    return next((slot for slot in locked if slot.task_id == task_id), None)


def _is_settled(slot: Slot, place: CampaignPlace) -> bool:
    """Whether the row's earlier stages are as the last reconcile saw them; else its job will be done in a moment."""
    if place.stage is Stage.PASS:
        return True
    earlier = CampaignProject.objects.filter(campaign_id=place.campaign_id, stage__lt=place.stage)
    rows = Slot.objects.filter(project_id__in=earlier.values("project_id"), row_id=slot.row_id)
    return not rows.filter(dirty=True).exists()


def _has_free_seat(slot: Slot, user_id: int) -> bool:
    """Whether a seat is left beside the submissions and the seats kept for others.

    The submissions are counted, as the database's own rule counts them: `taken` only orders the queue.
    """
    seats = Grant.objects.filter(is_kept(), task_id=slot.task_id, live=True)
    return bool(_submissions(slot).count() + seats.exclude(user_id=user_id).count() < slot.capacity)


def is_kept() -> Q:
    """Which live hand-outs keep a seat from others now; that of a row which came back lasts until it is answered."""
    return Q(expires_at__gt=timezone.now()) | Q(returned__isnull=False)


def is_returned(task_id: int, user_id: int) -> bool:
    """Whether QA gave a row back to this person, who has not answered it again yet."""
    hand_outs = Grant.objects.filter(task_id=task_id, user_id=user_id, live=True, returned__isnull=False)
    return bool(hand_outs.exists())


def _submissions(slot: Slot) -> QuerySet[Annotation]:
    return Annotation.objects.filter(task_id=slot.task_id, was_cancelled=False)


def _is_hand_out(task_id: int, user_id: int, **columns: bool) -> bool:
    return bool(Grant.objects.filter(task_id=task_id, user_id=user_id, **columns).exists())


def seat(slot: Slot, user_id: int, place: CampaignPlace) -> None:
    """Write the hand-out, keep the seat, and close what came before: the next stage begins here."""
    now = timezone.now()
    earlier = Grant.objects.filter(task_id=slot.task_id, user_id=user_id).first()
    # A seat that others could have taken for as long as a seat is kept begins anew.
    begins = earlier is None or earlier.expires_at + reserve_for() <= now
    given_at = now if begins or earlier is None else earlier.given_at
    _, fresh = Grant.objects.update_or_create(
        task_id=slot.task_id,
        user_id=user_id,
        defaults={"live": True, "skipped": False, "given_at": given_at, "expires_at": _ends(now, given_at)},
        create_defaults={
            "project_id": place.project_id,
            "given_at": now,
            "live": True,
            "expires_at": _ends(now, now),
        },
    )
    # A task handed out again was closed before when it was handed out first, and may have been reopened since.
    if place.stage is not Stage.PASS and fresh:
        _close_before(slot, user_id, place)
    # After all other locks: the audit log's head is the one for which everybody waits.
    if fresh:
        line = {"stage": place.stage.label}
        audit_log.write(audit_log.Entry("given", user_id, place.campaign_id, slot.task_id, slot.row_id, line))


def _ends(now: datetime, given_at: datetime) -> datetime:
    """When a seat ends that was given out at a time and is renewed now."""
    return min(now + reserve_for(), given_at + LONGEST_SEAT)


def _close_before(slot: Slot, user_id: int, place: CampaignPlace) -> None:
    """Seal the answers of the stages before, and exclude from these who is shown them now, also if they reopen."""
    asked = qualification.qualification_of(place.campaign_id)
    if asked is not None and slot.row_id in asked.rows:
        return  # whoever comes later still has to answer it
    earlier = CampaignProject.objects.filter(campaign_id=place.campaign_id, stage__lt=place.stage)
    before = Slot.objects.filter(project_id__in=earlier.values("project_id"), row_id=slot.row_id)
    exclude((task_id, user_id) for task_id in before.values_list("task_id", flat=True))
    before.filter(sealed=False).update(sealed=True)


def require_seat(task_id: int, user_id: int, person: Person, place: CampaignPlace) -> Slot:
    """The slot of a task on which this person may submit now.

    Raises:
        Refused: with the reason.
    """
    slot: Slot | None = Slot.objects.filter(task_id=task_id).first()
    hand_out = Grant.objects.filter(task_id=task_id, user_id=user_id).first()
    if slot is None or hand_out is None:
        raise Refused("not_given")
    code = refusal_of(slot, user_id, person, place)
    if code != "excluded" and not hand_out.live:  # submitting ends the hand-out
        code = "second"
    if code is not None:
        raise Refused(code)
    return slot


def keep_seat(task_id: int, user_id: int, person: Person, place: CampaignPlace) -> None:
    """Keep the seat of somebody who is at work; one that has run out is kept again unless somebody else has it."""
    now = timezone.now()
    mine = Grant.objects.filter(task_id=task_id, user_id=user_id, live=True)
    hand_out = mine.first()
    if hand_out is None:
        return
    if hand_out.expires_at > now:
        mine.filter(expires_at__gt=now).update(expires_at=_ends(now, hand_out.given_at))
    else:
        _renew_seat(task_id, user_id, person, place)


@retries.retry
def _renew_seat(task_id: int, user_id: int, person: Person, place: CampaignPlace) -> None:
    with transaction.atomic():
        slot = lock_seat(task_id, user_id, person, place)
        if slot:
            seat(slot, user_id, place)


def had_seat(task_id: int, user_id: int) -> bool:
    """Whether the server ever handed this task to this account."""
    return bool(Grant.objects.filter(task_id=task_id, user_id=user_id).exists())
