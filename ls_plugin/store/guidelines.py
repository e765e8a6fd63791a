"""Versions of a campaign's guidelines: which there are, which hold for whom, and who has acknowledged what.

A version is appended and stays. It holds for everybody at once, unless it asks to be acknowledged: then it holds for a
person from their acknowledgement on, and until then they are handed no row. Of several that somebody has missed, the
acknowledgement of the newest is one of all.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import Max

from ls_config.paragraphs import guidelines_hash
from ls_plugin.models import Acknowledgement, Campaign, GuidelineVersion, Record
from ls_plugin.store import audit_log, clock
from ls_plugin.store.refusals import Refused
from ls_plugin.store.slots import locks_rows

GUIDELINES: Final = "guidelines"
"""The key of `{"number", "hash"}` in a line's body, and the audit log's word for the line of a publication."""
ACKNOWLEDGED: Final = "acknowledged"
"""The audit log's word for the line of an acknowledgement."""
LONGEST_NOTE: Final = 500
"""Characters of what a publication says of itself."""
_LOCKS: Final = 7_000_000_000
"""Where the numbers of this module's locks in PostgreSQL begin: a campaign's id is added."""


def versions_of(campaign_id: int) -> list[GuidelineVersion]:
    """All versions, oldest first."""
    return list(GuidelineVersion.objects.filter(campaign_id=campaign_id).order_by("number"))


def newest(campaign_id: int) -> GuidelineVersion | None:
    """The version that was published last; None for a campaign without guidelines."""
    return GuidelineVersion.objects.filter(campaign_id=campaign_id).order_by("-number").first()


def changed_at(campaign_id: int) -> datetime | None:
    """When the guidelines were changed last; None if they never were."""
    later = GuidelineVersion.objects.filter(campaign_id=campaign_id, number__gt=1).order_by("-number")
    return later.values_list("at", flat=True).first()


def named(version: GuidelineVersion) -> dict[str, Any]:
    """A version as answers and lines of the audit log name it."""
    return {"number": version.number, "hash": version.hash}


@dataclass(frozen=True, kw_only=True, slots=True)
class GuidelineReading:
    """Where a person stands with the guidelines of a campaign.

    Attributes:
        acknowledged: the number of the newest version that they acknowledged; 0 for none.
        holding: the number of the version that holds for them; 0 where none does yet.
        pending: the version that they have to acknowledge before their next row; None if there is none.
    """

    acknowledged: int
    holding: int
    pending: GuidelineVersion | None


def reading_of(campaign_id: int, user_id: int, *, always: bool) -> GuidelineReading:
    """Where a person stands; `always` as the policy says whether every version asks for an acknowledgement."""
    done = Acknowledgement.objects.filter(campaign_id=campaign_id, user_id=user_id)
    acknowledged: int = done.aggregate(last=Max("number"))["last"] or 0
    versions = GuidelineVersion.objects.filter(campaign_id=campaign_id)
    later = versions.filter(number__gt=acknowledged).order_by("number")
    first = (later if always else later.filter(acknowledge=True)).values_list("number", flat=True).first()
    if first is None:
        last: int = versions.aggregate(last=Max("number"))["last"] or 0
        return GuidelineReading(acknowledged=acknowledged, holding=last, pending=None)
    return GuidelineReading(acknowledged=acknowledged, holding=first - 1, pending=newest(campaign_id))


def holding_version(campaign_id: int, user_id: int, *, always: bool) -> dict[str, Any] | None:
    """The version that holds for a person, as lines of the audit log name it; None where none does."""
    number = reading_of(campaign_id, user_id, always=always).holding
    version = GuidelineVersion.objects.filter(campaign_id=campaign_id, number=number).first()
    return None if version is None else named(version)


def lock_versions(campaign_id: int, *, exclusive: bool) -> None:
    """Keep versions and hand-outs in one order until the transaction ends: nobody is handed a row while one comes.

    SQLite locks all of its database instead.
    """
    if locks_rows():
        function = "pg_advisory_xact_lock" if exclusive else "pg_advisory_xact_lock_shared"
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {function}(%s)", [_LOCKS + campaign_id])


def append(campaign: Campaign, text: str, *, note: str, user_id: int | None, acknowledge: bool) -> GuidelineVersion:
    """Append a version and its line of the audit log; the caller has locked the versions."""
    before = newest(campaign.pk)
    version: GuidelineVersion = GuidelineVersion.objects.create(
        campaign_id=campaign.pk,
        number=1 if before is None else before.number + 1,
        text=text,
        hash=guidelines_hash(text),
        note=note,
        user_id=user_id,
        at=clock.moment(),
        acknowledge=acknowledge,
    )
    Campaign.objects.filter(pk=campaign.pk).update(guidelines=text)
    campaign.guidelines = text
    body = {**named(version), "acknowledge": acknowledge}
    audit_log.write(audit_log.Entry(GUIDELINES, user_id, campaign.pk, body=body))
    return version


def acknowledge(campaign_id: int, user_id: int, number: int) -> GuidelineVersion:
    """Write down that somebody has read the newest version; a second time changes nothing.

    Raises:
        Refused: ``guidelines_changed`` if there is a newer one, which they have not been shown.
    """
    with transaction.atomic():
        lock_versions(campaign_id, exclusive=True)
        version = newest(campaign_id)
        if version is None or version.number != number:
            raise Refused("guidelines_changed")
        values = {"campaign_id": campaign_id, "user_id": user_id, "number": number}
        if not Acknowledgement.objects.filter(**values).exists():
            Acknowledgement.objects.create(**values, at=clock.moment())
            audit_log.write(audit_log.Entry(ACKNOWLEDGED, user_id, campaign_id, body=named(version)))
    return version


def last_shown(user_id: int, task_id: int) -> dict[str, Any] | None:
    """The version that held for this person when they were shown a task last; None if no line says it."""
    lines = Record.objects.filter(task_id=task_id, user_id=user_id, kind="shown").order_by("-seq")
    shown = (json.loads(body).get(GUIDELINES) for body in lines.values_list("body", flat=True))
    return next((version for version in shown if version is not None), None)


def versions_of_answers(first_task: int, last_task: int) -> dict[int, dict[str, Any]]:
    """Annotation → the version that it was given under last, on tasks from the first to the last id."""
    answering = ("submitted", "changed")
    lines = Record.objects.filter(kind__in=answering, task_id__gte=first_task, task_id__lte=last_task).order_by("seq")
    bodies = map(json.loads, lines.values_list("body", flat=True).iterator())
    return {body["annotation"]: body[GUIDELINES] for body in bodies if GUIDELINES in body}
