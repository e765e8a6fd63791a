"""The plugin's own tables, beside Label Studio's.

Label Studio's tables stay the only store of what people said. These hold who may do what (derived from the team file),
a small index of what is open to whom, what was handed to whom, and the audit log. No foreign key points into Label
Studio's tables, so that a server without the plugin can still delete what it likes.
"""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager


class Campaign(models.Model):
    """A campaign: three projects, a policy and a team."""

    name: models.CharField[str, str] = models.CharField(max_length=200, unique=True)
    task: models.CharField[str, str] = models.CharField(max_length=100, blank=True, default="")
    policy_text: models.TextField[str, str] = models.TextField()
    policy_hash: models.CharField[str, str] = models.CharField(max_length=80)
    team_text: models.TextField[str, str] = models.TextField(blank=True, default="")
    guidelines: models.TextField[str, str] = models.TextField(blank=True, default="")
    # What people show before they get real rows: {"rows": {row_id: {field: value}}, "share": 0.8}, or nothing.
    qualification: models.JSONField[Any, dict[str, Any]] = models.JSONField(default=dict, blank=True)
    # What people practise on: {"rows": {row_id: {"data", "known", "guideline", "why"}}}, or nothing.
    practice: models.JSONField[Any, dict[str, Any]] = models.JSONField(default=dict, blank=True)
    updated_at: models.DateTimeField[datetime, datetime] = models.DateTimeField(auto_now=True)
    # What Django adds by itself, for the type checker.
    pk: int
    projects: RelatedManager[CampaignProject]
    members: RelatedManager[Member]

    def __str__(self) -> str:
        return self.name


class CampaignLock(models.Model):
    """Who changes a campaign from outside, by set-up or import: one command at a time.

    The command says again and again that it is still there; the lock of one that died is free when its time is over.
    """

    name: models.CharField[str, str] = models.CharField(
        max_length=200, primary_key=True, help_text="the campaign's name, also before there is such a campaign"
    )
    token: models.CharField[str, str] = models.CharField(max_length=64)
    doing: models.CharField[str, str] = models.CharField(max_length=40)
    user_id: models.IntegerField[int, int] = models.IntegerField()
    since: models.DateTimeField[datetime, datetime] = models.DateTimeField()
    expires_at: models.DateTimeField[datetime, datetime] = models.DateTimeField()


class Stage(IntEnum):
    """The three projects of a campaign, in the order in which a row passes them."""

    PASS = 0
    QA = 1
    EXPERT = 2

    @property
    def label(self) -> str:
        """The stage's word in files, addresses and the audit log."""
        return self.name.lower()


_STAGES = [(stage.value, stage.label) for stage in Stage]


class CampaignProject(models.Model):
    """A Label Studio project that belongs to a campaign; the database's own rules look here."""

    project_id: models.IntegerField[int, int] = models.IntegerField(primary_key=True)
    campaign: models.ForeignKey[Campaign, Campaign] = models.ForeignKey(
        Campaign, on_delete=models.CASCADE, related_name="projects"
    )
    stage: models.SmallIntegerField[int, int] = models.SmallIntegerField(choices=_STAGES)
    campaign_id: int
    capacity: models.SmallIntegerField[int, int] = models.SmallIntegerField(
        help_text="how many people's submissions a task of this project takes"
    )
    expert_domains: models.CharField[str, str] = models.CharField(
        max_length=1000, default=",", help_text=",technical,financial,"
    )
    seed: models.CharField[str, str] = models.CharField(
        max_length=32, default="", help_text="from which the order of rows is drawn; empty: as they were imported"
    )

    class Meta:
        constraints = (models.UniqueConstraint(fields=["campaign", "stage"], name="quorum_one_project_a_stage"),)


class Member(models.Model):
    """A person of a campaign's team as the team file says; never edited by itself."""

    campaign: models.ForeignKey[Campaign, Campaign] = models.ForeignKey(
        Campaign, on_delete=models.CASCADE, related_name="members"
    )
    campaign_id: int
    person_id: models.CharField[str, str] = models.CharField(max_length=200)
    user_id: models.IntegerField[int | None, int | None] = models.IntegerField(db_index=True, null=True)
    email: models.CharField[str, str] = models.CharField(max_length=254)
    roles: models.CharField[str, str] = models.CharField(max_length=100, help_text=",annotator,qa,")
    expertise: models.CharField[str, str] = models.CharField(max_length=1000, help_text=",technical,financial,")
    left: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["campaign", "person_id"], name="quorum_person_once"),
            models.UniqueConstraint(fields=["campaign", "user_id"], name="quorum_account_once"),
        )


