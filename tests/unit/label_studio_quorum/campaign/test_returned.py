"""Returned rows on a server without the plugin: what sync does, what it says, and what the figures count."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from label_studio_quorum.campaign.importing import import_rows
from label_studio_quorum.campaign.projects import Campaign, interface_of
from label_studio_quorum.campaign.reconcile import decide_rows, reconcile
from label_studio_quorum.campaign.returned import stock_lines
from label_studio_quorum.campaign.row_task import ReviewNote, review_note_of
from label_studio_quorum.campaign.setup import CampaignSpec, setup_campaign
from label_studio_quorum.campaign.snapshot import Snapshot
from label_studio_quorum.campaign.status import campaign_status
from label_studio_quorum.gold.spool import is_returned
from label_studio_quorum.intake import Row
from label_studio_quorum.port import Task
from label_studio_quorum.quality.report import build
from ls_config.interface import parse_all
from ls_config.results import to_result
from ls_config.review_screen import compose_review
from review_rules import Decision, RowHistory, Stage, State, load_policy, load_team
from tests.support.fake_label_studio import FakeLabelStudio

XML = """<View><Text name="response" value="$response"/>
<Choices name="verdict" toName="response"><Choice value="A"/><Choice value="B"/></Choices></View>"""
PEOPLE = ("ana", "ben", "chi", "ida")
TEAM = load_team(
    "people:\n"
    + "".join(f"  - {{id: {name}, email: {name}@x.test, roles: [annotator]}}\n" for name in PEOPLE[:3])
    + "  - {id: ida, email: ida@x.test, roles: [qa]}\n"
)
POLICY = load_policy("returns: {most: 1}\nfields: {verdict: {agree: exact}}\n")
CONTROLS = parse_all(compose_review(XML, "qa", POLICY.returnable))


class Line:
    """A campaign of one row on a server in memory, in which ana and ben have answered and ida has the row."""

    def __init__(self) -> None:
        self.server = FakeLabelStudio([f"{name}@x.test" for name in PEOPLE])
        spec = CampaignSpec(name="c", interface=interface_of(XML, "mini"), policy=POLICY, team=TEAM)
        campaign = setup_campaign(self.server, spec).campaign
        assert campaign is not None
        self.campaign: Campaign = campaign
        import_rows(self.server, campaign, [Row(row_id="r1", context="", query="q", response="a")])
        (self.task,) = self.tasks(Stage.PASS)
        self.first = self.answer("ana", self.task.id, verdict="A")
        self.answer("ben", self.task.id, verdict="B")
        reconcile(self.server, campaign)

    def tasks(self, stage: Stage) -> list[Task]:
        """The tasks of a stage."""
        return list(self.server.tasks(self.campaign.project(stage)))

    def answer(self, person: str, task: int, **form: Any) -> int:
        """Hand an answer in; its id."""
        return self.server.submit(task, PEOPLE.index(person) + 1, to_result(form, CONTROLS, {"response": "a"}))

    def give_back(self, *letters: str) -> None:
        """Have ida return the row."""
        (review,) = self.tasks(Stage.QA)
        self.answer("ida", review.id, decision="return", decision_reason="which year?", decision_to=list(letters))

    def letter(self, person: str) -> str:
        """The letter under which the panel shows a person's answer."""
        (review,) = self.tasks(Stage.QA)
        by = {each.id: each.by for task in self.tasks(Stage.PASS) for each in task.submitted}
        people = [by[column] for column in review_note_of(review).columns]
        return "AB"[people.index(PEOPLE.index(person) + 1)]

    def decided(self) -> tuple[RowHistory, Decision]:
        """The row's history and what the rules say."""
        with Snapshot.read(self.server, self.campaign) as snapshot:
            (row,) = decide_rows(self.campaign, snapshot, ["r1"])
        return row.record.history, row.decision


@pytest.fixture
def line() -> Line:
    return Line()


