"""A person's trial: the qualification rows that are theirs to answer, mixed among other rows, and how it ended.

Nobody is asked all rows of a qualification, and each person gets theirs in an order of their own, so that who has been
through can tell others little. Whether a row of the trial or an ordinary one comes next is drawn; a skipped one does
not come back, and another takes its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from math import ceil, floor

from django.db.models import Q

from ls_plugin.models import Grant, Slot
from ls_plugin.people.standings import CampaignPlace
from ls_plugin.queue import qualification
from ls_plugin.queue.draws import draw
from ls_plugin.queue.qualification import KnownResult, QualificationRows, Score
from ls_plugin.store.refusals import Refused

# Of the rows of a qualification one person is asked two thirds.
_SEEN = 2, 3


class TrialState(Enum):
    """Where a person stands with a qualification."""

    OPEN = auto()
    PASSED = auto()
    BELOW = auto()


@dataclass(frozen=True, slots=True)
class Shortfall:
    """What keeps somebody below the bar: the share that they have and the one that is needed, of all or of a field."""

    share: float
    needed: float
    field: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """A person's trial.

    Attributes:
        state: where they stand.
        wanted: how many rows they are asked.
        left: the rows that they may still be asked, in their order.
        share: what they got right, once it has ended.
        short: what keeps them below the bar.
    """

    state: TrialState
    wanted: int
    left: tuple[str, ...] = ()
    share: float = 0.0
    short: Shortfall | None = None

    def refusal(self, asked: QualificationRows) -> Refused:
        """What somebody reads who is below the bar."""
        short = self.short or Shortfall(self.share, asked.bar)
        # Rounded down: who is below the bar must not read that both are the same.
        right, needed = floor(short.share * 100), ceil(short.needed * 100)
        about = f" about {short.field.replace('_', ' ')}" if short.field else ""
        sentence = f"You are paused: {right} % of your answers to rows with known answers were right{about}, {needed} %"
        return Refused("qualify", f"{sentence} are needed. A manager can help you on.")


def seen_of(rows: int) -> int:
    """How many of so many rows one person is asked."""
    return ceil(rows * _SEEN[0] / _SEEN[1])


def ended(score: Score, asked: QualificationRows, bar: float, wanted: int, lacking: int = 0) -> Trial:
    """How a trial ended.

    Args:
        score: what the person got right.
        asked: the qualification.
        bar: the share that is needed.
        wanted: how many rows they were asked.
        lacking: known fields of rows that they skipped until none was left, which count as wrong.
    """
    share = score.right / (score.compared + lacking) if score.compared else 0.0
    short = None if not wanted or share >= bar else Shortfall(share, bar)
    for name, needed in asked.terms.fields.items():
        right, compared = score.fields.get(name, (0, 0))
        if short is None and compared and right / compared < needed:
            short = Shortfall(right / compared, needed, name)
    return Trial(TrialState.PASSED if short is None else TrialState.BELOW, wanted, share=share, short=short)


@dataclass(frozen=True, slots=True)
class KnownWork:
    """What a person did of the known rows in the Pass project.

    Attributes:
        asked: the qualification.
        domains: row id → its domain, in the order in which this person is asked them.
        skipped: the rows that they skipped.
        results: what they got right.
    """

    asked: QualificationRows
    domains: Mapping[str, str]
    skipped: frozenset[str]
    results: tuple[KnownResult, ...]

    @classmethod
    def read(cls, user_id: int, place: CampaignPlace, asked: QualificationRows) -> KnownWork:
        """What the database says of it; `place` is the Pass project."""
        slots = Slot.objects.filter(project_id=place.project_id, row_id__in=list(asked.rows))
        listed = list(slots.values_list("task_id", "row_id", "domain"))
        row_of, domain_of = ({each[0]: each[1] for each in listed}, {each[1]: each[2] for each in listed})
        order = sorted(domain_of, key=lambda row_id: draw("trial", place.campaign_id, user_id, row_id))
        passed_on = Grant.objects.filter(task_id__in=list(row_of), user_id=user_id, skipped=True)
        skipped = frozenset(row_of[task] for task in passed_on.values_list("task_id", flat=True))
        results = tuple(qualification.results_of(user_id, place, asked))
        return cls(asked, {row_id: domain_of[row_id] for row_id in order}, skipped, results)

    def rows(self, domain: str = "") -> list[str]:
        """The known rows of a domain, or all, in the person's order."""
        return [row_id for row_id, each in self.domains.items() if domain in ("", each)]

    def results_in(self, domain: str = "") -> list[KnownResult]:
        """What they got right of these."""
        rows = set(self.rows(domain))
        return [result for result in self.results if result.row_id in rows]

    def trial(self, bar: float, domain: str = "") -> Trial:
        """Where the person stands with the rows of a domain, or with all."""
        order = self.rows(domain)
        wanted, score = seen_of(len(order)), Score.of(self.results_in(domain), self.asked)
        skipped = self.skipped & set(order)
        left = [row_id for row_id in order if row_id not in score.rows and row_id not in skipped]
        missing = wanted - len(score.rows)
        if missing > 0 and left:
            return Trial(TrialState.OPEN, wanted, tuple(left[:missing]))
        # Whoever skips until nothing is left has not shown what they can.
        lacking = sum(len(self.asked.rows[row_id]) for row_id in sorted(skipped)[: max(0, missing)])
        return ended(score, self.asked, bar, wanted, lacking)


def trial_of(user_id: int, place: CampaignPlace, asked: QualificationRows) -> Trial:
    """Where a person stands at the passes.

    Args:
        user_id: the account.
        place: the Pass project.
        asked: the qualification.
    """
    return KnownWork.read(user_id, place, asked).trial(asked.bar)


def mixed(user_id: int, place: CampaignPlace, asked: QualificationRows, trial: Trial, ordinary: Q) -> list[Q]:
    """What a person who is on trial is handed next: the choices of rows, best first.

    Args:
        user_id: the account.
        place: the Pass project.
        asked: the qualification.
        trial: their trial.
        ordinary: the rows that come between those of the trial.
    """
    known = Q(row_id__in=list(asked.rows))
    ours = [Q(row_id=row_id) for row_id in trial.left]
    had = Grant.objects.filter(project_id=place.project_id, user_id=user_id)
    tasks = Slot.objects.filter(known, project_id=place.project_id).values("task_id")
    first = had.filter(task_id__in=tasks).order_by("given_at").values_list("given_at", flat=True).first()
    among = 0 if first is None else had.filter(given_at__gt=first).exclude(task_id__in=tasks).count()
    # As many ordinary rows as rows of the trial at most: the trial comes to its end.
    if among >= trial.wanted or draw("turn", place.campaign_id, user_id, had.count()) < 0.5:
        return [*ours, ordinary]
    return [ordinary, *ours]
