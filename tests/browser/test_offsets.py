"""Offsets in a real chromium: what people select is what the export's `text[start:end]` says, and predictions light
up the right characters.

With QUORUM_OFFSETS=docs/offsets.md the table of the documentation is written anew from what was seen.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from ls_config import load
from review_rules.offsets import Unit, to_unit
from tests.support.screens import Screens, browser_for, drag_over, prediction
from tests.support.servers import LabelStudioServer

pytestmark = [pytest.mark.server, pytest.mark.browser]

NER = load("ner")
FAMILY = "👨‍👩‍👧"


@dataclass(frozen=True)
class Case:
    """A text, and what is selected in it with the mouse (each stands in it once)."""

    name: str
    text: str
    targets: tuple[str, ...] = ("Rome",)


CASES = (
    Case("plain text", "They went to Rome in May."),
    Case("after an emoji", "Good 😀 news from Rome today."),
    Case("an emoji itself", "Good 😀 news from Rome today.", ("😀", "Rome")),
    Case("after a ZWJ family", f"The {FAMILY} went to Rome today.", (FAMILY, "Rome")),
    Case("after a skin tone", "Well done 👍🏽 said Rome today."),
    Case("after a flag", "Here 🇮🇹 they like Rome today."),
    Case("after a keycap", "Step 1️⃣ is Rome today."),
    Case("after three emoji in a row", "😀😀😀 Rome today."),
    Case("after combining marks", "The cafe\u0301 and the nai\u0308ve cre\u0300me in Rome today."),
    Case("combining marks in the selection", "The cafe\u0301 in Rome today.", ("cafe\u0301",)),
    Case("after composed accents", "The café and the naïve crème in Rome today."),
    Case("after CRLF", "First line.\r\nSecond line.\r\nThen Rome today."),
    Case("after LF and an empty line", "First line.\n\nThen Rome today."),
    Case("CJK", "我们昨天去了東京看樱花。", ("東京",)),
    Case("after CJK beyond the BMP", "𠮷野家 is in 東京 and Rome today.", ("東京", "Rome")),
    Case("right to left, Hebrew", "הם נסעו לרומא בחודש מאי.", ("לרומא",)),
    Case("right to left, Arabic with marks", "سافَرُوا إلى روما في مايو.", ("روما",)),
    Case("left to right in right to left", "הם נסעו אל Rome בחודש מאי."),
    Case("after tabs", "one\ttwo\t\tRome\tfour"),
    Case("code", "def go():\n\tif x < 3 && y:\n        return fly('Rome')  # <b>bold</b>\n", ("Rome", "fly")),
    Case("after what looks like HTML", "Use <b>bold</b> &amp; &lt;i&gt; in Rome today."),
    Case("after special spaces", "A\u00a0b\u2009c\u200bd and Rome today."),
    Case("after mathematical letters", "Let 𝒳 ⊂ 𝔽₂ be in Rome today."),
    Case("leading white space", "   \n  Rome today."),
    Case("far down a long text", "Words 😀 come first. " * 150 + "Then Rome ends it."),
)
IDS = [case.name for case in CASES]


@pytest.fixture(scope="module")
def screens(ls_server: LabelStudioServer) -> Screens:
    return Screens(ls_server)


@pytest.fixture(scope="module")
def context(ls_server: LabelStudioServer, chromium: Browser) -> Iterator[BrowserContext]:
    """A browser in which an ordinary annotator is logged in."""
    (person,) = ls_server.new_people(1)
    with browser_for(chromium, person, viewport={"width": 1400, "height": 900}) as context:
        yield context


def task(case: Case, number: int) -> dict[str, Any]:
    """The row of a case; its query names it, so that the screen tells which case it shows."""
    return {"row_id": f"o{number}", "context": "", "query": f"Case {number}: {case.name}", "response": case.text}


def spans(case: Case) -> list[dict[str, Any]]:
    """The targets as spans, in code points."""
    starts = {target: case.text.index(target) for target in case.targets}
    return [{"start": at, "end": at + len(target), "label": "LOCATION"} for target, at in starts.items()]


def wait_for(page: Page, number: int) -> None:
    """Wait until the editor shows a case and can be worked on."""
    expect(page.locator(".q-query .lsf-richtext__container")).to_contain_text(f"Case {number}:", timeout=30_000)
    page.get_by_test_id("bottombar-submit-button").wait_for()
    page.wait_for_function("document.querySelector('.q-response .lsf-richtext__container').textContent.length > 3")


def submit(page: Page) -> None:
    """Choose the response type, which is required, and submit."""
    page.keyboard.press("x")
    with page.expect_response(lambda answer: "/annotations" in answer.url and answer.request.method == "POST") as got:
        page.get_by_test_id("bottombar-submit-button").click()
    assert got.value.status == 201


@pytest.fixture(scope="module")
def selected(context: BrowserContext, screens: Screens) -> list[list[dict[str, Any]]]:
    """Every case worked once in the label stream: per case the spans in the export, as Label Studio wrote them."""
    tasks = [{"data": task(case, number)} for number, case in enumerate(CASES)]
    project = screens.project("selected", NER.xml, tasks)
    page = context.new_page()
    page.goto(f"/projects/{project}/data?labeling=1")
    for number, case in enumerate(CASES):
        wait_for(page, number)
        for target in case.targets:
            page.keyboard.press("3")
            drag_over(page, target)
            page.keyboard.press("Escape")
        submit(page)
    page.close()
    kept = screens.call("GET", f"/api/projects/{project}/export?exportType=JSON")
    done = sorted(kept, key=lambda one: int(one["data"]["row_id"][1:]))
    return [
        [item["value"] for item in one["annotations"][0]["result"] if item["from_name"] == "entities"] for one in done
    ]


@pytest.fixture(scope="module")
def lit(context: BrowserContext, screens: Screens) -> list[list[str]]:
    """Every case opened with a prediction of its targets: per case what the screen highlights."""
    tasks = []
    for number, case in enumerate(CASES):
        data = task(case, number)
        tasks.append({"data": data, "predictions": [prediction({"entities": spans(case)}, NER, data, "auto-label")]})
    project = screens.project("lit", NER.xml, tasks)
    page = context.new_page()
    page.goto(f"/projects/{project}/data?labeling=1")
    seen = []
    for number, case in enumerate(CASES):
        wait_for(page, number)
        expect(page.locator(".q-response .htx-highlight")).to_have_count(len(case.targets))
        seen.append(page.locator(".q-response .htx-highlight").all_text_contents())
        submit(page)
    page.close()
    return seen


@pytest.mark.parametrize("number", range(len(CASES)), ids=IDS)
def test_selected_text_is_what_the_export_says(selected: list[list[dict[str, Any]]], number: int) -> None:
    """Offsets in the export are half-open code points: they cut exactly what the mouse selected out of the text."""
    case = CASES[number]
    found = sorted(selected[number], key=lambda value: int(value["start"]))
    assert [case.text[value["start"] : value["end"]] for value in found] == sorted(case.targets, key=case.text.index)
    assert [value["text"] for value in found] == sorted(case.targets, key=case.text.index)


@pytest.mark.parametrize("number", range(len(CASES)), ids=IDS)
def test_prediction_lights_up_the_right_characters(lit: list[list[str]], number: int) -> None:
    """A prediction's span in code points highlights exactly its characters on the screen."""
    case = CASES[number]
    assert lit[number] == sorted(case.targets, key=case.text.index)


