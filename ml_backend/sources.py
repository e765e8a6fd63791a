"""Resolves where weights come from (`package:`, `path:` and `hf:` sources), and hashes what is there."""

from __future__ import annotations

import hashlib
import importlib.util
from functools import lru_cache
from pathlib import Path

from ml_backend.errors import LoadError
from review_rules import extras

SCHEMES = ("package:", "path:", "hf:")
_DECISIVE = frozenset({"config.json", "tokenizer.json"})


def resolve(source: str, base: Path) -> Path:
    """Turn a source into a local file or folder.

    Args:
        source: `package:NAME/SUB/PATH` (a file inside an installed package), `path:FILE` (relative to `base`),
            or `hf:ORG/NAME@REVISION` (fetched once into the Hugging Face cache; the revision is not optional).
        base: the folder of the models file.

    Raises:
        MissingExtra: the package is not installed.
        LoadError: the scheme is unknown, or nothing is there.
    """
    if source.startswith("package:"):
        return _in_package(source.removeprefix("package:"))
    if source.startswith("path:"):
        path = (base / Path(source.removeprefix("path:")).expanduser()).resolve()
        if not path.exists():
            raise LoadError(f"{source}: nothing at {path}; correct the path (it is relative to the models file)")
        return path
    if source.startswith("hf:"):
        return _from_hub(source.removeprefix("hf:"))
    raise LoadError(f"{source}: unknown source; begin it with one of {', '.join(SCHEMES)}")


def _in_package(spec: str) -> Path:
    name, _, inner = spec.partition("/")
    package = importlib.util.find_spec(name)
    if package is None or not package.submodule_search_locations:
        raise extras.missing(f"package:{spec}", name)
    path = Path(next(iter(package.submodule_search_locations))) / inner
    if not path.exists():
        raise LoadError(f"package:{spec}: the package {name} holds no {inner}; correct the path inside the package")
    return path


def _from_hub(spec: str) -> Path:
    name, at, revision = spec.partition("@")
    # A branch may move under the name: the version of a model would not tell which weights answered.
    if not at or not revision:
        raise LoadError(f"hf:{spec}: name a revision, as in hf:{name}@<commit>; a floating model can't be reproduced")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision))
    except (HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError, OSError) as error:
        raise LoadError(
            f"hf:{spec}: could not be fetched: {type(error).__name__}; fetch it once with a network, or use path:"
        ) from error


def sha256_of(path: Path) -> str:
    """Hash a file, or a folder's configuration, tokenizer and weights (names and contents, sorted), by SHA-256."""
    if path.is_file():
        # Size and time are the key of the cache: a file that was replaced is hashed again.
        stat = path.stat()
        return _sha256(path, stat.st_size, stat.st_mtime_ns)
    digest = hashlib.sha256()
    # Only what decides the answers: a README or a licence beside it may change.
    for file in sorted(p for p in path.iterdir() if p.name in _DECISIVE or p.suffix in {".safetensors", ".bin"}):
        digest.update(f"{file.name}\0{sha256_of(file)}\n".encode())
    return digest.hexdigest()


@lru_cache(maxsize=64)
def _sha256(path: Path, size: int, modified: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
