"""Heads, features, training and measures: files that say what they are, figures that are right."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ls_config.interface import Control, parse
from ml_backend.comparing import Comparison, Gold, alpha_interval, compare
from ml_backend.errors import LoadError
from ml_backend.features import LEXICAL, lexical, pattern_spans, token_shapes
from ml_backend.heads import Head, HeadMeta, load_head, save_head
from ml_backend.local import LocalModel
from ml_backend.models import TaskPrediction
from ml_backend.predictors.encoder_head import decode
from ml_backend.sources import sha256_of
from ml_backend.training import fit, measure
from ml_backend.training.data import DataError, Example, as_written, document, read_gold
from tests.unit.ml_backend import tiny

META = HeadMeta(task="rating", labels=("1", "2", "3"), blocks=("lexical",), encoder="e", trained_on="t")


def test_a_head_comes_back_from_its_file_and_equal_heads_have_equal_hashes(tmp_path: Path) -> None:
    """What is saved is what is loaded, and the bytes depend on the head alone."""
    arrays = {"w0": np.ones((2, 2), dtype=np.float32), "b0": np.zeros(2, dtype=np.float32)}
    for name in ("a", "b"):
        save_head(tmp_path / name, META, arrays)
    first, second = load_head(tmp_path / "a"), load_head(tmp_path / "b")
    assert first.meta == META
    assert first.sha256 == second.sha256
    assert first.logits(np.ones((1, 2), dtype=np.float32)).tolist() == [[2, 2]]


@pytest.mark.parametrize("content", [b"", b"PK", b"{}"])
def test_a_file_that_is_no_head_is_refused(tmp_path: Path, content: bytes) -> None:
    """A broken file names itself and what to do."""
    (tmp_path / "x.head").write_bytes(content)
    with pytest.raises(LoadError, match="not a head file"):
        load_head(tmp_path / "x.head")


def test_a_head_with_weights_that_are_not_numbers_is_refused(tmp_path: Path) -> None:
    """NaN never gets as far as a prediction."""
    save_head(
        tmp_path / "x.head",
        META,
        {"w0": np.full((1, 2), np.nan, dtype=np.float32), "b0": np.zeros(2, dtype=np.float32)},
    )
    with pytest.raises(LoadError, match="not finite"):
        load_head(tmp_path / "x.head")


@settings(deadline=None)
@given(st.lists(st.floats(-20, 20), min_size=2, max_size=2))
def test_a_ratings_chances_sum_to_one_whatever_the_logits(logits: list[float]) -> None:
    """Also where the cumulative logits do not fall, the chances are a distribution."""
    head = Head(META, {"w0": np.eye(2, dtype=np.float32), "b0": np.zeros(2, dtype=np.float32)})
    chances = head.probabilities(np.asarray([logits], dtype=np.float32))
    assert chances.sum() == pytest.approx(1, abs=1e-5)
    assert (chances >= -1e-6).all()


@settings(deadline=None)
@given(st.text(), st.text(), st.text())
def test_lexical_features_are_finite_for_any_texts(context: str, query: str, response: str) -> None:
    """Whatever people write, the features are numbers of the stated count."""
    found = lexical(context, query, response)
    assert found.shape == (len(LEXICAL),)
    assert np.isfinite(found).all()


@settings(deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8"), min_size=1))
def test_token_shapes_take_any_character(text: str) -> None:
    """Emoji, combining marks and control characters have a shape too."""
    offsets = np.asarray([(i, i + 1) for i in range(len(text))], dtype=np.int64)
    assert np.isfinite(token_shapes(text, offsets)).all()


def test_the_tokens_of_a_window_have_the_shapes_that_they_have_among_all() -> None:
    """Only the characters around a window are looked at, and that changes nothing."""
    text = "Ana paid $3.2 million in 2023 (net) " * 50
    offsets = np.asarray([one.span() for one in re.finditer(r"\w+|[^\w\s]", text)], dtype=np.int64)
    whole = token_shapes(text, offsets)
    for some in (slice(0, 9), slice(100, 140), slice(len(offsets) - 7, None)):
        assert (token_shapes(text, offsets[some]) == whole[some]).all()


@settings(deadline=None)
@given(st.text())
def test_pattern_spans_lie_in_the_text_and_do_not_overlap(text: str) -> None:
    """Spans of the patterns are sound for any text."""
    spans = sorted(pattern_spans(text))
    assert all(0 <= start < end <= len(text) for start, end, _ in spans)
    assert all(a[1] <= b[0] for a, b in pairwise(spans))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It cost £41.5m in 2023.", [("£41.5m", "MONEY"), ("2023", "DATE")]),
        ("up 10.6% since March 2021", [("10.6%", "QUANTITY"), ("March 2021", "DATE")]),
        ("3 GB in 5 seconds", [("3 GB", "QUANTITY"), ("5 seconds", "QUANTITY")]),
        ("12,000 dollars by Q3", [("12,000 dollars", "MONEY"), ("Q3", "DATE")]),
        ("HTTP 404 and v1.2.3", []),
    ],
)
def test_amounts_dates_and_quantities_are_found(text: str, expected: list[tuple[str, str]]) -> None:
    """What the guidelines call money, date and quantity is found as they delimit it."""
    assert [(text[s:e], label) for s, e, label in sorted(pattern_spans(text))] == expected


def test_tags_of_a_head_keep_neighbours_apart() -> None:
    """A B- tag begins a new span also right after one of its type."""
    chances = np.eye(3, dtype=np.float32)[[1, 1, 2, 0, 2]]
    offsets = np.asarray([(0, 1), (2, 3), (4, 5), (6, 7), (8, 9)])
    assert [one[:3] for one in decode(chances, offsets, ["X"], "a b c d e", 0.5)] == [
        (0, 1, "X"),
        (2, 5, "X"),
        (8, 9, "X"),
    ]


def test_folds_never_split_a_document() -> None:
    """All rows of a document are in training or all in test, and every row is tested once."""
    groups = [f"g{i % 17}" for i in range(200)]
    tested = np.concatenate([test for _, test in fit.folds(groups)])
    assert sorted(tested.tolist()) == list(range(200))
    for train, test in fit.folds(groups):
        assert not {groups[i] for i in train} & {groups[i] for i in test}


def test_a_fitted_choice_learns_what_separates() -> None:
    """The folded weights give the right labels on raw features, and a label without rows is never given."""
    x = np.random.default_rng(1).normal(size=(60, 3)).astype(np.float32) * [1, 50, 0.01] + 7
    y = ["a" if row[1] > 7 else "c" for row in x]
    arrays = fit.fit_choice(x.astype(np.float32), y, ["a", "b", "c"], 10.0)
    found = [["a", "b", "c"][i] for i in (x @ arrays["w0"] + arrays["b0"]).argmax(axis=1)]
    assert measure.accuracy(y, found) > 0.95
    assert "b" not in found


@pytest.mark.parametrize(
    ("kind", "truth", "found", "expected"),
    [
        ("choice", "A", "A", 0), ("choice", "A", None, 1), ("rating", 4, 5, 1),
        ("choices", ["A", "B"], ["B", "C"], 2), ("choices", [], None, 0),
        ("spans", [(0, 3, "X")], [(0, 3, "X")], 0), ("spans", [(0, 3, "X")], [(0, 4, "X")], 1),
        ("spans", [(0, 3, "X")], [(0, 3, "Y")], 1),
        ("spans", [(0, 3, "X"), (5, 6, "X")], None, 2), ("spans", [], [(0, 1, "X"), (2, 3, "X")], 2),
    ],
)  # fmt: skip
def test_edits_count_what_people_change(kind: str, truth: object, found: object, expected: int) -> None:
    """Fields, ticks and spans that have to be touched; a moved or relabelled span is one change."""
    assert measure.edits(kind, truth, found) == expected


def test_calibration_error_of_a_worked_example() -> None:
    """Two bins of two: |0.9 - 0.5| and |0.6 - 1.0|, half of the rows each."""
    assert measure.ece([0.9, 0.9, 0.6, 0.6], [True, False, True, True]) == pytest.approx(0.4)
    assert np.isnan(measure.ece([], []))


def test_interval_alpha_of_a_worked_example() -> None:
    """Two raters, values 1 1 2 2 and 1 2 2 2: observed 0.25, expected 2·(15/64)·8/7."""
    assert alpha_interval([(1, 1), (1, 2), (2, 2), (2, 2)]) == pytest.approx(1 - 0.25 / (2 * (15 / 64) * 8 / 7))
    assert np.isnan(alpha_interval([(1, 1), (1, 1)]))


MOOD = Control(name="mood", kind="choice", to_name="t", value_key="t", result_type="choices", labels=("A", "B"))


def made(values: list[str]) -> list[TaskPrediction]:
    """Predictions with these moods."""
    return [TaskPrediction([], 0.8, values={"mood": one}, scores={"mood": 0.8}) for one in values]


def test_a_clear_difference_is_shown_and_a_small_one_is_not() -> None:
    """Where the paired interval holds 0, the comparison says that the data can't tell."""
    gold = [Example(id=str(i), group=str(i), source="gold", values={"mood": "A"}) for i in range(40)]

    def beside(a: list[TaskPrediction], b: list[TaskPrediction], rows: int = 40) -> Comparison:
        return compare(Gold(examples=gold[:rows], controls=[MOOD]), ("a@1", a[:rows]), ("b@2", b[:rows]), draws=200)

    right, wrong = made(["A"] * 40), made(["A"] * 10 + ["B"] * 30)
    clear = beside(wrong, right)
    assert clear.verdict.startswith("b@2 is better: b@2 saves +0.75 edits")
    assert "can't tell" in beside(made(["A"] * 39 + ["B"]), right).verdict
    assert next(one for one in clear.figures if one.measure == "accuracy").better == "B"
    assert "too few" in beside(right, wrong, rows=1).verdict
    json.dumps(clear.to_json(), allow_nan=False)


