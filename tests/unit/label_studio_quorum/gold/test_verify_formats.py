"""`quorum verify` holds on every format that carries the history: real decisions over real rows, exported and proved
again."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from label_studio_quorum.gold.formats import CARRIES_HISTORY, write
from label_studio_quorum.intake import Row, read_rows
from tests.support.export_files import REVIEW, SUFFIX, decided_records, example_rows, proof_of

ROOT = Path(__file__).parents[4]
SHARED = Path(os.environ.get("QUORUM_SHARED_DATA") or ROOT.parent / "shared" / "data")


def rows(source: str) -> list[Row]:
    """Rows of the example campaign, or real ones."""
    if source == "example":
        return example_rows()
    path = SHARED / "responses_dev.jsonl"
    if not path.exists():
        pytest.skip(f"{path.name} is not here; set QUORUM_SHARED_DATA")
    return [entry for entry in read_rows(path, interface=REVIEW) if isinstance(entry, Row)]


SOURCES = ["example", pytest.param("real", marks=pytest.mark.slow)]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", CARRIES_HISTORY)
def test_verify_holds(name: str, source: str, tmp_path: Path) -> None:
    """Every final label of the export follows from its own history, whatever the format; the rows come in again as
    they were."""
    given = rows(source)
    path = tmp_path / SUFFIX[name]
    report = write(decided_records(given), path, name, interface=REVIEW)
    assert (report.rows, report.left_out) == (len(given) - 1, 1)
    proof, unproven = proof_of(path)
    assert [str(entry) for entry in unproven] == []
    assert (proof.rows, proof.final) == (len(given) - 1, len(given) - 1)
    back = [one for one in read_rows(path, interface=REVIEW) if isinstance(one, Row)]
    assert back == given[:-1]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", ["ground-truth", "conll"])
def test_formats_without_history_hold_the_final_labels(name: str, source: str, tmp_path: Path) -> None:
    """What carries no history still has every gold row, and a manifest gives the same rows back."""
    given = rows(source)
    path = tmp_path / ("a.manifest" if name == "ground-truth" else "a.conll")
    write(decided_records(given), path, name, interface=REVIEW)
    if name == "ground-truth":
        assert [one for one in read_rows(path, interface=REVIEW) if isinstance(one, Row)] == given[:-1]
        last = json.loads(path.read_text("utf-8").splitlines()[-1])
        assert last["adjusted-verdict-metadata"]["class-name"] == "Correct"
    else:
        assert path.read_text("utf-8").count("# row_id = ") == len(given) - 1


def test_forged_final_value_is_found(tmp_path: Path) -> None:
    """A final value that does not follow from the history is named, in a table as in JSON lines."""
    forged = next(decided_records(rows("example")))
    forged["final"]["values"]["tone"]["value"] = 1
    for name in ("jsonl", "csv", "label-studio"):
        write([forged], tmp_path / SUFFIX[name], name, interface=REVIEW)
        _, unproven = proof_of(tmp_path / SUFFIX[name])
        assert [(entry.row_id, entry.finding.id) for entry in unproven] == [(forged["row_id"], "QR.E110")]
