"""Predictors on real small transformers: aggregation, windows, label maps, scores, and endpoints that misbehave."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ls_config.interface import Control, parse
from ml_backend.batching import Batcher
from ml_backend.config import parse_models
from ml_backend.metrics import Metrics
from ml_backend.models import Loader, ModelSet, TaskPrediction
from ml_backend.predictors.gliner import stretches, without_overlap
from ml_backend.predictors.openai_compatible import schema
from ml_backend.predictors.token_classification import spans_of
from ml_backend.runtimes import RuntimeName, open_network, pad
from ml_backend.tokens import TextTokenizer
from tests.unit.ml_backend import tiny
from tests.unit.ml_backend.interfaces import XML

CONTROLS = parse(XML)
PERSON = "labels: {PER: PERSON}"
EXAMPLES = [("good fine", 0), ("bad poor", 1), ("so good", 0), ("so bad", 1), ("fine", 0), ("poor", 1)]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints that have learned a few words by heart."""
    folder = tmp_path_factory.mktemp("weights")
    tiny.text_classifier(folder / "mood", ["pos", "neg"], EXAMPLES)
    tiny.text_classifier(folder / "stars", ["1", "5"], [(text, 1 - label) for text, label in EXAMPLES])
    tiny.text_classifier(folder / "nli", ["entailment", "neutral", "contradiction"], [("good", 0), ("bad", 2)])
    tiny.token_classifier(
        folder / "names", ["O", "B-PER", "I-PER", "B-ORG", "I-ORG"], {"ana": "B-PER", "ben": "B-PER", "acme": "B-ORG"}
    )
    return folder


def predict(
    folder: Path, controls: str, rows: list[dict[str, Any]], used: tuple[Control, ...] = CONTROLS
) -> list[TaskPrediction]:
    """Predictions of a model with these controls, through the whole way from YAML to answers."""
    config = parse_models(
        f"version: 1\nactive: m\nmodels:\n  m:\n    controls:\n      {controls}\n", folder / "models.yaml"
    )
    models = ModelSet.load(config.models["m"], Loader(config, folder / "cache", 1))
    batcher = Batcher(256, 1 << 30, Metrics())
    try:
        return models.predict(rows, used, batcher, 60)
    finally:
        batcher.close()
        models.close()


def tags(*names: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """One certain class a word, words of two letters one apart."""
    classes = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "E-PER", "S-PER", "PER"]
    chances = np.full((len(names), len(classes)), 0.01, dtype=np.float32)
    for row, name in enumerate(names):
        chances[row, classes.index(name)] = 0.9
    return chances, np.asarray([(3 * i, 3 * i + 2) for i in range(len(names))])


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param(["B-PER", "B-PER"], [(0, 2, "PER"), (3, 5, "PER")], id="adjacent entities of one type stay two"),
        pytest.param(["B-PER", "I-PER"], [(0, 5, "PER")], id="one entity of two words"),
        pytest.param(["I-PER", "I-PER"], [(0, 5, "PER")], id="an inside without a beginning begins one"),
        pytest.param(["B-PER", "I-ORG"], [(0, 2, "PER"), (3, 5, "ORG")], id="another type begins another"),
        pytest.param(["B-PER", "O", "I-PER"], [(0, 2, "PER"), (6, 8, "PER")], id="a gap ends it"),
        pytest.param(["B-PER", "E-PER", "I-PER"], [(0, 5, "PER"), (6, 8, "PER")], id="an end closes it"),
        pytest.param(["S-PER", "S-PER"], [(0, 2, "PER"), (3, 5, "PER")], id="singles stand alone"),
        pytest.param(["PER", "PER"], [(0, 5, "PER")], id="without prefixes a run is one"),
        pytest.param(["O"], [], id="nothing"),
        pytest.param([], [], id="no words"),
    ],
)
def test_tags_become_spans(names: list[str], expected: list[tuple[int, int, str]]) -> None:
    """Every tagging scheme is read as its authors meant it."""
    chances, offsets = tags(*names)
    classes = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "E-PER", "S-PER", "PER"]
    assert [one[:3] for one in spans_of(chances, offsets, classes, "aa bb cc dd")] == expected


def installed(runtime: str) -> None:
    """Skip where the runtime's extra is not installed."""
    if runtime == "openvino":
        pytest.importorskip("openvino", reason="OpenVINO is not installed (extra openvino)")


