"""The Label Studio that a benchmark measures: with the plugin or stock, on SQLite or PostgreSQL."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path

from benchmarks.harness import Arguments, NotMeasured
from label_studio_quorum.servers.label_studio import STOCK, WITH_PLUGIN
from tests.contract import plugin_postgres
from tests.support.servers import LabelStudioServer, label_studio_server


def add_server(arguments: Arguments) -> None:
    """Add the options that choose the server."""
    choice = arguments.parser.add_mutually_exclusive_group()
    choice.add_argument("--stock", action="store_true", help="a server without the plugin, on SQLite")
    choice.add_argument("--postgres", action="store_true", help="with the plugin, on PostgreSQL 15 instead of SQLite")


def enter_server(
    stack: ExitStack, folder: Path, options: argparse.Namespace
) -> tuple[LabelStudioServer, dict[str, str]]:
    """Start the server that the options name; it, and the environment by which it finds its database.

    Raises:
        NotMeasured: PostgreSQL is asked for and not here.
    """
    if not options.postgres:
        return stack.enter_context(label_studio_server(folder, STOCK if options.stock else WITH_PLUGIN)), {}
    if lacking := plugin_postgres.missing():
        raise NotMeasured(lacking)
    database = stack.enter_context(plugin_postgres.postgres())
    return stack.enter_context(plugin_postgres.served(folder, database)), database


def describe_server(options: argparse.Namespace) -> str:
    """The chosen server, for a report."""
    if options.postgres:
        return "Label Studio with the plugin on PostgreSQL"
    return "Label Studio on SQLite, stock" if options.stock else "Label Studio with the plugin on SQLite"
