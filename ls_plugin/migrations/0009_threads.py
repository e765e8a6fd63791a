"""Threads: what people and their managers say about rows, never changed; and reopenings found by their row."""

from __future__ import annotations

from typing import Any

from django.db import migrations, models

from ls_plugin.store.triggers import POSTGRES_MESSAGES_DOWN, POSTGRES_MESSAGES_UP


def keep(apps: Any, schema_editor: Any) -> None:
    """Have PostgreSQL keep messages as they are; on SQLite each connection brings its own rules."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(POSTGRES_MESSAGES_UP, params=None)


def let_go(apps: Any, schema_editor: Any) -> None:
    """Leave no rule behind."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(POSTGRES_MESSAGES_DOWN, params=None)


class Migration(migrations.Migration):
    """The table and an index."""

    dependencies = (("ls_plugin", "0008_guidelines"),)
    operations = (
        migrations.CreateModel(
            name="Message",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("campaign_id", models.IntegerField()),
                (
                    "row_id",
                    models.CharField(
                        blank=True,
                        default="",
                        help_text="whose thread it is in; empty: it is about no row",
                        max_length=500,
                    ),
                ),
                ("kind", models.CharField(max_length=20)),
                ("user_id", models.IntegerField()),
                ("role", models.CharField(help_text="as what its author said it", max_length=20)),
                ("answers", models.BigIntegerField(help_text="the message that it answers", null=True)),
                ("text", models.TextField()),
                ("at", models.DateTimeField()),
            ],
            options={
                "indexes": [
                    models.Index(fields=["campaign_id", "row_id"], name="quorum_message_row"),
                    models.Index(fields=["campaign_id", "user_id"], name="quorum_message_author"),
                ],
            },
        ),
        migrations.AddIndex(
            model_name="record",
            index=models.Index(
                condition=models.Q(("kind", "reopened")),
                fields=["campaign_id", "row_id"],
                name="quorum_record_reopened",
            ),
        ),
        migrations.RunPython(keep, let_go),
    )
