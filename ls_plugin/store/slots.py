"""Which slots belong to a campaign or a row, and the one order in which everybody locks them."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connection
from django.db.models import QuerySet

from ls_plugin.models import CampaignProject, Slot


def project_ids(campaign_id: int) -> list[int]:
    """The projects of a campaign."""
    return list(CampaignProject.objects.filter(campaign_id=campaign_id).values_list("project_id", flat=True))


def slots_of(campaign_id: int, row_ids: Iterable[str]) -> QuerySet[Slot]:
    """All slots of these rows by task id: the order in which everybody locks them."""
    projects = CampaignProject.objects.filter(campaign_id=campaign_id).values("project_id")
    return Slot.objects.filter(project_id__in=projects, row_id__in=list(row_ids)).order_by("task_id")


def locks_rows() -> bool:
    """Whether the database can lock a row (SQLite locks all of it instead)."""
    return bool(connection.features.has_select_for_update)


def lock_in_order(slots: QuerySet[Slot]) -> None:
    """Lock these slots in the order in which hand-out and reconcile lock theirs."""
    if locks_rows():
        list(slots.order_by("task_id").select_for_update().values_list("task_id"))


def lock_rows(campaign_id: int, row_ids: Iterable[str]) -> list[Slot]:
    """Lock all slots of these rows by task id, and read them.

    A reconcile that this one waited for may have made tasks, whose slots are not locked yet: the rows are read until
    nothing is new. Nobody adds a task to a row whose slots somebody else has locked, so this ends.
    """
    slots = slots_of(campaign_id, row_ids)
    if not locks_rows():
        return list(slots)
    locked, before = list(slots.select_for_update()), list[Slot]()
    while {slot.pk for slot in locked} != {slot.pk for slot in before}:
        locked, before = list(slots.select_for_update()), locked
    return locked
