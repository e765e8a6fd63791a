"""Records of other tools as rows: Label Studio's exports, Ground Truth augmented manifests, and Quorum's own full
records.

Each function turns one record into the columns of the row contract; whatever has no column there is kept as a column
of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from label_studio_quorum.intake.cells import decode
from label_studio_quorum.intake.checks.simple_values import as_number
from label_studio_quorum.intake.predictions import LabelNote, LabelNotes, chosen, read_prediction
from label_studio_quorum.intake.text_file import Record
from ls_config import Control, Interface

__all__ = ["GT_JOB", "GT_KINDS", "GT_RENAMED", "Unwrapped", "shape_of", "unwrap"]

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


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """A record as a row of the contract's columns, and what is to be told of the label that came with it."""

    record: Record
    notes: LabelNotes


def unwrap(record: Record, interface: Interface | None, *, shape: str | None = None) -> Unwrapped:
    """The record as a row of the contract's columns, whatever wrote it."""
    notes = LabelNotes()
    match shape or shape_of(record.values):
        case "record":
            values = dict(record.values["row"])
        case "label-studio":
            values, notes = _label_studio(record.values, interface)
        case "ground-truth":
            values, notes = _ground_truth(record.values, interface)
        case _:
            values = decode(record.values)
    return Unwrapped(Record(values, record.place, record.typed, _made_of(record.values, values)), notes)


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


def _label_studio(task: Mapping[str, Any], interface: Interface | None) -> tuple[dict[str, Any], LabelNotes]:
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
        return dict(carried["record"].get("row", row)), LabelNotes()
    label = carried.get("auto_label") if isinstance(carried, Mapping) else None
    # A file of another tool: what its model predicted is the auto-label.
    notes = LabelNotes()
    if label is None and interface is not None and (choice := chosen(task.get("predictions"))):
        at, taken, why = choice
        read = read_prediction(taken["result"], interface.controls, f"predictions[{at}]")
        label = read.values
        notes = LabelNotes(tuple([why, *read.notes] if why else read.notes), tuple(read.doubts), f"predictions[{at}]")
    if label:
        row["auto_label"] = label
    if annotations := task.get("annotations"):
        row["annotations"] = annotations
    return row | (carried.get("extra") or {} if isinstance(carried, Mapping) else {}), notes


# --- Ground Truth --------------------------------------------------------------------------------------------------


def _is_label(values: Mapping[str, Any], name: str) -> bool:
    meta = values.get(name + _META)
    return name in values and isinstance(meta, Mapping) and str(meta.get("type", "")).startswith(_GT)


def _ground_truth(line: Mapping[str, Any], interface: Interface | None) -> tuple[dict[str, Any], LabelNotes]:
    """A manifest has no ids: without a key `id` a row is known by a hash of its text, so that the same line is the
    same row again."""
    kept = {name: value for name, value in line.items() if not _is_own(line, name)}
    row: dict[str, Any] = {"context": "", "query": "", **kept}
    row["response"] = row.pop("source", None) if "response" not in row else row["response"]
    # Half of a surrogate pair must not keep a line from having an id; it is told as a fault of its own.
    if "id" not in row and isinstance(row["response"], str):
        row["id"] = _TEXT + hashlib.sha256(row["response"].encode("utf-8", "surrogatepass")).hexdigest()[:16]
    row |= {name: row.pop(renamed) for name, renamed in GT_RENAMED.items() if renamed in row}
    if interface is None or "auto_label" in row:
        return row, LabelNotes()
    auto, notes = _auto_label(kept, interface)
    if auto:
        row["auto_label"] = auto
    return row, LabelNotes(tuple(notes))


def _is_own(line: Mapping[str, Any], name: str) -> bool:
    meta = line.get(name if name.endswith(_META) else name + _META)
    return isinstance(meta, Mapping) and str(meta.get("job-name", "")).startswith(GT_JOB)


