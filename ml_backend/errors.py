"""What can go wrong, each with the HTTP code and the sentence its reader needs."""

from __future__ import annotations

from dataclasses import dataclass


class ApiError(Exception):
    """A request that is refused: an HTTP status, a stable code, a sentence a person can act on."""

    def __init__(self, status: int, code: str, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after


class LoadError(Exception):
    """A model that cannot be loaded; the message names the file or package and what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One thing wrong in a file: where it is, what it is, what to do."""

    file: str
    line: int
    column: int
    path: str
    message: str
    hint: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}"
        return f"{where}: {self.path + ': ' if self.path else ''}{self.message} ({self.hint})"


class ConfigError(Exception):
    """A models file with faults; all of them, in the order of the file."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults
