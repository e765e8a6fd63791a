"""Puts in the look that interfaces share: `<Style use="page"/>` in a `label.xml` stands for `styles/page.css`."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Final

__all__ = ["compose_styles", "stylesheets", "unknown_stylesheets"]

_FOLDER: Final = Path(__file__).parent / "styles"
_TAG: Final = re.compile(r'([ \t]*)<Style\s+use="([^"]*)"\s*(/>|>[ \t]*\n?)')


def stylesheets() -> tuple[str, ...]:
    """Return the names that `use` may say.

    >>> stylesheets()
    ('page', 'scale')
    """
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.css")))


def unknown_stylesheets(xml: str) -> list[tuple[int, str]]:
    """Return line and name of each style sheet that an interface uses and that does not exist."""
    names = stylesheets()
    return [
        (xml.count("\n", 0, tag.start()) + 1, name)
        for tag in _TAG.finditer(xml)
        for name in tag.group(2).split()
        if name not in names
    ]


def compose_styles(xml: str) -> str:
    """Write the interface as Label Studio takes it: each `<Style>` holds the sheets that it uses, then its rules.

    The tags are replaced in the text itself, so that everything else stays as people wrote it.

    Args:
        xml: The text of a `label.xml` whose style sheets all exist.

    >>> ".q-page" in compose_styles('<View><Style use="page"/></View>')
    True
    """
    return _TAG.sub(_with_rules, xml)


def _with_rules(tag: re.Match[str]) -> str:
    # The indent of the tag is kept, so that the composed file reads like one that a person wrote.
    indent, names, end = tag.groups()
    rules = "".join((_FOLDER / f"{name}.css").read_text(encoding="utf-8") for name in names.split())
    opening = f"{indent}<Style>\n{textwrap.indent(rules, indent + '  ')}"
    return f"{opening}{indent}</Style>" if end == "/>" else opening
