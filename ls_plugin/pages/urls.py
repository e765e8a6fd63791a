"""Quorum's own addresses, all under /quorum/."""

from __future__ import annotations

from django.urls import path

from ls_plugin.pages import (
    api,
    assets,
    flags,
    manager,
    notice_api,
    notice_pages,
    people,
    task_stream,
    thread_api,
    thread_pages,
)

app_name = "quorum"
urlpatterns = [
    path("", manager.campaigns, name="campaigns"),
    path("campaign/<int:campaign_id>/", manager.campaign, name="campaign"),
    path("campaign/<int:campaign_id>/threads/", thread_pages.campaign_threads, name="threads"),
    path("campaign/<int:campaign_id>/flags/", flags.campaign_flags, name="flags"),
    path("style.css", assets.style, name="style"),
    path("people.css", assets.style, name="people-style"),
    path("screen.js", assets.screen, name="screen-script"),
    path("screen.css", assets.screen, name="screen-style"),
    path("screen/<path:name>", assets.screen_file, name="screen-file"),
    path("mine/", people.mine, name="mine"),
    path("api/put-off", api.PutOffView.as_view(), name="api-put-off"),
    path("mine/answers/<int:campaign_id>/", people.answers, name="answers"),
    path("mine/notices/", notice_pages.notices, name="notices"),
    path("signed-in/", people.signed_in, name="signed-in"),
    path("api/version", api.VersionView.as_view(), name="version"),
    path("api/campaign", api.CampaignView.as_view(), name="api-campaign"),
    path("api/lock", api.LockView.as_view(), name="api-lock"),
    path("api/team", api.TeamView.as_view(), name="api-team"),
    path("api/plan", api.PlanView.as_view(), name="api-plan"),
    path("api/withdraw", api.WithdrawView.as_view(), name="api-withdraw"),
    path("api/status", api.StatusView.as_view(), name="api-status"),
    path("api/audit", api.AuditView.as_view(), name="api-audit"),
    path("api/skips", api.SkipsView.as_view(), name="api-skips"),
    path("api/reopen", api.ReopenView.as_view(), name="api-reopen"),
    path("api/flags", api.FlagsView.as_view(), name="api-flags"),
    path("api/threads", thread_api.ThreadsView.as_view(), name="api-threads"),
    path("api/notices", notice_api.NoticesView.as_view(), name="api-notices"),
    path("api/outbox", notice_api.OutboxView.as_view(), name="api-outbox"),
    path("api/tasks", task_stream.TasksView.as_view(), name="api-tasks"),
    path("api/checks", api.ChecksView.as_view(), name="api-checks"),
    path("api/checkup", api.CheckupView.as_view(), name="api-checkup"),
    path("api/repair", api.RepairView.as_view(), name="api-repair"),
]
