"""Accounts and roles from the team file, and campaigns from their policy."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from core.label_config import validate_label_config
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone
from organizations.models import Organization, OrganizationMember
from projects.models import Project
from rest_framework.authtoken.models import Token
from tasks.models import Annotation, Task
from users.models import User

from label_studio_quorum.campaign.projects import interface_of
from ls_config.review_screen import compose_review
from ls_plugin.models import Campaign, CampaignProject, Member, Slot, Stage
from ls_plugin.people import rulebook
from ls_plugin.people.standings import words
from ls_plugin.store import audit_log, exposures, triggers
from ls_plugin.store.refusals import Refused
from ls_plugin.store.slots import lock_in_order
from review_rules import Policy, Role, Team
from review_rules.files.checks import load_checks
from review_rules.files.policy import Order

PASSWORD_BYTES = 12


@dataclass
class Applied:
    """What applying a team file did.

    Attributes:
        created: person id → one-time password of the account that was made; given out here and nowhere else.
        linked: people whose account was there.
        readdressed: people whose account got the new address of the team file: person id, old address, new address.
        address_kept: people who go on signing in with the address that their account has, and that address: the
            account is the owner's, or another campaign's team has it under that address.
        deactivated: people who may not sign in any more.
        without_account: people without an address, who cannot have an account.
    """

    created: list[tuple[str, str, str]] = field(default_factory=list)
    linked: list[str] = field(default_factory=list)
    readdressed: list[tuple[str, str, str]] = field(default_factory=list)
    address_kept: list[tuple[str, str]] = field(default_factory=list)
    deactivated: list[str] = field(default_factory=list)
    without_account: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The answer of ``POST /quorum/api/team``."""
        return {
            "created": [{"id": pid, "email": email, "password": password} for pid, email, password in self.created],
            "linked": self.linked,
            "readdressed": [{"id": pid, "from": old, "to": new} for pid, old, new in self.readdressed],
            "address_kept": [{"id": pid, "email": email} for pid, email in self.address_kept],
            "deactivated": self.deactivated,
            "without_account": self.without_account,
        }


def save_campaign(
    name: str,
    task: str,
    policy_text: str,
    team_text: str,
    projects: Mapping[Stage, int],
    interface: str | None = None,
) -> Campaign:
    """Write a campaign down, or change its policy; every task of its projects gets its slot.

    Args:
        name: its name.
        task: the label type's name.
        policy_text: the policy file.
        team_text: the team file.
        projects: its projects.
        interface: what people fill in, as XML; None where the projects have it already.

    Raises:
        InterfaceError: the interface has faults.
        FaultsError: the policy or the team file has faults.
        Refused: a project belongs to another campaign.
    """
    policy, team = rulebook.read_policy(policy_text), rulebook.read_team(team_text)
    taken = CampaignProject.objects.filter(project_id__in=projects.values()).exclude(campaign__name=name)
    if taken.exists():
        raise Refused("project_mismatch", "A project of these belongs to another campaign.")
    _keep_projects(name, projects)
    with transaction.atomic():
        campaign: Campaign
        campaign, _ = Campaign.objects.update_or_create(
            name=name,
            defaults={"task": task, "policy_text": policy_text, "policy_hash": policy.hash, "team_text": team_text},
        )
        before = set(CampaignProject.objects.filter(campaign=campaign).values_list("seed", flat=True))
        seed = _seed(policy, before)
        CampaignProject.objects.filter(campaign=campaign).exclude(project_id__in=projects.values()).delete()
        for stage, project in projects.items():
            CampaignProject.objects.update_or_create(
                project_id=project,
                defaults={
                    "campaign": campaign,
                    "stage": stage,
                    "capacity": policy.passes if stage is Stage.PASS else 1,
                    "expert_domains": _stored(policy.expert_domains),
                    "seed": seed,
                },
            )
        if interface is not None:
            _set_interface(interface, policy, projects)
        _fill_slots(policy, projects)
        if before != {seed}:
            _draw_again(projects)
        _members(campaign, team)
        audit_log.write(
            audit_log.Entry(
                "campaign", campaign_id=campaign.pk, body={"name": name, "policy": policy.hash, "seed": seed}
            )
        )
    return campaign


def _seed(policy: Policy, before: Iterable[str]) -> str:
    """What the order of rows is drawn from: what it was drawn from before, else something new; empty if it is not."""
    if policy.order is Order.IMPORTED:
        return ""
    return next(filter(None, before), None) or secrets.token_hex(16)


def _draw_again(projects: Mapping[Stage, int]) -> None:
    """Give rows that are there the places that follow from another seed."""
    with connection.cursor() as cursor:
        for project in projects.values():
            cursor.execute(triggers.draw_again_sql(), [project])


