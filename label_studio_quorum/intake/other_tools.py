"""Records of other tools as rows: Label Studio's exports, Ground Truth augmented manifests, and Quorum's own full
records.

Each function turns one record into the columns of the row contract; whatever has no column there is kept as a column
of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from label_studio_quorum.intake.cells import decode
from label_studio_quorum.intake.text_file import Record
from ls_config import Control, Interface
from ls_config.results import from_result

__all__ = ["GT_JOB", "GT_KINDS", "GT_RENAMED", "shape_of", "unwrap"]

_META = "-metadata"
_GT = "groundtruth/"
GT_JOB = "quorum/"
"""Job names of the attributes that Quorum's own manifests add to a line."""

GT_RENAMED = {name: f"row.{name}" for name in ("source", "source-ref")}
"""Columns of a row whose names a manifest keeps for the text itself."""

_TASK, _TEXT = "task-", "gt-"
"""What ids begin with that are made of a task's number, and of a text."""

GT_KINDS = {
    "groundtruth/text-classification": "choice",
    "groundtruth/text-classification-multilabel": "choices",
    "groundtruth/text-span": "spans",
}


def shape_of(values: Mapping[str, Any]) -> str:
    """Tell what wrote a record: `record` (Quorum), `label-studio`, `ground-truth`, or `row`."""
    if isinstance(values.get("row"), Mapping) and "row_id" in values:
        return "record"
    if isinstance(values.get("data"), Mapping) and not {"response", "query"} & values.keys():
        return "label-studio"
    if ("source" in values or "source-ref" in values) and any(_is_label(values, name) for name in values):
        return "ground-truth"
    return "row"


def unwrap(record: Record, interface: Interface | None, *, shape: str | None = None) -> Record:
    """The record as a row of the contract's columns, whatever wrote it."""
    match shape or shape_of(record.values):
        case "record":
            values = dict(record.values["row"])
        case "label-studio":
            values = _label_studio(record.values, interface)
        case "ground-truth":
            values = _ground_truth(record.values, interface)
        case _:
            values = decode(record.values)
    return Record(values, record.place, record.typed, _made_of(record.values, values))


def _made_of(line: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    """What the row's id was made of; empty where the file itself gives it."""
    row_id = values.get("id")
    # Neither kind of id stands in the file, where nobody would find it.
    if not isinstance(row_id, str) or row_id in (line.get("id"), line.get("row_id")):
        return ""
    data = line.get("data")
    if isinstance(data, Mapping):
        return "task" if row_id not in (data.get("id"), data.get("row_id")) and row_id.startswith(_TASK) else ""
    return "text" if row_id.startswith(_TEXT) and "id" not in line else ""


# --- Label Studio --------------------------------------------------------------------------------------------------


def _label_studio(task: Mapping[str, Any], interface: Interface | None) -> dict[str, Any]:
    data = dict(task["data"])
    row_id = (
        data.pop("row_id", None)
        or data.pop("id", None)
        or (f"{_TASK}{task['id']}" if task.get("id") is not None else None)
    )
    row: dict[str, Any] = {"id": row_id, "context": "", "query": "", **data}
    carried = ((task.get("meta") or {}).get("quorum") or {}) if isinstance(task.get("meta"), Mapping) else {}
    # Quorum's own export: the record says more than the task around it.
    if isinstance(carried, Mapping) and isinstance(carried.get("record"), Mapping):
        return dict(carried["record"].get("row", row))
    label = carried.get("auto_label") if isinstance(carried, Mapping) else None
    # A file of another tool: what its model predicted is the auto-label.
    if label is None and interface is not None:
        label = _first_values(task.get("predictions"), interface)
    if label:
        row["auto_label"] = label
    if annotations := task.get("annotations"):
        row["annotations"] = annotations
    return row | (carried.get("extra") or {} if isinstance(carried, Mapping) else {})


def _first_values(predictions: Any, interface: Interface) -> dict[str, Any] | None:
    """The values of the first prediction; spans keep their offsets and text as the file has them, to be checked like
    any other."""
    for prediction in predictions if isinstance(predictions, list) else ():
        if isinstance(prediction, Mapping) and prediction.get("result"):
            return dict(from_result(prediction["result"], interface.controls, {}).values)
    return None


# --- Ground Truth --------------------------------------------------------------------------------------------------


def _is_label(values: Mapping[str, Any], name: str) -> bool:
    meta = values.get(name + _META)
    return name in values and isinstance(meta, Mapping) and str(meta.get("type", "")).startswith(_GT)


def _ground_truth(line: Mapping[str, Any], interface: Interface | None) -> dict[str, Any]:
    """A manifest has no ids: without a key `id` a row is known by a hash of its text, so that the same line is the
    same row again."""
    kept = {name: value for name, value in line.items() if not _is_own(line, name)}
    row: dict[str, Any] = {"context": "", "query": "", **kept}
    row["response"] = row.pop("source", None) if "response" not in row else row["response"]
    # Half of a surrogate pair must not keep a line from having an id; it is told as a fault of its own.
    if "id" not in row and isinstance(row["response"], str):
        row["id"] = _TEXT + hashlib.sha256(row["response"].encode("utf-8", "surrogatepass")).hexdigest()[:16]
    row |= {name: row.pop(renamed) for name, renamed in GT_RENAMED.items() if renamed in row}
    auto = dict(_auto_label(kept, interface)) if interface is not None else {}
    if auto and "auto_label" not in row:
        row["auto_label"] = auto
    return row


def _is_own(line: Mapping[str, Any], name: str) -> bool:
    meta = line.get(name if name.endswith(_META) else name + _META)
    return isinstance(meta, Mapping) and str(meta.get("job-name", "")).startswith(GT_JOB)


def _auto_label(line: Mapping[str, Any], interface: Interface) -> Iterator[tuple[str, Any]]:
    """The latest label of the chain for each control: adjustments after what they adjusted; verifications judge, they
    do not label."""
    chain = sorted(
        (name for name in line if _is_label(line, name)),
        key=lambda name: str(line[name + _META].get("creation-date", "")),
    )
    taken: dict[str, Any] = {}
    for name in chain:
        control = _control_for(name, GT_KINDS.get(line[name + _META]["type"]), interface.controls)
        # An attribute for which the interface has no control stays as a column.
        if control is not None:
            taken[control.name] = _gt_value(control, line[name], line[name + _META])
    yield from ((name, value) for name, value in taken.items() if value is not None)


def _control_for(attribute: str, kind: str | None, controls: Iterable[Control]) -> Control | None:
    """The control that an attribute labels: of its kind, by name if one is alike, else if only one is of the kind."""
    alike = [control for control in controls if control.kind == kind]
    plain = attribute.replace("-", "_").lower()
    named = [
        control
        for control in alike
        if control.name.lower() in (plain, plain.removeprefix("adjusted_"), plain.removeprefix("auto_"))
    ]
    # Several controls of one kind and no name alike: guessing would put a label on the wrong field.
    return named[0] if named else alike[0] if len(alike) == 1 else None


def _gt_value(control: Control, value: Any, meta: Mapping[str, Any]) -> Any:
    if control.kind == "choice":
        return meta.get("class-name")
    if control.kind == "choices":
        names = meta.get("class-map") or {}
        return [names.get(str(label), str(label)) for label in value] if isinstance(value, list) else None
    entities = ((value or {}).get("annotations") or {}).get("entities") if isinstance(value, Mapping) else None
    if not isinstance(entities, list):
        return None
    return [
        {"start": entity.get("startOffset"), "end": entity.get("endOffset"), "label": entity.get("label")}
        for entity in entities
        if isinstance(entity, Mapping)
    ]
