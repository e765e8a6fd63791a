"""The lock that a command holds on a campaign while it sets it up or imports rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q
from django.utils import timezone

from ls_plugin.models import CampaignLock
from ls_plugin.store.retries import retry

LONGEST: Final = timedelta(minutes=5)
"""The longest time for which a command may be silent and keep its lock."""


@dataclass(frozen=True, slots=True)
class Holding:
    """Who holds a campaign's lock, what they do, and since when."""

    token: str
    doing: str
    user_id: int
    since: datetime


@retry
def take(name: str, token: str, doing: str, user_id: int, lease: timedelta) -> Holding:
    """Take a campaign's lock, or keep it, for so long from now.

    Each step is one statement, so that of two who come at once one gets it, on every database.

    Returns:
        Who holds it now: the caller, if the token is theirs.
    """
    now = timezone.now()
    lease = min(lease, LONGEST)
    mine = {"token": token, "doing": doing, "user_id": user_id, "expires_at": now + lease}
    locks = CampaignLock.objects.filter(name=name)
    if not locks.filter(token=token).update(expires_at=now + lease):
        # A time further off than any command may ask for was written before the clock was set back.
        lapsed = Q(expires_at__lte=now) | Q(expires_at__gt=now + LONGEST)
        if not locks.filter(lapsed).update(since=now, **mine):
            CampaignLock.objects.get_or_create(name=name, defaults={"since": now, **mine})
    lock = CampaignLock.objects.get(name=name)
    return Holding(lock.token, lock.doing, lock.user_id, lock.since)


def let_go(name: str, token: str) -> None:
    """Free a campaign's lock, if it is held by this token."""
    CampaignLock.objects.filter(name=name, token=token).update(expires_at=timezone.now())
