"""Rows that QA gave back: into the hand of the people whose answers it named, and of nobody else.

A row that came back is a hand-out of theirs once more, before every other. They answer it anew: the answer of before
stays as it was said, and their form opens with a copy of it. What QA said is read from QA's answer and stands nowhere
else; who was told it is in the audit log.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from django.utils import timezone
from tasks.models import Annotation, AnnotationDraft

from label_studio_quorum.campaign.history import stamp
from label_studio_quorum.campaign.projects import Campaign as RuleCampaign
from label_studio_quorum.campaign.reconcile import DecidedRow
from ls_config.interface import RETURN
from ls_config.results import from_result
from ls_config.review_screen import decision_controls
from ls_plugin.models import Grant, Record, Slot, Stage
from ls_plugin.queue.seats import reserve_for
from ls_plugin.store import audit_log
from ls_plugin.store.slots import project_ids
from review_rules import Stage as RuleStage


@dataclass(frozen=True, kw_only=True, slots=True)
class RowInHandAgain:
    """A row that came back to somebody who has not answered it again.

    Attributes:
        row_id: the row.
        task_id: its Pass task.
        review: QA's answer that gave it back.
        at: when.
        reason: what QA wrote.
    """

    row_id: str
    task_id: int
    review: int
    at: str
    reason: str

    @property
    def when(self) -> str:
        """The time as a page has it: UTC, to the minute."""
        return self.at[: len("2026-01-05T10:00")].replace("T", " ")


def hand_back(campaign_id: int, slots: Iterable[Slot], rows: Sequence[DecidedRow], campaign: RuleCampaign) -> None:
    """Bring hand-outs in line with whom the rules ask for these rows again.

    Args:
        campaign_id: the campaign.
        slots: all slots of the rows, which are locked.
        rows: what the rules say of them.
        campaign: the campaign.
    """
    accounts = {person: user for user, person in campaign.people.items()}
    first = {slot.row_id: slot for slot in slots if slot.stage == Stage.PASS and slot.taken}
    asked: dict[tuple[int, int], int] = {}
    for row in rows:
        slot, step = first.get(row.row_id), row.decision.next
        if slot is None or step is None:
            continue
        for person in step.returned:
            if person in accounts:
                asked[slot.task_id, accounts[person]] = _review_of(row, person)
    live = Grant.objects.filter(task_id__in=[slot.task_id for slot in first.values()], returned__isnull=False)
    for hand_out in live:
        if asked.get((hand_out.task_id, hand_out.user_id)) != hand_out.returned:
            # A manager opened the row again, or QA's answer changed: what was asked is asked no more.
            hand_out.live, hand_out.returned = False, None
            hand_out.save(update_fields=["live", "returned"])
        else:
            del asked[hand_out.task_id, hand_out.user_id]
    rows_of = {slot.task_id: slot.row_id for slot in first.values()}
    for (task_id, user_id), review in asked.items():
        _hand_back(task_id, user_id, review)
        body = {"stage": Stage.PASS.label, RETURN: review}
        audit_log.write(audit_log.Entry("given", user_id, campaign_id, task_id, rows_of[task_id], body))


def _review_of(row: DecidedRow, person: str) -> int:
    """The newest QA answer that gave a person's pass back."""
    named = [place for place in row.decision.returns if person in row.record.history.qa[place].to]
    return row.record.sources[RuleStage.QA][named[-1]].annotation


def _hand_back(task_id: int, user_id: int, review: int) -> None:
    """Give a person the task once more, with a copy of what they said."""
    now = timezone.now()
    earlier = Annotation.objects.filter(task_id=task_id, completed_by_id=user_id, was_cancelled=False)
    newest = earlier.order_by("-pk").first()
    Grant.objects.filter(task_id=task_id, user_id=user_id).update(
        live=True, skipped=False, returned=review, given_at=now, expires_at=now + reserve_for()
    )
    drafts = AnnotationDraft.objects.filter(task_id=task_id, user_id=user_id, annotation__isnull=True)
    if newest is not None and not drafts.exists():
        AnnotationDraft.objects.create(task_id=task_id, user_id=user_id, result=newest.result, lead_time=0)


def tell(campaign_id: int, user_id: int, *, only: int | None = None) -> list[RowInHandAgain]:
    """The rows that came back to a person and that they have not answered again, the longest ago first.

    What QA wrote of them is QA's view of the row, so that they were told it is written down, once.

    Args:
        campaign_id: the campaign.
        user_id: the person's account.
        only: the task alone of which they are told.
    """
    hand_outs = Grant.objects.filter(user_id=user_id, project_id__in=project_ids(campaign_id))
    listed = list(_returned(hand_outs if only is None else hand_outs.filter(task_id=only)))
    lines = Record.objects.filter(user_id=user_id, task_id__in=[row.task_id for row in listed], kind="shown")
    known = {json.loads(body).get(RETURN) for body in lines.values_list("body", flat=True)} if listed else set()
    audit_log.write(
        *(
            audit_log.Entry(
                "shown", user_id, campaign_id, row.task_id, row.row_id, {"stage": Stage.PASS.label, RETURN: row.review}
            )
            for row in listed
            if row.review not in known
        )
    )
    return listed


def returned_task(task_id: int, user_id: int) -> RowInHandAgain | None:
    """What QA wrote to a person about a task that came back to them; None if it did not."""
    return next(_returned(Grant.objects.filter(user_id=user_id, task_id=task_id)), None)


def _returned(hand_outs: Iterable[Grant]) -> Iterator[RowInHandAgain]:
    asked = {grant.task_id: grant.returned for grant in hand_outs if grant.live and grant.returned is not None}
    rows = dict(Slot.objects.filter(task_id__in=list(asked)).values_list("task_id", "row_id"))
    reviews = Annotation.objects.in_bulk(list(asked.values()))
    for task_id, review in sorted(asked.items(), key=lambda each: each[1]):
        if task_id in rows and review in reviews:
            answer = reviews[review]
            parsed = from_result(answer.result or [], decision_controls(), {}, known_only=True)
            yield RowInHandAgain(
                row_id=rows[task_id],
                task_id=task_id,
                review=review,
                at=stamp(answer.updated_at),
                reason=parsed.reason or "",
            )
