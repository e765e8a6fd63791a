"""Rows that QA gave back to their people: whose hand-outs they are, and the one more answer that they may give."""

from __future__ import annotations

from typing import Any

from django.db import migrations, models

from ls_plugin.store.triggers import POSTGRES_ANSWERS, POSTGRES_ANSWERS_BEFORE_RETURNS


def take_again(apps: Any, schema_editor: Any) -> None:
    """Have PostgreSQL take one more answer from whom a row came back to; SQLite's connections bring their own rules."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(POSTGRES_ANSWERS, params=None)


def take_once(apps: Any, schema_editor: Any) -> None:
    """Go back to one answer a person, before the column goes."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(POSTGRES_ANSWERS_BEFORE_RETURNS, params=None)


class Migration(migrations.Migration):
    """Adds a column to the hand-outs."""

    dependencies = (("ls_plugin", "0009_threads"),)
    operations = (
        migrations.AddField(
            "grant",
            "returned",
            models.IntegerField(
                null=True,
                help_text="the QA answer that gave the row back to the person, until they have answered it again",
            ),
        ),
        migrations.RunPython(take_again, take_once),
    )
