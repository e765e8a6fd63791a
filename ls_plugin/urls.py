"""Label Studio's URL table with Quorum's pages and endpoints in front."""

from __future__ import annotations

from core.urls import urlpatterns as label_studio
from django.urls import include, path

from ls_plugin import pages

urlpatterns = [
    path("quorum/", include("ls_plugin.api.urls")),
    path("heidi-tips/", pages.no_tips),
    path("__lsa/", pages.no_telemetry),
    *label_studio,
]
