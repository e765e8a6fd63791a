"""`quorum prelabel` and `quorum models` as people call them, on real small checkpoints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.unit.ml_backend import tiny
from tests.unit.ml_backend.interfaces import XML

pytestmark = pytest.mark.server

MODELS = """version: 1
active: first
models:
  first:
    controls: &first
      mood: {predictor: text_classification, source: "path:mood", max_tokens: 32, stride: 4}
  second:
    controls:
      mood: {predictor: text_classification, source: "path:contrary", max_tokens: 32, stride: 4}
"""
GOOD, BAD = "so good and fine", "so bad and poor"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models file, its checkpoints, an interface, rows and gold."""
    folder = tmp_path_factory.mktemp("commands")
    examples = [(GOOD, 0), (BAD, 1), ("good", 0), ("bad", 1)]
    tiny.text_classifier(folder / "mood", ["Good", "Bad"], examples)
    tiny.text_classifier(folder / "contrary", ["Bad", "Good"], examples)
    (folder / "models.yaml").write_text(MODELS)
    (folder / "label.xml").write_text(XML)
    rows = [
        {"id": f"r{i}", "context": "", "query": "q", "response": (GOOD if i % 3 else BAD) + " ." * (i % 7)}
        for i in range(50)
    ]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    gold = [
        {"row_id": row["id"], "state": "FINAL", "row": row, "domain": "general", "certificate": {},
         "final": {"values": {"mood": {"value": "Good" if i % 3 else "Bad", "origin": "passes"}}}}
        for i, row in enumerate(rows)
    ]  # fmt: skip
    (folder / "gold.jsonl").write_text("".join(json.dumps(row) + "\n" for row in gold))
    return folder


