"""How many examples a law is tried on."""

from __future__ import annotations

import os

SHARE = float(os.environ.get("QUORUM_LAW_EXAMPLES", "1"))
"""1 is what `make test` runs; the daily loop takes a part, a long search many times as many."""


def examples(number: int) -> int:
    """So many examples, times the share that this run asks for; never none.

    >>> examples(100) >= 1
    True
    """
    return max(1, round(number * SHARE))
