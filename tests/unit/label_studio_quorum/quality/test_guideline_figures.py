"""Agreement and overturns by version of the guidelines, and which paragraphs cause conflicts, gaps and questions."""

from __future__ import annotations

from typing import Any

from label_studio_quorum.campaign.history import RowRecord
from label_studio_quorum.campaign.projects import Campaign
from label_studio_quorum.campaign.reconcile import DecidedRow
from label_studio_quorum.quality.report import build
from label_studio_quorum.quality.report_page import render
from ls_config import load
from review_rules import Stage, decide, load_policy, load_team, parse_history
from review_rules.statistics.intervals import wilson

TEAM = load_team("people: [{id: ana, roles: [annotator]}, {id: ben, roles: [annotator]}, {id: cleo, roles: [qa]}]")
POLICY = load_policy("{qa: {when: all}, expert_domains: []}")
GUIDE = (
    "# Guide\n\nRead.\n\n## Verdict\n\nLook well.\n\n## Sums\n\n**Calculation or logic error**: a sum is wrong.\n\n"
    "## Sarcasm\n\nTake it as it is meant.\n"
)


def row(row_id: str, first: dict[str, Any], second: dict[str, Any], final: str | None = None) -> DecidedRow:
    """A row with two passes and, with a verdict, QA that corrects it to that."""
    fields = {"verdict": {"kind": "choice"}, "issues": {"kind": "choices"}}
    at = "2026-01-05T10:0{}:00Z".format
    passes = [
        {"by": who, "at": at(place), "values": {"verdict": "Correct"}, **answer}
        for place, (who, answer) in enumerate((("ana", first), ("ben", second)))
    ]
    reviews = [{"by": "cleo", "at": at(5), "decision": "correct", "values": {"verdict": final}}] if final else []
    history = parse_history({"row_id": row_id, "fields": fields, "passes": passes, "qa": reviews})
    sources = dict.fromkeys(Stage, ())
    return DecidedRow(
        row_id=row_id,
        tasks={},
        record=RowRecord(history=history, sources=sources),
        decision=decide(history, TEAM, POLICY),
    )


def under(number: int, **more: Any) -> dict[str, Any]:
    """An answer under a version of the guidelines."""
    return {"guidelines": {"number": number, "hash": f"sha256:{number}"}, **more}


def figures(*rows: DecidedRow, questions: tuple[str, ...] = ()) -> dict[str, Any]:
    """The report's part about guidelines; its page is drawn as well."""
    campaign = Campaign(name="c", interface=load("classification"), policy=POLICY, team=TEAM, projects={}, users=())
    report = build(campaign, rows, guidelines=GUIDE, questions=questions, draws=20)
    page = render(report)
    assert ("Paragraphs of the guidelines" in page) is bool(report["guidelines"]["paragraphs"])
    told: dict[str, Any] = report["guidelines"]
    return told


def test_rows_are_counted_under_the_versions_of_their_passes() -> None:
    """Intervals are Wilson's, of rows; rows between two versions and rows that name none stand by themselves."""
    told = figures(
        row("r1", under(1), under(1), final="Correct"),
        row("r2", under(1), under(1), final="Incorrect"),
        row("r3", under(1), under(1, values={"verdict": "Incorrect"})),
        row("r4", under(1), under(2)),
        row("r5", {}, {}),
    )
    by = {tuple(version["versions"]): version for version in told["versions"]}
    assert set(by) == {(), (1,), (1, 2)}
    low, high = (round(edge, 4) for edge in wilson(2, 3))
    assert (by[1,]["rows"], by[1,]["agreed"]) == (3, {"share": 0.6667, "low": low, "high": high})
    assert (by[1,]["final"], by[1,]["overturned"]["share"]) == (2, 0.5)
    assert by[1, 2]["overturned"] == {"share": None, "low": None, "high": None}


def test_paragraphs_are_found_by_what_people_differ_on_and_write() -> None:
    """By the labels in conflict, else by the field; a question that names a heading counts for that alone."""
    told = figures(
        row("r1", under(1), under(1, values={"verdict": "Incorrect"})),
        row("r2", under(1, values={"issues": ["Calculation or logic error"]}), under(1, values={"issues": []})),
        row("r3", under(1, flags=["guideline_gap"], reason="Does sarcasm count?"), under(1)),
        questions=("What of sarcasm in a Verdict?", "May I go home?", "Is this a Calculation or logic error?"),
    )
    counts = {part["title"]: (part["conflicts"], part["gaps"], part["questions"]) for part in told["paragraphs"]}
    assert counts == {"Sarcasm": (0, 1, 1), "Verdict": (1, 0, 1), "Sums": (1, 0, 1)}


def test_without_guidelines_there_is_nothing_to_tell() -> None:
    """A campaign of a stock server has neither versions nor paragraphs."""
    told = figures(row("r1", {}, {}))
    assert [version["versions"] for version in told["versions"]] == [[]]
    assert told["paragraphs"] == []
