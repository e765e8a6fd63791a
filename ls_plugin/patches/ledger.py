"""Which pieces of Label Studio the plugin replaces, with a hash of the source of each, for the version that was tried.

When a new version comes, a unit test compares: it names the pieces whose source is another, so that somebody reads what
changed before the plugin goes on replacing them. After that, write the ledger anew::

    python -m ls_plugin.patches.ledger

The hash is over the source text without indentation, comments and blank lines, and not over its syntax tree: Python
writes trees otherwise from one version to the next.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

FILE = "ledger.json"


@dataclass(frozen=True, slots=True)
class Difference:
    """How the pieces that are installed differ from those of the ledger: dotted names."""

    changed: tuple[str, ...]
    unknown: tuple[str, ...]
    gone: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.changed or self.unknown or self.gone)


def source_hash(piece: Any) -> str:
    """The hash of a function's or class's source.

    >>> source_hash(source_hash) == source_hash(source_hash)
    True
    """
    lines = textwrap.dedent(inspect.getsource(inspect.unwrap(piece))).splitlines()
    code = [line.rstrip() for line in lines if line.strip() and not line.strip().startswith("#")]
    return hashlib.sha256("\n".join(code).encode()).hexdigest()


def read_ledger() -> dict[str, str]:
    """Dotted name → hash of the source that was read when the plugin was tried."""
    ledger = json.loads(files("ls_plugin.patches").joinpath(FILE).read_text(encoding="utf-8"))
    return dict(ledger["pieces"])


def compare(pieces: Mapping[str, Any], ledger: Mapping[str, str]) -> Difference:
    """Compare what the plugin has replaced with the ledger.

    Args:
        pieces: dotted name → what stood there before: :func:`ls_plugin.patches.registry.replaced`.
        ledger: dotted name → hash.
    """
    hashes = {name: source_hash(piece) for name, piece in pieces.items()}
    return Difference(
        changed=tuple(sorted(name for name in hashes.keys() & ledger.keys() if hashes[name] != ledger[name])),
        unknown=tuple(sorted(hashes.keys() - ledger.keys())),
        gone=tuple(sorted(ledger.keys() - hashes.keys())),
    )


def to_text(pieces: Mapping[str, Any]) -> str:
    """The ledger's file for these pieces."""
    hashes = {name: source_hash(piece) for name, piece in sorted(pieces.items())}
    return json.dumps({"label_studio": version("label-studio"), "pieces": hashes}, indent=2) + "\n"


def _write() -> None:
    """Start Label Studio's apps with the plugin, and write down what it has replaced."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ls_plugin.settings")
    import django

    django.setup()
    from ls_plugin.patches.registry import replaced  # only now: it is filled while the apps start

    Path(__file__).with_name(FILE).write_text(to_text(replaced()), encoding="utf-8")


if __name__ == "__main__":
    _write()
