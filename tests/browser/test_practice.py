"""Practice by keys in a real chromium: a row, one's own answer, the known one with what explains it, the next row."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.contract.plugin_campaign import make_line, rows
from tests.support.screens import browser_for, serious_violations
from tests.support.servers import LabelStudioServer

pytestmark = [pytest.mark.server, pytest.mark.browser]

TEAM = "people: [{id: ana, email: ana-{tag}@quorum.test, roles: [annotator]}]"
GUIDELINES = "# Guide\n\n## Verdict\n\nA sum that is wrong is *Incorrect*."


def test_a_row_is_practised_with_keys_alone(chromium: Browser, ls_server_plugin: LabelStudioServer) -> None:
    """From My work to the known answer and the paragraph that explains it; nothing serious for axe, in the dark too."""
    line = make_line(ls_server_plugin, rows(1), team=TEAM, fresh=True)
    data = {"context": "Two and two.", "query": "How much?", "response": "Five."}
    lessons = {"lesson": {"data": data, "known": {"verdict": "Incorrect"}, "why": "It is four."}}
    files = {"name": line.name, "policy": line.policy, "team": line.team, "projects": line.projects}
    more = {"task": "classification", "guidelines": GUIDELINES, "practice": {"rows": lessons}}
    told = line.call("PUT", "/quorum/api/campaign", json=files | more)
    assert told.status_code == 200, told.text
    size = {"width": 1366, "height": 768}
    with browser_for(chromium, line.people["ana"], viewport=size, color_scheme="dark") as context:
        context.set_default_timeout(90_000)
        page = context.new_page()
        page.goto("/quorum/mine/")
        page.get_by_role("link", name=f"Practise in {line.name}").press("Enter")
        expect(page.get_by_text("Known answer")).to_have_count(0)
        page.get_by_role("radio", name="Correct", exact=True).press("Space")
        page.get_by_role("button", name="Submit").press("Enter")
        lesson = page.get_by_role("region", name="Your last answer")
        for words in ("0 of 1 right", "differs", "It is four.", "A sum that is wrong"):
            expect(lesson).to_contain_text(words)
        expect(page.get_by_role("region", name="The row to answer")).to_contain_text("Five.")
        assert serious_violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert line.audit()["proven"]
