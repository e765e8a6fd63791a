"""Rendered texts in a real chromium: what is seen and what stands in the source are one span, in both directions.

With QUORUM_OFFSETS=docs/offsets.md the second table of the documentation is written anew from what was seen.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, Route, expect

from ls_config import load
from tests.support.screens import Screens, prediction
from tests.support.servers import LabelStudioServer

pytestmark = [pytest.mark.browser]

ROOT = Path(__file__).parents[2]
SCREEN = ROOT / "ls_plugin" / "screen"
NER = load("ner")
WHOLE = "\ufffc"
"""What stands in the seen text for a formula or an image, which takes part in a span as one."""
Json = Any


@dataclass(frozen=True)
class Case:
    """A source, all that is seen of it, and a piece to select: as it is seen, and the source that it stands for."""

    name: str
    source: str
    seen: str
    target: str
    stored: str


LONG = "\n\n".join(
    f"## Part {n} 😀\n\nSome **bold {n}** words &amp; `code {n}` with $x_{n}$.\n\n- item {n}\n  > quoted *line {n}*"
    for n in range(82)
)
LONG_SEEN = "".join(
    f"Part {n} 😀Some bold {n} words & code {n} with {WHOLE}.item {n}quoted line {n}" for n in range(82)
)
CASES = (
    Case("emphasis", "They *went* to **Rome** in ***May***.", "They went to Rome in May.", "to Rome", "to **Rome"),
    Case("a heading", "# To *Rome* #\n\nNow\n===\nThen", "To RomeNowThen", "RomeNow", "Rome* #\n\nNow"),
    Case("lines of a paragraph", "One line,\ntwo in *Rome*.", "One line,\ntwo in Rome.", "line,\ntwo", "line,\ntwo"),
    Case("hard line breaks", "One  \ntwo\\\nRome", "One\ntwo\nRome", "two\nRome", "two\\\nRome"),
    Case(
        "nested lists",
        "- one\n  - two\n    1. Rome\n       in May\n- three",
        "onetwoRome\nin Maythree",
        "Rome\nin May",
        "Rome\n       in May",
    ),
    Case("a list that begins at 7", "7. Milan\n8. Rome", "MilanRome", "Rome", "Rome"),
    Case("a task list", "- [x] see Rome\n- [ ] see Milan", " see Rome see Milan", "Rome", "Rome"),
    Case("a quote", "> They went\n> to *Rome*\n> > in May", "They went\nto Romein May", "went\nto", "went\n> to"),
    Case(
        "a table",
        "| City | Note |\n|:--|--:|\n| Rome | a \\| b |\n| Milan | `x\\|y` |",
        "CityNoteRomea | bMilanx|y",
        "a | b",
        "a \\| b",
    ),
    Case("code in a table", "| a |\n|---|\n| `x\\|y` |", "ax|y", "x|y", "x\\|y"),
    Case(
        "a link",
        'See [the *map*](http://a.example/x "T") of Rome.',
        "See the map of Rome.",
        "map of",
        'map*](http://a.example/x "T") of',
    ),
    Case(
        "a link by reference",
        "See [Rome][1].\n\n[1]: http://a.example",
        "See Rome.[1]: http://a.example",
        "Rome",
        "Rome",
    ),
    Case(
        "addresses",
        "At <http://a.example> or b@a.example",
        "At http://a.example or b@a.example",
        "http://a.example",
        "http://a.example",
    ),
    Case(
        "an image",
        "A ![map of *Rome*](http://127.0.0.1:9/m.png) here",
        f"A {WHOLE} here",
        WHOLE,
        "![map of *Rome*](http://127.0.0.1:9/m.png)",
    ),
    Case("raw HTML in a line", "Use <b>bold</b> in *Rome*", "Use <b>bold</b> in Rome", "bold</b> in", "bold</b> in"),
    Case(
        "raw HTML in a block",
        "<div>\n<b>Rome</b>\n</div>\n\n*May*",
        "<div>\n<b>Rome</b>\n</div>May",
        "<b>Rome",
        "<b>Rome",
    ),
    Case(
        "a fence",
        "Do:\n\n```python\nif x < 3:\n    go('Rome')\n```\nok",
        "Do:if x < 3:\n    go('Rome')ok",
        "go('Rome",
        "go('Rome",
    ),
    Case("a fence in a list", "- a\n\n  ~~~\n  x\n\n    Rome\n  ~~~", "ax\n\n  Rome", "x\n\n  Rome", "x\n\n    Rome"),
    Case(
        "a fence in a quote", "> ```sql\n> SELECT 1\n> FROM rome\n> ```", "SELECT 1\nFROM rome", "1\nFROM", "1\n> FROM"
    ),
    Case("an open fence", "```\nRome\n", "Rome\n", "Rome", "Rome"),
    Case("indented code", "So:\n\n    a = 1\n\n\tRome\n\nok", "So:a = 1\n\nRomeok", "1\n\nRome", "1\n\n\tRome"),
    Case("inline code", "Call `` go(`x`) `` in `a\nb` Rome", "Call go(`x`) in a b Rome", "go(`x`)", "go(`x`)"),
    Case(
        "entities",
        "A &lt; B &amp;&nbsp;C &#x1F600; &#82;ome &bogus;",
        "A < B &\u00a0C 😀 Rome &bogus;",
        "😀 Rome",
        "&#x1F600; &#82;ome",
    ),
    Case("escapes", "\\*Rome\\* \\\\ \\q *x*", "*Rome* \\ \\q x", "*Rome*", "\\*Rome\\*"),
    Case(
        "emoji",
        "Good 😀 *news* 👨‍👩‍👧 from **Rome** 👍🏽.",
        "Good 😀 news 👨‍👩‍👧 from Rome 👍🏽.",
        "👨‍👩‍👧 from Rome 👍🏽",
        "👨‍👩‍👧 from **Rome** 👍🏽",
    ),
    Case("CJK", "我们昨天去了**東京**看樱花。𠮷野家", "我们昨天去了東京看樱花。𠮷野家", "東京看", "東京**看"),
    Case("right to left", "הם נסעו אל **רומא** בחודש *May*.", "הם נסעו אל רומא בחודש May.", "רומא", "רומא"),
    Case("right to left in a list", "- سافروا إلى **روما**\n- في مايو", "سافروا إلى رومافي مايو", "روما", "روما"),
    Case(
        "CRLF",
        "# One\r\n\r\nTwo *a*\r\nthree\r\n\r\n> q\r\n> Rome\r\n\r\n```\r\nx\r\ny\r\n```\r\n",
        "OneTwo a\nthreeq\nRomex\ny",
        "a\nthree",
        "a*\r\nthree",
    ),
    Case(
        "a formula in a line",
        "So $x^2$ and \\(y_1\\) for $5 in Rome",
        f"So {WHOLE} and {WHOLE} for $5 in Rome",
        f"{WHOLE} and",
        "$x^2$ and",
    ),
    Case(
        "formulas on lines of their own",
        "A\n\n$$\n\\int x\n$$\n\n\\[ y = 2 \\]\n\nRome",
        f"A{WHOLE}{WHOLE}Rome",
        WHOLE,
        "$$\n\\int x\n$$",
    ),
    Case(
        "sums of money",
        "From $5 to $10, *then* $20-$30 in Rome",
        "From $5 to $10, then $20-$30 in Rome",
        "then $20",
        "then* $20",
    ),
    Case("a formula that is none", "So $\\frac{$ in *Rome*", f"So {WHOLE} in Rome", WHOLE, "$\\frac{$"),
    Case("struck out", "In ~~Milan~~ Rome, ~5 km", "In Milan Rome, ~5 km", "Milan Rome", "Milan~~ Rome"),
    Case("a rule", "One\n\n---\n\nRome **x**", "OneRome x", "OneRome", "One\n\n---\n\nRome"),
    Case(
        "marks without an end",
        "A **b and `c in _Rome [x](y *z*",
        "A **b and `c in _Rome [x](y z",
        "_Rome [x](y z",
        "_Rome [x](y *z",
    ),
    Case(
        "stars that are code",
        "SELECT COUNT(*)\nFROM a\nWHERE **COUNT(*)** > 1",
        "SELECT COUNT(*)\nFROM a\nWHERE COUNT(*) > 1",
        "COUNT(*) >",
        "COUNT(*)** >",
    ),
    Case("tabs", "-\tone\n-\t*Rome*\tx", "oneRome\tx", "Rome\tx", "Rome*\tx"),
    Case("8,000 characters", LONG, LONG_SEEN, "line 81", "line 81"),
)
IDS = [case.name for case in CASES]
HACK = "window.hacked=1;alert(1)"
HOSTILE = (
    f"<script>{HACK}</script>",
    f'<img src="http://127.0.0.1:9/evil" onerror="{HACK}">',
    f"\"'><svg onload={HACK}>",
    f"</td></table></div><iframe srcdoc='<script>{HACK}</script>'></iframe>",
    f"&lt;script&gt;{HACK}&lt;/script&gt;",
    f"&#60;img src=x onerror={HACK}&#62;",
    f"<a href='javascript:{HACK}'>x</a>",
    f"[x](javascript:{HACK})",
    f"[x](<javascript:{HACK}> \"' onmouseover='{HACK}\")",
    f"[x][1]\n\n[1]: javascript:{HACK}",
    f"<javascript:{HACK}>",
    "![x](http://127.0.0.1:9/evil.png)",
    f'![" onerror="{HACK}](http://127.0.0.1:9/evil.png)',
    "![x][1]\n\n[1]: http://127.0.0.1:9/evil.png",
    "http://127.0.0.1:9/evil and <http://127.0.0.1:9/evil>",
    f"```html\n<script>{HACK}</script>\n```",
    f'```" onload="{HACK}\nx\n```',
    f"| <script>{HACK}</script> |\n|---|\n| <img src=http://127.0.0.1:9/evil> |",
    f"$\\href{{javascript:{HACK}}}{{x}}$ $\\url{{http://127.0.0.1:9/evil}}$",
    "$\\includegraphics{http://127.0.0.1:9/evil.png}$",
    "$\\htmlData{x=1}{x} \\htmlId{quorum}{x} \\class{q-mark}{x}$",
    "$\\style{background:url(http://127.0.0.1:9/evil)}{x}$",
    f"$\\text{{<img src=x onerror={HACK}>}}$ $$<script>{HACK}</script>$$",
    "$\\def\\x{\\x\\x}\\x$ $\\rule{100000em}{100000em}$",
    "<style>body { background: url(http://127.0.0.1:9/evil) }</style>",
    '<link rel=stylesheet href="http://127.0.0.1:9/evil.css"><meta http-equiv=refresh content="0;url=http://127.0.0.1:9/">',
)
POLICY = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'"

HELPERS = """
window.unitsOfBox = (box) => {
  const units = [];
  const walk = document.createTreeWalker(box, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT, (node) =>
    node.parentElement.closest('.q-formula, .q-image') ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT);
  while (walk.nextNode()) {
    const node = walk.currentNode;
    if (node.nodeType === Node.TEXT_NODE) for (let at = 0; at < node.length; at += 1) units.push([node, at]);
    else if (node.matches('.q-formula, .q-image')) units.push([node, -1]);
  }
  return units;
};
window.selectUnits = (units, first, end) => {
  const range = document.createRange();
  const [start, at] = units[first];
  const [stop, to] = units[end - 1];
  if (at < 0) range.setStartBefore(start); else range.setStart(start, at);
  if (to < 0) range.setEndAfter(stop); else range.setEnd(stop, to + 1);
  return range;
};
window.markedUnits = (box) => window.unitsOfBox(box)
  .map(([node, at], unit) => (at < 0 ? node : node.parentElement).closest('.q-mark') ? unit : -1)
  .filter((unit) => unit >= 0);
