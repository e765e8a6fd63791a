"""From a campaign's files to a campaign on a server: what `quorum setup` and `quorum up` both do.

The projects are set up, the server's plugin is given the files, and this machine writes down where the campaign is.
Each step finds out what is there already, so that a launch which was cut off is finished by the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from label_studio_quorum.campaign.campaign_lock import LockServer, locked
from label_studio_quorum.campaign.local_memory import (
    AppliedFiles,
    Remembered,
    applied_files,
    note_applied,
    remember,
    text_digest,
)
from label_studio_quorum.campaign.planned_change import (
    Earlier,
    PlannedChange,
    Progress,
    ask_plugin,
    reckon,
    say_nothing,
)
from label_studio_quorum.campaign.projects import STAGES, Campaign, CampaignError, assemble, find_all, marker_of
from label_studio_quorum.campaign.sent_guidelines import SentGuidelines, compare_guidelines
from label_studio_quorum.campaign.setup import CampaignSpec, SetupReport, claim, setup_campaign
from label_studio_quorum.campaign.turns import Turns, first_project
from label_studio_quorum.campaign.webhooks import WebhookTarget
from label_studio_quorum.port import Json, LabelStudio, MLConnection, Project, Repair
from ls_config.interface import Interface, carry_renames, is_readable
from review_rules import Policy, Stage, Team, load_policy, load_team


class CampaignServer(LabelStudio, LockServer, Protocol):
    """A server that may run Quorum's plugin."""

    url: str

    def plugin_version(self) -> str | None:
        """The version of the plugin in the server; None on a stock server."""
        ...

    def mend_server(self, campaign: str | None) -> Repair:
        """Have the plugin set right what it can; nothing where it is not there or does not know the campaign."""
        ...

    def plugin_campaign(self, name: str) -> Json | None:
        """A campaign as the plugin knows it; None where there is no plugin, or it knows none of that name."""
        ...

    def plan_pages(
        self, name: str, *, policy: str | None = None, team: str | None = None, interface: str | None = None
    ) -> Iterator[Json]:
        """What the plugin says that a change does, some rows at a time."""
        ...

    def settle(self, name: str, progress: Callable[[int], None]) -> None:
        """Have the plugin reconcile the rows that a change has marked."""
        ...

    def tell_plugin(
        self,
        name: str,
        *,
        task: str,
        policy: str,
        team: str,
        guidelines: str,
        projects: dict[str, int],
        qualification: Json,
        practice: Json,
        interface: str | None = None,
    ) -> Json:
        """Give the plugin a campaign's files; its answer says under `qualification` how many of those rows it found."""
        ...


