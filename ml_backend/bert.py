"""Writes a BERT encoder as an ONNX graph from its `config.json` and its safetensors: serving it needs no torch.

The nodes are those of the network in Devlin et al. (2019): embeddings, then layers of self-attention and a feed-forward
block, each with a residual connection and a layer normalisation behind it. All of them are standard operations of
opset 17, so that every runtime reads the graph.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from ml_backend.errors import LoadError
from ml_backend.networks import Array, first_line

OPSET: Final = 17
IR_VERSION: Final = 8
"""The oldest format that holds opset 17: older runtimes read it too."""
WEIGHTS: Final = "model.safetensors"
_MASKED: Final = np.float32(np.finfo(np.float32).min)


@dataclass(frozen=True, kw_only=True, slots=True)
class BertShape:
    """What `config.json` says of a BERT encoder.

    Attributes:
        layers: self-attention layers.
        heads: attention heads of each.
        width: length of a token's hidden state.
        epsilon: what layer normalisation adds to the variance.
        activation: function between the two products of a feed-forward block: "gelu" or "relu".
    """

    layers: int
    heads: int
    width: int
    epsilon: float
    activation: str

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self | None:
        """Return the shape that a configuration describes; None if no network of it can be built here."""
        # What differs from the plain network would be computed wrongly here: torch opens those.
        usual = (
            config.get("model_type") == "bert"
            and config.get("position_embedding_type", "absolute") == "absolute"
            and config.get("hidden_act") in {"gelu", "relu"}
            and not config.get("is_decoder", False)
        )
        sizes = [config.get(key) for key in ("num_hidden_layers", "num_attention_heads", "hidden_size")]
        # A configuration without sizes is left to transformers as well, which knows each family's defaults.
        if not usual or not all(isinstance(size, int) and size > 0 for size in sizes):
            return None
        layers, heads, width = (int(size) for size in sizes if size is not None)
        epsilon = float(config.get("layer_norm_eps", 1e-12))
        return cls(layers=layers, heads=heads, width=width, epsilon=epsilon, activation=str(config["hidden_act"]))


def read_shape(folder: Path) -> BertShape | None:
    """Read the shape of the encoder in `folder`; None means that another library has to open it."""
    return BertShape.of(_config(folder)) if (folder / WEIGHTS).exists() else None


def longest(folder: Path) -> int:
    """Return how many tokens the network in `folder` can read at once; 128 where its configuration doesn't say."""
    limit = _config(folder).get("max_position_embeddings")
    return limit if isinstance(limit, int) else 128


