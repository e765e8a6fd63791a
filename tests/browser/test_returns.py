"""QA gives a row back and its person answers it again, by keys in a real chromium."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.contract.plugin_campaign import POLICY, Line, make_line, rows, verdict
from tests.support.screens import browser_for, close_instructions
from tests.support.servers import LabelStudioServer

pytestmark = [pytest.mark.server, pytest.mark.browser]

SUBMIT = "bottombar-submit-button"
CHOICES = "window.quorum.screen().field('verdict').children"
REASON = "Is 1999 the year asked for?"


@contextmanager
def page_for(chromium: Browser, line: Line, person: str) -> Iterator[Page]:
    """A page where this person is signed in, on a small screen."""
    with browser_for(chromium, line.people[person], viewport={"width": 1366, "height": 768}) as context:
        context.set_default_timeout(90_000)
        yield context.new_page()


def send(page: Page, *keys: str) -> None:
    """Press keys, and wait until the server has the answer."""
    with page.expect_response(lambda got: "/annotations" in got.url and got.request.method == "POST") as got:
        for key in keys:
            page.keyboard.press(key)
    assert got.value.status == 201, got.value.text()


def picture(page: Page, name: str) -> None:
    """Keep a picture, if asked to."""
    if folder := os.environ.get("QUORUM_SCREENS"):
        page.screenshot(path=Path(folder) / f"{name}.png")


def test_qa_returns_a_row_and_its_person_answers_again(chromium: Browser, ls_server_plugin: LabelStudioServer) -> None:
    """Quin takes bea out and says why; ana reads it above her own answer, changes it, and the row is with QA again."""
    line = make_line(ls_server_plugin, rows(1), policy=POLICY + "returns: {most: 1}\n", fresh=True)
    task = line.next("ana").json()["id"]
    assert line.submit("ana", task, verdict("Correct")).status_code == 201
    line.next("bea")
    assert line.submit("bea", task, verdict("Incorrect")).status_code == 201

    with page_for(chromium, line, "quin") as page:
        page.goto(f"/projects/{line.projects['qa']}/data?labeling=1")
        close_instructions(page)
        page.locator("#quorum-review .qr-send").wait_for()
        page.keyboard.press("Shift+R")
        whom = page.get_by_role("group", name="Return to")
        expect(whom.get_by_role("button", pressed=True)).to_have_count(2)
        page.keyboard.press("Control+Enter")
        expect(page.locator(".qr-said")).to_have_text("Say why you return it.")
        page.keyboard.type(REASON)
        picture(page, "returns-qa-1366")
        said = page.locator('.qr-row[data-field="verdict"]').get_by_role("radio", name="Incorrect")
        letter = "b" if "B" in said.inner_text().split() else "a"
        page.keyboard.press("Escape")
        page.keyboard.press(letter)
        expect(whom.get_by_role("button", pressed=True)).to_have_count(1)
        send(page, "Control+Enter")

    with page_for(chromium, line, "ana") as page:
        page.goto("/quorum/mine/")
        expect(page.get_by_role("cell", name=REASON)).to_be_visible()
        page.get_by_role("link", name="Answer again").click()
        close_instructions(page)
        page.get_by_test_id(SUBMIT).wait_for()
        expect(page.get_by_role("alert")).to_contain_text(f"QA returned this row: “{REASON}”")
        chosen = "window.quorum.screen().field('verdict').selectedValues().join()"
        page.wait_for_function(f"{chosen} === 'Correct'")
        picture(page, "returns-pass-1366")
        page.evaluate(f"{CHOICES}.find(choice => choice._value === 'Incorrect').toggleSelected()")
        send(page, "Control+Enter")

    assert line.next("quin", "qa").status_code == 200
    assert line.status()["states"]["AWAITING_QA"] == 1
    assert line.audit()["proven"]
