"""What the campaign commands share: options, connection, files, and how faults are told."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from label_studio_quorum.campaign import local_memory
from label_studio_quorum.campaign.local_memory import FileKind, Remembered, data_dir, read_access
from label_studio_quorum.commands.closing import close_at_end
from label_studio_quorum.commands.rule_files import load_named, load_rules

if TYPE_CHECKING:
    from rich.progress import Progress

    from label_studio_quorum.adapters.label_studio import HttpLabelStudio
    from label_studio_quorum.campaign.projects import Campaign, RuleFiles
    from label_studio_quorum.port import MLConnection
    from review_rules import Policy, Team

KEY_VARIABLES = ("QUORUM_API_KEY", "LABEL_STUDIO_API_KEY")

UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar=["QUORUM_URL", "LABEL_STUDIO_URL"],
        help="Label Studio's address; else the one remembered or running.",
    ),
]
KeyOption = Annotated[
    str | None,
    typer.Option(
        "--api-key",
        envvar=list(KEY_VARIABLES),
        show_default=False,
        help="A manager's token. Better by the variable or --api-key-file: others here can read arguments.",
    ),
]
KeyFileOption = Annotated[
    Path | None, typer.Option("--api-key-file", exists=True, dir_okay=False, help="File that holds the token.")
]
NameOption = Annotated[str | None, typer.Option("--name", help="The campaign; needed only where there are several.")]
PolicyOption = Annotated[
    Path | None,
    typer.Option("--policy", exists=True, dir_okay=False, help="policy.yaml; else as remembered from set-up."),
]
TeamOption = Annotated[
    Path | None, typer.Option("--team", exists=True, dir_okay=False, help="team.yaml; else as remembered from set-up.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace the file though somebody edited it since.")]
RepairOption = Annotated[
    bool,
    typer.Option(
        "--repair", help="Give projects their lost quorum: lines back, and make new ones in place of deleted ones."
    ),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; do nothing.")]


def _access() -> dict[str, Any]:
    """The access file of a running `quorum up`, empty if none runs."""
    return read_access(data_dir()) or {}


def remembered() -> list[Remembered]:
    """Every campaign that this machine remembers; a file that cannot be read is told, once a command."""
    return local_memory.remembered(complain=_complain)


@lru_cache
def _complain(line: str) -> None:
    typer.echo(f"quorum: warning: {line}", err=True)


def running_ml(with_server: str | None = None) -> MLConnection | None:
    """The ML backend that `quorum up` runs, with the credentials of its data folder; None if none runs.

    Args:
        with_server: Only if it runs together with the Label Studio at this address.
    """
    access = _access()
    # A backend of one campaign must not answer for another server's rows.
    if not access or with_server not in (None, access["url"]):
        return None
    from label_studio_quorum.port import MLConnection
    from label_studio_quorum.servers.data_folder import read_secrets

    secrets = read_secrets(data_dir() / "secrets.json")
    if secrets is None:
        return None  # whoever moved it away has to name the backend
    return MLConnection(url=access["ml_url"], user=secrets.ml_user, password=secrets.ml_password)


def _key(key: str | None, file: Path | None) -> str | None:
    if file is not None:
        return file.read_text(encoding="utf-8").strip()
    return key


def connect(url: str | None, key: str | None, key_file: Path | None, *, name: str | None = None) -> HttpLabelStudio:
    """The server: as given, else as remembered for the campaign, else the one that `quorum up` runs."""
    from label_studio_quorum.adapters.label_studio import HttpLabelStudio

    token = _key(key, key_file)
    url = url or next((campaign.url for campaign in remembered() if campaign.name == name), None)
    # Whoever names server and key needs no file of this machine, and is not kept by a damaged one.
    access = {} if url and token else _access()
    url = url or access.get("url")
    # The token of the data folder goes to the server that it belongs to, and to no other.
    if token is None and url and url == access.get("url"):
        token = access["manager"]["token"]
    if not url:
        if name is not None and remembered():
            raise _not_remembered(None, name, needed="--url")
        raise typer.BadParameter("which server? give --url, or set QUORUM_URL", param_hint="--url")
    if not token:
        raise typer.BadParameter(
            "no API key: set QUORUM_API_KEY, or give --api-key-file (Label Studio → Account & Settings → Access Token)",
            param_hint="--api-key-file",
        )
    return close_at_end(HttpLabelStudio(url, token))


@dataclass(frozen=True, slots=True)
class Opened:
    """A campaign, open."""

    port: HttpLabelStudio
    campaign: Campaign
    remembered: Remembered | None


def open_one(
    url: str | None,
    key: str | None,
    key_file: Path | None,
    name: str | None,
    policy: Path | None,
    team: Path | None,
    *,
    write: bool = True,
) -> Opened:
    """The campaign that the options mean, under the policy and the team that its server goes by.

    Args:
        url: As `connect` takes it, with `key` and `key_file`.
        key: A token.
        key_file: A file with one.
        name: The campaign; None for the only one.
        policy: The policy file if one was named; it has to be the server's.
        team: The team file, in the same manner.
        write: False where the command shall change nothing, not even a remembered file that fell behind.

    Raises:
        CampaignError: There is no such campaign, or a file that was named is not what its server goes by.
    """
    from label_studio_quorum.campaign.projects import (
        ANY_TEAM,
        CHANGED_INTERFACE,
        find_campaign,
        is_interface_changed,
        open_found,
        takes_any_team,
    )
    from review_rules import Stage

    known = known_campaign(url, name)
    # Without an address there is no server to ask, and the campaign's name is more likely what is wrong.
    if known is None and (policy is None or team is None) and not (url or _access()):
        raise _not_remembered(url, name)
    port = connect(url, key, key_file, name=known.name if known else name)
    place = find_campaign(port, name or (known.name if known else None))
    if place.kept is None:
        policy, team = files_for_stock(known, url, name, policy, team)
    campaign = open_found(port, place, rule_files(policy, team))
    if place.kept is None and takes_any_team(place.projects):
        typer.echo(f"note: campaign {campaign.name!r}: {'; '.join(ANY_TEAM)}", err=True)
    # By it people's answers are read, so that whoever sees figures should know.
    if is_interface_changed(place.projects[Stage.PASS]):
        message, cure = CHANGED_INTERFACE
        typer.echo(f"note: {message.format(project=campaign.project(Stage.PASS))}; {cure}", err=True)
    if place.kept is not None and known is not None:
        from label_studio_quorum.commands.in_step import follow_server

        unnamed = tuple(kind for kind, file in ((FileKind.POLICY, policy), (FileKind.TEAM, team)) if file is None)
        follow_server(known, place.kept, unnamed, write=write)
    return Opened(port, campaign, known)


def rules_of_command(
    url: str | None, key: str | None, key_file: Path | None, name: str | None, policy: Path | None, team: Path | None
) -> tuple[Policy, Team]:
    """Policy and team for what a campaign gave away: of the files alone, or, with a name or without files, its own.

    Raises:
        FaultsError: A file has faults.
        CampaignError: A file is not what the campaign's server goes by.
    """
    # Whoever was given an export and its rules proves it without the server that it came from.
    if name is None and policy is not None and team is not None:
        return load_rules(policy, team)
    campaign = open_one(url, key, key_file, name, policy, team).campaign
    return campaign.policy, campaign.team


def open_again(opened: Opened) -> Campaign:
    """The campaign as it is now on the server, for a command that runs on.

    Raises:
        CampaignError: It is gone, or a stock server goes by a file that this machine does not have.
    """
    from label_studio_quorum.campaign.projects import RuleFiles, find_campaign, goes_by, open_found

    before = opened.campaign
    place = find_campaign(opened.port, before.name)
    if place.kept is not None:
        return open_found(opened.port, place, RuleFiles())
    # What somebody edits in the files meanwhile does not count before it is applied.
    if goes_by(place, before.policy, before.team):
        return open_found(opened.port, place, RuleFiles(policy=before.policy, team=before.team))
    files = files_for_stock(known_campaign(opened.port.url, before.name), opened.port.url, before.name, None, None)
    return open_found(opened.port, place, rule_files(*files))


def files_for_stock(
    known: Remembered | None, url: str | None, name: str | None, policy: Path | None, team: Path | None
) -> tuple[Path, Path]:
    """The files of a campaign on a stock server, which keeps none: as named, else as remembered."""
    policy = policy or (Path(known.policy) if known and known.policy else None)
    team = team or (Path(known.team) if known and known.team else None)
    if policy is None or team is None:
        raise _not_remembered(url, name)
    # Remembered paths outlive the files.
    for file in (policy, team):
        if not file.is_file():
            raise typer.BadParameter(f"{file}: not there any more; give its new place", param_hint="--policy/--team")
    return policy, team


def rule_files(policy: Path | None, team: Path | None) -> RuleFiles:
    """What the named files say.

    Raises:
        FaultsError: All faults of both.
    """
    from label_studio_quorum.campaign.projects import RuleFiles

    rules, people = load_named(policy, team)
    return RuleFiles(policy=rules, team=people, policy_file=str(policy), team_file=str(team))


def _not_remembered(url: str | None, name: str | None, *, needed: str = "--policy and --team") -> typer.BadParameter:
    """What to say where neither options nor memory name the campaign's server or files, which `needed` would."""
    from label_studio_quorum.campaign.projects import near

    here = [campaign.name for campaign in remembered() if url is None or campaign.url == url]
    where = "this machine" if url is None else f"this machine at {url}"
    # With a name that is not known the name is what is wrong, far more often than the missing files.
    if name is not None and here:
        known = f"remembered on {where}: {', '.join(here)}"
        return typer.BadParameter(
            f"no campaign {name!r}{near(name, here)} ({known}); for one that was set up elsewhere give {needed} too",
            param_hint="--name",
        )
    which = "no campaign" if name is None else f"no campaign {name!r}, nor any other,"
    return typer.BadParameter(
        f"{which} is remembered on {where} ({data_dir()}); run quorum setup, or give --policy and --team",
        param_hint="--policy/--team",
    )


