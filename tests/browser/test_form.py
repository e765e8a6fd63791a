"""The Pass form on a server with the plugin, in a real chromium: what fits, what keys do, what is said, what is stored.

With QUORUM_MEASURES=docs/interfaces.md the tables of the documentation are written anew from what was measured.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from ls_config import label_types, load, to_result
from tests.browser.test_screens import TYPICAL, in_view, open_queue, overlapping, picture, scrolls, span_of, submit
from tests.contract.plugin_campaign import Line, make_line, rows
from tests.support.screens import SHAPE, Screens, browser_for, sample_values, serious_violations, unheard, write_table
from tests.support.servers import LabelStudioServer

pytestmark = [pytest.mark.server, pytest.mark.browser]

SIZES = [(1280, 720), (1366, 768), (1440, 900), (1920, 1080), (3840, 2160)]
ZOOMS = [100, 125]
LONG = TYPICAL | {"context": TYPICAL["context"] * 3, "response": TYPICAL["response"] * 3}
CONTROLS = ".q-page .lsf-choice__checkbox, .q-page .lsf-label, .q-page .q-point, .q-page .q-note"
BELONGS = "A response whose verdict is Correct is rated 4 or 5 on correctness."
SCALES = ("correctness", "completeness", "helpfulness", "tone")
Json = Any


@pytest.fixture(scope="module")
def screens(ls_server_plugin: LabelStudioServer) -> Screens:
    return Screens(ls_server_plugin)


@pytest.fixture
def context(ls_server_plugin: LabelStudioServer, chromium: Browser) -> Iterator[BrowserContext]:
    """A fresh browser at 1366×768 in which the owner is logged in: nobody has folded a panel here."""
    with browser_for(chromium, ls_server_plugin.log_in_owner(), viewport={"width": 1366, "height": 768}) as context:
        yield context


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


def open_form(page: Page, screens: Screens, name: str, data: Json, filled: Json = None) -> int:
    """Open a row of an interface of its own project; its form filled in with these values if any are given."""
    interface = load(name)
    task = {"data": data}
    if filled is not None:
        result = to_result(filled, interface.all_controls, data)
        task["predictions"] = [{"model_version": "auto-label", "result": result}]
    project = screens.project(f"form {name}", interface.xml, [task])
    open_queue(page, project)
    page.wait_for_function("window.quorum.screen() && document.querySelector('.q-note')")
    return project


def values_of(page: Page) -> dict[str, Json]:
    """What Label Studio would store now, by field."""
    stored: dict[str, Json] = page.evaluate(
        "Object.fromEntries(quorum.screen().annotation.serializeAnnotation()"
        ".map(each => [each.from_name, Object.values(each.value)[0]]))"
    )
    return stored


def focused(page: Page) -> str:
    """The name of what has the focus."""
    return str(page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.name || ''"))


def lines_of(page: Page, selector: str) -> list[int]:
    """How many characters the lines of the last such text have on the screen."""
    counts: list[int] = page.locator(selector).last.evaluate(
        """text => {
          const walk = document.createTreeWalker(text, NodeFilter.SHOW_TEXT);
          const range = document.createRange(), lines = [];
          let top = null;
          while (walk.nextNode()) {
            for (let at = 0; at < walk.currentNode.length; at += 1) {
              range.setStart(walk.currentNode, at); range.setEnd(walk.currentNode, at + 1);
              const y = Math.round(range.getBoundingClientRect().top);
              if (y !== top) { lines.push(0); top = y; }
              lines[lines.length - 1] += 1;
            }
          }
          return lines;
        }"""
    )
    return counts


def test_a_rating_is_its_digit(page: Page, screens: Screens) -> None:
    """The scale's key and a digit, or the arrows, set a named radio; no press takes a rating away."""
    open_form(page, screens, "response_review", TYPICAL)
    scale = page.get_by_role("radiogroup", name="Correctness")
    names = [radio.get_attribute("aria-label") for radio in scale.get_by_role("radio").all()]
    assert names == ["1 Wrong", "2 Mostly wrong", "3 One real error", "4 Small slip", "5 All right"]
    for key in "t4y2i5o1":
        page.keyboard.press(key)
    assert {name: values_of(page)[name] for name in SCALES} == {
        "correctness": 4, "completeness": 2, "helpfulness": 5, "tone": 1,
    }  # fmt: skip
    # After its digit a scale lets go: the next digit is a label's key again.
    page.keyboard.press("2")
    assert page.evaluate("quorum.screen().field('entities').selectedLabels.map(label => label.value)") == ["ORG"]
    assert values_of(page)["tone"] == 1
    for presses, value in (("t4", 4), ("t4", 4), ("t", 4)):
        for key in presses:
            page.keyboard.press(key)
        assert values_of(page)["correctness"] == value
    page.keyboard.press("ArrowRight")
    assert (values_of(page)["correctness"], focused(page)) == (5, "5 All right")
    expect(scale.get_by_role("radio", checked=True)).to_have_accessible_name("5 All right")
    page.keyboard.press("Control+z")
    expect(scale.get_by_role("radio", checked=True)).to_have_accessible_name("4 Small slip")


