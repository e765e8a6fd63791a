"""Reads a labeling interface: a folder with `label.xml`, its samples and its guidelines.

Everything else in Quorum asks this module what people are asked to fill in. It reads the XML itself instead of going
through the SDK, because the ML backend and every command import it: it must load in milliseconds, and it must refuse
what Quorum could not compare later (nested choices, per-region controls, …) rather than lose it in silence.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from lxml import etree

from ls_config.carried_checks import checks_in, with_checks
from ls_config.stylesheets import compose_styles, stylesheets, unknown_stylesheets

__all__ = [
    "CORE_FLAGS",
    "DECISIONS",
    "RESERVED",
    "Control",
    "Interface",
    "InterfaceError",
    "carried_checks",
    "carry_renames",
    "is_readable",
    "label_types",
    "load",
    "parse",
    "parse_all",
    "with_renames",
]

Number = int | float

HERE: Final = Path(__file__).parent
RESERVED: Final = frozenset(
    {"flags", "flag_reason", "decision", "decision_reason", "decision_note", "decision_to", "review_of"}
)
"""Control names that say something about the row or the review; they are never compared as fields."""
CORE_FLAGS: Final = ("unsure", "needs_expert", "guideline_gap", "broken_row")
"""Flags with a meaning of their own; `domain:<name>` comes on top, for any domain."""
DECISIONS: Final = ("accept", "correct", "escalate", "discard")
RETURN: Final = "return"
"""A decision of QA beside these, where the policy allows it."""
SET_KINDS: Final = frozenset({"choices", "spans", "boxes", "segments"})
"""Kinds whose value is a set: nothing drawn and nothing ticked is the empty set.

