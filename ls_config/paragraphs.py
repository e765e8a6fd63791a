"""Guidelines by paragraph: a heading is the address of what stands under it, and two texts differ by paragraphs.

The same reader of Markdown that shows guidelines finds their headings, so that a `#` inside of code is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore

__all__ = [
    "READER",
    "Line",
    "LineKind",
    "Paragraph",
    "ParagraphChange",
    "about_word",
    "fold",
    "guidelines_hash",
    "paragraph_changes",
    "paragraphs",
    "plain_words",
    "titles",
]

# What a heading is about, at its end: `## Amounts of money {#entities.MONEY}`.
_CLASS: Final = "about-"
_ABOUT: Final = re.compile(r"\s*\{#([^{}]+)\}\s*$")


def _take_abouts(state: StateCore) -> None:
    """Make what headings say that they are about a class of theirs, which Label Studio keeps, instead of words."""
    for heading, inline in pairwise(state.tokens):
        if heading.type != "heading_open" or not inline.children:
            continue
        last = inline.children[-1]
        if about := _ABOUT.search(last.content) if last.type == "text" else None:
            last.content = last.content[: about.start()]
            heading.attrSet("class", _CLASS + about_word(about[1]))


def about_word(name: str) -> str:
    """A field or label as a class of a heading has it.

    >>> about_word("Response_type.Direct answer")
    'response-type.direct-answer'
    """
    return re.sub(r"[_\s]+", "-", name.strip().lower())


READER: Final = MarkdownIt("commonmark", {"html": False}).enable("table")
"""The one reader of guidelines, for their page as for their paragraphs; HTML typed into them is text."""
READER.core.ruler.push("about", _take_abouts)
BEGINNING: Final = "beginning"
"""The address of what stands before the first heading."""
_LONGEST: Final = 190
"""Characters of an address, before the number of one that comes again."""
_NO_WORD: Final = re.compile(r"[^\w]+")
_ENDS: Final = re.compile(r"\r\n?")


def guidelines_hash(text: str) -> str:
    """The hash of a guidelines text, `sha256:…`; line ends do not count, as editors change them.

    >>> guidelines_hash("a\\r\\nb") == guidelines_hash("a\\nb")
    True
    """
    return "sha256:" + sha256(_ENDS.sub("\n", text).encode("utf-8", "surrogatepass")).hexdigest()


class LineKind(StrEnum):
    """What became of a line."""

    SAME = "same"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a paragraph and what became of it."""

    kind: LineKind
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Paragraph:
    """A heading and what stands under it, up to the next heading.

    Attributes:
        address: the heading's words with dashes between, and a number where an earlier one has the same.
        title: the heading as text; empty before the first one.
        lines: the Markdown under it, without empty lines at either end.
        is_headed: whether there is a heading; what stands before the first one has none.
        about: the field, or field and label, that the heading says it is about, as `about_word` has it.
    """

    address: str
    title: str
    lines: tuple[str, ...]
    is_headed: bool = True
    about: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ParagraphChange:
    """A paragraph that is not what it was: all its lines, and which of them came or went."""

    address: str
    title: str
    lines: tuple[Line, ...]
    about: str = ""

    @property
    def what(self) -> str:
        """`added`, `removed` or `changed`."""
        kinds = {line.kind for line in self.lines}
        if LineKind.SAME in kinds or len(kinds) != 1:
            return "changed"
        return next(iter(kinds)).value


