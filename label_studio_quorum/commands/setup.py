"""`quorum setup`: create or mend a campaign's three projects."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from label_studio_quorum.commands.change_costs import Asking, RenameOption, YesOption, read_renames, reckoning
from label_studio_quorum.commands.notes import interface_notes
from label_studio_quorum.commands.rule_files import load_rules
from label_studio_quorum.commands.shared_options import (
    DryRunOption,
    JsonOption,
    KeyFileOption,
    KeyOption,
    RepairOption,
    UrlOption,
    connect,
    known_campaign,
    print_json,
    running_ml,
    say_waiting,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from label_studio_quorum.campaign.launch import CampaignPlan, Launch
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
    rename: RenameOption = None,
    yes: YesOption = False,
    repair: RepairOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Set a campaign up, or bring it in line with its files. Running it again changes nothing.

    Of a campaign that is there it says first what a change of policy, team or interface does to rows that are decided.
    """
    from label_studio_quorum.campaign.launch import CampaignPlan, launch
    from label_studio_quorum.campaign.local_files import refuse_stale
    from label_studio_quorum.campaign.qualification import practice_of, qualification_of
    from label_studio_quorum.campaign.webhooks import WebhookTarget
    from ls_config.interface import load
    from review_rules.files.checks import load_checks

    secret = os.environ.get("QUORUM_WEBHOOK_SECRET")
    # A webhook without a secret would let anybody on the network wake the sync.
    if webhook and not secret:
        raise typer.BadParameter(
            "set QUORUM_WEBHOOK_SECRET to the secret that quorum sync --watch asks for", param_hint="--webhook"
        )
    rules, people = load_rules(policy, team)
    port = connect(url, api_key, api_key_file, name=name)
    interface = load(task)
    load_checks(interface)  # whatever is wrong with them is told before anything is changed
    plan = CampaignPlan(
        name=name,
        task=task,
        interface=interface,
        policy_file=policy,
        policy_text=policy.read_text(encoding="utf-8"),
        policy=rules,
        team_file=team,
        team_text=team.read_text(encoding="utf-8"),
        team=people,
        qualification=qualification_of(rules, policy.parent, interface),
        practice=practice_of(rules, policy.parent, interface),
        repair=repair,
        renames=read_renames(rename),
    )
    kept = port.kept_files(name)
    if kept is not None:
        refuse_stale(plan, kept, known_campaign(port.url, name))
    target = WebhookTarget(url=webhook, secret=secret) if webhook and secret else None
    asking = Asking(yes=yes, as_json=as_json)
    with reckoning() as progress:
        launched = launch(
            port,
            plan,
            ml=ml_connection(ml_url),
            webhook=target,
            dry_run=dry_run,
            confirm=asking.confirm,
            progress=progress,
            say=say_waiting,
        )
    notes = [*interface_notes(interface), *launched.apart, *launched.notes, *_qualification_notes(plan, launched)]
    for note in notes:
        typer.echo(f"note: {note}", err=True)
    if as_json:
        done = {
            "changes": list(launched.changes),
            "plugin": launched.plugin,
            "change": launched.planned.to_json(),
            "dry_run": dry_run,
        }
        print_json({"name": name, "url": port.url, "projects": launched.projects, **done})
        return
    if dry_run:
        asking.tell(launched.planned)
        for refusal in launched.planned.cost.refusals():
            typer.echo(f"would be refused: {refusal}")
    for change in launched.changes:
        typer.echo(f"{'would ' if dry_run else ''}{change}")
    for stage, project in launched.projects.items():
        typer.echo(f"{stage:<7}{port.url}/projects/{project}/data")
    if not launched.changes and not launched.planned.changes:
        typer.echo("nothing to change")
    if launched.plugin is None:
        typer.echo("a stock server: it enforces none of the rules; what breaks them is found by sync and never counts")
    else:
        typer.echo(f"the server's plugin ({launched.plugin}) holds people to the rules")


def ml_connection(url: str | None) -> MLConnection | None:
    """The ML backend at this address, with user and password from the environment, else as `quorum up` runs it."""
    from label_studio_quorum.port import MLConnection

    if url is None:
        return None
    user, password = os.environ.get("QUORUM_ML_USER"), os.environ.get("QUORUM_ML_PASSWORD")
    up = running_ml()
    # What `quorum up` runs has a password of its own, which nobody needs to type.
    if not password and up is not None and up.url == url.rstrip("/"):
        return up
    return MLConnection(url=url, user=user if password else None, password=password)


def _qualification_notes(plan: CampaignPlan, launched: Launch) -> Iterator[str]:
    """What a person should know about the rows with known answers that the policy asks for."""
    if launched.plugin is None and plan.qualification:
        yield "a stock server asks for no qualification: everybody gets every row"
    if launched.plugin is None and plan.practice:
        yield "a stock server has no page of practice: nobody is shown its rows"
    counts = launched.qualification
    for domain, rows in (counts.get("domains") or {}).items():
        if not rows:
            yield f"no known row of domain {domain} is in the campaign: its experts are handed none of its rows"
    if counts and counts["missing"]:
        rows = plan.policy_file.parent / str(plan.policy.qualification and plan.policy.qualification.rows)
        yield (
            f"{counts['missing']:,} of {counts['rows']:,} rows of the qualification are not in the campaign yet: "
            f"quorum import {rows}"
        )
