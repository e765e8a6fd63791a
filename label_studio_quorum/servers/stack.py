"""Label Studio and the ML backend of one data folder, started, watched and stopped together."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from label_studio_quorum.files import write_json
from label_studio_quorum.servers import label_studio
from label_studio_quorum.servers import ml_backend as ml_server
from label_studio_quorum.servers.board import Board
from label_studio_quorum.servers.data_folder import DataFolder, Secrets
from label_studio_quorum.servers.left_over import listener, mark_of
from label_studio_quorum.servers.processes import LOOPBACK, Child, StartError, require_port, wait_until

LABEL_STUDIO, ML = "Label Studio", "ML backend"


@dataclass(frozen=True, kw_only=True)
class StackSettings:
    """Where the parts listen and how Label Studio is run.

    Args:
        host: Address that Label Studio listens on; the ML backend stays on loopback.
        ls_port: Label Studio's port.
        ml_port: The ML backend's port.
        plugin: Whether Label Studio loads Quorum's plugin.
    """

    host: str
    ls_port: int
    ml_port: int
    plugin: bool

    @property
    def module(self) -> str:
        """The Django settings module."""
        return label_studio.WITH_PLUGIN if self.plugin else label_studio.STOCK


class Stack:
    """The running parts.

    Attributes:
        url: Label Studio's address on this machine.
        ml_url: The ML backend's address on this machine.
    """

    def __init__(self, folder: DataFolder, settings: StackSettings, secrets: Secrets) -> None:
        self.folder, self.settings, self.secrets = folder, settings, secrets
        reached = LOOPBACK if settings.host in ("0.0.0.0", "localhost") else settings.host  # noqa: S104
        self.url = f"http://{reached}:{settings.ls_port}"
        self.ml_url = f"http://{LOOPBACK}:{settings.ml_port}"
        self.children: list[Child] = []

    def start(self, board: Board) -> None:
        """Start both parts side by side and wait until both answer.

        Raises:
            StartError: A port is taken, or a part does not come up.
            MissingExtra: A package is missing.
        """
        models = self._ml_server()
        self.add(models)
        board.say(ML, "loading the models")
        self._migrate(board)
        board.say(LABEL_STUDIO, "starting")
        server = label_studio.server(
            self.folder.label_studio,
            self.settings.ls_port,
            self.folder.logs / "label-studio.log",
            settings=self.settings.module,
            host=self.settings.host,
            extra={label_studio.INSIDE: self._inside_hosts()},
        )
        self.add(server)
        wait_until(lambda: label_studio.is_up(self.url), server, 120, self.children)
        board.done(LABEL_STUDIO, f"ready at {self.url}" + (", with the plugin" if self.settings.plugin else ", stock"))
        who = (self.secrets.ml_user, self.secrets.ml_password)
        wait_until(
            lambda: ml_server.is_up(self.ml_url),
            models,
            180,
            self.children,
            lambda: ml_server.why_not(self.ml_url, *who),
        )
        board.done(ML, f"ready at {self.ml_url}")

    def _inside_hosts(self) -> str:
        """The hosts of this network that Label Studio may call: the ML backend, and those that the caller names."""
        mine = f"{LOOPBACK}:{self.settings.ml_port}"
        return ",".join(filter(None, [mine, os.environ.get(label_studio.INSIDE)]))

    def add(self, child: Child) -> Child:
        """Start a part and stop it with the others."""
        child.env = {**child.env, **mark_of(self.folder.path)}
        self.children.append(child)
        child.start()
        return child

    def stop(self) -> None:
        """Stop all parts, and return when none is left."""
        for child in self.children:
            child.release()
        for child in self.children:
            child.stop()

    def watch(self, pause: float = 1.0, each: Callable[[], None] = lambda: None) -> None:
        """Return never while all parts run; `each` is called about once a `pause` (seconds).

        Raises:
            StartError: A part has ended.
        """
        while True:
            for child in self.children:
                if not child.running:
                    raise child.ended("by itself")
            each()
            time.sleep(pause)

    def _ml_server(self) -> Child:
        return ml_server.server(
            self.folder.path,
            self.settings.ml_port,
            self.folder.logs / "ml-backend.log",
            user=self.secrets.ml_user,
            password=self.secrets.ml_password,
        )

    def _migrate(self, board: Board) -> None:
        """Bring the database to this release, unless the stamp says that it is there already."""
        stamp = self.folder.stamp
        wanted = database_stamp(self.settings)
        database = self.folder.label_studio / label_studio.DATABASE
        if database.exists() and _read(stamp) == wanted:
            return  # asking Django itself would mean starting it
        board.say(LABEL_STUDIO, "migrating its database" if database.exists() else "creating its database (once)")
        log, owner = self.folder.logs / "migrate.log", self.secrets.owner
        mark = mark_of(self.folder.path)
        label_studio.create_database(
            self.folder.label_studio, self.settings.module, owner, log, self.children, extra=mark
        )
        write_json(stamp, wanted)


@contextmanager
def running(folder: DataFolder, settings: StackSettings, secrets: Secrets) -> Iterator[Stack]:
    """Parts that are stopped on the way out, whatever happened."""
    stack = Stack(folder, settings, secrets)
    try:
        yield stack
    finally:
        stack.stop()


def preflight(settings: StackSettings, *, wait_s: float = 0.0, say: Callable[[str], None] = lambda line: None) -> None:
    """Check what can be checked before anything starts.

    Args:
        settings: Where the parts listen.
        wait_s: For how long a port may still be in use.
        say: Told what is waited for.

    Raises:
        StartError: A port is taken.
        MissingExtra: A package is missing.
    """
    label_studio.package_dir()
    ml_server.require_packages()
    if settings.plugin:
        _migrations_hash()
    if settings.ls_port == settings.ml_port:
        raise StartError(f"port {settings.ls_port}: asked for by both parts; set QUORUM_LS_PORT or QUORUM_ML_PORT")
    for name, port, host, variable in (
        (LABEL_STUDIO, settings.ls_port, settings.host, "QUORUM_LS_PORT"),
        (ML, settings.ml_port, LOOPBACK, "QUORUM_ML_PORT"),
    ):
        require_port(name, port, host, f"set {variable} to another", wait_s=wait_s, say=say, who=listener)


def database_stamp(settings: StackSettings) -> dict[str, str]:
    """What a database must have been migrated by to be used as it is.

    Raises:
        StartError: The plugin is asked for and not installed.
    """
    return {
        "label_studio": importlib.metadata.version("label-studio"),
        "settings": settings.module,
        "migrations": _migrations_hash() if settings.plugin else "",
    }


def _migrations_hash() -> str:
    """A digest of the plugin's migrations, found by path: importing them would need a set-up Django."""
    spec = importlib.util.find_spec("ls_plugin")
    if spec is None or spec.origin is None:
        raise StartError("Label Studio: Quorum's plugin (the package ls_plugin) is not installed; use --stock")
    digest = hashlib.sha256()
    for path in sorted(Path(spec.origin).parent.rglob("migrations/*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _read(stamp: Path) -> object:
    try:
        return json.loads(stamp.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