@pytest.mark.parametrize("runtime", ["torch", "onnx-fp32", "onnx-int8", "openvino"])
def test_adjacent_entities_stay_two_through_the_network(weights: Path, runtime: str) -> None:
    """Two names side by side come out as two spans, on every runtime."""
    installed(runtime)
    one = predict(
        weights,
        f"names: {{predictor: token_classification, source: 'path:names', runtime: {runtime}, {PERSON}}}",
        [{"response": "Ana Ben met Acme"}],
    )[0]
    assert [(s["text"], s["label"]) for s in one.values["names"]] == [
        ("Ana", "PERSON"),
        ("Ben", "PERSON"),
        ("Acme", "ORG"),
    ]


def test_entities_of_a_long_text_have_exact_offsets(weights: Path) -> None:
    """In 8,000 characters read in windows of 32 tokens each entity is found once, where it stands, emoji and all."""
    unit = "so fine 😀 and met. 👨‍👩‍👧 in é the, "
    text = "".join(unit + ("Ana " if i % 3 else "Acme ") for i in range(8000 // 38))
    network = "predictor: token_classification, source: 'path:names', max_tokens: 32, stride: 8"
    settings = f"names: {{{network}, {PERSON}}}"
    spans = predict(weights, settings, [{"response": text}])[0].values["names"]
    expected = [(m, "Ana") for m in _places(text, "Ana")] + [(m, "Acme") for m in _places(text, "Acme")]
    assert [(s["start"], text[s["start"] : s["end"]]) for s in spans] == sorted(expected)


def _places(text: str, word: str) -> Iterator[int]:
    start = text.find(word)
    while start >= 0:
        yield start
        start = text.find(word, start + 1)


@pytest.mark.parametrize(
    ("pair", "cut"),
    [
        pytest.param(("ana " * 4000, "so good"), "so good", id="a long first text beside a short second one"),
        pytest.param(("so good", "ana " * 4000), "so good", id="a short first text beside a long second one"),
        pytest.param(("ben " * 4000, "ana " * 4000), "ben ben ben", id="two long texts: the first is cut"),
    ],
)
def test_a_pair_of_long_texts_is_read_in_windows_over_one_of_them(
    weights: Path, pair: tuple[str, str], cut: str
) -> None:
    """As many windows as one text needs, never the product of both, and each has the other text beside it."""
    windows = TextTokenizer(weights / "mood" / "tokenizer.json", 32, 4).encode([pair, "so"])[0]
    assert 4000 / 32 < len(windows) < 4000 / 8
    decoder = Tokenizer.from_file(str(weights / "mood" / "tokenizer.json"))
    assert all(cut in decoder.decode(one.ids.tolist()) for one in windows)
    assert sum("ana" in decoder.decode(one.ids.tolist()) for one in windows) == len(windows)


def test_a_cut_text_says_so(weights: Path) -> None:
    """With `long: cut` only the first window is read, and the prediction says how far."""
    network = "predictor: token_classification, source: 'path:names', max_tokens: 16, stride: 2, long: cut"
    settings = f"names: {{{network}, {PERSON}}}"
    one = predict(weights, settings, [{"response": "so " * 40 + "Ana"}])[0]
    assert one.values["names"] == []
    assert "of 123 characters were read" in one.reasons["names"]


@pytest.mark.parametrize(
    ("runtime", "near"), [("torch", 1e-4), ("onnx-fp32", 1e-4), ("onnx-int8", 0.03), ("openvino", 0.03)]
)
def test_scores_equal_those_of_transformers(weights: Path, runtime: str, near: float) -> None:
    """A checkpoint gives the same chances here as in transformers itself; in int8 and bfloat16 nearly."""
    installed(runtime)
    texts = ["so good", "bad , bad and fine !", "ana"]
    found = predict(
        weights,
        f"mood: {{predictor: text_classification, source: 'path:mood', runtime: {runtime}, "
        "labels: {pos: Good, neg: Bad}}",
        [{"response": t} for t in texts],
    )
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model, tokenizer = (
        AutoModelForSequenceClassification.from_pretrained(weights / "mood"),
        AutoTokenizer.from_pretrained(weights / "mood"),
    )
    for text, one in zip(texts, found, strict=True):
        with torch.no_grad():
            expected = model(**tokenizer(text, return_tensors="pt")).logits.softmax(-1)[0]
        assert one.scores["mood"] == pytest.approx(float(expected.max()), abs=near)
        assert one.values["mood"] == ["Good", "Bad"][int(expected.argmax())]


@pytest.mark.parametrize("runtime", ["onnx-fp32", "onnx-int8"])
def test_equal_texts_of_a_batch_get_equal_answers_beside_any_neighbour(weights: Path, runtime: str) -> None:
    """Padding and neighbours change nothing: alone or among longer texts, a row's score is the same."""
    settings = (
        f"mood: {{predictor: text_classification, source: 'path:mood', runtime: {runtime}, "
        "labels: {pos: Good, neg: Bad}}"
    )
    alone = predict(weights, settings, [{"response": "so good"}])[0].scores["mood"]
    among = predict(weights, settings, [{"response": "bad " * n} for n in range(1, 20)] + [{"response": "so good"}])[
        -1
    ].scores["mood"]
    assert among == pytest.approx(alone, abs=1e-5)


@pytest.mark.parametrize("runtime", ["torch", "onnx-fp32", "onnx-int8", "openvino"])
def test_runs_side_by_side_give_what_each_gives_alone(weights: Path, runtime: RuntimeName) -> None:
    """Several lanes run one network at a time, and none gets another's output."""
    installed(runtime)
    network = open_network(
        weights / "names", f"side by side {runtime}", "token", runtime, weights / "cache", threads=1, lanes=4
    )
    rng = np.random.default_rng(3)
    inputs = [pad([rng.integers(4, 40, size=n) for n in (5, 9, 30)], 30) for _ in range(60)]

    def run(one: tuple[Any, Any]) -> Any:
        return network.run(*one, np.zeros_like(one[0]))

    alone = [run(one) for one in inputs]
    with ThreadPoolExecutor(4) as lanes:
        together = list(lanes.map(run, inputs))
    assert all(np.allclose(a, b, atol=1e-6) for a, b in zip(alone, together, strict=True))
    assert not np.allclose(alone[0], alone[1], atol=1e-3)


def test_a_class_that_the_interface_lacks_is_named(weights: Path) -> None:
    """Without a label map the control abstains and says which class has no place."""
    one = predict(weights, "mood: {predictor: text_classification, source: 'path:mood'}", [{"response": "good"}])[0]
    assert "'pos' is not in the interface" in one.reasons["mood"]
    assert one.result == []


def test_below_the_threshold_there_is_no_answer(weights: Path) -> None:
    """An unsure answer is left to people, with its score in the reason."""
    one = predict(
        weights,
        "mood: {predictor: text_classification, source: 'path:mood', threshold: 1.0, labels: {pos: Good, neg: Bad}}",
        [{"response": "good"}],
    )[0]
    assert "mood" not in one.values
    assert one.reasons["mood"].startswith("unsure")


def test_a_rating_is_the_median_on_the_controls_scale(weights: Path) -> None:
    """Classes that are numbers become ratings."""
    found = predict(
        weights,
        "stars: {predictor: ordinal_rating, source: 'path:stars'}",
        [{"response": "so good"}, {"response": "so bad"}],
    )
    assert [one.values["stars"] for one in found] == [5, 1]


def test_zero_shot_asks_once_a_label(weights: Path) -> None:
    """The label whose hypothesis is entailed most is chosen; a model without entailment is refused at load."""
    one = predict(
        weights,
        "mood: {predictor: zero_shot, source: 'path:nli', hypothesis: '{}.', describe: {Good: good, Bad: bad}}",
        [{"response": "fine"}],
    )[0]
    assert one.values["mood"] in ("Good", "Bad")
    with pytest.raises(Exception, match="not an NLI model"):
        predict(weights, "mood: {predictor: zero_shot, source: 'path:mood'}", [])


class Endpoint(http.server.ThreadingHTTPServer):
    """An OpenAI-compatible endpoint that answers what the test says."""

    answers: Callable[[int, Mapping[str, Any]], tuple[int, str]]
    seen: list[dict[str, Any]]


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append(body)
        status, content = self.server.answers(len(self.server.seen), body)
        sent = json.dumps({
            "id": "x", "object": "chat.completion", "created": 0, "model": "m",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}],
            "usage": {"prompt_tokens": 1_000_000, "completion_tokens": 0, "total_tokens": 1_000_000},
        }).encode()  # fmt: skip
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def endpoint(answers: Callable[[int, Mapping[str, Any]], tuple[int, str]]) -> Iterator[Endpoint]:
    """Run an endpoint on a free port."""
    server = Endpoint(("127.0.0.1", 0), _Handler)
    server.answers, server.seen = answers, []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def llm(server: Endpoint, control: str, more: str = "") -> str:
    """A binding to that endpoint."""
    where = f"url: 'http://127.0.0.1:{server.server_port}/v1', model: m"
    return f"{control}: {{predictor: openai_compatible, {where}, seconds: 5, reads: [response]{more}}}"


