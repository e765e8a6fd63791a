"""What people's forms open with in a real chromium, on one `quorum up` through all that may happen to it.

Each row opens with its own auto-label or with nothing, whatever the ML backend would say by then. The export knows what
each person was shown. Then QA escalates without inventing an answer, and each queue's end says why it is one.

With QUORUM_SCREENS=<folder> pictures of what is said on the screen are taken.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from label_studio_quorum.campaign.shown import EMPTY_FORM
from ls_config import load
from review_rules import Kind, load_policy, withheld
from review_rules.pre_annotation import values_hash
from tests.support.screens import choose_in_review, open_queue
from tests.support.servers import QuorumUp, quorum, quorum_up
from tests.unit.ml_backend import tiny

pytestmark = [pytest.mark.server, pytest.mark.browser]

POLICY = "version: 1\nexpert_domains: [technical, financial]\nprelabel: {withhold: 0.3}\n"
TEAM = """people:
  - {id: ana, email: ana@example.com, roles: [annotator]}
  - {id: chi, email: chi@example.com, roles: [annotator]}
  - {id: mei, email: mei@example.com, roles: [qa]}
  - {id: noor, email: noor@example.com, roles: [expert]}
  - {id: ops, email: ops@example.com, roles: [manager]}
"""
MODELS = """version: 1
active: first
models:
  first: {controls: {verdict: {predictor: text_classification, source: "path:first", max_tokens: 32, stride: 4}}}
  second: {controls: {verdict: {predictor: text_classification, source: "path:second", max_tokens: 32, stride: 4}}}
"""
OWN, FIRST, SECOND = "Cannot judge", "Correct", "Incorrect"
INTERFACE = load("classification")
KINDS = {control.name: Kind.of(control.kind) for control in INTERFACE.controls}
SIZE = {"width": 1366, "height": 768}
PATIENCE = 90_000  # milliseconds: a machine that runs other tests beside is slow
expect.set_options(timeout=PATIENCE)
_ROW = r"/row-id ((?:own|hidden|bare)-\d+)/"


def row_ids(kind: str, *, hidden: bool) -> Iterator[str]:
    """Ids of rows whose auto-label the policy withholds, or does not."""
    policy = load_policy(POLICY)
    return (f"{kind}-{number}" for number in range(1000) if withheld(f"{kind}-{number}", policy) is hidden)


class Rows:
    """Row by row what is imported, and what the form of each has to open with."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ids = {"own": row_ids("own", hidden=False), "hidden": row_ids("hidden", hidden=True)}
        self._ids["bare"] = row_ids("bare", hidden=False)
        self.forms: dict[str, str | None] = {}

    def next_file(self, of_a_bare_row: str | None) -> Path:
        """One row of each kind: with an auto-label, with one that is withheld, and with none."""
        kinds = {"own": OWN, "hidden": OWN, "bare": None}
        lines = []
        for kind, auto_label in kinds.items():
            row_id = next(self._ids[kind])
            texts = {"context": "", "query": f"row-id {row_id}", "response": "good and fine", "domain": "general"}
            auto = {"auto_label": {"verdict": auto_label}} if auto_label else {}
            lines.append(json.dumps({"id": row_id, **texts, **auto}) + "\n")
            self.forms[row_id] = {"own": OWN, "hidden": None, "bare": of_a_bare_row}[kind]
        file = self._folder / f"rows-{len(self.forms)}.jsonl"
        file.write_text("".join(lines), encoding="utf-8")
        return file


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    return Rows(tmp_path_factory.mktemp("rows"))


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, rows: Rows) -> Iterator[QuorumUp]:
    """A running `quorum up` with a campaign of three rows and an ML backend of two models that disagree."""
    folder = tmp_path_factory.mktemp("shown-forms")
    rows.forms.clear()
    for name, verdict in (("first", FIRST), ("second", SECOND)):
        tiny.text_classifier(folder / name, [verdict, "Partly correct"], [("good", 0), ("fine", 0)])
    files = {"models.yaml": MODELS, "policy.yaml": POLICY, "team.yaml": TEAM}
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUORUM_ML_MODELS", str(folder / "models.yaml"))
        options = ["--policy", str(folder / "policy.yaml"), "--team", str(folder / "team.yaml")]
        options += ["--task", "classification", "--name", "Shown", "--rows", str(rows.next_file(FIRST))]
        with quorum_up(folder / "data", *options) as running:
            yield running


def ml_account(up: QuorumUp) -> tuple[str, str]:
    """Name and password of the ML backend."""
    secrets = json.loads((up.folder / "secrets.json").read_text(encoding="utf-8"))
    return secrets["ml"]["user"], secrets["ml"]["password"]


