"""Proves which guidelines answers were given under: a record lists the campaign's versions, and answers name theirs.

Records of before there were versions list none, and their answers name none: nothing is asked of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from review_rules.canonical_json import json_text
from review_rules.findings import Finding, finding
from review_rules.instants import parse_instant
from review_rules.values import Json, Stage, VersionOfGuidelines

KEY: Final = "guidelines"
"""The key of a record's list of versions, and of the version in an answer and in a certificate."""
_LONGEST: Final = 80


@dataclass(slots=True)
class GuidelinesCheck:
    """Checks the versions that the records of one export name; remembers the hash that each number had first."""

    hashes: dict[int, str] = field(default_factory=dict)

    def check(self, record: Mapping[str, Json]) -> Iterator[Finding]:
        """What in a record names a version that is not listed, or says something else of one that is."""
        listed: dict[int, Json] = {}
        entries = record.get(KEY)
        for place, entry in enumerate(entries if isinstance(entries, list) else ()):
            version, path = VersionOfGuidelines.read(entry), f"{KEY}[{place}]"
            if version is None:
                yield _unknown(path, entry, listed)
                continue
            first = self.hashes.setdefault(version.number, version.hash)
            if version.number in listed or first != version.hash:
                yield finding("QR.E128", path, number=version.number, what=f"has the hash {first[:_LONGEST]} elsewhere")
            listed[version.number] = entry
        for stage in Stage:
            answers = record.get(stage.key)
            for place, answer in enumerate(answers if isinstance(answers, list) else ()):
                if isinstance(answer, dict) and answer.get(KEY) is not None:
                    yield from _answer(answer, listed, f"{stage.key}[{place}].{KEY}")


def _answer(answer: Mapping[str, Json], listed: Mapping[int, Json], path: str) -> Iterator[Finding]:
    version = VersionOfGuidelines.read(answer[KEY])
    entry = None if version is None else listed.get(version.number)
    if version is None or entry is None:
        yield _unknown(path, answer[KEY], listed)
    elif entry["hash"] != version.hash:
        what = f"has the hash {entry['hash'][:_LONGEST]} in the record's list"
        yield finding("QR.E128", path, number=version.number, what=what)
    elif _is_later(entry.get("at"), answer.get("at")):
        yield finding("QR.E128", path, number=version.number, what="was published only after this answer")


def _is_later(published: Json, answered: Json) -> bool:
    first, last = (parse_instant(time) if isinstance(time, str) else None for time in (published, answered))
    return first is not None and last is not None and first > last


def _unknown(path: str, claimed: Json, listed: Mapping[int, Json]) -> Finding:
    known = ", ".join(map(str, sorted(listed))) or "none"
    return finding("QR.E127", path, claimed=json_text(claimed)[:_LONGEST], known=known)