This room may not import the rules, whose `Kind` says the same; a test holds the two equal."""

_TEXT_TAGS: Final = frozenset({"Text"})
_TIME_TAGS: Final = frozenset({"Audio", "AudioPlus", "TimeSeries"})
_OPTION_TAGS: Final = {"Choices": "Choice", "Labels": "Label", "RectangleLabels": "Label", "TimeSeriesLabels": "Label"}
_CONTROL_TAGS: Final = frozenset({*_OPTION_TAGS, "Rating", "Number", "TextArea"})
# Tags that carry a toName but ask nobody for a value.
_HELPER_TAGS: Final = frozenset({"Filter", "Shortcut", "Relation"})
_LOSES: Final[Mapping[str, str]] = {
    "Relations": "relations between regions are not kept; remove it",
    "Chat": "people can add and change messages, which are not kept; show the conversation in a <Text>",
}
"""Tags in which people can fill in what no result of ours holds."""
_DEFAULT_MAX_RATING: Final = 5
_EARLIER: Final = "was"
"""Attribute of an option: what it was called when earlier answers were given; of no meaning to Label Studio."""
_BETWEEN: Final = "|"


class InterfaceError(ValueError):
    """A labeling interface that Quorum cannot use.

    Attributes:
        faults: One line a fault: what, where, what to do.
    """

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


@dataclass(frozen=True, kw_only=True, slots=True)
class Control:
    """One thing that people fill in.

    Attributes:
        name: The control's name in the XML, and the field's name everywhere in Quorum.
        kind: choice, choices, spans, rating, number, text, boxes or segments.
        to_name: Name of the object tag that it labels; the first where it names several.
        also_to: The further ones.
        value_key: Task data key of that object tag: `response` for `value="$response"`; empty if it shows a constant.
        result_type: Label Studio's `type` of the result items that this control makes.
        labels: The stored values, in the order of the screen; empty for kinds without labels.
        shown: What people read for each of `labels`.
        colors: CSS colour of each of `labels`, empty where the XML names none.
        min: Least value of a rating or number; None if there is none.
        max: Greatest value of a rating or number; None if there is none.
        required: True if the form cannot be submitted without it.
        line: Line in the XML.
        renamed: Labels of earlier answers, and the one of `labels` that each is read as.
    """

    name: str
    kind: str
    to_name: str
    value_key: str
    result_type: str
    labels: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    colors: tuple[str, ...] = ()
    min: Number | None = None
    max: Number | None = None
    required: bool = False
    line: int = 0
    also_to: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_set(self) -> bool:
        """True if the value is a set, so that nothing filled in means the empty set."""
        return self.kind in SET_KINDS

    def title(self, label: str) -> str:
        """Return what people read for a stored label (the label itself if the interface does not know it)."""
        return dict(zip(self.labels, self.shown, strict=True)).get(label, label)


@dataclass(frozen=True, kw_only=True)
class Interface:
    """A labeling interface as a team keeps it.

    Attributes:
        name: The folder's name, or the built-in label type.
        xml: The text of `label.xml`, with the shared style sheets that it uses and the checks put in.
        guidelines: Markdown; empty if the folder has no `guidelines.md`.
        sample_task: `{"data": {…}}`; empty if the folder has none.
        sample_prediction: `{"model_version", "score", "result": […]}`; empty if the folder has none.
        controls: The fields, in the order of the screen, without the reserved controls.
        reserved: The controls of the flags block (and, in a review interface, of the decision).
        checks: The text of `checks.yaml`: rules between the fields, which `review_rules` reads; empty if there is none.
        checks_file: What faults in it call the file.
    """

    name: str
    xml: str
    guidelines: str = ""
    sample_task: Mapping[str, Any] = field(default_factory=dict)
    sample_prediction: Mapping[str, Any] = field(default_factory=dict)
    controls: tuple[Control, ...]
    reserved: tuple[Control, ...] = ()
    checks: str = ""
    checks_file: str = "checks.yaml"

    @property
    def all_controls(self) -> tuple[Control, ...]:
        """Fields and reserved controls: what `results.to_result` needs to write a whole form."""
        return self.controls + self.reserved

    @property
    def requires_something(self) -> bool:
        """True if some field cannot be left out: else two people who fill in nothing agree on an empty label."""
        return any(control.required for control in self.controls)

    @cached_property
    def guidelines_html(self) -> str:
        """The guidelines as safe HTML, for Label Studio's project instructions (`expert_instruction`)."""
        # Imported here: the Markdown parser takes longer to load than this module, and few ask for it.
        from ls_config.guidelines import to_html

        return to_html(self.guidelines)

    def control(self, name: str) -> Control:
        """Return the control of that name.

        Raises:
            KeyError: The interface has none.
        """
        for control in self.all_controls:
            if control.name == name:
                return control
        raise KeyError(name)

    def fields(self, row: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Return the `fields` object of a row's history.

        Args:
            row: Task data, or a row as imported: at least the keys that the object tags show.

        >>> load("rating").fields({"response": "Paris."})["tone"]
        {'kind': 'rating', 'min': 1, 'max': 5, 'required': True}
        """
        return {control.name: _field(control, row) for control in self.controls}


def _field(control: Control, row: Mapping[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {"kind": control.kind}
    if control.kind == "spans":
        text = row.get(control.value_key)
        # The rules check offsets against the text; a row without one can only hold spans that are wrong.
        described["text"] = text if isinstance(text, str) else ""
    for bound, value in (("min", control.min), ("max", control.max)):
        if value is not None:
            described[bound] = value
    # Left out where it is not required, as every other setting that a field does not have.
    return described | ({"required": True} if control.required else {})


def label_types() -> tuple[str, ...]:
    """Return the label types that come with Quorum.

    >>> label_types()
    ('classification', 'ner', 'rating', 'response_review')
    """
    return tuple(sorted(folder.parent.name for folder in HERE.glob("*/label.xml")))


def load(name_or_dir: str | Path) -> Interface:
    """Load a built-in label type, a team's own interface folder, or a `label.xml` by its path.

    Args:
        name_or_dir: A name from `label_types()`, a folder that holds `label.xml`, or the XML file itself.

    Raises:
        InterfaceError: The folder, the XML or a sample beside it cannot be used; `.faults` lists every reason.

    >>> [control.name for control in load("ner").controls]
    ['entities', 'response_type']
    """
    folder, xml_path = _locate(name_or_dir)
    xml = _read(xml_path)
    try:
        controls = parse_all(xml)
        _check_styles(xml)
    except InterfaceError as error:
        # Without the cause: it says the same, only without the file.
        raise InterfaceError(f"{xml_path}: {fault}" for fault in error.faults) from None
    guidelines = folder / "guidelines.md"
    composed, checks = _put_in(compose_styles(xml), xml_path, folder / "checks.yaml")
    return Interface(
        name=folder.name,
        xml=composed,
        guidelines=_read(guidelines) if guidelines.exists() else "",
        sample_task=_read_object(folder / "sample_task.json"),
        sample_prediction=_read_object(folder / "sample_prediction.json"),
        controls=tuple(control for control in controls if control.name not in RESERVED),
        reserved=tuple(control for control in controls if control.name in RESERVED),
        checks=checks,
        checks_file=str(folder / "checks.yaml"),
    )


def _put_in(xml: str, xml_path: Path, file: Path) -> tuple[str, str]:
    """An interface with its checks, and their text."""
    carried, text = carried_checks(xml), _read(file) if file.exists() else ""
    if carried and text:
        # An interface that was copied off a server; which of the two holds is not for us to say.
        raise InterfaceError([f"{xml_path}: line 1: has an attribute checks, and {file} is there too; remove one"])
    composed = with_checks(xml, text)
    try:
        parse_xml(composed)
    except InterfaceError as error:
        raise InterfaceError([f"{file}: holds a character that no label interface can carry"]) from error
    return composed, carried or text


def carried_checks(xml: str) -> str:
    """Return the text of the checks that an interface on a server carries; empty where it carries none."""
    return checks_in(parse_xml(xml))


def _check_styles(xml: str) -> None:
    names = ", ".join(stylesheets())
    faults = [
        f"line {line}: <Style use={name!r}>: no such style sheet; use {names}"
        for line, name in unknown_stylesheets(xml)
    ]
    if faults:
        raise InterfaceError(faults)


def _locate(name_or_dir: str | Path) -> tuple[Path, Path]:
    # A label type wins over a folder of that name in the current directory: docs and commands mean ours.
    if isinstance(name_or_dir, str) and name_or_dir in label_types():
        return HERE / name_or_dir, HERE / name_or_dir / "label.xml"
    path = Path(name_or_dir)
    if path.is_dir() and (path / "label.xml").is_file():
        return path.resolve(), path / "label.xml"
    if path.is_file():
        return path.resolve().parent, path
    names = ", ".join(label_types())
    raise InterfaceError([f"{name_or_dir}: no such label type or folder with a label.xml (label types: {names})"])


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InterfaceError([f"{path}: cannot be read as UTF-8 text ({error})"]) from error


def _read_object(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        value = json.loads(_read(path))
    except json.JSONDecodeError as error:
        raise InterfaceError([f"{path}: line {error.lineno}: not JSON ({error.msg})"]) from error
    if not isinstance(value, dict):
        raise InterfaceError([f"{path}: must hold one JSON object"])
    return value


def parse(xml: str) -> tuple[Control, ...]:
    """Return the fields of a labeling interface, in the order of the screen.

    Raises:
        InterfaceError: Every reason why Quorum cannot use it, each with its line.

    >>> xml = '<View><Text name="t" value="$t"/><Rating name="tone" toName="t" maxRating="7"/></View>'
    >>> [(control.name, control.kind, control.max) for control in parse(xml)]
    [('tone', 'rating', 7)]
    """
    return tuple(control for control in parse_all(xml) if control.name not in RESERVED)


def parse_all(xml: str) -> tuple[Control, ...]:
    """Do what `parse` does, and return the reserved controls (flags block, decision) too."""
    root = parse_xml(xml)
    # An object tag comes first where its control shares its name by mistake: the double name is a fault anyway.
    objects = {
        element.get("name", ""): element
        for element in elements(root)
        if element.get("name") and element.get("toName") is None
    }
    faults: list[str] = []
    controls = []
    faults.extend(_lost_answers(root))
    for element in elements(root):
        # An object tag or a part of the layout: nobody fills it in.
        if not element.get("name") or element.get("toName") is None or element.tag in _HELPER_TAGS:
            continue
        control, control_faults = _control(element, objects)
        faults.extend(control_faults)
        if control is not None:
            controls.append(control)
    # All faults at once, as people mend an interface in an editor and not fault by fault.
    faults.extend(_whole_faults(root, controls))
    if faults:
        raise InterfaceError(faults)
    return tuple(controls)


def is_readable(xml: str) -> bool:
    """Return whether an interface has no fault.

    >>> is_readable("<View/>")
    False
    """
    try:
        parse_all(xml)
    except InterfaceError:
        return False
    return True


def _lost_answers(root: etree._Element) -> Iterator[str]:
    """A fault for each place where people could fill in something that would be lost."""
    for element in elements(root):
        tag = str(element.tag)
        if tag in _LOSES:
            yield f"line {_line(element)}: <{tag}>: {_LOSES[tag]}"
        elif tag in _CONTROL_TAGS and not (element.get("name") and element.get("toName") is not None):
            lack = "toName" if element.get("name") else "name"
            yield f"line {_line(element)}: <{tag}>: has no {lack}, so that its answers would be lost; give it one"


def parse_xml(xml: str) -> etree._Element:
    """Return the XML's root element; entities are never expanded and a document type is refused.

    Raises:
        InterfaceError: Not well-formed, with half a character, or with a document type.
    """
    # An interface may come from anybody: no entity may read a file or grow without bound.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
    try:
        content = xml.encode("utf-8")
    except UnicodeEncodeError as error:
        line = xml.count("\n", 0, error.start) + 1
        raise InterfaceError([f"line {line}: half a character (a lone surrogate); write it again"]) from error
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        line = error.lineno if error.lineno is not None else 1
        raise InterfaceError([f"line {line}: not well-formed XML ({error.msg}); see docs/interfaces.md"]) from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise InterfaceError(["line 1: a document type (<!DOCTYPE …>) is not allowed; remove it"])
    return root


def elements(root: etree._Element) -> Iterator[etree._Element]:
    """Return every element in document order, the root included, without processing instructions."""
    return (element for element in root.iter() if isinstance(element.tag, str))


def _control(element: etree._Element, objects: Mapping[str, etree._Element]) -> tuple[Control | None, tuple[str, ...]]:
    name, tag = element.get("name", ""), str(element.tag)
    where = f"line {_line(element)}: <{tag} name={name!r}>"
    # Label Studio allows several targets; a region's text and offsets are those of the first.
    to_name, *also_to = (part.strip() for part in element.get("toName", "").split(","))
    target = objects.get(to_name)
    if tag not in _CONTROL_TAGS:
        return None, (f"{where}: Quorum cannot compare this tag; use one of {', '.join(sorted(_CONTROL_TAGS))}",)
    if target is None:
        return None, (f"{where}: toName={to_name!r} names no object tag (Text, Image, …) of this interface",)
    kind, faults = _kind(element, target)
    faults = [f"{where}: {fault}" for fault in (*faults, *_attribute_faults(element))]
    options = _options(element)
    if tag in _OPTION_TAGS:
        faults.extend(f"{where}: {fault}" for fault in _option_faults(element, options))
    low, high, fault = _bounds(element)
    if fault:
        faults.append(f"{where}: {fault}")
    if faults or kind is None:
        return None, tuple(faults)
    return Control(
        name=name,
        kind=kind,
        to_name=to_name,
        value_key=_value_key(target),
        result_type=tag.lower(),
        labels=tuple(stored for stored, _, _ in options),
        shown=tuple(title for _, title, _ in options),
        colors=tuple(color for _, _, color in options),
        min=low,
        max=high,
        renamed=_renamed(element),
        required=element.get("required") == "true",
        line=_line(element),
        also_to=tuple(also_to),
    ), ()


def _kind(element: etree._Element, target: etree._Element) -> tuple[str | None, list[str]]:
    tag, on = str(element.tag), str(target.tag)
    if tag == "Choices":
        return ("choices" if element.get("choice") == "multiple" else "choice"), []
    if tag == "Labels" and on in _TEXT_TAGS:
        # Offsets can be checked only in a text that the task itself holds.
        faults = ["labels text behind a URL; put the text itself into the task"] if _is_url(target) else []
        return "spans", faults if _value_key(target) else [*faults, 'labels a constant text; use value="$key"']
    if tag == "TimeSeriesLabels" or (tag == "Labels" and on in _TIME_TAGS):
        return "segments", []
    if tag == "Labels":
        return None, [f"labels spans on <{on}>, whose offsets Quorum cannot check; use <Text> (or <Audio>)"]
    simple = {"Rating": "rating", "Number": "number", "TextArea": "text", "RectangleLabels": "boxes"}
    return simple[tag], []


def _line(element: etree._Element) -> int:
    line = element.sourceline
    return line if isinstance(line, int) else 0


def _is_url(target: etree._Element) -> bool:
    return target.get("valueType") == "url"


def _value_key(target: etree._Element) -> str:
    value = target.get("value", "")
    return value[1:] if value.startswith("$") else ""


def _attribute_faults(element: etree._Element) -> Iterator[str]:
    if element.get("perRegion") == "true":
        yield "perRegion answers cannot be compared row by row; make it a control of the whole row"
    if element.tag in _OPTION_TAGS and (element.get("value") or "").startswith("$"):
        yield "takes its options from the task; Quorum needs them in the XML"
    if element.get("allownested") == "true":
        yield "nested choices cannot be compared; use two controls"


def with_renames(xml: str, current: str, renames: Mapping[str, Mapping[str, str]]) -> str:
    """Return an interface in which labels of earlier answers are read as labels that it has now.

    A label says in `was` what it was called before (several names with `|` between them), so that the map stands with
    the labels that it is about, wherever an answer is read. Answers stay as people gave them.

    Args:
        xml: The interface as it shall be.
        current: The interface as it is; what it says of earlier labels is carried on.
        renames: Field → label of now → label to be.

    Raises:
        InterfaceError: A rename names a field or a label that is not there.

    >>> now = '<View><Text name="t" value="$t"/><Choices name="v" toName="t"><Choice value="B"/></Choices></View>'
    >>> parse(with_renames(now, now.replace('"B"', '"A"'), {"v": {"A": "B"}}))[0].renamed
    {'A': 'B'}
    """
    earlier = {control.name: dict(control.renamed) for control in parse_all(current)}
    faults = list(_rename_faults(xml, current, renames))
    if faults:
        raise InterfaceError(faults)
    for name, labels in renames.items():
        known = earlier[name]
        # What was read as a label that is renamed again goes with it.
        known |= {old: labels[now] for old, now in known.items() if now in labels} | dict(labels)
    if not any(earlier.values()):
        return xml
    root = parse_xml(xml)
    for element in elements(root):
        if element.tag in _OPTION_TAGS and element.get("toName") is not None:
            _write_earlier(element, earlier.get(element.get("name", ""), {}))
    return etree.tostring(root, encoding="unicode")


def carry_renames(interface: Interface, current: str, renames: Mapping[str, Mapping[str, str]]) -> Interface:
    """Return the interface with the renames of `with_renames`; the same one where there are none."""
    xml = with_renames(interface.xml, current, renames)
    if xml == interface.xml:
        return interface
    controls = parse_all(xml)
    return replace(
        interface,
        xml=xml,
        controls=tuple(control for control in controls if control.name not in RESERVED),
        reserved=tuple(control for control in controls if control.name in RESERVED),
    )


def _rename_faults(xml: str, current: str, renames: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    old, new = ({control.name: control for control in parse_all(text)} for text in (current, xml))
    for name, labels in renames.items():
        if name not in old or name not in new:
            yield f"--rename {name}: the interface has no field of that name, before and after"
            continue
        for before, after in labels.items():
            # A set-up that runs again, or goes on where one was cut off, finds it done.
            if old[name].renamed.get(before) == after:
                continue
            if before not in old[name].labels:
                yield f"--rename {name}: {before!r} is no label of now ({', '.join(old[name].labels)})"
            if after not in new[name].labels:
                yield f"--rename {name}: {after!r} is no label of the new interface ({', '.join(new[name].labels)})"
            if before in new[name].labels:
                yield f"--rename {name}: {before!r} is also a label of the new interface; it cannot mean two things"
            if _BETWEEN in before:
                yield f"--rename {name}: {before!r} has a {_BETWEEN!r} in it, which stands between earlier labels"


def _write_earlier(element: etree._Element, earlier: Mapping[str, str]) -> None:
    """Write into each option of a control what it was called before."""
    options = list(element.iter(_OPTION_TAGS[str(element.tag)]))
    labels = {_option(option)[0] for option in options}
    for option in options:
        label = _option(option)[0]
        names = [*_earlier_names(option), *(old for old, now in earlier.items() if now == label)]
        known = [name for name in dict.fromkeys(names) if name not in labels]
        if known:
            option.set(_EARLIER, _BETWEEN.join(known))


def _earlier_names(option: etree._Element) -> list[str]:
    return [name for name in (option.get(_EARLIER) or "").split(_BETWEEN) if name]


def _renamed(element: etree._Element) -> dict[str, str]:
    """Earlier label → label of now."""
    tag = _OPTION_TAGS.get(str(element.tag))
    options = list(element.iter(tag) if tag else ())
    return {name: _option(option)[0] for option in options for name in _earlier_names(option)}


def _options(element: etree._Element) -> tuple[tuple[str, str, str], ...]:
    """Return (stored value, what people read, colour) of each option; Label Studio stores the alias, if any."""
    tag = _OPTION_TAGS.get(str(element.tag))
    return tuple(_option(option) for option in (element.iter(tag) if tag else ()))


def _option(option: etree._Element) -> tuple[str, str, str]:
    title = option.get("value") or ""
    return option.get("alias") or title, title, option.get("background") or ""


def _option_faults(element: etree._Element, options: tuple[tuple[str, str, str], ...]) -> Iterator[str]:
    if not options:
        yield f"has no <{_OPTION_TAGS[str(element.tag)]}>; list what people can choose"
    if any(not title for _, title, _ in options):
        yield "has an option without a value"
    known = [stored for stored, _, _ in options]
    names = [name for option in element.iter(_OPTION_TAGS[str(element.tag)]) for name in _earlier_names(option)]
    for name in sorted({name for name in names if name in known or names.count(name) > 1}):
        yield f"{_EARLIER}={name!r} is another label too; an earlier label means one label of now"
    for stored, count in Counter(stored for stored, _, _ in options).items():
        # Two options with one stored value can't be told apart in a result.
        if stored and count > 1:
            yield f"stores {stored!r} for {count} options; each needs its own value or alias"
    if any(option.get("value") is not None and len(option) for option in element.iter("Choice")):
        yield "nested choices cannot be compared; use two controls"


def _bounds(element: etree._Element) -> tuple[Number | None, Number | None, str]:
    if element.tag == "Rating":
        top = _number(element.get("maxRating", str(_DEFAULT_MAX_RATING)))
        if not isinstance(top, int) or top < 1:
            return None, None, "maxRating must be a whole number of at least 1"
        return 1, top, ""
    if element.tag != "Number":
        return None, None, ""
    low, high = element.get("min"), element.get("max")
    if any(raw is not None and _number(raw) is None for raw in (low, high)):
        return None, None, "min and max must be numbers"
    return (_number(low) if low else None), (_number(high) if high else None), ""


def _number(text: str) -> Number | None:
    # A whole number stays one: 5.0 in a form or a report would puzzle people.
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    return None


def _whole_faults(root: etree._Element, controls: Iterable[Control]) -> Iterator[str]:
    controls = tuple(controls)
    if not any(control.name not in RESERVED for control in controls):
        yield "line 1: the interface asks for nothing; add a control such as <Choices>"
    names = Counter(element.get("name") for element in elements(root) if element.get("name"))
    for name, count in names.items():
        if count > 1:
            yield f"line 1: the name {name!r} is used {count} times; names must be unique"
    for control in controls:
        yield from _reserved_faults(control)


def _reserved_faults(control: Control) -> Iterator[str]:
    where = f"line {control.line}: {control.name!r}"
    if control.name in {"flag_reason", "decision_reason", "decision_note", "review_of"} and control.kind != "text":
        yield f"{where} is reserved for the reason and must be a <TextArea>"
    if control.name == "flags":
        unknown = [flag for flag in control.labels if flag not in CORE_FLAGS and not flag.startswith("domain:")]
        if control.kind != "choices" or unknown:
            names = ", ".join(CORE_FLAGS)
            yield f'{where} must be <Choices choice="multiple"> with the aliases {names} or domain:<name>' + (
                f", not {', '.join(map(repr, unknown))}" if unknown else ""
            )
    if control.name == "decision_to" and control.kind != "choices":
        yield f'{where} is reserved for whom a return names and must be <Choices choice="multiple">'
    if control.name == "decision" and (control.kind != "choice" or {*control.labels} - {RETURN} != set(DECISIONS)):
        yield f"{where} must be single <Choices> with the aliases {', '.join(DECISIONS)}"
