"""Accounts of people whose line in the team file changes: the id is the person."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from tasks.models import Task
from users.models import User

from ls_plugin.models import Member, Stage
from ls_plugin.people import team
from ls_plugin.queue import reconcile
from ls_plugin.store.refusals import Refused
from tests.unit.ls_plugin.snapshots import built_once
from tests.unit.ls_plugin.support import CampaignInTest, make_campaign, owner_client, review, verdict


@pytest.fixture
@built_once
def campaign() -> CampaignInTest:
    """A campaign with one final row: passes by ana and bea, QA by quin."""
    made = make_campaign()
    made.add_rows("r1")
    made.answer("ana", verdict("Correct"))
    made.answer("bea", verdict("Correct"))
    made.answer("quin", review("accept", "Correct"), Stage.QA)
    assert made.slot("r1").state == "FINAL"
    return made


def apply(campaign: CampaignInTest, team_text: str) -> team.Applied:
    """Apply a team file and let the rows follow."""
    applied = team.apply_team(campaign.campaign, team_text)
    reconcile.drain(campaign.campaign.pk)
    return applied


def line_of(campaign: CampaignInTest, person: str) -> str:
    """A person's line of the team file."""
    return next(line for line in campaign.team_text.splitlines() if f"id: {person}," in line)


def address_of(campaign: CampaignInTest, person: str) -> str:
    """The address that a person's account signs in with."""
    return str(User.objects.get(pk=campaign.account(person)).email)


def test_a_new_address_keeps_account_and_gold(campaign: CampaignInTest) -> None:
    """The account goes on under the new address, and the row stays final."""
    account, old = campaign.account("ana"), address_of(campaign, "ana")
    applied = apply(campaign, campaign.team_text.replace(old, f"new-{old}"))
    assert (campaign.account("ana"), address_of(campaign, "ana")) == (account, f"new-{old}")
    assert applied.to_json()["readdressed"] == [{"id": "ana", "from": old, "to": f"new-{old}"}]
    assert (applied.created, applied.deactivated, campaign.slot("r1").state) == ([], [], "FINAL")
    assert User.objects.get(pk=account).is_active


def test_a_campaign_told_of_a_new_address_keeps_the_account(campaign: CampaignInTest) -> None:
    """Set-up tells the server of the team too, and makes nobody's account."""
    account, old = campaign.account("ana"), address_of(campaign, "ana")
    stored, ids = campaign.campaign, {stage: project.pk for stage, project in campaign.projects.items()}
    changed = campaign.team_text.replace(old, f"new-{old}")
    team.save_campaign(stored.name, stored.task, stored.policy_text, changed, ids)
    reconcile.drain(stored.pk)
    assert (campaign.account("ana"), campaign.slot("r1").state) == (account, "FINAL")


def test_two_people_take_each_others_address(campaign: CampaignInTest) -> None:
    """Each keeps the account."""
    ana, bea = campaign.account("ana"), campaign.account("bea")
    first, second = address_of(campaign, "ana"), address_of(campaign, "bea")
    swapped = campaign.team_text.replace(first, "?").replace(second, first).replace("?", second)
    apply(campaign, swapped)
    assert (campaign.account("ana"), campaign.account("bea")) == (ana, bea)
    assert (address_of(campaign, "ana"), address_of(campaign, "bea")) == (second, first)
    assert campaign.slot("r1").state == "FINAL"


def test_somebody_else_gets_an_address_that_is_free_now(campaign: CampaignInTest) -> None:
    """Two ids never share an account: the new person gets one of their own, under the old address."""
    account, old = campaign.account("ana"), address_of(campaign, "ana")
    changed = campaign.team_text.replace(old, f"new-{old}") + f"  - {{id: zoe, email: {old}, roles: [annotator]}}\n"
    applied = apply(campaign, changed)
    assert [(pid, email) for pid, email, _ in applied.created] == [("zoe", old)]
    assert campaign.account("ana") == account != campaign.account("zoe")
    assert campaign.slot("r1").state == "FINAL"


def test_an_address_of_another_account_is_refused_for_somebody_with_work(campaign: CampaignInTest) -> None:
    """Which of the two accounts is theirs cannot be known, and nothing is changed."""
    old = address_of(campaign, "ana")
    User.objects.create_user(email=f"other-{old}", password="x")
    with pytest.raises(Refused) as refused:
        apply(campaign, campaign.team_text.replace(old, f"other-{old}"))
    assert refused.value.reason == "address_taken"
    assert address_of(campaign, "ana") == old


