"""Guidelines (Markdown) as HTML for Label Studio's project instructions."""

from __future__ import annotations

from markdown_it import MarkdownIt

__all__ = ["to_html"]


def to_html(markdown: str) -> str:
    """Safe HTML of a team's guidelines; HTML typed into the Markdown is shown, not run.

    Label Studio puts `expert_instruction` into the page with every tag and attribute but scripts, so what must not
    become markup has to be escaped here. Links keep only harmless schemes (CommonMark's own rule in markdown-it).

    >>> to_html("**Do** not <script>alert(1)</script>")
    '<p><strong>Do</strong> not &lt;script&gt;alert(1)&lt;/script&gt;</p>\\n'
    """
    renderer = MarkdownIt("commonmark", {"html": False}).enable("table")
    html: str = renderer.render(markdown)
    return html
