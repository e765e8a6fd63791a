"""How a row lies in a task: what people see is the task's data, what only Quorum reads is a note in the task's meta.

Nothing else writes or reads these shapes: import makes Pass tasks here, reconcile makes review tasks here, and history,
records, doctor and status read both kinds by the functions of this file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from label_studio_quorum.campaign.projects import AUTO_LABEL, PROPOSAL
from label_studio_quorum.intake import Row, is_hash_of, row_hash
from label_studio_quorum.port import Json, NewPrediction, NewTask, Result, Task
from ls_config.interface import Interface
from ls_config.results import from_result, to_result
from ls_config.review_screen import decision_controls
from review_rules import Stage

SEAL: Final = "review_of"
"""The control of a review form that nobody sees; what it says is `ReviewNote.seal`."""
NOTE_KEY: Final = "quorum"
"""The key of Quorum's note in a task's meta."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RowNote:
    """What a Pass task remembers of its row beside what people see.

    A stock server lets its users change meta, so auto-label and predicted domain are kept as they stand there: the
    rules say what is wrong with them.

    Attributes:
        import_id: The import that brought the row.
        content_hash: The row's hash at import; None for a task that Quorum did not make.
        extra: Columns that nobody is shown.
        auto_label: The auto-label that came with the row.
        prelabel: The model version that pre-annotated the row.
        predicted_domain: The domain that the model saw in a row that names none.
        reopened: When, by whom and why the row was opened again after it was decided.
    """

    import_id: str | None = None
    content_hash: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    auto_label: Any = None
    prelabel: str | None = None
    predicted_domain: Any = None
    reopened: Any = None

    @classmethod
    def read(cls, meta: Any) -> RowNote:
        """The note in a task's meta; an empty one where there is none."""
        note = _note_json(meta)
        extra = note.get("extra")
        return cls(
            import_id=_text(note.get("import_id")),
            content_hash=_text(note.get("hash")),
            extra=extra if isinstance(extra, dict) else {},
            auto_label=note.get("auto_label"),
            prelabel=_text(note.get("prelabel")),
            predicted_domain=note.get("predicted_domain"),
            reopened=note.get("reopened"),
        )

    def to_meta(self) -> Json:
        """The meta of a Pass task; what is not known has no key."""
        note: Json = {"import_id": self.import_id, "hash": self.content_hash, "extra": dict(self.extra)}
        known = (
            ("auto_label", self.auto_label),
            ("prelabel", self.prelabel),
            ("predicted_domain", self.predicted_domain),
            ("reopened", self.reopened),
        )
        return {NOTE_KEY: note | {key: value for key, value in known if value is not None}}


@dataclass(frozen=True, kw_only=True, slots=True)
class ReviewNote:
    """What a review task remembers: the versions of the annotations that it was made from, and whose expertise it asks.

    `rests_on` is `[[annotation id, version], …]`, or whatever somebody put there; None where nothing is written.
    `columns` are the annotations of the passes in the order in which the panel shows them, where QA may return them.
    """

    rests_on: Any = None
    requires: Sequence[str] = ()
    columns: Sequence[int] = ()

    @classmethod
    def read(cls, meta: Any) -> ReviewNote:
        """The note in a review task's meta; an empty one where there is none."""
        note = _note_json(meta)
        requires = note.get("requires")
        columns = note.get("columns")
        return cls(
            rests_on=note.get("rests_on"),
            requires=requires if isinstance(requires, list) else (),
            columns=columns if isinstance(columns, list) else (),
        )

    def to_meta(self) -> Json:
        """The meta of a review task."""
        note: Json = {"rests_on": self.rests_on, "requires": list(self.requires)}
        return {NOTE_KEY: note | ({"columns": list(self.columns)} if self.columns else {})}

    def named(self, letters: Sequence[str]) -> list[int]:
        """The annotations of the passes that the panel shows under these letters."""
        return [self.columns[ord(letter) - ord("A")] for letter in letters if _is_letter(letter, len(self.columns))]

    def seal(self, row_id: str, stage: Stage) -> str:
        """What the task's form carries along unseen, so that an answer says itself what it was given on.

        Label Studio on SQLite gives the id of a deleted task out again: a form that is still open would answer
        whatever stands under its id by then.
        """
        content = json.dumps([row_id, stage.value, self.rests_on], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    @property
    def inputs(self) -> Mapping[int, str]:
        """Annotation id → version of all that the task was made from; empty for a list that is none of Quorum's."""
        pairs = self.rests_on if isinstance(self.rests_on, list) else []
        return {pair[0]: pair[1] for pair in pairs if _is_input(pair)}

    def still_holds(self, versions: Mapping[int, str], returned_at: str | None = None) -> bool:
        """True if every annotation that the task was made from is there in the same version.

        A task without a list was not made by Quorum, so nothing can have changed under it.

        Args:
            versions: Annotation id → its version now.
            returned_at: When the answer gave annotations back to their people, who have changed them since then.
        """
        if not isinstance(self.rests_on, list):
            return True
        if not all(map(_is_input, self.rests_on)):
            return False
        changed = [versions.get(pair[0], "") for pair in self.rests_on if versions.get(pair[0]) != pair[1]]
        return all(returned_at is not None and version > returned_at for version in changed)


def _is_input(pair: Any) -> bool:
    """Whether this names an annotation and its version; anybody may write into a task's meta on a stock server."""
    return isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], int)


def _is_letter(letter: str, columns: int) -> bool:
    return len(letter) == 1 and 0 <= ord(letter) - ord("A") < columns


