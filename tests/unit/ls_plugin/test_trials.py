"""A trial on rows with known answers, which nothing sets apart from other rows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from tasks.models import Annotation, Prediction

from label_studio_quorum.campaign.projects import AUTO_LABEL
from ls_plugin.models import Campaign, Stage
from ls_plugin.queue import known_forms, qualification, trials
from ls_plugin.queue.qualification import QualificationRows
from ls_plugin.queue.trials import TrialState
from tests.unit.ls_plugin.snapshots import built_once
from tests.unit.ls_plugin.support import CampaignInTest, Response, make_campaign, patch, review, verdict

KNOWN = tuple(f"k{number}" for number in range(6))
USUAL = tuple(f"r{number}" for number in range(10))
ASKED = QualificationRows({row_id: {"verdict": "Correct"} for row_id in KNOWN}, 0.8)


@pytest.fixture
@built_once
def campaign() -> CampaignInTest:
    """Six rows with known answers among ten others."""
    made = make_campaign()
    made.add_rows(*USUAL[:5], *KNOWN, *USUAL[5:])
    _ask(made)
    return made


def _ask(campaign: CampaignInTest) -> None:
    stored = qualification.read({"rows": dict(ASKED.rows), "bar": ASKED.bar})
    Campaign.objects.filter(pk=campaign.campaign.pk).update(qualification=stored)
    qualification.seat_everybody(campaign.campaign.pk, ASKED)


def _work(campaign: CampaignInTest, person: str, choice: str = "Correct", most: int = 100) -> list[str]:
    """Answer until the trial is over; the rows in their order."""
    rows: list[str] = []
    place = campaign.place()
    while trials.trial_of(campaign.account(person), place, ASKED).state is TrialState.OPEN and len(rows) < most:
        answer = campaign.answer(person, verdict(choice))
        rows.append(answer.task.data["row_id"])
    return rows


def test_rows_of_a_trial_come_mixed_in_an_order_per_person_from_a_larger_pool(campaign: CampaignInTest) -> None:
    """Each gets two thirds of the pool, among other rows, and no two the same ones in the same order."""
    runs = {person: _work(campaign, person) for person in ("ana", "bea", "cal")}
    for rows in runs.values():
        assert sum(row in KNOWN for row in rows) == 4
    assert any(row in USUAL for rows in runs.values() for row in rows)
    orders = {tuple(row for row in rows if row in KNOWN) for rows in runs.values()}
    assert len(orders) == 3
    assert len({row for order in orders for row in order}) > 4
    assert campaign.next("ana").json()["data"]["row_id"] in USUAL


def test_below_the_bar_nothing_more_is_handed_out_at_any_stage(campaign: CampaignInTest) -> None:
    """Somebody with the role for QA reviews nothing before the trial is passed, and never below the bar."""
    for person in ("ana", "bea"):
        _work(campaign, person)
    assert campaign.next("quin", Stage.QA).status_code == 200  # who does no passes has no trial
    assert campaign.next("anq", Stage.QA).json()["code"] == "qualify"
    _work(campaign, "anq", "Incorrect")
    for stage in (Stage.PASS, Stage.QA):
        assert campaign.next("anq", stage).json()["code"] == "qualify"
    share = qualification.score(campaign.account("anq"), campaign.place(), ASKED).share
    assert share == 0.0


@pytest.mark.slow
def test_who_passes_reviews(campaign: CampaignInTest) -> None:
    """After the trial QA is as without one."""
    for person in ("anq", "ana", "bea"):
        _work(campaign, person)
    while (response := campaign.next("anq", Stage.QA)).status_code != 200:
        assert response.json()["code"] == "no_task"  # their own rows are for others to review
        campaign.answer("cal", verdict("Correct"))
    assert campaign.submit("anq", response.json()["id"], review("accept", "Correct")).status_code == 201


def test_a_skipped_row_does_not_come_back_and_another_takes_its_place(campaign: CampaignInTest) -> None:
    """Of six rows two may be skipped; whoever skips on has what lacks counted as wrong."""
    place, account = campaign.place(), campaign.account("ana")
    skipped = 0
    while trials.trial_of(account, place, ASKED).state is TrialState.OPEN:
        response = campaign.next("ana")
        task, is_known = response.json()["id"], response.json()["data"]["row_id"] in KNOWN
        if is_known and skipped < 2:
            skipped += 1
            assert campaign.submit("ana", task, verdict("Correct", "unclear"), was_cancelled=True).status_code == 201
        else:
            assert campaign.submit("ana", task, verdict("Correct")).status_code == 201
    trial = trials.trial_of(account, place, ASKED)
    assert (skipped, trial.state, trial.wanted) == (2, TrialState.PASSED, 4)


def _change(campaign: CampaignInTest, person: str, answer: Annotation, choice: str) -> Response:
    return patch(campaign.client(person), f"/api/annotations/{answer.pk}/", {"result": verdict(choice)})


def test_a_change_is_stored_and_changes_no_score(campaign: CampaignInTest) -> None:
    """Nobody tries until the outcome changes, and no refusal tells which rows these are."""
    _work(campaign, "ana", "Incorrect")
    answers = Annotation.objects.filter(completed_by_id=campaign.account("ana"))
    changed = [_change(campaign, "ana", answer, "Correct").status_code for answer in answers]
    assert set(changed) == {200}
    assert qualification.score(campaign.account("ana"), campaign.place(), ASKED).right == 0
    assert campaign.next("ana").json()["code"] == "qualify"
    # A manager who mends the known answers has them compared with what people say now.
    qualification.forget_notes(campaign.campaign.pk, ASKED)
    assert qualification.score(campaign.account("ana"), campaign.place(), ASKED).share == 1.0


@pytest.mark.slow
def test_answers_close_when_the_next_stage_began_and_not_at_once(campaign: CampaignInTest) -> None:
    """With the code of any other row; whoever answers after QA began may change theirs for a while too."""
    for person in ("ana", "bea", "cal"):
        _work(campaign, person)
    while campaign.next("quin", Stage.QA).status_code == 200:
        campaign.answer("quin", review("accept", "Correct"), Stage.QA)
    slot = next(slot for slot in map(campaign.slot, KNOWN) if slot.state == "FINAL")
    answer = Annotation.objects.filter(task_id=slot.task_id).earliest("pk")
    assert not slot.sealed
    assert not qualification.is_closed(campaign.place(), slot, answer)
    answer.created_at = timezone.now() - timedelta(days=1)
    assert qualification.is_closed(campaign.place(), slot, answer)
    person = next(name for name in ("ana", "bea", "cal") if campaign.account(name) == answer.completed_by_id)
    Annotation.objects.filter(pk=answer.pk).update(created_at=answer.created_at)
    assert _change(campaign, person, answer, "Incorrect").json()["code"] == "sealed"


def _forms(campaign: CampaignInTest, row_ids: tuple[str, ...]) -> list[str]:
    """What the forms of these rows open with."""
    tasks = [campaign.slot(row_id).task_id for row_id in row_ids]
    stored = Prediction.objects.filter(task_id__in=tasks, model_version=AUTO_LABEL)
    return [prediction.result[0]["value"]["choices"][0] for prediction in stored]


def test_forms_open_as_on_any_row_and_often_wrong(campaign: CampaignInTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever accepts unread what a form opens with gets about half of the known fields right."""
    drawn = {row_id: number % 2 * 0.9 for number, row_id in enumerate(KNOWN)}
    monkeypatch.setattr(known_forms, "draw", lambda what, row_id: drawn[row_id])
    known_forms.fill_forms(campaign.campaign.pk, ASKED.rows)
    assert sorted(_forms(campaign, KNOWN)) == ["Correct"] * 3 + ["Partly correct"] * 3
    assert set(_forms(campaign, USUAL)) == {"Correct"}
    before = list(Prediction.objects.order_by("pk").values("pk", "result"))
    known_forms.fill_forms(campaign.campaign.pk, ASKED.rows)
    assert before == list(Prediction.objects.order_by("pk").values("pk", "result"))


