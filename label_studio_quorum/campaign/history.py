"""From a row's tasks on the server to the history that `decide` reads. Nothing else turns annotations into history.

What Label Studio keeps is less than a history: only the last version of each annotation, and any user of a stock server
can overwrite another's. And a stock server takes any answer, whatever it says. So four kinds of annotation are written
down without a person, and hence never count: one that somebody else saved last, a review of inputs that have changed
since, a review whose form showed something else, and one with a part that its form does not ask for or the row does not
hold. All stay in the record, with the
reason under `void` and the account's person under `annotator`. A field whose answer does not fit is written down as
what it is, no value of its kind: `{"unreadable": reason}`.

Times are the server's. One order is known without its clock: a review whose form carried what it rests on was given
after that. Where the clock says otherwise it was set back; the review is written down as given right after what it
rests on, with the server's time under `stored_at`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from label_studio_quorum.campaign.projects import PROPOSAL
from label_studio_quorum.campaign.row_task import ReviewNote, note_of, prediction_values, review_note_of
from label_studio_quorum.campaign.shown import by_labels_of_now, shown_to
from label_studio_quorum.port import Annotation, Json, Task
from ls_config.interface import RETURN, Control, Interface
from ls_config.results import ParsedResult, from_result, with_labels_of_now
from ls_config.review_screen import decision_controls
from review_rules import Field, RowHistory, Stage, Submission, parse_history, parse_submission

OUTDATED: Final = "it was given on passes or a QA that have changed since"
"""Why a review is void whose row went round again, as rows do in the course of work."""
STORED_AT: Final = "stored_at"
"""The key of the time that a clock which was set back gave a submission."""
_TO_THE_SECOND: Final = len("2026-01-05T10:00:00")


@dataclass(frozen=True, kw_only=True, slots=True)
class AnnotationVersion:
    """The annotation that a submission of the history was read from, in the version that was read.

    Attributes:
        task: The task's id.
        annotation: The annotation's id.
        version: When it was last saved.
        created_at: When it was first saved.
        by: Who submitted it, also where the submission does not count as theirs.
        seconds: How long the form was open, as Label Studio measured it.
        is_superseded: True if it stands for the time of a first version, which a later one replaced.
    """

    task: int
    annotation: int
    version: str
    created_at: str
    by: str | None
    seconds: float | None
    is_superseded: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class RowRecord:
    """A row's history, and where each submission in it comes from, index by index."""

    history: RowHistory
    sources: Mapping[Stage, tuple[AnnotationVersion, ...]]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Answer:
    """One annotation as a submission: what was filled in, and why it cannot count as its author's, if so."""

    source: AnnotationVersion
    stage: Stage
    values: Mapping[str, Any]
    parsed: ParsedResult
    void: tuple[str, ...] = ()
    shown: Json | None = None
    to: tuple[str, ...] = ()
    guidelines: Json | None = None
    known_at: str | None = None
    """The time where the server's is known to be wrong."""

    @property
    def by(self) -> str | None:
        return None if self.void else self.source.by

    @property
    def at(self) -> str:
        return self.known_at or (self.source.created_at if self.source.is_superseded else self.source.version)

    @property
    def place(self) -> tuple[str, int]:
        """What submissions are ordered by: their time and, at the same time, their annotation."""
        return self.at, self.source.annotation

    def first_version(self) -> _Answer:
        """The answer as it must have been handed in first, of which the server keeps the time only.

        It repeats the values of the version that stands: a pass without the required ones would hold no place in line.
        """
        return replace(self, source=replace(self.source, is_superseded=True), parsed=ParsedResult())

    def to_json(self) -> Json:
        """The submission as in the contract's JSON, and what records say about it besides."""
        answer: Json = {"by": self.by, "at": self.at}
        if not self.source.is_superseded:
            answer["lead_time"] = self.source.seconds
        answer |= {"values": self.values, "flags": list(self.parsed.flags), "reason": self.parsed.reason}
        if self.source.is_superseded:
            return answer | {"superseded": True}
        if self.known_at is not None:
            answer[STORED_AT] = self.source.version
        if self.shown is not None:
            answer["shown"] = self.shown
        if self.guidelines is not None:
            answer["guidelines"] = self.guidelines
        if self.stage is not Stage.PASS:
            answer["decision"] = self.parsed.decision
            if self.parsed.decision == RETURN:
                answer["to"] = list(self.to)
        # `values` has the labels of now; the history tells also what was said.
        if self.parsed.as_given:
            answer["as_given"] = {name: list(labels) for name, labels in self.parsed.as_given.items()}
        if self.parsed.problems:
            answer["problems"] = list(self.parsed.problems)
        if self.void:
            answer |= {"annotator": self.source.by, "void": "; ".join(self.void)}
        return answer

    def submission(self, index: int, fields: Mapping[str, Field]) -> Submission:
        """The submission at this place of its stage's list."""
        return parse_submission(self.to_json(), index, self.stage, fields)


