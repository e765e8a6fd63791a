"""`/embed`: vectors of rows, what is refused, and who may ask."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from ml_backend import app as application
from ml_backend.auth import Credentials
from ml_backend.config import DEFAULT_MODELS, read_models
from ml_backend.embedding import FORMAT, encoder_of
from ml_backend.models import Loader
from ml_backend.predictors.base import Model
from ml_backend.settings import ServerConfig
from ml_backend.tokens import TextTokenizer

WORDS = ["[CLS]", "[SEP]", "[UNK]", "cat", "dog", "tax"]
SECRET = "of-this-test"
MODELS = """
version: 1
active: remote
limits: {request_mb: 1, tasks: 3}
encoders:
  words: {source: "path:words"}
models:
  remote:
    controls:
      mood: {predictor: openai_compatible, url: "http://127.0.0.1:9/v1", model: none, reads: [text], instructions: "x"}
"""


class OneHot:
    """A network whose state of a token is a vector of its own."""

    def run(self, ids: Any, mask: Any, type_ids: Any) -> Any:
        """See `Network.run`."""
        return np.eye(len(WORDS), dtype=np.float32)[ids]


def words_model(folder: Path) -> Model:
    """A model that knows three words."""
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 1), ("[CLS]", 0))
    tokenizer.save(str(folder / "tokenizer.json"))
    return Model(
        OneHot(), TextTokenizer(folder / "tokenizer.json", 8, 1), "abcdef0123456789 onnx-fp32 8 1 window", folder
    )


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    """The app with that encoder, and nothing that could predict."""
    (tmp_path / "models.yaml").write_text(MODELS, encoding="utf-8")
    model = words_model(tmp_path)
    monkeypatch.setattr(Loader, "encoder", lambda self, name: (model, "abcdef"))
    config = ServerConfig(
        models=tmp_path / "models.yaml",
        state=tmp_path / "state",
        cache=tmp_path / "cache",
        credentials=Credentials(token=SECRET),
        load="now",
        threads=1,
    )
    app = application.create_app(config)
    yield app.test_client()
    app.extensions["quorum_ml"].close()


def embed(client: FlaskClient, rows: Any, path: str = "/embed") -> Any:
    """The response to a request for vectors."""
    return client.post(path, json={"rows": rows}, headers={"Authorization": f"Bearer {SECRET}"})


def vectors(answer: Any) -> list[Any]:
    """The vectors of an answer."""
    assert answer.status_code == 200, answer.text
    return [np.frombuffer(base64.b64decode(text), dtype=FORMAT).astype(np.float64) for text in answer.json["vectors"]]


def test_a_rows_vector_is_the_mean_of_its_columns_whatever_their_length(client: FlaskClient) -> None:
    """A column of ten words and one of one word count alike; an empty column does not count; the length is 1."""
    long_and_short, with_empty, cat = vectors(embed(client, [["cat " * 10, "dog"], ["cat", "dog", " "], ["cat"]]))
    assert long_and_short == pytest.approx(with_empty)
    assert np.linalg.norm(with_empty) == pytest.approx(1, abs=1e-3)
    assert with_empty @ cat == pytest.approx(0.5**0.5, abs=1e-3)


def test_a_row_without_text_is_zeros_and_half_a_surrogate_pair_is_read(client: FlaskClient) -> None:
    """One such row costs the others nothing."""
    empty, cat, odd = vectors(embed(client, [[], ["cat"], ["tax \ud83d"]]))
    assert not empty.any()
    assert cat.any()
    assert odd.any()


def test_the_answer_names_the_encoder_and_not_the_model(client: FlaskClient) -> None:
    """Vectors stay comparable when another head is activated on the same encoder."""
    assert embed(client, [["cat"]]).json["model_version"] == "mean-abcdef012345-onnx-fp32-8-1-window"
    assert embed(client, [["cat"]], "/use/remote/embed").json == embed(client, [["cat"]]).json
    assert embed(client, [["cat"]], "/use/nobody/embed").status_code == 404


@pytest.mark.parametrize(
    ("rows", "status", "code"),
    [
        ("cat", 400, "bad_rows"),
        (["cat"], 400, "bad_rows"),
        ([[1]], 400, "bad_rows"),
        (None, 400, "bad_rows"),
        ([["cat"]] * 4, 413, "too_many_rows"),
        ([["cat"] * 101], 413, "too_many_rows"),
        ([["x" * 1_100_000]], 413, "request_entity_too_large"),
    ],
)
def test_what_cannot_be_read_or_is_too_much_is_refused(client: FlaskClient, rows: Any, status: int, code: str) -> None:
    """The body is bounded in rows, columns and bytes."""
    answer = embed(client, rows)
    assert (answer.status_code, answer.json["error"]["code"]) == (status, code)


def test_without_credentials_there_is_no_vector(client: FlaskClient) -> None:
    """As at every address of the server but `/health`."""
    assert client.post("/embed", json={"rows": [["cat"]]}).status_code == 401


def test_heads_name_the_encoder_and_a_file_without_any_has_none(tmp_path: Path) -> None:
    """The encoder of the model's own heads comes before the first of the file."""
    text = DEFAULT_MODELS.read_text(encoding="utf-8").replace("encoders:\n", "encoders:\n  other: {source: path:x}\n")
    (tmp_path / "models.yaml").write_text(text, encoding="utf-8")
    config = read_models(tmp_path / "models.yaml")
    assert (encoder_of(config, "default"), encoder_of(config, "gone")) == ("minilm", "other")
    (tmp_path / "models.yaml").write_text(MODELS.replace('encoders:\n  words: {source: "path:words"}\n', ""))
    assert encoder_of(read_models(tmp_path / "models.yaml"), "remote") is None
