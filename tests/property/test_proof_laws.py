"""Any single change of value in an exported file is found, and no change of how a value is written."""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from review_rules.canonical_json import json_text
from tests.support.export_files import proof_of
from tests.support.laws import examples
from tests.unit.label_studio_quorum.gold.test_proof import exported

Path_ = tuple[str | int, ...]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**65), 2**65)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=2),
    max_leaves=3,
)


@lru_cache(maxsize=4)
def values_of(name: str) -> Any:
    """What an export of a format holds as JSON: a list of records, tasks, or rows of a table."""
    with tempfile.TemporaryDirectory() as folder:
        path = exported(name, Path(folder))
        if name == "jsonl":
            return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        if name == "label-studio":
            return json.loads(path.read_text("utf-8"))
        with path.open(encoding="utf-8", newline="") as file:
            return [row | {"quorum.record": json.loads(row["quorum.record"])} for row in csv.DictReader(file)]


def write(name: str, path: Path, values: Any) -> None:
    """The same as a file."""
    if name == "jsonl":
        path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    elif name == "label-studio":
        path.write_text(json.dumps(values), encoding="utf-8")
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(values[0]))
            writer.writeheader()
            writer.writerows(row | {"quorum.record": json.dumps(row["quorum.record"])} for row in values)


def paths(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """Every place in a value."""
    if path:
        yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in entries:
        yield from paths(item, (*path, key))


def put(value: Any, path: Path_, new: Any) -> Any:
    """The value with another one at a place."""
    if not path:
        return new
    key, *rest = path
    if isinstance(value, list):
        return [put(item, tuple(rest), new) if at == key else item for at, item in enumerate(value)]
    return value | {key: put(value[key], tuple(rest), new)}


def at(value: Any, path: Path_) -> Any:
    """What stands at a place."""
    for key in path:
        value = value[key]
    return value


@pytest.mark.parametrize(("name", "suffix"), [("jsonl", ".jsonl"), ("label-studio", ".json"), ("csv", ".csv")])
@settings(max_examples=examples(150), deadline=None)
@given(data=st.data())
def test_any_single_change_is_found(name: str, suffix: str, data: st.DataObject) -> None:
    """Whatever value stands instead of another, anywhere in the file: there is a finding, and no exception. In a table
    that holds for the records; its cells are texts."""
    values = values_of(name)
    root = (data.draw(st.integers(0, 2)), *(("quorum.record",) if name == "csv" else ()))
    path = (*root, *data.draw(st.sampled_from(sorted(paths(at(values, root)), key=str))))
    new = data.draw(VALUES)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"a{suffix}"
        write(name, file, put(values, path, new))
        _, unproven = proof_of(file)
    assert bool(unproven) == (json_text(at(values, path)) != json_text(new))


@pytest.mark.parametrize(("name", "suffix"), [("jsonl", ".jsonl"), ("label-studio", ".json"), ("csv", ".csv")])
@settings(max_examples=examples(60), deadline=None)
@given(data=st.data())
def test_anything_taken_away_is_found(name: str, suffix: str, data: st.DataObject) -> None:
    """A key or an element that is not there any more, anywhere in the file, is a finding too."""
    values = json.loads(json.dumps(values_of(name)))
    root = (data.draw(st.integers(0, 2)), *(("quorum.record",) if name == "csv" else ()))
    path = (*root, *data.draw(st.sampled_from(sorted(paths(at(values, root)), key=str))))
    del at(values, path[:-1])[path[-1]]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"a{suffix}"
        write(name, file, values)
        _, unproven = proof_of(file)
    assert unproven
