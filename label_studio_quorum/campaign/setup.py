"""Set a campaign up on a server, or bring one that is there in line with its files.

Running it again changes nothing; running it after any crash goes on. Projects are found by their marker, which is
written in the same request that creates them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from label_studio_quorum.campaign.differences import interface_digest, plain, team_digest
from label_studio_quorum.campaign.lost_projects import require_whole, unmarked_projects
from label_studio_quorum.campaign.projects import (
    SERVED,
    STAGES,
    Campaign,
    CampaignError,
    Marker,
    assemble,
    find_all,
    marker_of,
    project_title,
    read_marker,
    write_marker,
)
from label_studio_quorum.campaign.served_version import serve, version_to_set
from label_studio_quorum.campaign.tabs import views_for
from label_studio_quorum.campaign.webhooks import WebhookTarget, own_webhook, save_webhook
from label_studio_quorum.port import Json, LabelStudio, MLBackend, MLConnection, Project
from ls_config.interface import Interface
from ls_config.review_screen import compose_review
from review_rules import Policy, Stage, Team
from review_rules.staffing import shortages

COLORS: Final = {Stage.PASS: "#617ada", Stage.QA: "#e3a52c", Stage.EXPERT: "#c05d8e"}
ML_TITLE: Final = "quorum"
"""The title of the ML backend that set-up connects; never a version that forms are filled from."""
MAX_NAME: Final = 40
"""Label Studio's titles hold 50 characters; the longest of ours adds ` · Expert`."""
_ABOUT: Final = {
    Stage.PASS: "Label each row on your own. Do not discuss rows with others before both passes are in.",
    Stage.QA: "Two people labelled each row blind. Accept, correct, escalate to an expert, or discard, with a reason.",
    Stage.EXPERT: "Rows that need an expert of their domain. Your answer is final.",
}


NOT_CONNECTED: Final = (
    "nothing is wrong: pre-annotations come with the rows (quorum import --ml-url), and Label Studio is not told of "
    "the ML backend, since it would ask it also for the rows from which the policy withholds them"
)
"""Why set-up leaves a backend that it was given unconnected; of use only to whoever asked for the connection."""


class AnotherSetupError(CampaignError):
    """Another set-up of the campaign made a project first; what this one had made of it is gone again."""


@dataclass(frozen=True, kw_only=True)
class CampaignSpec:
    """What a campaign shall be.

    Attributes:
        name: At most 40 characters.
        interface: What people fill in.
        policy: The rules.
        team: The people.
        ml: The ML backend to connect, if any.
        webhook: Where changes are announced, if anywhere.
    """

    name: str
    interface: Interface
    policy: Policy
    team: Team
    ml: MLConnection | None = None
    webhook: WebhookTarget | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SetupReport:
    """The campaign as it stands (None after a dry run of a new one), and what was done or would be."""

    campaign: Campaign | None
    changes: tuple[str, ...]
    notes: tuple[str, ...] = ()


def setup_campaign(
    port: LabelStudio, spec: CampaignSpec, *, dry_run: bool = False, repair: bool = False
) -> SetupReport:
    """Create the three projects and everything in them, or mend what differs.

    Args:
        port: The server.
        spec: What the campaign shall be.
        dry_run: Find out what is to do and do nothing.
        repair: Give projects their lost markers back, and make new ones in place of those that are gone.

    Raises:
        CampaignError: The name is unusable, or the campaign has lost a project and nobody asked for a repair.
        ServerError: The server refused; what was done until then stays, and the next run goes on.
    """
    _check_name(spec.name)
    step = _Setup(port, spec, dry_run)
    there = port.projects()
    marked = find_all(there).get(spec.name, {})
    unmarked = unmarked_projects(there, spec.name, marked)
    if not repair:
        require_whole(port, spec.name, marked, unmarked)
    marked |= {stage: [step.adopt(stage, port.project(project.id))] for stage, project in unmarked.items()}
    projects = {stage: step.project(stage, marked.get(stage, [])) for stage in STAGES}
    for stage, project in projects.items():
        if project is not None:
            step.fill(stage, project)
    made = {stage: project for stage, project in projects.items() if project is not None}
    campaign = None
    if len(made) == len(STAGES):
        campaign = assemble(spec.name, made, policy=spec.policy, team=spec.team, port=port)
    # Which domains the rows have is not known before they are imported: every domain of the policy is looked at.
    lacking = map(str, shortages(spec.team, spec.policy))
    return SetupReport(campaign=campaign, changes=tuple(step.changes), notes=(*step.notes, *lacking))


