"""A folder with label interface and guidelines beside what the server's projects show."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from label_studio_quorum.campaign.differences import interface_differences, plain
from label_studio_quorum.campaign.local_files import LocalFile, read_file
from label_studio_quorum.campaign.local_memory import FileKind, Remembered, text_digest
from label_studio_quorum.campaign.projects import CampaignOnServer
from ls_config.guidelines import to_html
from ls_config.interface import InterfaceError, load
from review_rules import Stage

__all__ = ["ShownInterface", "compare_folder", "shown_interface"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownInterface:
    """What people are shown.

    Attributes:
        xml: The label interface.
        page: The guidelines as the page that people read.
        guidelines: The guidelines in Markdown; None where the server only has the page.
    """

    xml: str
    page: str
    guidelines: str | None


def shown_interface(place: CampaignOnServer) -> ShownInterface:
    """The interface and the guidelines that a campaign's Pass project shows."""
    project = place.projects[Stage.PASS]
    page = str(project.settings.get("expert_instruction") or "")
    kept = "" if place.kept is None else place.kept.guidelines
    # Somebody may have written other guidelines on the project's settings page since they were told to the plugin.
    return ShownInterface(
        xml=project.label_config, page=page, guidelines=kept if plain(to_html(kept)) == plain(page) else None
    )


def compare_folder(folder: Path, shown: ShownInterface, known: Remembered | None) -> tuple[LocalFile, ...]:
    """The files of a folder beside what is shown; guidelines that the server has as a page only are left out.

    Raises:
        CampaignError: A file cannot be read.
        InterfaceError: The server's interface cannot be used.
    """
    xml, guidelines = folder / "label.xml", folder / "guidelines.md"
    wanted = {(FileKind.INTERFACE, xml): shown.xml}
    if shown.guidelines is not None:
        wanted[FileKind.GUIDELINES, guidelines] = shown.guidelines
    return tuple(_local(kind, path, kept, shown, known) for (kind, path), kept in wanted.items())


def _local(kind: FileKind, path: Path, kept: str, shown: ShownInterface, known: Remembered | None) -> LocalFile:
    text, before = read_file(path), None if known is None else known.in_step(kind)
    return LocalFile(
        kind=kind,
        path=path,
        text=text,
        kept=kept,
        differences=_differences(kind, path, text, shown),
        unedited=text is not None and before == text_digest(text),
        unchanged=before == text_digest(kept),
    )


def _differences(kind: FileKind, path: Path, text: str | None, shown: ShownInterface) -> str:
    if kind is FileKind.GUIDELINES:
        return "" if plain(to_html(text or "")) == plain(shown.page) else "other guidelines"
    if text is None:
        return "it is not there"
    try:
        return interface_differences(load(path), shown.xml)
    except InterfaceError as error:
        return f"it has faults, the first: {error.faults[0]}"
