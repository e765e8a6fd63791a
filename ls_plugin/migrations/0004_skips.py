"""Skips are counted by the audit log: the index finds a person's among all other lines."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """A small index, of the lines about skips alone."""

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
    )
