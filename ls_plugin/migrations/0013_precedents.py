"""Vectors of rows, by which a decided row like an open one is found."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """The table."""

    dependencies = (("ls_plugin", "0012_practice"),)
    operations = (
        migrations.CreateModel(
            name="RowVector",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("campaign_id", models.IntegerField()),
                ("row_id", models.CharField(max_length=500)),
                (
                    "version",
                    models.CharField(help_text="what made it; vectors of two versions do not compare", max_length=200),
                ),
                ("content", models.CharField(help_text="hash of the texts", max_length=64)),
                ("decided", models.BooleanField(help_text="the row was decided when it was put in")),
                ("vector", models.BinaryField(help_text="half precision, least byte first")),
            ],
            options={
                "indexes": [
                    models.Index(fields=["campaign_id", "version", "decided", "id"], name="quorum_row_vector_new"),
                    models.Index(fields=["campaign_id", "id"], name="quorum_row_vector_newest"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("campaign_id", "row_id"), name="quorum_row_vector_once")
                ],
            },
        ),
    )
