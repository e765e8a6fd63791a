"""The data folder: one user at a time, secrets for their owner only, damage told and not repaired."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import typer

from label_studio_quorum.campaign.local_memory import LocalFileError, Remembered, remember, remembered
from label_studio_quorum.commands import demo, shared_options
from label_studio_quorum.files import write_json
from label_studio_quorum.servers.data_folder import DataFolder, Secrets
from label_studio_quorum.servers.label_studio import DATABASE
from label_studio_quorum.servers.processes import StartError
from review_rules.errors import PublicError


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


NUMBERS = '{"owner": {"email": 1, "password": 2, "token": 3}, "ml": {"user": 4, "password": 5}}'


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"owner": {}}', '{"owner": 1, "ml": 2}', NUMBERS])
def test_damaged_secrets_are_refused_and_kept(tmp_path: Path, content: str) -> None:
    """New secrets would lock everybody out of the old database; so a person has to decide."""
    (tmp_path / "secrets.json").write_text(content, encoding="utf-8")
    with DataFolder(tmp_path) as folder:
        with pytest.raises(
            LocalFileError, match=r"secrets\.json: damaged .* no answer; restore a backup, or move it away"
        ):
            folder.check()
        with pytest.raises(LocalFileError):
            folder.secrets("ops@example.com")
    assert (tmp_path / "secrets.json").read_text(encoding="utf-8") == content


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    """A file where the folder should be."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StartError, match="QUORUM_DATA_DIR"), DataFolder(tmp_path / "file" / "d"):
        pass


# --- What is damaged, missing or of another server -------------------------------------------------------------------

TABLES = """
CREATE TABLE django_migrations (id INTEGER); CREATE TABLE project (id INTEGER); CREATE TABLE task (id INTEGER);
CREATE TABLE task_completion (id INTEGER); CREATE TABLE htx_user (id INTEGER, email TEXT);
CREATE TABLE organization (id INTEGER, created_by_id INTEGER); CREATE TABLE authtoken_token (key TEXT, user_id INTEGER);
INSERT INTO htx_user VALUES (7, 'ops@example.com'), (8, 'ana@example.com'); INSERT INTO organization VALUES (1, 7);
INSERT INTO task VALUES (1), (2); INSERT INTO task_completion VALUES (1);
"""


def used_folder(path: Path) -> DataFolder:
    """A data folder whose server was ready, with one answer in its database."""
    folder = DataFolder(path)
    folder.label_studio.mkdir(parents=True)
    token = folder.secrets("ops@example.com").owner.token
    with closing(sqlite3.connect(folder.label_studio / DATABASE)) as connection:
        connection.executescript(TABLES)
        connection.execute("INSERT INTO authtoken_token VALUES (?, 7)", (token,))
        connection.commit()
    write_json(folder.stamp, {})
    write_json(path / "passwords.json", {"ana@example.com": "first"}, private=True)
    return folder


def database_of(path: Path) -> Path:
    return path / "label-studio" / DATABASE


def empty(path: Path) -> None:
    database_of(path).write_bytes(b"")


def without_tables(path: Path) -> None:
    database_of(path).unlink()
    with closing(sqlite3.connect(database_of(path))) as connection:
        connection.execute("PRAGMA journal_mode=wal")


def foreign(path: Path) -> None:
    database_of(path).unlink()
    with closing(sqlite3.connect(database_of(path))) as connection:
        connection.execute("CREATE TABLE songs (id INTEGER)")


