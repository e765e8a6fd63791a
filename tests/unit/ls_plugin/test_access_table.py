"""The access table by role: what each may call, and what it is told where it may not."""

from __future__ import annotations

import pytest
from django.test import Client

from ls_plugin.access import response_filters as filters
from ls_plugin.access import scope
from ls_plugin.access.call import AccessRule, Who
from ls_plugin.access.scope import InQuery, ThingInPath
from ls_plugin.access.table import ROUTES, VIEWS, find_rule
from ls_plugin.models import Stage
from tests.unit.ls_plugin.snapshots import built_once
from tests.unit.ls_plugin.support import CampaignInTest, make_campaign, owner_client


@pytest.fixture
@built_once
def campaign() -> CampaignInTest:
    made = make_campaign()
    made.add_rows("r1", "r2", "r3")
    # With two, the owner of the server has to say which is meant.
    make_campaign()
    return made


def test_each_method_that_a_rule_does_not_name_is_nobodys() -> None:
    """A rule opens only what it names, and HEAD goes by GET."""
    rule = AccessRule(methods={"GET": Who.PERSON})
    assert (rule.who("GET"), rule.who("HEAD"), rule.who("DELETE")) == (Who.PERSON, Who.PERSON, Who.NOBODY)


def test_the_exact_route_comes_before_its_family_and_its_view() -> None:
    """A route of its own, then a family of routes, then the view; nothing for what nobody stated."""
    assert find_rule("docs/", "core.views.main") is ROUTES["docs/"]
    assert find_rule("admin/users/", "core.views.main").methods["GET"] is Who.OWNER  # type: ignore[union-attr]
    assert find_rule("^x/$", "core.views.main") is VIEWS["core.views.main"]
    assert find_rule("^x/$", "x.views.nothing") is None


def test_what_people_may_read_goes_through_a_filter() -> None:
    """A rule that lets people in says what of the response they are shown."""
    open_to_people = [name for name, rule in VIEWS.items() if min(rule.methods.values()) <= Who.WORKER]
    assert open_to_people
    assert [name for name in open_to_people if VIEWS[name].show is None] == []


def test_a_storage_is_looked_up_by_its_own_model_whatever_the_query_names() -> None:
    """The rule of each storage's page names the model whose project counts."""
    for cloud, folder in (("S3", "s3"), ("LocalFiles", "localfiles")):
        ways = VIEWS[f"io_storages.{folder}.api.{cloud}ImportStorageDetailAPI"].project
        thing = ways[1]
        assert ways[0] == InQuery()
        assert isinstance(thing, ThingInPath)
        assert thing.kind.model.__name__ == f"{cloud}ImportStorage"


def test_every_kind_is_looked_up_by_the_manager_that_sees_all_of_it() -> None:
    """A default manager that hides some rows would let these pass as things of no project."""
    for name, kind in scope.ENTITIES.items():
        assert kind.model._default_manager.name == "objects", name


PERSONS = ("stranger", "ana", "quin", "max", "owner")


def client_of(campaign: CampaignInTest, person: str) -> Client:
    if person == "stranger":
        return Client()
    return owner_client() if person == "owner" else campaign.client(person)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("/api/projects/{pass}", (401, 200, 404, 200, 200)),
        ("/api/projects/{qa}", (401, 404, 200, 200, 200)),
        ("/api/projects/{pass}/export/formats", (401, 403, 403, 200, 200)),
        ("/api/projects/{pass}/summary/", (401, 403, 403, 200, 200)),
        ("/api/webhooks/?project={pass}", (401, 403, 403, 200, 200)),
        ("/api/webhooks/?project={pass}&view=99999999", (401, 403, 403, 404, 404)),
        ("/api/dm/views?project={pass}", (401, 200, 404, 200, 200)),
        ("/quorum/api/status?name=", (401, 403, 403, 200, 404)),
        ("/quorum/api/put-off?project={pass}", (401, 200, 404, 200, 200)),
        ("/quorum/api/put-off", (401, 404, 404, 404, 404)),
        ("/quorum/api/version", (401, 200, 200, 200, 200)),
        ("/quorum/password/", (401, 200, 200, 200, 200)),
        ("/api/version", (401, 200, 200, 200, 200)),
        ("/heidi-tips/", (200, 200, 200, 200, 200)),
        ("/api/projects/987654", (401, 404, 404, 404, 404)),
        ("/api/tasks/987654/", (401, 404, 404, 404, 404)),
        ("/api/storages/s3/987654", (401, 403, 403, 404, 404)),
    ],
)
def test_the_table_holds_for_each_role(campaign: CampaignInTest, address: str, expected: tuple[int, ...]) -> None:
    """Stranger, annotator, QA, manager, owner: the same address, the status that the table says."""
    stages = {stage.label: project.pk for stage, project in campaign.projects.items()}
    address = address.format(**stages)
    got = tuple(client_of(campaign, person).get(address).status_code for person in PERSONS)
    assert got == expected


def test_people_are_shown_of_a_project_only_their_own_counts(campaign: CampaignInTest) -> None:
    """An annotator's view of a project counts what they were handed, and names nobody."""
    shown = campaign.client("ana").get(f"/api/projects/{campaign.projects[Stage.PASS].pk}").json()
    assert shown["task_number"] == len(campaign.hand_outs("ana"))
    assert shown["created_by"] == {"id": 0, "first_name": "", "last_name": "", "email": "", "avatar": None}
    whole = campaign.client("max").get(f"/api/projects/{campaign.projects[Stage.PASS].pk}").json()
    assert whole["task_number"] == 3


def test_nothing_that_is_asked_for_without_need_is_an_empty_list_or_page() -> None:
    """A list stays a list and a page stays a page, both empty."""
    assert filters.nothing(None, None, [1, 2]) == []  # type: ignore[arg-type]
    assert filters.nothing(None, None, {"results": [1]})["results"] == []  # type: ignore[arg-type]


def test_an_address_of_two_projects_is_refused(campaign: CampaignInTest) -> None:
    """A request that names another project beside its own is refused, whoever sends it."""
    mine, other = campaign.projects[Stage.PASS].pk, campaign.projects[Stage.QA].pk
    refused = campaign.client("max").get(f"/api/projects/{mine}/summary/?project={other}")
    assert (refused.status_code, refused.json()["code"]) == (400, "project_mismatch")
