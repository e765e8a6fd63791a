"""The qualification that a policy asks for: rows with known answers, from the file that the policy names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from label_studio_quorum.port import Json
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
    file = folder / policy.qualification.rows
    try:
        # Not `splitlines`: a text may hold U+2028 and its like, which end no line of JSON.
        lines = file.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        raise FaultsError((Fault(str(file), 1, 1, "", f"cannot be read: {why}", "The policy names it."),)) from None
    rows: dict[str, Json] = {}
    faults = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue  # a blank line, as editors leave one at the end
        row, known, wrong = _read(line, interface)
        if not wrong and row in rows:
            wrong = f"the row {row!r} stands here twice"
        if wrong:
            hint = 'Write {"id", "context", "query", "response", "known": {field: value}}, a row a line.'
            faults.append(Fault(str(file), number, 1, "", wrong, hint))
        else:
            rows[row] = known
    if not rows and not faults:
        faults.append(Fault(str(file), 1, 1, "", "there are no rows in it", "Add some, or remove `qualification`."))
    if faults:
        raise FaultsError(tuple(faults))
    return {"rows": rows, "bar": policy.qualification.bar}


def right_answers(known: Mapping[str, Json], answer: Mapping[str, Json], fields: Mapping[str, Json]) -> int:
    """How many of a row's known fields an answer got right; a field that the interface no longer has is not right.

    Args:
        known: field → known value.
        answer: field → the value that a person gave.
        fields: what `Interface.fields` says of the row.
    """
    return sum(
        name in fields and same(Kind.of(fields[name]["kind"]), answer.get(name), value) for name, value in known.items()
    )


def _read(line: str, interface: Interface) -> tuple[str, Json, str]:
    """(row id, known values, what is wrong)."""
    try:
        row: Any = json.loads(line)
    except ValueError:
        return "", {}, "this is not JSON"
    row_id, known = (row.get("id"), row.get("known")) if isinstance(row, dict) else (None, None)
    if not isinstance(row_id, str) or not row_id:
        return "", {}, "there is no `id`, a text"
    if not isinstance(known, dict) or not known:
        return row_id, {}, f"row {row_id!r} has no `known`, an object of known answers by field"
    try:
        to_result(known, interface.controls, row)
    except (ResultError, TypeError, ValueError) as error:
        return row_id, {}, f"row {row_id!r}, known: {error}"
    if any(value is None for value in known.values()):
        return row_id, {}, f"row {row_id!r}, known: a field that is null is not known"
    return row_id, known, ""
