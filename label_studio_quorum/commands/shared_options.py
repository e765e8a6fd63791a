"""What the campaign commands share: options, connection, files, and how faults are told."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from label_studio_quorum.campaign import local_memory
from label_studio_quorum.campaign.local_memory import Remembered, data_dir, read_access
from label_studio_quorum.commands.rule_files import load_rules

if TYPE_CHECKING:
    from rich.progress import Progress

    from label_studio_quorum.adapters.label_studio import HttpLabelStudio
    from label_studio_quorum.campaign.projects import Campaign
    from label_studio_quorum.port import MLConnection

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
    return HttpLabelStudio(url, token)


@dataclass(frozen=True, slots=True)
class Opened:
    """A campaign, open."""

    port: HttpLabelStudio
    campaign: Campaign
    remembered: Remembered | None


def open_one(
    url: str | None, key: str | None, key_file: Path | None, name: str | None, policy: Path | None, team: Path | None
) -> Opened:
    """The campaign that the options mean."""
    from label_studio_quorum.campaign.projects import open_campaign

    known = _known(url, name)
    policy = policy or (Path(known.policy) if known else None)
    team = team or (Path(known.team) if known else None)
    if policy is None or team is None:
        raise _not_remembered(url, name)
    # Remembered paths outlive the files.
    for file in (policy, team):
        if not file.is_file():
            raise typer.BadParameter(f"{file}: not there any more; give its new place", param_hint="--policy/--team")
    port = connect(url, key, key_file, name=known.name if known else name)
    rules, people = load_rules(policy, team)
    return Opened(port, open_campaign(port, name or (known.name if known else None), policy=rules, team=people), known)


def known_files(url: str | None, name: str | None, policy: Path | None, team: Path | None) -> Remembered | None:
    """The campaign's files as given, else as remembered; None where neither is."""
    known = _known(url, name)
    if policy is None and team is None:
        return known
    if (policy is None or team is None) and known is None:
        raise typer.BadParameter("give --policy and --team together", param_hint="--policy")
    base = known or Remembered(name=name or "", url=url or "", task="", policy="", team="")
    return replace(base, policy=str(policy or base.policy), team=str(team or base.team))


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


def _known(url: str | None, name: str | None) -> Remembered | None:
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