class Slot(models.Model):
    """What is open about one task: the index that handing out reads and the database's own rules check."""

    task_id: models.IntegerField[int, int] = models.IntegerField(primary_key=True)
    project_id: models.IntegerField[int, int] = models.IntegerField()
    stage: models.SmallIntegerField[int, int] = models.SmallIntegerField(choices=_STAGES)
    row_id: models.CharField[str, str] = models.CharField(max_length=500)
    domain: models.CharField[str, str] = models.CharField(max_length=200, blank=True, default="")
    wants_expert: models.BooleanField[bool, bool] = models.BooleanField(
        default=False, help_text="its domain is one of the policy's expert domains"
    )
    has_expert: models.BooleanField[bool, bool] = models.BooleanField(
        default=False, help_text="an expert of its domain has answered it"
    )
    requires: models.CharField[str, str] = models.CharField(
        max_length=500, blank=True, default="", help_text="technical,financial or * for any expert"
    )
    capacity: models.SmallIntegerField[int, int] = models.SmallIntegerField(default=1)
    taken: models.SmallIntegerField[int, int] = models.SmallIntegerField(
        default=0, help_text="submissions that are not skips"
    )
    open: models.BooleanField[bool, bool] = models.BooleanField(default=True, help_text="a new submission may come")
    sealed: models.BooleanField[bool, bool] = models.BooleanField(
        default=False, help_text="the next stage began: what was said stays said"
    )
    state: models.CharField[str, str] = models.CharField(
        max_length=20, blank=True, default="", help_text="of the row, on its Pass task; empty: not begun"
    )
    pk: int
    agreed: models.FloatField[float | None, float | None] = models.FloatField(
        null=True, help_text="share of the fields on which the passes agree, on the Pass task"
    )
    draw: models.CharField[str, str] = models.CharField(
        max_length=8, default="", help_text="its place among rows of equal claim: a hash of the seed and the row"
    )
    dirty: models.BooleanField[bool, bool] = models.BooleanField(
        default=False, help_text="something was said since the last reconcile of the row"
    )
    flags: models.TextField[str | None, str | None] = models.TextField(
        null=True, help_text="those that people set, a line each, on the Pass task"
    )
    flagged_at: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(
        null=True, help_text="when somebody last sent one of its flags, on the Pass task"
    )

    class Meta:
        indexes = (
            models.Index(
                fields=["project_id", "open", "requires", "-wants_expert", "-taken", "draw", "task_id"],
                name="quorum_slot_queue",
            ),
            models.Index(fields=["project_id", "row_id"], name="quorum_slot_row"),
            models.Index(fields=["project_id"], condition=models.Q(dirty=True), name="quorum_slot_dirty"),
            models.Index(fields=["project_id", "flagged_at"], name="quorum_slot_flagged"),
        )


class Excluded(models.Model):
    """An exclusion: somebody may not take a task, because of a part in the row or of what they saw of it."""

    task_id: models.IntegerField[int, int] = models.IntegerField()
    user_id: models.IntegerField[int, int] = models.IntegerField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["task_id", "user_id"], name="quorum_excluded_once"),)


class Grant(models.Model):
    """A hand-out: the task is the person's to submit on, and while it is live they have a seat."""

    task_id: models.IntegerField[int, int] = models.IntegerField()
    user_id: models.IntegerField[int, int] = models.IntegerField()
    project_id: models.IntegerField[int, int] = models.IntegerField()
    given_at: models.DateTimeField[datetime, datetime] = models.DateTimeField()
    expires_at: models.DateTimeField[datetime, datetime] = models.DateTimeField()
    live: models.BooleanField[bool, bool] = models.BooleanField(
        default=True, help_text="neither submitted, skipped nor given up"
    )
    skipped: models.BooleanField[bool, bool] = models.BooleanField(default=False)
    right: models.SmallIntegerField[int | None, int | None] = models.SmallIntegerField(
        null=True, help_text="known fields that the first answer had right, on a qualification row"
    )
    overturned: models.BooleanField[bool | None, bool | None] = models.BooleanField(
        null=True, help_text="whether a review changed what was answered; empty while the row is not decided"
    )
    returned: models.IntegerField[int | None, int | None] = models.IntegerField(
        null=True, help_text="the QA answer that gave the row back to the person, until they have answered it again"
    )
    right_fields: models.JSONField[Any, list[str] | None] = models.JSONField(
        null=True, help_text="the names of these fields"
    )

    class Meta:
        constraints = (models.UniqueConstraint(fields=["task_id", "user_id"], name="quorum_grant_once"),)
        indexes = (models.Index(fields=["user_id", "project_id", "live"], name="quorum_grant_person"),)


