"""A person's own figures beside the target and the team's: of today, the last seven days and the seven before.

What others said enters as a median of at least five people alone, each with at least ten answers, and of agreement and
overturns over decided rows alone. The team is compared on the person's own mix of work: of each other the mean within
every stage, domain and third of lengths, weighted by how much of the person's work lies there.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from statistics import fmean, median, quantiles
from typing import Any, Final

from django.db.models import OuterRef, Subquery, TextField
from django.db.models.functions import Cast, Length
from django.utils import timezone
from tasks.models import Annotation

from ls_plugin.models import Campaign, CampaignProject, Grant, Slot
from ls_plugin.pages.outcomes import LOOKED_THROUGH, OwnAnswer, decided_answers, start_of_day, work_between
from ls_plugin.pages.told_rows import decide_rows, expose_rows
from ls_plugin.people import rulebook
from ls_plugin.queue.campaigns import read_campaign
from ls_plugin.queue.overturns import note_overturns
from ls_plugin.store.slots import slots_of
from review_rules.statistics.intervals import wilson

LEAST_ROWS: Final = 10
"""Answers below which no share of a person is shown or enters a median: of fewer it says nothing."""
LEAST_OTHERS: Final = 5
"""Others of the team below which no median is shown: of fewer it would tell of single people."""
MOST_ANSWERS: Final = 1500
"""The newest answers of others, and of one's own, in each week that shares and medians of pace are made of."""
_WEEK: Final = timedelta(days=7)


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnPeriod:
    """A person's work in a stretch of time, with the medians of the others on the same mix of work.

    Attributes:
        name: what people call it.
        answered: answers, decided or not.
        hours: the time that their forms were open.
        pace: answers an hour; None for fewer than `LEAST_ROWS`.
        rows: decided rows among them, out of the newest `LOOKED_THROUGH`.
        overturned: of these, those that QA or an expert changed or discarded.
        share, low, high: the share of them with its interval; None for fewer than `LEAST_ROWS` rows.
        agreement: mean share of fields on which the passes of these rows agreed; None likewise, and without passes.
        team_answered, team_pace, team_share, team_agreement: medians of the others; None for too few people.
    """

    name: str
    answered: int
    hours: float
    pace: float | None
    rows: int
    overturned: int
    share: float | None
    low: float | None
    high: float | None
    agreement: float | None
    team_answered: float | None
    team_pace: float | None
    team_share: float | None
    team_agreement: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnTargets:
    """What the policy sets as targets; None for what it does not: rows an hour, agreement, most that is overturned."""

    pace: float | None
    agreement: float | None
    share: float | None

    @property
    def is_set(self) -> bool:
        """Whether there is any."""
        return any(target is not None for target in (self.pace, self.agreement, self.share))


_Kind = tuple[int, str, int]
"""What work is like: its stage, its domain and its third of lengths."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Work:
    """One answer; ``overturned`` and ``agreed`` are None while its row is not decided."""

    pk: int
    user: int
    kind: _Kind
    at: datetime
    seconds: float | None
    overturned: bool | None
    agreed: float | None


_Figure = Callable[[_Work], float | None]


def targets_of(campaign: Campaign) -> OwnTargets:
    """The targets of the campaign's policy; the overturned share is what its accuracy leaves."""
    targets = rulebook.read_policy(campaign.policy_text).targets
    share = None if targets.accuracy is None else 1 - targets.accuracy
    return OwnTargets(pace=targets.rows_per_hour, agreement=targets.agreement, share=share)


def own_periods(campaign: Campaign, user_id: int) -> tuple[OwnPeriod, ...]:
    """A person's figures of today, the last seven days and the seven before; they are told of the rows counted."""
    newest = list(islice(decided_answers(campaign, user_id, None), LOOKED_THROUGH))
    _note_missing(campaign, user_id, newest)
    _expose_counted(campaign, user_id, newest)
    now = timezone.now()
    decided, week = {answer.pk for answer in newest}, now - _WEEK
    stretches = (
        ("Today", start_of_day(now), now),
        ("Last 7 days", week, now),
        ("The 7 days before", week - _WEEK, week),
    )
    works = {start: _work_in(campaign, user_id, start, start + _WEEK) for start in (week, week - _WEEK)}
    return tuple(
        _period(
            name,
            user_id,
            work_between(campaign, start, end),
            [each for each in works[start if start in works else week] if start <= each.at < end],
            decided,
        )
        for name, start, end in stretches
    )


def _note_missing(campaign: Campaign, user_id: int, answers: Sequence[OwnAnswer]) -> None:
    """Note what became of answers to rows that a version before this one decided."""
    hand_outs = Grant.objects.filter(user_id=user_id, overturned__isnull=True)
    tasks = set(hand_outs.filter(task_id__in=[answer.task_id for answer in answers]).values_list("task_id", flat=True))
    missing = [answer.row_id for answer in answers if answer.task_id in tasks]
    if missing:
        note_overturns(read_campaign(campaign.pk), decide_rows(campaign, missing).values())


