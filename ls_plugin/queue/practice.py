"""Practice: rows with known answers that people answer as often as they like, and read the known answer of at once.

They are no rows of the campaign: there is no task for them, so that nothing that people say here can count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ls_plugin.models import Campaign, CampaignProject, Slot, Stage
from ls_plugin.people import rulebook
from ls_plugin.queue.draws import draw
from ls_plugin.store import known_answers
from ls_plugin.store.known_answers import Kind
from ls_plugin.store.refusals import Refused


@dataclass(frozen=True, slots=True)
class PracticeRow:
    """A row to practise on.

    Attributes:
        row_id: its id.
        data: its columns.
        known: field → the known value.
        guideline: the heading of the guidelines that explains it; empty for those of its fields.
        why: a text of its own that explains it, or empty.
    """

    row_id: str
    data: Mapping[str, Any]
    known: Mapping[str, Any]
    guideline: str
    why: str


def read(sent: Any) -> dict[str, Any]:
    """Check rows to practise on as they came in; nothing takes them off.

    Raises:
        Refused: ``bad_request``, saying what is wrong.
    """
    if sent in (None, {}):
        return {}
    rows = sent.get("rows") if isinstance(sent, dict) else None
    if not isinstance(rows, dict) or not rows or not all(_is_row(row) for row in rows.values()):
        raise Refused("bad_request", "`practice.rows` maps row ids to {data, known, guideline, why}.")
    return {"rows": {row_id: {"guideline": "", "why": ""} | row for row_id, row in rows.items()}}


def _is_row(row: Any) -> bool:
    if not isinstance(row, dict) or not isinstance(row.get("known"), dict) or not row["known"]:
        return False
    return isinstance(row.get("data"), dict) and all(isinstance(row.get(key, ""), str) for key in ("guideline", "why"))


def require_apart(campaign_id: int, practice: Mapping[str, Any], qualification: Mapping[str, Any]) -> None:
    """Refuse rows to practise on that people are asked in earnest too: practice tells what is known of them.

    Raises:
        Refused: ``bad_request``, naming the rows.
    """
    rows = set(practice.get("rows", ()))
    both = sorted((_rows_among(campaign_id, rows) | set(qualification.get("rows", ()))) & rows)
    if both:
        raise Refused("bad_request", f"Rows to practise on are rows of the campaign too: {', '.join(both[:5])}.")


def _rows_among(campaign_id: int, row_ids: set[str]) -> set[str]:
    """Those of the row ids that are rows of the campaign."""
    first = CampaignProject.objects.filter(campaign_id=campaign_id, stage=Stage.PASS).values("project_id")
    there = Slot.objects.filter(project_id__in=first, row_id__in=row_ids)
    return set(there.values_list("row_id", flat=True))


def rows_of(campaign: Campaign) -> dict[str, PracticeRow]:
    """The rows that people may practise on; one that was imported into the campaign since is none any more."""
    stored = campaign.practice.get("rows", {})
    taken = _rows_among(campaign.pk, set(stored))
    return {row_id: PracticeRow(row_id=row_id, **row) for row_id, row in stored.items() if row_id not in taken}


def next_row(campaign: Campaign, user_id: int) -> PracticeRow | None:
    """What a person practises on next: each row once before any comes again, in an order of their own."""
    rows = rows_of(campaign)
    if not rows:
        return None
    answers = known_answers.of_person(Kind.PRACTICE, campaign.pk, user_id)
    often = Counter(answers.values_list("row_id", flat=True))
    return min(
        rows.values(),
        key=lambda row: (often[row.row_id], draw("practice", campaign.pk, user_id, often[row.row_id], row.row_id)),
    )


def is_paid(campaign: Campaign) -> bool:
    """Whether the time of practice counts for pay."""
    practised = rulebook.read_policy(campaign.policy_text).practice
    return practised is not None and practised.paid
