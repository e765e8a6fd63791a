"""Puts Quorum's models behind `label-studio-ml start` (version 2.x; docs/models.md says how to install it).

In the folder that is started, `model.py` says `from ml_backend.for_label_studio_ml import quorum_model` and
`NewModel = quorum_model()`. The models file is the one that `QUORUM_ML_MODELS` names, else the default one.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from ls_config.interface import parse
from ml_backend.config import DEFAULT_MODELS
from ml_backend.local import LocalModel
from review_rules import extras


@lru_cache(maxsize=1)
def _model() -> LocalModel:
    path = os.environ.get("QUORUM_ML_MODELS")
    return LocalModel(Path(path) if path else DEFAULT_MODELS)


def quorum_model() -> Any:
    """Make the class to serve, a `LabelStudioMLBase`; on call, as its base may not be installed.

    Raises:
        MissingExtra: label-studio-ml is not installed.
    """
    extras.require("label-studio-ml start", "label_studio_ml")
    from label_studio_ml.model import LabelStudioMLBase
    from label_studio_ml.response import ModelResponse

    class QuorumModel(LabelStudioMLBase):  # type: ignore[misc]  # label-studio-ml ships no types
        """Answers with the active model of the models file; one prediction a task, same order."""

        def setup(self) -> None:
            """Say which weights run."""
            self.set("model_version", _model().version)

        def predict(self, tasks: list[dict[str, Any]], context: Any = None, **kwargs: Any) -> Any:
            """Predict every task; one that cannot be predicted has an empty result."""
            rows = [task.get("data") or "the task has no `data` object" for task in tasks]
            version = _model().version
            predictions = [
                {"result": prediction.result, "score": prediction.score or 0.0, "model_version": version}
                for prediction in _model().predict(rows, parse(self.label_config))
            ]
            return ModelResponse(model_version=version, predictions=predictions)

        def fit(self, event: str, data: dict[str, Any], **kwargs: Any) -> None:
            """Learn nothing from single annotations: only adjudicated gold teaches (`quorum models train`)."""

    return QuorumModel
