"""One set-up or import of a campaign at a time."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """The table of locks."""

    dependencies = (("ls_plugin", "0005_kept_answers"),)
    operations = (
        migrations.CreateModel(
            name="CampaignLock",
            fields=[
                (
                    "name",
                    models.CharField(
                        help_text="the campaign's name, also before there is such a campaign",
                        max_length=200,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("token", models.CharField(max_length=64)),
                ("doing", models.CharField(max_length=40)),
                ("user_id", models.IntegerField()),
                ("since", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
            ],
        ),
    )