def test_a_language_model_answers_in_the_schema(tmp_path: Path) -> None:
    """The request carries the control's JSON schema, and the answer becomes the control's value and score."""
    with endpoint(lambda n, body: (200, '{"value": "Good", "confidence": 0.75}')) as server:
        one = predict(tmp_path, llm(server, "mood"), [{"response": "so good"}])[0]
    assert (one.values["mood"], one.scores["mood"]) == ("Good", 0.75)
    sent = server.seen[0]
    assert sent["response_format"]["json_schema"]["schema"] == schema(CONTROLS[0])
    assert sent["temperature"] == 0


def test_a_language_models_spans_are_found_in_the_text(tmp_path: Path) -> None:
    """Quoted spans get the offsets of their own occurrence; an invented one is dropped and said."""
    answer = json.dumps(
        {
            "value": [
                {"text": "Ana", "label": "PERSON"},
                {"text": "Ana", "label": "PERSON"},
                {"text": "Zoe", "label": "PERSON"},
            ],
            "confidence": 1,
        }
    )
    with endpoint(lambda n, body: (200, answer)) as server:
        one = predict(tmp_path, llm(server, "names"), [{"response": "😀 Ana met Ana"}])[0]
    assert [(s["start"], s["end"]) for s in one.values["names"]] == [(2, 5), (10, 13)]
    assert "1 spans" in one.reasons["names"]


