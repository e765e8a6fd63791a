"""The ML backend as a real process over HTTP: Label Studio's protocol, swaps under load, and what goes wrong."""

from __future__ import annotations

import concurrent.futures
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.unit.ml_backend import tiny
from tests.unit.ml_backend.interfaces import XML

pytestmark = pytest.mark.server

SECRET = "the-token-of-tests"
MODELS = """
version: 1
active: first
limits: {{request_mb: 4, tasks: 5000, waiting_tokens: {waiting}, batch_tokens: 512}}
models:
  first:
    controls:
      mood: {{predictor: text_classification, source: "path:mood", max_tokens: 32, stride: 4, runtime: onnx-fp32}}
      names:
        {{predictor: token_classification, source: "path:names", max_tokens: 32, stride: 8, labels: {{PER: PERSON}}}}
  second:
    controls:
      mood: {{predictor: text_classification, source: "path:contrary", max_tokens: 32, stride: 4}}
  broken:
    controls:
      mood: {{predictor: text_classification, source: "path:half"}}
  nan:
    controls:
      mood: {{predictor: text_classification, source: "path:nan", max_tokens: 32, stride: 4}}
"""


@pytest.fixture(scope="module", autouse=True)
def _with_torch() -> None:
    """Importing it takes seconds, which whoever only collects this file need not wait for."""
    pytest.importorskip("torch", reason="torch is not installed (extra transformers)")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints that are named by the models files of these tests."""
    folder = tmp_path_factory.mktemp("weights")
    examples = [("good fine", 0), ("bad poor", 1), ("so good", 0), ("so bad", 1), ("fine", 0), ("poor", 1)]
    tiny.text_classifier(folder / "mood", ["Good", "Bad"], examples)
    tiny.text_classifier(folder / "contrary", ["Bad", "Good"], examples)
    tiny.token_classifier(
        folder / "names", ["O", "B-PER", "I-PER", "B-ORG"], {"ana": "B-PER", "ben": "B-PER", "acme": "B-ORG"}
    )
    for name in ("half", "nan"):
        tiny.text_classifier(folder / name, ["Good", "Bad"], examples, steps=1)
    import torch
    from safetensors.torch import load_file, save_file

    state = load_file(folder / "nan" / "model.safetensors")
    save_file(
        {**state, "classifier.bias": torch.tensor([float("nan")] * 2)},
        folder / "nan" / "model.safetensors",
        {"format": "pt"},
    )
    state = load_file(folder / "half" / "model.safetensors")
    save_file(
        {k: v for k, v in state.items() if "classifier" not in k},
        folder / "half" / "model.safetensors",
        {"format": "pt"},
    )
    return folder


@dataclass
class Running:
    """A server that a test started."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    models: Path

    def client(self, **more: Any) -> httpx.Client:
        """A client that shows the token."""
        return httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {SECRET}"}, timeout=60, trust_env=False, **more
        )

    def predict(self, texts: list[Any], path: str = "/predict") -> httpx.Response:
        """Ask for predictions of these responses."""
        tasks = [{"id": i, "data": {"response": text}} for i, text in enumerate(texts)]
        with self.client() as client:
            # As bytes: JSON may escape what UTF-8 can't hold.
            return client.post(path, content=json.dumps({"tasks": tasks, "label_config": XML}))


@contextmanager
def serving(
    weights: Path,
    folder: Path,
    *,
    waiting: int = 2_000_000,
    arguments: tuple[str, ...] = (),
    active: str = "first",
    ready: bool = True,
    more: str = "",
) -> Iterator[Running]:
    """Run a server with the test's models until the test is done with it."""
    models = weights / f"models-{folder.name}.yaml"
    text = MODELS.format(waiting=waiting).replace("active: first", f"active: {active}") + more
    models.write_text(text, encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = folder / "log"
    environment = {
        **os.environ,
        "QUORUM_DATA_DIR": str(folder),
        "QUORUM_ML_TOKEN": SECRET,
        "QUORUM_ML_CACHE": str(weights / "cache"),
    }
    command = [sys.executable, "-m", "ml_backend", "--port", str(port), "--models", str(models), *arguments]
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, env=environment)
        running = Running(f"http://127.0.0.1:{port}", process, log, models)
        try:
            _await(running, ready)
            yield running
        finally:
            process.terminate()
            process.wait(40)