def cut_off(path: Path) -> None:
    with closing(sqlite3.connect(database_of(path))) as connection:
        connection.execute("INSERT INTO htx_user VALUES (9, ?)", ("x" * 50_000,))
        connection.commit()
    content = database_of(path).read_bytes()
    database_of(path).write_bytes(content[: len(content) // 2])


def of_another_server(path: Path) -> None:
    write_json(path / "secrets.json", Secrets.new("ops@example.com").to_json(), private=True)


def in_the_way(path: Path) -> None:
    (path / "logs").write_text("", encoding="utf-8")


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "database gone": (
        lambda path: database_of(path).unlink(),
        "is gone, and every row and answer with it; put a backup",
    ),
    "database emptied": (empty, "is empty, every row and answer is gone; put a backup"),
    "database without tables": (without_tables, "is empty, every row and answer is gone; put a backup"),
    "database of something else": (foreign, "no database of Label Studio's"),
    "database cut off": (cut_off, "can't be read"),
    "keys of another server": (of_another_server, "secrets.json: of another database"),
    "passwords cut off": (lambda path: (path / "passwords.json").write_text("{", encoding="utf-8"), "first passwords"),
    "passwords in a list": (
        lambda path: (path / "passwords.json").write_text("[1]", encoding="utf-8"),
        "first passwords",
    ),
    "passwords of numbers": (
        lambda path: (path / "passwords.json").write_text('{"a": 1}', encoding="utf-8"),
        "by email",
    ),
    "a file for a folder": (in_the_way, "logs: a file stands where a folder should"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_each_damage_is_one_line_and_nothing_is_touched(tmp_path: Path, damage: str) -> None:
    """The line says what is lost and what to do, before anything starts; no file is made, mended or removed."""
    used_folder(tmp_path)
    spoil, words = DAMAGES[damage]
    spoil(tmp_path)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    with DataFolder(tmp_path) as folder, pytest.raises(PublicError) as refused:
        folder.check()
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
    assert before == {file: file.read_bytes() for file in before}


def test_a_sound_folder_goes_on(tmp_path: Path) -> None:
    """Nothing is found, nothing is noted; nor in a new folder, nor in one whose first start was cut off."""
    used_folder(tmp_path / "used")
    first = DataFolder(tmp_path / "cut off")
    first.label_studio.mkdir(parents=True)
    first.secrets("ops@example.com")
    (first.label_studio / DATABASE).write_bytes(b"")
    for path in (tmp_path / "used", tmp_path / "new", tmp_path / "cut off"):
        with DataFolder(path) as folder:
            folder.check()
            assert folder.notes == []


def test_lost_secrets_come_back_from_the_database(tmp_path: Path) -> None:
    """The owner's key goes on working, which is said; the password that only they know is not made up."""
    token = used_folder(tmp_path).secrets("ops@example.com").owner.token
    (tmp_path / "secrets.json").unlink()
    with DataFolder(tmp_path) as folder:
        folder.check()
        owner = folder.secrets("another@example.com").owner
        assert (owner.email, owner.password, owner.token) == ("ops@example.com", "", token)
        assert [note.split(":")[0] for note in folder.notes] == [f"{tmp_path}/secrets.json was gone"]
        assert folder.secrets("another@example.com").owner == owner


def test_lost_passwords_are_noted(tmp_path: Path) -> None:
    """Nobody is locked out, and whoever was not told theirs yet is missed."""
    used_folder(tmp_path)
    remember(Remembered(name="May", url="http://127.0.0.1:8080", task="ner", policy="p", team="t"), tmp_path)
    (tmp_path / "passwords.json").unlink()
    with DataFolder(tmp_path) as folder:
        folder.check()
        assert "first passwords that nobody was told yet are lost" in folder.notes[0]


def test_starting_over_moves_aside_what_it_names(tmp_path: Path) -> None:
    """Database, keys and passwords lie together where they can be taken back from; models and other servers' stay."""
    used_folder(tmp_path)
    (tmp_path / "ml").mkdir()
    with DataFolder(tmp_path) as folder:
        contents = folder.contents()
        assert "2 tasks, 1 answers, 2 accounts" in contents
        assert contents.endswith("database.json, secrets.json, passwords.json")
        aside = folder.move_aside()
        folder.check()
        assert folder.contents() == ""
    assert sorted(file.name for file in aside.iterdir()) == [
        "database.json",
        "label-studio",
        "passwords.json",
        "secrets.json",
    ]
    assert (tmp_path / "ml").is_dir()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"url": "http://x"}', '{"url": 1, "ml_url": 2}'])
def test_a_damaged_access_file_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    """Commands do not say that there is no API key, nor the demo that a key is missing in a dictionary."""
    monkeypatch.setenv("QUORUM_DATA_DIR", str(tmp_path))
    (tmp_path / "access.json").write_text(content, encoding="utf-8")
    with pytest.raises(LocalFileError, match=r"access\.json: damaged .* nothing is lost"):
        shared_options.connect(None, None, None)
    with pytest.raises(typer.Exit):
        demo.command(data_dir=tmp_path, start=False)
    assert capsys.readouterr().err.startswith(f"quorum demo: {tmp_path / 'access.json'}: damaged")
    # Whoever names the server needs no file of this machine.
    shared_options.connect("http://127.0.0.1:9", "key", None).close()


def test_a_damaged_memory_of_a_campaign_is_said(tmp_path: Path) -> None:
    """The other campaigns are known all the same."""
    remember(Remembered(name="May", url="u", task="ner", policy="p", team="t"), tmp_path)
    remember(Remembered(name="June", url="u", task="ner", policy="p", team="t"), tmp_path)
    (tmp_path / "campaigns" / "June.json").write_text('{"name": "June"}', encoding="utf-8")
    lines = list[str]()
    assert [campaign.name for campaign in remembered(tmp_path, complain=lines.append)] == ["May"]
    assert "June.json: damaged (parts missing or unknown); its campaign is not remembered here" in lines[0]
