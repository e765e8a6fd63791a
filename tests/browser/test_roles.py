"""Annotator, QA, expert and manager each do their day in a real chromium, on a server with the plugin.

With QUORUM_SCREENS=docs/screens the pictures of the plugin's pages are taken anew.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Response, expect

from tests.contract.plugin_campaign import Line, make_line, review, rows, verdict
from tests.support.screens import browser_for
from tests.support.servers import LabelStudioServer

PATIENCE = 90_000  # milliseconds: a machine that runs other tests beside is slow
expect.set_options(timeout=PATIENCE)

pytestmark = [pytest.mark.server, pytest.mark.browser]


@pytest.fixture(scope="module")
def line(ls_server_plugin: LabelStudioServer) -> Line:
    """A campaign of general and technical rows, each with an auto-label."""
    return make_line(ls_server_plugin, rows(4) + rows(1, "technical", "t"))


@contextmanager
def at_work(chromium: Browser, line: Line, person: str) -> Iterator[tuple[Page, list[Response]]]:
    """A page where this person is signed in, and every answer of the server that refused something."""
    outside: list[str] = []
    with browser_for(chromium, line.people[person], viewport={"width": 1400, "height": 900}) as context:
        context.set_default_timeout(PATIENCE)
        page, refused = context.new_page(), []
        page.on("response", lambda answer: refused.append(answer) if answer.status >= 400 else None)
        page.on(
            "request",
            lambda asked: (
                outside.append(asked.url) if not asked.url.startswith((line.server.url, "data:", "blob:")) else None
            ),
        )
        yield page, refused
    assert not outside


def open_queue(page: Page, project: int) -> None:
    """Open the label stream and wait until its task can be worked on."""
    page.goto(f"/projects/{project}/data?labeling=1")
    page.get_by_test_id("bottombar-submit-button").wait_for()
    close = page.get_by_label("Close modal")
    if close.count():
        close.first.click()
    page.get_by_test_id("bottombar-submit-button").wait_for()


def choose(page: Page, name: str) -> None:
    """Tick a choice of the form."""
    page.locator(".lsf-choice__checkbox", has_text=name).first.click()


def press(page: Page, button: str, path: str, method: str = "POST") -> Response:
    """Press a button of the bottom bar; what the server answered."""
    with page.expect_response(lambda answer: path in answer.url and answer.request.method == method) as got:
        page.get_by_test_id(button).click()
    return got.value


def picture(page: Page, name: str) -> None:
    """Keep a picture for the documentation, if asked to."""
    folder = os.environ.get("QUORUM_SCREENS")
    if folder:
        path = Path(folder) / f"{name}.png"
        page.screenshot(path=path, full_page=True)
        Image.open(path).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)


def test_an_annotators_day(chromium: Browser, line: Line) -> None:
    """From the own page into the stream: pre-filled form, submit, skip, go back and correct one's own answer."""
    with at_work(chromium, line, "ana") as (page, refused):
        page.goto("/")
        expect(page).to_have_url(f"{line.server.url}/quorum/mine/")
        expect(page.get_by_role("link", name="Start").first).to_be_visible()
        open_queue(page, line.projects["pass"])
        expect(page.locator(".ant-radio-wrapper-checked", has_text="Correct").first).to_be_visible()
        assert press(page, "bottombar-submit-button", "/annotations").status == 201
        page.wait_for_timeout(1500)
        choose(page, "Broken row")
        assert press(page, "bottombar-skip-button", "/annotations").status == 201
        page.wait_for_timeout(1500)
        choose(page, "Incorrect")
        assert press(page, "bottombar-submit-button", "/annotations").status == 201
        page.wait_for_timeout(1500)
        page.get_by_test_id("prev-task").click()
        page.get_by_test_id("bottombar-update-button").wait_for()
        choose(page, "Partly correct")
        assert press(page, "bottombar-update-button", "/annotations/", "PATCH").status == 200
        assert [(answer.status, answer.url) for answer in refused] == []
    figures = next(one for one in line.status()["people"] if one["id"] == "ana")
    assert (figures["passes"], figures["skipped"]) == (2, 1)


