"""The default predictor is a small trained head on an encoder that all heads of the interface share.

Every head asks for the same three texts of a row; equal asks are run once, so eight controls cost one pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ls_config.interface import Control
from ml_backend.errors import LoadError
from ml_backend.features import SHAPES, Floats, lexical, pattern_spans, token_shapes
from ml_backend.heads import Head, load_head, softmax
from ml_backend.predictors import base
from ml_backend.predictors.base import Answer, Ask, Model, Outcome, Predictor, TaskRow, cut
from ml_backend.tokens import Ints, Window, farthest_inside

FIELDS = ("context", "query", "response")


class EncoderHead(Predictor):
    """Answers by a head file on a shared encoder."""

    kinds: ClassVar[frozenset[str]] = frozenset({"choice", "choices", "rating", "spans"})

    class Settings(base.Settings):
        """`encoder` names one of the models file's encoders, `head` is the source of the head file."""

        encoder: str
        head: str

    def __init__(self, settings: Settings, model: Model, head: Head, identity: str) -> None:
        super().__init__(settings, identity)
        self.head = head
        self._model = model
        self._fields = fields_of(head.meta.blocks)
        # Heads that read the same states in the same way share what is worked out from them: names in a row's memo.
        self._states = f"{model.identity} {settings.max_chars}"

    @classmethod
    def load(cls, settings: Settings, loader: Any) -> EncoderHead:
        """Open the encoder and the head, and refuse a head that was trained on another encoder."""
        path: Path = loader.resolve(settings.head)
        head = load_head(path)
        model, sha256 = loader.encoder(settings.encoder)
        if head.meta.encoder != sha256:
            raise LoadError(
                f"{settings.head}: trained on encoder {head.meta.encoder[:12]}, but {settings.encoder} is "
                f"{sha256[:12]}; train it again on this one"
            )
        token_shapes("x", np.asarray([[0, 1]]))  # builds its table of characters now, not within the first request
        return cls(settings, model, head, loader.identity(settings, head.sha256, model.identity))

    def check(self, control: Control) -> str | None:
        """See `Predictor.check`; also refuses labels that the interface lacks."""
        if control.kind != self.head.meta.task:
            return f"the head answers {self.head.meta.task}, the control is {control.kind}"
        # A scale's steps are numbers: `_rating` keeps them within the control's bounds instead.
        if control.kind == "rating":
            return None
        strays = [label for label in self.head.meta.labels if self.mapped(label) not in (None, *control.labels)]
        return f"the head's label {strays[0]!r} is not in the interface; map it under `labels`" if strays else None

    def asks(self, row: TaskRow, control: Control) -> Sequence[Ask]:
        """Ask for pooled states of the texts that the head reads; for spans, for token tags."""
        if self.head.meta.task == "spans":
            text, _ = cut(row.text(control.value_key), self.settings.max_chars)
            # Keyed by the head: the tags that it makes of the shared states are its own.
            return (Ask(self._model, text, self.identity, self._tagger(text)),) if text.strip() else ()
        return tuple(row.once(f"{self._states} ask {field}", partial(self._ask, row, field)) for field in self._fields)

    def _ask(self, row: TaskRow, field: str) -> Ask:
        return pooled(self._model, cut(row.text(field), self.settings.max_chars)[0])

    def _tagger(self, text: str) -> Callable[[Floats, Window], Floats]:
        return lambda states, window: self.head.logits(token_features(states, window, text))

    def meanwhile(self, row: TaskRow, control: Control) -> None:
        """See `Predictor`."""
        if "lexical" in self.head.meta.blocks:
            own_words(row)
        if self.head.meta.patterns:
            self._pattern_spans(row, control)

    def _pattern_spans(self, row: TaskRow, control: Control) -> list[tuple[int, int, str]]:
        def find() -> list[tuple[int, int, str]]:
            return pattern_spans(cut(row.text(control.value_key), self.settings.max_chars)[0])

        spans: list[tuple[int, int, str]] = row.once(f"{control.value_key} patterns {self.settings.max_chars}", find)
        return spans

    def answer_many(
        self, rows: Sequence[TaskRow], control: Control, outcomes: Sequence[Sequence[Outcome]]
    ) -> list[Answer]:
        """See `Predictor.answer_many`."""
        if self.head.meta.task == "spans":
            return [self._spans(row, control, row_outcomes) for row, row_outcomes in zip(rows, outcomes, strict=True)]
        if not rows:
            return []
        features = [self._features(row, row_outcomes) for row, row_outcomes in zip(rows, outcomes, strict=True)]
        chances = self.head.probabilities(np.stack(features))
        return [self._answer_row(row, control, chance) for row, chance in zip(rows, chances, strict=True)]

    def _features(self, row: TaskRow, outcomes: Sequence[Outcome]) -> Floats:
        def make() -> Floats:
            vectors = {
                field: row.once(f"{self._states} {field}", partial(combined, outcome))
                for field, outcome in zip(self._fields, outcomes, strict=True)
            }
            return row_features(row, vectors, self.head.meta.blocks)

        features: Floats = row.once(f"{self._states} {'|'.join(self.head.meta.blocks)}", make)
        return features

    def _answer_row(self, row: TaskRow, control: Control, chance: Floats) -> Answer:
        # Nothing can be said of an empty response; the domain is the question's as well.
        if not row.text("response").strip() and control.name != "domain":
            return Answer(reason="the response is empty")
        if not np.isfinite(chance).all():
            return Answer(reason="the model gave a score that is not a number")
        match self.head.meta.task:
            case "choices":
                return self._several(chance)
            case "rating":
                return self._rating(control, chance)
            case _:
                return self._single(chance)

    def _single(self, chance: Floats) -> Answer:
        best = int(chance.argmax())
        score, needed = float(chance[best]), max(self.head.meta.abstain, self.settings.threshold)
        label = self.mapped(self.head.meta.labels[best])
        if score < needed or label is None:
            return Answer(score=score, reason=f"unsure: the best label has score {score:.2f}, {needed:.2f} is needed")
        return Answer(label, score)

    def _several(self, chance: Floats) -> Answer:
        # A head file may hold a threshold for each label; without any, more likely than not is enough.
        needed = self.head.meta.thresholds or (0.5,) * len(chance)
        indexes = [i for i, score in enumerate(chance) if score >= max(needed[i], self.settings.threshold)]
        labels = [self.mapped(self.head.meta.labels[i]) for i in indexes]
        # The set is as sure as its least sure tick: one wrong tick makes the field wrong.
        confidence = float(np.where([i in indexes for i in range(len(chance))], chance, 1 - chance).min())
        return Answer([label for label in labels if label is not None], confidence)

    def _rating(self, control: Control, chance: Floats) -> Answer:
        # The median of the distribution minimises the expected absolute error, the measure of a rating.
        best = int(np.searchsorted(np.cumsum(chance), 0.5))
        value = int(self.head.meta.labels[min(best, len(chance) - 1)])
        low, high = int(control.min or 1), int(control.max or value)
        score = float(chance[min(best, len(chance) - 1)])
        if score < max(self.head.meta.abstain, self.settings.threshold):
            return Answer(score=score, reason=f"unsure: the best rating has score {score:.2f}")
        return Answer(max(low, min(high, value)), score)

    def _spans(self, row: TaskRow, control: Control, outcomes: Sequence[Outcome]) -> Answer:
        full_text = row.text(control.value_key)
        text, note = cut(full_text, self.settings.max_chars)
        if not outcomes:
            return Answer(reason="the text is empty")
        tags, offsets = merged(outcomes[0])
        if not np.isfinite(tags).all():
            return Answer(reason="the model gave a score that is not a number")
        candidates = list(
            decode(
                softmax(tags),
                offsets,
                self.head.meta.labels,
                text,
                max(self.head.meta.abstain, self.settings.threshold),
            )
        )
        if self.head.meta.patterns:
            candidates = with_patterns(candidates, self._pattern_spans(row, control), self.head.meta.patterns)
        spans = [
            {
                "start": start,
                "end": end,
                "label": self.mapped(label),
                "text": full_text[start:end],
                "score": round(score, 4),
            }
            for start, end, label, score in candidates
            if self.mapped(label) is not None
        ]
        return Answer(spans, float(np.mean([span["score"] for span in spans])) if spans else 1.0, note)


