"""The screens in a real chromium: all in view, pre-filled, worked by keys, and nothing that was typed becomes markup.

With QUORUM_SCREENS=docs/screens the pictures of the documentation are taken anew.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect

from ls_config import compose_review, label_types, load
from tests.support.screens import Screens, browser_for, drag_over, prediction, review_task, said, sample_values
from tests.support.servers import LabelStudioServer

pytestmark = [pytest.mark.server, pytest.mark.browser]

SIZES = [(1400, 900), (1920, 1080)]
CONTEXT = (
    "Northwind Foods reported net revenue of $412.6 million for the third quarter of 2025, up 8 % on the year before. "
    "Operating margin fell to 11.2 % from 12.9 % because of higher freight costs, CFO Laura Stein said in Rotterdam. "
) * 5
RESPONSE = (
    "In Q3 2025 Northwind Foods raised net revenue by 8 % to $412.6 million. Its operating margin fell to 11.2 % "
    "because of lower prices, CFO Laura Stein said. The company expects the margin to recover by the end of the year. "
) * 3
TYPICAL = {
    "row_id": "typical",
    "domain": "financial",
    "context": CONTEXT.strip(),
    "query": "How did Northwind Foods do in the third quarter, and why did the margin change?",
    "response": RESPONSE.strip(),
}
HACK = "window.hacked=1;alert(1)"
HOSTILE = [
    f"<script>{HACK}</script>",
    f'<img src="http://127.0.0.1:9/evil" onerror="{HACK}">',
    f"\"'><svg onload={HACK}>",
    f"</td></table></div><iframe srcdoc='<script>{HACK}</script>'></iframe>",
    f"&lt;script&gt;{HACK}&lt;/script&gt;",
    f"&#60;img src=x onerror={HACK}&#62;",
    f"<a href='javascript:{HACK}'>x</a>",
]
Json = Any


@pytest.fixture(scope="module")
def screens(ls_server: LabelStudioServer) -> Screens:
    return Screens(ls_server)


@pytest.fixture(scope="module")
def context(ls_server: LabelStudioServer, chromium: Browser) -> Iterator[BrowserContext]:
    """A browser in which an ordinary annotator is logged in."""
    (person,) = ls_server.new_people(1)
    with browser_for(chromium, person) as context:
        yield context


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    page = context.new_page()
    page.set_viewport_size({"width": 1400, "height": 900})
    yield page
    page.close()


def open_queue(page: Page, project: int) -> None:
    """Open the label stream on its first task and wait until it can be worked on."""
    page.goto(f"/projects/{project}/data?labeling=1")
    page.locator(".lsf-main-view__annotation").wait_for()
    page.get_by_test_id("bottombar-submit-button").wait_for()
    page.wait_for_function("document.querySelectorAll('.lsf-richtext__line').length >= 3")


def submit(page: Page, *, by_key: bool = True) -> None:
    """Submit by the hotkey or the button and wait until the server has it."""
    with page.expect_response(lambda answer: "/annotations" in answer.url and answer.request.method == "POST") as got:
        if by_key:
            page.keyboard.press("Control+Enter")
        else:
            page.get_by_test_id("bottombar-submit-button").click()
    assert got.value.status == 201


def picture(page: Page, name: str) -> None:
    """Keep a picture for the documentation, if asked to."""
    folder = os.environ.get("QUORUM_SCREENS")
    if folder:
        path = Path(folder) / f"{name}.png"
        page.screenshot(path=path)
        Image.open(path).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)


def overlapping(page: Page, selector: str) -> list[Json]:
    """Pairs of visible elements that cover each other."""
    found: list[Json] = page.evaluate(
        """selector => {
          const all = [...document.querySelectorAll(selector)]
            .map(e => [e.innerText || e.tagName, e.getBoundingClientRect()])
            .filter(([, r]) => r.width && r.height);
          const out = [];
          all.forEach(([a, r], i) => all.slice(i + 1).forEach(([b, s]) => {
            const wide = Math.min(r.right, s.right) - Math.max(r.left, s.left);
            const high = Math.min(r.bottom, s.bottom) - Math.max(r.top, s.top);
            if (wide > 1 && high > 1) out.push([a, b]);
          }));
          return out;
        }""",
        selector,
    )
    return found


def bottom_bar(page: Page) -> float:
    box = page.locator(".lsf-bottombar").bounding_box()
    assert box is not None
    return box["y"]


def in_view(page: Page, selector: str) -> bool:
    """Whether every element is wholly inside the window, above Label Studio's own bar, and shows all of its width."""
    bar = bottom_bar(page)
    boxes = [element.bounding_box() for element in page.locator(selector).all()]
    return bool(boxes) and all(
        box is not None and box["x"] >= 0 and box["y"] >= 0 and box["y"] + box["height"] <= bar + 1 for box in boxes
    )


