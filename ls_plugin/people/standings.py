"""Who somebody is on this server, from the team files of its campaigns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils import timezone
from organizations.models import OrganizationMember

from ls_plugin.models import Campaign, CampaignProject, Member, Stage
from review_rules import NextStep, Person, PersonId, Role, may_take
from review_rules import Stage as RuleStage

RULE_STAGE = {stage: RuleStage.numbered(stage.value) for stage in Stage}


@dataclass(frozen=True, slots=True)
class CampaignPlace:
    """A project of a campaign."""

    project_id: int
    campaign_id: int
    stage: Stage


@dataclass(frozen=True, slots=True)
class Standing:
    """What a signed-in account is: owner of the server, manager, or a person in teams of campaigns.

    Attributes:
        user_id: the account.
        owner: superuser or creator of the organisation; may do everything that anybody may.
        people: campaign id → the person of its team.
        member: False once removed from the organisation.
        places: project id → its place, for the campaigns of ``people``.
        others: whether the server has campaigns of which this person is no manager.
    """

    user_id: int
    owner: bool
    member: bool
    people: Mapping[int, Person] = field(default_factory=dict)
    places: Mapping[int, CampaignPlace] = field(default_factory=dict)
    others: bool = False

    @property
    def manager_somewhere(self) -> bool:
        """Manager of some campaign, or the owner."""
        return self.owner or any(Role.MANAGER in person.roles for person in self.people.values())

    @property
    def manages_all(self) -> bool:
        """Manager of every campaign: what concerns all projects at once shows them nothing new."""
        return self.owner or (self.manager_somewhere and not self.others)

    def manages(self, campaign_id: int | None) -> bool:
        """Whether this is a manager of the campaign, or of projects that belong to none."""
        # Projects of no campaign are as on a server without the plugin: any manager's.
        if self.owner or campaign_id is None:
            return self.manager_somewhere
        person = self.people.get(campaign_id)
        return person is not None and Role.MANAGER in person.roles

    def person(self, campaign_id: int) -> Person | None:
        """The person of the campaign's team who may still work, if any."""
        return self.people.get(campaign_id)

    def works_in(self, place: CampaignPlace) -> bool:
        """Whether the person has a role for the stage of this project."""
        person = self.person(place.campaign_id)
        return person is not None and can_work(person, place.stage)

    def works_in_campaign(self, campaign_id: int) -> bool:
        """Whether the person has a role for any stage of a campaign."""
        return any(self.works_in(place) for place in self.places.values() if place.campaign_id == campaign_id)

    def managed(self) -> list[int]:
        """The projects of campaigns that this person manages."""
        return [place.project_id for place in self.places.values() if self.manages(place.campaign_id)]

    def works_somewhere(self) -> list[int]:
        """The projects this person works in."""
        return [place.project_id for place in self.places.values() if self.works_in(place)]


def can_work(person: Person, stage: Stage) -> bool:
    """Whether the person has a role for a stage at all."""
    anybody = NextStep(stage=RULE_STAGE[stage], requires=(), excluded=())
    return may_take(person, anybody)


def can_work_at_all(person: Person) -> bool:
    """Whether the person has a role for any stage."""
    return any(can_work(person, stage) for stage in Stage)


def to_person(member: Member) -> Person:
    """A member's row as the rules' value; people who have left are filtered out by :func:`has_left` before."""
    return Person(
        id=PersonId(member.person_id),
        email=member.email,
        roles=frozenset(Role(word) for word in words(member.roles)),
        expertise=frozenset(words(member.expertise)),
    )


def words(stored: str) -> list[str]:
    """The words of a ``,a,b,`` column."""
    return [word for word in stored.split(",") if word]


def has_left(member: Member, now: datetime) -> bool:
    """Whether a person has left the team."""
    return member.left is not None and member.left <= now


def standing_of(user: Any) -> Standing | None:
    """Read an account's standing from the database; None for somebody who is not signed in."""
    if user is None or not user.is_authenticated:
        return None
    owner = bool(user.is_superuser) or user.own_organization is not None
    now = timezone.now()
    members = [member for member in Member.objects.filter(user_id=user.pk) if not has_left(member, now)]
    campaigns = [member.campaign_id for member in members]
    # Most accounts of a server are in no team: they cost no query more.
    projects = CampaignProject.objects.filter(campaign_id__in=campaigns) if members else ()
    managed = [member.campaign_id for member in members if Role.MANAGER.value in words(member.roles)]
    return Standing(
        user_id=user.pk,
        owner=owner,
        member=owner
        or OrganizationMember.objects.filter(
            user_id=user.pk, organization_id=user.active_organization_id, deleted_at__isnull=True
        ).exists(),
        people={member.campaign_id: to_person(member) for member in members},
        places={project.project_id: _place(project) for project in projects},
        others=bool(managed) and not owner and Campaign.objects.exclude(pk__in=managed).exists(),
    )


def colleagues(standing: Standing) -> list[int]:
    """The accounts that somebody knows of: their own, and those of campaigns that they manage."""
    managed = [campaign for campaign in standing.people if standing.manages(campaign)]
    team = Member.objects.filter(campaign_id__in=managed, user_id__isnull=False) if managed else Member.objects.none()
    return [standing.user_id, *team.values_list("user_id", flat=True)]


def place_of(project_id: int | None) -> CampaignPlace | None:
    """The campaign place of a project; None for a project of no campaign."""
    if project_id is None:
        return None
    project = CampaignProject.objects.filter(project_id=project_id).first()
    return _place(project) if project else None


def _place(project: CampaignProject) -> CampaignPlace:
    return CampaignPlace(project.project_id, project.campaign_id, Stage(project.stage))
