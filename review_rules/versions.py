"""The versions of the rules: what is decided differently, so that an export is proved by the rules that made it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class RulesVersion:
    """One version of the rules, as what it does where versions differ.

    Attributes:
        number: what decisions carry under `rules`.
        heeds_required: an answer has to give a required field a value.
        fills_sets: a set that no pass gave is proposed as the empty set, and not left out.
        hears_opinions: the values of a review that escalates or discards enter proposal and label.
        heeds_shown: a value has not changed from an auto-label that nobody who passed was shown.
        heeds_reopening: what a review said before its row was reopened does not count.
        heeds_broken_rows: a pass that calls the row broken asks for QA, whatever the policy samples.
        heeds_returns: QA may give passes back to their people.
        names_team: the certificate carries the team's hash, and the decision the version of the rules.
        names_guidelines: the certificate carries the versions of the guidelines that the counted answers name.
    """

    number: int
    heeds_required: bool
    fills_sets: bool
    hears_opinions: bool
    heeds_shown: bool
    heeds_reopening: bool
    heeds_broken_rows: bool
    heeds_returns: bool
    names_team: bool
    names_guidelines: bool


RULES_1: Final = RulesVersion(
    1,
    heeds_required=False,
    fills_sets=False,
    hears_opinions=True,
    heeds_shown=False,
    heeds_reopening=False,
    heeds_broken_rows=False,
    heeds_returns=False,
    names_team=False,
    names_guidelines=False,
)
"""Quorum 0.1.0."""

RULES_2: Final = RulesVersion(
    2,
    heeds_required=True,
    fills_sets=True,
    hears_opinions=False,
    heeds_shown=True,
    heeds_reopening=True,
    heeds_broken_rows=False,
    heeds_returns=False,
    names_team=True,
    names_guidelines=False,
)

RULES_3: Final = replace(RULES_2, number=3, heeds_broken_rows=True)

RULES_4: Final = replace(RULES_3, number=4, heeds_returns=True, names_guidelines=True)

CURRENT: Final = RULES_4

_BY_NUMBER: Final = {version.number: version for version in (RULES_1, RULES_2, RULES_3, RULES_4)}


def version_of(claimed: Any) -> RulesVersion | None:
    """The version that a record names under `rules`; None if it is not known here.

    A record that names none was written before there was more than one.

    >>> version_of(2).number, version_of(None).number, version_of(99)
    (2, 1, None)
    """
    if claimed is None:
        return RULES_1
    # True equals 1 as a key, and is no version.
    return None if isinstance(claimed, bool) or not isinstance(claimed, int) else _BY_NUMBER.get(claimed)
