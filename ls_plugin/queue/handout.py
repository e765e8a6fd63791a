"""Handing tasks out: to whom, in which order, and the seat that is held meanwhile.

The order answers three wants. A row that needs an expert goes first through the passes, because experts are few and
their queue must not fill at the end. A row that somebody has begun goes before a fresh one. Experts take passes last:
as a pass their expertise is spent on what anybody could do, and in a domain with a single expert it would leave nobody
for an escalation. In QA an expert gets the rows that ask for one, the scarcest domain before the others, and rows that
do not only if nobody less scarce is at work or may take them.

The cost of a hand-out does not grow with the project: each query walks an index from its first open row.

Whoever locks more than one slot locks all slots of its rows, by task id, and before the record: hand-out, reconcile and
reopening alike, so that none waits for another in a circle. A hand-out holds one row at a time, and lets go of it at
once if it is not the one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import combinations
from os import environ
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, Exists, F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from ls_plugin.models import CampaignProject, Excluded, Grant, Member, Slot, Stage, exclude, is_excluded, slots_of
from ls_plugin.people.standings import RULE_STAGE, Place, can_work, to_person, words
from ls_plugin.queue import qualification
from ls_plugin.store import audit_log, retries
from ls_plugin.store.refusals import Refused
from review_rules import NextStep, Person, PersonId, Role, may_take

RESERVE_MINUTES = "QUORUM_RESERVE_MINUTES"
# Seats that one person may hold in a project at once, by putting tasks off.
MOST_IN_HAND = 5
# Whoever was given a task, or saved a draft, this long ago counts as at work.
AT_WORK = timedelta(minutes=15)


def reserve_for() -> timedelta:
    """How long a seat is held for somebody who was given a task and does nothing."""
    return timedelta(minutes=float(environ.get(RESERVE_MINUTES, "60")))


def give(user_id: int, person: Person, place: Place) -> Slot:
    """Hand the person a task of this project: the one in hand, else the best of those open to them.

    Raises:
        Refused: ``no_task`` if there is none, ``qualify`` if the person is not through the qualification.
    """
    standard = qualification.standard_of(place.campaign_id) if place.stage is Stage.PASS else None
    if standard is not None:
        qualification.seat_new(place.campaign_id, standard)
    slot = _give(user_id, person, place, standard)
    if slot is None and place.stage is not Stage.PASS and _catch_up(place):
        slot = _give(user_id, person, place, standard)
    if slot is None:
        raise Refused("no_task")
    return slot


@retries.again
def _give(user_id: int, person: Person, place: Place, standard: qualification.Standard | None) -> Slot | None:
    with transaction.atomic():
        _one_by_one(user_id, place)
        slot = (
            _in_hand(user_id, place)
            or _best(user_id, person, place, standard)
            or _put_off(user_id, place)
            or _skipped(user_id, place)
        )
        if slot is not None:
            _grant(slot, user_id, place, timezone.now())
    return slot


def _one_by_one(user_id: int, place: Place) -> None:
    """One hand-out a person at a time: asked for at once in several windows, each would be given a row of its own."""
    if audit_log.locks_rows():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [place.project_id, user_id])


def _catch_up(place: Place) -> bool:
    """Reconcile what waits for it: a worker that is behind or gone must not leave a reviewer without work."""
    from ls_plugin.queue import reconcile

    return reconcile.drain(place.campaign_id, limit=20) > 0


def _in_hand(user_id: int, place: Place) -> Slot | None:
    """What the person was given and has neither answered, put off nor lost to somebody else.

    Whoever has put off as many as one may hold gets these again.
    """
    from tasks.models import AnnotationDraft

    live = Grant.objects.filter(user_id=user_id, project_id=place.project_id, live=True).order_by("given_at")
    tasks = list(live.values_list("task_id", flat=True))
    later = AnnotationDraft.objects.filter(user_id=user_id, task_id__in=tasks, was_postponed=True)
    put_off = set(later.values_list("task_id", flat=True)) if len(tasks) < MOST_IN_HAND else set()
    for task_id in tasks:
        slot = None if task_id in put_off else _taken(task_id, user_id, place, live=True)
        if slot:
            return slot
    return None


def _best(user_id: int, person: Person, place: Place, standard: qualification.Standard | None) -> Slot | None:
    """The best open task; rows that somebody else is at this very moment are passed over, and waited for at the end."""
    only, passed_over = _asked_of(user_id, place, standard), list[int]()
    for every in _queues(user_id, person, place):
        queue = every.filter(only)
        for task_id in queue.values_list("task_id", flat=True).iterator(chunk_size=20):
            try:
                slot = _taken(task_id, user_id, place, wait=False, settled=True)
            except _Busy:
                passed_over.append(task_id)
                continue
            if slot:
                return slot
    waited = (_taken(task_id, user_id, place, settled=True) for task_id in dict.fromkeys(passed_over))
    return next(filter(None, waited), None)


def _asked_of(user_id: int, place: Place, standard: qualification.Standard | None) -> Q:
    """The rows with known answers until the person has answered them all, the others afterwards."""
    if standard is None:
        return Q()
    known = Q(row_id__in=list(standard.rows))
    answered, share = qualification.score(user_id, place, standard)
    if answered < Slot.objects.filter(known, project_id=place.project_id).count():
        return known
    if share < standard.bar:
        raise Refused("qualify")
    return ~known


def _settled(slot: Slot, place: Place) -> bool:
    """Whether the row's earlier stages are as the last reconcile saw them; else its job will be done in a moment."""
    if place.stage is Stage.PASS:
        return True
    earlier = CampaignProject.objects.filter(campaign_id=place.campaign_id, stage__lt=place.stage)
    rows = Slot.objects.filter(project_id__in=earlier.values("project_id"), row_id=slot.row_id)
    return not rows.filter(dirty=True).exists()


