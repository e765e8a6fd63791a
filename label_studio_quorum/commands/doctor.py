"""`quorum doctor`: check an installation and say what to mend."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from label_studio_quorum.commands.rule_files import load_named
from label_studio_quorum.commands.shared_options import (
    JsonOption,
    KeyFileOption,
    KeyOption,
    NameOption,
    PolicyOption,
    TeamOption,
    UrlOption,
    connect,
    known_campaign,
    print_json,
)

app = typer.Typer(add_completion=False)


@app.command()
def command(
    name: NameOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    api_key_file: KeyFileOption = None,
    policy: PolicyOption = None,
    team: TeamOption = None,
    full: Annotated[
        bool,
        typer.Option(
            "--full",
            help="Also read every row, as always on a stock server: doubles, changed texts, queues out of line.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check server, campaign, people and ML backend; each line says what to do. Exit code 1 if anything fails."""
    from label_studio_quorum.campaign.doctor import Level, diagnose
    from ls_config.interface import load

    known = known_campaign(url, name)
    name = known.name if known else name
    port = connect(url, api_key, api_key_file, name=name)
    rules, people = load_named(
        policy or _there(known.policy if known else ""), team or _there(known.team if known else "")
    )
    interface = load(known.task) if known and _is_there(known.task) else None
    checks = list(diagnose(port, name, policy=rules, team=people, interface=interface, full=full))
    failed = any(check.level is Level.FAIL for check in checks)
    if as_json:
        print_json({"url": port.url, "ok": not failed, "checks": [check.to_json() for check in checks]})
    else:
        for check in checks:
            typer.echo(str(check))
    raise typer.Exit(1 if failed else 0)


def _there(path: str) -> Path | None:
    """A remembered file; None where none is remembered, and, said so, where it is gone."""
    if path and not Path(path).is_file():
        typer.echo(f"note: {path} is not there any more", err=True)
    return Path(path) if path and Path(path).is_file() else None


def _is_there(task: str) -> bool:
    """Whether a remembered label type comes with Quorum, or its folder is still there."""
    from ls_config.interface import label_types

    return task in label_types() or (Path(task) / "label.xml").is_file() or Path(task).is_file()
