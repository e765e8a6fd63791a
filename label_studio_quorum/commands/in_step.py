"""How the files that this machine remembers follow the server: what the server goes by counts, and nothing changes in
silence."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from label_studio_quorum.campaign.local_files import LocalFile, compare
from label_studio_quorum.campaign.local_memory import FileKind, Remembered, remember, remembered, text_digest
from label_studio_quorum.campaign.projects import find_all, find_campaign, mark_team
from label_studio_quorum.files import write_text

if TYPE_CHECKING:
    from label_studio_quorum.adapters.label_studio import HttpLabelStudio
    from label_studio_quorum.port import KeptFiles
    from review_rules import Team


def follow_server(known: Remembered, kept: KeptFiles, kinds: tuple[FileKind, ...], *, write: bool) -> None:
    """Bring the remembered files in step with the server, and say each that was not.

    A file that nobody edited since it was the server's is replaced by what the server keeps now; one that was edited
    stays as it is, and is told. Either way the command goes by the server.

    Args:
        known: What this machine remembers of the campaign.
        kept: What the server keeps.
        kinds: The kinds of files that were not named on the command line.
        write: False where the command shall change nothing at all.
    """
    now = known
    for kind in kinds:
        path = known.file(kind)
        if not path:
            continue
        local = compare(kind, Path(path), kept, known)
        taken = bool(local.differences) and local.unedited and write and _refresh(local)
        if local.differences and not local.unedited:
            _note(local.apart)
        if taken or local.text == local.kept:
            now = now.with_file(kind, path, text_digest(local.kept))
    if write and now != known:
        remember(now)


def _refresh(local: LocalFile) -> bool:
    """Whether the file could be written."""
    try:
        write_text(local.path, local.kept)
    except OSError as error:
        _note(f"{local.behind}; the file cannot be written ({error.strerror}), and the server's counts here")
        return False
    _note(f"{local.behind}; it is taken into the file")
    return True


def tell_apart(port: HttpLabelStudio, name: str | None, file: Path) -> None:
    """Say where a team file is not what the server goes by, if it is known whose team it is."""
    campaigns = find_all(port.projects())
    name = name if name is not None else next(iter(campaigns)) if len(campaigns) == 1 else None
    kept = port.kept_files(name) if name is not None else None
    if kept is not None:
        local = compare(FileKind.TEAM, file, kept, None)
        if local.differences:
            _note(local.apart)


def campaign_of_file(url: str, file: Path) -> str | None:
    """The campaign that this machine remembers with a team file; None if that is not just one."""
    own = [known.name for known in remembered() if (known.url, known.team) == (url, str(file.absolute()))]
    return own[0] if len(own) == 1 else None


def team_applied(port: HttpLabelStudio, campaign: str | None, file: Path, team: Team) -> None:
    """Have a campaign go by a team that was applied: its markers bear the hash, and this machine remembers the file.

    Args:
        port: The server.
        campaign: The campaign; None where accounts were made and none is meant.
        file: The team file.
        team: What it says.
    """
    if not campaign:
        names = ", ".join(sorted(find_all(port.projects())))
        # Accounts may be made before the campaign is set up.
        if names:
            _note(f"accounts only: no campaign goes by {file} now; name one of {names} with --name to have it do so")
        return
    if mark_team(port, find_campaign(port, campaign), team):
        _note(f"campaign {campaign!r} goes by {file} from now on")
    known = next((entry for entry in remembered() if (entry.name, entry.url) == (campaign, port.url)), None)
    if known is not None:
        text = file.read_text(encoding="utf-8")
        remember(known.with_file(FileKind.TEAM, str(file.absolute()), text_digest(text)))


def _note(text: str) -> None:
    typer.echo(f"note: {text}", err=True)
