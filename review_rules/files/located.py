"""Read YAML that people write: typed values with line and column, every fault collected, none raised on the way."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import accumulate
from typing import TypeVar

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from review_rules.files.faults import Fault, FaultsError
from review_rules.values import Name

Word = TypeVar("Word", bound=Name)
_TAG = "tag:yaml.org,2002:"
_DEEPEST = 50


@dataclass(slots=True)
class Located:
    """A place in a YAML file: its node, its dotted path, and the list that all places of the file add faults to."""

    node: Node
    path: str
    file: str
    faults: list[Fault] = field(repr=False)

    @property
    def line(self) -> int:
        """The line from 1."""
        return int(self.node.start_mark.line) + 1

    @property
    def column(self) -> int:
        """The column from 1."""
        return int(self.node.start_mark.column) + 1

    def fault(self, message: str, hint: str, *, shift: int = 0) -> None:
        """Note a fault here, `shift` columns further right."""
        self.faults.append(Fault(self.file, self.line, self.column + shift, self.path, message, hint))

    def within(self, node: Node, step: str) -> Located:
        """The place of a child."""
        path = step if not self.path else self.path + step if step.startswith("[") else f"{self.path}.{step}"
        return Located(node, path, self.file, self.faults)

    @property
    def inset(self) -> int | None:
        """How many columns before the text of a scalar starts; None for a block, whose text starts on a later line."""
        style = getattr(self.node, "style", None)
        return 1 if style in ("'", '"') else 0 if style is None else None

    @property
    def is_null(self) -> bool:
        """Whether nothing, `~` or `null` stands here."""
        return isinstance(self.node, ScalarNode) and self.node.tag == _TAG + "null"

    @property
    def is_text(self) -> bool:
        """Whether a piece of text stands here."""
        return isinstance(self.node, ScalarNode) and self.node.tag == _TAG + "str"

    def entries(self) -> Iterator[tuple[str, Located, Located]]:
        """The entries of a mapping as (name, place of the key, place of the value).

        A key that is no text or comes twice is a fault and left out.
        """
        if not isinstance(self.node, MappingNode):
            self.fault(f"this should be a mapping, but is {self._shape()}", "Write `key: value` pairs here.")
            return
        seen: dict[str, int] = {}
        for key_node, value_node in self.node.value:
            name = str(key_node.value) if isinstance(key_node, ScalarNode) else ""
            key = self.within(key_node, name)
            if not key.is_text:
                key.fault("this key is not text", "Put it in quotes.")
            # YAML lets the later of two equal keys win without a word, which people do not expect.
            elif name in seen:
                key.fault(f"the key `{name}` stands here twice", f"Remove one; the first is on line {seen[name]}.")
            else:
                seen[name] = key.line
                yield name, key, self.within(value_node, name)

    def known(self, names: Iterable[str], required: Iterable[str] = ()) -> Mapping[str, Located]:
        """The entries of a mapping whose keys are fixed; unknown and missing ones are faults."""
        allowed = tuple(names)
        places: dict[str, Located] = {}
        for name, key, place in self.entries():
            if name in allowed:
                places[name] = place
            else:
                key.fault(f"unknown key `{name}`", did_you_mean(name, allowed))
        if isinstance(self.node, MappingNode):
            present = {str(key.value) for key, _ in self.node.value}
            for name in required:
                if name not in present:
                    self.fault(f"the key `{name}` is missing", f"Add `{name}: …`.")
        return places

    def items(self) -> list[Located]:
        """The places of a list's items; anything but a list is a fault."""
        if not isinstance(self.node, SequenceNode):
            self.fault(f"this should be a list, but is {self._shape()}", "Write `[a, b]`, or one `- item` a line.")
            return []
        return [self.within(node, f"[{index}]") for index, node in enumerate(self.node.value)]

    def text(self) -> str | None:
        """Non-empty text, or None and a fault."""
        if not self.is_text:
            self.fault(f"this should be text, but is {self._shape()}", "Put it in quotes.")
            return None
        text = str(self.node.value)
        if not text.strip():
            self.fault("this text is empty", "Write something, or remove the key.")
            return None
        return text

    def one_of(self, words: type[Word], what: str) -> Word | None:
        """One of some words, or None and a fault."""
        members = {str(member): member for member in words}
        # A list of words has no one word to look up, and its text would be a list of nodes.
        if not isinstance(self.node, ScalarNode):
            self.fault(f"this should be a {what}, but is {self._shape()}", f"Use one of {', '.join(members)}.")
            return None
        word = str(self.node.value)
        if word not in members:
            self.fault(f"unknown {what} `{word}`", did_you_mean(word, members))
        return members.get(word)

    def number(self, low: float, high: float = math.inf) -> float | None:
        """A finite number in low..high, or None and a fault."""
        value = self._scalar_number()
        if value is None or not math.isfinite(value):
            self.fault(f"this should be a number, but is {self._shape()}", f"Write a number {_span(low, high)}.")
            return None
        if not low <= value <= high:
            self.fault(f"{self.node.value} is out of range", f"Write a number {_span(low, high)}.")
            return None
        return value

    def whole(self, low: int) -> int | None:
        """A whole number of at least `low`, or None and a fault."""
        value = self._scalar_number() if self._tag() == "int" else None
        if value is None or value < low:
            shape = self._shape() if value is None else str(self.node.value)
            self.fault(f"this should be a whole number, at least {low}, but is {shape}", f"Write {low} or more.")
            return None
        return int(value)

    def flag(self) -> bool | None:
        """True or false, or None and a fault."""
        word = str(getattr(self.node, "value", "")).lower()
        if self._tag() == "bool" and word in ("true", "false"):
            return word == "true"
        self.fault(f"this should be true or false, but is {self._shape()}", "Write `true` or `false`.")
        return None

    def _scalar_number(self) -> float | None:
        if self._tag() not in ("int", "float"):
            return None
        text = str(self.node.value).replace("_", "")
        # Python refuses to read a number of thousands of digits, which would be an error of ours.
        if len(text) > 100:
            return None
        if self._tag() == "float":
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        return int(text, 0) if text.lstrip("+-")[:2].lower() in ("0x", "0o", "0b") else int(text)

    def _tag(self) -> str:
        return str(self.node.tag).removeprefix(_TAG)

    def _shape(self) -> str:
        """What stands here, in words."""
        if isinstance(self.node, MappingNode):
            return "a mapping"
        if isinstance(self.node, SequenceNode):
            return "a list"
        shown = str(self.node.value)
        shown = shown if len(shown) <= 40 else shown[:40] + "…"
        return {"null": "empty", "str": f"the text `{shown}`"}.get(self._tag(), f"`{shown}`")


