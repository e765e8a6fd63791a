"""No answer is lost, and every refusal is a sentence where people look: both by doing it, in a real chromium.

With QUORUM_SCREENS=<folder> pictures of the line above the buttons are taken.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, Route, expect

from ls_config import load
from tests.contract.plugin_campaign import ROOT, Line, django, make_line, rows, verdict
from tests.support.screens import Screens
from tests.support.servers import LabelStudioServer

pytestmark = [pytest.mark.server, pytest.mark.browser]

SIZE = {"width": 1366, "height": 768}
SMALL = {"width": 1093, "height": 614}  # the same screen at 125 %
PATIENCE = 60_000  # milliseconds: a machine that runs other tests beside is slow
expect.set_options(timeout=PATIENCE)
LINE = "#quorum-refusal"
FOREIGN = "a[href*='humansignal.com']:visible, a[href*='slack.labelstud.io']:visible"
SIGNED_OUT = "You were signed out. Your answer is kept on this machine."
REPLACED = "Somebody else has signed in in this browser, so this answer is neither sent nor kept."
AWAY = "The server cannot be reached. Your answer is kept on this machine"
KEPT = "() => Object.entries(localStorage).filter(([name]) => name.startsWith('quorum.kept.'))"
CHOSEN = "() => window.Htx.annotationStore.selected.names.get('verdict').selectedValues()[0]"
OPEN = "() => !!window.quorum?.screen() && !document.querySelector('[role=dialog]')"


def refusals() -> dict[str, tuple[int, str]]:
    """The table of refusals as the server has it: a new one is tried here by itself."""
    tree = ast.parse((ROOT / "ls_plugin" / "store" / "refusals.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "REASONS" and node.value:
            return dict(ast.literal_eval(node.value))
    raise AssertionError("there is no table of refusals")


@pytest.fixture
def line(ls_server_plugin: LabelStudioServer) -> Line:
    """A campaign that nobody has begun."""
    made = make_line(ls_server_plugin, rows(12), fresh=True)
    for project in made.projects.values():  # the guidelines before each form would have to be closed each time
        assert made.call("PATCH", f"/api/projects/{project}", json={"show_instruction": False}).ok
    return made


@pytest.fixture
def profile(chromium: Browser, line: Line, tmp_path: Path) -> Iterator[Profile]:
    """The browser of a person, which may be closed and opened again."""
    made = Profile(chromium, line, tmp_path / "profile")
    yield made
    made.close()


class Profile:
    """A browser with what it remembers."""

    def __init__(self, chromium: Browser, line: Line, folder: Path) -> None:
        self._chromium, self._line, self._folder = chromium, line, folder
        self.context: BrowserContext = self._launch()

    def _launch(self) -> BrowserContext:
        program = self._chromium.browser_type
        context = program.launch_persistent_context(
            self._folder,
            executable_path=_executable(self._chromium),
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
            base_url=self._line.server.url,
            viewport=SIZE,  # type: ignore[arg-type]
        )
        context.set_default_timeout(PATIENCE)
        return context

    def reopen(self) -> None:
        """Close the browser, and open it again."""
        self.close()
        self.context = self._launch()

    def close(self) -> None:
        with suppress(Error):
            self.context.close()


def _executable(chromium: Browser) -> str:
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))


def sign_in(page: Page, line: Line, person: str) -> None:
    """Fill in the sign-in form that is open."""
    page.locator("input[name=email]").fill(line.people[person].email)
    page.locator("input[name=password]").fill(line.people[person].password)
    page.locator("form button[type=submit]").click()
    page.wait_for_url(lambda url: "/user/login" not in url)


def open_form(page: Page, line: Line, person: str, stage: str = "pass") -> None:
    """Open a queue, by the sign-in form where needed, until its form can be worked on."""
    address = f"/projects/{line.projects[stage]}/data?labeling=1"
    page.goto(address)
    if "/user/login" in page.url:
        sign_in(page, line, person)
    wait_for_form(page)


def end_session(page: Page) -> None:
    """Take the session away; an answer that was on its way when it went would bring it back."""
    is_back = True
    while is_back:
        page.context.clear_cookies(name="sessionid")
        page.wait_for_timeout(1500)
        is_back = any(cookie.get("name") == "sessionid" for cookie in page.context.cookies())


def wait_for_form(page: Page) -> None:
    page.locator(".lsf-main-view__annotation").wait_for()
    page.wait_for_function(OPEN)


def choose(page: Page, name: str) -> None:
    page.locator(".q-page .ant-radio-wrapper").filter(has=page.locator(f"input[name='{name}']")).first.click()


def drafted(page: Page) -> Any:
    """Wait for a draft that the server has taken."""
    return page.expect_response(lambda answer: "/drafts" in answer.url and answer.ok)


def says(page: Page, sentence: str) -> None:
    expect(page.locator(LINE)).to_contain_text(sentence)


def act(page: Page, name: str) -> None:
    page.locator(LINE).get_by_role("button", name=name).click()


def shows(page: Page, name: str) -> None:
    """Wait until this verdict is chosen in the form."""
    page.wait_for_function(f"name => ({CHOSEN})() === name", arg=name)


def task_of(page: Page) -> int:
    return int(page.evaluate("() => window.Htx.task.id"))


def stored(line: Line, task: int) -> list[Any]:
    answer = line.call("GET", f"/api/tasks/{task}/annotations").json()
    return [part["value"]["choices"] for each in answer for part in each["result"] if part["from_name"] == "verdict"]


def picture(page: Page, name: str) -> None:
    """Keep a picture, if asked to."""
    if folder := os.environ.get("QUORUM_SCREENS"):
        page.screenshot(path=Path(folder) / f"{name}.png")


def test_an_answer_comes_through_whatever_happens(profile: Profile, line: Line) -> None:
    """A reload, a lost network, a closed browser, an answer whose receipt is lost, and a session that ends."""
    page = profile.context.pages[0]
    open_form(page, line, "ana")
    with drafted(page):
        choose(page, "Incorrect")
    page.wait_for_function(f"() => !({KEPT})().length")  # on the server, so no longer here
    choose(page, "Cannot judge")
    page.reload()
    wait_for_form(page)
    shows(page, "Cannot judge")

    task = task_of(page)
    profile.context.set_offline(True)
    choose(page, "Partly correct")
    page.locator("textarea.q-note[name=flag_reason]").fill("not yet entered")
    says(page, AWAY)
    picture(page, "no-network")
    page.wait_for_function(f"() => ({KEPT})().some(([, kept]) => kept.includes('not yet entered'))")
    profile.reopen()
    page = profile.context.pages[0]
    open_form(page, line, "ana")
    assert task_of(page) == task
    says(page, "is back: it had not reached the server.")
    shows(page, "Partly correct")
    expect(page.locator("textarea.q-note[name=flag_reason]")).to_have_value("not yet entered")

    # The answer arrives, and the network fails before its receipt: it is stored, once, and the queue goes on.
    arrived = list[int]()

    def lose_receipt(route: Route) -> None:
        if route.request.method == "POST" and not arrived:
            arrived.append(route.fetch().status)
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/annotations**", lose_receipt)
    page.keyboard.press("Control+Enter")
    says(page, AWAY)
    act(page, "Try again")
    page.wait_for_function("task => window.quorum.screen() && window.Htx.task.id !== task", arg=task)
    assert arrived == [201]
    assert stored(line, task) == [["Partly correct"]]
    assert page.evaluate(KEPT) == []
    expect(page.locator(LINE)).to_have_count(0)

    # The session ends; after signing in in a new window the first one goes on without a reload.
    page.wait_for_function(OPEN)
    second = task_of(page)
    page.evaluate("() => { window.sameWindow = true; }")
    end_session(page)
    choose(page, "Incorrect")
    says(page, SIGNED_OUT)
    page.keyboard.press("Control+Enter")
    picture(page, "signed-out")
    with profile.context.expect_page() as opened:
        act(page, "Sign in in a new window and go on")
    sign_in(opened.value, line, "ana")
    expect(opened.value.get_by_role("heading", name="You are signed in again")).to_be_visible()
    page.wait_for_function("task => window.quorum.screen() && window.Htx.task.id !== task", arg=second)
    assert page.evaluate("() => window.sameWindow")
    assert stored(line, second) == [["Incorrect"]]


def test_one_window_a_row_and_one_person_a_browser(profile: Profile, line: Line) -> None:
    """A second window takes over on a word; a form that is another gets nothing; a seat that is lost; a sign-out."""
    page = profile.context.pages[0]
    open_form(page, line, "bea")
    with drafted(page):
        choose(page, "Incorrect")
    other = profile.context.new_page()
    open_form(other, line, "bea")
    says(other, "This row is open in another window, where you began it.")
    with other.expect_navigation():
        act(other, "Go on here")
    wait_for_form(other)
    expect(other.locator(LINE)).to_have_count(0)
    says(page, "You go on with this row in another window.")
    assert page.evaluate("() => window.quorum.screen().root.inert")
    shows(other, "Incorrect")
    page.close()

    # What was entered into a form that has changed since is dropped, with a word.
    profile.context.set_offline(True)
    choose(other, "Cannot judge")
    says(other, AWAY)
    ((name, kept),) = other.evaluate(KEPT)
    other.close()
    profile.context.set_offline(False)
    page = profile.context.new_page()
    page.goto("/projects/")
    changed = json.dumps(json.loads(kept) | {"state": "of another form"})
    page.evaluate("([name, kept]) => localStorage.setItem(name, kept)", [name, changed])
    open_form(page, line, "bea")
    says(page, "so what you entered here then is dropped: verdict.")
    shows(page, "Incorrect")
    page.keyboard.press("Escape")
    expect(page.locator(LINE)).to_have_count(0)

    # Others answer while the seat has run out.
    task = task_of(page)
    expire = "from ls_plugin.models import Grant; from django.utils import timezone; "
    expire += f"Grant.objects.filter(task_id={task}, live=True).update(expires_at=timezone.now())"
    django(expire, line.server)
    for person in ("cal", "fin", "anq"):
        while line.next(person).status_code == 200 and len(stored(line, task)) < 2:
            line.answer(person, verdict("Correct"))
    page.keyboard.press("Control+Enter")
    says(page, f"{refusals()['full'][1]} Your answer here was not sent.")
    picture(page, "lost-seat")
    act(page, "Next row")
    page.wait_for_function("task => window.quorum?.screen() && window.Htx.task.id !== task", arg=task)
    wait_for_form(page)

    # Whoever signs out leaves nothing behind, also in a window that is still open.
    profile.context.set_offline(True)
    choose(page, "Incorrect")
    says(page, AWAY)
    profile.context.set_offline(False)
    leaving = profile.context.new_page()
    leaving.goto("/logout/")
    leaving.wait_for_url("**/user/login/**")
    assert leaving.evaluate(KEPT) == []
    says(page, "You signed out in another window, so this answer is neither sent nor kept.")


def test_somebody_else_signs_in_in_the_same_browser(profile: Profile, line: Line) -> None:
    """Nothing is sent in the other's name, shown to them or left: at sign-in, in an idle window, and later."""
    page = profile.context.pages[0]
    sent = list[str]()
    profile.context.on("request", lambda request: sent.append(request.method + request.url))
    open_form(page, line, "cal")
    task = task_of(page)
    end_session(page)
    choose(page, "Incorrect")
    says(page, SIGNED_OUT)
    assert len(page.evaluate(KEPT)) == 1
    with profile.context.expect_page() as opened:
        act(page, "Sign in in a new window and go on")
    sign_in(opened.value, line, "fin")
    says(page, REPLACED)
    assert page.evaluate(KEPT) == []
    act(page, "Load the page again")
    expect(page.get_by_role("heading", name="My work")).to_be_visible()
    opened.value.close()

    # A window in which nothing was being sent: it hears of the other when it is used again.
    open_form(page, line, "fin")
    chosen = task_of(page)
    other = profile.context.new_page()
    end_session(page)
    other.goto("/user/login/?next=/quorum/mine/")
    sign_in(other, line, "anq")
    page.bring_to_front()
    page.wait_for_function(
        "() => { window.dispatchEvent(new Event('focus')); return document.querySelector('#quorum-refusal'); }",
        polling=500,
    )
    says(page, REPLACED)
    sent.clear()
    choose(page, "Cannot judge")
    page.keyboard.press("Control+Enter")
    page.wait_for_timeout(1500)  # drafts go within a second
    assert not [each for each in sent if "/annotations" in each or "/drafts" in each]
    other.close()

    # A window that was closed with an answer in it: the next person's browser has nothing of it.
    page.goto("/projects/")
    kept = json.dumps({"at": 2e12, "state": "any", "base": None, "result": [], "boxes": {}})
    owner = line.people["cal"].get("/api/current-user/whoami").json()["id"]
    name = f"quorum.kept.{owner}.{line.projects['pass']}.{task}.new"
    page.evaluate("([name, kept]) => localStorage.setItem(name, kept)", [name, kept])
    open_form(page, line, "anq")
    assert page.evaluate(KEPT) == []
    expect(page.locator(LINE)).to_have_count(0)
    assert stored(line, task) == stored(line, chosen) == []


