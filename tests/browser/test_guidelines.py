"""Guidelines change while people work: a manager publishes, an annotator is stopped, reads what changed and goes on."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.test_threads import page_for, picture
from tests.contract.plugin_campaign import make_line, rows
from tests.support.screens import close_instructions
from tests.support.servers import LabelStudioServer

pytestmark = [pytest.mark.server, pytest.mark.browser]

FIRST = "# Guide\n\n## Verdict\n\n- **Correct**: all is right.\n- **Incorrect**: it is not.\n"


def test_an_annotator_reads_and_acknowledges_by_keys_what_a_manager_published(
    chromium: Browser, ls_server_plugin: LabelStudioServer
) -> None:
    """The manager looks before publishing; the labelling screen leads to the page, and the page back to the row."""
    line = make_line(ls_server_plugin, rows(2), fresh=True)
    number = line.status()["id"]
    with page_for(chromium, line, "max") as page:
        page.goto(f"/quorum/campaign/{number}/guidelines/")
        for text, note, asks in ((FIRST, "The first.", False), (FIRST.replace("it is not", "wrong"), "Plainer.", True)):
            page.get_by_label("Guidelines (Markdown").fill(text)
            page.get_by_label("What has changed").fill(note)
            page.get_by_label("People acknowledge it").set_checked(asks)
            page.get_by_role("button", name="Say what it would do").click()
            expect(page.get_by_role("heading", name="would do")).to_be_visible()
            picture(page, f"guidelines-publish-{int(asks) + 1}")
            page.get_by_role("button", name="Publish version").click()
            expect(page.get_by_role("status")).to_contain_text(f"Version {int(asks) + 1} holds.")
    with page_for(chromium, line, "ana") as page:
        page.goto(f"/projects/{line.projects['pass']}/data?labeling=1")
        expect(page.locator("#quorum-queue")).to_contain_text("read and acknowledge version 2", timeout=60_000)
        # Label Studio shows the instructions by itself where a project has some.
        close_instructions(page)
        picture(page, "guidelines-stopped")
        expect(page.get_by_role("link", name="Read the guidelines")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="What has changed since version 1")).to_be_visible()
        expect(page.locator("ins")).to_contain_text("Incorrect")
        picture(page, "guidelines-read")
        button = page.get_by_role("button", name="Acknowledge version 2")
        for _ in range(12):
            if button.evaluate("button => button === document.activeElement"):
                break
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("You have acknowledged version 2")
        page.get_by_role("link", name="Label rows").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_test_id("bottombar-submit-button")).to_be_visible(timeout=30_000)
    assert line.audit()["faults"] == []
