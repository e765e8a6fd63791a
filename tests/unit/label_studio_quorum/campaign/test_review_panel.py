"""What QA and experts are shown of the work before theirs, and that nothing in it can become markup."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html

from label_studio_quorum.campaign.review_panel import panel_data
from ls_config import Interface, load
from review_rules import Decision, RowHistory, decide, load_policy, load_team, parse_history

TEAM = load_team("""
people:
  - {id: ana-secret, email: ana@example.com, roles: [annotator]}
  - {id: ben-secret, email: ben@example.com, roles: [annotator]}
  - {id: cleo-secret, email: cleo@example.com, roles: [qa]}
  - {id: dag-secret, email: dag@example.com, roles: [expert], expertise: [financial]}
""")
POLICY = load_policy("""
version: 1
passes: 2
qa: {when: all}
expert_domains: [technical, financial]
fields:
  verdict: {agree: exact}
  issues: {agree: jaccard, threshold: 1.0}
  response_type: {agree: exact}
  entities: {agree: span_f1, match: strict, threshold: 1.0}
  correctness: {agree: tolerance, tolerance: 1}
  completeness: {agree: tolerance, tolerance: 0}
  helpfulness: {agree: tolerance, tolerance: 0}
  tone: {agree: tolerance, tolerance: 0}
""")
REVIEW = load("response_review")
TEXT = "Helios Grid earned $58 million in Q3."
ORG = {"start": 0, "end": 11, "label": "ORG", "text": "Helios Grid"}
MONEY = {"start": 19, "end": 30, "label": "MONEY", "text": "$58 million"}
BASE: dict[str, Any] = {
    "verdict": "Correct",
    "issues": [],
    "response_type": "Direct answer",
    "entities": [ORG, MONEY],
    "correctness": 5,
    "completeness": 5,
    "helpfulness": 5,
    "tone": 5,
}


def submission(by: str, minute: int, values: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"by": by, "at": f"2026-01-05T10:{minute:02}:00Z", "values": values, "flags": [], "reason": None, **more}


def row(
    first: dict[str, Any], second: dict[str, Any], *, row_id: str = "r1", text: str = TEXT, **more: Any
) -> dict[str, Any]:
    passes = [submission("ana-secret", 1, BASE | first), submission("ben-secret", 2, BASE | second)]
    return {
        "row_id": row_id,
        "fields": REVIEW.fields({"response": text}),
        "passes": passes,
        "qa": [],
        "expert": [],
    } | more


def decided(history: dict[str, Any]) -> tuple[RowHistory, Decision]:
    parsed = parse_history(history)
    return parsed, decide(parsed, TEAM, POLICY)


def panel(history: dict[str, Any], stage: str = "qa", interface: Interface = REVIEW) -> html.HtmlElement:
    data = panel_data(*decided(history), interface, stage)
    assert set(data) == {"panel"}
    return html.fragment_fromstring(data["panel"], create_parent="div")


def cells(root: html.HtmlElement, field: str) -> list[str]:
    for line in root.xpath(".//tbody/tr"):
        if line.findtext("th") == field:
            return [" ".join(cell.text_content().split()) for cell in line.iterchildren("td")]
    return []


def heads(root: html.HtmlElement) -> list[str]:
    return [head.text_content() for head in root.xpath(".//thead//th")]


def test_only_conflicts_get_a_row() -> None:
    """What agrees is one line; what is in conflict is a marked row with both values."""
    root = panel(row({"verdict": "Incorrect"}, {"verdict": "Partly correct"}))
    assert [line.get("class") for line in root.xpath(".//tbody/tr")] == ["qp-conflict"]
    assert sorted(cells(root, "Verdict")) == ["Incorrect", "Partly correct"]
    assert heads(root)[0] == "1 of 8 in conflict"
    agreed = root.xpath('.//div[@class="qp-agreed"]')[0].text_content()
    assert "Response type: Direct answer" in agreed
    assert "Verdict" not in agreed


def test_no_conflict_is_said() -> None:
    """A row on which everything agrees says so, and still shows all values."""
    root = panel(row({}, {"correctness": 4}))
    assert heads(root)[0] == "No conflict"
    agreed = root.xpath('.//div[@class="qp-agreed"]')[0].text_content()
    assert "Issues: none" in agreed
    assert "Correctness: 5 / 4" in agreed or "Correctness: 4 / 5" in agreed


def test_spans_are_shown_on_the_text() -> None:
    """Each decision shows the whole text with its spans; what the other does not have is marked."""
    root = panel(row({"entities": [ORG]}, {}))
    assert all(cell.replace("ORG", "").replace("MONEY", "") == TEXT for cell in cells(root, "Entities"))
    marked = [span.text for span in root.xpath('.//span[contains(@class, "qp-only")]')]
    assert marked == ["$58 million"]
    assert len(root.xpath('.//span[@class="qp-span"]')) == 2


def test_overlapping_spans_keep_the_text_whole() -> None:
    """Spans that overlap or touch are cut into pieces; no character is lost or doubled."""
    many = [
        {"start": 0, "end": 11, "label": "ORG"},
        {"start": 7, "end": 19, "label": "METRIC"},
        {"start": 19, "end": 37, "label": "TECH"},
    ]
    root = panel(row({"entities": many}, {}))
    whole = [cell.text_content() for cell in root.xpath('.//div[@class="qp-text"]')]
    for sup in root.xpath(".//sup"):
        sup.drop_tree()
    assert len(whole) == 2
    assert [cell.text_content() for cell in root.xpath('.//div[@class="qp-text"]')] == [TEXT, TEXT]


def test_people_are_not_named() -> None:
    """No id of anybody is in the panel, at either stage."""
    history = row(
        {"verdict": "Incorrect"}, {}, qa=[submission("cleo-secret", 3, BASE, decision="escalate", reason="why")]
    )
    for stage in ("qa", "expert"):
        assert "secret" not in panel_data(*decided(history), REVIEW, stage)["panel"]


def carried(root: html.HtmlElement) -> dict[str, Any]:
    """What the panel carries for the screen's script."""
    (element,) = root.xpath(".//*[@data-decisions]")
    found: dict[str, Any] = json.loads(element.get("data-decisions"))
    return found


