"""The server's clock beside the audit log: what was said later has the later time, or is not taken.

The rules order what people said by its time, and so does everybody who proves an export, who has nothing else. A
sequence of our own in histories would order answers too, but exports of earlier versions have none, and a time in them
that is an hour off would still be a false one. So the order is kept where the time is made: a clock that steps back a
little has the times behind it moved up to the audit log's last line, and one that was set back far is refused by name.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.utils import timezone
from tasks.models import Annotation

from ls_plugin.models import Record, RecordHead
from ls_plugin.store.refusals import Refused

TOLERANCE: Final = timedelta(seconds=10)
"""How far a clock may step back unnoticed, as it does when it is synchronised."""
_STEP: Final = timedelta(microseconds=1)


def newest() -> datetime | None:
    """The time of the audit log's last line; None before the first."""
    last = RecordHead.objects.filter(id=1).values_list("seq", flat=True)
    return Record.objects.filter(seq__in=last).values_list("at", flat=True).first()


def lag() -> timedelta:
    """How far the clock lies behind the audit log; nothing for one that does not."""
    last = newest()
    return timedelta() if last is None else max(last - timezone.now(), timedelta())


def moment() -> datetime:
    """The time of what is said now: the clock's, or right behind the audit log's last line where that is later."""
    last, now = newest(), timezone.now()
    return now if last is None else max(now, last + _STEP)


def require_forward() -> None:
    """Refuse to go on under a clock that was set back.

    Raises:
        Refused: ``clock_back``.
    """
    behind = lag()
    if behind > TOLERANCE:
        raise Refused(
            "clock_back",
            f"The server's clock is {behind.total_seconds():.0f} seconds behind what it wrote last, so what you say "
            "now would count as said before that. Nothing is lost: tell whoever runs the server to set its clock.",
        )


def keep_order(annotation: Any, *, is_new: bool) -> None:
    """Move the times of an answer that was just saved behind the audit log's last line, where they lie before it.

    Args:
        annotation: Label Studio's annotation, saved in the open transaction, before its own line is written.
        is_new: Whether this is its first version; a later one keeps the time of the first.
    """
    last = newest()
    if last is None or annotation.updated_at > last:
        return
    times = dict.fromkeys(("updated_at", "created_at") if is_new else ("updated_at",), last + _STEP)
    Annotation.objects.filter(pk=annotation.pk).update(**times)
    for name, moment in times.items():
        setattr(annotation, name, moment)
