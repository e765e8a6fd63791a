"""The checks of an interface: rules between its fields that its guidelines state, as `checks.yaml` beside `label.xml`.

A check is a CEL expression over the fields' values that is true where something is wrong, and a sentence for whoever
filled them in. It decides nothing: `decide` never sees it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from functools import lru_cache
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol

from review_rules.canonical_json import canonical_text
from review_rules.files.expressions import Compared, compared, mistakes, names_in, value_of, wrong_type
from review_rules.files.faults import FaultsError
from review_rules.files.located import Located, did_you_mean, read_yaml
from review_rules.values import Kind, Name

__all__ = ["CheckLevel", "FieldCheck", "FieldChecks", "load_checks"]

MOST: Final = 100
"""Checks of one interface: each is run at every change of a form."""
_LONGEST_SENTENCE: Final = 300
_HINT: Final = "See checks in docs/interfaces.md."
_REGIONS: Final = frozenset({Kind.SPANS, Kind.BOXES, Kind.SEGMENTS})
_NUMBERS: Final = frozenset({Kind.RATING, Kind.NUMBER})


class CheckLevel(Name):
    """Whether people are only told of it, or an answer with it is refused."""

    WARN = "warn"
    BLOCK = "block"


class _Asked(Protocol):
    """A field of an interface, as its room has it."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def labels(self) -> tuple[str, ...]: ...


class _Interface(Protocol):
    """An interface with its checks, as its room has it."""

    @property
    def checks(self) -> str: ...
    @property
    def checks_file(self) -> str: ...
    @property
    def controls(self) -> Sequence[_Asked]: ...


class _Field(NamedTuple):
    kind: Kind
    labels: tuple[str, ...]


_Fields = Mapping[str, _Field]


@dataclass(frozen=True, slots=True)
class FieldCheck:
    """One rule between fields.

    Attributes:
        when: the expression, which is true where something is wrong.
        say: what people are told.
        level: whether an answer with it is refused.
        fields: the fields that it reads.
    """

    when: str
    say: str
    level: CheckLevel
    fields: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """What people are told of it, for programs and for the screen."""
        return {"say": self.say, "level": self.level.value, "fields": list(self.fields)}


@dataclass(frozen=True, slots=True)
class FieldChecks:
    """All checks of an interface; `hash` names their content and is empty where there are none."""

    entries: tuple[FieldCheck, ...] = ()
    kinds: Mapping[str, Kind] = dataclass_field(default_factory=lambda: MappingProxyType({}))
    hash: str = ""

    def violated(self, values: Mapping[str, Any]) -> tuple[FieldCheck, ...]:
        """The checks that an answer violates.

        One that reads a field without a value cannot be told of the answer, and neither can one that fails on it. A set
        that nobody filled in is the empty set.

        Args:
            values: field → value; None and an absent field are the same.
        """
        known: dict[str, Any] = {name: [] for name, kind in self.kinds.items() if kind.is_set}
        known |= {
            name: _typed(kind, values[name]) for name, kind in self.kinds.items() if not _is_blank(values.get(name))
        }
        readable = (check for check in self.entries if known.keys() >= set(check.fields))
        return tuple(check for check in readable if value_of(check.when, known))

    def blocking(self, values: Mapping[str, Any]) -> tuple[FieldCheck, ...]:
        """Those of them for which an answer is refused."""
        return tuple(check for check in self.violated(values) if check.level is CheckLevel.BLOCK)


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _typed(kind: Kind, value: Any) -> Any:
    """A value as expressions see it: CEL computes with whole numbers or with others, and never mixes them."""
    if kind in (Kind.BOXES, Kind.SEGMENTS) and isinstance(value, Sequence):
        return [{key: _decimal(part) for key, part in region.items()} for region in value]
    if kind is Kind.RATING and isinstance(value, float) and value.is_integer():
        return int(value)
    return _decimal(value) if kind is Kind.NUMBER else value


def _decimal(value: Any) -> Any:
    return float(value) if isinstance(value, int) else value


def load_checks(interface: _Interface) -> FieldChecks:
    """Read the checks of an interface.

    Raises:
        FaultsError: They have faults; all of them, with line and column.
    """
    fields = ((control.name, _Field(Kind.of(control.kind), tuple(control.labels))) for control in interface.controls)
    return _read(interface.checks, interface.checks_file, tuple(fields))


@lru_cache(maxsize=64)
def _read(text: str, file: str, asked: tuple[tuple[str, _Field], ...]) -> FieldChecks:
    """A pure function of what an interface says, so that every answer may ask for it."""
    if not text.strip():
        return FieldChecks()
    fields, root = dict(asked), read_yaml(text, file)
    keys = root.known(("checks",), required=("checks",))
    items = keys["checks"].items() if "checks" in keys and not keys["checks"].is_null else []
    if len(items) > MOST:
        keys["checks"].fault(f"these are {len(items)} checks, more than {MOST}", "Say several of them in one.")
    entries = [entry for item in items if (entry := _check(item, fields)) is not None]
    if root.faults:
        raise FaultsError(tuple(sorted(root.faults, key=lambda fault: (fault.line, fault.column))))
    if not entries:
        return FieldChecks()
    content = canonical_text([{"when": each.when, "say": each.say, "level": each.level.value} for each in entries])
    kinds = MappingProxyType({name: field.kind for name, field in fields.items()})
    return FieldChecks(tuple(entries), kinds, "sha256:" + sha256(content.encode("utf-8", "surrogatepass")).hexdigest())


