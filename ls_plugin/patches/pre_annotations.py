"""A campaign's forms open with what is stored for their stage, whatever version the project names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from label_studio_quorum.campaign.projects import SERVED
from ls_plugin.patches.registry import replace
from ls_plugin.people import standings


def install() -> None:
    """Replace what asks an ML backend when a task is opened, and what chooses the prediction that fills a form."""
    replace("tasks.api.evaluate_predictions", _evaluate_predictions)
    replace("tasks.models.Task.get_predictions_for_prelabeling", _get_predictions_for_prelabeling)


def _evaluate_predictions(stock: Callable[[list[Any]], Any]) -> Callable[[list[Any]], Any]:
    def evaluate_predictions(tasks: list[Any]) -> Any:
        # An ML backend's answer of the moment is nobody's auto-label: in a campaign none is asked for.
        return stock(tasks) if standings.place_of(tasks[0].project_id) is None else None

    return evaluate_predictions


def _get_predictions_for_prelabeling(stock: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def get_predictions_for_prelabeling(self: Any) -> Any:
        place = standings.place_of(self.project_id)
        if place is None:
            return stock(self)
        return self.predictions.filter(model_version=SERVED[standings.RULE_STAGE[place.stage]])

    return get_predictions_for_prelabeling
