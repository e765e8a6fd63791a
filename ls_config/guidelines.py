"""Turns guidelines (Markdown) into HTML for Label Studio's project instructions."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

__all__ = ["to_html"]

# Label Studio's page resets margins, list marks and table borders, and shows line ends of the HTML as line breaks.
_STYLE: Final = """
.quorum-guide { white-space: normal; font-size: 15px; line-height: 22px; }
.quorum-guide h1 { margin: 0 0 8px; font-size: 22px; line-height: 30px; }
.quorum-guide h2 { margin: 20px 0 6px; font-size: 18px; line-height: 24px; }
.quorum-guide p { margin: 0 0 8px; }
.quorum-guide ul { margin: 0 0 8px; padding-left: 22px; list-style: disc; }
.quorum-guide ol { margin: 0 0 8px; padding-left: 22px; list-style: decimal; }
.quorum-guide table { margin: 0 0 10px; border-collapse: collapse; width: 100%; }
.quorum-guide th, .quorum-guide td { padding: 4px 8px; border: 1px solid var(--color-neutral-border, #ccc); text-align: left; vertical-align: top; }
.quorum-guide code { padding: 0 4px; border: 1px solid var(--color-neutral-border, #ccc); border-radius: 4px; font-size: 13px; white-space: nowrap; }
"""  # noqa: E501 - one CSS rule a line


# What a heading is about, at its end: `## Amounts of money {#entities.MONEY}`.
_ANCHOR: Final = re.compile(r"\s*\{#([^{}]+)\}\s*$")


def to_html(markdown: str) -> str:
    """Return safe HTML of a team's guidelines; HTML typed into the Markdown is shown, not run.

    Label Studio puts `expert_instruction` into the page with every tag and attribute but scripts, so what must not
    become markup has to be escaped here. Links keep only harmless schemes (markdown-it's own rule).

    >>> to_html("**Do** not <script>alert(1)</script>").endswith(
    ...     "<p><strong>Do</strong> not &lt;script&gt;alert(1)&lt;/script&gt;</p>\\n</div>")
    True
    >>> to_html("")
    ''

    What a heading says that it is about is not shown; it becomes a class, which Label Studio keeps.

    >>> to_html("## Money {#entities.MONEY}").endswith('<h2 class="about-entities.money">Money</h2>\\n</div>')
    True
    """
    # No empty box on the page: Label Studio shows the instructions wherever the field holds anything.
    if not markdown.strip():
        return ""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(markdown)
    _take_anchors(tokens)
    body = parser.renderer.render(tokens, parser.options, {})
    return f'<div class="quorum-guide"><style>{_STYLE}</style>{body}</div>'


def _take_anchors(tokens: list[Token]) -> None:
    """Make what headings say that they are about a class of theirs."""
    for heading, inline in pairwise(tokens):
        if heading.type != "heading_open" or not inline.children:
            continue
        last = inline.children[-1]
        if about := _ANCHOR.search(last.content) if last.type == "text" else None:
            last.content = last.content[: about.start()]
            heading.attrSet("class", "about-" + re.sub(r"[_\s]+", "-", about[1].strip().lower()))
