"""Quorum's own addresses, all under /quorum/."""

from __future__ import annotations

from django.urls import path

from ls_plugin.api import views

app_name = "quorum"
urlpatterns = [path("api/version", views.VersionView.as_view(), name="version")]
