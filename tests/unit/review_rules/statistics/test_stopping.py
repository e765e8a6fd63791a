"""How many more rows, and how many wrong labels are left."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from review_rules import decide, load_policy, load_team, parse_history
from review_rules.statistics.stopping import Checks, Reviewed, read_reviewed, remaining_error, rows_needed
from review_rules.statistics.votes import VoteKind, Votes, collect_votes


def pairs_of(rows: int, seed: int = 0, accuracy: float = 0.85) -> Votes:
    """Two people's choices of planted accuracy."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(3, size=rows)
    votes = []
    for item in range(rows):
        for who in ("ana", "ben"):
            right = rng.random() < accuracy
            votes.append((item, who, "ABC"[truth[item] if right else (truth[item] + rng.integers(1, 3)) % 3]))
    return collect_votes(votes, VoteKind.CHOICE)


def test_that_many_rows_do_bring_the_interval_to_the_target() -> None:
    """A file of the number of rows asked for, from the same people, has an interval of about the target."""
    found = rows_needed(pairs_of(150), 0.05)
    assert found.needed is not None
    assert found.more == found.needed - 150
    then = rows_needed(pairs_of(found.needed, seed=1), 0.05)
    assert then.half_width == pytest.approx(0.05, rel=0.2)


def test_rows_grow_with_the_square_of_the_precision() -> None:
    """Half the width needs about four times the rows."""
    votes = pairs_of(300)
    coarse, fine = (rows_needed(votes, target).needed for target in (0.05, 0.025))
    assert coarse is not None
    assert fine is not None
    assert fine / coarse == pytest.approx(4, rel=0.15)


def test_a_target_that_is_met_needs_no_more_rows() -> None:
    """Nothing more is asked for."""
    found = rows_needed(pairs_of(300), 0.5)
    assert (found.rows, found.needed, found.more) == (300, 300, 0)


def test_rows_with_one_rating_do_not_count_as_rows() -> None:
    """Only rows with two ratings narrow the interval of alpha."""
    votes = pairs_of(100)
    single = [(1000 + item, "ana", "A") for item in range(50)]
    values = [
        (votes.items[i], votes.annotators[a], votes.values[c])
        for i, a, c in zip(votes.item, votes.annotator, votes.code, strict=True)
    ]
    found = rows_needed(collect_votes(values + single, VoteKind.CHOICE), 0.05)
    assert found.rows == 100
    assert found == rows_needed(votes, 0.05)


def test_far_targets_are_extrapolated() -> None:
    """A million rows are not drawn to say that a million are needed."""
    found = rows_needed(pairs_of(50), 0.001)
    assert found.needed is not None
    assert found.needed > 500_000
    assert found.to_json()["needed"] == found.needed


@pytest.mark.parametrize(
    ("votes", "said"),
    [
        ([], "no item has two ratings"),
        ([(1, "ana", "A")], "no item has two ratings"),
        ([(1, "ana", "A"), (1, "ben", "B")], "only one item"),
        ([(i, who, "A") for i in range(9) for who in ("ana", "ben")], "no variation"),
        ([(i, who, "AB"[i % 2]) for i in range(99) for who in ("ana", "ben")], "no disagreement yet"),
    ],
    ids=["no-votes", "no-pair", "one-pair", "no-variation", "no-disagreement"],
)
def test_without_an_interval_the_rows_needed_are_not_known(votes: Any, said: str) -> None:
    """Null with the reason, and never "no more rows"."""
    found = rows_needed(collect_votes(votes, VoteKind.CHOICE), 0.05)
    assert (found.needed, found.more) == (None, None)
    assert said in str(found.reason)


def test_few_rows_make_a_rough_guess_and_say_so() -> None:
    """An extrapolation from a handful of rows carries a warning."""
    assert "rough guess" in str(rows_needed(pairs_of(20, accuracy=0.7), 0.05).reason)


def test_a_figure_may_be_named() -> None:
    """Any figure of the kind can be the one that is to narrow; another is refused."""
    assert rows_needed(pairs_of(100), 0.05, figure="percent").figure == "percent"
    with pytest.raises(ValueError, match=r"alpha\.masi"):
        rows_needed(pairs_of(100), 0.05, figure="alpha.masi")


