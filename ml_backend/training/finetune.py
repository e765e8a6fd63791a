"""Fine-tunes in full: an encoder with a fresh output layer, every weight of it trained on adjudicated gold.

Each fold of the grouped cross-validation is trained, stopped early on the next fold and measured on its own rows; the
network that is kept learns from all rows for the median of the folds' best epochs. After every epoch everything that
a stopped run needs is on disk, and what a resumed run gives is what an uninterrupted one would have given.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.features import Floats
from ml_backend.heads import Head, HeadMeta, sigmoid, softmax
from ml_backend.networks import first_line
from ml_backend.predictors.base import Outcome, TaskRow
from ml_backend.predictors.text_classification import joined
from ml_backend.predictors.token_classification import by_word, spans_of, word_ends
from ml_backend.runtimes import default_threads, pad
from ml_backend.tokens import TextTokenizer, Window, default_stride
from ml_backend.torch_networks import quiet_transformers, wrapped
from ml_backend.training import fit
from ml_backend.training.data import DataError, Example, data_hash
from ml_backend.training.recipes import Recipe, Trained, decided, learnable

Ints = NDArray[np.int64]
State = dict[str, Any]
SEED: Final = 20
_KEY: Final = "trained_with"
_MAX_CHARS: Final = 100_000  # what predictors read of a text
PREDICTORS: Final = {
    "choice": "text_classification",
    "choices": "text_classification",
    "rating": "ordinal_rating",
    "spans": "token_classification",
}
"""Task → the predictor that serves what was trained."""


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """How a network is trained.

    Attributes:
        reads: fields that the network reads, the most telling first: what is too long is cut at the end.
        max_tokens: tokens of one reading; entities are learned in windows of that length.
        epochs: most epochs; training stops earlier after `patience` epochs without a smaller loss.
        rate: largest learning rate; it rises over the first tenth of the steps and then falls to 0.
        batch: rows of one step.
        folds: folds of the cross-validation.
    """

    reads: tuple[str, ...] = ("response", "query", "context")
    max_tokens: int = 256
    epochs: int = 8
    patience: int = 2
    rate: float = 5e-5
    batch: int = 16
    folds: int = 5


@dataclass(frozen=True)
class _Item:
    """One reading: of a row for all tasks but spans, of a window of its text for spans."""

    row: int
    window: Window
    target: Any


@dataclass(frozen=True, kw_only=True)
class _Goal:
    """What a network has to learn: readings of the rows, and what its outputs mean."""

    recipe: Recipe
    examples: Sequence[Example]
    outputs: tuple[str, ...]
    items: Sequence[_Item]
    missing: tuple[str, ...]

    @property
    def kind(self) -> str:
        return "token" if self.recipe.task == "spans" else "sequence"

    @cached_property
    def by_row(self) -> list[list[int]]:
        """Return the readings of each row."""
        readings: list[list[int]] = [[] for _ in self.examples]
        for index, item in enumerate(self.items):
            readings[item.row].append(index)
        return readings

    def of(self, rows: Ints) -> list[int]:
        """Return the readings of these rows."""
        return [index for row in rows for index in self.by_row[row]]


def finetune(
    recipe: Recipe,
    examples: Sequence[Example],
    encoder: Path,
    sha256: str,
    out: Path,
    plan: TrainingPlan,
    *,
    again: bool,
    note: Callable[[str], object],
) -> Trained | None:
    """Train one field's network and write it as transformers saves it.

    Args:
        examples: rows with a value for the field; those of which only a part was annotated are left out.
        encoder: folder of the encoder to start from, whose SHA-256 is `sha256`.
        out: folder of the checkpoint; beside it `<out>.part` holds what a stopped run goes on with.
        again: train it also if `out` holds what this very training gave.
        note: told a line an epoch.

    Returns:
        What was trained, or None if it is there already.

    Raises:
        DataError: there are too few rows or documents, or the encoder can't be trained.
    """
    goal = _goal(replace(recipe, patterns=()), examples, encoder, plan)
    key = hashlib.sha256(
        json.dumps([_meta(goal, plan, sha256, 1.0).model_dump(mode="json"), asdict(plan)], sort_keys=True).encode()
    ).hexdigest()
    if not again and _key_of(out) == key:
        return None
    training = _Training(goal, encoder, out.with_name(f"{out.name}.part"), plan, key, note)
    training.run()
    temperature = _temperature(goal, training.held_out())
    _write(training.network, goal, encoder, out, temperature, key)
    held_out, scores = _answers(goal, training.held_out(), temperature)
    training.forget()
    head = Head(_meta(goal, plan, sha256, temperature), {})
    return Trained(
        head=head, examples=goal.examples, held_out=held_out, scores=scores, missing=goal.missing, strength=0.0
    )


def _meta(goal: _Goal, plan: TrainingPlan, encoder: str, temperature: float) -> HeadMeta:
    kinds = dict.fromkeys(name.partition("-")[2] for name in goal.outputs[1:])
    return HeadMeta(
        task=goal.recipe.task, labels=tuple(kinds) if goal.kind == "token" else goal.outputs, blocks=plan.reads,
        encoder=encoder, temperature=temperature, abstain=goal.recipe.abstain, trained_on=data_hash(goal.examples),
    )  # fmt: skip


def binding(recipe: Recipe, plan: TrainingPlan, source: str) -> str:
    """Return what to write into a models file for a network that was trained so."""
    threshold = f", threshold: {recipe.abstain}" if recipe.abstain else ""
    lengths = f"max_tokens: {plan.max_tokens}"
    if recipe.task != "spans":
        lengths += f", long: cut, reads: [{', '.join(plan.reads)}]"
    return f'{{predictor: {PREDICTORS[recipe.task]}, source: "{source}", {lengths}{threshold}}}'


# --- what is to be learned -------------------------------------------------------------------------------------


def _goal(recipe: Recipe, examples: Sequence[Example], encoder: Path, plan: TrainingPlan) -> _Goal:
    usable = [example for example in examples if example.values.get(recipe.control) is not None]
    if recipe.task == "spans":
        # A token of a type that nobody annotated would be learned as outside.
        usable = [example for example in usable if not example.masked and recipe.control not in example.known]
    labels, missing = _labels(recipe, usable)
    if recipe.task == "choice":
        usable = [example for example in usable if str(example.values[recipe.control]) in labels]
    if len(labels) < (1 if recipe.task in {"spans", "choices"} else 2):
        raise DataError(f"{recipe.control}: too few examples of two labels to train a network; collect more gold")
    tokenizer = TextTokenizer(encoder / "tokenizer.json", plan.max_tokens, default_stride(plan.max_tokens))
    items = _span_items(recipe, usable, labels, tokenizer) if recipe.task == "spans" else []
    outputs = ("O", *(f"{side}-{label}" for label in labels for side in "BI")) if recipe.task == "spans" else labels
    if recipe.task != "spans":
        texts = [joined(TaskRow(vars(example)), plan.reads, _MAX_CHARS) for example in usable]
        targets = [_target(recipe, example, labels) for example in usable]
        windows = tokenizer.encode(texts)
        items = [_Item(row, windows[row][0], target) for row, target in enumerate(targets)]
    return _Goal(recipe=recipe, examples=usable, outputs=outputs, items=items, missing=missing)


def _labels(recipe: Recipe, examples: Sequence[Example]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the labels that are learned, and those that have too few examples."""
    values = [example.values[recipe.control] for example in examples]
    match recipe.task:
        case "rating":
            return tuple(map(str, recipe.scale)), ()
        case "choices":
            counts = Counter(label for value in values for label in value)
        case "spans":
            counts = Counter(label for value in values for _, _, label in value)
        case _:
            counts = Counter(map(str, values))
    return learnable(counts)


