"""Keeps which model answers now, and lets another take its place without a dropped request."""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from ml_backend.active import FILE, Activation, read_activation
from ml_backend.batching import Batcher
from ml_backend.comparing import Comparison, Gold, compare
from ml_backend.config import ModelsConfig, read_models
from ml_backend.embedding import Embedded, embed, encoder_of
from ml_backend.errors import ApiError, ConfigError, LoadError
from ml_backend.metrics import Metrics
from ml_backend.models import Loader, ModelSet, TaskPrediction
from ml_backend.runtimes import default_threads, shared_out
from ml_backend.settings import ServerConfig
from review_rules.errors import MissingExtra

log = structlog.get_logger("ml_backend")

FOLLOW_EVERY = 0.25
"""Seconds between looks at which model another worker was told to activate."""
_PART = 64
"""Rows of gold that are replayed at a time."""


@dataclass(eq=False)
class _LoadedModel:
    """A loaded model and how many requests are using it."""

    models: ModelSet
    users: int = 0
    retired: bool = False


class LiveModels:
    """The models of a running server.

    Args:
        config: the server's settings.
        metrics: where readiness is shown.
    """

    def __init__(self, config: ServerConfig, metrics: Metrics) -> None:
        self._server = config
        self._metrics = metrics
        # Several workers share what the parent loaded before the fork, and a runtime's own threads do not survive one.
        threads = 1 if config.workers > 1 else config.threads or default_threads()
        self._lanes, self._threads = shared_out(threads)
        self._loader = self._read()
        limits = self.models.limits
        self.batcher = Batcher(limits.batch_tokens, limits.waiting_tokens, metrics, self._lanes)
        self._lock = threading.Lock()
        self._loading = threading.Lock()
        self._loaded: dict[str, _LoadedModel] = {}
        self._current: str | None = None
        self._why_not: str = "the model is being loaded"
        self._seen_state: int = 0

    @property
    def models(self) -> ModelsConfig:
        """The models file as it was when the active model was loaded."""
        return self._loader.config

    def _read(self) -> Loader:
        return Loader(read_models(self._server.models), self._server.cache, self._threads, self._lanes)

    def _read_again(self) -> Loader:
        try:
            return self._read()
        except ConfigError as error:
            raise ApiError(409, "models_file", str(error)) from error

    # --- who answers -------------------------------------------------------------------------------------------------

    @contextmanager
    def use(self, name: str | None) -> Iterator[ModelSet]:
        """Lend the model of that name, or the active one, for as long as one request lasts.

        Raises:
            ApiError: 503 while nothing is loaded, 404 for a name that the models file lacks.
        """
        entry = self._take(name)
        try:
            yield entry.models
        finally:
            self._release(entry)

    def _take(self, name: str | None) -> _LoadedModel:
        with self._lock:
            target = name or self._current
            if target is None:
                raise ApiError(503, "not_ready", self._why_not, retry_after=2)
            if target in self._loaded:
                self._loaded[target].users += 1
                return self._loaded[target]
        return self._take_named(target)

    def _take_named(self, name: str) -> _LoadedModel:
        """Load a model that a request names, beside the active one."""
        with self._loading:
            with self._lock:
                # Looked for again: another request may have loaded it while this one waited for its turn.
                present = self._loaded.get(name)
            entry = present or _LoadedModel(self._load(name, self._loader))
            with self._lock:
                self._loaded[name] = entry
                entry.users += 1
                return entry

    def _release(self, entry: _LoadedModel) -> None:
        with self._lock:
            entry.users -= 1
            # A model that was replaced is closed by whoever uses it last, so that no request loses its network.
            is_idle = entry.retired and entry.users == 0
        if is_idle:
            entry.models.close()

    def _load(self, name: str, loader: Loader) -> ModelSet:
        models = loader.config.models
        if name not in models:
            raise ApiError(
                404, "unknown_model", f"no model is called {name!r}; the models file has {', '.join(models)}"
            )
        try:
            return ModelSet.load(models[name], loader)
        except (LoadError, MissingExtra) as error:
            raise ApiError(503, "load_failed", str(error)) from error

    # --- embeddings --------------------------------------------------------------------------------------------------

    def embed(self, name: str | None, rows: Sequence[Sequence[str]]) -> Embedded:
        """Compute the vectors of rows by the encoder of the model of that name, or of the active one.

        Raises:
            ApiError: as `use` and `Batcher.run`, 404 where the models file names no encoder.
        """
        # Lent as for a prediction: the server is ready, and a model that is swapped out meanwhile stays until the end.
        with self.use(name) as models:
            config = self.models
            encoder = encoder_of(config, models.name)
            if encoder is None:
                raise ApiError(404, "no_encoder", "the models file names no encoder; add one under `encoders`")
            try:
                model, _ = self._loader.encoder(encoder)
            except (LoadError, MissingExtra) as error:
                raise ApiError(503, "load_failed", str(error)) from error
            return embed(model, rows, self.batcher, config.limits.seconds)

    # --- start -------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Load the active model: in the background, or now, as the server's settings say."""
        # Several workers share what is loaded before the fork; a single one should answer /health at once.
        if self._server.load == "now":
            self._start()
        else:
            threading.Thread(target=self._start, name="loader", daemon=True).start()

    def _start(self) -> None:
        state = self._read_state()
        # What is on disk now is what is loaded below: only a later change is news to follow.
        if self._state_file.exists():
            self._seen_state = self._state_file.stat().st_mtime_ns
        try:
            with self._loading:
                self._swap(self._load(state.active, self._loader), self._loader)
        except ApiError as error:
            # Not ready, and saying why: another model must not answer in its name.
            self._why_not = error.message
            log.error("load_failed", model=state.active, reason=error.message)

    @property
    def ready(self) -> bool:
        """True if a model is loaded."""
        return self._current is not None

    @property
    def why_not(self) -> str:
        """Say why no model is loaded."""
        return self._why_not

    def version(self, name: str | None = None) -> str:
        """Return the version of the active model."""
        with self.use(name) as models:
            return models.version

    # --- swap --------------------------------------------------------------------------------------------------------

    def activate(self, name: str, gold: Gold | None = None, *, force: bool = False) -> dict[str, Any]:
        """Read the models file again, load that model and let it answer from now on.

        Requests that are under way finish on the model that they began with.

        Args:
            name: a model of the models file.
            gold: where given, the model is activated only if it is shown to save more edits on these rows than the
                model that is running: the one that is loaded, whatever the models file says of it by now.
            force: activate it also where that is not shown.

        Raises:
            ApiError: 409 if the file has faults, the model is not shown to be better, or another was activated
                meanwhile, 404, or 503 if it does not load; the running model goes on.
        """
        loader, candidate = self._candidate(name)
        try:
            comparison = None if gold is None else self._gate(candidate, gold, force=force)
        except ApiError:
            candidate.close()
            raise
        with self._loading:
            # Comparing takes long and holds no lock; the verdict counts only against the model that it was made with.
            if comparison is not None and comparison.a != self._running():
                candidate.close()
                raise ApiError(409, "changed_meanwhile", "another model was activated meanwhile; compare again")
            before = self._read_state()
            self._swap(candidate, loader)
            # The same model twice is no step back; twenty steps are more than anybody goes.
            past = before.before if before.active == name else (*before.before, before.active)[-20:]
            self._write_state(Activation(name, past))
        return self.describe() | ({} if comparison is None else {"comparison": comparison.to_json()})

    def compare(self, a: str | None, b: str, gold: Gold) -> Comparison:
        """Replay two models of the models file, as it is now, on gold; without `a` the running model is the first.

        Raises:
            ApiError: as `activate`, and 503 if nothing runs.
        """
        _, second = self._candidate(b)
        try:
            if a is None:
                return self._compare_running(second, gold)
            _, first = self._candidate(a)
            try:
                return self._replay(first, second, gold)
            finally:
                first.close()
        finally:
            second.close()

    def _candidate(self, name: str) -> tuple[Loader, ModelSet]:
        with self._loading:
            loader = self._read_again()
            return loader, self._load(name, loader)

    def _gate(self, candidate: ModelSet, gold: Gold, *, force: bool) -> Comparison | None:
        if not self.ready:
            # With nothing running there is nothing to lose to: a person's word is enough.
            if force:
                return None
            raise ApiError(
                409, "nothing_runs", f"no model is running that {candidate.version} could be compared with: "
                f"{self._why_not}; activate it without gold, or by force",
            )  # fmt: skip
        comparison = self._compare_running(candidate, gold)
        if comparison.whole.better != "B" and not force:
            raise ApiError(
                409,
                "not_better",
                f"{comparison.verdict} So {candidate.version} was not activated; force does it all the same",
            )
        return comparison

    def _compare_running(self, candidate: ModelSet, gold: Gold) -> Comparison:
        with self.use(None) as running:
            return self._replay(running, candidate, gold)

    def _replay(self, a: ModelSet, b: ModelSet, gold: Gold) -> Comparison:
        sides = [(models.version, self._answers(models, gold)) for models in (a, b)]
        return compare(gold, *sides)

    def _answers(self, models: ModelSet, gold: Gold) -> list[TaskPrediction]:
        """Replay in small parts, so that whoever asks for predictions meanwhile does not wait for all of them."""
        rows, seconds = gold.rows(), self.models.limits.seconds
        parts = [rows[start : start + _PART] for start in range(0, len(rows), _PART)]
        answers = (models.predict(part, gold.controls, self.batcher, seconds) for part in parts)
        return [prediction for predictions in answers for prediction in predictions]

    def _running(self) -> str | None:
        with self._lock:
            return None if self._current is None else self._loaded[self._current].models.version

    def rollback(self) -> dict[str, Any]:
        """Go back to the model that was active before.

        Raises:
            ApiError: 409 if there is none; else as `activate`.
        """
        with self._loading:
            state = self._read_state()
            if not state.before:
                raise ApiError(409, "no_earlier_model", "no model was active before this one; activate one by name")
            loader = self._read_again()
            self._swap(self._load(state.before[-1], loader), loader)
            self._write_state(Activation(state.before[-1], state.before[:-1]))
        return self.describe()

    def _swap(self, models: ModelSet, loader: Loader) -> None:
        with self._lock:
            # Those that requests named are loaded again on their next use: the file may say something else now.
            old, self._loaded = self._loaded, {models.name: _LoadedModel(models)}
            self._current = models.name
            self._loader = loader
            for entry in old.values():
                entry.retired = True
            idle = [entry for entry in old.values() if entry.users == 0]
        for entry in idle:
            entry.models.close()
        self._metrics.ready.set(1)
        log.info("active", model=models.name, version=models.version)

    def describe(self) -> dict[str, Any]:
        """Return what `/models` shows."""
        with self._lock:
            versions = {name: entry.models.version for name, entry in self._loaded.items()}
            current = self._current
        return {
            "active": current,
            "model_version": versions.get(current or ""),
            "before": list(self._read_state().before),
            "models": [
                {
                    "name": name,
                    "version": versions.get(name),
                    "loaded": name in versions,
                    "controls": {c: s.predictor for c, s in config.controls.items()},
                }
                for name, config in self.models.models.items()
            ],
        }

    # --- state that outlives a restart, and that several workers share -----------------------------------------------

    @property
    def _state_file(self) -> Path:
        return self._server.state / FILE

    def _read_state(self, models: ModelsConfig | None = None) -> Activation:
        models = models or self.models
        try:
            state = read_activation(self._server.state)
        except ValueError:
            log.warning("state_unreadable", file=str(self._state_file))
            state = None
        return state if state is not None and state.active in models.models else Activation(models.active)

    def _write_state(self, state: Activation) -> None:
        self._state_file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=self._state_file.parent, delete=False, encoding="utf-8") as part:
            json.dump({"active": state.active, "before": list(state.before)}, part)
        # Renamed into place, as another worker may read it at this very moment.
        os.replace(part.name, self._state_file)
        self._seen_state = self._state_file.stat().st_mtime_ns

    def watch(self) -> None:
        """Follow, in one of several workers after the fork, whichever of them is told to activate a model.

        It does so unasked: otherwise a worker that has had nothing to do for hours would answer with the old model.
        """
        threading.Thread(target=self._watch, name="follow", daemon=True).start()

    def _watch(self) -> None:
        while True:
            time.sleep(FOLLOW_EVERY)
            if self.ready and self._state_changed():
                self._follow()

    def _state_changed(self) -> bool:
        try:
            return self._state_file.stat().st_mtime_ns != self._seen_state
        except FileNotFoundError:
            return False

    def _follow(self) -> None:
        with self._loading:
            if not self._state_changed():
                return  # it was this worker that was told
            self._seen_state = self._state_file.stat().st_mtime_ns
            try:
                loader = self._read_again()
                self._swap(self._load(self._read_state(loader.config).active, loader), loader)
            except ApiError as error:
                # The old model goes on answering here: it is better than none, and the log says which worker lags.
                log.error("follow_failed", reason=error.message)

    def close(self) -> None:
        """Refuse newcomers."""
        self.batcher.close()
