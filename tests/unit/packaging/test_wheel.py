"""The wheel as a stranger installs it: with no extra, in an environment of its own, next to packages of like names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from label_studio_quorum.commands.cli import COMMANDS
from review_rules.verify import row_hash

pytestmark = [pytest.mark.slow]
ROOT = Path(__file__).parents[3]
EXAMPLES = "label_studio_quorum/examples/"
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
EXTRA = "pip install 'label-studio-quorum["


@dataclass(frozen=True)
class Installed:
    """An environment that holds the wheel and its core dependencies, and nothing else."""

    bin: Path
    examples: Path
    folder: Path

    def run(self, *command: object, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment, in a folder without Quorum's sources."""
        own = {"PATH": f"{self.bin}{os.pathsep}{os.defpath}", "HOME": str(self.folder), "COLUMNS": "200"}
        return subprocess.run(
            [str(self.bin / str(command[0])), *map(str, command[1:])],
            cwd=self.folder, env=own | environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def quorum(self, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `quorum …`."""
        return self.run("quorum", *arguments, **environment)


def pip(*arguments: object) -> None:
    """Run pip; its own words are the test's failure."""
    done = subprocess.run([*PIP, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    reached = subprocess.run(
        [*PIP, "--retries", "0", "--timeout", "20", "download", "--no-deps", "--dest",
         str(tmp_path_factory.mktemp("index")), "hatchling"], capture_output=True, check=False,
    )  # fmt: skip
    if reached.returncode != 0:
        pytest.skip("no package index is reachable, which building and installing a wheel needs")
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--wheel-dir", folder, ROOT)
    [built] = folder.glob("label_studio_quorum-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel in an empty environment, at the versions that were tested."""
    folder = tmp_path_factory.mktemp("stranger")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    pip("--python", folder / "venv", "install", "--constraint", ROOT / "constraints.txt", wheel)
    [package] = folder.glob("venv/lib/python*/site-packages/label_studio_quorum")
    work = folder / "work"
    work.mkdir()
    return Installed(folder / "venv" / "bin", package / "examples", work)


def in_one_line(done: subprocess.CompletedProcess[str], extra: str) -> None:
    """Check that a command said in one sentence which extra it needs."""
    assert "Traceback" not in done.stderr + done.stdout
    assert done.returncode == 1, done.stderr
    assert f"{EXTRA}{extra}]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr


def history(folder: Path, row: Mapping[str, Any]) -> Path:
    """A row of the example on which two people and QA agreed, as a full record decides it."""
    answer = {name: row["auto_label"][name] for name in ("verdict", "correctness")}
    fields = {"verdict": {"kind": "choice"}, "correctness": {"kind": "rating"}}
    empty: dict[str, Any] = {"flags": [], "reason": None, "values": answer}
    passes = [empty | {"by": by, "at": f"2026-01-05T10:0{minute}:00Z"} for minute, by in enumerate(("ana", "chi"))]
    review = empty | {"by": "mei", "at": "2026-01-05T10:09:00Z", "values": {}, "decision": "accept"}
    file = folder / "history.jsonl"
    whole = {"row_id": row["id"], "domain": "general", "fields": fields, "passes": passes, "expert": []}
    file.write_text(json.dumps(whole | {"qa": [review]}) + "\n", encoding="utf-8")
    return file


def test_the_wheel_holds_the_rooms_and_nothing_that_clashes(wheel: Path) -> None:
    """One importable name a room; the example is data of ours; tests, docs and SDK programs stay outside."""
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"label_studio_quorum", "review_rules", "ls_config", "ml_backend", "ls_plugin"}
    assert {EXAMPLES + name for name in ("rows.jsonl", "policy.yaml", "team.yaml", "truth.jsonl")} <= set(names)


@pytest.mark.parametrize("program", ["quorum", "label-studio-quorum"])
def test_both_entry_points_are_the_same_command(installed: Installed, program: str) -> None:
    """`quorum` and `label-studio-quorum` (what uvx and pipx look for) say the same."""
    done = installed.run(program, "--help")
    assert done.returncode == 0
    assert done.stdout.replace("label-studio-quorum ", "quorum ") == installed.quorum("--help").stdout


def test_the_package_runs_as_a_module(installed: Installed) -> None:
    """`python -m label_studio_quorum` is the command."""
    assert installed.run("python", "-m", "label_studio_quorum", "--version").stdout.startswith("quorum ")


def test_every_command_has_its_help_without_an_extra(installed: Installed) -> None:
    """No command needs a package of an extra merely to say what it does."""
    for name in COMMANDS:
        done = installed.quorum(name, "--help")
        assert (done.returncode, done.stderr) == (0, ""), name


def test_check_decide_and_verify_work_without_an_extra(installed: Installed) -> None:
    """A file of rows is checked in full, with its page; a row is decided; an export is proven."""
    examples, folder = installed.examples, installed.folder
    page = folder / "profile.html"
    done = installed.quorum("check", examples / "rows.jsonl", "--policy", examples / "policy.yaml", "--html", page)
    assert (done.returncode, page.exists()) == (0, True), done.stderr
    rules = ("--policy", examples / "policy.yaml", "--team", examples / "team.yaml")
    row = json.loads((examples / "rows.jsonl").read_text("utf-8").splitlines()[0])
    file = history(folder, row)
    decided = installed.quorum("decide", file, *rules)
    assert (decided.returncode, json.loads(decided.stdout)["state"]) == (0, "FINAL"), decided.stderr
    export = folder / "export.jsonl"
    export.write_text(json.dumps(record(file, decided.stdout, row)) + "\n", encoding="utf-8")
    proven = installed.quorum("verify", export, *rules, "--json")
    assert json.loads(proven.stdout)["findings"] == [], proven.stdout


def record(history: Path, decision: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """The full record of a decided row, as an export writes it."""
    whole: dict[str, Any] = json.loads(history.read_text("utf-8")) | json.loads(decision)
    return whole | {"row": dict(row), "row_hash": row_hash(row), "gold": True}


def test_modules_of_like_names_do_no_harm(installed: Installed) -> None:
    """A user's own `workflow`, `scripts`, `examples` and `quorum` on the path are theirs and not ours."""
    theirs = installed.folder / "theirs"
    for name in ("workflow", "scripts", "examples", "quorum", "commands"):
        (theirs / name).mkdir(parents=True, exist_ok=True)
        (theirs / name / "__init__.py").write_text(f"raise RuntimeError('the wrong {name}')\n", encoding="utf-8")
    rows = installed.examples / "rows.jsonl"
    assert installed.quorum("status", "--help", PYTHONPATH=str(theirs)).returncode == 0
    assert installed.quorum("check", rows, PYTHONPATH=str(theirs)).returncode == 0


def test_what_needs_an_extra_says_so_in_one_sentence(installed: Installed) -> None:
    """No traceback, nothing done by halves: one line names the extra, and the exit code is 1."""
    folder, rows = installed.folder, installed.examples / "rows.jsonl"
    (folder / "rows.parquet").write_bytes(b"PAR1")
    in_one_line(installed.quorum("check", folder / "rows.parquet"), "formats")
    masked = ("--out", folder / "masked.jsonl", "--pii-map", folder / "map.json")
    in_one_line(installed.quorum("check", rows, "--pii", "mask", *masked), "pii")
    votes = folder / "votes.jsonl"
    votes.write_text('{"item_id": "a", "annotator": "ana", "value": "A"}\n', encoding="utf-8")
    second = ("--kind", "choice", "--second-opinion", folder / "second.jsonl")
    in_one_line(installed.quorum("agreement", votes, *second), "stats")
    in_one_line(installed.quorum("prelabel", rows, "--out", folder / "labels.jsonl"), "ml")
    in_one_line(installed.quorum("models", "check"), "ml")
    in_one_line(installed.quorum("up", "--dry-run", "--data-dir", folder / "data"), "server")
    assert not any((folder / name).exists() for name in ("masked.jsonl", "map.json", "second.jsonl", "labels.jsonl"))
