"""Laws of a campaign whose team and policy change while people work: nobody is handed what they can't answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from tasks.models import Annotation

from label_studio_quorum.campaign.reconcile import decide_rows
from label_studio_quorum.campaign.snapshot import Snapshot
from ls_plugin.models import Campaign, Slot, Stage
from ls_plugin.people import team
from ls_plugin.people.standings import RULE_STAGE
from ls_plugin.queue import campaigns, reconcile
from ls_plugin.queue.server_port import ServerPort
from ls_plugin.store.exclusions import is_excluded
from review_rules import Decision, load_team, may_take
from tests.support.laws import examples
from tests.unit.ls_plugin.support import CampaignInTest, make_campaign, review, verdict

IDS = ("ana", "bea", "cal", "dag", "eve", "fin", "gus")
# What the team file says of a person; nothing: they stand in it no more.
GONE = ""
DUTIES = (
    GONE,
    "roles: [annotator]",
    "roles: [annotator]",
    "roles: [annotator, qa]",
    "roles: [qa]",
    "roles: [expert], expertise: [technical]",
    "roles: [annotator, expert], expertise: [technical]",
    "roles: [annotator], left: 2026-01-01T00:00:00Z",
)
FIRST = ("roles: [annotator]",) * 4 + ("roles: [qa]", "roles: [qa]", "roles: [expert, qa], expertise: [technical]")
WORDS = ("accept", "correct", "escalate", "discard")
MOST_ANSWERS = 200

Duties = tuple[str, ...]
DUTY_LISTS = st.tuples(*(st.sampled_from(DUTIES) for _ in IDS))
POLICIES = st.builds(
    "version: 1\nskips: {{per_day: null}}\npasses: {}\nqa: {{when: {}}}\nexpert_domains: [{}]\n".format,
    st.integers(1, 3),
    st.sampled_from(["all", "conflict"]),
    st.sampled_from(["technical", "technical, financial"]),
)
WORK = st.tuples(
    st.just("work"),
    st.sampled_from(IDS),
    st.sampled_from(Stage),
    st.sampled_from(["Correct", "Incorrect"]),
    st.sampled_from([*WORDS, "accept", "accept", "skip"]),
)
EVENTS = st.one_of(
    WORK, WORK, WORK, WORK, st.tuples(st.just("team"), DUTY_LISTS), st.tuples(st.just("policy"), POLICIES)
)


@dataclass
class Work:
    """A campaign at work, and the team file that holds at the moment."""

    campaign: CampaignInTest
    duties: Duties

    def happen(self, event: tuple[Any, ...]) -> None:
        """Let something happen."""
        match event:
            case ("team", duties):
                self.duties = duties
                team.apply_team(self._stored(), self._team_text())
            case ("policy", text):
                ids = {stage: project.pk for stage, project in self.campaign.projects.items()}
                team.save_campaign(self._stored().name, "classification", text, self._team_text(), ids)
            case ("work", person, stage, choice, word):
                self.work(person, stage, choice, word)
        # As the endpoints do after a change of team or policy.
        reconcile.drain(self.campaign.campaign.pk)

    def work(self, person: str, stage: Stage, choice: str = "Correct", word: str = "accept") -> bool:
        """Have a person take the next task and answer it; whether there was one."""
        if person not in self._working():
            return False
        response = self.campaign.next(person, stage)
        if response.status_code != 200:
            assert response.json()["code"] in ("no_task", "all_done", "no_role", "no_project"), response.content
            return False
        task, skips = response.json()["id"], word == "skip"
        result = verdict(choice, "a reason") if stage is Stage.PASS else review(word, choice, "a reason")
        result = verdict(choice, "a reason") if skips else result
        stored = self.campaign.submit(person, task, result, **({"was_cancelled": True} if skips else {}))
        assert stored.status_code == 201, (person, stage, stored.content)
        return True

    def finish(self) -> None:
        """Everybody works until nobody is handed anything."""
        for _ in range(MOST_ANSWERS):
            if not any(self.work(person, stage) for stage in Stage for person in IDS):
                return
        raise AssertionError("labelling does not come to an end")

    def decisions(self) -> Iterator[Decision]:
        """What the rules say of every row."""
        current = campaigns.read_campaign(self.campaign.campaign.pk)
        with Snapshot.read(ServerPort(), current) as snapshot:
            for row in decide_rows(current, snapshot, snapshot.row_ids):
                yield row.decision

    def waits_for(self, decision: Decision) -> list[str]:
        """Who could take a row further by the rules, has not answered it, and was not shown others' answers to it."""
        if (step := decision.next) is None:
            return []
        people = load_team(self._team_text()).people.values()
        able = [str(person.id) for person in people if str(person.id) in self._working() and may_take(person, step)]
        stage = next(each for each in Stage if RULE_STAGE[each] is step.stage)
        return [person for person in able if not self._had(person, self.campaign.slot(decision.row_id, stage).task_id)]

    def _had(self, person: str, task: int) -> bool:
        account = self.campaign.account(person)
        answered = Annotation.objects.filter(task_id=task, completed_by_id=account).exists()
        return bool(answered or is_excluded(task, account))

    def _working(self) -> Mapping[str, str]:
        at_work = {person: duty for person, duty in zip(IDS, self.duties, strict=True) if duty and "left" not in duty}
        return at_work

    def _stored(self) -> Campaign:
        return Campaign.objects.get(pk=self.campaign.campaign.pk)

    def _team_text(self) -> str:
        tag = self.campaign.campaign.name.replace(" ", "")
        return team_text(self.duties).replace("{tag}", tag)


