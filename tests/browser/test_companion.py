"""The panel beside the form in a real chromium, by keys: guidelines at the label in hand, questions, precedents."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from ls_config import compose_review, load
from ls_config.guidelines import to_html
from tests.browser.test_form import CONTROLS, LOOKS, look, values_of
from tests.browser.test_screens import in_view, overlapping, picture
from tests.contract.plugin_campaign import Line, make_line, rows
from tests.support.review_rows import made_task
from tests.support.screens import Screens, browser_for, close_instructions, serious_violations
from tests.support.servers import LabelStudioServer

pytestmark = [pytest.mark.server, pytest.mark.browser]

GUIDE = load("classification").guidelines + "\n## When code counts {#issues.Code error}\n\nRun it.\n"
REVIEW = load("response_review")
SIZE = {"width": 1366, "height": 768}


@pytest.fixture
def line(ls_server_plugin: LabelStudioServer) -> Line:
    """A campaign whose guidelines the server has as Markdown."""
    made = make_line(ls_server_plugin, rows(2))
    body = {"name": made.name, "task": "classification", "policy": made.policy, "team": made.team}
    told = made.call("PUT", "/quorum/api/campaign", json={**body, "projects": made.projects, "guidelines": GUIDE})
    assert told.status_code == 200, told.text
    shown = made.call("PATCH", f"/api/projects/{made.projects['pass']}", json={"expert_instruction": to_html(GUIDE)})
    assert shown.status_code == 200, shown.text
    return made


@pytest.fixture
def page(chromium: Browser, line: Line) -> Iterator[Page]:
    """Ana's browser, in which nobody has opened the panel yet."""
    with browser_for(chromium, line.people["ana"], viewport=SIZE) as context:
        yield context.new_page()


def open_row(page: Page, project: int, *, with_instructions: bool = True) -> None:
    """Open a queue and close the instructions before it, where there are some."""
    page.goto(f"/projects/{project}/data?labeling=1")
    page.get_by_test_id("bottombar-submit-button").wait_for()
    page.locator("#quorum-companion-button").wait_for()
    if with_instructions:
        close_instructions(page)


def test_the_guidelines_stand_at_the_label_and_a_question_is_asked_without_the_mouse(page: Page, line: Line) -> None:
    """Choose, open, read, search, ask, read the answer, to the flags, fold: no key of the panel changes the form."""
    open_row(page, line.projects["pass"])
    assert in_view(page, CONTROLS)
    assert overlapping(page, f"{CONTROLS}, .lsf-bottombar button, #quorum-companion-button") == []
    page.keyboard.press("e")
    page.keyboard.press("Alt+g")
    expect(page.locator(".qc-here")).to_contain_text("The main point is wrong, or the query is not answered.")
    expect(page.locator(".qc-pace")).to_contain_text("Today 0")
    page.keyboard.type("as old")
    expect(page.locator(".qc-hit-now")).to_contain_text("Factual error")
    expect(page.locator(".qc-count")).to_have_text("1 of 1")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    assert not page.evaluate("document.activeElement.closest('#quorum-companion')")
    page.locator(".lsf-choice", has_text="Unclear or badly written").hover()
    expect(page.locator(".qc-here")).to_contain_text("Hard to follow, repetitive, broken formatting.")
    page.locator(".lsf-choice", has_text="Code error").hover()
    expect(page.locator(".qc-here")).to_have_text("When code counts")
    page.keyboard.press("Alt+a")
    page.keyboard.type("Which <b>year</b> counts?")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".qc-messages")).to_contain_text("Which <b>year</b> counts?")
    expect(page.locator(".qc-said")).to_contain_text("Only the managers read it")
    assert not page.evaluate("document.activeElement.closest('#quorum-companion')")
    (thread,) = line.people["max"].get(f"/quorum/api/threads?name={line.name}&open=1").json()["threads"]
    answer = {
        "name": line.name,
        "kind": "answer",
        "answers": thread["messages"][0]["id"],
        "text": "That of the <i>table</i>.",
    }
    assert line.people["max"].post("/quorum/api/threads", json=answer).status_code == 201
    page.keyboard.press("Alt+g")
    page.locator("#quorum-companion").wait_for(state="detached")
    page.keyboard.press("Alt+g")
    expect(page.locator(".qc-kind-answer")).to_contain_text("That of the <i>table</i>.")
    page.keyboard.press("Alt+a")
    expect(page.locator(".qc-question")).to_be_focused()
    for name in LOOKS:
        look(page, name)
        assert serious_violations(page) == [], name
        picture(page, f"companion-1366-{name}")
    page.keyboard.press("Alt+l")
    page.wait_for_function("document.activeElement.closest('.q-flags')")
    assert values_of(page) == {"verdict": ["Incorrect"]}
    open_row(page, line.projects["pass"])
    expect(page.locator(".qc-kind-answer")).to_be_visible(timeout=60_000)
    page.keyboard.press("Alt+g")
    page.locator("#quorum-companion").wait_for(state="detached")


def test_a_review_has_its_precedents_and_needs_no_campaign(
    chromium: Browser, ls_server_plugin: LabelStudioServer
) -> None:
    """Of a project of no campaign people read the instructions; precedents come with a server that has them."""
    screens = Screens(ls_server_plugin)
    xml = compose_review(REVIEW.xml, "qa")
    more = {"expert_instruction": REVIEW.guidelines_html, "show_instruction": False}
    project = screens.project("companion qa", xml, [made_task(REVIEW, 3)], "quorum-proposal", **more)
    precedent: dict[str, Any] = {
        "row_id": "old-1",
        "similarity": 0.91,
        "values": {"verdict": "Incorrect", "entities": [{"start": 0, "end": 3, "label": "ORG", "text": "IBM"}]},
        "reason": "The <b>unit</b> is wrong.",
    }
    told: list[tuple[int, str]] = [(404, "{}")]

    def answer(route: Route) -> None:
        status, body = told[-1]
        route.fulfill(status=status, body=body, content_type="application/json")

    # Through Label Studio's service worker a request would not come to this test's own answer.
    with browser_for(chromium, ls_server_plugin.log_in_owner(), viewport=SIZE, service_workers="block") as context:
        page = context.new_page()
        page.route("**/quorum/api/precedents?*", answer)
        open_row(page, project, with_instructions=False)
        page.locator("#quorum-review .qr-send").wait_for()
        with page.expect_response("**/quorum/api/precedents?*"):
            page.keyboard.press("Alt+g")
        expect(page.locator(".qc-here")).to_be_visible()
        expect(page.locator(".qc-precedents")).to_be_hidden()
        expect(page.locator(".qc-question")).to_be_disabled()
        assert in_view(page, "#quorum-review .qr-send")
        told.append((200, json.dumps({"precedents": [precedent]})))
        page.reload()
        expect(page.locator(".qc-precedents")).to_contain_text("91 % alike", timeout=60_000)
        expect(page.locator(".qc-precedents")).to_contain_text("entities: IBM ORG")
        expect(page.locator(".qc-precedents")).to_contain_text("The <b>unit</b> is wrong.")
        assert serious_violations(page) == []
        picture(page, "companion-qa-1366-light")
        page.keyboard.press("Alt+g")
        page.locator("#quorum-companion").wait_for(state="detached")
        assert page.evaluate("document.activeElement.closest('.qr-row') !== null")
