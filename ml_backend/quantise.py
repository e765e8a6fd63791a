"""int8 that keeps its answers: activations are smoothed before they are quantised, contracting layers stay fp32.

Some channels of a transformer's states are many times larger than the others and spoil a common scale. As in
SmoothQuant (Xiao et al. 2023) each channel is divided by a factor that its weights are multiplied with: the same
network, with evener activations. Layers that contract (a feed-forward block's second, a classifier) see the unbounded
output of an activation function and gain least, so they are left as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

ALPHA = 0.75
"""How much of the unevenness moves into the weights: measured on all-MiniLM-L6-v2, 0.75 beats 0.5 and 0.85."""


def calibration_texts() -> list[str]:
    """Plain English to see the size of activations on: the guidelines that come with the label types."""
    from ls_config.loader import label_types, load

    return [load(kind).guidelines for kind in label_types()]


def smooth(module: Any, inputs: Sequence[tuple[Any, ...]]) -> None:
    """Even the activations in front of every linear layer of `module`, in place; its output stays the same.

    Args:
        module: a network in evaluation mode.
        inputs: what to run it on: ids, mask and segment ids of texts.
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

    for name, largest in _largest(module, inputs).items():
        linear = module.get_submodule(name)
        weights = linear.weight.detach().abs().amax(0).clamp(min=1e-4)
        factor = (largest.clamp(min=1e-3) ** ALPHA / weights ** (1 - ALPHA)).clamp(min=1e-3)
        linear.weight.data = linear.weight.data * factor
        parent, _, leaf = name.rpartition(".")
        setattr(module.get_submodule(parent), leaf, Smoothed(linear, 1 / factor))


def _largest(module: Any, inputs: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    """The largest absolute input of each channel of each expanding linear layer."""
    import torch

    largest: dict[str, Any] = {}

    def watch(name: str) -> Any:
        def see(layer: Any, given: Any, output: Any) -> None:
            seen = given[0].detach().abs().flatten(0, -2).amax(0)
            largest[name] = torch.maximum(largest[name], seen) if name in largest else seen

        return see

    linears = {name: one for name, one in module.named_modules() if isinstance(one, torch.nn.Linear)}
    hooks = [one.register_forward_hook(watch(name)) for name, one in linears.items() if not contracts(one)]
    with torch.inference_mode():
        for one in inputs:
            module(*one)
    for hook in hooks:
        hook.remove()
    return {name: seen.clone() for name, seen in largest.items()}


def contracts(linear: Any) -> bool:
    """True for a layer with fewer outputs than inputs."""
    return bool(linear.in_features > linear.out_features)


def to_int8(graph: Path, out: Path, keep: Sequence[str]) -> None:
    """Quantise a graph's matrix products, weights ahead and activations as they come.

    Args:
        graph: the exported network.
        out: where the result goes.
        keep: names of modules that stay in fp32.
    """
    import logging

    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    nodes = [node.name for node in onnx.load(str(graph), load_external_data=False).graph.node]
    kept = [
        node for node in nodes if any(f"{node.strip('/').replace('/', '.')}.".startswith(f"{one}.") for one in keep)
    ]
    logging.getLogger().addFilter(_no_advice)
    try:
        quantize_dynamic(
            str(graph), str(out), weight_type=QuantType.QInt8, per_channel=True, nodes_to_exclude=kept,
            op_types_to_quantize=["MatMul", "Gemm"],
        )  # fmt: skip
    finally:
        logging.getLogger().removeFilter(_no_advice)


def _no_advice(record: Any) -> bool:
    return "pre-processing before quantization" not in record.getMessage()
