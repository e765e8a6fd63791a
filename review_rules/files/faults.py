"""A policy or team file that cannot be used: every fault at once, each with its place."""

from __future__ import annotations

from dataclasses import dataclass

from review_rules.errors import PublicError


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a file: where (line and column from 1, path inside the file), what, and what to do."""

    file: str
    line: int
    column: int
    path: str
    message: str
    hint: str

    def __str__(self) -> str:
        """One line for a terminal.

        >>> print(Fault("policy.yaml", 3, 6, "qa.when", "unknown value `al`", "Did you mean `all`?"))
        policy.yaml:3:6: qa.when: unknown value `al`. Did you mean `all`?
        """
        where = f"{self.file}:{self.line}:{self.column}:"
        return f"{where} {self.path + ': ' if self.path else ''}{self.message}. {self.hint}"


class FaultsError(PublicError, ValueError):
    """A file has faults; `faults` holds all of them in the order of the file."""

    faults: tuple[Fault, ...]

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        self.faults = faults
        super().__init__("\n".join(map(str, faults)))
