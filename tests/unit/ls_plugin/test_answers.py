"""Answers are held to the form that they answer: nonsense is refused by name, and what the screen sends goes through."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tasks.models import Annotation, AnnotationDraft

from ls_config import from_result, load, to_result
from ls_plugin.models import Stage
from tests.unit.ls_plugin.support import CampaignInTest, make_campaign, owner_client, post

Item = dict[str, Any]
TYPES = {
    "verdict": "choices",
    "response_type": "choices",
    "issues": "choices",
    "flags": "choices",
    "flag_reason": "textarea",
    "entities": "labels",
    "decision": "choices",
    "decision_reason": "textarea",
    "decision_note": "textarea",
}


def item(name: str, **value: Any) -> Item:
    """An item as the screen writes it."""
    to_name = "panel" if name.startswith("decision") else "response"
    return {"from_name": name, "to_name": to_name, "type": TYPES.get(name, "rating"), "value": value}


def span(start: Any, end: Any, label: str = "ORG", **more: Any) -> Item:
    """A span on the response, which is `R.`."""
    return item("entities", start=start, end=end, labels=[label], **more)


TONE, VERDICT = item("tone", rating=4), item("verdict", choices=["Correct"])
# name: the items, and the control that the refusal names
NONSENSE: dict[str, tuple[list[Any], str]] = {
    "a rating of 10^30": ([item("tone", rating=10**30)], "tone"),
    "a rating of 10^400": ([item("tone", rating=10**400)], "tone"),
    "a rating above the scale": ([item("tone", rating=6)], "tone"),
    "a rating below the scale": ([item("tone", rating=-1)], "tone"),
    "a rating that is true": ([item("tone", rating=True)], "tone"),
    "a rating that is false": ([item("tone", rating=False)], "tone"),
    "half a star": ([item("tone", rating=2.5)], "tone"),
    "a rating that is text": ([item("tone", rating="4")], "tone"),
    "a rating that is a list": ([item("tone", rating=[4])], "tone"),
    "a rating that is missing": ([item("tone")], "tone"),
    "a rating by another key": ([item("tone", number=4)], "tone"),
    "two ratings": ([item("tone", rating=2), item("tone", rating=4)], "tone"),
    "two verdicts in one item": ([item("verdict", choices=["Correct", "Incorrect"])], "verdict"),
    "one verdict twice in one item": ([item("verdict", choices=["Correct", "Correct"])], "verdict"),
    "two verdicts in two items": ([VERDICT, item("verdict", choices=["Incorrect"])], "verdict"),
    "a label that the form lacks": ([item("verdict", choices=["Excellent"])], "verdict"),
    "a label in another case": ([item("verdict", choices=["correct"])], "verdict"),
    "a choice that is a number": ([item("verdict", choices=[1])], "verdict"),
    "a choice that is a path": ([item("verdict", choices=[["Correct", "Sure"]])], "verdict"),
    "choices that are an object": ([item("verdict", choices={"0": "Correct"})], "verdict"),
    "choices by another key": ([item("verdict", labels=["Correct"])], "verdict"),
    "one issue that the form lacks": ([item("issues", choices=["Code error", "Boring"])], "issues"),
    "a flag that the form lacks": ([item("flags", choices=["domain:astrology"])], "flags"),
    "a reason that is a number": ([item("flag_reason", text=[7])], "flag_reason"),
    "a reason that is an object": ([item("flag_reason", text={"a": "b"})], "flag_reason"),
    "a span at -5": ([span(-5, 1)], "entities"),
    "a span with a start alone": ([item("entities", start=-5)], "entities"),
    "a span beyond the text": ([span(0, 3)], "entities"),
    "a span at 10^30": ([span(10**30, 10**30 + 1)], "entities"),
    "a span that is reversed": ([span(2, 1)], "entities"),
    "a span of nothing": ([span(1, 1)], "entities"),
    "a span whose text differs": ([span(0, 1, text="Q")], "entities"),
    "a span whose text is a number": ([span(0, 1, text=1)], "entities"),
    "a span at true": ([span(False, True)], "entities"),
    "a span at half a character": ([span(0.5, 1)], "entities"),
    "a span at text": ([span("0", "1")], "entities"),
    "a span whose label the form lacks": ([span(0, 1, "PLANET")], "entities"),
    "a span without a label": ([item("entities", start=0, end=1, labels=[])], "entities"),
    "a value that is a list": ([{**TONE, "value": [4]}], ""),
    "a value that is missing": ([{key: TONE[key] for key in ("from_name", "to_name", "type")}], ""),
    "an item that is text": (["tone"], ""),
    "a control that the form lacks": ([{**TONE, "from_name": "mood"}], "mood"),
    "no control": ([{**TONE, "from_name": ""}], ""),
    "a control that is a number": ([{**TONE, "from_name": 5}], ""),
    "another object tag": ([{**TONE, "to_name": "query"}], "tone"),
    "an object tag that the form lacks": ([{**TONE, "to_name": "nothing"}], "tone"),
    "another type": ([{**TONE, "type": "number"}], "tone"),
    "a type that nobody has": ([{**TONE, "type": "magic"}], "tone"),
    "a region id that is an object": ([{**TONE, "id": {"a": 1}}], "tone"),
    "a region id that is a number": ([{**TONE, "id": 12}], "tone"),
    "not a number": ([item("tone", rating=float("nan"))], ""),
    "an endless number": ([item("tone", rating=float("inf"))], ""),
    "half of a character": ([item("flag_reason", text=["\ud800"])], ""),
    "NUL": ([item("flag_reason", text=["\0"])], ""),
}
# The shape of the request is looked at before its meaning.
OF_SHAPE = {"an item that is text", "a value that is a list", "a value that is missing", "a control that is a number"}
OF_STORAGE = {"not a number", "an endless number", "half of a character", "NUL"}
OF_REVIEWS: dict[str, tuple[list[Any], str]] = {
    "two words": ([item("decision", choices=["accept", "discard"])], "decision"),
    "a word that the form lacks": ([item("decision", choices=["approve"])], "decision"),
    "a decision that is true": ([item("decision", choices=True)], "decision"),
    "a reason that is a number": ([item("decision_reason", text=[5])], "decision_reason"),
    "a decision on the response": ([{**item("decision", choices=["accept"]), "to_name": "response"}], "decision"),
}


@dataclass(frozen=True)
class Desk:
    """A campaign in which each way of handing in an answer is open to somebody."""

    campaign: CampaignInTest
    pass_task: int
    answered: Annotation
    qa_task: int
    draft: AnnotationDraft

    def ways(self) -> dict[str, Callable[[list[Any]], Any]]:
        """Way → hand these items in."""
        return {
            "pass": lambda items: self.campaign.submit("ana", self.pass_task, items),
            "draft": lambda items: self.campaign.submit("ana", self.pass_task, items, draft_id=self.draft.pk),
            "change": lambda items: self.campaign.client("cal").patch(
                f"/api/annotations/{self.answered.pk}/", {"result": items}, content_type="application/json"
            ),
            "qa": lambda items: self.campaign.submit("quin", self.qa_task, items),
        }

    def stored(self) -> list[Any]:
        """All that is stored of what the ways lead to."""
        tasks = [self.pass_task, self.qa_task]
        return list(Annotation.objects.filter(task_id__in=tasks).order_by("pk").values_list("pk", "result"))


def sample() -> list[Item]:
    """A whole answer to the form, on the row of these tests."""
    values = {
        "entities": [{"start": 0, "end": 1, "label": "ORG"}],
        "verdict": "Correct",
        "response_type": "Code",
        "issues": ["Code error", "Factual error"],
        "tone": 4,
        "correctness": 5,
        "completeness": 5,
        "helpfulness": 5,
        "flags": ["unsure", "domain:technical"],
        "flag_reason": "why",
    }
    return to_result(values, load("response_review").all_controls, {"response": "R."})


def with_more(added: list[Any]) -> list[Any]:
    """A whole answer in which the named controls say this instead, or which holds this besides."""
    names = {one.get("from_name") for one in added if isinstance(one, dict)}
    return [one for one in sample() if one["from_name"] not in names] + added


@pytest.fixture(scope="module")
def desk(database: Path) -> Desk:
    campaign = make_campaign(label_type="response_review")
    campaign.add_rows("r1")
    for person in ("ana", "bea"):
        campaign.answer(person, sample())
    qa_task = campaign.take("quin", Stage.QA)
    campaign.add_rows("r2")
    answered = campaign.answer("cal", sample())
    pass_task = campaign.take("ana")
    made = post(campaign.client("ana"), f"/api/tasks/{pass_task}/drafts", {"result": sample(), "lead_time": 1})
    return Desk(campaign, pass_task, answered, qa_task, AnnotationDraft.objects.get(pk=made.json()["id"]))


@pytest.mark.parametrize("way", ["pass", "draft", "change", "qa"])
@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_is_refused_by_its_control_and_not_stored(desk: Desk, name: str, way: str) -> None:
    """Whichever way it comes, also as a draft that becomes an answer, which the author keeps."""
    added, control = NONSENSE[name]
    before = desk.stored()
    refused = desk.ways()[way](with_more(added))
    body = refused.json()
    assert (refused.status_code, body["code"]) == (
        400,
        "bad_request" if name in OF_SHAPE | OF_STORAGE else "bad_answer",
    )
    if control:
        assert body["detail"].startswith(f"The answer to {control} cannot be stored: ")
        assert body["detail"].endswith(".")
    assert desk.stored() == before
    assert AnnotationDraft.objects.filter(pk=desk.draft.pk).exists()


@pytest.mark.parametrize("name", OF_REVIEWS)
def test_nonsense_in_a_decision_is_refused(desk: Desk, name: str) -> None:
    """The review form's own controls are read like the fields, and a Pass form has none of them."""
    added, control = OF_REVIEWS[name]
    before = desk.stored()
    for way in ("qa", "pass", "change"):
        refused = desk.ways()[way](with_more(added))
        assert (refused.status_code, refused.json()["code"]) == (400, "bad_answer")
        assert refused.json()["detail"].startswith(f"The answer to {control} cannot be stored: ")
    decided = [item("decision", choices=["accept"])]
    assert "no control 'decision'" in desk.ways()["pass"](with_more(decided)).json()["detail"]
    assert desk.stored() == before


