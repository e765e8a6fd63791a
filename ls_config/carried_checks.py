"""Carries an interface's checks in its XML: the text of `checks.yaml` is the attribute `checks` of the first tag.

A server keeps one text for what people fill in, so that whoever copies the fields has the rules between them too. Label
Studio takes no notice of the attribute. What the checks mean is read by the rules, which this room may not import.
"""

from __future__ import annotations

import re
from typing import Final
from xml.sax.saxutils import escape

from lxml import etree

__all__ = ["checks_in", "with_checks", "without_checks"]

CHECKS: Final = "checks"
_FIRST_TAG: Final = re.compile(r"(?:<\?.*?\?>|<!--.*?-->|[^<])*<[\w.:-]+", re.DOTALL)
_ATTRIBUTE: Final = re.compile(r"\schecks\s*=\s*(?:\"[^\"]*\"|'[^']*')")
_KEPT: Final = {'"': "&quot;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}
"""What an XML parser would make something else of inside an attribute."""


def with_checks(xml: str, text: str) -> str:
    """Return an interface that carries these checks.

    >>> with_checks('<View><Header value="a"/></View>', 'checks: ["a" < b]')
    '<View checks="checks: [&quot;a&quot; &lt; b]"><Header value="a"/></View>'
    """
    first = _FIRST_TAG.match(xml)
    if first is None or not text:
        return xml
    return f'{xml[: first.end()]} {CHECKS}="{escape(text, _KEPT)}"{xml[first.end() :]}'


def checks_in(root: etree._Element) -> str:
    """Return the checks that an interface carries, also inside a review screen; empty where it carries none."""
    return next((str(element.get(CHECKS)) for element in root.iter() if element.get(CHECKS) is not None), "")


def without_checks(xml: str) -> str:
    """Return an interface as it is without the checks that it carries.

    >>> without_checks(with_checks("<View/>", "a < b"))
    '<View/>'
    """
    first = _FIRST_TAG.match(xml)
    if first is None:
        return xml
    tag_end = _tag_end(xml, first.end())
    return xml[: first.end()] + _ATTRIBUTE.sub("", xml[first.end() : tag_end], count=1) + xml[tag_end:]


def _tag_end(xml: str, start: int) -> int:
    """Where the first tag closes; a `>` in one of its attributes does not close it."""
    closing = re.compile(r"(?:[^>\"']|\"[^\"]*\"|'[^']*')*").match(xml, start)
    return closing.end() if closing else start
