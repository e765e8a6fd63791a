"""Quorum's own endpoints."""

from __future__ import annotations

from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


class VersionView(APIView):
    """Says that the plugin is here; how the commands find out."""

    permission_classes = (IsAuthenticated,)

    def get(self, request: Request) -> Response:
        """Name and version of the plugin."""
        return Response({"quorum": "0.1.0", "plugin": True})