class Record(models.Model):
    """A line of the append-only audit log: who was shown or submitted what, when, chained by hash."""

    seq: models.BigIntegerField[int, int] = models.BigIntegerField(primary_key=True)
    at: models.DateTimeField[datetime, datetime] = models.DateTimeField()
    kind: models.CharField[str, str] = models.CharField(max_length=20)
    campaign_id: models.IntegerField[int | None, int | None] = models.IntegerField(null=True)
    user_id: models.IntegerField[int | None, int | None] = models.IntegerField(null=True)
    task_id: models.IntegerField[int | None, int | None] = models.IntegerField(null=True, db_index=True)
    row_id: models.CharField[str, str] = models.CharField(max_length=500, blank=True, default="")
    body: models.TextField[str, str] = models.TextField(help_text="JSON: ids, counts and digests, never task text")
    previous: models.CharField[str, str] = models.CharField(max_length=64)
    hash: models.CharField[str, str] = models.CharField(max_length=64)

    class Meta:
        indexes = (
            models.Index(
                fields=["campaign_id", "user_id", "at"],
                condition=models.Q(kind="skipped"),
                name="quorum_record_skips",
            ),
            models.Index(
                fields=["campaign_id", "row_id"],
                condition=models.Q(kind="reopened"),
                name="quorum_record_reopened",
            ),
        )


class RecordHead(models.Model):
    """Where the audit log ends; its row is the lock that keeps the chain a chain."""

    id: models.SmallIntegerField[int, int] = models.SmallIntegerField(primary_key=True, default=1)
    seq: models.BigIntegerField[int, int] = models.BigIntegerField(default=0)
    hash: models.CharField[str, str] = models.CharField(max_length=64, default="0" * 64)


class Message(models.Model):
    """Something that was said in a row's thread, or to everybody of a campaign; it stays as it was said."""

    campaign_id: models.IntegerField[int, int] = models.IntegerField()
    row_id: models.CharField[str, str] = models.CharField(
        max_length=500, blank=True, default="", help_text="whose thread it is in; empty: it is about no row"
    )
    paragraph: models.CharField[str, str] = models.CharField(
        max_length=200, blank=True, default="", help_text="the anchor of the guidelines' heading that it is about"
    )
    kind: models.CharField[str, str] = models.CharField(max_length=20)
    user_id: models.IntegerField[int, int] = models.IntegerField()
    role: models.CharField[str, str] = models.CharField(max_length=20, help_text="as what its author said it")
    answers: models.BigIntegerField[int | None, int | None] = models.BigIntegerField(
        null=True, help_text="the message that it answers"
    )
    published: models.BooleanField[bool, bool] = models.BooleanField(
        default=False, help_text="an answer that everybody of the campaign reads, with its question"
    )
    text: models.TextField[str, str] = models.TextField()
    at: models.DateTimeField[datetime, datetime] = models.DateTimeField()
    pk: int

    class Meta:
        indexes = (
            models.Index(fields=["campaign_id", "row_id"], name="quorum_message_row"),
            models.Index(fields=["campaign_id", "user_id"], name="quorum_message_author"),
            models.Index(fields=["answers"], name="quorum_message_answers"),
        )


class EndedSession(models.Model):
    """A session whose person signed out: its cookie is good for nothing, wherever a copy of it is."""

    session: models.CharField[str, str] = models.CharField(max_length=36, primary_key=True)
    at: models.DateTimeField[datetime, datetime] = models.DateTimeField(db_index=True)


