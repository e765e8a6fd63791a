"""The append-only audit log: who was shown and who submitted what, when; each line holds the hash of the line before.

A line's hash is SHA-256 over the hash before it and the line in canonical JSON. A head (number and
hash) that somebody noted proves later that nothing up to then was changed, added or taken away: :func:`check_chain`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone

from ls_plugin.models import Record, RecordHead

START = "0" * 64


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be written: the kind of event, who, on what, and details without any task text."""

    kind: str
    user_id: int | None = None
    campaign_id: int | None = None
    task_id: int | None = None
    row_id: str = ""
    body: dict[str, Any] | None = None


def digest(result: Any) -> str:
    """What the audit log keeps of an answer: its SHA-256.

    PostgreSQL stores numbers as decimals, so that one of 1e16 or more comes back without its point, and -0.0 without
    its sign: both count as what comes back.
    """
    text = json.dumps(result, sort_keys=True, ensure_ascii=True)
    # Only such texts can hold a number that comes back otherwise: all others are spared the walk.
    if "e+" in text or "-0.0" in text:
        text = json.dumps(_as_stored(result), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _as_stored(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_stored(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_as_stored(part) for part in value]
    if isinstance(value, float):
        return int(Decimal(repr(value))) if abs(value) >= 1e16 else value + 0.0
    return value


def stamp(moment: datetime) -> str:
    """A time as the hash sees it: UTC, microseconds.

    >>> stamp(datetime(2026, 1, 5, 10, tzinfo=UTC))
    '2026-01-05T10:00:00.000000+00:00'
    """
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def chain(previous: str, seq: int, at: datetime, line: Entry, body: str) -> str:
    """The hash of a line that follows the one whose hash is ``previous``."""
    plain = [previous, seq, stamp(at), line.kind, line.campaign_id, line.user_id, line.task_id, line.row_id, body]
    return hashlib.sha256(json.dumps(plain, ensure_ascii=True, separators=(",", ":")).encode()).hexdigest()


def write(*lines: Entry) -> None:
    """Append lines, in the transaction that is open or one of their own.

    The head's row is the lock: the next writer waits until this transaction ends. So write last in a transaction. No
    line has an earlier time than the line before it, whatever the clock says.
    """
    if not lines:
        return
    with transaction.atomic(savepoint=False):
        # The lock: the next writer reads the head that this one leaves.
        head, _ = RecordHead.objects.select_for_update().get_or_create(id=1)
        seq, last, rows = head.seq, head.hash, []
        before = Record.objects.filter(seq=seq).values_list("at", flat=True).first()
        now = timezone.now() if before is None else max(before, timezone.now())
        for line in lines:
            body = json.dumps(line.body or {}, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
            seq, previous = seq + 1, last
            last = chain(previous, seq, now, line, body)
            rows.append(
                Record(
                    seq=seq,
                    at=now,
                    kind=line.kind,
                    campaign_id=line.campaign_id,
                    user_id=line.user_id,
                    task_id=line.task_id,
                    row_id=line.row_id,
                    body=body,
                    previous=previous,
                    hash=last,
                )
            )
        Record.objects.bulk_create(rows)
        RecordHead.objects.filter(id=1).update(seq=seq, hash=last)


@dataclass(frozen=True, slots=True)
class AuditFault:
    """Something in the audit log that cannot be: where, and what."""

    seq: int
    code: str
    message: str

    def to_json(self) -> dict[str, Any]:
        """The fault as JSON."""
        return {"seq": self.seq, "code": self.code, "message": self.message}


def check_chain(
    records: Iterable[Record], before: tuple[int, str], noted: tuple[int, str] | None = None
) -> Iterator[AuditFault]:
    """What is broken in the chain.

    Args:
        records: every line, in order, as they are from now on.
        before: number and hash that the server held as its end before the lines were read.
        noted: number and hash that somebody noted earlier.
    """
    last, expected = START, 1
    for record in records:
        line = Entry(record.kind, record.user_id, record.campaign_id, record.task_id, record.row_id)
        if record.seq != expected:
            yield AuditFault(expected, "gap", f"line {expected} is missing (next is {record.seq})")
        if record.previous != last:
            yield AuditFault(record.seq, "chain", f"line {record.seq} does not follow the line before it")
        if record.hash != chain(record.previous, record.seq, record.at, line, record.body):
            yield AuditFault(
                record.seq, "changed", f"line {record.seq} ({record.kind}) was changed after it was written"
            )
        if before[0] == record.seq and before[1] != record.hash:
            yield AuditFault(record.seq, "end", f"line {record.seq}, the last one by what the server wrote, is another")
        if noted and noted[0] == record.seq and noted[1] != record.hash:
            yield AuditFault(record.seq, "kept", f"line {record.seq} is not the one that was noted earlier")
        last, expected = record.hash, record.seq + 1
    # Lines may have been added while these were read: the end lies between the head before and the head now.
    after = head()
    if not before[0] < expected <= after[0] + 1 or (expected - 1 == after[0] and last != after[1]):
        yield AuditFault(
            after[0], "end", f"the record ends at line {expected - 1}, the server wrote up to line {after[0]}"
        )
    if noted and noted[0] >= expected:
        yield AuditFault(noted[0], "kept", f"line {noted[0]}, noted earlier, is not there any more")


def head() -> tuple[int, str]:
    """Number and hash of the last line."""
    last = RecordHead.objects.filter(id=1).first()
    return (last.seq, last.hash) if last else (0, START)
