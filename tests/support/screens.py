"""What the tests of the screens share: review tasks made by the real rules, and projects to show them in."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from playwright.sync_api import Browser, BrowserContext, Page, TimeoutError

from label_studio_quorum.adapters.web_session import Visitor
from label_studio_quorum.campaign.review_panel import panel_data
from ls_config import Interface, parse_all, to_result
from ls_config.results import from_result
from review_rules import decide, load_policy, load_team, parse_history
from tests.support.servers import LabelStudioServer

Json = Any

TEAM = load_team("""
people:
  - {id: ana, email: ana@example.com, roles: [annotator]}
  - {id: ben, email: ben@example.com, roles: [annotator]}
  - {id: cleo, email: cleo@example.com, roles: [qa]}
  - {id: dag, email: dag@example.com, roles: [expert], expertise: [financial, technical]}
""")
POLICY = load_policy("""
version: 1
passes: 2
qa: {when: all}
expert_domains: [technical, financial]
fields:
  verdict: {agree: exact}
  issues: {agree: jaccard, threshold: 1.0}
  response_type: {agree: exact}
  entities: {agree: span_f1, match: strict, threshold: 1.0}
  correctness: {agree: tolerance, tolerance: 1}
  completeness: {agree: tolerance, tolerance: 1}
  helpfulness: {agree: tolerance, tolerance: 1}
  tone: {agree: tolerance, tolerance: 1}
""")


def said(values: Mapping[str, Json], flags: Sequence[str] = (), reason: str | None = None, **more: Json) -> Json:
    """One submission without its person and time."""
    return {"values": dict(values), "flags": list(flags), "reason": reason, **more}


def sample_values(interface: Interface) -> dict[str, Json]:
    """The sample prediction's values."""
    data = interface.sample_task["data"]
    return from_result(interface.sample_prediction["result"], interface.controls, data).values


def prediction(values: Mapping[str, Json], interface: Interface, data: Mapping[str, Json], version: str) -> Json:
    """A prediction that fills in these values."""
    return {"model_version": version, "result": to_result(values, interface.controls, data)}


def review_task(
    interface: Interface,
    stage: str,
    data: Mapping[str, Json],
    passes: Sequence[Json],
    qa: Json | None = None,
    auto_label: Mapping[str, Json] | None = None,
    *,
    filled: bool = True,
) -> Json:
    """The task of a review stage, with the panel and (unless not `filled`) the proposal of a real decision on these."""
    given = [
        said_by | {"by": by, "at": f"2026-01-05T1{hour}:00:00Z"}
        for by, hour, said_by in zip(("ana", "ben"), (0, 1), passes, strict=True)
    ]
    history = parse_history(
        {
            "row_id": data["row_id"],
            "domain": data.get("domain"),
            "auto_label": dict(auto_label or {}),
            "fields": interface.fields(data),
            "passes": given,
            "qa": [qa | {"by": "cleo", "at": "2026-01-05T12:00:00Z"}] if qa else [],
        }
    )
    decision = decide(history, TEAM, POLICY)
    shown = {**data, **panel_data(history, decision, interface, stage)}
    if not filled:
        return {"data": shown}
    proposal = {name: proposed.value for name, proposed in decision.proposal.items()}
    return {"data": shown, "predictions": [prediction(proposal, interface, shown, "quorum-proposal")]}


class OwnerApi:
    """A server's API by its owner's token; an answer that is no success fails the test."""

    def __init__(self, server: LabelStudioServer) -> None:
        self.url = server.url
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"Token {server.token}"

    def call(self, method: str, path: str, body: Json = None) -> Json:
        answer = self.session.request(method, self.url + path, json=body, timeout=120)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:400]}"
        return answer.json()


class Screens(OwnerApi):
    """Makes projects on a server and reads back what was submitted there."""

    def project(self, title: str, xml: str, tasks: Sequence[Json], version: str = "auto-label", **more: Json) -> int:
        """A project whose form is pre-filled from predictions of this version."""
        made = self.call("POST", "/api/projects", {"title": title[:50], "label_config": xml, **more})
        self.call("POST", f"/api/projects/{made['id']}/import", list(tasks))
        if any(task.get("predictions") for task in tasks):
            # Label Studio refuses a version that no prediction has.
            shown = {"show_collab_predictions": True, "model_version": version}
            self.call("PATCH", f"/api/projects/{made['id']}", shown)
        return int(made["id"])

    def submitted(self, project: int, xml: str) -> list[Any]:
        """What was submitted in a project, parsed, in the order of its tasks."""
        kept = self.call("GET", f"/api/projects/{project}/export?exportType=JSON")
        controls = parse_all(xml)
        return [
            from_result(annotation["result"], controls, task["data"])
            for task in sorted(kept, key=lambda task: int(task["id"]))
            for annotation in task["annotations"]
        ]


_TRIES = 20
AXE = Path(__file__).parent / "files" / "axe.min.js"