window.drawCase = async (source) => {
  const box = document.body.appendChild(document.createElement('div'));
  window.view = await window.quorumReading.drawText(box, source);
  const { text, from, to } = window.view;
  const spans = from.map((_, unit) => window.view.sourceOf(unit, unit + 1));
  return { text, from, to, spans };
};
window.fromScreen = (pairs) => {
  const all = window.unitsOfBox(window.view.box);
  return pairs.map(([first, end]) => {
    const units = window.view.unitsOf(window.selectUnits(all, first, end));
    return units && [...units, ...window.view.sourceOf(...units)];
  });
};
window.fromSource = (spans) => spans.map(([start, end]) => {
  window.view.mark([{ id: 'a', start, end, label: 'L' }]);
  const box = window.view.box;
  return [window.markedUnits(box), box.querySelectorAll('.q-mark').length];
});
undefined;
"""


class Renderer:
    """A page without a server that holds what Quorum adds to the screen, under a policy as strict as can be."""

    def __init__(self, context: BrowserContext, missing: tuple[str, ...] = ()) -> None:
        self.missing = missing
        self.page = context.new_page()
        self.asked: list[str] = []
        self.faults: list[str] = []
        self.page.on("console", lambda message: self.faults.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda fault: self.faults.append(str(fault)))
        context.route("**/*", self.answer)
        self.page.goto("http://quorum.test/")
        self.page.evaluate(HELPERS)
        self.page.wait_for_function("window.quorumReading")

    def answer(self, route: Route) -> None:
        path = route.request.url.removeprefix("http://quorum.test")
        self.asked.append(route.request.url)
        if path == "/":
            page = '<!doctype html><link rel="stylesheet" href="/reading.css"><body style="width: 600px">'
            page += '<script src="/seam.js"></script><script src="/reading.js"></script>'
            headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": POLICY}
            route.fulfill(body=page, headers=headers)
            return
        names = {"/seam.js": "seam.js", "/reading.js": "reading.js", "/reading.css": "reading.css"}
        names["/quorum/screen/markdown.js"] = "files/markdown.js"
        if path not in names or path in self.missing:
            route.abort()
            return
        kind = "text/css" if path.endswith("css") else "text/javascript"
        route.fulfill(body=(SCREEN / names[path]).read_text("utf-8"), content_type=f"{kind}; charset=utf-8")

    def draw(self, source: str) -> Json:
        self.page.evaluate("document.body.replaceChildren()")
        return self.page.evaluate("source => drawCase(source)", source)


@pytest.fixture(scope="module")
def renderer(chromium: Browser) -> Iterator[Renderer]:
    context = chromium.new_context()
    yield Renderer(context)
    context.close()


def utf16(text: str) -> list[str]:
    """The UTF-16 units of a text, each as the character that it is or is a half of."""
    return [character for character in text for _ in range(len(character.encode("utf-16-le")) // 2)]


def pairs(length: int, seed: str) -> list[tuple[int, int]]:
    """All stretches of a short text; of a long one, those of a length of one and some by chance."""
    if length <= 30:
        return [(first, end) for first in range(length) for end in range(first + 1, length + 1)]
    chance = random.Random(seed)
    count = 100 if length < 2000 else 25
    some = [sorted(chance.sample(range(length + 1), 2)) for _ in range(count)]
    near = [(at, min(length, at + chance.randint(1, 30))) for at in (chance.randrange(length) for _ in range(count))]
    return [(first, end) for first, end in some] + near


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_every_stretch_that_is_seen_is_one_span_of_the_source_and_back(renderer: Renderer, case: Case) -> None:
    """Selected on the screen, a stretch is the source of its first to its last character, and is drawn as itself."""
    drawn = renderer.draw(case.source)
    assert drawn["text"] == case.seen
    seen = utf16(case.seen)
    made = [case.source[start:end] for start, end in drawn["spans"]]
    assert all(start < end for start, end in drawn["spans"])
    assert drawn["spans"] == sorted(drawn["spans"])
    for character, source in zip(seen, made, strict=True):
        assert source == character or character == WHOLE or source.startswith(("\\", "&", "\r\n", "\n")), (
            character,
            source,
        )

    stretches = pairs(len(seen), case.name)
    selected = renderer.page.evaluate("pairs => fromScreen(pairs)", stretches)
    spans = []
    for (first, end), result in zip(stretches, selected, strict=True):
        while first < end and seen[first] == "\n":
            first += 1
        while first < end and seen[end - 1] == "\n":
            end -= 1
        if first == end:
            assert result is None
            continue
        assert result == [first, end, drawn["spans"][first][0], drawn["spans"][end - 1][1]], (first, end)
        spans.append(((first, end), result[2:]))
    marked = renderer.page.evaluate("spans => fromSource(spans)", [span for _, span in spans])
    for ((first, end), (start, stop)), (units, _) in zip(spans, marked, strict=True):
        # A character that more than one unit makes, or an escape or entity that makes more than one, goes as a whole.
        whole = [unit for unit, (a, b) in enumerate(drawn["spans"]) if a < stop and b > start]
        assert units == whole, (first, end)
        assert {unit for unit in whole if not first <= unit < end} <= {
            unit for unit in whole if drawn["spans"][unit] in (drawn["spans"][first], drawn["spans"][end - 1])
        }


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_every_span_of_the_source_lights_up_what_it_makes(renderer: Renderer, case: Case) -> None:
    """A span from elsewhere, even one that cuts marks, is drawn over each character that it makes, if only in part."""
    drawn = renderer.draw(case.source)
    spans = pairs(len(case.source), "source" + case.name)
    for (start, end), (units, pieces) in zip(
        spans, renderer.page.evaluate("spans => fromSource(spans)", spans), strict=True
    ):
        assert units == [unit for unit, (a, b) in enumerate(drawn["spans"]) if a < end and b > start], (start, end)
        assert pieces, "a span of which nothing is seen has a mark all the same"


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_the_named_piece_of_each_case(renderer: Renderer, case: Case) -> None:
    """The piece that the documentation names stands for the source that it names."""
    renderer.draw(case.source)
    first = len(utf16(case.seen[: case.seen.index(case.target)]))
    ((_, _, start, end),) = renderer.page.evaluate(
        "pairs => fromScreen(pairs)", [[first, first + len(utf16(case.target))]]
    )
    assert case.source[start:end] == case.stored


def test_random_texts_lose_nothing(renderer: Renderer) -> None:
    """Texts put together by chance: what is not seen is marks and white space, and all that is seen goes both ways."""
    chance = random.Random(20260101)
    bits = ["word ", "Rome", "😀", "東京", "רומא ", "\n", "\n\n", "\r\n", "*", "**", "_", "`", "``", "~~", "$", "$x$"]
    bits += [
        "\\",
        "\\(",
        "\\)",
        "&amp;",
        "&#x1F600;",
        "&",
        "<b>",
        "</b>",
        "<div>\n",
        "[",
        "](http://x)",
        "![",
        "> ",
        "- ",
    ]
    bits += ["1. ", "\n- [ ] ", "# ", "\n```\n", "\n```js\n", "    ", "\t", "| a | b |\n|---|---|\n", "|", "---\n"]
    bits += ["===\n", "[1]: http://y\n", "$$", "\\["]
    for number in range(150):
        source = "".join(chance.choice(bits) for _ in range(chance.randint(3, 40)))
        drawn = renderer.draw(source)
        assert drawn["spans"] == sorted(drawn["spans"]), source
        for character, (start, end) in zip(utf16(drawn["text"]), drawn["spans"], strict=True):
            made = source[start:end]
            assert character in made or character in (WHOLE, " ") or made.startswith(("&", "\r")), (
                source,
                character,
                made,
            )
        covered = {at for start, end in drawn["spans"] for at in range(start, end)}
        unseen = "".join(character for at, character in enumerate(source) if at not in covered)
        assert not set(unseen) & set("wordRme東京רומא😀"), (number, source, unseen)
        stretches = pairs(len(utf16(drawn["text"])), str(number))[:200]
        for (first, end), result in zip(
            stretches, renderer.page.evaluate("pairs => fromScreen(pairs)", stretches), strict=True
        ):
            if result is not None:
                assert first <= result[0] < result[1] <= end
                assert result[2:] == [drawn["spans"][result[0]][0], drawn["spans"][result[1] - 1][1]]
    assert not renderer.faults


def test_nothing_of_a_row_runs_or_loads(renderer: Renderer) -> None:
    """Texts that would do something anywhere else are shown as texts, links lead nowhere, images are not fetched."""
    renderer.draw("The first text fetches the renderer.")
    before = len(renderer.asked)
    for source in HOSTILE:
        renderer.draw(source)
        renderer.page.mouse.click(40, 20)
        found = renderer.page.evaluate(
            """() => [...document.body.querySelectorAll('*')].flatMap(node => [node.localName,
              ...node.getAttributeNames().map(name => `@${name}`)])"""
        )
        assert not {"script", "img", "svg", "iframe", "a", "object", "embed", "style", "link", "form"} & set(found), (
            source
        )
        assert not {name for name in found if name.startswith(("@on", "@href", "@src", "@id"))}, source
    assert renderer.page.evaluate("window.hacked") is None
    assert not renderer.asked[before:]
    assert renderer.page.url == "http://quorum.test/"
    assert not renderer.faults


def test_a_picture_says_its_text_and_address(renderer: Renderer) -> None:
    """What is not fetched is told: the text of the picture and where it lies; of a link, where it leads."""
    renderer.draw("![A *map*](http://127.0.0.1:9/m.png) and [Rome](http://127.0.0.1:9/rome)")
    assert renderer.page.locator(".q-image").inner_text() == "A *map* http://127.0.0.1:9/m.png"
    assert renderer.page.locator(".q-link").get_attribute("title") == "http://127.0.0.1:9/rome"


def test_code_and_tables_that_scroll_are_reached_without_a_mouse(renderer: Renderer) -> None:
    """A box wider than its place takes the focus; one that fits is no stop on the way."""
    renderer.draw(f"```\n{'long ' * 60}\n```\n\n```\nshort\n```")
    expect(renderer.page.locator("pre").first).to_have_attribute("tabindex", "0")
    expect(renderer.page.locator("pre").last).not_to_have_attribute("tabindex", "0")


@pytest.mark.parametrize(
    ("source", "plain"),
    [
        ("They went to Rome.\n  In May, for $5, by <b>train</b> & bus_no_7.\n\nAnd back.", True),
        ("One 😀\r\n    Rome\r\n", True),
        (">>> xs.sort()\r\n>>> print(xs)\nNone", True),
        ("They went to *Rome*.", False),
        ("Rome &amp; Milan", False),
        ("> Rome", False),
        ("> > > Rome", False),
        ("1. Rome", False),
    ],
)
def test_texts_without_mark_up_are_left_to_label_studio(renderer: Renderer, source: str, plain: bool) -> None:
    """A text that would look the same, and a session of Python, whose prompts are no quotes, stay as they were."""
    drawn = renderer.draw(source)
    assert renderer.page.evaluate("view.plain") is plain
    assert not plain or drawn["text"] == source.replace("\r\n", "\n")


def test_without_the_bundle_the_source_stands(chromium: Browser) -> None:
    """A text whose renderer does not come is shown as it is written."""
    context = chromium.new_context()
    renderer = Renderer(context, missing=("/quorum/screen/markdown.js",))
    with pytest.raises(Error, match="did not load"):
        renderer.draw("They went to **Rome**.")
    assert renderer.page.locator("body > div").inner_text() == "They went to **Rome**."
    context.close()


# --- on Label Studio's screen ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """What one case came to on Label Studio's screen."""

    lit: str
    stored: list[dict[str, Json]]