def test_what_is_missing_is_said_once_at_its_fields(page: Page, screens: Screens) -> None:
    """All fields at once, the first with the focus; nothing is sent, and the next key already fills in."""
    project = open_form(page, screens, "response_review", TYPICAL)
    for key in "zt4y4":
        page.keyboard.press(key)
    page.keyboard.press("Control+Enter")
    notes = page.locator(".q-missing-note")
    assert notes.all_inner_texts() == ["Choose a verdict.", "Rate the helpfulness.", "Rate the tone."]
    sentence = page.get_by_role("alert")
    expect(sentence).to_have_text("Not sent: 3 are missing: Verdict, Helpfulness, Tone.")
    assert page.locator(".ant-modal").count() == 0
    assert page.evaluate("document.activeElement.closest('.q-row').querySelector('h4').textContent") == "Verdict"
    page.keyboard.press("q")
    expect(sentence).to_have_count(0)
    assert notes.all_inner_texts() == ["Rate the helpfulness.", "Rate the tone."]
    page.get_by_test_id("bottombar-submit-button").click()
    expect(sentence).to_have_text("Not sent: 2 are missing: Helpfulness, Tone.")
    page.keyboard.press("4")  # the focus is on the first scale that is missing
    for key in "o5":
        page.keyboard.press(key)
    assert notes.count() == 0
    # The key of a choice that is taken already does not take it back.
    page.keyboard.press("q")
    submit(page)
    (parsed,) = screens.submitted(project, load("response_review").xml)
    assert parsed.values["verdict"] == "Correct"
    assert [parsed.values[name] for name in SCALES] == [4, 4, 4, 5]


@pytest.mark.parametrize("way", ["key", "button", "Enter first"])
def test_a_reason_is_stored_as_it_was_typed(page: Page, screens: Screens, way: str) -> None:
    """One key reaches the box, Escape leaves it, it grows, and what was typed last goes with Ctrl+Enter or Submit."""
    project = open_form(page, screens, "classification", TYPICAL)
    page.keyboard.press("q")
    page.keyboard.press(".")
    box = page.get_by_role("textbox", name="Why flagged?")
    expect(box).to_be_focused()
    low = box.evaluate("box => box.offsetHeight")
    page.keyboard.type("the tax rule")
    page.keyboard.press("Escape")
    expect(box).not_to_be_focused()
    assert values_of(page)["flag_reason"] == ["the tax rule"]
    page.keyboard.press("Shift+U")
    page.keyboard.press(".")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.keyboard.type("q and w are words here")
    assert box.evaluate("box => box.offsetHeight") > low
    if way == "Enter first":
        page.keyboard.press("Enter")
    submit(page, by_key=way != "button")
    (parsed,) = screens.submitted(project, load("classification").xml)
    assert (parsed.values["verdict"], parsed.flags) == ("Correct", ("unsure",))
    assert parsed.reason == "the tax rule\nq and w are words here"


