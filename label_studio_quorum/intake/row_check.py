"""From a raw record to a checked row: every fault of the record in one go."""

from __future__ import annotations

import difflib
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from label_studio_quorum.intake.cells import OWN_PREFIX
from label_studio_quorum.intake.faults import Place, RowFault, fault
from label_studio_quorum.intake.row import FIELDS, Row
from label_studio_quorum.intake.text_file import Record, parse_json
from ls_config import Control, Interface
from review_rules.offsets import Match, Resolution, SpanIn, Unit, convert, resolve_all

__all__ = ["Limits", "Validator"]

TEXTS = ("context", "query", "response")
REQUIRED = ("id", *TEXTS)
_AUTO = "auto_label."
_ID_LENGTH = 200
_LONG = 20_000
ROW_CHARS = 400_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What a campaign takes: characters a row, the domains it knows (None: any), what spans of the file count."""

    row_chars: int = ROW_CHARS
    domains: frozenset[str] | None = None
    offsets: str = "code-points"
    """`code-points` (a span that counts otherwise is a fault with the offered fix), `detect` (converted where the
    carried text leaves one answer), or a unit that the whole file counts: `utf-16`, `utf-8`, each also with
    `-inclusive`, or `inclusive`."""


_UNITS = {
    "utf-16": (Unit.UTF16, False),
    "utf-16-inclusive": (Unit.UTF16, True),
    "utf-8": (Unit.UTF8, False),
    "utf-8-inclusive": (Unit.UTF8, True),
    "inclusive": (Unit.CODE_POINT, True),
}
OFFSETS = ("code-points", "detect", *_UNITS)


@dataclass(slots=True)
class _Talk:
    """Collects the faults of one record."""

    place: Place
    row_id: str | None = None
    faults: list[RowFault] = field(default_factory=list)

    def add(self, kind: str, message: str, hint: str = "", *, field: str | None = None, fix: Any = None) -> None:
        self.faults.append(fault(kind, self.place, message, hint, row_id=self.row_id, field=field, fix=fix))

    @property
    def broken(self) -> bool:
        return any(found.severity == "error" for found in self.faults)


class Validator:
    """Checks records one by one; remembers the ids it has seen."""

    def __init__(self, interface: Interface | None, limits: Limits) -> None:
        self.interface, self.limits = interface, limits
        self.controls = {control.name: control for control in interface.controls} if interface else {}
        self.seen: dict[str, int | None] = {}

    def check(self, record: Record) -> Iterator[Row | RowFault]:
        """Yield the faults of a record, then the row if none of them is an error."""
        talk = _Talk(record.place)
        values = {name: value for name, value in record.values.items() if name}
        if record.values.get("") not in (None, ""):
            talk.add("QD.W006", "A column without a name has content; it is left out.", "Give it a name in the header.")
        row_id = self._row_id(values, talk)
        texts = {name: self._text(name, values, talk) for name in TEXTS}
        domain = self._domain(values, talk)
        auto, foreign = self._auto_label(values, texts, talk, typed=record.typed)
        if not talk.broken:
            self._soft(texts, talk)
        yield from talk.faults
        if not talk.broken:
            extra = {
                name: value
                for name, value in values.items()
                if name not in FIELDS and not name.startswith((_AUTO, OWN_PREFIX))
            }
            yield Row(row_id=row_id, **texts, domain=domain, auto_label=auto, extra=extra | foreign, place=record.place)

    # --- id, texts, domain

    def _row_id(self, values: Mapping[str, Any], talk: _Talk) -> str:
        given = values.get("id")
        if given is None or given == "":
            talk.add(
                "QD.E020", "The row has no id.", "Give each row a short id of its own that never changes.", field="id"
            )
            return ""
        if isinstance(given, int) and not isinstance(given, bool):
            given = str(given)
        if not isinstance(given, str):
            talk.add("QD.E022", f"The id is a {type(given).__name__}, not a string.", "Write it in quotes.", field="id")
            return ""
        talk.row_id = given
        if given != given.strip() or len(given) > _ID_LENGTH or not given.isprintable():
            why = (
                f"longer than {_ID_LENGTH} characters"
                if len(given) > _ID_LENGTH
                else "with white space at an end, or with control characters"
            )
            talk.add(
                "QD.E022", f"The id is {why}.", "Use a short plain id.", field="id", fix=given.strip()[:_ID_LENGTH]
            )
        if given in self.seen:
            first = self.seen[given]
            where = f"first in line {first}" if first is not None else "already"
            talk.add(
                "QD.E021",
                f"The id is used twice ({where}).",
                "Give one of the two another id, or remove it.",
                field="id",
            )
        else:
            self.seen[given] = talk.place.line
        return given

    def _text(self, name: str, values: Mapping[str, Any], talk: _Talk) -> str:
        if name not in values:
            talk.add(
                "QD.E023",
                f"The field '{name}' is missing.",
                f"Add it, or map it (--map {name}=COLUMN; --map {name}= for none).",
                field=name,
            )
            return ""
        value = values[name]
        if value is None:
            if name != "context":
                talk.add(
                    "QD.E023", f"The field '{name}' is null.", 'Write the text; "" if it is really empty.', field=name
                )
            return ""
        if not isinstance(value, str):
            talk.add(
                "QD.E024",
                f"The field '{name}' is a {_json_type(value)}, not a text.",
                "Write it as one string.",
                field=name,
            )
            return ""
        if not value.isascii():
            self._encodable(name, value, talk)
        return value

    def _encodable(self, name: str, value: str, talk: _Talk) -> None:
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            what = f"Character {error.start} is half of a surrogate pair."
            talk.add(
                "QD.E026",
                what,
                "Write the whole character; a program cut the text in the middle of an emoji.",
                field=name,
            )

    def _domain(self, values: Mapping[str, Any], talk: _Talk) -> str | None:
        domain = values.get("domain")
        if domain is None or domain == "":
            return None
        if not isinstance(domain, str):
            talk.add(
                "QD.E024",
                f"The domain is a {_json_type(domain)}, not a text.",
                "Write one domain's name.",
                field="domain",
            )
            return None
        if self.limits.domains is not None and domain not in self.limits.domains:
            known = ", ".join(sorted(self.limits.domains))
            near = difflib.get_close_matches(domain, self.limits.domains, 1, 0.7)
            talk.add(
                "QD.W023",
                f"The policy knows no domain '{domain}'; it is kept and has no effect.",
                f"Known: {known}.",
                field="domain",
                fix=near[0] if near else None,
            )
        return domain

    # --- texts that are valid, but look wrong

    def _soft(self, texts: Mapping[str, str], talk: _Talk) -> None:
        total = sum(map(len, texts.values()))
        if total > self.limits.row_chars:
            talk.add(
                "QD.E025",
                f"The row has {total:,} characters; the limit is {self.limits.row_chars:,}.",
                "Cut the context to what people need, or raise --max-chars.",
            )
        for name, text in texts.items():
            for kind, message, hint in _looks(name, text):
                talk.add(kind, message, hint, field=name)
        response = texts["response"].strip()
        for other in ("query", "context"):
            if len(response) > 20 and response == texts[other].strip():
                talk.add(
                    "QD.W027",
                    f"The response is the {other}, word for word.",
                    "Look whether columns were mixed up.",
                    field="response",
                )

    # --- the auto-label

    def _auto_label(
        self, values: Mapping[str, Any], texts: Mapping[str, str], talk: _Talk, *, typed: bool
    ) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        """The auto-label keyed by control, and what the file calls one although it is not for this interface (kept as
        a column)."""
        whole = values.get("auto_label")
        if isinstance(whole, str) and not typed:
            whole = self._cell(whole, talk)
        parts = {
            name[len(_AUTO) :]: value
            for name, value in values.items()
            if name.startswith(_AUTO) and value not in (None, "")
        }
        if whole is None and not parts:
            return None, {}
        if whole is not None and not isinstance(whole, Mapping):
            return None, {"auto_label": whole} if self._not_an_object(whole, talk) else {}
        label: dict[str, Any] = dict(whole or {})
        for name, cell in parts.items():
            value = self._part(name, cell, talk)
            if label.setdefault(name, value) != value:
                talk.add(
                    "QD.E040", f"auto_label and {_AUTO}{name} disagree.", "Leave one of the two.", field=_AUTO + name
                )
        if self.interface is None or not label:
            return label, {}
        if not any(name in self.controls for name in label) and not any(self._near(name) for name in label):
            talk.add(
                "QD.W040",
                f"The auto-label's keys ({', '.join(sorted(label)[:4])}) are no controls of this interface.",
                "It is kept as a column and not shown to anyone.",
                field="auto_label",
            )
            return None, {"auto_label": label}
        checked = {name: self._value(name, value, values, texts, talk) for name, value in label.items()}
        lacking = [name for name, control in self.controls.items() if control.required and checked.get(name) is None]
        if lacking and not talk.broken:
            talk.add(
                "QD.W045",
                f"The auto-label lacks {', '.join(lacking)}, which people must fill in.",
                "Nothing to do if that is meant.",
                field="auto_label",
            )
        return {name: value for name, value in checked.items() if value is not None}, {}

    def _cell(self, text: str, talk: _Talk) -> Any:
        if not text.strip():
            return None
        if not text.lstrip().startswith(("{", "[", '"')):
            return text
        parsed = parse_json(text, talk.place, field="auto_label", row_id=talk.row_id)
        if isinstance(parsed, RowFault):
            talk.add(
                "QD.E040", parsed.message, 'Write one JSON object, such as {"verdict":"Correct"}.', field="auto_label"
            )
            return None
        return parsed

    def _not_an_object(self, value: Any, talk: _Talk) -> bool:
        """Say that the auto-label is no object; True if it is only foreign to this interface, so that the row may go
        in without it."""
        if isinstance(value, str) and self.interface is not None:
            holders = [name for name, control in self.controls.items() if value in control.labels]
            if not holders:
                talk.add(
                    "QD.W040",
                    "The auto-label is a bare text, and no label of this interface.",
                    "It is kept as a column and not shown to anyone.",
                    field="auto_label",
                )
                return True
            fix = {holders[0]: value} if len(holders) == 1 else None
            talk.add(
                "QD.E040",
                f"The auto-label is a bare text; it is a label of {', '.join(holders)}.",
                "Write an object keyed by control.",
                field="auto_label",
                fix=fix,
            )
            return False
        talk.add(
            "QD.E040",
            f"The auto-label is a {_json_type(value)}, not an object.",
            'Write an object keyed by control, such as {"verdict":"Correct"}.',
            field="auto_label",
        )
        return False

    def _part(self, name: str, cell: Any, talk: _Talk) -> Any:
        """The value in an `auto_label.<control>` column: a label as it stands; lists and regions as JSON; several
        choices also as `A; B`."""
        control = self.controls.get(name)
        kind = control.kind if control else ""
        if not isinstance(cell, str) or kind in ("choice", "text") or not control:
            return cell
        if kind in ("rating", "number"):
            return _number(cell)
        if kind == "choices" and not cell.lstrip().startswith("["):
            return [part.strip() for part in cell.split(";") if part.strip()]
        parsed = parse_json(cell, talk.place, field=_AUTO + name, row_id=talk.row_id)
        return cell if isinstance(parsed, RowFault) else parsed

    def _near(self, name: str) -> str | None:
        return next(iter(difflib.get_close_matches(name, self.controls, 1, 0.75)), None)

    def _value(self, name: str, value: Any, values: Mapping[str, Any], texts: Mapping[str, str], talk: _Talk) -> Any:
        control, where = self.controls.get(name), f"auto_label.{name}"
        if control is None:
            near = self._near(name)
            hint = f"Did you mean '{near}'?" if near else f"It has: {', '.join(self.controls)}."
            talk.add("QD.E041", f"The interface has no control '{name}'.", hint, field=where, fix=near)
            return None
        if value is None:
            return None
        text = texts.get(control.value_key, values.get(control.value_key))
        return _CHECKS[control.kind](
            _Value(control, where, text if isinstance(text, str) else "", talk, self.limits), value
        )


@dataclass(frozen=True, slots=True)
class _Value:
    """What a check of one control's value needs."""

    control: Control
    where: str
    text: str
    talk: _Talk
    limits: Limits

    def say(self, kind: str, message: str, hint: str = "", *, at: str = "", fix: Any = None) -> None:
        self.talk.add(kind, message, hint, field=self.where + at, fix=fix)

    def known(self, label: Any, at: str = "") -> bool:
        if isinstance(label, str) and label in self.control.labels:
            return True
        if not isinstance(label, str):
            self.say(
                "QD.E042",
                f"A {_json_type(label)} stands where a label should.",
                "Write the label's stored value as a string.",
                at=at,
            )
            return False
        folded = {known.casefold(): known for known in self.control.labels}
        near = folded.get(label.casefold().strip()) or next(
            iter(difflib.get_close_matches(label, self.control.labels, 1, 0.6)), None
        )
        shown = label if len(label) <= 60 else label[:57] + "…"
        hint = f"Did you mean '{near}'?" if near else f"Known: {', '.join(self.control.labels[:12])}."
        self.say("QD.E043", f"'{shown}' is no label of '{self.control.name}'.", hint, at=at, fix=near)
        return False