def _check(place: Located, fields: _Fields) -> FieldCheck | None:
    keys = place.known(("when", "say", "level"), required=("when", "say", "level"))
    when = keys["when"].text() if "when" in keys else None
    say = keys["say"].text() if "say" in keys else None
    level = keys["level"].one_of(CheckLevel, "level") if "level" in keys else None
    if say is not None and len(say) > _LONGEST_SENTENCE:
        keys["say"].fault(f"this has {len(say)} characters, more than {_LONGEST_SENTENCE}", "Say it in one sentence.")
    if when is None:
        return None
    wrong = list(_wrong(when, fields))
    for offset, message, hint in wrong:
        inset = keys["when"].inset
        keys["when"].fault(message, hint, shift=0 if inset is None else inset + offset)
    if wrong or say is None or level is None:
        return None
    return FieldCheck(when.strip(), " ".join(say.split()), level, tuple(sorted(names_in(when))))


def _wrong(when: str, fields: _Fields) -> Iterator[tuple[int, str, str]]:
    """What is wrong with an expression: offset, fault, hint."""
    faults = mistakes(when, tuple(fields))
    for mistake in faults:
        is_field = mistake.message.startswith("unknown name")
        message = mistake.message.replace("unknown name", "unknown field") if is_field else mistake.message
        yield mistake.offset, message, did_you_mean(mistake.name or "", fields) if is_field else _HINT
    if faults:
        return
    literals = list(compared(when))
    unfit = [fault for each in literals if (fault := _unfit(each, fields)) is not None]
    yield from unfit
    if not names_in(when):
        yield 0, "this reads no field", "Write an expression over the fields, such as `verdict == 'Correct'`."
    elif not unfit:
        unfitting = next(filter(None, (wrong_type(when, values) for values in _samples(literals, fields))), None)
        if unfitting is not None:
            is_number = any(fields[name].kind in (Kind.NUMBER, Kind.BOXES, Kind.SEGMENTS) for name in names_in(when))
            yield 0, unfitting, f"{'A number has a point: 2.0. ' if is_number else ''}{_HINT}"


def _unfit(literal: Compared, fields: _Fields) -> tuple[int, str, str] | None:
    """What is wrong with a value that a field is compared with."""
    field, name, value, shown = fields.get(literal.name), literal.name, literal.value, f"{literal.value!r}"
    if field is None:
        return None
    if field.kind.is_set and not literal.is_element and literal.operator != "in":
        return literal.offset, f"`{name}` is a set and never equals {shown}", f"Write `{shown} in {name}`."
    if field.kind in _REGIONS and literal.member != "label":
        return None
    if field.kind in _NUMBERS:
        if isinstance(value, str) or literal.operator == "in":
            return literal.offset, f"`{name}` is a number, and {shown} is none", "Write the number alone."
        return None
    if not isinstance(value, str) or (literal.operator == "in" and not field.kind.is_set):
        what = "a set of labels" if field.kind.is_set else "a text"
        return literal.offset, f"`{name}` is {what} and cannot be compared with {shown} in this way", _HINT
    if field.labels and value not in field.labels:
        return literal.offset, f"`{name}` has no label {shown}", did_you_mean(value, field.labels)
    return None


def _samples(literals: Sequence[Compared], fields: _Fields) -> Iterator[dict[str, Any]]:
    """Answers that lead into every part of an expression: each field at each of its labels, and at what it is compared
    with."""
    plain = {name: _sample(field, field.labels[:1]) for name, field in fields.items()}
    yield plain
    whole = [each for each in literals if each.name in fields and not each.is_element and not each.member]
    yield plain | {each.name: _sample(fields[each.name], (each.value,)) for each in whole}
    for name, field in fields.items():
        for label in field.labels:
            yield plain | {name: _sample(field, (label,))}


def _sample(field: _Field, picked: Sequence[Any]) -> Any:
    match field.kind:
        case Kind.CHOICES:
            return list(picked)
        case Kind.CHOICE | Kind.TEXT:
            return picked[0] if picked else "text"
        case Kind.RATING | Kind.NUMBER:
            return _typed(field.kind, picked[0] if picked and isinstance(picked[0], int | float) else 1)
        case Kind.SPANS:
            return [{"start": 0, "end": 4, "label": label, "text": "text"} for label in picked]
        case Kind.SEGMENTS:
            return [{"start": 0.5, "end": 1.5, "label": label} for label in picked]
        case _:
            return [{"x": 0.5, "y": 0.5, "width": 1.5, "height": 1.5, "label": label} for label in picked]