def with_reopening(meta: Any, entry: Mapping[str, Any]) -> Json:
    """The meta of a Pass task with one reopening more; all else that stands there stays."""
    note = _note_json(meta)
    earlier = note.get("reopened")
    # What is no list was put there by hand; the rules name it, so it is kept.
    entries = [*earlier] if isinstance(earlier, list) else [] if earlier is None else [earlier]
    return {**(meta if isinstance(meta, dict) else {}), NOTE_KEY: {**note, "reopened": [*entries, dict(entry)]}}


def note_of(task: Task) -> RowNote:
    """The note of a Pass task."""
    return RowNote.read(task.meta)


def review_note_of(task: Task) -> ReviewNote:
    """The note of a QA or Expert task."""
    return ReviewNote.read(task.meta)


def task_data(row: Row) -> Json:
    """What a Pass task shows: nothing that an annotator must not see.

    >>> task_data(Row(row_id="r", context="", query="q", response="a", extra={"gold": "yes"}))
    {'row_id': 'r', 'context': '', 'query': 'q', 'response': 'a'}
    """
    data: Json = {"row_id": row.row_id, "context": row.context, "query": row.query, "response": row.response}
    return data if row.domain is None else data | {"domain": row.domain}


def row_task(
    row: Row,
    *,
    import_id: str,
    interface: Interface,
    pre_filled: bool = True,
    model: NewPrediction | None = None,
    domain: str | None = None,
) -> NewTask:
    """The Pass task of a row.

    Args:
        row: The row.
        import_id: The import that brings it.
        interface: What people fill in.
        pre_filled: False for a row from which the policy withholds the pre-annotation.
        model: What an ML backend pre-annotated, for a row without an auto-label.
        domain: What an ML backend takes for the domain, for a row that names none.
    """
    data = task_data(row)
    note = RowNote(
        import_id=import_id,
        content_hash=row_hash(row),
        extra=row.extra,
        auto_label=_as_json(row.auto_label),
        prelabel=None if model is None else model.model_version,
        predicted_domain=domain,
    )
    predictions: tuple[NewPrediction, ...] = ()
    if pre_filled and row.auto_label:
        predictions = (auto_label_prediction(to_result(row.auto_label, interface.controls, data)),)
    elif model is not None:
        # The prediction as it was made, and a copy that Label Studio pre-fills from: it serves one version a project.
        predictions = (model, auto_label_prediction(model.result, model.score))
    return NewTask(data=data, meta=note.to_meta(), predictions=predictions)


def auto_label_prediction(result: Result, score: float | None = None) -> NewPrediction:
    """The prediction that the Pass form opens with."""
    return NewPrediction(model_version=AUTO_LABEL, result=result, score=score)


def seal_result(note: ReviewNote, row_id: str, stage: Stage) -> Result:
    """The part of a review task's prediction that its form sends back unseen."""
    return to_result({SEAL: note.seal(row_id, stage)}, decision_controls(), {})


def proposal_prediction(result: Result) -> NewPrediction:
    """The prediction that a review form opens with."""
    return NewPrediction(model_version=PROPOSAL, result=result)


def imported_row(task: Task) -> Row:
    """The row as its Pass task holds it."""
    return _row_in(task.data, note_of(task))


def holds_row(data: Mapping[str, Any], meta: Any) -> bool:
    """True if this is the data and meta of a row as `quorum import` sends it: with an id, and the hash of its content.

    >>> holds_row({"row_id": "r1", "text": "brought in by hand"}, {})
    False
    """
    note = RowNote.read(meta)
    return bool(data.get("row_id")) and note.content_hash == row_hash(_row_in(data, note))


def _row_in(data: Mapping[str, Any], note: RowNote) -> Row:
    return Row(
        row_id=str(data.get("row_id", "")),
        context=str(data.get("context", "")),
        query=str(data.get("query", "")),
        response=str(data.get("response", "")),
        domain=data.get("domain"),
        auto_label=note.auto_label if isinstance(note.auto_label, dict) else None,
        extra=note.extra,
    )


def is_as_imported(task: Task) -> bool:
    """False if a Pass task holds another content than was imported; True too where no hash was written."""
    content_hash = note_of(task).content_hash
    return content_hash is None or is_hash_of(content_hash, imported_row(task))


def has_prediction(task: Task, model_version: str) -> bool:
    """True if the task has a prediction of this version."""
    return any(prediction.model_version == model_version for prediction in task.predictions)


def prediction_values(task: Task, model_version: str, interface: Interface) -> dict[str, Any]:
    """The values of a task's latest prediction of this version (empty if it has none)."""
    for prediction in reversed(task.predictions):
        if prediction.model_version == model_version:
            return from_result(prediction.result, interface.controls, task.data).values
    return {}


def prelabel_of(task: Task, interface: Interface) -> Json | None:
    """What pre-filled the Pass form: the model version as it ran, its score and the values; None for an empty form."""
    served = [prediction for prediction in task.predictions if prediction.model_version == AUTO_LABEL]
    if not served:
        return None
    values = prediction_values(task, AUTO_LABEL, interface)
    return {"model_version": note_of(task).prelabel or AUTO_LABEL, "score": served[-1].score, "values": values}


def _note_json(meta: Any) -> Json:
    note = meta.get(NOTE_KEY) if isinstance(meta, dict) else None
    return note if isinstance(note, dict) else {}


def _text(value: Any) -> str | None:
    # A number that somebody wrote there is no hash and no import of ours, but it is not nothing either.
    return None if value is None else str(value)


def _as_json(value: object) -> Any:
    """The value as JSON holds it: lists for tuples, plain dicts for mappings."""
    return None if value is None else json.loads(json.dumps(value, default=dict))
