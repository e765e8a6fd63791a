"""Precedents: who is shown which decided rows, and that being shown one is an exposure."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import numpy as np
import orjson
import pytest
from ml.models import MLBackend
from projects.models import Project
from tasks.models import Task

from ls_plugin.models import Campaign, Excluded, RowVector, Stage
from ls_plugin.pages import audit, checkup, precedents
from ls_plugin.queue import embedding
from ls_plugin.queue.embedding import catch_up_soon
from ls_plugin.queue.reopening import reopen
from ls_plugin.store import row_vectors, word_vectors
from ls_plugin.store.exclusions import is_excluded
from ls_plugin.store.row_vectors import PlacedRow, VectorIndex
from tests.contract.plugin_campaign import TEAM
from tests.unit.ls_plugin.support import CampaignInTest, Response, make_campaign, review, verdict

BOSS = TEAM + "  - {id: boss, email: boss-{tag}@quorum.test, roles: [manager, annotator]}\n"
NOTE = [{"from_name": "decision_note", "to_name": "panel", "type": "textarea", "value": {"text": ["Read line 3."]}}]
TEXTS = {
    "taxes": "Income tax was paid late, and the tax office asked for interest on the income tax.",
    "late tax": "The income tax was paid too late, so interest on the tax was asked for.",
    "cats": "Zebras graze beside hippopotamuses while quick foxes jump.",
}
DIFFERENT = "canary-of-precedents"


@pytest.fixture
def campaign() -> CampaignInTest:
    made = make_campaign(team_text=BOSS)
    for row_id, text in TEXTS.items():
        add_row(made, row_id, text)
    return made


def add_row(campaign: CampaignInTest, row_id: str, text: str) -> None:
    """A row that says this in one of its columns, whose other columns are empty."""
    data = {"row_id": row_id, "context": "", "query": "", "response": text, "domain": "general"}
    Task.objects.create(project=campaign.projects[Stage.PASS], data=data, overlap=2)


def asked(campaign: CampaignInTest, person: str, task: int) -> Response:
    """The response to a person who asks for the precedents of a task."""
    return campaign.client(person).get("/quorum/api/precedents", {"task": task})


def finish(campaign: CampaignInTest, note: str = DIFFERENT) -> None:
    """Ana and bea differ over the row that is next, and quin decides for what bea said."""
    campaign.answer("ana", verdict("Correct"))
    campaign.answer("bea", verdict("Incorrect", note))
    campaign.answer("quin", review("correct", "Incorrect") + NOTE, Stage.QA)


def to_qa(campaign: CampaignInTest) -> None:
    """Ana and bea pass the row that is next."""
    campaign.answer("ana", verdict("Correct"))
    campaign.answer("bea", verdict("Correct"))


@pytest.fixture
def waiting(campaign: CampaignInTest) -> int:
    """The row on taxes is decided, and anq has QA of the one like it in hand: their task."""
    finish(campaign)
    to_qa(campaign)
    embedding.catch_up(campaign.campaign.pk)
    return campaign.take("anq", Stage.QA)


def test_qa_is_shown_the_decided_row_that_is_like_the_one_in_hand(campaign: CampaignInTest, waiting: int) -> None:
    """With its final values, what QA wrote, how it came about, and no names."""
    answer = asked(campaign, "anq", waiting)
    assert answer.status_code == 200, answer.content
    (precedent,) = answer.json()["precedents"]
    assert 0.5 < precedent.pop("similarity") < 1
    assert precedent == {
        "row_id": "taxes",
        "state": "FINAL",
        "values": {"verdict": "Incorrect", "issues": []},
        "reason": "Read line 3.",
        "cause": "The answers differed on verdict. QA decided verdict.",
        "domain": "general",
        "excerpt": TEXTS["taxes"],
    }
    assert DIFFERENT not in answer.content.decode()
    assert answer.json()["waits_for"] == ""


def test_being_shown_a_precedent_is_an_exposure_to_it(campaign: CampaignInTest, waiting: int) -> None:
    """It is written down once; should the row be opened again, others answer it, and the audit stays clean."""
    before = len(campaign.lines("shown"))
    for _ in range(2):
        assert asked(campaign, "anq", waiting).json()["precedents"]
    lines = [line for line in campaign.lines("shown")[before:] if line.row_id == "taxes"]
    assert {line.user_id for line in lines} == {campaign.account("anq")}
    assert len(lines) == len({line.task_id for line in lines}) == 2  # its Pass and its QA task, each once
    assert is_excluded(campaign.slot("taxes").task_id, campaign.account("anq"))
    reopen(campaign.campaign, "taxes", "look again", campaign.account("max"))
    assert is_excluded(campaign.slot("taxes", Stage.QA).task_id, campaign.account("anq"))
    assert not audit.run(campaign.campaign).faults


def test_a_precedent_that_was_shown_past_the_log_is_found_by_the_audit(campaign: CampaignInTest, waiting: int) -> None:
    """A planted leak: whoever was shown the row and still answers it makes the audit fail."""
    assert asked(campaign, "anq", waiting).json()["precedents"]
    Excluded.objects.filter(user_id=campaign.account("anq")).delete()
    campaign.answer("cal", verdict("Correct"))
    reopen(campaign.campaign, "taxes", "look again", campaign.account("max"))
    Task.objects.filter(pk=campaign.slot("taxes").task_id).update(overlap=3, is_labeled=False)
    slot = campaign.slot("taxes")
    slot.open, slot.sealed, slot.capacity = True, False, 3
    slot.save()
    Excluded.objects.filter(user_id=campaign.account("anq")).delete()
    while (task := campaign.take("anq")) != slot.task_id:
        assert campaign.submit("anq", task, verdict("Correct")).status_code == 201
    assert campaign.submit("anq", task, verdict("Correct")).status_code == 201
    assert [fault.code for fault in audit.run(campaign.campaign).faults] == ["not_blind"]


def test_nobody_else_is_told_anything(campaign: CampaignInTest, waiting: int) -> None:
    """Annotators at their pass, QA without the task in hand or after it, experts, managers and strangers alike."""
    passing = campaign.take("cal")
    finished = campaign.slot("taxes", Stage.QA).task_id
    foreign = make_campaign()
    told = [
        asked(campaign, "cal", passing),  # has it in hand, at Pass
        asked(campaign, "cal", waiting),
        asked(campaign, "quin", waiting),  # QA, another's task
        asked(campaign, "quin", finished),  # has answered it
        asked(campaign, "eve", waiting),
        asked(campaign, "max", waiting),
        asked(campaign, "boss", waiting),
        asked(foreign, "max", waiting),
        asked(campaign, "anq", 999_999),
        campaign.client("anq").get("/quorum/api/precedents"),
        campaign.client("anq").get("/quorum/api/precedents", {"project": campaign.projects[Stage.QA].pk}),
    ]
    assert [answer.status_code for answer in told if answer.status_code not in (403, 404)] == []
    words = ("taxes", "Incorrect", "Read line", "tax office")
    assert [word for answer in told for word in words if word in answer.content.decode()] == []
    assert {asked(campaign, "quin", task).content for task in (waiting, 999_999)} == {told[2].content}


def test_a_row_with_the_same_texts_is_no_precedent() -> None:
    """Whoever asks the same question twice wants two answers."""
    campaign = make_campaign()
    for row_id in ("taxes", "the same"):
        add_row(campaign, row_id, TEXTS["taxes"])
    finish(campaign)
    to_qa(campaign)
    embedding.catch_up(campaign.campaign.pk)
    assert asked(campaign, "anq", campaign.take("anq", Stage.QA)).json()["precedents"] == []


def test_a_row_with_a_known_answer_is_no_precedent(campaign: CampaignInTest, waiting: int) -> None:
    """Some people are still to be asked it."""
    known = {"rows": {"taxes": {"verdict": "Incorrect"}}, "bar": 0.5}
    Campaign.objects.filter(pk=campaign.campaign.pk).update(qualification=known)
    assert asked(campaign, "anq", waiting).json()["precedents"] == []


def test_a_row_that_is_open_again_drops_out_and_comes_back(campaign: CampaignInTest, waiting: int) -> None:
    """The vectors in memory need not know: a row's state is looked at each time."""
    assert asked(campaign, "anq", waiting).json()["precedents"]
    reopen(campaign.campaign, "taxes", "look again", campaign.account("max"))
    assert campaign.slot("taxes").state == "AWAITING_QA"
    assert asked(campaign, "anq", waiting).json()["precedents"] == []
    task = campaign.take("quin", Stage.QA)
    assert campaign.submit("quin", task, review("correct", "Correct")).status_code == 201
    (precedent,) = asked(campaign, "anq", waiting).json()["precedents"]
    assert precedent["values"]["verdict"] == "Correct"


