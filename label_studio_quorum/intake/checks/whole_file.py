"""Checks that need more than one row: duplicates, leakage, language, lengths, and what the auto-labels of a whole
file look like."""

from __future__ import annotations

import hashlib
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from label_studio_quorum.intake.checks.language import identify
from label_studio_quorum.intake.checks.similar import NearDuplicates
from label_studio_quorum.intake.faults import Place, RowFault, fault
from label_studio_quorum.intake.row import Row
from ls_config import Interface

__all__ = ["Expected", "TableChecks"]

_TELLING = frozenset(
    {
        "gold",
        "label",
        "labels",
        "verdict",
        "target",
        "ground_truth",
        "groundtruth",
        "answer_key",
        "correct",
        "is_correct",
    }
)
_ENOUGH = 400
"""Characters from which a language is told; more cost time and change nothing."""
_AT_ONCE = 512
"""Texts whose language is told together."""
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`]*`|https?://\S+", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Expected:
    """What a file should be like. `language` is an ISO 639-1 code; None takes what nine rows in ten are written in."""

    language: str | None = None
    near: float | None = 0.85
    languages: bool = True


class TableChecks:
    """Sees the rows of a file one by one; what can only be told at the end comes from `finish`. Holds hashes and
    numbers, and texts of the last few rows only."""

    def __init__(self, file: str, interface: Interface | None, expected: Expected) -> None:
        self.file, self.interface, self.expected = file, interface, expected
        self._whole: dict[bytes, str] = {}
        self._responses: dict[bytes, list[Any]] = {}
        self._questions: Counter[bytes] = Counter()
        self._near = NearDuplicates(expected.near) if expected.near else None
        self._leak = _leak_patterns(interface)
        self._unread: list[tuple[Place, str, str]] = []
        self._language_of_rows: list[tuple[Place, str, str, float]] = []
        self._long: list[tuple[int, Place, str]] = []
        self._telling: set[str] = set()
        self.rows = 0
        self.labelled: Counter[str] = Counter()
        self.labels: dict[str, Counter[str]] = defaultdict(Counter)
        self.domains: Counter[str] = Counter()
        self.languages: Counter[str] = Counter()

    def see(self, row: Row) -> Iterator[RowFault]:
        """Take a row into account; yield what can be said at once."""
        self.rows += 1
        place = row.place or Place(self.file)
        self.domains[row.domain or ""] += 1
        for name, value in (row.auto_label or {}).items():
            self.labelled[name] += 1
            self.labels[name].update(_label_names(value))
        yield from self._same(row, place)
        yield from self._leaks(row, place)
        yield from self._columns(row, place)
        self._long.append((len(row.response), place, row.row_id))
        self._language(row, place)

    def _same(self, row: Row, place: Place) -> Iterator[RowFault]:
        whole = _digest(row.context, row.query, row.response)
        first = self._whole.setdefault(whole, row.row_id)
        question = _digest(row.context, row.query)
        response = _digest(row.response)
        seen = self._responses.setdefault(response, [0, place, row.row_id])
        seen[0] += bool(row.response.strip())
        if first != row.row_id:
            yield fault("QD.W060", place, other=first, row_id=row.row_id)
            return  # a copy resembles its first row in every other way too
        self._questions[question] += 1
        if self._near is not None and (alike := self._near.add(row.row_id, f"{row.query}\n{row.response}")):
            other, share = alike
            yield fault("QD.W061", place, other=other, share=share, row_id=row.row_id)

    def _leaks(self, row: Row, place: Place) -> Iterator[RowFault]:
        # An interface of spans or texts has no label that a text could give away.
        if self._leak is None:
            return
        needed, leak = self._leak
        for name in ("context", "query", "response"):
            if needed.search(text := getattr(row, name)) and (match := leak.search(text)):
                about = {"character": match.start(), "name": name, "words": _short(match.group())}
                yield fault("QD.W062", place, row_id=row.row_id, field=name, **about)

    def _columns(self, row: Row, place: Place) -> Iterator[RowFault]:
        controls = {control.name for control in self.interface.controls} if self.interface else set()
        for name in row.extra:
            if name not in self._telling and (name.lower() in _TELLING or name in controls):
                self._telling.add(name)
                yield fault("QD.W069", place, name=name, field=name)

    def _language(self, row: Row, place: Place) -> None:
        text = _CODE.sub(" ", row.response)[:_ENOUGH]
        # Fewer letters than a short sentence do not tell a language.
        if not self.expected.languages or sum(map(str.isalpha, text)) < 40:
            return
        self._unread.append((place, row.row_id, text))
        if len(self._unread) == _AT_ONCE:
            self._identify()

    def _identify(self) -> None:
        languages = identify([text for _, _, text in self._unread])
        for (place, row_id, _), (language, certainty) in zip(self._unread, languages, strict=True):
            self.languages[language] += 1
            self._language_of_rows.append((place, row_id, language, certainty))
        self._unread.clear()

    # --- at the end

    def finish(self) -> Iterator[RowFault]:
        """Yield what can only be told from the whole file."""
        self._identify()
        yield from self._odd_languages()
        yield from self._odd_lengths()
        yield from self._whole_table()
        yield from self._auto_labels()

    def _odd_languages(self) -> Iterator[RowFault]:
        expected = self.expected.language
        if expected is None:
            common = self.languages.most_common(1)
            if not common or common[0][1] < 0.8 * sum(self.languages.values()):
                return  # a file of several languages: none of them is the odd one
            expected = common[0][0]
        for place, row_id, language, certainty in self._language_of_rows:
            if language != expected and certainty > 0.95:
                about = {"language": language, "expected": expected}
                yield fault("QD.W063", place, row_id=row_id, field="response", **about)

    def _odd_lengths(self) -> Iterator[RowFault]:
        if len(self._long) < 8:
            return  # too few rows to tell what is usual
        lengths = [length for length, _, _ in self._long]
        middle = statistics.median(lengths)
        quarters = statistics.quantiles(lengths, n=4)
        edge = max(8 * middle, middle + 10 * (quarters[2] - quarters[0]), 1000)
        for length, place, row_id in self._long:
            if length > edge:
                yield fault("QD.W065", place, characters=length, middle=middle, row_id=row_id, field="response")

    def _whole_table(self) -> Iterator[RowFault]:
        for times, place, row_id in self._responses.values():
            if times >= max(5, 0.02 * self.rows):
                yield fault("QD.W066", place, rows=times, row_id=row_id, field="response")
        unnamed = self.domains.get("", 0)
        # A file in which no row names a domain means it.
        if 0 < unnamed < self.rows:
            yield fault("QD.W070", Place(self.file), unnamed=unnamed, rows=self.rows, field="domain")
        shared = sum(1 for times in self._questions.values() if times > 1)
        if shared:
            yield fault("QD.W071", Place(self.file), shared=shared, field="query")

    def _auto_labels(self) -> Iterator[RowFault]:
        place = Place(self.file)
        for control in self.interface.controls if self.interface else ():
            labelled, seen = self.labelled[control.name], self.labels[control.name]
            where = f"auto_label.{control.name}"
            if labelled >= 20 and len(seen) == 1 and control.kind in ("choice", "rating"):
                yield fault("QD.W067", place, rows=labelled, value=next(iter(seen)), field=where)
            elif labelled >= 50 and (never := [label for label in control.labels if label not in seen]):
                yield fault("QD.W068", place, labels=", ".join(never), field=where)


