"""Says what each head is trained with (task, feature blocks, strength), and measures it by cross-validation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.features import Floats, pattern_spans
from ml_backend.heads import Head, HeadMeta, Task, sigmoid, softmax
from ml_backend.predictors.encoder_head import decode, with_patterns
from ml_backend.training import encode, fit, measure
from ml_backend.training.data import Example, data_hash
from ml_backend.training.encode import Tokens

ROW_BLOCKS: Final = ("c", "q", "r", "cr", "qr", "lexical")
FEWEST: Final = 10
"""A label with fewer examples is not learned: the head abstains from it, and its card says so."""


OWN: Final = frozenset({"examples", "gold"})
OWN_WEIGHT: Final = 4.0
"""Rows of the kind that will be pre-labelled count so many times a public row, when tags are learned."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one control's head is trained.

    Attributes:
        blocks: feature blocks (`encoder_head.row_features`).
        strengths: values of C that are tried; the best by cross-validation is taken.
        scale: for ratings.
        patterns: labels that patterns find, for spans.
        abstain: below this score the head gives no answer.
    """

    control: str
    task: Task
    blocks: tuple[str, ...] = ROW_BLOCKS
    strengths: tuple[float, ...] = (0.0003, 0.001, 0.003, 0.01)
    scale: tuple[int, ...] = ()
    patterns: tuple[str, ...] = ()
    abstain: float = 0.0


RECIPES: Final[Mapping[str, Recipe]] = {
    recipe.control: recipe
    for recipe in (
        Recipe(control="verdict", task="choice", abstain=0.6),
        Recipe(control="issues", task="choices"),
        Recipe(control="response_type", task="choice", blocks=("q", "r", "lexical"), strengths=(0.003, 0.03, 0.3)),
        *(
            Recipe(control=name, task="rating", scale=(1, 2, 3, 4, 5))
            for name in ("correctness", "completeness", "helpfulness", "tone")
        ),
        Recipe(control="entities", task="spans", blocks=("tokens",), patterns=("DATE", "MONEY", "QUANTITY")),
        Recipe(control="domain", task="choice", blocks=("mean",), strengths=(0.003, 0.01, 0.03, 0.1), abstain=0.5),
    )
}


def recipe_for(control: str, values: Sequence[Any]) -> Recipe | None:
    """Return a control's recipe: its own, or for a team's own control what suits its values; None for free text."""
    if not values:
        return None
    recipe = RECIPES.get(control)
    # A rating that hardly varies teaches the head to always give the usual step.
    if recipe is not None:
        varied = recipe.task != "rating" or _varies(values)
        return recipe if varied else None
    if all(isinstance(value, list) for value in values):
        parts = [part for value in values for part in value]
        spans = any(isinstance(part, tuple) for part in parts)
        return (
            Recipe(control=control, task="spans", blocks=("tokens",))
            if spans
            else Recipe(control=control, task="choices")
        )
    if all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        scale = tuple(range(min(values), max(values) + 1))
        return Recipe(control=control, task="rating", scale=scale) if _varies(values) else None
    # Many different texts are free text, in which no value comes often enough to be learned.
    few = len(set(map(str, values))) <= max(2, len(values) // FEWEST)
    return Recipe(control=control, task="choice") if few and all(isinstance(value, str) for value in values) else None


def _varies(ratings: Sequence[Any]) -> bool:
    """True if there is something to learn: enough ratings beside the most frequent one."""
    return len(ratings) - Counter(ratings).most_common(1)[0][1] >= FEWEST


def learnable(counts: Mapping[str, int]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the labels with enough examples to be learned, and the others."""
    labels = tuple(sorted(label for label, count in counts.items() if count >= FEWEST))
    return labels, tuple(sorted(set(counts) - set(labels)))


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A head and what was measured on the way.

    Attributes:
        held_out: out-of-fold answer of each example, same order as `examples`.
        scores: out-of-fold score of each.
        missing: labels without enough examples.
    """

    head: Head
    examples: Sequence[Example]
    held_out: Sequence[Any]
    scores: Sequence[float]
    missing: tuple[str, ...]
    strength: float


def train(
    recipe: Recipe, examples: Sequence[Example], vectors: dict[str, Floats], tokens: Mapping[str, Tokens], encoder: str
) -> Trained:
    """Train one head on every example that has a value for its control, after measuring it by grouped folds."""
    usable = [example for example in examples if example.values.get(recipe.control) is not None]
    match recipe.task:
        case "spans":
            return _train_spans(recipe, usable, tokens, encoder)
        case "choices":
            return _train_choices(recipe, usable, vectors, encoder)
        case "rating":
            return _train_rating(recipe, usable, vectors, encoder)
        case _:
            return _train_choice(recipe, usable, vectors, encoder)


def _meta(recipe: Recipe, examples: Sequence[Example], labels: Sequence[str], encoder: str, **more: Any) -> HeadMeta:
    return HeadMeta(
        task=recipe.task, labels=tuple(labels), blocks=recipe.blocks, encoder=encoder, abstain=recipe.abstain,
        patterns=recipe.patterns, trained_on=data_hash(examples), **more,
    )  # fmt: skip


def _options(
    recipe: Recipe,
    x: Floats,
    examples: Sequence[Example],
    outputs: int,
    fit_one: Callable[[NDArray[np.int64], float], fit.Arrays],
) -> dict[float, Floats]:
    """Compute out-of-fold logits for each strength that the recipe tries."""
    options: dict[float, Floats] = {c: np.zeros((len(x), outputs), dtype=np.float32) for c in recipe.strengths}
    for train_rows, test_rows in fit.folds([example.group for example in examples]):
        for strength, logits in options.items():
            # Rounded as in the file, so that the figures are of what is shipped.
            arrays = fit.as_mapping(fit_one(train_rows, strength))
            logits[test_rows] = x[test_rows] @ arrays["w0"] + arrays["b0"]
    return options


def _best(options: Mapping[float, Floats], loss: Callable[[Floats], float]) -> float:
    return min(options, key=lambda strength: loss(options[strength]))


def _train_choice(recipe: Recipe, examples: list[Example], vectors: dict[str, Floats], encoder: str) -> Trained:
    counts = Counter(str(example.values[recipe.control]) for example in examples)
    labels, missing = learnable(counts)
    use = [example for example in examples if str(example.values[recipe.control]) in labels]
    x = encode.features(use, vectors, recipe.blocks)
    y = np.asarray([str(example.values[recipe.control]) for example in use])
    codes = np.asarray([labels.index(label) for label in y])
    with fit.quiet():
        options = _options(
            recipe,
            x,
            use,
            len(labels),
            lambda rows, c: fit.fit_choice(x[rows], y[rows].tolist(), labels, c),
        )
        best = _best(options, lambda logits: -float((logits.argmax(axis=1) == codes).mean()))
        arrays = fit.fit_choice(x, y.tolist(), labels, best)
    temperature = fit.fit_temperature(options[best], codes)
    chances = softmax(options[best] / temperature)
    head = Head(_meta(recipe, examples, labels, encoder, temperature=temperature), arrays)
    answers = [labels[i] for i in chances.argmax(axis=1)]
    return Trained(
        head=head, examples=use, held_out=answers, scores=chances.max(axis=1).tolist(), missing=missing, strength=best
    )


def _train_choices(recipe: Recipe, examples: list[Example], vectors: dict[str, Floats], encoder: str) -> Trained:
    labels, missing = learnable(Counter(label for example in examples for label in example.values[recipe.control]))
    x = encode.features(examples, vectors, recipe.blocks)
    decisions = [[decided(example, recipe.control, label) for label in labels] for example in examples]
    y = np.asarray(decisions, dtype=np.int8)
    with fit.quiet():
        options = _options(recipe, x, examples, len(labels), lambda rows, c: fit.fit_binaries(x[rows], y[rows], c))
        best = _best(options, lambda logits: float(np.log1p(np.exp(-np.where(y == 1, logits, -logits)))[y >= 0].mean()))
        arrays = fit.fit_binaries(x, y, best)
    temperature = fit.fit_binary_temperature(options[best], y)
    chances = sigmoid(options[best] / temperature)
    head = Head(
        _meta(recipe, examples, labels, encoder, temperature=temperature, thresholds=(0.5,) * len(labels)), arrays
    )
    answers = [[labels[i] for i in np.flatnonzero(row >= 0.5)] for row in chances]
    scores = np.maximum(chances, 1 - chances).min(axis=1).tolist()
    return Trained(
        head=head,
        examples=examples,
        held_out=answers,
        scores=scores,
        missing=missing,
        strength=best,
    )


def decided(example: Example, control: str, label: str) -> int:
    """Return 1 if the example has the label, 0 if not, -1 if nobody decided it."""
    decided = example.known.get(control)
    if decided is not None and label not in decided:
        return -1
    return int(label in example.values[control])


def _train_rating(recipe: Recipe, examples: list[Example], vectors: dict[str, Floats], encoder: str) -> Trained:
    values = [int(example.values[recipe.control]) for example in examples]
    y = fit.steps(values, recipe.scale)
    x = encode.features(examples, vectors, recipe.blocks)
    with fit.quiet():
        options = _options(recipe, x, examples, y.shape[1], lambda rows, c: fit.fit_binaries(x[rows], y[rows], c))
        best = _best(
            options,
            lambda logits: float(np.abs(recipe.scale[0] + (logits > 0).sum(axis=1) - np.asarray(values)).mean()),
        )
        arrays = fit.fit_binaries(x, y, best)
    temperature = fit.fit_binary_temperature(options[best], y)
    head = Head(_meta(recipe, examples, list(map(str, recipe.scale)), encoder, temperature=temperature), arrays)
    chances = Head(
        head.meta, {"w0": np.eye(y.shape[1], dtype=np.float32), "b0": np.zeros(y.shape[1], dtype=np.float32)}
    ).probabilities(options[best])
    answers = [recipe.scale[min(int(np.searchsorted(np.cumsum(row), 0.5)), len(recipe.scale) - 1)] for row in chances]
    return Trained(
        head=head, examples=examples, held_out=answers, scores=chances.max(axis=1).tolist(), missing=(), strength=best
    )


def _train_spans(recipe: Recipe, examples: list[Example], tokens: Mapping[str, Tokens], encoder: str) -> Trained:
    counts = Counter(label for example in examples for _, _, label in example.values[recipe.control])
    labels = sorted(label for label, count in counts.items() if count >= FEWEST and label not in recipe.patterns)
    data = [tokens[example.response] for example in examples]
    tags = [tags_of(example, tokens[example.response], labels, recipe) for example in examples]
    allowed = [_allowed(example, recipe.control, labels) for example in examples]
    outputs = 1 + 2 * len(labels)
    weights = [OWN_WEIGHT if example.source in OWN else 1.0 for example in examples]
    candidates: list[list[Scored]] = [[] for _ in examples]
    meta = _meta(recipe, examples, labels, encoder)
    for train_rows, test_rows in fit.folds([example.group for example in examples]):
        arrays = fit.fit_tagger(
            [data[i] for i in train_rows], [tags[i] for i in train_rows], [allowed[i] for i in train_rows], outputs,
            weights=[weights[i] for i in train_rows],
        )  # fmt: skip
        head = Head(meta, fit.as_mapping(arrays))
        for i in test_rows:
            candidates[i] = raw_spans(head, tokens[examples[i].response], examples[i].response)
    threshold = _span_threshold(recipe, examples, candidates, labels)
    meta = meta.model_copy(update={"abstain": threshold})
    arrays = fit.fit_tagger(data, tags, allowed, outputs, weights=weights)
    final = [finished(meta, spans, example.response) for spans, example in zip(candidates, examples, strict=True)]
    missing = tuple(sorted(set(counts) - set(labels) - set(recipe.patterns)))
    scores = [1.0] * len(examples)
    return Trained(
        head=Head(meta, arrays), examples=examples, held_out=final, scores=scores, missing=missing, strength=0.0
    )


Scored = tuple[int, int, str, float]


def raw_spans(head: Head, tokens: Tokens, text: str) -> list[Scored]:
    """Return every span that the network sees, however unsure."""
    if not len(tokens.offsets):
        return []
    return list(decode(softmax(head.logits(tokens.x)), tokens.offsets, head.meta.labels, text, 0.0))


def finished(meta: HeadMeta, candidates: Sequence[Scored], text: str) -> list[tuple[int, int, str]]:
    """Return the spans that are sure enough, with those of the patterns."""
    spans = [span for span in candidates if span[3] >= meta.abstain]
    return [(start, end, label) for start, end, label, _ in with_patterns(spans, pattern_spans(text), meta.patterns)]


def _span_threshold(
    recipe: Recipe, examples: Sequence[Example], candidates: Sequence[Sequence[Scored]], labels: Sequence[str]
) -> float:
    """Choose the score from which a span is given: the best F1 on the fully annotated rows, out of fold."""
    # Public rows lack some types: what they do not annotate would count as a wrong span.
    own = [i for i, example in enumerate(examples) if example.source in OWN] or list(range(len(examples)))
    all_labels = {*labels, *recipe.patterns}

    def f1(threshold: float) -> float:
        counts = []
        for i in own:
            example = examples[i]
            countable = (example.known.get(recipe.control) or all_labels) & all_labels
            above = [span for span in candidates[i] if span[3] >= threshold]
            spans = [
                (s, e, label)
                for s, e, label, _ in with_patterns(above, pattern_spans(example.response), recipe.patterns)
            ]
            counts.append(measure.span_counts(example.values[recipe.control], _countable(spans, example, countable)))
        return measure.micro_f1(counts)

    return max((0.0, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95), key=f1)


def tags_of(example: Example, tokens: Tokens, labels: Sequence[str], recipe: Recipe) -> NDArray[np.int64]:
    """Return a tag for each token: 0 outside, 1 + 2·label begins, 2 + 2·label continues, -1 unknown."""
    tags = np.zeros(len(tokens.offsets), dtype=np.int64)
    start, end = tokens.offsets[:, 0], tokens.offsets[:, 1]
    for low, high in example.masked:
        tags[(start < high) & (end > low)] = -1
    for low, high, label in example.values[recipe.control]:
        inside = np.flatnonzero((start < high) & (end > low))
        if label not in labels:
            # Patterns find that type, so it is outside for the network; a rare type is unknown, not absent.
            tags[inside] = 0 if label in recipe.patterns else -1
        elif len(inside):
            tags[inside] = 2 + 2 * labels.index(label)
            tags[inside[0]] = 1 + 2 * labels.index(label)
    return tags


def _allowed(example: Example, control: str, labels: Sequence[str]) -> NDArray[np.bool_]:
    annotated = example.known.get(control)
    mask = np.zeros(1 + 2 * len(labels), dtype=bool)
    for index, label in enumerate(labels):
        if annotated is not None and label not in annotated:
            mask[1 + 2 * index : 3 + 2 * index] = True
    return mask


def figures(recipe: Recipe, trained: Trained) -> dict[str, Any]:
    """Return cross-validated figures beside the baselines, over all examples and for each source."""
    sources = sorted({example.source for example in trained.examples})
    table = {"all": _figures(recipe, trained, list(range(len(trained.examples))))}
    for source in sources:
        rows = [i for i, example in enumerate(trained.examples) if example.source == source]
        table[source] = _figures(recipe, trained, rows)
    return table


def _figures(recipe: Recipe, trained: Trained, rows: list[int]) -> dict[str, Any]:
    truth = [trained.examples[i].values[recipe.control] for i in rows]
    answers = [trained.held_out[i] for i in rows]
    match recipe.task:
        case "spans":
            return _span_figures(recipe, trained, rows)
        case "choices":
            return _choices_figures(recipe, trained, rows)
        case "rating":
            # The baseline that a rating has to beat: the median has the least mean absolute error of all constants.
            usual = int(np.median(truth))
            return {
                "rows": len(rows),
                "mae": float(np.mean([abs(a - b) for a, b in zip(truth, answers, strict=True)])),
                "mae_of_median": float(np.mean([abs(a - usual) for a in truth])),
                "accuracy": measure.accuracy(truth, answers),
                "accuracy_of_majority": measure.accuracy(truth, [measure.majority(truth)] * len(rows)),
            }
        case _:
            truth = [str(value) for value in truth]
            right = [a == b for a, b in zip(truth, answers, strict=True)]
            least = trained.head.meta.abstain
            certain = [is_right for is_right, row in zip(right, rows, strict=True) if trained.scores[row] >= least]
            return {
                "rows": len(rows),
                "accuracy": measure.accuracy(truth, answers),
                "macro_f1": measure.macro_f1(truth, answers),
                "accuracy_of_majority": measure.accuracy(truth, [measure.majority(truth)] * len(rows)),
                "macro_f1_of_majority": measure.macro_f1(truth, [measure.majority(truth)] * len(rows)),
                "ece": measure.ece([trained.scores[i] for i in rows], right),
                "share_answered": len(certain) / max(1, len(rows)),
                "accuracy_of_answered": float(np.mean(certain)) if certain else float("nan"),
            }


def _choices_figures(recipe: Recipe, trained: Trained, rows: list[int]) -> dict[str, Any]:
    per_label = {}
    for label in trained.head.meta.labels:
        decided_rows = [i for i in rows if decided(trained.examples[i], recipe.control, label) >= 0]
        truth = [label in trained.examples[i].values[recipe.control] for i in decided_rows]
        answers = [label in trained.held_out[i] for i in decided_rows]
        if decided_rows and any(truth):
            counts = (sum(a and b for a, b in zip(truth, answers, strict=True)), sum(truth), sum(answers))
            per_label[label] = {
                "rows": len(decided_rows),
                "f1": measure.micro_f1([counts]),
                "accuracy": measure.accuracy(truth, answers),
                "accuracy_of_never": 1 - float(np.mean(truth)),
            }
    return {"rows": len(rows), "labels": per_label}


def _span_figures(recipe: Recipe, trained: Trained, rows: list[int]) -> dict[str, Any]:
    counts, plain = [], []
    by_label: dict[str, list[tuple[int, int, int]]] = {}
    all_labels = {*trained.head.meta.labels, *recipe.patterns}
    for i in rows:
        example = trained.examples[i]
        labels = (example.known.get(recipe.control) or all_labels) & all_labels
        truth = [span for span in example.values[recipe.control] if span[2] in labels]
        answers = _countable(trained.held_out[i], example, labels)
        counts.append(measure.span_counts(truth, answers))
        plain.append(measure.span_counts(truth, _countable(pattern_spans(example.response), example, labels)))
        for label in labels:
            by_label.setdefault(label, []).append(
                measure.span_counts([s for s in truth if s[2] == label], [s for s in answers if s[2] == label])
            )
    return {
        "rows": len(rows),
        "spans": sum(count[1] for count in counts),
        "f1": measure.micro_f1(counts),
        "f1_untrained": measure.micro_f1(plain),
        "labels": {
            label: measure.micro_f1(label_counts)
            for label, label_counts in sorted(by_label.items())
            if sum(count[1] for count in label_counts)
        },
    }


def _countable(
    spans: Sequence[tuple[int, int, str]], example: Example, labels: frozenset[str] | set[str]
) -> list[tuple[int, int, str]]:
    return [s for s in spans if s[2] in labels and not any(s[0] < high and low < s[1] for low, high in example.masked)]
