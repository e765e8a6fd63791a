"""What runs a network: torch, ONNX Runtime in fp32 or int8, or OpenVINO; exported graphs are cached by weight hash."""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import LoadError
from ml_backend.tokens import TextTokenizer

Array = NDArray[Any]
Kind = Literal["encoder", "sequence", "token"]
RuntimeName = Literal["torch", "onnx-fp32", "onnx-int8", "openvino"]
MOST_LANES = 4
EXPORT_REVISION = "4"  # part of the cache key: raise it when the export or the quantisation below changes


class Network(Protocol):
    """A network that is ready to run; several threads may run it at a time."""

    def run(self, ids: Array, mask: Array, type_ids: Array) -> Array:
        """Hidden states or logits for a padded batch: (rows, tokens, width), or (rows, classes)."""
        ...


def open_network(
    folder: Path, sha256: str, kind: Kind, runtime: RuntimeName, cache: Path, *, threads: int, lanes: int
) -> Network:
    """Open the network in `folder` with a runtime.

    Args:
        folder: a `config.json` and its weights, as transformers saves them.
        sha256: hash of that folder, the key of the cached export.
        kind: "encoder" gives hidden states, "sequence" and "token" give logits.
        cache: folder for exported graphs.
        threads: threads one run may use.
        lanes: runs that there may be at a time.

    Raises:
        LoadError: the weights can't be read or exported.
    """
    if runtime == "torch":
        return TorchNetwork(folder, kind, threads)
    if runtime == "openvino":
        return OpenVinoNetwork(exported(folder, sha256, kind, "onnx-fp32", cache), threads, lanes)
    return OnnxNetwork(exported(folder, sha256, kind, runtime, cache), threads)


def _torch_module(folder: Path, kind: Kind) -> Any:
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
    missing = sorted(key for key in report["missing_keys"] if "pooler" not in key or kind != "encoder")
    if missing:
        raise LoadError(
            f"{folder}: the weights lack {missing[0]} ({len(missing)} in all), which would be random; "
            "give a trained checkpoint"
        )
    return model.eval()


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """While weights are loaded: no progress bar, and only errors are printed."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def wrapped(model: Any, kind: Kind) -> Any:
    """A model of transformers as a torch module with plain tensors in and one tensor out, in evaluation mode."""
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

    def __init__(self, folder: Path, kind: Kind, threads: int) -> None:
        import torch

        self._torch = torch
        torch.set_num_threads(threads)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        module = wrapped(_torch_module(folder, kind), kind).to(self._device)
        self._module = module.half() if self._device == "cuda" else module

    def run(self, ids: Array, mask: Array, type_ids: Array) -> Array:
        """See `Network.run`."""
        tensors = [self._torch.from_numpy(array).to(self._device) for array in (ids, mask, type_ids)]
        with self._torch.inference_mode():
            result: Array = self._module(*tensors).float().cpu().numpy()
        return result


class OnnxNetwork:
    """A network run by ONNX Runtime."""

    def __init__(self, graph: Path, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Waiting threads that spin take the cores that tokenising and JSON need.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # A length is seen once or twice: planning memory for each of them only makes the arena grow.
        options.enable_mem_pattern = False
        providers = [
            p for p in ("CUDAExecutionProvider", "CPUExecutionProvider") if p in onnxruntime.get_available_providers()
        ]
        try:
            self._session = onnxruntime.InferenceSession(str(graph), options, providers=providers)
        except Exception as error:
            raise LoadError(
                f"{graph}: ONNX Runtime can't open it: {first_line(error)}; delete the file to export it again"
            ) from error
        self._names = {node.name for node in self._session.get_inputs()}

    def run(self, ids: Array, mask: Array, type_ids: Array) -> Array:
        """See `Network.run`."""
        feed: Mapping[str, Array] = {"input_ids": ids, "attention_mask": mask, "token_type_ids": type_ids}
        result: Array = self._session.run(None, {name: feed[name] for name in self._names})[0]
        return result


class OpenVinoNetwork:
    """A network run by OpenVINO (the extra `openvino`), in bfloat16 where the processor computes in it."""

    def __init__(self, graph: Path, threads: int, lanes: int) -> None:
        import openvino

        hints = {"INFERENCE_NUM_THREADS": threads * lanes, "NUM_STREAMS": lanes}
        try:
            compiled = openvino.Core().compile_model(str(graph), "CPU", hints)
        except RuntimeError as error:
            raise LoadError(
                f"{graph}: OpenVINO can't open it: {first_line(error)}; delete the file to export it again"
            ) from error
        self._compiled = compiled
        self._own = threading.local()  # a request runs one input at a time: each thread has its own
        self._names = [node.get_any_name() for node in compiled.inputs]

    def run(self, ids: Array, mask: Array, type_ids: Array) -> Array:
        """See `Network.run`."""
        feed: Mapping[str, Array] = {"input_ids": ids, "attention_mask": mask, "token_type_ids": type_ids}
        if not hasattr(self._own, "request"):
            self._own.request = self._compiled.create_infer_request()
        found = self._own.request.infer({name: feed[name] for name in self._names})
        # A copy: the request writes its next output to the same place.
        result: Array = np.array(found[0], dtype=np.float32)
        return result


def exported(folder: Path, sha256: str, kind: Kind, runtime: RuntimeName, cache: Path) -> Path:
    """The exported graph for these weights, made on first use and kept under their hash."""
    key = hashlib.sha256(f"{sha256} {kind} {EXPORT_REVISION}".encode()).hexdigest()[:24]
    cache.mkdir(parents=True, exist_ok=True)
    plain = cache / f"{key}-fp32.onnx"
    if runtime == "onnx-fp32":
        return plain if plain.exists() else _publish(plain, lambda out: _export(folder, kind, out))
    small = cache / f"{key}-int8.onnx"
    if small.exists():
        return small
    return _publish(small, lambda out: _export_int8(folder, kind, out))


def _publish(target: Path, write: Any) -> Path:
    """Write beside the target and rename, so that a killed export never leaves half a graph behind."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".export-") as folder:
        part = Path(folder) / "model.onnx"
        write(part)
        os.replace(part, target)
    return target


