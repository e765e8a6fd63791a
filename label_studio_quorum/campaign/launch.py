"""From a campaign's files to a campaign on a server: what `quorum setup` and `quorum up` both do.

The projects are set up, the server's plugin is given the files, and this machine writes down where the campaign is.
Each step finds out what is there already, so that a launch which was cut off is finished by the next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from label_studio_quorum.campaign.campaign_lock import LockServer, locked
from label_studio_quorum.campaign.local_memory import Remembered, remember, text_digest
from label_studio_quorum.campaign.projects import Campaign
from label_studio_quorum.campaign.setup import CampaignSpec, setup_campaign
from label_studio_quorum.campaign.webhooks import WebhookTarget
from label_studio_quorum.port import Json, LabelStudio, MLConnection, Repair
from ls_config.interface import Interface
from review_rules import Policy, Team


class CampaignServer(LabelStudio, LockServer, Protocol):
    """A server that may run Quorum's plugin."""

    url: str

    def plugin_version(self) -> str | None:
        """The version of the plugin in the server; None on a stock server."""
        ...

    def mend_server(self, campaign: str | None) -> Repair:
        """Have the plugin set right what it can; nothing where it is not there or does not know the campaign."""
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
    """

    campaign: Campaign | None
    changes: tuple[str, ...]
    notes: tuple[str, ...]
    plugin: str | None
    qualification: Json

    @property
    def projects(self) -> dict[str, int]:
        """Stage → project id; empty after a dry run of a new campaign."""
        return {} if self.campaign is None else project_ids(self.campaign)


def project_ids(campaign: Campaign) -> dict[str, int]:
    """Stage → project id, as commands print it and the plugin is told."""
    return {stage.value: project.id for stage, project in campaign.projects.items()}


def launch(
    port: CampaignServer,
    plan: CampaignPlan,
    *,
    ml: MLConnection | None = None,
    webhook: WebhookTarget | None = None,
    dry_run: bool = False,
    memory: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Launch:
    """Make the server's projects, and the plugin where there is one, match the plan.

    Args:
        port: The server.
        plan: The campaign.
        ml: The ML backend to connect, if any.
        webhook: Where changes are announced, if anywhere.
        dry_run: Find out what is to do and do nothing.
        memory: The data folder in which later commands look the campaign up; the usual one where None.
        say: Told that another command is waited for.

    Raises:
        CampaignError, ServerError: A step was refused; what was done until then stays, and the next launch goes on.
    """
    # A dry run changes nothing, and waits for nobody.
    if dry_run:
        return _launch(port, plan, ml, webhook, memory, dry_run=True)
    with locked(port, plan.name, "set-up", say=say):
        return _launch(port, plan, ml, webhook, memory, dry_run=False)


def _launch(
    port: CampaignServer,
    plan: CampaignPlan,
    ml: MLConnection | None,
    webhook: WebhookTarget | None,
    memory: Path | None,
    *,
    dry_run: bool,
) -> Launch:
    # First, as what it restores is what set-up finds the campaign by.
    mended = Repair() if dry_run else port.mend_server(plan.name)
    report = setup_campaign(port, plan.spec(ml, webhook), dry_run=dry_run, repair=plan.repair)
    plugin = port.plugin_version()
    qualification: Json = {}
    if report.campaign is not None and not dry_run:
        # A stock server holds nobody to the rules: `quorum sync` finds what breaks them.
        if plugin is not None:
            qualification = _tell_plugin(port, plan, report.campaign)
        _remember(plan, port.url, memory)
    return Launch(
        campaign=report.campaign,
        changes=(*(f"mended: {fault.message}" for fault in mended.mended), *report.changes),
        notes=(*map(str, mended.left), *report.notes),
        plugin=plugin,
        qualification=qualification,
    )


def _tell_plugin(port: CampaignServer, plan: CampaignPlan, campaign: Campaign) -> Json:
    answer = port.tell_plugin(
        plan.name,
        task=plan.interface.name,
        policy=plan.policy_text,
        team=plan.team_text,
        guidelines=plan.interface.guidelines,
        projects=project_ids(campaign),
        qualification=plan.qualification,
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
        ),
        folder,
    )
