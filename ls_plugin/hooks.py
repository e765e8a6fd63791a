"""Everything that is hooked into Label Studio, in one list."""

from __future__ import annotations


def install() -> None:
    """Hook the plugin into the server; called once a process."""
    from ls_plugin import guards

    guards.install()
