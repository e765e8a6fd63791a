"""Compares two models on the same adjudicated rows: which is better, by how much, and whether the data can tell."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ls_config.interface import Control
from ml_backend.models import TaskPrediction
from ml_backend.training import measure
from ml_backend.training.data import Example
from ml_backend.training.measure import Estimate


@dataclass(frozen=True, kw_only=True, slots=True)
class PairedFigure:
    """One measure of both models, and the paired difference B - A with its interval.

    Attributes:
        better: "A", "B", or None when the interval of the difference holds 0: the data can't tell them apart.
    """

    control: str
    measure: str
    domain: str
    rows: int
    a: Estimate
    b: Estimate
    difference: Estimate
    higher_is_better: bool = True

    @property
    def better(self) -> str | None:
        """Name the model that is shown to be better."""
        low, high = self.difference.low, self.difference.high
        # An interval that holds 0 is compatible with either sign, so neither model may be called better.
        if low is None or high is None or low <= 0 <= high:
            return None
        return "B" if (low > 0) == self.higher_is_better else "A"


@dataclass(frozen=True, kw_only=True, slots=True)
class Gold:
    """Adjudicated rows, and the controls of the interface that they were labelled with."""

    examples: Sequence[Example]
    controls: Sequence[Control]

    def rows(self) -> list[dict[str, str]]:
        """Return what a model sees of each row."""
        return [{"context": e.context, "query": e.query, "response": e.response} for e in self.examples]


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Two models, by the versions that answered, and every figure."""

    a: str
    b: str
    figures: Sequence[PairedFigure]

    @property
    def whole(self) -> PairedFigure:
        """Return the figure that decides: the edits saved over all rows, as they are what people feel."""
        return next(f for f in self.figures if f.measure == "edits saved a row" and f.domain == "all")

    @property
    def verdict(self) -> str:
        """Say in one sentence what the whole tells."""
        whole, gap = self.whole, self.whole.difference
        if gap.low is None or gap.high is None:
            return f"The data can't tell {self.a} and {self.b} apart: {whole.rows} rows are too few for an interval."
        if whole.better == "A":
            return f"{self.a} is better: {_saves(self.a, self.b, -gap.value, -gap.high, -gap.low, whole.rows)}"
        saves = _saves(self.b, self.a, gap.value, gap.low, gap.high, whole.rows)
        if whole.better is None:
            return f"The data can't tell {self.a} and {self.b} apart: {saves}"
        return f"{self.b} is better: {saves}"

    def to_json(self) -> dict[str, Any]:
        """Write the comparison as one JSON object; a figure that is not defined is null."""
        figures = [_plain(asdict(figure)) | {"better": figure.better} for figure in self.figures]
        return {"a": self.a, "b": self.b, "verdict": self.verdict, "figures": figures}


def _saves(name: str, rival: str, value: float, low: float, high: float, rows: int) -> str:
    return f"{name} saves {value:+.2f} edits a row beside {rival} (95 % {low:+.2f} to {high:+.2f}, {rows} rows)."


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, dict) else value


@dataclass(frozen=True)
class _Pair:
    truth: Any
    a: TaskPrediction
    b: TaskPrediction


def compare(
    gold: Gold,
    a: tuple[str, Sequence[TaskPrediction]],
    b: tuple[str, Sequence[TaskPrediction]],
    *,
    draws: int = 1000,
) -> Comparison:
    """Measure each control as suits it, over all rows and by domain, and then the edits that people are spared.

    Args:
        gold: adjudicated rows; a row without a value for a control is left out of that control's figures.
        a, b: each model's version and its predictions for these rows, same order.
        draws: bootstrap draws; rows are drawn once for both models (paired).
    """
    return Comparison(a=a[0], b=b[0], figures=_figures(gold.examples, a[1], b[1], gold.controls, draws))


def _figures(
    gold: Sequence[Example],
    a: Sequence[TaskPrediction],
    b: Sequence[TaskPrediction],
    controls: Sequence[Control],
    draws: int,
) -> list[PairedFigure]:
    figures: list[PairedFigure] = []
    # The whole stands first: it decides, and readers of the table look there.
    domains = ["all", *sorted({example.domain for example in gold if example.domain})]
    for domain in domains:
        rows = [i for i, example in enumerate(gold) if domain in ("all", example.domain)]
        for control in controls:
            use = [i for i in rows if control.name in gold[i].values]
            if use:
                figures += _control(
                    control, domain, [_Pair(gold[i].values[control.name], a[i], b[i]) for i in use], draws
                )
        figures.append(_edits(gold, a, b, controls, rows, domain, draws))
    return figures


