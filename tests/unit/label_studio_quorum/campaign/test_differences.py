"""What makes two files say the same, and what is told of files that do not."""

from __future__ import annotations

import pytest

from label_studio_quorum.campaign.differences import (
    interface_differences,
    listed,
    policy_differences,
    team_differences,
    team_digest,
)
from ls_config import load
from review_rules import load_policy, load_team

ANA = "{id: ana, email: a@x.test, roles: [annotator, qa], expertise: [legal], hours_per_week: 8, rate_per_hour: 20}"


def test_how_a_team_is_written_makes_no_difference() -> None:
    """Comments, order and spacing are the writer's."""
    short = load_team(f"people: [{ANA}, {{id: ben, roles: [qa]}}]")
    long = load_team(
        "# ours\npeople:\n  - roles: [qa]\n    id: ben\n  - " + ANA.replace("[annotator, qa]", "[qa, annotator]")
    )
    assert team_digest(short) == team_digest(long)
    assert team_differences(short, long) == ()


@pytest.mark.parametrize(
    ("before", "after", "key"),
    [
        ("a@x.test", "b@x.test", "email"),
        ("annotator, qa", "annotator", "roles"),
        ("[legal]", "[]", "expertise"),
        ("hours_per_week: 8", "hours_per_week: 9", "hours_per_week"),
        ("rate_per_hour: 20", 'left: "2026-01-01T00:00:00Z"', "left, rate_per_hour"),
    ],
)
def test_every_key_of_a_person_counts(before: str, after: str, key: str) -> None:
    """Addresses too: by them an account is told to be somebody's."""
    old, new = load_team(f"people: [{ANA}]"), load_team(f"people: [{ANA.replace(before, after)}]")
    assert team_digest(old) != team_digest(new)
    assert team_differences(new, old) == (f"ana ({key})",)


def test_a_policy_tells_short_values_and_names_long_ones() -> None:
    """One line has to be read at a glance."""
    file = load_policy("passes: 3\nfields: {verdict: {agree: exact}, tone: {agree: tolerance, tolerance: 1}}")
    assert policy_differences(file, load_policy("passes: 2")) == ("fields", "passes (3 in the file, 2 on the server)")
    assert policy_differences(file, file) == ()


def test_many_differences_are_counted() -> None:
    """The line stays a line."""
    assert listed(map(str, range(9))) == "0; 1; 2; 3; 4; 5; 3 more"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("", "", ""),
        ("Cannot judge", "Can't judge", "verdict (labels, shown)"),
        ('name="verdict"', 'name="truth"', "truth is only on the server; verdict is only in the file"),
        ('className="q ', 'className="p ', "the look alone"),
    ],
)
def test_an_interface_differs_by_its_controls(before: str, after: str, said: str) -> None:
    """What people are asked for is told; where that is the same it is the look."""
    own = load("classification")
    changed = own.xml.replace(before, after) if before else own.xml
    assert interface_differences(own, changed) == said
