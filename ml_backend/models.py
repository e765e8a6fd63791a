"""Loads a set of predictors, and gives their answers to a list of tasks."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ls_config.interface import Control
from ls_config.results import ResultError, to_result
from ml_backend.batching import Batcher, WindowReading
from ml_backend.config import ModelConfig, ModelsConfig
from ml_backend.errors import LoadError
from ml_backend.networks import NetworkKind
from ml_backend.predictors.base import Answer, Ask, Model, NetworkSettings, Outcome, Predictor, Settings, TaskRow
from ml_backend.predictors.registry import predictor_class
from ml_backend.runtimes import RuntimeName, open_network
from ml_backend.sources import resolve, sha256_of
from ml_backend.tokens import Input, TextTokenizer, default_stride
from review_rules import extras
from review_rules.errors import MissingExtra

DOMAIN = Control(name="domain", kind="choice", to_name="", value_key="query", result_type="choices", labels=())
"""The router's control: no part of any interface, answered beside it."""


class Loader:
    """Opens what predictors ask for, each network once.

    Args:
        config: the models file.
        cache: folder for exported graphs.
        threads: threads one network run may use.
        lanes: runs of a network that there may be at a time.
    """

    def __init__(self, config: ModelsConfig, cache: Path, threads: int, lanes: int = 1) -> None:
        self.config = config
        self.cache = cache
        self.threads = threads
        self.lanes = lanes
        self._open: dict[tuple[str, NetworkKind, RuntimeName], Any] = {}
        self._models: dict[tuple[Any, ...], tuple[Model, str]] = {}
        self._lock = threading.Lock()

    def resolve(self, source: str) -> Path:
        """Return the local file or folder of a source."""
        return resolve(source, self.config.path.parent)

    def encoder(self, name: str) -> tuple[Model, str]:
        """Open a shared encoder of the models file, and return it with the SHA-256 of its folder."""
        if name not in self.config.encoders:
            raise LoadError(f"no encoder is called {name!r}; the models file has {', '.join(self.config.encoders)}")
        s = self.config.encoders[name]
        return self._network(s.source, s.sha256, "encoder", s.runtime, s.max_tokens, s.stride, "window")

    def network(self, settings: NetworkSettings, kind: NetworkKind) -> Model:
        """Open the network of a predictor that has its own."""
        s = settings
        return self._network(s.source, s.sha256, kind, s.runtime, s.max_tokens, s.stride, s.long)[0]

    def _network(
        self,
        source: str,
        expected: str | None,
        kind: NetworkKind,
        runtime: RuntimeName,
        max_tokens: int,
        stride: int | None,
        long: Any,
    ) -> tuple[Model, str]:
        # Before the key, so that a stride that is named and the same one by default share a network.
        stride = default_stride(max_tokens) if stride is None else stride
        key = (source, kind, runtime, max_tokens, stride, long)
        with self._lock:
            if key not in self._models:
                folder = self.resolve(source)
                _verify(source, folder, expected)
                sha256 = sha256_of(folder)
                # By the hash of the weights: two sources may hold the same network.
                network = self._open.get((sha256, kind, runtime)) or open_network(
                    folder, sha256, kind, runtime, self.cache, threads=self.threads, lanes=self.lanes
                )
                self._open[sha256, kind, runtime] = network
                tokenizer = TextTokenizer(folder / "tokenizer.json", max_tokens, stride)
                identity = f"{sha256} {runtime} {max_tokens} {stride} {long}"
                self._models[key] = (Model(network, tokenizer, identity, folder, long), sha256)
            return self._models[key]

    def identity(self, settings: Settings, *parts: str) -> str:
        """Hash a predictor's settings and the weights that it opened."""
        content = json.dumps([settings.model_dump(mode="json"), *parts], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


def _verify(source: str, folder: Path, expected: str | None) -> None:
    weights = folder / "model.safetensors" if folder.is_dir() else folder
    if expected is None:
        return
    digest = sha256_of(weights) if weights.exists() else "nothing"
    if digest != expected:
        raise LoadError(
            f"{source}: {weights.name} has SHA-256 {digest[:12]}…, the models file expects {expected[:12]}…; "
            "get the right weights or correct the hash"
        )


@dataclass(frozen=True)
class TaskPrediction:
    """The answers for one task.

    Attributes:
        result: Label Studio's result items; empty if nothing could be predicted.
        score: mean of the controls' scores, or None.
        reasons: control (or "" for the whole task) → why it has no value, or what was left out.
        values: control → value, as in a history.
        scores: control → score of its answer, also where it was too low to give one.
        domain: the router's word: {"value": domain or "unsure", "score": …}, or None without a router.
    """

    result: list[dict[str, Any]]
    score: float | None
    reasons: Mapping[str, str] = field(default_factory=dict)
    domain: Mapping[str, Any] | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)


