"""The plugin's own tables, beside Label Studio's.

Label Studio's tables stay the only store of what people said. These hold who may do what (derived from the team file),
a small index of what is open to whom, what was handed to whom, and the record. No foreign key points into Label
Studio's tables, so that a server without the plugin can still delete what it likes.
"""

from __future__ import annotations

from enum import IntEnum

from django.db import models


class Campaign(models.Model):  # type: ignore[misc]
    """A review line: three projects, a policy and a team."""

    name = models.CharField(max_length=200, unique=True)
    task = models.CharField(max_length=100, blank=True, default="")
    policy_text = models.TextField()
    policy_hash = models.CharField(max_length=80)
    team_text = models.TextField(blank=True, default="")
    # What people show before they get real rows: {"rows": {row_id: {field: value}}, "share": 0.8}, or nothing.
    qualification = models.JSONField(default=dict, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return str(self.name)


class Stage(IntEnum):
    """The three projects of a campaign, in the order in which a row passes them."""

    PASS = 0
    QA = 1
    EXPERT = 2

    @property
    def label(self) -> str:
        """The stage's word in files, addresses and the record."""
        return self.name.lower()


_STAGES = [(stage.value, stage.label) for stage in Stage]


class CampaignProject(models.Model):  # type: ignore[misc]
    """A Label Studio project that belongs to a campaign; the database's own rules look here."""

    project_id = models.IntegerField(primary_key=True)
    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="projects")
    stage = models.SmallIntegerField(choices=_STAGES)
    capacity = models.SmallIntegerField(help_text="how many people's submissions a task of this project takes")
    expert_domains = models.CharField(max_length=1000, default=",", help_text=",technical,financial,")

    class Meta:
        constraints = (models.UniqueConstraint(fields=["campaign", "stage"], name="quorum_one_project_a_stage"),)


class Member(models.Model):  # type: ignore[misc]
    """A person of a campaign's team as the team file says; never edited by itself."""

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="members")
    person_id = models.CharField(max_length=200)
    user_id = models.IntegerField(db_index=True, null=True)
    email = models.CharField(max_length=254)
    roles = models.CharField(max_length=100, help_text=",annotator,qa,")
    expertise = models.CharField(max_length=1000, help_text=",technical,financial,")
    left = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["campaign", "person_id"], name="quorum_person_once"),
            models.UniqueConstraint(fields=["campaign", "user_id"], name="quorum_account_once"),
        )


class Slot(models.Model):  # type: ignore[misc]
    """What is open about one task: the index that handing out reads and the database's own rules check."""

    task_id = models.IntegerField(primary_key=True)
    project_id = models.IntegerField()
    stage = models.SmallIntegerField(choices=_STAGES)
    row_id = models.CharField(max_length=500)
    domain = models.CharField(max_length=200, blank=True, default="")
    wants_expert = models.BooleanField(default=False, help_text="its domain is one of the policy's expert domains")
    has_expert = models.BooleanField(default=False, help_text="an expert of its domain has answered it")
    requires = models.CharField(
        max_length=500, blank=True, default="", help_text="technical,financial or * for any expert"
    )
    capacity = models.SmallIntegerField(default=1)
    taken = models.SmallIntegerField(default=0, help_text="submissions that are not skips")
    open = models.BooleanField(default=True, help_text="a new submission may come")
    sealed = models.BooleanField(default=False, help_text="the next stage began: what was said stays said")
    state = models.CharField(
        max_length=20, blank=True, default="", help_text="of the row, on its Pass task; empty: not begun"
    )
    agreed = models.FloatField(null=True, help_text="share of the fields on which the passes agree, on the Pass task")
    dirty = models.BooleanField(default=False, help_text="something was said since the last reconcile of the row")

    class Meta:
        indexes = (
            models.Index(
                fields=["project_id", "open", "requires", "-wants_expert", "-taken", "task_id"],
                name="quorum_slot_queue",
            ),
            models.Index(fields=["project_id", "row_id"], name="quorum_slot_row"),
            models.Index(fields=["project_id"], condition=models.Q(dirty=True), name="quorum_slot_dirty"),
        )


class Excluded(models.Model):  # type: ignore[misc]
    """Somebody who may not take a task, because of a part that they had in the row or of what they saw of it."""

    task_id = models.IntegerField()
    user_id = models.IntegerField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["task_id", "user_id"], name="quorum_excluded_once"),)


class Grant(models.Model):  # type: ignore[misc]
    """A task handed to a person: the only licence to submit on it, and while it is live a held seat."""

    task_id = models.IntegerField()
    user_id = models.IntegerField()
    project_id = models.IntegerField()
    given_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    live = models.BooleanField(default=True, help_text="neither submitted, skipped nor given up")
    skipped = models.BooleanField(default=False)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["task_id", "user_id"], name="quorum_grant_once"),)
        indexes = (models.Index(fields=["user_id", "project_id", "live"], name="quorum_grant_person"),)


class Record(models.Model):  # type: ignore[misc]
    """One line of the append-only record: who was shown what, who submitted what, when, chained by hash."""

    seq = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()
    kind = models.CharField(max_length=20)
    campaign_id = models.IntegerField(null=True)
    user_id = models.IntegerField(null=True)
    task_id = models.IntegerField(null=True, db_index=True)
    row_id = models.CharField(max_length=500, blank=True, default="")
    body = models.TextField(help_text="JSON: ids, counts and digests, never task text")
    previous = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)


class RecordHead(models.Model):  # type: ignore[misc]
    """Where the record ends; its row is the lock that keeps the chain a chain."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    seq = models.BigIntegerField(default=0)
    hash = models.CharField(max_length=64, default="0" * 64)
