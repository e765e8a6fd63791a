"""Set-ups of a stock server stand in line: one at a time changes a campaign, and whoever waits says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from label_studio_quorum.campaign.launch import CampaignPlan, Launch, launch
from label_studio_quorum.campaign.projects import CampaignError, find_all
from label_studio_quorum.campaign.turns import TITLE, Turns
from label_studio_quorum.port import Json, Project
from review_rules import Stage
from tests.unit.label_studio_quorum.campaign.test_launch import PluginServer, plan

__all__ = ["plan"]


class StockServer(PluginServer):
    """A stock server on which something happens right before the first of these writes."""

    def __init__(self) -> None:
        super().__init__(None)
        self.before_project: Callable[[], object] | None = None
        self.before_view: Callable[[], object] | None = None

    def create_project(self, settings: Mapping[str, Any]) -> Project:
        first, self.before_project = self.before_project, None
        if first is not None:
            first()
        return super().create_project(settings)

    def save_view(self, project: int, data: Json, *, view: int | None = None) -> None:
        first, self.before_view = self.before_view, None
        if first is not None:
            first()
        super().save_view(project, data, view=view)

    def counts(self) -> dict[Stage, int]:
        """How many projects each stage has."""
        return {stage: len(projects) for stage, projects in find_all(self.projects())["May"].items()}

    def titles(self) -> Counter[tuple[int, str]]:
        """How often each project has a tab of each title."""
        return Counter((project.id, view.title) for project in self.projects() for view in self.views(project.id))


def has_turn(turns: Turns, token: str, seconds: int = 60) -> bool:
    """Whether the command has the turn, after it has looked once more."""
    return bool((turns.lock_campaign("May", token=token, doing="set-up", seconds=seconds) or {})["mine"])


ONE_EACH = dict.fromkeys(Stage, 1)


def test_whoever_makes_the_first_project_second_takes_its_own_away(plan: CampaignPlan, tmp_path: Path) -> None:
    """It says which, goes on with the other's, and finds nothing more to do."""
    server, launches = StockServer(), list[Launch]()
    server.before_project = lambda: launches.append(launch(server, plan, memory=tmp_path))
    second = launch(server, plan, memory=tmp_path)
    assert server.counts() == ONE_EACH
    assert set(server.titles().values()) == {1}
    assert second.projects == launches[0].projects
    assert second.changes == ()
    assert "was empty and is deleted" in second.notes[0]


def test_a_set_up_that_comes_while_another_works_waits_and_says_so(plan: CampaignPlan, tmp_path: Path) -> None:
    """It changes nothing until the other has taken its tab away; then everything is there once."""
    server, lines = StockServer(), list[str]()
    other = Turns(server, launch(server, plan, memory=tmp_path).projects["pass"])
    assert has_turn(other, "other")
    writes = list[int]()

    def pause(seconds: float) -> None:
        writes.append(server.writes)
        if len(writes) == 3:
            has_turn(other, "other", seconds=0)

    assert launch(server, plan, memory=tmp_path, say=lines.append, pause=pause).changes == ()
    assert [line.split(" since ")[0] for line in lines] == ["another set-up of this campaign is running"]
    # Until then it writes nothing but its own tab.
    assert writes[1] - writes[0] == writes[2] - writes[1] == 1
    assert not [title for _, title in server.titles() if title == TITLE]


def test_two_that_both_hold_a_tab_go_one_after_the_other() -> None:
    """The lower id is first, whoever looks; the next is first once that is gone."""
    server = StockServer()
    project = server.create_project({"title": "", "description": "", "label_config": ""}).id
    one, two = Turns(server, project), Turns(server, project)

    # The second one's tab comes in right before the first one's is stored.
    server.before_view = lambda: has_turn(two, "two")
    assert not has_turn(one, "one")
    assert [has_turn(two, "two"), has_turn(one, "one")] == [True, False]
    has_turn(two, "two", seconds=0)
    assert has_turn(one, "one")
    has_turn(one, "one", seconds=0)
    assert server.views(project) == []


def test_the_tab_of_a_command_that_died_is_removed_after_a_minute() -> None:
    """One that is renewed stays, however long it takes."""
    server = StockServer()
    project = server.create_project({"title": "", "description": "", "label_config": ""}).id
    dead, waiting = Turns(server, project), Turns(server, project)
    for look in range(200):
        assert look % 15 or has_turn(dead, "dead")
        assert not has_turn(waiting, "waiting")
    looks = next(look for look in range(200) if has_turn(waiting, "waiting"))
    assert 45 <= looks <= 61


def test_a_set_up_that_is_refused_leaves_no_project(plan: CampaignPlan, tmp_path: Path) -> None:
    """Of a campaign that is not there no label can be renamed, and no name may have a line break."""
    server = StockServer()
    for refused in (replace(plan, renames={"verdict": {"a": "b"}}), replace(plan, name="two\nlines")):
        with pytest.raises(CampaignError):
            launch(server, refused, memory=tmp_path)
    assert server.projects() == []
