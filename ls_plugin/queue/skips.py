"""Skips: how many a person has, when one is refused, and how a manager gives them back.

A skip is final. Whoever could take one back could look at row after row and answer those that are easy. It is counted
by the audit log, which forgets none: also one that a manager gave back stays in its person's figure.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count
from django.utils import timezone
from projects.models import Project
from tasks.models import Annotation

from ls_plugin.models import Campaign, Excluded, Grant, Member, Record, Slot, Stage
from ls_plugin.people import rulebook
from ls_plugin.people.standings import CampaignPlace, has_left, to_person
from ls_plugin.queue.reconcile import drain
from ls_plugin.queue.seats import next_step
from ls_plugin.store import audit_log
from ls_plugin.store.refusals import Refused
from ls_plugin.store.slots import lock_rows, project_ids
from review_rules import may_take
from review_rules.files.policy import Skips

DAY = timedelta(hours=24)


def allowed(campaign_id: int) -> Skips:
    """What the campaign's policy says of skips."""
    text = Campaign.objects.values_list("policy_text", flat=True).get(pk=campaign_id)
    return rulebook.read_policy(text).skips


def require_skip(user_id: int, place: CampaignPlace) -> None:
    """Refuse a skip where the project has none, or by somebody who has as many as the policy allows.

    Raises:
        Refused: ``no_skips`` or ``skip_limit``.
    """
    if not Project.objects.values_list("show_skip_button", flat=True).get(pk=place.project_id):
        raise Refused("no_skips")
    per_day = allowed(place.campaign_id).per_day
    if per_day is not None and skipped_since(user_id, place.campaign_id, timezone.now() - DAY) >= per_day:
        raise Refused("skip_limit") if per_day else Refused("no_skips")


def skipped_since(user_id: int, campaign_id: int, since: datetime) -> int:
    """How many rows of a campaign a person has skipped since a time."""
    mine = Record.objects.filter(kind="skipped", campaign_id=campaign_id, user_id=user_id, at__gt=since)
    return int(mine.count())


def count_by_person(campaign_id: int) -> dict[int | None, int]:
    """Account → how often it has skipped a row of a campaign."""
    lines = Record.objects.filter(kind="skipped", campaign_id=campaign_id).values_list("user_id")
    return dict(lines.annotate(count=Count("seq")).order_by())


def count_by_project(campaign_id: int, user_id: int) -> Counter[int]:
    """Project → how often a person has skipped a row there."""
    lines = Record.objects.filter(kind="skipped", campaign_id=campaign_id, user_id=user_id)
    tasks = Counter[int](task for task in lines.values_list("task_id", flat=True) if task is not None)
    counts = Counter[int]()
    for task_id, project_id in Slot.objects.filter(task_id__in=list(tasks)).values_list("task_id", "project_id"):
        counts[project_id] += tasks[task_id]
    return counts


def give_back(campaign: Campaign, person: str, row_id: str, manager: int) -> list[str]:
    """Give rows that a person has skipped back to the queue for them; the skips stay counted.

    Args:
        campaign: the campaign.
        person: whose skips, by the id of the team file.
        row_id: only this row; every row that the person has skipped if it is empty.
        manager: the account that gives them back.

    Returns:
        The rows.

    Raises:
        Refused: ``not_yours`` if the person is not in the team or has skipped no such row.
    """
    member = Member.objects.filter(campaign=campaign, person_id=person).first()
    if member is None or member.user_id is None:
        raise Refused("not_yours", f"This campaign has no account of a person {person!r}.")
    grants = Grant.objects.filter(user_id=member.user_id, skipped=True, project_id__in=project_ids(campaign.pk))
    grants = grants.exclude(task_id__in=Excluded.objects.filter(user_id=member.user_id).values("task_id"))
    with transaction.atomic():
        rows = Slot.objects.filter(task_id__in=grants.values("task_id"), **({"row_id": row_id} if row_id else {}))
        slots = {slot.task_id: slot for slot in lock_rows(campaign.pk, rows.values_list("row_id", flat=True))}
        given_back = list(grants.filter(task_id__in=list(slots)).order_by("task_id"))
        if not given_back:
            raise Refused("not_yours", f"{person} has skipped no such row: there is nothing to give back.")
        lines = [_return(grant, slots[grant.task_id], campaign, manager) for grant in given_back]
        audit_log.write(*lines)
    drain(campaign.pk)
    return sorted({slots[grant.task_id].row_id for grant in given_back})


def _return(grant: Grant, slot: Slot, campaign: Campaign, manager: int) -> audit_log.Entry:
    """Take one skip off its task, so that the task can be handed out to the same person again."""
    skips = list(Annotation.objects.filter(task_id=grant.task_id, completed_by_id=grant.user_id, was_cancelled=True))
    body = {"person": grant.user_id, "annotations": [skip.pk for skip in skips], "stage": Stage(slot.stage).label}
    # One by one, not as a query: Label Studio counts the project's labels as each of them goes.
    for skip in skips:
        skip.delete()
    grant.delete()
    return audit_log.Entry("skip_returned", manager, campaign.pk, slot.task_id, slot.row_id, body)


def stuck_rows(campaign: Campaign) -> list[str]:
    """Open rows that nobody is left for, since somebody has skipped them: a manager has to give a skip back."""
    now = timezone.now()
    members = [m for m in Member.objects.filter(campaign=campaign, user_id__isnull=False) if not has_left(m, now)]
    skipped = Grant.objects.filter(skipped=True, project_id__in=project_ids(campaign.pk)).values("task_id")
    slots = list(Slot.objects.filter(task_id__in=skipped, open=True))
    out_of_it = defaultdict[int, set[int]](set)
    tasks = [slot.task_id for slot in slots]
    for pairs in (Grant.objects.filter(live=False), Excluded.objects.all()):
        for task_id, user_id in pairs.filter(task_id__in=tasks).values_list("task_id", "user_id"):
            out_of_it[task_id].add(user_id)

    # A thousand rows ask for a handful of different things.
    able = {asked: _able(members, *asked) for asked in {(slot.stage, slot.requires) for slot in slots}}
    return sorted({slot.row_id for slot in slots if not able[slot.stage, slot.requires] - out_of_it[slot.task_id]})


def _able(members: Iterable[Member], stage: int, requires: str) -> set[int | None]:
    """The accounts that may take a step of this stage."""
    step = next_step(Stage(stage), requires)
    return {member.user_id for member in members if may_take(to_person(member), step)}
