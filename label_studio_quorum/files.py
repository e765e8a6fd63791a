"""The one writer of files: each file or folder appears whole or not at all, and is on the disk when it has appeared."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["FULL", "new_file", "new_folder", "private_folder", "sha256_of", "write_json", "write_text"]

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What the system says where a disk, or somebody's share of it, is full."""


@contextmanager
def new_file(path: Path, *, private: bool = False) -> Iterator[Path]:
    """A temporary path beside `path`, renamed to it on success and removed on failure; an old file stays until then.

    A `private` file is its owner's only, from the first byte on.

    Raises:
        OSError: The folder is not there, or cannot be written.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        if not private:
            # A file that is replaced keeps its permissions; a new one gets those that any program would give it.
            temporary.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
        _sync(temporary)
        os.replace(temporary, path)
        # Without this a crash may bring the old file back, or none.
        _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path` that takes its place on success; an old folder is removed only after that."""
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    old = temporary.with_name(temporary.name + ".old")
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        for part in (*temporary.rglob("*"), temporary):
            _sync(part)
        # A folder that holds something cannot be replaced in one step, as a file can: it is moved aside first.
        if path.exists():
            os.rename(path, old)
        os.rename(temporary, path)
        _sync(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def write_text(path: Path, text: str, *, private: bool = False) -> None:
    """Write a text file in UTF-8, whole or not at all.

    Raises:
        OSError: The folder is not there, or cannot be written.
    """
    with new_file(path, private=private) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any, *, private: bool = False) -> None:
    """Write one JSON value that a person can read, whole or not at all.

    Raises:
        OSError: The folder is not there, or cannot be written.
    """
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n", private=private)


def private_folder(path: Path) -> Path:
    """The folder, made where it is missing so that only its owner can look into it.

    Raises:
        OSError: It cannot be made.
    """
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _sync(path: Path) -> None:
    """Have the system put a file, or a folder's list of names, on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
