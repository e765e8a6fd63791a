"""Label Studio with the plugin on a PostgreSQL and a Redis of its own, with a worker: for tests and benchmarks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from label_studio_quorum.servers import label_studio
from label_studio_quorum.servers.processes import Child, free_port, wait_until
from tests.contract.plugin_campaign import ROOT
from tests.support.servers import OWNER, LabelStudioServer, start

# As docker-compose.yml serves it.
WORKERS = 2
_POSTGRES = Path("/usr/lib/postgresql/15/bin")
_OPTIONS = "-c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=60"


def missing() -> str | None:
    """What this machine lacks, None if nothing."""
    if not (_POSTGRES / "initdb").exists():
        return "no PostgreSQL 15 here; on Debian: apt install postgresql-15"
    return None if shutil.which("redis-server") else "no redis-server here; on Debian: apt install redis-server"


def as_postgres(*command: str) -> Sequence[str]:
    """PostgreSQL refuses to run as root; Debian's package brings an account for it."""
    return ["runuser", "-u", "postgres", "--", *command] if os.geteuid() == 0 else list(command)


def control(environment: dict[str, str], *command: str) -> Sequence[str]:
    """The command line of `pg_ctl` for a running `postgres()`, whose environment is given."""
    folder = Path(environment["QUORUM_TEST_LOG"]).parent
    options = f"-p {environment['POSTGRE_PORT']} -k {folder} {_OPTIONS}"
    where = ["-D", str(folder / "data"), "-w", "-l", str(folder / "log"), "-o", options]
    return [str(_POSTGRES / "pg_ctl"), *where, *command]


@contextmanager
def postgres() -> Iterator[dict[str, str]]:
    """A PostgreSQL; the environment by which Label Studio finds it."""
    made = subprocess.run(as_postgres("mktemp", "-d"), capture_output=True, text=True, check=True)
    folder = Path(made.stdout.strip())
    port, data = free_port(), folder / "data"

    def run(*command: str) -> None:
        subprocess.run(as_postgres(*command), stdout=subprocess.DEVNULL, check=True, cwd="/")

    options = f"-p {port} -k {folder} {_OPTIONS}"
    pg_ctl = [str(_POSTGRES / "pg_ctl"), "-D", str(data), "-w"]
    run(str(_POSTGRES / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust")
    run(*pg_ctl, "-l", str(folder / "log"), "-o", options, "start")
    try:
        yield {
            "DJANGO_DB": "default",
            "POSTGRE_HOST": "127.0.0.1",
            "POSTGRE_PORT": str(port),
            "POSTGRE_USER": "postgres",
            "POSTGRE_PASSWORD": "unused",
            "POSTGRE_NAME": "postgres",
            "QUORUM_TEST_LOG": str(folder / "log"),
        }
    finally:
        run(*pg_ctl, "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def redis(folder: Path) -> Iterator[dict[str, str]]:
    """A Redis with its log in a folder; the environment by which the plugin finds it."""
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    child = Child("Redis", command, dict(os.environ), folder / "redis.log", folder)
    child.start()
    try:
        yield {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(port)}
    finally:
        child.stop()


@contextmanager
def served(
    folder: Path, extra: dict[str, str], *, port: int | None = None, workers: int = WORKERS
) -> Iterator[LabelStudioServer]:
    """Label Studio with the plugin on the database that `extra` names, else on the folder's own; no RQ worker yet.

    The database is made or migrated first. Both are done by the code that PYTHONPATH in `extra` names, else by this
    version's.
    """
    data, port = folder / "label-studio", port or free_port()
    data.mkdir(exist_ok=True)
    first = {
        "LABEL_STUDIO_USERNAME": OWNER.email,
        "LABEL_STUDIO_PASSWORD": OWNER.password,
        "LABEL_STUDIO_USER_TOKEN": OWNER.token,
    }
    create = [sys.executable, "-c", "from label_studio.server import main; main()", "--enable-legacy-api-token", "init"]
    environment = label_studio.environment(data, label_studio.WITH_PLUGIN, {**extra, **first})
    made = subprocess.run(create, env=environment, cwd=data, capture_output=True, text=True, timeout=900, check=False)
    assert made.returncode == 0, made.stderr[-3000:]
    child = label_studio.server(
        data, port, folder / "log", settings=label_studio.WITH_PLUGIN, workers=workers, extra=extra
    )
    try:
        start(child, port, label_studio.is_up)
        yield LabelStudioServer(data, port, label_studio.WITH_PLUGIN, child)
    finally:
        child.stop()


@contextmanager
def worker(server: LabelStudioServer, folder: Path, extra: dict[str, str]) -> Iterator[Child]:
    """Label Studio's RQ worker."""
    manage = label_studio.package_dir() / "manage.py"
    environment = label_studio.environment(
        server.data_dir, label_studio.WITH_PLUGIN, {**extra, "PYTHONPATH": str(ROOT)}
    )
    command = [sys.executable, str(manage), "rqworker", "critical", "high", "default", "low"]
    child = Child("RQ worker", command, environment, folder / "worker.log", folder)
    child.start()
    try:
        wait_until(lambda: "Listening on" in child.tail(50), child, 90)
        yield child
    finally:
        child.stop()
