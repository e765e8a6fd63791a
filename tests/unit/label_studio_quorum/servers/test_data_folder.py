"""The data folder: one user at a time, secrets for their owner only, damage told and not repaired."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from label_studio_quorum.files import write_json
from label_studio_quorum.servers.data_folder import DataFolder, Secrets
from label_studio_quorum.servers.processes import StartError


def test_a_folder_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    """The second is told which process holds it; when the first lets go it is free again."""
    held = pytest.raises(StartError, match=r"another quorum up \(process \d+\) uses this data folder")
    with DataFolder(tmp_path / "d"), held, DataFolder(tmp_path / "d"):
        pass
    with DataFolder(tmp_path / "d") as again:
        assert again.path.is_dir()


def test_entering_and_leaving_remove_the_access_file(tmp_path: Path) -> None:
    """An access file says that all is ready now; one that a crash left behind would lie."""
    (tmp_path / "access.json").write_text("{}", encoding="utf-8")
    with DataFolder(tmp_path) as folder:
        assert not folder.access.exists()
        write_json(folder.access, {}, private=True)
    assert not (tmp_path / "access.json").exists()


def test_secrets_are_made_once_and_are_private(tmp_path: Path) -> None:
    """The same secrets come back, whoever asks for another owner later; only their owner can read them."""
    with DataFolder(tmp_path) as folder:
        first = folder.secrets("ops@example.com")
        assert folder.secrets("other@example.com") == first
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600
    assert first.owner.email == "ops@example.com"


def test_secrets_differ_from_folder_to_folder() -> None:
    """Nothing in them is fixed."""
    one, other = Secrets.new("a@example.com"), Secrets.new("a@example.com")
    assert {one.owner.password, one.owner.token, one.ml_password}.isdisjoint(
        {other.owner.password, other.owner.token, other.ml_password}
    )
    assert len(one.owner.token) == 40, "the length that Label Studio's tokens have"


@pytest.mark.parametrize("content", ["{", "[]", "null", '{"owner": {}}', '{"owner": 1, "ml": 2}'])
def test_damaged_secrets_are_refused_and_kept(tmp_path: Path, content: str) -> None:
    """New secrets would lock everybody out of the old database; so a person has to decide."""
    (tmp_path / "secrets.json").write_text(content, encoding="utf-8")
    with DataFolder(tmp_path) as folder, pytest.raises(StartError, match=r"secrets\.json: damaged"):
        folder.secrets("ops@example.com")
    assert (tmp_path / "secrets.json").read_text(encoding="utf-8") == content


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    """A file where the folder should be."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StartError, match="QUORUM_DATA_DIR"), DataFolder(tmp_path / "file" / "d"):
        pass
