"""What a person's form opened with, as a history says it under `shown`: version and hash of the prediction.

The plugin writes it down as it hands a task out. A stock server keeps less: with an answer that was given on the screen
it keeps the prediction that the form was filled from, and with any other nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from label_studio_quorum.port import Annotation, Json, Result, Task
from ls_config.interface import Control
from ls_config.results import from_result, with_labels_of_now
from review_rules.pre_annotation import values_hash
from review_rules.values import Kind

EMPTY_FORM: Final = {"version": None, "hash": None}
"""Of a form that opened with nothing filled in."""


def shown_of(version: str, result: Result, controls: Iterable[Control], data: Mapping[str, Any]) -> Json:
    """What a form says that opened with this prediction.

    Args:
        version: The prediction's `model_version`.
        result: What it fills in.
        controls: The form's fields.
        data: The task's data.
    """
    fields = tuple(controls)
    kinds = {control.name: Kind.of(control.kind) for control in fields}
    return {"version": version, "hash": values_hash(kinds, from_result(result, fields, data).values)}


def shown_to(annotation: Annotation, task: Task, controls: Iterable[Control]) -> Json | None:
    """What the form of this answer opened with, as far as the server knows it; None where it does not."""
    if annotation.shown is not None:
        return annotation.shown
    # Neither withheld nor asked of a model: there was nothing that the form could have opened with.
    if not task.predictions:
        return EMPTY_FORM
    parent = annotation.parent_prediction
    source = next((prediction for prediction in task.predictions if prediction.id == parent), None)
    return None if source is None else shown_of(source.model_version, source.result, controls, task.data)


def by_labels_of_now(shown: Json | None, auto_label: Any, controls: Iterable[Control]) -> Json | None:
    """What a form opened with, as a history says it after labels were renamed.

    Only its hash is kept, so that of the auto-label under its earlier labels becomes that of the auto-label of now,
    with the one that was written down beside it. Any other says what it said.
    """
    fields = tuple(controls)
    now = with_labels_of_now(auto_label, fields)
    if shown is None or not isinstance(auto_label, Mapping) or now == auto_label:
        return shown
    kinds = {control.name: Kind.of(control.kind) for control in fields}
    if shown.get("hash") != values_hash(kinds, auto_label):
        return shown
    return {**shown, "hash": values_hash(kinds, now), "hash_as_given": shown["hash"]}