def fields_of(blocks: Sequence[str]) -> tuple[str, ...]:
    """Name the texts whose states the feature blocks need."""
    letters = {letter for block in blocks if block != "lexical" for letter in (block if block != "mean" else "cqr")}
    return tuple(field for field in FIELDS if field[0] in letters)


def pooled(model: Model, text: str) -> Ask:
    """Ask for the mean state of a text's tokens."""
    return Ask(model, text, "mean", mean_state)


def mean_state(states: Floats, window: Window) -> Floats:
    """Compute the mean over a window's text tokens, and their number as last element, shape (width + 1,)."""
    keep = window.is_text
    count = int(keep.sum())
    mean = keep.astype(np.float32) @ states[: len(keep)] / np.float32(max(1, count))
    return np.append(mean, np.float32(count)).astype(np.float32)


def combined(outcome: Outcome) -> Floats:
    """Compute a text's unit vector from its windows' means, weighted by tokens; zero for an empty text."""
    parts = np.stack([mean for _, mean in outcome.windows])
    total: Floats = (parts[:, :-1] * parts[:, -1:]).sum(axis=0)
    norm = float(np.linalg.norm(total))
    return total / np.float32(norm) if norm > 0 else total


def row_features(row: TaskRow, vectors: dict[str, Floats], blocks: Sequence[str]) -> Floats:
    """Put the feature blocks side by side.

    Blocks: `c`, `q`, `r` the unit vector of context, query, response; `cr`, `qr` product and absolute difference of
    two; `mean` the unit mean of what is not empty; `lexical` overlaps and shapes, and the cosines.
    """
    return np.concatenate(list(_blocks(row, vectors, blocks))).astype(np.float32)


