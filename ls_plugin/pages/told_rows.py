"""Rows as the rules decide them now, and whom a page tells of them.

What became of a row tells whoever had a part in it what others said. So telling it is an exposure: it is written down,
and should the row be opened again, others answer it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from tasks.models import Annotation

from label_studio_quorum.campaign import reconcile
from label_studio_quorum.campaign.reconcile import DecidedRow
from label_studio_quorum.campaign.snapshot import Snapshot
from ls_plugin.models import Campaign, Member
from ls_plugin.queue import qualification
from ls_plugin.queue.campaigns import read_campaign
from ls_plugin.queue.server_port import ServerPort
from ls_plugin.store.exposures import expose
from ls_plugin.store.slots import slots_of
from review_rules import Stage, State

STATE_WORDS: Final[Mapping[str, str]] = {
    State.AWAITING_PASSES.value: "waits for passes",
    State.AWAITING_QA.value: "waits for QA",
    State.AWAITING_EXPERT.value: "waits for an expert",
    State.FINAL.value: "final",
    State.DISCARDED.value: "discarded",
    State.BLOCKED.value: "blocked",
}
"""What a page says of a row's state."""


def decide_rows(campaign: Campaign, row_ids: Sequence[str]) -> dict[str, DecidedRow]:
    """What the rules say of these rows now; rows that are not there are left out."""
    if not row_ids:
        return {}
    rules = read_campaign(campaign.pk)
    snapshot = Snapshot.read(ServerPort(slots_of(campaign.pk, row_ids)), rules, list(row_ids))
    return {row.row_id: row for row in reconcile.decide_rows(rules, snapshot, row_ids)}


def tell(campaign: Campaign, user_id: int, row_ids: Sequence[str]) -> dict[str, DecidedRow]:
    """Those of the rows that are decided and that the person has answered: they are told of them from now on."""
    own = answered_rows(user_id, dict(slots_of(campaign.pk, row_ids).values_list("task_id", "row_id")))
    wanted = sorted(own - kept_back(campaign))
    rows = {row.row_id: row for row in decide_rows(campaign, wanted).values() if row.decision.state.is_decided}
    me = person_of(campaign, user_id)
    expose_rows(campaign, user_id, [row.row_id for row in rows.values() if tells_of_others(row, me)])
    return rows


def kept_back(campaign: Campaign) -> frozenset[str]:
    """Rows with known answers: what became of one would tell those who are still to be asked it."""
    asked = qualification.qualification_of(campaign.pk)
    return frozenset(asked.rows if asked is not None else ())


def decided_at(row: DecidedRow) -> datetime:
    """When the last answer that counts was given."""
    counted = [
        row.record.history.submissions(stage)[place].at for stage in Stage for place in row.decision.counted[stage]
    ]
    return datetime.fromtimestamp(max(counted) / 1e9, UTC)


def answered_rows(user_id: int, rows_of_tasks: Mapping[int, str]) -> set[str]:
    """Those of the rows of which somebody has answered a task; a skip is no answer."""
    own = Annotation.objects.filter(task_id__in=list(rows_of_tasks), completed_by_id=user_id, was_cancelled=False)
    return {rows_of_tasks[task] for task in own.values_list("task_id", flat=True)}


def tells_of_others(row: DecidedRow, me: str | None) -> bool:
    """Whether what was decided tells somebody more of others than their own part in the row has shown them.

    Whoever passed learns what the others said; QA learns what came after it.
    """
    counted = [
        (stage.number, row.record.history.submissions(stage)[place].by == me)
        for stage in Stage
        for place in row.decision.counted[stage]
    ]
    # Somebody whose own answer does not count is told of all that do.
    last = max((number for number, is_mine in counted if is_mine), default=0)
    return any(number >= last for number, is_mine in counted if not is_mine)


def person_of(campaign: Campaign, user_id: int) -> str | None:
    """The person of the campaign's team who has this account."""
    person: str | None = (
        Member.objects.filter(campaign=campaign, user_id=user_id).values_list("person_id", flat=True).first()
    )
    return person


def expose_rows(campaign: Campaign, user_id: int, row_ids: Sequence[str], *, threads: bool = False) -> None:
    """Write down that somebody was shown what others said of these rows, and exclude them from the rows."""
    if row_ids:
        tasks = slots_of(campaign.pk, row_ids).values_list("task_id", flat=True)
        expose(user_id, campaign.pk, only=list(tasks), threads=threads)
