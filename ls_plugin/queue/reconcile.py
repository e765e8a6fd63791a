"""Reconcile inside the server: after each submission the rules decide the row, and the server follows.

The database itself marks the row, in the transaction of the submission; the reconcile takes the mark off. So a process
that dies in between loses nothing: the next start finds the mark, and so does the next hand-out of a review.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from core.redis import start_job_async_or_sync
from django.db import connection, transaction

from label_studio_quorum.campaign import reconcile as rules
from label_studio_quorum.campaign.projects import Campaign as RuleCampaign
from label_studio_quorum.campaign.snapshot import Snapshot
from ls_plugin.models import Campaign, CampaignProject, Slot, Stage
from ls_plugin.people.standings import RULE_STAGE
from ls_plugin.queue import embedding, qualification, returns
from ls_plugin.queue.campaigns import stored_campaign, to_rules
from ls_plugin.queue.overturns import note_overturns
from ls_plugin.queue.row_flags import RowFlags
from ls_plugin.queue.server_port import NOTHING_ASKED, ServerPort, TaskQueue
from ls_plugin.store import exposures, retries
from ls_plugin.store.exclusions import exclude
from ls_plugin.store.retries import when_committed
from ls_plugin.store.slots import lock_rows, project_ids, slots_of
from review_rules import Decision, State, Team

_ROWS_AT_ONCE = 50
# So many rows are written one by one quicker than by one statement that names all of them.
_FEW = 3
_started = threading.Lock()
_repaired = False


def after_commit(campaign_id: int, row_id: str) -> None:
    """Reconcile a row when the open transaction is through, by Label Studio's job queue, inline without Redis.

    A job that fails is logged and never undoes what was said: the row keeps its mark.
    """
    # Ahead of Label Studio's own jobs: somebody may be waiting for the row's next task.
    when_committed(start_job_async_or_sync, reconcile_row, campaign_id, row_id, queue_name="critical")


def reconcile_row(campaign_id: int, row_id: str) -> None:
    """The job: one row."""
    reconcile_rows(campaign_id, [row_id])


@retries.retry
def reconcile_rows(campaign_id: int, row_ids: Sequence[str], *, only_marked: bool = False) -> int:
    """Reconcile these rows in one transaction.

    A submission that arrives while its row is locked waits for the lock, and marks the row again.

    Args:
        campaign_id: the campaign.
        row_ids: its rows.
        only_marked: whether to leave out rows that have lost their mark meanwhile.

    Returns:
        How many rows were done.
    """
    wanted = sorted(set(row_ids))
    if not wanted:
        return 0
    with transaction.atomic():
        slots = lock_rows(campaign_id, wanted)
        if only_marked:
            wanted = sorted({slot.row_id for slot in slots if slot.dirty})
            slots = [slot for slot in slots if slot.row_id in wanted]
        campaign, stages = stored_campaign(campaign_id)
        port = ServerPort(slots)
        rule_campaign = to_rules(campaign, stages, port)
        snapshot = Snapshot.read(port, rule_campaign, wanted)
        plan = rules.ChangePlan()
        decided = list(rules.decide_rows(rule_campaign, snapshot, wanted, plan))
        for row in decided:
            rules.plan_row(rule_campaign, row, plan)
        rules.carry_out(port, rule_campaign, plan)
        if plan.withdraw or plan.create or plan.queue:
            slots = list(slots_of(campaign_id, wanted))
            queue = port.queue(slot.task_id for slot in slots)
        else:  # the plan has changed no task since they were read
            tasks = (task for row in decided for some in row.tasks.values() for task in some)
            queue = {task.id: TaskQueue.of(task) for task in tasks}
        # Before the slots say otherwise: a row that is open again loses what was noted as it was decided.
        noted = {slot.row_id for slot in slots if slot.state and State(slot.state).is_decided}
        note_overturns(rule_campaign, [row for row in decided if row.decision.state.is_decided or row.row_id in noted])
        flags = {row.row_id: RowFlags.of(row, rule_campaign.interface.all_controls) for row in decided}
        update_slots(slots, queue, {row.row_id: row.decision for row in decided}, rule_campaign, flags)
        if any(row.decision.state is not State.AWAITING_PASSES for row in decided):
            # Rows of the reviews are compared with decided ones; what makes that possible waits for no reviewer.
            when_committed(embedding.catch_up_soon, campaign_id)
        qualification.seat_everybody(campaign_id, qualification.stored_qualification(campaign), only=wanted)
        # Last, since what is given is written into the audit log, whose head is the one for which everybody waits.
        returns.hand_back(campaign_id, slots, decided, rule_campaign)
    return len(wanted)


def update_slots(
    slots: Sequence[Slot],
    queue: Mapping[int, TaskQueue],
    decisions: Mapping[str, Decision],
    campaign: RuleCampaign,
    flags: Mapping[str, RowFlags],
) -> None:
    """Bring the slots of decided rows in line with what the server now asks for, and take their marks off.

    Args:
        slots: All slots of these rows.
        queue: Task id → what it asks for and what it has.
        decisions: What the rules say of each row.
        campaign: The campaign.
        flags: Row id → what people flagged about it.
    """
    accounts = {person: user for user, person in campaign.people.items()}
    decided = [slot for slot in slots if slot.row_id in decisions]
    for slot in decided:
        decision = decisions[slot.row_id]
        asks = queue.get(slot.task_id, NOTHING_ASKED)
        step = decision.next
        slot.open = asks.lacking > 0 and step is not None and step.stage is RULE_STAGE[Stage(slot.stage)]
        # Gold is frozen at every stage. What is asked for again is open again: a seal would refuse the answers that the
        # row waits for.
        slot.sealed = decision.state.is_decided or (slot.sealed and not slot.open)
        slot.taken, slot.capacity = asks.submissions, asks.submissions + asks.lacking
        if step is not None and step.stage is RULE_STAGE[Stage(slot.stage)]:
            slot.capacity += len(step.returned)
        slot.dirty = False
        if slot.stage == Stage.PASS:
            slot.state = decision.state.value
            slot.agreed = _agreed(decision)
            slot.flags, slot.flagged_at = flags[slot.row_id].text, flags[slot.row_id].at
        slot.has_expert = _has_expert(decision, slot, campaign.team)
    reviews = [slot for slot in decided if slot.open and slot.stage != Stage.PASS]
    asked = {slot.row_id for slot in reviews}
    exposed = exposures.exposed_accounts({slot.task_id: slot.row_id for slot in decided if slot.row_id in asked})
    for slot in reviews:
        if (step := decisions[slot.row_id].next) is not None:
            slot.requires = ",".join(step.requires)
            excluded = {accounts[person] for person in step.excluded if person in accounts} | exposed[slot.row_id]
            exclude((slot.task_id, user) for user in excluded)
    _write(decided)


def _write(slots: Sequence[Slot]) -> None:
    """Store what a decision changes; one statement for many is worth building from a few on."""
    columns = ["open", "sealed", "taken", "capacity", "dirty", "has_expert", "requires", "state", "agreed"]
    columns += ["flags", "flagged_at"]
    if len(slots) > _FEW:
        Slot.objects.bulk_update(slots, columns)
        return
    for slot in slots:
        slot.save(update_fields=columns)


def _agreed(decision: Decision) -> float | None:
    """The share of fields on which the passes agree; None before they are complete."""
    compared = decision.comparison.values()
    return sum(field.agreed for field in compared) / len(compared) if compared else None


def _has_expert(decision: Decision, slot: Slot, team: Team) -> bool:
    """Whether somebody who holds the row's domain has a counted part in it."""
    if not slot.wants_expert or not decision.next:
        return False
    seen = [team.people[person] for person in decision.next.excluded if person in team.people]
    return any(slot.domain in person.expertise for person in seen)


def drain(campaign_id: int, limit: int = 0) -> int:
    """Reconcile rows that bear the mark, all or at most `limit`, and say how many were done."""
    marked = (
        Slot.objects.filter(project_id__in=project_ids(campaign_id), dirty=True)
        .exclude(row_id="")
        .values_list("row_id", flat=True)
    )
    rows = list(dict.fromkeys(marked[:limit] if limit else marked))
    done = 0
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        done += reconcile_rows(campaign_id, rows[start : start + _ROWS_AT_ONCE], only_marked=True)
    return done


def repair_once() -> None:
    """Finish what a process that died has left unfinished, once a process, beside its first requests."""
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
    first = CampaignProject.objects.get(campaign_id=campaign_id, stage=Stage.PASS).project_id
    rows = list(Slot.objects.filter(project_id=first).order_by("task_id").values_list("row_id", flat=True))
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        reconcile_rows(campaign_id, rows[start : start + _ROWS_AT_ONCE])
    return len(rows)
