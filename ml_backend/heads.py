"""Heads are small trained layers on a frozen encoder: this is the file that they live in, and what they compute."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from ml_backend.errors import LoadError

Floats = NDArray[np.float32]
Task = Literal["choice", "choices", "rating", "spans"]


class HeadMeta(BaseModel):
    """What a head file says of itself.

    Attributes:
        task: kind of control it answers.
        labels: what it predicts, in the order of its outputs; for ratings the scale as numbers in text.
        blocks: feature blocks it reads, in order (see `encoder_head.BLOCKS`).
        encoder: SHA-256 of the encoder folder that it was trained on.
        temperature: divides the logits, so that scores are calibrated.
        abstain: below this score it gives no answer.
        thresholds: per label, for `choices`.
        patterns: labels that patterns find instead of the network, for `spans`.
        trained_on: hash of the training rows.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: Task
    labels: tuple[str, ...]
    blocks: tuple[str, ...]
    encoder: str
    temperature: float = 1.0
    abstain: float = 0.0
    thresholds: tuple[float, ...] = ()
    patterns: tuple[str, ...] = ()
    trained_on: str


@dataclass(frozen=True, eq=False)
class Head:
    """A head that was read from a file, or just trained."""

    meta: HeadMeta
    arrays: Mapping[str, Floats]
    sha256: str = ""

    def logits(self, x: Floats) -> Floats:
        """Compute the logits, shape (rows, outputs), for features of shape (rows, width)."""
        for layer in range(len(self.arrays) // 2):
            # Between layers only: the logits themselves may be negative.
            if layer:
                x = np.maximum(x, 0)
            x = x @ self.arrays[f"w{layer}"] + self.arrays[f"b{layer}"]
        return x / np.float32(self.meta.temperature)

    def probabilities(self, x: Floats) -> Floats:
        """Compute each label's probability: by softmax, for `choices` by sigmoids, for `rating` from cumulative logits.

        A rating head gives one logit for each step of the scale, P(rating > k); a rating's probability is the
        difference of neighbours, which are made to fall (McCullagh 1980, proportional odds).
        """
        logits = self.logits(x)
        if self.meta.task == "choices":
            return sigmoid(logits)
        if self.meta.task == "rating":
            # Each question was learned alone, so P(more than 3) may exceed P(more than 2): no chance may be negative.
            above = np.minimum.accumulate(sigmoid(logits), axis=1)
            edge = np.ones((len(above), 1), dtype=np.float32)
            chances: Floats = np.hstack([edge, above]) - np.hstack([above, 0 * edge])
            return chances
        return softmax(logits)


def softmax(logits: Floats) -> Floats:
    """Turn rows of logits into probabilities."""
    # Less the largest, so that no power overflows; the shares stay the same.
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    result: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return result


def sigmoid(logits: Floats) -> Floats:
    """Turn logits into probabilities, without overflow."""
    result: Floats = (0.5 * (1 + np.tanh(0.5 * logits))).astype(np.float32)
    return result


def save_head(path: Path, meta: HeadMeta, arrays: Mapping[str, Floats]) -> None:
    """Write a head: an npz file with half-precision arrays and the meta as JSON; the same head gives the same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        _add(archive, "meta.json", json.dumps(meta.model_dump(), sort_keys=True, indent=1).encode())
        for name in sorted(arrays):
            buffer = io.BytesIO()
            # Half the size in a package; the cross-validated figures are measured on these rounded weights.
            np.save(buffer, arrays[name].astype(np.float16), allow_pickle=False)
            _add(archive, f"{name}.npy", buffer.getvalue())


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    # A fixed date: zip entries carry one, and equal heads must have equal hashes.
    entry = zipfile.ZipInfo(name, date_time=(2020, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, content)


def load_head(path: Path) -> Head:
    """Read a head.

    Raises:
        LoadError: not a head file, or its numbers are not finite.
    """
    try:
        content = path.read_bytes()
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            meta = HeadMeta.model_validate_json(archive.read("meta.json"))
            names = [name for name in archive.namelist() if name.endswith(".npy")]
            arrays = {name.removesuffix(".npy"): _array(archive.read(name)) for name in names}
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, ValidationError) as error:
        raise LoadError(
            f"{path}: not a head file ({type(error).__name__}); train it with `quorum models train`"
        ) from error
    # Otherwise each answer would be refused one by one, and nobody would learn why.
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise LoadError(f"{path}: the head has weights that are not finite; train it again")
    return Head(meta, arrays, hashlib.sha256(content).hexdigest())


def _array(content: bytes) -> Any:
    # No pickles: a head file comes from anybody, and a pickle runs code.
    return np.load(io.BytesIO(content), allow_pickle=False).astype(np.float32)