def test_the_only_person_who_could_still_review_a_row_is_not_shown_it() -> None:
    """Should it be opened again, somebody has to be left: quin alone does QA, and has not seen what the passes say."""
    campaign = make_campaign(team_text=ONE_QA, policy=POLICY_OF_AGREED)
    for row_id, text in TEXTS.items():
        add_row(campaign, row_id, text)
    to_qa(campaign)
    assert campaign.slot("taxes").state == "FINAL"
    embedding.catch_up(campaign.campaign.pk)
    campaign.answer("ana", verdict("Correct"))
    campaign.answer("bea", verdict("Incorrect"))
    task = campaign.take("quin", Stage.QA)
    assert asked(campaign, "quin", task).json()["precedents"] == []
    assert not is_excluded(campaign.slot("taxes").task_id, campaign.account("quin"))


ONE_QA = """
people:
  - {id: ana, email: ana-{tag}@quorum.test, roles: [annotator]}
  - {id: bea, email: bea-{tag}@quorum.test, roles: [annotator]}
  - {id: quin, email: quin-{tag}@quorum.test, roles: [qa]}
  - {id: max, email: max-{tag}@quorum.test, roles: [manager]}
"""
POLICY_OF_AGREED = """
version: 1
passes: 2
qa: {when: conflict}
expert_domains: []
escalate_when: []
proposal: passes
order: imported
fields: {}
prelabel: {withhold: 0.0}
"""


