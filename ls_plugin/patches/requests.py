"""Requests in an unknown character set are taken in, so that the screening can refuse them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.handlers.wsgi import WSGIRequest
from django.utils.http import parse_header_parameters

from ls_plugin.access.request_screening import names_known_charset
from ls_plugin.patches.registry import replace


class ReadableRequest(WSGIRequest):
    """Django decodes the address by the body's character set before any code of ours or its own can answer."""

    def _set_content_type_params(self, meta: Mapping[str, Any]) -> None:
        self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
        if names_known_charset(self):
            super()._set_content_type_params(meta)  # type: ignore[misc]  # private, so no stub has it


def install() -> None:
    """Have the server make its requests of this class."""
    replace("django.core.handlers.wsgi.WSGIHandler.request_class", lambda stock: ReadableRequest)
