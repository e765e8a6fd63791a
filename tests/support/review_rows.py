"""Made rows for the review screens: of no conflict up to every field in conflict, of short texts and long ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ls_config import Interface
from tests.support.screens import review_task, said

Json = Any

QUERY = "How did Northwind Foods do in the third quarter, and why did the margin change?"
CONTEXT = (
    "Northwind Foods reported net revenue of $412.6 million for the third quarter of 2025, up 8 % on the year before. "
    "Operating margin fell to 11.2 % from 12.9 % because of higher freight costs, CFO Laura Stein said in Rotterdam. "
)
RESPONSE = (
    "In Q3 2025 Northwind Foods raised net revenue by 8 % to $412.6 million 😀. Its operating margin fell to 11.2 % "
    "because of lower prices, CFO Laura Stein said. The company expects the margin to recover by the end of the year. "
)
FIELDS = ("verdict", "entities", "issues", "correctness", "response_type", "tone", "completeness", "helpfulness")
"""The fields in the order in which rows of more and more conflicts take them into conflict."""


def span(text: str, words: str, label: str) -> Json:
    """The first place of these words, in code points."""
    start = text.index(words)
    return {"start": start, "end": start + len(words), "label": label, "text": words}


def answers(text: str) -> tuple[dict[str, Json], dict[str, Json]]:
    """Two people's answers that differ in every field; of the entities one is common and each has two more."""
    common = span(text, "Northwind Foods", "ORG")
    first = {
        "verdict": "Correct",
        "issues": [],
        "response_type": "Direct answer",
        "entities": [common, span(text, "net revenue", "METRIC"), span(text, "Laura Stein", "PERSON")],
        **dict.fromkeys(("correctness", "completeness", "helpfulness", "tone"), 5),
    }
    second = {
        "verdict": "Partly correct",
        "issues": ["Contradicts context", "Missing information"],
        "response_type": "Explanation",
        "entities": [common, span(text, "CFO Laura Stein", "PERSON"), span(text, "11.2 %", "QUANTITY")],
        **dict.fromkeys(("correctness", "completeness", "helpfulness", "tone"), 2),
    }
    return first, second


def made_task(
    interface: Interface, conflicts: int, *, stage: str = "qa", length: int = 0, fields: Sequence[str] = FIELDS
) -> Json:
    """A review task in which the first so many of the fields are in conflict, on texts of about this length."""
    response, context = (text * (1 + length // len(text)) for text in (RESPONSE, CONTEXT))
    data = {
        "row_id": f"row-{conflicts}-{length}-{stage}",
        "domain": "financial",
        "query": QUERY,
        "context": context.strip(),
        "response": response.strip(),
    }
    first, second = answers(data["response"])
    other = {name: second[name] if name in fields[:conflicts] else value for name, value in first.items()}
    qa = said(second, ["needs_expert"], "Which margin is meant depends on the standard.", decision="escalate")
    return review_task(
        interface,
        stage,
        data,
        [said(first, ["unsure"] if conflicts else []), said(other)],
        qa if stage == "expert" else None,
        first,
    )
