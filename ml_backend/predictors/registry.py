"""Lists every predictor kind in one place. A new kind is a file beside this one and a line here."""

from __future__ import annotations

import importlib
from typing import Any

from ml_backend.predictors.base import Predictor, Settings

KINDS: dict[str, str] = {
    "encoder_head": "ml_backend.predictors.encoder_head:EncoderHead",
    "text_classification": "ml_backend.predictors.text_classification:TextClassification",
    "token_classification": "ml_backend.predictors.token_classification:TokenClassification",
    "zero_shot": "ml_backend.predictors.zero_shot:ZeroShot",
    "ordinal_rating": "ml_backend.predictors.ordinal_rating:OrdinalRating",
    "openai_compatible": "ml_backend.predictors.openai_compatible:OpenAICompatible",
    "gliner": "ml_backend.predictors.gliner:Gliner",
    "label_studio_ml": "ml_backend.predictors.label_studio_ml:LabelStudioML",
}
"""Kind as written in `models.yaml` → `module:Class`. The class has `Settings` and `load(settings, loader)`."""


def predictor_class(kind: str) -> Any:
    """Return the class of a kind; its module is imported now.

    Raises:
        KeyError: no such kind.
    """
    module, _, name = KINDS[kind].partition(":")
    implementation = getattr(importlib.import_module(module), name)
    if not (issubclass(implementation, Predictor) and issubclass(implementation.Settings, Settings)):
        raise TypeError(f"{KINDS[kind]} is not a Predictor with Settings")
    return implementation
