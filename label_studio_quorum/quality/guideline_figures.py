"""How rows fared under each version of the guidelines, and which paragraphs cause most conflicts and questions.

Intervals are of rows, and not of fields: the fields of one row are answered by the same people on the same text.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from label_studio_quorum.campaign.reconcile import DecidedRow
from label_studio_quorum.port import Json
from ls_config.interface import Control
from ls_config.paragraphs import Paragraph, fold, paragraphs
from ls_config.subjects import GuidelineSubject, subjects_of
from review_rules import Kind, Stage
from review_rules.canonical import same
from review_rules.statistics.intervals import wilson
from review_rules.values import VersionOfGuidelines

_GAP: Final = "guideline_gap"
Versions = tuple[int, ...]
"""The numbers that a row's passes name, each once; empty where none names one."""


@dataclass(slots=True)
class _Rows:
    """Rows that were passed under the same versions."""

    compared: int = 0
    agreed: int = 0
    final: int = 0
    overturned: int = 0


@dataclass(slots=True)
class _Trouble:
    """What one paragraph caused."""

    conflicts: int = 0
    gaps: int = 0
    questions: int = 0


@dataclass
class GuidelineFigures:
    """Sums over rows.

    Attributes:
        controls: The fields of the interface.
        text: The guidelines as they hold now; empty where they are not known.
    """

    controls: Sequence[Control]
    text: str = ""
    _rows: dict[Versions, _Rows] = field(default_factory=lambda: defaultdict(_Rows))
    _trouble: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._parts = paragraphs(self.text)
        self._about = {part.address: set(subjects_of(part, self.controls)) for part in self._parts}

    def add(self, row: DecidedRow) -> None:
        """Take a row."""
        passes = [row.record.history.passes[place] for place in row.decision.counted.get(Stage.PASS, ())]
        if row.decision.comparison:
            self._add_outcome(row, [passed.values for passed in passes], _versions(passed.raw for passed in passes))
            self._count("conflicts", self._conflicting(row, [passed.values for passed in passes]))
        reasons = {answer.reason for answer in passes if _GAP in answer.flags}
        self._count("gaps", {address for reason in reasons for address in self._named(reason)})

    def add_questions(self, questions: Iterable[str]) -> None:
        """Take what people asked; a question that names no paragraph counts for none."""
        for question in questions:
            self._count("questions", self._named(question))

    def versions(self) -> list[Json]:
        """By version: rows that were compared, and shares with their intervals; of all rows that name none, `[]`."""
        return [
            {
                "versions": list(numbers),
                "rows": rows.compared,
                "agreed": _share(rows.agreed, rows.compared),
                "final": rows.final,
                "overturned": _share(rows.overturned, rows.final),
            }
            for numbers, rows in sorted(self._rows.items())
        ]

    def paragraphs(self) -> list[Json]:
        """The paragraphs that caused anything, most trouble first."""
        counted = [(part, {what: self._trouble[part.address, what] for what in _WHAT}) for part in self._parts]
        troubled = [(part, counts) for part, counts in counted if sum(counts.values())]
        troubled.sort(key=lambda entry: -sum(entry[1].values()))
        return [{"address": part.address, "title": part.title, **counts} for part, counts in troubled]

    def _count(self, what: str, addresses: Iterable[str]) -> None:
        self._trouble.update((address, what) for address in addresses)

    def _add_outcome(self, row: DecidedRow, answers: Sequence[Mapping[str, Any]], numbers: Versions) -> None:
        rows, comparison = self._rows[numbers], row.decision.comparison
        rows.compared += 1
        rows.agreed += all(compared.agreed for compared in comparison.values())
        if row.decision.final is None:
            return
        rows.final += 1
        kinds = {control.name: Kind.of(control.kind) for control in self.controls}
        rows.overturned += any(
            name in comparison
            and comparison[name].agreed
            and not any(same(kinds.get(name, Kind.TEXT), values.get(name), final.value) for values in answers)
            for name, final in row.decision.final.items()
        )

    def _conflicting(self, row: DecidedRow, answers: Sequence[Mapping[str, Any]]) -> set[str]:
        """The paragraphs about what people differ on: about the labels that not all gave, else about the field."""
        addresses = set[str]()
        for name, compared in row.decision.comparison.items():
            if compared.agreed:
                continue
            named = [set(_labels(values.get(name))) for values in answers]
            differing = {label for labels in named for label in labels if not all(label in each for each in named)}
            exact = self._of({GuidelineSubject(name, label) for label in differing})
            addresses |= exact or self._of({GuidelineSubject(name)}) or self._of_field(name)
        return addresses

    def _of(self, subjects: set[GuidelineSubject]) -> set[str]:
        return {address for address, about in self._about.items() if about & subjects}

    def _of_field(self, name: str) -> set[str]:
        return {address for address, about in self._about.items() if any(each.field == name for each in about)}

    def _named(self, text: str) -> set[str]:
        """The paragraphs that a text names: by their headings, else by a label or field that they are about."""
        words = f" {fold(text)} "
        titled = {part.address for part in self._parts if _is_in(words, fold(part.title))}
        return titled or {part.address for part in self._parts if self._is_about(part, words)}

    def _is_about(self, part: Paragraph, words: str) -> bool:
        return any(_is_in(words, fold(each.label or each.field)) for each in self._about[part.address])


_WHAT: Final = ("conflicts", "gaps", "questions")


def _is_in(words: str, name: str) -> bool:
    return bool(name) and f" {name} " in words


def _versions(answers: Iterable[Any]) -> Versions:
    named = (VersionOfGuidelines.read(raw.get("guidelines")) if isinstance(raw, Mapping) else None for raw in answers)
    return tuple(sorted({version.number for version in named if version is not None}))


def _labels(value: Any) -> Iterator[str]:
    for element in value if isinstance(value, list) else [value]:
        label = element.get("label") if isinstance(element, dict) else element
        if isinstance(label, str):
            yield label


def _share(part: int, whole: int) -> Json:
    """A share with its 95 % interval; nulls where there is nothing to divide by."""
    if not whole:
        return {"share": None, "low": None, "high": None}
    low, high = wilson(part, whole)
    return {"share": round(part / whole, 4), "low": round(low, 4), "high": round(high, 4)}