@dataclass(frozen=True, kw_only=True)
class CampaignPlan:
    """A campaign whose files were read and found good.

    Attributes:
        name: The campaign's name.
        task: A label type by name, or a folder with a `label.xml`, as it was asked for.
        interface: What people fill in: the label type that was read.
        policy_file: Where the policy stands; `policy_text` is what stands there, and `policy` what it says.
        team_file: Where the team stands; `team_text` is what stands there, and `team` what it says.
        qualification: The rows with known answers that the policy asks for, as the plugin is told; empty for none.
        practice: The rows to practise on, as the plugin is told; empty for none.
        renames: Field → label of until now → label of the interface that its answers are read as.
        repair: Whether projects that were lost are marked again, or made anew.
    """

    name: str
    task: str
    interface: Interface
    policy_file: Path
    policy_text: str
    policy: Policy
    team_file: Path
    team_text: str
    team: Team
    qualification: Json
    practice: Json = field(default_factory=dict)
    renames: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    repair: bool = False

    def spec(self, ml: MLConnection | None, webhook: WebhookTarget | None) -> CampaignSpec:
        """What set-up is asked to make."""
        return CampaignSpec(
            name=self.name, interface=self.interface, policy=self.policy, team=self.team, ml=ml, webhook=webhook
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Launch:
    """What a launch found and did.

    Attributes:
        campaign: The campaign as it stands; None after a dry run of a new one.
        changes: What was done, or would be.
        notes: What a person should know besides.
        plugin: The version of the server's plugin; None on a stock server.
        qualification: The plugin's answer about the qualification's rows; empty where it was told of none.
        planned: What changes in a campaign that was there, and what that does to its rows.
        apart: What the files say otherwise than the server, which stays as it is.
    """

    campaign: Campaign | None
    changes: tuple[str, ...]
    notes: tuple[str, ...]
    plugin: str | None
    qualification: Json
    planned: PlannedChange = field(default_factory=PlannedChange)
    apart: tuple[str, ...] = ()

    @property
    def projects(self) -> dict[str, int]:
        """Stage → project id; empty after a dry run of a new campaign."""
        return {} if self.campaign is None else project_ids(self.campaign)

    def after(self, claimed: SetupReport) -> Launch:
        """The launch with what was done before it."""
        changes, notes = (*claimed.changes, *self.changes), (*claimed.notes, *self.notes)
        return replace(self, changes=changes, notes=notes)


def project_ids(campaign: Campaign) -> dict[str, int]:
    """Stage → project id, as commands print it and the plugin is told."""
    return {stage.value: project.id for stage, project in campaign.projects.items()}


def go_on(_planned: PlannedChange) -> None:
    """The answer of whoever makes any change, whatever it costs."""


def launch(
    port: CampaignServer,
    plan: CampaignPlan,
    *,
    ml: MLConnection | None = None,
    webhook: WebhookTarget | None = None,
    dry_run: bool = False,
    memory: Path | None = None,
    confirm: Callable[[PlannedChange], None] = go_on,
    progress: Progress = say_nothing,
    say: Callable[[str], None] = lambda line: None,
    pause: Callable[[float], None] = time.sleep,
) -> Launch:
    """Make the server's projects, and the plugin where there is one, match the plan.

    Args:
        port: The server.
        plan: The campaign.
        ml: The ML backend to connect, if any.
        webhook: Where changes are announced, if anywhere.
        dry_run: Find out what is to do and do nothing.
        memory: The data folder in which later commands look the campaign up; the usual one where None.
        confirm: Told what changes in a campaign that is there, before anything does; raises to stop it.
        progress: Told how far the reckoning of what changes has come.
        say: Told that another command is waited for.
        pause: Waits between two looks whether that one has ended.

    Raises:
        CampaignError: Answers that people gave would be lost; nothing was changed.
        CampaignError, ServerError: A step was refused; what was done until then stays, and the next launch goes on.
        InterfaceError: A rename names what is not there.
    """
    work = _Work(port, plan, ml, webhook, memory, confirm, progress)
    # A dry run changes nothing, and waits for nobody.
    if dry_run:
        return work.launch(dry_run=True)
    with locked(port, plan.name, "set-up", say=say) as hold:
        return work.launch(dry_run=False) if hold.is_alone else work.launch_in_turn(say, pause)


@dataclass(frozen=True)
class _Work:
    """What `launch` was asked."""

    port: CampaignServer
    plan: CampaignPlan
    ml: MLConnection | None
    webhook: WebhookTarget | None
    memory: Path | None
    confirm: Callable[[PlannedChange], None]
    progress: Progress

    def launch_in_turn(self, say: Callable[[str], None], pause: Callable[[float], None]) -> Launch:
        """Launch on a stock server, whose set-ups stand in line on the first project that they made."""
        port, name = self.port, self.plan.name
        if first_project(port, name) is None:
            _refuse_renames(self.plan)  # what is refused leaves no project behind
        claimed = claim(port, self.plan.spec(self.ml, self.webhook))
        while (first := first_project(port, name)) is not None:
            with locked(Turns(port, first), name, "set-up", say=say, pause=pause):
                # A project that was being made as this one was looked for may have a lower id.
                if first_project(port, name) == first:
                    return self.launch(dry_run=False).after(claimed)
        return self.launch(dry_run=False)

    def launch(self, *, dry_run: bool) -> Launch:
        port = self.port
        # First, as what it restores is what set-up finds the campaign by.
        mended = Repair() if dry_run else port.mend_server(self.plan.name)
        there = _projects_of(port, self.plan.name)
        # Of a campaign that lost a project, set-up makes that first, and the plugin is told afterwards.
        known = None if there is None else port.plugin_campaign(self.plan.name)
        plan, planned = _plan_change(port, self.plan, there, known, self.memory, self.progress)
        if not dry_run:
            planned.require_lossless()
            self.confirm(planned)
        kept = None if known is None else port.kept_files(plan.name)
        sent = SentGuidelines(interface=plan.interface)
        if kept is not None:
            sent = compare_guidelines(port, plan.name, plan.interface, kept.guidelines)
            plan = replace(plan, interface=sent.interface)
        qualification: Json = {}
        # Of a campaign that it knows, the plugin changes what the policy decides; set-up may not.
        if known is not None and not dry_run:
            qualification = _tell_plugin(port, plan, known["projects"], interface=plan.interface.xml)
            port.settle(plan.name, lambda done: self.progress(done, None))
        report = setup_campaign(port, plan.spec(self.ml, self.webhook), dry_run=dry_run, repair=plan.repair)
        plugin = port.plugin_version()
        if report.campaign is not None and not dry_run:
            # A stock server holds nobody to the rules: `quorum sync` finds what breaks them.
            if plugin is None:
                applied = AppliedFiles(url=port.url, policy=plan.policy_text, team=plan.team_text)
                note_applied(plan.name, applied, self.memory)
            elif known is None:
                qualification = _tell_plugin(port, plan, project_ids(report.campaign))
            _remember(plan, port.url, self.memory)
        return Launch(
            campaign=report.campaign,
            changes=(*(f"mended: {fault.message}" for fault in mended.mended), *sent.changes, *report.changes),
            notes=(*map(str, mended.left), *report.notes),
            plugin=plugin,
            qualification=qualification,
            planned=planned,
            apart=sent.notes,
        )


def plan_launch(
    port: CampaignServer, plan: CampaignPlan, *, memory: Path | None = None, progress: Progress = say_nothing
) -> PlannedChange:
    """What a launch would change in a campaign that is there, and what that does; nothing is changed.

    Raises:
        CampaignError: Answers that people gave would be lost.
    """
    there = _projects_of(port, plan.name)
    known = None if there is None else port.plugin_campaign(plan.name)
    _, planned = _plan_change(port, plan, there, known, memory, progress)
    planned.require_lossless()
    return planned


def _projects_of(port: CampaignServer, name: str) -> dict[Stage, Project] | None:
    """The projects of a campaign that is there, whole."""
    stages = find_all(port.projects()).get(name, {})
    return {stage: stages[stage][0] for stage in STAGES} if all(stage in stages for stage in STAGES) else None


def _plan_change(
    port: CampaignServer,
    plan: CampaignPlan,
    projects: Mapping[Stage, Project] | None,
    known: Json | None,
    memory: Path | None,
    progress: Progress,
) -> tuple[CampaignPlan, PlannedChange]:
    """The plan with the renames of the campaign that is there carried on, and what it changes in that."""
    if projects is None:
        _refuse_renames(plan)
        return plan, PlannedChange()
    current = projects[Stage.PASS].label_config
    # An interface that cannot be read has no renames to carry on, and set-up is what mends it.
    interface = carry_renames(plan.interface, current if is_readable(current) else plan.interface.xml, plan.renames)
    plan = replace(plan, interface=interface)
    if known is not None:
        texts = {"policy": plan.policy_text, "team": plan.team_text, "interface": interface.xml}
        return plan, ask_plugin(port, plan.name, **texts, progress=progress)
    if not is_readable(current):
        return plan, PlannedChange(unknown="the interface on the server cannot be read, so no row can be decided by it")
    campaign = assemble(plan.name, projects, policy=plan.policy, team=plan.team, port=port)
    applied = applied_files(plan.name, port.url, memory)
    return plan, reckon(port, campaign, earlier_rules(applied, campaign), interface, progress=progress)


def earlier_rules(applied: AppliedFiles, campaign: Campaign) -> Earlier:
    """What a campaign of a stock server went by until now, as far as this machine or the projects know it."""
    is_same = marker_of(campaign.projects[Stage.PASS]).policy == campaign.policy.hash
    unknown = campaign.policy if is_same else None
    return Earlier(
        policy=unknown if applied.policy is None else load_policy(applied.policy),
        team=None if applied.team is None else load_team(applied.team),
    )


def _refuse_renames(plan: CampaignPlan) -> None:
    if plan.renames:
        raise CampaignError(f"there is no campaign {plan.name!r} whose labels could be renamed", "leave --rename out")


def _tell_plugin(
    port: CampaignServer, plan: CampaignPlan, projects: dict[str, int], *, interface: str | None = None
) -> Json:
    answer = port.tell_plugin(
        plan.name,
        task=plan.interface.name,
        policy=plan.policy_text,
        team=plan.team_text,
        guidelines=plan.interface.guidelines,
        projects=projects,
        qualification=plan.qualification,
        practice=plan.practice,
        **({} if interface is None else {"interface": interface}),
    )
    return answer.get("qualification") or {}


def _digest_of(file: Path) -> str:
    """The digest of a text file; empty where there is none, as with a label type that comes with Quorum."""
    return text_digest(file.read_text(encoding="utf-8")) if file.is_file() else ""


def _remember(plan: CampaignPlan, url: str, folder: Path | None) -> None:
    """Write down where the campaign is, so that `quorum status`, `export` and the others need not be told."""
    own = Path(plan.task)
    remember(
        Remembered(
            name=plan.name,
            url=url,
            task=str(own.absolute()) if own.exists() else plan.task,
            policy=str(plan.policy_file.absolute()),
            team=str(plan.team_file.absolute()),
            policy_in_step=text_digest(plan.policy_text),
            team_in_step=text_digest(plan.team_text),
            interface_in_step=_digest_of(own / "label.xml"),
            guidelines_in_step=_digest_of(own / "guidelines.md"),
            checks_in_step=_digest_of(own / "checks.yaml"),
        ),
        folder,
    )