def test_a_failing_endpoint_is_tried_again_and_then_left(tmp_path: Path) -> None:
    """A 503 and an answer that is not JSON are retried; a third try that works counts."""
    replies = {1: (503, ""), 2: (200, "I think it is good"), 3: (200, '{"value": 4, "confidence": 0.5}')}
    with endpoint(lambda n, body: replies[n]) as server:
        assert predict(tmp_path, llm(server, "stars"), [{"response": "x"}])[0].values["stars"] == 4
    with endpoint(lambda n, body: (400, "")) as server:
        one = predict(tmp_path, llm(server, "stars"), [{"response": "x"}])[0]
        assert len(server.seen) == 1
    assert one.reasons["stars"] == "the language model did not answer: BadRequestError"


@pytest.mark.parametrize(
    "content",
    ['{"value": "Great", "confidence": 1}', '{"value": ["Good", "Bad"], "confidence": 1}', "[]", '{"confidence": 1}'],
)
def test_an_answer_outside_of_the_schema_is_refused(tmp_path: Path, content: str) -> None:
    """Whatever the endpoint promised, a label that the interface lacks never becomes a prediction."""
    with endpoint(lambda n, body: (200, content)) as server:
        one = predict(tmp_path, llm(server, "mood", ", retries: 0"), [{"response": "x"}])[0]
    assert one.result == []
    assert "can't be used" in one.reasons["mood"]


def test_the_cost_limit_ends_spending(tmp_path: Path) -> None:
    """After the limit no further row is asked, and the rows say why."""
    with endpoint(lambda n, body: (200, '{"value": "Good", "confidence": 1}')) as server:
        limits = ", parallel: 1, max_usd: 2.0, usd_per_mtok_in: 1.0"
        found = predict(tmp_path, llm(server, "mood", limits), [{"response": str(i)} for i in range(4)])
    assert [one.values.get("mood") for one in found] == ["Good", "Good", None, None]
    assert "cost limit" in found[-1].reasons["mood"]


class Skipping:
    """A foreign model in the style of LabelStudioMLBase that answers only some tasks."""

    model_version = "foreign-1"

    def __init__(self, label_config: str | None = None) -> None:
        self.label_config = label_config

    def predict(self, tasks: list[dict[str, Any]], **kwargs: Any) -> list[dict[str, Any]]:
        """Good for texts with an `a`; nothing, or an exception, for others."""
        text = tasks[0]["data"]["response"]
        if text == "boom":
            raise ValueError(text)
        item = {"from_name": "mood", "to_name": "response", "type": "choices", "value": {"choices": ["Good"]}}
        return [{"result": [item], "score": 0.5}] if "a" in text else []


def test_a_foreign_model_keeps_its_answers_on_their_tasks() -> None:
    """A class that skips tasks or raises costs those tasks their answer and moves no other."""
    source = f"{__name__}:Skipping"
    settings = f"mood: {{predictor: label_studio_ml, source: '{source}'}}"
    found = predict(Path(), settings, [{"response": text} for text in ("xyz", "a", "boom", "ba")])
    assert [one.values.get("mood") for one in found] == [None, "Good", None, "Good"]
    assert found[2].reasons["mood"] == f"{source} failed: ValueError"


def test_stretches_cover_a_text_and_keep_the_surest_spans() -> None:
    """Readings overlap and reach the end; of overlapping spans the surest stays."""
    assert [list(stretches(n, 100, 20)) for n in (0, 50, 100, 181)] == [[0], [0], [0], [0, 80, 160]]
    spans = [
        {"start": 0, "end": 5, "score": 0.5},
        {"start": 3, "end": 9, "score": 0.9},
        {"start": 9, "end": 12, "score": 0.1},
    ]
    assert [(s["start"], s["end"]) for s in without_overlap(spans)] == [(3, 9), (9, 12)]
