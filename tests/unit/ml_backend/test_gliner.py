"""GLiNER as a predictor, with its own package: skipped where that is not installed."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.unit.ml_backend import tiny
from tests.unit.ml_backend.test_predictors import predict

gliner = pytest.importorskip("gliner", reason="GLiNER is not installed (extra gliner)")

TEXT = "ana met ben, so acme and the good ben met in the fine acme. 😀 " * 4


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained GLiNER on a tiny encoder, as GLiNER saves it."""
    folder = tmp_path_factory.mktemp("gliner")
    encoder = tiny.encoder(folder / "encoder")
    config = gliner.GLiNERConfig(
        model_name=str(encoder), span_mode="markerV0", hidden_size=32, max_width=3, max_len=48, dropout=0.0
    )
    model = gliner.GLiNER.from_config(config)
    model.save_pretrained(folder / "model", safe_serialization=True)
    model.data_processor.transformer_tokenizer.save_pretrained(folder / "model")
    return folder


def spans(folder: Path, more: str = "") -> list[dict[str, Any]]:
    """What the predictor finds, asked for people and organisations by other words than the interface's."""
    settings = "predictor: gliner, source: 'path:model', describe: {PERSON: a person, ORG: a company}, overlap: 30"
    one = predict(folder, f"names: {{{settings}, stretch: 100{more}}}", [{"response": TEXT}])[0]
    found: list[dict[str, Any]] = one.values["names"]
    return found


def test_gliners_spans_stand_where_their_text_is_in_a_long_text_too(checkpoint: Path) -> None:
    """Whatever it finds in stretches of the text has the interface's labels, exact offsets, and no overlap."""
    found = spans(checkpoint, ", threshold: 0.3")
    assert found[0]["start"] < 10
    assert found[-1]["end"] > 200
    for one in found:
        assert TEXT[one["start"] : one["end"]] == one["text"] != ""
        assert one["label"] in {"PERSON", "ORG"}
    assert all(a["end"] <= b["start"] for a, b in pairwise(found))


def test_gliners_threshold_is_the_models_files(checkpoint: Path) -> None:
    """Nothing that the network is less sure of than the threshold is given."""
    assert spans(checkpoint, ", threshold: 1.0") == []
