"""Whether a decision overturned what somebody said of a row: kept beside the hand-out, to be counted fast."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from label_studio_quorum.campaign.projects import Campaign
from label_studio_quorum.campaign.reconcile import DecidedRow
from ls_config.interface import Control, Interface
from ls_plugin.models import Grant
from review_rules import FinalValue, Origin, Stage, State, Submission
from review_rules import Kind as FieldKind
from review_rules.canonical import same

_REVIEWERS: Final = (Origin.QA, Origin.EXPERT)


def own_submission(row: DecidedRow, person: str | None) -> Submission | None:
    """The newest version of what a person said of a row, at the last stage at which they said something."""
    own = None
    for stage in Stage:
        for place, source in enumerate(row.record.sources[stage]):
            if source.by == person and not source.is_superseded:
                own = row.record.history.submissions(stage)[place]
    return own


def changes(
    row: DecidedRow, own: Submission, interface: Interface
) -> Iterator[tuple[Control, FinalValue | None, bool]]:
    """Each field of which somebody said something, its final value, and whether that is another than theirs."""
    final: Mapping[str, FinalValue] = row.decision.final or {}
    for control in interface.controls:
        value = final.get(control.name)
        # What a review says nothing of stays as it was proposed.
        if own.stage is not Stage.PASS and control.name not in own.values:
            continue
        stands = value is None or same(FieldKind.of(control.kind), own.values.get(control.name), value.value)
        yield control, value, not stands


def is_overturned(row: DecidedRow, own: Submission, interface: Interface) -> bool:
    """Whether QA or an expert changed a value of it, or discarded the row."""
    if row.decision.state is State.DISCARDED:
        return True
    return any(
        differs and value is not None and value.origin in _REVIEWERS
        for _, value, differs in changes(row, own, interface)
    )


def note_overturns(campaign: Campaign, rows: Iterable[DecidedRow]) -> None:
    """Note beside each person's hand-out whether the decision overturned them; nothing of rows that are not decided."""
    outcomes = dict[tuple[int, int], bool | None]()
    accounts = {person: user for user, person in campaign.people.items()}
    for row in rows:
        decided = row.decision.state.is_decided
        for stage in Stage:
            for source in row.record.sources[stage]:
                if source.by not in accounts:
                    continue
                own = own_submission(row, source.by) if decided else None
                is_last = own is not None and own.stage is stage
                outcomes[source.task, accounts[source.by]] = (
                    is_overturned(row, own, campaign.interface) if own is not None and is_last else None
                )
    if not outcomes:
        return
    hand_outs = Grant.objects.filter(task_id__in={task for task, _ in outcomes})
    changed = defaultdict[bool | None, list[int]](list)
    for pk, task, user, before in hand_outs.values_list("pk", "task_id", "user_id", "overturned"):
        outcome = outcomes.get((task, user))
        if outcome is not before:
            changed[outcome].append(pk)
    for outcome, hand_out_ids in changed.items():
        Grant.objects.filter(pk__in=hand_out_ids).update(overturned=outcome)