def read_yaml(text: str, file: str) -> Located:
    """The root of a YAML (or JSON) document.

    Raises:
        FaultsError: the text is no YAML, holds nothing, or holds several documents.
    """
    try:
        # A thousand brackets in one line cost the composer seconds; the events of the first fifty tell the fault.
        if _bracket_depth(text) > _DEEPEST and (place := _too_deep(text)) is not None:
            raise _nested_too_deep(file, place)
        node = YAML(typ="rt").compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        message = (error.problem or error.context or "not YAML").strip()
        fault = Fault(file, line, column, "", f"this is not YAML: {message}", "Check indentation, quotes and brackets.")
        raise FaultsError((fault,)) from error
    except YAMLError as error:
        position = getattr(error, "position", 0)
        before = text[:position]
        line, column = before.count("\n") + 1, position - before.rfind("\n")
        message = f"the character U+{ord(text[position]):04X} is not allowed in YAML" if text else str(error)
        raise FaultsError((Fault(file, line, column, "", message, "Remove it."),)) from error
    except RecursionError as error:
        raise _nested_too_deep(file, _too_deep(text) or (1, 1)) from error
    if node is None:
        raise FaultsError((Fault(file, 1, 1, "", "the file is empty", "Start from the example in docs/rules.md."),))
    return Located(node, "", file, [])


def _bracket_depth(text: str) -> int:
    """How deep brackets nest; those within quotes count too, so that the true depth may be less."""
    steps = (1 if bracket in "[{" else -1 for bracket in re.findall(r"[][{}]", text))
    return max(accumulate(steps), default=0)


def _too_deep(text: str) -> tuple[int, int] | None:
    """Line and column, from 1, of the first node that lies too deep; the events come without recursion."""
    depth = 0
    for event in YAML(typ="rt").parse(text):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > _DEEPEST:
            return event.start_mark.line + 1, event.start_mark.column + 1
    return None


def _nested_too_deep(file: str, place: tuple[int, int]) -> FaultsError:
    hint = "Our files are a few levels deep; see the example in docs/rules.md."
    return FaultsError((Fault(file, *place, "", "the brackets are nested too deep", hint),))


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """A hint that names the likeliest of the allowed words, or all of them.

    >>> did_you_mean("anotator", ["annotator", "qa"])
    'Did you mean `annotator`?'
    >>> did_you_mean("x", ["annotator", "qa"])
    'Use one of annotator, qa.'
    """
    words = list(allowed)
    close = get_close_matches(word, words, n=1)
    return f"Did you mean `{close[0]}`?" if close else f"Use one of {', '.join(words)}."


def _span(low: float, high: float) -> str:
    return f"of at least {low:g}" if math.isinf(high) else f"between {low:g} and {high:g}"
