"""Times: every form of ISO 8601 that stands for one instant, and nothing else."""

from __future__ import annotations

import pytest

from review_rules.instants import parse_instant

SECOND = 10**9


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00+00:00", 0),
        ("1970-01-01T00:00:00-00:00", 0),
        ("1970-01-01t00:00:01z", 1),
        ("1970-01-01 00:00:01Z", 1),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T01:00:00+0100", 0),
        ("1970-01-01T01:00:00+01", 0),
        ("1969-12-31T19:00:00-05:00", 0),
        ("1969-12-31T19:00:00−05:00", 0),
        ("1970-01-01T00:00:30+00:00:30", 0),
        ("19700101T000001Z", 1),
        ("19700101T0001Z", 60),
        ("1970-01-01T00:01Z", 60),
        ("1970-01-01T01Z", 3600),
        ("1970-W01-4T00:00:00Z", 0),
        ("1970W014T000000Z", 0),
        ("1970-001T00:00:00Z", 0),
        ("1970002T000000Z", 86400),
        ("1972-366T00:00:00Z", (2 * 365 + 365) * 86400),
        ("1969-12-31T24:00:00Z", 0),
        ("1969-12-31T23:59:60Z", 0),
        ("1970-01-01T00:00.5Z", 30),
        ("1970-01-01T00,5Z", 1800),
    ],
)
def test_forms(text: str, seconds: int) -> None:
    """The same instant in every form that ISO 8601 and RFC 3339 have for it."""
    assert parse_instant(text) == seconds * SECOND


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1970-01-01T00:00:00.1Z", 100_000_000),
        ("1970-01-01T00:00:00,123456Z", 123_456_000),
        ("1970-01-01T00:00:00.123456Z", 123_456_000),
        ("1970-01-01T00:00:00.1234567Z", 123_456_700),
        ("1970-01-01T00:00:00.123456789123Z", 123_456_789),
        ("1970-01-01T00:00:00." + "1" * 5000 + "Z", 111_111_111),
    ],
)
def test_fractions(text: str, nanoseconds: int) -> None:
    """Fractions count to the nanosecond, however many digits there are."""
    assert parse_instant(text) == nanoseconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "1970-01-01",
        "1970-01-01Z",
        "1970-01-01T00:00:00",
        "1970-01-01T00:00:00.5",
        "1970-01-01T00:00:00 Z",
        " 1970-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z\n",
        "1970-01-01X00:00:00Z",
        "1970-02-30T00:00:00Z",
        "1970-13-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "1970-366T00:00:00Z",
        "1970-W54-1T00:00:00Z",
        "1970-01-01T24:00:01Z",
        "1970-01-01T25:00:00Z",
        "1970-01-01T00:60:00Z",
        "1970-01-01T00:00:61Z",
        "1970-01-01T00:00:00+24:00",
        "1970-01-01T00:00:00.5+24:00",
        "1970-01-01T00:00:00+01:60",
        "١٩٧٠-01-01T00:00:00Z",
        "1970-01-01T00:00:00\ud800",
    ],
)
def test_no_instant(text: str) -> None:
    """Without an offset, or without such a day or hour, there is no instant."""
    assert parse_instant(text) is None


def test_ends_of_the_calendar() -> None:
    """The first and last years are ordered too, offsets and all."""
    first, last = parse_instant("0001-01-01T00:00:00+14:00"), parse_instant("9999-12-31T23:59:59-14:00")
    assert first is not None
    assert last is not None
    assert first < 0 < last
