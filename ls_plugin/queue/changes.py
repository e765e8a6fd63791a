"""What a change of policy, team or interface would do to a campaign of this server, page by page.

Only rows with an answer or in somebody's hand are looked at: a row that nobody touched waits for its passes before and
after. A page is as much as one request should take, so that whoever asks can say how far the reckoning has come.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from projects.models import Project
from tasks.models import Annotation

from label_studio_quorum.campaign.change_plan import ChangeCost, Seat, changes_in_words, plan_change
from label_studio_quorum.campaign.projects import Campaign as RuleCampaign
from label_studio_quorum.campaign.projects import interface_of
from label_studio_quorum.campaign.snapshot import Snapshot
from ls_config.interface import Control, Interface, is_readable
from ls_plugin.models import Campaign, CampaignProject, Grant, Slot, Stage
from ls_plugin.people import rulebook, team
from ls_plugin.people.standings import RULE_STAGE
from ls_plugin.queue.campaigns import read_campaign
from ls_plugin.queue.server_port import ServerPort
from ls_plugin.store.refusals import Refused
from ls_plugin.store.slots import slots_of
from review_rules import Instant, PersonId, State

PAGE = 500
"""Rows of one page."""
_DECIDED = (State.FINAL.value, State.DISCARDED.value)


def asked_by(interface: Interface) -> tuple[tuple[Control, ...], str]:
    """What an interface asks for, and its checks: where a control stands, and its colours, are a matter of looks."""
    return tuple(replace(control, line=0, colors=()) for control in interface.all_controls), interface.checks.strip()


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What a campaign shall go by; None for what stays."""

    policy: str | None = None
    team: str | None = None
    interface: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A campaign as it is and as it would be."""

    before: RuleCampaign
    after: RuleCampaign

    @classmethod
    def read(cls, campaign: Campaign, wanted: Wanted) -> Change:
        """The change that these files would make.

        Raises:
            FaultsError, InterfaceError: One of them has faults.
            Refused: ``address_taken`` if it cannot be known whose an account would be.
        """
        before = read_campaign(campaign.pk)
        people = before.team if wanted.team is None else rulebook.read_team(wanted.team)
        links = {user: pid for pid, user in team.links(campaign, people).items()}
        after = replace(
            before,
            policy=before.policy if wanted.policy is None else rulebook.read_policy(wanted.policy),
            team=people,
            links=links,
            interface=before.interface
            if wanted.interface is None
            else interface_of(wanted.interface, before.interface.name),
        )
        return cls(before=before, after=after)

    @property
    def words(self) -> list[str]:
        """What changes, a line each."""
        return changes_in_words(self.before, self.after)

    @property
    def changes_decisions(self) -> bool:
        """Whether any row could be decided otherwise, or violate a check that it did not have."""
        before, after = self.before, self.after
        return (
            before.policy.hash != after.policy.hash
            or before.team.hash != after.team.hash
            or before.links != after.links
            or asked_by(before.interface) != asked_by(after.interface)
        )

    def cost(self, campaign_id: int) -> ChangeCost:
        """What the change does to the whole campaign."""
        total, cursor = ChangeCost(), 0 if self.changes_decisions else None
        while cursor is not None:
            cost, cursor = self.page(campaign_id, cursor)
            total.add(cost)
        return total

    def page(self, campaign_id: int, after: int, limit: int = PAGE) -> tuple[ChangeCost, int | None]:
        """What the change does to some rows, and the Pass task after which to go on; None after the last."""
        affected = self._affected(campaign_id)
        rows = list(affected.filter(task_id__gt=after).order_by("task_id")[:limit])
        row_ids = [row.row_id for row in rows]
        slots = list(slots_of(campaign_id, row_ids))
        snapshot = Snapshot.read(ServerPort(slots), self.before, row_ids)
        seats = list(_seats(slots, self.before))
        now = Instant(int(timezone.now().timestamp() * 1e9))
        cost = plan_change(self.before, self.after, snapshot, dict.fromkeys(row_ids), seats, now)
        if not after:
            _add_unaffected(cost, touched(campaign_id).exclude(pk__in=affected.values("pk")))
        return cost, rows[-1].task_id if len(rows) == limit else None

    def _affected(self, campaign_id: int) -> QuerySet[Slot]:
        """The touched rows that could be decided otherwise."""
        rows = touched(campaign_id)
        before, after = self.before, self.after
        if before.policy.hash != after.policy.hash or asked_by(before.interface) != asked_by(after.interface):
            return rows
        # What is decided rests on those who answered; the rest of a team matters only to who is asked next.
        projects = CampaignProject.objects.filter(campaign_id=campaign_id).values("project_id")
        answered = Annotation.objects.filter(project_id__in=projects, completed_by_id__in=self._changed_accounts())
        theirs = Slot.objects.filter(project_id__in=projects, task_id__in=answered.values("task_id"))
        return rows.filter(~Q(state__in=_DECIDED) | Q(dirty=True) | Q(row_id__in=theirs.values("row_id")))

    def _changed_accounts(self) -> list[int]:
        """The accounts whose answers may count otherwise: of another person, or of one who may do other things."""
        old, new = self.before.links or {}, self.after.links or {}
        return [user for user in {*old, *new} if old.get(user) != new.get(user) or _is_changed(old[user], self)]


def _is_changed(pid: str, change: Change) -> bool:
    old, new = (rules.team.people.get(PersonId(pid)) for rules in (change.before, change.after))
    return old is None or new is None or old.to_json() != new.to_json()


def _add_unaffected(cost: ChangeCost, rows: QuerySet[Slot]) -> None:
    """Count the decided rows that stay as they are."""
    for state, count in rows.values_list("state").annotate(count=Count("pk")):
        cost.before[state] += count
        cost.after[state] += count
        cost.rows += count


def touched(campaign_id: int) -> QuerySet[Slot]:
    """The Pass slots of rows with an answer or in somebody's hand."""
    projects = CampaignProject.objects.filter(campaign_id=campaign_id)
    in_hand = Grant.objects.filter(task_id=OuterRef("task_id"), live=True)
    first = Slot.objects.filter(project_id__in=projects.filter(stage=Stage.PASS).values("project_id"))
    return first.filter(Q(taken__gt=0) | Exists(in_hand) | ~Q(state__in=("", State.AWAITING_PASSES.value)))