def _queues(user_id: int, person: Person, place: Place) -> Iterator[Any]:
    """The open slots with a free seat that the person may take, best first, without those they had before."""
    held = Grant.objects.filter(task_id=OuterRef("task_id"), live=True, expires_at__gt=timezone.now()).order_by()
    seats = Coalesce(Subquery(held.values("task_id").annotate(count=Count("id")).values("count")), 0)
    had = Grant.objects.filter(task_id=OuterRef("task_id"), user_id=user_id)
    out = Excluded.objects.filter(task_id=OuterRef("task_id"), user_id=user_id)
    open_to = (
        Slot.objects.filter(project_id=place.project_id, open=True, taken__lt=F("capacity"))
        .filter(~Exists(had), ~Exists(out))
        .alias(held=seats)
        .filter(taken__lt=F("capacity") - F("held"))
    )
    order = ("-wants_expert", "-taken", "task_id")
    if place.stage is Stage.PASS and person.expertise:
        alone = _only_expert_of(person, place)
        mine = sorted(person.expertise - alone)
        if mine:
            yield open_to.filter(requires="", wants_expert=True, domain__in=mine, has_expert=False).order_by(*order)
        yield open_to.filter(requires="", wants_expert=False).order_by(*order)
        yield open_to.filter(requires="", wants_expert=True).exclude(domain__in=alone).order_by(*order)
        yield open_to.filter(requires="").order_by(*order)
        return
    for requires in _requirements(person, place):
        queue = open_to.filter(requires=requires).order_by(*order)
        spared = _spared_by(person, place) if requires == "" else []
        if spared:
            # Somebody less scarce is at work here: an expert gets only what all of these may not take.
            barred = Excluded.objects.filter(task_id=OuterRef("task_id"), user_id__in=spared).order_by()
            counted = barred.values("task_id").annotate(count=Count("id")).values("count")
            queue = queue.annotate(barred=Subquery(counted)).filter(barred=len(spared))
        yield queue


def _spared_by(person: Person, place: Place) -> list[int]:
    """Accounts of people without the role of an expert who were at work in this QA queue a moment ago."""
    if place.stage is not Stage.QA or Role.EXPERT not in person.roles:
        return []
    others = [
        member.user_id
        for member in Member.objects.filter(campaign_id=place.campaign_id, user_id__isnull=False)
        if can_work(to_person(member), Stage.QA) and Role.EXPERT not in to_person(member).roles
    ]
    since = timezone.now() + reserve_for() - AT_WORK
    lately = Grant.objects.filter(project_id=place.project_id, user_id__in=others, expires_at__gt=since)
    return others if lately.exists() else []


