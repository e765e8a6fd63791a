"""Label Studio's own JSON: a list of tasks with predictions and annotations, ready to be imported into any Label
Studio."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from label_studio_quorum.gold.spool import STAGES, Spool, json_line
from ls_config import Interface, ResultError, to_result

__all__ = ["write_tasks"]


def write_tasks(spool: Spool, path: Path, lints: Counter[str], interface: Interface) -> None:
    """Write one task a record: the auto-label as a prediction, each submission and the final label (`ground_truth`)
    as annotations.

    The whole record is in `meta.quorum.record`. A value that the interface cannot hold is left out of the annotation
    and linted.
    """
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for number, record in enumerate(spool, 1):
            file.write(("[\n" if number == 1 else ",\n") + json_line(_task(number, record, interface, lints)))
        file.write("\n]\n" if spool.rows else "[]\n")


def _task(number: int, record: Mapping[str, Any], interface: Interface, lints: Counter[str]) -> dict[str, Any]:
    row = record["row"]
    data = {"row_id": record["row_id"], **{name: row.get(name) or "" for name in ("context", "query", "response")}}
    if row.get("domain"):
        data["domain"] = row["domain"]
    task: dict[str, Any] = {"id": number, "data": data, "meta": {"quorum": {"record": record}}}
    task["annotations"] = list(_annotations(record, interface, data, lints))
    auto = record.get("auto_label")
    if auto:
        task["predictions"] = [{"model_version": "auto-label", "result": _result(auto, interface, data, lints)}]
    return task


def _annotations(
    record: Mapping[str, Any], interface: Interface, data: Mapping[str, Any], lints: Counter[str]
) -> Iterator[dict[str, Any]]:
    for stage in STAGES:
        for submission in record.get(stage) or ():
            yield {
                "result": _result(submission.get("values") or {}, interface, data, lints),
                "created_at": submission.get("at"),
                "lead_time": submission.get("lead_time"),
                "ground_truth": False,
                "meta": {
                    "quorum": {"stage": stage, "by": submission.get("by"), "decision": submission.get("decision")}
                },
            }
    final = (record.get("final") or {}).get("values")
    if final is not None:
        values = {name: label.get("value") for name, label in final.items()}
        yield {
            "result": _result(values, interface, data, lints),
            "ground_truth": True,
            "meta": {"quorum": {"stage": "final"}},
        }


def _result(
    values: Mapping[str, Any], interface: Interface, data: Mapping[str, Any], lints: Counter[str]
) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for name, value in values.items():
        try:
            made += to_result({name: value}, interface.controls, data)
        except ResultError as error:
            lints[f"left out of an annotation: {str(error).split(':')[0]}"] += 1
    return made
