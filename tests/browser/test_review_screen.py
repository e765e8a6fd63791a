"""QA and Expert as a screen of what differs: it fits, is worked by keys, and stores what Label Studio's own tags would.

With QUORUM_SCREENS=docs/screens the pictures of the documentation are taken anew, with
QUORUM_MEASURES=docs/interfaces.md its tables are written from what was measured.
"""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect

from ls_config import Interface, compose_review, load
from ls_config.results import ParsedResult
from tests.support.review_rows import FIELDS, answers, made_task, span
from tests.support.screens import (
    AXE,
    SHAPE,
    Screens,
    browser_for,
    drag_over,
    review_task,
    said,
    unheard,
    write_table,
)
from tests.support.servers import LabelStudioServer

pytestmark = [pytest.mark.server, pytest.mark.browser]

Json = Any
WINDOWS = [(1280, 720), (1366, 768), (1440, 900), (1920, 1080), (3840, 2160)]
ZOOMS = (1, 1.25)
ROWS = [(0, 0), (1, 4000), (2, 0), (3, 4000), (4, 0), (5, 4000), (6, 4000), (8, 4000)]
"""Conflicts and about how many characters the texts have."""
ONE_CHOICE_AND_SPANS = ("verdict", "entities")
REVIEW = load("response_review")


@pytest.fixture(scope="module")
def screens(ls_server_plugin: LabelStudioServer) -> Screens:
    return Screens(ls_server_plugin)


@pytest.fixture(scope="module")
def context(ls_server_plugin: LabelStudioServer, chromium: Browser) -> Iterator[BrowserContext]:
    """A browser in which the owner of the server is logged in."""
    with browser_for(chromium, ls_server_plugin.log_in(*ls_server_plugin.owner)) as context:
        yield context


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    page = context.new_page()
    page.set_viewport_size({"width": 1366, "height": 768})
    yield page
    page.close()


def project(screens: Screens, stage: str, tasks: list[Json], interface: Interface = REVIEW, **more: Json) -> int:
    xml = compose_review(interface.xml, stage)
    return screens.project(f"review {stage}", xml, tasks, "quorum-proposal", **more)


def open_review(page: Page, project: int, *, with_script: bool = True) -> None:
    page.goto(f"/projects/{project}/data?labeling=1")
    page.get_by_test_id("bottombar-submit-button").wait_for()
    if with_script:
        page.locator("#quorum-review .qr-send").wait_for()


def send(page: Page) -> None:
    """Send by the key, and wait until the server has it."""
    with page.expect_response(lambda answer: "/annotations" in answer.url and answer.request.method == "POST") as got:
        page.keyboard.press("Control+Enter")
    assert got.value.status == 201


def keys(page: Page, *pressed: str) -> None:
    for key in pressed:
        page.keyboard.press(key)


def stored(screens: Screens, project: int) -> list[ParsedResult]:
    return screens.submitted(project, compose_review(REVIEW.xml, "qa"))


def await_row(page: Page, task: Json) -> None:
    """Wait until this row is on the screen."""
    expect(page.locator(".qr-head b").first).to_have_text(task["data"]["row_id"], timeout=30_000)


def heard(page: Page) -> str:
    return page.locator("#quorum-review .qr-said").inner_text()


def form(page: Page, name: str) -> Json:
    """A field's value in Label Studio's own store."""
    return page.evaluate(
        """name => { const screen = window.quorum.screen();
          return window.quorumReview.read(screen, window.quorumReview.fieldOf(screen, name)); }""",
        name,
    )


# --- it fits ---------------------------------------------------------------------------------------------------------