PLACE = """
([seen, target]) => {
  const box = document.querySelector('.q-response .q-reading');
  const all = window.unitsOfBox(box);
  const first = seen.indexOf(target);
  const end = first + target.length;
  const node = (unit) => (unit[1] < 0 ? unit[0] : unit[0].parentElement);
  node(all[first]).scrollIntoView({ block: 'center' });
  const edge = (at, isEnd) => {
    const rects = window.selectUnits(all, at, at + 1).getClientRects();
    const rect = rects[isEnd ? rects.length - 1 : 0];
    const fromRight = /[\\u0590-\\u06ff]/.test(seen[at]) !== isEnd;
    return [fromRight ? rect.right - 1 : rect.left + 1, (rect.top + rect.bottom) / 2];
  };
  return [edge(first, false), edge(end - 1, true)];
}
"""


@pytest.fixture(scope="module")
def worked(ls_server_plugin: LabelStudioServer, chromium: Browser) -> list[Seen]:
    """Every case worked once in the label stream: the named piece as an auto-label, and drawn again by mouse."""
    screens = Screens(ls_server_plugin)
    tasks = []
    for number, case in enumerate(CASES):
        data = {"row_id": f"o{number}", "context": "", "query": f"Case {number}: {case.name}", "response": case.source}
        start = case.source.index(case.stored)
        spans = [{"start": start, "end": start + len(case.stored), "label": "LOCATION"}]
        tasks.append({"data": data, "predictions": [prediction({"entities": spans}, NER, data, "auto-label")]})
    project = screens.project("rendered", NER.xml, tasks)
    page = stream(chromium, ls_server_plugin, project)
    lit = [work(page, number, case) for number, case in enumerate(CASES)]
    page.context.close()
    kept = screens.call("GET", f"/api/projects/{project}/export?exportType=JSON")
    done = sorted(kept, key=lambda task: int(task["data"]["row_id"][1:]))
    results = [task["annotations"][0]["result"] for task in done]
    spans_of = [[item["value"] for item in result if item["from_name"] == "entities"] for result in results]
    return [Seen(shown, spans) for shown, spans in zip(lit, spans_of, strict=True)]


