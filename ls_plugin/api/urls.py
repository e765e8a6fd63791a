"""Quorum's own addresses, all under /quorum/."""

from __future__ import annotations

from django.urls import path

from ls_plugin import pages
from ls_plugin.api import stream, views

app_name = "quorum"
urlpatterns = [
    path("", pages.campaigns, name="campaigns"),
    path("campaign/<int:campaign_id>/", pages.campaign, name="campaign"),
    path("style.css", pages.style, name="style"),
    path("people.css", pages.style, name="people-style"),
    path("mine/", pages.mine, name="mine"),
    path("api/version", views.VersionView.as_view(), name="version"),
    path("api/campaign", views.CampaignView.as_view(), name="api-campaign"),
    path("api/team", views.TeamView.as_view(), name="api-team"),
    path("api/status", views.StatusView.as_view(), name="api-status"),
    path("api/audit", views.AuditView.as_view(), name="api-audit"),
    path("api/reopen", views.ReopenView.as_view(), name="api-reopen"),
    path("api/tasks", stream.TasksView.as_view(), name="api-tasks"),
    path("api/repair", views.RepairView.as_view(), name="api-repair"),
]
