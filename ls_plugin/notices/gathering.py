"""What happened that people are to be told of, and whom: each event becomes one notice, however often it is met.

Most of it stands in the audit log, whose lines come in one order and stay: notices are made from the lines behind a
cursor, which moves in the same transaction. What is no line there (a row that is blocked, a campaign that is done, rows
that wait for somebody) is read from how things stand, under a key that says since when they stand so. So a process may
die at any point, and two may gather at once: nothing is told twice, and nothing is missed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from django.db import transaction
from django.db.models import F, Max, Q
from django.utils import timezone
from organizations.models import Organization
from tasks.models import Annotation

from ls_plugin.models import (
    Campaign,
    CampaignProject,
    Grant,
    Member,
    Message,
    Notice,
    NoticeChoice,
    NoticeCursor,
    NoticeReader,
    Parcel,
    Record,
    Slot,
    Stage,
)
from ls_plugin.notices.delivery import DeliverySettings
from ls_plugin.notices.wording import TEAM_WIDE, NoticeKind
from ls_plugin.people.standings import CampaignPlace, can_work, has_left, to_person, words
from ls_plugin.queue.handout import why_nothing
from ls_plugin.queue.qualification import qualification_of
from ls_plugin.store import audit_log, messages, retries
from ls_plugin.store.slots import project_ids, slots_of
from review_rules import Role, State

_AWAY: Final = timedelta(hours=1)
"""Who was handed a task of a queue this short a time ago is at work there, and knows that rows wait."""
_GUIDELINES: Final = "guidelines"
_GIVEN: Final = "given"
# A row that came back to somebody is a hand-out that names the review that gave it back.
_LINES: Final = Q(kind__in=(messages.AUDITED, "reopened", _GUIDELINES)) | Q(kind=_GIVEN, body__contains='"return":')
_FAR_BEHIND: Final = 1000
"""Lines that the cursor may lag behind where nobody is told of any: each look goes over them."""
_DECIDED: Final = [state.value for state in State if state.is_decided]


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Something that happened.

    Attributes:
        key: what makes it one event.
        kind: what it is.
        campaign_id: where.
        at: when.
        readers: the accounts that are told.
        row_id: the row that it is about, if any.
        stage: the queue that it is about, if any.
        settles: the key of a notice that waits no more because of it.
    """

    key: str
    kind: NoticeKind
    campaign_id: int
    at: datetime
    readers: Collection[int]
    row_id: str = ""
    stage: str = ""
    settles: str = ""


@retries.retry
def gather_log(delivery: DeliverySettings) -> int:
    """Make notices of what the audit log holds behind the cursor, and say how many were made."""
    end = audit_log.head()[0]
    behind = Record.objects.filter(_LINES, seq__lte=end).order_by("seq")
    seen = NoticeCursor.objects.filter(id=1).values_list("seq", flat=True).first() or 0
    # A page looks here each time that it is opened: it takes the lock only where there is something to tell.
    if not behind.filter(seq__gt=seen).exists():
        if end - seen > _FAR_BEHIND:
            NoticeCursor.objects.filter(id=1, seq=seen).update(seq=end)
        return 0
    with transaction.atomic():
        cursor, _ = NoticeCursor.objects.select_for_update().get_or_create(id=1)
        lines = list(behind.filter(seq__gt=cursor.seq))
        made = sum(_write(event, delivery) for line in lines for event in _events_of(line))
        NoticeCursor.objects.filter(id=1).update(seq=max(end, cursor.seq))
    return made


@retries.retry
def gather_states(campaign: Campaign, now: datetime, delivery: DeliverySettings) -> int:
    """Make notices of rows that are blocked and of a campaign that is done, and say how many were made."""
    events = [*_blocked(campaign, now), *_done(campaign, now)]
    return _write_new(events, delivery)


@retries.retry
def gather_queues(now: datetime, delivery: DeliverySettings, *, user_id: int | None = None) -> int:
    """Make notices of rows that wait for people who are away from them, and say how many were made.

    Somebody is told once of a queue, and again only after they have worked in it.

    Args:
        now: the time.
        delivery: how notices leave the server.
        user_id: only this person, if given.
    """
    members = Member.objects.filter(user_id__isnull=False)
    there = [each for each in (members.filter(user_id=user_id) if user_id else members) if not has_left(each, now)]
    projects = list(CampaignProject.objects.filter(campaign_id__in={member.campaign_id for member in there}))
    waiting = [project for project in projects if _has_open_rows(project.project_id)]
    events = [
        event
        for member in there
        for project in waiting
        if project.campaign_id == member.campaign_id and (event := _queue_event(member, project, now)) is not None
    ]
    return _write_new(events, delivery)


def tell_test(campaign_id: int, user_id: int, key: str, now: datetime, delivery: DeliverySettings) -> Notice:
    """Make a notice for one person, to try the ways out."""
    event = Event(key=key, kind=NoticeKind.TEST, campaign_id=campaign_id, at=now, readers=(user_id,))
    with transaction.atomic():
        _write(event, delivery)
    return Notice.objects.get(key=key)