def test_a_row_without_a_pre_annotation_gets_one_where_others_have_it(campaign: CampaignInTest) -> None:
    """Where no row has one, none is made; a form that somebody was handed stays as it is."""
    mine = Prediction.objects.filter(task__project=campaign.projects[Stage.PASS])
    mine.filter(task_id=campaign.slot("k1").task_id).delete()
    known_forms.fill_forms(campaign.campaign.pk, ASKED.rows)
    assert len(_forms(campaign, KNOWN)) == len(KNOWN)
    mine.all().delete()
    known_forms.fill_forms(campaign.campaign.pk, ASKED.rows)
    assert not mine.exists()


def test_people_are_shown_what_the_form_opens_with(campaign: CampaignInTest) -> None:
    """The response for a row of the trial has the fields of any other, its pre-annotation too."""
    shown: dict[bool, set[Any]] = {True: set(), False: set()}
    for person in ("ana", "bea", "cal"):
        while campaign.next(person).status_code == 200 and not all(shown.values()):
            task = campaign.next(person).json()
            shown[task["data"]["row_id"] in KNOWN].add((tuple(sorted(task)), len(task["predictions"])))
            campaign.submit(person, task["id"], verdict("Correct"))
    assert shown[True] == shown[False]
    assert {count for _, count in shown[True]} == {1}