def known_campaign(url: str | None, name: str | None) -> Remembered | None:
    """The campaign that this machine remembers under the name, at the address; with no name the only one.

    Raises:
        BadParameter: There are several.
    """
    every = [
        campaign
        for campaign in remembered()
        if (name is None or campaign.name == name) and (url is None or campaign.url == url)
    ]
    # Guessing between campaigns would write to the wrong one.
    if name is None and len(every) > 1:
        names = ", ".join(campaign.name for campaign in every)
        raise typer.BadParameter(f"which campaign? remembered: {names}", param_hint="--name")
    return every[0] if every else None


def campaign_name(url: str | None, name: str | None) -> str | None:
    """The name of the campaign that is meant: the one given, else the only one remembered; None if that is unknown."""
    known = known_campaign(url, name)
    return known.name if known else name


@contextmanager
def progress_bar(text: str, total: int | None = None) -> Iterator[tuple[Progress, Any]]:
    """A progress bar on stderr, where stderr is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        yield bar, bar.add_task(text, total=total)


def say_waiting(line: str) -> None:
    """Say on stderr what a command waits for."""
    typer.echo(f"quorum: {line}", err=True)


def print_json(value: Any) -> None:
    """One JSON value on one line."""
    typer.echo(json.dumps(value, ensure_ascii=False))
