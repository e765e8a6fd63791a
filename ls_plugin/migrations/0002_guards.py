"""The rules inside PostgreSQL; on SQLite each connection brings its own."""

from __future__ import annotations

from typing import Any

from django.db import migrations

from ls_plugin.store.triggers import POSTGRES_DOWN, POSTGRES_UP


def up(apps: Any, schema_editor: Any) -> None:
    """Create functions and triggers, dormant for connections that do not say ``quorum.on``."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(POSTGRES_UP, params=None)


def down(apps: Any, schema_editor: Any) -> None:
    """Leave nothing behind."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(POSTGRES_DOWN, params=None)


class Migration(migrations.Migration):
    """Runs last, when Label Studio's own tables are there."""

    dependencies = (("ls_plugin", "0001_initial"), ("tasks", "__latest__"))
    operations = (migrations.RunPython(up, down),)