def _seats(slots: list[Slot], campaign: RuleCampaign) -> Iterator[Seat]:
    """The tasks of these slots that people have in hand."""
    of_task = {slot.task_id: slot for slot in slots}
    hand_outs = Grant.objects.filter(task_id__in=list(of_task), live=True, expires_at__gt=timezone.now())
    for hand_out in hand_outs:
        slot = of_task[hand_out.task_id]
        person = (campaign.links or {}).get(hand_out.user_id)
        yield Seat(row_id=slot.row_id, stage=RULE_STAGE[Stage(slot.stage)], person=person)


def can_be_reckoned(campaign: Campaign) -> bool:
    """Whether rows can be decided as things are: not under an interface that nobody can read, which set-up mends."""
    project = CampaignProject.objects.get(campaign=campaign, stage=Stage.PASS).project_id
    xml = Project.objects.filter(pk=project).values_list("label_config", flat=True).first()
    return xml is not None and is_readable(xml)


def require_affordable(campaign: Campaign, wanted: Wanted, *, confirmed: bool, of_all_rows: bool) -> None:
    """Refuse a change that would lose stored answers, and one that costs decided rows unless somebody said yes to it.

    Args:
        campaign: the campaign.
        wanted: what it shall go by.
        confirmed: whether somebody said yes.
        of_all_rows: whether the refusal tells of open rows too: see `ChangeCost.of_decided_rows`.

    Raises:
        Refused: ``loses_answers`` or ``costs_gold``, each with what the change does.
    """
    if not can_be_reckoned(campaign):
        return
    change = Change.read(campaign, wanted)
    if confirmed and asked_by(change.before.interface) == asked_by(change.after.interface):
        return  # whoever said yes has been told
    cost = change.cost(campaign.pk)
    if not of_all_rows:
        cost = cost.of_decided_rows()
    more = {"changes": change.words, "cost": cost.to_json()}
    if cost.unfit:
        raise Refused("loses_answers", "; ".join(cost.refusals()), more)
    if cost.falls and not confirmed:
        raise Refused("costs_gold", "; ".join([*change.words, *cost.sentences()]) + "; send `yes` to do it.", more)
