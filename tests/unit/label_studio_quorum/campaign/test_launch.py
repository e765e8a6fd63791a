"""What `quorum setup` and `quorum up` share: projects, the plugin's files, and where the campaign is written down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from label_studio_quorum.campaign.change_plan import ChangeCost
from label_studio_quorum.campaign.launch import CampaignPlan, launch
from label_studio_quorum.campaign.local_memory import remembered
from label_studio_quorum.campaign.webhooks import WebhookTarget, own_webhook, save_webhook
from label_studio_quorum.port import Json, KeptFiles, Repair
from ls_config import load
from ls_config.paragraphs import guidelines_hash
from review_rules import load_policy, load_team
from tests.support.campaigns import POLICY, TEAM
from tests.support.fake_label_studio import FakeLabelStudio


class PluginServer(FakeLabelStudio):
    """A server in memory that runs the plugin, or (without a version) does not."""

    def __init__(self, version: str | None) -> None:
        super().__init__(["ana@x.test"])
        self.url = "http://label-studio.test"
        self._version = version
        self.repair = Repair()
        self.told: list[dict[str, Any]] = []

    def plugin_version(self) -> str | None:
        return self._version

    def lock_campaign(self, name: str, *, token: str, doing: str, seconds: int) -> Json | None:
        return None if self._version is None else {"mine": seconds > 0}

    def plugin_campaign(self, name: str) -> dict[str, Any] | None:
        return self.told[-1] if self.told else None

    def plan_pages(self, name: str, **texts: str | None) -> Iterator[dict[str, Any]]:
        yield {"changes": [], "cost": ChangeCost().to_json(), "next": None, "rows": 0}

    def settle(self, name: str, progress: Callable[[int], None]) -> None:
        progress(0)

    def mend_server(self, campaign: str | None) -> Repair:
        return self.repair

    def tell_plugin(self, name: str, **parts: Any) -> dict[str, Any]:
        self.told.append({"name": name, **parts})
        return {"qualification": {"rows": 3, "missing": 2} if parts["qualification"] else None}


@pytest.fixture
def plan(tmp_path: Path) -> CampaignPlan:
    """A campaign of files that were read."""
    team = TEAM.format(tag="x")
    return CampaignPlan(
        name="May",
        task="response_review",
        interface=load("response_review"),
        policy_file=tmp_path / "policy.yaml",
        policy_text=POLICY,
        policy=load_policy(POLICY),
        team_file=tmp_path / "team.yaml",
        team_text=team,
        team=load_team(team),
        qualification={"rows": {"k1": {"verdict": "Correct"}}, "bar": 0.8},
        practice={"rows": {"p1": {"data": {}, "known": {"verdict": "Correct"}, "guideline": "", "why": ""}}},
    )


def test_a_launch_tells_the_plugin_and_remembers(plan: CampaignPlan, tmp_path: Path) -> None:
    """The plugin gets the very texts of the files, the project of each stage and the rows with known answers."""
    server = PluginServer("1.0")
    launched = launch(server, plan, memory=tmp_path)
    assert launched.campaign is not None
    assert launched.qualification == {"rows": 3, "missing": 2}
    assert server.told == [
        {
            "name": "May",
            "task": "response_review",
            "policy": plan.policy_text,
            "team": plan.team_text,
            "guidelines": plan.interface.guidelines,
            "projects": launched.projects,
            "qualification": plan.qualification,
            "practice": plan.practice,
        }
    ]
    assert list(launched.projects) == ["pass", "qa", "expert"]
    (entry,) = remembered(tmp_path)
    assert (entry.name, entry.url, entry.task) == ("May", server.url, "response_review")
    assert (entry.policy, entry.team) == (str(plan.policy_file), str(plan.team_file))


def test_a_second_launch_changes_nothing(plan: CampaignPlan, tmp_path: Path) -> None:
    """All is found as it should be; the plugin is told again, which is how it learns of a changed team."""
    server = PluginServer("1.0")
    launch(server, plan, memory=tmp_path)
    writes = server.writes
    assert launch(server, plan, memory=tmp_path).changes == ()
    assert (server.writes, len(server.told)) == (writes, 2)


def test_a_stock_server_is_told_nothing(plan: CampaignPlan, tmp_path: Path) -> None:
    """There is nobody to tell; the campaign is set up all the same."""
    server = PluginServer(None)
    launched = launch(server, plan, memory=tmp_path)
    assert (launched.plugin, launched.qualification, server.told) == (None, {}, [])
    assert len(launched.projects) == 3


def test_a_dry_launch_touches_neither_server_nor_disk(plan: CampaignPlan, tmp_path: Path) -> None:
    """It names every change, and makes none."""
    server = PluginServer("1.0")
    launched = launch(server, plan, dry_run=True, memory=tmp_path)
    assert (launched.campaign, launched.projects, len(launched.changes)) == (None, {}, 3)
    assert (server.writes, server.told, remembered(tmp_path)) == (0, [], [])


def test_a_webhook_is_known_again_and_mended(plan: CampaignPlan, tmp_path: Path) -> None:
    """What was saved announces the target; with another secret or address, or switched off, it is saved anew, once."""
    server = PluginServer(None)
    project = launch(server, plan, memory=tmp_path).projects["pass"]
    target = WebhookTarget(url="http://127.0.0.1:1/", secret="s")
    for earlier, active in (
        (target, False),
        (WebhookTarget(url=target.url, secret="t"), True),
        (WebhookTarget(url="http://127.0.0.1:2/", secret="s"), True),
    ):
        save_webhook(server, project, earlier, active=active)
        own = own_webhook(server, project)
        assert own is not None
        assert not target.is_announced_by(own)
        save_webhook(server, project, target)
        own = own_webhook(server, project)
        assert own is not None
        assert target.is_announced_by(own)
    assert len(server.webhooks(project)) == 1
    assert "secret" not in repr(target)


def versions(*texts: str) -> tuple[dict[str, Any], ...]:
    """The versions of guidelines with these texts, as the server lists them."""
    return tuple(
        {"number": number, "hash": guidelines_hash(text), "at": "2026-01-05T10:00:00Z"}
        for number, text in enumerate(texts, 1)
    )


@pytest.mark.parametrize("dry_run", [False, True])
def test_changed_guidelines_are_said_and_stale_ones_stay_out(plan: CampaignPlan, tmp_path: Path, dry_run: bool) -> None:
    """What is new is published as the next version; a file with the text of an earlier one brings it not back."""
    server = PluginServer("1.0")
    server.kept["May"] = KeptFiles(policy=plan.policy_text, team=plan.team_text, guidelines="# Newer\n\nText.\n")
    own = plan.interface.guidelines
    launch(server, plan, memory=tmp_path)
    server.versions = versions(own)
    same = launch(server, plan, memory=tmp_path, dry_run=dry_run)
    assert not [line for line in (*same.changes, *same.apart) if "version" in line]
    server.versions = versions("# Newer\n\nText.\n")
    changed = launch(server, plan, memory=tmp_path, dry_run=dry_run)
    assert [line for line in changed.changes if "publish version 2 of the guidelines (" in line]
    server.versions = versions(own, "# Newer\n\nText.\n")
    stale = launch(server, plan, memory=tmp_path, dry_run=dry_run)
    assert stale.apart[0].startswith("guidelines stay at version 2: guidelines.md has the text of version 1")
    if not dry_run:
        assert server.told[-1]["guidelines"] == "# Newer\n\nText.\n"
        assert all("Newer" in project.settings["expert_instruction"] for project in server.projects())
