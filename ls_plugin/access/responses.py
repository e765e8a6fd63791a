"""What happens to the response of a REST view on its way out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework.response import Response

from ls_plugin.access import response_filters
from ls_plugin.access.call import Call
from ls_plugin.access.exposure_log import log_response
from ls_plugin.store.refusals import Refused


def filter_response(call: Call, request: Any, response: Any, kwargs: Mapping[str, Any]) -> Any:
    """Filter a response for an ordinary person, and write into the audit log what of a campaign it shows to whom.

    Returns:
        The response that leaves the server: a file that no rule lets an ordinary person have becomes a refusal.
    """
    if call.ordinary and call.rule.show is not response_filters.plain:
        show = call.rule.show
        # A file streams past every filter, so that it is nobody's but a manager's.
        if show is None or not isinstance(response, Response):
            refused = Refused("managers_only")
            return Response(refused.payload(), status=refused.status_code)
        if response.data is not None:
            response.data = show(call, request, response.data)
    if call.standing is not None:
        log_response(call, request, getattr(response, "data", None), kwargs)
    return response
