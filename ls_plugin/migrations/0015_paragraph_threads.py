"""Threads of guideline paragraphs, published answers; flags and overturned answers kept to be counted fast."""

from __future__ import annotations

from typing import Any

from django.db import migrations, models

# The rows that bear flags are reconciled again, which writes the flags beside them.
_MARK = """
UPDATE ls_plugin_slot SET dirty = {true} WHERE task_id IN (
  SELECT task_id FROM task_completion WHERE CAST(result AS text) LIKE '%"flags"%')
"""


def mark_flagged(apps: Any, schema_editor: Any) -> None:
    """Have the server read the flags of answers that are there already, as soon as it runs."""
    if "task_completion" in schema_editor.connection.introspection.table_names():
        true = "true" if schema_editor.connection.vendor == "postgresql" else "1"
        schema_editor.execute(_MARK.format(true=true), params=None)


class Migration(migrations.Migration):
    """The columns and their indexes."""

    dependencies = (("ls_plugin", "0014_notifications"),)
    operations = (
        migrations.AddField(
            "message",
            "paragraph",
            models.CharField(
                blank=True,
                default="",
                help_text="the anchor of the guidelines' heading that it is about",
                max_length=200,
            ),
        ),
        migrations.AddField(
            "message",
            "published",
            models.BooleanField(
                default=False, help_text="an answer that everybody of the campaign reads, with its question"
            ),
        ),
        migrations.AddField(
            "slot",
            "flags",
            models.TextField(help_text="those that people set, a line each, on the Pass task", null=True),
        ),
        migrations.AddField(
            "slot",
            "flagged_at",
            models.DateTimeField(help_text="when somebody last sent one of its flags, on the Pass task", null=True),
        ),
        migrations.AddField(
            "grant",
            "overturned",
            models.BooleanField(
                help_text="whether a review changed what was answered; empty while the row is not decided", null=True
            ),
        ),
        migrations.AddIndex("message", models.Index(fields=["answers"], name="quorum_message_answers")),
        migrations.AddIndex("slot", models.Index(fields=["project_id", "flagged_at"], name="quorum_slot_flagged")),
        migrations.RunPython(mark_flagged, migrations.RunPython.noop),
    )
