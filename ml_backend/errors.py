"""What can go wrong, each with the HTTP code and the sentence its reader needs."""

from __future__ import annotations

from review_rules.errors import PublicError
from review_rules.files.faults import FaultsError


class ApiError(PublicError):
    """A request that is refused: an HTTP status, a stable code, a sentence a person can act on."""

    def __init__(self, status: int, code: str, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after


class LoadError(PublicError):
    """A model that cannot be loaded; the message names the file or package and what to do."""


class ConfigError(FaultsError):
    """A models file with faults; all of them, in the order of the file."""
