"""Reopening a row: what was decided stands no more, and its people may change their answers.

A row that is final or discarded keeps every answer behind it as it is. Somebody who manages the campaign may open it
again, with a reason. The reopening is written beside the row, where the rules, exports and `quorum verify` read it: no
review from before it counts, so the row goes to QA once more.

Whoever has an answer in a row could reopen it for an outcome that they like better, so they don't: another manager or
the owner does. Above the owner there is nobody; that their own answer is in the row is written down.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone
from organizations.models import Organization
from tasks.models import Annotation, Task

from label_studio_quorum.campaign.history import stamp
from label_studio_quorum.campaign.reconcile import DecidedRow
from label_studio_quorum.campaign.row_task import with_reopening
from ls_plugin.models import Campaign, Excluded, Member, Slot
from ls_plugin.people.standings import words
from ls_plugin.queue.admission import RowAtHand
from ls_plugin.queue.reconcile import reconcile_rows
from ls_plugin.store import audit_log, clock
from ls_plugin.store.refusals import Refused
from ls_plugin.store.slots import lock_rows
from review_rules import Role, Stage

LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class Reopened:
    """What a reopening has changed.

    Attributes:
        row_id: the row.
        was: its state before.
        state: its state now.
        reviews: how many reviews counted before and count no more.
        changeable: how many answers were closed and may be changed again: not those of people who have been told what
            became of the row.
    """

    row_id: str
    was: str
    state: str
    reviews: int
    changeable: int

    def to_json(self) -> dict[str, Any]:
        """The answer of ``POST /quorum/api/reopen``."""
        return {**asdict(self), "reopened": True}

    def sentence(self) -> str:
        """The same for people."""
        moved = f"was {self.was} and is {self.state} now" if self.was != self.state else f"stays {self.state}"
        reviews = {0: "", 1: "; 1 review counts no more"}.get(self.reviews, f"; {self.reviews} reviews count no more")
        answers = {0: "", 1: "; 1 answer may be changed again"}
        more = answers.get(self.changeable, f"; {self.changeable} answers may be changed again")
        return f"Row {self.row_id} {moved}{reviews}{more}."


def reopen(campaign: Campaign, row_id: str, reason: str, user_id: int) -> Reopened:
    """Open a row again, and write down who did and why.

    Raises:
        Refused: ``not_yours`` if the campaign has no such row, ``not_reopened`` if nothing would change, ``excluded``
            for a manager with an answer in the row, ``bad_request`` for a reason that is too long to be kept whole.
    """
    if len(reason) > LONGEST_REASON:
        raise Refused("bad_request", f"The reason is kept with the row: say it in {LONGEST_REASON} characters.")
    with transaction.atomic():
        slots = lock_rows(campaign.pk, [row_id])
        clock.require_forward()
        if not slots:
            raise Refused("not_yours", f"This campaign has no row {row_id!r}.")
        before = RowAtHand.read(campaign.pk, row_id, slots).decide()
        own_part = _own_part(before, user_id)
        closed = [slot for slot in slots if slot.sealed]
        reviews = _reviews(before)
        role = _role(campaign, user_id)
        if reviews or before.decision.state.is_decided:
            entry = {"at": stamp(clock.moment()), "was": before.decision.state.value, "reason": reason}
            _write(before, entry | role | own_part)
        elif not closed:
            raise Refused("not_reopened", _nothing(before))
        Slot.objects.filter(task_id__in=[slot.task_id for slot in closed]).update(sealed=False)
        reconcile_rows(campaign.pk, [row_id])
        after = RowAtHand.read(campaign.pk, row_id, lock_rows(campaign.pk, [row_id])).decide()
        reopened = Reopened(
            row_id=row_id,
            was=before.decision.state.value,
            state=after.decision.state.value,
            reviews=reviews - _reviews(after),
            changeable=_changeable([slot.task_id for slot in closed]),
        )
        body = {"reason": reason, "role": role["role"], "was": reopened.was, "state": reopened.state} | own_part
        audit_log.write(audit_log.Entry("reopened", user_id, campaign.pk, None, row_id, body))
    return reopened


def _reviews(row: DecidedRow) -> int:
    """How many reviews of a row count, also those that gave it back to its people."""
    return len(row.decision.returns) + sum(len(row.decision.counted[stage]) for stage in (Stage.QA, Stage.EXPERT))


def _own_part(row: DecidedRow, user_id: int) -> dict[str, bool]:
    """What is written down of an owner with an answer in the row.

    Raises:
        Refused: ``excluded`` for anybody else who has one.
    """
    answers = (answer for tasks in row.tasks.values() for task in tasks for answer in task.submitted)
    if user_id not in {answer.by for answer in answers}:
        return {}
    if not Organization.objects.filter(created_by_id=user_id).exists():
        raise Refused("excluded", f"You have an answer in row {row.row_id}: another manager or the owner reopens it.")
    return {"own_part": True}


def _changeable(tasks: list[int]) -> int:
    """How many answers to these tasks are of somebody who may still change them."""
    answers = Annotation.objects.filter(task_id__in=tasks, was_cancelled=False)
    excluded = Excluded.objects.filter(task_id=OuterRef("task_id"), user_id=OuterRef("completed_by_id"))
    count: int = answers.exclude(Exists(excluded)).count()
    return count


def _role(campaign: Campaign, user_id: int) -> dict[str, str]:
    """Who reopens: the person of the team, and as what they may."""
    member = Member.objects.filter(campaign=campaign, user_id=user_id).first()
    manages = member is not None and Role.MANAGER.value in words(member.roles)
    return {"by": member.person_id if member else "owner", "role": Role.MANAGER.value if manages else "owner"}


def _write(row: DecidedRow, entry: dict[str, Any]) -> None:
    """Write the reopening beside the row; the task counts as changed for whoever reads what is new."""
    first = row.tasks[Stage.PASS][0]
    Task.objects.filter(pk=first.id).update(meta=with_reopening(first.meta, entry), updated_at=timezone.now())


def _nothing(row: DecidedRow) -> str:
    return (
        f"Row {row.row_id} is {row.decision.state.value}: nothing is decided or closed, and its people can still "
        "change their answers, so there is nothing to reopen."
    )