def claim(port: LabelStudio, spec: CampaignSpec) -> SetupReport:
    """Make the Pass project of a campaign that is not there, unless another set-up has just made it.

    On that project the set-ups of a stock server stand in line for the rest. Of two Pass projects the one with the
    lower id stays; whoever made the other takes it away again, empty as it is.

    Raises:
        CampaignError: The name is unusable.
        ServerError: The server refused.
    """
    _check_name(spec.name)
    there = port.projects()
    if find_all(there).get(spec.name) or unmarked_projects(there, spec.name, {}):
        return SetupReport(campaign=None, changes=())
    step = _Setup(port, spec, dry_run=False)
    try:
        step.project(Stage.PASS, [])
    except AnotherSetupError as overtaken:
        return SetupReport(campaign=None, changes=(), notes=(overtaken.message,))
    return SetupReport(campaign=None, changes=tuple(step.changes))


def _check_name(name: str) -> None:
    if not name.strip() or name != name.strip() or "\n" in name or len(name) > MAX_NAME:
        raise CampaignError(
            f"{name!r} cannot be a campaign's name",
            f"use 1 to {MAX_NAME} characters on one line, without spaces around",
        )


def project_settings(spec: CampaignSpec, stage: Stage) -> Json:
    """The settings of a stage's project, in Label Studio's words."""
    review = stage is not Stage.PASS
    xml = spec.interface.xml
    if review:
        xml = compose_review(xml, stage.value, spec.policy.returnable)
    return {
        "title": project_title(spec.name, stage),
        "label_config": xml,
        "expert_instruction": spec.interface.guidelines_html,
        "show_instruction": bool(spec.interface.guidelines),
        "maximum_annotations": 1 if review else spec.policy.passes,
        "overlap_cohort_percentage": 100,
        "color": COLORS[stage],
        "sampling": "Sequential sampling" if review else "Uniform sampling",
        # A skipped row goes to the others first; of a review there may be one person only, who gets it again.
        "skip_queue": "REQUEUE_FOR_ME" if review else "REQUEUE_FOR_OTHERS",
        "show_collab_predictions": True,
        "show_annotation_history": False,
        "show_skip_button": spec.policy.skips.per_day != 0,
        "enable_empty_annotation": False,
        # Else Label Studio asks the ML backend for rows that shall be labelled without seeing a pre-annotation.
        "evaluate_predictions_automatically": False,
        "reveal_preannotations_interactively": False,
    }


def _marker(spec: CampaignSpec, stage: Stage) -> Marker:
    return Marker(
        campaign=spec.name,
        stage=stage,
        task=spec.interface.name,
        policy=spec.policy.hash,
        team=team_digest(spec.team),
        interface=interface_digest(spec.interface.xml, spec.interface.guidelines_html),
    )


