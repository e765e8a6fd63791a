"""Projects of a campaign that are gone, or that have lost the line by which they are found.

A set-up that made new ones in their place would begin the campaign anew, without a word about what people did.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from label_studio_quorum.campaign.projects import STAGES, CampaignError, project_title, read_marker
from label_studio_quorum.port import LabelStudio, Project
from review_rules import Stage

REPAIR = "quorum setup --repair, or quorum up --repair,"


def unmarked_projects(
    projects: Iterable[Project], name: str, marked: Mapping[Stage, Sequence[Project]]
) -> dict[Stage, Project]:
    """The project of each stage without a marked one that bears its title and no marker; the oldest of several."""
    titles = {project_title(name, stage): stage for stage in STAGES if stage not in marked}
    unmarked: dict[Stage, Project] = {}
    for project in sorted(projects, key=lambda each: each.id):
        if project.title in titles and read_marker(project.description) is None:
            unmarked.setdefault(titles[project.title], project)
    return unmarked


def require_whole(
    port: LabelStudio, name: str, marked: Mapping[Stage, Sequence[Project]], unmarked: Mapping[Stage, Project]
) -> None:
    """Refuse to go on with a campaign that has lost a project.

    A set-up that was cut off leaves stages without a project too, but no rows.

    Raises:
        CampaignError: A project has lost its line, or is gone while others of the campaign hold rows.
    """
    if unmarked:
        which = ", ".join(f"{project.id} ({stage.value})" for stage, project in unmarked.items())
        raise CampaignError(
            f"project {which} has the title of campaign {name!r} and no quorum: line in its description",
            f"{REPAIR} gives it the line back; where it is another's project, give it another title",
        )
    gone = [stage.value for stage in STAGES if stage not in marked]
    if gone and any(_has_tasks(port, project) for projects in marked.values() for project in projects):
        raise CampaignError(
            f"campaign {name!r} has lost its {', '.join(gone)} project: it was deleted with what people said there",
            f"put a backup of the server's database back; {REPAIR} makes a new project, without what is lost",
        )


def _has_tasks(port: LabelStudio, project: Project) -> bool:
    return next(iter(port.notes(project.id)), None) is not None
