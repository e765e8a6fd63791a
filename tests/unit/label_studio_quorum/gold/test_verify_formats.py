"""`quorum verify` holds on every format that carries the history: real decisions over real rows, exported and proved
again."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from label_studio_quorum.commands.verify import check_file
from label_studio_quorum.gold.formats import CARRIES_HISTORY, write
from label_studio_quorum.intake import Row, read_rows
from ls_config import load
from review_rules import decide, load_policy, load_team, parse_history
from tests.support.export_files import SUFFIX

ROOT = Path(__file__).parents[4]
SHARED = Path(os.environ.get("QUORUM_SHARED_DATA") or ROOT.parent / "shared" / "data")
REVIEW = load("response_review")
POLICY = load_policy((ROOT / "examples" / "policy.yaml").read_text("utf-8"))
TEAM = load_team("""
people:
  - {id: ana, email: ana@example.com, roles: [annotator]}
  - {id: ben, email: ben@example.com, roles: [annotator]}
  - {id: dag, email: dag@example.com, roles: [qa, expert], expertise: [financial, technical]}
""")


def rows(source: str) -> list[Row]:
    """Rows of the example campaign, or real ones."""
    path = ROOT / "examples" / "rows.jsonl" if source == "example" else SHARED / "responses_dev.jsonl"
    if not path.exists():
        pytest.skip(f"{path.name} is not here; set QUORUM_SHARED_DATA")
    return [one for one in read_rows(path, interface=REVIEW) if isinstance(one, Row)]


def records(given: list[Row]) -> Iterator[dict[str, Any]]:
    """Two people label each row (apart on every third), QA decides; the last row still waits for QA."""
    for number, row in enumerate(given):
        values: dict[str, Any] = {"verdict": "Correct", "issues": [], "response_type": "Other", "entities": []}
        values |= dict.fromkeys(("correctness", "completeness", "helpfulness", "tone"), 4)
        if row.response.strip():
            text = row.response.strip()[:6]
            start = row.response.index(text)
            values["entities"] = [{"start": start, "end": start + len(text), "label": "ORG", "text": text}]
        other = values | {"verdict": "Incorrect"} if number % 3 == 0 else values
        history = {
            "row_id": row.row_id,
            "fields": REVIEW.fields(row.columns()),
            "domain": row.domain,
            "auto_label": dict(row.auto_label) if row.auto_label else None,
            "passes": [_seat("ana", 10, values), _seat("ben", 11, other)],
            "qa": [_seat("dag", 12, values) | {"decision": "correct"}] if number < len(given) - 1 else [],
            "expert": [],
        }
        decision = decide(parse_history(history), TEAM, POLICY).to_json()
        yield history | {"row": row.columns()} | {key: value for key, value in decision.items() if key not in history}


def _seat(who: str, hour: int, values: dict[str, Any]) -> dict[str, Any]:
    return {
        "by": who,
        "at": f"2026-01-05T{hour}:00:00Z",
        "lead_time": 9.5,
        "values": values,
        "flags": [],
        "reason": None,
    }


@pytest.mark.parametrize("source", ["example", "real"])
@pytest.mark.parametrize("name", CARRIES_HISTORY)
def test_verify_holds(name: str, source: str, tmp_path: Path) -> None:
    """Every final label of the export follows from its own history, whatever the format; the rows come in again as
    they were."""
    given = rows(source)
    path = tmp_path / SUFFIX[name]
    report = write(records(given), path, name, interface=REVIEW)
    assert (report.rows, report.left_out) == (len(given) - 1, 1)
    tally = {"rows": 0, "final": 0}
    assert [str(found) for found in check_file(path, tally, POLICY, TEAM)] == []
    assert tally == {"rows": len(given) - 1, "final": len(given) - 1}
    back = [one for one in read_rows(path, interface=REVIEW) if isinstance(one, Row)]
    assert back == given[:-1]


@pytest.mark.parametrize("name", ["ground-truth", "conll"])
def test_formats_without_history_hold_the_final_labels(name: str, tmp_path: Path) -> None:
    """What carries no history still has every gold row, and a manifest gives the same rows back."""
    given = rows("real")
    path = tmp_path / ("a.manifest" if name == "ground-truth" else "a.conll")
    write(records(given), path, name, interface=REVIEW)
    if name == "ground-truth":
        assert [one for one in read_rows(path, interface=REVIEW) if isinstance(one, Row)] == given[:-1]
        last = json.loads(path.read_text("utf-8").splitlines()[-1])
        assert last["adjusted-verdict-metadata"]["class-name"] == "Correct"
    else:
        assert path.read_text("utf-8").count("# row_id = ") == len(given) - 1


def test_forged_final_value_is_found(tmp_path: Path) -> None:
    """A final value that does not follow from the history is named, in a table as in JSON lines."""
    forged = next(records(rows("example")))
    forged["final"]["values"]["tone"]["value"] = 1
    for name in ("jsonl", "csv", "label-studio"):
        write([forged], tmp_path / SUFFIX[name], name, interface=REVIEW)
        found = list(check_file(tmp_path / SUFFIX[name], {"rows": 0, "final": 0}, POLICY, TEAM))
        assert [row_id for _, row_id, _ in found] == [forged["row_id"]]
