"""A campaign's policy and team as the rules' values, read once for each text."""

from __future__ import annotations

from functools import lru_cache

from review_rules import Policy, Team, load_policy, load_team


# The text is the key: a changed policy is another text, so that nothing has to be forgotten.
@lru_cache(maxsize=64)
def read_policy(text: str) -> Policy:
    """The policy that a text states."""
    return load_policy(text)


@lru_cache(maxsize=64)
def read_team(text: str) -> Team:
    """The team that a text states."""
    return load_team(text)