def _requirements(person: Person, place: Place) -> list[str]:
    """What rows of this stage may ask for and the person has, the scarcest first and nothing last."""
    project = CampaignProject.objects.get(project_id=place.project_id)
    domains = sorted(words(project.expert_domains))
    asked = [",".join(some) for size in range(1, len(domains) + 1) for some in combinations(domains, size)]
    every = [*asked, "*"] if place.stage is not Stage.PASS else []
    having = [requires for requires in every if may_take(person, step_of(place.stage, requires))]
    holders = _holders(place)
    having.sort(key=lambda requires: (holders.get(requires, 0), requires))
    if may_take(person, step_of(place.stage, "")):
        having.append("")
    return having


def _holders(place: Place) -> dict[str, int]:
    """How many people hold each expertise."""
    counts: dict[str, int] = {}
    for expertise in Member.objects.filter(campaign_id=place.campaign_id).values_list("expertise", flat=True):
        for word in words(expertise):
            counts[word] = counts.get(word, 0) + 1
    return counts


def _only_expert_of(person: Person, place: Place) -> frozenset[str]:
    """The domains in which this person is the only one who could review."""
    others: set[str] = set()
    for member in Member.objects.filter(campaign_id=place.campaign_id).exclude(person_id=person.id):
        someone = to_person(member)
        if can_work(someone, Stage.EXPERT) or can_work(someone, Stage.QA):
            others |= someone.expertise
    return frozenset(person.expertise - others)


def step_of(stage: Stage, requires: str, excluded: Sequence[str] = ()) -> NextStep:
    """A slot's requirement as the rules' value."""
    return NextStep(stage=RULE_STAGE[stage], requires=tuple(words(requires)), excluded=tuple(map(PersonId, excluded)))


class _Busy(Exception):
    """Somebody else has the row locked right now."""


class _NotThis(Exception):
    """The task is not to be had: ends its savepoint, which lets go of the row's locks."""


def _taken(
    task_id: int, user_id: int, place: Place, *, wait: bool = True, settled: bool = False, **licence: bool
) -> Slot | None:
    """The slot with its row locked if the person may have it now; else None, and nothing is locked.

    `licence` is how the person's grant was read, if it was: by now they may have answered in another window.

    Raises:
        _Busy: Somebody else holds the row, and the caller does not want to wait.
    """
    try:
        with transaction.atomic():
            slot = _locked(task_id, place, wait=wait)
            if not slot or not slot.open or not _free(slot, user_id) or is_excluded(task_id, user_id):
                raise _NotThis
            if settled and not _settled(slot, place):
                raise _NotThis
            if licence and audit_log.locks_rows() and not _grant_is(task_id, user_id, **licence):
                raise _NotThis
            return slot
    except _NotThis:
        return None


def _locked(task_id: int, place: Place, *, wait: bool = True) -> Slot | None:
    """The slot as it is now, all slots of its row locked by task id where the database can; None if it is gone."""
    row_id = Slot.objects.filter(task_id=task_id).values_list("row_id", flat=True).first()
    if row_id is None:
        return None
    row = slots_of(place.campaign_id, [row_id])
    found = list(row.select_for_update(skip_locked=not wait) if audit_log.locks_rows() else row)
    if not wait and len(found) < row.count():
        raise _Busy
    return next((slot for slot in found if slot.task_id == task_id), None)


def _free(slot: Slot, user_id: int) -> bool:
    """Whether a seat is left beside the answers and the seats held for others."""
    held = Grant.objects.filter(task_id=slot.task_id, live=True, expires_at__gt=timezone.now()).exclude(user_id=user_id)
    return bool(slot.taken + held.count() < slot.capacity)


def _grant_is(task_id: int, user_id: int, **licence: bool) -> bool:
    return bool(Grant.objects.filter(task_id=task_id, user_id=user_id, **licence).exists())


def _put_off(user_id: int, place: Place) -> Slot | None:
    """What the person has put off, the longest ago first, when there is nothing else."""
    live = Grant.objects.filter(user_id=user_id, project_id=place.project_id, live=True).order_by("expires_at")
    waited = (_taken(task_id, user_id, place, live=True) for task_id in live.values_list("task_id", flat=True))
    return next(filter(None, waited), None)


