"""Makes any `LabelStudioMLBase` class a predictor, by `module:Class` (label-studio-ml: see docs/models.md)."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from ls_config.interface import Control
from ls_config.results import from_result
from ml_backend.errors import LoadError
from ml_backend.predictors import base
from ml_backend.predictors.base import Answer, Outcome, Predictor, TaskRow
from review_rules import extras


class LabelStudioML(Predictor):
    """Hands tasks to the class's `predict`, one at a time, and reads back the control's part of each result.

    One at a time because such a class may skip a task: the answers that follow would slide onto other tasks.
    """

    kinds: ClassVar[frozenset[str]] = frozenset(
        {"choice", "choices", "spans", "rating", "number", "text", "boxes", "segments"}
    )

    class Settings(base.Settings):
        """`source` is `module:Class`; `arguments` go to its constructor.

        `label_config` is the XML that it is made with, or `path:` and its file.
        """

        source: str = Field(pattern=r"^[\w.]+:\w+$")
        label_config: str | None = None
        arguments: dict[str, Any] = Field(default_factory=dict)

    def __init__(self, settings: Settings, model: Any, identity: str) -> None:
        super().__init__(settings, identity)
        self._model = model
        self._lock = threading.Lock()

    @classmethod
    def load(cls, settings: Settings, loader: Any) -> LabelStudioML:
        """Import the class and make one of it."""
        module, _, name = settings.source.partition(":")
        try:
            model_class = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError) as error:
            # Only its own absence can be mended by installing it; any other import is the class's own matter.
            if isinstance(error, ImportError) and error.name in {"label_studio_ml", "label_studio_ml.model"}:
                raise extras.missing(settings.source, "label_studio_ml") from error
            raise LoadError(f"{settings.source}: can't be imported ({error}); is its folder on PYTHONPATH?") from error
        try:
            model = model_class(label_config=_xml(settings.label_config, loader), **settings.arguments)
        except Exception as error:
            raise LoadError(f"{settings.source}: its constructor failed: {type(error).__name__}") from error
        return cls(settings, model, loader.identity(settings, str(getattr(model, "model_version", ""))))

    def answer(self, row: TaskRow, control: Control, outcomes: Sequence[Outcome]) -> Answer:
        """See `Predictor`."""
        try:
            # Such classes are written for one request at a time: they keep what they work on in themselves.
            with self._lock:
                raw = self._model.predict([{"id": 0, "data": dict(row.data)}])
        except Exception as error:  # noqa: BLE001  foreign code: its failure costs one answer, not the server
            return Answer(reason=f"{self.settings.source} failed: {type(error).__name__}")
        first = first_prediction(raw)
        if first is None:
            return Answer(reason=f"{self.settings.source} gave no prediction")
        items = [
            item
            for item in first.get("result") or []
            if isinstance(item, dict) and item.get("from_name") == control.name
        ]
        parsed = from_result(items, [control], row.data)
        value = parsed.values.get(control.name)
        score = first.get("score")
        problems = "; ".join(parsed.problems) or None
        if value is None:
            return Answer(reason=problems or f"{self.settings.source} gave nothing for {control.name}")
        return Answer(value, float(score) if isinstance(score, int | float) else None, problems)


def _xml(label_config: str | None, loader: Any) -> str | None:
    if label_config is None or not label_config.startswith("path:"):
        return label_config
    path: Path = loader.resolve(label_config)
    return path.read_text(encoding="utf-8")


def first_prediction(raw: Any) -> Mapping[str, Any] | None:
    """Return the first prediction of what `predict` gave: a list, a ModelResponse, pydantic values, plain objects."""
    listed = getattr(raw, "predictions", raw)
    if not isinstance(listed, Sequence) or not listed:
        return None
    first = listed[0]
    # Some classes give a list of predictions for each task.
    if isinstance(first, list) and first:
        first = first[0]
    if hasattr(first, "model_dump"):
        first = first.model_dump()
    return first if isinstance(first, Mapping) else None
