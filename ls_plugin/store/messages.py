"""Messages of threads: what was said, by whom, as what. They are appended and stay, as the audit log does.

The text is in this table alone; the audit log holds its digest, so that the audit finds a message that was changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from ls_plugin.models import Message, Record
from ls_plugin.store import audit_log
from ls_plugin.store.refusals import Refused

LONGEST = 2000
"""Characters of a message."""
_MOST_A_THREAD = 50
"""Messages of one person in the thread of one row, or of one paragraph."""
AUDITED = "message"
"""The audit log's word for a line about a message."""


class Kind(StrEnum):
    """What a message is."""

    QUESTION = "question"
    ANSWER = "answer"
    DISPUTE = "dispute"
    UPHELD = "upheld"
    ANNOUNCEMENT = "announcement"


@dataclass(frozen=True, kw_only=True, slots=True)
class ThreadSubject:
    """What a thread is about: a row, a paragraph of the guidelines by its anchor, or neither, which is everybody's."""

    row_id: str = ""
    paragraph: str = ""


EVERYBODY = ThreadSubject()
"""The thread of what everybody of a campaign is told."""


def say(
    kind: Kind,
    *,
    campaign_id: int,
    user_id: int,
    role: str,
    text: str,
    about: ThreadSubject = EVERYBODY,
    answers: int | None = None,
    published: bool = False,
) -> Message:
    """Append a message and its line of the audit log, both or neither.

    Raises:
        Refused: ``bad_request`` for a text that cannot be kept whole, ``too_many_messages`` for one more than fit.
    """
    clean = _clean(text)
    with transaction.atomic():
        mine = Message.objects.filter(
            campaign_id=campaign_id, user_id=user_id, row_id=about.row_id, paragraph=about.paragraph
        )
        if about != EVERYBODY and answers is None and mine.count() >= _MOST_A_THREAD:
            raise Refused("too_many_messages")
        message: Message = Message.objects.create(
            campaign_id=campaign_id,
            row_id=about.row_id,
            paragraph=about.paragraph,
            kind=kind.value,
            user_id=user_id,
            role=role,
            answers=answers,
            published=published,
            text=clean,
            at=timezone.now(),
        )
        body = {"message": message.pk, "kind": kind.value, "digest": digest_of(message)}
        audit_log.write(audit_log.Entry(AUDITED, user_id, campaign_id, None, about.row_id, body))
    return message


def digest_of(message: Message) -> str:
    """What the audit log holds of a message: of its text, and of what else says who reads it where."""
    # Messages of before there were paragraphs have the digest of their text alone.
    if not message.paragraph and not message.published:
        return audit_log.digest(message.text)
    return audit_log.digest([message.text, message.paragraph, message.published])


def _clean(text: str) -> str:
    clean = text.strip().replace("\r\n", "\n")
    if not clean:
        raise Refused("bad_request", "A message needs a text.")
    if len(clean) > LONGEST:
        raise Refused("bad_request", f"A message has at most {LONGEST:,} characters.")
    if "\0" in clean or not _is_encodable(clean):
        raise Refused("bad_request", "The message holds a character that cannot be stored.")
    return clean


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Reopening:
    """When a row was opened again, as what, by whom and why."""

    row_id: str
    at: datetime
    user_id: int | None
    role: str
    reason: str


def reopenings(campaign_id: int, row_ids: Iterable[str]) -> list[Reopening]:
    """The reopenings of these rows in order of time, as the audit log has them."""
    lines = _reopened_lines(campaign_id).filter(row_id__in=list(row_ids)).order_by("seq")
    return [
        Reopening(line.row_id, line.at, line.user_id, str(body.get("role", "")), str(body.get("reason", "")))
        for line in lines
        for body in (json.loads(line.body),)
    ]


def reopened_rows(campaign_id: int) -> set[str]:
    """The rows of a campaign that were ever opened again."""
    return set(_reopened_lines(campaign_id).values_list("row_id", flat=True))


def _reopened_lines(campaign_id: int) -> QuerySet[Record]:
    # Written out, as SQLite looks through the whole log where the index's condition comes as a parameter.
    return Record.objects.extra(where=["ls_plugin_record.kind = 'reopened'"]).filter(campaign_id=campaign_id)
