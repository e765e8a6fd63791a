"""Agreement of a file of votes: published figures, definitions, and what is undefined."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from review_rules.statistics.agreement import FIGURES, Agreement, agreement
from review_rules.statistics.agreement import masi_distance as masi
from review_rules.statistics.votes import VoteKind, collect_votes, read_votes
from tests.unit.review_rules.statistics import published as book

CHOICE, CHOICES, RATING, SPANS = VoteKind.CHOICE, VoteKind.CHOICES, VoteKind.RATING, VoteKind.SPANS


def measure(votes: Any, kind: VoteKind, draws: int = 200) -> Agreement:
    """Measure with few draws; the values do not depend on them."""
    return agreement(collect_votes(votes, kind), draws=draws)


def value(votes: Any, kind: VoteKind, name: str) -> float | None:
    """Return one figure's value."""
    return measure(votes, kind).figures[name].value


def numbers(votes: list[tuple[int, str, str]]) -> list[tuple[int, str, float]]:
    """Turn texts into numbers."""
    return [(item, who, float(text)) for item, who, text in votes]


PUBLISHED = [
    ("4x12-nominal", numbers(book.by_rater(book.FOUR_BY_TWELVE)), RATING, "alpha.nominal", 0.743, 5e-4),
    ("4x12-ordinal", numbers(book.by_rater(book.FOUR_BY_TWELVE)), RATING, "alpha.ordinal", 0.815, 5e-4),
    ("4x12-interval", numbers(book.by_rater(book.FOUR_BY_TWELVE)), RATING, "alpha.interval", 0.849, 5e-4),
    ("4x12-interval-to-7", numbers(book.by_rater(book.FOUR_BY_TWELVE)), RATING, "alpha.interval", 0.8491071, 5e-8),
    ("4x12-percent", numbers(book.by_rater(book.FOUR_BY_TWELVE)), RATING, "percent", 0.8181818, 5e-8),
    ("4x12-ac1", numbers(book.by_rater(book.FOUR_BY_TWELVE)), RATING, "ac1", 0.77544, 5e-6),
    ("4x12-ac2-quadratic", numbers(book.by_rater(book.FOUR_BY_TWELVE)), RATING, "ac2", 0.9140007, 5e-8),
    ("4x12-as-choice", book.by_rater(book.FOUR_BY_TWELVE), CHOICE, "alpha.nominal", 0.743, 5e-4),
    ("3x15-nominal", numbers(book.by_rater(book.THREE_BY_FIFTEEN)), RATING, "alpha.nominal", 0.691, 5e-4),
    ("3x15-interval", numbers(book.by_rater(book.THREE_BY_FIFTEEN)), RATING, "alpha.interval", 0.811, 5e-4),
    ("2x10-binary", book.by_rater(book.TWO_BY_TEN), CHOICE, "alpha.nominal", 0.095, 5e-4),
    ("2x12-nominal", book.by_rater(book.TWO_BY_TWELVE), CHOICE, "alpha.nominal", 0.692, 5e-4),
    ("abstractors-ac1", book.crossed(book.ABSTRACTORS), CHOICE, "ac1", 0.8493305, 5e-8),
    ("abstractors-alpha", book.crossed(book.ABSTRACTORS), CHOICE, "alpha.nominal", 0.7972585, 5e-8),
    ("abstractors-percent", book.crossed(book.ABSTRACTORS), CHOICE, "percent", 0.89, 1e-12),
]


@pytest.mark.parametrize(
    ("votes", "kind", "name", "expected", "within"), [row[1:] for row in PUBLISHED], ids=[row[0] for row in PUBLISHED]
)
def test_figures_are_those_of_the_published_examples(
    votes: Any, kind: VoteKind, name: str, expected: float, within: float
) -> None:
    """Krippendorff's and Gwet's worked examples come out to the printed digits."""
    assert value(votes, kind, name) == pytest.approx(expected, abs=within)


