"""CEL expressions: the policy's `escalate_when` and an interface's checks, looked at when the file is loaded.

The only module that knows the CEL library, which is imported on first use: it brings a terminal interface along, and
most policies have no expression. Source: the Common Expression Language definition, google/cel-spec.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

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


_PLAIN_ROW: Final[Mapping[str, Any]] = MappingProxyType(
    {"domain": "general", "flags": [], "conflicts": [], "agreement": {}, "auto_label_changed": False}
)


def mistakes(source: str, variables: Iterable[str] = VARIABLES) -> list[Mistake]:
    """Everything wrong with an expression that can be known without a row.

    Args:
        source: the expression.
        variables: what it may refer to; only one over those of the rules is tried on a plain row.

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
    allowed = tuple(variables)
    unknown = set(references["variables"]) - set(allowed) - _TYPES
    wrong = [Mistake(offset, f"unknown name `{name}`", name) for offset, name in _free_names(source) if name in unknown]
    for name in references["functions"]:
        if re.fullmatch(r"[A-Za-z]\w*", name) and name not in FUNCTIONS:
            wrong.append(Mistake(max(source.find(name), 0), f"unknown function `{name}`", name))
    wrong.extend(_too_deep(source))
    if wrong:
        return sorted(wrong, key=lambda mistake: mistake.offset)
    return _wrong_result(source) if allowed == VARIABLES else []


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
    try:
        result = _program(source).execute(dict(_PLAIN_ROW))
    except _FAILURES:  # it may need a field or a flag that this row lacks: not a mistake
        return []
    return [] if isinstance(result, bool) else [Mistake(0, f"this is {_described(result)}, not true or false")]


def names_in(source: str) -> frozenset[str]:
    """What an expression without mistakes refers to.

    >>> sorted(names_in("verdict == 'Correct' && issues.exists(i, i == 'Code error')"))
    ['issues', 'verdict']
    """
    known = set(_program(source).references()["variables"])
    return frozenset(name for _, name in _free_names(source) if name in known) - _TYPES


def value_of(source: str, variables: Mapping[str, Any]) -> bool | None:
    """Whether an expression is true of these values; None if it fails on them.

    >>> value_of("correctness < 4", {"correctness": 3}), value_of("correctness < 4", {})
    (True, None)
    """
    try:
        result = _program(source).execute(dict(variables))
    except _FAILURES:
        return None
    return result if isinstance(result, bool) else None


def wrong_type(source: str, variables: Mapping[str, Any]) -> str | None:
    """What an expression without unknown names does with values of these types that they cannot do; None if nothing."""
    try:
        result = _program(source).execute(dict(variables))
    except TypeError:
        return "this compares or computes with values of other types"
    except RuntimeError as error:
        # Every name is known by now, so that only a function can be missing, of a value that does not have it.
        function = _NO_FUNCTION.search(str(error))
        return f"the function `{function[1]}` is not for a value of this type" if function else None
    except _FAILURES:
        return None
    return None if isinstance(result, bool) else f"this is {_described(result)}, not true or false"


class Compared(NamedTuple):
    """A value that stands in an expression beside a name: `name == value`, `name.member == value`, `value in name`.

    Attributes:
        offset: where the value stands.
        name: the variable; that over whose elements a macro goes, where the name is the macro's own.
        is_element: whether the name is a macro's own.
        member: what is read of it, if anything.
        operator: `==`, `!=`, `<`, `<=`, `>`, `>=` or `in`.
        value: the text, number or truth value.
    """

    offset: int
    name: str
    is_element: bool
    member: str
    operator: str
    value: str | float | bool


def compared(source: str) -> Iterator[Compared]:
    """Every literal that a name is compared with, or looked for in, in an expression that is CEL.

    >>> [(c.name, c.operator, c.value) for c in compared("verdict in ['A', 'B'] || 4 > tone")]
    [('verdict', '==', 'A'), ('verdict', '==', 'B'), ('tone', '>', 4)]
    """
    parts = list(_joined(source))
    owners = _macro_names(parts)
    for index, (offset, text) in enumerate(parts):
        before, after = _operator(parts, index - 1), _operator(parts, index + 1)
        value = _literal(text)
        if value is None:
            continue
        if after and _is_path(parts, index + 2):
            name, operator = parts[index + 2][1], after
        elif before and _is_path(parts, index - 2):
            name, operator = parts[index - 2][1], before
        elif (listed := _list_of(parts, index)) is not None:
            name, operator = listed, "=="
        else:
            continue
        name, _, member = name.partition(".")
        yield Compared(offset, owners.get(name, name), name in owners, member, operator, value)


_NO_FUNCTION: Final = re.compile(r"Undefined variable or function: '(\w+)'")
_OPERATORS: Final = frozenset({"==", "!=", "<", "<=", ">", ">=", "in"})
_Parts = list[tuple[int, str]]


def _joined(source: str) -> Iterator[tuple[int, str]]:
    """The tokens with their offsets, where signs of two characters, negative numbers and `name.member` are one."""
    yield from ((token.start(), token[0]) for token in _JOINED.finditer(source))


_JOINED: Final = re.compile(
    _TOKEN.pattern.replace(r"(?P<name>[A-Za-z_]\w*)", r"(?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*(?!\w*\s*\())?)")
    .replace(r"(?P<number>\d", r"(?P<number>(?<![\w)\]])-?\d")
    .replace(r"(?P<sign>", r"(?P<sign>[=!<>]=|"),
    re.VERBOSE | re.DOTALL | re.ASCII,
)


def _literal(text: str) -> str | float | bool | None:
    if text in ("true", "false"):
        return text == "true"
    if text[0] not in "\"'-0123456789" and not re.match(r"[rR]['\"]", text):
        return None
    try:
        value = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return None
    return value if isinstance(value, str | int | float) else None


def _operator(parts: _Parts, index: int) -> str:
    text = parts[index][1] if 0 <= index < len(parts) else ""
    return text if text in _OPERATORS else ""


def _is_path(parts: _Parts, index: int) -> bool:
    """Whether a name stands there that is neither called nor a word of the language."""
    if not 0 <= index < len(parts) or not re.match(r"[A-Za-z_]", parts[index][1]):
        return False
    if _literal(parts[index][1]) is not None:
        return False
    called = index + 1 < len(parts) and parts[index + 1][1] in ("(", ".", "[")
    return not called and parts[index][1] not in ("in", "null") and (index == 0 or parts[index - 1][1] != ".")


def _list_of(parts: _Parts, index: int) -> str | None:
    """The name that is looked for in the list around this place, as in `name in [a, b]`."""
    start = index
    while start >= 0 and parts[start][1] != "[":
        if parts[start][1] not in (",", parts[index][1]) and _literal(parts[start][1]) is None:
            return None
        start -= 1
    return parts[start - 2][1] if start >= 2 and parts[start - 1][1] == "in" and _is_path(parts, start - 2) else None


def _macro_names(parts: _Parts) -> dict[str, str]:
    """Names that macros bind, with the variable over whose elements each goes: `field.exists(name, …)`."""
    texts = [text for _, text in parts]
    return {
        texts[place + 4]: texts[place]
        for place in range(len(texts) - 5)
        if texts[place + 2] in _MACROS and [texts[place + step] for step in (1, 3, 5)] == [".", "(", ","]
    }


_MACROS: Final = frozenset({"all", "exists", "exists_one", "map", "filter"})


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