class _Setup:
    """One run: does, or only notes, what differs."""

    def __init__(self, port: LabelStudio, spec: CampaignSpec, dry_run: bool) -> None:
        self._port, self._spec, self._dry = port, spec, dry_run
        self.changes: list[str] = []
        self.notes: list[str] = []

    def project(self, stage: Stage, marked: list[Project]) -> Project | None:
        """The stage's project, made or mended; None where a dry run would make it."""
        if len(marked) > 1:
            others = ", ".join(str(project.id) for project in marked[1:])
            self.notes.append(
                f"stage {stage.value}: project {marked[0].id} is used; {others} carry the same marker: delete them"
            )
        wanted = project_settings(self._spec, stage)
        marker = _marker(self._spec, stage)
        if not marked:
            self.changes.append(f"create project {wanted['title']!r}")
            description = write_marker(_ABOUT[stage], marker)
            # Label Studio lets a new project name a version that no prediction has yet; a later change may not.
            settings = wanted | {"description": description, "model_version": SERVED[stage]}
            return None if self._dry else self._create(stage, settings)
        return self._mend(marked[0], wanted, marker)

    def _create(self, stage: Stage, settings: Json) -> Project:
        """Create the stage's project, unless another set-up at the same time has just made one.

        Raises:
            AnotherSetupError: Another set-up made one first; this one's is gone again.
        """
        made = self._port.create_project(settings)
        first, *_ = find_all(self._port.projects())[self._spec.name][stage]
        if first.id == made.id:
            return made
        # Both see the same order of ids, so that one of them goes on and the other takes its own away.
        self._port.delete_project(made.id)
        raise AnotherSetupError(
            f"another set-up of {self._spec.name!r} runs at the same time and made project {first.id} ({stage.value}); "
            f"project {made.id}, which this one had just made, was empty and is deleted",
            "run it again when that one has ended",
        )

    def adopt(self, stage: Stage, project: Project) -> Project:
        """A project that has lost its marker, with the marker again."""
        self.changes.append(f"project {project.id} ({stage.value}): restore the quorum: line of its description")
        description = write_marker(project.description, _marker(self._spec, stage))
        if self._dry:
            return replace(project, description=description)
        return self._port.change_project(project.id, {"description": description})

    def _mend(self, project: Project, wanted: Json, marker: Marker) -> Project:
        current = project.settings
        # People may rename a project; a setting that this server's release does not have is left alone.
        differing = {
            key: value
            for key, value in wanted.items()
            if key != "title" and key in current and not _same(current[key], value)
        }
        if read_marker(project.description) != marker:
            before = marker_of(project)
            if before.policy != marker.policy:
                self.notes.append(f"stage {marker.stage.value}: the policy changes; rows are decided by the new one")
            if before.team not in ("", marker.team):
                self.notes.append(f"stage {marker.stage.value}: the team changes; rows are decided by the new one")
            differing["description"] = write_marker(project.description, marker)
        if not differing:
            return project
        self.changes.append(f"project {project.id} ({marker.stage.value}): set {', '.join(sorted(differing))}")
        return project if self._dry else self._port.change_project(project.id, differing)

    def fill(self, stage: Stage, project: Project) -> None:
        """Tabs, webhook, ML backend, served model version."""
        self._views(stage, project)
        if self._spec.webhook is not None:
            self._webhook(self._spec.webhook, stage, project)
        # Before the ML backend is connected: Label Studio serves its answers where a project names no version.
        self._model_version(stage, project)
        if stage is Stage.PASS and self._spec.ml is not None:
            self._ml_backend(self._spec.ml, project)

    def _views(self, stage: Stage, project: Project) -> None:
        views = {view.title: view for view in self._port.views(project.id)}
        for data in views_for(stage, sorted(self._spec.policy.expert_domains)):
            view = views.get(data["title"])
            if view is None or any(view.data.get(key) != value for key, value in data.items()):
                self.changes.append(f"project {project.id} ({stage.value}): tab {data['title']!r}")
                if not self._dry:
                    self._port.save_view(project.id, data, view=None if view is None else view.id)

    def _webhook(self, target: WebhookTarget, stage: Stage, project: Project) -> None:
        own = own_webhook(self._port, project.id)
        if own is not None and target.is_announced_by(own):
            return
        self.changes.append(f"project {project.id} ({stage.value}): webhook to {target.url}")
        if not self._dry:
            save_webhook(self._port, project.id, target)

    def _ml_backend(self, ml: MLConnection, project: Project) -> None:
        if self._spec.policy.prelabel.withhold > 0:
            self.notes.append(NOT_CONNECTED)
            return
        there = [backend for backend in self._port.ml_backends(project.id) if _reaches(backend, ml)]
        if there and there[0].title != SERVED[Stage.PASS]:
            return
        # Under the title that is a version's name Label Studio would ask the backend whenever a row is opened.
        what = "rename" if there else "connect"
        self.changes.append(f"project {project.id} (pass): {what} the ML backend {ml.url}")
        wanted: dict[str, Any] = {"url": ml.url, "title": ML_TITLE, "is_interactive": False}
        if ml.user is not None:
            wanted |= {"auth_method": "BASIC_AUTH", "basic_auth_user": ml.user, "basic_auth_pass": ml.password}
        if not self._dry:
            self._port.save_ml_backend(project.id, wanted, backend=there[0].id if there else None)
            # Label Studio may have made the backend the one whose answers people are shown.
            serve(self._port, Stage.PASS, project.id)

    def _model_version(self, stage: Stage, project: Project) -> None:
        """Mend what the project's forms are filled from, where Label Studio or somebody chose another version."""
        version = version_to_set(self._port, stage, project)
        if version is None:
            return
        named = project.settings.get("model_version") or ""
        self.changes.append(f"project {project.id} ({stage.value}): pre-fill from {SERVED[stage]!r}, not {named!r}")
        if not self._dry:
            self._port.change_project(project.id, {"model_version": version})


def _reaches(backend: MLBackend, ml: MLConnection) -> bool:
    return backend.url.rstrip("/") == ml.url.rstrip("/")


def _same(current: Any, wanted: Any) -> bool:
    """Equal as Label Studio sees it: its HTML is cleaned on the way in, and whole numbers may come back as floats."""
    if isinstance(current, str) and isinstance(wanted, str):
        return plain(current) == plain(wanted)
    return bool(current == wanted)


def settings_drift(spec: CampaignSpec, campaign: Campaign) -> Mapping[Stage, tuple[str, ...]]:
    """Settings on the server that differ from what set-up would set, by stage."""
    return {
        stage: tuple(
            key
            for key, value in project_settings(spec, stage).items()
            if key != "title" and key in project.settings and not _same(project.settings[key], value)
        )
        for stage, project in campaign.projects.items()
    }
