"""Two commands at once: one waits where the server keeps a lock; elsewhere each takes back what came second."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from label_studio_quorum.campaign.campaign_lock import locked
from label_studio_quorum.campaign.importing import ImportReport, import_rows
from label_studio_quorum.campaign.projects import Campaign, CampaignError, find_all
from label_studio_quorum.campaign.setup import CampaignSpec, setup_campaign
from label_studio_quorum.intake import Row
from label_studio_quorum.port import Json, NewTask, Project, ServerError
from ls_config import load
from review_rules import Stage, load_policy, load_team
from tests.support.campaigns import POLICY, TEAM
from tests.support.fake_label_studio import FakeLabelStudio

SPEC = CampaignSpec(
    name="May",
    interface=load("response_review"),
    policy=load_policy(POLICY),
    team=load_team(TEAM.format(tag="x")),
)
ROWS = [Row(row_id=f"r{n}", context="", query="Q?", response="R.") for n in range(160)]


class Beside(FakeLabelStudio):
    """A stock server on which something happens right before the first of these writes."""

    def __init__(self) -> None:
        super().__init__()
        self.before_import: Callable[[], object] | None = None
        self.before_project: Callable[[], object] | None = None

    def add_tasks(self, project: int, tasks: Sequence[NewTask]) -> None:
        first, self.before_import = self.before_import, None
        if first is not None:
            first()
        super().add_tasks(project, tasks)

    def create_project(self, settings: Mapping[str, Any]) -> Project:
        first, self.before_project = self.before_project, None
        if first is not None:
            first()
        return super().create_project(settings)


class AnsweredAtOnce(Beside):
    """A server on which somebody answers the newest row before the second import looks at what it did."""

    def notes(self, project: int) -> Iterator[tuple[str, Json]]:
        tasks = list(self.tasks(project))
        if len(tasks) > 2:
            self.submit(tasks[-1].id, 1, [])
        return super().notes(project)


def set_up(server: FakeLabelStudio) -> Campaign:
    """The campaign on this server."""
    campaign = setup_campaign(server, SPEC).campaign
    assert campaign is not None
    return campaign


def test_two_imports_at_once_bring_each_row_once() -> None:
    """The one whose rows came second takes them back and says how many; people's row stands once."""
    server = Beside()
    campaign = set_up(server)
    reports = list[ImportReport]()
    server.before_import = lambda: reports.append(import_rows(server, campaign, ROWS))
    reports.append(import_rows(server, campaign, ROWS))
    counts = Counter(row_id for row_id, _ in server.notes(campaign.project(Stage.PASS)))
    assert counts == dict.fromkeys((row.row_id for row in ROWS), 1)
    assert [(report.imported, report.taken_back, report.bare) for report in reports] == [(160, 0, 160), (0, 160, 0)]


def test_a_double_that_somebody_answered_stays() -> None:
    """What people did is never taken back; the rules count both tasks as one queue."""
    server = AnsweredAtOnce()
    campaign = set_up(server)
    server.before_import = lambda: import_rows(server, campaign, ROWS[:2])
    report = import_rows(server, campaign, ROWS[:2])
    tasks = list(server.tasks(campaign.project(Stage.PASS)))
    assert [(task.row_id, len(task.submitted)) for task in tasks] == [("r0", 0), ("r1", 0), ("r1", 1)]
    assert (report.imported, report.taken_back) == (1, 1)


def test_two_set_ups_of_programs_at_once_make_three_projects() -> None:
    """Programs that call set-up by themselves stand in no line: the second one stops and leaves nothing of its own."""
    server = Beside()
    server.before_project = lambda: setup_campaign(server, SPEC)
    with pytest.raises(CampaignError, match="another set-up of 'May' runs at the same time"):
        setup_campaign(server, SPEC)
    assert {stage: len(projects) for stage, projects in find_all(server.projects())["May"].items()} == dict.fromkeys(
        Stage, 1
    )
    assert setup_campaign(server, SPEC).changes == ()


class Locks:
    """A server with a lock that others hold for some looks."""

    def __init__(self, *holders: Json | None) -> None:
        self.holders = list(holders)
        self.asked = list[tuple[str, int]]()

    def lock_campaign(self, name: str, *, token: str, doing: str, seconds: int) -> Json | None:
        self.asked.append((doing, seconds))
        return self.holders.pop(0) if self.holders else {"mine": seconds > 0}


OTHER = {"mine": False, "doing": "import", "by": "ops@x.test", "since": "2026-01-05T10:00:00+00:00"}


def test_whoever_comes_second_waits_and_says_for_whom() -> None:
    """The line comes once for each command that is waited for, and the lock is let go at the end."""
    server, lines = Locks(OTHER, OTHER, OTHER | {"doing": "set-up", "by": None}), list[str]()
    with locked(server, "May", "import", say=lines.append, pause=lambda seconds: None) as hold:
        assert hold.is_alone
    assert lines == [
        "another import of this campaign is running since 2026-01-05 10:00:00 UTC (by ops@x.test); waiting",
        "a set-up of this campaign is running since 2026-01-05 10:00:00 UTC; waiting",
    ]
    assert server.asked[-1] == ("import", 0)


def test_a_stock_server_has_no_lock() -> None:
    """The block runs and knows that it has to look afterwards."""
    server = Locks(None)
    with locked(server, "May", "import", say=pytest.fail) as hold:
        assert not hold.is_alone
    assert server.asked == [("import", 60)]


def test_a_server_that_refuses_is_told() -> None:
    """Nothing goes on without the lock where there are locks."""

    class Refusing(Locks):
        def lock_campaign(self, name: str, *, token: str, doing: str, seconds: int) -> Json | None:
            raise ServerError("POST quorum/api/lock → 403", status=403)

    with pytest.raises(ServerError), locked(Refusing(), "May", "import", say=pytest.fail):
        pytest.fail("the block ran")
