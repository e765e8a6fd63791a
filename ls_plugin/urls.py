"""Label Studio's URL table with Quorum's pages and endpoints in front."""

from __future__ import annotations

from core.urls import urlpatterns as label_studio
from django.urls import include, path

urlpatterns = [path("quorum/", include("ls_plugin.api.urls")), *label_studio]
