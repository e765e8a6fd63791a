"""Reconcile: for every row read its history, decide, and make the server match.

A run is a function of what the server holds. So it can be killed between any two calls: the next run reads what is
there and does the rest. It never changes or deletes a submission, nor a task that has one. Two runs at once may both
create a row's next task; the next run keeps one of them and withdraws the other, or, where both were answered, counts
the answers as one queue.

What "match" means for one row:

* Pass: the task asks for as many people as the row still lacks. A pass that does not count raises the task's overlap,
  so that somebody else gets it. A doubled task without a submission is withdrawn.
* QA and Expert: where `decide` asks for the stage there is exactly one open task, showing the inputs as they are now;
  anywhere else there is none. A task that shows older inputs is withdrawn, or closed if it was answered, and made anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Final, Protocol

from label_studio_quorum.campaign.doubtful import DoubtfulAnswer, doubtful_answers, summed_up
from label_studio_quorum.campaign.history import STORED_AT, HistoryReader, RowRecord, stamp
from label_studio_quorum.campaign.projects import AUTO_LABEL, PROPOSAL, Campaign
from label_studio_quorum.campaign.returned import ReturnedRow, returned_rows
from label_studio_quorum.campaign.review_panel import panel_data, shown_passes
from label_studio_quorum.campaign.row_task import (
    SEAL,
    ReviewNote,
    auto_label_prediction,
    has_prediction,
    proposal_prediction,
    review_note_of,
    seal_result,
)
from label_studio_quorum.campaign.snapshot import Snapshot
from label_studio_quorum.port import Json, NewPrediction, NewTask, RowPort, Task
from ls_config.interface import Control
from ls_config.results import ResultError, to_result
from review_rules import Decision, NextStep, Stage, State, decide, may_take, withheld

CHUNK: Final = 200
"""Tasks created in one call: the server takes each call whole or not at all."""
_NAMED: Final = 5
_DUE: Final = {State.AWAITING_QA: Stage.QA, State.AWAITING_EXPERT: Stage.EXPERT}
_INPUTS: Final = {Stage.QA: (Stage.PASS,), Stage.EXPERT: (Stage.PASS, Stage.QA)}


@dataclass(frozen=True, kw_only=True, slots=True)
class DecidedRow:
    """A row, its tasks, and what the rules say about it."""

    row_id: str
    tasks: dict[Stage, tuple[Task, ...]]
    record: RowRecord
    decision: Decision


@dataclass(kw_only=True)
class ChangePlan:
    """What has to happen on the server, in the order in which it is done."""

    withdraw: dict[Stage, list[int]] = field(default_factory=dict)
    queue: list[tuple[int, int, bool]] = field(default_factory=list)
    create: dict[Stage, list[NewTask]] = field(default_factory=dict)
    serve: list[tuple[int, NewPrediction]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    doubtful: list[DoubtfulAnswer] = field(default_factory=list)
    returned: list[ReturnedRow] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """How much of each kind."""
        made = {f"create_{stage.value}": len(tasks) for stage, tasks in self.create.items() if tasks}
        gone = {f"withdraw_{stage.value}": len(tasks) for stage, tasks in self.withdraw.items() if tasks}
        rest = {"requeue": len(self.queue), "prefill": len(self.serve)}
        return made | gone | {key: count for key, count in rest.items() if count}

    def add(self, other: ChangePlan) -> None:
        """Take in what another plan says."""
        for stage, tasks in other.withdraw.items():
            self.withdraw.setdefault(stage, []).extend(tasks)
        for stage, new in other.create.items():
            self.create.setdefault(stage, []).extend(new)
        self.queue += other.queue
        self.serve += other.serve
        self.problems += other.problems
        self.doubtful += other.doubtful
        self.returned += other.returned


@dataclass(frozen=True, kw_only=True, slots=True)
class ReconcileReport:
    """What a run found and did."""

    rows: int
    states: dict[str, int]
    changes: dict[str, int]
    problems: tuple[str, ...]
    unknown: tuple[str, ...] = ()
    """Row ids asked for of which the server holds nothing."""
    warnings: tuple[str, ...] = ()
    """What to know of answers that do not count as their people were told, a line a cause."""
    returned: tuple[ReturnedRow, ...] = ()
    """Rows that wait for people to whom QA gave them back."""

    @property
    def changed(self) -> bool:
        """True if the server did not match before."""
        return bool(self.changes)

    def to_json(self) -> Json:
        """The object that `quorum sync --json` prints."""
        counts = {"rows": self.rows, "states": self.states, "changes": self.changes}
        lists = {"problems": self.problems, "unknown": self.unknown, "warnings": self.warnings}
        returned = [row.to_json() for row in self.returned]
        return counts | {key: list(lines) for key, lines in lists.items()} | {"returned": returned}


def reconcile(
    port: RowPort,
    campaign: Campaign,
    row_ids: Sequence[str] | None = None,
    *,
    snapshot: Snapshot | None = None,
    dry_run: bool = False,
    progress: Callable[[int], None] = lambda done: None,
) -> ReconcileReport:
    """Make the server match the rules.

    Args:
        port: The server.
        campaign: The campaign.
        row_ids: Only these rows; all where None.
        snapshot: What the server holds, where the caller keeps that fresh; else it is read.
        dry_run: Find out what is to do and do nothing.
        progress: Called with the number of rows decided so far.

    Raises:
        ServerError: The server refused or did not answer. What was done until then stays and is right.
    """
    # The caller's snapshot stays open for the caller's next run; one that was read here is closed here.
    with Snapshot.read(port, campaign, row_ids) if snapshot is None else nullcontext(snapshot) as current:
        chosen = current.row_ids if row_ids is None else sorted(set(row_ids))
        # A caller who keeps a snapshot names rows that changed, of which some are gone; a person's may be mistyped.
        asked = chosen if row_ids is not None and snapshot is None else []
        unknown = tuple(row_id for row_id in asked if not current.tasks(row_id))
        plan, states = _plan_rows(port, campaign, current, chosen, just_read=snapshot is None, progress=progress)
    if not dry_run:
        carry_out(port, campaign, plan)
    return ReconcileReport(
        rows=states.total(),
        states=dict(sorted(states.items())),
        changes=plan.counts(),
        problems=(*plan.problems, *tasks_without_row(campaign, current.strangers)),
        unknown=unknown,
        warnings=tuple(summed_up(plan.doubtful)),
        returned=tuple(plan.returned),
    )


def tasks_without_row(campaign: Campaign, strangers: Mapping[Stage, Sequence[int]]) -> Iterator[str]:
    """What a person should know of tasks that Quorum did not bring in, a sentence a project."""
    for stage, tasks in strangers.items():
        named = ", ".join(map(str, tasks[:_NAMED])) + (" …" if len(tasks) > _NAMED else "")
        yield (
            f"project {campaign.project(stage)} ({stage.value}): {len(tasks):,} tasks belong to no row ({named}): what "
            "people say of them counts for nothing; delete them, and bring their rows in by quorum import"
        )


def _plan_rows(
    port: RowPort,
    campaign: Campaign,
    snapshot: Snapshot,
    row_ids: Sequence[str],
    *,
    just_read: bool,
    progress: Callable[[int], None],
) -> tuple[ChangePlan, Counter[str]]:
    """What these rows need together, and how many are in which state."""
    plan, states, doubtful = ChangePlan(), Counter[str](), list[str]()
    for done, row_id in enumerate(row_ids, start=1):
        row_plan, row_states = _plan_one(campaign, snapshot, row_id)
        # What was read may be older than the server: a task in it gone, an answer or a task missing. Nobody loses an
        # open form to that, and no row gets a second task.
        if row_plan.withdraw or (row_plan.create and not just_read):
            doubtful.append(row_id)
        else:
            plan.add(row_plan)
            states.update(row_states)
        progress(done)
    if doubtful:
        snapshot.renew(port, doubtful)
    for row_id in doubtful:
        row_plan, row_states = _plan_one(campaign, snapshot, row_id)
        plan.add(row_plan)
        states.update(row_states)
    return plan, states


def _plan_one(campaign: Campaign, picture: Snapshot, row_id: str) -> tuple[ChangePlan, list[str]]:
    """What one row needs, and its state; no state for a row that is gone."""
    plan, states = ChangePlan(), list[str]()
    for row in decide_rows(campaign, picture, [row_id], plan):
        plan_row(campaign, row, plan)
        plan.doubtful += doubtful_answers(row.record.history, row.decision)
        plan.returned += returned_rows(row.record, row.decision, row.tasks[Stage.PASS])
        states.append(row.decision.state.value)
    return plan, states


class TasksByRow(Protocol):
    """Whatever knows the tasks of a row: a snapshot in memory, or an export's store on disk."""

    def tasks(self, row_id: str) -> Mapping[Stage, Sequence[Task]]:
        """A row's tasks by stage, each stage's in order of id."""
        ...


