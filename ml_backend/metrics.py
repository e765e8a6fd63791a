"""Counts what Prometheus reads: rows, batches, padding waste, queue time, latency by model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 100)


class Metrics:
    """The counters of one app, in a registry of their own."""

    def __init__(self) -> None:
        # Not the global registry, which refuses the same names for a second app in one process.
        self.registry = CollectorRegistry()
        options: Any = {"registry": self.registry, "namespace": "quorum_ml"}
        self.rows = Counter("rows", "Tasks answered.", ["model"], **options)
        self.empty = Counter(
            "empty_predictions", "Tasks answered with an empty result and a reason.", ["model"], **options
        )
        self.requests = Counter("requests", "Requests by path and status.", ["path", "status"], **options)
        self.latency = Histogram(
            "predict_seconds", "Time of a predict request.", ["model"], buckets=_SECONDS, **options
        )
        self.batches = Counter("batches", "Batches run.", **options)
        self.batch_rows = Counter("batch_rows", "Windows run.", **options)
        self.tokens = Counter("tokens", "Tokens run, without padding.", **options)
        self.padding = Counter("padding_tokens", "Padding run beside them.", **options)
        self.batch_seconds = Histogram("batch_seconds", "Time of a batch.", buckets=_SECONDS, **options)
        self.queue_seconds = Histogram(
            "queue_seconds", "Waiting until a request's first batch.", buckets=_SECONDS, **options
        )
        self.waiting_tokens = Gauge("waiting_tokens", "Tokens that wait.", multiprocess_mode="livesum", **options)
        self.ready = Gauge("ready", "1 if a model is loaded.", multiprocess_mode="livemin", **options)

    def batch(self, rows: int, tokens: int, padded: int, seconds: float) -> None:
        """Count one batch of `rows` windows with `tokens` tokens, `padded` with padding, run in `seconds`."""
        self.batches.inc()
        self.batch_rows.inc(rows)
        self.tokens.inc(tokens)
        self.padding.inc(padded - tokens)
        self.batch_seconds.observe(seconds)

    def text(self, environ: Mapping[str, str] = os.environ) -> bytes:
        """Write the exposition text: of all workers where there are several."""
        if "PROMETHEUS_MULTIPROC_DIR" not in environ:
            return generate_latest(self.registry)
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
