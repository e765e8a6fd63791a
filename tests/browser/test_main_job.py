"""The main job by clicking: a corrected label and a new entity go from two blind annotators through QA into the export.

On a real `quorum up` with the plugin, each person in a browser of their own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from label_studio_quorum.campaign.row_task import SEAL
from review_rules import load_policy, withheld
from tests.support.screens import choose_in_review, open_queue
from tests.support.servers import ROOT, QuorumUp, quorum, quorum_up

pytestmark = [pytest.mark.server, pytest.mark.browser]

RESPONSE = "Helios Grid lost $58 million in 2024, its first loss in ten years."
SECRET = "page 4 of the filing says profit"
AUTO_LABEL = {
    "verdict": "Correct",
    "issues": [],
    "response_type": "Direct answer",
    "correctness": 5,
    "completeness": 5,
    "helpfulness": 5,
    "tone": 5,
    "entities": [{"start": 0, "end": 11, "label": "ORG"}],
}


def row() -> dict[str, Any]:
    """A row that is shown with its auto-label (the example policy withholds some rows' by their id)."""
    policy = load_policy((ROOT / "examples" / "policy.yaml").read_text(encoding="utf-8"))
    shown = next(f"job-{number}" for number in range(100) if not withheld(f"job-{number}", policy))
    context = "Helios Grid: profit of $58 million in 2024; losses in every year before."
    query = "How did Helios Grid do in 2024?"
    texts = {"context": context, "query": query, "response": RESPONSE}
    return {"id": shown, **texts, "domain": "general", "auto_label": AUTO_LABEL}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QuorumUp]:
    """A running `quorum up` with a campaign of one row."""
    folder = tmp_path_factory.mktemp("main-job")
    rows = folder / "rows.jsonl"
    rows.write_text(json.dumps(row()) + "\n", encoding="utf-8")
    with quorum_up(folder / "data", "--rows", str(rows), "--name", "Main job") as running:
        yield running


class Received:
    """What the server's API sent to a browser, word for word."""

    def __init__(self, context: BrowserContext) -> None:
        self.bodies: list[str] = []
        context.route("**/api/**", self._pass_on)

    def _pass_on(self, route: Route) -> None:
        answer = route.fetch()
        self.bodies.append(answer.text())
        route.fulfill(response=answer)

    def text(self) -> str:
        """All of it."""
        return "\n".join(self.bodies)


@contextmanager
def browser_of(chromium: Browser, access: dict[str, Any], person: str, stage: str) -> Iterator[tuple[Page, Received]]:
    """A person's own browser: logged in by the form, with the queue of their stage open on its first task."""
    context = chromium.new_context(base_url=access["url"], viewport={"width": 1400, "height": 900})
    context.set_default_timeout(90_000)
    received = Received(context)
    page = context.new_page()
    try:
        open_queue(page, access, person, stage)
        page.get_by_test_id("bottombar-submit-button").wait_for()
        expect(page.locator(".q-response")).to_contain_text("Helios Grid lost $58 million")
        yield page, received
    finally:
        context.close()


def choose(page: Page, option: str, block: str = "q-page") -> None:
    """Click a choice in a block of the screen."""
    choices = page.locator(f".{block} .ant-radio-wrapper, .{block} .ant-checkbox-wrapper")
    choices.filter(has=page.locator(f"input[name='{option}']")).first.click()


def chosen(page: Page) -> set[str]:
    """The stored values of every choice that is ticked."""
    boxes = page.locator(".ant-checkbox-wrapper-checked input, .ant-radio-wrapper-checked input").all()
    return {box.get_attribute("name") or "" for box in boxes}


def mark(page: Page, label: str, words: str) -> None:
    """Click an entity label, then select the words in the response with the mouse."""
    page.locator(".lsf-label", has_text=label).click()
    left, right, middle = page.locator(".q-response .lsf-richtext__container").evaluate(
        """(root, words) => {
          const walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
          while (walk.nextNode()) {
            const at = walk.currentNode.data.indexOf(words);
            if (at < 0) continue;
            const range = document.createRange();
            range.setStart(walk.currentNode, at);
            range.setEnd(walk.currentNode, at + words.length);
            const box = range.getBoundingClientRect();
            return [box.left, box.right, box.top + box.height / 2];
          }
        }""",
        words,
    )
    page.mouse.move(left + 1, middle)
    page.mouse.down()
    page.mouse.move(right - 1, middle, steps=8)
    page.mouse.up()
    expect(page.locator(".q-response .htx-highlight", has_text=words)).to_be_visible()


