"""Points in time: ISO 8601 text to nanoseconds, compared by instant whatever the offset."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from review_rules.values import Instant

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PLAIN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)", re.ASCII)
_FULL = re.compile(
    r"""(?P<date>\d{4}-\d\d-\d\d|\d{8}|\d{4}-W\d\d-\d|\d{4}W\d{3}|\d{4}-\d{3}|\d{7})
        [Tt\ ]
        (?P<hour>\d\d)(?::?(?P<minute>\d\d)(?::?(?P<second>\d\d))?)?(?:[.,](?P<fraction>\d+))?
        (?P<offset>[Zz]|(?P<sign>[+\-−])(?P<off_hour>\d\d)(?::?(?P<off_minute>\d\d)(?::?(?P<off_second>\d\d))?)?)""",
    re.ASCII | re.VERBOSE,
)
_SECOND = 1_000_000_000


def parse_instant(text: str) -> Instant | None:
    """The instant an ISO 8601 time with an offset stands for, or None if the text is no such time.

    Extended and basic, calendar, week and ordinal dates, fractions of the last part, `Z` and offsets of hours,
    minutes and seconds, 24:00 and a leap second are understood; digits beyond nanoseconds are cut.

    >>> parse_instant("1970-01-01T01:00:00+01:00")
    0
    >>> parse_instant("19700101T000001,5Z")
    1500000000
    >>> parse_instant("2026-01-05T10:00:00") is None
    True
    """
    if _PLAIN.fullmatch(text):
        try:
            return _since_epoch(datetime.fromisoformat(text) - _EPOCH)
        except ValueError:  # an hour 24 or a second 60, which the long way knows, or no such day
            pass
    return _parse_any(text)


def _since_epoch(span: timedelta) -> Instant:
    return Instant(((span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds) * 1000)


def _parse_any(text: str) -> Instant | None:
    match = _FULL.fullmatch(text)
    if match is None:
        return None
    midnight = _midnight(match["date"])
    clock = _clock(match)
    offset = _offset(match)
    if midnight is None or clock is None or offset is None:
        return None
    return Instant(midnight + clock - offset)


def _midnight(text: str) -> int | None:
    """Nanoseconds from the epoch to the start of a day, None if there is no such day."""
    digits = text.replace("-", "")
    shape = "%Y%j" if len(digits) == 7 and "W" not in digits else "%GW%V%u" if "W" in digits else "%Y%m%d"
    try:
        day = datetime.strptime(digits, shape).replace(tzinfo=UTC)
    except ValueError:
        return None
    if shape == "%Y%j" and day.year != int(digits[:4]):  # day 366 of a year of 365
        return None
    return _since_epoch(day - _EPOCH)


def _clock(match: re.Match[str]) -> int | None:
    """Nanoseconds since midnight, None if there is no such time of day."""
    hour, minute, second = int(match["hour"]), int(match["minute"] or 0), int(match["second"] or 0)
    unit = _SECOND if match["second"] else 60 * _SECOND if match["minute"] else 3600 * _SECOND
    fraction = (match["fraction"] or "")[:18]
    part = int(fraction) * unit // 10 ** len(fraction) if fraction else 0
    if hour == 24 and (minute, second, part) != (0, 0, 0):
        return None
    if hour > 24 or minute > 59 or second > 60:
        return None
    return (hour * 3600 + minute * 60 + second) * _SECOND + part


def _offset(match: re.Match[str]) -> int | None:
    """Nanoseconds that local time is ahead of UTC, None if no clock is."""
    if match["sign"] is None:
        return 0
    hours, minutes, seconds = (int(match[name] or 0) for name in ("off_hour", "off_minute", "off_second"))
    if hours > 23 or minutes > 59 or seconds > 59:
        return None
    ahead = (hours * 3600 + minutes * 60 + seconds) * _SECOND
    return ahead if match["sign"] == "+" else -ahead
