"""A person's trial: the qualification rows that are theirs to answer, mixed among other rows, and how it ended.

Nobody is asked all rows of a qualification, and each person gets theirs in an order of their own, so that who has been
through can tell others little. Whether a row of the trial or an ordinary one comes next is drawn; a skipped one does
not come back, and another takes its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from math import ceil, floor

from django.db.models import Q

from ls_plugin.models import CampaignProject, Grant, Slot, Stage
from ls_plugin.people.standings import CampaignPlace
from ls_plugin.queue import qualification
from ls_plugin.queue.draws import draw
from ls_plugin.queue.qualification import QualificationRows
from ls_plugin.store.refusals import Refused
from review_rules import Person, Role

# Of the rows of a qualification one person is asked two thirds.
_SEEN = 2, 3


class TrialState(Enum):
    """Where a person stands with a qualification."""

    OPEN = auto()
    PASSED = auto()
    BELOW = auto()


@dataclass(frozen=True, slots=True)
class Trial:
    """A person's trial.

    Attributes:
        state: where they stand.
        wanted: how many rows they are asked.
        left: the rows that they may still be asked, in their order.
        share: what they got right, once it has ended.
    """

    state: TrialState
    wanted: int
    left: tuple[str, ...] = ()
    share: float = 0.0

    def refusal(self, asked: QualificationRows) -> Refused:
        """What somebody reads who is below the bar."""
        # Rounded down: who is below the bar must not read that both are the same.
        right, needed = floor(self.share * 100), ceil(asked.bar * 100)
        sentence = f"You are paused: {right} % of your answers to rows with known answers were right, {needed} % are"
        return Refused("qualify", f"{sentence} needed. A manager can help you on.")


def trial_of(user_id: int, place: CampaignPlace, asked: QualificationRows) -> Trial:
    """Where a person stands.

    Args:
        user_id: the account.
        place: the Pass project.
        asked: the qualification.
    """
    slots = Slot.objects.filter(project_id=place.project_id, row_id__in=list(asked.rows))
    row_of = dict(slots.values_list("task_id", "row_id"))
    order = sorted(set(row_of.values()), key=lambda row_id: draw("trial", place.campaign_id, user_id, row_id))
    wanted = ceil(len(order) * _SEEN[0] / _SEEN[1])
    passed_on = Grant.objects.filter(task_id__in=list(row_of), user_id=user_id, skipped=True)
    skipped = {row_of[task] for task in passed_on.values_list("task_id", flat=True)}
    score = qualification.score(user_id, place, asked)
    left = [row_id for row_id in order if row_id not in score.rows and row_id not in skipped]
    missing = wanted - len(score.rows)
    if missing > 0 and left:
        return Trial(TrialState.OPEN, wanted, tuple(left[:missing]))
    # Whoever skips until nothing is left has not shown what they can.
    lacking = sum(len(asked.rows[row_id]) for row_id in sorted(skipped)[: max(0, missing)])
    share = score.right / (score.compared + lacking) if score.compared else 0.0
    return Trial(TrialState.PASSED if not wanted or share >= asked.bar else TrialState.BELOW, wanted, share=share)


def require_passed(user_id: int, person: Person, campaign_id: int) -> None:
    """Keep somebody from reviews who can show at the passes what they can, and has not.

    Raises:
        Refused: ``qualify``.
    """
    asked = qualification.qualification_of(campaign_id)
    if asked is None or Role.ANNOTATOR not in person.roles:
        return
    first = CampaignProject.objects.get(campaign_id=campaign_id, stage=Stage.PASS)
    trial = trial_of(user_id, CampaignPlace(first.project_id, campaign_id, Stage.PASS), asked)
    if trial.state is TrialState.BELOW:
        raise trial.refusal(asked)
    if trial.state is TrialState.OPEN:
        raise Refused("qualify", "Reviews come after your first rows in the Pass project: label some there first.")


def mixed(user_id: int, place: CampaignPlace, asked: QualificationRows, trial: Trial) -> list[Q]:
    """What a person who is on trial is handed next: the choices of rows, best first."""
    known = Q(row_id__in=list(asked.rows))
    ours = [Q(row_id=row_id) for row_id in trial.left]
    had = Grant.objects.filter(project_id=place.project_id, user_id=user_id)
    tasks = Slot.objects.filter(known, project_id=place.project_id).values("task_id")
    first = had.filter(task_id__in=tasks).order_by("given_at").values_list("given_at", flat=True).first()
    among = 0 if first is None else had.filter(given_at__gt=first).exclude(task_id__in=tasks).count()
    # As many ordinary rows as rows of the trial at most: the trial comes to its end.
    if among >= trial.wanted or draw("turn", place.campaign_id, user_id, had.count()) < 0.5:
        return [*ours, ~known]
    return [~known, *ours]
