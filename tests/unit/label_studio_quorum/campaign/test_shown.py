"""What can be known on a stock server of what a form opened with, and what cannot."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from label_studio_quorum.campaign.shown import EMPTY_FORM, shown_of, shown_to
from label_studio_quorum.port import Annotation, Prediction, Task
from ls_config import load, to_result

INTERFACE = load("classification")
NOW = datetime(2026, 1, 5, tzinfo=UTC)
DATA = {"row_id": "r1", "context": "", "query": "q", "response": "a"}


def guess(pk: int, version: str, choice: str) -> Prediction:
    """A stored prediction of a verdict."""
    return Prediction(id=pk, model_version=version, result=to_result({"verdict": choice}, INTERFACE.controls, DATA))


OWN, MODEL = guess(1, "auto-label", "Correct"), guess(2, "default@1", "Incorrect")


@pytest.mark.parametrize(
    ("predictions", "parent", "wrote", "expected"),
    [
        ((OWN, MODEL), 1, None, OWN),
        ((OWN, MODEL), 2, None, MODEL),
        ((OWN, MODEL), None, None, None),
        ((OWN,), 7, None, None),
        ((), None, None, EMPTY_FORM),
        ((OWN, MODEL), 2, EMPTY_FORM, EMPTY_FORM),
    ],
    ids=["its own", "a model's", "not told", "gone", "nothing there", "written down by the server"],
)
def test_what_a_form_opened_with(
    predictions: tuple[Prediction, ...], parent: int | None, wrote: Any, expected: Any
) -> None:
    """The screen names the prediction; an answer that names none, where there are some, tells nothing."""
    annotation = Annotation(
        id=1, by=1, edited_by=1, created_at=NOW, updated_at=NOW, lead_time=1.0, cancelled=False, result=[],
        parent_prediction=parent, shown=wrote,
    )  # fmt: skip
    task = Task(
        id=1, project=1, data=DATA, meta={}, overlap=2, is_labeled=False, created_at=NOW, updated_at=NOW,
        predictions=predictions,
    )  # fmt: skip
    if isinstance(expected, Prediction):
        expected = shown_of(expected.model_version, expected.result, INTERFACE.controls, DATA)
    assert shown_to(annotation, task, INTERFACE.controls) == expected