def _target(recipe: Recipe, example: Example, labels: Sequence[str]) -> Any:
    if recipe.task == "choices":
        return [float(decided(example, recipe.control, label)) for label in labels]
    return labels.index(str(example.values[recipe.control]))


def _span_items(
    recipe: Recipe, examples: Sequence[Example], labels: Sequence[str], tokenizer: TextTokenizer
) -> list[_Item]:
    items = []
    for row, (example, windows) in enumerate(
        zip(examples, tokenizer.encode([example.response for example in examples]), strict=True)
    ):
        items += [_Item(row, window, _tags(example, recipe.control, window, labels)) for window in windows]
    return items


def _tags(example: Example, control: str, window: Window, labels: Sequence[str]) -> list[int]:
    """Return the class of each word at its first token, -100 where there is nothing to learn."""
    tags = [-100] * len(window)
    for first, last in zip(*word_ends(window), strict=True):
        start, end = int(window.offsets[first, 0]), int(window.offsets[last, 1])
        tags[first] = _class(example, control, start, end, labels)
    return tags


def _class(example: Example, control: str, start: int, end: int, labels: Sequence[str]) -> int:
    for low, high, label in example.values[control]:
        if start < high and low < end:
            if label not in labels:
                return -100
            begins = not example.response[low:start].strip()
            return 1 + 2 * labels.index(label) + (not begins)
    return 0


