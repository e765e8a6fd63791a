"""Which model answers now, and how another takes its place without a dropped request."""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from ml_backend.batching import Batcher
from ml_backend.config import read_models
from ml_backend.errors import ApiError, ConfigError, LoadError
from ml_backend.metrics import Metrics
from ml_backend.models import Loader, ModelSet
from ml_backend.runtimes import default_threads
from ml_backend.settings import ServerConfig

log = structlog.get_logger("ml_backend")


@dataclass(eq=False)
class _Held:
    """A loaded model and how many requests are using it."""

    models: ModelSet
    users: int = 0
    retired: bool = False


@dataclass(frozen=True)
class _State:
    """What the state file says: the active model and those before it, newest last."""

    active: str
    before: tuple[str, ...] = ()


class LiveModels:
    """The models of a running server.

    Args:
        config: the server's settings.
        metrics: where readiness is shown.
    """

    def __init__(self, config: ServerConfig, metrics: Metrics) -> None:
        self._server = config
        self._metrics = metrics
        self.models = read_models(config.models)
        # Several workers share what the parent loaded before the fork, and a runtime's own threads do not survive one.
        self._threads = 1 if config.workers > 1 else config.threads or default_threads()
        limits = self.models.limits
        self.batcher = Batcher(limits.batch_tokens, limits.waiting_tokens, metrics)
        self._lock = threading.Lock()
        self._loading = threading.Lock()
        self._held: dict[str, _Held] = {}
        self._current: str | None = None
        self._why_not: str = "the model is being loaded"
        self._seen_state: int = 0
        self._loader = Loader(self.models, config.cache, self._threads)

    # --- who answers -------------------------------------------------------------------------------------------------

    @contextmanager
    def use(self, name: str | None) -> Iterator[ModelSet]:
        """The model of that name, or the active one, for as long as one request lasts.

        Raises:
            ApiError: 503 while nothing is loaded, 404 for a name that the models file lacks.
        """
        held = self._take(name)
        try:
            yield held.models
        finally:
            self._release(held)

    def _take(self, name: str | None) -> _Held:
        self._follow_state()
        with self._lock:
            wanted = name or self._current
            if wanted is None:
                raise ApiError(503, "not_ready", self._why_not, retry_after=2)
            if wanted in self._held:
                self._held[wanted].users += 1
                return self._held[wanted]
        return self._take_named(wanted)

    def _take_named(self, name: str) -> _Held:
        """Load a model that a request names, beside the active one."""
        with self._loading:
            with self._lock:
                known = self._held.get(name)
            held = known or _Held(self._load(name))
            with self._lock:
                self._held[name] = held
                held.users += 1
                return held

    def _release(self, held: _Held) -> None:
        with self._lock:
            held.users -= 1
            done = held.retired and held.users == 0
        if done:
            held.models.close()

    def _load(self, name: str) -> ModelSet:
        if name not in self.models.models:
            raise ApiError(
                404,
                "unknown_model",
                f"no model is called {name!r}; the models file has {', '.join(self.models.models)}",
            )
        try:
            return ModelSet.load(self.models.models[name], self._loader)
        except LoadError as error:
            raise ApiError(503, "load_failed", str(error)) from error

    # --- start -------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Load the active model: in the background, or now, as the server's settings say."""
        if self._server.load == "now":
            self._start()
        else:
            threading.Thread(target=self._start, name="loader", daemon=True).start()

    def _start(self) -> None:
        state = self._read_state()
        if self._state_file.exists():
            self._seen_state = self._state_file.stat().st_mtime_ns
        try:
            with self._loading:
                self._swap(state.active, self._load(state.active))
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
        """Why no model is loaded."""
        return self._why_not

    def version(self, name: str | None = None) -> str:
        """The version of the active model."""
        with self.use(name) as models:
            return models.version

    # --- swap --------------------------------------------------------------------------------------------------------

    def activate(self, name: str) -> dict[str, Any]:
        """Read the models file again, load that model and let it answer from now on.

        Requests that are under way finish on the model that they began with.

        Raises:
            ApiError: 409 if the file has faults, 404, or 503 if it does not load; the running model goes on.
        """
        with self._loading:
            before = self._read_state()
            self._reread()
            self._swap(name, self._load(name))
            past = before.before if before.active == name else (*before.before, before.active)[-20:]
            self._write_state(_State(name, past))
        return self.describe()

    def rollback(self) -> dict[str, Any]:
        """Go back to the model that was active before.

        Raises:
            ApiError: 409 if there is none; else as `activate`.
        """
        with self._loading:
            state = self._read_state()
            if not state.before:
                raise ApiError(409, "no_earlier_model", "no model was active before this one; activate one by name")
            self._reread()
            self._swap(state.before[-1], self._load(state.before[-1]))
            self._write_state(_State(state.before[-1], state.before[:-1]))
        return self.describe()

    def _reread(self) -> None:
        try:
            self.models = read_models(self._server.models)
        except ConfigError as error:
            raise ApiError(409, "models_file", str(error)) from error
        self._loader = Loader(self.models, self._server.cache, self._threads)

    def _swap(self, name: str, models: ModelSet) -> None:
        with self._lock:
            # Those that requests named are loaded again on their next use: the file may say something else now.
            old, self._held = self._held, {name: _Held(models)}
            self._current = name
            for held in old.values():
                held.retired = True
            idle = [held for held in old.values() if held.users == 0]
        for held in idle:
            held.models.close()
        self._metrics.ready.set(1)
        log.info("active", model=name, version=models.version)

    def describe(self) -> dict[str, Any]:
        """What `/models` shows."""
        with self._lock:
            held = {name: one.models.version for name, one in self._held.items()}
            current = self._current
        return {
            "active": current,
            "model_version": held.get(current or ""),
            "before": list(self._read_state().before),
            "models": [
                {
                    "name": name,
                    "version": held.get(name),
                    "loaded": name in held,
                    "controls": {c: s.predictor for c, s in one.controls.items()},
                }
                for name, one in self.models.models.items()
            ],
        }

    # --- state that outlives a restart, and that several workers share -----------------------------------------------

    @property
    def _state_file(self) -> Path:
        return self._server.state / "active.json"

    def _read_state(self) -> _State:
        try:
            raw = json.loads(self._state_file.read_text(encoding="utf-8"))
            state = _State(str(raw["active"]), tuple(map(str, raw["before"])))
        except FileNotFoundError:
            return _State(self.models.active)
        except (ValueError, KeyError, TypeError):
            log.warning("state_unreadable", file=str(self._state_file))
            return _State(self.models.active)
        return state if state.active in self.models.models else _State(self.models.active)

    def _write_state(self, state: _State) -> None:
        self._state_file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=self._state_file.parent, delete=False, encoding="utf-8") as part:
            json.dump({"active": state.active, "before": list(state.before)}, part)
        os.replace(part.name, self._state_file)
        self._seen_state = self._state_file.stat().st_mtime_ns

    def _follow_state(self) -> None:
        """With several workers: another one was told to activate a model, so this one does too."""
        if self._server.workers == 1 or not self.ready:
            return
        try:
            changed = self._state_file.stat().st_mtime_ns
        except FileNotFoundError:
            return
        if changed == self._seen_state or not self._loading.acquire(blocking=False):
            return
        try:
            self._seen_state = changed
            threading.Thread(target=self._follow, name="follow", daemon=True).start()
        finally:
            self._loading.release()

    def _follow(self) -> None:
        with self._loading:
            try:
                self._reread()
                name = self._read_state().active
                self._swap(name, self._load(name))
            except ApiError as error:
                log.error("follow_failed", reason=error.message)

    def close(self) -> None:
        """Refuse newcomers."""
        self.batcher.close()