def test_the_panel_carries_its_values_as_data() -> None:
    """The script reads the same decisions in the same order, the conflicts, and what the form opens with."""
    root = panel(row({"verdict": "Incorrect", "entities": [ORG]}, {}))
    data = carried(root)
    assert [decision["title"] for decision in data["decisions"]] == heads(root)[1:3]
    assert [decision["values"]["verdict"] for decision in data["decisions"]] == cells(root, "Verdict")[:2]
    assert (data["conflicts"], data["changed"]) == (["verdict", "entities"], [])
    assert data["proposal"]["entities"] == [{"start": 0, "end": 11, "label": "ORG"}]
    assert "verdict" not in data["proposal"]
    assert data["opinions"] == []


def test_the_data_says_neither_who_nor_when() -> None:
    """A decision is its title, values, flags and reason, and QA's opinion no more; unknown fields are left out."""
    said = submission("cleo-secret", 3, BASE | {"tone": 1}, decision="escalate", reason="why", lead_time=3.5)
    data = carried(panel(row({"verdict": "Incorrect", "hidden": "secret"}, {}, qa=[said]), "expert"))
    each = [*data["decisions"], *data["opinions"]]
    assert {frozenset(decision) for decision in each} == {frozenset({"title", "values", "flags", "reason"})}
    assert {name for decision in each for name in decision["values"]} == {field.name for field in REVIEW.controls}
    assert [opinion["title"] for opinion in data["opinions"]] == ["QA: escalate"]
    assert data["changed"] == ["tone"]
    assert data["proposal"]["tone"] == 5
    assert not any(word in json.dumps(data) for word in ("secret", "2026", "3.5"))


def test_the_order_depends_on_the_row_only() -> None:
    """A and B are the same way round on every run and at both stages, and about half of the rows are turned."""
    first = [cells(panel(row({"verdict": "Incorrect"}, {}, row_id=f"r{n}")), "Verdict") for n in range(60)]
    again = [cells(panel(row({"verdict": "Incorrect"}, {}, row_id=f"r{n}")), "Verdict") for n in range(60)]
    turned = sum(both == ["Correct", "Incorrect"] for both in first)
    assert first == again
    assert 15 < turned < 45


def test_a_new_version_of_an_answer_keeps_its_side() -> None:
    """The order does not tell who answered when: it is of places in line, which an edit does not move."""
    before = cells(panel(row({"verdict": "Incorrect"}, {})), "Verdict")
    edited = row({"verdict": "Incorrect"}, {})
    edited["passes"][0]["at"] = "2026-01-05T12:00:00Z"
    assert sorted(cells(panel(edited), "Verdict")) == sorted(before)


def test_the_auto_label_stands_beside() -> None:
    """In a conflict it has its own column; where people agreed on something else, it is named."""
    root = panel(row({"verdict": "Incorrect"}, {}, auto_label={"verdict": "Cannot judge", "tone": 2}))
    assert heads(root)[-1] == "Auto-label"
    assert cells(root, "Verdict")[-1] == "Cannot judge"
    assert "Tone: 5 (auto-label: 2)" in root.text_content()
    assert "Auto-label" not in heads(panel(row({"verdict": "Incorrect"}, {})))


def test_flags_and_reasons_are_shown() -> None:
    """Each person's flags, as the screen names them, and reason, in their own column."""
    history = row({}, {})
    history["passes"][1] |= {"flags": ["domain:financial", "needs_expert"], "reason": "tax rule"}
    (said,) = [cell for cell in cells(panel(history), "Flags, reasons") if cell]
    assert said == "FinancialNeeds an experttax rule"


