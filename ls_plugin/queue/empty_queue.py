"""Why there is nothing for somebody in a queue: done, or who has to go on first.

Annotators read no figures: from how many rows wait for an expert they could tell what became of their own answers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet

from ls_plugin.models import CampaignProject, Excluded, Grant, Slot, Stage
from ls_plugin.people.standings import CampaignPlace, words
from ls_plugin.queue.qualification import qualification_of
from ls_plugin.queue.seats import next_step
from ls_plugin.store.refusals import Refused
from review_rules import Person, State, may_take
from review_rules.values import ANY_EXPERT

_UNLABELLED = ("", State.AWAITING_PASSES.value)
_DONE = (State.FINAL.value, State.DISCARDED.value)


def why_empty(user_id: int, person: Person, place: CampaignPlace) -> Refused:
    """The refusal for somebody to whom nothing could be handed out: ``all_done``, or ``no_task`` with the reason."""
    states = _states(place.campaign_id)
    if states and all(state in _DONE for state in states):
        return Refused("all_done")
    return Refused("no_task", _reason(user_id, person, place, states))


def _reason(user_id: int, person: Person, place: CampaignPlace, states: Counter[str]) -> str:
    if not states:
        return "No rows have been imported yet: come back later."
    if place.stage is Stage.PASS:
        if any(states[state] for state in _UNLABELLED):
            return "You have labelled all that is open to you: the rows that are left wait for other people."
        return "Every row has its labels: QA and experts go on with them."
    waiting = _waiting(user_id, person, place)
    waiting["for labels"] += sum(states[state] for state in _UNLABELLED)
    if place.stage is Stage.EXPERT:
        waiting["for QA"] += states[State.AWAITING_QA.value]
    waiting["for a manager: nobody could decide or may take them"] += states[State.BLOCKED.value]
    most_first = sorted(waiting.items(), key=lambda entry: (-entry[1], entry[0]))
    parts = [_rows(count, why) for why, count in most_first if count]
    return f"Nothing for you at the moment: {'; '.join(parts) or 'the rows that are left are on their way'}."


def _states(campaign_id: int) -> Counter[str]:
    """How many rows stand where; rows with a known answer are nobody's to finish."""
    asked = qualification_of(campaign_id)
    first = CampaignProject.objects.filter(campaign_id=campaign_id, stage=Stage.PASS).values("project_id")
    rows = Slot.objects.filter(project_id__in=first).exclude(row_id__in=list(asked.rows) if asked else [])
    return Counter(dict(rows.order_by().values_list("state").annotate(count=Count("task_id"))))


def _waiting(user_id: int, person: Person, place: CampaignPlace) -> Counter[str]:
    """How many tasks of this review stage and the later ones wait for whom."""
    waiting = Counter[str]()
    projects = CampaignProject.objects.filter(campaign_id=place.campaign_id, stage__gte=place.stage)
    tasks = Slot.objects.filter(
        project_id__in=projects.values("project_id"), open=True, taken__lt=F("capacity")
    ).order_by()
    for stage, requires, count in tasks.values_list("stage", "requires").annotate(count=Count("task_id")):
        if stage != place.stage or not may_take(person, next_step(place.stage, requires)):
            waiting[_wanted(Stage(stage), requires)] += count
            continue
        barred = _barred(user_id, tasks.filter(stage=stage, requires=requires))
        waiting["for somebody else, as you had another part in them"] += barred
        waiting["in other people's hands"] += count - barred
    return waiting


def _barred(user_id: int, tasks: QuerySet[Slot]) -> int:
    """How many of these the person may not take, or had already."""
    excluded = Excluded.objects.filter(task_id=OuterRef("task_id"), user_id=user_id)
    had = Grant.objects.filter(task_id=OuterRef("task_id"), user_id=user_id)
    return tasks.filter(Q(Exists(excluded)) | Q(Exists(had))).count()


def _wanted(stage: Stage, requires: str) -> str:
    """Whom a task waits for."""
    domains = [word for word in words(requires) if word != ANY_EXPERT]
    if not domains:
        return "for an expert" if requires or stage is Stage.EXPERT else "for QA"
    return f"for {_article(domains)} {' and '.join(domains)} expert"


def _article(domains: Iterable[str]) -> str:
    return "an" if next(iter(domains))[:1].lower() in "aeiou" else "a"


def _rows(count: int, why: str) -> str:
    waits = "is" if why.startswith("in ") else "waits"
    return f"1 row {waits} {why}" if count == 1 else f"{count} rows {'are' if waits == 'is' else 'wait'} {why}"