# --- training --------------------------------------------------------------------------------------------------


class _Training:
    """Trains the folds and the final network, epoch by epoch, with everything on disk after each."""

    def __init__(
        self, goal: _Goal, encoder: Path, folder: Path, plan: TrainingPlan, key: str, note: Callable[[str], object]
    ) -> None:
        self._goal = goal
        self._encoder = encoder
        self._file = folder / "state.pt"
        self._plan = plan
        self._note = note
        self._folds = fit.folds([example.group for example in goal.examples], plan.folds)
        # One fold to learn from, one to watch and one to measure.
        if len(self._folds) < 3:
            raise DataError(
                f"{goal.recipe.control}: the rows are of too few documents to be cross-validated; collect more gold"
            )
        self._state = self._resumed(key)
        self.network: Any = None

    def run(self) -> None:
        """Train what is not trained yet; afterwards `network` is the final one."""
        for fold in range(self._state["stage"], len(self._folds)):
            rest, test = self._folds[fold]
            # Neither learned from nor measured on: stopping early by the test rows would flatter them.
            watch = self._folds[(fold + 1) % len(self._folds)][1]
            learn = np.setdiff1d(rest, watch)
            module = self._stage(f"fold {fold + 1}/{len(self._folds)}", learn, watch, self._plan.epochs)
            self._state["held_out"].update(self._logits(module, test))
            self._next()
        rows = np.arange(len(self._goal.examples))
        self.network = self._stage("all rows", rows, None, round(float(np.median(self._state["epochs"]))))

    def held_out(self) -> list[list[Floats]]:
        """Return the out-of-fold logits of each row's readings."""
        logits = self._state["held_out"]
        return [[logits[index].numpy() for index in readings] for readings in self._goal.by_row]

    def forget(self) -> None:
        """Remove what a stopped run would go on with."""
        shutil.rmtree(self._file.parent)

    def _stage(self, name: str, learn: Ints, watch: Ints | None, epochs: int) -> Any:
        """Train one network; with rows to watch, the best epoch's weights are what is given back."""
        import torch

        state, stage = self._state, self._state["stage"]
        torch.manual_seed(SEED + stage)
        module = _fresh(self._encoder, self._goal)
        # The threads of a small network would wait for each other longer than they work.
        small = sum(parameter.numel() for parameter in module.parameters()) < 1_000_000
        torch.set_num_threads(1 if small else default_threads())
        optimizer = torch.optim.AdamW(module.parameters(), lr=self._plan.rate, weight_decay=0.01)
        if state["model"] is not None:
            module.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
        for epoch in range(state["epoch"], epochs):
            if watch is not None and epoch - state["best_epoch"] >= self._plan.patience:
                break
            self._epoch(module, optimizer, self._goal.of(learn), epoch, epochs)
            loss = None if watch is None else self._loss(module, self._goal.of(watch))
            if loss is None or loss < state["best_loss"]:
                weights = {key: value.clone() for key, value in module.state_dict().items()}
                state |= {"best": weights, "best_epoch": epoch + 1, "best_loss": loss}
            state |= {"epoch": epoch + 1, "model": module.state_dict(), "optimizer": optimizer.state_dict()}
            self._save()
            watched = "" if loss is None else f", loss {loss:.4f} on the rows that are watched"
            self._note(f"{self._goal.recipe.control}: {name}, epoch {epoch + 1}{watched}")
        module.load_state_dict(state["best"])
        return module

    def _next(self) -> None:
        best = self._state["best_epoch"]
        self._state |= {"stage": self._state["stage"] + 1, "epochs": [*self._state["epochs"], best], **_UNTRAINED}
        self._save()

    def _epoch(self, module: Any, optimizer: Any, items: list[int], epoch: int, epochs: int) -> None:
        import torch

        # Seeded by stage and epoch alone, so that a resumed run sees the same order and the same dropout.
        torch.manual_seed(SEED + 1000 * (self._state["stage"] + 1) + epoch)
        order = [items[i] for i in torch.randperm(len(items)).tolist()]
        batches = list(_batches(self._goal, order, self._plan.batch))
        module.train()
        for number, batch in enumerate(batches):
            progress = (epoch + number / len(batches)) / max(epochs, 1)
            for group in optimizer.param_groups:
                group["lr"] = self._plan.rate * min(1.0, 10 * progress + 0.05, (1 - progress) / 0.9)
            optimizer.zero_grad()
            _batch_loss(module, self._goal, batch).backward()
            torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimizer.step()
        module.eval()

    def _loss(self, module: Any, items: list[int]) -> float:
        import torch

        with torch.inference_mode():
            losses = [
                (float(_batch_loss(module, self._goal, batch)), len(batch))
                for batch in _batches(self._goal, items, self._plan.batch)
            ]
        return sum(loss * count for loss, count in losses) / sum(count for _, count in losses)

    def _logits(self, module: Any, rows: Ints) -> dict[int, Any]:
        import torch

        outputs: dict[int, Any] = {}
        with torch.inference_mode():
            for batch in _batches(self._goal, self._goal.of(rows), self._plan.batch):
                for index, logits in zip(batch, module(*_tensors(self._goal, batch)), strict=True):
                    spans = self._goal.recipe.task == "spans"
                    outputs[index] = (logits[: len(self._goal.items[index].window)] if spans else logits).clone()
        return outputs

    def _resumed(self, key: str) -> State:
        import torch

        if self._file.exists():
            state: State = torch.load(self._file, weights_only=True)
            if state["key"] == key:
                self._note(f"{self._goal.recipe.control}: going on where the last run stopped")
                return state
        return {"key": key, "stage": 0, "epochs": [], "held_out": {}, **_UNTRAINED}

    def _save(self) -> None:
        import torch

        self._file.parent.mkdir(parents=True, exist_ok=True)
        part = self._file.with_suffix(".new")
        torch.save(self._state, part)
        os.replace(part, self._file)


