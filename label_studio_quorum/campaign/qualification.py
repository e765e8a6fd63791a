"""Rows with known answers, from the files that a policy names: those of the qualification, and those to practise on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from label_studio_quorum.port import Json
from ls_config.guidelines import section
from ls_config.interface import Interface
from ls_config.results import ResultError, to_result
from review_rules import Fault, FaultsError, Kind, Policy
from review_rules.canonical import same


def qualification_of(policy: Policy, folder: Path, interface: Interface) -> Json:
    """What the plugin is told: `{"rows": {row id: {field: value}}, "bar"}`; empty where the policy asks for none.

    Args:
        policy: the policy; `qualification.rows` names a file of rows as `quorum import` takes them, JSON lines, each
            with an object `known` (field → value) beside its columns.
        folder: the policy file's folder.
        interface: what people fill in.

    Raises:
        FaultsError: the file cannot be read, or has faults; all of them, with their lines.
    """
    if policy.qualification is None:
        return {}
    rows = _rows_of(folder / policy.qualification.rows, interface, "qualification")
    return {"rows": {row_id: row["known"] for row_id, row in rows.items()}, "bar": policy.qualification.bar}


def practice_of(policy: Policy, folder: Path, interface: Interface) -> Json:
    """What the plugin is told of the rows to practise on; empty where the policy names none.

    It is `{"rows": {row id: {"data": columns, "known": {field: value}, "guideline": heading, "why": text}}}`.

    Args:
        policy: the policy; `practice.rows` names a file as `qualification.rows` does. A row of it may also have
            `guideline`, the heading of the guidelines that explains it, and `why`, a text of its own.
        folder: the policy file's folder.
        interface: what people fill in.

    Raises:
        FaultsError: the file cannot be read, or has faults; all of them, with their lines.
    """
    if policy.practice is None:
        return {}
    file = folder / policy.practice.rows
    rows = _rows_of(file, interface, "practice", _practice_fault)
    if policy.qualification is not None:
        asked = _rows_of(folder / policy.qualification.rows, interface, "qualification")
        # Whoever practised on a row has read its answer.
        twice = sorted(rows.keys() & asked.keys())
        hint = "A row is for practice or for the qualification."
        if twice:
            raise FaultsError(
                tuple(Fault(str(file), 1, 1, "", f"{row!r} is a row of the qualification too", hint) for row in twice)
            )
    return {"rows": {row_id: _practice_row(row) for row_id, row in rows.items()}}


def _practice_row(row: Mapping[str, Any]) -> Json:
    apart = ("id", "known", "guideline", "why")
    columns = {name: value for name, value in row.items() if name not in apart}
    return {
        "data": columns,
        "known": row["known"],
        "guideline": row.get("guideline") or "",
        "why": row.get("why") or "",
    }


def _practice_fault(row: Mapping[str, Any], interface: Interface) -> str:
    """What keeps a row from being practised on, beside what is wrong with any row; empty for nothing."""
    for name in ("guideline", "why"):
        if not isinstance(row.get(name) or "", str):
            return f"row {row['id']!r}: `{name}` is no text"
    heading = row.get("guideline") or ""
    if heading and not section(interface.guidelines, heading):
        return f"row {row['id']!r}: the guidelines have no heading {heading!r}"
    kinds = {control.name: control.kind for control in interface.controls}
    drawn = sorted(name for name in row["known"] if kinds[name] in ("boxes", "segments"))
    # The page of practice has no pictures and no sound to draw on.
    return f"row {row['id']!r}: nobody can practise what is drawn ({', '.join(drawn)})" if drawn else ""


def _rows_of(
    file: Path,
    interface: Interface,
    key: str,
    further: Callable[[Mapping[str, Any], Interface], str] = lambda row, interface: "",
) -> dict[str, dict[str, Any]]:
    """Row id → the row, of a file of rows with known answers that the policy's `key` names.

    Raises:
        FaultsError: the file cannot be read, or has faults; all of them, with their lines.
    """
    try:
        # Not `splitlines`: a text may hold U+2028 and its like, which end no line of JSON.
        lines = file.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        raise FaultsError((Fault(str(file), 1, 1, "", f"cannot be read: {why}", "The policy names it."),)) from None
    rows: dict[str, dict[str, Any]] = {}
    faults = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue  # a blank line, as editors leave one at the end
        row, wrong = _read(line, interface)
        wrong = wrong or further(row, interface)
        row_id = str(row.get("id", ""))
        if not wrong and row_id in rows:
            wrong = f"the row {row_id!r} stands here twice"
        if wrong:
            hint = 'Write {"id", "context", "query", "response", "known": {field: value}}, a row a line.'
            faults.append(Fault(str(file), number, 1, "", wrong, hint))
        else:
            rows[row_id] = row
    if not rows and not faults:
        faults.append(Fault(str(file), 1, 1, "", "there are no rows in it", f"Add some, or remove `{key}`."))
    if faults:
        raise FaultsError(tuple(faults))
    return rows


def right_fields(known: Mapping[str, Json], answer: Mapping[str, Json], fields: Mapping[str, Json]) -> tuple[str, ...]:
    """Which of a row's known fields an answer got right; a field that the interface no longer has is not right.

    Args:
        known: field → known value.
        answer: field → the value that a person gave.
        fields: what `Interface.fields` says of the row.
    """
    return tuple(
        name
        for name, value in known.items()
        if name in fields and same(Kind.of(fields[name]["kind"]), answer.get(name), value)
    )


def right_answers(known: Mapping[str, Json], answer: Mapping[str, Json], fields: Mapping[str, Json]) -> int:
    """How many of a row's known fields an answer got right."""
    return len(right_fields(known, answer, fields))


def _read(line: str, interface: Interface) -> tuple[dict[str, Any], str]:
    """The row, and what is wrong with it."""
    try:
        row: Any = json.loads(line)
    except ValueError:
        return {}, "this is not JSON"
    row_id, known = (row.get("id"), row.get("known")) if isinstance(row, dict) else (None, None)
    if not isinstance(row_id, str) or not row_id:
        return {}, "there is no `id`, a text"
    if not isinstance(known, dict) or not known:
        return row, f"row {row_id!r} has no `known`, an object of known answers by field"
    try:
        to_result(known, interface.controls, row)
    except (ResultError, TypeError, ValueError) as error:
        return row, f"row {row_id!r}, known: {error}"
    if any(value is None for value in known.values()):
        return row, f"row {row_id!r}, known: a field that is null is not known"
    return row, ""
