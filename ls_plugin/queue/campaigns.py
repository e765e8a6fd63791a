"""A campaign of this server as the value that the rules work on."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from label_studio_quorum.campaign.projects import Campaign as RuleCampaign
from label_studio_quorum.campaign.projects import interface_of
from ls_config.interface import Interface
from ls_plugin.models import Campaign, CampaignProject, Stage
from ls_plugin.people import rulebook
from ls_plugin.people.standings import RULE_STAGE
from ls_plugin.queue.server_port import ServerPort
from review_rules import Stage as RuleStage


def read_campaign(campaign_id: int) -> RuleCampaign:
    """The campaign as the rules' value, from the database."""
    return to_rules(*stored_campaign(campaign_id), ServerPort())


def read_interface(campaign_id: int) -> Interface:
    """What a campaign's Pass screen asks for."""
    return read_campaign(campaign_id).interface


def stored_campaign(campaign_id: int) -> tuple[Campaign, dict[int, int]]:
    """A campaign as it is stored, and the stage of each of its projects."""
    projects = list(CampaignProject.objects.filter(campaign_id=campaign_id).select_related("campaign"))
    return projects[0].campaign, {project.project_id: project.stage for project in projects}


def to_rules(campaign: Campaign, stages: Mapping[int, int], port: ServerPort) -> RuleCampaign:
    """A stored campaign as the rules' value.

    Args:
        campaign: as it is stored.
        stages: project id → stage.
        port: reads projects and accounts.
    """
    projects = {RULE_STAGE[Stage(stages[pk])]: project for pk, project in port.projects(stages).items()}
    return RuleCampaign(
        name=campaign.name,
        interface=_interface(projects[RuleStage.PASS].label_config, campaign.task),
        policy=rulebook.read_policy(campaign.policy_text),
        team=rulebook.read_team(campaign.team_text),
        projects=projects,
        users=tuple(port.users_of(campaign.pk)),
        links=port.links_of(campaign.pk),
    )


# Reading an interface takes longer than deciding a row, and a campaign's XML hardly ever changes.
@lru_cache(maxsize=32)
def _interface(xml: str, name: str) -> Interface:
    return interface_of(xml, name)
