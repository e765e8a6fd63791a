"""Full fine-tuning on a tiny encoder: it learns, stops early, goes on where it was stopped, and serves."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ls_config.interface import parse
from ml_backend.training import finetune
from ml_backend.training.data import DataError, Example
from ml_backend.training.finetune import TrainingPlan
from ml_backend.training.recipes import Recipe, Trained, figures
from tests.unit.ml_backend import tiny
from tests.unit.ml_backend.test_predictors import CONTROLS, predict

pytestmark = pytest.mark.slow

PLAN = TrainingPlan(reads=("response",), max_tokens=32, epochs=30, patience=6, rate=5e-3, batch=4, folds=3)
TOPICS = """<View><Text name="response" value="$response"/><Choices name="topics" toName="response" choice="multiple">
<Choice value="good"/><Choice value="bad"/></Choices></View>"""
CHOICE = Recipe(control="mood", task="choice")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained encoder."""
    return tiny.encoder(tmp_path_factory.mktemp("encoder"))


def rows(count: int, value: Callable[[int, str], dict[str, Any]]) -> list[Example]:
    """Gold whose texts are good or bad in turn, each a document of its own."""
    words = [(tiny.WORDS[i % 4], tiny.WORDS[4 + i % 3], tiny.WORDS[7 + i % 5]) for i in range(count)]
    return [
        Example(id=str(i), group=f"d{i}", source="gold", response=(text := " ".join(words[i])), values=value(i, text))
        for i in range(count)
    ]


def mood(i: int, text: str) -> dict[str, Any]:
    """What the first word says."""
    return {"mood": "Good" if text.startswith(("good", "fine")) else "Bad"}


def train(
    recipe: Recipe, examples: list[Example], encoder: Path, out: Path, note: Callable[[str], object] = str,
    plan: TrainingPlan = PLAN,
) -> Trained | None:  # fmt: skip
    """Fine-tune with the tests' plan."""
    return finetune.finetune(recipe, examples, encoder, "e", out, plan, again=False, note=note)


def bound(recipe: Recipe, out: Path) -> str:
    """A models file's line for what was trained."""
    return f"{recipe.control}: {finetune.binding(recipe, PLAN, f'path:{out.name}')}"


def test_a_network_learns_and_serves_calibrated(encoder: Path, tmp_path: Path) -> None:
    """Right out of fold, right when it is served through a models file, sure of itself, and not trained twice."""
    examples = rows(48, mood)
    trained = train(CHOICE, examples, encoder, tmp_path / "mood")
    assert trained is not None
    table = figures(CHOICE, trained)["all"]
    assert table["accuracy"] > 0.9 > table["accuracy_of_majority"]
    assert table["ece"] < 0.1
    found = predict(tmp_path, bound(CHOICE, tmp_path / "mood"), [{"response": e.response} for e in examples])
    assert [one.values["mood"] for one in found] == [e.values["mood"] for e in examples]
    assert train(CHOICE, examples, encoder, tmp_path / "mood") is None
    assert [one.name for one in tmp_path.iterdir() if one.suffix] == []


def test_a_stopped_training_goes_on_to_the_same_network(encoder: Path, tmp_path: Path) -> None:
    """Stopped by Ctrl-C within the first fold, after one, and in the last network, the weights are the same bytes."""
    examples, plan = rows(30, mood), replace(PLAN, epochs=3, patience=3)
    notes: list[str] = []
    train(CHOICE, examples, encoder, tmp_path / "whole", notes.append, plan)
    seen: list[str] = []

    def interrupt(line: str) -> None:
        seen.append(line)
        if len(seen) in stops:
            raise KeyboardInterrupt

    stops = {1, 5, len(notes) + 2}  # the two lines that say that it goes on count too
    for _ in stops:
        with pytest.raises(KeyboardInterrupt):
            train(CHOICE, examples, encoder, tmp_path / "cut", interrupt, plan)
        assert not (tmp_path / "cut").exists()
    train(CHOICE, examples, encoder, tmp_path / "cut", interrupt, plan)
    goes_on = "mood: going on where the last run stopped"
    assert seen.count(goes_on) == len(stops)
    assert [line for line in seen if line != goes_on] == notes
    whole, cut = (
        hashlib.sha256((tmp_path / name / "model.safetensors").read_bytes()).hexdigest() for name in ("whole", "cut")
    )
    assert cut == whole


def test_training_stops_early_where_nothing_is_learned(encoder: Path, tmp_path: Path) -> None:
    """With labels that nothing in the text tells, the loss on watched rows rises, and no fold sees every epoch."""
    notes: list[str] = []
    train(
        CHOICE,
        rows(30, lambda i, text: {"mood": "Good" if i * 7 % 5 % 2 else "Bad"}),
        encoder,
        tmp_path / "x",
        notes.append,
    )
    folds = [line for line in notes if "fold" in line]
    assert 3 * PLAN.patience < len(folds) < 3 * PLAN.epochs


def test_entities_ratings_and_several_labels_are_learned_too(encoder: Path, tmp_path: Path) -> None:
    """Every kind of control that the encoder can be trained for is answered by its predictor afterwards."""
    examples = rows(
        72,
        lambda i, text: {
            "names": [(0, len(text.split()[0]), "PERSON")] if text.startswith("good") else [],
            "stars": 5 if text.startswith(("good", "fine")) else 1,
            "topics": ["good"] if text.startswith(("good", "fine")) else ["bad"],
        },
    )
    used = (*CONTROLS, *parse(TOPICS))
    for recipe in (
        Recipe(control="names", task="spans"),
        Recipe(control="stars", task="rating", scale=(1, 2, 3, 4, 5)),
        Recipe(control="topics", task="choices"),
    ):
        trained = train(recipe, examples, encoder, tmp_path / recipe.control)
        assert trained is not None
        table = figures(recipe, trained)["all"]
        match recipe.task:
            case "spans":
                assert table["f1"] > 0.9 > table["f1_untrained"]
            case "rating":
                assert table["mae"] < 0.5 < table["mae_of_median"]
            case _:
                assert all(one["f1"] > 0.9 for one in table["labels"].values())
        found = predict(
            tmp_path, bound(recipe, tmp_path / recipe.control), [{"response": e.response} for e in examples], used
        )
        for one, example in zip(found, examples, strict=True):
            value = one.values[recipe.control]
            answer = [(s["start"], s["end"], s["label"]) for s in value] if recipe.task == "spans" else value
            assert answer == example.values[recipe.control]


def test_too_little_gold_is_refused(encoder: Path, tmp_path: Path) -> None:
    """With one label, or with rows of two documents, nothing could be measured, so nothing is trained."""
    with pytest.raises(DataError, match="too few examples of two labels"):
        train(CHOICE, rows(12, lambda i, text: {"mood": "Good"}), encoder, tmp_path / "x")
    same = [Example(**{**vars(one), "group": "d"}) for one in rows(40, mood)]
    with pytest.raises(DataError, match="too few documents"):
        train(CHOICE, same, encoder, tmp_path / "x")