def test_no_text_of_a_row_is_kept(ls_server_plugin: LabelStudioServer, chromium: Browser) -> None:
    """A span is kept by its place and label; when it comes back it has its words again."""
    screens = Screens(ls_server_plugin)
    data = {"row_id": "s", "context": "", "query": "?", "response": "😀 Helios Grid earned much.", "domain": "general"}
    project = screens.project("spans", load("ner").xml, [{"data": data}])
    context = chromium.new_context(base_url=ls_server_plugin.url, viewport=SIZE)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(f"/user/login/?next=/projects/{project}/data%3Flabeling=1")
    page.locator("input[name=email]").fill(ls_server_plugin.owner[0])
    page.locator("input[name=password]").fill(ls_server_plugin.owner[1])
    page.locator("form button[type=submit]").click()
    wait_for_form(page)
    context.set_offline(True)
    value = {"start": 2, "end": 13, "text": "Helios Grid", "labels": ["ORG"]}
    span = {"id": "span", "from_name": "entities", "to_name": "response", "type": "labels", "value": value}
    page.evaluate("span => window.Htx.annotationStore.selected.deserializeResults([span])", span)
    says(page, AWAY)
    page.wait_for_function(f"() => ({KEPT})().some(([, kept]) => kept.includes('ORG'))")
    everything = page.evaluate("() => JSON.stringify(Object.entries(localStorage))")
    assert not any(word in everything for word in ("Helios", "Grid", "earned"))
    ((name, kept),) = page.evaluate(KEPT)
    page.close()
    context.set_offline(False)
    page = context.new_page()
    page.goto("/projects/")
    page.evaluate("([name, kept]) => localStorage.setItem(name, kept)", [name, kept])
    page.goto(f"/projects/{project}/data?labeling=1")
    wait_for_form(page)
    read = "() => window.Htx.annotationStore.selected.serializeAnnotation().map(region => region.value)"
    page.wait_for_function(f"() => ({read})().length")
    assert page.evaluate(read) == [value]
    context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_refusal_is_a_sentence_where_people_look(chromium: Browser, line: Line, theme: str) -> None:
    """Each code, on saving and on asking for the next row: the server's sentence, and nobody else's support."""
    table = refusals()
    codes = sorted(table, key=lambda code: (code == "sign_in", table[code][0] >= 500, code))
    context = chromium.new_context(
        base_url=line.server.url,
        viewport=SMALL if theme == "dark" else SIZE,  # type: ignore[arg-type]
        color_scheme="dark" if theme == "dark" else "light",
    )
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    open_form(page, line, "cal")
    if theme == "dark":
        for _ in range(2):
            if page.locator("html").get_attribute("data-color-scheme") != "dark":
                page.get_by_role("button", name="Light").or_(page.get_by_role("button", name="Auto")).first.click()
    choose(page, "Correct")
    current = [codes[0]]

    def refuse(route: Route) -> None:
        status, sentence = table[current[0]]
        body = {"code": current[0], "detail": sentence, "status_code": status}
        if route.request.method == "POST":
            route.fulfill(status=status, content_type="application/json", body=json.dumps(body))
        else:
            route.continue_()

    places: dict[str, Callable[[], object]] = {"**/annotations**": lambda: page.keyboard.press("Control+Enter")}
    if theme == "light":
        places["**/api/dm/actions**"] = lambda: page.evaluate("() => { window.dataManager.lsf.loadTask(); }")
    for address, ask in places.items():
        page.route(address, refuse)
        held = False
        for code in codes:
            current[0] = code
            if held:
                act(page, "Try again")
            else:
                page.wait_for_function("() => !window.Htx?.isSubmitting")
                ask()
            sentence = SIGNED_OUT if code == "sign_in" else table[code][1]
            where = page.locator(f"{LINE}, #quorum-queue").filter(has_text=sentence)
            expect(where.first, f"{code} at {address}").to_be_visible()
            assert page.locator(FOREIGN).count() == 0, code
            held = table[code][0] >= 500
            if code == "second" and address == "**/annotations**":
                _look_at_the_line(page, f"refused-{theme}")
        page.unroute(address, refuse)
        page.reload()
        wait_for_form(page)
    context.close()