def quorum(
    folder: Path,
    *arguments: str,
    cache: str = "cache",
    hidden: tuple[str, ...] = (),
    variables: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the command in the folder, with its models file and cache, as if the hidden packages were not installed."""
    environment = {
        **os.environ,
        "QUORUM_ML_MODELS": str(folder / "models.yaml"),
        "QUORUM_ML_CACHE": str(folder / cache),
        **(variables or {}),
    }
    command = [sys.executable, "-m", "label_studio_quorum", *arguments]
    environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[2])
    if hidden:
        # Every Python that has this file on its path imports it before anything else.
        (folder / "hidden").mkdir(exist_ok=True)
        (folder / "hidden" / "sitecustomize.py").write_text(f"import sys\nsys.modules |= dict.fromkeys({hidden!r})\n")
        environment["PYTHONPATH"] = f"{folder / 'hidden'}{os.pathsep}{environment['PYTHONPATH']}"
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def lines(path: Path) -> list[dict[str, object]]:
    """The objects of a file of lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_stopped_run_goes_on_at_the_row_where_it_stopped(folder: Path, tmp_path: Path) -> None:
    """Cut in the middle of a line, the next run gives the same file as an uninterrupted one."""
    whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    done = quorum(
        folder, "prelabel", "rows.jsonl", "--task", "label.xml", "--out", str(whole), "--batch", "7", "--json"
    )
    assert json.loads(done.stdout)["written"] == 50, done.stderr
    assert [one["id"] for one in lines(whole)] == [f"r{i}" for i in range(50)]
    assert [one["auto_label"] for one in lines(whole)][:2] == [{"mood": "Bad"}, {"mood": "Good"}]
    cut.write_bytes(whole.read_bytes()[: len(whole.read_bytes()) // 2])
    done = quorum(folder, "prelabel", "rows.jsonl", "--task", "label.xml", "--out", str(cut), "--json")
    assert 0 < json.loads(done.stdout)["before"] < 50
    assert cut.read_bytes() == whole.read_bytes()
    other = quorum(folder, "prelabel", "rows.jsonl", "--task", "label.xml", "--out", str(cut), "--model", "second")
    assert other.returncode == 1
    assert "written by first@" in other.stderr


@pytest.mark.slow
def test_ray_gives_the_same_file_as_local(folder: Path, tmp_path: Path) -> None:
    """Two Ray workers on this machine write the same rows in the same order as this process alone."""
    pytest.importorskip("ray", reason="Ray is not installed (extra ray)")
    for engine in ("local", "ray"):
        done = quorum(
            folder,
            "prelabel",
            "rows.jsonl",
            "--task",
            "label.xml",
            "--out",
            str(tmp_path / engine),
            "--engine",
            engine,
            "--workers",
            "2",
            "--batch",
            "8",
        )
        assert done.returncode == 0, done.stderr
    for a, b in zip(lines(tmp_path / "local"), lines(tmp_path / "ray"), strict=True):
        assert a.pop("score") == pytest.approx(b.pop("score"), abs=1e-5)
        assert {"mood": pytest.approx(a.pop("scores")["mood"], abs=1e-3)} == b.pop("scores")  # type: ignore[index]
        assert a == b


def test_check_tries_a_candidate_and_says_what_it_leaves_open(folder: Path) -> None:
    """A sound candidate passes, with the fields that it does not answer; an unknown one is refused."""
    done = quorum(folder, "models", "check", "first", "--task", "label.xml", "--rows", "rows.jsonl", "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["problems"]) == (0, [])
    assert set(report["abstained"]) == {"names", "stars"}
    refused = quorum(folder, "models", "check", "third", "--task", "label.xml")
    assert refused.returncode == 1
    assert "no model is called 'third'; it has first, second" in refused.stderr


def test_check_refuses_a_label_that_the_interface_lacks(folder: Path, tmp_path: Path) -> None:
    """Such a model never answers the field, so that no answer of its shows it: exit 1, with what to do."""
    (tmp_path / "other.xml").write_text(XML.replace('value="Bad"', 'value="Poor"'))
    done = quorum(folder, "models", "check", "first", "--task", str(tmp_path / "other.xml"))
    assert done.returncode == 1
    assert done.stderr == "mood: the model's 'Bad' is not in the interface; map it under `labels`\n"


def test_the_model_that_was_activated_labels_files_too(folder: Path, tmp_path: Path) -> None:
    """What the ML backend answers with since `quorum models activate` is what `quorum prelabel` runs, and says."""
    (tmp_path / "ml").mkdir()
    (tmp_path / "ml" / "active.json").write_text('{"active": "second", "before": ["first"]}')
    out, data = tmp_path / "out.jsonl", {"QUORUM_DATA_DIR": str(tmp_path)}
    done = quorum(folder, "prelabel", "rows.jsonl", "--task", "label.xml", "--out", str(out), "--json", variables=data)
    assert json.loads(done.stdout)["model_version"].startswith("second@"), done.stderr
    assert "the ML backend answers with 'second', so that is used here too" in done.stderr
    assert lines(out)[0]["auto_label"] == {"mood": "Good"}


def test_compare_says_which_model_saves_more_edits(folder: Path, tmp_path: Path) -> None:
    """On gold the right model beats the contrary one with an interval and a picture; against itself nothing is told."""
    picture = tmp_path / "difference.svg"
    done = quorum(
        folder,
        "models",
        "compare",
        "second",
        "first",
        "--gold",
        "gold.jsonl",
        "--task",
        "label.xml",
        "--picture",
        str(picture),
        "--draws",
        "200",
        "--json",
    )
    report = json.loads(done.stdout)
    better = report["b"]
    assert report["verdict"].startswith(f"{better} is better: {better} saves +1.00 edits a row beside second@")
    assert {one["measure"] for one in report["figures"]} >= {"accuracy", "macro-F1", "ECE", "edits saved a row"}
    assert "<svg" in picture.read_text()
    same = quorum(
        folder,
        "models",
        "compare",
        "first",
        "first",
        "--gold",
        "gold.jsonl",
        "--task",
        "label.xml",
        "--draws",
        "200",
        "--json",
    )
    assert "can't tell" in json.loads(same.stdout)["verdict"]


def test_a_faulty_models_file_is_told_line_by_line(folder: Path, tmp_path: Path) -> None:
    """Every fault is one line on stderr; exit 1."""
    wrong = tmp_path / "models.yaml"
    wrong.write_text(MODELS.replace("active: first", "active: x").replace("max_tokens", "max_tokns"))
    done = quorum(folder, "models", "list", "--models", str(wrong))
    assert done.returncode == 1
    assert [line.split(":")[1] for line in done.stderr.strip().splitlines()] == ["2", "6", "9"]


@pytest.mark.parametrize(
    ("hidden", "arguments", "sentence"),
    [
        pytest.param(
            "torch", ("models", "check", "first", "--task", "label.xml"),
            "this Hugging Face model needs torch; install it with: "
            "pip install 'label-studio-quorum[transformers]'", id="check a model of transformers",
        ),
        pytest.param(
            "transformers", ("prelabel", "rows.jsonl", "--task", "label.xml", "--out", "left.jsonl"),
            "this Hugging Face model needs transformers; install it with: "
            "pip install 'label-studio-quorum[transformers]'", id="pre-label with a model of transformers",
        ),
        pytest.param(
            "torch", ("models", "train", "--gold", "gold.jsonl", "--out", "left"),
            "training needs torch; install it with: pip install 'label-studio-quorum[transformers]'",
            id="train",
        ),
        pytest.param(
            "vl_convert",
            ("models", "compare", "first", "second", "--gold", "gold.jsonl", "--picture", "left.svg"),
            "--picture needs vl_convert; install it with: pip install 'label-studio-quorum[report]'",
            id="draw a comparison",
        ),
        pytest.param(
            "tokenizers", ("prelabel", "rows.jsonl", "--task", "label.xml", "--out", "left.jsonl"),
            "quorum prelabel needs tokenizers; install it with: pip install 'label-studio-quorum[ml]'",
            id="pre-label without the models' extra",
        ),
        pytest.param(
            "prometheus_client", ("models", "check", "first", "--task", "label.xml"),
            "quorum models needs prometheus_client; install it with: pip install 'label-studio-quorum[ml]'",
            id="check without the models' extra",
        ),
    ],
)  # fmt: skip
def test_a_missing_package_is_one_sentence_with_its_extra(
    folder: Path, hidden: str, arguments: tuple[str, ...], sentence: str
) -> None:
    """No traceback, and nothing is written: the line on stderr says what to install."""
    done = quorum(folder, *arguments, cache="no-graphs", hidden=(hidden,))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("quorum: ")
    assert done.stderr.endswith(f"{sentence}\n")
    assert not list(folder.glob("left*"))