def test_the_task_list_offers_people_nothing_that_is_refused(chromium: Browser, line: Line) -> None:
    """The data manager shows only one's own tasks, and no import, export, settings, new tab or actions."""
    line.next("bea")
    with at_work(chromium, line, "bea") as (page, refused):
        page.goto(f"/projects/{line.projects['pass']}/data")
        page.get_by_text("My tasks").wait_for()
        page.get_by_text("Question").first.wait_for()
        for name in ("dm-import-button", "dm-export-button"):
            expect(page.get_by_test_id(name)).to_be_hidden()
        for label in ("Tasks Actions", "Open New Tab", "Filters"):
            expect(page.get_by_label(label)).to_be_hidden()
        expect(page.get_by_text("Settings", exact=True)).to_be_hidden()
        page.goto("/projects/")
        page.get_by_text(f"{line.name} · Pass").wait_for()
        expect(page.get_by_text(f"{line.name} · QA")).to_have_count(0)
        expect(page.get_by_label("Create new project")).to_be_hidden()
        assert [(answer.status, answer.url) for answer in refused] == []
        page.goto(f"/projects/{line.projects['pass']}/settings")
        expect(page.get_by_text("This page is not open to you")).to_be_visible()
        picture(page, "plugin-refused")


def test_a_task_opened_from_the_list_can_be_answered(chromium: Browser, line: Line) -> None:
    """The quick view of a task in hand shows the form pre-filled and takes the answer."""
    given = line.next("cal").json()["id"]
    with at_work(chromium, line, "cal") as (page, refused):
        page.goto(f"/projects/{line.projects['pass']}/data?task={given}")
        page.get_by_test_id("bottombar-submit-button").wait_for()
        expect(page.locator(".ant-radio-wrapper-checked", has_text="Correct").first).to_be_visible()
        assert press(page, "bottombar-submit-button", "/annotations").status == 201
        assert [(answer.status, answer.url) for answer in refused] == []


def test_qa_and_experts_day(chromium: Browser, ls_server_plugin: LabelStudioServer) -> None:
    """QA sees two unnamed decisions and accepts; the technical row comes to the expert, with the form pre-filled."""
    line = make_line(ls_server_plugin, rows(1) + rows(1, "technical", "t"))
    for _ in range(2):
        line.answer("ana", verdict("Correct"))
        line.answer("bea", verdict("Correct"))
    # QA first: the expert, with nobody else at work, is given the other row too once the first is answered.
    for person, row in (("quin", "r1"), ("dag", "t1")):
        with at_work(chromium, line, person) as (page, refused):
            open_queue(page, line.projects["qa"])
            review_screen = page.locator("#quorum-review")
            expect(review_screen).to_contain_text("No conflict")
            expect(review_screen).to_contain_text("Verdict: Correct")
            for name in ("ana", "bea"):
                expect(page.get_by_text(line.people[name].email)).to_have_count(0)
            assert press(page, "bottombar-submit-button", "/annotations").status == 201
            unexpected = [(answer.status, answer.url) for answer in refused if "next_task" not in answer.url]
            assert unexpected == [], (person, row)
    assert line.status()["states"]["FINAL"] == 2


def test_a_managers_day(chromium: Browser, ls_server_plugin: LabelStudioServer) -> None:
    """The manager sees funnel, people and needs, reopens a row, and has Label Studio's own screens whole."""
    line = make_line(ls_server_plugin, rows(3))
    line.answer("fin", verdict("Correct"))
    for _ in range(3):
        line.answer("bea", verdict("Incorrect"))
    line.answer("quin", review("correct", "Correct"), "qa")
    with at_work(chromium, line, "max") as (page, refused):
        number = line.status()["id"]
        page.goto(f"/quorum/campaign/{number}/")
        for heading in ("Funnel", "Who is needed next", "People", "Reopen a row", "Latest"):
            expect(page.get_by_role("heading", name=heading)).to_be_visible()
        picture(page, "plugin-campaign")
        page.get_by_label("Row id").fill("r1")
        page.get_by_label("Reason").fill("the source was wrong")
        page.get_by_role("button", name="Reopen").click()
        expect(page.get_by_role("status")).to_contain_text("Row r1 was FINAL and is AWAITING_QA now")
        page.goto(f"/projects/{line.projects['pass']}/data")
        page.get_by_test_id("dm-export-button").wait_for()
        expect(page.get_by_label("Create an annotation")).to_have_count(0)
        assert [(answer.status, answer.url) for answer in refused] == []
    with at_work(chromium, line, "ana") as (page, _):
        page.goto("/quorum/mine/")
        expect(page.get_by_role("heading", name="My work")).to_be_visible()
        picture(page, "plugin-mine")