def _control(control: Control, domain: str, pairs: list[_Pair], draws: int) -> list[PairedFigure]:
    def figure(name: str, of: Any, *, higher: bool = True) -> PairedFigure:
        return _paired(
            control.name,
            name,
            domain,
            len(pairs),
            lambda rows: of(rows, "a"),
            lambda rows: of(rows, "b"),
            draws,
            higher=higher,
        )

    truth = [pair.truth for pair in pairs]
    answers = {side: [getattr(pair, side).values.get(control.name) for pair in pairs] for side in ("a", "b")}
    scores = {side: [getattr(pair, side).scores.get(control.name, 0.0) for pair in pairs] for side in ("a", "b")}
    match control.kind:
        case "spans":
            counts = {
                side: [measure.span_counts(_spans(t), _spans(f)) for t, f in zip(truth, answers[side], strict=True)]
                for side in answers
            }
            return [figure("span F1", lambda rows, side: measure.micro_f1([counts[side][i] for i in rows]))]
        case "rating":
            gaps = {
                side: np.asarray(
                    # Without a rating there is no distance: `_mean` leaves the row out, neither right nor wrong.
                    [abs(t - f) if f is not None else np.nan for t, f in zip(truth, answers[side], strict=True)]
                )
                for side in answers
            }
            return [
                figure("MAE", lambda rows, side: _mean(gaps[side][rows]), higher=False),
                figure(
                    "alpha (interval)", lambda rows, side: alpha_interval([(truth[i], answers[side][i]) for i in rows])
                ),
            ]
        case "choices":
            same = {
                side: np.asarray([a is not None and set(t) == set(a) for t, a in zip(truth, sets, strict=True)])
                for side, sets in answers.items()
            }
            return [figure("equal sets", lambda rows, side: float(same[side][rows].mean()))]
        case _:
            right = {side: np.asarray([t == f for t, f in zip(truth, answers[side], strict=True)]) for side in answers}
            return [
                figure("accuracy", lambda rows, side: float(right[side][rows].mean())),
                figure(
                    "macro-F1",
                    lambda rows, side: measure.macro_f1([truth[i] for i in rows], [answers[side][i] for i in rows]),
                ),
                figure(
                    "ECE",
                    lambda rows, side: measure.ece(
                        [scores[side][i] for i in rows], [bool(right[side][i]) for i in rows]
                    ),
                    higher=False,
                ),
            ]


def _spans(value: Any) -> list[tuple[int, int, str]]:
    return [
        (span["start"], span["end"], span["label"]) if isinstance(span, Mapping) else tuple(span)
        for span in value or []
    ]


def _mean(values: NDArray[np.float64]) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def alpha_interval(pairs: Sequence[tuple[float, float | None]]) -> float:
    """Compute Krippendorff's alpha with squared distance of two raters; NaN without variation (Krippendorff 2011)."""
    ratings = np.asarray([(x, y) for x, y in pairs if y is not None], dtype=float)
    # Alpha compares a row with other rows: of a single one there is nothing to expect by chance.
    if len(ratings) < 2:
        return float("nan")
    marks = ratings.ravel()
    expected = 2 * marks.var() * len(marks) / (len(marks) - 1)
    return float(1 - ((ratings[:, 0] - ratings[:, 1]) ** 2).mean() / expected) if expected else float("nan")


def _edits(
    gold: Sequence[Example],
    a: Sequence[TaskPrediction],
    b: Sequence[TaskPrediction],
    controls: Sequence[Control],
    rows: list[int],
    domain: str,
    draws: int,
) -> PairedFigure:
    """Count the edits saved a row: what a person types into an empty form, less what they change in a filled one."""

    def saved(prediction: TaskPrediction, example: Example) -> int:
        return sum(
            measure.edits(c.kind, example.values[c.name], None)
            - measure.edits(c.kind, example.values[c.name], prediction.values.get(c.name))
            for c in controls
            if c.name in example.values
        )

    sides = {
        "a": np.asarray([saved(a[i], gold[i]) for i in rows]),
        "b": np.asarray([saved(b[i], gold[i]) for i in rows]),
    }
    return _paired(
        # The same rows are drawn for both models: most of the spread between rows cancels out in the difference.
        "(whole row)", "edits saved a row", domain, len(rows),
        lambda drawn: float(sides["a"][drawn].mean()), lambda drawn: float(sides["b"][drawn].mean()), draws,
        higher=True,
    )  # fmt: skip


def _paired(
    control: str, name: str, domain: str, count: int, a: Any, b: Any, draws: int, *, higher: bool
) -> PairedFigure:
    return PairedFigure(
        control=control, measure=name, domain=domain, rows=count,
        a=measure.bootstrap(count, a, draws=draws), b=measure.bootstrap(count, b, draws=draws),
        difference=measure.bootstrap(count, lambda rows: b(rows) - a(rows), draws=draws), higher_is_better=higher,
    )  # fmt: skip


def picture(comparison: Comparison) -> Any:
    """Draw every paired difference with its interval, turned so that right is better for B."""
    import altair as alt

    a, b = comparison.a, comparison.b
    figures = [figure for figure in comparison.figures if figure.domain == "all" and figure.difference.low is not None]
    values = []
    for figure in figures:
        # Of an error less is better: turned round, right means better for B in every line of the chart.
        sign = 1 if figure.higher_is_better else -1
        ends = sorted((sign * figure.difference.low, sign * figure.difference.high))  # type: ignore[operator]
        values.append({
            "figure": f"{figure.control} · {figure.measure}", "difference": sign * figure.difference.value,
            "low": ends[0], "high": ends[1], "better": {"A": a, "B": b, None: "can't tell"}[figure.better],
        })  # fmt: skip
    base = alt.Chart(alt.Data(values=values)).encode(
        y=alt.Y("figure:N", title=None, sort=None),
        color=alt.Color(
            "better:N",
            title="better",
            scale=alt.Scale(domain=[a, b, "can't tell"], range=["#e8590c", "#1c7ed6", "#868e96"]),
        ),
    )
    bars = base.mark_rule(strokeWidth=3).encode(
        x=alt.X("low:Q", title=f"{b} better than {a} by (95 % interval)"), x2="high:Q"
    )
    zero = alt.Chart(alt.Data(values=[{"x": 0}])).mark_rule(strokeDash=[4, 4]).encode(x="x:Q")
    return (zero + bars + base.mark_point(filled=True, size=70).encode(x="difference:Q")).properties(width=520)
