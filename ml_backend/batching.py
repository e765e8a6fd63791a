"""A few threads run the networks: batches by token budget over all requests, and small requests overtake large ones.

Each thread is a lane: it takes a batch, runs it, keeps what the predictors want of it, and takes the next. Lanes side
by side use cores better than one run that shares its work out among them: no core waits for another after each
operation, or while Python handles what came out.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ml_backend.errors import ApiError
from ml_backend.metrics import Metrics
from ml_backend.networks import Array, Network
from ml_backend.runtimes import pad
from ml_backend.tokens import Window

Reducer = Callable[[Array, Window], NDArray[np.float32]]
"""Turns one window's share of a network's output into what a predictor keeps; runs on the batch's lane."""

TURN = 4
"""Every so many batches it is the turn of the job that waits longest, so that no flow of small ones starves a bulk."""
SMALLEST = 64
"""Tokens that a batch may hold however little there is to share: smaller ones cost more than a busy lane gains."""
FIRST_GUESS_TOKENS_PER_S = 2000.0
"""For the time to come back that a refused newcomer is told, until the real speed is known."""


@dataclass(eq=False)
class WindowReading:
    """One window that a network has to read, and what to keep of the output."""

    network: Network
    window: Window
    reducers: dict[str, Reducer] = field(default_factory=dict)
    outputs: dict[str, NDArray[np.float32]] = field(default_factory=dict)


@dataclass(eq=False)
class _Job:
    readings: list[WindowReading]  # per network, shortest first: taken from the end
    tokens: int
    since: float
    deadline: float
    remaining: int
    has_begun: bool = False
    completion: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None


