"""`quorum team`: check a team file against a server, make the accounts that are missing, take the server's team."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from label_studio_quorum.campaign.local_memory import AppliedFiles, data_dir, note_applied
from label_studio_quorum.commands.change_costs import Asking, YesOption, reckoning
from label_studio_quorum.commands.shared_options import (
    DryRunOption,
    ForceOption,
    JsonOption,
    KeyFileOption,
    KeyOption,
    NameOption,
    TeamOption,
    UrlOption,
    campaign_name,
    connect,
    known_campaign,
    print_json,
)

if TYPE_CHECKING:
    from label_studio_quorum.adapters.label_studio import HttpLabelStudio
    from label_studio_quorum.campaign.accounts import PasswordFile
    from label_studio_quorum.campaign.planned_change import PlannedChange
    from review_rules import Team

TELL_EACH = "tell each person theirs alone; Label Studio Community has no page on which they could change it"

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Check, apply or pull a team file: accounts, roles, expertise."
)
FileArgument = Annotated[
    Path | None,
    typer.Argument(exists=True, dir_okay=False, metavar="[TEAM]", help="team.yaml; else as remembered from set-up."),
]
OfflineOption = Annotated[bool, typer.Option("--offline", help="Check the file only; ask no server.")]


@app.command()
def check(
    file: FileArgument = None,
    team_file: TeamOption = None,
    name: NameOption = None,
    offline: OfflineOption = False,
    url: UrlOption = None,
    api_key: KeyOption = None,
    api_key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is wrong with a team file, and who of it has no account. Exit code 1 if anybody lacks one."""
    from label_studio_quorum.campaign.accounts import check_team, to_json
    from label_studio_quorum.campaign.learners import learners_of
    from label_studio_quorum.commands.in_step import tell_apart
    from review_rules import load_team

    file = _file(file or team_file, url, name)
    team = load_team(file.read_text(encoding="utf-8"), name=str(file))
    for warning in team.warnings:
        typer.echo(str(warning), err=True)
    # The file alone can be checked where no server is reached, as in a review of it.
    if offline:
        typer.echo(f"{file}: {len(team.people)} people, no faults")
        return
    port = connect(url, api_key, api_key_file)
    tell_apart(port, name, file)
    accounts = check_team(team, port.users(), _links(port, name))
    learners = learners_of(port.plugin_status(name))
    if as_json:
        more = {"people": [learner.to_json() for learner in learners]} if learners else {}
        print_json({**to_json(accounts), **more})
    else:
        typer.echo(f"{len(accounts.there)} of {len(team.people)} people have an account")
        for learner in learners:
            if learner.is_pending:
                typer.echo(f"{learner.id}: {learner.stands}")
    for person in accounts.missing:
        typer.echo(f"{person.id}: no account for {person.email}; run quorum team apply", err=True)
    for person in accounts.without_email:
        typer.echo(f"{person.id}: no email in {file}, so no account can be theirs; add one", err=True)
    for person in accounts.left:
        typer.echo(
            f"{person.id}: left, and {person.email} can still log in; remove the account from the organisation",
            err=True,
        )
    raise typer.Exit(1 if accounts.missing or accounts.without_email else 0)