def decision(agreed: bool, values: list[Any], final: Any, origin: str, **more: Any) -> dict[str, Any]:
    """One line of `quorum decide`, as far as it is read."""
    compared = {"agreed": agreed, "score": 1.0, "values": values}
    values_out = {} if final is None else {"verdict": {"value": final, "origin": origin, "changed_from_auto": None}}
    return {
        "row_id": "r",
        "state": "FINAL",
        "comparison": {"verdict": compared},
        "final": {"values": values_out},
        "certificate": {"passes": ["a", "b"], "qa": "c", "expert": []},
    } | more


def span(start: int, text: str | None = None) -> dict[str, Any]:
    """A span, with or without its text."""
    return {"start": start, "end": start + 2, "label": "ORG"} | ({} if text is None else {"text": text})


BOX = {"x": 1, "y": 2, "width": 3, "height": 4, "label": "x"}
OUTCOMES = [
    ("agreed-kept", decision(True, ["A", "A"], "A", "passes"), "agreed_kept"),
    ("agreed-overturned-by-qa", decision(True, ["A", "A"], "B", "qa"), "agreed_overturned"),
    ("agreed-overturned-by-expert", decision(True, ["A", "A"], "B", "expert"), "agreed_overturned"),
    (
        "agreed-unseen",
        decision(True, ["A", "A"], "A", "passes", certificate={"qa": None, "expert": []}),
        "agreed_unseen",
    ),
    (
        "agreed-seen-by-expert",
        decision(True, ["A", "A"], "A", "passes", certificate={"qa": None, "expert": ["d"]}),
        "agreed_kept",
    ),
    ("first-wrong", decision(False, ["A", "B"], "B", "qa"), "first_wrong"),
    ("second-wrong", decision(False, ["A", "B"], "A", "qa"), "second_wrong"),
    ("both-wrong", decision(False, ["A", "B"], "C", "qa"), "both_wrong"),
    ("absent-is-right", decision(False, ["A", None], None, "qa"), "first_wrong"),
    ("sets-in-any-order", decision(False, [["x"], ["x", "y"]], ["y", "x"], "qa"), "first_wrong"),
    ("spans-without-text", decision(False, [[span(3, "Oy")], [span(0)]], [span(3)], "qa"), "second_wrong"),
    ("empty-set", decision(False, [[], [span(0)]], [], "qa"), "second_wrong"),
    ("agreed-on-nothing", decision(True, [[], []], [], "passes"), "agreed_kept"),
    ("text-composed-otherwise", decision(False, ["Cafe\u0301", "Tea"], "Caf\u00e9", "qa"), "second_wrong"),
    ("box", decision(False, [[BOX], []], [BOX | {"origin": "qa"}], "qa"), "second_wrong"),
    ("number", decision(False, [4, 5], 4.0, "qa"), "second_wrong"),
    ("three-passes", decision(False, ["A", "B", "A"], "A", "qa"), "other_conflicts"),
]


@pytest.mark.parametrize(("given", "outcome"), [row[1:] for row in OUTCOMES], ids=[row[0] for row in OUTCOMES])
def test_what_became_of_a_final_row(given: dict[str, Any], outcome: str) -> None:
    """Each final row is one outcome a field."""
    counts, faults = read_reviewed([json.dumps(given)])
    assert not faults
    assert counts == {"verdict": Reviewed(**{outcome: 1})}


TEAM = """
people:
  - {id: ana, roles: [annotator]}
  - {id: ben, roles: [annotator]}
  - {id: cleo, roles: [qa]}
"""


def decided(first: str, second: str, qa: str | None) -> str:
    """What `decide` says of a row with two passes and, if given, a QA review, as a line of JSON."""
    review = {"by": "cleo", "at": "2026-01-02T00:00:00Z", "decision": "correct", "values": {"verdict": qa}}
    history = {
        "row_id": "r",
        "fields": {"verdict": {"kind": "choice"}},
        "passes": [
            {"by": who, "at": "2026-01-01T00:00:00Z", "values": {"verdict": value}}
            for who, value in (("ana", first), ("ben", second))
        ],
        "qa": [] if qa is None else [review],
    }
    policy = load_policy("{passes: 2, qa: {when: conflict}, fields: {verdict: {agree: exact}}}")
    return json.dumps(decide(parse_history(history), load_team(TEAM), policy).to_json())