def test_a_reason_that_is_emptied_is_gone(page: Page, screens: Screens) -> None:
    """A reason that a draft or a prediction brought is in the box, and can be changed and taken away there."""
    open_form(page, screens, "classification", TYPICAL, {"verdict": "Correct", "flag_reason": "from before"})
    box = page.get_by_role("textbox", name="Why flagged?")
    expect(box).to_have_value("from before")
    box.fill("changed")
    page.keyboard.press("Escape")
    assert values_of(page)["flag_reason"] == ["changed"]
    box.fill("")
    page.keyboard.press("Escape")
    assert "flag_reason" not in values_of(page)


def test_keys_work_after_a_click_on_a_choice(page: Page, screens: Screens) -> None:
    """The focus in a choice that was clicked or reached by Tab holds no key of the form back."""
    open_form(page, screens, "response_review", TYPICAL)
    page.locator(".lsf-choice__checkbox", has_text="Factual error").click()
    page.locator("input[name='Code error']").focus()
    for key in ("w", "d", "Shift+U", *"t3"):
        page.keyboard.press(key)
    values = values_of(page)
    assert (values["verdict"], values["flags"], values["correctness"]) == (["Partly correct"], ["unsure"], 3)
    assert values["issues"] == ["Factual error", "Contradicts context"]


def test_a_violated_check_is_told_at_its_fields_and_goes_when_they_fit(page: Page, screens: Screens) -> None:
    """A status that a screen reader reads, the fields marked; nothing that was filled in is taken away."""
    ratings = dict.fromkeys(SCALES, 2)
    open_form(page, screens, "response_review", TYPICAL, {"verdict": "Correct", **ratings})
    told = page.locator("#quorum-checks[role=status]")
    expect(told).to_have_text(f"Cannot be submitted: {BELONGS}")
    assert page.locator(".q-correctness.quorum-unfit, .q-row.quorum-unfit").count() >= 2
    page.evaluate("window.quorum.screen().field('correctness').setRating(5)")
    expect(told).to_be_empty()
    assert page.locator(".quorum-unfit").count() == 0
    assert page.evaluate("window.quorum.screen().field('helpfulness').rating") == 2


def fit(page: Page, width: int, height: int) -> dict[str, int]:
    """Resize the open page; how high its boxes are and how much of it does not fit."""
    page.set_viewport_size({"width": width, "height": height})
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    measures: dict[str, int] = page.evaluate(
        """() => {
          const main = document.querySelector('.lsf-main-content'), page = document.querySelector('.q-page');
          const bar = document.querySelector('.lsf-bottombar').getBoundingClientRect();
          return {
            hidden: Math.max(0, main.scrollHeight - main.clientHeight, document.body.scrollHeight - innerHeight),
            texts: Math.round(page.querySelector('.q-texts').getBoundingClientRect().height),
            form: Math.round(page.getBoundingClientRect().width), bar: Math.round(innerHeight - bar.bottom),
          };
        }"""
    )
    return measures


@pytest.mark.parametrize("name", label_types())
def test_everything_that_is_decided_is_on_the_screen(page: Page, screens: Screens, name: str) -> None:
    """Every control and Submit, at each size and zoom, with long texts: these scroll inside their boxes."""
    open_form(page, screens, name, LONG)
    lines = []
    for width, height in SIZES:
        for zoom in ZOOMS:
            inner = width * 100 // zoom, height * 100 // zoom
            measures = fit(page, *inner)
            at = f"{name} at {width}×{height}, {zoom} %: {measures}"
            assert measures["hidden"] == 0, at
            assert measures["bar"] == 0, at
            assert measures["texts"] >= 110, at
            assert measures["form"] >= min(inner[0] - 60, 1500), f"the side panel is folded: {at}"
            assert in_view(page, CONTROLS), at
            assert page.get_by_test_id("bottombar-submit-button").is_visible()
            assert overlapping(page, f"{CONTROLS}, .q-box") == [], at
            lines.append([f"`{name}`", f"{width}×{height}", f"{zoom} %", measures["hidden"], measures["texts"]])
    write_table(f"fits {name}", ["interface", "screen", "zoom", "hidden", "texts"], lines)


