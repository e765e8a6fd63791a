"""The `quorum` command in the process of the test: what a command prints, without the start of another Python."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

from typer.testing import CliRunner

from label_studio_quorum.commands.cli import app

ROOT = Path(__file__).parents[2]


def run_in_bytes(*arguments: object, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run the command from the repository's root, with its output apart from its faults.

    Raises:
        Exception: Whatever the command lets out, so that a traceback fails the test.
    """
    words = [str(argument) for argument in arguments]
    with contextlib.chdir(ROOT):
        result = CliRunner(env={"NO_COLOR": "1", "COLUMNS": "200"}).invoke(app, words, input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return subprocess.CompletedProcess(words, result.exit_code, result.stdout_bytes, result.stderr_bytes)


def run_here(*arguments: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command like `run_in_bytes`, and read its output as UTF-8."""
    done = run_in_bytes(*arguments, stdin=stdin.encode())
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())