def entities(page: Page) -> list[str]:
    """The marked words of the response."""
    return page.locator(".q-response .htx-highlight").all_text_contents()


def submit(page: Page) -> None:
    """Click Submit and wait until the server has the answer."""
    with page.expect_response(lambda answer: "/annotations" in answer.url and answer.request.method == "POST") as got:
        page.get_by_test_id("bottombar-submit-button").click()
    assert got.value.status == 201, got.value.text()


def exported(up: QuorumUp, folder: Path) -> dict[str, Any]:
    """The one gold record of `quorum export`."""
    out = folder / "gold.jsonl"
    done = quorum("export", "--out", str(out), **up.env)
    assert done.returncode == 0, done.stderr
    (line,) = out.read_text(encoding="utf-8").splitlines()
    record: dict[str, Any] = json.loads(line)
    return record


def qa_tasks(access: dict[str, Any]) -> list[dict[str, Any]]:
    """The QA tasks with their predictions and answers, as the manager's key gets them."""
    params = {"project": access["campaigns"][0]["projects"]["qa"], "fields": "all"}
    headers = {"Authorization": f"Token {access['manager']['token']}"}
    answer = requests.get(access["url"] + "/api/tasks", params=params, headers=headers, timeout=60)
    tasks: list[dict[str, Any]] = answer.json()["tasks"]
    return tasks


def seals(result: list[dict[str, Any]]) -> list[str]:
    """What the review form carries unseen."""
    return [line for part in result if part["from_name"] == SEAL for line in part["value"]["text"]]


def test_a_correction_and_an_entity_go_through_qa_into_the_export(
    up: QuorumUp, chromium: Browser, tmp_path: Path
) -> None:
    """The second pass sees nothing of the first, QA sees both and corrects, the export says who decided."""
    access = up.wait_ready()

    with browser_of(chromium, access, "ana", "pass") as (page, _):
        assert chosen(page) == {"Correct", "Direct answer"}, "the form opens pre-filled"
        assert entities(page) == ["Helios Grid"]
        choose(page, "Cannot judge")
        mark(page, "MONEY", "$58 million")
        choose(page, "Unsure")
        page.locator("[name=flag_reason]:visible").fill(SECRET)
        submit(page)

    with browser_of(chromium, access, "chi", "pass") as (page, received):
        assert chosen(page) == {"Correct", "Direct answer"}, "the auto-label, not the first annotator's answer"
        assert entities(page) == ["Helios Grid"]
        submit(page)
        page.wait_for_timeout(500)
        sent = received.text()
        assert RESPONSE in sent, "what was sent is really looked at"
        assert SECRET not in sent
        assert "ana@example.com" not in sent

    with browser_of(chromium, access, "mei", "qa") as (page, _):
        review_screen = page.locator("#quorum-review")
        for shown in ("Correct", "Cannot judge", "$58 million", SECRET):
            expect(review_screen).to_contain_text(shown)
        for unnamed in ("ana", "chi", "example.com"):
            assert unnamed not in (review_screen.text_content() or "").split()
        assert not {"Correct", "Cannot judge"} & chosen(page), "a conflict is left open"
        assert entities(page) == ["Helios Grid"], "what both marked"
        choose_in_review(page, "verdict", "Partly correct")
        page.locator('.qr-chip[aria-label*="$58 million"]').click()
        page.keyboard.press("k")
        # What they agree on has to fit the verdict too.
        page.keyboard.press("e")
        choose_in_review(page, "correctness", 4)
        page.keyboard.press("Shift+N")
        page.keyboard.type("The amount is right, its sign is not.")
        submit(page)
    (review,) = qa_tasks(access)
    unseen = [seals(part["result"]) for part in (*review["predictions"], *review["annotations"])]
    assert unseen[0] == unseen[1] != [], "the form sends back unseen which row it showed"

    record = exported(up, tmp_path)
    final = record["final"]["values"]
    assert final["verdict"]["value"] == "Partly correct"
    assert final["verdict"]["origin"] == "qa"
    assert final["verdict"]["changed_from_auto"] is True
    assert (final["correctness"]["value"], final["correctness"]["origin"]) == (4, "qa")
    assert final["tone"] == {"value": 5, "origin": "passes", "changed_from_auto": False}
    assert [(span["start"], span["end"], span["label"]) for span in final["entities"]["value"]] == [
        (0, 11, "ORG"),
        (17, 28, "MONEY"),
    ]
    assert sorted(record["certificate"]["passes"]) == ["ana", "chi"]
    assert record["certificate"]["qa"] == "mei"
    assert record["row"]["response"] == RESPONSE