def _skipped(user_id: int, place: Place) -> Slot | None:
    """When nothing else is left: the first row that the person skipped, given once more without the skip."""
    from tasks.models import Annotation

    skipped = Grant.objects.filter(user_id=user_id, project_id=place.project_id, skipped=True).order_by("given_at")
    for grant in skipped:
        slot = _taken(grant.task_id, user_id, place, skipped=True)
        if slot and not slot.sealed:
            for annotation in Annotation.objects.filter(
                task_id=slot.task_id, completed_by_id=user_id, was_cancelled=True
            ):
                annotation.delete()
            return slot
    return None


def _grant(slot: Slot, user_id: int, place: Place, now: datetime) -> None:
    """Write the licence, hold the seat, and close what came before: the next stage begins here."""
    _, fresh = Grant.objects.update_or_create(
        task_id=slot.task_id,
        user_id=user_id,
        defaults={"live": True, "skipped": False, "expires_at": now + reserve_for()},
        create_defaults={
            "project_id": place.project_id,
            "given_at": now,
            "live": True,
            "expires_at": now + reserve_for(),
        },
    )
    if place.stage is not Stage.PASS and fresh:
        _close_before(slot, user_id, place)
    if fresh:
        audit_log.write(
            audit_log.Line("given", user_id, place.campaign_id, slot.task_id, slot.row_id, {"stage": place.stage.label})
        )


def _close_before(slot: Slot, user_id: int, place: Place) -> None:
    """Answers of the stages before this one stay as they are; who was shown them gives none there, also if reopened."""
    standard = qualification.standard_of(place.campaign_id)
    if standard is not None and slot.row_id in standard.rows:
        return  # whoever comes later still has to answer it
    earlier = CampaignProject.objects.filter(campaign_id=place.campaign_id, stage__lt=place.stage)
    before = Slot.objects.filter(project_id__in=earlier.values("project_id"), row_id=slot.row_id)
    exclude((task_id, user_id) for task_id in before.values_list("task_id", flat=True))
    before.filter(sealed=False).update(sealed=True)


def require(task_id: int, user_id: int, person: Person, place: Place) -> Slot:
    """The slot of a task on which this person may submit now.

    Raises:
        Refused: with the reason.
    """
    slot: Slot | None = Slot.objects.filter(task_id=task_id).first()
    grant = Grant.objects.filter(task_id=task_id, user_id=user_id).first()
    if slot is None or grant is None:
        raise Refused("not_given")
    if is_excluded(task_id, user_id):
        raise Refused("excluded")
    if not grant.live:
        raise Refused("second")
    if not may_take(person, step_of(place.stage, slot.requires)):
        raise Refused("no_role")
    if slot.sealed:
        raise Refused("sealed")
    if not slot.open:
        raise Refused("full" if slot.taken >= slot.capacity else "closed")
    if not _free(slot, user_id):
        raise Refused("full")
    return slot


@retries.again
def regive(task_id: int, user_id: int, place: Place) -> None:
    """Give a skipped task back to the one who skipped it, if a seat is left."""
    with transaction.atomic():
        slot = _locked(task_id, place)
        if slot is None or not slot.open or slot.sealed or not _free(slot, user_id):
            raise Refused("full")
        _grant(slot, user_id, place, timezone.now())


def touch(task_id: int, user_id: int, place: Place) -> None:
    """Hold the seat on: the person is at work. One that was let go is held again if nobody else has it meanwhile."""
    now = timezone.now()
    mine = Grant.objects.filter(task_id=task_id, user_id=user_id, live=True)
    if not mine.filter(expires_at__gt=now).update(expires_at=now + reserve_for()) and mine.exists():
        _hold_again(task_id, user_id, place)


@retries.again
def _hold_again(task_id: int, user_id: int, place: Place) -> None:
    with transaction.atomic():
        if _taken(task_id, user_id, place):
            mine = Grant.objects.filter(task_id=task_id, user_id=user_id, live=True)
            mine.update(expires_at=timezone.now() + reserve_for())


def was_given(task_id: int, user_id: int) -> bool:
    """Whether the server ever handed this task to this account."""
    return bool(Grant.objects.filter(task_id=task_id, user_id=user_id).exists())
