"""A page under /quorum/: made on the server, without script, and with nothing from outside."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)


def render_page(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    """A page with the strictest content policy that it lives with, instead of Label Studio's report-only one."""
    response = render(request, f"quorum/{template}", context)
    response["Content-Security-Policy"] = _POLICY
    response["X-Frame-Options"] = "DENY"
    response["Cache-Control"] = "no-store"
    return response
