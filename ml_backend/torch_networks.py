"""Opens networks with torch and transformers: every architecture but the one of `bert`, and weights on a GPU."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ml_backend.errors import LoadError
from ml_backend.networks import Array, NetworkKind, first_line
from review_rules import extras


def load(folder: Path, kind: NetworkKind) -> Any:
    """Open the network in `folder` as a torch module: plain tensors in, one tensor out, in evaluation mode.

    Raises:
        MissingExtra: torch or transformers is not installed.
        LoadError: transformers can't load it, or weights are missing.
    """
    extras.require(f"{folder}: this Hugging Face model", "torch", "transformers")
    import transformers

    loaders = {
        "encoder": transformers.AutoModel,
        "sequence": transformers.AutoModelForSequenceClassification,
        "token": transformers.AutoModelForTokenClassification,
    }
    try:
        with quiet_transformers():
            model, report = loaders[kind].from_pretrained(
                str(folder), local_files_only=True, attn_implementation="eager", output_loading_info=True
            )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise LoadError(f"{folder}: transformers can't load it as a {kind} model: {first_line(error)}") from error
    # An encoder's pooler is not read here, and many checkpoints come without one.
    missing = sorted(key for key in report["missing_keys"] if "pooler" not in key or kind != "encoder")
    if missing:
        raise LoadError(
            f"{folder}: the weights lack {missing[0]} ({len(missing)} in all), which would be random; "
            "give a trained checkpoint"
        )
    return wrapped(model, kind)


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers quiet while weights are loaded: no progress bar, and only errors are printed."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


def wrapped(model: Any, kind: NetworkKind) -> Any:
    """Wrap a model of transformers as a torch module: plain tensors in, one tensor out, in evaluation mode."""
    import inspect

    import torch

    takes_types = "token_type_ids" in inspect.signature(model.forward).parameters

    class Wrapped(torch.nn.Module):
        """The network with plain tensors in and one tensor out."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any) -> Any:
            extra = {"token_type_ids": token_type_ids} if takes_types else {}
            out = self.model(input_ids=input_ids, attention_mask=attention_mask, **extra)
            return out.last_hidden_state if kind == "encoder" else out.logits

    return Wrapped().eval()


class TorchNetwork:
    """A network run by torch; on a GPU in half precision where there is one."""

    def __init__(self, folder: Path, kind: NetworkKind, threads: int) -> None:
        module = load(folder, kind)
        import torch

        self._torch = torch
        torch.set_num_threads(threads)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        module = module.to(self._device)
        self._module = module.half() if self._device == "cuda" else module

    def run(self, ids: Array, mask: Array, type_ids: Array) -> Array:
        """See `Network.run`."""
        tensors = [self._torch.from_numpy(array).to(self._device) for array in (ids, mask, type_ids)]
        with self._torch.inference_mode():
            result: Array = self._module(*tensors).float().cpu().numpy()
        return result


def export(folder: Path, kind: NetworkKind, out: Path) -> None:
    """Write the network in `folder` as an ONNX graph.

    Raises:
        MissingExtra: torch or transformers is not installed.
        LoadError: transformers can't load it, or weights are missing.
    """
    module = load(folder, kind)
    import torch

    ids = torch.ones((2, 8), dtype=torch.int64)
    dynamic = {0: "rows", 1: "tokens"}
    names = ["input_ids", "attention_mask", "token_type_ids"]
    # Without warnings: the tracer warns of every Python branch of the model's own code.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (ids, torch.ones_like(ids), torch.zeros_like(ids)),
            str(out),
            input_names=names,
            output_names=["output"],
            dynamic_axes={**dict.fromkeys(names, dynamic), "output": {0: "rows"} if kind == "sequence" else dynamic},
            opset_version=17,
            dynamo=False,
        )
