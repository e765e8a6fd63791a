"""The Django app: what is hooked into Label Studio when it starts."""

from __future__ import annotations

from django.apps import AppConfig


class QuorumConfig(AppConfig):  # type: ignore[misc]
    """Loads the gate, the guards and the job that follows a submission."""

    name = "ls_plugin"
    verbose_name = "Quorum"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Install the hooks; called once a process by Django, after every app is loaded."""
        from ls_plugin import hooks

        hooks.install()