def scrolls(page: Page, selector: str) -> bool:
    return bool(page.locator(selector).first.evaluate("e => e.scrollHeight > e.clientHeight + 1"))


CONTROLS = ".q-page .lsf-choice__checkbox, .q-page .lsf-label, .q-page .ant-rate-star, .q-page input[name=flag_reason]"


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", label_types())
def test_a_typical_row_is_in_view_without_scrolling(
    page: Page, screens: Screens, name: str, size: tuple[int, int]
) -> None:
    """Query, context, response, every control and Submit are in the window at once; nothing covers anything."""
    interface = load(name)
    page.set_viewport_size({"width": size[0], "height": size[1]})
    open_queue(page, screens.project(name, interface.xml, [{"data": TYPICAL}]))
    assert in_view(page, ".q-query, .q-context, .q-response")
    assert in_view(page, CONTROLS)
    assert not scrolls(page, ".lsf-main-content")
    assert overlapping(page, f"{CONTROLS}, .q-box") == []
    if size == (1920, 1080):
        assert not scrolls(page, ".q-context .lsf-object")
        assert not scrolls(page, ".q-response .lsf-object")


@pytest.mark.parametrize("name", label_types())
def test_the_sample_screen(page: Page, screens: Screens, name: str) -> None:
    """The sample of each label type opens pre-filled; the pictures of the documentation come from here."""
    interface = load(name)
    data = interface.sample_task["data"]
    filled = prediction(sample_values(interface), interface, data, "auto-label")
    open_queue(page, screens.project(name, interface.xml, [{"data": data, "predictions": [filled]}]))
    page.locator(".q-page .ant-radio-wrapper-checked, .q-page .ant-rate-star-full").first.wait_for()
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        picture(page, f"{name}-{width}")


def test_a_long_context_scrolls_inside_its_box(page: Page, screens: Screens) -> None:
    """Eight thousand characters of context move nothing else."""
    data = TYPICAL | {"context": "A long line of context, number by number.\n" * 200}
    open_queue(page, screens.project("long", load("response_review").xml, [{"data": data}]))
    assert scrolls(page, ".q-context .lsf-object")
    assert not scrolls(page, ".lsf-main-content")
    assert in_view(page, CONTROLS)


def test_an_empty_context_says_so_and_gives_its_place(page: Page, screens: Screens) -> None:
    """Without a context the response gets the room, and nobody wonders what is missing."""
    open_queue(page, screens.project("empty", load("classification").xml, [{"data": TYPICAL | {"context": ""}}]))
    line = page.locator(".q-context .lsf-richtext__line")
    assert "No context was given." in line.evaluate("e => getComputedStyle(e, '::before').content")
    context, response = (page.locator(f".q-{name}").bounding_box() for name in ("context", "response"))
    assert context is not None
    assert response is not None
    assert response["width"] > 3 * context["width"]


def test_line_breaks_and_indents_stay(page: Page, screens: Screens) -> None:
    """Code keeps its indents; right-to-left lines start on the right."""
    data = TYPICAL | {"context": "def f():\n    return 1", "response": "שלום עולם"}
    open_queue(page, screens.project("lines", load("ner").xml, [{"data": data}]))
    lines = page.locator(".q-context .lsf-richtext__line")
    assert lines.nth(1).evaluate("e => getComputedStyle(e).whiteSpace") == "pre-wrap"
    assert lines.nth(1).text_content() == "    return 1"
    box = page.locator(".q-response .lsf-richtext__line").evaluate(
        "e => { const r = document.createRange(); r.selectNodeContents(e); const a = r.getBoundingClientRect(),"
        " b = e.getBoundingClientRect(); return [a.left - b.left, b.right - a.right]; }"
    )
    assert box[0] > box[1]


def checked(page: Page) -> set[str]:
    boxes = page.locator(".ant-checkbox-wrapper-checked, .ant-radio-wrapper-checked").all()
    return {box.locator("input").get_attribute("name") or "" for box in boxes}


def stars(page: Page, name: str) -> int:
    return page.locator(f".q-{name} .ant-rate-star-full").count()