def test_a_manager_reads_the_precedents_of_any_row(campaign: CampaignInTest, waiting: int) -> None:
    """One who also works here is exposed to them; others are not, and people who manage nothing are refused."""
    named = {"name": campaign.campaign.name, "row_id": "late tax"}
    task = campaign.slot("taxes").task_id
    for person, exposed in (("max", False), ("boss", True)):
        answer = campaign.client(person).get("/quorum/api/precedents/row", named)
        assert [row["row_id"] for row in answer.json()["precedents"]] == ["taxes"]
        assert is_excluded(task, campaign.account(person)) == exposed
    for person in ("ana", "quin"):
        assert campaign.client(person).get("/quorum/api/precedents/row", named).status_code == 403
    gone = campaign.client("max").get("/quorum/api/precedents/row", named | {"row_id": "no such row"})
    assert gone.json()["code"] == "not_yours"


class Encoder(BaseHTTPRequestHandler):
    """An ML backend that knows two subjects."""

    status, body = 200, b""
    asked: ClassVar[list[list[list[str]]]] = []

    def do_POST(self) -> None:
        rows = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))["rows"]
        self.asked.append(rows)
        vectors = [np.asarray([1, 0] if "tax" in "".join(row) else [0, 1], dtype="<f2") for row in rows]
        written = [base64.b64encode(vector.tobytes()).decode() for vector in vectors]
        body = self.body or orjson.dumps({"model_version": "subjects-1", "vectors": written})
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


@contextmanager
def encoder(project: Project, status: int = 200, body: bytes = b"") -> Iterator[list[list[list[str]]]]:
    """Connect such an ML backend to a project; what it is asked."""
    handler = type("AnEncoder", (Encoder,), {"status": status, "body": body, "asked": []})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        MLBackend.objects.bulk_create([MLBackend(project=project, url=f"http://127.0.0.1:{server.server_port}")])
        yield handler.asked  # type: ignore[attr-defined]
        server.shutdown()
        thread.join()


