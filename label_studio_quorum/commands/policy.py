"""`quorum policy`: check a policy (and team) file, or take the server's; print the JSON schemas for an editor."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from label_studio_quorum.commands.rule_files import read_text, say
from label_studio_quorum.commands.shared_options import (
    DryRunOption,
    ForceOption,
    JsonOption,
    KeyFileOption,
    KeyOption,
    NameOption,
    UrlOption,
    connect,
)
from review_rules import Fault, FaultsError, load_policy, load_team
from review_rules.files.schema import policy_schema, team_schema
from review_rules.staffing import Shortage, shortages

app = typer.Typer(add_completion=False, no_args_is_help=True)


class SchemaOf(StrEnum):
    """Which file a schema is of."""

    POLICY = "policy"
    TEAM = "team"


@app.callback()
def group() -> None:
    """Check a policy file, or take the server's; print the JSON schemas of policy and team."""


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="The policy file.", exists=True, dir_okay=False)],
    team: Annotated[
        Path | None, typer.Option(help="A team file to check with it.", exists=True, dir_okay=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say every fault of a policy file (and a team file) at once; exit 1 if there is one."""
    faults: list[Fault] = []
    warnings: tuple[Fault, ...] = ()
    lacking: tuple[Shortage, ...] = ()
    policy = None
    text, team_text = read_text(file), None if team is None else read_text(team)
    try:
        policy = load_policy(text, name=str(file))
    except FaultsError as error:
        faults += error.faults
    # A team is read even where the policy has faults, so that all faults are told at once.
    if team_text is not None:
        try:
            people = load_team(team_text, name=str(team), policy=policy)
            warnings = people.warnings
            lacking = shortages(people, policy) if policy is not None else ()
        except FaultsError as error:
            faults += error.faults
    if as_json:
        result: dict[str, Any] = {
            "ok": not faults,
            "hash": None if policy is None else policy.hash,
            "policy": None if policy is None else policy.to_json(),
            "faults": [_as_json(fault) for fault in faults],
            "warnings": [_as_json(warning) for warning in warnings],
            "shortages": [lack.to_json() for lack in lacking],
        }
        typer.echo(json.dumps(result, ensure_ascii=False))
    else:
        say(faults)
        say(warnings, "warning: ")
        for lack in lacking:
            typer.echo(f"{team}: warning: {lack}", err=True)
        if policy is not None and not faults:
            typer.echo(f"{file}: in order, {policy.hash}")
    if faults:
        raise typer.Exit(1)


@app.command()
def pull(
    file: Annotated[
        Path | None,
        typer.Argument(dir_okay=False, metavar="[POLICY]", help="File to write; else as remembered from set-up."),
    ] = None,
    name: NameOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    api_key_file: KeyFileOption = None,
    force: ForceOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Take the policy that the server goes by into the file. One that says the same stays, comments and all."""
    from label_studio_quorum.campaign.local_memory import FileKind
    from label_studio_quorum.commands.pulling import pull as take

    port = connect(url, api_key, api_key_file, name=name)
    take(FileKind.POLICY, port, name, file, force=force, dry_run=dry_run, as_json=as_json)


@app.command()
def schema(
    which: Annotated[SchemaOf, typer.Argument(help="Which file's schema.")] = SchemaOf.POLICY,
    as_json: Annotated[bool, typer.Option("--json", help="Nothing changes: a schema is JSON.")] = False,
) -> None:
    """Print a JSON schema; save it and name it in the file's first line, and editors complete the file.

    The first line: # yaml-language-server: $schema=policy.schema.json
    """
    printed = policy_schema() if which is SchemaOf.POLICY else team_schema()
    typer.echo(json.dumps(printed, indent=2, ensure_ascii=False))


def _as_json(fault: Fault) -> dict[str, Any]:
    return {name: getattr(fault, name) for name in ("file", "line", "column", "path", "message", "hint")}