def stream(chromium: Browser, server: LabelStudioServer, project: int) -> Page:
    """The label stream of a project, opened by the owner of the server."""
    context = chromium.new_context(base_url=server.url, viewport={"width": 1366, "height": 768})
    cookies = server.log_in_owner().cookies
    context.add_cookies([{"name": each.name, "value": each.value or "", "url": server.url} for each in cookies])
    page = context.new_page()
    page.goto(f"/projects/{project}/data?labeling=1")
    return page


def work(page: Page, number: int, case: Case) -> str:
    """Draw the named piece of a case by mouse and submit; what the auto-label of it had lit."""
    expect(page.locator(".q-query .lsf-richtext__container")).to_contain_text(f"Case {number}:", timeout=60_000)
    page.locator(".q-response .q-reading .q-mark").first.wait_for()
    page.evaluate(HELPERS)
    lit = page.evaluate(
        """() => window.unitsOfBox(document.querySelector('.q-response .q-reading'))
          .filter(([node, at]) => (at < 0 ? node : node.parentElement).closest('.q-mark'))
          .map(([node, at]) => at < 0 ? '\\ufffc' : node.data[at]).join('')"""
    )
    start, end = page.evaluate(PLACE, [case.seen, case.target])
    page.keyboard.press("1")
    drag(page, start, end)
    page.wait_for_function("Htx.annotationStore.selected.regions.filter(region => region.globalOffsets).length === 2")
    page.keyboard.press("Escape")
    submit(page)
    return str(lit)


