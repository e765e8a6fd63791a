"""In which order open tasks are handed to a person.

The order answers three wants. A row that needs an expert goes first through the passes, because experts are few and
their queue must not fill at the end. A row that somebody has begun goes before a fresh one. Experts take passes last:
as a pass their expertise is spent on what anybody could do, and in a domain with a single expert it would leave nobody
for an escalation. In QA an expert gets the rows that ask for one, the scarcest domain before the others, and rows that
do not only if nobody less scarce is at work or may take them.

The cost of a hand-out does not grow with the project: each query walks an index from its first open row.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import combinations

from django.db.models import Count, Exists, F, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from ls_plugin.models import CampaignProject, Excluded, Grant, Member, Slot, Stage
from ls_plugin.people.standings import CampaignPlace, can_work, to_person, words
from ls_plugin.queue.seats import next_step, reserve_for
from review_rules import Person, Role, may_take

# Somebody who took a task, or saved a draft, this short a time ago counts as at work.
AT_WORK = timedelta(minutes=15)
_ORDER = ("-wants_expert", "-taken", "task_id")


def queues_for(user_id: int, person: Person, place: CampaignPlace) -> Iterator[QuerySet[Slot]]:
    """The open slots with a free seat that the person may take, best first, without those they had before."""
    seats = Grant.objects.filter(task_id=OuterRef("task_id"), live=True, expires_at__gt=timezone.now()).order_by()
    reserved = Coalesce(Subquery(seats.values("task_id").annotate(count=Count("id")).values("count")), 0)
    had = Grant.objects.filter(task_id=OuterRef("task_id"), user_id=user_id)
    excluded = Excluded.objects.filter(task_id=OuterRef("task_id"), user_id=user_id)
    open_to = (
        Slot.objects.filter(project_id=place.project_id, open=True, taken__lt=F("capacity"))
        .filter(~Exists(had), ~Exists(excluded))
        .exclude(row_id="")
        .alias(reserved=reserved)
        .filter(taken__lt=F("capacity") - F("reserved"))
    )
    if place.stage is Stage.PASS and person.expertise:
        yield from _passes_of_an_expert(open_to, person, place)
        return
    for requires in _requirements(person, place):
        queue = open_to.filter(requires=requires).order_by(*_ORDER)
        spared = _spared_by(person, place) if requires == "" else []
        if spared:
            # Somebody less scarce is at work here: an expert gets only what all of these may not take.
            barred = Excluded.objects.filter(task_id=OuterRef("task_id"), user_id__in=spared).order_by()
            counted = barred.values("task_id").annotate(count=Count("id")).values("count")
            queue = queue.annotate(barred=Subquery(counted)).filter(barred=len(spared))
        yield queue


def _passes_of_an_expert(open_to: QuerySet[Slot], person: Person, place: CampaignPlace) -> Iterator[QuerySet[Slot]]:
    """Passes that need this person's expertise, then what anybody could do, then other experts' rows, then the rest."""
    alone = _only_expert_of(person, place)
    mine = sorted(person.expertise - alone)
    if mine:
        yield open_to.filter(requires="", wants_expert=True, domain__in=mine, has_expert=False).order_by(*_ORDER)
    yield open_to.filter(requires="", wants_expert=False).order_by(*_ORDER)
    # A row whose only expert did a pass would have nobody for its escalation: such rows come last.
    yield open_to.filter(requires="", wants_expert=True).exclude(domain__in=alone).order_by(*_ORDER)
    yield open_to.filter(requires="").order_by(*_ORDER)


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
