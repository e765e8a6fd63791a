"""`python -m ml_backend` serves the app with gunicorn on the loopback."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any, Final

SERVING: Final = (
    "flask", "gunicorn", "onnx", "onnxruntime", "openai", "prometheus_client", "safetensors", "structlog",
    "threadpoolctl", "tokenizers",
)  # fmt: skip
"""What the server imports of the extra `ml`."""


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM; exit 2 for missing packages, a models file with faults or wrong arguments."""
    args = _arguments(argv)
    # Imported here: this module has to load where the extra is missing, in order to say so.
    from review_rules import extras
    from review_rules.errors import MissingExtra

    try:
        extras.require("the ML backend", *SERVING, extra="ml")
    except MissingExtra as error:
        print(error, file=sys.stderr)
        return 2
    if args.workers > 1:
        # Before anything imports prometheus_client, which looks for this folder when it is imported.
        _shared_metrics(Path(os.environ.get("QUORUM_DATA_DIR") or ".quorum") / "ml" / "metrics")
    from ml_backend import logs
    from ml_backend.config import read_models
    from ml_backend.errors import ConfigError
    from ml_backend.settings import server_config

    logs.configure(args.log_level.upper())
    try:
        config = server_config(os.environ, models=args.models, workers=args.workers, threads=args.threads)
        # Read once now and again by the app: a fault should end this process, not each of its workers.
        read_models(config.models)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except (OSError, ValueError) as error:
        print(f"credentials: {error}", file=sys.stderr)
        return 2
    _serve(args, config)
    return 0


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m ml_backend", description="Serve the ML backend.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=int(os.environ.get("QUORUM_ML_PORT") or 9090))
    parser.add_argument("--models", type=Path, help="models file (default: the one that comes with Quorum)")
    parser.add_argument("--workers", type=int, default=1, help="processes; one with many threads is the fastest")
    parser.add_argument("--threads", type=int, help="threads that run networks (default: the cores)")
    parser.add_argument("--connections", type=int, default=16, help="requests that one process serves at a time")
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    return parser.parse_args(argv)


def _shared_metrics(folder: Path) -> None:
    import shutil

    # What workers of an earlier run left there would be added to this run's counts.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)


def _serve(args: argparse.Namespace, config: Any) -> None:
    from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]  # gunicorn ships no types

    from ml_backend.app import create_app

    class GunicornServer(BaseApplication):  # type: ignore[misc]
        """Runs gunicorn with our app and settings."""

        def load_config(self) -> None:
            for key, value in _gunicorn_settings(args).items():
                self.cfg.set(key, value)

        def load(self) -> Any:
            return create_app(config)

    GunicornServer().run()


def _gunicorn_settings(args: argparse.Namespace) -> dict[str, Any]:
    return {
        "bind": f"{args.host}:{args.port}",
        "worker_class": "gthread",
        "workers": args.workers,
        "threads": args.connections,
        # Load once in the parent, so that the workers share one copy of the weights. ONNX Runtime keeps no threads
        # of its own with one thread a run, which is what each of several workers gets; so forking is safe.
        "preload_app": args.workers > 1,
        "timeout": 120,
        "graceful_timeout": 30,
        "keepalive": 30,
        "loglevel": "warning",
        "proc_name": "quorum-ml",
        "child_exit": _forget_worker,
        **({"post_worker_init": _watch} if args.workers > 1 else {}),
        "control_socket_disable": True,
    }


def _watch(worker: Any) -> None:
    worker.wsgi.extensions["quorum_ml"].watch()


def _forget_worker(server: Any, worker: Any) -> None:
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    sys.exit(main())