def test_a_form_that_sends_text_is_read_too(desk: Desk) -> None:
    """Label Studio reads the list out of the text, and it is that list which is looked at."""
    result = json.dumps(with_more([item("tone", rating=9)]))
    refused = desk.campaign.client("ana").post(
        f"/api/tasks/{desk.pass_task}/annotations/", {"result": result, "lead_time": "1"}
    )
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_answer")


def everything_else() -> list[Item]:
    """A whole answer with all that the screen writes around answers."""
    around = {"origin": "manual", "score": 0.5, "parentID": "gone", "meta": {"text": ["a note"]}, "readonly": False}
    items = [{**one, **around} for one in sample()]
    for one in items:
        if one["from_name"] == "entities":
            one["value"] |= {"globalOffsets": {"start": 0, "end": 1}, "startOffset": 0, "endOffset": 1}
    return items


LEGITIMATE: dict[str, list[Any]] = {
    "a whole answer": sample(),
    "all that stands around answers": everything_else(),
    "no region ids": [{key: one[key] for key in one if key != "id"} for one in sample()],
    "no star": with_more([item("tone", rating=0)]),
    "no reason": with_more([item("flag_reason", text=[])]),
    "a reason as text": with_more([item("flag_reason", text="why")]),
    "a reason of several lines": with_more([item("flag_reason", text=["one", "two\nthree 😀"])]),
    "no issue": with_more([item("issues", choices=[])]),
    "every issue": with_more([item("issues", choices=list(load("response_review").control("issues").labels))]),
    "spans over each other": with_more([span(0, 2, text="R."), span(0, 1, "DATE", text="R"), span(1, 2)]),
    "one span twice": with_more([span(0, 1), span(0, 1)]),
    "a span with two labels": with_more([item("entities", start=0, end=1, labels=["ORG", "DATE"])]),
    "a line between regions": [*sample(), {"type": "relation", "from_id": "a", "to_id": "b", "direction": "right"}],
    "one answer said twice": [*sample(), {**TONE, "id": "again"}],
}


