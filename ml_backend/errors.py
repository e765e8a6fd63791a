"""Names what can go wrong, each with the HTTP code and the sentence that its reader needs."""

from __future__ import annotations

from review_rules.errors import PublicError
from review_rules.files.faults import FaultsError


class ApiError(PublicError):
    """A request is refused, with an HTTP status, a stable code and a sentence that a person can act on."""

    def __init__(self, status: int, code: str, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after


class LoadError(PublicError):
    """A model cannot be loaded; the message names the file or package and what to do."""


class ConfigError(FaultsError):
    """A models file has faults; the error holds all of them, in the order of the file."""
