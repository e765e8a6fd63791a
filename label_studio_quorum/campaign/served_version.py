"""Which version a project fills its forms from: people must be shown the row's own auto-label, and nothing else.

Label Studio fills forms from the one version that the project's `model_version` names. It changes that setting by
itself: to an ML backend's title when one is connected or renamed, to nothing when one is removed, and to an import's
last version where nothing is set. Where the setting names an ML backend, people are shown what the backend answers
at that moment instead of what was imported.
"""

from __future__ import annotations

from collections.abc import Iterator

from label_studio_quorum.campaign.projects import SERVED, Campaign
from label_studio_quorum.port import LabelStudio, Project
from review_rules import Stage


def version_to_set(port: LabelStudio, stage: Stage, project: Project) -> str | None:
    """The `model_version` that the project should have instead of the one it has; None where it is right."""
    served, named = SERVED[stage], project.settings.get("model_version") or ""
    if named == served:
        return None
    if served in port.prefill_sources(project.id).stored:
        return served
    # Label Studio refuses a version that no prediction has yet. Without any it takes the first import's by itself.
    return "" if named else None


def serve(port: LabelStudio, stage: Stage, project: int) -> None:
    """Let a project fill its forms from its own version, whatever Label Studio made of the setting by now."""
    version = version_to_set(port, stage, port.project(project))
    if version is not None:
        port.change_project(project, {"model_version": version})


def serving_faults(port: LabelStudio, campaign: Campaign) -> Iterator[tuple[str, str]]:
    """What fills a campaign's forms that should not, each with what to do about it."""
    for stage, project in campaign.projects.items():
        place = f"project {project.id} ({stage.value})"
        named, served = project.settings.get("model_version") or "", SERVED[stage]
        sources = port.prefill_sources(project.id)
        if named != served and version_to_set(port, stage, project) is not None:
            what = f"{named!r}, the ML backend's answer of the moment," if named in sources.backends else repr(named)
            shown = f"forms are filled from {what}" if named else "forms are not filled"
            yield f"{place}: {shown} instead of from {served!r}", "run quorum setup"
        if served in sources.backends:
            yield (
                f"{place}: an ML backend is titled {served!r}, so Label Studio asks it instead of showing that version",
                "give it another title in the project's settings, under Model, then run quorum setup",
            )