def run(up: QuorumUp, *args: str) -> str:
    """What a command prints that succeeds."""
    user, password = ml_account(up)
    done = quorum(*args, **up.env, QUORUM_ML_USER=user, QUORUM_ML_PASSWORD=password)
    assert done.returncode == 0, done.stderr
    return done.stdout


def owner(up: QuorumUp, method: str, path: str, **body: Any) -> Any:
    """The answer of Label Studio's API to the owner."""
    access = up.wait_ready()
    headers = {"Authorization": f"Token {access['manager']['token']}"}
    answer = httpx.request(
        method, access["url"] + path, headers=headers, json=body or None, trust_env=False, timeout=60
    )
    answer.raise_for_status()
    return answer.json() if answer.content else None


@contextmanager
def browser_of(chromium: Browser, up: QuorumUp, person: str, stage: str) -> Iterator[Page]:
    """A person's own browser, logged in by the form, with the queue of their stage open."""
    access = up.wait_ready()
    context = chromium.new_context(base_url=access["url"], viewport=SIZE)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    open_queue(page, access, person, stage)
    try:
        yield page
    finally:
        context.close()


def next_row(page: Page, seen: list[str]) -> str | None:
    """The row that the screen shows once it shows another one; None at the end of the queue."""
    shown = f"""seen => {{
      if (document.getElementById('quorum-queue')) return {{}};
      const row = document.body.innerText.match({_ROW});
      const ready = document.querySelector('[data-testid=bottombar-submit-button]');
      return row && ready && !seen.includes(row[1]) ? {{row: row[1]}} : null;
    }}"""
    found = page.wait_for_function(shown, arg=seen).json_value()
    # The form is drawn with its row; two frames later all of it is on the screen.
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    row: str | None = found.get("row")
    return row


def verdicts(page: Page) -> list[str]:
    """The verdict that is chosen in the form."""
    names: list[str] = page.locator(".q-page .ant-radio-wrapper-checked input").evaluate_all(
        "all => all.map(e => e.name)"
    )
    return names


def save(page: Page) -> int:
    """Click Submit; the status of the server's answer."""
    with page.expect_response(lambda answer: "/annotations" in answer.url and answer.request.method == "POST") as got:
        page.get_by_test_id("bottombar-submit-button").click()
    return int(got.value.status)


def choose(page: Page, name: str, block: str) -> None:
    """Click a choice of a block of the screen."""
    page.locator(f".{block} .ant-radio-wrapper").filter(has=page.locator(f"input[name='{name}']")).first.click()


def opened(page: Page, answer: str) -> dict[str, str | None]:
    """Row → the verdict with which its form opens, of every row of the queue; each is answered."""
    forms: dict[str, str | None] = {}
    while (row_id := next_row(page, list(forms))) is not None:
        chosen = verdicts(page)
        assert len(chosen) < 2
        forms[row_id] = chosen[0] if chosen else None
        choose(page, answer, "q-page")
        assert save(page) == 201
    return forms


def picture(page: Page, name: str) -> None:
    """Keep a picture, if asked to."""
    if folder := os.environ.get("QUORUM_SCREENS"):
        page.screenshot(path=Path(folder) / f"{name}.png")


def test_every_row_opens_with_its_own_auto_label_or_with_nothing(up: QuorumUp, rows: Rows, chromium: Browser) -> None:
    """After `up`, with an ML backend connected, set-ups, imports, a swap of the model, a restart, and without it."""
    first = dict(rows.forms)
    with browser_of(chromium, up, "ana", "pass") as page:
        assert opened(page, "Correct") == first
        expect(page.locator("#quorum-queue")).to_contain_text("the rows that are left wait for other people")
        picture(page, "waiting-for-others")

    access = up.wait_ready()
    folder = up.folder.parent
    campaign = ["--name", "Shown", "--task", "classification", "--ml-url", access["ml_url"]]
    files = ["--policy", str(folder / "policy.yaml"), "--team", str(folder / "team.yaml")]
    # Set-up itself connects no ML backend where the policy withholds; a manager may, on the settings page.
    project, (user, password) = access["campaigns"][0]["projects"]["pass"], ml_account(up)
    basic = {"auth_method": "BASIC_AUTH", "basic_auth_user": user, "basic_auth_pass": password}
    made = owner(up, "POST", "/api/ml/", project=project, url=access["ml_url"], title="backend", **basic)
    assert made["state"] == "CO"
    for _ in range(2):
        run(up, "setup", *campaign, *files)
    with browser_of(chromium, up, "chi", "pass") as page:
        assert opened(page, "Incorrect") == first

    run(up, "import", str(rows.next_file(FIRST)))
    activate = f"{access['ml_url']}/models/activate"
    swapped = httpx.post(activate, json={"name": "second"}, auth=ml_account(up), trust_env=False)
    assert swapped.status_code == 200, swapped.text
    run(up, "import", "--no-prelabel", str(rows.next_file(None)))
    later = {row_id: form for row_id, form in rows.forms.items() if row_id not in first}
    assert len(later) == 6
    with browser_of(chromium, up, "ana", "pass") as page:
        assert opened(page, "Correct") == later

    up.stop()
    up.start()
    up.wait_ready()
    owner(up, "DELETE", f"/api/ml/{made['id']}")
    with browser_of(chromium, up, "chi", "pass") as page:
        assert opened(page, "Incorrect") == later
        expect(page.locator("#quorum-queue")).to_contain_text("Every row has its labels")