def _export(folder: Path, kind: Kind, out: Path) -> None:
    _write_graph(wrapped(_torch_module(folder, kind), kind), kind, out)


def _export_int8(folder: Path, kind: Kind, out: Path) -> None:
    import torch

    from ml_backend import quantise

    module = wrapped(_torch_module(folder, kind), kind)
    longest = min(128, int(getattr(module.model.config, "max_position_embeddings", 128)))
    tokenizer = TextTokenizer(folder / "tokenizer.json", longest, 0)
    windows = [window for windows in tokenizer.encode(quantise.calibration_texts()) for window in windows][:48]
    inputs = [
        tuple(torch.from_numpy(array[None]) for array in (window.ids, np.ones_like(window.ids), window.type_ids))
        for window in windows
    ]
    contracting = [
        name for name, one in module.named_modules() if isinstance(one, torch.nn.Linear) and quantise.contracts(one)
    ]
    floors = quantise.smooth(module, inputs)
    plain = out.with_name("smoothed.onnx")
    _write_graph(module, kind, plain)
    quantise.to_int8(plain, out, floors, [name for name in contracting if name not in floors])


def _write_graph(module: Any, kind: Kind, out: Path) -> None:
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


def default_threads() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0))


def shared_out(threads: int) -> tuple[int, int]:
    """How to use that many threads best: runs at a time, and threads of each.

    Two runs of one thread each get more out of two cores than one run of two: on all-MiniLM-L6-v2 1.2 times as much in
    fp32, 1.6 times in int8. More than four at a time would wait for Python.

    >>> [shared_out(threads) for threads in (1, 2, 4, 6, 16)]
    [(1, 1), (2, 1), (4, 1), (3, 2), (4, 4)]
    """
    each = -(-threads // MOST_LANES)
    return threads // each, each


def pad(rows: list[Array], width: int) -> tuple[Array, Array]:
    """Rows padded with zeros to `width`, and the mask of what is not padding."""
    ids = np.zeros((len(rows), width), dtype=np.int64)
    mask = np.zeros((len(rows), width), dtype=np.int64)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = row
        mask[index, : len(row)] = 1
    return ids, mask
