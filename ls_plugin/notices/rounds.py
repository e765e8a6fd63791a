"""A round: what is new becomes notices, notices become parcels, and parcels are sent.

Where a way out is configured each server process makes one twice a minute, in a thread of its own; `quorum notify send`
asks for one. Any number may go on at once.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import DatabaseError, connection
from django.db.models import Q
from django.utils import timezone
from users.models import User

from label_studio_quorum.campaign.history import stamp
from ls_plugin.models import Campaign, Member, Notice, NoticeChoice, Parcel
from ls_plugin.notices import channels, gathering, outbox
from ls_plugin.notices.channels import SendingError
from ls_plugin.notices.delivery import DeliveryError, DeliverySettings, read_delivery
from ls_plugin.notices.wording import NoticeKind, Wording, word, word_for_team
from ls_plugin.people.standings import can_work_at_all, to_person

_EVERY_S: Final = 30
_QUEUES_EVERY: Final = timedelta(minutes=10)
_MOST_A_ROUND: Final = 200
_log = logging.getLogger(__name__)
_started = threading.Lock()
_is_running = False
Clock = Callable[[], datetime]


@dataclass(frozen=True, kw_only=True, slots=True)
class RoundOutcome:
    """What a round did: notices made, parcels sent, failed and dropped."""

    made: int = 0
    sent: int = 0
    failed: int = 0
    dropped: int = 0

    def to_json(self) -> dict[str, int]:
        """The outcome as the API gives it."""
        return asdict(self)


def make_round(delivery: DeliverySettings, clock: Clock = timezone.now, *, queues: bool = True) -> RoundOutcome:
    """Gather, pack and send what is due; `queues`: look also for rows that wait for people."""
    made = gathering.gather_log(delivery)
    for campaign in Campaign.objects.order_by("pk"):
        made += gathering.gather_states(campaign, clock(), delivery)
    if queues:
        made += gathering.gather_queues(clock(), delivery)
    outbox.pack_mails(delivery, clock())
    came = send_due(delivery, clock)
    return RoundOutcome(
        made=made,
        sent=came.count(outbox.SENT),
        failed=came.count(outbox.FAILED),
        dropped=came.count(outbox.DROPPED),
    )


def send_due(delivery: DeliverySettings, clock: Clock = timezone.now, only: Q | None = None) -> list[str]:
    """Send the parcels that are due, and say what came of each."""
    came, closed = list[str](), set[str]()
    while len(came) < _MOST_A_ROUND and (parcel := outbox.claim(delivery, clock(), only, closed)) is not None:
        try:
            came.append(_send(parcel, delivery, clock))
        except SendingError as error:
            _log.warning("Quorum: notification %s was not sent: %s", parcel.key, error)
            outbox.mark_failed(parcel, str(error), clock(), for_good=error.for_good)
            came.append(outbox.FAILED)
            # A server that is away takes nothing else either: the others keep their attempts for the next round.
            closed |= set() if error.for_good else {parcel.channel}
    return came


def _send(parcel: Parcel, delivery: DeliverySettings, clock: Clock) -> str:
    """Send a claimed parcel and note that.

    Raises:
        SendingError: It was not taken.
    """
    lack = _hand_over(parcel, delivery)
    if lack:
        outbox.mark_dropped(parcel, lack)
        return outbox.DROPPED
    outbox.mark_sent(parcel, clock())
    return outbox.SENT


def _hand_over(parcel: Parcel, delivery: DeliverySettings) -> str:
    """Send a parcel by its channel; why it is not to be sent at all, else nothing.

    Raises:
        SendingError: It was not taken.
    """
    campaign = Campaign.objects.filter(pk=parcel.campaign_id).first()
    if campaign is None:
        return "the campaign is gone"
    if parcel.channel == outbox.MAIL and delivery.mail is not None:
        return _send_mail(parcel, campaign, delivery)
    if parcel.notice is None:
        return "there is nothing to tell"
    if parcel.channel == "webhook" and delivery.webhook is not None:
        channels.call_webhook(delivery.webhook, key=parcel.key, body=_call_body(parcel.notice, campaign, delivery))
    elif parcel.channel == "slack":
        path = word(parcel.notice, works_here=True).path
        channels.call_slack(delivery, campaign=campaign.name, sentence=word_for_team(parcel.notice), path=path)
    return ""


def _send_mail(parcel: Parcel, campaign: Campaign, delivery: DeliverySettings) -> str:
    user = User.objects.filter(pk=parcel.user_id, is_active=True).first()
    if user is None or not user.email:
        return "there is no account, or it may not sign in any more"
    notices = [reader.notice for reader in parcel.readers.select_related("notice").order_by("pk")]
    is_test = all(notice.kind == NoticeKind.TEST.value for notice in notices)
    if not is_test and NoticeChoice.objects.filter(user_id=user.pk, by_mail=False).exists():
        return "the person wants no mails"
    if delivery.mail is not None and notices:
        channels.send_mail(
            delivery.mail,
            key=parcel.key,
            to=user.email,
            campaign=campaign.name,
            notices=words_for(user.pk, campaign, notices),
            address=delivery.address,
        )
    return "" if notices else "there is nothing to tell"


def words_for(user_id: int, campaign: Campaign, notices: list[Notice]) -> list[Wording]:
    """What somebody is told of notices of a campaign."""
    member = Member.objects.filter(campaign=campaign, user_id=user_id).first()
    works_here = member is not None and can_work_at_all(to_person(member))
    return [word(notice, works_here=works_here) for notice in notices]


def _call_body(notice: Notice, campaign: Campaign, delivery: DeliverySettings) -> dict[str, Any]:
    people = dict(Member.objects.filter(campaign=campaign).values_list("user_id", "person_id"))
    wording = word(notice, works_here=False)
    return {
        "type": f"quorum.{notice.kind}",
        "timestamp": stamp(notice.at),
        "data": {
            "campaign": campaign.name,
            "row_id": notice.row_id or None,
            "stage": notice.stage or None,
            "to": sorted(people.get(reader.user_id, "owner") for reader in notice.readers.all()),
            "text": wording.sentence,
            "url": f"{delivery.address}{wording.path}" if delivery.address else None,
        },
    }


def send_test(campaign: Campaign, user_id: int, key: str, delivery: DeliverySettings) -> list[Parcel]:
    """Send a test by every way out that is configured, to one person; the parcels say what came of it."""
    notice = gathering.tell_test(campaign.pk, user_id, f"test:{key}", timezone.now(), delivery)
    if delivery.mail is not None:
        outbox.pack_at_once(notice, timezone.now())
    mine = Q(notice=notice) | Q(readers__notice=notice)
    send_due(delivery, only=Q(pk__in=Parcel.objects.filter(mine).values("pk")))
    return list(Parcel.objects.filter(mine).order_by("pk"))


def begin_once() -> None:
    """Make rounds from now on, once a process, where a way out is configured."""
    global _is_running
    with _started:
        if not _is_running:
            _is_running = True
            if _configured() is not None:
                threading.Thread(target=_go_on, name="quorum-notices", daemon=True).start()


def _configured() -> DeliverySettings | None:
    """How notices leave the server; None where none do, or where a variable says no sense, which is logged."""
    try:
        delivery = read_delivery(os.environ)
    except DeliveryError as error:
        _log.warning("Quorum: no notifications are sent: %s", error)
        return None
    return delivery if delivery.is_on else None


def _go_on() -> None:
    looked = datetime.min.replace(tzinfo=timezone.now().tzinfo)
    while True:
        try:
            now = timezone.now()
            is_time = now - looked >= _QUEUES_EVERY
            # Read anew each time: a password in a file may have been changed.
            if (delivery := _configured()) is not None:
                make_round(delivery, queues=is_time)
            looked = now if is_time else looked
        except DatabaseError as error:
            # As the server does, it waits for a database that is away, and loses nothing.
            _log.warning("Quorum: notifications wait, the database says: %s", error)
        finally:
            connection.close()
        threading.Event().wait(_EVERY_S)
