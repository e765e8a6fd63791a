"""Exports for tests: where each format is written, decided records of the example's rows, and the proof of a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from label_studio_quorum.gold.proof import Proof, Unproven
from label_studio_quorum.intake import Row, read_rows, row_hash
from ls_config import load
from review_rules import decide, load_policy, load_team, parse_history
from review_rules.seals import Places
from review_rules.verify import Verifier

SUFFIX = {
    "jsonl": "a.jsonl",
    "csv": "a.csv",
    "xlsx": "a.xlsx",
    "parquet": "a.parquet",
    "hf": "folder",
    "ground-truth": "a.manifest",
    "label-studio": "a.json",
}
"""Where the tests of exports write each format."""

REVIEW = load("response_review")
EXAMPLES = Path(__file__).parents[2] / "examples"
POLICY = load_policy((EXAMPLES / "policy.yaml").read_text("utf-8"))
TEAM_TEXT = """
people:
  - {id: ana, email: ana@example.com, roles: [annotator]}
  - {id: ben, email: ben@example.com, roles: [annotator]}
  - {id: dag, email: dag@example.com, roles: [qa, expert], expertise: [financial, technical]}
"""
TEAM = load_team(TEAM_TEXT)


def example_rows() -> list[Row]:
    """The rows of the example campaign."""
    return [entry for entry in read_rows(EXAMPLES / "rows.jsonl", interface=REVIEW) if isinstance(entry, Row)]


def decided_records(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """Two people label each row (apart on every third), QA decides; the last row still waits for QA."""
    for number, row in enumerate(rows):
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
            "passes": [_submission("ana", 10, values), _submission("ben", 11, other)],
            "qa": [_submission("dag", 12, values) | {"decision": "correct"}] if number < len(rows) - 1 else [],
            "expert": [],
        }
        decision = decide(parse_history(history), TEAM, POLICY).to_json()
        record = history | {"row": row.columns(), "row_hash": row_hash(row)}
        yield record | {key: value for key, value in decision.items() if key not in history}


def _submission(who: str, hour: int, values: dict[str, Any]) -> dict[str, Any]:
    return {
        "by": who,
        "at": f"2026-01-05T{hour}:00:00Z",
        "lead_time": 9.5,
        "values": values,
        "flags": [],
        "reason": None,
    }


def proof_of(path: Path, places: Places | None = None) -> tuple[Proof, list[Unproven]]:
    """The proof of an export of `decided_records`, and everything in it that does not follow."""
    proof = Proof(path, Verifier(TEAM, POLICY, places or Places()))
    return proof, list(proof.findings())
