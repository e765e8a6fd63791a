"""A row with a known answer as a plain form, and what was sent with it as values of the rules.

The form has no script: a span is named by its label and its words, one a line.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from django.http import QueryDict

from label_studio_quorum.campaign.review_panel import value_text
from ls_config.interface import Control, Interface
from review_rules import Kind
from review_rules.canonical import same

LONGEST: Final = 10_000
"""Characters of what is typed into one field."""
_COLUMN: Final = re.compile(r"\$(\w+)")
_MOST_STEPS: Final = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """Something that can be chosen: the stored label, what people read, and whether it is chosen."""

    label: str
    title: str
    is_chosen: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldInput:
    """A field of the form.

    ``control`` is radio, checkbox, number or text; ``typed`` is what was sent for the last two; ``hint`` says how it
    is filled in, and ``fault`` why what was sent cannot be taken.
    """

    name: str
    title: str
    control: str
    choices: tuple[Choice, ...] = ()
    typed: str = ""
    hint: str = ""
    fault: str = ""
    low: Any = None
    high: Any = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Sent:
    """What was sent: values by field, and field → why what was sent for it cannot be taken."""

    values: Mapping[str, Any]
    faults: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownField:
    """A field of an answer beside what is known."""

    title: str
    own: str
    known: str
    is_right: bool


def shown_columns(interface: Interface, data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The columns that people see of a row, in the order of the screen, each as text."""
    names = dict.fromkeys(_COLUMN.findall(interface.xml))
    return [(title_of(name), _text(data[name])) for name in names if data.get(name) not in (None, "")]


def _text(value: Any) -> str:
    """A column as text; a conversation as who said what."""
    if isinstance(value, list):
        turns = [turn for turn in value if isinstance(turn, dict)]
        return "\n".join(": ".join(str(part) for part in turn.values()) for turn in turns)
    return str(value)


def inputs(
    interface: Interface, known: Iterable[str], sent: QueryDict | None = None, faults: Mapping[str, str] | None = None
) -> list[FieldInput]:
    """The fields of the form: those that are known, filled as they were sent."""
    wanted, typed = set(known), sent or QueryDict()
    controls = [control for control in interface.controls if control.name in wanted]
    return [_input(control, typed, (faults or {}).get(control.name, "")) for control in controls]


def _input(control: Control, sent: QueryDict, fault: str) -> FieldInput:
    name, kind = f"field.{control.name}", Kind.of(control.kind)
    values = sent.getlist(name)
    plain = FieldInput(name=name, title=title_of(control.name), control="text", fault=fault)
    if kind in (Kind.CHOICE, Kind.CHOICES) or _steps(control):
        options = [(label, control.title(label)) for label in control.labels] or [(s, s) for s in _steps(control)]
        choices = tuple(Choice(label=label, title=title, is_chosen=label in values) for label, title in options)
        return replace(plain, control="checkbox" if kind is Kind.CHOICES else "radio", choices=choices)
    typed = values[0][:LONGEST] if values else ""
    if kind in (Kind.RATING, Kind.NUMBER):
        return replace(plain, control="number", typed=typed, low=control.min, high=control.max)
    hint = f"One a line: label, colon, the words. Labels: {', '.join(control.labels)}." if kind is Kind.SPANS else ""
    return replace(plain, typed=typed, hint=hint)


def _steps(control: Control) -> list[str]:
    """The steps of a rating that is short enough to be chosen from."""
    low, high = control.min, control.max
    if control.kind != Kind.RATING or low is None or high is None or high - low >= _MOST_STEPS:
        return []
    return [str(step) for step in range(int(low), int(high) + 1)]


def read(interface: Interface, known: Iterable[str], sent: QueryDict, data: Mapping[str, Any]) -> Sent:
    """Read a form that was sent; a field that was left empty has no value."""
    wanted = set(known)
    values, faults = dict[str, Any](), dict[str, str]()
    for control in interface.controls:
        if control.name not in wanted:
            continue
        try:
            value = _value(control, sent.getlist(f"field.{control.name}"), data)
        except ValueError as error:
            faults[control.name] = str(error)
            continue
        if value is not None:
            values[control.name] = value
        elif control.required:
            faults[control.name] = "This field is needed."
    return Sent(values=values, faults=faults)


def _value(control: Control, sent: list[str], data: Mapping[str, Any]) -> Any:
    """The value of a field.

    Raises:
        ValueError: what was sent is none, with the sentence for whoever sent it.
    """
    kind, typed = Kind.of(control.kind), [text for text in sent if text.strip()]
    if any("\0" in text or len(text) > LONGEST for text in typed):
        raise ValueError(f"This is longer than {LONGEST:,} characters, or no text.")
    if kind in (Kind.CHOICE, Kind.CHOICES) and not set(typed) <= set(control.labels):
        raise ValueError("This is none of the labels.")
    if kind is Kind.CHOICES:
        return typed
    if kind is Kind.SPANS:
        return list(_spans(control, typed[0] if typed else "", str(data.get(control.value_key) or "")))
    if not typed:
        return None
    return _number(control, typed[0]) if kind in (Kind.RATING, Kind.NUMBER) else typed[0].strip()


def _number(control: Control, typed: str) -> float | int:
    # Python reads more than people write: "1_0", "nan", digits of other scripts.
    if not re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,15})?", typed.strip()):
        raise ValueError("This is no number.")
    number = float(typed)
    if (control.min is not None and number < control.min) or (control.max is not None and number > control.max):
        raise ValueError(f"This lies outside {control.min} to {control.max}.")
    return int(number) if number.is_integer() else number


def _spans(control: Control, typed: str, text: str) -> Iterator[dict[str, Any]]:
    """The spans that lines name by label and words; of words that are named again the next place is meant."""
    places = Counter[tuple[str, str]]()
    for line in filter(None, map(str.strip, typed.splitlines())):
        label, colon, words = (part.strip() for part in line.partition(":"))
        if not colon or label not in control.labels:
            raise ValueError(f"“{line[:60]}” does not begin with a label and a colon.")
        start = text.find(words, places[label, words]) if words else -1
        if start < 0:
            raise ValueError(f"“{words[:60]}” does not stand in the text (again).")
        places[label, words] = start + len(words)
        yield {"start": start, "end": start + len(words), "label": label, "text": words}


def compare(interface: Interface, known: Mapping[str, Any], values: Mapping[str, Any]) -> list[KnownField]:
    """An answer beside what is known, field by field; whether they are the same is asked of the rules."""
    return [
        KnownField(
            title=title_of(control.name),
            own=value_text(control, values.get(control.name)),
            known=value_text(control, known[control.name]),
            is_right=same(Kind.of(control.kind), values.get(control.name), known[control.name]),
        )
        for control in interface.controls
        if control.name in known
    ]


def title_of(name: str) -> str:
    """What people read for the name of a field or column."""
    return name.replace("_", " ").capitalize()
