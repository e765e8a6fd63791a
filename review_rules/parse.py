"""From one history as it stands in JSON to a checked `RowHistory`: what is wrong becomes a finding, never an error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from review_rules.canonical import EXPECTED, WrongType, is_number, to_form
from review_rules.errors import PublicError
from review_rules.findings import Finding, finding
from review_rules.instants import parse_instant
from review_rules.values import (
    Field,
    Form,
    Instant,
    Json,
    Kind,
    PersonId,
    RowHistory,
    RowId,
    Stage,
    Submission,
    Word,
)

_KINDS = {kind.value: kind for kind in Kind}
_WORDS = {word.value: word for word in Word}
_WORDS_AT = {Stage.QA: frozenset(_WORDS), Stage.EXPERT: frozenset(_WORDS) - {Word.RETURN.value}}
_HEAD = ("fields", "domain", "predicted_domain", "auto_label", "reopened")


class HistoryError(PublicError, ValueError):
    """A history is not an object with a `row_id` and `fields`: there is no row that it could be about."""


def parse_history(obj: Any) -> RowHistory:
    """Read one history.

    Args:
        obj: a history as `json.loads` returns it; shapes in docs/rules.md.

    Raises:
        HistoryError: it is not an object with `row_id` (text) and `fields` (an object).

    >>> row = parse_history({"row_id": "r1", "fields": {"verdict": {"kind": "choice"}}, "passes": [{"by": "ana"}]})
    >>> row.passes[0].fault.message
    'this submission does not count: it has no time with an offset'
    """
    if not isinstance(obj, (dict, Mapping)):  # dict first: the test against the abstract class is slow
        raise HistoryError("a history is a JSON object")
    row_id, raw_fields = obj.get("row_id"), obj.get("fields")
    if not isinstance(row_id, str):
        raise HistoryError("the history has no `row_id` that is text")
    if not isinstance(raw_fields, (dict, Mapping)):
        raise HistoryError("the history has no `fields` that are an object")
    findings: list[Finding] = []
    fields = _fields(raw_fields, findings)
    reopened = _reopened(obj.get("reopened"), findings)
    return RowHistory(
        RowId(row_id),
        _domain(obj, "domain", findings),
        _domain(obj, "predicted_domain", findings),
        fields,
        _auto(obj.get("auto_label"), fields, findings),
        _submissions(obj, Stage.PASS, fields, findings),
        _submissions(obj, Stage.QA, fields, findings),
        _submissions(obj, Stage.EXPERT, fields, findings),
        tuple(findings),
        _raw(obj),
        reopened,
    )


def _raw(obj: Mapping[str, Json]) -> dict[str, Json]:
    """What is not kept with each submission; a stage that is no list is kept too, for its finding."""
    raw = {key: obj[key] for key in _HEAD if obj.get(key) is not None}
    for stage in Stage:
        part = obj.get(stage.key)
        if part is not None and not isinstance(part, (list, tuple)):
            raw[stage.key] = part
    return raw


def _domain(obj: Mapping[str, Json], key: str, findings: list[Finding]) -> str | None:
    domain = obj.get(key)
    if domain is None or domain == "":
        return None
    if isinstance(domain, str):
        return domain
    findings.append(finding("QR.W008", key, part=key, expected="text"))
    return None


def _reopened(raw: Json, findings: list[Finding]) -> Instant | None:
    """When the row was reopened last; an entry without a time is as good as none."""
    if raw is None:
        return None
    entries = raw if isinstance(raw, (list, tuple)) else [raw]
    times = [entry.get("at") if isinstance(entry, dict) else None for entry in entries]
    instants = [parse_instant(time) if isinstance(time, str) else None for time in times]
    for number, instant in enumerate(instants):
        if instant is None:
            path = f"reopened[{number}]"
            findings.append(finding("QR.W008", path, part=path, expected="an object with a time `at`"))
    return max((instant for instant in instants if instant is not None), default=None)


def _fields(raw: Mapping[str, Json], findings: list[Finding]) -> dict[str, Field]:
    fields: dict[str, Field] = {}
    for name, spec in raw.items():
        kind = spec.get("kind") if isinstance(spec, dict) else None
        known = _KINDS.get(kind) if isinstance(kind, str) else None
        if known is None:
            findings.append(finding("QR.W006", f"fields.{name}", field=name))
        else:
            fields[name] = _field(name, known, spec, findings)
    return fields


def _field(name: str, kind: Kind, spec: Mapping[str, Json], findings: list[Finding]) -> Field:
    required = spec.get("required")
    if not (required is None or isinstance(required, bool)):
        path, part = f"fields.{name}.required", f"required of {name}"
        findings.append(finding("QR.W008", path, part=part, expected="true or false"))
    required = required is True
    if kind is Kind.SPANS:
        text = spec.get("text")
        if text is not None and not isinstance(text, str):
            findings.append(finding("QR.W008", f"fields.{name}.text", part=f"the text of {name}", expected="text"))
            text = None
        return Field(name, kind, text, required=required)
    if kind.is_numeric:
        low, high = _bound(name, "min", spec, findings), _bound(name, "max", spec, findings)
        return Field(name, kind, None, low, high, required)
    return _plain_field(name, kind, required)


@lru_cache(maxsize=1024)
def _plain_field(name: str, kind: Kind, required: bool) -> Field:
    """The field of a kind that has no settings of its own: the same in every row of a campaign."""
    return Field(name, kind, required=required)


def _bound(name: str, side: str, spec: Mapping[str, Json], findings: list[Finding]) -> float | None:
    bound = spec.get(side)
    if bound is None:
        return None
    if is_number(bound):
        return bound  # type: ignore[no-any-return]  # is_number has just said so
    findings.append(finding("QR.W008", f"fields.{name}.{side}", part=f"{side} of {name}", expected="a number"))
    return None


def _auto(raw: Json, fields: Mapping[str, Field], findings: list[Finding]) -> dict[str, Form]:
    """The auto-label's present values; a wrong one is as good as none."""
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        findings.append(finding("QR.W008", "auto_label", part="auto_label", expected="an object"))
        return {}
    forms: dict[str, Form] = {}
    notes: list[Finding] = []
    # Unlike a submission, an auto-label with one wrong value keeps the others: nobody stands behind it as a whole.
    for name, value in raw.items():
        field = fields.get(name)
        if field is None or value is None:
            continue
        try:
            forms[name] = to_form(value, field, notes)
        except WrongType:
            details = {"field": name, "kind": field.kind, "expected": EXPECTED[field.kind]}
            findings.append(finding("QR.W009", f"auto_label.{name}", **details))
    findings += _at("auto_label", notes)
    return forms


