"""Label Studio's own JSON: a list of tasks with predictions and annotations, ready to be imported into any Label
Studio."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from label_studio_quorum.gold.spool import STAGES, Spool, json_line
from ls_config import Control, Interface, ResultError, from_result, to_result
from review_rules import Kind
from review_rules.canonical import same
from review_rules.canonical_json import is_same
from review_rules.seals import DIGEST, PLACE, Digest

__all__ = ["TASK_DIGEST", "differing_parts", "write_tasks"]

TASK_DIGEST = f"meta.quorum.{DIGEST}"
"""Where a task holds its own digest."""

_LEFT_OUT = "left_out"
"""The key under which an annotation names the fields whose values the interface cannot hold."""


def write_tasks(spool: Spool, path: Path, lints: Counter[str], interface: Interface) -> None:
    """Write one task a record: the auto-label as a prediction, each submission and the final label (`ground_truth`)
    as annotations.

    The whole record is in `meta.quorum.record`, beside a digest of the task. A value that the interface cannot hold is
    left out of the annotation, named in it, and linted.
    """
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for number, record in enumerate(spool, 1):
            file.write(("[\n" if number == 1 else ",\n") + json_line(_task(number, record, interface, lints)))
        file.write("\n]\n" if spool.rows else "[]\n")


def _task(number: int, record: Mapping[str, Any], interface: Interface, lints: Counter[str]) -> dict[str, Any]:
    data = _data(record)
    task: dict[str, Any] = {"id": number, "data": data, "meta": {"quorum": {"record": record}}}
    task["annotations"] = [_written(answer, interface, data, lints) for answer in _answers(record)]
    if auto := record.get("auto_label"):
        task["predictions"] = [_written(_Answer(auto, {"model_version": "auto-label"}), interface, data, lints)]
    task["meta"]["quorum"][DIGEST] = Digest.of(task).record
    return task


def _data(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a task shows of its row."""
    row = record["row"]
    data = {"row_id": record["row_id"], **{name: row.get(name) or "" for name in ("context", "query", "response")}}
    return data | {"domain": row["domain"]} if row.get("domain") else data


@dataclass(frozen=True, slots=True)
class _Answer:
    """What an annotation says: the values, and all beside its result."""

    values: Mapping[str, Any]
    frame: Mapping[str, Any]


def _answers(record: Mapping[str, Any]) -> Iterator[_Answer]:
    """Every submission, and the final label as the ground truth."""
    for stage in STAGES:
        for submission in record.get(stage) or ():
            about = {"stage": stage, "by": submission.get("by"), "decision": submission.get("decision")}
            frame = {
                "created_at": submission.get("at"),
                "lead_time": submission.get("lead_time"),
                "ground_truth": False,
                "meta": {"quorum": about},
            }
            yield _Answer(submission.get("values") or {}, frame)
    final = (record.get("final") or {}).get("values")
    if final is not None:
        values = {name: label.get("value") for name, label in final.items()}
        yield _Answer(values, {"ground_truth": True, "meta": {"quorum": {"stage": "final"}}})


def _written(answer: _Answer, interface: Interface, data: Mapping[str, Any], lints: Counter[str]) -> dict[str, Any]:
    """An annotation or prediction; the fields whose values the interface cannot hold are named in it."""
    result: list[dict[str, Any]] = []
    left_out: list[str] = []
    for name, value in answer.values.items():
        try:
            result += to_result({name: value}, interface.controls, data)
        except ResultError as error:
            lints[f"left out of an annotation: {str(error).split(':')[0]}"] += 1
            left_out.append(name)
    return {"result": result, **answer.frame, **({_LEFT_OUT: left_out} if left_out else {})}


def differing_parts(task: Mapping[str, Any], record: Mapping[str, Any]) -> list[str]:
    """The parts of a task that say other than the record in its meta."""
    parts = [f"data.{name}" for name in _differing_keys(task.get("data"), _data(record))]
    place, is_bound = record.get(PLACE), DIGEST in record
    if isinstance(place, dict) and not is_same(task.get("id"), place.get("number")):
        parts.append("id")
    auto = record.get("auto_label")
    predicted = [_Answer(auto, {"model_version": "auto-label"})] if isinstance(auto, dict) and auto else []
    for key, answers in (("annotations", list(_answers(record))), ("predictions", predicted)):
        shown = task.get(key) or []
        if not isinstance(shown, list) or len(shown) != len(answers):
            parts.append(key)
            continue
        for number, (item, answer) in enumerate(zip(shown, answers, strict=True)):
            parts += [f"{key}[{number}].{part}" for part in _differing(item, answer, record)]
    # The digest covers the parts that were named as well.
    if not parts and is_bound and _claimed_digest(task) != Digest.of(_undigested(task)).record:
        parts.append(TASK_DIGEST)
    return parts


def _claimed_digest(task: Mapping[str, Any]) -> Any:
    return task["meta"]["quorum"].get(DIGEST)


def _undigested(task: Mapping[str, Any]) -> dict[str, Any]:
    """The task as its digest was made of it: programs that make a table of tasks add null where a task has no key."""
    quorum = {key: value for key, value in task["meta"]["quorum"].items() if key != DIGEST}
    present = {key: value for key, value in task.items() if value is not None}
    return present | {"meta": {**task["meta"], "quorum": quorum}}


def _differing_keys(shown: Any, expected: Mapping[str, Any]) -> list[str]:
    known = shown if isinstance(shown, dict) else {}
    return sorted(
        key
        for key in {*known, *expected}
        if key not in known or key not in expected or not is_same(known[key], expected[key])
    )


def _differing(item: Any, answer: _Answer, record: Mapping[str, Any]) -> list[str]:
    """The parts of an annotation or prediction that say other than the record."""
    if not isinstance(item, dict):
        return ["result"]
    frame = {key: value for key, value in item.items() if key not in ("result", _LEFT_OUT)}
    parts = _differing_keys(frame, answer.frame)
    kinds = {kind.value: kind for kind in Kind}
    fields = record.get("fields")
    known = {
        name: kinds[about["kind"]]
        for name, about in (fields.items() if isinstance(fields, dict) else ())
        if isinstance(about, dict) and about.get("kind") in list(kinds)
    }
    parsed = from_result(item.get("result"), _controls(item.get("result"), known), {}, known_only=True)
    wrong = {f"result.{fault.control}".rstrip(".") for fault in parsed.wrong}
    # Exports of 0.1.0 do not say what they left out.
    left_out = item.get(_LEFT_OUT) or () if DIGEST in record else known.keys() - parsed.values.keys()
    for name, kind in known.items():
        expected = answer.values.get(name)
        is_left_out = name in left_out and name not in parsed.values
        if not is_left_out and not same(kind, parsed.values.get(name), None if expected == "" else expected):
            wrong.add(f"result.{name}")
    return parts + sorted(wrong)


def _controls(result: Any, kinds: Mapping[str, Kind]) -> list[Control]:
    """Controls that read a result by the kinds of the fields alone: a record does not name labels and tags."""
    types = {
        item.get("from_name"): item.get("type")
        for item in (result if isinstance(result, list) else ())
        if isinstance(item, dict) and isinstance(item.get("from_name"), str) and isinstance(item.get("type"), str)
    }
    return [
        Control(name=name, kind=kind.value, to_name="", value_key="", result_type=types.get(name) or "")
        for name, kind in kinds.items()
    ]
