"""People find out what became of their answers, by keys and clicks in a real chromium: ask, answer, dispute, uphold."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.contract.plugin_campaign import Line, make_line, review, rows, verdict
from tests.support.screens import browser_for, serious_violations
from tests.support.servers import LabelStudioServer

FLAG = {"from_name": "flags", "to_name": "response", "type": "choices", "value": {"choices": ["guideline_gap"]}}
pytestmark = [pytest.mark.server, pytest.mark.browser]


@contextmanager
def page_for(chromium: Browser, line: Line, person: str) -> Iterator[Page]:
    """A page where this person is signed in, on a small screen, after dark."""
    scheme = "dark" if person == "max" else "light"
    size = {"width": 1366, "height": 768}
    with browser_for(chromium, line.people[person], viewport=size, color_scheme=scheme) as context:
        context.set_default_timeout(90_000)
        yield context.new_page()


def picture(page: Page, name: str) -> None:
    """Keep a picture, if asked to; nothing of a page is wider than the screen, and axe finds nothing serious."""
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name
    assert serious_violations(page) == [], name
    if folder := os.environ.get("QUORUM_SCREENS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def tab_to(page: Page, wanted: Locator) -> None:
    """Go on by the Tab key until this has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if wanted.evaluate("element => element === document.activeElement"):
            return
    pytest.fail(f"no Tab leads to {wanted}")


def row_of(line: Line, person: str, answer: Callable[[str], list[dict[str, Any]]], stage: str = "pass") -> str:
    """Have somebody answer whatever row is theirs next; which one it was."""
    task = line.next(person, stage).json()
    row = str(task["data"]["row_id"])
    done = line.submit(person, task["id"], answer(row))
    assert done.status_code == 201, done.text
    return row


def test_a_question_is_answered_and_a_decision_is_disputed_and_upheld(
    chromium: Browser, ls_server_plugin: LabelStudioServer
) -> None:
    """Ana asks, max answers; QA overturns ana, who disagrees; max upholds the decision by keys, and ana reads why."""
    line = make_line(ls_server_plugin, rows(12), fresh=True)
    own = [row_of(line, "ana", lambda _: verdict("Correct")) for _ in range(9)]
    own.append(row_of(line, "ana", lambda _: [*verdict("Correct", "Neither fits."), FLAG]))
    wrong = set(own[:3])
    while line.next("bea").status_code == 200:
        row_of(line, "bea", lambda row: verdict("Incorrect" if row in wrong else "Correct"))
    overturning = review("correct", "Incorrect", "The table is newer than the text.")
    for _ in own:
        row_of(line, "quin", lambda row: overturning if row in wrong else review("accept", "Correct"), "qa")
    line.next("ana")
    number = line.status()["id"]
    with page_for(chromium, line, "ana") as page:
        page.goto("/quorum/mine/")
        page.get_by_label(f"Your question about a row of {line.name}").focus()
        page.keyboard.type("Which year counts, that of the text or of the table?")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("is with the managers")
        picture(page, "people-mine")
    with page_for(chromium, line, "max") as page:
        page.goto(f"/quorum/campaign/{number}/")
        picture(page, "people-campaign")
        tab_to(page, page.get_by_role("link", name="1 question or dispute"))
        page.keyboard.press("Enter")
        tab_to(page, page.get_by_label("Answer to"))
        picture(page, "people-question")
        page.keyboard.type("The table's.")
        tab_to(page, page.get_by_role("button", name="Answer for everybody"))
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("once the row is decided")
        expect(page.get_by_text("Nobody waits for an answer.")).to_be_visible()
    with page_for(chromium, line, "ana") as page:
        page.goto("/quorum/mine/")
        expect(page.get_by_text("The table's.")).to_be_visible()
        page.locator(f'a[href="/quorum/mine/answers/{number}/"]').filter(has_text="10 decided answers").click()
        page.get_by_role("link", name="Overturned").click()
        expect(page.locator("section")).to_have_count(3)
        page.get_by_text("I disagree").first.focus()
        page.keyboard.press("Enter")
        page.get_by_label("Why you disagree").first.fill("The text was corrected later.")
        picture(page, "people-answers")
        page.get_by_role("button", name="I disagree").first.click()
        expect(page.get_by_role("status")).to_contain_text(re.compile(rf"look at row ({'|'.join(wrong)}) again"))
    with page_for(chromium, line, "max") as page:
        page.goto(f"/quorum/campaign/{number}/threads/")
        tab_to(page, page.get_by_label("Answer to"))
        page.keyboard.type("It was not; see its date.")
        picture(page, "people-dispute")
        tab_to(page, page.get_by_role("button", name="The decision stands"))
        page.keyboard.press("Enter")
        expect(page.get_by_text("Nobody waits for an answer.")).to_be_visible()
        page.goto(f"/quorum/campaign/{number}/flags/")
        expect(page.get_by_text("Neither fits.")).to_be_visible()
        picture(page, "people-flags")
        tab_to(page, page.get_by_role("link", name=own[9], exact=True))
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name=f"Row {own[9]}", level=1)).to_be_visible()
    with page_for(chromium, line, "ana") as page:
        page.goto(f"/quorum/mine/answers/{number}/?show=disputed")
        expect(page.get_by_text("It was not; see its date.")).to_be_visible()
        picture(page, "people-upheld")
    assert line.audit()["faults"] == []