class Batcher:
    """Collects readings of concurrent requests and runs them.

    Args:
        budget: padded tokens a batch may hold; small enough that a single task need not wait long.
        max_tokens: tokens that may wait before a newcomer is refused with 429.
        metrics: where batches, padding and waiting times are counted.
        lanes: batches that run at a time.
    """

    def __init__(self, budget: int, max_tokens: int, metrics: Metrics, lanes: int = 1) -> None:
        self._budget = budget
        self._lanes = lanes
        self._max_tokens = max_tokens
        self._metrics = metrics
        self._jobs: list[_Job] = []
        self._waiting = 0
        self._speed = FIRST_GUESS_TOKENS_PER_S
        self._turn = 0
        self._closed = False
        self._wake = threading.Condition()
        self._running = 0

    def run(
        self, readings: Sequence[WindowReading], timeout: float, meanwhile: Callable[[], None] = lambda: None
    ) -> None:
        """Run all readings and return when their `outputs` are filled.

        Args:
            readings: what to run; may be empty.
            timeout: seconds until the caller gives up.
            meanwhile: what the caller's thread does while the networks run.

        Raises:
            ApiError: 429 if too much is waiting, 503 if the server stops, 504 after `timeout` seconds.
        """
        if not readings:
            return meanwhile()
        job = self._enqueue(readings, timeout)
        meanwhile()
        if not job.completion.wait(timeout):
            # Nobody waits for the rest any more, and each reading left there would delay somebody who does.
            self._withdraw(job)
            raise ApiError(
                504, "too_slow", f"not done after {timeout:.0f} s; send fewer tasks in one request", retry_after=5
            )
        if job.error is not None:
            raise job.error

    def _enqueue(self, readings: Sequence[WindowReading], timeout: float) -> _Job:
        # By length, so that a batch holds texts of about one length and little of it is padding.
        ordered = sorted(readings, key=lambda reading: (id(reading.network), len(reading.window)))
        tokens = sum(len(reading.window) for reading in ordered)
        now = time.monotonic()
        job = _Job(ordered, tokens, now, now + timeout, len(ordered))
        with self._wake:
            if self._closed:
                raise ApiError(503, "stopping", "the server is stopping; ask again in a moment", retry_after=5)
            # Alone a job is taken whatever its size: refused, it could be asked again for ever.
            if self._jobs and self._waiting + tokens > self._max_tokens:
                seconds = max(1, round(self._waiting / self._speed))
                raise ApiError(
                    429, "busy", f"too much is waiting already; ask again in {seconds} s", retry_after=seconds
                )
            self._jobs.append(job)
            self._waiting += tokens
            self._metrics.waiting_tokens.set(self._waiting)
            self._start()
            self._wake.notify_all()
        return job

    def _start(self) -> None:
        # On first use, so that a process that forks afterwards does not lose the threads.
        if self._running:
            return
        # One thread for numpy's products: after each of them OpenBLAS's other threads spin for some 20 ms, on the very
        # cores that the networks need next.
        self._limits = threadpool_limits(limits=1, user_api="blas")
        self._running = self._lanes
        for lane in range(self._lanes):
            threading.Thread(target=self._loop, name=f"lane-{lane}", daemon=True).start()

    def _withdraw(self, job: _Job) -> None:
        with self._wake:
            if job in self._jobs:
                self._jobs.remove(job)
                self._waiting -= sum(len(reading.window) for reading in job.readings)

    def close(self) -> None:
        """Refuse newcomers; what is waiting is still run."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()

    def _loop(self) -> None:
        while (batch := self._next()) is not None:
            self._run(batch)
        with self._wake:
            self._running -= 1
            if not self._running:
                self._limits.restore_original_limits()

    def _next(self) -> list[tuple[_Job, WindowReading]] | None:
        with self._wake:
            while not self._jobs:
                if self._closed:
                    return None
                self._wake.wait()
            return self._take()

    def _take(self) -> list[tuple[_Job, WindowReading]]:
        """Take the next batch: of the job with the least left to do, at every turn of the one that waits longest."""
        by_rank = sorted(self._jobs, key=lambda job: job.tokens)
        self._turn = (self._turn + 1) % TURN
        if self._turn == 0:
            oldest = min(self._jobs, key=lambda job: job.since)
            by_rank = [oldest, *(job for job in by_rank if job is not oldest)]
        lead = by_rank[0]
        network = lead.readings[-1].network
        longest = len(lead.readings[-1].window)
        # Of little each lane takes its share, so that none stands idle at the end of a job or beside a single task.
        room = max(1, min(self._budget, max(SMALLEST, self._waiting // self._lanes)) // longest)
        batch = self._from_job(lead, network, longest, room)
        for job in by_rank[1:]:
            # Only small jobs ride along: filling up from a bulk job would make the small one wait for it.
            if len(batch) >= room or job.tokens > self._budget:
                break
            batch += self._from_job(job, network, longest, room - len(batch))
        self._jobs = [job for job in self._jobs if job.readings]
        self._metrics.waiting_tokens.set(self._waiting)
        return batch

    def _from_job(self, job: _Job, network: Network, longest: int, room: int) -> list[tuple[_Job, WindowReading]]:
        batch: list[tuple[_Job, WindowReading]] = []
        while job.readings and len(batch) < room:
            reading = job.readings[-1]
            # A longer one would widen the whole batch; the next batch of this job begins with it.
            if reading.network is not network or len(reading.window) > longest:
                break
            batch.append((job, job.readings.pop()))
        used = sum(len(reading.window) for _, reading in batch)
        job.tokens -= used
        self._waiting -= used
        if batch and not job.has_begun:
            job.has_begun = True
            self._metrics.queue_seconds.observe(time.monotonic() - job.since)
        return batch

    def _run(self, batch: list[tuple[_Job, WindowReading]]) -> None:
        started = time.monotonic()
        try:
            self._forward([reading for _, reading in batch])
            error = None
        except Exception as caught:  # noqa: BLE001  the batching thread must outlive any network's failure
            error = ApiError(500, "model_failed", f"the model failed on this batch: {type(caught).__name__}")
        took = time.monotonic() - started
        tokens = sum(len(reading.window) for _, reading in batch)
        self._metrics.batch(len(batch), tokens, len(batch) * max(len(reading.window) for _, reading in batch), took)
        with self._wake:
            # A moving average, as one odd batch should not decide how long a refused caller is told to wait.
            self._speed += 0.1 * (self._lanes * tokens / max(took, 1e-6) - self._speed)
            for job, _ in batch:
                job.remaining -= 1
                # The caller is told the first failure: it waits for one answer, whatever the other batches give.
                job.error = job.error or error
                if job.remaining == 0:
                    job.completion.set()

    def _forward(self, readings: list[WindowReading]) -> None:
        width = max(len(reading.window) for reading in readings)
        ids, mask = pad([reading.window.ids for reading in readings], width)
        types, _ = pad([reading.window.type_ids for reading in readings], width)
        output = readings[0].network.run(ids, mask, types)
        for row, reading in zip(output, readings, strict=True):
            for key, reduce in reading.reducers.items():
                reading.outputs[key] = reduce(row, reading.window)
