"""What is installed only with an extra, and the one sentence that says so.

The extras and their packages are read from the installed distribution itself, so that this file cannot disagree with
`pyproject.toml`.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterable

from review_rules.errors import PublicError

__all__ = ["DISTRIBUTION", "MissingExtra", "extra_of", "missing_extra"]

DISTRIBUTION = "label-studio-quorum"

_IMPORTED_AS = {
    "crowdkit": "crowd-kit",
    "psycopg2": "psycopg2-binary",
    "sklearn": "scikit-learn",
    "vl_convert": "vl-convert-python",
}
"""Packages that are imported by another name than they are installed by; `-` and `_` count as one."""
_NOT_FOR_USERS = frozenset({"all", "dev"})
_REQUIREMENT = re.compile(r"""^([A-Za-z0-9._-]+).*\bextra\s*==\s*["']([^"']+)["']""")


class MissingExtra(PublicError):
    """What a person asked for needs a package of an extra that is not installed."""

    def __init__(self, need: str, package: str, extra: str) -> None:
        super().__init__(f"{need} needs {package}; install it with: pip install '{DISTRIBUTION}[{extra}]'")
        self.package, self.extra = package, extra


def extra_of(module: str, requirements: Iterable[str] | None = None) -> str | None:
    """The first extra that brings a module, None if it belongs to none.

    Args:
        module: The name that is imported; of a dotted name the first part counts.
        requirements: As a distribution's metadata states them; those of the installed Quorum where None.

    >>> extra_of("crowdkit.aggregation", ['crowd-kit==1.4.2; extra == "stats"'])
    'stats'
    """
    top = module.partition(".")[0]
    wanted = _normalised(_IMPORTED_AS.get(top, top))
    for requirement in _installed() if requirements is None else requirements:
        found = _REQUIREMENT.match(requirement)
        if found and found[2] not in _NOT_FOR_USERS and _normalised(found[1]) == wanted:
            return found[2]
    return None


def missing_extra(error: ModuleNotFoundError, need: str) -> MissingExtra | None:
    """What to say of an import that failed; None where no extra would mend it, so that the error is a mistake of ours.

    Args:
        error: What the import raised.
        need: Who needs the package, as a subject: `quorum check`, `a Parquet file`.
    """
    module = (error.name or "").partition(".")[0]
    extra = extra_of(module) if module else None
    return None if extra is None else MissingExtra(need, module, extra)


def _installed() -> list[str]:
    try:
        return importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        return []  # Quorum runs from a folder of files: there is no list to read


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
