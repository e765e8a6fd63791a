"""The rules inside PostgreSQL as this version has them; on SQLite each connection brings its own."""

from __future__ import annotations

from typing import Any

from django.db import migrations

from ls_plugin.store.triggers import POSTGRES_DOWN, POSTGRES_UP


def up(apps: Any, schema_editor: Any) -> None:
    """Replace functions and triggers by those of this version."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(POSTGRES_DOWN, params=None)
        schema_editor.execute(POSTGRES_UP, params=None)


class Migration(migrations.Migration):
    """Puts this version's rules into the database of the version before."""

    dependencies = (("ls_plugin", "0002_guards"),)
    operations = (migrations.RunPython(up, migrations.RunPython.noop),)