_UNTRAINED: Final[Mapping[str, Any]] = {
    "epoch": 0, "model": None, "optimizer": None, "best": None, "best_epoch": 0, "best_loss": float("inf"),
}  # fmt: skip


def _fresh(encoder: Path, goal: _Goal) -> Any:
    """Open the encoder's weights under a new output layer."""
    import transformers

    kinds = {
        "sequence": transformers.AutoModelForSequenceClassification,
        "token": transformers.AutoModelForTokenClassification,
    }
    try:
        with quiet_transformers():
            model = kinds[goal.kind].from_pretrained(
                str(encoder), local_files_only=True, ignore_mismatched_sizes=True, num_labels=len(goal.outputs),
                id2label=dict(enumerate(goal.outputs)), label2id={name: i for i, name in enumerate(goal.outputs)},
            )  # fmt: skip
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise DataError(f"{encoder}: transformers can't train it: {first_line(error)}") from error
    return wrapped(model, "token" if goal.kind == "token" else "sequence")


def _batches(goal: _Goal, items: Sequence[int], size: int) -> Iterator[list[int]]:
    """Yield batches of readings that are about as long as each other: sorted within every eight batches."""
    for start in range(0, len(items), 8 * size):
        near = sorted(items[start : start + 8 * size], key=lambda index: len(goal.items[index].window))
        for first in range(0, len(near), size):
            yield near[first : first + size]


def _tensors(goal: _Goal, batch: Sequence[int]) -> tuple[Any, Any, Any]:
    import torch

    windows = [goal.items[index].window for index in batch]
    width = max(map(len, windows))
    ids, mask = pad([window.ids for window in windows], width)
    types, _ = pad([window.type_ids for window in windows], width)
    return torch.from_numpy(ids), torch.from_numpy(mask), torch.from_numpy(types)


