"""The auto-label of a record: an object keyed by control, or columns `auto_label.<control>`, for one interface."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from label_studio_quorum.intake.checks.control_value import ControlValue
from label_studio_quorum.intake.checks.record_faults import Limits, RecordFaults, json_type
from label_studio_quorum.intake.checks.simple_values import (
    as_number,
    check_choice,
    check_choices,
    check_number,
    check_regions,
    check_text,
)
from label_studio_quorum.intake.checks.span_values import check_spans
from label_studio_quorum.intake.faults import RowFault
from label_studio_quorum.intake.text_file import parse_json
from ls_config import Interface
from review_rules.files.checks import CheckLevel, load_checks

__all__ = ["PREFIX", "AutoLabelCheck", "Checked"]

PREFIX = "auto_label."
"""Before the control's name in a column that holds its value alone."""

_CHECKS: Mapping[str, Callable[[ControlValue, Any], Any]] = {
    "choice": check_choice,
    "choices": check_choices,
    "rating": check_number,
    "number": check_number,
    "text": check_text,
    "spans": check_spans,
    "boxes": check_regions,
    "segments": check_regions,
}

Checked = tuple[dict[str, Any] | None, dict[str, Any]]
"""An auto-label keyed by control, and the columns to keep of one that is not for this interface."""


class AutoLabelCheck:
    """Reads and checks auto-labels against one interface; without an interface it only reads them."""

    def __init__(self, interface: Interface | None, limits: Limits) -> None:
        self._interface, self._limits = interface, limits
        self._controls = {control.name: control for control in interface.controls} if interface else {}
        self._checks = load_checks(interface) if interface else None

    def check(
        self, values: Mapping[str, Any], texts: Mapping[str, str], faults: RecordFaults, *, typed: bool
    ) -> Checked:
        """The auto-label of a record.

        Args:
            values: All columns of the record.
            texts: Its context, query and response.
            faults: Where faults go.
            typed: Whether values are JSON; in a table each is a text.
        """
        whole = values.get("auto_label")
        if isinstance(whole, str) and not typed:
            whole = self._cell(whole, faults)
        parts = {
            name[len(PREFIX) :]: value
            for name, value in values.items()
            if name.startswith(PREFIX) and value not in (None, "")
        }
        # No auto-label is no fault: such a row is labelled from an empty form.
        if whole is None and not parts:
            return None, {}
        if whole is not None and not isinstance(whole, Mapping):
            return None, self._no_object(whole, faults)
        label = self._joined(whole or {}, parts, faults)
        if self._interface is None or not label:
            return label, {}
        if not self._is_for_interface(label):
            faults.add("QD.W040", field="auto_label", names=", ".join(sorted(label)[:4]))
            return None, {"auto_label": label}
        checked = {name: self._value(name, value, values, texts, faults) for name, value in label.items()}
        self._tell_lacking(checked, faults)
        self._tell_violated(checked, faults)
        return {name: value for name, value in checked.items() if value is not None}, {}

    def _cell(self, text: str, faults: RecordFaults) -> Any:
        """The value that a cell of a table spells: JSON where it looks like JSON, else the text itself."""
        if not text.strip():
            return None
        # A sheet of a classification has the bare label in its cell, which is no JSON.
        if not text.lstrip().startswith(("{", "[", '"')):
            return text
        parsed = parse_json(text, faults.place, field="auto_label", row_id=faults.row_id)
        if isinstance(parsed, RowFault):
            faults.add("QD.E040.json", field="auto_label", error=parsed.message)
            return None
        return parsed

    def _no_object(self, value: Any, faults: RecordFaults) -> dict[str, Any]:
        """Tell that the auto-label is no object; the columns to keep where it is merely for another interface, so
        that the row goes in without it."""
        if not isinstance(value, str) or self._interface is None:
            faults.add("QD.E040", field="auto_label", type=json_type(value))
            return {}
        holders = [name for name, control in self._controls.items() if value in control.labels]
        if not holders:
            faults.add("QD.W040.text", field="auto_label")
            return {"auto_label": value}
        fix = {holders[0]: value} if len(holders) == 1 else None
        faults.add("QD.E040.text", field="auto_label", fix=fix, controls=", ".join(holders))
        return {}

    def _joined(self, whole: Mapping[str, Any], parts: Mapping[str, Any], faults: RecordFaults) -> dict[str, Any]:
        """The whole auto-label with what stands in columns of its own; two different values are a fault."""
        label = dict(whole)
        for name, cell in parts.items():
            value = self._part(name, cell, faults)
            if label.setdefault(name, value) != value:
                faults.add("QD.E040.disagree", field=PREFIX + name, column=PREFIX + name)
        return label

    def _part(self, name: str, cell: Any, faults: RecordFaults) -> Any:
        """The value in an `auto_label.<control>` column: a label as it stands; lists and regions as JSON; several
        choices also as `A; B`."""
        control = self._controls.get(name)
        kind = control.kind if control else ""
        if not isinstance(cell, str) or kind in ("choice", "text") or not control:
            return cell
        if kind in ("rating", "number"):
            return as_number(cell)
        if kind == "choices" and not cell.lstrip().startswith("["):
            return [part.strip() for part in cell.split(";") if part.strip()]
        parsed = parse_json(cell, faults.place, field=PREFIX + name, row_id=faults.row_id)
        return cell if isinstance(parsed, RowFault) else parsed

    def _is_for_interface(self, label: Mapping[str, Any]) -> bool:
        """Whether any key is a control of the interface, or a control's name with a slip of the pen."""
        return any(name in self._controls for name in label) or any(self._near(name) for name in label)

    def _near(self, name: str) -> str | None:
        return next(iter(difflib.get_close_matches(name, self._controls, 1, 0.75)), None)

    def _tell_lacking(self, checked: Mapping[str, Any], faults: RecordFaults) -> None:
        lacking = [name for name, control in self._controls.items() if control.required and checked.get(name) is None]
        # Where a value was refused, its fault says more than that it is now lacking.
        if lacking and not faults.broken:
            faults.add("QD.W045", field="auto_label", controls=", ".join(lacking))

    def _tell_violated(self, checked: Mapping[str, Any], faults: RecordFaults) -> None:
        # Where a value was refused, a rule between fields is told of the mended one.
        if self._checks is None or faults.broken:
            return
        for check in self._checks.violated(checked):
            fields = ", ".join(check.fields)
            kind = "QD.W049.block" if check.level is CheckLevel.BLOCK else "QD.W049.warn"
            faults.add(kind, field="auto_label", say=check.say, fields=fields)

    def _value(
        self, name: str, value: Any, values: Mapping[str, Any], texts: Mapping[str, str], faults: RecordFaults
    ) -> Any:
        control, column = self._controls.get(name), PREFIX + name
        if control is None:
            near = self._near(name)
            if near:
                faults.add("QD.E041.near", field=column, fix=near, name=name, near=near)
            else:
                faults.add("QD.E041", field=column, name=name, controls=", ".join(self._controls))
            return None
        if value is None:
            return None
        text = texts.get(control.value_key, values.get(control.value_key))
        asked = ControlValue(control, column, text if isinstance(text, str) else "", faults, self._limits)
        return _CHECKS[control.kind](asked, value)