def test_alpha_is_fleiss_kappa_corrected_for_sample_size() -> None:
    """With the same number of raters an item, 1 - alpha = (1 - Fleiss' kappa)(n - 1)/n; Fleiss printed .430."""
    votes = book.by_count(book.FLEISS)
    alpha = value(votes, CHOICE, "alpha.nominal")
    assert alpha is not None
    assert 1 - (1 - alpha) * len(votes) / (len(votes) - 1) == pytest.approx(0.430, abs=5e-4)
    assert value(votes, CHOICE, "percent") == pytest.approx(0.555, abs=1e-3)


def test_kappa_is_cohens_of_the_published_table() -> None:
    """Gwet's two abstractors have kappa .7964094."""
    (pair,) = measure(book.crossed(book.ABSTRACTORS), CHOICE).kappa or ()
    assert (pair.a, pair.b, pair.n) == ("one", "two", 100)
    assert pair.figure.value == pytest.approx(0.7964094, abs=5e-8)


@pytest.mark.parametrize(("kind", "weights"), [(CHOICE, None), (RATING, "quadratic")])
def test_kappa_is_scikit_learns(kind: VoteKind, weights: str | None) -> None:
    """Kappa per pair over the items that both rated is scikit-learn's, quadratic for ratings."""
    rng = np.random.default_rng(3)
    votes = {}
    for item in range(60):
        for who in rng.choice(4, size=rng.integers(1, 5), replace=False):
            votes[item, int(who)] = int(rng.integers(1, 6))
    given = [(item, f"p{who}", float(v) if kind is RATING else f"v{v}") for (item, who), v in votes.items()]
    found = measure(given, kind).kappa or ()
    assert len(found) == 6
    for pair in found:
        a, b = int(str(pair.a)[1:]), int(str(pair.b)[1:])
        both = [item for item in range(60) if (item, a) in votes and (item, b) in votes]
        expected = cohen_kappa_score([votes[i, a] for i in both], [votes[i, b] for i in both], weights=weights)
        assert pair.n == len(both)
        assert pair.figure.value == pytest.approx(expected, abs=1e-12)


def gwet_by_definition(votes: list[tuple[int, str, float]], *, quadratic: bool) -> float:
    """Gwet 2014, equations for AC1/AC2 with missing ratings, on dense matrices."""
    values = sorted({v for _, _, v in votes})
    q = len(values)
    items = sorted({item for item, _, _ in votes})
    count = np.zeros((len(items), q))
    for item, _, v in votes:
        count[items.index(item), values.index(v)] += 1
    k = np.arange(q)
    weight = 1 - (k[:, None] - k) ** 2 / (q - 1) ** 2 if quadratic else np.eye(q)
    raters = count.sum(axis=1)
    two = raters >= 2
    partial = (count * (count @ weight.T - 1)).sum(axis=1)
    agreed = (partial[two] / (raters[two] * (raters[two] - 1))).mean()
    prevalence = (count / raters[:, None]).mean(axis=0)
    chance = weight.sum() * (prevalence * (1 - prevalence)).sum() / (q * (q - 1))
    return float((agreed - chance) / (1 - chance))


def alpha_by_definition(votes: list[tuple[int, str, Any]], distance: Any) -> float:
    """Krippendorff's alpha from all pairs, in two loops."""
    units: dict[int, list[Any]] = {}
    for item, _, v in votes:
        units.setdefault(item, []).append(v)
    pairable = [held for held in units.values() if len(held) > 1]
    everything = [v for held in pairable for v in held]
    n = len(everything)
    observed = sum(distance(a, b) / (len(held) - 1) for held in pairable for a in held for b in held) / n
    counts = Counter(everything)
    expected = sum(counts[a] * counts[b] * distance(a, b) for a in counts for b in counts) / (n * (n - 1))
    return float(1 - observed / expected)


def random_votes(seed: int, values: list[Any], items: int = 40) -> list[tuple[int, str, Any]]:
    """Votes of 1 to 5 raters an item, half of them on the item's own value."""
    rng = np.random.default_rng(seed)
    votes = []
    for item in range(items):
        own = values[rng.integers(len(values))]
        for who in rng.choice(5, size=rng.integers(1, 6), replace=False):
            votes.append((item, f"p{who}", own if rng.random() < 0.5 else values[rng.integers(len(values))]))
    return votes


