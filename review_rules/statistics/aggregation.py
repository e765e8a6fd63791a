"""A second opinion beside QA: which label a model of the annotators would give, and how good it takes them to be.

Nothing here decides. A tie is told as a tie and belongs to QA: with two votes apart, "the" most likely label is only
the one that a sort happened to put first. Needs the extra `stats` (crowd-kit).

Sources: Dawid and Skene, Applied Statistics 28 (1979); Zhang et al., JMLR 17 (2016) for the one-coin model.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from review_rules.statistics.votes import VoteKind, Votes

TIE_WITHIN = 0.01
"""Labels whose probabilities differ by at most this are a tie: EM's own tolerance leaves less than that in doubt."""
ITERATIONS = 1_000
TOLERANCE = 1e-6


class Method(StrEnum):
    """How votes become one label: by counting, or by a model of each annotator's errors."""

    MAJORITY = "majority"
    DAWID_SKENE = "dawid_skene"
    ONE_COIN = "one_coin"


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one method says of one item.

    Args:
        label: the most likely label; None at a tie.
        probability: of that label (of each tied one); for the majority its share of the votes.
        tied: the labels in a tie, ascending; else empty.
    """

    label: Any
    probability: float
    tied: tuple[Any, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return label, probability and tie.

        >>> Opinion(None, 0.5, ("A", "B")).to_json()
        {'label': None, 'probability': 0.5, 'tie': ['A', 'B']}
        """
        return {"label": self.label, "probability": self.probability, "tie": list(self.tied)}


@dataclass(frozen=True, slots=True)
class Aggregation:
    """One method's opinion of each item, and its estimate of each annotator.

    Args:
        opinions: by item.
        accuracy: by annotator: the expected share of their votes that are right, if the method is.
    """

    opinions: dict[Hashable, Opinion]
    accuracy: dict[Hashable, float]


def aggregate(
    votes: Sequence[tuple[Hashable, Hashable, Any]], method: Method, *, tie_within: float = TIE_WITHIN
) -> Aggregation:
    """Aggregate votes of one class each.

    Args:
        votes: (item, annotator, label); one annotator may vote on an item more than once. Labels are of one sortable
            type.
        method: majority, Dawid-Skene (a confusion matrix each) or one-coin (one accuracy each).
        tie_within: how close the two likeliest labels' probabilities have to be to count as a tie.

    >>> votes = [(1, "ana", "A"), (1, "ben", "B"), (2, "ana", "A"), (2, "ben", "A")]
    >>> found = aggregate(votes, Method.MAJORITY)
    >>> found.opinions[1].tied, found.opinions[2].label, found.accuracy
    (('A', 'B'), 'A', {'ana': 0.75, 'ben': 0.75})
    """
    if not votes:
        return Aggregation({}, {})
    labels = sorted({label for _, _, label in votes})
    code = {label: place for place, label in enumerate(labels)}
    # In a fixed order, so that the last bits of the sums do not hang on the order of the lines.
    coded = sorted(
        ((str(item), item, str(by), by, code[label]) for item, by, label in votes), key=lambda vote: vote[::2]
    )
    ballots = [(item, by, label) for _, item, _, by, label in coded]
    shares = _shares(ballots, len(labels)) if method is Method.MAJORITY else _model(ballots, len(labels), method)
    opinions = {item: _opinion(share, labels, tie_within) for item, share in shares.items()}
    right, cast = Counter[Hashable](), Counter[Hashable]()
    for item, by, label in ballots:
        right[by] += shares[item][label]  # type: ignore[assignment]  # a counter of expected votes
        cast[by] += 1
    return Aggregation(opinions, {by: right[by] / number for by, number in cast.items()})


def _opinion(share: Sequence[float], labels: Sequence[Any], tie_within: float) -> Opinion:
    best = max(share)
    likely = [label for label, probability in zip(labels, share, strict=True) if probability >= best - tie_within]
    return Opinion(likely[0], best) if len(likely) == 1 else Opinion(None, best, tuple(likely))


_Ballots = Sequence[tuple[Hashable, Hashable, int]]


def _shares(ballots: _Ballots, labels: int) -> dict[Hashable, list[float]]:
    counts: dict[Hashable, list[float]] = {}
    for item, _, label in ballots:
        counts.setdefault(item, [0.0] * labels)[label] += 1
    return {item: [number / sum(count) for number in count] for item, count in counts.items()}


def _model(ballots: _Ballots, labels: int, method: Method) -> dict[Hashable, list[float]]:
    """Fit a crowd-kit model; give each item's probabilities by label."""
    import pandas as pd
    from crowdkit.aggregation import DawidSkene, OneCoinDawidSkene

    items = list(dict.fromkeys(item for item, _, _ in ballots))
    place = {item: number for number, item in enumerate(items)}
    people = {by: number for number, by in enumerate(dict.fromkeys(by for _, by, _ in ballots))}
    rows = [(place[item], people[by], label) for item, by, label in ballots]
    model = (DawidSkene if method is Method.DAWID_SKENE else OneCoinDawidSkene)(n_iter=ITERATIONS, tol=TOLERANCE)
    with warnings.catch_warnings():
        # crowd-kit 1.4.2 calls pandas in ways that pandas 3 announces to drop.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        model.fit(pd.DataFrame(rows, columns=["task", "worker", "label"]))
    probabilities = model.probas_.reindex(index=range(len(items)), columns=range(labels), fill_value=0.0)
    return dict(zip(items, probabilities.to_numpy().tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class SecondOpinion:
    """All methods on one file of votes."""

    votes: Votes
    by_method: dict[Method, Aggregation]

    def rows(self) -> list[dict[str, Any]]:
        """Say for each item what the methods hold, and whether QA has to look because they tie or differ."""
        cast = Counter(self.votes.item.tolist())
        out = []
        for place, item in enumerate(self.votes.items):
            opinions = {method: aggregation.opinions[place] for method, aggregation in self.by_method.items()}
            tied = any(opinion.tied for opinion in opinions.values())
            differ = len({opinion.label for opinion in opinions.values() if not opinion.tied}) > 1
            out.append(
                {
                    "item_id": item,
                    "votes": cast[place],
                    **{method.value: opinion.to_json() for method, opinion in opinions.items()},
                    "to_qa": "tie" if tied else "methods differ" if differ else None,
                }
            )
        return out

    def annotators(self) -> list[dict[str, Any]]:
        """Give each annotator's number of votes and estimated accuracy by method."""
        cast = Counter(self.votes.annotator.tolist())
        return [
            {
                "annotator": name,
                "votes": cast[by],
                "accuracy": {method.value: aggregation.accuracy[by] for method, aggregation in self.by_method.items()},
            }
            for by, name in enumerate(self.votes.annotators)
        ]


def second_opinion(votes: Votes, *, tie_within: float = TIE_WITHIN) -> SecondOpinion:
    """Aggregate a file of choices or ratings by every method; ratings count as classes.

    Raises:
        ValueError: the votes are sets; there is no agreed model of their errors.
    """
    if votes.kind not in (VoteKind.CHOICE, VoteKind.RATING):
        raise ValueError(f"a second opinion needs one class a vote, and these are {votes.kind}: use choice or rating")
    values = [votes.values[code] for code in votes.code.tolist()]
    ballots = list(zip(votes.item.tolist(), votes.annotator.tolist(), values, strict=True))
    return SecondOpinion(votes, {method: aggregate(ballots, method, tie_within=tie_within) for method in Method})