class ModelSet:
    """The predictors of one model of the models file, loaded.

    Attributes:
        version: name@hash of the weights and settings that run.
    """

    def __init__(self, config: ModelConfig, predictors: Mapping[str, Predictor], domain: Predictor | None) -> None:
        self.name = config.name
        self.predictors = dict(predictors)
        self.domain = domain
        by_name = {**self.predictors, **({"domain": domain} if domain else {})}
        # Sorted, so that the order of the models file does not change the version.
        content = json.dumps({name: predictor.identity for name, predictor in by_name.items()}, sort_keys=True)
        self.version = f"{config.name}@{hashlib.sha256(content.encode()).hexdigest()[:12]}"

    @classmethod
    def load(cls, config: ModelConfig, loader: Loader) -> ModelSet:
        """Load every predictor.

        Raises:
            LoadError, MissingExtra: one of them can't be loaded; which one is named.
        """
        loaded: dict[str, Predictor] = {}
        try:
            for name, settings in config.controls.items():
                loaded[name] = _load(f"{config.name}.controls.{name}", settings, loader)
            domain = None if config.domain is None else _load(f"{config.name}.domain", config.domain, loader)
        except (LoadError, MissingExtra):
            # What did load holds files, threads or connections, and nobody else will ever see it.
            for predictor in loaded.values():
                predictor.close()
            raise
        return cls(config, loaded, domain)

    def close(self) -> None:
        """Let go of what the predictors hold."""
        for predictor in [*self.predictors.values(), *([self.domain] if self.domain else [])]:
            predictor.close()

    def predict(
        self, tasks: Sequence[Mapping[str, Any] | str], controls: Sequence[Control], batcher: Batcher, timeout: float
    ) -> list[TaskPrediction]:
        """Predict every task, in the same order.

        Args:
            tasks: each task's data, or, for a task that can't be read, the reason.
            controls: the controls of the interface.
            batcher: runs the networks.
            timeout: seconds until ApiError 504.
        """
        return _Run(self, tasks, controls, batcher, timeout).predictions()


def _load(where: str, settings: Settings, loader: Loader) -> Predictor:
    try:
        predictor: Predictor = predictor_class(settings.predictor).load(settings, loader)
    except MissingExtra as error:
        raise error.within(f"models.{where}") from error
    except LoadError as error:
        raise LoadError(f"models.{where}: {error}") from error
    except ImportError as error:
        raise extras.missing(f"models.{where}: the predictor {settings.predictor}", str(error.name)) from error
    return predictor