def test_the_form_names_answers_by_letter_and_the_history_people(line: Line) -> None:
    """QA does not know who is behind a letter; the rules do."""
    line.give_back(line.letter("ana"))
    history, decision = line.decided()
    assert (history.qa[0].to, history.qa[0].reason) == (("ana",), "which year?")
    assert (decision.state, decision.next and decision.next.returned) == (State.AWAITING_PASSES, ("ana",))


def test_sync_hands_a_returned_row_to_nobody_else_and_says_so(line: Line) -> None:
    """An overlap of three would hand the row to chi, whose answer is not asked for."""
    line.give_back("A", "B")
    report = reconcile(line.server, line.campaign)
    assert report.problems == ()
    assert [(row.row_id, row.to) for row in report.returned] == [("r1", ("ana", "ben"))]
    assert not line.server.open_tasks(line.campaign.project(Stage.PASS), PEOPLE.index("chi") + 1)
    (said,) = stock_lines(report.returned)
    assert said.startswith("row r1 was returned to ana and ben, and Label Studio hands nobody a row twice")
    assert campaign_status(line.server, line.campaign).to_json()["returned"] == [
        {"row_id": "r1", "to": ["ana", "ben"], "task": line.task.id}
    ]


def test_a_changed_answer_is_the_second_one_and_the_row_comes_to_its_end(line: Line) -> None:
    """Label Studio keeps no earlier version, so that the history holds its time; the return counts as it was given."""
    line.give_back(line.letter("ana"))
    reconcile(line.server, line.campaign)
    line.server.edit(line.task.id, line.first, 1, to_result({"verdict": "B"}, CONTROLS, {}))
    report = reconcile(line.server, line.campaign)
    assert (report.states, report.returned) == ({"AWAITING_QA": 1}, ())
    history, decision = line.decided()
    assert decision.returns == (0,)
    assert [entry.by for entry in history.passes] == ["ana", "ben", "ana"]
    review = line.tasks(Stage.QA)[-1]
    assert "Returned before this" in review.data["panel"]
    assert "which year?" in review.data["panel"]
    line.answer("ida", review.id, decision="accept", verdict="B")
    reconcile(line.server, line.campaign)
    history, decision = line.decided()
    assert (decision.state, decision.certificate and decision.certificate.passes) == (State.FINAL, ("ana", "ben"))
    assert is_returned(history.to_json() | decision.to_json())
    with Snapshot.read(line.server, line.campaign) as snapshot:
        figures = build(line.campaign, list(decide_rows(line.campaign, snapshot, ["r1"])))
    assert figures["returns"] == {"rows": 1, "returns": 1, "waiting": 0}
    assert {person["id"]: person["returned"] for person in figures["people"]} == {"ana": 1, "ben": 0, "ida": 0}
    assert {person["id"]: person["counted"]["qa"] for person in figures["people"]}["ida"] == 2


def test_a_return_on_passes_that_had_changed_before_it_does_not_count(line: Line) -> None:
    """Its form showed what did not stand any more."""
    letter = line.letter("ana")
    line.server.edit(line.task.id, line.first, 1, to_result({"verdict": "B"}, CONTROLS, {}))
    line.give_back(letter)
    history, decision = line.decided()
    assert (decision.state, decision.returns) == (State.AWAITING_QA, ())
    assert "changed" in str(history.qa[0].raw["void"])


def test_tasks_of_a_policy_without_returns_are_as_they_were() -> None:
    """Their notes and forms stay, so that no open review is made anew by an update of Quorum."""
    note = ReviewNote(rests_on=[[1, "v"]], requires=("legal",))
    assert note.to_meta() == {"quorum": {"rests_on": [[1, "v"]], "requires": ["legal"]}}
    assert replace(note, columns=(4, 7)).named(["B", "A", "C", "", "AB"]) == [7, 4]
    assert compose_review(XML, "qa", 0) == compose_review(XML, "qa")
    assert "decision_to" not in compose_review(XML, "expert", 2)