def _write_new(events: Iterable[Event], delivery: DeliverySettings) -> int:
    by_key = {event.key: event for event in events}
    known = set(Notice.objects.filter(key__in=list(by_key)).values_list("key", flat=True))
    fresh = [event for key, event in by_key.items() if key not in known]
    if not fresh:
        return 0
    with transaction.atomic():
        return sum(_write(event, delivery) for event in fresh)


def _write(event: Event, delivery: DeliverySettings) -> bool:
    """Store an event with its readers and what webhooks are sent; False if it is there already or nobody is told."""
    if event.settles:
        waiting = NoticeReader.objects.filter(notice__key=event.settles, read_at__isnull=True)
        waiting.update(read_at=event.at, by_mail=False)
    if not event.readers:
        return False
    notice, is_new = Notice.objects.get_or_create(
        key=event.key,
        defaults={
            "kind": event.kind.value,
            "campaign_id": event.campaign_id,
            "row_id": event.row_id,
            "stage": event.stage,
            "at": event.at,
        },
    )
    if not is_new:
        return False
    without = set(NoticeChoice.objects.filter(by_mail=False).values_list("user_id", flat=True))
    NoticeReader.objects.bulk_create(
        NoticeReader(notice=notice, user_id=reader, by_mail=delivery.mail is not None and reader not in without)
        for reader in sorted(set(event.readers))
    )
    for channel, key in _calls(notice, delivery):
        Parcel.objects.get_or_create(
            key=key,
            defaults={
                "channel": channel,
                "campaign_id": notice.campaign_id,
                "notice": notice,
                "made_at": notice.at,
                "not_before": notice.at,
            },
        )
    return True


def _calls(notice: Notice, delivery: DeliverySettings) -> Iterable[tuple[str, str]]:
    """The webhooks that are told of a notice, each with the key of its parcel."""
    if delivery.webhook is not None:
        yield "webhook", f"webhook:{notice.pk}"
    if delivery.slack_url and notice.kind in TEAM_WIDE:
        is_queue = notice.kind == NoticeKind.QUEUE.value
        # Rows wait for many people at once: a team's channel is told once a day and queue, and not of each person.
        day = f"slack:queue:{notice.campaign_id}:{notice.stage}:{notice.at:%Y-%m-%d}"
        yield "slack", day if is_queue else f"slack:{notice.pk}"


def _events_of(line: Record) -> Iterable[Event]:
    """The event of a line of the audit log, if people are told of it; nobody is told of what they did themselves."""
    if line.campaign_id is None or not Campaign.objects.filter(pk=line.campaign_id).exists():
        return
    body = json.loads(line.body)
    message = Message.objects.filter(pk=body.get("message")).first() if line.kind == messages.AUDITED else None
    kind, readers = _kind_and_readers(line, body, message)
    # The line of a hand-out names to whom it was, each other line who did something.
    own = () if line.kind == _GIVEN else (line.user_id,)
    if kind is not None:
        yield Event(
            key=f"log:{line.seq}" if message is None else f"message:{message.pk}",
            kind=kind,
            campaign_id=line.campaign_id,
            at=line.at,
            readers={reader for reader in readers if reader not in own},
            row_id=line.row_id,
            settles=f"message:{message.answers}" if message is not None and message.answers is not None else "",
        )
    if message is not None and message.published:
        # Others read it without the row that it came from.
        yield Event(
            key=f"published:{message.pk}",
            kind=NoticeKind.PUBLISHED,
            campaign_id=line.campaign_id,
            at=line.at,
            readers=set(_team(line.campaign_id)) - {*_asked(message), line.user_id},
        )


def _kind_and_readers(
    line: Record, body: Mapping[str, Any], message: Message | None
) -> tuple[NoticeKind | None, Iterable[int]]:
    campaign_id = line.campaign_id or 0
    if line.kind == "reopened":
        return NoticeKind.REOPENED, _people_of_row(campaign_id, line.row_id)
    if line.kind == _GIVEN:
        return NoticeKind.RETURN, () if line.user_id is None else (line.user_id,)
    if line.kind == _GUIDELINES:
        # What a campaign begins with is no change.
        return NoticeKind.GUIDELINES, () if body["number"] == 1 else _team(campaign_id)
    kind = next((kind for kind in _READERS if kind.value == body.get("kind")), None)
    if kind is None or message is None:
        return None, ()
    return kind, _READERS[kind](message)


def _asked(message: Message) -> Iterable[int]:
    """Who asked what a message answers."""
    return Message.objects.filter(pk=message.answers).values_list("user_id", flat=True)


def _managers(campaign_id: int) -> list[int]:
    """The accounts that manage a campaign; the owner's where nobody else does."""
    members = _members(campaign_id)
    managers = [user_id for user_id, member in members.items() if Role.MANAGER.value in words(member.roles)]
    return managers or list(Organization.objects.values_list("created_by_id", flat=True))


