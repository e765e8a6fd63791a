"""What guidelines speak of: the fields and labels of an interface that a paragraph, or a change of one, names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ls_config.interface import Control
from ls_config.paragraphs import LineKind, Paragraph, ParagraphChange, about_word, fold

__all__ = ["GuidelineSubject", "subjects_of", "subjects_of_change"]

_LONGEST_KEY: Final = 1
"""Guidelines name the keys of the form in the same way as its labels: one character names no label."""


@dataclass(frozen=True, slots=True)
class GuidelineSubject:
    """What a paragraph is about: a field as a whole, where `label` is empty, or one of its labels."""

    field: str
    label: str = ""


def subjects_of(part: Paragraph, controls: Iterable[Control]) -> tuple[GuidelineSubject, ...]:
    """What a paragraph as a whole is about."""
    return _subjects(part.title, part.about, part.lines, controls)


def subjects_of_change(change: ParagraphChange, controls: Iterable[Control]) -> tuple[GuidelineSubject, ...]:
    """The labels and fields that the changed lines name; where they name none, the field that the heading names."""
    lines = [line.text for line in change.lines if line.kind is not LineKind.SAME]
    return _subjects(change.title, change.about, lines, controls)


def _subjects(
    title: str, about: str, lines: Iterable[str], controls: Iterable[Control]
) -> tuple[GuidelineSubject, ...]:
    fields, names, head = tuple(controls), _names("\n".join(lines)), fold(title)
    exact = [
        GuidelineSubject(control.name, label)
        for control in fields
        for label in control.labels
        if about == about_word(f"{control.name}.{label}")
    ]
    # A heading that says what it is about means that, and nothing that its words are like.
    if exact:
        return tuple(exact)
    headed = [control for control in fields if about == about_word(control.name)]
    headed = headed or [control for control in fields if head and head.startswith(fold(control.name))]
    labels = [
        GuidelineSubject(control.name, label)
        # Under the heading of a field its own labels are meant, and not those of another field of the same name.
        for control in headed or fields
        for label in control.labels
        if {fold(label), fold(control.title(label))} & names or (not headed and fold(control.title(label)) == head)
    ]
    labelled = {subject.field for subject in labels}
    named = [control for control in fields if fold(control.name) in names and control.name not in labelled]
    # The heading stands for its field where the lines say nothing more exact.
    if not labels and not named:
        named = headed
    return (*labels, *(GuidelineSubject(control.name) for control in named))


def _names(text: str) -> set[str]:
    """What stands in bold, italics or code, folded: how guidelines name labels and fields."""
    marked = re.findall(r"\*\*([^*]+)\*\*|\*([^*\n]+)\*|`([^`\n]+)`", text)
    names = (fold(part) for parts in marked for part in parts if part)
    return {name for name in names if len(name) > _LONGEST_KEY}