def _expose_counted(campaign: Campaign, user_id: int, answers: Sequence[OwnAnswer]) -> None:
    """Write down what the count of one's overturned rows tells: what others said there at one's stage or later."""
    places = {
        task: (row_id, stage)
        for task, row_id, stage in slots_of(campaign.pk, [answer.row_id for answer in answers]).values_list(
            "task_id", "row_id", "stage"
        )
    }
    answers_there = Annotation.objects.filter(task_id__in=list(places), was_cancelled=False)
    said_by = [(*places[task], user) for task, user in answers_there.values_list("task_id", "completed_by_id")]
    own = {row_id: stage for row_id, stage, user in sorted(said_by, key=lambda each: each[1]) if user == user_id}
    telling = {row_id for row_id, stage, user in said_by if user != user_id and stage >= own.get(row_id, 0)}
    expose_rows(campaign, user_id, sorted(telling))


def _work_in(campaign: Campaign, user_id: int, start: datetime, end: datetime) -> list[_Work]:
    """The newest answers of the others in a stretch of time, and of the person as many."""
    stages = dict(CampaignProject.objects.filter(campaign=campaign).values_list("project_id", "stage"))
    answers_there = Annotation.objects.filter(project_id__in=list(stages), was_cancelled=False)
    answers_there = answers_there.filter(created_at__gte=start, created_at__lt=end)
    hand_out = Grant.objects.filter(task_id=OuterRef("task_id"), user_id=OuterRef("completed_by_id"))
    slot = Slot.objects.filter(task_id=OuterRef("task_id"))
    known = answers_there.annotate(
        overturned=Subquery(hand_out.values("overturned")[:1]),
        agreed=Subquery(slot.values("agreed")[:1]),
        domain=Subquery(slot.values("domain")[:1]),
        length=Length(Cast("task__data", TextField())),
    ).order_by("-pk")
    columns = ("pk", "completed_by_id", "project_id", "domain", "length", "created_at", "lead_time", "overturned")
    read: dict[int, tuple[Any, ...]] = {}
    for part in (known.exclude(completed_by_id=user_id), known.filter(completed_by_id=user_id)):
        read |= {row[0]: row for row in part.values_list(*columns, "agreed")[:MOST_ANSWERS]}
    thirds = _thirds((stages[row[2]], row[4]) for row in read.values())
    return [
        _Work(
            pk=pk,
            user=user or 0,
            kind=(stages[project], domain or "", thirds(stages[project], length)),
            at=at,
            seconds=seconds,
            overturned=overturned,
            agreed=agreed if overturned is not None else None,
        )
        for pk, user, project, domain, length, at, seconds, overturned, agreed in read.values()
    ]


def _thirds(lengths: Iterable[tuple[int, int]]) -> Callable[[int, int], int]:
    """In which third of a stage's tasks by length one lies: 0, 1 or 2."""
    by_stage = defaultdict[int, list[int]](list)
    for stage, length in lengths:
        by_stage[stage].append(length)
    bounds = {stage: quantiles(each, n=3) if len(each) > 1 else [] for stage, each in by_stage.items()}
    return lambda stage, length: sum(length > bound for bound in bounds.get(stage, ()))


def _period(
    name: str, user_id: int, work_of: Mapping[int, tuple[int, float]], work: Sequence[_Work], decided: set[int]
) -> OwnPeriod:
    own = [each for each in work if each.user == user_id]
    others = [each for each in work if each.user != user_id]
    counted = [each for each in own if each.pk in decided and each.overturned is not None]
    overturned = sum(bool(each.overturned) for each in counted)
    enough = len(counted) >= LEAST_ROWS
    low, high = wilson(overturned, len(counted)) if enough else (None, None)
    agreed = [each.agreed for each in counted if each.agreed is not None]
    seconds = [each.seconds for each in own if each.seconds]
    answered, seconds_open = work_of.get(user_id, (0, 0.0))
    counts = [count for user, (count, _) in work_of.items() if user != user_id]
    team_seconds = _team(own, others, _seconds)
    return OwnPeriod(
        name=name,
        answered=answered,
        hours=round(seconds_open / 3600, 2),
        pace=3600 / fmean(seconds) if len(seconds) >= LEAST_ROWS else None,
        rows=len(counted),
        overturned=overturned,
        share=overturned / len(counted) if enough else None,
        low=low,
        high=high,
        agreement=fmean(agreed) if enough and agreed else None,
        team_answered=median(counts) if len(counts) >= LEAST_OTHERS else None,
        team_pace=3600 / team_seconds if team_seconds else None,
        team_share=_team(counted, others, _overturned),
        team_agreement=_team(counted, others, _agreed),
    )


def _seconds(work: _Work) -> float | None:
    return work.seconds or None


def _overturned(work: _Work) -> float | None:
    return None if work.overturned is None else float(work.overturned)


def _agreed(work: _Work) -> float | None:
    return work.agreed


def _team(own: Iterable[_Work], others: Iterable[_Work], figure: _Figure) -> float | None:
    """The median of the others' figures on the mix of one's own work; None for too few people with enough of it."""
    weights = Counter(each.kind for each in own if figure(each) is not None)
    by_person = defaultdict[int, dict[_Kind, list[float]]](lambda: defaultdict(list))
    for each in others:
        value = figure(each)
        if value is not None and each.kind in weights:
            by_person[each.user][each.kind].append(value)
    means = [
        sum(weights[kind] * fmean(values) for kind, values in kinds.items()) / sum(weights[kind] for kind in kinds)
        for kinds in by_person.values()
        if sum(map(len, kinds.values())) >= LEAST_ROWS
    ]
    return median(means) if len(means) >= LEAST_OTHERS else None