def wait_for(happened: Callable[[], bool], seconds: float = 120) -> None:
    """Wait until it happened; fail if it does not."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def _await(running: Running, ready: bool) -> None:
    deadline = time.monotonic() + 400
    while time.monotonic() < deadline and running.process.poll() is None:
        try:
            with running.client() as client:
                if client.get("/ready" if ready else "/health").status_code == 200:
                    return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail(running.log.read_text())


@pytest.fixture(scope="module")
def server(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One server for the tests that leave it as it was."""
    with serving(weights, tmp_path_factory.mktemp("shared")) as running:
        yield running


def test_label_studios_calls_are_answered(server: Running) -> None:
    """Health, set-up, versions and validation answer as Label Studio 1.23 expects."""
    with server.client() as client:
        assert client.get("/health").json()["status"] == "UP"
        version = client.post("/setup", json={"project": "1.2", "schema": XML, "access_token": "x"}).json()[
            "model_version"
        ]
        assert version.startswith("first@")
        assert client.get("/versions").json() == {"versions": [version]}
        assert client.post("/validate", json={"config": XML}).status_code == 200
        assert client.get("/ready").json()["model_version"] == version


def test_predictions_are_right_and_in_label_studios_json(server: Running) -> None:
    """The trained classifier and tagger come through tokeniser, runtime, batcher and HTTP with their answers."""
    first, second = server.predict(["so good, Ana met Ben", "so bad, Acme"]).json()["results"]
    by_name = {item["from_name"]: item["value"] for item in first["result"] if item["from_name"] == "mood"}
    assert by_name["mood"] == {"choices": ["Good"]}
    spans = [
        (i["value"]["start"], i["value"]["end"], i["value"]["labels"]) for i in first["result"] if i["type"] == "labels"
    ]
    assert spans == [(9, 12, ["PERSON"]), (17, 20, ["PERSON"])]
    assert second["values"]["mood"] == "Bad"
    assert [(s["text"], s["label"]) for s in second["values"]["names"]] == [("Acme", "ORG")]
    assert "stars" in first["reasons"]


def test_every_task_has_one_prediction_in_its_place(server: Running) -> None:
    """Tasks that cannot be predicted get an empty result with a reason, and never another task's answer."""
    tasks: list[Any] = [
        {"data": {"response": "so good"}}, "not a task", {"id": 3}, {"data": {"other": "so bad"}},
        {"data": {"response": None}}, {"data": {"response": 7}}, {"data": {"response": "   "}}, {"data": []},
        {"data": {"response": "so bad"}},
    ]  # fmt: skip
    with server.client() as client:
        results = client.post("/predict", json={"tasks": tasks, "label_config": XML}).json()["results"]
    assert [one["values"].get("mood") for one in results] == ["Good", None, None, None, None, None, None, None, "Bad"]
    assert all(one["result"] == [] and one["reasons"] for one in results[1:-1])


