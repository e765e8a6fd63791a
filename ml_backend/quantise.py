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

ALPHA = 0.5
"""How much of the unevenness moves into the weights: measured on all-MiniLM-L6-v2, 0.5 beats 0.75."""
ONE_SIDED = 0.1
"""An input counts as one with a floor if it never goes below this share of its largest value."""
GROUP = 384
"""Channels that share scales, about: of a wide layer each group is a product of its own."""


def calibration_texts() -> list[str]:
    """Plain English to see the size of activations on: the guidelines that come with the label types."""
    from ls_config.interface import label_types, load

    return [load(kind).guidelines for kind in label_types()]


def smooth(module: Any, inputs: Sequence[tuple[Any, ...]]) -> dict[str, float]:
    """Even the activations in front of every expanding linear layer of `module`, in place; its output stays the same.

    Args:
        module: a network in evaluation mode.
        inputs: what to run it on: ids, mask and segment ids of texts.

    Returns:
        Contracting layers whose input has a floor → how far below zero that is.
    """
    import torch

    class Smoothed(torch.nn.Module):
        """A linear layer whose input is divided by what its weights were multiplied with."""

        def __init__(self, linear: Any, inverse: Any) -> None:
            super().__init__()
            self.linear = linear
            self.register_buffer("inverse", inverse)

        def forward(self, states: Any) -> Any:
            return self.linear(states * self.inverse)

    seen = calibrate(module, inputs)
    floors = {
        name: -one.lowest
        for name, one in seen.items()
        if contracts(module.get_submodule(name)) and -one.lowest < ONE_SIDED * float(one.largest.max())
    }
    for name, one in seen.items():
        linear = module.get_submodule(name)
        if contracts(linear):
            continue
        weights = linear.weight.detach().abs().amax(0).clamp(min=1e-4)
        factor = (one.largest.clamp(min=1e-3) ** ALPHA / weights ** (1 - ALPHA)).clamp(min=1e-3)
        linear.weight.data = linear.weight.data * factor
        parent, _, leaf = name.rpartition(".")
        setattr(module.get_submodule(parent), leaf, Smoothed(linear, 1 / factor))
    return floors


@dataclass
class Seen:
    """What a linear layer was given.

    Attributes:
        largest: the largest absolute input of each channel.
        lowest: the lowest input, at most 0.
    """

    largest: Any
    lowest: float


def calibrate(module: Any, inputs: Sequence[tuple[Any, ...]]) -> dict[str, Seen]:
    """Run a network, and say what each of its linear layers was given."""
    import torch

    found: dict[str, Seen] = {}

    def watch(name: str) -> Any:
        def see(layer: Any, given: Any, output: Any) -> None:
            states = given[0].detach()
            largest, lowest = states.abs().flatten(0, -2).amax(0), min(0.0, float(states.min()))
            if name not in found:
                found[name] = Seen(largest, lowest)
            found[name].largest = torch.maximum(found[name].largest, largest)
            found[name].lowest = min(found[name].lowest, lowest)

        return see

    linears = {name: one for name, one in module.named_modules() if isinstance(one, torch.nn.Linear)}
    hooks = [one.register_forward_hook(watch(name)) for name, one in linears.items()]
    with torch.inference_mode():
        for one in inputs:
            module(*one)
    for hook in hooks:
        hook.remove()
    for seen in found.values():
        seen.largest = seen.largest.clone()  # out of inference mode
    return found


def contracts(linear: Any) -> bool:
    """True for a layer with fewer outputs than inputs."""
    return bool(linear.in_features > linear.out_features)


def to_int8(graph: Path, out: Path, floors: Mapping[str, float], keep: Sequence[str]) -> None:
    """Quantise a graph's matrix products: weights ahead, a scale a column; activations as they come, a scale a token.

    Args:
        graph: the exported network, of opset 17.
        out: where the result goes.
        floors: names of modules whose input has a floor → how far below zero it is.
        keep: names of modules that stay in fp32.
    """
    import onnx

    model = onnx.load(str(graph))
    quantised = _Quantised(model.graph)
    nodes = list(model.graph.node)
    del model.graph.node[:]
    for node in nodes:
        name = node.name.strip("/").replace("/", ".")
        module = next((one for one in (*floors, *keep) if name.startswith(f"{one}.")), "")
        if node.op_type == "MatMul" and node.input[1] in quantised.weights and module not in keep:
            model.graph.node.extend(quantised.product(node, floors.get(module)))
        else:
            model.graph.node.append(node)
    quantised.drop_unused()
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    onnx.save(model, str(out))


class _Quantised:
    """Makes the nodes of quantised products."""

    def __init__(self, graph: Any) -> None:
        from onnx import numpy_helper

        self._graph = graph
        arrays = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
        self.weights = {name: array for name, array in arrays.items() if array.ndim == 2}
        self._known: set[str] = set()

    def product(self, node: Any, floor: float | None) -> Iterator[Any]:
        """The nodes of a matrix product with known weights: one product a group of channels, and their sum."""
        from onnx import helper

        make = helper.make_node
        states, weights, output = node.input[0], node.input[1], node.output[0]
        if floor is not None:
            lift = self._put(f"quorum_floor_{floor}", np.float32(floor))
            yield make("Add", [states, lift], [f"{output}_lifted"])
            states = f"{output}_lifted"
        columns = self.weights[weights]
        groups = [_small(one) for one in np.array_split(columns, max(1, round(len(columns) / GROUP)))]
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
            whole = output if i == len(terms) - 1 else f"{output}_sum{i}"
            yield make("Add", [terms[0] if i == 1 else f"{output}_sum{i - 1}", term], [whole])

    def _part(self, states: str, small: Any, scale: Any, floor: float | None, name: str) -> Iterator[Any]:
        """States times weights, as integers."""
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
        least = self._put("quorum_least", np.float32(1e-9))
        yield make("ReduceMax", [states], [f"{name}_up"], axes=[-1], keepdims=1)
        ends = [f"{name}_up", least]
        if floor is None:
            yield make("ReduceMin", [states], [f"{name}_down"], axes=[-1], keepdims=1)
            yield make("Neg", [f"{name}_down"], [f"{name}_low"])
            ends.append(f"{name}_low")
        yield make("Max", ends, [f"{name}_most"])
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

        if name not in self._known:
            self._known.add(name)
            self._graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def drop_unused(self) -> None:
        """Forget the weights that only products used which are quantised now."""
        read = {name for node in self._graph.node for name in node.input}
        for one in [one for one in self._graph.initializer if one.name not in read]:
            self._graph.initializer.remove(one)


def _small(columns: Any) -> tuple[Any, Any]:
    """Weights as int8, and the scale of each column."""
    scale = np.maximum(np.abs(columns).max(0) / 127, 1e-12).astype(np.float32)
    return np.rint(columns / scale).astype(np.int8), scale


def _zero(floor: float | None) -> tuple[str, Any]:
    """The uint8 that stands for zero, or for the floor."""
    return ("quorum_middle", np.uint8(128)) if floor is None else ("quorum_bottom", np.uint8(0))