def test_table_of_the_documentation(selected: list[list[dict[str, Any]]], lit: list[list[str]]) -> None:
    """The documentation lists every case that is tried here; asked to, it is written anew from what was seen."""
    lines = []
    for case, found, shown in zip(CASES, selected, lit, strict=True):
        for target in case.targets:
            start = case.text.index(target)
            units = to_unit(case.text, start, start + len(target), Unit.UTF16)
            stored = next((f"{one['start']}–{one['end']}" for one in found if one["text"] == target), "none")
            right = "yes" if stored == f"{start}–{start + len(target)}" else "no"
            lines.append(
                f"| {case.name} | `{target}` | {start}–{start + len(target)} | "
                f"{units[0]}–{units[1]} | {stored} | {right} |"
                f" {'yes' if target in shown else 'no'} |"
            )
    page = Path(__file__).parents[2] / "docs" / "offsets.md"
    documented, rendered, rest = page.read_text("utf-8").partition("\n## ")
    wanted = os.environ.get("QUORUM_OFFSETS")
    if wanted:
        first = _HEAD.format(**_versions()) + "\n".join(lines) + "\n"
        Path(wanted).write_text(first + rendered + rest, encoding="utf-8")
    assert [line for line in documented.splitlines() if line.startswith("| ")][2:] == lines


def _versions() -> dict[str, str]:
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return {"version": importlib.metadata.version("label-studio"), "today": today}


_HEAD = """# What Label Studio's screen stores

Measured in chromium on Label Studio {version}, {today}, by `tests/browser/test_offsets.py`: each piece of text was
selected with the mouse in the response (`<Text>`, the only tag on which Quorum's interfaces put spans), submitted, and
read from Label Studio's JSON export; then the same piece was given as a prediction and read off the screen. Offsets are
half-open.

`stored right` says that the export's `text[start:end]`, counted in code points, is exactly what was selected; `lit
right` that a prediction in code points highlights exactly these characters. Where code points and UTF-16 units differ,
a tool that counts the latter would be off.

| text | selected | code points | UTF-16 units | stored | stored right | lit right |
| --- | --- | --- | --- | --- | --- | --- |
"""