def _digest(*parts: str) -> bytes:
    text = "\0".join(" ".join(part.split()) for part in parts)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).digest()


def _label_names(value: Any) -> list[str]:
    if isinstance(value, list):
        return [str(item.get("label")) if isinstance(item, Mapping) else str(item) for item in value]
    return [str(value)]


def _leak_patterns(interface: Interface | None) -> tuple[re.Pattern[str], re.Pattern[str]] | None:
    """`verdict: Correct`, `label = ORG`, … for the controls and labels of the interface; before it its second half,
    which is soon looked for and seldom found."""
    controls = (
        [control for control in interface.controls if control.kind in ("choice", "choices", "rating")]
        if interface
        else []
    )
    if not controls:
        return None
    names = {
        "label",
        "auto-label",
        "auto_label",
        "gold label",
        "verdict",
        "annotation",
        *(control.name for control in controls),
    }
    labels = {label for control in controls for label in control.labels}
    rated = [control.name for control in controls if control.kind == "rating"]
    pairs = [(names, "|".join(sorted(map(re.escape, labels), key=len, reverse=True)))] if labels else []
    pairs += [(set(rated), r"[1-9]\s*(?:/\s*\d+)?")] if rated else []
    values = [_value(alternatives) for _, alternatives in pairs]
    whole = [_name(named) + value for (named, _), value in zip(pairs, values, strict=True)]
    return re.compile("|".join(values), re.IGNORECASE), re.compile("|".join(whole), re.IGNORECASE)


def _name(names: set[str]) -> str:
    alternatives = "|".join(sorted((re.escape(name).replace("_", "[_ ]") for name in names), key=len, reverse=True))
    return rf"\b(?:{alternatives})\b\W{{0,3}}"


def _value(values: str) -> str:
    return rf"[:=]\W{{0,3}}(?:{values})\b"


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "…"
