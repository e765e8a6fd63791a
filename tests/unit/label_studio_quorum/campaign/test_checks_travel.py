"""An interface's checks go onto a server within its XML, and come back as a file of their own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from label_studio_quorum.campaign.change_plan import interface_changes
from label_studio_quorum.campaign.differences import interface_differences, interface_digest
from label_studio_quorum.campaign.interface_files import ShownInterface, compare_folder
from label_studio_quorum.campaign.local_memory import FileKind
from label_studio_quorum.campaign.projects import interface_of
from ls_config import InterfaceError, compose_review, load
from ls_config.interface import HERE
from review_rules.files.checks import load_checks

INTERFACE = load("response_review")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A team's own copy of the built-in interface."""
    shutil.copytree(HERE / "response_review", tmp_path / "own")
    return tmp_path / "own"


def differing(folder: Path, xml: str) -> dict[FileKind, str]:
    """The files of a folder that do not say what a server shows, with what is kept there."""
    shown = ShownInterface(xml=xml, page="", guidelines=None)
    return {each.kind: each.kept for each in compare_folder(folder, shown, None) if each.differences}


@pytest.mark.parametrize("stage", ["pass", "qa", "expert"])
def test_each_screen_of_a_campaign_carries_the_checks(stage: str) -> None:
    """Word for word, with comments, quotes and line breaks."""
    xml = INTERFACE.xml if stage == "pass" else compose_review(INTERFACE.xml, stage)
    carried = interface_of(xml, "")
    assert carried.checks == (HERE / "response_review" / "checks.yaml").read_text(encoding="utf-8")
    assert load_checks(carried).hash == load_checks(INTERFACE).hash


def test_pulling_takes_the_checks_into_their_own_file(folder: Path) -> None:
    """The XML is written without them, so that there is one place to edit; a folder in step is left alone."""
    assert differing(folder, INTERFACE.xml) == {}
    text = (folder / "checks.yaml").read_text(encoding="utf-8")
    (folder / "checks.yaml").unlink()
    assert differing(folder, INTERFACE.xml) == {FileKind.CHECKS: text}
    (folder / "label.xml").unlink()
    kept = differing(folder, INTERFACE.xml)
    assert sorted(kept) == [FileKind.CHECKS, FileKind.INTERFACE]
    assert "checks=" not in kept[FileKind.INTERFACE]
    for kind, name in ((FileKind.INTERFACE, "label.xml"), (FileKind.CHECKS, "checks.yaml")):
        (folder / name).write_text(kept[kind], encoding="utf-8")
    assert load(folder).xml == INTERFACE.xml


def test_checks_that_the_server_does_not_have_are_emptied(folder: Path) -> None:
    """Beside the server's interface they would be put on it by the next set-up."""
    alone = folder.parent / "alone"
    alone.mkdir()
    shutil.copy(folder / "label.xml", alone)
    assert differing(folder, load(alone).xml) == {FileKind.CHECKS: ""}
    (folder / "checks.yaml").write_text("", encoding="utf-8")
    assert load(folder).xml == load(alone).xml


def test_other_checks_are_another_interface(folder: Path) -> None:
    """Doctor and set-up name them, and the project's line bears another hash."""
    stricter = (folder / "checks.yaml").read_text(encoding="utf-8").replace("correctness < 4", "correctness < 5", 1)
    (folder / "checks.yaml").write_text(stricter, encoding="utf-8")
    other = load(folder)
    assert interface_differences(other, INTERFACE.xml) == "other checks"
    assert interface_digest(other.xml, "") != interface_digest(INTERFACE.xml, "")
    says = "A response whose verdict is Correct is rated 4 or 5 on correctness."
    assert interface_changes(INTERFACE, other) == [
        f"checks: now block, when verdict == 'Correct' && correctness < 5: {says}"
    ]


def test_checks_in_both_places_are_refused(folder: Path) -> None:
    """Nobody could say which hold."""
    (folder / "label.xml").write_text(INTERFACE.xml, encoding="utf-8")
    with pytest.raises(InterfaceError, match=r"has an attribute checks, and .* is there too; remove one"):
        load(folder)
    (folder / "checks.yaml").unlink()
    assert load(folder).checks == INTERFACE.checks
