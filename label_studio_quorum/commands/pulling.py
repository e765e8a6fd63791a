"""What `quorum team pull` and `quorum policy pull` do: take what the server goes by into a file of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from label_studio_quorum.campaign.local_files import LocalFile, compare
from label_studio_quorum.campaign.local_memory import Remembered, remember, remembered, text_digest
from label_studio_quorum.campaign.projects import (
    PUTS,
    CampaignError,
    CampaignOnServer,
    find_campaign,
    kept_rules,
    marker_of,
)
from label_studio_quorum.commands.shared_options import known_campaign, print_json
from label_studio_quorum.files import write_text
from review_rules import Stage

if TYPE_CHECKING:
    from label_studio_quorum.adapters.label_studio import HttpLabelStudio


def pull(
    kind: str,
    port: HttpLabelStudio,
    name: str | None,
    file: Path | None,
    *,
    force: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Take the server's policy or team into a file, which from then on is the campaign's on this machine.

    A file that says the same stays as it is, with whatever comments stand in it.

    Args:
        kind: `policy` or `team`.
        port: The server.
        name: The campaign; None for the only one.
        file: The file; None for the remembered one.
        force: Replace a file that somebody edited since it was the server's.
        dry_run: Only say what would be done.
        as_json: Print one JSON object.

    Raises:
        CampaignError: There is no such campaign, the server keeps no files, or the file was edited.
    """
    known = known_campaign(port.url, name)
    place = find_campaign(port, name or (known.name if known else None))
    if place.kept is None:
        raise CampaignError(
            f"a stock server keeps the hash of the {kind} of campaign {place.name!r}, and not the file",
            "ask whoever applied it for the file",
        )
    file = file or _remembered_file(kind, known)
    local = compare(kind, file, place.kept, known)
    if local.differences and local.text is not None and not local.unedited and not force:
        raise CampaignError(
            f"{file} was edited since it was the server's {kind}, and would be lost: {local.differences}",
            f"{PUTS[kind]} has the server go by it; --force replaces it by the server's",
        )
    if local.differences and not dry_run:
        write_text(file, local.kept)
    if not dry_run:
        _remember(local, place, port.url)
    _say(local, place, dry_run=dry_run, as_json=as_json)


def _remembered_file(kind: str, known: Remembered | None) -> Path:
    path = known.file(kind) if known else ""
    if not path:
        raise typer.BadParameter("name the file to write; this machine remembers none", param_hint=kind.upper())
    return Path(path)


def _remember(local: LocalFile, place: CampaignOnServer, url: str) -> None:
    """Write down that this is the campaign's file, and whether it is the server's word for word."""
    known = next((entry for entry in remembered() if (entry.name, entry.url) == (place.name, url)), None)
    task = marker_of(place.projects[Stage.PASS]).task
    base = known or Remembered(name=place.name, url=url, task=task, policy="", team="")
    same = bool(local.differences) or local.text == local.kept
    # A file that says the same in other words is its owner's: it is never taken for one that fell behind.
    remember(base.with_file(local.kind, str(local.path.absolute()), text_digest(local.kept) if same else ""))


def _say(local: LocalFile, place: CampaignOnServer, *, dry_run: bool, as_json: bool) -> None:
    if place.kept is None:
        raise AssertionError("a stock server was refused before")
    policy, team = kept_rules(place.kept)
    if as_json:
        print_json(
            {
                "campaign": place.name,
                "file": str(local.path),
                "changed": bool(local.differences),
                "differences": local.differences,
                "hash": policy.hash if local.kind == "policy" else team.hash,
                "dry_run": dry_run,
            }
        )
    elif local.differences:
        verb = "would be" if dry_run else "is now"
        typer.echo(f"{local.path}: {verb} the server's {local.kind}; before: {local.differences}")
    else:
        typer.echo(f"{local.path}: says what the server goes by, and stays as it is")
