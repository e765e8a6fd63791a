"""Says what a predictor is: it may ask for network runs, and turns what comes back into one answer a row."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from ls_config.interface import Control
from ml_backend.batching import Reducer
from ml_backend.errors import LoadError
from ml_backend.networks import Network
from ml_backend.runtimes import RuntimeName
from ml_backend.tokens import Input, TextTokenizer, Window

_HALF_PAIR = re.compile("[\ud800-\udfff]")


class Settings(BaseModel):
    """What every binding may say in `models.yaml`; a predictor's own settings extend it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    predictor: str
    reads: tuple[str, ...] = Field(default=("response",), min_length=1)
    labels: dict[str, str | int | None] = Field(default_factory=dict)
    threshold: float = Field(default=0.0, ge=0.0, le=1.0)
    language: str | None = None
    max_chars: int = Field(default=100_000, ge=1)


class NetworkSettings(Settings):
    """Settings of a predictor that runs a network of its own."""

    source: str
    sha256: str | None = None
    runtime: RuntimeName = "onnx-fp32"
    max_tokens: int = Field(default=256, ge=8)
    stride: int | None = Field(default=None, ge=0)
    long: Literal["cut", "window"] = "window"


@dataclass(frozen=True, slots=True)
class Answer:
    """A predictor's answer for one row and control.

    Attributes:
        value: as in a history (`"A"`, `["A"]`, spans, 4); None if the predictor abstains.
        score: confidence 0..1, or None.
        reason: why there is no value, or what was left out of it.
    """

    value: Any = None
    score: float | None = None
    reason: str | None = None


@dataclass(eq=False)
class TaskRow:
    """One task: its data, and a place where predictors share what they worked out about it."""

    data: Mapping[str, Any]
    memo: dict[str, Any] = field(default_factory=dict)

    def text(self, key: str) -> str:
        """Return the field's text; empty if it is absent or null."""
        value = self.data.get(key)
        return value if isinstance(value, str) else "" if value is None else str(value)

    def once(self, key: str, make: Callable[[], Any]) -> Any:
        """Return what was worked out about the row under this key; whoever asks first makes it."""
        if key not in self.memo:
            self.memo[key] = make()
        return self.memo[key]


@dataclass(frozen=True)
class Model:
    """A network with its tokenizer, opened once and shared by every predictor that names it.

    Attributes:
        identity: hash of the weights, and the runtime and lengths they run with.
    """

    network: Network
    tokenizer: TextTokenizer
    identity: str
    folder: Path
    long: Literal["cut", "window"] = "window"


@dataclass(frozen=True)
class Ask:
    """A predictor asks to run `model` over `text`, and to keep `reduce(output, window)` of each window."""

    model: Model
    text: Input
    key: str
    reduce: Reducer


@dataclass(frozen=True)
class Outcome:
    """An ask brings one (window, what was kept) pair a window, in the order of the text."""

    windows: Sequence[tuple[Window, Any]]


class Predictor:
    """Base of all predictors.

    A subclass sets `kinds`, the control kinds it can answer, and implements `asks` and `answer`, or, where rows are
    better answered together, `answer_many`.
    """

    kinds: ClassVar[frozenset[str]]

    def __init__(self, settings: Any, identity: str) -> None:
        self.settings = settings
        self.identity = identity

    def check(self, control: Control) -> str | None:
        """Say why this predictor cannot answer the control; None if it can."""
        if control.kind not in self.kinds:
            return f"the predictor {self.settings.predictor} cannot answer a {control.kind} control"
        return None

    def asks(self, row: TaskRow, control: Control) -> Sequence[Ask]:
        """Return the network runs that one row needs."""
        return ()

    def meanwhile(self, row: TaskRow, control: Control) -> None:
        """Work out what an answer needs of the row alone, and keep it in its memo; done while the networks run."""

    def answer(self, row: TaskRow, control: Control, outcomes: Sequence[Outcome]) -> Answer:
        """Return the answer for one row, from what its asks brought."""
        raise NotImplementedError

    def answer_many(
        self, rows: Sequence[TaskRow], control: Control, outcomes: Sequence[Sequence[Outcome]]
    ) -> list[Answer]:
        """Return one answer a row, in the same order."""
        return [self.answer(row, control, row_outcomes) for row, row_outcomes in zip(rows, outcomes, strict=True)]

    def close(self) -> None:
        """Let go of files, connections and threads."""

    def mapped(self, label: str) -> str | int | None:
        """Return the interface's label for the model's; None drops it."""
        # A label that is not named in the settings is the interface's own.
        return self.settings.labels.get(label, label)  # type: ignore[no-any-return]


class CheckpointPredictor(Predictor):
    """Base of predictors that run a checkpoint of their own: it sets `task`, what the checkpoint is read as."""

    task: ClassVar[Literal["sequence", "token"]]
    Settings: ClassVar[type[NetworkSettings]] = NetworkSettings

    def __init__(self, settings: Any, model: Model, classes: tuple[str, ...], identity: str) -> None:
        super().__init__(settings, identity)
        self._model = model
        self.classes = classes

    @classmethod
    def load(cls, settings: Any, loader: Any) -> Self:
        """Open the checkpoint and read its class names."""
        model = loader.network(settings, cls.task)
        return cls(settings, model, class_names(model), loader.identity(settings, model.identity))

    def _without_place(self, control: Control, names: Iterable[str]) -> str | None:
        """Say why the control can't take these of the model's names; None if it can."""
        strays = [name for name in names if self.mapped(name) not in (None, *control.labels)]
        return f"the model's {strays[0]!r} is not in the interface; map it under `labels`" if strays else None


def class_names(model: Model) -> tuple[str, ...]:
    """Read the class names of a checkpoint, in the order of its outputs.

    Raises:
        LoadError: `config.json` has none.
    """
    try:
        names = json.loads((model.folder / "config.json").read_text(encoding="utf-8"))["id2label"]
    except (OSError, ValueError, KeyError) as error:
        raise LoadError(f"{model.folder}: config.json names no classes (id2label); save the model with them") from error
    # By number: as text, class 10 would come before class 2.
    return tuple(names[key] for key in sorted(names, key=int))


def cut(text: str, limit: int) -> tuple[str, str | None]:
    """Return the text up to `limit` characters as a model can read it, and a note if there was more.

    Half a surrogate pair, which JSON can hold and UTF-8 can't, is read as U+FFFD: offsets stay as they are.
    """
    readable = _HALF_PAIR.sub("\ufffd", text[:limit])
    note = f"only the first {limit} of {len(text)} characters were read (max_chars)"
    return readable, note if len(text) > limit else None


def finite(*numbers: float) -> bool:
    """True if no number is NaN or infinite."""
    return all(math.isfinite(number) for number in numbers)
