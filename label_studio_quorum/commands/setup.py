"""`quorum setup`: create or mend a campaign's three projects."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from label_studio_quorum.commands.shared_options import (
    DryRunOption,
    JsonOption,
    KeyFileOption,
    KeyOption,
    UrlOption,
    connect,
    load_rules,
    print_json,
    running_ml,
    told,
)

if TYPE_CHECKING:
    from label_studio_quorum.port import MLConnection

app = typer.Typer(add_completion=False)


@app.command()
def command(
    name: Annotated[str, typer.Option(help="The campaign's name, at most 40 characters.")],
    policy: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="policy.yaml")],
    team: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="team.yaml")],
    task: Annotated[
        str,
        typer.Option(help="A label type (classification, ner, rating, response_review) or a folder with label.xml."),
    ] = "response_review",
    url: UrlOption = None,
    api_key: KeyOption = None,
    api_key_file: KeyFileOption = None,
    ml_url: Annotated[
        str | None,
        typer.Option(help="ML backend to connect; its user and password by QUORUM_ML_USER, QUORUM_ML_PASSWORD."),
    ] = None,
    webhook: Annotated[
        str | None, typer.Option(help="Where quorum sync --watch listens; its secret by QUORUM_WEBHOOK_SECRET.")
    ] = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Set a campaign up, or bring it in line with its files. Running it again changes nothing."""
    from label_studio_quorum.campaign.qualification import qualification_of
    from label_studio_quorum.campaign.setup import CampaignSpec, WebhookTarget, setup_campaign
    from ls_config.interface import load

    secret = os.environ.get("QUORUM_WEBHOOK_SECRET")
    if webhook and not secret:
        raise typer.BadParameter(
            "set QUORUM_WEBHOOK_SECRET to the secret that sync --watch asks for", param_hint="--webhook"
        )
    with told():
        rules, people = load_rules(policy, team)
        port = connect(url, api_key, api_key_file, name=name)
        spec = CampaignSpec(
            name=name,
            interface=load(task),
            policy=rules,
            team=people,
            ml=ml_connection(ml_url),
            webhook=WebhookTarget(url=webhook, secret=secret) if webhook and secret else None,
        )
        qualification = qualification_of(rules, policy.parent, spec.interface)
        report = setup_campaign(port, spec, dry_run=dry_run)
        projects = {}
        if report.campaign is not None:
            projects = {stage.value: project.id for stage, project in report.campaign.projects.items()}
        plugin = port.plugin_version()
        notes = list(report.notes)
        if plugin is None and qualification:
            notes.append("a stock server asks for no qualification: everybody gets every row")
        if plugin is not None and projects and not dry_run:
            policy_text, team_text = (file.read_text(encoding="utf-8") for file in (policy, team))
            held = port.tell_plugin(
                name,
                task=spec.interface.name,
                policy=policy_text,
                team=team_text,
                projects=projects,
                qualification=qualification,
            )["qualification"]
            if held and held["missing"]:
                notes.append(
                    f"{held['missing']:,} of {held['rows']:,} rows of the qualification are not in the campaign yet: "
                    f"quorum import {policy.parent / str(rules.qualification and rules.qualification.rows)}"
                )
    if not dry_run:
        _remember(name, port.url, task, policy, team)
    for note in notes:
        typer.echo(f"note: {note}", err=True)
    if as_json:
        done = {"changes": list(report.changes), "plugin": plugin, "dry_run": dry_run}
        print_json({"name": name, "url": port.url, "projects": projects, **done})
        return
    for change in report.changes:
        typer.echo(f"{'would ' if dry_run else ''}{change}")
    for stage, project in projects.items():
        typer.echo(f"{stage:<7}{port.url}/projects/{project}/data")
    if not report.changes:
        typer.echo("nothing to change")
    if plugin is None:
        typer.echo("a stock server: it enforces none of the rules; what breaks them is found by sync and never counts")
    else:
        typer.echo(f"the server's plugin ({plugin}) holds people to the rules")


def ml_connection(url: str | None) -> MLConnection | None:
    """The ML backend at this address, with user and password from the environment, else as `quorum up` runs it."""
    from label_studio_quorum.port import MLConnection

    if url is None:
        return None
    user, password = os.environ.get("QUORUM_ML_USER"), os.environ.get("QUORUM_ML_PASSWORD")
    up = running_ml()
    if not password and up is not None and up.url == url.rstrip("/"):
        return up
    return MLConnection(url=url, user=user if password else None, password=password)


def _remember(name: str, url: str, task: str, policy: Path, team: Path) -> None:
    from label_studio_quorum.campaign.local_memory import Remembered, remember

    folder = Path(task)
    remember(
        Remembered(
            name=name,
            url=url,
            task=str(folder.absolute()) if folder.exists() else task,
            policy=str(policy.absolute()),
            team=str(team.absolute()),
        )
    )
