"""How long people wait between two rows: from the key that sends until the next form can be worked on, in chromium.

Two people of one campaign work through the same rows in turns on a server with the plugin: one on the form with
Quorum's script, one with the script blocked, which is Label Studio's own form. A form can be worked on when its texts
and controls are drawn, its Submit is enabled, and the browser has come to rest for a frame; with the script also when
the script has drawn its own. `/next` is the request for the row as the browser timed it. After that so many rows are
done under chromium's profiler, which says what the script itself computes.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import Any

from benchmarks import data
from benchmarks.harness import Arguments, Line, NotMeasured, Report, require, run
from label_studio_quorum.campaign.row_task import row_task
from label_studio_quorum.intake import Row
from label_studio_quorum.servers.label_studio import WITH_PLUGIN
from ls_config import load
from tests.conftest import CHROMIUM_FLAGS
from tests.contract.plugin_campaign import Line as Campaign
from tests.contract.plugin_campaign import make_line
from tests.support.servers import LabelStudioServer, label_studio_server

CLAIM = "people wait no longer for a row than on Label Studio's own form; in 95 of 100 Quorum's part is under 0.4 s"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
SCREEN = {"width": 1366, "height": 768}
RIGHT = {"verdict": "Correct", "response_type": "Explanation"}
FILLED = RIGHT | dict.fromkeys(("correctness", "completeness", "helpfulness", "tone"), 5)
OPEN = """() => !!window.Htx?.annotationStore?.selected && !document.querySelector('[role=dialog]')
  && !!document.querySelector('[data-testid=bottombar-submit-button]:not([disabled])')"""
WATCH = """() => {
  const before = Htx.task.id, waited = {};
  window.waited = new Promise(done => {
    addEventListener('keydown', function hear(event) {
      if (event.key !== 'Enter') return;
      removeEventListener('keydown', hear, true);
      performance.clearResourceTimings();
      const start = performance.now();
      const isReady = () => window.Htx?.task && Htx.task.id !== before && Htx.annotationStore?.selected
        && document.querySelector('.lsf-richtext__line') && document.querySelector('.q-page .lsf-choice__checkbox')
        && document.querySelector('[data-testid=bottombar-submit-button]:not([disabled])')
        && (!window.quorum || (quorum.screen()?.task === Htx.task.id && document.querySelectorAll('.q-point').length));
      const look = () => {
        if (!isReady()) return requestAnimationFrame(look);
        requestAnimationFrame(() => setTimeout(() => {
          const next = performance.getEntriesByType('resource').filter(each => /next_task|\\/next/.test(each.name));
          done({ total: performance.now() - start, next: next.at(-1)?.duration ?? 0 });
        }));
      };
      look();
    }, true);
  });
}"""


def bodies(count: int, seed: int) -> list[dict[str, Any]]:
    """So many rows of the example and like them, with a form that needs no change."""
    interface = load("response_review")
    made = []
    for row in data.rows(count, seed=seed):
        texts = {key: row[key] for key in ("context", "query", "response")}
        checked = Row(row_id=row["id"], auto_label=FILLED, domain="general", **texts)
        task = row_task(checked, import_id="import-of-benchmark", interface=interface)
        predictions = [{"model_version": each.model_version, "result": each.result} for each in task.predictions]
        made.append({"data": task.data, "meta": task.meta, "predictions": predictions})
    return made


@contextmanager
def browser() -> Iterator[Any]:
    """A chromium of this machine."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(which, PROGRAMS)), None)
    if program is None:
        raise NotMeasured("needs chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=CHROMIUM_FLAGS)
        try:
            yield chromium
        finally:
            chromium.close()


def open_form(chromium: Any, line: Campaign, person: str, *, with_script: bool) -> Any:
    """A page with the first row of a person's queue."""
    visitor = line.people[person]
    context = chromium.new_context(base_url=visitor.url, viewport=SCREEN)
    cookies = [{"name": each.name, "value": each.value or "", "url": visitor.url} for each in visitor.cookies]
    context.add_cookies(cookies)
    context.set_default_timeout(120_000)
    page = context.new_page()
    if not with_script:
        page.route("**/quorum/screen.*", lambda route: route.abort())
    page.goto(f"/projects/{line.projects['pass']}/data?labeling=1")
    page.wait_for_function(OPEN)
    page.wait_for_timeout(2000)
    return page


def send(page: Any) -> dict[str, float]:
    """Send the row; how long it took until the next could be worked on, in milliseconds."""
    page.evaluate(WATCH)
    page.keyboard.press("Control+Enter")
    waited: dict[str, float] = page.evaluate("() => window.waited")
    page.wait_for_timeout(700)  # what is still done after it is not counted into the next
    return waited


def computed(profile: dict[str, Any]) -> float:
    """Milliseconds of a profile in which a function of Quorum's script was at work, or one that it had called."""
    nodes = {node["id"]: node for node in profile["nodes"]}
    above = {child: node["id"] for node in profile["nodes"] for child in node.get("children", ())}
    ours = set[int]()
    for node in nodes:  # a parent comes before its children
        if "/quorum/" in nodes[node]["callFrame"]["url"] or above.get(node) in ours:
            ours.add(node)
    spent = zip(profile["samples"], profile["timeDeltas"], strict=True)
    milliseconds: float = sum(microseconds for node, microseconds in spent if node in ours) / 1000
    return milliseconds


def profiled(page: Any) -> dict[str, float]:
    """Send the row under the profiler; what Quorum's script computed until the form had come to rest."""
    session = page.context.new_cdp_session(page)
    session.send("Profiler.enable")
    session.send("Profiler.start")
    waited = send(page)
    waited["script"] = computed(session.send("Profiler.stop")["profile"])
    session.detach()
    return waited


def p95(values: list[float]) -> float:
    """The value that 95 of 100 do not exceed."""
    return sorted(values)[max(0, round(0.95 * len(values)) - 1)]


def work(server: LabelStudioServer, options: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    """All rows by both, in turns, then some under the profiler."""
    line = make_line(server, [], task="response_review", fresh=True)
    line.call("PATCH", f"/api/projects/{line.projects['pass']}", json={"show_instruction": False})
    rows = bodies(options.rows + options.profiled + 5, options.seed)
    line.call("POST", f"/api/projects/{line.projects['pass']}/import", json=rows).raise_for_status()
    with browser() as chromium:
        pages = {
            "script": open_form(chromium, line, "ana", with_script=True),
            "tags": open_form(chromium, line, "bea", with_script=False),
        }
        for page in pages.values():
            send(page)  # what is loaded only once
        waited: dict[str, list[dict[str, float]]] = {name: [] for name in pages}
        for _ in range(options.rows):
            for name, page in pages.items():
                waited[name].append(send(page))
        waited["profiled"] = [profiled(pages["script"]) for _ in range(options.profiled)]
    return waited


def measure(options: argparse.Namespace) -> Report:
    """Both forms on one server."""
    require("server", "label_studio", "playwright")
    with (
        tempfile.TemporaryDirectory() as folder,
        label_studio_server(Path(folder) / "plugin", WITH_PLUGIN) as server,
    ):
        waited = work(server, options)
    total = {name: [row["total"] for row in waited[name]] for name in ("script", "tags")}
    following = {name: [row["next"] for row in waited[name]] for name in ("script", "tags")}
    script = [row["script"] for row in waited["profiled"]]
    own = [row["script"] + row["next"] for row in waited["profiled"]]
    instead = "Label Studio's own form"
    lines = [
        Line(
            what="key that sends to next form, p95", measured=p95(total["script"]), unit="ms", instead=instead,
            reference=p95(total["tags"]), claimed="≤ 1 ×",
        ),
        Line(
            what="key that sends to next form, median", measured=statistics.median(total["script"]), unit="ms",
            instead=instead, reference=statistics.median(total["tags"]),
            ratio=statistics.median(mine / theirs for mine, theirs in zip(total["script"], total["tags"], strict=True)),
            note="the ratio is the median over the rows",
        ),
        Line(
            what="of it `/next`, p95", measured=p95(following["script"]), unit="ms", instead=instead,
            reference=p95(following["tags"]), note=f"median {statistics.median(following['script']):.0f} ms",
        ),
        Line(
            what="computing of Quorum's script a row, p95", measured=p95(script), unit="ms",
            note=f"median {statistics.median(script):.0f} ms, under the profiler",
        ),
        Line(
            what="Quorum's part: `/next` and its script, p95", measured=p95(own), unit="ms", claimed="≤ 400 ms",
            note=f"median {statistics.median(own):.0f} ms, under the profiler",
        ),
    ]  # fmt: skip
    return Report(claim=CLAIM, data="`response_review`, rows of the example and like them, the form right", lines=lines)


def main() -> None:
    """Measure and print."""
    arguments = Arguments(__doc__)
    arguments.size("--rows", 60, 4, "rows that each of the two sends")
    arguments.size("--profiled", 20, 2, "rows after that under the profiler")
    options = arguments.read()
    run(options, lambda: measure(options))


if __name__ == "__main__":
    main()
