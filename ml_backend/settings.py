"""Says how one server runs; its entry point reads that from arguments and environment, no module at import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ml_backend.auth import Credentials, from_environment
from ml_backend.config import DEFAULT_MODELS


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerConfig:
    """Settings of one server.

    Attributes:
        models: the models file.
        state: folder for what outlives a restart: which model is active.
        cache: folder for exported graphs, which servers share.
        credentials: what callers must show.
        threads: threads that run networks; None takes this machine's cores. Each of several workers has one.
        workers: processes that serve.
        load: "background" answers /health at once and is ready later; "now" loads before `create_app` returns.
    """

    models: Path = DEFAULT_MODELS
    state: Path = field(default_factory=lambda: Path(".quorum") / "ml")
    cache: Path = field(default_factory=lambda: Path("~/.cache/quorum/graphs").expanduser())
    credentials: Credentials = field(default_factory=Credentials)
    threads: int | None = None
    workers: int = 1
    load: str = "background"


def graph_cache(environ: Mapping[str, str]) -> Path:
    """Return the folder for exported graphs: `QUORUM_ML_CACHE`, else below the user's cache folder."""
    if folder := environ.get("QUORUM_ML_CACHE"):
        return Path(folder)
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "quorum" / "graphs"


def server_config(
    environ: Mapping[str, str], *, models: Path | None = None, workers: int = 1, threads: int | None = None
) -> ServerConfig:
    """Read a server's settings from arguments and environment (`QUORUM_ML_MODELS`, `QUORUM_DATA_DIR`, credentials)."""
    data = Path(environ.get("QUORUM_DATA_DIR") or ".quorum")
    models_file = environ.get("QUORUM_ML_MODELS")
    return ServerConfig(
        models=models or (Path(models_file) if models_file else DEFAULT_MODELS),
        state=data / "ml",
        cache=graph_cache(environ),
        credentials=from_environment(environ),
        threads=threads,
        workers=workers,
        # Before the fork, so that the workers share the weights; a thread that loads would not survive it.
        load="now" if workers > 1 else "background",
    )
