"""Which checks of its interface a row's final label violates: a finding beside the decision, never a part of it."""

from __future__ import annotations

from label_studio_quorum.campaign.projects import Campaign
from review_rules import Decision
from review_rules.files.checks import FieldCheck


def violated_by(campaign: Campaign, decision: Decision) -> tuple[FieldCheck, ...]:
    """The checks that a row's final label violates; none of a row that is not final."""
    if decision.final is None or not campaign.checks.entries:
        return ()
    return campaign.checks.violated({name: final.value for name, final in decision.final.items()})
