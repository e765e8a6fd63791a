"""Reads `models.yaml`, which says what predictor answers what control; every fault is told at once, with its line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError

from ml_backend.errors import ConfigError
from ml_backend.predictors.base import Settings
from ml_backend.predictors.registry import KINDS, predictor_class
from ml_backend.runtimes import RuntimeName
from review_rules.files.faults import Fault

DEFAULT_MODELS = Path(__file__).with_name("models.yaml")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EncoderSettings(_Strict):
    """A network that several heads share."""

    source: str
    sha256: str | None = None
    runtime: RuntimeName = "onnx-fp32"
    max_tokens: int = Field(default=256, ge=8)
    stride: int | None = Field(default=None, ge=0)


class RequestLimits(_Strict):
    """What one request may ask, and how much may wait."""

    request_mb: float = Field(default=64, gt=0)
    tasks: int = Field(default=5000, ge=1)
    waiting_tokens: int = Field(default=2_000_000, ge=1)
    batch_tokens: int = Field(default=256, ge=8)
    seconds: float = Field(default=95, gt=0)


class TrainingSettings(_Strict):
    """What a training webhook runs: heads or whole networks for the gold in `gold`, written to `out`."""

    gold: str
    out: str
    method: Literal["heads", "full"] = "heads"


class _RawModel(_Strict):
    controls: dict[str, dict[str, Any]] = Field(min_length=1)
    domain: dict[str, Any] | None = None


class _RawConfig(_Strict):
    version: int = Field(ge=1, le=1)
    active: str
    encoders: dict[str, EncoderSettings] = Field(default_factory=dict)
    models: dict[str, _RawModel] = Field(min_length=1)
    limits: RequestLimits = RequestLimits()
    training: TrainingSettings | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """One named set of predictors.

    Attributes:
        controls: settings of the predictor of each control.
        domain: settings of the domain router, or None.
    """

    name: str
    controls: Mapping[str, Settings]
    domain: Settings | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelsConfig:
    """A models file that was read and found without fault."""

    path: Path
    active: str
    encoders: Mapping[str, EncoderSettings]
    models: Mapping[str, ModelConfig]
    limits: RequestLimits
    training: TrainingSettings | None


class _Places:
    """Knows line and column of each key of a YAML document."""

    def __init__(self, file: str, root: Any) -> None:
        self._file = file
        self._root = root

    def fault(self, path: tuple[str | int, ...], message: str, hint: str) -> Fault:
        line, column = self._place(path)
        return Fault(
            file=self._file, line=line, column=column, path=".".join(map(str, path)), message=message, hint=hint
        )

    def _place(self, path: tuple[str | int, ...]) -> tuple[int, int]:
        node, place = self._root, (1, 1)
        for key in path:
            marks = getattr(getattr(node, "lc", None), "data", None) or {}
            # A key that is missing has no place; that of the part which lacks it is the nearest.
            if key not in marks:
                break
            place = (marks[key][0] + 1, marks[key][1] + 1)
            node = node[key]
        return place


def read_models(path: Path) -> ModelsConfig:
    """Read a models file.

    Raises:
        ConfigError: with every fault of the file: line, column, key, what to do.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            (_whole(path, f"cannot be read as UTF-8 text ({type(error).__name__})", "Give an existing models file."),)
        ) from error
    return parse_models(text, path)


def parse_models(text: str, path: Path) -> ModelsConfig:
    """Do what `read_models` does from text; `path` is named in faults and anchors relative sources."""
    root = _document(text, path)
    places = _Places(str(path), root)
    try:
        raw = _RawConfig.model_validate(_plain(root))
    except ValidationError as error:
        raise ConfigError(tuple(_faults(places, (), error))) from error
    faults: list[Fault] = []
    models = {name: _model(name, entry, raw, places, faults) for name, entry in raw.models.items()}
    # Checked beside the other faults, not before them: people mend a file once, not once a fault.
    if raw.active not in models:
        faults.append(
            places.fault(("active",), f"no model is called {raw.active!r}", f"Name one of {', '.join(models)}.")
        )
    if faults:
        raise ConfigError(tuple(sorted(faults, key=lambda fault: (fault.line, fault.column))))
    return ModelsConfig(
        path=path, active=raw.active, encoders=raw.encoders, models=models, limits=raw.limits, training=raw.training
    )


def _whole(path: Path, message: str, hint: str) -> Fault:
    return Fault(file=str(path), line=1, column=1, path="", message=message, hint=hint)


def _document(text: str, path: Path) -> Any:
    try:
        # The round-trip loader, as the others forget in which line a key stood.
        root = YAML(typ="rt", pure=True).load(text)
    except (MarkedYAMLError, DuplicateKeyError) as error:
        mark = error.problem_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        message = str(error.problem or "not YAML").splitlines()[0]
        raise ConfigError(
            (Fault(file=str(path), line=line, column=column, path="", message=message, hint="Correct the YAML."),)
        ) from error
    if not isinstance(root, dict):
        raise ConfigError((_whole(path, "not a mapping", "Begin with `version: 1`; see docs/models.md."),))
    return root


def _plain(node: Any) -> Any:
    if isinstance(node, dict):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value) for value in node]
    # ruamel's scalars subclass str, int and float to remember how they were written.
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node


def _faults(places: _Places, base: tuple[str | int, ...], error: ValidationError) -> list[Fault]:
    return [
        places.fault(base + tuple(detail["loc"]), detail["msg"].removeprefix("Value error, "), _hint(detail["type"]))
        for detail in error.errors(include_url=False, include_input=False)
    ]


def _hint(kind: str) -> str:
    return {
        "extra_forbidden": "Remove it or correct its spelling.",
        "missing": "Add it.",
    }.get(kind, "Correct the value; see docs/models.md.")


def _model(name: str, raw: _RawModel, config: _RawConfig, places: _Places, faults: list[Fault]) -> ModelConfig:
    at: tuple[str | int, ...] = ("models", name)
    controls = {
        control: _settings(binding, (*at, "controls", control), config, places, faults)
        for control, binding in raw.controls.items()
    }
    domain = None if raw.domain is None else _settings(raw.domain, (*at, "domain"), config, places, faults)
    return ModelConfig(name=name, controls={k: v for k, v in controls.items() if v is not None}, domain=domain)


def _settings(
    raw: dict[str, Any], at: tuple[str | int, ...], config: _RawConfig, places: _Places, faults: list[Fault]
) -> Settings | None:
    kind = raw.get("predictor")
    if kind not in KINDS:
        faults.append(
            places.fault((*at, "predictor"), f"unknown predictor {kind!r}", f"Use one of {', '.join(KINDS)}.")
        )
        return None
    try:
        settings: Settings = predictor_class(kind).Settings.model_validate(raw)
    except ValidationError as error:
        faults.extend(_faults(places, at, error))
        return None
    # Only heads name one; every other predictor brings a network of its own or none.
    encoder = getattr(settings, "encoder", None)
    if encoder is not None and encoder not in config.encoders:
        faults.append(
            places.fault(
                (*at, "encoder"),
                f"no encoder is called {encoder!r}",
                f"Name one of {', '.join(config.encoders)}." if config.encoders else "Add it under `encoders`.",
            )
        )
    return settings