def _batch_loss(module: Any, goal: _Goal, batch: Sequence[int]) -> Any:
    import torch
    from torch.nn import functional

    logits = module(*_tensors(goal, batch))
    targets = [goal.items[index].target for index in batch]
    if goal.recipe.task == "spans":
        padded = [tags + [-100] * (logits.shape[1] - len(tags)) for tags in targets]
        return functional.cross_entropy(logits.flatten(0, 1), torch.tensor(padded).flatten(), ignore_index=-100)
    if goal.recipe.task == "choices":
        truth = torch.tensor(targets)
        mask = truth >= 0
        return functional.binary_cross_entropy_with_logits(logits[mask], truth[mask])
    return functional.cross_entropy(logits, torch.tensor(targets))


# --- what comes of it --------------------------------------------------------------------------------------------


def _temperature(goal: _Goal, held_out: Sequence[Sequence[Floats]]) -> float:
    """Fit the temperature on out-of-fold logits."""
    if goal.recipe.task == "spans":
        tags = np.concatenate([np.asarray(item.target) for item in goal.items])
        logits = np.concatenate([logits for row in held_out for logits in row])
        return fit.fit_temperature(logits[tags >= 0], tags[tags >= 0])
    logits = np.stack([row[0] for row in held_out])
    targets = np.asarray([item.target for item in goal.items])
    if goal.recipe.task == "choices":
        return fit.fit_binary_temperature(logits, targets.astype(np.int8))
    return fit.fit_temperature(logits, targets)


def _answers(goal: _Goal, held_out: Sequence[Sequence[Floats]], temperature: float) -> tuple[list[Any], list[float]]:
    """Return what the predictor would have answered out of fold, and its score, for each row."""
    if goal.recipe.task == "spans":
        return _span_answers(goal, held_out, temperature), [1.0] * len(goal.examples)
    logits = np.stack([row[0] for row in held_out]) / np.float32(temperature)
    if goal.recipe.task == "choices":
        chances = sigmoid(logits)
        labels = [[goal.outputs[i] for i in np.flatnonzero(row >= 0.5)] for row in chances]
        return labels, np.maximum(chances, 1 - chances).min(axis=1).tolist()
    chances = softmax(logits)
    if goal.recipe.task == "rating":
        places = [min(int(np.searchsorted(np.cumsum(row), 0.5)), len(row) - 1) for row in chances]
        return [goal.recipe.scale[i] for i in places], chances.max(axis=1).tolist()
    return [goal.outputs[i] for i in chances.argmax(axis=1)], chances.max(axis=1).tolist()


def _span_answers(goal: _Goal, held_out: Sequence[Sequence[Floats]], temperature: float) -> list[Any]:
    answers = []
    for example, readings, logits in zip(goal.examples, goal.by_row, held_out, strict=True):
        windows = [goal.items[index].window for index in readings]
        tags, offsets = by_word(Outcome(list(zip(windows, logits, strict=True))))
        chances = softmax(tags / np.float32(temperature))
        answers.append([span[:3] for span in spans_of(chances, offsets, goal.outputs, example.response)])
    return answers


def _key_of(out: Path) -> str | None:
    """Read the hash of data, encoder and plan that the checkpoint there was trained with."""
    file = out / _KEY
    return file.read_text(encoding="utf-8") if file.exists() else None


def _write(module: Any, goal: _Goal, encoder: Path, out: Path, temperature: float, key: str) -> None:
    """Write the checkpoint; the temperature divides its output layer, so that its scores are calibrated."""
    import torch

    last = [
        layer for layer in module.modules()
        if isinstance(layer, torch.nn.Linear) and layer.out_features == len(goal.outputs)
    ][-1]  # fmt: skip
    last.weight.data /= temperature
    if last.bias is not None:
        last.bias.data /= temperature
    part = out.with_name(f"{out.name}.new")
    module.model.save_pretrained(part)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        if (encoder / name).exists():
            shutil.copy(encoder / name, part / name)
    (part / _KEY).write_text(key, encoding="utf-8")
    # As late as possible, so that the old checkpoint is there until the new one is complete.
    shutil.rmtree(out, ignore_errors=True)
    part.rename(out)