@pytest.mark.parametrize("seed", range(5))
def test_ac1_and_ac2_follow_gwets_equations_with_missing_ratings(seed: int) -> None:
    """The sums over patterns equal Gwet's matrices, also where items have one rating, and weights go by rank."""
    votes = random_votes(seed, [1.0, 2.0, 3.0, 7.5, 100.0])
    assert value(votes, RATING, "ac1") == pytest.approx(gwet_by_definition(votes, quadratic=False), abs=1e-12)
    assert value(votes, RATING, "ac2") == pytest.approx(gwet_by_definition(votes, quadratic=True), abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_alpha_follows_its_definition(seed: int) -> None:
    """Nominal, ordinal and interval alpha equal the sums over all pairs."""
    votes = random_votes(seed, [1.0, 2.0, 3.0, 7.5, 100.0])
    items = Counter(item for item, _, _ in votes)
    n = Counter(v for item, _, v in votes if items[item] > 1)

    def ordinal(a: float, b: float) -> float:
        low, high = min(a, b), max(a, b)
        return float((sum(n[v] for v in n if low <= v <= high) - (n[a] + n[b]) / 2) ** 2)

    distances = {"nominal": lambda a, b: a != b, "interval": lambda a, b: (a - b) ** 2, "ordinal": ordinal}
    for name, distance in distances.items():
        assert value(votes, RATING, f"alpha.{name}") == pytest.approx(alpha_by_definition(votes, distance), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_masi_alpha_follows_its_definition(seed: int) -> None:
    """MASI alpha equals the sum over all pairs of sets, the empty set among them."""
    sets = [[], ["a"], ["b"], ["a", "b"], ["b", "c"], ["a", "b", "c"]]
    votes = random_votes(seed, sets)
    frozen = [(item, who, frozenset(v)) for item, who, v in votes]
    assert value(votes, CHOICES, "alpha.masi") == pytest.approx(alpha_by_definition(frozen, masi), abs=1e-12)
    assert value(votes, CHOICES, "alpha.nominal") == pytest.approx(
        alpha_by_definition(frozen, lambda a, b: a != b), abs=1e-12
    )


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [
        ("", "", 0.0),
        ("", "a", 1.0),
        ("ab", "ab", 0.0),
        ("ab", "a", 1 - 1 / 2 * 2 / 3),
        ("ab", "bc", 1 - 1 / 3 * 1 / 3),
        ("ab", "cd", 1.0),
    ],
    ids=["both-empty", "one-empty", "equal", "subset", "overlap", "disjoint"],
)
def test_masi_is_jaccard_times_monotonicity(first: str, second: str, distance: float) -> None:
    """Passonneau's factors: 1 equal, 2/3 subset, 1/3 overlap, 0 disjoint; both ways round."""
    assert masi(frozenset(first), frozenset(second)) == pytest.approx(distance)
    assert masi(frozenset(second), frozenset(first)) == pytest.approx(distance)


def test_percent_is_the_mean_over_items_of_the_mean_over_their_pairs() -> None:
    """An item with three ratings weighs as much as one with two; one rating does not count."""
    votes = [(1, "a", "A"), (1, "b", "A"), (1, "c", "B"), (2, "a", "A"), (2, "b", "A"), (3, "a", "B")]
    assert value(votes, CHOICE, "percent") == pytest.approx((1 / 3 + 1) / 2)


def test_percent_for_choices_is_equal_sets() -> None:
    """Order and repetition do not matter; anything less than the same set is not agreement."""
    votes = [(1, "a", ["x", "y"]), (1, "b", ["y", "x", "y"]), (2, "a", ["x"]), (2, "b", ["x", "y"])]
    assert value(votes, CHOICES, "percent") == 0.5


def spans(*marks: tuple[int, int, str]) -> list[dict[str, object]]:
    """Write marks as JSON spans."""
    return [{"start": start, "end": end, "label": label} for start, end, label in marks]


def test_span_f1_is_the_mean_over_items_of_the_mean_over_their_pairs() -> None:
    """Strict counts equal spans, overlap the shared part of paired ones, and two empties count 1."""
    votes = [
        (1, "a", spans((0, 4, "PER"), (10, 14, "ORG"))),
        (1, "b", spans((0, 4, "PER"), (12, 16, "ORG"))),
        (2, "a", []),
        (2, "b", []),
        (2, "c", []),
        (3, "a", spans((0, 4, "PER"))),
        (3, "b", []),
        (4, "a", spans((0, 4, "PER"))),
    ]
    found = measure(votes, SPANS).figures
    assert found["span_f1.strict"].value == pytest.approx((2 * 1 / 4 + 1 + 0) / 3)
    assert found["span_f1.overlap"].value == pytest.approx((2 * (1 + 2 / 6) / 4 + 1 + 0) / 3)
    assert found["percent"].value == pytest.approx(1 / 3)


def test_alpha_on_characters_counts_each_character() -> None:
    """Each character is a unit whose value is the set of labels on it."""
    texts = {"1": 10, "2": 6}
    marks = {
        "1": [spans((0, 4, "PER"), (2, 6, "ORG")), spans((0, 4, "PER")), spans((1, 4, "PER"))],
        "2": [spans((0, 6, "ORG")), []],
        "3": [spans((0, 1, "PER"))],
    }
    lines = [
        json.dumps({"item_id": item, "annotator": who, "value": vote})
        for item, votes in marks.items()
        for who, vote in enumerate(votes)
    ]
    votes, faults = read_votes(lines, SPANS, lengths=texts)
    assert not faults
    units = []
    for item in texts:
        for at in range(texts[item]):
            for who, vote in enumerate(marks[item]):
                on = frozenset(str(s["label"]) for s in vote if int(str(s["start"])) <= at < int(str(s["end"])))
                units.append((int(item) * 100 + at, str(who), on))
    expected = alpha_by_definition(units, lambda a, b: a != b)
    assert agreement(votes, draws=200).figures["alpha.characters"].value == pytest.approx(expected, abs=1e-12)


def test_alpha_on_characters_needs_the_texts() -> None:
    """Without the length of every text with two ratings, or with a span beyond it, it is null with the reason."""
    votes = [(1, "a", spans((0, 4, "PER"))), (1, "b", [])]
    figure = measure(votes, SPANS).figures["alpha.characters"]
    assert figure.value is None
    assert "length" in str(figure.reason)
    lines = [json.dumps({"item_id": 1, "annotator": who, "value": vote, "text": "abc"}) for _, who, vote in votes]
    figure = agreement(read_votes(lines, SPANS)[0], draws=200).figures["alpha.characters"]
    assert figure.value is None
    assert "ends after its text" in str(figure.reason)


def test_alpha_on_characters_is_undefined_where_nobody_marks_anything() -> None:
    """Texts without a span have no variation; the F1 of two empties is still 1."""
    lines = [json.dumps({"item_id": 1, "annotator": who, "value": [], "text": "abc"}) for who in "ab"]
    figures = agreement(read_votes(lines, SPANS)[0], draws=200).figures
    assert figures["alpha.characters"].value is None
    assert figures["alpha.characters"].reason == "no variation: every rating is the same"
    assert figures["span_f1.strict"].value == 1


@pytest.mark.parametrize("kind", list(VoteKind))
def test_no_votes_makes_every_figure_null(kind: VoteKind) -> None:
    """An empty file has no figure, and says so."""
    found = measure([], kind)
    assert set(found.figures) == set(FIGURES[kind])
    assert {(figure.value, figure.reason) for figure in found.figures.values()} == {(None, "no votes")}
    assert not found.kappa


SAMPLES = {
    CHOICE: "A",
    CHOICES: ["A"],
    RATING: 4,
    SPANS: [{"start": 0, "end": 1, "label": "A"}],
}


@pytest.mark.parametrize("kind", list(VoteKind))
def test_no_pair_makes_every_figure_null(kind: VoteKind) -> None:
    """With one annotator there is nothing to compare."""
    found = measure([(item, "ana", SAMPLES[kind]) for item in range(3)], kind)
    reasons = {figure.reason for name, figure in found.figures.items() if name != "alpha.characters"}
    assert reasons == {"no item has two ratings"}
    assert (found.items, found.annotators, found.ratings) == (3, 1, 3)


@pytest.mark.parametrize("kind", [CHOICE, CHOICES, RATING])
def test_no_variation_makes_chance_corrected_figures_null(kind: VoteKind) -> None:
    """If every rating is the same, agreement is 100 % and agreement beyond chance undefined."""
    found = measure([(item, who, SAMPLES[kind]) for item in range(3) for who in ("ana", "ben")], kind)
    assert found.figures["percent"].value == 1
    for name, figure in found.figures.items():
        if name != "percent":
            assert (figure.value, figure.reason) == (None, "no variation: every rating is the same")
    (pair,) = found.kappa or ()
    assert (pair.figure.value, pair.figure.reason) == (None, "no variation: every rating is the same")


def test_pairs_without_a_shared_item_are_counted_and_not_listed() -> None:
    """Of people who rated no item together kappa says nothing: a crowd of 3,000 has 4.5 million such pairs."""
    found = measure([(1, "ana", "A"), (2, "ben", "B"), (2, "chi", "B")], CHOICE)
    assert [(pair.a, pair.b, pair.n) for pair in found.kappa or ()] == [("ben", "chi", 1)]
    assert found.to_json()["pairs_apart"] == 2
    crowd = [(who // 2, f"p{who}", "AB"[who % 3 == 0]) for who in range(3000)]
    many = measure(crowd, CHOICE, draws=10)
    assert len(many.kappa or ()) == 1500
    assert many.pairs_apart == 3000 * 2999 // 2 - 1500
    together = measure([(item, who, "A") for item in range(3) for who in "ab"], CHOICE)
    assert "pairs_apart" not in together.to_json()


def test_one_item_has_a_value_and_no_interval() -> None:
    """Resampling one item gives that item again, which says nothing about others."""
    found = measure([(1, "ana", "A"), (1, "ben", "B")], CHOICE).figures["percent"]
    assert (found.value, found.low, found.high) == (0, None, None)
    assert "one item" in str(found.reason)


def test_resamples_in_which_a_figure_is_undefined_are_left_out() -> None:
    """One item of another class among ten: a third of the resamples have no variation, and the rest agree fully."""
    votes = [(item, who, "AB"[item == 0]) for item in range(10) for who in ("ana", "ben")]
    found = measure(votes, CHOICE).figures["alpha.nominal"]
    assert (found.value, found.low, found.high, found.reason) == (1, 1, 1, None)


def test_interval_is_withheld_where_most_resamples_are_undefined() -> None:
    """Two items with two ratings among thirty: most resamples lack one of them, and with it any variation."""
    votes = [(1, "ana", "A"), (1, "ben", "A"), (2, "ana", "B"), (2, "ben", "B")]
    votes += [(item, "ana", "A") for item in range(3, 31)]
    found = measure(votes, CHOICE).figures["alpha.nominal"]
    assert (found.value, found.low) == (1, None)
    assert "undefined in" in str(found.reason)


def test_perfect_agreement_is_exactly_one() -> None:
    """No rounding is left where everybody agrees."""
    rated = [(item, who, 0.1 * (item % 7)) for item in range(50) for who in ("a", "b", "c")]
    assert {figure.value for figure in measure(rated, RATING).figures.values()} == {1.0}


def test_extreme_numbers_do_not_overflow() -> None:
    """Ratings near the largest double still have an interval alpha."""
    votes = [(item, who, sign * 1e308) for item, sign in enumerate((1, -1, 1, -1)) for who in ("a", "b")]
    assert value(votes, RATING, "alpha.interval") == 1


def test_the_later_vote_of_one_person_on_one_item_counts() -> None:
    """A corrected vote replaces the first; it is one rating, and the first leaves no trace among the values."""
    found = measure([(1, "ana", "Z"), (1, "ben", "A"), (2, "ana", "B"), (2, "ben", "B"), (1, "ana", "A")], CHOICE)
    assert found.ratings == 4
    assert found.figures["percent"].value == 1
    assert found.figures["ac1"].value == 1


def test_items_counts_all() -> None:
    """Items with one rating are counted among the items, and shape AC's prevalence."""
    votes = [(1, "a", "A"), (1, "b", "A"), (2, "a", "A"), (2, "b", "B"), (3, "a", "B")]
    assert measure(votes, CHOICE).items == 3
    assert value(votes, CHOICE, "ac1") == pytest.approx(
        gwet_by_definition([(i, w, float(v == "B")) for i, w, v in votes], quadratic=False)
    )


def test_json_has_the_keys_that_suit_the_kind() -> None:
    """Dotted names become nested objects, each figure with value, low, high and reason."""
    votes = book.by_rater(book.TWO_BY_TWELVE)
    out = measure(votes, CHOICE).to_json()
    assert list(out) == ["items", "annotators", "ratings", "percent", "alpha", "ac1", "kappa"]
    assert set(out["alpha"]) == {"nominal"}
    assert set(out["percent"]) == {"value", "low", "high", "reason"}
    assert set(out["kappa"][0]) >= {"a", "b", "n", "value", "reason"}
    out = measure(numbers(book.by_rater(book.FOUR_BY_TWELVE)), RATING).to_json()
    assert set(out["alpha"]) == {"nominal", "ordinal", "interval"}
    assert {"ac1", "ac2"} <= set(out)
    out = measure([(1, "a", []), (1, "b", [])], SPANS).to_json()
    assert set(out["span_f1"]) == {"strict", "overlap"}
    assert "kappa" not in out
    assert set(measure([(1, "a", []), (1, "b", ["x"])], CHOICES).to_json()["alpha"]) == {"nominal", "masi"}


def test_interval_is_seeded_and_holds_the_value() -> None:
    """The same seed gives the same interval, another seed another one, and both hold the value."""
    votes = collect_votes(random_votes(1, ["A", "B", "C"], items=200), CHOICE)
    one, again, other = (agreement(votes, seed=seed).figures["alpha.nominal"] for seed in (0, 0, 1))
    assert one == again
    assert one != other
    for figure in (one, other):
        assert figure.low is not None
        assert figure.value is not None
        assert figure.high is not None
        assert figure.low < figure.value < figure.high


def test_interval_has_the_width_of_a_resampling_of_items() -> None:
    """For percent of two raters the bootstrap is a binomial, whose quantiles are known."""
    votes = [(item, who, "A" if who == "a" or item % 5 else "B") for item in range(400) for who in ("a", "b")]
    figure = measure(votes, CHOICE, draws=4_000).figures["percent"]
    assert figure.value == 0.8
    half = 1.96 * math.sqrt(0.8 * 0.2 / 400)
    assert figure.low == pytest.approx(0.8 - half, abs=0.006)
    assert figure.high == pytest.approx(0.8 + half, abs=0.006)


def test_drawing_patterns_and_drawing_items_give_the_same_interval() -> None:
    """Few patterns are drawn by multinomial, many by item; the two ways agree within the draws' noise."""
    coarse = [(item, who, (item * 7 + (who == "b" and item % 3 == 0)) % 5) for item in range(300) for who in ("a", "b")]
    fine = [(item, who, v + item * 1e-9) for item, who, v in coarse]
    few, many = (measure(votes, RATING, draws=4_000).figures["alpha.interval"] for votes in (coarse, fine))
    assert few.value == pytest.approx(many.value, abs=1e-6)
    assert few.low == pytest.approx(many.low, abs=0.02)
    assert few.high == pytest.approx(many.high, abs=0.02)


def test_a_crowds_rarer_pairs_get_kappa_without_interval() -> None:
    """With thousands of pairs only those with the most shared items are resampled; each still has its value."""
    votes = [(item, f"p{who:02}", "AB"[(item * who) % 2]) for item in range(6) for who in range(26)]
    votes += [(item, who, "AB"[item % 2]) for item in range(6, 12) for who in ("p00", "p01")]
    found = {(pair.a, pair.b): pair.figure for pair in measure(votes, CHOICE, draws=100).kappa or ()}
    assert len(found) == 325
    assert found["p00", "p01"].low is not None
    rest = [figure for figure in found.values() if "only the 300 pairs" in str(figure.reason)]
    assert rest
    assert all(figure.value is not None and figure.low is None for figure in rest)