def _keep_projects(name: str, projects: Mapping[Stage, int]) -> None:
    """Refuse to take a project out of its campaign: it would be open to all that the campaign's rules forbid.

    Raises:
        Refused: ``keeps_projects`` if a project would leave or change its stage while it is there.
    """
    before = CampaignProject.objects.filter(campaign__name=name)
    moved = [home.project_id for home in before if projects[Stage(home.stage)] != home.project_id]
    if Project.objects.filter(pk__in=moved).exists():
        raise Refused("keeps_projects")


def _set_interface(xml: str, policy: Policy, projects: Mapping[Stage, int]) -> None:
    """Give the three projects the screens of an interface, with which of their answers are read from then on."""
    load_checks(interface_of(xml, ""))
    for stage, project in projects.items():
        screen = xml if stage is Stage.PASS else compose_review(xml, stage.label, policy.returnable)
        stored = Project.objects.get(pk=project)
        if stored.label_config != screen:
            validate_label_config(screen)
            stored.label_config = screen
            stored.save()


def _fill_slots(policy: Policy, projects: Mapping[Stage, int]) -> None:
    """Make slots for tasks that were there before, marked, so that the next reconcile reads their answers."""
    lock_in_order(Slot.objects.filter(project_id__in=list(projects.values())))
    with connection.cursor() as cursor:
        for project in projects.values():
            cursor.execute(triggers.existing_tasks_sql(connection.vendor), [project])
    submissions = "SELECT task_id FROM task_completion WHERE project_id IN (%s, %s, %s) AND NOT was_cancelled"
    with connection.cursor() as cursor:
        ids = list(projects.values())
        cursor.execute(submissions, (ids * 3)[:3])
        counts: dict[int, int] = {}
        for (task_id,) in cursor.fetchall():
            counts[task_id] = counts.get(task_id, 0) + 1
    for task_id, count in counts.items():
        Slot.objects.filter(task_id=task_id).update(taken=count, dirty=True)
    mark_answered(projects.values())
    first = Slot.objects.filter(project_id=projects[Stage.PASS])
    untouched = first.filter(taken=0)
    untouched.update(capacity=policy.passes)
    # Past Label Studio's own way of saving, which would spread the new number over answered tasks too: the reconcile
    # of each row sets theirs.
    Project.objects.filter(pk=projects[Stage.PASS]).update(maximum_annotations=policy.passes)
    rows = Task.objects.filter(pk__in=untouched.values("task_id"))
    rows.exclude(overlap=policy.passes, is_labeled=False).update(overlap=policy.passes, is_labeled=False)
    first.filter(domain__in=policy.expert_domains).update(wants_expert=True)
    first.exclude(domain__in=policy.expert_domains).update(wants_expert=False)


def mark_answered(projects: Iterable[int]) -> None:
    """Mark every row that has a submission: a new policy or team may decide it otherwise."""
    answered = Slot.objects.filter(project_id__in=list(projects)).filter(Q(taken__gt=0) | Q(stage__gt=0))
    lock_in_order(answered)
    answered.update(dirty=True)


def apply_team(campaign: Campaign, team_text: str, *, dry_run: bool = False) -> Applied:
    """Make the accounts and roles on this server those of the team file.

    People who lack an account get one with a one-time password; people who left, or are gone from the file and are in
    no other campaign's team, can sign in no more. The owner of the server is never touched.

    Raises:
        FaultsError: the file has faults.
        Refused: ``last_manager`` if nobody could manage the campaign afterwards.
    """
    team = rulebook.read_team(team_text)
    applied = Applied()
    # In one transaction: accounts that were made without the roles that they are for would stay.
    with transaction.atomic():
        before = {member.person_id: member for member in Member.objects.filter(campaign=campaign)}
        _accounts(campaign, team, applied)
        Campaign.objects.filter(pk=campaign.pk).update(team_text=team_text)
        campaign.team_text = team_text
        _members(campaign, team)
        _retire(campaign, before, applied)
        mark_answered(campaign.projects.values_list("project_id", flat=True))
        # Looked at when all is stored, so that the whole of it goes back.
        if not managers_without(None):
            raise Refused("last_manager")
        digest = sha256(team_text.encode()).hexdigest()
        audit_log.write(
            audit_log.Entry("team", campaign_id=campaign.pk, body={"people": sorted(team.people), "hash": digest})
        )
        if dry_run:
            applied.created = [(pid, email, "") for pid, email, _ in applied.created]
            transaction.set_rollback(True)
    return applied


