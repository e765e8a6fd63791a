"""The data folder of `quorum up`: who uses it, its secrets, and the access file that scripts read."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from label_studio_quorum.campaign.accounts import PasswordFile
from label_studio_quorum.files import private_folder, write_json
from label_studio_quorum.servers.label_studio import DATABASE, Owner
from label_studio_quorum.servers.processes import StartError


@dataclass(frozen=True)
class Secrets:
    """What nobody but the owner of the data folder may read, beside people's passwords."""

    owner: Owner
    ml_user: str
    ml_password: str

    @classmethod
    def new(cls, owner_email: str) -> Secrets:
        """Fresh random secrets."""
        owner = Owner(owner_email, secrets.token_urlsafe(12), secrets.token_hex(20))
        return cls(owner, "quorum", secrets.token_urlsafe(24))

    def to_json(self) -> dict[str, Any]:
        """The content of `secrets.json`."""
        owner = {"email": self.owner.email, "password": self.owner.password, "token": self.owner.token}
        ml = {"user": self.ml_user, "password": self.ml_password}
        return {"version": 1, "owner": owner, "ml": ml}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Secrets:
        """Read back what `to_json` wrote.

        Raises:
            KeyError, TypeError: A part is missing or of the wrong type.
        """
        owner, ml = stored["owner"], stored["ml"]
        return cls(Owner(owner["email"], owner["password"], owner["token"]), ml["user"], ml["password"])


class DataFolder:
    """A data folder, held by one `quorum up` at a time.

    Use it as a context manager; leaving it removes the access file and lets the folder go.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.label_studio = self.path / "label-studio"
        self.logs = self.path / "logs"
        self.access = self.path / "access.json"
        self._lock: IO[str] | None = None

    def __enter__(self) -> DataFolder:
        """Take the folder.

        Raises:
            StartError: It can't be made, another `quorum up` holds it, or its database is damaged.
        """
        try:
            private_folder(self.path)
            self._lock = (self.path / "up.lock").open("a+", encoding="utf-8")
        except OSError as error:
            raise StartError(f"{self.path}: no data folder: {error.strerror}; set QUORUM_DATA_DIR") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StartError(self._held()) from None
        # The next one to come can say who has the folder.
        self._lock.truncate(0)
        self._lock.write(str(os.getpid()))
        self._lock.flush()
        self.access.unlink(missing_ok=True)
        self._check_database()
        return self

    def __exit__(self, *_: object) -> None:
        self.access.unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.truncate(0)
            self._lock.close()

    @property
    def has_database(self) -> bool:
        """Whether a server of this folder was ever started."""
        return (self.label_studio / DATABASE).exists()

    def _held(self) -> str:
        if self._lock is None:
            raise AssertionError("asked who holds a folder that was never opened")
        self._lock.seek(0)
        pid = self._lock.read().strip()
        self._lock.close()
        who = f" (process {pid})" if pid else ""
        return f"{self.path}: another quorum up{who} uses this data folder; stop it, or set QUORUM_DATA_DIR to another"

    def _check_database(self) -> None:
        """Read the schema, so that a damaged file is one clear line and not a page of Label Studio's."""
        file = self.label_studio / DATABASE
        if not file.exists():
            return
        try:
            with closing(sqlite3.connect(file)) as connection:
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.DatabaseError as error:
            raise StartError(
                f"{file}: the database can't be read ({error}); restore a backup, or move {self.path} away"
            ) from None

    def secrets(self, owner_email: str) -> Secrets:
        """The secrets of this folder, made on first use for an owner with this email.

        Raises:
            StartError: The file is damaged.
        """
        file = self.path / "secrets.json"
        # Never made anew where there is a damaged file: that would lock everybody out of the database.
        if not file.exists():
            made = Secrets.new(owner_email)
            write_json(file, made.to_json(), private=True)
            return made
        try:
            return Secrets.from_json(json.loads(file.read_text(encoding="utf-8")))
        except (ValueError, KeyError, TypeError) as error:
            raise StartError(self._damaged(file, error)) from None

    @property
    def passwords(self) -> PasswordFile:
        """The passwords of people whose accounts were made here.

        Raises:
            StartError: The file is damaged.
        """
        file = self.path / "passwords.json"
        try:
            return PasswordFile(file)
        except ValueError as error:
            raise StartError(self._damaged(file, error)) from None

    def _damaged(self, file: Path, error: Exception) -> str:
        reason = f"{type(error).__name__}: {error}"
        return f"{file}: damaged ({reason}); restore a backup, or move {self.path} away"