@dataclass(frozen=True, kw_only=True, slots=True)
class HistoryReader:
    """Reads rows of one campaign.

    Attributes:
        interface: The label interface.
        people: User id → person id.
        passes: Passes that the policy asks for.
    """

    interface: Interface
    people: Mapping[int, str]
    passes: int

    def read(self, tasks: Mapping[Stage, Sequence[Task]]) -> RowRecord:
        """The record of one row from all its tasks; `tasks[Stage.PASS]` has at least one.

        Several tasks of one stage count as one queue: a row that went round again, or one that was doubled by two
        runs at once, has all its submissions in one history.
        """
        row = self._row(tasks[Stage.PASS][0])
        sources: dict[Stage, tuple[AnnotationVersion, ...]] = {}
        submissions: dict[Stage, tuple[Submission, ...]] = {}
        versions: dict[int, str] = {}
        times: dict[int, str] = {}
        for stage in Stage:
            answers = self._answers(stage, tasks, versions, times, sources.get(Stage.PASS, ()))
            submissions[stage] = tuple(answer.submission(index, row.fields) for index, answer in enumerate(answers))
            sources[stage] = tuple(answer.source for answer in answers)
            versions |= {source.annotation: source.version for source in sources[stage]}
            times |= {answer.source.annotation: answer.at for answer in answers}
        history = row._replace(
            passes=submissions[Stage.PASS], qa=submissions[Stage.QA], expert=submissions[Stage.EXPERT]
        )
        return RowRecord(history=history, sources=sources)

    def _row(self, task: Task) -> RowHistory:
        """The history before anybody submitted anything."""
        note = note_of(task)
        return parse_history(
            {
                "row_id": task.row_id,
                "fields": self.interface.fields(task.data),
                "domain": task.data.get("domain"),
                "predicted_domain": note.predicted_domain,
                "auto_label": with_labels_of_now(note.auto_label, self.interface.controls),
                "reopened": note.reopened,
            }
        )

    def _answers(
        self,
        stage: Stage,
        tasks: Mapping[Stage, Sequence[Task]],
        versions: Mapping[int, str],
        times: Mapping[int, str],
        passes: Sequence[AnnotationVersion],
    ) -> list[_Answer]:
        """The stage's answers in order of time.

        `versions` and `times` are those of the annotations of the stages before, the times as written down; `passes`
        are where the passes come from.
        """
        people = {source.annotation: source.by for source in passes}
        answers = [
            answer for task in tasks.get(stage, ()) for answer in self._answers_to(stage, task, versions, times, people)
        ]
        answers.sort(key=lambda answer: answer.place)
        is_returned = any(_returns(annotation) for task in tasks.get(Stage.QA, ()) for annotation in task.submitted)
        return self._with_first_versions(answers, is_returned=is_returned) if stage is Stage.PASS else answers

    def _answers_to(
        self,
        stage: Stage,
        task: Task,
        versions: Mapping[int, str],
        times: Mapping[int, str],
        people: Mapping[int, str | None],
    ) -> Iterator[_Answer]:
        note = review_note_of(task)
        for annotation in task.submitted:
            void = []
            # Where the server does not say who saved last, the author is taken to have.
            if annotation.edited_by not in (None, annotation.by):
                void.append(f"{self._person(annotation.edited_by)} saved it last")
            parsed = from_result(annotation.result, self._controls(stage), task.data, known_only=True)
            returned_at = stamp(annotation.updated_at) if parsed.decision == RETURN else None
            if stage is not Stage.PASS and not note.still_holds(versions, returned_at):
                void.append(OUTDATED)
            # Other programs than the form send no seal; a seal of something else is a form that was left open.
            if parsed.review_of is not None and parsed.review_of != note.seal(task.row_id, stage):
                void.append("its form showed another row, or this one before its passes or QA changed")
            void += [": ".join(filter(None, (fault.control, fault.reason))) for fault in parsed.wrong]
            yield _Answer(
                source=self._source(task, annotation),
                stage=stage,
                values=self._values(stage, task, parsed),
                parsed=parsed,
                void=tuple(void),
                shown=self._shown(annotation, task) if stage is Stage.PASS else None,
                to=tuple(sorted({people.get(pk) or "" for pk in note.named(parsed.decision_to)} - {""})),
                guidelines=annotation.guidelines,
                # What a return was given on has changed since, as it asked for.
                known_at=None
                if void or parsed.review_of is None or returned_at is not None
                else _time_after_inputs(annotation, note, times),
            )

    def _shown(self, annotation: Annotation, task: Task) -> Json | None:
        controls = self.interface.controls
        return by_labels_of_now(shown_to(annotation, task, controls), note_of(task).auto_label, controls)

    def _source(self, task: Task, annotation: Annotation) -> AnnotationVersion:
        return AnnotationVersion(
            task=task.id,
            annotation=annotation.id,
            version=stamp(annotation.updated_at),
            created_at=stamp(annotation.created_at),
            by=self._person(annotation.by),
            seconds=annotation.lead_time,
        )

    def _controls(self, stage: Stage) -> tuple[Control, ...]:
        """All that the stage's form asks for."""
        return self.interface.all_controls + (() if stage is Stage.PASS else decision_controls())

    def _values(self, stage: Stage, task: Task, parsed: ParsedResult) -> dict[str, Any]:
        unreadable = {fault.control: {"unreadable": fault.reason} for fault in parsed.wrong}
        fields = {control.name for control in self.interface.controls}
        return self._readable(stage, task, parsed) | {
            name: reason for name, reason in unreadable.items() if name in fields
        }

    def _readable(self, stage: Stage, task: Task, parsed: ParsedResult) -> dict[str, Any]:
        # A pass form may open empty: a field that is absent was left out, not emptied.
        if stage is Stage.PASS:
            return parsed.values
        shown = prediction_values(task, PROPOSAL, self.interface)
        return parsed.as_review(self.interface.controls, shown)

    def _person(self, user: int | None) -> str | None:
        return None if user is None else self.people.get(user, f"user:{user}")

    def _with_first_versions(self, answers: list[_Answer], *, is_returned: bool) -> list[_Answer]:
        """Where more people passed than are asked for, a correction must not cost a person the place in line.

        The place is that of the first submission, of which the server keeps the time only: it is written down as an
        earlier submission of the same values, which the later one replaces. So it is where QA returned the row: a
        return is given on passes that were there, and a stock server keeps none of those that were changed since.
        """
        if len({answer.by for answer in answers}) <= self.passes and not is_returned:
            return answers
        # Saving takes a moment, so an answer that was saved once may have two times that differ by less than a second.
        corrected = [
            answer
            for answer in answers
            if answer.by is not None
            and answer.source.created_at[:_TO_THE_SECOND] < answer.source.version[:_TO_THE_SECOND]
        ]
        first = [answer.first_version() for answer in corrected]
        return sorted([*answers, *first], key=lambda answer: answer.place)


