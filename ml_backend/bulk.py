"""Pre-labels many rows: in this process, or on a Ray cluster, with the same answers in the same order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from ls_config.interface import Control
from ml_backend.local import LocalModel
from ml_backend.models import TaskPrediction
from review_rules import extras

Record = dict[str, Any]
SHARD = 16
"""Batches that a Ray run takes at a time: what is lost when it is killed, and what bounds its memory."""


def record(row_id: str, prediction: TaskPrediction, version: str) -> Record:
    """Return what is written for one row."""
    domain = prediction.domain or {}
    return {
        "id": row_id,
        "auto_label": {name: _plain(value) for name, value in prediction.values.items()},
        # An unsure router is as good as none: the row would be sent to experts of a guessed domain.
        "predicted_domain": None if domain.get("value") in (None, "unsure") else domain["value"],
        "model_version": version,
        "score": prediction.score,
        "scores": {name: round(score, 4) for name, score in prediction.scores.items()},
        "reasons": dict(prediction.reasons),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        # An imported row has no place for the score of one span.
        return [{key: span[key] for key in ("start", "end", "label", "text")} for span in value]
    return value


def run_local(
    model: LocalModel, rows: Iterable[Mapping[str, Any]], controls: tuple[Control, ...], batch: int
) -> Iterator[Record]:
    """Yield one record a row, in the same order; memory holds one batch."""
    iterator = iter(rows)
    while part := list(islice(iterator, batch)):
        for row, prediction in zip(part, model.predict(part, controls), strict=True):
            yield record(str(row["id"]), prediction, model.version)


class RayWorker:
    """An actor of a Ray run opens the model once and answers batches."""

    def __init__(self, models: str, name: str | None, controls: tuple[Control, ...], threads: int) -> None:
        self._model = LocalModel(Path(models), name, threads=threads)
        self._controls = controls

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Answer a batch of rows given as JSON text, as records of JSON text."""
        import json

        rows = [json.loads(text) for text in batch["row"]]
        predictions = self._model.predict(rows, self._controls)
        records = [record(str(r["id"]), p, self._model.version) for r, p in zip(rows, predictions, strict=True)]
        return {"record": [json.dumps(entry, ensure_ascii=False) for entry in records]}


def run_ray(
    models: Path,
    name: str | None,
    rows: Iterable[Mapping[str, Any]],
    controls: tuple[Control, ...],
    batch: int,
    workers: int,
) -> Iterator[Record]:
    """Do what `run_local` does on Ray: on the cluster of `RAY_ADDRESS`, or on one started on this machine.

    Raises:
        MissingExtra: Ray is not installed.
    """
    import json

    extras.require("the engine ray", "ray")
    import ray
    import ray.data

    ray.init(ignore_reinit_error=True, include_dashboard=False, log_to_driver=False, configure_logging=False)
    context = ray.data.DataContext.get_current()
    # Ray gives back what is ready first; the answers have to stand in the order of the rows.
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    iterator = iter(rows)
    try:
        # A part at a time: `from_items` holds all that it is handed, and the rows may be more than the memory.
        while part := list(islice(iterator, batch * workers * SHARD)):
            data = ray.data.from_items([{"row": json.dumps(dict(row), ensure_ascii=False)} for row in part])
            answers = data.map_batches(
                RayWorker, fn_constructor_args=(str(models.resolve()), name, controls, 1), batch_size=batch,
                concurrency=workers, num_cpus=1,
            )  # fmt: skip
            for answer in answers.iter_rows():
                yield json.loads(answer["record"])
    finally:
        ray.shutdown()