def test_only_final_rows_with_a_certificate_are_gold(tmp_path: Path) -> None:
    """Rows under way and rows without proof teach nothing; a file without gold is refused."""
    final = {
        "row_id": "a",
        "state": "FINAL",
        "row": {"response": "r"},
        "final": {"values": {"mood": {"value": "A", "origin": "qa"}}},
        "certificate": {},
    }
    rows = [final, {**final, "state": "AWAITING_QA"}, {**final, "certificate": None}, {**final, "final": None}]
    (tmp_path / "gold.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert [one.values for one in read_gold(tmp_path / "gold.jsonl")] == [{"mood": "A"}]
    (tmp_path / "none.jsonl").write_text(json.dumps(rows[1]))
    with pytest.raises(DataError, match="no row has a final label"):
        read_gold(tmp_path / "none.jsonl")
    with pytest.raises(DataError, match="row a: mood: 'A' is not one of C"):
        read_gold(tmp_path / "gold.jsonl", [replace(MOOD, labels=("C",))])
    (tmp_path / "bad.jsonl").write_text("{\n")
    with pytest.raises(DataError, match=r"bad.jsonl:1: not JSON"):
        read_gold(tmp_path / "bad.jsonl")


def test_split_text_is_joined_as_people_write_it_with_its_spans() -> None:
    """Spaces before punctuation go, and every span still covers its words."""
    text, spans = as_written("He 's paid $ 5 million ( net ) .", [(11, 22, "MONEY")])
    assert text == "He's paid $5 million (net)."
    assert [text[s:e] for s, e, _ in spans] == ["$5 million"]


def test_rows_of_one_context_are_one_document() -> None:
    """White space does not make another document; without context the row stands alone."""
    assert document("a  b", "1") == document("a b\n", "2")
    assert document("", "1") != document("", "2")


TWO_ENCODERS = """
version: 1
active: both
encoders:
  wide: {source: "path:encoder", max_tokens: 48, runtime: torch}
  narrow: {source: "path:encoder", max_tokens: 8, stride: 2, runtime: torch}
models:
  both: {controls: {first: {HEAD, encoder: wide}, second: {HEAD, encoder: narrow}}}
  alone: {controls: {second: {HEAD, encoder: narrow}}}
""".replace("HEAD", "predictor: encoder_head, head: 'path:mood.head'")
TWO_CHOICES = "".join(
    f'<Choices name="{name}" toName="response"><Choice value="Good"/><Choice value="Bad"/></Choices>'
    for name in ("first", "second")
)


def test_heads_of_two_encoders_in_one_interface_read_each_its_own_states(tmp_path: Path) -> None:
    """A head answers the same whether another encoder's head stands beside it or not."""
    rng = np.random.default_rng(5)
    meta = HeadMeta(
        task="choice", labels=("Good", "Bad"), blocks=("r", "lexical"), trained_on="t",
        encoder=sha256_of(tiny.encoder(tmp_path / "encoder")),
    )  # fmt: skip
    layer = {"w0": rng.normal(size=(32 + len(LEXICAL), 2)).astype(np.float32), "b0": np.zeros(2, dtype=np.float32)}
    save_head(tmp_path / "mood.head", meta, layer)
    (tmp_path / "models.yaml").write_text(TWO_ENCODERS, encoding="utf-8")
    controls = parse(f'<View><Text name="response" value="$response"/>{TWO_CHOICES}</View>')
    scores = {}
    for name in ("both", "alone"):
        with LocalModel(tmp_path / "models.yaml", name, threads=1) as model:
            scores[name] = model.predict([{"response": "ana met ben and acme in the good bad fine poor so"}], controls)[
                0
            ].scores
    assert scores["both"]["second"] == pytest.approx(scores["alone"]["second"], abs=1e-6)
    assert scores["both"]["second"] != pytest.approx(scores["both"]["first"], abs=1e-4)