def serious_violations(page: Page) -> list[Json]:
    """What axe finds on the page that is serious or critical."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found: list[Json] = page.evaluate(
        "axe.run(document, {resultTypes: ['violations']}).then(report => report.violations"
        ".filter(each => ['serious', 'critical'].includes(each.impact))"
        ".map(each => [each.id, each.nodes.map(node => node.html.slice(0, 200))]))"
    )
    return found


@contextmanager
def browser_for(chromium: Browser, visitor: Visitor, **options: Any) -> Iterator[BrowserContext]:
    """A browser in which the person of this session is signed in; closed at the end."""
    context = chromium.new_context(base_url=visitor.url, **options)
    cookies = [{"name": each.name, "value": each.value or "", "url": visitor.url} for each in visitor.cookies]
    context.add_cookies(cookies)  # type: ignore[arg-type]
    try:
        yield context
    finally:
        context.close()


def open_queue(page: Page, access: Mapping[str, Json], person: str, stage: str) -> None:
    """Log a person of a `quorum up` in by the form, open the queue of a stage, and close the instructions before it."""
    who = next(entry for entry in access["people"] if entry["id"] == person)
    page.goto("/user/login/")
    page.locator("input[name=email]").fill(who["email"])
    page.locator("input[name=password]").fill(who["password"])
    page.locator("form button[type=submit]").click()
    page.wait_for_url(lambda url: "/user/login" not in url)
    page.goto(f"/projects/{access['campaigns'][0]['projects'][stage]}/data?labeling=1")
    close_instructions(page)


def close_instructions(page: Page) -> None:
    """Close the instructions that stand before a queue, which keep every key to themselves.

    A key that comes while their box is still opening is lost, so it is pressed until the box is gone.
    """
    title = page.get_by_text("Labeling Instructions")
    title.wait_for()
    for _ in range(_TRIES):
        page.keyboard.press("Escape")
        try:
            title.wait_for(state="hidden", timeout=3_000)
        except TimeoutError:
            continue
        return
    raise AssertionError("the instructions stay open")


CONTROLS = {"button", "checkbox", "combobox", "link", "option", "radio", "searchbox", "spinbutton", "switch", "textbox"}
STATES = {"checkbox": "checked", "option": "selected", "radio": "checked"}


def unheard(page: Page) -> list[str]:
    """The controls of which a screen reader hears no name or no state, by the browser's own tree."""
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    session.detach()
    faults = []
    for node in nodes:
        role = node.get("role", {}).get("value")
        if node["ignored"] or role not in CONTROLS:
            continue
        name = node.get("name", {}).get("value", "").strip()
        known = {each["name"] for each in node["properties"]}
        if not name or (role in STATES and STATES[role] not in known):
            faults.append(f"{role} {name!r}: {sorted(known)}")
    return faults


SHAPE = """each => {
  const style = getComputedStyle(each), names = ['borderTopStyle', 'borderTopWidth', 'borderBottomStyle',
    'borderBottomWidth', 'borderTopLeftRadius', 'fontWeight', 'textDecorationLine', 'outlineStyle', 'outlineWidth'];
  const inner = each.querySelector('.ant-radio-inner, .ant-checkbox-inner') || each;
  const dot = getComputedStyle(inner, '::after').transform;
  return JSON.stringify([...names.map(name => style[name]), dot, /[✓✗?≠]/.exec(each.textContent)?.[0]]);
}"""
"""What an element looks like apart from its colours."""


def write_table(name: str, columns: Sequence[str], lines: Sequence[Sequence[Json]]) -> None:
    """Write a table of the documentation, if asked to, between the comments that name it."""
    if wanted := os.environ.get("QUORUM_MEASURES"):
        path = Path(wanted)
        before, begin, rest = path.read_text(encoding="utf-8").partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(f"<!-- /{name} -->")
        assert all((begin, end)), f"{wanted} has no place for {name}"
        cells = [columns, ["---"] * len(columns), *lines]
        drawn = "".join(f"| {' | '.join(map(str, line))} |\n" for line in cells)
        path.write_text(before + begin + drawn + end + after, encoding="utf-8")


def choose_in_review(page: Page, field: str, value: str | int) -> None:
    """Click a value of a field on the screen of what differs."""
    row = page.locator(f"#quorum-review .qr-row[data-field='{field}']")
    row.locator(".qr-name").click()
    row.locator(f"[data-option='{json.dumps(value)}']").click()


def drag_over(page: Page, words: str) -> None:
    """Select words of the response with the mouse, as a person does."""
    box = page.locator(".q-response .lsf-richtext__container").evaluate(
        """(root, words) => {
          const walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
          while (walk.nextNode()) {
            const at = walk.currentNode.data.indexOf(words);
            if (at < 0) continue;
            walk.currentNode.parentElement.scrollIntoView({block: 'nearest'});
            const range = document.createRange();
            range.setStart(walk.currentNode, at); range.setEnd(walk.currentNode, at + words.length);
            const first = range.getBoundingClientRect();
            let box = root; while (box && box.scrollHeight <= box.clientHeight + 1) box = box.parentElement;
            const inside = box ? box.getBoundingClientRect() : first;
            if (box && first.bottom > inside.bottom) box.scrollTop += first.bottom - inside.bottom + 20;
            const r = range.getBoundingClientRect();
            return [r.left, r.right, r.top + r.height / 2];
          }
        }""",
        words,
    )
    page.mouse.move(box[0] + 1, box[2])
    page.mouse.down()
    page.mouse.move(box[1] - 1, box[2], steps=6)
    page.mouse.up()