def _auto_label(line: Mapping[str, Any], interface: Interface) -> tuple[dict[str, Any], list[LabelNote]]:
    """The latest label of the chain for each control, and what to tell: adjustments come after what they adjusted; a
    label that its verification does not call good is not taken."""
    chain = sorted((name for name in line if _is_label(line, name)), key=lambda name: _made(line, name))
    refused = _refused(line, chain)
    taken: dict[str, Any] = {}
    notes: list[LabelNote] = []
    for name in chain:
        about = line[name + _META]
        control = _control_for(name, about, interface.controls)
        if control is None:
            # It stays as a column; a verification labels nothing.
            if line[name + _META]["type"] != _VERIFICATION:
                notes.append(LabelNote("QD.W046.control", name, {"name": name, "type": line[name + _META]["type"]}))
            continue
        if name in refused:
            verification, verdict = refused[name]
            notes.append(LabelNote("QD.W048", name, {"name": name, "verification": verification, "verdict": verdict}))
            continue
        value = _gt_value(control, line[name], about)
        if value is None:
            lacking = "entities" if control.kind == "spans" else "list" if control.kind == "choices" else "class-name"
            notes.append(LabelNote("QD.W046.class", name, {"name": name, "lacking": lacking}))
        else:
            taken[control.name] = value
    return taken, notes


def _made(line: Mapping[str, Any], name: str) -> str:
    return str(line[name + _META].get("creation-date", ""))


_VERIFICATION = _GT + "label-verification"
_GOOD = frozenset(
    {"accept", "accepted", "approve", "approved", "correct", "good", "ok", "okay", "pass", "passed", "right", "true",
     "valid", "yes"}
)  # fmt: skip
"""What the class of a verification is called that lets a label stand, in small letters."""


def _refused(line: Mapping[str, Any], chain: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Attributes that a verification does not call good, each with the verification and its word."""
    verifications = [name for name in chain if line[name + _META].get("type") == _VERIFICATION]
    labels = [name for name in chain if name not in verifications]
    words: dict[str, tuple[str, str]] = {}
    for name in verifications:
        verdict = line[name + _META].get("class-name")
        about = _verified(name, labels, line)
        # The last of several verifications counts.
        if about is not None and isinstance(verdict, str):
            words[about] = (name, verdict)
    return {name: word for name, word in words.items() if word[1].strip().casefold() not in _GOOD}


def _verified(verification: str, labels: Sequence[str], line: Mapping[str, Any]) -> str | None:
    """The attribute that a verification judges: the one whose name it holds (the longest), else the last one made
    before it."""
    named = [name for name in labels if name.lower() in verification.lower()]
    before = [name for name in labels if _made(line, name) <= _made(line, verification)]
    return max(named, key=len) if named else before[-1] if before else None


def _control_for(attribute: str, about: Mapping[str, Any], controls: Iterable[Control]) -> Control | None:
    """The control that an attribute labels: of its kind, by name if one is alike, else if only one is of the kind. A
    rating is a class whose name is a number."""
    kind = GT_KINDS.get(str(about["type"]))
    kinds = (kind, "rating") if kind == "choice" else (kind,)
    alike = [control for control in controls if control.kind in kinds]
    plain = attribute.replace("-", "_").lower()
    named = [
        control
        for control in alike
        if control.name.lower() in (plain, plain.removeprefix("adjusted_"), plain.removeprefix("auto_"))
    ]
    if named:
        return named[0]
    word = about.get("class-name")
    if kind == "choice" and isinstance(as_number(str(word)), int):
        kind = "choice" if any(word in control.labels for control in alike) else "rating"
    of_kind = [control for control in alike if control.kind == kind]
    # Several controls of one kind and no name alike: guessing would put a label on the wrong field.
    return of_kind[0] if len(of_kind) == 1 else None


def _gt_value(control: Control, value: Any, meta: Mapping[str, Any]) -> Any:
    if control.kind == "choice":
        return meta.get("class-name")
    if control.kind == "rating":
        name = meta.get("class-name")
        return as_number(name) if isinstance(name, str) else name
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
