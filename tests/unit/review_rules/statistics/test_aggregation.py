"""Second opinions: the published example, and ties that are told and not broken."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from review_rules.statistics.aggregation import Method, aggregate, second_opinion
from review_rules.statistics.votes import VoteKind, collect_votes
from tests.unit.review_rules.statistics.published import anaesthetists

MODELS = [Method.DAWID_SKENE, Method.ONE_COIN]


def test_dawid_and_skenes_patients_come_out_as_printed() -> None:
    """Their table gives the classes' shares .40, .42, .11 and .07, and patient 36's class 4 over the majority's 3."""
    found = aggregate(anaesthetists(), Method.DAWID_SKENE)
    labels = Counter(opinion.label for opinion in found.opinions.values())
    assert [round(labels[label] / 45, 2) for label in (1, 2, 3, 4)] == [0.40, 0.42, 0.11, 0.07]
    assert found.opinions[36].label == 4
    assert aggregate(anaesthetists(), Method.MAJORITY).opinions[36].label == 3


def test_dawid_and_skene_leave_few_patients_in_doubt() -> None:
    """They print probabilities of 1.00 for all patients but a few; the lowest is still above .95."""
    found = aggregate(anaesthetists(), Method.DAWID_SKENE)
    sure = [opinion.probability for opinion in found.opinions.values()]
    assert sum(p < 0.995 for p in sure) <= 5
    assert min(sure) > 0.95


@pytest.mark.parametrize("method", list(Method))
def test_a_tie_is_told_and_no_label_picked(method: Method) -> None:
    """Two people who differ, alike in every way, leave a tie under each method."""
    votes = [(1, "ana", "A"), (1, "ben", "B"), (2, "ana", "B"), (2, "ben", "A"), (3, "ana", "A"), (3, "ben", "A")]
    votes += [(4, "ana", "B"), (4, "ben", "B")]
    found = aggregate(votes, method)
    for item in (1, 2):
        assert found.opinions[item].label is None
        assert found.opinions[item].tied == ("A", "B")
        assert found.opinions[item].probability == pytest.approx(0.5, abs=0.01)
    assert (found.opinions[3].label, found.opinions[4].label) == ("A", "B")


def test_a_near_tie_counts_as_a_tie_within_the_tolerance() -> None:
    """The tolerance decides how near is a tie."""
    votes = [(1, who, label) for who, label in zip("abcde", "AAABB", strict=True)]
    assert aggregate(votes, Method.MAJORITY).opinions[1].label == "A"
    assert aggregate(votes, Method.MAJORITY, tie_within=0.2).opinions[1].tied == ("A", "B")


@pytest.mark.parametrize("method", MODELS)
def test_models_find_out_who_is_accurate(method: Method) -> None:
    """With planted accuracies .95, .9, .8 and .6 each estimate is near the share of votes that are right."""
    rng = np.random.default_rng(0)
    planted = {"p95": 0.95, "p90": 0.9, "p80": 0.8, "p60": 0.6}
    truth = rng.integers(3, size=600)
    votes = [
        (item, who, int(truth[item]) if rng.random() < accuracy else int((truth[item] + rng.integers(1, 3)) % 3))
        for item in range(600)
        for who, accuracy in planted.items()
    ]
    found = aggregate(votes, method)
    for who in planted:
        right = np.mean([label == truth[item] for item, by, label in votes if by == who])
        assert found.accuracy[who] == pytest.approx(right, abs=0.03)
    correct = [found.opinions[item].label == truth[item] for item in range(600)]
    majority = aggregate(votes, Method.MAJORITY)
    assert np.mean(correct) > np.mean([majority.opinions[item].label == truth[item] for item in range(600)])


@pytest.mark.parametrize("method", list(Method))
def test_order_of_votes_does_not_matter(method: Method) -> None:
    """The same votes in another order give the same opinions, to the last bit."""
    votes = anaesthetists()
    assert aggregate(votes[::-1], method) == aggregate(votes, method)


@pytest.mark.parametrize("method", list(Method))
def test_no_votes_no_opinion(method: Method) -> None:
    """Nothing in, nothing out."""
    assert aggregate([], method).opinions == {}


@pytest.mark.parametrize("method", list(Method))
def test_a_label_nobody_disputes_is_given(method: Method) -> None:
    """With one class in the file every method gives it."""
    found = aggregate([(1, "a", "A"), (1, "b", "A"), (2, "a", "A")], method)
    assert {opinion.label for opinion in found.opinions.values()} == {"A"}
    assert found.accuracy["a"] == pytest.approx(1)


def test_second_opinion_sends_ties_and_differences_to_qa() -> None:
    """An item goes to QA where a method ties or methods differ, and the reason says which."""
    votes = anaesthetists()
    once = {(item, who): label for item, who, label in votes}  # one answer each
    found = second_opinion(collect_votes([(i, w, str(label)) for (i, w), label in once.items()], VoteKind.CHOICE))
    rows = {row["item_id"]: row for row in found.rows()}
    assert {row["to_qa"] for row in rows.values()} == {None, "tie", "methods differ"}
    for row in rows.values():
        opinions = [row[method.value] for method in Method]
        tied = any(opinion["tie"] for opinion in opinions)
        differ = len({opinion["label"] for opinion in opinions}) > 1
        assert row["to_qa"] == ("tie" if tied else "methods differ" if differ else None)
        assert row["votes"] == 5
    people = found.annotators()
    assert [person["votes"] for person in people] == [45] * 5
    assert all(0.5 < accuracy < 1 for person in people for accuracy in person["accuracy"].values())


def test_second_opinion_takes_ratings_as_classes() -> None:
    """Ratings are aggregated as classes and stay numbers."""
    votes = [(item, who, 4 + item % 2) for item in range(6) for who in "abc"]
    rows = second_opinion(collect_votes(votes, VoteKind.RATING)).rows()
    assert {row["dawid_skene"]["label"] for row in rows} == {4.0, 5.0}


def test_second_opinion_refuses_sets() -> None:
    """Sets of labels or spans have no agreed model of errors."""
    with pytest.raises(ValueError, match="use choice or rating"):
        second_opinion(collect_votes([(1, "a", [])], VoteKind.SPANS))
