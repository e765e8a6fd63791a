"""docs/models.md does what it says: its model can be added, its predictor can be written."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ml_backend.config import DEFAULT_MODELS
from ml_backend.predictors import registry
from tests.unit.ml_backend import tiny
from tests.unit.ml_backend.test_predictors import predict

ROOT = Path(__file__).resolve().parents[2]
DOCS = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")


def block(language: str, holding: str) -> str:
    """The one code block of that language that holds these words."""
    found = [one for one in re.findall(rf"```{language}\n(.*?)```", DOCS, re.S) if holding in one]
    assert len(found) == 1
    return str(found[0])


@pytest.mark.server
def test_the_documented_model_is_added_by_editing_the_models_file_only(tmp_path: Path) -> None:
    """The default file with the documented lines, and a checkpoint beside it, passes `quorum models check`."""
    tiny.text_classifier(tmp_path / "verdict-v2", ["supported", "refuted", "unclear"], [("good", 0), ("bad", 1)])
    added = block("yaml", "verdict-v2:")
    default = DEFAULT_MODELS.read_text(encoding="utf-8").replace("    controls:\n", "    controls: &default\n")
    models = default + added[added.index("  verdict-v2:") :]
    (tmp_path / "models.yaml").write_text(
        models.replace("runtime: onnx-int8", "runtime: onnx-int8\n        max_tokens: 32")
    )
    (tmp_path / "rows.jsonl").write_text(
        json.dumps({"id": "a", "context": "", "query": "q", "response": "good"}) + "\n"
    )
    command = ["models", "check", "verdict-v2", "--models", "models.yaml", "--rows", "rows.jsonl", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "label_studio_quorum", *command],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["version"].startswith("verdict-v2@")
    assert report["answered"]["verdict"] > 0 < report["answered"]["entities"]


def test_the_documented_predictor_works_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file and the registry line of the documentation give answers."""
    path = tmp_path / "keyword_of_docs.py"
    path.write_text(block("python", "class Keyword"), encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, path.stem, module)
    spec.loader.exec_module(module)
    line = block("python", '"keyword":').splitlines()[-1]
    name, _, place = line.strip().rstrip(",").partition(": ")
    monkeypatch.setitem(registry.KINDS, name.strip('"'), f"{path.stem}:{place.strip(chr(34)).partition(':')[2]}")
    settings = "mood: {predictor: keyword, words: {Good: fine, Bad: poor}}"
    found = predict(tmp_path, settings, [{"response": "So fine"}, {"response": "so so"}])
    assert [one.values.get("mood") for one in found] == ["Good", None]
    assert found[1].reasons["mood"] == "no word of any label stands in the text"