def test_an_expert_sees_the_qa_decision() -> None:
    """QA's word, reason and changed values stand beside the passes; QA itself sees no review."""
    qa = submission("cleo-secret", 3, BASE | {"tone": 2}, decision="escalate", reason="beyond me")
    history = row({"verdict": "Incorrect"}, {}, qa=[qa], domain="financial")
    root = panel(history, "expert")
    assert heads(root)[1:] == ["Decision A", "Decision B", "QA: escalate"]
    assert cells(root, "Tone") == ["5", "5", "2"]
    assert cells(root, "Flags, reasons")[-1] == "beyond me"
    assert "somebody who knows financial content" in root.text_content()
    assert "QA" not in panel(history).text_content()


def test_what_does_not_count_is_not_shown() -> None:
    """A surplus pass is not a decision of the row."""
    history = row({}, {})
    history["passes"].append(submission("cleo-secret", 4, BASE | {"verdict": "Incorrect"}))
    assert heads(panel(history))[1:] == ["Decision A", "Decision B"]


ELEMENTS = {"div", "table", "thead", "tbody", "tr", "th", "td", "span", "sup", "b"}
ATTRIBUTES = {"class", "style", "dir", "hidden", "data-decisions"}
TRICKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"'><svg onload=alert(1)>",
    "</td></table><iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;img src=x onerror=alert(1)&#62;",
    "<!--><img src=x onerror=alert(1)>-->",
    "<style>*{display:none}</style>",
    "javascript:alert(1)",
    "{0.__class__} {} %s ${response}",
    "<<b>script>alert(1)<</b>/script>",
]


def nothing_but_ours(root: html.HtmlElement) -> None:
    assert {str(element.tag) for element in root.iter()} <= ELEMENTS
    assert {name for element in root.iter() for name in element.attrib} <= ATTRIBUTES
    assert all(style.startswith("--qp-color:") and len(style) < 24 for style in root.xpath(".//@style"))


def everywhere(typed: str) -> dict[str, Any]:
    """A row in which this text is everything that a person or a file can put into a row."""
    text = f"{typed} {TEXT}"
    span = {"start": 0, "end": len(typed), "label": "ORG", "text": typed}
    history = row(
        {"entities": [span], "verdict": typed},
        {"issues": [typed], "response_type": typed},
        row_id=typed,
        text=text,
        auto_label={"verdict": typed, "entities": [span], "issues": [typed]},
        qa=[submission("cleo-secret", 3, BASE | {"verdict": typed}, decision="escalate", reason=typed, flags=[typed])],
        domain="financial",
    )
    for passed in history["passes"]:
        passed |= {"flags": [typed], "reason": typed}
    return history


@pytest.mark.parametrize("stage", ["qa", "expert"])
@pytest.mark.parametrize("typed", TRICKS)
def test_what_people_typed_stays_text(typed: str, stage: str) -> None:
    """Script tags, handlers, broken tags and entity tricks in every place come out as the characters they are."""
    root = panel(everywhere(typed), stage)
    nothing_but_ours(root)
    assert root.text_content().count(typed) >= 4


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=30))
def test_any_text_stays_text(typed: str) -> None:
    """No text at all makes an element or an attribute."""
    root = panel(everywhere(typed), "expert")
    nothing_but_ours(root)
    assert typed in root.text_content()


def test_a_color_cannot_carry_style() -> None:
    """A colour from a team's XML that is more than a colour is not used."""
    odd = tuple(
        replace(control, colors=("red;background:url(//evil)",) * len(control.colors)) for control in REVIEW.controls
    )
    root = panel(row({"entities": [ORG]}, {}), interface=replace(REVIEW, controls=odd))
    nothing_but_ours(root)
    assert set(root.xpath('.//span[contains(@class, "qp-span")]/@style')) == {"--qp-color:gray"}


def test_of_a_long_text_the_differing_parts_are_shown() -> None:
    """Every column shows the same parts of a long response: those around the spans that differ."""
    text = f"{'early words ' * 40}{TEXT} {'later words ' * 40}Helios Grid again, {'far off ' * 40}"
    at = text.index("Helios")
    org = {"start": at, "end": at + 11, "label": "ORG", "text": "Helios Grid"}
    far = {"start": text.rindex("Helios"), "end": text.rindex("Helios") + 11, "label": "ORG"}
    first, second = cells(panel(row({"entities": [org]}, {"entities": [far]}, text=text)), "Entities")
    assert first.replace("ORG", "") == second.replace("ORG", "")
    assert first.count("…") == 3
    assert "Helios Grid earned" in first.replace("ORG", "")
    assert len(first) < 600 < len(text)