def test_the_export_says_what_each_person_was_shown(up: QuorumUp, rows: Rows, tmp_path: Path) -> None:
    """It is what was seen on the screen, and the audit log proves it."""
    run(up, "export", "--all", "--out", str(tmp_path / "all.jsonl"))
    records = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {record["row_id"] for record in records} == set(rows.forms)
    for record in records:
        verdict = rows.forms[record["row_id"]]
        filled = {"version": "auto-label", "hash": values_hash(KINDS, {"verdict": verdict})}
        assert [passed["shown"] for passed in record["passes"]] == [filled if verdict else EMPTY_FORM] * 2
    audit = json.loads(run(up, "audit", "--json"))
    assert (audit["proven"], audit["faults"]) == (True, [])
    files = {f"--{name}": str(up.folder.parent / f"{name}.yaml") for name in ("policy", "team")}
    run(up, "verify", str(tmp_path / "all.jsonl"), *(part for option in files.items() for part in option))


def test_qa_escalates_without_inventing_an_answer(up: QuorumUp, chromium: Browser) -> None:
    """An accept that leaves a required field empty is refused above the buttons; an escalation needs a reason alone."""
    with browser_of(chromium, up, "mei", "qa") as page:
        seen: list[str] = []
        while (row_id := next_row(page, seen)) is not None:
            assert verdicts(page) == [], "the passes differ, so that the field opens empty"
            if not seen:
                page.get_by_test_id("bottombar-submit-button").click()
                expect(page.locator("#quorum-review .qr-said")).to_contain_text("Not decided: Verdict.")
                # Label Studio's own form sends what the screen of what differs would not, and the server refuses it.
                page.keyboard.press("t")
                choose(page, "Accept", "q-decision")
                assert save(page) == 409
                line = page.locator("#quorum-refusal")
                expect(line).to_contain_text("accept would leave verdict in conflict without a value")
                expect(page.get_by_test_id("bottombar-submit-button")).to_be_in_viewport(ratio=1)
                expect(page.locator(".q-decision")).to_be_in_viewport(ratio=1)
                assert page.locator("a[href*='humansignal.com']:visible").count() == 0
                picture(page, "refused")
                page.keyboard.press("t")
            page.keyboard.press("Shift+X")
            page.keyboard.type("I cannot tell.")
            assert save(page) == 201
            expect(page.locator("#quorum-refusal")).to_have_count(0)
            seen.append(row_id)
        assert len(seen) == 9
        expect(page.locator("#quorum-queue")).to_contain_text(
            "Nothing for you at the moment: 9 rows wait for an expert."
        )
        expect(page.locator(".ant-result-success")).to_be_hidden()
        page.get_by_role("link", name="My work").click()
        expect(page.get_by_role("heading", name="My work")).to_be_visible()


def test_the_expert_opens_the_form_without_the_guess_and_finishes_the_campaign(up: QuorumUp, chromium: Browser) -> None:
    """After the last row the queue is done, and says so under the green tick."""
    with browser_of(chromium, up, "noor", "expert") as page:
        seen: list[str] = []
        while (row_id := next_row(page, seen)) is not None:
            assert verdicts(page) == []
            expect(page.locator("#quorum-review")).to_contain_text("I cannot tell.")
            choose_in_review(page, "verdict", "Correct")
            assert save(page) == 201
            seen.append(row_id)
        expect(page.locator("#quorum-queue")).to_contain_text("All rows of this campaign are done.")
        expect(page.locator(".ant-result-success")).to_be_visible()
        picture(page, "done")
