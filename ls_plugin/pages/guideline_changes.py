"""What a change of the guidelines touches: decided rows with a label or field that the changed paragraphs name, and
rows that were flagged as a gap of these paragraphs; and the sample of them that is looked at again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from typing import Any, Final

from ls_config.interface import Control
from ls_config.paragraphs import Paragraph, ParagraphChange, fold, paragraph_changes, paragraphs
from ls_config.subjects import GuidelineSubject, subjects_of_change
from ls_plugin.models import Campaign, CampaignProject, Slot, Stage
from ls_plugin.pages.told_rows import decide_rows, kept_back
from ls_plugin.queue.campaigns import read_interface
from ls_plugin.queue.reopening import reopen
from ls_plugin.store.refusals import Refused
from review_rules import State
from review_rules.values import Json

MOST_LOOKED: Final = 2000
"""Decided rows that are looked through at most, the newest first; how many there are besides is said."""
MOST_RECHECKED: Final = 100
"""Rows that one publication opens again at most."""
_AT_ONCE: Final = 100
_GAP: Final = "guideline_gap"
_DECIDED: Final = [state.value for state in State if state.is_decided]


@dataclass(frozen=True, kw_only=True, slots=True)
class Touched:
    """A decided row that a change touches, and by what."""

    row_id: str
    why: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reach:
    """What a change touches.

    Attributes:
        changes: the paragraphs that change.
        rows: the decided rows that they touch, in the order in which a sample of them is drawn.
        looked: decided rows that were looked through.
        decided: decided rows that there are.
    """

    changes: tuple[ParagraphChange, ...]
    rows: tuple[Touched, ...]
    looked: int
    decided: int

    @property
    def counts(self) -> dict[str, int]:
        """Reason → how many rows have it, most first."""
        counts = Counter(reason for row in self.rows for reason in row.why)
        return dict(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])))

    def to_json(self) -> dict[str, Any]:
        """The reach as the API gives it; of the rows their number, and what touches how many."""
        return {
            "changes": [change_json(change) for change in self.changes],
            "touched": {"rows": len(self.rows), "by": self.counts, "looked": self.looked, "decided": self.decided},
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Recheck:
    """What came of opening rows again: those that are open now, and why others are not."""

    opened: tuple[str, ...]
    refused: Mapping[str, str]


def change_json(change: ParagraphChange) -> dict[str, Any]:
    """A changed paragraph as the API gives it."""
    lines = [{"kind": line.kind.value, "text": line.text} for line in change.lines]
    return {"address": change.address, "title": change.title, "what": change.what, "lines": lines}


def reach_of(campaign: Campaign, before: str, after: str) -> Reach:
    """What a change from one text to another touches."""
    changes, controls = paragraph_changes(before, after), read_interface(campaign.pk).controls
    first = CampaignProject.objects.filter(campaign=campaign, stage=Stage.PASS).values("project_id")
    slots = Slot.objects.filter(project_id__in=first, state__in=_DECIDED).exclude(row_id__in=kept_back(campaign))
    row_ids = list(slots.order_by("-task_id").values_list("row_id", flat=True)[:MOST_LOOKED]) if changes else []
    matching = _Matching.of(changes, paragraphs(before), controls)
    rows = [touched for part in _parts(row_ids) for touched in matching.touched(campaign, part)]
    # Drawn by what they are, so that what was announced is what is opened, and nobody chooses.
    rows.sort(key=lambda row: sha256(f"{after}:{row.row_id}".encode("utf-8", "surrogatepass")).hexdigest())
    return Reach(changes=changes, rows=tuple(rows), looked=len(row_ids), decided=slots.count())


def recheck(campaign: Campaign, reach: Reach, count: int, version: int, user_id: int) -> Recheck:
    """Open the first rows of the sample again, each with the reason; a row that cannot be opened is said."""
    opened, refused = list[str](), dict[str, str]()
    for row in reach.rows[:count]:
        reason = f"Guidelines {version} changed what holds for {', '.join(row.why)}: please look at it again."
        try:
            reopen(campaign, row.row_id, reason[:500], user_id)
            opened.append(row.row_id)
        except Refused as refusal:
            refused[row.row_id] = str(refusal.detail)
    return Recheck(opened=tuple(opened), refused=refused)


@dataclass(frozen=True, slots=True)
class _Matching:
    """What the changed paragraphs are about, and the words by which a flag's reason names one of all paragraphs."""

    subjects: frozenset[GuidelineSubject]
    words: frozenset[str]
    other_words: frozenset[str]

    @classmethod
    def of(
        cls, changes: Sequence[ParagraphChange], earlier: Sequence[Paragraph], controls: Sequence[Control]
    ) -> _Matching:
        subjects = frozenset(subject for change in changes for subject in subjects_of_change(change, controls))
        titles = {fold(change.title) for change in changes}
        words = titles | {fold(subject.label or subject.field) for subject in subjects}
        everything = {fold(part.title) for part in earlier} | {fold(control.name) for control in controls}
        return cls(subjects, frozenset(words - {""}), frozenset(everything - words - {""}))

    def touched(self, campaign: Campaign, row_ids: Sequence[str]) -> Iterator[Touched]:
        """Those of these rows that the change touches."""
        if not self.words and not self.subjects:
            return
        for row in decide_rows(campaign, row_ids).values():
            final = row.decision.final or {}
            reasons = [
                _words(subject)
                for subject in sorted(self.subjects, key=lambda each: (each.field, each.label))
                if subject.field in final and _has(final[subject.field].value, subject.label)
            ]
            counted = row.decision.counted
            answers = [row.record.history.submissions(stage)[at] for stage, places in counted.items() for at in places]
            if any(_GAP in answer.flags and self._is_about(answer.reason) for answer in answers):
                reasons.append(_GAP)
            if reasons:
                yield Touched(row_id=row.row_id, why=tuple(reasons))

    def _is_about(self, reason: str) -> bool:
        """Whether a flag's reason names a changed paragraph, or none of the others."""
        text = f" {fold(reason)} "
        if any(f" {word} " in text for word in self.words):
            return True
        return not any(f" {word} " in text for word in self.other_words)


def _words(subject: GuidelineSubject) -> str:
    field = subject.field.replace("_", " ")
    return f"{field}: {subject.label}" if subject.label else field


def _has(value: Json, label: str) -> bool:
    """Whether a final value is, or holds, a label; without a label, whether there is one at all."""
    if not label:
        return value not in (None, [], "")
    elements = value if isinstance(value, list) else [value]
    return any(label == (element.get("label") if isinstance(element, dict) else element) for element in elements)


def _parts(row_ids: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(row_ids)
    while part := list(islice(rest, _AT_ONCE)):
        yield part
