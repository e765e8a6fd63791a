"""Rows with personal data masked, or put back: gathered while a file is checked, and written when all are in."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from label_studio_quorum.files import new_file
from label_studio_quorum.intake.checks.personal_data import Finder, Masker, unmask
from label_studio_quorum.intake.reading import write_json
from label_studio_quorum.intake.row import Row
from ls_config import Interface

__all__ = ["MaskedRows"]

_NO_SALT = "0000"


class MaskedRows:
    """Takes rows, changes their texts, and writes them as JSONL. Use it as a context manager.

    Args:
        rows: The file that is read; a hash of it tells the tokens of two files apart.
        out: Where the changed rows go.
        tokens: The file that says what each token stands for: written when masking, read when unmasking.
        interface: Spans of its controls move along with the texts.
        finder: Finds what to mask; None to put back what was masked.

    Raises:
        OSError: `tokens` is to be read and cannot be.
        ValueError: `tokens` is no map of tokens.
    """

    def __init__(self, rows: Path, out: Path, tokens: Path, interface: Interface, finder: Finder | None) -> None:
        self._out, self._tokens, self._interface = out, tokens, interface
        self._masker: Masker | None = None
        self._values: dict[str, str] = {}
        if finder is None:
            self._values = json.loads(tokens.read_text("utf-8"))
        else:
            # A folder has no bytes of its own to hash.
            salt = Masker.salt_of(rows.read_bytes()) if rows.is_file() else _NO_SALT
            self._masker = Masker(finder, salt, interface)
        self._stored = tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n")  # noqa: SIM115 - __exit__ closes it

    def __enter__(self) -> MaskedRows:
        return self

    def __exit__(self, *_: object) -> None:
        self._stored.close()

    def add(self, row: Row) -> None:
        """Change a row's texts and store it."""
        changed = self._masker.mask(row) if self._masker else unmask(row, self._values, self._interface)
        self._stored.write(write_json(changed.columns()) + "\n")

    def write(self) -> None:
        """Write the rows, then the tokens, which only their owner may read."""
        with new_file(self._out) as temporary:
            self._stored.seek(0)
            with temporary.open("w", encoding="utf-8", newline="\n") as file:
                file.writelines(self._stored)
        if self._masker is not None:
            with new_file(self._tokens, private=True) as temporary:
                temporary.write_text(json.dumps(self._masker.values, ensure_ascii=False, indent=1), encoding="utf-8")
