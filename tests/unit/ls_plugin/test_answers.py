"""Answers are held to their form: nonsense is refused by its control, and what the screen sends goes through."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from tasks.models import Annotation, AnnotationDraft, Prediction

from ls_config import load
from ls_plugin.access.answer_content import require_fitting
from ls_plugin.models import Stage
from ls_plugin.store.refusals import Refused
from tests.support.answers import LEGITIMATE, NO_STAR, NONSENSE, OF_REVIEWS, item, sample, with_more
from tests.unit.ls_plugin.snapshots import built_once
from tests.unit.ls_plugin.support import CampaignInTest, make_campaign, post

# The shape of the request is looked at before its meaning, and Label Studio looks for numbers without end before that.
OF_SHAPE = {"an item that is text", "a value that is a list", "a value that is missing", "a control that is a number"}
OF_STORAGE = {"half of a character", "NUL"}
OF_PARSING = {"not a number", "an endless number"}


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


@pytest.fixture
@built_once
def desk() -> Desk:
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


@pytest.mark.parametrize(
    "way", ["pass", *(pytest.param(way, marks=pytest.mark.slow) for way in ("draft", "change", "qa"))]
)
@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_is_refused_by_its_control_and_not_stored(desk: Desk, name: str, way: str) -> None:
    """Whichever way it comes, also as a draft that becomes an answer, which the author keeps."""
    added, control = NONSENSE[name]
    before = desk.stored()
    refused = desk.ways()[way](with_more(added))
    body = refused.json()
    code = "bad_request" if name in OF_SHAPE | OF_STORAGE else "bad_answer"
    assert (refused.status_code, body.get("code")) == (400, None if name in OF_PARSING else code)
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


def test_a_rating_that_was_taken_back_is_stored_and_is_no_value() -> None:
    """The form requires it, so by the rules the pass does not count: somebody else is asked."""
    campaign = make_campaign(label_type="response_review")
    campaign.add_rows("r1")
    assert campaign.answer("ana", NO_STAR).result == NO_STAR
    campaign.answer("bea", sample())
    assert campaign.next("quin", Stage.QA).json()["code"] == "no_task"


def test_an_expert_is_held_to_the_review_form_too() -> None:
    """QA escalates, the expert's nonsense is refused, and the expert's answer stands."""
    campaign = make_campaign(label_type="response_review")
    campaign.add_rows("r1", domain="technical")
    for person in ("ana", "bea"):
        campaign.answer(person, sample())
    words = [item("decision", choices=["escalate"]), item("decision_reason", text=["not mine to say"])]
    campaign.answer("dag", [*sample(), *words], Stage.QA)
    task = campaign.take("eve", Stage.EXPERT)
    refused = campaign.submit("eve", task, [*sample(), item("decision", choices=["maybe"])])
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_answer")
    note = item("decision_note", text=["see the guidelines"])
    kept = campaign.submit("eve", task, [*sample(), item("decision", choices=["accept"]), note])
    assert kept.status_code == 201


def test_a_skip_says_nothing_about_the_row() -> None:
    """What stands in the form when somebody skips is no answer, and is not read as one."""
    campaign = make_campaign(label_type="response_review")
    campaign.add_rows("r1")
    task, nonsense = campaign.take("ana"), with_more([item("tone", rating=9), item("flag_reason", text=["cut off"])])
    assert campaign.submit("ana", task, nonsense, was_cancelled=True).status_code == 201
    assert Annotation.objects.get(task_id=task).was_cancelled


def test_a_form_that_a_manager_broke_stops_nobody() -> None:
    """It cannot be read, so neither can the answer yet; it is kept, and looked at when it is counted."""
    campaign = make_campaign(label_type="response_review")
    campaign.add_rows("r1")
    task = campaign.take("ana")
    project = campaign.projects[Stage.PASS]
    broken = load("response_review").xml.replace('toName="response" maxRating="5"', 'toName="response" maxRating="x"')
    type(project).objects.filter(pk=project.pk).update(label_config=broken)
    require_fitting([item("tone", rating=9)], task)
    type(project).objects.filter(pk=project.pk).update(label_config=project.label_config)
    with pytest.raises(Refused, match="The answer to tone cannot be stored"):
        require_fitting([item("tone", rating=9)], task)


def test_a_form_that_was_left_open_answers_nothing_else() -> None:
    """What it carries unseen is of another row: refused; its own and none at all go through."""
    campaign = make_campaign(label_type="response_review")
    for row_id in ("r1", "r2"):
        campaign.add_rows(row_id)
        for person in ("ana", "bea"):
            campaign.answer(person, sample())
    task = campaign.take("quin", Stage.QA)
    own, other = (
        [part for part in Prediction.objects.get(task_id=pk).result if part["from_name"] == "review_of"]
        for pk in (task, campaign.slot("r2", Stage.QA).task_id)
    )
    assert own != other
    accept = item("decision", choices=["accept"])
    refused = campaign.submit("quin", task, [*sample(), accept, *other])
    assert (refused.status_code, refused.json()["code"]) == (409, "closed")
    assert refused.json()["detail"] == (
        "The form that you had open shows another row, or this one before it changed: load the page again."
    )
    assert campaign.submit("quin", task, [*sample(), accept, *own]).status_code == 201
    assert campaign.submit("quin", campaign.take("quin", Stage.QA), [*sample(), accept]).status_code == 201