def test_the_side_panel_stays_as_people_leave_it(page: Page, screens: Screens) -> None:
    """Folded the first time; whoever opens it has it open after a reload."""
    open_form(page, screens, "classification", TYPICAL)
    folded = page.locator(".q-page").evaluate("page => page.offsetWidth")
    page.locator(".lsf-tabs-panel__toggle_collapsed").click()
    page.wait_for_function("width => document.querySelector('.q-page').offsetWidth < width - 200", arg=folded)
    page.reload()
    page.wait_for_function("window.quorum?.screen() && document.querySelector('.q-note')")
    assert page.locator(".q-page").evaluate("page => page.offsetWidth") < folded - 200


def test_boxes_take_the_room_of_their_texts(page: Page, screens: Screens) -> None:
    """A short text has a low box, an absent context none; both are said."""
    open_form(page, screens, "classification", TYPICAL | {"context": "", "response": "Yes."})
    assert page.locator(".q-context").is_hidden()
    box, form = page.locator(".q-response").bounding_box(), page.locator(".q-page").bounding_box()
    assert box is not None
    assert form is not None
    assert box["width"] == form["width"]
    assert box["height"] < 70
    said = page.locator(".q-response h4").evaluate("title => getComputedStyle(title, '::after').content")
    assert "no context was given" in said


def test_a_box_that_goes_on_says_so(page: Page, screens: Screens) -> None:
    """The mark is there until the end is reached; by keys too."""
    open_form(page, screens, "ner", LONG)
    mark = page.locator(".q-response .q-more")
    expect(mark).to_be_visible()
    text = page.get_by_role("region", name="Response")
    text.focus()
    page.keyboard.press("End")
    expect(mark).to_be_hidden()
    assert scrolls(page, ".q-response .lsf-object")


@pytest.mark.parametrize(("name", "key"), [("ner", "f"), ("rating", "f"), ("classification", "p")])
def test_one_key_gives_the_texts_the_full_height_and_back(page: Page, screens: Screens, name: str, key: str) -> None:
    """F, or the next key where the form has an F of its own; a key of the form brings the form back."""
    open_form(page, screens, name, LONG)
    low = page.locator(".q-texts").evaluate("texts => texts.offsetHeight")
    for back in (key, "Escape", {"ner": "z", "rating": "t", "classification": "q"}[name]):
        page.keyboard.press(key)
        assert page.locator(".q-texts").evaluate("texts => texts.offsetHeight") > low + 60
        assert page.locator(".q-form").is_hidden()
        page.keyboard.press(back)
        assert page.locator(".q-form").is_visible()
    assert page.get_by_role("button", name=f"Full height [{key.upper()}]").is_visible()


@pytest.mark.parametrize("size", [(1366, 768), (1920, 1080), (3840, 2160)], ids=str)
def test_lines_are_no_longer_than_people_read(page: Page, screens: Screens, size: tuple[int, int]) -> None:
    """About 90 characters, however wide the screen is."""
    open_form(page, screens, "classification", LONG | {"context": "", "response": f"In *short*:\n\n{LONG['response']}"})
    fit(page, *size)
    page.locator(".q-response .q-reading p").first.wait_for()
    for text in (".q-response .q-reading p", ".q-response .lsf-richtext__line"):
        page.wait_for_function("text => [...document.querySelectorAll(text)].at(-1).offsetWidth > 400", arg=text)
        lines = lines_of(page, text)
        assert 70 <= sum(lines[:-1]) / len(lines[:-1]) <= 92, text
        assert max(lines) <= 100, text
        page.keyboard.press("Alt+o")


def test_label_tags_stand_behind_their_span_in_right_to_left_text(page: Page, screens: Screens) -> None:
    """In one piece on the left of the words: of Hebrew, of a number and of Latin letters in a Hebrew line."""
    response = "דנה לוי עובדת באלביט מאז 2019 וגם עם Google לפעמים."
    spans = [
        span_of(response, word, label) for word, label in (("דנה לוי", "PERSON"), ("2019", "DATE"), ("Google", "ORG"))
    ]
    data = TYPICAL | {"response": response, "context": ""}
    open_form(page, screens, "ner", data, {"entities": spans, "response_type": "Other"})
    page.keyboard.press("Alt+o")  # the text as it is written
    page.locator(".htx-highlight").nth(2).wait_for()
    for left, right in page.locator(".htx-highlight").evaluate_all(
        """spans => spans.map(span => {
          const range = document.createRange();
          range.selectNodeContents(span.firstChild);
          const words = range.getBoundingClientRect(), whole = span.getBoundingClientRect();
          return [words.left - whole.left, whole.right - words.right];
        })"""
    ):
        assert left > 20
        assert right < 5


