"""A folder with label interface, checks and guidelines beside what the server's projects show."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from label_studio_quorum.campaign.differences import interface_differences, plain
from label_studio_quorum.campaign.local_files import LocalFile, read_file
from label_studio_quorum.campaign.local_memory import FileKind, Remembered, text_digest
from label_studio_quorum.campaign.projects import CampaignOnServer
from ls_config.carried_checks import without_checks
from ls_config.guidelines import to_html
from ls_config.interface import Interface, InterfaceError, carried_checks, load
from review_rules import Stage

__all__ = ["ShownInterface", "compare_folder", "shown_interface"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownInterface:
    """What people are shown.

    Attributes:
        xml: The label interface, which carries the checks.
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
    checks, carried = folder / "checks.yaml", carried_checks(shown.xml)
    wanted = {(FileKind.INTERFACE, xml): without_checks(shown.xml)}
    # A file whose checks the server does not have is emptied: beside the server's interface it would change it.
    if carried or checks.exists():
        wanted[FileKind.CHECKS, checks] = carried
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
    if kind is FileKind.CHECKS:
        return "" if plain(text) == plain(carried_checks(shown.xml)) else "other checks"
    try:
        return interface_differences(_without_checks(load(path)), without_checks(shown.xml))
    except InterfaceError as error:
        return f"it has faults, the first: {error.faults[0]}"


def _without_checks(interface: Interface) -> Interface:
    """The interface by itself: its checks are another file."""
    return replace(interface, xml=without_checks(interface.xml), checks="")
