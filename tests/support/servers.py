"""Real servers for tests: each on a free port, with its own data, ended by the process that started it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.metadata
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from label_studio_quorum.adapters.web_session import Visitor, invite_link
from label_studio_quorum.files import write_json
from label_studio_quorum.servers import label_studio
from label_studio_quorum.servers import ml_backend as ml_server
from label_studio_quorum.servers.data_folder import Secrets
from label_studio_quorum.servers.label_studio import Owner
from label_studio_quorum.servers.processes import LOOPBACK, Child, StartError, free_port, require_port, wait_until
from label_studio_quorum.servers.stack import StackSettings, database_stamp

ROOT = Path(__file__).resolve().parents[2]
OWNER = Owner("owner@quorum.test", "owner-password-of-tests", "7e57" * 10)
PEOPLE_PASSWORD = "password-of-tests"
READY = ("Ctrl-C stops everything", '"ready": true')
"""What `quorum up` prints last, as a page and as JSON."""


@dataclass
class LabelStudioServer:
    """A running Label Studio on SQLite.

    Attributes:
        url: Its address, without a slash at the end.
        token: The owner's legacy API token (`Authorization: Token …`).
        owner: The owner's email and password.
        data_dir: Its data folder; the database is `label_studio.sqlite3` in it.
    """

    data_dir: Path
    port: int
    settings: str
    child: Child

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def token(self) -> str:
        return OWNER.token

    @property
    def owner(self) -> tuple[str, str]:
        return OWNER.email, OWNER.password

    def new_people(self, count: int) -> list[Visitor]:
        """So many new accounts, made by the invite link and the sign-up form, each logged in."""
        return [self.new_person(f"p{uuid.uuid4().hex[:10]}@quorum.test") for _ in range(count)]

    def new_person(self, email: str) -> Visitor:
        """One new account with this email, logged in."""
        visitor = self._closed_with_me(Visitor(self.url, email, PEOPLE_PASSWORD))
        return visitor.sign_up(invite_link(self.url, self.token))

    def log_in(self, email: str, password: str = PEOPLE_PASSWORD) -> Visitor:
        """A new session of somebody who has an account."""
        return self._closed_with_me(Visitor(self.url, email, password)).log_in()

    def _closed_with_me(self, visitor: Visitor) -> Visitor:
        """A connection kept alive that nobody closes fails whatever test runs when it is collected."""
        weakref.finalize(self, visitor.close)
        return visitor

    def log_in_owner(self) -> Visitor:
        """A new session of the owner."""
        return self.log_in(*self.owner)

    def restart(self) -> None:
        """Start again on the same port with the same data, after `child.kill()` or `child.stop()`."""
        self.child.stop()
        start(self.child, self.port, label_studio.is_up)

    @property
    def log(self) -> str:
        """The end of the server's output, for failure messages."""
        return self.child.tail(60)


@dataclass
class MlServer:
    """A running ML backend with the default models.

    Attributes:
        url: Its address, without a slash at the end.
        user: User name of its basic authentication.
        password: Password of its basic authentication.
    """

    url: str
    user: str
    password: str
    child: Child

    @property
    def log(self) -> str:
        """The end of the server's output, for failure messages."""
        return self.child.tail(60)


def start(child: Child, port: int, is_up: Callable[[str], bool]) -> None:
    """Start a server and wait until it answers; a machine that runs other tests beside is slow."""
    require_port(child.name, port, LOOPBACK)
    child.start()
    wait_until(lambda: is_up(f"http://{LOOPBACK}:{port}"), child, 180)


@contextlib.contextmanager
def label_studio_server(folder: Path, settings: str = label_studio.STOCK, **extra: str) -> Iterator[LabelStudioServer]:
    """Run a Label Studio with a fresh database in `folder`; `extra` are further environment variables."""
    data_dir = folder / "label-studio"
    shutil.copytree(migrated_database(settings), data_dir)
    port = free_port()
    # The server must run the plugin that stands beside these tests, not one that is installed.
    # Tests put model servers and webhooks on any port of this machine.
    beside = {"PYTHONPATH": str(ROOT), label_studio.INSIDE: "127.0.0.1,localhost", **extra}
    child = label_studio.server(data_dir, port, folder / "label-studio.log", settings=settings, extra=beside)
    try:
        start(child, port, label_studio.is_up)
        yield LabelStudioServer(data_dir, port, settings, child)
    except StartError as error:
        raise StartError(f"{error}\n{child.tail(60)}") from error
    finally:
        child.stop()


