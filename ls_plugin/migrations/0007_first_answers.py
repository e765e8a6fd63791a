"""What a person had right in their first answer to a qualification row."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds a column to the hand-outs."""

    dependencies = (("ls_plugin", "0006_campaign_lock"),)
    operations = (
        migrations.AddField(
            "grant",
            "right",
            models.SmallIntegerField(
                null=True, help_text="known fields that the first answer had right, on a qualification row"
            ),
        ),
    )