FAULTS = """() => {
  const faults = [], rect = e => e.getBoundingClientRect(), name = e => `${e.className} ${e.textContent.slice(0, 30)}`;
  const page = document.scrollingElement, main = document.querySelector('.lsf-main-content');
  if (page.scrollHeight > page.clientHeight + 1) faults.push('the page scrolls');
  if (main.scrollHeight > main.clientHeight + 1) faults.push('the form scrolls');
  const bottom = rect(document.querySelector('.lsf-bottombar')).top + 1;
  const inside = e => { const r = rect(e); return r.width > 0 && r.left >= 0 && r.right <= innerWidth + 1 && r.top >= 0
    && r.bottom <= bottom; };
  const review = document.querySelector('#quorum-review');
  for (const e of review.querySelectorAll('.qr-send, .qr-tool, .qr-fold')) if (!inside(e)) faults.push(name(e));
  const scroll = review.querySelector('.qr-scroll'), box = rect(scroll);
  for (const e of scroll.querySelectorAll('button')) {
    const r = rect(e);
    if (r.left < 0 || r.right > box.right + 1) faults.push(`cut at the side: ${name(e)}`);
    if (r.bottom > box.bottom + 1 && !scroll.classList.contains('qr-more-below')) faults.push(`not seen: ${name(e)}`);
  }
  if (scroll.childElementCount && !inside(scroll)) faults.push('the fields are not seen');
  for (const e of review.querySelectorAll('.qr-text')) {
    if (rect(e).height < 20 || !inside(e)) faults.push(`no room for ${e.ariaLabel || name(e)}`);
    if (e.scrollHeight > e.clientHeight + 5 && !e.classList.contains('qr-more-below')) faults.push(`cut: ${name(e)}`);
  }
  const hand = review.querySelector('.qr-in-hand .qr-name');
  if (hand && (rect(hand).bottom > box.bottom + 1 || rect(hand).top < box.top - 1)) faults.push('the row in hand');
  return faults;
}"""


ROOM = """() => {
  const review = document.querySelector('#quorum-review');
  const box = review.querySelector('.qr-scroll').getBoundingClientRect();
  const rows = [...review.querySelectorAll('.qr-row')].map(e => e.getBoundingClientRect());
  return {
    texts: Math.round(Math.min(...[...review.querySelectorAll('.qr-columns .qr-text')].map(e => e.offsetHeight))),
    fields: rows.filter(row => row.top >= box.top - 1 && row.bottom <= box.bottom + 1).length,
  };
}"""


def test_every_row_fits_at_every_size(page: Page, screens: Screens) -> None:
    """From 1280×720 to 4K, at 100 and 125 %, nothing scrolls the page, and what must be decided is on the screen."""
    rows = [made_task(REVIEW, conflicts, length=length) for conflicts, length in ROWS]
    open_review(page, project(screens, "qa", rows))
    faults: dict[str, list[str]] = {}
    fitting = dict.fromkeys([(*window, zoom) for window in WINDOWS for zoom in ZOOMS], 0)
    room: dict[tuple[int, int, float], dict[str, int]] = {}
    for task in rows:
        await_row(page, task)
        for width, height in WINDOWS:
            for zoom in ZOOMS:
                page.set_viewport_size({"width": round(width / zoom), "height": round(height / zoom)})
                page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
                found = page.evaluate(FAULTS)
                fitting[width, height, zoom] += not found
                room[width, height, zoom] = page.evaluate(ROOM)  # of the last, where eight fields differ
                if found:
                    faults[f"{task['data']['row_id']} at {width}×{height}, {zoom:.0%}"] = found
        keys(page, "Shift+D")
        page.keyboard.type("measured")
        send(page)
    assert faults == {}
    lines = [
        [f"{width}×{height}", f"{zoom * 100:.0f} %", f"{fitting[width, height, zoom]} of 8", *now.values()]
        for (width, height, zoom), now in room.items()
    ]
    write_table("fits review", ["window", "zoom", "rows that fit", "texts", "fields seen"], lines)


# --- keys ------------------------------------------------------------------------------------------------------------


