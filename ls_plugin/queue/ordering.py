"""In which order open tasks are handed to a person.

The order answers three wants. A row that needs an expert goes first through the passes, because experts are few and
their queue must not fill at the end. A row that somebody has begun goes before a fresh one. Experts take passes last:
as a pass their expertise is spent on what anybody could do, and in a domain with a single expert it would leave nobody
for an escalation. In QA an expert gets the rows that ask for one, the scarcest domain before the others, and rows that
do not only if nobody less scarce is at work or may take them.

Among rows of equal claim the order is drawn, so that two people who ask one after the other cannot count on the same
row: each row has a place by a hash of the campaign's seed, and each hand-out begins at a place by a hash of the seed,
the person and how many rows they have had. And the pairs are spread: a row that somebody has begun with whom the person
has shared more than their part of the last rows is left to others as long as there is something else.

The cost of a hand-out does not grow with the project: each query walks an index from its first open row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256
from itertools import combinations

from django.db.models import Count, Exists, F, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from ls_plugin.models import CampaignProject, Excluded, Grant, Member, Slot, Stage
from ls_plugin.people.standings import CampaignPlace, can_work, to_person, words
from ls_plugin.queue.seats import is_kept, next_step, reserve_for
from review_rules import Person, Role, may_take

# Somebody who took a task, or saved a draft, this short a time ago counts as at work.
AT_WORK = timedelta(minutes=15)
# So many of a person's last rows are looked at for those with whom they share more than their part.
_LAST = 200
# Rows that a pair may share before its part of them is looked at, and how far above the part of chance it may lie.
_FIRST_SHARED, _ABOVE_CHANCE = 3, 1.5
_ORDER = ("-wants_expert", "-taken", "draw", "task_id")
# Django writes a plain True as the bare column, for which SQLite does not look into the index but sorts every row.
_YES = Value(True)


@dataclass(frozen=True, slots=True)
class _Queue:
    """Open slots that a person may take.

    Attributes:
        requires: what all of them ask for.
        slots: the slots.
        claims: whether its rows need an expert; both kinds if there are two.
    """

    requires: str
    slots: QuerySet[Slot]
    claims: tuple[bool, ...] = (True, False)


def queues_for(user_id: int, person: Person, place: CampaignPlace) -> Iterator[QuerySet[Slot]]:
    """The open slots with a free seat that the person may take, best first, without those they had before."""
    start = _start(user_id, place)
    often = _often_met(user_id, place) if start and place.stage is Stage.PASS else []
    if often:
        met = Grant.objects.filter(task_id=OuterRef("task_id"), user_id__in=often, skipped=False)
        for queue in _queues(user_id, person, place):
            yield from _drawn(replace(queue, slots=queue.slots.filter(~Exists(met))), place, start)
    for queue in _queues(user_id, person, place):
        yield from _drawn(queue, place, start) if start else [queue.slots.order_by(*_ORDER)]


def _start(user_id: int, place: CampaignPlace) -> str:
    """The place among rows of equal claim at which this hand-out begins; empty where the order is not drawn."""
    seed = CampaignProject.objects.values_list("seed", flat=True).get(project_id=place.project_id)
    turn = Grant.objects.filter(user_id=user_id, project_id=place.project_id).count()
    return sha256(f"{seed}:{user_id}:{turn}".encode()).hexdigest()[:8] if seed else ""


def _drawn(queue: _Queue, place: CampaignPlace, start: str) -> Iterator[QuerySet[Slot]]:
    """A queue by claim, and the rows of each claim from a place on, around to it."""
    index = Slot.objects.filter(project_id=place.project_id, open=_YES, requires=queue.requires)
    for wants_expert in queue.claims:
        among = index.filter(wants_expert=Value(wants_expert)).order_by("-taken").values_list("taken", flat=True)
        taken = among.first()
        while taken is not None:
            tier = queue.slots.filter(wants_expert=Value(wants_expert), taken=taken).order_by("draw", "task_id")
            yield tier.filter(draw__gte=start)
            yield tier.filter(draw__lt=start)
            taken = among.filter(taken__lt=taken).first()


def _often_met(user_id: int, place: CampaignPlace) -> list[int]:
    """Accounts with whom a person has shared more of their last rows than chance would have them share."""
    answered = Grant.objects.filter(user_id=user_id, project_id=place.project_id, live=False, skipped=False)
    last = list(answered.order_by("-given_at").values_list("task_id", flat=True)[:_LAST])
    if len(last) < _FIRST_SHARED:
        return []
    members = Member.objects.filter(campaign_id=place.campaign_id, user_id__isnull=False, left__isnull=True)
    others = sum(can_work(to_person(member), Stage.PASS) for member in members) - 1
    peers = CampaignProject.objects.values_list("capacity", flat=True).get(project_id=place.project_id) - 1
    most = max(_FIRST_SHARED, _ABOVE_CHANCE * len(last) * peers / max(others, 1))
    met = Grant.objects.filter(task_id__in=last, skipped=False).exclude(user_id=user_id)
    shared = met.values_list("user_id").annotate(count=Count("id")).order_by()
    return [account for account, count in shared if count >= most]


def _queues(user_id: int, person: Person, place: CampaignPlace) -> Iterator[_Queue]:
    """The open slots that the person may take, in queues of which the first goes before the others."""
    seats = Grant.objects.filter(is_kept(), task_id=OuterRef("task_id"), live=True).order_by()
    reserved = Coalesce(Subquery(seats.values("task_id").annotate(count=Count("id")).values("count")), 0)
    had = Grant.objects.filter(task_id=OuterRef("task_id"), user_id=user_id)
    excluded = Excluded.objects.filter(task_id=OuterRef("task_id"), user_id=user_id)
    open_to = (
        Slot.objects.filter(project_id=place.project_id, open=_YES, taken__lt=F("capacity"))
        .filter(~Exists(had), ~Exists(excluded))
        .exclude(row_id="")
        .alias(reserved=reserved)
        .filter(taken__lt=F("capacity") - F("reserved"))
    )
    if place.stage is Stage.PASS and person.expertise:
        yield from _passes_of_an_expert(open_to, person, place)
        return
    for requires in _requirements(person, place):
        queue = open_to.filter(requires=requires)
        spared = _spared_by(person, place) if requires == "" else []
        if spared:
            # Somebody less scarce is at work here: an expert gets only what all of these may not take.
            barred = Excluded.objects.filter(task_id=OuterRef("task_id"), user_id__in=spared).order_by()
            counted = barred.values("task_id").annotate(count=Count("id")).values("count")
            queue = queue.annotate(barred=Subquery(counted)).filter(barred=len(spared))
        yield _Queue(requires, queue)


def _passes_of_an_expert(open_to: QuerySet[Slot], person: Person, place: CampaignPlace) -> Iterator[_Queue]:
    """Passes that need this person's expertise, then what anybody could do, then other experts' rows, then the rest."""
    alone = _only_expert_of(person, place)
    mine = sorted(person.expertise - alone)
    rows = open_to.filter(requires="")
    if mine:
        yield _Queue("", rows.filter(domain__in=mine, wants_expert=True, has_expert=False), (True,))
    yield _Queue("", rows.filter(wants_expert=False), (False,))
    # A row whose only expert did a pass would have nobody for its escalation: such rows come last.
    yield _Queue("", rows.filter(wants_expert=True).exclude(domain__in=alone), (True,))
    yield _Queue("", rows)


def _spared_by(person: Person, place: CampaignPlace) -> list[int]:
    """Accounts of people without the role of an expert who were at work in this QA queue a moment ago."""
    if place.stage is not Stage.QA or Role.EXPERT not in person.roles:
        return []
    others = [
        member.user_id
        for member in Member.objects.filter(campaign_id=place.campaign_id, user_id__isnull=False)
        if member.user_id is not None
        and can_work(to_person(member), Stage.QA)
        and Role.EXPERT not in to_person(member).roles
    ]
    since = timezone.now() + reserve_for() - AT_WORK
    lately = Grant.objects.filter(project_id=place.project_id, user_id__in=others, expires_at__gt=since)
    return others if lately.exists() else []


def _requirements(person: Person, place: CampaignPlace) -> list[str]:
    """What rows of this stage may ask for and the person has, the scarcest first and nothing last."""
    project = CampaignProject.objects.get(project_id=place.project_id)
    domains = sorted(words(project.expert_domains))
    asked = [",".join(some) for size in range(1, len(domains) + 1) for some in combinations(domains, size)]
    every = [*asked, "*"] if place.stage is not Stage.PASS else []
    having = [requires for requires in every if may_take(person, next_step(place.stage, requires))]
    holders = _holders(place)
    having.sort(key=lambda requires: (holders.get(requires, 0), requires))
    if may_take(person, next_step(place.stage, "")):
        having.append("")
    return having


def _holders(place: CampaignPlace) -> dict[str, int]:
    """How many people have each expertise."""
    counts: dict[str, int] = {}
    for expertise in Member.objects.filter(campaign_id=place.campaign_id).values_list("expertise", flat=True):
        for word in words(expertise):
            counts[word] = counts.get(word, 0) + 1
    return counts


def _only_expert_of(person: Person, place: CampaignPlace) -> frozenset[str]:
    """The domains in which this person is the only one who could review."""
    others: set[str] = set()
    for member in Member.objects.filter(campaign_id=place.campaign_id).exclude(person_id=person.id):
        colleague = to_person(member)
        if can_work(colleague, Stage.EXPERT) or can_work(colleague, Stage.QA):
            others |= colleague.expertise
    return frozenset(person.expertise - others)
