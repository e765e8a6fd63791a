"""Tries a candidate before it may answer anybody: it loads, knows the labels, and gives sound offsets and scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ls_config.interface import Interface
from ls_config.results import from_result
from ml_backend.local import LocalModel
from ml_backend.models import TaskPrediction

PROBES: tuple[dict[str, str], ...] = (
    {"context": "", "query": "", "response": "x"},
    {"context": "", "query": "Who?", "response": "😀👨‍👩‍👧 Ana met José in São Paulo.\r\nשלום 世界 e\u0301"},
    {"context": "c " * 4000, "query": "q", "response": "Ana paid $3.2 million in May 2023. " * 300},
)
"""Texts that break careless models: one letter, emoji and combining marks, more than one window."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckReport:
    """What a check found.

    Attributes:
        answered: control → rows with a value.
        abstained: control → the most frequent reason why a row has none.
        problems: one line each; empty if the candidate is sound.
    """

    version: str
    rows: int
    answered: Mapping[str, int]
    abstained: Mapping[str, str]
    problems: tuple[str, ...]


def check(model: LocalModel, interface: Interface, rows: Sequence[Mapping[str, Any]]) -> CheckReport:
    """Run the interface's sample, the probes and the rows, and look at every answer."""
    sample = interface.sample_task.get("data")
    inputs = [*([sample] if isinstance(sample, dict) else []), *PROBES, *rows]
    predictions = model.predict(inputs, interface.controls)
    problems = _misfits(model, interface)
    if len(predictions) != len(inputs):
        problems.append(f"{len(predictions)} predictions for {len(inputs)} rows")
    # Not strict: a predictor that loses rows is what this looks for, and it is told one line above.
    for index, (row, prediction) in enumerate(zip(inputs, predictions, strict=False)):
        problems += [f"row {row.get('id', index)}: {fault}" for fault in _faults(row, prediction, interface)]
    # A few rows suffice: what depends on a batch's neighbours or on a random state shows at once.
    repeats = model.predict(inputs[:8], interface.controls)
    if [p.values.keys() for p in repeats] != [p.values.keys() for p in predictions[:8]]:
        problems.append("asked again, the model answers other fields: its answers depend on something hidden")
    answered = {c.name: sum(c.name in prediction.values for prediction in predictions) for c in interface.controls}
    unbound = {name: _reason(name, predictions) for name, count in answered.items() if count == 0}
    return CheckReport(
        version=model.version, rows=len(inputs), answered=answered, abstained=unbound, problems=tuple(problems)
    )


def _misfits(model: LocalModel, interface: Interface) -> list[str]:
    """Why predictors can't answer the controls that they are meant for: a label that the interface lacks, for one.

    Such a predictor never answers, so that no prediction shows it.
    """
    bound = ((control.name, model.models.predictors.get(control.name), control) for control in interface.controls)
    reasons = ((name, predictor.check(control)) for name, predictor, control in bound if predictor is not None)
    return [f"{name}: {why}" for name, why in reasons if why]


def _reason(control: str, predictions: Sequence[TaskPrediction]) -> str:
    reasons = [prediction.reasons[control] for prediction in predictions if control in prediction.reasons]
    return max(set(reasons), key=reasons.count) if reasons else "no answer and no reason"


def _faults(row: Mapping[str, Any], prediction: TaskPrediction, interface: Interface) -> list[str]:
    faults = list(from_result(prediction.result, interface.controls, row).problems)
    faults += [
        f"{name}: {why}" for name, why in prediction.reasons.items() if "does not fit" in why or "not a number" in why
    ]
    if prediction.score is not None and not (math.isfinite(prediction.score) and 0 <= prediction.score <= 1):
        faults.append(f"score {prediction.score} is not within 0 and 1")
    for control in interface.controls:
        for span in prediction.values.get(control.name, []) if control.kind == "spans" else []:
            text = row.get(control.value_key, "")
            # Offsets in bytes or UTF-16 look right in English; the probes' emoji and accents move them.
            if text[span["start"] : span["end"]] != span["text"]:
                faults.append(f"{control.name}: a span's text is not what stands at its offsets")
    return faults
