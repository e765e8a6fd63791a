"""Fits heads: regularised linear models for rows, a small network for tokens, and temperature calibration."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.features import Floats
from ml_backend.heads import sigmoid, softmax
from ml_backend.training.encode import Tokens

Arrays = dict[str, Floats]
SEED = 20


@dataclass(frozen=True, kw_only=True)
class Scaled:
    """Mean and deviation of features, folded into the weights after fitting."""

    mean: Floats
    scale: Floats

    @classmethod
    def of(cls, x: Floats) -> Scaled:
        """Measure the features."""
        return cls(mean=x.mean(axis=0), scale=x.std(axis=0) + 1e-3)

    def __call__(self, x: Floats) -> Floats:
        result: Floats = (x - self.mean) / self.scale
        return result

    def fold(self, weights: Floats, bias: Floats) -> tuple[Floats, Floats]:
        """Return weights and bias for features that are not scaled."""
        folded = weights / self.scale[:, None]
        return folded.astype(np.float32), (bias - self.mean @ folded).astype(np.float32)


def fit_choice(x: Floats, y: Sequence[str], labels: Sequence[str], strength: float) -> Arrays:
    """Fit multinomial logistic regression; `strength` is scikit-learn's C. Rare labels weigh more, by √(1/share)."""
    scaled = Scaled.of(x)
    model = _logistic(strength).fit(scaled(x), y, sample_weight=_balanced(y))
    full = np.zeros((x.shape[1], len(labels)), dtype=np.float32)
    bias = np.full(len(labels), -20.0, dtype=np.float32)
    coefficients, intercepts = model.coef_, model.intercept_
    # Of two classes scikit-learn keeps one row of weights; the softmax of the head wants one for each.
    if len(model.classes_) == 2:
        coefficients, intercepts = (
            np.vstack([-coefficients, coefficients]) / 2,
            np.array([-intercepts[0], intercepts[0]]) / 2,
        )
    for index, label in enumerate(model.classes_):
        full[:, labels.index(label)] = coefficients[index]
        bias[labels.index(label)] = intercepts[index]
    w, b = scaled.fold(full, bias)
    return {"w0": w, "b0": b}


def _balanced(y: Sequence[str]) -> Floats:
    values, counts = np.unique(np.asarray(y), return_counts=True)
    share = dict(zip(values, counts / len(y), strict=True))
    weights: Floats = np.asarray([share[label] ** -0.5 for label in y], dtype=np.float32)
    balanced: Floats = weights / weights.mean()
    return balanced


def _logistic(strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=300)


def fit_binaries(x: Floats, y: NDArray[np.int8], strength: float) -> Arrays:
    """Fit one logistic regression a column.

    Args:
        y: 1, 0, or -1 for unknown, shape (rows, columns).
    """
    columns: list[tuple[Floats, Floats]] = []
    for column in y.T:
        use = column >= 0
        scaled = Scaled.of(x[use])
        # A fold in which all rows agree: nothing to fit, so the answer is always what they say.
        if len(set(column[use].tolist())) < 2:
            columns.append(
                (
                    np.zeros((x.shape[1], 1), dtype=np.float32),
                    np.array([-20.0 if not column[use].any() else 20.0], dtype=np.float32),
                )
            )
            continue
        model = _logistic(strength).fit(scaled(x[use]), column[use])
        columns.append(scaled.fold(model.coef_.T, model.intercept_))
    return {"w0": np.hstack([w for w, _ in columns]), "b0": np.concatenate([b for _, b in columns])}


def steps(y: Sequence[int], scale: Sequence[int]) -> NDArray[np.int8]:
    """Write ratings as cumulative questions "more than k?", shape (rows, len(scale) - 1)."""
    return (np.asarray(y)[:, None] > np.asarray(scale)[None, :-1]).astype(np.int8)


def fit_temperature(logits: Floats, y: NDArray[np.int64]) -> float:
    """Find the temperature with the least log loss on held-out logits (Guo et al. 2017)."""
    grid = np.exp(np.linspace(np.log(0.3), np.log(6.0), 60))
    losses = [-np.log(softmax(logits / t)[np.arange(len(y)), y] + 1e-9).mean() for t in grid]
    return float(grid[int(np.argmin(losses))])


