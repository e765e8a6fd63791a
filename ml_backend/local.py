"""Runs a model of the models file in this process, for commands that check, compare and pre-label without a server."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from ls_config.interface import Control
from ml_backend.batching import Batcher
from ml_backend.config import ModelsConfig, read_models
from ml_backend.errors import LoadError
from ml_backend.metrics import Metrics
from ml_backend.models import Loader, ModelSet, TaskPrediction
from ml_backend.runtimes import default_threads, shared_out
from ml_backend.settings import graph_cache

WHOLE_DAY = 86_400.0


class LocalModel:
    """A loaded model that answers rows; to be used as a context.

    Args:
        models: the models file.
        name: a model of it; None for its active one.
        threads: threads that run networks; None for the cores.

    Raises:
        ConfigError: the file has faults.
        LoadError: the model is not in it, or can't be loaded.
        MissingExtra: the model needs a package that is not installed.
    """

    def __init__(
        self, models: Path, name: str | None = None, *, threads: int | None = None, loader: Loader | None = None
    ) -> None:
        self.config: ModelsConfig = read_models(models)
        model_name = name or self.config.active
        if model_name not in self.config.models:
            raise LoadError(f"{models}: no model is called {model_name!r}; it has {', '.join(self.config.models)}")
        cache = graph_cache(os.environ)
        lanes, each = shared_out(threads or default_threads())
        self.loader = loader or Loader(self.config, cache, each, lanes)
        self.models = ModelSet.load(self.config.models[model_name], self.loader)
        # Without a bound on what waits: a command is its own only caller.
        self._batcher = Batcher(self.config.limits.batch_tokens, 1 << 60, Metrics(), lanes)

    @property
    def version(self) -> str:
        """name@hash of what runs."""
        return self.models.version

    def predict(self, rows: Sequence[Mapping[str, Any] | str], controls: Sequence[Control]) -> list[TaskPrediction]:
        """Predict each row, in the same order; a string stands for a row that can't be read, and says why."""
        return self.models.predict(rows, controls, self._batcher, WHOLE_DAY)

    def __enter__(self) -> LocalModel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._batcher.close()
        self.models.close()
