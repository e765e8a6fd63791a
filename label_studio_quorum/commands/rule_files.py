"""The policy and team files of a command: read together, so that the faults of both are told at once."""

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
    """Policy and team; the team's warnings go to stderr.

    Raises:
        FaultsError: All faults of both files.
    """
    policy: Policy | None = None
    team: Team | None = None
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
    # Either has faults; those of the team are told even where the policy has some.
    if policy is None or team is None:
        raise FaultsError(tuple(faults))
    say(team.warnings, "warning: ")
    return policy, team


def load_named(policy_path: Path | None, team_path: Path | None) -> tuple[Policy | None, Team | None]:
    """Policy and team of those files that were named.

    Raises:
        FaultsError: All faults of both files.
    """
    if policy_path is not None and team_path is not None:
        return load_rules(policy_path, team_path)
    policy = None if policy_path is None else load_policy(read_text(policy_path), name=str(policy_path))
    return policy, None if team_path is None else load_team(read_text(team_path), name=str(team_path))


def say(faults: Iterable[Fault], prefix: str = "") -> None:
    """Faults on stderr, one a line."""
    for fault in faults:
        where, _, what = str(fault).partition(": ")
        typer.echo(f"{where}: {prefix}{what}", err=True)