def decide_rows(
    campaign: Campaign, snapshot: TasksByRow, row_ids: Iterable[str], plan: ChangePlan | None = None
) -> Iterator[DecidedRow]:
    """Decide these rows; a row without a Pass task is no row any more, and what is open of it is withdrawn."""
    reader = HistoryReader(interface=campaign.interface, people=campaign.people, passes=campaign.policy.passes)
    for row_id in row_ids:
        tasks = snapshot.tasks(row_id)
        if tasks.get(Stage.PASS):
            record = reader.read(tasks)
            decision = decide(record.history, campaign.team, campaign.policy)
            by_stage = {stage: tuple(stage_tasks) for stage, stage_tasks in tasks.items()}
            yield DecidedRow(row_id=row_id, tasks=by_stage, record=record, decision=decision)
        elif tasks and plan is not None:
            plan.problems.append(f"row {row_id}: its Pass task was deleted; import the row again to go on with it")
            for stage, stage_tasks in tasks.items():
                _retire(plan, stage, stage_tasks)


def plan_row(campaign: Campaign, row: DecidedRow, plan: ChangePlan) -> None:
    """Add to the plan what this row needs."""
    _plan_pass(campaign, row, plan)
    for stage in (Stage.QA, Stage.EXPERT):
        _plan_review(campaign, row, stage, plan)


