"""Reconcile inside the server: when something was said about a row, the rules decide it and the server follows.

The row is marked by the database itself, in the transaction of what was said; the mark goes when the row was
reconciled. So a process that dies in between loses nothing: the mark is found at the next start, and by whoever asks
for the next review meanwhile.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

from django.db import connection, transaction

from label_studio_quorum.campaign import reconcile as rules
from label_studio_quorum.campaign.projects import Campaign as Line
from label_studio_quorum.campaign.projects import interface_of
from label_studio_quorum.campaign.snapshot import Snapshot
from ls_config.interface import Interface
from ls_plugin import qualify, races, record, rulebook, shown
from ls_plugin.models import Campaign, CampaignProject, Slot, exclude, project_ids, slots_of
from ls_plugin.models import Stage as StageNumber
from ls_plugin.orm import ServerPort
from ls_plugin.races import when_committed
from review_rules import Decision, Stage, Team

STAGES = {StageNumber.PASS: Stage.PASS, StageNumber.QA: Stage.QA, StageNumber.EXPERT: Stage.EXPERT}
_ROWS_AT_ONCE = 50
# So many rows are written one by one quicker than by one statement that names all of them.
_FEW = 3
_started = threading.Lock()
_repaired = False


def digest(result: Any) -> str:
    """What the record keeps of an answer: its SHA-256.

    PostgreSQL stores numbers as decimals, so that one of 1e16 or more comes back without its point, and -0.0 without
    its sign: both count as what comes back.
    """
    text = json.dumps(result, sort_keys=True, ensure_ascii=True)
    if "e+" in text or "-0.0" in text:
        text = json.dumps(_as_stored(result), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _as_stored(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_stored(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_as_stored(one) for one in value]
    if isinstance(value, float):
        return int(Decimal(repr(value))) if abs(value) >= 1e16 else value + 0.0
    return value


def after_commit(campaign_id: int, row_id: str) -> None:
    """Reconcile a row when the open transaction is through, by Label Studio's job queue, inline without Redis.

    A job that fails is logged and never undoes what was said: the row keeps its mark.
    """
    from core.redis import start_job_async_or_sync

    # Ahead of Label Studio's own jobs: somebody may be waiting for the row's next task.
    when_committed(start_job_async_or_sync, reconcile_row, campaign_id, row_id, queue_name="critical")


def reconcile_row(campaign_id: int, row_id: str) -> None:
    """The job: one row."""
    reconcile_rows(campaign_id, [row_id])


def line_of(campaign_id: int) -> Line:
    """The campaign as the workflow's value, from the database."""
    return _line(*_stored(campaign_id), ServerPort())


def _stored(campaign_id: int) -> tuple[Campaign, dict[int, int]]:
    """A campaign, and the stage of each of its projects."""
    homes = list(CampaignProject.objects.filter(campaign_id=campaign_id).select_related("campaign"))
    return homes[0].campaign, {home.project_id: home.stage for home in homes}


def _line(campaign: Campaign, stages: Mapping[int, int], port: ServerPort) -> Line:
    projects = {STAGES[StageNumber(stages[pk])]: one for pk, one in port.projects(stages).items()}
    first = projects[Stage.PASS]
    return Line(
        name=campaign.name,
        interface=_interface(first.label_config, campaign.task),
        policy=rulebook.read_policy(campaign.policy_text),
        team=rulebook.read_team(campaign.team_text),
        projects=projects,
        users=tuple(port.users_of(campaign.pk)),
    )


@lru_cache(maxsize=32)
def _interface(xml: str, name: str) -> Interface:
    return interface_of(xml, name)


@races.again
def reconcile_rows(campaign_id: int, row_ids: Sequence[str], *, only_marked: bool = False) -> int:
    """Reconcile these rows in one transaction; how many were done.

    The rows are locked first. Whoever says something about one of them meanwhile waits, or is seen.
    """
    wanted = sorted(set(row_ids))
    if not wanted:
        return 0
    with transaction.atomic():
        slots = lock(campaign_id, wanted)
        if only_marked:
            wanted = sorted({slot.row_id for slot in slots if slot.dirty})
            slots = [slot for slot in slots if slot.row_id in wanted]
        campaign, stages = _stored(campaign_id)
        port = ServerPort(slots)
        line = _line(campaign, stages, port)
        held = Snapshot.read(port, line, wanted)
        plan = rules.ChangePlan()
        decided = list(rules.decide_rows(line, held, wanted, plan))
        for row in decided:
            rules.plan_row(line, row, plan)
        rules.carry_out(port, line, plan)
        if plan.withdraw or plan.create or plan.queue:
            slots = list(slots_of(campaign_id, wanted))
            queue = port.queue(slot.task_id for slot in slots)
        else:  # as it was read
            tasks = (task for row in decided for some in row.tasks.values() for task in some)
            queue = {task.id: (task.overlap, task.is_labeled) for task in tasks}
        index(slots, queue, {row.row_id: row.decision for row in decided}, line)
        qualify.open_to_all(campaign_id, qualify.of(campaign), only=wanted)
    return len(wanted)