def _team(campaign_id: int) -> list[int]:
    """The accounts of everybody in a campaign's team."""
    return list(_members(campaign_id))


def _members(campaign_id: int) -> dict[int, Member]:
    """Account → member, for everybody in a campaign's team who has not left."""
    members, now = Member.objects.filter(campaign_id=campaign_id), timezone.now()
    return {each.user_id: each for each in members if each.user_id is not None and not has_left(each, now)}


def _people_of_row(campaign_id: int, row_id: str) -> set[int]:
    """Those of the team who answered a row, or have it in hand."""
    tasks = list(slots_of(campaign_id, [row_id]).values_list("task_id", flat=True))
    answered = Annotation.objects.filter(task_id__in=tasks, was_cancelled=False)
    in_hand = Grant.objects.filter(task_id__in=tasks, live=True)
    people = {*answered.values_list("completed_by_id", flat=True), *in_hand.values_list("user_id", flat=True)}
    return people & set(_team(campaign_id))


_READERS: Final[Mapping[NoticeKind, Callable[[Message], Iterable[int]]]] = {
    NoticeKind.QUESTION: lambda message: _managers(message.campaign_id),
    NoticeKind.DISPUTE: lambda message: _managers(message.campaign_id),
    NoticeKind.ANSWER: _asked,
    NoticeKind.UPHELD: _asked,
    NoticeKind.ANNOUNCEMENT: lambda message: _team(message.campaign_id),
}
"""Who is told of a message, by its kind."""


def _blocked(campaign: Campaign, now: datetime) -> Iterable[Event]:
    slots = Slot.objects.filter(project_id__in=project_ids(campaign.pk)).exclude(row_id="")
    rows = list(slots.filter(stage=Stage.PASS, state=State.BLOCKED.value).values_list("row_id", flat=True))
    if not rows:
        return
    tasks = dict(slots.filter(row_id__in=rows).values_list("task_id", "row_id"))
    since = dict.fromkeys(rows, 0)
    lines = Record.objects.filter(task_id__in=list(tasks), kind__in=("submitted", "changed", "skipped"))
    for task_id, seq in lines.values_list("task_id").annotate(last=Max("seq")).order_by():
        since[tasks[task_id]] = max(since[tasks[task_id]], seq)
    managers = _managers(campaign.pk)
    for row_id, seq in since.items():
        # A row that no line blocked (its people left, say) has only its id.
        since_then = seq or sha256(row_id.encode()).hexdigest()[:32]
        yield Event(
            key=f"blocked:{campaign.pk}:{since_then}",
            kind=NoticeKind.BLOCKED,
            campaign_id=campaign.pk,
            at=now,
            readers=managers,
            row_id=row_id,
        )


def _done(campaign: Campaign, now: datetime) -> Iterable[Event]:
    asked = qualification_of(campaign.pk)
    slots = Slot.objects.filter(project_id__in=project_ids(campaign.pk), stage=Stage.PASS)
    # Rows with a known answer are nobody's to finish.
    rows = slots.exclude(row_id__in=["", *(asked.rows if asked else ())])
    if not rows.exists() or rows.exclude(state__in=_DECIDED).exists():
        return
    reopened = Record.objects.filter(campaign_id=campaign.pk, kind="reopened").count()
    # Done again after more rows, a reopening or other rules is another event.
    stand = [rows.count(), reopened, campaign.policy_hash, campaign.team_text]
    digest = sha256(json.dumps(stand).encode()).hexdigest()[:32]
    yield Event(
        key=f"done:{campaign.pk}:{digest}",
        kind=NoticeKind.DONE,
        campaign_id=campaign.pk,
        at=now,
        readers=_managers(campaign.pk),
    )


def _has_open_rows(project_id: int) -> bool:
    return Slot.objects.filter(project_id=project_id, open=True, taken__lt=F("capacity")).exclude(row_id="").exists()


def _queue_event(member: Member, project: CampaignProject, now: datetime) -> Event | None:
    """That rows of a project wait for somebody; None where they are at work there, were told, or there are none."""
    person, stage = to_person(member), Stage(project.stage)
    if member.user_id is None or not can_work(person, stage):
        return None
    grants = Grant.objects.filter(user_id=member.user_id, project_id=project.project_id).aggregate(at=Max("given_at"))
    last = grants["at"]
    key = f"queue:{project.project_id}:{member.user_id}:{last.isoformat() if last else 'first'}"
    if (last is not None and last > now - _AWAY) or Notice.objects.filter(key=key).exists():
        return None
    if why_nothing(member.user_id, person, CampaignPlace(project.project_id, project.campaign_id, stage)) is not None:
        return None
    return Event(
        key=key,
        kind=NoticeKind.QUEUE,
        campaign_id=project.campaign_id,
        at=now,
        readers=(member.user_id,),
        stage=stage.label,
    )
