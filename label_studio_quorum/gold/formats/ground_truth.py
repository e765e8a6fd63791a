"""SageMaker Ground Truth output manifests: a line's own keys, then the chain auto-label → passes → adjustment."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from label_studio_quorum.gold.spool import STAGES, Spool, json_line
from label_studio_quorum.intake.other_tools import GT_JOB, GT_RENAMED
from ls_config import Control, Interface
from review_rules import Kind
from review_rules.canonical import same

__all__ = ["ATTRIBUTE_LIMIT", "LINE_LIMIT", "write_manifest"]

ATTRIBUTE_LIMIT = 20_000
LINE_LIMIT = 100_000
_TYPES = {
    "choice": "groundtruth/text-classification",
    "choices": "groundtruth/text-classification-multilabel",
    "rating": "groundtruth/text-classification",
    "spans": "groundtruth/text-span",
}


def write_manifest(spool: Spool, path: Path, lints: Counter[str], interface: Interface) -> None:
    """Write one JSON object a line, as Ground Truth does after a chain of jobs.

    `source` is the response; every column of the row stays a key of its own. For each field: `auto-<field>`
    (human-annotated no), `pass-<n>-<field>` for each counted pass, `adjusted-<field>` for the final label with
    `adjustment-status`. A rating is a class. Texts, numbers and regions have no type there; their final value is a
    plain key. Limits that Ground Truth sets are linted.
    """
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for record in spool:
            made = _line(record, interface, lints)
            _lint(made, lints)
            file.write(json_line(made) + "\n")


def _line(record: Mapping[str, Any], interface: Interface, lints: Counter[str]) -> dict[str, Any]:
    row = dict(record["row"])
    made: dict[str, Any] = {
        "source": row.pop("response", ""),
        **{GT_RENAMED.get(str(name), str(name)): value for name, value in row.items()},
    }
    final = (record.get("final") or {}).get("values") or {}
    for control in interface.controls:
        if control.kind not in _TYPES:
            if control.name in final:
                lints[f"'{control.name}' has no Ground Truth type; its final value is a plain key"] += 1
                made[f"final-{control.name}"] = final[control.name].get("value")
            continue
        for name, value, about in _chain(record, control, final):
            made[name] = _label(control, value)
            made[name + "-metadata"] = _metadata(control, value) | about
    return made


def _chain(
    record: Mapping[str, Any], control: Control, final: Mapping[str, Any]
) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Attribute, value and the metadata that all kinds share, in order of time."""
    auto = (record.get("auto_label") or {}).get(control.name)
    certificate = record.get("certificate") or {}
    # What stands there without a person never counts, and its values may be none of their kinds.
    passes = {passed["by"]: passed for passed in record.get("passes") or () if passed.get("by")}
    counted = [passes[who] for who in certificate.get("passes", ()) if who in passes] or list(passes.values())
    times = [_when(submission.get("at")) for stage in STAGES for submission in record.get(stage) or ()]
    if auto is not None:
        yield f"auto-{control.name}", auto, _about("auto", min(times, default=_when(None)), human=False)
    for number, passed in enumerate(counted, 1):
        value = (passed.get("values") or {}).get(control.name)
        if value is not None:
            yield f"pass-{number}-{control.name}", value, _about(f"pass-{number}", _when(passed.get("at")), human=True)
    if control.name in final:
        value = final[control.name].get("value")
        first = counted[0].get("values", {}).get(control.name) if counted else auto
        before = auto if auto is not None else first
        status = "unadjusted" if same(Kind.of(control.kind), value, before) else "adjusted"
        about = _about("final", max(times, default=_when(None)), human=True) | {"adjustment-status": status}
        yield f"adjusted-{control.name}", value, about | _confidence(record, control, value)


def _about(job: str, when: str, *, human: bool) -> dict[str, Any]:
    return {"job-name": GT_JOB + job, "human-annotated": "yes" if human else "no", "creation-date": when}


def _when(at: Any) -> str:
    """Ground Truth writes times in UTC without an offset."""
    try:
        moment = datetime.datetime.fromisoformat(str(at))
    except ValueError:
        moment = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return moment.astimezone(datetime.UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


def _confidence(record: Mapping[str, Any], control: Control, value: Any) -> dict[str, Any]:
    """Agreement of the passes stands for confidence; Ground Truth itself writes 0 where one person labelled."""
    score = ((record.get("comparison") or {}).get(control.name) or {}).get("score") or 0
    if control.kind == "choices":
        return {
            "confidence-map": {str(control.labels.index(label)): score for label in value if label in control.labels}
        }
    if control.kind == "spans":
        return {"entities": [{"confidence": score} for _ in value]}
    return {"confidence": score}


def _label(control: Control, value: Any) -> Any:
    if control.kind == "spans":
        labels = [{"label": label} for label in control.labels]
        entities = [{"label": span["label"], "startOffset": span["start"], "endOffset": span["end"]} for span in value]
        return {"annotations": {"labels": labels, "entities": entities}}
    if control.kind == "choices":
        return [control.labels.index(label) for label in value if label in control.labels]
    if control.kind == "rating":
        return str(int(value) - int(control.min or 0))
    return str(control.labels.index(value)) if value in control.labels else str(value)


def _metadata(control: Control, value: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"type": _TYPES[control.kind]}
    if control.kind == "spans":
        made["entities"] = [{"confidence": 0} for _ in value]
    elif control.kind == "choices":
        named = {str(control.labels.index(label)): label for label in value if label in control.labels}
        made |= {"class-map": named, "confidence-map": dict.fromkeys(named, 0)}
    else:
        made |= {"class-name": str(value), "confidence": 0}
    return made


def _lint(made: Mapping[str, Any], lints: Counter[str]) -> None:
    for name, value in made.items():
        if len(value if isinstance(value, str) else json_line(value)) > ATTRIBUTE_LIMIT:
            lints[f"attribute '{name}' longer than {ATTRIBUTE_LIMIT:,} characters"] += 1
        if name.endswith("-ref") and name + "-metadata" in made:
            lints[f"attribute '{name}' ends with -ref, which Ground Truth keeps for references"] += 1
    if len(json_line(made)) > LINE_LIMIT:
        lints[f"lines longer than {LINE_LIMIT:,} characters"] += 1
