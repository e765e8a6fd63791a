"""The value of one control of an auto-label, as the checks of each kind see it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

from label_studio_quorum.intake.checks.record_faults import Limits, RecordFaults, json_type
from ls_config import Control

__all__ = ["ControlValue"]

_MOST_LABELS = 12
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class ControlValue:
    """What a check of one control's value needs: the control, the column, the text, and where faults go."""

    control: Control
    column: str
    text: str
    faults: RecordFaults
    limits: Limits

    def add(self, key: str, /, *, at: str = "", fix: Any = None, **about: Any) -> None:
        """Add a fault of this value; `at` is the place inside it, such as `[2].label`."""
        self.faults.add(key, field=self.column + at, fix=fix, control=self.control.name, **about)

    def is_label(self, label: Any, at: str = "") -> bool:
        """Whether this is a label of the control; if not, the fault is added, with the nearest label as its fix."""
        if isinstance(label, str) and label in self.control.labels:
            return True
        if not isinstance(label, str):
            self.add("QD.E042.label", at=at, type=json_type(label))
            return False
        near = self._near(label)
        shown = label if len(label) <= _SHOWN else label[: _SHOWN - 3] + "…"
        if near:
            self.add("QD.E043.near", at=at, fix=near, label=shown, near=near)
        else:
            self.add("QD.E043", at=at, label=shown, known=", ".join(self.control.labels[:_MOST_LABELS]))
        return False

    def _near(self, label: str) -> str | None:
        """The label that was probably meant: the same but for its case, else one that is written alike."""
        folded = {known.casefold(): known for known in self.control.labels}
        alike = difflib.get_close_matches(label, self.control.labels, 1, 0.6)
        return folded.get(label.casefold().strip()) or next(iter(alike), None)
