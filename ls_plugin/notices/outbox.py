"""The outbox: parcels that leave the server, each claimed by one process at a time.

A parcel is stored with its key before it is sent, and marked after. Whoever sends it holds a lease; the number of
attempts tells holders apart, so that one whose lease ran out marks nothing any more. A process that dies after sending
and before marking leaves a parcel that is sent once more when its lease is over, under the same key: nobody can send to
another machine and note it here in one step. Before sending, a death costs only the wait.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import F, Q

from label_studio_quorum.campaign.history import stamp
from ls_plugin.models import Campaign, Member, Notice, NoticeChoice, NoticeCursor, NoticeReader, Parcel
from ls_plugin.notices.delivery import DeliverySettings
from ls_plugin.store import retries

LEASE: Final = timedelta(minutes=10)
"""How long a parcel stays with whoever claimed it: longer than an attempt can last, whose every wait is bounded."""
MOST_ATTEMPTS: Final = 10
_LONGEST_WAIT: Final = timedelta(hours=6)
_LONGEST_WHY: Final = 300
MAIL: Final = "mail"
WAITING, SENT, FAILED, DROPPED = "waiting", "sent", "failed", "dropped"


@retries.retry
def pack_mails(delivery: DeliverySettings, now: datetime) -> int:
    """Put notices that wait for a mail into mails, one a person and campaign, and say how many mails came of it.

    A notice waits until the oldest of its mail is as old as the digest, and for the end of quiet hours; what is read
    on the page meanwhile needs no mail.
    """
    if delivery.mail is None or delivery.is_quiet(now):
        return 0
    unsent = NoticeReader.objects.filter(by_mail=True, read_at__isnull=True)
    if not unsent.exists():
        return 0
    with transaction.atomic():
        _lock()
        opted_out = NoticeChoice.objects.filter(by_mail=False).values("user_id")
        unsent.filter(user_id__in=opted_out).update(by_mail=False)
        groups = defaultdict[tuple[int, int], list[NoticeReader]](list)
        for reader in unsent.select_related("notice").order_by("pk"):
            groups[reader.user_id, reader.notice.campaign_id].append(reader)
        due = {
            group: readers
            for group, readers in groups.items()
            if min(reader.notice.at for reader in readers) + delivery.digest <= now
        }
        for (user_id, campaign_id), readers in due.items():
            _pack(user_id, campaign_id, readers, now)
    return len(due)


@retries.retry
def pack_at_once(notice: Notice, now: datetime) -> None:
    """Put a notice into a mail of its own for each reader, whatever the digest and the hour."""
    with transaction.atomic():
        _lock()
        for reader in NoticeReader.objects.filter(notice=notice, parcel__isnull=True):
            _pack(reader.user_id, notice.campaign_id, [reader], now)


def _lock() -> None:
    """One process packs at a time."""
    NoticeCursor.objects.select_for_update().get_or_create(id=1)


def _pack(user_id: int, campaign_id: int, readers: Iterable[NoticeReader], now: datetime) -> None:
    parcel = Parcel.objects.create(
        key=f"{MAIL}:{uuid.uuid4().hex}",
        channel=MAIL,
        campaign_id=campaign_id,
        user_id=user_id,
        made_at=now,
        not_before=now,
    )
    NoticeReader.objects.filter(pk__in=[reader.pk for reader in readers]).update(parcel=parcel, by_mail=False)


@retries.retry
def claim(
    delivery: DeliverySettings, now: datetime, only: Q | None = None, closed: Collection[str] = ()
) -> Parcel | None:
    """Take the parcel that is due the longest, for as long as its lease; None if there is none.

    Args:
        delivery: how notices leave the server; a parcel of a channel that is switched off stays where it is.
        now: the time.
        only: which parcels; those that are sent by hand leave at any hour.
        closed: channels by which nothing leaves at the moment.
    """
    is_quiet = only is None and delivery.is_quiet(now)
    channels = [name for name in delivery.channels if name not in closed and not (is_quiet and name == MAIL)]
    free = Q(leased_until__isnull=True) | Q(leased_until__lte=now)
    due = Parcel.objects.filter(free, state=WAITING, not_before__lte=now, channel__in=channels)
    for parcel in (due if only is None else due.filter(only)).order_by("not_before", "pk")[:20]:
        # Somebody else may have taken it since: of two only the first finds the number of attempts as it was.
        mine = Parcel.objects.filter(pk=parcel.pk, state=WAITING, attempts=parcel.attempts)
        if mine.update(attempts=F("attempts") + 1, leased_until=now + LEASE):
            parcel.attempts += 1
            return parcel
    return None


@retries.retry
def mark_sent(parcel: Parcel, now: datetime) -> bool:
    """Note that a claimed parcel was sent; False where the lease went to somebody else meanwhile."""
    return bool(_claimed(parcel).update(state=SENT, sent_at=now, leased_until=None, why=""))


@retries.retry
def mark_failed(parcel: Parcel, why: str, now: datetime, *, for_good: bool = False) -> None:
    """Note why an attempt failed: the parcel is tried again later, each time after a longer wait, or given up."""
    is_over = for_good or parcel.attempts >= MOST_ATTEMPTS
    wait = min(timedelta(minutes=2**parcel.attempts), _LONGEST_WAIT)
    _claimed(parcel).update(
        state=FAILED if is_over else WAITING, not_before=now + wait, leased_until=None, why=why[:_LONGEST_WHY]
    )


@retries.retry
def mark_dropped(parcel: Parcel, why: str) -> None:
    """Note that a claimed parcel is not sent at all, and why."""
    _claimed(parcel).update(state=DROPPED, leased_until=None, why=why[:_LONGEST_WHY])


def _claimed(parcel: Parcel) -> Any:
    return Parcel.objects.filter(pk=parcel.pk, state=WAITING, attempts=parcel.attempts)


@dataclass(frozen=True, kw_only=True, slots=True)
class ParcelLine:
    """A parcel for those who look after the server: to whom, of what kinds, and what came of it; no row, no address."""

    id: int
    key: str
    channel: str
    to: str | None
    kinds: tuple[str, ...]
    state: str
    attempts: int
    made_at: str
    sent_at: str | None
    next_at: str | None
    why: str


def list_parcels(campaign: Campaign, *, state: str = "", limit: int = 100) -> tuple[list[ParcelLine], int]:
    """The parcels of a campaign, the newest first, and how many older ones are not listed."""
    parcels = Parcel.objects.filter(campaign_id=campaign.pk)
    wanted = parcels.filter(state=state) if state else parcels
    people = dict(Member.objects.filter(campaign=campaign).values_list("user_id", "person_id"))
    newest = list(wanted.select_related("notice").prefetch_related("readers__notice").order_by("-pk")[:limit])
    return [_line(parcel, people) for parcel in newest], max(0, wanted.count() - len(newest))


def _line(parcel: Parcel, people: dict[int | None, str]) -> ParcelLine:
    notices = [parcel.notice] if parcel.notice else [reader.notice for reader in parcel.readers.all()]
    return ParcelLine(
        id=parcel.pk,
        key=parcel.key,
        channel=parcel.channel,
        to=None if parcel.user_id is None else people.get(parcel.user_id, "owner"),
        kinds=tuple(sorted({notice.kind for notice in notices})),
        state=parcel.state,
        attempts=parcel.attempts,
        made_at=stamp(parcel.made_at),
        sent_at=stamp(parcel.sent_at) if parcel.sent_at else None,
        next_at=stamp(parcel.not_before) if parcel.state == WAITING else None,
        why=parcel.why,
    )