def test_the_form_opens_filled_in_and_submits_what_it_shows(page: Page, screens: Screens) -> None:
    """Choices, ratings and spans of a prediction are on the screen, and come back unchanged when submitted."""
    interface = load("response_review")
    data, values = interface.sample_task["data"], sample_values(interface)
    filled = prediction(values, interface, data, "auto-label")
    project = screens.project("filled", interface.xml, [{"data": data, "predictions": [filled]}])
    open_queue(page, project)
    expect(page.locator(".q-response .htx-highlight")).to_have_count(len(values["entities"]))
    assert checked(page) == {"Partly correct", "Contradicts context", "Summary"}
    assert {name: stars(page, name) for name in ("correctness", "completeness", "helpfulness", "tone")} == {
        name: values[name] for name in ("correctness", "completeness", "helpfulness", "tone")
    }
    marked = page.locator(".q-response .htx-highlight").all_text_contents()
    assert marked == [data["response"][span["start"] : span["end"]] for span in values["entities"]]
    submit(page)
    (parsed,) = screens.submitted(project, interface.xml)
    assert parsed.problems == ()
    assert parsed.values == values


def test_a_row_is_done_by_keys(page: Page, screens: Screens) -> None:
    """Labels, choices, ratings and flags by their hotkeys, a described point of a scale by a click, one drag a span."""
    interface = load("response_review")
    data = TYPICAL | {"response": "😀 Helios Grid earned $58 million\r\nin Q3."}
    project = screens.project("keys", interface.xml, [{"data": data}])
    open_queue(page, project)
    page.keyboard.press("2")
    drag_over(page, "Helios Grid")
    page.keyboard.press("Escape")
    page.keyboard.press("4")
    drag_over(page, "Q3")
    page.keyboard.press("Escape")
    for key in ("w", "v", "a", "h", *"tttt", *"yy", "i", "Shift+U", "Shift+F"):
        page.keyboard.press(key)
    page.locator(".q-tone .ant-rate-star").nth(2).click(position={"x": 60, "y": 10})
    page.locator("input[name=flag_reason]").fill("the tax rule")
    # While somebody types, the editor's hotkeys rest.
    submit(page, by_key=False)
    (parsed,) = screens.submitted(project, interface.xml)
    assert parsed.problems == ()
    assert parsed.values == {
        "entities": [
            {"start": 2, "end": 13, "label": "ORG", "text": "Helios Grid"},
            {"start": 37, "end": 39, "label": "DATE", "text": "Q3"},
        ],
        "verdict": "Partly correct",
        "response_type": "Code",
        "issues": ["Factual error", "Code error"],
        "correctness": 4,
        "completeness": 2,
        "helpfulness": 1,
        "tone": 3,
    }
    assert (parsed.flags, parsed.reason) == (("unsure", "domain:financial"), "the tax rule")


def test_what_is_required_cannot_be_left_out(page: Page, screens: Screens) -> None:
    """Without a verdict nothing is sent; the screen says what is missing."""
    interface = load("classification")
    project = screens.project("required", interface.xml, [{"data": TYPICAL}])
    open_queue(page, project)
    page.keyboard.press("a")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("Choose a verdict.")).to_be_visible()
    assert screens.submitted(project, interface.xml) == []


def span_of(text: str, word: str, label: str) -> dict[str, Json]:
    start = text.find(word)
    return {"start": max(start, 0), "end": max(start, 0) + len(word), "label": label}


@pytest.mark.parametrize("stage", ["qa", "expert"])
@pytest.mark.parametrize("name", ["response_review", "classification"])
def test_a_review_screen_shows_what_differs(page: Page, screens: Screens, name: str, stage: str) -> None:
    """Conflicts and decision are in view at once, the form is filled in with what agrees, conflicts are left open."""
    interface = load(name)
    data = dict(load("response_review").sample_task["data"])
    first = {
        key: value
        for key, value in sample_values(load("response_review")).items()
        if key in {c.name for c in interface.controls}
    }
    second = first | {"verdict": "Incorrect", "issues": ["Contradicts context", "Factual error"]}
    if "entities" in first:
        second |= {
            "helpfulness": 1,
            "entities": [*first["entities"][:-1], span_of(data["response"], "Stein", "PERSON")],
        }
    qa = said(
        second, ["needs_expert"], "Which margin is meant depends on the accounting standard.", decision="escalate"
    )
    task = review_task(
        interface,
        stage,
        data,
        [said(first, ["unsure"], "The margin is right, its reason is not."), said(second)],
        qa if stage == "expert" else None,
        first,
    )
    xml = compose_review(interface.xml, stage)
    open_queue(page, screens.project(f"{name} {stage}", xml, [task], "quorum-proposal"))
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        assert in_view(page, ".q-panel, .q-decision, .q-query, .q-response")
        assert page.locator(".qp-conflict").first.is_visible()
        assert overlapping(page, ".q-panel, .q-query, .q-tools, .q-context, .q-response") == []
        picture(page, f"{name}-{stage}-{width}")
    if stage == "qa":
        assert checked(page) & {"Partly correct", "Incorrect"} == set()
        assert "Contradicts context" in checked(page)
        assert "Factual error" not in checked(page)


