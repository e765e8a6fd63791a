"""How Quorum starts Label Studio: its environment, the commands that create its database and serve it.

Served by gunicorn: Label Studio's own `start` is Django's development server. On SQLite by one process with threads,
because SQLite has one writer at a time; on PostgreSQL by several.
"""

from __future__ import annotations

import contextlib
import importlib.util
import secrets
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import requests

from label_studio_quorum.servers.processes import LOOPBACK, Child, own_environment, wait_until
from review_rules import extras

STOCK = "label_studio_quorum.servers.stock_settings"
WITH_PLUGIN = "ls_plugin.settings"
DATABASE = "label_studio.sqlite3"
THREADS = 8
INSIDE = "QUORUM_INSIDE_HOSTS"
"""The variable that names the inside hosts which the plugin lets ML backends and webhooks be at."""
MAIL_HOST = "QUORUM_MAIL_HOST"
MAIL_PORT = "QUORUM_MAIL_PORT"
MAIL_SECURITY = "QUORUM_MAIL_SECURITY"
MAIL_USER = "QUORUM_MAIL_USER"
MAIL_PASSWORD = "QUORUM_MAIL_PASSWORD"  # noqa: S105 - the variable's name
MAIL_FROM = "QUORUM_MAIL_FROM"
MAIL_DIGEST = "QUORUM_MAIL_DIGEST_MINUTES"
MAIL_QUIET = "QUORUM_MAIL_QUIET"
WEBHOOK_URL = "QUORUM_NOTIFY_URL"
WEBHOOK_SECRET = "QUORUM_NOTIFY_SECRET"  # noqa: S105 - the variable's name
SLACK_URL = "QUORUM_SLACK_URL"
ADDRESS = "QUORUM_ADDRESS"
"""The variable that holds the server's address as people reach it, for links that leave it."""
_SECRETS = (MAIL_PASSWORD, WEBHOOK_SECRET, WEBHOOK_URL, SLACK_URL)
NOTIFY_VARIABLES = (
    *(MAIL_HOST, MAIL_PORT, MAIL_SECURITY, MAIL_USER, MAIL_FROM, MAIL_DIGEST, MAIL_QUIET, ADDRESS),
    *_SECRETS,
    *(f"{name}_FILE" for name in _SECRETS),
)
"""How notices leave the server; each secret by itself or by a file. Without them nothing leaves."""
PLUGIN_VARIABLES = ("QUORUM_FORCE_VERSION", INSIDE, "QUORUM_RESERVE_MINUTES", *NOTIFY_VARIABLES)
"""What the plugin reads from the environment of whoever starts the server."""


@dataclass(frozen=True)
class Owner:
    """The account that owns the server: people call it the manager's."""

    email: str
    password: str
    token: str


def environment(data_dir: Path, settings: str, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The whole environment of a Label Studio process.

    Telemetry is off. With the plugin only the inside addresses that `extra` names are called (`INSIDE`); a stock server
    has one switch for all of them, and its ML backend is on this machine.

    Args:
        data_dir: Label Studio's own data folder.
        settings: Django settings module, `STOCK` or `WITH_PLUGIN`.
        extra: Further variables; they win.
    """
    return own_environment(*PLUGIN_VARIABLES) | {
        "DJANGO_SETTINGS_MODULE": settings,
        "DJANGO_DB": "sqlite",
        "LABEL_STUDIO_BASE_DATA_DIR": str(data_dir),
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "false",
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
        "ML_BLOCK_LOCAL_IP": str(settings == WITH_PLUGIN),
        "SSRF_PROTECTION_ENABLED": str(settings == WITH_PLUGIN),
        "COLLECT_ANALYTICS": "False",
        "LATEST_VERSION_CHECK": "False",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "LOG_LEVEL": "WARNING",
        **(extra or {}),
    }


def package_dir() -> Path:
    """The folder of the installed Label Studio, which its settings need on the path.

    Raises:
        MissingExtra: It is not installed.
    """
    spec = importlib.util.find_spec("label_studio")
    if spec is None or spec.origin is None:
        raise extras.missing("the local server", "label_studio")
    return Path(spec.origin).parent


def create_database(
    data_dir: Path,
    settings: str,
    owner: Owner,
    log: Path,
    others: Sequence[Child] = (),
    extra: Mapping[str, str] | None = None,
) -> None:
    """Create or migrate the SQLite database and its owner; on an existing database this only migrates.

    Raises:
        StartError: Label Studio refused, it took a quarter of an hour, or one of `others` ended meanwhile.
    """
    package_dir()
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    child = Child(
        "Label Studio's database",
        [sys.executable, "-c", "from label_studio.server import main; main()", "--enable-legacy-api-token", "init"],
        environment(data_dir, settings, {**_first_account(owner), **(extra or {})}),
        log,
        data_dir,
    )
    try:
        child.start()
        wait_until(lambda: child.exit_code == 0, child, 900, others)
    finally:
        child.stop()
    _let_readers_read_while_one_writes(data_dir / DATABASE)


def _first_account(owner: Owner) -> dict[str, str]:
    """By environment, since everyone on a machine can read a command's arguments."""
    return {
        "LABEL_STUDIO_USERNAME": owner.email,
        # An owner whose password is not known here has an account already, which keeps its own.
        "LABEL_STUDIO_PASSWORD": owner.password or secrets.token_urlsafe(),
        "LABEL_STUDIO_USER_TOKEN": owner.token,
    }


def _let_readers_read_while_one_writes(database: Path) -> None:
    """Switch the file to write-ahead logging, which stays with the file."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode=wal")


def server(
    data_dir: Path,
    port: int,
    log: Path,
    *,
    settings: str = STOCK,
    host: str = LOOPBACK,
    workers: int = 1,
    extra: Mapping[str, str] | None = None,
) -> Child:
    """Label Studio as a child process with so many workers, not yet started; its database must exist."""
    command = [
        *(sys.executable, "-m", "gunicorn"),
        *("--worker-class", "gthread", "--workers", str(workers), "--threads", str(THREADS)),
        *("--bind", f"{host}:{port}", "--timeout", "120", "--graceful-timeout", "5"),
        # Longer than clients reuse a connection for: one closed just as a request comes in is an error to the client.
        *("--keep-alive", "75"),
        *("--no-control-socket", "--log-level", "warning"),
        *("--pythonpath", str(package_dir()), "label_studio_quorum.servers.wsgi:application"),
    ]
    return Child("Label Studio", command, environment(data_dir, settings, extra), log, data_dir)


def is_up(url: str) -> bool:
    """Whether Label Studio answers at this address."""
    try:
        return requests.get(f"{url}/health/", timeout=5).status_code == 200
    except requests.RequestException:
        return False
