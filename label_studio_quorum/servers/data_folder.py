"""The data folder of `quorum up`: who uses it, its secrets, and the access file that scripts read.

What is damaged, missing or of another server is one line with what is lost and what to do. Nothing is begun anew over
what was there: only `--fresh` does, and it moves aside what it takes the place of.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import requests

from label_studio_quorum.campaign.accounts import PasswordFile
from label_studio_quorum.campaign.local_memory import LocalFileError, read_local
from label_studio_quorum.files import FULL, private_folder, write_json
from label_studio_quorum.servers.database_file import DatabaseFile
from label_studio_quorum.servers.label_studio import DATABASE, Owner
from label_studio_quorum.servers.processes import StartError, full_disk, is_full
from review_rules.errors import PublicError


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
        parts = (owner["email"], owner["password"], owner["token"], ml["user"], ml["password"])
        if not all(isinstance(part, str) for part in parts):
            raise TypeError("a part is no text")
        return cls(Owner(*parts[:3]), *parts[3:])


_SECRETS_LOSS = (
    "the owner's password and the servers' keys are lost with it, and no answer; restore a backup, or move it away: "
    "the next start takes the owner's key from the database and makes the rest anew"
)


def read_secrets(file: Path) -> Secrets | None:
    """The secrets in a file; None where there is no such file.

    Raises:
        LocalFileError: The file is damaged.
    """
    stored = read_local(file, _SECRETS_LOSS)
    try:
        return None if stored is None else Secrets.from_json(stored)
    except (KeyError, TypeError) as error:
        raise LocalFileError(file, f"{type(error).__name__}: {error}", _SECRETS_LOSS) from None


class DataFolder:
    """A data folder, held by one `quorum up` at a time.

    Use it as a context manager; leaving it removes the access file and lets the folder go.

    Attributes:
        notes: What a person should know of the files in it.
        was_cut_off: True if the last `quorum up` with this folder did not end by itself.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.label_studio = self.path / "label-studio"
        self.logs = self.path / "logs"
        self.access = self.path / "access.json"
        self.stamp = self.path / "database.json"
        self.notes: list[str] = []
        self.was_cut_off = False
        self._lock: IO[str] | None = None

    @property
    def database(self) -> DatabaseFile:
        """Label Studio's database."""
        return DatabaseFile(self.label_studio / DATABASE)

    def __enter__(self) -> DataFolder:
        """Take the folder.

        Raises:
            StartError: It can't be made, or another `quorum up` holds it.
        """
        try:
            private_folder(self.path)
            self._lock = (self.path / "up.lock").open("a+", encoding="utf-8", errors="replace")
        except OSError as error:
            raise StartError(f"{self.path}: no data folder: {error.strerror}; set QUORUM_DATA_DIR") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StartError(self._held()) from None
        self._lock.seek(0)
        self.was_cut_off = bool(self._lock.read().strip())
        # The next one to come can say who has the folder.
        try:
            self._lock.truncate(0)
            # Past the buffer, which would be written again when the file is closed.
            os.write(self._lock.fileno(), str(os.getpid()).encode())
        except OSError as error:
            self._lock.close()
            if error.errno in FULL:
                raise full_disk("data folder", self.path) from None
            raise
        self.access.unlink(missing_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.access.unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.truncate(0)
            self._lock.close()

    @contextmanager
    def naming_a_full_disk(self) -> Iterator[None]:
        """Say of what fails inside that the disk is full, where it is: a server without room says something else.

        Raises:
            StartError: Something failed, and the disk is full.
        """
        try:
            yield
        except (PublicError, requests.RequestException, OSError) as error:
            if not is_full(self.path):
                raise
            raise full_disk("data folder", self.path) from error

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

    @property
    def was_used(self) -> bool:
        """Whether a server of this folder once had its database ready: only then people can have answered."""
        return self.stamp.exists() or (self.path / "passwords.json").exists()

    def check(self) -> None:
        """Look at every file that a start goes by.

        Raises:
            StartError, LocalFileError: One is damaged, missing or of another server.
        """
        for folder in (self.label_studio, self.logs):
            if folder.exists() and not folder.is_dir():
                raise StartError(f"{folder}: a file stands where a folder should; move it away")
        self.database.check(was_used=self.was_used)
        stored = read_secrets(self.path / "secrets.json")
        if stored is not None and self.stamp.exists() and not self.database.knows(stored.owner.token):
            raise StartError(
                f"{self.path / 'secrets.json'}: of another database, which {self.database.path} does not know; put the "
                "two back that belong together, or move this file away: the next start takes the owner's key from "
                "the database"
            )
        # A campaign is written down after its people have their accounts.
        people_were_made = self.stamp.exists() and any((self.path / "campaigns").glob("*.json"))
        if people_were_made and not (self.path / "passwords.json").exists():
            self.notes.append(
                f"{self.path / 'passwords.json'} is gone: first passwords that nobody was told yet are lost; people "
                "go on with the passwords they know"
            )
        PasswordFile(self.path / "passwords.json")

    def contents(self) -> str:
        """What a start over does without, as it is said before it is moved aside; empty for nothing."""
        parts = [self.database.contents()]
        parts += [entry.name for entry in self._entries() if entry != self.label_studio]
        return ", ".join(filter(None, parts))

    def move_aside(self) -> Path:
        """Move what belongs to the database, and the database, into a folder inside this one; where it went."""
        aside = private_folder(self.path / _ASIDE / time.strftime("%Y%m%dT%H%M%S"))
        for entry in self._entries():
            entry.rename(aside / entry.name)
        return aside

    def _entries(self) -> list[Path]:
        """What is worth nothing without the database; models, logs and what is known of other servers stay."""
        entries = (self.label_studio, self.stamp, self.path / "secrets.json", self.path / "passwords.json")
        return [entry for entry in entries if entry.exists()]

    def secrets(self, owner_email: str) -> Secrets:
        """The secrets of this folder, made on first use for an owner with this email.

        Where only they are gone, the owner's key is taken from the database.

        Raises:
            LocalFileError: The file is damaged.
        """
        file = self.path / "secrets.json"
        # Never made anew where there is a damaged file: that would lock everybody out of the database.
        stored = read_secrets(file)
        if stored is not None:
            return stored
        made = Secrets.new(owner_email)
        owner = self.database.owner() if self.stamp.exists() else None
        if owner is not None:
            made = Secrets(Owner(owner.email, "", owner.token), made.ml_user, made.ml_password)
            self.notes.append(
                f"{file} was gone: the owner's key was taken from the database and the ML backend has a new password; "
                f"{owner.email} goes on with the password they know"
            )
        write_json(file, made.to_json(), private=True)
        return made

    @property
    def passwords(self) -> PasswordFile:
        """The passwords of people whose accounts were made here.

        Raises:
            LocalFileError: The file is damaged.
        """
        return PasswordFile(self.path / "passwords.json")


_ASIDE = "replaced"
