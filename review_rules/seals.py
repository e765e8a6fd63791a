"""What binds an export: a digest of everything in a record, and a seal over the digests of all records in their order.

A digest tells which part of a record was changed after the export. Whoever changes a record can make its digest anew;
the seal, noted where the file is not, tells that too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from typing import Final

from review_rules.canonical_json import digest_text, is_same
from review_rules.findings import Finding, finding
from review_rules.values import Json

DIGEST: Final = "digest"
"""The key of a record's digest: `{"record": "sha256:…", "parts": {key: eight digits}}`."""
PLACE: Final = "export"
"""The key of a record's place in its export: `{"number": 1, "of": 3, "seal": "sha256:…"}`."""
_SHORT: Final = 8
_EXACT: Final = 2**53
"""The largest whole number that JavaScript, jq and data frames keep exactly."""
_PANDAS_DECIMALS: Final = 10
_SHOWN: Final = 10**40
_MOST_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class Digest:
    """The digest of a record as a whole, and of each of its parts, to name the one that was changed."""

    record: str
    parts: Mapping[str, str]

    @classmethod
    def of(cls, record: Mapping[str, Json]) -> Digest:
        """The digest of all that a record holds but its digest and its place in the export.

        >>> Digest.of({"row_id": "r1", "n": 1.0}) == Digest.of({"n": 1, "row_id": "r1", "export": {"number": 1}})
        True
        """
        texts = {key: digest_text(record[key]) for key in sorted(record) if key not in (DIGEST, PLACE)}
        whole = ",".join(f"{digest_text(key)}:{text}" for key, text in texts.items())
        return cls("sha256:" + _hash(whole), {key: _hash(text)[:_SHORT] for key, text in texts.items()})

    def to_json(self) -> dict[str, Json]:
        """The digest as a record holds it."""
        return {"record": self.record, "parts": dict(self.parts)}