def _look_at_the_line(page: Page, name: str) -> None:
    """The line is read once, lies over neither button nor decision, and is used and closed by keys alone."""
    line = page.locator(LINE)
    expect(line).to_have_attribute("role", "alert")
    expect(page.get_by_test_id("bottombar-submit-button")).to_be_in_viewport(ratio=1)
    box, bar = line.bounding_box(), page.locator(".lsf-bottombar").bounding_box()
    assert box is not None
    assert bar is not None
    assert box["y"] + box["height"] <= bar["y"] + 1
    picture(page, name)
    line.get_by_role("button", name="Next row").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.getAttribute('aria-label')") == "Close"
    page.evaluate("() => { window.theLine = document.getElementById('quorum-refusal'); window.quorum.drawSoon(); }")
    page.evaluate("() => new Promise(done => setTimeout(done, 300))")
    assert page.evaluate("() => window.theLine.isConnected"), "drawn again, it would be read again"
    page.keyboard.press("Escape")
    expect(line).to_have_count(0)


def test_my_work_is_a_link_on_every_page(ls_server_plugin: LabelStudioServer, chromium: Browser, line: Line) -> None:
    """For managers on Home too, at 100 and at 125 %; what the data manager is refused is said there as well."""
    context = chromium.new_context(base_url=ls_server_plugin.url, viewport=SMALL)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto("/user/login/")
    page.locator("input[name=email]").fill(ls_server_plugin.owner[0])
    page.locator("input[name=password]").fill(ls_server_plugin.owner[1])
    page.locator("form button[type=submit]").click()
    page.wait_for_url(lambda url: "/user/login" not in url)
    project = f"/projects/{line.projects['pass']}"
    for path in ("/", "/projects/", f"{project}/data", f"{project}/settings", "/user/account"):
        page.goto(path)
        for size in (SMALL, SIZE):
            page.set_viewport_size(size)  # type: ignore[arg-type]
            expect(page.get_by_role("link", name="My work")).to_be_in_viewport(ratio=1)
    sentence = refusals()["managers_only"][1]
    body = json.dumps({"code": "managers_only", "detail": sentence, "status_code": 403})
    page.route("**/api/tasks?**", lambda route: route.fulfill(status=403, content_type="application/json", body=body))
    page.goto(f"{project}/data")
    says(page, sentence)
    assert page.locator(FOREIGN).count() == 0
    page.get_by_role("link", name="My work").click()
    expect(page.get_by_role("heading", name="My work")).to_be_visible()
    context.close()