def test_a_decision_needs_its_reason(page: Page, screens: Screens) -> None:
    """Escalate without a reason is not sent; with one it is, and an emptied set comes back as an answer."""
    interface = load("ner")
    data, values = interface.sample_task["data"], sample_values(interface)
    xml = compose_review(interface.xml, "qa")
    task = review_task(interface, "qa", data, [said(values), said(values)])
    project = screens.project("reason", xml, [task], "quorum-proposal")
    open_queue(page, project)
    expect(page.locator(".q-response .htx-highlight")).to_have_count(len(values["entities"]))
    page.keyboard.press("Shift+X")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("Escalate and discard need a reason.")).to_be_visible()
    page.keyboard.press("Escape")
    page.locator(".ant-modal-wrap").wait_for(state="hidden")
    assert screens.submitted(project, xml) == []
    for _ in values["entities"]:
        page.locator(".q-response .htx-highlight").first.click()
        page.keyboard.press("Backspace")
    expect(page.locator(".q-response .htx-highlight")).to_have_count(0)
    page.locator("input[name=decision_reason]").fill("depends on <b>IFRS</b>")
    submit(page, by_key=False)
    (parsed,) = screens.submitted(project, xml)
    assert (parsed.decision, parsed.reason) == ("escalate", "depends on <b>IFRS</b>")
    assert parsed.as_review(interface.controls)["entities"] == []


@pytest.mark.parametrize("stage", ["pass", "qa", "expert"])
def test_what_was_typed_is_never_markup(page: Page, screens: Screens, stage: str) -> None:
    """Script tags, handlers and entity tricks in every field of a row and of every submission stay text."""
    alarms: list[str] = []
    page.on("dialog", lambda dialog: alarms.append(dialog.message))
    page.on("dialog", lambda dialog: dialog.dismiss())
    page.on("request", lambda request: alarms.extend([request.url] if "evil" in request.url else []))
    interface = load("response_review")
    everything = " ".join(HOSTILE)
    data = {"row_id": everything, **dict.fromkeys(("context", "query", "response"), everything), "domain": "financial"}
    span = {"start": 0, "end": len(HOSTILE[0]), "label": "ORG", "text": HOSTILE[0]}
    ratings = dict.fromkeys(("correctness", "completeness", "helpfulness", "tone"), 3)
    odd = {"verdict": everything, "issues": HOSTILE, "response_type": everything, "entities": [span], **ratings}
    plain = {"verdict": "Correct", "response_type": "Direct answer", "entities": [], **ratings}
    xml = interface.xml if stage == "pass" else compose_review(interface.xml, stage)
    if stage == "pass":
        task: Json = {"data": data, "predictions": [prediction({"entities": [span]}, interface, data, "auto-label")]}
    else:
        qa = said(odd, HOSTILE, everything, decision="escalate")
        passes = [said(odd, HOSTILE, everything), said(plain, ["unsure"], everything)]
        task = review_task(interface, stage, data, passes, qa if stage == "expert" else None, odd, filled=False)
    open_queue(page, screens.project(f"hostile {stage}", xml, [task]))
    page.wait_for_timeout(1500)
    made = page.evaluate(
        "[...document.querySelectorAll('.lsf-richtext *')].map(e => e.tagName)"
        ".filter(tag => !'DIV SPAN BR TABLE THEAD TBODY TR TH TD SUP B STYLE'.split(' ').includes(tag))"
    )
    handlers = page.evaluate(
        "[...document.querySelectorAll('.lsf-richtext *')].flatMap(e => [...e.attributes].map(a => a.name))"
        ".filter(name => name.startsWith('on') || name === 'href' || name === 'src' || name === 'srcdoc')"
    )
    assert (made, handlers, alarms) == ([], [], [])
    assert page.evaluate("window.hacked") is None
    assert everything in (page.locator(".q-response").text_content() or "")
    if stage != "pass":
        shown = page.locator(".q-panel").text_content() or ""
        assert shown.count(everything) >= (4 if stage == "expert" else 3)


def test_guidelines_are_the_projects_instructions(page: Page, screens: Screens) -> None:
    """The guidelines open as formatted text, with their tables."""
    interface = load("response_review")
    instructions: Json = {"expert_instruction": interface.guidelines_html, "show_instruction": True}
    open_queue(page, screens.project("guide", interface.xml, [{"data": TYPICAL}], **instructions))
    guide = page.locator(".quorum-guide")
    guide.wait_for()
    assert guide.locator("h1").inner_text() == "Review of one response"
    assert guide.locator("table").count() >= 4
    assert guide.locator("td").first.evaluate("e => getComputedStyle(e).borderTopStyle") == "solid"