@pytest.mark.parametrize("name", label_types())
@pytest.mark.parametrize("way", ["key", "button"])
def test_the_help_lists_the_keys_of_this_screen(page: Page, screens: Screens, name: str, way: str) -> None:
    """Ours and the form's, in place of Label Studio's list; none for pictures, sound or time."""
    open_form(page, screens, name, TYPICAL)
    if way == "key":
        page.keyboard.press("?")
    else:
        page.get_by_test_id("hotkeys-button").click()
    dialog = page.get_by_role("dialog", name="Keys of this screen")
    text = dialog.inner_text()
    assert "Send the answer" in text
    assert "Unsure" in text
    assert ("Correctness: then 1 to 5" in text) == ("correctness" in {each.name for each in load(name).controls})
    assert ("Delete all spans" in text) == (name in ("ner", "response_review"))
    assert not any(word in text.lower() for word in ("image", "zoom", "audio", "video", "brush", "frame"))
    hotkeys = set(page.locator("dialog kbd").all_inner_texts())
    page.set_viewport_size({"width": 1093, "height": 614})  # the same screen at 125 %
    groups = page.get_by_role("region", name="The keys")
    assert groups.evaluate("each => each.scrollHeight <= each.clientHeight"), "no key is below the edge"
    assert {"Shift + U", "Ctrl + Enter", "?"} <= hotkeys
    before = values_of(page)
    page.keyboard.press("q")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert values_of(page) == before


def test_keys_that_destroy_ask_first(page: Page, screens: Screens) -> None:
    """Deleting all spans and taking all changes back ask in one sentence; the harmless answer is the first."""
    data = load("ner").sample_task["data"]
    open_form(page, screens, "ner", data, sample_values(load("ner")))
    spans = len(sample_values(load("ner"))["entities"])
    count = "quorum.screen().annotation.regions.filter(region => !region.classification).length"
    page.wait_for_function(f"{count} === {spans}")
    page.keyboard.press("Control+Backspace")
    expect(page.get_by_role("dialog", name=f"Delete all {spans} spans of this row?")).to_be_visible()
    page.keyboard.press("Enter")
    assert page.evaluate(count) == spans
    page.keyboard.press("Control+Backspace")
    page.get_by_role("button", name="Delete").click()
    assert page.evaluate(count) == 0
    assert values_of(page) == {"response_type": [sample_values(load("ner"))["response_type"]]}, "nothing else is gone"
    page.keyboard.press("Control+z")
    assert page.evaluate(count) == spans
    page.keyboard.press("m")
    page.get_by_test_id("bottombar-reset-button").click()
    expect(page.get_by_role("dialog", name="Take back everything that you changed on this row?")).to_be_visible()
    page.keyboard.press("Escape")
    assert values_of(page)["response_type"] == ["Refusal"]
    page.get_by_test_id("bottombar-reset-button").click()
    page.get_by_role("button", name="Take back").click()
    assert values_of(page)["response_type"] == [sample_values(load("ner"))["response_type"]]


LOOKS = ("light", "dark")


def look(page: Page, name: str) -> None:
    """Change to a light or dark look, as the switch in Label Studio's bar does."""
    page.evaluate("name => document.documentElement.setAttribute('data-color-scheme', name)", name)
    page.evaluate("new Promise(requestAnimationFrame)")
    page.evaluate("Promise.allSettled(document.getAnimations().map(each => each.finished)).then(() => null)")


@pytest.mark.parametrize("name", label_types())
def test_axe_finds_nothing_serious_on_the_form(page: Page, screens: Screens, name: str) -> None:
    """Light and dark; filled in, with what is missing marked, with the help open."""
    interface = load(name)
    open_form(page, screens, name, interface.sample_task["data"], sample_values(interface))
    for scheme in LOOKS:
        look(page, scheme)
        assert serious_violations(page) == [], scheme
        picture_of_look(page, f"{name}-1366-{scheme}")
    page.keyboard.press("?")
    assert serious_violations(page) == []
    page.keyboard.press("Escape")
    open_form(page, screens, name, LONG)
    page.keyboard.press("Control+Enter")
    page.locator("#quorum-missing").wait_for()
    assert serious_violations(page) == []


