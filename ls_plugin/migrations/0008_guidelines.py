"""The guidelines of a campaign in Markdown: Label Studio's project holds them as a page only."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """The column."""

    dependencies = (("ls_plugin", "0007_first_answers"),)
    operations = (migrations.AddField("campaign", "guidelines", models.TextField(blank=True, default="")),)