def test_an_account_without_work_gives_way_to_the_one_of_the_address(campaign: CampaignInTest) -> None:
    """Cal has answered nothing: the account that has the new address is taken."""
    old = address_of(campaign, "cal")
    other = User.objects.create_user(email=f"other-{old}", password="x")
    apply(campaign, campaign.team_text.replace(old, f"other-{old}"))
    assert campaign.account("cal") == other.pk


def test_the_address_of_an_account_in_another_team_is_kept(campaign: CampaignInTest) -> None:
    """The other campaign's people would not find their account: the link holds, and the answer says so."""
    other, old = make_campaign(), address_of(campaign, "ana")
    apply(other, other.team_text + f"  - {{id: guest, email: {old}, roles: [annotator]}}\n")
    applied = apply(campaign, campaign.team_text.replace(old, f"new-{old}"))
    assert applied.to_json()["address_kept"] == [{"id": "ana", "email": old}]
    assert (campaign.account("ana"), campaign.slot("r1").state) == (other.account("guest"), "FINAL")


def test_an_account_that_was_made_again_is_linked_by_its_address(campaign: CampaignInTest) -> None:
    """The account of somebody without work was deleted; the one made anew is theirs."""
    gone, address = campaign.account("cal"), address_of(campaign, "cal")
    assert owner_client().delete(f"/api/users/{gone}/").status_code == 204
    made = User.objects.create_user(email=address, password="x")
    apply(campaign, campaign.team_text)
    assert campaign.account("cal") == made.pk != gone


def test_an_account_with_work_is_not_deleted(campaign: CampaignInTest) -> None:
    """By the API, by the admin site, and by whatever code tries: the answer says to deactivate it."""
    account, client = campaign.account("ana"), owner_client()
    refused = client.delete(f"/api/users/{account}/")
    assert (refused.status_code, refused.json()["code"]) == (409, "has_work")
    assert "left:" in refused.json()["detail"]
    by_admin = client.post(f"/admin/users/user/{account}/delete/", {"post": "yes"})
    assert (by_admin.status_code, by_admin.json()["code"]) == (409, "has_work")
    assert User.objects.filter(pk=account).exists()
    reconcile.reconcile_all(campaign.campaign.pk)
    assert campaign.slot("r1").state == "FINAL"


@pytest.mark.parametrize("person", ["cal", "eve"])
def test_an_account_without_work_may_go(campaign: CampaignInTest, person: str) -> None:
    """Nothing stands on it; a skip is no work."""
    campaign.add_rows("r2")
    if person == "cal":
        why = verdict("Correct", "not my field")[1:]
        assert campaign.submit("cal", campaign.take("cal"), why, was_cancelled=True).status_code == 201
    assert owner_client().delete(f"/api/users/{campaign.account(person)}/").status_code == 204


def test_passes_of_a_campaign_change(campaign: CampaignInTest) -> None:
    """The Pass project and its rows follow the policy: those without an answer at once, the others as decided."""
    tasks = campaign.add_rows("r2")
    stored, ids = campaign.campaign, {stage: project.pk for stage, project in campaign.projects.items()}
    team.save_campaign(stored.name, stored.task, _passes(stored.policy_text, 3), campaign.team_text, ids)
    reconcile.drain(stored.pk)
    project = campaign.projects[Stage.PASS]
    project.refresh_from_db()
    assert project.maximum_annotations == 3
    overlaps: dict[str, Any] = dict(Task.objects.filter(project=project).values_list("data__row_id", "overlap"))
    assert overlaps == {"r1": 3, "r2": 3}
    assert (campaign.slot("r1").state, campaign.slot("r1").capacity) == ("AWAITING_PASSES", 3)
    assert campaign.slot("r2").capacity == 3
    assert tasks["r2"] in {campaign.take("cal"), campaign.take("fin")}


def _passes(policy_text: str, count: int) -> str:
    return policy_text.replace("passes: 2", f"passes: {count}")


def test_accounts_are_named_to_the_commands(campaign: CampaignInTest) -> None:
    """So that they know whose an answer is without asking for addresses."""
    client: Client = campaign.client("max")
    [shown] = client.get("/quorum/api/campaign").json()["campaigns"]
    accounts = {person["id"]: person["user"] for person in shown["people"]}
    assert accounts["ana"] == Member.objects.get(campaign=campaign.campaign, person_id="ana").user_id