@pytest.mark.parametrize("name", LEGITIMATE)
def test_what_the_screen_sends_is_stored(name: str) -> None:
    """As a submission and as a change, at Pass and in QA, exactly as it was sent."""
    campaign = make_campaign(label_type="response_review")
    campaign.add_rows("r1")
    result = LEGITIMATE[name]
    first = campaign.answer("ana", result)
    address = f"/api/annotations/{first.pk}/"
    changed = campaign.client("ana").patch(address, {"result": result}, content_type="application/json")
    assert changed.status_code == 200
    assert Annotation.objects.get(pk=first.pk).result == result
    campaign.answer("bea", sample())
    reviewed = campaign.answer("quin", [*result, item("decision", choices=["accept"])], Stage.QA)
    assert reviewed.result[:-1] == result


def test_an_expert_is_held_to_the_review_form_too() -> None:
    """QA escalates, the expert's nonsense is refused, and the expert's answer stands."""
    campaign = make_campaign(label_type="response_review")
    campaign.add_rows("r1", domain="technical")
    for person in ("ana", "bea"):
        campaign.answer(person, sample())
    words = [item("decision", choices=["escalate"]), item("decision_reason", text=["not mine to say"])]
    campaign.answer("quin", [*sample(), *words], Stage.QA)
    task = campaign.take("eve", Stage.EXPERT)
    refused = campaign.submit("eve", task, [*sample(), item("decision", choices=["maybe"])])
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_answer")
    note = item("decision_note", text=["see the guidelines"])
    kept = campaign.submit("eve", task, [*sample(), item("decision", choices=["accept"]), note])
    assert kept.status_code == 201


