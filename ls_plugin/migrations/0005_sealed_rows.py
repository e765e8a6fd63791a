"""Rows that an earlier version asked for again and left sealed are decided anew."""

from __future__ import annotations

from typing import Any

from django.db import migrations


def mark_sealed(apps: Any, schema_editor: Any) -> None:
    """Mark what is open and sealed, which nobody can answer: the reconcile at the next start takes the seal off."""
    apps.get_model("ls_plugin", "Slot").objects.filter(open=True, sealed=True).update(dirty=True)


class Migration(migrations.Migration):
    """Changes no table."""

    dependencies = (("ls_plugin", "0002_guards"),)
    operations = (migrations.RunPython(mark_sealed, migrations.RunPython.noop),)