def _check_choice(ask: _Value, value: Any) -> Any:
    if isinstance(value, list):
        fix = value[0] if len(value) == 1 else None
        ask.say(
            "QD.E042", f"A list stands where '{ask.control.name}' takes one label.", "Write the label itself.", fix=fix
        )
        return None
    return value if ask.known(value) else None


def _check_choices(ask: _Value, value: Any) -> Any:
    if not isinstance(value, list):
        ask.say(
            "QD.E042",
            f"'{ask.control.name}' takes a list of labels, not a {_json_type(value)}.",
            "Write a list.",
            fix=[value] if value in ask.control.labels else None,
        )
        return None
    if len({str(one) for one in value}) != len(value):
        ask.say("QD.E045", "A choice is given twice.", "Name each once.", fix=list(dict.fromkeys(map(str, value))))
    known = [ask.known(one, f"[{at}]") for at, one in enumerate(value)]
    return value if all(known) else None


def _check_number(ask: _Value, value: Any) -> Any:
    whole = ask.control.kind == "rating"
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not math.isfinite(value)
        or (whole and value != int(value))
    ):
        what = "a whole number" if whole else "a number"
        ask.say(
            "QD.E042",
            f"'{ask.control.name}' takes {what}, not {_short(value)}.",
            "Write the number without quotes.",
            fix=_number(value) if isinstance(value, str) and isinstance(_number(value), int) else None,
        )
        return None
    low, high = ask.control.min, ask.control.max
    if (low is not None and value < low) or (high is not None and value > high):
        ask.say("QD.E044", f"{value} is outside {low}–{high}.", "Scale it to the range of the interface.")
        return None
    return int(value) if whole else value