def _config(folder: Path) -> Mapping[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LoadError(f"{folder}: no config.json to read ({type(error).__name__}); save the model again") from error
    return config if isinstance(config, dict) else {}


def write_graph(shape: BertShape, folder: Path, out: Path) -> None:
    """Write the encoder in `folder` as an ONNX graph: ids, mask and segment ids in, hidden states out.

    Raises:
        LoadError: the weights can't be read, or one is missing.
    """
    import onnx
    from onnx import TensorProto, helper

    builder = _Builder(shape, _read_weights(folder), folder)
    output = builder.network()
    kinds = {"input_ids": TensorProto.INT64, "attention_mask": TensorProto.INT64, "token_type_ids": TensorProto.INT64}
    graph = helper.make_graph(
        builder.nodes,
        "bert",
        [helper.make_tensor_value_info(name, kind, ["rows", "tokens"]) for name, kind in kinds.items()],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["rows", "tokens", shape.width])],
        builder.constants,
    )
    model = helper.make_model(
        graph, producer_name="quorum", opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    onnx.save(model, str(out))


def _read_weights(folder: Path) -> dict[str, Array]:
    """Read the weights by the names of a plain encoder: a model with an output layer says `bert.` before each."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        weights = load_file(folder / WEIGHTS)
    except (OSError, SafetensorError, TypeError, KeyError) as error:
        raise LoadError(f"{folder / WEIGHTS}: can't be read: {first_line(error)}; get the weights again") from error
    # Checkpoints of TensorFlow's time call a layer normalisation's weight gamma, and its bias beta.
    return {
        name.removeprefix("bert.").replace(".gamma", ".weight").replace(".beta", ".bias"): array
        for name, array in weights.items()
    }


@dataclass
class _Builder:
    """Collects the nodes and constants of a graph.

    Attributes:
        nodes: the operations so far, in the order in which they are computed.
        constants: the weights and sizes that they read.
    """

    shape: BertShape
    weights: Mapping[str, Array]
    folder: Path
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)
    _constant_names: set[str] = field(default_factory=set)

    def network(self) -> str:
        """Add the whole network, and name its output."""
        mask = self._mask()
        states = self._embeddings()
        for layer in range(self.shape.layers):
            states = self._layer(f"encoder.layer.{layer}", states, mask)
        return self._add("Identity", [states], "output")

    def _embeddings(self) -> str:
        words, types = (self._weight(f"embeddings.{name}_embeddings.weight") for name in ("word", "token_type"))
        meanings = self._add("Gather", [words, "input_ids"], "meanings")
        segments = self._add("Gather", [types, "token_type_ids"], "segments")
        # As many positions as the batch has tokens: the length is known only when the graph runs.
        size = self._add("Shape", ["input_ids"], "size", start=1, end=2)
        zero, first = self._constant("zero", np.asarray([0])), self._constant("first_axis", np.asarray([0]))
        table = self._weight("embeddings.position_embeddings.weight")
        places = self._add("Slice", [table, zero, size, first], "places")
        total = self._add("Add", [self._add("Add", [meanings, segments], "typed"), places], "placed")
        return self._normalise("embeddings.LayerNorm", total)

    def _mask(self) -> str:
        """Add what masks a score: 0 where there is a token, the lowest number where there is padding."""
        axes = self._constant("mask_axes", np.asarray([1, 2]))
        # Two more axes, for the heads and for the tokens that attend: one mask serves every layer.
        wide = self._add("Unsqueeze", ["attention_mask", axes], "mask_wide")
        numbers = self._add("Cast", [wide], "mask_numbers", to=1)
        padding = self._add("Sub", [self._constant("one", np.float32(1)), numbers], "padding")
        return self._add("Mul", [padding, self._constant("masked", _MASKED)], "mask")

    def _layer(self, name: str, states: str, mask: str) -> str:
        context = self._attention(f"{name}.attention.self", states, mask)
        attended = self._linear(f"{name}.attention.output.dense", context)
        states = self._normalise(
            f"{name}.attention.output.LayerNorm", self._add("Add", [attended, states], f"{name}.attended")
        )
        inner = self._activate(f"{name}.intermediate", self._linear(f"{name}.intermediate.dense", states))
        outer = self._linear(f"{name}.output.dense", inner)
        return self._normalise(f"{name}.output.LayerNorm", self._add("Add", [outer, states], f"{name}.fed"))

    def _attention(self, name: str, states: str, mask: str) -> str:
        size = self.shape.width // self.shape.heads
        split = self._constant("split", np.asarray([0, 0, self.shape.heads, size]))
        flat = self._constant("whole", np.asarray([0, 0, self.shape.width]))

        def part(which: str, order: Sequence[int]) -> str:
            parted = self._add("Reshape", [self._linear(f"{name}.{which}", states), split], f"{name}.{which}.heads")
            return self._add("Transpose", [parted], f"{name}.{which}.turned", perm=order)

        query, key, value = part("query", (0, 2, 1, 3)), part("key", (0, 2, 3, 1)), part("value", (0, 2, 1, 3))
        products = self._add("MatMul", [query, key], f"{name}.products")
        scores = self._add("Div", [products, self._constant("root", np.float32(np.sqrt(size)))], f"{name}.scores")
        shares = self._add("Softmax", [self._add("Add", [scores, mask], f"{name}.masked")], f"{name}.shares", axis=-1)
        mixed = self._add("MatMul", [shares, value], f"{name}.mixed")
        joined = self._add("Transpose", [mixed], f"{name}.joined", perm=(0, 2, 1, 3))
        return self._add("Reshape", [joined, flat], f"{name}.context")

    def _activate(self, name: str, states: str) -> str:
        if self.shape.activation == "relu":
            return self._add("Relu", [states], f"{name}.relu")
        # Written out with Erf: opset 17 has no operation for GELU, and the usual tanh form gives other numbers.
        half, unit = self._constant("half", np.float32(0.5)), self._constant("one", np.float32(1))
        share = self._add("Div", [states, self._constant("root_two", np.float32(np.sqrt(2)))], f"{name}.share")
        above = self._add("Add", [self._add("Erf", [share], f"{name}.erf"), unit], f"{name}.above")
        return self._add("Mul", [self._add("Mul", [states, above], f"{name}.twice"), half], f"{name}.gelu")

    def _linear(self, name: str, states: str) -> str:
        # torch keeps a layer's weights by outputs, MatMul reads them by inputs.
        columns = self._constant(f"{name}.columns", np.ascontiguousarray(self._array(f"{name}.weight").T))
        product = self._add("MatMul", [states, columns], f"{name}.product")
        return self._add("Add", [product, self._weight(f"{name}.bias")], f"{name}.sum")

    def _normalise(self, name: str, states: str) -> str:
        scale, shift = self._weight(f"{name}.weight"), self._weight(f"{name}.bias")
        epsilon = self.shape.epsilon
        return self._add("LayerNormalization", [states, scale, shift], f"{name}.even", axis=-1, epsilon=epsilon)

    def _add(self, operation: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(operation, list(inputs), [output], name=output, **attributes))
        return output

    def _weight(self, name: str) -> str:
        return self._constant(name, self._array(name))

    def _array(self, name: str) -> Array:
        if name not in self.weights:
            raise LoadError(f"{self.folder}: the weights lack {name}, which would be random; give a trained checkpoint")
        # Checkpoints in half precision too: the graph adds and multiplies in one type only.
        return self.weights[name].astype(np.float32)

    def _constant(self, name: str, value: Any) -> str:
        from onnx import numpy_helper

        # Many nodes read the same constant, and ONNX refuses a graph that defines a name twice.
        if name not in self._constant_names:
            self._constant_names.add(name)
            self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name