class OneTimePassword(models.Model):
    """An account whose password somebody else gave, and that has not chosen one since."""

    user_id: models.IntegerField[int, int] = models.IntegerField(primary_key=True)
    at: models.DateTimeField[datetime, datetime] = models.DateTimeField()


class GuidelineVersion(models.Model):
    """A version of a campaign's guidelines; it stays as it was published."""

    campaign_id: models.IntegerField[int, int] = models.IntegerField()
    number: models.IntegerField[int, int] = models.IntegerField(help_text="from 1")
    text: models.TextField[str, str] = models.TextField(blank=True, help_text="Markdown")
    hash: models.CharField[str, str] = models.CharField(max_length=80)
    note: models.TextField[str, str] = models.TextField(blank=True, default="", help_text="what changed, for people")
    user_id: models.IntegerField[int | None, int | None] = models.IntegerField(
        null=True, help_text="who published it; empty: it was there before there were versions"
    )
    at: models.DateTimeField[datetime, datetime] = models.DateTimeField()
    acknowledge: models.BooleanField[bool, bool] = models.BooleanField(
        default=False, help_text="people acknowledge it before their next row"
    )

    class Meta:
        constraints = (models.UniqueConstraint(fields=["campaign_id", "number"], name="quorum_guidelines_once"),)


class Acknowledgement(models.Model):
    """Somebody has read a version of the guidelines; it stays, as the audit log's line of it does."""

    campaign_id: models.IntegerField[int, int] = models.IntegerField()
    user_id: models.IntegerField[int, int] = models.IntegerField()
    number: models.IntegerField[int, int] = models.IntegerField(help_text="of the version")
    at: models.DateTimeField[datetime, datetime] = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["campaign_id", "user_id", "number"], name="quorum_acknowledged_once"),
        )


class RowVector(models.Model):
    """Where a row lies among the others of its campaign, for finding rows like it.

    It is derived from the row's columns alone and can be made again at any time. A vector that changes is put in anew,
    under a new number, so that a process that keeps vectors in memory reads only what it has not seen.
    """

    campaign_id: models.IntegerField[int, int] = models.IntegerField()
    row_id: models.CharField[str, str] = models.CharField(max_length=500)
    version: models.CharField[str, str] = models.CharField(
        max_length=200, help_text="what made it; vectors of two versions do not compare"
    )
    content: models.CharField[str, str] = models.CharField(max_length=64, help_text="hash of the texts")
    decided: models.BooleanField[bool, bool] = models.BooleanField(help_text="the row was decided when it was put in")
    vector: models.BinaryField[bytes, bytes] = models.BinaryField(help_text="half precision, least byte first")
    pk: int

    class Meta:
        constraints = (models.UniqueConstraint(fields=["campaign_id", "row_id"], name="quorum_row_vector_once"),)
        indexes = (
            models.Index(fields=["campaign_id", "version", "decided", "id"], name="quorum_row_vector_new"),
            models.Index(fields=["campaign_id", "id"], name="quorum_row_vector_newest"),
        )


class KnownAnswer(models.Model):
    """An answer to a row with a known answer that was given on a page of Quorum's own, and is no answer to the row.

    It stands beside Label Studio's answers, so that whatever reads these never meets it. It stays as it was given.
    """

    campaign_id: models.IntegerField[int, int] = models.IntegerField()
    user_id: models.IntegerField[int, int] = models.IntegerField()
    row_id: models.CharField[str, str] = models.CharField(max_length=500)
    kind: models.CharField[str, str] = models.CharField(max_length=20, help_text="practice or qualification")
    at: models.DateTimeField[datetime, datetime] = models.DateTimeField()
    seconds: models.FloatField[float, float] = models.FloatField(help_text="how long its form was open")
    values: models.JSONField[Any, dict[str, Any]] = models.JSONField()
    right: models.JSONField[Any, list[str]] = models.JSONField(help_text="the known fields that it has right")
    compared: models.SmallIntegerField[int, int] = models.SmallIntegerField(help_text="how many fields are known")
    pk: int

    class Meta:
        indexes = (models.Index(fields=["campaign_id", "user_id", "kind"], name="quorum_known_answer"),)