@pytest.mark.parametrize("count", [0, 1, 5000])
def test_any_allowed_number_of_tasks_is_answered_in_order(server: Running, count: int) -> None:
    """None, one and the most tasks of a request come back in number and order."""
    texts = ["so good" if i % 3 else "so bad" for i in range(count)]
    results = server.predict(texts).json()["results"]
    assert [one["values"]["mood"] for one in results] == ["Good" if i % 3 else "Bad" for i in range(count)]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        pytest.param(b"{", 400, "not_json", id="broken JSON"),
        pytest.param(b"[]", 400, "not_json", id="not an object"),
        pytest.param(b"\xff\xfe", 400, "not_json", id="not UTF-8"),
        pytest.param(b"{}", 400, "bad_tasks", id="no tasks"),
        pytest.param(b'{"tasks": 3}', 400, "bad_tasks", id="tasks of the wrong type"),
        pytest.param(b'{"tasks": []}', 400, "no_label_config", id="no interface"),
        pytest.param(b'{"tasks": [], "label_config": 4}', 400, "no_label_config", id="interface of the wrong type"),
        pytest.param(b'{"tasks": [], "label_config": "<View>"}', 422, "bad_label_config", id="broken XML"),
        pytest.param(b'{"tasks":' + b"[" * 99999 + b"]" * 99999 + b"}", 400, "not_json", id="nested too deep"),
        pytest.param(
            json.dumps({"tasks": [], "label_config": XML.replace("Good", "Go\ud83dod")}).encode(),
            422,
            "bad_label_config",
            id="half a character in the interface",
        ),
        pytest.param(
            json.dumps({"tasks": [{}] * 5001, "label_config": XML}).encode(), 413, "too_many_tasks", id="too many tasks"
        ),
        pytest.param(b" " * (5 << 20), 413, "request_entity_too_large", id="too large"),
    ],
)
def test_bad_requests_are_refused_with_code_and_sentence(server: Running, body: bytes, status: int, code: str) -> None:
    """What is wrong with a request is said in JSON, without a traceback, and the server goes on."""
    with server.client() as client:
        answer = client.post("/predict", content=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert "Traceback" not in answer.text
    assert server.predict(["so good"]).status_code == 200


def test_an_interface_that_no_model_knows_gets_empty_predictions(server: Running) -> None:
    """A control without a predictor is named in the reasons."""
    xml = XML.replace('name="mood"', 'name="colour"').replace('name="names"', 'name="places"')
    with server.client() as client:
        results = client.post(
            "/predict", json={"tasks": [{"data": {"response": "so good"}}], "label_config": xml}
        ).json()["results"]
    assert results[0]["result"] == []
    assert set(results[0]["reasons"]) == {"colour", "places", "stars"}


def test_a_text_of_two_megabytes_is_answered_and_says_what_was_read(server: Running) -> None:
    """A huge text costs bounded time, and the answer says where reading stopped."""
    one = server.predict(["Ana met Ben. " * 160_000]).json()["results"][0]
    assert "only the first 100000 of 2080000 characters" in one["reasons"]["names"]
    assert all(span["end"] <= 100_000 for span in one["values"]["names"])


def test_half_a_surrogate_pair_is_answered_like_any_other_text(server: Running) -> None:
    """Text that JSON can hold and UTF-8 can't comes back as it was sent, with its spans in place."""
    found = server.predict(["so \ud83d Ana"]).json()["results"][0]
    assert [one["text"] for one in found["values"]["names"]] == ["Ana"]
    beside = server.predict(["so \ud83d\ude00 Ana \udc00"]).json()["results"][0]
    assert "Ana" in [one["text"] for one in beside["values"]["names"]]


def test_unknown_paths_and_methods_are_json_too(server: Running) -> None:
    """404 and 405 answer like every other refusal."""
    with server.client() as client:
        assert client.get("/nothing").json()["error"]["code"] == "not_found"
        assert client.get("/predict").json()["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic bm9ib2R5OndyaWdodA=="},
        {"Authorization": "Basic ???"},
    ],
)
def test_without_credentials_only_health_answers(server: Running, headers: dict[str, str]) -> None:
    """Every path but /health asks for the token, and wrong ones are refused."""
    for method, path in (
        ("GET", "/models"),
        ("GET", "/metrics"),
        ("POST", "/predict"),
        ("POST", "/models/activate"),
        ("GET", "/ready"),
    ):
        assert httpx.request(method, server.url + path, headers=headers, trust_env=False).status_code == 401
    assert httpx.get(server.url + "/health", trust_env=False).status_code == 200


def test_the_token_is_also_a_basic_password(server: Running) -> None:
    """Label Studio can send basic credentials only; the token as password of any user is accepted."""
    assert httpx.get(server.url + "/models", auth=("label-studio", SECRET), trust_env=False).status_code == 200


def test_a_score_that_is_not_a_number_gives_no_answer(server: Running) -> None:
    """NaN weights end in an empty prediction with a reason, not in a label."""
    one = server.predict(["so good"], "/use/nan/predict").json()["results"][0]
    assert one["result"] == []
    assert "not a number" in one["reasons"]["mood"]


