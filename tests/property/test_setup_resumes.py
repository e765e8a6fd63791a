"""Set-up and import, killed before any of their writes and run again, end as if nothing had happened."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from label_studio_quorum.campaign.importing import CHUNK, import_rows
from label_studio_quorum.campaign.projects import (
    AUTO_LABEL,
    SERVED,
    CampaignError,
    Marker,
    find_all,
    interface_of,
    open_campaign,
    read_marker,
    write_marker,
)
from label_studio_quorum.campaign.served_version import serving_faults
from label_studio_quorum.campaign.setup import CampaignSpec, setup_campaign
from label_studio_quorum.campaign.webhooks import WebhookTarget
from label_studio_quorum.intake import Row
from label_studio_quorum.port import MLConnection
from review_rules import Stage, load_policy, load_team
from tests.support.fake_label_studio import FakeLabelStudio, Killed

XML = """<View><Text name="response" value="$response"/>
<Choices name="verdict" toName="response"><Choice value="A"/><Choice value="B"/></Choices></View>"""
POLICY = load_policy("version: 1\nexpert_domains: [technical, legal]\n")
TEAM = load_team("people: [{id: ana, email: a@x.test, roles: [annotator]}]")
SPEC = CampaignSpec(
    name="May",
    interface=interface_of(XML, "mini"),
    policy=POLICY,
    team=TEAM,
    ml=MLConnection(url="http://127.0.0.1:9090", user="u", password="p"),
    webhook=WebhookTarget(url="http://127.0.0.1:1/", secret="s"),
)
ROWS = [
    Row(row_id=f"r{n}", context="", query="q", response="a", auto_label={"verdict": "A"}) for n in range(2 * CHUNK + 7)
]


def picture(server: FakeLabelStudio) -> list[object]:
    """What set-up made, without ids."""
    return [
        (
            project.title,
            project.description,
            project.settings,
            sorted((view.title, repr(view.data)) for view in server.views(project.id)),
            [(hook.url, hook.active, sorted(hook.actions), hook.headers) for hook in server.webhooks(project.id)],
            [backend.url for backend in server.ml_backends(project.id)],
        )
        for project in server.projects()
    ]


def test_a_second_set_up_changes_nothing() -> None:
    """Running set-up again writes nothing."""
    server = FakeLabelStudio(["a@x.test"])
    assert setup_campaign(server, SPEC).changes
    writes = server.writes
    assert setup_campaign(server, SPEC).changes == ()
    assert server.writes == writes


def test_a_set_up_killed_before_any_write_is_finished_by_the_next() -> None:
    """For every write: die before it, run again, and everything is there once."""
    whole = FakeLabelStudio(["a@x.test"])
    setup_campaign(whole, SPEC)
    for dies_at in range(whole.writes):
        server = FakeLabelStudio(["a@x.test"])
        server.dies_at = dies_at
        with pytest.raises(Killed):
            setup_campaign(server, SPEC)
        server.dies_at = None
        setup_campaign(server, SPEC)
        assert picture(server) == picture(whole)


def chosen(server: FakeLabelStudio, project: int, backend: int) -> None:
    """Somebody chooses the ML backend on the settings page."""
    server.change_project(project, {"model_version": "quorum"})


def renamed(server: FakeLabelStudio, project: int, backend: int) -> None:
    """Somebody chooses the ML backend, then gives it another title, which Label Studio follows."""
    chosen(server, project, backend)
    server.save_ml_backend(project, {"url": "http://127.0.0.1:9090", "title": "model"}, backend=backend)


def named_alike(server: FakeLabelStudio, project: int, backend: int) -> None:
    """Somebody titles the ML backend as the version that is served, so that Label Studio asks it."""
    server.save_ml_backend(project, {"url": "http://127.0.0.1:9090", "title": AUTO_LABEL}, backend=backend)


def removed(server: FakeLabelStudio, project: int, backend: int) -> None:
    """Somebody chooses the ML backend, then disconnects it, after which Label Studio serves nothing."""
    chosen(server, project, backend)
    server.remove_ml_backend(project, backend)


def connected_by_an_older_release(server: FakeLabelStudio, project: int, backend: int) -> None:
    """The project named no version when the ML backend was connected, so Label Studio made it the backend's title."""
    server.remove_ml_backend(project, backend)
    server.change_project(project, {"model_version": ""})
    server.save_ml_backend(project, {"url": "http://127.0.0.1:9090", "title": "quorum"})


@pytest.mark.parametrize("rows", [[], ROWS[:3]], ids=["no rows", "rows"])
@pytest.mark.parametrize("deed", [chosen, renamed, named_alike, removed, connected_by_an_older_release])
def test_forms_are_filled_from_the_auto_label_after_whatever_happened(
    deed: Callable[[FakeLabelStudio, int, int], None], rows: list[Row]
) -> None:
    """Set-up mends what Label Studio or people made of the served version; a second run and an import keep it."""
    server = FakeLabelStudio(["a@x.test"])
    campaign = setup_campaign(server, SPEC).campaign
    assert campaign is not None
    project = campaign.project(Stage.PASS)
    versions = {stage: server.project(one.id).settings["model_version"] for stage, one in campaign.projects.items()}
    assert versions == SERVED
    import_rows(server, campaign, rows)
    deed(server, project, server.ml_backends(project)[0].id)
    found = open_campaign(server, "May", policy=POLICY, team=TEAM)
    ailing = server.project(project).settings["model_version"] or rows
    assert bool(list(serving_faults(server, found))) == bool(ailing)
    assert setup_campaign(server, SPEC).changes or not ailing
    assert list(serving_faults(server, open_campaign(server, "May", policy=POLICY, team=TEAM))) == []
    assert [one.title for one in server.ml_backends(project)] not in ([AUTO_LABEL], [])
    assert setup_campaign(server, SPEC).changes == ()
    import_rows(server, campaign, ROWS[:5])
    assert server.project(project).settings["model_version"] == AUTO_LABEL