def team_text(duties: Duties) -> str:
    """A team file in which these people have these duties, and somebody manages."""
    people = [
        f"  - {{id: {person}, email: {person}-{{tag}}@quorum.test, {duty}}}\n"
        for person, duty in zip(IDS, duties, strict=True)
        if duty
    ]
    return "people:\n" + "".join(people) + "  - {id: max, email: max-{tag}@quorum.test, roles: [manager]}\n"


def new_work() -> Work:
    """A campaign of three rows in which nobody has done anything."""
    campaign = make_campaign(
        policy="version: 1\nskips: {per_day: null}\npasses: 2\nexpert_domains: [technical]\n",
        team_text=team_text(FIRST),
    )
    campaign.add_rows("r1", "r2")
    campaign.add_rows("t1", domain="technical")
    return Work(campaign, FIRST)


def _done(*, qa: bool) -> list[tuple[Any, ...]]:
    passes = [("work", person, Stage.PASS, "Correct", "accept") for person in ("ana", "bea") * 3]
    return passes + [("work", person, Stage.QA, "Correct", "accept") for person in ("eve", "eve", "gus") if qa]


WITHOUT_ANA = (GONE, *FIRST[1:])
ANA_LEFT = ("roles: [annotator], left: 2026-01-01T00:00:00Z", *FIRST[1:])
SWAPPED = (FIRST[4], *FIRST[1:4], FIRST[0], *FIRST[5:])


# A campaign takes a second: finding a shorter history that fails would take many minutes.
@pytest.mark.slow
@settings(
    max_examples=examples(10),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
@given(st.lists(EVENTS, min_size=5, max_size=40))
@example([*_done(qa=True), ("team", WITHOUT_ANA)])
@example([*_done(qa=True), ("team", ANA_LEFT)])
@example([*_done(qa=True), ("team", SWAPPED), ("team", FIRST)])
def test_whoever_is_handed_a_row_can_answer_it_and_labelling_goes_on_to_the_end(events: list[tuple[Any, ...]]) -> None:
    """Whatever changes in mid-campaign: each hand-out is answered with 201, and in the end no row waits for somebody
    who could take it further."""
    work = new_work()
    for event in events:
        work.happen(event)
    work.finish()
    for decision in work.decisions():
        assert not work.waits_for(decision), decision
    mine = list(work.campaign.projects.values())
    assert not Slot.objects.filter(project_id__in=[project.pk for project in mine], open=True, sealed=True).exists()