def drag(page: Page, start: list[float], end: list[float]) -> None:
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=6)
    page.mouse.up()


def submit(page: Page) -> None:
    """Choose the response type, which is required, and submit."""
    page.keyboard.press("x")
    with page.expect_response(lambda answer: "/annotations" in answer.url and answer.request.method == "POST") as got:
        page.get_by_test_id("bottombar-submit-button").click()
    assert got.value.status == 201


@pytest.mark.server
def test_regions_are_worked_on_the_rendered_text_as_on_the_other(
    ls_server_plugin: LabelStudioServer, chromium: Browser
) -> None:
    """A click selects, a key relabels, an end is dragged, Backspace deletes, undo brings back, a double click marks."""
    source, seen = "They *went* to **Rome** in May &amp; June.", "They went to Rome in May & June."
    data = {"row_id": "w1", "context": "", "query": "Case 0: worked", "response": source}
    spans = [{"start": source.index("Rome"), "end": source.index("Rome") + 4, "label": "LOCATION"}]
    screens = Screens(ls_server_plugin)
    predictions = [prediction({"entities": spans}, NER, data, "auto-label")]
    project = screens.project("worked", NER.xml, [{"data": data, "predictions": predictions}])
    page = stream(chromium, ls_server_plugin, project)
    marks = page.locator(".q-response .q-mark")
    expect(marks).to_have_text(["Rome"], timeout=60_000)
    expect(marks).to_have_attribute("data-label", "1:LOCATION")
    page.evaluate(HELPERS)

    marks.click()
    expect(page.locator(".q-response .q-mark.__active")).to_have_text("Rome")
    page.keyboard.press("2")
    expect(marks).to_have_attribute("data-label", "1:ORG")
    box = page.locator(".q-handle[data-side=end]").bounding_box()
    assert box
    drag(page, [box["x"], box["y"] + box["height"] / 2], page.evaluate(PLACE, [seen, "May &"])[1])
    expect(marks).to_have_text(["Rome", " in May &"])
    page.keyboard.press("Backspace")
    expect(marks).to_have_count(0)
    page.keyboard.press("Control+z")
    expect(marks).to_have_text(["Rome", " in May &"])
    page.keyboard.press("Escape")

    page.keyboard.press("4")
    start, end = page.evaluate(PLACE, [seen, "June"])
    page.mouse.dblclick((start[0] + end[0]) / 2, start[1])
    expect(marks).to_have_text(["Rome", " in May &", "June"])
    page.keyboard.press("Escape")
    page.keyboard.press("Alt+o")
    expect(page.locator(".q-response .q-reading")).to_be_hidden()
    assert "".join(page.locator(".q-response .htx-highlight").all_text_contents()) == "Rome** in May &amp;June"
    page.keyboard.press("Alt+o")
    expect(marks).to_have_text(["Rome", " in May &", "June"])
    submit(page)
    page.context.close()
    (task,) = screens.call("GET", f"/api/projects/{project}/export?exportType=JSON")
    values = [item["value"] for item in task["annotations"][0]["result"] if item["from_name"] == "entities"]
    pieces = [(source[value["start"] : value["end"]], value["text"], *value["labels"]) for value in values]
    assert pieces == [("Rome** in May &amp;", "Rome** in May &amp;", "ORG"), ("June", "June", "DATE")]


