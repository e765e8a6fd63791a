"""The data manager's tabs: an ordinary person has one, "My tasks", that is stored nowhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rest_framework.response import Response

from ls_plugin.access.call import ordinary_call
from ls_plugin.access.scope import OWN_VIEW
from ls_plugin.patches.registry import replace
from ls_plugin.store.refusals import Refused

_VIEW = "data_manager.api.ViewAPI"


def install() -> None:
    """Answer for the one tab where Label Studio would look stored ones up."""
    replace(f"{_VIEW}.list", _answers_own_tab(in_list=True))
    replace(f"{_VIEW}.retrieve", _answers_own_tab(in_list=False))
    # The screen saves columns and filters of a tab; this one stays as it is.
    replace(f"{_VIEW}.partial_update", _answers_own_tab(in_list=False))


def own_tab(project_id: int) -> dict[str, Any]:
    """The one tab of an ordinary person in a project."""
    data = {
        "title": "My tasks",
        "type": "list",
        "target": "tasks",
        "filters": {"conjunction": "and", "items": []},
        "ordering": [],
        "hiddenColumns": {"explore": [], "labeling": []},
    }
    return {
        "id": OWN_VIEW + project_id,
        "project": project_id,
        "user": None,
        "order": 0,
        "data": data,
        "filter_group": None,
        "selected_items": {"all": False, "included": []},
    }


def _answers_own_tab(*, in_list: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def make(stock: Callable[..., Any]) -> Callable[..., Any]:
        def answer(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
            call = ordinary_call(request)
            if call is None:
                return stock(self, request, *args, **kwargs)
            if call.project_id is None:
                raise Refused("no_project")
            tab = own_tab(call.project_id)
            if in_list:
                return Response([tab])
            if str(kwargs.get("pk")) != str(tab["id"]):
                raise Refused("not_yours")
            return Response(tab)

        return answer

    return make
