"""The files of rows with known answers: the qualification's, and the one to practise on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from label_studio_quorum.campaign.qualification import practice_of, qualification_of
from ls_config.interface import load
from review_rules import FaultsError, load_policy

ASKING = load_policy("qualification: {rows: known.jsonl, bar: 0.8}")
ROW = {"id": "k1", "context": "c", "query": "q", "response": "r", "known": {"verdict": "Correct"}}


def read(folder: Path, *lines: Any) -> dict[str, Any]:
    """The qualification of a file with these lines."""
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    (folder / "known.jsonl").write_text(text, encoding="utf-8")
    return qualification_of(ASKING, folder, load("classification"))


def test_the_file_beside_the_policy_is_read(tmp_path: Path) -> None:
    """Each row's known answers go to the plugin under the row's id, with the bar; blank lines are no rows."""
    assert read(tmp_path, ROW, "", {**ROW, "id": "k2"}) == {
        "rows": {"k1": {"verdict": "Correct"}, "k2": {"verdict": "Correct"}},
        "bar": 0.8,
    }


def test_a_policy_that_asks_for_none_reads_no_file(tmp_path: Path) -> None:
    """Without the key there is no qualification, which also ends one that was there."""
    assert qualification_of(load_policy("{}"), tmp_path, load("classification")) == {}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "this is not JSON"),
        ("[1]", "there is no `id`"),
        ({**ROW, "id": 7}, "there is no `id`"),
        ({**ROW, "known": {}}, "has no `known`"),
        ({**ROW, "known": {"mood": "x"}}, "mood"),
        ({**ROW, "known": {"verdict": "Wrongish"}}, "verdict"),
        ({**ROW, "known": {"verdict": None}}, "null is not known"),
        (ROW, "stands here twice"),
    ],
    ids=str,
)
def test_every_fault_is_told_with_its_line(tmp_path: Path, line: Any, said: str) -> None:
    """A row that nobody could be measured by stops the set-up, in one line that names it."""
    with pytest.raises(FaultsError) as caught:
        read(tmp_path, ROW, line)
    (fault,) = caught.value.faults
    assert (fault.file, fault.line) == (str(tmp_path / "known.jsonl"), 2)
    assert said in fault.message


def test_no_file_and_no_rows_are_faults(tmp_path: Path) -> None:
    """A qualification without rows would let everybody through."""
    with pytest.raises(FaultsError, match="cannot be read: No such file"):
        qualification_of(ASKING, tmp_path, load("classification"))
    with pytest.raises(FaultsError, match="there are no rows in it"):
        read(tmp_path, "")


PRACTISING = load_policy(
    "{qualification: {rows: known.jsonl, bar: 0.8}, practice: {rows: practice.jsonl}, expert_domains: []}"
)


def practise(folder: Path, *lines: dict[str, Any], label_type: str = "classification") -> dict[str, Any]:
    """What the plugin is told of a file of practice with these lines, beside the qualification's one row."""
    read(folder, ROW)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "practice.jsonl").write_text(text, encoding="utf-8")
    return practice_of(PRACTISING, folder, load(label_type))


def test_rows_to_practise_on_come_with_their_columns_and_what_explains_them(tmp_path: Path) -> None:
    """They are no rows of the campaign, so that everything that is shown of them is in the file."""
    row = {**ROW, "id": "p1", "guideline": "Verdict", "why": "It is so."}
    columns = {"context": "c", "query": "q", "response": "r"}
    told = {"data": columns, "known": {"verdict": "Correct"}, "guideline": "Verdict", "why": "It is so."}
    assert practise(tmp_path, row) == {"rows": {"p1": told}}
    assert practice_of(ASKING, tmp_path, load("classification")) == {}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (ROW, "'k1' is a row of the qualification too"),
        ({**ROW, "id": "p1", "why": 5}, "`why` is no text"),
        ({**ROW, "id": "p1", "guideline": "Weather"}, "no heading 'Weather'"),
        ({**ROW, "id": "p1", "known": {}}, "has no `known`"),
    ],
    ids=str,
)
def test_a_row_that_nobody_may_practise_on_is_a_fault(tmp_path: Path, row: dict[str, Any], said: str) -> None:
    """Whoever practised on a row of the qualification would have read its answer."""
    with pytest.raises(FaultsError, match=said):
        practise(tmp_path, row)
