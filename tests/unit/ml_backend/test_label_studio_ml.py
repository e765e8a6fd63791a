"""Both directions of label-studio-ml 2.x, with its own base class: skipped where that package is not installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ml_backend.config import DEFAULT_MODELS
from tests.unit.ml_backend.interfaces import XML
from tests.unit.ml_backend.test_predictors import predict

base = pytest.importorskip(
    "label_studio_ml.model", reason="label-studio-ml 2.x is not installed (extra label-studio-ml)"
)


class Foreign(base.LabelStudioMLBase):  # type: ignore[misc,name-defined]
    """A model as the public examples write them: it returns plain objects."""

    def predict(self, tasks: list[dict[str, Any]], context: Any = None, **kwargs: Any) -> list[dict[str, Any]]:
        """Call everything good."""
        item = {"from_name": "mood", "to_name": "response", "type": "choices", "value": {"choices": ["Good"]}}
        return [{"result": [item], "score": 0.9} for _ in tasks]


def test_a_label_studio_ml_class_answers_as_a_predictor(tmp_path: Path) -> None:
    """The class is made with the interface and its answer becomes the control's value and score."""
    (tmp_path / "label.xml").write_text(XML, encoding="utf-8")
    settings = f"mood: {{predictor: label_studio_ml, source: '{__name__}:Foreign', label_config: 'path:label.xml'}}"
    one = predict(tmp_path, settings, [{"response": "x"}])[0]
    assert (one.values["mood"], one.scores["mood"]) == ("Good", 0.9)


def test_quorums_models_serve_as_a_label_studio_ml_class() -> None:
    """Our adapter answers label-studio-ml with one prediction a task and the version that ran."""
    from ls_config.loader import load
    from ml_backend.for_label_studio_ml import quorum_model

    assert DEFAULT_MODELS.exists()
    model = quorum_model()(project_id="1", label_config=load("rating").xml)
    response = model.predict([{"data": {"response": "Paris is in France."}}, {"data": None}])
    assert len(response.predictions) == 2
    assert response.model_version.startswith("default@")
    assert response.predictions[0].result
    assert response.predictions[1].result == []