def _accounts(campaign: Campaign, team: Team, applied: Applied) -> None:
    """Make or link the account of everybody who is there and has an address."""
    organization = Organization.objects.order_by("pk").first()
    accounts = links(campaign, team)
    _readdress(campaign, team, accounts, applied)
    for pid, person in sorted(team.people.items()):
        if not person.email:
            applied.without_account.append(str(pid))
            continue
        if _left(person.left):
            continue  # somebody who is gone gets no account, and keeps none: see `_retire`
        user = User.objects.filter(pk=accounts.get(str(pid))).first()
        if user is None:
            _require_free(str(pid), person.email)
            # Nobody but the caller learns this password: it is stored as its hash alone.
            password = secrets.token_urlsafe(PASSWORD_BYTES)
            user = User.objects.create_user(email=address(person.email), password=password)
            user.username = person.email.split("@")[0]
            applied.created.append((str(pid), user.email, password))
        else:
            applied.linked.append(str(pid))
        user.is_active = True
        user.active_organization = organization
        user.save()
        if organization is not None:
            organization.add_user(user)
            OrganizationMember.objects.filter(user=user, organization=organization).update(deleted_at=None)


def links(campaign: Campaign, team: Team) -> dict[str, int]:
    """The account of each person of a team: the one that they had, whatever their address; else their address's.

    The id is the person. An account that was linked is left only if no work is behind it and their address has
    another one that is nobody else's.

    Raises:
        Refused: ``address_taken`` if the new address of somebody with work is that of another account.
    """
    addressed = _by_address(team)
    before = _linked_before(campaign)
    kept = {pid: before[pid] for pid in map(str, team.people) if pid in before}
    accounts = dict(kept)
    for pid, person in team.people.items():
        theirs = [addressed[email] for email in person.addresses if email in addressed]
        own, other = kept.get(str(pid)), next(iter(theirs), None)
        if other is None or other == own:
            continue
        # The account of somebody who stays: it will have another address, or they take each other's.
        if other in kept.values():
            continue
        if own is None or not has_work([own]):
            accounts[str(pid)] = other
        else:
            raise Refused(
                "address_taken",
                f"{pid}: {person.email} is the address of another account, and {pid}'s own account has answers; "
                "give another address, or change or delete that account first.",
            )
    return accounts


def _require_free(pid: str, email: str) -> None:
    """Refuse to make an account under an address that another one keeps.

    Raises:
        Refused: ``address_taken``.
    """
    if User.objects.filter(email=address(email)).exists():
        raise Refused("address_taken", f"{pid}: {email} is still the address of another account; give another address.")


def _linked_before(campaign: Campaign) -> dict[str, int]:
    """The account that each person of a campaign has, of those accounts that are still there."""
    members = Member.objects.filter(campaign=campaign, user_id__isnull=False)
    linked = {pid: user for pid, user in members.values_list("person_id", "user_id") if user is not None}
    there = set(User.objects.filter(pk__in=linked.values()).values_list("pk", flat=True))
    return {pid: user for pid, user in linked.items() if user in there}


def has_work(users: Iterable[int]) -> bool:
    """Whether an answer to a campaign's row, at any stage, stands behind one of these accounts; a skip is none."""
    tasks = Slot.objects.values("task_id")
    answers = Annotation.objects.filter(completed_by_id__in=list(users), was_cancelled=False, task_id__in=tasks)
    return bool(answers.exists())


def _readdress(campaign: Campaign, team: Team, accounts: Mapping[str, int], applied: Applied) -> None:
    """Give accounts that stay with their person the address that the team file has now."""
    wanted = {accounts[pid]: pid for pid in map(str, team.people) if pid in accounts}
    changes: dict[int, str] = {}
    for pk, email in User.objects.filter(pk__in=list(wanted)).values_list("pk", "email"):
        new = next(address(each.email) for pid, each in team.people.items() if str(pid) == wanted[pk])
        if not new or new == address(email):
            continue
        if _is_address_fixed(campaign, pk, new):
            applied.address_kept.append((wanted[pk], email))
        else:
            changes[pk] = new
            applied.readdressed.append((wanted[pk], email, new))
    # Two people may take each other's address, and no two accounts may ever have the same.
    for pk in changes:
        User.objects.filter(pk=pk).update(email=f"quorum-{pk}-{secrets.token_hex(8)}@changing.invalid")
    for pk, new in changes.items():
        User.objects.filter(pk=pk).update(email=new)


def _is_address_fixed(campaign: Campaign, user_id: int, new: str) -> bool:
    """Whether a team file may not change this account's address: the owner's, and those of other teams."""
    owners = Organization.objects.values_list("created_by_id", flat=True)
    if User.objects.filter(pk=user_id).filter(Q(is_superuser=True) | Q(pk__in=list(owners))).exists():
        return True
    elsewhere = Member.objects.filter(user_id=user_id).exclude(campaign=campaign).values_list("email", flat=True)
    return any(address(email) != new for email in elsewhere)