@pytest.mark.server
@pytest.mark.parametrize("number", range(len(CASES)), ids=IDS)
def test_what_is_drawn_on_the_rendered_text_is_the_source_in_the_export(worked: list[Seen], number: int) -> None:
    """The export holds the piece as code points of the source, whether a model or the mouse has drawn it."""
    case = CASES[number]
    assert [case.source[value["start"] : value["end"]] for value in worked[number].stored] == [case.stored] * 2
    assert worked[number].lit == case.target


@pytest.mark.server
def test_table_of_the_documentation(worked: list[Seen]) -> None:
    """The documentation lists every case that is tried here; asked to, it is written anew from what was seen."""
    lines = []
    for case, seen in zip(CASES, worked, strict=True):
        start = case.source.index(case.stored)
        place = f"{start}–{start + len(case.stored)}"
        right = all(f"{value['start']}–{value['end']}" == place for value in seen.stored)
        cells = [case.name, code(case.target), code(case.stored), place, "yes" if right else "no"]
        lines.append(f"| {' | '.join([*cells, 'yes' if seen.lit == case.target else 'no'])} |")
    page = ROOT / "docs" / "offsets.md"
    before, _, rest = page.read_text("utf-8").partition(TABLE)
    if os.environ.get("QUORUM_OFFSETS"):
        Path(os.environ["QUORUM_OFFSETS"]).write_text(before + TABLE + "\n".join(lines) + "\n", encoding="utf-8")
        rest = "\n".join(lines)
    assert rest.strip().splitlines() == lines


def code(text: str) -> str:
    """A text as code in a table of Markdown: formulas and images by name, line endings as they are escaped."""
    shown = text.replace(WHOLE, "▣").replace("\r", "\\r").replace("\n", "\\n").replace("\t", "\\t").replace("|", "\\|")
    fence = "``" if "`" in shown else "`"
    return f"{fence} {shown} {fence}" if "`" in shown else f"{fence}{shown}{fence}"


TABLE = """
| text | selected | source | code points | stored right | lit right |
| --- | --- | --- | --- | --- | --- |
"""