def _at(path: str, notes: Sequence[Finding]) -> tuple[Finding, ...]:
    """Notes about parts of values, each with its full path."""
    return tuple([replace(note, path=f"{path}.{note.path}") for note in notes])


def _submissions(
    obj: Mapping[str, Json], stage: Stage, fields: Mapping[str, Field], findings: list[Finding]
) -> tuple[Submission, ...]:
    raw = obj.get(stage.key)
    if raw is None:
        return ()
    if not isinstance(raw, (list, tuple)):
        findings.append(finding("QR.W008", stage.key, part=stage.key, expected="a list"))
        return ()
    return tuple([parse_submission(item, index, stage, fields) for index, item in enumerate(raw)])


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a submission that is not of its type."""

    name: str
    expected: str


def parse_submission(raw: Json, index: int, stage: Stage, fields: Mapping[str, Field]) -> Submission:
    """Read one submission of a history whose fields are known.

    Args:
        raw: the submission as it stands in JSON.
        index: its place in the stage's list.
        stage: the stage.
        fields: the history's fields.
    """
    if not isinstance(raw, dict):
        return _refused(raw, index, stage, "QR.W020", part="it", expected="an object")
    by, at, reason, flags = raw.get("by"), raw.get("at"), raw.get("reason"), raw.get("flags")
    word, lead_time = None if stage is Stage.PASS else raw.get("decision"), raw.get("lead_time")
    forms: dict[str, Form] = {}
    notes: list[Finding] = []
    wrong = _wrong_part(by, at, reason, flags, word, lead_time) or _read_values(raw.get("values"), fields, forms, notes)
    if wrong is not None:
        return _refused(raw, index, stage, "QR.W020", part=wrong.name, expected=wrong.expected)
    # A submission without a person or an instant cannot be put in line, whatever else it says.
    if not by:
        return _refused(raw, index, stage, "QR.W021")
    instant = parse_instant(at) if at else None
    if at is None or instant is None:
        return _refused(raw, index, stage, "QR.W022")
    if stage is not Stage.PASS and word not in _WORDS_AT[stage]:
        return _refused(raw, index, stage, "QR.W031")
    return Submission(
        stage,
        index,
        PersonId(by),
        instant,
        at,
        forms,
        tuple(flags) if flags else (),
        reason or "",
        _WORDS[word] if word else None,
        lead_time,
        raw,
        None,
        _at(f"{stage.key}[{index}].values", notes) if notes else (),
        _people(raw.get("to")) if word == Word.RETURN.value else (),
    )


def _people(raw: Json) -> tuple[PersonId, ...]:
    """Whom a return names; what is no list of people names nobody."""
    if not isinstance(raw, list) or not all(isinstance(person, str) for person in raw):
        return ()
    return tuple(sorted(map(PersonId, set(raw))))


def _refused(raw: Json, index: int, stage: Stage, rule_id: str, **details: object) -> Submission:
    """A submission of which nothing but its fault is ever looked at."""
    fault = finding(rule_id, f"{stage.key}[{index}]", **details)
    return Submission(stage, index, PersonId(""), Instant(0), "", {}, (), "", None, None, raw, fault)


def _wrong_part(by: Json, at: Json, reason: Json, flags: Json, word: Json, lead_time: Json) -> _Part | None:
    """The first part beside the values whose type is wrong; null is absent."""
    for name, value in (("by", by), ("at", at), ("reason", reason), ("decision", word)):
        if value is not None and not isinstance(value, str):
            return _Part(f"`{name}`", "text")
    if lead_time is not None and not is_number(lead_time):
        return _Part("`lead_time`", "a number of seconds")
    if flags is None:
        return None
    if not isinstance(flags, list) or not all(isinstance(flag, str) for flag in flags):
        return _Part("`flags`", "a list of words")
    return None


def _read_values(raw: Json, fields: Mapping[str, Field], forms: dict[str, Form], notes: list[Finding]) -> _Part | None:
    """Fill `forms` with the present values of known fields; the first of a wrong type is returned."""
    if raw is None:
        return None
    if not isinstance(raw, dict):
        return _Part("`values`", "an object")
    for name, value in raw.items():
        field = fields.get(name)
        if field is None or value is None:
            continue
        try:
            forms[name] = to_form(value, field, notes)
        except WrongType:
            return _Part(f"the value of {name}", EXPECTED[field.kind])
    return None