def test_one_choice_and_two_spans_take_four_keys(page: Page, screens: Screens) -> None:
    """A verdict and two marks in conflict: a digit, keep, leave out, send; on the tags the same answer takes more."""
    first, second = answers(made_task(REVIEW, 0)["data"]["response"])
    common, metric, person = first["entities"]
    data = made_task(REVIEW, 0)["data"]
    passes = [
        said(first | {"entities": [common, metric]}),
        said(first | {"verdict": second["verdict"], "entities": [common, person]}),
    ]
    tasks = [review_task(REVIEW, "qa", data, passes)]
    ours, theirs = (project(screens, "qa", tasks) for _ in range(2))
    open_review(page, ours)
    assert page.locator(".qr-row").count() == 2
    start = perf_counter()
    keys(page, "1", "k", "d")
    expect(page.locator(".qr-send")).to_be_focused()
    send(page)
    seconds = [perf_counter() - start]
    (parsed,) = stored(screens, ours)
    assert parsed.problems == ()
    assert parsed.decision == "correct"
    assert parsed.values["entities"] == [common, metric]
    assert parsed.values["verdict"] in (first["verdict"], second["verdict"])
    assert {name: parsed.values.get(name, []) for name in first if name not in ONE_CHOICE_AND_SPANS} == {
        name: value for name, value in first.items() if name not in ONE_CHOICE_AND_SPANS
    }

    page.route("**/quorum/screen.*", lambda route: route.abort())
    open_review(page, theirs, with_script=False)
    page.locator(".q-response .htx-highlight").first.wait_for()
    start = perf_counter()
    keys(page, {"Correct": "q", "Partly correct": "w"}[parsed.values["verdict"]], "7")
    drag_over(page, data["response"][metric["start"] : metric["end"]])
    keys(page, "Escape", "Shift+C")
    send(page)
    seconds.append(perf_counter() - start)
    assert without_ids(screens, ours) == without_ids(screens, theirs)
    write_table(
        "keys review",
        ["keys before", "keys now", "seconds before", "seconds now"],
        [["5 and a drag", 4, f"{seconds[1]:.1f}", f"{seconds[0]:.1f}"]],
    )


def test_spans_are_stepped_to_and_changed_by_keys(page: Page, screens: Screens) -> None:
    """All of one or both, keep, leave out, widen, narrow and relabel; each is in Label Studio's store at once."""
    task = made_task(REVIEW, 8)
    open_review(page, project(screens, "qa", [task]))
    text = task["data"]["response"]
    decisions = page.evaluate("window.quorumReview.parsePanel(window.quorum.screen().data.panel).decisions")
    spans = [{(s["start"], s["end"], s["label"]) for s in decision["values"]["entities"]} for decision in decisions]

    def now() -> set[tuple[int, int, str]]:
        return {(s["start"], s["end"], s["label"]) for s in form(page, "entities")}

    page.locator('.qr-row[data-field="entities"] .qr-name').click()
    assert now() == spans[0] & spans[1]
    in_hand = page.get_by_role("option", selected=True)
    steps = [in_hand.get_attribute("aria-label")]
    for key in ("n", "n", "p", "p"):
        keys(page, key)
        steps.append(in_hand.get_attribute("aria-label"))
    assert steps == [*steps[:3], steps[1], steps[0]]
    assert len(set(steps)) == 3
    for key, expected in (("a", spans[0]), ("b", spans[1]), ("u", spans[0] | spans[1])):
        page.locator('.qr-row[data-field="entities"] .qr-name').click()
        keys(page, key)
        assert now() == expected
    page.locator('.qr-chip[aria-label*="“11.2 %”"]').click()
    keys(page, "w")
    assert text[slice(*chosen(now(), "QUANTITY"))] == "11.2 % because"
    assert "11.2 % because" in heard(page)
    keys(page, "Shift+W")
    assert text[slice(*chosen(now(), "QUANTITY"))] == "11.2 %"
    keys(page, "q")
    assert text[slice(*chosen(now(), "QUANTITY"))] == "to 11.2 %"
    keys(page, "Shift+Q", "5")
    assert text[slice(*chosen(now(), "MONEY"))] == "11.2 %"
    keys(page, "d")
    assert not [label for *_, label in now() if label in ("MONEY", "QUANTITY")]
    # Words that nobody marked: selected, then the label's key.
    page.evaluate(
        """() => { const walk = document.createTreeWalker(document.querySelector('[data-text=response] .qr-text'),
          NodeFilter.SHOW_TEXT);
          while (walk.nextNode()) {
            const at = walk.currentNode.data.indexOf('lower prices');
            if (at >= 0) return getSelection().setBaseAndExtent(walk.currentNode, at, walk.currentNode, at + 12);
          } }"""
    )
    keys(page, "9")
    assert text[slice(*chosen(now(), "TECH"))] == "lower prices"


