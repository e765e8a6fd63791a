"""The qualification's file: rows with known answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from label_studio_quorum.campaign.qualification import qualification_of
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
