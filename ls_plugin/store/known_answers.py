"""Answers to rows with known answers that were given on Quorum's own pages: kept once, each with its audit entry.

They are in a table of their own, which no export, no figure of agreement and no reconcile reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from django.db import transaction
from django.db.models import Count, QuerySet, Sum

from ls_plugin.models import KnownAnswer
from ls_plugin.store import audit_log, clock


class Kind(StrEnum):
    """What an answer was given for; the audit log's words too."""

    PRACTICE = "practice"
    QUALIFICATION = "qualification"


def keep(
    kind: Kind,
    *,
    campaign_id: int,
    user_id: int,
    row_id: str,
    values: Mapping[str, Any],
    right: Sequence[str],
    compared: int,
    seconds: float,
) -> KnownAnswer:
    """Keep an answer and its line of the audit log, both or neither."""
    with transaction.atomic():
        answer: KnownAnswer = KnownAnswer.objects.create(
            campaign_id=campaign_id,
            user_id=user_id,
            row_id=row_id,
            kind=kind.value,
            at=clock.moment(),
            seconds=seconds,
            values=dict(values),
            right=list(right),
            compared=compared,
        )
        body = {"known_answer": answer.pk, "digest": digest(answer)}
        audit_log.write(audit_log.Entry(kind.value, user_id, campaign_id, None, row_id, body))
    return answer


def digest(answer: KnownAnswer) -> str:
    """What the audit log keeps of an answer: a hash over all that counts of it."""
    return audit_log.digest([answer.row_id, answer.values, answer.right, answer.compared, round(answer.seconds, 1)])


def of_person(kind: Kind, campaign_id: int, user_id: int) -> QuerySet[KnownAnswer]:
    """A person's answers of a kind, the first one first."""
    mine = KnownAnswer.objects.filter(campaign_id=campaign_id, user_id=user_id, kind=kind.value)
    return mine.order_by("at", "pk")


def work_by_person(kind: Kind, campaign_id: int) -> dict[int, tuple[int, float]]:
    """Account → its answers of a kind, and the hours that their forms were open."""
    answers = KnownAnswer.objects.filter(campaign_id=campaign_id, kind=kind.value)
    sums = answers.values_list("user_id").annotate(count=Count("pk"), seconds=Sum("seconds")).order_by()
    return {user_id: (count, seconds / 3600) for user_id, count, seconds in sums}
