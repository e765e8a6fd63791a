"""The default server where torch and transformers can't be imported: it starts, and answers what torch would."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ls_config.interface import load
from ml_backend.config import DEFAULT_MODELS
from ml_backend.local import LocalModel
from tests.unit.ml_backend import tiny

pytestmark = pytest.mark.server

ROOT = Path(__file__).resolve().parents[2]
TASK = load("response_review")
HIDDEN = "import sys\nfor name in ('torch', 'transformers', 'sentence_transformers'):\n    sys.modules[name] = None\n"
"""What makes torch look as if it were not installed, read by every Python that has it on its path."""
EXTRA = "install it with: pip install 'label-studio-quorum[transformers]'"


def rows() -> list[dict[str, Any]]:
    """Some of the example campaign's rows."""
    lines = (ROOT / "examples" / "rows.jsonl").read_text(encoding="utf-8").splitlines()[:24]
    return [{key: row.get(key) or "" for key in ("context", "query", "response")} for row in map(json.loads, lines)]


def models(runtime: str, folder: Path) -> Path:
    """The default models file with another runtime of its encoder, and a model of transformers beside it."""
    text = DEFAULT_MODELS.read_text(encoding="utf-8").replace("runtime: onnx-fp32", f"runtime: {runtime}")
    text += '  foreign:\n    controls:\n      verdict: {predictor: text_classification, source: "path:foreign"}\n'
    path = folder / f"{runtime}.yaml"
    path.write_text(text + "training: {gold: gold.jsonl, out: heads}\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module", params=["onnx-fp32", "onnx-int8"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """The ML backend with the default models, in a process without torch and with an empty folder for graphs."""
    folder = tmp_path_factory.mktemp("torchless")
    tiny.text_classifier(folder / "foreign", ["Correct", "Incorrect"], [("good", 0), ("bad", 1)], steps=1)
    (folder / "hidden").mkdir()
    (folder / "hidden" / "sitecustomize.py").write_text(HIDDEN)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ, "PYTHONPATH": f"{folder / 'hidden'}{os.pathsep}{ROOT}", "QUORUM_DATA_DIR": str(folder),
        "QUORUM_ML_CACHE": str(folder / "graphs"),
    }  # fmt: skip
    probed = "import importlib.util; assert importlib.util.find_spec('torch') is None"
    subprocess.run([sys.executable, "-c", probed], env=environment, check=True)
    command = [
        sys.executable, "-m", "ml_backend", "--port", str(port), "--models", str(models(request.param, folder)),
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120, trust_env=False) as client:
            _await(client, process, folder / "log")
            yield client
    finally:
        process.terminate()
        process.wait(40)


def _await(client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 400
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if client.get("/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    pytest.fail(log.read_text())


def answers(client: httpx.Client) -> tuple[str, list[dict[str, Any]]]:
    """The active model's version, and its predictions of the rows."""
    body = {"tasks": [{"data": row} for row in rows()], "label_config": TASK.xml}
    answer = client.post("/predict", json=body).raise_for_status().json()
    return answer["model_version"], answer["results"]


@pytest.mark.parametrize("server", ["onnx-fp32"], indirect=True)
def test_the_answers_are_those_of_torch(server: httpx.Client, tmp_path: Path) -> None:
    """Every field of every row has torch's value, every score is torch's within rounding, the domains too."""
    assert server.get("/health").json() == {"status": "UP", "model_class": "Quorum", "ready": True}
    with LocalModel(models("torch", tmp_path), "default") as model:
        expected = model.predict(rows(), TASK.controls)
    _, results = answers(server)
    for result, prediction in zip(results, expected, strict=True):
        assert result["reasons"] == dict(prediction.reasons)
        assert {name: _plain(value) for name, value in result["values"].items()} == {
            name: _plain(value) for name, value in prediction.values.items()
        }
        assert result["scores"] == pytest.approx(dict(prediction.scores), abs=1e-4)
        assert prediction.domain is not None
        assert result["domain"]["value"] == prediction.domain["value"]
    assert sum(bool(result["result"]) for result in results) == len(results)


def _plain(value: Any) -> Any:
    """A field's value without the scores of its spans."""
    spans = isinstance(value, list) and value and isinstance(value[0], dict)
    return [(span["start"], span["end"], span["label"], span["text"]) for span in value] if spans else value


@pytest.mark.parametrize("server", ["onnx-int8"], indirect=True)
def test_int8_is_made_without_torch_and_says_that_it_is_another_model(server: httpx.Client, tmp_path: Path) -> None:
    """The quantised graph answers nearly every field as fp32 does, under a version of its own."""
    with LocalModel(models("onnx-fp32", tmp_path), "default") as model:
        plain, expected = model.version, model.predict(rows(), TASK.controls)
    version, results = answers(server)
    assert version != plain
    pairs = [
        (result["values"].get(name), prediction.values.get(name))
        for result, prediction in zip(results, expected, strict=True)
        for name in ("verdict", "issues", "response_type", "correctness", "completeness", "helpfulness")
    ]
    assert sum(a == b for a, b in pairs) >= 0.95 * len(pairs)


@pytest.mark.parametrize("server", ["onnx-fp32"], indirect=True)
def test_what_needs_torch_is_refused_in_a_sentence_and_changes_nothing(server: httpx.Client) -> None:
    """A Hugging Face model and a training name the extra; the model that runs goes on."""
    before = server.get("/models").json()
    for answer in (
        server.post("/models/activate", json={"name": "foreign"}),
        server.post("/use/foreign/predict", json={"tasks": [], "label_config": TASK.xml}),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "load_failed")
        assert answer.json()["error"]["message"].endswith(f"this Hugging Face model needs torch; {EXTRA}")
    training = server.post("/webhook", json={"action": "START_TRAINING"})
    assert (training.status_code, training.json()["error"]["code"]) == (501, "missing_extra")
    assert training.json()["error"]["message"] == f"training needs torch; {EXTRA}"
    assert server.get("/job_status").json() == {"jobs": []}
    assert server.get("/models").json() == before
