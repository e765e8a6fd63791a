"""Label Studio's URL table with Quorum's pages and endpoints in front."""

from __future__ import annotations

from core.urls import urlpatterns as label_studio
from django.urls import include, path

from ls_plugin.pages import assets

urlpatterns = [
    path("quorum/", include("ls_plugin.pages.urls")),
    path("heidi-tips/", assets.no_tips),
    path("__lsa/", assets.no_telemetry),
    *label_studio,
]