@contextlib.contextmanager
def ml_backend_server(folder: Path, **extra: str) -> Iterator[MlServer]:
    """Run the ML backend with its data in `folder`; `extra` are further environment variables."""
    port, user, password = free_port(), "quorum", "ml-password-of-tests"
    beside = {"PYTHONPATH": str(ROOT), **extra}
    child = ml_server.server(folder / "ml", port, folder / "ml.log", user=user, password=password, extra=beside)
    try:
        start(child, port, ml_server.is_up)
        yield MlServer(f"http://127.0.0.1:{port}", user, password, child)
    except StartError as error:
        raise StartError(f"{error}\n{child.tail(60)}") from error
    finally:
        child.stop()


def quorum(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """A `quorum` command that ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "label_studio_quorum", *args],
        env=os.environ | env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


class QuorumUp:
    """`quorum up` as a process of its own, as a person would start it.

    Args:
        folder: The data folder.
        args: Further arguments.
    """

    def __init__(self, folder: Path, *args: str) -> None:
        self.folder = folder
        self.output = folder.parent / f"{folder.name}.out"
        self.ports = (free_port(), free_port())
        self._args = args
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def env(self) -> dict[str, str]:
        """Its environment; pass it to other `quorum` commands that shall find it."""
        ls_port, ml_port = map(str, self.ports)
        return {
            **os.environ,
            "QUORUM_DATA_DIR": str(self.folder),
            "QUORUM_LS_PORT": ls_port,
            "QUORUM_ML_PORT": ml_port,
        }

    def start(self) -> QuorumUp:
        """Start it, and return at once."""
        with self.output.open("ab") as output:
            command = [sys.executable, "-m", "label_studio_quorum", "up", *self._args]
            self.process = subprocess.Popen(
                command, env=self.env, stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=True
            )
        return self

    def wait_ready(self, seconds: float = 540) -> dict[str, Any]:
        """Wait for the access file; its content."""
        deadline = time.monotonic() + seconds
        # The page is printed after the file is written, since the file is what it speaks of.
        while not ((self.folder / "access.json").exists() and any(end in self.said for end in READY)):
            if self.process is None or self.process.poll() is not None or time.monotonic() > deadline:
                raise StartError(f"quorum up did not become ready:\n{self.said}")
            time.sleep(0.3)
        access: dict[str, Any] = json.loads((self.folder / "access.json").read_text(encoding="utf-8"))
        return access

    @property
    def said(self) -> str:
        """Everything that it printed."""
        return self.output.read_text(encoding="utf-8") if self.output.exists() else ""

    def signal(self, signum: int) -> int:
        """Send it a signal and wait for its end; its exit status."""
        if self.process is None:
            raise AssertionError("was not started")
        self.process.send_signal(signum)
        return self.process.wait(90)

    def stop(self) -> None:
        """End it if it runs."""
        if self.process is not None and self.process.poll() is None:
            self.signal(signal.SIGINT)


@contextlib.contextmanager
def quorum_up(folder: Path, *args: str) -> Iterator[QuorumUp]:
    """`quorum up` on a database that was migrated before, ready; its owner is `OWNER`."""
    folder.mkdir(parents=True)
    settings = StackSettings(host="127.0.0.1", ls_port=1, ml_port=2, plugin="--stock" not in args)
    shutil.copytree(migrated_database(settings.module), folder / "label-studio")
    write_json(folder / "secrets.json", Secrets(OWNER, "quorum", "ml-password-of-tests").to_json(), private=True)
    (folder / "database.json").write_text(json.dumps(database_stamp(settings)), encoding="utf-8")
    up = QuorumUp(folder, *args).start()
    try:
        up.wait_ready()
        yield up
    finally:
        up.stop()


def example_rows(folder: Path, count: int) -> Path:
    """A file of the first rows of the example campaign."""
    lines = (ROOT / "examples" / "rows.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    file = folder / "rows.jsonl"
    file.write_text("".join(lines[:count]), encoding="utf-8")
    return file


def migrated_database(settings: str) -> Path:
    """A data folder with a migrated database and its owner, made once and kept for the next test runs."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "quorum" / "databases"
    cache.mkdir(parents=True, exist_ok=True)
    made = cache / _key(settings)
    # The plugin adds to what a stock server has, so that its own migrations are all that is left to run.
    base = None if settings == label_studio.STOCK else migrated_database(label_studio.STOCK)
    with (cache / f"{made.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            with tempfile.TemporaryDirectory(dir=cache) as fresh:
                if base is not None:
                    shutil.copytree(base, Path(fresh) / "data")
                label_studio.create_database(Path(fresh) / "data", settings, OWNER, cache / f"{made.name}.log")
                (Path(fresh) / "data").rename(made)
    return made


def _key(settings: str) -> str:
    """Names what a migrated database depends on: Label Studio's version and our own migrations and settings."""
    digest = hashlib.sha256(f"2 {settings} {OWNER}".encode())
    if settings == label_studio.WITH_PLUGIN:
        for path in sorted((ROOT / "ls_plugin").rglob("migrations/*.py")):
            digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return f"{importlib.metadata.version('label-studio')}-{digest.hexdigest()[:16]}"