def picture_of_look(page: Page, name: str) -> None:
    if os.environ.get("QUORUM_SCREENS"):
        picture(page, name)


def test_axe_finds_nothing_serious_on_quorums_pages(chromium: Browser, line: Line) -> None:
    """My work of an annotator, and the pages of the manager."""
    campaign = f"campaign/{line.status()['id']}/"
    for person, path in (("ana", "mine/"), ("ana", "mine/notices/"), ("max", ""), ("max", campaign)):
        with signed_in(chromium, line, person) as page:
            page.goto(f"/quorum/{path}")
            assert serious_violations(page) == [], path


@pytest.fixture(scope="module")
def line(ls_server_plugin: LabelStudioServer) -> Line:
    return make_line(ls_server_plugin, rows(4))


@contextmanager
def signed_in(chromium: Browser, line: Line, person: str) -> Iterator[Page]:
    """A page where this person of a campaign is signed in."""
    with browser_for(chromium, line.people[person], viewport={"width": 1366, "height": 768}) as context:
        yield context.new_page()


def test_postponing_says_how_many_rows_wait_and_until_when(chromium: Browser, line: Line) -> None:
    """One sentence above the buttons, gone with the next key."""
    with signed_in(chromium, line, "bea") as page:
        open_queue_of_campaign(page, line.projects["pass"])
        page.get_by_role("button", name="Postpone task").click()
        said = page.get_by_role("status").filter(has_text="put off")
        expect(said).to_contain_text("One row is put off, of at most 4; it is kept for you until ")
        page.wait_for_function("window.quorum.screen()")
        page.keyboard.press("Escape")
        expect(said).to_have_count(0)


def open_queue_of_campaign(page: Page, project: int) -> None:
    """Open a queue that begins with the guidelines."""
    page.goto(f"/projects/{project}/data?labeling=1")
    page.get_by_test_id("bottombar-submit-button").wait_for()
    close = page.get_by_label("Close modal")
    if close.count():
        close.first.click()
    page.wait_for_function("window.quorum.screen()")


FOCUS = """() => {
  const at = document.activeElement;
  if (!at || at === document.body) return null;
  const shown = [at, at.closest('.lsf-choice__checkbox')].filter(Boolean).some(each => {
    const style = getComputedStyle(each), box = each.getBoundingClientRect();
    return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2 && box.width > 0
      && box.top >= 0 && box.bottom <= innerHeight;
  });
  return [at.getAttribute('aria-label') || at.name || at.textContent.slice(0, 40), shown];
}"""


def test_a_row_is_done_by_keyboard_alone(page: Page, screens: Screens) -> None:
    """Tab reaches every control and Submit, and wherever the focus is, it can be seen; then the row is done by keys."""
    project = open_form(page, screens, "response_review", TYPICAL)
    reached: list[str] = []
    for _ in range(90):
        page.keyboard.press("Tab")
        focus = page.evaluate(FOCUS)
        if focus is None:
            continue
        assert focus[1], f"the focus is not seen at {focus[0]}"
        if focus[0] in reached and focus[0] == reached[0]:
            break
        reached.append(focus[0])
    assert {
        "PERSON",
        "Correct",
        "Direct answer",
        "Factual error",
        "1 Wrong",
        "1 Nothing",
        "Unsure",
        "Why flagged?",
    } <= set(reached)
    assert "Submit current annotation" in reached
    for key in ("w", "v", "a", *"t4y5i4o5", "Shift+U", "."):
        page.keyboard.press(key)
    page.keyboard.type("why")
    submit(page)
    (parsed,) = screens.submitted(project, load("response_review").xml)
    assert [parsed.values[name] for name in ("verdict", "response_type", "issues", *SCALES)] == [
        "Partly correct", "Code", ["Factual error"], 4, 5, 4, 5,
    ]  # fmt: skip
    assert (parsed.flags, parsed.reason) == (("unsure",), "why")


