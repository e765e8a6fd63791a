"""The lock of a campaign on the server: one command at a time, and none for ever."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from ls_plugin.models import CampaignLock
from tests.unit.ls_plugin.support import CampaignInTest, make_campaign, owner_client, post

ADDRESS = "/quorum/api/lock"


@pytest.fixture
def campaign() -> CampaignInTest:
    """A campaign of its own."""
    return make_campaign()


def ask(campaign: CampaignInTest, token: str, seconds: Any = 60, person: str = "max", **more: Any) -> Any:
    """The response to somebody who wants the lock."""
    body = {"name": campaign.campaign.name, "token": token, "doing": "import", "seconds": seconds, **more}
    return post(campaign.client(person), ADDRESS, body)


@pytest.fixture(autouse=True)
def _free(campaign: CampaignInTest) -> None:
    CampaignLock.objects.filter(name=campaign.campaign.name).delete()


def test_one_holds_it_and_the_other_reads_who(campaign: CampaignInTest) -> None:
    """The first keeps it by asking again; the second has it when the first lets go."""
    assert ask(campaign, "a").json()["mine"]
    other = ask(campaign, "b", doing="set-up").json()
    assert (other["mine"], other["doing"], other["by"].split("-")[0]) == (False, "import", "max")
    assert ask(campaign, "a").json()["mine"]
    assert ask(campaign, "b", 0).json() == {"mine": False}, "nobody lets go what another holds"
    assert not ask(campaign, "b").json()["mine"]
    ask(campaign, "a", 0)
    assert ask(campaign, "b").json()["mine"]


@pytest.mark.parametrize("off", [timedelta(seconds=-1), timedelta(hours=1)])
def test_a_lock_of_who_died_is_free_again(campaign: CampaignInTest, off: timedelta) -> None:
    """Its time is over, or it was written by a clock that was an hour ahead."""
    ask(campaign, "a")
    CampaignLock.objects.filter(name=campaign.campaign.name).update(expires_at=timezone.now() + off)
    assert ask(campaign, "b").json()["mine"]


def test_only_managers_of_the_campaign_may_lock_it(campaign: CampaignInTest) -> None:
    """Annotators are refused; a manager of another campaign finds none of that name."""
    other = make_campaign()
    assert ask(campaign, "a", person="ana").status_code == 403
    body = {"name": campaign.campaign.name, "token": "a", "doing": "import", "seconds": 60}
    assert post(other.client("max"), ADDRESS, body).status_code == 404
    assert post(owner_client(), ADDRESS, {**body, "name": "not there yet"}).json()["mine"]


@pytest.mark.parametrize(
    "more", [{"seconds": "x"}, {"seconds": -1}, {"seconds": None}, {"token": ""}, {"token": "x" * 65}, {"doing": 3}]
)
def test_what_cannot_be_read_is_refused(campaign: CampaignInTest, more: dict[str, Any]) -> None:
    """A request without its parts is 400."""
    body = {"name": campaign.campaign.name, "token": "a", "doing": "import", "seconds": 60, **more}
    assert post(campaign.client("max"), ADDRESS, body).status_code == 400