def chosen(spans: set[tuple[int, int, str]], label: str) -> tuple[int, int]:
    (found,) = [(start, end) for start, end, each in spans if each == label]
    return found


def test_sets_ratings_and_what_agrees_by_digits(page: Page, screens: Screens) -> None:
    """Items of a set are ticked by digit, a rating is its digit, and e opens what agrees to be changed the same way."""
    open_review(page, project(screens, "qa", [made_task(REVIEW, 3), made_task(REVIEW, 0)]))
    page.locator('.qr-row[data-field="issues"] .qr-name').click()
    assert form(page, "issues") == []
    keys(page, "u")
    assert form(page, "issues") == ["Contradicts context", "Missing information"]
    page.locator('.qr-row[data-field="issues"] .qr-name').click()
    keys(page, "3", "1")
    assert form(page, "issues") == ["Factual error", "Missing information"]
    # Label Studio's own keys change nothing that is folded away: z would be another response type.
    keys(page, "z", "t", "t", "y", "Shift+U")
    assert (form(page, "response_type"), form(page, "completeness")) == ("Direct answer", 5)
    assert form(page, "flags") == []
    assert page.locator('.qr-row[data-field="tone"]').count() == 0
    keys(page, "e")
    assert page.locator(".qr-row").count() == 9
    page.locator('.qr-row[data-field="tone"] .qr-name').click()
    scale = page.locator('.qr-row[data-field="tone"]').get_by_role("radio")
    assert scale.count() == 5
    assert scale.nth(2).get_attribute("aria-label") == "3 Stiff"
    keys(page, "3")
    assert form(page, "tone") == 3
    assert "Tone: 3 Stiff." in heard(page)


def test_the_help_lists_the_keys_that_do_something(page: Page, screens: Screens) -> None:
    """Each key once and ours alone, of marks where there are marks; with the form in view those of its fields."""
    open_review(page, project(screens, "qa", [made_task(REVIEW, 3), made_task(REVIEW, 0)]))

    def help_of_this_screen() -> list[tuple[str, str]]:
        keys(page, "?")
        dialog = page.get_by_role("dialog", name="Keys of this screen")
        pairs = zip(dialog.locator("dt").all_inner_texts(), dialog.locator("dd").all_inner_texts(), strict=True)
        listed = [(key, words.strip()) for key, words in pairs]
        keys(page, "Escape")
        expect(dialog).to_have_count(0)
        return listed

    listed = help_of_this_screen()
    assert len({key for key, _ in listed}) == len(listed)
    assert ("↓", "Next field") in listed
    words = {words for _, words in listed}
    assert {"Keep the mark", "Take what either says, of a set", "Escalate, with a reason"} <= words
    assert not {"Unsure", "Correct", "ORG", "Code", "Select the next span", "Correctness: then 1 to 5"} & words
    keys(page, "t")
    words = {words for _, words in help_of_this_screen()}
    assert {"Unsure", "Correct", "ORG"} <= words
    assert "Keep the mark" not in words
    keys(page, "t", "Shift+D")
    page.keyboard.type("listed")
    send(page)
    expect(page.locator(".qr-head")).to_contain_text("No conflict")
    assert "Keep the mark" not in {words for _, words in help_of_this_screen()}


