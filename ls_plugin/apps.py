"""The Django app: what is hooked into Label Studio when it starts."""

from __future__ import annotations

import sys

from django.apps import AppConfig

# Seconds that a thread computes while others wait, a tenth of Python's own. A submission asks the database fifty
# times, and after each answer its thread waits out another one's turn: most of the time, at Python's own length.
TURN = 0.0005


class QuorumConfig(AppConfig):
    """Loads the gate, the guards and the job that follows a submission."""

    name = "ls_plugin"
    verbose_name = "Quorum"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Install the hooks; called once a process by Django, after every app is loaded."""
        from ls_plugin.patches.install import install

        sys.setswitchinterval(TURN)
        install()