@pytest.mark.parametrize("deed", [chosen, renamed, removed, connected_by_an_older_release])
def test_an_import_puts_the_served_version_right(deed: Callable[[FakeLabelStudio, int, int], None]) -> None:
    """Rows that come in later are shown with their auto-labels, also where nobody ran set-up in between."""
    server = FakeLabelStudio(["a@x.test"])
    campaign = setup_campaign(server, SPEC).campaign
    assert campaign is not None
    project = campaign.project(Stage.PASS)
    import_rows(server, campaign, ROWS[:3])
    deed(server, project, server.ml_backends(project)[0].id)
    import_rows(server, campaign, ROWS[:5])
    assert server.project(project).settings["model_version"] == AUTO_LABEL


def test_an_import_killed_before_any_write_is_finished_by_the_next() -> None:
    """For every request: die before it, run again, and each row is there once, in order."""
    for dies_after in range(3):
        server = FakeLabelStudio(["a@x.test"])
        campaign = setup_campaign(server, SPEC).campaign
        assert campaign is not None
        server.dies_at = server.writes + dies_after
        with pytest.raises(Killed):
            import_rows(server, campaign, ROWS)
        server.dies_at = None
        report = import_rows(server, campaign, ROWS)
        assert (report.known, report.imported) == (dies_after * CHUNK, len(ROWS) - dies_after * CHUNK)
        assert [task.row_id for task in server.tasks(campaign.project(Stage.PASS))] == [row.row_id for row in ROWS]


def test_a_dry_run_writes_nothing() -> None:
    """Neither set-up nor import touch the server in a dry run, and they count the same."""
    server = FakeLabelStudio(["a@x.test"])
    dry = setup_campaign(server, SPEC, dry_run=True)
    assert (server.writes, dry.campaign) == (0, None)
    made = setup_campaign(server, SPEC)
    assert made.changes[:3] == dry.changes
    assert made.campaign is not None
    writes = server.writes
    assert import_rows(server, made.campaign, ROWS, dry_run=True).imported == len(ROWS)
    assert server.writes == writes


def test_a_changed_policy_is_written_into_the_markers_and_said() -> None:
    """Set-up with another policy changes the three markers, keeps what people wrote, and says so."""
    server = FakeLabelStudio(["a@x.test"])
    setup_campaign(server, SPEC)
    first = server.projects()[0]
    server.change_project(first.id, {"description": "Our notes.\n" + first.description, "title": "Renamed"})
    other = load_policy("version: 1\npasses: 3\nexpert_domains: [technical, legal]\n")
    report = setup_campaign(server, CampaignSpec(name="May", interface=SPEC.interface, policy=other, team=TEAM))
    assert any("policy" in note for note in report.notes)
    changed = server.projects()[0]
    assert changed.title == "Renamed"
    assert changed.description.startswith("Our notes.\n")
    assert changed.settings["maximum_annotations"] == 3
    marker = read_marker(changed.description)
    assert marker is not None
    assert marker.policy == other.hash
    with pytest.raises(CampaignError, match="policy"):
        open_campaign(server, "May", policy=POLICY, team=TEAM)


def test_a_pass_project_that_was_doubled_is_named() -> None:
    """Two set-ups at once: the older project is used, and the other is named so that somebody deletes it."""
    server = FakeLabelStudio(["a@x.test"])
    setup_campaign(server, SPEC)
    first = server.projects()[0]
    twin = server.create_project(first.settings)
    report = setup_campaign(server, SPEC)
    assert report.campaign is not None
    assert report.campaign.project(Stage.PASS) == first.id
    assert any(str(twin.id) in note for note in report.notes)


@pytest.mark.parametrize(
    "description",
    [
        "",
        "quorum:",
        "quorum:{}",
        'quorum:{"campaign": "c"}',
        'quorum:{"campaign":"c","stage":"x","task":"t","policy":"p"}',
        "[]",
    ],
    ids=["empty", "bare", "no keys", "one key", "unknown stage", "other"],
)
def test_a_broken_marker_is_no_marker(description: str) -> None:
    """Whatever people did to the line, it is read or it is not there; it never raises."""
    assert read_marker(description) is None


def test_campaigns_are_told_apart_by_name_and_stage() -> None:
    """Names with quotes, braces and other scripts survive the marker."""
    server = FakeLabelStudio(["a@x.test"])
    names = ['a "b" {c}', "五月 · 2", "quorum:{}"]
    for name in names:
        setup_campaign(server, CampaignSpec(name=name, interface=SPEC.interface, policy=POLICY, team=TEAM))
    assert set(find_all(server.projects())) == set(names)
    line = Marker(campaign="x", stage=Stage.QA, task="t", policy="p")
    assert read_marker(write_marker("quorum:{}\nnotes", line)) == line
