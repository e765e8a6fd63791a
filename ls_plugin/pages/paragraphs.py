"""Paragraphs of a campaign's guidelines: each heading with the anchor by which a thread names it."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from typing import Final

_HEADING: Final = re.compile(r" {0,3}#{1,6}[ \t]+(.+?)(?:[ \t]+#+)?[ \t]*$")
_FENCE: Final = re.compile(r" {0,3}(```+|~~~+)")
_LONGEST: Final = 190
"""Characters of an anchor, before the number of one that comes again."""


@lru_cache(maxsize=64)
def paragraphs_of(guidelines: str) -> dict[str, str]:
    """Anchor → heading, in the order of the text; what stands in fenced code is no heading.

    >>> paragraphs_of("# Which year?\\n## Tables & text\\n# Which year?")
    {'which-year': 'Which year?', 'tables-text': 'Tables & text', 'which-year-1': 'Which year?'}
    """
    anchors, times, fence = dict[str, str](), Counter[str](), ""
    for line in guidelines.splitlines():
        mark = _FENCE.match(line)
        if mark is not None:
            opens = mark[1]
            fence = opens if not fence else "" if opens.startswith(fence) else fence
        heading = None if fence else _HEADING.match(line)
        if heading is None:
            continue
        anchor = _anchor(heading[1])
        times[anchor] += 1
        anchors[anchor if times[anchor] == 1 else f"{anchor}-{times[anchor] - 1}"] = heading[1]
    return anchors


def _anchor(heading: str) -> str:
    """A heading in small letters, its words joined by hyphens."""
    words = re.findall(r"\w+", heading.lower())
    return "-".join(words)[:_LONGEST] or "paragraph"
