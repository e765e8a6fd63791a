"""Everything that the plugin replaces in Label Studio, in one list."""

from __future__ import annotations

from ls_plugin.patches import (
    addresses,
    counters,
    lists,
    next_task,
    outbound,
    pre_annotations,
    requests,
    rest_views,
    submissions,
    tabs,
)
from ls_plugin.patches.registry import MissingPieceError
from ls_plugin.store import triggers

_PATCHES = (rest_views, addresses, outbound, counters, requests, next_task, pre_annotations, lists, tabs, submissions)


def install() -> None:
    """Put the plugin into the server; called once a process.

    Raises:
        SystemExit: Label Studio lacks a piece that the plugin replaces. One line says which, as nobody may be served
            by a server whose rules are in place by halves.
    """
    triggers.install()
    try:
        for patch in _PATCHES:
            patch.install()
    except MissingPieceError as missing:
        raise SystemExit(f"quorum: {missing}") from None