def fit_binary_temperature(logits: Floats, y: NDArray[np.int8]) -> float:
    """Do what `fit_temperature` does, for sigmoids; -1 is unknown."""
    use = y >= 0
    grid = np.exp(np.linspace(np.log(0.3), np.log(6.0), 60))
    truth = y[use].astype(np.float32)
    losses = []
    for t in grid:
        chance = np.clip(sigmoid(logits[use] / t), 1e-6, 1 - 1e-6)
        losses.append(-(truth * np.log(chance) + (1 - truth) * np.log(1 - chance)).mean())
    return float(grid[int(np.argmin(losses))])


def fit_tagger(
    data: Sequence[Tokens],
    tags: Sequence[NDArray[np.int64]],
    allowed: Sequence[NDArray[np.bool_]],
    outputs: int,
    *,
    hidden: int = 96,
    epochs: int = 8,
    weights: Sequence[float] = (),
) -> Arrays:
    """Train a network with one hidden layer over token features, with what each source annotated.

    Where a source did not annotate a type, "outside" may as well be that type: the loss is the log of the summed
    probability of the tags that are possible (a partial-label likelihood; Tsuboi et al. 2008).

    Args:
        tags: for each text, a tag a token; -1 leaves the token out.
        allowed: for each text, the tags that "outside" may stand for, shape (outputs,).
        outputs: number of tags.
        weights: how much each text counts; all the same without.
    """
    import torch

    # The batches are small: threads would wait for each other longer than they work.
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    x = np.vstack([text.x for text in data])
    y = np.concatenate(list(tags))
    wide = np.vstack([np.repeat(mask[None], len(tag), axis=0) for mask, tag in zip(allowed, tags, strict=True)])
    use = y >= 0
    scaled = Scaled.of(x[use])
    xs, ys, masks = torch.from_numpy(scaled(x[use])), torch.from_numpy(y[use]), torch.from_numpy(wide[use])
    each = np.concatenate(
        [np.full(len(tag), weight) for tag, weight in zip(tags, weights or [1.0] * len(tags), strict=True)]
    )
    important = torch.from_numpy(each[use].astype(np.float32))
    possible = torch.nn.functional.one_hot(ys, outputs).bool() | (masks & (ys == 0)[:, None])
    first, last = torch.nn.Linear(x.shape[1], hidden), torch.nn.Linear(hidden, outputs)
    net = torch.nn.Sequential(first, torch.nn.ReLU(), torch.nn.Dropout(0.3), last)
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=epochs * (len(xs) // 512 + 1))
    generator = torch.Generator().manual_seed(SEED)
    for _ in range(epochs):
        for batch in torch.randperm(len(xs), generator=generator).split(512):  # type: ignore[no-untyped-call]
            log = torch.log_softmax(net(xs[batch]), dim=1)
            partial = -torch.logsumexp(log.masked_fill(~possible[batch], -1e4), dim=1)
            # Half of the plain loss keeps the network from calling everything that was not annotated an entity.
            plain = torch.nn.functional.nll_loss(log, ys[batch], reduction="none")
            loss = ((partial + plain) / 2 * important[batch]).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    w0, b0 = scaled.fold(first.weight.detach().numpy().T, first.bias.detach().numpy())
    return {"w0": w0, "b0": b0, "w1": last.weight.detach().numpy().T.copy(), "b1": last.bias.detach().numpy().copy()}


def folds(groups: Sequence[str], count: int = 5) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Make grouped folds: all rows of a document are on one side. The groups' names alone decide which."""
    import hashlib

    place = {group: int(hashlib.sha256(group.encode()).hexdigest(), 16) % count for group in groups}
    of = np.asarray([place[group] for group in groups])
    return [(np.flatnonzero(of != fold), np.flatnonzero(of == fold)) for fold in range(count) if (of == fold).any()]


def quiet() -> warnings.catch_warnings:
    """Return a context without scikit-learn's convergence notes, which the measured figure answers better."""
    return warnings.catch_warnings(action="ignore")


def as_mapping(arrays: Arrays) -> Mapping[str, Floats]:
    """Round arrays to half precision, as a head file keeps them, so that what is measured is what is shipped."""
    return {name: array.astype(np.float16).astype(np.float32) for name, array in arrays.items()}
