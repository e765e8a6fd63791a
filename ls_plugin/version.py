"""Which Label Studio the plugin was tested with, and the refusal of any other."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version

TESTED = ("1.23.2",)
FORCE = "QUORUM_FORCE_VERSION"


def refuse_untested(environ: Mapping[str, str], installed: str | None = None) -> None:
    """Stop the process when Label Studio is of a version that nobody tried the plugin with.

    Args:
        environ: the process environment; ``QUORUM_FORCE_VERSION=1`` in it overrides the refusal.
        installed: the version that runs; read from the installed package by default.

    Raises:
        SystemExit: one line that says what is installed, what was tested and how to go on all the same.

    >>> refuse_untested({}, installed="1.23.2")
    """
    installed = installed or version("label-studio")
    if installed in TESTED or environ.get(FORCE) == "1":
        return
    raise SystemExit(
        f"quorum: Label Studio {installed} was not tested with this plugin (tested: {', '.join(TESTED)}); "
        f"install a tested version, or set {FORCE}=1 to go on at your own risk"
    )