def test_the_guideline_of_the_field_is_one_key_away(page: Page, screens: Screens) -> None:
    """g shows what the instructions say under the field's name, or beside its name in bold, and g closes it."""
    more: Json = {"expert_instruction": REVIEW.guidelines_html}
    open_review(page, project(screens, "qa", [made_task(REVIEW, 8)], **more))
    keys(page, "g")
    guide = page.get_by_role("region", name="Guideline")
    expect(guide).to_contain_text("A wrong extra fact makes it Partly correct")
    assert "named people, without titles" not in guide.inner_text()
    page.locator('.qr-row[data-field="tone"] .qr-name').click()
    expect(guide).to_contain_text("clear, fitting, respectful")
    keys(page, "g")
    expect(guide).to_be_hidden()


# --- the decision ----------------------------------------------------------------------------------------------------


def test_the_word_follows_from_what_was_done(page: Page, screens: Screens) -> None:
    """Unchanged is accept, a note goes with it; escalate and discard want a reason and nothing else."""
    rows = [made_task(REVIEW, 0), made_task(REVIEW, 8), made_task(REVIEW, 5), made_task(REVIEW, 3)]
    number = project(screens, "qa", rows)
    open_review(page, number)
    keys(page, "Shift+N")
    page.keyboard.type("thank you")
    send(page)
    await_row(page, rows[1])
    keys(page, "Shift+X", "Control+Enter")
    assert heard(page) == "Say why you escalate it."
    page.keyboard.type("two readings")
    send(page)
    await_row(page, rows[2])
    keys(page, "Shift+D")
    page.keyboard.type("cut off")
    send(page)
    await_row(page, rows[3])
    # A conflict without a value is told and comes into hand; a set without a decision is asked about once.
    keys(page, "Control+Enter")
    assert heard(page) == "Not decided: Verdict, Issues, Entities."
    keys(page, "2", "Control+Enter")
    assert heard(page).startswith("Not decided: Issues, Entities. Send once more to leave out")
    send(page)
    parsed = stored(screens, number)
    assert [(each.decision, each.reason) for each in parsed] == [
        ("accept", "thank you"), ("escalate", "two readings"), ("discard", "cut off"), ("correct", None),
    ]  # fmt: skip
    assert parsed[3].values["entities"] == [span(rows[3]["data"]["response"], "Northwind Foods", "ORG")]


def test_an_expert_sees_qa_as_an_opinion(page: Page, screens: Screens) -> None:
    """What an escalating QA thought stands beside the fields; the form opens with what the two agree on."""
    open_review(page, project(screens, "expert", [made_task(REVIEW, 1, stage="expert")]))
    head = page.locator(".qr-head")
    expect(head).to_contain_text("QA: escalate Needs an expert · “Which margin is meant depends on the standard.”")
    expect(page.locator('.qr-row[data-field="tone"]')).to_contain_text("QA: 2 Off-putting")
    assert (form(page, "tone"), form(page, "verdict")) == (5, None)


# --- the same as the tags --------------------------------------------------------------------------------------------


def without_ids(screens: Screens, number: int) -> list[list[Json]]:
    kept = screens.call("GET", f"/api/projects/{number}/export?exportType=JSON")
    return [
        sorted(
            ({key: part for key, part in item.items() if key != "id"} for item in annotation["result"]),
            key=lambda item: (item["from_name"], str(item["value"])),
        )
        for task in sorted(kept, key=lambda task: int(task["id"]))
        for annotation in task["annotations"]
    ]