def carry_out(port: RowPort, campaign: Campaign, plan: ChangePlan) -> None:
    """Do what was planned: first what closes, then what opens."""
    for stage, tasks in plan.withdraw.items():
        if tasks:
            port.withdraw(campaign.project(stage), tasks)
    for task, overlap, is_labeled in plan.queue:
        port.set_queue(task, overlap=overlap, is_labeled=is_labeled)
    for stage, new in plan.create.items():
        for start in range(0, len(new), CHUNK):
            port.add_tasks(campaign.project(stage), new[start : start + CHUNK])
    for start in range(0, len(plan.serve), CHUNK):
        port.add_predictions(campaign.project(Stage.PASS), plan.serve[start : start + CHUNK])


# --- Pass ------------------------------------------------------------------------------------------------------------


def _plan_pass(campaign: Campaign, row: DecidedRow, plan: ChangePlan) -> None:
    # Of tasks that two imports at once made, the one that most people answered stays in the queue.
    kept, *doubles = sorted(row.tasks[Stage.PASS], key=lambda task: (-len(task.annotators), task.id))
    _retire(plan, Stage.PASS, doubles)
    step = row.decision.next
    lacking = max(0, campaign.policy.passes - len(row.decision.counted.get(Stage.PASS, ())))
    if step is not None and step.returned:
        # Label Studio hands nobody a row twice: to others it would hand what the people who had it are asked for.
        lacking = step.others
    _set_open(plan, kept, lacking)
    # Whoever has opened the form already keeps what it opened with.
    if not kept.annotations:
        _plan_prefill(campaign, kept, plan)


def _plan_prefill(campaign: Campaign, task: Task, plan: ChangePlan) -> None:
    """Label Studio pre-fills from one model version a project: give every row a prediction of that version."""
    if withheld(task.row_id, campaign.policy) or not task.predictions:
        return
    if not has_prediction(task, AUTO_LABEL):
        latest = task.predictions[-1]
        plan.serve.append((task.id, auto_label_prediction(latest.result, latest.score)))


# --- QA and Expert ---------------------------------------------------------------------------------------------------


def _plan_review(campaign: Campaign, row: DecidedRow, stage: Stage, plan: ChangePlan) -> None:
    tasks = row.tasks.get(stage, ())
    step = row.decision.next
    if step is None or _DUE.get(row.decision.state) is not stage:
        # The row waits for something else, or for nothing: an open task would hand out work that cannot count.
        _retire(plan, stage, tasks)
        return
    wanted = review_task(campaign, row, step, plan)
    kept = _kept(campaign, tasks, wanted, step)
    _retire(plan, stage, [task for task in tasks if task is not kept])
    early = _early_answers(row, tasks, wanted)
    if kept is None and early:
        plan.problems.append(_early_problem(row.row_id, stage, early))
    elif kept is None:
        plan.create.setdefault(stage, []).append(wanted)
    else:
        _set_open(plan, kept, 1)


def _kept(campaign: Campaign, tasks: Sequence[Task], wanted: NewTask, step: NextStep) -> Task | None:
    """The task that already asks what is to be asked, if there is one.

    An answer that does not count leaves the task open for the next person if its author may not take the step anyway.
    If they may (they forgot the reason, say), the row gets a fresh task: Label Studio never hands one out to the same
    person twice.
    """
    inputs = ReviewNote.read(wanted.meta).rests_on
    answered = [task for task in tasks if task.submitted and review_note_of(task).rests_on == inputs]
    barred = [task for task in answered if not any(_may_take(campaign, user, step) for user in task.annotators)]
    fresh = [task for task in tasks if not task.submitted and _same(task, wanted)]
    return next(iter([*barred, *fresh]), None)


