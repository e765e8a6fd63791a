"""Every benchmark starts with nothing but this repository, and docs/benchmarks.md says what it measures."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from benchmarks import data
from benchmarks.__main__ import HELPERS, SCRIPTS
from benchmarks.harness import Line, NotMeasured, require

ROOT = Path(__file__).parents[3]
DOC = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")


# One process for all, since each would load the same libraries anew.
HELPS = """
import contextlib, io, json, runpy, sys
texts = {}
for name in sys.argv[1:]:
    sys.argv = [name, "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as text, contextlib.suppress(SystemExit):
        runpy.run_module(f"benchmarks.{name}", run_name="__main__")
    texts[name] = text.getvalue()
print(json.dumps(texts))
"""


@pytest.fixture(scope="module")
def helps() -> dict[str, str]:
    """What each benchmark prints with `--help`."""
    command = [sys.executable, "-c", HELPS, *SCRIPTS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    texts: dict[str, str] = json.loads(done.stdout)
    return texts


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_works_and_names_the_common_options(name: str, helps: dict[str, str]) -> None:
    """Each script explains itself, and takes the options that `make bench` hands to all of them."""
    for option in ("--quick", "--data FOLDER", "--seed", "--json"):
        assert option in helps[name]


def test_every_script_is_documented_and_every_documented_script_is_there() -> None:
    """docs/benchmarks.md names each script by the command that runs it, and no other."""
    assert set(re.findall(r"python -m benchmarks\.(\w+)", DOC)) == set(SCRIPTS)
    assert all((ROOT / "benchmarks" / f"{name}.py").is_file() for name in HELPERS)


def test_other_pages_hold_no_benchmark_of_their_own() -> None:
    """Commands of benchmarks stand in docs/benchmarks.md alone; the other pages link to it."""
    pages = [page for page in (ROOT / "docs").glob("*.md") if page.name != "benchmarks.md"]
    assert [page.name for page in pages if re.search(r"benchmarks[./]\w+(\.py|`)", page.read_text("utf-8"))] == []


def test_rows_are_the_same_for_the_same_seed_and_no_two_are_alike() -> None:
    """The generator gives the example's rows first, then drawn ones, each with an id and a text of its own."""
    rows = list(data.rows(400, seed=3))
    assert rows == list(data.rows(400, seed=3))
    own = data.source_rows(None)
    assert rows[: len(own)] == own
    assert rows[len(own) :] != list(data.rows(400, seed=4))[len(own) :]
    assert len({row["id"] for row in rows}) == len({row["query"] + row["response"] for row in rows}) == 400


def test_fewer_rows_are_the_first_of_more() -> None:
    """A larger size adds rows and histories; it changes none."""
    assert list(data.rows(150)) == list(islice(data.rows(300), 150))
    assert list(data.histories(5, 1)) == list(islice(data.histories(50, 1), 5))


@pytest.mark.parametrize("field", ["verdict", "correctness", "entities"])
def test_votes_on_the_example_are_mostly_right(field: str) -> None:
    """Three people vote on each row, and about four of five votes are the right answer."""
    votes, right = list(data.example_ballots(field, 7)), data.truth()
    share = sum(vote["value"] == right[vote["item_id"]][field] for vote in votes) / len(votes)
    assert len(votes) == 3 * len(right)
    assert 0.7 < share < 0.95


def test_what_is_lacking_is_one_sentence(tmp_path: Path) -> None:
    """A missing file of `--data` and a missing package are named, with what brings them."""
    with pytest.raises(NotMeasured, match=r"needs the file responses_dev\.jsonl in the folder of --data"):
        data.source_rows(tmp_path)
    with pytest.raises(NotMeasured, match=r"needs no_such_package, which `pip install 'label-studio-quorum\[ml\]'`"):
        require("ml", "json", "no_such_package")


def test_a_ratio_is_of_the_figures_unless_it_was_measured_in_pairs() -> None:
    """Without a figure to compare with there is no ratio."""
    assert Line(what="a", measured=6, reference=4).times == 1.5
    assert Line(what="a", measured=6, reference=4, ratio=1.2).times == 1.2
    assert Line(what="a", measured=6).times is None
    assert Line(what="a", measured=6, reference=0).times is None
