"""What `quorum team pull`, `policy pull` and `interface pull` do: take what the server goes by into files of this
machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from label_studio_quorum.campaign.interface_files import compare_folder, shown_interface
from label_studio_quorum.campaign.local_files import LocalFile, compare
from label_studio_quorum.campaign.local_memory import FileKind, Remembered, remember, text_digest
from label_studio_quorum.campaign.projects import (
    PUTS,
    CampaignError,
    CampaignOnServer,
    find_campaign,
    kept_rules,
    marker_of,
)
from label_studio_quorum.commands.shared_options import known_campaign, print_json
from label_studio_quorum.files import private_folder, write_text
from review_rules import Stage

if TYPE_CHECKING:
    from label_studio_quorum.adapters.label_studio import HttpLabelStudio


def pull(
    kind: FileKind,
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
        kind: Policy or team.
        port: The server.
        name: The campaign; None for the only one.
        file: The file; None for the remembered one.
        force: Replace a file that somebody edited since it was the server's.
        dry_run: Only say what would be done.
        as_json: Print one JSON object.

    Raises:
        CampaignError: There is no such campaign, the server keeps no files, or the file was edited.
    """
    known, place = _find(port, name)
    if place.kept is None:
        raise CampaignError(
            f"a stock server keeps the hash of the {kind} of campaign {place.name!r}, and not the file",
            "ask whoever applied it for the file",
        )
    local = compare(kind, file or _remembered(kind, known), place.kept, known)
    _take([local], known or _new(place, port.url), force=force, dry_run=dry_run)
    policy, team = kept_rules(place.kept)
    if as_json:
        print_json(
            {
                "campaign": place.name,
                "file": str(local.path),
                "changed": bool(local.differences),
                "differences": local.differences,
                "hash": policy.hash if kind is FileKind.POLICY else team.hash,
                "dry_run": dry_run,
            }
        )
    else:
        _say(local, dry_run)


def pull_interface(
    port: HttpLabelStudio, name: str | None, folder: Path | None, *, force: bool, dry_run: bool, as_json: bool
) -> None:
    """Take the label interface and the guidelines that people are shown into a folder, both or neither.

    Raises:
        CampaignError: There is no such campaign, or a file was edited.
    """
    known, place = _find(port, name)
    shown = shown_interface(place)
    folder = folder or _remembered(FileKind.INTERFACE, known)
    locals_ = compare_folder(folder, shown, known)
    if shown.guidelines is None:
        typer.echo(
            f"note: {folder / 'guidelines.md'} is left alone: the server has the guidelines as a page only, written "
            "there or told by an earlier version; quorum setup puts the file on the server",
            err=True,
        )
    _take(locals_, known or _new(place, port.url), force=force, dry_run=dry_run)
    if as_json:
        files = [
            {"file": str(local.path), "changed": bool(local.differences), "differences": local.differences}
            for local in locals_
        ]
        print_json({"campaign": place.name, "files": files, "dry_run": dry_run})
        return
    for local in locals_:
        _say(local, dry_run)


def _find(port: HttpLabelStudio, name: str | None) -> tuple[Remembered | None, CampaignOnServer]:
    known = known_campaign(port.url, name)
    return known, find_campaign(port, name or (known.name if known else None))


def _new(place: CampaignOnServer, url: str) -> Remembered:
    """A campaign that this machine did not know."""
    task = marker_of(place.projects[Stage.PASS]).task
    return Remembered(name=place.name, url=url, task=task, policy="", team="")


def _remembered(kind: FileKind, known: Remembered | None) -> Path:
    path = known.file(kind) if known else ""
    if not path:
        place = "folder" if kind is FileKind.INTERFACE else "file"
        hint = "FOLDER" if kind is FileKind.INTERFACE else kind.upper()
        raise typer.BadParameter(f"name the {place} to write; this machine remembers none", param_hint=hint)
    return Path(path)


def _take(local_files: Sequence[LocalFile], known: Remembered, *, force: bool, dry_run: bool) -> None:
    """Write those files that differ, and remember all of them; nothing is written where one of them may not be.

    Raises:
        CampaignError: Somebody edited a file since it was the server's.
    """
    edited = [local for local in local_files if local.differences and local.text is not None and not local.unedited]
    if edited and not force:
        what = "; ".join(
            f"{local.path} was edited since it was the server's {local.kind}, and would be lost: {local.differences}"
            for local in edited
        )
        puts = " and ".join(dict.fromkeys(PUTS[local.kind] for local in edited))
        raise CampaignError(what, f"{puts} has the server go by it; --force replaces it by the server's")
    if dry_run:
        return
    for local in local_files:
        if local.differences:
            private_folder(local.path.parent)
            write_text(local.path, local.kept)
        # A file that says the same in other words is its owner's: it is never taken for one that fell behind.
        same = bool(local.differences) or local.text == local.kept
        ruled = local.kind in (FileKind.POLICY, FileKind.TEAM)
        path = local.path if ruled else local.path.parent
        known = known.with_file(local.kind, str(path.absolute()), text_digest(local.kept) if same else "")
    remember(known)


def _say(local: LocalFile, dry_run: bool) -> None:
    if local.differences:
        verb = "would be" if dry_run else "is now"
        typer.echo(f"{local.path}: {verb} the server's {local.kind}; before: {local.differences}")
    elif local.text is not None:
        typer.echo(f"{local.path}: says what the server goes by, and stays as it is")
