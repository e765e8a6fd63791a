"""What a request's query and body say, whatever the content type that they came in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, QueryDict

from ls_plugin.store.refusals import Refused


def bodies(request: Any) -> list[Mapping[str, Any]]:
    """What the body holds, as mappings: one, those of a list, or none."""
    data = getattr(request, "data", None)
    if data is None:
        data = request.POST if isinstance(request, HttpRequest) else {}
    return [body for body in (data if isinstance(data, list) else [data]) if isinstance(body, dict | QueryDict)]


def parameters(request: Any) -> Mapping[str, Any]:
    """The body as a mapping; a list or nothing is an empty one."""
    return {} if isinstance(getattr(request, "data", None), list) else next(iter(bodies(request)), {})


def named_ids(request: Any, key: str, *, rows: bool = False) -> list[int]:
    """Every id under this name in the query, and in the body unless it holds rows.

    Raises:
        Refused: ``bad_request`` for what is no number.
    """
    query = request.GET if isinstance(request, HttpRequest) else request.query_params
    values: list[Any] = list(query.getlist(key))
    for body in () if rows else bodies(request):
        values += body.getlist(key) if isinstance(body, QueryDict) else [body.get(key)]
    try:
        return [int(value) for value in values if value not in ("", None)]
    except (TypeError, ValueError, OverflowError):
        raise Refused("bad_request", f"`{key}` must be a number.") from None