def test_without_the_script_the_tags_store_the_same(page: Page, screens: Screens) -> None:
    """One decision made on this screen, and once more on Label Studio's tags with the script blocked: one result."""
    tasks = [made_task(REVIEW, 3), made_task(REVIEW, 1)]
    ours, theirs = (project(screens, "qa", tasks) for _ in range(2))
    open_review(page, ours)
    verdict = page.locator('.qr-row[data-field="verdict"]').get_by_role("radio", name="Partly correct")
    keys(page, verdict.locator("kbd").inner_text())
    keys(page, "4", "ArrowDown")
    page.locator('.qr-chip[aria-label*="“net revenue”"]').click()
    keys(page, "k")
    page.locator('.qr-chip[aria-label*="“11.2 %”"]').click()
    keys(page, "k")
    keys(page, "Control+Enter")
    send(page)
    await_row(page, tasks[1])
    keys(page, "Shift+X")
    page.keyboard.type("two readings")
    send(page)

    page.route("**/quorum/screen.*", lambda route: route.abort())
    open_review(page, theirs, with_script=False)
    expect(page.locator(".q-panel")).to_be_visible()
    assert page.locator("#quorum-review").count() == 0
    keys(page, "w", "f")
    for label, words in (("7", "net revenue"), ("6", "11.2 %")):
        keys(page, label)
        drag_over(page, words)
        keys(page, "Escape")
    keys(page, "Shift+C")
    send(page)
    page.wait_for_function("() => window.Htx.task.dataObj.row_id === 'row-1-0-qa'")
    page.locator(".q-response .htx-highlight").first.wait_for()
    keys(page, "Shift+X")
    page.locator("input[name=decision_reason]").fill("two readings")
    keys(page, "Enter")
    send(page)
    assert without_ids(screens, ours) == without_ids(screens, theirs)


def custom(folder: Path, controls: str) -> Interface:
    (folder / "label.xml").write_text(f'<View><Text name="text" value="$text"/>{controls}</View>', encoding="utf-8")
    return load(folder)


def test_texts_and_numbers_are_taken_or_written(page: Page, screens: Screens, tmp_path: Path) -> None:
    """A written answer is A's, B's, or another; a panel of before leaves the row to the tags."""
    interface = custom(
        tmp_path,
        '<Number name="amount" toName="text" min="0"/>'
        '<TextArea name="summary" toName="text" rows="2" maxSubmissions="1"/>',
    )
    data = {"row_id": "written", "text": "Net revenue was 412 million."}
    passes = [
        said({"amount": 412, "summary": "It earned 412."}),
        said({"amount": 41, "summary": "It lost <b>412</b>."}),
    ]
    task = review_task(interface, "qa", data, passes)
    old = {"data": task["data"] | {"panel": "<table class='qp'><tr><td>of before</td></tr></table>"}}
    number = project(screens, "qa", [task, old], interface)
    open_review(page, number)
    said_first = page.evaluate("window.quorumReview.parsePanel(window.quorum.screen().data.panel).decisions[0].values")
    keys(page, "a")
    assert form(page, "amount") == said_first["amount"]
    keys(page, "3")
    page.keyboard.press("Control+A")
    page.keyboard.type("It earned 412 million.")
    send(page)
    (parsed,) = screens.submitted(number, compose_review(interface.xml, "qa"))
    assert parsed.values == {"amount": said_first["amount"], "summary": "It earned 412 million."}
    assert parsed.decision == "correct"
    expect(page.locator(".q-panel .qp")).to_be_visible()
    assert page.locator("#quorum-review").count() == 0


