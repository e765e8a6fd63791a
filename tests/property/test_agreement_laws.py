"""Laws of agreement that hold for any votes, and nltk as a second source."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nltk.metrics import binary_distance, interval_distance
from nltk.metrics.agreement import AnnotationTask

from review_rules.statistics.agreement import agreement, masi_distance
from review_rules.statistics.votes import VoteKind, collect_votes
from tests.support.laws import examples

Triples = list[tuple[int, str, Any]]

SCALES: dict[VoteKind, st.SearchStrategy[Any]] = {
    VoteKind.CHOICE: st.sampled_from("ABCD"),
    VoteKind.CHOICES: st.lists(st.sampled_from("ABC"), unique=True),
    VoteKind.RATING: st.sampled_from([1, 2, 3, 3.5, 10]),
    VoteKind.SPANS: st.lists(
        st.builds(
            lambda start, length, label: {"start": start, "end": start + length, "label": label},
            st.integers(0, 12),
            st.integers(1, 6),
            st.sampled_from("AB"),
        ),
        max_size=3,
    ),
}


@st.composite
def votes_of(draw: st.DrawFn, kind: VoteKind) -> Triples:
    """Up to 12 items, each voted on by up to 4 people."""
    people = st.sampled_from(["p", "q", "r", "s"])
    items = draw(st.lists(st.dictionaries(people, SCALES[kind], max_size=4), max_size=12))
    return [(item, who, value) for item, votes in enumerate(items) for who, value in votes.items()]


LAW = settings(deadline=None, max_examples=examples(50), suppress_health_check=[HealthCheck.too_slow])
"""A busy machine is no reason to fail: examples are few and have no deadline."""

KINDS = pytest.mark.parametrize("kind", list(VoteKind))


def figures(votes: Triples, kind: VoteKind) -> dict[str, Any]:
    """All figures as JSON, with few draws."""
    return agreement(collect_votes(votes, kind), draws=100).to_json()


@KINDS
@LAW
@given(st.data())
def test_no_votes_make_it_raise_and_figures_stay_in_range(kind: VoteKind, data: st.DataObject) -> None:
    """Every figure is null with a reason or at most 1; shares are at least 0; an interval is in order."""
    found = agreement(collect_votes(data.draw(votes_of(kind)), kind), draws=100)
    every = {**found.figures, **{f"kappa{n}": pair.figure for n, pair in enumerate(found.kappa or ())}}
    for name, figure in every.items():
        if figure.value is None:
            assert figure.reason
            assert figure.low is figure.high is None
            continue
        assert figure.value <= 1 + 1e-12
        assert figure.value >= (0 if name == "percent" or name.startswith("span_f1") else -10)
        if figure.low is not None and figure.high is not None:
            assert figure.low <= figure.high <= 1 + 1e-12
        else:
            assert figure.reason


@KINDS
@LAW
@given(st.data(), st.randoms(use_true_random=False))
def test_order_of_lines_does_not_matter(kind: VoteKind, data: st.DataObject, rng: random.Random) -> None:
    """Shuffling the lines changes no figure and no interval."""
    votes = data.draw(votes_of(kind))
    shuffled = rng.sample(votes, len(votes))
    assert figures(shuffled, kind) == figures(votes, kind)


@KINDS
@LAW
@given(st.data())
def test_names_of_people_and_items_do_not_matter(kind: VoteKind, data: st.DataObject) -> None:
    """Renaming people (in order) and items changes only the names."""
    votes = data.draw(votes_of(kind))
    renamed = [(-item, who + "!", value) for item, who, value in votes]
    one, other = figures(votes, kind), figures(renamed, kind)
    for pair in one.get("kappa", []) + other.get("kappa", []):
        pair["a"] = str(pair["a"]).rstrip("!")
        pair["b"] = str(pair["b"]).rstrip("!")
    assert one == other


@LAW
@given(votes_of(VoteKind.CHOICE), st.permutations("ABCD"))
def test_relabelling_classes_does_not_change_nominal_figures(votes: Triples, names: list[str]) -> None:
    """Nominal figures know no order of classes."""
    relabelled = [(item, who, names["ABCD".index(value)]) for item, who, value in votes]
    one = agreement(collect_votes(votes, VoteKind.CHOICE), draws=100)
    other = agreement(collect_votes(relabelled, VoteKind.CHOICE), draws=100)
    for name, figure in one.figures.items():
        assert other.figures[name].value == pytest.approx(figure.value, abs=1e-12)


@LAW
@given(votes_of(VoteKind.RATING), st.sampled_from([(2.0, 3.0), (-1.0, 0.0)]))
def test_scaling_ratings_does_not_change_any_figure(votes: Triples, change: tuple[float, float]) -> None:
    """Interval alpha is free of unit and zero, the others of anything but the order; turning it round is no matter."""
    factor, shift = change
    scaled = [(item, who, factor * value + shift) for item, who, value in votes]
    one = agreement(collect_votes(votes, VoteKind.RATING), draws=100)
    other = agreement(collect_votes(scaled, VoteKind.RATING), draws=100)
    for name, figure in one.figures.items():
        assert other.figures[name].value == pytest.approx(figure.value, abs=1e-9)


@KINDS
@LAW
@given(st.data())
def test_perfect_agreement_is_one(kind: VoteKind, data: st.DataObject) -> None:
    """If everybody says the same of each item, every defined figure is exactly 1."""
    values = data.draw(st.lists(SCALES[kind], min_size=1, max_size=8))
    votes = [(item, who, value) for item, value in enumerate(values) for who in ("p", "q", "r")]
    found = agreement(collect_votes(votes, kind), draws=100)
    assert {figure.value for figure in found.figures.values()} <= {1.0, None}


@KINDS
@LAW
@given(st.data())
def test_a_further_item_with_one_rating_leaves_pairwise_figures(kind: VoteKind, data: st.DataObject) -> None:
    """What was rated once pairs with nothing: percent, alpha, kappa and F1 stay (AC's prevalence may move)."""
    votes = data.draw(votes_of(kind))
    value = data.draw(SCALES[kind])
    one = agreement(collect_votes(votes, kind), draws=100)
    more = agreement(collect_votes([*votes, (99, "p", value)], kind), draws=100)
    for name, figure in one.figures.items():
        if not name.startswith("ac"):
            assert more.figures[name].value == pytest.approx(figure.value, abs=1e-9)


ORACLES = {
    "alpha.nominal": (VoteKind.CHOICE, binary_distance),
    "alpha.interval": (VoteKind.RATING, interval_distance),
    "alpha.masi": (VoteKind.CHOICES, masi_distance),
}


@pytest.mark.parametrize("name", list(ORACLES))
@LAW
@given(st.data())
def test_alpha_is_nltks(name: str, data: st.DataObject) -> None:
    """nltk's alpha is the same wherever it is defined, missing ratings included."""
    kind, distance = ORACLES[name]
    votes = data.draw(votes_of(kind))
    found = agreement(collect_votes(votes, kind), draws=100).figures[name].value
    if found is None:
        return
    kept = [(who, item, frozenset(v) if kind is VoteKind.CHOICES else v) for item, who, v in votes]
    raters = {item: sum(other == item for _, other, _ in kept) for _, item, _ in kept}
    paired = [vote for vote in kept if raters[vote[1]] > 1]
    task = AnnotationTask(data=paired, distance=distance, missing_values=[None])
    assert found == pytest.approx(task.alpha(), abs=1e-9)