def test_a_skip_says_nothing_about_the_row() -> None:
    """What stands in the form when somebody skips is no answer, and must be one before it is handed in."""
    campaign = make_campaign(label_type="response_review")
    campaign.add_rows("r1")
    task, nonsense = campaign.take("ana"), with_more([item("tone", rating=9)])
    skip = campaign.submit("ana", task, nonsense, was_cancelled=True)
    assert skip.status_code == 201
    back = post(campaign.client("ana"), f"/api/annotations/{skip.json()['id']}/convert-to-draft", {})
    refused = campaign.submit("ana", task, nonsense, draft_id=back.json()["id"])
    assert refused.json()["code"] == "bad_answer"
    assert campaign.submit("ana", task, sample(), draft_id=back.json()["id"]).status_code == 201


def test_a_form_that_a_manager_broke_stops_nobody() -> None:
    """It cannot be read, so neither can the answer yet; it is kept, and looked at when it is counted."""
    campaign = make_campaign(label_type="response_review")
    campaign.add_rows("r1")
    task = campaign.take("ana")
    project = campaign.projects[Stage.PASS]
    broken = load("response_review").xml.replace('toName="response" maxRating="5"', 'toName="response" maxRating="x"')
    type(project).objects.filter(pk=project.pk).update(label_config=broken)
    try:
        assert campaign.submit("ana", task, sample()).status_code in (201, 500)
    finally:
        type(project).objects.filter(pk=project.pk).update(label_config=project.label_config)
    assert owner_client().get(f"/api/tasks/{task}/").status_code == 200
    assert from_result(sample(), load("response_review").all_controls, {"response": "R."}).wrong == ()
