"""Sessions that ended, and passwords that have to be changed."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """Two tables."""

    dependencies = (("ls_plugin", "0015_paragraph_threads"),)
    operations = (
        migrations.CreateModel(
            name="EndedSession",
            fields=[
                ("session", models.CharField(max_length=36, primary_key=True, serialize=False)),
                ("at", models.DateTimeField(db_index=True)),
            ],
        ),
        migrations.CreateModel(
            name="OneTimePassword",
            fields=[
                ("user_id", models.IntegerField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
            ],
        ),
    )
