"""Runs the training that a webhook asks for: enqueued at once, one after the other, in a process of its own."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from ml_backend.config import TrainingSettings
from ml_backend.errors import ApiError
from ml_backend.settings import ServerConfig
from ml_backend.training import PACKAGES
from review_rules import extras
from review_rules.errors import MissingExtra

log = structlog.get_logger("ml_backend")


@dataclass
class _Job:
    number: int
    state: str = "queued"
    detail: str = ""


@dataclass
class Jobs:
    """The training jobs of one server.

    Args:
        settings: the `training` part of the models file; without it webhooks start nothing.
        config: the server's settings.
    """

    settings: TrainingSettings | None
    config: ServerConfig
    _queue: queue.Queue[_Job] = field(default_factory=lambda: queue.Queue(maxsize=1))
    _jobs: list[_Job] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def hear(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Take a webhook; only Label Studio's START_TRAINING enqueues, single annotations never do.

        Raises:
            ApiError: 501 where the packages that training needs are not installed; nothing is enqueued.
        """
        action = str(event.get("action") or "")
        if action != "START_TRAINING":
            return {
                "status": "ignored",
                "reason": "models learn from adjudicated gold only, not from single annotations",
            }
        if self.settings is None:
            return {"status": "ignored", "reason": "the models file has no `training` part"}
        try:
            extras.require("training", *PACKAGES)
        except MissingExtra as error:
            raise ApiError(501, "missing_extra", str(error)) from error
        with self._lock:
            # One that waits will read the gold of its start: a second one would learn the same.
            waiting = next((job for job in self._jobs if job.state == "queued"), None)
            if waiting is not None:
                return {"status": "queued", "job": waiting.number}
            job = _Job(len(self._jobs) + 1)
            # On first use, so that a server that never trains has no thread for it.
            if not self._jobs:
                threading.Thread(target=self._work, name="training", daemon=True).start()
            self._jobs.append(job)
            self._queue.put_nowait(job)
        return {"status": "queued", "job": job.number}

    def describe(self) -> dict[str, Any]:
        """Return the jobs so far."""
        with self._lock:
            return {"jobs": [{"job": job.number, "state": job.state, "detail": job.detail} for job in self._jobs[-20:]]}

    def _work(self) -> None:
        while True:
            job = self._queue.get()
            job.state = "running"
            process = self._train()
            job.state = "done" if process.returncode == 0 else "failed"
            job.detail = (process.stderr.strip().splitlines() or [""])[-1][:300]
            log.info("training", job=job.number, state=job.state)

    def _train(self) -> subprocess.CompletedProcess[str]:
        settings = self.settings
        if settings is None:
            raise RuntimeError("a job without training settings")
        base = self.config.models.parent
        # A process of its own: training takes gigabytes and all cores, and may crash without the server.
        command = [
            sys.executable, "-m", "ml_backend.training", "--models", str(self.config.models),
            "--gold", str(base / settings.gold), "--out", str(base / settings.out),
            *(["--full"] if settings.method == "full" else []),
        ]  # fmt: skip
        return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  our own interpreter