def test_a_screen_reader_hears_every_control_and_its_state(page: Page, screens: Screens) -> None:
    """Groups by their heading, choices by their words, scales as radios, labels as buttons."""
    open_form(page, screens, "response_review", TYPICAL)
    for key in "wt42":
        page.keyboard.press(key)
    page.keyboard.press("Shift+U")
    expect(page.get_by_role("radiogroup", name="Verdict").get_by_role("radio", checked=True)).to_have_accessible_name(
        "Partly correct"
    )
    expect(page.get_by_role("group", name="Flags").get_by_role("checkbox", checked=True)).to_have_accessible_name(
        "Unsure"
    )
    expect(page.get_by_role("radiogroup", name="Tone").get_by_role("radio")).to_have_count(5)
    expect(page.get_by_role("button", name="ORG", exact=True, pressed=True)).to_have_count(1)
    expect(page.get_by_role("button", name="DATE", exact=True, pressed=False)).to_have_count(1)
    assert unheard(page) == []


def test_what_is_chosen_is_not_told_by_colour_alone(page: Page, screens: Screens) -> None:
    """A chosen point, choice and label differ in form from the others, light, dark and in colours of the system."""
    open_form(page, screens, "response_review", TYPICAL)
    for key in "wat42":
        page.keyboard.press(key)
    pairs = (
        (".q-point[aria-checked=true]", ".q-point[aria-checked=false]"),
        (".ant-radio-wrapper-checked", ".ant-radio-wrapper:not(.ant-radio-wrapper-checked)"),
        (".ant-checkbox-wrapper-checked", ".ant-checkbox-wrapper:not(.ant-checkbox-wrapper-checked)"),
        (".lsf-label[aria-pressed=true]", ".lsf-label[aria-pressed=false]"),
    )
    for forced in ("none", "active"):
        for scheme in LOOKS:
            page.emulate_media(forced_colors=forced)
            look(page, scheme)
            for chosen, other in pairs:
                shapes = [page.locator(f".q-page {each}").first.evaluate(SHAPE) for each in (chosen, other)]
                assert shapes[0] != shapes[1], (chosen, forced, scheme)


RIGHT = {
    "verdict": "Correct",
    "response_type": "Summary",
    "correctness": 5,
    "completeness": 5,
    "helpfulness": 5,
    "tone": 5,
}
EMPTY: dict[str, Json] = {"verdict": None, "response_type": None, **dict.fromkeys(SCALES)}
SCALE_KEYS = dict(zip(SCALES, "tyio", strict=True))
# What the form opens with and what is right: the rest of a row's values is as in RIGHT.
TEN_ROWS: tuple[tuple[str, dict[str, Json], dict[str, Json]], ...] = (
    ("a right row", {}, {}),
    ("one wrong rating, 5 to 4", {}, {"correctness": 4}),
    ("one wrong rating, 5 to 2", {}, {"tone": 2}),
    ("two wrong ratings", {}, {"correctness": 3, "completeness": 4}),
    ("a wrong verdict", {}, {"verdict": "Incorrect"}),
    ("a wrong verdict and its rating", {}, {"verdict": "Partly correct", "correctness": 3}),
    ("unsure, with a reason", {}, {"reason": "two readings"}),
    ("a rating left out, noticed at sending", {"helpfulness": None}, {}),
    ("three left out, noticed at sending", {"verdict": None, "helpfulness": None, "tone": None}, {}),
    ("nothing filled in", EMPTY, {}),
)
CHOICE_KEYS = {"Correct": "q", "Partly correct": "w", "Incorrect": "e", "Summary": "n"}


def strokes_before(opened: dict[str, Json], right: dict[str, Json], *, noticed_late: bool) -> list[str]:
    """The keys of a row on Label Studio's own form; "click:" is the mouse, where no key does it."""
    keys: list[str] = []
    for name, value in right.items():
        if name == "reason":
            keys += ["Shift+U", "click:input[name=flag_reason]", *f"{value}", "Enter"]
        elif opened.get(name) != value and not noticed_late:
            keys += strokes_of(name, opened.get(name), value)
    if noticed_late:
        for name, value in right.items():
            if name != "reason" and opened.get(name) is None:
                keys += ["Control+Enter", "click:.ant-modal .ant-btn-primary", *strokes_of(name, None, value)]
    return [*keys, "Control+Enter"]


