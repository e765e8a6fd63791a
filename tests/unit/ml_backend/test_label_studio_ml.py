"""Both directions of label-studio-ml 2.x, with its own base class: skipped where that package is not installed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from ml_backend.config import DEFAULT_MODELS
from tests.unit.ml_backend.interfaces import XML
from tests.unit.ml_backend.test_predictors import predict

base = pytest.importorskip(
    "label_studio_ml.model", reason="label-studio-ml 2.x is not installed (docs/models.md says how)"
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
    from ls_config.interface import load
    from ml_backend.for_label_studio_ml import quorum_model

    assert DEFAULT_MODELS.exists()
    model = quorum_model()(project_id="1", label_config=load("rating").xml)
    response = model.predict([{"data": {"response": "Paris is in France."}}, {"data": None}])
    assert len(response.predictions) == 2
    assert response.model_version.startswith("default@")
    assert response.predictions[0].result
    assert response.predictions[1].result == []


def test_label_studio_ml_start_serves_quorums_models(tmp_path: Path) -> None:
    """The two lines of docs/models.md, made into a backend and started by label-studio-ml itself, answer over HTTP."""
    from ls_config.interface import load

    (tmp_path / "model.py").write_text(
        "from ml_backend.for_label_studio_ml import quorum_model\n\nNewModel = quorum_model()\n"
    )
    tool = str(Path(sys.executable).with_name("label-studio-ml"))
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run(
        [tool, "create", "backend", "--script", "model.py:NewModel"], cwd=tmp_path, env=environment, check=True
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [tool, "start", "backend", "--host", "127.0.0.1", "--port", str(port)]
    with (tmp_path / "log").open("wb") as log:
        running = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _await(url, running, tmp_path / "log")
            body = {
                "tasks": [{"id": 1, "data": {"response": "Paris is in France.", "query": "Where?", "context": ""}}],
                "label_config": load("rating").xml, "project": "1.0",
            }  # fmt: skip
            found = httpx.post(f"{url}/predict", json=body, timeout=120, trust_env=False).json()["results"]
            assert [one["model_version"].split("@")[0] for one in found] == ["default"]
            assert found[0]["result"]
        finally:
            os.killpg(running.pid, signal.SIGTERM)
            running.wait(30)


def _await(url: str, running: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and running.poll() is None:
        try:
            if httpx.get(f"{url}/health", timeout=5, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.3)
    pytest.fail(log.read_text())
