"""A change to a campaign that is there: what it does, asked of the server's plugin or reckoned from a stock server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Final, Protocol

from label_studio_quorum.campaign.change_plan import ChangeCost, changes_in_words, plan_change
from label_studio_quorum.campaign.projects import Campaign, CampaignError
from label_studio_quorum.campaign.row_store import read_all
from label_studio_quorum.port import Json, LabelStudio
from ls_config.interface import Interface
from review_rules import PersonId, Policy, Team

_CHUNK: Final = 200
Progress = Callable[[int, int | None], None]
"""Told how many rows are done, and of how many where that is known."""


def say_nothing(_done: int, _total: int | None) -> None:
    """The progress of whoever wants none."""


@dataclass(frozen=True, kw_only=True)
class PlannedChange:
    """What changes, and what that does to the rows."""

    changes: tuple[str, ...] = ()
    cost: ChangeCost = field(default_factory=ChangeCost)
    unknown: str = ""
    """What cannot be said, and why; empty where all is said."""
    campaign: str = ""
    """The campaign that it is about, where the caller named none."""

    @property
    def needs_yes(self) -> bool:
        """Whether decided rows would be open again."""
        return self.cost.falls > 0

    def lines(self) -> list[str]:
        """What people are told before it happens; nothing where nothing changes."""
        if not self.changes and not self.unknown:
            return []
        return [*self.changes, *(self.cost.sentences() if self.changes else ()), *filter(None, (self.unknown,))]

    def require_lossless(self) -> None:
        """Stop where answers that people gave would be lost; no yes helps there.

        Raises:
            CampaignError: What would be lost, and how it is kept.
        """
        lost = self.cost.refusals()
        if lost:
            hint = (
                'keep the field or label, or say what it is called now: --rename FIELD:"old label"="new label" '
                "(docs/managing.md)"
            )
            raise CampaignError("nothing was changed: " + "; ".join(lost), hint)

    def to_json(self) -> Json:
        """The change as commands print it."""
        unknown = {"unknown": self.unknown} if self.unknown else {}
        return {"changes": list(self.changes), "needs_yes": self.needs_yes, "cost": self.cost.to_json(), **unknown}


class PlanningServer(LabelStudio, Protocol):
    """A server that may reckon what a change does."""

    def plan_pages(
        self, name: str, *, policy: str | None = None, team: str | None = None, interface: str | None = None
    ) -> Iterator[Json]:
        """What the plugin says that a change does, some rows at a time."""
        ...


def ask_plugin(
    port: PlanningServer,
    name: str,
    *,
    policy: str | None = None,
    team: str | None = None,
    interface: str | None = None,
    progress: Progress = say_nothing,
) -> PlannedChange:
    """What a change does, as the server's plugin reckons it; None for what stays as it is.

    Raises:
        ServerError: A file has faults, or nobody can know whose an account would be.
    """
    changes: tuple[str, ...] = ()
    cost, total = ChangeCost(), None
    for page in port.plan_pages(name, policy=policy, team=team, interface=interface):
        changes = tuple(page["changes"])
        total = page["rows"] or total
        cost.add(ChangeCost.from_json(page["cost"]))
        progress(cost.rows, total)
    return PlannedChange(changes=changes, cost=cost)


def _lost_accounts(before: Campaign, after: Campaign) -> Iterator[str]:
    """What to write for people whose accounts a new address would lose: a stock server knows nobody by their id."""
    for user in before.users:
        person = after.team.people.get(PersonId(before.people[user.id]))
        if person is not None and after.people[user.id] != before.people[user.id]:
            yield f"{person.id} loses the account {user.email}: keep it with former_emails: [{user.email}]"


@dataclass(frozen=True, kw_only=True, slots=True)
class Earlier:
    """What a campaign of a stock server went by until now; None where this machine does not know it."""

    policy: Policy | None
    team: Team | None


def reckon(
    port: LabelStudio,
    campaign: Campaign,
    earlier: Earlier,
    interface: Interface,
    *,
    progress: Progress = say_nothing,
) -> PlannedChange:
    """What a change does to a campaign on a stock server, from all of its tasks.

    Args:
        port: The server.
        campaign: The campaign under the new policy and team, with the interface that the server has now.
        earlier: The policy and team until now.
        interface: The new interface.
        progress: Told how far the reading of rows has come.
    """
    before = replace(campaign, policy=earlier.policy or campaign.policy, team=earlier.team or campaign.team)
    after = replace(campaign, interface=interface)
    missing = [word for word, known in (("policy", earlier.policy), ("team", earlier.team)) if known is None]
    unknown = (
        f"this machine does not know the {' and the '.join(missing)} of until now, so what a change of "
        f"{'it' if len(missing) == 1 else 'them'} costs cannot be said"
        if missing
        else ""
    )
    changes = (*changes_in_words(before, after), *_lost_accounts(before, after))
    # Reading every row of a campaign takes minutes, and setting up twice should not.
    if not changes:
        return PlannedChange(unknown=unknown)
    cost = ChangeCost()
    store, _ = read_all(port, campaign)
    with store:
        rows, total = iter(store.row_ids()), len(store)
        while chunk := list(islice(rows, _CHUNK)):
            cost.add(plan_change(before, after, store, chunk))
            progress(cost.rows, total)
    return PlannedChange(changes=changes, cost=cost, unknown=unknown)
