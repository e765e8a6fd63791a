"""Whatever was put on disk for one run is gone when the run ends, also when it ends in a fault."""

from __future__ import annotations

import errno
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import pytest

from label_studio_quorum.campaign import row_store as rowstore
from label_studio_quorum.campaign.importing import CheckedFile, import_rows
from label_studio_quorum.campaign.projects import Campaign
from label_studio_quorum.campaign.reconcile import ReconcileReport, reconcile
from label_studio_quorum.campaign.row_store import RowStore
from label_studio_quorum.campaign.setup import CampaignSpec, setup_campaign
from label_studio_quorum.campaign.snapshot import Snapshot
from label_studio_quorum.campaign.status import campaign_status
from label_studio_quorum.campaign.watch import watch
from label_studio_quorum.gold.records import export_lines
from label_studio_quorum.intake import Row
from label_studio_quorum.intake.checked_rows import StoredRows
from label_studio_quorum.port import ServerError, Task
from label_studio_quorum.servers.bring_up import Files, PlanError, read_plan
from ls_config import load
from review_rules import load_policy, load_team
from tests.support.campaigns import POLICY, TEAM
from tests.support.fake_label_studio import FakeLabelStudio

INTERFACE = load("response_review")


class Unsteady(FakeLabelStudio):
    """A server whose QA project gives no tasks while it is `away`."""

    away = False

    def tasks(
        self, project: int, *, row_ids: Sequence[str] | None = None, since: datetime | None = None
    ) -> Iterator[Task]:
        """The tasks, or a server error."""
        if self.away and self.projects()[1].id == project:
            raise ServerError("the server went away")
        return super().tasks(project, row_ids=row_ids, since=since)


@pytest.fixture
def campaign_on_server() -> tuple[Unsteady, Campaign]:
    """A campaign of two rows."""
    team = load_team(TEAM.format(tag="x"))
    port = Unsteady([person.email for person in team.people.values() if person.email])
    spec = CampaignSpec(name="c", interface=INTERFACE, policy=load_policy(POLICY), team=team)
    campaign = setup_campaign(port, spec).campaign
    assert campaign is not None
    rows = [Row(row_id=name, context="", query="q", response="a", domain="general") for name in ("r1", "r2")]
    import_rows(port, campaign, rows)
    return port, campaign


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> list[RowStore]:
    """Every store that the test's code makes."""
    made: list[RowStore] = []

    class Noted(RowStore):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr(rowstore, "RowStore", Noted)
    return made


def is_closed(store: RowStore) -> bool:
    """Whether the store's database is closed."""
    try:
        len(store)
    except sqlite3.ProgrammingError:
        return True
    return False


def read_by_the_way(port: FakeLabelStudio, campaign: Campaign) -> None:
    with Snapshot.read(port, campaign) as snapshot:
        assert snapshot.row_ids == ["r1", "r2"]


def begin_an_export(port: FakeLabelStudio, campaign: Campaign) -> None:
    lines = export_lines(port, campaign)
    next(lines)
    lines.close()  # type: ignore[attr-defined]  # every generator has it


RUNS: dict[str, Callable[[FakeLabelStudio, Campaign], object]] = {
    "snapshot": read_by_the_way,
    "reconcile": reconcile,
    "status": campaign_status,
    "export": lambda port, campaign: list(export_lines(port, campaign)),
    "export broken off": begin_an_export,
}


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_a_run_closes_its_store(
    run: Callable[[FakeLabelStudio, Campaign], object],
    campaign_on_server: tuple[Unsteady, Campaign],
    stores: list[RowStore],
) -> None:
    """A run that reads every row closes what it read them into."""
    run(*campaign_on_server)
    assert [is_closed(store) for store in stores] == [True]


@pytest.mark.parametrize("name", ["reconcile", "status", "export"])
def test_a_run_that_could_not_read_closes_its_store(
    name: str,
    campaign_on_server: tuple[Unsteady, Campaign],
    stores: list[RowStore],
) -> None:
    """A store that was filled in part when the server went away is closed."""
    port, campaign = campaign_on_server
    port.away = True
    with pytest.raises(ServerError):
        RUNS[name](port, campaign)
    assert [is_closed(store) for store in stores] == [True]


def test_a_callers_snapshot_stays_open(campaign_on_server: tuple[Unsteady, Campaign], stores: list[RowStore]) -> None:
    """A run on a snapshot that its caller keeps leaves it open for the caller's next run."""
    port, campaign = campaign_on_server
    with Snapshot.read(port, campaign) as snapshot:
        reconcile(port, campaign, snapshot=snapshot)
        campaign_status(port, campaign, snapshot=snapshot)
        assert not is_closed(stores[0])
    assert is_closed(stores[0])


def test_a_watcher_holds_one_store_at_a_time(
    campaign_on_server: tuple[Unsteady, Campaign], stores: list[RowStore]
) -> None:
    """Reading everything again closes what was read before, a server error costs no store, and the end closes all."""
    port, campaign = campaign_on_server
    stop, woken = threading.Event(), threading.Event()
    open_stores: list[int] = []
    complaints: list[str] = []

    def reopen() -> Campaign:
        open_stores.append(sum(not is_closed(store) for store in stores))
        port.away = len(open_stores) == 2
        if len(open_stores) == 4:
            stop.set()
        return campaign

    def say(report: ReconcileReport) -> None:
        assert not report.problems

    watch(
        port, campaign, woken=woken, stop=stop, every_s=0, full_every_s=0, reopen=reopen, say=say,
        complain=complaints.append,
    )  # fmt: skip
    assert open_stores == [0, 1, 0, 1]
    assert complaints == ["the server went away"]
    assert [is_closed(store) for store in stores] == [True] * 4


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder where temporary files go."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was held of a file's rows is gone when the disk has no room for one more."""
    file = tmp_path / "rows.jsonl"
    file.write_text('{"id": "r1", "context": "", "query": "q", "response": "a"}\n', encoding="utf-8")

    def refuse(rows: StoredRows, row: Row) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(StoredRows, "add", refuse)
    with pytest.raises(OSError, match="No space left"):
        CheckedFile.read(file, interface=INTERFACE, policy=load_policy(POLICY))
    assert list(scratch.iterdir()) == []


def test_a_plan_with_faulty_rows_leaves_nothing_behind(tmp_path: Path, scratch: Path) -> None:
    """`quorum up` refuses faulty rows and removes what it held of the file."""
    rows, policy, team = tmp_path / "rows.jsonl", tmp_path / "policy.yaml", tmp_path / "team.yaml"
    rows.write_text('{"id": "r1", "context": "", "query": "q", "response": "a"}\n{"id": "r2"}\n', encoding="utf-8")
    policy.write_text(POLICY, encoding="utf-8")
    team.write_text(TEAM.format(tag="x"), encoding="utf-8")
    files = Files(name="c", task="response_review", rows=rows, team=team, policy=policy)
    with pytest.raises(PlanError), read_plan(files):
        raise AssertionError("read_plan took faulty rows")
    assert list(scratch.iterdir()) == []
