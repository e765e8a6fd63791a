"""Whom a team lacks is told before anybody starts: by set-up, doctor, `policy check` and `up --dry-run`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from label_studio_quorum.campaign.doctor import Level, check_people
from label_studio_quorum.campaign.setup import CampaignSpec, setup_campaign
from label_studio_quorum.port import User
from ls_config import load
from review_rules import Team, load_policy, load_team
from review_rules.staffing import shortages
from tests.support.fake_label_studio import FakeLabelStudio
from tests.support.servers import ROOT

POLICY = load_policy("expert_domains: [legal]")
BLIND = "{id: ana, email: a@x.test, roles: [annotator]}, {id: ben, email: b@x.test, roles: [annotator]}"
LACKING = {
    "nobody-for-qa": f"people: [{BLIND}]",
    "the-only-expert-is-a-manager": f"people: [{BLIND}, {{id: cleo, email: c@x.test, roles: [qa]}}, "
    "{id: max, email: m@x.test, roles: [manager], expertise: [legal]}]",
}
WHOLE = f"people: [{BLIND}, {{id: dag, email: d@x.test, roles: [expert], expertise: [legal]}}]"


def users(team: Team) -> list[User]:
    """An account for everybody."""
    return [User(id=number, email=person.email) for number, person in enumerate(team.people.values())]


@pytest.mark.parametrize("text", LACKING.values(), ids=list(LACKING))
def test_set_up_and_doctor_say_the_same(text: str) -> None:
    """Both name every shortage with its cure."""
    team = load_team(text)
    lacking = shortages(team, POLICY)
    assert lacking
    spec = CampaignSpec(name="May", interface=load("classification"), policy=POLICY, team=team)
    notes = setup_campaign(FakeLabelStudio([user.email for user in users(team)]), spec).notes
    assert notes == tuple(map(str, lacking))
    failed = [check for check in check_people(team, POLICY, users(team)) if check.level is Level.FAIL]
    assert [(check.message, check.hint) for check in failed] == [(lack.message, lack.cure) for lack in lacking]


def test_a_team_that_can_finish_is_told_who_must_not_fall_ill() -> None:
    """No shortage; the only expert of a domain is named."""
    team = load_team(WHOLE)
    spec = CampaignSpec(name="May", interface=load("classification"), policy=POLICY, team=team)
    assert setup_campaign(FakeLabelStudio([user.email for user in users(team)]), spec).notes == ()
    checks = list(check_people(team, POLICY, users(team)))
    assert [check.level for check in checks] == [Level.OK, Level.WARN]
    assert checks[1].message == "legal hangs on dag alone"


def quorum(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    command = [sys.executable, "-m", "label_studio_quorum", *map(str, arguments)]
    environment = os.environ | {"NO_COLOR": "1", "COLUMNS": "200"}
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)


def test_policy_check_with_a_team_says_it(tmp_path: Path) -> None:
    """A shortage is a warning: the files are in order, and the exit is 0."""
    policy, team = tmp_path / "policy.yaml", tmp_path / "team.yaml"
    policy.write_text("expert_domains: [legal]")
    team.write_text(LACKING["the-only-expert-is-a-manager"])
    done = quorum("policy", "check", policy, "--team", team)
    (lack,) = shortages(load_team(team.read_text()), POLICY)
    assert (done.returncode, done.stderr) == (0, f"{team}: warning: {lack}\n")
    told = json.loads(quorum("policy", "check", policy, "--team", team, "--json").stdout)
    assert told["shortages"] == [lack.to_json()]
    team.write_text(WHOLE)
    assert quorum("policy", "check", policy, "--team", team).stderr == ""
