"""Runs a network by torch, ONNX Runtime (fp32 or int8) or OpenVINO; exported graphs are cached by weight hash."""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from ml_backend import bert, quantise, torch_networks
from ml_backend.errors import LoadError
from ml_backend.networks import Array, Network, NetworkKind, first_line
from ml_backend.tokens import TextTokenizer
from review_rules import extras

RuntimeName = Literal["torch", "onnx-fp32", "onnx-int8", "openvino"]
MOST_LANES = 4
EXPORT_REVISION = "5"  # part of the cache key: raise it when the export or the quantisation below changes


def open_network(
    folder: Path, sha256: str, kind: NetworkKind, runtime: RuntimeName, cache: Path, *, threads: int, lanes: int
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
        MissingExtra: the runtime or the weights need a package that is not installed.
        LoadError: the weights can't be read or exported.
    """
    if runtime == "torch":
        return torch_networks.TorchNetwork(folder, kind, threads)
    if runtime == "openvino":
        # From the fp32 graph: OpenVINO lowers the precision itself, and knows none of our int8 nodes.
        return OpenVinoNetwork(exported(folder, sha256, kind, "onnx-fp32", cache), threads, lanes)
    return OnnxNetwork(exported(folder, sha256, kind, runtime, cache), threads)


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
        extras.require("the runtime openvino", "openvino")
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
        outputs = self._own.request.infer({name: feed[name] for name in self._names})
        # A copy: the request writes its next output to the same place.
        result: Array = np.array(outputs[0], dtype=np.float32)
        return result


def exported(folder: Path, sha256: str, kind: NetworkKind, runtime: RuntimeName, cache: Path) -> Path:
    """Return the exported graph for these weights; it is made on first use and kept under their hash."""
    key = hashlib.sha256(f"{sha256} {kind} {EXPORT_REVISION}".encode()).hexdigest()[:24]
    cache.mkdir(parents=True, exist_ok=True)
    # By the hash and not by the name: other weights under the same name must never be served by an old graph.
    plain = cache / f"{key}-fp32.onnx"
    if runtime == "onnx-fp32":
        return plain if plain.exists() else _publish(plain, lambda out: _write_plain(folder, kind, out))
    small = cache / f"{key}-int8.onnx"
    if small.exists():
        return small
    return _publish(small, lambda out: _write_int8(folder, kind, out))


def _publish(target: Path, write: Callable[[Path], None]) -> Path:
    """Write beside the target and rename, so that a killed export never leaves half a graph behind."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".export-") as folder:
        part = Path(folder) / "model.onnx"
        write(part)
        os.replace(part, target)
    return target


def _write_plain(folder: Path, kind: NetworkKind, out: Path) -> None:
    """Write the network as a graph in fp32: built from its weights where we know how, else traced by torch."""
    if kind == "encoder" and (shape := bert.read_shape(folder)) is not None:
        bert.write_graph(shape, folder, out)
    else:
        torch_networks.export(folder, kind, out)


def _write_int8(folder: Path, kind: NetworkKind, out: Path) -> None:
    """Write the network as a graph in int8, calibrated on the guidelines of the label types."""
    plain = out.with_name("plain.onnx")
    _write_plain(folder, kind, plain)
    tokenizer = TextTokenizer(folder / "tokenizer.json", min(128, bert.longest(folder)), 0)
    windows = [window for windows in tokenizer.encode(quantise.calibration_texts()) for window in windows][:48]
    inputs = [(window.ids[None], np.ones_like(window.ids)[None], window.type_ids[None]) for window in windows]
    quantise.to_int8(plain, out, inputs)


def default_threads() -> int:
    """Count the cores that this process may use."""
    # Not the machine's cores: a container or `taskset` may allow fewer.
    return len(os.sched_getaffinity(0))


def shared_out(threads: int) -> tuple[int, int]:
    """Say how to use that many threads best: runs at a time, and threads of each.

    Two runs of one thread each get more out of two cores than one run of two: on all-MiniLM-L6-v2 1.2 times as much in
    fp32, 1.6 times in int8. More than four at a time would wait for Python.

    >>> [shared_out(threads) for threads in (1, 2, 4, 6, 16)]
    [(1, 1), (2, 1), (4, 1), (3, 2), (4, 4)]
    """
    each = -(-threads // MOST_LANES)
    return threads // each, each


def pad(rows: list[Array], width: int) -> tuple[Array, Array]:
    """Pad rows with zeros to `width`, and return them with the mask of what is not padding."""
    ids = np.zeros((len(rows), width), dtype=np.int64)
    mask = np.zeros((len(rows), width), dtype=np.int64)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = row
        mask[index, : len(row)] = 1
    return ids, mask