def test_the_connected_ml_backend_says_what_is_alike(campaign: CampaignInTest, waiting: int) -> None:
    """Its vectors take the place of the plugin's own, each row is sent once, and only texts leave the server."""
    stored = RowVector.objects.filter(campaign_id=campaign.campaign.pk)
    assert {row.version for row in stored} == {word_vectors.VERSION}
    stored.delete()
    with encoder(campaign.projects[Stage.PASS]) as sent:
        assert embedding.catch_up(campaign.campaign.pk) == 2
        assert embedding.catch_up(campaign.campaign.pk) == 0
        (precedent,) = asked(campaign, "anq", waiting).json()["precedents"]
    assert (precedent["row_id"], precedent["similarity"]) == ("taxes", 1.0)
    assert [sorted(rows) for rows in sent] == [sorted([[TEXTS["taxes"]], [TEXTS["late tax"]]])]
    assert {row.version for row in stored.all()} == {"subjects-1"}


def test_another_encoder_makes_all_vectors_anew(campaign: CampaignInTest, waiting: int) -> None:
    """Vectors of two encoders never meet: with the first of the new one all others are made again."""
    to_qa(campaign)  # the third row
    with encoder(campaign.projects[Stage.PASS]):
        assert embedding.catch_up(campaign.campaign.pk) == 3
        assert asked(campaign, "anq", waiting).json()["precedents"][0]["similarity"] == 1.0
    assert {row.version for row in RowVector.objects.filter(campaign_id=campaign.campaign.pk)} == {"subjects-1"}


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (503, b"{}", "HTTP 503"),
        (401, b"{}", "HTTP 401"),
        (200, b"[]", "otherwise than POST /embed"),
        (200, b'{"model_version": "x", "vectors": []}', "otherwise than POST /embed"),
        (200, b'{"model_version": "x", "vectors": ["?"]}', "cannot be read"),
        (200, b'{"model_version": "x", "vectors": ["AHw="]}', "do not fit"),
    ],
)
def test_while_the_ml_backend_gives_no_vectors_the_answer_says_so(
    campaign: CampaignInTest, waiting: int, status: int, body: bytes, words: str
) -> None:
    """Nothing that it sent is kept, and the rows wait for it."""
    RowVector.objects.all().delete()
    with encoder(campaign.projects[Stage.PASS], status, body):
        answer = asked(campaign, "anq", waiting)
        assert embedding.catch_up(campaign.campaign.pk) == 0
    assert answer.status_code == 200
    assert answer.json()["precedents"] == []
    assert words in answer.json()["waits_for"]
    assert not RowVector.objects.filter(campaign_id=campaign.campaign.pk).exists()


def test_an_ml_backend_without_an_encoder_leaves_it_to_the_words(campaign: CampaignInTest, waiting: int) -> None:
    """As another team's server does, which knows no such address."""
    RowVector.objects.all().delete()
    with encoder(campaign.projects[Stage.PASS], 404, b"{}"):
        embedding.catch_up(campaign.campaign.pk)
        (precedent,) = asked(campaign, "anq", waiting).json()["precedents"]
    assert precedent["row_id"] == "taxes"


def test_a_long_row_is_told_by_the_beginning_of_each_column() -> None:
    """The excerpt has room for all columns."""
    excerpt = precedents._excerpt(["a " * 500, "", "b" * 10])
    assert len(excerpt) <= precedents.EXCERPT
    assert excerpt.endswith(" · bbbbbbbbbb")


def test_the_managers_page_and_the_checkup_say_by_what_rows_are_compared(
    campaign: CampaignInTest, waiting: int
) -> None:
    """By words without an ML backend; of one that does not answer the checkup tells, and work goes on."""
    page = f"/quorum/campaign/{campaign.campaign.pk}/"
    shown = campaign.client("max").get(page).content.decode()
    assert "1 of 1 decided row can be found, compared by their words" in shown
    assert silence(campaign) == []
    with encoder(campaign.projects[Stage.PASS], 401, b"{}"):
        (fault,) = silence(campaign)
    assert "HTTP 401" in fault["message"]
    assert not fault["stops"]


def silence(campaign: CampaignInTest) -> list[dict[str, Any]]:
    """What the checkup says of precedents."""
    answer = campaign.client("max").get("/quorum/api/checkup", {"name": campaign.campaign.name})
    return [fault for fault in answer.json()["faults"] if fault["about"] == "precedents"]


