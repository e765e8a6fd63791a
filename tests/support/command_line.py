"""The `quorum` command in the process of the test: what a command prints, without the start of another Python."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from typer.testing import CliRunner

from label_studio_quorum.commands import shared_options
from label_studio_quorum.commands.cli import app

ROOT = Path(__file__).parents[2]


_WIDE = {"NO_COLOR": "1", "COLUMNS": "200"}


def run_in_bytes(
    *arguments: object, stdin: bytes = b"", folder: Path = ROOT, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run the command in a folder with just these variables, and keep its output apart from its faults.

    Raises:
        Exception: Whatever the command lets out, so that a traceback fails the test.
    """
    words = [str(argument) for argument in arguments]
    wanted = os.environ | _WIDE if environment is None else environment
    variables = dict.fromkeys(os.environ.keys() - wanted.keys()) | dict(wanted)
    shared_options._complain.cache_clear()  # a new process tells a warning again
    with contextlib.chdir(folder):
        result = CliRunner(env=variables).invoke(app, words, input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return subprocess.CompletedProcess(words, result.exit_code, result.stdout_bytes, result.stderr_bytes)


def run_here(
    *arguments: object, stdin: str = "", folder: Path = ROOT, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command like `run_in_bytes`, and read its output as UTF-8."""
    done = run_in_bytes(*arguments, stdin=stdin.encode(), folder=folder, environment=environment)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())