def strokes_of(name: str, opened: Json, value: Json) -> list[str]:
    """A choice is its key; a rating climbs a star a press, over none."""
    if name not in SCALE_KEYS:
        return [CHOICE_KEYS[value]]
    presses = value - (opened or 0)
    return [SCALE_KEYS[name]] * (presses if presses > 0 else presses + 6)


def strokes_after(opened: dict[str, Json], right: dict[str, Json], *, noticed_late: bool) -> list[str]:
    """The keys of a row on the form with the plugin's script."""
    keys: list[str] = ["Control+Enter"] if noticed_late else []
    for name, value in right.items():
        if name == "reason":
            keys += ["Shift+U", ".", *f"{value}"]
        elif opened.get(name) != value:
            keys += [SCALE_KEYS[name], str(value)] if name in SCALE_KEYS else [CHOICE_KEYS[value]]
    return [*keys, "Control+Enter"]


def work(page: Page, project: int, strokes: dict[str, list[str]]) -> dict[str, float]:
    """Do the rows of a queue by these keys; the seconds of each, from the first key to the server's answer."""
    open_queue(page, project)
    seconds: dict[str, float] = {}
    while len(seconds) < len(strokes):
        page.wait_for_function(
            "done => window.Htx?.annotationStore?.selected && !done.includes(Htx.task.dataObj.row_id)"
            " && document.querySelector('.lsf-richtext__line') && (!window.quorum || quorum.screen())",
            arg=list(seconds),
        )
        page.wait_for_timeout(300)  # Label Studio lets go of the row before
        row = page.evaluate("Htx.task.dataObj.row_id")
        start = perf_counter()
        with page.expect_response(lambda sent: "/annotations" in sent.url and sent.request.method == "POST") as got:
            for stroke in strokes[row]:
                kind, _, selector = stroke.partition("click:")
                page.locator(selector).last.click() if selector else page.keyboard.press(kind)
        assert got.value.status == 201
        seconds[row] = perf_counter() - start
    return seconds


def test_the_keys_of_ten_typical_rows(page: Page, screens: Screens) -> None:
    """Counted and timed by script on Label Studio's own form and on ours; the same answers are stored by both."""
    interface = load("response_review")
    tasks: list[Json] = []
    for number, (_, opens, _) in enumerate(TEN_ROWS):
        data = TYPICAL | {"row_id": f"row-{number}"}
        filled = {name: value for name, value in (RIGHT | opens).items() if value is not None}
        result = to_result(filled, interface.all_controls, data)
        tasks.append({"data": data, "predictions": [{"model_version": "auto-label", "result": result}]})
    right = [RIGHT | changed for _, _, changed in TEN_ROWS]
    measured: list[tuple[dict[str, list[str]], dict[str, float]]] = []
    for keys_of in (strokes_before, strokes_after):
        strokes = {
            f"row-{number}": keys_of(RIGHT | opens, right[number], noticed_late="noticed" in title)
            for number, (title, opens, _) in enumerate(TEN_ROWS)
        }
        project = screens.project("ten rows", interface.xml, tasks)
        if keys_of is strokes_before:
            page.route("**/quorum/screen.*", lambda route: route.abort())
        else:
            page.unroute_all()
        measured.append((strokes, work(page, project, strokes)))
        stored = screens.submitted(project, interface.xml)
        assert [{name: each.values[name] for name in RIGHT} for each in stored] == [
            {name: values[name] for name in RIGHT} for values in right
        ]
        assert [each.reason for each in stored] == [values.get("reason") for values in right]
    (before, slow), (after, fast) = measured
    for row, strokes_of_row in after.items():
        assert len(strokes_of_row) <= len(before[row])
    write_table(
        "keys",
        ["row", "keys before", "keys now", "seconds before", "seconds now"],
        [
            [title, len(before[row]), len(after[row]), f"{slow[row]:.1f}", f"{fast[row]:.1f}"]
            for row, (title, _, _) in zip(before, TEN_ROWS, strict=True)
        ],
    )