def address(email: str) -> str:
    """An address as accounts are told apart by it: in lower case, as Label Studio's sign-up form stores it.

    Not case-folded: that makes one of addresses that are two, so that whoever signs up with the long s of old print
    would be taken for somebody else.

    >>> address("Boss@Quorum.test"), address("bo\u017fs@quorum.test") == "boss@quorum.test"
    ('boss@quorum.test', False)
    """
    return email.lower()


def _by_address(team: Team) -> dict[str, int]:
    """The account of each address of a team; of two that differ by case, the older one."""
    wanted = {email for person in team.people.values() for email in person.addresses}
    accounts = ((address(email), pk) for pk, email in User.objects.order_by("-pk").values_list("id", "email"))
    return {email: pk for email, pk in accounts if email in wanted}


def _left(left: int | None) -> bool:
    return left is not None and left <= int(timezone.now().timestamp() * 1e9)


def _members(campaign: Campaign, team: Team) -> None:
    """Store the team as rows, which every request looks up."""
    accounts = links(campaign, team)
    before = set(Member.objects.filter(campaign=campaign))
    Member.objects.filter(campaign=campaign).delete()
    Member.objects.bulk_create(
        [
            Member(
                campaign=campaign,
                person_id=str(pid),
                user_id=accounts.get(str(pid)),
                email=person.email,
                roles=_stored(sorted(role.value for role in person.roles)),
                expertise=_stored(sorted(person.expertise)),
                left=datetime.fromtimestamp(person.left / 1e9, UTC) if person.left is not None else None,
            )
            for pid, person in team.people.items()
        ]
    )
    for user_id in _was_manager_only(campaign, before):
        exposures.expose(user_id, campaign.pk, kind="could_see")


def _was_manager_only(campaign: Campaign, before: Iterable[Member]) -> list[int]:
    """Accounts that managed this campaign without working in it, or the whole server, and now do otherwise.

    The audit log does not say what managers look at, so they count as having seen all rows answered so far.
    """
    now = {member.user_id: member for member in Member.objects.filter(campaign=campaign, user_id__isnull=False)}
    only = {member.user_id for member in before if member.user_id and _only_manages(member)}
    creators = list(Organization.objects.values_list("created_by_id", flat=True))
    owners = User.objects.filter(Q(is_superuser=True) | Q(pk__in=creators)).filter(pk__in=list(now))
    worked = {member.user_id for member in before if not _only_manages(member)}
    only |= set(owners.values_list("pk", flat=True)) - worked
    return sorted(user for user in only if user not in now or not _only_manages(now[user]))


def _only_manages(member: Member) -> bool:
    return set(words(member.roles)) == {Role.MANAGER.value}


def _stored(parts: Iterable[str]) -> str:
    return "," + "".join(f"{part}," for part in parts)


def _retire(campaign: Campaign, before: Mapping[str, Member], applied: Applied) -> None:
    """Close the accounts of people who were in the team and are in none any more."""
    now = timezone.now()
    everywhere = Member.objects.filter(user_id__isnull=False)
    there = set(everywhere.filter(Q(left__isnull=True) | Q(left__gt=now)).values_list("user_id", flat=True))
    was = {member.user_id: pid for pid, member in before.items() if member.user_id}
    left = everywhere.filter(campaign=campaign, left__lte=now)
    was |= {member.user_id: member.person_id for member in left if member.user_id}
    owners = set(Organization.objects.values_list("created_by_id", flat=True))
    for user in User.objects.filter(pk__in=set(was) - there, is_superuser=False, is_active=True).exclude(pk__in=owners):
        user.is_active = False
        user.save(update_fields=["is_active"])
        # Should the account be opened again, what knew its token must not come in with it.
        Token.objects.filter(user=user).delete()
        applied.deactivated.append(str(was[user.pk]))


def manages(campaign: Campaign, user_id: int) -> bool:
    """Whether the team of a campaign has this account as a manager."""
    roles = Member.objects.filter(campaign=campaign, user_id=user_id).values_list("roles", flat=True)
    return any(f",{Role.MANAGER.value}," in stored for stored in roles)


def managers_without(user_id: int | None) -> bool:
    """Whether somebody who can sign in would still manage this server if this account were gone."""
    now = timezone.now()
    managing = Member.objects.filter(roles__contains=f",{Role.MANAGER.value},", user_id__isnull=False).filter(
        Q(left__isnull=True) | Q(left__gt=now)
    )
    owners = Organization.objects.values_list("created_by_id", flat=True)
    people = User.objects.filter(is_active=True).filter(
        Q(is_superuser=True) | Q(pk__in=list(owners)) | Q(pk__in=list(managing.values_list("user_id", flat=True)))
    )
    return bool(people.exclude(pk=user_id).exists())
