"""A disk without room is one line that says so, whatever fails of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from label_studio_quorum.port import ServerError
from label_studio_quorum.servers.data_folder import DataFolder
from label_studio_quorum.servers.processes import Child, StartError, wait_until
from tests.support.full_disk import fill, small_disk

FULL = "is full; nothing that was stored is lost: make room there and start it again"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of four megabytes."""
    with small_disk(tmp_path / "disk", "4m") as folder:
        yield folder


def test_a_data_folder_on_a_full_disk_is_one_line(disk: Path) -> None:
    """The first thing that is written there does not fit; with room the folder is taken."""
    ballast = fill(disk, leave=0)
    with pytest.raises(StartError, match=FULL) as refused, DataFolder(disk / "data"):
        pytest.fail("the folder was taken")
    assert str(disk / "data") in str(refused.value)
    ballast.unlink()
    with DataFolder(disk / "data") as folder:
        assert folder.path.is_dir()


def test_what_fails_for_want_of_room_says_so(disk: Path) -> None:
    """A server without room refuses in words of its own; with room its words stand."""
    with DataFolder(disk) as folder:
        with pytest.raises(ServerError, match="could not sign up"), folder.naming_a_full_disk():
            raise ServerError("ana: could not sign up")
        fill(disk, leave=0)
        with pytest.raises(StartError, match=FULL), folder.naming_a_full_disk():
            raise ServerError("ana: could not sign up")


def test_nobody_waits_for_a_part_that_waits_for_room(disk: Path) -> None:
    """It is told at once, and not after minutes that no reason was given."""
    child = Child("Part", [sys.executable, "-c", "import time; time.sleep(600)"], dict(os.environ), disk / "log", disk)
    child.start()
    try:
        fill(disk, leave=4096)
        with pytest.raises(StartError, match=f"Part: the disk of {disk} {FULL}"):
            wait_until(lambda: False, child, 600)
    finally:
        child.stop()
