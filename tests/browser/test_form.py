"""The Pass form on a server with the plugin, in a real chromium: what fits, what keys do, what is said, what is stored.

With QUORUM_MEASURES=docs/interfaces.md the tables of the documentation are written anew from what was measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from ls_config import load, to_result
from tests.browser.test_screens import TYPICAL, open_queue, submit
from tests.support.screens import Screens
from tests.support.servers import LabelStudioServer

pytestmark = [pytest.mark.server, pytest.mark.browser]

SIZES = [(1280, 720), (1366, 768), (1440, 900), (1920, 1080), (3840, 2160)]
ZOOMS = [100, 125]
LONG = TYPICAL | {"context": TYPICAL["context"] * 3, "response": TYPICAL["response"] * 3}
CONTROLS = ".q-page .lsf-choice__checkbox, .q-page .lsf-label, .q-page .q-point, .q-page .q-note"
SCALES = ("correctness", "completeness", "helpfulness", "tone")
Json = Any


@pytest.fixture(scope="module")
def screens(ls_server_plugin: LabelStudioServer) -> Screens:
    return Screens(ls_server_plugin)


@pytest.fixture
def context(ls_server_plugin: LabelStudioServer, chromium: Browser) -> Iterator[BrowserContext]:
    """A fresh browser at 1366×768 in which the owner is logged in: nobody has folded a panel here."""
    owner = ls_server_plugin.log_in_owner()
    context = chromium.new_context(base_url=ls_server_plugin.url, viewport={"width": 1366, "height": 768})
    cookies = [{"name": each.name, "value": each.value or "", "url": ls_server_plugin.url} for each in owner.cookies]
    context.add_cookies(cookies)  # type: ignore[arg-type]
    yield context
    context.close()


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
    """How many characters the lines of a text have on the screen."""
    counts: list[int] = page.locator(selector).first.evaluate(
        """text => {
          const range = document.createRange(), node = text.firstChild, lines = [];
          let top = null;
          for (let at = 0; at < node.data.length; at += 1) {
            range.setStart(node, at); range.setEnd(node, at + 1);
            const y = Math.round(range.getBoundingClientRect().top);
            if (y !== top) { lines.push(0); top = y; }
            lines[lines.length - 1] += 1;
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