def test_real_decisions_are_counted() -> None:
    """What `decide` really prints is read: agreed and unseen, kept, overturned, the ways of a conflict, still open."""
    lines = [
        decided("A", "A", None),
        decided("A", "A", "A"),
        decided("A", "A", "B"),
        decided("A", "B", "B"),
        decided("A", "B", "A"),
        decided("A", "B", "C"),
        decided("A", "B", None),
    ]
    counts, faults = read_reviewed(lines)
    assert not faults
    assert counts == {
        "verdict": Reviewed(
            agreed_unseen=1, agreed_kept=1, agreed_overturned=1, first_wrong=1, second_wrong=1, both_wrong=1
        )
    }


def test_rows_that_are_not_final_do_not_count() -> None:
    """Open and discarded rows have no final label that could be wrong; a line that is no decision is a fault."""
    lines = [json.dumps({"state": "AWAITING_QA"}), "", "oops", "[]", '{"state": "FINAL"}', '{"row_id": 1}']
    counts, faults = read_reviewed(lines)
    assert counts == {}
    assert [fault.line for fault in faults] == [3, 4, 5, 6]


def test_unseen_rows_are_as_wrong_as_the_seen_ones_were() -> None:
    """By overturns: 5 % of the seen agreed rows were overturned, so about 5 % of the unseen are wrong."""
    found = remaining_error(Reviewed(agreed_unseen=800, agreed_kept=190, agreed_overturned=10, first_wrong=30))
    assert (found.method, found.rows, found.unseen) == ("overturns", 1030, 800)
    assert found.rate.value == pytest.approx(0.05 * 800 / 1030, abs=0.004)
    assert found.rate.low is not None
    assert found.rate.high is not None
    assert found.rate.low < 0.05 * 800 / 1030 < found.rate.high


def test_a_full_qa_that_is_right_leaves_nothing() -> None:
    """By overturns with nothing unseen, no row is left to be wrong."""
    found = remaining_error(Reviewed(agreed_kept=90, agreed_overturned=10, other_conflicts=5))
    assert (found.method, found.rate.value, found.rate.high) == ("overturns", 0, 0)


def test_checks_tell_what_qa_lets_pass() -> None:
    """QA misses a fifth: four caught for each missed, so 40 overturned rows leave about 10, and conflicts a fifth."""
    reviewed = Reviewed(agreed_kept=960, agreed_overturned=40, first_wrong=50)
    found = remaining_error(reviewed, Checks(seen=1000, missed=200))
    assert found.method == "checks"
    assert found.rate.value == pytest.approx((10 + 10) / 1050, abs=0.002)


def test_checks_must_be_possible() -> None:
    """More missed than seen is refused."""
    with pytest.raises(ValueError, match="5 of 4"):
        Checks(seen=4, missed=5)


def test_two_passes_tell_what_qa_lets_pass() -> None:
    """200 wrong alone in each pass, 1,600 right, let expect 25 wrong in both; 5 came to light, so about 20 are left."""
    reviewed = Reviewed(agreed_kept=1_600, agreed_overturned=3, first_wrong=200, second_wrong=200, both_wrong=2)
    found = remaining_error(reviewed)
    assert found.method == "two passes"
    assert found.rate.value == pytest.approx(20 / 2005, abs=0.004)
    assert found.rate.low is not None
    assert found.rate.low < 20 / 2005


def test_two_passes_find_nothing_missing_where_qa_caught_what_was_to_be_expected() -> None:
    """If as many both-wrong rows came to light as independence lets expect, hardly any is left."""
    reviewed = Reviewed(agreed_kept=1_600, agreed_overturned=23, first_wrong=200, second_wrong=200, both_wrong=22)
    assert float(remaining_error(reviewed).rate.value or 0) < 0.003


@pytest.mark.parametrize(
    ("reviewed", "said"),
    [(Reviewed(), "no row is final"), (Reviewed(agreed_unseen=5, first_wrong=2), "QA has looked at none")],
    ids=["nothing-final", "nothing-seen"],
)
def test_without_reviews_the_rate_is_not_known(reviewed: Reviewed, said: str) -> None:
    """Null with the reason."""
    found = remaining_error(reviewed).to_json()
    assert (found["value"], found["low"], found["high"]) == (None, None, None)
    assert said in str(found["reason"])


def test_the_estimate_is_seeded() -> None:
    """The same seed gives the same interval."""
    reviewed = Reviewed(agreed_unseen=100, agreed_kept=90, agreed_overturned=10)
    assert remaining_error(reviewed, seed=1) == remaining_error(reviewed, seed=1)
    assert remaining_error(reviewed, seed=1) != remaining_error(reviewed, seed=2)
