"""Reopening a row: its people may change their answers although the next stage has begun."""

from __future__ import annotations

from django.db import transaction

from ls_plugin.models import Campaign, Slot
from ls_plugin.store import audit_log
from ls_plugin.store.refusals import Refused
from ls_plugin.store.slots import lock_rows


def reopen(campaign: Campaign, row_id: str, reason: str, user_id: int) -> None:
    """Take the seal off a row's answers, and write down who did and why.

    Raises:
        Refused: ``not_yours`` if the campaign has no such row.
    """
    with transaction.atomic():
        slots = [slot.task_id for slot in lock_rows(campaign.pk, [row_id])]
        if not Slot.objects.filter(task_id__in=slots).update(sealed=False):
            raise Refused("not_yours", f"This campaign has no row {row_id!r}.")
        audit_log.write(audit_log.Entry("reopened", user_id, campaign.pk, None, row_id, {"reason": reason[:500]}))
