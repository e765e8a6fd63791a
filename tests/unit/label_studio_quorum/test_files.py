"""The one writer of files: whole or not at all, private where asked, on the disk before it says so."""

from __future__ import annotations

import ast
import json
import os
import stat
from pathlib import Path

import pytest

import label_studio_quorum
from label_studio_quorum.files import new_file, new_folder, private_folder, sha256_of, write_json, write_text

# Writing that is not making a file of ours: into a temporary path that `files` gave, into a log or a lock, or at the
# end of a file that grows. The list may only shrink.
OTHER_WRITERS = {
    "commands/agreement.py": 1,  # --out
    "commands/prelabel.py": 1,  # appends, so that a run that was cut off goes on
    "intake/checked_rows.py": 1,  # a temporary file
    "servers/data_folder.py": 1,  # the lock
    "servers/processes.py": 1,  # a log
}


def mode(path: Path) -> int:
    """The permissions of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    """A writer that fails half-way leaves the old file as it was, and nothing beside it."""
    file = tmp_path / "a.json"
    write_text(file, "old")
    with pytest.raises(UnicodeEncodeError), new_file(file) as temporary:
        temporary.write_bytes(b"half" + "\ud83d".encode())
    assert file.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    """A folder is replaced by the new one with all its files, or stays."""
    folder = tmp_path / "f"
    with new_folder(folder) as temporary:
        (temporary / "a").write_text("1", encoding="utf-8")
    with pytest.raises(UnicodeEncodeError), new_folder(folder) as temporary:
        (temporary / "b").write_text("2\ud83d", encoding="utf-8")
    assert [part.name for part in folder.iterdir()] == ["a"]
    with new_folder(folder) as temporary:
        (temporary / "deep").mkdir()
        (temporary / "deep" / "c").write_text("3", encoding="utf-8")
    assert [part.name for part in folder.iterdir()] == ["deep"]
    assert list(tmp_path.iterdir()) == [folder]


def test_a_private_file_is_never_anybody_elses(tmp_path: Path) -> None:
    """It has no permission for others while it is written, after it was, and where it replaces an open one."""
    file = tmp_path / "s.json"
    write_text(file, "{}")
    file.chmod(0o644)
    with new_file(file, private=True) as temporary:
        assert mode(temporary) == 0o600
        temporary.write_text("{}", encoding="utf-8")
    assert mode(file) == 0o600
    assert mode(private_folder(tmp_path / "d" / "e")) == 0o700


def test_an_open_file_has_the_permissions_of_any_file(tmp_path: Path) -> None:
    """A new file follows the umask; one that is replaced keeps what its owner gave it."""
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a", "x")
    finally:
        os.umask(before)
    assert mode(tmp_path / "a") == 0o640
    (tmp_path / "a").chmod(0o600)
    write_text(tmp_path / "a", "y")
    assert mode(tmp_path / "a") == 0o600


def test_file_and_entry_are_synced_in_this_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written reaches the disk before the name does, and the name before the writer returns."""
    steps = list[str]()
    sync, replace = os.fsync, os.replace

    def noted_sync(handle: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        sync(handle)

    def noted_replace(source: Path, target: Path) -> None:
        steps.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(os, "replace", noted_replace)
    write_json(tmp_path / "a.json", {"é": 1})
    assert steps == ["file", "rename", "folder"]
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"é": 1}


def test_a_digest_is_of_the_bytes(tmp_path: Path) -> None:
    """The SHA-256 of no byte at all is the published one."""
    (tmp_path / "empty").write_bytes(b"")
    assert sha256_of(tmp_path / "empty") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_nobody_else_writes_files() -> None:
    """Each place that opens a path for writing is inside a block of `new_file` or `new_folder`, or listed here."""
    room = Path(label_studio_quorum.__file__).parent
    counts = {}
    for path in sorted(room.rglob("*.py")):
        name = path.relative_to(room).as_posix()
        # Writers of export formats are handed their temporary path by `gold.formats.write`.
        if name == "files.py" or name.startswith("gold/"):
            continue
        writes = _writes(ast.parse(path.read_text(encoding="utf-8")))
        if writes:
            counts[name] = writes
    assert counts == OTHER_WRITERS


def _writes(tree: ast.AST) -> int:
    inside = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.With) and any("new_f" in ast.unparse(item) for item in block.items)
        for node in ast.walk(block)
    }
    return sum(isinstance(node, ast.Call) and id(node) not in inside and _opens(node) for node in ast.walk(tree))


def _opens(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    mode = next((part.value for part in call.args if isinstance(part, ast.Constant)), "")
    # `write_text` of this package is a plain name; a path's own method stands behind a dot.
    return name in ("write_text", "write_bytes", "fdopen") or (name == "open" and str(mode)[:1] in ("w", "a", "x"))