def _early_answers(row: DecidedRow, tasks: Sequence[Task], wanted: NewTask) -> list[int]:
    """Answers to what is asked that the server says are no later than what they rest on: its clock was set back.

    Those whose form carried what it rests on are written down in their order. Of the others it is not known, so they
    do not count; asking again under the same clock would bring no answer that does.
    """
    note = ReviewNote.read(wanted.meta)
    latest = max(note.inputs.values(), default="")
    in_order = {
        source.annotation
        for stage in _INPUTS
        for source, submission in zip(row.record.sources[stage], row.record.history.submissions(stage), strict=True)
        if STORED_AT in submission.raw
    }
    return [
        answer.id
        for task in tasks
        if review_note_of(task).rests_on == note.rests_on
        for answer in task.submitted
        if stamp(answer.updated_at) <= latest and answer.id not in in_order
    ]


def _early_problem(row_id: str, stage: Stage, early: Sequence[int]) -> str:
    named = ", ".join(map(str, early))
    return (
        f"row {row_id}: its {stage.value} answer {named} is no later than what it was given on: the server's clock "
        "was set back. The row is not asked for again: set the clock right, delete the answer, and run quorum sync"
    )


def _may_take(campaign: Campaign, user: int | None, step: NextStep) -> bool:
    person = campaign.person(user)
    return person is not None and may_take(person, step)


def _same(task: Task, wanted: NewTask) -> bool:
    proposals = [prediction for prediction in task.predictions if prediction.model_version == PROPOSAL]
    return task.data == wanted.data and task.meta == wanted.meta and len(proposals) == len(wanted.predictions)


def review_task(campaign: Campaign, row: DecidedRow, step: NextStep, plan: ChangePlan) -> NewTask:
    """The task that asks for this step: the row, the panel of decisions, and the proposal to start from."""
    first, stage = row.tasks[Stage.PASS][0], step.stage
    data = {key: value for key, value in first.data.items() if value is not None}
    data |= panel_data(row.record.history, row.decision, campaign.interface, stage)
    data |= {"requires": ", ".join(step.requires)}
    result = _proposal(row, campaign.interface.controls, first.data, plan)
    inputs = [
        [source.annotation, source.version]
        for earlier in _INPUTS[stage]
        for source in (row.record.sources[earlier][index] for index in row.decision.counted.get(earlier, ()))
    ]
    columns = []
    if stage is Stage.QA and campaign.policy.returnable:
        sources = row.record.sources[Stage.PASS]
        columns = [sources[place].annotation for place in shown_passes(row.decision, row.row_id)]
    note = ReviewNote(rests_on=sorted(inputs), requires=step.requires, columns=columns)
    # A project that was not set up again since there are seals has no control for one.
    if f'name="{SEAL}"' in campaign.projects[stage].label_config:
        result += seal_result(note, row.row_id, stage)
    return NewTask(
        data=data,
        meta=note.to_meta(),
        predictions=(proposal_prediction(result),) if result else (),
    )


def _proposal(row: DecidedRow, controls: Iterable[Control], data: Json, plan: ChangePlan) -> list[Json]:
    result: list[Json] = []
    for control in controls:
        proposed = row.decision.proposal.get(control.name)
        if proposed is None:
            continue  # nothing is proposed for it, as for a field in conflict: the form opens without
        value = proposed["value"] if isinstance(proposed, dict) else proposed.value
        try:
            result += to_result({control.name: value}, [control], data)
        except ResultError as error:
            # The review can be made without it: the panel shows what the passes said.
            plan.problems.append(f"row {row.row_id}: the proposal is not shown for {error}")
    return result


# --- queues ----------------------------------------------------------------------------------------------------------


def _set_open(plan: ChangePlan, task: Task, lacking: int) -> None:
    """Leave the task asking for `lacking` more people than submitted to it."""
    people = len(task.annotators)
    # Label Studio works out `is_labeled` when somebody submits, not when `overlap` changes: both are set together.
    if lacking:
        matches = task.overlap == people + lacking and not task.is_labeled
    else:
        matches = task.overlap <= max(1, people) and task.is_labeled
    if not matches:
        plan.queue.append((task.id, max(1, people + lacking), lacking == 0))


def _retire(plan: ChangePlan, stage: Stage, tasks: Iterable[Task]) -> None:
    """Take tasks out of the queue: those without a submission off the server, the others closed."""
    for task in tasks:
        if task.submitted:
            # What somebody handed in is never deleted, also where it counts no more.
            _set_open(plan, task, 0)
        else:
            plan.withdraw.setdefault(stage, []).append(task.id)