def test_two_projects_may_use_different_models_at_once(server: Running) -> None:
    """The path names the model; each answer carries the version that really ran."""
    default, named = server.predict(["so good"]).json(), server.predict(["so good"], "/use/second/predict").json()
    assert (default["results"][0]["values"]["mood"], named["results"][0]["values"]["mood"]) == ("Good", "Bad")
    assert default["model_version"].startswith("first@")
    assert named["model_version"].startswith("second@")
    assert server.predict([], "/use/missing/predict").status_code == 404


def test_a_client_that_goes_away_harms_nobody(server: Running) -> None:
    """Connections cut in the middle of a body or of an answer leave the server answering."""
    host, port = server.url.removeprefix("http://").split(":")
    body = json.dumps({"tasks": [{"data": {"response": "so good " * 50}}] * 500, "label_config": XML}).encode()
    head = (
        f"POST /predict HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    for sent in (body[: len(body) // 2], body):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(head.encode() + sent)
    assert server.predict(["so good"]).json()["results"][0]["values"]["mood"] == "Good"
    assert server.process.poll() is None


def test_logs_and_metrics_hold_no_task_text(server: Running) -> None:
    """What people wrote appears neither in the log nor in the metrics; counts do."""
    server.predict(["zanzibar so good"])
    with server.client() as client:
        client.post("/predict", content=b'{"tasks": "zanzibar"}')
        text = client.get("/metrics").text
    assert 'quorum_ml_rows_total{model="first"}' in text
    assert "quorum_ml_padding_tokens_total" in text
    assert "zanzibar" not in text
    assert "zanzibar" not in server.log.read_text()


def test_a_webhook_enqueues_and_learns_nothing_from_single_annotations(server: Running) -> None:
    """Annotations are not gold: the webhook answers at once and says that nothing is trained."""
    with server.client() as client:
        began = time.monotonic()
        answer = client.post("/webhook", json={"action": "ANNOTATION_CREATED", "annotation": {"result": []}})
    assert answer.status_code == 202
    assert answer.json()["status"] == "ignored"
    assert time.monotonic() - began < 1


def test_label_studios_start_of_a_training_learns_from_gold(weights: Path, tmp_path: Path) -> None:
    """START_TRAINING answers at once, trains what the models file names beside the server, and says how it went."""
    tiny.encoder(weights / "encoder")
    (weights / "gold.jsonl").write_text("".join(json.dumps(row) + "\n" for row in gold(40)))
    more = "encoders: {tiny: {source: 'path:encoder', max_tokens: 32}}\ntraining: {gold: gold.jsonl, out: heads}\n"
    with serving(weights, tmp_path, more=more) as server, server.client() as client:
        began = time.monotonic()
        answer = client.post("/webhook", json={"action": "START_TRAINING", "project": {"id": 1}})
        assert (answer.status_code, answer.json()) == (202, {"status": "queued", "job": 1})
        assert time.monotonic() - began < 1
        deadline = time.monotonic() + 120
        while (job := client.get("/job_status").json()["jobs"][0])["state"] in {"queued", "running"}:
            assert time.monotonic() < deadline
            assert server.predict(["so good"]).status_code == 200
            time.sleep(0.3)
        assert job == {"job": 1, "state": "done", "detail": ""}
    assert "accuracy of majority" in (weights / "heads" / "mood.md").read_text()
    assert (weights / "heads" / "mood.head").exists()


def test_a_swap_under_load_drops_no_request(weights: Path, tmp_path: Path) -> None:
    """While clients keep asking, activate and rollback change the answer, and every request gets one whole answer."""
    with serving(weights, tmp_path) as server, server.client() as manager:
        stop, answers = threading.Event(), []

        def ask() -> None:
            while not stop.is_set():
                answer = server.predict(["so good"] * 20)
                answers.append(
                    (
                        answer.status_code,
                        {(one["model_version"], one["values"]["mood"]) for one in answer.json()["results"]},
                    )
                )

        def versions(since: int = 0) -> set[str]:
            return {version for _, seen in answers[since:] for version, _ in seen}

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            clients = [pool.submit(ask) for _ in range(4)]
            first = manager.get("/models").json()["model_version"]
            wait_for(lambda: first in versions())
            second = manager.post("/models/activate", json={"name": "second"}).json()["model_version"]
            wait_for(lambda: second in versions())
            assert manager.post("/models/rollback").json()["model_version"] == first
            before = len(answers)
            wait_for(lambda: first in versions(before))
            stop.set()
            for client in clients:
                client.result()
        assert {status for status, _ in answers} == {200}
        assert all(seen in ({(first, "Good")}, {(second, "Bad")}) for _, seen in answers)
        assert {next(iter(seen))[0] for _, seen in answers} == {first, second}


def gold(rows: int, mood: Callable[[int], str] = lambda i: "Good" if i % 3 else "Bad") -> list[dict[str, Any]]:
    """Adjudicated rows as `quorum export` writes them: by default what the model `first` would answer."""
    return [
        {"row_id": f"r{i}", "state": "FINAL", "domain": "general", "certificate": {},
         "row": {"response": "so good and fine" if i % 3 else "so bad and poor"},
         "final": {"values": {"mood": {"value": mood(i), "origin": "passes"}}}}
        for i in range(rows)
    ]  # fmt: skip


def test_the_gate_lets_only_a_better_model_pass(weights: Path, tmp_path: Path) -> None:
    """With gold, a worse model and one that the data can't tell apart are refused; force and rollback still work."""
    with serving(weights, tmp_path) as server, server.client() as manager:

        def activate(name: str, rows: list[dict[str, Any]], **more: Any) -> httpx.Response:
            body = {"name": name, "gold": rows, "label_config": XML, **more}
            return manager.post("/models/activate", json=body)

        worse = activate("second", gold(40))
        first = server.predict(["so good"]).json()["model_version"]
        assert (worse.status_code, worse.json()["error"]["code"]) == (409, "not_better")
        assert f"{first} is better: {first} saves +1.00 edits a row beside second@" in worse.json()["error"]["message"]
        half = gold(40, lambda i: "Good" if (i // 2) % 2 else "Bad")
        assert "The data can't tell first@" in activate("second", half).json()["error"]["message"]
        assert "too few" in activate("second", gold(1)).json()["error"]["message"]
        assert server.predict(["so good"]).json()["model_version"] == first
        forced = activate("second", gold(40), force=True).json()
        assert forced["active"] == "second"
        assert forced["comparison"]["a"] == first
        better = activate("first", gold(40)).json()
        assert better["comparison"]["verdict"].startswith(f"{first} is better: {first} saves +1.00 edits a row")
        assert server.predict(["so good"]).json()["model_version"] == first
        assert manager.post("/models/rollback").json()["active"] == "second"


def test_the_commands_activate_through_the_gate_and_roll_back(weights: Path, tmp_path: Path) -> None:
    """`quorum models activate --gold` is exit 1 and one line where the gate refuses; --force and rollback are 0."""
    (tmp_path / "label.xml").write_text(XML)
    (tmp_path / "gold.jsonl").write_text("".join(json.dumps(row) + "\n" for row in gold(40)))
    with serving(weights, tmp_path) as server:

        def models(*arguments: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-m", "label_studio_quorum", "models", *arguments, "--ml-url", server.url]
            environment = {**os.environ, "QUORUM_ML_TOKEN": SECRET}
            return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

        with_gold = ("--gold", str(tmp_path / "gold.jsonl"), "--task", str(tmp_path / "label.xml"))
        refused = models("activate", "second", *with_gold)
        assert (refused.returncode, refused.stdout, len(refused.stderr.splitlines())) == (1, "", 1)
        assert "first@" in refused.stderr.partition(" is better: ")[2].partition(" saves +1.00 edits")[0]
        forced = models("activate", "second", *with_gold, "--force")
        assert (forced.returncode, forced.stdout[:15]) == (0, "active: second@")
        assert models("rollback").stdout.startswith("active: first@")


def test_the_gate_compares_with_the_model_that_runs_not_with_what_the_file_says_by_now(
    weights: Path, tmp_path: Path
) -> None:
    """A models file that was changed after the start renames nothing: what answers people is what must be beaten."""
    with serving(weights, tmp_path) as server, server.client() as manager:
        running = server.predict(["so good"]).json()["model_version"]
        # Now the file calls the contrary checkpoint "first", and the good one, new to the server, "third".
        text = server.models.read_text()
        swapped = text.replace("path:mood", "path:X").replace("path:contrary", "path:mood").replace("X", "contrary")
        server.models.write_text(swapped.replace("  second:", "  third:"))
        refused = manager.post("/models/activate", json={"name": "first", "gold": gold(40), "label_config": XML})
        assert refused.json()["error"]["message"].startswith(f"{running} is better: {running} saves")
        same = manager.post("/models/activate", json={"name": "third", "gold": gold(40), "label_config": XML})
        assert "can't tell" in same.json()["error"]["message"]
        found = manager.post("/models/compare", json={"b": "third", "gold": gold(40), "label_config": XML}).json()
        assert (found["a"], found["b"].split("@")[0]) == (running, "third")
        assert server.predict(["so good"]).json()["model_version"] == running


def test_the_gate_without_a_running_model_needs_force(weights: Path, tmp_path: Path) -> None:
    """Where nothing runs there is nothing to beat: with gold it is refused and said why, by force it is activated."""
    with serving(weights, tmp_path, active="broken", ready=False) as server, server.client() as manager:
        body = {"name": "first", "gold": gold(40), "label_config": XML}
        refused = manager.post("/models/activate", json=body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "nothing_runs")
        assert manager.post("/models/activate", json={**body, "force": True}).json()["active"] == "first"
        assert server.predict(["so good"]).json()["model_version"].startswith("first@")


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        pytest.param({"gold": 3}, 400, "must be a list", id="no list"),
        pytest.param({"gold": [3, {}, {"state": "FINAL"}]}, 422, "no row has a final label", id="no gold"),
        pytest.param({"gold": [{}] * 5001}, 413, "5001 rows of gold", id="too many"),
        pytest.param({"gold": gold(2, lambda i: "Great")}, 422, "row r0: mood: 'Great' is not one of", id="a stranger"),
        pytest.param({"gold": gold(2), "label_config": None}, 400, "label_config", id="no interface"),
    ],
)
def test_gold_that_can_not_be_used_is_refused(server: Running, body: dict[str, Any], status: int, words: str) -> None:
    """The gate says what is wrong with its gold, and the running model goes on."""
    with server.client() as client:
        answer = client.post("/models/activate", json={"name": "second", "label_config": XML, **body})
    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]
    assert server.predict(["so good"]).json()["model_version"].startswith("first@")


def test_a_model_that_does_not_load_never_replaces_one_that_works(weights: Path, tmp_path: Path) -> None:
    """Activating a checkpoint with missing weights is refused with the reason; the running model goes on."""
    with serving(weights, tmp_path) as server, server.client() as manager:
        refused = manager.post("/models/activate", json={"name": "broken"})
        assert refused.status_code == 503
        assert "lack classifier" in refused.json()["error"]["message"]
        assert manager.post("/models/activate", json={"name": "nobody"}).status_code == 404
        assert server.predict(["so good"]).json()["model_version"].startswith("first@")


def test_the_active_model_outlives_a_restart(weights: Path, tmp_path: Path) -> None:
    """What was activated is active again after a restart, and can still be rolled back."""
    with serving(weights, tmp_path) as server, server.client() as manager:
        manager.post("/models/activate", json={"name": "second"})
    with serving(weights, tmp_path) as server, server.client() as manager:
        assert server.predict(["so good"]).json()["model_version"].startswith("second@")
        assert manager.post("/models/rollback").json()["active"] == "first"
        assert manager.post("/models/rollback").status_code == 409


def test_without_a_model_the_server_is_alive_but_not_ready(weights: Path, tmp_path: Path) -> None:
    """A model that cannot be loaded at start leaves /ready and /predict at 503 with the reason; nothing answers."""
    with serving(weights, tmp_path, active="broken", ready=False) as server, server.client() as client:
        deadline = time.monotonic() + 300
        while "lack classifier" not in client.get("/ready").text and time.monotonic() < deadline:
            time.sleep(0.2)
        for answer in (client.get("/ready"), server.predict(["so good"])):
            assert answer.status_code == 503
            assert "lack classifier" in answer.json()["error"]["message"]
            assert answer.headers["Retry-After"]
        assert client.get("/health").status_code == 200


def test_too_much_at_once_is_turned_away_with_a_time_to_come_back(weights: Path, tmp_path: Path) -> None:
    """Above the limit newcomers get 429 with Retry-After instead of a growing queue; then the server answers again."""
    with serving(weights, tmp_path, waiting=100) as server:
        texts = ["so good and fine, Ana met Ben in the so " * 20] * 60
        answers: list[httpx.Response] = []
        # Two requests meet at some time, not in any given round.
        while len(answers) < 360 and {one.status_code for one in answers} != {200, 429}:
            with concurrent.futures.ThreadPoolExecutor(6) as pool:
                answers += [one.result() for one in [pool.submit(server.predict, texts) for _ in range(18)]]
        assert {one.status_code for one in answers} == {200, 429}
        assert all(int(one.headers["Retry-After"]) >= 1 for one in answers if one.status_code == 429)
        assert server.predict(["so good"]).status_code == 200


def metrics(server: Running) -> str:
    """The server's figures."""
    with server.client() as client:
        return client.get("/metrics").text


def test_sigterm_lets_requests_finish(weights: Path, tmp_path: Path) -> None:
    """A request that is under way at SIGTERM is answered in full, and the process then ends by itself."""
    with serving(weights, tmp_path) as server:
        texts = ["so good and fine, Ana met Ben in the so " * 20] * 400
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(server.predict, texts)
            pattern = re.compile(r"^quorum_ml_waiting_tokens [1-9]", re.M)
            wait_for(lambda: waiting.done() or pattern.search(metrics(server)) is not None)
            server.process.send_signal(signal.SIGTERM)
            answer = waiting.result()
        assert answer.status_code == 200
        assert len(answer.json()["results"]) == 400
        assert server.process.wait(30) == 0


def test_several_workers_follow_one_activation_and_share_their_counts(weights: Path, tmp_path: Path) -> None:
    """With two workers every one of them answers with the activated model, and /metrics adds them up."""
    with serving(weights, tmp_path, arguments=("--workers", "2")) as server, server.client() as manager:
        for _ in range(20):
            assert server.predict(["so good"]).json()["results"][0]["values"]["mood"] == "Good"
        manager.post("/models/activate", json={"name": "second"})
        deadline, clean = time.monotonic() + 40, 0
        # For a while without an answer of the old one: ten in a row may all have come from the worker that was told.
        while time.monotonic() < deadline and clean < 8:
            old = any(server.predict(["so good"]).json()["model_version"].startswith("first@") for _ in range(10))
            clean = 0 if old else clean + 1
            time.sleep(0.2)
        assert {server.predict(["so good"]).json()["results"][0]["values"]["mood"] for _ in range(20)} == {"Bad"}
        counted = [
            line
            for line in manager.get("/metrics").text.splitlines()
            if line.startswith('quorum_ml_rows_total{model="first"}')
        ]
        assert float(counted[0].split()[1]) >= 20


def test_a_models_file_with_faults_is_refused_with_every_line(weights: Path, tmp_path: Path) -> None:
    """The server does not start on a wrong file: each fault is one line with file, line and what to do; exit 2."""
    models = tmp_path / "models.yaml"
    models.write_text(
        "version: 1\nactive: nobody\nmodels:\n  one:\n    controls:\n"
        "      mood: {predictor: magic}\n      stars: {predictor: ordinal_rating, sorce: x}\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "ml_backend", "--models", str(models)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    lines = done.stderr.strip().splitlines()
    assert [line.split(":")[1] for line in lines] == ["2", "6", "7", "7"]
    assert "encoder_head" in lines[1]
