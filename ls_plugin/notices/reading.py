"""What is new for somebody, as their pages and the API have it, and what they read and chose."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from django.utils import timezone

from label_studio_quorum.campaign.history import stamp
from ls_plugin.models import Campaign, Member, Notice, NoticeChoice, NoticeReader
from ls_plugin.notices import gathering
from ls_plugin.notices.delivery import DeliveryError, DeliverySettings, read_delivery
from ls_plugin.notices.wording import word
from ls_plugin.people.standings import can_work_at_all, to_person

NOTICES_AT_ONCE: Final = 100
"""Notices that one answer lists at most; how many more there are is said with them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NoticeLine:
    """A notice for its reader."""

    id: int
    kind: str
    campaign: str
    sentence: str
    path: str
    at: str
    is_read: bool

    @property
    def when(self) -> str:
        """The time as a page has it: UTC, to the minute."""
        return self.at[: len("2026-01-05T10:00")].replace("T", " ")


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnNotices:
    """What is new for somebody.

    Attributes:
        lines: the notices, the newest first.
        unread: how many are not read, listed or not.
        left_off: how many older ones are not listed.
        by_mail: whether the person gets mails, where mails are sent.
        mails: whether this server sends mails.
    """

    lines: tuple[NoticeLine, ...]
    unread: int
    left_off: int
    by_mail: bool
    mails: bool

    def to_json(self) -> dict[str, Any]:
        """The notices as the API gives them."""
        return {
            "notices": [asdict(line) for line in self.lines],
            "unread": self.unread,
            "left_off": self.left_off,
            "by_mail": self.by_mail,
            "mails": self.mails,
        }


def gather_for(user_id: int, campaign: Campaign | None = None) -> None:
    """Make notices of what is new before a page is shown: of the log and of the reader's own queues.

    Args:
        user_id: who reads.
        campaign: a campaign whose manager reads, for its blocked rows and its end.
    """
    delivery = current_delivery()
    gathering.gather_log(delivery)
    if campaign is None:
        # Who is on the page reads it there: a mail would come behind.
        gathering.gather_queues(timezone.now(), DeliverySettings(), user_id=user_id)
    else:
        gathering.gather_states(campaign, timezone.now(), delivery)


def current_delivery() -> DeliverySettings:
    """How notices leave the server now; not at all where a variable says no sense."""
    try:
        return read_delivery(os.environ)
    except DeliveryError:
        return DeliverySettings()  # each round logs it; a page is not the place


def notices_of(
    user_id: int, campaigns: Collection[Campaign], *, only_unread: bool = False, limit: int = NOTICES_AT_ONCE
) -> OwnNotices:
    """What is new for somebody in campaigns that they have to do with."""
    names = {campaign.pk: campaign.name for campaign in campaigns}
    mine = NoticeReader.objects.filter(user_id=user_id, notice__campaign_id__in=list(names))
    unread = mine.filter(read_at__isnull=True)
    wanted = unread if only_unread else mine
    members = Member.objects.filter(user_id=user_id, campaign_id__in=list(names))
    working = {member.campaign_id for member in members if can_work_at_all(to_person(member))}
    listed = list(wanted.select_related("notice").order_by("-pk")[:limit])
    return OwnNotices(
        lines=tuple(_line(reader, names[reader.notice.campaign_id], working) for reader in listed),
        unread=unread.count(),
        left_off=wanted.count() - len(listed),
        by_mail=not NoticeChoice.objects.filter(user_id=user_id, by_mail=False).exists(),
        mails=current_delivery().mail is not None,
    )


def _line(reader: NoticeReader, campaign: str, working: Collection[int]) -> NoticeLine:
    notice: Notice = reader.notice
    wording = word(notice, works_here=notice.campaign_id in working)
    return NoticeLine(
        id=reader.pk,
        kind=notice.kind,
        campaign=campaign,
        sentence=wording.sentence,
        path=wording.path,
        at=stamp(notice.at),
        is_read=reader.read_at is not None,
    )


def mark_read(user_id: int, ids: Collection[int], now: datetime) -> int:
    """Note that somebody has read these of their notices, and say how many were new."""
    unread = NoticeReader.objects.filter(user_id=user_id, pk__in=list(ids), read_at__isnull=True)
    return unread.update(read_at=now, by_mail=False)


def choose_mails(user_id: int, *, by_mail: bool) -> None:
    """Note whether somebody wants mails."""
    NoticeChoice.objects.update_or_create(user_id=user_id, defaults={"by_mail": by_mail})