@app.command()
def apply(
    file: FileArgument = None,
    team_file: TeamOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    api_key_file: KeyFileOption = None,
    name: NameOption = None,
    passwords: Annotated[
        Path | None, typer.Option(help="Where one-time passwords go, readable by you only; the data folder otherwise.")
    ] = None,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make the accounts that are missing, each with a one-time password that is written to a private file.

    Where the server has Quorum's plugin and the campaign is set up, roles are applied too, and people who left are
    locked out. What the change does to rows that are decided is said first.
    """
    from label_studio_quorum.adapters.web_session import VisitError
    from label_studio_quorum.campaign.accounts import PasswordFile, apply_team, check_team, password_file, to_json
    from label_studio_quorum.commands.in_step import campaign_of_file, team_applied
    from review_rules import Person, load_team

    file = _file(file or team_file, url, name)

    def say(person: Person) -> None:
        if not as_json:
            typer.echo(f"{person.id}: account for {person.email}")

    team = load_team(file.read_text(encoding="utf-8"), name=str(file))
    port = connect(url, api_key, api_key_file)
    kept = PasswordFile(passwords) if passwords else password_file(port.url, data_dir())
    campaign = _campaign_of_plugin(port, name)
    asking = Asking(yes=yes, as_json=as_json)
    # The plugin makes accounts in its own transaction, with roles; over HTTP only accounts can be made.
    if campaign is not None:
        _apply_by_plugin(port, campaign, file, kept, asking, dry_run=dry_run)
        if not dry_run:
            team_applied(port, campaign, file, team)
        return
    name = name or campaign_of_file(port.url, file)
    planned = _plan_on_stock(port, name, team)
    if not dry_run:
        asking.confirm(planned)
    try:
        before = check_team(team, port.users()) if dry_run else apply_team(port, port.url, team, kept, made=say)
        if not dry_run and planned.campaign:
            note_applied(planned.campaign, AppliedFiles(url=port.url, team=file.read_text(encoding="utf-8")))
    except VisitError as error:
        typer.echo(f"quorum: {error}; mend it and run again, nobody is made twice", err=True)
        raise typer.Exit(1) from None
    if not dry_run:
        team_applied(port, planned.campaign, file, team)
    if as_json:
        made = [] if dry_run else to_json(before)["missing"]
        result = {"passwords": str(kept.path) if made else None, "dry_run": dry_run, "change": planned.to_json()}
        print_json({**to_json(before), "made": made, **result})
    elif dry_run:
        asking.tell(planned)
        typer.echo(f"would make {len(before.missing)} accounts")
    elif before.missing:
        typer.echo(f"passwords: {kept.path} ({TELL_EACH})")
    else:
        typer.echo("everybody has an account")


@app.command()
def password(
    person: Annotated[str, typer.Argument(metavar="ID", help="The person's id in the team file.")],
    name: NameOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    api_key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give somebody a new password for one sign-in, at which they choose their own; it ends their open sessions."""
    name = campaign_name(url, name)
    with connect(url, api_key, api_key_file, name=name) as port:
        account = port.give_password(name, person)
    if as_json:
        print_json(account)
    else:
        typer.echo(f"{person} signs in as {account['email']} with {account['password']} and chooses another one then")


@app.command()
def pull(
    file: Annotated[
        Path | None,
        typer.Argument(dir_okay=False, metavar="[TEAM]", help="File to write; else as remembered from set-up."),
    ] = None,
    name: NameOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    api_key_file: KeyFileOption = None,
    force: ForceOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Take the team that the server goes by into the file. One that says the same stays as it is, comments and all."""
    from label_studio_quorum.campaign.local_memory import FileKind
    from label_studio_quorum.commands.pulling import pull as take

    port = connect(url, api_key, api_key_file, name=name)
    take(FileKind.TEAM, port, name, file, force=force, dry_run=dry_run, as_json=as_json)


def _file(file: Path | None, url: str | None, name: str | None) -> Path:
    """The team file as given, else the campaign's."""
    if file is not None:
        return file
    known = known_campaign(url, name)
    if known is None or not Path(known.team).is_file():
        raise typer.BadParameter("name a team file; this machine remembers none", param_hint="TEAM")
    return Path(known.team)


def _campaign_of_plugin(port: HttpLabelStudio, name: str | None) -> str | None:
    """The campaign whose team the server's plugin keeps; None on a stock server, and before any campaign is set up."""
    from label_studio_quorum.campaign.projects import find_all, the_one

    if port.plugin_version() is None:
        return None
    every = find_all(port.projects())
    return the_one(every, name) if every else name


def _links(port: HttpLabelStudio, name: str | None) -> Mapping[int, str] | None:
    """Whose accounts the server keeps for the campaign that is meant; None where none is, or it keeps nothing."""
    from label_studio_quorum.campaign.projects import find_all

    every = find_all(port.projects()) if name is None else {name: {}}
    return port.links(next(iter(every))) if len(every) == 1 else None


def _plan_on_stock(port: HttpLabelStudio, name: str | None, team: Team) -> PlannedChange:
    """What a team file does to the campaign of a stock server that it is for; nothing where there is none yet."""
    from label_studio_quorum.campaign.launch import earlier_rules
    from label_studio_quorum.campaign.local_memory import applied_files
    from label_studio_quorum.campaign.planned_change import Earlier, PlannedChange, reckon
    from label_studio_quorum.campaign.projects import STAGES, assemble, find_all, the_one
    from review_rules import load_policy

    every = {campaign: stages for campaign, stages in find_all(port.projects()).items() if len(stages) == len(STAGES)}
    if name is None and len(every) != 1:
        return PlannedChange()  # one team file may serve several campaigns, and none is meant
    campaign = the_one(every, name)
    applied = applied_files(campaign, port.url)
    if applied.policy is None:
        return PlannedChange(campaign=campaign, unknown="this machine does not know what the campaign went by")
    projects = {stage: every[campaign][stage][0] for stage in STAGES}
    rules = assemble(campaign, projects, policy=load_policy(applied.policy), team=team, port=port)
    earlier = Earlier(policy=rules.policy, team=earlier_rules(applied, rules).team)
    with reckoning() as progress:
        return replace(reckon(port, rules, earlier, rules.interface, progress=progress), campaign=campaign)


def _apply_by_plugin(
    port: HttpLabelStudio, campaign: str, file: Path, kept: PasswordFile, asking: Asking, *, dry_run: bool
) -> None:
    from label_studio_quorum.campaign.accounts import keep_passwords
    from label_studio_quorum.campaign.planned_change import PlannedChange, ask_plugin

    text = file.read_text(encoding="utf-8")
    planned = PlannedChange()
    if port.plugin_campaign(campaign) is not None:
        with reckoning() as progress:
            planned = ask_plugin(port, campaign, team=text, progress=progress)
    if not dry_run:
        asking.confirm(planned)
    done = port.apply_team(campaign, text, dry_run=dry_run)
    if not dry_run:
        keep_passwords(kept, done)
        with reckoning("rows follow") as progress:
            port.settle(campaign, lambda settled: progress(settled, None))
    created, readdressed = done.pop("created"), done.get("readdressed", [])
    made = [account["id"] for account in created]
    if asking.as_json:
        result = {"passwords": str(kept.path) if made else None, "dry_run": dry_run, "change": planned.to_json()}
        print_json({**done, "made": made, **result})
        return
    if dry_run:
        asking.tell(planned)
    verb = "would make" if dry_run else "made"
    typer.echo(f"{verb} {len(made)} accounts; {len(done['linked'])} were there, {len(done['deactivated'])} locked out")
    for person in readdressed:
        typer.echo(f"{person['id']}: {'would sign' if dry_run else 'signs'} in as {person['to']} now")
    for person in done.get("address_kept", []):
        typer.echo(
            f"{person['id']}: goes on signing in as {person['email']}, which is the owner's address or that of another "
            "campaign's team",
            err=True,
        )
    if made and not dry_run:
        typer.echo(f"passwords: {kept.path} ({TELL_EACH})")
