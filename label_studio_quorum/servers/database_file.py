"""Label Studio's SQLite file, looked at while no server runs on it: whether it can be used, and whose it is."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from label_studio_quorum.servers.processes import StartError

_FRESH: Final = "put a backup there, or start over with quorum up --fresh, which moves what is left aside"
_OWN: Final = frozenset({"django_migrations"})
_USED: Final = frozenset({"project", "task", "task_completion", "authtoken_token", "organization", "htx_user"})


@dataclass(frozen=True, slots=True)
class OwnerKey:
    """The account that owns a server, and its key."""

    email: str
    token: str


@dataclass(frozen=True, slots=True)
class DatabaseFile:
    """The file, which need not be there."""

    path: Path

    def check(self, *, was_used: bool) -> None:
        """Check that a start can go on with the file.

        Args:
            was_used: Whether a server once had it ready; before that nobody can have answered.

        Raises:
            StartError: It is damaged, or was used and is gone, empty or no database of Label Studio's.
        """
        if not self.path.exists():
            if was_used:
                raise StartError(f"{self.path}: the database is gone, and every row and answer with it; {_FRESH}")
            return
        tables = self._tables()
        if not tables and was_used:
            raise StartError(f"{self.path}: the database is empty, every row and answer is gone; {_FRESH}")
        # A first start that was cut off leaves some of its tables, and the next one makes the rest.
        wanted = _OWN | _USED if was_used else _OWN
        if tables and not wanted <= tables:
            lacking = ", ".join(sorted(wanted - tables))
            raise StartError(f"{self.path}: no database of Label Studio's (it lacks {lacking}); {_FRESH}")

    def _tables(self) -> frozenset[str]:
        try:
            with closing(sqlite3.connect(self.path)) as connection:
                tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
                fault = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorname == "SQLITE_FULL":
                raise
            fault = str(error)
        if fault != "ok":
            raise StartError(f"{self.path}: the database can't be read ({' '.join(fault.split())}); {_FRESH}")
        return frozenset(name for (name,) in tables)

    def knows(self, token: str) -> bool:
        """Whether an account has this key."""
        return bool(self._first("SELECT 1 FROM authtoken_token WHERE key = ?", token))

    def owner(self) -> OwnerKey | None:
        """Who owns the server; None where nobody has a key."""
        row = self._first(
            "SELECT u.email, t.key FROM organization o JOIN htx_user u ON u.id = o.created_by_id "
            "JOIN authtoken_token t ON t.user_id = u.id ORDER BY o.id"
        )
        return OwnerKey(*row) if row else None

    def contents(self) -> str:
        """What is in it, for a person who is about to do without it; empty where there is no such file."""
        if not self.path.exists():
            return ""
        size = f"the database ({self.path.stat().st_size / 1e6:.1f} MB"
        try:
            tasks, answers, accounts = (
                (self._first(f"SELECT count(*) FROM {table}") or (0,))[0]  # noqa: S608 - the names are written here
                for table in ("task", "task_completion", "htx_user")
            )
        except sqlite3.DatabaseError:
            return f"{size}, which can't be read)"
        return f"{size}: {tasks:,} tasks, {answers:,} answers, {accounts:,} accounts)"

    def _first(self, query: str, *values: str) -> tuple[str, ...] | None:
        with closing(sqlite3.connect(self.path)) as connection:
            row: tuple[str, ...] | None = connection.execute(query, values).fetchone()
            return row