def own_words(row: TaskRow) -> Floats:
    """Return the row's lexical features."""
    features: Floats = row.once("lexical", lambda: lexical(*(row.text(field) for field in FIELDS)))
    return features


def _blocks(row: TaskRow, vectors: dict[str, Floats], blocks: Sequence[str]) -> Iterator[Floats]:
    by_letter = {field[0]: vector for field, vector in vectors.items()}
    for block in blocks:
        if block == "lexical":
            yield own_words(row)
            yield np.asarray(
                [by_letter[a] @ by_letter["r"] for a in "cq" if a in by_letter and "r" in by_letter], dtype=np.float32
            )
        elif block == "mean":
            total = np.sum(list(vectors.values()), axis=0)
            yield total / max(float(np.linalg.norm(total)), 1e-9)
        elif len(block) == 2:
            first, second = by_letter[block[0]], by_letter[block[1]]
            # Products of two unit vectors are small beside the other blocks; the factor brings them to one size.
            yield first * second * 20
            yield np.abs(first - second)
        else:
            yield by_letter[block]


def token_features(states: Floats, window: Window, text: str) -> Floats:
    """Join state and shape of each token with those of its neighbours, shape (tokens, 3 × (width + SHAPES))."""
    count = len(window)
    hidden, width = states.shape[1], states.shape[1] + SHAPES
    features = np.zeros((count, 3 * width), dtype=np.float32)
    own = features[:, width : 2 * width]
    of_text = np.flatnonzero(window.is_text)
    own[of_text, :hidden] = states[of_text]
    own[of_text, hidden:] = token_shapes(text, window.offsets[of_text])
    features[1:, :width] = own[:-1]
    features[:-1, 2 * width :] = own[1:]
    return features


def merged(outcome: Outcome) -> tuple[Floats, Ints]:
    """Return one row of tags a token over all windows; of two sights that counts which is farther from an edge."""
    text_tokens = [np.flatnonzero(w.is_text & (w.offsets[:, 1] > w.offsets[:, 0])) for w, _ in outcome.windows]
    margins = [
        np.minimum(tokens, len(w) - 1 - tokens) for tokens, (w, _) in zip(text_tokens, outcome.windows, strict=True)
    ]
    offsets = np.concatenate([w.offsets[tokens] for tokens, (w, _) in zip(text_tokens, outcome.windows, strict=True)])
    if not len(offsets):
        return np.zeros((0, 1), dtype=np.float32), np.zeros((0, 2), dtype=np.int64)
    tags = np.concatenate([tags[tokens] for tokens, (_, tags) in zip(text_tokens, outcome.windows, strict=True)])
    places = farthest_inside(offsets, np.concatenate(margins))
    return tags[places], offsets[places]


def decode(
    chances: Floats, offsets: Ints, labels: Sequence[str], text: str, threshold: float
) -> Iterator[tuple[int, int, str, float]]:
    """Read spans from tag probabilities in the order O, B-first, I-first, B-second, I-second, …

    A B- tag always begins a new span, so that adjacent entities of one type stay two; an I- tag that continues
    nothing begins one. A span's score is the mean of its tokens'.
    """
    if not len(chances):
        return
    best = chances.argmax(axis=1)
    run: list[int] = []
    # The last one is no token: it closes the span that is still open at the end.
    for index in [*np.flatnonzero(best), -1]:
        tag = int(best[index]) if index >= 0 else 0
        continues = bool(run) and index == run[-1] + 1 and tag and tag % 2 == 0 and (best[run[-1]] + 1) // 2 == tag // 2
        if continues:
            run.append(int(index))
            continue
        if run:
            yield from _span(run, best, chances, offsets, labels, text, threshold)
        run = [int(index)] if index >= 0 else []


def _span(
    tokens: list[int], best: Ints, chances: Floats, offsets: Ints, labels: Sequence[str], text: str, threshold: float
) -> Iterator[tuple[int, int, str, float]]:
    score = float(np.mean([chances[i, best[i]] for i in tokens]))
    start, end = int(offsets[tokens[0], 0]), int(offsets[tokens[-1], 1])
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if score >= threshold and end > start:
        yield start, end, labels[(int(best[tokens[0]]) - 1) // 2], score


def with_patterns(
    spans: list[tuple[int, int, str, float]], patterns: Sequence[tuple[int, int, str]], labels: Sequence[str]
) -> list[tuple[int, int, str, float]]:
    """Return the patterns' spans for `labels`, and the network's where they do not overlap those."""
    matches = [(start, end, label, 0.9) for start, end, label in patterns if label in labels]
    rest = [
        (start, end, label, score) for start, end, label, score in spans
        if label not in labels and all(end <= low or start >= high for low, high, _, _ in matches)
    ]  # fmt: skip
    return sorted([*matches, *rest])