def test_boxes_are_taken_over_beside_the_picture(page: Page, screens: Screens, tmp_path: Path) -> None:
    """Where a row shows a picture the form stays in view; all of A or B is one key, and is stored as it was drawn."""
    (tmp_path / "label.xml").write_text(
        '<View><Image name="image" value="$image"/><RectangleLabels name="regions" toName="image"><Label value="Cat"/>'
        '<Label value="Dog"/></RectangleLabels><Choices name="kind" toName="image" choice="single">'
        '<Choice value="Photo"/><Choice value="Drawing"/></Choices></View>',
        encoding="utf-8",
    )
    interface = load(tmp_path)
    drawn = BytesIO()
    Image.new("RGB", (400, 300), (120, 160, 200)).save(drawn, "PNG")
    data = {"row_id": "picture", "image": f"data:image/png;base64,{b64encode(drawn.getvalue()).decode()}"}

    def box(x: int, label: str) -> Json:
        return {"x": x, "y": 10, "width": 20, "height": 20, "label": label}

    passes = [
        said({"regions": [box(10, "Cat"), box(50, "Dog")], "kind": "Photo"}),
        said({"regions": [box(10, "Cat"), box(30, "Cat")], "kind": "Drawing"}),
    ]
    number = project(screens, "qa", [review_task(interface, "qa", data, passes)], interface)
    open_review(page, number)
    expect(page.locator(".lsf-main-view img, .lsf-main-view canvas").first).to_be_visible(timeout=30_000)
    expect(page.locator(".q-panel")).to_be_hidden()
    second = page.evaluate("window.quorumReview.parsePanel(window.quorum.screen().data.panel).decisions[1].values")
    keys(page, "b", "b")
    send(page)
    (parsed,) = screens.submitted(number, compose_review(interface.xml, "qa"))
    assert (parsed.problems, parsed.decision) == ((), "correct")
    assert parsed.values["kind"] == second["kind"]

    def places(boxes: list[Json]) -> list[Json]:
        return sorted([each["label"], *(round(each[side]) for side in ("x", "y", "width", "height"))] for each in boxes)

    assert places(parsed.values["regions"]) == places(second["regions"])


# --- for everybody ---------------------------------------------------------------------------------------------------


def test_every_control_has_a_role_a_name_and_a_state(page: Page, screens: Screens) -> None:
    """Buttons, radios and marks are named, with their state; the arrow keys and Tab go from conflict to conflict."""
    open_review(page, project(screens, "qa", [made_task(REVIEW, 4)]))
    assert unheard(page) == []
    verdict = page.get_by_role("radiogroup", name="Verdict")
    assert verdict.get_by_role("radio").count() == 4
    assert verdict.get_by_role("radio", checked=True).count() == 0
    keys(page, "2")
    assert page.get_by_role("radiogroup", name="Verdict").get_by_role("radio", checked=True).count() == 1
    assert page.get_by_role("group", name="Verdict, decided").count() == 1
    assert page.get_by_role("group", name="Entities, not decided").get_by_role("option").count() == 4
    fields = []
    for _ in range(4):
        fields.append(page.evaluate("document.activeElement.closest('.qr-row').dataset.field"))
        keys(page, "ArrowDown")
    assert len(set(fields)) == 4
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    open_review(page, project(screens, "expert", [made_task(REVIEW, 8, stage="expert")]))
    for pressed in ("e", "g", "Shift+N", "Escape", "Shift+X", "Escape", "t"):
        keys(page, pressed)
        assert unheard(page) == [], pressed


def test_nothing_is_told_by_colour_alone(page: Page, screens: Screens) -> None:
    """What is chosen, what is decided, and whose a mark is; light, dark, colours of the system, no red and green."""
    open_review(page, project(screens, "qa", [made_task(REVIEW, 4)]))
    page.locator('.qr-row[data-field="entities"] .qr-name').click()
    keys(page, "k")
    page.locator('.qr-row[data-field="verdict"] .qr-name').click()
    keys(page, "1")
    page.locator('.qr-row[data-field="verdict"] .qr-name').click()
    pairs = {
        "a choice": (
            '.qr-row[data-field="verdict"] [aria-checked=true]',
            '.qr-row[data-field="verdict"] [aria-checked=false]',
        ),
        "a decided row": (".qr-row:not(.qr-is-open) .qr-status", ".qr-is-open .qr-status"),
        "a kept mark": (".qr-chip.qr-kept", ".qr-chip.qr-open"),
        "whose a mark is": (".qr-mark.qr-by-a:not(.qr-by-b)", ".qr-mark.qr-by-b:not(.qr-by-a)"),
        "whose a value is": (".qr-who-a", ".qr-who-b"),
        "the row in hand": (".qr-row.qr-in-hand", ".qr-row:not(.qr-in-hand)"),
    }
    session = page.context.new_cdp_session(page)
    for forced in ("none", "active"):
        for scheme in ("light", "dark"):
            page.emulate_media(forced_colors=forced, color_scheme=scheme)
            page.evaluate("name => document.documentElement.setAttribute('data-color-scheme', name)", scheme)
            session.send("Emulation.setEmulatedVisionDeficiency", {"type": "deuteranopia"})
            for what, (first, second) in pairs.items():
                shapes = [page.locator(f"#quorum-review {each}").first.evaluate(SHAPE) for each in (first, second)]
                assert shapes[0] != shapes[1], (what, forced, scheme)


