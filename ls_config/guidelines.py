"""Turns guidelines (Markdown) into HTML for Label Studio's project instructions."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from ls_config.paragraphs import READER, fold, paragraphs, plain_words

__all__ = ["section", "section_html", "to_html", "to_page"]

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


def to_page(markdown: str) -> str:
    """Return safe HTML of guidelines for a page that has its own style; each heading has its paragraph's address.

    >>> to_page("## Verdict\\n")
    '<h2 id="verdict">Verdict</h2>\\n'
    """
    addresses = iter(part.address for part in paragraphs(markdown) if part.is_headed)
    tokens = READER.parse(markdown)
    for token in tokens:
        if token.type == "heading_open" and token.level == 0:
            token.attrSet("id", next(addresses))
    html: str = READER.renderer.render(tokens, READER.options, {})
    return html


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
    body = READER.render(markdown)
    return f'<div class="quorum-guide"><style>{_STYLE}</style>{body}</div>'


def section(markdown: str, heading: str) -> str:
    """Return the part of guidelines under a heading, with it, up to the next heading of its rank; empty for none.

    >>> section("# Guide\\n## Verdict\\nBe strict.\\n### Hints\\nTwo.\\n## Issues\\nTick.", "verdict")
    '## Verdict\\nBe strict.\\n### Hints\\nTwo.'
    """
    tokens, lines = READER.parse(markdown), markdown.splitlines()
    wanted, start, rank = fold(heading), None, 0
    for token, text in pairwise(tokens):
        if token.type != "heading_open" or token.map is None:
            continue
        if start is not None and int(token.tag[1]) <= rank:
            return "\n".join(lines[start : token.map[0]]).rstrip()
        if start is None and fold(plain_words(text)) == wanted:
            start, rank = token.map[0], int(token.tag[1])
    return "" if start is None else "\n".join(lines[start:]).rstrip()


def section_html(markdown: str, heading: str) -> str:
    """Return a section as safe HTML without a style of its own; empty if there is no such heading."""
    return str(READER.render(section(markdown, heading)))