def _returns(annotation: Annotation) -> bool:
    """Whether a review gives the row back; looked at before anything is known of the passes."""
    named = [item for item in annotation.result if isinstance(item, dict) and item.get("from_name") == "decision"]
    return from_result(named, decision_controls(), {}, known_only=True).decision == RETURN


def _time_after_inputs(annotation: Annotation, note: ReviewNote, times: Mapping[int, str]) -> str | None:
    """When a review must have been given at the least, where the server says earlier; None where it does not.

    Its form carried the versions that it rests on, so that it was opened when they were there.
    """
    inputs = note.inputs
    latest = max((times[source] for source in inputs if source in times), default="")
    if stamp(annotation.updated_at) > latest:
        return None
    # Ids rise, so that of several such reviews the later one has the later time too.
    later = timedelta(microseconds=max(1, annotation.id - max(inputs)))
    return stamp(datetime.fromisoformat(latest) + later)


def skips(stage: Stage, tasks: Iterable[Task], people: Mapping[int, str]) -> list[Json]:
    """Who skipped the row at this stage, and when; a skip is no submission."""
    return [
        {
            "stage": stage.value,
            "by": people.get(annotation.by or 0, f"user:{annotation.by}"),
            "at": stamp(annotation.updated_at),
        }
        for task in tasks
        for annotation in task.annotations
        if annotation.cancelled
    ]


def stamp(moment: datetime) -> str:
    """A time as history writes it: UTC, microseconds, so that text order is time order.

    >>> stamp(datetime(2026, 1, 5, 10, tzinfo=UTC))
    '2026-01-05T10:00:00.000000Z'
    """
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