def test_axe_finds_nothing_on_what_differs(page: Page, screens: Screens) -> None:
    """Light and dark; with the guideline open, what agrees unfolded, and a reason asked for."""
    more: Json = {"expert_instruction": REVIEW.guidelines_html}
    open_review(page, project(screens, "qa", [made_task(REVIEW, 5, length=4000)], **more))
    page.evaluate(AXE.read_text(encoding="utf-8"))
    for scheme in ("light", "dark"):
        page.evaluate("name => document.documentElement.setAttribute('data-color-scheme', name)", scheme)
        for pressed in ("g", "g", "e", "e", "Shift+X"):
            keys(page, pressed)
            page.evaluate("Promise.allSettled(document.getAnimations().map(each => each.finished)).then(() => null)")
            found = page.evaluate(
                "axe.run('#quorum-review', {resultTypes: ['violations']}).then(report => report.violations"
                ".map(each => [each.impact, each.id, each.nodes.map(node => node.html.slice(0, 200))]))"
            )
            assert found == [], (scheme, pressed)
        # The reason box has the keys; its own takes the decision back.
        keys(page, "Escape", "Shift+X")


def test_what_was_typed_is_never_markup(page: Page, screens: Screens) -> None:
    """Tags, handlers and entity tricks in every text and every answer stand on this screen as their characters."""
    trick = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>&lt;b&gt;"\''
    data = {"row_id": trick, "query": trick, "context": trick, "response": trick}
    first, _ = answers(made_task(REVIEW, 0)["data"]["response"])
    odd = first | {"verdict": trick, "issues": [trick], "entities": [{"start": 0, "end": 4, "label": "ORG"}]}
    task = review_task(
        REVIEW, "qa", data, [said(odd, [trick], trick), said(first | {"entities": []})], None, odd, filled=False
    )
    open_review(page, project(screens, "qa", [task]))
    keys(page, "e", "g")
    tags = page.evaluate("[...new Set([...document.querySelectorAll('#quorum-review *')].map(e => e.tagName))].sort()")
    assert not {"IMG", "SCRIPT", "A", "IFRAME", "STYLE"} & set(tags)
    assert page.evaluate("window.hacked") is None
    assert trick in page.locator("#quorum-review").inner_text()


@pytest.mark.parametrize("stage", ["qa", "expert"])
def test_pictures(page: Page, screens: Screens, stage: str) -> None:
    """The screen stands in light and dark with the same rows; the pictures of the documentation are taken here."""
    fields = ("verdict", "entities", "correctness", *FIELDS)
    task = made_task(REVIEW, 3, length=600, fields=fields, stage=stage)
    for theme in ("Light", "Dark"):
        page.goto("/projects")
        page.evaluate("theme => localStorage.setItem('preferred-color-scheme', theme)", theme)
        open_review(page, project(screens, stage, [task]))
        keys(page, "2", "3")
        assert page.locator("#quorum-review .qr-row").count() >= 3
        folder = os.environ.get("QUORUM_SCREENS")
        if folder:
            path = Path(folder) / f"review-{stage}-1366-{theme.lower()}.png"
            page.screenshot(path=path)
            Image.open(path).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
        contrast = page.locator(".qr-name").first.evaluate(
            "e => [getComputedStyle(e).color, getComputedStyle(e.closest('#quorum-review')).backgroundColor]"
        )
        assert contrast[0] != contrast[1]