class Retry(models.Model):
    """That a manager lets somebody who is below the bar of the qualification try again."""

    campaign_id: models.IntegerField[int, int] = models.IntegerField()
    user_id: models.IntegerField[int, int] = models.IntegerField()
    by: models.IntegerField[int, int] = models.IntegerField()
    at: models.DateTimeField[datetime, datetime] = models.DateTimeField()

    class Meta:
        indexes = (models.Index(fields=["campaign_id", "user_id"], name="quorum_retry"),)


class Notice(models.Model):
    """Something that people are told of; its key makes it one, however often it is come across. It is never changed."""

    key: models.CharField[str, str] = models.CharField(max_length=200, unique=True)
    kind: models.CharField[str, str] = models.CharField(max_length=20)
    campaign_id: models.IntegerField[int, int] = models.IntegerField(db_index=True)
    row_id: models.CharField[str, str] = models.CharField(max_length=500, blank=True, default="")
    stage: models.CharField[str, str] = models.CharField(
        max_length=20, blank=True, default="", help_text="of the queue in which rows wait"
    )
    at: models.DateTimeField[datetime, datetime] = models.DateTimeField()
    pk: int
    readers: RelatedManager[NoticeReader]


class NoticeCursor(models.Model):
    """Up to which line of the audit log notices were made; its row is the lock under which they are made."""

    id: models.SmallIntegerField[int, int] = models.SmallIntegerField(primary_key=True, default=1)
    seq: models.BigIntegerField[int, int] = models.BigIntegerField(default=0)


class Parcel(models.Model):
    """A message that leaves the server: a mail with notices of one campaign for a person, or a call of a webhook.

    The key goes with it, so that a receiver knows one that comes again after a crash between sending and noting that.
    """

    key: models.CharField[str, str] = models.CharField(max_length=120, unique=True)
    channel: models.CharField[str, str] = models.CharField(max_length=10)
    campaign_id: models.IntegerField[int, int] = models.IntegerField(db_index=True)
    user_id: models.IntegerField[int | None, int | None] = models.IntegerField(null=True, help_text="whose mail it is")
    notice: models.ForeignKey[Notice | None, Notice | None] = models.ForeignKey(
        Notice, on_delete=models.CASCADE, null=True, help_text="what a webhook is told; a mail has its readers' notices"
    )
    made_at: models.DateTimeField[datetime, datetime] = models.DateTimeField()
    not_before: models.DateTimeField[datetime, datetime] = models.DateTimeField()
    leased_until: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(null=True)
    attempts: models.SmallIntegerField[int, int] = models.SmallIntegerField(default=0)
    state: models.CharField[str, str] = models.CharField(max_length=10, default="waiting")
    sent_at: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(null=True)
    why: models.CharField[str, str] = models.CharField(
        max_length=300, blank=True, default="", help_text="what the last attempt failed of"
    )
    notice_id: int | None
    pk: int
    readers: RelatedManager[NoticeReader]

    class Meta:
        indexes = (
            models.Index(fields=["not_before"], condition=models.Q(state="waiting"), name="quorum_parcel_waiting"),
        )


class NoticeReader(models.Model):
    """A person who is told of a notice: on their page, and by a mail where mails are sent."""

    notice: models.ForeignKey[Notice, Notice] = models.ForeignKey(
        Notice, on_delete=models.CASCADE, related_name="readers"
    )
    user_id: models.IntegerField[int, int] = models.IntegerField()
    read_at: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(null=True)
    by_mail: models.BooleanField[bool, bool] = models.BooleanField(
        default=False, help_text="it waits for a mail, unless it is read on the page before"
    )
    parcel: models.ForeignKey[Parcel | None, Parcel | None] = models.ForeignKey(
        Parcel, on_delete=models.SET_NULL, null=True, related_name="readers"
    )
    notice_id: int
    parcel_id: int | None
    pk: int

    class Meta:
        constraints = (models.UniqueConstraint(fields=["notice", "user_id"], name="quorum_notice_once"),)
        indexes = (
            models.Index(fields=["user_id", "read_at"], name="quorum_notice_person"),
            models.Index(
                fields=["user_id"],
                condition=models.Q(by_mail=True),
                name="quorum_notice_unsent",
            ),
        )


class NoticeChoice(models.Model):
    """What somebody chose about mails; without a line they get them."""

    user_id: models.IntegerField[int, int] = models.IntegerField(primary_key=True)
    by_mail: models.BooleanField[bool, bool] = models.BooleanField()