def lock(campaign_id: int, row_ids: list[str]) -> list[Slot]:
    """All slots of these rows by task id, locked in this order: the one in which everybody locks them.

    Whoever waited here for another reconcile may find tasks that it has made meanwhile, unlocked: the rows are read
    until nothing is new. Nobody adds a task to a row whose slots somebody else has locked, so this ends.
    """
    slots = slots_of(campaign_id, row_ids)
    if not record.locks_rows():
        return list(slots)
    found, held = list(slots.select_for_update()), list[Slot]()
    while {slot.pk for slot in found} != {slot.pk for slot in held}:
        found, held = list(slots.select_for_update()), found
    return found


def index(
    slots: Sequence[Slot], queue: Mapping[int, tuple[int, bool]], decisions: Mapping[str, Decision], line: Line
) -> None:
    """Bring the slots of decided rows in line with what the server now asks for, and take their marks off.

    Args:
        slots: All slots of these rows.
        queue: Task id → how many people it asks for, and whether it has them.
        decisions: What the rules say of each row.
        line: The campaign.
    """
    accounts = {person: user for user, person in line.people.items()}
    decided = [slot for slot in slots if slot.row_id in decisions]
    for slot in decided:
        decision = decisions[slot.row_id]
        overlap, labeled = queue.get(slot.task_id, (slot.capacity, True))
        slot.open = not labeled and decision.next is not None and decision.next.stage is STAGES[StageNumber(slot.stage)]
        slot.capacity = overlap
        slot.dirty = False
        if slot.stage == StageNumber.PASS:
            slot.state = decision.state.value
            slot.agreed = _agreed(decision)
        slot.has_expert = _has_expert(decision, slot, line.team)
    reviews = [slot for slot in decided if slot.open and slot.stage != StageNumber.PASS]
    asked = {slot.row_id for slot in reviews}
    knowing = shown.whoever_knows({slot.task_id: slot.row_id for slot in decided if slot.row_id in asked})
    for slot in reviews:
        if (step := decisions[slot.row_id].next) is not None:
            slot.requires = ",".join(step.requires)
            out = {accounts[person] for person in step.excluded if person in accounts} | knowing[slot.row_id]
            exclude((slot.task_id, user) for user in out)
    _write(decided)


def _write(slots: Sequence[Slot]) -> None:
    """Store what a decision changes; one statement for many is worth building from a few on."""
    columns = ["open", "capacity", "dirty", "has_expert", "requires", "state", "agreed"]
    if len(slots) > _FEW:
        Slot.objects.bulk_update(slots, columns)
        return
    for slot in slots:
        slot.save(update_fields=columns)


def _agreed(decision: Decision) -> float | None:
    """The share of fields on which the passes agree; None before they are complete."""
    compared = decision.comparison.values()
    return sum(one.agreed for one in compared) / len(compared) if compared else None


def _has_expert(decision: Decision, slot: Slot, team: Team) -> bool:
    """Whether somebody who holds the row's domain has a counted part in it."""
    if not slot.wants_expert or not decision.next:
        return False
    seen = [team.people[person] for person in decision.next.excluded if person in team.people]
    return any(slot.domain in person.expertise for person in seen)


def drain(campaign_id: int, limit: int = 0) -> int:
    """Reconcile rows that bear the mark, all or at most so many; how many were done."""
    marked = Slot.objects.filter(project_id__in=project_ids(campaign_id), dirty=True).values_list("row_id", flat=True)
    rows = list(dict.fromkeys(marked[:limit] if limit else marked))
    done = 0
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        done += reconcile_rows(campaign_id, rows[start : start + _ROWS_AT_ONCE], only_marked=True)
    return done


def repair_once() -> None:
    """What a process that died left unfinished is finished by the next one, beside its first requests."""
    global _repaired
    with _started:
        if not _repaired:
            _repaired = True
            threading.Thread(target=_repair, name="quorum-repair", daemon=True).start()


def _repair() -> None:
    try:
        drain_all()
    finally:
        connection.close()


def drain_all() -> None:
    """Reconcile every row of every campaign that bears the mark."""
    for campaign_id in list(Campaign.objects.values_list("id", flat=True)):
        drain(campaign_id)


def reconcile_all(campaign_id: int) -> int:
    """Reconcile every row of a campaign: after a new policy, a new team, or when in doubt."""
    first = CampaignProject.objects.get(campaign_id=campaign_id, stage=StageNumber.PASS).project_id
    rows = list(Slot.objects.filter(project_id=first).order_by("task_id").values_list("row_id", flat=True))
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        reconcile_rows(campaign_id, rows[start : start + _ROWS_AT_ONCE])
    return len(rows)
