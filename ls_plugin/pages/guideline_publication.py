"""A publication of guidelines, said before it is done: what changes, what that touches, who is stopped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ls_config.paragraphs import guidelines_hash
from ls_plugin.models import Campaign, GuidelineVersion, Member
from ls_plugin.pages.guideline_changes import Reach, Recheck, reach_of, recheck
from ls_plugin.pages.told_rows import expose_rows
from ls_plugin.people.standings import Standing, words
from ls_plugin.queue import publishing
from ls_plugin.store import guidelines
from ls_plugin.store.refusals import Refused
from review_rules import Role


@dataclass(frozen=True, kw_only=True, slots=True)
class Publication:
    """What somebody wants to publish.

    Attributes:
        text: the guidelines, Markdown.
        note: what changed, for people.
        acknowledge: whether people acknowledge it before their next row.
        recheck: how many of the rows that it touches are opened again.
        base: the number of the version that the text was made from; None: whichever holds.
    """

    text: str
    note: str = ""
    acknowledge: bool = False
    recheck: int = 0
    base: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Preview:
    """What a publication would do.

    Attributes:
        number: the number that the version would have.
        base: the number of the version that holds now; 0 for none.
        reach: what it changes and touches.
        sample: the rows that would be opened again.
        people: how many people would have to acknowledge it.
    """

    number: int
    base: int
    reach: Reach
    sample: tuple[str, ...]
    people: int

    def to_json(self) -> dict[str, Any]:
        """The preview as the API gives it."""
        facts = {"number": self.number, "base": self.base, "sample": list(self.sample), "people": self.people}
        return {"dry_run": True, **facts, **self.reach.to_json()}


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """What a publication did."""

    version: GuidelineVersion
    reach: Reach
    rechecked: Recheck
    people: int

    def to_json(self) -> dict[str, Any]:
        """The outcome as the API gives it."""
        return {
            "dry_run": False,
            "version": guidelines.named(self.version),
            "opened": list(self.rechecked.opened),
            "not_opened": dict(self.rechecked.refused),
            "people": self.people,
            **self.reach.to_json(),
        }


def look_ahead(campaign: Campaign, standing: Standing, wanted: Publication) -> Preview:
    """Say what a publication would do, and do nothing.

    Raises:
        Refused: ``guidelines_same`` if it would change nothing, ``bad_request`` for what cannot be kept.
    """
    text, last = publishing.clean_text(wanted.text), guidelines.newest(campaign.pk)
    base = 0 if last is None else last.number
    if last is not None and last.hash == guidelines_hash(text):
        raise Refused("guidelines_same", publishing.same_sentence(last))
    reach = reach_of(campaign, "" if last is None else last.text, text)
    sample = tuple(row.row_id for row in reach.rows[: wanted.recheck])
    _expose(campaign, standing, sample)
    people = _workers(campaign) if wanted.acknowledge or publishing.is_always_acknowledged(campaign) else 0
    return Preview(number=base + 1, base=base, reach=reach, sample=sample, people=people)


def carry_out(campaign: Campaign, standing: Standing, wanted: Publication) -> Published:
    """Publish, and open the announced sample again.

    Raises:
        Refused: as :func:`publishing.publish` does.
    """
    last = guidelines.newest(campaign.pk)
    version = publishing.publish(
        campaign,
        wanted.text,
        note=wanted.note,
        user_id=standing.user_id,
        acknowledge=wanted.acknowledge,
        base=wanted.base if wanted.base is not None else (0 if last is None else last.number),
    )
    reach = reach_of(campaign, "" if last is None else last.text, version.text)
    rechecked = recheck(campaign, reach, wanted.recheck, version.number, standing.user_id)
    _expose(campaign, standing, (*rechecked.opened, *rechecked.refused))
    people = _workers(campaign) if wanted.acknowledge or publishing.is_always_acknowledged(campaign) else 0
    return Published(version=version, reach=reach, rechecked=rechecked, people=people)


def _expose(campaign: Campaign, standing: Standing, row_ids: tuple[str, ...]) -> None:
    """Why a row is touched tells what was answered: a manager who also works here leaves it to others."""
    if standing.works_in_campaign(campaign.pk):
        expose_rows(campaign, standing.user_id, row_ids)


def _workers(campaign: Campaign) -> int:
    """How many people with an account work in a campaign."""
    members = Member.objects.filter(campaign=campaign, user_id__isnull=False, left__isnull=True)
    return sum(bool(set(words(stored)) - {Role.MANAGER.value}) for stored in members.values_list("roles", flat=True))
