"""int8 that keeps its answers: activations are smoothed, and every token is quantised by a scale of its own.

Some channels of a transformer's states are many times larger than the others and spoil a common scale. As in
SmoothQuant (Xiao et al. 2023) each channel is divided by a factor that its weights are multiplied with: the same
network, with evener activations. What is left differs from token to token, so each token has its own scale: what
stands beside it in a batch changes nothing. A feed-forward block's second layer reads what an activation function lets
through, which has a floor (-0.17 for GELU): there the scale goes from the floor up, and uses all 256 steps. Other
layers that contract (a classifier) gain least, and are left as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ml_backend.networks import Array

Inputs = tuple[Array, Array, Array]
"""Ids, mask and segment ids of a batch."""
ALPHA = 0.5
"""How much of the unevenness moves into the weights: measured on all-MiniLM-L6-v2, 0.5 beats 0.75."""
ONE_SIDED = 0.1
"""An input counts as one with a floor if it never goes below this share of its largest value."""
GROUP = 384
"""Channels that share scales, about: of a wide layer each group is a product of its own."""


def calibration_texts() -> list[str]:
    """Return plain English to see the size of activations on: the guidelines that come with the label types."""
    from ls_config.interface import label_types, load

    return [load(kind).guidelines for kind in label_types()]


@dataclass
class InputRange:
    """The values that a matrix product reads.

    Attributes:
        largest: the largest absolute input of each channel.
        lowest: the lowest input, at most 0.
    """

    largest: Array
    lowest: float

    def look(self, states: Array) -> None:
        """Take one more input into account."""
        self.largest = np.maximum(self.largest, np.abs(states).reshape(-1, states.shape[-1]).max(0))
        self.lowest = min(self.lowest, float(states.min()))


def to_int8(graph: Path, out: Path, inputs: Sequence[Inputs]) -> None:
    """Quantise a graph's products with weights: these ahead, a scale a column; states as they come, a scale a token.

    Args:
        graph: the network in fp32, of opset 17.
        out: where the result goes.
        inputs: what to run it on to see how large activations are.
    """
    import onnx

    model = onnx.load(str(graph))
    quantised = _Quantised(model.graph)
    quantised.smooth(calibrate(model, inputs))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    for node in nodes:
        model.graph.node.extend(quantised.product(node) if quantised.takes(node) else [node])
    quantised.drop_unused()
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    onnx.save(model, str(out))


def calibrate(model: Any, inputs: Sequence[Inputs]) -> dict[str, InputRange]:
    """Run a network, and return what the weights of each product are multiplied with, by their names."""
    import onnx
    from onnxruntime import InferenceSession

    probe = onnx.ModelProto()
    # On a copy: every product's input becomes an output to look at, which the real graph must not have.
    probe.CopyFrom(model)
    weights, constants = _matrices(probe.graph), {constant.name for constant in probe.graph.initializer}
    products = [
        node for node in probe.graph.node
        if node.op_type == "MatMul" and node.input[1] in weights and node.input[0] not in constants
    ]  # fmt: skip
    states = list(dict.fromkeys(node.input[0] for node in products))
    own = {output.name for output in probe.graph.output}
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in states if name not in own)
    session = InferenceSession(probe.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]
    ranges: dict[str, InputRange] = {}
    for ids, mask, type_ids in inputs:
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": type_ids}
        values = dict(zip(states, session.run(states, {name: feed[name] for name in names}), strict=True))
        for node in products:
            value = values[node.input[0]]
            ranges.setdefault(node.input[1], InputRange(np.zeros(value.shape[-1], dtype=np.float32), 0.0)).look(value)
    return ranges


def _matrices(graph: Any) -> dict[str, Array]:
    """Return the constants that are matrices, by name."""
    from onnx import numpy_helper

    return {constant.name: numpy_helper.to_array(constant) for constant in graph.initializer if len(constant.dims) == 2}


def contracts(columns: Array) -> bool:
    """True for the weights of a layer with fewer outputs than inputs."""
    return columns.shape[0] > columns.shape[1]


class _Quantised:
    """Makes the nodes of quantised products.

    Which layers are quantised, and how, follows from what `smooth` is told.
    """

    def __init__(self, graph: Any) -> None:
        self._graph = graph
        self._weights = _matrices(graph)
        self._inverses: dict[str, Array] = {}
        self._floors: dict[str, float] = {}
        self._constant_names: set[str] = set()

    def smooth(self, ranges: Mapping[str, InputRange]) -> None:
        """Decide how each product is quantised, and even what comes to the expanding ones; outputs stay the same."""
        for name, input_range in ranges.items():
            columns = self._weights[name]
            # A layer that contracts gains least from smoothing; with a floor its input can use all 256 steps instead.
            if contracts(columns):
                if -input_range.lowest < ONE_SIDED * float(input_range.largest.max()):
                    self._floors[name] = -input_range.lowest
                continue
            # Bounded below: a channel that was silent in the samples would be divided by almost nothing.
            largest = np.maximum(input_range.largest, np.float32(1e-3))
            weights = np.maximum(np.abs(columns).max(1), np.float32(1e-4))
            factor = np.maximum(largest**ALPHA / weights ** (1 - ALPHA), np.float32(1e-3))
            self._weights[name] = columns * factor[:, None]
            self._inverses[name] = 1 / factor

    def takes(self, node: Any) -> bool:
        """True for a product that is quantised."""
        return node.op_type == "MatMul" and (node.input[1] in self._inverses or node.input[1] in self._floors)

    def product(self, node: Any) -> Iterator[Any]:
        """Yield the nodes of a matrix product with known weights: one product a group of channels, and their sum."""
        from onnx import helper

        make = helper.make_node
        states, weights, output = node.input[0], node.input[1], node.output[0]
        floor = self._floors.get(weights)
        if weights in self._inverses:
            inverse = self._put(f"{weights}_inverse", self._inverses[weights])
            yield make("Mul", [states, inverse], [f"{output}_even"])
            states = f"{output}_even"
        if floor is not None:
            lift = self._put(f"quorum_floor_{floor}", np.float32(floor))
            yield make("Add", [states, lift], [f"{output}_lifted"])
            states = f"{output}_lifted"
        columns = self._weights[weights]
        # A scale a group instead of one a layer: an outlier spoils the steps of its own group only.
        groups = [_small(group) for group in np.array_split(columns, max(1, round(len(columns) / GROUP)))]
        parts = [f"{output}_states{i}" for i in range(len(groups))] if len(groups) > 1 else [states]
        if len(groups) > 1:
            sizes = self._put(f"{output}_sizes", np.asarray([len(small) for small, _ in groups]))
            yield make("Split", [states, sizes], parts, axis=-1)
        for i, (part, (small, scale)) in enumerate(zip(parts, groups, strict=True)):
            yield from self._part(part, small, scale, floor, f"{output}_{i}")
        terms = [f"{output}_{i}" for i in range(len(groups))]
        if floor is not None:
            # The states were lifted by the floor: the weights' sums, times it, come off again.
            off = -np.float32(floor) * sum(small.astype(np.float32).sum(0) * scale for small, scale in groups)
            terms.append(self._put(f"{output}_off", off.astype(np.float32)))
        if len(terms) == 1:
            yield make("Identity", terms, [output])
        for i, term in enumerate(terms[1:], 1):
            total = output if i == len(terms) - 1 else f"{output}_sum{i}"
            yield make("Add", [terms[0] if i == 1 else f"{output}_sum{i - 1}", term], [total])

    def _part(self, states: str, small: Any, scale: Any, floor: float | None, name: str) -> Iterator[Any]:
        """Yield the nodes that multiply states with weights, as integers."""
        from onnx import helper

        yield from self._tokens(states, len(small), floor, name)
        yield helper.make_node(
            "MatMulIntegerToFloat",
            [
                f"{name}_q", self._put(f"{name}_weights", small), self._put("quorum_one", np.float32(1)),
                self._put(f"{name}_weights_scale", scale), self._put(*_zero(floor)),
                self._put(f"{name}_weights_zero", np.zeros(len(scale), dtype=np.int8)),
            ],
            [f"{name}_raw"], domain="com.microsoft",
        )  # fmt: skip
        yield helper.make_node("Mul", [f"{name}_raw", f"{name}_scale"], [name])

    def _tokens(self, states: str, width: int, floor: float | None, name: str) -> Iterator[Any]:
        """Quantise states to uint8 by a scale a token: `name`_q, with the shape of the states, and `name`_scale."""
        from onnx import helper

        make = helper.make_node
        # A token of zeros has no range, and its scale would divide by zero.
        least = self._put("quorum_least", np.float32(1e-9))
        yield make("ReduceMax", [states], [f"{name}_up"], axes=[-1], keepdims=1)
        ends = [f"{name}_up", least]
        if floor is None:
            yield make("ReduceMin", [states], [f"{name}_down"], axes=[-1], keepdims=1)
            yield make("Neg", [f"{name}_down"], [f"{name}_low"])
            ends.append(f"{name}_low")
        yield make("Max", ends, [f"{name}_most"])
        # Both signs share the 256 steps around the middle; from a floor up all of them are above it.
        steps = 127 if floor is None else 255
        yield make("Div", [f"{name}_most", self._put(f"quorum_steps_{steps}", np.float32(steps))], [f"{name}_scale"])
        yield make("Shape", [states], [f"{name}_shape"])
        yield make("Reshape", [f"{name}_scale", self._put("quorum_flat", np.asarray([-1]))], [f"{name}_flat"])
        yield make("Shape", [f"{name}_flat"], [f"{name}_count"])
        yield make("Expand", [self._put(*_zero(floor)), f"{name}_count"], [f"{name}_zero"])
        rows = self._put(f"quorum_rows_{width}", np.asarray([-1, width]))
        yield make("Reshape", [states, rows], [f"{name}_rows"])
        yield make("QuantizeLinear", [f"{name}_rows", f"{name}_flat", f"{name}_zero"], [f"{name}_small"], axis=0)
        yield make("Reshape", [f"{name}_small", f"{name}_shape"], [f"{name}_q"])

    def _put(self, name: str, value: Any) -> str:
        from onnx import numpy_helper

        if name not in self._constant_names:
            self._constant_names.add(name)
            self._graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def drop_unused(self) -> None:
        """Forget the weights that only products used which are quantised now."""
        inputs = {name for node in self._graph.node for name in node.input}
        for constant in [constant for constant in self._graph.initializer if constant.name not in inputs]:
            self._graph.initializer.remove(constant)


def _small(columns: Any) -> tuple[Any, Any]:
    """Return weights as int8, and the scale of each column."""
    scale = np.maximum(np.abs(columns).max(0) / 127, 1e-12).astype(np.float32)
    return np.rint(columns / scale).astype(np.int8), scale


def _zero(floor: float | None) -> tuple[str, Any]:
    """Return name and value of the uint8 that stands for zero, or for the floor."""
    return ("quorum_middle", np.uint8(128)) if floor is None else ("quorum_bottom", np.uint8(0))
