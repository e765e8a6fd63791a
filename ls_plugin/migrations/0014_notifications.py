"""Notices: what people are told of, to whom, and what leaves the server for it."""

from __future__ import annotations

from typing import Any

import django.db.models.deletion
from django.db import migrations, models


def begin_here(apps: Any, schema_editor: Any) -> None:
    """Tell people of what happens from now on: what the audit log has from before is old to them."""
    head = apps.get_model("ls_plugin", "RecordHead").objects.filter(id=1).first()
    apps.get_model("ls_plugin", "NoticeCursor").objects.create(id=1, seq=head.seq if head else 0)


class Migration(migrations.Migration):
    """The tables, and the place in the audit log from which notices are made."""

    dependencies = (("ls_plugin", "0013_precedents"),)
    operations = (
        migrations.CreateModel(
            name="Notice",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(max_length=200, unique=True)),
                ("kind", models.CharField(max_length=20)),
                ("campaign_id", models.IntegerField(db_index=True)),
                ("row_id", models.CharField(blank=True, default="", max_length=500)),
                (
                    "stage",
                    models.CharField(
                        blank=True, default="", help_text="of the queue in which rows wait", max_length=20
                    ),
                ),
                ("at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="NoticeChoice",
            fields=[
                ("user_id", models.IntegerField(primary_key=True, serialize=False)),
                ("by_mail", models.BooleanField()),
            ],
        ),
        migrations.CreateModel(
            name="NoticeCursor",
            fields=[
                ("id", models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("seq", models.BigIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name="Parcel",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(max_length=120, unique=True)),
                ("channel", models.CharField(max_length=10)),
                ("campaign_id", models.IntegerField(db_index=True)),
                ("user_id", models.IntegerField(help_text="whose mail it is", null=True)),
                ("made_at", models.DateTimeField()),
                ("not_before", models.DateTimeField()),
                ("leased_until", models.DateTimeField(null=True)),
                ("attempts", models.SmallIntegerField(default=0)),
                ("state", models.CharField(default="waiting", max_length=10)),
                ("sent_at", models.DateTimeField(null=True)),
                (
                    "why",
                    models.CharField(
                        blank=True, default="", help_text="what the last attempt failed of", max_length=300
                    ),
                ),
                (
                    "notice",
                    models.ForeignKey(
                        help_text="what a webhook is told; a mail has its readers' notices",
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="ls_plugin.notice",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="NoticeReader",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("user_id", models.IntegerField()),
                ("read_at", models.DateTimeField(null=True)),
                (
                    "by_mail",
                    models.BooleanField(
                        default=False, help_text="it waits for a mail, unless it is read on the page before"
                    ),
                ),
                (
                    "notice",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="readers", to="ls_plugin.notice"
                    ),
                ),
                (
                    "parcel",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="readers",
                        to="ls_plugin.parcel",
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="parcel",
            index=models.Index(
                condition=models.Q(("state", "waiting")), fields=["not_before"], name="quorum_parcel_waiting"
            ),
        ),
        migrations.AddIndex(
            model_name="noticereader",
            index=models.Index(fields=["user_id", "read_at"], name="quorum_notice_person"),
        ),
        migrations.AddIndex(
            model_name="noticereader",
            index=models.Index(
                condition=models.Q(("by_mail", True)),
                fields=["user_id"],
                name="quorum_notice_unsent",
            ),
        ),
        migrations.AddConstraint(
            model_name="noticereader",
            constraint=models.UniqueConstraint(fields=("notice", "user_id"), name="quorum_notice_once"),
        ),
        migrations.RunPython(begin_here, migrations.RunPython.noop),
    )
