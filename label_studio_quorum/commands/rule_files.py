"""Load the policy and team files that a command was given, or say every fault of both and stop."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import typer

from review_rules import Fault, FaultsError, Policy, Team, load_policy, load_team


def read_text(path: Path) -> str:
    """A file's text; a usage error if it cannot be read as UTF-8 text."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        typer.echo(f"{path}: cannot be read: {reason}. Give the path of a readable file.", err=True)
        raise typer.Exit(2) from error


def load_rules(policy_path: Path, team_path: Path) -> tuple[Policy, Team]:
    """Policy and team; faults of either go to stderr, one a line, and end the command with exit 1."""
    policy: Policy | None = None
    faults: list[Fault] = []
    policy_text, team_text = read_text(policy_path), read_text(team_path)
    try:
        policy = load_policy(policy_text, name=str(policy_path))
    except FaultsError as error:
        faults += error.faults
    try:
        team = load_team(team_text, name=str(team_path), policy=policy)
    except FaultsError as error:
        faults += error.faults
    if faults or policy is None:
        say(faults)
        raise typer.Exit(1)
    say(team.warnings, "warning: ")
    return policy, team


def say(faults: Iterable[Fault], prefix: str = "") -> None:
    """Faults on stderr, one a line."""
    for fault in faults:
        where, _, what = str(fault).partition(": ")
        typer.echo(f"{where}: {prefix}{what}", err=True)
