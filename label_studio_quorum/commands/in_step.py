"""How the files that this machine remembers follow the server: what the server goes by counts, and nothing changes in
silence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from label_studio_quorum.campaign.differences import differing_policy, differing_team
from label_studio_quorum.campaign.local_memory import Remembered, remember, text_digest
from label_studio_quorum.campaign.projects import PUTS, kept_rules
from label_studio_quorum.files import write_text
from review_rules import FaultsError, load_policy, load_team

if TYPE_CHECKING:
    from label_studio_quorum.port import KeptFiles
    from review_rules import Policy, Team

KINDS: Final = ("policy", "team")


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file of this machine beside what the server keeps.

    Attributes:
        kind: `policy` or `team`.
        path: The file.
        text: What stands in it; None if it is not there.
        kept: What the server keeps.
        differences: In what the two differ, for one line; empty if they say the same, however they are written.
        unedited: True if the file is still as it was when it last was the server's, word for word.
    """

    kind: str
    path: Path
    text: str | None
    kept: str
    differences: str
    unedited: bool


def compare(kind: str, path: Path, kept: KeptFiles, known: Remembered | None) -> LocalFile:
    """Compare a file with what the server keeps; a file with faults differs by them."""
    policy, team = kept_rules(kept)
    wanted = kept.policy if kind == "policy" else kept.team
    text = _read(path)
    if text is None:
        return LocalFile(kind, path, None, wanted, "it is not there", unedited=False)
    differences = _differences(kind, path, text, policy, team)
    unedited = known is not None and known.in_step.get(kind) == text_digest(text)
    return LocalFile(kind, path, text, wanted, differences, unedited)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        typer.echo(f"{path}: cannot be read: {reason}. Give the path of a readable file.", err=True)
        raise typer.Exit(2) from error


def _differences(kind: str, path: Path, text: str, policy: Policy, team: Team) -> str:
    try:
        if kind == "policy":
            return differing_policy(load_policy(text, name=str(path)), policy)
        return differing_team(load_team(text, name=str(path)), team)
    except FaultsError as error:
        return f"it has faults, the first in line {error.faults[0].line}"


def follow_server(known: Remembered, kept: KeptFiles, kinds: tuple[str, ...], *, write: bool) -> None:
    """Bring the remembered files in step with the server, and say each that was not.

    A file that nobody edited since it was the server's is replaced by what the server keeps now; one that was edited
    stays as it is, and is told. Either way the command goes by the server.

    Args:
        known: What this machine remembers of the campaign.
        kept: What the server keeps.
        kinds: The kinds of files that were not given on the command line.
        write: False where the command shall change nothing at all.
    """
    in_step = dict(known.in_step)
    for kind in kinds:
        path = known.policy if kind == "policy" else known.team
        if not path:
            continue
        local = compare(kind, Path(path), kept, known)
        if local.differences and local.unedited and write:
            in_step[kind] = text_digest(local.kept if _refresh(local) else local.text or "")
        elif local.differences:
            _tell(local)
        elif local.text == local.kept:
            in_step[kind] = text_digest(local.kept)
    if write and in_step != known.in_step:
        remember(replace(known, in_step=in_step))


def _refresh(local: LocalFile) -> bool:
    """Whether the file could be written."""
    try:
        write_text(local.path, local.kept)
    except OSError as error:
        typer.echo(f"note: {local.path} cannot be brought in step with the server: {error.strerror}", err=True)
        _tell(local)
        return False
    typer.echo(
        f"note: {local.path}: the server's {local.kind} was changed from elsewhere and is taken into the file, "
        f"which was as it had been before: {local.differences}",
        err=True,
    )
    return True


def _tell(local: LocalFile) -> None:
    typer.echo(
        f"note: {local.path} is not the server's {local.kind}, which counts here: {local.differences}; "
        f"quorum {local.kind} pull takes the server's, {PUTS[local.kind]} has the server go by the file",
        err=True,
    )