def paragraphs(markdown: str) -> tuple[Paragraph, ...]:
    """The paragraphs of guidelines, in their order; a beginning without a word is none.

    >>> [part.address for part in paragraphs("Hello.\\n\\n# Verdict\\n\\nA.\\n\\n## Verdict\\n")]
    ['beginning', 'verdict', 'verdict-2']

    What a heading says that it is about is no part of its words.

    >>> [part.title for part in paragraphs("## Money {#entities.MONEY}")]
    ['Money']
    """
    text = _ENDS.sub("\n", markdown)
    lines = text.split("\n")
    heads = [(0, 0, "", ""), *_headings(text)]
    ends = [begin for begin, *_ in heads[1:]] + [len(lines)]
    taken: dict[str, int] = {}
    parts = []
    for (begin, body, title, about), end in zip(heads, ends, strict=True):
        under = _stripped(lines[body:end])
        if begin == body and not under:
            continue
        address = fold(title).replace(" ", "-")[:_LONGEST] or BEGINNING
        taken[address] = taken.get(address, 0) + 1
        number = "" if taken[address] == 1 else f"-{taken[address]}"
        is_headed = begin != body
        parts.append(Paragraph(address=address + number, title=title, lines=under, is_headed=is_headed, about=about))
    return tuple(parts)


@lru_cache(maxsize=64)
def titles(markdown: str) -> Mapping[str, str]:
    """Address → heading, in the order of the text, of the paragraphs that have one.

    >>> dict(titles("Hello.\\n# Which year?\\n## Tables & text"))
    {'which-year': 'Which year?', 'tables-text': 'Tables & text'}
    """
    return MappingProxyType({part.address: part.title for part in paragraphs(markdown) if part.is_headed})


def paragraph_changes(before: str, after: str) -> tuple[ParagraphChange, ...]:
    """The paragraphs that differ between two texts, in the order of the later one, then those that are gone.

    >>> [(change.what, change.address) for change in paragraph_changes("# A\\n\\nx\\n# B", "# A\\n\\nz\\n# C")]
    [('changed', 'a'), ('added', 'c'), ('removed', 'b')]
    """
    earlier, later = ({part.address: part for part in paragraphs(text)} for text in (before, after))
    order = [*later, *(address for address in earlier if address not in later)]
    return tuple(
        _change(earlier.get(address), later.get(address))
        for address in order
        if _lines(earlier.get(address)) != _lines(later.get(address))
    )


def fold(text: str) -> str:
    """A name as it is compared: lower case, words with one space between.

    >>> fold("Partly_correct: ")
    'partly correct'
    """
    return _NO_WORD.sub(" ", text.replace("_", " ").casefold()).strip()


def _headings(text: str) -> Iterator[tuple[int, int, str, str]]:
    """Of each heading its line, the line after it, its text, and what it says it is about."""
    tokens = READER.parse(text)
    for token, inline in pairwise(tokens):
        if token.type == "heading_open" and token.level == 0 and token.map is not None:
            about = str(token.attrGet("class") or "").removeprefix(_CLASS)
            yield token.map[0], token.map[1], plain_words(inline), about


def plain_words(inline: Any) -> str:
    """The words of a heading, without what marks them up."""
    return "".join(child.content for child in inline.children or () if child.type in ("text", "code_inline")).strip()


def _stripped(lines: Sequence[str]) -> tuple[str, ...]:
    filled = [number for number, line in enumerate(lines) if line.strip()]
    return tuple(line.rstrip() for line in lines[filled[0] : filled[-1] + 1]) if filled else ()


def _lines(part: Paragraph | None) -> tuple[str, ...]:
    """A paragraph with its heading, as it is compared: one without text under it is not the same as none."""
    return () if part is None else (part.title, *part.lines)


def _change(before: Paragraph | None, after: Paragraph | None) -> ParagraphChange:
    earlier, later = _lines(before)[1:], _lines(after)[1:]
    if before is None or after is None:
        # A paragraph without a line under its heading came or went all the same.
        kind = LineKind.ADDED if before is None else LineKind.REMOVED
        lines = [Line(kind, text) for text in (earlier or later or ("",))]
    else:
        lines = list(_compared(earlier, later))
    part = after or before
    assert part is not None
    return ParagraphChange(address=part.address, title=part.title, lines=tuple(lines), about=part.about)


def _compared(before: Sequence[str], after: Sequence[str]) -> Iterator[Line]:
    for kind, first, last, begin, end in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            yield from (Line(LineKind.SAME, text) for text in before[first:last])
            continue
        yield from (Line(LineKind.REMOVED, text) for text in before[first:last])
        yield from (Line(LineKind.ADDED, text) for text in after[begin:end])
