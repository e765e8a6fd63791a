"""Answers are kept by the database too, tasks without a row are nobody's work, and sealed rows are decided anew."""

from __future__ import annotations

from typing import Any

from django.db import migrations

from ls_plugin.store.triggers import POSTGRES_DOWN, POSTGRES_UP


def renew_rules(apps: Any, schema_editor: Any) -> None:
    """Give PostgreSQL the rules of this version; on SQLite each connection brings its own."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(POSTGRES_DOWN, params=None)
        schema_editor.execute(POSTGRES_UP, params=None)


def mend_slots(apps: Any, schema_editor: Any) -> None:
    """Close tasks that are no rows, and mark what is open and sealed: the reconcile at the next start unseals it."""
    slots = apps.get_model("ls_plugin", "Slot").objects
    slots.filter(row_id="").update(open=False, dirty=False)
    slots.filter(open=True, sealed=True).update(dirty=True)


class Migration(migrations.Migration):
    """Changes no table."""

    dependencies = (("ls_plugin", "0004_skips_and_order"),)
    operations = (
        migrations.RunPython(renew_rules, migrations.RunPython.noop),
        migrations.RunPython(mend_slots, migrations.RunPython.noop),
    )
