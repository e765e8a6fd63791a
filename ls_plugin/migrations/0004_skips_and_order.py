"""Skips are counted by the audit log, and rows of equal claim are drawn."""

from __future__ import annotations

from typing import Any

from django.db import migrations, models

from ls_plugin.store.triggers import POSTGRES_DOWN, POSTGRES_UP


def renew(apps: Any, schema_editor: Any) -> None:
    """The database's own rule that makes a slot now draws its place too."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(POSTGRES_DOWN, params=None)
        schema_editor.execute(POSTGRES_UP, params=None)


class Migration(migrations.Migration):
    """A row of before keeps the order of its import until the campaign is set up again."""

    dependencies = (("ls_plugin", "0002_guards"),)
    operations = (
        migrations.AddIndex(
            model_name="record",
            index=models.Index(
                condition=models.Q(("kind", "skipped")),
                fields=["campaign_id", "user_id", "at"],
                name="quorum_record_skips",
            ),
        ),
        migrations.AddField(
            model_name="campaignproject",
            name="seed",
            field=models.CharField(
                default="",
                help_text="from which the order of rows is drawn; empty: as they were imported",
                max_length=32,
            ),
        ),
        migrations.RemoveIndex(model_name="slot", name="quorum_slot_queue"),
        migrations.AddField(
            model_name="slot",
            name="draw",
            field=models.CharField(
                default="",
                help_text="its place among rows of equal claim: a hash of the seed and the row",
                max_length=8,
            ),
        ),
        migrations.AddIndex(
            model_name="slot",
            index=models.Index(
                fields=["project_id", "open", "requires", "-wants_expert", "-taken", "draw", "task_id"],
                name="quorum_slot_queue",
            ),
        ),
        migrations.RunPython(renew, migrations.RunPython.noop),
    )
