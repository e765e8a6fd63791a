"""`quorum agreement`, run as ops runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from label_studio_quorum.commands.agreement import app
from review_rules.statistics.agreement import FIGURES
from tests.support.command_line import run_here
from tests.unit.review_rules.statistics.published import FOUR_BY_TWELVE, by_rater

ROOT = Path(__file__).parents[4]


def quorum(*arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command in this process, from the repository's root."""
    return run_here("agreement", *arguments, stdin=stdin)


def quorum_apart(*arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run it in a process of its own, as people do: what is imported, and the order of hashes, may differ there."""
    return subprocess.run(
        [sys.executable, "-m", "label_studio_quorum", "agreement", *map(str, arguments)],
        cwd=ROOT,
        input=stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def write(path: Path, votes: list[Any]) -> Path:
    """Write votes, or lines as they are."""
    lines = (
        vote if isinstance(vote, str) else json.dumps(dict(zip(("item_id", "annotator", "value"), vote, strict=True)))
        for vote in votes
    )
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture
def ratings(tmp_path: Path) -> Path:
    """Krippendorff's four observers."""
    return write(tmp_path / "votes.jsonl", [(i, who, int(v)) for i, who, v in by_rater(FOUR_BY_TWELVE)])


def test_json_is_the_contracts_object(ratings: Path) -> None:
    """One object on stdout, nothing on stderr, exit 0."""
    done = quorum_apart(ratings, "--kind", "rating", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    out = json.loads(done.stdout)
    assert (out["items"], out["annotators"], out["ratings"]) == (12, 4, 41)
    assert round(out["alpha"]["ordinal"]["value"], 3) == 0.815
    assert [(pair["a"], pair["b"], pair["n"]) for pair in out["kappa"]][:2] == [
        ("rater0", "rater1", 9),
        ("rater0", "rater2", 8),
    ]
    assert out["percent"]["low"] <= out["percent"]["value"] <= out["percent"]["high"]
    assert quorum(ratings, "--kind", "rating", "--json").stdout == done.stdout


def test_the_table_shows_value_and_interval(ratings: Path) -> None:
    """Without --json there is a table for people."""
    done = quorum(ratings, "--kind", "rating")
    assert done.returncode == 0
    assert "12 items, 4 annotators, 41 ratings" in done.stdout
    assert "alpha.ordinal" in done.stdout
    assert "0.815" in done.stdout
    assert "rater0 – rater1" in done.stdout
    assert "seed 0" in done.stdout


def test_bad_lines_are_named_and_the_others_count(tmp_path: Path) -> None:
    """One line a fault on stderr with file and line, the figures of the other lines on stdout, exit 1."""
    file = write(tmp_path / "votes.jsonl", [(1, "a", "A"), "oops", (1, "b", "A"), (2, "a", 4)])
    done = quorum(file, "--kind", "choice", "--json")
    assert done.returncode == 1
    first, second = done.stderr.splitlines()
    assert first.startswith(f"{file}: line 2: not JSON")
    assert second.startswith(f"{file}: line 4: value is a number")
    assert json.loads(done.stdout)["percent"]["value"] == 1


def test_an_empty_file_is_no_fault(tmp_path: Path) -> None:
    """Nothing to measure is null with the reason, exit 0."""
    done = quorum(write(tmp_path / "votes.jsonl", []), "--kind", "choice", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    out = json.loads(done.stdout)
    assert out["items"] == 0
    assert out["alpha"]["nominal"] == {"value": None, "low": None, "high": None, "reason": "no votes"}
    assert "no votes" in quorum(tmp_path / "votes.jsonl", "--kind", "choice").stdout


def test_votes_may_come_from_stdin() -> None:
    """- is stdin, and faults name it."""
    done = quorum_apart("-", "--kind", "choice", "--json", stdin='{"item_id": 1, "annotator": "a", "value": "A"}\nx\n')
    assert done.returncode == 1
    assert done.stderr.startswith("stdin: line 2: ")
    assert json.loads(done.stdout)["ratings"] == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.jsonl", "--kind", "choice"], "No such file"),
        (["tests", "--kind", "choice"], "directory"),
        (["pyproject.toml"], "--kind"),
        (["pyproject.toml", "--kind", "colour"], "colour"),
        (["-", "--kind", "choice", "--where", "criterion"], "KEY=VALUE"),
        (["-", "--kind", "choice", "--target-half-width", "0"], "above 0"),
        (["-", "--kind", "choice", "--target-half-width", "0.1", "--figure", "ac2"], "percent, alpha.nominal, ac1"),
        (["-", "--kind", "spans", "--second-opinion", "x.jsonl"], "use choice or rating"),
        (["-", "--kind", "choice", "--second-opinion", "no/such/folder/x.jsonl"], "No such file"),
        (["-", "--kind", "choice", "--reviewed", "missing.jsonl"], "No such file"),
        (["-", "--kind", "choice", "--reviewed", "/dev/null", "--qa-checks", "3 of 4"], "MISSED/SEEN"),
        (["-", "--kind", "choice", "--reviewed", "/dev/null", "--qa-checks", "5/4"], "MISSED/SEEN"),
    ],
    ids=[
        "no-file", "folder", "no-kind", "unknown-kind", "where", "half-width", "figure", "sets", "out", "reviewed",
        "checks-words", "checks-more",
    ],
)  # fmt: skip
def test_wrong_usage_exits_2(arguments: list[str], said: str) -> None:
    """Wrong usage says what is wrong, without a traceback and without figures."""
    done = quorum(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_where_and_value_key_choose_the_votes(tmp_path: Path) -> None:
    """One criterion of several, and a vote under another key."""
    lines = [
        json.dumps({"item_id": 1, "annotator": who, "criterion": criterion, "score": score})
        for who, criterion, score in [("a", "use", 4), ("b", "use", 4), ("a", "style", 1), ("b", "style", 2)]
    ]
    file = write(tmp_path / "votes.jsonl", lines)
    done = quorum(file, "--kind", "rating", "--json", "--where", "criterion=use", "--value-key", "score")
    assert json.loads(done.stdout)["percent"]["value"] == 1
    done = quorum(file, "--kind", "rating", "--json", "--where", "criterion=style", "--value-key", "score")
    assert json.loads(done.stdout)["percent"]["value"] == 0


def test_texts_give_alpha_on_characters(tmp_path: Path) -> None:
    """With the items' texts alpha on characters is defined; a bad line among the texts is a fault."""
    span = [{"start": 0, "end": 2, "label": "A"}]
    file = write(tmp_path / "votes.jsonl", [(1, "a", span), (1, "b", span), (2, "a", []), (2, "b", span)])
    texts = write(tmp_path / "texts.jsonl", [json.dumps({"item_id": item, "text": "abcdef"}) for item in (1, 2)])
    done = quorum(file, "--kind", "spans", "--json", "--texts", texts)
    assert done.returncode == 0
    assert 0 < json.loads(done.stdout)["alpha"]["characters"]["value"] < 1
    write(texts, ["oops"])
    done = quorum(file, "--kind", "spans", "--json", "--texts", texts)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{texts}: line 1: not JSON")
    assert json.loads(done.stdout)["alpha"]["characters"]["value"] is None


def some_votes(rows: int) -> list[tuple[int, str, str]]:
    """Three people who differ now and then."""
    return [(row, who, "AB"[(row + (row % 7 == place)) % 2]) for row in range(rows) for place, who in enumerate("abc")]


def test_stopping_says_how_many_more_rows(tmp_path: Path) -> None:
    """The target's rows stand in the object, and in words under the table."""
    file = write(tmp_path / "votes.jsonl", some_votes(60))
    out = json.loads(quorum(file, "--kind", "choice", "--json", "--target-half-width", "0.05").stdout)["stopping"]
    assert out["figure"] == "alpha.nominal"
    assert out["needed"] == out["rows"] + out["more"] > 60
    said = quorum(file, "--kind", "choice", "--target-half-width", "0.05").stdout
    assert f"{out['more']:,} more" in " ".join(said.split())
    assert "within ± 0.9" in " ".join(quorum(file, "--kind", "choice", "--target-half-width", "0.9").stdout.split())
    write(file, [(1, "a", "A")])
    said = quorum(file, "--kind", "choice", "--target-half-width", "0.05").stdout
    assert "cannot say how many rows" in " ".join(said.split())


def test_second_opinion_writes_a_line_an_item(tmp_path: Path) -> None:
    """Each item's opinions go to the file, the summary and the annotators' accuracy to the output."""
    file = write(tmp_path / "votes.jsonl", some_votes(30))
    opinions = tmp_path / "opinions.jsonl"
    done = quorum(file, "--kind", "choice", "--json", "--second-opinion", opinions)
    rows = [json.loads(line) for line in opinions.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 30
    assert set(rows[0]) == {"item_id", "votes", "majority", "dawid_skene", "one_coin", "to_qa"}
    summary = json.loads(done.stdout)["second_opinion"]
    assert summary["to_qa"] == sum(row["to_qa"] is not None for row in rows)
    assert [person["annotator"] for person in summary["annotators"]] == ["a", "b", "c"]
    assert "dawid_skene" in quorum(file, "--kind", "choice", "--second-opinion", opinions).stdout


def test_remaining_error_comes_from_decisions(tmp_path: Path) -> None:
    """Decisions give the errors left by field; a line that is none is a fault, and checks change the method."""
    row = {
        "state": "FINAL",
        "comparison": {"verdict": {"agreed": True, "values": ["A", "A"]}},
        "final": {"values": {"verdict": {"value": "A", "origin": "passes"}}},
        "certificate": {"qa": "dag", "expert": []},
    }
    decisions = write(tmp_path / "decisions.jsonl", [json.dumps(row)] * 40)
    file = write(tmp_path / "votes.jsonl", some_votes(10))
    done = quorum(file, "--kind", "choice", "--json", "--reviewed", decisions, "--qa-checks", "1/40")
    found = json.loads(done.stdout)["remaining_error"]["verdict"]
    assert (done.returncode, found["method"], found["rows"]) == (0, "checks", 40)
    write(decisions, [json.dumps(row), "oops"])
    done = quorum(file, "--kind", "choice", "--reviewed", decisions)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{decisions}: line 2: not a decision")
    assert "Still wrong in verdict, by overturns: 0.00% (0.00% to 0.00%) of 1 final rows" in " ".join(
        done.stdout.split()
    )
    unseen = row | {"certificate": {"qa": None, "expert": []}}
    done = quorum(file, "--kind", "choice", "--reviewed", write(decisions, [json.dumps(unseen)]))
    assert "Still wrong in verdict, by overturns: not known: QA has looked at none" in " ".join(done.stdout.split())


def test_many_pairs_are_cut_short_in_the_table(tmp_path: Path) -> None:
    """The table shows the pairs that agree least and says how many it leaves out."""
    file = write(
        tmp_path / "votes.jsonl",
        [(row, f"p{who}", "AB"[(row + who) % 2]) for row in range(4) for who in range(8)] + [(99, "alone", "A")],
    )
    said = " ".join(quorum(file, "--kind", "choice").stdout.split())
    assert "8 pairs that agree more or share few items are left out" in said
    assert "8 pairs share no item" in said


def test_markup_in_names_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    """What people typed is text."""
    file = write(tmp_path / "votes.jsonl", [(1, "[red]ana", "A"), (1, "[/b]ben", "B")])
    done = quorum(file, "--kind", "choice")
    assert done.returncode == 0
    assert "[/b]ben – [red]ana" in done.stdout


def test_the_page_names_every_figure_and_option() -> None:
    """docs/agreement.md cannot fall behind the command."""
    page = (ROOT / "docs" / "agreement.md").read_text(encoding="utf-8")
    for name in {name for names in FIGURES.values() for name in names}:
        assert f"`{name}`" in page, name
    options = {option for parameter in get_command(app).params for option in parameter.opts if option.startswith("--")}
    for option in options - {"--help"}:
        assert option in page, option
