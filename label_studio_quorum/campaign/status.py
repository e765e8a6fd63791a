"""Where a campaign stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

from label_studio_quorum.campaign.doubtful import DoubtfulAnswer, doubtful_answers, summed_up
from label_studio_quorum.campaign.projects import AUTO_LABEL, STAGES, Campaign
from label_studio_quorum.campaign.reconcile import decide_rows, tasks_without_row
from label_studio_quorum.campaign.returned import ReturnedRow, returned_rows
from label_studio_quorum.campaign.row_task import has_prediction
from label_studio_quorum.campaign.snapshot import Snapshot
from label_studio_quorum.campaign.violations import violated_by
from label_studio_quorum.port import Json, RowPort, Task
from review_rules import Stage, State


@dataclass(frozen=True, kw_only=True, slots=True)
class StageStatus:
    """`open`: tasks in the queue that somebody can take; `submitted`: submissions, whether they count or not."""

    open: int
    submitted: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """What `quorum status` shows of one campaign."""

    name: str
    rows: int
    prelabelled: int
    states: dict[State, int]
    stages: dict[Stage, StageStatus]
    violating: Mapping[str, int] = field(default_factory=dict)
    """Final rows that violate a check of the interface, by its sentence."""
    without_row: tuple[str, ...] = ()
    """What to know of tasks that belong to no row, and so are in no figure."""
    warnings: tuple[str, ...] = ()
    """What to know of answers that do not count as their people were told, a line a cause."""
    returned: tuple[ReturnedRow, ...] = ()
    """Rows that wait for people to whom QA gave them back."""

    def to_json(self) -> Json:
        """The object of the contract; every state is named, also with 0."""
        return {
            "name": self.name,
            "rows": self.rows,
            "prelabelled": self.prelabelled,
            "without_row": list(self.without_row),
            "warnings": list(self.warnings),
            "checks_violated": dict(sorted(self.violating.items())),
            "returned": [row.to_json() for row in self.returned],
            "states": {state.value: count for state, count in self.states.items()},
            "stages": {
                stage.value: {"open": counts.open, "submitted": counts.submitted}
                for stage, counts in self.stages.items()
            },
        }


@dataclass
class _Counting:
    """Gives the rows of a snapshot, each read once, and counts the work of each stage on the way."""

    snapshot: Snapshot
    open: Counter[Stage] = field(default_factory=Counter)
    submitted: Counter[Stage] = field(default_factory=Counter)

    def tasks(self, row_id: str) -> Mapping[Stage, Sequence[Task]]:
        """A row's tasks by stage."""
        stages = self.snapshot.tasks(row_id)
        for stage, tasks in stages.items():
            self.open[stage] += sum(not task.is_labeled for task in tasks)
            self.submitted[stage] += sum(len(task.submitted) for task in tasks)
        return stages


def campaign_status(port: RowPort, campaign: Campaign, *, snapshot: Snapshot | None = None) -> Status:
    """Count rows by state and work by stage; decides every row, changes nothing."""
    states, prelabelled, doubtful = Counter[State](), 0, list[DoubtfulAnswer]()
    violating, returned = Counter[str](), list[ReturnedRow]()
    with Snapshot.read(port, campaign) if snapshot is None else nullcontext(snapshot) as current:
        counting = _Counting(current)
        for row in decide_rows(campaign, counting, current.row_ids):
            states[row.decision.state] += 1
            doubtful += doubtful_answers(row.record.history, row.decision)
            returned += returned_rows(row.record, row.decision, row.tasks[Stage.PASS])
            violating.update(check.say for check in violated_by(campaign, row.decision))
            prelabelled += any(has_prediction(task, AUTO_LABEL) for task in row.tasks[Stage.PASS])
        without_row = tuple(tasks_without_row(campaign, current.strangers))
    return Status(
        name=campaign.name,
        rows=states.total(),
        prelabelled=prelabelled,
        states={state: states[state] for state in State},
        stages={stage: StageStatus(open=counting.open[stage], submitted=counting.submitted[stage]) for stage in STAGES},
        violating=violating,
        without_row=without_row,
        warnings=tuple(summed_up(doubtful)),
        returned=tuple(returned),
    )
