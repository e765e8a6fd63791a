"""What `quorum doctor` says of a server's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from label_studio_quorum.campaign.doctor import Level, check_clock

NOW = datetime(2026, 1, 5, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("off", "lag_s", "level", "words"),
    [
        (0, 0.0, Level.OK, "runs forward"),
        (-3, 8.0, Level.OK, "runs forward"),
        (None, 0.0, Level.OK, "runs forward"),
        (3600, 0.0, Level.WARN, "3,600 s ahead of this machine's"),
        (-3600, 0.0, Level.WARN, "3,600 s behind this machine's"),
        (-3600, 3590.0, Level.FAIL, "3,590 s behind what it wrote last: it was set back, and nobody can answer"),
        (0, 3590.0, Level.FAIL, "3,590 s behind what it wrote last"),
    ],
)
def test_the_clock(off: float | None, lag_s: float, level: Level, words: str) -> None:
    """One that was set back is a failure; one that differs much from this machine's is worth a look."""
    server = None if off is None else NOW + timedelta(seconds=off)
    check = check_clock(server, NOW, lag_s)
    assert check.level is level
    assert words in check.message
