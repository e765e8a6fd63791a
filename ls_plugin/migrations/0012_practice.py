"""Practice and qualification outside the queues: rows to practise on, answers to known rows, another try."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """Two tables and two columns."""

    dependencies = (("ls_plugin", "0011_guideline_versions"),)
    operations = (
        migrations.AddField("campaign", "practice", models.JSONField(blank=True, default=dict)),
        migrations.AddField(
            "grant", "right_fields", models.JSONField(null=True, help_text="the names of these fields")
        ),
        migrations.CreateModel(
            name="KnownAnswer",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("campaign_id", models.IntegerField()),
                ("user_id", models.IntegerField()),
                ("row_id", models.CharField(max_length=500)),
                ("kind", models.CharField(help_text="practice or qualification", max_length=20)),
                ("at", models.DateTimeField()),
                ("seconds", models.FloatField(help_text="how long its form was open")),
                ("values", models.JSONField()),
                ("right", models.JSONField(help_text="the known fields that it has right")),
                ("compared", models.SmallIntegerField(help_text="how many fields are known")),
            ],
            options={
                "indexes": [
                    models.Index(fields=["campaign_id", "user_id", "kind"], name="quorum_known_answer"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Retry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("campaign_id", models.IntegerField()),
                ("user_id", models.IntegerField()),
                ("by", models.IntegerField()),
                ("at", models.DateTimeField()),
            ],
            options={"indexes": [models.Index(fields=["campaign_id", "user_id"], name="quorum_retry")]},
        ),
    )
