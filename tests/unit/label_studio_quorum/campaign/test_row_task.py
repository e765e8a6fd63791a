"""How a row lies in a task: what was written is read again, and what somebody else wrote there breaks nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from label_studio_quorum.campaign.projects import AUTO_LABEL
from label_studio_quorum.campaign.row_task import (
    NOTE_KEY,
    ReviewNote,
    RowNote,
    imported_row,
    is_as_imported,
    prelabel_of,
    row_task,
)
from label_studio_quorum.intake import Row
from label_studio_quorum.port import NewPrediction, NewTask, Prediction, Task
from ls_config import load

INTERFACE = load("response_review")
MOMENT = datetime(2026, 1, 5, 10, tzinfo=UTC)
TEXTS: dict[str, Any] = {"context": "", "query": "q", "response": "ACME won."}


def stored(new: NewTask, **changes: Any) -> Task:
    """The task as a server gives it back."""
    predictions = tuple(
        Prediction(id=number, model_version=made.model_version, result=made.result, score=made.score)
        for number, made in enumerate(new.predictions)
    )
    task = {"id": 1, "project": 1, "data": new.data, "meta": new.meta, "overlap": 2, "is_labeled": False}
    times = {"created_at": MOMENT, "updated_at": MOMENT}
    return Task(**{**task, **times, "predictions": predictions, **changes})


@pytest.mark.parametrize(
    "row",
    [
        Row(row_id="r", **TEXTS),
        Row(row_id="r", **TEXTS, domain="technical", auto_label={"tone": 4}, extra={"gold": "yes"}),
        Row(row_id="r", **TEXTS, auto_label={}),
    ],
    ids=["texts only", "everything", "an empty auto-label"],
)
def test_a_row_comes_back_from_its_task(row: Row) -> None:
    """The task holds the whole row, shows no column that people must not see, and knows itself unchanged."""
    new = row_task(row, import_id="i", interface=INTERFACE)
    task = stored(new)
    assert imported_row(task) == row
    assert is_as_imported(task)
    assert set(new.data) <= {"row_id", "context", "query", "response", "domain"}
    assert bool(new.predictions) == bool(row.auto_label)


def test_a_changed_text_is_noticed() -> None:
    """A row whose text, or whose hash, was changed on the server is not as it was imported."""
    new = row_task(Row(row_id="r", **TEXTS), import_id="i", interface=INTERFACE)
    assert not is_as_imported(stored(new, data=new.data | {"response": "ACME lost."}))
    assert not is_as_imported(stored(new, meta={NOTE_KEY: {**new.meta[NOTE_KEY], "hash": 5}}))


def test_a_model_is_asked_for_what_a_row_lacks() -> None:
    """The model's prediction is kept under its own version and served under the one that the project names."""
    model = NewPrediction(model_version="m@1", result=[], score=0.5)
    row = Row(row_id="r", **TEXTS)
    task = stored(row_task(row, import_id="i", interface=INTERFACE, model=model, domain="technical"))
    assert [prediction.model_version for prediction in task.predictions] == ["m@1", AUTO_LABEL]
    assert prelabel_of(task, INTERFACE) == {"model_version": "m@1", "score": 0.5, "values": {}}
    assert RowNote.read(task.meta).predicted_domain == "technical"


def test_a_withheld_row_opens_empty_and_keeps_its_auto_label() -> None:
    """People see no pre-annotation of a withheld row; the record knows what there was."""
    row = Row(row_id="r", **TEXTS, auto_label={"tone": 4})
    task = stored(row_task(row, import_id="i", interface=INTERFACE, pre_filled=False))
    assert (task.predictions, prelabel_of(task, INTERFACE)) == ((), None)
    assert RowNote.read(task.meta).auto_label == {"tone": 4}


@pytest.mark.parametrize(
    "meta", [None, [], "x", {}, {NOTE_KEY: None}, {NOTE_KEY: [1]}, {NOTE_KEY: {"extra": 3}}], ids=repr
)
def test_a_meta_of_somebody_else_says_nothing(meta: Any) -> None:
    """A task that Quorum did not make, or whose note is no object, has an empty note."""
    assert RowNote.read(meta) == RowNote()
    assert ReviewNote.read(meta) == ReviewNote()


@pytest.mark.parametrize("auto_label", [[1], "x", 7], ids=repr)
def test_an_auto_label_that_is_no_object_breaks_no_export(auto_label: Any) -> None:
    """A note that somebody spoiled makes the row differ from what was imported, and nothing fails."""
    new = row_task(Row(row_id="r", **TEXTS, auto_label={"tone": 4}), import_id="i", interface=INTERFACE)
    task = stored(new, meta={NOTE_KEY: {**new.meta[NOTE_KEY], "auto_label": auto_label}})
    assert imported_row(task).auto_label is None
    assert not is_as_imported(task)


@pytest.mark.parametrize(
    ("rests_on", "holds"),
    [
        (None, True), ("x", True), ([], True), ([[1, "v1"]], True), ([[1, "v2"]], False), ([[2, "v1"]], False),
        ([[1]], False), (["x"], False), ([[[1], "v1"]], False),
    ],
    ids=repr,
)  # fmt: skip
def test_a_review_holds_while_what_it_rests_on_is_there(rests_on: Any, holds: bool) -> None:
    """Only a list of annotations in the versions that are there still holds; no list at all was not made by Quorum."""
    assert ReviewNote(rests_on=rests_on).still_holds({1: "v1"}) is holds