class _Run:
    """Takes one request through the predictors."""

    def __init__(
        self,
        models: ModelSet,
        tasks: Sequence[Mapping[str, Any] | str],
        controls: Sequence[Control],
        batcher: Batcher,
        timeout: float,
    ) -> None:
        self._tasks = tasks
        self._controls = controls
        self._batcher = batcher
        self._timeout = timeout
        self._rows = [TaskRow(task) if not isinstance(task, str) else None for task in tasks]
        self._reasons: list[dict[str, str]] = [{"": task} if isinstance(task, str) else {} for task in tasks]
        self._bindings = self._bind(models)
        self._readings: dict[tuple[int, Input], tuple[WindowReading, ...]] = {}

    def _bind(self, models: ModelSet) -> list[tuple[Control, Predictor]]:
        bindings: list[tuple[Control, Predictor]] = []
        for control in self._controls:
            predictor = models.predictors.get(control.name)
            # Of a control that nobody answers every row says why: an empty field alone looks like a broken model.
            why = f"no predictor is bound to it in {models.name}" if predictor is None else predictor.check(control)
            if predictor is not None and why is None:
                bindings.append((control, predictor))
            else:
                self._note_all(control.name, why or "")
        if models.domain is not None:
            bindings.append((DOMAIN, models.domain))
        return bindings

    def _note_all(self, name: str, reason: str) -> None:
        for row, reasons in zip(self._rows, self._reasons, strict=True):
            if row is not None:
                reasons[name] = reason

    def predictions(self) -> list[TaskPrediction]:
        plan = {control.name: self._asks(control, predictor) for control, predictor in self._bindings}
        self._tokenise(ask for asks in plan.values() for row_asks in asks.values() for ask in row_asks)
        for asks in plan.values():
            for row_asks in asks.values():
                for ask in row_asks:
                    for reading in self._readings[id(ask.model), ask.text]:
                        reading.reducers.setdefault(ask.key, ask.reduce)
        readings = [reading for readings in self._readings.values() for reading in readings]
        self._batcher.run(readings, self._timeout, partial(self._meanwhile, plan))
        answers = {
            control.name: self._answers(control, predictor, plan[control.name]) for control, predictor in self._bindings
        }
        return [self._prediction(index, answers) for index in range(len(self._tasks))]

    def _asks(self, control: Control, predictor: Predictor) -> dict[int, Sequence[Ask]]:
        asks: dict[int, Sequence[Ask]] = {}
        for index, row in enumerate(self._rows):
            if row is None:
                continue
            # The router reads whatever there is; an interface need not show what it reads.
            missing = None if control is DOMAIN else self._missing(row, control, predictor)
            if missing:
                self._reasons[index][control.name] = missing
            else:
                asks[index] = predictor.asks(row, control)
        return asks

    def _missing(self, row: TaskRow, control: Control, predictor: Predictor) -> str | None:
        key = control.value_key
        # Spans are offsets: into anything but a text they mean nothing.
        if control.kind == "spans" and not isinstance(row.data.get(key), str):
            return f"the task has no text in {key!r}"
        fields = predictor.settings.reads
        if not any(isinstance(row.data.get(field), str) and row.data[field].strip() for field in fields):
            return f"the task has no text in {', '.join(map(repr, fields))}"
        return None

    def _tokenise(self, asks: Any) -> None:
        by_model: dict[int, tuple[Model, dict[Input, None]]] = {}
        for ask in asks:
            # By identity: equal texts for one network are one reading, whoever asks for them.
            by_model.setdefault(id(ask.model), (ask.model, {}))[1].setdefault(ask.text)
        for key, (model, texts) in by_model.items():
            for text, windows in zip(texts, model.tokenizer.encode(list(texts)), strict=True):
                # The tokenizer gives every window; `long: cut` is for texts whose beginning tells enough.
                readable = windows if model.long == "window" else windows[:1]
                self._readings[key, text] = tuple(WindowReading(model.network, window) for window in readable)

    def _meanwhile(self, plan: Mapping[str, Mapping[int, Sequence[Ask]]]) -> None:
        for control, predictor in self._bindings:
            for index in plan[control.name]:
                if (row := self._rows[index]) is not None:
                    predictor.meanwhile(row, control)

    def _answers(self, control: Control, predictor: Predictor, asks: Mapping[int, Sequence[Ask]]) -> dict[int, Answer]:
        indexes = list(asks)
        rows = [row for index in indexes if (row := self._rows[index]) is not None]
        outcomes = [[self._outcome(ask) for ask in asks[index]] for index in indexes]
        return dict(zip(indexes, predictor.answer_many(rows, control, outcomes), strict=True))

    def _outcome(self, ask: Ask) -> Outcome:
        readings = self._readings[id(ask.model), ask.text]
        return Outcome([(reading.window, reading.outputs[ask.key]) for reading in readings])

    def _prediction(self, index: int, answers: Mapping[str, Mapping[int, Answer]]) -> TaskPrediction:
        row, reasons = self._rows[index], self._reasons[index]
        if row is None:
            return TaskPrediction([], None, reasons)
        row_answers = {name: by_row[index] for name, by_row in answers.items() if index in by_row}
        routed = row_answers.pop("domain", None) if any(control is DOMAIN for control, _ in self._bindings) else None
        reasons.update({name: answer.reason for name, answer in row_answers.items() if answer.reason})
        values = {name: answer.value for name, answer in row_answers.items() if answer.value is not None}
        result = self._result(row, values, row_answers, reasons)
        scores = [answer.score for name, answer in row_answers.items() if name in values and answer.score is not None]
        score = sum(scores) / len(scores) if scores else None
        domain = None if routed is None else {"value": routed.value or "unsure", "score": routed.score}
        by_control = {name: answer.score for name, answer in row_answers.items() if answer.score is not None}
        return TaskPrediction(result, score, reasons, domain, values, by_control)

    def _result(
        self, row: TaskRow, values: dict[str, Any], row_answers: Mapping[str, Answer], reasons: dict[str, str]
    ) -> list[dict[str, Any]]:
        """Write result items control by control, so that one bad answer costs one control, not the task."""
        items: list[dict[str, Any]] = []
        for control in self._controls:
            if control.name not in values:
                continue
            value, score = values[control.name], row_answers[control.name].score
            scores = [span.get("score") for span in value] if control.kind == "spans" else score
            try:
                items += to_result({control.name: value}, self._controls, row.data, scores={control.name: scores})
            except ResultError as error:
                reasons[control.name] = f"the model's answer does not fit the interface: {error}"
                del values[control.name]
        return items
