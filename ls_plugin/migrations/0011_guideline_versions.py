"""Versions of a campaign's guidelines, which stay as they were published, and who acknowledged which of them."""

from __future__ import annotations

from typing import Any

from django.db import migrations, models
from django.utils import timezone

from ls_config.paragraphs import guidelines_hash
from ls_plugin.store.triggers import POSTGRES_GUIDELINES_DOWN, POSTGRES_GUIDELINES_UP


def number_existing(apps: Any, schema_editor: Any) -> None:
    """Make the guidelines that campaigns have version 1; a campaign whose server was never told any has none yet."""
    campaigns, versions = (apps.get_model("ls_plugin", name) for name in ("Campaign", "GuidelineVersion"))
    now = timezone.now()
    for pk, text in campaigns.objects.exclude(guidelines="").values_list("pk", "guidelines"):
        versions.objects.create(campaign_id=pk, number=1, text=text, hash=guidelines_hash(text), at=now)


def keep(apps: Any, schema_editor: Any) -> None:
    """Have PostgreSQL keep versions as they are; on SQLite each connection brings its own rules."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(POSTGRES_GUIDELINES_UP, params=None)


def let_go(apps: Any, schema_editor: Any) -> None:
    """Leave no rule behind."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(POSTGRES_GUIDELINES_DOWN, params=None)


class Migration(migrations.Migration):
    """The two tables, and the first version of each campaign."""

    dependencies = (("ls_plugin", "0010_returns"),)
    operations = (
        migrations.CreateModel(
            name="GuidelineVersion",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("campaign_id", models.IntegerField()),
                ("number", models.IntegerField(help_text="from 1")),
                ("text", models.TextField(blank=True, help_text="Markdown")),
                ("hash", models.CharField(max_length=80)),
                ("note", models.TextField(blank=True, default="", help_text="what changed, for people")),
                (
                    "user_id",
                    models.IntegerField(
                        help_text="who published it; empty: it was there before there were versions", null=True
                    ),
                ),
                ("at", models.DateTimeField()),
                (
                    "acknowledge",
                    models.BooleanField(default=False, help_text="people acknowledge it before their next row"),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=["campaign_id", "number"], name="quorum_guidelines_once"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Acknowledgement",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("campaign_id", models.IntegerField()),
                ("user_id", models.IntegerField()),
                ("number", models.IntegerField(help_text="of the version")),
                ("at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=["campaign_id", "user_id", "number"], name="quorum_acknowledged_once"
                    ),
                ],
            },
        ),
        migrations.RunPython(number_existing, migrations.RunPython.noop),
        migrations.RunPython(keep, let_go),
    )