def test_a_repair_forgets_rows_that_are_gone(campaign: CampaignInTest, waiting: int) -> None:
    """And nothing else."""
    stored = RowVector.objects.filter(campaign_id=campaign.campaign.pk)
    RowVector.objects.create(
        campaign_id=campaign.campaign.pk, row_id="gone", version="x", content="", decided=True, vector=b""
    )
    before = set(stored.values_list("row_id", flat=True))
    checkup.repair(campaign.campaign)
    assert before - set(stored.values_list("row_id", flat=True)) == {"gone"}


def test_an_expert_is_shown_precedents_too(campaign: CampaignInTest) -> None:
    """Of a row that QA escalated."""
    finish(campaign)
    to_qa(campaign)
    campaign.answer("quin", review("escalate", "Correct", "Too hard."), Stage.QA)
    embedding.catch_up(campaign.campaign.pk)
    answer = asked(campaign, "eve", campaign.take("eve", Stage.EXPERT))
    assert [row["row_id"] for row in answer.json()["precedents"]] == ["taxes"]


def placed(row_id: str, *vector: float, decided: bool = True) -> PlacedRow:
    """A row at this place."""
    return PlacedRow(row_id=row_id, content=row_id, vector=np.asarray(vector, dtype=np.float32), decided=decided)


def nearest(index: VectorIndex) -> list[tuple[str, float]]:
    """The rows nearest to (1, 0)."""
    index.refresh()
    parts = index.nearest(np.asarray([1, 0], dtype=np.float32), 1000)
    return [(row.row_id, round(row.similarity, 2)) for part in parts for row in part]


def test_the_index_grows_with_the_campaign() -> None:
    """What is put in is found the next time, in place of what was there of the row; open rows and others' are not."""
    index = VectorIndex(77, "v")
    assert nearest(index) == []
    row_vectors.put(77, "v", [placed("a", 0.6, 0.8), placed("b", 1, 0), placed("open", 1, 0, decided=False)])
    row_vectors.put(78, "v", [placed("other campaign", 1, 0)])
    row_vectors.put(77, "w", [placed("other encoder", 1, 0)])
    row_vectors.put(77, "v", [placed("empty"), placed("wider", 1, 0, 0)])
    assert nearest(index) == [("b", 1.0), ("a", 0.6)]
    row_vectors.put(77, "v", [placed("b", 0, 1), placed("open", 0.8, 0.6)])
    assert nearest(index) == [("open", 0.8), ("a", 0.6), ("b", 0.0)]
    row_vectors.put(77, "v", [placed(f"r{number}", 0.5, 0.866) for number in range(300)])
    found = nearest(index)
    assert (len(found), len({row_id for row_id, _ in found}), len(index)) == (303, 303, 303)
    assert [similarity for _, similarity in found] == sorted((each for _, each in found), reverse=True)


def test_without_redis_a_thread_makes_the_vectors(campaign: CampaignInTest) -> None:
    """Beside the work; it ends when nothing is left to do."""
    finish(campaign)
    catch_up_soon(campaign.campaign.pk)
    for thread in threading.enumerate():
        if thread.name == "quorum-vectors":
            thread.join(60)
    assert [row.row_id for row in RowVector.objects.filter(campaign_id=campaign.campaign.pk)] == ["taxes"]


def test_with_redis_one_job_does_all_rows_that_wait(campaign: CampaignInTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it begins no other is asked for; one that comes later has a job of its own."""
    jobs, keys = list[tuple[Any, ...]](), set[str]()

    class Redis:
        def set(self, key: str, value: int, *, nx: bool, ex: int) -> bool:
            is_new = key not in keys
            keys.add(key)
            return is_new

        def delete(self, key: str) -> None:
            keys.discard(key)

    monkeypatch.setattr(embedding, "redis_connected", lambda: True)
    monkeypatch.setattr(embedding, "get_connection", lambda name: Redis())
    monkeypatch.setattr(embedding, "start_job_async_or_sync", lambda job, *rest, **named: jobs.append((job, *rest)))
    for _ in range(3):
        catch_up_soon(campaign.campaign.pk)
    assert jobs == [(embedding.catch_up, campaign.campaign.pk)]
    embedding.catch_up(campaign.campaign.pk)
    catch_up_soon(campaign.campaign.pk)
    assert len(jobs) == 2
