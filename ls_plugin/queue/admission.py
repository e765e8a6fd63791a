"""Whether an answer may be stored: the rules are asked about the row with it, before it is.

An answer that does not count would bring its row round again, to the same person as often as they send it, and would
stand in everybody's figures. So the rules' own sentence is what its author reads, while the answer is still in front of
them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from label_studio_quorum.campaign.projects import Campaign
from label_studio_quorum.campaign.reconcile import DecidedRow, decide_rows
from label_studio_quorum.campaign.snapshot import Snapshot
from label_studio_quorum.port import Annotation, Task
from ls_plugin.models import Slot
from ls_plugin.queue.campaigns import stored_campaign, to_rules
from ls_plugin.queue.server_port import ServerPort
from ls_plugin.store.refusals import Refused
from review_rules import Stage, State, Submission, Word
from review_rules.files.policy import QaWhen


@dataclass(frozen=True, slots=True)
class RowAtHand:
    """A row whose slots the caller has locked, as the rules read it.

    Attributes:
        campaign: its campaign.
        row_id: its id.
        by_stage: its tasks, each stage's in order of id.
    """

    campaign: Campaign
    row_id: str
    by_stage: Mapping[Stage, Sequence[Task]]

    @classmethod
    def read(cls, campaign_id: int, row_id: str, slots: Iterable[Slot]) -> RowAtHand:
        """The row as the server holds it now; `slots` are all of its slots."""
        port = ServerPort(slots)
        campaign = to_rules(*stored_campaign(campaign_id), port)
        return cls(campaign, row_id, Snapshot.read(port, campaign, [row_id]).tasks(row_id))

    def tasks(self, row_id: str) -> Mapping[Stage, Sequence[Task]]:
        """The tasks by stage, as :func:`decide_rows` asks for them."""
        return self.by_stage

    def with_answer(self, task_id: int, answer: Annotation) -> RowAtHand:
        """The row as it would be with this answer, which takes the place of its own earlier version."""

        def answered(task: Task) -> Task:
            others = tuple(each for each in task.annotations if each.id != answer.id)
            return replace(task, annotations=(*others, answer)) if task.id == task_id else task

        return replace(self, by_stage={stage: [*map(answered, tasks)] for stage, tasks in self.by_stage.items()})

    def decide(self) -> DecidedRow:
        """What the rules say of the row.

        Raises:
            Refused: ``closed`` if its Pass task is gone, so that it is no row any more.
        """
        for row in decide_rows(self.campaign, self, [self.row_id]):
            return row
        raise Refused("closed")


def require_counted(row: RowAtHand, stage: Stage, task_id: int, answer: Annotation) -> None:
    """Refuse an answer that would not count.

    Args:
        row: the row without it.
        stage: the stage that it is given at.
        task_id: the task that it answers.
        answer: the answer as it would be stored.

    Raises:
        Refused: ``not_counted``, with the sentence of the finding that says why.
    """
    decided = row.with_answer(task_id, answer).decide()
    if not is_counted(decided, stage, answer.id):
        raise Refused("not_counted", _reason(decided, stage, answer.id))


def require_checked(row: RowAtHand, stage: Stage, task_id: int, answer: Annotation) -> None:
    """Refuse an answer that violates a blocking check of the interface; only who accepts or corrects settles a value.

    Args:
        row: the row without it.
        stage: the stage that it is given at.
        task_id: the task that it answers.
        answer: the answer as it would be stored.

    Raises:
        Refused: ``check_failed``, with the sentences of the checks.
    """
    submission = _submission(row.with_answer(task_id, answer).decide(), stage, answer.id)
    if submission.word in (Word.ESCALATE, Word.DISCARD, Word.RETURN):
        return
    # A value that a review does not give is the one that it accepts.
    accepted = {} if stage is Stage.PASS else row.decide().decision.proposal
    values = {name: proposed.value for name, proposed in accepted.items()} | submission.values
    if violated := row.campaign.checks.blocking(values):
        more = {"checks": [check.to_json() for check in violated]}
        raise Refused("check_failed", " ".join(check.say for check in violated), more)


def require_change(row: RowAtHand, stage: Stage, task_id: int, answer: Annotation) -> None:
    """Refuse a change of an answer behind what is decided, and one that would not count.

    Args:
        row: the row as it is.
        stage: the stage that the answer was given at.
        task_id: the task that it answers.
        answer: the answer as it would be stored.

    Raises:
        Refused: ``sealed``, ``decided`` or ``not_counted``.
    """
    before, after = row.decide(), row.with_answer(task_id, answer).decide()
    # A surplus answer stands behind nothing: its author may change it as long as it stays one.
    if any(is_counted(each, stage, answer.id) for each in (before, after)):
        if stage is Stage.PASS and _are_passes_over(row.campaign, before):
            raise Refused("sealed")
        if stage is not Stage.PASS and before.decision.state.is_decided:
            raise Refused("decided")
    if stage is not Stage.PASS and not is_counted(after, stage, answer.id):
        raise Refused("not_counted", _reason(after, stage, answer.id))


def _are_passes_over(campaign: Campaign, row: DecidedRow) -> bool:
    """Whether the passes of a row stay as they are.

    Where QA is asked for rows in conflict only, agreeing passes decide the row: if others could still be changed,
    whoever tries one answer after the other would learn from the refusal which one a peer gave.
    """
    if row.decision.state is State.AWAITING_PASSES:
        return False
    is_qa_certain = campaign.policy.qa.when is QaWhen.ALL or row.record.history.reopened is not None
    return row.decision.state.is_decided or not is_qa_certain


def is_counted(row: DecidedRow, stage: Stage, annotation: int) -> bool:
    """Whether an annotation counts in what was decided."""
    sources = row.record.sources[stage]
    returns = row.decision.returns if stage is Stage.QA else ()
    return any(sources[place].annotation == annotation for place in (*row.decision.counted[stage], *returns))


def _submission(row: DecidedRow, stage: Stage, annotation: int) -> Submission:
    """What the rules read of an annotation as it stands."""
    return next(
        row.record.history.submissions(stage)[place]
        for place, source in enumerate(row.record.sources[stage])
        if source.annotation == annotation and not source.is_superseded
    )


def _reason(row: DecidedRow, stage: Stage, annotation: int) -> str:
    """Why an annotation does not count, as a sentence."""
    submission = _submission(row, stage, annotation)
    # What the reading has found names the cause; the rules only see that it is nobody's.
    if void := submission.raw.get("void"):
        return f"This submission does not count: {void}."
    message = next(noted.message for noted in row.decision.findings if noted.path == submission.path)
    return f"{message[0].upper()}{message[1:]}."
