"""Answers of an ML backend that do not fit the interface are cut to what does, counted, and said."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from label_studio_quorum.adapters.ml_backend import MLBackendClient, ModelAnswer
from label_studio_quorum.campaign import importing
from label_studio_quorum.commands.import_ import _unfit
from label_studio_quorum.intake import Row
from label_studio_quorum.port import MLConnection
from ls_config import load
from review_rules import load_policy

REVIEW = load("response_review")
DATA = {"context": "", "query": "Who?", "response": "ACME won."}


def item(name: str, kind: str, **value: Any) -> dict[str, Any]:
    """One item of a result."""
    return {"from_name": name, "to_name": "response", "type": kind, "value": value}


FITS = item("verdict", "choices", choices=["Correct"])
FAR = item("entities", "labels", start=5, end=500, labels=["ORG"])
SPAN = item("entities", "labels", start=0, end=4, text="ACME", labels=["ORG"])


class Backend(BaseHTTPRequestHandler):
    """Says what the test put into `answers`."""

    answers: ClassVar[list[Any]] = []

    def do_POST(self) -> None:
        """Answer any prediction."""
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"results": self.answers}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    """A backend on this machine."""
    with HTTPServer(("127.0.0.1", 0), Backend) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def ask(address: str, answer: Any) -> ModelAnswer:
    """What the client makes of one answer."""
    Backend.answers = [answer]
    with MLBackendClient(MLConnection(url=address), REVIEW, 1) as client:
        return client.predict([DATA])[0]


CASES: dict[str, tuple[Any, list[str], int]] = {
    "all fits": ({"result": [FITS, SPAN]}, ["verdict", "entities"], 0),
    "nothing to say": ({"result": []}, [], 0),
    "a label that is none": ({"result": [FITS, item("issues", "choices", choices=["No such"])]}, ["verdict"], 1),
    "a control that is none": ({"result": [item("sentiment", "choices", choices=["x"])]}, [], 1),
    "a span outside of the text beside a good one": ({"result": [FAR, SPAN]}, ["entities"], 1),
    "a rating out of range": ({"result": [item("tone", "rating", rating=99)]}, [], 1),
    "no list": ({"result": {"verdict": "Correct"}}, [], 1),
    "no object": ("Correct", [], 1),
}


@pytest.mark.parametrize("case", CASES)
def test_what_does_not_fit_is_left_out_and_named(case: str, address: str) -> None:
    """The good part of an answer stays, the rest is a problem of the answer."""
    answer, kept, problems = CASES[case]
    made = ask(address, answer)
    shown = [entry["from_name"] for entry in made.prediction.result] if made.prediction else []
    assert (shown, len(made.problems)) == (kept, problems), made


class Predictor:
    """Gives prepared answers, in order."""

    def __init__(self, *answers: ModelAnswer) -> None:
        self._answers = answers

    def predict(self, data: Any) -> list[ModelAnswer]:
        """The answers."""
        return list(self._answers[: len(data)])


def test_an_import_counts_answers_that_did_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only rows that the model's answer would be shown with count; the first are named with their reason."""
    sent: list[Any] = []
    port: Any = SimpleNamespace(add_tasks=lambda project, tasks: sent.extend(tasks), notes=lambda project: ())
    campaign: Any = SimpleNamespace(
        interface=REVIEW, policy=load_policy("version: 1\nprelabel: {withhold: 0.0}\n"), project=lambda stage: 1
    )
    monkeypatch.setattr(importing, "serve", lambda *_: None)
    bad = ModelAnswer(problems=("result[0]: the interface has no control 'mood'",))
    texts: dict[str, Any] = {"context": "", "query": "q", "response": "r"}
    rows = [Row(row_id=f"r{at}", **texts) for at in range(5)]
    rows.append(Row(row_id="own", auto_label={"verdict": "Correct"}, **texts))
    predictor = Predictor(bad, bad, ModelAnswer(), bad, bad, bad)
    report = importing.import_rows(port, campaign, rows, predictor=predictor, known={})
    assert len(sent) == len(rows)
    assert report.unfit == 4
    assert report.to_json()["model_answers_unfit"] == 4
    assert report.unfit_examples == tuple(f"row r{at}: {bad.problems[0]}" for at in (0, 1, 3))
    said = _unfit(report)
    assert said.startswith("warning: 4 answers of the model did not fit")
    assert "row r0: result[0]: the interface has no control 'mood'" in said
    assert "; …" in said
