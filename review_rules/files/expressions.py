"""The policy's `escalate_when`: CEL expressions, checked when the policy is loaded, run on each row.

The only module that knows the CEL library, which is imported on first use: it brings a terminal interface along, and
most policies have no expression. Source: the Common Expression Language definition, google/cel-spec.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import cel

VARIABLES = ("domain", "flags", "conflicts", "agreement", "auto_label_changed")
"""What an expression may refer to."""

FUNCTIONS = frozenset(
    {
        "size",
        "contains",
        "startsWith",
        "endsWith",
        "matches",
        "string",
        "int",
        "uint",
        "double",
        "bytes",
        "duration",
        "timestamp",
        "type",
        "dyn",
        "getFullYear",
        "getMonth",
        "getDate",
        "getDayOfMonth",
        "getDayOfWeek",
        "getDayOfYear",
        "getHours",
        "getMinutes",
        "getSeconds",
        "getMilliseconds",
    }
)
"""The functions that the library has; `has` and the macros all, exists, exists_one, map and filter are no functions."""

LONGEST = 2000
"""Characters of an expression. With `DEEPEST` it bounds what one row can cost: lists in it are at most that long."""

DEEPEST = 2
"""How many macros may stand within each other; each further one multiplies the work by the length of a list."""

_TYPES = frozenset({"bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"})
_FAILURES = (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)
_TOKEN = re.compile(
    r"""(?P<literal>[rRbB]{0,2}(?:\"{3}.*?\"{3}|'{3}.*?'{3}|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'))
      |(?P<name>[A-Za-z_]\w*)|(?P<number>\d[\w.]*)|(?P<sign>[^\s\w])""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_BINDING_MACRO = re.compile(r"\.\s*(?:all|exists|exists_one|map|filter)\s*\(\s*([A-Za-z_]\w*)\s*,", re.ASCII)
_POSITION = re.compile(r"<input>:(\d+):(\d+): (?:Syntax error: )?([^\n]*)")


class Facts(NamedTuple):
    """What an expression is told about a row: the CEL variables of the rules.

    `agreement` holds (field, score) pairs, so that facts can be compared and remembered, and a tuple does that fast.
    """

    domain: str
    flags: tuple[str, ...]
    conflicts: tuple[str, ...]
    agreement: tuple[tuple[str, float], ...]
    auto_label_changed: bool


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong with an expression, and where in it (0 is its first character)."""

    offset: int
    message: str
    name: str | None = None


def mistakes(source: str) -> list[Mistake]:
    """Everything wrong with an expression that can be known without a row.

    >>> mistakes("domain == 'legal' && size(flags) > 1")
    []
    >>> [(m.offset, m.message) for m in mistakes("domian == 'legal'")]
    [(0, 'unknown name `domian`')]
    >>> mistakes("size(flags)")[0].message
    'this is a number, not true or false'
    """
    if len(source) > LONGEST:
        return [Mistake(0, f"this has {len(source):,} characters, more than {LONGEST:,}")]
    try:
        program = _program(source)
    except ValueError as error:
        return [_syntax_mistake(source, str(error))]
    references = program.references()
    unknown = set(references["variables"]) - set(VARIABLES) - _TYPES
    wrong = [Mistake(offset, f"unknown name `{name}`", name) for offset, name in _free_names(source) if name in unknown]
    for name in references["functions"]:
        if re.fullmatch(r"[A-Za-z]\w*", name) and name not in FUNCTIONS:
            wrong.append(Mistake(max(source.find(name), 0), f"unknown function `{name}`", name))
    wrong.extend(_too_deep(source))
    return sorted(wrong, key=lambda mistake: mistake.offset) if wrong else _wrong_result(source)


def holds(source: str, facts: Facts) -> tuple[bool, str | None]:
    """Whether an expression is true of a row; one that fails counts as true, and the second value says why.

    >>> facts = Facts("legal", ("unsure",), (), (("verdict", 0.5),), False)
    >>> holds("domain == 'legal' && agreement.verdict < 0.6", facts)
    (True, None)
    >>> holds("agreement.verdict * 2 < 3", facts)[0]
    True
    """
    return _holds(source, facts)


@lru_cache(maxsize=8192)
def _holds(source: str, facts: Facts) -> tuple[bool, str | None]:
    """A pure function of its arguments, so remembering it changes nothing but speed."""
    try:
        result = _program(source).execute(
            {
                "domain": facts.domain,
                "flags": list(facts.flags),
                "conflicts": list(facts.conflicts),
                "agreement": dict(facts.agreement),
                "auto_label_changed": facts.auto_label_changed,
            }
        )
    except _FAILURES as error:
        return True, _one_line(error)
    if not isinstance(result, bool):
        return True, f"it is {_described(result)}, not true or false"
    return result, None


@lru_cache(maxsize=256)
def _program(source: str) -> cel.Program:
    import cel

    return cel.compile(source)


def _wrong_result(source: str) -> list[Mistake]:
    """An expression that comes to something else than true or false on a plain row."""
    facts = {"domain": "general", "flags": [], "conflicts": [], "agreement": {}, "auto_label_changed": False}
    try:
        result = _program(source).execute(facts)
    except _FAILURES:  # it may need a field or a flag that this row lacks: not a mistake
        return []
    return [] if isinstance(result, bool) else [Mistake(0, f"this is {_described(result)}, not true or false")]


_KINDS = MappingProxyType({int: "a number", float: "a number", str: "text", list: "a list", dict: "a map"})


def _described(result: object) -> str:
    return _KINDS.get(type(result), "something else")


def _one_line(error: Exception) -> str:
    """The first line of an error's text: the library adds advice that does not hold for policies."""
    if isinstance(error, KeyError):
        return f"there is no key {error}"
    text = str(error).split("\n")[0].split(". Check that")[0]
    return text if len(text) <= 200 else text[:200] + "…"


def _syntax_mistake(source: str, text: str) -> Mistake:
    position = _POSITION.search(text)
    if position is None:
        return Mistake(0, f"this is not CEL: {text.split(chr(10))[0][:120]}")
    line, column = int(position[1]), int(position[2])
    before = sum(len(part) + 1 for part in source.split("\n")[: line - 1])
    return Mistake(min(before + column - 1, len(source)), f"this is not CEL: {position[3].split(' expecting ')[0]}")


def _free_names(source: str) -> Iterator[tuple[int, str]]:
    """Names that are no member, no function and not bound by a macro around them, with their offsets."""
    bound = list(_bindings(source))
    tokens = list(_TOKEN.finditer(source))
    for index, token in enumerate(tokens):
        if token["name"] is None:
            continue
        after = tokens[index + 1][0] if index + 1 < len(tokens) else ""
        before = tokens[index - 1][0] if index else ""
        place, name = token.start(), token[0]
        if after == "(" or before == ".":
            continue
        if not any(start <= place < end and name == variable for start, end, variable in bound):
            yield place, name


def _too_deep(source: str) -> Iterator[Mistake]:
    """The macros that stand within `DEEPEST` others."""
    stretches = list(_bindings(source))
    for start, _, _ in stretches:
        if sum(outer < start < end for outer, end, _ in stretches) == DEEPEST:
            yield Mistake(start, f"more than {DEEPEST} of all, exists, exists_one, map and filter within each other")


def _bindings(source: str) -> Iterator[tuple[int, int, str]]:
    """The stretches of the source in which a macro binds a name, as (start, end, name)."""
    quiet = _TOKEN.sub(lambda token: " " * len(token[0]) if token["literal"] else token[0], source)
    for macro in _BINDING_MACRO.finditer(quiet):
        opening = quiet.index("(", macro.start())
        depths = accumulate({"(": 1, ")": -1}.get(sign, 0) for sign in quiet[opening:])
        yield opening, opening + next(place for place, depth in enumerate(depths) if depth == 0), macro[1]