def _hash(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class Seal:
    """Takes the digests of an export's records, in their order."""

    def __init__(self) -> None:
        self._hash, self.rows = sha256(), 0

    def add(self, digest: str) -> None:
        """Take the next record's digest."""
        self._hash.update(f"{digest}\n".encode("utf-8", "surrogatepass"))
        self.rows += 1

    @property
    def value(self) -> str:
        """The seal of the records so far, `sha256:…`."""
        whole = self._hash.copy()
        whole.update(str(self.rows).encode())
        return "sha256:" + whole.hexdigest()


def changed_parts(record: Mapping[str, Json], digest: Digest) -> Iterator[Finding]:
    """What in a record is not what its digest was made of; `digest` is that of the record as it stands."""
    claimed = record.get(DIGEST)
    parts = claimed.get("parts") if isinstance(claimed, dict) else None
    if not isinstance(claimed, dict) or not isinstance(parts, dict):
        yield finding("QR.E116", DIGEST, part=DIGEST)
        return
    differing = sorted(key for key in {*digest.parts, *parts} if digest.parts.get(key) != parts.get(key))
    for key in differing:
        number = _rounded_number(record.get(key))
        if number is None:
            yield finding("QR.E116", key, part=key)
        else:
            yield finding("QR.E126", key, part=key, number=number)
    if not differing and not is_same(claimed, digest.to_json()):
        yield finding("QR.E116", DIGEST, part=DIGEST)


def _rounded_number(value: Json) -> str | None:
    """The first number in a value that looks as if a program had rounded it on the way."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            stack += item.values()
        elif isinstance(item, list):
            stack += item
        elif isinstance(item, (int, float)) and not isinstance(item, bool) and _looks_rounded(item):
            return str(item) if abs(item) < _SHOWN else "a very large one"
    return None


def _looks_rounded(number: float) -> bool:
    if abs(number) > _EXACT:
        return True
    return isinstance(number, float) and len(repr(number).partition(".")[2]) == _PANDAS_DECIMALS


@dataclass(slots=True)
class Places:
    """Checks the places of an export's records, in the order of the file: that none is missing, added, or out of order.

    Attributes:
        required: Records without a digest are refused, also where none has one.
        expected: The seal that somebody noted, None where nobody did.
        partial: Records may be missing and stand in any order.
        rows: Records so far.
        unsealed: Those among them without a digest.
    """

    required: bool = False
    expected: str | None = None
    partial: bool = False
    rows: int = 0
    unsealed: int = 0
    _seal: Seal = field(default_factory=Seal)
    _stated: Seal = field(default_factory=Seal)
    _shared: dict[str, Json] | None = None
    _numbers: set[int] = field(default_factory=set)
    _last: int = 0
    _is_broken: bool = False

    @property
    def seal(self) -> str:
        """The seal of the records so far, as they stand."""
        return self._seal.value

    def check(self, record: Mapping[str, Json], digest: Digest) -> Iterator[Finding]:
        """What is wrong with the place of the next record, whose digest is given as it should be."""
        self.rows += 1
        claimed = record.get(DIGEST)
        stated = claimed.get("record") if isinstance(claimed, dict) else None
        self._seal.add(digest.record)
        # A record that was changed is found by its digest, and leaves the others where they were.
        self._stated.add(stated if isinstance(stated, str) else digest.record)
        if DIGEST not in record:
            self.unsealed += 1
            # A place without a digest is what is left where somebody took the digest away.
            if self.required or PLACE in record:
                yield finding("QR.E117", DIGEST, what="the record carries")
        if DIGEST in record or PLACE in record:
            yield from self._check_place(record.get(PLACE))

    def _check_place(self, place: Json) -> Iterator[Finding]:
        number = _count(place.get("number")) if isinstance(place, dict) else None
        if not isinstance(place, dict) or number is None:
            self._is_broken = True
            yield finding("QR.E120", PLACE, where="nowhere")
            return
        shared = {key: place[key] for key in place if key != "number"}
        self._shared = shared if self._shared is None else self._shared
        is_beyond = number > (_count(self._shared.get("of")) or 0)
        if shared != self._shared or number in self._numbers or is_beyond:
            self._is_broken = True
            yield finding("QR.E121", PLACE)
        elif not self.partial and number < self._last:
            self._is_broken = True
            yield finding("QR.E120", PLACE, where=f"behind row {self._last:,}")
        self._last = number
        self._numbers.add(number)

    def finish(self) -> Iterator[Finding]:
        """What is wrong with the records as a whole, once all were checked."""
        if not self.rows:
            yield finding("QR.E118", "")
            return
        if 0 < self.unsealed < self.rows and not self.required:
            yield finding("QR.E117", "", what=f"{self.unsealed:,} of {self.rows:,} records carry")
        if self._shared is not None and not self.partial:
            yield from self._missing(_count(self._shared.get("of")) or 0)
            # Where rows are missing or moved, the seal says nothing more.
            if not self._is_broken and self._shared.get("seal") != self._stated.value:
                yield finding("QR.E121", PLACE)
        if self.expected is not None and self.expected != self.seal:
            yield finding("QR.E122", "", seal=self.seal, expected=self.expected)

    def _missing(self, of: int) -> Iterator[Finding]:
        count = of - len(self._numbers)
        if count > 0:
            self._is_broken = True
            absent = (number for number in range(1, of + 1) if number not in self._numbers)
            named = [f"{number:,}" for number in islice(absent, _MOST_NAMED)]
            more = ", …" if count > _MOST_NAMED else ""
            yield finding("QR.E119", "", of=f"{of:,}", count=f"{count:,}", numbers=", ".join(named) + more)


def _count(value: Json) -> int | None:
    """A count from 1, however it was written; None for anything else."""
    is_whole = isinstance(value, (int, float)) and not isinstance(value, bool) and value == value // 1
    return int(value) if is_whole and 0 < value < _EXACT else None