def _check_text(ask: _Value, value: Any) -> Any:
    if not isinstance(value, str):
        ask.say("QD.E042", f"'{ask.control.name}' takes a text, not a {_json_type(value)}.", "Write a string.")
        return None
    return value


def _check_regions(ask: _Value, value: Any) -> Any:
    """Boxes in percent, segments in seconds."""
    boxes = ask.control.kind == "boxes"
    keys = ("x", "y", "width", "height") if boxes else ("start", "end")
    if not isinstance(value, list):
        ask.say("QD.E042", f"'{ask.control.name}' takes a list of {ask.control.kind}.", "Write a list of objects.")
        return None
    for at, one in enumerate(value):
        parts = [float(one[key]) for key in keys if _measure(one.get(key))] if isinstance(one, Mapping) else []
        if len(parts) < len(keys) or not (_box_fits(parts) if boxes else parts[0] < parts[1]):
            ask.say(
                "QD.E058",
                f"{', '.join(keys)} are missing or out of range.",
                "Percent of the image, 0–100." if boxes else "Seconds, start before end.",
                at=f"[{at}]",
            )
        elif not ask.known(one.get("label"), f"[{at}].label"):
            continue
    return value


def _measure(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _box_fits(parts: Sequence[float]) -> bool:
    x, y, width, height = parts
    return width > 0 and height > 0 and x + width <= 100.01 and y + height <= 100.01


# --- spans


def _check_spans(ask: _Value, value: Any) -> Any:
    if not isinstance(value, list):
        ask.say(
            "QD.E042",
            f"'{ask.control.name}' takes a list of spans, not a {_json_type(value)}.",
            'Write [{"start":0,"end":4,"label":"…","text":"…"}].',
        )
        return None
    whole = [(at, one) for at, one in enumerate(value) if _whole_span(ask, at, one)]
    given = [SpanIn(one["start"], one["end"], one.get("text")) for _, one in whole]
    results = resolve_all(ask.text, _declared(ask, given))
    made = [_place_span(ask, at, one, was, found) for (at, one), was, found in zip(whole, given, results, strict=True)]
    places = [(one["start"], one["end"], one["label"]) for one in made if one is not None]
    for twice in sorted({place for place in places if places.count(place) > 1}):
        ask.say("QD.E057", f"The span {twice[0]}–{twice[1]} {twice[2]} is given twice.", "Leave one.")
    return [one for one in made if one is not None]


def _whole_span(ask: _Value, at: int, span: Any) -> bool:
    where = f"[{at}]"
    if not isinstance(span, Mapping) or not {"start", "end", "label"} <= span.keys():
        ask.say("QD.E046", "The span lacks start, end or label.", 'Write {"start":0,"end":4,"label":"…"}.', at=where)
        return False
    if not all(type(span[key]) is int for key in ("start", "end")) or not isinstance(span.get("text", ""), str | None):
        ask.say("QD.E046", "start and end must be whole numbers, and text a string.", at=where)
        return False
    return ask.known(span["label"], where + ".label")


def _declared(ask: _Value, spans: Sequence[SpanIn]) -> list[SpanIn]:
    """Spans as code points, where the file's unit was declared; what does not convert stays, and is found wrong."""
    if ask.limits.offsets not in _UNITS:
        return list(spans)
    unit, inclusive = _UNITS[ask.limits.offsets]
    places = [convert(ask.text, one.start, one.end, unit, inclusive=inclusive) for one in spans]
    return [one if place is None else SpanIn(*place, one.text) for one, place in zip(spans, places, strict=True)]


_KIND_OF_READING = {
    Unit.UTF16: "QD.E049",
    Unit.UTF8: "QD.E050",
    Unit.WORD: "QD.E052",
    Unit.MARKED_WORD: "QD.E052",
    Unit.CODE_POINT: "QD.E051",
}


def _place_span(ask: _Value, at: int, span: Mapping[str, Any], was: SpanIn, found: Resolution) -> dict[str, Any] | None:
    where = f"[{at}]"
    placed = {**span, "start": found.start, "end": found.end}
    if found.match in (Match.CONVERTED, Match.MOVED):
        kind, why = _reading_fault(found)
        fix = {**placed, "text": ask.text[found.start : found.end]}
        said = f"{why}: {was.start}–{was.end} is {found.start}–{found.end} in characters."
        if ask.limits.offsets == "detect" and found.match is Match.CONVERTED:
            ask.say("QD.W044", said, "Converted, as asked.", at=where, fix=fix)
            return _edges(ask, where, fix)
        ask.say(kind, said, "Take the offered span, or convert all with --offsets detect.", at=where, fix=fix)
        return None
    return _unconverted(ask, where, placed, found)


def _reading_fault(found: Resolution) -> tuple[str, str]:
    reading = found.reading
    if reading is None:
        return "QD.E054", "The span's text stands elsewhere"
    if reading.text_change:
        return "QD.E053", f"The span fits a changed text ({reading})"
    return _KIND_OF_READING[reading.unit], f"The span counts {reading}"


def _unconverted(ask: _Value, where: str, span: dict[str, Any], found: Resolution) -> dict[str, Any] | None:
    start, end = span["start"], span["end"]
    if found.match is Match.AMBIGUOUS:
        places = ", ".join(f"{first}–{last}" for first, last in found.places[:5])
        fixes = [{**span, "start": first, "end": last} for first, last in found.places[:5]]
        ask.say(
            "QD.E055",
            f"The span's text stands at several places ({places}), and the offsets do not tell which.",
            "Choose one of the offered spans.",
            at=where,
            fix=fixes,
        )
    elif start >= end:
        ask.say(
            "QD.E047",
            f"The span {start}–{end} is empty.",
            "Offsets are half-open: the end is the position after the last character.",
            at=where,
        )
    elif start < 0 or end > len(ask.text):
        ask.say(
            "QD.E048",
            f"The span {start}–{end} reaches outside the text (0–{len(ask.text)}).",
            "Offsets count characters of the field as imported; let spans carry their text, "
            "and the right ones can be offered.",
            at=where,
        )
    elif found.match is Match.MISMATCH:
        ask.say(
            "QD.E056",
            "The span's text is not in the field.",
            "The text was changed after labelling; label it again, or import the text that was labelled.",
            at=where,
        )
    else:
        if (
            found.match is Match.UNCHECKED
            and ask.limits.offsets in ("code-points", "detect")
            and _uncertain(ask.text[:end])
        ):
            ask.say(
                "QD.W041",
                "The span carries no text and stands after characters that other tools count as two.",
                "Add text to the spans, or say what they count (--offsets).",
                at=where,
            )
        return _edges(ask, where, span)
    return None


def _uncertain(text: str) -> bool:
    return not text.isascii() and any(char > "\uffff" for char in text)


def _edges(ask: _Value, where: str, span: dict[str, Any]) -> dict[str, Any]:
    start, end, text = span["start"], span["end"], ask.text
    piece = text[start:end]
    if piece != piece.strip():
        first = start + len(piece) - len(piece.lstrip())
        last = end - (len(piece) - len(piece.rstrip()))
        fix = {**span, "start": first, "end": last, "text": text[first:last]} if first < last else None
        ask.say(
            "QD.W042",
            "The span begins or ends with white space.",
            "Trim it; people will mark it without.",
            at=where,
            fix=fix,
        )
    if not text.isascii() and (_joined(text, start) or _joined(text, end)):
        ask.say(
            "QD.W043",
            "The span cuts a character that people see as one.",
            "Extend it to the whole character.",
            at=where,
        )
    return span


def _joined(text: str, at: int) -> bool:
    """True where the position lies inside what people see as one character."""
    if not 0 < at < len(text):
        return False
    before, after = text[at - 1], text[at]
    return (
        bool(unicodedata.combining(after))
        or "\u200d" in (before, after)
        or after == "\ufe0f"
        or "\U0001f3fb" <= after <= "\U0001f3ff"
    )


_CHECKS = {
    "choice": _check_choice,
    "choices": _check_choices,
    "rating": _check_number,
    "number": _check_number,
    "text": _check_text,
    "spans": _check_spans,
    "boxes": _check_regions,
    "segments": _check_regions,
}

# --- small things

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
_MOJIBAKE = re.compile("\ufffd|Ã[\u0080-\u00bf©¨¢ª«®´¶¼]|â€[™œ\u009d“”˜¦]|Â[\u00a0£©®°·»«]")
_EMPTY_WORDS = frozenset({"nan", "null", "none", "n/a", "#n/a", "undefined"})


def _looks(name: str, text: str) -> Iterator[tuple[str, str, str]]:
    if not text.strip():
        if name == "response":
            yield (
                "QD.W020",
                "The response is empty.",
                "Keep it if an empty answer is to be judged; else leave the row out.",
            )
        elif name == "query":
            yield "QD.W021", "The query is empty.", "People will judge the response without a question."
        return
    if len(text) > _LONG:
        yield "QD.W022", f"The {name} has {len(text):,} characters.", "Cut it to what people need to read."
    if text.strip().casefold() in _EMPTY_WORDS:
        yield (
            "QD.W028",
            f"The {name} is the word '{text.strip()}'.",
            "A program wrote it for an empty cell; leave it empty.",
        )
    if found := _CONTROL.search(text):
        yield (
            "QD.W024",
            f"Character {found.start()} is U+{ord(found.group()):04X}.",
            "It is kept; most screens show nothing for it.",
        )
    if not text.isascii():
        if found := _MOJIBAKE.search(text):
            yield (
                "QD.W025",
                f"At character {found.start()} the text looks wrongly decoded.",
                "Export the file again as UTF-8.",
            )
        if found := _BIDI.search(text):
            yield (
                "QD.W026",
                f"Character {found.start()} is U+{ord(found.group()):04X}, which is invisible and "
                f"turns the writing around.",
                "Make sure that people see what a program reads.",
            )
    if name == "response" and _cut_off(text):
        yield (
            "QD.W029",
            "The response looks cut off.",
            "Raise the token limit of the model that wrote it, or leave the row out.",
        )


def _cut_off(text: str) -> bool:
    return text.count("```") % 2 == 1 or (
        len(text) in (256, 500, 512, 1000, 1024, 2000, 2048, 4000, 4096, 8000, 8192) and text[-1].isalnum()
    )


def _number(text: Any) -> Any:
    try:
        value = float(text)
    except ValueError:
        return text
    return int(value) if math.isfinite(value) and value == int(value) else value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "…"


def _json_type(value: Any) -> str:
    names = {bool: "boolean", int: "number", float: "number", str: "text", list: "list", dict: "object"}
    return "null" if value is None else names.get(type(value), type(value).__name__)
