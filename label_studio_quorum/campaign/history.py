"""From a row's tasks on the server to the history that `decide` reads. Nothing else turns annotations into history.

What Label Studio keeps is less than a history: only the last version of each annotation, and any user of a stock server
can overwrite another's. So two kinds of annotation are written down without a person, and hence never count: one that
somebody else saved last, and a review of inputs that have changed since. Both stay in the record, with the reason under
`void` and the account's person under `annotator`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from label_studio_quorum.campaign.projects import AUTO_LABEL, PROPOSAL, STAGES
from label_studio_quorum.intake import Row
from label_studio_quorum.port import Annotation, Json, Task
from ls_config.interface import Interface
from ls_config.results import ParsedResult, from_result
from review_rules import Stage

QUORUM: Final = "quorum"
"""Key of what Quorum writes into a task's meta."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where a submission of the history comes from: task, annotation, and the version of it that was read."""

    task: int
    annotation: int
    version: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RowRecord:
    """A row's history, and where each submission in it comes from, index by index."""

    history: Json
    sources: Mapping[Stage, tuple[Source, ...]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reader:
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
        row = tasks[Stage.PASS][0]
        note = note_of(row)
        history: Json = {"row_id": row.row_id, "fields": self.interface.fields(row.data)}
        for key, value in (
            ("domain", row.data.get("domain")),
            ("predicted_domain", note.get("predicted_domain")),
            ("auto_label", note.get("auto_label")),
        ):
            if value is not None:
                history[key] = value
        sources: dict[Stage, tuple[Source, ...]] = {}
        versions: dict[int, str] = {}
        for stage in STAGES:
            found = [entry for task in tasks.get(stage, ()) for entry in self._entries(stage, task, versions)]
            found.sort(key=lambda entry: (entry[0]["at"], entry[1].annotation))
            if stage is Stage.PASS:
                found = self._with_first_versions(found, tasks[stage])
            history[stage.key] = [entry for entry, _ in found]
            sources[stage] = tuple(source for _, source in found)
            versions |= {source.annotation: source.version for source in sources[stage]}
        return RowRecord(history=history, sources=sources)

    def _entries(self, stage: Stage, task: Task, versions: Mapping[int, str]) -> Iterable[tuple[Json, Source]]:
        stale = stage is not Stage.PASS and not _still_rests(task, versions)
        for annotation in task.submitted:
            entry = self._submission(stage, task, annotation)
            if stale:
                _void(entry, "it was given on passes or a QA that have changed since")
            yield entry, Source(task=task.id, annotation=annotation.id, version=stamp(annotation.updated_at))

    def _submission(self, stage: Stage, task: Task, annotation: Annotation) -> Json:
        parsed = from_result(annotation.result, self.interface.all_controls, task.data)
        entry: Json = {
            "by": self._person(annotation.by),
            "at": stamp(annotation.updated_at),
            "lead_time": annotation.lead_time,
            "values": self._values(stage, task, parsed),
            "flags": list(parsed.flags),
            "reason": parsed.reason,
        }
        if stage is not Stage.PASS:
            entry["decision"] = parsed.decision
        if parsed.problems:
            entry["problems"] = list(parsed.problems)
        if annotation.edited_by not in (None, annotation.by):
            _void(entry, f"{self._person(annotation.edited_by)} saved it last")
        return entry

    def _values(self, stage: Stage, task: Task, parsed: ParsedResult) -> dict[str, Any]:
        if stage is Stage.PASS:
            return parsed.values
        shown = prediction_values(task, PROPOSAL, self.interface)
        return parsed.as_review(self.interface.controls, shown)

    def _person(self, user: int | None) -> str | None:
        return None if user is None else self.people.get(user, f"user:{user}")

    def _with_first_versions(
        self, found: list[tuple[Json, Source]], tasks: Sequence[Task]
    ) -> list[tuple[Json, Source]]:
        """Where more people passed than are asked for, a correction must not cost a person the place in line.

        The place is that of the first submission, of which the server keeps the time only: it is written down as an
        earlier, empty submission, which the later one replaces.
        """
        if len({entry["by"] for entry, _ in found}) <= self.passes:
            return found
        created = {a.id: a.created_at for task in tasks for a in task.submitted}
        first = [
            ({"by": entry["by"], "at": stamp(created[source.annotation]), "values": {}, "flags": [], "reason": None,
              "superseded": True}, source)
            for entry, source in found
            if entry["by"] is not None and stamp(created[source.annotation])[:19] < entry["at"][:19]
        ]  # fmt: skip
        return sorted([*found, *first], key=lambda entry: (entry[0]["at"], entry[1].annotation))


def note_of(task: Task) -> Json:
    """What Quorum wrote into a task's meta (empty for a task that it did not make)."""
    note = task.meta.get(QUORUM) if isinstance(task.meta, dict) else None
    return note if isinstance(note, dict) else {}


def prediction_values(task: Task, model_version: str, interface: Interface) -> dict[str, Any]:
    """The values of a task's latest prediction of this version (empty if it has none)."""
    for prediction in reversed(task.predictions):
        if prediction.model_version == model_version:
            return from_result(prediction.result, interface.controls, task.data).values
    return {}


def skips(stage: Stage, tasks: Iterable[Task], people: Mapping[int, str]) -> list[Json]:
    """Who skipped the row at this stage, and when; a skip is no submission."""
    return [
        {"stage": stage.value, "by": people.get(a.by or 0, f"user:{a.by}"), "at": stamp(a.updated_at)}
        for task in tasks
        for a in task.annotations
        if a.cancelled
    ]


def prelabel_of(task: Task, interface: Interface) -> Json | None:
    """What pre-filled the Pass form: the model version as it ran, its score and the values; None for an empty form."""
    served = [one for one in task.predictions if one.model_version == AUTO_LABEL]
    if not served:
        return None
    ran = note_of(task).get("prelabel") or AUTO_LABEL
    values = prediction_values(task, AUTO_LABEL, interface)
    return {"model_version": ran, "score": served[-1].score, "values": values}


def stamp(moment: datetime) -> str:
    """A time as history writes it: UTC, microseconds, so that text order is time order.

    >>> stamp(datetime(2026, 1, 5, 10, tzinfo=UTC))
    '2026-01-05T10:00:00.000000Z'
    """
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _void(entry: Json, why: str) -> None:
    if "void" not in entry:
        entry["annotator"] = entry["by"]
    entry["by"], entry["void"] = None, "; ".join(filter(None, [entry.get("void"), why]))


def _still_rests(task: Task, versions: Mapping[int, str]) -> bool:
    """True if every annotation that a review was made from is there in the same version."""
    inputs = note_of(task).get("rests_on")
    if not isinstance(inputs, list):
        return True
    return all(isinstance(one, list) and len(one) == 2 and versions.get(one[0]) == one[1] for one in inputs)


def imported_row(task: Task) -> Row:
    """The row as its Pass task holds it."""
    note, data = note_of(task), task.data
    return Row(
        row_id=task.row_id,
        context=str(data.get("context", "")),
        query=str(data.get("query", "")),
        response=str(data.get("response", "")),
        domain=data.get("domain"),
        auto_label=note.get("auto_label"),
        extra=note.get("extra") or {},
    )
